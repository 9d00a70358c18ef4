package image

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"io"

	"sekisho/internal/redeflate"
	"sekisho/sanitize"
)

// errRows says that a PNG is for the decoder to judge.
var errRows = errors.New("no rows to be written as they are")

// maxPacked bounds the packed pixels that are held in memory.
const maxPacked = 64 << 20

// section is a chunk of a file: where its content lies.
type section struct{ at, size int64 }

// rows writes a picture by its rows: they are unpacked, counted, their filters
// checked, and packed anew with codes of our own; every pixel is what it was
// (docs/decisions/0023). Behind a look it also shows the picture in grey. What it
// finds odd, and what would have to change, is errRows.
func (p *chunks) rows(in io.ReaderAt, look bool) (file []byte, shown *image.Gray, err error) {
	channels := map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[p.colour]
	if p.interlaced || p.profile != nil || p.odd || channels == 0 || !p.depthFits() {
		return nil, nil, errRows
	}
	palette, cover, err := p.colours(in)
	if err != nil {
		return nil, nil, err
	}
	packed, err := p.packed(in)
	if err != nil {
		return nil, nil, err
	}
	bits := channels * int(p.depth)
	r := &rowReader{length: 1 + (int64(p.width)*int64(bits)+7)/8, step: max(bits/8, 1)}
	size := r.length * int64(p.height)
	if size > 4<<10 && int64(len(packed)) > size/10*9 && int64(p.width)*int64(p.height) <= bestBelow {
		return nil, nil, errRows // hardly packed: that can be done better
	}
	r.spare = byte(1<<(7-(p.width*bits+7)%8) - 1)
	if look || p.colour == 3 || r.spare != 0 {
		r.lines = [2][]byte{make([]byte, r.length), make([]byte, r.length)}
		if look {
			shown = image.NewGray(image.Rect(0, 0, p.width, p.height))
			r.paint = p.painter(shown, 255, palette, cover)
			if p.colour >= 4 || cover != nil {
				// What is light on nothing shows where the paper is dark.
				p.dark = image.NewGray(shown.Rect)
				light, dark := r.paint, p.painter(p.dark, 0, palette, cover)
				r.paint = func(y int, row []byte) { light(y, row); dark(y, row) }
			}
		}
		if p.colour == 3 {
			r.colours, r.depth, r.width, r.used = len(palette)/3, int(p.depth), p.width, new([256]bool)
		}
	}
	file = make([]byte, 0, len(packed)+len(packed)/50+1<<12)
	file = append(file, pngMagic...)
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(p.width)), uint32(p.height))
	file = append(file, chunk("IHDR", append(head, p.depth, p.colour, 0, 0, 0))...)
	if p.density != nil {
		file = append(file, chunk("pHYs", p.density)...)
	}
	colours := len(file)
	if p.colour == 3 {
		file = append(file, chunk("PLTE", palette)...)
	}
	if len(cover) > 0 {
		file = append(file, chunk("tRNS", cover)...)
	}
	at := len(file)
	file = append(file, "size"+"IDAT"...)
	if file, err = redeflate.Recode(file, packed, size, r.take); err != nil {
		return nil, nil, errRows
	}
	if p.colour == 3 {
		// Colours of no pixel could be anything, words too.
		for i := range len(palette) / 3 {
			if r.used[i] {
				continue
			}
			clear(palette[3*i:][:3])
			if i < len(cover) {
				cover[i] = 255
			}
		}
		// In the place of those that were not known yet.
		n := copy(file[colours:], chunk("PLTE", palette))
		if len(cover) > 0 {
			copy(file[colours+n:], chunk("tRNS", cover))
		}
	}
	binary.BigEndian.PutUint32(file[at:], uint32(len(file)-at-8))
	file = binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file[at+4:]))
	return append(file, chunk("IEND", nil)...), shown, nil
}

// depthFits are the depths that a colour type may have (PNG 11.2.2).
func (p *chunks) depthFits() bool {
	switch p.depth {
	case 8:
		return true
	case 16:
		return p.colour != 3
	case 1, 2, 4:
		return p.colour == 0 || p.colour == 3
	default:
		return false
	}
}

