package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

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
	var decode func(io.Reader) (image.Image, error)
	var config func(io.Reader) (image.Config, error)
	more := false
	perPixel := 8.0 // 16 bits in four channels
	switch in.Kind {
	case sanitize.KindGIF:
		decode, config, perPixel = gif.Decode, gif.DecodeConfig, 6
		more = moreGIF(in)
	case sanitize.KindBMP:
		decode, config, perPixel = bmp.Decode, bmp.DecodeConfig, 4
	case sanitize.KindTIFF:
		decode, config = tiff.Decode, tiff.DecodeConfig
		more = moreTIFF(in)
	case sanitize.KindWebP:
		decode, config = webp.Decode, webp.DecodeConfig
	default:
		return sanitize.Result{}, fmt.Errorf("%s: %w", in.Kind, sanitize.ErrUnsupported)
	}
	c, err := config(in.Reader())
	if unsupported(err) {
		return sanitize.Result{}, fmt.Errorf("read the size of the %s: %w: %w", in.Kind, err, sanitize.ErrUnsupported)
	}
	if err != nil {
		return sanitize.Result{}, malformed("read the size of the "+string(in.Kind), err)
	}
	if err := s.SpendPixels(c.Width, c.Height); err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(int64(c.Width)*int64(c.Height), perPixel); err != nil {
		return sanitize.Result{}, err
	}
	var m image.Image
	if in.Kind == sanitize.KindTIFF {
		// The library wants to read anywhere.
		m, err = decode(in.Reader())
	} else {
		m, err = decode(bufio.NewReader(in.Reader()))
	}
	if unsupported(err) {
		return sanitize.Result{}, fmt.Errorf("decode %s: %w: %w", in.Kind, err, sanitize.ErrUnsupported)
	}
	if err != nil {
		return sanitize.Result{}, malformed("decode "+string(in.Kind), err)
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	if more {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the first picture of several stays"})
	}
	if full := image.Rect(0, 0, c.Width, c.Height); m.Bounds() != full {
		// A GIF's first picture may be smaller than its screen.
		canvas := image.NewNRGBA(full)
		draw.Draw(canvas, m.Bounds(), m, m.Bounds().Min, draw.Src)
		m = canvas
	}
	s.Look(m)
	if photo, ok := m.(*image.YCbCr); ok && !inside(in.Path) {
		// A lossy picture would weigh ten times as much without loss.
		e := encoder{out: &writer{w: out}, luma: quality90(&standardLuma), chroma: quality90(&standardChroma)}
		if err := e.encode(planes(photo)); err != nil {
			return sanitize.Result{}, fmt.Errorf("encode JPEG: %w", err)
		}
		return clean(sanitize.KindJPEG), nil
	}
	if err := writePNG(out, m, nil); err != nil {
		return sanitize.Result{}, err
	}
	return clean(sanitize.KindPNG), nil
}

// unsupported reports whether a library knows a format and not this shape of it.
func unsupported(err error) bool {
	var t tiff.UnsupportedError
	return errors.As(err, &t) || errors.Is(err, bmp.ErrUnsupported)
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

// moreTIFF reports whether the first directory points to another.
func moreTIFF(in sanitize.Object) bool {
	h := make([]byte, 8)
	if _, err := in.ReadAt(h, 0); err != nil {
		return false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(h, []byte("MM")) {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(h[4:]))
	n := make([]byte, 2)
	if _, err := in.ReadAt(n, at); err != nil {
		return false
	}
	next := make([]byte, 4)
	if _, err := in.ReadAt(next, at+2+12*int64(order.Uint16(n))); err != nil {
		return false
	}
	return order.Uint32(next) != 0
}
