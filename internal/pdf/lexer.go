package pdf

import (
	"bytes"
	"math"
)

// Kind is what a token is.
type Kind uint8

// The tokens of ISO 32000-1, 7.2 and 7.3.
const (
	EOF Kind = iota
	Int
	Num // with a fraction
	Str
	Nam
	ArrayOpen
	ArrayClose
	DictOpen
	DictClose
	BraceOpen
	BraceClose
	Word // an operator or keyword
)

// Token is one token. Text holds the octets of a string, a name or a word,
// decoded; it is only good until the next token when nothing had to be decoded.
type Token struct {
	Kind Kind
	Int  int64
	Real float64
	Text []byte
	// Start and End are its place in what is read.
	Start, End int
}

// Lexer cuts octets into tokens. It never fails: what is no token is a word.
type Lexer struct {
	b   []byte
	pos int
}

// NewLexer starts a lexer over b.
func NewLexer(b []byte) *Lexer { return &Lexer{b: b} }

// Pos is where the next token is looked for.
func (l *Lexer) Pos() int { return l.pos }

// Seek goes to pos.
func (l *Lexer) Seek(pos int) { l.pos = pos }

const (
	regular = iota
	space
	delimiter
)

var classes = func() (t [256]uint8) {
	for _, c := range "\x00\t\n\f\r " {
		t[c] = space
	}
	for _, c := range "()<>[]{}/%" {
		t[c] = delimiter
	}
	return t
}()

// IsSpace reports whether c is white space (ISO 32000-1, table 1).
func IsSpace(c byte) bool { return classes[c] == space }

// IsRegular reports whether c is neither white space nor a delimiter.
func IsRegular(c byte) bool { return classes[c] == regular }

func (l *Lexer) skip() {
	for l.pos < len(l.b) {
		switch c := l.b[l.pos]; {
		case classes[c] == space:
			l.pos++
		case c == '%':
			i := bytes.IndexAny(l.b[l.pos:], "\r\n")
			if i < 0 {
				l.pos = len(l.b)
				return
			}
			l.pos += i
		default:
			return
		}
	}
}

// Next returns the next token.
func (l *Lexer) Next() Token {
	l.skip()
	if l.pos >= len(l.b) {
		return Token{Kind: EOF, Start: len(l.b), End: len(l.b)}
	}
	start := l.pos
	t := Token{Start: start}
	c := l.b[l.pos]
	switch c {
	case '/':
		t.Kind, t.Text = Nam, l.name()
	case '(':
		t.Kind, t.Text = Str, l.literal()
	case '<':
		if l.peek(1) == '<' {
			t.Kind = DictOpen
			l.pos += 2
		} else {
			t.Kind, t.Text = Str, l.hex()
		}
	case '>':
		if l.peek(1) == '>' {
			t.Kind = DictClose
			l.pos += 2
		} else {
			t.Kind, t.Text = Word, l.b[start:start+1]
			l.pos++
		}
	case '[':
		t.Kind = ArrayOpen
		l.pos++
	case ']':
		t.Kind = ArrayClose
		l.pos++
	case '{':
		t.Kind = BraceOpen
		l.pos++
	case '}':
		t.Kind = BraceClose
		l.pos++
	case ')':
		t.Kind, t.Text = Word, l.b[start:start+1]
		l.pos++
	default:
		for l.pos < len(l.b) && classes[l.b[l.pos]] == regular {
			l.pos++
		}
		w := l.b[start:l.pos]
		if c <= '9' && (c >= '0' || c == '-' || c == '+' || c == '.') && number(w, &t) {
			break
		}
		t.Kind, t.Text = Word, w
	}
	t.End = l.pos
	return t
}

func (l *Lexer) peek(n int) byte {
	if l.pos+n < len(l.b) {
		return l.b[l.pos+n]
	}
	return 0
}

