package outlook

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"sekisho/internal/charset"
)

// sampleSize is how much of the eight-bit strings is looked at to tell their
// code page.
const sampleSize = 64 << 10

// sampled adds the eight-bit strings of p to a sample, in the order of their
// numbers.
func (p properties) sampled(to []byte) []byte {
	for _, id := range slices.Sorted(maps.Keys(p.m)) {
		if v := p.m[id]; v.typ == typeString8 && id != pidHTML {
			to = sampled(to, v.b)
		}
	}
	return to
}

// sampled adds one string. A line of its own keeps its last octet from being
// read together with the first of the next.
func sampled(to, b []byte) []byte {
	b, _, _ = bytes.Cut(b, []byte{0})
	return append(append(to, b[:min(len(b), max(sampleSize-len(to), 0))]...), '\n')
}

// claims are the charsets that a message says its strings are in.
func (p properties) claims() []string {
	var out []string
	for _, id := range []uint16{pidCodepage, pidInternetCodepage} {
		if n, ok := p.number(id); ok {
			out = append(out, labelOf(n))
		}
	}
	return out
}

// pageOf tells in which charset the eight-bit strings of a message are, all in
// the same. What the message says is right as a rule. Where gateways and servers
// of the West wrote it, it is theirs, and not that of the octets, which came from
// the sender's machine as they were: then the charset of the mail around it
// counts, and what the octets look like. mail is "" where no mail says one.
func pageOf(sample []byte, mail string, claims ...string) string {
	if !slices.ContainsFunc(sample, func(c byte) bool { return c >= 0x80 || c == 0x1B }) {
		return ""
	}
	for _, label := range append(slices.Clone(claims), mail, charset.Detect(sample)) {
		if name, ok := charset.Known(label); !ok || strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "utf-32") {
			continue // no string of octets, whatever the message is in
		}
		if r := charset.Decode(label, sample); r.Exact() && natural(r.Charset, r.Text) {
			return r.Charset
		}
	}
	for _, label := range claims {
		if _, ok := charset.Known(label); ok {
			return charset.Decode(label, sample).Charset
		}
	}
	return ""
}

// natural reports whether text of a Latin charset could have been written. Any
// octets are legal there; those of kanji make signs in odd places (日本 is “ú–{)
// where text of the West has letters among letters.
func natural(name, text string) bool {
	if !strings.HasPrefix(name, "windows-125") && !strings.HasPrefix(name, "iso-8859-") {
		return true
	}
	const signs = "–—‘’“”…«»°§¶©®™·•¡¿´€£ªº²³¼½¾±×÷\u00A0"
	good, bad := 0, 0
	line := []rune(text)
	at := func(i int) rune {
		if i < 0 || i >= len(line) {
			return '\n'
		}
		return line[i]
	}
	for i, r := range line {
		if r < 0x80 {
			continue
		}
		before, after := at(i-1), at(i+1)
		switch {
		case unicode.IsLetter(r) && (unicode.IsLetter(before) || unicode.IsLetter(after)):
			good++
		case strings.ContainsRune(signs, r) && beside(before) && beside(after):
			good++
		default:
			bad++
		}
	}
	return bad*4 <= good
}

// beside reports what may stand beside a sign: letters, digits, blanks, ends and
// marks of a text or a file name.
func beside(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsSpace(r) || strings.ContainsRune(`.,;-_()'"`, r)
}

// eightBit reads a string in the charset of its message. One that is none in it
// stands for itself.
func eightBit(name string, b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if name == "" {
		return charset.Decode("", b).Text
	}
	r := charset.DecodeAs(name, b)
	if r.Replaced > 0 {
		if own := charset.Decode("", b); own.Replaced < r.Replaced {
			return own.Text
		}
	}
	return r.Text
}

// labelOf names the charset of a Windows code page.
func labelOf(n uint32) string {
	switch n {
	case 0:
		return ""
	case 932, 943:
		return "cp932"
	case 936, 54936:
		return "gb18030"
	case 949, 51949:
		return "euc-kr"
	case 950:
		return "big5"
	case 1200:
		return "utf-16le"
	case 20127:
		return "us-ascii"
	case 20932, 51932:
		return "euc-jp"
	case 50220, 50221, 50222:
		return "iso-2022-jp"
	case 50225:
		return "iso-2022-kr"
	case 65000:
		return "utf-7"
	case 65001:
		return "utf-8"
	case 20866:
		return "koi8-r"
	}
	if n >= 28591 && n <= 28605 {
		return fmt.Sprintf("iso-8859-%d", n-28590)
	}
	return fmt.Sprintf("windows-%d", n)
}
