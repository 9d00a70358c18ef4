package corpus

import (
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
