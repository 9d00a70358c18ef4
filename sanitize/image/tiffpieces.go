package image

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/bits"
	"sync"

	"golang.org/x/image/tiff/lzw"

	"sekisho/internal/fax"
	"sekisho/sanitize"
)

// raw is a piece as it lies in the file.
func (p *tiffPage) raw(n int) ([]byte, error) {
	at, size := p.offsets[n], p.counts[n]
	if at < 8 || size < 1 || at+size > p.in.Size {
		return nil, p.bad("piece %d of %d octets at %d", n, size, at)
	}
	b := make([]byte, size)
	switch m, err := p.in.ReadAt(b, at); {
	case errors.Is(err, sanitize.ErrLimit):
		return nil, err
	case int64(m) < size:
		return nil, p.bad("piece %d cut short", n)
	}
	return b, nil
}

// faxes are the codes of faxes, made when the first comes.
var faxes = sync.OnceValue(fax.NewTables)

// fax unpacks black and white by ITU-T T.4 or T.6. White is zero; whether zero
// is white is for the photometric interpretation (TIFF 6.0, page 37). A page of
// which rows are missing ends white, as viewers show it.
func (p *tiffPage) fax(n int, packed []byte, width, h int) ([]byte, error) {
	c := fax.Coding{K: -1, Columns: width, Rows: h}
	switch p.compression {
	case 2: // TIFF 6.0, section 10: no ends of lines, rows begin at octets
		c.K, c.Align = 0, true
	case 3: // TIFF 6.0, section 11: bit 0 of the options says two dimensions
		options, err := p.numbers(tagT4Options, 1, 0)
		if err != nil {
			return nil, err
		}
		c.K = int(options[0] & 1)
	}
	b, rows := c.Decode(faxes(), packed)
	if rows == 0 {
		return nil, p.bad("piece %d is no fax", n)
	}
	if rows < h {
		b = append(b, make([]byte, (width+7)/8*(h-rows))...)
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
	if fill[0] == 2 && p.compression != 7 {
		for i, v := range packed { // it was read for this call alone
			packed[i] = bits.Reverse8(v)
		}
	}
	var r io.Reader
	switch p.compression {
	case 1:
		r = bytes.NewReader(packed)
	case 2, 3, 4:
		if p.bits != 1 || each != 1 {
			return nil, 0, p.bad("a fax of %d bits", p.bits)
		}
		b, err := p.fax(n, packed, width, h)
		return b, stride, err
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

// drawn reads a piece that is a JPEG, whose tables stand once for all (Adobe
// Photoshop TIFF Technical Notes, 2002).
func (p *tiffPage) drawn(n int, full *image.NRGBA, grey *image.Gray, x0, y0, w, h int) error {
	if p.planar || p.bits != 8 || p.photometric == tiffCMYK && p.samples != 4 || p.photometric == tiffPalette || p.photometric == tiffLab {
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
	// What a decoder needs for it, and how often it is gone through.
	j, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(whole), Size: int64(len(whole))})
	if err != nil {
		return fmt.Errorf("piece %d: %w", n, err)
	}
	if p.scanned += int64(j.scans) * int64(j.width) * int64(j.height); p.scanned > maxScanned {
		return fmt.Errorf("TIFF of JPEG with more than %d pixels in their scans: %w", int64(maxScanned), sanitize.ErrLimit)
	}
	if err := affordable(int64(j.width)*int64(j.height), j.bytesPerPixel()+4*float64(p.width)*float64(p.height)/(float64(j.width)*float64(j.height))); err != nil {
		return err
	}
	m, err := jpeg.Decode(bytes.NewReader(whole))
	var unsupported jpeg.UnsupportedError
	if errors.As(err, &unsupported) {
		return p.no("JPEG: %v", err)
	}
	if err != nil {
		return p.bad("piece %d: %w", n, err)
	}
	if p.photometric == tiffCMYK {
		// The library turns inks around, as programs of Adobe write them in a
		// JPEG; in a TIFF 0 is no ink (TIFF 6.0, section 16).
		inks, ok := m.(*image.CMYK)
		if !ok {
			return p.bad("piece %d has not four inks", n)
		}
		for y := range h {
			to := full.Pix[(y0+y)*full.Stride+4*x0:][:4*w]
			for i, v := range inks.Pix[y*inks.Stride:][:4*w] {
				to[i] = ^v
			}
		}
		return nil
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
	if p.photometric == tiffCMYK {
		return append(whole, unmarked(b[2:])...), nil
	}
	return append(whole, b[2:]...), nil
}

// unmarked is a JPEG behind its first mark without what programs say in it, up
// to its first scan.
func unmarked(b []byte) []byte {
	var kept []byte
	for len(b) >= 4 && b[0] == 0xff && b[1] != 0xda {
		n := 2 + (int(b[2])<<8 | int(b[3]))
		if n < 4 || n > len(b) {
			break
		}
		if b[1] < 0xe0 || b[1] > 0xef {
			kept = append(kept, b[:n]...)
		}
		b = b[n:]
	}
	return append(kept, b...)
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
