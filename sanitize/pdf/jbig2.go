package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"sekisho/internal/fax"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// JBIG2 (ITU-T T.88), all that programs write: generic regions, arithmetic or
// MMR, halftones, symbols and text in either coding, tables of the document's
// own, refinement. Refinement within Huffman codes, which no two programs read
// alike, halftones in MMR, templates of twelve adaptive pixels and colours are
// not read; a document with them is refused.

var (
	errJBIG2     = errors.New("no JBIG2 picture")
	errJBIG2Part = errors.New("JBIG2 of a kind that is not read")
)

// bitmap has an octet a pixel, 1 for black.
type bitmap struct {
	w, h, stride int
	pix          []byte
}

func newBitmap(w, h int) *bitmap {
	return &bitmap{w: w, h: h, stride: w, pix: make([]byte, w*h)}
}

func (b *bitmap) at(x, y int) byte {
	if x < 0 || y < 0 || x >= b.w || y >= b.h {
		return 0
	}
	return b.pix[y*b.stride+x]
}

// shown is what of src lies on b when its corner is at x0, y0.
func (b *bitmap) shown(src *bitmap, x0, y0 int) image.Rectangle {
	r := image.Rectangle{Min: image.Pt(max(0, -x0), max(0, -y0)), Max: image.Pt(min(src.w, b.w-x0), min(src.h, b.h-y0))}
	if r.Empty() {
		return image.Rectangle{}
	}
	return r
}

// combine lays src over b (T.88, 6.4.2).
func (b *bitmap) combine(src *bitmap, x0, y0, op int) {
	part := b.shown(src, x0, y0)
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			d := &b.pix[(y0+y)*b.stride+x0+x]
			s := src.pix[y*src.stride+x]
			switch op {
			case 0:
				*d |= s
			case 1:
				*d &= s
			case 2:
				*d ^= s
			case 3:
				*d = 1 ^ *d ^ s
			default:
				*d = s
			}
		}
	}
}

// segment is one of a JBIG2 stream (7.2).
type segment struct {
	number uint32
	kind   uint8
	refers []uint32
	data   []byte
}

func segments(b []byte) ([]segment, error) {
	var all []segment
	for len(b) > 0 {
		if len(b) < 11 {
			return all, nil // padding
		}
		s := segment{number: binary.BigEndian.Uint32(b), kind: b[4] & 63}
		wide := b[4]&0x40 != 0
		count := int(b[5] >> 5)
		at := 6
		if count == 7 {
			count = int(binary.BigEndian.Uint32(b[5:]) & 0x1fffffff)
			at = 9 + (count+8)/8
		}
		size := 4
		if s.number <= 256 {
			size = 1
		} else if s.number <= 65536 {
			size = 2
		}
		end := at + count*size + 1
		if wide {
			end += 3
		}
		if count > 1000 || end+4 > len(b) {
			return nil, errJBIG2
		}
		for range count {
			v := uint32(0)
			for range size {
				v = v<<8 | uint32(b[at])
				at++
			}
			s.refers = append(s.refers, v)
		}
		n := int64(binary.BigEndian.Uint32(b[end:]))
		b = b[end+4:]
		if n == 0xffffffff && s.kind == 38 {
			n = unknownLength(b)
		}
		if n > int64(len(b)) {
			return nil, errJBIG2
		}
		s.data, b = b[:n], b[n:]
		if all = append(all, s); len(all) > 10000 {
			return nil, errJBIG2
		}
	}
	return all, nil
}

// unknownLength is that of a generic region which does not say it: it ends with
// a mark of its coding and the number of its rows (7.2.7).
func unknownLength(b []byte) int64 {
	const head = 18
	mark := []byte{0xff, 0xac}
	if len(b) > head && b[head-1]&1 != 0 {
		mark = []byte{0, 0}
	}
	i := -1
	if len(b) > head {
		i = bytes.Index(b[head:], mark)
	}
	if i < 0 || len(b)-head-i-2 < 4 {
		return 1 << 40
	}
	return int64(head + i + 2 + 4)
}

type jbig2 struct {
	c      *cleaner
	page   *bitmap
	dicts  map[uint32]patterns
	words  map[uint32]lexicon
	tables map[uint32]*codeTable
	parts  map[uint32]*bitmap // regions that later ones refine
	w, h   int
	left   int64 // pixels that may still be decoded
}

// decode reads all segments into one page of w by h.
func (j *jbig2) decode(b []byte) error {
	all, err := segments(b)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := j.segment(s); err != nil {
			return fmt.Errorf("segment %d of kind %d: %w", s.number, s.kind, err)
		}
	}
	return nil
}

func (j *jbig2) area(w, h int) error {
	if w <= 0 || h <= 0 || w > 1<<16 || h > 1<<16 {
		return errJBIG2
	}
	if j.left -= int64(w) * int64(h); j.left < 0 {
		return fmt.Errorf("a JBIG2 picture that is decoded over and over: %w", sanitize.ErrLimit)
	}
	return nil
}

func signedOffsets(b []byte, n int) ([]offset, []byte, error) {
	if len(b) < 2*n {
		return nil, nil, errJBIG2
	}
	var os []offset
	for i := range n {
		o := offset{int(int8(b[2*i])), int(int8(b[2*i+1]))}
		if o.y > 0 || o.y == 0 && o.x >= 0 {
			return nil, nil, errJBIG2 // a pixel that is not decoded yet
		}
		os = append(os, o)
	}
	return os, b[2*n:], nil
}

