package verify

import (
	"bytes"
	"encoding/binary"
	"slices"

	"sekisho/sanitize"
)

// wordDocument is a document of Word 97 to 2003 that is looked at: its streams,
// and which octets of them something accounts for.
type wordDocument struct {
	s     *sanitize.Session
	where string

	main, table, data []byte
	pairs             [][2]int64
	used              [][2]int64 // of main
	blocks            map[int64]byte
	text              []uint16
}

// The structures of the table stream that are written. [MS-DOC] 2.5.6 to 2.5.9.
var wordStructures = []int{1, 2, 3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 18, 19, 21, 22, 23, 31, 33, 36, 37, 40, 41, 42, 43, 46, 47, 48, 50, 51, 56, 57, 58, 59, 73, 74, 75, 76, 91, 93, 112}

// checkDOC looks at a document of Word 97 to 2003: a compound file of few
// streams, a block without passwords, structures of the list that fill the table
// stream, text whose fields only compute, properties that only say how something
// looks, pictures that are pictures, and nothing but zeros between them.
func checkDOC(s *sanitize.Session, where string, b []byte) error {
	const class = "\x06\x09\x02\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x46"
	streams, err := compoundStreams(s, where, b, class, []string{"WordDocument", "0Table", "1Table", "Data", "\x01CompObj", "\x05SummaryInformation", "\x05DocumentSummaryInformation"})
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
	if c := streams["\x01CompObj"]; len(c) > 128 || !bytes.Contains(c, []byte("\x10\x00\x00\x00Word.Document.8\x00")) {
		return notAllowed(where, "stream CompObj of %d octets", len(c))
	}
	d := &wordDocument{s: s, where: where, main: streams["WordDocument"], data: streams["Data"], blocks: map[int64]byte{}}
	if err := d.block(streams); err != nil {
		return err
	}
	if err := d.structures(); err != nil {
		return err
	}
	if err := d.pieces(); err != nil {
		return err
	}
	if err := d.fields(); err != nil {
		return err
	}
	for _, t := range []struct{ pair, entry int }{{12, 1}, {13, 13}} {
		if err := d.pages(t.pair, t.entry); err != nil {
			return err
		}
	}
	if err := d.sections(); err != nil {
		return err
	}
	if err := d.drawings(); err != nil {
		return err
	}
	if err := d.dataBlocks(); err != nil {
		return err
	}
	return d.gaps()
}

func (d *wordDocument) bad(format string, args ...any) error {
	return notAllowed(d.where, format, args...)
}

func u16(b []byte, at int64) int64 { return int64(binary.LittleEndian.Uint16(b[at:])) }
func u32(b []byte, at int64) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }

// block looks at the file information block.
func (d *wordDocument) block(streams map[string][]byte) error {
	w := d.main
	if len(w) < 900 || u16(w, 0) != 0xA5EC || u16(w, 2) < 193 {
		return d.bad("no document of Word 97 to 2003")
	}
	flags := u16(w, 10)
	const glossary, encrypted, reserved, obfuscated = 0x0002, 0x0100, 0x0800, 0x8000
	if flags&(glossary|encrypted|reserved|obfuscated) != 0 || u16(w, 8) != 0 || u32(w, 14) != 0 {
		return d.bad("flags %04X", flags)
	}
	name, other := "0Table", "1Table"
	if flags&0x0200 != 0 {
		name, other = other, name
	}
	var ok bool
	if d.table, ok = streams[name]; !ok {
		return d.bad("no stream %s", name)
	}
	if _, ok := streams[other]; ok {
		return d.bad("a second table stream")
	}
	if u16(w, 32) != 14 || u16(w, 62) != 22 {
		return d.bad("a block of another size")
	}
	n := u16(w, 152)
	if n < 93 || 154+8*n+2 > int64(len(w)) {
		return d.bad("a block of %d pairs", n)
	}
	for i := range n {
		p := [2]int64{u32(w, 154+8*i), u32(w, 158+8*i)}
		if p[1] == 0 && p[0] != 0 || p[1] != 0 && !slices.Contains(wordStructures, int(i)) {
			return d.bad("structure %d in the table stream", i)
		}
		if p[0]+p[1] > int64(len(d.table)) {
			return d.bad("structure %d lies behind the end", i)
		}
		d.pairs = append(d.pairs, p)
	}
	end := 154 + 8*n
	extra := u16(w, end)
	if extra > 5 || end+2+2*extra > int64(len(w)) {
		return d.bad("a block with %d more words", extra)
	}
	d.used = append(d.used, [2]int64{0, end + 2 + 2*extra})
	return nil
}

func (d *wordDocument) get(i int) []byte {
	if i >= len(d.pairs) {
		return nil
	}
	return d.table[d.pairs[i][0] : d.pairs[i][0]+d.pairs[i][1]]
}

