package xls

import (
	"bytes"
	"io"
	"testing"

	"sekisho/sanitize"
)

func benchmark(b *testing.B, m *bookMaker) {
	in := m.bytes(b)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		s := newSession(len(in))
		if _, err := (Sanitizer{}).Sanitize(b.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "1", Kind: sanitize.KindXLS}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// rows are rows of a sheet: texts, numbers and a third of formulas.
func rows(n int) [][]byte {
	sum := cat([]byte{0x24, 0, 0, 0, 0xC0}, []byte{0x24, 0, 0, 1, 0xC0}, []byte{0x03}, []byte{0x1F}, make([]byte, 8), []byte{0x05})
	var r [][]byte
	for i := range uint16(n) {
		r = append(r, rec(recLabelSST, i, uint16(0), uint16(15), uint32(0)), rec(recNumber, i, uint16(1), uint16(15), 1.5), formulaCell(i, 2, 2.5, sum...))
	}
	return r
}

// BenchmarkCells is MB/s of cells, a third of them formulas.
func BenchmarkCells(b *testing.B) { benchmark(b, newBook(rows(60000)...)) }

// BenchmarkTexts is MB/s of shared strings in Japanese.
func BenchmarkTexts(b *testing.B) {
	m := newBook()
	for range 60000 {
		m.strings = append(m.strings, "物価高騰対応重点支援地方創生臨時交付金の申請について")
	}
	benchmark(b, m)
}

// BenchmarkSmall is one workbook of some 100 kB.
func BenchmarkSmall(b *testing.B) { benchmark(b, newBook(rows(1100)...)) }
