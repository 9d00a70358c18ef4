package doc

import (
	"fmt"
	"slices"

	"sekisho/sanitize"
)

// pageSize is the size of a page of properties (FKP). [MS-DOC] 2.9.33, 2.9.174.
const pageSize = 512

// pages returns the numbers of the pages that a table of pages names, each once,
// in its order. [MS-DOC] 2.8.5, 2.8.6.
func (d *document) pages(i int) ([]uint32, error) {
	b := d.get(i)
	if len(b) < 4+8 || (len(b)-4)%8 != 0 {
		return nil, malformed("table of pages of %d octets", len(b))
	}
	n := (len(b) - 4) / 8
	seen := make(map[uint32]bool, n)
	out := make([]uint32, 0, n)
	for k := range n {
		if k > 0 && le.Uint32(b[4*k:]) < le.Uint32(b[4*(k-1):]) {
			return nil, malformed("table of pages in no order")
		}
		// [MS-DOC] 2.9.204: 22 bits.
		pn := le.Uint32(b[4*(n+1)+4*k:]) & 0x3FFFFF
		if (uint64(pn)+1)*pageSize > uint64(len(d.main)) {
			return nil, malformed("page %d, behind the end", pn)
		}
		if !seen[pn] {
			seen[pn] = true
			out = append(out, pn)
		}
	}
	return out, nil
}

// pageTable writes a table of pages anew, those among them that became two.
func (d *document) pageTable(i int) []byte {
	b := d.get(i)
	n := (len(b) - 4) / 8
	var fcs, pns []byte
	for k := range n {
		pn := le.Uint32(b[4*(n+1)+4*k:]) & 0x3FFFFF
		fcs, pns = append(fcs, b[4*k:4*k+4]...), le.AppendUint32(pns, pn)
		if h, ok := d.halves[pn]; ok {
			fcs, pns = le.AppendUint32(fcs, h.from), le.AppendUint32(pns, h.pn)
		}
	}
	return slices.Concat(fcs, b[4*n:4*n+4], pns)
}

// half is the second half of a page: where it begins, and which page it is.
type half struct{ from, pn uint32 }

// writePage writes a page of properties: where its runs are, and what they have,
// for each size octets behind those and the entries in the rest. One in which they
// do not fit becomes two.
func (d *document) writePage(i int, pn uint32, fcs []byte, size int, entries []entryOfPage) error {
	n := len(fcs)/4 - 1
	err := putPage(d.out[pn*pageSize:][:pageSize], fcs, size, entries)
	if err == nil || n < 2 || !d.once(i, pn) {
		return err
	}
	middle := n / 2
	second := slices.IndexFunc(entries, func(e entryOfPage) bool { return e.run >= middle })
	if second < 0 {
		return err
	}
	first, rest := entries[:second], slices.Clone(entries[second:])
	for k := range rest {
		rest[k].run -= middle
	}
	other := uint32((len(d.out) + pageSize - 1) / pageSize)
	if int64(other+1)*pageSize > d.s.Options.Limits.OutputBytes {
		return fmt.Errorf("pages of properties: %w", sanitize.ErrLimit)
	}
	d.out = append(d.out, make([]byte, int(other+1)*pageSize-len(d.out))...)
	clear(d.out[pn*pageSize:][:pageSize])
	if err := putPage(d.out[pn*pageSize:][:pageSize], fcs[:4*(middle+1)], size, first); err != nil {
		return err
	}
	if err := putPage(d.out[other*pageSize:][:pageSize], fcs[4*middle:], size, rest); err != nil {
		return err
	}
	if d.halves == nil {
		d.halves = map[uint32]half{}
	}
	d.halves[pn] = half{le.Uint32(fcs[4*middle:]), other}
	return nil
}

// once reports whether a table names a page once, and the page has what the table
// says: only then the text up to its middle is one entry, what follows another.
func (d *document) once(i int, pn uint32) bool {
	b, found := d.get(i), 0
	n := (len(b) - 4) / 8
	for k := range n {
		if le.Uint32(b[4*(n+1)+4*k:])&0x3FFFFF != pn {
			continue
		}
		page := d.main[pn*pageSize : (pn+1)*pageSize]
		runs := int(page[pageSize-1])
		if le.Uint32(b[4*k:]) != le.Uint32(page) || le.Uint32(b[4*k+4:]) < le.Uint32(page[4*runs:]) {
			return false
		}
		found++
	}
	return found == 1
}

func putPage(page, fcs []byte, size int, entries []entryOfPage) error {
	clear(page)
	copy(page, fcs)
	page[pageSize-1] = byte(len(fcs)/4 - 1)
	return fill(page, len(fcs)+size*(len(fcs)/4-1), entries, func(run int, where byte) { page[len(fcs)+size*run] = where })
}

// runs reads how many runs a page has and where they begin and end.
func runs(page []byte, size int) (n int, fcs []byte, err error) {
	n = int(page[pageSize-1])
	if 4*(n+1)+size*n > pageSize-1 {
		return 0, nil, malformed("page of %d runs", n)
	}
	fcs = page[:4*(n+1)]
	for k := range n {
		if le.Uint32(fcs[4*k:]) > le.Uint32(fcs[4*k+4:]) {
			return 0, nil, malformed("page whose runs are in no order")
		}
	}
	return n, fcs, nil
}

// entryOfPage is what a run of a page has: which one it is, where its properties stood,
// and what they are now.
type entryOfPage struct {
	run, was int
	b        []byte
}

