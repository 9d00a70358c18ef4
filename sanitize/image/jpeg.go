package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"strings"

	"sekisho/internal/coefficients"
	"sekisho/sanitize"
)

// Sanitize implements sanitize.Sanitizer.
func (JPEG) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	j, err := walkJPEG(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	if err := s.SpendPixels(j.width, j.height); err != nil {
		return sanitize.Result{}, err
	}
	j.profile = j.profile.fits(j.components)
	if j.keepsCoefficients() && j.turnsWhole() && affordable(int64(j.width)*int64(j.height), 2.2*j.samples()+1) == nil {
		switch c, err := j.coefficients(); {
		case err == nil:
			return j.rewrite(ctx, s, in, c, out)
		case !errors.Is(err, coefficients.ErrOther):
			return sanitize.Result{}, err
		}
		// What this reader makes nothing of another may be able to draw.
	}
	if err := affordable(int64(j.width)*int64(j.height), j.bytesPerPixel()); err != nil {
		return sanitize.Result{}, err
	}
	m, err := jpeg.Decode(j.file())
	if err != nil {
		var unsupported jpeg.UnsupportedError
		if errors.As(err, &unsupported) {
			return sanitize.Result{}, fmt.Errorf("decode JPEG: %w: %w", err, sanitize.ErrUnsupported)
		}
		return sanitize.Result{}, malformed("decode JPEG", err)
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	m = j.profile.drawn(m)
	s.Look(m)
	converted(s, j.profile, m)
	dropped(s, j.dropped)
	trailing(s, in, j.end)
	if j.orientation > 1 {
		s.Found(sanitize.Finding{Rule: "image.orientation", Action: sanitize.Rewritten, Detail: "turned as the camera said"})
	}
	e := encoder{out: &writer{w: out}, luma: j.table(0), chroma: j.table(1), density: j.density}
	if j.rgb() || j.components == 4 {
		// The tables were made for other colours. These are what quality 90
		// means everywhere.
		e.luma, e.chroma = quality90(&standardLuma), quality90(&standardChroma)
	}
	if err := e.encode(turn(planes(m), j.orientation)); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode JPEG: %w", err)
	}
	return clean(sanitize.KindJPEG), nil
}

// rewrite writes the picture from its coefficients.
func (j *segments) rewrite(ctx context.Context, s *sanitize.Session, in sanitize.Object, c *coefficients.Picture, out io.Writer) (sanitize.Result, error) {
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	if s.Looks() {
		s.Look(c.Light(j.table(0), nil))
	}
	dropped(s, j.dropped)
	trailing(s, in, j.end)
	e := encoder{out: &writer{w: out}, luma: j.table(0), chroma: j.table(1), density: j.density}
	if j.orientation > 1 {
		s.Found(sanitize.Finding{Rule: "image.orientation", Action: sanitize.Rewritten, Detail: "turned as the camera said"})
		c = e.turn(c, j.orientation)
	}
	if err := e.rewrite(c); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode JPEG: %w", err)
	}
	return clean(sanitize.KindJPEG), nil
}

// segments is what the walk over a JPEG file found.
type segments struct {
	width, height int
	components    int
	progressive   bool
	sampling      [4]byte // of each component, horizontal and vertical
	ids           [4]byte
	tables        [4]byte // the quantisation table each component uses
	quant         [4]*[64]byte
	retabled      bool // a quantisation that cannot be written as it is
	scans         int
	density       [5]byte // unit and two numbers, as in JFIF
	adobe         int     // the transform, -1 when there is no mark
	jfif          bool
	orientation   int
	profile       *profile
	icc           []byte // the pieces of a profile so far
	iccPieces     int
	pieces        []io.ReadSeeker
	dropped       []string
	end           int64
}

