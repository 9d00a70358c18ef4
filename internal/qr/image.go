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
	p, through, ok := grey(m, 255)
	if !ok {
		return nil
	}
	found := Decode(p)
	if len(found) == 0 && through {
		// What is light on nothing shows where the paper is dark.
		p, _, _ = grey(m, 0)
		found = Decode(p)
	}
	return found
}

// grey is a picture as it looks on paper, and whether that shines through.
func grey(m image.Image, paper int) (_ Plane, through, _ bool) {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 {
		return Plane{}, false, false
	}
	switch m := m.(type) {
	case *image.Gray:
		return Plane{m.Pix[m.PixOffset(b.Min.X, b.Min.Y):], w, h, m.Stride}, false, true
	case *image.YCbCr:
		return Plane{m.Y[m.YOffset(b.Min.X, b.Min.Y):], w, h, m.YStride}, false, true
	}
	k := 1
	for (w/k)*(h/k) > greyBelow {
		k++
	}
	p := Plane{Width: w / k, Height: h / k, Stride: w / k}
	if p.Width == 0 || p.Height == 0 {
		return Plane{}, false, false
	}
	p.Pix = make([]byte, p.Width*p.Height)
	// What shines through is the paper.
	over := func(v, alpha int) int {
		through = through || alpha < 128
		return (v*alpha + paper*(255-alpha)) / 255
	}
	beside := func(v, alpha int) int {
		through = through || alpha < 128
		return min(v+paper*(255-alpha)/255, 255)
	}
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
		each(m.Pix, m.Stride, 4, func(q []byte) int { return beside(luma(int(q[0]), int(q[1]), int(q[2])), int(q[3])) })
	case *image.NRGBA64:
		each(m.Pix, m.Stride, 8, func(q []byte) int { return over(luma(int(q[0]), int(q[2]), int(q[4])), int(q[6])) })
	case *image.RGBA64:
		each(m.Pix, m.Stride, 8, func(q []byte) int { return beside(luma(int(q[0]), int(q[2]), int(q[4])), int(q[6])) })
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
	return p, through, true
}
