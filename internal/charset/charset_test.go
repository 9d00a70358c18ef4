package charset

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// code is one two-byte code of CP932 and what it means.
type code struct {
	lead, trail byte
	row, cell   int // from 1
	text        string
	userDefined bool
}

// allCP932 lists every assigned and every user-defined two-byte code.
func allCP932(t testing.TB) []code {
	t.Helper()
	var all []code
	assigned, user := 0, 0
	d := japanese.ShiftJIS.NewDecoder()
	for lead := 0x81; lead <= 0xfc; lead++ {
		for trail := 0x40; trail <= 0xfc; trail++ {
			l, tr := byte(lead), byte(trail)
			if !sjisLead(l) || !sjisTrail(tr) {
				continue
			}
			row, cell := sjisRowCell(l, tr)
			c := code{lead: l, trail: tr, row: row + 1, cell: cell + 1}
			if lead >= 0xf0 && lead <= 0xf9 {
				c.text, c.userDefined = "〓", true
				user++
				all = append(all, c)
				continue
			}
			b, err := d.Bytes([]byte{l, tr})
			if err != nil || bytes.Contains(b, []byte("\uFFFD")) {
				continue
			}
			c.text = string(b)
			assigned++
			all = append(all, c)
		}
	}
	// JIS X 0208 6,879; NEC row 13 83; NEC-selected IBM 374; IBM 388.
	if assigned != 6879+83+374+388 || user != 1880 {
		t.Fatalf("CP932 has %d assigned and %d user-defined codes, want 7724 and 1880", assigned, user)
	}
	return all
}

func check(t *testing.T, what, label string, b []byte, want string, userDefined bool) {
	t.Helper()
	r := Decode(label, b)
	u := 0
	if userDefined {
		u = 1
	}
	if r.Text != want || r.UserDefined != u || r.Replaced != 0 {
		t.Errorf("%s: % x as %s: got %q (charset %s, replaced %d, user-defined %d), want %q", what, b, label, r.Text, r.Charset, r.Replaced, r.UserDefined, want)
	}
}

func TestEveryCP932CharacterIsExact(t *testing.T) {
	for _, c := range allCP932(t) {
		name := fmt.Sprintf("row %d cell %d", c.row, c.cell)
		// Some kana beside it, so that the label is not in doubt.
		check(t, name, "windows-31j", []byte{0x82, 0xa0, c.lead, c.trail, 0x82, 0xa2}, "あ"+c.text+"い", c.userDefined)

		// CP50221: rows 1 to 94 as they are, the others with a first byte
		// beyond 0x7E.
		jis := []byte{esc, '$', 'B', byte(0x20 + c.row), byte(0x20 + c.cell), esc, '(', 'B'}
		check(t, name, "iso-2022-jp", jis, c.text, c.userDefined)

		if c.row <= 94 {
			euc := []byte{0xa4, 0xa2, byte(0xa0 + c.row), byte(0xa0 + c.cell), 0xa4, 0xa4}
			check(t, name, "cp51932", euc, "あ"+c.text+"い", false)
		}
	}
	for k := 0xa1; k <= 0xdf; k++ {
		want := string(rune(0xff61 + k - 0xa1))
		check(t, "kana", "cp932", []byte{0x82, 0xa0, byte(k), 0x82, 0xa2}, "あ"+want+"い", false)
		check(t, "kana", "euc-jp", []byte{0xa4, 0xa2, 0x8e, byte(k), 0xa4, 0xa4}, "あ"+want+"い", false)
		check(t, "kana ESC ( I", "iso-2022-jp", []byte{esc, '(', 'I', byte(k - 0x80), esc, '(', 'B'}, want, false)
		check(t, "kana SO SI", "iso-2022-jp", []byte{so, byte(k - 0x80), si}, want, false)
		check(t, "kana 8-bit", "iso-2022-jp", []byte{byte(k)}, want, false)
	}
}

