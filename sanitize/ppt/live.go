package ppt

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"sekisho/internal/cfb"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
)

var le = binary.LittleEndian

// The marks of the stream that says where the last edit is. [MS-PPT] 2.3.2.
const (
	tokenPlain     = 0xE391C05F
	tokenEncrypted = 0xF3D1C4DF
)

// edit is the last edit of a presentation with all that those before it left.
type edit struct {
	atom    []byte            // its record
	objects map[uint32]uint32 // where each persist object lies
	walked  int               // octets of directories
}

// edits follows the chain of edits from the last to the first. What a later one
// says of an object counts. [MS-PPT] 2.1.2.
func (d *deck) edits(at uint32) (edit, error) {
	// A save appends an edit. Ten thousand of them without one that writes all
	// anew are a chain that was made to cost something.
	const maxEdits = 10000
	e := edit{objects: map[uint32]uint32{}}
	seen := map[uint32]bool{}
	for n := 0; ; n++ {
		if n > maxEdits || seen[at] {
			return edit{}, fmt.Errorf("edits in a circle: %w", sanitize.ErrMalformed)
		}
		seen[at] = true
		h, body, ok := d.at(at)
		if !ok || h.Type != typeUserEdit || len(body) < 28 {
			if n > 0 {
				// What was saved before is not there any more; whether it is
				// missed shows when it is asked for.
				return e, nil
			}
			return edit{}, fmt.Errorf("no edit at %d: %w", at, sanitize.ErrMalformed)
		}
		if n == 0 {
			e.atom = body[:28]
		}
		if err := d.directory(&e, le.Uint32(body[12:])); err != nil {
			return edit{}, err
		}
		if len(body) >= 32 && d.session(e, le.Uint32(body[28:])) {
			return edit{}, fmt.Errorf("presentation: %w", sanitize.ErrEncrypted)
		}
		if at = le.Uint32(body[8:]); at == 0 {
			return e, nil
		}
	}
}

// session reports whether an edit names what its records are encrypted with. A
// number that leads to anything else is damage. [MS-PPT] 2.3.7.
func (d *deck) session(e edit, id uint32) bool {
	at, named := e.objects[id]
	h, _, ok := d.at(at)
	return named && ok && h.Type == typeCrypt10
}

// directory adds a persist directory. [MS-PPT] 2.3.4: each entry is the number of
// the first object, how many follow, and where they lie.
func (d *deck) directory(e *edit, at uint32) error {
	h, body, ok := d.at(at)
	if !ok || h.Type != typePersistDir {
		return fmt.Errorf("no directory at %d: %w", at, sanitize.ErrMalformed)
	}
	// Each edit has a directory of its own. One that all name would be walked for
	// each of them.
	if e.walked += len(body); e.walked > 4*len(d.doc) {
		return fmt.Errorf("directories that lie in one another: %w", sanitize.ErrMalformed)
	}
	for len(body) >= 4 {
		v := le.Uint32(body)
		id, n := v&0xFFFFF, v>>20
		body = body[4:]
		for ; n > 0 && len(body) >= 4; n-- {
			if _, ok := e.objects[id]; !ok {
				e.objects[id] = le.Uint32(body)
			}
			id++
			body = body[4:]
		}
	}
	return nil
}

// at returns the record that begins at an offset of the stream. One that says it
// is longer than what is left ends with the stream.
func (d *deck) at(offset uint32) (officeart.Header, []byte, bool) {
	if uint64(offset) >= uint64(len(d.doc)) {
		return officeart.Header{}, nil, false
	}
	b := d.doc[offset:]
	h, ok := officeart.ReadHeader(b)
	if !ok {
		return officeart.Header{}, nil, false
	}
	n := min(uint64(h.Len), uint64(len(b)-officeart.HeaderSize))
	return h, b[officeart.HeaderSize : officeart.HeaderSize+int(n)], true
}

// records are the records of a list, up to the first that is cut short.
func records(b []byte) iter.Seq2[officeart.Header, []byte] {
	return func(yield func(officeart.Header, []byte) bool) {
		for {
			h, body, rest, ok := officeart.Next(b)
			if !ok || !yield(h, body) {
				return
			}
			b = rest
		}
	}
}

