// Package coefficients reads JPEG pictures (ITU-T T.81) as far as their
// coefficients: a table of 64 numbers for every block of 8 by 8 samples. Whoever
// writes a picture anew from these keeps every sample; whoever wants to know
// whether it can be decoded, and how light it is where, need not draw it.
//
// It reads what most pictures are: eight bits, baseline and progressive, grey or
// a first component with two coarser or equal ones. Of everything else, and of
// what is not whole, it says ErrOther: another reader may make something of it.
package coefficients

import (
	"errors"
	"image"
	"math/bits"
)

// ErrOther says that a picture is of a kind that is not read here, or damaged.
var ErrOther = errors.New("coefficients cannot be read")

// Frame is what a picture's header says of it.
type Frame struct {
	Width, Height int
	Progressive   bool
	Components    int
	IDs           [4]byte
	Sampling      [4]byte // of each component, horizontal and vertical
}

// Readable reports whether pictures of this sampling are read.
func (f Frame) Readable() bool {
	if f.Width <= 0 || f.Height <= 0 {
		return false
	}
	if f.Components == 1 {
		return true
	}
	h, v := f.Sampling[0]>>4, f.Sampling[0]&15
	return f.Components == 3 && (h == 1 || h == 2 || h == 4) && (v == 1 || v == 2) && f.Sampling[1] == 0x11 && f.Sampling[2] == 0x11
}

// Picture has the coefficients of a whole picture, as they are in a file.
type Picture struct {
	Width, Height int
	H, V          int // sampling of the first plane; the others are 1 by 1
	Wide, High    int // the largest sampling
	Planes        []Plane

	progressive bool
	ids         [4]byte
	dc, ac      [4]*lookup
	restart     int

	in bitReader
	// Of the scan that is being read.
	from, to  int // of the coefficients in it
	prec, low uint
	eobs      int // blocks that have ended before they began
	// beyond: bit by bit they may have come to more than a baseline picture has
	// codes for.
	beyond bool
}

// Plane is one of the components.
type Plane struct {
	H, V         int
	Cols, Rows   int // blocks that hold samples
	Across, Down int // with those that fill up the last ones
	Data         []int16

	set    []uint64 // which of a block's coefficients are not zero; the first has no say
	dc, ac *lookup
	last   int
	seen   bool
}

// What the codes of baseline pictures have a place for. T.81 F.1.2.1: a
// difference of DC coefficients has 11 bits, so they reach from -1024 to 1023;
// F.1.2.2: others have 10 and a sign.
const (
	MaxDC = 1023
	MaxAC = 1023
)

// New is room for the picture of a frame that is readable.
func New(f Frame) *Picture {
	c := &Picture{}
	c.Renew(f)
	return c
}

// Renew makes room for another picture, in the memory of the one before.
func (c *Picture) Renew(f Frame) {
	planes := c.Planes[:cap(c.Planes)]
	*c = Picture{Width: f.Width, Height: f.Height, H: 1, V: 1, Wide: 1, High: 1, progressive: f.Progressive, ids: f.IDs}
	if f.Components > 1 {
		c.H, c.V = int(f.Sampling[0]>>4), int(f.Sampling[0]&15)
		c.Wide, c.High = c.H, c.V
	}
	for i := range f.Components {
		p := Plane{H: 1, V: 1}
		if i == 0 {
			p.H, p.V = c.H, c.V
		}
		if i < len(planes) {
			p.Data, p.set = planes[i].Data, planes[i].set
		}
		c.Room(&p)
		c.Planes = append(c.Planes, p)
	}
}

// Room makes room for the blocks of a plane of this sampling.
func (c *Picture) Room(p *Plane) {
	p.Cols, p.Rows = (ceil(c.Width*p.H, c.Wide)+7)/8, (ceil(c.Height*p.V, c.High)+7)/8
	p.Across, p.Down = ceil(c.Width, 8*c.Wide)*p.H, ceil(c.Height, 8*c.High)*p.V
	p.Data, p.set = room(p.Data, 64*p.Across*p.Down), room(p.set, p.Across*p.Down)
}

func room[T int16 | uint64](old []T, n int) []T {
	if cap(old) < n {
		return make([]T, n)
	}
	clear(old[:n])
	return old[:n]
}

func ceil(a, b int) int { return (a + b - 1) / b }

