package convert_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

// TestControlCharactersOfAnOldDocumentDoNotStopItsConversion: LibreOffice writes
// them into XML, where there are none.
func TestControlCharactersOfAnOldDocumentDoNotStopItsConversion(t *testing.T) {
	for mark, want := range map[string]string{"\x02\x1f\x7f": "", "": ""} {
		c := &converter{answer: func(sanitize.ToolCall, []byte) ([]byte, error) {
			return corpus.Word("before"+mark+"behind", false), nil
		}}
		out, part, err := treat(t, steps(sanitize.Convert), c, []byte(rtf))
		if err != nil || part.Mode != sanitize.Convert {
			t.Fatalf("%q: %v, %+v", mark, err, part)
		}
		z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
		if err != nil {
			t.Fatal(err)
		}
		f, err := z.Open("word/document.xml")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil || !strings.Contains(string(b), "before"+want+"behind") {
			t.Errorf("%q: %s, %v", mark, b, err)
		}
	}
}
