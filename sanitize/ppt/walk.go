package ppt

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"

	"sekisho/internal/cfb"
	"sekisho/internal/lazy"
	"sekisho/internal/link"
	"sekisho/internal/officeart"
	"sekisho/internal/olepack"
	"sekisho/internal/vba"
	"sekisho/sanitize"
)

const (
	// maxDepth is how deep records stand in records: groups of shapes and
	// animations nest some dozens deep at most; readers recurse, and are crashed
	// by thousands.
	maxDepth = 100
	// maxRecords is how many records a presentation has; the largest real ones
	// have some hundred thousand.
	maxRecords = 5_000_000
)

// record appends what stays of a record that stands in a container of type
// parent; 0 is the stream. Allowed are the children of parent, or those given.
func (d *deck) record(out []byte, h officeart.Header, body []byte, parent uint16, allowed map[uint16]bool, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("records nested more than %d deep: %w", maxDepth, sanitize.ErrLimit)
	}
	if d.records++; d.records > maxRecords {
		return nil, fmt.Errorf("more than %d records: %w", maxRecords, sanitize.ErrLimit)
	}
	if d.records%1024 == 0 {
		if err := d.ctx.Err(); err != nil {
			return nil, err
		}
	}
	if allowed == nil {
		allowed = children.Get()[parent]
	}
	if parent != 0 && !allowed[h.Type] {
		d.lost(h, body, parent)
		return out, nil
	}
	if d.s.Options.Comments {
		switch h.Type {
		case typeComment:
			d.report.Found("ppt.comments", d.where, sanitize.Removed, "")
			return out, nil
		case typeCommentIndex: // who wrote how many
			d.report.Found("ppt.comments", d.where, sanitize.Rewritten, "")
			return out, nil
		}
	}
	switch h.Type {
	case officeart.TypeDggContainer, officeart.TypeDgContainer:
		out, err := d.art.Append(out, h, body)
		return out, mapArt(err)
	case typeAction:
		return d.action(out, h, body)
	case typeHyperlink:
		return d.hyperlink(out, h, body)
	case typeBinaryTag:
		return d.tag(out, body, depth)
	case typeBullet9:
		return d.bullet(out, h, body)
	case typeTimeNode, typeSubEffect:
		if d.commands(body) {
			return out, nil
		}
	}
	if _, container := children.Get()[h.Type]; container {
		at := len(out)
		h.Ver = 15
		out = h.Append(out)
		out, err := d.list(out, body, h.Type, nil, depth+1)
		if err != nil {
			return nil, err
		}
		le.PutUint32(out[at+4:], uint32(len(out)-at-officeart.HeaderSize))
		if len(out) == at+officeart.HeaderSize && (h.Type == typeProgTags || h.Type == typeAnimation) {
			return out[:at], nil // nothing is left to tag
		}
		return out, nil
	}
	return d.atom(out, h, body), nil
}

// list appends what stays of the records of a container.
func (d *deck) list(out, b []byte, parent uint16, allowed map[uint16]bool, depth int) ([]byte, error) {
	kept := false     // whether the record before stayed, if it was an action
	skipping := false // texts of a slide that is not there
	for len(b) >= officeart.HeaderSize {
		h, body, rest, ok := officeart.Next(b)
		if !ok {
			h, _ = officeart.ReadHeader(b)
			// PowerPoint reads what is there of the last record of a text; for
			// us it is not a record.
			d.report.Found("ppt.damaged", d.where, sanitize.Removed, fmt.Sprintf("record %04X of %d octets", h.Type, h.Len))
			return out, nil
		}
		b = rest
		switch h.Type {
		case typeTextAction:
			// It says which characters the action before it belongs to.
			if !kept {
				continue
			}
		case typeSlidePersist:
			if parent == typeSlideList {
				skipping = len(body) < 4 || !d.present[le.Uint32(body)]
				if skipping {
					d.report.Found("ppt.damaged", d.where, sanitize.Removed, "a slide that is not there")
				}
			}
		}
		if skipping {
			continue
		}
		at := len(out)
		var err error
		if out, err = d.record(out, h, body, parent, allowed, depth); err != nil {
			return nil, err
		}
		kept = h.Type == typeAction && len(out) > at
	}
	return out, nil
}

