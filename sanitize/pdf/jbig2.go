package pdf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sekisho/internal/fax"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// JBIG2 (ITU-T T.88), as far as scanners write it: generic regions, arithmetic
// or MMR, halftones, and text of symbols that are coded arithmetically. Huffman
// codes and refinement are not read; a document with them is refused.

var (
	errJBIG2     = errors.New("no JBIG2 picture")
	errJBIG2Part = errors.New("JBIG2 with Huffman codes or refinement")
)

// bitmap has an octet a pixel, 1 for black.
type bitmap struct {
	w, h, stride int
	pix          []byte
}

func newBitmap(w, h int) *bitmap {
	return &bitmap{w: w, h: h, stride: w, pix: make([]byte, w*h)}
}

func (b *bitmap) at(x, y int) byte {
	if x < 0 || y < 0 || x >= b.w || y >= b.h {
		return 0
	}
	return b.pix[y*b.stride+x]
}

// combine lays src over b (T.88, 6.4.2).
func (b *bitmap) combine(src *bitmap, x0, y0, op int) {
	for y := range src.h {
		if y0+y < 0 || y0+y >= b.h {
			continue
		}
		for x := range src.w {
			if x0+x < 0 || x0+x >= b.w {
				continue
			}
			d := &b.pix[(y0+y)*b.stride+x0+x]
			s := src.pix[y*src.stride+x]
			switch op {
			case 0:
				*d |= s
			case 1:
				*d &= s
			case 2:
				*d ^= s
			case 3:
				*d = 1 ^ *d ^ s
			default:
				*d = s
			}
		}
	}
}

// arithmetic is the decoder of T.88, annex E.
type arithmetic struct {
	b    []byte
	at   int
	c, a uint32
	ct   int
}

// qe has the probabilities of table E.1 with the next states and the switch.
var qe = [47]struct {
	q         uint16
	mps, lps  uint8
	switching uint8
}{
	{0x5601, 1, 1, 1}, {0x3401, 2, 6, 0}, {0x1801, 3, 9, 0}, {0x0AC1, 4, 12, 0}, {0x0521, 5, 29, 0}, {0x0221, 38, 33, 0},
	{0x5601, 7, 6, 1}, {0x5401, 8, 14, 0}, {0x4801, 9, 14, 0}, {0x3801, 10, 14, 0}, {0x3001, 11, 17, 0}, {0x2401, 12, 18, 0},
	{0x1C01, 13, 20, 0}, {0x1601, 29, 21, 0}, {0x5601, 15, 14, 1}, {0x5401, 16, 14, 0}, {0x5101, 17, 15, 0}, {0x4801, 18, 16, 0},
	{0x3801, 19, 17, 0}, {0x3401, 20, 18, 0}, {0x3001, 21, 19, 0}, {0x2801, 22, 19, 0}, {0x2401, 23, 20, 0}, {0x2201, 24, 21, 0},
	{0x1C01, 25, 22, 0}, {0x1801, 26, 23, 0}, {0x1601, 27, 24, 0}, {0x1401, 28, 25, 0}, {0x1201, 29, 26, 0}, {0x1101, 30, 27, 0},
	{0x0AC1, 31, 28, 0}, {0x09C1, 32, 29, 0}, {0x08A1, 33, 30, 0}, {0x0521, 34, 31, 0}, {0x0441, 35, 32, 0}, {0x02A1, 36, 33, 0},
	{0x0221, 37, 34, 0}, {0x0141, 38, 35, 0}, {0x0111, 39, 36, 0}, {0x0085, 40, 37, 0}, {0x0049, 41, 38, 0}, {0x0025, 42, 39, 0},
	{0x0015, 43, 40, 0}, {0x0009, 44, 41, 0}, {0x0005, 45, 42, 0}, {0x0001, 45, 43, 0}, {0x5601, 46, 46, 0},
}

func (d *arithmetic) octet(i int) uint32 {
	if i < len(d.b) {
		return uint32(d.b[i])
	}
	return 0xff
}

func newArithmetic(b []byte) *arithmetic {
	d := &arithmetic{b: b}
	d.c = d.octet(0) << 16
	d.in()
	d.c <<= 7
	d.ct -= 7
	d.a = 0x8000
	return d
}

