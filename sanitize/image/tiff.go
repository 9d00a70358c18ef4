package image

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"

	"golang.org/x/image/tiff"

	"sekisho/sanitize"
)

// Tags of TIFF 6.0, section 8, that are read or written.
const (
	tagWidth           = 256
	tagLength          = 257
	tagBitsPerSample   = 258
	tagCompression     = 259
	tagPhotometric     = 262
	tagStripOffsets    = 273
	tagOrientation     = 274
	tagSamplesPerPixel = 277
	tagRowsPerStrip    = 278
	tagStripByteCounts = 279
	tagXResolution     = 282
	tagYResolution     = 283
	tagPlanar          = 284
	tagResolutionUnit  = 296
	tagExtraSamples    = 338
)

// maxTIFFPages is the number of pages of any document that is treated.
const maxTIFFPages = 500

// sheet is a page of a TIFF: where its directory lies, and what is kept of it
// beside its pixels. A fax has fewer lines an inch than columns; without its
// resolution it would be shown squeezed.
type sheet struct {
	at               uint32
	orientation      uint16
	xRes, yRes, unit [2]uint32
}

// pages writes a TIFF anew with all its pages.
func pages(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	order, sheets, err := walkTIFF(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	w := &tiffWriter{w: out}
	w.put([]byte("II*\x00\x08\x00\x00\x00"))
	for i, sh := range sheets {
		if err := ctx.Err(); err != nil {
			return sanitize.Result{}, err
		}
		// The library reads the first page: it gets a header that points to ours.
		head := []byte("II*\x00")
		if order == binary.ByteOrder(binary.BigEndian) {
			head = []byte("MM\x00*")
		}
		head = append(head, make([]byte, 4)...)
		order.PutUint32(head[4:], sh.at)
		from := func() io.Reader { return io.NewSectionReader(&overlaid{in, head}, 0, in.Size) }
		c, err := tiff.DecodeConfig(from())
		if unsupported(err) {
			return sanitize.Result{}, fmt.Errorf("read the size of page %d: %w: %w", i+1, err, sanitize.ErrUnsupported)
		}
		if err != nil {
			return sanitize.Result{}, malformed("read the size of a page", err)
		}
		if err := s.SpendPixels(c.Width, c.Height); err != nil {
			return sanitize.Result{}, err
		}
		if err := affordable(int64(c.Width)*int64(c.Height), 12); err != nil { // decoded, and packed again
			return sanitize.Result{}, err
		}
		m, err := tiff.Decode(from())
		if unsupported(err) {
			return sanitize.Result{}, fmt.Errorf("decode page %d: %w: %w", i+1, err, sanitize.ErrUnsupported)
		}
		if err != nil {
			return sanitize.Result{}, malformed("decode tiff", err)
		}
		s.Look(m)
		if err := w.page(m, sh, i == len(sheets)-1); err != nil {
			return sanitize.Result{}, fmt.Errorf("encode TIFF: %w", err)
		}
	}
	return clean(sanitize.KindTIFF), nil
}

// overlaid is a file with another beginning.
type overlaid struct {
	r    io.ReaderAt
	head []byte
}

func (o *overlaid) ReadAt(b []byte, off int64) (int, error) {
	n, err := o.r.ReadAt(b, off)
	if off < int64(len(o.head)) {
		copy(b[:n], o.head[off:])
	}
	return n, err
}

// walkTIFF follows the chain of directories.
func walkTIFF(in sanitize.Object) (binary.ByteOrder, []sheet, error) {
	bad := func(what string) (binary.ByteOrder, []sheet, error) {
		return nil, nil, malformed("read tiff", fmt.Errorf("%s", what))
	}
	h := make([]byte, 8)
	if _, err := in.ReadAt(h, 0); err != nil {
		return bad("no header")
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(h, []byte("MM\x00*")):
		order = binary.BigEndian
	case bytes.HasPrefix(h, []byte("II*\x00")):
	default:
		return nil, nil, fmt.Errorf("BigTIFF: %w", sanitize.ErrUnsupported)
	}
	read := func(at int64, n int) []byte {
		b := make([]byte, n)
		if at < 8 || at+int64(n) > in.Size {
			return nil
		}
		if _, err := in.ReadAt(b, at); err != nil {
			return nil
		}
		return b
	}
	var sheets []sheet
	seen := map[uint32]bool{}
	for at := order.Uint32(h[4:]); at != 0; {
		if seen[at] {
			break // in a circle: all there is was seen
		}
		seen[at] = true
		if len(sheets) == maxTIFFPages {
			return nil, nil, fmt.Errorf("more than %d pages: %w", maxTIFFPages, sanitize.ErrLimit)
		}
		n := read(int64(at), 2)
		if n == nil {
			return bad("directory outside of the file")
		}
		entries := int(order.Uint16(n))
		dir := read(int64(at)+2, 12*entries+4)
		if dir == nil {
			return bad("directory cut short")
		}
		sh := sheet{at: at, orientation: 1, unit: [2]uint32{2, 0}}
		for i := range entries {
			e := dir[12*i:]
			typ, count := order.Uint16(e[2:]), order.Uint32(e[4:])
			if count != 1 {
				continue
			}
			switch tag := order.Uint16(e); {
			case tag == tagOrientation && typ == 3:
				if v := order.Uint16(e[8:]); v >= 1 && v <= 8 {
					sh.orientation = v
				}
			case tag == tagResolutionUnit && typ == 3:
				if v := order.Uint16(e[8:]); v >= 1 && v <= 3 {
					sh.unit[0] = uint32(v)
				}
			case (tag == tagXResolution || tag == tagYResolution) && typ == 5:
				if r := read(int64(order.Uint32(e[8:])), 8); r != nil {
					v := [2]uint32{order.Uint32(r), order.Uint32(r[4:])}
					if tag == tagXResolution {
						sh.xRes = v
					} else {
						sh.yRes = v
					}
				}
			}
		}
		sheets = append(sheets, sh)
		at = order.Uint32(dir[12*entries:])
	}
	if len(sheets) == 0 {
		return bad("no page")
	}
	return order, sheets, nil
}

// tiffWriter writes pages one behind the other, each as directory, values,
// pixels.
type tiffWriter struct {
	w   io.Writer
	at  int64
	err error
}

func (t *tiffWriter) put(b []byte) {
	if t.err == nil {
		n, err := t.w.Write(b)
		t.at += int64(n)
		t.err = err
	}
}

func (t *tiffWriter) page(m image.Image, sh sheet, last bool) error {
	bits, samples, photometric, packed, err := packTIFF(m)
	if err != nil {
		return err
	}
	b := m.Bounds()
	type entry struct {
		tag, typ uint16
		values   []uint32
	}
	entries := []entry{
		{tagWidth, 4, []uint32{uint32(b.Dx())}}, {tagLength, 4, []uint32{uint32(b.Dy())}}, {tagBitsPerSample, 3, bits}, {tagCompression, 3, []uint32{8}},
		{tagPhotometric, 3, []uint32{photometric}}, {tagStripOffsets, 4, []uint32{0}}, {tagOrientation, 3, []uint32{uint32(sh.orientation)}},
		{tagSamplesPerPixel, 3, []uint32{samples}}, {tagRowsPerStrip, 4, []uint32{uint32(b.Dy())}}, {tagStripByteCounts, 4, []uint32{uint32(len(packed))}},
	}
	if sh.xRes[0] != 0 && sh.xRes[1] != 0 && sh.yRes[0] != 0 && sh.yRes[1] != 0 {
		entries = append(entries, entry{tagXResolution, 5, sh.xRes[:]}, entry{tagYResolution, 5, sh.yRes[:]})
	}
	entries = append(entries, entry{tagPlanar, 3, []uint32{1}}, entry{tagResolutionUnit, 3, sh.unit[:1]})
	if samples == 4 {
		entries = append(entries, entry{tagExtraSamples, 3, []uint32{2}}) // transparency, not multiplied in
	}
	le := binary.LittleEndian
	beyond := t.at + 2 + 12*int64(len(entries)) + 4
	var dir, values []byte
	dir = le.AppendUint16(dir, uint16(len(entries)))
	strip := 0
	for _, e := range entries {
		dir = le.AppendUint16(le.AppendUint16(dir, e.tag), e.typ)
		count := uint32(len(e.values))
		if e.typ == 5 {
			count /= 2
		}
		dir = le.AppendUint32(dir, count)
		if e.tag == tagStripOffsets {
			strip = len(dir)
		}
		switch {
		case e.typ == 3 && len(e.values) <= 2:
			var v [4]byte
			for i, x := range e.values {
				le.PutUint16(v[2*i:], uint16(x))
			}
			dir = append(dir, v[:]...)
		case e.typ == 3:
			dir = le.AppendUint32(dir, uint32(beyond)+uint32(len(values)))
			for _, x := range e.values {
				values = le.AppendUint16(values, uint16(x))
			}
		case e.typ == 4:
			dir = le.AppendUint32(dir, e.values[0])
		default:
			dir = le.AppendUint32(dir, uint32(beyond)+uint32(len(values)))
			values = le.AppendUint32(le.AppendUint32(values, e.values[0]), e.values[1])
		}
	}
	pixels := beyond + int64(len(values))
	next := pixels + int64(len(packed)) + int64(len(packed)&1) // directories begin at even places
	if next > 1<<32-1 {
		return fmt.Errorf("TIFF of more than 4 GiB: %w", sanitize.ErrLimit)
	}
	le.PutUint32(dir[strip:], uint32(pixels))
	if last {
		next = 0
	}
	dir = le.AppendUint32(dir, uint32(next))
	t.put(dir)
	t.put(values)
	t.put(packed)
	if len(packed)&1 == 1 {
		t.put([]byte{0})
	}
	return t.err
}

// packTIFF packs the pixels of a page without loss: black and white with one
// bit, grey, colour, colour with transparency with eight each.
func packTIFF(m image.Image) (bits []uint32, samples, photometric uint32, packed []byte, err error) {
	b := m.Bounds()
	var buf bytes.Buffer
	z, err := zlib.NewWriterLevel(&buf, zlib.BestSpeed)
	if err != nil {
		return nil, 0, 0, nil, err
	}
	row := func(line []byte) {
		if err == nil {
			_, err = z.Write(line)
		}
	}
	grey, isGrey := m.(*image.Gray)
	switch {
	case isGrey && bilevel(grey):
		bits, samples, photometric = []uint32{1}, 1, 1
		line := make([]byte, (b.Dx()+7)/8)
		for y := range b.Dy() {
			clear(line)
			for x, p := range grey.Pix[y*grey.Stride:][:b.Dx()] {
				line[x/8] |= p & 0x80 >> (x % 8)
			}
			row(line)
		}
	case isGrey:
		bits, samples, photometric = []uint32{8}, 1, 1
		for y := range b.Dy() {
			row(grey.Pix[y*grey.Stride:][:b.Dx()])
		}
	default:
		n := 3
		if !opaque(m) {
			n = 4
		}
		bits, samples, photometric = []uint32{8, 8, 8, 8}[:n], uint32(n), 2
		line := make([]byte, 0, n*b.Dx())
		for y := b.Min.Y; y < b.Max.Y; y++ {
			line = line[:0]
			for x := b.Min.X; x < b.Max.X; x++ {
				c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
				line = append(line, c.R, c.G, c.B)
				if n == 4 {
					line = append(line, c.A)
				}
			}
			row(line)
		}
	}
	if e := z.Close(); err == nil {
		err = e
	}
	return bits, samples, photometric, buf.Bytes(), err
}

func bilevel(m *image.Gray) bool {
	for y := range m.Rect.Dy() {
		for _, p := range m.Pix[y*m.Stride:][:m.Rect.Dx()] {
			if p != 0 && p != 255 {
				return false
			}
		}
	}
	return true
}

func opaque(m image.Image) bool {
	o, ok := m.(interface{ Opaque() bool })
	return ok && o.Opaque()
}
