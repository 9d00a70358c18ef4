package image

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"

	"sekisho/sanitize"
)

// targa reads a TGA file: palettes, greys and colours, as they are or in runs,
// from any of the four corners. Truevision TGA File Format Specification 2.0.
type targa struct {
	r             *bufio.Reader
	kind          byte // without the bit for runs
	packed        bool
	width, height int
	bits          int  // of a pixel
	cover         bool // whether a pixel says how it covers
	light         bool // and has its colour mixed with black by that
	fromRight     bool
	fromAbove     bool
	first         int // number of the palette's first colour
	palette       color.Palette
	run           int
	again         bool // the run is of one pixel
	pixel         [4]byte
}

// Kinds of pixels.
const (
	tgaPalette = 1
	tgaColours = 2
	tgaGreys   = 3
	tgaRuns    = 8
)

// readTGA decodes a TGA under the budget.
func readTGA(s *sanitize.Session, in sanitize.Object) (image.Image, error) {
	d := &targa{r: bufio.NewReaderSize(in.Reader(), 64<<10)}
	if err := d.header(); err != nil {
		return nil, err
	}
	d.attributes(in)
	if err := s.SpendPixels(d.width, d.height); err != nil {
		return nil, err
	}
	if err := affordable(int64(d.width)*int64(d.height), 4); err != nil {
		return nil, err
	}
	rect := image.Rect(0, 0, d.width, d.height)
	switch {
	case d.kind == tgaPalette && d.bits == 8 && len(d.palette) <= 256:
		m := image.NewPaletted(rect, d.palette)
		return m, d.each(func(at int, p []byte) error {
			i := int(p[0]) - d.first
			if i < 0 || i >= len(d.palette) {
				return fmt.Errorf("colour %d of %d", p[0], len(d.palette))
			}
			m.Pix[at] = byte(i)
			return nil
		})
	case d.kind == tgaGreys && d.bits == 8:
		m := image.NewGray(rect)
		return m, d.each(func(at int, p []byte) error { m.Pix[at] = p[0]; return nil })
	}
	m, covered := image.NewNRGBA(rect), false
	err := d.each(func(at int, p []byte) error {
		to := m.Pix[4*at : 4*at+4]
		switch d.kind {
		case tgaPalette:
			i := int(p[0]) - d.first
			if d.bits == 16 {
				i = int(binary.LittleEndian.Uint16(p)) - d.first
			}
			if i < 0 || i >= len(d.palette) {
				return fmt.Errorf("colour %d of %d", i+d.first, len(d.palette))
			}
			c := color.NRGBAModel.Convert(d.palette[i]).(color.NRGBA)
			to[0], to[1], to[2], to[3] = c.R, c.G, c.B, c.A
		case tgaGreys:
			to[0], to[1], to[2], to[3] = p[0], p[0], p[0], p[1]
		default:
			c := d.colour(p, d.bits)
			to[0], to[1], to[2], to[3] = c.R, c.G, c.B, c.A
		}
		covered = covered || to[3] != 0
		return nil
	})
	if err == nil && !covered {
		cover(m)
	}
	return m, err
}

