// Package corpus makes the sample files and mails of the project's own tests
// and of its demonstration. Everything is generated and inert: a "macro" here
// is a marker in the place where a macro would be.
package corpus

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"mime"
	"mime/quotedprintable"
	"strings"

	"golang.org/x/text/encoding/japanese"
)

// Macro is the marker that stands where a macro would: it must never arrive.
const Macro = "SEKISHO-SAMPLE-MACRO"

// member is one file of a ZIP.
type member struct{ name, text string }

func archive(ms ...member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range ms {
		w, err := z.Create(m.name)
		if err == nil {
			_, err = w.Write([]byte(m.text))
		}
		if err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

const (
	relOffice = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	relVBA    = "http://schemas.microsoft.com/office/2006/relationships/vbaProject"
)

func types(overrides string) member {
	return member{"[Content_Types].xml", xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/><Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>` + overrides + `</Types>`}
}

func relations(name, rels string) member {
	return member{name, xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + rels + `</Relationships>`}
}

// vba is what stands for a macro project: the signature of a compound file and
// the marker.
func vba() string { return "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600) + Macro }

// Word makes a document with one paragraph; with a macro it is a docm.
func Word(text string, macro bool) []byte {
	main := "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
	rels := `<Relationship Id="rId1" Type="` + relOffice + `/hyperlink" Target="https://www.example.jp/" TargetMode="External"/>`
	var extra []member
	if macro {
		main = "application/vnd.ms-word.document.macroEnabled.main+xml"
		rels += `<Relationship Id="rId2" Type="` + relVBA + `" Target="vbaProject.bin"/>`
		extra = append(extra, member{"word/vbaProject.bin", vba()})
	}
	return archive(append([]member{
		types(`<Override PartName="/word/document.xml" ContentType="` + main + `"/>`),
		relations("_rels/.rels", `<Relationship Id="rId1" Type="`+relOffice+`/officeDocument" Target="word/document.xml"/>`),
		relations("word/_rels/document.xml.rels", rels),
		{"word/document.xml", xmlHead + `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="` + relOffice + `"><w:body><w:p><w:r><w:t>` + escape(text) + `</w:t></w:r></w:p><w:p><w:hyperlink r:id="rId1"><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p></w:body></w:document>`},
	}, extra...)...)
}

// Excel makes a workbook with one text and one number; with a macro it is an xlsm.
func Excel(text string, macro bool) []byte {
	main := "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
	rels := `<Relationship Id="rId1" Type="` + relOffice + `/worksheet" Target="worksheets/sheet1.xml"/>`
	var extra []member
	if macro {
		main = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"
		rels += `<Relationship Id="rId2" Type="` + relVBA + `" Target="vbaProject.bin"/>`
		extra = append(extra, member{"xl/vbaProject.bin", vba()})
	}
	return archive(append([]member{
		types(`<Override PartName="/xl/workbook.xml" ContentType="` + main + `"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>`),
		relations("_rels/.rels", `<Relationship Id="rId1" Type="`+relOffice+`/officeDocument" Target="xl/workbook.xml"/>`),
		relations("xl/_rels/workbook.xml.rels", rels),
		{"xl/workbook.xml", xmlHead + `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="` + relOffice + `"><sheets><sheet name="申請書" sheetId="1" r:id="rId1"/></sheets></workbook>`},
		{"xl/worksheets/sheet1.xml", xmlHead + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>` + escape(text) + `</t></is></c><c r="B1"><f>SUM(1,2)</f><v>3</v></c></row></sheetData></worksheet>`},
	}, extra...)...)
}