func TestWindowsCharactersAreThoseOfWindows(t *testing.T) {
	for _, c := range []struct{ jis, want string }{
		{"!A", "～"}, {"!B", "∥"}, {"!]", "－"}, {"!q", "￠"}, {"!r", "￡"}, {"\"L", "￢"}, {"!=", "―"},
		{"-!", "①"}, {"-j", "㈱"}, {"|b", "髙"}, {"yu", "﨑"}, {"-b", "№"},
	} {
		check(t, "Windows", "iso-2022-jp", []byte("\x1b$B"+c.jis+"\x1b(B"), c.want, false)
	}
}

// pythonDecode asks Python, as an independent judge, for the characters of
// codes in a charset. It returns nil where there is no Python.
func pythonDecode(t *testing.T, charset string, codes [][]byte) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here: the comparison with it is skipped")
	}
	var in strings.Builder
	for _, c := range codes {
		fmt.Fprintf(&in, "%x\n", c)
	}
	cmd := exec.Command(python, "-c", `
import sys
for l in sys.stdin:
    try: s = bytes.fromhex(l.strip()).decode(sys.argv[1])
    except UnicodeDecodeError: s = ''
    print(s.encode('utf-8').hex())
`, charset)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	var got []string
	for _, l := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		var b []byte
		if _, err := fmt.Sscanf(l, "%x", &b); err != nil && l != "" {
			t.Fatalf("python3 said %q", l)
		}
		got = append(got, string(b))
	}
	if len(got) != len(codes) {
		t.Fatalf("python3 gave %d answers to %d questions", len(got), len(codes))
	}
	return got
}

func TestCP932EqualsPython(t *testing.T) {
	all := allCP932(t)
	var codes [][]byte
	for _, c := range all {
		codes = append(codes, []byte{c.lead, c.trail})
	}
	for i, want := range pythonDecode(t, "cp932", codes) {
		if all[i].userDefined {
			continue
		}
		if got := Decode("cp932", codes[i]).Text; got != want {
			t.Errorf("% x: got %q, Python has %q", codes[i], got, want)
		}
	}
}

func TestJISX0212EqualsPython(t *testing.T) {
	var codes [][]byte
	for a := 0xa1; a <= 0xfe; a++ {
		for b := 0xa1; b <= 0xfe; b++ {
			codes = append(codes, []byte{0x8f, byte(a), byte(b)})
		}
	}
	n := 0
	for i, want := range pythonDecode(t, "euc_jp", codes) {
		if want == "" {
			continue
		}
		n++
		if want == "~" {
			want = "～" // Windows again
		}
		c := codes[i]
		jis := []byte{esc, '$', '(', 'D', c[1] &^ 0x80, c[2] &^ 0x80, esc, '(', 'B'}
		for label, b := range map[string][]byte{"euc-jp": append([]byte{0xa4, 0xa2}, c...), "iso-2022-jp-1": jis} {
			if got := strings.TrimPrefix(Decode(label, b).Text, "あ"); got != want {
				t.Errorf("%s % x: got %q, Python has %q", label, c, got, want)
			}
		}
	}
	if n != 6067 {
		t.Errorf("compared %d characters, JIS X 0212 has 6067", n)
	}
}

func TestJISX0213EqualsPython(t *testing.T) {
	for plane, final := range []byte{'Q', 'P'} {
		var codes [][]byte
		for a := 0x21; a <= 0x7e; a++ {
			for b := 0x21; b <= 0x7e; b++ {
				codes = append(codes, []byte{esc, '$', '(', final, byte(a), byte(b), esc, '(', 'B'})
			}
		}
		n := 0
		for i, want := range pythonDecode(t, "iso2022_jp_2004", codes) {
			if want == "" {
				continue
			}
			n++
			got := Decode("iso-2022-jp-2004", codes[i]).Text
			if got != want && !windowsForm(want, got) {
				t.Errorf("plane %d, % x: got %q, Python has %q", plane+1, codes[i], got, want)
			}
		}
		if least := []int{8700, 2400}[plane]; n < least {
			t.Errorf("plane %d: compared %d characters, want at least %d", plane+1, n, least)
		}
	}
}

