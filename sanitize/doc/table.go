package doc

import (
	"bytes"
	"fmt"

	"sekisho/internal/lazy"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
)

// The structures of the table stream by their pair. [MS-DOC] 2.5.6 to 2.5.10.
const (
	pairStsh        = 1
	pairFfndRef     = 2
	pairSed         = 6
	pairBteChpx     = 12
	pairBtePapx     = 13
	pairFfn         = 15
	pairCmds        = 24
	pairDop         = 31
	pairAssoc       = 32
	pairClx         = 33
	pairAtnOwners   = 36
	pairPms         = 44
	pairDgg         = 50
	pairStwUser     = 60
	pairRouteSlip   = 70
	pairSavedBy     = 71
	pairFnm         = 72
	pairLst         = 73
	pairLfo         = 74
	pairListNames   = 91
	pairRgDofr      = 99
	pairAtrdExtra   = 112
	pairPmsNew      = 126
	pairODSO        = 127
	pairEmbedded    = 61
	pairOcx         = 85
	pairMsoEnvelope = 97
)

// plcs are the tables that give every character or span of characters a record
// of one length. [MS-DOC] 2.8.
var plcs = lazy.Value[map[int]int]{Make: func() map[int]int {
	return map[int]int{
		2: 2, 3: 0, // references to footnotes, their texts
		4: 30, 5: 0, // comments
		11: 0,        // headers and footers
		22: 4, 23: 0, // bookmarks
		40: 26, 41: 26, // where shapes stand
		42: 4, 43: 0, // what comments speak of
		46: 2, 47: 0, // endnotes
		56: 22, 58: 22, 75: 6, 76: 6, // text boxes
		93: 4, // tables, looked up faster
	}
}}

// tables writes the table stream, in the order of the pairs.
func (d *document) tables(fields [8][]byte) error {
	for _, i := range []int{pairStsh, pairFfn, pairDop} {
		if len(d.get(i)) == 0 {
			return malformed("structure %d is missing", i)
		}
	}
	stories := map[int]int{}
	for story, i := range fieldTables {
		if story != storyMacros {
			stories[i] = story
		}
	}
	total := 0
	for i := range d.fib.pairs {
		b := d.get(i)
		if len(b) == 0 {
			continue
		}
		if err := d.ctx.Err(); err != nil {
			return err
		}
		var made, behind []byte
		var err error
		story, fielded := stories[i]
		size, isPlc := plcs.Get()[i]
		switch {
		case fielded:
			made = fields[story]
		case isPlc:
			made = d.plc(b, size)
		case i == pairStsh:
			made, err = styles(b)
		case i == pairSed:
			made, err = d.writeSections()
		case i == pairBteChpx, i == pairBtePapx:
			made = d.pageTable(i)
		case i == pairFfn:
			made, err = fonts(b)
		case i == 21, i == 37, i == 51, i == pairListNames:
			// Names of bookmarks, marks of comments, authors, names of lists.
			if t, _, ok := sttb(b); ok {
				made = t
			}
		case i == pairAtnOwners:
			made = texts(b)
		case i == pairAtrdExtra:
			made = b[:len(b)-len(b)%18]
		case i == pairDop:
			made = settings(b)
		case i == pairClx:
			made = d.clx(b)
		case i == pairDgg:
			made, err = d.group(b)
		case i == pairLst:
			made, behind, err = d.lists()
		case i == pairLfo:
			made, err = overrides(b)
		default:
			d.dropped(i, b)
		}
		if err != nil {
			return err
		}
		if len(made) > 0 {
			// Structures lie beside one another. Where many name the same octets,
			// each would be written.
			if total += len(b) + len(behind); total > 2*len(d.table) {
				return fmt.Errorf("structures that lie in one another: %w", sanitize.ErrLimit)
			}
		}
		d.put(i, made, behind)
	}
	return nil
}

