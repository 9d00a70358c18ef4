package xls

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// looked is the second look at an output.
func looked(t testing.TB, b []byte) error {
	t.Helper()
	s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(b)), nil, nil)
	return verify.File(t.Context(), s, sanitize.KindXLS, bytes.NewReader(b), int64(len(b)))
}

// stable treats an output again: nothing is found, nothing changes.
func stable(t testing.TB, out []byte) {
	t.Helper()
	again, res, found, err := treat(t, out)
	if err != nil || res.Outcome != sanitize.Clean {
		t.Errorf("second pass: %s, %v, %v", res.Outcome, found, err)
		return
	}
	if !bytes.Equal(again, out) {
		t.Error("the second pass changes the output")
	}
}

func TestPlainWorkbookIsClean(t *testing.T) {
	m := newBook(
		formulaCell(1, 0, 7, cat(tInt(3), tInt(4), []byte{0x03})...),
		rec(0x00E5, uint16(1), uint16(2), uint16(2), uint16(0), uint16(3)),
		rec(0x00EF, uint16(0), uint16(0), uint16(0)),
	).self().global(nameRecord(0, "合計", tRef3(0)...))
	b := m.bytes(t)
	out, res, found, err := treat(t, b)
	if err != nil || res.Outcome != sanitize.Clean || res.Kind != sanitize.KindXLS || len(found) > 0 {
		t.Fatalf("%s %s, %v, %v", res.Outcome, res.Kind, found, err)
	}
	if err := looked(t, out); err != nil {
		t.Error(err)
	}
	stable(t, out)
	rs := unpack(t, out)
	for typ, n := range map[uint16]int{recFormula: 1, 0x00E5: 1, 0x00EF: 1, recName: 1, recLabelSST: 1, recNumber: 1, 0x0031: 1, 0x00E0: 16} {
		if got := len(with(rs, typ)); got != n {
			t.Errorf("%d records %04X, want %d", got, typ, n)
		}
	}
	if bytes.Contains(out, []byte("Taro")) {
		t.Error("who saved it last is told")
	}
	if got := text(firstStrings(t, rs)[0]); got != "申請書 & form" {
		t.Errorf("the text is %q", got)
	}
}

// firstStrings are the shared strings.
func firstStrings(t testing.TB, rs []flat) [][]uint16 {
	t.Helper()
	var pieces [][]byte
	for i, r := range rs {
		if r.typ == recSST {
			pieces = append(pieces, r.data)
			for _, c := range rs[i+1:] {
				if c.typ != recContinue {
					break
				}
				pieces = append(pieces, c.data)
			}
		}
	}
	c := cursor{pieces: pieces}
	c.uint32()
	var all [][]uint16
	for n := c.uint32(); n > 0; n-- {
		k, flags := int(c.uint16()), c.byte()
		runs, beyond := 0, 0
		if flags&8 != 0 {
			runs = int(c.uint16())
		}
		if flags&4 != 0 {
			beyond = int(c.uint32())
		}
		all = append(all, c.characters(nil, k, flags&1 != 0))
		c.take(nil, 4*runs+beyond)
	}
	if c.short {
		t.Fatal("shared strings cut short")
	}
	return all
}

// external adds a supporting book behind the self one: pair 1 leads to it.
func external(path string) [][]byte {
	return [][]byte{
		rec(recSupBook, uint16(1), uint16(0x0401)),
		rec(recSupBook, uint16(1), long(path), long("Sheet1")),
		rec(recExternName, uint16(0), uint32(0), short("topic"), uint16(0)),
		rec(recXCT, uint16(1), uint16(0)), rec(recCRN, 0, 0, uint16(0), 1, 5.0),
		rec(recExternSheet, uint16(2), uint16(0), uint16(0), uint16(0), uint16(1), uint16(0), uint16(0)),
	}
}

var hlinkHead = []byte{0, 0, 0, 0, 0, 0, 0, 0, 0xD0, 0xC9, 0xEA, 0x79, 0xF9, 0xBA, 0xCE, 0x11, 0x8C, 0x82, 0, 0xAA, 0, 0x4B, 0xA9, 0x0B, 2, 0, 0, 0}

