package qr

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// maxModules is the width of version 40.
const maxModules = 177

// grid is a code as modules, as wide as high.
type grid struct {
	n    int
	dark [maxModules][maxModules]bool // by row and column
}

// timed reports whether the two lines of alternating modules are there. Most
// of what is no code fails here.
func (g *grid) timed() bool {
	good, all := 0, 0
	for i := 8; i < g.n-8; i++ {
		want := i%2 == 0
		all += 2
		if g.dark[6][i] == want {
			good++
		}
		if g.dark[i][6] == want {
			good++
		}
	}
	return good*100 >= all*75
}

// mirror exchanges rows and columns: a code seen from behind.
func (g *grid) mirror() {
	for y := range g.n {
		for x := range y {
			g.dark[y][x], g.dark[x][y] = g.dark[x][y], g.dark[y][x]
		}
	}
}

// Per level of correction (L, M, Q, H) and version: how many octets of
// correction a block has, and how many blocks (ISO/IEC 18004, table 9).
var (
	correction = [4][41]byte{
		{0, 7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
		{0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28},
		{0, 13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30, 28, 30, 30, 30, 30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
		{0, 17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28, 30, 24, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
	}
	blocks = [4][41]byte{
		{0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25},
		{0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49},
		{0, 1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20, 23, 23, 25, 27, 29, 34, 34, 35, 38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68},
		{0, 1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25, 25, 34, 30, 32, 35, 37, 40, 42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81},
	}
)

// alignments are the rows and columns in which the middles of alignment
// patterns stand (annex E): evenly from the last one back, the first at 6.
func alignments(version int) []int {
	if version == 1 {
		return nil
	}
	n := version/7 + 2
	step := (version*8 + n*3 + 5) / (n*4 - 4) * 2
	at := make([]int, n)
	at[0] = 6
	for i, p := n-1, version*4+10; i > 0; i, p = i-1, p-step {
		at[i] = p
	}
	return at
}

// decode returns what a code says. False: it is none, or too much is damaged.
func (g *grid) decode() (string, bool) {
	level, mask, ok := g.format()
	if !ok {
		return "", false
	}
	version := (g.n - 17) / 4
	raw := g.octets(version, mask)
	count, ec := int(blocks[level][version]), int(correction[level][version])
	// The last blocks are one octet of data longer where they do not go into
	// equal parts; octets stand by turns (7.6).
	short := len(raw)/count - ec
	long := len(raw) % count
	data := make([][]byte, count)
	at := 0
	for i := range short + 1 {
		for b := range data {
			if i == short && b < count-long {
				continue
			}
			data[b] = append(data[b], raw[at])
			at++
		}
	}
	for range ec {
		for b := range data {
			data[b] = append(data[b], raw[at])
			at++
		}
	}
	var all []byte
	for _, d := range data {
		if !correct(d, ec) {
			return "", false
		}
		all = append(all, d[:len(d)-ec]...)
	}
	return text(all, version)
}

// format reads the level and the mask, which stand twice (7.9).
func (g *grid) format() (level, mask int, ok bool) {
	var a, b uint32
	bit := func(v *uint32, x, y int) {
		*v <<= 1
		if g.dark[y][x] {
			*v |= 1
		}
	}
	for x := range 6 {
		bit(&a, x, 8)
	}
	bit(&a, 7, 8)
	bit(&a, 8, 8)
	bit(&a, 8, 7)
	for y := 5; y >= 0; y-- {
		bit(&a, 8, y)
	}
	for y := g.n - 1; y >= g.n-7; y-- {
		bit(&b, 8, y)
	}
	for x := g.n - 8; x < g.n; x++ {
		bit(&b, x, 8)
	}
	best, which := 4, uint32(0) // three wrong bits can be put right
	for v := range uint32(32) {
		w := v
		for range 10 {
			w = w<<1 ^ w>>9*0x537
		}
		w = (v<<10 | w&0x3ff) ^ 0x5412
		if d := min(bits.OnesCount32(w^a), bits.OnesCount32(w^b)); d < best {
			best, which = d, v
		}
	}
	return [...]int{1, 0, 3, 2}[which>>3], int(which & 7), best < 4
}

// octets reads the modules that hold data, without their mask, in columns of
// two from the right, up and down by turns (7.7.3).
func (g *grid) octets(version, mask int) []byte {
	var fixed [maxModules][maxModules]bool
	fill := func(x, y, w, h int) {
		for j := max(y, 0); j < min(y+h, g.n); j++ {
			for i := max(x, 0); i < min(x+w, g.n); i++ {
				fixed[j][i] = true
			}
		}
	}
	fill(0, 0, 9, 9)
	fill(g.n-8, 0, 8, 9)
	fill(0, g.n-8, 9, 8)
	fill(6, 0, 1, g.n)
	fill(0, 6, g.n, 1)
	if version >= 7 {
		fill(g.n-11, 0, 3, 6)
		fill(0, g.n-11, 6, 3)
	}
	at := alignments(version)
	last := len(at) - 1
	for i, y := range at {
		for j, x := range at {
			if i == 0 && (j == 0 || j == last) || i == last && j == 0 {
				continue
			}
			fill(x-2, y-2, 5, 5)
		}
	}
	var out []byte
	var v byte
	n := 0
	up := true
	for right := g.n - 1; right > 0; right -= 2 {
		if right == 6 {
			right--
		}
		for i := range g.n {
			y := i
			if up {
				y = g.n - 1 - i
			}
			for x := right; x > right-2; x-- {
				if fixed[y][x] {
					continue
				}
				v <<= 1
				if g.dark[y][x] != masked(mask, x, y) {
					v |= 1
				}
				if n++; n%8 == 0 {
					out = append(out, v)
				}
			}
		}
		up = !up
	}
	return out
}

// masked is table 10.
func masked(mask, x, y int) bool {
	switch mask {
	case 0:
		return (x+y)%2 == 0
	case 1:
		return y%2 == 0
	case 2:
		return x%3 == 0
	case 3:
		return (x+y)%3 == 0
	case 4:
		return (x/3+y/2)%2 == 0
	case 5:
		return x*y%2+x*y%3 == 0
	case 6:
		return (x*y%2+x*y%3)%2 == 0
	default:
		return ((x+y)%2+x*y%3)%2 == 0
	}
}

// exps and logs are powers of 2 in the field of 256 elements with the
// polynomial of 7.5.2, 285.
var exps, logs = func() (e [510]byte, l [256]int) {
	v := 1
	for i := range 255 {
		e[i], e[i+255] = byte(v), byte(v)
		l[v] = i
		if v <<= 1; v > 255 {
			v ^= 285
		}
	}
	return e, l
}()

func mul(a, b byte) byte {
	if a == 0 || b == 0 {
		return 0
	}
	return exps[logs[a]+logs[b]]
}

func inverse(a byte) byte { return exps[255-logs[a]] }

// correct puts right what is damaged in a block of n octets of correction, by
// Berlekamp and Massey's way, Chien's and Forney's.
func correct(block []byte, n int) bool {
	syndromes := make([]byte, n)
	damaged := false
	for i := range syndromes {
		var s byte
		for _, v := range block {
			s = mul(s, exps[i]) ^ v
		}
		syndromes[i] = s
		damaged = damaged || s != 0
	}
	if !damaged {
		return true
	}
	locator, before := make([]byte, n+1), make([]byte, n+1)
	locator[0], before[0] = 1, 1
	errors, shift, scale := 0, 1, byte(1)
	for i := range n {
		d := syndromes[i]
		for j := 1; j <= errors; j++ {
			d ^= mul(locator[j], syndromes[i-j])
		}
		if d == 0 {
			shift++
			continue
		}
		old := append([]byte(nil), locator...)
		k := mul(d, inverse(scale))
		for j := 0; j+shift <= n; j++ {
			locator[j+shift] ^= mul(k, before[j])
		}
		if 2*errors <= i {
			errors = i + 1 - errors
			before, scale, shift = old, d, 1
		} else {
			shift++
		}
	}
	if 2*errors > n {
		return false
	}
	// The evaluator: syndromes times locator, its first n coefficients.
	evaluator := make([]byte, n)
	for i := range evaluator {
		for j := 0; j <= min(i, errors); j++ {
			evaluator[i] ^= mul(locator[j], syndromes[i-j])
		}
	}
	value := func(p []byte, x byte) (v byte) {
		for i := len(p) - 1; i >= 0; i-- {
			v = mul(v, x) ^ p[i]
		}
		return v
	}
	found := 0
	for i := range block {
		power := len(block) - 1 - i
		x := exps[(255-power%255)%255]
		if value(locator[:errors+1], x) != 0 {
			continue
		}
		found++
		var slope byte // the derivative: odd coefficients stay
		for j := 1; j <= errors; j += 2 {
			slope ^= mul(locator[j], exps[(j-1)*logs[x]%255])
		}
		if slope == 0 {
			return false
		}
		// The roots begin at the zeroth power, hence one more factor.
		block[i] ^= mul(mul(value(evaluator, x), inverse(slope)), exps[power%255])
	}
	return found == errors
}

// bitReader takes numbers of some bits from octets.
type bitReader struct {
	b  []byte
	at int
}

func (r *bitReader) left() int { return 8*len(r.b) - r.at }

func (r *bitReader) take(n int) (int, bool) {
	if n > r.left() {
		return 0, false
	}
	v := 0
	for range n {
		v = v<<1 | int(r.b[r.at/8]>>(7-r.at%8)&1)
		r.at++
	}
	return v, true
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// text reads the segments (7.4). Only the letters that addresses are made of
// matter here: a character of a charset that is not told becomes a question
// mark.
func text(data []byte, version int) (string, bool) {
	r := &bitReader{b: data}
	var out strings.Builder
	wide := 0
	switch {
	case version >= 27:
		wide = 2
	case version >= 10:
		wide = 1
	}
	for r.left() >= 4 {
		mode, _ := r.take(4)
		ok := true
		switch mode {
		case 0:
			return out.String(), true
		case 1:
			ok = numbers(r, &out, [...]int{10, 12, 14}[wide])
		case 2:
			ok = letters(r, &out, [...]int{9, 11, 13}[wide])
		case 3: // one of several codes that belong together
			_, ok = r.take(16)
		case 4:
			ok = octets(r, &out, [...]int{8, 16, 16}[wide])
		case 5:
		case 7: // a charset: one to three octets by the first bits
			n, _ := r.take(8)
			switch {
			case n&0x80 == 0:
			case n&0xc0 == 0x80:
				_, ok = r.take(8)
			default:
				_, ok = r.take(16)
			}
		case 8:
			var n int
			if n, ok = r.take([...]int{8, 10, 12}[wide]); ok {
				for i := 0; i < n && ok; i++ {
					_, ok = r.take(13)
				}
				out.WriteByte('?')
			}
		case 9:
			_, ok = r.take(8)
		default:
			return "", false
		}
		if !ok {
			return "", false
		}
	}
	return out.String(), true
}

func numbers(r *bitReader, out *strings.Builder, width int) bool {
	n, ok := r.take(width)
	for ; ok && n > 0; n -= 3 {
		digits := min(n, 3)
		var v int
		if v, ok = r.take([...]int{0, 4, 7, 10}[digits]); !ok {
			break
		}
		var b [3]byte
		for i := digits - 1; i >= 0; i-- {
			b[i] = byte('0' + v%10)
			v /= 10
		}
		if v > 0 {
			return false
		}
		out.Write(b[:digits])
	}
	return ok
}

func letters(r *bitReader, out *strings.Builder, width int) bool {
	n, ok := r.take(width)
	for ; ok && n > 0; n -= 2 {
		var v int
		if n == 1 {
			if v, ok = r.take(6); !ok || v >= 45 {
				return false
			}
			out.WriteByte(alphanumeric[v])
			break
		}
		if v, ok = r.take(11); !ok || v >= 45*45 {
			return false
		}
		out.WriteByte(alphanumeric[v/45])
		out.WriteByte(alphanumeric[v%45])
	}
	return ok
}

func octets(r *bitReader, out *strings.Builder, width int) bool {
	n, ok := r.take(width)
	if !ok || 8*n > r.left() {
		return false
	}
	b := make([]byte, n)
	for i := range b {
		v, _ := r.take(8)
		b[i] = byte(v)
	}
	if !utf8.Valid(b) {
		out.WriteString(strings.ToValidUTF8(string(b), "?"))
		return true
	}
	out.Write(b)
	return true
}
