// Opens documents of Office 97 to 2003 with Apache POI and prints a line for
// each: its number, "ok" and the words in it, or "no" and why not.
import java.io.*;
import java.nio.file.*;
import org.apache.poi.extractor.*;

public class Judge {
	public static void main(String[] files) throws Exception {
		PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
		for (int i = 0; i < files.length; i++) {
			String line;
			try (InputStream in = new ByteArrayInputStream(Files.readAllBytes(Paths.get(files[i])))) {
				POITextExtractor e = OLE2ExtractorFactory.createExtractor(in);
				line = "ok " + e.getText().replaceAll("\\s+", " ");
				e.close();
			} catch (Throwable t) {
				line = "no " + String.valueOf(t).replaceAll("\\s+", " ");
			}
			out.println(i + " " + line);
		}
		out.flush();
	}
}