func (d *arithmetic) in() {
	if d.octet(d.at) == 0xff {
		if n := d.octet(d.at + 1); n > 0x8f {
			d.c += 0xff00
			d.ct = 8
		} else {
			d.at++
			d.c += n << 9
			d.ct = 7
		}
		return
	}
	d.at++
	d.c += d.octet(d.at) << 8
	d.ct = 8
}

// bit decodes one bit; a context is a state and, in its lowest bit, the more
// probable symbol.
func (d *arithmetic) bit(cx *uint8) byte {
	s, mps := &qe[*cx>>1], *cx&1
	q := uint32(s.q)
	d.a -= q
	out := mps
	if d.c>>16 < q {
		if d.a < q {
			*cx = s.mps<<1 | mps
		} else {
			out = 1 - mps
			*cx = s.lps<<1 | mps ^ s.switching
		}
		d.a = q
	} else {
		d.c -= q << 16
		if d.a&0x8000 != 0 {
			return out
		}
		if d.a < q {
			out = 1 - mps
			*cx = s.lps<<1 | mps ^ s.switching
		} else {
			*cx = s.mps<<1 | mps
		}
	}
	for {
		if d.ct == 0 {
			d.in()
		}
		d.a <<= 1
		d.c <<= 1
		d.ct--
		if d.a&0x8000 != 0 {
			return out
		}
	}
}

type offset struct{ x, y int }

// templates are the pixels of T.88, figures 3 to 6, from the highest bit of a
// context; adaptive ones stand in their nominal places, marked by y of 1 and
// their number.
var templates = [4][]offset{
	{{3, 1}, {-1, -2}, {0, -2}, {1, -2}, {2, 1}, {1, 1}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {2, -1}, {0, 1}, {-4, 0}, {-3, 0}, {-2, 0}, {-1, 0}},
	{{-1, -2}, {0, -2}, {1, -2}, {2, -2}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {2, -1}, {0, 1}, {-3, 0}, {-2, 0}, {-1, 0}},
	{{-1, -2}, {0, -2}, {1, -2}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {0, 1}, {-2, 0}, {-1, 0}},
	{{-3, -1}, {-2, -1}, {-1, -1}, {0, -1}, {1, -1}, {0, 1}, {-4, 0}, {-3, 0}, {-2, 0}, {-1, 0}},
}

// generic decodes a region (6.2.5). Adaptive has the places of the adaptive
// pixels, four for template 0 and one for the others.
func (d *arithmetic) generic(w, h, template int, typical bool, adaptive []offset, contexts []uint8, skip *bitmap) *bitmap {
	places := make([]offset, len(templates[template]))
	for i, o := range templates[template] {
		if o.y == 1 {
			o = adaptive[o.x]
		}
		places[i] = o
	}
	out := newBitmap(w, h)
	// Inside, the pixels of a context are at fixed distances.
	var deltas []int
	left, right, up := 0, 0, 0
	for _, o := range places {
		deltas = append(deltas, o.y*w+o.x)
		left, right, up = max(left, -o.x), max(right, o.x), max(up, -o.y)
	}
	same := byte(0)
	sltp := [4]int{0x9b25, 0x0795, 0x00e5, 0x0195}[template]
	for y := range h {
		if typical {
			if same ^= d.bit(&contexts[sltp]); same == 1 {
				if y > 0 {
					copy(out.pix[y*w:(y+1)*w], out.pix[(y-1)*w:y*w])
				}
				continue
			}
		}
		for x := range w {
			if skip != nil && skip.at(x, y) == 1 {
				continue
			}
			cx := 0
			if y >= up && x >= left && x < w-right {
				i := y*w + x
				for _, d := range deltas {
					cx = cx<<1 | int(out.pix[i+d])
				}
			} else {
				for _, o := range places {
					cx = cx<<1 | int(out.at(x+o.x, y+o.y))
				}
			}
			out.pix[y*w+x] = d.bit(&contexts[cx])
		}
	}
	return out
}

// segment is one of a JBIG2 stream (7.2).
type segment struct {
	number uint32
	kind   uint8
	refers []uint32
	data   []byte
}

