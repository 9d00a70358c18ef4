package verify

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// workbook is one of Excel 97 to 2003 that is looked at.
type workbook struct {
	s     *sanitize.Session
	where string
	b     []byte
	books []uint16 // what each supporting book is
	xtis  []int    // the book of each pair of sheets
	// Of the globals or sheet and of the chart in it: the drawing so far, and how
	// many records say what one of its shapes is.
	drawing [3][]byte
	shapes  [3]int
	clients int // how many shapes a drawing has
}

// workbookRecords are the types of records that a workbook may have, ranges of
// them. [MS-XLS] 2.3. What fetches, publishes, runs, embeds or is a pivot table
// is not among them.
var workbookRecords = [...]struct{ first, last int }{
	{0x0006, 0x0006}, {0x000A, 0x000A}, {0x000C, 0x0015}, {0x0017, 0x001D}, {0x0022, 0x0023}, {0x0026, 0x002B}, {0x0031, 0x0031}, {0x0033, 0x0033},
	{0x003C, 0x003D}, {0x0040, 0x0042}, {0x0055, 0x0055}, {0x005C, 0x0060}, {0x0063, 0x0063}, {0x007D, 0x007D}, {0x0080, 0x0085}, {0x008C, 0x008D},
	{0x0090, 0x0090}, {0x0092, 0x0092}, {0x0099, 0x0099}, {0x009B, 0x00A1}, {0x00AE, 0x00AF}, {0x00BD, 0x00BE}, {0x00C1, 0x00C1}, {0x00D6, 0x00D6},
	{0x00DA, 0x00DA}, {0x00DD, 0x00DD}, {0x00E0, 0x00E2}, {0x00E5, 0x00E5}, {0x00EB, 0x00EC}, {0x00EF, 0x00EF}, {0x00FC, 0x00FD}, {0x013D, 0x013D},
	{0x015F, 0x0161}, {0x01AE, 0x01B2}, {0x01B6, 0x01B8}, {0x01BC, 0x01BC}, {0x01BE, 0x01BE}, {0x01C0, 0x01C1}, {0x0200, 0x0208}, {0x0221, 0x0225},
	{0x0236, 0x023E}, {0x027E, 0x027E}, {0x0293, 0x0293}, {0x041E, 0x041E}, {0x04BC, 0x04BC}, {0x0800, 0x0800}, {0x0809, 0x0809}, {0x0812, 0x0812},
	{0x0850, 0x0857}, {0x085A, 0x085A}, {0x0862, 0x0863}, {0x0866, 0x0868}, {0x086A, 0x086B}, {0x0875, 0x0875}, {0x0879, 0x087F}, {0x088B, 0x0890},
	{0x0892, 0x0892}, {0x0894, 0x0896}, {0x089A, 0x089F}, {0x08A3, 0x08A3}, {0x08A7, 0x08A7}, {0x1001, 0x1047}, {0x104A, 0x1068},
}

// checkXLS looks at a workbook: a compound file of few streams, records of known
// types that fill the stream, sheets where the list says they are, and in them
// nothing that leads out or runs.
func checkXLS(s *sanitize.Session, where string, b []byte) error {
	const class = "\x20\x08\x02\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x46"
	streams, err := compoundStreams(s, where, b, class, []string{"Workbook", "\x01CompObj", "\x05SummaryInformation", "\x05DocumentSummaryInformation"})
	if err != nil {
		return err
	}
	for _, name := range []string{"\x05SummaryInformation", "\x05DocumentSummaryInformation"} {
		if set, ok := streams[name]; ok {
			if err := checkPropertySet(where, set); err != nil {
				return err
			}
		}
	}
	if n := len(streams["\x01CompObj"]); n > 128 {
		return notAllowed(where, "name of the format of %d octets", n)
	}
	w := &workbook{s: s, where: where, b: streams["Workbook"]}
	return w.check()
}

