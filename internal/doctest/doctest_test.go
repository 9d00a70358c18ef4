// Package doctest holds the documents against the source: every code that a
// person may meet has its sentence, every key of the configuration, every
// metric and every command stands where it is looked for, and nothing is named
// that is not there. It reads files of the repository and builds nothing.
package doctest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sekisho/internal/limit"
)

const root = "../.."

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// source parses the Go files below dir; tests are left out unless wanted.
func source(t *testing.T, dir string, tests bool) []*ast.File {
	t.Helper()
	var files []*ast.File
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != ".":
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") != tests:
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no Go files below %s", dir)
	}
	return files
}

// literal returns the text of a string literal.
func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// literals are the string literals below dir that match re.
func literals(t *testing.T, dir string, re *regexp.Regexp) map[string]bool {
	found := map[string]bool{}
	for _, f := range source(t, dir, false) {
		ast.Inspect(f, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				// message.asc is the name of a file.
				if s, ok := literal(e); ok && re.MatchString(s) && filepath.Ext(s) != ".asc" {
					found[s] = true
				}
			}
			return true
		})
	}
	return found
}

// values are the string literals given to the field key, and to argument arg
// of calls of a function or method named call.
func values(t *testing.T, dir, key, call string, arg int) map[string]bool {
	found := map[string]bool{}
	for _, f := range source(t, dir, false) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if id, ok := n.Key.(*ast.Ident); ok && id.Name == key {
					if s, ok := literal(n.Value); ok {
						found[s] = true
					}
				}
			case *ast.CallExpr:
				name := ""
				switch fun := n.Fun.(type) {
				case *ast.Ident:
					name = fun.Name
				case *ast.SelectorExpr:
					name = fun.Sel.Name
				}
				if call != "" && name == call && arg < len(n.Args) {
					if s, ok := literal(n.Args[arg]); ok {
						found[s] = true
					}
				}
			}
			return true
		})
	}
	return found
}

// typed are the values of the constants below dir that have the named type.
func typed(t *testing.T, dir, typ string) map[string]bool {
	found := map[string]bool{}
	for _, f := range source(t, dir, false) {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typ {
				return true
			}
			for _, e := range v.Values {
				if s, ok := literal(e); ok {
					found[s] = true
				}
			}
			return true
		})
	}
	return found
}

var (
	findingCode = regexp.MustCompile(`^(archive|convert|pdf|rtf|xls|ooxml|odf|html|text|image|detect|mime|header|limit|message|csv|calendar|vcard)\.[a-z0-9]+(-[a-z0-9]+)*$`)
	smtpCode    = regexp.MustCompile(`^smtp\.[a-z_]+$`)
	// firstCells are the code words in the first column of the tables.
	firstCell = regexp.MustCompile("(?m)^\\| ([^|]*`[^|]*) \\|")
	codeWord  = regexp.MustCompile("`([^`]+)`")
)

// listed are the code words in the first columns of a document's tables.
func listed(doc string) map[string]bool {
	found := map[string]bool{}
	for _, cell := range firstCell.FindAllStringSubmatch(doc, -1) {
		for _, w := range codeWord.FindAllStringSubmatch(cell[1], -1) {
			found[w[1]] = true
		}
	}
	return found
}

func sorted(m map[string]bool) []string {
	var s []string
	for k := range m {
		s = append(s, k)
	}
	slices.Sort(s)
	return s
}

func TestEveryCodeStandsInReasons(t *testing.T) {
	doc := listed(read(t, "docs/reasons.md"))
	for _, c := range []struct {
		what  string
		codes map[string]bool
		least int // fewer means that this test looks in the wrong place
	}{
		{"finding or hold", literals(t, "sanitize", findingCode), 120},
		{"refusal", literals(t, "smtpd", smtpCode), 50},
		{"class", typed(t, "sanitize", "Class"), 15},
		{"reason of a part", typed(t, "internal/notice", "Reason"), 9},
		{"rule of policy", values(t, "policy", "Rule", "", 0), 8},
		{"rule of the pipeline", values(t, "pipeline", "Rule", "", 0), 3},
		{"rule of delivery", values(t, "delivery", "Rule", "hold", 1), 3},
		{"act of the pipeline", values(t, "pipeline", "Act", "event", 1), 2},
		{"act of delivery", values(t, "delivery", "Act", "event", 0), 2},
		{"act of the quarantine", values(t, "quarantine", "Act", "event", 2), 1},
		{"act of the store", values(t, "internal/store", "Act", "", 0), 3},
		{"act of people", values(t, "admin", "Act", "", 0), 3},
		{"act of the daemon", values(t, "cmd/sekishod", "Act", "", 0), 2},
	} {
		if len(c.codes) < c.least {
			t.Errorf("%s: only %d found in the source: %s", c.what, len(c.codes), sorted(c.codes))
		}
		for _, code := range sorted(c.codes) {
			if !doc[code] {
				t.Errorf("%s %q is not in docs/reasons.md", c.what, code)
			}
		}
	}
}

