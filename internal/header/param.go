package header

import (
	"slices"
	"strings"

	"sekisho/internal/charset"
)

// Form is the way a parameter was written.
type Form uint8

const (
	Plain    Form = iota + 1 // name=value
	Extended                 // name*=charset'language'value
	Pieces                   // name*0=..., name*1*=...
)

// Param is one parameter as most readers understand it.
type Param struct {
	Name    string // in lower case, without what RFC 2231 adds
	Value   string // decoded, valid UTF-8 without control characters
	Raw     string // the bytes between the delimiters; pieces joined; quoting undone, nothing else
	Form    Form
	Charset string // the declared one, as written
	Quoted  bool
}

// Params are the parameters of one field, duplicates included.
type Params []Param

// All returns the parameters of this name, in every form.
func (p Params) All(name string) Params {
	var all Params
	for _, q := range p {
		if q.Name == name {
			all = append(all, q)
		}
	}
	return all
}

// Get returns the parameter most readers take: the extended form before the
// pieces before the plain one, and of equals the first. ParseParams' flags say
// whether there was a choice.
func (p Params) Get(name string) (Param, bool) {
	for _, f := range []Form{Extended, Pieces, Plain} {
		for _, q := range p {
			if q.Name == name && q.Form == f {
				return q, true
			}
		}
	}
	return Param{}, false
}

// ParseParams reads a value with parameters, such as that of Content-Type or
// Content-Disposition. It returns the value before the first semicolon, without
// comments and as it was written otherwise.
//
// Raw bytes of CP932 and ISO-2022-JP are read by character, so that the 0x5C
// in 申 is no backslash and the 0x22 in a shifted character ends no string.
func ParseParams(raw string) (value string, params Params, flags Flags) {
	value, list, flags := scan(Unfold(raw), true)
	return value, assemble(list, &flags), flags
}

// rawParam is one parameter as scanned.
type rawParam struct {
	attr   string // as written
	text   string // the value with its quoting undone
	bytes  string // the value as it stands between its delimiters
	token  string // of an unquoted value: what comes before the first blank
	junk   string // what follows the value before the semicolon
	quoted bool
}

// scanner walks over a value. Bytes that are part of a two-byte character count
// as letters.
type scanner struct {
	s      string
	letter []bool // nil: none
	i      int
	flags  Flags
}

func (c *scanner) more() bool { return c.i < len(c.s) }

// at returns the byte at i for the purposes of syntax.
func (c *scanner) at(i int) byte {
	if c.letter != nil && c.letter[i] {
		return 'a'
	}
	return c.s[i]
}

// blanks skips blanks and comments.
func (c *scanner) blanks() bool {
	from := c.i
	for c.more() {
		switch b := c.at(c.i); {
		case blank(b):
			c.i++
		case b == '(':
			c.flags |= Comment
			c.i = c.comment(c.i)
		default:
			return c.i > from
		}
	}
	return c.i > from
}

