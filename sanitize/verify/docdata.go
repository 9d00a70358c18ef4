package verify

import (
	"bytes"
)

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
