package image

import "encoding/binary"

// quickInks is what inks says, for pixels of octets and many of them: the numbers
// of the table as they are multiplied, for each value of an ink where it is on the
// grid, and one sum from L*a*b* to sRGB in place of three. A leaflet of twelve
// megapixels takes less than a second by it. No number of it is another than that
// of inks by more than the last bits of a float.
type quickInks struct {
	table  *inks
	nodes  [][4]float32    // L, a and b for each mixture, and one that is there for its place
	node   [4][256]int32   // the node below, counted from the first mixture
	part   [4][256]float32 // how far it is to the next
	step   [4]int32        // from a node to the next along an ink
	scale  [3]float32      // from what the curves give to L*a*b*, as the cubes want it
	shift  [3]float32
	sum    [3][4]float32 // from those cubes to linear sRGB
	curved bool          // the curves behind change anything
}

func newQuickInks(t *inks) *quickInks {
	q := &quickInks{table: t}
	n := len(t.grid)
	size := 1
	for c := n - 1; c >= 0; c-- {
		q.step[c] = int32(size)
		size *= t.grid[c]
	}
	for c := range n {
		for v, at := range t.place[c] {
			i := min(int(at), t.grid[c]-2)
			q.node[c][v], q.part[c][v] = int32(i)*q.step[c], at-float32(i)
		}
	}
	q.nodes = make([][4]float32, size)
	for i := range q.nodes {
		for c := range 3 {
			if t.wide {
				q.nodes[i][c] = float32(binary.BigEndian.Uint16(t.nodes[2*(3*i+c):])) / 65535
			} else {
				q.nodes[i][c] = float32(t.nodes[3*i+c]) / 255
			}
		}
	}
	q.curved = t.matrix != nil
	for _, e := range t.ends {
		for i, v := range e {
			q.curved = q.curved || v != float32(i)/float32(len(e)-1)
		}
	}
	l, ab, off := float64(100), float64(255), float64(128)
	if t.old { // 6.3.4.2, table 13
		l, ab = 65535.0/65280*100, 65535.0/256
	}
	// (L + 16) / 116, and a / 500 and b / 200 more or less than it.
	q.scale = [3]float32{float32(l / 116), float32(ab / 500), float32(ab / 200)}
	q.shift = [3]float32{float32(16.0 / 116), float32(off / 500), float32(off / 200)}
	scale := 1 / (1 - t.black)
	white := [3]float64{0.9642, 1, 0.8249}
	for i, m := range toSRGB {
		for j, w := range white {
			q.sum[i][j] = float32(m[j] * w * scale)
			q.sum[i][3] -= float32(m[j] * w * scale * t.black)
		}
	}
	return q
}

// cube is fromLab's.
func cube(t float32) float32 {
	if t > 6.0/29 {
		return t * t * t
	}
	return 3 * (6.0 / 29) * (6.0 / 29) * (t - 4.0/29)
}

// light is a mixture in linear sRGB, as inks.light has it.
func (q *quickInks) light(ink [4]byte) [3]float32 {
	p0, p1, p2 := q.part[0][ink[0]], q.part[1][ink[1]], q.part[2][ink[2]]
	s0, s1, s2 := q.step[0], q.step[1], q.step[2]
	node := q.node[0][ink[0]] + q.node[1][ink[1]] + q.node[2][ink[2]]
	// In the order of what is left, the most first.
	if p0 < p1 {
		p0, p1, s0, s1 = p1, p0, s1, s0
	}
	if p1 < p2 {
		p1, p2, s1, s2 = p2, p1, s2, s1
	}
	if p0 < p1 {
		p0, p1, s0, s1 = p1, p0, s1, s0
	}
	var p3 float32
	var s3 int32
	if len(q.table.grid) == 4 {
		p3, s3 = q.part[3][ink[3]], q.step[3]
		node += q.node[3][ink[3]]
		if p2 < p3 {
			p2, p3, s2, s3 = p3, p2, s3, s2
		}
		if p1 < p2 {
			p1, p2, s1, s2 = p2, p1, s2, s1
		}
		if p0 < p1 {
			p0, p1, s0, s1 = p1, p0, s1, s0
		}
	}
	a := &q.nodes[node]
	node += s0
	b := &q.nodes[node]
	node += s1
	c := &q.nodes[node]
	node += s2
	d := &q.nodes[node]
	e := &q.nodes[node+s3]
	wa, wb, wc, wd := 1-p0, p0-p1, p1-p2, p2-p3
	v0 := wa*a[0] + wb*b[0] + wc*c[0] + wd*d[0] + p3*e[0]
	v1 := wa*a[1] + wb*b[1] + wc*c[1] + wd*d[1] + p3*e[1]
	v2 := wa*a[2] + wb*b[2] + wc*c[2] + wd*d[2] + p3*e[2]
	if q.curved {
		t := q.table
		v0, v1, v2 = along(t.ends[0], v0), along(t.ends[1], v1), along(t.ends[2], v2)
		if m := t.matrix; m != nil {
			x, y, z := v0, v1, v2
			v0 = along(t.last[0], m[0]*x+m[1]*y+m[2]*z+m[9])
			v1 = along(t.last[1], m[3]*x+m[4]*y+m[5]*z+m[10])
			v2 = along(t.last[2], m[6]*x+m[7]*y+m[8]*z+m[11])
		}
	}
	fy := v0*q.scale[0] + q.shift[0]
	x, y, z := cube(fy+v1*q.scale[1]-q.shift[1]), cube(fy), cube(fy-v2*q.scale[2]+q.shift[2])
	var n [3]float32
	for i := range n {
		m := &q.sum[i]
		n[i] = m[0]*x + m[1]*y + m[2]*z + m[3]
	}
	return n
}
