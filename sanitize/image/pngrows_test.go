package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"

	"sekisho/sanitize"
)

// rowsOf writes a PNG with these filtered rows, whatever they are.
func rowsOf(t testing.TB, w, h int, depth, colour byte, extra []byte, rows []byte) []byte {
	t.Helper()
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	var z bytes.Buffer
	p := zlib.NewWriter(&z)
	if _, err := p.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	b := append([]byte(pngMagic), chunk("IHDR", append(head, depth, colour, 0, 0, 0))...)
	b = append(append(b, extra...), chunk("IDAT", z.Bytes()[:z.Len()/2])...)
	return append(append(b, chunk("IDAT", z.Bytes()[z.Len()/2:])...), chunk("IEND", nil)...)
}

// rowsDirectly treats b by its rows and nothing else.
func rowsDirectly(t testing.TB, b []byte) ([]byte, *image.Gray, error) {
	t.Helper()
	in := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
	p, err := walkPNG(in)
	if err != nil {
		return nil, nil, err
	}
	return p.rows(in, true)
}

// TestEveryKindOfRowIsWrittenAsItIs makes pictures of every depth and colour
// type with every filter, and compares them with the standard library.
func TestEveryKindOfRowIsWrittenAsItIs(t *testing.T) {
	const w, h = 37, 23
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		depth, colour byte
		bits          int
	}{{1, 0, 1}, {2, 0, 2}, {4, 0, 4}, {8, 0, 8}, {16, 0, 16}, {8, 2, 24}, {16, 2, 48}, {1, 3, 1}, {2, 3, 2}, {4, 3, 4}, {8, 3, 8}, {8, 4, 16}, {16, 4, 32}, {8, 6, 32}, {16, 6, 64}} {
		var rows, extra []byte
		for y := range h {
			rows = append(rows, byte(y%5))
			for range (w*c.bits + 7) / 8 {
				rows = append(rows, byte(r.IntN(40)))
			}
			if c.bits < 8 { // unfiltered, so that the bits of no pixel are none
				rows[len(rows)-1-(w*c.bits+7)/8] = 0
				rows[len(rows)-1] &= 0xff << (8 - w*c.bits%8)
			}
		}
		switch c.colour {
		case 3:
			extra = append(chunk("PLTE", bytes.Repeat([]byte{10, 200, 30, 40, 50, 60}, 1<<c.depth/2)), chunk("tRNS", []byte{0, 100})...)
		case 0:
			extra = chunk("tRNS", []byte{0, 3 & (1<<c.depth - 1)})
		case 2:
			extra = chunk("tRNS", make([]byte, 6))
		}
		in := rowsOf(t, w, h, c.depth, c.colour, extra, rows)
		out, shown, err := rowsDirectly(t, in)
		if err != nil {
			t.Errorf("depth %d, colour %d: %v", c.depth, c.colour, err)
			continue
		}
		want, got := decodeAs(t, in), decodeAs(t, out)
		for y := range h {
			for x := range w {
				if got.At(x, y) != want.At(x, y) {
					t.Fatalf("depth %d, colour %d: pixel %d,%d is %v, want %v", c.depth, c.colour, x, y, got.At(x, y), want.At(x, y))
				}
				n := color.NRGBAModel.Convert(want.At(x, y)).(color.NRGBA)
				v := (int(n.R)*77+int(n.G)*150+int(n.B)*29)>>8*int(n.A)/255 + 255 - int(n.A)
				if keyed := len(extra) > 0 && c.colour != 3; !keyed && (int(shown.GrayAt(x, y).Y) > v+2 || int(shown.GrayAt(x, y).Y) < v-2) {
					t.Fatalf("depth %d, colour %d: %d,%d is shown as %v, want %d", c.depth, c.colour, x, y, shown.GrayAt(x, y).Y, v)
				}
			}
		}
	}
}

func TestOddRowsAreForTheDecoder(t *testing.T) {
	row := []byte{0, 0x12, 0x01}
	four := chunk("PLTE", make([]byte, 9))
	for name, b := range map[string][]byte{
		"a filter that is none":     rowsOf(t, 2, 1, 8, 0, nil, []byte{5, 1, 2}),
		"too few rows":              rowsOf(t, 2, 2, 8, 0, nil, row),
		"too many rows":             rowsOf(t, 2, 1, 8, 0, nil, append(row, row...)),
		"an index without a colour": rowsOf(t, 4, 1, 4, 3, four, []byte{0, 0x12, 0x03}),
		"no palette":                rowsOf(t, 2, 1, 8, 3, nil, row),
		"palette behind its cover":  rowsOf(t, 2, 1, 8, 3, append(chunk("tRNS", []byte{1}), four...), []byte{0, 1, 2}),
		"two palettes":              rowsOf(t, 2, 1, 8, 3, append(four, four...), []byte{0, 1, 2}),
		"a depth that is none":      rowsOf(t, 2, 1, 3, 0, nil, row),
		"a sum that is wrong": func() []byte {
			b := rowsOf(t, 2, 1, 8, 0, nil, row)
			b[bytes.Index(b, []byte("IDAT"))+5] ^= 1
			return b
		}(),
	} {
		if _, _, err := rowsDirectly(t, b); err == nil {
			t.Errorf("%s: written as it is", name)
		}
	}
	// All indexes have colours: then it goes.
	if _, _, err := rowsDirectly(t, rowsOf(t, 4, 1, 4, 3, four, []byte{0, 0x12, 0x02})); err != nil {
		t.Errorf("a short palette: %v", err)
	}
}

func TestPicturesThatAreHardlyPackedArePackedBetter(t *testing.T) {
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, onlyStripes()); err != nil {
		t.Fatal(err)
	}
	out, _, err := run(t, sanitize.KindPNG, "2", b.Bytes())
	if err != nil || len(out) > b.Len()/10 {
		t.Errorf("%d octets became %d: %v", b.Len(), len(out), err)
	}
	if again, _, err := run(t, sanitize.KindPNG, "2", out); err != nil || !bytes.Equal(again, out) {
		t.Errorf("a second pass changes it: %v", err)
	}
}

func onlyStripes() image.Image {
	m := image.NewGray(image.Rect(0, 0, 300, 300))
	for i := range m.Pix {
		m.Pix[i] = uint8(i / 300)
	}
	return m
}
