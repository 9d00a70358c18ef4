package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sekisho/internal/encoded"
	"strconv"
)

// errEncoded marks a uuencoded or yEnc content that programs would decode to
// different things, or not at all.
var errEncoded = errors.New("not a whole uuencoded or yEnc file")

// lineDecoder decodes the transfer encodings that are made of lines with a
// first and a last one. RFC 2045, 6.3, allows such names only by agreement;
// mail programs agree on "x-uuencode" all the same.
type lineDecoder struct {
	br    *bufio.Reader
	yenc  bool
	out   []byte
	buf   []byte
	n     int64 // decoded
	state uint8 // before the first line, in the data, behind the last line
	err   error
}

func newLineDecoder(r io.Reader, yenc bool) *lineDecoder {
	return &lineDecoder{br: bufio.NewReaderSize(r, 8<<10), yenc: yenc}
}

func (d *lineDecoder) Read(p []byte) (int, error) {
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

func (d *lineDecoder) fill() {
	b, err := d.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		d.err = errEncoded // no line of these encodings is that long
		return
	}
	end := errors.Is(err, io.EOF)
	if err != nil && !end {
		d.err = err
		return
	}
	b = trimEnd(b)
	blank := len(bytes.TrimSpace(b)) == 0
	switch d.state {
	case 0:
		switch {
		case blank:
		case d.yenc && bytes.HasPrefix(b, []byte("=ybegin ")) && !bytes.Contains(b, []byte(" part=")), !d.yenc && bytes.HasPrefix(b, []byte("begin ")) && encoded.UUBegin(b):
			d.state = 1
		default:
			d.err = errEncoded
			return
		}
	case 1:
		d.buf = d.buf[:0]
		switch {
		case d.yenc && bytes.HasPrefix(b, []byte("=yend ")):
			// The size says whether the file is whole.
			if size, ok := yencSize(b); !ok || size != d.n {
				d.err = errEncoded
				return
			}
			d.state = 2
		case d.yenc:
			d.buf = yencLine(d.buf, b)
		case string(bytes.TrimSpace(b)) == "end":
			d.state = 2
		case blank && len(b) == 0:
			if end {
				d.err = errEncoded
				return
			}
		default:
			var ok bool
			if d.buf, ok = uuLine(d.buf, b); !ok {
				d.err = errEncoded
				return
			}
		}
		d.out = d.buf
		d.n += int64(len(d.out))
	default:
		if !blank {
			d.err = errEncoded // a second file, or text that some show
			return
		}
	}
	if end {
		d.err = io.EOF
		if d.state != 2 {
			d.err = errEncoded
		}
	}
}

func yencSize(b []byte) (int64, bool) {
	for _, f := range bytes.Fields(b) {
		if v, ok := bytes.CutPrefix(f, []byte("size=")); ok {
			n, err := strconv.ParseInt(string(v), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// encodedName is the file name that a transfer encoding carries.
func (w *work) encodedName(n *node) string {
	src := io.NewSectionReader(w.in, n.body.start, n.body.size())
	switch n.encoding {
	case uuTransfer, yencTransfer:
		return encodedName(src, n.encoding == yencTransfer)
	case binHexTransfer:
		f, err := readBinHex(src, w.s.Meter)
		if err != nil {
			return "" // the content is read too, and says so
		}
		return f.name
	default:
		return ""
	}
}

// encodedName is the file name in the first line of uuencode or yEnc.
func encodedName(r io.Reader, yenc bool) string {
	br := bufio.NewReaderSize(io.LimitReader(r, 8<<10), 8<<10)
	for {
		b, err := br.ReadSlice('\n')
		b = trimEnd(b)
		if yenc {
			if _, name, ok := bytes.Cut(b, []byte(" name=")); ok && bytes.HasPrefix(b, []byte("=ybegin ")) {
				return string(bytes.TrimSpace(name))
			}
		} else if f := bytes.SplitN(b, []byte(" "), 3); len(f) == 3 && string(f[0]) == "begin" {
			return string(bytes.TrimSpace(f[2]))
		}
		if err != nil || len(bytes.TrimSpace(b)) > 0 {
			return ""
		}
	}
}