// Visio is a drawing of one rectangle with a text; with macro a double click on
// it runs one.
func Visio(text string, macro bool) []byte {
	const ns, rel, typ = `xmlns="http://schemas.microsoft.com/office/visio/2012/main" xmlns:r="` + relOffice + `" xml:space="preserve"`, "http://schemas.microsoft.com/visio/2010/relationships/", "application/vnd.ms-visio."
	main, event := "drawing.main+xml", `<Cell N="EventDblClick" V="0" F="OPENTEXTWIN()"/>`
	rels := `<Relationship Id="rId1" Type="` + rel + `pages" Target="pages/pages.xml"/>`
	var extra []member
	if macro {
		main, event = "drawing.macroEnabled.main+xml", `<Cell N="EventDblClick" V="0" F="RUNMACRO(&quot;AutoOpen&quot;)"/>`
		rels += `<Relationship Id="rId2" Type="` + relVBA + `" Target="vbaProject.bin"/>`
		extra = append(extra, member{"visio/vbaProject.bin", vba()})
	}
	cells := func(names ...string) string {
		s := ""
		for i := 0; i < len(names); i += 2 {
			s += `<Cell N="` + names[i] + `" V="` + names[i+1] + `"/>`
		}
		return s
	}
	line := func(kind, x, y string) string { return `<Row T="` + kind + `">` + cells("X", x, "Y", y) + `</Row>` }
	return archive(append([]member{
		types(`<Override PartName="/visio/document.xml" ContentType="` + typ + main + `"/><Override PartName="/visio/pages/pages.xml" ContentType="` + typ + `pages+xml"/><Override PartName="/visio/pages/page1.xml" ContentType="` + typ + `page+xml"/>`),
		relations("_rels/.rels", `<Relationship Id="rId1" Type="`+rel+`document" Target="visio/document.xml"/>`),
		relations("visio/_rels/document.xml.rels", rels),
		relations("visio/pages/_rels/pages.xml.rels", `<Relationship Id="rId1" Type="`+rel+`page" Target="page1.xml"/>`),
		{"visio/document.xml", xmlHead + `<VisioDocument ` + ns + `><DocumentSettings/><StyleSheets><StyleSheet ID="0" NameU="No Style">` + cells("LineWeight", "0.01", "LinePattern", "1", "FillPattern", "0") + `</StyleSheet></StyleSheets></VisioDocument>`},
		{"visio/pages/pages.xml", xmlHead + `<Pages ` + ns + `><Page ID="0" NameU="Page-1" Name="Page-1"><PageSheet>` + cells("PageWidth", "8", "PageHeight", "6", "PageScale", "1", "DrawingScale", "1") + `</PageSheet><Rel r:id="rId1"/></Page></Pages>`},
		{"visio/pages/page1.xml", xmlHead + `<PageContents ` + ns + `><Shapes><Shape ID="1" Type="Shape" LineStyle="0" FillStyle="0" TextStyle="0">` +
			cells("PinX", "4", "PinY", "3", "Width", "4", "Height", "2", "LocPinX", "2", "LocPinY", "1") + event +
			`<Section N="Geometry" IX="0">` + line("RelMoveTo", "0", "0") + line("RelLineTo", "1", "0") + line("RelLineTo", "1", "1") + line("RelLineTo", "0", "1") + line("RelLineTo", "0", "0") + `</Section>` +
			`<Text>` + escape(text) + `</Text></Shape></Shapes></PageContents>`},
	}, extra...)...)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// PDF makes a one-page PDF with a script that runs when it is opened.
func PDF() []byte {
	var b bytes.Buffer
	var at []int
	b.WriteString("%PDF-1.4\n")
	for i, o := range []string{
		`<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert\("` + Macro + `"\)) >> >>`,
		`<< /Type /Pages /Kids [3 0 R] /Count 1 >>`,
		`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>`,
		"<< /Length 0 >>\nstream\n\nendstream",
	} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return b.Bytes()
}

// DocuWorks makes what opens like a DocuWorks document, which nothing treats.
func DocuWorks() []byte {
	return append([]byte("\x60\x0e\x82\x01DocuWorks binder"), make([]byte, 200)...)
}

// EncryptedZIP makes an archive with one member under a password nobody knows.
func EncryptedZIP(name string) []byte {
	secret := []byte("0123456789ab" + "ciphertext that stands for a file")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, Flags: 1, CRC32: crc32.ChecksumIEEE(secret),
		CompressedSize64: uint64(len(secret)), UncompressedSize64: uint64(len(secret) - 12)})
	if err == nil {
		_, err = w.Write(secret)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// ZIP makes a plain archive: names and texts in turn.
func ZIP(members ...string) []byte {
	var ms []member
	for i := 0; i+1 < len(members); i += 2 {
		ms = append(ms, member{members[i], members[i+1]})
	}
	return archive(ms...)
}

// Program makes the beginning of a Windows program, no more.
func Program() []byte {
	b := make([]byte, 512)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	copy(b[0x100:], Macro)
	return b
}

// Picture makes a small photograph-like picture.
func Picture() *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, 120, 80))
	for y := range 80 {
		for x := range 120 {
			m.Set(x, y, color.RGBA{uint8(2 * x), uint8(3 * y), uint8(x ^ y), 255})
		}
	}
	return m
}

