package image

import (
	"fmt"
	"io"
	"math/bits"

	"sekisho/internal/coefficients"
)

// A JPEG picture is a table of coefficients for every block of 8 by 8 samples.
// Where they can be read they are written anew as they are, with code tables and
// headers of our own: the picture keeps every sample, and a second treatment
// finds nothing to change. Nothing of the file is copied; what the codes of the
// standard have no place for is cut to what they have.
//
// Pictures that need their pixels (of other colours, of samplings that the
// encoder does not write, turned so that half a block would stand first) go the
// other way, over pixels.

// keepsCoefficients reports whether the picture's coefficients mean the same in
// the file that the encoder writes.
func (j *segments) keepsCoefficients() bool {
	if j.profile != nil || j.rgb() || j.retabled || j.quant[j.tables[0]] == nil {
		return false
	}
	if j.components == 1 {
		return true
	}
	if j.components != 3 || j.adobe == 0 && !j.jfif || !j.framed(j.width, j.height).Readable() {
		return false
	}
	b, r := j.quant[j.tables[1]], j.quant[j.tables[2]]
	return b != nil && r != nil && *b == *r
}

// framed is the header of a picture of this kind and that size.
func (j *segments) framed(width, height int) coefficients.Frame {
	return coefficients.Frame{Width: width, Height: height, Progressive: j.progressive, Components: j.components, IDs: j.ids, Sampling: j.sampling}
}

// coefficients reads the picture, or says coefficients.ErrOther: one that has to
// go over its pixels.
func (j *segments) coefficients() (*coefficients.Picture, error) {
	b, err := io.ReadAll(j.file())
	if err != nil {
		return nil, fmt.Errorf("read JPEG: %w", err)
	}
	c := coefficients.New(j.framed(j.width, j.height))
	if err := c.Read(b); err != nil {
		return nil, err
	}
	fillUp(c)
	return c, nil
}

// fillUp gives the blocks that fill up the last groups, of which nothing is ever
// seen, the light of their neighbours.
func fillUp(c *coefficients.Picture) {
	for i := range c.Planes {
		p := &c.Planes[i]
		for y := range p.Down {
			x := p.Cols
			if y >= p.Rows {
				x = 0
			}
			for ; x < p.Across; x++ {
				b := p.Data[64*(y*p.Across+x):][:64]
				clear(b)
				b[0] = p.Data[64*(min(y, p.Rows-1)*p.Across+min(x, p.Cols-1))]
			}
		}
	}
}

// put lays the blocks of a smaller picture of the same kind into c, so
// many groups of blocks from the left and from above. What does not fit is left
// out.
func put(c, piece *coefficients.Picture, x, y int) {
	for i := range c.Planes {
		to, from := &c.Planes[i], &piece.Planes[i]
		bx, by := x*to.H, y*to.V
		n := min(from.Across, to.Across-bx)
		for row := range min(from.Down, to.Down-by) {
			copy(to.Data[64*((by+row)*to.Across+bx):][:64*n], from.Data[64*row*from.Across:])
		}
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

// rewrite writes the picture with tables of its own.
func (e *encoder) rewrite(c *coefficients.Picture) error {
	r := raster{width: c.Width, height: c.Height, h: c.H, v: c.V, planes: make([]plane, len(c.Planes))}
	return e.picture(r, func(codes *[4]*[256]code) { e.blocks(c, codes) })
}

// blocks goes through the coefficients in the order of the file.
func (e *encoder) blocks(c *coefficients.Picture, codes *[4]*[256]code) {
	cols, rows := ceil(c.Width, 8*c.Wide), ceil(c.Height, 8*c.High)
	var last [3]int
	for y := range rows {
		for x := range cols {
			for i := range c.Planes {
				p, t := &c.Planes[i], 2
				if i == 0 {
					t = 0
				}
				for by := range p.V {
					for bx := range p.H {
						at := 64 * ((y*p.V+by)*p.Across + x*p.H + bx)
						last[i] = e.levels((*[64]int16)(p.Data[at:]), last[i], t, codes)
					}
				}
			}
		}
		if e.out.write(); e.out.err != nil || e.enough() {
			return
		}
	}
}

// levels writes one block of coefficients in zig-zag order, as block does.
func (e *encoder) levels(b *[64]int16, last, t int, codes *[4]*[256]code) int {
	e.number(t, codes, 0, int(b[0])-last)
	if b[0] != 0 {
		e.used[t/2] |= 1
	}
	var some uint64
	for k := 1; k < 64; k++ {
		if b[k] != 0 {
			some |= 1 << k
		}
	}
	e.used[t/2] |= some
	at := 0
	for ; some != 0; some &= some - 1 {
		k := bits.TrailingZeros64(some)
		run := k - at - 1
		for ; run > 15; run -= 16 {
			e.symbol(t+1, codes, 0xf0)
		}
		e.number(t+1, codes, run, int(b[k]))
		at = k
	}
	if at < 63 {
		e.symbol(t+1, codes, 0)
	}
	return int(b[0])
}
