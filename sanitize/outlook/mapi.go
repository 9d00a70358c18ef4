package outlook

import (
	"encoding/binary"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"sekisho/internal/header"
	"sekisho/sanitize"
)

// The properties that are read. [MS-OXPROPS].
const (
	pidMessageClass     = 0x001A
	pidSubject          = 0x0037
	pidClientSubmitTime = 0x0039
	pidSentName         = 0x0042
	pidSentAddress      = 0x0065
	pidSenderName       = 0x0C1A
	pidSenderAddress    = 0x0C1F
	pidRecipientType    = 0x0C15
	pidDisplayBcc       = 0x0E02
	pidDisplayCc        = 0x0E03
	pidDisplayTo        = 0x0E04
	pidDeliveryTime     = 0x0E06
	pidBody             = 0x1000
	pidRTF              = 0x1009
	pidHTML             = 0x1013
	pidMessageID        = 0x1035
	pidReferences       = 0x1039
	pidInReplyTo        = 0x1042
	pidDisplayName      = 0x3001
	pidEmailAddress     = 0x3003
	pidAttachData       = 0x3701
	pidAttachName       = 0x3704
	pidAttachMethod     = 0x3705
	pidAttachLongName   = 0x3707
	pidAttachMedia      = 0x370E
	pidAttachContentID  = 0x3712
	pidSMTPAddress      = 0x39FE
	pidCodepage         = 0x3FFD
	pidInternetCodepage = 0x3FDE
	pidSenderSMTP       = 0x5D01
	pidSentSMTP         = 0x5D02
)

// The types of their values. [MS-OXCDATA] 2.11.1.
const (
	typeInteger16 = 0x0002
	typeInteger32 = 0x0003
	typeBoolean   = 0x000B
	typeObject    = 0x000D
	typeString8   = 0x001E
	typeString    = 0x001F
	typeTime      = 0x0040
	typeBinary    = 0x0102
	multiValued   = 0x1000
)

// value is one property.
type value struct {
	typ uint16
	b   []byte
}

// properties are those of a message, a recipient or a file.
type properties struct {
	m    map[uint16]value
	page string // the charset of its eight-bit strings, "" where each tells its own
}

// text returns a string property.
func (p properties) text(id uint16) string {
	v, ok := p.m[id]
	if !ok {
		return ""
	}
	switch v.typ {
	case typeString:
		u := make([]uint16, len(v.b)/2)
		for i := range u {
			u[i] = binary.LittleEndian.Uint16(v.b[2*i:])
		}
		return untail(string(utf16.Decode(u)))
	case typeString8:
		return eightBit(p.page, v.b)
	case typeBinary:
		return eightBit("", v.b)
	default:
		return ""
	}
}

