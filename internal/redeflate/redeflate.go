// Package redeflate writes a zlib stream anew without searching for repetitions
// again: it reads the literals and copies that another program chose, gives out
// what they unpack to, and writes them with blocks and Huffman codes of its own.
//
// Packing is what makes writing a picture anew slow; what a good packer found is
// worth keeping. No octet of the old stream is copied, no block is stored plain,
// and what was packed before by this package comes out octet for octet. RFC
// 1950, RFC 1951.
package redeflate

import (
	"encoding/binary"
	"errors"
	"hash/adler32"
	"math/bits"
)

// ErrStream says that a stream is damaged, odd, or of another length than was
// said. A more patient reader may make something of it.
var ErrStream = errors.New("odd zlib stream")

const (
	window = 32 << 10 // how far back a copy may reach
	piece  = 64 << 10 // what is given out at once, at least

	// leastTokens and mostTokens bound a block. The first keeps the cost of its
	// tables low, the second bounds memory.
	leastTokens = 4 << 10
	mostTokens  = 64 << 10

	endOfBlock = 256
	isCopy     = 1 << 31
)

// Extra bits and first values of the codes for lengths and distances (RFC 1951,
// 3.2.5).
var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distBits   = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	// order is that of the lengths of the code for lengths (3.2.7).
	order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// Recode appends to dst a stream that unpacks to the same size octets as z, and
// gives them to sink in pieces, in order; sink does not keep them. What stands
// behind the stream in z is left out.
func Recode(dst, z []byte, size int64, sink func([]byte) error) ([]byte, error) {
	// A window of at most 32 KiB, no dictionary (RFC 1950, 2.2).
	if len(z) < 6 || z[0]&15 != 8 || z[0]>>4 > 7 || (uint(z[0])<<8|uint(z[1]))%31 != 0 || z[1]&0x20 != 0 {
		return dst, ErrStream
	}
	r := &reader{in: z[2:], left: size, sink: sink, sum: adler32.New(), buf: make([]byte, window+piece+512)}
	w := &writer{out: append(dst, 0x78, 0x9c)}
	if err := r.stream(w); err != nil {
		return dst, err
	}
	at := len(r.in) - r.unread()
	if r.left != 0 || at+4 > len(r.in) || binary.BigEndian.Uint32(r.in[at:]) != r.sum.Sum32() {
		return dst, ErrStream
	}
	w.align()
	return binary.BigEndian.AppendUint32(w.out, r.sum.Sum32()), nil
}

// reader unpacks.
type reader struct {
	in   []byte
	at   int    // of the next octet that is not in hold
	hold uint64 // bits, the next lowest
	n    uint   // how many

	buf  []byte // the window and what was not given out
	end  int    // of what is in it
	from int    // of what was not given out
	left int64  // octets that are to come
	sink func([]byte) error
	sum  interface {
		Write([]byte) (int, error)
		Sum32() uint32
	}
	literals, distances table
}

// fill sees to 48 bits in hold, as far as there are any.
func (r *reader) fill() {
	if r.at+8 <= len(r.in) {
		r.hold |= binary.LittleEndian.Uint64(r.in[r.at:]) << r.n
		k := (63 - r.n) / 8
		r.at += int(k)
		r.n += 8 * k
		return
	}
	for r.n <= 48 && r.at < len(r.in) {
		r.hold |= uint64(r.in[r.at]) << r.n
		r.at++
		r.n += 8
	}
}

// take takes k bits, at most 16. Behind the end there are zeros, and then an
// error: who takes checks short at times.
func (r *reader) take(k uint) (uint, error) {
	if r.n < k {
		if r.fill(); r.n < k {
			return 0, ErrStream
		}
	}
	v := uint(r.hold) & (1<<k - 1)
	r.hold >>= k
	r.n -= k
	return v, nil
}

// unread is how many whole octets were not used.
func (r *reader) unread() int { return len(r.in) - r.at + int(r.n/8) }

