package header

import (
	"strings"
)

// Mailbox is one element of an address list.
type Mailbox struct {
	Name  string // display name, decoded
	Addr  string // as written: nothing is corrected, quoted or folded to lower case
	Group string // name of the group it stands in, decoded
}

// ParseAddressList reads From, To, Cc and the like. It takes addresses as they
// come, those of Japanese telephones above all (.a..b.@docomo.ne.jp), which no
// standard allows and which must be answered as they are. An element without
// an address keeps its text as Name; an empty group is a Mailbox with nothing
// but Group.
//
// It is one pass over the text with a bound on nothing but its length: lists
// of thousands, and literals of a hundred kilobytes, cost what their bytes cost.
func ParseAddressList(raw string) ([]Mailbox, Flags) {
	s := Unfold(raw)
	p := addressParser{scanner: scanner{s: s, letter: letters(s)}}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == 0:
			p.flags |= NUL
		case c < ' ' && c != '\t' && c != 0x1b || c == 0x7f:
			p.flags |= Control
		case c >= 0x80 || c == 0x1b:
			p.flags |= RawBytes
		}
	}
	p.run()
	return p.list, p.flags
}

type addressParser struct {
	scanner
	list []Mailbox

	inGroup bool
	group   string
	members int

	// The element being read.
	phrase  strings.Builder // what is shown: quoting undone
	written strings.Builder // what stands there
	comment string
	angle   string
	hasAddr bool // an angle bracket was seen
	hasAt   bool // an @ was written outside of one
	hasText bool // something but blanks was
	end     int  // of the next "?=", for word
}

func (p *addressParser) run() {
	p.end = -1
	for p.more() {
		switch b := p.at(p.i); {
		case b == '"':
			from := p.i
			text, _ := p.quoted()
			p.text(text, p.s[from:p.i])
		case b == '(':
			from := p.i
			p.i = p.scanner.comment(p.i)
			if c := strings.TrimSuffix(p.s[from+1:p.i], ")"); p.comment == "" {
				p.comment = c
			}
			p.text(" ", " ")
		case b == '<':
			p.bracket()
		case b == ',':
			p.i++
			p.finish()
		case b == ';':
			p.i++
			p.finish()
			if !p.inGroup {
				p.flags |= BadSeparator
			}
			p.closeGroup()
		case b == ':' && !p.inGroup && !p.hasAddr && p.hasText && !p.hasAt:
			p.i++
			p.group = p.decode(p.phrase.String())
			p.inGroup, p.members = true, 0
			p.reset()
		case b == '[' && strings.HasSuffix(p.written.String(), "@"):
			// A domain literal may hold colons.
			n := strings.IndexByte(p.s[p.i:], ']')
			if n < 0 {
				n = len(p.s) - p.i - 1
			}
			p.text(p.s[p.i:p.i+n+1], p.s[p.i:p.i+n+1])
			p.i += n + 1
		case b == '=' && p.i+1 < len(p.s) && p.s[p.i+1] == '?':
			n := 2
			if _, l, seen := word(p.s, p.i, &p.end); seen && l > 0 {
				n = l
				if w := p.s[p.i : p.i+n]; strings.ContainsAny(w, `,;:<>@"()`) {
					p.flags |= SpecialInWord
				}
			}
			p.text(p.s[p.i:p.i+n], p.s[p.i:p.i+n])
			p.i += n
		default:
			from := p.i
			p.i++
			for p.more() {
				if c := p.at(p.i); strings.IndexByte(`"(<,;:[=`, c) >= 0 {
					break
				}
				p.i++
			}
			p.text(p.s[from:p.i], p.s[from:p.i])
		}
	}
	p.finish()
	if p.inGroup {
		p.flags |= UnterminatedGroup
		p.closeGroup()
	}
}

func (p *addressParser) text(shown, written string) {
	if trim(written) != "" {
		p.hasText = true
		if p.hasAddr {
			p.flags |= JunkAfterAddress
		}
	}
	// An @ in quotes or in an encoded word makes no address.
	if written != "" && written[0] != '"' && !strings.HasPrefix(written, "=?") {
		p.hasAt = p.hasAt || strings.Contains(written, "@")
	}
	p.phrase.WriteString(shown)
	p.written.WriteString(written)
}

