package xls

import (
	"bytes"
	"errors"
	"testing"

	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// full is a workbook with a record of every sort that has counts and places in it.
func full() *bookMaker {
	return newBook(
		rec(0x00E5, uint16(1), uint16(2), uint16(2), uint16(0), uint16(3)),
		rec(recCondFmt, uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)), rec(recCF, 2, 0, uint16(3), uint16(0), uint32(0), uint16(0), tInt(1)),
		textCell(2, 0, "結果", cat(tStr("a"), tStr("b"), []byte{0x08})...),
		formulaCell(3, 0, 5, cat(tInt(2), tInt(3), []byte{0x03})...),
	).self().global(nameRecord(0, "範囲", tRef3(0)...))
}

// TestNumbersThatLieAreHeld: every number of a workbook in turn counts as many as
// can be, or leads outside.
func TestNumbersThatLieAreHeld(t *testing.T) {
	corpustest.Lies(full().stream(), 1, []uint32{0, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF}, func(what string, b []byte) {
		corpustest.Thrifty(t, what, 16<<20, func() { fuzzOne(t, b) })
		if t.Failed() {
			t.Fatal(what)
		}
	})
}

// TestStreamsCutShortAreHeld, wherever they are.
func TestStreamsCutShortAreHeld(t *testing.T) {
	b := full().stream()
	for n := range b {
		if fuzzOne(t, b[:n]); t.Failed() {
			t.Fatalf("cut at %d", n)
		}
	}
}

// TestSheetsInOneAnotherAreHeld: each entry of the list leads to the same sheet,
// or to the globals themselves.
func TestSheetsInOneAnotherAreHeld(t *testing.T) {
	for name, at := range map[string]func(b []byte) int{
		"one sheet a thousand times": func(b []byte) int { return bytes.LastIndex(b, bof(0x0600, 0x10)) },
		"the globals":                func([]byte) int { return 0 },
		"the list itself":            func(b []byte) int { return bytes.Index(b, []byte{0x85, 0}) },
		"outside":                    func(b []byte) int { return len(b) + 1 },
	} {
		m := newBook(rows(100)...)
		for range 1000 {
			m.sheet(page{name: "表", kind: 0x10})
		}
		b := m.stream()
		place := at(b)
		for i := 0; i+4 < len(b); i += 4 + int(le.Uint16(b[i+2:])) {
			if le.Uint16(b[i:]) == recBoundSheet {
				le.PutUint32(b[i+4:], uint32(place))
			}
		}
		corpustest.Thrifty(t, name, 128<<20, func() { fuzzOne(t, b) })
	}
}

// TestChartsInChartsAreHeld: substreams begin in one another without end.
func TestChartsInChartsAreHeld(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		var in [][]byte
		for range n {
			in = append(in, bof(0x0600, 0x20))
		}
		b := newBook(in...).stream()
		corpustest.Thrifty(t, "charts", 64<<20, func() { fuzzOne(t, b) })
	}
}

// TestCountsWithoutWhatTheyCountAreHeld: texts, sheets and ranges by the thousand
// million in a few octets.
func TestCountsWithoutWhatTheyCountAreHeld(t *testing.T) {
	const many = 0xFFFFFFFF
	for name, r := range map[string][]byte{
		"texts":      rec(recSST, uint32(many), uint32(many), uint16(0xFFFF), 0x0D, uint16(0xFFFF), uint32(many)),
		"references": rec(recExternSheet, uint16(0xFFFF)),
		"a name":     rec(0x0018, uint16(0), 0, 0xFF, uint16(0xFFFF), uint16(0), uint16(0), 0xFF, 0xFF, 0xFF, 0xFF),
		"palette":    rec(0x0092, uint16(0xFFFF)),
		"drawing":    rec(0x00EB, uint16(0xF), uint16(0xF000), uint32(many)),
	} {
		b := newBook().global(r).stream()
		corpustest.Thrifty(t, name, 16<<20, func() { fuzzOne(t, b) })
	}
	for name, r := range map[string][]byte{
		"merged cells":  rec(0x00E5, uint16(0xFFFF)),
		"conditions":    rec(recCondFmt, uint16(0xFFFF), uint16(0), make([]byte, 8), uint16(0xFFFF)),
		"ranges":        rec(0x01B2, make([]byte, 14), uint32(many)),
		"a row's cells": rec(0x00BD, uint16(0), uint16(0), uint16(0xFFFF)),
		"a formula":     rec(recFormula, uint16(5), uint16(0), uint16(15), 0.0, uint16(0), uint32(0), uint16(0xFFFF), 0x20),
	} {
		b := newBook(r).stream()
		corpustest.Thrifty(t, name, 16<<20, func() { fuzzOne(t, b) })
	}
}

// TestFormulasInFormulasAreHeld: as many operators as a formula can have, and
// none of the values that they take.
func TestFormulasInFormulasAreHeld(t *testing.T) {
	for name, tokens := range map[string][]byte{
		"operators alone":     bytes.Repeat([]byte{0x03}, 8000),
		"brackets":            append(tInt(1), bytes.Repeat([]byte{0x15}, 8000)...),
		"choices":             bytes.Repeat([]byte{0x19, 0x04, 0xFF, 0xFF}, 2000),
		"arrays without any":  bytes.Repeat([]byte{0x60, 0, 0, 0, 0, 0, 0, 0}, 1000),
		"memory of all of it": bytes.Repeat([]byte{0x26, 0, 0, 0, 0, 0xFF, 0xFF}, 1000),
	} {
		out, _, _, err := treat(t, newBook(formulaCell(5, 0, 7, tokens...)).bytes(t))
		if err != nil && !errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			stable(t, out)
		}
	}
}

// TestARecordLongerThanAnyIsHeld: readers differ in what they do with it.
func TestARecordLongerThanAnyIsHeld(t *testing.T) {
	for n, want := range map[int]error{maxRecord: nil, maxRecord + 2: sanitize.ErrMalformed} {
		blanks := le.AppendUint16([]byte{0xBE, 0}, uint16(n))
		if _, _, _, err := treat(t, newBook(append(blanks, make([]byte, n)...)).bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

// TestAPictureOfAHeaderThatIsNoneIsGone, and a second pass finds it gone.
func TestAPictureOfAHeaderThatIsNoneIsGone(t *testing.T) {
	none := rec(recHFPicture, uint16(recHFPicture), make([]byte, 10), 1, 0, []byte{0, 0, 0, 0, 0, 0, 0, 0})
	out, _, _, err := treat(t, newBook(none).global(none).bytes(t))
	if err != nil || len(with(unpack(t, out), recHFPicture)) != 0 {
		t.Fatalf("%v", err)
	}
	stable(t, out)
}

// TestANameThatRunsByItselfIsOneWhateverItsFlagSays: by its number, by its letters.
func TestANameThatRunsByItselfIsOneWhateverItsFlagSays(t *testing.T) {
	for _, flags := range []uint16{0, nameBuiltin, nameHidden | nameBuiltin} {
		for _, name := range []string{"Auto_Open", "AUTO_CLOSE", "autoopen2", "auto_cloſe"} {
			out, _, found, err := treat(t, newBook().global(nameRecord(flags, name, tInt(1)...)).bytes(t))
			if err != nil || len(found) != 1 || found[0].Rule != "xls.auto-run" || found[0].Detail != name {
				t.Errorf("%s, %#x: %v, %v", name, flags, found, err)
			}
			if err := looked(t, out); err != nil {
				t.Errorf("%s, %#x: %v", name, flags, err)
			}
			stable(t, out)
		}
	}
}
