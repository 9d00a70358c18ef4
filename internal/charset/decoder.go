package charset

import (
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// A decoder appends to dst the UTF-8 of src and says how many bytes of src it
// used. It leaves a character cut at the end of src unless final is set. It
// always uses at least one byte when final is set and src is not empty.
type decoder interface {
	decode(dst, src []byte, final bool) ([]byte, int)
	counts() tally
}

// tally counts what could not be kept.
type tally struct {
	replaced, userDefined, stripped int
}

func (t *tally) counts() tally { return *t }

func (t *tally) replace(dst []byte) []byte {
	t.replaced++
	return append(dst, "\uFFFD"...)
}

func (t *tally) geta(dst []byte) []byte {
	t.userDefined++
	return utf8.AppendRune(dst, Geta)
}

// utf8Decoder lets legal UTF-8 through. Overlong forms, surrogates and bytes
// out of place are illegal (RFC 3629, 3), each maximal wrong start counted
// once, as the Unicode Standard recommends.
type utf8Decoder struct{ tally }

func newUTF8() decoder { return new(utf8Decoder) }

func (d *utf8Decoder) decode(dst, src []byte, final bool) ([]byte, int) {
	i := 0
	for i < len(src) {
		j := i
		for j < len(src) {
			if src[j] < utf8.RuneSelf {
				j++
				continue
			}
			r, n := utf8.DecodeRune(src[j:])
			if r == utf8.RuneError && n <= 1 {
				break
			}
			j += n
		}
		dst = append(dst, src[i:j]...)
		i = j
		if i == len(src) {
			break
		}
		if !final && !utf8.FullRune(src[i:]) {
			return dst, i
		}
		dst = d.replace(dst)
		i += wrongStart(src[i:])
	}
	return dst, i
}

// wrongStart returns the length of the longest start of a legal sequence at
// the head of b, which holds no legal sequence there; at least 1.
func wrongStart(b []byte) int {
	n := 1
	for n < len(b) && n < 3 && !utf8.FullRune(b[:n]) {
		if utf8.FullRune(b[:n+1]) {
			break
		}
		n++
	}
	return n
}

// textDecoder runs a decoder of x/text and counts the U+FFFD it makes.
type textDecoder struct {
	tally
	t    transform.Transformer
	room []byte
}

func fromText(e encoding.Encoding) func() decoder {
	return func() decoder {
		return &textDecoder{t: e.NewDecoder().Transformer, room: make([]byte, 4<<10)}
	}
}

func (d *textDecoder) decode(dst, src []byte, final bool) ([]byte, int) {
	i := 0
	for {
		n, m, err := d.t.Transform(d.room, src[i:], final)
		out := d.room[:n]
		for j := 0; j+2 < len(out); j++ {
			if out[j] == 0xef && out[j+1] == 0xbf && out[j+2] == 0xbd {
				d.replaced++
			}
		}
		dst = append(dst, out...)
		i += m
		switch {
		case err == nil:
			return dst, i
		case err == transform.ErrShortDst && n+m > 0:
		case err == transform.ErrShortSrc && !final:
			return dst, i
		default:
			// A decoder that neither goes on nor ends: step over a byte.
			if i == len(src) {
				return dst, i
			}
			dst = d.replace(dst)
			i++
		}
		if i == len(src) && err != transform.ErrShortDst {
			return dst, i
		}
	}
}
