package doc

import (
	"bytes"
	"errors"
	"testing"

	"sekisho/sanitize"
)

// TestPropertiesThatLieInOneAnotherStayWhereTheyAre: Word lets a run have the end
// of what another has. Written one behind the other they do not fit a full page.
func TestPropertiesThatLieInOneAnotherStayWhereTheyAre(t *testing.T) {
	const first = 400
	old := make([]byte, pageSize)
	var entries []entryOfPage
	for i := range 10 {
		// Each begins ten octets behind the one before, and all end with the page.
		at := first + 10*i
		old[at] = byte(i + 1)
		entries = append(entries, entryOfPage{run: i, was: at})
	}
	for i := range entries {
		entries[i].b = bytes.Clone(old[entries[i].was : pageSize-1])
	}
	page := make([]byte, pageSize)
	where := make([]int, len(entries))
	if err := fill(page, first, entries, func(i int, at byte) { where[i] = 2 * int(at) }); err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if !bytes.Equal(page[where[i]:where[i]+len(e.b)], e.b) {
			t.Errorf("entry %d stands at %d, and is %x", i, where[i], page[where[i]:][:8])
		}
	}
	entries[3].b[len(entries[3].b)-1] = 9 // where others have something else
	if err := fill(make([]byte, pageSize), first, entries, func(int, byte) {}); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("two in one place: %v", err)
	}
	entries = []entryOfPage{{was: first - 2, b: make([]byte, 120)}, {run: 1, was: first - 2, b: make([]byte, 119)}}
	if err := fill(make([]byte, pageSize), first, entries, func(int, byte) {}); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("among the runs: %v", err)
	}
}

// TestPiecesMayShareWords: but nothing else, and not without end.
func TestPiecesMayShareWords(t *testing.T) {
	text := []byte("once more\r\x13DDE\x15 in sum")
	for _, c := range []struct {
		name   string
		pieces []piece
		want   error
		in     []stretch
	}{
		{"the same twice", []piece{{from: 0, to: 10}, {from: 10, to: 20}}, nil, []stretch{{0, 10, false}}},
		{"one in another", []piece{{from: 0, to: 10}, {from: 10, to: 13, off: 2}, {from: 13, to: 15, off: 20}}, nil, []stretch{{0, 10, false}, {20, 22, false}}},
		{"end and beginning", []piece{{from: 0, to: 6}, {from: 6, to: 12, off: 4}}, nil, []stretch{{0, 10, false}}},
		{"wide in narrow", []piece{{from: 0, to: 10}, {from: 10, to: 12, off: 2, wide: true}}, sanitize.ErrMalformed, nil},
		{"halves of characters", []piece{{from: 0, to: 4, wide: true}, {from: 4, to: 6, off: 3, wide: true}}, sanitize.ErrMalformed, nil},
		{"a field", []piece{{from: 0, to: 16}, {from: 16, to: 20, off: 9}}, sanitize.ErrMalformed, nil},
		{"without end", []piece{{from: 0, to: 10}, {from: 10, to: 20}, {from: 20, to: 30}, {from: 30, to: 40}, {from: 40, to: 50}}, sanitize.ErrLimit, nil},
	} {
		d := &document{main: text, pieces: c.pieces}
		err := d.stretches()
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.want != nil {
			continue
		}
		if len(d.inUse) != len(c.in) {
			t.Errorf("%s: %v", c.name, d.inUse)
			continue
		}
		for i := range c.in {
			if d.inUse[i] != c.in[i] {
				t.Errorf("%s: %v", c.name, d.inUse)
			}
		}
	}
}
