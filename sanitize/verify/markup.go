package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// markup reads the XML of an Office document for the second look: tags and text
// in UTF-8, nothing else. It takes no DOCTYPE, no processing instruction, no
// comment and no CDATA section, since the writers write none; what it finds odd
// is refused.
type markup struct {
	r       io.Reader
	buf     []byte
	at, end int
	eof     bool
	begun   bool
	depth   int // the most elements in each other

	// The token that was read.
	local  []byte
	prefix []byte
	space  markupSpace
	attrs  []markupAttr
	text   []byte // as written

	empty  bool // the tag closes itself; its end is the next token
	names  []byte
	starts []int
	spaces map[string]markupSpace
	undo   []markupUndo
}

type markupAttr struct {
	prefix, local, value []byte // as written
	space                markupSpace
}

type markupToken uint8

const (
	markupEnd   markupToken = 1
	markupStart markupToken = 2
	markupText  markupToken = 3
)

func newMarkup(r io.Reader, depth int) *markup {
	return &markup{r: r, depth: depth, buf: make([]byte, 32<<10), spaces: map[string]markupSpace{"xml": inXML}}
}

// longest bounds one tag.
const markupLongest = 9 << 20

var (
	errMarkup      = errors.New("markup that no document has")
	errMarkupDepth = errors.New("elements nested too deep")
)

func odd(what string, b []byte) error {
	return fmt.Errorf("%w: %s: %.40q", errMarkup, what, b)
}

// more reads on; false at the end.
func (m *markup) more() (bool, error) {
	if m.eof {
		return false, nil
	}
	if m.at > 0 {
		copy(m.buf, m.buf[m.at:m.end])
		m.at, m.end = 0, m.end-m.at
	}
	if m.end == len(m.buf) {
		if len(m.buf) > markupLongest {
			return false, odd("a tag too long", m.buf[:40])
		}
		m.buf = append(m.buf, make([]byte, len(m.buf))...)
	}
	n, err := m.r.Read(m.buf[m.end:])
	m.end += n
	if err == io.EOF {
		m.eof = true
		return n > 0, nil
	}
	return true, err
}

// next reads a token; io.EOF at the end of a document that is whole.
func (m *markup) next() (markupToken, error) {
	if m.empty {
		m.empty = false
		return markupEnd, m.leave()
	}
	if !m.begun {
		m.begun = true
		if err := m.declaration(); err != nil {
			return 0, err
		}
	}
	for m.at == m.end {
		if ok, err := m.more(); err != nil {
			return 0, err
		} else if !ok {
			if len(m.starts) > 0 || len(m.names) == 0 {
				return 0, odd("it ends early", nil)
			}
			return 0, io.EOF
		}
	}
	if m.buf[m.at] != '<' {
		return m.characters()
	}
	return m.tag()
}

// declaration passes over the XML declaration, which stands at the beginning or
// not at all.
func (m *markup) declaration() error {
	for m.end-m.at < 6 && !m.eof {
		if _, err := m.more(); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(m.buf[m.at:m.end], []byte("<?xml ")) {
		return nil
	}
	for {
		if i := bytes.Index(m.buf[m.at:m.end], []byte("?>")); i >= 0 {
			switch d := string(m.buf[m.at : m.at+i]); d {
			case `<?xml version="1.0"`, `<?xml version="1.0" encoding="UTF-8"`, `<?xml version="1.0" encoding="UTF-8" standalone="yes"`:
			default:
				return odd("declaration", []byte(d))
			}
			m.at += i + 2
			return nil
		}
		if ok, err := m.more(); err != nil || !ok {
			return errors.Join(err, odd("declaration", nil))
		}
	}
}

func (m *markup) characters() (markupToken, error) {
	for {
		b := m.buf[m.at:m.end]
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			// Not between the octets of a character or of a reference.
			i = len(b)
			if !m.eof {
				if k := bytes.LastIndexByte(b[max(0, len(b)-12):], '&'); k >= 0 && bytes.IndexByte(b[max(0, len(b)-12)+k:], ';') < 0 {
					i = max(0, len(b)-12) + k
				}
				for k := 1; k <= 3 && k <= i; k++ {
					if c := b[i-k]; c >= 0xC0 {
						if !utf8.FullRune(b[i-k : i]) {
							i -= k
						}
						break
					}
				}
				for k := 0; k < 2 && i > 0 && b[i-1] == ']'; k++ {
					i-- // of "]]>", which is looked for below
				}
			}
			if i == 0 {
				if ok, err := m.more(); err != nil {
					return 0, err
				} else if !ok && m.at < m.end && m.buf[m.at] != '<' {
					// The end of the file cut a reference.
					m.text = m.buf[m.at:m.end]
					return 0, odd("text", m.text)
				}
				continue
			}
		}
		m.text = b[:i]
		m.at += i
		if err := plainMarkup(m.text); err != nil {
			return 0, err
		}
		// XML 1.0, 2.4: the end of a CDATA section does not stand in text.
		if bytes.Contains(m.text, []byte("]]>")) {
			return 0, odd("text", m.text)
		}
		if len(m.starts) == 0 && len(bytes.TrimSpace(m.text)) > 0 {
			return 0, odd("text outside of the root", m.text)
		}
		return markupText, nil
	}
}

