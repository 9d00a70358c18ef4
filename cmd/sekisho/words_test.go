package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func tables() map[string]map[string]text {
	return map[string]map[string]text{
		"outcomes": outcomes, "fates": fates, "states": states, "treatments": treatments, "networks": networks, "zones": zones,
		"marks": marks, "classes": classes, "rules": rules, "acts": acts, "actions": actions, "findings": findings, "faults": faultWords,
	}
}

func TestEveryWordExistsInBothLanguages(t *testing.T) {
	for name, table := range tables() {
		for key, w := range table {
			if w.en == "" || hasJapanese(w.en) || w.ja == "" {
				t.Errorf("%s[%q]: %q, %q", name, key, w.ja, w.en)
			}
			// These are the same word in both.
			if !hasJapanese(w.ja) && w.ja != "CSV" && w.ja != "LGWAN" && w.ja != "URL" {
				t.Errorf("%s[%q] in Japanese: %q", name, key, w.ja)
			}
		}
	}
	for d, w := range statusWords() {
		if w.en == "" || !hasJapanese(w.ja) {
			t.Errorf("status %c: %q, %q", d, w.ja, w.en)
		}
	}
	for _, s := range systemErrors() {
		if s.text.en == "" || !hasJapanese(s.text.ja) {
			t.Errorf("%v: %q, %q", s.err, s.text.ja, s.text.en)
		}
	}
}

func TestEveryClassIsExplained(t *testing.T) {
	for _, c := range []sanitize.Class{sanitize.ClassText, sanitize.ClassCSV, sanitize.ClassHTML, sanitize.ClassImage, sanitize.ClassOffice,
		sanitize.ClassMessage, sanitize.ClassLegacyOffice, sanitize.ClassPDF, sanitize.ClassArchive, sanitize.ClassCalendar,
		sanitize.ClassExecutable, sanitize.ClassEncrypted, sanitize.ClassUnknown, sanitize.ClassAmbiguous, sanitize.ClassLimit,
		sanitize.ClassFailed, sanitize.ClassSpoofed, sanitize.ClassTampered, sanitize.ClassPoison} {
		if _, ok := classes[string(c)]; !ok {
			t.Errorf("class %s has no words", c)
		}
	}
}

