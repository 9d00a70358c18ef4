package pdf

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// writer writes a PDF file (ISO 32000-1, 7.5) from nothing: objects are
// numbered as they are asked for, those without octets of their own stand in
// object streams, a cross-reference stream ends the file. The same objects in
// the same order make the same file, octet for octet.
type writer struct {
	out     io.Writer
	sum     hash.Hash
	at      int64
	left    int64 // how much may still be written
	places  []place
	pending []member // of the object stream being gathered
	packed  bytes.Buffer
	zip     *zlib.Writer
	buf     bytes.Buffer
	err     error
}

// place says where an object went.
type place struct {
	kind uint8 // 1 at an offset, 2 in an object stream
	at   uint32
	in   uint16
}

type member struct{ num, at int }

const (
	// head opens a file: the version whose features are written, and four
	// octets that tell transfer programs that it is binary (7.5.2).
	head = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
	// packMembers and packBytes bound an object stream: a reader unpacks a
	// whole one for each object of it.
	packMembers = 100
	packBytes   = 32 << 10
	// level of deflate: level 1 is fast and level 6 seven times slower; what is
	// gained behind level 2 is small.
	level = 2
)

func newWriter(out io.Writer, most int64) *writer {
	w := &writer{out: out, sum: sha256.New(), left: most, places: make([]place, 1)}
	w.write([]byte(head))
	return w
}

func (w *writer) write(b []byte) {
	if w.err != nil {
		return
	}
	if w.left -= int64(len(b)); w.left < 0 || w.at+int64(len(b)) > math.MaxUint32 {
		w.err = fmt.Errorf("output: %w", sanitize.ErrLimit)
		return
	}
	w.sum.Write(b)
	n, err := w.out.Write(b)
	w.at += int64(n)
	w.err = err
}

// number gives the next object its number.
func (w *writer) number() pdf.Ref {
	w.places = append(w.places, place{})
	return pdf.Ref{Num: len(w.places) - 1}
}

// object writes an object that is no stream.
func (w *writer) object(r pdf.Ref, o pdf.Object) {
	w.pending = append(w.pending, member{r.Num, w.packed.Len()})
	w.buf.Reset()
	format(&w.buf, o)
	w.packed.Write(w.buf.Bytes())
	w.packed.WriteByte('\n')
	if len(w.pending) == packMembers || w.packed.Len() > packBytes {
		w.pack()
	}
}

// pack writes the object stream gathered so far.
func (w *writer) pack() {
	if len(w.pending) == 0 {
		return
	}
	r := w.number()
	var b bytes.Buffer
	for i, m := range w.pending {
		fmt.Fprintf(&b, "%d %d ", m.num, m.at)
		w.places[m.num] = place{kind: 2, at: uint32(r.Num), in: uint16(i)}
	}
	first := b.Len()
	b.Write(w.packed.Bytes())
	d := pdf.Dict{"Type": pdf.Name("ObjStm"), "N": int64(len(w.pending)), "First": int64(first)}
	w.pending = w.pending[:0]
	w.packed.Reset()
	w.deflated(r, d, b.Bytes())
}

// deflated writes a stream whose octets are packed first.
func (w *writer) deflated(r pdf.Ref, d pdf.Dict, data []byte) {
	d["Filter"] = pdf.Name("FlateDecode")
	w.stream(r, d, w.deflate(data))
}