func hlink(target string) []byte {
	u := append(units(target), 0)
	var b []byte
	for _, c := range u {
		b = le.AppendUint16(b, c)
	}
	return rec(recHLink, hlinkHead, uint32(3), []byte{0xE0, 0xC9, 0xEA, 0x79, 0xF9, 0xBA, 0xCE, 0x11, 0x8C, 0x82, 0, 0xAA, 0, 0x4B, 0xA9, 0x0B}, uint32(len(b)), b)
}

// art is a record of a drawing.
func art(ver, instance, typ uint16, parts ...[]byte) []byte {
	d := bytes.Join(parts, nil)
	b := le.AppendUint16(nil, instance<<4|ver)
	b = le.AppendUint16(b, typ)
	return append(le.AppendUint32(b, uint32(len(d))), d...)
}

// drawn are the records of a sheet with one shape: the drawing, and what says
// what the shape is.
func drawn(object ...[]byte) [][]byte {
	shape := art(15, 0, 0xF004, art(2, 1, 0xF00A, make([]byte, 8)), art(3, 1, 0xF00B, []byte{0x80, 0x01, 0, 0, 0, 0}), art(0, 0, 0xF010, make([]byte, 18)), art(0, 0, 0xF011))
	patriarch := art(15, 0, 0xF004, art(1, 0, 0xF009, make([]byte, 16)), art(2, 0, 0xF00A, make([]byte, 8)))
	dg := art(15, 0, 0xF002, art(0, 1, 0xF008, []byte{2, 0, 0, 0, 1, 4, 0, 0}), art(15, 0, 0xF003, patriarch, shape))
	return append([][]byte{rec(recDrawing, dg)}, object...)
}

// textBox is a shape with a text in it.
func textBox(s string) [][]byte {
	shape := art(15, 0, 0xF004, art(2, 202, 0xF00A, make([]byte, 8)), art(0, 0, 0xF010, make([]byte, 18)), art(0, 0, 0xF011))
	// The mark of the text stands in the shape, behind what says what it is.
	mark := art(0, 0, 0xF00D)
	le.PutUint32(shape[4:], le.Uint32(shape[4:])+uint32(len(mark)))
	group := art(15, 0, 0xF003, shape, mark)
	dg := art(15, 0, 0xF002, art(0, 1, 0xF008, make([]byte, 8)), group)
	u := units(s)
	runs := []byte{0, 0, 0, 0, 0, 0, 0, 0, byte(len(u)), 0, 0, 0, 0, 0, 0, 0}
	return [][]byte{rec(recDrawing, dg[:len(dg)-8]), obj(6), rec(recDrawing, dg[len(dg)-8:]),
		rec(recTXO, uint16(0x0212), uint16(0), make([]byte, 6), uint16(len(u)), uint16(len(runs)), uint32(0)), rec(recContinue, appendCharacters(nil, u)), rec(recContinue, runs)}
}

func obj(typ uint16, parts ...any) []byte {
	return rec(recObj, append(append([]any{uint16(0x15), uint16(18), typ, uint16(1), uint16(0x6011), make([]byte, 12)}, parts...), uint32(0))...)
}

