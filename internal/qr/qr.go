// Package qr reads QR codes (ISO/IEC 18004, model 2) in pictures. It is given
// grey pixels and returns what the codes say; it knows neither files nor mail.
//
// The pixels are a stranger's. Whatever they show, the work is bounded: a
// picture is reduced before it is looked at, no more than some dozens of
// places are tried as corners of a code and no more than some of their triples
// as codes, and every array has the size of the largest code there is.
package qr

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

const (
	// maxPixels is what a picture is reduced to: a page of A4 at 150 dpi is
	// looked at whole, a photograph of 12 megapixels at a third of its width.
	maxPixels = 2_200_000
	// maxSide bounds what reducing may allocate for very narrow pictures.
	maxSide = 10_000
	// maxCorners and maxTries bound the search. A poster has a few codes of
	// three corners; text and tiles make corners that are none.
	maxCorners = 36
	maxTries   = 40
	maxCodes   = 4
)

// Decode returns what the codes in p say, each text once, at most four.
func Decode(p Plane) []string {
	p = reduce(p)
	found, small := look(p)
	if len(found) == 0 && small > 0 && 4*p.Width*p.Height <= maxPixels {
		// Modules of two pixels are told apart better when there are pixels
		// between them. Only where something looked like a small corner.
		found, _ = look(double(p))
	}
	return found
}

