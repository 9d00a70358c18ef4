package header

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"
)

func jis(t testing.TB, s string) string {
	t.Helper()
	b, err := japanese.ISO2022JP.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sjis(t testing.TB, s string) string {
	t.Helper()
	b, err := japanese.ShiftJIS.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func euc(t testing.TB, s string) string {
	t.Helper()
	b, err := japanese.EUCJP.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func b64word(charset, s string) string {
	return "=?" + charset + "?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
}

func TestDecodeText(t *testing.T) {
	const want = "令和８年度①髙橋"
	j := jis(t, want) // ends with ESC ( B
	cut := 9          // inside the shift state, in the middle of a character
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Hello, world", "Hello, world"},
		{"empty", "", ""},
		{"folded", "Hello,\r\n world", "Hello, world"},
		{"one word", b64word("ISO-2022-JP", j), want},
		{"glued", "Re:" + b64word("ISO-2022-JP", j), "Re:" + want},
		{"before text", b64word("utf-8", want) + " and more", want + " and more"},
		{"two words", b64word("utf-8", "令和") + "\r\n " + b64word("utf-8", "八年"), "令和八年"},
		{"no blank between", b64word("utf-8", "令和") + b64word("utf-8", "八年"), "令和八年"},
		{"different charsets", b64word("utf-8", "令和") + " " + b64word("shift_jis", sjis(t, "八年")), "令和八年"},
		{"different names of one", b64word("Shift_JIS", sjis(t, "令")+"\x94") + " " + b64word("cp932", "\xaa"), "令八"},
		{"cut inside the shift state", b64word("iso-2022-jp", j[:cut]) + "\r\n\t" + b64word("iso-2022-jp", j[cut:]), want},
		{"cut at every character", b64word("iso-2022-jp", "\x1b$BNa") + " " + b64word("iso-2022-jp", "\x1b$BOB\x1b(B"), "令和"},
		{"UTF-8 cut in a character", b64word("utf-8", want[:4]) + " " + b64word("UTF-8", want[4:]), want},
		{"base64 cut by length", "=?utf-8?B?5Luk5?= =?utf-8?B?ZKM?=", "令和"},
		{"padding left out", "=?utf-8?B?5Luk5ZKMYQ?=", "令和a"},
		{"blanks inside base64", "=?utf-8?B?5Luk 5ZKM?=", "令和"},
		{"blanks inside Q", "=?utf-8?Q?a b_c=E4=BB=A4?=", "a b c令"},
		{"language", "=?utf-8*ja?B?5Luk?=", "令"},
		{"Q of ISO-2022-JP", "=?ISO-2022-JP?Q?=1B$B=4E=61=1B=28B?=", "令"},
		{"Q that begins with =", "=?utf-8?Q?=E4=BB=A4?=", "令"},
		{"empty word", "a =?utf-8?Q??= b", "a  b"},
		{"quoted", `"` + b64word("utf-8", "令和") + `"`, `"令和"`},
		{"wrong label", b64word("iso-2022-jp", sjis(t, "会議のご案内です")), "会議のご案内です"},
		{"wrong label reversed", b64word("shift_jis", jis(t, "会議のご案内です")), "会議のご案内です"},
		{"unknown label", b64word("x-unknown", "令和"), "令和"},
		{"cp50221", b64word("cp50221", "\x1b(I1\x1b$B|b\x1b(B"), "ｱ髙"},
		{"raw JIS", "Re: " + jis(t, want), "Re: " + want},
		{"raw JIS that holds =?", jis(t, "渚渚のご案内"), "渚渚のご案内"},
		{"raw CP932", "Re: " + sjis(t, "表示のご案内①"), "Re: 表示のご案内①"},
		{"raw EUC", euc(t, "ご案内のとおり"), "ご案内のとおり"},
		{"raw UTF-8", want, want},
		{"raw and words", sjis(t, "【重要なお知らせ】") + b64word("utf-8", "令和"), "【重要なお知らせ】令和"},
		{"not a word", "=?utf-8?X?abc?= =?a b?Q?x?= =?", "=?utf-8?X?abc?= =?a b?Q?x?= =?"},
		{"broken off", "=?utf-8?B?5Luk5ZKM", "令和"},
		{"question marks", "why?=yes =?utf-8?Q?really=3F?=", "why?=yes really?"},
		{"line break inside", "a =?utf-8?Q?b=0D=0ABcc:_x=00y?=", "a b  Bcc: xy"},
		{"bare CR", "a\rb", "a b"},
		{"half-width kana", b64word("iso-2022-jp", "\x1b(I6E\x1b(B"), "ｶﾅ"},
	} {
		if got := DecodeText(c.in); got != c.want {
			t.Errorf("%s: %q: got %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestOdditiesOfTextAreFlagged(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Flags
	}{
		{"plain", 0},
		{b64word("utf-8", "令"), 0},
		{b64word("shift_jis", jis(t, "令")), WrongCharset},
		{b64word("x-nothing", "令"), UnknownCharset},
		{"令", RawBytes},
		{"=?utf-8?X?a?=", BadWord},
		{"=?utf-8?B?5Luk5ZKM", BadWord},
		{"=?utf-8?B?5L*uk?=", BadWord},
		{"=?utf-8?Q?=00?=", Control},
		{"a\x01", Control},
	} {
		if got := Decode(c.in).Flags; got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
	if r := Decode(b64word("iso-2022-jp", "\x1b$B\x7f!\x1b(B")); r.UserDefined != 1 || r.String != "〓" {
		t.Errorf("user-defined: got %+v", r)
	}
}

// The case H17: a decoder that looks for the end of every word anew needs
// minutes for this.
func TestManyBrokenWordsTakeNoTime(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("=?utf-8?B?", 100000), strings.Repeat("=?utf-8?Q?x ", 100000), strings.Repeat("=?utf-8?X?a?= ", 100000), strings.Repeat("=?", 500000), strings.Repeat("=?utf-8?B?x", 100000) + " ", strings.Repeat("\x1b$B=?", 100000), strings.Repeat("=?utf-8?Q?a?= ", 80000) + "x", strings.Repeat("=?utf-8?B?YQ?==?utf-16?B?YQ?=", 40000),
	} {
		at := cpu()
		DecodeText(s)
		if d := cpu() - at; d > 2*time.Second {
			t.Errorf("%.20q...: took %s", s, d)
		}
	}
}