// file is what the pixels need, from its beginning.
func (j *segments) file() io.Reader {
	var all []io.Reader
	for _, p := range j.pieces {
		// In memory or a section of the file: nothing there can fail.
		if _, err := p.Seek(0, io.SeekStart); err == nil {
			all = append(all, p)
		}
	}
	return io.MultiReader(all...)
}

// maxScanned bounds the pixels of all scans of a picture together. Progressive
// pictures have some ten scans; a hundred over the largest picture are a second
// of work or two.
const maxScanned = 100 * 100e6

// maxSegments bounds the walk. A progressive picture has some dozens.
const maxSegments = 10_000

// walkJPEG reads the markers of a JPEG file up to its first end, keeps the
// segments that the pixels need and takes from the others the little that is
// shown: how the picture lies and how dense it is.
func walkJPEG(in sanitize.Object) (*segments, error) {
	bad := func(at int64, what string) error {
		return fmt.Errorf("JPEG at octet %d: %s: %w", at, what, sanitize.ErrMalformed)
	}
	j := &segments{adobe: -1, orientation: 1}
	r := bufio.NewReaderSize(in.Reader(), 64<<10)
	at := int64(0)
	soi := make([]byte, 2)
	if _, err := io.ReadFull(r, soi); err != nil || soi[0] != 0xff || soi[1] != 0xd8 {
		return nil, bad(0, "no start of image")
	}
	at = 2
	from := int64(0) // of the piece that is being kept
	cut := func(start, end int64) {
		if start > from {
			j.pieces = append(j.pieces, io.NewSectionReader(in, from, start-from))
		}
		from = end
	}
	seen := map[string]bool{}
	drop := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			j.dropped = append(j.dropped, name)
		}
	}
	for range maxSegments {
		c, err := r.ReadByte()
		if err != nil {
			return nil, bad(at, "no end of image")
		}
		start := at
		at++
		if c != 0xff {
			// Readers look for the next marker; what lies between is nobody's.
			for c != 0xff {
				if c, err = r.ReadByte(); err != nil {
					return nil, bad(at, "no end of image")
				}
				at++
			}
			cut(start, at-1)
			start = at - 1
		}
		var m byte = 0xff
		for m == 0xff { // T.81 B.1.1.2: fill bytes
			if m, err = r.ReadByte(); err != nil {
				return nil, bad(at, "no end of image")
			}
			at++
		}
		if m == 0xd9 {
			cut(at, at)
			j.end = at
			if j.width == 0 {
				return nil, bad(at, "no frame")
			}
			return j, nil
		}
		if m >= 0xd0 && m <= 0xd8 || m == 0 || m == 0x01 {
			cut(start, at)
			continue
		}
		var l [2]byte
		if _, err := io.ReadFull(r, l[:]); err != nil {
			return nil, bad(at, "segment cut short")
		}
		n := int(binary.BigEndian.Uint16(l[:])) - 2
		at += 2
		if n < 0 {
			return nil, bad(at, "segment without length")
		}
		b := make([]byte, n) // at most 64 KiB
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, bad(at, "segment cut short")
		}
		at += int64(n)
		keep := false
		switch {
		case m == 0xc4 || m == 0xdd:
			keep = true
		case m == 0xdb:
			keep = true
			if !j.quantisation(b) {
				return nil, bad(at, "quantisation table")
			}
		case m == 0xc0 || m == 0xc1 || m == 0xc2:
			keep = true
			if j.width != 0 || !j.frame(b, m == 0xc2) {
				return nil, bad(at, "frame")
			}
		case m >= 0xc3 && m <= 0xcf:
			return nil, fmt.Errorf("JPEG of a kind without decoder (SOF%d): %w", m-0xc0, sanitize.ErrUnsupported)
		case m == 0xe0 && bytes.HasPrefix(b, []byte("JFIF\x00")) && n >= 12:
			keep, j.jfif = true, true
			if b[7] <= 2 {
				copy(j.density[:], b[7:12])
			}
			if n > 14 {
				drop("thumbnail")
			}
		case m == 0xee && bytes.HasPrefix(b, []byte("Adobe")) && n >= 12:
			keep = true
			j.adobe = int(b[11])
		case m == 0xe1 && bytes.HasPrefix(b, []byte("Exif\x00")):
			drop("Exif")
			if o := orientation(b); o != 0 && !seen["turn"] {
				j.orientation = o
				seen["turn"] = true
			}
		case m == 0xda:
			cut(start, start)
			// A scan may say in a few octets that nothing changes in millions of
			// blocks, and every decoder goes through them all.
			if j.scans++; int64(j.scans)*int64(j.width)*int64(j.height) > maxScanned {
				return nil, fmt.Errorf("JPEG of %d scans over %d by %d pixels: %w", j.scans, j.width, j.height, sanitize.ErrLimit)
			}
			n, err := scan(r)
			at += n
			if errors.Is(err, io.EOF) && j.width != 0 {
				// The end is missing, as some cameras and faxes leave it. What
				// stands before it is whole, or a decoder says that it is not.
				cut(in.Size, in.Size)
				j.pieces = append(j.pieces, strings.NewReader("\xff\xd9"))
				j.end = in.Size
				return j, nil
			}
			if err != nil {
				return nil, bad(at, "no end of image")
			}
			continue
		case m == 0xe1:
			drop("XMP")
		case m == 0xe2 && bytes.HasPrefix(b, []byte("ICC_PROFILE\x00")):
			j.profilePiece(b[12:])
			drop("colour profile")
		case m == 0xe2 && bytes.HasPrefix(b, []byte("MPF\x00")):
			drop("further pictures")
		case m == 0xed:
			drop("IPTC")
		case m == 0xfe:
			drop("comment")
		case m >= 0xe0 && m <= 0xef:
			drop("application data")
		default:
			return nil, bad(at, fmt.Sprintf("marker 0x%02x", m))
		}
		if keep {
			cut(start, start)
		} else {
			cut(start, at)
		}
	}
	return nil, fmt.Errorf("JPEG of more than %d segments: %w", maxSegments, sanitize.ErrLimit)
}

