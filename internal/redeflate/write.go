package redeflate

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
)

// writer packs tokens: literals, and copies as isCopy | length<<16 | distance-1.
type writer struct {
	out    []byte
	hold   uint64
	n      uint
	tokens []uint32

	literals  [286]uint32 // how often each occurs in tokens
	distances [30]uint32
}

// add takes a token, and writes a block when there are enough.
func (w *writer) add(t uint32) {
	if len(w.tokens) == mostTokens {
		w.block(false)
	}
	w.tokens = append(w.tokens, t)
	if t&isCopy == 0 {
		w.literals[t]++
		return
	}
	w.literals[257+int(lengthCode[t>>16&0x1ff])]++
	w.distances[distCode(t&0xffff)]++
}

// lengthCode has the code for each length.
var lengthCode = func() (codes [259]uint8) {
	for c, base := range lengthBase {
		for i := int(base); i < int(base)+1<<lengthBits[c] && i < 259; i++ {
			codes[i] = uint8(c)
		}
	}
	codes[258] = 28
	return codes
}()

// distCode is the code for a distance less one: its two highest bits and how
// many follow.
func distCode(d uint32) int {
	if d < 4 {
		return int(d)
	}
	n := bits.Len32(d) - 1
	return 2*n + int(d>>(n-1)&1)
}

// put writes k bits, at most 32.
func (w *writer) put(v uint64, k uint) {
	w.hold |= v << w.n
	if w.n += k; w.n >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.hold))
		w.hold >>= 32
		w.n -= 32
	}
}

// align writes what is left, up to a whole octet.
func (w *writer) align() {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.out = append(w.out, byte(w.hold))
		w.hold >>= 8
	}
}

// code is a Huffman code, turned as it is written, and its length.
type code struct {
	bits uint16
	n    uint8
}

// block writes the tokens at hand as one block with codes of its own.
func (w *writer) block(last bool) {
	w.literals[endOfBlock] = 1
	two(w.literals[:])
	two(w.distances[:])
	var lengths [286 + 30]uint8
	huffman(w.literals[:], 15, lengths[:286])
	huffman(w.distances[:], 15, lengths[286:])
	literals, distances := 286, 30
	for lengths[literals-1] == 0 {
		literals--
	}
	for lengths[286+distances-1] == 0 {
		distances--
	}
	head := uint64(2 << 1)
	if last {
		head |= 1
	}
	w.put(head, 3)
	w.lengths(slices.Concat(lengths[:literals], lengths[286:286+distances]), literals, distances)
	lc, dc := codesOf(lengths[:286]), codesOf(lengths[286:])
	for _, t := range w.tokens {
		if t&isCopy == 0 {
			w.put(uint64(lc[t].bits), uint(lc[t].n))
			continue
		}
		length, d := t>>16&0x1ff, t&0xffff
		l, c := int(lengthCode[length]), distCode(d)
		a, b := lc[257+l], dc[c]
		w.put(uint64(a.bits)|uint64(length-uint32(lengthBase[l]))<<a.n, uint(a.n+lengthBits[l]))
		w.put(uint64(b.bits)|uint64(d+1-uint32(distBase[c]))<<b.n, uint(b.n+distBits[c]))
	}
	end := lc[endOfBlock]
	w.put(uint64(end.bits), uint(end.n))
	w.tokens = w.tokens[:0]
	clear(w.literals[:])
	clear(w.distances[:])
}

// two sees to two symbols, so that every code is a whole one.
func two(freq []uint32) {
	n := 0
	for _, f := range freq {
		if f > 0 {
			n++
		}
	}
	for i := 0; n < 2; i++ {
		if freq[i] == 0 {
			freq[i] = 1
			n++
		}
	}
}

