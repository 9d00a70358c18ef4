package coefficients

import (
	"image"
	"math/bits"
)

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
