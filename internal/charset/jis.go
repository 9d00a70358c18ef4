package charset

import (
	"bytes"
	"unicode/utf8"
)

const (
	esc = 0x1b
	so  = 0x0e
	si  = 0x0f
)

// set is a character set an escape sequence designates.
type set uint8

const (
	setASCII set = iota // and JIS X 0201 Roman: Windows shows 0x5C and 0x7E as ASCII
	setKana             // JIS X 0201 katakana
	set0208
	set0212
	set0213a // plane 1 of JIS X 0213
	set0213b
	setGB
	setKS
	setUser // user-defined characters of ISO-2022-JP-MS
	setLatin1
	setGreek
)

// designations are the escape sequences mail is known to hold, without ESC.
// RFC 1468 has (B (J $@ $B; RFC 1554 $(D $A $(C .A .F; the others are what
// iso-2022-jp-3, -2004, -MS, JIS X 0202 and old software write.
var designations = []struct {
	seq string
	set set
	to  uint8 // G0, G1 or G2
}{
	{"(B", setASCII, 0}, {"(J", setASCII, 0}, {"(H", setASCII, 0}, {"(I", setKana, 0},
	{"$@", set0208, 0}, {"$B", set0208, 0}, {"$(@", set0208, 0}, {"$(B", set0208, 0},
	{"$(D", set0212, 0}, {"$(O", set0213a, 0}, {"$(Q", set0213a, 0}, {"$(P", set0213b, 0},
	{"$A", setGB, 0}, {"$(A", setGB, 0}, {"$(C", setKS, 0}, {"$(?", setUser, 0},
	{")B", setASCII, 1}, {")J", setASCII, 1}, {")I", setKana, 1}, {"$)B", set0208, 1}, {"$)A", setGB, 1}, {"$)C", setKS, 1},
	{".A", setLatin1, 2}, {".F", setGreek, 2},
}

// jisDecoder decodes ISO-2022-JP in every dialect mail is written in: RFC
// 1468, CP50220 to CP50222, -1, -2, -3, -2004, -MS, JIS7 and JIS8. They do not
// contradict each other, so one decoder reads them all and needs not ask which
// it has. x/text's own is not used: it knows fewer sets, takes controls inside
// two-byte text for halves of characters, and is silent about both.
type jisDecoder struct {
	tally
	g0, g1, g2 set
	shifted    bool // Shift Out: G1 is invoked
	korean     bool
}

func newJIS() decoder       { return &jisDecoder{g1: setKana, g2: setLatin1} }
func newKoreanJIS() decoder { return &jisDecoder{g1: setKS, g2: setLatin1, korean: true} }

func (d *jisDecoder) decode(dst, src []byte, final bool) ([]byte, int) {
	table := index0208()
	i := 0
	for i < len(src) {
		c := src[i]
		current := d.g0
		if d.shifted {
			current = d.g1
		}
		switch {
		case c == esc:
			n, ok := d.escape(src[i:], final)
			if n == 0 {
				return dst, i
			}
			if n > 1 && src[i+1] == 'N' {
				var used int
				if dst, used = d.single(dst, src[i+2:], final); used < 0 {
					return dst, i
				}
				n += used
			} else if !ok {
				d.stripped++
			}
			i += n
			continue
		case c == so:
			d.shifted = true
			i++
			continue
		case c == si:
			d.shifted = false
			i++
			continue
		case c == '\n':
			// RFC 1468: a line ends in ASCII. Software that forgets to say so
			// must not spoil the lines that follow.
			d.g0, d.shifted = setASCII, false
			dst = append(dst, c)
			i++
			continue
		case c <= ' ' || c == 0x7f && (current < set0208 || i+1 < len(src) && !graphic(src[i+1])):
			dst = append(dst, c)
			i++
			continue
		case c >= 0xa1 && c <= 0xdf:
			// JIS8: kana by the eighth bit, whatever set is in force.
			dst = utf8.AppendRune(dst, rune(c)+0xff61-0xa1)
			i++
			continue
		case c >= 0x80 && !(current == set0208 && c <= 0x98):
			dst = d.replace(dst)
			i++
			continue
		}
		switch current {
		case set0208:
			// What nearly all of the text is, without a detour.
			start := i
			for i+1 < len(src) && graphic(src[i]) && graphic(src[i+1]) {
				u := table[(int(src[i])-0x21)*cells+int(src[i+1])-0x21]
				if u == 0 {
					break
				}
				dst = utf8.AppendRune(dst, rune(u))
				i += 2
			}
			if i > start {
				continue
			}
		case setASCII, setLatin1, setGreek:
			j := i + 1
			for j < len(src) && src[j] < 0x7f && src[j] >= ' ' {
				j++
			}
			dst = append(dst, src[i:j]...)
			i = j
			continue
		case setKana:
			if c <= 0x5f {
				dst = utf8.AppendRune(dst, rune(c)+0xff61-0x21)
			} else {
				dst = d.replace(dst)
			}
			i++
			continue
		}
		if i+1 == len(src) {
			if !final {
				return dst, i
			}
			dst = d.replace(dst)
			i++
			continue
		}
		t := src[i+1]
		if !graphic(t) {
			// Half a character before a control or an escape: only the half
			// is lost.
			dst = d.replace(dst)
			i++
			continue
		}
		dst = d.pair(dst, table, current, c, t)
		i += 2
	}
	return dst, i
}