// object is one that is alive.
type object struct {
	id    uint32
	where string
	head  officeart.Header
	body  []byte
	texts int // how many texts the outline has for it
}

// alive finds the document and all that it refers to.
func (d *deck) alive(e edit) ([]object, error) {
	root := le.Uint32(e.atom[16:])
	at, ok := e.objects[root]
	if !ok {
		return nil, fmt.Errorf("no document: %w", sanitize.ErrMalformed)
	}
	h, body, ok := d.at(at)
	if !ok || h.Type != typeDocument {
		return nil, fmt.Errorf("no document: %w", sanitize.ErrMalformed)
	}
	live := []object{{id: root, where: "document", head: h, body: body}}
	d.present = map[uint32]bool{root: true}
	add := func(id uint32, where string, types ...uint16) bool {
		at, ok := e.objects[id]
		if !ok || d.present[id] {
			return false
		}
		h, body, ok := d.at(at)
		if !ok || !slices.Contains(types, h.Type) {
			return false
		}
		d.present[id] = true
		live = append(live, object{id: id, where: where, head: h, body: body})
		return true
	}
	for h, b := range records(body) {
		switch h.Type {
		case typeDocumentAtom:
			if len(b) >= 32 {
				add(le.Uint32(b[24:]), "master of notes", typeNotes)
				add(le.Uint32(b[28:]), "master of handouts", typeHandout)
			}
		case typeSlideList:
			what, types := "slide", []uint16{typeSlide}
			switch h.Instance {
			case 1:
				what, types = "master", []uint16{typeMainMaster, typeSlide}
			case 2:
				what, types = "notes", []uint16{typeNotes}
			}
			n, last := 0, -1
			for h, b := range records(b) {
				switch {
				case h.Type == typeSlidePersist && len(b) >= 20:
					n++
					last = -1
					if add(le.Uint32(b), fmt.Sprintf("%s %d", what, n), types...) {
						last = len(live) - 1
					}
				case h.Type == typeTextHeader && len(b) >= sizes.Get()[typeTextHeader] && last >= 0:
					live[last].texts++
				}
			}
		}
	}
	// Objects lie beside one another: more than the stream has cannot be alive.
	total := 0
	for _, o := range live {
		if total += officeart.HeaderSize + len(o.body); total > len(d.doc) {
			return nil, fmt.Errorf("objects that lie in one another: %w", sanitize.ErrMalformed)
		}
	}
	return live, nil
}