// room gives out what there is when there is no room for another copy.
func (r *reader) room() error {
	if r.end+258 <= len(r.buf) {
		return nil
	}
	if err := r.give(); err != nil {
		return err
	}
	copy(r.buf, r.buf[r.end-window:r.end])
	r.end, r.from = window, window
	return nil
}

func (r *reader) give() error {
	b := r.buf[r.from:r.end]
	if r.left -= int64(len(b)); r.left < 0 {
		return ErrStream
	}
	r.from = r.end
	_, _ = r.sum.Write(b) // a hash takes all
	return r.sink(b)
}

// stream reads all blocks and hands their tokens to w.
func (r *reader) stream(w *writer) error {
	for last := uint(0); last == 0; {
		head, err := r.take(3)
		if err != nil {
			return err
		}
		last = head & 1
		switch head >> 1 {
		case 0:
			err = r.stored(w)
		case 1:
			if !r.literals.make(fixedLiterals()) || !r.distances.make(fixedDistances()) {
				return ErrStream
			}
			err = r.block(w)
		case 2:
			if err = r.codes(); err == nil {
				err = r.block(w)
			}
		default:
			err = ErrStream
		}
		if err != nil {
			return err
		}
		if last == 0 && len(w.tokens) >= leastTokens {
			w.block(false)
		}
	}
	w.block(true)
	return r.give()
}

// stored reads a block that is not packed (3.2.4).
func (r *reader) stored(w *writer) error {
	r.hold >>= r.n % 8
	r.n -= r.n % 8
	n, err := r.take(16)
	if err != nil {
		return err
	}
	not, err := r.take(16)
	if err != nil || n != ^not&0xffff {
		return ErrStream
	}
	for range n {
		c, err := r.take(8)
		if err != nil {
			return err
		}
		if err := r.room(); err != nil {
			return err
		}
		r.buf[r.end] = byte(c)
		r.end++
		w.add(uint32(c))
	}
	return nil
}

// block reads a block with the codes at hand.
func (r *reader) block(w *writer) error {
	for {
		if r.n < 48 {
			r.fill()
		}
		e := r.literals.find(r.hold)
		k := uint(e & 15)
		if k == 0 || k > r.n {
			return ErrStream
		}
		r.hold >>= k
		r.n -= k
		symbol := int(e >> 4)
		if err := r.room(); err != nil {
			return err
		}
		if symbol < endOfBlock {
			r.buf[r.end] = byte(symbol)
			r.end++
			w.add(uint32(symbol))
			continue
		}
		if symbol == endOfBlock {
			return nil
		}
		if symbol -= endOfBlock + 1; symbol >= len(lengthBase) {
			return ErrStream
		}
		// A code, its extra bits, another and its: at most 15+5+15+13 bits.
		x := uint(lengthBits[symbol])
		length := int(lengthBase[symbol]) + int(r.hold&(1<<x-1))
		r.hold >>= x
		d := r.distances.find(r.hold)
		k = uint(d & 15)
		distance := int(d >> 4)
		if k == 0 || distance >= len(distBase) {
			return ErrStream
		}
		r.hold >>= k
		y := uint(distBits[distance])
		if x+k+y > r.n {
			return ErrStream
		}
		back := int(distBase[distance]) + int(r.hold&(1<<y-1))
		r.hold >>= y
		r.n -= x + k + y
		if back > r.end {
			return ErrStream
		}
		from := r.end - back
		if back >= length {
			copy(r.buf[r.end:r.end+length], r.buf[from:])
		} else {
			for i := range length {
				r.buf[r.end+i] = r.buf[from+i]
			}
		}
		r.end += length
		w.add(isCopy | uint32(length)<<16 | uint32(back-1))
	}
}