// Read goes through the segments of a file, the frame of which is known.
func (c *Picture) Read(b []byte) error {
	if err := c.read(b); err != nil {
		return err
	}
	for i := range c.Planes {
		if !c.Planes[i].seen {
			return ErrOther
		}
		if !c.beyond {
			continue
		}
		for k, v := range c.Planes[i].Data {
			if k&63 == 0 {
				c.Planes[i].Data[k] = int16(clamp(int(v), MaxDC))
			} else if v > MaxAC || v < -MaxAC {
				c.Planes[i].Data[k] = max(min(v, MaxAC), -MaxAC)
			}
		}
	}
	return nil
}

func (c *Picture) read(b []byte) error {
	if len(b) < 2 {
		return ErrOther
	}
	for b = b[2:]; len(b) >= 2 && b[0] == 0xff; {
		m := b[1]
		switch {
		case m == 0xff: // fill
			b = b[1:]
			continue
		case m == 0xd9:
			return nil
		case len(b) < 4 || m == 0x01 || m >= 0xd0 && m <= 0xd8:
			return ErrOther
		}
		n := 2 + int(b[2])<<8 + int(b[3])
		if n < 4 || n > len(b) {
			return ErrOther
		}
		body := b[4:n]
		b = b[n:]
		switch m {
		case 0xc4:
			if !c.tables(body) {
				return ErrOther
			}
		case 0xdd:
			if len(body) != 2 {
				return ErrOther
			}
			c.restart = int(body[0])<<8 | int(body[1])
		case 0xc0, 0xc1, 0xc2:
			if len(body) == 0 || body[0] != 8 {
				return ErrOther // samples of 12 bits
			}
		case 0xda:
			c.in = bitReader{b: b}
			if err := c.scan(body); err != nil {
				return err
			}
			b = b[c.in.end():]
		case 0xdb, 0xfe: // quantisation is not asked for here
		default:
			if m < 0xe0 || m > 0xef {
				return ErrOther
			}
		}
	}
	return ErrOther // without its end
}

// scan reads one scan. T.81 B.2.3, F.2, G.2.
func (c *Picture) scan(head []byte) error {
	if len(head) < 1 || head[0] < 1 || int(head[0]) > len(c.Planes) || len(head) != 4+2*int(head[0]) {
		return ErrOther
	}
	n := int(head[0])
	tail := head[1+2*n:]
	c.from, c.to, c.prec, c.low = int(tail[0]), int(tail[1]), uint(tail[2]>>4), uint(tail[2]&15)
	switch {
	case !c.progressive && (c.from != 0 || c.to != 63 || c.prec != 0 || c.low != 0),
		c.progressive && (c.to > 63 || c.from > c.to || c.from == 0 && c.to != 0 || c.from > 0 && n > 1 || c.low > 13 || c.prec != 0 && c.prec != c.low+1):
		return ErrOther
	}
	var in []*Plane
	for i := range n {
		id, t := head[1+2*i], head[2+2*i]
		var p *Plane
		for k := range c.Planes {
			if c.ids[k] == id && p == nil {
				p = &c.Planes[k]
			}
		}
		if p == nil || t>>4 > 3 || t&15 > 3 {
			return ErrOther
		}
		for _, q := range in {
			if p == q {
				return ErrOther
			}
		}
		if !c.progressive && p.seen {
			return ErrOther // a second picture over the first
		}
		p.dc, p.ac, p.seen = c.dc[t>>4], c.ac[t&15], true
		if (c.from == 0 && c.prec == 0 && p.dc == nil) || (c.to > 0 && p.ac == nil) {
			return ErrOther
		}
		in = append(in, p)
	}
	const places = 10 // of the largest number, in bits
	c.beyond = c.beyond || c.prec != 0 && c.low >= places
	if c.from > 0 {
		return c.band(in[0])
	}
	cols, rows := ceil(c.Width, 8*c.Wide), ceil(c.Height, 8*c.High)
	if n == 1 { // A.2.2: only the blocks that hold samples
		cols, rows = in[0].Cols, in[0].Rows
	}
	units, restarts := 0, 0
	for _, p := range in {
		p.last = 0
	}
	for y := range rows {
		for x := range cols {
			if c.restart > 0 && units == c.restart {
				if !c.in.again(restarts) {
					return ErrOther
				}
				units = 0
				restarts++
				for _, p := range in {
					p.last = 0
				}
			}
			units++
			for _, p := range in {
				h, v := p.H, p.V
				if n == 1 {
					h, v = 1, 1
				}
				for by := range v {
					for bx := range h {
						if !c.block(p, (y*v+by)*p.Across+x*h+bx) {
							return ErrOther
						}
					}
				}
			}
		}
		if !c.in.whole() {
			return ErrOther
		}
	}
	return nil
}

