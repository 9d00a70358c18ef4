package corpus

import (
	"bytes"
	"encoding/binary"
)

// WMF is a drawing of Windows, an inch wide and half an inch high: its left half
// is red, and an escape to a printer's driver carries Macro.
func WMF() []byte {
	var records bytes.Buffer
	longest := 0
	record := func(function uint16, parameters ...uint16) {
		longest = max(longest, 3+len(parameters))
		b := binary.LittleEndian.AppendUint32(nil, uint32(3+len(parameters)))
		b = binary.LittleEndian.AppendUint16(b, function)
		for _, p := range parameters {
			b = binary.LittleEndian.AppendUint16(b, p)
		}
		records.Write(b)
	}
	record(0x020B, 0, 0)                                                        // META_SETWINDOWORG
	record(0x020C, 720, 1440)                                                   // META_SETWINDOWEXT
	record(0x02FC, 0, 0x00FF, 0, 0)                                             // META_CREATEBRUSHINDIRECT, red
	record(0x012D, 0)                                                           // META_SELECTOBJECT
	record(0x041B, 720, 720, 0, 0)                                              // META_RECTANGLE
	record(0x0626, append([]uint16{9, uint16(len(Macro))}, pairs(Macro)...)...) // META_ESCAPE, SETABORTPROC
	record(0)
	b := []byte{0xD7, 0xCD, 0xC6, 0x9A, 0, 0}
	for _, v := range []uint16{0, 0, 1440, 720, 1440, 0, 0} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	sum := uint16(0)
	for i := 0; i < len(b); i += 2 {
		sum ^= binary.LittleEndian.Uint16(b[i:])
	}
	b = binary.LittleEndian.AppendUint16(b, sum)
	for _, v := range []uint16{1, 9, 0x300, uint16(9 + records.Len()/2), 0, 1, uint16(longest), 0, 0} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return append(b, records.Bytes()...)
}

// pairs are the octets of a string, two in a word.
func pairs(s string) []uint16 {
	if len(s)%2 == 1 {
		s += " "
	}
	var p []uint16
	for i := 0; i < len(s); i += 2 {
		p = append(p, binary.LittleEndian.Uint16([]byte(s[i:])))
	}
	return p
}

// Icon is an icon of Windows with one picture.
func Icon() []byte {
	png := PNG()
	b := []byte{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 32, 0}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(png)))
	return append(binary.LittleEndian.AppendUint32(b, 22), png...)
}
