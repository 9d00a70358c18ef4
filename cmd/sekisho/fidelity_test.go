package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/internal/corpus"
)

// page, cells and slide are what LibreOffice makes the documents of this test
// from: Japanese text with characters of NEC row 13, a table, a link, formulas.
const (
	page = `<html><head><meta charset="utf-8"></head><body><h1>申請書</h1><p>①㈱髙﨑商店、東京都千代田区。</p>
<table border="1"><tr><td>氏名</td><td>山田太郎</td></tr><tr><td>金額</td><td>12,345円</td></tr></table>
<ul><li>一つ目</li><li>二つ目</li></ul><p><a href="https://www.example.jp/">詳細</a></p></body></html>`
	cells = "品名,数量,単価\r\n鉛筆,10,50\r\n消しゴム,3,80\r\n合計,=SUM(B2:B3),=B2*C2\r\n"
	slide = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.presentation">
<office:body><office:presentation><draw:page draw:name="p1"><draw:frame svg:width="20cm" svg:height="3cm" svg:x="2cm" svg:y="2cm"><draw:text-box><text:p>防災計画の説明</text:p><text:p>①避難所 ②備蓄</text:p></draw:text-box></draw:frame></draw:page></office:presentation></office:body></office:document>`
)

// convert has LibreOffice write in as format and returns the files it wrote.
// Its exit status proves nothing.
func convert(t *testing.T, in, format string, args ...string) []string {
	t.Helper()
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Fatal("LibreOffice is the judge of this test and is not installed: make deps installs it")
	}
	out := t.TempDir()
	// A profile of this run's own: two programs of one profile wait for, or
	// talk to, each other.
	args = append(args, "--headless", "-env:UserInstallation=file://"+t.TempDir(), "--convert-to", format, "--outdir", out, in)
	c := exec.CommandContext(t.Context(), soffice, args...)
	c.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("LibreOffice: %v\n%s", err, text)
	}
	files, err := filepath.Glob(filepath.Join(out, "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("LibreOffice wrote nothing from %s as %s\n%s", in, format, text)
	}
	return files
}

// read returns the words LibreOffice finds in a document; of slides, which it
// does not write as text, the text of its own flat format.
func read(t *testing.T, file string) string {
	t.Helper()
	format := map[string]string{
		".docx": "txt:Text (encoded):UTF8",
		".xlsx": "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1",
		".pptx": "fodp",
		".vsdx": "fodg",
	}[filepath.Ext(file)]
	var b bytes.Buffer
	for _, f := range convert(t, file, format) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, ".fodp") || strings.HasSuffix(f, ".fodg") {
			text = visible(text)
		}
		b.Write(text)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// visible keeps the paragraphs of a flat ODF document.
func visible(doc []byte) []byte {
	var out []byte
	for _, p := range bytes.Split(doc, []byte("<text:p"))[1:] {
		p, _, _ = bytes.Cut(p, []byte("</text:p>"))
		for i, s := range bytes.Split(p, []byte(">")) {
			if s, _, _ = bytes.Cut(s, []byte("<")); i > 0 {
				out = append(append(out, s...), ' ')
			}
		}
	}
	return out
}

// TestLibreOfficeReadsTheSameWords has LibreOffice make documents and read them
// before and after the treatment.
func TestLibreOfficeReadsTheSameWords(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	files := []struct{ in, word string }{
		{convert(t, write("page.html", page), "docx:MS Word 2007 XML", "--writer")[0], "①㈱髙﨑商店"},
		{convert(t, write("cells.csv", "\ufeff"+cells), "xlsx", "--infilter=Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1")[0], "合計"},
		{convert(t, write("slide.fodp", slide), "pptx")[0], "防災計画の説明"},
		{write("macro.docm", string(corpus.Word("マクロのある文書", true))), "マクロのある文書"},
		{write("plan.vsdx", string(corpus.Visio("避難経路図①", false))), "避難経路図①"},
	}
	for _, f := range files {
		out := t.TempDir()
		r := program(t, dir, "C", "sanitize", "--out", out, f.in)
		if r.status != exitDone {
			t.Errorf("%s: status %d\n%s%s", filepath.Base(f.in), r.status, r.out, r.err)
			continue
		}
		after, err := filepath.Glob(filepath.Join(out, "*"))
		if err != nil || len(after) != 1 {
			t.Fatalf("%s has outputs %v", f.in, after)
		}
		before := f.in
		if strings.HasSuffix(before, ".docm") {
			before = write("before.docx", string(corpus.Word("マクロのある文書", false)))
		}
		was, is := read(t, before), read(t, after[0])
		if !strings.Contains(was, f.word) {
			t.Fatalf("%s: LibreOffice does not read %q in the document itself: %s", filepath.Base(f.in), f.word, was)
		}
		if was != is {
			t.Errorf("%s reads\n%s\nand after the treatment\n%s", filepath.Base(f.in), was, is)
		}
	}
}
