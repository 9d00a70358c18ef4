package worker

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

// TestFormulasAreDrawnNeedsTools: LibreOffice leaves a formula out without a
// word where its Math is not installed, and the page looks whole. ECMA-376,
// 22.1.2.77.
func TestFormulasAreDrawnNeedsTools(t *testing.T) {
	const formula = `<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>面積=底辺</m:t></m:r></m:oMath>`
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	plain := corpus.Word("公式", false)
	z, err := zip.NewReader(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		member, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == "word/document.xml" {
			member = bytes.Replace(member, []byte("</w:p>"), []byte(formula+"</w:p>"), 1)
		}
		m, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write(member); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tools := warm(t, realTools(t, soffice), 1)
	defer tools.Close()
	c, _ := ask(t, tools)
	pdf, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	words, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFText, First: 1, Last: 1}, pdf)
	if err != nil || !strings.Contains(string(words), "公式") || !strings.Contains(string(words), "底辺") {
		t.Errorf("the words are %q, %v; is libreoffice-math-nogui installed?", words, err)
	}
}

// TestALibreOfficeWithoutFormulasIsTold looks into a folder that lacks its part
// for them, and into one that has it.
func TestALibreOfficeWithoutFormulasIsTold(t *testing.T) {
	dir := t.TempDir()
	if i := mathOf(dir); !errors.Is(i.Err, ErrNoMath) {
		t.Errorf("without it: %+v", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "libsmlo.so"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if i := mathOf(dir); i.Err != nil {
		t.Errorf("with it: %+v", i)
	}
}