func segments(b []byte) ([]segment, error) {
	var all []segment
	for len(b) > 0 {
		if len(b) < 11 {
			return all, nil // padding
		}
		s := segment{number: binary.BigEndian.Uint32(b), kind: b[4] & 63}
		wide := b[4]&0x40 != 0
		count := int(b[5] >> 5)
		at := 6
		if count == 7 {
			count = int(binary.BigEndian.Uint32(b[5:]) & 0x1fffffff)
			at = 9 + (count+8)/8
		}
		size := 4
		if s.number <= 256 {
			size = 1
		} else if s.number <= 65536 {
			size = 2
		}
		end := at + count*size + 1
		if wide {
			end += 3
		}
		if count > 1000 || end+4 > len(b) {
			return nil, errJBIG2
		}
		for range count {
			v := uint32(0)
			for range size {
				v = v<<8 | uint32(b[at])
				at++
			}
			s.refers = append(s.refers, v)
		}
		n := int64(binary.BigEndian.Uint32(b[end:]))
		b = b[end+4:]
		if n > int64(len(b)) {
			return nil, errJBIG2 // also the length that is not known
		}
		s.data, b = b[:n], b[n:]
		if all = append(all, s); len(all) > 10000 {
			return nil, errJBIG2
		}
	}
	return all, nil
}

// patterns is a decoded pattern dictionary (6.7).
type patterns struct{ each []*bitmap }

type jbig2 struct {
	c     *cleaner
	page  *bitmap
	dicts map[uint32]patterns
	words map[uint32][]*bitmap // symbols of dictionaries
	w, h  int
	left  int64 // pixels that may still be decoded
}

// decode reads all segments into one page of w by h.
func (j *jbig2) decode(b []byte) error {
	all, err := segments(b)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := j.segment(s); err != nil {
			return fmt.Errorf("segment %d of kind %d: %w", s.number, s.kind, err)
		}
	}
	return nil
}

func (j *jbig2) area(w, h int) error {
	if w <= 0 || h <= 0 || w > 1<<16 || h > 1<<16 {
		return errJBIG2
	}
	if j.left -= int64(w) * int64(h); j.left < 0 {
		return fmt.Errorf("a JBIG2 picture that is decoded over and over: %w", sanitize.ErrLimit)
	}
	return nil
}

func signedOffsets(b []byte, n int) ([]offset, []byte, error) {
	if len(b) < 2*n {
		return nil, nil, errJBIG2
	}
	var os []offset
	for i := range n {
		o := offset{int(int8(b[2*i])), int(int8(b[2*i+1]))}
		if o.y > 0 || o.y == 0 && o.x >= 0 {
			return nil, nil, errJBIG2 // a pixel that is not decoded yet
		}
		os = append(os, o)
	}
	return os, b[2*n:], nil
}

func (j *jbig2) segment(s segment) error {
	b := s.data
	switch s.kind {
	case 48: // page information
		if len(b) < 19 {
			return errJBIG2
		}
		if j.page == nil {
			if err := j.area(j.w, j.h); err != nil {
				return err
			}
			j.page = newBitmap(j.w, j.h)
			if b[16]&4 != 0 {
				for i := range j.page.pix {
					j.page.pix[i] = 1
				}
			}
		}
		return nil
	case 49, 50, 51, 52, 62:
		return nil
	case 0:
		return j.symbols(s)
	case 16:
		return j.dictionary(s)
	case 6, 7, 22, 23, 38, 39:
		if len(b) < 18 || j.page == nil {
			return errJBIG2
		}
		w, h := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
		x, y := int(int32(binary.BigEndian.Uint32(b[8:]))), int(int32(binary.BigEndian.Uint32(b[12:])))
		op := int(b[16] & 7)
		if err := j.area(w, h); err != nil {
			return err
		}
		var region *bitmap
		var err error
		switch s.kind {
		case 6, 7:
			region, err = j.text(s, b[17:], w, h)
		case 22, 23:
			region, err = j.halftone(s, b[17:], w, h)
		default:
			region, err = j.genericRegion(b[17:], w, h)
		}
		if err != nil {
			return err
		}
		j.page.combine(region, x, y, op)
		return nil
	default:
		return errJBIG2Part
	}
}

