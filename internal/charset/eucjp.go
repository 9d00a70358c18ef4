package charset

import "unicode/utf8"

// eucDecoder decodes EUC-JP as CP51932 and eucJP-ms write it. Where the two
// disagree, in rows 89 to 92, it reads the NEC-selected IBM extensions of
// CP51932; rows 85 to 94 are user-defined otherwise.
type eucDecoder struct{ tally }

func newEUC() decoder { return new(eucDecoder) }

func eucByte(c byte) bool { return 0xa1 <= c && c <= 0xfe }

func (d *eucDecoder) decode(dst, src []byte, final bool) ([]byte, int) {
	table := index0208()
	i := 0
	for i < len(src) {
		c := src[i]
		if c < utf8.RuneSelf {
			j := i + 1
			for j < len(src) && src[j] < utf8.RuneSelf {
				j++
			}
			dst = append(dst, src[i:j]...)
			i = j
			continue
		}
		need := 2
		switch {
		case c == 0x8f:
			need = 3
		case c != 0x8e && !eucByte(c):
			dst = d.replace(dst)
			i++
			continue
		}
		n := 1
		for n < need && i+n < len(src) && eucByte(src[i+n]) {
			n++
		}
		if n < need {
			if i+n == len(src) && !final {
				return dst, i
			}
			dst = d.replace(dst)
			i += n
			continue
		}
		b := src[i : i+need]
		i += need
		switch {
		case c == 0x8e:
			if b[1] > 0xdf {
				dst = d.replace(dst)
				continue
			}
			dst = utf8.AppendRune(dst, rune(b[1])+0xff61-0xa1)
			continue
		case c == 0x8f:
			r := int(b[1]) - 0xa1
			dst = d.put(dst, index0212()[r*cells+int(b[2])-0xa1], r)
		default:
			r := int(c) - 0xa1
			dst = d.put(dst, table[r*cells+int(b[1])-0xa1], r)
		}
	}
	return dst, i
}

func (d *eucDecoder) put(dst []byte, u uint16, r int) []byte {
	switch {
	case u != 0:
		return utf8.AppendRune(dst, rune(u))
	case r >= 84:
		return d.geta(dst)
	}
	return d.replace(dst)
}
