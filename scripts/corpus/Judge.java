// Opens documents of Office with Apache POI and prints a line for each: its
// number, "ok" and the words in it, or "no" and why not. Of packages (docx and
// its kin) it reads every part and relationship, which is where readers of the
// format differ; the words in them are for LibreOffice to compare.
import java.io.*;
import java.nio.file.*;
import org.apache.poi.extractor.*;
import org.apache.poi.openxml4j.opc.*;

public class Judge {
	public static void main(String[] files) throws Exception {
		PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
		for (int i = 0; i < files.length; i++) {
			String line;
			byte[] b = Files.readAllBytes(Paths.get(files[i]));
			try (InputStream in = new ByteArrayInputStream(b)) {
				if (b.length > 1 && b[0] == 'P' && b[1] == 'K') {
					OPCPackage p = OPCPackage.open(in);
					for (PackagePart part : p.getParts())
						if (!part.isRelationshipPart())
							for (PackageRelationship r : part.getRelationships())
								if (r.getTargetMode() == TargetMode.INTERNAL && !r.getTargetURI().toString().startsWith("#") && part.getRelatedPart(r) == null)
									throw new IOException("relationship " + r.getId() + " of " + part.getPartName() + " leads nowhere");
					p.revert();
					line = "ok";
				} else {
					POITextExtractor e = OLE2ExtractorFactory.createExtractor(in);
					line = "ok " + e.getText().replaceAll("\\s+", " ");
					e.close();
				}
			} catch (Throwable t) {
				line = "no " + String.valueOf(t).replaceAll("\\s+", " ");
			}
			out.println(i + " " + line);
		}
		out.flush();
	}
}
