package header

import (
	"strings"
	"unicode/utf8"

	"sekisho/internal/charset"
)

// Text is a decoded piece of a header.
type Text struct {
	String      string // valid UTF-8 without control characters
	Words       int    // encoded words decoded
	Replaced    int    // illegal sequences that became U+FFFD
	UserDefined int    // user-defined characters that became the geta mark
	Dropped     int    // control characters dropped, or made a blank
	Flags       Flags
}

// DecodeText decodes an unstructured field such as Subject for the reader.
func DecodeText(raw string) string { return Decode(raw).String }

// Decode decodes an unstructured value, folded or not: encoded words (RFC
// 2047) wherever they stand, quoted or glued to other text, and raw bytes of
// whatever charset they seem to be in. Line breaks and tabs become blanks,
// other controls are dropped, encoded ones too: nothing that is decoded here
// can end a line when it is written again.
func Decode(raw string) Text {
	t := decodeWords(Unfold(raw), true)
	t.clean()
	return t
}

// clean takes the control characters out.
func (t *Text) clean() {
	n := 0
	s := strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\r' || r == '\n':
			if r != '\t' {
				n++
			}
			return ' '
		case r < 0x20 || 0x7f <= r && r < 0xa0:
			n++
			return -1
		case r == 0xfeff:
			// A byte order mark is no text; left in, it would vanish the
			// next time the text is read.
			return -1
		}
		return r
	}, t.String)
	t.String = trim(s)
	if n > 0 {
		t.Dropped += n
		t.Flags |= Control
	}
}

// piece is an encoded word or what stands between.
type piece struct {
	raw     string // for what is no word
	word    bool
	charset string // as written
	name    string // canonical
	data    []byte
	b64     bool
	tail    bits // what a base64 word left over
	whole   bool // nothing missing at its end
}

// decodeWords does the work of Decode and leaves the control characters in.
// Unless aware, two-byte text of a raw ISO-2022-JP header gets no protection
// from being taken for an encoded word.
func decodeWords(s string, aware bool) Text {
	var t Text
	if plain(s) {
		t.String = s
		return t
	}
	pieces := split(s, aware, &t.Flags)
	var rest []byte // all raw text: its charset is decided once
	for i, p := range pieces {
		if p.word {
			continue
		}
		// RFC 2047, 6.2: blanks between encoded words are not shown.
		if i > 0 && i+1 < len(pieces) && trim(p.raw) == "" && pieces[i-1].word && pieces[i+1].word {
			pieces[i].raw = ""
			continue
		}
		rest = append(rest, p.raw...)
	}
	rawName := charset.Detect(rest)
	if rawName != "us-ascii" {
		t.Flags |= RawBytes
	}
	var out strings.Builder
	for i := 0; i < len(pieces); {
		p := pieces[i]
		if !p.word {
			if p.raw != "" {
				t.add(&out, charset.DecodeAs(rawName, []byte(p.raw)))
			}
			i++
			continue
		}
		// Words of one charset that follow each other are decoded together:
		// many senders cut a character, or a shift state, between two words.
		data := p.data
		carry := p.tail
		j := i
		for k := i + 1; k < len(pieces); k++ {
			q := pieces[k]
			if !q.word {
				if q.raw != "" {
					break
				}
				continue
			}
			if q.name != p.name || q.name == "" && !equalFold(q.charset, p.charset) {
				break
			}
			if carry.n > 0 && carry.v != 0 && q.b64 {
				// The sender cut its base64 by length, not by words.
				var tail bits
				var ok bool
				q.data, tail, ok = unbase64(q.raw, carry)
				q.tail = tail
				if !ok {
					t.Flags |= BadWord
				}
			} else if carry.n >= 6 {
				t.Flags |= BadWord
			}
			data = append(data, q.data...)
			carry = q.tail
			t.Words++
			j = k
		}
		if carry.n >= 6 || carry.v != 0 {
			t.Flags |= BadWord
		}
		t.Words++
		if p.name == "" {
			t.Flags |= UnknownCharset
		}
		r := charset.Decode(p.charset, data)
		if r.Contradicted {
			t.Flags |= WrongCharset
		}
		t.add(&out, r)
		i = j + 1
	}
	t.String = out.String()
	return t
}

func (t *Text) add(out *strings.Builder, r charset.Result) {
	out.WriteString(r.Text)
	t.Replaced += r.Replaced
	t.UserDefined += r.UserDefined
}

// plain reports text that is what it looks like.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c == 0x1b || c == '=' && i+1 < len(s) && s[i+1] == '?' {
			return false
		}
	}
	return true
}

