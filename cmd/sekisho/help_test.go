package main

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryCommandExplainsItselfInBothLanguages(t *testing.T) {
	commands := everyCommand()
	for _, want := range []string{"sanitize", "inspect", "quarantine list", "quarantine show", "quarantine release", "quarantine delete",
		"queue list", "queue retry", "queue show", "queue fail", "quarantine export", "trace", "init", "config limits", "tenant list", "tenant show",
		"recipients import", "recipients list", "recipients history", "recipients rollback", "recipients cancel", "recipients export", "route test", "config check", "account list", "account add", "account remove",
		"audit list", "audit verify", "audit export", "doctor", "version"} {
		if !slices.ContainsFunc(commands, func(p []string) bool { return strings.Join(p, " ") == want }) {
			t.Errorf("there is no command %s", want)
		}
	}
	for _, path := range commands {
		name := "sekisho " + strings.Join(path, " ")
		for _, ja := range []bool{false, true} {
			a := inside(ja, append(path[:len(path):len(path)], "--help")...)
			if a.status != exitDone || a.err != "" {
				t.Errorf("%s --help: status %d, says %q", name, a.status, a.err)
			}
			_, statuses, ok := strings.Cut(a.out, "EXIT STATUS")
			if !ok || !strings.Contains(statuses, "\n  0  ") || !strings.Contains(statuses, "\n  2  ") {
				t.Errorf("%s --help: no section EXIT STATUS with 0 and 2:\n%s", name, a.out)
			}
			if !strings.Contains(a.out, "--json") {
				t.Errorf("%s --help does not know --json", name)
			}
			// A line of Japanese help is a word to type, or it is Japanese.
			for _, l := range strings.Split(a.out, "\n") {
				switch {
				case !ja && hasJapanese(l):
					t.Errorf("%s --help in English: %q", name, l)
				case ja && strings.HasPrefix(l, "  ") && !strings.HasPrefix(l, "  sekisho") && !hasJapanese(l):
					t.Errorf("%s --help in Japanese: %q", name, l)
				case ja && l != "" && !strings.HasPrefix(l, " ") && !hasJapanese(l):
					t.Errorf("%s --help in Japanese: %q", name, l)
				case textColumns(l) > 100:
					t.Errorf("%s --help: a line of %d columns: %q", name, textColumns(l), l)
				}
			}
			if help := inside(ja, append([]string{"help"}, path...)...); help.out != a.out {
				t.Errorf("help %s says something else than --help", name)
			}
		}
	}
}

func TestWrongUsageIsSaidWithStatus2(t *testing.T) {
	for _, c := range []struct {
		args   []string
		en, ja string
	}{
		{nil, "sekisho: sekisho needs a command: account, ", "sekisho: sekisho の後にコマンドが必要です"},
		{[]string{"nonsense"}, "unknown command; known: account, ", "そのコマンドはありません。使えるもの: account"},
		{[]string{"quarantin"}, "did you mean quarantine?", "もしかして: quarantine"},
		{[]string{"quarantine"}, "sekisho quarantine needs a command: approve, delete, deny, export, list, release, request-original, show", "sekisho quarantine の後にコマンドが必要です"},
		{[]string{"quarantine", "lst"}, "did you mean list?", "もしかして: list"},
		{[]string{"quarantine", "show"}, "sekisho quarantine show wants one id", "sekisho quarantine show には受付番号一つが必要です"},
		{[]string{"quarantine", "release", "x"}, "--reason is needed", "--reason が必要です"},
		{[]string{"quarantine", "release", "x", "--reason", " "}, "--reason is needed", "--reason が必要です"},
		{[]string{"quarantine", "delete", "x"}, "--reason is needed", "--reason が必要です"},
		{[]string{"quarantine", "list", "x"}, "takes no arguments", "引数がありません"},
		{[]string{"queue", "fail", "x"}, "--reason is needed", "--reason が必要です"},
		{[]string{"quarantine", "export"}, "wants at least one id", "受付番号が必要です"},
		{[]string{"trace", "abc", "--since", "soon"}, `--since "soon": want days`, `--since "soon" は使えません`},
		{[]string{"recipients", "import", "x", "--allow-removal", "all"}, `--allow-removal "all": want 1%`, `--allow-removal "all" は使えません`},
		{[]string{"recipients", "rollback", "-1"}, "unknown option -1", "-1 というオプションはありません"},
		{[]string{"recipients", "rollback", "first"}, "is no number of a version", "版の番号ではありません"},
		{[]string{"recipients", "cancel", "0"}, "is no number of a version", "版の番号ではありません"},
		{[]string{"tenant", "show", "a", "b"}, "wants one tenant at most", "団体は一つです"},
		{[]string{"account", "add", "x"}, "--uid is needed", "--uid が必要です"},
		{[]string{"account", "add", "x", "--uid", "-5"}, "--uid is needed", "--uid が必要です"},
		{[]string{"account", "add", "x", "--uid", "root"}, `--uid "root": want a number`, `--uid の値 "root" は使えません。数を指定`},
		{[]string{"quarantine", "release", "x", "--wait", "soon"}, "want a time such as", "時間（例"},
		{[]string{"version", "--frob"}, "unknown option --frob", "--frob というオプションはありません"},
		{[]string{"version", "-x"}, "unknown option -x", "-x というオプションはありません"},
		{[]string{"route", "test", "a@b", "--zone"}, "--zone needs a value", "--zone には値が必要です"},
		{[]string{"version", "--json=maybe"}, "want true or false", "true または false を指定"},
		{[]string{"sanitize"}, "sekisho sanitize wants at least one file", "sekisho sanitize にはファイルが必要です"},
		{[]string{"sanitize", "--mode", "magic", "x"}, `--mode "magic": want auto`, `--mode "magic" は使えません`},
		{[]string{"help", "nonsense"}, "unknown command", "そのコマンドはありません"},
		{[]string{"\x1b[31mred"}, `\u{1b}[31mred: unknown command`, `\u{1b}[31mred: そのコマンド`},
	} {
		for _, ja := range []bool{false, true} {
			a := inside(ja, c.args...)
			want := c.en
			if ja {
				want = c.ja
			}
			if a.status != exitUsage {
				t.Errorf("%q: status %d, want %d", c.args, a.status, exitUsage)
			}
			first, rest, _ := strings.Cut(a.err, "\n")
			if a.out != "" || !strings.HasPrefix(first, "sekisho: ") || !strings.Contains(first, want) {
				t.Errorf("%q: printed %q, said %q, want %q", c.args, a.out, first, want)
			}
			if !strings.HasPrefix(rest, "  ") || !strings.Contains(rest, "sekisho") {
				t.Errorf("%q: no hint on a line of its own: %q", c.args, rest)
			}
			if strings.HasSuffix(first, ".") || strings.Contains(a.err, "\x1b") {
				t.Errorf("%q: said %q", c.args, a.err)
			}
		}
	}
}
