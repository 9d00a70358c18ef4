package outlook

import (
	"encoding/binary"
	"fmt"

	"sekisho/sanitize"
)

// The attributes that are read. [MS-OXTNEF] 2.1.3.
const (
	attSubject      = 0x00018004
	attBody         = 0x0002800C
	attMessageClass = 0x00078008
	attCodepage     = 0x00069007
	attProperties   = 0x00069003
	attRenderData   = 0x00069002
	attFileTitle    = 0x00018010
	attFileData     = 0x0006800F
	attFileProps    = 0x00069005
)

// little reads little-endian numbers and never beyond the end.
type little struct {
	b   []byte
	bad bool
}

func (r *little) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad = true
		r.b = nil
		return nil
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *little) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *little) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// length reads a count of bytes that cannot be more than there are.
func (r *little) length() int {
	n := r.u32()
	if int64(n) > int64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

// padded takes n bytes and what fills them up to a multiple of four; the last
// value of a stream may lack its filling.
func (r *little) padded(n int) []byte {
	t := r.take(n)
	r.take(min((4-n%4)%4, len(r.b)))
	return t
}

// packed is one file of a TNEF stream as it was read.
type packed struct {
	props properties
	title []byte
	data  []byte
}

// parseTNEF reads a TNEF stream. mail is the charset of the mail around it.
func parseTNEF(s *sanitize.Session, b []byte, mail string, depth int) (*message, error) {
	if depth > maxDepth {
		return nil, tooDeep()
	}
	r := &little{b: b}
	if r.u32() != 0x223E9F78 {
		return nil, fmt.Errorf("no TNEF signature: %w", sanitize.ErrMalformed)
	}
	r.u16() // key of the sender's, which means nothing here
	top := properties{m: map[uint16]value{}}
	var subject, text, class []byte
	var claims []string
	var files []packed
	attributes := 0
	for len(r.b) > 0 {
		if attributes++; attributes > s.Options.Limits.Entries {
			return nil, fmt.Errorf("more than %d attributes: %w", s.Options.Limits.Entries, sanitize.ErrLimit)
		}
		level := r.take(1)
		id := r.u32()
		data := r.take(r.length())
		r.u16() // a sum of the bytes, for lines that lose some
		if r.bad {
			return nil, errShort
		}
		switch level[0] {
		case 1: // the message
			switch id {
			case attSubject:
				subject = data
			case attBody:
				text = data
			case attCodepage:
				if len(data) >= 4 {
					claims = append(claims, labelOf(binary.LittleEndian.Uint32(data)))
				}
			case attMessageClass:
				class = data
			case attProperties:
				p, err := readProperties(data, s.Options.Limits.Entries)
				if err != nil {
					return nil, err
				}
				for id, v := range p {
					top.m[id] = v
				}
			}
		case 2: // a file
			if id == attRenderData || len(files) == 0 {
				// Each begins with this attribute. [MS-OXTNEF] 2.1.3.3.15.
				if err := s.SpendEntries(1); err != nil {
					return nil, err
				}
				files = append(files, packed{props: properties{m: map[uint16]value{}}})
			}
			f := &files[len(files)-1]
			switch id {
			case attFileTitle:
				f.title = data
			case attFileData:
				f.data = data
			case attFileProps:
				p, err := readProperties(data, s.Options.Limits.Entries)
				if err != nil {
					return nil, err
				}
				for id, v := range p {
					f.props.m[id] = v
				}
			}
		default:
			return nil, fmt.Errorf("attribute of level %d: %w", level[0], sanitize.ErrMalformed)
		}
	}
	// The charset is that of all strings, whichever stands first.
	var sample []byte
	for _, f := range files {
		sample = f.props.sampled(sampled(sample, f.title))
	}
	sample = top.sampled(sampled(sampled(sample, subject), text))
	top.page = pageOf(sample, mail, append(claims, top.claims()...)...)
	m := &message{}
	for _, f := range files {
		if err := m.unpack(s, f, top.page, mail, depth); err != nil {
			return nil, err
		}
	}
	if err := m.read(s, top); err != nil {
		return nil, err
	}
	if m.class == "" {
		m.class = eightBit("", class)
	}
	if m.subject == "" {
		m.subject = eightBit(top.page, subject)
	}
	if len(m.plain.data) == 0 && len(text) > 0 {
		m.plain = body{"text/plain", "utf-8", []byte(eightBit(top.page, text))}
	}
	return m, nil
}

// unpack takes a file out of a TNEF stream.
func (m *message) unpack(s *sanitize.Session, p packed, page, mail string, depth int) error {
	p.props.page = page
	f, why := attachment(p.props)
	if f == nil {
		m.leave(why, p.props)
		return nil
	}
	if len(p.title) > 0 {
		f.names = append(f.names, eightBit(page, p.title))
	}
	n, _ := p.props.number(pidAttachMethod)
	switch {
	case n == 5:
		inner, err := embeddedTNEF(s, f.data, mail, depth)
		if err != nil {
			return err
		}
		f.mail, f.data = inner, nil
	case f.data == nil || len(p.data) > 0:
		f.data = p.data
	}
	m.files = append(m.files, *f)
	return nil
}

// embeddedTNEF reads a message in a message: the id of an interface, then a
// TNEF stream of its own. [MS-OXTNEF] 2.1.3.3.15.
func embeddedTNEF(s *sanitize.Session, b []byte, mail string, depth int) (*message, error) {
	if len(b) < 16 {
		return nil, errShort
	}
	return parseTNEF(s, b[16:], mail, depth+1)
}

// readProperties reads a list of properties. [MS-OXTNEF] 2.1.3.4.
func readProperties(b []byte, most int) (map[uint16]value, error) {
	r := &little{b: b}
	n := r.u32()
	out := map[uint16]value{}
	for range n {
		if r.bad {
			return nil, errShort
		}
		if len(out) > most {
			return nil, fmt.Errorf("more than %d properties: %w", most, sanitize.ErrLimit)
		}
		typ, id := r.u16(), r.u16()
		if id >= 0x8000 {
			// Its name: none of those that are read has one.
			r.take(16)
			switch r.u32() {
			case 0:
				r.u32()
			case 1:
				r.padded(r.length())
			default:
				return nil, fmt.Errorf("name of a property: %w", sanitize.ErrMalformed)
			}
		}
		v, err := readValue(r, typ)
		if err != nil {
			return nil, err
		}
		if id < 0x8000 && typ&multiValued == 0 {
			out[id] = value{typ, v}
		}
	}
	if r.bad {
		return nil, errShort
	}
	return out, nil
}

// readValue reads one value, or the first of many.
func readValue(r *little, typ uint16) ([]byte, error) {
	size := 0
	switch typ &^ multiValued {
	case typeString8, typeString, typeObject, typeBinary:
		var first []byte
		n := r.u32()
		for i := range n {
			if r.bad {
				return nil, errShort
			}
			v := r.padded(r.length())
			if i == 0 {
				first = v
			}
		}
		return first, nil
	case typeInteger16, typeInteger32, typeBoolean, 0x0004, 0x000A, 0x0001: // the 16 bits with filling
		size = 4
	case 0x0005, 0x0006, 0x0007, 0x0014, typeTime:
		size = 8
	case 0x0048:
		size = 16
	default:
		return nil, fmt.Errorf("property of type %#04x: %w", typ, sanitize.ErrMalformed)
	}
	if typ&multiValued == 0 {
		return r.take(size), nil
	}
	n := int64(r.u32()) * int64(size)
	if n > int64(len(r.b)) {
		return nil, errShort
	}
	return r.take(int(n)), nil
}
