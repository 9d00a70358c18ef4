package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/charset"
	"sekisho/sanitize"
)

// errBinHex marks BinHex that is not one whole file: programs that read it
// check its sums or do not, skip what is foreign or stop at it.
var errBinHex = errors.New("not a whole BinHex file")

// binHexMark opens a BinHex 4.0 file. RFC 1741, appendix A: nothing before it
// belongs to the file, and the line itself must be there.
const binHexMark = "(This file must be converted with BinHex"

// binHex is a file of a Macintosh as BinHex 4.0 carries it. Only the data fork
// is a file to anybody else; the resource fork holds what a Macintosh ran.
type binHex struct {
	name     string // as it stands there, in the charset of that Macintosh
	resource int64  // octets of the resource fork, which goes nowhere
	data     []byte
}

// readBinHex decodes r, which begins at the mark or before it. Every octet that
// is expanded goes through meter, and no length in the file is trusted before
// the octets are there: a run of 255 stands in four characters.
func readBinHex(r io.Reader, meter func(io.Reader) io.Reader) (binHex, error) {
	x := &binHexReader{br: bufio.NewReaderSize(r, 8<<10)}
	if err := x.open(); err != nil {
		return binHex{}, err
	}
	in := bufio.NewReaderSize(meter(x), 8<<10)
	var f binHex
	// RFC 1741, appendix A: name, a zero, type, creator, flags, two lengths.
	n, err := in.ReadByte()
	if err != nil {
		return binHex{}, notBinHex(err)
	}
	if n == 0 || n > 63 {
		return binHex{}, errBinHex
	}
	head := make([]byte, 1+int(n)+1+4+4+2+4+4)
	head[0] = n
	if _, err := io.ReadFull(in, head[1:]); err != nil {
		return binHex{}, notBinHex(err)
	}
	if head[1+n] != 0 {
		return binHex{}, errBinHex
	}
	f.name = string(head[1 : 1+n])
	size, resource := bigEndian(head[len(head)-8:len(head)-4]), bigEndian(head[len(head)-4:])
	if err := checked(in, crc16(0, head)); err != nil {
		return binHex{}, err
	}
	var data bytes.Buffer
	if m, err := io.CopyN(&data, in, size); err != nil || m < size {
		return binHex{}, notBinHex(err)
	}
	f.data = data.Bytes()
	if err := checked(in, crc16(0, f.data)); err != nil {
		return binHex{}, err
	}
	sum := &crcWriter{}
	if f.resource, err = io.CopyN(sum, in, resource); err != nil {
		return binHex{}, notBinHex(err)
	}
	if err := checked(in, sum.sum); err != nil {
		return binHex{}, err
	}
	// Behind the last sum stands nothing but filling to a whole character.
	for filling := 0; ; filling++ {
		switch c, err := in.ReadByte(); {
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return binHex{}, notBinHex(err)
		case c != 0 || filling > 2:
			return binHex{}, errBinHex
		}
	}
}

func bigEndian(b []byte) (n int64) {
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}

// checked reads a sum and compares it.
func checked(in *bufio.Reader, want uint16) error {
	var b [2]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return notBinHex(err)
	}
	if bigEndian(b[:]) != int64(want) {
		return errBinHex
	}
	return nil
}

// notBinHex takes an end before its time for what it is, and leaves a spent
// budget what that is.
func notBinHex(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errBinHex
	}
	return err
}