// sources calls f with every Go file of a folder of the module that is no test.
func sources(t *testing.T, folder string, f func(path, content string)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil {
			f(path, string(b))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFindingsAreExplained reads the codes off the sanitizers' sources. One
// that was added there and has no words here is shown by its code, so one in
// twenty may be missing while work goes on; they are listed.
func TestFindingsAreExplained(t *testing.T) {
	codes := regexp.MustCompile(`"((?:csv|detect|html|image|message|mime|name|ooxml|text)\.[a-z][a-z-]+)"`)
	all, bare := map[string]bool{}, []string{}
	sources(t, "sanitize", func(path, content string) {
		for _, m := range codes.FindAllStringSubmatch(content, -1) {
			code := m[1]
			if all[code] {
				continue
			}
			all[code] = true
			// Codes of holds are worded by the notices.
			if _, ok := findings[code]; !ok && (&ui{}).rule(code) == "" {
				bare = append(bare, code+" in "+filepath.Base(path))
			}
		}
	})
	if len(all) < 50 {
		t.Errorf("only %d codes were found: is the test looking in the right place?", len(all))
	}
	if len(bare) > 0 {
		t.Logf("without words: %q", bare)
	}
	if len(bare)*20 > len(all) {
		t.Errorf("%d of %d codes have no words", len(bare), len(all))
	}
}

func TestEveryFaultOfAListIsWorded(t *testing.T) {
	n := 0
	sources(t, "tenant", func(_, content string) {
		for _, m := range regexp.MustCompile(`FaultCode = "([a-z-]+)"`).FindAllStringSubmatch(content, -1) {
			n++
			if _, ok := faultWords[m[1]]; !ok {
				t.Errorf("fault %s has no words", m[1])
			}
		}
	})
	if n != len(faultWords) {
		t.Errorf("%d faults, %d of them worded", n, len(faultWords))
	}
}

// TestEveryMessageIsWrittenInBothLanguages reads this package's own sources:
// whatever is said with a Japanese and an English text has both, with the same
// places to be filled in.
func TestEveryMessageIsWrittenInBothLanguages(t *testing.T) {
	verbs := regexp.MustCompile(`%[-+#0-9.]*[a-z]`)
	n := 0
	files := token.NewFileSet()
	sources(t, "cmd/sekisho", func(path, content string) {
		f, err := parser.ParseFile(files, path, content, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			var pair []ast.Expr
			switch x := node.(type) {
			case *ast.CallExpr:
				sel, ok := x.Fun.(*ast.SelectorExpr)
				if ok && len(x.Args) >= 2 && slices.Contains([]string{"tr", "say", "usage", "failure"}, sel.Sel.Name) {
					pair = x.Args[:2]
				}
			case *ast.CompositeLit:
				if id, ok := x.Type.(*ast.Ident); ok && id.Name == "text" && len(x.Elts) == 2 {
					pair = x.Elts
				}
			}
			if pair == nil {
				return true
			}
			ja, okJA := constant(pair[0])
			en, okEN := constant(pair[1])
			if !okJA || !okEN {
				return true // put together at run time, of pieces
			}
			n++
			at := files.Position(node.Pos())
			a, b := verbs.FindAllString(ja, -1), verbs.FindAllString(en, -1)
			slices.Sort(a)
			slices.Sort(b)
			switch {
			case hasJapanese(en):
				t.Errorf("%s: English %q", at, en)
			case ja == en && len(verbs.ReplaceAllString(ja, "")) < 5, ja == "SHA-256", ja == "LGWAN":
			case strings.TrimSpace(en) == "" || strings.TrimSpace(ja) == "":
				// A particle that the other language does not need.
				if len(ja)+len(en) > 30 {
					t.Errorf("%s: only one language: %q, %q", at, ja, en)
				}
			case ja == en && strings.Contains(ja, ": %s"), !strings.ContainsFunc(en, func(r rune) bool { return r >= 'a' && r <= 'z' }):
			case !hasJapanese(ja):
				t.Errorf("%s: Japanese %q", at, ja)
			case len(a) != len(b):
				t.Errorf("%s: %q has %v, %q has %v", at, ja, a, en, b)
			}
			return true
		})
	})
	if n < 100 {
		t.Errorf("only %d messages were found: is the test looking in the right place?", n)
	}
}

// constant gives the text of a literal, or of several with a + between.
func constant(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		a, okA := constant(x.X)
		b, okB := constant(x.Y)
		return a + b, okA && okB
	default:
		return "", false
	}
}

func TestKnownSentencesAreFilledIn(t *testing.T) {
	for _, l := range [][]sentence{answers, plainer, causes, reports, checks, probes, refusals, complaints, tellings} {
		for _, s := range l {
			places := strings.Count(s.en, "%s")
			for i := range 9 {
				if has := strings.Contains(s.anew, "$"+strconv.Itoa(i+1)); has && i >= places {
					t.Errorf("%q has no place for $%d of %q", s.en, i+1, s.anew)
				}
			}
			said := strings.ReplaceAll(s.en, "%s", "X1")
			got, ok := known(said, l)
			if !ok || strings.Contains(got, "$") {
				t.Errorf("%q is worded as %q, %v", said, got, ok)
			}
			if places == 0 && ok && got != s.anew {
				t.Errorf("%q is shadowed by an earlier one: %q", s.en, got)
			}
		}
	}
	for _, c := range []struct {
		pattern, text string
		want          []string
	}{
		{"a %s b", "a x b", []string{"x"}},
		{"a %s b", "a x b b", []string{"x b"}},
		{"a %s b", "a  b", nil},
		{"%s: %s", "x: y: z", []string{"x", "y: z"}},
		{"%s and %s", "x and ", nil},
		{"%s", "", nil},
		{"abc", "abc", nil},
	} {
		got, ok := matched(c.pattern, c.text)
		if !slices.Equal(got, c.want) || ok != (c.want != nil || c.pattern == c.text) {
			t.Errorf("%q in %q: %q, %v", c.pattern, c.text, got, ok)
		}
	}
}