// rebuild writes the streams of the presentation anew.
func (d *deck) rebuild(current []byte) ([]*cfb.Stream, error) {
	// [MS-PPT] 2.3.2: size, token, offset, length of a name, versions.
	h, user, _, ok := officeart.Next(current)
	if !ok && len(current) >= officeart.HeaderSize+16 {
		h, _ = officeart.ReadHeader(current)
		user = current[officeart.HeaderSize:]
		ok = true
	}
	var place uint32
	switch {
	case len(current) == 0 && d.lastEdit(noEdit) != noEdit:
		// QUIRK: a presentation that lost the stream; its edits are where they were.
		place = d.lastEdit(noEdit)
	case !ok || h.Type != typeCurrentUser || len(user) < 16:
		return nil, fmt.Errorf("a presentation of PowerPoint 95 or older: %w", sanitize.ErrUnsupported)
	case le.Uint32(user[4:]) == tokenEncrypted:
		return nil, fmt.Errorf("presentation: %w", sanitize.ErrEncrypted)
	default:
		place = le.Uint32(user[8:])
	}
	if h, _, ok := d.at(place); !ok || h.Type != typeUserEdit {
		// QUIRK: where the last edit is not where it should be, readers look for
		// it themselves.
		place = d.lastEdit(place)
	}
	e, err := d.edits(place)
	if err != nil {
		return nil, err
	}
	d.objectAt = e.objects
	live, err := d.alive(e)
	if err != nil {
		return nil, err
	}
	stored, err := d.dead(e)
	if err != nil {
		return nil, err
	}
	d.gatherLinks(live[0].body)
	// The order of the objects is that of their numbers, so that treating the
	// output again changes nothing.
	slices.SortFunc(live, func(a, b object) int { return int(a.id) - int(b.id) })
	out := make([]byte, 0, len(d.doc))
	var places []byte
	for i := 0; i < len(live); {
		n := 1
		for i+n < len(live) && live[i+n].id == live[i].id+uint32(n) && n < 0xFFF {
			n++
		}
		places = le.AppendUint32(places, live[i].id|uint32(n)<<20)
		for _, o := range live[i : i+n] {
			places = le.AppendUint32(places, uint32(len(out)))
			d.where, d.outlined = o.where, o.texts
			o.head.Len = uint32(len(o.body))
			if out, err = d.record(out, o.head, o.body, 0, nil, 0); err != nil {
				return nil, err
			}
			if int64(len(out)) > d.s.Options.Limits.OutputBytes {
				return nil, fmt.Errorf("output: %w", sanitize.ErrLimit)
			}
		}
		i += n
	}
	if stored > 0 && !d.objects {
		d.report.Found("ppt.object", "", sanitize.Removed, fmt.Sprintf("%d that nothing refers to", stored))
	}
	at := uint32(len(out))
	out = officeart.AppendRecord(out, officeart.Header{Type: typePersistDir}, places)
	place = uint32(len(out))
	// [MS-PPT] 2.3.3: last slide, version, offsets of the edit before and of the
	// directory, the document, the highest number, the last view.
	a := make([]byte, 28)
	copy(a, e.atom[:4])
	a[7] = 3
	le.PutUint32(a[12:], at)
	le.PutUint32(a[16:], le.Uint32(e.atom[16:]))
	le.PutUint32(a[20:], live[len(live)-1].id)
	copy(a[24:26], e.atom[24:26])
	out = officeart.AppendRecord(out, officeart.Header{Type: typeUserEdit}, a)

	// The name of who saved it last stays, as it does in the property sets.
	name, wide := userName(user)
	u := le.AppendUint32(nil, 0x14)
	u = le.AppendUint32(u, tokenPlain)
	u = le.AppendUint32(u, place)
	u = le.AppendUint16(u, uint16(len(name)))
	u = append(u, 0xF4, 0x03, 3, 0, 0, 0)
	u = append(u, name...)
	u = append(u, 8, 0, 0, 0)
	u = append(u, wide...)
	streams := []*cfb.Stream{
		cfb.NewStream(documentStream, out),
		cfb.NewStream(currentStream, officeart.AppendRecord(nil, officeart.Header{Type: typeCurrentUser}, u)),
	}
	if len(d.art.Delayed) > 0 {
		streams = append(streams, cfb.NewStream(pictureStream, d.art.Delayed))
	}
	return streams, nil
}

// noEdit is a place where there is none.
const noEdit = 0xFFFFFFFF

// lastEdit looks for the last edit among the records of the stream, and returns
// not when there is none.
func (d *deck) lastEdit(not uint32) uint32 {
	at := 0
	for h, b := range records(d.doc) {
		if h.Type == typeUserEdit {
			not = uint32(at)
		}
		at += officeart.HeaderSize + len(b)
	}
	return not
}

// userName is the name of who saved the presentation last, in a code page nobody
// knows and in UTF-16, if both are there.
func userName(user []byte) (name, wide []byte) {
	const fixed = 20
	if len(user) < fixed {
		return nil, nil
	}
	n := int(le.Uint16(user[12:]))
	if n > 255 || fixed+n+4+2*n > len(user) {
		return nil, nil
	}
	return user[fixed : fixed+n], user[fixed+n+4 : fixed+n+4+2*n]
}

// dead reports what the directories name and nothing refers to, and counts the
// objects among it.
func (d *deck) dead(e edit) (stored int, err error) {
	unused := 0
	for id, at := range e.objects {
		if d.present[id] {
			continue
		}
		h, _, ok := d.at(at)
		switch {
		case !ok:
		case h.Type == typeOleStorage:
			// What it belongs to is told where that is: an object, a control, or
			// the macros.
			stored++
		case h.Type == typeCrypt10:
			return 0, fmt.Errorf("presentation: %w", sanitize.ErrEncrypted)
		default:
			unused++
		}
	}
	if unused > 0 {
		d.report.Found("ppt.dead", "", sanitize.Rewritten, fmt.Sprintf("%d objects nothing refers to", unused))
	}
	return stored, nil
}
