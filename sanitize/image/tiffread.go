package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"

	"sekisho/sanitize"
)

// Tags of TIFF 6.0 that only the reader needs.
const (
	tagFillOrder     = 266
	tagT4Options     = 292
	tagPredictor     = 317
	tagColorMap      = 320
	tagTileWidth     = 322
	tagTileLength    = 323
	tagTileOffsets   = 324
	tagTileCounts    = 325
	tagSampleFormat  = 339
	tagJPEGTables    = 347
	tagYCbCrSampling = 530
	tagICC           = 34675
)

// Photometric interpretations of TIFF 6.0.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6
	tiffLab         = 8
)

// tiffPage reads one page: all that scanners, faxes and programs write but for
// floating point, the JPEG of before 1995 and BigTIFF.
type tiffPage struct {
	in    sanitize.Object
	order binary.ByteOrder
	tags  map[uint16]tiffEntry

	width, height, samples, bits int
	photometric, compression     int
	planar                       bool // each sample in a plane of its own
	pieceWidth, pieceHeight      int  // of a strip or a tile
	offsets, counts              []int64
	cover                        bool // the sample behind the colours is how it covers
	profile                      *profile
}

type tiffEntry struct {
	typ   uint16
	count uint32
	raw   []byte // the four octets of the entry
}

// maxPieces bounds the strips and tiles of a page. A page of 100 million pixels
// in tiles of 128 by 128 has 6,100, in strips of one row 10,000.
const maxPieces = 200_000

func (p *tiffPage) bad(format string, a ...any) error {
	return malformed("read tiff", fmt.Errorf(format, a...))
}

func (p *tiffPage) no(format string, a ...any) error {
	return fmt.Errorf("TIFF with %s: %w", fmt.Sprintf(format, a...), sanitize.ErrUnsupported)
}

// readTIFF reads the directory at octet at.
func readTIFF(in sanitize.Object, order binary.ByteOrder, at int64) (*tiffPage, error) {
	p := &tiffPage{in: in, order: order, tags: map[uint16]tiffEntry{}}
	n := make([]byte, 2)
	if _, err := in.ReadAt(n, at); err != nil {
		return nil, p.bad("directory outside of the file")
	}
	dir := make([]byte, 12*int(order.Uint16(n)))
	if m, _ := in.ReadAt(dir, at+2); m < len(dir) {
		return nil, p.bad("directory cut short")
	}
	for ; len(dir) > 0; dir = dir[12:] {
		p.tags[order.Uint16(dir)] = tiffEntry{order.Uint16(dir[2:]), order.Uint32(dir[4:]), dir[8:12]}
	}
	return p, p.layout()
}

// octets reads the value of a tag, at most so many octets.
func (p *tiffPage) octets(tag uint16, most int64) ([]byte, error) {
	e, ok := p.tags[tag]
	if !ok {
		return nil, nil
	}
	each := map[uint16]int64{1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1}[e.typ]
	size := each * int64(e.count)
	if each == 0 || size > most {
		return nil, p.bad("tag %d of type %d with %d values", tag, e.typ, e.count)
	}
	if size <= 4 {
		return e.raw[:size], nil
	}
	b := make([]byte, size)
	if m, _ := p.in.ReadAt(b, int64(p.order.Uint32(e.raw))); m < len(b) {
		return nil, p.bad("tag %d outside of the file", tag)
	}
	return b, nil
}

// numbers reads the values of a tag; without it those given.
func (p *tiffPage) numbers(tag uint16, most int64, usual ...int64) ([]int64, error) {
	b, err := p.octets(tag, 4*most)
	if err != nil || len(b) == 0 {
		return usual, err
	}
	var v []int64
	for each := map[uint16]int{1: 1, 3: 2, 4: 4}[p.tags[tag].typ]; len(b) > 0; b = b[each:] {
		switch each {
		case 1:
			v = append(v, int64(b[0]))
		case 2:
			v = append(v, int64(p.order.Uint16(b)))
		case 4:
			v = append(v, int64(p.order.Uint32(b)))
		default:
			return nil, p.bad("tag %d of type %d", tag, p.tags[tag].typ)
		}
	}
	return v, nil
}