// scan passes over entropy-coded data to the marker that ends it.
func scan(r *bufio.Reader) (int64, error) {
	var n int64
	for {
		p, err := r.Peek(2)
		if err != nil {
			return n, err
		}
		switch {
		case p[0] != 0xff:
			// As far as the next 0xff in what is buffered, at once.
			b, err := r.Peek(r.Buffered())
			if err != nil {
				return n, err
			}
			i := bytes.IndexByte(b, 0xff)
			if i < 0 {
				i = len(b)
			}
			m, err := r.Discard(i)
			n += int64(m)
			if err != nil {
				return n, err
			}
			continue
		case p[1] == 0 || p[1] >= 0xd0 && p[1] <= 0xd7:
			m, err := r.Discard(2)
			n += int64(m)
			if err != nil {
				return n, err
			}
		case p[1] == 0xff:
			m, err := r.Discard(1)
			n += int64(m)
			if err != nil {
				return n, err
			}
		default:
			return n, nil
		}
	}
}

// quantisation reads the tables of one DQT segment (T.81 B.2.4.1).
func (j *segments) quantisation(b []byte) bool {
	for len(b) > 0 {
		precision, id := b[0]>>4, b[0]&15
		size := 64 * (1 + int(precision))
		if precision > 1 || id > 3 || len(b) < 1+size {
			return false
		}
		var t [64]byte
		for i := range t {
			v := int(b[1+i])
			if precision == 1 {
				v = int(b[1+2*i])<<8 | int(b[2+2*i])
			}
			j.retabled = j.retabled || v < 1 || v > 255
			// Baseline tables have 8 bits, and nothing divides by zero.
			t[i] = byte(min(max(v, 1), 255))
		}
		// Tables that change between scans mean another for each component.
		j.retabled = j.retabled || j.scans > 0 && (j.quant[id] == nil || *j.quant[id] != t)
		j.quant[id] = &t
		b = b[1+size:]
	}
	return true
}

