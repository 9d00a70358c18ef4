package image

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"
	"math/bits"

	"sekisho/sanitize"
)

// windowsBitmap reads a BMP file, of Windows or OS/2: palettes, 16, 24 and 32
// bits, masks, run lengths, rows from below or from above. [MS-WMF] 2.2.2.3 and
// 2.2.2.9, [MS-RDPEGDI] 3.1.9.
type windowsBitmap struct {
	r             *bufio.Reader
	at            int64 // octets read
	width, height int
	fromAbove     bool
	bits, packing int
	masks         [4]uint32
	palette       color.Palette
}

// Packings of pixels.
const (
	bmpPlain = 0
	bmpRLE8  = 1
	bmpRLE4  = 2
	bmpMasks = 3
	bmpAlpha = 6 // masks with one for the cover
)

func (d *windowsBitmap) take(n int) ([]byte, error) {
	b := make([]byte, n)
	m, err := io.ReadFull(d.r, b)
	d.at += int64(m)
	return b, err
}

// readBMP decodes a BMP under the budget.
func readBMP(s *sanitize.Session, in sanitize.Object) (image.Image, error) {
	d := &windowsBitmap{r: bufio.NewReader(in.Reader())}
	pixels, err := d.header()
	if err != nil {
		return nil, err
	}
	if err := s.SpendPixels(d.width, d.height); err != nil {
		return nil, err
	}
	if err := affordable(int64(d.width)*int64(d.height), 5); err != nil {
		return nil, err
	}
	// QUIRK: files whose pixels are said to begin in the palette or in the masks
	// are read from behind those.
	pixels = max(pixels, d.at)
	if pixels > in.Size {
		return nil, malformed("read bmp", fmt.Errorf("pixels at octet %d", pixels))
	}
	if _, err := io.CopyN(io.Discard, d.r, pixels-d.at); err != nil {
		return nil, malformed("read bmp", err)
	}
	switch d.packing {
	case bmpRLE8, bmpRLE4:
		return d.runs()
	default:
		return d.rows()
	}
}

// header reads up to the pixels, and says where they are.
func (d *windowsBitmap) header() (pixels int64, err error) {
	le := binary.LittleEndian
	bad := func(format string, a ...any) (int64, error) {
		return 0, malformed("read bmp", fmt.Errorf(format, a...))
	}
	h, err := d.take(18)
	if err != nil || string(h[:2]) != "BM" {
		return bad("no header")
	}
	pixels = int64(le.Uint32(h[10:]))
	size := le.Uint32(h[14:])
	if size < 12 || size > 1024 {
		return bad("header of %d octets", size)
	}
	b, err := d.take(int(size) - 4)
	if err != nil {
		return bad("header cut short")
	}
	w, ht, used, entry := int64(0), int64(0), uint32(0), 4
	if size == 12 {
		w, ht, d.bits, entry = int64(le.Uint16(b)), int64(le.Uint16(b[2:])), int(le.Uint16(b[6:])), 3
	} else {
		if len(b) < 12 {
			return bad("header cut short")
		}
		full := append(b, make([]byte, 124)...) // OS/2 writes as much of it as it needs
		w, ht, d.bits = int64(int32(le.Uint32(full))), int64(int32(le.Uint32(full[4:]))), int(le.Uint16(full[10:]))
		d.packing, used = int(le.Uint32(full[12:])), le.Uint32(full[28:])
		switch n := 0; {
		case d.packing != bmpMasks && d.packing != bmpAlpha:
		case size == 64:
			return 0, fmt.Errorf("BMP of OS/2 with packing %d: %w", d.packing, sanitize.ErrUnsupported)
		default:
			if n = 3; d.packing == bmpAlpha || size >= 56 {
				n = 4
			}
			masks := full[36:] // in a longer header, or behind this one
			if size < 52 {
				if masks, err = d.take(4 * n); err != nil {
					return bad("masks cut short")
				}
			}
			for i := range n {
				d.masks[i] = le.Uint32(masks[4*i:])
			}
		}
	}
	if d.fromAbove = ht < 0; d.fromAbove {
		ht = -ht
	}
	if w < 1 || ht < 1 || w > 1<<20 || ht > 1<<20 {
		return bad("%d x %d pixels", w, ht)
	}
	d.width, d.height = int(w), int(ht)
	return pixels, d.shape(pixels, used, entry)
}

