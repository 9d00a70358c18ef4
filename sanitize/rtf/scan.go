package rtf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// kind is what a token is.
type kind uint8

const (
	tokenEnd    kind = iota
	tokenOpen        // {
	tokenClose       // }
	tokenWord        // \word, with a number or without
	tokenSymbol      // \ and one character that is no letter
	tokenHex         // \'hh
	tokenText        // characters as they stand, without line ends
)

// longestWord is how much of a control word is looked at: the longest that is
// known has 18 letters, and Word reads 32.
const longestWord = 40

// scanner takes a file apart as Word does, RTF 1.9.1, "Conventions of an RTF
// Reader". It never fails on what it reads: RTF has no syntax that could be
// broken, only words that mean nothing. What it returns is good until the next
// call.
type scanner struct {
	r    io.Reader
	buf  []byte
	at   int // next byte
	have int
	from int64 // place of buf in the file
	err  error // io.EOF or of the reader

	text   []byte // of a word its letters, of text its bytes
	char   byte   // of a symbol or \'hh
	number int32
	has    bool // a number was there
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, 64<<10)}
}

// offset is how many bytes were read so far.
func (s *scanner) offset() int64 { return s.from + int64(s.at) }

// fill makes at least n bytes available, or as many as there are.
func (s *scanner) fill(n int) bool {
	for s.have-s.at < n && s.err == nil {
		if s.at > 0 {
			copy(s.buf, s.buf[s.at:s.have])
			s.from += int64(s.at)
			s.have, s.at = s.have-s.at, 0
		}
		var m int
		m, s.err = s.r.Read(s.buf[s.have:])
		s.have += m
	}
	return s.have-s.at >= n
}

// ends are the bytes that end a run of text.
var ends = [256]bool{'{': true, '}': true, '\\': true, '\r': true, '\n': true}

// next reads a token.
func (s *scanner) next() (kind, error) {
	for {
		if s.at >= s.have && !s.fill(1) {
			if errors.Is(s.err, io.EOF) {
				return tokenEnd, nil
			}
			return tokenEnd, fmt.Errorf("read: %w", s.err)
		}
		switch s.buf[s.at] {
		case '{':
			s.at++
			return tokenOpen, nil
		case '}':
			s.at++
			return tokenClose, nil
		case '\\':
			if k := s.control(); k != tokenEnd {
				return k, nil
			}
		case '\r', '\n':
			s.at++
		default:
			i := s.at
			for i < s.have && !ends[s.buf[i]] {
				i++
			}
			s.text = s.buf[s.at:i]
			s.at = i
			return tokenText, nil
		}
	}
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// control reads what a backslash begins. It returns tokenEnd for what is
// nothing, such as a backslash that ends the file.
func (s *scanner) control() kind {
	s.fill(longestWord + 16)
	b := s.buf[s.at:s.have]
	if len(b) < 2 {
		s.at++
		return tokenEnd
	}
	if !letter(b[1]) {
		return s.symbol(b)
	}
	i := 1
	for i < len(b) && i <= longestWord && letter(b[i]) {
		i++
	}
	s.text = b[1:i]
	if i > longestWord {
		// Nothing that long has a meaning: it is read to its end, without number.
		s.at += i
		for s.fill(1) && letter(s.buf[s.at]) {
			s.at++
		}
		s.text, s.number, s.has = nil, 0, false
		return tokenWord
	}
	s.number, s.has = 0, false
	j, negative := i, false
	if j < len(b) && b[j] == '-' {
		negative = true
		j++
	}
	// Numbers have 32 bits; a longer one is as large as can be.
	const most = 14 // of digits that are looked at
	v, digits := int64(0), 0
	for j < len(b) && digit(b[j]) && digits < most {
		if v = v*10 + int64(b[j]-'0'); v > 1<<31-1 {
			v = 1<<31 - 1
		}
		j++
		digits++
	}
	if digits > 0 {
		if negative {
			v = -v
		}
		s.number, s.has = int32(v), true
		i = j
	}
	if digits == most {
		// What comes before is looked at no more: reading on moves it.
		name := string(s.text)
		for s.at += i; s.fill(1) && digit(s.buf[s.at]); {
			s.at++
		}
		if s.fill(1) && s.buf[s.at] == ' ' {
			s.at++
		}
		s.text = []byte(name)
		return tokenWord
	}
	if i < len(b) && b[i] == ' ' {
		i++
	}
	s.at += i
	return tokenWord
}

func (s *scanner) symbol(b []byte) kind {
	s.char = b[1]
	if s.char != '\'' {
		s.at += 2
		return tokenSymbol
	}
	if len(b) < 4 {
		s.at += len(b)
		return tokenEnd
	}
	high, low := nibble[b[2]], nibble[b[3]]
	if high > 15 || low > 15 {
		s.at += 2 // the mark alone; what follows is text
		return tokenEnd
	}
	s.char = high<<4 | low
	s.at += 4
	return tokenHex
}

// nibble is the value of a hexadecimal digit, 16 of what is none.
var nibble = func() (t [256]byte) {
	for i := range t {
		t[i] = 16
		switch c := byte(i); {
		case digit(c):
			t[i] = c - '0'
		case c >= 'a' && c <= 'f':
			t[i] = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			t[i] = c - 'A' + 10
		}
	}
	return t
}()

// binary hands the n bytes behind \bin to f, or as many as there are.
func (s *scanner) binary(n int64, f func([]byte)) error {
	for n > 0 {
		if !s.fill(1) {
			if errors.Is(s.err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read: %w", s.err)
		}
		b := s.buf[s.at:s.have]
		if int64(len(b)) > n {
			b = b[:n]
		}
		f(b)
		s.at += len(b)
		n -= int64(len(b))
	}
	return nil
}

// rest reports how many bytes that are no white space or zeros are left, up to
// the first few.
func (s *scanner) rest() bool {
	for s.fill(1) {
		if len(bytes.Trim(s.buf[s.at:s.have], " \r\n\t\x00\x1a")) > 0 {
			return true
		}
		s.at = s.have
	}
	return false
}
