package officeart

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"unicode/utf16"

	"sekisho/internal/lazy"
)

// form is what the value of a property may be.
type form uint8

const (
	formNone    form = iota // it does not stay
	formNumber              // 32 bits
	formText                // UTF-16, as complex data
	formArray               // [MS-ODRAW] 2.2.51, or a number
	formPicture             // an index into the store, or a picture of its own
	formScript
	formCopy
	formLinkName  // where a picture comes from
	formLinkFlags // whether it is fetched from there
	formHyperlink
	formObject
	formQuiet // settings of no drawing
)

// spans are the properties that only draw: sets of [MS-ODRAW] 2.3 whose values
// are numbers unless single says otherwise.
var spans = [...]struct{ first, last uint16 }{
	{0x0004, 0x0004},                   // transform
	{0x0040, 0x007F},                   // transform, protection
	{0x0080, 0x00BF},                   // text
	{0x00C2, 0x00C4}, {0x00F0, 0x00FF}, // text as geometry
	{0x0100, 0x0103}, {0x0107, 0x010A}, {0x010C, 0x010E}, {0x0113, 0x013F}, // picture
	{0x0140, 0x0144}, {0x0147, 0x0150}, {0x0153, 0x0154}, {0x0158, 0x0158}, {0x0178, 0x017F}, // geometry
	{0x0180, 0x0185}, {0x0189, 0x0196}, {0x0198, 0x01BF}, // fill
	{0x01C0, 0x01C4}, {0x01C8, 0x01CE}, {0x01D0, 0x01FF}, // line
	{0x0200, 0x023F},                                                                                           // shadow
	{0x0240, 0x027F},                                                                                           // perspective
	{0x0280, 0x02BF},                                                                                           // 3D
	{0x02C0, 0x02FF},                                                                                           // 3D style
	{0x0300, 0x033F},                                                                                           // shape
	{0x0340, 0x037F},                                                                                           // callout
	{0x0384, 0x0388}, {0x0389, 0x038C}, {0x038F, 0x0396}, {0x039B, 0x03A0}, {0x03A2, 0x03A4}, {0x03AA, 0x03BF}, // group
	{0x0500, 0x0501}, {0x0503, 0x053F}, // diagram
	{0x07C0, 0x07C5}, // place and size as a share of the page
}

var single = lazy.Value[map[uint16]form]{Make: func() map[uint16]form {
	return map[uint16]form{
		0x00C0: formText, // text of a WordArt
		0x00C5: formText, // its font
		0x00C6: formText, // the same for the web
		0x00C1: formCopy, // the same text as RTF
		0x0104: formPicture, 0x010F: formPicture, 0x0186: formPicture, 0x01C5: formPicture,
		0x0105: formLinkName, 0x0110: formLinkName, 0x0187: formLinkName, 0x01C6: formLinkName,
		0x0106: formLinkFlags, 0x0111: formLinkFlags, 0x0188: formLinkFlags, 0x01C7: formLinkFlags,
		0x010B: formObject, // pictureId
		0x0112: formScript, // movie
		0x0145: formArray, 0x0146: formArray, 0x0151: formArray, 0x0152: formArray, 0x0155: formArray, 0x0156: formArray, 0x0157: formArray,
		0x0197: formArray, 0x01CF: formArray,
		0x0383: formArray, 0x03A1: formArray, 0x0502: formArray,
		0x0380: formText, // name
		0x0381: formText, // description, which screen readers speak
		0x038D: formText, // tip
		0x0382: formHyperlink,
		0x038E: formScript, 0x0397: formScript, 0x0398: formScript, 0x039A: formScript, 0x03A5: formScript, // scripts, and a bot of the web
		0x0680: formScript, 0x0681: formScript, 0x0682: formScript, 0x0683: formScript, 0x06BF: formQuiet, // web component
		0x0700: formCopy, 0x073F: formQuiet, // ink
		0x03A9: formCopy, // metroBlob, an OPC package
		// pFragments belong to no drawing of an Office that is still in use; RTF
		// has made Word overrun a buffer with them (CVE-2010-3333).
		0x0159: formQuiet,
		// The rest of a web page.
		0x0399: formQuiet, 0x03A6: formQuiet, 0x03A7: formQuiet, 0x03A8: formQuiet,
	}
}}

