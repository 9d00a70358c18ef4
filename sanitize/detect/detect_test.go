package detect

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho/sanitize"
)

func object(b []byte, names ...string) sanitize.Object {
	o := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "2", Names: names}
	if len(names) > 0 {
		o.Name = names[0]
	}
	return o
}

func see(t *testing.T, o sanitize.Object) sanitize.Detection {
	t.Helper()
	d, err := Detect(o)
	if err != nil {
		t.Fatalf("Detect(%q): %v", o.Name, err)
	}
	return d
}

// pack makes a ZIP archive of names and contents in turn.
func pack(members ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		h := &zip.FileHeader{Name: members[i], Method: zip.Deflate}
		if members[i] == "mimetype" {
			h.Method = zip.Store
		}
		m, err := w.CreateHeader(h)
		if err != nil {
			panic(err)
		}
		m.Write([]byte(members[i+1]))
	}
	w.Close()
	return b.Bytes()
}

func office(mainType string) []byte {
	return pack("[Content_Types].xml", `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">`+
		`<Default Extension="xml" ContentType="application/xml"/><Override PartName="/Doc/Main.xml" ContentType="`+mainType+`"/></Types>`,
		"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" `+
			`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="doc/main.xml"/></Relationships>`,
		"doc/main.xml", "<x/>", "word/vbaProject.bin", "MZ\x00\x00")
}

func encryptedFlag(b []byte) []byte {
	b = slices.Clone(b)
	for _, sig := range []struct {
		s   string
		off int
	}{{"PK\x03\x04", 6}, {"PK\x01\x02", 8}} {
		for i := 0; ; {
			j := bytes.Index(b[i:], []byte(sig.s))
			if j < 0 {
				break
			}
			i += j
			b[i+sig.off] |= 1
			i++
		}
	}
	return b
}

func picture(encode func(*bytes.Buffer, image.Image) error) []byte {
	var b bytes.Buffer
	if err := encode(&b, image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.White})); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pad(b string, n int) []byte {
	out := make([]byte, n)
	copy(out, b)
	return out
}

func put(n int, at ...any) []byte {
	b := make([]byte, n)
	for i := 0; i < len(at); i += 2 {
		copy(b[at[i].(int):], at[i+1].(string))
	}
	return b
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func tarball(members ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1])), Typeflag: tar.TypeReg})
		w.Write([]byte(members[i+1]))
	}
	w.Close()
	return b.Bytes()
}

func utf16BOM(s string) []byte {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

const mailText = "Received: from a by b; Mon, 2 Nov 2026 10:00:00 +0900\r\nFrom: a@example.jp\r\nTo: b@example.jp\r\nSubject: x\r\n\r\nbody\r\n"

// samples has at least one file of every kind.
func samples() []struct {
	kind sanitize.Kind
	what string
	b    []byte
	name string
} {
	type s = struct {
		kind sanitize.Kind
		what string
		b    []byte
		name string
	}
	cfb := func(class string, order ...string) []byte { return compoundFile(class, nil, order...) }
	pngFile := picture(func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) })
	return []s{
		{sanitize.KindText, "ASCII", []byte("hello\r\nworld\r\n"), "a.txt"},
		{sanitize.KindText, "Shift_JIS", []byte("\x93\xfa\x96\x7b\x8c\xea\x82\xcc\x83\x65\x83\x4c\x83\x58\x83\x67\r\n"), "a.txt"},
		{sanitize.KindText, "EUC-JP", []byte("\xc6\xfc\xcb\xdc\xb8\xec\xa4\xce\xa5\xc6\xa5\xad\xa5\xb9\xa5\xc8\n"), "a.txt"},
		{sanitize.KindText, "ISO-2022-JP", []byte("\x1b$B$3$s$K$A$O\x1b(B\r\n"), "a.txt"},
		{sanitize.KindText, "UTF-16", utf16BOM("日本語のテキスト\r\n"), "a.txt"},
		{sanitize.KindText, "a letter to Mr. M. Z.", []byte("MZ san,\nhello\n"), ""},
		{sanitize.KindText, "a mail about PDF", []byte("A file starts with %PDF-1.4 as its header.\n"), ""},
		{sanitize.KindText, "a letter with two fields", []byte("From: the mayor\nTo: all\n\nDear all\n"), "a.txt"},
		{sanitize.KindText, "a public key", []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEN\n-----END PGP PUBLIC KEY BLOCK-----\n"), ""},
		{sanitize.KindCSV, "by name", []byte("ID;Prenom\n1;x\n"), "a.csv"},
		{sanitize.KindCSV, "that Excel would open", []byte("a,b\n=1+1,2\n"), "a.xls"},
		{sanitize.KindTSV, "by name", []byte("a\tb\n"), "a.tsv"},
		{sanitize.KindHTML, "doctype", []byte("\xef\xbb\xbf\r\n <!-- c --><!DOCTYPE html><p>x"), "a.txt"},
		{sanitize.KindHTML, "tag", []byte("<SCRIPT>alert(1)</SCRIPT>"), "a.txt"},
		{sanitize.KindHTML, "UTF-16", utf16BOM("<html><body>x"), "a.csv"},
		{sanitize.KindHTML, "by name", []byte("just text"), "a.html"},
		{sanitize.KindHTML, "with binary after it", append([]byte("<html><script>x</script>"), 0, 1, 2, 3), ""},
		{sanitize.KindMessage, "mail", []byte(mailText), "a.eml"},
		{sanitize.KindMessage, "mbox", []byte("From a@b Mon Nov  2 10:00:00 2026\n" + mailText), ""},
		{sanitize.KindMessage, "MHTML called doc", []byte("MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\n"), "a.doc"},
		{sanitize.KindPNG, "PNG", pngFile, "a.png"},
		{sanitize.KindJPEG, "JPEG", picture(func(b *bytes.Buffer, m image.Image) error { return jpeg.Encode(b, m, nil) }), "a.jpg"},
		{sanitize.KindGIF, "GIF", picture(func(b *bytes.Buffer, m image.Image) error { return gif.Encode(b, m, nil) }), "a.gif"},
		{sanitize.KindBMP, "BMP", put(60, 0, "BM", 14, "\x28"), "a.bmp"},
		{sanitize.KindTIFF, "TIFF", pad("II*\x00\x08\x00\x00\x00", 32), "a.tif"},
		{sanitize.KindWebP, "WebP", pad("RIFF\x20\x00\x00\x00WEBPVP8 ", 40), "a.webp"},
		{sanitize.KindHEIC, "HEIC", pad("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", 40), "a.heic"},
		{sanitize.KindHEIC, "HEIF", pad("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", 40), "a.heif"},
		{sanitize.KindAVIF, "AVIF", pad("\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif", 40), "a.avif"},
		{sanitize.KindICO, "icon", put(40, 2, "\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00\x10\x00\x00\x00\x16"), "a.ico"},
		{sanitize.KindSVG, "SVG", []byte(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b>c">]><svg xmlns="http://www.w3.org/2000/svg"/>`), "a.svg"},
		{sanitize.KindEMF, "EMF", put(100, 0, "\x01\x00\x00\x00\x6c", 40, " EMF"), "a.emf"},
		{sanitize.KindWMF, "WMF", pad("\xd7\xcd\xc6\x9a\x00\x00", 40), "a.wmf"},
		{sanitize.KindPCX, "PCX", put(200, 0, "\x0a\x05\x01\x08\x00\x00\x00\x00\x09\x00\x09\x00", 65, "\x03\x0a\x00"), "a.pcx"},
		{sanitize.KindTGA, "TGA of version 1", put(18+300, 2, "\x02", 12, "\x0a\x00\x0a\x00\x18"), "a.tga"},
		{sanitize.KindTGA, "TGA of version 2", put(18+300+26, 2, "\x02", 12, "\x0a\x00\x0a\x00\x18", 18+300+8, "TRUEVISION-XFILE.\x00"), ""},
		{sanitize.KindPNM, "PBM in digits", []byte("P1\n# mine\n3 2\n101\n010\n"), "a.pbm"},
		{sanitize.KindPNM, "PPM", pad("P6 # mine\n2\n2 255\n", 40), "a.ppm"},
		{sanitize.KindPNM, "PAM", pad("P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nMAXVAL 1\nENDHDR\n", 80), "a.pam"},
		{sanitize.KindText, "a letter about P1", []byte("P1 is the first page, P2 2 2 the second.\n"), "a.txt"},
		{sanitize.KindText, "a plan that opens with P2", []byte("P2 10 20 30\n第二会議室\n"), "a.txt"},
		{sanitize.KindTGA, "TGA in runs", put(18+8, 2, "\x0a", 12, "\x0a\x00\x0a\x00\x18", 18, "\xbf\x01\x02\x03\xa3\x01\x02\x03"), ""},
		{sanitize.KindUnknown, "TGA in runs, and more", put(18+9, 2, "\x0a", 12, "\x0a\x00\x0a\x00\x18", 18, "\xbf\x01\x02\x03\xa3\x01\x02\x03"), "a.tga"},
		{sanitize.KindUnknown, "TGA and more", put(18+301, 2, "\x02", 12, "\x0a\x00\x0a\x00\x18"), "a.tga"},
		{sanitize.KindUnknown, "a TGA cut short", put(18+299, 2, "\x02", 12, "\x0a\x00\x0a\x00\x18"), "a.tga"},
		{sanitize.KindJXL, "JPEG XL", pad("\x00\x00\x00\x0cJXL \r\n\x87\n\x00\x00\x00\x14ftypjxl ", 60), "a.jxl"},
		{sanitize.KindJXL, "bare JPEG XL", pad("\xff\x0a\xa8\x34\x90\x50\x5c\x08\x00", 40), ""},
		{sanitize.KindPSD, "PSD", pad("8BPS\x00\x01", 40), "a.psd"},
		{sanitize.KindJP2, "JP2", pad("\x00\x00\x00\x0cjP  \r\n\x87\n", 40), "a.jp2"},
		{sanitize.KindEPS, "text EPS", []byte("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"), "a.eps"},
		{sanitize.KindEPS, "binary EPS", pad("\xc5\xd0\xd3\xc6", 40), "a.eps"},
		{sanitize.KindDICOM, "DICOM", put(140, 128, "DICM"), "a.dcm"},

		{sanitize.KindDOCX, "Office", office("application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"), "a.docx"},
		{sanitize.KindDOCM, "Office", office("application/vnd.ms-word.document.macroEnabled.main+xml"), "a.docx"},
		{sanitize.KindDOTX, "Office", office("application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml"), ""},
		{sanitize.KindDOTM, "Office", office("application/vnd.ms-word.template.macroEnabledTemplate.main+xml"), ""},
		{sanitize.KindXLSX, "Office", office("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"), ""},
		{sanitize.KindXLSM, "Office", office("application/vnd.ms-excel.sheet.macroEnabled.main+xml"), ""},
		{sanitize.KindXLTX, "Office", office("application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml"), ""},
		{sanitize.KindXLTM, "Office", office("application/vnd.ms-excel.template.macroEnabled.main+xml"), ""},
		{sanitize.KindXLAM, "Office", office("application/vnd.ms-excel.addin.macroEnabled.main+xml"), "a.xlsx"},
		{sanitize.KindXLSB, "Office", office("application/vnd.ms-excel.sheet.binary.macroEnabled.main"), ""},
		{sanitize.KindPPTX, "Office", office("application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"), ""},
		{sanitize.KindPPTM, "Office", office("application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"), ""},
		{sanitize.KindPPSX, "Office", office("application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml"), ""},
		{sanitize.KindPPSM, "Office", office("application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml"), ""},
		{sanitize.KindPOTX, "Office", office("application/vnd.openxmlformats-officedocument.presentationml.template.main+xml"), ""},
		{sanitize.KindPOTM, "Office", office("application/vnd.ms-powerpoint.template.macroEnabled.main+xml"), ""},
		{sanitize.KindPPAM, "Office", office("application/vnd.ms-powerpoint.addin.macroEnabled.main+xml"), ""},
		{sanitize.KindVSDX, "Office", office("application/vnd.ms-visio.drawing.main+xml"), ""},
		{sanitize.KindVSDM, "Office", office("application/vnd.ms-visio.drawing.macroEnabled.main+xml"), ""},
		{sanitize.KindVSTX, "Office", office("application/vnd.ms-visio.template.main+xml"), ""},
		{sanitize.KindVSTM, "Office", office("application/vnd.ms-visio.template.macroEnabled.main+xml"), ""},
		{sanitize.KindVSSX, "Office", office("application/vnd.ms-visio.stencil.main+xml"), ""},
		{sanitize.KindVSSM, "Office", office("application/vnd.ms-visio.stencil.macroEnabled.main+xml"), ""},
		{sanitize.KindXPS, "XPS", pack("[Content_Types].xml", `<Types><Default Extension="fdseq" ContentType="application/vnd.ms-package.xps-fixeddocumentsequence+xml"/></Types>`,
			"_rels/.rels", `<Relationships><Relationship Type="http://schemas.microsoft.com/xps/2005/06/fixedrepresentation" Target="/a.fdseq"/></Relationships>`), "a.xps"},
		{sanitize.KindOPC, "another package", office("application/vnd.example"), ""},
		{sanitize.KindFlatOPC, "Flat OPC", []byte(`<?xml version="1.0"?><?mso-application progid="Word.Document"?><pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage"/>`), "a.xml"},
		{sanitize.KindWordML, "Word 2003", []byte(`<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"/>`), "a.doc"},
		{sanitize.KindWordML, "Excel 2003", []byte(`<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>`), "a.xls"},
		{sanitize.KindODT, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.text", "content.xml", "<x/>"), "a.odt"},
		{sanitize.KindODS, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.spreadsheet", "content.xml", "<x/>"), "a.ods"},
		{sanitize.KindODP, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.presentation", "content.xml", "<x/>"), "a.odp"},
		{sanitize.KindODG, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.graphics", "content.xml", "<x/>"), "a.odg"},
		{sanitize.KindOTT, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.text-template", "content.xml", "<x/>"), "a.ott"},
		{sanitize.KindOTS, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.spreadsheet-template", "content.xml", "<x/>"), "a.ots"},
		{sanitize.KindOTP, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.presentation-template", "content.xml", "<x/>"), "a.otp"},
		{sanitize.KindOTG, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.graphics-template", "content.xml", "<x/>"), "a.otg"},
		{sanitize.KindFODT, "ODF", []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.text"/>`), "a.fodt"},
		{sanitize.KindFODS, "ODF", []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.spreadsheet"/>`), "a.fods"},
		{sanitize.KindFODP, "ODF", []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.presentation"/>`), "a.fodp"},
		{sanitize.KindFODG, "ODF", []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.graphics"/>`), "a.fodg"},
		{sanitize.KindODFormula, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.formula", "content.xml", "<x/>"), "a.odf"},
		{sanitize.KindODT, "ODF without a media type", pack("META-INF/manifest.xml", `<m:file-entry m:full-path="/" m:media-type="application/vnd.oasis.opendocument.text"/>`, "content.xml", "<x/>"), "a.odt"},
		{sanitize.KindODF, "database", pack("mimetype", "application/vnd.oasis.opendocument.base", "content.xml", "<x/>"), "a.odb"},
		{sanitize.KindODF, "single file of no type", []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"/>`), "a.fodt"},

		{sanitize.KindDOC, "by stream", cfb("", "1Table", "WordDocument"), "a.doc"},
		{sanitize.KindDOC, "by class", cfb("00020906-0000-0000-C000-000000000046"), "a.doc"},
		{sanitize.KindXLS, "by stream", cfb("", "Workbook"), "a.xls"},
		{sanitize.KindXLS, "bare BIFF", pad("\x09\x08\x10\x00\x00\x06\x10\x00", 40), "a.xls"},
		{sanitize.KindPPT, "by stream", cfb("", "PowerPoint Document"), "a.ppt"},
		{sanitize.KindRTF, "RTF called doc", []byte("{\\rtf1 x}"), "a.doc"},
		{sanitize.KindMSG, "by stream", cfb("", "__properties_version1.0"), "a.msg"},
		{sanitize.KindTNEF, "winmail.dat", pad("\x78\x9f\x3e\x22", 40), "winmail.dat"},
		{sanitize.KindCFB, "nobody's", cfb("", "Contents"), ""},
		{sanitize.KindVSD, "by stream", cfb("", "VisioDocument"), "a.vsd"},
		{sanitize.KindPUB, "by class", cfb("00021201-0000-0000-00C0-000000000046", "Contents"), "a.pub"},
		{sanitize.KindMDB, "Access", pad("\x00\x01\x00\x00Standard Jet DB\x00", 64), "a.mdb"},
		{sanitize.KindJTD, "by class", cfb("78597001-1D84-11CF-9713-0020AFD806F4"), "a.jtd"},
		{sanitize.KindJTDC, "by stream", cfb("78597002-1D84-11CF-9713-0020AFD806F4", "JSCompDocument"), "a.jtdc"},
		{sanitize.KindJTD, "called doc", cfb("78597001-1D84-11CF-9713-0020AFD806F4", "DocumentText"), "a.doc"},
		{sanitize.KindJTD, "template", cfb("78597001-1D84-11CF-9713-0020AFD806F4", "DocumentText"), "a.jtt"},
		{sanitize.KindJTDC, "compressed template", cfb("78597002-1D84-11CF-9713-0020AFD806F4", "JSCompDocument"), "a.jttc"},
		{sanitize.KindJHD, "by name", cfb("", "Contents"), "a.jhd"},
		{sanitize.KindJSD, "by name", cfb("", "Contents"), "a.jsd"},
		{sanitize.KindJHD, "by the kind its class says", compoundFile("", map[string][]byte{"\x01CompObj": compObj("\x89\xd4\x8eq\x90}\x96\xca")}, "\x01CompObj"), "a.dat"},
		{sanitize.KindJSD, "by the kind its class says", compoundFile("", map[string][]byte{"\x01CompObj": compObj("\x8eO\x8el\x98Y")}, "\x01CompObj"), ""},
		{sanitize.KindJHD, "by its application", compoundFile("", map[string][]byte{"\x05SummaryInformation": summaryOf(18, "\x89\xd4\x8eq")}, "\x05SummaryInformation"), ""},
		{sanitize.KindCFB, "somebody called Hanako", compoundFile("", map[string][]byte{"\x05SummaryInformation": summaryOf(4, "\x89\xd4\x8eq")}, "\x05SummaryInformation"), ""},
		{sanitize.KindCFB, "lengths that lie", compoundFile("", map[string][]byte{"\x01CompObj": append(make([]byte, 28), 255, 255, 255, 255)}, "\x01CompObj"), ""},
		{sanitize.KindJustSystems, "by a class of the house", cfb("78597003-1D84-11CF-9713-0020AFD806F4", "Contents"), "a.dat"},
		{sanitize.KindJSD, "by a class of the house and by name", cfb("78597003-1D84-11CF-9713-0020AFD806F4", "Contents"), "a.jsd"},
		{sanitize.KindDOC, "whatever else it says", compoundFile("78597003-1D84-11CF-9713-0020AFD806F4", map[string][]byte{"\x01CompObj": compObj("\x89\xd4\x8eq")}, "\x01CompObj", "WordDocument"), "a.doc"},
		{sanitize.KindJAW, "by name", pad("\x01\x02\x03\x00\xff", 40), "a.jbw"},
		{sanitize.KindDOC, "called jhd", cfb("", "WordDocument"), "a.jhd"},
		{sanitize.KindXDW, "binder", pad("\x01\x02\x03\x00\xff", 40), "a.xbd"},
		{sanitize.KindHWP, "by stream", compoundFile("", map[string][]byte{"FileHeader": []byte("HWP Document File")}, "FileHeader"), "a.hwp"},
		{sanitize.KindXDW, "by name", pad("\x01\x02\x03\x00\xff", 40), "a.xdw"},
		{sanitize.KindONE, "OneNote", pad("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", 64), "a.txt"},
		{sanitize.KindSLK, "SYLK", []byte("ID;PWXL;N;E\nC;Y1;X1;K1\nE\n"), "a.csv"},

		{sanitize.KindPDF, "PDF", []byte("%PDF-1.4\n1 0 obj\n/EncryptMetadata false\n%%EOF\n"), "a.pdf"},
		{sanitize.KindPDF, "PDF without its header", []byte("%x\n1 0 obj\n<< >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n"), "a.txt"},
		{sanitize.KindText, "a text about PDF", []byte("1 0 objects are in it\n"), "a.txt"},
		{sanitize.KindPDF, "PDF after junk", []byte("junk\n%PDF-1.4\n%%EOF\n"), "a.txt"},
		{sanitize.KindPS, "PostScript", []byte("%!PS\nshowpage\n"), "a.ps"},

		{sanitize.KindZIP, "ZIP", pack("a.txt", "hello"), "a.zip"},
		{sanitize.KindZIP, "empty ZIP", pack(), "a.zip"},
		{sanitize.Kind7z, "7z", pad("7z\xbc\xaf\x27\x1c\x00\x04", 64), "a.7z"},
		{sanitize.KindRAR, "RAR 4", pad("Rar!\x1a\x07\x00", 40), "a.rar"},
		{sanitize.KindRAR, "RAR 5", pad("Rar!\x1a\x07\x01\x00", 40), "a.rar"},
		{sanitize.KindLZH, "LZH", append([]byte("\x1a\x00-lh5-\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x05a.txt\x00\x00"), 0), "a.lzh"},
		{sanitize.KindCAB, "CAB", pad("MSCF\x00\x00\x00\x00", 64), "a.cab"},
		{sanitize.KindTAR, "tar", tarball("a.txt", "x"), "a.tar"},
		{sanitize.KindGZ, "gzip", gz([]byte("hello")), "a.gz"},
		{sanitize.KindBZ2, "bzip2", []byte("BZh91AY&SY\x00\x00\x00\x00"), "a.bz2"},
		{sanitize.KindXZ, "xz", pad("\xfd7zXZ\x00", 40), "a.xz"},
		{sanitize.KindZSTD, "zstd", pad("\x28\xb5\x2f\xfd", 40), "a.zst"},
		{sanitize.KindZ, "compress", pad("\x1f\x9d\x90", 40), "a.Z"},
		{sanitize.KindARJ, "ARJ", pad("\x60\xea\x22\x00", 64), "a.arj"},
		{sanitize.KindACE, "ACE", put(40, 7, "**ACE**"), "a.ace"},
		{sanitize.KindISO, "ISO", put(0x8100, 0x8001, "CD001"), "a.dat"},
		{sanitize.KindVHD, "VHD", append(make([]byte, 1024), pad("conectix", 512)...), "a.dat"},
		{sanitize.KindEGG, "ALZ", pad("ALZ\x01\x0a\x00", 40), "a.alz"},

		{sanitize.KindICS, "calendar", []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), "a.txt"},
		{sanitize.KindVCF, "card", []byte("begin:vcard\r\n"), "a.vcf"},

		{sanitize.KindExecutable, "PE", pad("MZ\x90\x00", 128), "a.txt"},
		{sanitize.KindExecutable, "the test file of scanners", []byte("X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"), "a.txt"},
		{sanitize.KindExecutable, "ELF", pad("\x7fELF", 64), ""},
		{sanitize.KindExecutable, "COM by name", []byte("\xeb\xfe\x90\x00\x01\x02"), "a.com"},
		{sanitize.KindExecutable, "installer", cfb("000C1084-0000-0000-C000-000000000046"), "a.doc"},
		{sanitize.KindExecutable, "Android", pack("AndroidManifest.xml", "x", "classes.dex", "dex\n035"), "a.zip"},
		{sanitize.KindScript, "shell", []byte("#!/bin/sh\necho\n"), "a.txt"},
		{sanitize.KindScript, "batch", []byte("@echo off\r\n"), "a.txt"},
		{sanitize.KindScript, "VBScript", []byte("' a comment\r\nSet x = CreateObject(\"WScript.Shell\")\r\n"), "a.txt"},
		{sanitize.KindScript, "JScript", []byte("var s = new ActiveXObject('WScript.Shell');"), "a.txt"},
		{sanitize.KindScript, "PHP", []byte("<?php system($_GET[0]); ?>"), "a.txt"},
		{sanitize.KindScript, "registry", []byte("Windows Registry Editor Version 5.00\r\n"), "a.txt"},
		{sanitize.KindScript, "registry, UTF-16", utf16BOM("Windows Registry Editor Version 5.00\r\n"), ""},
		{sanitize.KindScript, "HTA", []byte("<html></html>"), "a.hta"},
		{sanitize.KindScript, "PowerShell", []byte("powershell -enc AAAA"), "a.txt"},
		{sanitize.KindScript, "ImageMagick", []byte("push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://example.jp/x.jpg\"|ls \"-la)'\npop graphic-context\n"), "a.jpg"},
		{sanitize.KindScript, "scriptlet", []byte("<?xml version=\"1.0\"?><scriptlet/>"), "a.xml"},
		{sanitize.KindShortcut, "lnk", pad("\x4c\x00\x00\x00\x01\x14\x02\x00", 80), "a.txt"},
		{sanitize.KindShortcut, "url", []byte("[InternetShortcut]\r\nURL=file://x/y\r\n"), "a.txt"},
		{sanitize.KindShortcut, "library", []byte("<?xml version=\"1.0\"?><libraryDescription xmlns=\"http://schemas.microsoft.com/windows/2009/library\"/>"), "a.xml"},
		{sanitize.KindJAR, "JAR", pack("META-INF/MANIFEST.MF", "x", "A.class", "\xca\xfe\xba\xbe"), "a.zip"},
		{sanitize.KindCHM, "CHM", pad("ITSF\x03\x00\x00\x00", 64), "a.txt"},
		{sanitize.KindSWF, "SWF", pad("FWS\x08\x10\x00", 64), "a.txt"},

		{sanitize.KindEncryptedOffice, "Office", cfb("", "EncryptionInfo", "EncryptedPackage"), "a.docx"},
		{sanitize.KindEncryptedOffice, "Word", compoundFile("", map[string][]byte{"WordDocument": put(32, 11, "\x01")}, "WordDocument"), "a.doc"},
		{sanitize.KindEncryptedOffice, "Excel", compoundFile("", map[string][]byte{"Workbook": []byte("\x09\x08\x04\x00\x00\x06\x05\x00\x2f\x00\x04\x00\x00\x00\x00\x00")}, "Workbook"), "a.xls"},
		{sanitize.KindEncryptedOffice, "ODF", pack("mimetype", "application/vnd.oasis.opendocument.text", "META-INF/manifest.xml", "<m:encryption-data/>"), "a.odt"},
		{sanitize.KindEncryptedZIP, "ZIP", encryptedFlag(pack("a.txt", "hello")), "a.zip"},
		{sanitize.KindEncryptedPDF, "PDF", []byte("%PDF-1.4\ntrailer <</Encrypt 5 0 R>>\n%%EOF\n"), "a.pdf"},
		{sanitize.KindEncrypted7z, "7z", append(put(32, 0, "7z\xbc\xaf\x27\x1c\x00\x04", 20, "\x08"), "\x17\x06\xf1\x07\x01\x00\x00\x00"...), "a.7z"},
		{sanitize.KindEncryptedRAR, "RAR 4", []byte("Rar!\x1a\x07\x00\x00\x00\x73\x80\x00\x0d\x00\x00\x00\x00\x00\x00\x00"), "a.rar"},
		{sanitize.KindEncryptedRAR, "RAR 5", []byte("Rar!\x1a\x07\x01\x00\x00\x00\x00\x00\x05\x04\x00\x00\x00\x00"), "a.rar"},
		{sanitize.KindPGP, "armour", []byte("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n"), "a.asc"},
		{sanitize.KindSMIME, "CMS", append([]byte("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), make([]byte, 30)...), "smime.p7m"},
		{sanitize.KindSMIME, "CMS in base64", []byte("MIAGCSqGSIb3DQEHAqCAMIACAQExDzANBglghkgBZQMEAgEFADCABgkqhkiG\n"), "smime.p7m"},

		{sanitize.KindXML, "XML", []byte(`<?xml version="1.0"?><invoice/>`), "a.xml"},
		{sanitize.KindAudio, "WAV", pad("RIFF\x20\x00\x00\x00WAVEfmt ", 64), "a.wav"},
		{sanitize.KindAudio, "MP3", pad("\xff\xfb\x90\x64", 64), "a.mp3"},
		{sanitize.KindVideo, "MP4", pad("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42", 40), "a.mp4"},
		{sanitize.KindFont, "WOFF", pad("wOFF\x00\x01\x00\x00", 64), "a.woff"},
		{sanitize.KindDWG, "DWG", pad("AC1027\x00\x00", 64), "a.dwg"},
		{sanitize.KindDXF, "DXF", []byte("  0\r\nSECTION\r\n  2\r\nHEADER\r\n"), "a.dxf"},
		{sanitize.KindJWW, "Jw_cad", pad("JwwData.\x00", 64), "a.jww"},
		{sanitize.KindSFC, "SXF", []byte("ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION(('SCADEC level2 feature_mode'),'2;1');\n"), "a.txt"},
		{sanitize.KindP21, "STEP", []byte("ISO-10303-21;\nHEADER;\n"), "a.p21"},
		{sanitize.KindEmpty, "nothing", nil, "a.txt"},
		{sanitize.KindPDF, "PDF and ZIP", append([]byte("%PDF-1.4\n%%EOF\n"), pack("a.txt", "x")...), "a.pdf"},
		{sanitize.KindPolyglot, "HTML and ZIP", append([]byte("<html>x</html>"), pack("a.txt", "x")...), "a.html"},
		{sanitize.KindPolyglot, "Word and Excel", cfb("", "Workbook", "WordDocument"), "a.doc"},
		{sanitize.KindPolyglot, "Office and ODF", pack("mimetype", "application/vnd.oasis.opendocument.text", "[Content_Types].xml", "<Types/>"), "a.odt"},
		{sanitize.KindUnknown, "noise", []byte("\x01\x02\x03\x04\x00\xfe\xdc\xba\x98"), "a.txt"},
		{sanitize.KindUnknown, "a book", pack("mimetype", "application/epub+zip"), "a.epub"},
	}
}

func TestEveryKindIsRecognised(t *testing.T) {
	seen := map[sanitize.Kind]bool{}
	for _, s := range samples() {
		t.Run(string(s.kind)+"/"+s.what, func(t *testing.T) {
			if d := see(t, object(s.b, s.name)); d.Kind != s.kind {
				t.Errorf("got %s, want %s", d.Kind, s.kind)
			}
		})
		seen[s.kind] = true
	}
	for _, k := range declaredKinds(t) {
		if !seen[k] && k != sanitize.KindOpened { // no file is of it
			t.Errorf("kind %s has no sample", k)
		}
	}
}

// declaredKinds reads the constants, so that a new kind without a sample is
// noticed.
func declaredKinds(t *testing.T) []sanitize.Kind {
	f, err := parser.ParseFile(token.NewFileSet(), "../kind.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []sanitize.Kind
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Kind" && len(v.Values) == 1 {
			s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, sanitize.Kind(s))
		}
		return true
	})
	if len(kinds) < 100 {
		t.Fatalf("only %d kinds found in kind.go", len(kinds))
	}
	return kinds
}

func TestNameOnlyMakesWorse(t *testing.T) {
	docx := office("application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml")
	for _, c := range []struct {
		b     []byte
		names []string
		want  sanitize.Kind
	}{
		{[]byte("plain text"), []string{"a.txt"}, sanitize.KindText},
		{[]byte("plain text"), []string{"a.docx"}, sanitize.KindText},
		{[]byte("plain text"), []string{"a.png"}, sanitize.KindText},
		{[]byte("plain text"), []string{"a.bat"}, sanitize.KindScript},
		{[]byte("plain text"), []string{"a.txt", "a.bat"}, sanitize.KindScript},
		{[]byte("plain text"), []string{"a.BAT. ."}, sanitize.KindScript},
		{[]byte("plain text"), []string{"a.bat\x00.txt"}, sanitize.KindScript},
		{[]byte("plain text"), []string{"a.bat:x.txt"}, sanitize.KindScript},
		{[]byte("plain text"), []string{"a.b\u200bat"}, sanitize.KindScript},
		{[]byte("plain text"), []string{"fdp\u202etab.bat"}, sanitize.KindScript},
		{[]byte("plain text"), []string{"a.url"}, sanitize.KindShortcut},
		{[]byte("a,b"), []string{"a.iqy"}, sanitize.KindShortcut},
		{nil, []string{"a.js"}, sanitize.KindScript},
		{[]byte("\x01\x00\xfe\xff"), []string{"a.scr"}, sanitize.KindExecutable},
		{[]byte("\x01\x00\xfe\xff"), []string{"a.docx"}, sanitize.KindUnknown},
		{[]byte("\x01\x00\xfe\xff"), []string{"a.txt"}, sanitize.KindUnknown},
		{docx, []string{"a.exe"}, sanitize.KindDOCX},
		{docx, []string{"a.txt"}, sanitize.KindDOCX},
		{pack("a.txt", "x"), []string{"a.docx"}, sanitize.KindZIP},
		{pack("a.txt", "x"), []string{"a.jar"}, sanitize.KindJAR},
		{pack("a.txt", "x"), []string{"a.xpi", "a.exe"}, sanitize.KindExecutable},
	} {
		d := see(t, object(c.b, c.names...))
		if d.Kind != c.want {
			t.Errorf("%q called %q: got %s, want %s", c.b[:min(len(c.b), 12)], c.names, d.Kind, c.want)
		}
	}
}

func TestLyingNameIsReported(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		name string
		want bool
	}{
		{[]byte("{\\rtf1 x}"), "a.doc", true},
		{[]byte("<html>"), "a.xls", true},
		{[]byte("text"), "a.pdf", true},
		{[]byte("text"), "a.txt", false},
		{[]byte("text"), "readme", false},
		{[]byte("%PDF-1.4\n"), "a.pdf", false},
	} {
		d := see(t, object(c.b, c.name))
		got := slices.ContainsFunc(d.Findings, func(f sanitize.Finding) bool {
			return f.Rule == "detect.name-mismatch" && f.Action == sanitize.Reported
		})
		if got != c.want {
			t.Errorf("%q called %s: reported %v, want %v", c.b, c.name, got, c.want)
		}
	}
}

func TestPictureWithArchiveStaysPicture(t *testing.T) {
	b := picture(func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) })
	d := see(t, object(append(b, pack("a.exe", "MZ\x00\x00")...), "a.png"))
	if d.Kind != sanitize.KindPNG || len(d.Findings) != 1 || d.Findings[0].Rule != "detect.polyglot" {
		t.Errorf("got %s with %v", d.Kind, d.Findings)
	}
}

func TestDangerInsideArchivesIsSeen(t *testing.T) {
	pe := string(pad("MZ\x90\x00", 128))
	inner := string(pack("setup.exe", pe))
	rar4 := "Rar!\x1a\x07\x00" + "\x00\x00\x73\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x74\x00\x80\x25\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 15) + "\x05\x00\x00\x00\x00\x00" + "a.exe"
	for _, c := range []struct {
		what string
		b    []byte
		want []sanitize.Kind
	}{
		{"by name", pack("a.exe", "x"), []sanitize.Kind{sanitize.KindExecutable, sanitize.KindScript}},
		{"by content", pack("a.dat", pe), []sanitize.Kind{sanitize.KindExecutable}},
		{"script by name", pack("x/a.js", ""), []sanitize.Kind{sanitize.KindScript}},
		{"shortcut", pack("請求書.pdf.lnk", "\x4c\x00\x00\x00\x01\x14\x02\x00"), []sanitize.Kind{sanitize.KindShortcut}},
		{"harmless", pack("a.txt", "hello", "dir.exe/", ""), nil},
		{"archive in archive", pack("a.zip", inner), []sanitize.Kind{sanitize.KindExecutable}},
		{"names of an encrypted archive", encryptedFlag(pack("a.exe", "x")), []sanitize.Kind{sanitize.KindExecutable}},
		{"tar", tarball("a.dat", pe), []sanitize.Kind{sanitize.KindExecutable}},
		{"tar.gz", gz(tarball("a.ps1", "x")), []sanitize.Kind{sanitize.KindScript}},
		{"gzip", gz([]byte(pe)), []sanitize.Kind{sanitize.KindExecutable}},
		{"RAR 4", []byte(rar4), []sanitize.Kind{sanitize.KindExecutable}},
		{"LZH", append([]byte("\x1a\x00-lh5-\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x05a.exe\x00\x00"), 0), []sanitize.Kind{sanitize.KindExecutable}},
		{"CAB", append(put(36, 0, "MSCF", 16, "\x24", 24, "\x03\x01", 28, "\x01"), append(make([]byte, 16), "a.exe\x00"...)...), []sanitize.Kind{sanitize.KindExecutable}},
		{"polyglot", append([]byte("<html>x</html>"), pack("a.exe", pe)...), []sanitize.Kind{sanitize.KindExecutable}},
		{"an Office file, whose parts are treated", office("application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"), nil},
	} {
		d := see(t, object(c.b, "a.bin"))
		if !slices.Equal(d.Inside, c.want) {
			t.Errorf("%s: got %v (%s), want %v", c.what, d.Inside, d.Kind, c.want)
		}
	}
}

func TestExpansionIsBounded(t *testing.T) {
	// 20 members of 8 MiB of zeros each, 160 MiB in all.
	zeros := strings.Repeat("\x00", 8<<20)
	var m []string
	for i := range 20 {
		m = append(m, fmt.Sprintf("%d.zip", i), "PK\x03\x04"+zeros)
	}
	b := pack(m...)
	inner := &budget{bytes: innerBytes, members: innerMembers}
	if _, err := detect(object(b, "a.zip"), inner, 0); err != nil {
		t.Fatal(err)
	}
	if inner.bytes < 0 {
		t.Errorf("expanded %d bytes over the budget", -inner.bytes)
	}
}

func TestNestingIsBounded(t *testing.T) {
	b := pack("a.exe", "x")
	for range 20 {
		b = pack("a.zip", string(b))
	}
	if d := see(t, object(b, "a.zip")); d.Kind != sanitize.KindZIP {
		t.Errorf("got %s", d.Kind)
	}
}

func FuzzDetect(f *testing.F) {
	for _, s := range samples() {
		if len(s.b) < 4096 {
			f.Add(s.b, s.name)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		inner := &budget{bytes: 1 << 20, members: 100}
		d, err := detect(object(b, name), inner, 0)
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind == "" {
			t.Fatal("no kind")
		}
		// A name turns no kind into one that is treated.
		bare, err := Detect(object(b))
		if err != nil {
			t.Fatal(err)
		}
		treated := func(k sanitize.Kind) bool {
			switch k.Class() {
			case sanitize.ClassImage, sanitize.ClassOffice, sanitize.ClassPDF, sanitize.ClassLegacyOffice, sanitize.ClassArchive:
				return true
			}
			return false
		}
		if treated(d.Kind) && !treated(bare.Kind) && d.Kind != sanitize.KindSVG {
			t.Fatalf("name %q turns %s into %s", name, bare.Kind, d.Kind)
		}
		if bare.Kind.Class() == sanitize.ClassExecutable && d.Kind.Class() != sanitize.ClassExecutable {
			t.Fatalf("name %q turns %s into %s", name, bare.Kind, d.Kind)
		}
	})
}
