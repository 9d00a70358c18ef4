package doc

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf16"

	"sekisho/internal/cfb"
)

// paper builds documents of Word 97: what a case wants to have in one, put where
// Word puts it.
type paper struct {
	stories  [8]string         // texts; fields in their characters
	kinds    [8][]byte         // numbers of the fields of a story, in the order of their beginnings; missing: no table
	split    []uint32          // where a new piece begins; pieces are wide and narrow in turn, the first wide
	runs     map[string][]byte // properties of the characters of a word
	para     []byte            // properties of every paragraph
	section  []byte            // properties of the section
	style    []byte            // properties of the characters of the style Normal
	clx      []byte            // before the piece table
	pairs    map[int][]byte    // further structures
	behind   map[int][]byte    // what follows one without being counted
	data     []byte            // the stream Data
	pages    int               // pages of characters, all of the same
	dead     string            // text that no piece refers to
	ident    uint16
	nFib     uint16
	flags    uint16
	storages []*cfb.Storage
	streams  []*cfb.Stream
	change   func(main, table []byte) // at the end
}

const textAt = 0x600

func newPaper() *paper {
	return &paper{ident: 0xA5EC, nFib: 193, flags: flagTable | flagExtChar, pairs: map[int][]byte{}, behind: map[int][]byte{}, runs: map[string][]byte{},
		stories: [8]string{"町長からのお知らせ\r"}}
}

// a field as it stands in a text.
func fieldOf(code, result string) string {
	return "\x13" + code + "\x14" + result + "\x15"
}

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

