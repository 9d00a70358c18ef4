package metafile

// wmfDraws lists the WMF records that only draw, and how many octets of numbers
// each has at least. [MS-WMF] 2.1.1.1, without META_ESCAPE.
var wmfDraws = map[uint16]int{
	0x0035: 0, 0x0037: 4, 0x00F7: 4, 0x0102: 2, 0x0103: 2, 0x0104: 2, 0x0105: 0, 0x0106: 2, 0x0107: 2, 0x0108: 2,
	0x0127: 2, 0x012A: 2, 0x012B: 2, 0x012C: 2, 0x012D: 2, 0x012E: 2, 0x0139: 2, 0x0142: 4, 0x0149: 2,
	0x01F0: 2, 0x01F9: 32, 0x0201: 4, 0x0209: 4, 0x020A: 4, 0x020B: 4, 0x020C: 4, 0x020D: 4, 0x020E: 4, 0x020F: 4,
	0x0211: 4, 0x0213: 4, 0x0214: 4, 0x0220: 4, 0x0228: 4, 0x0231: 2, 0x0234: 2, 0x02FA: 10, 0x02FB: 18, 0x02FC: 8,
	0x0324: 2, 0x0325: 2, 0x0410: 8, 0x0412: 8, 0x0415: 8, 0x0416: 8, 0x0418: 8, 0x0419: 8, 0x041B: 8, 0x041F: 8, 0x0429: 8, 0x0436: 4,
	0x0521: 2, 0x0538: 2, 0x0548: 10, 0x061C: 12, 0x061D: 12, 0x06FF: 22, 0x0817: 16, 0x081A: 16, 0x0830: 16,
	0x0922: 16, 0x0940: 16, 0x0A32: 8, 0x0B23: 20, 0x0B41: 20, 0x0D33: 18, 0x0F43: 22,
	0x001E: 0,
}

