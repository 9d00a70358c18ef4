package main

// What the user reads follows four rules: results go to standard output and
// nothing else does; messages go to standard error as "sekisho: message", lower
// case, without a full stop; a hint stands on a line of its own; and whatever
// a sender wrote is shown with its control and bidirectional characters
// escaped, since a terminal obeys them.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// ui is where one run of the command talks.
type ui struct {
	out, err io.Writer
	json     bool
	ja       bool
}

func newUI() *ui { return &ui{out: os.Stdout, err: os.Stderr, ja: japanese(os.Getenv)} }

// japanese reports whether the locale is Japanese, by POSIX's order.
func japanese(getenv func(string) string) bool {
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(k); v != "" {
			return strings.HasPrefix(v, "ja")
		}
	}
	return false
}

// tr picks the language.
func (u *ui) tr(ja, en string) string {
	if u.ja {
		return ja
	}
	return en
}

// say writes a message to standard error.
func (u *ui) say(ja, en string, args ...any) {
	fmt.Fprintf(u.err, "sekisho: %s\n", fmt.Sprintf(u.tr(ja, en), args...))
}

// line writes a result.
func (u *ui) line(format string, args ...any) { fmt.Fprintf(u.out, format+"\n", args...) }

// object writes a result as one line of JSON.
func (u *ui) object(v any) error {
	e := json.NewEncoder(u.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// safe makes a sender's text fit for a terminal.
func safe(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r < 0x20, r >= 0x7f && r < 0xa0, unicode.Is(unicode.Cf, r), r == 0x2028, r == 0x2029, unicode.Is(unicode.Co, r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// safeText is safe for text of several lines.
func safeText(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		parts := strings.Split(lines[i], "\t")
		for j := range parts {
			parts[j] = safe(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// cut shortens s to n columns, a wide character counting two.
func cut(s string, n int) string {
	w := 0
	for i, r := range s {
		c := 1
		if r >= 0x1100 {
			c = 2
		}
		if w+c > n {
			return s[:i] + "…"
		}
		w += c
	}
	return s
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// terminal reports whether f is one.
func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// progress shows how far a long work has come, on a terminal only.
type progress struct {
	w     io.Writer
	total int
	on    bool
}

func newProgress(total int, json bool) *progress {
	return &progress{w: os.Stderr, total: total, on: total > 1 && !json && terminal(os.Stderr)}
}

func (p *progress) show(done int, name string) {
	if !p.on {
		return
	}
	const width = 30
	full := width * done / p.total
	fmt.Fprintf(p.w, "\r[%s%s] %d/%d %s\x1b[K", strings.Repeat("#", full), strings.Repeat(".", width-full), done, p.total, cut(safe(name), 30))
}

func (p *progress) clear() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
