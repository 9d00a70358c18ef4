package header

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// ErrName is returned for a field or parameter name, or a value, that may not
// be written.
var ErrName = errors.New("not a header name")

const (
	foldAt   = 76  // RFC 2047, 2 for lines with encoded words; we fold all there
	fill     = 74  // what we fill a line to: a comma or semicolon may follow
	maxToken = 900 // a longer word could not stand on a line of 998
	wordOver = len("=?UTF-8?B?") + len("?=")
	whole    = fill - 1 - wordOver // what a word on a line of its own holds
)

// folder builds one field.
type folder struct {
	buf []byte
	col int // octets on the line
	// first says that nothing stands after the colon yet: no fold there, a
	// first line without text is taken for the end of a field by some.
	first bool
}

func newFolder(name string) (*folder, error) {
	if name == "" || len(name) > 70 {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return nil, fmt.Errorf("%w: %q", ErrName, name)
		}
	}
	f := &folder{first: true}
	f.put(name + ":")
	return f, nil
}

func (f *folder) put(s string) {
	f.buf = append(f.buf, s...)
	f.col += len(s)
}

// token writes blanks and what follows them, on a new line when it does not fit.
func (f *folder) token(gap, s string) {
	if !f.first && gap != "" && f.col+len(gap)+len(s) > fill {
		f.buf = append(f.buf, "\r\n"...)
		f.col = 0
	}
	f.first = false
	f.put(gap)
	f.put(s)
}

// words writes text as encoded words, cut between characters and at most 75
// long, each on its line but the first, which begins where there is room.
// before and after are glued to the first and last word.
func (f *folder) words(gap, before, text, after string) {
	for first := true; first || text != ""; first = false {
		room := fill - f.col - len(gap) - len(before) - wordOver - len(after)
		// Less than three characters are not worth a word, and what fits one
		// word is not made two: some readers put a blank between them.
		if need := (len(text) + 2) / 3 * 4; !f.first && (room < 16 || need > room && need <= whole-len(before)-len(after)) {
			f.buf = append(f.buf, "\r\n"...)
			f.col = 0
			room = fill - len(gap) - len(before) - wordOver - len(after)
		}
		n := cutAt(text, max(room, 16)/4*3)
		f.first = false
		f.put(gap)
		f.put(before)
		f.put("=?UTF-8?B?")
		f.put(base64.StdEncoding.EncodeToString([]byte(text[:n])))
		f.put("?=")
		text = text[n:]
		gap, before = " ", ""
	}
	f.put(after)
}

// cutAt returns where to cut s so that at most n bytes and whole characters
// come before; at least one character.
func cutAt(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	if n == 0 {
		_, n = utf8.DecodeRuneInString(s)
	}
	return n
}

func (f *folder) end(w io.Writer) error {
	f.buf = append(f.buf, "\r\n"...)
	if _, err := w.Write(f.buf); err != nil {
		return fmt.Errorf("write header field: %w", err)
	}
	return nil
}

// tidy makes a value what may be written: valid UTF-8, no control characters,
// no blanks at its ends.
func tidy(s string) string {
	t := Text{String: strings.ToValidUTF8(s, "\uFFFD")}
	t.clean()
	return t.String
}

// WriteField writes an unstructured field such as Subject. Words of ASCII stay
// as they are; what is not ASCII, or could be taken for an encoded word, becomes
// encoded words in UTF-8. Control characters are dropped and line breaks become
// blanks, so that no value makes a line of its own.
func WriteField(w io.Writer, name, value string) error {
	f, err := newFolder(name)
	if err != nil {
		return err
	}
	f.unstructured(tidy(value))
	return f.end(w)
}

func (f *folder) unstructured(s string) {
	for s != "" {
		gap, tok, rest := next(s)
		if f.first {
			gap = " "
		}
		if !encode(gap, tok) {
			f.token(gap, tok)
			s = rest
			continue
		}
		// Take in what follows as long as it must be encoded too: blanks
		// between encoded words are not shown (RFC 2047, 6.2).
		text := tok
		if len(gap) > 1 {
			text, gap = gap[1:]+tok, " "
		}
		for rest != "" {
			g, t, r := next(rest)
			if !encode(g, t) {
				break
			}
			text += g + t
			rest = r
		}
		f.words(gap, "", text, "")
		s = rest
	}
}