// look also says how many places looked like corners of small codes, in more
// than one row.
func look(p Plane) (found []string, small int) {
	b := binarize(p)
	if b == nil {
		return nil, 0
	}
	cs := b.corners()
	for _, c := range cs {
		if c.module < 4 && c.hits > 1 {
			small++
		}
	}
	if len(cs) < 3 {
		return nil, small // most photographs end here
	}
	used := make([]bool, len(cs))
	for i, t := range triples(cs) {
		if i == maxTries || len(found) == maxCodes {
			break
		}
		if used[t.at[0]] || used[t.at[1]] || used[t.at[2]] {
			continue
		}
		text, ok := b.read(cs[t.at[0]], cs[t.at[1]], cs[t.at[2]])
		if !ok {
			continue
		}
		used[t.at[0]], used[t.at[1]], used[t.at[2]] = true, true, true
		if text != "" && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found, small
}

// corner is a place that looks like the square in a corner of a code.
type corner struct {
	point
	module float64 // width of a module
	dark   byte    // the colour of its middle: 0 in codes of light on dark
	hits   int     // rows in which it showed
}

// corners looks in every second row for runs of 1:1:3:1:1, which stand in any
// line through the middle of such a square.
func (b *bitmap) corners() []corner {
	var cs []corner
	changes := make([]uint64, (b.width+63)/64)
	for y := 1; y < b.height; y += 2 {
		b.changes(y, changes)
		var runs [5]int
		n, from, word := 0, 0, 0
		for x := 0; x < b.width; {
			for word < len(changes) && changes[word] == 0 {
				word++
			}
			if word == len(changes) {
				x = b.width // which ends the last run
			} else {
				x = 64*word + bits.TrailingZeros64(changes[word])
				changes[word] &= changes[word] - 1
			}
			runs[0], runs[1], runs[2], runs[3], runs[4] = runs[1], runs[2], runs[3], runs[4], x-from
			from = x
			if n++; n < 5 || runs[2] < runs[1] || runs[2] < runs[3] || !proportioned(&runs) {
				continue
			}
			middle := x - runs[4] - runs[3] - runs[2]/2 - 1
			c, ok := b.confirm(middle, y)
			if !ok {
				continue
			}
			known := false
			for i := range cs {
				if d := &cs[i]; d.dark == c.dark && distance(d.point, c.point) < 2.5*max(d.module, c.module) {
					d.hits++
					known = true
					break
				}
			}
			if !known {
				if len(cs) == 4*maxCorners {
					break // tiles, not codes; what was found first is tried
				}
				cs = append(cs, c)
			}
		}
	}
	slices.SortStableFunc(cs, func(a, b corner) int { return cmp.Compare(b.hits, a.hits) })
	return cs[:min(len(cs), maxCorners)]
}

// changes marks where the colour of a row changes, a bit a pixel.
func (b *bitmap) changes(y int, out []uint64) {
	row := b.bits[y*b.width : (y+1)*b.width]
	before := uint64(row[0])
	for i := range out {
		part := row[64*i : min(64*i+64, len(row))]
		w, at := uint64(0), 0
		for ; len(part) >= 8; at += 8 {
			// Each octet is 0 or 1 and moves to a bit of its own in the last one.
			w |= binary.LittleEndian.Uint64(part) * 0x0102040810204080 >> 56 << at
			part = part[8:]
		}
		for k, v := range part {
			w |= uint64(v) << (at + k)
		}
		out[i] = w ^ (w<<1 | before)
		before = w >> 63
	}
	if n := len(row) % 64; n > 0 {
		out[len(out)-1] &= 1<<n - 1 // nothing changes behind the end
	}
}

// proportioned reports whether five runs are as 1:1:3:1:1, each within half a
// module or a pixel.
func proportioned(r *[5]int) bool {
	total := r[0] + r[1] + r[2] + r[3] + r[4]
	if total < 7 || 4*r[2] < total || 2*r[2] > total+4 || r[2] < r[0] || r[2] < r[1] || r[2] < r[3] || r[2] < r[4] {
		return false
	}
	m := float64(total) / 7
	t := max(m*0.55, 0.9)
	off := func(n int, want float64) bool { return math.Abs(float64(n)-want*m) > t*max(want/2, 1) }
	return !off(r[0], 1) && !off(r[1], 1) && !off(r[2], 3) && !off(r[3], 1) && !off(r[4], 1)
}

// confirm looks at a place down, across and along a diagonal.
func (b *bitmap) confirm(x, y int) (corner, bool) {
	down, cy, ok := b.through(x, y, 0, 1)
	if !ok {
		return corner{}, false
	}
	y += int(math.Round(cy))
	across, cx, ok := b.through(x, y, 1, 0)
	if !ok || !alike(down, across, 0.4) {
		return corner{}, false
	}
	x += int(math.Round(cx))
	if _, _, ok := b.through(x, y, 1, 1); !ok {
		return corner{}, false
	}
	if _, _, ok := b.through(x, y, 1, -1); !ok {
		return corner{}, false
	}
	_, cy, ok = b.through(x, y, 0, 1)
	if !ok {
		return corner{}, false
	}
	_, cx, _ = b.through(x, y, 1, 0)
	return corner{point{float64(x) + cx + 0.5, float64(y) + cy + 0.5}, (down + across) / 14, b.at(x, y), 1}, true
}

// through measures the five runs of a line through x, y. It returns their sum
// and how far from there the middle is.
func (b *bitmap) through(x, y, dx, dy int) (total, middle float64, ok bool) {
	if x < 0 || y < 0 || x >= b.width || y >= b.height {
		return 0, 0, false
	}
	colour := b.at(x, y)
	step, most := dy*b.width+dx, b.width/3+b.height/3
	reach := func(sign int) (n [3]int, ok bool) {
		// How far it is to the edge.
		left := max(b.width, b.height)
		if d := sign * dx; d > 0 {
			left = min(left, b.width-x)
		} else if d < 0 {
			left = min(left, x+1)
		}
		if d := sign * dy; d > 0 {
			left = min(left, b.height-y)
		} else if d < 0 {
			left = min(left, y+1)
		}
		at, c := y*b.width+x, colour
		for i := range n {
			k := 0
			for ; k < left && b.bits[at] == c; at += sign * step {
				if k++; k > most {
					return n, false
				}
			}
			if k == 0 {
				return n, false
			}
			n[i], left = k, left-k
			if left == 0 && i < len(n)-1 {
				return n, false
			}
			c ^= 1
		}
		return n, true
	}
	f, ok := reach(1)
	if !ok {
		return 0, 0, false
	}
	g, ok := reach(-1)
	if !ok {
		return 0, 0, false
	}
	r := [5]int{g[2], g[1], g[0] + f[0] - 1, f[1], f[2]}
	if !proportioned(&r) {
		return 0, 0, false
	}
	return float64(r[0] + r[1] + r[2] + r[3] + r[4]), float64(f[0]-g[0]) / 2, true
}

// triple is three corners by number, the one between the others first, and how
// far they are from a right angle of equal sides.
type triple struct {
	at    [3]int
	error float64
}

// triples are the threes that could be the corners of one code, the likeliest
// first.
func triples(cs []corner) []triple {
	var ts []triple
	for i := range cs {
		for j := range cs {
			for k := j + 1; k < len(cs); k++ {
				if i == j || i == k {
					continue
				}
				a, b, c := cs[i], cs[j], cs[k]
				if a.dark != b.dark || a.dark != c.dark || !alike(a.module, b.module, 0.4) || !alike(a.module, c.module, 0.4) || !alike(b.module, c.module, 0.4) {
					continue
				}
				ab, ac, bc := distance(a.point, b.point), distance(a.point, c.point), distance(b.point, c.point)
				// The middles are at least 14 modules apart and at most 170; the
				// module as rows show it is wider when the code is turned.
				if ab < 9*a.module || ab > 190*a.module || !alike(ab, ac, 0.3) {
					continue
				}
				e := math.Abs(bc-math.Hypot(ab, ac))/bc + math.Abs(ab-ac)/ab
				if e > 0.35 {
					continue
				}
				t := triple{[3]int{i, j, k}, e + 0.3*(max(a.module, b.module, c.module)/min(a.module, b.module, c.module)-1)}
				// Clockwise on a picture whose y grows downwards.
				if cross(a.to(b.point), a.to(c.point)) < 0 {
					t.at[1], t.at[2] = k, j
				}
				ts = append(ts, t)
			}
		}
	}
	slices.SortStableFunc(ts, func(a, b triple) int { return cmp.Compare(a.error, b.error) })
	return ts
}

// read reads the code of three corners: left above, right above, left below.
func (b *bitmap) read(tl, tr, bl corner) (string, bool) {
	module := 0.0
	for _, v := range [...]float64{
		b.pitch(tl.point, tr.point, tl.dark), b.pitch(tr.point, tl.point, tl.dark),
		b.pitch(tl.point, bl.point, tl.dark), b.pitch(bl.point, tl.point, tl.dark),
	} {
		if v == 0 {
			return "", false
		}
		module += v / 4
	}
	side := (distance(tl.point, tr.point) + distance(tl.point, bl.point)) / 2
	guess := int(math.Round((side/module+7-17)/4))*4 + 17
	for _, n := range [...]int{guess, guess - 4, guess + 4} {
		if n < 21 || n > 177 {
			continue
		}
		fourths := b.fourths(tl, tr, bl, n, near)
		if n == guess && n >= 25 {
			// Seen from the side it lies further off.
			fourths = append(fourths, b.fourths(tl, tr, bl, n, far)[0])
		}
		for _, fourth := range fourths {
			h, ok := fourth.transform(tl, tr, bl, n)
			if !ok {
				continue
			}
			g := b.sample(h, n, tl.dark)
			if !g.timed() {
				continue
			}
			if text, ok := g.decode(); ok {
				return text, true
			}
			g.mirror()
			if text, ok := g.decode(); ok {
				return text, true
			}
		}
	}
	return "", false
}

// pitch is the width of a module along the line from one corner towards
// another: seven modules of it are in the first.
func (b *bitmap) pitch(from, to point, dark byte) float64 {
	d := from.to(to)
	l := d.length()
	if l == 0 {
		return 0
	}
	step := d.times(0.5 / l)
	total := 0.0
	for _, s := range [...]point{step, step.times(-1)} {
		c, n := dark, 0
		p := from
		for turns := 0; turns < 3; n++ {
			if float64(n) > 2*l {
				return 0
			}
			if !(p.x >= 0 && p.y >= 0 && p.x < float64(b.width) && p.y < float64(b.height)) {
				turns = 3
				continue
			}
			if b.near(p) != c {
				c ^= 1
				turns++
			}
			p = p.plus(s)
		}
		total += float64(n-1) / 2
	}
	return total / 7
}

// fourth is the last point that fixes how a code lies: in modules and in pixels.
type fourth struct {
	module float64
	at     point
}

// near and far are how far around its place the alignment pattern is looked for,
// in quarters of a module. The next one stands 16 modules away or more.
const near, far = 16, 31

// fourths are the guesses at it: the alignment pattern nearest to the corner
// without a square, if it shows, and the corner of a parallelogram.
func (b *bitmap) fourths(tl, tr, bl corner, n, reach int) []fourth {
	ux, uy := tl.to(tr.point).times(1/float64(n-7)), tl.to(bl.point).times(1/float64(n-7))
	whole := fourth{float64(n) - 3.5, tr.point.plus(tl.to(bl.point))}
	if n < 25 {
		return []fourth{whole}
	}
	guess := tl.point.plus(ux.times(float64(n) - 10)).plus(uy.times(float64(n) - 10))
	type place struct {
		at    point
		score int
		far   float64
	}
	best := place{score: 21} // of 25 modules
	for j := -reach; j <= reach; j++ {
		for i := -reach; i <= reach; i++ {
			p := guess.plus(ux.times(float64(i) / 4)).plus(uy.times(float64(j) / 4))
			if b.near(p) != tl.dark {
				continue
			}
			score := 0
			for y := -2; y <= 2; y++ {
				for x := -2; x <= 2; x++ {
					want := tl.dark
					if max(x, -x, y, -y) == 1 {
						want ^= 1
					}
					if b.near(p.plus(ux.times(float64(x))).plus(uy.times(float64(y)))) == want {
						score++
					}
				}
			}
			off := math.Hypot(float64(i), float64(j))
			if score > best.score || score == best.score && score > 21 && off < best.far {
				best = place{p, score, off}
			}
		}
	}
	if best.score == 21 {
		return []fourth{whole}
	}
	// The middle of the module: as far as its colour goes to each side.
	middle := func(p, u point) point {
		f, g := 0, 0
		for ; f < 8 && b.near(p.plus(u.times(float64(f+1)/8))) == tl.dark; f++ {
		}
		for ; g < 8 && b.near(p.plus(u.times(-float64(g+1)/8))) == tl.dark; g++ {
		}
		return p.plus(u.times(float64(f-g) / 16))
	}
	p := middle(middle(best.at, ux), uy)
	return []fourth{{float64(n) - 6.5, p}, whole}
}

// transform is the projection of modules to pixels.
func (f fourth) transform(tl, tr, bl corner, n int) (*[8]float64, bool) {
	m := float64(n) - 3.5
	from := [4]point{{3.5, 3.5}, {m, 3.5}, {3.5, m}, {f.module, f.module}}
	to := [4]point{tl.point, tr.point, bl.point, f.at}
	var a [8][9]float64
	for i := range 4 {
		u, v, p := from[i].x, from[i].y, to[i]
		a[2*i] = [9]float64{u, v, 1, 0, 0, 0, -u * p.x, -v * p.x, p.x}
		a[2*i+1] = [9]float64{0, 0, 0, u, v, 1, -u * p.y, -v * p.y, p.y}
	}
	for c := range 8 {
		pivot := c
		for r := c; r < 8; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[pivot][c]) {
				pivot = r
			}
		}
		a[c], a[pivot] = a[pivot], a[c]
		if math.Abs(a[c][c]) < 1e-9 {
			return nil, false
		}
		for r := range 8 {
			if r == c {
				continue
			}
			k := a[r][c] / a[c][c]
			for i := c; i < 9; i++ {
				a[r][i] -= k * a[c][i]
			}
		}
	}
	var h [8]float64
	for i := range h {
		h[i] = a[i][8] / a[i][i]
	}
	return &h, true
}

// sample takes the middle of each module.
func (b *bitmap) sample(h *[8]float64, n int, dark byte) *grid {
	g := &grid{n: n}
	for y := range n {
		for x := range n {
			u, v := float64(x)+0.5, float64(y)+0.5
			w := h[6]*u + h[7]*v + 1
			p := point{(h[0]*u + h[1]*v + h[2]) / w, (h[3]*u + h[4]*v + h[5]) / w}
			if p.finite() && b.near(p) == dark {
				g.dark[y][x] = true
			}
		}
	}
	return g
}
