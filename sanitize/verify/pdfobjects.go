package verify

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

func pdfRegular(c byte) bool {
	switch c {
	case 0, '\t', '\n', '\f', '\r', ' ', '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return false
	}
	return true
}

// pdfReader reads values in the one form in which they are written.
type pdfReader struct {
	b      []byte
	at     int
	values int
}

func (r *pdfReader) take(s string) bool {
	if !bytes.HasPrefix(r.b[r.at:], []byte(s)) {
		return false
	}
	r.at += len(s)
	return true
}

// head reads "12 0 obj".
func (r *pdfReader) head() (int, error) {
	line, _, ok := bytes.Cut(r.b[r.at:min(len(r.b), r.at+32)], []byte(" 0 obj\n"))
	n, err := strconv.Atoi(string(line))
	if !ok || err != nil || n < 1 || strconv.Itoa(n) != string(line) {
		return 0, errors.New("no object")
	}
	r.at += len(line) + len(" 0 obj\n")
	return n, nil
}

var errPDFForm = errors.New("a value in another form than ours")

func (r *pdfReader) value(depth int) (any, error) {
	const nesting = 120
	if r.values++; depth > nesting || r.values > pdfValues {
		return nil, errPDFForm
	}
	if r.at >= len(r.b) {
		return nil, io.ErrUnexpectedEOF
	}
	switch c := r.b[r.at]; {
	case r.take("<<"):
		d := pdfDict{}
		for !r.take(">>") {
			k, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			name, ok := k.(pdfName)
			if _, twice := d[string(name)]; !ok || twice || !r.take(" ") {
				return nil, errPDFForm
			}
			if d[string(name)], err = r.value(depth + 1); err != nil {
				return nil, err
			}
		}
		return d, nil
	case c == '[':
		r.at++
		a := []any{}
		for !r.take("]") {
			if len(a) > 0 && !r.take(" ") {
				return nil, errPDFForm
			}
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		return a, nil
	case c == '/':
		from := r.at + 1
		for r.at++; r.at < len(r.b) && pdfRegular(r.b[r.at]); r.at++ {
		}
		return r.name(r.b[from:r.at])
	case c == '<':
		k := bytes.IndexByte(r.b[r.at:], '>')
		if k < 0 {
			return nil, errPDFForm
		}
		s := make([]byte, 0, k/2)
		hex := r.b[r.at+1 : r.at+k]
		if len(hex)%2 != 0 {
			return nil, errPDFForm
		}
		for i := 0; i < len(hex); i += 2 {
			v, err := strconv.ParseUint(string(hex[i:i+2]), 16, 8)
			if err != nil {
				return nil, errPDFForm
			}
			s = append(s, byte(v))
		}
		r.at += k + 1
		return pdfString(s), nil
	case c == '(':
		var s []byte
		for r.at++; r.at < len(r.b); r.at++ {
			switch c := r.b[r.at]; {
			case c == ')':
				r.at++
				return pdfString(s), nil
			case c == '\\':
				r.at++
				if r.at < len(r.b) {
					s = append(s, r.b[r.at])
				}
			case c < ' ' || c >= 0x7f || c == '(':
				return nil, errPDFForm
			default:
				s = append(s, c)
			}
		}
		return nil, errPDFForm
	case r.take("true"):
		return true, nil
	case r.take("false"):
		return false, nil
	case r.take("null"):
		return nil, nil
	default:
		from := r.at
		for r.at < len(r.b) && (r.b[r.at] >= '0' && r.b[r.at] <= '9' || r.b[r.at] == '.' || r.b[r.at] == '-') {
			r.at++
		}
		v, err := strconv.ParseFloat(string(r.b[from:r.at]), 64)
		if err != nil || r.at-from > 30 {
			return nil, errPDFForm
		}
		if r.take(" 0 R") {
			if v != float64(int(v)) || v < 1 || v > 1e9 {
				return nil, errPDFForm
			}
			return pdfRef(v), nil
		}
		return v, nil
	}
}

// name decodes a name of which only what must be is escaped.
func (r *pdfReader) name(b []byte) (any, error) {
	var s []byte
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '#' {
			if i+2 >= len(b) {
				return nil, errPDFForm
			}
			v, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8)
			if err != nil || v > ' ' && v < 0x7f && v != '#' && pdfRegular(byte(v)) {
				return nil, errPDFForm // a letter in disguise
			}
			c = byte(v)
			i += 2
		} else if c <= ' ' || c >= 0x7f {
			return nil, errPDFForm
		}
		s = append(s, c)
	}
	return pdfName(s), nil
}
