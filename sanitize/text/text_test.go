package text

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"sekisho/sanitize"
)

// run sanitizes b as kind k and returns the output, what became of it and what
// was found.
func run(t testing.TB, k sanitize.Kind, charset string, keep bool, b []byte) (string, sanitize.Part, error) {
	t.Helper()
	rule := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	o := sanitize.Options{KeepCSV: keep, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassText: rule, sanitize.ClassCSV: rule}}
	table := map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindText: Text{}, sanitize.KindEmpty: Text{}, sanitize.KindCSV: CSV{}, sanitize.KindTSV: CSV{}}
	s := sanitize.NewSession(&o, int64(len(b)), func(sanitize.Object) (sanitize.Detection, error) { return sanitize.Detection{Kind: k}, nil }, table)
	var out bytes.Buffer
	_, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Charset: charset, Path: "2"}, &out)
	return out.String(), s.Parts()[0], err
}

func rules(p sanitize.Part) []string {
	var r []string
	for _, f := range p.Findings {
		if !slices.Contains(r, f.Rule) {
			r = append(r, f.Rule)
		}
	}
	return r
}

func TestTextIsWrittenAnew(t *testing.T) {
	for _, c := range []struct {
		what, charset, in, want string
		rules                   []string
		outcome                 sanitize.Outcome
	}{
		{"ASCII stays as it is", "", "hello\r\nworld\n", "hello\r\nworld\n", nil, sanitize.Clean},
		{"nothing", "", "", "", nil, sanitize.Clean},
		{"UTF-8 gets a mark", "utf-8", "日本\n", mark + "日本\n", nil, sanitize.Clean},
		{"one mark is enough", "utf-8", mark + "日本\n", mark + "日本\n", nil, sanitize.Clean},
		{"CP932", "shift_jis", "\x93\xfa\x96\x7b\x87\x40\r\n", mark + "日本①\r\n", nil, sanitize.Clean},
		{"ISO-2022-JP without label", "", "\x1b$BF|K\\\x1b(B\r\n", mark + "日本\r\n", nil, sanitize.Clean},
		{"UTF-16", "", "\xff\xfe\xe5\x65\x2c\x67\r\x00\n\x00", mark + "日本\r\n", nil, sanitize.Clean},
		{"CR alone ends a line", "", "a\rb\r", "a\r\nb\r\n", nil, sanitize.Clean},
		{"tab and form feed stay", "", "a\tb\fc", "a\tb\fc", nil, sanitize.Clean},
		{"end of file mark of DOS", "", "a\r\n\x1a", "a\r\n", nil, sanitize.Clean},
		{"controls", "", "a\x1b[2Jb\x07\x08c", mark + "a[2Jbc", []string{"text.control"}, sanitize.Clean},
		{"direction", "utf-8", "a\u202egpj.exe\u202c b\u2066", mark + "agpj.exe b", []string{"text.bidi"}, sanitize.Disarmed},
		{"joiners stay", "utf-8", "👨\u200d👩 क\u200c", mark + "👨\u200d👩 क\u200c", nil, sanitize.Clean},
		{"user-defined", "cp932", "\xf0\x40a\r\n", mark + "〓a\r\n", []string{"text.gaiji"}, sanitize.Clean},
		{"words that begin like a file", "", "begin 644 things\nand more than that\n", "begin 644 things\nand more than that\n", nil, sanitize.Clean},
	} {
		out, p, err := run(t, sanitize.KindText, c.charset, false, []byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if out != c.want || !slices.Equal(rules(p), c.rules) || p.Outcome != c.outcome {
			t.Errorf("%s: got %q, %v, %v; want %q, %v, %v", c.what, out, rules(p), p.Outcome, c.want, c.rules, c.outcome)
		}
	}
}

func TestFilesInsideTextAreRefused(t *testing.T) {
	for what, in := range map[string]string{
		"uuencode":        "hello\nbegin 644 a.exe\nM35J0``,````$````__\\``+@`````````0```````````````````````````\n`\nend\n",
		"uuencode, short": "begin 644 a.txt\n#0V%T\n`\nend\n",
		"base64":          "begin-base64 644 a.exe\nTVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAA=\n====\n",
		"yEnc":            "=ybegin line=128 size=3 name=a.exe\nabc\n=yend size=3\n",
		"BinHex":          "(This file must be converted with BinHex 4.0)\n:$f*TEQKPH\"3\n",
		"CR line ends":    "hello\rbegin 644 a.exe\r#0V%T\r`\rend\r",
		"no end":          "begin 644 a.exe\n#0V%T",
		"base64 alone":    "see below\nTVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAA\n",
		"base64, quoted":  "> TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n> AAAA\n",
		"base64, a field": "data=TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAA\n",
		"base64, a cell":  "1,TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAA,2\n",
		"base64 of a ZIP": "-----BEGIN CERTIFICATE-----\nUEsDBBQAAAAIAAAAIQBhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5enAxMjM0NTY=\n-----END CERTIFICATE-----\n",
	} {
		for _, k := range []sanitize.Kind{sanitize.KindText, sanitize.KindCSV} {
			if _, _, err := run(t, k, "", false, []byte(in)); !errors.Is(err, sanitize.ErrAmbiguous) {
				t.Errorf("%s as %s: %v", what, k, err)
			}
		}
	}
}

func TestWhatOnlyLooksLikeBase64Passes(t *testing.T) {
	for what, in := range map[string]string{
		"a certificate": "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\nRTESMBAGA1UEChMJQmFsdGltb3Jl\n-----END CERTIFICATE-----\n",
		"a word":        "TVABCDEFGHIJKLMNOPQR\n",
		"a path":        "UEsDBBQ\n",
		"an address":    "https://a.example/?q=TVqQABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop&x=H4sIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"in the middle": "AAAAAAAAAAAAAAAAAAAA\nUEsDBBQAAAAIAAAAIQBhYmNkZWZn\n",
	} {
		if _, _, err := run(t, sanitize.KindText, "", false, []byte(in)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFormulasAreNeutralised(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"=1+1", "'=1+1"},
		{"a,=cmd|' /C calc'!A0,b", "a,'=cmd|' /C calc'!A0,b"},
		{`a,"=cmd|' /C calc'!A0",b`, `a,"'=cmd|' /C calc'!A0",b`},
		{`"=HYPERLINK(""http://x"",""y"")"`, `"'=HYPERLINK(""http://x"",""y"")"`},
		{"a\r\n+SUM(A1)\r\n", "a\r\n'+SUM(A1)\r\n"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"-cmd|x", "'-cmd|x"},
		{"\t=1+1", "\t'=1+1"},
		{"a, =1+1", "a, '=1+1"},
		{"a,\"\t=1+1\"", "a,\"\t'=1+1\""},
		{"a,\"\r\n=1+1\"", "a,\"\r\n'=1+1\""},
		{"a;=1+1", "a;'=1+1"},
		{"a\t=1+1", "a\t'=1+1"},
		{"＝１＋１", "'＝１＋１"},
		{"＠ＳＵＭ(A1)", "'＠ＳＵＭ(A1)"},
		{"\u200b=1+1", "\u200b'=1+1"},
		{"sep=|\na|=1+1", "sep=|\na|'=1+1"},
		{`"-1,cmd|' /C calc'!A0"`, `"'-1,cmd|' /C calc'!A0"`},
		{"x;\"a,=1+1", "x;\"a,'=1+1"}, // a quote for some, none for Excel
		{"x,\"a\"b,=1+1", "x,\"a\"b,'=1+1"},
		{"a,\"b\n-c\"", "a,\"b\n-c\""},
		{"=" + strings.Repeat("A", 5000) + ",b", "'=" + strings.Repeat("A", 5000) + ",b"},
		{"-" + strings.Repeat("1", 5000), "'-" + strings.Repeat("1", 5000)},
		{"ID;PWXL", `"ID";PWXL`},
		{`""=1+1`, `""'=1+1`},
		{`"-1"+cmd|x,b`, `"'-1"+cmd|x,b`},
		{`"""=1"`, `"""=1"`},
		{"--1", "'--1"},
		{"-1+cmd", "'-1+cmd"},
		{"- 議事録", "'- 議事録"},
	} {
		out, p, err := run(t, sanitize.KindCSV, "utf-8", false, []byte(c.in))
		out = strings.TrimPrefix(out, mark)
		if err != nil || out != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.in, out, err, c.want)
		}
		if changed := strings.Contains(c.want, "'") && c.want != c.in; changed && p.Outcome != sanitize.Disarmed {
			t.Errorf("%q: outcome %v", c.in, p.Outcome)
		}
		if kept, _, err := run(t, sanitize.KindCSV, "utf-8", true, []byte(c.in)); err != nil || strings.TrimPrefix(kept, mark) != c.in {
			t.Errorf("%q kept by the profile: got %q, %v", c.in, kept, err)
		}
	}
}

