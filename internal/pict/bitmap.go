package pict

import (
	"fmt"
	"image"
	"image/color"
)

// pixels is what a bitmap says of itself behind the length of its rows.
type pixels struct {
	bounds       image.Rectangle
	packing      int
	depth, parts int // of a pixel, in bits; of how many components
}

// isPixels is the bit of the length of rows that says that pixels have colours.
const isPixels = 0x8000

// pixels reads it. Without colours there are only the bounds.
func (r *reader) pixels(row int) pixels {
	m := pixels{bounds: r.rect(), depth: 1, parts: 1}
	if row&isPixels == 0 {
		return m
	}
	r.take(2) // version
	m.packing = r.word()
	r.take(4 + 8 + 2) // the size packed, how many an inch, the kind
	m.depth, m.parts = r.word(), r.word()
	r.take(2 + 4 + 4 + 4) // the size of a component, planes, table, reserved
	return m
}

// colours reads a table of colours.
func (r *reader) colours() []color.RGBA {
	r.take(4)
	flags, n := r.word(), r.word()+1
	const most = 256
	if n > most || n > (len(r.b)-r.at)/8 {
		r.take(len(r.b)) // it fails
		return nil
	}
	table := make([]color.RGBA, most)
	for i := range table {
		table[i] = white
	}
	for i := range n {
		value := r.word()
		c := r.take(6)
		if flags&0x8000 != 0 {
			value = i // of a device: in order
		}
		if c != nil && value < most {
			table[value] = color.RGBA{c[0], c[2], c[4], 0xFF}
		}
	}
	return table
}

// bitmap reads a call that paints one.
func (r *reader) bitmap(call int) (bitmap, error) {
	direct := call >= 0x9A
	if direct {
		r.take(4)
	}
	row := r.word()
	m := r.pixels(row)
	table := []color.RGBA{white, {A: 0xFF}} // of two colours the second is black
	if row&isPixels != 0 && !direct {
		table = r.colours()
	}
	from, to := r.rect(), r.rect()
	r.take(2) // how it is put over what is there
	if call&1 != 0 {
		r.take(r.word() - 2) // of what shape
	}
	width, height := m.bounds.Dx(), m.bounds.Dy()
	if r.failed || width <= 0 || height <= 0 || width > maxSide || height > maxSide || from.Empty() || to.Empty() {
		return bitmap{}, fmt.Errorf("bitmap of %d x %d: %w", width, height, ErrMalformed)
	}
	var paint func(line, to []byte)
	length := row & 0x3FFF
	switch {
	case !direct && (m.depth == 1 || m.depth == 2 || m.depth == 4 || m.depth == 8):
		paint = func(line, to []byte) { indexed(line, to, m.depth, table) }
	case direct && m.depth == 16:
		paint = sixteen
	case direct && m.depth == 32 && m.packing == 1:
		paint = chunky(4)
	case direct && m.depth == 32 && m.packing == 2:
		paint, length = chunky(3), 3*width
	case direct && m.depth == 32 && (m.parts == 3 || m.parts == 4):
		paint, length = planar(m.parts), m.parts*width
	default:
		return bitmap{}, fmt.Errorf("pixels of %d bits: %w", m.depth, ErrMalformed)
	}
	if length*8 < width*m.depth && m.packing != 2 && !(m.depth == 32 && m.parts == 3) {
		return bitmap{}, fmt.Errorf("rows of %d octets for %d pixels: %w", length, width, ErrMalformed)
	}
	// The shortest row takes an octet.
	if height > len(r.b)-r.at {
		return bitmap{}, fmt.Errorf("%d rows in %d octets: %w", height, len(r.b)-r.at, ErrMalformed)
	}
	if r.pixelsMade += width * height; r.pixelsMade > maxPixels {
		return bitmap{}, fmt.Errorf("bitmap of %d x %d: %w", width, height, ErrMalformed)
	}
	out := image.NewRGBA(m.bounds)
	y := 0
	r.rows(row&0x3FFF, length, height, m, func(line []byte) {
		paint(line, out.Pix[y*out.Stride:(y+1)*out.Stride])
		y++
	})
	if r.failed {
		return bitmap{}, fmt.Errorf("bitmap whose rows end early: %w", ErrMalformed)
	}
	return bitmap{out, from, to}, nil
}

// rows hands out the rows of a bitmap, unpacked: each of as many octets as it says
// (by which goes whether and how it is packed), and of as many as it has.
func (r *reader) rows(says, length, count int, m pixels, f func(line []byte)) {
	if length == 0 {
		// Such rows cost nothing to write and as much to read as any.
		r.failed = true
		return
	}
	const shortest = 8 // rows below are not packed
	line := make([]byte, length)
	plain := says < shortest || m.packing == 1 || m.packing == 2
	for range count {
		if r.failed {
			return
		}
		if plain {
			if b := r.take(length); b != nil {
				f(b)
			}
			continue
		}
		const most = 250 // octets of a row whose packed length is one octet
		n := 0
		if says > most {
			n = r.word()
		} else {
			n = r.octet()
		}
		unit := 1
		if m.packing == 3 || m.packing == 0 && m.depth == 16 {
			unit = 2
		}
		clear(line)
		unpack(line, r.take(n), unit)
		if !r.failed {
			f(line)
		}
	}
}

// unpack undoes PackBits: a count of units as they stand, or how often the next
// one comes. What would not fit is left out, what is missing stays zero.
func unpack(to, from []byte, unit int) {
	for len(from) > 0 && len(to) > 0 {
		n := int(int8(from[0]))
		from = from[1:]
		switch {
		case n >= 0:
			k := min((n+1)*unit, len(from))
			m := copy(to, from[:k])
			to, from = to[m:], from[k:]
		case n == -128:
		default:
			if len(from) < unit {
				return
			}
			for range 1 - n {
				m := copy(to, from[:unit])
				to = to[m:]
			}
			from = from[unit:]
		}
	}
}

// indexed paints pixels that are numbers of colours.
func indexed(line, to []byte, depth int, table []color.RGBA) {
	per := 8 / depth
	for x := range len(to) / 4 {
		v := int(line[x/per]) >> (8 - depth - x%per*depth) & (1<<depth - 1)
		c := white
		if v < len(table) {
			c = table[v]
		}
		to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = c.R, c.G, c.B, 0xFF
	}
}

// sixteen paints pixels of five bits each.
func sixteen(line, to []byte) {
	five := func(v int) byte { v &= 31; return byte(v<<3 | v>>2) }
	for x := range len(to) / 4 {
		v := int(line[2*x])<<8 | int(line[2*x+1])
		to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = five(v>>10), five(v>>5), five(v), 0xFF
	}
}

// chunky paints pixels of three octets, or of four of which the first says
// nothing.
func chunky(size int) func(line, to []byte) {
	return func(line, to []byte) {
		for x := range len(to) / 4 {
			c := line[size*x+size-3:]
			to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = c[0], c[1], c[2], 0xFF
		}
	}
}

// planar paints a row of red, one of green and one of blue, behind one that says
// nothing if there are four.
func planar(parts int) func(line, to []byte) {
	return func(line, to []byte) {
		width := len(to) / 4
		line = line[(parts-3)*width:]
		for x := range width {
			to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = line[x], line[width+x], line[2*width+x], 0xFF
		}
	}
}
