package xls

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sekisho/internal/formula"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// bookKind is what a supporting book is.
type bookKind uint8

const (
	bookGone  bookKind = iota // it led out of the workbook, or nowhere
	bookSelf                  // this workbook
	bookAddIn                 // functions that are not Excel's own
)

// book is a supporting book: where references with a sheet lead. [MS-XLS]
// 2.4.271.
type book struct {
	kind  bookKind
	tabs  uint16
	rule  string // why it is gone
	names []outerName
}

// outerName is a function of an add-in.
type outerName struct {
	name     string
	units    []uint16
	computes bool
}

// xti is a pair of sheets of a book. [MS-XLS] 2.5.344.
type xti struct{ book, first, last uint16 }

// definedName is a name of the workbook. [MS-XLS] 2.4.150.
type definedName struct {
	flags     uint16
	key       byte
	tab       uint16
	name      []uint16
	tokens    []byte
	extra     []byte
	function  bool // a newer function of Excel, named so that old ones keep it
	verdict   verdict
	automatic bool
	uses      []int
}

// The flags of a name.
const (
	nameHidden  = 0x0001
	nameFunc    = 0x0002
	nameVB      = 0x0004
	nameProc    = 0x0008
	nameBuiltin = 0x0020
)

// sheetEntry is a sheet as the globals list it. [MS-XLS] 2.4.28.
type sheetEntry struct {
	at    int // where its substream begins
	state byte
	typ   byte
	name  []uint16
}

// slot is a record of the globals to be: as it is, or one that can only be
// written when all is known.
type slot struct {
	typ   uint16
	raw   []byte
	index int
}

func (w *workbook) raw(r *record, most int) {
	w.slots = append(w.slots, slot{typ: r.typ, raw: cut(nil, r, most)})
}

// cut appends a record of at most so many octets, any number if 0, none if -1.
func cut(out []byte, r *record, most int) []byte {
	switch {
	case most < 0:
		return appendRecord(out, r.typ, nil)
	case most > 0:
		return appendRecord(out, r.typ, r.data[:min(len(r.data), most)])
	case len(r.data) < maxRecord-256:
		// Only what does not fit into one record goes on in others, and texts are
		// cut between characters. What stands behind a short one belongs to nothing.
		return appendRecord(out, r.typ, r.data)
	default:
		return appendRaw(out, r)
	}
}

// beginning is the body of a BOF record, 16 octets. [MS-XLS] 2.4.21. Other
// programs write less, of which readers believe what they find.
func beginning(b []byte) []byte {
	whole := []byte{0, 6, 0x10, 0, 0xBB, 0x0D, 0xCC, 7, 0, 0, 0, 0, 6, 0, 0, 0}
	copy(whole, b)
	return whole
}

