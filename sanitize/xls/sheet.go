package xls

import (
	"fmt"

	"sekisho/sanitize"
)

// cell is the place of a cell.
type cell struct{ row, col uint16 }

// sheet is a substream while it is written: a worksheet, a chart, or a chart in
// a worksheet.
type sheet struct {
	w     *workbook
	kind  where
	out   []byte
	depth int

	// From the first walk.
	end     int
	dialog  bool
	windows uint16 // the flags of its window
	drawing []byte
	hosts   int              // records that belong to shapes
	shared  map[cell]verdict // formulas that others stand for

	headers headers

	// While it is written.
	replaced    bool // by an empty sheet
	hostKept    bool
	comment     bool // the last shape shows a comment
	headersDone bool
	pieces      [][]byte // of the new drawing, one for each host and one behind the last
	host        int
	pending     *cellResult
	last        cell // of the last formula
	lastExp     bool
	lastKept    bool
	links       bool            // the last hyperlink stays
	dropped     map[uint16]bool // conditional formats, by number
	inView      bool
	text        []uint16 // kept for its memory
}

// cellResult is a formula that becomes its result, while the text of the result
// is still to come.
type cellResult struct {
	cell
	format uint16
}

// maxDepth is of charts in sheets: a chart holds no other.
const maxDepth = 1

// substream rewrites the substream at off and returns where it ends.
func (w *workbook) substream(off, depth int) (*sheet, error) {
	var r record
	if err := next(w.in, off, &r); err != nil {
		return nil, err
	}
	if r.typ != recBOF || len(r.data) < 4 {
		return nil, fmt.Errorf("no sheet at octet %d: %w", off, sanitize.ErrMalformed)
	}
	if v := le.Uint16(r.data); v != 0x0600 {
		return nil, fmt.Errorf("sheet in version %04X of the format: %w", v, sanitize.ErrUnsupported)
	}
	s := &sheet{w: w, depth: depth, lastKept: true}
	macro := false
	switch k := le.Uint16(r.data[2:]); k {
	case 0x0010:
		s.kind = inSheet
	case 0x0020:
		s.kind = inChart
	case 0x0040, 0x0006: // Excel 4 macros, Visual Basic module
		macro = true
	default:
		return nil, fmt.Errorf("sheet of kind %04X: %w", k, sanitize.ErrMalformed)
	}
	if depth > 0 && s.kind != inChart {
		return nil, fmt.Errorf("a sheet in a sheet: %w", sanitize.ErrMalformed)
	}
	if err := s.scan(r.end); err != nil {
		return nil, err
	}
	switch {
	case macro:
		w.report.Found("xls.macro-sheet", w.place, sanitize.Replaced, w.place)
		s.empty()
		return s, nil
	case s.dialog:
		w.report.Found("xls.dialog-sheet", w.place, sanitize.Replaced, w.place)
		s.empty()
		return s, nil
	}
	if err := s.draw(); err != nil {
		return nil, err
	}
	s.out = appendRecord(s.out, recBOF, beginning(r.data))
	if err := s.write(r.end); err != nil {
		return nil, err
	}
	return s, nil
}

// empty makes an empty sheet in the place of one that may not stay: names,
// windows and references count sheets.
func (s *sheet) empty() {
	s.kind, s.replaced = inSheet, true
	s.out = appendRecord(nil, recBOF, []byte{0, 6, 0x10, 0, 0xBB, 0x0D, 0xCC, 7, 0, 0, 0, 0, 6, 0, 0, 0})
	s.out = appendRecord(s.out, recDimensions, make([]byte, 14))
	b := make([]byte, 18)
	const selected, active = 0x0200, 0x0400
	le.PutUint16(b, 0x00B6|s.windows&(selected|active))
	b[6] = 64 // colour of the grid: the window's own
	s.out = appendRecord(s.out, recWindow2, b)
	s.out = appendRecord(s.out, recEOF, nil)
}

