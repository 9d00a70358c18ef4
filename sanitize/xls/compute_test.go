package xls

import (
	"bytes"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestWhatComputesStays(t *testing.T) {
	for _, c := range []struct {
		name   string
		make   func() *bookMaker
		record uint16
	}{
		{"sum", func() *bookMaker {
			return newBook(formulaCell(2, 0, 5, cat([]byte{0x25, 0, 0, 1, 0, 0, 0xC0, 1, 0xC0}, tCall(4, 1))...))
		}, recFormula},
		{"function of the analysis add-in", func() *bookMaker {
			return newBook(formulaCell(2, 0, 4, cat(tNameX(1, 1), tInt(1), tCall(255, 2))...)).global(addIn("EDATE")...)
		}, recFormula},
		{"function of a later Excel", func() *bookMaker {
			return newBook(formulaCell(2, 0, 4, cat(tName(1), tInt(1), tInt(2), tCall(255, 3))...)).global(nameRecord(nameHidden|nameProc|nameFunc, "_xlfn.IFERROR", 0x1C, 0x1D))
		}, recFormula},
		{"HYPERLINK to the web", func() *bookMaker {
			return newBook(textCell(2, 0, "町", cat(tStr("https://www.example.jp/"), tStr("町"), tCall(359, 2))...))
		}, recFormula},
		{"hyperlink to the web", func() *bookMaker { return newBook(hlink("https://www.example.jp/")) }, recHLink},
		{"shared formula", func() *bookMaker {
			return newBook(formulaCell(2, 0, 1, tExp(2, 0)...), rec(recSharedFmla, uint16(2), uint16(3), 0, 0, 0, 2, uint16(3), tInt(1)), formulaCell(3, 0, 2, tExp(2, 0)...))
		}, recSharedFmla},
		{"array formula with an array", func() *bookMaker {
			return newBook(formulaCell(2, 0, 1, tExp(2, 0)...), rec(recArray, uint16(2), uint16(2), 0, 0, uint16(0), uint32(0), uint16(8), 0x20, make([]byte, 7), 0, uint16(0), 1, 3.0))
		}, recArray},
		{"chart", func() *bookMaker { return newBook(drawn(obj(5), chart(tRef3(0)))...).self() }, recBRAI},
		{"chart sheet", func() *bookMaker {
			return newBook().sheet(page{name: "グラフ1", typ: 2, kind: 0x20, records: [][]byte{rec(0x1002, make([]byte, 16)), rec(0x1033), rec(0x1034)}})
		}, 0x1002},
		{"text box", func() *bookMaker {
			return newBook(textBox("吹き出し")...)
		}, recTXO},
		{"condition with bounds", func() *bookMaker {
			return newBook(rec(recCondFmt12, uint16(recCondFmt12), make([]byte, 10), uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)),
				rec(recCF12, uint16(recCF12), make([]byte, 10), 3, 0, uint16(0), uint16(0), uint32(0), uint16(0), uint16(0), make([]byte, 22), make([]byte, 3), 2, make([]byte, 2), 1, uint16(3), tInt(5), 0.0, 2, uint16(0), 1.0))
		}, recCF12},
		{"comment", func() *bookMaker {
			return newBook(rec(recNote, uint16(0), uint16(0), uint16(0), uint16(1), long("太郎"), 0))
		}, recNote},
		{"shape", func() *bookMaker { return newBook(drawn(obj(2))...) }, recDrawing},
		{"header", func() *bookMaker { return newBook(rec(0x0014, long("&C様式第１号"))) }, 0x0014},
		{"protection", func() *bookMaker { return newBook(rec(0x0012, uint16(1)), rec(0x0013, uint16(0xABCD))) }, 0x0013},
		{"validation", func() *bookMaker {
			return newBook(rec(recDVal, make([]byte, 10), uint32(0xffffffff), uint32(1)), rec(recDV, uint32(3), []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, uint16(3), uint16(0), tInt(3), uint16(0), uint16(0), uint16(1), make([]byte, 8)))
		}, recDV},
		{"template", func() *bookMaker { return newBook().global(rec(0x0060)) }, 0x0060},
		{"jumps", func() *bookMaker { return newBook(formulaCell(2, 0, 7, jumps...)) }, recFormula},
	} {
		out, res, found, err := treat(t, c.make().bytes(t))
		if err != nil || res.Outcome != sanitize.Clean || len(found) > 0 {
			t.Errorf("%s: %s, %v, %v", c.name, res.Outcome, found, err)
			continue
		}
		if len(with(unpack(t, out), c.record)) == 0 {
			t.Errorf("%s: record %04X is gone", c.name, c.record)
		}
		if err := looked(t, out); err != nil {
			t.Errorf("%s: second look: %v", c.name, err)
		}
		stable(t, out)
	}
}

// jumps is IF(1,2,CHOOSE(1,2,3)) as Excel writes it.
var jumps = cat(tInt(1), []byte{0x19, 2, 7, 0}, tInt(2), []byte{0x19, 8, 38, 0}, tInt(1), []byte{0x19, 4, 2, 0, 6, 0, 13, 0, 20, 0},
	tInt(2), []byte{0x19, 8, 10, 0}, tInt(3), []byte{0x19, 8, 3, 0}, tCall(100, 3), []byte{0x19, 8, 3, 0}, tCall(1, 3))

