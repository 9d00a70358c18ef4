package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
)

// Ways in which a transfer encoding can be wrong, so that two programs would
// decode two things.
var (
	errBase64Junk    = errors.New("characters outside the base64 alphabet")
	errBase64Restart = errors.New("base64 data after its padding")
	errBase64Cut     = errors.New("base64 that ends inside a character")
	errQuoted        = errors.New("illegal quoted-printable escape")
)

// transfer is a content transfer encoding.
type transfer uint8

const (
	identity transfer = iota // 7bit, 8bit, binary: the bytes are the content
	base64Transfer
	quotedPrintable
	uuTransfer
	yencTransfer
	binHexTransfer // opened by work.open alone, which has the budget for what it expands
)

// decoder returns a reader over what r encodes.
func (t transfer) decoder(r io.Reader) io.Reader {
	switch t {
	case base64Transfer:
		return &base64Reader{src: r}
	case quotedPrintable:
		return &quotedReader{src: r}
	case uuTransfer, yencTransfer:
		return newLineDecoder(r, t == yencTransfer)
	default:
		return r
	}
}

// base64Reader decodes base64 and refuses what programs decode differently:
// other characters than the alphabet and white space, and data that goes on
// after padding. Missing padding is no ambiguity: every program reads the same
// bytes. RFC 2045, 6.8, tells readers to ignore foreign characters; some do
// and some stop, which is the ambiguity.
type base64Reader struct {
	src   io.Reader
	buf   [8192]byte
	quad  [8192]byte // characters waiting to be decoded
	n     int        // how many
	pad   int
	out   []byte
	plain [8192]byte
	err   error
}

const (
	b64Other = 0xff
	b64Space = 0xfe
	b64Pad   = 0xfd
)

var b64Class = func() (t [256]byte) {
	for i := range t {
		t[i] = b64Other
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	for _, c := range []byte(" \t\r\n") {
		t[c] = b64Space
	}
	t['='] = b64Pad
	return t
}()

func (d *base64Reader) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

func (d *base64Reader) fill() {
	n, err := d.src.Read(d.buf[:len(d.buf)-4])
	for _, c := range d.buf[:n] {
		switch b64Class[c] {
		case b64Space:
		case b64Pad:
			d.pad++
		case b64Other:
			d.err = errBase64Junk
			return
		default:
			if d.pad > 0 {
				d.err = errBase64Restart
				return
			}
			d.quad[d.n] = c
			d.n++
		}
	}
	whole := d.n &^ 3
	if err != nil {
		d.err = err
		if errors.Is(err, io.EOF) {
			whole = d.n
			rest := d.n % 4
			switch {
			case rest == 1:
				d.err, whole = errBase64Cut, d.n-1
			case d.pad > 0 && d.pad != (4-rest)%4:
				// Padding that does not belong to the data before it marks a
				// place where two streams were joined.
				d.err = errBase64Restart
			}
		}
	}
	m, derr := base64.RawStdEncoding.Decode(d.plain[:], d.quad[:whole])
	if derr != nil {
		d.err = errBase64Junk
		return
	}
	d.out = d.plain[:m]
	d.n = copy(d.quad[:], d.quad[whole:d.n])
}

// quotedReader decodes quoted-printable and refuses escapes that RFC 2045,
// 6.7, does not know: programs keep, drop or mend them, each differently.
type quotedReader struct {
	src io.Reader
	// lenient takes an "=" that begins no escape for itself and counts it, as
	// RFC 2045, 6.7, proposes and as programs show a text; nil refuses it.
	lenient *int
	buf     []byte // read and not yet decoded
	out     []byte
	next    []byte
	eof     error
	err     error
}

const quotedBlock = 8192

// maxTrailing bounds white space that is looked through before a line end.
const maxTrailing = 4096

func (d *quotedReader) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

func (d *quotedReader) fill() {
	if d.eof == nil {
		if cap(d.buf) < quotedBlock*2 {
			b := make([]byte, len(d.buf), quotedBlock*2)
			copy(b, d.buf)
			d.buf = b
		}
		var n int
		n, d.eof = d.src.Read(d.buf[len(d.buf) : len(d.buf)+min(quotedBlock, cap(d.buf)-len(d.buf))])
		d.buf = d.buf[:len(d.buf)+n]
	}
	final := d.eof != nil
	w := d.next[:0]
	b := d.buf
	i := 0
loop:
	for i < len(b) {
		switch c := b[i]; c {
		case '=':
			rest := b[i+1:]
			if len(rest) >= 2 {
				if h, ok := unhex(rest[0], rest[1]); ok {
					w = append(w, h)
					i += 3
					continue
				}
			}
			// A soft line break: "=", white space, line end.
			j := 0
			for j < len(rest) && (rest[j] == ' ' || rest[j] == '\t') && j < maxTrailing {
				j++
			}
			switch {
			case j < len(rest) && rest[j] == '\n':
				i += 1 + j + 1
			case j+1 < len(rest) && rest[j] == '\r' && rest[j+1] == '\n':
				i += 1 + j + 2
			case !final && (j == len(rest) || j+1 == len(rest) && rest[j] == '\r' || len(rest) < 2):
				break loop
			case final && (j == len(rest) || j+1 == len(rest) && rest[j] == '\r'):
				i = len(b)
			case d.lenient != nil:
				*d.lenient++
				w = append(w, '=')
				i++
			default:
				d.err = errQuoted
				break loop
			}
		case ' ', '\t':
			j := i
			for j < len(b) && (b[j] == ' ' || b[j] == '\t') && j-i < maxTrailing {
				j++
			}
			if j == len(b) && !final && j-i < maxTrailing {
				break loop
			}
			// RFC 2045, 6.7 (3): white space at the end of a line was added on
			// the way.
			if j == len(b) || b[j] == '\n' || b[j] == '\r' && j+1 < len(b) && b[j+1] == '\n' {
				i = j
				continue
			}
			if b[j] == '\r' && j+1 == len(b) && !final {
				break loop
			}
			w = append(w, b[i:j]...)
			i = j
		default:
			j := bytes.IndexAny(b[i:], "= \t")
			if j < 0 {
				j = len(b) - i
			}
			w = append(w, b[i:i+j]...)
			i += j
		}
	}
	d.out, d.next = w, w
	d.buf = append(d.buf[:0], b[i:]...)
	if d.err == nil && final && (len(d.buf) == 0 || i == 0) {
		d.err = d.eof
	}
}

func unhex(a, b byte) (byte, bool) {
	h, ok1 := hexValue(a)
	l, ok2 := hexValue(b)
	return h<<4 | l, ok1 && ok2
}

func hexValue(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
