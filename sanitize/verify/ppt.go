package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/richardlehane/mscfb"

	"sekisho/internal/cfb"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// compoundStreams reads the streams of a compound file with another reader than
// wrote it. There may be no storages and no streams but those of names.
//
// What that reader does not show, octets between and behind the streams, is seen
// by writing the same streams once more: all octets must be the same.
func compoundStreams(s *sanitize.Session, where string, b []byte, class string, names []string) (map[string][]byte, error) {
	c, err := mscfb.New(bytes.NewReader(b))
	if err != nil {
		return nil, notAllowed(where, "compound file: %v", err)
	}
	streams := map[string][]byte{}
	for i, e := range c.File {
		if i == 0 {
			continue // the root
		}
		name := e.Name
		// The reader takes the first character of special names apart.
		if e.Initial < 0x20 {
			name = string(rune(e.Initial)) + e.Name
		}
		if len(e.Path) > 0 || e.FileInfo().IsDir() || !slices.Contains(names, name) {
			return nil, notAllowed(where, "%q in the compound file", name)
		}
		if _, twice := streams[name]; twice {
			return nil, notAllowed(where, "two streams %q", name)
		}
		if streams[name], err = read(s, inPieces{e}); err != nil {
			return nil, err
		}
	}
	again := &cfb.Storage{CLSID: [16]byte([]byte(class))}
	for name, b := range streams {
		again.Streams = append(again.Streams, cfb.NewStream(name, b))
	}
	same := &comparer{b: b}
	if err := cfb.Write(same, again); err != nil || len(same.b) > 0 {
		return nil, notAllowed(where, "octets of the compound file that belong to no stream")
	}
	return streams, nil
}

// inPieces reads 32 KiB at a time. The other reader puts the sectors of one
// reading together in a time that grows as the square of their number: 40 MB in
// one piece take seven seconds.
type inPieces struct{ r io.Reader }

func (p inPieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), 32<<10)]) }

// comparer is written to what b should begin with.
type comparer struct{ b []byte }

func (c *comparer) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.b, p) {
		return 0, errors.New("other octets")
	}
	c.b = c.b[len(p):]
	return len(p), nil
}

// checkPropertySet looks at one of the two property sets of a document: one
// section of short values, no links, no picture.
func checkPropertySet(where string, b []byte) error {
	if len(b) < 48 || b[0] != 0xFE || b[1] != 0xFF || binary.LittleEndian.Uint32(b[24:]) != 1 {
		return notAllowed(where, "property set of %d octets", len(b))
	}
	if len(b) > 64<<10 {
		return notAllowed(where, "property set of %d octets", len(b))
	}
	at := int64(binary.LittleEndian.Uint32(b[44:]))
	if at+8 > int64(len(b)) {
		return notAllowed(where, "property set cut short")
	}
	set := b[at:]
	n := int64(binary.LittleEndian.Uint32(set[4:]))
	for i := range n {
		if 8+8*i+8 > int64(len(set)) {
			return notAllowed(where, "property set cut short")
		}
		id, off := binary.LittleEndian.Uint32(set[8+8*i:]), int64(binary.LittleEndian.Uint32(set[12+8*i:]))
		if off+4 > int64(len(set)) {
			return notAllowed(where, "property %d cut short", id)
		}
		// Template, thumbnail; base of links, list of links, signature.
		if strings.HasPrefix(string(b[28:32]), "\xE0\x85\x9F\xF2") && (id == 7 || id == 17) || id > 18 {
			return notAllowed(where, "property %d", id)
		}
		switch kind := binary.LittleEndian.Uint32(set[off:]); kind {
		case 2, 3, 30, 31, 64:
		default:
			return notAllowed(where, "property %d of type %d", id, kind)
		}
	}
	return nil
}

// presentation is one that is looked at.
type presentation struct {
	s       *sanitize.Session
	where   string
	records int
}

