package charset

import (
	"bytes"
	"unicode/utf8"
)

// evidence is how well bytes read as one charset.
type evidence struct {
	entry  *entry
	errors int
	chars  int // characters of more than one byte
	score  int
	strong bool // a pattern that hardly occurs by chance
}

// What an illegal sequence costs against the points of characters that are
// common in Japanese text. One error outweighs four common characters: wrong
// readings of real text show an error every few characters.
const errorCost = 12

// choose decides which charset b is in, which begins with its first byte that
// is not plain ASCII. more says that b was cut. A label that reads without
// error stands, unless another reading is not only legal but unmistakable: the
// bytes of UTF-8, say, under a label of Shift_JIS.
func choose(label *entry, b []byte, more bool) *entry {
	if !high(b) {
		jis := asJIS(b, more)
		// 7-bit: escape sequences, or none of our business.
		if label == iso2022kr {
			return label
		}
		if jis.strong || label == iso2022jp {
			return iso2022jp
		}
		if label != nil && label.family != none {
			return label
		}
		return ascii
	}
	u := asUTF8(b, more)
	if label == utf8Entry && u.errors == 0 {
		// No other reading unseats it (see contest), so none is made: the
		// tables they need cost more than the rest of a short mail.
		return label
	}
	jis := asJIS(b, more)
	if label == nil || label.family == none {
		return guess(b, u, asSJIS(b, more), asEUC(b, more), jis)
	}
	switch label.family {
	case japan:
		return contest(label, b, u, asSJIS(b, more), asEUC(b, more), jis)
	case latin:
		// Any bytes are legal here, and the label is what software writes
		// that never asked.
		if u.errors == 0 && u.strong {
			return utf8Entry
		}
		if jis.strong && jis.errors == 0 {
			return iso2022jp
		}
		if s := asSJIS(b, more); s.errors == 0 && (s.strong && s.score > 2*s.chars || s.chars > 2 && s.score > s.chars && unwritten(b)) {
			return cp932
		}
		return label
	}
	if u.errors == 0 && u.strong {
		return utf8Entry
	}
	return label
}

// contest weighs a Japanese label against the other readings.
func contest(label *entry, b []byte, all ...evidence) *entry {
	var own evidence
	for _, e := range all {
		if e.entry == label {
			own = e
		}
	}
	if label == utf8Entry && (own.errors == 0 || own.strong && own.chars >= own.errors) {
		// UTF-8, perhaps with some damage; in text of other charsets the
		// errors of a UTF-8 reading far outnumber its characters.
		return label
	}
	if label == utf8Entry && western(b) {
		return win1252
	}
	best := own
	for _, e := range all {
		if e.entry == label {
			continue
		}
		if own.errors == 0 {
			// Only a stronger kind of evidence unseats a legal label. UTF-8
			// read as CP932 looks like kana too (縺ゅ縺), but no Japanese
			// text of another encoding is legal UTF-8 throughout.
			if e.errors == 0 && e.strong && (!own.strong || e.entry == utf8Entry) && e.score > best.score {
				best = e
			}
			continue
		}
		if e.chars > 0 && e.score > best.score+errorCost/2 {
			best = e
		}
	}
	return best.entry
}

// guess picks the best reading of bytes nobody vouches for.
func guess(b []byte, all ...evidence) *entry {
	if all[0].errors > 0 && western(b) {
		return win1252
	}
	best := all[0]
	for _, e := range all[1:] {
		if e.score > best.score || e.score == best.score && e.errors < best.errors {
			best = e
		}
	}
	// Western text without a label has few 8-bit bytes, and they make no
	// sense in pairs.
	if best.errors > 0 && best.score < 0 {
		return win1252
	}
	return best.entry
}

// western reports that every 8-bit byte is a letter of Latin 1 that stands
// alone between ASCII ones, at least one of them beside a letter: "Frösche".
// As CP932 each would be the first half of a rare kanji.
func western(b []byte) bool {
	letters := false
	for i, c := range b {
		if c < utf8.RuneSelf {
			continue
		}
		var prev, next byte
		if i > 0 {
			prev = b[i-1]
		}
		if i+1 < len(b) {
			next = b[i+1]
		}
		if c < 0xc0 || prev >= utf8.RuneSelf || next >= utf8.RuneSelf {
			return false
		}
		letters = letters || 'a' <= prev|0x20 && prev|0x20 <= 'z' || 'a' <= next|0x20 && next|0x20 <= 'z'
	}
	return letters
}

// unwritten reports an octet that stands for no character in any text of the
// West: ISO 8859 has controls there and Windows nothing.
func unwritten(b []byte) bool {
	for _, c := range b {
		switch c {
		case 0x81, 0x8d, 0x8f, 0x90, 0x9d:
			return true
		}
	}
	return false
}