func (j *jbig2) genericRegion(b []byte, w, h int) (*bitmap, error) {
	flags := b[0]
	template := int(flags >> 1 & 3)
	b = b[1:]
	if flags&1 != 0 {
		if j.c.fax == nil {
			j.c.fax = fax.NewTables()
		}
		rows, n := fax.Coding{K: -1, Columns: w, Rows: h}.Decode(j.c.fax, b)
		out := newBitmap(w, h)
		stride := (w + 7) / 8
		for y := range n {
			for x := range w {
				out.pix[y*w+x] = rows[y*stride+x>>3] >> (7 - x&7) & 1
			}
		}
		return out, nil
	}
	if flags&16 != 0 {
		return nil, errJBIG2Part // twelve adaptive pixels
	}
	n := 1
	if template == 0 {
		n = 4
	}
	adaptive, b, err := signedOffsets(b, n)
	if err != nil {
		return nil, err
	}
	return newArithmetic(b).generic(w, h, template, flags&8 != 0, adaptive, make([]uint8, 1<<16), nil), nil
}

func (j *jbig2) dictionary(s segment) error {
	b := s.data
	if len(b) < 8 || b[0]&1 != 0 {
		return errJBIG2Part // MMR in a dictionary
	}
	template, pw, ph, most := int(b[0]>>1&3), int(b[1]), int(b[2]), int64(binary.BigEndian.Uint32(b[3:]))
	if most >= 1<<16 || pw == 0 || ph == 0 {
		return errJBIG2
	}
	n := int(most) + 1
	if err := j.area(n*pw, ph); err != nil {
		return err
	}
	adaptive := []offset{{-pw, 0}, {-3, -1}, {2, -2}, {-2, -2}}
	all := newArithmetic(b[7:]).generic(n*pw, ph, template, false, adaptive, make([]uint8, 1<<16), nil)
	var p patterns
	for i := range n {
		one := newBitmap(pw, ph)
		for y := range ph {
			copy(one.pix[y*pw:(y+1)*pw], all.pix[y*all.w+i*pw:])
		}
		p.each = append(p.each, one)
	}
	j.dicts[s.number] = p
	return nil
}

func (j *jbig2) halftone(s segment, b []byte, w, h int) (*bitmap, error) {
	if len(s.refers) != 1 || len(b) < 21 {
		return nil, errJBIG2
	}
	p, ok := j.dicts[s.refers[0]]
	flags := b[0]
	if !ok {
		return nil, errJBIG2
	}
	if flags&1 != 0 {
		return nil, errJBIG2Part // MMR in a halftone
	}
	template, op := int(flags>>1&3), int(flags>>4&7)
	gw, gh := int(binary.BigEndian.Uint32(b[1:])), int(binary.BigEndian.Uint32(b[5:]))
	gx, gy := int(int32(binary.BigEndian.Uint32(b[9:]))), int(int32(binary.BigEndian.Uint32(b[13:])))
	rx, ry := int(binary.BigEndian.Uint16(b[17:])), int(binary.BigEndian.Uint16(b[19:]))
	out := newBitmap(w, h)
	if flags&128 != 0 {
		for i := range out.pix {
			out.pix[i] = 1
		}
	}
	pw, ph := p.each[0].w, p.each[0].h
	place := func(m, n int) (int, int) { return (gx + m*ry + n*rx) >> 8, (gy + m*rx - n*ry) >> 8 }
	planes := 0
	for 1<<planes < len(p.each) {
		planes++
	}
	for range planes + 1 {
		if err := j.area(gw, gh); err != nil {
			return nil, err
		}
	}
	if int64(gw)*int64(gh)*int64(pw)*int64(ph) > 4*int64(w+pw)*int64(h+ph)+1<<20 {
		return nil, errJBIG2 // patterns on patterns
	}
	var skip *bitmap
	if flags&8 != 0 {
		skip = newBitmap(gw, gh)
		for m := range gh {
			for n := range gw {
				if x, y := place(m, n); x+pw <= 0 || x >= w || y+ph <= 0 || y >= h {
					skip.pix[m*gw+n] = 1
				}
			}
		}
	}
	adaptive := []offset{{3, -1}, {-3, -1}, {2, -2}, {-2, -2}}
	if template > 1 {
		adaptive[0].x = 2
	}
	d, contexts := newArithmetic(b[21:]), make([]uint8, 1<<16)
	gray := make([]int, gw*gh)
	var above *bitmap
	for range planes {
		plane := d.generic(gw, gh, template, false, adaptive, contexts, skip)
		for i := range plane.pix {
			if above != nil {
				plane.pix[i] ^= above.pix[i] // annex C.5: Gray code
			}
			gray[i] = gray[i]<<1 | int(plane.pix[i])
		}
		above = plane
	}
	for m := range gh {
		for n := range gw {
			x, y := place(m, n)
			out.combine(p.each[min(gray[m*gw+n], len(p.each)-1)], x, y, op)
		}
	}
	return out, nil
}

