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