// layout reads how the pixels lie.
func (p *tiffPage) layout() error {
	one := func(tag uint16, usual int64) int64 {
		v, err := p.numbers(tag, 64, usual)
		if err != nil || len(v) == 0 {
			return -1
		}
		return v[0]
	}
	w, h := one(tagWidth, 0), one(tagLength, 0)
	if w < 1 || h < 1 || w > 1<<30 || h > 1<<30 {
		return p.bad("%d x %d pixels", w, h)
	}
	p.width, p.height = int(w), int(h)
	p.samples, p.compression = int(one(tagSamplesPerPixel, 1)), int(one(tagCompression, 1))
	usual := int64(tiffWhiteIsZero)
	if p.samples >= 3 {
		usual = tiffRGB
	}
	p.photometric, p.planar = int(one(tagPhotometric, usual)), one(tagPlanar, 1) == 2
	depths, err := p.numbers(tagBitsPerSample, 64, 1)
	if err != nil {
		return err
	}
	formats, err := p.numbers(tagSampleFormat, 64, 1)
	if err != nil {
		return err
	}
	p.bits = int(depths[0])
	for _, d := range depths {
		if int(d) != p.bits {
			return p.no("samples of different sizes")
		}
	}
	for _, f := range formats {
		if f != 1 && f != 4 {
			return p.no("samples that are no plain numbers")
		}
	}
	colours := map[int]int{tiffWhiteIsZero: 1, tiffBlackIsZero: 1, tiffRGB: 3, tiffPalette: 1, tiffCMYK: 4, tiffYCbCr: 3, tiffLab: 3}[p.photometric]
	switch {
	case colours == 0:
		return p.no("colour model %d", p.photometric)
	case p.samples < colours || p.samples > 16:
		return p.bad("%d samples", p.samples)
	case p.bits != 8 && p.bits != 16 && (p.bits != 1 && p.bits != 2 && p.bits != 4 || colours > 1 || p.samples > 1):
		return p.no("samples of %d bits", p.bits)
	case p.photometric == tiffPalette && p.bits > 8, p.bits > 8 && (p.photometric == tiffYCbCr || p.photometric == tiffLab):
		return p.no("samples of %d bits", p.bits)
	}
	extra, err := p.numbers(tagExtraSamples, 64)
	if err != nil {
		return err
	}
	p.cover = len(extra) > 0 && (extra[0] == 1 || extra[0] == 2) && p.samples > colours && (p.photometric == tiffRGB || colours == 1)
	if b, err := p.octets(tagICC, profileBytes); err == nil && len(b) > 0 {
		p.profile = readProfile(b)
	}
	return p.pieces()
}

// pieces reads where strips or tiles lie.
func (p *tiffPage) pieces() error {
	at, count := uint16(tagStripOffsets), uint16(tagStripByteCounts)
	w, h := int64(p.width), int64(p.height)
	if _, tiled := p.tags[tagTileOffsets]; tiled {
		at, count = tagTileOffsets, tagTileCounts
		tw, err := p.numbers(tagTileWidth, 1, 0)
		if err != nil {
			return err
		}
		th, err := p.numbers(tagTileLength, 1, 0)
		if err != nil {
			return err
		}
		w, h = tw[0], th[0]
	} else {
		rows, err := p.numbers(tagRowsPerStrip, 1, h)
		if err != nil {
			return err
		}
		h = min(rows[0], h)
	}
	if w < 1 || h < 1 || w > 1<<16 && w > int64(p.width) || h > 1<<16 && h > int64(p.height) {
		return p.bad("pieces of %d x %d", w, h)
	}
	p.pieceWidth, p.pieceHeight = int(w), int(h)
	var err error
	if p.offsets, err = p.numbers(at, maxPieces); err != nil {
		return err
	}
	if p.counts, err = p.numbers(count, maxPieces); err != nil {
		return err
	}
	if len(p.offsets) == 1 && len(p.counts) == 0 {
		p.counts = []int64{p.in.Size - p.offsets[0]} // QUIRK: left out by old writers
	}
	need := p.across() * p.down()
	if p.planar {
		need *= int64(p.samples)
	}
	if int64(len(p.offsets)) < need || int64(len(p.counts)) < need {
		return p.bad("%d pieces of %d", min(len(p.offsets), len(p.counts)), need)
	}
	return nil
}

func (p *tiffPage) across() int64 {
	return (int64(p.width) + int64(p.pieceWidth) - 1) / int64(p.pieceWidth)
}

func (p *tiffPage) down() int64 {
	return (int64(p.height) + int64(p.pieceHeight) - 1) / int64(p.pieceHeight)
}

// bytesPerPixel is what decoding holds: the picture and, of one piece, samples.
func (p *tiffPage) bytesPerPixel() float64 {
	piece := float64(p.samples*p.bits) / 8 * float64(p.pieceWidth) * float64(p.pieceHeight) / (float64(p.width) * float64(p.height))
	if p.grey() {
		return 1 + 2*piece
	}
	return 4 + 2*piece
}

