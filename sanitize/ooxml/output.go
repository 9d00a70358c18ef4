package ooxml

import (
	"fmt"
	"io"
	"slices"

	"sekisho/sanitize"
)

// output is what a part becomes. While something is held, what was written
// stays in memory and pieces of it can still be cut out: whether a field's code
// may stay is known only at its end.
type output struct {
	w     io.Writer
	buf   []byte
	base  int64 // position of buf[0]
	holds int
	cuts  []span
	err   error
}

// span is a piece of the output, by positions.
type span struct{ from, to int64 }

const (
	flushAt = 32 << 10
	// Fields and alternatives span pages, not books. The memory of a worker is
	// what bounds it.
	maxHeld = 32 << 20
	// What may be expanded of a whole message: namespaces declared anew on every
	// child made 8 GB of 3 kB.
	maxPart = 500 << 20
)

func (o *output) pos() int64 { return o.base + int64(len(o.buf)) }

func (o *output) write(b []byte)       { o.buf = append(o.buf, b...) }
func (o *output) writeString(s string) { o.buf = append(o.buf, s...) }

func (o *output) hold() { o.holds++ }

func (o *output) release() {
	if o.holds > 0 {
		o.holds--
	}
}

// cut takes a piece out. It must have been held since its beginning.
func (o *output) cut(from, to int64) {
	if from < to {
		o.cuts = append(o.cuts, span{from, to})
	}
}

// bytes returns a piece that is still held.
func (o *output) bytes(s span) []byte { return o.buf[s.from-o.base : s.to-o.base] }

// move takes what was written last, from a position on, to another before it.
// Both must be held. It returns where the moved piece ends.
func (o *output) move(from, to int64) int64 {
	end := o.pos()
	piece := make([]byte, 0, end-from)
	at := from
	o.sortCuts()
	kept := o.cuts[:0]
	for _, c := range o.cuts {
		if c.from < from {
			kept = append(kept, c)
			continue
		}
		if c.from > at {
			piece = append(piece, o.bytes(span{at, c.from})...)
		}
		at = max(at, c.to)
	}
	piece = append(piece, o.bytes(span{at, end})...)
	n := int64(len(piece))
	for i := range kept {
		if kept[i].from >= to {
			kept[i].from += n
			kept[i].to += n
		}
	}
	o.cuts = kept
	o.buf = slices.Insert(o.buf[:from-o.base], int(to-o.base), piece...)
	return to + n
}

func (o *output) sortCuts() {
	slices.SortFunc(o.cuts, func(a, b span) int {
		switch {
		case a.from < b.from:
			return -1
		case a.from > b.from:
			return 1
		default:
			return 0
		}
	})
}

// settle writes what is no longer held, when it is worth it.
func (o *output) settle(end bool) error {
	if o.holds > 0 && !end {
		if len(o.buf) > maxHeld {
			return fmt.Errorf("more than %d bytes of a part held: %w", maxHeld, sanitize.ErrLimit)
		}
		return nil
	}
	if len(o.buf) < flushAt && !end || o.err != nil {
		return o.err
	}
	if len(o.cuts) > 0 {
		o.sortCuts()
		at := o.base
		for _, c := range o.cuts {
			if c.from > at {
				o.emit(o.bytes(span{at, c.from}))
			}
			at = max(at, c.to)
		}
		o.emit(o.bytes(span{at, o.pos()}))
		o.cuts = o.cuts[:0]
	} else {
		o.emit(o.buf)
	}
	o.base = o.pos()
	if o.base > maxPart {
		return fmt.Errorf("a part of more than %d bytes written: %w", int64(maxPart), sanitize.ErrLimit)
	}
	o.buf = o.buf[:0]
	if cap(o.buf) > 4<<20 {
		o.buf = nil // a long hold is rare; its memory is wanted for pictures
	}
	return o.err
}

func (o *output) emit(b []byte) {
	if o.err == nil && len(b) > 0 {
		if _, err := o.w.Write(b); err != nil {
			o.err = fmt.Errorf("write part: %w", err)
		}
	}
}