func (w *writer) deflate(data []byte) []byte {
	w.buf.Reset()
	if w.zip == nil {
		// The level is a constant that zlib knows.
		w.zip, _ = zlib.NewWriterLevel(&w.buf, level)
	} else {
		w.zip.Reset(&w.buf)
	}
	_, err := w.zip.Write(data)
	if err = firstOf(err, w.zip.Close()); err != nil && w.err == nil {
		w.err = err
	}
	return bytes.Clone(w.buf.Bytes())
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// stream writes a stream as it is.
func (w *writer) stream(r pdf.Ref, d pdf.Dict, data []byte) {
	d["Length"] = int64(len(data))
	w.places[r.Num] = place{kind: 1, at: uint32(w.at)}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d 0 obj\n", r.Num)
	format(&b, d)
	b.WriteString("\nstream\n")
	w.write(b.Bytes())
	w.write(data)
	w.write([]byte("\nendstream\nendobj\n"))
}

// finish writes what is gathered, the cross-reference stream and the end.
func (w *writer) finish(root, info pdf.Ref) error {
	w.pack()
	id := pdf.String(w.sum.Sum(nil)[:16])
	start := w.at
	r := w.number()
	w.places[r.Num] = place{kind: 1, at: uint32(start)}
	table := make([]byte, 0, 7*len(w.places))
	for i, p := range w.places {
		if i == 0 {
			p.in = 65535 // 7.5.4: object 0 heads the list of free ones
		}
		table = append(table, p.kind)
		table = binary.BigEndian.AppendUint32(table, p.at)
		table = binary.BigEndian.AppendUint16(table, p.in)
	}
	d := pdf.Dict{
		"Type": pdf.Name("XRef"), "Size": int64(len(w.places)), "W": pdf.Array{int64(1), int64(4), int64(2)},
		"Root": root, "ID": pdf.Array{id, id},
	}
	if info.Num != 0 {
		d["Info"] = info
	}
	w.deflated(r, d, table)
	w.write(fmt.Appendf(nil, "startxref\n%d\n%%%%EOF\n", start))
	return w.err
}

// format writes an object, the keys of dictionaries in order.
func format(b *bytes.Buffer, o pdf.Object) {
	switch o := o.(type) {
	case bool:
		b.WriteString(strconv.FormatBool(o))
	case int64:
		b.Write(strconv.AppendInt(b.AvailableBuffer(), o, 10))
	case pdf.Real:
		b.Write(appendReal(b.AvailableBuffer(), float64(o)))
	case pdf.Name:
		formatName(b, o)
	case pdf.String:
		formatString(b, []byte(o))
	case pdf.Ref:
		fmt.Fprintf(b, "%d 0 R", o.Num)
	case pdf.Array:
		b.WriteByte('[')
		for i, v := range o {
			if i > 0 {
				b.WriteByte(' ')
			}
			format(b, v)
		}
		b.WriteByte(']')
	case pdf.Dict:
		keys := make([]pdf.Name, 0, len(o))
		for k := range o {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b.WriteString("<<")
		for _, k := range keys {
			if o[k] == nil {
				continue
			}
			formatName(b, k)
			b.WriteByte(' ')
			format(b, o[k])
		}
		b.WriteString(">>")
	default:
		b.WriteString("null")
	}
}

// appendReal writes a number with a fraction: ten places below one, six above,
// which is more than any reader keeps (annex C) and few enough to be read again
// as the same number.
func appendReal(b []byte, v float64) []byte {
	const most = 1e15
	v = min(max(v, -most), most)
	if math.IsNaN(v) {
		v = 0
	}
	places := 10
	switch a := math.Abs(v); {
	case a >= 1e9:
		places = 0
	case a >= 1:
		places = 6
	}
	from := len(b)
	b = strconv.AppendFloat(b, v, 'f', places, 64)
	if places > 0 {
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
		if b[len(b)-1] == '.' {
			b = b[:len(b)-1]
		}
	}
	if string(b[from:]) == "-0" {
		b = append(b[:from], '0')
	}
	return b
}

const digits = "0123456789abcdef"

func formatName(b *bytes.Buffer, n pdf.Name) {
	b.WriteByte('/')
	for i := range len(n) {
		if c := n[i]; c > ' ' && c < 0x7f && c != '#' && pdf.IsRegular(c) {
			b.WriteByte(c)
		} else if c != 0 { // 7.3.5: a name has no octet 0
			b.Write([]byte{'#', digits[c>>4], digits[c&15]})
		}
	}
}

// formatString writes text in parentheses and anything else as digits, so that
// no octet of a string can look like a part of the file.
func formatString(b *bytes.Buffer, s []byte) {
	for _, c := range s {
		if c < ' ' || c >= 0x7f {
			b.WriteByte('<')
			for _, c := range s {
				b.Write([]byte{digits[c>>4], digits[c&15]})
			}
			b.WriteByte('>')
			return
		}
	}
	b.WriteByte('(')
	for _, c := range s {
		if c == '(' || c == ')' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteByte(')')
}