// lengths writes the lengths of both codes (RFC 1951, 3.2.7).
func (w *writer) lengths(all []uint8, literals, distances int) {
	type item struct{ symbol, extra uint8 }
	var items []item
	var freq [19]uint32
	add := func(symbol, extra uint8) {
		items = append(items, item{symbol, extra})
		freq[symbol]++
	}
	for i := 0; i < len(all); {
		run := 1
		for i+run < len(all) && all[i+run] == all[i] {
			run++
		}
		i += run
		value := all[i-1]
		if value != 0 {
			add(value, 0)
			run--
		}
		for run >= 3 {
			switch {
			case value != 0:
				k := min(run, 6)
				add(16, uint8(k-3))
				run -= k
			case run <= 10:
				add(17, uint8(run-3))
				run = 0
			default:
				k := min(run, 138)
				add(18, uint8(k-11))
				run -= k
			}
		}
		for range run {
			add(value, 0)
		}
	}
	two(freq[:])
	var lengths [19]uint8
	huffman(freq[:], 7, lengths[:])
	n := 19
	for n > 4 && lengths[order[n-1]] == 0 {
		n--
	}
	w.put(uint64(literals-257)|uint64(distances-1)<<5|uint64(n-4)<<10, 14)
	for _, i := range order[:n] {
		w.put(uint64(lengths[i]), 3)
	}
	codes := codesOf(lengths[:])
	for _, it := range items {
		w.put(uint64(codes[it.symbol].bits), uint(codes[it.symbol].n))
		switch it.symbol {
		case 16:
			w.put(uint64(it.extra), 2)
		case 17:
			w.put(uint64(it.extra), 3)
		case 18:
			w.put(uint64(it.extra), 7)
		}
	}
}

// leaf is a symbol, or a pair of what stands before it.
type leaf struct {
	freq   uint32
	symbol int
}

var leaves = sync.Pool{New: func() any { b := make([]leaf, 0, 286); return &b }}

// huffman gives every symbol that occurs the length of its code, none longer
// than most: the rarest two are joined again and again, and codes that become
// too long are shortened at the cost of others.
func huffman(freq []uint32, most int, lengths []uint8) {
	pooled := leaves.Get().(*[]leaf)
	defer leaves.Put(pooled)
	l := (*pooled)[:0]
	for i, f := range freq {
		if f > 0 {
			l = append(l, leaf{f, i})
		}
	}
	*pooled = l
	slices.SortFunc(l, func(a, b leaf) int { return cmp.Or(cmp.Compare(a.freq, b.freq), cmp.Compare(a.symbol, b.symbol)) })
	n := len(l)
	// Pairs come in the order of their frequencies, as the leaves do.
	pairs := make([]uint32, 0, n-1)
	parent := make([]int, 2*n-1)
	i, j := 0, 0
	for len(pairs) < n-1 {
		var f uint32
		for range 2 {
			if i < n && (j >= len(pairs) || l[i].freq <= pairs[j]) {
				f += l[i].freq
				parent[i] = n + len(pairs)
				i++
			} else {
				f += pairs[j]
				parent[n+j] = n + len(pairs)
				j++
			}
		}
		pairs = append(pairs, f)
	}
	depth := make([]int, 2*n-1)
	var count [64]int
	over := 0
	for k := 2*n - 3; k >= 0; k-- {
		depth[k] = depth[parent[k]] + 1
		if k < n {
			if depth[k] > most {
				over++
			}
			count[min(depth[k], most)]++
		}
	}
	if over > 0 {
		// Too many of the longest: one from above goes down to make room for two.
		space := 0
		for d := 1; d <= most; d++ {
			space += count[d] << (most - d)
		}
		for space > 1<<most {
			d := most - 1
			for count[d] == 0 {
				d--
			}
			count[d]--
			count[d+1] += 2
			count[most]--
			space--
		}
	}
	k := 0
	for d := most; d >= 1; d-- {
		for range count[d] {
			lengths[l[k].symbol] = uint8(d)
			k++
		}
	}
}

// codesOf assigns the codes (3.2.2).
func codesOf(lengths []uint8) (codes [286]code) {
	var count, next [16]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	c := 0
	for n := 1; n < 16; n++ {
		c = (c + count[n-1]) << 1
		next[n] = c
	}
	for i, n := range lengths {
		if n > 0 {
			codes[i] = code{bits.Reverse16(uint16(next[n])) >> (16 - n), n}
			next[n]++
		}
	}
	return codes
}