// atom appends a record that is no container.
func (d *deck) atom(out []byte, h officeart.Header, body []byte) []byte {
	if n, ok := sizes.Get()[h.Type]; ok {
		if len(body) < n {
			d.report.Found("ppt.damaged", d.where, sanitize.Removed, fmt.Sprintf("record %04X of %d octets", h.Type, len(body)))
			return out
		}
		body = body[:n]
	} else if n, ok := most.Get()[h.Type]; !ok || len(body) > n {
		d.report.Found("ppt.damaged", d.where, sanitize.Removed, fmt.Sprintf("record %04X of %d octets", h.Type, len(body)))
		return out
	}
	at := len(out)
	if h.Container() {
		h.Ver = 0 // it is none, whatever it says
	}
	out = officeart.AppendRecord(out, h, body)
	b := out[at+officeart.HeaderSize:]
	clear16 := func(at int, bits uint16) { le.PutUint16(b[at:], le.Uint16(b[at:])&^bits) }
	switch h.Type {
	case typeDocumentAtom:
		b[36] = 0 // fSaveWithFonts
	case typeFontEntity:
		// [MS-PPT] 2.9.8: a name of 32 characters with its end, and whether the
		// font is embedded.
		ended := false
		for i := 0; i < 64; i += 2 {
			if ended = ended || le.Uint16(b[i:]) == 0; ended {
				b[i], b[i+1] = 0, 0
			}
		}
		b[65] = 0
	case typeSlideShowInfo:
		le.PutUint32(b[4:], 0) // the sound
		clear16(10, 0x10|0x40)
		b[13], b[14], b[15] = 0, 0, 0
	case typeAnimationAtom:
		// [MS-PPT] 2.8.1: the sound, whether it is played, and what an object is
		// told to do.
		clear16(4, 0x10|0x100)
		le.PutUint32(b[8:], 0)
		b[25], b[26], b[27] = 0, 0, 0
	case typeOutlineRef:
		// An index behind the texts of the outline has made PowerPoint write
		// where it should not (CVE-2009-0556).
		if int64(int32(le.Uint32(b))) < 0 || int64(le.Uint32(b)) >= int64(d.outlined) {
			d.report.Found("ppt.damaged", d.where, sanitize.Removed, "a text that the outline does not have")
			return out[:at]
		}
	case typeCString:
		n := 0
		for n+1 < len(b) && (b[n] != 0 || b[n+1] != 0) {
			n += 2
		}
		out = out[:at+officeart.HeaderSize+n]
		le.PutUint32(out[at+4:], uint32(n))
	}
	return out
}

// lost tells that a record does not stay.
func (d *deck) lost(h officeart.Header, body []byte, parent uint16) {
	l, known := losses.Get()[h.Type]
	switch h.Type {
	case typeOleEmbed, typeOleLink, typeOleControl:
		d.objects = true
	}
	switch {
	case h.Type == typeVBAInfo:
		for h, b := range records(body) {
			// [MS-PPT] 2.4.11: where the macros are, and whether there are any.
			if h.Type == typeVBAInfoAtom && len(b) >= 8 && (le.Uint32(b) != 0 || le.Uint32(b[4:]) != 0) {
				d.report.Found("ppt.vba", d.where, sanitize.Removed, "")
				d.objects = true
				d.modules(le.Uint32(b))
			}
		}
	case h.Type == typeOleEmbed:
		if name, ok := d.packed(body); ok {
			d.report.Found("ppt.object-beside", d.where, sanitize.Replaced, name)
			return
		}
		d.report.Found(l.rule, d.where, sanitize.Removed, "")
	case h.Type >= typeRoundTrip && h.Type <= typeRoundTripEnd:
		d.report.Found("ppt.newer-copy", d.where, sanitize.Rewritten, "")
	case h.Type == typeSounds && empty(body):
	case known && l.rule == "":
	case known && l.changed:
		d.report.Found(l.rule, d.where, sanitize.Removed, "")
	case known:
		d.report.Found(l.rule, d.where, sanitize.Rewritten, "")
	default:
		d.report.Found("ppt.record", d.where, sanitize.Rewritten, fmt.Sprintf("%04X in %04X", h.Type, parent))
	}
}

// modules tells which modules a macro project had.
func (d *deck) modules(id uint32) {
	// Far above any project; and telling what was taken may not cost the
	// presentation its budget.
	p := d.storage(id, 4<<20)
	if p == nil {
		return
	}
	for _, m := range vba.Modules(p) {
		d.report.Found("ppt.vba", "VBA/"+printable(m.Name), sanitize.Removed, m.String())
	}
}

