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

// number is what the first bits say, at least one. T.81 F.2.2.1. Whether it is
// negative cannot be guessed, so nothing is to jump there.
func number(acc uint64, bits int) int {
	negative := int(^int64(acc) >> 63)
	return int(acc>>((64-bits)&63)) - negative&(1<<(bits&63)-1)
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
