package message

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func shared(t testing.TB) string {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	if _, err := os.Stat(filepath.Join(dir, "corpus", "MANIFEST.tsv")); err != nil {
		t.Skip("no corpus beside the repository: set SEKISHO_SHARED to measure")
	}
	return dir
}

type mail struct {
	name  string
	flags string
	raw   []byte
}

func corpus(t testing.TB) []mail {
	dir := shared(t)
	manifest, err := os.ReadFile(filepath.Join(dir, "corpus", "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var ms []mail
	for _, ln := range strings.Split(string(manifest), "\n") {
		col := strings.Split(ln, "\t")
		if len(col) < 10 || !strings.HasPrefix(col[0], "eml/") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, "corpus", col[0]))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(raw, []byte("From ")) {
			_, raw, _ = bytes.Cut(raw, []byte("\n"))
		}
		raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
		raw = bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
		ms = append(ms, mail{col[0], col[9], raw})
	}
	return ms
}

func TestTreeDraft(t *testing.T) {
	l := sanitize.DefaultLimits()
	n, held := 0, 0
	by := map[Code]int{}
	for _, m := range corpus(t) {
		if !strings.Contains(m.flags, "benign") {
			continue
		}
		n++
		tr, err := parse(bytes.NewReader(m.raw), int64(len(m.raw)), &l)
		if err != nil {
			t.Fatal(err)
		}
		if len(tr.doubts) > 0 {
			held++
			seen := map[Code]bool{}
			for _, d := range tr.doubts {
				if !seen[d.code] {
					by[d.code]++
					seen[d.code] = true
					t.Logf("%s %s %s %s", d.code, m.name, d, m.flags)
				}
			}
		}
	}
	t.Logf("%d benign, %d in doubt: %v", n, held, by)
}
