package main

// What the user reads follows four rules: results go to standard output and
// nothing else does; messages go to standard error as "sekisho: message", lower
// case, without a full stop; a hint stands on a line of its own; and whatever
// a sender wrote is shown with its control and bidirectional characters
// escaped, since a terminal obeys them.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/text/width"

	"sekisho/admin/client"
)

// text is one thing said in both languages of the product.
type text struct{ ja, en string }

// ui is where one run of the command talks.
type ui struct {
	out, err io.Writer
	json     bool
	ja       bool
}

func newUI() *ui { return &ui{out: os.Stdout, err: os.Stderr, ja: japanese(os.Getenv)} }

// japanese reports whether messages are to be in Japanese: the first of these
// variables that is set decides (POSIX, Base Definitions 8.2).
func japanese(getenv func(string) string) bool {
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(k); v != "" {
			language, charset, _ := strings.Cut(v, ".")
			// What is written is UTF-8: a terminal of EUC or Shift_JIS would show
			// rubbish, and English is the same in all.
			charset, _, _ = strings.Cut(strings.ToLower(charset), "@")
			if charset != "" && charset != "utf-8" && charset != "utf8" {
				return false
			}
			language, _, _ = strings.Cut(language, "@")
			language, _, _ = strings.Cut(language, "_")
			return language == "ja" || language == "japanese"
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

// pick picks the language of a text.
func (u *ui) pick(t text) string { return u.tr(t.ja, t.en) }

// say writes a message to standard error.
func (u *ui) say(ja, en string, args ...any) {
	fmt.Fprintf(u.err, "sekisho: %s\n", fmt.Sprintf(u.tr(ja, en), args...))
}

// hint writes a line of advice below a message.
func (u *ui) hint(text string) {
	if text != "" {
		fmt.Fprintf(u.err, "  %s\n", text)
	}
}

// line writes a result.
func (u *ui) line(format string, args ...any) { fmt.Fprintf(u.out, format+"\n", args...) }

// told is an error in the reader's language, with a hint where there is one.
// Its kind says what it means.
type told struct {
	text, hint string
	kind       error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.kind }

// usage makes an error of wrong usage.
func (u *ui) usage(ja, en string, args ...any) error {
	return &told{text: fmt.Sprintf(u.tr(ja, en), args...), kind: errUsage}
}

// failure makes an error of what could not be done.
func (u *ui) failure(ja, en string, args ...any) error {
	return &told{text: fmt.Sprintf(u.tr(ja, en), args...)}
}

// report says what err means, once, at the end.
func (u *ui) report(err error) {
	var done ended
	var t *told
	var answer *client.Error
	var nobody *client.Unreachable
	switch {
	case err == nil, errors.As(err, &done):
	case errors.As(err, &t):
		u.say("%s", "%s", safe(t.text))
		u.hint(safe(t.hint))
	case errors.Is(err, context.Canceled):
		u.say("中断しました", "interrupted")
	case errors.As(err, &answer):
		text, hint := u.answer(answer)
		u.say("%s", "%s", safe(text))
		u.hint(safe(hint))
	case errors.As(err, &nobody):
		text, hint := u.unreachable(nobody)
		u.say("%s", "%s", safe(text))
		u.hint(safe(hint))
	default:
		u.say("%s", "%s", safe(u.system(err)))
	}
}

// unreachable says why no gateway answers, and what to do.
func (u *ui) unreachable(e *client.Unreachable) (text, hint string) {
	switch {
	case errors.Is(e.Err, fs.ErrPermission):
		return u.tr("ソケット "+e.Socket+" を使う権限がありません", "no permission to use the socket "+e.Socket),
			u.tr("グループ sekisho に加わり、入り直してください（id で確認できます）", "join the group sekisho and log in again; id shows your groups")
	case errors.Is(e.Err, fs.ErrNotExist):
		return u.tr("ゲートウェイが動いていません（ソケット "+e.Socket+" がありません）", "the gateway does not answer: there is no socket "+e.Socket),
			u.tr("別の場所にあるときは --socket または SEKISHO_SOCKET で指定します", "if it stands elsewhere, name it by --socket or SEKISHO_SOCKET")
	case errors.Is(e.Err, unix.ECONNREFUSED):
		return u.tr("ゲートウェイが動いていません（ソケット "+e.Socket+" に応答がありません）", "the gateway does not answer: nobody listens on "+e.Socket),
			u.tr("sekishod のログを確認してください", "the log of sekishod says why")
	default:
		return u.tr("ゲートウェイが応答しません（"+e.Socket+"）: ", "the gateway does not answer on "+e.Socket+": ") + u.system(e.Err),
			u.tr("別のソケットは --socket または SEKISHO_SOCKET で指定します", "another socket is named by --socket or SEKISHO_SOCKET")
	}
}

// system words what the operating system said: the file it concerns and the
// reason, in the reader's language where it is a frequent one.
func (u *ui) system(err error) string {
	var name string
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		name = p.Path + ": "
	} else if l := (*os.LinkError)(nil); errors.As(err, &l) {
		name = l.New + ": "
	}
	for _, s := range systemErrors() {
		if errors.Is(err, s.err) {
			return name + u.pick(s.text)
		}
	}
	return err.Error()
}

type systemError struct {
	err  error
	text text
}

func systemErrors() []systemError {
	return []systemError{
		{fs.ErrNotExist, text{"ファイルがありません", "no such file"}},
		{fs.ErrPermission, text{"権限がありません", "permission denied"}},
		{unix.EROFS, text{"読み取り専用の場所です", "the file system is read-only"}},
		{unix.ENOSPC, text{"ディスクの空きがありません", "no space left on the disk"}},
		{unix.EDQUOT, text{"ディスクの割り当てを使い切りました", "the disk quota is used up"}},
		{unix.ENAMETOOLONG, text{"名前が長すぎます", "the name is too long"}},
		{unix.ENOTDIR, text{"途中の名前がフォルダーではありません", "a part of the path is no folder"}},
		{unix.EISDIR, text{"フォルダーです", "it is a folder"}},
		{unix.ELOOP, text{"シンボリックリンクが輪になっています", "the symbolic links form a loop"}},
		{unix.EIO, text{"読み書きの誤りです（ディスクを確認してください）", "input/output error: look at the disk"}},
		{unix.EMFILE, text{"開いているファイルが多すぎます", "too many open files"}},
		{context.DeadlineExceeded, text{"時間切れです", "time is up"}},
	}
}

// object writes a result as one line of JSON. Characters that a terminal would
// obey are written as escapes, which are the same value to whoever reads JSON.
func (u *ui) object(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if _, err := u.out.Write(plainJSON(b.Bytes())); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

func plainJSON(b []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r != '\n' && obeyed(r) {
			out = append(out, b[from:i]...)
			if hi, lo := utf16.EncodeRune(r); hi != unicode.ReplacementChar {
				out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			from = i + n
		}
		i += n
	}
	if from == 0 {
		return b
	}
	return append(out, b[from:]...)
}

// obeyed reports whether a terminal or an editor may act on r, or show nothing
// in its place.
func obeyed(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Co, r)
}

// safe makes a sender's text fit for a terminal.
func safe(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case obeyed(r):
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

// columns is how many columns of a terminal r takes.
func columns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x80:
		return 1
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

func textColumns(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// cut shortens s to at most n columns, the mark of the cut included.
func cut(s string, n int) string {
	if textColumns(s) <= n {
		return s
	}
	w := 0
	for i, r := range s {
		if w+columns(r) > n-1 {
			return s[:i] + "…"
		}
		w += columns(r)
	}
	return s
}

// pad fills s up to n columns.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(n-textColumns(s), 0))
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// terminal reports whether f is one, and how wide it is.
func terminal(f *os.File) (wide int, ok bool) {
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return 0, false
	}
	wide = 80
	if s, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && s.Col > 0 {
		wide = int(s.Col)
	}
	return wide, true
}

// progress shows how far a long work has come: as a bar on a terminal, and
// elsewhere as a line now and then, where somebody asks for pages.
type progress struct {
	w     io.Writer
	total int
	wide  int // 0: no terminal
	shown bool
	told  time.Time // when the last line was written, or the work began
	line  string    // the last one
}

// lineEvery is how often a line tells how far it is: the log of a long document
// is not to be a list of its pages, and a short one needs none.
const lineEvery = 3 * time.Second

func newProgress(total int) *progress {
	p := &progress{w: os.Stderr, total: total, told: time.Now()}
	p.wide, _ = terminal(os.Stderr)
	return p
}

// show draws the bar; what is the file that is waited for, of which so many
// pages of so many are drawn, 0 of 0 where none are.
func (p *progress) show(done int, what string, page, pages int) {
	if p.wide < 40 {
		return
	}
	const bar = 24
	full := bar * done / max(p.total, 1)
	if pages > 0 {
		full = min(full+bar*page/pages/max(p.total, 1), bar)
	}
	head := fmt.Sprintf("[%s%s] %d/%d ", strings.Repeat("#", full), strings.Repeat(".", bar-full), done, p.total)
	fmt.Fprintf(p.w, "\r%s%s\x1b[K", head, cut(safe(what), p.wide-len(head)-1))
	p.shown = true
}

// tell writes a line where there is no terminal, when the last one is some time
// ago and said something else.
func (p *progress) tell(what string, now time.Time) {
	if p.wide > 0 || what == p.line || now.Sub(p.told) < lineEvery {
		return
	}
	p.told, p.line = now, what
	fmt.Fprintf(p.w, "sekisho: %s\n", safe(what))
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
