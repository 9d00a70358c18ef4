package corpus

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// MacroSheet makes a workbook of Excel 97 with a sheet of one number and a hidden
// sheet of Excel 4.0 macros.
func MacroSheet() []byte {
	le := binary.LittleEndian
	var b []byte
	rec := func(t uint16, body ...byte) {
		b = le.AppendUint16(b, t)
		b = le.AppendUint16(b, uint16(len(body)))
		b = append(b, body...)
	}
	bof := func(kind byte) { rec(0x0809, 0, 6, kind, 0, 0xBB, 0x0D, 0xCC, 0x07, 0, 0, 0, 0, 6, 0, 0, 0) }
	bof(5)
	rec(0x0042, 0xB0, 0x04)
	font := []byte{220, 0, 0, 0, 0xFF, 0x7F, 0x90, 1, 0, 0, 0, 0, 0x80, 0, 5, 0}
	rec(0x0031, append(font, "Arial"...)...)
	for range 16 {
		rec(0x00E0, append([]byte{0, 0, 0, 0, 1, 0}, make([]byte, 14)...)...)
	}
	var places []int
	for _, s := range []struct {
		name        string
		state, kind byte
	}{{"表", 0, 0}, {"M", 1, 1}} {
		places = append(places, len(b)+4)
		u := utf16.Encode([]rune(s.name))
		body := []byte{0, 0, 0, 0, s.state, s.kind, byte(len(u)), 1}
		for _, c := range u {
			body = le.AppendUint16(body, c)
		}
		rec(0x0085, body...)
	}
	rec(0x000A)
	for i, kind := range []byte{0x10, 0x40} {
		le.PutUint32(b[places[i]:], uint32(len(b)))
		bof(kind)
		rec(0x0200, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0)
		if kind == 0x10 {
			rec(0x0203, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0x29, 0x40) // 12.5
		} else {
			// EXEC of a text.
			tokens := append([]byte{0x17, byte(len(Macro)), 0}, Macro...)
			tokens = append(tokens, 0x42, 1, 110, 0)
			body := append([]byte{0, 0, 0, 0, 15, 0}, make([]byte, 14)...)
			rec(0x0006, append(le.AppendUint16(body, uint16(len(tokens))), tokens...)...)
		}
		rec(0x023E, append([]byte{0xB6, 6}, make([]byte, 16)...)...)
		rec(0x000A)
	}
	return Compound(Folder{"Workbook": b})
}

// Slides makes a presentation of PowerPoint 97 with one slide that says text, and
// with a project of macros, if there is any, where that program keeps it.
// [MS-PPT] 2.4.10.
func Slides(text string, project []byte) []byte {
	le := binary.LittleEndian
	rec := func(version, instance, kind uint16, body ...byte) []byte {
		b := le.AppendUint16(nil, version|instance<<4)
		b = le.AppendUint16(b, kind)
		return append(le.AppendUint32(b, uint32(len(body))), body...)
	}
	box := func(instance, kind uint16, in ...[]byte) []byte {
		return rec(15, instance, kind, bytes.Join(in, nil)...)
	}
	num := func(vs ...uint32) (b []byte) {
		for _, v := range vs {
			b = le.AppendUint32(b, v)
		}
		return b
	}
	persist := func(id, number uint32) []byte { return rec(0, 0, 0x03F3, num(id, 0, 0, number, 0)...) }
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = le.AppendUint16(wide, u)
	}
	font := make([]byte, 68)
	copy(font, "A\x00r\x00i\x00a\x00l\x00")
	shape := func(in ...[]byte) []byte {
		return box(0, 0x040C, box(0, 0xF002, rec(0, 1, 0xF008, make([]byte, 8)...),
			box(0, 0xF003, box(0, 0xF004, append([][]byte{rec(2, 1, 0xF00A, 1, 4, 0, 0, 0, 0x0A, 0, 0)}, in...)...))))
	}
	document := [][]byte{
		rec(1, 0, 0x03E9, append(num(5760, 4320, 4320, 5760, 5, 10, 0, 0), 1, 0, 0, 0, 0, 0, 0, 1)...),
		box(0, 0x03F2, box(0, 0x07D5, rec(0, 0, 0x0FB7, font...))),
		box(0, 0x040B, box(0, 0xF000, rec(0, 0, 0xF006, num(1026, 2, 2, 1, 1, 2)...))),
		box(1, 0x0FF0, persist(2, 0x80000000)), box(0, 0x0FF0, persist(3, 256)),
	}
	objects := [][]byte{nil, box(0, 0x03F8, rec(2, 0, 0x03EF, make([]byte, 24)...), shape()),
		box(0, 0x03EE, rec(2, 0, 0x03EF, append(num(0, 0, 0, 0x80000000, 0), 7, 0, 0, 0)...),
			shape(rec(0, 0, 0xF00D, bytes.Join([][]byte{rec(0, 0, 0x0F9F, num(4)...), rec(0, 0, 0x0FA0, wide...)}, nil)...)))}
	if project != nil {
		document = append(document, box(0, 0x07D0, box(1, 0x03FF, rec(2, 0, 0x0400, num(4, 1, 2)...))))
		objects = append(objects, rec(0, 0, 0x1011, project...))
	}
	objects[0] = box(0, 0x03E8, append(document, rec(0, 0, 0x03EA))...)
	var stream, places []byte
	for _, b := range objects {
		places = append(places, num(uint32(len(stream)))...)
		stream = append(stream, b...)
	}
	dir := uint32(len(stream))
	stream = append(stream, rec(0, 0, 0x1772, append(num(1|uint32(len(objects))<<20), places...)...)...)
	edit := uint32(len(stream))
	stream = append(stream, rec(0, 0, 0x0FF5, append(append(num(256, 0x03000000), num(0, dir, 1, uint32(len(objects)))...), 0, 0, 0, 0)...)...)
	user := append(num(0x14, 0xE391C05F, edit), 4, 0, 0xF4, 3, 3, 0, 0, 0)
	user = append(append(user, "Taro"...), 8, 0, 0, 0)
	return Compound(Folder{"PowerPoint Document": stream, "Current User": rec(0, 0, 0x0FF6, user...)})
}
