package pdf

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"sekisho/internal/lazy"
)

// Huffman codes of JBIG2 (T.88, annex B).

// bitReader reads bits, the most significant first. Behind the end there are
// zeros, and it is said.
type bitReader struct {
	b    []byte
	at   int // in bits
	over bool
}

func (r *bitReader) bits(n int) int {
	v := 0
	for range n {
		bit := 0
		if i := r.at >> 3; i < len(r.b) {
			bit = int(r.b[i]>>(7-r.at&7)) & 1
		} else {
			r.over = true
		}
		v = v<<1 | bit
		r.at++
	}
	return v
}

// align goes on with the next whole octet.
func (r *bitReader) align() { r.at = (r.at + 7) &^ 7 }

// take gives n octets; nil when there are not so many.
func (r *bitReader) take(n int) []byte {
	r.align()
	at := r.at / 8
	if n < 0 || at > len(r.b) || n > len(r.b)-at {
		r.over = true
		return nil
	}
	r.at += 8 * n
	return r.b[at : at+n : at+n]
}

// codeLine is a line of a table: a code of prefix bits, then more bits that are
// added to low, or taken from it.
type codeLine struct {
	prefix, more, low int
	down, none        bool // what is below the table; the code that ends a list
}

// codeTable is a table of lines with their codes assigned.
type codeTable struct {
	lines []codeLine // with a code, in the order of their codes
	first [longestCode + 1]uint64
	count [longestCode + 1]int
	from  [longestCode + 1]int // of lines
}

// longestCode bounds a code: more bits than there are symbols for.
const longestCode = 32

// newCodeTable assigns the codes (B.3). Lines without a prefix have none.
func newCodeTable(lines []codeLine) *codeTable {
	t := &codeTable{}
	for _, l := range lines {
		if l.prefix > 0 {
			t.lines = append(t.lines, l)
			t.count[l.prefix]++
		}
	}
	slices.SortStableFunc(t.lines, func(a, b codeLine) int { return a.prefix - b.prefix })
	for n := 1; n <= longestCode; n++ {
		t.first[n] = (t.first[n-1] + uint64(t.count[n-1])) << 1
		t.from[n] = t.from[n-1] + t.count[n-1]
	}
	return t
}

// next reads a number; false is the code that ends a list, or none.
func (t *codeTable) next(r *bitReader) (int, bool) {
	code := uint64(0)
	for n := 1; n <= longestCode; n++ {
		code = code<<1 | uint64(r.bits(1))
		if code < t.first[n] || code-t.first[n] >= uint64(t.count[n]) {
			continue
		}
		switch l := t.lines[t.from[n]+int(code-t.first[n])]; {
		case l.none:
			return 0, false
		case l.down:
			return l.low - r.bits(l.more), true
		default:
			return l.low + r.bits(l.more), true
		}
	}
	r.over = true // no code of the table
	return 0, false
}