func (p *paper) bytes(t testing.TB) []byte {
	t.Helper()
	var text []uint16
	for _, s := range p.stories {
		text = append(text, units(s)...)
	}
	text = append(text, '\r')
	length := uint32(len(text))
	main := make([]byte, textAt)
	// Pieces.
	cuts := append([]uint32{0}, p.split...)
	cuts = append(cuts, length)
	var cps, pcds []byte
	place := make([]uint32, length+1) // where each character stands
	for i := range len(cuts) - 1 {
		cps = le.AppendUint32(cps, cuts[i])
		at := uint32(len(main))
		if i%2 == 0 {
			pcds = append(le.AppendUint32(append(pcds, 0, 0), at), 0, 0)
			for k, u := range text[cuts[i]:cuts[i+1]] {
				place[cuts[i]+uint32(k)] = uint32(len(main))
				main = le.AppendUint16(main, u)
			}
		} else {
			pcds = append(le.AppendUint32(append(pcds, 0, 0), at*2|1<<30), 0, 0)
			for k, u := range text[cuts[i]:cuts[i+1]] {
				place[cuts[i]+uint32(k)] = uint32(len(main))
				main = append(main, byte(u))
			}
			if len(main)%2 != 0 {
				main = append(main, 0)
			}
		}
		place[cuts[i+1]] = uint32(len(main))
	}
	cps = le.AppendUint32(cps, length)
	for _, u := range units(p.dead) {
		main = le.AppendUint16(main, u)
	}
	pad := func() {
		for len(main)%pageSize != 0 {
			main = append(main, 0)
		}
	}
	pad()
	end := uint32(len(main))
	// Runs: marked words and what lies between them.
	type run struct {
		from, to uint32
		props    []byte
	}
	var runs []run
	for at := uint32(0); at < length; {
		next := run{from: length, to: length}
		for word, props := range p.runs {
			u := units(word)
			for i := at; i+uint32(len(u)) <= length && i < next.from; i++ {
				if slices.Equal(text[i:i+uint32(len(u))], u) {
					next = run{i, i + uint32(len(u)), props}
				}
			}
		}
		if next.from > at {
			runs = append(runs, run{at, next.from, nil})
		}
		if next.from < next.to {
			runs = append(runs, next)
		}
		at = next.to
	}
	page := func(entry int, fcs []uint32, props [][]byte) {
		b := make([]byte, pageSize)
		for i, fc := range fcs {
			le.PutUint32(b[4*i:], fc)
		}
		b[pageSize-1] = byte(len(props))
		var filled []entryOfPage
		for i, q := range props {
			if len(q) > 0 {
				filled = append(filled, entryOfPage{run: i, b: q})
			}
		}
		if err := fill(b, 4*len(fcs)+entry*len(props), filled, func(i int, where byte) { b[4*len(fcs)+entry*i] = where }); err != nil {
			t.Fatal(err)
		}
		main = append(main, b...)
	}
	var fcs []uint32
	var props [][]byte
	for _, r := range runs {
		fcs = append(fcs, place[r.from])
		if len(r.props) == 0 {
			props = append(props, nil)
		} else {
			props = append(props, append([]byte{byte(len(r.props))}, r.props...))
		}
	}
	fcs = append(fcs, end)
	chpPage := uint32(len(main) / pageSize)
	for range max(p.pages, 1) {
		page(1, fcs, props)
	}
	papPage := uint32(len(main) / pageSize)
	papx := append([]byte{0, 0}, p.para...)
	if len(papx)%2 != 0 {
		papx = append([]byte{byte(len(papx)+1) / 2}, papx...)
	} else {
		papx = append([]byte{0, byte(len(papx) / 2)}, papx...)
	}
	page(13, []uint32{textAt, end}, [][]byte{papx})
	sepAt := uint32(len(main))
	main = append(le.AppendUint16(main, uint16(len(p.section))), p.section...)

	plc := func(cps []uint32, data []byte) []byte {
		var b []byte
		for _, c := range cps {
			b = le.AppendUint32(b, c)
		}
		return append(b, data...)
	}
	all := map[int][]byte{
		pairStsh:    p.sheet(),
		pairSed:     plc([]uint32{0, uint32(len(units(p.stories[0])))}, append(le.AppendUint32([]byte{0, 0}, sepAt), 1, 2, 3, 4, 5, 6)),
		pairBtePapx: plc([]uint32{textAt, end}, le.AppendUint32(nil, papPage)),
		pairFfn:     append([]byte{1, 0, 0, 0, 39 + 10}, append(make([]byte, 39), 'T', 0, 'i', 0, 'm', 0, 0, 0, 0, 0)...),
		pairDop:     make([]byte, 500),
		pairClx:     append(append(bytes.Clone(p.clx), append([]byte{2}, le.AppendUint32(nil, uint32(len(cps)+len(pcds)))...)...), append(cps, pcds...)...),
	}
	var starts []uint32
	var numbers []byte
	for i := range max(p.pages, 1) {
		starts, numbers = append(starts, textAt), le.AppendUint32(numbers, chpPage+uint32(i))
	}
	all[pairBteChpx] = plc(append(starts, end), numbers)
	for story, kinds := range p.kinds {
		if kinds == nil {
			continue
		}
		var cs []uint32
		var flds []byte
		var open []byte
		k := 0
		for i, u := range units(p.stories[story]) {
			switch u {
			case fieldBegin:
				flds = append(flds, byte(u), kinds[k])
				k++
				open = append(open, 0)
			case fieldSep:
				flds = append(flds, byte(u), 0xFF)
				if len(open) > 0 {
					open[len(open)-1] = fldHasSep
				}
			case fieldEnd:
				f := byte(0)
				if len(open) > 0 {
					f, open = open[len(open)-1], open[:len(open)-1]
				}
				flds = append(flds, byte(u), f)
			default:
				continue
			}
			cs = append(cs, uint32(i))
		}
		all[fieldTables[story]] = plc(append(cs, uint32(len(units(p.stories[story])))), flds)
	}
	for i, b := range p.pairs {
		all[i] = b
	}
	var table []byte
	le.PutUint16(main, p.ident)
	le.PutUint16(main[2:], p.nFib)
	le.PutUint16(main[6:], 0x0411)
	le.PutUint16(main[10:], p.flags)
	le.PutUint32(main[24:], textAt)
	le.PutUint32(main[28:], end)
	le.PutUint16(main[32:], 14)
	le.PutUint16(main[62:], 22)
	le.PutUint32(main[64:], uint32(len(main)))
	for i, s := range p.stories {
		le.PutUint32(main[64+4*(3+i):], uint32(len(units(s))))
	}
	const pairs = 136
	le.PutUint16(main[152:], pairs)
	for i := range pairs {
		if b, ok := all[i]; ok {
			table = append(table, "slack"...)
			le.PutUint32(main[154+8*i:], uint32(len(table)))
			le.PutUint32(main[158+8*i:], uint32(len(b)))
			table = append(append(table, b...), p.behind[i]...)
		}
	}
	le.PutUint16(main[154+8*pairs:], 2)
	le.PutUint16(main[156+8*pairs:], 0x0101)
	if p.change != nil {
		p.change(main, table)
	}
	name := "0Table"
	if p.flags&flagTable != 0 {
		name = "1Table"
	}
	root := &cfb.Storage{CLSID: classWord, Storages: p.storages, Streams: append([]*cfb.Stream{cfb.NewStream("WordDocument", main), cfb.NewStream(name, table)}, p.streams...)}
	if p.data != nil {
		root.Streams = append(root.Streams, cfb.NewStream("Data", p.data))
	}
	var out bytes.Buffer
	if err := cfb.Write(&out, root); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sheet is a style sheet of one style, Normal.
func (p *paper) sheet() []byte {
	head := []byte{18, 0, 1, 0, 10, 0, 1, 0, 0x5B, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	s := []byte{0, 0x10, 0xF1, 0xFF, 2, 0, 0, 0, 0, 0} // a paragraph's, based on none
	s = le.AppendUint16(s, 6)
	for _, u := range units("Normal\x00") {
		s = le.AppendUint16(s, u)
	}
	s = append(s, 2, 0, 0, 0)
	s = append(le.AppendUint16(s, uint16(len(p.style))), p.style...)
	if len(p.style)%2 != 0 {
		s = append(s, 0)
	}
	le.PutUint16(s[6:], uint16(len(s)))
	return append(le.AppendUint16(head, uint16(len(s))), s...)
}

// frame puts the header of a picture before something.
func frame(mm uint16, body []byte) []byte {
	h := make([]byte, pictureHeader)
	le.PutUint32(h, uint32(pictureHeader+len(body)))
	le.PutUint16(h[4:], pictureHeader)
	le.PutUint16(h[6:], mm)
	return append(h, body...)
}

// change is one property change.
func change(op uint16, value ...byte) []byte { return append(le.AppendUint16(nil, op), value...) }

// special is a run of a special character whose place is at.
func special(at uint32, more ...byte) []byte {
	return append(append(change(sprmCPicLocation, le.AppendUint32(nil, at)...), change(sprmCFSpec, 1)...), more...)
}
