package pdf

import (
	"slices"
)

// arithmetic is the decoder of T.88, annex E.
type arithmetic struct {
	b    []byte
	at   int
	c, a uint32
	ct   int
}

// qe has the probabilities of table E.1 with the next states and the switch.
var qe = [47]struct {
	q         uint16
	mps, lps  uint8
	switching uint8
}{
	{0x5601, 1, 1, 1}, {0x3401, 2, 6, 0}, {0x1801, 3, 9, 0}, {0x0AC1, 4, 12, 0}, {0x0521, 5, 29, 0}, {0x0221, 38, 33, 0},
	{0x5601, 7, 6, 1}, {0x5401, 8, 14, 0}, {0x4801, 9, 14, 0}, {0x3801, 10, 14, 0}, {0x3001, 11, 17, 0}, {0x2401, 12, 18, 0},
	{0x1C01, 13, 20, 0}, {0x1601, 29, 21, 0}, {0x5601, 15, 14, 1}, {0x5401, 16, 14, 0}, {0x5101, 17, 15, 0}, {0x4801, 18, 16, 0},
	{0x3801, 19, 17, 0}, {0x3401, 20, 18, 0}, {0x3001, 21, 19, 0}, {0x2801, 22, 19, 0}, {0x2401, 23, 20, 0}, {0x2201, 24, 21, 0},
	{0x1C01, 25, 22, 0}, {0x1801, 26, 23, 0}, {0x1601, 27, 24, 0}, {0x1401, 28, 25, 0}, {0x1201, 29, 26, 0}, {0x1101, 30, 27, 0},
	{0x0AC1, 31, 28, 0}, {0x09C1, 32, 29, 0}, {0x08A1, 33, 30, 0}, {0x0521, 34, 31, 0}, {0x0441, 35, 32, 0}, {0x02A1, 36, 33, 0},
	{0x0221, 37, 34, 0}, {0x0141, 38, 35, 0}, {0x0111, 39, 36, 0}, {0x0085, 40, 37, 0}, {0x0049, 41, 38, 0}, {0x0025, 42, 39, 0},
	{0x0015, 43, 40, 0}, {0x0009, 44, 41, 0}, {0x0005, 45, 42, 0}, {0x0001, 45, 43, 0}, {0x5601, 46, 46, 0},
}

func (d *arithmetic) octet(i int) uint32 {
	if i < len(d.b) {
		return uint32(d.b[i])
	}
	return 0xff
}

func newArithmetic(b []byte) *arithmetic {
	d := &arithmetic{b: b}
	d.c = d.octet(0) << 16
	d.in()
	d.c <<= 7
	d.ct -= 7
	d.a = 0x8000
	return d
}

func (d *arithmetic) in() {
	if d.octet(d.at) == 0xff {
		if n := d.octet(d.at + 1); n > 0x8f {
			d.c += 0xff00
			d.ct = 8
		} else {
			d.at++
			d.c += n << 9
			d.ct = 7
		}
		return
	}
	d.at++
	d.c += d.octet(d.at) << 8
	d.ct = 8
}

// bit decodes one bit; a context is a state and, in its lowest bit, the more
// probable symbol.
func (d *arithmetic) bit(cx *uint8) byte {
	s, mps := &qe[*cx>>1], *cx&1
	q := uint32(s.q)
	d.a -= q
	out := mps
	if d.c>>16 < q {
		if d.a < q {
			*cx = s.mps<<1 | mps
		} else {
			out = 1 - mps
			*cx = s.lps<<1 | mps ^ s.switching
		}
		d.a = q
	} else {
		d.c -= q << 16
		if d.a&0x8000 != 0 {
			return out
		}
		if d.a < q {
			out = 1 - mps
			*cx = s.lps<<1 | mps ^ s.switching
		} else {
			*cx = s.mps<<1 | mps
		}
	}
	for {
		if d.ct == 0 {
			d.in()
		}
		d.a <<= 1
		d.c <<= 1
		d.ct--
		if d.a&0x8000 != 0 {
			return out
		}
	}
}

type offset struct{ x, y int }

// templates are the pixels of T.88, figures 3 to 6, from the highest bit of a
// context; adaptive ones stand in their nominal places, marked by y of 1 and
// their number.
var templates = [4][]offset{
	{{3, 1}, {-1, -2}, {0, -2}, {1, -2}, {2, 1}, {1, 1}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {2, -1}, {0, 1}, {-4, 0}, {-3, 0}, {-2, 0}, {-1, 0}},
	{{-1, -2}, {0, -2}, {1, -2}, {2, -2}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {2, -1}, {0, 1}, {-3, 0}, {-2, 0}, {-1, 0}},
	{{-1, -2}, {0, -2}, {1, -2}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {0, 1}, {-2, 0}, {-1, 0}},
	{{-3, -1}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {0, 1}, {-4, 0}, {-3, 0}, {-2, 0}, {-1, 0}},
}

