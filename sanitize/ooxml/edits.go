package ooxml

import (
	"slices"

	"sekisho/internal/xmlscan"
)

// edit replaces one attribute by another, or by nothing.
type edit struct {
	from, to int
	with     string
}

// writeTag writes the start tag in the scanner with its edits.
func (f *filter) writeTag(fr *frame) {
	raw := f.s.Raw
	// Where the namespaces stood that this element is written without.
	outside := fr.scope
	if fr.role == rolePicture || fr.role == roleMoved {
		outside = fr.extra.scope
	}
	for i := len(f.frames) - 2; i >= 0 && fr.role != roleBranch && f.frames[i].transparent(); i-- {
		outside = min(outside, f.frames[i].scope)
	}
	if len(f.edits) == 0 && outside == fr.scope {
		f.out.write(raw)
		return
	}
	slices.SortFunc(f.edits, func(a, b edit) int { return a.from - b.from })
	at := 0
	for _, e := range f.edits {
		f.out.write(raw[at:e.from])
		f.out.writeString(e.with)
		at = e.to
	}
	tail := 1
	if f.s.Empty {
		tail = 2
	}
	f.out.write(raw[at : len(raw)-tail])
	f.redeclare(fr, outside)
	f.out.write(raw[len(raw)-tail:])
}

// rename writes the element in the scanner under another name.
func (f *filter) rename(fr *frame, local string) {
	p, old := xmlscan.Split(f.s.Name)
	fr.role, fr.endTag = roleReplaced, qualified(p, local)
	f.edits = append(f.edits, edit{from: 1 + len(f.s.Name) - len(old), to: 1 + len(f.s.Name), with: local})
}

// edited reports whether an attribute was dealt with.
func (f *filter) edited(a *xmlscan.Attr) bool {
	for _, e := range f.edits {
		if e.from == a.From {
			return true
		}
	}
	return false
}

// attribute returns the decoded value of an attribute of the tag in the scanner.
func (f *filter) attribute(sp space, name string) (string, bool) {
	for i := range f.s.Attrs {
		a := &f.s.Attrs[i]
		p, l := xmlscan.Split(a.Name)
		if string(l) != name {
			continue
		}
		if len(p) == 0 {
			if sp == spaceNone {
				return string(xmlscan.AppendDecoded(nil, a.Value)), true
			}
			continue
		}
		if got, err := f.resolve(p, false); err == nil && got.space == sp {
			return string(xmlscan.AppendDecoded(nil, a.Value)), true
		}
	}
	return "", false
}

// value of w:val and its kin, which have the prefix of their element or none.
func (f *filter) own(sp space, name string) string {
	if v, ok := f.attribute(sp, name); ok {
		return v
	}
	v, _ := f.attribute(spaceNone, name)
	return v
}

func (f *filter) remove(a *xmlscan.Attr) { f.edits = append(f.edits, edit{from: a.From, to: a.To}) }

// replace gives an attribute another value.
func (f *filter) replace(a *xmlscan.Attr, with string) {
	f.edits = append(f.edits, edit{from: a.From, to: a.To, with: " " + string(a.Name) + `="` + string(xmlscan.AppendEscaped(nil, []byte(with))) + `"`})
}
