package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/fax"
	"sekisho/sanitize"
)

// TestHuffmanTablesAreWhole: of each table of the standard the codes use up all
// bits there are, and its lines leave no number out.
func TestHuffmanTablesAreWhole(t *testing.T) {
	for i, table := range standardCodes.Get() {
		if i == 0 {
			continue
		}
		sum, ends := 0.0, map[int]bool{}
		for _, l := range table.lines {
			sum += 1 / float64(int(1)<<l.prefix)
			if !l.none && l.more < 32 {
				ends[l.low+1<<l.more] = true
			}
		}
		if sum != 1 {
			t.Errorf("table %d: the codes use up %v of 1", i, sum)
		}
		open := 0 // lines that begin where none ends
		for _, l := range table.lines {
			if !l.none && !l.down && !ends[l.low] {
				open++
			}
		}
		if open != 1 {
			t.Errorf("table %d: %d lines begin where none ends", i, open)
		}
	}
}

type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) bits(v, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

func (w *bitWriter) octets(b []byte) {
	w.b = append(w.b, b...)
	w.n = 8 * len(w.b)
}

// code writes a number by a table; the narrow lines before the open ones.
func (w *bitWriter) code(t *codeTable, v int, ok bool) {
	for _, narrow := range []bool{true, false} {
		for i, l := range t.lines {
			more := v - l.low
			if l.down {
				more = -more
			}
			if (l.more < 32) != narrow || l.none == ok || ok && (more < 0 || more >= 1<<l.more) {
				continue
			}
			w.bits(int(t.first[l.prefix])+i-t.from[l.prefix], l.prefix)
			if ok {
				w.bits(more, l.more)
			}
			return
		}
	}
	panic(fmt.Sprintf("%d is in no line", v))
}

// put encodes as next decodes.
func (n *integer32) put(e *encoder, v int, ok bool) {
	prev := 1
	write := func(v, count int) {
		for i := count - 1; i >= 0; i-- {
			b := v >> i & 1
			e.bit(&n.contexts[prev], byte(b))
			if prev < 256 {
				prev = prev<<1 | b
			} else {
				prev = (prev<<1|b)&511 | 256
			}
		}
	}
	sign := 0
	if v < 0 || !ok {
		sign, v = 1, -v
	}
	if !ok {
		v = 0
	}
	write(sign, 1)
	for i, step := range [...]struct{ bits, from int }{{2, 0}, {4, 4}, {6, 20}, {8, 84}, {12, 340}, {32, 4436}} {
		if i == 5 || v < step.from+1<<step.bits {
			if i < 5 {
				write(0, 1)
			}
			write(v-step.from, step.bits)
			return
		}
		write(1, 1)
	}
}

// laid is a symbol in its place: its upper left corner, and what it is where it
// differs.
type laid struct {
	id, s, t int
	as       *bitmap
}

// textWriter writes the numbers of text in either coding.
type textWriter struct {
	c *textCoder
	e *encoder
	w *bitWriter // nil: arithmetic
}

func newTextWriter(huffman bool, template int) *textWriter {
	t := &textWriter{c: &textCoder{refining: make([]uint8, 1<<13), ids: make([]uint8, 1<<10), template: template, adaptive: []offset{{-1, -1}, {-1, -1}}}}
	if !huffman {
		t.e = newEncoder()
		return t
	}
	t.w = &bitWriter{}
	s := standardCodes.Get()
	t.c.huffFS, t.c.huffDS, t.c.huffDT = s[6], s[8], s[11]
	return t
}

func (t *textWriter) number(a *integer32, h *codeTable, v int, ok bool) {
	if t.w != nil {
		t.w.code(h, v, ok)
	} else {
		a.put(t.e, v, ok)
	}
}

func (t *textWriter) symbol(id, wide int) {
	if t.w != nil {
		t.w.code(t.c.huffID, id, true)
		return
	}
	cx := 1
	for i := wide - 1; i >= 0; i-- {
		b := id >> i & 1
		t.e.bit(&t.c.ids[cx], byte(b))
		cx = cx<<1 | b
	}
}

// refined writes what differs.
func (t *textWriter) refined(m, like *bitmap, dx, dy int) {
	t.e.refine(m, t.c.template, false, t.c.adaptive, t.c.refining, like, dx, dy)
}

// text writes symbols, which are in the order of their lines of strips rows.
func (t *textWriter) text(all []laid, symbols []*bitmap, wide, logStrips, offset int, refining bool) {
	strips := 1 << logStrips
	c := t.c
	t.number(&c.dt, c.huffDT, 1, true) // B.11 has no 0
	line, firstS := -1, 0
	for i := 0; i < len(all); {
		t.number(&c.dt, c.huffDT, all[i].t/strips-line, true)
		line = all[i].t / strips
		s := 0
		for first := true; i < len(all) && all[i].t/strips == line; i++ {
			l := all[i]
			if first {
				t.number(&c.fs, c.huffFS, l.s-firstS, true)
				firstS, first = l.s, false
			} else {
				t.number(&c.ds, c.huffDS, l.s-s-offset, true)
			}
			switch {
			case strips == 1:
			case t.w != nil:
				t.w.bits(l.t%strips, logStrips)
			default:
				c.it.put(t.e, l.t%strips, true)
			}
			t.symbol(l.id, wide)
			g := symbols[l.id]
			if refining {
				differs := 0
				if l.as != nil {
					differs = 1
				}
				c.ri.put(t.e, differs, true)
				if l.as != nil {
					dw, dh := l.as.w-g.w, l.as.h-g.h
					c.rdw.put(t.e, dw, true)
					c.rdh.put(t.e, dh, true)
					c.rdx.put(t.e, 1, true)
					c.rdy.put(t.e, -1, true)
					t.refined(l.as, g, dw>>1+1, dh>>1-1)
					g = l.as
				}
			}
			s = l.s + g.w - 1
		}
		t.number(&c.ds, c.huffDS, 0, false)
	}
}

func (t *textWriter) end() []byte {
	if t.w != nil {
		return t.w.b
	}
	return t.e.flush()
}

// glyphs are symbols of some sizes, in the order of dictionaries: by height.
func glyphs() []*bitmap {
	a, b, c := checkers(9, 8), checkers(12, 8), checkers(7, 11)
	for i := range c.pix {
		c.pix[i] ^= byte(i % 3 & 1)
	}
	return []*bitmap{a, b, c}
}

// glyphDictionary writes them.
func glyphDictionary(number uint32, all []*bitmap, huffman, mmr bool, own []byte, contexts []uint8, flags int) []byte {
	t := newTextWriter(huffman, 0)
	standard := standardCodes.Get()
	head := flags
	var refers []byte
	width := standard[2]
	if huffman {
		head |= 1
		if own != nil {
			head |= 3 << 4
			refers = []byte{9}
			j := &jbig2{tables: map[uint32]*codeTable{}, left: 1 << 20}
			if err := j.table(segment{number: 9, data: own}); err != nil {
				panic(err)
			}
			width = j.tables[9]
		}
	} else if flags&0x100 != 0 {
		refers = []byte{8}
	}
	var heights, widths, exports integer32
	h := 0
	adaptive := []offset{{3, -1}, {-3, -1}, {2, -2}, {-2, -2}}
	for i := 0; i < len(all); {
		t.number(&heights, standard[4], all[i].h-h, true)
		h = all[i].h
		w, from := 0, i
		for ; i < len(all) && all[i].h == h; i++ {
			t.number(&widths, width, all[i].w-w, true)
			if w = all[i].w; !huffman {
				t.e.generic(all[i], 0, adaptive, contexts)
			}
		}
		t.number(&widths, width, 0, false)
		if !huffman {
			continue
		}
		total := 0
		for _, m := range all[from:i] {
			total += m.w
		}
		stride, at := (total+7)/8, 0
		rows := make([]byte, stride*h)
		for _, m := range all[from:i] {
			for y := range h {
				for x := range m.w {
					rows[y*stride+(at+x)/8] |= m.at(x, y) << (7 - (at+x)%8)
				}
			}
			at += m.w
		}
		size := 0
		if mmr {
			rows = fax.Group4(fax.NewTables(), rows, total, h)
			size = len(rows)
		}
		t.w.code(standard[1], size, true)
		t.w.octets(rows)
	}
	before := 0
	if flags&0x100 != 0 {
		before = len(all)
	}
	t.number(&exports, standard[1], before, true)
	t.number(&exports, standard[1], len(all), true)
	b := binary.BigEndian.AppendUint16(nil, uint16(head))
	if !huffman {
		for _, o := range adaptive {
			b = append(b, byte(o.x), byte(o.y))
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	return referring(number, 0, refers, append(b, t.end()...))
}

// textSegment writes text of the symbols of segment 10.
func textSegment(all []laid, symbols []*bitmap, huffman, refining bool, template, logStrips, offset int) []byte {
	t := newTextWriter(huffman, template)
	head := logStrips<<2 | 1<<4 | offset&31<<10 | template<<15
	if huffman {
		head |= 1
	}
	if refining {
		head |= 2
	}
	b := append(regionHead(80, 60, 0, 0), byte(head>>8), byte(head))
	if huffman {
		b = append(b, 0x15, 0x40) // B.6, B.8, B.11, and B.15 of what differs
	}
	if refining && template == 0 {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	if huffman {
		// Lengths of codes: of 1 and of 2, by codes of one bit.
		for i := range 35 {
			n := 0
			if i == 1 || i == 2 {
				n = 1
			}
			t.w.bits(n, 4)
		}
		var lines []codeLine
		for i, n := range []int{1, 2, 2} {
			lines = append(lines, codeLine{prefix: n, low: i})
			t.w.bits(n-1, 1)
		}
		t.w.octets(nil)
		t.c.huffID = newCodeTable(lines)
	}
	t.text(all, symbols, 2, logStrips, offset, refining)
	return referring(20, 6, []byte{10}, append(b, t.end()...))
}

// jbig2Text are pictures of text in every coding, and what they show.
func jbig2Text() map[string]struct {
	data []byte
	want *bitmap
} {
	type made = struct {
		data []byte
		want *bitmap
	}
	all := map[string]made{}
	symbols := glyphs()
	info := jbig2Segment(0, 48, append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 80), 60), make([]byte, 11)...))
	add := func(name string, lay []laid, symbols []*bitmap, segments ...[]byte) {
		m := newBitmap(80, 60)
		for _, l := range lay {
			g := symbols[l.id]
			if l.as != nil {
				g = l.as
			}
			m.combine(g, l.s, l.t, 0)
		}
		all[name] = made{bytes.Join(append([][]byte{info}, segments...), nil), m}
	}
	lay := []laid{{0, 3, 4, nil}, {1, 14, 5, nil}, {2, 30, 6, nil}, {2, 5, 21, nil}, {0, 20, 22, nil}, {0, 70, 23, nil}}
	flat := []laid{{0, 3, 4, nil}, {1, 14, 4, nil}, {2, 30, 4, nil}, {2, 5, 21, nil}, {0, 20, 21, nil}}
	own := []byte{1 | 3<<1 | 3<<4, 0, 0, 0, 0, 0, 0, 0, 16}
	w := &bitWriter{}
	for _, v := range []int{1, 4, 0, 0, 2, 2} { // 0 to 15 by one bit and four; none below and above; the end
		w.bits(v, 4)
	}
	own = append(own, w.b...)
	add("arithmetic, lines of four rows", lay, symbols, glyphDictionary(10, symbols, false, false, nil, make([]uint8, 1<<16), 0), textSegment(lay, symbols, false, false, 0, 2, 0))
	add("Huffman", flat, symbols, glyphDictionary(10, symbols, true, false, nil, nil, 0), textSegment(flat, symbols, true, false, 0, 0, 0))
	add("Huffman, lines of four rows, farther apart", lay, symbols, glyphDictionary(10, symbols, true, false, nil, nil, 0), textSegment(lay, symbols, true, false, 0, 2, 3))
	add("Huffman, symbols in MMR", lay, symbols, glyphDictionary(10, symbols, true, true, nil, nil, 0), textSegment(lay, symbols, true, false, 0, 2, -2))
	add("Huffman by a table of its own", lay, symbols, jbig2Segment(9, 53, own), glyphDictionary(10, symbols, true, false, own, nil, 0), textSegment(lay, symbols, true, false, 0, 2, 0))
	contexts := make([]uint8, 1<<16)
	first := glyphDictionary(8, symbols, false, false, nil, contexts, 0x200)
	add("contexts of another dictionary", lay, symbols, first, glyphDictionary(10, symbols, false, false, nil, contexts, 0x100), textSegment(lay, symbols, false, false, 0, 2, 0))
	for template := range 2 {
		name := fmt.Sprintf(" by template %d", template)
		differs := []laid{{0, 3, 4, nil}, {1, 14, 4, checkers(13, 10)}, {2, 30, 4, checkers(6, 11)}, {2, 5, 21, nil}}
		differs[1].as.pix[40] ^= 1
		add("symbols that differ"+name, differs, symbols, glyphDictionary(10, symbols, false, false, nil, make([]uint8, 1<<16), 0),
			textSegment(differs, symbols, false, true, template, 0, 0))
		// The text is of two dictionaries.
		dictionary, made := aggregates(symbols, template)
		three := append(made, symbols[0])
		lay := []laid{{0, 3, 4, nil}, {1, 14, 4, nil}, {2, 50, 4, nil}}
		b := textSegment(lay, three, false, false, 0, 0, 0)
		b = slices.Insert(b, 7, 11)
		b[5] = 2 << 5
		add("symbols made of others"+name, lay, three, glyphDictionary(8, symbols, false, false, nil, make([]uint8, 1<<16), 0), dictionary,
			glyphDictionary(11, symbols[:1], false, false, nil, make([]uint8, 1<<16), 0), b)
	}
	return all
}

// TestJBIG2OfEveryCodingIsRead holds what is read against what was coded, and
// against what Ghostscript draws, whose decoder is another one. It knows no
// regions that are not shown and no contexts of another dictionary; where template 1 passes over
// what does not differ it has another place for that in its table than T.88,
// figure 15.
func TestJBIG2OfEveryCodingIsRead(t *testing.T) {
	gs, missing := exec.LookPath("gs")
	cases := jbig2Text()
	for name, c := range jbig2Refined() {
		cases[name] = c
	}
	for name, c := range cases {
		b := file("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
			"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 80 60] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>", stream("", "80 0 0 60 0 0 cm /X Do"),
			stream("/Type /XObject /Subtype /Image /Width 80 /Height 60 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode", string(c.data)))
		r, err := treat(b, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rows := make([]byte, 10*60)
		for i, v := range c.want.pix {
			rows[i/8] |= v << (7 - i%8)
		}
		if !bytes.Contains(r.out, fax.Group4(fax.NewTables(), rows, 80, 60)) {
			t.Errorf("%s: other pixels come out, %v", name, r.findings)
		}
		switch {
		case missing != nil:
			t.Logf("gs is not installed: nobody else looked at %s", name)
			continue
		case strings.Contains(name, "hidden true"), strings.Contains(name, "template 1, typical true"), name == "contexts of another dictionary":
			continue
		}
		in := filepath.Join(t.TempDir(), "a.pdf")
		if err := os.WriteFile(in, b, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), gs, "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pgmraw", "-r72", "-sOutputFile=-", in).Output()
		if err != nil || len(out) < 80*60 {
			t.Errorf("%s: Ghostscript: %v, %d octets", name, err, len(out))
			continue
		}
		for i, v := range out[len(out)-80*60:] {
			if (v == 0) != (c.want.pix[i] == 1) {
				t.Errorf("%s: Ghostscript draws something else at %d, %d", name, i%80, i/80)
				break
			}
		}
	}
}

// FuzzJBIG2Text reads text in every coding that was damaged.
func FuzzJBIG2Text(f *testing.F) {
	for _, c := range jbig2Text() {
		f.Add(c.data)
	}
	for _, c := range jbig2Refined() {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzOne(t, picturePage("/Width 80 /Height 60 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode", string(b)))
	})
}

