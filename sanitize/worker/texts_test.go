package worker

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// TestTablesAreDrawnAsTheyWereTypedNeedsTools: a number keeps its zeros, a date
// its form, and a formula is what it says.
func TestTablesAreDrawnAsTheyWereTypedNeedsTools(t *testing.T) {
	tools := warm(t, realTools(t, soffice), 1)
	defer tools.Close()
	c, _ := ask(t, tools)
	for source, text := range map[sanitize.Source]string{
		sanitize.FromCSV: "\ufeff番号,日付,式\r\n0012,2026/1/2,=1+1\r\n", sanitize.FromTSV: "番号\t日付\t式\r\n0012\t2026/1/2\t=1+1\r\n",
	} {
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToXLSX, Source: source}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		for _, name := range []string{"xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"} {
			f, err := z.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(&said, f); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{">番号<", ">日付<", ">0012<", ">2026/1/2<", ">=1+1<"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("source %d: no cell %s", source, want)
			}
		}
		if strings.Contains(said.String(), "<f") {
			t.Errorf("source %d: a cell computes", source)
		}
	}
	for source, text := range map[sanitize.Source]string{
		sanitize.FromHTML: "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body><h1>お知らせ</h1></body></html>", sanitize.FromText: "\ufeff本文です。\r\n",
	} {
		pdf, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: source}, []byte(text))
		if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Fatalf("source %d: %.20q, %v", source, pdf, err)
		}
		words, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFText, First: 1, Last: 1}, pdf)
		if want := strings.TrimSpace(strings.NewReplacer("\ufeff", "", "\r\n", "").Replace(text)); err != nil ||
			!strings.Contains(string(words), "お知らせ") && !strings.Contains(string(words), want) {
			t.Errorf("source %d: the words are %q, %v", source, words, err)
		}
	}
}
