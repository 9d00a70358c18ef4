package image

import "sekisho/internal/coefficients"

// A picture is turned as the camera was held without being drawn: its blocks
// change places, and in each the coefficients do and their signs. That mirrors a
// side only where it ends with a whole group of blocks; the photos of most
// telephones do.

// turning says what an orientation does (Exif 2.3, 4.6.4): sides change places
// after the picture was mirrored.
type turning struct {
	swap, mirrorX, mirrorY bool
}

func turningOf(orientation int) turning {
	switch orientation {
	case 2:
		return turning{mirrorX: true}
	case 3:
		return turning{mirrorX: true, mirrorY: true}
	case 4:
		return turning{mirrorY: true}
	case 5:
		return turning{swap: true}
	case 6:
		return turning{swap: true, mirrorY: true}
	case 7:
		return turning{swap: true, mirrorX: true, mirrorY: true}
	case 8:
		return turning{swap: true, mirrorX: true}
	default:
		return turning{}
	}
}

// turnsWhole reports whether the picture can be turned block by block, if it has
// to be turned at all.
func (j *segments) turnsWhole() bool {
	t := turningOf(j.orientation)
	h, v := 1, 1
	if j.components > 1 {
		h, v = int(j.sampling[0]>>4), int(j.sampling[0]&15)
	}
	switch {
	case h == 0 || v == 0, t.mirrorX && j.width%(8*h) != 0, t.mirrorY && j.height%(8*v) != 0:
		return false
	}
	return !t.swap || h <= 2 // chroma four times as coarse down a column is more than decoders take
}

// turn lays the picture as the camera was held, and the quantisation with it.
func (e *encoder) turn(c *coefficients.Picture, orientation int) *coefficients.Picture {
	t := turningOf(orientation)
	to := &coefficients.Picture{Width: c.Width, Height: c.Height, H: c.H, V: c.V, Wide: c.Wide, High: c.High}
	if t.swap {
		to.Width, to.Height, to.H, to.V, to.Wide, to.High = c.Height, c.Width, c.V, c.H, c.High, c.Wide
		e.luma, e.chroma = swapped(e.luma), swapped(e.chroma)
	}
	from, sign := t.block()
	for i := range c.Planes {
		src := &c.Planes[i]
		p := coefficients.Plane{H: src.H, V: src.V}
		if t.swap {
			p.H, p.V = src.V, src.H
		}
		to.Room(&p)
		for y := range p.Down {
			for x := range p.Across {
				sx, sy := x, y
				if t.swap {
					sx, sy = y, x
				}
				if t.mirrorX {
					sx = src.Across - 1 - sx
				}
				if t.mirrorY {
					sy = src.Down - 1 - sy
				}
				out := p.Data[64*(y*p.Across+x):][:64]
				in := src.Data[64*(sy*src.Across+sx):][:64]
				for k := range out {
					out[k] = in[from[k]] * sign[k]
				}
			}
		}
		to.Planes = append(to.Planes, p)
	}
	return to
}

// block says for each coefficient in zig-zag order from where it comes and with
// which sign: mirrored, the odd waves along that side turn over.
func (t turning) block() (from [64]uint8, sign [64]int16) {
	for k, place := range zigzag {
		u, v := place%8, place/8 // waves from left to right, from top to bottom
		if t.swap {
			u, v = v, u
		}
		from[k], sign[k] = unzigzag(8*v+u), 1
		if t.mirrorX && u%2 == 1 {
			sign[k] = -sign[k]
		}
		if t.mirrorY && v%2 == 1 {
			sign[k] = -sign[k]
		}
	}
	return from, sign
}

func unzigzag(place uint8) uint8 {
	for k, p := range zigzag {
		if p == place {
			return uint8(k)
		}
	}
	return 0
}

// swapped is a quantisation whose sides change places.
func swapped(q *[64]byte) *[64]byte {
	var t [64]byte
	for k, place := range zigzag {
		t[k] = q[unzigzag(place%8*8+place/8)]
	}
	return &t
}
