package qr

import (
	"image"
	"image/color"
)

// greyBelow is how many pixels are turned grey before the picture is reduced;
// of larger ones every second or third pixel does.
const greyBelow = 4 * maxPixels

// Read is Decode for a picture of any model. It changes nothing in it, and of
// grey pictures and photographs it copies nothing.
func Read(m image.Image) []string {
	p, ok := grey(m)
	if !ok {
		return nil
	}
	return Decode(p)
}

func grey(m image.Image) (Plane, bool) {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 {
		return Plane{}, false
	}
	switch m := m.(type) {
	case *image.Gray:
		return Plane{m.Pix[m.PixOffset(b.Min.X, b.Min.Y):], w, h, m.Stride}, true
	case *image.YCbCr:
		return Plane{m.Y[m.YOffset(b.Min.X, b.Min.Y):], w, h, m.YStride}, true
	}
	k := 1
	for (w/k)*(h/k) > greyBelow {
		k++
	}
	p := Plane{Width: w / k, Height: h / k, Stride: w / k}
	if p.Width == 0 || p.Height == 0 {
		return Plane{}, false
	}
	p.Pix = make([]byte, p.Width*p.Height)
	// What shines through is taken for paper.
	over := func(v, alpha int) int { return (v*alpha + 255*(255-alpha)) / 255 }
	luma := func(r, g, b int) int { return (r*77 + g*150 + b*29) >> 8 }
	each := func(pix []byte, stride, size int, f func(q []byte) int) {
		for y := range p.Height {
			row := pix[y*k*stride:]
			line := p.Pix[y*p.Stride : (y+1)*p.Stride]
			for x := range line {
				line[x] = byte(f(row[x*k*size : x*k*size+size]))
			}
		}
	}
	switch m := m.(type) {
	case *image.Paletted:
		var t [256]byte
		for i, c := range m.Palette[:min(len(m.Palette), 256)] {
			n, _ := color.NRGBAModel.Convert(c).(color.NRGBA)
			t[i] = byte(over(luma(int(n.R), int(n.G), int(n.B)), int(n.A)))
		}
		each(m.Pix, m.Stride, 1, func(q []byte) int { return int(t[q[0]]) })
	case *image.NRGBA:
		each(m.Pix, m.Stride, 4, func(q []byte) int { return over(luma(int(q[0]), int(q[1]), int(q[2])), int(q[3])) })
	case *image.RGBA: // multiplied by alpha already
		each(m.Pix, m.Stride, 4, func(q []byte) int { return min(luma(int(q[0]), int(q[1]), int(q[2]))+255-int(q[3]), 255) })
	case *image.NRGBA64:
		each(m.Pix, m.Stride, 8, func(q []byte) int { return over(luma(int(q[0]), int(q[2]), int(q[4])), int(q[6])) })
	case *image.RGBA64:
		each(m.Pix, m.Stride, 8, func(q []byte) int { return min(luma(int(q[0]), int(q[2]), int(q[4]))+255-int(q[6]), 255) })
	case *image.Gray16:
		each(m.Pix, m.Stride, 2, func(q []byte) int { return int(q[0]) })
	case *image.CMYK:
		each(m.Pix, m.Stride, 4, func(q []byte) int {
			return luma(255-int(q[0]), 255-int(q[1]), 255-int(q[2])) * (255 - int(q[3])) / 255
		})
	default:
		for y := range p.Height {
			for x := range p.Width {
				n, _ := color.NRGBAModel.Convert(m.At(b.Min.X+x*k, b.Min.Y+y*k)).(color.NRGBA)
				p.Pix[y*p.Stride+x] = byte(over(luma(int(n.R), int(n.G), int(n.B)), int(n.A)))
			}
		}
	}
	return p, true
}
