package verify

import (
	"encoding/binary"
	"slices"

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
