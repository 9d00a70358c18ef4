package notice

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
	"unicode"
)

func in(l Language) Words { return Words{Language: l} }

func TestEveryReasonIsWordedInBothLanguages(t *testing.T) {
	for r, ja := range reasonsJA.Get() {
		en, ok := reasonsEN.Get()[r]
		if !ok {
			t.Errorf("reason %s has no English text", r)
		}
		if got := in(Japanese).Withheld(Kept{Reason: r}); !strings.Contains(got, ja) {
			t.Errorf("%s: %q does not say %q", r, got, ja)
		}
		if got := in(English).Withheld(Kept{Reason: r}); !strings.Contains(got, en) {
			t.Errorf("%s: %q does not say %q", r, got, en)
		}
	}
	if len(reasonsEN.Get()) != len(reasonsJA.Get()) {
		t.Errorf("%d reasons in English, %d in Japanese", len(reasonsEN.Get()), len(reasonsJA.Get()))
	}
	if got := in(Japanese).Withheld(Kept{Reason: "never heard of"}); !strings.Contains(got, reasonsJA.Get()[Failed]) {
		t.Errorf("an unknown reason gives %q", got)
	}
}

func TestEveryFindingHasASentenceWithItsCount(t *testing.T) {
	for rule := range sentences.Get() {
		for _, l := range []Language{Japanese, English, Both} {
			got := in(l).Disarmed([]Treated{{Name: "a.docx", Counts: []Count{{rule, 7}}}}, "")
			w := sentences.Get()[rule]
			for _, text := range []string{w.ja, w.en} {
				if text == w.ja && l == English || text == w.en && l == Japanese {
					continue
				}
				if want := strings.ReplaceAll(text, "%d", "7"); want == "" || !strings.Contains(got, want) {
					t.Errorf("%s in %s: %q does not say %q", rule, l, got, want)
				}
			}
			if strings.Contains(got, rule) || strings.Contains(got, "%") {
				t.Errorf("%s in %s shows its code: %q", rule, l, got)
			}
		}
	}
	if got := in(Japanese).Disarmed([]Treated{{Name: "a", Counts: []Count{{"no.such-code", 2}}}}, ""); !strings.Contains(got, "2 個") || !strings.Contains(got, "no.such-code") {
		t.Errorf("an unknown code gives %q", got)
	}
}

func TestWithheldSaysHowToGetThePart(t *testing.T) {
	k := Kept{
		Name: "請求書.exe", KindJA: "実行形式ファイル", KindEN: "program", Reason: Executable,
		ID: "0abc", Expires: time.Date(2026, 12, 8, 9, 5, 0, 0, time.FixedZone("JST", 9*3600)),
	}
	ja := in(Japanese).Withheld(k)
	for _, want := range []string{"保留しました", "請求書.exe", "実行形式ファイル", "0abc", "2026年12月8日 09:05", "管理者"} {
		if !strings.Contains(ja, want) {
			t.Errorf("%q does not say %s", ja, want)
		}
	}
	k.Removed, k.Reason = true, Executable
	if got := in(Both).Withheld(k); !strings.Contains(got, "削除しました") || !strings.Contains(got, "was removed") || strings.Contains(got, "保管期限") {
		t.Errorf("removed: %q", got)
	}
	if got := in(Japanese).Withheld(Kept{Name: "a"}); strings.Contains(got, "受付番号") || strings.Contains(got, "保管期限") {
		t.Errorf("outside a gateway there is nobody to ask: %q", got)
	}
}

func TestRenamingIsTold(t *testing.T) {
	got := in(Japanese).Disarmed([]Treated{{Name: "a.docm", OutName: "a.docx", Counts: []Count{{"ooxml.vba", 3}}}}, "SPF pass")
	if want := "【このメールは無害化されました】\n・a.docm → a.docx: マクロ 3 個を削除\n送信者: SPF pass\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := in(Japanese).Disarmed([]Treated{{Name: "a.doc", OutName: "a.docx"}}, ""); !strings.Contains(got, "a.doc → a.docx: 形式を変更") {
		t.Errorf("got %q", got)
	}
}