// shape reads the palette and sees whether the parts fit together.
func (d *windowsBitmap) shape(pixels int64, used uint32, entry int) error {
	unsupported := fmt.Errorf("BMP of %d bits with packing %d: %w", d.bits, d.packing, sanitize.ErrUnsupported)
	switch {
	case d.packing == bmpRLE8 && d.bits != 8, d.packing == bmpRLE4 && d.bits != 4, d.packing > bmpMasks && d.packing != bmpAlpha:
		return unsupported
	}
	switch d.bits {
	case 1, 2, 4, 8:
		if d.packing == bmpMasks || d.packing == bmpAlpha {
			return unsupported
		}
		n := min(int64(used), 256)
		if n == 0 {
			n = 1 << d.bits
		}
		if pixels > d.at {
			n = min(n, (pixels-d.at)/int64(entry))
		}
		b, err := d.take(int(n) * entry)
		if err != nil {
			return malformed("read bmp", fmt.Errorf("palette cut short"))
		}
		for ; len(b) > 0; b = b[entry:] {
			d.palette = append(d.palette, color.RGBA{b[2], b[1], b[0], 255})
		}
		for len(d.palette) < 1<<d.bits {
			d.palette = append(d.palette, color.RGBA{0, 0, 0, 255})
		}
	case 16:
		if d.packing == bmpPlain {
			d.masks = [4]uint32{0x7c00, 0x03e0, 0x001f}
		}
	case 24:
		if d.packing != bmpPlain {
			return unsupported
		}
	case 32:
		if d.packing == bmpPlain {
			// The fourth octet is nobody's, whatever is in it.
			d.masks = [4]uint32{0xff0000, 0xff00, 0xff}
		}
	default:
		return unsupported
	}
	return nil
}

// row is where the i-th row of the file belongs.
func (d *windowsBitmap) row(i int) int {
	if d.fromAbove {
		return i
	}
	return d.height - 1 - i
}

// rows reads pixels that lie one beside the other.
func (d *windowsBitmap) rows() (image.Image, error) {
	rect := image.Rect(0, 0, d.width, d.height)
	line := make([]byte, (d.width*d.bits+31)/32*4)
	var few *image.Paletted
	var full *image.NRGBA
	if d.palette != nil {
		few = image.NewPaletted(rect, d.palette)
	} else {
		full = image.NewNRGBA(rect)
	}
	covered := false
	for i := range d.height {
		if _, err := io.ReadFull(d.r, line); err != nil {
			return nil, malformed("read bmp", err)
		}
		y := d.row(i)
		if few != nil {
			for x := range d.width {
				few.Pix[y*few.Stride+x] = byte(sample(line, x, d.bits))
			}
			continue
		}
		for x := range d.width {
			p := full.Pix[y*full.Stride+4*x:][:4]
			if d.bits == 24 {
				p[0], p[1], p[2], p[3] = line[3*x+2], line[3*x+1], line[3*x], 255
				continue
			}
			v := uint32(binary.LittleEndian.Uint16(line[x*d.bits/8:]))
			if d.bits == 32 {
				v = binary.LittleEndian.Uint32(line[4*x:])
			}
			for c := range 4 {
				p[c] = masked(v, d.masks[c])
			}
			covered = covered || p[3] != 0
		}
	}
	if full != nil && !covered {
		// No mask for the cover, or nothing covers anything: then all does.
		for i := 3; i < len(full.Pix); i += 4 {
			full.Pix[i] = 255
		}
	}
	if few != nil {
		return few, nil
	}
	return full, nil
}

// masked is the part of v under a mask, in eight bits.
func masked(v, mask uint32) byte {
	if mask == 0 {
		return 0
	}
	most := uint64(mask >> bits.TrailingZeros32(mask))
	return byte(uint64((v&mask)>>bits.TrailingZeros32(mask)) * 255 / most)
}

// runs reads run lengths of four or eight bits: how often, and what; or 0 and
// the end of a row, of all, a leap, or so many as they are.
func (d *windowsBitmap) runs() (image.Image, error) {
	m := image.NewPaletted(image.Rect(0, 0, d.width, d.height), d.palette)
	x, i := 0, 0
	put := func(v byte) {
		if x < d.width && i < d.height {
			m.Pix[d.row(i)*m.Stride+x] = v
		}
		x++
	}
	// Half octets stand in one, the upper first.
	value := func(b byte, k int) byte {
		if d.bits == 8 {
			return b
		}
		return b >> (4 * (1 - k%2)) & 15
	}
	for i < d.height {
		b, err := d.take(2)
		if err != nil {
			return nil, malformed("read bmp", err)
		}
		switch n := int(b[1]); {
		case b[0] > 0:
			for k := range int(b[0]) {
				put(value(b[1], k))
			}
		case n == 0:
			x, i = 0, i+1
		case n == 1:
			return m, nil
		case n == 2:
			if b, err = d.take(2); err != nil {
				return nil, malformed("read bmp", err)
			}
			x, i = x+int(b[0]), i+int(b[1])
		default:
			size := (n*d.bits + 7) / 8
			if b, err = d.take(size + size%2); err != nil {
				return nil, malformed("read bmp", err)
			}
			for k := range n {
				put(value(b[k*d.bits/8], k))
			}
		}
		// A row that never ends is none.
		if x > 2*d.width+1<<16 {
			return nil, malformed("read bmp", fmt.Errorf("row of more than %d pixels", x))
		}
	}
	return m, nil
}