func formOf(id uint16) form {
	// [MS-ODRAW] 2.3.11 to 2.3.15: the lines of the four sides and between columns
	// have the properties of a line.
	if id >= 0x0540 && id < 0x0680 {
		id = 0x01C0 + (id-0x0540)%0x40
	}
	if f, ok := single.Get()[id]; ok {
		return f
	}
	for _, s := range spans {
		if id >= s.first && id <= s.last {
			return formNumber
		}
	}
	return formNone
}

const (
	flagPicture = 0x4000 // the value is an index into the store
	flagComplex = 0x8000 // the value is the length of data behind the table
)

// options rewrites a table of properties. [MS-ODRAW] 2.2.9.
func (r *Rebuilder) options(out []byte, h Header, body []byte) ([]byte, error) {
	count := int(h.Instance)
	if count*6 > len(body) {
		r.found(Cut, "%d properties in %d octets", count, len(body))
		count = len(body) / 6
	}
	table, data := body[:count*6], body[count*6:]
	at := len(out)
	out = h.Append(out)
	var behind []byte
	kept := uint16(0)
	// Where the data of one property is missing, that of those that follow is
	// anybody's guess.
	lost := false
	// Which pictures are here: by the property that says which it is.
	pictured := map[uint16]bool{}
	for t := table; len(t) > 0; t = t[6:] {
		if id := le.Uint16(t) & 0x3FFF; formOf(id) == formPicture && le.Uint32(t[2:]) != 0 {
			pictured[id] = true
		}
	}
	keep := func(id uint16, v uint32) {
		out = le.AppendUint16(out, id)
		out = le.AppendUint32(out, v)
		kept++
	}
	for ; len(table) > 0; table = table[6:] {
		raw, v := le.Uint16(table), le.Uint32(table[2:])
		id := raw & 0x3FFF
		f := formOf(id)
		var more []byte
		if raw&flagComplex != 0 {
			if lost || uint64(v) > uint64(len(data)) {
				if !lost {
					r.found(Cut, "property %04X of %d octets", id, v)
				}
				lost = true
				continue
			}
			n := int(v)
			// QUIRK: some writers do not count the six octets before the
			// elements of an array.
			if f == formArray && n >= 6 && n+6 <= len(data) && elements(data) == n {
				n += 6
			}
			more, data = data[:n:n], data[n:]
		}
		if raw&flagComplex == 0 {
			switch f {
			case formNumber:
				keep(id, v)
			case formPicture:
				// Without the flag the value means nothing.
				if raw&flagPicture != 0 {
					keep(id|flagPicture, v)
				}
			case formText, formArray:
				// Zero says that there is none; anything else is an address in
				// the memory of who wrote it.
				if v == 0 {
					keep(id, 0)
				}
			case formLinkFlags:
				r.linkFlags(v, pictured[id-2])
			case formObject:
				if v != 0 {
					r.found(Object, "")
				}
			case formScript, formCopy, formLinkName, formHyperlink, formQuiet:
				// They are complex or nothing.
			default:
				r.found(Unknown, "property %04X", id)
			}
			continue
		}
		if len(more) == 0 {
			continue
		}
		var b []byte
		switch f {
		case formText:
			b = text(more)
		case formArray:
			b = array(more)
			if b == nil {
				r.found(Cut, "array of property %04X", id)
			}
		case formPicture:
			h, pic, _, ok := Next(more)
			if !ok || !isBlip(h.Type) {
				r.found(Picture, "property %04X", id)
				break
			}
			p, err := r.blip(h, pic)
			if err != nil {
				return nil, err
			}
			b = p.record
			id |= flagPicture & raw
		case formHyperlink:
			l, ok := ParseLink(more)
			if !ok {
				r.found(Hyperlink, "unreadable")
				break
			}
			if !l.Inside() && (l.Target == "" || r.Link == nil || !r.Link(l.Target)) {
				r.found(Hyperlink, "%s", cmp.Or(l.Target, l.Place))
				break
			}
			b = l.AppendTo(nil)
		case formScript:
			r.found(Script, "property %04X", id)
		case formCopy:
			r.found(Copy, "property %04X", id)
		case formLinkName:
			// The name of the file that a picture once was tells where its
			// author keeps pictures. Whether it is a link, the flags say.
		case formLinkFlags, formObject, formQuiet:
		case formNumber:
			r.found(Unknown, "data of property %04X", id)
		default:
			r.found(Unknown, "property %04X", id)
		}
		if len(b) == 0 {
			continue
		}
		keep(id|flagComplex, uint32(len(b)))
		behind = append(behind, b...)
	}
	h.Instance, h.Ver = kept, 3
	h.Len = uint32(int(kept)*6 + len(behind))
	h.Append(out[:at])
	return append(out, behind...), nil
}

