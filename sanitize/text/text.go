// Package text makes plain text and tables of text harmless: it decodes them
// from whatever charset they are in and writes them anew as UTF-8, without the
// characters that steer a terminal or turn the direction of a line, and without
// cells that a spreadsheet would compute.
//
// A text that holds a file in an encoding of its own (uuencode, yEnc, BinHex,
// base64)
// is refused as ambiguous: some programs show the text, some the file.
//
// Everything streams; what is held does not grow with the text.
package text

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"sekisho/internal/charset"
	"sekisho/internal/encoded"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// Text writes plain text anew.
type Text struct{}

// CSV writes comma- and tab-separated tables anew. Cells that a spreadsheet
// would take for a formula get an apostrophe in front, unless the profile keeps
// them; numbers, telephone numbers and everything else stay as they are.
type CSV struct{}

// mark opens what is written. Notepad before Windows 10 and every Excel take
// UTF-8 for the local code page without it.
const mark = "\xef\xbb\xbf"

// Sanitize implements sanitize.Sanitizer.
func (Text) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	if err := rewrite(ctx, s, in, out, nil); err != nil {
		return sanitize.Result{}, err
	}
	return sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindText, Mode: sanitize.Rebuild}, nil
}

// Sanitize implements sanitize.Sanitizer.
func (CSV) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	kind := sanitize.KindCSV
	if in.Kind == sanitize.KindTSV {
		kind = sanitize.KindTSV
	}
	var t *table
	if !s.Options.KeepCSV {
		t = newTable(kind, s)
	}
	if err := rewrite(ctx, s, in, out, t); err != nil {
		return sanitize.Result{}, err
	}
	res := sanitize.Result{Outcome: sanitize.Clean, Kind: kind, Mode: sanitize.Rebuild}
	if t != nil && t.neutralised > 0 {
		res.Outcome = sanitize.Disarmed
		t.report()
	}
	return res, nil
}

// rewrite decodes in, cleans it, watches for files inside and writes it,
// through t when it is a table.
func rewrite(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer, t *table) error {
	marked, err := needsMark(in)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if marked {
		if _, err := io.WriteString(out, mark); err != nil {
			return err
		}
	}
	r := charset.NewReader(in.Charset, s.Meter(in.Reader()))
	c := &cleaner{}
	w := &watcher{}
	buf := make([]byte, 64<<10)
	held := 0 // bytes of a character whose rest is still to come
	var clean []byte
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf[held:])
		b := buf[:held+n]
		switch {
		case errors.Is(err, io.EOF):
			done = true
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		whole := len(b)
		if !done {
			whole -= cut(b)
		}
		clean = c.clean(clean[:0], b[:whole], done)
		held = copy(buf, b[whole:])
		if err := w.watch(clean, done); err != nil {
			return err
		}
		ready := clean
		if t != nil {
			ready = t.feed(clean, done)
		}
		if len(ready) > 0 {
			if _, err := out.Write(ready); err != nil {
				return err
			}
		}
	}
	c.report(s, r.Result())
	return nil
}

