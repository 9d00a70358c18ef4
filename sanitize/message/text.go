package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho/internal/charset"
	"sekisho/sanitize"
)

// How a text is written anew.
type layout struct {
	flowed bool // RFC 3676: lines that end in a space go on in the next
	delsp  bool // and the space was added
	urls   sanitize.URLs
	weigh  bool  // say how much the text says; only a choice needs it
	size   int64 // about how long the text is
}

// told is what rewriting a text found.
type told struct {
	charset.Result
	turned int   // characters that turn the reading direction
	urls   int   // addresses rewritten
	weight int64 // letters that are not part of an address: how much it says
	moved  bool  // a line begins where none did in the octets that came
}

func (t told) findings() []sanitize.Finding {
	var fs []sanitize.Finding
	add := func(rule string, a sanitize.Action, n int) {
		if n > 0 {
			fs = append(fs, sanitize.Finding{Rule: rule, Action: a, Detail: fmt.Sprint(n)})
		}
	}
	add("text.user-defined", sanitize.Reported, t.UserDefined)
	add("text.illegal-bytes", sanitize.Reported, t.Replaced)
	add("text.control", sanitize.Rewritten, t.Dropped+t.turned)
	add("html.url", sanitize.Rewritten, t.urls)
	if t.Contradicted {
		fs = append(fs, sanitize.Finding{Rule: "text.charset", Action: sanitize.Reported, Detail: t.Label + " is " + t.Charset})
	}
	return fs
}

// rewriteText reads text in any charset and writes it in UTF-8, lines ended by
// CRLF. It keeps no more than one line in memory.
func rewriteText(r io.Reader, label string, l layout, out io.Writer) (told, error) {
	cr := charset.NewReader(label, r)
	cr.DropControls = true
	// Most mails are short; buffers for long ones would cost more than the rest.
	size := int(min(max(l.size, 512), 32<<10))
	w := &textWriter{out: bufio.NewWriterSize(out, size), layout: l}
	br := bufio.NewReaderSize(cr, size)
	first := true
	for {
		b, err := br.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if first && len(b) > 0 {
			// Marks of byte order, also behind what is dropped: another reader
			// would take the next for its own.
			for {
				r, n := utf8.DecodeRune(b)
				if r != '\ufeff' && !turns(r) {
					break
				}
				if turns(r) {
					w.told.turned++
				}
				w.told.moved = true
				b = b[n:]
			}
			first = len(b) == 0 && full
			if opensLikeFile(b) {
				// A text may speak of such a thing, but a file of that text must
				// not be one.
				w.end()
			}
		}
		if len(b) > 0 {
			w.piece(b, full)
		}
		if err != nil && !full {
			if !errors.Is(err, io.EOF) {
				return told{}, err
			}
			break
		}
	}
	w.finish()
	if err := w.out.Flush(); err != nil {
		return told{}, err
	}
	w.told.Result = cr.Result()
	return w.told, nil
}

type textWriter struct {
	out  *bufio.Writer
	told told
	layout
	rest  []byte // a rune cut by the end of a piece
	open  bool   // the line so far has been written without its end
	depth int    // of the flowed paragraph that is open
	para  bool   // a flowed paragraph is open
}

// piece takes a line, or, when more is set, the first part of one.
func (w *textWriter) piece(b []byte, more bool) {
	if len(w.rest) > 0 {
		b = append(w.rest, b...)
		w.rest = nil
	}
	if more {
		n := cutRune(b)
		if bytes.HasSuffix(b, []byte("\r")) {
			n = 1 // its LF may come
		}
		if n > 0 {
			w.rest = bytes.Clone(b[len(b)-n:])
			b = b[:len(b)-n]
		}
		w.write(w.lines(b))
		w.open = true
		return
	}
	ended := len(b) > 0 && b[len(b)-1] == '\n'
	b = bytes.TrimSuffix(b, []byte("\n"))
	if ended {
		b = bytes.TrimSuffix(b, []byte("\r"))
	}
	w.line(w.lines(b))
}

// lines takes the lines that a CR alone ends, as on old systems, and gives
// back what stands behind the last.
func (w *textWriter) lines(b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return b
		}
		w.line(b[:i])
		w.told.moved = true
		b = b[i+1:]
	}
}