func (d *targa) header() error {
	bad := func(format string, a ...any) error { return malformed("read tga", fmt.Errorf(format, a...)) }
	var h [18]byte
	if _, err := io.ReadFull(d.r, h[:]); err != nil {
		return bad("no header")
	}
	le := binary.LittleEndian
	d.kind, d.packed, d.bits = h[2]&^tgaRuns, h[2]&tgaRuns != 0, int(h[16])
	d.width, d.height = int(le.Uint16(h[12:])), int(le.Uint16(h[14:]))
	// Two bits of old files are for rows that lie between one another; nobody
	// writes them.
	d.cover, d.fromRight, d.fromAbove = h[17]&15 != 0, h[17]&0x10 != 0, h[17]&0x20 != 0
	fits := map[byte][]int{tgaPalette: {8, 16}, tgaColours: {15, 16, 24, 32}, tgaGreys: {8, 16}}
	ok := false
	for _, n := range fits[d.kind] {
		ok = ok || n == d.bits
	}
	if !ok || h[17]&0xc0 != 0 || h[1] > 1 || d.kind == tgaPalette && h[1] == 0 {
		return fmt.Errorf("TGA of kind %d with %d bits: %w", h[2], d.bits, sanitize.ErrUnsupported)
	}
	if d.width < 1 || d.height < 1 {
		return bad("%d x %d pixels", d.width, d.height)
	}
	if _, err := d.r.Discard(int(h[0])); err != nil {
		return bad("cut short")
	}
	if h[1] == 0 {
		return nil
	}
	d.first = int(le.Uint16(h[3:]))
	n, entry := int(le.Uint16(h[5:])), int(h[7])
	switch entry {
	case 15, 16, 24, 32:
	default:
		return bad("colours of %d bits", entry)
	}
	b := make([]byte, n*((entry+7)/8))
	if _, err := io.ReadFull(d.r, b); err != nil {
		return bad("palette cut short")
	}
	if d.kind != tgaPalette {
		return nil // a palette that programs may have for themselves
	}
	covered := false
	for ; len(b) > 0; b = b[(entry+7)/8:] {
		c := d.colour(b, entry)
		covered = covered || c.A != 0
		d.palette = append(d.palette, c)
	}
	for i, c := range d.palette {
		if c := c.(color.NRGBA); !covered || c.A == 255 {
			d.palette[i] = color.RGBA{c.R, c.G, c.B, 255}
		}
	}
	if n == 0 {
		return bad("no colours")
	}
	return nil
}

// attributes reads what the second version says of the cover, behind the picture:
// whether it is one.
func (d *targa) attributes(in sanitize.Object) {
	var foot [26]byte
	if in.Size < 18+495+26 {
		return
	}
	if n, _ := in.ReadAt(foot[:], in.Size-26); n < 26 || string(foot[8:]) != "TRUEVISION-XFILE.\x00" {
		return
	}
	at := int64(binary.LittleEndian.Uint32(foot[:]))
	var kind [1]byte
	if at < 18 || at+495 > in.Size {
		return
	}
	if n, _ := in.ReadAt(kind[:], at+494); n < 1 {
		return
	}
	switch kind[0] {
	case 0, 1, 2:
		d.cover = false
	case 4:
		d.light = true
	}
}

// colour is a pixel of so many bits: blue, green, red, cover.
func (d *targa) colour(p []byte, bits int) color.NRGBA {
	c := color.NRGBA{A: 255}
	switch bits {
	case 15, 16:
		v := uint32(binary.LittleEndian.Uint16(p))
		c.R, c.G, c.B = masked(v, 0x7c00), masked(v, 0x3e0), masked(v, 0x1f)
		if d.cover && bits == 16 {
			c.A = masked(v, 0x8000)
		}
	default:
		c.R, c.G, c.B = p[2], p[1], p[0]
		if d.cover && bits == 32 {
			c.A = p[3]
		}
	}
	if d.light && c.A > 0 && c.A < 255 {
		return color.NRGBAModel.Convert(color.RGBA{min(c.R, c.A), min(c.G, c.A), min(c.B, c.A), c.A}).(color.NRGBA)
	}
	return c
}

// each gives put every pixel of the file with the place that it has in the
// picture.
func (d *targa) each(put func(at int, p []byte) error) error {
	size := (d.bits + 7) / 8
	for i := range d.height {
		y := d.height - 1 - i
		if d.fromAbove {
			y = i
		}
		for j := range d.width {
			x := j
			if d.fromRight {
				x = d.width - 1 - j
			}
			if err := d.next(size); err != nil {
				return malformed("read tga", err)
			}
			if err := put(y*d.width+x, d.pixel[:size]); err != nil {
				return malformed("read tga", err)
			}
		}
	}
	return nil
}

// next reads a pixel. Runs may cross rows.
func (d *targa) next(size int) error {
	if d.packed {
		if d.run > 0 && d.again {
			d.run--
			return nil
		}
		if d.run == 0 {
			c, err := d.r.ReadByte()
			if err != nil {
				return io.ErrUnexpectedEOF
			}
			d.run, d.again = int(c&0x7f)+1, c&0x80 != 0
		}
		d.run--
	}
	for i := range size {
		c, err := d.r.ReadByte()
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		d.pixel[i] = c
	}
	return nil
}