// linkFlags looks at the flags of a picture's name. [MS-ODRAW] 2.4.4. A name that
// is an address tells where the picture once came from; it is missed when the
// picture is fetched from there, or is not here at all.
func (r *Rebuilder) linkFlags(v uint32, here bool) {
	const url, notSaved, link = 2, 4, 8
	if v&(notSaved|link) != 0 || v&url != 0 && !here {
		r.found(LinkedPicture, "")
	}
}

// text returns UTF-16 text up to its end, with an end.
func text(b []byte) []byte {
	n := 0
	for n+1 < len(b) && (b[n] != 0 || b[n+1] != 0) {
		n += 2
	}
	if n == 0 {
		return nil
	}
	return append(bytes.Clone(b[:n]), 0, 0)
}

// elementSize is how long an element of an array is. [MS-ODRAW] 2.2.51: 0xFFF0
// is four octets, of eight.
func elementSize(v uint16) int {
	if v == 0xFFF0 {
		return 4
	}
	return int(v)
}

// elements is how many octets the elements of an array take by its own count.
func elements(b []byte) int { return int(le.Uint16(b)) * elementSize(le.Uint16(b[4:])) }

// array returns an array with no more in it than it says, nil when it says more
// than there is.
func array(b []byte) []byte {
	if len(b) < 6 {
		return nil
	}
	n := elements(b)
	if n > len(b)-6 {
		return nil
	}
	out := bytes.Clone(b[:6+n])
	copy(out[2:4], out[:2]) // what was allocated is what is used
	return out
}

// A Link is a hyperlink as Office stores it. [MS-OSHARED] 2.3.7.1.
type Link struct {
	Display string // the text that is shown for it
	Target  string // an address, a file, or empty
	Place   string // inside the target, or inside the document itself
}

// Inside reports whether the hyperlink leads to a place in the document itself.
// Excel takes a place with another workbook in brackets for one in that workbook,
// wherever it lies, and fetches it.
func (l Link) Inside() bool {
	return l.Target == "" && l.Place != "" && !strings.ContainsAny(l.Place, `[]\|`)
}

var (
	classHlink = []byte{0xD0, 0xC9, 0xEA, 0x79, 0xF9, 0xBA, 0xCE, 0x11, 0x8C, 0x82, 0x00, 0xAA, 0x00, 0x4B, 0xA9, 0x0B}
	classURL   = []byte{0xE0, 0xC9, 0xEA, 0x79, 0xF9, 0xBA, 0xCE, 0x11, 0x8C, 0x82, 0x00, 0xAA, 0x00, 0x4B, 0xA9, 0x0B}
	classFile  = []byte{0x03, 0x03, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}
)

