package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
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
	pixels := int64(p.width) * int64(p.height)
	if p.sixteen() && affordable(pixels, max(p.bytesPerPixel(), 2*perPixel)) != nil {
		p.shallow = true
	}
	if p.sixteen() {
		perPixel *= 2
	}
	if err := affordable(pixels, max(p.bytesPerPixel(), perPixel)); err != nil {
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

// photograph is the JPEG that a page goes on as, if it came as one: without loss
// a scan would weigh five times as much. A page keeps its coefficients, in how
// many pieces it came; others are encoded in the quality of most scanners or
// better.
func (p *tiffPage) photograph(m image.Image) ([]byte, error) {
	if p.compression != 7 || p.width > 65535 || p.height > 65535 {
		return nil, nil
	}
	var out bytes.Buffer
	if p.profile == nil && p.photometric != tiffRGB && p.photometric != tiffWhiteIsZero {
		if first, c := p.joined(); c != nil {
			e := encoder{out: &writer{w: &out}, luma: first.table(0), chroma: first.table(1)}
			err := e.rewrite(c)
			return out.Bytes(), err
		}
	}
	e := encoder{out: &writer{w: &out}, luma: quality90(&standardLuma), chroma: quality90(&standardChroma)}
	err := e.encode(planes(m))
	return out.Bytes(), err
}

// joined are the coefficients of the whole page, and what the first piece says
// of them; nil where the pieces do not fit together block by block.
func (p *tiffPage) joined() (*segments, *coefficients) {
	var first *segments
	var whole *coefficients
	for i := range p.down() {
		for j := range p.across() {
			b, err := p.jpeg(int(i*p.across() + j))
			if err != nil {
				return nil, nil
			}
			s, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))})
			if err != nil || !s.keepsCoefficients() || s.width > p.pieceWidth || s.height > p.pieceHeight {
				return nil, nil
			}
			c, err := s.coefficients()
			if err != nil {
				return nil, nil
			}
			if whole == nil {
				if p.across()*p.down() == 1 {
					if s.width != p.width || s.height != p.height {
						return nil, nil
					}
					return s, c
				}
				if p.pieceHeight%(8*c.high) != 0 && p.down() > 1 || p.pieceWidth%(8*c.wide) != 0 && p.across() > 1 {
					return nil, nil
				}
				first, whole = s, s.empty(p.width, p.height)
			}
			if s.components != first.components || s.sampling != first.sampling || *s.table(0) != *first.table(0) || *s.table(1) != *first.table(1) {
				return nil, nil
			}
			whole.put(c, int(j)*p.pieceWidth/(8*c.wide), int(i)*p.pieceHeight/(8*c.high))
		}
	}
	return first, whole
}
