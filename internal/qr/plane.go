package qr

import (
	"encoding/binary"
	"math"
)

// Plane is a grey picture: a byte a pixel, rows Stride apart.
type Plane struct {
	Pix           []byte
	Width, Height int
	Stride        int
}

// double draws a picture twice as large, with the pixels between as the mean of
// their neighbours.
func double(p Plane) Plane {
	out := Plane{Width: 2*p.Width - 1, Height: 2*p.Height - 1, Stride: 2*p.Width - 1}
	out.Pix = make([]byte, out.Stride*out.Height)
	for y := range out.Height {
		a, b := p.Pix[y/2*p.Stride:], p.Pix[(y+1)/2*p.Stride:]
		line := out.Pix[y*out.Stride : (y+1)*out.Stride]
		for x := range line {
			line[x] = byte((int(a[x/2]) + int(a[(x+1)/2]) + int(b[x/2]) + int(b[(x+1)/2])) / 4)
		}
	}
	return out
}

// reduce averages squares of pixels until the picture is small enough.
func reduce(p Plane) Plane {
	k := 1
	for (p.Width/k)*(p.Height/k) > maxPixels || p.Width/k > maxSide || p.Height/k > maxSide {
		k++
	}
	if k == 1 {
		return p
	}
	out := Plane{Width: p.Width / k, Height: p.Height / k, Stride: p.Width / k}
	out.Pix = make([]byte, out.Width*out.Height)
	sums := make([]uint32, out.Width)
	// Of 255 x k², so that no division is left in the loop.
	scale := uint64(1<<32) / uint64(k*k)
	for y := range out.Height {
		clear(sums)
		for j := range k {
			row := p.Pix[(y*k+j)*p.Stride:]
			row = row[:out.Width*k]
			switch k {
			case 2:
				for x := range sums {
					sums[x] += uint32(row[2*x]) + uint32(row[2*x+1])
				}
			case 3:
				for x := range sums {
					sums[x] += uint32(row[3*x]) + uint32(row[3*x+1]) + uint32(row[3*x+2])
				}
			default:
				for x := range sums {
					for _, v := range row[x*k : x*k+k] {
						sums[x] += uint32(v)
					}
				}
			}
		}
		line := out.Pix[y*out.Stride:]
		for x, s := range sums {
			line[x] = byte(uint64(s) * scale >> 32)
		}
	}
	return out
}

// bitmap has 1 for dark pixels.
type bitmap struct {
	bits          []byte
	width, height int
}

func (b *bitmap) at(x, y int) byte {
	if x < 0 || y < 0 || x >= b.width || y >= b.height {
		return 0
	}
	return b.bits[y*b.width+x]
}

func (b *bitmap) near(p point) byte { return b.at(int(math.Floor(p.x)), int(math.Floor(p.y))) }

// binarize tells dark from light by the darkest and the lightest pixel near
// by, since a photograph of a poster is not lit evenly. Where all is alike near
// by, inside a large module for instance, a wider look decides, and then the
// middle of the whole picture.
func binarize(p Plane) *bitmap {
	const (
		side, contrast = 8, 40
	)
	// The smallest code is 21 modules wide.
	if p.Width < 24 || p.Height < 24 {
		return nil
	}
	cols, rows := (p.Width+side-1)/side, (p.Height+side-1)/side
	low, high := make([]byte, cols*rows), make([]byte, cols*rows)
	for i := range low {
		low[i] = 255
	}
	darkest, lightest := byte(255), byte(0)
	for r := range rows {
		extremes(p, r*side, min(r*side+side, p.Height), low[r*cols:(r+1)*cols], high[r*cols:(r+1)*cols])
	}
	for i := range low {
		darkest, lightest = min(darkest, low[i]), max(lightest, high[i])
	}
	if lightest-darkest < contrast {
		return nil
	}
	middle := byte((int(darkest) + int(lightest)) / 2)
	// What noise makes of an even place must not pass for dark and light.
	span := int(lightest) - int(darkest)
	// Each field of the near ones knows of two more on either side, so that of
	// the wide ones every fifth is enough.
	near, wide := []int{-2, -1, 0, 1, 2}, []int{-7, -2, 3, 7}
	nearLow, nearHigh := spread(low, cols, rows, near, true), spread(high, cols, rows, near, false)
	wideLow, wideHigh := spread(nearLow, cols, rows, wide, true), spread(nearHigh, cols, rows, wide, false)
	b := &bitmap{bits: make([]byte, p.Width*p.Height), width: p.Width, height: p.Height}
	for r := range rows {
		for c := range cols {
			t := middle
			i := r*cols + c
			if l, h := int(nearLow[i]), int(nearHigh[i]); h-l >= max(contrast, span*3/8) {
				t = byte((l + h + 1) / 2)
			} else if l, h := int(wideLow[i]), int(wideHigh[i]); h-l >= max(contrast, span/5) {
				t = byte((l + h + 1) / 2)
			}
			if low[i] >= t {
				continue // nothing is dark here
			}
			x0, x1 := c*side, min(c*side+side, p.Width)
			for y := r * side; y < min(r*side+side, p.Height); y++ {
				in, out := p.Pix[y*p.Stride+x0:y*p.Stride+x1], b.bits[y*b.width+x0:y*b.width+x1]
				if len(in) == side {
					_, darker := compare(binary.LittleEndian.Uint64(in), ones*uint64(t))
					binary.LittleEndian.PutUint64(out, darker)
					continue
				}
				for i, v := range in {
					// Without a branch: which way it would go nobody can guess.
					out[i] = byte((uint16(v) - uint16(t)) >> 15)
				}
			}
		}
	}
	return b
}

