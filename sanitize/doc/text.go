package doc

import (
	"cmp"
	"fmt"
	"slices"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// piece is a stretch of text: which characters of the document stand where in
// the stream, one octet or two for each. [MS-DOC] 2.8.35, 2.9.177.
type piece struct {
	from, to uint32 // characters
	off      uint32 // octets
	wide     bool
	flags    uint16
	prm      uint16
}

func (p piece) size() uint32 {
	if p.wide {
		return 2 * (p.to - p.from)
	}
	return p.to - p.from
}

// readPieces reads the piece table out of the structure Clx, which must be
// there: it alone says what the text is. [MS-DOC] 2.9.38.
func (d *document) readPieces() error {
	b := d.get(pairClx)
	for len(b) >= 3 && b[0] == 1 {
		n := int(le.Uint16(b[1:]))
		if n > len(b)-3 {
			return malformed("property modifiers of %d octets", n)
		}
		b = b[3+n:]
	}
	if len(b) < 5 || b[0] != 2 {
		return malformed("no piece table")
	}
	n := le.Uint32(b[1:])
	if b = b[5:]; uint64(n) > uint64(len(b)) || n < 4+12 || (n-4)%12 != 0 {
		return malformed("piece table of %d octets", n)
	}
	b = b[:n]
	count := int(n-4) / 12
	cps, pcds := b[:4*(count+1)], b[4*(count+1):]
	if le.Uint32(cps) != 0 {
		return malformed("text that begins at %d", le.Uint32(cps))
	}
	d.pieces = make([]piece, 0, count)
	for i := range count {
		p := piece{from: le.Uint32(cps[4*i:]), to: le.Uint32(cps[4*i+4:])}
		fc := le.Uint32(pcds[8*i+2:])
		p.flags, p.prm = le.Uint16(pcds[8*i:]), le.Uint16(pcds[8*i+6:])
		// [MS-DOC] 2.9.73: the bit fCompressed says one octet a character, and
		// then the place is counted double.
		const compressed = 1 << 30
		p.wide = fc&compressed == 0
		p.off = fc & (compressed - 1)
		if !p.wide {
			p.off /= 2
		}
		// A million characters are more than a thousand pages; what a stream of
		// octets can hold bounds them.
		if p.to < p.from || uint64(p.to-p.from) > uint64(len(d.main)) || uint64(p.off)+uint64(p.size()) > uint64(len(d.main)) {
			return malformed("piece of characters %d to %d at %d", p.from, p.to, p.off)
		}
		d.pieces = append(d.pieces, p)
	}
	d.length = d.pieces[count-1].to
	var sum uint64
	for _, n := range d.fib.ccp {
		sum += uint64(n)
	}
	if sum > uint64(d.length) {
		return malformed("stories of %d characters in a text of %d", sum, d.length)
	}
	return d.stretches()
}

// stretch is a part of the stream that text stands in.
type stretch struct {
	off, end uint32
	wide     bool
}

// stretches finds out where text stands. Word lets two pieces of a text that says
// something twice share its octets, in part or whole; nothing else than words may
// stand in those, for what is written there is written for both.
func (d *document) stretches() error {
	var sum uint64
	for _, p := range d.pieces {
		if p.from < p.to {
			d.inUse = append(d.inUse, stretch{p.off, p.off + p.size(), p.wide})
			sum += uint64(p.size())
		}
	}
	// All of it once more is more than any document says twice.
	if sum > 2*uint64(len(d.main)) {
		return fmt.Errorf("pieces of text that lie in one another: %w", sanitize.ErrLimit)
	}
	slices.SortFunc(d.inUse, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.end, b.end)) })
	whole := d.inUse[:0]
	for _, s := range d.inUse {
		last := len(whole) - 1
		if last < 0 || s.off >= whole[last].end {
			whole = append(whole, s)
			continue
		}
		shared := d.main[s.off:min(s.end, whole[last].end)]
		if s.wide != whole[last].wide || s.wide && (s.off-whole[last].off)%2 != 0 || !wordsOnly(shared, s.wide) {
			return malformed("text at %d lies in a text", s.off)
		}
		whole[last].end = max(whole[last].end, s.end)
	}
	d.inUse = whole
	return nil
}

// wordsOnly reports whether b holds nothing but words and what parts them.
func wordsOnly(b []byte, wide bool) bool {
	step := 1
	if wide {
		step = 2
	}
	for i := 0; i+step <= len(b); i += step {
		c := uint16(b[i])
		if wide {
			c = le.Uint16(b[i:])
		}
		switch {
		case c >= 0x20, c == '\r', c == '\t', c == 0x07, c == 0x0B, c == 0x0C, c == 0x0E, c == 0x1E, c == 0x1F:
		default:
			return false
		}
	}
	return true
}

// storyBounds are the first character of each story and the one behind it.
func (d *document) storyBounds(story int) (from, to uint32) {
	for _, n := range d.fib.ccp[:story] {
		from += n
	}
	return from, from + d.fib.ccp[story]
}

// claim is a part of the stream WordDocument that something of the document
// stands in.
type claim struct {
	from, to uint32
	kept     uint32 // where what is written of it ends
	what     string
}

// whatText is what a claim of text is called.
const whatText = "text"

// take claims a part of the stream.
func (d *document) take(what string, from, size uint32) error {
	if uint64(from)+uint64(size) > uint64(len(d.main)) {
		return malformed("%s at %d, behind the end", what, from)
	}
	if size > 0 {
		d.claims = append(d.claims, claim{from, from + size, from + size, what})
	}
	return nil
}