// integer32 is the decoder of T.88, annex A.2, for one kind of numbers.
type integer32 struct{ contexts [512]uint8 }

// next decodes a number; false is the one that ends a list.
func (n *integer32) next(d *arithmetic) (int, bool) {
	prev := 1
	read := func(count int) int {
		v := 0
		for range count {
			b := int(d.bit(&n.contexts[prev]))
			if prev < 256 {
				prev = prev<<1 | b
			} else {
				prev = (prev<<1|b)&511 | 256
			}
			v = v<<1 | b
		}
		return v
	}
	negative := read(1)
	v := 0
	for i, step := range [...]struct{ bits, from int }{{2, 0}, {4, 4}, {6, 20}, {8, 84}, {12, 340}, {32, 4436}} {
		if i == 5 || read(1) == 0 {
			v = read(step.bits) + step.from
			break
		}
	}
	switch {
	case negative == 0:
		return v, true
	case v > 0:
		return -v, true
	}
	return 0, false
}

// known gathers the symbols of the dictionaries that a segment refers to.
func (j *jbig2) known(s segment) []*bitmap {
	var all []*bitmap
	for _, r := range s.refers {
		all = append(all, j.words[r]...)
	}
	return all
}

// maxSymbols bounds the symbols of a dictionary; a page has some thousands.
const maxSymbols = 1 << 16

