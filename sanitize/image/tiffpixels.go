package image

import (
	"image"
	"image/color"
)

// canvas is where the pixels of a page go: one of these, by what the page has.
type canvas struct {
	grey  *image.Gray
	deep  *image.Gray16   // grey of sixteen bits
	few   *image.Paletted // of a palette, and nothing shines through
	full  *image.NRGBA
	wide  *image.NRGBA64 // colours of sixteen bits
	lut   []byte         // of the palette
	plane int
}

func (c *canvas) image() image.Image {
	switch {
	case c.grey != nil:
		return c.grey
	case c.deep != nil:
		return c.deep
	case c.few != nil:
		return c.few
	case c.wide != nil:
		return c.wide
	default:
		return c.full
	}
}

// sixteen reports whether the page keeps sixteen bits: not where colours are
// computed from its numbers.
func (p *tiffPage) sixteen() bool {
	return p.bits == 16 && !p.shallow && (p.photometric == tiffRGB || p.grey()) && p.compression != 7
}

// canvas makes room for the pixels.
func (p *tiffPage) canvas() (*canvas, error) {
	r := image.Rect(0, 0, p.width, p.height)
	lut, err := p.palette()
	if err != nil {
		return nil, err
	}
	c := &canvas{lut: lut}
	switch {
	case p.grey() && p.sixteen():
		c.deep = image.NewGray16(r)
	case p.grey():
		c.grey = image.NewGray(r)
	case p.sixteen():
		c.wide = image.NewNRGBA64(r)
	case lut != nil && !p.cover && p.compression != 7:
		colours := make(color.Palette, 1<<p.bits)
		for i := range colours {
			colours[i] = color.RGBA{lut[3*i], lut[3*i+1], lut[3*i+2], 255}
		}
		c.few = image.NewPaletted(r, colours)
	default:
		c.full = image.NewNRGBA(r)
	}
	return c, nil
}

// decode reads the pixels: as many bits as they have, and colours by their
// palette.
func (p *tiffPage) decode() (image.Image, error) {
	c, err := p.canvas()
	if err != nil {
		return nil, err
	}
	planes := 1
	if p.planar {
		planes = p.samples
	}
	for c.plane = range planes {
		for i := range p.down() {
			for j := range p.across() {
				x0, y0 := int(j)*p.pieceWidth, int(i)*p.pieceHeight
				w, h := min(p.pieceWidth, p.width-x0), min(p.pieceHeight, p.height-y0)
				n := int64(c.plane)*p.across()*p.down() + i*p.across() + j
				if p.compression == 7 {
					if err := p.drawn(int(n), c.full, c.grey, x0, y0, w, h); err != nil {
						return nil, err
					}
					continue
				}
				b, stride, err := p.piece(int(n), w, h)
				if err != nil {
					return nil, err
				}
				for y := range h {
					p.row(c, x0, y0+y, w, b[y*stride:])
				}
			}
		}
	}
	switch {
	case c.wide != nil:
		p.finished16(c.wide.Pix)
	case c.full != nil && (p.compression != 7 || p.photometric == tiffCMYK):
		p.finished(c.full.Pix)
	}
	return c.image(), nil
}

// row puts the samples of w pixels from x on into row y.
func (p *tiffPage) row(c *canvas, x, y, w int, row []byte) {
	switch {
	case c.grey != nil:
		p.greys(c.grey.Pix[y*c.grey.Stride+x:][:w], row, c.plane)
	case c.deep != nil:
		p.greys16(c.deep.Pix[y*c.deep.Stride+2*x:][:2*w], row, c.plane)
	case c.few != nil:
		if c.plane > 0 {
			return
		}
		to := c.few.Pix[y*c.few.Stride+x:][:w]
		for i := range to {
			to[i] = byte(p.index(row, i))
		}
	case c.wide != nil:
		p.colours16(c.wide.Pix[y*c.wide.Stride+8*x:][:8*w], row, c.plane)
	default:
		p.colours(c.full.Pix[y*c.full.Stride+4*x:][:4*w], row, c.lut, c.plane)
	}
}

// index is the number of the colour of a pixel.
func (p *tiffPage) index(row []byte, x int) int {
	if p.bits < 8 {
		return sample(row, x, p.bits)
	}
	if p.planar {
		return int(row[x])
	}
	return int(row[x*p.samples])
}

// palette reads the colours of indexed pictures.
func (p *tiffPage) palette() ([]byte, error) {
	if p.photometric != tiffPalette {
		return nil, nil
	}
	v, err := p.numbers(tagColorMap, 3*256)
	if err != nil || len(v) != 3<<p.bits {
		return nil, p.bad("palette of %d numbers", len(v))
	}
	palette := make([]byte, 3*256)
	for i := range 1 << p.bits {
		for c := range 3 {
			palette[3*i+c] = byte(v[c<<p.bits+i] >> 8)
		}
	}
	return palette, nil
}

// undo adds up what is written as differences (TIFF 6.0, section 14).
func (p *tiffPage) undo(b []byte, stride, each int) {
	for ; len(b) >= stride; b = b[stride:] {
		row := b[:stride]
		if p.bits == 8 {
			for i := each; i < len(row); i++ {
				row[i] += row[i-each]
			}
			continue
		}
		for i := 2 * each; i+1 < len(row); i += 2 {
			p.order.PutUint16(row[i:], p.order.Uint16(row[i:])+p.order.Uint16(row[i-2*each:]))
		}
	}
}