// standardCodes are tables B.1 to B.15: prefix, further bits and lowest value of
// each line; "<" is what is below, ">" what is above, "-" the end of a list.
var standardCodes = lazy.Value[[16]*codeTable]{Make: func() (all [16]*codeTable) {
	for i, text := range [...]string{
		"1,4,0 2,8,16 3,16,272 >3,65808",
		"1,0,0 2,0,1 3,0,2 4,3,3 5,6,11 >6,75 -6",
		"8,8,-256 1,0,0 2,0,1 3,0,2 4,3,3 5,6,11 <8,-257 >7,75 -6",
		"1,0,1 2,0,2 3,0,3 4,3,4 5,6,12 >5,76",
		"7,8,-255 1,0,1 2,0,2 3,0,3 4,3,4 5,6,12 <7,-256 >6,76",
		"5,10,-2048 4,9,-1024 4,8,-512 4,7,-256 5,6,-128 5,5,-64 4,5,-32 2,7,0 3,7,128 3,8,256 4,9,512 4,10,1024 <6,-2049 >6,2048",
		"4,9,-1024 3,8,-512 4,7,-256 5,6,-128 5,5,-64 4,5,-32 4,5,0 5,5,32 5,6,64 4,7,128 3,8,256 3,9,512 3,10,1024 <5,-1025 >5,2048",
		"8,3,-15 9,1,-7 8,1,-5 9,0,-3 7,0,-2 4,0,-1 2,1,0 5,0,2 6,0,3 3,4,4 6,1,20 4,4,22 4,5,38 5,6,70 5,7,134 6,7,262 7,8,390 6,10,646 <9,-16 >9,1670 -2",
		"8,4,-31 9,2,-15 8,2,-11 9,1,-7 7,1,-5 4,1,-3 3,1,-1 3,1,1 5,1,3 6,1,5 3,5,7 6,2,39 4,5,43 4,6,75 5,7,139 5,8,267 6,8,523 7,9,779 6,11,1291 <9,-32 >9,3339 -2",
		"7,4,-21 8,0,-5 7,0,-4 5,0,-3 2,2,-2 5,0,2 6,0,3 7,0,4 8,0,5 2,6,6 5,5,70 6,5,102 6,6,134 6,7,198 6,8,326 6,9,582 6,10,1094 7,11,2118 <8,-22 >8,4166 -2",
		"1,0,1 2,1,2 4,0,4 4,1,5 5,1,7 5,2,9 6,2,13 7,2,17 7,3,21 7,4,29 7,5,45 7,6,77 >7,141",
		"1,0,1 2,0,2 3,1,3 5,0,5 5,1,6 6,1,8 7,0,10 7,1,11 7,2,13 7,3,17 7,4,25 8,5,41 >8,73",
		"1,0,1 3,0,2 4,0,3 5,0,4 4,1,5 3,3,7 6,1,15 6,2,17 6,3,21 6,4,29 6,5,45 7,6,77 >7,141",
		"3,0,-2 3,0,-1 1,0,0 3,0,1 3,0,2",
		"7,4,-24 6,2,-8 5,1,-4 4,0,-2 3,0,-1 1,0,0 3,0,1 4,0,2 5,1,3 6,2,5 7,4,9 <7,-25 >7,25",
	} {
		all[i+1] = newCodeTable(codeLines(text))
	}
	return all
}}

func codeLines(text string) (lines []codeLine) {
	for field := range strings.FieldsSeq(text) {
		rest := strings.TrimLeft(field, "<>")
		l := codeLine{down: field[0] == '<'}
		if rest[0] == '-' {
			l.none = true
			rest = rest[1:]
		}
		var n []int
		for part := range strings.SplitSeq(rest, ",") {
			v, _ := strconv.Atoi(part) // of the table above
			n = append(n, v)
		}
		l.prefix = n[0]
		switch len(n) {
		case 2:
			l.more, l.low = 32, n[1]
		case 3:
			l.more, l.low = n[1], n[2]
		}
		lines = append(lines, l)
	}
	return lines
}

// table reads a table of the document's own (7.4.13, B.2).
func (j *jbig2) table(s segment) error {
	if len(s.data) < 9 {
		return errJBIG2
	}
	flags := int(s.data[0])
	low, high := int(int32(binary.BigEndian.Uint32(s.data[1:]))), int(int32(binary.BigEndian.Uint32(s.data[5:])))
	prefix, more := flags>>1&7+1, flags>>4&7+1
	r := &bitReader{b: s.data[9:]}
	var lines []codeLine
	add := func(l codeLine) bool {
		l.prefix = r.bits(prefix)
		lines = append(lines, l)
		return l.prefix <= longestCode && !r.over
	}
	const most = 4096 // lines; programs write some dozens
	at := low
	for at < high {
		n := r.bits(prefix)
		wide := r.bits(more)
		if n > longestCode || wide > 32 || r.over || len(lines) == most {
			return errJBIG2
		}
		lines = append(lines, codeLine{prefix: n, more: wide, low: at})
		at += 1 << wide
	}
	if !add(codeLine{more: 32, low: low - 1, down: true}) || !add(codeLine{more: 32, low: at}) {
		return errJBIG2
	}
	if flags&1 != 0 && !add(codeLine{none: true}) {
		return errJBIG2
	}
	const line = 64 // octets in memory, for some bits in the file
	if err := j.spend(len(lines), line); err != nil {
		return err
	}
	j.tables[s.number] = newCodeTable(lines)
	return nil
}

// chosen gives the tables that a segment says by numbers: those of the standard,
// or with 3, or with 1 where there is one of the standard alone, the next one
// that the segment refers to.
type chosen struct {
	j      *jbig2
	refers []uint32
	failed bool
}

func (c *chosen) table(n int, standard ...int) *codeTable {
	if n < len(standard) {
		return standardCodes.Get()[standard[n]]
	}
	if n == 3 || len(standard) == 1 {
		for len(c.refers) > 0 {
			t := c.j.tables[c.refers[0]]
			c.refers = c.refers[1:]
			if t != nil {
				return t
			}
		}
	}
	c.failed = true
	return nil
}