// next cuts the blanks and the word after them off s.
func next(s string) (gap, tok, rest string) {
	i := 0
	for i < len(s) && s[i] == ' ' {
		i++
	}
	j := i
	for j < len(s) && s[j] != ' ' {
		j++
	}
	return s[:i], s[i:j], s[j:]
}

// encode reports that a word has to be written encoded.
func encode(gap, tok string) bool {
	return !isASCII(tok) || strings.Contains(tok, "=?") || len(tok) > maxToken || len(gap) > 20 || tok == ""
}

// WriteAddresses writes an address list. Display names are encoded when they
// have to be, addresses are written as they are, between mailboxes the line may
// fold. A mailbox whose address cannot stand in an ASCII header is written as an
// empty group with the text of name and address (RFC 6857, 3.1): it is shown,
// and nothing can be sent to it by mistake.
func WriteAddresses(w io.Writer, name string, list []Mailbox) error {
	f, err := newFolder(name)
	if err != nil {
		return err
	}
	for i := 0; i < len(list); {
		m := list[i]
		last := i == len(list)-1
		if m.Group != "" {
			j := i
			for j+1 < len(list) && list[j+1].Group == m.Group && !m.empty() && !list[j+1].empty() {
				j++
			}
			f.group(list[i:j+1], j == len(list)-1)
			i = j + 1
			continue
		}
		f.mailbox(m, comma(last))
		i++
	}
	return f.end(w)
}

func (m Mailbox) empty() bool { return m.Name == "" && m.Addr == "" }

func comma(last bool) string {
	if last {
		return ""
	}
	return ","
}

func (f *folder) group(list []Mailbox, last bool) {
	f.phrase(list[0].Group, ":")
	var inner, outer []Mailbox
	for _, m := range list {
		// Groups do not nest: what can only be written as one follows this one.
		switch {
		case plainAddr(m.Addr):
			inner = append(inner, m)
		case !m.empty():
			outer = append(outer, m)
		}
	}
	for i, m := range inner {
		f.mailbox(m, comma(i == len(inner)-1))
	}
	f.put(";" + comma(last && len(outer) == 0))
	for i, m := range outer {
		f.mailbox(m, comma(last && i == len(outer)-1))
	}
}

func (f *folder) mailbox(m Mailbox, after string) {
	name := tidy(m.Name)
	switch {
	case plainAddr(m.Addr) && name == "" && simple(m.Addr):
		f.token(" ", m.Addr+after)
	case plainAddr(m.Addr) && name == "":
		// In angle brackets more readers take the dots of a telephone.
		f.token(" ", "<"+m.Addr+">"+after)
	case plainAddr(m.Addr):
		f.phrase(name, "")
		f.token(" ", "<"+m.Addr+">"+after)
	default:
		text := name
		if addr := tidy(m.Addr); addr != "" {
			text = trim(name + " <" + addr + ">")
		}
		if text == "" {
			text = "?"
		}
		f.phrase(text, ":;"+after)
	}
}

// phrase writes a display name with after glued to it.
func (f *folder) phrase(name, after string) {
	name = tidy(name)
	switch {
	case !isASCII(name) || strings.Contains(name, "=?") || len(name) > foldAt-4 || name == "":
		if strings.HasPrefix(after, ":") {
			after = " " + after // RFC 2047, 5 (3): a word ends with a blank
		}
		f.words(" ", "", name, after)
	case atoms(name):
		f.token(" ", name+after)
	default:
		f.token(" ", quote(name)+after)
	}
}

// atoms reports a phrase that needs no quotes.
func atoms(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !atext(c) && !(c == ' ' && i > 0 && s[i-1] != ' ') {
			return false
		}
	}
	return s != ""
}

// simple reports an address that is right by every standard.
func simple(addr string) bool {
	local, domain, _ := strings.Cut(addr, "@")
	for _, part := range strings.Split(local+"."+domain, ".") {
		if !atoms(part) || strings.Contains(part, " ") {
			return false
		}
	}
	return true
}