// TestKnownSentencesAreStillSaid finds out when the rooms change their words.
// One that is lost is only shown in English, so a few may go unnoticed; many
// say that nobody looks after the list.
func TestKnownSentencesAreStillSaid(t *testing.T) {
	var all strings.Builder
	for _, folder := range []string{"admin", "cmd/sekishod", "delivery", "envelope", "internal/limit", "internal/notice", "internal/sandbox", "internal/store/sqlite", "pipeline", "policy",
		"quarantine", "routing", "sanitize", "scan", "spool", "tenant"} {
		sources(t, folder, func(_, content string) { all.WriteString(strings.ReplaceAll(content, `\"`, `"`)) })
	}
	said := strings.NewReplacer("%q", `"%s"`, "%%", "%").Replace(all.String())
	said = regexp.MustCompile(`%[dv]`).ReplaceAllString(said, "%s")
	var lost []string
	n := 0
	for _, l := range [][]sentence{answers, causes, reports, probes, complaints, tellings, details, pieces} {
		for _, s := range l {
			// Sentences are put together on their way: the longest piece that
			// no place can be inside of was said by one.
			n++
			longest := ""
			for _, piece := range regexp.MustCompile(`%s|: |; |"`).Split(s.en, -1) {
				if len(piece) > len(longest) {
					longest = piece
				}
			}
			if !strings.Contains(said, longest) {
				lost = append(lost, s.en)
			}
		}
	}
	t.Logf("said nowhere: %q", lost)
	if len(lost)*10 > n {
		t.Errorf("%d of %d sentences are said nowhere any more", len(lost), n)
	}
}

func TestReasonsAreExplainedAndKeepTheirPlace(t *testing.T) {
	for _, c := range []struct{ in, ja, en string }{
		{"mime.base64-junk: part 1.2", "base64 に不正な文字があります: part 1.2", "base64 with foreign characters: part 1.2"},
		{"1.2: zip: no sanitizer for this kind", "1.2: ZIP 書庫: この形式の無害化には対応していません", "1.2: ZIP archive: no sanitizer for this kind"},
		{"1.3: executable", "1.3: 実行形式ファイル", "1.3: program"},
		{"1.2: docx: word/document.xml: malformed", "1.2: Word 文書: word/document.xml: 壊れているか、正しい形式ではありません", "1.2: Word document: word/document.xml: malformed"},
		{"the gateway stopped several times while it had this message in hand", "このメールの処理中にゲートウェイが何度も停止しました", "the gateway stopped several times while it had this message in hand"},
		{"something never heard of", "something never heard of", "something never heard of"},
	} {
		if got := (&ui{ja: true}).reason(c.in); got != c.ja {
			t.Errorf("%q in Japanese: %q, want %q", c.in, got, c.ja)
		}
		if got := (&ui{}).reason(c.in); got != c.en {
			t.Errorf("%q in English: %q, want %q", c.in, got, c.en)
		}
	}
}

func TestComplaintsKeepFileLineAndKey(t *testing.T) {
	u := &ui{ja: true}
	for in, want := range map[string]string{
		`/etc/a: b.yaml:3: hostnme: unknown key; did you mean "hostname"?`: `/etc/a: b.yaml:3: hostnme: そのキーはありません。もしかして "hostname"`,
		`x.yaml:1: hops: required: at least one hop`:                       `x.yaml:1: hops: 必須です。hop が少なくとも一つ必要です`,
		`x.yaml:9: log.level: never heard of`:                              `x.yaml:9: log.level: never heard of`,
	} {
		if got := u.complaint(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
