package metafile

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// emfRecord makes one record; the body is padded to four bytes.
func emfRecord(t uint32, body ...byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := binary.LittleEndian.AppendUint32(nil, t)
	b = binary.LittleEndian.AppendUint32(b, uint32(8+len(body)))
	return append(b, body...)
}

func emf(records ...[]byte) []byte {
	h := make([]byte, 108)
	binary.LittleEndian.PutUint32(h, 1)
	binary.LittleEndian.PutUint32(h[4:], 108)
	copy(h[40:], " EMF")
	for _, r := range records {
		h = append(h, r...)
	}
	return append(h, emfRecord(14, 0, 0, 0, 0, 16, 0, 0, 0, 20, 0, 0, 0)...)
}

func comment(kind string, body ...byte) []byte {
	data := append([]byte(kind), body...)
	return emfRecord(70, append(binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data...)...)
}

func wmfRecord(t uint16, body ...byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(3+(len(body)+1)/2))
	b = binary.LittleEndian.AppendUint16(b, t)
	b = append(b, body...)
	if len(body)%2 != 0 {
		b = append(b, 0)
	}
	return b
}

func wmf(records ...[]byte) []byte {
	h := make([]byte, 18)
	binary.LittleEndian.PutUint16(h, 1)
	binary.LittleEndian.PutUint16(h[2:], 9)
	binary.LittleEndian.PutUint16(h[4:], 0x300)
	for _, r := range records {
		h = append(h, r...)
	}
	return append(h, 3, 0, 0, 0, 0, 0)
}

func TestMetafilesKeepOnlyWhatDraws(t *testing.T) {
	lineTo := emfRecord(54, 1, 0, 0, 0, 1, 0, 0, 0)
	plus := comment("EMF+", 0x02, 0x40, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0)
	for _, c := range []struct {
		name     string
		in, want []byte
		f        func([]byte) ([]byte, error)
	}{
		{"drawing", emf(lineTo), emf(lineTo), RewriteEMF},
		{"escape", emf(lineTo, emfRecord(106, 9, 0, 0, 0)), emf(lineTo), RewriteEMF},
		{"OpenGL", emf(emfRecord(102, 1, 2, 3, 4), lineTo), emf(lineTo), RewriteEMF},
		{"colour profile by path", emf(emfRecord(122, 1, 2, 3, 4), lineTo), emf(lineTo), RewriteEMF},
		{"unknown record", emf(emfRecord(9999), lineTo), emf(lineTo), RewriteEMF},
		{"EMF+", emf(plus, lineTo), emf(plus, lineTo), RewriteEMF},
		{"EMF+ comment", emf(comment("EMF+", 0x03, 0x40, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0), lineTo), emf(lineTo), RewriteEMF},
		{"other formats", emf(comment("GDIC", 4, 0, 0, 0x40), lineTo), emf(lineTo), RewriteEMF},
		{"private comment", emf(comment("MARK"), lineTo), emf(lineTo), RewriteEMF},
		{"points beyond the record", emf(emfRecord(4, append(make([]byte, 16), 0xFF, 0xFF, 0, 0)...), lineTo), emf(lineTo), RewriteEMF},
		{"bytes behind", append(emf(lineTo), "PK\x03\x04"...), emf(lineTo), RewriteEMF},
		{"WMF drawing", wmf(wmfRecord(0x0213, 1, 0, 1, 0)), wmf(wmfRecord(0x0213, 1, 0, 1, 0)), RewriteWMF},
		{"WMF escape", wmf(wmfRecord(0x0626, 9, 0, 4, 0, 1, 2, 3, 4), wmfRecord(0x0213, 1, 0, 1, 0)), wmf(wmfRecord(0x0213, 1, 0, 1, 0)), RewriteWMF},
		{"WMF bytes behind", append(wmf(), "MZ"...), wmf(), RewriteWMF},
	} {
		got, err := c.f(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want, err := c.f(c.want) // the headers count what is in them
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x\n%x", c.name, got, want)
		}
		again, err := c.f(got)
		if err != nil || !bytes.Equal(got, again) {
			t.Errorf("%s: changes once more, %v", c.name, err)
		}
	}
}

func TestBrokenMetafilesAreRefused(t *testing.T) {
	good := emf(emfRecord(54, 1, 0, 0, 0, 1, 0, 0, 0))
	for i := range len(good) - 1 {
		if i >= 88 {
			if _, err := RewriteEMF(good[:i]); err == nil {
				t.Errorf("cut at %d is taken", i)
			}
		}
	}
	endless := emf(emfRecord(54))
	binary.LittleEndian.PutUint32(endless[108+4:], 0)
	if _, err := RewriteEMF(endless); err == nil {
		t.Error("a record of no bytes is taken")
	}
	short := wmf(wmfRecord(0x0213, 1, 0, 1, 0))
	binary.LittleEndian.PutUint32(short[18:], 0xFFFFFFFF)
	if _, err := RewriteWMF(short); err == nil {
		t.Error("a record beyond the file is taken")
	}
}

func FuzzMetafile(f *testing.F) {
	f.Add(emf(emfRecord(54, 1, 0, 0, 0, 1, 0, 0, 0), comment("EMF+", 0x02, 0x40, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0)))
	f.Add(wmf(wmfRecord(0x0626, 9, 0, 4, 0, 1, 2, 3, 4), wmfRecord(0x0213, 1, 0, 1, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range []struct {
			is func([]byte) bool
			f  func([]byte) ([]byte, error)
		}{{IsEMF, RewriteEMF}, {IsWMF, RewriteWMF}} {
			if !k.is(b) {
				continue
			}
			out, err := k.f(b)
			if err != nil {
				continue
			}
			if !k.is(out) || len(out) > len(b)+20 {
				t.Fatalf("%d bytes became %d of no kind", len(b), len(out))
			}
			again, err := k.f(out)
			if err != nil || !bytes.Equal(out, again) {
				t.Fatalf("changes once more: %v", err)
			}
		}
	})
}
