package doc

import (
	"bytes"
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

// pageTable writes a table of pages anew.
func pageTable(b []byte) []byte {
	b = bytes.Clone(b)
	n := (len(b) - 4) / 8
	for k := range n {
		at := 4*(n+1) + 4*k
		le.PutUint32(b[at:], le.Uint32(b[at:])&0x3FFFFF)
	}
	return b
}

// runs reads how many runs a page has and where they begin and end.
func runs(page []byte, entry int) (n int, fcs []byte, err error) {
	n = int(page[pageSize-1])
	if 4*(n+1)+entry*n > pageSize-1 {
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

// layout fills a page from its end with what its runs have, each different one
// once, and returns where each stands, in units of two octets.
type layout struct {
	page  []byte
	first int // behind the runs
	top   int
	at    map[string]int
}

func newLayout(page []byte, first int) *layout {
	return &layout{page: page, first: first, top: pageSize - 1, at: map[string]int{}}
}

func (l *layout) place(b []byte) (byte, error) {
	if at, ok := l.at[string(b)]; ok {
		return byte(at / 2), nil
	}
	at := (l.top - len(b)) &^ 1
	if at < l.first {
		return 0, malformed("page whose properties do not fit")
	}
	copy(l.page[at:], b)
	l.top = at
	l.at[string(b)] = at
	return byte(at / 2), nil
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
		made := make([]byte, pageSize)
		copy(made, fcs)
		made[pageSize-1] = byte(n)
		l := newLayout(made, len(fcs)+n)
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
			where, err := l.place(append([]byte{byte(len(props))}, props...))
			if err != nil {
				return err
			}
			made[len(fcs)+k] = where
		}
		copy(d.out[pn*pageSize:], made)
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
		const entry = 13 // where the properties stand, and what Word 97 knew of the height
		n, fcs, err := runs(page, entry)
		if err != nil {
			return err
		}
		made := make([]byte, pageSize)
		copy(made, fcs)
		made[pageSize-1] = byte(n)
		l := newLayout(made, len(fcs)+entry*n)
		for k := range n {
			at := 2 * int(page[len(fcs)+entry*k])
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
			if made[len(fcs)+entry*k], err = l.place(b); err != nil {
				return err
			}
		}
		copy(d.out[pn*pageSize:], made)
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
