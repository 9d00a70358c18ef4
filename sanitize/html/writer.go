package html

import (
	"io"
	"strings"
	"unicode/utf8"
)

// writer lays text out in lines. White space is collapsed as a browser does
// it, empty lines are bounded, and each line gets the marks of the quotations
// it stands in.
type writer struct {
	out   io.Writer
	err   error
	buf   []byte
	total int64 // bytes handed to out

	quote   int    // quotations the text stands in
	pending int    // line ends due before the next text
	space   bool   // a space is due before the next text
	soft    bool   // that space was a line end in the source
	fresh   bool   // a cell has begun: a block at its start begins no new line
	prefix  string // what opens the next line of text: a bullet, an indent
	sep     string // what separates the next text from the cell before
	started bool   // anything was written at all
	inLine  bool   // the current line has text
	last    rune   // last rune of this line
	lines   int    // line ends written
}

func newWriter(out io.Writer) *writer { return &writer{out: out} }

func (w *writer) flush() {
	if len(w.buf) >= flushAt {
		w.drain()
	}
}

func (w *writer) drain() {
	if w.err == nil && len(w.buf) > 0 {
		var n int
		n, w.err = w.out.Write(w.buf)
		w.total += int64(n)
	}
	w.buf = w.buf[:0]
}

func (w *writer) finish() error {
	if w.started {
		w.buf = append(w.buf, "\r\n"...)
	}
	w.drain()
	return w.err
}

// maxPending bounds the empty lines that stand together.
const maxPending = 3

// block ends the line; with n = 2 it also leaves an empty one.
func (w *writer) block(n int) {
	if w.fresh {
		return
	}
	w.space, w.sep = false, ""
	if w.started {
		w.pending = max(w.pending, n)
	}
}

// newline is a line end the author asked for: it ends a line that has text,
// and makes an empty one where there is none.
func (w *writer) newline() {
	w.space = false
	if w.started {
		w.pending = min(w.pending+1, maxPending)
	}
}

// mark sets what opens the next line.
func (w *writer) mark(prefix string) { w.prefix = bounded(w.prefix+prefix, 64) }

// separator stands between two cells if both have text; with always, as in a
// table of data, empty cells keep theirs.
func (w *writer) separator(s string, always bool) {
	if always {
		w.sep = bounded(w.sep+s, 256)
	} else {
		w.sep = s
	}
	w.pending, w.space, w.fresh = 0, false, true
}

// endRow forgets what was due to the next cell of a row.
func (w *writer) endRow() { w.sep, w.fresh = "", false }

// open writes what is due before text.
func (w *writer) open(first rune) {
	if w.pending > 0 {
		for range w.pending {
			w.buf = append(w.buf, "\r\n"...)
		}
		w.lines += w.pending
		w.inLine, w.last, w.pending = false, 0, 0
	}
	if !w.inLine {
		if q := min(w.quote, maxIndent); q > 0 {
			w.buf = append(w.buf, strings.Repeat("> ", q)...)
		}
		w.buf = append(w.buf, w.prefix...)
		w.prefix, w.space = "", false
		w.sep = strings.TrimLeft(w.sep, " ")
	}
	if w.sep != "" {
		w.buf = append(w.buf, w.sep...)
		w.sep, w.space = "", false
	}
	// CSS Text 3, 4.1.3: a line end in the source between two characters of
	// Chinese or Japanese is no space.
	if w.space && !(w.soft && wide(w.last) && wide(first)) {
		w.buf = append(w.buf, ' ')
	}
	w.space, w.fresh = false, false
	w.inLine, w.started = true, true
}

const white = " \t\r\n\f"

// text writes running text.
func (w *writer) text(s string) {
	for len(s) > 0 {
		i := strings.IndexAny(s, white)
		if i == 0 {
			rest := strings.TrimLeft(s, white)
			soft := strings.IndexByte(s[:len(s)-len(rest)], '\n') >= 0
			w.soft = soft && (w.soft || !w.space)
			w.space = w.space || w.inLine && w.pending == 0
			s = rest
			continue
		}
		if i < 0 {
			i = len(s)
		}
		w.run(s[:i])
		s = s[i:]
	}
}

// steers reports whether r steers a terminal or turns the direction of a line.
// A character reference can name any of them, whatever the charset let through.
func steers(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' || 0x7f <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

func unsteered(s string) string {
	if strings.IndexFunc(s, steers) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return -1
		}
		return r
	}, s)
}

// run writes characters without white space that collapses.
func (w *writer) run(s string) {
	if s = unsteered(s); s == "" {
		return
	}
	first, _ := utf8.DecodeRuneInString(s)
	w.open(first)
	w.buf = append(w.buf, strings.ReplaceAll(s, "\u00a0", " ")...)
	w.last, _ = utf8.DecodeLastRuneInString(s)
}

// word writes s behind a space, whole.
func (w *writer) word(s string) {
	if w.inLine && w.pending == 0 {
		w.space, w.soft = true, false
	}
	w.run(s)
}

// preformatted writes text whose spaces and lines count.
func (w *writer) preformatted(s string) {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	for i, line := range strings.Split(s, "\n") {
		if i > 0 && w.started {
			// Empty lines count here; a page of nothing else is cut short.
			w.pending = min(w.pending+1, 64)
		}
		if line = unsteered(line); line == "" {
			continue
		}
		w.space = false
		w.open(0)
		w.buf = append(w.buf, line...)
		w.last, _ = utf8.DecodeLastRuneInString(line)
	}
}

// wide reports whether r is a character of Chinese or Japanese text, between
// which no spaces stand.
func wide(r rune) bool {
	return 0x2e80 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff || 0xfe30 <= r && r <= 0xfe4f ||
		0xff00 <= r && r <= 0xffef || 0x20000 <= r && r <= 0x3ffff
}
