package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"sekisho/sanitize"
)

// checkJPEG walks a picture (ITU-T T.81) to its last bit: the segments that the
// gateway writes and no other, one scan, in which every block has 64 coefficients,
// the bits that fill up the last octet, the end, nothing behind it. Nothing of it
// is written in one way where there is another. It draws nothing: what stands in
// each coefficient is the picture, and any will do. The standard library's decoder
// draws, but takes octets behind the last block, tables that nobody uses and
// further scans.
func checkJPEG(s *sanitize.Session, where string, b []byte) error {
	p := jpegPicture{}
	data, err := p.segments(b)
	if err != nil {
		return notAllowed(where, "JPEG: %v", err)
	}
	if err := s.SpendPixels(p.width, p.height); err != nil {
		return err
	}
	if err := p.scan(data); err != nil {
		return notAllowed(where, "JPEG: %v", err)
	}
	if err := p.meant(); err != nil {
		return notAllowed(where, "JPEG: %v", err)
	}
	return nil
}

// jpegPicture is a baseline picture of one component, or of three of which the
// last two may be coarser.
type jpegPicture struct {
	width, height int
	components    []jpegComponent
	jfif          bool
	quantisations [4][]byte
	used          [4]uint64        // of each quantisation: the places where it divides something
	codes         [2][2]*jpegCodes // DC and AC
}

type jpegComponent struct {
	id, quantisation byte
	h, v             int // blocks in a group
	dc, ac           *jpegCodes
}

// segments reads what stands before the entropy-coded data, and returns that
// without the end of the file. T.81 B.2.
func (p *jpegPicture) segments(b []byte) ([]byte, error) {
	if len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return nil, errors.New("no beginning")
	}
	if !bytes.HasSuffix(b, []byte{0xff, 0xd9}) {
		return nil, errors.New("octets behind its end, or none")
	}
	b = b[:len(b)-2]
	for at := 2; ; {
		if at+4 > len(b) || b[at] != 0xff {
			return nil, fmt.Errorf("no marker at octet %d", at)
		}
		marker, n := b[at+1], int(binary.BigEndian.Uint16(b[at+2:]))
		if n < 3 || n > len(b)-at-2 {
			return nil, fmt.Errorf("segment of %d octets at octet %d", n, at)
		}
		body := b[at+4 : at+2+n]
		at += 2 + n
		var err error
		switch marker {
		case 0xe0:
			err = p.application(body)
		case 0xdb:
			err = p.tables(body)
		case 0xc0:
			err = p.frame(body)
		case 0xc4:
			err = p.huffman(body)
		case 0xda:
			return b[at:], p.begin(body)
		default:
			err = fmt.Errorf("segment 0x%02x", marker)
		}
		if err != nil {
			return nil, err
		}
	}
}

// application looks at the one such segment: how dense the picture is, and no
// smaller one in it. JFIF 1.01.
func (p *jpegPicture) application(b []byte) error {
	if p.jfif || len(b) != 14 || !bytes.HasPrefix(b, []byte("JFIF\x00\x01\x01")) || b[7] > 2 || b[12] != 0 || b[13] != 0 {
		return fmt.Errorf("application segment of %d octets", len(b))
	}
	p.jfif = true
	return nil
}

// tables reads quantisations. T.81 B.2.4.1.
func (p *jpegPicture) tables(b []byte) error {
	for ; len(b) >= 65; b = b[65:] {
		if b[0] > 3 || p.quantisations[b[0]] != nil || bytes.IndexByte(b[1:65], 0) >= 0 {
			return errors.New("quantisation")
		}
		p.quantisations[b[0]] = b[1:65]
	}
	if len(b) > 0 {
		return errors.New("quantisation cut short")
	}
	return nil
}

// frame reads the size and the components. T.81 B.2.2.
func (p *jpegPicture) frame(b []byte) error {
	if len(p.components) > 0 || len(b) < 6 || b[0] != 8 || b[5] != 1 && b[5] != 3 || len(b) != 6+3*int(b[5]) {
		return fmt.Errorf("frame header of %d octets", len(b))
	}
	p.height, p.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if p.height == 0 || p.width == 0 {
		return fmt.Errorf("%d x %d pixels", p.width, p.height)
	}
	for i := range int(b[5]) {
		id, h, v, q := b[6+3*i], int(b[7+3*i]>>4), int(b[7+3*i]&15), b[8+3*i]
		first := b[5] == 3 && i == 0 && (h == 1 || h == 2 || h == 4) && (v == 1 || v == 2)
		if !first && (h != 1 || v != 1) || int(id) != i+1 || q > 3 {
			return fmt.Errorf("component %d sampled %d by %d", id, h, v)
		}
		p.components = append(p.components, jpegComponent{id: id, h: h, v: v, quantisation: q})
	}
	return nil
}