// The flags of a hyperlink. [MS-OSHARED] 2.3.7.1.
const (
	hasMoniker   = 0x001
	isAbsolute   = 0x002
	gaveDisplay  = 0x004
	hasPlace     = 0x008
	hasDisplay   = 0x010
	hasFrame     = 0x080
	monikerAsStr = 0x100
)

// ParseLink reads a hyperlink, with or without the class identifier that comes
// before it in shapes and cells. Of a target that is no web address it tells
// what it can: all that matters is that nobody takes it for one.
func ParseLink(b []byte) (Link, bool) {
	b = bytes.TrimPrefix(b, classHlink)
	if len(b) < 8 || le.Uint32(b) != 2 {
		return Link{}, false
	}
	flags := le.Uint32(b[4:])
	p := linkReader{b: b[8:]}
	var l Link
	if flags&hasDisplay != 0 {
		l.Display = p.text()
	}
	if flags&hasFrame != 0 {
		p.text()
	}
	switch {
	case flags&hasMoniker != 0 && flags&monikerAsStr != 0:
		l.Target = p.text()
		if l.Target == "" {
			l.Target = "?"
		}
	case flags&hasMoniker != 0:
		l.Target = p.moniker()
	}
	if flags&hasPlace != 0 {
		l.Place = p.text()
	}
	return l, !p.bad
}

// AppendTo appends the hyperlink, with its class identifier, to b. The target
// must be an address that stands for itself, or empty.
func (l Link) AppendTo(b []byte) []byte {
	b = append(b, classHlink...)
	b = le.AppendUint32(b, 2)
	flags := uint32(0)
	if l.Display != "" {
		flags |= hasDisplay | gaveDisplay
	}
	if l.Target != "" {
		flags |= hasMoniker | isAbsolute
	}
	if l.Place != "" {
		flags |= hasPlace
	}
	b = le.AppendUint32(b, flags)
	str := func(s string) {
		u := utf16.Encode([]rune(s))
		b = le.AppendUint32(b, uint32(len(u)+1))
		for _, c := range append(u, 0) {
			b = le.AppendUint16(b, c)
		}
	}
	if l.Display != "" {
		str(l.Display)
	}
	if l.Target != "" {
		b = append(b, classURL...)
		u := utf16.Encode([]rune(l.Target))
		b = le.AppendUint32(b, uint32(2*len(u)+2))
		for _, c := range append(u, 0) {
			b = le.AppendUint16(b, c)
		}
	}
	if l.Place != "" {
		str(l.Place)
	}
	return b
}

type linkReader struct {
	b   []byte
	bad bool
}

func (p *linkReader) take(n uint64) []byte {
	if p.bad || n > uint64(len(p.b)) {
		p.bad = true
		return nil
	}
	t := p.b[:n]
	p.b = p.b[n:]
	return t
}

func (p *linkReader) number() uint32 {
	if b := p.take(4); b != nil {
		return le.Uint32(b)
	}
	return 0
}

// text reads a string of UTF-16 with its end. [MS-OSHARED] 2.3.7.9.
func (p *linkReader) text() string { return wide(p.take(2 * uint64(p.number()))) }

// moniker reads what a hyperlink leads to. [MS-OSHARED] 2.3.7.2.
func (p *linkReader) moniker() string {
	class := p.take(16)
	switch {
	case bytes.Equal(class, classURL):
		s := wide(p.take(uint64(p.number())))
		if s == "" {
			return "?"
		}
		return s
	case bytes.Equal(class, classFile):
		p.take(2)
		s := string(p.take(uint64(p.number())))
		p.take(24)
		p.take(uint64(p.number()))
		s, _, _ = strings.Cut(s, "\x00")
		return "file:" + strings.ToValidUTF8(s, "?")
	case class == nil:
		return "?"
	default:
		// Composites, anti-monikers and items lead to what the application
		// makes of them; what follows cannot be found behind them.
		p.b = nil
		return fmt.Sprintf("moniker:%x", class)
	}
}

func wide(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		c := le.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}