// band reads a scan of a progressive picture that has other coefficients than
// the first ones: of one plane always, and only of the blocks that hold samples.
func (c *Picture) band(p *Plane) error {
	within := uint64(2<<c.to - 1<<c.from)
	units, restarts := 0, 0
	c.eobs = 0
	for y := range p.Rows {
		for at := y * p.Across; at < y*p.Across+p.Cols; at++ {
			if c.restart > 0 && units == c.restart {
				if c.eobs > 0 || !c.in.again(restarts) {
					return ErrOther
				}
				units = 0
				restarts++
			}
			units++
			set := &p.set[at]
			if c.eobs > 0 && (c.prec == 0 || *set&within == 0) {
				c.eobs--
				continue
			}
			b := (*[64]int16)(p.Data[64*at:])
			if c.prec == 0 && !c.first(p.ac, b, set) || c.prec != 0 && !c.refine(p.ac, b, set, within) {
				return ErrOther
			}
		}
		if !c.in.whole() {
			return ErrOther
		}
	}
	if c.eobs > 0 {
		return ErrOther // of blocks that are not there
	}
	return nil
}

// block reads the first coefficient of a block, of a baseline picture all.
func (c *Picture) block(p *Plane, at int) bool {
	b := (*[64]int16)(p.Data[64*at:])
	switch {
	case c.prec != 0:
		if c.in.bit() {
			b[0] |= 1 << c.low
		}
		return true
	default:
		n := c.in.symbol(p.dc)
		if n < 0 || n > 11 {
			return false
		}
		p.last = clamp(p.last+c.in.signed(uint(n)), 1<<15)
		b[0] = int16(clamp(p.last<<c.low, MaxDC))
		return c.progressive || c.others(p.ac, b, &p.set[at])
	}
}

func clamp(v, most int) int { return min(max(v, -most-1), most) }

// The three below go through a band of a block. Each symbol with the number
// behind it has less than 32 bits; the reader's state is theirs meanwhile.

// others reads those of a baseline picture. F.2.2.
func (c *Picture) others(t *lookup, b *[64]int16, set *uint64) bool {
	acc, n := c.in.acc, c.in.n
	var fresh uint64
	for k := 1; k < 64; k++ {
		if n < 32 {
			c.in.acc, c.in.n = acc, n
			c.in.fill()
			acc, n = c.in.acc, c.in.n
		}
		s := int(t.short[acc>>(64-shortBits)])
		if l := s >> 8; l != 0 {
			acc, n, s = acc<<(l&63), n-l, s&0xff
		} else {
			c.in.acc, c.in.n = acc, n
			if s = c.in.long(t); s < 0 {
				return false
			}
			acc, n = c.in.acc, c.in.n
		}
		size := s & 15
		if size == 0 {
			if s != 0xf0 {
				break
			}
			k += 15
			continue
		}
		if k += s >> 4; k > 63 {
			return false
		}
		v := number(acc, size)
		acc, n = acc<<size, n-size
		b[k&63] = int16(min(max(v, -MaxAC), MaxAC))
		fresh |= 1 << (k & 63)
	}
	*set |= fresh
	c.in.acc, c.in.n = acc, n
	return true
}

// number is what the first bits say, at least one. T.81 F.2.2.1.
func number(acc uint64, bits int) int {
	v := int(acc >> ((64 - bits) & 63))
	if int64(acc) >= 0 {
		v -= 1<<(bits&63) - 1
	}
	return v
}

// first reads the first bits of a band of a progressive picture. G.2.2.
func (c *Picture) first(t *lookup, b *[64]int16, set *uint64) bool {
	acc, n := c.in.acc, c.in.n
	var fresh uint64
	for k := c.from; k <= c.to; k++ {
		if n < 32 {
			c.in.acc, c.in.n = acc, n
			c.in.fill()
			acc, n = c.in.acc, c.in.n
		}
		s := int(t.short[acc>>(64-shortBits)])
		if l := s >> 8; l != 0 {
			acc, n, s = acc<<(l&63), n-l, s&0xff
		} else {
			c.in.acc, c.in.n = acc, n
			if s = c.in.long(t); s < 0 {
				return false
			}
			acc, n = c.in.acc, c.in.n
		}
		run, size := s>>4, s&15
		if size == 0 {
			if run != 15 {
				c.eobs = 1<<run - 1
				if run > 0 {
					c.eobs += int(acc >> (64 - run))
					acc, n = acc<<run, n-run
				}
				break
			}
			k += 15
			continue
		}
		if k += run; k > c.to {
			return false
		}
		v := number(acc, size) << c.low
		acc, n = acc<<size, n-size
		b[k&63] = int16(min(max(v, -MaxAC), MaxAC))
		fresh |= 1 << (k & 63)
	}
	*set |= fresh
	c.in.acc, c.in.n = acc, n
	return true
}

