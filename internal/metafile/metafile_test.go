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
			if _, err := k.f(Drawable(out)); err != nil {
				t.Fatalf("what is drawn of it is none: %v", err)
			}
		}
	})
}

// plus is a record of EMF+.
func plus(t, flags uint16, data ...byte) []byte {
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, t), flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(12+len(data)))
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
}

// plusPiece is a piece of an object of which more follows; total is before the
// length of the piece or behind it.
func plusPiece(flags uint16, total int, first bool, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0x08, 0x40}, flags|0x8000)
	b = binary.LittleEndian.AppendUint32(b, uint32(16+len(data)))
	if first {
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, uint32(total)), uint32(len(data)))
	} else {
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, uint32(len(data)+4)), uint32(total))
	}
	return append(b, data...)
}

// picture is a picture of EMF+ of some kind.
func picture(kind byte, n int) []byte {
	return append([]byte{1, 0x10, 0xC0, 0xDB, kind, 0, 0, 0}, bytes.Repeat([]byte{7}, n)...)
}

func TestPicturesOfEMFPlusAreBitmaps(t *testing.T) {
	const image, brush, pen, id = 5 << 8, 1 << 8, 2 << 8, 3
	long, metafile := picture(1, 32), picture(2, 32)
	version := []byte{1, 0x10, 0xC0, 0xDB}
	texture := func(p []byte) []byte {
		return append(append(append([]byte{}, version...), 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0), append(make([]byte, 24), p...)...)
	}
	penOf := func(b []byte) []byte {
		// It has a line of two dashes.
		return append(append(append([]byte{}, version...), 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3F, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), b...)
	}
	for _, c := range []struct {
		name string
		in   [][]byte // one comment each
		keep []bool
	}{
		{"bitmap", [][]byte{plus(0x4008, image|id, long...)}, []bool{true}},
		{"metafile", [][]byte{plus(0x4008, image|id, metafile...)}, []bool{false}},
		{"bitmap in pieces", [][]byte{plusPiece(image|id, 40, true, long[:16]...), plusPiece(image|id, 40, true, long[16:32]...), plus(0x4008, image|id, long[32:]...)}, []bool{true, true, true}},
		{"bitmap in pieces, lengths the other way", [][]byte{plusPiece(image|id, 40, false, long[:16]...), plus(0x4008, image|id, long[16:]...)}, []bool{true, true}},
		{"metafile in pieces", [][]byte{plusPiece(image|id, 40, true, metafile[:16]...), plusPiece(image|id, 40, true, metafile[16:32]...), plus(0x4008, image|id, metafile[32:]...)}, []bool{false, false, false}},
		{"metafile that stands where the rest of a bitmap should", [][]byte{plusPiece(image|id, 99, true, long[:16]...), plus(0x4008, image|id, metafile...)}, []bool{true, false}},
		{"metafile behind all of a bitmap", [][]byte{plusPiece(image|id, 16, true, long[:16]...), plus(0x4008, image|id, metafile...)}, []bool{false, false}},
		{"metafile behind pieces of another object", [][]byte{plusPiece(image|id, 64, true, long[:16]...), plus(0x4008, image|9, metafile...)}, []bool{true, false}},
		{"piece of no length that fits", [][]byte{plusPiece(image|id, 7, true, append(long[:16:16], 0, 0, 0, 0, 0, 0, 0, 0)...)[:32]}, []bool{false}},
		{"brush of a bitmap", [][]byte{plus(0x4008, brush|id, texture(long)...)}, []bool{true}},
		{"brush of a metafile", [][]byte{plus(0x4008, brush|id, texture(metafile)...)}, []bool{false}},
		{"pen", [][]byte{plus(0x4008, pen|id, penOf(append(version[:4:4], make([]byte, 8)...))...)}, []bool{true}},
		{"pen of a metafile", [][]byte{plus(0x4008, pen|id, penOf(texture(metafile))...)}, []bool{false}},
		{"pen cut short", [][]byte{plus(0x4008, pen|id, penOf(nil)...)}, []bool{false}},
	} {
		var in, want [][]byte
		for i, b := range c.in {
			in = append(in, comment("EMF+", b...))
			if c.keep[i] {
				want = append(want, comment("EMF+", b...))
			}
		}
		got, err := RewriteEMF(emf(in...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		// Only the list of records is compared: the header counts them.
		if all := emf(want...); !bytes.Equal(got[108:], all[108:]) {
			t.Errorf("%s:\n%x\n%x", c.name, got[108:], all[108:])
		}
	}
}

func TestCountsInRecordsOfWMFFit(t *testing.T) {
	dib := func(width, height, bits byte, pixels int) []byte {
		h := make([]byte, 40)
		h[0], h[4], h[8], h[12], h[14] = 40, width, height, 1, bits
		return append(h, make([]byte, pixels)...)
	}
	line := wmfRecord(0x0213, 1, 0, 1, 0)
	for _, c := range []struct {
		name string
		in   []byte
		keep bool
	}{
		{"rectangle", wmfRecord(0x041B, 8, 0, 8, 0, 0, 0, 0, 0), true},
		{"pixel", wmfRecord(0x041F, 0, 0, 0, 0, 1, 0, 1, 0), true},
		{"rectangle of three numbers", wmfRecord(0x041B, 8, 0, 8, 0, 0, 0), false},
		{"polygon", wmfRecord(0x0324, append([]byte{2, 0}, make([]byte, 8)...)...), true},
		{"polygon of more points", wmfRecord(0x0324, append([]byte{3, 0}, make([]byte, 8)...)...), false},
		{"polygons", wmfRecord(0x0538, append([]byte{2, 0, 1, 0, 1, 0}, make([]byte, 8)...)...), true},
		{"polygons of more points", wmfRecord(0x0538, append([]byte{2, 0, 1, 0, 2, 0}, make([]byte, 8)...)...), false},
		{"polygons of more polygons", wmfRecord(0x0538, 0xFF, 0xFF, 1, 0), false},
		{"text", wmfRecord(0x0521, 3, 0, 'a', 'b', 'c', 0, 1, 0, 1, 0), true},
		{"longer text", wmfRecord(0x0521, 9, 0, 'a', 'b', 'c', 0, 1, 0, 1, 0), false},
		{"text with a frame", wmfRecord(0x0A32, append([]byte{0, 0, 0, 0, 2, 0, 4, 0}, make([]byte, 10)...)...), true},
		{"text without its frame", wmfRecord(0x0A32, append([]byte{0, 0, 0, 0, 2, 0, 4, 0}, make([]byte, 8)...)...), false},
		{"bitmap", wmfRecord(0x0F43, append(make([]byte, 22), dib(4, 2, 24, 24)...)...), true},
		{"bitmap of more lines", wmfRecord(0x0F43, append(make([]byte, 22), dib(4, 3, 24, 24)...)...), false},
		{"bitmap without its colours", wmfRecord(0x0B41, append(make([]byte, 20), dib(4, 2, 8, 24)...)...), false},
		{"blit of nothing", wmfRecord(0x0940, make([]byte, 18)...), true},
		{"settings of a palette", wmfRecord(0x0037, 0, 0, 9, 0, 0, 0, 0, 0), false},
	} {
		want := wmf(line)
		if c.keep {
			want = wmf(c.in, line)
		}
		got, err := RewriteWMF(wmf(c.in, line))
		if err != nil || !bytes.Equal(got[18:], want[18:]) {
			t.Errorf("%s: %v\n%x\n%x", c.name, err, got[18:], want[18:])
		}
	}
}

// TestObjectsThatMayNotStayLeaveTheirPlace: those behind are known by it.
func TestObjectsThatMayNotStayLeaveTheirPlace(t *testing.T) {
	selected := wmfRecord(0x012D, 1, 0)
	got, err := RewriteWMF(wmf(wmfRecord(0x00F7, 0, 3, 99, 0), selected))
	if want := wmf(nothing, selected); err != nil || !bytes.Equal(got[18:], want[18:]) {
		t.Errorf("%v\n%x\n%x", err, got, want)
	}
}
