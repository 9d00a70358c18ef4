package pdf

import (
	"encoding/binary"
)

// patterns is a decoded pattern dictionary (6.7).
type patterns struct{ each []*bitmap }

func (j *jbig2) dictionary(s segment) error {
	b := s.data
	if len(b) < 8 || b[0]&1 != 0 {
		return errJBIG2Part // MMR in a dictionary
	}
	template, pw, ph, most := int(b[0]>>1&3), int(b[1]), int(b[2]), int64(binary.BigEndian.Uint32(b[3:]))
	if most >= 1<<16 || pw == 0 || ph == 0 {
		return errJBIG2
	}
	n := int(most) + 1
	if err := j.area(n*pw, ph); err != nil {
		return err
	}
	if err := j.spend(n, bitmapCost); err != nil {
		return err
	}
	adaptive := []offset{{-pw, 0}, {-3, -1}, {2, -2}, {-2, -2}}
	all := newArithmetic(b[7:]).generic(n*pw, ph, template, false, adaptive, make([]uint8, 1<<16), nil)
	var p patterns
	for i := range n {
		one := newBitmap(pw, ph)
		for y := range ph {
			copy(one.pix[y*pw:(y+1)*pw], all.pix[y*all.w+i*pw:])
		}
		p.each = append(p.each, one)
	}
	j.dicts[s.number] = p
	return nil
}

func (j *jbig2) halftone(s segment, b []byte, w, h int) (*bitmap, error) {
	if len(s.refers) != 1 || len(b) < 21 {
		return nil, errJBIG2
	}
	p, ok := j.dicts[s.refers[0]]
	flags := b[0]
	if !ok {
		return nil, errJBIG2
	}
	if flags&1 != 0 {
		return nil, errJBIG2Part // MMR in a halftone
	}
	template, op := int(flags>>1&3), int(flags>>4&7)
	gw, gh := int(binary.BigEndian.Uint32(b[1:])), int(binary.BigEndian.Uint32(b[5:]))
	gx, gy := int(int32(binary.BigEndian.Uint32(b[9:]))), int(int32(binary.BigEndian.Uint32(b[13:])))
	rx, ry := int(binary.BigEndian.Uint16(b[17:])), int(binary.BigEndian.Uint16(b[19:]))
	out := newBitmap(w, h)
	if flags&128 != 0 {
		for i := range out.pix {
			out.pix[i] = 1
		}
	}
	pw, ph := p.each[0].w, p.each[0].h
	place := func(m, n int) (int, int) { return (gx + m*ry + n*rx) >> 8, (gy + m*rx - n*ry) >> 8 }
	planes := 0
	for 1<<planes < len(p.each) {
		planes++
	}
	for range planes + 1 {
		if err := j.area(gw, gh); err != nil {
			return nil, err
		}
	}
	if int64(gw)*int64(gh)*int64(pw)*int64(ph) > 4*int64(w+pw)*int64(h+ph)+1<<20 {
		return nil, errJBIG2 // patterns on patterns
	}
	var skip *bitmap
	if flags&8 != 0 {
		skip = newBitmap(gw, gh)
		for m := range gh {
			for n := range gw {
				if x, y := place(m, n); x+pw <= 0 || x >= w || y+ph <= 0 || y >= h {
					skip.pix[m*gw+n] = 1
				}
			}
		}
	}
	adaptive := []offset{{3, -1}, {-3, -1}, {2, -2}, {-2, -2}}
	if template > 1 {
		adaptive[0].x = 2
	}
	d, contexts := newArithmetic(b[21:]), make([]uint8, 1<<16)
	gray := make([]int, gw*gh)
	var above *bitmap
	for range planes {
		plane := d.generic(gw, gh, template, false, adaptive, contexts, skip)
		for i := range plane.pix {
			if above != nil {
				plane.pix[i] ^= above.pix[i] // annex C.5: Gray code
			}
			gray[i] = gray[i]<<1 | int(plane.pix[i])
		}
		above = plane
	}
	for m := range gh {
		for n := range gw {
			x, y := place(m, n)
			one := p.each[min(gray[m*gw+n], len(p.each)-1)]
			part := out.shown(one, x, y)
			if err := j.spend(part.Dx(), part.Dy()); err != nil {
				return nil, err // patterns on patterns
			}
			out.combine(one, x, y, op)
		}
	}
	return out, nil
}
