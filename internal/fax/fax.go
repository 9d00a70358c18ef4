// Package fax reads and writes pages of black and white as faxes have them: run
// lengths of ITU-T T.4 and the two-dimensional codes of T.4 and T.6. PDF and
// TIFF hold such pages.
package fax

import (
	"math/bits"
	"strings"
)

// Codes of ITU-T T.4, tables 2 and 3: run lengths 0 to 63, then the multiples
// of 64 up to 1728.
const whiteCodes = `00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101
101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011 00011010
00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100 00101101 00000100 00000101 00001010
00001011 01010010 01010011 01010100 01010101 00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 00110100
11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101
011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 010011010 011000 010011011`

const blackCodes = `0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000
0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 000011001100 000011001101 000001101000 000001101001
000001101010 000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 000011011010 000011011011 000001010100 000001010101 000001010110 000001010111
000001100100 000001100101 000001010010 000001010011 000000100100 000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111
0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 0000001110100
0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 0000001011011 0000001100100 0000001100101`

// bothCodes are 1792 to 2560, for either colour.
const bothCodes = `00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 000000011100 000000011101 000000011110 000000011111`

type code struct {
	bits uint16
	n    uint8
}

// Tables are the codes for writing and, by their first thirteen bits, the
// run lengths for reading.
type Tables struct {
	codes [2][]code // white, black: 0..63, then 64, 128 ... 2560
	runs  [2][1 << 13]struct {
		run int16 // -1: no code
		n   uint8
	}
}

// NewTables builds the tables; that takes a while, so one set serves a document.
func NewTables() *Tables {
	t := &Tables{}
	for c, text := range []string{whiteCodes, blackCodes} {
		for i := range t.runs[c] {
			t.runs[c][i].run = -1
		}
		for i, word := range strings.Fields(text + " " + bothCodes) {
			v := code{n: uint8(len(word))}
			for _, b := range word {
				v.bits = v.bits<<1 | uint16(b-'0')
			}
			t.codes[c] = append(t.codes[c], v)
			run := i
			if i >= 64 {
				run = (i - 63) * 64
			}
			shift := 13 - v.n
			for j := range 1 << shift {
				e := &t.runs[c][int(v.bits)<<shift|j]
				e.run, e.n = int16(run), v.n
			}
		}
	}
	return t
}

type reader struct {
	t   *Tables
	b   []byte
	pos int // in bits
}

// peek shows the next n bits, zeros behind the end.
func (r *reader) peek(n int) int {
	v := 0
	at := r.pos >> 3
	for i := range 4 {
		v <<= 8
		if at+i < len(r.b) {
			v |= int(r.b[at+i])
		}
	}
	return v >> (32 - n - r.pos&7) & (1<<n - 1)
}

func (r *reader) done() bool { return r.pos >= 8*len(r.b) }

// run reads the length of a run; -1 when there is no code.
func (r *reader) run(color int) int {
	total := 0
	for {
		e := r.t.runs[color][r.peek(13)]
		if e.run < 0 {
			return -1
		}
		r.pos += int(e.n)
		total += int(e.run)
		if e.run < 64 {
			return total
		}
		if r.done() {
			return -1
		}
	}
}

// Coding is how a page is coded (ISO 32000-1, table 11): K is negative for T.6,
// zero for the one dimension of T.4 and positive for its two; Align says that
// rows begin at whole octets.
type Coding struct {
	K, Columns, Rows int
	Align            bool
}

// Decode reads rows of black and white, one bit a pixel and 1 for black, each
// row filled up to an octet. It stops where it cannot read on, and returns how
// many rows it has.
func (f Coding) Decode(t *Tables, b []byte) ([]byte, int) {
	r := &reader{t: t, b: b}
	stride := (f.Columns + 7) / 8
	var out []byte
	ref := []int{f.Columns}
	var cur []int
	rows := 0
	for rows < f.Rows && !r.done() {
		twoD := f.K < 0
		if f.Align {
			r.pos = (r.pos + 7) &^ 7
		}
		if f.K >= 0 {
			// End of line codes, with zeros before them to fill up.
			eols := 0
			for {
				save := r.pos
				for !r.done() && r.peek(12) == 0 {
					r.pos++
				}
				if r.peek(12) != 1 {
					r.pos = save
					break
				}
				r.pos += 12
				eols++
				if f.K > 0 {
					twoD = r.peek(1) == 0
					r.pos++
				}
			}
			if eols >= 6 || r.done() {
				break // the return to control ends the page
			}
		} else if r.peek(24) == 0x001001 {
			break // end of facsimile block
		}
		var ok bool
		cur, ok = r.row(cur[:0], ref, f.Columns, twoD)
		if !ok && f.K < 0 && len(cur) == 0 {
			break
		}
		out = append(out, make([]byte, stride)...)
		paintRow(out[rows*stride:], cur, f.Columns)
		rows++
		if !ok {
			if f.K < 0 {
				break
			}
			for !r.done() && r.peek(12) != 1 {
				r.pos++ // the next line begins behind the next end of line
			}
		}
		ref, cur = append(cur, f.Columns), ref
	}
	return out, rows
}