// globals reads the first substream. [MS-XLS] 2.1.7.20.3.
func (w *workbook) globals() error {
	var r record
	if err := next(w.in, 0, &r); err != nil {
		return err
	}
	if r.typ != recBOF || len(r.data) < 4 {
		return fmt.Errorf("no workbook begins here: %w", sanitize.ErrUnsupported)
	}
	// [MS-XLS] 2.4.21: version, kind of substream.
	if v := le.Uint16(r.data); v != 0x0600 {
		return fmt.Errorf("version %04X of the format: %w", v, sanitize.ErrUnsupported)
	}
	if k := le.Uint16(r.data[2:]); k != 5 {
		return fmt.Errorf("substream of kind %04X at the beginning: %w", k, sanitize.ErrUnsupported)
	}
	w.slots = append(w.slots, slot{typ: recBOF, raw: appendRecord(nil, recBOF, beginning(r.data))})
	var drawing []byte
	inView := false
	for off := r.end; ; off = r.end {
		if err := next(w.in, off, &r); err != nil {
			return err
		}
		switch r.typ {
		case recEOF:
			w.end = r.end
			return w.settle(drawing)
		case recBOF:
			return fmt.Errorf("substream in the globals: %w", sanitize.ErrMalformed)
		case recFilePass:
			return fmt.Errorf("encrypted workbook: %w", sanitize.ErrEncrypted)
		case recViewBegin, recViewEnd:
			inView = r.typ == recViewBegin
		case recBoundSheet:
			if err := w.boundSheet(&r); err != nil {
				return err
			}
		case recSupBook:
			if err := w.supBook(&r); err != nil {
				return err
			}
		case recExternName:
			w.externName(&r)
		case recExternSheet:
			w.externSheet(&r)
		case recName:
			if err := w.name(&r); err != nil {
				return err
			}
		case recSST:
			if err := w.strings.read(&r); err != nil {
				return err
			}
			w.slots = append(w.slots, slot{typ: recSST})
		case recDrawingGroup:
			if drawing == nil {
				w.slots = append(w.slots, slot{typ: recDrawingGroup})
			}
			for _, p := range r.whole() {
				drawing = append(drawing, p...)
			}
		case recHFPicture:
			if w.headers.add(&r) {
				w.slots = append(w.slots, slot{typ: recHFPicture})
			}
		case recWriteAccess:
			// The name of who saved it last, in a field of fixed length.
			b := bytes.Repeat([]byte{' '}, 112)
			b[0], b[1], b[2] = 1, 0, 0
			w.slots = append(w.slots, slot{typ: r.typ, raw: appendRecord(nil, r.typ, b)})
		case recMMS, recRefreshAll:
			// No menus of its own; nothing is fetched at the start.
			w.slots = append(w.slots, slot{typ: r.typ, raw: appendRecord(nil, r.typ, []byte{0, 0})})
		case recTheme:
			// [MS-XLS] 2.4.326: a version means the theme that Office has; none
			// means a package of XML in here.
			if len(r.data) >= 16 && le.Uint32(r.data[12:]) != 0 {
				w.raw(&r, 16)
			} else {
				w.report.Found("xls.theme", "globals", sanitize.Rewritten, "")
				w.ownTheme = true
			}
		case recContinueFrt, recContFrt11, recContFrt12:
			if w.lastKept {
				w.raw(&r, 0)
			}
			continue
		default:
			rule := ruleOf(r.typ)
			if !inView && rule.in&inGlobals != 0 {
				w.raw(&r, rule.most)
				w.lastKept = true
				continue
			}
			w.drop("globals", r.typ, rule)
		}
		w.lastKept = false
	}
}

// drop tells of a record that goes.
func (w *workbook) drop(where string, typ uint16, rule rule) {
	switch {
	case rule.loss == "-":
	case rule.loss == "":
		w.report.Found("xls.record", where, sanitize.Rewritten, fmt.Sprintf("%04X", typ))
	case rule.loss == "xls.pivot":
		w.report.Found(rule.loss, where, sanitize.Replaced, "")
	case rule.taken:
		w.report.Found(rule.loss, where, sanitize.Removed, "")
	default:
		w.report.Found(rule.loss, where, sanitize.Rewritten, "")
	}
}

// maxSheets is far over what a person makes; each costs a walk.
const maxSheets = 10000

func (w *workbook) boundSheet(r *record) error {
	if len(w.sheets) >= maxSheets {
		return fmt.Errorf("more than %d sheets: %w", maxSheets, sanitize.ErrLimit)
	}
	if len(r.data) < 8 {
		return fmt.Errorf("list of sheets: %w", sanitize.ErrMalformed)
	}
	u, _, ok := shortText(r.data[7:], int(r.data[6]))
	if !ok {
		return fmt.Errorf("name of a sheet: %w", sanitize.ErrMalformed)
	}
	w.slots = append(w.slots, slot{typ: recBoundSheet, index: len(w.sheets)})
	state := r.data[4] & 3
	if state == 3 {
		state = 0 // no state at all: what is not hidden is seen
	}
	w.sheets = append(w.sheets, sheetEntry{at: int(le.Uint32(r.data)), state: state, typ: r.data[5], name: u})
	if state == 2 {
		w.report.Found("xls.very-hidden-sheet", text(u), sanitize.Reported, text(u))
	}
	return nil
}