func TestNamesCannotSpeakForTheGateway(t *testing.T) {
	evil := "a\r\n【安全です】\u202etxt.exe\u200b\u2028\x1b[31m"
	for _, got := range []string{
		in(Japanese).Withheld(Kept{Name: evil, KindJA: evil, ID: evil}),
		in(Japanese).Disarmed([]Treated{{Name: evil, OutName: evil, Counts: []Count{{evil, 1}}}}, evil),
		in(Japanese).Released(evil, evil),
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

func TestCodesShowWhereTheyLead(t *testing.T) {
	got := in(Both).Codes([]Code{{"案内.png", "https://www.example.jp/"}, {"x\r\n【安全】\u202e", "https://evil.example/\n\u202e" + strings.Repeat("長", 500)}})
	for _, want := range []string{"・案内.png: QR コードのリンク先: https://www.example.jp/\n", "- 案内.png: QR code leads to: https://www.example.jp/\n", "・x【安全】: QR コードのリンク先: https://evil.example/長"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.ContainsAny(got, "\r\u202e") || len([]rune(got)) > 700 {
		t.Errorf("a stranger's words in %d characters: %q", len([]rune(got)), got)
	}
	if got := in(English).Codes(make([]Code, 9)); strings.Count(got, "leads to") != maxShown || !strings.Contains(got, "and 4 more") {
		t.Errorf("nine codes: %q", got)
	}
}

func TestReleasedNamesTheFirstMail(t *testing.T) {
	got := in(Both).Released("見積の件", "0abc")
	for _, want := range []string{"見積の件", "0abc", "kept back", "保留されていた"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %s", got, want)
		}
	}
}

func TestEveryHoldIsWordedInBothLanguages(t *testing.T) {
	for code, w := range holds.Get() {
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
	literal := regexp.MustCompile(`"((?:archive|convert|outlook|pdf|rtf|doc|xls|ppt|ichitaro|ooxml|odf|image|detect|text|html|svg|mime|csv|name|calendar|vcard|message|limit|header)\.[a-z0-9-]+)"`)
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
		_, sentence := sentences.Get()[code]
		_, hold := holds.Get()[code]
		if !sentence && !hold {
			t.Errorf("%s has no words", code)
		}
	}
	for code := range sentences.Get() {
		if !used[code] {
			t.Errorf("%s has words, and nothing uses it", code)
		}
	}
}

// everything says all that notices can say, in one language.
func everything(w Words) string {
	var b strings.Builder
	k := Kept{Name: "a.exe", KindJA: "実行形式ファイル", KindEN: "program", ID: "0abc", Expires: time.Date(2026, 12, 8, 9, 5, 0, 0, time.UTC), Advice: true}
	for r := range reasonsJA.Get() {
		k.Reason = r
		b.WriteString(w.Withheld(k))
	}
	b.WriteString(w.Withheld(Kept{}))
	k.Removed, k.Reason = true, Executable
	b.WriteString(w.Withheld(k))
	for code := range sentences.Get() {
		b.WriteString(w.Disarmed([]Treated{{Counts: []Count{{code, 7}}}, {Name: "a.doc", OutName: "a.docx"}}, "pass"))
	}
	b.WriteString(w.Disarmed([]Treated{{Name: "x", Counts: []Count{{"no.such", 2}}}}, ""))
	b.WriteString(w.Disarmed([]Treated{{Name: "a.conf", OutName: "a.txt", SameKind: true}}, ""))
	inside := Treated{Name: "a.zip"}
	for i := range maxMembers + 2 {
		inside.Withheld = append(inside.Withheld, Kept{Name: "b.exe", ID: "0abc", Expires: k.Expires, Removed: i%2 == 0})
	}
	b.WriteString(w.Disarmed([]Treated{inside}, ""))
	for _, form := range []Form{Converted, Pages, WordsOnly, Opened} {
		b.WriteString(w.Disarmed([]Treated{{Name: "a.xls", OutName: "a.xlsx", KindJA: "Excel 97-2003 ブック", KindEN: "Excel 97-2003 workbook", NewJA: "Excel ブック", NewEN: "Excel workbook", Form: form}}, ""))
	}
	codes := []Code{{"a.png", "https://example.jp/"}, {"", "www.example.jp"}}
	b.WriteString(w.Codes(codes))
	for range maxShown {
		codes = append(codes, codes[0])
	}
	b.WriteString(w.Codes(codes))
	b.WriteString(w.Released("件名", "0abc") + w.Released("", ""))
	lines := strings.Split(b.String(), "\n")
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func TestTheFileOfOurOwnWordsSaysWhatWeSay(t *testing.T) {
	for _, l := range []Language{Japanese, English} {
		own, err := ParseWording(DefaultWording(l))
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if len(own) != len(sectionNames()) {
			t.Errorf("%s: %d sections of %d", l, len(own), len(sectionNames()))
		}
		plain, filed := everything(in(l)), everything(Words{Language: l, Own: map[Language]Wording{l: own}})
		if plain != filed {
			t.Errorf("%s: the file says\n%s\n--- and we\n%s", l, filed, plain)
		}
		if strings.ContainsAny(plain, "{}%") {
			t.Errorf("%s: a placeholder is left", l)
		}
	}
}

// TestEverySectionCanBeWordedAnew changes each section alone and looks for its
// words where they belong.
func TestEverySectionCanBeWordedAnew(t *testing.T) {
	for _, name := range sectionNames() {
		s, _ := sectionOf(name)
		text := "ZZZ"
		for _, p := range s.may {
			if s.oneLine {
				text += " {" + p + "}"
			} else {
				text += "\n{" + p + "}"
			}
		}
		own, err := ParseWording([]byte("# a remark\n\n@" + name + "\n" + text + "\n\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, l := range []Language{Japanese, English, Both} {
			got := everything(Words{Language: l, Own: map[Language]Wording{Japanese: own, English: own}})
			if !strings.Contains(got, "ZZZ") {
				t.Errorf("%s in %s is not said", name, l)
			}
			if slices.Contains(s.may, "n") && !strings.Contains(got, "ZZZ 7") && !strings.Contains(got, "ZZZ 2") {
				t.Errorf("%s in %s does not say how many", name, l)
			}
		}
	}
}

func TestBrokenWordingIsRefusedWithItsLine(t *testing.T) {
	for _, c := range []struct {
		name, file string
		line       int
		want       string
	}{
		{"no such section", "# x\n\n@kept-bakc\nx\n", 3, `did you mean "kept-back"?`},
		{"no such finding", "@change ooxml.vbaa\nx\n", 1, `did you mean "change ooxml.vba"?`},
		{"no such reason", "@reason bad mood\nx\n", 1, "there is no section"},
		{"no such placeholder", "@released\nx\n{sender}\n", 3, "no {sender}; it has {subject}, {id}"},
		{"a placeholder where there is none", "@no-name\n{name}\n", 2, "it has none"},
		{"an open brace", "@released\n{id\n", 2, "a { without }"},
		{"a brace that closes nothing", "@released\nid}\n", 2, "a } without {"},
		{"twice", "@no-name\nx\n@no-name\ny\n", 3, "stands twice"},
		{"empty", "@no-name\n\n@no-kind\nx\n", 1, "is empty"},
		{"two lines for one", "@change ooxml.vba\nx\ny\n", 1, "has one line, not 2"},
		{"text before all sections", "hello\n", 1, "before the first section"},
		{"no name of the file", "@removed\n{reason}\n", 1, "does not show {name}"},
		{"the id only with the term", "@kept-back\n{name}: {reason}\n{id} {expires}\n", 1, "does not show {id}"},
		{"no changes", "@disarmed\ndisarmed.\n", 1, "does not show {changes}"},
		{"another charset", "@no-name\n\x96\xbc\x91\x4f\n", 2, "UTF-8"},
		{"a character that turns the line", "@no-name\nx\u202ey\n", 2, "U+202E"},
		{"a control character", "@no-name\nx\x1b[31m\n", 2, "U+001B"},
		{"far too long", strings.Repeat("# x\n", maxWording), 1, "more than"},
		{"too many lines", "@released\n" + strings.Repeat("x\n", 50), 1, "more than 40 lines"},
	} {
		own, err := ParseWording([]byte(c.file))
		var wrong *WordingError
		if !errors.As(err, &wrong) || wrong.Line != c.line || !strings.Contains(wrong.Text, c.want) {
			t.Errorf("%s: %v, %v; want line %d: %s", c.name, own, err, c.line, c.want)
		}
	}
}

func TestFactsAreNoTemplates(t *testing.T) {
	own, err := ParseWording([]byte("@kept-back\n{name} {reason} {id}\n@released\n{subject}\n@disarmed\n{changes}\n{sender}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := Words{Own: map[Language]Wording{Japanese: own}}
	evil := "{id}{reason?}\n@kept-back {{name}}"
	for _, got := range []string{w.Withheld(Kept{Name: evil, ID: "0abc"}), w.Released(evil, "0abc"), w.Disarmed([]Treated{{Name: evil}}, evil)} {
		if strings.Contains(got, "0abc0abc") || !strings.Contains(got, "{id}{reason?}@kept-back {{name}}") || strings.Count(got, "\n") > 2 {
			t.Errorf("%q", got)
		}
	}
}

func FuzzWording(f *testing.F) {
	f.Add(DefaultWording(Japanese), "a.exe")
	f.Add([]byte("@kept-back\n{name} {reason} {id}\n"), "{id}")
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		own, err := ParseWording(file)
		if err != nil {
			return
		}
		w := Words{Own: map[Language]Wording{Japanese: own}}
		got := w.Withheld(Kept{Name: name, ID: "0abc", Reason: Executable})
		if !strings.Contains(got, "0abc") || !strings.Contains(got, Name(name)) {
			t.Errorf("a notice without its facts: %q", got)
		}
		for _, s := range []string{got, w.Disarmed([]Treated{{Name: name, Counts: []Count{{"ooxml.vba", 1}}}}, name), w.Released(name, name)} {
			for _, r := range s {
				if r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
					t.Errorf("%U in %q", r, s)
				}
			}
		}
	})
}
