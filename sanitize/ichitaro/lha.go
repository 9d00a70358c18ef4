package ichitaro

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

// compressed opens the stream of a compressed document; a member of an LHA
// archive follows at 38.
const (
	compressed = "&\x00JustCompressedDocument"
	memberAt   = 38
)

// unpack returns the document in a compressed one.
func unpack(s *sanitize.Session, t *cfb.Stream) ([]byte, error) {
	b, err := read(s, t)
	if err != nil {
		return nil, err
	}
	if len(b) < memberAt+22 || string(b[:len(compressed)]) != compressed {
		return nil, fmt.Errorf("a compressed document of unknown form: %w", sanitize.ErrMalformed)
	}
	b = b[memberAt:]
	method := string(b[2:7])
	size := int64(binary.LittleEndian.Uint32(b[11:]))
	data, sum, err := member(b)
	if err != nil {
		return nil, err
	}
	if size > s.Room() || size > s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("a compressed document of %d octets: %w", size, sanitize.ErrLimit)
	}
	var out []byte
	switch method {
	case "-lh0-":
		if int64(len(data)) < size {
			return nil, fmt.Errorf("member cut short: %w", sanitize.ErrMalformed)
		}
		out = data[:size]
	case "-lh5-":
		if out, err = inflate(s, data, size); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("a member packed by %q: %w", method, sanitize.ErrUnsupported)
	}
	if crc16(out) != sum {
		return nil, fmt.Errorf("checksum of the member: %w", sanitize.ErrMalformed)
	}
	return out, nil
}

// member returns the packed data and the checksum of the member at the start of
// b, whose header has one of three forms.
func member(b []byte) (data []byte, sum uint16, err error) {
	cut := fmt.Errorf("member cut short: %w", sanitize.ErrMalformed)
	packed := int64(binary.LittleEndian.Uint32(b[7:]))
	at := int64(0)
	switch level := b[20]; level {
	case 0, 1:
		name := int64(b[21])
		if int64(len(b)) < 24+name {
			return nil, 0, cut
		}
		sum = binary.LittleEndian.Uint16(b[22+name:])
		at = int64(b[0]) + 2
		if level == 0 {
			break
		}
		// The header of level 1 is followed by others; their sizes are part of
		// that of the data.
		if at < 2 || at > int64(len(b)) {
			return nil, 0, cut
		}
		for next := int64(binary.LittleEndian.Uint16(b[at-2:])); next > 0; {
			if next < 3 || at+next > int64(len(b)) {
				return nil, 0, cut
			}
			at += next
			packed -= next
			next = int64(binary.LittleEndian.Uint16(b[at-2:]))
		}
	case 2:
		sum = binary.LittleEndian.Uint16(b[21:])
		at = int64(binary.LittleEndian.Uint16(b))
	default:
		return nil, 0, fmt.Errorf("a member with a header of level %d: %w", level, sanitize.ErrUnsupported)
	}
	if packed < 0 || at > int64(len(b)) {
		return nil, 0, cut
	}
	return b[at:min(at+packed, int64(len(b)))], sum, nil
}

// crc16 is CRC-16/ARC.
func crc16(b []byte) uint16 {
	var table [256]uint16
	for i := range table {
		v := uint16(i)
		for range 8 {
			if v&1 != 0 {
				v = v>>1 ^ 0xA001
			} else {
				v >>= 1
			}
		}
		table[i] = v
	}
	sum := uint16(0)
	for _, c := range b {
		sum = sum>>8 ^ table[byte(sum)^c]
	}
	return sum
}

// errCode says that packed data is none.
var errCode = errors.New("packed data with an impossible code")

// inflate unpacks -lh5-: blocks of codes of Huffman, of octets and of places in
// the 8 KiB before.
func inflate(s *sanitize.Session, data []byte, size int64) ([]byte, error) {
	z := &bits{b: data}
	// The size is the file's own word: memory grows as octets prove themselves.
	var out []byte
	charged := int64(0)
	for int64(len(out)) < size {
		if n := int64(len(out)) - charged; n >= 64<<10 {
			if err := s.Spend(n); err != nil {
				return nil, err
			}
			charged += n
		}
		var err error
		if out, err = block(z, out, size); err != nil {
			return nil, fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
		}
	}
	return out, s.Spend(int64(len(out)) - charged)
}

