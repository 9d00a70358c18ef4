package message

import (
	"encoding/base64"
	"io"
)

// foldAt is where encoded text is folded. RFC 2045, 6.7 and 6.8: 76.
const foldAt = 76

// quotedWriter encodes text whose lines end in CRLF as quoted-printable. What
// some relay could take for its own ("From " at the start of a line, white space
// at its end) is encoded, and so is all that is not ASCII. A dot at the start of
// a line is SMTP's to stuff (RFC 5321, 4.5.2), and stays as it is.
type quotedWriter struct {
	w   io.Writer
	buf []byte
	n   int  // octets in the line
	sp  byte // white space that may turn out to end its line
	cr  bool
	err error
}

func (q *quotedWriter) Write(p []byte) (int, error) {
	if cap(q.buf) == 0 {
		q.buf = make([]byte, 0, min(len(p)+len(p)/4+80, 33<<10))
	}
	for _, c := range p {
		q.octet(c)
	}
	if len(q.buf) > 32<<10 {
		q.flush()
	}
	return len(p), q.err
}

func (q *quotedWriter) flush() {
	if q.err == nil && len(q.buf) > 0 {
		_, q.err = q.w.Write(q.buf)
	}
	q.buf = q.buf[:0]
}

// Close writes what is left.
func (q *quotedWriter) Close() error {
	if q.sp != 0 {
		q.literal(q.sp, true)
		q.sp = 0
	}
	if q.cr {
		q.cr = false
		q.literal('\r', true)
	}
	q.flush()
	return q.err
}

func (q *quotedWriter) octet(c byte) {
	if q.cr {
		q.cr = false
		if c == '\n' {
			if q.sp != 0 {
				q.literal(q.sp, true)
				q.sp = 0
			}
			q.buf = append(q.buf, "\r\n"...)
			q.n = 0
			return
		}
		q.space()
		q.literal('\r', true)
	}
	if c == '\r' {
		q.cr = true
		return
	}
	q.space()
	switch {
	case c == ' ' || c == '\t':
		q.sp = c
	case c == '=' || c < ' ' || c > '~':
		q.literal(c, true)
	default:
		// Mailbox files begin mails with "From ".
		q.literal(c, q.n == 0 && c == 'F')
	}
}

func (q *quotedWriter) space() {
	if q.sp != 0 {
		q.literal(q.sp, false)
		q.sp = 0
	}
}

const upperHex = "0123456789ABCDEF"

func (q *quotedWriter) literal(c byte, encoded bool) {
	size := 1
	if encoded {
		size = 3
	}
	if q.n+size > foldAt-1 {
		q.buf = append(q.buf, "=\r\n"...)
		q.n = 0
		if !encoded && c == 'F' {
			encoded, size = true, 3
		}
	}
	if encoded {
		q.buf = append(q.buf, '=', upperHex[c>>4], upperHex[c&15])
	} else {
		q.buf = append(q.buf, c)
	}
	q.n += size
}

// lineWriter cuts base64 into lines of 76 that end in CRLF.
type lineWriter struct {
	w   io.Writer
	buf []byte
	n   int
	err error
}

func (l *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	if cap(l.buf) == 0 {
		l.buf = make([]byte, 0, min(max(n, 6<<10), 33<<10))
	}
	for len(p) > 0 {
		m := min(foldAt-l.n, len(p))
		l.buf = append(l.buf, p[:m]...)
		p = p[m:]
		if l.n += m; l.n == foldAt {
			l.buf = append(l.buf, "\r\n"...)
			l.n = 0
		}
	}
	if len(l.buf) > 32<<10 {
		l.flush()
	}
	return n, l.err
}

func (l *lineWriter) flush() {
	if l.err == nil && len(l.buf) > 0 {
		_, l.err = l.w.Write(l.buf)
	}
	l.buf = l.buf[:0]
}

func (l *lineWriter) Close() error {
	if l.n > 0 {
		l.buf = append(l.buf, "\r\n"...)
		l.n = 0
	}
	l.flush()
	return l.err
}

// base64Writer encodes what is written as base64 in lines.
func base64Writer(w io.Writer) io.WriteCloser {
	l := &lineWriter{w: w}
	return &both{base64.NewEncoder(base64.StdEncoding, l), l}
}

type both struct {
	io.WriteCloser
	after io.Closer
}

func (b *both) Close() error {
	err := b.WriteCloser.Close()
	if e := b.after.Close(); err == nil {
		err = e
	}
	return err
}

// quotedIsShorter decides between the two encodings by a sample of the text.
// Base64 costs a third whatever the text is; quoted-printable three octets for
// every one that is not plain, and stays legible.
func quotedIsShorter(sample []byte) bool {
	special := 0
	for _, c := range sample {
		if c == '=' || c >= 0x7f {
			special++
		}
	}
	return special*6 <= len(sample)
}