func graphic(c byte) bool { return 0x21 <= c && c <= 0x7e }

// pair decodes two bytes of a two-byte set.
func (d *jisDecoder) pair(dst []byte, t0208 *[rows * cells]uint16, s set, a, b byte) []byte {
	r, c := int(a)-0x20, int(b)-0x20 // from 1
	i := (r-1)*cells + c - 1
	var u rune
	switch s {
	case set0208:
		// CP50221 writes user-defined characters and IBM extensions with a
		// first byte beyond 0x7E, outside ISO 2022.
		u = rune(t0208[i])
		if u == 0 && (r >= 85 && r <= lastRow || r > lastRow && r < firstIBM) {
			return d.geta(dst)
		}
	case set0212:
		if r <= lastRow {
			u = rune(index0212()[i])
			if u == 0 && r >= 85 {
				return d.geta(dst)
			}
		}
	case set0213a:
		if r <= lastRow {
			if p, ok := jisx0213Pairs[[2]int{r, c}]; ok {
				return append(dst, p...)
			}
			if u = index0213()[0][i]; u == 0 {
				u = rune(t0208[i])
			}
		}
	case set0213b:
		if r <= lastRow {
			u = index0213()[1][i]
		}
	case setGB:
		if r <= lastRow {
			u = rune(indexGB()[i])
		}
	case setKS:
		if r <= lastRow {
			u = rune(indexKS()[i])
		}
	case setUser:
		return d.geta(dst)
	}
	if u == 0 {
		return d.replace(dst)
	}
	return utf8.AppendRune(dst, u)
}

// escape takes the escape sequence at the head of b and returns its length, 0
// when more bytes must be seen first. A sequence it does not know is an ESC to
// be stripped, alone: what follows may be text.
func (d *jisDecoder) escape(b []byte, final bool) (n int, known bool) {
	rest := b[1:]
	switch {
	case bytes.HasPrefix(rest, []byte("$B")):
		d.g0, d.shifted = set0208, d.shifted && d.korean
		return 3, true
	case bytes.HasPrefix(rest, []byte("(B")):
		d.g0, d.shifted = setASCII, d.shifted && d.korean
		return 3, true
	}
	for _, e := range designations {
		if !bytes.HasPrefix(rest, []byte(e.seq)) {
			if !final && len(rest) < len(e.seq) && e.seq[:len(rest)] == string(rest) {
				return 0, false
			}
			continue
		}
		switch e.to {
		case 0:
			d.g0 = e.set
			// SO stays in force in ISO 2022, but mail that designates anew
			// and never shifts in means the new set (CP50222).
			if !d.korean {
				d.shifted = false
			}
		case 1:
			d.g1 = e.set
		case 2:
			d.g2 = e.set
		}
		return 1 + len(e.seq), true
	}
	switch {
	case len(rest) == 0 && !final:
		return 0, false
	case len(rest) > 0 && rest[0] == 'N':
		return 2, true
	// JIS X 0208-1990 is announced by ESC & @ before ESC $ B.
	case bytes.HasPrefix(rest, []byte("&@")):
		return 3, true
	case len(rest) == 1 && rest[0] == '&' && !final:
		return 0, false
	}
	return 1, false
}

// single decodes the one character after ESC N from G2 (RFC 1554). It returns
// -1 when the character has not come yet.
func (d *jisDecoder) single(dst, rest []byte, final bool) ([]byte, int) {
	if len(rest) == 0 {
		if !final {
			return dst, -1
		}
		return d.replace(dst), 0
	}
	c := rest[0] | 0x80
	if c < 0xa0 {
		return d.replace(dst), 0
	}
	u := rune(c)
	if d.g2 == setGreek {
		u = greek(c)
	}
	if u == utf8.RuneError {
		return d.replace(dst), 1
	}
	return utf8.AppendRune(dst, u), 1
}

// greek is the upper half of ISO-8859-7: letters lie in the order of Unicode,
// the punctuation before them does not.
func greek(c byte) rune {
	switch c {
	case 0xa1:
		return '‘'
	case 0xa2:
		return '’'
	case 0xaf:
		return '―'
	case 0xa0, 0xa3, 0xa6, 0xa7, 0xa8, 0xa9, 0xab, 0xac, 0xad, 0xb0, 0xb1, 0xb2, 0xb3, 0xb7, 0xbb, 0xbd:
		return rune(c)
	case 0xa4, 0xa5, 0xaa, 0xae, 0xd2, 0xff:
		return utf8.RuneError
	}
	return rune(c) + 0x2d0
}