// sampling is how much denser luminance is (TIFF 6.0, section 21).
func (p *tiffPage) sampling() (h, v int, err error) {
	s, err := p.numbers(tagYCbCrSampling, 2, 2, 2)
	if err != nil || len(s) != 2 || s[0] != 1 && s[0] != 2 && s[0] != 4 || s[1] != 1 && s[1] != 2 && s[1] != 4 {
		return 0, 0, p.bad("sampling %v", s)
	}
	return int(s[0]), int(s[1]), nil
}

// spread gives each pixel its own samples: they lie in blocks, luminances and
// then the two they share.
func (p *tiffPage) spread(b []byte, w, h, sh, sv int) []byte {
	out := make([]byte, 3*w*h)
	across := (w + sh - 1) / sh
	block := sh*sv + 2
	for y := range h {
		for x := range w {
			q := b[((y/sv)*across+x/sh)*block:]
			o := out[3*(y*w+x):]
			o[0], o[1], o[2] = q[(y%sv)*sh+x%sh], q[sh*sv], q[sh*sv+1]
		}
	}
	return out
}

// at is the sample at i of a row, in eight bits.
func (p *tiffPage) at(row []byte, i int) byte {
	switch {
	case p.bits == 8:
		return row[i]
	case p.bits == 16:
		return byte(p.order.Uint16(row[2*i:]) >> 8)
	default:
		return byte(sample(row, i, p.bits) * 255 / (1<<p.bits - 1))
	}
}

// greys takes the first sample of each pixel.
func (p *tiffPage) greys(to, row []byte, plane int) {
	each := p.samples
	if p.planar {
		each = 1
	}
	if plane > 0 {
		return
	}
	for x := range to {
		to[x] = p.at(row, x*each)
		if p.photometric == tiffWhiteIsZero {
			to[x] = ^to[x]
		}
	}
}

// greys16 is greys for sixteen bits.
func (p *tiffPage) greys16(to, row []byte, plane int) {
	each := p.samples
	if p.planar {
		each = 1
	}
	if plane > 0 {
		return
	}
	for x := range len(to) / 2 {
		v := p.order.Uint16(row[2*x*each:])
		if p.photometric == tiffWhiteIsZero {
			v = ^v
		}
		to[2*x], to[2*x+1] = byte(v>>8), byte(v)
	}
}

// span is how far apart the samples of one kind stand in a row, and which kinds
// it has that are shown.
func (p *tiffPage) span(plane int) (each, first, last int) {
	switch {
	case !p.planar:
		return p.samples, 0, min(p.samples, 4)
	case plane > 3:
		return 1, 0, 0
	default:
		return 1, plane, plane + 1
	}
}

// colours puts the samples of a row where they belong; of planes only one.
// Behind the number of a colour, or behind grey, stands how it covers.
func (p *tiffPage) colours(to, row []byte, palette []byte, plane int) {
	each, first, last := p.span(plane)
	for x := range len(to) / 4 {
		for c := first; c < last; c++ {
			i := x * each
			if !p.planar {
				i += c
			}
			switch {
			case palette == nil:
				to[4*x+c] = p.at(row, i)
			case c == 0:
				copy(to[4*x:4*x+3], palette[3*p.index(row, x):])
			case c == 1:
				to[4*x+3] = p.at(row, i)
			}
		}
	}
}

// colours16 is colours for red, green and blue of sixteen bits.
func (p *tiffPage) colours16(to, row []byte, plane int) {
	each, first, last := p.span(plane)
	for x := range len(to) / 8 {
		for c := first; c < last; c++ {
			i := x * each
			if !p.planar {
				i += c
			}
			v := p.order.Uint16(row[2*i:])
			to[8*x+2*c], to[8*x+2*c+1] = byte(v>>8), byte(v)
		}
	}
}

// finished16 is finished for red, green and blue of sixteen bits.
func (p *tiffPage) finished16(pix []byte) {
	extra, _ := p.numbers(tagExtraSamples, 64) // they were read before
	multiplied := p.cover && extra[0] == 1
	for ; len(pix) >= 8; pix = pix[8:] {
		if !p.cover {
			pix[6], pix[7] = 255, 255
			continue
		}
		if a := int(pix[6])<<8 | int(pix[7]); multiplied && a > 0 && a < 65535 {
			for c := range 3 {
				v := min((int(pix[2*c])<<8|int(pix[2*c+1]))*65535/a, 65535)
				pix[2*c], pix[2*c+1] = byte(v>>8), byte(v)
			}
		}
	}
}

// finished turns samples into colours.
func (p *tiffPage) finished(pix []byte) {
	extra, _ := p.numbers(tagExtraSamples, 64) // they were read before
	multiplied := p.cover && extra[0] == 1
	switch p.photometric {
	case tiffCMYK:
		p.profile.inked(pix)
		return
	case tiffLab:
		for i := 0; i < len(pix); i += 4 {
			pix[i+1], pix[i+2] = pix[i+1]^0x80, pix[i+2]^0x80 // they have a sign
		}
		labToSRGB(pix)
		return
	case tiffYCbCr:
		for i := 0; i < len(pix); i += 4 {
			pix[i], pix[i+1], pix[i+2] = color.YCbCrToRGB(pix[i], pix[i+1], pix[i+2])
		}
	case tiffWhiteIsZero, tiffBlackIsZero:
		for i := 0; i < len(pix); i += 4 {
			v, a := pix[i], pix[i+1]
			if p.photometric == tiffWhiteIsZero {
				v = ^v
			}
			pix[i], pix[i+1], pix[i+2], pix[i+3] = v, v, v, a
		}
	}
	for i := 0; i < len(pix); i += 4 {
		if !p.cover {
			pix[i+3] = 255
			continue
		}
		if a := int(pix[i+3]); multiplied && a > 0 && a < 255 {
			for c := range 3 {
				pix[i+c] = byte(min(int(pix[i+c])*255/a, 255))
			}
		}
	}
}