// crc16 is the sum of BinHex: CRC-CCITT, most significant bit first, from zero.
func crc16(sum uint16, b []byte) uint16 {
	for _, c := range b {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

type crcWriter struct{ sum uint16 }

func (w *crcWriter) Write(p []byte) (int, error) {
	w.sum = crc16(w.sum, p)
	return len(p), nil
}

// binHexReader gives the octets between the two colons, runs expanded.
type binHexReader struct {
	br   *bufio.Reader
	acc  uint32
	bits uint
	last byte // the octet that a run repeats
	any  bool // there is one
	run  int  // how often still
	done bool
}

// open reads up to the first colon.
func (x *binHexReader) open() error {
	marked := false
	for lines := 0; ; {
		b, err := x.br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) || err != nil && !errors.Is(err, io.EOF) {
			return notBinHex(err)
		}
		switch t := bytes.TrimSpace(b); {
		case len(t) == 0:
			// Empty lines stand before the mark and behind it.
			if lines++; lines > 1000 {
				return errBinHex
			}
		case !marked && bytes.HasPrefix(t, []byte(binHexMark)):
			marked = true
		default:
			return errBinHex
		}
		if err != nil {
			return errBinHex
		}
		if marked {
			if c, err := x.br.Peek(1); err == nil && c[0] == ':' {
				_, err := x.br.Discard(1)
				return err
			}
		}
	}
}

// six gives the value of the next character.
func (x *binHexReader) six() (byte, error) {
	for {
		c, err := x.br.ReadByte()
		if err != nil {
			return 0, notBinHex(err)
		}
		switch v := binHexValue[c]; v {
		case b64Space:
		case b64Other:
			return 0, errBinHex
		case b64Pad: // the colon
			x.done = true
			// What follows on the line, and further on, is nothing of the file.
			for {
				c, err := x.br.ReadByte()
				if err != nil {
					return 0, err
				}
				if binHexValue[c] != b64Space {
					return 0, errBinHex
				}
			}
		default:
			return v, nil
		}
	}
}

func (x *binHexReader) octet() (byte, error) {
	for x.bits < 8 {
		if x.done {
			return 0, io.EOF
		}
		v, err := x.six()
		if err != nil {
			return 0, err
		}
		x.acc, x.bits = x.acc<<6|uint32(v), x.bits+6
	}
	x.bits -= 8
	return byte(x.acc >> x.bits), nil
}

func (x *binHexReader) Read(p []byte) (int, error) {
	for n := range p {
		if x.run > 0 {
			x.run--
			p[n] = x.last
			continue
		}
		c, err := x.octet()
		if err != nil {
			return n, err
		}
		if c == 0x90 {
			count, err := x.octet()
			if err != nil {
				return n, notBinHex(err)
			}
			switch {
			case count == 0: // the octet itself
			case !x.any || count == 1:
				return n, errBinHex
			default:
				x.run = int(count) - 2 // one was given, one is given now
				c = x.last
			}
		}
		x.last, x.any = c, true
		p[n] = c
	}
	return len(p), nil
}

var binHexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = b64Other
	}
	for i, c := range []byte("!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr") {
		t[c] = byte(i)
	}
	for _, c := range []byte(" \t\r\n") {
		t[c] = b64Space
	}
	t[':'] = b64Pad
	return t
}()

// unBinHex treats the file that a part of BinHex holds in the part's place. It
// reports whether o was one; what is none is a file of whatever kind it is.
func (w *work) unBinHex(n *node, o sanitize.Object) (bool, error) {
	mark := make([]byte, len(binHexMark))
	if _, err := o.ReadAt(mark, 0); n.media != "application/mac-binhex40" && (err != nil || string(mark) != binHexMark) {
		return false, nil
	}
	f, err := readBinHex(o.Reader(), w.s.Meter)
	if errors.Is(err, errBinHex) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read part %s: %w", o.Path, err)
	}
	return true, w.object(w.fork(o, f))
}

// fork is the file that travels as o, under its own name and those of o.
func (w *work) fork(o sanitize.Object, f binHex) sanitize.Object {
	if f.resource > 0 {
		w.dropped = append(w.dropped, sanitize.Finding{Rule: "mime.resource-fork", Where: o.Path, Action: sanitize.Rewritten, Detail: fmt.Sprintf("%d octets", f.resource)})
	}
	in := sanitize.Object{ReaderAt: bytes.NewReader(f.data), Size: int64(len(f.data)), Path: o.Path, InText: o.InText}
	in.Names = append(in.Names, charset.DecodeString("", f.name).Text)
	for _, name := range o.Names {
		if n := len(name) - len(".hqx"); n > 0 && hasFold([]byte(name[n:]), ".hqx") {
			name = name[:n]
		}
		in.Names = append(in.Names, name)
	}
	in.Name = in.Names[0]
	return in
}

// forkReader gives the data fork of BinHex that is a transfer encoding.
type forkReader struct {
	src   io.Reader
	meter func(io.Reader) io.Reader
	data  io.Reader
}

func (d *forkReader) Read(p []byte) (int, error) {
	if d.data == nil {
		f, err := readBinHex(d.src, d.meter)
		if err != nil {
			return 0, err
		}
		d.data = bytes.NewReader(f.data)
	}
	return d.data.Read(p)
}
