package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"sekisho/internal/coefficients"
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
	at               int64
	orientation      uint16
	xRes, yRes, unit [2]uint32
}

// pages writes a TIFF anew with all its pages.
func pages(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	order, sheets, err := walkTIFF(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	in = metered(in)
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
func sheetPixels(s *sanitize.Session, in sanitize.Object, order tiffOrder, sh sheet, perPixel float64) (*tiffPage, image.Image, error) {
	p, err := readTIFF(in, order, sh.at)
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

// tiffOrder is how a file writes numbers, and whether its directories are those
// of BigTIFF: 64-bit places and counts, where TIFF 6.0 has 32 (BigTIFF Design,
// AWare Systems 2007, as libtiff 4 reads it). Scanners of plans write it for
// files that could grow beyond 4 GiB, also when they did not.
type tiffOrder struct {
	binary.ByteOrder
	big bool
}

// place reads a place in the file, or a count. One behind every file stays so
// when a size is added.
func (o tiffOrder) place(b []byte) int64 {
	if !o.big {
		return int64(o.Uint32(b))
	}
	return int64(min(o.Uint64(b), 1<<60))
}

// tiffHeader reads how the file is written and where its first directory lies.
func tiffHeader(in sanitize.Object) (order tiffOrder, first int64, err error) {
	h := make([]byte, 16)
	n, _ := in.ReadAt(h, 0)
	if n < 8 {
		return order, 0, malformed("read tiff", errors.New("no header"))
	}
	order.ByteOrder = binary.LittleEndian
	if h[0] == 'M' {
		order.ByteOrder = binary.BigEndian
	}
	switch string(h[:4]) {
	case "II*\x00", "MM\x00*":
		return order, order.place(h[4:]), nil
	case "II+\x00", "MM\x00+":
		order.big = true
		if n == 16 && order.Uint16(h[4:]) == 8 && order.Uint16(h[6:]) == 0 {
			return order, order.place(h[8:]), nil
		}
	}
	return order, 0, malformed("read tiff", errors.New("no header"))
}

// directory reads the entries of a directory and where the next one lies.
func (o tiffOrder) directory(in sanitize.Object, at int64) (entries []tiffEntry, next int64, err error) {
	head, each, place := int64(2), 12, 4
	if o.big {
		head, each, place = 8, 20, 8
	}
	b := make([]byte, head)
	if at < 8 || at+head > in.Size {
		return nil, 0, malformed("read tiff", errors.New("directory outside of the file"))
	}
	if _, err := in.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, malformed("read tiff", err)
	}
	n := int64(o.Uint16(b))
	if o.big {
		n = o.place(b)
	}
	if n > 1<<16 {
		return nil, 0, malformed("read tiff", fmt.Errorf("directory of %d entries", n))
	}
	dir := make([]byte, int(n)*each+place)
	if m, _ := in.ReadAt(dir, at+head); m < len(dir) {
		return nil, 0, malformed("read tiff", errors.New("directory cut short"))
	}
	for ; len(dir) > place; dir = dir[each:] {
		e := tiffEntry{tag: o.Uint16(dir), typ: o.Uint16(dir[2:])}
		e.count, e.raw = o.place(dir[4:]), dir[4+place:4+2*place]
		entries = append(entries, e)
	}
	return entries, o.place(dir), nil
}

// walkTIFF follows the chain of directories.
func walkTIFF(in sanitize.Object) (tiffOrder, []sheet, error) {
	order, at, err := tiffHeader(in)
	if err != nil {
		return order, nil, err
	}
	var sheets []sheet
	seen := map[int64]bool{}
	for at != 0 {
		if seen[at] {
			break // in a circle: all there is was seen
		}
		seen[at] = true
		if len(sheets) == maxTIFFPages {
			return order, nil, fmt.Errorf("more than %d pages: %w", maxTIFFPages, sanitize.ErrLimit)
		}
		entries, next, err := order.directory(in, at)
		if err != nil {
			return order, nil, err
		}
		sh := sheet{at: at, orientation: 1, unit: [2]uint32{2, 0}}
		for _, e := range entries {
			sh.take(in, order, e)
		}
		sheets = append(sheets, sh)
		at = next
	}
	if len(sheets) == 0 {
		return order, nil, malformed("read tiff", errors.New("no page"))
	}
	return order, sheets, nil
}

// take keeps what an entry says of the page, if it is one of those kept.
func (sh *sheet) take(in sanitize.Object, order tiffOrder, e tiffEntry) {
	if e.count != 1 {
		return
	}
	switch {
	case e.tag == tagOrientation && e.typ == 3:
		if v := order.Uint16(e.raw); v >= 1 && v <= 8 {
			sh.orientation = v
		}
	case e.tag == tagResolutionUnit && e.typ == 3:
		if v := order.Uint16(e.raw); v >= 1 && v <= 3 {
			sh.unit[0] = uint32(v)
		}
	case (e.tag == tagXResolution || e.tag == tagYResolution) && e.typ == 5:
		r := e.raw // in BigTIFF the two numbers have room in the entry
		if !order.big {
			r = make([]byte, 8)
			if n, _ := in.ReadAt(r, order.place(e.raw)); n < 8 {
				return
			}
		}
		v := resolution(order.Uint32(r), order.Uint32(r[4:]))
		if e.tag == tagXResolution {
			sh.xRes = v
		} else {
			sh.yRes = v
		}
	}
}

// resolution is a number of dots in thousandths, or whole where it is; what no
// device has is none, for eight octets could be anything.
func resolution(dots, by uint32) [2]uint32 {
	if by == 0 {
		return [2]uint32{}
	}
	n := (uint64(dots)*1000 + uint64(by)/2) / uint64(by)
	switch {
	case n == 0 || n > 100_000*1000:
		return [2]uint32{}
	case n%1000 == 0:
		return [2]uint32{uint32(n / 1000), 1}
	}
	return [2]uint32{uint32(n), 1000}
}

// meter bounds how much of a file is read: pieces may lie in one another, and
// each of hundreds of thousands may be all of it.
type meter struct {
	io.ReaderAt
	left int64
}

func metered(in sanitize.Object) sanitize.Object {
	in.ReaderAt = &meter{in.ReaderAt, 16*in.Size + 256<<20}
	return in
}

func (m *meter) ReadAt(b []byte, at int64) (int, error) {
	if m.left -= int64(len(b)); m.left < 0 {
		return 0, fmt.Errorf("TIFF whose pieces lie in one another: %w", sanitize.ErrLimit)
	}
	return m.ReaderAt.ReadAt(b, at)
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
	if p.profile == nil && p.photometric != tiffRGB && p.photometric != tiffWhiteIsZero && p.photometric != tiffCMYK {
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
func (p *tiffPage) joined() (*segments, *coefficients.Picture) {
	var first *segments
	var whole *coefficients.Picture
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
				if p.pieceHeight%(8*c.High) != 0 && p.down() > 1 || p.pieceWidth%(8*c.Wide) != 0 && p.across() > 1 {
					return nil, nil
				}
				first, whole = s, coefficients.New(s.framed(p.width, p.height))
			}
			if s.components != first.components || s.sampling != first.sampling || *s.table(0) != *first.table(0) || *s.table(1) != *first.table(1) {
				return nil, nil
			}
			put(whole, c, int(j)*p.pieceWidth/(8*c.Wide), int(i)*p.pieceHeight/(8*c.High))
		}
	}
	return first, whole
}
