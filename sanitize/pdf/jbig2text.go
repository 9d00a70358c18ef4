package pdf

import (
	"encoding/binary"
	"fmt"

	"sekisho/internal/fax"
	"sekisho/sanitize"
)

// known gathers the symbols of the dictionaries that a segment refers to. They
// are counted each time: the same thousands may be referred to a thousand times.
func (j *jbig2) known(s segment) ([]*bitmap, error) {
	var all []*bitmap
	for _, r := range s.refers {
		fresh := j.words[r].symbols
		if err := j.spend(len(fresh), 1); err != nil {
			return nil, err
		}
		if all = append(all, fresh...); len(all) > 4*maxSymbols {
			return nil, errJBIG2
		}
	}
	return all, nil
}

// maxSymbols bounds the symbols of a dictionary; a page has some thousands.
const maxSymbols = 1 << 16

// lexicon is a symbol dictionary, with the contexts it leaves to a later one
// that asks for them.
type lexicon struct {
	symbols           []*bitmap
	generic, refining []uint8
}

// textCoder is where the numbers of text come from: one stream of bits, coded
// by arithmetic or in Huffman codes.
type textCoder struct {
	arith *arithmetic
	bits  *bitReader // nil: arithmetic

	dt, fs, ds, it, ri, rdw, rdh, rdx, rdy integer32
	ids                                    []uint8
	huffDT, huffFS, huffDS, huffID         *codeTable
	refining                               []uint8
	template                               int // of refinement
	adaptive                               []offset
}

// number reads one from whichever of the two is used; false ends a list.
func (c *textCoder) number(a *integer32, h *codeTable) (int, bool) {
	if c.bits == nil {
		return a.next(c.arith)
	}
	return h.next(c.bits)
}

// symbol reads the number of one of 1<<wide symbols.
func (c *textCoder) symbol(wide int) int {
	if c.bits != nil {
		id, _ := c.huffID.next(c.bits)
		return id
	}
	id := 1
	for range wide {
		id = id<<1 | int(c.arith.bit(&c.ids[id]))
	}
	return id - 1<<wide
}

// refined reads a symbol that is coded by how it differs from another.
func (j *jbig2) refined(c *textCoder, like *bitmap, w, h, dx, dy int) (*bitmap, error) {
	if w < 0 || h < 0 || w > 1<<16 || h > 1<<16 || dx > 1<<16 || dx < -1<<16 || dy > 1<<16 || dy < -1<<16 {
		return nil, errJBIG2
	}
	if err := j.spend(w, h); err != nil {
		return nil, err
	}
	return c.arith.refine(w, h, c.template, false, c.adaptive, c.refining, like, dx, dy), nil
}

// bitmapCost is how many pixels weigh as much as the smallest bitmap does in
// memory.
const bitmapCost = 64

// spend counts pixels that are written. A step without any is one, too.
func (j *jbig2) spend(w, h int) error {
	if j.left -= int64(w)*int64(h) + 1; j.left < 0 {
		return fmt.Errorf("symbols and patterns: %w", sanitize.ErrLimit)
	}
	return nil
}

// symbolCoder is what is read while a symbol dictionary is decoded.
type symbolCoder struct {
	textCoder
	heights, widths, many, exports                integer32
	huffHeight, huffWidth, huffPacked, huffExport *codeTable
	contexts                                      []uint8
	genericTemplate                               int
	genericAdaptive                               []offset
	made                                          bool // symbols are made of others
}

