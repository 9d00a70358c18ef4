package verify

import (
	"bytes"
	"io"
)

// words reads the text of a mail and fails where programs for mail would take a
// file out of it: a line that opens one in uuencode with its first line of data
// behind it, or yEnc. What they show as an attachment nobody has treated.
type words struct {
	where string
	r     io.Reader
	line  []byte // the beginning of the line
	long  bool   // and there is more of it
	begun bool   // the line before opens a file
	err   error
}

// wordsLine is longer than any line of these encodings that opens a file or is
// data of uuencode.
const wordsLine = 256

func (w *words) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.r.Read(p)
	for b := p[:n]; len(b) > 0; {
		i := bytes.IndexByte(b, '\n')
		part := b
		if i >= 0 {
			part = b[:i]
		}
		room := wordsLine - len(w.line)
		w.long = w.long || len(part) > room
		w.line = append(w.line, part[:min(room, len(part))]...)
		if i < 0 {
			break
		}
		if w.ends() {
			w.err = notAllowed(w.where, "a file in uuencode or yEnc")
			return 0, w.err
		}
		b = b[i+1:]
	}
	if err == io.EOF && w.ends() {
		w.err = notAllowed(w.where, "a file in uuencode or yEnc")
		return 0, w.err
	}
	return n, err
}

// ends judges the line that is complete.
func (w *words) ends() bool {
	l := bytes.TrimSuffix(w.line, []byte("\r"))
	long := w.long
	w.line, w.long = w.line[:0], false
	switch {
	case len(l) == 0:
		return false
	case bytes.HasPrefix(l, []byte("=ybegin ")) && bytes.Contains(l, []byte(" name=")):
		return true
	case w.begun && !long && uuencoded(l):
		return true
	}
	w.begun = !long && opensUU(l)
	return false
}

// opensUU: "begin", a mode of three or four octal digits, a name.
func opensUU(l []byte) bool {
	rest, ok := bytes.CutPrefix(l, []byte("begin "))
	mode, name, _ := bytes.Cut(rest, []byte(" "))
	if !ok || len(mode) < 3 || len(mode) > 4 || len(bytes.TrimSpace(name)) == 0 {
		return false
	}
	return len(bytes.Trim(mode, "01234567")) == 0
}

// uuencoded: as many characters of the alphabet as the first of them says.
func uuencoded(l []byte) bool {
	for _, c := range l {
		if c < ' ' || c > '`' {
			return false
		}
	}
	n := int(l[0]-' ') & 63
	return n > 0 && len(l)-1 == (n+2)/3*4
}
