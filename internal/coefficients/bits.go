package coefficients

import "encoding/binary"

// lookup decodes the codes of one table.
type lookup struct {
	short  [1 << shortBits]uint16 // length and value of codes that begin so; 0 for longer ones
	first  [17]int32              // the first code of each length
	behind [17]int32              // the one behind the last
	at     [17]int32              // where the values of that length begin
	values []byte
}

const shortBits = 9

// tables reads a DHT segment. T.81 B.2.4.2.
func (c *Picture) tables(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 17 || b[0]&15 > 3 || b[0]>>4 > 1 {
			return false
		}
		n := 0
		for _, k := range b[1:17] {
			n += int(k)
		}
		if n == 0 || n > 256 || len(b) < 17+n {
			return false
		}
		t := &lookup{values: b[17 : 17+n]}
		code, at := int32(0), int32(0)
		for l := 1; l <= 16; l++ {
			k := int32(b[l])
			t.first[l], t.behind[l], t.at[l] = code, code+k, at
			if code+k > 1<<l {
				return false // more codes than there are
			}
			for ; k > 0; k-- {
				if l <= shortBits {
					from := code << (shortBits - l)
					for i := range int32(1) << (shortBits - l) {
						t.short[from+i] = uint16(l)<<8 | uint16(t.values[at])
					}
				}
				code++
				at++
			}
			code <<= 1
		}
		if b[0]>>4 == 0 {
			c.dc[b[0]&15] = t
		} else {
			c.ac[b[0]&15] = t
		}
		b = b[17+n:]
	}
	return true
}

// bitReader reads entropy-coded data up to the next marker. Behind it come
// zeros; how many of them were taken says whether the data was whole.
type bitReader struct {
	b      []byte
	at     int
	acc    uint64 // from the top; behind the first n bits, what follows or nothing
	n      int
	padded int // of the bits in acc, and of those taken, none of the file
}

func (r *bitReader) fill() {
	if r.at+8 <= len(r.b) {
		// Eight octets at once where none of them is 0xff.
		v := binary.BigEndian.Uint64(r.b[r.at:])
		if (^v-0x0101010101010101)&v&0x8080808080808080 == 0 {
			r.acc |= v >> r.n
			k := (63 - r.n) >> 3
			r.at += k
			r.n += 8 * k
			return
		}
	}
	for r.n <= 56 {
		var v byte
		switch {
		case r.at < len(r.b) && r.b[r.at] != 0xff:
			v = r.b[r.at]
			r.at++
		case r.at+1 < len(r.b) && r.b[r.at] == 0xff && r.b[r.at+1] == 0:
			v = 0xff
			r.at += 2
		default:
			r.padded += 8
		}
		r.acc |= uint64(v) << (56 - r.n)
		r.n += 8
	}
}

// whole reports whether no bit behind the end was taken.
func (r *bitReader) whole() bool { return r.padded <= r.n }

// end is where the data ends: at a marker, or at the end of the file.
func (r *bitReader) end() int { return min(r.at, len(r.b)) }

// again passes over the marker of a restart.
func (r *bitReader) again(n int) bool {
	// At most the seven bits that fill up the last octet are left.
	if !r.whole() || r.n-r.padded > 7 || r.at+1 >= len(r.b) || r.b[r.at] != 0xff || r.b[r.at+1] != 0xd0+byte(n&7) {
		return false
	}
	*r = bitReader{b: r.b, at: r.at + 2}
	return true
}

func (r *bitReader) bit() bool {
	if r.n == 0 {
		r.fill()
	}
	v := r.acc>>63 != 0
	r.acc <<= 1
	r.n--
	return v
}

// bits takes up to 16 bits.
func (r *bitReader) bits(n uint) int {
	if n == 0 {
		return 0
	}
	if r.n < int(n) {
		r.fill()
	}
	v := int(r.acc >> (64 - n))
	r.acc <<= n
	r.n -= int(n)
	return v
}

// signed takes a number of n bits. T.81 F.2.2.1.
func (r *bitReader) signed(n uint) int {
	v := r.bits(n)
	if n > 0 && v < 1<<(n-1) {
		v -= 1<<n - 1
	}
	return v
}

// symbol takes one code, -1 when there is none.
func (r *bitReader) symbol(t *lookup) int {
	if r.n < 16 {
		r.fill()
	}
	if s := t.short[r.acc>>(64-shortBits)]; s != 0 {
		r.acc <<= s >> 8
		r.n -= int(s >> 8)
		return int(s & 0xff)
	}
	return r.long(t)
}

func (r *bitReader) long(t *lookup) int {
	for l := shortBits + 1; l <= 16; l++ {
		if code := int32(r.acc >> (64 - l)); code < t.behind[l] && code >= t.first[l] {
			r.acc <<= uint(l)
			r.n -= l
			return int(t.values[t.at[l]+code-t.first[l]])
		}
	}
	return -1
}