// spread gives each field the lowest or highest of those so many away, across
// and down; at the edge, of the last one.
func spread(in []byte, cols, rows int, away []int, lowest bool) []byte {
	// Upside down, the lowest is the highest.
	flip := byte(0)
	if !lowest {
		flip = 255
	}
	const edge = 8 // above what anybody asks for
	padded := make([]byte, cols+2*edge)
	across, out := make([]byte, len(in)), make([]byte, len(in))
	for r := range rows {
		row := in[r*cols : (r+1)*cols]
		for i := range padded {
			padded[i] = row[min(max(i-edge, 0), cols-1)] ^ flip
		}
		line := across[r*cols : (r+1)*cols]
		copy(line, padded[edge+away[0]:])
		for _, d := range away[1:] {
			lower(line, padded[edge+d:])
		}
	}
	for r := range rows {
		line := out[r*cols : (r+1)*cols]
		for i, d := range away {
			from := across[min(max(r+d, 0), rows-1)*cols:]
			if i == 0 {
				copy(line, from)
			} else {
				lower(line, from)
			}
		}
		for c := range line {
			line[c] ^= flip
		}
	}
	return out
}

// lower takes what is lower of each place of to and from.
func lower(to, from []byte) {
	from = from[:len(to)]
	for ; len(to) >= 8; to, from = to[8:], from[8:] {
		x, y := binary.LittleEndian.Uint64(to), binary.LittleEndian.Uint64(from)
		m, _ := compare(x, y)
		binary.LittleEndian.PutUint64(to, y&m|x&^m)
	}
	for i, v := range from {
		to[i] = min(to[i], v)
	}
}

// ones is a one in each of eight octets.
const ones = 0x0101010101010101

// compare compares eight octets of x with those of y at once: notLower is all
// bits of an octet that is not lower, lower a one of each that is.
func compare(x, y uint64) (notLower, lower uint64) {
	const top = 0x80 * ones
	// Of the lower seven bits a top bit is left where nothing was borrowed.
	t := (x | top) - (y &^ top)
	n := (x&^y | ^(x^y)&t) >> 7 & ones
	return n * 0xff, n ^ ones
}

// extremes finds the darkest and the lightest of fields eight pixels wide,
// in the rows from y to end.
func extremes(p Plane, y, end int, low, high []byte) {
	const side, paper = 8, ^uint64(0)
	for c := range low {
		x := c * side
		if x+side > p.Width {
			for ; y < end; y++ {
				for _, v := range p.Pix[y*p.Stride+x : y*p.Stride+p.Width] {
					low[c], high[c] = min(low[c], v), max(high[c], v)
				}
			}
			continue
		}
		lo, hi := paper, uint64(0)
		for at := y*p.Stride + x; at < (end-1)*p.Stride+x+side; at += p.Stride {
			v := binary.LittleEndian.Uint64(p.Pix[at : at+side])
			if v == paper {
				hi = paper // most of a page
				continue
			}
			m, _ := compare(lo, v)
			lo = v&m | lo&^m
			m, _ = compare(hi, v)
			hi = hi&m | v&^m
		}
		for range side {
			low[c], high[c] = min(low[c], byte(lo)), max(high[c], byte(hi))
			lo, hi = lo>>8, hi>>8
		}
	}
}