// claimAll finds out which parts of the stream are in use. Each belongs to one
// thing only: where text is also a page of properties, two readers could see
// two documents.
func (d *document) claimAll() error {
	if err := d.take("block", 0, uint32(d.fib.size)); err != nil {
		return err
	}
	for _, p := range d.pieces {
		if err := d.take(whatText, p.off, p.size()); err != nil {
			return err
		}
	}
	for _, i := range []int{pairBteChpx, pairBtePapx} {
		pages, err := d.pages(i)
		if err != nil {
			return err
		}
		for _, pn := range pages {
			if err := d.take("page of properties", pn*pageSize, pageSize); err != nil {
				return err
			}
		}
	}
	sections, err := d.sections()
	if err != nil {
		return err
	}
	for _, s := range sections {
		if err := d.take("section", s.off, s.size); err != nil {
			return err
		}
		d.claims[len(d.claims)-1].kept = s.off + 2 + uint32(len(plain(d.main[s.off+2:s.off+s.size])))
	}
	slices.SortFunc(d.claims, func(a, b claim) int { return cmp.Compare(a.from, b.from) })
	var end, kept uint32
	var last claim // that of the greatest end
	for i, c := range d.claims {
		if i > 0 && c.from < end && (c.what != whatText || last.what != whatText) {
			return malformed("%s at %d lies in a %s", c.what, c.from, last.what)
		}
		if c.to > end {
			last = c
		}
		end, kept = max(end, c.to), max(kept, c.kept)
	}
	if int64(end) > d.s.Options.Limits.OutputBytes {
		return sanitize.ErrLimit
	}
	d.out = make([]byte, kept)
	return nil
}

// at finds where the text is in which an octet of the stream lies, nil for none.
func (d *document) at(fc uint32) *stretch {
	i, found := slices.BinarySearchFunc(d.inUse, fc, func(s stretch, fc uint32) int { return cmp.Compare(s.off, fc) })
	if !found {
		i--
	}
	if i < 0 || fc >= d.inUse[i].end {
		return nil
	}
	return &d.inUse[i]
}

// next is where the first text behind an octet of the stream lies, zero for
// none.
func (d *document) next(fc uint32) uint32 {
	i, _ := slices.BinarySearchFunc(d.inUse, fc+1, func(s stretch, fc uint32) int { return cmp.Compare(s.off, fc) })
	if i == len(d.inUse) {
		return 0
	}
	return d.inUse[i].off
}

// each calls f for every character that stands between two places of the
// stream, with its place. f may return another character to stand there.
func (d *document) each(from, to uint32, f func(c uint16) uint16) {
	for fc := from; fc < to; {
		p := d.at(fc)
		if p == nil {
			// Between the pieces lies what a fast save gave up.
			if fc = d.next(fc); fc == 0 {
				return
			}
			continue
		}
		if p.wide && (fc-p.off)%2 != 0 {
			fc++
			continue
		}
		end := min(to, p.end)
		if !p.wide {
			for ; fc < end; fc++ {
				d.out[fc] = byte(f(uint16(d.out[fc])))
			}
			continue
		}
		for ; fc+2 <= end; fc += 2 {
			le.PutUint16(d.out[fc:], f(le.Uint16(d.out[fc:])))
		}
		fc = max(fc, end)
	}
}

// western are the characters of one octet that are not those of Latin-1.
// [MS-DOC] 2.9.73.
var western = lazy.Value[map[byte]uint16]{Make: func() map[byte]uint16 {
	return map[byte]uint16{
		0x82: 0x201A, 0x83: 0x0192, 0x84: 0x201E, 0x85: 0x2026, 0x86: 0x2020, 0x87: 0x2021, 0x88: 0x02C6, 0x89: 0x2030, 0x8A: 0x0160, 0x8B: 0x2039, 0x8C: 0x0152,
		0x91: 0x2018, 0x92: 0x2019, 0x93: 0x201C, 0x94: 0x201D, 0x95: 0x2022, 0x96: 0x2013, 0x97: 0x2014, 0x98: 0x02DC, 0x99: 0x2122, 0x9A: 0x0161, 0x9B: 0x203A, 0x9C: 0x0153, 0x9F: 0x0178,
	}
}}

// pieceOf returns the index of the piece that holds a character.
func (d *document) pieceOf(cp uint32) int {
	i, _ := slices.BinarySearchFunc(d.pieces, cp, func(p piece, cp uint32) int {
		switch {
		case p.to <= cp:
			return -1
		case p.from > cp:
			return 1
		default:
			return 0
		}
	})
	return i
}

// span calls f for the characters from one to before another, in order, with
// each one's number. f may return another character to stand there.
func (d *document) span(from, to uint32, f func(cp uint32, c uint16) uint16) {
	for i := d.pieceOf(from); i < len(d.pieces) && from < to; i++ {
		p := &d.pieces[i]
		end := min(to, p.to)
		if !p.wide {
			for ; from < end; from++ {
				at := p.off + from - p.from
				c := d.out[at]
				u := uint16(c)
				if w, ok := western.Get()[c]; ok {
					u = w
				}
				if v := f(from, u); v != u {
					d.out[at] = byte(v)
				}
			}
			continue
		}
		for ; from < end; from++ {
			at := p.off + 2*(from-p.from)
			u := le.Uint16(d.out[at:])
			if v := f(from, u); v != u {
				le.PutUint16(d.out[at:], v)
			}
		}
	}
}
