package rtf

import (
	"fmt"
	"io"
	"strconv"

	"sekisho/sanitize"
)

// writer writes a file: ASCII, one form for one thing. A group is opened when
// something is written in it, so that one whose content goes leaves nothing.
type writer struct {
	out     io.Writer // nil: what is written stays in buf
	up      *writer   // where to go on when what is collected is complete
	most    int64
	buf     []byte
	total   int64
	pending int  // groups that were opened, and in which nothing stands yet
	word    bool // the last thing was a control word: text must not continue it
	err     error
}

const flushAt = 64 << 10

func (w *writer) flush() {
	w.total += int64(len(w.buf))
	if w.err == nil && w.total > w.most {
		w.err = fmt.Errorf("output of more than %d octets: %w", w.most, sanitize.ErrLimit)
	}
	if w.err == nil {
		if _, err := w.out.Write(w.buf); err != nil {
			w.err = fmt.Errorf("write: %w", err)
		}
	}
	w.buf = w.buf[:0]
}

func (w *writer) grown() {
	if len(w.buf) >= flushAt && w.out != nil {
		w.flush()
	}
}

func (w *writer) open() { w.pending++ }

func (w *writer) close() {
	if w.pending > 0 {
		w.pending--
		return
	}
	w.buf, w.word = append(w.buf, '}'), false
	w.grown()
}

// begin writes the braces that wait.
func (w *writer) begin() {
	if w.pending == 0 {
		return
	}
	for ; w.pending > 0; w.pending-- {
		w.buf = append(w.buf, '{')
	}
	w.word = false
}

func (w *writer) control(name string) {
	w.begin()
	w.buf = append(append(w.buf, '\\'), name...)
	w.word = true
	w.grown()
}

func (w *writer) controlNumber(name string, n int32) {
	w.begin()
	w.buf = append(append(w.buf, '\\'), name...)
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	w.word = true
	w.grown()
}

// raw writes what has its form already.
func (w *writer) raw(s string) {
	w.begin()
	w.buf, w.word = append(w.buf, s...), false
	w.grown()
}

// star marks the destination that follows as one that may be passed over.
func (w *writer) star() {
	w.begin()
	w.buf, w.word = append(w.buf, '\\', '*'), false
}

// lineEnd ends a line of the file, which ends a control word too. There are
// none inside of paragraphs, where they would say nothing.
func (w *writer) lineEnd() {
	if w.pending == 0 {
		w.buf, w.word = append(w.buf, '\r', '\n'), false
	}
}

// text writes printable ASCII.
func (w *writer) text(b []byte) {
	if len(b) == 0 {
		return
	}
	w.begin()
	if c := b[0]; w.word && (letter(c) || digit(c) || c == '-' || c == ' ') {
		w.buf = append(w.buf, ' ')
	}
	w.word = false
	from := 0
	for i, c := range b {
		if c == '\\' || c == '{' || c == '}' {
			w.buf = append(append(append(w.buf, b[from:i]...), '\\'), c)
			from = i + 1
		}
	}
	w.buf = append(w.buf, b[from:]...)
	w.grown()
}

// octet writes \'hh.
func (w *writer) octet(c byte) {
	const digits = "0123456789abcdef"
	w.begin()
	w.buf, w.word = append(w.buf, '\\', '\'', digits[c>>4], digits[c&15]), false
	w.grown()
}

// char writes one character that is not ASCII.
func (w *writer) char(r rune) {
	w.begin()
	if r > 0xFFFF {
		r -= 0x10000
		w.unit(uint16(0xD800 + r>>10))
		w.unit(uint16(0xDC00 + r&0x3FF))
	} else {
		w.unit(uint16(r))
	}
	w.word = false
	w.grown()
}

// unit writes a UTF-16 unit, with a question mark for readers that do not know
// it: \uc1 stands at the beginning of the file.
func (w *writer) unit(u uint16) {
	w.buf = append(w.buf, '\\', 'u')
	w.buf = append(strconv.AppendInt(w.buf, int64(int16(u)), 10), '?')
}

// hex writes the bytes of a picture in lines.
func (w *writer) hex(b []byte) {
	const digits = "0123456789abcdef"
	w.begin()
	w.word = false
	for i, c := range b {
		if i%64 == 0 {
			w.buf = append(w.buf, '\r', '\n')
			w.grown()
		}
		w.buf = append(w.buf, digits[c>>4], digits[c&15])
	}
}