// split cuts s into encoded words and what is between them.
func split(s string, aware bool, flags *Flags) []piece {
	var pieces []piece
	from := 0 // of the raw text not yet taken
	end := -1 // the next "?=", found once and used until passed
	for i := 0; i < len(s); {
		if aware && s[i] == 0x1b {
			// The bytes of 渚 are "=?": inside raw two-byte text nothing is
			// a word.
			i += shifted(s[i:])
			continue
		}
		if s[i] != '=' || i+1 >= len(s) || s[i+1] != '?' {
			i++
			continue
		}
		p, n, seen := word(s, i, &end)
		if !seen {
			i += 2
			continue
		}
		if n == 0 {
			*flags |= BadWord
			i += 2
			continue
		}
		if !p.whole {
			*flags |= BadWord
		}
		if from < i {
			pieces = append(pieces, piece{raw: s[from:i]})
		}
		pieces = append(pieces, p)
		i += n
		from = i
	}
	if from < len(s) {
		pieces = append(pieces, piece{raw: s[from:]})
	}
	return pieces
}

// shifted returns the length of the escape sequence at the head of s, with the
// two-byte or kana text it begins and the sequence that ends it.
func shifted(s string) int {
	if len(s) < 3 || s[1] != '$' && s[1:3] != "(I" {
		return 1
	}
	if i := strings.Index(s[3:], "\x1b("); i >= 0 {
		return min(3+i+3, len(s))
	}
	return len(s)
}

// maxCharset bounds a charset name; the longest registered has 45 letters.
const maxCharset = 64

// word reads the encoded word at s[i:], which begins with "=?". seen says that
// it looks like one, n is its length, 0 if it cannot be read. Blanks inside,
// padding left out, and a word broken off at the end of s are all known from
// real mail.
func word(s string, i int, end *int) (p piece, n int, seen bool) {
	q := strings.IndexByte(s[i+2:min(len(s), i+2+maxCharset)], '?')
	if q <= 0 {
		return p, 0, false
	}
	name := s[i+2 : i+2+q]
	for j := 0; j < len(name); j++ {
		if c := name[j]; c <= ' ' || c >= 0x7f || c == '=' || c == '"' || c == '<' || c == '>' {
			return p, 0, false
		}
	}
	at := i + 2 + q + 1 // the encoding
	if at+1 >= len(s) || s[at+1] != '?' {
		return p, 0, false
	}
	p = piece{word: true, charset: name, whole: true}
	p.name, _ = charset.Known(name)
	text := at + 2
	if *end < text {
		*end = len(s) + 1
		if j := strings.Index(s[text:], "?="); j >= 0 {
			*end = text + j
		}
	}
	stop, n := *end, *end+2-i
	switch s[at] {
	case 'b', 'B':
		if stop > len(s) {
			// Broken off: taken if nothing but base64 follows.
			stop, n = len(s), len(s)-i
			if stop == text {
				return p, 0, true
			}
			for j := text; j < len(s); j++ {
				if c := s[j]; sextet(c) < 0 && c != '=' && !(c == '?' && j == len(s)-1) {
					return p, 0, true
				}
			}
			p.whole = false
		}
		p.b64 = true
		p.raw = s[text:stop]
		var ok bool
		p.data, p.tail, ok = unbase64(p.raw, bits{})
		p.whole = p.whole && ok
	case 'q', 'Q':
		if stop > len(s) {
			return p, 0, true
		}
		p.data = unq(s[text:stop])
	default:
		return p, 0, true
	}
	return p, n, true
}

// bits are what base64 characters have not yet filled an octet with.
type bits struct {
	v uint32
	n uint
}

func sextet(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

// unbase64 decodes as far as anything can be decoded. ok is false when there
// was something that is no base64.
func unbase64(s string, b bits) (data []byte, left bits, ok bool) {
	ok = true
	data = make([]byte, 0, len(s)*3/4+1)
	for i := 0; i < len(s); i++ {
		c := s[i]
		v := sextet(c)
		switch {
		case v >= 0:
			b.v = b.v<<6 | uint32(v)
			if b.n += 6; b.n >= 8 {
				b.n -= 8
				data = append(data, byte(b.v>>b.n))
				b.v &= 1<<b.n - 1
			}
		case c == '=':
			// After padding another run may begin.
			b = bits{}
		case blank(c):
		default:
			ok = false
		}
	}
	return data, b, ok
}

// unq decodes the Q encoding. A "=" that introduces nothing stays.
func unq(s string) []byte {
	data := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			data = append(data, ' ')
		case c == '=' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			data = append(data, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
		default:
			data = append(data, c)
		}
	}
	return data
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
