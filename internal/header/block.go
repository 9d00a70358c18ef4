package header

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits bounds a header block. Zero fields mean the defaults.
type Limits struct {
	Bytes  int // of the block with its empty line; 256 KiB
	Fields int // 2,000
}

// The defaults are above every legal mail seen; a field of 1.2 MB and 60,000
// fields are attacks.
const (
	DefaultBytes  = 256 << 10
	DefaultFields = 2000
)

// ErrTooLarge is returned for a block over the limit of bytes, and
// ErrTooManyFields for one over the limit of fields.
var (
	ErrTooLarge      = errors.New("header too large")
	ErrTooManyFields = errors.New("too many header fields")
)

// maxLine is the longest line RFC 5322, 2.1.1 allows, without its end.
const maxLine = 998

// Field is one header field as it came, or one line that is none.
type Field struct {
	Name   string // as written, without blanks before the colon; "" for what is no field
	Raw    []byte // all of it, with folding and line ends
	Offset int64  // of Raw in what was read
	Flags  Flags

	colon int // index of the colon in Raw, or -1
}

// Value returns what stands after the colon, still folded, without the last
// line end. For a line that is no field it is the whole line.
func (f Field) Value() string {
	b := f.Raw[f.colon+1:]
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
	}
	return string(b)
}

// Is reports whether the field has this name, in whatever case.
func (f Field) Is(name string) bool { return f.Name != "" && equalFold(f.Name, name) }

// Block is a header block.
type Block struct {
	Fields []Field
	Size   int64 // bytes read, with the empty line: the offset of the body
	Flags  Flags // those of all fields, and of the block itself
}

// All returns the fields of this name, in order.
func (b Block) All(name string) []Field {
	var all []Field
	for _, f := range b.Fields {
		if f.Is(name) {
			all = append(all, f)
		}
	}
	return all
}

// Count returns how many fields have this name.
func (b Block) Count(name string) int {
	n := 0
	for _, f := range b.Fields {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// First returns the first field of this name.
func (b Block) First(name string) (Field, bool) {
	for _, f := range b.Fields {
		if f.Is(name) {
			return f, true
		}
	}
	return Field{}, false
}

// ReadBlock reads a header block up to and with its empty line. It decodes
// nothing and refuses nothing but size: lines that are no fields are kept and
// flagged, in their place. With an error it returns what it has read so far.
//
// go-message's textproto would do for clean mail, but it knows no offsets,
// gives up at a line without a colon or a "From " line, and takes a blank
// before the colon or a bare CR without a word.
func ReadBlock(r *bufio.Reader, lim Limits) (Block, error) {
	if lim.Bytes == 0 {
		lim.Bytes = DefaultBytes
	}
	if lim.Fields == 0 {
		lim.Fields = DefaultFields
	}
	var b Block
	// Most blocks fit, so that they do not grow line by line.
	raw := make([]byte, 0, min(lim.Bytes, 2<<10)) // the whole block; the fields point into it
	starts := make([]start, 0, 16)                // where the fields begin
	err := func() error {
		for {
			from := len(raw)
			var eof bool
			for {
				part, err := r.ReadSlice('\n')
				if len(raw)+len(part) > lim.Bytes {
					return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, lim.Bytes)
				}
				raw = append(raw, part...)
				if err == nil {
					break
				}
				if err == io.EOF {
					eof = true
					break
				}
				if err != bufio.ErrBufferFull {
					return fmt.Errorf("read header: %w", err)
				}
			}
			if line := raw[from:]; len(line) > 0 {
				content, flags := inspect(line)
				if len(content) == 0 && !flags.Has(BareCR) {
					b.Flags |= flags
					return nil
				}
				switch {
				case blank(content[0]) && len(starts) > 0:
					if onlyBlanks(content) {
						flags |= BlankFold
					}
					starts[len(starts)-1].flags |= flags
				case len(starts) >= lim.Fields:
					return fmt.Errorf("%w: more than %d", ErrTooManyFields, lim.Fields)
				default:
					s := begin(content)
					s.at = from
					s.flags |= flags
					// The time in such a line has a colon; "From :" is a field.
					if from == 0 && mboxLine(content) && string(content[:s.name]) != "From" {
						s = start{colon: -1, flags: flags | MboxFrom}
					}
					starts = append(starts, s)
				}
			}
			if eof {
				b.Flags |= NoSeparator
				return nil
			}
		}
	}()
	b.Size = int64(len(raw))
	end := len(raw)
	if err == nil && !b.Flags.Has(NoSeparator) {
		end -= emptyLine(raw)
	}
	b.Fields = make([]Field, len(starts))
	for i, s := range starts {
		to := end
		if i+1 < len(starts) {
			to = starts[i+1].at
		}
		// The capacity ends with the field, so that appending to one cannot
		// change the next.
		f := Field{Raw: raw[s.at:to:to], Offset: int64(s.at), Flags: s.flags, colon: s.colon}
		if s.name > 0 {
			f.Name = string(raw[s.at : s.at+s.name])
		}
		b.Fields[i] = f
		b.Flags |= s.flags
	}
	return b, err
}

// start is the first line of a field.
type start struct {
	at    int
	colon int
	name  int // length of the name
	flags Flags
}

func begin(content []byte) start {
	s := start{colon: -1}
	if blank(content[0]) {
		s.flags = FoldedFirst
		return s
	}
	for i, c := range content {
		if c == ':' {
			s.colon, s.name = i, i
			break
		}
	}
	if s.colon < 0 {
		s.flags = NoColon
		return s
	}
	for s.name > 0 && blank(content[s.name-1]) {
		s.name--
		s.flags |= SpaceBeforeColon
	}
	if s.name == 0 {
		s.flags |= EmptyName
	}
	for _, c := range content[:s.name] {
		// RFC 5322, 3.6.8: printable ASCII but the colon.
		if c < 33 || c > 126 {
			s.flags |= BadName
		}
	}
	return s
}

// inspect splits a line from its end and notes what is odd about its bytes.
func inspect(line []byte) ([]byte, Flags) {
	var f Flags
	content := line
	if n := len(content); n > 0 && content[n-1] == '\n' {
		content = content[:n-1]
		if n := len(content); n > 0 && content[n-1] == '\r' {
			content = content[:n-1]
		} else {
			f |= BareLF
		}
	}
	if len(content) > maxLine {
		f |= LongLine
	}
	for _, c := range content {
		switch {
		case c == 0:
			f |= NUL
		case c == '\r':
			f |= BareCR
		case c >= 0x80:
			f |= EightBit
		}
	}
	return content, f
}

func emptyLine(raw []byte) int {
	switch n := len(raw); {
	case n >= 2 && raw[n-2] == '\r' && raw[n-1] == '\n':
		return 2
	case n >= 1 && raw[n-1] == '\n':
		return 1
	}
	return 0
}

func onlyBlanks(b []byte) bool {
	for _, c := range b {
		if !blank(c) {
			return false
		}
	}
	return true
}

// mboxLine recognises the line mailbox files put before a message.
func mboxLine(b []byte) bool {
	const from, quoted = "From ", ">From "
	return len(b) >= len(from) && string(b[:len(from)]) == from || len(b) >= len(quoted) && string(b[:len(quoted)]) == quoted
}

// MayBePlain reports whether a value of Content-Type can stand for plain text,
// by how it begins: a hint for those who do not parse it. Without the field a
// message is plain text. RFC 2045, 5.2.
func MayBePlain(value string) bool {
	const plain = "text/plain"
	v := strings.TrimLeft(value, " \t")
	return len(v) >= len(plain) && strings.EqualFold(v[:len(plain)], plain)
}