// check walks the records from the first octet to the last.
func (w *workbook) check() error {
	depth, substreams := 0, 0
	var kind, last int
	sheets, begins := map[int]int{}, map[int]int{} // by place: kind as the list has it, as it begins
	var header []byte                              // drawing of the pictures of headers
	at := 0
	for at < len(w.b) {
		if at+4 > len(w.b) {
			return notAllowed(w.where, "%d octets that are no record", len(w.b)-at)
		}
		typ, n := int(binary.LittleEndian.Uint16(w.b[at:])), int(binary.LittleEndian.Uint16(w.b[at+2:]))
		if n > 8224 || at+4+n > len(w.b) {
			return notAllowed(w.where, "record %04X of %d octets", typ, n)
		}
		d := w.b[at+4 : at+4+n]
		begin := at
		at += 4 + n
		if !slices.ContainsFunc(workbookRecords[:], func(r struct{ first, last int }) bool { return typ >= r.first && typ <= r.last }) {
			return notAllowed(w.where, "record %04X", typ)
		}
		if depth == 0 && typ != 0x0809 {
			return notAllowed(w.where, "record %04X outside of any sheet", typ)
		}
		// What continues a record belongs to it.
		whole := d
		if typ != 0x003C {
			for at+4 <= len(w.b) && w.b[at] == 0x3C && w.b[at+1] == 0 {
				m := int(binary.LittleEndian.Uint16(w.b[at+2:]))
				if m > 8224 || at+4+m > len(w.b) {
					return notAllowed(w.where, "record 003C of %d octets", m)
				}
				if typ == 0x01B6 || typ == 0x00FC {
					at += 4 + m
					continue // text, and how it is formatted
				}
				whole = append(whole[:len(whole):len(whole)], w.b[at+4:at+4+m]...)
				at += 4 + m
			}
		}
		var err error
		switch typ {
		case 0x0809:
			if n != 16 || binary.LittleEndian.Uint16(d) != 0x0600 {
				return notAllowed(w.where, "beginning of a sheet of %d octets", n)
			}
			kind = int(binary.LittleEndian.Uint16(d[2:]))
			switch {
			case depth == 0 && substreams == 0 && kind == 5, depth == 0 && substreams > 0 && kind == 0x10, substreams > 0 && kind == 0x20 && depth < 2:
			default:
				return notAllowed(w.where, "a sheet of kind %04X, %d deep", kind, depth)
			}
			if depth == 0 {
				if substreams > 0 {
					begins[begin] = kind
				}
				substreams++
			}
			depth++
			w.drawing[depth], w.shapes[depth] = nil, 0
		case 0x000A:
			err = w.drawings(w.drawing[depth], w.shapes[depth])
			depth--
		case 0x003C:
			err = notAllowed(w.where, "a record that continues none")
		case 0x0085:
			if n < 8 || d[4] > 2 || d[5] != 0 && d[5] != 2 {
				return notAllowed(w.where, "a sheet of kind %d in the list", d[5])
			}
			sheets[int(binary.LittleEndian.Uint32(d))] = map[byte]int{0: 0x10, 2: 0x20}[d[5]]
		case 0x01AE:
			switch {
			case n == 4 && d[2] == 0x01 && (d[3] == 0x04 || d[3] == 0x3A):
				w.books = append(w.books, binary.LittleEndian.Uint16(d[2:]))
			case n == 6 && string(d) == "\x00\x00\x01\x00\x00 ":
				w.books = append(w.books, 0)
			default:
				return notAllowed(w.where, "a book elsewhere")
			}
		case 0x0023:
			if len(w.books) == 0 || w.books[len(w.books)-1] != 0x3A01 {
				return notAllowed(w.where, "a name elsewhere")
			}
		case 0x0017:
			for i := 2; i+6 <= len(whole); i += 6 {
				w.xtis = append(w.xtis, int(binary.LittleEndian.Uint16(whole[i:])))
			}
		case 0x0018:
			err = w.name(whole)
		case 0x0006:
			err = w.formula(whole, 20, 22)
		case 0x0221:
			err = w.formula(whole, 12, 14)
		case 0x04BC:
			err = w.formula(whole, 8, 10)
		case 0x1051:
			err = w.formula(whole, 6, 8)
		case 0x01B1:
			err = w.condition(whole)
		case 0x087A:
			err = w.newerCondition(whole)
		case 0x01BE:
			err = w.validation(whole)
		case 0x005D:
			w.shapes[depth]++
			err = w.object(d)
		case 0x01B6:
			w.shapes[depth]++
		case 0x01B8:
			if len(whole) < 8 {
				return notAllowed(w.where, "hyperlink of %d octets", n)
			}
			err = checkLink(w.where, whole[8:])
		case 0x00EB, 0x00EC:
			w.drawing[depth] = append(w.drawing[depth], whole...)
		case 0x0866:
			if len(whole) < 14 {
				return notAllowed(w.where, "picture of a header of %d octets", n)
			}
			if whole[12]&4 == 0 {
				if err = w.drawings(header, -1); err != nil {
					return err
				}
				header = nil
			}
			header = append(header, whole[14:]...)
		case 0x1066:
			err = w.drawings(whole, -1)
		case 0x0896:
			if n != 16 {
				return notAllowed(w.where, "a theme of %d octets", n)
			}
		case 0x01B7:
			if n != 2 || d[0] != 0 || d[1] != 0 {
				return notAllowed(w.where, "data that is fetched at the start")
			}
		}
		if err != nil {
			return err
		}
		if typ != 0x0866 && len(header) > 0 {
			if err := w.drawings(header, -1); err != nil {
				return err
			}
			header = nil
		}
		last = typ
	}
	if depth != 0 || last != 0x000A {
		return notAllowed(w.where, "a sheet that does not end")
	}
	if len(sheets) != len(begins) {
		return notAllowed(w.where, "%d sheets in the list of %d", len(begins), len(sheets))
	}
	for place, kind := range sheets {
		if begins[place] != kind {
			return notAllowed(w.where, "no sheet of kind %02X at %d", kind, place)
		}
	}
	return nil
}