var cases = []struct {
	name   string
	make   func() *bookMaker
	rule   string
	action sanitize.Action
	gone   []string // octets that may not be in the output
	check  func(t *testing.T, rs []flat)
}{
	{name: "VBA project", rule: "xls.vba", action: sanitize.Removed, gone: []string{"Attribut", "\x00_\x00V\x00B\x00A"}, make: func() *bookMaker {
		m := newBook().global(rec(0x00D3), rec(0x01BA, long("ThisWorkbook")))
		m.storages = []*cfb.Storage{{Name: "_VBA_PROJECT_CUR", Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{cfb.NewStream("dir", []byte("Attribut")), cfb.NewStream("_VBA_PROJECT", []byte{0xCC, 0x61})}}}}}
		return m
	}, check: func(t *testing.T, rs []flat) {
		if len(with(rs, 0x00D3))+len(with(rs, 0x01BA)) > 0 {
			t.Error("the flags of a project stay")
		}
	}},
	{name: "Excel 4 macro sheet", rule: "xls.macro-sheet", action: sanitize.Replaced, gone: []string{"calc.exe"}, make: func() *bookMaker {
		return newBook().sheet(page{name: "Macro1", state: 2, typ: 1, kind: 0x40, records: [][]byte{formulaCell(0, 0, 1, cat(tStr("calc.exe"), tCall(110, 1))...)}}).sheet(page{name: "後", kind: 0x10, records: cells()})
	}, check: func(t *testing.T, rs []flat) {
		list := with(rs, recBoundSheet)
		if len(list) != 3 || list[1][5] != 0 || list[1][4] != 2 {
			t.Errorf("the list of sheets is %x", list)
		}
		for _, b := range with(rs, recBOF) {
			if k := le.Uint16(b[2:]); k != 5 && k != 0x10 {
				t.Errorf("a sheet of kind %x", k)
			}
		}
	}},
	{name: "macro sheet in the list only", rule: "xls.macro-sheet", action: sanitize.Replaced, make: func() *bookMaker {
		m := newBook()
		m.pages[0].typ = 1
		return m
	}},
	{name: "module sheet", rule: "xls.macro-sheet", action: sanitize.Replaced, make: func() *bookMaker { return newBook().sheet(page{name: "Module1", typ: 6, kind: 0x06}) }},
	{name: "dialog sheet", rule: "xls.dialog-sheet", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook().sheet(page{name: "Dialog1", kind: 0x10, records: [][]byte{rec(recWSBool, uint16(0x04D1))}})
	}},
	{name: "built-in auto open", rule: "xls.auto-run", action: sanitize.Removed, make: func() *bookMaker {
		return newBook().self().global(nameRecord(nameBuiltin|nameHidden, "\x01", tRef3(0)...))
	},
		check: func(t *testing.T, rs []flat) {
			if n := with(rs, recName); len(n) != 1 || le.Uint16(n[0])&nameBuiltin != 0 || !bytes.HasSuffix(n[0], errorToken(errRef)) {
				t.Errorf("the name is %x", n)
			}
		}},
	{name: "auto open by name", rule: "xls.auto-run", action: sanitize.Removed, gone: []string{"Uto_Open"}, make: func() *bookMaker { return newBook().self().global(nameRecord(0, "aUto_Open_99", tRef3(0)...)) }},
	{name: "name of a macro", rule: "xls.macro-name", action: sanitize.Neutralised, make: func() *bookMaker {
		return newBook().self().global(nameRecord(nameProc|nameVB|nameFunc, "steal", tRef3(0)...))
	}},
	{name: "call of a macro", rule: "xls.macro-name", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 64, cat(tName(1), tInt(8), tCall(255, 2))...)).self().global(nameRecord(nameProc|nameVB|nameFunc, "steal", tRef3(0)...))
	}, check: number(2, 0, 64)},
	{name: "name with a macro function", rule: "xls.macro-function", action: sanitize.Neutralised, make: func() *bookMaker {
		return newBook().global(nameRecord(nameHidden, "x", cat(tStr("http://evil.example/"), tCall(150, 1))...))
	}, gone: []string{"evil.example"}},
	{name: "formula by way of two names", rule: "xls.macro-function", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 1, 3, tName(1)...)).global(nameRecord(0, "a", tName(2)...), nameRecord(0, "b", cat(tStr("cmd"), tCall(110, 1))...))
	}, check: number(2, 1, 3)},
	{name: "CALL", rule: "xls.macro-function", action: sanitize.Replaced, gone: []string{"URLMON"}, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 5, cat(tStr("URLMON"), tCall(150, 1))...))
	}, check: number(2, 0, 5)},
	{name: "command", rule: "xls.macro-function", action: sanitize.Replaced, make: func() *bookMaker { return newBook(formulaCell(2, 0, 5, tCall(0x8011, 0)...)) }},
	{name: "RTD", rule: "xls.external-function", action: sanitize.Replaced, gone: []string{"my.server"}, make: func() *bookMaker {
		return newBook(textCell(2, 0, "42 円", cat(tStr("my.server"), tCall(379, 1))...))
	}, check: label(2, 0, "42 円")},
	{name: "external workbook", rule: "xls.external-link", action: sanitize.Replaced, gone: []string{"evil.xls", "topic"}, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 9, tRef3(1)...)).global(external("\x01\x01Cevil.xls")...)
	}, check: number(2, 0, 9)},
	{name: "DDE", rule: "xls.dde", action: sanitize.Replaced, gone: []string{"calc.exe", "topic"}, make: func() *bookMaker {
		return newBook(textCell(2, 0, "", tNameX(1, 1)...)).global(external("cmd\x03/c calc.exe")...)
	}},
	{name: "unknown add-in", rule: "xls.user-function", action: sanitize.Replaced, gone: []string{"EVILFN"}, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 4, cat(tNameX(1, 1), tInt(1), tCall(255, 2))...)).global(addIn("EVILFN")...)
	}, check: number(2, 0, 4)},
	{name: "shared formula", rule: "xls.macro-function", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 1, tExp(2, 0)...), rec(recSharedFmla, uint16(2), uint16(3), 0, 0, 0, 2, uint16(8), cat(tStr("A"), tCall(110, 1))), formulaCell(3, 0, 2, tExp(2, 0)...))
	}, check: func(t *testing.T, rs []flat) {
		number(3, 0, 2)(t, rs)
		if len(with(rs, recSharedFmla))+len(with(rs, recFormula)) > 0 {
			t.Error("the formula stays")
		}
	}},
	{name: "array formula", rule: "xls.macro-function", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 1, tExp(2, 0)...), rec(recArray, uint16(2), uint16(2), 0, 0, uint16(0), uint32(0), uint16(8), cat(tStr("A"), tCall(110, 1))))
	}, check: number(2, 0, 1)},
	{name: "formula that stands for none", rule: "xls.formula", action: sanitize.Replaced, make: func() *bookMaker { return newBook(formulaCell(2, 0, 6, tExp(1, 1)...)) }, check: number(2, 0, 6)},
	{name: "HYPERLINK to a script", rule: "xls.hyperlink-formula", action: sanitize.Replaced, gone: []string{"javascript"}, make: func() *bookMaker {
		return newBook(textCell(2, 0, "click", cat(tStr("javascript:alert(1)"), tStr("click"), tCall(359, 2))...))
	}, check: label(2, 0, "click")},
	{name: "HYPERLINK behind a harmless literal", rule: "xls.hyperlink-formula", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(textCell(2, 0, "click", cat([]byte{0x44, 0, 0, 0, 0}, tStr("https://ok.example/"), []byte{0x29, 0, 0}, tCall(359, 2))...))
	}},
	// A jump that ends in a string finds the tokens of a call of CALL there.
	{name: "jump into a string", rule: "xls.formula", action: sanitize.Replaced, gone: []string{"\x42\x01\x96\x00"}, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 7, cat(tInt(1), []byte{0x19, 2, 3, 0}, []byte{0x17, 7, 0, 0x1E, 1, 0, 0x42, 1, 0x96, 0})...))
	}, check: number(2, 0, 7)},
	{name: "choice that leads into a string", rule: "xls.formula", action: sanitize.Replaced, gone: []string{"\x42\x01\x96\x00"}, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 7, cat(tInt(1), []byte{0x19, 4, 1, 0, 4, 0, 7, 0}, []byte{0x17, 7, 0, 0x1E, 1, 0, 0x42, 1, 0x96, 0})...))
	}, check: number(2, 0, 7)},
	{name: "group that ends in a string", rule: "xls.formula", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 7, cat([]byte{0x29, 4, 0}, tStr("abcdef"))...))
	}, check: number(2, 0, 7)},
	{name: "token nobody knows", rule: "xls.formula", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 7, 0x18, 0x33, 0, 0, 0, 0))
	}, check: number(2, 0, 7)},
	{name: "name of more than what runs", rule: "xls.auto-run", action: sanitize.Removed, make: func() *bookMaker {
		return newBook().self().global(nameRecord(nameBuiltin|nameHidden, "x\x01", tRef3(0)...))
	}},
	{name: "condition with something before its formulas", rule: "xls.formula", action: sanitize.Removed, gone: []string{"MARKER"}, make: func() *bookMaker {
		return newBook(rec(recCondFmt, uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)), rec(recCF, 2, 0, uint16(3), uint16(0), uint32(0), uint16(0), "MARKER", tInt(1)))
	}},
	{name: "format without a condition", rule: "xls.formula", action: sanitize.Rewritten, make: func() *bookMaker {
		return newBook(rec(recCondFmt, uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)))
	}},
	{name: "INDIRECT to elsewhere", rule: "xls.external-link", action: sanitize.Replaced, make: func() *bookMaker {
		return newBook(formulaCell(2, 0, 1, cat(tStr("[http://x/a.xls]S!A1"), tCall(148, 1))...))
	}},
	{name: "hyperlink to a file server", rule: "xls.hyperlink", action: sanitize.Removed, gone: []string{"f\x00i\x00l\x00e"}, make: func() *bookMaker { return newBook(hlink("file://server/share/a.exe")) }},
	{name: "button with a macro", rule: "xls.control-macro", action: sanitize.Removed, make: func() *bookMaker {
		return newBook(drawn(obj(7, uint16(4), uint16(12), cat([]byte{5, 0, 0, 0, 0, 0}, tName(1), []byte{0})))...).global(nameRecord(nameProc|nameVB|nameFunc, "m"))
	}, check: func(t *testing.T, rs []flat) {
		if o := with(rs, recObj); len(o) != 1 || len(o[0]) != 26 {
			t.Errorf("the object is %x", o)
		}
	}},
	{name: "ActiveX control", rule: "xls.control", action: sanitize.Removed, make: func() *bookMaker {
		return newBook(drawn(obj(8, uint16(7), uint16(2), uint16(2), uint16(8), uint16(2), uint16(0x11), uint16(9), uint16(4), uint32(0x12)))...)
	}},
	{name: "embedded object", rule: "xls.object", action: sanitize.Removed, gone: []string{"MZpayload"}, make: func() *bookMaker {
		m := newBook(drawn(obj(8, uint16(8), uint16(2), uint16(1), uint16(9), uint16(4), uint32(0x12)))...)
		m.storages = []*cfb.Storage{{Name: "MBD00012345", Streams: []*cfb.Stream{cfb.NewStream("\x01Ole10Native", []byte("MZpayload"))}}}
		return m
	}},
	{name: "database query", rule: "xls.connection", action: sanitize.Removed, gone: []string{"DRIVER=evil"}, make: func() *bookMaker { return newBook(rec(0x00DC, "DRIVER=evil"), rec(0x01AD, make([]byte, 20))) }},
	{name: "pivot table", rule: "xls.pivot", action: sanitize.Replaced, make: func() *bookMaker { return newBook(rec(0x00B0, make([]byte, 44))).global(rec(0x00D5, uint16(1))) }},
	{name: "background", rule: "xls.background", action: sanitize.Removed, make: func() *bookMaker { return newBook(rec(0x00E9, "BITMAP")) }},
	{name: "unknown storage", rule: "xls.stream", action: sanitize.Removed, gone: []string{"payload"}, make: func() *bookMaker {
		m := newBook()
		m.storages = []*cfb.Storage{{Name: "whatever", Streams: []*cfb.Stream{cfb.NewStream("x", []byte("payload"))}}}
		return m
	}},
	{name: "very hidden sheet", rule: "xls.very-hidden-sheet", action: sanitize.Reported, make: func() *bookMaker { return newBook().sheet(page{name: "隠", state: 2, kind: 0x10, records: cells()}) }},
	{name: "unknown record", rule: "xls.record", action: sanitize.Rewritten, gone: []string{"payload"}, make: func() *bookMaker { return newBook(rec(0x0777, "payload"), rec(recContinue, "payload")) }},
	{name: "conditional format elsewhere", rule: "xls.external-link", action: sanitize.Removed, make: func() *bookMaker {
		return newBook(rec(recCondFmt, uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)), rec(recCF, 2, 0, uint16(7), uint16(0), uint32(0), uint16(0), tRef3(1))).global(external("\x01\x01Cevil.xls")...)
	}, check: func(t *testing.T, rs []flat) {
		if len(with(rs, recCondFmt))+len(with(rs, recCF)) > 0 {
			t.Error("the format stays")
		}
	}},
	{name: "validation elsewhere", rule: "xls.external-link", action: sanitize.Removed, make: func() *bookMaker {
		dv := func(tokens []byte) []byte {
			return rec(recDV, uint32(3), []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, uint16(len(tokens)), uint16(0), tokens, uint16(0), uint16(0), uint16(1), make([]byte, 8))
		}
		return newBook(rec(recDVal, make([]byte, 10), uint32(0xffffffff), uint32(2)), dv(tRef3(1)), dv(tInt(3))).global(external("\x01\x01Cevil.xls")...)
	}, check: func(t *testing.T, rs []flat) {
		if d := with(rs, recDVal); len(d) != 1 || le.Uint32(d[0][14:]) != 1 || len(with(rs, recDV)) != 1 {
			t.Errorf("the validations are %x", d)
		}
	}},
	{name: "chart of another workbook", rule: "xls.external-link", action: sanitize.Replaced, gone: []string{"evil.xls"}, make: func() *bookMaker {
		m := newBook(drawn(obj(5), chart(tRef3(1)))...).global(external("\x01\x01Cevil.xls")...)
		return m
	}, check: func(t *testing.T, rs []flat) {
		if b := with(rs, recBRAI); len(b) != 1 || !bytes.HasSuffix(b[0], errorToken(errRef)) {
			t.Errorf("the data of the chart is %x", b)
		}
	}},
	{name: "linked picture in the fill of a chart", rule: "xls.linked-picture", action: sanitize.Replaced, gone: []string{"e\x00v\x00i\x00l"}, make: func() *bookMaker {
		address := []byte("h\x00t\x00t\x00p\x00:\x00/\x00/\x00e\x00v\x00i\x00l\x00/\x00\x00\x00")
		fill := art(3, 2, 0xF00B, []byte{0x87, 0x81, byte(len(address)), 0, 0, 0, 0x88, 0x01, 2, 0, 0, 0}, address)
		return newBook(drawn(obj(5), chart(nil, rec(recGelFrame, fill)))...)
	}},
	{name: "condition elsewhere in a newer form", rule: "xls.external-link", action: sanitize.Removed, make: func() *bookMaker {
		return newBook(rec(recCondFmt12, uint16(recCondFmt12), make([]byte, 10), uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)),
			rec(recCF12, uint16(recCF12), make([]byte, 10), 3, 0, uint16(0), uint16(0), uint32(0), uint16(0), uint16(0), make([]byte, 22), make([]byte, 3), 1, make([]byte, 2), 1, uint16(7), tRef3(1), 0.0)).global(external("\x01\x01Cevil.xls")...)
	}, check: func(t *testing.T, rs []flat) {
		if len(with(rs, recCondFmt12))+len(with(rs, recCF12)) > 0 {
			t.Error("the format stays")
		}
	}},
	{name: "cell of a control elsewhere", rule: "xls.external-link", action: sanitize.Removed, make: func() *bookMaker {
		return newBook(drawn(obj(0x0B, uint16(0x0A), uint16(12), make([]byte, 12), uint16(0x14), uint16(14), uint16(7), uint32(0), tRef3(1), 0))...).global(external("\x01\x01Cevil.xls")...)
	}, check: func(t *testing.T, rs []flat) {
		if o := with(rs, recObj); len(o) != 1 || len(o[0]) != 22+16+4 {
			t.Errorf("the object is %x", o)
		}
	}},
	{name: "own theme", rule: "xls.theme", action: sanitize.Rewritten, gone: []string{"PK\x03\x04"}, make: func() *bookMaker {
		return newBook().global(rec(recTheme, make([]byte, 16), "PK\x03\x04 package"), rec(recXFExt, make([]byte, 20)))
	}},
}

