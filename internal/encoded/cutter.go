package encoded

import (
	"bytes"
	"io"
)

// Gap stands in a text where a file was cut out. It tells the reader, and it
// keeps what stood before from joining what stood behind.
const Gap = "[...]"

// Cutter writes a text without the files that are written into it. Close must be
// called behind the last line.
type Cutter struct {
	W     io.Writer
	Files int // how many were left out

	finder Finder
	line   []byte
	held   []byte // a line that opens a file if the next goes on with it
	err    error
}

// longest is how much of a line is looked at together. A longer one is looked at
// in pieces: no line of these encodings comes near, and base64 in one line goes
// on from piece to piece.
const longest = 64 << 10

// Write takes the next octets of the text.
func (c *Cutter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 && c.err == nil {
		i := bytes.IndexByte(p, '\n')
		n := i + 1
		if i < 0 {
			n = len(p)
		}
		n = min(n, longest-len(c.line))
		c.line = append(c.line, p[:n]...)
		p = p[n:]
		if c.line[len(c.line)-1] == '\n' || len(c.line) == longest {
			c.end()
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	return total, nil
}

// Close writes what is left.
func (c *Cutter) Close() error {
	if len(c.line) > 0 {
		c.end()
	}
	c.put(c.held)
	c.held = nil
	return c.err
}

func (c *Cutter) put(p []byte) {
	if len(p) > 0 && c.err == nil {
		_, c.err = c.W.Write(p)
	}
}

// end judges the line that is complete.
func (c *Cutter) end() {
	whole := c.line
	l := bytes.TrimSuffix(bytes.TrimSuffix(whole, []byte("\n")), []byte("\r"))
	eol := whole[len(l):]
	what := c.finder.Line(l)
	if what == Opens {
		c.held = nil
		c.Files++
		c.put([]byte(Gap))
		c.put(eol)
		c.line = c.line[:0]
		return
	}
	if what != Inside && len(c.held) > 0 && len(l) > 0 {
		c.put(c.held)
		c.held = nil
	}
	switch {
	case what == Inside:
	case what == Maybe:
		c.held = bytes.Clone(whole)
	case len(c.held) > 0: // an empty line behind it
		c.held = append(c.held, whole...)
		if len(c.held) > longest {
			c.put(c.held)
			c.held = nil
		}
	default:
		for {
			start, end, found := Program(l)
			if !found {
				break
			}
			c.Files++
			c.put(l[:start])
			c.put([]byte(Gap))
			l = l[end:]
		}
		c.put(l)
		c.put(eol)
	}
	c.line = c.line[:0]
}

// Cut is Cutter for a text in memory. What is taken out can bring more together
// where a reader joins lines, so it looks until nothing is found; a text that brings more every time is left
// out as a whole.
func Cut(text string) (clean string, files int) {
	for range 8 {
		var b bytes.Buffer
		c := Cutter{W: &b}
		// A buffer in memory takes everything.
		_, _ = c.Write([]byte(text))
		_ = c.Close()
		if c.Files == 0 {
			return text, files
		}
		files += c.Files
		text = b.String()
	}
	return "", files
}
