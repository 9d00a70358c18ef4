package xmlscan

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// UTF8 turns UTF-16 into UTF-8, by its byte order mark or by the zero in
// its first character, as XML 1.0 appendix F has it.
func UTF8(r io.Reader) (io.Reader, error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	head = head[:n]
	rest := io.MultiReader(bytes.NewReader(head), r)
	if n < 4 {
		return rest, nil
	}
	switch {
	case head[0] == 0xFF && head[1] == 0xFE && (head[2] != 0 || head[3] != 0), head[0] == '<' && head[1] == 0 && head[2] != 0:
		return &utf16Reader{r: rest}, nil
	case head[0] == 0xFE && head[1] == 0xFF, head[0] == 0 && head[1] == '<':
		return &utf16Reader{r: rest, big: true}, nil
	default:
		return rest, nil // UTF-32 and EBCDIC fail as XML
	}
}

// utf16Reader decodes UTF-16 without mercy: an unpaired surrogate ends it.
type utf16Reader struct {
	r   io.Reader
	big bool
	raw []byte
	out []byte
	at  int
	err error
}

func (u *utf16Reader) Read(b []byte) (int, error) {
	for u.at == len(u.out) {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(b, u.out[u.at:])
	u.at += n
	return n, nil
}

func (u *utf16Reader) fill() {
	buf := make([]byte, 16<<10)
	n, err := u.r.Read(buf)
	u.raw = append(u.raw, buf[:n]...)
	u.out, u.at = u.out[:0], 0
	i := 0
	for ; i+1 < len(u.raw); i += 2 {
		c := rune(u.raw[i]) | rune(u.raw[i+1])<<8
		if u.big {
			c = rune(u.raw[i])<<8 | rune(u.raw[i+1])
		}
		if utf16.IsSurrogate(c) {
			if i+3 >= len(u.raw) {
				break
			}
			d := rune(u.raw[i+2]) | rune(u.raw[i+3])<<8
			if u.big {
				d = rune(u.raw[i+2])<<8 | rune(u.raw[i+3])
			}
			if c = utf16.DecodeRune(c, d); c == utf8.RuneError {
				u.err = fmt.Errorf("broken UTF-16: %w", ErrMalformed)
				return
			}
			i += 2
		}
		u.out = utf8.AppendRune(u.out, c)
	}
	u.raw = append(u.raw[:0], u.raw[i:]...)
	if err != nil {
		u.err = err
		if err == io.EOF && len(u.raw) > 0 {
			u.err = fmt.Errorf("broken UTF-16: %w", ErrMalformed)
		}
	}
}