// symbols decodes a symbol dictionary (6.5, 7.4.2).
func (j *jbig2) symbols(s segment) error {
	b := s.data
	if len(b) < 2 {
		return errJBIG2
	}
	flags := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	huffman := flags&1 != 0
	c := &symbolCoder{made: flags&2 != 0, genericTemplate: flags >> 10 & 3}
	c.template = flags >> 12 & 1
	if huffman && c.made {
		return errJBIG2Part
	}
	pick := chosen{j: j, refers: s.refers}
	if huffman {
		c.huffHeight, c.huffWidth = pick.table(flags>>2&3, 4, 5), pick.table(flags>>4&3, 2, 3)
		c.huffPacked, c.huffExport = pick.table(flags>>6&1, 1), standardCodes.Get()[1]
	}
	var err error
	if !huffman {
		n := 1
		if c.genericTemplate == 0 {
			n = 4
		}
		if c.genericAdaptive, b, err = signedOffsets(b, n); err != nil {
			return err
		}
	}
	if c.made && c.template == 0 {
		if c.adaptive, b, err = refiningOffsets(b); err != nil {
			return err
		}
	}
	if len(b) < 8 || pick.failed {
		return errJBIG2
	}
	exported, fresh := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	all, err := j.known(s)
	if err != nil {
		return err
	}
	if exported > maxSymbols || fresh > maxSymbols || len(all) > maxSymbols {
		return errJBIG2
	}
	total := len(all) + int(fresh)
	wide := wideEnough(total)
	c.contexts, c.refining, c.ids = make([]uint8, 1<<16), make([]uint8, 1<<13), make([]uint8, 2<<wide)
	if flags&0x100 != 0 {
		// 7.4.2.2: those of the last dictionary referred to.
		for _, r := range s.refers {
			if w := j.words[r]; w.generic != nil {
				copy(c.contexts, w.generic)
				copy(c.refining, w.refining)
			}
		}
	}
	if huffman {
		c.bits = &bitReader{b: b[8:]}
	} else {
		c.arith = newArithmetic(b[8:])
	}
	if all, err = j.freshSymbols(c, all, total, wide); err != nil {
		return err
	}
	var out []*bitmap
	for i, export := 0, false; i < len(all); export = !export {
		n, ok := c.number(&c.exports, c.huffExport)
		if !ok || n < 0 || n > len(all)-i || n == 0 && export {
			return errJBIG2
		}
		if export {
			out = append(out, all[i:i+n]...)
		}
		i += n
	}
	if int64(len(out)) != exported || c.bits != nil && c.bits.over {
		return errJBIG2
	}
	l := lexicon{symbols: out}
	if flags&0x200 != 0 {
		if err := j.spend(len(c.contexts), 1); err != nil {
			return err
		}
		l.generic, l.refining = c.contexts, c.refining
	}
	j.words[s.number] = l
	return nil
}

// wideEnough is how many bits the number of a symbol has.
func wideEnough(symbols int) int {
	wide := 0
	for 1<<wide < symbols {
		wide++
	}
	return wide
}

