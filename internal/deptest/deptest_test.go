// Package deptest holds the house rules of imports as a test: who may link
// what, and in which direction. It runs `go list`, so it must be run with
// -count=1: a cached answer does not see an import made since.
package deptest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps", "sekisho/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var e *exec.ExitError
		if errors.As(err, &e) {
			t.Fatalf("go list: %v\n%s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	pkgs := map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
	return pkgs
}

// rows are the storeys of the house: a package imports only from storeys below
// its own.
var rows = []struct {
	row   int
	paths []string
}{
	{-1, []string{"internal/charset", "internal/encoded", "internal/lazy", "internal/metafile", "internal/pict", "internal/fax", "internal/pnm", "internal/square", "internal/link", "internal/coefficients"}},
	{0, []string{"internal/header", "internal/cfb", "internal/zipstrict", "internal/seal", "internal/audit",
		"internal/version", "internal/sandbox", "internal/limit", "internal/mtasts", "internal/tlsrpt", "internal/dane", "internal/pdf", "internal/qr", "internal/redeflate", "internal/xmlscan", "internal/formula", "internal/propset", "internal/officeart", "internal/fieldcode"}},
	{1, []string{"envelope", "sanitize", "internal/notice", "internal/blob", "internal/vba", "internal/olepack", "admin/client"}},
	{2, []string{"policy", "routing", "tenant", "senderauth", "scan", "internal/dsn", "internal/blob/dir", "sanitize/worker", "sanitize/detect", "sanitize/verify",
		"sanitize/message", "sanitize/ooxml", "sanitize/rtf", "sanitize/odf", "sanitize/html", "sanitize/image", "sanitize/text", "sanitize/calendar", "sanitize/outlook", "sanitize/archive", "sanitize/convert", "sanitize/pdf", "sanitize/xls", "sanitize/doc", "sanitize/ppt", "sanitize/ichitaro"}},
	{3, []string{"spool", "sanitize/all"}},
	{4, []string{"smtpd", "pipeline", "delivery", "quarantine"}},
	{5, []string{"admin"}},
	{6, []string{"internal/store/sqlite"}},
	{7, []string{"cmd/sekishod", "cmd/sekisho", "cmd/sekisho-sanitizer"}},
}

// helpers of tests stand outside the house; nothing that ships links them.
var testOnly = []string{"internal/smtptest", "internal/scantest", "internal/interop", "internal/dnstest", "internal/deptest", "internal/doctest", "internal/blob/blobtest", "spool/spooltest", "internal/corpus", "internal/corpus/corpustest", "internal/faults", "internal/faults/lossyfs", "internal/qr/qrtest", "scripts/demo", "scripts/corpus", "scripts/bench", "scripts/screens"}

func storey(path string) (int, bool) {
	for _, r := range rows {
		if slices.Contains(r.paths, path) {
			return r.row, true
		}
	}
	return 0, false
}

func TestPackagesImportOnlyFromBelow(t *testing.T) {
	for path, p := range list(t) {
		name, ours := strings.CutPrefix(path, "sekisho/")
		if !ours || slices.Contains(testOnly, name) {
			continue
		}
		row, ok := storey(name)
		if !ok {
			t.Errorf("%s has no storey: give it one in this test and in docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, "sekisho/")
			if !ours {
				continue
			}
			if slices.Contains(testOnly, dep) {
				t.Errorf("%s imports %s, which is for tests only", name, dep)
				continue
			}
			if r, ok := storey(dep); ok && r >= row {
				t.Errorf("%s (storey %d) imports %s (storey %d)", name, row, dep, r)
			}
		}
	}
}

// TestWhatMayNotBeLinked is the isolation boundary as a fact of the build.
func TestWhatMayNotBeLinked(t *testing.T) {
	parsers := []string{"sekisho/sanitize/pdf", "sekisho/sanitize/xls", "sekisho/internal/pdf", "sekisho/internal/qr", "sekisho/internal/redeflate", "sekisho/internal/propset", "sekisho/internal/officeart", "sekisho/internal/metafile", "sekisho/internal/pict", "sekisho/internal/fax", "sekisho/internal/pnm", "sekisho/internal/square", "sekisho/internal/coefficients", "sekisho/internal/encoded", "sekisho/internal/fieldcode", "sekisho/sanitize/message", "sekisho/sanitize/ooxml", "sekisho/sanitize/odf", "sekisho/sanitize/html", "sekisho/sanitize/image",
		"sekisho/sanitize/text", "sekisho/sanitize/calendar", "sekisho/sanitize/outlook", "sekisho/sanitize/archive", "sekisho/sanitize/convert", "sekisho/sanitize/doc", "sekisho/sanitize/ppt", "sekisho/sanitize/rtf", "sekisho/sanitize/ichitaro", "sekisho/sanitize/detect", "sekisho/sanitize/verify", "sekisho/sanitize/all", "sekisho/internal/zipstrict", "sekisho/internal/cfb", "sekisho/internal/vba", "sekisho/internal/olepack",
		"github.com/richardlehane/mscfb", "golang.org/x/net/html", "archive/zip", "image/png", "image/jpeg",
		"golang.org/x/image/tiff", "sekisho/internal/xmlscan", "sekisho/internal/formula"}
	for _, c := range []struct {
		pkg, why string
		not      []string
	}{
		{"sekisho/cmd/sekishod", "the daemon holds the keys and parses no document", parsers},
		{"sekisho/cmd/sekisho", "the command line starts the worker for files, it does not parse them", parsers},
		{"sekisho/cmd/sekisho-sanitizer", "the worker has nothing to reach out with",
			[]string{"os/exec", "net/http", "database/sql", "modernc.org/sqlite", "sekisho/spool", "sekisho/smtpd", "sekisho/delivery", "sekisho/policy", "sekisho/internal/seal", "sekisho/internal/blob"}},
		{"sekisho/policy", "decisions are pure", []string{"net", "os/exec", "database/sql"}},
		{"sekisho/routing", "routing is pure and knows no DNS", []string{"net", "os/exec", "database/sql"}},
	} {
		p, ok := list(t)[c.pkg]
		if !ok {
			t.Errorf("%s does not exist", c.pkg)
			continue
		}
		for _, n := range c.not {
			if slices.Contains(p.Deps, n) {
				t.Errorf("%s links %s: %s", c.pkg, n, c.why)
			}
		}
	}
}