// fill writes what the runs of a page have into it, and says of each where it
// stands, in units of two octets. From the end on, each different one once; where
// that does not fit, for Word lets those lie in one another that end alike, each
// where it stood.
func fill(page []byte, first int, entries []entryOfPage, says func(run int, where byte)) error {
	at, top := make(map[string]int, len(entries)), pageSize-1
	for _, e := range entries {
		if _, ok := at[string(e.b)]; ok {
			continue
		}
		if top = (top - len(e.b)) &^ 1; top < first {
			return fillInPlace(page, first, entries, says)
		}
		at[string(e.b)] = top
	}
	for _, e := range entries {
		where := at[string(e.b)]
		copy(page[where:], e.b)
		says(e.run, byte(where/2))
	}
	return nil
}

func fillInPlace(page []byte, first int, entries []entryOfPage, says func(run int, where byte)) error {
	clear(page[first : pageSize-1])
	var taken [pageSize]bool
	for _, e := range entries {
		if e.was < first || e.was+len(e.b) > pageSize-1 {
			return malformed("page whose properties do not fit")
		}
		for i, c := range e.b {
			if taken[e.was+i] && page[e.was+i] != c {
				return malformed("page whose properties do not fit")
			}
			page[e.was+i], taken[e.was+i] = c, true
		}
		says(e.run, byte(e.was/2))
	}
	return nil
}

// characters writes the pages of character properties anew.
func (d *document) characters() error {
	pages, err := d.pages(pairBteChpx)
	if err != nil {
		return err
	}
	for _, pn := range pages {
		page := d.main[pn*pageSize : (pn+1)*pageSize]
		n, fcs, err := runs(page, 1)
		if err != nil {
			return err
		}
		var entries []entryOfPage
		for k := range n {
			from, to := le.Uint32(fcs[4*k:]), le.Uint32(fcs[4*k+4:])
			at := 2 * int(page[len(fcs)+k])
			var run properties
			if at != 0 {
				// [MS-DOC] 2.9.32: an octet with the length.
				if at >= pageSize-1 || at+1+int(page[at]) > pageSize-1 {
					return malformed("properties at %d of a page", at)
				}
				// Pages follow one another through the text. Where each has all of
				// it, it would be walked once for each.
				if from < to {
					d.walked += max(int64(min(uint64(to), uint64(len(d.main))))-int64(from), 0)
				}
				if d.walked > 4*int64(len(d.main)) {
					return fmt.Errorf("runs of characters that lie in one another: %w", sanitize.ErrLimit)
				}
				if run, err = d.run(page[at+1:at+1+int(page[at])], d.stands(from, to)); err != nil {
					return err
				}
				if run.lost {
					d.each(from, to, func(c uint16) uint16 {
						if c != 0x01 {
							return c
						}
						if run.why != "" {
							d.report.Found("doc.picture", "pictures", sanitize.Removed, run.why)
						}
						return ' '
					})
				}
			}
			props := run.b
			if run.special && !d.specials(from, to) {
				props = withoutSpecial(props)
			}
			if len(props) == 0 {
				continue
			}
			entries = append(entries, entryOfPage{k, at, append([]byte{byte(len(props))}, props...)})
		}
		if err := d.writePage(pairBteChpx, pn, fcs, 1, entries); err != nil {
			return err
		}
	}
	return nil
}

// stands reports whether a character of a run stands for a picture.
func (d *document) stands(from, to uint32) bool {
	found := false
	d.each(from, to, func(c uint16) uint16 {
		found = found || c == 0x01
		return c
	})
	return found
}

// specials reports whether a run still has a character that stands for something
// else than itself.
func (d *document) specials(from, to uint32) bool {
	found, any := false, false
	d.each(from, to, func(c uint16) uint16 {
		any = true
		// A symbol of a font is a parenthesis.
		found = found || c < 0x20 && c != 0x1F || c == 0x28
		return c
	})
	return found || !any
}

// paragraphs writes the pages of paragraph properties anew.
func (d *document) paragraphs() error {
	pages, err := d.pages(pairBtePapx)
	if err != nil {
		return err
	}
	for _, pn := range pages {
		page := d.main[pn*pageSize : (pn+1)*pageSize]
		const size = 13 // where the properties stand, and what Word 97 knew of the height
		n, fcs, err := runs(page, size)
		if err != nil {
			return err
		}
		var entries []entryOfPage
		for k := range n {
			at := 2 * int(page[len(fcs)+size*k])
			if at == 0 {
				continue
			}
			props, err := papx(page, at)
			if err != nil {
				return err
			}
			if len(props) < 2 {
				continue
			}
			b, err := d.paragraph(props[2:])
			if err != nil {
				return err
			}
			b = slices.Concat(props[:2], b) // the style, then the changes
			// [MS-DOC] 2.9.175: an odd length is counted in one octet, an even
			// one in two.
			if len(b)%2 != 0 {
				b = append([]byte{byte((len(b) + 1) / 2)}, b...)
			} else {
				b = append([]byte{0, byte(len(b) / 2)}, b...)
			}
			entries = append(entries, entryOfPage{k, at, b})
		}
		if err := d.writePage(pairBtePapx, pn, fcs, size, entries); err != nil {
			return err
		}
	}
	return nil
}

// papx returns the properties at a place of a page.
func papx(page []byte, at int) ([]byte, error) {
	if at+2 > pageSize-1 {
		return nil, malformed("properties at %d of a page", at)
	}
	size := 2*int(page[at]) - 1
	at++
	if size < 0 {
		size = 2 * int(page[at])
		at++
	}
	if at+size > pageSize-1 {
		return nil, malformed("properties of %d octets at %d of a page", size, at)
	}
	return page[at : at+size], nil
}
