package image

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// encoder writes baseline JPEG (ITU-T T.81) from planes. The standard
// library's knows one sampling and its own tables; this one keeps the sampling
// and the quantisation a picture came with, so that what was thrown away once
// is not thrown away again, and a second treatment finds next to nothing to
// change.
type encoder struct {
	out          *writer
	luma, chroma *[64]byte // in zig-zag order
	density      [5]byte

	rest   stream      // what of the scan is not in out
	counts [4][256]int // of the symbols, when they were only counted
	some   []uint64    // then, of each block: which coefficients are not zero
	used   [2]uint64   // the places in a block where the tables divide something
	asked  bool        // only for the places, and not for the counts
}

// zigzag gives the place in a block of the i-th coefficient (T.81 figure 5).
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// The tables of T.81 K.1, in zig-zag order.
var (
	standardLuma = [64]byte{
		16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
		26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
		56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
		95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
	}
	standardChroma = [64]byte{
		17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// quality90 scales a standard table as every encoder's quality 90 does.
func quality90(t *[64]byte) *[64]byte {
	var q [64]byte
	for i, v := range t {
		q[i] = byte(max((int(v)*20+50)/100, 1))
	}
	return &q
}

// huffman is a code table: how many codes of each length, and their values in
// order (T.81 B.2.4.2).
type huffman struct {
	counts [16]byte
	values []byte
}

// The tables of T.81 K.3: DC and AC, luminance and chrominance.
var standardHuffman = [4]huffman{
	{[16]byte{0, 1, 5, 1, 1, 1, 1, 1, 1}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
	{[16]byte{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125}, []byte{
		0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
		0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
		0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
		0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
		0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
		0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
		0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
		0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
		0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
		0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
		0xf9, 0xfa,
	}},
	{[16]byte{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
	{[16]byte{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119}, []byte{
		0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
		0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
		0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
		0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
		0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
		0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
		0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
		0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
		0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
		0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
		0xf9, 0xfa,
	}},
}

// code is a Huffman code and its length in bits.
type code struct {
	bits uint16
	n    uint8
}

// codes assigns the codes of a table (T.81 C.2).
func (h *huffman) codes() *[256]code {
	var t [256]code
	c, k := uint16(0), 0
	for i, n := range h.counts {
		for range n {
			t[h.values[k]] = code{c, uint8(i + 1)}
			c++
			k++
		}
		c <<= 1
	}
	return &t
}

func (e *encoder) encode(r raster) error {
	return e.picture(r, func(codes *[4]*[256]code) { e.scan(r, codes) })
}

// picture writes a file around what scan goes through: with codes it writes,
// without it counts.
func (e *encoder) picture(r raster, scan func(codes *[4]*[256]code)) error {
	tables := standardHuffman
	// Pictures of few colours come with code tables made for them, and would
	// leave half as large again with the standard's. So the picture is gone
	// through twice, for which a bit is kept of each coefficient (others). Of a
	// large one only so far as it takes to know which numbers of its quantisation mean anything.
	e.counts, e.used = [4][256]int{}, [2]uint64{}
	if len(r.planes) == 1 {
		e.used[1] = math.MaxUint64
	}
	e.asked = int64(r.width)*int64(r.height) > codesBelow
	scan(nil)
	if !e.asked {
		for i := range tables {
			tables[i] = optimal(&e.counts[i])
		}
	}
	e.asked = false
	e.header(r, &tables)
	var codes [4]*[256]code
	for i := range tables {
		codes[i] = tables[i].codes()
	}
	scan(&codes)
	e.out.buf = stream{e.rest.bits, e.rest.n, e.out.buf}.end()
	e.out.write(0xff, 0xd9)
	e.out.flush()
	return e.out.err
}

// enough reports that nothing more has to be counted.
func (e *encoder) enough() bool {
	return e.asked && e.used[0]&e.used[1] == math.MaxUint64
}

// meant is a quantisation without the numbers that no coefficient is multiplied
// with: they could be anything, words too. They become the one before them.
func meant(q *[64]byte, used uint64) *[64]byte {
	t, last := *q, standardLuma[0]
	for k := range t {
		if used&(1<<k) == 0 {
			t[k] = last
		}
		last = t[k]
	}
	return &t
}

// scan goes through the picture in the order of the file, and writes with the
// codes or, without, counts.
func (e *encoder) scan(r raster, codes *[4]*[256]code) {
	luma, chroma := divisors(e.luma), divisors(e.chroma)
	var last [3]int
	cols, rows := (r.width+8*r.h-1)/(8*r.h), (r.height+8*r.v-1)/(8*r.v)
	if len(r.planes) == 1 {
		cols, rows = (r.width+7)/8, (r.height+7)/8
	}
	var b [64]float32
	var levels [4][4]int16 // of the blocks of one plane in a group
	for my := range rows {
		for mx := range cols {
			for i := range r.planes {
				h, v, q, t := 1, 1, chroma, 2
				if i == 0 {
					q, t = luma, 0
					if len(r.planes) > 1 {
						h, v = r.h, r.v
					}
				}
				for by := range v {
					for bx := range h {
						x, y := min(bx, (r.planes[i].width-1)/8-mx*h), min(by, (r.planes[i].height-1)/8-my*v)
						var l [64]int16
						if x < bx || y < by { // fills the group up, as fillUp does
							l[0] = levels[y][x]
						} else {
							r.planes[i].block(&b, 8*(mx*h+bx), 8*(my*v+by))
							transform(&b)
							l = quantised(&b, q)
							levels[by][bx] = l[0]
						}
						last[i] = e.block(&l, others(&l), last[i], t, codes)
					}
				}
			}
		}
		if e.out.write(); e.out.err != nil || e.enough() {
			return
		}
	}
}

// optimal makes the shortest codes for symbols that occur so often (T.81 K.2):
// the two rarest are joined until one is left, and codes of more than 16 bits
// are shortened at the cost of others.
func optimal(counts *[256]int) huffman {
	var freq, size, next [257]int
	for i := range next {
		next[i] = -1
	}
	copy(freq[:], counts[:])
	freq[256] = 1 // so that no code is all ones
	for {
		a, b := -1, -1
		for i, f := range freq {
			switch {
			case f == 0:
			case a < 0 || f <= freq[a]:
				a, b = i, a
			case b < 0 || f <= freq[b]:
				b = i
			}
		}
		if b < 0 {
			break
		}
		freq[a] += freq[b]
		freq[b] = 0
		size[a]++
		last := a
		for next[last] >= 0 {
			last = next[last]
			size[last]++
		}
		next[last] = b
		for i := b; i >= 0; i = next[i] {
			size[i]++
		}
	}
	var lengths [258]int
	for _, n := range size {
		if n > 0 {
			lengths[n]++
		}
	}
	for i := len(lengths) - 1; i > 16; i-- {
		for lengths[i] > 0 {
			j := i - 2
			for lengths[j] == 0 {
				j--
			}
			lengths[i] -= 2
			lengths[i-1]++
			lengths[j+1] += 2
			lengths[j]--
		}
	}
	for i := 16; i > 0; i-- {
		if lengths[i] > 0 {
			lengths[i]-- // the reserved one is among the longest
			break
		}
	}
	var h huffman
	for i := range h.counts {
		h.counts[i] = byte(lengths[i+1])
	}
	for n := 1; n < len(lengths); n++ {
		for i := range 256 {
			if size[i] == n {
				h.values = append(h.values, byte(i))
			}
		}
	}
	return h
}

// header writes everything before the entropy-coded data.
func (e *encoder) header(r raster, tables *[4]huffman) {
	w := e.out
	w.write(0xff, 0xd8)
	w.write(0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1)
	d := e.density
	if binary.BigEndian.Uint16(d[1:]) == 0 || binary.BigEndian.Uint16(d[3:]) == 0 {
		d = [5]byte{0, 0, 1, 0, 1}
	}
	w.write(d[:]...)
	w.write(0, 0)
	n := len(r.planes)
	quant := [...]*[64]byte{meant(e.luma, e.used[0]), meant(e.chroma, e.used[1])}
	for i := range min(n, 2) {
		w.write(0xff, 0xdb, 0, 67, byte(i))
		w.write(quant[i][:]...)
	}
	w.write(0xff, 0xc0, 0, byte(8+3*n), 8, byte(r.height>>8), byte(r.height), byte(r.width>>8), byte(r.width), byte(n))
	for i := range n {
		s, t := byte(0x11), byte(1)
		if i == 0 {
			t = 0
			if n > 1 {
				s = byte(r.h<<4 | r.v)
			}
		}
		w.write(byte(i+1), s, t)
	}
	for i := range 2 * min(n, 2) {
		h := &tables[i]
		w.write(0xff, 0xc4, 0, byte(19+len(h.values)), byte(i&1<<4|i>>1))
		w.write(h.counts[:]...)
		w.write(h.values...)
	}
	w.write(0xff, 0xda, 0, byte(6+2*n), byte(n))
	for i := range n {
		t := byte(0x11)
		if i == 0 {
			t = 0
		}
		w.write(byte(i+1), t)
	}
	w.write(0, 63, 0)
}

// block fills b with the samples at x, y, the edge repeated beyond the plane.
func (p *plane) block(b *[64]float32, x, y int) {
	if p.direct != nil && x+8 <= p.width && y+8 <= p.height {
		for j := range 8 {
			row := p.direct[(y+j)*p.stride+x:]
			row = row[:8]
			for i, v := range row {
				b[8*j+i] = float32(v) - 128
			}
		}
		return
	}
	for j := range 8 {
		yy := min(y+j, p.height-1)
		for i := range 8 {
			b[8*j+i] = float32(p.at(min(x+i, p.width-1), yy)) - 128
		}
	}
}

// cosine k is cos(k π / 16) / 2, and the square root of 1/8 for 4, which is
// the same number: the transform is orthonormal.
var cosine = func() (c [8]float32) {
	for k := range c {
		c[k] = float32(math.Cos(float64(k)*math.Pi/16) / 2)
	}
	return c
}()

// transform is the forward DCT (T.81 A.3.3), rows and then columns.
func transform(b *[64]float32) {
	for i := range 8 {
		dct(b, 8*i, 1)
	}
	for i := range 8 {
		dct(b, i, 8)
	}
}

// dct transforms eight numbers: sums make the even coefficients, differences
// the odd ones.
func dct(b *[64]float32, o, s int) {
	x0, x1, x2, x3 := b[o], b[o+s], b[o+2*s], b[o+3*s]
	x7, x6, x5, x4 := b[o+7*s], b[o+6*s], b[o+5*s], b[o+4*s]
	s0, s1, s2, s3 := x0+x7, x1+x6, x2+x5, x3+x4
	d0, d1, d2, d3 := x0-x7, x1-x6, x2-x5, x3-x4
	e0, e1, f0, f1 := s0+s3, s1+s2, s0-s3, s1-s2
	c1, c2, c3, c4, c5, c6, c7 := cosine[1], cosine[2], cosine[3], cosine[4], cosine[5], cosine[6], cosine[7]
	b[o] = (e0 + e1) * c4
	b[o+4*s] = (e0 - e1) * c4
	b[o+2*s] = f0*c2 + f1*c6
	b[o+6*s] = f0*c6 - f1*c2
	b[o+s] = d0*c1 + d1*c3 + d2*c5 + d3*c7
	b[o+3*s] = d0*c3 - d1*c7 - d2*c1 - d3*c5
	b[o+5*s] = d0*c5 - d1*c1 + d2*c7 + d3*c3
	b[o+7*s] = d0*c7 - d1*c5 + d2*c3 - d3*c1
}

// divisors are the inverses of a table, in zig-zag order like it.
func divisors(t *[64]byte) *[64]float32 {
	var d [64]float32
	for i, v := range t {
		d[i] = 1 / float32(v)
	}
	return &d
}

// quantised are the coefficients of a block in zig-zag order, as they are written.
func quantised(b *[64]float32, q *[64]float32) (l [64]int16) {
	for k := range l {
		l[k] = int16(round(b[zigzag[k]]*q[k], 1023))
	}
	return l
}

// round rounds to the nearest integer and keeps it in the range that baseline
// coding has codes for.
func round(f float32, most int) int {
	n := 0
	if f >= 0 {
		n = int(f + 0.5)
	} else {
		n = -int(0.5 - f)
	}
	return min(max(n, -most), most)
}

// number is a value as it stands behind its code, in so many bits: one less when
// it is negative. Whether it is cannot be guessed, so nothing is to jump there.
func number(v int) (b uint64, size uint) {
	sign := v >> 63
	size = uint(bits.Len16(uint16(v^sign-sign))) & 15
	return uint64(v+sign) & (1<<size - 1), size
}

// before is the code with the value behind it, and how many bits these are: 32 at
// most.
func (c code) before(v uint64, size uint) (uint64, uint) {
	return uint64(c.bits)<<size | v, uint(c.n) + size
}

// stream is entropy-coded data that is being written.
type stream struct {
	bits   uint64 // of which the lowest n are not among the octets
	n      uint
	octets []byte
}

// emit writes n bits, 32 at most, of which b has no more.
func (s *stream) emit(b uint64, n uint) {
	s.bits, s.n = s.bits<<n|b, s.n+n
	if s.n >= 32 {
		s.n -= 32
		s.octets = four(s.octets, s.bits>>s.n)
	}
}

// four writes the lowest 32 bits. Ones alone are followed by a zero octet, so that no
// data looks like a marker (T.81 F.1.2.3).
func four(b []byte, next uint64) []byte {
	w := uint32(next)
	// Rarely is one of four octets all ones.
	if z := ^w; (z-0x01010101)&^z&0x80808080 == 0 {
		return binary.BigEndian.AppendUint32(b, w)
	}
	for i := 24; i >= 0; i -= 8 {
		b = one(b, byte(w>>i))
	}
	return b
}

func one(b []byte, c byte) []byte {
	if b = append(b, c); c == 0xff {
		b = append(b, 0)
	}
	return b
}

// end writes the bits that are left, filled up with ones (T.81 F.1.2.3).
func (s stream) end() []byte {
	s.emit(0x7f, 7)
	for ; s.n >= 8; s.n -= 8 {
		s.octets = one(s.octets, byte(s.bits>>(s.n-8)))
	}
	return s.octets
}