// refine reads one more bit of a band. G.1.2.3. Of the coefficients that are
// not zero yet only their number up to the next new one matters, so they are
// counted, not gone through.
func (c *Picture) refine(t *lookup, b *[64]int16, set *uint64, within uint64) bool {
	acc, n := c.in.acc, c.in.n
	bit := int16(1) << c.low
	old, fresh := *set&within, uint64(0)
	for k := c.from; c.eobs == 0 && k <= c.to; k++ {
		if n < 32 {
			c.in.acc, c.in.n = acc, n
			c.in.fill()
			acc, n = c.in.acc, c.in.n
		}
		s := int(t.short[acc>>(64-shortBits)])
		if l := s >> 8; l != 0 {
			acc, n, s = acc<<(l&63), n-l, s&0xff
		} else {
			c.in.acc, c.in.n = acc, n
			if s = c.in.long(t); s < 0 {
				return false
			}
			acc, n = c.in.acc, c.in.n
		}
		run, v := s>>4, int16(0)
		switch s & 15 {
		case 0:
			if run != 15 {
				c.eobs = 1 << run
				if run > 0 {
					c.eobs += int(acc >> (64 - run))
					acc, n = acc<<run, n-run
				}
			}
		case 1:
			if v = -bit; int64(acc) < 0 {
				v = bit
			}
			acc, n = acc<<1, n-1
		default:
			return false
		}
		if c.eobs > 0 {
			break
		}
		// A bit for each that is passed on the way.
		for k += run; old != 0; k++ {
			z := bits.TrailingZeros64(old)
			if z > k {
				break
			}
			old &= old - 1
			if n == 0 {
				c.in.acc, c.in.n = acc, n
				c.in.fill()
				acc, n = c.in.acc, c.in.n
			}
			if int64(acc) < 0 {
				more(&b[z], bit)
			}
			acc, n = acc<<1, n-1
		}
		if k > c.to {
			return false
		}
		if v != 0 {
			b[k&63] = v
			fresh |= 1 << (k & 63)
		}
	}
	*set |= fresh
	for ; old != 0; old &= old - 1 {
		if n == 0 {
			c.in.acc, c.in.n = acc, n
			c.in.fill()
			acc, n = c.in.acc, c.in.n
		}
		if int64(acc) < 0 {
			more(&b[bits.TrailingZeros64(old)&63], bit)
		}
		acc, n = acc<<1, n-1
	}
	c.in.acc, c.in.n = acc, n
	if c.eobs > 0 {
		c.eobs--
	}
	return true
}

// more sets a further bit of a coefficient that is not zero.
func more(v *int16, bit int16) {
	switch {
	case *v > 0 && *v&bit == 0:
		*v += bit
	case *v < 0 && -*v&bit == 0:
		*v -= bit
	}
}

// zigzag gives the place in a block of the i-th coefficient (T.81 figure 5).
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// below are, for each column of a block, the coefficients that are not its
// first one.
var below = [8]uint64{
	1<<2 | 1<<3 | 1<<9 | 1<<10 | 1<<20 | 1<<21 | 1<<35,
	1<<4 | 1<<8 | 1<<11 | 1<<19 | 1<<22 | 1<<34 | 1<<36,
	1<<7 | 1<<12 | 1<<18 | 1<<23 | 1<<33 | 1<<37 | 1<<48,
	1<<13 | 1<<17 | 1<<24 | 1<<32 | 1<<38 | 1<<47 | 1<<49,
	1<<16 | 1<<25 | 1<<31 | 1<<39 | 1<<46 | 1<<50 | 1<<57,
	1<<26 | 1<<30 | 1<<40 | 1<<45 | 1<<51 | 1<<56 | 1<<58,
	1<<29 | 1<<41 | 1<<44 | 1<<52 | 1<<55 | 1<<59 | 1<<62,
	1<<42 | 1<<43 | 1<<53 | 1<<54 | 1<<60 | 1<<61 | 1<<63,
}