// drawings looks at a whole drawing, in which there are as many shapes as
// records that say what one is, unless shapes is negative.
func (w *workbook) drawings(b []byte, shapes int) error {
	w.clients = 0
	if err := checkDrawings(w.s, w.where, b, 0, w.client); err != nil {
		return err
	}
	if shapes >= 0 && w.clients != shapes {
		return notAllowed(w.where, "%d shapes for %d objects", w.clients, shapes)
	}
	return nil
}

// client looks at what ties a shape to its sheet: its place, and two marks with
// nothing in them.
func (w *workbook) client(r record) error {
	switch {
	case r.kind == 0xF010 && (len(r.body) == 18 || len(r.body) == 8):
	case r.kind != 0xF010 && len(r.body) == 0:
		w.clients++
	default:
		return notAllowed(w.where, "record %04X of %d octets in a shape", r.kind, len(r.body))
	}
	return nil
}

// automaticName is a name that Excel runs at some time.
var automaticName = lazy.Compile(`(?i)^auto_?(open|close|activate|deactivate)`)

// name looks at a defined name. [MS-XLS] 2.4.150.
func (w *workbook) name(d []byte) error {
	if len(d) < 15 {
		return notAllowed(w.where, "name of %d octets", len(d))
	}
	flags, n, size := binary.LittleEndian.Uint16(d), int(d[3]), int(binary.LittleEndian.Uint16(d[4:]))
	name, width := "", 1
	if d[14]&1 != 0 {
		width = 2
	}
	if 15+n*width+size > len(d) {
		return notAllowed(w.where, "name cut short")
	}
	if width == 2 {
		u := make([]uint16, n)
		for i := range u {
			u[i] = binary.LittleEndian.Uint16(d[15+2*i:])
		}
		name = string(utf16.Decode(u))
	} else {
		name = string(d[15 : 15+n])
	}
	low := strings.ToLower(name)
	newer := strings.HasPrefix(low, "_xlfn.") || strings.HasPrefix(low, "_xlws.") || strings.HasPrefix(low, "_xlpm.")
	switch {
	case flags&0x20 != 0 && strings.ContainsAny(name, "\x01\x02\x0a\x0b"), automaticName.MatchString(name):
		return notAllowed(w.where, "a name that runs by itself")
	case flags&0x0E != 0 && !newer, d[2] != 0, d[10]|d[11]|d[12]|d[13] != 0:
		return notAllowed(w.where, "a name of a macro")
	}
	return w.tokens(d[15+n*width:15+n*width+size], d[15+n*width+size:])
}

