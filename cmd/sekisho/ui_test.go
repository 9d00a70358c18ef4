package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"sekisho/admin/client"
)

func TestTheFirstLocaleVariableDecides(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "ja_JP.UTF-8"}, true},
		{map[string]string{"LANG": "ja"}, true},
		{map[string]string{"LANG": "ja_JP@x"}, true},
		{map[string]string{"LANG": "jam_JM.UTF-8"}, false},
		{map[string]string{"LANG": "ja_JP.UTF-8", "LC_MESSAGES": "C"}, false},
		{map[string]string{"LANG": "ja_JP.UTF-8", "LC_ALL": "en_US.UTF-8"}, false},
		{map[string]string{"LANG": "C", "LC_ALL": "", "LC_MESSAGES": "ja_JP.UTF-8"}, true},
		{map[string]string{"LANG": "ja_JP"}, true},
		{map[string]string{"LANG": "ja_JP.utf8"}, true},
		// A terminal that could not show it is not told in Japanese.
		{map[string]string{"LANG": "ja_JP.eucJP"}, false},
		{map[string]string{"LANG": "ja_JP.SJIS@x"}, false},
	} {
		if got := japanese(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: japanese is %v", c.env, got)
		}
	}
}

func TestSafeLeavesNothingForATerminalToObey(t *testing.T) {
	for in, want := range map[string]string{
		"普通の件名 ☎ é":          "普通の件名 ☎ é",
		"\x1b]0;title\x07":   `\u{1b}]0;title\u{7}`,
		"a\r\nb\tc":          `a\u{d}\u{a}b\u{9}c`,
		"\u202egpj.exe":      `\u{202e}gpj.exe`,
		"\u009b31m":          `\u{9b}31m`,
		"\xff\xfe":           `\xff\xfe`,
		"\u200b\u2028\ue000": `\u{200b}\u{2028}\u{e000}`,
		"\U000e0041":         `\u{e0041}`,
	} {
		if got := safe(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := safeText("一行目\r\n\t二\x1b行目\r"); got != "一行目\n\t二\\u{1b}行目\\u{d}" {
		t.Errorf("text of several lines became %q", got)
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("件名\x1b[2J\u202e\xff\U000e0001")
	f.Fuzz(func(t *testing.T, s string) {
		got := safe(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, obeyed) {
			t.Errorf("%q became %q", s, got)
		}
		var u bytes.Buffer
		if err := (&ui{out: &u}).object(map[string]string{"s": s}); err != nil {
			t.Fatal(err)
		}
		line, ok := strings.CutSuffix(u.String(), "\n")
		if !ok || strings.ContainsFunc(line, obeyed) {
			t.Errorf("%q was printed as %q", s, u.String())
		}
		var back map[string]string
		if err := json.Unmarshal(u.Bytes(), &back); err != nil || back["s"] != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q came back as %q (%v)", s, back["s"], err)
		}
		if w := textColumns(cut(s, 10)); w > 10 {
			t.Errorf("%q was cut to %d columns", s, w)
		}
	})
}

func TestCutCountsColumns(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"ﾊﾝｶｸ", 4, "ﾊﾝｶｸ"},
		{"か\u3099く", 4, "か\u3099く"},
		{"", 3, ""},
	} {
		if got := cut(c.in, c.n); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.in, c.n, got, c.want)
		}
	}
	if got := pad("日本", 6); got != "日本  " {
		t.Errorf("padded to %q", got)
	}
	if got := pad("toolong", 3); got != "toolong" {
		t.Errorf("padding changed %q", got)
	}
}

func TestSystemErrorsNameTheFileAndTheReason(t *testing.T) {
	for _, c := range []struct {
		err    error
		en, ja string
	}{
		{&fs.PathError{Op: "open", Path: "x", Err: unix.ENOENT}, "x: no such file", "x: ファイルがありません"},
		{&fs.PathError{Op: "open", Path: "x", Err: unix.EACCES}, "x: permission denied", "x: 権限がありません"},
		{fmt.Errorf("write output: %w", &fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}), "x: no space left on the disk", "x: ディスクの空きがありません"},
		{&os.LinkError{Op: "link", Old: "/proc/self/fd/3", New: "y", Err: unix.EROFS}, "y: the file system is read-only", "y: 読み取り専用の場所です"},
		{unix.EXDEV, "invalid cross-device link", "invalid cross-device link"},
	} {
		if got := (&ui{}).system(c.err); got != c.en {
			t.Errorf("%v: %q, want %q", c.err, got, c.en)
		}
		if got := (&ui{ja: true}).system(c.err); got != c.ja {
			t.Errorf("%v: %q, want %q", c.err, got, c.ja)
		}
	}
}