// chart is a chart in a sheet.
func chart(tokens []byte, more ...[]byte) []byte {
	all := cat(bof(0x0600, 0x20), rec(0x1002, make([]byte, 16)), rec(0x1033))
	if tokens != nil {
		all = append(all, rec(recBRAI, 1, 2, uint16(0), uint16(0), uint16(len(tokens)), tokens)...)
	}
	return cat(append([][]byte{all}, append(more, rec(0x1034), rec(recEOF))...)...)
}

func number(row, col uint16, want float64) func(*testing.T, []flat) {
	return func(t *testing.T, rs []flat) {
		t.Helper()
		for _, d := range with(rs, recNumber) {
			if le.Uint16(d) == row && le.Uint16(d[2:]) == col {
				if got := math.Float64frombits(le.Uint64(d[6:])); got != want {
					t.Errorf("the cell is %v, want %v", got, want)
				}
				return
			}
		}
		t.Error("the cell has no number")
	}
}

func label(row, col uint16, want string) func(*testing.T, []flat) {
	return func(t *testing.T, rs []flat) {
		t.Helper()
		all := firstStrings(t, rs)
		for _, d := range with(rs, recLabelSST) {
			if le.Uint16(d) == row && le.Uint16(d[2:]) == col {
				if got := text(all[le.Uint32(d[6:])]); got != want {
					t.Errorf("the cell is %q, want %q", got, want)
				}
				return
			}
		}
		t.Error("the cell has no text")
	}
}