// dropped reports a structure that stays behind, if a reader would miss it or an
// administrator wants to know of it.
func (d *document) dropped(i int, b []byte) {
	switch i {
	case pairCmds:
		// [MS-DOC] 2.9.323: its version, then tables; 0x40 ends them. Word writes
		// an empty one into every document.
		if len(b) > 2 && b[0] == 0xFF && b[1] != 0x40 {
			d.report.Found("doc.menu", "table of commands", sanitize.Removed, "")
		}
	case pairAssoc:
		if t := template(b); t != "" {
			// One of the reader's own disk is a habit, one elsewhere an attack.
			action := sanitize.Rewritten
			if remote(t) {
				action = sanitize.Removed
			}
			d.report.Found("doc.template", "associated strings", action, t)
		}
	case pairPms, pairPmsNew, pairODSO:
		d.report.Found("doc.mail-merge", "mail merge", sanitize.Removed, "")
	case pairStwUser:
		d.report.Found("doc.variables", "document variables", sanitize.Rewritten, "")
	case pairRouteSlip, pairMsoEnvelope:
		d.report.Found("doc.routing", "routing slip", sanitize.Removed, "")
	case pairSavedBy:
		d.report.Found("doc.saved-by", "saved by", sanitize.Rewritten, "")
	case pairFnm:
		d.report.Found("doc.subdocument", "file names", sanitize.Rewritten, "")
	case pairRgDofr:
		if frames(b) {
			d.report.Found("doc.frameset", "frames", sanitize.Removed, "")
		}
	case pairEmbedded:
		if n := le.Uint16(append(b, 0, 0)); n == 0xFFFF && len(b) > 4 && le.Uint16(b[2:]) > 0 || n != 0xFFFF && n > 0 {
			d.report.Found("doc.font", "embedded fonts", sanitize.Removed, "")
		}
	case pairOcx:
		// The controls themselves are told as fields and objects.
		d.report.Found("doc.control-table", "table of controls", sanitize.Rewritten, "")
	}
}

// frames reports whether the pieces of a set of frames are more than what Word
// writes into every document, the styles of lists. [MS-DOC] 2.9.240, 2.9.60.
func frames(b []byte) bool {
	const listStyles = 6
	for len(b) >= 8 {
		if le.Uint32(b[4:]) != listStyles {
			return true
		}
		n := le.Uint32(b)
		if n < 8 || uint64(n) > uint64(len(b)) {
			return true
		}
		b = b[n:]
	}
	return false
}

// template is the template that a document is attached to when it is not the
// one that every Word has. [MS-DOC] 2.9.278: the second of the strings.
func template(b []byte) string {
	if len(b) < 6 || le.Uint16(b) != 0xFFFF {
		return ""
	}
	b = b[6:]
	for range 2 {
		if len(b) < 2 || 2+2*int(le.Uint16(b)) > len(b) {
			return ""
		}
		n := 2 * int(le.Uint16(b))
		s := wide(b[2 : 2+n])
		b = b[2+n:]
		if s != "" && isTemplate(s) {
			return s
		}
	}
	return ""
}

// plc copies a table of characters, with nothing behind its last record; nil
// when its characters are in no order.
func (d *document) plc(b []byte, size int) []byte {
	if len(b) < 4 {
		return nil
	}
	n := (len(b) - 4) / (4 + size)
	if n == 0 && len(b) != 4 {
		return nil
	}
	out := bytes.Clone(b[:4*(n+1)+size*n])
	for i := 1; i <= n; i++ {
		if at, before := le.Uint32(out[4*i:]), le.Uint32(out[4*i-4:]); at < before {
			return nil
		}
	}
	return out
}

// section is a list of section properties in the stream WordDocument.
type section struct{ off, size uint32 }

// sections reads where the properties of sections stand, each once.
// [MS-DOC] 2.8.26, 2.9.250.
func (d *document) sections() ([]section, error) {
	b := d.get(pairSed)
	if len(b) < 4 {
		return nil, nil
	}
	n := (len(b) - 4) / 16
	var out []section
	seen := map[uint32]bool{}
	for i := range n {
		at := le.Uint32(b[4*(n+1)+12*i+2:])
		if at == 0xFFFFFFFF || seen[at] {
			continue
		}
		seen[at] = true
		if uint64(at)+2 > uint64(len(d.main)) {
			return nil, malformed("section at %d", at)
		}
		size := uint32(le.Uint16(d.main[at:]))
		if uint64(at)+2+uint64(size) > uint64(len(d.main)) {
			return nil, malformed("section of %d octets at %d", size, at)
		}
		out = append(out, section{at, 2 + size})
	}
	return out, nil
}

// writeSections writes the table of sections and their properties.
func (d *document) writeSections() ([]byte, error) {
	b := d.get(pairSed)
	sections, err := d.sections()
	if err != nil || len(b) < 4 {
		return nil, err
	}
	for _, s := range sections {
		made := plain(d.main[s.off+2 : s.off+s.size])
		le.PutUint16(d.out[s.off:], uint16(len(made)))
		copy(d.out[s.off+2:], made)
	}
	n := (len(b) - 4) / 16
	out := bytes.Clone(b[:4*(n+1)+12*n])
	for i := range n {
		// The rest is about the printers of the Macintosh.
		at := 4*(n+1) + 12*i
		clear(out[at+6 : at+12])
	}
	return out, nil
}