// TestJBIG2ThatGrowsIsBounded: what takes memory for some bits of the file is
// counted: tables, contexts that are kept, symbols referred to again and again.
func TestJBIG2ThatGrowsIsBounded(t *testing.T) {
	symbols := glyphs()
	table := []byte{1<<1 | 0<<4, 0, 0, 0, 0, 0, 0, 15, 0} // 3,840 lines of one number, each by three bits
	table = append(table, make([]byte, 2000)...)
	fresh := func() *jbig2 {
		return &jbig2{c: &cleaner{}, dicts: map[uint32]patterns{}, words: map[uint32]lexicon{}, tables: map[uint32]*codeTable{}, parts: map[uint32]*bitmap{}, w: 80, h: 60, left: 1 << 24}
	}
	kept := glyphDictionary(1, symbols, false, false, nil, make([]uint8, 1<<16), 0x200)
	many := make([]*bitmap, maxSymbols)
	// Patterns of a pixel, 65,535 of them, and a large one, both of zeros that are not
	// there: behind the end a decoder reads on.
	small := []byte{0, 1, 1, 0, 0, 0xff, 0xfe, 0, 0, 0, 0}
	large := []byte{0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0}
	halftone := append(regionHead(80, 60, 0, 0), 0)
	for _, v := range []uint32{16, 1, 0, 0} { // all in one place
		halftone = binary.BigEndian.AppendUint32(halftone, v)
	}
	halftone = append(halftone, make([]byte, 7)...)
	for name, of := range map[string]func(j *jbig2, n int) error{
		"tables":   func(j *jbig2, n int) error { return j.segment(segment{number: uint32(n), kind: 53, data: table}) },
		"contexts": func(j *jbig2, n int) error { return j.segment(segment{number: uint32(n), kind: 0, data: kept[11:]}) },
		"symbols": func(j *jbig2, n int) error {
			j.words[1] = lexicon{symbols: many}
			_, err := j.known(segment{refers: []uint32{1, 1}})
			return err
		},
		"patterns": func(j *jbig2, n int) error { return j.segment(segment{number: uint32(n), kind: 16, data: small}) },
		"patterns on patterns": func(j *jbig2, n int) error {
			j.page = newBitmap(80, 60)
			if j.dicts[1].each == nil {
				if err := j.segment(segment{number: 1, kind: 16, data: large}); err != nil {
					return err
				}
			}
			return j.segment(segment{number: 2, kind: 22, refers: []uint32{1}, data: halftone})
		},
	} {
		j, made := fresh(), 0
		for ; made < 1000; made++ {
			if err := of(j, made); err != nil {
				if !errors.Is(err, sanitize.ErrLimit) {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
		}
		if made == 0 || made > 300 {
			t.Errorf("%s: %d times", name, made)
		}
	}
}