func TestNumbersAreUntouched(t *testing.T) {
	for _, cell := range []string{
		"0", "007", "-5", "+5", "-1,234.50", "-1.5E+10", "+3e-7", "-12%", "+81-3-1234-5678", "+81 (0)3 1234 5678", "-¥1,234", `-\500`, "-($5)",
		"-", "--", "---", "－", "－－", "+", "-5人", "-3℃", "+10点", "－５％", "-1-2", "2026-11-24", "-0001",
		"a-b", "a=b", "x@example.jp", "'=1", "\"\"",
	} {
		for _, in := range []string{cell, "a," + cell + ",b\r\n", "a;" + cell + ";b", cell + "\t" + cell} {
			out, p, err := run(t, sanitize.KindCSV, "utf-8", false, []byte(in))
			if err != nil || strings.TrimPrefix(out, mark) != in || len(p.Findings) != 0 {
				t.Errorf("%q: got %q, %v, %v", in, out, p.Findings, err)
			}
		}
		quoted := `a,"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		out, _, err := run(t, sanitize.KindCSV, "utf-8", false, []byte(quoted))
		if err != nil || strings.TrimPrefix(out, mark) != quoted {
			t.Errorf("%q: got %q, %v", quoted, out, err)
		}
	}
}

func TestCellIsNamed(t *testing.T) {
	_, p, err := run(t, sanitize.KindCSV, "", false, []byte("a,b,c\r\n\"x\r\ny\",2,=1+1\r\n"))
	if err != nil || len(p.Findings) != 1 || p.Findings[0].Where != "C2" || p.Findings[0].Rule != "csv.formula" {
		t.Errorf("%v %v", p.Findings, err)
	}
	_, p, err = run(t, sanitize.KindCSV, "", false, []byte(strings.Repeat("=A1\n", 1000)))
	if err != nil || len(p.Findings) != maxReported+1 || p.Findings[maxReported].Detail != "950 more cells" {
		t.Errorf("%d findings, %v", len(p.Findings), err)
	}
	if got := address(0, 702); got != "AAA1" {
		t.Errorf("column 702 is %s", got)
	}
}

// TestAnyCutIsTheSame feeds a table in pieces of every size.
func TestAnyCutIsTheSame(t *testing.T) {
	in := "sep=;\r\nあ;=1;\"=2\"\"\";-3\r\n\"x\r\n=4\";\t=5,=6;-7円\r\n=8"
	all := func(step int) string {
		o := sanitize.Options{Limits: sanitize.DefaultLimits()}
		s := sanitize.NewSession(&o, 100, nil, nil)
		tb := newTable(sanitize.KindCSV, s)
		var out strings.Builder
		r := []rune(in)
		for i := 0; i < len(r); i += step {
			end := min(i+step, len(r))
			out.Write(tb.feed([]byte(string(r[i:end])), end == len(r)))
		}
		return out.String()
	}
	want := all(1 << 20)
	if strings.Count(want, "'") != 5 {
		t.Errorf("got %q", want)
	}
	for step := 1; step < 60; step++ {
		if got := all(step); got != want {
			t.Errorf("pieces of %d: got %q, want %q", step, got, want)
		}
	}
}

// TestLongTablesPassUnchanged is about pieces that follow one another: what
// waits in one must not be overwritten by the next.
func TestLongTablesPassUnchanged(t *testing.T) {
	var in, want strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&in, "%d,町,-%d,=A%d,\"x\r\ny\"\r\n", i, i, i)
		fmt.Fprintf(&want, "%d,町,-%d,'=A%d,\"x\r\ny\"\r\n", i, i, i)
	}
	out, _, err := run(t, sanitize.KindCSV, "", false, []byte(in.String()))
	if err != nil || out != mark+want.String() {
		t.Errorf("%v, %d bytes, want %d", err, len(out), len(mark)+want.Len())
	}
}

func TestReaderErrorsAreNotTheEnd(t *testing.T) {
	broken := errors.New("broken disk")
	o := sanitize.Options{Limits: sanitize.DefaultLimits()}
	s := sanitize.NewSession(&o, 100, nil, nil)
	_, err := Text{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: errorAt{broken}, Size: 10, Charset: "utf-8"}, io.Discard)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type errorAt struct{ err error }

func (e errorAt) ReadAt(p []byte, _ int64) (int, error) { return iotest.ErrReader(e.err).Read(p) }

// formulas are the cells that a strict reader of the output would compute.
func formulas(out string, sep rune) []string {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(out, mark)))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = sep, -1, true
	var bad []string
	for {
		rec, err := r.Read()
		if err != nil {
			return bad
		}
		for _, cell := range rec {
			if cell != "" && strings.ContainsRune("=@＝＠", firstRune(cell)) {
				bad = append(bad, cell)
			}
		}
	}
}

func firstRune(s string) rune { r, _ := utf8.DecodeRuneInString(s); return r }

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,=1,\"=2\"", "sep=|\na|=1", "x;\"a,=1", "\"a\"\"\n=1\",=2", "-1,-a\r=b", "ID;P\n", "あ,＝１\r\n"} {
		f.Add([]byte(s), "")
		f.Add([]byte(s), "utf-8")
	}
	f.Fuzz(func(t *testing.T, b []byte, label string) {
		out, _, err := run(t, sanitize.KindCSV, label, false, b)
		if err != nil {
			return
		}
		if !utf8.ValidString(out) {
			t.Fatalf("%q became no UTF-8", b)
		}
		again, p, err := run(t, sanitize.KindCSV, "utf-8", false, []byte(out))
		if err != nil || again != out || p.Outcome != sanitize.Clean {
			t.Fatalf("%q became %q, then %q (%v, %v)", b, out, again, p.Findings, err)
		}
		// A table whose first line has semicolons and no commas is read by
		// them, all others by commas.
		first, _, _ := strings.Cut(out, "\n")
		seps := []rune{','}
		if strings.Contains(first, ";") && !strings.Contains(first, ",") {
			seps = append(seps, ';')
		}
		for _, sep := range seps {
			if bad := formulas(out, sep); len(bad) > 0 {
				t.Fatalf("%q became %q, where %q computes %q", b, out, sep, bad)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a\r\nb\rc\n\x1b$BF|K\\\x1b(B"), "")
	f.Add([]byte("begin 644 x\n#0V%T\n"), "utf-8")
	f.Add([]byte("\xff\xfea\x00"), "utf-16")
	f.Fuzz(func(t *testing.T, b []byte, label string) {
		out, _, err := run(t, sanitize.KindText, label, false, b)
		if err != nil {
			return
		}
		for _, r := range out {
			if r < ' ' && r != '\t' && r != '\r' && r != '\n' && r != '\f' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q became %q", b, out)
			}
		}
		again, _, err := run(t, sanitize.KindText, "utf-8", false, []byte(out))
		if err != nil || again != out {
			t.Fatalf("%q became %q, then %q (%v)", b, out, again, err)
		}
	})
}

func BenchmarkText(b *testing.B) {
	in := []byte(strings.Repeat("日本語のテキストを書き直す。The quick brown fox.\r\n", 20000))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, _, err := run(b, sanitize.KindText, "utf-8", false, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCSV(b *testing.B) {
	var in bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&in, "%d,例示町,\"中央 %d-%d\",-%d,=A%d,2026-11-24\r\n", i, i, i, i, i)
	}
	b.SetBytes(int64(in.Len()))
	for b.Loop() {
		if _, _, err := run(b, sanitize.KindCSV, "utf-8", false, in.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