// supBook reads a supporting book. [MS-XLS] 2.4.271.
func (w *workbook) supBook(r *record) error {
	b := r.data
	if len(b) < 4 {
		return fmt.Errorf("supporting book: %w", sanitize.ErrMalformed)
	}
	k := book{tabs: le.Uint16(b)}
	switch n := le.Uint16(b[2:]); {
	case n == 0x0401:
		k.kind = bookSelf
	case n == 0x3A01:
		k.kind = bookAddIn
	default:
		c := cursor{pieces: r.whole(), at: 4}
		path := text(c.characters(nil, int(n), c.byte()&1 != 0))
		switch {
		case path == "\x00": // the sheet that refers
			k.kind = bookGone
			k.rule = "xls.formula"
		case path == " ":
			k.rule = "xls.external-link" // of an earlier treatment, or of Excel: nothing is behind it
		case strings.HasPrefix(path, "\x01"):
			k.rule = "xls.external-link"
			w.report.Found(k.rule, "globals", sanitize.Removed, printable(path))
		case strings.Contains(path, "\x03"):
			k.rule = "xls.dde"
			w.report.Found(k.rule, "globals", sanitize.Removed, printable(path))
		default:
			k.rule = "xls.external-link"
			w.report.Found(k.rule, "globals", sanitize.Removed, printable(path))
		}
	}
	w.slots = append(w.slots, slot{typ: recSupBook, index: len(w.books)})
	w.books = append(w.books, k)
	return nil
}

// printable shows the path of a book, whose parts control characters tell.
func printable(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r < 0x20 {
			return ' '
		}
		return r
	}, s), " ")
}

// externName reads a name of the book before it. [MS-XLS] 2.4.105.
func (w *workbook) externName(r *record) {
	if len(w.books) == 0 || w.books[len(w.books)-1].kind != bookAddIn {
		return // it goes with its book
	}
	b := &w.books[len(w.books)-1]
	n := outerName{name: "?"}
	if d := r.data; len(d) >= 8 {
		if u, _, ok := shortText(d[7:], int(d[6])); ok {
			n.units, n.name = u, text(u)
		}
	}
	n.computes = formula.Computes(n.name) && !leads(n.name)
	if own := fmt.Sprintf("_removed%d", len(b.names)+1); n.name != own && !n.computes {
		w.report.Found("xls.user-function", "globals", sanitize.Neutralised, n.name)
		n.units = units(own)
	}
	b.names = append(b.names, n)
}

// leads reports whether a function's arguments may lead out of the workbook.
func leads(name string) bool {
	name = strings.ToUpper(strings.TrimPrefix(strings.ToUpper(name), "_XLFN."))
	return name == "HYPERLINK" || name == "INDIRECT" || name == "GETPIVOTDATA"
}

func (w *workbook) externSheet(r *record) {
	c := cursor{pieces: append([][]byte{r.data}, r.more...)}
	for n := c.uint16(); n > 0; n-- {
		x := xti{c.uint16(), c.uint16(), c.uint16()}
		if c.short {
			break
		}
		w.xtis = append(w.xtis, x)
	}
	if !w.hasXTI {
		w.slots = append(w.slots, slot{typ: recExternSheet})
	}
	w.hasXTI = true
}

// book is the supporting book of a pair of sheets.
func (w *workbook) book(i uint16) (*book, verdict) {
	if int(i) >= len(w.xtis) || int(w.xtis[i].book) >= len(w.books) {
		return nil, verdict{"xls.formula", "reference to no sheet"}
	}
	b := &w.books[w.xtis[i].book]
	if b.kind == bookGone {
		return b, verdict{b.rule, "reference elsewhere"}
	}
	return b, verdict{}
}

// maxNames is what the format can count.
const maxNames = 65535

