// Package corpustest holds what a sanitizer finds in a file to what it found
// before: a folder of files, one for each code of its reports, each with a
// .readme (what it is, what must go, what must stay, what the profile says) and
// a .report (what is found). The folder is written by the test itself, with
// -update; who reviews reads the difference.
package corpustest

import (
	"cmp"
	"errors"
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

var update = flag.Bool("update", false, "write testdata/corpus anew: files, what they are, and what is found in them")

const folder = "testdata/corpus"

// A Case is a file of a collection, for one code.
type Case struct {
	Code    string
	What    string // what the file is, in words
	File    string // its name in a mail; without meaning where it is treated by itself
	Profile string // words for what the profile sets, see Treat
	In      []byte
	Gone    []string // what may not be left of it
	Stays   []string
}

// A Collection is the folder testdata/corpus of a package.
type Collection struct {
	// Of is the package that writes the files, such as sanitize/odf.
	Of string
	// Cases are what the files are made of. Of several for a code the first is
	// taken; one without a code is passed over.
	Cases func(t *testing.T) []Case
	// Treat treats a file as its File and Profile say. It gives all that is left
	// of it as one text, and what was found, and looks at the outcome in its own
	// ways.
	Treat func(t *testing.T, c Case) (left, report string, err error)
	// Sources are the files in which the codes stand, and Prefix what these begin
	// with: an expression.
	Sources []string
	Prefix  string
	// Without are the codes for which no file is small enough.
	Without []string
}

// Test treats every file of the folder and compares, and holds that every code
// has a file.
func (c Collection) Test(t *testing.T) {
	if *update {
		c.write(t)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.in"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no collection: %v", err)
	}
	told := map[string]bool{}
	for _, name := range files {
		base := strings.TrimSuffix(name, ".in")
		c.test(t, name, base)
		for w := range strings.FieldsSeq(string(read(t, base+".report"))) {
			told[w] = true
		}
	}
	for _, code := range c.codes(t) {
		if !told[code] && !slices.Contains(c.Without, code) {
			t.Errorf("no file of the collection has %s", code)
		}
	}
}

func (c Collection) test(t *testing.T, name, base string) {
	one := parse(t, string(read(t, base+".readme")))
	one.In = read(t, name)
	left, got, err := c.Treat(t, one)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if want := string(read(t, base+".report")); got != want {
		t.Errorf("%s: found\n%swant\n%s", name, got, want)
	}
	for _, g := range one.Gone {
		if strings.Contains(left, g) {
			t.Errorf("%s: still there: %s", name, g)
		}
	}
	for _, s := range one.Stays {
		if !strings.Contains(left, s) {
			t.Errorf("%s: lost: %s", name, s)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readme says what a case is; parse reads it.
func (c Collection) readme(one Case, means string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.\nWritten by the tests of %s; nobody's file.\n", one.What, one.Code, c.Of)
	line := func(key string, values ...string) {
		for _, v := range values {
			if v != "" {
				fmt.Fprintf(&b, "%s: %s\n", key, v)
			}
		}
	}
	line("Has", means)
	line("File", one.File)
	line("Profile", one.Profile)
	line("Must go", one.Gone...)
	line("Must stay", one.Stays...)
	return b.String()
}

func parse(t *testing.T, readme string) Case {
	t.Helper()
	var c Case
	c.What, readme, _ = strings.Cut(readme, "\n")
	for l := range strings.Lines(readme) {
		key, v, ok := strings.Cut(strings.TrimSuffix(l, "\n"), ": ")
		switch {
		case !ok || key == "Has":
		case key == "File":
			c.File = v
		case key == "Profile":
			c.Profile = v
		case key == "Must go":
			c.Gone = append(c.Gone, v)
		case key == "Must stay":
			c.Stays = append(c.Stays, v)
		default:
			t.Fatalf("a readme with an unknown line: %s", l)
		}
	}
	return c
}

func (c Collection) write(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	reasons := string(read(t, "../../docs/reasons.md"))
	row := regexp.MustCompile("(?m)^\\| .*\\| ([^|]*) \\|$")
	seen := map[string]bool{}
	for _, one := range c.Cases(t) {
		if one.Code == "" || seen[one.Code] || slices.Contains(c.Without, one.Code) {
			continue
		}
		seen[one.Code] = true
		means := ""
		for _, m := range row.FindAllStringSubmatch(reasons, -1) {
			if strings.Contains(m[0], "`"+one.Code+"`") {
				means = cmp.Or(means, m[1])
			}
		}
		_, report, err := c.Treat(t, one)
		if err != nil {
			t.Fatalf("%s: %v", one.What, err)
		}
		base := filepath.Join(folder, fmt.Sprintf("%02d-%s", len(seen), strings.ReplaceAll(one.Code, ".", "-")))
		for ext, content := range map[string]string{".in": string(one.In), ".readme": c.readme(one, means), ".report": report} {
			if err := os.WriteFile(base+ext, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// codes are those in the sources.
func (c Collection) codes(t *testing.T) []string {
	t.Helper()
	code := regexp.MustCompile(`"((?:` + c.Prefix + `)\.[a-z0-9-]+)"`)
	var codes []string
	for _, p := range c.Sources {
		files, err := filepath.Glob(p)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no sources (%v)", p, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, m := range code.FindAllSubmatch(read(t, name), -1) {
				codes = append(codes, string(m[1]))
			}
		}
	}
	if len(codes) == 0 {
		t.Fatalf("no code in %v", c.Sources)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Profile gives what the words of a profile set.
func Profile(t *testing.T, words string) []func(*sanitize.Options) {
	t.Helper()
	known := map[string]func(*sanitize.Options){
		"accept":           func(o *sanitize.Options) { o.Accept = true },
		"reject":           func(o *sanitize.Options) { o.Reject = true },
		"values":           func(o *sanitize.Options) { o.Values = true },
		"comments":         func(o *sanitize.Options) { o.Comments = true },
		"remove":           func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs },
		"beside":           func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, true },
		"ichitaro-text":    steps(sanitize.ClassIchitaro, sanitize.Text),
		"ichitaro-rebuild": steps(sanitize.ClassIchitaro, sanitize.Rebuild),
	}
	var set []func(*sanitize.Options)
	for w := range strings.FieldsSeq(words) {
		f, ok := known[w]
		if !ok {
			t.Fatalf("%q is no word for a profile", w)
		}
		set = append(set, f)
	}
	return set
}

func steps(class sanitize.Class, step sanitize.Mode) func(*sanitize.Options) {
	return func(o *sanitize.Options) {
		o.Rules[class] = sanitize.Rule{Steps: []sanitize.Mode{step}}
	}
}

// Report writes what was found in a file by itself: the outcome, and a line for
// each finding.
func Report(outcome sanitize.Outcome, kind sanitize.Kind, found []sanitize.Finding) string {
	report := fmt.Sprintf("%s %s\n", outcome, kind)
	for _, f := range found {
		report += strings.TrimRight(fmt.Sprintf("%s %s %s %s", f.Rule, f.Action, f.Where, f.Detail), " ") + "\n"
	}
	return report
}