// frame reads a frame header (T.81 B.2.2).
func (j *segments) frame(b []byte, progressive bool) bool {
	if len(b) < 6 || len(b) != 6+3*int(b[5]) || b[5] == 0 || b[5] > 4 {
		return false
	}
	j.height, j.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	j.components, j.progressive = int(b[5]), progressive
	for i := range j.components {
		j.ids[i], j.sampling[i], j.tables[i] = b[6+3*i], b[7+3*i], b[8+3*i]&3
	}
	return j.width > 0 && j.height > 0
}

// bytesPerPixel is what the decoder holds: the samples, of a progressive
// picture a 32-bit coefficient for each too, and a second picture where it
// converts colours.
func (j *segments) bytesPerPixel() float64 {
	n := j.samples()
	if j.progressive {
		n *= 5
	}
	if j.rgb() || j.components == 4 {
		n += 4
	}
	return n
}

// samples is how many there are for a pixel.
func (j *segments) samples() float64 {
	most := 1
	for _, s := range j.sampling[:j.components] {
		most = max(most, int(s>>4)*int(s&15))
	}
	samples := 0.0
	for _, s := range j.sampling[:j.components] {
		samples += float64(int(s>>4)*int(s&15)) / float64(most)
	}
	if j.components == 1 {
		samples = 1
	}
	return samples
}

// rgb is the standard library's rule for three components that are not YCbCr.
func (j *segments) rgb() bool {
	return j.components == 3 && !j.jfif && (j.adobe == 0 || j.ids == [4]byte{'R', 'G', 'B'})
}

// table is the quantisation of a component, or the standard's for quality 90
// when there is none.
func (j *segments) table(component int) *[64]byte {
	if component < j.components {
		if t := j.quant[j.tables[component]]; t != nil {
			return t
		}
	}
	return quality90(&standardLuma)
}

// orientation reads how the camera was held from an Exif segment, or 0. It
// looks at one tag of the first directory and follows nothing else.
func orientation(b []byte) int {
	return turnIn(b[min(6, len(b)):]).value
}

// exifTurn is an orientation and where it lies: in four octets or in two.
type exifTurn struct {
	value, at int
	long      bool
	order     binary.ByteOrder
}

// turnIn finds the orientation in what Exif is, a TIFF without pictures.
func turnIn(b []byte) exifTurn {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return exifTurn{}
	}
	if len(b) < 8 {
		return exifTurn{}
	}
	dir := int64(order.Uint32(b[4:]))
	if dir+2 > int64(len(b)) {
		return exifTurn{}
	}
	n := int64(order.Uint16(b[dir:]))
	for i := range n {
		e := dir + 2 + 12*i
		if e+12 > int64(len(b)) {
			return exifTurn{}
		}
		// Exif 2.3, 4.6.4: tag 274, SHORT, count 1. Some programs write LONG.
		if order.Uint16(b[e:]) != 274 {
			continue
		}
		typ, o := order.Uint16(b[e+2:]), 0
		switch typ {
		case 3:
			o = int(order.Uint16(b[e+8:]))
		case 4, 9:
			o = int(min(order.Uint32(b[e+8:]), 9))
		}
		if o >= 1 && o <= 8 {
			return exifTurn{o, int(e + 8), typ != 3, order}
		}
		return exifTurn{}
	}
	return exifTurn{}
}

// plane is one component as the encoder sees it: samples by place. Direct is
// set where the samples lie in memory in that order.
type plane struct {
	width, height int
	at            func(x, y int) uint8
	direct        []byte
	stride        int
}

// raster is a picture in one or three planes, the first h by v times as dense
// as the others.
type raster struct {
	width, height int
	h, v          int
	planes        []plane
}

