package pdf

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sekisho/internal/fax"
)

// encoder is the arithmetic encoder of T.88, annex E (and T.81's of the same
// kind), to make pictures for the tests.
type encoder struct {
	out  []byte
	a, c uint32
	ct   int
}

func newEncoder() *encoder { return &encoder{out: []byte{0}, a: 0x8000, ct: 12} }

func (e *encoder) bit(cx *uint8, v byte) {
	s, mps := &qe[*cx>>1], *cx&1
	q := uint32(s.q)
	e.a -= q
	if v == mps {
		if e.a&0x8000 != 0 {
			e.c += q
			return
		}
		if e.a < q {
			e.a = q
		} else {
			e.c += q
		}
		*cx = s.mps<<1 | mps
	} else {
		if e.a < q {
			e.c += q
		} else {
			e.a = q
		}
		*cx = s.lps<<1 | mps ^ s.switching
	}
	for {
		e.a <<= 1
		e.c <<= 1
		if e.ct--; e.ct == 0 {
			e.put()
		}
		if e.a&0x8000 != 0 {
			return
		}
	}
}

func (e *encoder) put() {
	last := &e.out[len(e.out)-1]
	if *last != 0xff && e.c >= 0x8000000 {
		if *last++; *last == 0xff {
			e.c &= 0x7ffffff
		}
	}
	if *last == 0xff {
		e.out = append(e.out, byte(e.c>>20))
		e.c &= 0xfffff
		e.ct = 7
		return
	}
	e.out = append(e.out, byte(e.c>>19))
	e.c &= 0x7ffff
	e.ct = 8
}

func (e *encoder) flush() []byte {
	most := e.c + e.a
	if e.c |= 0xffff; e.c >= most {
		e.c -= 0x8000
	}
	e.c <<= e.ct
	e.put()
	e.c <<= e.ct
	e.put()
	return append(e.out[1:], 0xff, 0xac)
}

// generic encodes as (*arithmetic).generic decodes.
func (e *encoder) generic(m *bitmap, template int, adaptive []offset, contexts []uint8) {
	for y := range m.h {
		for x := range m.w {
			cx := 0
			for _, o := range templates[template] {
				if o.y == 1 {
					o = adaptive[o.x]
				}
				v := byte(0)
				if o.y < 0 || o.x < 0 {
					v = m.at(x+o.x, y+o.y)
				}
				cx = cx<<1 | int(v)
			}
			e.bit(&contexts[cx], m.at(x, y))
		}
	}
}

func jbig2Segment(number uint32, kind byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, number)
	b = append(b, kind, 0, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// jbig2Picture is a page of one generic region.
func jbig2Picture(m *bitmap, template int) []byte {
	adaptive := []offset{{3, -1}, {-3, -1}, {2, -2}, {-2, -2}}
	if template > 1 {
		adaptive[0].x = 2
	}
	if template > 0 {
		adaptive = adaptive[:1]
	}
	info := binary.BigEndian.AppendUint32(nil, uint32(m.w))
	info = binary.BigEndian.AppendUint32(info, uint32(m.h))
	info = append(info, make([]byte, 11)...)
	region := append([]byte{}, info[:8]...)
	region = append(region, make([]byte, 9)...)
	region = append(region, byte(template<<1))
	for _, o := range adaptive {
		region = append(region, byte(o.x), byte(o.y))
	}
	e := newEncoder()
	e.generic(m, template, adaptive, make([]uint8, 1<<16))
	region = append(region, e.flush()...)
	return append(jbig2Segment(0, 48, info), jbig2Segment(1, 38, region)...)
}

func checkers(w, h int) *bitmap {
	m := newBitmap(w, h)
	for y := range h {
		for x := range w {
			if (x/7+y/5)%2 == 0 || (x*x+y*y)%37 == 0 {
				m.pix[y*w+x] = 1
			}
		}
	}
	return m
}

func jbig2Page(m *bitmap, template int) []byte {
	return page("", "/MediaBox [0 0 80 60] /Contents 7 0 R /Resources << /XObject << /X 6 0 R >> >>",
		stream("/Subtype /Image /Width 80 /Height 60 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode", string(jbig2Picture(m, template))),
		stream("", "80 0 0 60 0 0 cm /X Do"))
}

func TestJBIG2IsReadAndWrittenAsFax(t *testing.T) {
	_, err := exec.LookPath("pdftoppm")
	for template := range 4 {
		m := checkers(80, 60)
		b := jbig2Page(m, template)
		r := must(t, b)
		rows := make([]byte, 10*60)
		for i, v := range m.pix {
			rows[i/8] |= v << (7 - i%8)
		}
		if !bytes.Contains(r.out, fax.Group4(fax.NewTables(), rows, 80, 60)) {
			t.Errorf("template %d: other pixels come out", template)
		}
		if bytes.Contains(r.out, []byte("JBIG2")) {
			t.Errorf("template %d: JBIG2 comes out", template)
		}
		if err != nil {
			t.Log("pdftoppm is not installed: nobody else looked at it")
			continue
		}
		draw := func(b []byte) []byte {
			f := filepath.Join(t.TempDir(), "a.pdf")
			if err := os.WriteFile(f, b, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("pdftoppm", "-gray", f).Output()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if !bytes.Equal(draw(b), draw(r.out)) {
			t.Errorf("template %d: poppler draws something else", template)
		}
	}
}

// FuzzJBIG2 reads what claims to be a picture.
func FuzzJBIG2(f *testing.F) {
	for template := range 4 {
		f.Add(jbig2Picture(checkers(80, 60), template))
	}
	dict := []byte{0, 4, 4, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	f.Add(append(jbig2Segment(0, 48, append(make([]byte, 18), 0)), jbig2Segment(1, 16, dict)...))
	f.Add(append(jbig2Segment(0, 48, append(make([]byte, 18), 0)), jbig2Segment(1, 0, append([]byte{0, 0, 3, 255, 253, 255, 2, 254, 254, 254, 0, 0, 0, 1, 0, 0, 0, 1}, dict...))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzOne(t, picturePage("/Width 80 /Height 60 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode", string(b)))
	})
}

func BenchmarkJBIG2(b *testing.B) {
	m := checkers(2000, 1000)
	data := jbig2Picture(m, 0)
	region := data[11+19+11+17+1+8:]
	b.SetBytes(2000 * 1000 / 8)
	for b.Loop() {
		newArithmetic(region).generic(2000, 1000, 0, false, []offset{{3, -1}, {-3, -1}, {2, -2}, {-2, -2}}, make([]uint8, 1<<16), nil)
	}
}