// bracket reads an address in angle brackets.
func (p *addressParser) bracket() {
	p.i++
	from := p.i
	closed := false
	for p.more() && !closed {
		switch b := p.at(p.i); {
		case b == '"':
			p.quoted()
		case b == '>':
			closed = true
		case b == '(' && strings.IndexByte(p.s[p.i:], ')') > 0:
			p.i = p.scanner.comment(p.i)
		case b == '<' || b == ',' && !p.route(from):
			// Another one begins, or the list goes on.
			goto done
		default:
			p.i++
		}
	}
done:
	addr := trim(p.s[from:p.i])
	if strings.ContainsRune(addr, '(') {
		addr = p.uncomment(from, p.i)
	}
	if closed {
		p.i++
	} else {
		p.flags |= UnterminatedAngle
	}
	if strings.HasPrefix(addr, "@") {
		if _, rest, ok := strings.Cut(addr, ":"); ok {
			p.flags |= SourceRoute
			addr = trim(rest)
		}
	}
	if p.hasAddr {
		// Which of two is shown differs; all are reported.
		p.flags |= DoubleAngle
		p.finish()
	}
	p.angle, p.hasAddr = addr, true
}

// uncomment returns what stands between from and to without comments.
func (p *addressParser) uncomment(from, to int) string {
	c := scanner{s: p.s[:to], letter: p.letter, i: from}
	var b strings.Builder
	for c.more() {
		switch c.at(c.i) {
		case '"':
			at := c.i
			c.quoted()
			b.WriteString(c.s[at:c.i])
		case '(':
			c.i = c.comment(c.i)
			c.flags |= Comment
		default:
			b.WriteByte(c.s[c.i])
			c.i++
		}
	}
	p.flags |= c.flags
	return trim(b.String())
}

// route reports that what began at from is a source route, in which commas
// separate its hosts.
func (p *addressParser) route(from int) bool {
	return from < len(p.s) && p.s[from] == '@'
}

// finish ends an element.
func (p *addressParser) finish() {
	defer p.reset()
	m := Mailbox{Group: p.group}
	written := trim(p.written.String())
	switch {
	case p.hasAddr:
		m.Addr = p.angle
		m.Name = p.decode(p.phrase.String())
		if strings.Contains(m.Name, "@") && m.Name != m.Addr {
			p.flags |= AddressInName
		}
		if m.Addr == "" {
			p.flags |= NoAddress
		}
	case written == "":
		return
	case !p.hasAt:
		m.Name = p.decode(p.phrase.String())
		p.flags |= NoAddress
	default:
		m.Addr = written
		if i := strings.LastIndexAny(written, " \t"); i >= 0 && !strings.HasPrefix(written, `"`) {
			// "Name user@example.jp"
			p.flags |= NoAngle
			m.Name, m.Addr = p.decode(written[:i]), written[i+1:]
			if !strings.Contains(m.Addr, "@") {
				m.Name, m.Addr = p.decode(written), ""
				p.flags |= NoAddress
			}
		}
	}
	if m.Name == "" && p.comment != "" {
		m.Name = p.decode(p.comment)
	}
	p.members++
	p.list = append(p.list, m)
}

func (p *addressParser) reset() {
	p.phrase.Reset()
	p.written.Reset()
	p.comment, p.angle = "", ""
	p.hasAddr, p.hasAt, p.hasText = false, false, false
}

func (p *addressParser) closeGroup() {
	if p.inGroup && p.members == 0 {
		p.list = append(p.list, Mailbox{Group: p.group})
	}
	p.inGroup, p.group = false, ""
}

func (p *addressParser) decode(s string) string {
	t := Decode(s)
	p.flags |= t.Flags &^ RawBytes
	return t.String
}

// ParseMsgIDs returns the message ids of a field such as References, without
// their angle brackets. What cannot be an id is left out.
func ParseMsgIDs(raw string) []string {
	s := Unfold(raw)
	var ids []string
	for len(s) > 0 {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		s = s[i+1:]
		j := strings.IndexAny(s, "<>")
		if j < 0 {
			break
		}
		id := s[:j]
		if s[j] == '<' {
			s = s[j:]
			continue
		}
		s = s[j+1:]
		// Exchange folds long ids in the middle.
		id = strings.Map(func(r rune) rune {
			if r == ' ' || r == '\t' {
				return -1
			}
			return r
		}, id)
		if validID(id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		// Some software leaves the brackets out.
		for _, id := range strings.Fields(Unfold(raw)) {
			if strings.IndexByte(id, '@') > 0 && validID(id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// maxID keeps an id with its brackets and its blank on one line of 998.
const maxID = 900

func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := 0; i < len(id); i++ {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}
