package convert

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestSheetsAreAskedToBeOnePageWide(t *testing.T) {
	const fit, pages = `pageSetUpPr fitToPage="1"`, `pageSetup fitToWidth="1" fitToHeight="0"`
	for in, same := range map[string]bool{
		`<worksheet xmlns="m"><sheetData/></worksheet>`: false,
		`<?xml version="1.0"?><x:worksheet xmlns:x="m"><x:sheetData/><x:pageSetup scale="50" orientation="landscape"/></x:worksheet>`:          false,
		`<worksheet><sheetPr codeName="a"/><sheetData/><pageSetup paperSize="9" fitToHeight="3"/><drawing/></worksheet>`:                       false,
		`<worksheet><sheetPr filterMode="false"><pageSetUpPr fitToPage="false"/></sheetPr><sheetData/><pageSetup fitToWidth="7"/></worksheet>`: false,
		`<worksheet><sheetPr><tabColor rgb="FF00FF00"/></sheetPr><sheetData/></worksheet>`:                                                     false,
		`<worksheet><sheetPr><pageSetUpPr autoPageBreaks="0"></pageSetUpPr></sheetPr><sheetData/></worksheet>`:                                 false,
		`<worksheet><sheetPr><pageSetUpPr fitToPage="1"/></sheetPr><sheetData/><pageSetup fitToWidth="2"/></worksheet>`:                        true,
		`<worksheet/>`:                        true,
		`<worksheet><sheetPr><sheetData/>`:    true,
		`<chartsheet><sheetPr/></chartsheet>`: true,
		`no markup at all`:                    true,
		`<worksheet`:                          true,
	} {
		out := string(fitWidth([]byte(in)))
		switch {
		case same && out != in:
			t.Errorf("%s became %s", in, out)
		case same:
			continue
		case strings.Count(out, fit) != 1 || strings.Count(out, pages) != 1 || strings.Contains(out, "scale=") || strings.Contains(out, `fitToWidth="7"`):
			t.Errorf("%s became %s", in, out)
		}
		d := xml.NewDecoder(strings.NewReader(out))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", out, err)
				break
			}
		}
		if again := fitWidth([]byte(out)); string(again) != out {
			t.Errorf("a second time %s becomes %s", out, again)
		}
	}
}

func FuzzFitWidth(f *testing.F) {
	f.Add([]byte(`<worksheet><sheetPr><pageSetUpPr/></sheetPr><pageSetup scale='1'/></worksheet>`))
	f.Add([]byte(`<a:worksheet ><a:sheetPr/>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		// What is added is of a length of its own.
		if out := fitWidth(bytes.Clone(b)); len(out) > len(b)+500 {
			t.Errorf("%d octets became %d", len(b), len(out))
		}
	})
}

// TestAWideSheetIsOnePageWideNeedsTools has LibreOffice draw one.
func TestAWideSheetIsOnePageWideNeedsTools(t *testing.T) {
	for _, p := range []string{"soffice", "pdfinfo"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
	cells := strings.Repeat(`<c t="inlineStr"><is><t>wide as a column is</t></is></c>`, 30)
	sheet := `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row>` + cells + `</row></sheetData></worksheet>`
	dir := t.TempDir()
	for name, c := range map[string]struct {
		sheet []byte
		one   bool
	}{"as-it-is": {[]byte(sheet), false}, "fitted": {fitWidth([]byte(sheet)), true}} {
		if err := os.WriteFile(dir+"/"+name+".xlsx", workbook(t, c.sheet), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "soffice", "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", "pdf", "--outdir", dir, dir+"/"+name+".xlsx")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		said, err := exec.CommandContext(t.Context(), "pdfinfo", dir+"/"+name+".pdf").Output()
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, _ := strings.Cut(string(said), "Pages:"); (strings.Fields(rest)[0] == "1") != c.one {
			t.Errorf("%s: %s pages", name, strings.Fields(rest)[0])
		}
	}
}

// workbook is one of one sheet.
func workbook(t *testing.T, sheet []byte) []byte {
	t.Helper()
	const types = `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`
	relation := func(kind, target string) string {
		return `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/` + kind + `" Target="` + target + `"/></Relationships>`
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range [][2]string{
		{"[Content_Types].xml", types}, {"_rels/.rels", relation("officeDocument", "xl/workbook.xml")},
		{"xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")},
		{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>`},
		{"xl/worksheets/sheet1.xml", string(sheet)},
	} {
		w, err := z.Create(m[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
