package corpus

import (
	"encoding/binary"
	"unicode/utf16"
)

// Ichitaro makes a document of Ichitaro: its text, and a macro.
func Ichitaro(text string) []byte { return Compound(IchitaroFolder(text)) }

// IchitaroFolder is what stands in a document of Ichitaro.
func IchitaroFolder(text string) Folder {
	u := utf16.Encode([]rune(text))
	b := make([]byte, 32)
	copy(b, "SsmgV.01")
	copy(b[20:], "TextV.01")
	binary.BigEndian.PutUint32(b[28:], uint32(len(u)))
	for _, c := range u {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return Folder{"DocumentText": b, "DocumentViewStyles": []byte("x"), "DocumentMacro": Folder{"x": []byte(Macro)}}
}

// LZH makes an archive of LHA with one member, stored as it is.
func LZH(name string, data []byte) []byte {
	h := make([]byte, 22, 24+len(name))
	copy(h[2:], "-lh0-")
	binary.LittleEndian.PutUint32(h[7:], uint32(len(data)))
	binary.LittleEndian.PutUint32(h[11:], uint32(len(data)))
	h[19], h[21] = 0x20, byte(len(name))
	h = append(h, name...)
	sum := uint16(0)
	for _, c := range data {
		sum ^= uint16(c)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
	}
	h = binary.LittleEndian.AppendUint16(h, sum)
	h[0] = byte(len(h) - 2)
	for _, c := range h[2:] {
		h[1] += c
	}
	return append(append(h, data...), 0)
}
