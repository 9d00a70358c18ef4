// Package xmlscan reads XML token by token and gives the bytes of each as they
// were written, so that a sanitizer can copy what stays and leave the rest out.
// encoding/xml cannot: it loses the prefixes of names.
//
// It is stricter than most readers, and a document it refuses is one that two
// readers could see differently. It knows no format; what an element means and
// whether it may stay is its caller's to say.
package xmlscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// What Next ends with, besides the errors of the reader below it.
var (
	ErrMalformed = errors.New("malformed XML")
	ErrLimit     = errors.New("XML over a limit")
)

// A Scanner reads XML 1.0 with namespaces from UTF-8, byte by byte, and gives the
// bytes of each token so that what is kept can be copied. It is stricter than
// most: no DOCTYPE, so no entity but the five and characters; no control
// character; no attribute twice. It does not match tags; its caller does.
type Scanner struct {
	r     io.Reader
	buf   []byte
	pos   int // of the next unread byte in buf
	eof   bool
	began bool

	VML bool // read what Office itself writes into drawings and XML does not know

	Raw    []byte // the token
	Text   []byte // of text and CDATA
	Name   []byte // of a start or end tag
	Attrs  []Attr
	Empty  bool // <a/>
	Escape bool // the text is of a CDATA section and must be escaped to be copied
}

// An Attr is one attribute; all slices point into the scanner's buffer.
type Attr struct {
	Name  []byte
	Value []byte // as written, entities and all
	From  int    // where it starts in raw, with the space before it
	To    int
}

type Token uint8

const (
	Text  Token = 1
	Start Token = 2
	End   Token = 3
)

const (
	// A tag holds base64 of pictures in old drawings; a larger one is an attack.
	maxTag = 8 << 20
	// Longer text is given in pieces.
	maxText = 256 << 10
	// Word declares 40 namespaces on one element; the cost of an element grows
	// with the square of their number.
	maxAttrs = 256
	// The longest name of the standard has 31 letters.
	maxXMLName = 256
)

// ErrDoctype is a DOCTYPE, which refuses the document.
var ErrDoctype error = doctype{}

// doctype is what fmt.Errorf would make; but that would be the first thing that
// every worker does.
type doctype struct{}

func (doctype) Error() string { return "DOCTYPE: malformed XML" }
func (doctype) Unwrap() error { return ErrMalformed }

func malformed(format string, a ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), ErrMalformed)
}

// classes of bytes
const (
	bytePlain = 1 << 0 // in text: neither markup nor control
	byteName  = 1 << 1
	byteStart = 1 << 2
	byteSpace = 1 << 3
	byteAttr  = 1 << 4 // in attribute values
)

// New returns a scanner of r.
func New(r io.Reader) *Scanner {
	return &Scanner{r: r, buf: make([]byte, 0, 64<<10)}
}

// Reset lets the scanner read another part with the same memory.
func (s *Scanner) Reset(r io.Reader) {
	*s = Scanner{r: r, buf: s.buf[:0], Attrs: s.Attrs[:0]}
}

