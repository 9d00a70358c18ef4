package xls

import (
	"fmt"

	"sekisho/internal/lazy"
	"sekisho/internal/link"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
)

// client says what stays of the records of a shape that are Excel's own. [MS-XLS]
// 2.5.193: those that tie a shape to what follows it in the sheet hold nothing.
func (w *workbook) client(h officeart.Header, body []byte) ([]byte, bool, error) {
	if h.Type == officeart.TypeClientAnchor {
		switch {
		case len(body) >= 18: // cells
			return body[:18], true, nil
		case len(body) >= 8: // size, of a picture in a header
			return body[:8], true, nil
		}
		return nil, false, nil
	}
	w.clients++
	return nil, true, nil
}

// rewrite has a drawing written anew. It returns behind which octets a record of
// the sheet's must follow.
func (w *workbook) rewrite(b []byte) (out []byte, splits []int, err error) {
	w.clients = 0
	out, err = w.art.Rewrite(b)
	if err != nil {
		return nil, nil, mapArt(err)
	}
	return out, append([]int(nil), w.art.Splits...), nil
}

// draw rewrites the drawing of the sheet and cuts it as Excel does: after each
// shape stands the record that says what it is. [MS-XLS] 2.1.7.20.5, OBJECTS.
func (s *sheet) draw() error {
	if len(s.drawing) == 0 {
		if s.hosts > 0 {
			// QUIRK: objects as Excel 95 had them, which LibreOffice draws; it
			// converts them, here they would be lost.
			return fmt.Errorf("%d objects without a drawing: %w", s.hosts, sanitize.ErrMalformed)
		}
		return nil
	}
	out, splits, err := s.w.rewrite(s.drawing)
	if err != nil {
		return err
	}
	if len(splits) != s.hosts || s.w.clients != s.hosts {
		return fmt.Errorf("drawing of %d shapes for %d objects: %w", s.w.clients, s.hosts, sanitize.ErrMalformed)
	}
	at := 0
	for _, n := range splits {
		s.pieces = append(s.pieces, out[at:n])
		at = n
	}
	s.pieces = append(s.pieces, out[at:])
	return nil
}

// shape writes the part of the drawing that comes before a record of a shape,
// and reports whether there is one.
func (s *sheet) shape() bool {
	if s.host >= len(s.pieces)-1 {
		return false
	}
	if p := s.pieces[s.host]; len(p) > 0 {
		s.out = appendRecord(s.out, recDrawing, p)
	}
	s.host++
	return true
}

// The parts of an object. [MS-XLS] 2.4.181.
const (
	ftEnd      = 0x00
	ftMacro    = 0x04
	ftPioGrbit = 0x08
	ftPictFmla = 0x09
	ftSbsFmla  = 0x0E
	ftLbsData  = 0x13
	ftCblsFmla = 0x14
	ftCmo      = 0x15
	typeNote   = 0x19
)

// objectParts are the parts that are numbers, and how many octets they have.
var objectParts = lazy.Value[map[uint16]int]{Make: func() map[uint16]int {
	return map[uint16]int{0x05: 0, 0x06: 2, 0x07: 2, 0x0A: 12, 0x0B: 6, 0x0C: 20, 0x0D: 22, 0x0F: 6, 0x10: 8, 0x11: 4, 0x12: 8}
}}