// scan walks the substream once: what is needed before the first record can be
// written.
func (s *sheet) scan(off int) error {
	var r record
	inside := 0
	var last parsed
	for {
		if err := next(s.w.in, off, &r); err != nil {
			return err
		}
		off = r.end
		switch {
		case r.typ == recEOF && inside == 0:
			s.end = off
			return nil
		case r.typ == recEOF:
			inside--
		case r.typ == recBOF:
			if inside++; s.depth+inside > maxDepth {
				return fmt.Errorf("substreams %d deep: %w", s.depth+inside, sanitize.ErrMalformed)
			}
		case inside > 0:
		case r.typ == recWSBool && len(r.data) >= 2:
			const dialog = 0x0010
			s.dialog = s.dialog || le.Uint16(r.data)&dialog != 0
		case r.typ == recWindow2 && len(r.data) >= 2:
			s.windows = le.Uint16(r.data)
		case r.typ == recDrawing:
			s.drawing = append(s.drawing, r.joined()...)
		case r.typ == recObj:
			s.hosts++
			// QUIRK: Excel goes on with the drawing in a CONTINUE record.
			for _, p := range r.more {
				s.drawing = append(s.drawing, p...)
			}
		case r.typ == recTXO:
			s.hosts++
			for _, p := range textOf(&r).beyond {
				s.drawing = append(s.drawing, p...)
			}
		case r.typ == recHFPicture:
			s.headers.add(&r)
		case r.typ == recFormula && len(r.data) >= 22:
			last = parsed{}
			if tokens, extra, ok := cutFormula(r.joined(), 20, 22); ok && len(tokens) == 5 && (tokens[0] == 1 || tokens[0] == 2) {
				last = s.w.parse(tokens, extra)
			}
		case r.typ == recArray || r.typ == recSharedFmla || r.typ == recTable:
			at, v := s.share(&r)
			if !last.exp {
				break // nothing stands for it
			}
			// It is the cell that a formula names; that is the first of its range.
			at.row, at.col = last.row, last.col
			if s.shared == nil {
				s.shared = map[cell]verdict{}
			}
			if have, ok := s.shared[at]; !ok || !have.bad() {
				s.shared[at] = v
			}
		}
	}
}

// cutFormula returns the tokens of a formula whose length stands at size, and
// what lies behind them.
func cutFormula(b []byte, size, at int) (tokens, extra []byte, ok bool) {
	if len(b) < at {
		return nil, nil, false
	}
	n := int(le.Uint16(b[size:]))
	if n > len(b)-at {
		return nil, nil, false
	}
	return b[at : at+n : at+n], b[at+n:], true
}

// share judges a formula that stands for several cells.
func (s *sheet) share(r *record) (cell, verdict) {
	d := r.joined()
	if len(d) < 6 {
		return cell{}, verdict{"xls.formula", "cut short"}
	}
	at := cell{le.Uint16(d), uint16(d[4])}
	size, from := 12, 14
	switch r.typ {
	case recTable:
		if len(d) < 16 {
			return at, verdict{"xls.formula", "cut short"}
		}
		return at, verdict{}
	case recSharedFmla:
		size, from = 8, 10
	}
	tokens, extra, ok := cutFormula(d, size, from)
	if !ok {
		return at, verdict{"xls.formula", "cut short"}
	}
	v, _ := s.judge(tokens, extra)
	return at, v
}

// judge parses a formula and looks at the names it uses.
func (s *sheet) judge(tokens, extra []byte) (verdict, parsed) {
	p := s.w.parse(tokens, extra)
	if p.bad() && p.rule != "xls.user-function" {
		return p.verdict, p
	}
	for _, k := range p.names {
		if n := &s.w.names[k-1]; n.verdict.bad() {
			return verdict{n.verdict.rule, "name " + text(n.name)}, p
		}
	}
	return p.verdict, p
}

func (s *sheet) emit(r *record, most int) { s.out = cut(s.out, r, most) }