// more reads more bytes behind what is unread. It fails with io.EOF when there
// are none. Slices into the buffer are void afterwards.
func (s *Scanner) more() error {
	if s.eof {
		return io.EOF
	}
	if s.pos > 0 {
		n := copy(s.buf, s.buf[s.pos:])
		s.buf, s.pos = s.buf[:n], 0
	}
	if len(s.buf) == cap(s.buf) {
		s.buf = append(s.buf, make([]byte, cap(s.buf))...)[:len(s.buf)]
	}
	for range 100 {
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if err == io.EOF {
			s.eof = true
			if n == 0 {
				return io.EOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// need makes n unread bytes available, if there are so many.
func (s *Scanner) need(n int) (bool, error) {
	for len(s.buf)-s.pos < n {
		if err := s.more(); err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

// Next reads the next token, or io.EOF. Comments and processing instructions
// are passed over.
func (s *Scanner) Next() (Token, error) {
	for {
		ok, err := s.need(1)
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, io.EOF
		}
		first := !s.began
		s.began = true
		if first {
			if ok, err = s.need(3); err != nil {
				return 0, err
			} else if ok && string(s.buf[s.pos:s.pos+3]) == "\xEF\xBB\xBF" {
				s.pos += 3
				first = true
				if ok, err = s.need(1); err != nil {
					return 0, err
				} else if !ok {
					return 0, io.EOF
				}
			}
		}
		if s.buf[s.pos] != '<' {
			return Text, s.scanText()
		}
		if ok, err = s.need(2); err != nil {
			return 0, err
		} else if !ok {
			return 0, malformed("ends in a tag")
		}
		switch s.buf[s.pos+1] {
		case '/':
			return End, s.scanEnd()
		case '?':
			if err := s.scanInstruction(first); err != nil {
				return 0, err
			}
		case '!':
			cdata, err := s.scanDeclaration()
			if err != nil {
				return 0, err
			}
			if cdata {
				return Text, nil
			}
		default:
			return Start, s.scanStart()
		}
	}
}

// until finds what after at unread bytes and returns where, from s.pos.
func (s *Scanner) until(what string, at, limit int) (int, error) {
	for {
		if i := bytes.Index(s.buf[min(s.pos+at, len(s.buf)):], []byte(what)); i >= 0 && at+i <= limit {
			return at + i, nil
		}
		at = max(at, len(s.buf)-s.pos-len(what)+1)
		if len(s.buf)-s.pos > limit {
			return 0, fmt.Errorf("one piece of XML of more than %d bytes: %w", limit, ErrLimit)
		}
		if err := s.more(); err == io.EOF {
			return 0, malformed("ends before %q", what)
		} else if err != nil {
			return 0, err
		}
	}
}

func (s *Scanner) scanInstruction(first bool) error {
	n, err := s.until("?>", 2, maxTag)
	if err != nil {
		return err
	}
	pi := s.buf[s.pos+2 : s.pos+n]
	s.pos += n + 2
	target := pi
	if i := bytes.IndexAny(pi, " \t\r\n"); i >= 0 {
		target = pi[:i]
	}
	if !bytes.EqualFold(target, []byte("xml")) {
		return nil
	}
	if !first || string(target) != "xml" {
		return malformed("XML declaration in the middle")
	}
	if v := pseudoAttr(pi, "version"); v != "1.0" {
		return malformed("XML version %q", v)
	}
	switch e := pseudoAttr(pi, "encoding"); {
	case e == "", equalFold(e, "utf-8"), equalFold(e, "utf8"), equalFold(e, "us-ascii"), equalFold(e, "utf-16"): // transcoded before it came here
		return nil
	default:
		return malformed("XML in encoding %q", e)
	}
}

// pseudoAttr reads an attribute of the XML declaration.
func pseudoAttr(pi []byte, name string) string {
	i := bytes.Index(pi, []byte(name))
	if i < 0 {
		return ""
	}
	rest := bytes.TrimLeft(pi[i+len(name):], " \t\r\n")
	if len(rest) == 0 || rest[0] != '=' {
		return ""
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	if len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' {
		return "?"
	}
	if j := bytes.IndexByte(rest[1:], rest[0]); j >= 0 {
		return string(rest[1 : 1+j])
	}
	return "?"
}

func equalFold(a, b string) bool { return bytes.EqualFold([]byte(a), []byte(b)) }

func (s *Scanner) scanDeclaration() (cdata bool, err error) {
	if ok, err := s.need(9); err != nil {
		return false, err
	} else if !ok {
		if ok, err := s.need(4); err != nil || !ok || string(s.buf[s.pos:s.pos+4]) != "<!--" {
			return false, malformed("declaration at the end")
		}
	}
	b := s.buf[s.pos:]
	switch {
	case bytes.HasPrefix(b, []byte("<!--")):
		n, err := s.until("-->", 4, maxTag)
		if err != nil {
			return false, err
		}
		c := s.buf[s.pos+4 : s.pos+n]
		if bytes.Contains(c, []byte("--")) || !utf8.Valid(c) {
			return false, malformed("comment")
		}
		s.pos += n + 3
		return false, nil
	case bytes.HasPrefix(b, []byte("<![CDATA[")):
		n, err := s.until("]]>", 9, maxTag)
		if err != nil {
			return false, err
		}
		s.Raw = s.buf[s.pos : s.pos+n+3]
		s.Text, s.Escape = s.buf[s.pos+9:s.pos+n], true
		s.pos += n + 3
		for _, c := range s.Text {
			if c < 0x20 && class[c]&byteSpace == 0 {
				return false, malformed("control character")
			}
		}
		return true, checkRunes(s.Text)
	case s.VML && (bytes.HasPrefix(b, []byte("<![if ")) || bytes.HasPrefix(b, []byte("<![endif"))):
		// QUIRK: PowerPoint puts <![if gte mso 9]> around pictures. Their content
		// counts, the marks go.
		n, err := s.until("]>", 3, 256)
		if err != nil {
			return false, err
		}
		if bytes.ContainsAny(s.buf[s.pos+1:s.pos+n], "<>") {
			return false, malformed("conditional section")
		}
		s.pos += n + 2
		return false, nil
	case bytes.HasPrefix(b, []byte("<!DOCTYPE")):
		return false, ErrDoctype
	default:
		return false, malformed("declaration")
	}
}

func (s *Scanner) scanText() error {
	i, high := 0, false
	for {
		b := s.buf[s.pos:]
		for i < len(b) {
			c := b[i]
			if class[c]&bytePlain != 0 {
				i++
				continue
			}
			if c >= 0x80 {
				high = true
				i++
				continue
			}
			if c == '<' {
				return s.endText(i, high)
			}
			switch c {
			case '&':
				n, err := s.scanReference(i)
				if err != nil {
					return err
				}
				b = s.buf[s.pos:]
				i += n
			case ']':
				for len(b)-i < 3 && !s.eof {
					if err := s.more(); err != nil && err != io.EOF {
						return err
					}
					b = s.buf[s.pos:]
				}
				if bytes.HasPrefix(b[i:], []byte("]]>")) {
					return malformed("]]> in text")
				}
				i++
			default:
				return malformed("control character")
			}
		}
		if len(b) >= maxText {
			for i > 0 && s.buf[s.pos+i-1]&0xC0 == 0x80 {
				i--
			}
			if i > 0 && s.buf[s.pos+i-1] >= 0xC0 {
				i--
			}
			if i > 0 {
				return s.endText(i, high)
			}
			i = len(b)
		}
		if err := s.more(); err == io.EOF {
			return s.endText(i, high)
		} else if err != nil {
			return err
		}
	}
}

func (s *Scanner) endText(n int, high bool) error {
	s.Raw = s.buf[s.pos : s.pos+n]
	s.Text, s.Escape = s.Raw, false
	s.pos += n
	if high {
		return checkRunes(s.Raw)
	}
	return nil
}

// scanReference checks the reference at i and returns its length.
func (s *Scanner) scanReference(i int) (int, error) {
	const longest = 12 // &#x0010FFFF;
	for len(s.buf)-s.pos-i < longest && !s.eof {
		if err := s.more(); err != nil && err != io.EOF {
			return 0, err
		}
	}
	b := s.buf[s.pos+i:]
	n := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if n < 0 {
		return 0, malformed("reference without an end")
	}
	if _, ok := reference(b[1:n]); !ok {
		return 0, malformed("entity %q", b[1:n])
	}
	return n + 1, nil
}

func (s *Scanner) scanEnd() error {
	n, err := s.until(">", 2, maxTag)
	if err != nil {
		return err
	}
	s.Raw = s.buf[s.pos : s.pos+n+1]
	s.Name = bytes.TrimRight(s.Raw[2:n], " \t\r\n")
	s.pos += n + 1
	return nil // the filter compares the name with that of the start tag
}

// tagEnd finds the > of the start tag at s.pos that is not inside quotes.
func (s *Scanner) tagEnd() (int, error) {
	i, quote := 1, byte(0)
	for {
		b := s.buf[s.pos:]
		for i < len(b) {
			if quote != 0 {
				j := bytes.IndexByte(b[i:], quote)
				if j < 0 {
					i = len(b)
					break
				}
				i += j + 1
				quote = 0
				continue
			}
			switch b[i] {
			case '>':
				if i > maxTag {
					return 0, fmt.Errorf("tag of more than %d bytes: %w", maxTag, ErrLimit)
				}
				return i, nil
			case '"', '\'':
				quote = b[i]
			case '<':
				return 0, malformed("< in a tag")
			}
			i++
		}
		if len(b) > maxTag {
			return 0, fmt.Errorf("tag of more than %d bytes: %w", maxTag, ErrLimit)
		}
		if err := s.more(); err == io.EOF {
			return 0, malformed("ends in a tag")
		} else if err != nil {
			return 0, err
		}
	}
}

func (s *Scanner) scanStart() error {
	end, err := s.tagEnd()
	if err != nil {
		return err
	}
	raw := s.buf[s.pos : s.pos+end+1]
	s.Raw = raw
	s.pos += end + 1
	if s.Empty = raw[end-1] == '/'; s.Empty {
		end--
	} else if s.VML && string(raw) == "<br>" {
		// QUIRK: Excel ends lines in notes and buttons as HTML does.
		s.Raw, s.Empty = []byte("<br/>"), true
	}
	b := raw[:end]
	i := 1
	for i < len(b) && class[b[i]]&byteName != 0 {
		i++
	}
	s.Name = b[1:i]
	if err := checkName(s.Name); err != nil {
		return err
	}
	s.Attrs = s.Attrs[:0]
	for {
		from := i
		for i < len(b) && class[b[i]]&byteSpace != 0 {
			i++
		}
		if i == len(b) {
			break
		}
		if i == from {
			return malformed("no space before an attribute")
		}
		at := i
		for i < len(b) && class[b[i]]&byteName != 0 {
			i++
		}
		a := Attr{Name: b[at:i], From: from}
		if err := checkName(a.Name); err != nil {
			return err
		}
		for i < len(b) && class[b[i]]&byteSpace != 0 {
			i++
		}
		if i == len(b) || b[i] != '=' {
			return malformed("attribute without a value")
		}
		i++
		for i < len(b) && class[b[i]]&byteSpace != 0 {
			i++
		}
		if i == len(b) || b[i] != '"' && b[i] != '\'' {
			return malformed("attribute value without quotes")
		}
		q := b[i]
		i++
		n := bytes.IndexByte(b[i:], q)
		if n < 0 {
			return malformed("attribute value without an end")
		}
		a.Value = b[i : i+n]
		i += n + 1
		a.To = i
		if err := checkValue(a.Value); err != nil {
			return err
		}
		for j := range s.Attrs {
			if bytes.Equal(s.Attrs[j].Name, a.Name) {
				return malformed("attribute %q twice", a.Name)
			}
		}
		if len(s.Attrs) == maxAttrs {
			return fmt.Errorf("more than %d attributes: %w", maxAttrs, ErrLimit)
		}
		s.Attrs = append(s.Attrs, a)
	}
	return checkRunes(raw)
}