// asUTF8 reads b as UTF-8. One sequence of three or four bytes is strong
// evidence: bytes of other charsets fall so by chance once in dozens of times,
// and then with errors beside it.
func asUTF8(b []byte, more bool) evidence {
	e := evidence{entry: utf8Entry}
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			if !utf8.FullRune(b[i:]) {
				// Cut at the end: a header cut by bytes is a common sight.
				if !more {
					e.errors++
					e.score -= 3
				}
				return e
			}
			e.errors++
			e.score -= errorCost
			i += wrongStart(b[i:])
			continue
		case n >= 3:
			e.strong = true
			e.score += 6
		default:
			e.score += 2
		}
		e.chars++
		i += n
	}
	return e
}

// Points of a character, by row of JIS X 0208.
func rowScore(row int) int {
	switch {
	case row == 4 || row == 5:
		return 4 // kana
	case row >= 16 && row <= 47:
		return 2 // kanji of the first level
	case row == 1:
		return 2 // punctuation
	case row == 3:
		return 1
	case row >= 48 && row <= 84:
		return 0 // kanji of the second level
	case row == 13:
		return 1
	}
	return -2
}

func asSJIS(b []byte, more bool) evidence {
	e := evidence{entry: cp932}
	table := index0208()
	kana := 0
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c < utf8.RuneSelf:
			i++
		case 0xa1 <= c && c <= 0xdf:
			e.chars++
			e.score--
			i++
		case sjisLead(c) && i+1 == len(b):
			if !more {
				e.errors++
				e.score -= 3
			}
			i++
		case !sjisLead(c) || !sjisTrail(b[i+1]):
			e.errors++
			e.score -= errorCost
			i++
		default:
			r, cell := sjisRowCell(c, b[i+1])
			i += 2
			e.chars++
			if table[r*cells+cell] == 0 && (r < lastRow || r >= firstIBM-1) {
				e.errors++
				e.score -= errorCost
				continue
			}
			if r+1 >= firstIBM {
				continue
			}
			s := rowScore(r + 1)
			if s == 4 {
				kana++
			}
			e.score += s
		}
	}
	e.strong = kana >= 2 && kana*5 >= e.chars
	return e
}

func asEUC(b []byte, more bool) evidence {
	e := evidence{entry: eucjp}
	table := index0208()
	kana := 0
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			i++
			continue
		}
		need := 2
		switch {
		case c == 0x8f:
			need = 3
		case c != 0x8e && !eucByte(c):
			e.errors++
			e.score -= errorCost
			i++
			continue
		}
		n := 1
		for n < need && i+n < len(b) && eucByte(b[i+n]) {
			n++
		}
		switch {
		case n < need && i+n == len(b):
			if !more {
				e.errors++
				e.score -= 3
			}
		case n < need || c == 0x8e && b[i+1] > 0xdf:
			e.errors++
			e.score -= errorCost
		case c == 0x8e:
			e.chars++
		case c == 0x8f:
			e.chars++
			if index0212()[(int(b[i+1])-0xa1)*cells+int(b[i+2])-0xa1] == 0 {
				e.score -= 4
			}
		default:
			e.chars++
			r := int(c) - 0xa1
			if table[r*cells+int(b[i+1])-0xa1] == 0 && r < 84 {
				e.errors++
				e.score -= errorCost
				break
			}
			s := rowScore(r + 1)
			if s == 4 {
				kana++
			}
			e.score += s
		}
		i += n
	}
	e.strong = kana >= 2 && kana*5 >= e.chars
	return e
}

// asJIS reads b as ISO-2022-JP. A designation of a two-byte or kana set is
// strong evidence: no other charset writes such an escape sequence.
func asJIS(b []byte, more bool) evidence {
	e := evidence{entry: iso2022jp}
	for i := bytes.IndexByte(b, esc); i >= 0; {
		rest := b[i+1:]
		if bytes.HasPrefix(rest, []byte("(I")) || len(rest) > 1 && rest[0] == '$' && bytes.IndexByte([]byte("@B(A)"), rest[1]) >= 0 {
			e.strong = true
			break
		}
		j := bytes.IndexByte(rest, esc)
		if j < 0 {
			break
		}
		i += 1 + j
	}
	if !high(b) {
		return e
	}
	// With 8-bit bytes about, what decoding makes of them is what counts.
	d := &jisDecoder{g1: setKana, g2: setLatin1}
	out, _ := d.decode(make([]byte, 0, 2*len(b)), b, !more)
	e.errors = d.replaced
	e.score = -errorCost * d.replaced
	for len(out) > 0 {
		r, n := utf8.DecodeRune(out)
		out = out[n:]
		switch {
		case 0xff61 <= r && r <= 0xff9f:
			e.chars++
			e.score--
		case 0x3041 <= r && r <= 0x30ff:
			e.chars++
			e.score += 4
		case r > 0x2000 && r != utf8.RuneError:
			e.chars++
			e.score++
		}
	}
	return e
}

func high(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}
