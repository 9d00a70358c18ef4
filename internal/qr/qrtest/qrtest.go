// Package qrtest draws QR codes for tests: octets, level M, versions 1 to 6
// (ISO/IEC 18004). It shares nothing with the reader it tests.
package qrtest

import (
	"fmt"
	"image"
	"image/color"
)

// sizes are octets in all, octets of correction of a block, blocks (table 9,
// level M).
var sizes = [...][3]int{{}, {26, 10, 1}, {44, 16, 1}, {70, 26, 1}, {100, 18, 2}, {134, 24, 2}, {172, 16, 4}}

// Modules is the code of a text with one of the eight masks, dark is true.
func Modules(text string, mask int) ([][]bool, error) {
	for v := 1; v < len(sizes); v++ {
		if len(text)+2 <= sizes[v][0]-sizes[v][1]*sizes[v][2] {
			return modules(text, v, mask), nil
		}
	}
	return nil, fmt.Errorf("%d octets are too many", len(text))
}

func modules(text string, version, mask int) [][]bool {
	total, ec, blocks := sizes[version][0], sizes[version][1], sizes[version][2]
	room := total - ec*blocks
	// Mode 4, eight bits of length, the octets, mode 0.
	data := []byte{0x40 | byte(len(text)>>4), byte(len(text) << 4)}
	for i := range len(text) {
		data[len(data)-1] |= text[i] >> 4
		data = append(data, text[i]<<4)
	}
	for pad := byte(0xec); len(data) < room; pad ^= 0xec ^ 0x11 {
		data = append(data, pad)
	}
	each := room / blocks // alike in these versions
	var all []byte
	for i := range each {
		for b := range blocks {
			all = append(all, data[b*each+i])
		}
	}
	rests := make([][]byte, blocks)
	for b := range rests {
		rests[b] = remainder(data[b*each:(b+1)*each], ec)
	}
	for i := range ec {
		for b := range rests {
			all = append(all, rests[b][i])
		}
	}

	n := 17 + 4*version
	dark, set := make([][]bool, n), make([][]bool, n)
	for i := range dark {
		dark[i], set[i] = make([]bool, n), make([]bool, n)
	}
	put := func(x, y int, d bool) {
		if x >= 0 && y >= 0 && x < n && y < n {
			dark[y][x], set[y][x] = d, true
		}
	}
	for i := range n {
		put(6, i, i%2 == 0)
		put(i, 6, i%2 == 0)
	}
	square := func(cx, cy, reach int, light ...int) {
		for y := -reach; y <= reach; y++ {
			for x := -reach; x <= reach; x++ {
				d, ring := true, max(x, -x, y, -y)
				for _, l := range light {
					d = d && ring != l
				}
				put(cx+x, cy+y, d)
			}
		}
	}
	square(3, 3, 4, 2, 4)
	square(n-4, 3, 4, 2, 4)
	square(3, n-4, 4, 2, 4)
	if version > 1 {
		square(n-7, n-7, 2, 1)
	}
	format := uint32(mask) // level M is 00
	rest := format
	for range 10 {
		rest <<= 1
		if rest&0x400 != 0 {
			rest ^= 0x537
		}
	}
	format = (format<<10 | rest) ^ 0x5412
	bit := func(i int) bool { return format>>i&1 == 1 }
	for i := range 6 {
		put(8, i, bit(i))
		put(14-9-i, 8, bit(9+i))
	}
	put(8, 7, bit(6))
	put(8, 8, bit(7))
	put(7, 8, bit(8))
	for i := range 8 {
		put(n-1-i, 8, bit(i))
	}
	for i := 8; i < 15; i++ {
		put(8, n-15+i, bit(i))
	}
	put(8, n-8, true)

	next := 0
	for column, up := n-1, true; column > 0; column, up = column-2, !up {
		if column == 6 {
			column = 5
		}
		for i := range n {
			y := i
			if up {
				y = n - 1 - i
			}
			for _, x := range [...]int{column, column - 1} {
				if set[y][x] {
					continue
				}
				d := next < 8*len(all) && all[next/8]>>(7-next%8)&1 == 1
				next++
				flip := [...]bool{(x+y)%2 == 0, y%2 == 0, x%3 == 0, (x+y)%3 == 0, (y/2+x/3)%2 == 0, x*y%2+x*y%3 == 0, (x*y%2+x*y%3)%2 == 0, ((x+y)%2+x*y%3)%2 == 0}[mask]
				dark[y][x] = d != flip
			}
		}
	}
	return dark
}

// times multiplies in the field of 7.5.2.
func times(a, b byte) byte {
	var p byte
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		if a&0x80 != 0 {
			a = a<<1 ^ 0x1d
		} else {
			a <<= 1
		}
	}
	return p
}

// remainder is the octets of correction of a block (7.5.2).
func remainder(data []byte, n int) []byte {
	generator := make([]byte, n)
	generator[n-1] = 1
	root := byte(1)
	for range n {
		for i := range generator {
			generator[i] = times(generator[i], root)
			if i+1 < n {
				generator[i] ^= generator[i+1]
			}
		}
		root = times(root, 2)
	}
	out := make([]byte, n)
	for _, d := range data {
		f := d ^ out[0]
		copy(out, out[1:])
		out[n-1] = 0
		for i := range out {
			out[i] ^= times(generator[i], f)
		}
	}
	return out
}

// Picture draws a code with module pixels a module and light around it.
func Picture(text string, module int) (*image.Gray, error) {
	code, err := Modules(text, 3)
	if err != nil {
		return nil, err
	}
	side := (len(code) + 8) * module
	m := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			cx, cy := x/module-4, y/module-4
			c := color.Gray{Y: 250}
			if cx >= 0 && cy >= 0 && cx < len(code) && cy < len(code) && code[cy][cx] {
				c.Y = 10
			}
			m.SetGray(x, y, c)
		}
	}
	return m, nil
}
