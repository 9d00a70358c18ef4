package doc

import (
	"bytes"
)

// settings copies the properties of the document, of which Word 2013 writes most:
// 694 octets. [MS-DOC] 2.7. What concerns things that stay behind is cleared: mail
// merge, versions, a transformation of XML, and above all at which events macros
// are to run and what the user was asked about them; room that is spare, too.
func settings(b []byte) []byte {
	const longest = 694
	out := bytes.Clone(b[:min(len(b), longest)])
	for _, flags := range []struct {
		at   int
		mask byte
	}{
		{0, 0x04},   // fPMHMainDoc
		{594, 0x18}, // fRemoveWordML, fApplyCustomXForm
	} {
		if flags.at < len(out) {
			out[flags.at] &^= flags.mask
		}
	}
	for _, span := range [][2]int{
		{412, 414}, // fHaveVersions, fAutoVersions
		{434, 472}, // grfDocEvents, fVirusPrompted, fVirusLoadSafe, KeyVirusSession30, space
		{488, 492}, // reserved3a
	} {
		if span[0] < len(out) {
			clear(out[span[0]:min(span[1], len(out))])
		}
	}
	return out
}

// styles writes the style sheet anew. [MS-DOC] 2.9.271.
func styles(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, malformed("style sheet of %d octets", len(b))
	}
	head := 2 + int(le.Uint16(b))
	if head > len(b) || head < 2+4 {
		return nil, malformed("style sheet whose head is cut short")
	}
	base := int(le.Uint16(b[4:])) // of a style's fixed part
	if base < 8 || base > 64 {
		return nil, malformed("styles of %d octets", base)
	}
	out := make([]byte, head, len(b))
	copy(out, b[:head])
	count := int(le.Uint16(b[2:]))
	b = b[head:]
	for range count {
		if len(b) < 2 {
			// QUIRK: writers count more styles than they write.
			out = append(out, 0, 0)
			continue
		}
		n := int(le.Uint16(b))
		if 2+n > len(b) {
			// QUIRK: the last one is cut short. Who has it has that of all.
			out, b = append(out, 0, 0), nil
			continue
		}
		made, err := style(b[2:2+n], base)
		if err != nil {
			return nil, err
		}
		out = append(le.AppendUint16(out, uint16(len(made))), made...)
		b = b[2+n:]
	}
	return out, nil
}

// style writes a style anew: its fixed part, its name, and a list of changes for
// paragraphs, one for characters, or what its kind has. [MS-DOC] 2.9.260.
func style(b []byte, base int) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil // an empty place
	}
	if len(b) < base+2 {
		return nil, malformed("style of %d octets", len(b))
	}
	kind, count := b[2]&15, int(b[4]&15)
	name, rest, ok := xstz(b[base:])
	if !ok {
		return nil, malformed("style without a name")
	}
	out := append(bytes.Clone(b[:base]), name...)
	for i := range count {
		if len(rest) < 2 {
			break
		}
		n := int(le.Uint16(rest))
		if 2+n > len(rest) {
			return nil, malformed("style whose changes are cut short")
		}
		made := rest[2 : 2+n]
		// Lists of paragraphs begin with the number of the style. Kinds: 1
		// paragraph, 2 character, 3 table, 4 numbering. What is more than a kind
		// has is about revisions of the style.
		switch {
		case kind == 3 && i == 0, kind == 1 && i == 1, kind == 2 && i == 0, kind == 3 && i == 2:
			made = plain(made)
		case (kind == 1 && i == 0 || kind == 3 && i == 1 || kind == 4 && i == 0) && n >= 2:
			made = append(bytes.Clone(made[:2]), plain(made[2:])...)
		default:
			made = nil
		}
		out = append(le.AppendUint16(out, uint16(len(made))), made...)
		rest = rest[min(2+n+n&1, len(rest)):]
		if len(made)%2 != 0 {
			out = append(out, 0)
		}
	}
	le.PutUint16(out[6:], uint16(len(out)))
	return out, nil
}

// levelHead is the fixed part of a level of a list. [MS-DOC] 2.9.150.
const levelHead = 28

// level takes a level of a list off the front. [MS-DOC] 2.9.149.
func level(b []byte) (made, rest []byte, err error) {
	if len(b) < levelHead {
		return nil, nil, malformed("level of a list that is cut short")
	}
	char, para := int(b[24]), int(b[25])
	if levelHead+char+para+2 > len(b) {
		return nil, nil, malformed("level of a list that is cut short")
	}
	p, c := plain(b[levelHead:levelHead+para]), plain(b[levelHead+para:levelHead+para+char])
	text := b[levelHead+para+char:]
	n := 2 + 2*int(le.Uint16(text))
	if n > len(text) {
		return nil, nil, malformed("level of a list whose text is cut short")
	}
	made = append(bytes.Clone(b[:levelHead]), p...)
	made = append(append(made, c...), text[:n]...)
	made[24], made[25] = byte(len(c)), byte(len(p))
	return made, text[n:], nil
}

// lists writes the table of lists. Their levels stand behind it, uncounted.
// [MS-DOC] 2.9.190.
func (d *document) lists() (table, levels []byte, err error) {
	b := d.get(pairLst)
	const entry = 28
	if len(b) < 2 {
		return nil, nil, malformed("table of lists of %d octets", len(b))
	}
	count := int(le.Uint16(b))
	if 2+entry*count > len(b) {
		return nil, nil, malformed("%d lists in %d octets", count, len(b))
	}
	// QUIRK: some writers count the levels too. Readers go by the lists.
	rest := d.table[d.fib.pairs[pairLst].fc+uint32(2+entry*count):]
	table = b[: 2+entry*count : 2+entry*count]
	for i := range count {
		n := 9
		if table[2+entry*i+26]&1 != 0 { // a list of one level
			n = 1
		}
		for range n {
			var made []byte
			if made, rest, err = level(rest); err != nil {
				return nil, nil, err
			}
			levels = append(levels, made...)
		}
	}
	return table, levels, nil
}

// overrides writes the table of how lists are used. [MS-DOC] 2.9.191.
func overrides(b []byte) ([]byte, error) {
	const entry = 16
	if len(b) < 4 {
		return nil, malformed("table of list overrides of %d octets", len(b))
	}
	n := le.Uint32(b)
	if uint64(n)*entry > uint64(len(b)-4) {
		return nil, malformed("%d list overrides in %d octets", n, len(b))
	}
	heads := b[4 : 4+entry*n]
	out := bytes.Clone(b[:4+entry*n])
	b = b[4+entry*n:]
	for i := range int(n) {
		if len(b) == 0 {
			break // QUIRK: writers leave out what the last ones would say
		}
		if len(b) < 4 {
			return nil, malformed("list override that is cut short")
		}
		out, b = append(out, b[:4]...), b[4:]
		for range heads[entry*i+12] {
			if len(b) < 8 {
				return nil, malformed("list override that is cut short")
			}
			formatted := b[4]&0x20 != 0
			out, b = append(out, b[:8]...), b[8:]
			if formatted {
				made, rest, err := level(b)
				if err != nil {
					return nil, err
				}
				out, b = append(out, made...), rest
			}
		}
	}
	return out, nil
}