func addIn(name string) [][]byte {
	return [][]byte{
		rec(recSupBook, uint16(1), uint16(0x0401)), rec(recSupBook, uint16(1), uint16(0x3A01)),
		rec(recExternName, uint16(0), uint32(0), short(name), uint16(2), []byte{0x1C, 0x17}),
		rec(recExternSheet, uint16(2), uint16(0), uint16(0), uint16(0), uint16(1), uint16(0xFFFE), uint16(0xFFFE)),
	}
}

func TestWhatMayNotStayIsTaken(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := c.make().bytes(t)
			for _, g := range c.gone {
				if !bytes.Contains(b, []byte(g)) {
					t.Fatalf("the case has no %q", g)
				}
			}
			out, res, found, err := treat(t, b)
			if err != nil {
				t.Fatal(err)
			}
			want := sanitize.Clean
			if (sanitize.Finding{Action: c.action}).Changed() {
				want = sanitize.Disarmed
			}
			if res.Outcome != want {
				t.Errorf("outcome %s, want %s", res.Outcome, want)
			}
			if !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action }) {
				t.Errorf("found %v, want %s %s", found, c.rule, c.action)
			}
			for _, g := range c.gone {
				if bytes.Contains(out, []byte(g)) {
					t.Errorf("%q is still there", g)
				}
			}
			if err := looked(t, out); err != nil {
				t.Errorf("second look: %v", err)
			}
			stable(t, out)
			rs := unpack(t, out)
			if len(with(rs, recLabelSST)) == 0 && c.name != "macro sheet in the list only" {
				t.Error("the text of the first cell is gone")
			}
			if c.check != nil {
				c.check(t, rs)
			}
		})
	}
}