// grey reports whether the page has one sample and nothing shines through.
func (p *tiffPage) grey() bool { return p.photometric <= tiffBlackIsZero && !p.cover }

// decode reads the pixels: grey ones into eight bits of grey, others into
// colours and how they cover.
func (p *tiffPage) decode() (image.Image, error) {
	r := image.Rect(0, 0, p.width, p.height)
	var grey *image.Gray
	var full *image.NRGBA
	if p.grey() {
		grey = image.NewGray(r)
	} else {
		full = image.NewNRGBA(r)
	}
	palette, err := p.palette()
	if err != nil {
		return nil, err
	}
	planes := 1
	if p.planar {
		planes = p.samples
	}
	for plane := range planes {
		for i := range p.down() {
			for j := range p.across() {
				x0, y0 := int(j)*p.pieceWidth, int(i)*p.pieceHeight
				w, h := min(p.pieceWidth, p.width-x0), min(p.pieceHeight, p.height-y0)
				n := int64(plane)*p.across()*p.down() + i*p.across() + j
				if p.compression == 7 {
					if err := p.drawn(int(n), full, grey, x0, y0, w, h); err != nil {
						return nil, err
					}
					continue
				}
				b, stride, err := p.piece(int(n), w, h)
				if err != nil {
					return nil, err
				}
				for y := range h {
					row := b[y*stride:]
					if grey != nil {
						p.greys(grey.Pix[(y0+y)*grey.Stride+x0:][:w], row)
					} else {
						p.colours(full.Pix[(y0+y)*full.Stride+4*x0:][:4*w], row, palette, plane)
					}
				}
			}
		}
	}
	if full == nil {
		return grey, nil
	}
	if p.compression != 7 {
		p.finished(full.Pix)
	}
	return full, nil
}

// palette reads the colours of indexed pictures.
func (p *tiffPage) palette() ([]byte, error) {
	if p.photometric != tiffPalette {
		return nil, nil
	}
	v, err := p.numbers(tagColorMap, 3*256)
	if err != nil || len(v) != 3<<p.bits {
		return nil, p.bad("palette of %d numbers", len(v))
	}
	palette := make([]byte, 3*256)
	for i := range 1 << p.bits {
		for c := range 3 {
			palette[3*i+c] = byte(v[c<<p.bits+i] >> 8)
		}
	}
	return palette, nil
}

// raw is a piece as it lies in the file.
func (p *tiffPage) raw(n int) ([]byte, error) {
	at, size := p.offsets[n], p.counts[n]
	if at < 8 || size < 1 || at+size > p.in.Size {
		return nil, p.bad("piece %d of %d octets at %d", n, size, at)
	}
	b := make([]byte, size)
	if m, _ := p.in.ReadAt(b, at); int64(m) < size {
		return nil, p.bad("piece %d cut short", n)
	}
	return b, nil
}

// piece unpacks a strip or a tile, of which the first h rows count.
func (p *tiffPage) piece(n, w, h int) (b []byte, stride int, err error) {
	packed, err := p.raw(n)
	if err != nil {
		return nil, 0, err
	}
	each := p.samples
	if p.planar {
		each = 1
	}
	width := w
	if _, tiled := p.tags[tagTileOffsets]; tiled {
		width = p.pieceWidth // tiles are whole also where the picture ends
	}
	stride = (width*each*p.bits + 7) / 8
	size, rows := stride*h, h
	sh, sv := 1, 1
	if p.photometric == tiffYCbCr && !p.planar {
		if sh, sv, err = p.sampling(); err != nil {
			return nil, 0, err
		}
		rows = (h + sv - 1) / sv
		size = rows * ((width + sh - 1) / sh) * (sh*sv + 2)
	}
	fill, err := p.numbers(tagFillOrder, 1, 1)
	if err != nil {
		return nil, 0, err
	}
	var r io.Reader
	switch p.compression {
	case 1:
		r = bytes.NewReader(packed)
	case 3, 4:
		order, format := ccitt.MSB, ccitt.Group4
		if fill[0] == 2 {
			order = ccitt.LSB
		}
		if p.compression == 3 {
			format = ccitt.Group3
		}
		if p.bits != 1 || each != 1 {
			return nil, 0, p.bad("a fax of %d bits", p.bits)
		}
		// White is zero; whether zero is white is for the photometric
		// interpretation (TIFF 6.0, page 37).
		r = ccitt.NewReader(bytes.NewReader(packed), order, format, width, h, &ccitt.Options{Invert: true})
	case 5:
		z := lzw.NewReader(bytes.NewReader(packed), lzw.MSB, 8)
		defer z.Close()
		r = z
	case 8, 32946:
		z, err := zlib.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, 0, p.bad("%w", err)
		}
		defer z.Close()
		r = z
	case 32773:
		r = &packBits{in: packed}
	default:
		return nil, 0, p.no("packing %d", p.compression)
	}
	b = make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, 0, p.bad("piece %d: %w", n, err)
	}
	predictor, err := p.numbers(tagPredictor, 1, 1)
	switch {
	case err != nil:
		return nil, 0, err
	case predictor[0] == 1:
	case predictor[0] != 2 || p.bits < 8 || p.photometric == tiffYCbCr:
		return nil, 0, p.no("predictor %d", predictor[0])
	default:
		p.undo(b, stride, each)
	}
	if p.photometric == tiffYCbCr && !p.planar {
		return p.spread(b, width, h, sh, sv), 3 * width, nil
	}
	return b, stride, nil
}

