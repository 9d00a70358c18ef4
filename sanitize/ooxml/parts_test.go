package ooxml

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/verify"
)

// look is the second look at a document.
func look(b []byte, k sanitize.Kind) error {
	return verify.File(context.Background(), newSession(len(b)), k, bytes.NewReader(b), int64(len(b)))
}

// withMember writes a package anew, with something put in front of the root of
// one member.
func withMember(t *testing.T, b []byte, name, before string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		c, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == name {
			c = bytes.Replace(c, []byte("?>"), []byte("?>"+before), 1)
		}
		w, err := z.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Small generators declare the types of some parts only.
func TestPartsOfNoTypeAreWhatTheirRelationshipSays(t *testing.T) {
	for _, typ := range []string{"", "application/xml", "text/xml"} {
		p := docx(`<w:p><w:pPr><w:pStyle w:val="a"/></w:pPr></w:p>`)
		p.add("word/styles.xml", typ, `<w:styles `+nsW+`><w:style w:styleId="a"><w:name w:val="題"/></w:style></w:styles>`)
		p.add("word/footer1.xml", typ, `<w:ftr `+nsW+`><w:p><w:r><w:t>一頁</w:t></w:r><w:r><w:instrText>x</w:instrText></w:r></w:p></w:ftr>`)
		p.rel(p.main, "rId1", relO+"styles", "styles.xml").rel(p.main, "rId2", relO+"footer", "footer1.xml")
		out, res, _, err := treat(p.bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		parts := unpack(t, out)
		if !strings.Contains(parts["word/styles.xml"], "題") || !strings.Contains(parts["word/footer1.xml"], "一頁") {
			t.Errorf("%q: %v: styles %q, footer %q", typ, res.Outcome, parts["word/styles.xml"], parts["word/footer1.xml"])
		}
		for _, want := range []string{typeWord + "styles+xml", typeWord + "footer+xml"} {
			if !strings.Contains(parts["[Content_Types].xml"], want) {
				t.Errorf("%q: no type %s", typ, want)
			}
		}
		checkPackage(t, typ, out)
		if err := look(out, sanitize.KindDOCX); err != nil {
			t.Error(err)
		}
	}
}

// A type that says something else is believed: the part goes.
func TestPartsOfAnotherTypeGo(t *testing.T) {
	p := docx("")
	p.add("word/footer1.xml", "application/vnd.ms-word.attachedToolbars", `<w:ftr `+nsW+`/>`).rel(p.main, "rId2", relO+"footer", "footer1.xml")
	out, _, found, err := treat(p.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := unpack(t, out)["word/footer1.xml"]; ok || len(found) == 0 {
		t.Errorf("the part stays: %v", found)
	}
}

// Without a type, the words of a sheet are no text of Word.
func TestPartsOfNoTypeAreNotThoseOfAnotherApplication(t *testing.T) {
	p := docx("")
	p.add("word/sheet1.xml", "", `<worksheet `+nsS+`><sheetData/></worksheet>`).rel(p.main, "rId2", relO+"worksheet", "sheet1.xml")
	out, _, _, err := treat(p.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	for name := range unpack(t, out) {
		if strings.Contains(name, "sheet") {
			t.Errorf("%s stays", name)
		}
	}
}

func TestCheckBoxesOfCellsStay(t *testing.T) {
	const bags = `<FeaturePropertyBags xmlns="http://schemas.microsoft.com/office/spreadsheetml/2022/featurepropertybag"><bag type="Checkbox"/><bag type="XFControls"><bagId k="CellControl">0</bagId></bag><bag type="XFComplement"><bagId k="XFControls">1</bagId></bag><bag type="XFComplements" extRef="XFComplementsMapperExtRef"><a k="MappedFeaturePropertyBags"><bagId>2</bagId></a></bag></FeaturePropertyBags>`
	const style = `<cellXfs count="1"><xf numFmtId="0"><extLst><ext xmlns:xfpb="http://schemas.microsoft.com/office/spreadsheetml/2022/featurepropertybag" uri="{C7286773-470A-42A8-94C5-96B5CB345126}"><xfpb:xfComplement i="0"/></ext></extLst></xf></cellXfs>`
	p := xlsx(`<c r="A1" t="b"><v>1</v></c>`, "", "")
	p.add("xl/styles.xml", typeSheet+"styles+xml", `<styleSheet `+nsS+`>`+style+`</styleSheet>`).rel(p.main, "rId2", relO+"styles", "styles.xml")
	p.add("xl/featurePropertyBag/featurePropertyBag.xml", "application/vnd.ms-excel.featurepropertybag+xml", bags)
	p.rel(p.main, "rId3", "http://schemas.microsoft.com/office/2022/11/relationships/FeaturePropertyBag", "featurePropertyBag/featurePropertyBag.xml")
	out, res, found, err := treat(p.bytes(t))
	if err != nil || res.Outcome != sanitize.Clean {
		t.Fatalf("%v, %v, %v", res.Outcome, found, err)
	}
	parts := unpack(t, out)
	if !strings.Contains(parts["xl/featurePropertyBag/featurePropertyBag.xml"], bags) || !strings.Contains(parts["xl/styles.xml"], style) {
		t.Errorf("got %s and %s", parts["xl/featurePropertyBag/featurePropertyBag.xml"], parts["xl/styles.xml"])
	}
	if err := look(out, sanitize.KindXLSX); err != nil {
		t.Error(err)
	}
}

// Without it LibreOffice reads the text in INDIRECT() in another way.
func TestHowLibreOfficeReadsReferencesStays(t *testing.T) {
	const ext = `<extLst><ext xmlns:loext="http://schemas.libreoffice.org/" uri="{7626C862-2A13-11E5-B345-FEFF819CDC9F}"><loext:extCalcPr stringRefSyntax="CalcA1"/></ext></extLst>`
	out, res, found, err := treat(xlsx(`<c r="A1"><v>1</v></c>`, "", ext).bytes(t))
	if err != nil || res.Outcome != sanitize.Clean || len(found) > 0 {
		t.Fatalf("%v, %v, %v", res.Outcome, found, err)
	}
	if got := unpack(t, out)["xl/workbook.xml"]; !strings.Contains(got, ext) {
		t.Errorf("got %s", got)
	}
	if err := look(out, sanitize.KindXLSX); err != nil {
		t.Error(err)
	}
}

// Programs of Windows have written packages with backslashes and small letters.
func TestAPackageWithBackslashesIsADocument(t *testing.T) {
	in := xlsx(`<c r="A1"><v>7</v></c>`, "", "").bytes(t)
	z, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.Create(strings.ReplaceAll(strings.ToLower(f.Name), "/", `\`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(m, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := detect.Detect(sanitize.Object{ReaderAt: bytes.NewReader(b.Bytes()), Size: int64(b.Len()), Name: "a.xlsx", Names: []string{"a.xlsx"}})
	if err != nil || d.Kind != sanitize.KindXLSX {
		t.Fatalf("detected as %v, %v", d.Kind, err)
	}
	out, res, _, err := treat(b.Bytes())
	if err != nil || res.Outcome != sanitize.Clean {
		t.Fatalf("%v, %v", res.Outcome, err)
	}
	if got := unpack(t, out)["xl/worksheets/sheet1.xml"]; !strings.Contains(got, "<v>7</v>") {
		t.Errorf("got %s", got)
	}
}

// What a DOCTYPE defines would be expanded by the next reader.
func TestADoctypeIsNoMatterForConverters(t *testing.T) {
	const bomb = `<!DOCTYPE x [<!ENTITY a "aaaa">]>`
	types := docx("").bytes(t)
	for name, b := range map[string][]byte{
		"in the text":          newPkg("word/document.xml", typeWord+"document.main+xml", strings.Replace(wordXML(""), "<w:document", bomb+"<w:document", 1)).bytes(t),
		"in the content types": withMember(t, types, "[Content_Types].xml", bomb),
	} {
		if _, _, _, err := treat(b); !errors.Is(err, sanitize.ErrContainer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
