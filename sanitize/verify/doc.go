package verify

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"

	"sekisho/internal/lazy"
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

// wordFields are the numbers of the fields that compute from the document alone,
// and of the one that an emptied field gets. [MS-DOC] 2.9.90.
var wordFields = []int64{0, 1, 2, 3, 4, 5, 8, 9, 0x0A, 0x0C, 0x0D, 0x1A, 0x1D, 0x1F, 0x20, 0x21, 0x23, 0x25, 0x31, 0x34, 0x35, 0x36, 0x39, 0x41, 0x42, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x58, 0x5A, 0x5C, 0x5F}

// activeWords are the names of fields that load, run or ask, in English. Where a
// name is in another language the number says what it is.
var activeWords = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`DDE DDEAUTO INCLUDE INCLUDETEXT INCLUDEPICTURE IMPORT LINK EMBED CONTROL HTMLCONTROL MACROBUTTON MACRO GOTOBUTTON AUTOTEXT AUTOTEXTLIST GLOSSARY
	DATABASE DATA RD PRINT PRIVATE ADDIN ASK FILLIN SET IF QUOTE COMPARE MERGEFIELD MERGEREC MERGESEQ NEXT NEXTIF SKIPIF DOCVARIABLE BARCODE ADDRESSBLOCK GREETINGLINE
	AUTHOR TITLE SUBJECT KEYWORDS COMMENTS LASTSAVEDBY CREATEDATE SAVEDATE PRINTDATE REVNUM EDITTIME NUMWORDS NUMCHARS FILESIZE TEMPLATE USERNAME USERINITIALS USERADDRESS DOCPROPERTY INFO`)
}}

// foreignWords are such names in other languages, those that load and embed.
var foreignWords = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`EINFÜGENTEXT EINFÜGENGRAFIK EINBETTEN VERKNÜPFUNG INCLURETEXTE INCLUREIMAGE INCORPORER LIAISON INCLUIRTEXTO INCLUIRIMAGEN INCLUIRIMAGEM
	INCRUSTAR VÍNCULO INCLUDITESTO INCLUDIIMMAGINE COLLEGAMENTO TEKSTINVOEGEN INSLUITEN KOPPELING INKLUDERATEXT LÄNK`)
}}

// fields looks at every field of the text, and at every table of fields.
func (d *wordDocument) fields() error {
	type open struct {
		code   []uint16
		result bool
		begin  int
	}
	numbers := map[int]int64{}
	at := 0
	for i, p := range []int{16, 18, 17, 20, 19, 48, 57, 59} {
		if b := d.get(p); len(b) >= 4 {
			n := int64(len(b)-4) / 6
			if int64(len(b)) != 4+6*n {
				return d.bad("a table of fields of %d octets", len(b))
			}
			for k := range n {
				cp, kind, flags := int(u32(b, 4*k)), b[4*(n+1)+2*k], int64(b[4*(n+1)+2*k+1])
				if at+cp >= len(d.text) || d.text[at+cp] != uint16(kind) || kind < 0x13 || kind > 0x15 {
					return d.bad("a table of fields that speaks of something else")
				}
				if kind == 0x13 {
					if !slices.Contains(wordFields, flags) {
						return d.bad("field of the kind %02X", flags)
					}
					numbers[at+cp] = flags
				}
			}
		}
		at += int(u32(d.main, 64+4*(3+int64(i))))
	}
	var stack []open
	for i, c := range d.text {
		switch c {
		case 0x13:
			if n := len(stack); n > 0 && !stack[n-1].result {
				// The code of a field that computes its code; only fields that
				// may not stay have any.
				return d.bad("a field in the code of a field")
			}
			if len(stack) > 300 {
				return d.bad("fields nested too deep")
			}
			stack = append(stack, open{begin: i})
		case 0x14:
			if len(stack) == 0 || stack[len(stack)-1].result {
				return d.bad("the middle of a field without its beginning")
			}
			stack[len(stack)-1].result = true
		case 0x15:
			if len(stack) == 0 {
				return d.bad("the end of a field without its beginning")
			}
			f := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if err := d.field(string(utf16.Decode(f.code)), numbers[f.begin]); err != nil {
				return err
			}
		default:
			if n := len(stack); n > 0 && !stack[n-1].result {
				stack[n-1].code = append(stack[n-1].code, c)
			}
		}
	}
	if len(stack) > 0 {
		return d.bad("a field without an end")
	}
	return nil
}

