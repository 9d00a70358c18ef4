package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// passedOn are formats that say what another sentence says, and sentences that
// no configuration brings about.
var passedOn = []string{"%v", "%s", "%v%s", "%s: %w", "%s:%d: %s", "%s: %w (and %d more)", "%s; all names below it are meant, too",
	// doctor's, about a converter's sample.
	"its sample was not treated: %s", "its sample is of kind %s by content", "nothing came of its sample: %s", "its sample: %w", "its sample %s: %w", "more than %d octets", "no host",
	// What routes say is said whole by the wrapped sentence, and tested below.
	"no route", "a name of lgwan.domains may not leave by the internet", "route %q to hop %q: %w"}

// TestEveryComplaintHasItsJapaneseSentence reads the daemon's own sources:
// whatever it can say of a configuration, a Japanese reader is told in Japanese,
// with a suggestion behind it or without.
func TestEveryComplaintHasItsJapaneseSentence(t *testing.T) {
	files := []string{"config.go", "configfile.go", "configtext.go", "configlisteners.go", "converters.go", "directory.go", "rules.go", "scanners.go", "senders.go", "reload.go",
		"routing.go", "tenant.go", "limit.go"}
	verbs := regexp.MustCompile(`%[qsvdwi]`)
	n := 0
	check := func(path, format string) {
		if slices.Contains(passedOn, format) {
			return
		}
		n++
		ends := []string{""}
		if head, ok := strings.CutSuffix(format, "%s"); ok && !strings.HasSuffix(head, " ") && !strings.HasSuffix(head, ".") {
			format, ends = head, []string{`; did you mean "x"?`, "; known here: a, b", ""}
		}
		text := verbs.ReplaceAllStringFunc(strings.ReplaceAll(format, "%%", "%"), func(v string) string {
			return map[string]string{"%q": `"x y"`, "%d": "5"}[v] + map[string]string{"%s": "xy", "%v": "xy", "%w": "xy"}[v]
		})
		for _, e := range ends {
			line := "/etc/sekisho/sekisho.yaml:7: tenants[0].id: " + text + e
			if ja := (&ui{ja: true}).complaint(line); !hasJapanese(ja) || strings.Contains(ja, "$") {
				t.Errorf("%s: %q is told to a Japanese reader as %q", path, text+e, ja)
			}
		}
	}
	for _, folder := range []string{"cmd/sekishod", "routing", "tenant", "internal/limit"} {
		sources(t, folder, func(path, content string) {
			if !slices.Contains(files, filepath.Base(path)) {
				return
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, content, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && slices.Contains([]string{"Find", "Legs", "tryConverter", "sample", "reload"}, fn.Name.Name) {
					continue
				}
				ast.Inspect(d, func(node ast.Node) bool {
					switch x := node.(type) {
					case *ast.CallExpr:
						at := map[string]int{"errorf": 1, "fail": 0, "Errorf": 0, "New": 0}
						name := ""
						switch fun := x.Fun.(type) {
						case *ast.SelectorExpr:
							name = fun.Sel.Name
						case *ast.Ident:
							name = fun.Name
						}
						if i, ok := at[name]; ok && len(x.Args) > i {
							if l, ok := x.Args[i].(*ast.BasicLit); ok && l.Kind == token.STRING {
								s, _ := strconv.Unquote(l.Value)
								check(path, s)
							}
						}
						if name == "append" && len(x.Args) == 2 {
							// A warning.
							if l, ok := x.Args[1].(*ast.BasicLit); ok && l.Kind == token.STRING && strings.Contains(l.Value, ": ") {
								s, _ := strconv.Unquote(l.Value)
								check(path, s)
							}
						}
					case *ast.KeyValueExpr:
						if k, ok := x.Key.(*ast.Ident); ok && k.Name == "text" {
							if l, ok := x.Value.(*ast.BasicLit); ok {
								s, _ := strconv.Unquote(l.Value)
								check(path, s)
							}
						}
					case *ast.ReturnStmt:
						if len(x.Results) == 1 {
							if c, ok := x.Results[0].(*ast.CallExpr); ok {
								if s, ok := c.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" && strings.HasSuffix(path, "directory.go") {
									l, _ := strconv.Unquote(c.Args[0].(*ast.BasicLit).Value)
									check(path, l)
								}
							}
						}
					}
					return true
				})
			}
		})
	}
	check("routing", "route %q to hop %q: a name of lgwan.domains may not leave by the internet")
	if n < 80 {
		t.Errorf("only %d complaints were found: is the test looking in the right place?", n)
	}
}
