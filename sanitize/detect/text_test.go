package detect

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sekisho/sanitize"
)

func TestHonestTextIsNoScript(t *testing.T) {
	for _, s := range []string{
		"お世話になっております。\nPowerShell の使い方について\n",
		"Set the table for dinner = 5 people\n",
		"The script uses WScript.Shell and CreateObject.\n",
		"Dim lights were shining\n",
		"Option 1: wait\nOption 2: go\n",
		"# 見出し\n\n本文です\n",
		"// comment\nint main() { return 0; }\n",
		"function of the department: finance\n",
		"import の手順は次のとおりです\n",
		"<taro@example.jp> wrote:\n> hello\n",
		"cmd について\n",
		"REM sleep is important\nvery\n",
		"[version]1.0[/version] の話",
		"a < b && c > d\n",
		"param は引数です\n",
		"{\"json\": true}\n",
		"---\nyaml: true\n",
		"From: 総務課\n件名について\n",
	} {
		if d := see(t, object([]byte(s), "a.txt")); d.Kind != sanitize.KindText {
			t.Errorf("%q is %s", s, d.Kind)
		}
	}
}

// TestWhatIsDroppedIsSeenByItsOctets: of every character, alone and in a text.
func TestWhatIsDroppedIsSeenByItsOctets(t *testing.T) {
	for r := range rune(utf8.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		if s := "本" + string(r) + "x"; !drops(s) && strings.Map(written, s) != s {
			t.Fatalf("%U is dropped, and nothing tells it", r)
		}
	}
	for _, s := range []string{"お世話になっております。\r\n", "plain text\tof 7 bits\f\r\n", "（全角）と・記号…"} {
		if drops(s) {
			t.Errorf("%q is taken for one that loses something", s)
		}
	}
}

func BenchmarkDetectText(b *testing.B) {
	text := []byte(strings.Repeat("日本語のテキストを調べる。\r\n", 20000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Detect(object(text, "a.txt")); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAMarkThatComesTogetherWhenTextIsWrittenAnewIsSeen: what stands between
// its letters is dropped on the way out, so the file is judged without it.
func TestAMarkThatComesTogetherWhenTextIsWrittenAnewIsSeen(t *testing.T) {
	pad := strings.Repeat("ordinary words\r\n", 20)
	for text, want := range map[string]sanitize.Kind{
		"\x01\nBEGIN:VCALENDAR\r\n" + pad:   sanitize.KindICS,
		"BEGIN:\x01VCALENDAR\r\n" + pad:     sanitize.KindICS,
		"\u202aBEGIN:\u202dVCARD\r\n" + pad: sanitize.KindVCF,
		"{\\\x02rtf1 " + pad:                sanitize.KindRTF,
		"\x01<\x02html><p>" + pad:           sanitize.KindHTML,
		"%!\x8d":                            sanitize.KindPS, // too short to tell that it is text
		"\x01ordinary " + pad:               sanitize.KindText,
	} {
		d, err := Detect(sanitize.Object{ReaderAt: strings.NewReader(text), Size: int64(len(text)), Name: "a.txt", Names: []string{"a.txt"}})
		if err != nil || d.Kind != want {
			t.Errorf("%.20q is %s (%v), want %s", text, d.Kind, err, want)
		}
	}
}
