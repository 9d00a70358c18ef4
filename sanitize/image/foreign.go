package image

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"io"

	"sekisho/sanitize"
)

// Sanitize implements sanitize.Sanitizer.
func (Foreign) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	if !inside(in.Path) {
		switch in.Kind {
		case sanitize.KindGIF:
			return animation(ctx, s, in, out)
		case sanitize.KindTIFF:
			return pages(ctx, s, in, out)
		}
	}
	var m image.Image
	var err error
	more, orientation := false, 0
	switch in.Kind {
	case sanitize.KindGIF:
		m, more, err = stillGIF(s, in)
	case sanitize.KindBMP:
		m, err = readBMP(s, in)
	case sanitize.KindPCX:
		m, err = readPCX(s, in)
	case sanitize.KindTGA:
		m, err = readTGA(s, in)
	case sanitize.KindPNM:
		m, more, err = readPNM(s, in)
	case sanitize.KindWebP:
		m, more, err = readWebP(s, in)
		orientation = webpOrientation(in)
	case sanitize.KindTIFF:
		return firstPage(ctx, s, in, out)
	default:
		err = fmt.Errorf("%s: %w", in.Kind, sanitize.ErrUnsupported)
	}
	if err != nil {
		return sanitize.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	if more {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the first picture of several stays"})
	}
	s.Look(m)
	if photo, ok := m.(*image.YCbCr); ok && !inside(in.Path) {
		// A lossy picture would weigh ten times as much without loss.
		e := encoder{out: &writer{w: out}, luma: quality90(&standardLuma), chroma: quality90(&standardChroma)}
		if orientation > 1 {
			s.Found(sanitize.Finding{Rule: "image.orientation", Action: sanitize.Rewritten, Detail: "turned as the camera said"})
		}
		if err := e.encode(turn(planes(photo), orientation)); err != nil {
			return sanitize.Result{}, fmt.Errorf("encode JPEG: %w", err)
		}
		return clean(sanitize.KindJPEG), nil
	}
	if err := writePNG(out, laid(s, m, orientation), nil); err != nil {
		return sanitize.Result{}, err
	}
	return clean(sanitize.KindPNG), nil
}

// stillGIF decodes the first picture of a GIF on its screen.
func stillGIF(s *sanitize.Session, in sanitize.Object) (m image.Image, more bool, err error) {
	c, err := gif.DecodeConfig(in.Reader())
	if err != nil {
		return nil, false, malformed("read the size of the gif", err)
	}
	if err := s.SpendPixels(c.Width, c.Height); err != nil {
		return nil, false, err
	}
	if err := affordable(int64(c.Width)*int64(c.Height), 6); err != nil {
		return nil, false, err
	}
	if m, err = gif.Decode(bufio.NewReader(in.Reader())); err != nil {
		return nil, false, malformed("decode gif", err)
	}
	if full := image.Rect(0, 0, c.Width, c.Height); m.Bounds() != full {
		// It may be smaller than its screen.
		canvas := image.NewNRGBA(full)
		draw.Draw(canvas, m.Bounds(), m, m.Bounds().Min, draw.Src)
		m = canvas
	}
	return m, moreGIF(in), nil
}

// moreGIF reports whether a second image descriptor follows the first.
func moreGIF(in sanitize.Object) bool {
	r := bufio.NewReader(in.Reader())
	var h [13]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return false
	}
	skip := func(n int) bool { m, err := r.Discard(n); return err == nil && m == n }
	if h[10]&0x80 != 0 && !skip(3<<(h[10]&7+1)) {
		return false
	}
	images := 0
	for {
		c, err := r.ReadByte()
		if err != nil {
			return false
		}
		switch c {
		case 0x21:
			if !skip(1) {
				return false
			}
		case 0x2c:
			if images++; images > 1 {
				return true
			}
			var d [9]byte
			if _, err := io.ReadFull(r, d[:]); err != nil {
				return false
			}
			if d[8]&0x80 != 0 && !skip(3<<(d[8]&7+1)) {
				return false
			}
			if !skip(1) {
				return false
			}
		default:
			return false
		}
		for { // data sub-blocks
			n, err := r.ReadByte()
			if err != nil {
				return false
			}
			if n == 0 {
				break
			}
			if !skip(int(n)) {
				return false
			}
		}
	}
}

// firstPage writes the first page of a TIFF inside a document as PNG.
func firstPage(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	order, sheets, err := walkTIFF(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	_, m, err := sheetPixels(s, metered(in), order, sheets[0], 8)
	if err != nil {
		return sanitize.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	if len(sheets) > 1 {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the first picture of several stays"})
	}
	s.Look(m)
	if err := writePNG(out, m, nil); err != nil {
		return sanitize.Result{}, err
	}
	return clean(sanitize.KindPNG), nil
}
