package image

import (
	"encoding/binary"
	"image"
	"sync"
)

// inks says what colours the inks of a printing press make together, or the
// numbers of a scanner's red, green and blue: curves, a grid of colours over all
// mixtures, curves again (ICC.1:2010, 10.8 to 10.10, lut16Type, lut8Type and
// lutAToBType). By the plain rule of light less ink the leaflet of a printer's
// glows.
type inks struct {
	grid   []int           // places along each ink
	wide   bool            // nodes of sixteen bits
	old    bool            // L*a*b* as profiles of version 2 write it in sixteen bits
	place  [4][256]float32 // where on the grid an ink is
	nodes  []byte          // L, a and b for each mixture, the last ink fastest
	ends   [3][]float32    // the curves behind, 0 to 1
	matrix *[12]float32    // behind these, and then
	last   [3][]float32    // curves once more
	black  float64         // the light of the darkest mixture

	once  sync.Once
	ready *quickInks
}

const (
	// inkBytes bounds a profile of inks. Those of the printers' associations
	// have 0.5 to 3 million octets.
	inkBytes = 4 << 20
)

// readInks reads the table from so many inks to colours as they are seen: AToB0,
// whose intent is the one for pictures.
func readInks(b []byte, channels int) *inks {
	if len(b) < 52 || int(b[8]) != channels || b[9] != 3 {
		return nil
	}
	t := &inks{}
	read := t.table
	if string(b[:4]) == "mAB " {
		read = t.stages
	}
	if !read(b, channels) {
		return nil
	}
	t.black = t.darkest()
	return t
}

// table reads lut16Type and lut8Type.
func (t *inks) table(b []byte, channels int) bool {
	grid := int(b[10])
	if grid < 2 {
		return false
	}
	in, out, size, rest := 256, 256, 1, b[48:]
	switch string(b[:4]) {
	case "mft1":
	case "mft2":
		t.wide, t.old, size = true, true, 2
		in, out = int(binary.BigEndian.Uint16(b[48:])), int(binary.BigEndian.Uint16(b[50:]))
		rest = b[52:]
		if in < 2 || in > 4096 || out < 2 || out > 4096 {
			return false
		}
	default:
		return false
	}
	nodes := 3
	for range channels {
		t.grid = append(t.grid, grid)
		nodes *= grid
	}
	if len(rest) < size*(channels*in+nodes+3*out) {
		return false
	}
	value := func(b []byte, i int) float32 {
		if t.wide {
			return float32(binary.BigEndian.Uint16(b[2*i:])) / 65535
		}
		return float32(b[i]) / 255
	}
	for c := range channels {
		table := rest[size*c*in:]
		for v := range t.place[c] {
			at := float32(v) / 255 * float32(in-1)
			i := min(int(at), in-2)
			lo, hi := value(table, i), value(table, i+1)
			t.place[c][v] = (lo + (hi-lo)*(at-float32(i))) * float32(grid-1)
		}
	}
	rest = rest[size*channels*in:]
	t.nodes = rest[:size*nodes]
	rest = rest[size*nodes:]
	for c := range t.ends {
		t.ends[c] = make([]float32, out) // no more than the file holds
		for i := range out {
			t.ends[c][i] = value(rest, c*out+i)
		}
	}
	return true
}

// stages reads lutAToBType, the table of profiles of version 4: curves, grid,
// curves, matrix, curves, of which the middle two may be left out.
func (t *inks) stages(b []byte, channels int) bool {
	at := func(i int) []byte {
		from := binary.BigEndian.Uint32(b[i:])
		if from == 0 || int64(from) > int64(len(b)) {
			return nil
		}
		return b[from:]
	}
	grid := at(24)
	if len(grid) < 20 || grid[16] != 1 && grid[16] != 2 {
		return false
	}
	size := int64(grid[16])
	nodes := 3 * size
	for _, n := range grid[:channels] {
		if nodes *= int64(n); n < 2 || nodes > int64(len(b)) {
			return false
		}
		t.grid = append(t.grid, int(n))
	}
	if int64(len(grid)) < 20+nodes {
		return false
	}
	t.wide, t.nodes = size == 2, grid[20:20+nodes]
	first, ok := curves(at(28), channels)
	if !ok {
		return false
	}
	for c := range first {
		for v, x := range first[c] {
			t.place[c][v] = x * float32(t.grid[c]-1)
		}
	}
	if b := at(20); b != nil {
		m := at(16)
		middle, ok := curves(b, 3)
		if !ok || len(m) < 48 {
			return false
		}
		t.matrix = &[12]float32{}
		for i := range t.matrix {
			t.matrix[i] = float32(fixed(m[4*i:]))
		}
		for c := range middle {
			t.ends[c] = middle[c][:]
		}
	}
	last, ok := curves(at(12), 3)
	if !ok {
		return false
	}
	for c := range last {
		if t.matrix == nil {
			t.ends[c] = last[c][:]
		} else {
			t.last[c] = last[c][:]
		}
	}
	return true
}

