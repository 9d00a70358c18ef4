package image

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"

	"sekisho/sanitize"
)

// Icon writes the largest picture of an icon or a pointer of Windows as PNG.
type Icon struct{}

// maxIcons is the most pictures that an icon's directory is read for. Programs
// write a dozen.
const maxIcons = 256

// Sanitize implements sanitize.Sanitizer.
func (Icon) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	e, more, err := largestIcon(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	if more > 0 {
		// The same picture for smaller places.
		s.Found(sanitize.Finding{Rule: "image.metadata", Action: sanitize.Rewritten, Detail: fmt.Sprintf("%d smaller sizes", more)})
	}
	sub := in
	sub.ReaderAt, sub.Size = io.NewSectionReader(in, e.at, e.size), e.size
	sub.Names, sub.Name, sub.Declared = nil, "", ""
	var head [8]byte
	if _, err := sub.ReadAt(head[:], 0); err == nil && string(head[:]) == pngMagic {
		res, err := s.Instead(ctx, sub, sanitize.KindPNG, out)
		if err != nil {
			return sanitize.Result{}, err
		}
		res.Mode = sanitize.Convert
		return res, nil
	}
	m, err := bitmap(s, sub)
	if err != nil {
		return sanitize.Result{}, err
	}
	return finish(ctx, s, m, out)
}

// icon is an entry of the directory.
type icon struct{ at, size, area, bits int64 }

// largestIcon reads the directory and says which picture is the largest, and
// how many others there are.
func largestIcon(in sanitize.Object) (icon, int, error) {
	var h [6]byte
	if _, err := in.ReadAt(h[:], 0); err != nil {
		return icon{}, 0, malformed("read icon", err)
	}
	n := int(binary.LittleEndian.Uint16(h[4:]))
	if n == 0 || n > maxIcons {
		return icon{}, 0, malformed("read icon", fmt.Errorf("%d pictures", n))
	}
	dir := make([]byte, 16*n)
	if _, err := in.ReadAt(dir, 6); err != nil {
		return icon{}, 0, malformed("read icon", err)
	}
	var best icon
	for ; len(dir) > 0; dir = dir[16:] {
		side := func(b byte) int64 { return (int64(b)+255)%256 + 1 } // 0 is 256
		e := icon{
			at: int64(binary.LittleEndian.Uint32(dir[12:])), size: int64(binary.LittleEndian.Uint32(dir[8:])),
			area: side(dir[0]) * side(dir[1]), bits: int64(binary.LittleEndian.Uint16(dir[6:])),
		}
		if e.at < 6 || e.size < 40 || e.at+e.size > in.Size {
			continue
		}
		if h[2] == 2 {
			e.bits = 0 // of a pointer it is where it points
		}
		if best.size == 0 || e.area > best.area || e.area == best.area && e.bits > best.bits {
			best = e
		}
	}
	if best.size == 0 {
		return icon{}, 0, malformed("read icon", fmt.Errorf("no picture of %d lies in the file", n))
	}
	return best, n - 1, nil
}

