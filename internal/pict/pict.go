// Package pict finds the bitmaps in a picture of the Macintosh (PICT), as Office
// for the Macintosh keeps them in documents. Source: Inside Macintosh, Imaging
// With QuickDraw, appendix A.
//
// In comes what a stranger drew: a list of calls. Out goes one image of all
// bitmaps among them, where they stand in the frame. Lines, shapes and letters
// are passed over: nothing here draws. A picture without bitmaps is none.
//
// A PICT holds no code; what hurt its readers are counts, each of which is held
// against the octets that are there.
package pict

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
)

// ErrMalformed says that the list of calls does not hold together.
var ErrMalformed = errors.New("malformed PICT")

// ErrNoBitmap says that it has no bitmap.
var ErrNoBitmap = errors.New("a PICT without a bitmap")

const (
	// maxCalls is how many calls are looked at; drawings have some ten thousand.
	maxCalls = 1 << 20
	// maxBitmaps bounds how often the frame is painted over.
	maxBitmaps = 256
	// maxSide is the longest side of a bitmap: QuickDraw counts in 16 bits.
	maxSide = 1 << 15
	// maxPixels is how many pixels are made in all, a quarter of what a picture may
	// have: they are held in four octets each, twice over.
	maxPixels = 25_000_000
	// maxScale is how much finer than the frame an image may be: 576 to the inch.
	maxScale = 8
)

// Decode returns the bitmaps of a picture as they lie in its frame, on white.
func Decode(b []byte) (image.Image, error) {
	r := &reader{b: b}
	// A size that nobody trusts, and the frame.
	if len(b) < 2+8+2 {
		return nil, fmt.Errorf("%d octets: %w", len(b), ErrMalformed)
	}
	r.at = 2
	frame := r.rect()
	if frame.Empty() {
		return nil, fmt.Errorf("frame %v: %w", frame, ErrMalformed)
	}
	if err := r.version(); err != nil {
		return nil, err
	}
	found, err := r.bitmaps()
	if len(found) == 0 {
		if err == nil {
			err = ErrNoBitmap
		}
		return nil, err
	}
	// What was read before it broke off is shown, as applications do.
	scale := 1.0
	for _, f := range found {
		scale = max(scale, float64(f.from.Dx())/float64(f.to.Dx()), float64(f.from.Dy())/float64(f.to.Dy()))
	}
	scale = min(scale, maxScale)
	side := func(n int) int { return min(max(int(float64(n)*scale+0.5), 1), maxSide) }
	width, height := side(frame.Dx()), side(frame.Dy())
	if r.pixelsMade+width*height > maxPixels {
		return nil, fmt.Errorf("%d x %d pixels: %w", width, height, ErrMalformed)
	}
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	at := func(n, from, all, full int) int { return (n - from) * all / full }
	for _, f := range found {
		to := image.Rect(
			at(f.to.Min.X, frame.Min.X, width, frame.Dx()), at(f.to.Min.Y, frame.Min.Y, height, frame.Dy()),
			at(f.to.Max.X, frame.Min.X, width, frame.Dx()), at(f.to.Max.Y, frame.Min.Y, height, frame.Dy()))
		f.paint(out, to)
	}
	return out, nil
}

// bitmap is a bitmap and where it goes.
type bitmap struct {
	image    *image.RGBA
	from, to image.Rectangle
}

// paint puts the bitmap into a part of the image: each pixel there is the one
// that lies under its middle.
func (f bitmap) paint(out *image.RGBA, to image.Rectangle) {
	if to.Empty() {
		return
	}
	visible := to.Intersect(out.Bounds())
	for y := visible.Min.Y; y < visible.Max.Y; y++ {
		fromY := f.from.Min.Y + (2*(y-to.Min.Y)+1)*f.from.Dy()/(2*to.Dy())
		for x := visible.Min.X; x < visible.Max.X; x++ {
			fromX := f.from.Min.X + (2*(x-to.Min.X)+1)*f.from.Dx()/(2*to.Dx())
			if (image.Point{X: fromX, Y: fromY}).In(f.image.Rect) {
				out.SetRGBA(x, y, f.image.RGBAAt(fromX, fromY))
			}
		}
	}
}

// reader walks over the calls. Where octets are missing it stands at the end and
// has failed.
type reader struct {
	b      []byte
	at     int
	wide   bool // calls are numbered in two octets and stand at even places
	failed bool

	pixelsMade int
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.failed, r.at = true, len(r.b)
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at : r.at]
}