// name reads a defined name. [MS-XLS] 2.4.150.
func (w *workbook) name(r *record) error {
	d := r.joined()
	if len(d) < 15 || len(w.names) >= maxNames {
		return fmt.Errorf("defined name: %w", sanitize.ErrMalformed)
	}
	n := definedName{flags: le.Uint16(d), tab: le.Uint16(d[8:])}
	u, rest, ok := shortText(d[14:], int(d[3]))
	size := int(le.Uint16(d[4:]))
	if !ok || size > len(rest) {
		return fmt.Errorf("defined name: %w", sanitize.ErrMalformed)
	}
	n.name, n.tokens, n.extra = u, rest[:size], rest[size:]
	t := strings.ToLower(text(u))
	switch {
	case n.flags&nameBuiltin != 0 && slices.ContainsFunc(u, func(c uint16) bool { return runsByItself.Get()[c] != "" }):
		// One character says which it is; nobody knows what more of them do.
		n.automatic = true
	case automatic(t): // whatever the flag says: a reader may go by the letters
		n.automatic = true
	case strings.HasPrefix(t, "_xlpm."): // what a LAMBDA calls its arguments
		n.function = true
	case strings.HasPrefix(t, "_xlfn."), strings.HasPrefix(t, "_xlws."):
		// Functions that this version did not know stand as names.
		n.function = formula.Computes(t) && !leads(t)
		if !n.function {
			n.verdict = verdict{"xls.external-function", "function " + t}
		}
	}
	w.slots = append(w.slots, slot{typ: recName, index: len(w.names)})
	w.names = append(w.names, n)
	return nil
}

// runsByItself are the built-in names of what Excel runs. [MS-XLS] 2.5.66.
var runsByItself = lazy.Value[map[uint16]string]{Make: func() map[uint16]string {
	return map[uint16]string{1: "Auto_Open", 2: "Auto_Close", 10: "Auto_Activate", 11: "Auto_Deactivate"}
}}

// automatic reports whether Excel runs what a name of this beginning leads to.
func automatic(name string) bool {
	name = strings.NewReplacer("_", "", "ſ", "s").Replace(name) // who folds letters reads ſ as s
	for _, what := range []string{"open", "close", "activate", "deactivate"} {
		if strings.HasPrefix(name, "auto"+what) {
			return true
		}
	}
	return false
}

// settle judges the names, each by its own formula and by the names it uses,
// and rewrites the pictures.
func (w *workbook) settle(drawing []byte) (err error) {
	used := make([][]int, len(w.names)) // by whom each is used
	var bad []int
	for i := range w.names {
		n := &w.names[i]
		if n.automatic {
			n.verdict = verdict{"xls.auto-run", text(n.name)}
			if what := runsByItself.Get()[n.name[0]]; n.flags&nameBuiltin != 0 && what != "" {
				n.verdict.why = what
			}
		}
		if n.flags&(nameFunc|nameVB|nameProc) != 0 && !n.function && !n.verdict.bad() {
			n.verdict = verdict{"xls.macro-name", text(n.name)}
		}
		if !n.verdict.bad() && !n.function && len(n.tokens) > 0 {
			p := w.parse(n.tokens, n.extra)
			switch {
			case p.bad():
				n.verdict = p.verdict
				n.verdict.why = text(n.name) + ": " + p.why
			case p.exp:
				n.verdict = verdict{"xls.formula", text(n.name)}
			default:
				n.extra = n.extra[:p.extra]
				n.uses = p.names
				for _, k := range p.names {
					used[k-1] = append(used[k-1], i)
				}
			}
		}
		if n.verdict.bad() {
			bad = append(bad, i)
		}
		if len(n.tokens) == 0 {
			n.extra = nil // texts for menus and help of a macro
		}
	}
	for len(bad) > 0 {
		i := bad[len(bad)-1]
		bad = bad[:len(bad)-1]
		for _, k := range used[i] {
			if n := &w.names[k]; !n.verdict.bad() {
				n.verdict = verdict{w.names[i].verdict.rule, text(n.name) + ": by way of another name"}
				bad = append(bad, k)
			}
		}
	}
	for i := range w.names {
		n := &w.names[i]
		if !n.verdict.bad() {
			continue
		}
		action := sanitize.Neutralised
		if n.automatic {
			action = sanitize.Removed
		}
		w.report.Found(n.verdict.rule, "names", action, n.verdict.why)
	}
	w.place = "globals"
	if w.headers.made, err = w.headers.write(w); err != nil || drawing == nil {
		return err
	}
	w.drawingGroup, _, err = w.rewrite(drawing)
	return err
}

// errorToken is a formula that is an error. [MS-XLS] 2.5.198.57.
func errorToken(code byte) []byte { return []byte{0x1C, code} }