// plainMarkup makes sure that text has no octets but those of characters, and no
// references but to characters.
func plainMarkup(b []byte) error {
	if !utf8.Valid(b) {
		return odd("no UTF-8", b)
	}
	for i, c := range b {
		if c >= 0x20 && c < 0xEF {
			continue
		}
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xEF && i+2 < len(b) && b[i+1] == 0xBF && b[i+2] >= 0xBE {
			return odd("a control character", b[i:])
		}
	}
	for i := bytes.IndexByte(b, '&'); i >= 0; {
		if _, n := reference(b[i:]); n == 0 {
			return odd("a reference", b[i:])
		}
		k := bytes.IndexByte(b[i+1:], '&')
		if k < 0 {
			return nil
		}
		i += 1 + k
	}
	return nil
}

// reference reads the one at the beginning of b.
func reference(b []byte) (rune, int) {
	i := bytes.IndexByte(b[:min(len(b), 12)], ';')
	if i < 0 {
		return 0, 0
	}
	switch name := string(b[1:i]); name {
	case "lt":
		return '<', i + 1
	case "gt":
		return '>', i + 1
	case "amp":
		return '&', i + 1
	case "quot":
		return '"', i + 1
	case "apos":
		return '\'', i + 1
	default:
		if len(name) < 2 || name[0] != '#' {
			return 0, 0
		}
		base, v := rune(10), rune(0)
		digits := name[1:]
		if digits[0] == 'x' {
			base, digits = 16, digits[1:]
		}
		if digits == "" {
			return 0, 0
		}
		for _, c := range digits {
			d := strings.IndexRune("0123456789abcdef", c|0x20)
			if c <= '9' {
				d = strings.IndexRune("0123456789", c)
			}
			if d < 0 || rune(d) >= base {
				return 0, 0
			}
			if v = v*base + rune(d); v > utf8.MaxRune {
				return 0, 0
			}
		}
		if v < 0x20 && v != '\t' && v != '\n' && v != '\r' || v >= 0xD800 && v < 0xE000 || v == 0xFFFE || v == 0xFFFF {
			return 0, 0
		}
		return v, i + 1
	}
}

// decoded is text without its references.
func decoded(b []byte) string {
	if bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	var out []byte
	for len(b) > 0 {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			out = append(out, b...)
			break
		}
		out = append(out, b[:i]...)
		r, n := reference(b[i:])
		if n == 0 {
			n, r = 1, '&'
		}
		out = utf8.AppendRune(out, r)
		b = b[i+n:]
	}
	return string(out)
}

