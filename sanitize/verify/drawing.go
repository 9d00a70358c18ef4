package verify

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf16"

	"sekisho/sanitize"
)

// record is one of a binary drawing or presentation. [MS-ODRAW] 2.2.1.
type record struct {
	version, instance, kind int
	body                    []byte
}

// nextRecord takes the first record off b; a record that does not end in b is
// not allowed.
func nextRecord(where string, b []byte) (record, []byte, error) {
	if len(b) < 8 {
		return record{}, nil, notAllowed(where, "%d octets that are no record", len(b))
	}
	v, n := int(binary.LittleEndian.Uint16(b)), int64(binary.LittleEndian.Uint32(b[4:]))
	r := record{version: v & 15, instance: v >> 4, kind: int(binary.LittleEndian.Uint16(b[2:]))}
	if n > int64(len(b)-8) {
		return record{}, nil, notAllowed(where, "record %04X of %d octets in %d", r.kind, n, len(b)-8)
	}
	r.body = b[8 : 8+n]
	return r, b[8+n:], nil
}

// checkDrawings walks the records of drawings: containers hold what they may,
// atoms have their size, properties only draw, pictures are pictures. What
// belongs to the host (client records) is handed to it.
func checkDrawings(s *sanitize.Session, where string, b []byte, depth int, client func(r record) error) error {
	if depth > 80 {
		return notAllowed(where, "drawings nested deeper than any that is written")
	}
	for len(b) > 0 {
		r, rest, err := nextRecord(where, b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case r.kind >= 0xF000 && r.kind <= 0xF005:
			if r.version != 15 {
				return notAllowed(where, "container %04X that says it is none", r.kind)
			}
			err = checkDrawings(s, where, r.body, depth+1, client)
		case r.kind == 0xF007:
			err = checkStoreEntry(s, where, r.body)
		case r.kind == 0xF00B, r.kind == 0xF121, r.kind == 0xF122:
			err = checkProperties(s, where, r)
		case r.kind == 0xF00D, r.kind == 0xF010, r.kind == 0xF011:
			err = client(r)
		case r.kind >= 0xF018 && r.kind <= 0xF117:
			err = checkBlip(s, where, r)
		default:
			sizes := map[int]int{0xF008: 8, 0xF009: 16, 0xF00A: 8, 0xF00F: 16, 0xF012: 24, 0xF014: 8, 0xF017: 8, 0xF11D: 4}
			n, fixed := sizes[r.kind]
			switch {
			case fixed && len(r.body) != n:
				err = notAllowed(where, "record %04X of %d octets", r.kind, len(r.body))
			case fixed && r.kind == 0xF00A && r.body[4]&0x10 != 0:
				err = notAllowed(where, "a shape that stands for an object")
			case fixed, r.kind == 0xF006:
			case r.kind == 0xF118, r.kind == 0xF11A, r.kind == 0xF11E:
				if len(r.body) > 4*r.instance {
					err = notAllowed(where, "record %04X of %d octets", r.kind, len(r.body))
				}
			default:
				err = notAllowed(where, "record %04X in a drawing", r.kind)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkStoreEntry looks at an entry of the store of pictures: no name, nothing
// but a picture behind it. [MS-ODRAW] 2.2.32.
func checkStoreEntry(s *sanitize.Session, where string, b []byte) error {
	if len(b) < 36 || b[33] != 0 {
		return notAllowed(where, "picture entry of %d octets", len(b))
	}
	if len(b) == 36 {
		return nil
	}
	r, rest, err := nextRecord(where, b[36:])
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return notAllowed(where, "%d octets behind a picture", len(rest))
	}
	return checkBlip(s, where, r)
}

// checkBlip looks at a picture: a PNG, a JPEG, or a drawing of Windows, whole and
// with nothing around it.
func checkBlip(s *sanitize.Session, where string, r record) error {
	switch r.kind {
	case 0xF01D, 0xF01E:
		if len(r.body) < 17 || r.instance&1 != 0 {
			return notAllowed(where, "picture of %d octets", len(r.body))
		}
		if r.kind == 0xF01D {
			return checkJPEG(s, where, r.body[17:])
		}
		return checkPNG(s, where, r.body[17:])
	case 0xF01A, 0xF01B:
		if len(r.body) < 50 || r.instance&1 != 0 || r.body[48] != 0 {
			return notAllowed(where, "drawing of %d octets", len(r.body))
		}
		packed := bytes.NewReader(r.body[50:])
		z, err := zlib.NewReader(packed)
		if err != nil {
			return notAllowed(where, "drawing: %v", err)
		}
		b, err := io.ReadAll(s.Meter(z))
		if err != nil {
			return notAllowed(where, "drawing: %v", err)
		}
		if packed.Len() > 0 || int64(len(b)) != int64(binary.LittleEndian.Uint32(r.body[16:])) {
			return notAllowed(where, "drawing with something behind it")
		}
		return checkMetafile(where, b)
	default:
		return notAllowed(where, "picture of type %04X", r.kind)
	}
}

// checkProperties looks at the properties of a shape. Those with data of their
// own are few; of the others none may name a file or run something.
func checkProperties(s *sanitize.Session, where string, r record) error {
	if len(r.body) < 6*r.instance {
		return notAllowed(where, "%d properties in %d octets", r.instance, len(r.body))
	}
	table, data := r.body[:6*r.instance], r.body[6*r.instance:]
	for ; len(table) > 0; table = table[6:] {
		raw, v := binary.LittleEndian.Uint16(table), binary.LittleEndian.Uint32(table[2:])
		id := int(raw & 0x3FFF)
		side := id
		if side >= 0x540 && side < 0x680 {
			side = 0x1C0 + (side-0x540)%0x40 // lines of the sides: as lines
		}
		switch {
		case side == 0x105, side == 0x106, side == 0x110, side == 0x111, side == 0x187, side == 0x188, side == 0x1C6, side == 0x1C7: // linked pictures
			return notAllowed(where, "a picture from elsewhere")
		case side == 0x10B, side == 0x112, side == 0x159, side == 0x38E, side >= 0x397 && side <= 0x39A, side == 0x3A5, side >= 0x3A6 && side <= 0x3A9, side == 0xC1, id >= 0x680 && id < 0x7C0, id > 0x7FF:
			return notAllowed(where, "property %04X", id)
		}
		if raw&0x8000 == 0 {
			continue
		}
		if uint64(v) > uint64(len(data)) {
			return notAllowed(where, "property %04X of %d octets in %d", id, v, len(data))
		}
		b := data[:v]
		data = data[v:]
		switch side {
		case 0xC0, 0xC5, 0xC6, 0x380, 0x381, 0x38D: // texts
			if len(b)%2 != 0 || len(b) < 2 || bytes.Contains(pairs(b[:len(b)-2]), []byte{0}) {
				return notAllowed(where, "property %04X is no text", id)
			}
		case 0x145, 0x146, 0x151, 0x152, 0x155, 0x156, 0x157, 0x197, 0x1CF, 0x383, 0x3A1, 0x502: // arrays
			size := 0
			if len(b) >= 6 {
				if size = int(binary.LittleEndian.Uint16(b[4:])); size == 0xFFF0 {
					size = 4
				}
			}
			if len(b) < 6 || len(b) != 6+size*int(binary.LittleEndian.Uint16(b)) {
				return notAllowed(where, "property %04X is no array", id)
			}
		case 0x104, 0x10F, 0x186, 0x1C5:
			p, rest, err := nextRecord(where, b)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return notAllowed(where, "%d octets behind a picture", len(rest))
			}
			if err := checkBlip(s, where, p); err != nil {
				return err
			}
		case 0x382:
			if err := checkLink(where, b); err != nil {
				return err
			}
		default:
			return notAllowed(where, "data of property %04X", id)
		}
	}
	if len(data) > 0 {
		return notAllowed(where, "%d octets behind properties", len(data))
	}
	return nil
}

// pairs is one octet for each character: 0 where the character is.
func pairs(b []byte) []byte {
	out := make([]byte, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		if b[0] == 0 && b[1] == 0 {
			out = append(out, 0)
		} else {
			out = append(out, 1)
		}
	}
	return out
}

// checkLink looks at a hyperlink as shapes and cells hold it: to a place in the
// document, or to the web or a mail address. [MS-OSHARED] 2.3.7.1.
func checkLink(where string, b []byte) error {
	const stdHlink = "\xD0\xC9\xEA\x79\xF9\xBA\xCE\x11\x8C\x82\x00\xAA\x00\x4B\xA9\x0B"
	const urlMoniker = "\xE0\xC9\xEA\x79\xF9\xBA\xCE\x11\x8C\x82\x00\xAA\x00\x4B\xA9\x0B"
	if len(b) < 24 || string(b[:16]) != stdHlink {
		return notAllowed(where, "hyperlink of %d octets", len(b))
	}
	flags := binary.LittleEndian.Uint32(b[20:])
	b = b[24:]
	if flags&^(0x01|0x02|0x04|0x08|0x10) != 0 {
		return notAllowed(where, "hyperlink with flags %X", flags)
	}
	text := func(unit int64) (string, bool) {
		if len(b) < 4 {
			return "", false
		}
		n := int64(binary.LittleEndian.Uint32(b)) * unit
		if n > int64(len(b)-4) || n < 2 {
			return "", false
		}
		u := make([]uint16, n/2)
		for i := range u {
			u[i] = binary.LittleEndian.Uint16(b[4+2*i:])
		}
		b = b[4+n:]
		return string(utf16.Decode(u[:len(u)-1])), u[len(u)-1] == 0
	}
	if flags&0x10 != 0 {
		if _, ok := text(2); !ok {
			return notAllowed(where, "hyperlink cut short")
		}
	}
	if flags&0x01 != 0 {
		if len(b) < 16 || string(b[:16]) != urlMoniker {
			return notAllowed(where, "hyperlink to something that is no address")
		}
		b = b[16:]
		target, ok := text(1)
		if !ok || !harmlessURL(target) {
			return notAllowed(where, "hyperlink to %q", target)
		}
	}
	if flags&0x08 != 0 {
		place, ok := text(2)
		if !ok {
			return notAllowed(where, "hyperlink cut short")
		}
		if flags&0x01 == 0 && strings.ContainsAny(place, `[]\|`) {
			return notAllowed(where, "hyperlink to %q in another document", place)
		}
	}
	if len(b) > 0 {
		return notAllowed(where, "%d octets behind a hyperlink", len(b))
	}
	return nil
}
