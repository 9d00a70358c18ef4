package image

import (
	"encoding/binary"
	"image"
)

// inks says what colours the inks of a printing press make together: curves, a
// grid of colours over all mixtures, curves again (ICC.1:2010, 10.8 and 10.9,
// lut16Type and lut8Type). By the plain rule of light less ink the leaflet of a
// printer's glows.
type inks struct {
	grid  int             // places along each ink
	wide  bool            // nodes of sixteen bits
	place [4][256]float32 // where on the grid an ink is
	nodes []byte          // L, a and b for each mixture, the last ink fastest
	ends  [3][]float32    // the curves behind, 0 to 1
}

const (
	// inkBytes bounds a profile of inks. Those of the printers' associations
	// have 0.5 to 3 million octets.
	inkBytes = 4 << 20
)

// readInks reads the table from inks to colours as they are seen: AToB0, whose
// intent is the one for pictures.
func readInks(b []byte) *inks {
	if len(b) < 52 || b[8] != 4 || b[9] != 3 || b[10] < 2 {
		return nil
	}
	t := &inks{grid: int(b[10])}
	in, out, size, rest := 256, 256, 1, b[48:]
	switch string(b[:4]) {
	case "mft1":
	case "mft2":
		t.wide, size = true, 2
		in, out = int(binary.BigEndian.Uint16(b[48:])), int(binary.BigEndian.Uint16(b[50:]))
		rest = b[52:]
		if in < 2 || in > 4096 || out < 2 || out > 4096 {
			return nil
		}
	default:
		return nil
	}
	nodes := t.grid * t.grid * t.grid * t.grid * 3
	if len(rest) < size*(4*in+nodes+3*out) {
		return nil
	}
	value := func(b []byte, i int) float32 {
		if t.wide {
			return float32(binary.BigEndian.Uint16(b[2*i:])) / 65535
		}
		return float32(b[i]) / 255
	}
	for c := range t.place {
		table := rest[size*c*in:]
		for v := range t.place[c] {
			at := float32(v) / 255 * float32(in-1)
			i := min(int(at), in-2)
			lo, hi := value(table, i), value(table, i+1)
			t.place[c][v] = (lo + (hi-lo)*(at-float32(i))) * float32(t.grid-1)
		}
	}
	rest = rest[size*4*in:]
	t.nodes = rest[:size*nodes]
	rest = rest[size*nodes:]
	for c := range t.ends {
		t.ends[c] = make([]float32, out) // no more than the file holds
		for i := range out {
			t.ends[c][i] = value(rest, c*out+i)
		}
	}
	return t
}

// lab is the colour of a mixture, L from 0 to 100.
func (t *inks) lab(ink [4]byte) (l, a, b float32) {
	var lo [4]int
	var part [4]float32
	for c, v := range ink {
		at := t.place[c][v]
		lo[c] = min(int(at), t.grid-2)
		part[c] = at - float32(lo[c])
	}
	var sum [3]float32
	for corner := range 16 {
		weight, node := float32(1), 0
		for c := range 4 {
			i, w := lo[c], 1-part[c]
			if corner>>c&1 == 1 {
				i, w = i+1, part[c]
			}
			weight *= w
			node = node*t.grid + i
		}
		if weight == 0 {
			continue
		}
		for i := range sum {
			if t.wide {
				sum[i] += weight * float32(binary.BigEndian.Uint16(t.nodes[2*(3*node+i):])) / 65535
			} else {
				sum[i] += weight * float32(t.nodes[3*node+i]) / 255
			}
		}
	}
	for i, v := range sum {
		end := t.ends[i]
		at := min(max(v, 0), 1) * float32(len(end)-1)
		j := min(int(at), len(end)-2)
		sum[i] = end[j] + (end[j+1]-end[j])*(at-float32(j))
	}
	if t.wide { // 6.3.4.2, table 13: 0xff00 is 100, 0x8000 is 0
		return sum[0] * 65535 / 65280 * 100, sum[1]*65535/256 - 128, sum[2]*65535/256 - 128
	}
	return sum[0] * 100, sum[1]*255 - 128, sum[2]*255 - 128
}

// mixed gives the sRGB numbers of a mixture of inks.
func (p *profile) mixed(ink [4]byte) (uint8, uint8, uint8) {
	l, a, b := p.inks.lab(ink)
	x, y, z := fromLab(float64(l), float64(a), float64(b))
	var n [3]uint8
	for i, m := range toSRGB {
		n[i] = p.level(float32(m[0]*x + m[1]*y + m[2]*z))
	}
	return n[0], n[1], n[2]
}

// inked turns inks, four octets a pixel, into colours where they lie.
func (p *profile) inked(pix []byte) {
	if p == nil || p.inks == nil {
		inked(pix)
		return
	}
	var last [4]byte
	r, g, b := p.mixed(last)
	for ; len(pix) >= 4; pix = pix[4:] {
		if ink := [4]byte(pix); ink != last {
			last = ink
			r, g, b = p.mixed(ink)
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
