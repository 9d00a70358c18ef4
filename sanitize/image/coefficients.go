package image

import (
	"errors"
	"fmt"
	"image"
	"io"
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

// errPixels says that a picture has to go over its pixels.
var errPixels = errors.New("coefficients cannot be kept")

// coefficients are those of a whole picture, as they are in a file.
type coefficients struct {
	width, height int
	h, v          int // sampling of the first component; the others are 1 by 1
	progressive   bool
	comps         []component
	ids           [4]byte
	high          int // the largest vertical sampling
	wide          int

	dc, ac  [4]*lookup
	restart int

	in bitReader
	// Of the scan that is being read.
	from, to  int // of the coefficients in it
	prec, low uint
	eobs      int // blocks that have ended before they began
}

// component is one of the planes.
type component struct {
	h, v         int
	cols, rows   int // blocks that hold samples
	across, down int // with those that fill up the last ones
	data         []int16
	dc, ac       *lookup
	last         int
	seen         bool
}

// What the codes of baseline pictures have a place for. T.81 F.1.2.1: a
// difference of DC coefficients has 11 bits, so they reach from -1024 to 1023;
// F.1.2.2: others have 10 and a sign.
const (
	maxDC = 1023
	maxAC = 1023
)

// keepsCoefficients reports whether the picture's coefficients mean the same in
// the file that the encoder writes.
func (j *segments) keepsCoefficients() bool {
	if j.profile != nil || j.rgb() || j.retabled || j.quant[j.tables[0]] == nil {
		return false
	}
	if j.components == 1 {
		return true
	}
	h, v := j.sampling[0]>>4, j.sampling[0]&15
	if j.components != 3 || j.adobe == 0 && !j.jfif || h != 1 && h != 2 && h != 4 || v != 1 && v != 2 || j.sampling[1] != 0x11 || j.sampling[2] != 0x11 {
		return false
	}
	b, r := j.quant[j.tables[1]], j.quant[j.tables[2]]
	return b != nil && r != nil && *b == *r
}

// coefficients reads the picture, or says errPixels.
func (j *segments) coefficients() (*coefficients, error) {
	b, err := io.ReadAll(j.file())
	if err != nil {
		return nil, fmt.Errorf("read JPEG: %w", err)
	}
	c := j.empty(j.width, j.height)
	if err := c.read(b); err != nil {
		return nil, err
	}
	for i := range c.comps {
		if !c.comps[i].seen {
			return nil, errPixels
		}
		if !c.progressive {
			continue
		}
		// Bit by bit they may have come to more than a baseline picture has codes for.
		for k, v := range c.comps[i].data {
			if k&63 == 0 {
				c.comps[i].data[k] = int16(clamp(int(v), maxDC))
			} else if v > maxAC || v < -maxAC {
				c.comps[i].data[k] = max(min(v, maxAC), -maxAC)
			}
		}
	}
	return c, nil
}

// empty is room for a picture of this kind and that size.
func (j *segments) empty(width, height int) *coefficients {
	c := &coefficients{width: width, height: height, h: 1, v: 1, progressive: j.progressive, ids: j.ids, wide: 1, high: 1}
	if j.components > 1 {
		c.h, c.v = int(j.sampling[0]>>4), int(j.sampling[0]&15)
		c.wide, c.high = c.h, c.v
	}
	for i := range j.components {
		p := component{h: 1, v: 1}
		if i == 0 {
			p.h, p.v = c.h, c.v
		}
		c.room(&p)
		c.comps = append(c.comps, p)
	}
	return c
}

// room makes room for the blocks of a component of this sampling.
func (c *coefficients) room(p *component) {
	p.cols, p.rows = (ceil(c.width*p.h, c.wide)+7)/8, (ceil(c.height*p.v, c.high)+7)/8
	p.across, p.down = ceil(c.width, 8*c.wide)*p.h, ceil(c.height, 8*c.high)*p.v
	p.data = make([]int16, 64*p.across*p.down)
}

// put lays the blocks of a smaller picture of the same kind into this one, so
// many groups of blocks from the left and from above. What does not fit is left
// out.
func (c *coefficients) put(piece *coefficients, x, y int) {
	for i := range c.comps {
		to, from := &c.comps[i], &piece.comps[i]
		bx, by := x*to.h, y*to.v
		n := min(from.across, to.across-bx)
		for row := range min(from.down, to.down-by) {
			copy(to.data[64*((by+row)*to.across+bx):][:64*n], from.data[64*row*from.across:])
		}
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

// read goes through the segments, which walkJPEG has found to be whole.
func (c *coefficients) read(b []byte) error {
	if len(b) < 2 {
		return errPixels
	}
	for b = b[2:]; len(b) >= 4; {
		m := b[1]
		if b[0] != 0xff {
			return errPixels
		}
		switch {
		case m == 0xff: // fill
			b = b[1:]
			continue
		case m == 0xd9:
			return nil
		case m == 0x01 || m >= 0xd0 && m <= 0xd8:
			return errPixels
		}
		n := 2 + int(b[2])<<8 + int(b[3])
		if n < 4 || n > len(b) {
			return errPixels
		}
		body := b[4:n]
		b = b[n:]
		switch m {
		case 0xc4:
			if !c.tables(body) {
				return errPixels
			}
		case 0xdd:
			if len(body) != 2 {
				return errPixels
			}
			c.restart = int(body[0])<<8 | int(body[1])
		case 0xc0, 0xc1, 0xc2:
			if body[0] != 8 {
				return errPixels // samples of 12 bits
			}
		case 0xda:
			c.in = bitReader{b: b}
			if err := c.scan(body); err != nil {
				return err
			}
			b = b[c.in.end():]
		}
	}
	return nil
}

// scan reads one scan. T.81 B.2.3, F.2, G.2.
func (c *coefficients) scan(head []byte) error {
	if len(head) < 1 || head[0] < 1 || int(head[0]) > len(c.comps) || len(head) != 4+2*int(head[0]) {
		return errPixels
	}
	n := int(head[0])
	tail := head[1+2*n:]
	c.from, c.to, c.prec, c.low = int(tail[0]), int(tail[1]), uint(tail[2]>>4), uint(tail[2]&15)
	switch {
	case !c.progressive && (c.from != 0 || c.to != 63 || c.prec != 0 || c.low != 0),
		c.progressive && (c.to > 63 || c.from > c.to || c.from == 0 && c.to != 0 || c.from > 0 && n > 1 || c.low > 13 || c.prec != 0 && c.prec != c.low+1):
		return errPixels
	}
	var in []*component
	for i := range n {
		id, t := head[1+2*i], head[2+2*i]
		var p *component
		for k := range c.comps {
			if c.ids[k] == id && p == nil {
				p = &c.comps[k]
			}
		}
		if p == nil || t>>4 > 3 || t&15 > 3 {
			return errPixels
		}
		for _, q := range in {
			if p == q {
				return errPixels
			}
		}
		if !c.progressive && p.seen {
			return errPixels // a second picture over the first
		}
		p.dc, p.ac, p.seen = c.dc[t>>4], c.ac[t&15], true
		if (c.from == 0 && c.prec == 0 && p.dc == nil) || (c.to > 0 && p.ac == nil) {
			return errPixels
		}
		in = append(in, p)
	}
	cols, rows := ceil(c.width, 8*c.wide), ceil(c.height, 8*c.high)
	if n == 1 { // A.2.2: only the blocks that hold samples
		cols, rows = in[0].cols, in[0].rows
	}
	units, restarts := 0, 0
	c.eobs = 0
	for _, p := range in {
		p.last = 0
	}
	for y := range rows {
		for x := range cols {
			if c.restart > 0 && units == c.restart {
				if !c.in.again(restarts) {
					return errPixels
				}
				units, c.eobs = 0, 0
				restarts++
				for _, p := range in {
					p.last = 0
				}
			}
			units++
			for _, p := range in {
				h, v := p.h, p.v
				if n == 1 {
					h, v = 1, 1
				}
				for by := range v {
					for bx := range h {
						at := 64 * ((y*v+by)*p.across + x*h + bx)
						if !c.block(p, (*[64]int16)(p.data[at:])) {
							return errPixels
						}
					}
				}
			}
		}
		if !c.in.whole() {
			return errPixels
		}
	}
	return nil
}

func (c *coefficients) block(p *component, b *[64]int16) bool {
	switch {
	case !c.progressive:
		return c.sequential(p, b)
	case c.from == 0 && c.prec == 0:
		n := c.in.symbol(p.dc)
		if n < 0 || n > 11 {
			return false
		}
		p.last = clamp(p.last+c.in.signed(uint(n)), 1<<15)
		b[0] = int16(clamp(p.last<<c.low, maxDC))
	case c.from == 0:
		if c.in.bit() {
			b[0] |= 1 << c.low
		}
	case c.prec == 0:
		return c.first(p, b)
	default:
		return c.refine(p, b)
	}
	return true
}

func clamp(v, most int) int { return min(max(v, -most-1), most) }

// sequential reads a block of a baseline picture. F.2.2.
func (c *coefficients) sequential(p *component, b *[64]int16) bool {
	n := c.in.symbol(p.dc)
	if n < 0 || n > 11 {
		return false
	}
	p.last = clamp(p.last+c.in.signed(uint(n)), 1<<15)
	b[0] = int16(clamp(p.last, maxDC))
	for k := 1; k < 64; k++ {
		s := c.in.symbol(p.ac)
		if s < 0 {
			return false
		}
		if n := uint(s & 15); n != 0 {
			if k += s >> 4; k > 63 || n > 15 {
				return false
			}
			b[k] = int16(min(max(c.in.signed(n), -maxAC), maxAC))
			continue
		}
		if s != 0xf0 {
			break
		}
		k += 15
	}
	return true
}

// first reads the first bits of a band of a progressive picture. G.2.2.
func (c *coefficients) first(p *component, b *[64]int16) bool {
	if c.eobs > 0 {
		c.eobs--
		return true
	}
	for k := c.from; k <= c.to; k++ {
		s := c.in.symbol(p.ac)
		if s < 0 {
			return false
		}
		run := s >> 4
		if n := uint(s & 15); n != 0 {
			if k += run; k > c.to {
				return false
			}
			b[k] = int16(min(max(c.in.signed(n)<<c.low, -maxAC), maxAC))
			continue
		}
		if run != 15 {
			c.eobs = 1<<run - 1 + c.in.bits(uint(run))
			break
		}
		k += 15
	}
	return true
}

// refine reads one more bit of a band. G.1.2.3.
func (c *coefficients) refine(p *component, b *[64]int16) bool {
	k := c.from
	for c.eobs == 0 && k <= c.to {
		s := c.in.symbol(p.ac)
		if s < 0 {
			return false
		}
		run, fresh := s>>4, int16(0)
		switch s & 15 {
		case 0:
			if run != 15 {
				c.eobs = 1<<run + c.in.bits(uint(run))
			}
		case 1:
			if fresh = -1 << c.low; c.in.bit() {
				fresh = 1 << c.low
			}
		default:
			return false
		}
		if c.eobs > 0 {
			break
		}
		for ; k <= c.to; k++ {
			if b[k] != 0 {
				c.more(&b[k])
				continue
			}
			if run == 0 {
				b[k] = fresh
				k++
				break
			}
			run--
		}
	}
	if c.eobs > 0 {
		for ; k <= c.to; k++ {
			if b[k] != 0 {
				c.more(&b[k])
			}
		}
		c.eobs--
	}
	return true
}

// more reads a further bit of a coefficient that is not zero.
func (c *coefficients) more(v *int16) {
	switch bit := int16(1) << c.low; {
	case !c.in.bit():
	case *v > 0 && *v&bit == 0:
		*v += bit
	case *v < 0 && -*v&bit == 0:
		*v -= bit
	}
}

// grey draws the first component, which is the light of the picture: what a look
// for codes needs.
func (c *coefficients) grey(q *[64]byte) *image.Gray {
	p := &c.comps[0]
	m := image.NewGray(image.Rect(0, 0, 8*p.across, 8*p.down))
	var f [64]float32
	for y := range p.down {
		for x := range p.across {
			b := p.data[64*(y*p.across+x):]
			b = b[:64]
			row := m.Pix[8*y*m.Stride+8*x:]
			last := 0
			for k := 1; k < 64; k++ {
				if b[k] != 0 {
					last = k
				}
			}
			if last == 0 {
				v := level(float32(int(b[0])*int(q[0])) / 8)
				for i := range 8 {
					for k := range 8 {
						row[i*m.Stride+k] = v
					}
				}
				continue
			}
			f = [64]float32{}
			for k := range last + 1 {
				f[zigzag[k]] = float32(int(b[k]) * int(q[k]))
			}
			for i := range 8 {
				inverse(&f, i, 8)
			}
			for i := range 8 {
				inverse(&f, 8*i, 1)
				for k := range 8 {
					row[i*m.Stride+k] = level(f[8*i+k])
				}
			}
		}
	}
	return m.SubImage(image.Rect(0, 0, c.width, c.height)).(*image.Gray)
}

func level(f float32) uint8 { return uint8(min(max(int(f+128.5), 0), 255)) }

// inverse is the inverse of dct.
func inverse(b *[64]float32, o, s int) {
	c1, c2, c3, c4, c5, c6, c7 := cosine[1], cosine[2], cosine[3], cosine[4], cosine[5], cosine[6], cosine[7]
	y0, y1, y2, y3 := b[o], b[o+s], b[o+2*s], b[o+3*s]
	y4, y5, y6, y7 := b[o+4*s], b[o+5*s], b[o+6*s], b[o+7*s]
	p, m := (y0+y4)*c4, (y0-y4)*c4
	q, r := y2*c2+y6*c6, y2*c6-y6*c2
	e0, e1, e2, e3 := p+q, m+r, m-r, p-q
	d0 := y1*c1 + y3*c3 + y5*c5 + y7*c7
	d1 := y1*c3 - y3*c7 - y5*c1 - y7*c5
	d2 := y1*c5 - y3*c1 + y5*c7 + y7*c3
	d3 := y1*c7 - y3*c5 + y5*c3 - y7*c1
	b[o], b[o+7*s] = e0+d0, e0-d0
	b[o+s], b[o+6*s] = e1+d1, e1-d1
	b[o+2*s], b[o+5*s] = e2+d2, e2-d2
	b[o+3*s], b[o+4*s] = e3+d3, e3-d3
}

// rewrite writes the picture with tables of its own.
func (e *encoder) rewrite(c *coefficients) error {
	r := raster{width: c.width, height: c.height, h: c.h, v: c.v, planes: make([]plane, len(c.comps))}
	return e.picture(r, func(codes *[4]*[256]code) { e.blocks(c, codes) })
}

// blocks goes through the coefficients in the order of the file.
func (e *encoder) blocks(c *coefficients, codes *[4]*[256]code) {
	cols, rows := ceil(c.width, 8*c.wide), ceil(c.height, 8*c.high)
	var last [3]int
	for y := range rows {
		for x := range cols {
			for i := range c.comps {
				p, t := &c.comps[i], 2
				if i == 0 {
					t = 0
				}
				for by := range p.v {
					for bx := range p.h {
						at := 64 * ((y*p.v+by)*p.across + x*p.h + bx)
						last[i] = e.levels((*[64]int16)(p.data[at:]), last[i], t, codes)
					}
				}
			}
		}
		if e.out.write(); e.out.err != nil {
			return
		}
	}
}

// levels writes one block of coefficients in zig-zag order, as block does.
func (e *encoder) levels(b *[64]int16, last, t int, codes *[4]*[256]code) int {
	e.number(t, codes, 0, int(b[0])-last)
	run := 0
	for _, c := range b[1:] {
		if c == 0 {
			run++
			continue
		}
		for run > 15 {
			e.symbol(t+1, codes, 0xf0)
			run -= 16
		}
		e.number(t+1, codes, run, int(c))
		run = 0
	}
	if run > 0 {
		e.symbol(t+1, codes, 0)
	}
	return int(b[0])
}
