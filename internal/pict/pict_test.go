package pict

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"testing"
)

// words are numbers of two octets each.
func words(n ...int) []byte {
	var b []byte
	for _, v := range n {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// pict is a picture of calls in a frame of width x height points.
func pict(width, height int, calls ...[]byte) []byte {
	b := words(0, 0, 0, height, width, 0x0011, 0x02FF, 0x0C00)
	b = append(b, make([]byte, 24)...)
	for _, c := range calls {
		if b = append(b, c...); len(b)%2 != 0 {
			b = append(b, 0)
		}
	}
	return append(b, 0, 0xFF)
}

// direct is a bitmap of pixels of their own colour, as large as its frame.
func direct(row, width, height, packing, depth, parts int, data ...byte) []byte {
	b := append(words(0x9A, 0, 0xFF, row|isPixels, 0, 0, height, width, 0, packing), make([]byte, 14)...)
	b = append(b, words(depth, parts)...)
	b = append(b, make([]byte, 14)...)
	return append(append(b, words(0, 0, height, width, 0, 0, height, width, 0)...), data...)
}

// numbered is a bitmap of pixels that are numbers of two colours, red and blue.
func numbered(call, row, width, height, depth int, data ...byte) []byte {
	b := append(words(call, row|isPixels, 0, 0, height, width, 0, 0), make([]byte, 14)...)
	b = append(b, words(depth, 1)...)
	b = append(b, make([]byte, 14)...)
	b = append(b, words(0, 0, 0, 1, 0, 0xFFFF, 0, 0, 1, 0, 0, 0xFFFF)...)
	return append(append(b, words(0, 0, height, width, 0, 0, height, width, 0)...), data...)
}

var (
	red  = color.RGBA{0xFF, 0, 0, 0xFF}
	blue = color.RGBA{0, 0, 0xFF, 0xFF}
)

func TestBitmapsOfEveryKindAreRead(t *testing.T) {
	black := color.RGBA{0, 0, 0, 0xFF}
	for _, c := range []struct {
		name string
		in   []byte
		want []color.RGBA
	}{
		{"16 bits, packed", pict(2, 1, direct(8, 2, 1, 0, 16, 3, 6, 0x01, 0x7C, 0x00, 0x00, 0x1F, 0x80)), []color.RGBA{red, blue}},
		{"16 bits, plain", pict(2, 1, direct(4, 2, 1, 1, 16, 3, 0x7C, 0x00, 0x00, 0x1F)), []color.RGBA{red, blue}},
		{"32 bits in planes", pict(2, 1, direct(8, 2, 1, 4, 32, 3, 7, 5, 0xFF, 0, 0, 0, 0, 0xFF)), []color.RGBA{red, blue}},
		{"32 bits in four planes", pict(2, 1, direct(8, 2, 1, 4, 32, 4, 9, 7, 9, 9, 0xFF, 0, 0, 0, 0, 0xFF)), []color.RGBA{red, blue}},
		{"32 bits, plain", pict(2, 1, direct(8, 2, 1, 1, 32, 3, 9, 0xFF, 0, 0, 9, 0, 0, 0xFF)), []color.RGBA{red, blue}},
		{"32 bits without the first", pict(2, 1, direct(8, 2, 1, 2, 32, 3, 0xFF, 0, 0, 0, 0, 0xFF)), []color.RGBA{red, blue}},
		{"8 bits", pict(2, 1, numbered(0x98, 8, 2, 1, 8, 3, 1, 0, 1, 0x80)), []color.RGBA{red, blue}},
		{"4 bits, not packed", pict(2, 1, numbered(0x98, 2, 2, 1, 4, 0x01, 0)), []color.RGBA{red, blue}},
		{"1 bit without colours", pict(2, 1, append(words(0x90, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0), 0x40, 0)), []color.RGBA{white, black}},
		{"of a shape", pict(2, 1, append(words(0x91, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 10, 0, 0, 1, 2), 0x40, 0)), []color.RGBA{white, black}},
		{"behind much else", pict(2, 1,
			words(0x01, 10, 0, 0, 1, 2), words(0x03, 1), []byte{0, 4, 1}, words(0x22, 0, 0, 1), words(0x20, 0, 0, 1, 1), []byte{0, 0x28, 0, 0, 0, 0, 2, 'a', 'b'}, []byte{0, 0x2B, 1, 1, 1, 'c'},
			words(0x2C, 4, 0, 0), words(0x30, 0, 0, 1, 1), words(0x38), words(0x60, 0, 0, 1, 1, 0, 9), words(0x68, 0, 9), words(0x70, 14, 0, 0, 1, 1, 0, 0), words(0x78), words(0xA0, 0), append(words(0xA1, 0, 3), 1, 2, 3),
			words(0x12, 2, 0, 0, 0, 0, 0, 0, 0), words(0x8200, 0, 2, 0), words(0x0200, 0, 0), direct(4, 2, 1, 1, 16, 3, 0x7C, 0x00, 0x00, 0x1F)), []color.RGBA{red, blue}},
	} {
		m, err := Decode(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Bounds() != image.Rect(0, 0, len(c.want), 1) {
			t.Errorf("%s: %v", c.name, m.Bounds())
			continue
		}
		for x, want := range c.want {
			if got := m.At(x, 0); got != want {
				t.Errorf("%s: pixel %d is %v", c.name, x, got)
			}
		}
	}
}

// TestTheFirstVersionIsRead: its calls have one octet and stand anywhere.
func TestTheFirstVersionIsRead(t *testing.T) {
	b := append(words(0, 0, 0, 1, 2), 0x11, 1, 0x04, 1, 0x90)
	b = append(append(b, words(2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0)...), 0x40, 0, 0xFF)
	if m, err := Decode(b); err != nil || m.At(0, 0) != white || m.At(1, 0) == white {
		t.Errorf("%v, %v", m, err)
	}
}

// TestABitmapStandsWhereItsFrameSaysSo: the right half of the frame, four times as
// fine as that.
func TestABitmapStandsWhereItsFrameSaysSo(t *testing.T) {
	call := direct(16, 4, 4, 1, 16, 3, bytes.Repeat([]byte{0x7C, 0}, 32)...)
	call = append(call[:0:0], call...)
	at := 20 + 14 + 4 + 14 + 8 // where it goes
	copy(call[at:], words(0, 1, 1, 2))
	// Rows of 16 octets for four pixels: what is too much is passed over.
	m, err := Decode(pict(2, 1, call))
	if err != nil {
		t.Fatal(err)
	}
	if m.Bounds() != image.Rect(0, 0, 8, 4) || m.At(3, 2) != white || m.At(4, 2) != red || m.At(7, 3) != red {
		t.Errorf("%v: %v %v %v", m.Bounds(), m.At(3, 2), m.At(4, 2), m.At(7, 3))
	}
}

func TestWhatIsNoPictureIsSaidSo(t *testing.T) {
	good := direct(4, 2, 1, 1, 16, 3, 0x7C, 0x00, 0x00, 0x1F)
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"no frame", pict(0, 1, good), ErrMalformed},
		{"no version", words(0, 0, 0, 1, 2, 0, 0), ErrMalformed},
		{"nothing but lines", pict(2, 1, words(0x20, 0, 0, 1, 1)), ErrNoBitmap},
		{"rows too short", pict(2, 1, direct(2, 2, 1, 1, 16, 3, 0x7C, 0)), ErrMalformed},
		{"rows that are not there", pict(2, 1, direct(4, 2, 900, 1, 16, 3, 0x7C, 0)), ErrMalformed},
		{"more colours than there are", pict(2, 1, append(append(words(0x98, 8|isPixels, 0, 0, 1, 2, 0, 0), make([]byte, 32)...), 0xFF, 0xFF)), ErrMalformed},
		{"many pixels of few octets", pict(2, 1, direct(0x3FFE, 0x1FFF, 4000, 0, 16, 3, make([]byte, 8000)...)), ErrMalformed},
		{"a pattern of thirty thousand rows of nothing", pict(2, 1, words(0x12, 1, 0, 0, 0, 0, 0, 0, 0, 0x7FFF, 1, 0, 0, 0, 0, 0, 0, 0, 0)), ErrMalformed},
		{"a call that ends early", pict(2, 1, words(0x8200, 0x7FFF, 0)), ErrMalformed},
	} {
		if m, err := Decode(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
	}
	// What was read before it broke off is shown.
	if _, err := Decode(pict(2, 1, good, words(0x8200, 0x7FFF, 0))); err != nil {
		t.Error(err)
	}
}

// FuzzDecode: no more pixels than are allowed, and no panic.
func FuzzDecode(f *testing.F) {
	f.Add(pict(2, 1, direct(8, 2, 1, 0, 16, 3, 6, 0x01, 0x7C, 0x00, 0x00, 0x1F, 0x80)))
	f.Add(pict(2, 1, numbered(0x98, 8, 2, 1, 8, 3, 1, 0, 1, 0x80)))
	f.Add(pict(2, 1, append(words(0x91, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 10, 0, 0, 1, 2), 0x40, 0)))
	f.Add(append(words(0, 0, 0, 1, 2), 0x11, 1, 0x04, 1, 0x90))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if s := m.Bounds(); s.Dx()*s.Dy() > maxPixels || s.Empty() {
			t.Fatalf("%v", s)
		}
	})
}