// windowsForm reports that got is what Windows has where JIS has want.
func windowsForm(want, got string) bool {
	for _, p := range []string{"〜～", "‖∥", "−－", "¢￠", "£￡", "¬￢", "—―", "¥￥", "‾￣", "~～"} {
		if want+got == p {
			return true
		}
	}
	return false
}

func TestEUCMSExtensionsAreRead(t *testing.T) {
	check(t, "roman numeral", "eucJP-ms", []byte("\xa4\xa2\x8f\xf3\xf3"), "あⅰ", false)
	check(t, "last", "eucJP-ms", []byte("\xa4\xa2\x8f\xf4\xfe"), "あ黑", false)
	check(t, "user-defined", "eucJP-ms", []byte("\xa4\xa2\x8f\xf5\xa1"), "あ〓", true)
	check(t, "user-defined", "eucJP-ms", []byte("\xa4\xa2\xf5\xa1"), "あ〓", true)
}

func TestJISDialects(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		r              Result
	}{
		{"kana by ESC ( I", "\x1b(I1\x1b(B a", "ｱ a", Result{}},
		{"1978 set", "\x1b$@F|K\\\x1b(J", "日本", Result{}},
		{"1990 announcement", "\x1b&@\x1b$BF|K\\\x1b(B", "日本", Result{}},
		{"long designation", "\x1b$(BF|K\\\x1b(B", "日本", Result{}},
		{"kana inside two-byte text by SO", "\x1b$BF|\x0e123\x0fK\\\x1b(B", "日ｱｲｳ本", Result{}},
		{"G1 designated", "\x1b)I\x0e12\x0fab", "ｱｲab", Result{}},
		{"8-bit kana in two-byte text", "\x1b$BF|\xb1\xb2K\\\x1b(B", "日ｱｲ本", Result{}},
		{"line ends the set", "\x1b$BF|\r\nabc", "日\r\nabc", Result{}},
		{"space inside", "\x1b$BF| K\\\x1b(B", "日 本", Result{}},
		{"stray escape", "\x1b$BF|\x1b(B\x1b[1mx", "日[1mx", Result{Stripped: 1}},
		{"escape at the end", "\x1b$BF|\x1b(B\x1b", "日", Result{Stripped: 1}},
		{"half a character", "\x1b$BF|K\x1b(Bx", "日\uFFFDx", Result{Replaced: 1}},
		{"half a character at the end", "\x1b$BF|K", "日\uFFFD", Result{Replaced: 1}},
		{"user-defined, MS", "\x1b$(?!!\x1b(B", "〓", Result{UserDefined: 1}},
		{"user-defined, CP50221", "\x1b$B\x7f!\x92~\x1b(B", "〓〓", Result{UserDefined: 2}},
		{"unassigned", "\x1b$B)!\x1b(B", "\uFFFD", Result{Replaced: 1}},
		{"Chinese and Korean, RFC 1554", "\x1b$A0!\x1b$(C0!\x1b(B", "啊가", Result{}},
		{"Latin and Greek, RFC 1554", "\x1b$BF|\x1b(B\x1b.A\x1bNi\x1b.F\x1bNa", "日éα", Result{}},
		{"vertical lines", "\x1b(B|~\\", "|~\\", Result{}},
	} {
		r := DecodeString("iso-2022-jp", c.in)
		if r.Text != c.want || r.Replaced != c.r.Replaced || r.UserDefined != c.r.UserDefined || r.Stripped != c.r.Stripped {
			t.Errorf("%s: %q: got %+v, want %q %+v", c.name, c.in, r, c.want, c.r)
		}
	}
	if r := DecodeString("iso-2022-kr", "\x1b$)C\x0e0!\x0f a\n\x0e0!\x0f"); r.Text != "가 a\n가" || !r.Exact() {
		t.Errorf("iso-2022-kr: got %+v", r)
	}
}