// formula looks at a formula whose length stands at size.
func (w *workbook) formula(d []byte, size, at int) error {
	if len(d) < at {
		return notAllowed(w.where, "formula of %d octets", len(d))
	}
	n := int(binary.LittleEndian.Uint16(d[size:]))
	if at+n > len(d) {
		return notAllowed(w.where, "formula cut short")
	}
	return w.tokens(d[at:at+n], d[at+n:])
}

// computing are the numbers of functions that only compute. [MS-XLS] 2.5.198.17.
var computing = [...]struct{ first, last int }{
	{0, 52}, {56, 78}, {82, 83}, {86, 86}, {97, 102}, {105, 105}, {109, 109}, {111, 121}, {124, 131}, {140, 144}, {148, 148}, {162, 165}, {167, 169}, {183, 184}, {189, 190}, {193, 199},
	{204, 216}, {219, 222}, {227, 235}, {244, 244}, {247, 247}, {252, 252}, {255, 255}, {261, 261}, {269, 332}, {336, 337}, {342, 347}, {350, 354}, {359, 378}, {480, 484},
}

// tokenSizes are how many octets follow each token, of those that have a fixed
// number.
var tokenSizes = lazy.Value[map[byte]int]{Make: func() map[byte]int {
	return map[byte]int{0x01: 4, 0x02: 4, 0x18: 5, 0x1C: 1, 0x1D: 1, 0x1E: 2, 0x1F: 8, 0x20: 7, 0x21: 2, 0x22: 3, 0x23: 4, 0x24: 4, 0x25: 8, 0x26: 6, 0x27: 6, 0x28: 6, 0x29: 2,
		0x2A: 4, 0x2B: 8, 0x2C: 4, 0x2D: 8, 0x2E: 2, 0x2F: 2, 0x39: 6, 0x3A: 6, 0x3B: 10, 0x3C: 6, 0x3D: 10}
}}

// tokens looks at the tokens of a formula: functions that compute, references
// into this workbook.
func (w *workbook) tokens(b, behind []byte) error {
	arrays := false
	all := len(b)
	starts, jumps := map[int]bool{all: true}, []int(nil)
	var operands []string // as far as they stand one behind the other; "" is no text
	for len(b) > 0 {
		starts[all-len(b)] = true
		t := b[0]
		b = b[1:]
		here := all - len(b)
		if t >= 0x80 {
			return notAllowed(w.where, "token %02X", t)
		}
		if t >= 0x40 {
			t = t&0x1F | 0x20
		}
		n, fixed := tokenSizes.Get()[t]
		switch {
		case fixed:
		case t >= 0x03 && t <= 0x16:
		case t == 0x17 && len(b) >= 2:
			if n = int(b[0]); b[1]&1 != 0 {
				n *= 2
			}
			n += 2
		case t == 0x19 && len(b) >= 3:
			if n = 3; b[0]&4 != 0 {
				n += 2 * (int(binary.LittleEndian.Uint16(b[1:])) + 1)
			}
			if n > len(b) {
				return notAllowed(w.where, "attribute %02X cut short", b[0])
			}
			dist := int(binary.LittleEndian.Uint16(b[1:]))
			switch b[0] &^ 1 { // whether it is always computed anew
			case 0x02:
				jumps = append(jumps, here+n+dist)
			case 0x04:
				for i := range dist + 1 {
					jumps = append(jumps, here+3+int(binary.LittleEndian.Uint16(b[3+2*i:])))
				}
			case 0x08:
				jumps = append(jumps, here+n+dist+1)
			case 0x00, 0x10, 0x40:
			default:
				return notAllowed(w.where, "attribute %02X", b[0])
			}
		default:
			return notAllowed(w.where, "token %02X", t)
		}
		if n > len(b) {
			return notAllowed(w.where, "token %02X cut short", t)
		}
		switch t {
		case 0x20:
			arrays = true
		case 0x26, 0x27, 0x28:
			arrays = arrays || t == 0x26
			jumps = append(jumps, here+n+int(binary.LittleEndian.Uint16(b[4:])))
		case 0x29, 0x2E, 0x2F:
			jumps = append(jumps, here+n+int(binary.LittleEndian.Uint16(b)))
		case 0x18:
			if b[0] == 0 || b[0] > 0x10 || b[0] >= 4 && b[0] <= 5 || b[0] >= 8 && b[0] <= 9 {
				return notAllowed(w.where, "token 18 %02X", b[0])
			}
		case 0x21, 0x22:
			f := int(binary.LittleEndian.Uint16(b[n-2:]))
			if !slices.ContainsFunc(computing[:], func(r struct{ first, last int }) bool { return f >= r.first && f <= r.last }) {
				return notAllowed(w.where, "function %d", f)
			}
			if f == 359 {
				args := int(b[0] & 0x7F)
				if t != 0x22 || args < 1 || args > 2 || args > len(operands) || !leadsNowhere(operands[len(operands)-args]) {
					return notAllowed(w.where, "HYPERLINK to elsewhere")
				}
			}
		case 0x39, 0x3A, 0x3B:
			i := int(binary.LittleEndian.Uint16(b))
			if i >= len(w.xtis) || w.xtis[i] >= len(w.books) || w.books[w.xtis[i]] == 0 || t != 0x39 && w.books[w.xtis[i]] != 0x0401 {
				return notAllowed(w.where, "a reference elsewhere")
			}
		}
		switch {
		case t == 0x17:
			operands = append(operands, stringToken(b[:n]))
		case t == 0x16, t >= 0x1C && t <= 0x1F, t >= 0x20 && t != 0x21 && t != 0x22 && (t < 0x26 || t > 0x29) && t != 0x2E && t != 0x2F:
			operands = append(operands, "")
		case t == 0x19 && b[0]&0x1E == 0: // blanks
		default:
			operands = nil
		}
		b = b[n:]
	}
	for _, at := range jumps {
		if !starts[at] {
			return notAllowed(w.where, "a jump into a token")
		}
	}
	if len(behind) > 0 && !arrays {
		return notAllowed(w.where, "%d octets behind a formula", len(behind))
	}
	return nil
}