// storage opens a macro project or an embedded object: an object of its own, a
// compound file, deflated or not, of no more than most octets. [MS-PPT] 2.10.34 to
// 2.10.36.
func (d *deck) storage(id uint32, most int64) *cfb.Storage {
	at, ok := d.objectAt[id]
	if !ok {
		return nil
	}
	h, body, ok := d.at(at)
	if !ok || h.Type != typeOleStorage {
		return nil
	}
	most = min(most, d.s.Room()/4)
	if h.Instance == 1 && len(body) > 4 { // how long it is inflated, then that
		z, err := zlib.NewReader(bytes.NewReader(body[4:]))
		if err != nil {
			return nil
		}
		if body, err = io.ReadAll(io.LimitReader(d.s.Meter(z), most)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
	}
	if int64(len(body)) > most {
		return nil
	}
	f, err := cfb.Open(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil
	}
	return f.Root
}

// packed puts the file in an embedded object beside the presentation. [MS-PPT]
// 2.10.12: the object atom says where the object is.
func (d *deck) packed(body []byte) (string, bool) {
	if !d.embedded.Wanted(d.s) {
		return "", false
	}
	for h, b := range records(body) {
		if h.Type != typeOleAtom || len(b) < 20 {
			continue
		}
		if o := d.storage(le.Uint32(b[16:]), 32<<20); o != nil {
			return d.beside(o)
		}
	}
	return "", false
}

// beside puts the file in an object next to the presentation in the mail, where the
// profile says so, and returns its name.
func (d *deck) beside(o *cfb.Storage) (string, bool) {
	if !d.embedded.Wanted(d.s) {
		return "", false
	}
	f, ok := olepack.Find(o)
	if !ok {
		return "", false
	}
	name, ok := d.embedded.Packed(d.s, d.in, f.Name, f.Bytes, f.Size)
	return printable(name), ok
}

// empty reports whether a collection has nothing in it but its own atom.
func empty(body []byte) bool {
	for h := range records(body) {
		if h.Container() {
			return false
		}
	}
	return true
}

func mapArt(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, officeart.ErrLimit):
		return fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, officeart.ErrMalformed):
		return fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
	default:
		return err
	}
}

// client rewrites the records of a shape that are PowerPoint's own.
func (d *deck) client(h officeart.Header, body []byte) ([]byte, bool, error) {
	switch h.Type {
	case officeart.TypeClientAnchor:
		// [MS-PPT] 2.7.1: two numbers of eight, or four of sixteen octets.
		switch {
		case len(body) >= 16:
			return body[:16], true, nil
		case len(body) >= 8:
			return body[:8], true, nil
		}
		d.report.Found("ppt.damaged", d.where, sanitize.Removed, "place of a shape")
		return nil, false, nil
	case officeart.TypeClientData, officeart.TypeClientTextbox:
		if h.Type == officeart.TypeClientTextbox || h.Container() {
			b, err := d.list(make([]byte, 0, len(body)), body, h.Type, nil, 1)
			return b, true, err
		}
		return nil, false, nil
	default:
		return nil, false, nil
	}
}

// action appends what stays of what a click or touch does. [MS-PPT] 2.6.1.
func (d *deck) action(out []byte, h officeart.Header, body []byte) ([]byte, error) {
	for ah, a := range records(body) {
		if ah.Type != typeActionAtom {
			continue
		}
		if len(a) < 16 {
			break
		}
		b := bytes.Clone(a[:16])
		id, what, jump, kind := le.Uint32(b[4:]), b[8], b[10], b[12]
		if le.Uint32(b) != 0 {
			d.report.Found("ppt.sound", d.where, sanitize.Removed, "of an action")
		}
		le.PutUint32(b, 0)
		b[9] = 0 // what an object is told to do
		b[13], b[14], b[15] = 0, 0, 0
		ok := false
		switch what {
		case 0: // none
			ok = true
		case 1:
			d.report.Found("ppt.action", d.where, sanitize.Removed, "runs a macro")
		case 2:
			d.report.Found("ppt.action", d.where, sanitize.Removed, "runs a program")
		case 3: // to another slide
			ok = jump <= 6
		case 4: // a hyperlink
			switch kind {
			case 0, 1, 2, 3: // to the next slide and the like
				ok = id == 0 || d.links[id]
			case 6, 7, 8, 0xFF: // to a show, to a slide, to an address
				ok = d.links[id]
			default:
				d.report.Found("ppt.link", d.where, sanitize.Neutralised, "opens another file")
			}
		case 5:
			d.report.Found("ppt.action", d.where, sanitize.Removed, "opens an object")
		case 6:
			d.report.Found("ppt.media", d.where, sanitize.Removed, "plays on a click")
		case 7: // a show of its own
			ok = d.links[id] || id == 0
		default:
			d.report.Found("ppt.action", d.where, sanitize.Removed, fmt.Sprintf("kind %d", what))
		}
		if !ok {
			return out, nil
		}
		if kind > 8 {
			b[12] = 0xFF // of a link that there is none of
		}
		h.Ver = 15
		return officeart.AppendRecord(out, h, officeart.AppendRecord(nil, officeart.Header{Type: typeActionAtom}, b)), nil
	}
	return out, nil
}

// inside is how a hyperlink calls a slide: number, place in the show, title.
var inside = lazy.Compile(`^-?[0-9]+,-?[0-9]+,`)