func TestReasonsNamesNoCodeThatIsNotThere(t *testing.T) {
	codes := literals(t, "sanitize", findingCode)
	refusals := literals(t, "smtpd", smtpCode)
	for _, code := range sorted(listed(read(t, "docs/reasons.md"))) {
		switch {
		case findingCode.MatchString(code) && !codes[code], smtpCode.MatchString(code) && !refusals[code]:
			t.Errorf("docs/reasons.md explains %q, which nothing says any more", code)
		}
	}
}

// TestEveryKeyStandsInConfiguration compares the tags of the configuration's
// types, which are what is decoded.
func TestEveryKeyStandsInConfiguration(t *testing.T) {
	doc := read(t, "docs/configuration.md")
	words := map[string]bool{}
	for _, w := range codeWord.FindAllStringSubmatch(doc, -1) {
		for _, k := range strings.Split(w[1], ".") {
			words[k] = true
		}
	}
	n := 0
	for _, f := range source(t, "cmd/sekishod", false) {
		ast.Inspect(f, func(node ast.Node) bool {
			field, ok := node.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, _ := strconv.Unquote(field.Tag.Value)
			if key := reflect.StructTag(tag).Get("mapstructure"); key != "" {
				n++
				if !words[key] {
					t.Errorf("key %q is not in docs/configuration.md", key)
				}
			}
			return true
		})
	}
	if n < 50 {
		t.Errorf("only %d keys found", n)
	}
}