// The records of a presentation. [MS-PPT] 2.13.24. What runs, plays, embeds or
// links is not among them.
var presentationRecords = [...]struct{ first, last int }{
	{0x03E8, 0x03EA}, {0x03EE, 0x03F3}, {0x03F8, 0x03FB}, {0x03FD, 0x03FE}, {0x0401, 0x0401}, {0x0407, 0x040D}, {0x0410, 0x0415},
	{0x07D0, 0x07D0}, {0x07D5, 0x07D6}, {0x07F0, 0x07F0}, {0x07F8, 0x07F9}, {0x0BC3, 0x0BC3}, {0x0BDB, 0x0BDC},
	{0x0F9E, 0x0FA6}, {0x0FA8, 0x0FB4}, {0x0FB7, 0x0FB7}, {0x0FBA, 0x0FBA}, {0x0FC8, 0x0FC9}, {0x0FD2, 0x0FD3}, {0x0FD7, 0x0FDA}, {0x0FDF, 0x0FDF},
	{0x0FE7, 0x0FE7}, {0x0FF0, 0x0FF3}, {0x0FF7, 0x0FFA}, {0x1014, 0x1015}, {0x1388, 0x1388}, {0x138A, 0x138B}, {0x1770, 0x1770}, {0x177A, 0x177A},
	{0x2AFB, 0x2AFB}, {0x2B00, 0x2B0A}, {0x2EE0, 0x2EE1}, {0x2EE4, 0x2EE5}, {0x2EEA, 0x2EEB},
	{0xF125, 0xF131}, {0xF133, 0xF13A}, {0xF13C, 0xF145},
}

// checkPPT looks at a presentation of PowerPoint 97 to 2003: a compound file of
// few streams, one edit, objects that fill the stream of records without a gap,
// pictures that fill theirs.
func checkPPT(s *sanitize.Session, where string, b []byte) error {
	const class = "\x10\x8D\x81\x64\x9B\x4F\xCF\x11\x86\xEA\x00\xAA\x00\xB9\x29\xE8"
	streams, err := compoundStreams(s, where, b, class, []string{"PowerPoint Document", "Current User", "Pictures", "\x05SummaryInformation", "\x05DocumentSummaryInformation"})
	if err != nil {
		return err
	}
	for _, name := range []string{"\x05SummaryInformation", "\x05DocumentSummaryInformation"} {
		if set, ok := streams[name]; ok {
			if err := checkPropertySet(where, set); err != nil {
				return err
			}
		}
	}
	user, rest, err := nextRecord(where, streams["Current User"])
	if err != nil {
		return err
	}
	if user.kind != 0x0FF6 || len(rest) > 0 || len(user.body) < 24 || len(user.body) > 24+3*255 || binary.LittleEndian.Uint32(user.body[4:]) != 0xE391C05F {
		return notAllowed(where, "current user of %d octets", len(user.body))
	}
	doc := streams["PowerPoint Document"]
	last := int64(binary.LittleEndian.Uint32(user.body[8:]))
	if last >= int64(len(doc)) {
		return notAllowed(where, "the last edit is behind the end")
	}
	edit, rest, err := nextRecord(where, doc[last:])
	if err != nil {
		return err
	}
	if edit.kind != 0x0FF5 || len(rest) > 0 || len(edit.body) != 28 || binary.LittleEndian.Uint32(edit.body[8:]) != 0 {
		return notAllowed(where, "more edits than one")
	}
	dir := int64(binary.LittleEndian.Uint32(edit.body[12:]))
	if dir > last {
		return notAllowed(where, "the directory is behind the edit")
	}
	objects, rest, err := nextRecord(where, doc[dir:last])
	if err != nil {
		return err
	}
	if objects.kind != 0x1772 || len(rest) > 0 {
		return notAllowed(where, "no directory before the edit")
	}
	// What the directory names lies one behind the other.
	var places []int64
	for d := objects.body; len(d) >= 4; {
		n := int(binary.LittleEndian.Uint32(d) >> 20)
		d = d[4:]
		for ; n > 0 && len(d) >= 4; n-- {
			places = append(places, int64(binary.LittleEndian.Uint32(d)))
			d = d[4:]
		}
	}
	p := presentation{s: s, where: where}
	at := int64(0)
	for _, place := range places {
		if place != at || at > dir {
			return notAllowed(where, "an object at %d, not at %d", place, at)
		}
		r, _, err := nextRecord(where, doc[at:dir])
		if err != nil {
			return err
		}
		switch r.kind {
		case 0x03E8, 0x03EE, 0x03F0, 0x03F8, 0x0FC9:
		default:
			return notAllowed(where, "object of type %04X", r.kind)
		}
		if err := p.list(doc[at:at+8+int64(len(r.body))], 0, 0); err != nil {
			return err
		}
		at += 8 + int64(len(r.body))
	}
	if at != dir {
		return notAllowed(where, "%d octets that no object has", dir-at)
	}
	for pictures := streams["Pictures"]; len(pictures) > 0; {
		var r record
		if r, pictures, err = nextRecord(where, pictures); err != nil {
			return err
		}
		if err := checkBlip(s, where, r); err != nil {
			return err
		}
	}
	return nil
}

