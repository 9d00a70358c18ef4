package charset

import "unicode/utf8"

// sjisDecoder decodes CP932, which is what mail calls Shift_JIS.
type sjisDecoder struct{ tally }

func newSJIS() decoder { return new(sjisDecoder) }

func sjisLead(c byte) bool  { return 0x81 <= c && c <= 0x9f || 0xe0 <= c && c <= 0xfc }
func sjisTrail(c byte) bool { return 0x40 <= c && c <= 0xfc && c != 0x7f }

func (d *sjisDecoder) decode(dst, src []byte, final bool) ([]byte, int) {
	table := index0208()
	i := 0
	for i < len(src) {
		c := src[i]
		switch {
		case c < utf8.RuneSelf:
			j := i + 1
			for j < len(src) && src[j] < utf8.RuneSelf {
				j++
			}
			dst = append(dst, src[i:j]...)
			i = j
		case 0xa1 <= c && c <= 0xdf:
			dst = utf8.AppendRune(dst, rune(c)+0xff61-0xa1)
			i++
		case !sjisLead(c):
			dst = d.replace(dst)
			i++
		case i+1 == len(src):
			if !final {
				return dst, i
			}
			dst = d.replace(dst)
			i++
		case !sjisTrail(src[i+1]):
			// The second byte may be ASCII that must not be swallowed, a
			// quotation mark for one.
			dst = d.replace(dst)
			i++
		default:
			r, cell := sjisRowCell(c, src[i+1])
			switch u := table[r*cells+cell]; {
			case u != 0:
				dst = utf8.AppendRune(dst, rune(u))
			case lastRow <= r && r < firstIBM-1:
				dst = d.geta(dst)
			default:
				dst = d.replace(dst)
			}
			i += 2
		}
	}
	return dst, i
}

// sjisRowCell returns row and cell, from zero, of two bytes that are a lead
// and a trail.
func sjisRowCell(lead, trail byte) (row, cell int) {
	row = int(lead) - 0x81
	if lead >= 0xe0 {
		row -= 0x40
	}
	row *= 2
	switch {
	case trail >= 0x9f:
		return row + 1, int(trail) - 0x9f
	case trail > 0x7f:
		return row, int(trail) - 0x41
	}
	return row, int(trail) - 0x40
}
