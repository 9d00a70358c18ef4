package xls

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"

	"sekisho/sanitize"
)

var le = binary.LittleEndian

// maxRecord is the most that one record holds. [MS-XLS] 2.1.4.
const maxRecord = 8224

// record is a record with those that continue it. [MS-XLS] 2.4.58.
type record struct {
	typ    uint16
	data   []byte
	more   [][]byte // of CONTINUE records
	end    int      // where the next begins
	pieces [][]byte // kept for whole
}

// whole returns the record's own octets first, then those of what continues it.
func (r *record) whole() [][]byte {
	if r.pieces == nil {
		r.pieces = append([][]byte{r.data}, r.more...)
	}
	return r.pieces
}

// joined returns all octets in one.
func (r *record) joined() []byte {
	if len(r.more) == 0 {
		return r.data
	}
	var b []byte
	for _, p := range r.whole() {
		b = append(b, p...)
	}
	return b
}

// plain reads the record at off alone, without what continues it.
func plain(b []byte, off int) (typ uint16, data []byte, end int, err error) {
	if off < 0 || off > len(b)-4 {
		return 0, nil, 0, fmt.Errorf("no record at octet %d: %w", off, sanitize.ErrMalformed)
	}
	typ = le.Uint16(b[off:])
	n := int(le.Uint16(b[off+2:]))
	if n > maxRecord {
		return 0, nil, 0, fmt.Errorf("record %04X at octet %d has %d octets: %w", typ, off, n, sanitize.ErrMalformed)
	}
	if n > len(b)-off-4 {
		return 0, nil, 0, fmt.Errorf("record %04X at octet %d is cut short: %w", typ, off, sanitize.ErrMalformed)
	}
	return typ, b[off+4 : off+4+n : off+4+n], off + 4 + n, nil
}

// next reads the record at off with those that continue it.
func next(b []byte, off int, r *record) error {
	*r = record{more: r.more[:0]}
	var err error
	if r.typ, r.data, r.end, err = plain(b, off); err != nil {
		return err
	}
	for r.end <= len(b)-4 && le.Uint16(b[r.end:]) == recContinue {
		_, data, end, err := plain(b, r.end)
		if err != nil {
			return err
		}
		r.more = append(r.more, data)
		r.end = end
	}
	return nil
}

// appendRecord appends a record to out; what does not fit goes into CONTINUE
// records.
func appendRecord(out []byte, typ uint16, data []byte) []byte {
	for {
		n := min(len(data), maxRecord)
		out = le.AppendUint16(out, typ)
		out = le.AppendUint16(out, uint16(n))
		out = append(out, data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return out
		}
		typ = recContinue
	}
}

// appendRaw appends a record as it is cut.
func appendRaw(out []byte, r *record) []byte {
	out = le.AppendUint16(out, r.typ)
	out = le.AppendUint16(out, uint16(len(r.data)))
	out = append(out, r.data...)
	for _, p := range r.more {
		out = le.AppendUint16(out, recContinue)
		out = le.AppendUint16(out, uint16(len(p)))
		out = append(out, p...)
	}
	return out
}

// cursor reads across the pieces of a record.
type cursor struct {
	pieces [][]byte
	at     int // in pieces[0]
	short  bool
}

func (c *cursor) settle() {
	for len(c.pieces) > 0 && c.at >= len(c.pieces[0]) {
		c.pieces, c.at = c.pieces[1:], 0
	}
}

func (c *cursor) byte() byte {
	c.settle()
	if len(c.pieces) == 0 {
		c.short = true
		return 0
	}
	b := c.pieces[0][c.at]
	c.at++
	return b
}

func (c *cursor) uint16() uint16 {
	b := c.byte()
	return uint16(b) | uint16(c.byte())<<8
}

func (c *cursor) uint32() uint32 {
	b := c.uint16()
	return uint32(b) | uint32(c.uint16())<<16
}

// take appends n octets to b.
func (c *cursor) take(b []byte, n int) []byte {
	for n > 0 {
		c.settle()
		if len(c.pieces) == 0 {
			c.short = true
			return b
		}
		k := min(n, len(c.pieces[0])-c.at)
		b = append(b, c.pieces[0][c.at:c.at+k]...)
		c.at += k
		n -= k
	}
	return b
}

// characters reads n characters, of two octets if wide, and appends them to u.
// Where a record ends between them, the next begins with whether they go on
// wide. [MS-XLS] 2.5.293.
func (c *cursor) characters(u []uint16, n int, wide bool) []uint16 {
	for n > 0 {
		if len(c.pieces) > 0 && c.at >= len(c.pieces[0]) {
			c.settle()
			if len(c.pieces) == 0 {
				c.short = true
				return u
			}
			wide = c.byte()&1 != 0
		}
		if len(c.pieces) == 0 {
			c.short = true
			return u
		}
		p := c.pieces[0][c.at:]
		if wide {
			k := min(n, len(p)/2)
			if k == 0 && len(p) > 0 {
				// QUIRK: a character cut in two; no program reads it.
				c.short = true
				return u
			}
			at := len(u)
			u = slices.Grow(u, k)[:at+k]
			to := u[at:]
			for i := range to {
				to[i] = le.Uint16(p[2*i:])
			}
			c.at += 2 * k
			n -= k
		} else {
			k := min(n, len(p))
			for _, b := range p[:k] {
				u = append(u, uint16(b))
			}
			c.at += k
			n -= k
		}
	}
	return u
}

// appendCharacters appends the flags octet and the characters of a string, in
// one octet each when they fit. [MS-XLS] 2.5.296.
func appendCharacters(b []byte, u []uint16) []byte {
	if narrow(u) {
		b = append(b, 0)
		for _, c := range u {
			b = append(b, byte(c))
		}
		return b
	}
	b = append(b, 1)
	for _, c := range u {
		b = le.AppendUint16(b, c)
	}
	return b
}

func narrow(u []uint16) bool {
	for _, c := range u {
		if c > 0xff {
			return false
		}
	}
	return true
}

// shortText reads the flags octet and n characters at the beginning of b.
func shortText(b []byte, n int) (u []uint16, rest []byte, ok bool) {
	if len(b) < 1 {
		return nil, nil, n == 0
	}
	wide := b[0]&1 != 0
	b = b[1:]
	size := n
	if wide {
		size = 2 * n
	}
	if size > len(b) {
		return nil, nil, false
	}
	c := cursor{pieces: [][]byte{b[:size]}}
	return c.characters(make([]uint16, 0, n), n, wide), b[size:], true
}

func text(u []uint16) string { return string(utf16.Decode(u)) }

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }
