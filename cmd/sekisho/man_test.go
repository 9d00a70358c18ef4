package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/man anew")

// TestManPagesSayWhatHelpSays keeps docs/man as --help is; with -update it
// writes them.
func TestManPagesSayWhatHelpSays(t *testing.T) {
	for _, page := range []struct {
		path string
		ja   bool
	}{{"sekisho.1", false}, {"ja/sekisho.1", true}} {
		path := filepath.Join("../../docs/man", page.path)
		want := manual(&ui{ja: page.ja})
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what --help says: go test ./cmd/sekisho -run TestManPages -update", path)
		}
	}
}

// manual is one page for all commands, in the macros of man(7).
func manual(u *ui) string {
	root := rootCommand(u)
	var b strings.Builder
	fmt.Fprintf(&b, ".\\\" Written by the tests of cmd/sekisho from the text of --help.\n.TH SEKISHO 1 \"\" Sekisho \"%s\"\n.SH %s\nsekisho \\- %s\n",
		u.tr("関所 管理コマンド", "Sekisho administration"), u.tr("名前", "NAME"), troff(root.Short))
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root {
			fmt.Fprintf(&b, ".SH %s\n%s.\n", troff(c.CommandPath()), troff(c.Short))
		}
		for _, s := range u.sections(c) {
			switch {
			case c == root:
				fmt.Fprintf(&b, ".SH \"%s\"\n", troff(u.pick(s.head)))
			case s.head.en == "GLOBAL OPTIONS": // once is enough
				continue
			default:
				fmt.Fprintf(&b, ".SS \"%s\"\n", troff(u.pick(s.head)))
			}
			for _, r := range s.rows {
				fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", troff(r[0]), troff(r[1]))
			}
			if s.text != "" {
				b.WriteString(".nf\n")
				for _, l := range strings.Split(s.text, "\n") {
					fmt.Fprintf(&b, "%s\n", troff(l))
				}
				b.WriteString(".fi\n")
			}
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk(root)
	return b.String()
}

// troff writes a line so that no character of it is a request.
func troff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