func TestAnUnreachableGatewayIsExplained(t *testing.T) {
	for _, c := range []struct {
		err        error
		text, hint string
		status     int
	}{
		{unix.ENOENT, "the gateway does not answer: there is no socket /s", "--socket", exitFailed},
		{unix.ECONNREFUSED, "the gateway does not answer: nobody listens on /s", "log", exitFailed},
		{unix.EACCES, "no permission to use the socket /s", "group sekisho", exitNotAllowed},
		{unix.EPROTOTYPE, "the gateway does not answer on /s: ", "--socket", exitFailed},
	} {
		err := &client.Unreachable{Socket: "/s", Err: fmt.Errorf("dial: %w", c.err)}
		var b bytes.Buffer
		(&ui{err: &b}).report(fmt.Errorf("act: %w", err))
		text, hint, _ := strings.Cut(b.String(), "\n")
		if !strings.HasPrefix(text, "sekisho: "+c.text) || !strings.Contains(hint, c.hint) {
			t.Errorf("%v: said %q", c.err, b.String())
		}
		if got := exitStatus(err); got != c.status {
			t.Errorf("%v: status %d, want %d", c.err, got, c.status)
		}
		b.Reset()
		(&ui{err: &b, ja: true}).report(err)
		for _, l := range strings.Split(strings.TrimSpace(b.String()), "\n") {
			if !hasJapanese(l) {
				t.Errorf("%v in Japanese: %q", c.err, l)
			}
		}
	}
}

func TestTheBarIsDrawnOnATerminalOnly(t *testing.T) {
	var b bytes.Buffer
	p := &progress{w: &b, total: 4}
	p.show(1, "x", 0, 0)
	p.clear()
	if b.Len() > 0 {
		t.Errorf("without a terminal it drew %q", b.String())
	}
	p.wide = 60
	p.show(1, "とても長い名前の\x1bファイルです.docx", 0, 0)
	got := b.String()
	line := strings.TrimSuffix(strings.TrimPrefix(got, "\r"), "\x1b[K")
	if !strings.Contains(line, "] 1/4 ") || textColumns(line) >= 60 || strings.Contains(line, "\x1b") {
		t.Errorf("it drew %q, %d columns", got, textColumns(line))
	}
	b.Reset()
	p.total = 1
	p.show(0, "三頁", 2, 3)
	if want := "[" + strings.Repeat("#", 16) + strings.Repeat(".", 8) + "] 0/1 三頁"; !strings.Contains(b.String(), want) {
		t.Errorf("it drew %q, want %q", b.String(), want)
	}
	b.Reset()
	p.clear()
	p.clear()
	if b.String() != "\r\x1b[K" {
		t.Errorf("it cleared with %q", b.String())
	}
}

// TestPagesAreToldInLinesWithoutATerminal: when a document takes long, not more
// often than anybody wants to read, and nothing twice.
func TestPagesAreToldInLinesWithoutATerminal(t *testing.T) {
	var b bytes.Buffer
	start := time.Now()
	p := &progress{w: &b, total: 1, told: start}
	for i, what := range []string{"0/40 ページ 議案\x1b.docx", "10/40 ページ", "20/40 ページ 議案\x1b.docx", "30/40 ページ", "40/40 ページ", "40/40 ページ", "40/40 ページ"} {
		p.tell(what, start.Add(time.Duration(i)*2*time.Second))
	}
	if got, want := b.String(), "sekisho: 20/40 ページ 議案\\u{1b}.docx\nsekisho: 40/40 ページ\n"; got != want {
		t.Errorf("it told %q, want %q", got, want)
	}
	b.Reset()
	p.wide = 80
	p.tell("50/50 ページ", start.Add(time.Hour))
	if b.Len() > 0 {
		t.Errorf("on a terminal it told %q", b.String())
	}
}