// judge says whether a hyperlink of the list may stay, its number, and where it
// leads. [MS-PPT] 2.10.16. Of each part there is one: of two, some programs take
// the first, some the last.
func (d *deck) judge(body []byte) (id uint32, target string, ok bool) {
	place := ""
	numbers, targets, places := 0, 0, 0
	for h, b := range records(body) {
		switch {
		case h.Type == typeHyperlinkAtom && len(b) >= 4:
			id, ok = le.Uint32(b), true
			numbers++
		case h.Type == typeCString && h.Instance == 1:
			target = wide(b)
			targets++
		case h.Type == typeCString && h.Instance == 3:
			place = wide(b)
			places++
		}
	}
	switch {
	case !ok:
		return 0, target, false
	case numbers > 1 || targets > 1 || places > 1:
		return id, target, false
	case target == "":
		return id, place, true
	case inside.MatchString(target):
		return id, target, true
	default:
		return id, target, link.Harmless(target) && d.s.Options.URLs == sanitize.KeepURLs
	}
}

// gatherLinks finds which hyperlinks of the document stay, before anything that
// refers to them is written.
func (d *deck) gatherLinks(document []byte) {
	for h, b := range records(document) {
		if h.Type != typeExObjList {
			continue
		}
		for h, b := range records(b) {
			if h.Type == typeHyperlink {
				if id, _, ok := d.judge(b); ok {
					d.links[id] = true
				}
			}
		}
	}
}

// hyperlink appends one of the list.
func (d *deck) hyperlink(out []byte, h officeart.Header, body []byte) ([]byte, error) {
	id, target, ok := d.judge(body)
	if !ok {
		delete(d.links, id)
		d.report.Found("ppt.link", d.where, sanitize.Neutralised, target)
		return out, nil
	}
	at := len(out)
	h.Ver = 15
	out = h.Append(out)
	for h, b := range records(body) {
		switch {
		case h.Type == typeHyperlinkAtom, h.Type == typeCString && (h.Instance == 0 || h.Instance == 1 || h.Instance == 3):
			out = d.atom(out, h, b)
		}
	}
	le.PutUint32(out[at+4:], uint32(len(out)-at-officeart.HeaderSize))
	return out, nil
}

// tag appends what newer versions of PowerPoint keep beside the rest, if it is
// theirs. [MS-PPT] 2.3.16.
func (d *deck) tag(out, body []byte, depth int) ([]byte, error) {
	name := ""
	for h, b := range records(body) {
		switch {
		case h.Type == typeCString:
			name = wide(b)
		case h.Type == typeTagData:
			allowed, ok := tags.Get()[name]
			if !ok {
				switch name {
				case "___PPT11", "___PPT12", "___PPT2001", "___PPTMac11":
					d.report.Found("ppt.newer-copy", d.where, sanitize.Rewritten, name)
				default:
					d.report.Found("ppt.tags", d.where, sanitize.Rewritten, "of a program")
				}
				return out, nil
			}
			data, err := d.list(make([]byte, 0, len(b)), b, typeTagData, allowed, depth+1)
			if err != nil || len(data) == 0 {
				return out, err
			}
			content := officeart.AppendRecord(nil, officeart.Header{Type: typeCString}, unwide(name))
			content = officeart.AppendRecord(content, officeart.Header{Type: typeTagData}, data)
			return officeart.AppendRecord(out, officeart.Header{Ver: 15, Type: typeBinaryTag}, content), nil
		}
	}
	return out, nil
}

// bullet appends a picture that stands before paragraphs. [MS-PPT] 2.9.73.
func (d *deck) bullet(out []byte, h officeart.Header, body []byte) ([]byte, error) {
	if len(body) < 2 {
		return out, nil
	}
	b, err := d.art.Blip(body[2:])
	switch {
	case errors.Is(err, officeart.ErrMalformed):
		d.report.Found("ppt.picture", d.where, sanitize.Removed, "before paragraphs")
		return out, nil
	case err != nil:
		return nil, mapArt(err)
	}
	kind := byte(6) // PNG
	if ph, ok := officeart.ReadHeader(b); ok {
		switch ph.Type {
		case 0xF01A:
			kind = 2
		case 0xF01B:
			kind = 3
		case 0xF01D:
			kind = 5
		}
	}
	return officeart.AppendRecord(out, h, append([]byte{kind, 0}, b...)), nil
}

// commands reports whether a step of an animation is one that tells an object or
// a film what to do, or that plays something: such a step goes whole.
func (d *deck) commands(body []byte) bool {
	for h, b := range records(body) {
		switch {
		case h.Type == typeCommand:
			d.report.Found("ppt.animation-command", d.where, sanitize.Removed, "")
			return true
		case h.Type == typeTimeNodeAtom && len(b) >= 12 && le.Uint32(b[8:]) == 4:
			// [MS-PPT] 2.8.19: TL_TNT_Media.
			d.report.Found("ppt.media", d.where, sanitize.Removed, "of an animation")
			return true
		}
	}
	return false
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

func unwide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, c)
	}
	return b
}
