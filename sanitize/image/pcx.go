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

// paintbrush reads a PCX file: runs of octets, a line of every plane after the
// other. ZSoft, PCX File Format, Technical Reference Manual, revision 5.
type paintbrush struct {
	r                  *bufio.Reader
	version            byte
	packed             bool
	bits, planes, line int // of a sample; of a pixel; octets of one plane's row
	width, height      int
	palette            [48]byte
	run                int // how often the last octet comes again: runs may cross rows
	value              byte
}

// pcxColours are those that a file of version 3, which has no palette, means: the
// sixteen that the cards of its time had.
var pcxColours = [48]byte{
	0, 0, 0, 0, 0, 170, 0, 170, 0, 0, 170, 170, 170, 0, 0, 170, 0, 170, 170, 85, 0, 170, 170, 170,
	85, 85, 85, 85, 85, 255, 85, 255, 85, 85, 255, 255, 255, 85, 85, 255, 85, 255, 255, 255, 85, 255, 255, 255,
}

// readPCX decodes a PCX under the budget.
func readPCX(s *sanitize.Session, in sanitize.Object) (image.Image, error) {
	d := &paintbrush{r: bufio.NewReaderSize(in.Reader(), 64<<10)}
	if err := d.header(); err != nil {
		return nil, err
	}
	if err := s.SpendPixels(d.width, d.height); err != nil {
		return nil, err
	}
	if err := affordable(int64(d.width)*int64(d.height), 4); err != nil {
		return nil, err
	}
	rect := image.Rect(0, 0, d.width, d.height)
	row := make([]byte, d.line*d.planes)
	if d.bits == 8 && d.planes > 1 {
		return d.colours(image.NewNRGBA(rect), row)
	}
	palette, err := d.few(in)
	if err != nil {
		return nil, err
	}
	m := image.NewPaletted(rect, palette)
	for y := range d.height {
		if err := d.read(row); err != nil {
			return nil, malformed("read pcx", err)
		}
		to := m.Pix[y*m.Stride:][:d.width]
		for x := range to {
			for p := range d.planes {
				to[x] |= byte(sample(row[p*d.line:], x, d.bits)) << p
			}
		}
	}
	return m, nil
}

func (d *paintbrush) header() error {
	bad := func(format string, a ...any) error { return malformed("read pcx", fmt.Errorf(format, a...)) }
	var h [128]byte
	if _, err := io.ReadFull(d.r, h[:]); err != nil || h[0] != 10 || h[2] > 1 {
		return bad("no header")
	}
	le := binary.LittleEndian
	d.version, d.packed, d.bits, d.planes, d.line = h[1], h[2] == 1, int(h[3]), int(h[65]), int(le.Uint16(h[66:]))
	d.width, d.height = int(le.Uint16(h[8:]))-int(le.Uint16(h[4:]))+1, int(le.Uint16(h[10:]))-int(le.Uint16(h[6:]))+1
	copy(d.palette[:], h[16:])
	switch d.bits<<8 | d.planes {
	case 0x101, 0x102, 0x103, 0x104, 0x201, 0x401, 0x801, 0x803, 0x804:
	default:
		return fmt.Errorf("PCX of %d planes of %d bits: %w", d.planes, d.bits, sanitize.ErrUnsupported)
	}
	if d.width < 1 || d.height < 1 {
		return bad("%d x %d pixels", d.width, d.height)
	}
	if d.line*8 < d.width*d.bits {
		return bad("rows of %d octets for %d pixels", d.line, d.width)
	}
	return nil
}

// few are the colours of a picture that has a palette.
func (d *paintbrush) few(in sanitize.Object) (color.Palette, error) {
	n := 1 << (d.bits * d.planes)
	rgb := d.palette[:min(3*n, 48)]
	switch {
	case d.bits == 8:
		// Behind the picture, after an octet of twelve. Without it they are greys.
		var b [769]byte
		if in.Size >= 128+769 {
			if _, err := in.ReadAt(b[:], in.Size-769); err != nil && err != io.EOF {
				return nil, fmt.Errorf("read pcx: %w", err)
			}
		}
		if rgb = b[1:]; b[0] != 12 {
			for i := range rgb {
				rgb[i] = byte(i / 3)
			}
		}
	case n == 2 && (d.version < 2 || d.version == 3 || [3]byte(rgb) == [3]byte(rgb[3:])):
		// Palettes of black and white were often left as they were.
		rgb = []byte{0, 0, 0, 255, 255, 255}
	case d.version == 3:
		rgb = pcxColours[:3*n]
	}
	var p color.Palette
	for ; len(rgb) > 0; rgb = rgb[3:] {
		p = append(p, color.RGBA{rgb[0], rgb[1], rgb[2], 255})
	}
	return p, nil
}

// read fills a row.
func (d *paintbrush) read(row []byte) error {
	if !d.packed {
		_, err := io.ReadFull(d.r, row)
		return err
	}
	for i := range row {
		for d.run == 0 {
			c, err := d.r.ReadByte()
			if err != nil {
				return io.ErrUnexpectedEOF
			}
			if d.run, d.value = 1, c; c >= 0xc0 {
				d.run = int(c & 0x3f)
				if d.value, err = d.r.ReadByte(); err != nil {
					return io.ErrUnexpectedEOF
				}
			}
		}
		row[i] = d.value
		d.run--
	}
	return nil
}

// colours reads planes of red, green and blue, and perhaps one of the cover.
func (d *paintbrush) colours(m *image.NRGBA, row []byte) (image.Image, error) {
	covered := false
	for y := range d.height {
		if err := d.read(row); err != nil {
			return nil, malformed("read pcx", err)
		}
		for x := range d.width {
			p := m.Pix[y*m.Stride+4*x:][:4]
			p[0], p[1], p[2], p[3] = row[x], row[d.line+x], row[2*d.line+x], 255
			if d.planes == 4 {
				p[3] = row[3*d.line+x]
			}
			covered = covered || p[3] != 0
		}
	}
	if !covered {
		cover(m)
	}
	return m, nil
}

// cover makes every pixel opaque: where nothing covers anything, the numbers for
// the cover were nobody's.
func cover(m *image.NRGBA) {
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
}