// symbols decodes a symbol dictionary (6.5).
func (j *jbig2) symbols(s segment) error {
	b := s.data
	if len(b) < 2 {
		return errJBIG2
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&3 != 0 || flags&0x100 != 0 {
		return errJBIG2Part // Huffman, refinement, contexts of another segment
	}
	template := int(flags >> 10 & 3)
	n := 1
	if template == 0 {
		n = 4
	}
	adaptive, b, err := signedOffsets(b[2:], n)
	if err != nil {
		return err
	}
	if len(b) < 8 {
		return errJBIG2
	}
	exported, fresh := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	all := j.known(s)
	if exported > maxSymbols || fresh > maxSymbols || len(all) > maxSymbols {
		return errJBIG2
	}
	total := len(all) + int(fresh)
	d, contexts := newArithmetic(b[8:]), make([]uint8, 1<<16)
	var heights, widths, exports integer32
	height := 0
	for len(all) < total {
		dh, ok := heights.next(d)
		if height += dh; !ok || height < 0 || height > 1<<16 {
			return errJBIG2
		}
		width := 0
		for {
			dw, ok := widths.next(d)
			if !ok {
				break
			}
			if width += dw; width < 0 || width > 1<<16 || len(all) == total {
				return errJBIG2
			}
			if j.left -= int64(width)*int64(height) + 1; j.left < 0 {
				return fmt.Errorf("symbols: %w", sanitize.ErrLimit)
			}
			all = append(all, d.generic(width, height, template, false, adaptive, contexts, nil))
		}
		if j.left--; j.left < 0 {
			return fmt.Errorf("symbols: %w", sanitize.ErrLimit)
		}
	}
	var out []*bitmap
	for i, export := 0, false; i < len(all); export = !export {
		n, ok := exports.next(d)
		if !ok || n < 0 || n > len(all)-i || n == 0 && export {
			return errJBIG2
		}
		if export {
			out = append(out, all[i:i+n]...)
		}
		i += n
	}
	if int64(len(out)) != exported {
		return errJBIG2
	}
	j.words[s.number] = out
	return nil
}

// text decodes a text region (6.4).
func (j *jbig2) text(s segment, b []byte, w, h int) (*bitmap, error) {
	if len(b) < 6 {
		return nil, errJBIG2
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&3 != 0 {
		return nil, errJBIG2Part
	}
	strips := 1 << (flags >> 2 & 3)
	corner, transposed, op := int(flags>>4&3), flags&64 != 0, int(flags>>7&3)
	offset := int(flags >> 10 & 31)
	if offset > 15 {
		offset -= 32
	}
	count := int64(binary.BigEndian.Uint32(b[2:]))
	all := j.known(s)
	if len(all) == 0 || len(all) > 4*maxSymbols {
		return nil, errJBIG2
	}
	out := newBitmap(w, h)
	if flags&512 != 0 {
		for i := range out.pix {
			out.pix[i] = 1
		}
	}
	bits := 0
	for 1<<bits < len(all) {
		bits++
	}
	d := newArithmetic(b[6:])
	var dt, fs, ds, it integer32
	ids := make([]uint8, 2<<bits)
	t0, ok := dt.next(d)
	if !ok {
		return nil, errJBIG2
	}
	stripT, firstS := -t0*strips, 0
	const far = 1 << 20 // farther than any picture
	for n := int64(0); n < count; {
		v, ok := dt.next(d)
		if stripT += v * strips; !ok || stripT > far || stripT < -far {
			return nil, errJBIG2
		}
		v, ok = fs.next(d)
		if firstS += v; !ok || firstS > far || firstS < -far {
			return nil, errJBIG2
		}
		for s, first := firstS, true; n < count; first = false {
			if !first {
				v, ok := ds.next(d)
				if !ok {
					break
				}
				if s += v + offset; s > far || s < -far {
					return nil, errJBIG2
				}
			}
			t := stripT
			if strips > 1 {
				v, ok := it.next(d)
				if !ok {
					return nil, errJBIG2
				}
				t += v
			}
			id := 1
			for range bits {
				id = id<<1 | int(d.bit(&ids[id]))
			}
			if id -= 1 << bits; id >= len(all) {
				return nil, errJBIG2
			}
			g := all[id]
			if j.left -= int64(g.w)*int64(g.h) + 1; j.left < 0 {
				return nil, fmt.Errorf("text: %w", sanitize.ErrLimit)
			}
			right, bottom := corner >= 2, corner == 0 || corner == 2
			if !transposed && right {
				s += g.w - 1
			} else if transposed && bottom {
				s += g.h - 1
			}
			x, y := s, t
			if transposed {
				x, y = t, s
			}
			if right {
				x -= g.w - 1
			}
			if bottom {
				y -= g.h - 1
			}
			out.combine(g, x, y, op)
			if !transposed && !right {
				s += g.w - 1
			} else if transposed && !bottom {
				s += g.h - 1
			}
			n++
		}
		if j.left--; j.left < 0 {
			return nil, fmt.Errorf("text: %w", sanitize.ErrLimit)
		}
	}
	return out, nil
}

// jbig2 decodes a picture and writes it in Group 4.
func (c *cleaner) jbig2(data []byte, parms pdf.Dict, w, h int) (coded, bool) {
	j := &jbig2{c: c, dicts: map[uint32]patterns{}, words: map[uint32][]*bitmap{}, w: w, h: h, left: 4*int64(w)*int64(h) + 16<<20}
	var err error
	if g, ok := c.f.Resolve(parms["JBIG2Globals"]).(*pdf.Stream); ok {
		b, ok := c.bytes(g)
		if !ok {
			return coded{}, false
		}
		err = j.decode(b)
	}
	if err == nil {
		err = j.decode(data)
	}
	if err == nil && j.page == nil {
		err = errJBIG2
	}
	switch {
	case errors.Is(err, errJBIG2Part):
		c.fail(fmt.Errorf("%w: %w", err, sanitize.ErrUnsupported))
		return coded{}, false
	case errors.Is(err, sanitize.ErrLimit):
		c.fail(err)
		return coded{}, false
	case err != nil:
		return coded{}, false
	}
	stride := (w + 7) / 8
	rows := make([]byte, stride*h)
	for y := range h {
		for x := range w {
			if j.page.pix[y*w+x] != 0 {
				rows[y*stride+x>>3] |= 0x80 >> (x & 7)
			}
		}
	}
	if c.fax == nil {
		c.fax = fax.NewTables()
	}
	p := pdf.Dict{"K": int64(-1), "Columns": int64(w), "Rows": int64(h)}
	return coded{data: fax.Group4(c.fax, rows, w, h), filter: "CCITTFaxDecode", parms: p, bits: 1}, true
}
