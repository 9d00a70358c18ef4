package odf_test

import (
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
	"comments": func(o *sanitize.Options) { o.Comments = true },
	"remove":   func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs },
}

// collected is a document of the collection: one for each finding.
type collected struct {
	rule, name, profile string
	in                  []byte
	gone, stays         []string
}

// collect takes the first case of each code.
func collect(t *testing.T) []collected {
	var all []collected
	seen := map[string]bool{}
	add := func(c collected) {
		if c.rule != "" && !seen[c.rule] {
			seen[c.rule] = true
			all = append(all, c)
		}
	}
	for _, c := range cases {
		if c.rule == "odf.more" {
			continue // of more than two hundred findings
		}
		add(collected{c.rule, c.name, "", c.in(t), c.gone, c.stays})
	}
	add(collected{"odf.comment", "a comment, where the profile takes comments", "comments", odt(`<text:p>本<office:annotation><text:p>MARKER</text:p></office:annotation>文</text:p>`).bytes(t), []string{"MARKER", "annotation"}, []string{"本文"}})
	add(collected{"odf.tracked-change", "tracked changes, where the profile accepts them", "accept", odt(`<text:tracked-changes><text:changed-region text:id="c"><text:deletion><office:change-info><dc:creator>MARKER</dc:creator></office:change-info><text:p>MARKER</text:p></text:deletion></text:changed-region></text:tracked-changes><text:p>本<text:change text:change-id="c"/>文</text:p>`).bytes(t), []string{"MARKER", "tracked-changes"}, []string{"本文"}})
	// What is told, or goes without a word.
	for _, c := range cases {
		if c.rule == "" {
			b := c.in(t)
			_, p, err := treat(t.Context(), b)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for _, f := range p.Findings {
				add(collected{f.Rule, c.name, "", b, c.gone, c.stays})
			}
		}
	}
	return all
}

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
		out, got, err := reportOf(t, b, string(readme))
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
		all := text(t, out)
		for l := range strings.Lines(string(readme)) {
			if g, ok := strings.CutPrefix(l, "Must go: "); ok && strings.Contains(all, strings.TrimSuffix(g, "\n")) {
				t.Errorf("%s: still there: %s", in, g)
			}
			if s, ok := strings.CutPrefix(l, "Must stay: "); ok && !strings.Contains(all, strings.TrimSuffix(s, "\n")) {
				t.Errorf("%s: lost: %s", in, s)
			}
		}
		check(t, in, out, sanitize.Kind(strings.Fields(got)[1]))
	}
	for _, code := range codesOfSource(t) {
		if !told[code] && code != "odf.more" { // of more than two hundred findings
			t.Errorf("no document of the collection has %s", code)
		}
	}
}

// reportOf treats a document as its readme says.
func reportOf(t testing.TB, b []byte, readme string) ([]byte, string, error) {
	t.Helper()
	var change []func(*sanitize.Options)
	for l := range strings.Lines(readme) {
		if words, ok := strings.CutPrefix(l, "Profile: "); ok {
			for w := range strings.FieldsSeq(words) {
				change = append(change, switches[w])
			}
		}
	}
	out, p, err := treat(t.Context(), b, change...)
	if err != nil {
		return nil, "", err
	}
	report := fmt.Sprintf("%s %s\n", p.Outcome, p.OutKind)
	for _, f := range p.Findings {
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
	row := regexp.MustCompile("(?m)^\\| `([^`]*)` .*\\| ([^|]*) \\|$")
	for i, c := range collect(t) {
		means := ""
		for _, m := range row.FindAllStringSubmatch(string(reasons), -1) {
			if m[1] == c.rule {
				means = m[2]
			}
		}
		readme := fmt.Sprintf("%s: %s.\nWritten by the tests of sanitize/odf; nobody's document.\nHas: %s\n", c.name, c.rule, means)
		if c.profile != "" {
			readme += "Profile: " + c.profile + "\n"
		}
		for _, g := range c.gone {
			readme += "Must go: " + g + "\n"
		}
		for _, s := range c.stays {
			readme += "Must stay: " + s + "\n"
		}
		_, report, err := reportOf(t, c.in, readme)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		base := filepath.Join(collection, fmt.Sprintf("%02d-%s", i+1, strings.TrimPrefix(c.rule, "odf.")))
		for ext, content := range map[string][]byte{".in": c.in, ".readme": []byte(readme), ".report": []byte(report)} {
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
	code := regexp.MustCompile(`"(odf\.[a-z0-9-]+)"`)
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
