package xls

import (
	"bytes"
	"errors"
	"testing"

	"sekisho/sanitize"
)

// TestAWorkbookOf97InTheStreamOfOlderOnesIsTreated: some programs write it there.
func TestAWorkbookOf97InTheStreamOfOlderOnesIsTreated(t *testing.T) {
	out, res, _, err := treat(t, wrapped(t, "BOOK", newBook().stream(), nil, nil))
	if err != nil || res.Outcome != sanitize.Clean || len(with(unpack(t, out), recLabelSST)) != 1 {
		t.Errorf("%s, %v", res.Outcome, err)
	}
	stable(t, out)
}

// TestMoreSheetsThanAnyoneMakesAreALimit: no converter is to try them for a minute.
func TestMoreSheetsThanAnyoneMakesAreALimit(t *testing.T) {
	m := newBook()
	for range maxSheets {
		m.sheet(page{name: "s", kind: 0x10})
	}
	if _, _, _, err := treat(t, m.bytes(t)); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

func TestLinksGoWhereTheProfileSaysSo(t *testing.T) {
	out, _, found, err := treat(t, newBook(hlink("https://www.example.jp/")).bytes(t), func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || len(found) != 1 || found[0].Rule != "xls.hyperlink" || len(with(unpack(t, out), recHLink)) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestFormulasBecomeValuesWhenTheProfileSaysSo(t *testing.T) {
	out, res, found, err := treat(t, newBook(formulaCell(1, 0, 7, cat(tInt(3), tInt(4), []byte{0x03})...),
		formulaCell(2, 0, 1, tExp(2, 0)...), rec(recSharedFmla, uint16(2), uint16(3), 0, 0, 0, 2, uint16(3), tInt(1)), formulaCell(3, 0, 2, tExp(2, 0)...)).bytes(t), func(o *sanitize.Options) { o.Values = true })
	if err != nil || res.Outcome != sanitize.Disarmed || len(found) != 1 || found[0].Rule != "xls.value" {
		t.Fatalf("%s, %v, %v", res.Outcome, found, err)
	}
	rs := unpack(t, out)
	if len(with(rs, recFormula))+len(with(rs, recSharedFmla)) > 0 {
		t.Error("a formula stays")
	}
	number(1, 0, 7)(t, rs)
	number(3, 0, 2)(t, rs)
}

func TestCommentsGoWhenTheProfileSaysSo(t *testing.T) {
	all := textBox("内緒の話")
	le.PutUint16(all[1][4+4:], typeNote)
	m := newBook(append(all, rec(recNote, uint16(0), uint16(0), uint16(0), uint16(1), long("太郎"), 0))...)
	out, res, found, err := treat(t, m.bytes(t), func(o *sanitize.Options) { o.Comments = true })
	if err != nil || res.Outcome != sanitize.Disarmed || len(found) != 1 || found[0].Rule != "xls.comments" {
		t.Fatalf("%s, %v, %v", res.Outcome, found, err)
	}
	for _, word := range []string{"内緒", "太郎"} {
		if u := units(word); bytes.Contains(out, appendCharacters(nil, u)[1:]) {
			t.Errorf("%s is still there", word)
		}
	}
	if err := looked(t, out); err != nil {
		t.Error(err)
	}
	stable(t, out)
	out, res, _, err = treat(t, m.bytes(t))
	if err != nil || res.Outcome != sanitize.Clean || !bytes.Contains(out, appendCharacters(nil, units("内緒"))[1:]) {
		t.Errorf("kept: %s, %v", res.Outcome, err)
	}
}

func TestWhatIsNotForUsIsRefused(t *testing.T) {
	old := newBook()
	old.version = 0x0500
	shares := newBook().sheet(page{name: "b", kind: 0x10, records: cells()})
	same := shares.stream()
	var at []int
	for off := 0; off < len(same); {
		typ, _, end, err := plain(same, off)
		if err != nil {
			t.Fatal(err)
		}
		if typ == recBoundSheet {
			at = append(at, off+4)
		}
		off = end
	}
	copy(same[at[1]:at[1]+4], same[at[0]:at[0]+4])
	for _, c := range []struct {
		name string
		file []byte
		want error
		ends bool // no further step of the ladder
	}{
		{"encrypted", newBook().global(rec(recFilePass, make([]byte, 54))).bytes(t), sanitize.ErrEncrypted, true},
		{"Excel 95", old.bytes(t), sanitize.ErrUnsupported, false},
		{"stream of Excel 95", wrapped(t, "Book", old.stream(), nil, nil), sanitize.ErrUnsupported, false},
		{"Excel 4", []byte("\x09\x04\x06\x00\x00\x00\x10\x00\x00\x00\x0a\x00\x00\x00"), sanitize.ErrUnsupported, false},
		{"no compound file", bytes.Repeat([]byte("x"), 4096), sanitize.ErrContainer, true},
		{"cut short", wrapped(t, "Workbook", newBook().stream()[:700], nil, nil), sanitize.ErrMalformed, false},
		{"two sheets at one place", wrapped(t, "Workbook", same, nil, nil), sanitize.ErrMalformed, false},
		{"objects of Excel 95", newBook(obj(1)).bytes(t), sanitize.ErrMalformed, false},
		{"sheet inside a sheet", newBook(bof(0x0600, 0x10), rec(recEOF)).bytes(t), sanitize.ErrMalformed, false},
	} {
		s := newSession(len(c.file))
		var out bytes.Buffer
		_, err := (Sanitizer{}).Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(c.file), Size: int64(len(c.file)), Path: "1", Kind: sanitize.KindXLS}, &out)
		if !errors.Is(err, c.want) || out.Len() > 0 {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		ends := errors.Is(err, sanitize.ErrContainer) || errors.Is(err, sanitize.ErrEncrypted) || errors.Is(err, sanitize.ErrLimit) || errors.Is(err, sanitize.ErrAmbiguous)
		if ends != c.ends {
			t.Errorf("%s: ends the ladder %t, want %t", c.name, ends, c.ends)
		}
	}
}