// codes reads the codes of a block (3.2.7).
func (r *reader) codes() error {
	head, err := r.take(14)
	if err != nil {
		return err
	}
	literals, distances, n := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if literals > 286 || distances > 30 {
		return ErrStream
	}
	var lengths [19]uint8
	for _, i := range order[:n] {
		v, err := r.take(3)
		if err != nil {
			return err
		}
		lengths[i] = uint8(v)
	}
	if !r.literals.make(lengths[:]) {
		return ErrStream
	}
	var all [286 + 30]uint8
	for i := 0; i < literals+distances; {
		r.fill()
		e := r.literals.find(r.hold)
		if e&15 == 0 || uint(e&15) > r.n {
			return ErrStream
		}
		r.hold >>= e & 15
		r.n -= uint(e & 15)
		symbol := uint8(e >> 4)
		if symbol < 16 {
			all[i] = symbol
			i++
			continue
		}
		k, least, value := uint(2), uint(3), uint8(0)
		switch symbol {
		case 16:
			if i == 0 {
				return ErrStream
			}
			value = all[i-1]
		case 17:
			k = 3
		default:
			k, least = 7, 11
		}
		n, err := r.take(k)
		if err != nil || i+int(n+least) > literals+distances {
			return ErrStream
		}
		for range n + least {
			all[i] = value
			i++
		}
	}
	if all[endOfBlock] == 0 || !r.literals.make(all[:literals]) || !r.distances.make(all[literals:literals+distances]) {
		return ErrStream
	}
	return nil
}

// rootBits are looked up at once; longer codes take a second look.
const rootBits = 10

// table finds a symbol by the next bits: entries are symbol<<4 | length, or
// where more bits are needed at<<4 | more with the highest bit set.
type table struct {
	root [1 << rootBits]uint32
	rest []uint32
	most uint // bits of the second look
}

const further = 1 << 31

func (t *table) find(hold uint64) uint32 {
	e := t.root[hold&(1<<rootBits-1)]
	if e&further != 0 {
		e = t.rest[uint(e&^further)+uint(hold>>rootBits)&(1<<t.most-1)]
	}
	return e
}

// make builds the table of a code by its lengths; false: they are of no code. A
// code of one symbol is one as writers make for a single distance.
func (t *table) make(lengths []uint8) bool {
	var count, next [16]int
	symbols, longest := 0, uint(0)
	for _, n := range lengths {
		if n > 0 {
			count[n]++
			symbols++
			longest = max(longest, uint(n))
		}
	}
	clear(t.root[:])
	t.rest, t.most = t.rest[:0], 0
	if longest > rootBits {
		t.most = longest - rootBits
	}
	code, space := 0, 0
	for n := 1; n < 16; n++ {
		code = (code + count[n-1]) << 1
		next[n] = code
		space += count[n] << (15 - n)
	}
	if space > 1<<15 || space < 1<<15 && (symbols > 1 || longest > 1) {
		return false
	}
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		c := uint(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		e := uint32(symbol)<<4 | uint32(n)
		if n <= rootBits {
			for ; c < 1<<rootBits; c += 1 << n {
				t.root[c] = e
			}
			continue
		}
		low := c & (1<<rootBits - 1)
		if t.root[low] == 0 {
			t.root[low] = further | uint32(len(t.rest))
			t.rest = append(t.rest, make([]uint32, 1<<t.most)...)
		}
		at := uint(t.root[low] &^ further)
		for c >>= rootBits; c < 1<<t.most; c += 1 << (n - rootBits) {
			t.rest[at+c] = e
		}
	}
	return true
}

func fixedLiterals() []uint8 {
	l := make([]uint8, 288)
	for i := range l {
		switch {
		case i < 144, i >= 280:
			l[i] = 8
		case i < 256:
			l[i] = 9
		default:
			l[i] = 7
		}
	}
	return l
}

func fixedDistances() []uint8 {
	l := make([]uint8, 32)
	for i := range l {
		l[i] = 5
	}
	return l
}
