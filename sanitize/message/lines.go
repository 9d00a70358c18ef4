package message

import (
	"bytes"
	"errors"
	"io"
)

// line is one line of a message: [start, end) without its line end, next is
// where the following line begins. prefix is what fits of it.
type line struct {
	start, end, next int64
	prefix           []byte // valid until the next line is read
}

// whole reports whether prefix is all of the line.
func (l line) whole() bool { return int64(len(l.prefix)) == l.end-l.start }

// maxPrefix is how much of a line is looked at. Delimiters are shorter; header
// lines are read again, whole, from their block.
const maxPrefix = 1024

// lineReader reads lines that end in LF or CRLF, of any length, in bounded
// memory.
type lineReader struct {
	r    io.ReaderAt
	size int64
	off  int64 // of buf[0]
	buf  []byte
	pos  int
	held []byte
	err  error
	// Bytes that no line of a mail may hold: where the first of each is, -1.
	nul, bareCR int64
}

func newLineReader(r io.ReaderAt, size int64) *lineReader {
	return &lineReader{r: r, size: size, nul: -1, bareCR: -1}
}

// offset is where the next line begins.
func (l *lineReader) offset() int64 { return l.off + int64(l.pos) }

// seek goes back to off, where a line begins.
func (l *lineReader) seek(off int64) {
	l.off, l.buf, l.pos = off, l.buf[:0], 0
}

// fill reads the next block. It reports false at the end.
func (l *lineReader) fill() bool {
	at := l.off + int64(len(l.buf))
	if l.err != nil || at >= l.size {
		return false
	}
	if l.buf == nil {
		l.buf = make([]byte, min(l.size, 64<<10))
	}
	b := l.buf[:min(int64(cap(l.buf)), l.size-at)]
	if n, err := l.r.ReadAt(b, at); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		l.err = err
		return false
	}
	l.off, l.buf, l.pos = at, b, 0
	if i := bytes.IndexByte(b, 0); i >= 0 && l.nul < 0 {
		l.nul = at + int64(i)
	}
	return true
}

// next reads a line; ok is false at the end of the message.
func (l *lineReader) next() (ln line, ok bool) {
	if l.pos == len(l.buf) && !l.fill() {
		return line{}, false
	}
	ln.start = l.offset()
	var crossed bool
	var last byte // last byte of the block before
	for {
		b := l.buf[l.pos:]
		i := bytes.IndexByte(b, '\n')
		if i >= 0 {
			b = b[:i]
		}
		l.carriage(b, last)
		if !crossed {
			ln.prefix = b
		} else if room := maxPrefix - len(l.held); room > 0 {
			l.held = append(l.held, b[:min(room, len(b))]...)
			ln.prefix = l.held
		}
		if i >= 0 {
			ln.end = l.offset() + int64(i)
			l.pos += i + 1
			ln.next = l.offset()
			if len(b) > 0 {
				last = b[len(b)-1]
			}
			if last == '\r' && ln.end > ln.start {
				ln.end--
			}
			break
		}
		if len(b) > 0 {
			last = b[len(b)-1]
		}
		if !crossed {
			l.held = append(l.held[:0], b[:min(maxPrefix, len(b))]...)
			ln.prefix, crossed = l.held, true
		}
		l.pos = len(l.buf)
		if !l.fill() {
			ln.end, ln.next = l.offset(), l.offset()
			break
		}
	}
	if n := ln.end - ln.start; int64(len(ln.prefix)) > n {
		ln.prefix = ln.prefix[:n]
	}
	if len(ln.prefix) > maxPrefix {
		ln.prefix = ln.prefix[:maxPrefix]
	}
	return ln, true
}

// carriage notes a CR that no LF follows. last is the byte before b when the
// line goes on from an earlier block.
func (l *lineReader) carriage(b []byte, last byte) {
	if l.bareCR >= 0 {
		return
	}
	if last == '\r' && len(b) > 0 {
		l.bareCR = l.offset() - 1
		return
	}
	if i := bytes.IndexByte(b, '\r'); i >= 0 && i < len(b)-1 {
		l.bareCR = l.offset() + int64(i)
	}
}