// nothing is a record that makes an object, a pen that draws nothing. Objects are
// known by the order in which they were made: one that may not stay leaves one.
var nothing = []byte{8, 0, 0, 0, 0xFA, 0x02, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// RewriteWMF returns the metafile with only the records that draw.
func RewriteWMF(b []byte) ([]byte, error) {
	start := 0
	if le.Uint32(b) == 0x9AC6CDD7 {
		start = 22
	}
	out := append(make([]byte, 0, len(b)), b[:start+18]...)
	largest := uint32(0)
	for i := start + 18; ; {
		if i+6 > len(b) {
			return nil, badMetafile("no end")
		}
		words, t := le.Uint32(b[i:]), le.Uint16(b[i+4:])
		n := int64(words) * 2
		if n < 6 || n > int64(len(b)-i) {
			return nil, badMetafile("record of %d bytes", n)
		}
		r := b[i : i+int(n)]
		if t == 0 {
			out = append(out, 3, 0, 0, 0, 0, 0)
			largest = max(largest, 3)
			break
		}
		if least, draws := wmfDraws[t]; draws && len(r)-6 >= least && wmfFits(t, r[6:]) {
			out = append(out, r...)
			largest = max(largest, words)
		} else if draws && makesObject(t) {
			out = append(out, nothing...)
			largest = max(largest, uint32(len(nothing)/2))
		}
		i += int(n)
	}
	h := out[start:]
	le.PutUint16(h[4:], 0x300)
	le.PutUint32(h[6:], uint32(len(h)/2))
	le.PutUint32(h[12:], largest)
	le.PutUint16(h[16:], 0)
	if start > 0 {
		sum := uint16(0)
		for i := 0; i < 20; i += 2 {
			sum ^= le.Uint16(out[i:])
		}
		le.PutUint16(out[20:], sum)
	}
	return out, nil
}

func makesObject(t uint16) bool {
	switch t {
	case 0x00F7, 0x0142, 0x01F9, 0x02FA, 0x02FB, 0x02FC, 0x06FF:
		return true
	default:
		return false
	}
}

// wmfFits checks that the counts in the numbers of a record lie within it.
func wmfFits(t uint16, p []byte) bool {
	n := len(p)
	u := func(at int) int {
		if at+2 > n {
			return 1 << 30
		}
		return int(le.Uint16(p[at:]))
	}
	switch t {
	case 0x0037, 0x00F7, 0x0436: // palettes
		return 4+4*u(2) <= n
	case 0x0324, 0x0325: // points
		return 2+4*u(0) <= n
	case 0x0538: // points of several
		points, at := 0, 2+2*u(0)
		if at > n {
			return false
		}
		for i := 2; i < at; i += 2 {
			points += u(i)
		}
		return at+4*points <= n
	case 0x0521: // text, and where
		return 2+(u(0)+1)&^1+4 <= n
	case 0x0A32: // where, how, text
		at := 8
		const clipped, opaque = 4, 2
		if u(6)&(clipped|opaque) != 0 {
			at += 8
		}
		return at+u(4) <= n
	case 0x06FF:
		return regionFits(p)
	case 0x0142:
		return dibFits(p[4:], u(2), -1)
	case 0x0940: // BITBLT of nothing has as many numbers as its own number says
		return n == 18 || dibFits(p[16:], 0, -1)
	case 0x0B41:
		return n == 22 || dibFits(p[20:], 0, -1)
	case 0x0D33:
		return dibFits(p[18:], u(0), u(2))
	case 0x0F43:
		return dibFits(p[22:], u(4), -1)
	case 0x0922:
		return n == 18 || bitmapFits(p[16:])
	case 0x0B23:
		return n == 22 || bitmapFits(p[20:])
	case 0x01F9:
		return 32+((u(2)*int(p[9])+15)>>4<<1)*u(4) <= n
	default:
		return true
	}
}

// regionFits checks the lines of a region. [MS-WMF] 2.2.1.5, 2.2.2.21: each has
// how many numbers it has, where it is, the numbers, and how many again.
func regionFits(p []byte) bool {
	at := 22
	for range le.Uint16(p[10:]) {
		if at+6 > len(p) {
			return false
		}
		if at += 8 + 2*int(le.Uint16(p[at:])); at > len(p) {
			return false
		}
	}
	return true
}

// bitmapFits checks a bitmap of Windows 2. [MS-WMF] 2.2.2.1.
func bitmapFits(b []byte) bool {
	return len(b) >= 10 && 10+int(le.Uint16(b[4:]))*int(le.Uint16(b[6:]))*int(b[8]) <= len(b)
}

// dibFits checks a bitmap with its colours and, where that can be known, its
// pixels. [MS-WMF] 2.2.2.9. usage says what its colours are; lines, if not
// negative, how many of its lines there are.
func dibFits(b []byte, usage, lines int) bool {
	if len(b) < 12 {
		return false
	}
	head, width, height, bits, packing, used := int64(le.Uint32(b)), int64(0), int64(0), int64(0), uint32(0), int64(0)
	entry := int64(4)
	switch {
	case head == 12:
		width, height, bits, entry = int64(le.Uint16(b[4:])), int64(int16(le.Uint16(b[6:]))), int64(le.Uint16(b[10:])), 3
	case head >= 40 && head <= int64(len(b)):
		width, height, bits, packing, used = int64(int32(le.Uint32(b[4:]))), int64(int32(le.Uint32(b[8:]))), int64(le.Uint16(b[14:])), le.Uint32(b[16:]), int64(le.Uint32(b[32:]))
	default:
		return false
	}
	const most = 1 << 24 // far over any, and no product of two runs over
	if bits > 64 || width < 0 || width > most || max(height, -height) > most {
		return false
	}
	if usage == 1 { // numbers of colours in a palette
		entry = 2
	}
	if used == 0 && bits <= 8 {
		used = 1 << bits
	}
	const masks, jpeg, png = 3, 4, 5
	at := head + used*entry
	if packing == masks && head == 40 {
		at += 12
	}
	if at > int64(len(b)) {
		return false
	}
	if packing != 0 && packing != masks {
		// How much is packed the header says, if anybody.
		size := int64(le.Uint32(b[20:]))
		return packing != jpeg && packing != png && at+size <= int64(len(b))
	}
	if lines >= 0 {
		height = int64(lines)
	}
	return at+(width*bits+31)/32*4*max(height, -height) <= int64(len(b))
}