// stringToken is the text of a string in a formula, from its length on.
func stringToken(b []byte) string {
	if b[1]&1 != 0 {
		return utf16Text(b[2:])
	}
	u := make([]uint16, len(b)-2)
	for i, c := range b[2:] {
		u[i] = uint16(c)
	}
	return string(utf16.Decode(u))
}

// leadsNowhere reports whether a target of HYPERLINK is a place in the workbook,
// the web or a mail address.
func leadsNowhere(target string) bool {
	if strings.HasPrefix(target, "#") {
		return !strings.ContainsAny(target, `[]\|`)
	}
	return harmlessURL(target)
}

// condition looks at a condition for a format: how it looks, then two formulas
// that end the record. [MS-XLS] 2.4.42.
func (w *workbook) condition(d []byte) error {
	if len(d) < 12 {
		return notAllowed(w.where, "condition of %d octets", len(d))
	}
	n1, n2 := int(binary.LittleEndian.Uint16(d[2:])), int(binary.LittleEndian.Uint16(d[4:]))
	flags, at := binary.LittleEndian.Uint32(d[6:]), 12
	if flags&(1<<25) != 0 {
		n := 2
		if d[10]&1 != 0 && len(d) >= 14 {
			n = max(int(binary.LittleEndian.Uint16(d[12:])), 2)
		}
		at += n
	}
	for i, n := range []int{118, 8, 8, 4, 2} {
		if flags&(1<<(26+i)) != 0 {
			at += n
		}
	}
	if at+n1+n2 != len(d) {
		return notAllowed(w.where, "condition with formulas of %d and %d octets in %d", n1, n2, len(d))
	}
	if err := w.tokens(d[at:at+n1], nil); err != nil {
		return err
	}
	return w.tokens(d[at+n1:], nil)
}

