package xls

import (
	"fmt"
	"slices"

	"sekisho/sanitize"
)

// table is the shared strings of a workbook, written anew. [MS-XLS] 2.4.265.
type table struct {
	total  uint32 // how many cells use one
	count  uint32
	out    []byte // records, the first one's eight octets of counts still zero
	start  int    // of the record that is being written
	extra  map[string]uint32
	opened bool
}

func (t *table) open() {
	if !t.opened {
		t.opened = true
		t.out = append(t.out, recSST&0xff, recSST>>8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
}

// room is how many octets still fit into the record.
func (t *table) room() int { return maxRecord - (len(t.out) - t.start - 4) }

// turn ends the record and begins one that continues it.
func (t *table) turn() {
	le.PutUint16(t.out[t.start+2:], uint16(len(t.out)-t.start-4))
	t.start = len(t.out)
	t.out = append(t.out, recContinue, 0, 0, 0)
}

// add appends a string with its formatting runs, of four octets each, and what
// it has beyond (its reading, in Japanese).
func (t *table) add(u []uint16, runs, beyond []byte) {
	t.open()
	flags := byte(0)
	wide := !narrow(u)
	if wide {
		flags |= 1
	}
	head := 3
	if len(beyond) > 0 {
		flags |= 4
		head += 4
	}
	if len(runs) > 0 {
		flags |= 8
		head += 2
	}
	// The head is never cut, nor parted from its first character.
	if t.room() < head+2 {
		t.turn()
	}
	t.out = le.AppendUint16(t.out, uint16(len(u)))
	t.out = append(t.out, flags)
	if len(runs) > 0 {
		t.out = le.AppendUint16(t.out, uint16(len(runs)/4))
	}
	if len(beyond) > 0 {
		t.out = le.AppendUint32(t.out, uint32(len(beyond)))
	}
	for len(u) > 0 {
		var n int
		if wide {
			n = min(len(u), t.room()/2)
			at := len(t.out)
			t.out = slices.Grow(t.out, 2*n)[:at+2*n]
			to := t.out[at:]
			for i, c := range u[:n] {
				le.PutUint16(to[2*i:], c)
			}
		} else {
			n = min(len(u), t.room())
			for _, c := range u[:n] {
				t.out = append(t.out, byte(c))
			}
		}
		if u = u[n:]; len(u) > 0 {
			t.turn()
			t.out = append(t.out, flags&1)
		}
	}
	for len(runs) > 0 {
		n := min(len(runs), t.room()/4*4)
		t.out = append(t.out, runs[:n]...)
		if runs = runs[n:]; len(runs) > 0 {
			t.turn()
		}
	}
	for len(beyond) > 0 {
		n := min(len(beyond), t.room())
		t.out = append(t.out, beyond[:n]...)
		if beyond = beyond[n:]; len(beyond) > 0 {
			t.turn()
		}
	}
	t.count++
}

// index returns the place of a string that a formula had as its result.
func (t *table) index(u []uint16) uint32 {
	k := text(u)
	if i, ok := t.extra[k]; ok {
		t.total++
		return i
	}
	if t.extra == nil {
		t.extra = map[string]uint32{}
	}
	t.extra[k] = t.count
	t.add(u, nil, nil)
	t.total++
	return t.count - 1
}

// records returns the table as records, nothing if it was never opened.
func (t *table) records() []byte {
	if !t.opened {
		return nil
	}
	le.PutUint16(t.out[t.start+2:], uint16(len(t.out)-t.start-4))
	le.PutUint32(t.out[4:], max(t.total, t.count))
	le.PutUint32(t.out[8:], t.count)
	return t.out
}

// read reads the strings of r.
func (t *table) read(r *record) error {
	t.open()
	c := cursor{pieces: append([][]byte{r.data}, r.more...)}
	t.total = c.uint32()
	count := c.uint32()
	if c.short {
		return fmt.Errorf("shared strings: %w", sanitize.ErrMalformed)
	}
	size := 0
	for _, p := range c.pieces {
		size += len(p)
	}
	t.out = slices.Grow(t.out, size+size/64)
	var u []uint16
	var runs, beyond []byte
	for range count {
		c.settle()
		if len(c.pieces) == 0 {
			return nil // QUIRK: some writers count more than there are
		}
		n := int(c.uint16())
		flags := c.byte()
		nruns, nbeyond := 0, 0
		if flags&8 != 0 {
			nruns = int(c.uint16())
		}
		if flags&4 != 0 {
			if v := c.uint32(); v > 1<<24 {
				c.short = true
			} else {
				nbeyond = int(v)
			}
		}
		u = c.characters(u[:0], n, flags&1 != 0)
		runs = c.take(runs[:0], 4*nruns)
		beyond = c.take(beyond[:0], nbeyond)
		if c.short {
			return fmt.Errorf("shared string %d is cut short: %w", t.count, sanitize.ErrMalformed)
		}
		t.add(u, runs, reading(beyond))
	}
	return nil
}

// reading returns the phonetic data of a string if it is no more than that.
// [MS-XLS] 2.5.86: its kind, its length, and then nothing.
func reading(b []byte) []byte {
	if len(b) < 4 || le.Uint16(b) != 1 || int(le.Uint16(b[2:]))+4 > len(b) {
		return nil
	}
	return b[:int(le.Uint16(b[2:]))+4]
}
