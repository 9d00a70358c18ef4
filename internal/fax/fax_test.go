package fax

import (
	"bytes"
	"testing"
)

func TestFaxIsReadAndWritten(t *testing.T) {
	tables := NewTables()
	for _, columns := range []int{1, 7, 8, 9, 64, 1728, 2600, 5300} {
		stride := (columns + 7) / 8
		const rows = 20
		pixels := make([]byte, stride*rows)
		seed := uint32(columns)
		for y := range rows {
			for x := 0; x < columns; {
				seed = seed*1664525 + 1013904223
				run := int(seed>>24)%40 + 1
				if seed>>12&15 == 0 {
					run = int(seed>>8) % (columns + 1)
				}
				for i := x; i < min(x+run, columns) && (seed>>9)&1 == 1; i++ {
					pixels[y*stride+i>>3] |= 0x80 >> (i & 7)
				}
				x += run + 1
			}
		}
		b := Group4(tables, pixels, columns, rows)
		got, n := Coding{K: -1, Columns: columns, Rows: rows + 5}.Decode(tables, b)
		if n != rows || !bytes.Equal(got, pixels) {
			t.Errorf("%d columns: %d rows come back, equal %v", columns, n, bytes.Equal(got, pixels))
		}
	}
}

// FuzzFax reads pictures of one bit, and writes what it read so that it is read
// again as the same.
func FuzzFax(f *testing.F) {
	f.Add([]byte("\x26\xa0\x40"), -1, 16, false)
	f.Add([]byte("\x00\x1a\x55"), 0, 16, true)
	tables := NewTables()
	f.Fuzz(func(t *testing.T, b []byte, k, columns int, align bool) {
		if columns <= 0 || columns > 4096 {
			return
		}
		pixels, rows := Coding{K: k, Columns: columns, Rows: 64, Align: align}.Decode(tables, b)
		if len(pixels) != rows*((columns+7)/8) || rows > 64 {
			t.Fatalf("%d octets for %d rows", len(pixels), rows)
		}
		again, n := Coding{K: -1, Columns: columns, Rows: rows}.Decode(tables, Group4(tables, pixels, columns, rows))
		if n != rows || !bytes.Equal(again, pixels) {
			t.Fatalf("%d rows of %d come back, equal %v", n, rows, bytes.Equal(again, pixels))
		}
	})
}