// number reads a number (ISO 32000-1, 7.3.3).
// QUIRK: doubled signs, a sign behind the digits ("12-34" is 12), a second
// point and exponents occur; they are read as Acrobat does, as far as anybody
// knows how.
func number(w []byte, t *Token) bool {
	i, neg := 0, false
	for i < len(w) && (w[i] == '+' || w[i] == '-') {
		neg = neg || w[i] == '-'
		i++
	}
	var n int64
	digits := 0
	over := false
	v := 0.0
	for ; i < len(w) && w[i] >= '0' && w[i] <= '9'; i++ {
		digits++
		if n > (math.MaxInt64-9)/10 {
			over = true
		} else {
			n = n*10 + int64(w[i]-'0')
		}
		v = v*10 + float64(w[i]-'0')
	}
	if i == len(w) || w[i] == '-' {
		if digits == 0 || i < len(w) && !tail(w[i:]) {
			return false
		}
		if neg {
			n, v = -n, -v
		}
		if over || n > math.MaxInt32*1024 || n < -math.MaxInt32*1024 {
			t.Kind, t.Real = Num, v
			return true
		}
		t.Kind, t.Int, t.Real = Int, n, v
		return true
	}
	if w[i] != '.' {
		return false
	}
	scale := 1.0
	frac := 0.0
	for i++; i < len(w) && w[i] >= '0' && w[i] <= '9'; i++ {
		digits++
		if scale < 1e15 {
			scale *= 10
			frac = frac*10 + float64(w[i]-'0')
		}
	}
	if digits == 0 && len(w) > 1 || i < len(w) && !tail(w[i:]) {
		return false
	}
	v += frac / scale
	if neg {
		v = -v
	}
	t.Kind, t.Real = Num, v
	return true
}

// tail reports whether w is what may stand behind a number that ended.
func tail(w []byte) bool {
	for _, c := range w {
		if (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c - 'a' + 10)
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

// name reads a name. A number sign that does not open an escape stands for
// itself, as before PDF 1.2.
func (l *Lexer) name() []byte {
	l.pos++
	start := l.pos
	escaped := false
	for l.pos < len(l.b) && classes[l.b[l.pos]] == regular {
		escaped = escaped || l.b[l.pos] == '#'
		l.pos++
	}
	w := l.b[start:l.pos]
	if !escaped {
		return w
	}
	out := make([]byte, 0, len(w))
	for i := 0; i < len(w); i++ {
		if w[i] == '#' && i+2 < len(w) {
			if a, b := unhex(w[i+1]), unhex(w[i+2]); a >= 0 && b >= 0 {
				out = append(out, byte(a<<4|b))
				i += 2
				continue
			}
		}
		out = append(out, w[i])
	}
	return out
}

// literal reads a string in parentheses (ISO 32000-1, 7.3.4.2).
func (l *Lexer) literal() []byte {
	l.pos++
	start := l.pos
	depth := 1
	for l.pos < len(l.b) {
		switch l.b[l.pos] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				s := l.b[start:l.pos]
				l.pos++
				return s
			}
		case '\\', '\r':
			return l.escaped(start, depth)
		}
		l.pos++
	}
	return l.b[start:]
}

func (l *Lexer) escaped(start, depth int) []byte {
	out := append(make([]byte, 0, 2*(l.pos-start)+16), l.b[start:l.pos]...)
	for l.pos < len(l.b) {
		c := l.b[l.pos]
		l.pos++
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return out
			}
		case '\r':
			// A line end is a line feed, however it is written.
			if l.peek(0) == '\n' {
				l.pos++
			}
			c = '\n'
		case '\\':
			if l.pos >= len(l.b) {
				return out
			}
			c = l.b[l.pos]
			l.pos++
			switch c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case '\r':
				if l.peek(0) == '\n' {
					l.pos++
				}
				continue
			case '\n':
				continue
			default:
				if c >= '0' && c <= '7' {
					v := int(c - '0')
					for i := 0; i < 2 && l.peek(0) >= '0' && l.peek(0) <= '7' && l.pos < len(l.b); i++ {
						v = v<<3 | int(l.b[l.pos]-'0')
						l.pos++
					}
					c = byte(v)
				}
			}
		}
		out = append(out, c)
	}
	return out
}

// hex reads a string in angle brackets; what is no digit is passed over.
func (l *Lexer) hex() []byte {
	l.pos++
	end := bytes.IndexByte(l.b[l.pos:], '>')
	w := l.b[l.pos:]
	if end >= 0 {
		w = w[:end]
		l.pos += end + 1
	} else {
		l.pos = len(l.b)
	}
	out := make([]byte, 0, len(w)/2+1)
	high := -1
	for _, c := range w {
		v := unhex(c)
		switch {
		case v < 0:
		case high < 0:
			high = v
		default:
			out = append(out, byte(high<<4|v))
			high = -1
		}
	}
	if high >= 0 {
		out = append(out, byte(high<<4))
	}
	return out
}