func encode(t testing.TB, charset, s string) []byte {
	t.Helper()
	var b []byte
	var err error
	switch charset {
	case "jis":
		b, err = japanese.ISO2022JP.NewEncoder().Bytes([]byte(s))
	case "sjis":
		b, err = japanese.ShiftJIS.NewEncoder().Bytes([]byte(s))
	case "euc":
		b, err = japanese.EUCJP.NewEncoder().Bytes([]byte(s))
	case "utf8":
		b = []byte(s)
	case "latin1":
		for _, r := range s {
			b = append(b, byte(r))
		}
	default:
		t.Fatalf("no encoder for %s", charset)
	}
	if err != nil {
		t.Fatalf("encode %q in %s: %v", s, charset, err)
	}
	return b
}

const letter = "お世話になっております。総務課の髙橋です。\r\n添付の資料（令和８年度予算）をご確認ください。①②③ ｶﾅ\r\n"

func TestWrongLabelsAreCorrected(t *testing.T) {
	names := map[string]string{"jis": "iso-2022-jp", "sjis": "cp932", "euc": "euc-jp", "utf8": "utf-8"}
	labels := []string{"", "us-ascii", "x-unknown", "iso-2022-jp", "shift_jis", "euc-jp", "utf-8", "iso-8859-1", "windows-1252"}
	texts := []string{letter, "会議のご案内", "ご確認ください", "Re: 見積書について", "【重要】", "資料の件です",
		"To whom it may concern\r\n\r\n" + strings.Repeat("All of this is plain. ", 5000) + letter}
	for enc, name := range names {
		for _, label := range labels {
			for _, text := range texts {
				if enc == "euc" && strings.HasPrefix(label, "iso-8859") || enc == "euc" && strings.HasPrefix(label, "windows") {
					continue // any bytes are legal Latin 1, and nobody sends this
				}
				if (label == "iso-8859-1" || label == "windows-1252") && enc == "sjis" && (text == "【重要】" || text == "会議のご案内") {
					continue // too little to overrule the label
				}
				if enc == "euc" && text == "【重要】" && (label == "iso-2022-jp" || label == "shift_jis") {
					continue // also legal as half-width kana, which the label makes it
				}
				r := Decode(label, encode(t, enc, text))
				if r.Text != text || r.Charset != name || !r.Exact() {
					t.Errorf("%s labelled %q: got %.60q as %s, replaced %d; want %.60q", enc, label, r.Text, r.Charset, r.Replaced, text)
				}
				known, ok := Known(label)
				if want := ok && known != name; r.Contradicted != want {
					t.Errorf("%s labelled %q: contradicted is %v, want %v", enc, label, r.Contradicted, want)
				}
			}
		}
	}
}

func TestHalfWidthKanaKeepsItsLabel(t *testing.T) {
	for _, text := range []string{"ｶﾅ", "ﾃｽﾄ", "ﾄｱ", "ｺﾝﾆﾁﾊ", "ｶﾌﾞｼｷｶﾞｲｼﾔ ｻﾝﾌﾟﾙ"} {
		for enc, label := range map[string]string{"sjis": "shift_jis", "euc": "euc-jp", "jis": "iso-2022-jp"} {
			if r := Decode(label, encode(t, enc, text)); r.Text != text || r.Contradicted {
				t.Errorf("%s in %s: got %+v", text, enc, r)
			}
		}
	}
}

func TestKanjiUnderAWesternLabelAreRead(t *testing.T) {
	const text = "\u4ee4\u548c\uff18\u5e74\u5ea6\u3000\u4f4f\u6c11\u8aac\u660e\u4f1a\u306e\u3054\u6848\u5185\u3002\u2460\u3231\u9ad9\ufa11\uff76\uff80\uff76\uff85"
	for _, label := range []string{"iso-8859-1", "windows-1252", "iso-8859-15"} {
		if r := Decode(label, encode(t, "sjis", text)); r.Text != text || !r.Contradicted {
			t.Errorf("%s: %+v", label, r)
		}
	}
}