// inShow is how a hyperlink calls a slide.
var inShow = lazy.Compile(`^-?\d+,-?\d+,`)

// list walks records. Which are containers they say themselves.
func (p *presentation) list(b []byte, parent, depth int) error {
	if depth > 120 {
		return notAllowed(p.where, "records nested deeper than any that is written")
	}
	for len(b) > 0 {
		r, rest, err := nextRecord(p.where, b)
		if err != nil {
			return err
		}
		b = rest
		if p.records++; p.records > 5_000_000 {
			return notAllowed(p.where, "too many records")
		}
		switch {
		case r.kind >= 0xF000 && r.kind <= 0xF122:
			if err := checkDrawings(p.s, p.where, append(header(r), r.body...), depth, p.client(depth)); err != nil {
				return err
			}
			continue
		case r.kind == 0x07F9: // a picture before paragraphs
			if len(r.body) < 2 {
				return notAllowed(p.where, "picture before paragraphs of %d octets", len(r.body))
			}
			blip, more, err := nextRecord(p.where, r.body[2:])
			if err != nil {
				return err
			}
			if len(more) > 0 {
				return notAllowed(p.where, "%d octets behind a picture", len(more))
			}
			if err := checkBlip(p.s, p.where, blip); err != nil {
				return err
			}
			continue
		}
		if !slices.ContainsFunc(presentationRecords[:], func(x struct{ first, last int }) bool { return r.kind >= x.first && r.kind <= x.last }) {
			return notAllowed(p.where, "record %04X in %04X", r.kind, parent)
		}
		switch {
		case r.version == 15, r.kind == 0x138B: // the data of a tag is a list that does not say so
			if r.kind == 0x138A && !slices.Contains([]string{"___PPT9", "___PPT10"}, tagName(r.body)) {
				return notAllowed(p.where, "tag %q", tagName(r.body))
			}
			if err := p.list(r.body, r.kind, depth+1); err != nil {
				return err
			}
		case r.kind == 0x0FF3: // what a click does: [MS-PPT] 2.6.3
			if len(r.body) != 16 || binary.LittleEndian.Uint32(r.body) != 0 || r.body[9] != 0 || !slices.Contains([]byte{0, 3, 4, 7}, r.body[8]) || r.body[12] == 9 || r.body[12] == 10 {
				return notAllowed(p.where, "an action that runs or opens something")
			}
		case r.kind == 0x0FBA && parent == 0x0FD7 && r.instance == 1:
			if target := utf16Text(r.body); target != "" && !inShow.MatchString(target) && !harmlessURL(target) {
				return notAllowed(p.where, "hyperlink to %q", target)
			}
		case r.kind == 0x0FB7:
			if len(r.body) != 68 || r.body[65] != 0 {
				return notAllowed(p.where, "embedded font")
			}
		case r.kind == 0x0FF1:
			if len(r.body) != 28 || binary.LittleEndian.Uint32(r.body[8:]) != 0 || r.body[25] != 0 {
				return notAllowed(p.where, "an animation with a sound or a command")
			}
		}
	}
	return nil
}

func header(r record) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(r.instance<<4|r.version))
	b = binary.LittleEndian.AppendUint16(b, uint16(r.kind))
	return binary.LittleEndian.AppendUint32(b, uint32(len(r.body)))
}

// client looks at what a shape is to PowerPoint.
func (p *presentation) client(depth int) func(r record) error {
	return func(r record) error {
		if r.kind == 0xF010 {
			if len(r.body) != 8 && len(r.body) != 16 {
				return notAllowed(p.where, "place of a shape of %d octets", len(r.body))
			}
			return nil
		}
		return p.list(r.body, r.kind, depth+1)
	}
}

func tagName(b []byte) string {
	if len(b) < 8 || binary.LittleEndian.Uint16(b[2:]) != 0x0FBA {
		return ""
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > int64(len(b)-8) {
		return ""
	}
	return utf16Text(b[8 : 8+n])
}

func utf16Text(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}