// atext is that of RFC 5322, 3.2.3.
func atext(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// MaxAddr bounds an address that is written as one: RFC 5321's 64 octets of
// local part, an @, and 255 of domain.
const MaxAddr = 320

// plainAddr reports an address that can be written as it is and means one
// mailbox to every reader. Dots may stand where they like.
func plainAddr(a string) bool {
	if a == "" || len(a) > MaxAddr {
		return false
	}
	ats, quoted, literal := 0, false, false
	for i := 0; i < len(a); i++ {
		switch c := a[i]; {
		case c < ' ' || c >= 0x7f:
			return false
		case quoted:
			if c == '\\' {
				if i++; i == len(a) || a[i] < ' ' || a[i] >= 0x7f {
					return false
				}
			}
			quoted = c != '"'
		case literal:
			if c == ' ' || c == '[' || c == '\\' {
				return false
			}
			literal = c != ']'
		case c == '"':
			if i > 0 {
				return false
			}
			quoted = true
		case c == '[':
			if i == 0 || a[i-1] != '@' {
				return false
			}
			literal = true
		case c == '@':
			if ats++; ats > 1 || i == 0 || i == len(a)-1 {
				return false
			}
		case !atext(c) && c != '.':
			return false
		}
	}
	return ats == 1 && !quoted && !literal && !strings.Contains(a, "=?")
}

// WriteIDs writes message ids, given without angle brackets, as In-Reply-To and
// References have them. What cannot be one is left out; if nothing is left,
// nothing is written.
func WriteIDs(w io.Writer, name string, ids []string) error {
	f, err := newFolder(name)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if validID(id) {
			f.token(" ", "<"+id+">")
		}
	}
	if f.first {
		return nil
	}
	return f.end(w)
}

// WriteParams writes a field with parameters: value, then the Name and Value of
// each of params; their other fields do not matter.
//
// What is not short ASCII is written so that both kinds of readers get it:
// "name" as RFC 2047 words in quotes, which is wrong by the standard and read
// by everything in use in Japan; "filename" by RFC 2231, in pieces when it is
// long, and after it in words like "name", for readers that know nothing else;
// any other parameter by RFC 2231 alone.
func WriteParams(w io.Writer, name, value string, params ...Param) error {
	f, err := newFolder(name)
	if err != nil {
		return err
	}
	if !mediaToken(value) {
		return fmt.Errorf("%w: value %q of %s", ErrName, value, name)
	}
	seen := map[string]bool{}
	f.token(" ", value)
	for _, p := range params {
		attr := lower(p.Name)
		// Twice the same parameter is what we hold others' mail for.
		if !mediaToken(attr) || strings.ContainsAny(attr, "/*'%") || len(attr) > 30 || seen[attr] {
			return fmt.Errorf("%w: parameter %q of %s", ErrName, p.Name, name)
		}
		seen[attr] = true
		f.param(attr, tidy(p.Value))
	}
	return f.end(w)
}

func (f *folder) param(attr, v string) {
	if isASCII(v) && !strings.Contains(v, "=?") && len(attr)+len(v) < foldAt-8 {
		f.put(";")
		if !mediaToken(v) || strings.ContainsAny(v, "/'%*") {
			// RFC 2231, 3, gives the last three a meaning, and readers look for it
			// where it has none.
			v = quote(v)
		}
		f.token(" ", attr+"="+v)
		return
	}
	if attr != "name" {
		f.extended(attr, v)
	}
	if attr == "name" || attr == "filename" {
		f.put(";")
		f.words(" ", attr+`="`, v, `"`)
	}
}

// extended writes RFC 2231, in pieces if one line does not do, cut between
// characters.
func (f *folder) extended(attr, v string) {
	const label = "UTF-8''"
	enc := percent(v)
	if len(attr)+len("*=")+len(label)+len(enc) < foldAt-2 {
		f.put(";")
		f.token(" ", attr+"*="+label+enc)
		return
	}
	prefix := label
	for n := 0; v != ""; n++ {
		head := fmt.Sprintf("%s*%d*=%s", attr, n, prefix)
		room := foldAt - 2 - len(head)
		i := 0
		used := 0
		for i < len(v) {
			_, size := utf8.DecodeRuneInString(v[i:])
			l := len(percent(v[i : i+size]))
			if used+l > room && i > 0 {
				break
			}
			used += l
			i += size
		}
		f.put(";")
		f.token(" ", head+percent(v[:i]))
		v = v[i:]
		prefix = ""
	}
}

// percent encodes for RFC 2231 (attribute-char).
func percent(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if atext(c) && c != '*' && c != '\'' && c != '%' && !(c == '/' || c == '=' || c == '?') || c == '.' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// mediaToken reports a token, or two with a slash: RFC 2045, 5.1.
func mediaToken(s string) bool {
	if s == "" || len(s) > 200 || strings.Count(s, "/") > 1 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !atext(c) && c != '.' || c == '=' || c == '?' {
			return false
		}
	}
	return true
}