// block unpacks one block.
func block(z *bits, out []byte, size int64) ([]byte, error) {
	codes := z.take(16)
	lengths, err := z.short(19, 5, 3)
	if err != nil {
		return nil, err
	}
	chars, err := z.long(lengths)
	if err != nil {
		return nil, err
	}
	places, err := z.short(14, 4, -1)
	if err != nil {
		return nil, err
	}
	if codes == 0 || z.over {
		return nil, errCode
	}
	for ; codes > 0 && int64(len(out)) < size; codes-- {
		c, err := chars.decode(z)
		if err != nil {
			return nil, err
		}
		if c < 256 {
			out = append(out, byte(c))
			continue
		}
		p, err := places.decode(z)
		if err != nil {
			return nil, err
		}
		back := 0
		if p > 0 {
			back = 1<<(p-1) | z.take(p-1)
		}
		n, from := c-256+3, len(out)-back-1
		for ; n > 0 && int64(len(out)) < size; n-- {
			// Before the first octet there are spaces.
			v := byte(' ')
			if from >= 0 {
				v = out[from]
			}
			out = append(out, v)
			from++
		}
	}
	return out, nil
}

// bits are read highest first. Behind the end there are zeros, and over is set.
type bits struct {
	b    []byte
	at   int // in bits
	over bool
}

func (z *bits) take(n int) int {
	v := 0
	for range n {
		v <<= 1
		if i := z.at >> 3; i < len(z.b) {
			v |= int(z.b[i]>>(7-z.at&7)) & 1
		} else {
			z.over = true
		}
		z.at++
	}
	return v
}

// tree is a canonical code: how many codes there are of each length, and their
// values in order.
type tree struct {
	count  [17]int
	values []int
	only   int // the one value that takes no bits, -1 if there are more
}

func newTree(lengths []int) (tree, error) {
	t := tree{only: -1}
	for _, n := range lengths {
		if n > 16 {
			return t, errCode
		}
		if n > 0 {
			t.count[n]++
		}
	}
	room := 1
	for n := 1; n <= 16; n++ {
		room = room<<1 - t.count[n]
		if room < 0 {
			return t, errCode
		}
	}
	for n := 1; n <= 16; n++ {
		for v, l := range lengths {
			if l == n {
				t.values = append(t.values, v)
			}
		}
	}
	return t, nil
}

func (t *tree) decode(z *bits) (int, error) {
	if t.only >= 0 {
		return t.only, nil
	}
	code, first, index := 0, 0, 0
	for n := 1; n <= 16; n++ {
		code |= z.take(1)
		if k := t.count[n]; code-first < k {
			if z.over {
				return 0, errCode
			}
			return t.values[index+code-first], nil
		}
		index += t.count[n]
		first = (first + t.count[n]) << 1
		code <<= 1
	}
	return 0, errCode
}

// short reads the lengths of a small code: most of them, their number in width
// bits, with a gap behind the one of number gap.
func (z *bits) short(most, width, gap int) (tree, error) {
	n := z.take(width)
	if n == 0 {
		v := z.take(width)
		if v >= most {
			return tree{}, errCode
		}
		return tree{only: v}, nil
	}
	if n > most {
		return tree{}, errCode
	}
	lengths := make([]int, most)
	for i := 0; i < n; {
		l := z.take(3)
		for l >= 7 && z.take(1) == 1 {
			if l++; l > 16 {
				return tree{}, errCode
			}
		}
		lengths[i] = l
		if i++; i == gap {
			i += z.take(2)
		}
	}
	return newTree(lengths)
}

// long reads the lengths of the code of octets and lengths, which are coded
// themselves.
func (z *bits) long(by tree) (tree, error) {
	const most = 510
	n := z.take(9)
	if n == 0 {
		v := z.take(9)
		if v >= most {
			return tree{}, errCode
		}
		return tree{only: v}, nil
	}
	if n > most {
		return tree{}, errCode
	}
	lengths := make([]int, most)
	for i := 0; i < n; {
		c, err := by.decode(z)
		if err != nil {
			return tree{}, err
		}
		switch c {
		case 0:
			i++
		case 1:
			i += z.take(4) + 3
		case 2:
			i += z.take(9) + 20
		default:
			lengths[i] = c - 2
			i++
		}
	}
	return newTree(lengths)
}