// curves reads n curves that stand one behind the other, each at a place that
// four divides.
func curves(b []byte, n int) (c [][256]float32, ok bool) {
	c = make([][256]float32, n)
	for i := range c {
		if !curve(b, &c[i]) {
			return nil, false
		}
		size := int64(12) + 4*int64([...]int{1, 3, 4, 5, 7}[b[9]%5]) // curve has seen that it is below 5
		if string(b[:4]) == "curv" {
			size = 12 + 2*int64(binary.BigEndian.Uint32(b[8:]))
		}
		b = b[min((size+3)&^3, int64(len(b))):]
	}
	return c, true
}

// along is the value of a curve at a place from 0 to 1.
func along(curve []float32, v float32) float32 {
	if !(v > 0) { // NaN too
		v = 0
	}
	at := min(v, 1) * float32(len(curve)-1)
	i := min(int(at), len(curve)-2)
	return curve[i] + (curve[i+1]-curve[i])*(at-float32(i))
}

// darkest is the light of the blackest of what is black: every ink, or black
// alone, or no red, green and blue. A paper's black is not that of a screen, and
// without compensation (ISO 18619) letters in print would be grey. Where it is
// lighter than half the way to white the table is of something else.
func (t *inks) darkest() float64 {
	blacks := [][4]uint16{{65535, 65535, 65535, 65535}, {0, 0, 0, 65535}}
	if len(t.grid) == 3 {
		blacks = [][4]uint16{{}}
	}
	darkest := float32(50)
	for _, v := range blacks {
		l, _, _ := t.lab(v)
		darkest = min(darkest, l)
	}
	if !(darkest > 0) || darkest == 50 {
		return 0
	}
	_, y, _ := fromLab(float64(darkest), 0, 0)
	return y
}

// lab is the colour of a mixture, L from 0 to 100.
func (t *inks) lab(ink [4]uint16) (l, a, b float32) {
	n := len(t.grid)
	var lo [4]int
	var part [4]float32
	for c, v := range ink[:n] {
		i, rest := v/257, float32(v%257)/257
		at := t.place[c][i]
		if rest > 0 {
			at += (t.place[c][i+1] - at) * rest
		}
		lo[c] = min(int(at), t.grid[c]-2)
		part[c] = at - float32(lo[c])
	}
	// Of the corners around it, five are enough of sixteen: from the lowest on,
	// always along the ink of which most is left.
	var order [4]int
	node, step := 0, [4]int{}
	for c, each := n-1, 1; c >= 0; c-- {
		node, step[c] = node+lo[c]*each, each
		each *= t.grid[c]
	}
	for c := range n {
		i := c
		for ; i > 0 && part[order[i-1]] < part[c]; i-- {
			order[i] = order[i-1]
		}
		order[i] = c
	}
	var sum [3]float32
	left := float32(1)
	for i := range n + 1 {
		next := float32(0)
		if i < n {
			next = part[order[i]]
		}
		if weight := left - next; weight != 0 {
			for c := range sum {
				if t.wide {
					sum[c] += weight * float32(binary.BigEndian.Uint16(t.nodes[2*(3*node+c):])) / 65535
				} else {
					sum[c] += weight * float32(t.nodes[3*node+c]) / 255
				}
			}
		}
		if i < n {
			left = next
			node += step[order[i]]
		}
	}
	for i, v := range sum {
		sum[i] = along(t.ends[i], v)
	}
	if m := t.matrix; m != nil {
		x, y, z := sum[0], sum[1], sum[2]
		for i := range sum {
			sum[i] = along(t.last[i], m[3*i]*x+m[3*i+1]*y+m[3*i+2]*z+m[9+i])
		}
	}
	if t.old { // 6.3.4.2, table 13: 0xff00 is 100, 0x8000 is 0
		return sum[0] * 65535 / 65280 * 100, sum[1]*65535/256 - 128, sum[2]*65535/256 - 128
	}
	return sum[0] * 100, sum[1]*255 - 128, sum[2]*255 - 128
}

