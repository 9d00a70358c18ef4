package image

import (
	"image"
	"image/color"

	"sekisho/sanitize"
)

// laid lays a picture as its Exif says that the camera was held, and tells so.
func laid(s *sanitize.Session, m image.Image, orientation int) image.Image {
	t := turningOf(orientation)
	if t == (turning{}) {
		return m
	}
	s.Found(sanitize.Finding{Rule: "image.orientation", Action: sanitize.Rewritten, Detail: "turned as the camera said"})
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if t.swap {
		w, h = h, w
	}
	r := image.Rect(0, 0, w, h)
	place := func(x, y int) (int, int) {
		if t.swap {
			x, y = y, x
		}
		if t.mirrorX {
			x = b.Dx() - 1 - x
		}
		if t.mirrorY {
			y = b.Dy() - 1 - y
		}
		return b.Min.X + x, b.Min.Y + y
	}
	each := func(set func(x, y int)) {
		for y := range h {
			for x := range w {
				set(x, y)
			}
		}
	}
	switch m := m.(type) {
	case *image.Gray:
		to := image.NewGray(r)
		each(func(x, y int) { to.SetGray(x, y, m.GrayAt(place(x, y))) })
		return to
	case *image.Gray16:
		to := image.NewGray16(r)
		each(func(x, y int) { to.SetGray16(x, y, m.Gray16At(place(x, y))) })
		return to
	case *image.Paletted:
		to := image.NewPaletted(r, m.Palette)
		each(func(x, y int) { to.SetColorIndex(x, y, m.ColorIndexAt(place(x, y))) })
		return to
	case *image.NRGBA64, *image.RGBA64:
		to := image.NewNRGBA64(r)
		each(func(x, y int) { to.SetNRGBA64(x, y, color.NRGBA64Model.Convert(m.At(place(x, y))).(color.NRGBA64)) })
		return to
	default:
		to := image.NewNRGBA(r)
		each(func(x, y int) { to.SetNRGBA(x, y, color.NRGBAModel.Convert(m.At(place(x, y))).(color.NRGBA)) })
		return to
	}
}