// field looks at the code of one field.
func (d *wordDocument) field(code string, number int64) error {
	code = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r == 0xA0, r == 0x3000:
			return ' '
		case r >= 0x91 && r <= 0x94: // of the old code page
			return '"'
		}
		return r
	}, code)
	code = strings.TrimSpace(code)
	if code == "" {
		return nil
	}
	word, args := code, ""
	if i := strings.IndexAny(code, " \\\"“”"); i >= 0 {
		word, args = code[:i], code[i:]
	}
	// Full-width letters read like others.
	word = strings.ToUpper(strings.Map(func(r rune) rune {
		if r > 0xFF20 && r < 0xFF5B {
			return r - 0xFEE0
		}
		return r
	}, word))
	switch {
	case word == "", slices.Contains(activeWords.Get(), word), slices.Contains(foreignWords.Get(), word):
		return d.bad("field %q", word)
	case number == 0x23:
		return d.bad("an emptied field that is not empty")
	case word == "HYPERLINK", number == 0x58:
		target := firstArgument(args)
		if target != "" && !strings.HasPrefix(target, "#") && !harmlessURL(strings.ReplaceAll(target, `\\`, `\`)) {
			return d.bad("field HYPERLINK to %q", target)
		}
		return nil
	case slices.Contains(harmlessFields.Get(), word), word == "SHAPE", number != 0:
		return nil
	default:
		return d.bad("field %q", word)
	}
}

// firstArgument is the first of the arguments of HYPERLINK that belongs to no
// switch.
func firstArgument(s string) string {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		skip := false
		if s[0] == '\\' && len(s) > 1 {
			skip = strings.ContainsAny(s[1:2], "lLoOtT")
			if s = strings.TrimSpace(s[2:]); !skip {
				continue
			}
		}
		arg := s
		if q := strings.IndexAny(s, "\"“”"); q == 0 {
			_, n, _ := strings.Cut(s, s[:len(firstRune(s))])
			end := strings.IndexAny(n, "\"“”")
			if end < 0 {
				end = len(n)
			}
			arg, s = n[:end], strings.TrimLeft(n[end:], "\"“”")
		} else if i := strings.IndexByte(s, ' '); i > 0 {
			arg, s = s[:i], s[i:]
		} else {
			s = ""
		}
		if !skip {
			return arg
		}
	}
	return ""
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
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

// drawings looks at the drawings of the document, and at the pictures behind the
// text.
func (d *wordDocument) drawings() error {
	b := d.get(50)
	for first := true; len(b) > 0; first = false {
		if !first {
			if b[0] > 1 {
				return d.bad("a drawing of story %d", b[0])
			}
			b = b[1:]
		}
		r, rest, err := nextRecord(d.where, b)
		if err != nil {
			return err
		}
		if err := checkDrawings(d.s, d.where, b[:len(b)-len(rest)], 0, clientNumber(d)); err != nil {
			return err
		}
		if first {
			if err := d.delayed(r.body); err != nil {
				return err
			}
		}
		b = rest
	}
	return nil
}

// clientNumber looks at what belongs to Word in a drawing: one number each.
func clientNumber(d *wordDocument) func(r record) error {
	return func(r record) error {
		if len(r.body) != 4 {
			return d.bad("record %04X of %d octets", r.kind, len(r.body))
		}
		return nil
	}
}

// delayed looks at the pictures that entries of the store place behind the text.
func (d *wordDocument) delayed(b []byte) error {
	for len(b) > 0 {
		r, rest, err := nextRecord(d.where, b)
		if err != nil {
			return err
		}
		b = rest
		if r.kind == 0xF001 {
			if err := d.delayed(r.body); err != nil {
				return err
			}
		}
		if r.kind != 0xF007 || len(r.body) != 36 {
			continue
		}
		size, at := u32(r.body, 20), u32(r.body, 28)
		if size == 0 || at == 0xFFFFFFFF {
			continue
		}
		if at+size > int64(len(d.main)) {
			return d.bad("a picture behind the end")
		}
		p, more, err := nextRecord(d.where, d.main[at:at+size])
		if err != nil {
			return err
		}
		if len(more) > 0 {
			return d.bad("octets behind a picture")
		}
		if err := checkBlip(d.s, d.where, p); err != nil {
			return err
		}
		d.used = append(d.used, [2]int64{at, at + size})
	}
	return nil
}

// dataBlocks looks at the stream Data: what the properties lead to fills it.
func (d *wordDocument) dataBlocks() error {
	at := int64(16)
	if len(d.data) == 0 {
		return nil
	}
	if len(d.data) < 16 || len(bytes.Trim(d.data[:16], "\x00")) > 0 {
		return d.bad("octets before the first picture")
	}
	for at < int64(len(d.data)) {
		rest := d.data[at:]
		switch d.blocks[at] {
		case 'h':
			if len(rest) < 2 || 2+u16(rest, 0) > int64(len(rest)) {
				return d.bad("properties cut short")
			}
			size := 2 + u16(rest, 0)
			if err := d.changes(rest[2:size], false); err != nil {
				return err
			}
			at += size
		case 'p':
			if len(rest) < 68 || u32(rest, 0) < 68 || u32(rest, 0) > int64(len(rest)) || u16(rest, 4) != 68 {
				return d.bad("a picture cut short")
			}
			size := u32(rest, 0)
			if err := d.picture(u16(rest, 6), rest[68:size]); err != nil {
				return err
			}
			at += size
		default:
			return d.bad("%d octets of Data that nothing leads to", int64(len(d.data))-at)
		}
	}
	return nil
}

// picture looks at one thing in Data behind its header.
func (d *wordDocument) picture(form int64, b []byte) error {
	switch form {
	case 0x64:
		return checkDrawings(d.s, d.where, b, 0, clientNumber(d))
	case 0x08:
		return checkMetafile(d.where, b)
	case 0:
		return d.formData(b)
	default:
		return d.bad("a picture of form %d", form)
	}
}

// formData looks at the settings of a form's field: no macro at entry or exit.
// [MS-DOC] 2.9.78.
func (d *wordDocument) formData(b []byte) error {
	if len(b) < 10 || u32(b, 0) != 0xFFFFFFFF {
		return d.bad("data of no form")
	}
	kind := b[4] & 3
	at := int64(10)
	for i := range 7 {
		if i == 1 && kind != 0 {
			at += 2
			continue
		}
		if at+4 > int64(len(b)) {
			return d.bad("data of a form cut short")
		}
		n := u16(b, at)
		if i >= 5 && n != 0 {
			return d.bad("a form that runs a macro")
		}
		at += 4 + 2*n
	}
	if kind == 2 {
		if at+6 > int64(len(b)) {
			return d.bad("data of a form cut short")
		}
		count, extra := u16(b, at+2), u16(b, at+4)
		at += 6
		for range count {
			if at+2 > int64(len(b)) {
				return d.bad("data of a form cut short")
			}
			at += 2 + 2*u16(b, at) + extra
		}
	}
	if at != int64(len(b)) {
		return d.bad("octets behind the data of a form")
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
