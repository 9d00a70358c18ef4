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
		p, m, err := sheetPixels(s, in, order, sh, 12) // decoded, and packed again
		if err != nil {
			return sanitize.Result{}, fmt.Errorf("page %d: %w", i+1, err)
		}
		photo, err := p.photograph(m)
		if err != nil {
			return sanitize.Result{}, fmt.Errorf("page %d: %w", i+1, err)
		}
		s.Look(m)
		if err := w.page(m, photo, sh, i == len(sheets)-1); err != nil {
			return sanitize.Result{}, fmt.Errorf("encode TIFF: %w", err)
		}
	}
	return clean(sanitize.KindTIFF), nil
}

// sheetPixels decodes a page once it is charged.
func sheetPixels(s *sanitize.Session, in sanitize.Object, order binary.ByteOrder, sh sheet, perPixel float64) (*tiffPage, image.Image, error) {
	p, err := readTIFF(in, order, int64(sh.at))
	if err != nil {
		return nil, nil, err
	}
	if err := s.SpendPixels(p.width, p.height); err != nil {
		return nil, nil, err
	}
	if p.grey() {
		perPixel = 3
	}
	if err := affordable(int64(p.width)*int64(p.height), max(p.bytesPerPixel(), perPixel)); err != nil {
		return nil, nil, err
	}
	m, err := p.decode()
	if err == nil {
		converted(s, p.profile, m)
	}
	return p, m, err
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

// photograph is the JPEG that a page goes on as, if it came as one: without loss
// a scan would weigh five times as much. A page in one piece keeps its samples;
// others are encoded in the quality of most scanners or better.
func (p *tiffPage) photograph(m image.Image) ([]byte, error) {
	if p.compression != 7 || p.width > 65535 || p.height > 65535 {
		return nil, nil
	}
	var out bytes.Buffer
	if p.profile == nil && p.photometric != tiffRGB && p.photometric != tiffWhiteIsZero && p.pieceWidth >= p.width && p.pieceHeight >= p.height {
		if b, err := p.jpeg(0); err == nil {
			c, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))})
			if err == nil && c.width == p.width && c.height == p.height && c.keepsCoefficients() {
				if k, err := c.coefficients(); err == nil {
					e := encoder{out: &writer{w: &out}, luma: c.table(0), chroma: c.table(1)}
					err = e.rewrite(k)
					return out.Bytes(), err
				}
			}
		}
	}
	out.Reset()
	e := encoder{out: &writer{w: &out}, luma: quality90(&standardLuma), chroma: quality90(&standardChroma)}
	err := e.encode(planes(m))
	return out.Bytes(), err
}

// page writes m, or the photograph that it is, which stays one.
func (t *tiffWriter) page(m image.Image, photo []byte, sh sheet, last bool) error {
	compression, sampling := uint32(8), []uint32(nil)
	bits, samples, photometric, packed, err := []uint32{8}, uint32(1), uint32(tiffBlackIsZero), photo, error(nil)
	switch {
	case photo == nil:
		bits, samples, photometric, packed, err = packTIFF(m)
	default:
		compression = 7
		j, e := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(photo), Size: int64(len(photo))})
		if err = e; err == nil && j.components == 3 {
			bits, samples, photometric = []uint32{8, 8, 8}, 3, tiffYCbCr
			sampling = []uint32{uint32(j.sampling[0] >> 4), uint32(j.sampling[0] & 15)}
		}
	}
	if err != nil {
		return err
	}
	b := m.Bounds()
	type entry struct {
		tag, typ uint16
		values   []uint32
	}
	entries := []entry{
		{tagWidth, 4, []uint32{uint32(b.Dx())}}, {tagLength, 4, []uint32{uint32(b.Dy())}}, {tagBitsPerSample, 3, bits}, {tagCompression, 3, []uint32{compression}},
		{tagPhotometric, 3, []uint32{photometric}}, {tagStripOffsets, 4, []uint32{0}}, {tagOrientation, 3, []uint32{uint32(sh.orientation)}},
		{tagSamplesPerPixel, 3, []uint32{samples}}, {tagRowsPerStrip, 4, []uint32{uint32(b.Dy())}}, {tagStripByteCounts, 4, []uint32{uint32(len(packed))}},
	}
	if sh.xRes[0] != 0 && sh.xRes[1] != 0 && sh.yRes[0] != 0 && sh.yRes[1] != 0 {
		entries = append(entries, entry{tagXResolution, 5, sh.xRes[:]}, entry{tagYResolution, 5, sh.yRes[:]})
	}
	entries = append(entries, entry{tagPlanar, 3, []uint32{1}}, entry{tagResolutionUnit, 3, sh.unit[:1]})
	if photo == nil && bits[0] == 8 {
		entries = append(entries, entry{tagPredictor, 3, []uint32{2}})
	}
	if samples == 4 {
		entries = append(entries, entry{tagExtraSamples, 3, []uint32{2}}) // transparency, not multiplied in
	}
	if sampling != nil {
		entries = append(entries, entry{tagYCbCrSampling, 3, sampling})
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
	// Differences pack better: of a sample and the one before (TIFF 6.0, section
	// 14).
	differences := func(line []byte, each int) {
		for i := len(line) - 1; i >= each; i-- {
			line[i] -= line[i-each]
		}
		row(line)
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
			differences(bytes.Clone(grey.Pix[y*grey.Stride:][:b.Dx()]), 1)
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
			differences(line, n)
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