// colours reads the palette and what of it covers how (PNG 11.3.2).
func (p *chunks) colours(in io.ReaderAt) (palette, cover []byte, err error) {
	if p.colour == 3 {
		if palette, err = content(in, p.plte, "PLTE", 768); err != nil || len(palette) == 0 || len(palette)%3 != 0 || len(palette)/3 > 1<<p.depth {
			return nil, nil, errRows
		}
	}
	if !p.alpha {
		return palette, nil, nil
	}
	most := map[byte]int{0: 2, 2: 6, 3: len(palette) / 3}[p.colour]
	if cover, err = content(in, p.trns, "tRNS", int64(most)); err != nil || len(cover) == 0 || p.colour != 3 && len(cover) != most {
		return nil, nil, errRows
	}
	if p.colour != 3 && p.depth < 16 {
		// Two octets for each sample, of which so many bits count (PNG 11.3.2.1).
		for i := 0; i < len(cover); i += 2 {
			cover[i], cover[i+1] = 0, cover[i+1]&byte(1<<p.depth-1)
		}
	}
	return palette, cover, nil
}

// content reads a chunk whose sum is right.
func content(in io.ReaderAt, s section, name string, most int64) ([]byte, error) {
	if s.size > most {
		return nil, errRows
	}
	b := make([]byte, s.size+8)
	if n, _ := in.ReadAt(b, s.at-4); n < len(b) {
		return nil, errRows
	}
	if end := len(b) - 4; string(b[:4]) != name || crc32.ChecksumIEEE(b[:end]) != binary.BigEndian.Uint32(b[end:]) {
		return nil, errRows
	}
	return b[4 : len(b)-4], nil
}

// packed reads the packed pixels out of their chunks.
func (p *chunks) packed(in io.ReaderAt) ([]byte, error) {
	var all int64
	for _, s := range p.idat {
		if all += s.size; all > maxPacked {
			return nil, errRows
		}
	}
	b := make([]byte, 0, all)
	for _, s := range p.idat {
		c, err := content(in, s, "IDAT", maxPacked)
		if err != nil {
			return nil, err
		}
		b = append(b, c...)
	}
	return b, nil
}

// rowReader takes rows as they come: the filter of each, then its octets.
type rowReader struct {
	length int64 // of a row and its filter
	step   int   // between an octet and the one to its left
	at     int64 // within the row

	// Where pixels are looked at, the row that is being read and the one above.
	lines [2][]byte
	y     int
	paint func(y int, row []byte)
	// Of a palette how many colours there are, and those that some pixel has.
	colours, depth, width int
	used                  *[256]bool
	spare                 byte // the bits of the last octet that belong to no pixel
}

func (r *rowReader) take(b []byte) error {
	for len(b) > 0 {
		if r.at == 0 && b[0] > 4 { // PNG 9.2
			return errRows
		}
		n := min(r.length-r.at, int64(len(b)))
		if r.lines[0] != nil {
			copy(r.lines[0][r.at:], b[:n])
		}
		b = b[n:]
		if r.at += n; r.at < r.length {
			return nil
		}
		r.at = 0
		if r.lines[0] == nil {
			continue
		}
		row := r.lines[0]
		unfilter(row[0], row[1:], r.lines[1][1:], r.step)
		if row[len(row)-1]&r.spare != 0 || r.colours > 0 && !r.indexed(row[1:]) {
			return errRows
		}
		if r.paint != nil {
			r.paint(r.y, row[1:])
		}
		r.lines[0], r.lines[1] = r.lines[1], r.lines[0]
		r.y++
	}
	return nil
}

// indexed reports whether every index is one of a colour, and notes which are.
func (r *rowReader) indexed(row []byte) bool {
	if r.depth == 8 {
		for _, v := range row {
			if int(v) >= r.colours {
				return false
			}
			r.used[v] = true
		}
		return true
	}
	for x := range r.width {
		v := sample(row, x, r.depth)
		if v >= r.colours {
			return false
		}
		r.used[v] = true
	}
	return true
}