// write walks the substream again and writes what may stay.
func (s *sheet) write(off int) error {
	var r record
	for {
		if err := next(s.w.in, off, &r); err != nil {
			return err
		}
		at := off
		off = r.end
		if s.pending != nil && r.typ != recString && r.typ != recArray && r.typ != recSharedFmla && r.typ != recTable {
			s.settle(nil)
		}
		switch r.typ {
		case recEOF:
			if n := len(s.pieces); n > 0 && len(s.pieces[n-1]) > 0 && s.host < n {
				s.out = appendRecord(s.out, recDrawing, s.pieces[n-1])
			}
			s.out = appendRecord(s.out, recEOF, nil)
			return nil
		case recBOF:
			in, err := s.w.substream(at, s.depth+1)
			if err != nil {
				return err
			}
			off = in.end
			if s.hostKept {
				s.out = append(s.out, in.out...)
			}
			s.hostKept = false
		case recDrawing:
			// It is written before what it belongs to.
		case recViewBegin, recViewEnd:
			s.inView = r.typ == recViewBegin
			s.lastKept = false
		case recContinueFrt, recContFrt11, recContFrt12:
			if s.lastKept {
				s.emit(&r, 0)
			}
		default:
			if s.inView {
				continue
			}
			kept, end, err := s.record(&r)
			if err != nil {
				return err
			}
			s.lastKept = kept
			off = end
		}
	}
}

// record writes one record, or several that belong together, and returns where
// the next begins.
func (s *sheet) record(r *record) (kept bool, end int, err error) {
	end = r.end
	switch r.typ {
	case recFormula:
		return true, end, s.formula(r)
	case recString:
		s.result(r)
		return true, end, nil
	case recArray, recSharedFmla, recTable:
		return s.sharedFormula(r), end, nil
	case recObj:
		return true, end, s.object(r)
	case recTXO:
		return true, end, s.textObject(r)
	case recHLink:
		s.link(r)
		return s.links, end, nil
	case recHLinkTip:
		if s.links && s.kind == inSheet && len(r.data) <= 1024 {
			s.emit(r, 0)
		}
		return true, end, nil
	case recNote:
		if s.kind == inSheet && len(r.data) >= 8 {
			s.note(r)
		}
		return true, end, nil
	case recDVal:
		end, err = s.validations(r)
		return true, end, err
	case recDV:
		return false, end, nil // one that is not counted
	case recCondFmt, recCondFmt12:
		end, err = s.conditions(r)
		return true, end, err
	case recCFEx:
		end, err = s.extendedCondition(r)
		return true, end, err
	case recCF, recCF12:
		return false, end, nil
	case recFeatHdr, recFeat:
		// Only what protects a sheet and what errors are not marked: a type
		// behind the header. [MS-XLS] 2.4.111, 2.4.112.
		if len(r.data) >= 14 && s.kind == inSheet {
			switch le.Uint16(r.data[12:]) {
			case 2:
				if r.typ == recFeatHdr {
					s.emit(r, 0)
					return true, end, nil
				}
			case 3:
				s.emit(r, 0)
				return true, end, nil
			}
		}
		return false, end, nil
	case recHFPicture:
		if !s.headersDone {
			s.headersDone = true
			b, err := s.headers.write(s.w)
			if err != nil {
				return false, 0, err
			}
			s.out = append(s.out, b...)
		}
		return true, end, nil
	case recBRAI:
		if s.kind == inChart {
			s.chartFormula(r)
		}
		return true, end, nil
	case recGelFrame:
		if s.kind == inChart {
			return true, end, s.fill(r)
		}
		return false, end, nil
	}
	rule := ruleOf(r.typ)
	if rule.in&s.kind == 0 {
		if rule.in == 0 {
			s.w.drop(s.w.place, r.typ, rule)
		} else {
			s.w.report.Found("xls.record", s.w.place, sanitize.Rewritten, fmt.Sprintf("%04X", r.typ))
		}
		return false, end, nil
	}
	s.emit(r, rule.most)
	return true, end, nil
}