// begin reads the header of the scan, of all components, which use every table
// there is. T.81 B.2.3.
func (p *jpegPicture) begin(b []byte) error {
	n := len(p.components)
	if n == 0 || len(b) != 4+2*n || int(b[0]) != n || !bytes.Equal(b[1+2*n:], []byte{0, 63, 0}) {
		return fmt.Errorf("scan header of %d octets", len(b))
	}
	quantised, codes := p.quantisations, p.codes
	for i := range p.components {
		c, id, t := &p.components[i], b[1+2*i], b[2+2*i]
		if id != c.id || t>>4 > 1 || t&15 > 1 || p.quantisations[c.quantisation] == nil {
			return fmt.Errorf("component %d of the scan", id)
		}
		if c.dc, c.ac = p.codes[0][t>>4], p.codes[1][t&15]; c.dc == nil || c.ac == nil {
			return fmt.Errorf("component %d without codes", c.id)
		}
		quantised[c.quantisation], codes[0][t>>4], codes[1][t&15] = nil, nil, nil
	}
	for _, q := range quantised {
		if q != nil {
			return errors.New("a quantisation that nobody uses")
		}
	}
	if codes != [2][2]*jpegCodes{} {
		return errors.New("codes that nobody uses")
	}
	return nil
}

// jpegCodes says of the next bits how many of them are a code with the number
// behind it, and over how many coefficients they go.
type jpegCodes struct {
	short [1 << jpegShort]jpegStep
	long  []jpegLong // those of more bits, in their order
}

type jpegStep struct {
	bits, over uint8
	some       uint8 // 1 where the last coefficient is not nought
}

// noughts goes over sixteen of them, which something follows.
func (s jpegStep) noughts() bool { return s.over == 16 && s.some == 0 }

type jpegLong struct {
	below uint32 // codes of 16 bits less than this are this one
	step  jpegStep
}

const jpegShort = 10

// toTheEnd is over all coefficients that are left.
const toTheEnd = 64

// huffman reads code tables. T.81 B.2.4.2, C; what codes mean: F.1.2.
func (p *jpegPicture) huffman(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 || b[0]&15 > 1 || b[0]>>4 > 1 || p.codes[b[0]>>4][b[0]&15] != nil {
			return errors.New("code table")
		}
		class, dc, t := &p.codes[b[0]>>4][b[0]&15], b[0]>>4 == 0, &jpegCodes{}
		lengths, values := b[1:17], b[17:]
		var seen [256]bool
		code := uint32(0) // of 16 bits
		for i, n := range lengths {
			for range n {
				length := uint(i + 1)
				next := code + 1<<(16-length)
				if len(values) == 0 || next > 1<<16-1 {
					return errors.New("code table of more codes than there are")
				}
				step, ok := jpegMeaning(values[0], dc, length)
				if !ok || seen[values[0]] {
					return fmt.Errorf("code for 0x%02x", values[0])
				}
				seen[values[0]] = true
				values = values[1:]
				if length <= jpegShort {
					for k := code >> (16 - jpegShort); k < next>>(16-jpegShort); k++ {
						t.short[k] = step
					}
				} else {
					t.long = append(t.long, jpegLong{next, step})
				}
				code = next
			}
		}
		*class, b = t, values
	}
	return nil
}

// jpegMeaning is what a code of so many bits stands for.
func jpegMeaning(value byte, dc bool, length uint) (jpegStep, bool) {
	run, size := value>>4, value&15
	switch {
	case dc:
		return jpegStep{uint8(length) + value, 1, min(value, 1)}, value <= 11
	case value == 0:
		return jpegStep{uint8(length), toTheEnd, 0}, true
	case value == 0xf0:
		return jpegStep{uint8(length), 16, 0}, true
	}
	return jpegStep{uint8(length) + size, run + 1, 1}, size >= 1 && size <= 10
}