// untail cuts the terminating zero and what follows it.
func untail(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

func (p properties) number(id uint16) (uint32, bool) {
	v, ok := p.m[id]
	if !ok {
		return 0, false
	}
	switch {
	case v.typ == typeInteger32 && len(v.b) >= 4:
		return binary.LittleEndian.Uint32(v.b), true
	case v.typ == typeInteger16 && len(v.b) >= 2:
		return uint32(binary.LittleEndian.Uint16(v.b)), true
	}
	return 0, false
}

// time reads a count of 100 ns since 1601.
func (p properties) time(id uint16) time.Time {
	v, ok := p.m[id]
	if !ok || v.typ != typeTime || len(v.b) < 8 {
		return time.Time{}
	}
	const unix = 116444736000000000 // from 1601 to 1970
	n := binary.LittleEndian.Uint64(v.b)
	const latest = unix + 253402300799*10000000 // the year 9999
	if n < unix || n > latest {
		return time.Time{}
	}
	n -= unix
	return time.Unix(int64(n/1e7), int64(n%1e7)*100).UTC()
}

func (p properties) bytes(id uint16) []byte {
	if v, ok := p.m[id]; ok && (v.typ == typeBinary || v.typ == typeObject) {
		return v.b
	}
	return nil
}

// message is what was read of one.
type message struct {
	class       string
	subject     string
	from        header.Mailbox
	to, cc      []header.Mailbox
	date        time.Time
	id, reply   string
	references  []string
	plain, html body
	files       []file
	left        []sanitize.Finding // what was not taken
}

// body is one form of the text.
type body struct {
	media, charset string
	data           []byte
}

// bodies returns the forms there are, the fullest first.
func (m *message) bodies() []body {
	var out []body
	for _, b := range []body{m.html, m.plain} {
		if len(b.data) > 0 {
			out = append(out, b)
		}
	}
	return out
}

// file is an attachment.
type file struct {
	names     []string
	media     string
	contentID string
	data      []byte
	mail      *message // instead of data
}

// fileName is the name that readers are shown. It is never empty: a file without
// a name would pass for the text of the mail.
func (f *file) fileName() string {
	n := ""
	if len(f.names) > 0 {
		n = f.names[0]
	}
	if f.mail != nil {
		if n == "" {
			n = f.mail.subject
		}
		if n == "" {
			n = "message"
		}
		if !strings.EqualFold(path.Ext(n), ".eml") {
			n = strings.TrimSuffix(n, ".msg") + ".eml"
		}
	}
	if n == "" {
		n = "file"
	}
	return n
}

// read takes from the properties of a message what a mail has.
func (m *message) read(s *sanitize.Session, p properties) error {
	m.class = p.text(pidMessageClass)
	m.subject = p.text(pidSubject)
	m.from = sender(p)
	m.date = p.time(pidClientSubmitTime)
	if m.date.IsZero() {
		m.date = p.time(pidDeliveryTime)
	}
	m.id = strings.Trim(p.text(pidMessageID), "<> ")
	m.reply = strings.Trim(p.text(pidInReplyTo), "<> ")
	m.references = header.ParseMsgIDs(p.text(pidReferences))
	if t := p.text(pidBody); strings.TrimSpace(t) != "" {
		m.plain = body{"text/plain", "utf-8", []byte(t)}
	}
	if v, ok := p.m[pidHTML]; ok {
		switch v.typ {
		case typeString:
			m.html = body{"text/html", "utf-8", []byte(p.text(pidHTML))}
		case typeString8, typeBinary:
			n, _ := p.number(pidInternetCodepage)
			m.html = body{"text/html", labelOf(n), v.b}
		}
	}
	if b := p.bytes(pidRTF); len(b) > 0 && len(m.html.data) == 0 {
		rtf, err := decompress(s, b)
		if err != nil {
			return err
		}
		text, html, err := readRTF(rtf, p.page)
		if err != nil {
			return err
		}
		switch {
		case html:
			m.html = body{"text/html", "utf-8", []byte(text)}
		case len(m.plain.data) == 0 && strings.TrimSpace(text) != "":
			m.plain = body{"text/plain", "utf-8", []byte(text)}
		}
	}
	return nil
}

func sender(p properties) header.Mailbox {
	first := func(ids ...uint16) string {
		for _, id := range ids {
			if t := p.text(id); t != "" {
				return t
			}
		}
		return ""
	}
	m := header.Mailbox{Name: first(pidSentName, pidSenderName)}
	for _, id := range []uint16{pidSentSMTP, pidSenderSMTP, pidSentAddress, pidSenderAddress} {
		// Inside Exchange an address is a path of its directory and none of SMTP.
		if a := p.text(id); strings.Contains(a, "@") {
			m.Addr = a
			break
		}
	}
	return m
}

// recipient adds one of the message's recipients.
func (m *message) recipient(p properties) {
	b := header.Mailbox{Name: p.text(pidDisplayName)}
	for _, id := range []uint16{pidSMTPAddress, pidEmailAddress} {
		if a := p.text(id); strings.Contains(a, "@") {
			b.Addr = a
			break
		}
	}
	const most = 5000
	switch n, _ := p.number(pidRecipientType); {
	case n&0xF == 2 && len(m.cc) < most:
		m.cc = append(m.cc, b)
	case n&0xF == 1 && len(m.to) < most:
		m.to = append(m.to, b)
	}
}

// attachment reads a file. It returns nil for what is no file of the message:
// a link to one elsewhere, an object of another program. [MS-OXCMSG] 2.2.2.9.
func attachment(p properties) (*file, sanitize.Finding) {
	const (
		byValue  = 1
		embedded = 5
		ole      = 6
	)
	f := &file{media: strings.ToLower(p.text(pidAttachMedia)), contentID: strings.Trim(p.text(pidAttachContentID), "<> ")}
	for _, id := range []uint16{pidAttachLongName, pidAttachName, pidDisplayName} {
		if n := p.text(id); n != "" {
			f.names = append(f.names, n)
		}
	}
	switch n, ok := p.number(pidAttachMethod); {
	case !ok, n == byValue, n == embedded:
		f.data = p.bytes(pidAttachData)
		return f, sanitize.Finding{}
	case n == ole:
		return nil, sanitize.Finding{Rule: "outlook.ole", Action: sanitize.Removed}
	default:
		return nil, sanitize.Finding{Rule: "outlook.link", Action: sanitize.Removed}
	}
}

// leftOut is what was not taken of the message and of those in it.
func (m *message) leftOut() []sanitize.Finding {
	all := slices.Clone(m.left)
	for i := range m.files {
		if inner := m.files[i].mail; inner != nil {
			all = append(all, inner.leftOut()...)
		}
	}
	return all
}

// leave notes a file that does not go on.
func (m *message) leave(f sanitize.Finding, p properties) {
	if f.Detail = p.text(pidAttachLongName); f.Detail == "" {
		f.Detail = p.text(pidDisplayName)
	}
	const most = 50
	if len(m.left) < most {
		m.left = append(m.left, f)
	}
}