// comment returns the end of the comment that begins at i. They nest, and
// counting is all that takes.
func (c *scanner) comment(i int) int {
	depth := 0
	for ; i < len(c.s); i++ {
		switch c.at(i) {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	c.flags |= UnterminatedQuote
	return len(c.s)
}

// quoted reads the quoted string at c.i.
func (c *scanner) quoted() (text, bytes string) {
	from := c.i + 1
	var b strings.Builder
	for i := from; i < len(c.s); i++ {
		switch c.at(i) {
		case '"':
			c.i = i + 1
			return b.String(), c.s[from:i]
		case '\\':
			if i+1 < len(c.s) {
				i++
			}
		}
		b.WriteByte(c.s[i])
	}
	c.flags |= UnterminatedQuote
	c.i = len(c.s)
	return b.String(), c.s[from:]
}

// letters marks the bytes of s that look like syntax and are parts of
// characters. Nothing is marked unless something can be.
func letters(s string) []bool {
	if !strings.ContainsRune(s, 0x1b) && (isASCII(s) || charset.Detect([]byte(s)) != "cp932") {
		return nil
	}
	m := make([]bool, len(s))
	if charset.Detect([]byte(s)) == "iso-2022-jp" {
		for i := 0; i < len(s); {
			if s[i] != 0x1b {
				i++
				continue
			}
			n := shifted(s[i:])
			if n > 6 {
				for j := i; j < i+n; j++ {
					m[j] = true
				}
			}
			i += n
		}
		return m
	}
	for i := 0; i+1 < len(s); i++ {
		if c := s[i]; 0x81 <= c && c <= 0x9f || 0xe0 <= c && c <= 0xfc {
			if t := s[i+1]; t >= 0x40 && t != 0x7f {
				m[i+1] = true
				i++
			}
		}
	}
	return m
}

// scan cuts a value into its parameters. It goes on after every mistake.
func scan(s string, aware bool) (value string, list []rawParam, flags Flags) {
	c := &scanner{s: s}
	if aware {
		c.letter = letters(s)
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == 0:
			c.flags |= NUL
		case s[i] < ' ' && s[i] != '\t' && s[i] != 0x1b || s[i] == 0x7f:
			c.flags |= Control
		case s[i] >= 0x80 || s[i] == 0x1b:
			c.flags |= RawBytes
		}
	}
	value = c.value()
	for c.more() {
		before := c.i
		if p, ok := c.param(); ok {
			list = append(list, p)
		}
		if c.i == before {
			c.i++
		}
	}
	return value, list, c.flags
}

// value reads what comes before the first semicolon.
func (c *scanner) value() string {
	var b strings.Builder
	for c.more() {
		gap := c.blanks()
		if !c.more() {
			break
		}
		if c.at(c.i) == ';' {
			c.i++
			break
		}
		if gap && b.Len() > 0 {
			// "text/plain charset=x": a semicolon was left out.
			if c.assignment() {
				c.flags |= MissingSemicolon
				break
			}
			c.flags |= BadValue
			b.WriteByte(' ')
		}
		if c.at(c.i) == '"' {
			c.flags |= BadValue
			from := c.i
			c.quoted()
			b.WriteString(c.s[from:c.i])
			continue
		}
		if c.at(c.i) == '=' || c.at(c.i) == ',' {
			c.flags |= BadValue
		}
		b.WriteByte(c.s[c.i])
		c.i++
	}
	return b.String()
}

// assignment reports that the scanner stands before "name=".
func (c *scanner) assignment() bool {
	for i := c.i; i < len(c.s); i++ {
		b := c.at(i)
		if b == '=' {
			return i > c.i && (i+1 >= len(c.s) || c.at(i+1) != '?')
		}
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?`, b) >= 0 {
			return false
		}
	}
	return false
}

// param reads one parameter and the semicolon after it.
func (c *scanner) param() (p rawParam, ok bool) {
	c.blanks()
	from := c.i
	for c.more() {
		b := c.at(c.i)
		if b == '=' || b == ';' || b == '"' || b == '(' || blank(b) {
			break
		}
		c.i++
	}
	p.attr = c.s[from:c.i]
	if c.blanks() && c.more() && c.at(c.i) == '=' {
		c.flags |= SpaceAroundEquals
	}
	if !c.more() || c.at(c.i) != '=' {
		if p.attr != "" || c.more() && c.at(c.i) != ';' {
			c.flags |= BadParam
		}
		if p.attr == "" && c.more() && c.at(c.i) == '"' {
			c.quoted()
		}
		if c.more() && c.at(c.i) == ';' {
			c.i++
		}
		return p, false
	}
	c.i++
	if c.blanks() {
		c.flags |= SpaceAroundEquals
	}
	if c.more() && c.at(c.i) == '"' {
		p.quoted = true
		p.text, p.bytes = c.quoted()
		p.token = p.text
		p.junk = c.rest(true)
		if p.junk != "" {
			c.flags |= JunkAfterValue
		}
		return p, true
	}
	at := c.i
	c.rest(false)
	end := c.i
	if end > at && c.at(end-1) == ';' {
		end--
	}
	p.bytes = trim(c.s[at:end])
	p.text = p.bytes
	p.token = p.bytes
	for i := len(p.bytes) - 1; i >= 0; i-- {
		b := c.at(at + i)
		if b == '(' {
			c.flags |= Comment
		}
		if blank(b) || b == '(' {
			p.token = p.bytes[:i]
		}
	}
	// RFC 2045, 5.1: what a token may hold.
	for i := 0; i < len(p.bytes); i++ {
		if b := p.bytes[i]; b <= ' ' || b == 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, b) >= 0 {
			c.flags |= Unquoted
			break
		}
	}
	return p, true
}

// rest reads up to and with the next semicolon, or up to what must be the next
// parameter, and returns what it read, trimmed. After a quoted value comments
// are no junk; in an unquoted one they are part of it, because many readers
// show them.
func (c *scanner) rest(afterQuote bool) string {
	var b strings.Builder
	for c.more() {
		gap := false
		if afterQuote {
			gap = c.blanks()
		} else {
			for c.more() && blank(c.at(c.i)) {
				gap = true
				c.i++
			}
		}
		if !c.more() {
			break
		}
		if c.at(c.i) == ';' {
			c.i++
			break
		}
		if (gap || afterQuote && b.Len() == 0) && c.assignment() {
			c.flags |= MissingSemicolon
			break
		}
		if gap && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(c.s[c.i])
		c.i++
	}
	return b.String()
}

// section is what RFC 2231 adds to a name.
type section struct {
	base     string
	number   int // of a piece, or -1
	extended bool
	odd      bool
}

// maxPiece bounds piece numbers; a name of 255 bytes needs a dozen.
const maxPiece = 999

func sectionOf(attr string) section {
	name, rest, star := strings.Cut(lower(attr), "*")
	s := section{base: trim(name), number: -1}
	if !star {
		return s
	}
	if rest, s.extended = strings.CutSuffix(rest, "*"); rest == "" {
		s.odd = s.extended // "name**"
		s.extended = true
		return s
	}
	n := 0
	for i := 0; i < len(rest); i++ {
		if rest[i] < '0' || rest[i] > '9' || n > maxPiece {
			s.odd = true
			return s
		}
		n = n*10 + int(rest[i]-'0')
	}
	if n > maxPiece {
		s.odd = true
		return s
	}
	s.number = n
	// RFC 2231, 3: no leading zeros.
	s.odd = len(rest) > 1 && rest[0] == '0'
	return s
}

// segment is a piece of a continued parameter.
type segment struct {
	number   int
	extended bool
	text     string
	quoted   bool
}

// assemble makes parameters of what was scanned, in the order of their first
// appearance.
func assemble(list []rawParam, flags *Flags) Params {
	var params Params
	pieces := map[string][]segment{}
	at := map[string]int{}
	forms := map[string]map[Form]int{}
	count := func(base string, f Form) {
		if forms[base] == nil {
			forms[base] = map[Form]int{}
		}
		forms[base][f]++
	}
	for _, r := range list {
		s := sectionOf(r.attr)
		if s.base == "" {
			*flags |= BadParam
			continue
		}
		if s.odd {
			*flags |= BadContinuation
		}
		switch {
		case s.number >= 0:
			if _, ok := pieces[s.base]; !ok {
				at[s.base] = len(params)
				params = append(params, Param{Name: s.base, Form: Pieces})
				count(s.base, Pieces)
			}
			pieces[s.base] = append(pieces[s.base], segment{s.number, s.extended, r.text, r.quoted})
		case s.extended:
			label, data, ok := extended(r.text)
			if !ok {
				*flags |= BadExtended
			}
			p := Param{Name: s.base, Form: Extended, Raw: r.text, Charset: label, Quoted: r.quoted}
			p.Value = decodeIn(label, data, flags)
			params = append(params, p)
			count(s.base, Extended)
		default:
			p := Param{Name: s.base, Form: Plain, Raw: r.text, Quoted: r.quoted}
			p.Value = decodePlain(r.text, flags)
			params = append(params, p)
			count(s.base, Plain)
		}
	}
	for base, segs := range pieces {
		p := &params[at[base]]
		label, data, raw, odd := join(segs, false)
		*flags |= odd
		p.Raw, p.Charset = raw, label
		if label == "" && !anyExtended(segs) {
			p.Value = decodePlain(data, flags)
		} else {
			p.Value = decodeIn(label, data, flags)
		}
	}
	for _, f := range forms {
		if f[Plain] > 1 || f[Extended] > 1 {
			*flags |= DuplicateParam
		}
		if f[Extended]+f[Pieces] > 0 {
			*flags |= Continued
			if len(f) > 1 {
				*flags |= MixedForms
			}
		}
	}
	return params
}

func anyExtended(segs []segment) bool {
	return slices.ContainsFunc(segs, func(s segment) bool { return s.extended })
}

// join puts pieces together by their numbers. Of two pieces with one number it
// takes the first, or the last if last is set.
func join(segs []segment, last bool) (label, data, raw string, odd Flags) {
	sorted := slices.Clone(segs)
	if last {
		slices.Reverse(sorted)
	}
	slices.SortStableFunc(sorted, func(a, b segment) int { return a.number - b.number })
	var d, r strings.Builder
	next := 0
	for i, s := range sorted {
		if i > 0 && s.number == sorted[i-1].number {
			odd |= DuplicateParam | BadContinuation
			continue
		}
		if s.number != next {
			odd |= BadContinuation
		}
		next = s.number + 1
		r.WriteString(s.text)
		text := s.text
		if s.extended {
			if i == 0 {
				var ok bool
				if label, text, ok = extended(s.text); !ok {
					odd |= BadExtended
				}
			} else {
				var ok bool
				if text, ok = unpercent(s.text); !ok {
					odd |= BadExtended
				}
			}
		}
		d.WriteString(text)
	}
	return label, d.String(), r.String(), odd
}

// extended takes an RFC 2231 value apart and decodes its octets.
func extended(s string) (label, data string, ok bool) {
	label, rest, ok := strings.Cut(s, "'")
	if ok {
		if _, rest, ok = strings.Cut(rest, "'"); ok {
			data, ok = unpercent(rest)
			return label, data, ok && label != ""
		}
	}
	data, _ = unpercent(s)
	return "", data, false
}

// unpercent undoes the percent encoding. A percent sign that introduces nothing
// stays, and ok is false.
func unpercent(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	ok := true
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0 {
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
			continue
		}
		ok = false
		b = append(b, '%')
	}
	return string(b), ok
}

// decodePlain decodes a value that may hold encoded words or raw bytes.
func decodePlain(s string, flags *Flags) string {
	if plain(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s
	}
	t := decodeWords(s, true)
	if t.Words > 0 {
		*flags |= EncodedParam
	}
	t.clean()
	*flags |= t.Flags
	return t.String
}

func decodeIn(label, data string, flags *Flags) string {
	if _, ok := charset.Known(label); !ok && label != "" {
		*flags |= UnknownCharset
	}
	r := charset.DecodeString(label, data)
	if r.Contradicted {
		*flags |= WrongCharset
	}
	t := Text{String: r.Text}
	t.clean()
	*flags |= t.Flags
	return t.String
}