// formula writes a cell with a formula, or with its result. [MS-XLS] 2.4.127.
func (s *sheet) formula(r *record) error {
	d := r.joined()
	tokens, extra, ok := cutFormula(d, 20, 22)
	if !ok || s.kind != inSheet {
		return fmt.Errorf("formula: %w", sanitize.ErrMalformed)
	}
	v, p := s.judge(tokens, extra)
	s.last = cell{le.Uint16(d), le.Uint16(d[2:])}
	s.lastExp = p.exp && !v.bad()
	if s.lastExp {
		shared, ok := s.shared[cell{p.row, p.col}]
		if !ok {
			shared = verdict{"xls.formula", "without the one it stands for"}
		}
		v = shared
		s.lastExp = !v.bad() // nothing stands for one whose cells have their values
	}
	if !v.bad() && s.w.s.Options.Values {
		v = verdict{"xls.value", "by the profile"}
	}
	if !v.bad() {
		n := 22 + len(tokens) + p.extra
		if n > maxRecord {
			return fmt.Errorf("formula of %d octets: %w", n, sanitize.ErrMalformed)
		}
		s.out = le.AppendUint16(le.AppendUint16(s.out, recFormula), uint16(n))
		s.out = append(append(s.out, d[:16]...), 0, 0, 0, 0) // there is a cache of the program's own
		s.out = append(s.out, d[20:n]...)
		return nil
	}
	s.w.report.Found(v.rule, s.w.place, sanitize.Replaced, v.why)
	place, format := d[:6], le.Uint16(d[4:])
	if d[12] != 0xff || d[13] != 0xff {
		s.out = appendRecord(s.out, recNumber, append(append([]byte(nil), place...), d[6:14]...))
		return nil
	}
	switch d[6] {
	case 0: // a text, in the next record
		s.pending = &cellResult{s.last, format}
	case 1, 2: // a truth, an error
		s.out = appendRecord(s.out, recBoolErr, append(append([]byte(nil), place...), d[8], d[6]-1))
	default:
		s.out = appendRecord(s.out, recBlank, place)
	}
	return nil
}

// settle writes the result of a formula that had a text.
func (s *sheet) settle(u []uint16) {
	p := s.pending
	s.pending = nil
	var b []byte
	b = le.AppendUint16(le.AppendUint16(le.AppendUint16(b, p.row), p.col), p.format)
	if len(u) == 0 {
		s.out = appendRecord(s.out, recBlank, b)
		return
	}
	b = le.AppendUint32(b, s.w.strings.index(u))
	s.out = appendRecord(s.out, recLabelSST, b)
}

// result writes the text of a formula's result. [MS-XLS] 2.4.268.
func (s *sheet) result(r *record) {
	if len(r.data) < 3 {
		return
	}
	c := cursor{pieces: append([][]byte{r.data}, r.more...)}
	n := int(c.uint16())
	s.text = c.characters(s.text[:0], n, c.byte()&1 != 0)
	if s.pending != nil {
		s.settle(s.text)
		return
	}
	s.emit(r, 0)
}

// sharedFormula writes a formula that stands for several cells.
func (s *sheet) sharedFormula(r *record) bool {
	if s.kind != inSheet || !s.lastExp || s.w.s.Options.Values {
		return false
	}
	d := r.joined()
	if _, v := s.share(r); v.bad() {
		return false // its cells have their values
	}
	if r.typ == recTable {
		s.out = appendRecord(s.out, r.typ, d[:16])
		return true
	}
	size, from := 12, 14
	if r.typ == recSharedFmla {
		size, from = 8, 10
	}
	tokens, extra, _ := cutFormula(d, size, from)
	_, p := s.judge(tokens, extra)
	s.out = appendRecord(s.out, r.typ, d[:from+len(tokens)+p.extra])
	return true
}