// structures looks at how the table stream is filled: structure behind structure,
// levels of lists behind the lists, zeros behind the last.
func (d *wordDocument) structures() error {
	at := int64(0)
	for i, p := range d.pairs {
		if p[1] == 0 {
			continue
		}
		if p[0] != at {
			return d.bad("%d octets of the table stream before structure %d", p[0]-at, i)
		}
		at += p[1]
		if i == 73 {
			n, err := d.levels(d.get(73), d.table[at:])
			if err != nil {
				return err
			}
			at += n
		}
	}
	if len(bytes.TrimLeft(d.table[at:], "\x00")) > 0 {
		return d.bad("octets behind the last structure")
	}
	if fonts := d.get(15); len(fonts) > 4 {
		end := int64(4)
		for range u16(fonts, 0) {
			if end >= int64(len(fonts)) {
				return d.bad("fonts cut short")
			}
			end += 1 + int64(fonts[end])
		}
		if end != int64(len(fonts)) {
			return d.bad("octets behind the fonts")
		}
	}
	// [MS-DOC] 2.7.4: of documents whose macros are to run at events, or for which
	// somebody was asked, and spare room.
	if settings := d.get(31); len(settings) > 694 || len(settings) >= 472 && len(bytes.TrimLeft(settings[434:472], "\x00")) > 0 {
		return d.bad("settings of macros")
	}
	return d.styles()
}

// levels measures the levels of lists, and looks at their properties.
func (d *wordDocument) levels(lists, b []byte) (int64, error) {
	if len(lists) < 2 || int64(len(lists)) != 2+28*u16(lists, 0) {
		return 0, d.bad("lists of %d octets", len(lists))
	}
	at := int64(0)
	for i := range u16(lists, 0) {
		n := 9
		if lists[2+28*i+26]&1 != 0 {
			n = 1
		}
		for range n {
			if at+28 > int64(len(b)) {
				return 0, d.bad("levels of lists cut short")
			}
			props := int64(b[at+24]) + int64(b[at+25])
			if at+28+props+2 > int64(len(b)) {
				return 0, d.bad("levels of lists cut short")
			}
			if err := d.changes(b[at+28:at+28+props], false); err != nil {
				return 0, err
			}
			at += 28 + props
			at += 2 + 2*u16(b, at)
			if at > int64(len(b)) {
				return 0, d.bad("levels of lists cut short")
			}
		}
	}
	return at, nil
}

// styles looks at the properties in the style sheet: whatever their kind, they
// are lists of changes, with or without the number of a style before them.
func (d *wordDocument) styles() error {
	b := d.get(1)
	if len(b) < 6 {
		return d.bad("no style sheet")
	}
	base, count, at := u16(b, 4), u16(b, 2), 2+u16(b, 0)
	for range count {
		if at+2 > int64(len(b)) {
			return d.bad("styles cut short")
		}
		n := u16(b, at)
		if at += 2; at+n > int64(len(b)) {
			return d.bad("styles cut short")
		}
		one := b[at : at+n]
		at += n
		if n == 0 {
			continue
		}
		if n < base+2 {
			return d.bad("style of %d octets", n)
		}
		kind, sets := one[2]&15, int(one[4]&15)
		rest := base + 4 + 2*u16(one, base)
		for i := range sets {
			if rest+2 > n {
				break
			}
			size := u16(one, rest)
			if rest += 2; rest+size > n {
				return d.bad("style cut short")
			}
			changes := one[rest : rest+size]
			if paragraph := kind == 1 && i == 0 || kind == 3 && i == 1 || kind == 4; paragraph && size >= 2 {
				changes = changes[2:]
			}
			if err := d.changes(changes, false); err != nil {
				return err
			}
			rest += size + size%2
		}
		if rest < n {
			return d.bad("octets behind a style")
		}
	}
	if at != int64(len(b)) {
		return d.bad("octets behind the styles")
	}
	return nil
}

// changes looks at a list of property changes: each whole, none that leads to an
// object, and to pictures and other data only where that may be. [MS-DOC] 2.2.5.
func (d *wordDocument) changes(b []byte, placed bool) error {
	form := false
	pictures, huge := []int64(nil), []int64(nil)
	for len(b) > 0 {
		if len(b) < 2 {
			return d.bad("a property cut short")
		}
		op := u16(b, 0)
		b = b[2:]
		size := [8]int{1, 1, 2, 4, 2, 2, 0, 3}[op>>13]
		if op>>13 == 6 {
			switch {
			case len(b) < 2 && (op == 0xD608 || op == 0xD606) || len(b) < 1:
				return d.bad("property %04X cut short", op)
			case op == 0xD608 || op == 0xD606:
				size = max(int(u16(b, 0))+1, 2)
			case op == 0xC615 && b[0] == 0xFF && len(b) > 1:
				size = 2 + 4*int(b[1])
				if size >= len(b) {
					return d.bad("property %04X cut short", op)
				}
				size += 1 + 3*int(b[size])
			default:
				size = 1 + int(b[0])
			}
		}
		if size > len(b) {
			return d.bad("property %04X cut short", op)
		}
		switch op {
		case 0x080A, 0x680E, 0x0856:
			return d.bad("a property of an object")
		case 0x0806:
			form = true
		case 0x6A03:
			pictures = append(pictures, u32(b, 0))
		case 0x6646, 0x6645, 0x646B:
			huge = append(huge, u32(b, 0))
		}
		if group := op >> 10 & 7; group < 1 || group > 5 {
			return d.bad("property %04X", op)
		}
		b = b[size:]
	}
	if !placed && len(pictures)+len(huge) > 0 || form && len(pictures) == 0 {
		return d.bad("a picture where none may be")
	}
	note := func(at int64, what byte) error {
		if at >= int64(len(d.data)) {
			return d.bad("a place behind the end of Data")
		}
		if have, ok := d.blocks[at]; ok && have != what {
			return d.bad("two things at one place of Data")
		}
		d.blocks[at] = what
		return nil
	}
	for _, at := range pictures {
		if err := note(at, 'p'); err != nil {
			return err
		}
	}
	for _, at := range huge {
		if err := note(at, 'h'); err != nil {
			return err
		}
	}
	return nil
}