func TestWesternTextStaysWestern(t *testing.T) {
	for _, c := range []struct{ label, want string }{
		{"iso-8859-1", "Café, naïve, Größe, señor"}, {"windows-1252", "déjà vu"}, {"", "Die Hasen und die Frösche"}, {"", "Präsident"}, {"", "Une réponse à côté: déjà reçue."}, {"latin1", "é"},
	} {
		b := encode(t, "latin1", c.want)
		if r := Decode(c.label, b); r.Text != c.want || r.Contradicted {
			t.Errorf("label %q: got %+v, want %q", c.label, r, c.want)
		}
	}
}

func TestLatin1LabelledUTF8IsWestern(t *testing.T) {
	if r := Decode("utf-8", encode(t, "latin1", "Detta är ett meddelande")); r.Text != "Detta är ett meddelande" || !r.Contradicted {
		t.Errorf("got %+v", r)
	}
}

func TestForeignCharsets(t *testing.T) {
	for _, c := range []struct{ label, in, want string }{
		{"gb2312", "\xc4\xe3\xba\xc3", "你好"}, {"GBK", "\x80", "€"}, {"gb18030", "\x81\x30\x81\x30", "\u0080"},
		{"big5", "\xa7\x41\xa6\x6e", "你好"}, {"ks_c_5601-1987", "\xb0\xa1", "가"}, {"EUC-KR", "\xb0\xa1", "가"},
		{"koi8-r", "\xf0\xd2\xc9", "При"}, {"windows-1251", "\xcf\xf0\xe8", "При"}, {"iso-8859-5", "\xbf\xe0\xd8", "При"}, {"iso-8859-15", "\xa4", "€"},
		{"tis-620", "\xa1", "ก"}, {"iso-8859-1", "\x93a\x94", "“a”"},
		{"utf-16", "\xfe\xff\x65\xe5", "日"}, {"utf-16", "\xff\xfe\xe5\x65", "日"}, {"utf-16le", "\xe5\x65", "日"}, {"utf-16be", "\x65\xe5", "日"}, {"utf-16", "\x65\xe5", "日"},
		{"", "\xff\xfe\xe5\x65", "日"}, {"shift_jis", "\xff\xfe\xe5\x65", "日"}, {"", "<\x00b\x00>\x00a\x00<\x00/\x00b\x00>\x00", "<b>a</b>"},
		{"", "\x00<\x00b\x00>\x00a\x00<\x00/\x00b\x00>", "<b>a</b>"},
		{"utf-8", "\xef\xbb\xbfabc", "abc"}, {"iso-2022-jp", "\xef\xbb\xbf日", "日"},
		{"utf-7", "+ZeVnLIqe-", "日本語"}, {"utf-7", "Hi +- +ADw-script+AD4-", "Hi + <script>"}, {"utf-7", "+2D3cTQ-", "👍"}, {"UNICODE-1-1-UTF-7", "+AGEAYg.", "ab."},
		{"utf-16", "plain text with a wrong label", "plain text with a wrong label"},
		{"hz-gb-2312", "~{VPND~}", "中文"},
	} {
		if r := DecodeString(c.label, c.in); r.Text != c.want || !r.Exact() {
			t.Errorf("%s %q: got %+v, want %q", c.label, c.in, r, c.want)
		}
	}
}

func TestWrongUTF7IsCounted(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"+A-", "\uFFFD"}, {"+AGF-", "a\uFFFD"}, {"+2D0-", "\uFFFD"}, {"+3AA-", "\uFFFD"}, {"+2D0AYQ-", "\uFFFDa"}, {"+", "\uFFFD"}, {"+ x", "\uFFFD x"}, {"a\x80b", "a\uFFFDb"}, {"+AGE\x80", "a\uFFFD"},
	} {
		if r := DecodeString("utf-7", c.in); r.Text != c.want || r.Replaced == 0 {
			t.Errorf("%q: got %q, replaced %d; want %q", c.in, r.Text, r.Replaced, c.want)
		}
	}
}