// needsMark reports whether the text needs a byte order mark: all but plain
// ASCII. A table of digits for another program's import stays as it is.
func needsMark(in sanitize.Object) (bool, error) {
	if name, ok := charset.Known(in.Charset); ok && !transparent.MatchString(name) {
		return in.Size > 0, nil
	}
	r := in.Reader()
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			switch {
			case c >= 0x80, c == 0, c == 0x1b, c == 0x0e, c == 0x0f:
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// transparent are the charsets in which bytes of ASCII mean ASCII. UTF-7 and
// HZ say everything in ASCII, UTF-16 and EBCDIC nothing.
var transparent = lazy.Compile(`^(us-ascii|utf-8|iso-2022-(jp|kr)|cp932|euc-(jp|kr)|gb18030|big5|windows-\d+|iso-8859-.*|koi8-.)$`)

// cut says how many bytes at the end of b begin a character that goes on.
func cut(b []byte) int {
	for n := 1; n <= min(len(b), utf8.UTFMax-1); n++ {
		c := b[len(b)-n]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// cleaner drops characters that no text needs.
type cleaner struct {
	cr       bool // a CR waits for its LF
	ends     int  // marks of DOS for the end of a file, if nothing follows
	controls int
	bidi     int
}

// clean appends to dst what stays of src.
func (c *cleaner) clean(dst, src []byte, done bool) []byte {
	for i := 0; i < len(src); {
		b := src[i]
		if c.ends > 0 && b != 0x1a {
			c.controls += c.ends
			c.ends = 0
		}
		if b >= ' ' && b < 0x7f && !c.cr {
			// A run of plain characters at once.
			j := i + 1
			for j < len(src) && src[j] >= ' ' && src[j] < 0x7f {
				j++
			}
			dst = append(dst, src[i:j]...)
			i = j
			continue
		}
		r, n := rune(b), 1
		if b >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(src[i:])
		}
		if c.cr {
			// Old Macs end lines with CR alone; Windows shows one long line.
			c.cr = false
			dst = append(dst, '\r', '\n')
			if r == '\n' {
				i += n
				continue
			}
		}
		switch {
		case r == '\r':
			c.cr = true
		case r == '\n', r == '\t', r == '\f':
			dst = append(dst, b)
		case r == 0x0b, r == 0x85: // vertical tab and next line end lines too
			dst = append(dst, '\n')
		case r == 0x1a:
			c.ends++
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0xfff9 && r <= 0xfffb, r == 0xe0001:
			c.controls++
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			c.bidi++
		case r == 0xfeff:
			// A byte order mark, or one that was glued in with another file.
		default:
			dst = utf8.AppendRune(dst, r)
		}
		i += n
	}
	if done && c.cr {
		dst = append(dst, '\r', '\n')
		c.cr = false
	}
	return dst
}

// report says what was dropped. Controls show nothing, so no reader misses
// them; a character that turns the direction was put there to be seen.
func (c *cleaner) report(s *sanitize.Session, r charset.Result) {
	found := func(rule string, a sanitize.Action, n int, what string) {
		if n > 0 {
			s.Found(sanitize.Finding{Rule: rule, Action: a, Detail: fmt.Sprintf("%d %s", n, what)})
		}
	}
	found("text.control", sanitize.Rewritten, c.controls, "control characters")
	found("text.bidi", sanitize.Removed, c.bidi, "characters that turn the reading direction")
	found("text.undecodable", sanitize.Reported, r.Replaced, "sequences that "+r.Charset+" does not have")
	found("text.gaiji", sanitize.Reported, r.UserDefined, "user-defined characters, shown as "+string(charset.Geta))
}

// watcher looks for files inside a text, line by line.
type watcher struct {
	line   []byte // the beginning of the line that is being read
	finder encoded.Finder
}

// lineBytes is how much of a line is looked at: a first line of uuencode with
// a long name.
const lineBytes = 256

func (w *watcher) watch(b []byte, done bool) error {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		part := b
		if i >= 0 {
			part = b[:i]
		}
		if room := lineBytes - len(w.line); room > 0 {
			w.line = append(w.line, part[:min(room, len(part))]...)
		}
		if i < 0 {
			break
		}
		if err := w.end(); err != nil {
			return err
		}
		b = b[i+1:]
	}
	if done {
		return w.end()
	}
	return nil
}

// end judges the line that is complete.
func (w *watcher) end() error {
	l := w.line
	w.line = w.line[:0]
	switch w.finder.Line(l) {
	case encoded.Words, encoded.Maybe:
	default:
		return fmt.Errorf("a file encoded in the text: %w", sanitize.ErrAmbiguous)
	}
	if _, _, found := encoded.Program(l); found {
		return fmt.Errorf("a file in base64 in the text: %w", sanitize.ErrAmbiguous)
	}
	return nil
}