// pieces reads the text.
func (d *wordDocument) pieces() error {
	b := d.get(33)
	for len(b) > 3 && b[0] == 1 {
		n := u16(b, 1)
		if 3+n > int64(len(b)) {
			return d.bad("property modifiers cut short")
		}
		if err := d.changes(b[3:3+n], false); err != nil {
			return err
		}
		b = b[3+n:]
	}
	if len(b) < 5+16 || b[0] != 2 || 5+u32(b, 1) != int64(len(b)) || (len(b)-9)%12 != 0 {
		return d.bad("no piece table")
	}
	b = b[5:]
	n := int64(len(b)-4) / 12
	for i := range n {
		count := u32(b, 4*i+4) - u32(b, 4*i)
		at, prm := u32(b, 4*(n+1)+8*i+2), u16(b, 4*(n+1)+8*i+6)
		if prm&1 == 0 && slices.Contains([]int64{0x47, 0x4B, 0x76}, prm>>1&0x7F) {
			return d.bad("a piece that stands for an object")
		}
		narrow := at&(1<<30) != 0
		size := 2 * count
		if at &= 1<<30 - 1; narrow {
			at, size = at/2, count
		}
		if count < 0 || u32(b, 4*i) != int64(len(d.text)) || at+size > int64(len(d.main)) {
			return d.bad("a piece behind the end")
		}
		for k := at; k < at+size; {
			if narrow {
				d.text = append(d.text, uint16(d.main[k]))
				k++
			} else {
				d.text = append(d.text, uint16(u16(d.main, k)))
				k += 2
			}
		}
		d.used = append(d.used, [2]int64{at, at + size})
	}
	return nil
}

// pages looks at the pages of properties of characters or paragraphs.
func (d *wordDocument) pages(pair, entry int) error {
	b := d.get(pair)
	if len(b) < 12 || (len(b)-4)%8 != 0 {
		return d.bad("a table of pages of %d octets", len(b))
	}
	n := int64(len(b)-4) / 8
	for i := range n {
		at := u32(b, 4*(n+1)+4*i) * 512
		if at+512 > int64(len(d.main)) {
			return d.bad("a page behind the end")
		}
		d.used = append(d.used, [2]int64{at, at + 512})
		page := d.main[at : at+512]
		runs := int(page[511])
		if 4*(runs+1)+entry*runs > 511 {
			return d.bad("a page of %d runs", runs)
		}
		for k := range runs {
			slot := 4*(runs+1) + entry*k
			o := 2 * int(page[slot])
			if o == 0 {
				continue
			}
			var changes []byte
			size := int(page[o]) // o is at most 510
			if entry == 1 {
				if o+1+size > 511 {
					return d.bad("properties that leave their page")
				}
				changes = page[o+1 : o+1+size]
			} else {
				if len(bytes.Trim(page[slot+1:slot+entry], "\x00")) > 0 {
					return d.bad("heights of paragraphs")
				}
				from, length := o+1, 2*size-1
				if size == 0 {
					from, length = o+2, 2*int(page[o+1])
				}
				if from+length > 511 || length < 2 {
					return d.bad("properties that leave their page")
				}
				changes = page[from+2 : from+length]
			}
			if err := d.changes(changes, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *wordDocument) sections() error {
	b := d.get(6)
	if len(b) < 4 {
		return nil
	}
	n := int64(len(b)-4) / 16
	for i := range n {
		at := u32(b, 4*(n+1)+12*i+2)
		if at == 0xFFFFFFFF {
			continue
		}
		if at+2 > int64(len(d.main)) || at+2+u16(d.main, at) > int64(len(d.main)) {
			return d.bad("a section behind the end")
		}
		size := u16(d.main, at)
		d.used = append(d.used, [2]int64{at, at + 2 + size})
		if err := d.changes(d.main[at+2:at+2+size], false); err != nil {
			return err
		}
	}
	return nil
}

// gaps reports whether anything but zeros stands where nothing leads to.
func (d *wordDocument) gaps() error {
	slices.SortFunc(d.used, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	at := int64(0)
	for _, u := range append(d.used, [2]int64{int64(len(d.main)), int64(len(d.main))}) {
		if u[0] > at && len(bytes.Trim(d.main[at:u[0]], "\x00")) > 0 {
			return d.bad("octets between %d and %d that nothing leads to", at, u[0])
		}
		at = max(at, u[1])
	}
	return nil
}
