package image

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
func (e *encoder) turn(c *coefficients, orientation int) *coefficients {
	t := turningOf(orientation)
	to := &coefficients{width: c.width, height: c.height, h: c.h, v: c.v, wide: c.wide, high: c.high}
	if t.swap {
		to.width, to.height, to.h, to.v, to.wide, to.high = c.height, c.width, c.v, c.h, c.high, c.wide
		e.luma, e.chroma = swapped(e.luma), swapped(e.chroma)
	}
	from, sign := t.block()
	for i := range c.comps {
		src := &c.comps[i]
		p := component{h: src.h, v: src.v}
		if t.swap {
			p.h, p.v = src.v, src.h
		}
		to.room(&p)
		for y := range p.down {
			for x := range p.across {
				sx, sy := x, y
				if t.swap {
					sx, sy = y, x
				}
				if t.mirrorX {
					sx = src.across - 1 - sx
				}
				if t.mirrorY {
					sy = src.down - 1 - sy
				}
				out := p.data[64*(y*p.across+x):][:64]
				in := src.data[64*(sy*src.across+sx):][:64]
				for k := range out {
					out[k] = in[from[k]] * sign[k]
				}
			}
		}
		to.comps = append(to.comps, p)
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