// undo adds up what is written as differences (TIFF 6.0, section 14).
func (p *tiffPage) undo(b []byte, stride, each int) {
	for ; len(b) >= stride; b = b[stride:] {
		row := b[:stride]
		if p.bits == 8 {
			for i := each; i < len(row); i++ {
				row[i] += row[i-each]
			}
			continue
		}
		for i := 2 * each; i+1 < len(row); i += 2 {
			p.order.PutUint16(row[i:], p.order.Uint16(row[i:])+p.order.Uint16(row[i-2*each:]))
		}
	}
}

// sampling is how much denser luminance is (TIFF 6.0, section 21).
func (p *tiffPage) sampling() (h, v int, err error) {
	s, err := p.numbers(tagYCbCrSampling, 2, 2, 2)
	if err != nil || len(s) != 2 || s[0] != 1 && s[0] != 2 && s[0] != 4 || s[1] != 1 && s[1] != 2 && s[1] != 4 {
		return 0, 0, p.bad("sampling %v", s)
	}
	return int(s[0]), int(s[1]), nil
}

// spread gives each pixel its own samples: they lie in blocks, luminances and
// then the two they share.
func (p *tiffPage) spread(b []byte, w, h, sh, sv int) []byte {
	out := make([]byte, 3*w*h)
	across := (w + sh - 1) / sh
	block := sh*sv + 2
	for y := range h {
		for x := range w {
			q := b[((y/sv)*across+x/sh)*block:]
			o := out[3*(y*w+x):]
			o[0], o[1], o[2] = q[(y%sv)*sh+x%sh], q[sh*sv], q[sh*sv+1]
		}
	}
	return out
}

// at is the sample at i of a row, in eight bits.
func (p *tiffPage) at(row []byte, i int) byte {
	switch {
	case p.bits == 8:
		return row[i]
	case p.bits == 16:
		return byte(p.order.Uint16(row[2*i:]) >> 8)
	default:
		return byte(sample(row, i, p.bits) * 255 / (1<<p.bits - 1))
	}
}

func (p *tiffPage) greys(to, row []byte) {
	each := p.samples
	if p.planar {
		each = 1
	}
	for x := range to {
		to[x] = p.at(row, x*each)
		if p.photometric == tiffWhiteIsZero {
			to[x] = ^to[x]
		}
	}
}

// colours puts the samples of a row where they belong; of planes only one.
func (p *tiffPage) colours(to, row []byte, palette []byte, plane int) {
	each, first, last := p.samples, 0, min(p.samples, 4)
	if p.planar {
		each, first, last = 1, plane, plane+1
		if plane > 3 {
			return
		}
	}
	for x := range len(to) / 4 {
		for c := first; c < last; c++ {
			i := x * each
			if !p.planar {
				i += c
			}
			if palette != nil && c == 0 {
				k := 3 * int(row[x*each])
				if p.bits < 8 {
					k = 3 * sample(row, x, p.bits)
				}
				copy(to[4*x:4*x+3], palette[k:])
				continue
			}
			to[4*x+c] = p.at(row, i)
		}
	}
}