func TestIllegalBytesAreReplacedOneByOne(t *testing.T) {
	for _, c := range []struct {
		label, in, want string
		replaced        int
	}{
		{"utf-8", "日本\xff語\xe6\x97", "日本\uFFFD語\uFFFD", 2},
		{"utf-8", "日本\xed\xa0\x80語", "日本\uFFFD\uFFFD\uFFFD語", 3},
		{"utf-8", "日本\xc0\xaf語\xf0\x9f\x98x", "日本\uFFFD\uFFFD語\uFFFDx", 3},
		{"shift_jis", "\x82\xa0\x82\xa2\x82\xa4\x81\"\x82\xa6", "あいう\uFFFD\"え", 1},
		{"shift_jis", "\x82\xa0\x82\xa2\x82\xa4\x82\xa6\x82", "あいうえ\uFFFD", 1},
		{"shift_jis", "\x82\xa0\x82\xa2\x82\xa4\x82\xa6\xff\x80", "あいうえ\uFFFD\uFFFD", 2},
		{"euc-jp", "\xa4\xa2\xa4\xa4\xa4\xa6\xa4\"\xa4\xa8", "あいう\uFFFD\"え", 1},
		{"euc-jp", "\xa4\xa2\xa4\xa4\xa4\xa6\xa4\xa8\x8f\xb0", "あいうえ\uFFFD", 1},
	} {
		if r := DecodeString(c.label, c.in); r.Text != c.want || r.Replaced != c.replaced {
			t.Errorf("%s %q: got %q, replaced %d; want %q, %d", c.label, c.in, r.Text, r.Replaced, c.want, c.replaced)
		}
	}
}