// Light draws the first plane of a picture that was read, which is its light,
// by the quantisation of it in zig-zag order: what a look for codes needs.
// Samples are off by one or two from those of an exact decoder. Pix is memory
// that may be used for it.
func (c *Picture) Light(q *[64]byte, pix []byte) *image.Gray {
	p := &c.Planes[0]
	m := &image.Gray{Stride: 8 * p.Across, Rect: image.Rect(0, 0, 8*p.Across, 8*p.Down), Pix: pix}
	if n := m.Stride * m.Rect.Dy(); cap(pix) < n {
		m.Pix = make([]byte, n)
	} else {
		m.Pix = pix[:n]
	}
	var scaled [64]float32
	for k, place := range zigzag {
		scaled[k] = float32(q[k]) * scale[place/8] * scale[place%8] / 8
	}
	const middle = 128.5 // of a sample, and half of what is cut off
	var f [64]float32
	for y := range p.Down {
		for x := range p.Across {
			at := y*p.Across + x
			b, set := (*[64]int16)(p.Data[64*at:]), p.set[at]&^1
			row := m.Pix[8*y*m.Stride+8*x:]
			first := float32(b[0])*scaled[0] + middle
			if set == 0 {
				v := level(int32(first)) * 0x0101010101010101
				for i := range 8 {
					put(row[i*m.Stride:], v)
				}
				continue
			}
			f = [64]float32{first}
			for s := set; s != 0; s &= s - 1 {
				k := bits.TrailingZeros64(s) & 63
				f[zigzag[k]&63] = float32(b[k]) * scaled[k]
			}
			for i := range 8 {
				if set&below[i] != 0 {
					column(&f, i)
					continue
				}
				v := f[i]
				f[8+i], f[16+i], f[24+i], f[32+i], f[40+i], f[48+i], f[56+i] = v, v, v, v, v, v, v
			}
			for i := range 8 {
				put(row[i*m.Stride:], across((*[8]float32)(f[8*i:])))
			}
		}
	}
	return m.SubImage(image.Rect(0, 0, c.Width, c.Height)).(*image.Gray)
}

func put(b []byte, v uint64) {
	_ = b[7]
	b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56)
}

func level(v int32) uint64 { return uint64(min(max(v, 0), 255)) }

// The inverse transform of Arai, Agui and Nakajima: five multiplications, the
// others are in the quantisation, by scale: 1, and cos(k π / 16) times the root
// of 2.
var scale = [8]float32{1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.541196100, 0.275899379}

// eight transforms eight numbers.
func eight(a0, a1, a2, a3, a4, a5, a6, a7 float32) (_, _, _, _, _, _, _, _ float32) {
	const (
		root2 = 1.414213562
		c2    = 1.847759065 // 2 cos(π/8)
		c2m6  = 1.082392200 // 2 (cos(π/8) - cos(3π/8))
		c2p6  = 2.613125930 // 2 (cos(π/8) + cos(3π/8))
	)
	p, m := a0+a4, a0-a4
	q := a2 + a6
	r := (a2-a6)*root2 - q
	e0, e3, e1, e2 := p+q, p-q, m+r, m-r
	z13, z10, z11, z12 := a5+a3, a5-a3, a1+a7, a1-a7
	o7 := z11 + z13
	z5 := (z10 + z12) * c2
	o6 := z5 - z10*c2p6 - o7
	o5 := (z11-z13)*root2 - o6
	o4 := z5 - z12*c2m6 - o5
	return e0 + o7, e1 + o6, e2 + o5, e3 + o4, e3 - o4, e2 - o5, e1 - o6, e0 - o7
}

func column(f *[64]float32, i int) {
	i &= 7
	f[i], f[8+i], f[16+i], f[24+i], f[32+i], f[40+i], f[48+i], f[56+i] = eight(f[i], f[8+i], f[16+i], f[24+i], f[32+i], f[40+i], f[48+i], f[56+i])
}

// across transforms a row and gives its eight samples, the first one lowest.
func across(r *[8]float32) uint64 {
	a, b, c, d, e, f, g, h := eight(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
	i, j, k, l, m, n, o, p := int32(a), int32(b), int32(c), int32(d), int32(e), int32(f), int32(g), int32(h)
	if (i|j|k|l|m|n|o|p)&^0xff == 0 {
		return uint64(i) | uint64(j)<<8 | uint64(k)<<16 | uint64(l)<<24 | uint64(m)<<32 | uint64(n)<<40 | uint64(o)<<48 | uint64(p)<<56
	}
	return level(i) | level(j)<<8 | level(k)<<16 | level(l)<<24 | level(m)<<32 | level(n)<<40 | level(o)<<48 | level(p)<<56
}