const (
	errRef  = 0x17
	errName = 0x1D
)

// appendName appends a defined name. Its place is its number: none may go.
func (w *workbook) appendName(out []byte, i int) []byte {
	n := &w.names[i]
	flags := n.flags & (nameHidden | nameBuiltin)
	tab, u, tokens, extra := n.tab, n.name, n.tokens, n.extra
	switch {
	case n.automatic:
		flags, u, tokens, extra = nameHidden, units(fmt.Sprintf("_removed%d", i+1)), errorToken(errRef), nil
	case n.verdict.bad():
		tokens, extra = errorToken(errRef), nil
		if n.verdict.rule == "xls.external-function" {
			u = units(fmt.Sprintf("_removed%d", i+1))
		}
	case n.function:
		flags |= n.flags & (nameFunc | nameVB | nameProc)
		tokens, extra = errorToken(errName), nil
	}
	var b []byte
	b = le.AppendUint16(b, flags)
	b = append(b, 0, byte(len(u)))
	b = le.AppendUint16(b, uint16(len(tokens)))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, tab)
	b = append(b, 0, 0, 0, 0)
	b = appendCharacters(b, u)
	b = append(b, tokens...)
	b = append(b, extra...)
	return appendRecord(out, recName, b)
}

// appendBook appends a supporting book with its names.
func (w *workbook) appendBook(out []byte, i int) []byte {
	b := &w.books[i]
	switch b.kind {
	case bookSelf:
		d := le.AppendUint16(nil, uint16(len(w.sheets)))
		return appendRecord(out, recSupBook, append(d, 0x01, 0x04))
	case bookAddIn:
		out = appendRecord(out, recSupBook, []byte{1, 0, 0x01, 0x3A})
		for _, n := range b.names {
			d := []byte{0, 0, 0, 0, 0, 0, byte(len(n.units))}
			d = appendCharacters(d, n.units)
			d = append(d, 2, 0)
			d = append(d, errorToken(errRef)...)
			out = appendRecord(out, recExternName, d)
		}
		return out
	default:
		// [MS-XLS] 2.4.271: a space is a book that is not used.
		return appendRecord(out, recSupBook, []byte{0, 0, 1, 0, 0, ' '})
	}
}

// appendGlobals appends the first substream; places are where in it the offsets
// of the sheets stand.
func (w *workbook) appendGlobals(out []byte) (all []byte, places []int) {
	places = make([]int, len(w.sheets))
	stringsDone := false
	for _, s := range w.slots {
		switch s.typ {
		case recBoundSheet:
			e := &w.sheets[s.index]
			places[s.index] = len(out) + 4
			d := []byte{0, 0, 0, 0, e.state, e.typ, byte(len(e.name))}
			out = appendRecord(out, recBoundSheet, appendCharacters(d, e.name))
		case recSupBook:
			out = w.appendBook(out, s.index)
		case recExternSheet:
			d := le.AppendUint16(nil, uint16(len(w.xtis)))
			for _, x := range w.xtis {
				if int(x.book) >= len(w.books) || w.books[x.book].kind == bookGone {
					x.first, x.last = 0xFFFE, 0xFFFE
				}
				d = le.AppendUint16(le.AppendUint16(le.AppendUint16(d, x.book), x.first), x.last)
			}
			out = appendRecord(out, recExternSheet, d)
		case recName:
			out = w.appendName(out, s.index)
		case recSST:
			if !stringsDone {
				out = append(out, w.strings.records()...)
			}
			stringsDone = true
		case recDrawingGroup:
			out = appendRecord(out, recDrawingGroup, w.drawingGroup)
		case recHFPicture:
			out = append(out, w.headers.made...)
		case recXFCRC, recXFExt:
			// Their colours are those of a theme that is no longer there; the
			// older ones beside them are as near as they come.
			if !w.ownTheme {
				out = append(out, s.raw...)
			}
		default:
			out = append(out, s.raw...)
		}
	}
	if !stringsDone {
		out = append(out, w.strings.records()...)
	}
	return appendRecord(out, recEOF, nil), places
}
