package pdf

import (
	"encoding/binary"
	"fmt"
)

// refine encodes as (*arithmetic).refine decodes.
func (e *encoder) refine(m *bitmap, template int, typical bool, adaptive []offset, contexts []uint8, like *bitmap, dx, dy int) {
	same := byte(0)
	for y := range m.h {
		if typical {
			want := byte(1)
			for x := range m.w {
				if v, flat := like.flat(x-dx, y-dy); flat && v != m.at(x, y) {
					want = 0
				}
			}
			e.bit(&contexts[[2]int{1 << 4, 1 << 3}[template]], want^same)
			same = want
		}
		for x := range m.w {
			if _, flat := like.flat(x-dx, y-dy); same == 1 && flat {
				continue
			}
			own := []offset{{-1, -1}, {0, -1}, {1, -1}, {-1, 0}}
			other := []offset{{0, -1}, {-1, 0}, {0, 0}, {1, 0}, {0, 1}, {1, 1}}
			if template == 0 {
				own[0] = adaptive[0]
				other = []offset{adaptive[1], {0, -1}, {1, -1}, {-1, 0}, {0, 0}, {1, 0}, {-1, 1}, {0, 1}, {1, 1}}
			}
			cx := 0
			for _, o := range own {
				v := byte(0)
				if o.y < 0 || o.x < 0 {
					v = m.at(x+o.x, y+o.y)
				}
				cx = cx<<1 | int(v)
			}
			for _, o := range other {
				cx = cx<<1 | int(like.at(x-dx+o.x, y-dy+o.y))
			}
			e.bit(&contexts[cx], m.at(x, y))
		}
	}
}

// referring is a segment that refers to others.
func referring(number uint32, kind byte, to []byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, number)
	b = append(append(append(b, kind, byte(len(to)<<5)), to...), 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// regionHead is that of a region of w by h at x, y, laid over what is there.
func regionHead(w, h, x, y int) []byte {
	var b []byte
	for _, v := range []int{w, h, x, y} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return append(b, 0)
}

// aggregates is a dictionary of symbols made of others: one that differs from
// one, and one of two laid beside each other.
func aggregates(symbols []*bitmap, template int) ([]byte, []*bitmap) {
	t := newTextWriter(false, template)
	var heights, widths, many, exports integer32
	one, two := checkers(10, 9), newBitmap(24, 12)
	one.pix[33] ^= 1
	two.combine(symbols[0], 0, 1, 0)
	two.combine(symbols[1], 11, 2, 0)
	const wide = 3 // of five symbols
	heights.put(t.e, one.h, true)
	widths.put(t.e, one.w, true)
	many.put(t.e, 1, true)
	t.symbol(0, wide)
	t.c.rdx.put(t.e, 1, true)
	t.c.rdy.put(t.e, -1, true)
	t.refined(one, symbols[0], 1, -1)
	widths.put(t.e, 0, false)
	heights.put(t.e, two.h-one.h, true)
	widths.put(t.e, two.w, true)
	many.put(t.e, 2, true)
	t.text([]laid{{0, 0, 1, nil}, {1, 11, 2, nil}}, symbols, wide, 0, 0, true)
	widths.put(t.e, 0, false)
	all := append(append([]*bitmap{}, symbols...), one, two)
	exports.put(t.e, len(symbols), true)
	exports.put(t.e, 2, true)
	head := 2 | template<<12
	b := []byte{byte(head >> 8), byte(head), 3, 0xff, 0xfd, 0xff, 2, 0xfe, 0xfe, 0xfe}
	if template == 0 {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	}
	b = append(b, 0, 0, 0, 2, 0, 0, 0, 2)
	return referring(10, 0, []byte{8}, append(b, t.end()...)), all[3:]
}

// jbig2Refined are pictures that are refined on the page, with and without the
// short way over what does not differ, and one that refines a region which is
// not shown.
func jbig2Refined() map[string]struct {
	data []byte
	want *bitmap
} {
	type made = struct {
		data []byte
		want *bitmap
	}
	all := map[string]made{}
	before, want := checkers(80, 60), checkers(80, 60)
	for i := range 40 {
		want.pix[i*97] ^= 1
	}
	for template := range 2 {
		for _, typical := range []bool{false, true} {
			for _, hidden := range []bool{false, true} {
				flags := byte(template)
				if typical {
					flags |= 2
				}
				data := append(regionHead(80, 60, 0, 0), flags)
				data[16] = 4 // in place of what is there
				adaptive := []offset{{-1, -1}, {-1, -1}}
				if template == 0 {
					data = append(data, 0xff, 0xff, 0xff, 0xff)
				}
				e := newEncoder()
				e.refine(want, template, typical, adaptive, make([]uint8, 1<<13), before, 0, 0)
				data = append(data, e.flush()...)
				page := jbig2Picture(before, 0)
				last := jbig2Segment(2, 42, data)
				if hidden {
					page[11+19+4] = 36 // an intermediate region
					last = referring(2, 42, []byte{1}, data)
				}
				all[fmt.Sprintf("refined by template %d, typical %v, hidden %v", template, typical, hidden)] = made{append(page, last...), want}
			}
		}
	}
	return all
}