func TestFFFDOfTheSenderIsNotCounted(t *testing.T) {
	if r := DecodeString("utf-8", "a\uFFFDb"); r.Text != "a\uFFFDb" || r.Replaced != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTruncatedUTF8IsStillUTF8(t *testing.T) {
	for _, label := range []string{"", "utf-8", "us-ascii"} {
		if r := DecodeString(label, "件名が長い\xe3\x81"); r.Charset != "utf-8" || r.Text != "件名が長い\uFFFD" || r.Replaced != 1 {
			t.Errorf("label %q: got %+v", label, r)
		}
	}
}

func TestLabels(t *testing.T) {
	for want, labels := range map[string]string{
		"iso-2022-jp":  "iso-2022-jp ISO-2022-JP csISO2022JP cp50220 CP50221 iso-2022-jp-ms iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-2004 JIS iso2022jp ISO-2022-JP*ja 'iso-2022-jp'",
		"cp932":        "shift_jis Shift-JIS sjis x-sjis cp932 CP-932 ms932 windows-31j x-windows-31j mskanji MS_Kanji csShiftJIS",
		"euc-jp":       "euc-jp EUC_JP eucjp-win eucJP-ms cp51932 x-euc-jp ujis",
		"utf-8":        "utf-8 utf8 UTF8 unicode-1-1-utf-8 \"utf-8\"",
		"us-ascii":     "us-ascii ascii ANSI_X3.4-1968",
		"windows-1252": "iso-8859-1 iso8859-1 ISO_8859-1 latin1 windows-1252 cp1252",
		"iso-8859-2":   "iso-8859-2 ISO_8859-2 iso8859-2 latin2",
		"windows-1251": "windows-1251 cp1251 Windows-1251",
		"koi8-r":       "koi8-r KOI8-R",
		"utf-7":        "utf-7 unicode-1-1-utf-7",
		"gb18030":      "gb2312 GBK gb18030 x-gbk cp936",
		"euc-kr":       "euc-kr ks_c_5601-1987 KS_C_5601-1987 cp949",
		"big5":         "big5 Big5-HKSCS",
		"windows-874":  "tis-620 windows-874 iso-8859-11",
	} {
		for _, l := range strings.Fields(labels) {
			if got, ok := Known(l); got != want || !ok {
				t.Errorf("%s: got %q, want %q", l, got, want)
			}
		}
	}
	for _, l := range []string{"", "x-unknown", "unknown-8bit", "replacement", "iso-8859-99", "*", strings.Repeat("a", 1000), "default"} {
		if got, ok := Known(l); ok {
			t.Errorf("%.20q is known as %q", l, got)
		}
	}
}

func TestSanitize(t *testing.T) {
	for _, c := range []struct {
		in, want string
		n        int
	}{
		{"日本\t語\r\n", "日本\t語\r\n", 0}, {"a\x00b\x1bc\x7f", "abc", 3}, {"a\u0085b\u009f\u00a0", "ab\u00a0", 2}, {"", "", 0}, {"\xc2", "\xc2", 0}, {"\x00\xc2\x41\xff", "\xc2A\xff", 1},
	} {
		if got, n := Sanitize(c.in); got != c.want || n != c.n {
			t.Errorf("%q: got %q, %d; want %q, %d", c.in, got, n, c.want, c.n)
		}
	}
}

func TestDecodeAsBelievesItsCaller(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"cp932", "\xe3\x81\x82\xe3", "縺ゅ"}, {"utf-8", "\xe3\x81\x82", "あ"}, {"windows-1252", "\xe9", "é"}, {"euc-jp", "abc", "abc"}, {"no such", "\xe3\x81\x82", "あ"},
	} {
		if r := DecodeAs(c.name, []byte(c.in)); r.Text != c.want {
			t.Errorf("%s %q: got %+v, want %q", c.name, c.in, r, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, label := range []string{"", "iso-2022-jp", "shift_jis", "euc-jp", "utf-8", "utf-7", "utf-16", "iso-8859-1", "gb18030", "iso-2022-kr", "big5", "hz-gb-2312", "x"} {
		for _, enc := range []string{"jis", "sjis", "euc", "utf8"} {
			f.Add(label, encode(f, enc, letter), uint8(7))
		}
		f.Add(label, []byte("\x1b$(\x1b$B\x0e!\x1bN+AGE-\xff\xfe\x8f\xa1\x00"), uint8(1))
	}
	f.Fuzz(func(t *testing.T, label string, b []byte, step uint8) {
		r := Decode(label, b)
		if !utf8.ValidString(r.Text) {
			t.Fatalf("label %q, % x: not UTF-8: %q", label, b, r.Text)
		}
		if len(r.Text) > 3*len(b)+6 {
			t.Fatalf("label %q: %d bytes became %d", label, len(b), len(r.Text))
		}
		if r.Replaced+r.UserDefined+r.Stripped > len(b)+2 {
			t.Fatalf("label %q: counted more than there is: %+v", label, r)
		}
		if n := strings.Count(r.Text, "\uFFFD"); n < r.Replaced {
			t.Fatalf("label %q, % x: replaced %d, shows %d", label, b, r.Replaced, n)
		}
		again := Decode("utf-8", []byte(r.Text))
		if again.Charset == "utf-8" && again.Text != strings.TrimPrefix(r.Text, "\uFEFF") {
			t.Fatalf("label %q, % x: %q read again is %q", label, b, r.Text, again.Text)
		}
		rd := NewReader(label, &stepReader{b: b, step: int(step)%13 + 1})
		got, err := io.ReadAll(rd)
		if err != nil || string(got) != r.Text {
			t.Fatalf("label %q, % x in steps of %d: %v, %q, want %q", label, b, int(step)%13+1, err, got, r.Text)
		}
		res := rd.Result()
		if res.Text = r.Text; res != r {
			t.Fatalf("label %q, % x: reader says %+v, decode %+v", label, b, res, r)
		}
		s, _ := Sanitize(r.Text)
		if s2, n := Sanitize(s); n != 0 || s2 != s {
			t.Fatalf("sanitized twice differs: %q, %q", s, s2)
		}
	})
}

func BenchmarkDecodeISO2022JP4KiB(b *testing.B) {
	text := encode(b, "jis", strings.Repeat(letter, 40))[:4096]
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Decode("iso-2022-jp", text)
	}
}