// sample is the sample at x of a row whose samples have depth bits, at most 8.
func sample(row []byte, x, depth int) int {
	i := x * depth
	return int(row[i/8]>>(8-depth-i%8)) & (1<<depth - 1)
}

// unfilter turns a row into its pixels; above is the row above it (PNG 9.2).
func unfilter(filter byte, row, above []byte, step int) {
	switch filter {
	case 1:
		for i := step; i < len(row); i++ {
			row[i] += row[i-step]
		}
	case 2:
		above = above[:len(row)]
		for i := range row {
			row[i] += above[i]
		}
	case 3:
		for i := range min(step, len(row)) {
			row[i] += above[i] / 2
		}
		for i := step; i < len(row); i++ {
			row[i] += byte((int(row[i-step]) + int(above[i])) / 2)
		}
	case 4:
		for i := range min(step, len(row)) {
			row[i] += above[i]
		}
		for i := step; i < len(row); i++ {
			a, b, c := int(row[i-step]), int(above[i]), int(above[i-step])
			pa, pb, pc := b-c, a-c, a+b-2*c
			pa, pb, pc = max(pa, -pa), max(pb, -pb), max(pc, -pc)
			switch {
			case pa <= pb && pa <= pc:
				row[i] += byte(a)
			case pb <= pc:
				row[i] += byte(b)
			default:
				row[i] += byte(c)
			}
		}
	}
}

// painter draws rows in grey, on paper where something shines through.
func (p *chunks) painter(m *image.Gray, paper int, palette, cover []byte) func(y int, row []byte) {
	luma := func(r, g, b byte) int { return (int(r)*77 + int(g)*150 + int(b)*29) >> 8 }
	over := func(v, alpha int) byte {
		p.through = p.through || alpha < 128
		return byte((v*alpha + paper*(255-alpha)) / 255)
	}
	size, deep := 1, 0 // octets of a sample, and how far the next is
	if p.depth == 16 {
		size = 2
	}
	line := func(y int) []byte { return m.Pix[y*m.Stride:][:p.width] }
	switch p.colour {
	case 2, 6, 4:
		deep = size * map[byte]int{2: 3, 4: 2, 6: 4}[p.colour]
		return func(y int, row []byte) {
			for x := range line(y) {
				q := row[x*deep:]
				v, alpha := int(q[0]), 255
				if p.colour != 4 {
					v = luma(q[0], q[size], q[2*size])
				}
				if p.colour != 2 {
					alpha = int(q[deep-size])
				}
				m.Pix[y*m.Stride+x] = over(v, alpha)
			}
		}
	case 3:
		var t [256]byte
		for i := range len(palette) / 3 {
			alpha := 255
			if i < len(cover) {
				alpha = int(cover[i])
			}
			t[i] = over(luma(palette[3*i], palette[3*i+1], palette[3*i+2]), alpha)
		}
		return func(y int, row []byte) {
			for x := range line(y) {
				m.Pix[y*m.Stride+x] = t[sample(row, x, int(p.depth))]
			}
		}
	default:
		if p.depth >= 8 {
			return func(y int, row []byte) {
				for x := range line(y) {
					m.Pix[y*m.Stride+x] = row[x*size]
				}
			}
		}
		step := 255 / (1<<p.depth - 1)
		return func(y int, row []byte) {
			for x := range line(y) {
				m.Pix[y*m.Stride+x] = byte(sample(row, x, int(p.depth)) * step)
			}
		}
	}
}

// byRows treats a picture by its rows, where that can be done.
func (p *chunks) byRows(s *sanitize.Session, in sanitize.Object, out io.Writer) (bool, error) {
	if p.orientation > 1 {
		return false, nil
	}
	file, shown, err := p.rows(in, s.Looks())
	if err != nil {
		return false, nil
	}
	if shown != nil {
		s.Look(shown)
	}
	if p.dark != nil && p.through {
		s.Look(p.dark)
	}
	p.told(s, in)
	_, err = out.Write(file)
	return true, err
}

// told records what a picture loses.
func (p *chunks) told(s *sanitize.Session, in sanitize.Object) {
	if p.animated {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the first picture of several stays"})
	}
	dropped(s, p.dropped)
	trailing(s, in, p.end)
}