// TestEveryLimitStandsInConfiguration wants the row of each limit as the table
// of the program has it.
func TestEveryLimitStandsInConfiguration(t *testing.T) {
	doc := read(t, "docs/configuration.md")
	known := map[string]bool{}
	for _, r := range limit.Rows() {
		known[r.Key] = true
		span := "no setting"
		switch {
		case r.Set() && r.Most > 0:
			span = r.Value(r.Least) + " to " + r.Value(r.Most)
		case r.Set():
			span = "from " + r.Value(r.Least)
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s | %s | `%s` |", r.Key, r.Value(r.Default), span, r.What, r.Why, r.Where)
		if !strings.Contains(doc, row) {
			t.Errorf("docs/configuration.md lacks\n%s", row)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(limits\\.[a-z_]+)`").FindAllStringSubmatch(doc, -1) {
		if !known[m[1]] {
			t.Errorf("docs/configuration.md explains %s, which is not there", m[1])
		}
	}
}

func TestEveryMetricStandsInOperations(t *testing.T) {
	doc := read(t, "docs/operations.md")
	found := literals(t, "cmd/sekishod", regexp.MustCompile(`^sekisho_[a-z_]+$`))
	if len(found) < 10 {
		t.Errorf("only %d metrics found", len(found))
	}
	for _, m := range sorted(found) {
		if !strings.Contains(doc, "`"+m+"`") {
			t.Errorf("metric %s is not in docs/operations.md", m)
		}
	}
	for _, m := range regexp.MustCompile("`(sekisho_[a-z_]+)`").FindAllStringSubmatch(doc, -1) {
		if !found[m[1]] {
			t.Errorf("docs/operations.md explains %s, which is not there", m[1])
		}
	}
}

// documents are all texts for people.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".cache" || d.Name() == "testdata" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLinksBetweenDocumentsLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	for _, doc := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(doc), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s: link to %s leads nowhere", doc, m[1])
			}
		}
	}
}

// TestTestsNamedInDocumentsExist: a document that names a test as a proof must
// not outlive it.
func TestTestsNamedInDocumentsExist(t *testing.T) {
	have := map[string]bool{}
	for _, f := range source(t, ".", true) {
		for _, d := range f.Decls {
			if fd, ok := d.(*ast.FuncDecl); ok && fd.Recv == nil {
				have[fd.Name.Name] = true
			}
		}
	}
	name := regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]+\b`)
	n := 0
	for _, doc := range documents(t) {
		for _, m := range name.FindAllString(read(t, doc), -1) {
			n++
			if !have[m] {
				t.Errorf("%s names %s, which does not exist", doc, m)
			}
		}
	}
	if n == 0 {
		t.Error("no test is named anywhere")
	}
}

// TestFilesNamedInDocumentsExist looks at code words that are paths of the
// repository.
func TestFilesNamedInDocumentsExist(t *testing.T) {
	path := regexp.MustCompile("(?:^|[\\s(`])((?:cmd|deploy|docs|scripts|testdata|internal|sanitize|changes)/[A-Za-z0-9_./*-]*[A-Za-z0-9_*])")
	for _, doc := range documents(t) {
		for _, m := range path.FindAllStringSubmatch(read(t, doc), -1) {
			p := filepath.Join(root, filepath.FromSlash(m[1]))
			if found, err := filepath.Glob(p); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
	}
}

// TestTargetsNamedInDocumentsExist: make targets.
func TestTargetsNamedInDocumentsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	target := regexp.MustCompile("`make ([a-z-]+)[^`]*`")
	for _, doc := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(read(t, doc), -1) {
			if !strings.Contains(makefile, fmt.Sprintf("\n%s:", m[1])) {
				t.Errorf("%s names make %s, which the Makefile does not have", doc, m[1])
			}
		}
	}
}

// TestStoriesNamedInCoverageExist: scripts and dialogues by their short names.
func TestStoriesNamedInCoverageExist(t *testing.T) {
	n := 0
	for _, m := range regexp.MustCompile(`\b(script|dialog)/([a-z][a-z0-9_*\\-]+)`).FindAllStringSubmatch(read(t, "docs/decisions/coverage.md"), -1) {
		ext := map[string]string{"script": ".txtar", "dialog": ".smtp"}[m[1]]
		name := strings.ReplaceAll(m[2], `\`, "") // the star is escaped for Markdown
		found, err := filepath.Glob(filepath.Join(root, "testdata", m[1], name+ext))
		if err != nil || len(found) == 0 {
			t.Errorf("docs/decisions/coverage.md names %s/%s, which does not exist", m[1], name)
		}
		n++
	}
	if n < 30 {
		t.Errorf("only %d stories named", n)
	}
}

// TestEveryStoreyStandsInArchitecture: the table of deptest is the truth, the
// picture in the document is of the same house.
func TestEveryStoreyStandsInArchitecture(t *testing.T) {
	_, after, _ := strings.Cut(read(t, "docs/architecture.md"), "### Storeys")
	_, block, _ := strings.Cut(after, "```")
	block, _, _ = strings.Cut(block, "```")
	words := strings.FieldsFunc(block, func(r rune) bool { return strings.ContainsRune(" \n/{},", r) })
	n := 0
	for _, f := range source(t, "internal/deptest", true) {
		ast.Inspect(f, func(node ast.Node) bool {
			v, ok := node.(*ast.ValueSpec)
			if !ok || v.Names[0].Name != "rows" {
				return true
			}
			ast.Inspect(v, func(node ast.Node) bool {
				if e, ok := node.(ast.Expr); ok {
					if path, ok := literal(e); ok {
						n++
						if last := path[strings.LastIndexByte(path, '/')+1:]; !slices.Contains(words, last) {
							t.Errorf("%s stands in no storey of docs/architecture.md", path)
						}
					}
				}
				return true
			})
			return false
		})
	}
	if n < 30 {
		t.Errorf("only %d packages found", n)
	}
}

// TestNoDocumentHoldsTwoVersionsOfItself: the marks of a merge that was not
// finished stand at the beginning of lines.
func TestNoDocumentHoldsTwoVersionsOfItself(t *testing.T) {
	mark := regexp.MustCompile(`(?m)^(<{7}|>{7}) `)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != ".":
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && mark.Match(b) {
			t.Errorf("%s has marks of a merge", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
