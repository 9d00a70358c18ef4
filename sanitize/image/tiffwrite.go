package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"

	"sekisho/internal/fax"
	"sekisho/sanitize"
)

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

// strip is a page as it is written, in one piece.
type strip struct {
	packed                            []byte
	compression, samples, photometric uint32
	bits, sampling, palette           []uint32
	differences                       bool
}

// entries are the tags of a page, in their order. Where the pixels lie is put in
// later.
func (p *strip) entries(b image.Rectangle, sh sheet) []tiffField {
	f := []tiffField{
		{tagWidth, 4, []uint32{uint32(b.Dx())}}, {tagLength, 4, []uint32{uint32(b.Dy())}}, {tagBitsPerSample, 3, p.bits}, {tagCompression, 3, []uint32{p.compression}},
		{tagPhotometric, 3, []uint32{p.photometric}}, {tagStripOffsets, 4, []uint32{0}}, {tagOrientation, 3, []uint32{uint32(sh.orientation)}},
		{tagSamplesPerPixel, 3, []uint32{p.samples}}, {tagRowsPerStrip, 4, []uint32{uint32(b.Dy())}}, {tagStripByteCounts, 4, []uint32{uint32(len(p.packed))}},
	}
	if sh.xRes[0] != 0 && sh.xRes[1] != 0 && sh.yRes[0] != 0 && sh.yRes[1] != 0 {
		f = append(f, tiffField{tagXResolution, 5, sh.xRes[:]}, tiffField{tagYResolution, 5, sh.yRes[:]})
	}
	f = append(f, tiffField{tagPlanar, 3, []uint32{1}}, tiffField{tagResolutionUnit, 3, sh.unit[:1]})
	if p.differences {
		f = append(f, tiffField{tagPredictor, 3, []uint32{2}})
	}
	if p.palette != nil {
		f = append(f, tiffField{tagColorMap, 3, p.palette})
	}
	if p.samples == 4 {
		f = append(f, tiffField{tagExtraSamples, 3, []uint32{2}}) // transparency, not multiplied in
	}
	if p.sampling != nil {
		f = append(f, tiffField{tagYCbCrSampling, 3, p.sampling})
	}
	return f
}

// tiffField is a tag with its values.
type tiffField struct {
	tag, typ uint16
	values   []uint32
}

