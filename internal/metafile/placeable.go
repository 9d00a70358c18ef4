package metafile

import "math"

// Placeable puts before a WMF that does not say how large it is the header that
// does, in millimetres: such a drawing stands in a document that knows. One that
// says so, a drawing of another kind and one of no size are returned as they are.
// [MS-WMF] 2.3.2.3.
func Placeable(b []byte, width, height float64) []byte {
	const most = 32767 // of a side, in units
	longer := max(width, height)
	if !IsWMF(b) || le.Uint32(b) == 0x9AC6CDD7 || !(width > 0 && height > 0) || longer > 25.4*most {
		return b
	}
	unit := math.Floor(min(1440, most*25.4/longer)) // how many are an inch
	side := func(mm float64) uint16 { return uint16(max(math.Round(mm*unit/25.4), 1)) }
	head := le.AppendUint32(make([]byte, 0, 22+len(b)), 0x9AC6CDD7)
	for _, v := range []uint16{0, 0, 0, side(width), side(height), uint16(unit), 0, 0} {
		head = le.AppendUint16(head, v)
	}
	sum := uint16(0)
	for i := 0; i < len(head); i += 2 {
		sum ^= le.Uint16(head[i:])
	}
	return append(le.AppendUint16(head, sum), b...)
}
