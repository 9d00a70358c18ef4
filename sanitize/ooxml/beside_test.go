package ooxml

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
	"sekisho/sanitize/detect"
)

// TestAnEmbeddedDocumentIsPutBesideWhenTheProfileSaysSo: in a mail there is a
// place for it. It is handed out once, by its name; a program is not.
func TestAnEmbeddedDocumentIsPutBesideWhenTheProfileSaysSo(t *testing.T) {
	inner := string(xlsx(`<c r="A1"><v>7</v></c>`, "", "").bytes(t))
	object := `<w:p><w:r><w:object><v:shape><v:imagedata r:id="rId2"/></v:shape><o:OLEObject Type="Embed" ProgID="Excel.Sheet.12" r:id="rId1"/></w:object></w:r></w:p>`
	p := docx(object+object).add("word/media/image1.png", "image/png", pngBytes()).add("word/embeddings/予算.xlsx", typeSheet+"sheet", inner).add("word/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject", "MZ program")
	p.rel(p.main, "rId1", relO+"package", "embeddings/予算.xlsx").rel(p.main, "rId2", relO+"image", "media/image1.png").rel(p.main, "rId3", relO+"oleObject", "embeddings/oleObject1.bin").rel(p.main, "rId4", relO+"package", "embeddings/予算.xlsx")
	in := p.bytes(t)
	run := func(change ...func(*sanitize.Options)) (beside []string, found []sanitize.Finding) {
		s := newSession(len(in), change...)
		var out bytes.Buffer
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "2"}, &out); err != nil {
			t.Fatal(err)
		}
		if err := s.EachBeside(0, func(o sanitize.Object) error {
			b, err := io.ReadAll(o.Reader())
			if string(b) != inner {
				t.Errorf("%s has other octets", o.Name)
			}
			beside = append(beside, o.Path+" "+o.Name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		m := unpack(t, out.Bytes())
		for name := range m {
			if strings.Contains(name, "embeddings") {
				t.Errorf("%s is still there", name)
			}
		}
		if !strings.Contains(m["word/document.xml"], "imagedata") {
			t.Error("the picture of the object is lost")
		}
		return beside, s.Parts()[0].Findings
	}
	has := func(found []sanitize.Finding, rule string) bool {
		return slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == rule })
	}
	mail := func(o *sanitize.Options) { o.Task = sanitize.TaskMail }
	if got, found := run(mail, func(o *sanitize.Options) { o.Embedded = true }); len(got) != 1 || got[0] != "2/1 予算.xlsx" || !has(found, "ooxml.package-beside") || !has(found, "ooxml.ole") {
		t.Errorf("beside it stand %q, found %v", got, found)
	}
	if got, found := run(mail); len(got) != 0 || !has(found, "ooxml.package") {
		t.Errorf("without the profile's word stand %q beside it, found %v", got, found)
	}
	if got, _ := run(func(o *sanitize.Options) { o.Embedded = true }); len(got) != 0 {
		t.Errorf("beside a file that came alone stand %q", got)
	}
}

func TestHiddenSheetsAreTold(t *testing.T) {
	p := xlsx("", "", "")
	p.members[p.main] = `<workbook ` + nsS + ` ` + nsR + `><sheets><sheet name="表" sheetId="1" r:id="rId1"/><sheet name="裏" sheetId="2" state="hidden" r:id="rId2"/><sheet name="底" sheetId="3" state="veryHidden" r:id="rId3"/></sheets></workbook>`
	for n, id := range map[string]string{"2": "rId2", "3": "rId3"} {
		p.add("xl/worksheets/sheet"+n+".xml", typeSheet+"worksheet+xml", sheetXML("", "")).rel(p.main, id, relO+"worksheet", "worksheets/sheet"+n+".xml")
	}
	_, res, found, err := treat(p.bytes(t))
	if err != nil || res.Outcome != sanitize.Clean {
		t.Fatalf("%s, %v", res.Outcome, err)
	}
	for rule, name := range map[string]string{"ooxml.hidden-sheet": "裏", "ooxml.very-hidden-sheet": "底"} {
		if !slices.ContainsFunc(found, func(f sanitize.Finding) bool {
			return f.Rule == rule && f.Action == sanitize.Reported && f.Detail == name
		}) {
			t.Errorf("no %s of %s in %v", rule, name, found)
		}
	}
}

// ole is an OLE object that holds one stream.
func ole(t *testing.T, name string, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := cfb.Write(&b, &cfb.Storage{Streams: []*cfb.Stream{cfb.NewStream("\x01CompObj", []byte("x")), cfb.NewStream(name, content)}}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// nativePackage is the stream of a packed file.
func nativePackage(label, content string) []byte {
	b := append([]byte{2, 0}, label...)
	b = append(b, 0)
	b = append(b, label...)
	b = append(b, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	b = append(b, content...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// TestAPackedFileIsPutBesideWhenTheProfileSaysSo: what was inserted as a file
// stands next to the document as the file it was, under its own name; a program,
// and a text that its name makes one, does not.
func TestAPackedFileIsPutBesideWhenTheProfileSaysSo(t *testing.T) {
	inner := string(xlsx(`<c r="A1"><v>7</v></c>`, "", "").bytes(t))
	const native = "\x01Ole10Native"
	for name, c := range map[string]struct {
		object        string
		file, content string // "" when nothing stands beside it
	}{
		"text":               {ole(t, native, nativePackage("\x97\x5c\x8e\x5a.txt", "words of a file")), "予算.txt", "words of a file"},
		"workbook":           {ole(t, native, nativePackage(`C:\x\a.xlsx`, inner)), "a.xlsx", inner},
		"document as object": {ole(t, "Package", []byte(inner)), "oleObject1.bin", inner},
		"program":            {ole(t, native, nativePackage("a.txt", "MZ\x90\x00 program")), "", ""},
		"script by its name": {ole(t, native, nativePackage("a.bat", "del x")), "", ""},
		"link":               {ole(t, native, bytes.Replace(nativePackage("a.txt", "words"), []byte{0, 0, 3, 0}, []byte{0, 0, 1, 0}, 1)), "", ""},
		"object of nobody":   {ole(t, "Equation Native", []byte("x")), "", ""},
	} {
		p := docx(`<w:p/>`).add("word/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject", c.object)
		in := p.rel(p.main, "rId1", relO+"oleObject", "embeddings/oleObject1.bin").bytes(t)
		s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, true })
		s.Detect = detect.Detect
		var out bytes.Buffer
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "2"}, &out); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte("embeddings")) {
			t.Errorf("%s: the object is still there", name)
		}
		file, content := "", ""
		if err := s.EachBeside(0, func(o sanitize.Object) error {
			b, err := io.ReadAll(o.Reader())
			file, content = file+o.Name, content+string(b)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if file != c.file || content != c.content {
			t.Errorf("%s: beside it %q, %d octets; want %q, %d", name, file, len(content), c.file, len(c.content))
		}
		rule := "ooxml.package-beside"
		if c.file == "" {
			rule = "ooxml.ole"
		}
		if found := s.Parts()[0].Findings; !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == rule }) {
			t.Errorf("%s: no %s in %v", name, rule, found)
		}
	}
}
