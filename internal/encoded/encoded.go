// Package encoded finds files that are written into a text: in uuencode, yEnc,
// BinHex or base64. Such a text is harmless to read, but programs and people
// decode it, and what comes out of it nobody has looked at.
//
// Line by line it says what a line is; Cutter is a writer that leaves such files
// out. Nothing is decoded beyond the first octets, and memory does not grow with
// the text.
package encoded

import (
	"bytes"
	"encoding/base64"
)

// What is what a line is.
type What uint8

// The answers. Zero is none.
const (
	Words  What = 1 // nothing but text
	Maybe  What = 2 // it opens a file if the next line goes on with it
	Opens  What = 3 // a file begins, with the line before if that was Maybe
	Inside What = 4 // it belongs to the file that began
)

// Finder judges the lines of one text in their order. The zero value is ready.
type Finder struct {
	maybe bool   // the line before opened a uuencoded file
	run   bool   // the line before was base64
	in    format // the file that is open
}

// format is how the file that is open is written.
type format uint8

const (
	none   format = 0
	uu     format = 1
	yenc   format = 2
	binHex format = 3
	b64    format = 4
)

// leastRun is how long a line of base64 is at least, but for the last one: words
// are shorter.
const leastRun = 16

// Line judges one line, without its end.
func (f *Finder) Line(l []byte) What {
	l = bytes.TrimRight(l, "\r \t")
	if f.in != none {
		if f.goesOn(l) {
			return Inside
		}
		f.in = none
	}
	if f.maybe && len(l) > 0 {
		f.maybe = false
		if uuData(l) {
			f.in = uu
			return Opens
		}
	}
	switch {
	case bytes.HasPrefix(l, []byte("begin")) && UUBegin(l):
		f.maybe, f.run = true, false
		return Maybe
	case bytes.HasPrefix(l, []byte("=ybegin ")) && bytes.Contains(l, []byte("size=")):
		f.in = yenc
		return Opens
	case bytes.HasPrefix(l, []byte("(This file must be converted with BinHex")):
		f.in = binHex
		return Opens
	}
	before := f.run
	q := unquoted(l)
	f.run = len(q) >= leastRun && isBase64(bytes.TrimRight(q, "="))
	if f.run && !before && opensFile(q) {
		f.in = b64
		return Opens
	}
	return Words
}

// goesOn reports whether a line belongs to the file that is open.
func (f *Finder) goesOn(l []byte) bool {
	switch f.in {
	case uu:
		if string(l) == "end" {
			f.in = none
			return true
		}
		return len(l) > 0 && uuData(l)
	case yenc:
		if bytes.HasPrefix(l, []byte("=yend")) {
			f.in = none
		}
		return true
	case binHex:
		if len(l) > 1 && l[len(l)-1] == ':' {
			f.in = none
		}
		return len(l) == 0 || !bytes.ContainsAny(l, " \t")
	case b64:
		q := unquoted(l)
		if len(q) == 0 || !isBase64(bytes.TrimRight(q, "=")) {
			return false
		}
		if len(q) >= leastRun {
			return true
		}
		// The last line of a run is a shorter one, and whole groups; words behind
		// it are words.
		f.in = none
		return len(q)%4 == 0
	default:
		return false
	}
}

// unquoted is a line without the marks of a quotation.
func unquoted(l []byte) []byte { return bytes.TrimLeft(l, " \t>|") }

func isBase64(l []byte) bool {
	for _, c := range l {
		if !base64Sign(c) {
			return false
		}
	}
	return true
}

func base64Sign(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// opensFile reports whether the first line of a run of base64 opens like a
// program, an archive or a document. What begins with ASN.1 (a certificate, a
// key, a signature) does not: such texts are sent every day.
func opensFile(l []byte) bool {
	var b [48]byte
	n, _ := base64.StdEncoding.Decode(b[:], l[:min(len(l), 64)&^3])
	for _, mark := range []string{"PK\x03\x04", "%PDF-", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "{\\rtf", "Rar!\x1a", "7z\xbc\xaf\x27\x1c", "\x7fELF", "MSCF\x00",
		"ITSF\x03\x00", "\x1f\x8b\x08", "L\x00\x00\x00\x01\x14\x02\x00"} {
		if bytes.HasPrefix(b[:n], []byte(mark)) {
			return true
		}
	}
	return program(b[:n])
}

// program reports the header of a program. MZ alone begins words, too; a header
// is mostly zeros.
func program(b []byte) bool {
	return bytes.HasPrefix(b, []byte("MZ")) && bytes.Count(b, []byte{0}) >= 4
}

// Program looks for base64 of a program anywhere in a line: in a cell, or behind
// the name of a field. It gives the place of the run.
func Program(l []byte) (start, end int, found bool) {
	const least = 40 // octets of base64: the header
	for i := 0; i+least <= len(l); {
		n := 0
		for i+n < len(l) && base64Sign(l[i+n]) {
			n++
		}
		if n >= least {
			var b [least]byte
			m, _ := base64.StdEncoding.Decode(b[:], l[i:i+least])
			if program(b[:m]) {
				for i+n < len(l) && l[i+n] == '=' {
					n++
				}
				return i, i + n, true
			}
		}
		i += n + 1
	}
	return 0, 0, false
}

// UUBegin recognises the line that opens a uuencoded file, "begin 644 name" or
// "begin-base64 644 name" (POSIX, uuencode).
func UUBegin(l []byte) bool {
	f := bytes.Fields(l)
	if len(f) < 3 || string(f[0]) != "begin" && string(f[0]) != "begin-base64" || len(f[1]) < 3 || len(f[1]) > 4 {
		return false
	}
	for _, c := range f[1] {
		if c < '0' || c > '7' {
			return false
		}
	}
	return true
}

// uuData reports whether a line could be one of the file's: a length and as many
// characters as it asks for, or base64. Sentences after words that happen to
// begin like a file are neither.
func uuData(l []byte) bool {
	n := int(l[0]-' ') & 63
	want := (n + 2) / 3 * 4
	encoded := l[0] >= ' ' && l[0] <= '`' && len(l)-1 <= want+2 && len(l)-1 >= want-3
	plain := len(l)%4 == 0
	for _, c := range l[1:] {
		encoded = encoded && c >= ' ' && c <= '`'
	}
	for _, c := range l {
		plain = plain && (base64Sign(c) || c == '=')
	}
	return encoded || plain
}