// planes shows a decoded picture as planes, without copying it.
func planes(m image.Image) raster {
	b := m.Bounds()
	r := raster{width: b.Dx(), height: b.Dy(), h: 1, v: 1}
	memory := func(w, h int, pix []byte, stride int) plane {
		return plane{width: w, height: h, direct: pix, stride: stride, at: func(x, y int) uint8 { return pix[y*stride+x] }}
	}
	switch m := m.(type) {
	case *image.Gray:
		r.planes = []plane{memory(r.width, r.height, m.Pix, m.Stride)}
	case *image.YCbCr:
		switch m.SubsampleRatio {
		case image.YCbCrSubsampleRatio422:
			r.h = 2
		case image.YCbCrSubsampleRatio420:
			r.h, r.v = 2, 2
		case image.YCbCrSubsampleRatio440:
			r.v = 2
		case image.YCbCrSubsampleRatio411:
			r.h = 4
		case image.YCbCrSubsampleRatio410:
			r.h, r.v = 4, 2
		}
		cw, ch := (r.width+r.h-1)/r.h, (r.height+r.v-1)/r.v
		r.planes = []plane{memory(r.width, r.height, m.Y, m.YStride), memory(cw, ch, m.Cb, m.CStride), memory(cw, ch, m.Cr, m.CStride)}
	default:
		// RGB and CMYK are converted sample by sample as the encoder asks, so
		// that no second picture is held.
		component := func(i int) plane {
			return plane{width: r.width, height: r.height, at: func(x, y int) uint8 {
				var cr, cg, cb uint8
				switch m := m.(type) {
				case *image.CMYK:
					p := m.Pix[y*m.Stride+4*x:]
					cr, cg, cb = color.CMYKToRGB(p[0], p[1], p[2], p[3])
				case *image.RGBA:
					p := m.Pix[y*m.Stride+4*x:]
					cr, cg, cb = p[0], p[1], p[2]
				default:
					r32, g32, b32, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
					cr, cg, cb = uint8(r32>>8), uint8(g32>>8), uint8(b32>>8)
				}
				yy, u, v := color.RGBToYCbCr(cr, cg, cb)
				return [...]uint8{yy, u, v}[i]
			}}
		}
		r.planes = []plane{component(0), component(1), component(2)}
	}
	return r
}

// turn lays the picture as the camera was held (Exif 2.3, 4.6.4, Orientation).
func turn(r raster, orientation int) raster {
	if orientation < 2 || orientation > 8 {
		return r
	}
	swap := orientation >= 5
	t := raster{width: r.width, height: r.height, h: r.h, v: r.v, planes: make([]plane, len(r.planes))}
	if swap {
		t.width, t.height = r.height, r.width
		t.h, t.v = r.v, r.h
		if t.v > 2 {
			// Chroma four times as coarse down a column is more than decoders
			// take; it is repeated instead.
			t.h, t.v = 1, 1
		}
	}
	for i, p := range r.planes {
		// Of the sampling of each plane, before and after.
		sh, sv, dh, dv := 1, 1, 1, 1
		if i > 0 {
			sh, sv, dh, dv = r.h, r.v, t.h, t.v
		}
		at := p.at
		t.planes[i] = plane{
			width: (t.width + dh - 1) / dh, height: (t.height + dv - 1) / dv,
			at: func(x, y int) uint8 {
				x, y = min(x*dh, t.width-1), min(y*dv, t.height-1)
				switch orientation {
				case 2:
					x = r.width - 1 - x
				case 3:
					x, y = r.width-1-x, r.height-1-y
				case 4:
					y = r.height - 1 - y
				case 5:
					x, y = y, x
				case 6:
					x, y = y, r.height-1-x
				case 7:
					x, y = r.width-1-y, r.height-1-x
				case 8:
					x, y = r.width-1-y, x
				}
				return at(x/sh, y/sv)
			},
		}
	}
	return t
}