// tag reads one.
func (m *markup) tag() (markupToken, error) {
	i, quote := 1, byte(0)
	for {
		b := m.buf[m.at:m.end]
		for ; i < len(b); i++ {
			c := b[i]
			switch {
			case quote != 0:
				if c == quote {
					quote = 0
				} else if c == '<' {
					return 0, odd("< in a value", b[i:])
				}
				continue
			case c == '"' || c == '\'':
				quote = c
				continue
			case c == '<':
				return 0, odd("< in a tag", b[i:])
			case c != '>':
				continue
			}
			m.at += i + 1
			return m.taken(b[1:i])
		}
		if ok, err := m.more(); err != nil {
			return 0, err
		} else if !ok {
			return 0, odd("a tag without an end", m.buf[m.at:m.end])
		}
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func trimLeft(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// name is the longest name at the beginning of b, in two halves.
func (m *markup) name(b []byte) (prefix, local []byte, n int, err error) {
	colon := -1
	for n < len(b) && !blank(b[n]) && b[n] != '=' && b[n] != '/' {
		switch c := b[n]; {
		case c == ':':
			if colon >= 0 {
				return nil, nil, 0, odd("a name", b)
			}
			colon = n
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= 0x80:
		case (c >= '0' && c <= '9' || c == '-' || c == '.') && n > 0 && n != colon+1:
		default:
			return nil, nil, 0, odd("a name", b)
		}
		n++
	}
	if n == 0 || n == colon+1 || colon == 0 || n > 300 || !letters(b[:n]) {
		return nil, nil, 0, odd("a name", b)
	}
	return b[:max(colon, 0)], b[colon+1 : n], n, nil
}

// letters reports whether what is not ASCII in a name are letters that names have
// had since XML 1.0, appendix B: prefixes are the sender's, and may be Japanese.
func letters(b []byte) bool {
	for i := 0; i < len(b); {
		if b[i] < 0x80 {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r >= 0xC0 && r <= 0xD6, r >= 0xD8 && r <= 0xF6, r >= 0xF8 && r <= 0x131, r >= 0x401 && r <= 0x40C, r >= 0x40E && r <= 0x44F,
			r >= 0x3041 && r <= 0x3094, r >= 0x30A1 && r <= 0x30FA, r >= 0x4E00 && r <= 0x9FA5, r >= 0xAC00 && r <= 0xD7A3:
		case (r == 0x3005 || r >= 0x30FC && r <= 0x30FE) && i > 0 && b[i-1] != ':':
		default:
			return false
		}
		i += n
	}
	return true
}

func (m *markup) taken(b []byte) (markupToken, error) {
	if len(b) == 0 {
		return 0, odd("a tag", b)
	}
	switch b[0] {
	case '!', '?':
		return 0, odd("a declaration, comment or instruction", b)
	case '/':
		name := trimRight(b[1:])
		n := len(m.starts)
		if n == 0 || !bytes.Equal(m.names[m.starts[n-1]:], name) {
			return 0, odd("an end of what is not open", b)
		}
		return markupEnd, m.leave()
	}
	prefix, local, n, err := m.name(b)
	if err != nil {
		return 0, err
	}
	if len(m.starts) == m.depth {
		return 0, errMarkupDepth
	}
	if len(m.starts) == 0 && len(m.names) > 0 {
		return 0, odd("a second root", b)
	}
	m.starts = append(m.starts, len(m.names))
	m.names = append(m.names, b[:n]...)
	m.prefix, m.local, m.attrs = prefix, local, m.attrs[:0]
	declares := false
	for rest := b[n:]; ; {
		k := 0
		for k < len(rest) && blank(rest[k]) {
			k++
		}
		if k == len(rest) {
			break
		}
		if rest[k] == '/' && k == len(rest)-1 {
			m.empty = true
			break
		}
		if k == 0 {
			return 0, odd("an attribute", rest)
		}
		rest = rest[k:]
		p, l, n, err := m.name(rest)
		if err != nil {
			return 0, err
		}
		rest = trimLeft(rest[n:])
		if len(rest) < 3 || rest[0] != '=' {
			return 0, odd("an attribute", rest)
		}
		rest = trimLeft(rest[1:])
		if len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' {
			return 0, odd("an attribute", rest)
		}
		end := bytes.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return 0, odd("an attribute", rest)
		}
		v := rest[1 : 1+end]
		rest = rest[2+end:]
		if err := plainMarkup(v); err != nil {
			return 0, err
		}
		for i := range m.attrs {
			if a := &m.attrs[i]; bytes.Equal(a.local, l) && bytes.Equal(a.prefix, p) {
				return 0, odd("an attribute twice", l)
			}
		}
		const most = 300 // in one tag
		if len(m.attrs) == most {
			return 0, odd("attributes", nil)
		}
		m.attrs = append(m.attrs, markupAttr{prefix: p, local: l, value: v})
		declares = declares || string(p) == "xmlns" || len(p) == 0 && string(l) == "xmlns"
	}
	if declares {
		m.declare()
	}
	return markupStart, m.resolve()
}

// leave ends the innermost element. Its name stays in names until the next one
// begins, which tells a second root.
func (m *markup) leave() error {
	n := len(m.starts) - 1
	from := m.starts[n]
	m.prefix, m.local = nil, m.names[from:]
	if i := bytes.IndexByte(m.local, ':'); i >= 0 {
		m.prefix, m.local = m.local[:i], m.local[i+1:]
	}
	for len(m.undo) > 0 && m.undo[len(m.undo)-1].level == n+1 {
		u := m.undo[len(m.undo)-1]
		if m.undo = m.undo[:len(m.undo)-1]; u.was {
			m.spaces[u.prefix] = u.before
		} else {
			delete(m.spaces, u.prefix)
		}
	}
	m.starts = m.starts[:n]
	if n > 0 {
		m.names = m.names[:from]
	}
	return nil
}