// generic decodes a region (6.2.5). Adaptive has the places of the adaptive
// pixels, four for template 0 and one for the others.
func (d *arithmetic) generic(w, h, template int, typical bool, adaptive []offset, contexts []uint8, skip *bitmap) *bitmap {
	places := make([]offset, len(templates[template]))
	for i, o := range templates[template] {
		if o.y == 1 {
			o = adaptive[o.x]
		}
		places[i] = o
	}
	out := newBitmap(w, h)
	// Inside, the pixels of a context are at fixed distances.
	var deltas []int
	left, right, up := 0, 0, 0
	for _, o := range places {
		deltas = append(deltas, o.y*w+o.x)
		left, right, up = max(left, -o.x), max(right, o.x), max(up, -o.y)
	}
	same := byte(0)
	sltp := [4]int{0x9b25, 0x0795, 0x00e5, 0x0195}[template]
	for y := range h {
		if typical {
			if same ^= d.bit(&contexts[sltp]); same == 1 {
				if y > 0 {
					copy(out.pix[y*w:(y+1)*w], out.pix[(y-1)*w:y*w])
				}
				continue
			}
		}
		for x := range w {
			if skip != nil && skip.at(x, y) == 1 {
				continue
			}
			cx := 0
			if y >= up && x >= left && x < w-right {
				i := y*w + x
				for _, d := range deltas {
					cx = cx<<1 | int(out.pix[i+d])
				}
			} else {
				for _, o := range places {
					cx = cx<<1 | int(out.at(x+o.x, y+o.y))
				}
			}
			out.pix[y*w+x] = d.bit(&contexts[cx])
		}
	}
	return out
}

// integer32 is the decoder of T.88, annex A.2, for one kind of numbers.
type integer32 struct{ contexts [512]uint8 }

// next decodes a number; false is the one that ends a list.
func (n *integer32) next(d *arithmetic) (int, bool) {
	prev := 1
	read := func(count int) int {
		v := 0
		for range count {
			b := int(d.bit(&n.contexts[prev]))
			if prev < 256 {
				prev = prev<<1 | b
			} else {
				prev = (prev<<1|b)&511 | 256
			}
			v = v<<1 | b
		}
		return v
	}
	negative := read(1)
	v := 0
	for i, step := range [...]struct{ bits, from int }{{2, 0}, {4, 4}, {6, 20}, {8, 84}, {12, 340}, {32, 4436}} {
		if i == 5 || read(1) == 0 {
			v = read(step.bits) + step.from
			break
		}
	}
	switch {
	case negative == 0:
		return v, true
	case v > 0:
		return -v, true
	}
	return 0, false
}

// refinements are the pixels of T.88, figures 12 and 13: those of what is
// decoded, then those of what it is like. The first of each is adaptive in
// template 0.
var refinements = [2]struct{ own, like []offset }{
	{[]offset{{-1, -1}, {0, -1}, {1, -1}, {-1, 0}}, []offset{{-1, -1}, {0, -1}, {1, -1}, {-1, 0}, {0, 0}, {1, 0}, {-1, 1}, {0, 1}, {1, 1}}},
	{[]offset{{-1, -1}, {0, -1}, {1, -1}, {-1, 0}}, []offset{{0, -1}, {-1, 0}, {0, 0}, {1, 0}, {0, 1}, {1, 1}}},
}

// refine decodes a picture that is like another one, which lies dx and dy off
// (6.3.5).
func (d *arithmetic) refine(w, h, template int, typical bool, adaptive []offset, contexts []uint8, like *bitmap, dx, dy int) *bitmap {
	own, other := refinements[template].own, slices.Clone(refinements[template].like)
	if template == 0 {
		own = append([]offset{adaptive[0]}, own[1:]...)
		other[0] = adaptive[1]
	}
	sltp := 0 // figures 14 and 15: the middle of the other one, and nothing else
	for _, o := range refinements[template].like {
		sltp <<= 1
		if o == (offset{}) {
			sltp |= 1
		}
	}
	out := newBitmap(w, h)
	same := byte(0)
	for y := range h {
		if typical {
			same ^= d.bit(&contexts[sltp])
		}
		for x := range w {
			if same == 1 {
				if v, flat := like.flat(x-dx, y-dy); flat {
					out.pix[y*w+x] = v
					continue
				}
			}
			cx := 0
			for _, o := range own {
				cx = cx<<1 | int(out.at(x+o.x, y+o.y))
			}
			for _, o := range other {
				cx = cx<<1 | int(like.at(x-dx+o.x, y-dy+o.y))
			}
			out.pix[y*w+x] = d.bit(&contexts[cx])
		}
	}
	return out
}

// flat says whether a pixel and those around it are alike.
func (b *bitmap) flat(x, y int) (byte, bool) {
	v := b.at(x, y)
	for j := -1; j <= 1; j++ {
		for i := -1; i <= 1; i++ {
			if b.at(x+i, y+j) != v {
				return 0, false
			}
		}
	}
	return v, true
}
