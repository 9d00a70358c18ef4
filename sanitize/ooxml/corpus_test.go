package ooxml

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

var update = flag.Bool("update", false, "write testdata/corpus anew: documents, what they are, and what is found in them")

// switches are the words of a readme that set what a profile sets.
var switches = map[string]func(*sanitize.Options){
	"accept":   func(o *sanitize.Options) { o.Accept = true },
	"values":   func(o *sanitize.Options) { o.Values = true },
	"comments": func(o *sanitize.Options) { o.Comments = true },
	"remove":   func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs },
	"beside":   func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, true },
}

// collected is a document of the collection: one for each finding.
type collected struct {
	rule, name, profile string
	pkg                 *pkg
	gone, stays         []string
}

// collect takes the first case of each code.
func collect() []collected {
	var all []collected
	seen := map[string]bool{}
	add := func(c collected) {
		if c.rule != "" && !seen[c.rule] {
			seen[c.rule] = true
			all = append(all, c)
		}
	}
	for _, c := range cases {
		add(collected{rule: c.rule, name: c.name, pkg: c.pkg(), gone: c.gone, stays: c.stays})
	}
	for _, c := range relationCases {
		add(collected{rule: c.rule, name: "a relationship of type " + c.typ, pkg: c.pkg(), gone: []string{"MARKER"}})
	}
	ins := `<w:p><w:ins w:id="1" w:author="a"><w:r><w:t>追加</w:t></w:r></w:ins><w:del w:id="2" w:author="a"><w:r><w:delText>削除</w:delText></w:r></w:del></w:p>`
	add(collected{rule: "ooxml.tracked-change", name: "tracked changes", profile: "accept", pkg: docx(ins), gone: []string{"削除", "w:ins"}, stays: []string{"追加"}})
	add(collected{rule: "ooxml.value", name: "a formula where the profile wants values", profile: "values", pkg: xlsx(`<c r="A1"><f>SUM(B1:C1)</f><v>3</v></c>`, "", ""), gone: []string{"SUM"}, stays: []string{"<v>3</v>"}})
	host := docx("").add("word/embeddings/a.xlsx", typeSheet+"sheet", "")
	var inner bytes.Buffer
	inner.Write(xlsxBytes())
	host.members["word/embeddings/a.xlsx"] = inner.String()
	host.rel(host.main, "rId1", relO+"package", "embeddings/a.xlsx")
	add(collected{rule: "ooxml.package-beside", name: "an embedded workbook in a mail", profile: "beside", pkg: host, gone: []string{"embeddings"}})
	// What is told, or goes without a word.
	for _, c := range cases {
		if c.rule == "" {
			_, _, found, err := treat(c.pkg().must())
			if err != nil {
				continue
			}
			for _, f := range found {
				add(collected{rule: f.Rule, name: c.name, pkg: c.pkg(), gone: c.gone, stays: c.stays})
			}
		}
	}
	return all
}

func xlsxBytes() []byte { return xlsx(`<c r="A1"><v>7</v></c>`, "", "").must() }

// must is the package as octets, for who has no test at hand.
func (p *pkg) must() []byte {
	t := &quiet{}
	return p.bytes(t)
}

// quiet is a test of which nothing can fail: writing to memory.
type quiet struct{ testing.TB }

func (*quiet) Helper()           {}
func (*quiet) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

const collection = "testdata/corpus"

// TestCollection treats each document of testdata/corpus and compares what is
// found with its .report. Its .readme says what it is, what must go and what the
// profile says. With -update the collection is written anew; who reviews reads
// the difference.
func TestCollection(t *testing.T) {
	if *update {
		writeCollection(t)
	}
	files, err := filepath.Glob(filepath.Join(collection, "*.in"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no collection: %v", err)
	}
	told := map[string]bool{}
	for _, in := range files {
		base := strings.TrimSuffix(in, ".in")
		b, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		readme, err := os.ReadFile(base + ".readme")
		if err != nil {
			t.Fatal(err)
		}
		out, got, err := reportOf(b, string(readme))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		want, err := os.ReadFile(base + ".report")
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: found\n%swant\n%s", in, got, want)
		}
		for l := range strings.Lines(string(want)) {
			told[strings.Fields(l)[0]] = true
		}
		all := ""
		for n, c := range unpack(t, out) {
			all += n + "\n" + c + "\n"
		}
		for l := range strings.Lines(string(readme)) {
			if g, ok := strings.CutPrefix(l, "Must go: "); ok && strings.Contains(all, strings.TrimSuffix(g, "\n")) {
				t.Errorf("%s: still there: %s", in, g)
			}
			if s, ok := strings.CutPrefix(l, "Must stay: "); ok && !strings.Contains(all, strings.TrimSuffix(s, "\n")) {
				t.Errorf("%s: lost: %s", in, s)
			}
		}
		checkPackage(t, in, out)
	}
	for _, code := range codesOfSource(t) {
		if !told[code] && code != "ooxml.more" { // of more than two hundred findings
			t.Errorf("no document of the collection has %s", code)
		}
	}
}

// reportOf treats a document as its readme says.
func reportOf(b []byte, readme string) ([]byte, string, error) {
	var change []func(*sanitize.Options)
	for l := range strings.Lines(readme) {
		if words, ok := strings.CutPrefix(l, "Profile: "); ok {
			for w := range strings.FieldsSeq(words) {
				change = append(change, switches[w])
			}
		}
	}
	out, res, found, err := treat(b, change...)
	if err != nil {
		return nil, "", err
	}
	report := fmt.Sprintf("%s %s\n", res.Outcome, res.Kind)
	for _, f := range found {
		report += strings.TrimRight(fmt.Sprintf("%s %s %s %s", f.Rule, f.Action, f.Where, f.Detail), " ") + "\n"
	}
	return out, report, nil
}

func writeCollection(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(collection); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(collection, 0o755); err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| .*\\| ([^|]*) \\|$")
	for i, c := range collect() {
		means := ""
		for _, m := range row.FindAllStringSubmatch(string(reasons), -1) {
			if strings.Contains(m[0], "`"+c.rule+"`") {
				means = m[1]
			}
		}
		readme := fmt.Sprintf("%s: %s.\nWritten by the tests of sanitize/ooxml; nobody's document.\nHas: %s\n", c.name, c.rule, means)
		if c.profile != "" {
			readme += "Profile: " + c.profile + "\n"
		}
		for _, g := range c.gone {
			readme += "Must go: " + g + "\n"
		}
		for _, s := range c.stays {
			readme += "Must stay: " + s + "\n"
		}
		b := c.pkg.bytes(t)
		_, report, err := reportOf(b, readme)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		base := filepath.Join(collection, fmt.Sprintf("%02d-%s", i+1, strings.TrimPrefix(c.rule, "ooxml.")))
		for ext, content := range map[string][]byte{".in": b, ".readme": []byte(readme), ".report": []byte(report)} {
			if err := os.WriteFile(base+ext, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// codesOfSource are the codes in the sources of the package.
func codesOfSource(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`"(ooxml\.[a-z0-9-]+)"`)
	var codes []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(b), -1) {
			codes = append(codes, m[1])
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