// newerCondition looks at the formulas of a condition for a format as newer
// versions write it: two, one that is looked at first, and those of bounds.
// [MS-XLS] 2.4.43.
func (w *workbook) newerCondition(d []byte) error {
	short := notAllowed(w.where, "condition of %d octets", len(d))
	if len(d) < 22 {
		return short
	}
	kind, n1, n2 := d[12], int64(binary.LittleEndian.Uint16(d[14:])), int64(binary.LittleEndian.Uint16(d[16:]))
	at := int64(22)
	// skip goes over octets, formula over the tokens of one.
	skip := func(n int64) bool { at += n; return at <= int64(len(d)) }
	formula := func(n int64) error {
		from := at
		if !skip(n) {
			return short
		}
		return w.tokens(d[from:at], nil)
	}
	count := func() (int64, bool) {
		if !skip(2) {
			return 0, false
		}
		return u16(d, at-2), true
	}
	if look := u32(d, 18); look == 0 && !skip(2) || look > 0 && !skip(look) {
		return short
	}
	for _, n := range []int64{n1, n2} {
		if err := formula(n); err != nil {
			return err
		}
	}
	n, ok := count()
	if !ok {
		return short
	}
	if err := formula(n); err != nil {
		return err
	}
	if !skip(22) {
		return short
	}
	bounds := func(many, behind int64) error {
		for range many {
			if !skip(1) {
				return short
			}
			what := d[at-1]
			n, ok := count()
			if !ok {
				return short
			}
			if err := formula(n); err != nil {
				return err
			}
			if n == 0 && what != 2 && what != 3 && !skip(8) || !skip(behind) {
				return short
			}
		}
		return nil
	}
	switch kind {
	case 1, 2, 5:
		return nil
	case 3, 6:
		if !skip(6) {
			return short
		}
		return bounds(int64(d[at-3]), map[byte]int64{3: 8, 6: 5}[kind])
	case 4:
		if !skip(22) {
			return short
		}
		return bounds(2, 0)
	default:
		return notAllowed(w.where, "condition of kind %d", kind)
	}
}

// validation looks at the formulas of a rule for what may be typed: they stand
// behind four texts. [MS-XLS] 2.4.96.
func (w *workbook) validation(d []byte) error {
	at := int64(4)
	for range 4 {
		if at+3 > int64(len(d)) {
			return notAllowed(w.where, "validation of %d octets", len(d))
		}
		n := u16(d, at)
		if d[at+2]&1 != 0 {
			n *= 2
		}
		at += 3 + n
	}
	for range 2 {
		if at+4 > int64(len(d)) || at+4+u16(d, at) > int64(len(d)) {
			return notAllowed(w.where, "validation of %d octets", len(d))
		}
		n := u16(d, at)
		if err := w.tokens(d[at+4:at+4+n], nil); err != nil {
			return err
		}
		at += 4 + n
	}
	return nil
}

// object looks at the parts of an object. [MS-XLS] 2.4.181.
func (w *workbook) object(d []byte) error {
	for i := 0; len(d) >= 4; i++ {
		ft, n := binary.LittleEndian.Uint16(d), int(binary.LittleEndian.Uint16(d[2:]))
		switch {
		case i == 0 && (ft != 0x15 || n != 18):
			return notAllowed(w.where, "object that begins with part %04X", ft)
		case ft == 0x13: // a list: where its lines come from, then its lines
			if n == 0 || len(d) < 6 || binary.LittleEndian.Uint16(d[4:]) == 0 {
				return nil
			}
			size := int(binary.LittleEndian.Uint16(d[4:]))
			if size < 6 || 6+size > len(d) || 6+int(binary.LittleEndian.Uint16(d[6:])) > size {
				return notAllowed(w.where, "formula of a list of %d octets", size)
			}
			return w.tokens(d[12:12+int(binary.LittleEndian.Uint16(d[6:]))], nil)
		case n > len(d)-4:
			return notAllowed(w.where, "object cut short")
		case ft == 0 && len(d) == 4:
			return nil
		case ft == 0x04, ft == 0x09, ft > 0x15, ft == 0, ft == 0x08 && (n != 2 || d[4] > 1 || d[5] != 0):
			return notAllowed(w.where, "object with part %04X", ft)
		case ft == 0x0E, ft == 0x14:
			f := d[4 : 4+n]
			if n < 6 || 6+int(binary.LittleEndian.Uint16(f)) > n {
				return notAllowed(w.where, "formula of an object of %d octets", n)
			}
			if err := w.tokens(f[6:6+int(binary.LittleEndian.Uint16(f))], nil); err != nil {
				return err
			}
		}
		d = d[4+n:]
	}
	return notAllowed(w.where, "object without an end")
}