// page writes m, or the photograph that it is, which stays one.
func (t *tiffWriter) page(m image.Image, photo []byte, sh sheet, last bool) error {
	p := &strip{packed: photo, compression: 7, bits: []uint32{8}, samples: 1, photometric: tiffBlackIsZero}
	if photo == nil {
		var err error
		if p, err = packTIFF(m); err != nil {
			return err
		}
	} else {
		j, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(photo), Size: int64(len(photo))})
		if err != nil {
			return err
		}
		if j.components == 3 {
			p.bits, p.samples, p.photometric = []uint32{8, 8, 8}, 3, tiffYCbCr
			p.sampling = []uint32{uint32(j.sampling[0] >> 4), uint32(j.sampling[0] & 15)}
		}
	}
	entries := p.entries(m.Bounds(), sh)
	le := binary.LittleEndian
	beyond := t.at + 2 + 12*int64(len(entries)) + 4
	var dir, values []byte
	dir = le.AppendUint16(dir, uint16(len(entries)))
	at := 0
	for _, e := range entries {
		dir = le.AppendUint16(le.AppendUint16(dir, e.tag), e.typ)
		count := uint32(len(e.values))
		if e.typ == 5 {
			count /= 2
		}
		dir = le.AppendUint32(dir, count)
		if e.tag == tagStripOffsets {
			at = len(dir)
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
	next := pixels + int64(len(p.packed)) + int64(len(p.packed)&1) // directories begin at even places
	if next > 1<<32-1 {
		return fmt.Errorf("TIFF of more than 4 GiB: %w", sanitize.ErrLimit)
	}
	le.PutUint32(dir[at:], uint32(pixels))
	if last {
		next = 0
	}
	dir = le.AppendUint32(dir, uint32(next))
	t.put(dir)
	t.put(values)
	t.put(p.packed)
	if len(p.packed)&1 == 1 {
		t.put([]byte{0})
	}
	return t.err
}

// smallPage is how many pixels are packed well. A page of A4 in 300 dots an inch
// has 8.7 million, and there may be hundreds.
const smallPage = 2e6

// packTIFF packs the pixels of a page without loss: black and white with one
// bit, as a fax where that is shorter, grey and colours with eight or sixteen,
// those of a palette with one number each.
func packTIFF(m image.Image) (*strip, error) {
	b := m.Bounds()
	p := &strip{compression: 8, samples: 1, photometric: tiffBlackIsZero, bits: []uint32{8}}
	var buf bytes.Buffer
	effort := zlib.BestSpeed
	if int64(b.Dx())*int64(b.Dy()) <= smallPage {
		effort = zlib.DefaultCompression
	}
	z, err := zlib.NewWriterLevel(&buf, effort)
	if err != nil {
		return nil, err
	}
	row := func(line []byte) {
		if err == nil {
			_, err = z.Write(line)
		}
	}
	switch m := m.(type) {
	case *image.Gray:
		if bilevel(m) {
			p.bits = []uint32{1}
			rows := blacks(m)
			for stride := (b.Dx() + 7) / 8; len(rows) > 0 && err == nil; rows = rows[stride:] {
				row(rows[:stride])
			}
			break
		}
		p.differences = true
		for y := range b.Dy() {
			line := bytes.Clone(m.Pix[y*m.Stride:][:b.Dx()])
			differences(line, 1)
			row(line)
		}
	case *image.Gray16:
		p.bits, p.differences = []uint32{16}, true
		line := make([]byte, 2*b.Dx())
		for y := range b.Dy() {
			copy(line, m.Pix[y*m.Stride:])
			differences16(line, 1)
			row(line)
		}
	case *image.Paletted:
		p.indexed(m, row)
	case *image.NRGBA64:
		n := 3
		if !m.Opaque() {
			n = 4
		}
		p.bits, p.samples, p.photometric, p.differences = []uint32{16, 16, 16, 16}[:n], uint32(n), tiffRGB, true
		line := make([]byte, 0, 2*n*b.Dx())
		for y := range b.Dy() {
			line = line[:0]
			for x := range b.Dx() {
				line = append(line, m.Pix[y*m.Stride+8*x:][:2*n]...)
			}
			differences16(line, n)
			row(line)
		}
	default:
		n := 3
		if !opaque(m) {
			n = 4
		}
		p.bits, p.samples, p.photometric, p.differences = []uint32{8, 8, 8, 8}[:n], uint32(n), tiffRGB, true
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
			row(line)
		}
	}
	if e := z.Close(); err == nil {
		err = e
	}
	p.packed = buf.Bytes()
	if m, ok := m.(*image.Gray); ok && p.bits[0] == 1 {
		// T.6 is what faxes and scanners write, and nearly always shorter.
		rows := blacks(m)
		for i, v := range rows {
			rows[i] = ^v
		}
		if g := fax.Group4(faxes(), rows, b.Dx(), b.Dy()); len(g) <= len(p.packed) {
			p.packed, p.compression, p.photometric = g, 4, tiffWhiteIsZero
		}
	}
	return p, err
}

// indexed packs the numbers of colours (TIFF 6.0, section 5), in eight bits: the
// few that leave room for less are packed as well, and more readers know it.
func (p *strip) indexed(m *image.Paletted, row func([]byte)) {
	p.photometric = tiffPalette
	const n = 256
	p.palette = make([]uint32, 3*n)
	used := new([256]bool)
	usedOf(m, used)
	onlyUsed(m.Palette, used)
	for i, c := range m.Palette[:min(len(m.Palette), n)] {
		r, g, b, _ := c.RGBA()
		p.palette[i], p.palette[n+i], p.palette[2*n+i] = r, g, b
	}
	for y := range m.Rect.Dy() {
		row(m.Pix[y*m.Stride:][:m.Rect.Dx()])
	}
}

// differences are of a sample and the one before it, which pack better (TIFF
// 6.0, section 14).
func differences(line []byte, each int) {
	for i := len(line) - 1; i >= each; i-- {
		line[i] -= line[i-each]
	}
}

// differences16 is differences for samples that come with their higher octet
// first, and go with the lower.
func differences16(line []byte, each int) {
	at := func(i int) uint16 { return uint16(line[2*i])<<8 | uint16(line[2*i+1]) }
	for i := len(line)/2 - 1; i >= 0; i-- {
		v := at(i)
		if i >= each {
			v -= at(i - each)
		}
		line[2*i], line[2*i+1] = byte(v), byte(v>>8)
	}
}

// blacks are the rows of a page of black and white, one bit a pixel and 0 for
// black.
func blacks(m *image.Gray) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	stride := (w + 7) / 8
	rows := make([]byte, stride*h)
	for y := range h {
		line := rows[y*stride:][:stride]
		for x, v := range m.Pix[y*m.Stride:][:w] {
			line[x/8] |= v & 0x80 >> (x % 8)
		}
	}
	return rows
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