// line takes a whole line, or the last part of one.
func (w *textWriter) line(b []byte) {
	if w.open {
		w.open = false
		w.write(b)
		w.end()
		return
	}
	if !w.flowed {
		w.write(b)
		w.end()
		return
	}
	// RFC 3676, 4.5: quote marks, then the space stuffed behind them.
	depth := 0
	for depth < len(b) && b[depth] == '>' {
		depth++
	}
	text := b[depth:]
	if len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	if w.para && depth != w.depth {
		w.endParagraph()
	}
	signature := string(text) == "-- "
	if signature && w.para {
		w.endParagraph()
	}
	if !w.para && depth > 0 {
		w.write(b[:depth])
		w.write([]byte(" "))
	}
	w.depth = depth
	if signature || len(text) == 0 || text[len(text)-1] != ' ' {
		w.write(text)
		w.para = true
		w.endParagraph()
		return
	}
	if w.delsp {
		text = text[:len(text)-1]
	}
	w.write(text)
	w.para = true
}

func (w *textWriter) endParagraph() {
	w.para = false
	w.end()
}

func (w *textWriter) end() { w.out.WriteString("\r\n") }

func (w *textWriter) finish() {
	if len(w.rest) > 0 {
		w.write(bytes.TrimSuffix(w.rest, []byte("\r")))
		w.open = true
	}
	if w.open || w.para {
		w.end()
	}
}

// write writes running text.
func (w *textWriter) write(b []byte) {
	if w.urls != sanitize.KeepURLs && bytes.Contains(b, []byte("://")) {
		s, n := rewriteURLs(string(b), w.urls)
		w.told.urls += n
		b = []byte(s)
	}
	if w.weigh {
		w.told.weight += weigh(b)
	}
	for {
		i := bytes.IndexByte(b, 0xe2)
		if i < 0 || i+3 > len(b) {
			break
		}
		if r, n := utf8.DecodeRune(b[i:]); turns(r) {
			w.out.Write(b[:i])
			w.told.turned++
			b = b[i+n:]
			continue
		}
		w.out.Write(b[:i+1])
		b = b[i+1:]
	}
	w.out.Write(b)
}

// opensLikeFile reports whether text begins with the mark of a file that is
// text itself, to some program.
func opensLikeFile(b []byte) bool {
	for _, mark := range []string{"#!", "%PDF-", "{\\rt", "%!PS", "ITSF", "ID;P"} {
		if bytes.HasPrefix(b, []byte(mark)) {
			return true
		}
	}
	return false
}

// turns reports whether r changes the direction in which what follows is
// shown. Mail in Arabic or Hebrew needs none of these: its letters carry their
// direction.
func turns(r rune) bool { return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 }

// weigh counts the letters of a line outside addresses.
func weigh(b []byte) (n int64) {
	for len(b) > 0 {
		i := bytes.IndexAny(b, " \t<>\u3000")
		word := b
		if i >= 0 {
			word = b[:i]
			_, size := utf8.DecodeRune(b[i:])
			b = b[i+size:]
		} else {
			b = nil
		}
		if bytes.Contains(word, []byte("://")) {
			continue
		}
		if plain := letters(word); plain >= 0 {
			n += plain
			continue
		}
		for _, r := range string(word) {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				n++
			}
		}
	}
	return n
}

// letters counts in ASCII, -1 when there is more than that.
func letters(b []byte) (n int64) {
	for _, c := range b {
		switch {
		case c >= 0x80:
			return -1
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			n++
		}
	}
	return n
}

// cutRune says how many bytes at the end of b begin a character that is not
// all there.
func cutRune(b []byte) int {
	for n := 1; n <= min(3, len(b)); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= 0x80 && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// rewriteURLs applies the profile's way with addresses to running text.
func rewriteURLs(s string, mode sanitize.URLs) (string, int) {
	var b strings.Builder
	n := 0
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			b.WriteString(s)
			return b.String(), n
		}
		start := -1
		for _, scheme := range []string{"https", "http", "ftp"} {
			if j := i - len(scheme); j >= 0 && strings.EqualFold(s[j:i], scheme) {
				start = j
				break
			}
		}
		if start < 0 {
			b.WriteString(s[:i+3])
			s = s[i+3:]
			continue
		}
		end := strings.IndexFunc(s[start:], func(r rune) bool {
			return r <= ' ' || r == '<' || r == '>' || r == '"' || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef || unicode.IsSpace(r)
		})
		if end < 0 {
			end = len(s) - start
		}
		b.WriteString(s[:start])
		addr := s[start : start+end]
		n++
		if mode == sanitize.DefangURLs {
			scheme, rest, _ := strings.Cut(addr, "://")
			host, path, _ := strings.Cut(rest, "/")
			fmt.Fprintf(&b, "%s://%s", defanged[strings.ToLower(scheme)], strings.ReplaceAll(host, ".", "[.]"))
			if len(path) > 0 || strings.Contains(rest, "/") {
				b.WriteString("/" + path)
			}
		} else {
			b.WriteString("[URL]")
		}
		s = s[start+end:]
	}
}

var defanged = map[string]string{"http": "hxxp", "https": "hxxps", "ftp": "fxp"}
