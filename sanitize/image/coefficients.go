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
	if codes == nil && !e.asked {
		n := 0
		for i := range c.Planes {
			n += c.Planes[i].Across * c.Planes[i].Down
		}
		e.some = make([]uint64, 0, n)
	}
	var last [3]int
	n := 0
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
						b := (*[64]int16)(p.Data[at:])
						last[i] = e.block(b, e.others(b, n, codes), last[i], t, codes)
						n++
					}
				}
			}
		}
		if e.out.write(); e.out.err != nil || e.enough() {
			return
		}
	}
}

// others says which coefficients of the n-th block are not zero, the first one
// aside. It is asked twice, and looks once unless the picture is a large one.
func (e *encoder) others(b *[64]int16, n int, codes *[4]*[256]code) uint64 {
	if codes != nil && n < len(e.some) {
		return e.some[n]
	}
	some := others(b)
	if codes == nil && !e.asked {
		e.some = append(e.some, some)
	}
	return some
}

func others(b *[64]int16) (some uint64) {
	const low, first = 0x7fff_7fff_7fff_7fff, 0x0001_0001_0001_0001
	for k := 0; k < 64; k += 4 {
		v := uint64(uint16(b[k])) | uint64(uint16(b[k+1]))<<16 | uint64(uint16(b[k+2]))<<32 | uint64(uint16(b[k+3]))<<48
		// The highest bit of each is set where one of its bits is; then the four
		// are moved together.
		v = ((v&low + low) | v) >> 15 & first
		some |= v * (1<<48 | 1<<33 | 1<<18 | 1<<3) >> 48 & 15 << k
	}
	return some &^ 1
}

// block counts the symbols of a block of coefficients in zig-zag order or, with
// codes, writes them, with the DC table t and the AC table after it, and returns its
// DC coefficient.
func (e *encoder) block(b *[64]int16, some uint64, last, t int, codes *[4]*[256]code) int {
	if codes == nil {
		e.count(b, some, last, t)
	} else {
		e.levels(b, some, last, codes[t&2], codes[t&2|1])
	}
	return int(b[0])
}

// count counts the symbols that levels writes.
func (e *encoder) count(b *[64]int16, some uint64, last, t int) {
	dc, ac := &e.counts[t&2], &e.counts[t&2|1]
	_, size := number(int(b[0]) - last)
	dc[size]++
	e.used[t/2] |= some
	if b[0] != 0 {
		e.used[t/2] |= 1
	}
	at := 0
	for ; some != 0; some &= some - 1 {
		k := bits.TrailingZeros64(some) & 63
		run := k - at - 1
		for ; run > 15; run -= 16 {
			ac[0xf0]++
		}
		_, size := number(int(b[k]))
		ac[uint(run)<<4&0xf0|size]++
		at = k
	}
	if at < 63 {
		ac[0]++
	}
}

// levels writes a block (T.81 F.1.2).
func (e *encoder) levels(b *[64]int16, some uint64, last int, dc, ac *[256]code) {
	s := stream{e.rest.bits, e.rest.n, e.out.buf}
	v, size := number(int(b[0]) - last)
	s.emit(dc[size].before(v, size))
	at := 0
	for ; some != 0; some &= some - 1 {
		k := bits.TrailingZeros64(some) & 63
		run := k - at - 1
		for ; run > 15; run -= 16 {
			s.emit(ac[0xf0].before(0, 0))
		}
		v, size := number(int(b[k]))
		s.emit(ac[uint(run)<<4&0xf0|size].before(v, size))
		at = k
	}
	if at < 63 {
		s.emit(ac[0].before(0, 0))
	}
	e.rest, e.out.buf = stream{bits: s.bits, n: s.n}, s.octets
}
