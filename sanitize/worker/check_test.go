package worker

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sekisho/sanitize"
)

// illustrated is a document of one page with a picture on it, in its parts.
type illustrated struct{ page, program, picture, filter string }

func (p illustrated) file() []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	stream := func(dict, data string) string {
		return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
	}
	for i, o := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", p.page, stream("", p.program),
		stream("/Type /XObject /Subtype /Image /Width 64 /Height 48 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /"+p.filter, p.picture),
	} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, table)
	return b.Bytes()
}

// TestTheCheckOfAPDFReadsAllOfItNeedsTools holds the check against qpdf --check
// itself, whose place it takes: it sees what that sees, in pictures and in
// packed data and in the tree of pages. What the pages paint is read by the second
// look, in sanitize/verify TestPDFOffTheListIsNotAllowed.
func TestTheCheckOfAPDFReadsAllOfItNeedsTools(t *testing.T) {
	c, _ := ask(t, realTools(t, "/usr/bin/qpdf"))
	var photo, rows bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	z := zlib.NewWriter(&rows)
	if _, err := z.Write(bytes.Repeat([]byte("abcdefgh"), 8*48)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	const page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R /Resources << /XObject << /P 5 0 R >> >> >>"
	const program = "q 64 0 0 48 0 0 cm /P Do Q BT (words) Tj ET"
	broken := func(b []byte, at int) string {
		b = bytes.Clone(b)
		b[at] ^= 0xff
		return string(b)
	}
	for name, k := range map[string]struct {
		illustrated
		want error
	}{
		"a photograph":                     {illustrated{page, program, photo.String(), "DCTDecode"}, nil},
		"packed rows":                      {illustrated{page, program, rows.String(), "FlateDecode"}, nil},
		"a photograph with a broken table": {illustrated{page, program, broken(photo.Bytes(), 3), "DCTDecode"}, sanitize.ErrTool},
		"a photograph without a head":      {illustrated{page, program, photo.String()[20:], "DCTDecode"}, sanitize.ErrTool},
		"broken rows":                      {illustrated{page, program, broken(rows.Bytes(), 2), "FlateDecode"}, sanitize.ErrTool},
		"no page":                          {illustrated{"null", program, rows.String(), "FlateDecode"}, sanitize.ErrTool},
	} {
		b := k.file()
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.QPDFCheck}, b)
		if k.want == nil && err != nil || !errors.Is(err, k.want) || len(out) > 0 {
			t.Errorf("%s: %v, %d octets came back", name, err, len(out))
		}
		file := filepath.Join(t.TempDir(), "a.pdf")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		// It does not see the broken rows.
		if err := exec.CommandContext(t.Context(), "/usr/bin/qpdf", "--check", file).Run(); err != nil && k.want == nil {
			t.Errorf("%s: qpdf --check says %v", name, err)
		}
	}
}