// row reads one row as the places where the colour changes, white first.
func (r *reader) row(cur, ref []int, columns int, twoD bool) ([]int, bool) {
	a0, color := 0, 0
	if !twoD {
		for a0 < columns {
			n := r.run(color)
			if n < 0 {
				return cur, false
			}
			a0 = min(a0+n, columns)
			cur = append(cur, a0)
			color ^= 1
		}
		return cur, true
	}
	b := 0 // index of b1 in ref
	first := true
	for a0 < columns {
		// b1: the first change of the row above to the right of a0 and of the
		// other colour (T.6, 2.2.1).
		for b > 0 && ref[b-1] > a0 {
			b--
		}
		for b < len(ref) && (ref[b] <= a0 && !(first && ref[b] == 0 && a0 == 0) || b&1 != color) && ref[b] < columns {
			b++
		}
		b1, b2 := columns, columns
		if b < len(ref) {
			b1 = ref[b]
		}
		if b+1 < len(ref) {
			b2 = ref[b+1]
		}
		v := r.peek(7)
		switch {
		case v>>6 == 1: // V0
			r.pos++
			a0 = b1
		case v>>4 == 3:
			r.pos += 3
			a0 = b1 + 1
		case v>>4 == 2:
			r.pos += 3
			a0 = b1 - 1
		case v>>1 == 3:
			r.pos += 6
			a0 = b1 + 2
		case v>>1 == 2:
			r.pos += 6
			a0 = b1 - 2
		case v == 3:
			r.pos += 7
			a0 = b1 + 3
		case v == 2:
			r.pos += 7
			a0 = b1 - 3
		case v>>3 == 1: // pass
			r.pos += 4
			a0 = b2
			first = false
			continue
		case v>>4 == 1: // horizontal
			r.pos += 3
			n := r.run(color)
			if n < 0 {
				return cur, false
			}
			a1 := min(a0+n, columns)
			m := r.run(color ^ 1)
			if m < 0 {
				return append(cur, a1), false
			}
			a0 = min(a1+m, columns)
			cur = append(cur, a1, a0)
			first = false
			continue
		default:
			return cur, false
		}
		last := 0
		if len(cur) > 0 {
			last = cur[len(cur)-1]
		}
		if a0 < last || a0 > columns {
			return cur, false
		}
		cur = append(cur, a0)
		color ^= 1
		first = false
	}
	return cur, true
}

// paintRow sets the bits of the black runs.
func paintRow(row []byte, changes []int, columns int) {
	for i := 0; i < len(changes); i += 2 {
		end := columns
		if i+1 < len(changes) {
			end = changes[i+1]
		}
		for x := changes[i]; x < end; {
			if x&7 == 0 && end-x >= 8 {
				row[x>>3] = 0xff
				x += 8
				continue
			}
			row[x>>3] |= 0x80 >> (x & 7)
			x++
		}
	}
}

// Group4 writes rows of one bit a pixel, 1 for black, by T.6.
func Group4(t *Tables, pixels []byte, columns, rows int) []byte {
	stride := (columns + 7) / 8
	var out []byte
	acc, n := uint64(0), 0
	put := func(v uint16, bits uint8) {
		acc = acc<<bits | uint64(v)
		n += int(bits)
		for n >= 8 {
			n -= 8
			out = append(out, byte(acc>>n))
		}
	}
	run := func(color, length int) {
		for length >= 2560+64 {
			c := t.codes[color][63+2560/64]
			put(c.bits, c.n)
			length -= 2560
		}
		if length >= 64 {
			c := t.codes[color][63+length/64]
			put(c.bits, c.n)
			length %= 64
		}
		c := t.codes[color][length]
		put(c.bits, c.n)
	}
	ref, cur := []int{}, []int{}
	for y := range rows {
		cur = changes(cur[:0], pixels[y*stride:(y+1)*stride], columns)
		a0, color, i, b := 0, 0, 0, 0
		first := true
		at := func(l []int, i int) int {
			if i < len(l) {
				return l[i]
			}
			return columns
		}
		for a0 < columns {
			for b > 0 && at(ref, b-1) > a0 {
				b--
			}
			for b < len(ref) && (ref[b] <= a0 && !(first && ref[b] == 0) || b&1 != color) {
				b++
			}
			b1, b2 := at(ref, b), at(ref, b+1)
			a1, a2 := at(cur, i), at(cur, i+1)
			switch d := a1 - b1; {
			case b2 < a1:
				put(1, 4)
				a0 = b2
			case d >= -3 && d <= 3:
				v := [...]code{{2, 7}, {2, 6}, {2, 3}, {1, 1}, {3, 3}, {3, 6}, {3, 7}}[d+3]
				put(v.bits, v.n)
				a0 = a1
				color ^= 1
				i++
			default:
				put(1, 3)
				run(color, a1-a0)
				run(color^1, a2-a1)
				a0 = a2
				i += 2
			}
			first = false
		}
		ref, cur = cur, ref
	}
	put(1, 12)
	put(1, 12)
	if n > 0 {
		put(0, uint8(8-n))
	}
	return out
}

// changes lists where a row changes colour, white first.
func changes(to []int, row []byte, columns int) []int {
	color := byte(0)
	for x := 0; x < columns; {
		v := row[x>>3] << (x & 7)
		if color != 0 {
			v = ^v
		}
		n := bits.LeadingZeros8(v)
		if rest := 8 - x&7; n >= rest {
			x += rest
			continue
		}
		x += n
		if x < columns {
			to = append(to, x)
			color ^= 0xff
		}
	}
	return to
}