// light is a mixture in linear sRGB, its black as black as a screen's.
func (t *inks) light(ink [4]uint16) [3]float32 {
	l, a, b := t.lab(ink)
	x, y, z := fromLab(float64(l), float64(a), float64(b))
	scale := 1 / (1 - t.black)
	x, y, z = (x-0.9642*t.black)*scale, (y-t.black)*scale, (z-0.8249*t.black)*scale
	var n [3]float32
	for i, m := range toSRGB {
		n[i] = float32(m[0]*x + m[1]*y + m[2]*z)
	}
	return n
}

// mixed gives the sRGB numbers of a mixture of inks.
func (p *profile) mixed(ink [4]byte) (uint8, uint8, uint8) {
	var wide [4]uint16
	for i, v := range ink {
		wide[i] = 257 * uint16(v)
	}
	n := p.inks.light(wide)
	return p.level(n[0]), p.level(n[1]), p.level(n[2])
}

// quick is the table made ready for many pixels of octets.
func (t *inks) quick() *quickInks {
	t.once.Do(func() { t.ready = newQuickInks(t) })
	return t.ready
}

// inked turns inks, four octets a pixel, into colours where they lie.
func (p *profile) inked(pix []byte) {
	if p == nil || p.inks == nil {
		inked(pix)
		return
	}
	q := p.inks.quick()
	var last [4]byte
	r, g, b := p.mixed(last)
	for ; len(pix) >= 4; pix = pix[4:] {
		if ink := [4]byte(pix); ink != last {
			last = ink
			n := q.light(ink)
			r, g, b = p.level(n[0]), p.level(n[1]), p.level(n[2])
		}
		pix[0], pix[1], pix[2], pix[3] = r, g, b, 255
	}
}

// drawn is a picture of inks in colours, by a profile of inks; others stay.
func (p *profile) drawn(m image.Image) image.Image {
	c, ok := m.(*image.CMYK)
	if !ok || p == nil {
		return m
	}
	p.inked(c.Pix)
	return &image.RGBA{Pix: c.Pix, Stride: c.Stride, Rect: c.Rect}
}

// grey reports whether no pixel has a colour.
func grey(pix []byte) bool {
	for i := 0; i+3 < len(pix); i += 4 {
		if pix[i] != pix[i+1] || pix[i] != pix[i+2] {
			return false
		}
	}
	return true
}

// readGrey reads a profile of one curve (ICC.1:2010, 8.3.4): of light, or of
// lightness where it speaks in L*.
func readGrey(trc []byte, lightness bool) *profile {
	p := &profile{srgb: srgb(), channels: 1, matrix: [3][3]float32{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}
	if !curve(trc, &p.linear[0]) {
		return nil
	}
	for i, v := range p.linear[0] {
		if lightness {
			_, y, _ := fromLab(100*float64(v), 0, 0)
			p.linear[0][i] = float32(y)
		}
	}
	p.linear[1], p.linear[2] = p.linear[0], p.linear[0]
	if p.linear[0][255]-p.linear[0][0] < 0.5 {
		return nil // it would leave nothing to see
	}
	return p
}

// profilePiece takes one of the segments that a profile stands in, in their
// order (ICC.1:2010, B.4). b is what follows the name.
func (j *segments) profilePiece(b []byte) {
	if len(b) < 2 || int(b[0]) != j.iccPieces+1 || len(j.icc)+len(b) > inkBytes {
		return
	}
	j.iccPieces++
	j.icc = append(j.icc, b[2:]...)
	if b[0] == b[1] && j.profile == nil {
		j.profile = readProfile(j.icc)
	}
}

// fits is a profile if it speaks of as many channels as the picture has.
func (p *profile) fits(channels int) *profile {
	if p == nil || p.channels != channels {
		return nil
	}
	return p
}