// finished turns samples into colours.
func (p *tiffPage) finished(pix []byte) {
	extra, _ := p.numbers(tagExtraSamples, 64) // they were read before
	multiplied := p.cover && extra[0] == 1
	switch p.photometric {
	case tiffCMYK:
		inked(pix)
		return
	case tiffLab:
		for i := 0; i < len(pix); i += 4 {
			pix[i+1], pix[i+2] = pix[i+1]^0x80, pix[i+2]^0x80 // they have a sign
		}
		labToSRGB(pix)
		return
	case tiffYCbCr:
		for i := 0; i < len(pix); i += 4 {
			pix[i], pix[i+1], pix[i+2] = color.YCbCrToRGB(pix[i], pix[i+1], pix[i+2])
		}
	case tiffWhiteIsZero, tiffBlackIsZero:
		for i := 0; i < len(pix); i += 4 {
			v, a := pix[i], pix[i+1]
			if p.photometric == tiffWhiteIsZero {
				v = ^v
			}
			pix[i], pix[i+1], pix[i+2], pix[i+3] = v, v, v, a
		}
	}
	for i := 0; i < len(pix); i += 4 {
		if !p.cover {
			pix[i+3] = 255
			continue
		}
		if a := int(pix[i+3]); multiplied && a > 0 && a < 255 {
			for c := range 3 {
				pix[i+c] = byte(min(int(pix[i+c])*255/a, 255))
			}
		}
	}
}

// drawn reads a piece that is a JPEG, whose tables stand once for all (Adobe
// Photoshop TIFF Technical Notes, 2002).
func (p *tiffPage) drawn(n int, full *image.NRGBA, grey *image.Gray, x0, y0, w, h int) error {
	if p.planar || p.bits != 8 || p.photometric == tiffCMYK || p.photometric == tiffPalette || p.photometric == tiffLab {
		return p.no("JPEG of colour model %d", p.photometric)
	}
	whole, err := p.jpeg(n)
	if err != nil {
		return err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(whole))
	if err != nil {
		return p.bad("piece %d: %w", n, err)
	}
	if c.Width < w || c.Height < h || c.Width > p.pieceWidth+16 || c.Height > p.pieceHeight+16 {
		return p.bad("piece %d of %d x %d pixels", n, c.Width, c.Height)
	}
	m, err := jpeg.Decode(bytes.NewReader(whole))
	var unsupported jpeg.UnsupportedError
	if errors.As(err, &unsupported) {
		return p.no("JPEG: %v", err)
	}
	if err != nil {
		return p.bad("piece %d: %w", n, err)
	}
	for y := range h {
		for x := range w {
			if grey != nil {
				v := color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y
				if p.photometric == tiffWhiteIsZero {
					v = ^v
				}
				grey.Pix[(y0+y)*grey.Stride+x0+x] = v
				continue
			}
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			copy(full.Pix[(y0+y)*full.Stride+4*(x0+x):], []byte{c.R, c.G, c.B, 255})
		}
	}
	return nil
}

// jpeg is a piece as a whole JPEG.
func (p *tiffPage) jpeg(n int) ([]byte, error) {
	b, err := p.raw(n)
	if err != nil {
		return nil, err
	}
	tables, err := p.octets(tagJPEGTables, 64<<10)
	if err != nil {
		return nil, err
	}
	soi := []byte{0xff, 0xd8}
	if !bytes.HasPrefix(b, soi) {
		return nil, p.bad("piece %d is no JPEG", n)
	}
	// Which colours its numbers are the TIFF says, and not a mark in it.
	mark := []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
	if p.photometric == tiffYCbCr {
		mark[len(mark)-1] = 1
	}
	whole := append(bytes.Clone(soi), mark...)
	if len(tables) > 4 && bytes.HasPrefix(tables, soi) {
		whole = append(whole, bytes.TrimSuffix(tables[2:], []byte{0xff, 0xd9})...)
	}
	return append(whole, b[2:]...), nil
}

// packBits unpacks runs (TIFF 6.0, section 9).
type packBits struct {
	in   []byte
	run  int  // octets that are to come
	same bool // all of them in[0]
}

func (p *packBits) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if p.run == 0 {
			for len(p.in) > 0 && p.in[0] == 128 {
				p.in = p.in[1:]
			}
			if len(p.in) < 2 {
				break
			}
			k := int(p.in[0])
			p.in = p.in[1:]
			if p.same = k > 128; p.same {
				p.run = 257 - k
			} else {
				p.run = k + 1
			}
		}
		k := min(p.run, len(b)-n)
		if p.same {
			for i := range b[n : n+k] {
				b[n+i] = p.in[0]
			}
		} else if k = copy(b[n:n+k], p.in); k == 0 {
			break
		} else {
			p.in = p.in[k:]
		}
		n += k
		if p.run -= k; p.run == 0 && p.same {
			p.in = p.in[1:]
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