func (j *jbig2) segment(s segment) error {
	b := s.data
	switch s.kind {
	case 48: // page information
		if len(b) < 19 {
			return errJBIG2
		}
		if j.page == nil {
			if err := j.area(j.w, j.h); err != nil {
				return err
			}
			j.page = newBitmap(j.w, j.h)
			if b[16]&4 != 0 {
				for i := range j.page.pix {
					j.page.pix[i] = 1
				}
			}
		}
		return nil
	case 49, 50, 51, 52, 62:
		return nil
	case 0:
		return j.symbols(s)
	case 16:
		return j.dictionary(s)
	case 53:
		return j.table(s)
	case 4, 6, 7, 20, 22, 23, 36, 38, 39, 40, 42, 43:
		if len(b) < 18 || j.page == nil {
			return errJBIG2
		}
		w, h := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
		x, y := int(int32(binary.BigEndian.Uint32(b[8:]))), int(int32(binary.BigEndian.Uint32(b[12:])))
		op := int(b[16] & 7)
		if err := j.area(w, h); err != nil {
			return err
		}
		var region *bitmap
		var err error
		switch s.kind {
		case 4, 6, 7:
			region, err = j.text(s, b[17:], w, h)
		case 20, 22, 23:
			region, err = j.halftone(s, b[17:], w, h)
		case 40, 42, 43:
			region, err = j.refinement(s, b[17:], w, h, x, y)
		default:
			region, err = j.genericRegion(b[17:], w, h)
		}
		if err != nil {
			return err
		}
		switch s.kind {
		case 4, 20, 36, 40:
			j.parts[s.number] = region
		default:
			j.page.combine(region, x, y, op)
		}
		return nil
	default:
		return errJBIG2Part
	}
}

func (j *jbig2) genericRegion(b []byte, w, h int) (*bitmap, error) {
	flags := b[0]
	template := int(flags >> 1 & 3)
	b = b[1:]
	if flags&1 != 0 {
		rows, n := fax.Coding{K: -1, Columns: w, Rows: h}.Decode(j.faxes(), b)
		out := newBitmap(w, h)
		stride := (w + 7) / 8
		for y := range n {
			for x := range w {
				out.pix[y*w+x] = rows[y*stride+x>>3] >> (7 - x&7) & 1
			}
		}
		return out, nil
	}
	if flags&16 != 0 {
		return nil, errJBIG2Part // twelve adaptive pixels
	}
	n := 1
	if template == 0 {
		n = 4
	}
	adaptive, b, err := signedOffsets(b, n)
	if err != nil {
		return nil, err
	}
	return newArithmetic(b).generic(w, h, template, flags&8 != 0, adaptive, make([]uint8, 1<<16), nil), nil
}

func (j *jbig2) faxes() *fax.Tables {
	if j.c.fax == nil {
		j.c.fax = fax.NewTables()
	}
	return j.c.fax
}

// refinement decodes a region that is like an earlier one or, where it names
// none, like what the page shows there (7.4.7).
func (j *jbig2) refinement(s segment, b []byte, w, h, x, y int) (*bitmap, error) {
	flags := int(b[0])
	b = b[1:]
	var adaptive []offset
	var err error
	if flags&1 == 0 {
		if adaptive, b, err = refiningOffsets(b); err != nil {
			return nil, err
		}
	}
	like, dx, dy := j.page, -x, -y
	for _, r := range s.refers {
		if m := j.parts[r]; m != nil {
			like, dx, dy = m, 0, 0
		}
	}
	return newArithmetic(b).refine(w, h, flags&1, flags&2 != 0, adaptive, make([]uint8, 1<<13), like, dx, dy), nil
}

// jbig2 decodes a picture and writes it in Group 4.
func (c *cleaner) jbig2(data []byte, parms pdf.Dict, w, h int) (coded, bool) {
	j := &jbig2{c: c, dicts: map[uint32]patterns{}, words: map[uint32]lexicon{}, tables: map[uint32]*codeTable{}, parts: map[uint32]*bitmap{}, w: w, h: h, left: 4*int64(w)*int64(h) + 16<<20}
	var err error
	if g, ok := c.f.Resolve(parms["JBIG2Globals"]).(*pdf.Stream); ok {
		b, ok := c.bytes(g)
		if !ok {
			return coded{}, false
		}
		err = j.decode(b)
	}
	if err == nil {
		err = j.decode(data)
	}
	if err == nil && j.page == nil {
		err = errJBIG2
	}
	switch {
	case errors.Is(err, errJBIG2Part):
		c.fail(fmt.Errorf("%w: %w", err, sanitize.ErrUnsupported))
		return coded{}, false
	case errors.Is(err, sanitize.ErrLimit):
		c.fail(err)
		return coded{}, false
	case err != nil:
		return coded{}, false
	}
	stride := (w + 7) / 8
	rows := make([]byte, stride*h)
	for y := range h {
		for x := range w {
			if j.page.pix[y*w+x] != 0 {
				rows[y*stride+x>>3] |= 0x80 >> (x & 7)
			}
		}
	}
	c.look(rows, nil, nil, 1, 1, w, h)
	if c.fax == nil {
		c.fax = fax.NewTables()
	}
	p := pdf.Dict{"K": int64(-1), "Columns": int64(w), "Rows": int64(h)}
	return coded{data: fax.Group4(c.fax, rows, w, h), filter: "CCITTFaxDecode", parms: p, bits: 1}, true
}