// TestNothingStandsBehindAShortRecord: CONTINUE is for what does not fit.
func TestNothingStandsBehindAShortRecord(t *testing.T) {
	hidden := rec(recContinue, "payload")
	out, _, _, err := treat(t, newBook(
		rec(0x00E5, uint16(1), uint16(2), uint16(2), uint16(0), uint16(3)), hidden, rec(0x0014, long("&C様式第１号")), hidden,
		rec(recCondFmt, uint16(1), uint16(2), make([]byte, 8), uint16(1), make([]byte, 8)), hidden, rec(recCF, 2, 0, uint16(3), uint16(0), uint32(0), uint16(0), tInt(1)),
	).global(rec(0x0092, uint16(1), uint32(0)), hidden).bytes(t))
	if err != nil || bytes.Contains(out, []byte("payload")) {
		t.Errorf("%v", err)
	}
	for _, typ := range []uint16{0x00E5, 0x0014, recCondFmt, recCF, 0x0092} {
		if len(with(unpack(t, out), typ)) != 1 {
			t.Errorf("record %04X is gone", typ)
		}
	}
	// What does not fit is all there.
	words := strings.Repeat("長い", 5000)
	out, _, _, err = treat(t, newBook(textCell(2, 0, words, cat(tStr("a"), tStr("b"), []byte{0x08})...)).bytes(t))
	if err != nil || len(with(unpack(t, out), recContinue)) == 0 {
		t.Errorf("%v", err)
	}
	if err := looked(t, out); err != nil {
		t.Error(err)
	}
}

// FuzzWorkbook holds a workbook against the four properties: no panic, within
// the budget, an output that passes the second look, a second run that finds
// nothing and changes nothing.
func FuzzWorkbook(f *testing.F) {
	f.Add(newBook().stream())
	for _, c := range cases {
		f.Add(c.make().stream())
	}
	f.Fuzz(fuzzOne)
}

// fuzzOne holds the four properties.
func fuzzOne(t *testing.T, stream []byte) {
	b := wrapped(t, "Workbook", stream, nil, nil)
	tight := func(o *sanitize.Options) {
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
	}
	out, _, _, err := treat(t, b, tight)
	if err != nil {
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported, sanitize.ErrWithheld} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	}
	if len(out) > 4<<20 {
		t.Fatalf("%d octets written", len(out))
	}
	if err := looked(t, out); err != nil {
		t.Fatalf("second look: %v", err)
	}
	stable(t, out)
}
