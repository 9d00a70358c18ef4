package xmlscan

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func FuzzScanner(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><w:p xmlns:w="w" a='1'><!-- c --><![CDATA[x]]>&#x41;</w:p>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		// However the reader cuts its input, the tokens are the same.
		read := func(r io.Reader) string {
			s := New(r)
			var out strings.Builder
			text := false
			for {
				tok, err := s.Next()
				if err != nil {
					fmt.Fprint(&out, err == io.EOF)
					return out.String()
				}
				if tok != Text || !text {
					fmt.Fprintf(&out, "|%d:", tok)
				}
				text = tok == Text
				out.Write(s.Raw)
			}
		}
		if a, c := read(bytes.NewReader(b)), read(&dribble{b: b, r: rand.New(rand.NewPCG(1, uint64(len(b))))}); a != c {
			t.Fatalf("%q\n%q", a, c)
		}
	})
}

// dribble gives its bytes in pieces of odd sizes.
type dribble struct {
	b []byte
	r *rand.Rand
}

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+d.r.IntN(5))], d.b)
	d.b = d.b[n:]
	return n, nil
}

// XML 1.0, 2.2: DEL and the controls behind it are characters; those of before
// the blank are none but three.
func TestCharactersOfXMLAreRead(t *testing.T) {
	read := func(doc string) error {
		s := New(strings.NewReader(doc))
		for {
			if _, err := s.Next(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	for _, form := range []string{"<a>%s</a>", "<a b='%s'/>", "<a><![CDATA[%s]]></a>"} {
		for _, good := range []string{"\x7F", "\u0080", "\u0085", "\u009F", "\u2028", "\uFEFF", "\uFFFD", "\uFDD0", "\U0001FFFE", "\U0010FFFF", "\t", "\r\n"} {
			if err := read(fmt.Sprintf(form, good)); err != nil {
				t.Errorf("%q in %s: %v", good, form, err)
			}
		}
		for _, bad := range []string{"\x00", "\x01", "\x0B", "\x0C", "\x1F", "\xFF", "\xED\xA0\x80", "\uFFFE", "\uFFFF"} {
			if read(fmt.Sprintf(form, bad)) == nil {
				t.Errorf("%q in %s is read", bad, form)
			}
		}
	}
}