// clx writes the piece table and the changes that pieces make to their text.
func (d *document) clx(b []byte) []byte {
	var out []byte
	for len(b) >= 3 && b[0] == 1 {
		n := int(le.Uint16(b[1:]))
		for p, rest, ok := nextSprm(b[3 : 3+n]); ok; p, rest, ok = nextSprm(rest) {
			d.tracked = d.tracked || (p.op == sprmCFRMarkDel || p.op == sprmCFRMarkIns) && p.value[0] != 0
		}
		made := plain(b[3 : 3+n])
		out = le.AppendUint16(append(out, 1), uint16(len(made)))
		out = append(out, made...)
		b = b[3+n:]
	}
	out = append(out, 2)
	n := len(d.pieces)
	out = le.AppendUint32(out, uint32(4*(n+1)+8*n))
	for _, p := range d.pieces {
		out = le.AppendUint32(out, p.from)
	}
	out = le.AppendUint32(out, d.length)
	for _, p := range d.pieces {
		fc := p.off
		if !p.wide {
			fc = fc*2 | 1<<30
		}
		out = le.AppendUint16(out, p.flags)
		out = le.AppendUint32(out, fc)
		out = le.AppendUint16(out, modifier(p.prm))
		// [MS-DOC] 2.9.214: 0x41 marks what was deleted, 0x42 what was inserted.
		if isprm := p.prm >> 1 & 0x7F; p.prm&1 == 0 && (isprm == 0x41 || isprm == 0x42) {
			d.tracked = d.tracked || p.prm>>8 != 0
		}
	}
	return out
}

// sttb reads a table of texts and returns it with nothing behind it.
// [MS-DOC] 2.2.4.
func sttb(b []byte) (table, rest []byte, ok bool) {
	if len(b) < 6 || le.Uint16(b) != 0xFFFF {
		// Those of one octet a character have no mark: old versions.
		return nil, nil, false
	}
	count, extra := int(le.Uint16(b[2:])), int(le.Uint16(b[4:]))
	at := 6
	for range count {
		if at+2 > len(b) {
			return nil, nil, false
		}
		at += 2 + 2*int(le.Uint16(b[at:])) + extra
		if at > len(b) {
			return nil, nil, false
		}
	}
	return b[:at:at], b[at:], true
}

// texts copies texts that stand one behind the other. [MS-DOC] 2.9.353.
func texts(b []byte) []byte {
	at := 0
	for at+2 <= len(b) {
		n := 2 + 2*int(le.Uint16(b[at:]))
		if at+n > len(b) {
			break
		}
		at += n
	}
	return b[:at]
}

// fonts copies the table of fonts. [MS-DOC] 2.9.285: the count, no extra, and
// for each its length in one octet.
func fonts(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, malformed("table of fonts of %d octets", len(b))
	}
	count := int(le.Uint16(b))
	at := 4
	for range count {
		if at >= len(b) || at+1+int(b[at]) > len(b) {
			return nil, malformed("table of fonts that is cut short")
		}
		at += 1 + int(b[at])
	}
	out := bytes.Clone(b[:at])
	clear(out[2:4])
	return out, nil
}

// group writes the drawings of the document: what all have in common, then for
// each story that has any an octet and its drawings. Pictures in use are written
// behind everything else of the stream WordDocument. [MS-DOC] 2.9.171.
func (d *document) group(b []byte) ([]byte, error) {
	r := d.drawings()
	r.Delay, r.DelayBase = d.main, uint32(len(d.out))
	lost := func(why string, err error) ([]byte, error) {
		if err == nil {
			d.report.Found("doc.picture", "drawings", sanitize.Removed, why)
		}
		return nil, err
	}
	first, rest, ok := record(b)
	if !ok {
		return lost("cut short", nil)
	}
	if le.Uint16(first[2:]) != officeart.TypeDggContainer {
		return lost("no drawings", nil)
	}
	out, err := r.Rewrite(first)
	if err != nil {
		return lost(drawing(err))
	}
	if len(out) == 0 {
		return lost("no drawings", nil)
	}
	for len(rest) > 1 {
		story := rest[0]
		one, more, ok := record(rest[1:])
		if !ok || le.Uint16(one[2:]) != officeart.TypeDgContainer {
			break
		}
		made, err := r.Rewrite(one)
		if err != nil {
			return lost(drawing(err))
		}
		if len(made) > 0 {
			out = append(append(out, story&1), made...)
		}
		rest = more
	}
	d.out = append(d.out, r.Delayed...)
	return out, nil
}

// record splits the first record of drawings off b, with its header.
func record(b []byte) (first, rest []byte, ok bool) {
	if len(b) < 8 {
		return nil, nil, false
	}
	n := uint64(le.Uint32(b[4:])) + 8
	if n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