// scan goes through the entropy-coded data, block by block. T.81 A.2, F.2.
func (p *jpegPicture) scan(data []byte) error {
	wide, high := p.components[0].h, p.components[0].v
	r := jpegBits{b: data}
	for range (p.height + 8*high - 1) / (8 * high) {
		for range (p.width + 8*wide - 1) / (8 * wide) {
			for i := range p.components {
				c := &p.components[i]
				for range c.h * c.v {
					used, err := r.block(c.dc, c.ac)
					if err != nil {
						return err
					}
					p.used[c.quantisation] |= used
				}
			}
		}
		// Zeros are taken behind the end; no more than a row of them.
		if r.beyond() {
			return errors.New("cut short")
		}
	}
	return r.end()
}

// meant looks at the numbers of a quantisation that divide nothing, and could be
// anything, words too: each is the one before it, the first one sixteen.
func (p *jpegPicture) meant() error {
	for i, q := range p.quantisations {
		last := byte(16)
		for k, v := range q {
			if p.used[i]&(1<<k) == 0 && v != last {
				return errors.New("quantisation of what is not there")
			}
			last = v
		}
	}
	return nil
}

// jpegBits takes bits of entropy-coded data. T.81 F.2.2.5.
type jpegBits struct {
	b     []byte
	at    int
	ahead uint64 // from the top, n of them
	n     int
	none  int // bits that are not in the data
}

// block passes over the coefficients of a block, and says which are not nought, and
// of the first one whether it is another than that of the block before.
func (r *jpegBits) block(dc, ac *jpegCodes) (used uint64, err error) {
	ahead, n := r.ahead, r.n
	t := dc
	var last jpegStep
	for k := uint(0); k < 64; t = ac {
		if n < 32 { // a code and a number have 27 bits at most
			r.ahead, r.n = ahead, n
			r.fill()
			ahead, n = r.ahead, r.n
		}
		step := t.short[ahead>>(64-jpegShort)]
		if step.bits == 0 {
			if step = t.find(uint32(ahead >> 48)); step.bits == 0 {
				return 0, errors.New("no code")
			}
		}
		ahead <<= step.bits & 63
		n -= int(step.bits)
		if k += uint(step.over); k > 64 {
			if step.over != toTheEnd {
				return 0, errors.New("a block of more than 64 coefficients")
			}
			break // where last is the one before
		}
		used |= uint64(step.some) << ((k - 1) & 63)
		last = step
	}
	if last.noughts() {
		return 0, errors.New("noughts at the end of a block, one by one")
	}
	r.ahead, r.n = ahead, n
	return used, nil
}

// find is the meaning of a long code.
func (t *jpegCodes) find(next uint32) jpegStep {
	for i := range t.long {
		if next < t.long[i].below {
			return t.long[i].step
		}
	}
	return jpegStep{}
}

func (r *jpegBits) fill() {
	if r.at+8 <= len(r.b) {
		// As many whole octets as there is room for, where none of eight is 0xff.
		v := binary.BigEndian.Uint64(r.b[r.at:])
		if v&(^v-0x0101010101010101)&0x8080808080808080 == 0 {
			k := (63 - r.n) / 8
			r.ahead |= v >> (64 - 8*k) << (64 - 8*k) >> r.n
			r.at += k
			r.n += 8 * k
			return
		}
	}
	for ; r.n <= 56; r.n += 8 {
		v := byte(0)
		switch rest := r.b[r.at:]; {
		case len(rest) > 0 && rest[0] != 0xff:
			v = rest[0]
			r.at++
		case len(rest) > 1 && rest[1] == 0:
			v = 0xff
			r.at += 2
		default: // the end, or a marker, of which there is none before it
			r.none += 8
		}
		r.ahead |= uint64(v) << (56 - r.n)
	}
}

// beyond reports whether bits were taken that are not there.
func (r *jpegBits) beyond() bool { return r.none > r.n }

// end looks at what is left when no block is: the ones that fill up the octet.
func (r *jpegBits) end() error {
	for r.none == 0 && r.n < 8 && r.at < len(r.b) {
		r.fill()
	}
	left := r.n - r.none
	if left >= 8 || r.at != len(r.b) {
		return errors.New("octets behind its last block")
	}
	if r.ahead>>(64-left) != 1<<left-1 {
		return errors.New("bits behind its last block")
	}
	return nil
}