// PNG and JPEG make a picture with a comment and a tail that must not arrive.
func PNG() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, Picture()); err != nil {
		panic(err)
	}
	return append(b.Bytes(), Macro...)
}

// JPEG is like PNG.
func JPEG() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, Picture(), &jpeg.Options{Quality: 85}); err != nil {
		panic(err)
	}
	return append(b.Bytes(), Macro...)
}

// Attachment is a file of a mail.
type Attachment struct {
	Name  string
	Media string
	Data  []byte
}

// Mail is a mail to be made.
type Mail struct {
	From, To, Subject, Text string
	HTML                    bool
	Charset                 string // "" is utf-8; iso-2022-jp, shift_jis
	Extra                   string // further header lines, each with its line end
	Files                   []Attachment
}

// Bytes writes the mail with CRLF line ends, as a common client would.
func (m Mail) Bytes() []byte {
	var b bytes.Buffer
	charset := m.Charset
	if charset == "" {
		charset = "utf-8"
	}
	text, subject := m.Text, mime.BEncoding.Encode("utf-8", m.Subject)
	var err error
	switch charset {
	case "iso-2022-jp":
		if text, err = japanese.ISO2022JP.NewEncoder().String(m.Text); err != nil {
			panic(err)
		}
		s, err := japanese.ISO2022JP.NewEncoder().String(m.Subject)
		if err != nil {
			panic(err)
		}
		subject = "=?ISO-2022-JP?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
	case "shift_jis":
		if text, err = japanese.ShiftJIS.NewEncoder().String(m.Text); err != nil {
			panic(err)
		}
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 09:00:00 +0900\r\nMessage-ID: <sample.%08x@partner.example>\r\nMIME-Version: 1.0\r\n%s",
		m.From, m.To, subject, crc32.ChecksumIEEE([]byte(m.Subject)), m.Extra)
	kind := "plain"
	if m.HTML {
		kind = "html"
	}
	body := func() {
		if charset == "iso-2022-jp" {
			fmt.Fprintf(&b, "Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: 7bit\r\n\r\n%s\r\n", kind, charset, strings.ReplaceAll(text, "\n", "\r\n"))
			return
		}
		fmt.Fprintf(&b, "Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", kind, charset)
		w := quotedprintable.NewWriter(&b)
		if _, err := w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
			panic(err)
		}
		w.Close()
		b.WriteString("\r\n")
	}
	if len(m.Files) == 0 {
		body()
		return b.Bytes()
	}
	const boundary = "=_sample_boundary"
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary)
	body()
	for _, f := range m.Files {
		name := mime.BEncoding.Encode("utf-8", f.Name)
		fmt.Fprintf(&b, "--%s\r\nContent-Type: %s; name=\"%s\"\r\nContent-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary, f.Media, name, name)
		e := base64.StdEncoding.EncodeToString(f.Data)
		for len(e) > 76 {
			b.WriteString(e[:76] + "\r\n")
			e = e[76:]
		}
		b.WriteString(e + "\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}