// bitmap reads a bitmap as it stands in an icon: a header whose height counts
// the picture and its mask, colours, pixels, mask.
func bitmap(s *sanitize.Session, in sanitize.Object) (image.Image, error) {
	bad := func(format string, a ...any) (image.Image, error) {
		return nil, malformed("read icon", fmt.Errorf(format, a...))
	}
	le := binary.LittleEndian
	var h [40]byte
	if _, err := in.ReadAt(h[:], 0); err != nil {
		return bad("no header")
	}
	size, w, ht := int64(le.Uint32(h[:])), int64(int32(le.Uint32(h[4:]))), int64(int32(le.Uint32(h[8:])))/2
	bits, packed, used := int64(le.Uint16(h[14:])), le.Uint32(h[16:]), int64(le.Uint32(h[32:]))
	if size < 40 || size > 124 || w <= 0 || ht <= 0 || w > 1<<15 || ht > 1<<15 || packed != 0 {
		return bad("%d x %d pixels, packing %d", w, ht, packed)
	}
	colours := int64(0)
	switch bits {
	case 1, 4, 8:
		if colours = 1 << bits; used > 0 && used < colours {
			colours = used
		}
	case 24, 32:
		colours = used
	default:
		return bad("%d bits a pixel", bits)
	}
	if err := s.SpendPixels(int(w), int(ht)); err != nil {
		return nil, err
	}
	stride, mask := (w*bits+31)/32*4, (w+31)/32*4
	at := size + 4*colours
	if colours > 256 || at+stride*ht > in.Size {
		return bad("pixels cut short")
	}
	if err := affordable(w*ht, 4+float64(bits)/8); err != nil {
		return nil, err
	}
	b := make([]byte, min(at+(stride+mask)*ht, in.Size))
	if _, err := in.ReadAt(b, 0); err != nil && err != io.EOF {
		return bad("%v", err)
	}
	m := image.NewNRGBA(image.Rect(0, 0, int(w), int(ht)))
	sheer := false // whether the pixels say themselves how they cover
	for y := range ht {
		row, to := b[at+(ht-1-y)*stride:], m.Pix[y*4*w:]
		for x := range w {
			p := to[4*x : 4*x+4]
			switch bits {
			case 24:
				p[0], p[1], p[2], p[3] = row[3*x+2], row[3*x+1], row[3*x], 255
			case 32:
				p[0], p[1], p[2], p[3] = row[4*x+2], row[4*x+1], row[4*x], row[4*x+3]
				sheer = sheer || p[3] != 0
			default:
				i := int64(row[x*bits/8]>>(8-bits-x*bits%8)) & (1<<bits - 1)
				if i >= colours {
					i = 0
				}
				c := b[size+4*i:]
				p[0], p[1], p[2], p[3] = c[2], c[1], c[0], 255
			}
		}
	}
	if from := at + stride*ht; !sheer {
		for y := range ht {
			for x := range w {
				i := from + (ht-1-y)*mask + x/8
				covered := i >= int64(len(b)) || b[i]<<(x%8)&0x80 == 0
				m.Pix[4*(y*w+x)+3] = 0
				if covered {
					m.Pix[4*(y*w+x)+3] = 255
				}
			}
		}
	}
	return m, nil
}

// finish writes the pixels of a picture whose format goes no further: without
// loss, or as a photograph where that would weigh as much as the plain pixels.
func finish(ctx context.Context, s *sanitize.Session, m image.Image, out io.Writer) (sanitize.Result, error) {
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	s.Look(m)
	b := m.Bounds()
	// A drawing packs to a fraction of a byte a pixel; what takes more than one
	// is a photograph.
	const small = 256 << 10
	try := &sanitize.Buffer{Most: min(small+int64(b.Dx())*int64(b.Dy()), s.Options.Limits.OutputBytes)}
	err := writePNG(try, m, nil)
	switch {
	case err == nil:
		if _, err := try.WriteTo(out); err != nil {
			return sanitize.Result{}, fmt.Errorf("write PNG: %w", err)
		}
		return converts(sanitize.KindPNG), nil
	case !errors.Is(err, sanitize.ErrLimit):
		return sanitize.Result{}, err
	case !opaque(m) || b.Dx() > 65535 || b.Dy() > 65535:
		if err := writePNG(out, m, nil); err != nil {
			return sanitize.Result{}, err
		}
		return converts(sanitize.KindPNG), nil
	}
	e := encoder{out: &writer{w: out}, luma: quality90(&standardLuma), chroma: quality90(&standardChroma)}
	if err := e.encode(planes(m)); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode JPEG: %w", err)
	}
	return converts(sanitize.KindJPEG), nil
}

// converts is clean for a picture that comes out in another format.
func converts(k sanitize.Kind) sanitize.Result {
	return sanitize.Result{Outcome: sanitize.Clean, Kind: k, Mode: sanitize.Convert}
}

// inked turns the four inks in pix into colours, in their place.
func inked(pix []byte) {
	for ; len(pix) >= 4; pix = pix[4:] {
		pix[0], pix[1], pix[2] = color.CMYKToRGB(pix[0], pix[1], pix[2], pix[3])
		pix[3] = 255
	}
}
