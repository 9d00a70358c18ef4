package notice

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestEveryReasonIsWordedInBothLanguages(t *testing.T) {
	for r, ja := range reasonsJA {
		en, ok := reasonsEN[r]
		if !ok {
			t.Errorf("reason %s has no English text", r)
		}
		if got := Withheld(Japanese, Kept{Reason: r}); !strings.Contains(got, ja) {
			t.Errorf("%s: %q does not say %q", r, got, ja)
		}
		if got := Withheld(English, Kept{Reason: r}); !strings.Contains(got, en) {
			t.Errorf("%s: %q does not say %q", r, got, en)
		}
	}
	if len(reasonsEN) != len(reasonsJA) {
		t.Errorf("%d reasons in English, %d in Japanese", len(reasonsEN), len(reasonsJA))
	}
	if got := Withheld(Japanese, Kept{Reason: "never heard of"}); !strings.Contains(got, reasonsJA[Failed]) {
		t.Errorf("an unknown reason gives %q", got)
	}
}

func TestEveryFindingHasASentenceWithItsCount(t *testing.T) {
	for rule := range sentences {
		for _, l := range []Language{Japanese, English, Both} {
			got := Disarmed(l, []Treated{{Name: "a.docx", Counts: []Count{{rule, 7}}}}, "")
			w := sentences[rule]
			for _, text := range []string{w.ja, w.en} {
				if text == w.ja && l == English || text == w.en && l == Japanese {
					continue
				}
				if want := counted(text, 7); want == "" || !strings.Contains(got, want) {
					t.Errorf("%s in %s: %q does not say %q", rule, l, got, want)
				}
			}
			if strings.Contains(got, rule) || strings.Contains(got, "%") {
				t.Errorf("%s in %s shows its code: %q", rule, l, got)
			}
		}
	}
	if got := Disarmed(Japanese, []Treated{{Name: "a", Counts: []Count{{"no.such-code", 2}}}}, ""); !strings.Contains(got, "2 個") || !strings.Contains(got, "no.such-code") {
		t.Errorf("an unknown code gives %q", got)
	}
}

func TestWithheldSaysHowToGetThePart(t *testing.T) {
	k := Kept{
		Name: "請求書.exe", KindJA: "実行形式ファイル", KindEN: "program", Reason: Executable,
		ID: "0abc", Expires: time.Date(2026, 12, 8, 9, 5, 0, 0, time.FixedZone("JST", 9*3600)),
	}
	ja := Withheld(Japanese, k)
	for _, want := range []string{"保留しました", "請求書.exe", "実行形式ファイル", "0abc", "2026年12月8日 09:05", "管理者"} {
		if !strings.Contains(ja, want) {
			t.Errorf("%q does not say %s", ja, want)
		}
	}
	k.Removed = true
	if got := Withheld(Both, k); !strings.Contains(got, "削除しました") || !strings.Contains(got, "was removed") || strings.Contains(got, "保管期限") {
		t.Errorf("removed: %q", got)
	}
	if got := Withheld(Japanese, Kept{Name: "a"}); strings.Contains(got, "受付番号") || strings.Contains(got, "保管期限") {
		t.Errorf("outside a gateway there is nobody to ask: %q", got)
	}
}

func TestRenamingIsTold(t *testing.T) {
	got := Disarmed(Japanese, []Treated{{Name: "a.docm", OutName: "a.docx", Counts: []Count{{"ooxml.vba", 3}}}}, "SPF pass")
	if want := "【このメールは無害化されました】\n・a.docm → a.docx: マクロ 3 個を削除\n送信者: SPF pass\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Disarmed(Japanese, []Treated{{Name: "a.doc", OutName: "a.docx"}}, ""); !strings.Contains(got, "a.doc → a.docx: 形式を変更") {
		t.Errorf("got %q", got)
	}
}

func TestNamesCannotSpeakForTheGateway(t *testing.T) {
	evil := "a\r\n【安全です】\u202etxt.exe\u200b\u2028\x1b[31m"
	for _, got := range []string{
		Withheld(Japanese, Kept{Name: evil, KindJA: evil, ID: evil}),
		Disarmed(Japanese, []Treated{{Name: evil, OutName: evil, Counts: []Count{{evil, 1}}}}, evil),
		Released(Japanese, evil, evil),
	} {
		for _, bad := range []string{"\r", "\u202e", "\u200b", "\u2028", "\x1b", "\n【安全"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q contains %q", got, bad)
			}
		}
	}
	if n := len([]rune(Name(strings.Repeat("長", 5000)))); n != maxName+1 {
		t.Errorf("a long name has %d characters", n)
	}
	if got := Name("【別紙１】令和８年度\u3000申請書.xlsx"); got != "【別紙１】令和８年度\u3000申請書.xlsx" {
		t.Errorf("an honest name became %q", got)
	}
}

func TestReleasedNamesTheFirstMail(t *testing.T) {
	got := Released(Both, "見積の件", "0abc")
	for _, want := range []string{"見積の件", "0abc", "kept back", "保留されていた"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %s", got, want)
		}
	}
}

func TestEveryHoldIsWordedInBothLanguages(t *testing.T) {
	for code, w := range holds {
		if got := Held(Japanese, code); got != w.ja || got == "" || got == code {
			t.Errorf("%s in Japanese: %q", code, got)
		}
		if got := Held(English, code); got != w.en || got == "" || got == code {
			t.Errorf("%s in English: %q", code, got)
		}
		if got := Held(Both, code); !strings.Contains(got, w.ja) || !strings.Contains(got, w.en) {
			t.Errorf("%s in both: %q", code, got)
		}
	}
	if got := Held(Japanese, "no.such\ncode"); got != "no.suchcode" {
		t.Errorf("an unknown code gives %q", got)
	}
}

// TestEveryCodeOfTheSanitizersHasWords reads the sources below sanitize: a code
// that one of them can put into a report has words here, and no words stand
// here for a code that nobody uses.
func TestEveryCodeOfTheSanitizersHasWords(t *testing.T) {
	literal := regexp.MustCompile(`"((?:archive|ooxml|image|detect|text|html|mime|csv|name|calendar|vcard|message|limit|header)\.[a-z0-9-]+)"`)
	used := map[string]bool{}
	for _, dir := range []string{"../../sanitize", "../header"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range literal.FindAllSubmatch(src, -1) {
				used[string(m[1])] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(used) < 100 {
		t.Fatalf("found only %d codes", len(used))
	}
	delete(used, "message.asc") // a file name
	for code := range used {
		_, sentence := sentences[code]
		_, hold := holds[code]
		if !sentence && !hold {
			t.Errorf("%s has no words", code)
		}
	}
	for code := range sentences {
		if !used[code] {
			t.Errorf("%s has words, and nothing uses it", code)
		}
	}
}