// object writes what a shape is. What runs or is embedded goes; the picture of
// it is in the drawing and stays.
func (s *sheet) object(r *record) error {
	s.hostKept = s.shape()
	if !s.hostKept {
		return nil
	}
	d := r.data
	if len(d) < 22 || le.Uint16(d) != ftCmo || le.Uint16(d[2:]) != 18 {
		return fmt.Errorf("object: %w", sanitize.ErrMalformed)
	}
	s.comment = le.Uint16(d[4:]) == typeNote
	found := func(rule string, a sanitize.Action) { s.w.report.Found(rule, s.w.place, a, "") }
	const recalculated = 0x0200 | 0x1000
	b := []byte{ftCmo, 0, 18, 0}
	b = append(b, d[4:8]...)
	b = le.AppendUint16(b, le.Uint16(d[8:])&^recalculated)
	b = append(b, make([]byte, 12)...)
	flags := uint16(0)
	for d = d[22:]; len(d) >= 4; {
		ft, n := le.Uint16(d), int(le.Uint16(d[2:]))
		if ft == ftLbsData {
			// Its length counts other things; it is the last. [MS-XLS] 2.5.147.
			b = s.list(b, d)
			break
		}
		if n > len(d)-4 {
			return fmt.Errorf("object cut short: %w", sanitize.ErrMalformed)
		}
		body := d[4 : 4+n]
		d = d[4+n:]
		switch ft {
		case ftEnd:
			d = nil
		case ftMacro:
			if n > 0 {
				found("xls.control-macro", sanitize.Removed)
			}
		case ftPioGrbit:
			if n >= 2 {
				flags = le.Uint16(body)
			}
			b = append(b, ftPioGrbit, 0, 2, 0, byte(flags)&1, 0)
		case ftPictFmla:
			const dde, control, camera = 0x02, 0x10, 0x80
			switch {
			case flags&control != 0:
				found("xls.control", sanitize.Removed)
			case flags&dde != 0:
				found("xls.dde", sanitize.Removed)
			case flags&camera != 0:
				found("xls.linked-picture", sanitize.Replaced)
			case n > 0:
				found("xls.object", sanitize.Removed)
			}
		case ftSbsFmla, ftCblsFmla:
			if f := s.objectFormula(body); f != nil {
				b = append(b, byte(ft), 0)
				b = le.AppendUint16(b, uint16(len(f)))
				b = append(b, f...)
			}
		default:
			size, ok := objectParts.Get()[ft]
			if !ok || n < size {
				s.w.report.Found("xls.record", s.w.place, sanitize.Rewritten, fmt.Sprintf("part %04X of an object", ft))
				continue
			}
			if size == 0 {
				size = min(n, 6)
			}
			b = append(b, byte(ft), 0)
			b = le.AppendUint16(b, uint16(size))
			b = append(b, body[:size]...)
		}
	}
	s.out = appendRecord(s.out, recObj, append(b, 0, 0, 0, 0))
	return nil
}

// objectFormula returns a formula of an object, which names cells and no more,
// nil if it may not stay. [MS-XLS] 2.5.187.
func (s *sheet) objectFormula(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	tokens, _, ok := cutFormula(b, 0, 6)
	if !ok {
		s.w.report.Found("xls.formula", s.w.place, sanitize.Removed, "of an object")
		return nil
	}
	v, p := s.judge(tokens, nil)
	if p.exp {
		v = verdict{"xls.formula", "of an object"}
	}
	if v.bad() {
		s.w.report.Found(v.rule, s.w.place, sanitize.Removed, v.why)
		return nil
	}
	f := le.AppendUint16(nil, uint16(len(tokens)))
	f = append(append(f, 0, 0, 0, 0), tokens...)
	if len(f)%2 != 0 {
		f = append(f, 0)
	}
	return f
}

// list appends the data of a list. [MS-XLS] 2.5.147.
func (s *sheet) list(b, d []byte) []byte {
	if len(d) < 6 || le.Uint16(d[2:]) == 0 {
		return append(b, ftLbsData, 0, 0, 0)
	}
	n := int(le.Uint16(d[4:]))
	if n > len(d)-6 {
		return append(b, ftLbsData, 0, 0, 0)
	}
	f := s.objectFormula(d[6 : 6+n])
	b = append(b, ftLbsData, 0, d[2], d[3])
	b = le.AppendUint16(b, uint16(len(f)))
	b = append(b, f...)
	rest := d[6+n:]
	// The end of the object is ours to write.
	if k := len(rest); k >= 4 && le.Uint32(rest[k-4:]) == 0 {
		rest = rest[:k-4]
	}
	return append(b, rest...)
}

// written is the text of a shape.
type written struct {
	ok     bool
	text   []uint16
	runs   []byte
	beyond [][]byte // what follows and is no text
}

// textOf reads the text of a shape from the records behind it. [MS-XLS] 2.4.329.
func textOf(r *record) written {
	t := written{beyond: r.more}
	if len(r.data) < 16 {
		return t
	}
	n, size := int(le.Uint16(r.data[10:])), int(le.Uint16(r.data[12:]))
	if n == 0 {
		t.ok = true
		return t
	}
	for n > 0 {
		if len(t.beyond) == 0 || len(t.beyond[0]) < 2 {
			return t
		}
		p := t.beyond[0]
		t.beyond = t.beyond[1:]
		k := min(n, len(p)-1)
		if p[0]&1 != 0 {
			k = min(n, (len(p)-1)/2)
		}
		u, _, ok := shortText(p, k)
		if !ok || k == 0 {
			return t
		}
		t.text = append(t.text, u...)
		n -= k
	}
	for len(t.runs) < size {
		if len(t.beyond) == 0 || len(t.beyond[0]) == 0 {
			return t
		}
		p := t.beyond[0]
		t.beyond = t.beyond[1:]
		t.runs = append(t.runs, p[:min(len(p), size-len(t.runs))]...)
	}
	t.ok = true
	return t
}

