package xmlscan

import (
	"bytes"
	"unicode/utf8"
)

var class = func() (t [256]uint8) {
	for c := 0; c < 256; c++ {
		if c >= 0x20 && c != '<' && c != '&' && c != ']' && c < 0x80 || c == '\t' || c == '\n' || c == '\r' {
			t[c] |= bytePlain
		}
		if c >= 0x20 && c != '<' && c != '&' && c < 0x80 || c == '\t' || c == '\n' || c == '\r' {
			t[c] |= byteAttr
		}
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
		if letter {
			t[c] |= byteStart | byteName
		}
		if c >= '0' && c <= '9' || c == '-' || c == '.' {
			t[c] |= byteName
		}
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			t[c] |= byteSpace
		}
	}
	return t
}()

// checkRunes refuses what is not UTF-8, or no XML character.
func checkRunes(b []byte) error {
	if !utf8.Valid(b) {
		return malformed("not UTF-8")
	}
	for {
		i := bytes.Index(b, []byte("\xEF\xBF"))
		if i < 0 {
			return nil
		}
		if i+2 < len(b) && b[i+2] >= 0xBE { // U+FFFE, U+FFFF
			return malformed("no XML character")
		}
		b = b[i+2:]
	}
}

// reference decodes the name between & and ;.
func reference(b []byte) (rune, bool) {
	switch string(b) {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(b) < 2 || b[0] != '#' {
		return 0, false
	}
	digits, base := b[1:], rune(10)
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	if len(digits) == 0 {
		return 0, false
	}
	r := rune(0)
	for _, c := range digits {
		d := rune(99)
		switch {
		case c >= '0' && c <= '9':
			d = rune(c - '0')
		case c >= 'a' && c <= 'f':
			d = rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			d = rune(c-'A') + 10
		}
		if d >= base {
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, false
		}
	}
	// XML 1.0, 2.2.
	ok := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r < 0xD800 || r >= 0xE000 && r < 0xFFFE || r >= 0x10000
	return r, ok
}

// AppendDecoded appends text with its references replaced. The scanner has
// checked them.
func AppendDecoded(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		n := bytes.IndexByte(text[i:], ';')
		if n < 0 {
			return append(dst, text[i:]...)
		}
		r, _ := reference(text[i+1 : i+n])
		dst = utf8.AppendRune(dst, r)
		text = text[i+n+1:]
	}
}

// AppendEscaped appends text so that it means itself, in text and in attribute
// values.
func AppendEscaped(dst []byte, text []byte) []byte {
	for _, c := range text {
		switch c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&quot;"...)
		case '\t', '\n', '\r':
			dst = append(dst, "&#"...)
			if c >= 10 {
				dst = append(dst, '1', '0'+c-10, ';')
			} else {
				dst = append(dst, '0'+c, ';')
			}
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func checkName(b []byte) error {
	if len(b) == 0 || len(b) > maxXMLName || class[b[0]]&byteStart == 0 || b[0] == ':' {
		return malformed("bad name")
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		if i == len(b)-1 || class[b[i+1]]&byteStart == 0 || bytes.IndexByte(b[i+1:], ':') >= 0 {
			return malformed("bad name")
		}
	}
	return nil
}

func checkValue(b []byte) error {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if class[c]&byteAttr != 0 || c >= 0x80 {
			continue
		}
		if c != '&' {
			return malformed("bad character in an attribute")
		}
		n := bytes.IndexByte(b[i:min(len(b), i+12)], ';')
		if n < 0 {
			return malformed("reference without an end")
		}
		if _, ok := reference(b[i+1 : i+n]); !ok {
			return malformed("entity %q", b[i+1:i+n])
		}
		i += n
	}
	return nil
}

// Split cuts a qualified name.
func Split(name []byte) (prefix, local []byte) {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return nil, name
}
