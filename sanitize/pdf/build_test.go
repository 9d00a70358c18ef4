package pdf

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// file puts a PDF file together: objects from number 1 on, the first is the
// catalogue.
func file(objects ...string) []byte { return fileWith("", objects...) }

// fileWith adds entries to the trailer.
func fileWith(trailer string, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, trailer, table)
	return b.Bytes()
}

func stream(dict, data string) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
}

func packed(dict, data string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(data))
	z.Close()
	return stream(dict+" /Filter /FlateDecode", b.String())
}

const pageText = "BT /F1 12 Tf 72 700 Td (The words stay) Tj ET\n"

// page is a document of one page; catalog, page and further objects (from 6 on)
// are the case's.
func page(catalog, page string, more ...string) []byte {
	return file(append([]string{
		"<< /Type /Catalog /Pages 2 0 R " + catalog + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> " + page + " >>",
		stream("", pageText),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}, more...)...)
}

// session is one in which everything is a PDF document, for which there is a
// rule.
func session(size int, change func(*sanitize.Options)) *sanitize.Session {
	o := &sanitize.Options{Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassPDF: {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	if change != nil {
		change(o)
	}
	detect := func(sanitize.Object) (sanitize.Detection, error) {
		return sanitize.Detection{Kind: sanitize.KindPDF}, nil
	}
	return sanitize.NewSession(o, int64(size), detect, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindPDF: Sanitizer{}})
}

type treated struct {
	out      []byte
	res      sanitize.Result
	findings []string
}

func (t treated) has(rule string) bool {
	for _, f := range t.findings {
		if strings.HasPrefix(f, rule+" ") {
			return true
		}
	}
	return false
}

func treat(b []byte, change func(*sanitize.Options)) (treated, error) {
	return treatBy(b, nil, change)
}

// treatBy has tools to ask for.
func treatBy(b []byte, tools func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error, change func(*sanitize.Options)) (treated, error) {
	s := session(len(b), change)
	s.Tools = tools
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	if err != nil {
		return treated{}, err
	}
	t := treated{out: out.Bytes(), res: res}
	for _, f := range s.Parts()[0].Findings {
		t.findings = append(t.findings, f.Rule+" "+string(f.Action)+" "+f.Detail)
	}
	return t, nil
}

// must treats b, and holds the output against the properties of every output:
// the second look allows it, and a second treatment changes nothing.
func must(t *testing.T, b []byte) treated {
	t.Helper()
	r, err := treat(b, nil)
	if err != nil {
		t.Fatalf("treat: %v", err)
	}
	if err := verify.File(t.Context(), session(len(r.out), nil), sanitize.KindPDF, bytes.NewReader(r.out), int64(len(r.out))); err != nil {
		t.Fatalf("second look: %v\n%q", err, unpack(t, r.out))
	}
	again, err := treat(r.out, nil)
	if err != nil {
		t.Fatalf("treat again: %v", err)
	}
	if again.res.Outcome != sanitize.Clean {
		t.Errorf("treated again it is %s: %v", again.res.Outcome, again.findings)
	}
	if !bytes.Equal(again.out, r.out) {
		t.Errorf("treated again it differs:\n%q\n%q", unpack(t, r.out), unpack(t, again.out))
	}
	return r
}

// unpack shows what an output says, its streams unpacked.
func unpack(t testing.TB, b []byte) string {
	t.Helper()
	var all strings.Builder
	for {
		i := bytes.Index(b, []byte("\nstream\n"))
		if i < 0 {
			all.Write(b)
			return all.String()
		}
		all.Write(b[:i])
		b = b[i+len("\nstream\n"):]
		end := bytes.Index(b, []byte("\nendstream\nendobj\n"))
		if end < 0 {
			t.Fatal("a stream without end")
		}
		all.WriteByte('\n')
		if z, err := zlib.NewReader(bytes.NewReader(b[:end])); err == nil {
			var o bytes.Buffer
			if _, err := o.ReadFrom(z); err == nil {
				all.Write(o.Bytes())
			}
		}
		b = b[end:]
	}
}
