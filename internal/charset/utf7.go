package charset

import (
	"unicode/utf16"
	"unicode/utf8"
)

// utf7Decoder decodes UTF-7 (RFC 2152), strictly: a run of base64 must hold
// whole UTF-16 code units, paired surrogates and zero padding bits. UTF-7 is
// how markup is smuggled past filters that look for '<', so it is decoded
// wherever it is declared, and only there: no detection ever chooses it.
type utf7Decoder struct {
	tally
	in      bool // between '+' and the end of the run
	empty   bool // nothing of the run seen yet
	bits    uint32
	nbits   uint
	high    rune // a high surrogate waiting for its other half
	pending bool
}

func newUTF7() decoder { return new(utf7Decoder) }

func (d *utf7Decoder) decode(dst, src []byte, final bool) ([]byte, int) {
	for _, c := range src {
		if !d.in {
			switch {
			case c == '+':
				d.in, d.empty = true, true
				d.bits, d.nbits = 0, 0
			case c >= utf8.RuneSelf:
				dst = d.replace(dst)
			default:
				dst = append(dst, c)
			}
			continue
		}
		v := base64Value(c)
		if v >= 0 {
			d.empty = false
			d.bits = d.bits<<6 | uint32(v)
			if d.nbits += 6; d.nbits >= 16 {
				d.nbits -= 16
				dst = d.unit(dst, rune(d.bits>>d.nbits&0xffff))
				d.bits &= 1<<d.nbits - 1
			}
			continue
		}
		if d.empty && c == '-' {
			dst = append(dst, '+')
			d.in = false
			continue
		}
		dst = d.end(dst)
		switch {
		case c == '-':
		case c >= utf8.RuneSelf:
			dst = d.replace(dst)
		default:
			dst = append(dst, c)
		}
	}
	if final && d.in {
		dst = d.end(dst)
	}
	return dst, len(src)
}

// end closes a run.
func (d *utf7Decoder) end(dst []byte) []byte {
	if d.pending {
		d.pending = false
		dst = d.replace(dst)
	}
	if d.empty || d.nbits >= 6 || d.bits != 0 {
		dst = d.replace(dst)
	}
	d.in = false
	return dst
}

func (d *utf7Decoder) unit(dst []byte, u rune) []byte {
	if d.pending {
		d.pending = false
		if r := utf16.DecodeRune(d.high, u); r != utf8.RuneError {
			return utf8.AppendRune(dst, r)
		}
		dst = d.replace(dst)
	}
	switch {
	case 0xd800 <= u && u < 0xdc00:
		d.high, d.pending = u, true
		return dst
	case 0xdc00 <= u && u < 0xe000:
		return d.replace(dst)
	}
	return utf8.AppendRune(dst, u)
}

func base64Value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