func (r *reader) octet() int {
	if b := r.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (r *reader) word() int {
	if b := r.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) long() int {
	if b := r.take(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

// rect reads a rectangle: top, left, bottom, right.
func (r *reader) rect() image.Rectangle {
	side := func() int { return int(int16(r.word())) }
	top, left, bottom, right := side(), side(), side(), side()
	return image.Rectangle{Min: image.Point{X: left, Y: top}, Max: image.Point{X: right, Y: bottom}}
}

func (r *reader) version() error {
	switch {
	case len(r.b)-r.at >= 4 && r.b[r.at] == 0 && r.b[r.at+1] == 0x11 && r.b[r.at+2] == 2 && r.b[r.at+3] == 0xFF:
		r.wide = true
		r.at += 4
		return nil
	case r.b[r.at] == 0x11 && r.b[r.at+1] == 1:
		r.at += 2
		return nil
	default:
		return fmt.Errorf("no version: %w", ErrMalformed)
	}
}

const endOfPicture = 0xFF

// bitmaps reads the calls up to the end, or to where they break off.
func (r *reader) bitmaps() (found []bitmap, err error) {
	for range maxCalls {
		call := 0
		if r.wide {
			r.at += r.at & 1
			call = r.word()
		} else {
			call = r.octet()
		}
		if r.failed {
			return found, fmt.Errorf("it ends early: %w", ErrMalformed)
		}
		if call == endOfPicture {
			return found, nil
		}
		switch call {
		case 0x90, 0x91, 0x98, 0x99, 0x9A, 0x9B:
			if len(found) == maxBitmaps {
				return found, fmt.Errorf("more than %d bitmaps: %w", maxBitmaps, ErrMalformed)
			}
			f, err := r.bitmap(call)
			if err != nil {
				return found, err
			}
			found = append(found, f)
		default:
			r.skip(call)
		}
		if r.failed {
			return found, fmt.Errorf("call %04X ends early: %w", call, ErrMalformed)
		}
	}
	return found, fmt.Errorf("more than %d calls: %w", maxCalls, ErrMalformed)
}

// skip passes over what a call has. Table A-2.
func (r *reader) skip(call int) {
	switch {
	case call < 0x30:
		r.skipSetting(call)
	case call < 0x70:
		// Rectangles, with round corners too, ovals and arcs; the second eight of
		// each mean the last one again.
		again, arc := call&8 != 0, call >= 0x60
		switch {
		case again && arc:
			r.take(4)
		case again:
		case arc:
			r.take(12)
		default:
			r.take(8)
		}
	case call < 0x90:
		if call&8 == 0 { // polygons and regions count themselves
			r.take(r.word() - 2)
		}
	case call == 0xA0:
		r.take(2)
	case call == 0xA1:
		r.take(2)
		r.take(r.word())
	case call < 0xB0:
		r.take(r.word())
	case call < 0xD0:
	case call < 0x100:
		r.take(r.long())
	case call < 0x8000:
		r.take(call >> 8 * 2)
	case call < 0x8100:
	default:
		r.take(r.long())
	}
}

// skipSetting passes over what sets pens, fonts and colours, and over letters.
func (r *reader) skipSetting(call int) {
	switch call {
	case 0x00, 0x17, 0x18, 0x19, 0x1C, 0x1E:
	case 0x01:
		r.take(r.word() - 2)
	case 0x04:
		r.take(1)
	case 0x11:
		if r.wide {
			r.take(2)
		} else {
			r.take(1)
		}
	case 0x03, 0x05, 0x08, 0x0D, 0x15, 0x16, 0x23:
		r.take(2)
	case 0x06, 0x07, 0x0B, 0x0C, 0x0E, 0x0F, 0x21:
		r.take(4)
	case 0x1A, 0x1B, 0x1D, 0x1F, 0x22:
		r.take(6)
	case 0x02, 0x09, 0x0A, 0x10, 0x20:
		r.take(8)
	case 0x12, 0x13, 0x14:
		r.pattern()
	case 0x28:
		r.take(4)
		r.take(r.octet())
	case 0x29, 0x2A:
		r.take(1)
		r.take(r.octet())
	case 0x2B:
		r.take(2)
		r.take(r.octet())
	default:
		r.take(r.word())
	}
}

// pattern passes over a pattern of pixels.
func (r *reader) pattern() {
	const dithered = 2
	kind := r.word()
	r.take(8)
	if kind == dithered {
		r.take(6)
		return
	}
	row := r.word()
	m := r.pixels(row)
	r.colours()
	r.rows(row&0x3FFF, row&0x3FFF, m.bounds.Dy(), m, func([]byte) {})
}

// white is what pixels are that have no colour.
var white = color.RGBA{0xFF, 0xFF, 0xFF, 0xFF}
