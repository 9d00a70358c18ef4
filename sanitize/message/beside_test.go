package message_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

// withFile is a PDF of one empty page with a text file in it.
func withFile() []byte {
	var b strings.Builder
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range []string{
		"<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(a) 4 0 R] >> >> >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
		"<< /Type /Filespec /F (inside.txt) /EF << /F 5 0 R >> >>",
		"<< /Type /EmbeddedFile /Length 6 >>\nstream\na text\nendstream",
	} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	x := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, x)
	return []byte(b.String())
}

// TestAFileOfADocumentIsReleasedWithoutIt: the document arrived long ago.
func TestAFileOfADocumentIsReleasedWithoutIt(t *testing.T) {
	m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "t", Files: []corpus.Attachment{{Name: "doc.pdf", Media: "application/pdf", Data: withFile()}}}.Bytes()
	o := &sanitize.Options{Task: sanitize.TaskMail, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassPDF: {Steps: []sanitize.Mode{sanitize.Rebuild}}, sanitize.ClassText: {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range []struct {
		only []string
		want [2]bool
	}{{nil, [2]bool{true, true}}, {[]string{"2/1"}, [2]bool{false, true}}, {[]string{"2"}, [2]bool{true, true}}} {
		o.Only = c.only
		var out bytes.Buffer
		if _, err := all.Run(context.Background(), o, bytes.NewReader(m), int64(len(m)), &out); err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{strings.Contains(out.String(), "filename=doc.pdf"), strings.Contains(out.String(), "filename=inside.txt")}; got != c.want {
			t.Errorf("asked for %q: document and file attached: %v, want %v\n%s", c.only, got, c.want, out.String())
		}
	}
}