// textObject writes the text of a shape.
func (s *sheet) textObject(r *record) error {
	if !s.shape() {
		return nil
	}
	t := textOf(r)
	if !t.ok {
		return fmt.Errorf("text of a shape: %w", sanitize.ErrMalformed)
	}
	if s.comment && s.w.s.Options.Comments && len(t.text) > 0 {
		// The shape stays, with nothing to read in it: the comment is counted.
		t.text, t.runs = nil, nil
		s.w.report.Found("xls.comments", s.w.place, sanitize.Removed, "")
	}
	b := append([]byte(nil), r.data[:16]...)
	le.PutUint16(b[10:], uint16(len(t.text)))
	le.PutUint16(b[12:], uint16(len(t.runs)))
	f := []byte(nil)
	if len(r.data) >= 18 {
		if n := int(le.Uint16(r.data[16:])); n > 0 && n <= len(r.data)-18 {
			f = s.objectFormula(r.data[18 : 18+n])
		}
	}
	b = le.AppendUint16(b, uint16(len(f)))
	s.out = appendRecord(s.out, recTXO, append(b, f...))
	for u := t.text; len(u) > 0; {
		n := min(len(u), maxRecord-1)
		if !narrow(u[:n]) {
			n = min(len(u), (maxRecord-1)/2)
		}
		s.out = appendRecord(s.out, recContinue, appendCharacters(nil, u[:n]))
		u = u[n:]
	}
	if len(t.text) == 0 {
		return nil
	}
	for runs := t.runs; len(runs) > 0; {
		n := min(len(runs), maxRecord/8*8)
		s.out = appendRecord(s.out, recContinue, runs[:n])
		runs = runs[n:]
	}
	return nil
}

// note writes where a comment is, and whose. [MS-XLS] 2.4.179.
func (s *sheet) note(r *record) {
	if !s.w.s.Options.Comments {
		s.emit(r, 0)
		return
	}
	// Nobody: a space, for some name there must be.
	s.out = appendRecord(s.out, recNote, append(append([]byte(nil), r.data[:8]...), 1, 0, 0, ' ', 0))
}

// link writes a hyperlink that leads to the web, to a mail or to a place in the
// workbook. [MS-XLS] 2.4.140.
func (s *sheet) link(r *record) {
	s.links = false
	d := r.joined()
	if len(d) < 8 || s.kind != inSheet {
		return
	}
	l, ok := officeart.ParseLink(d[8:])
	if !(ok && l.Inside()) && !(ok && l.Target != "" && link.Harmless(l.Target) && s.w.s.Options.URLs == sanitize.KeepURLs) {
		why := l.Target
		if why == "" {
			why = l.Place
		}
		s.w.report.Found("xls.hyperlink", s.w.place, sanitize.Removed, why)
		return
	}
	s.links = true
	s.out = appendRecord(s.out, recHLink, l.AppendTo(append([]byte(nil), d[:8]...)))
}

// fill writes how an area of a chart is filled: two tables of properties of a
// shape. [MS-XLS] 2.4.129.
func (s *sheet) fill(r *record) error {
	in := officeart.AppendRecord(nil, officeart.Header{Ver: 15, Type: officeart.TypeSpContainer}, r.joined())
	out, _, err := s.w.rewrite(in)
	if err != nil {
		return err
	}
	if len(out) > officeart.HeaderSize {
		s.out = appendRecord(s.out, recGelFrame, out[officeart.HeaderSize:])
	}
	return nil
}

// headers are the pictures of headers and footers: a store of pictures and
// shapes that show them. [MS-XLS] 2.4.138.
type headers struct {
	shapes, pictures []byte
	met              bool
	made             []byte
}

// add gathers a record and reports whether it is the first.
func (h *headers) add(r *record) bool {
	first := !h.met
	h.met = true
	d := r.joined()
	if len(d) < 14 {
		return first
	}
	// The flag that a record goes on with the one before changes nothing here.
	if d[12]&2 != 0 {
		h.pictures = append(h.pictures, d[14:]...)
	} else {
		h.shapes = append(h.shapes, d[14:]...)
	}
	return first
}

// write returns the records anew.
func (h *headers) write(w *workbook) (out []byte, err error) {
	for _, x := range []struct {
		in   []byte
		flag byte
	}{{h.pictures, 2}, {h.shapes, 1}} {
		if len(x.in) == 0 {
			continue
		}
		b, _, err := w.rewrite(x.in)
		if err != nil {
			return nil, err
		}
		const head = 14
		for len(b) > 0 {
			n := min(len(b), maxRecord-head)
			d := []byte{recHFPicture & 0xff, recHFPicture >> 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, x.flag, 0}
			out = appendRecord(out, recHFPicture, append(d, b[:n]...))
			b = b[n:]
			x.flag |= 4
		}
	}
	return out, nil
}