// freshSymbols decodes the symbols of a dictionary behind those it has already,
// class by class of one height (6.5.5).
func (j *jbig2) freshSymbols(c *symbolCoder, all []*bitmap, total, wide int) ([]*bitmap, error) {
	height := 0
	for len(all) < total {
		dh, ok := c.number(&c.heights, c.huffHeight)
		if height += dh; !ok || height < 0 || height > 1<<16 {
			return nil, errJBIG2
		}
		width := 0
		var widths []int
		for {
			dw, ok := c.number(&c.widths, c.huffWidth)
			if !ok {
				break
			}
			if width += dw; width < 0 || width > 1<<16 || len(all)+len(widths) == total {
				return nil, errJBIG2
			}
			if c.bits != nil {
				widths = append(widths, width) // its pixels come with those of its class
				if err := j.spend(width, height); err != nil {
					return nil, err
				}
				if err := j.spend(1, bitmapCost); err != nil {
					return nil, err
				}
				continue
			}
			m, err := j.freshSymbol(c, all, width, height, wide)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
		if c.bits != nil {
			class, err := j.class(c, widths, height)
			if err != nil {
				return nil, err
			}
			all = append(all, class...)
		}
		if err := j.spend(0, 0); err != nil {
			return nil, err
		}
		if c.bits != nil && c.bits.over {
			return nil, errJBIG2
		}
	}
	return all, nil
}

// freshSymbol decodes one symbol (6.5.8).
func (j *jbig2) freshSymbol(c *symbolCoder, all []*bitmap, w, h, wide int) (*bitmap, error) {
	if err := j.spend(w, h); err != nil {
		return nil, err
	}
	if err := j.spend(1, bitmapCost); err != nil {
		return nil, err
	}
	if !c.made {
		return c.arith.generic(w, h, c.genericTemplate, false, c.genericAdaptive, c.contexts, nil), nil
	}
	n, ok := c.many.next(c.arith)
	switch {
	case !ok || n < 1:
		return nil, errJBIG2
	case n > 1:
		return j.write(&c.textCoder, textRegion{w: w, h: h, count: int64(n), strips: 1, corner: 1, refining: true, wide: wide, symbols: all})
	}
	id := c.symbol(wide)
	dx, ok1 := c.rdx.next(c.arith)
	dy, ok2 := c.rdy.next(c.arith)
	if !ok1 || !ok2 || id < 0 || id >= len(all) {
		return nil, errJBIG2
	}
	return j.refined(&c.textCoder, all[id], w, h, dx, dy)
}

// class decodes the symbols of one height in one picture (6.5.9).
func (j *jbig2) class(c *symbolCoder, widths []int, h int) ([]*bitmap, error) {
	w := 0
	for _, v := range widths {
		w += v
	}
	size, ok := c.huffPacked.next(c.bits)
	stride := (w + 7) / 8
	if !ok || size < 0 || int64(stride)*int64(h) > 1<<28 {
		return nil, errJBIG2
	}
	var rows []byte
	if size == 0 {
		rows = c.bits.take(stride * h)
	} else if b := c.bits.take(size); b != nil && w > 0 {
		rows, _ = fax.Coding{K: -1, Columns: w, Rows: h}.Decode(j.faxes(), b)
	}
	if c.bits.over {
		return nil, errJBIG2
	}
	var all []*bitmap
	at := 0
	for _, v := range widths {
		m := newBitmap(v, h)
		for y := range h {
			for x := range v {
				if i := y*stride + (at+x)>>3; i < len(rows) {
					m.pix[y*v+x] = rows[i] >> (7 - (at+x)&7) & 1
				}
			}
		}
		all = append(all, m)
		at += v
	}
	return all, nil
}

// refiningOffsets are the places of the two adaptive pixels of refinement: one
// in what is decoded, one in what it is like.
func refiningOffsets(b []byte) ([]offset, []byte, error) {
	if len(b) < 4 {
		return nil, nil, errJBIG2
	}
	first, _, err := signedOffsets(b, 1)
	if err != nil {
		return nil, nil, err
	}
	return append(first, offset{int(int8(b[2])), int(int8(b[3]))}), b[4:], nil
}

// textRegion is what is known of text before it is decoded (table 9).
type textRegion struct {
	w, h       int
	count      int64
	logStrips  int
	strips     int
	corner     int // 0: bottom left, 1: top left, 2: bottom right, 3: top right
	transposed bool
	op, offset int
	black      bool
	refining   bool
	wide       int
	symbols    []*bitmap
}

// text reads the head of a text region and decodes it (7.4.3).
func (j *jbig2) text(s segment, b []byte, w, h int) (*bitmap, error) {
	if len(b) < 2 {
		return nil, errJBIG2
	}
	flags := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	huffman := flags&1 != 0
	t := textRegion{w: w, h: h, logStrips: flags >> 2 & 3, corner: flags >> 4 & 3, transposed: flags&64 != 0, op: flags >> 7 & 3, black: flags&512 != 0,
		offset: flags >> 10 & 31, refining: flags&2 != 0}
	var err error
	if t.symbols, err = j.known(s); err != nil {
		return nil, err
	}
	t.strips = 1 << t.logStrips
	if t.offset > 15 {
		t.offset -= 32
	}
	if huffman && t.refining {
		return nil, errJBIG2Part
	}
	if len(t.symbols) == 0 {
		return nil, errJBIG2
	}
	t.wide = wideEnough(len(t.symbols))
	c := &textCoder{template: flags >> 15 & 1, refining: make([]uint8, 1<<13), ids: make([]uint8, 2<<t.wide)}
	if huffman {
		if len(b) < 2 {
			return nil, errJBIG2
		}
		f := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		pick := chosen{j: j, refers: s.refers}
		c.huffFS, c.huffDS, c.huffDT = pick.table(f&3, 6, 7), pick.table(f>>2&3, 8, 9, 10), pick.table(f>>4&3, 11, 12, 13)
		if pick.failed {
			return nil, errJBIG2
		}
	}
	if t.refining && c.template == 0 {
		if c.adaptive, b, err = refiningOffsets(b); err != nil {
			return nil, err
		}
	}
	if len(b) < 4 {
		return nil, errJBIG2
	}
	t.count = int64(binary.BigEndian.Uint32(b))
	if huffman {
		c.bits = &bitReader{b: b[4:]}
		if c.huffID = symbolCodes(c.bits, len(t.symbols)); c.huffID == nil {
			return nil, errJBIG2
		}
	} else {
		c.arith = newArithmetic(b[4:])
	}
	return j.write(c, t)
}

// symbolCodes reads how long the code of each symbol is, and assigns them
// (7.4.3.1.7).
func symbolCodes(r *bitReader, symbols int) *codeTable {
	var runs []codeLine
	for i := range 35 {
		runs = append(runs, codeLine{prefix: r.bits(4), low: i})
	}
	of := newCodeTable(runs)
	var lines []codeLine
	for len(lines) < symbols {
		v, ok := of.next(r)
		n, length := 1, v
		switch {
		case !ok || r.over:
			return nil
		case v == 32:
			if len(lines) == 0 {
				return nil
			}
			n, length = r.bits(2)+3, lines[len(lines)-1].prefix
		case v == 33:
			n, length = r.bits(3)+3, 0
		case v == 34:
			n, length = r.bits(7)+11, 0
		}
		for range min(n, symbols-len(lines)) {
			lines = append(lines, codeLine{prefix: length, low: len(lines)})
		}
	}
	r.align()
	return newCodeTable(lines)
}

// write puts symbols where they belong (6.4.5).
func (j *jbig2) write(c *textCoder, r textRegion) (*bitmap, error) {
	out := newBitmap(r.w, r.h)
	if r.black {
		for i := range out.pix {
			out.pix[i] = 1
		}
	}
	t0, ok := c.number(&c.dt, c.huffDT)
	if !ok {
		return nil, errJBIG2
	}
	stripT, firstS := -t0*r.strips, 0
	const far = 1 << 20 // farther than any picture
	for n := int64(0); n < r.count; {
		v, ok := c.number(&c.dt, c.huffDT)
		if stripT += v * r.strips; !ok || stripT > far || stripT < -far {
			return nil, errJBIG2
		}
		v, ok = c.number(&c.fs, c.huffFS)
		if firstS += v; !ok || firstS > far || firstS < -far {
			return nil, errJBIG2
		}
		for s, first := firstS, true; ; first = false {
			if !first {
				// The end of the last line is read, too: behind text within a symbol
				// stands the next symbol. QUIRK: elsewhere it may be missing.
				v, ok := c.number(&c.ds, c.huffDS)
				if !ok || n == r.count {
					break
				}
				if s += v + r.offset; s > far || s < -far {
					return nil, errJBIG2
				}
			}
			t := stripT
			if r.strips > 1 {
				v, ok := 0, true
				if c.bits != nil {
					v = c.bits.bits(r.logStrips)
				} else {
					v, ok = c.it.next(c.arith)
				}
				if t += v; !ok || t > 2*far || t < -2*far {
					return nil, errJBIG2
				}
			}
			g, err := j.instance(c, r)
			if err != nil {
				return nil, err
			}
			s = r.place(out, g, s, t)
			n++
		}
		if err := j.spend(0, 0); err != nil {
			return nil, err
		}
		if c.bits != nil && c.bits.over {
			return nil, errJBIG2
		}
	}
	return out, nil
}

// instance reads which symbol comes next, and how it differs (6.4.11).
func (j *jbig2) instance(c *textCoder, r textRegion) (*bitmap, error) {
	id := c.symbol(r.wide)
	if id < 0 || id >= len(r.symbols) || c.bits != nil && c.bits.over {
		return nil, errJBIG2
	}
	g := r.symbols[id]
	if err := j.spend(g.w, g.h); err != nil {
		return nil, err
	}
	if !r.refining {
		return g, nil
	}
	differs, ok := c.ri.next(c.arith)
	if !ok {
		return nil, errJBIG2
	}
	if differs == 0 {
		return g, nil
	}
	dw, ok1 := c.rdw.next(c.arith)
	dh, ok2 := c.rdh.next(c.arith)
	dx, ok3 := c.rdx.next(c.arith)
	dy, ok4 := c.rdy.next(c.arith)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, errJBIG2
	}
	return j.refined(c, g, g.w+dw, g.h+dh, dw>>1+dx, dh>>1+dy)
}

// place lays a symbol down, its corner at s along the line and t across it, and
// says where the next one begins (6.4.5, 3c).
func (r *textRegion) place(out, g *bitmap, s, t int) int {
	right, bottom := r.corner >= 2, r.corner == 0 || r.corner == 2
	if !r.transposed && right {
		s += g.w - 1
	} else if r.transposed && bottom {
		s += g.h - 1
	}
	x, y := s, t
	if r.transposed {
		x, y = t, s
	}
	if right {
		x -= g.w - 1
	}
	if bottom {
		y -= g.h - 1
	}
	out.combine(g, x, y, r.op)
	if !r.transposed && !right {
		s += g.w - 1
	} else if r.transposed && !bottom {
		s += g.h - 1
	}
	return s
}