// TestTheSecondLookReadsEveryFormula: what is changed in an output behind the
// sanitizer's back is seen.
func TestTheSecondLookReadsEveryFormula(t *testing.T) {
	cf12 := func(b ...byte) [][]byte {
		return [][]byte{rec(recCondFmt12, uint16(recCondFmt12), make([]byte, 10), uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)),
			rec(recCF12, uint16(recCF12), make([]byte, 10), 3, 0, uint16(0), uint16(0), uint32(0), uint16(0), uint16(0), make([]byte, 22), make([]byte, 3), 1, make([]byte, 2), 1, uint16(len(b)), b, 0.0)}
	}
	good, bad := cat(tStr("MARK"), tInt(0x4177)), cat(tStr("MARK"), tCall(110, 1)[:3])
	for name, c := range map[string]struct {
		records  [][]byte
		old, new []byte
	}{
		"jump":               {[][]byte{formulaCell(2, 0, 7, jumps...)}, []byte{0x19, 2, 7, 0}, []byte{0x19, 2, 8, 0}},
		"choice":             {[][]byte{formulaCell(2, 0, 7, jumps...)}, []byte{6, 0, 13, 0, 20, 0}, []byte{6, 0, 14, 0, 20, 0}},
		"HYPERLINK":          {[][]byte{textCell(2, 0, "町", cat(tStr("https://www.example.jp/"), tStr("町"), tCall(359, 2))...)}, []byte("https"), []byte("msdtx")},
		"condition":          {[][]byte{rec(recCondFmt, uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)), rec(recCF, 2, 0, uint16(len(good)), uint16(0), uint32(0), uint16(0), good)}, good, bad},
		"condition of later": {cf12(good...), good, bad},
		"validation": {[][]byte{rec(recDVal, make([]byte, 10), uint32(0xffffffff), uint32(1)), rec(recDV, uint32(3), []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
			uint16(len(good)), uint16(0), good, uint16(0), uint16(0), uint16(1), make([]byte, 8))}, good, bad},
		"list": {drawn(obj(0x12, uint16(0x13), uint16(0x1FEE), uint16(6+len(good)), uint16(len(good)), uint32(0), good, uint16(0), uint16(0), uint16(0), uint16(0))), good, bad},
	} {
		out, _, found, err := treat(t, newBook(c.records...).bytes(t))
		if err != nil || bytes.Count(out, c.old) != 1 {
			t.Errorf("%s: %v %v, %d times in the output", name, err, found, bytes.Count(out, c.old))
			continue
		}
		if err := looked(t, out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := looked(t, bytes.Replace(out, c.old, c.new, 1)); err == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestResultsOfEveryKindAreKept(t *testing.T) {
	bad := cat(tStr("x"), tCall(110, 1))
	special := func(row uint16, kind, value int) []byte {
		return rec(recFormula, row, uint16(0), uint16(15), kind, 0, value, 0, 0, 0, 0xff, 0xff, uint16(0), uint32(0), uint16(len(bad)), bad)
	}
	out, _, _, err := treat(t, newBook(formulaCell(2, 0, -1.5, bad...), textCell(3, 0, strings.Repeat("長い", 1500), bad...), special(4, 1, 1), special(5, 2, 0x2A), special(6, 3, 0), textCell(7, 0, "申請書 & form", bad...)).bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	rs := unpack(t, out)
	number(2, 0, -1.5)(t, rs)
	label(3, 0, strings.Repeat("長い", 1500))(t, rs)
	label(7, 0, "申請書 & form")(t, rs)
	if d := with(rs, recBoolErr); len(d) != 2 || !bytes.Equal(d[0][6:], []byte{1, 0}) || !bytes.Equal(d[1][6:], []byte{0x2A, 1}) {
		t.Errorf("truth and error are %x", d)
	}
	if d := with(rs, recBlank); len(d) != 1 || le.Uint16(d[0]) != 6 {
		t.Errorf("the empty cell is %x", d)
	}
	stable(t, out)
}

func TestSharedStringsSurviveEveryCut(t *testing.T) {
	var list []string
	for i := range 4000 {
		list = append(list, strings.Repeat("あa"[i%2*3:i%2*3+1+(1-i%2)*2], i%97))
	}
	list = append(list, strings.Repeat("長", 30000), strings.Repeat("n", 32000))
	var t1, t2 table
	for i, s := range list {
		var runs, beyond []byte
		if i%5 == 0 {
			runs = bytes.Repeat([]byte{1, 0, 5, 0}, i%40+1)
		}
		if i%7 == 0 {
			beyond = append([]byte{1, 0, byte(i % 200), 0}, bytes.Repeat([]byte{9}, i%200)...)
		}
		t1.add(units(s), runs, beyond)
	}
	first := t1.records()
	var r record
	if err := next(first, 0, &r); err != nil || r.end != len(first) {
		t.Fatalf("records end at %d of %d: %v", r.end, len(first), err)
	}
	if err := t2.read(&r); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(t2.records(), first) {
		t.Error("reading and writing changes them")
	}
	var flats []flat
	for off := 0; off < len(first); {
		typ, d, end, err := plain(first, off)
		if err != nil || len(d) > maxRecord {
			t.Fatal(len(d), err)
		}
		flats = append(flats, flat{typ, d})
		off = end
	}
	for i, u := range firstStrings(t, flats) {
		if text(u) != list[i] {
			t.Fatalf("string %d differs", i)
		}
	}
}
