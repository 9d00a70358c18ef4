package ooxml

import (
	"slices"
	"strings"

	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// Office writes some things twice: mc:AlternateContent with a mc:Choice for
// programs that know a vocabulary and a mc:Fallback for all others (ECMA-376
// part 3, 7.5). Of the branches one is kept here, so that every program shows the
// same: the first Choice whose vocabularies the filter knows and of which it had
// nothing to take, else the Fallback.

// standing says how a Choice stands in the output.
type standing uint8

const (
	// Every program since Office 2010 knows the vocabulary, and what is written in
	// it stands where the alternative stood.
	standsBare standing = 1
	// A program that does not know the vocabulary calls a document damaged that has
	// it bare (part 3, 7.6), so the tags stay around it.
	standsWrapped standing = 2
)

// yielding says when a whole Choice gives way to a whole Fallback.
type yielding uint8

const (
	yieldsNever   yielding = 1
	yieldsAlways  yielding = 2 // the Fallback shows the same, and in every program
	yieldsPicture yielding = 3 // the Fallback does so where it has a picture
)

// requirement is what is known of the vocabularies that a Choice requires.
type requirement struct {
	known  bool
	stands standing
	yields yielding
}

// requirementOf judges one vocabulary. What is not named here stays in its tags.
func requirementOf(uri string, ns namespace) requirement {
	r := requirement{known: ns.words != nil, stands: standsWrapped, yields: yieldsNever}
	switch ns.space {
	case spaceUnknown, spaceNone, spaceActive, spaceIgnored, spaceXML, spaceXMLNS:
		r.known = false
	}
	switch uri {
	case "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
		"http://schemas.microsoft.com/office/word/2010/wordprocessingGroup",
		"http://schemas.microsoft.com/office/word/2010/wordprocessingDrawing",
		"http://schemas.microsoft.com/office/word/2010/wordml",
		"http://schemas.microsoft.com/office/drawing/2010/main",
		"http://schemas.microsoft.com/office/drawing/2010/slicer",
		"http://schemas.microsoft.com/office/excel/2010/spreadsheetDrawing",
		"http://schemas.microsoft.com/office/powerpoint/2010/main",
		"http://schemas.microsoft.com/office/spreadsheetml/2009/9/main",
		"urn:schemas-microsoft-com:vml":
		r.stands = standsBare
	case "http://schemas.microsoft.com/office/word/2010/wordprocessingCanvas":
		// QUIRK: LibreOffice 7.4 draws a canvas only from the VML beside it.
		r.stands, r.yields = standsBare, yieldsAlways
	case "http://schemas.microsoft.com/office/drawing/2007/8/2/chart":
		// The style of a chart, by its number of 2007 and by that plus 100:
		// [MS-ODRAWXML] 2.24.3.
		r.yields = yieldsAlways
	case "http://schemas.microsoft.com/office/word/2015/wordml/symex":
		// Characters above U+FFFF, beside the same ones as text.
		r.yields = yieldsAlways
	case "http://schemas.microsoft.com/office/drawing/2012/slicer", "http://schemas.microsoft.com/office/drawing/2012/timeslicer":
		// Slicers of tables, which have no words of their own, and time lines: what
		// stands there is a frame, whose place in a sheet may not be empty.
		r.known, r.stands = true, standsBare
	default:
		if strings.HasPrefix(uri, "http://schemas.microsoft.com/office/drawing/") && strings.HasSuffix(uri, "/chartex") {
			// Charts of 2016, each kind with a namespace that has no words of its own.
			// Word and PowerPoint put a picture of them beside, Excel only words that
			// tell it cannot be shown.
			r.known, r.stands, r.yields = true, standsBare, yieldsPicture
		} else if strings.HasPrefix(uri, "http://schemas.openxmlformats.org/") || strings.HasPrefix(uri, "http://purl.oclc.org/ooxml/") {
			r.stands = standsBare
		}
	}
	return r
}

// branch is one way of an alternative, as it was written to the output.
type branch struct {
	whole    span // with its tags
	body     span
	fallback bool
	requirement
	lost     bool // the filter took something of it
	kids     int
	pictures bool
}

// decideCompatibility judges an element of the vocabulary of alternatives.
func (f *filter) decideCompatibility(fr *frame, local []byte) verdict {
	inside := false
	if n := len(f.frames); n >= 2 {
		inside = f.frames[n-2].role == roleAlt
	}
	switch name := string(local); name {
	case "AlternateContent":
		fr.role, fr.extra = roleAlt, &extra{lost: f.lost}
		return keep
	case "Choice", "Fallback":
		if !inside {
			return dropQuietly
		}
		b := branch{fallback: name == "Fallback"}
		if !b.fallback {
			b.requirement = f.required()
		}
		fr.role, fr.extra = roleBranch, &extra{lost: f.lost, pictured: f.blips, branches: []branch{b}}
		return keep
	default:
		return dropQuietly
	}
}

// required judges the vocabularies that the Choice in the scanner requires: the
// worst of them decides.
func (f *filter) required() requirement {
	all := requirement{known: true, stands: standsBare, yields: yieldsNever}
	value, _ := f.attribute(spaceNone, "Requires")
	n := 0
	for prefix := range strings.FieldsSeq(value) {
		b, ok := f.lookup([]byte(prefix))
		if !ok || b.uri == "" {
			return requirement{}
		}
		r := requirementOf(b.uri, b.namespace)
		if b.space == spaceA14 && f.part.host == hostSlide {
			// Formulas in the text of a shape: the schema of texts has no place for
			// them, only the alternative has.
			r.stands = standsWrapped
		}
		all.known = all.known && r.known
		all.stands = max(all.stands, r.stands)
		all.yields = max(all.yields, r.yields)
		n++
	}
	if n == 0 {
		return requirement{}
	}
	return all
}

// endBranch notes what became of a branch, whose end tag was written.
func (f *filter) endBranch(fr *frame, inner int64) {
	f.endStory()
	b := fr.extra.branches[0]
	b.whole, b.body = span{fr.begin, f.out.pos()}, span{fr.body, inner}
	b.lost, b.kids, b.pictures = f.lost > fr.extra.lost, fr.kids, f.blips > fr.extra.pictured
	alt := f.frames[len(f.frames)-2].extra
	alt.branches = append(alt.branches, b)
}

// chosen returns the branch that stays, or -1.
func chosen(branches []branch) int {
	find := func(fits func(b *branch) bool) int {
		return slices.IndexFunc(branches, func(b branch) bool { return b.kids > 0 && fits(&b) })
	}
	fallback := find(func(b *branch) bool { return b.fallback && !b.lost })
	c := find(func(b *branch) bool { return b.known && !b.lost })
	switch {
	case c >= 0 && fallback >= 0 && (branches[c].yields == yieldsAlways || branches[c].yields == yieldsPicture && branches[fallback].pictures):
		return fallback
	case c >= 0:
		return c
	case fallback >= 0:
		return fallback
	}
	// Neither is whole.
	if c = find(func(b *branch) bool { return b.known }); c >= 0 {
		return c
	}
	return find(func(b *branch) bool { return b.fallback })
}

// finishAlternative takes all branches out but one.
func (f *filter) finishAlternative(fr *frame) {
	x := fr.extra
	n := chosen(x.branches)
	told := 0
	for i := range x.branches {
		if b := &x.branches[i]; b.kids > 0 || b.lost {
			told++
		}
	}
	if told > 1 {
		f.report.found("ooxml.branch", f.part.source, sanitize.Rewritten, "")
	}
	if n < 0 {
		f.cutFrame(fr)
		f.forgetPictures(fr.begin, span{})
		return
	}
	b := &x.branches[n]
	if !b.lost {
		f.lost = x.lost // what is left stands whole; who contains it lost nothing
	}
	f.forgetPictures(fr.begin, b.body)
	if b.fallback || b.stands != standsWrapped {
		f.out.cut(fr.begin, b.body.from)
		f.out.cut(b.body.to, f.out.pos())
		return
	}
	// The tags of the alternative and of the branch stay.
	f.out.cut(fr.body, b.whole.from)
	f.out.cut(b.whole.to, x.inner)
}

// forgetPictures takes the pictures of an object that went with their branch off
// the list from which the one in its place is taken.
func (f *filter) forgetPictures(from int64, but span) {
	for i := len(f.frames) - 1; i >= 0; i-- {
		if g := &f.frames[i]; g.role == roleFrame {
			g.extra.pictures = slices.DeleteFunc(g.extra.pictures, func(s span) bool {
				return s.from >= from && (s.from < but.from || s.to > but.to)
			})
			return
		}
	}
}

// inUnit reports whether an extension is open that goes as a whole, inside of the
// branch if there is one: what it loses no branch loses.
func (f *filter) inUnit() bool {
	for i := len(f.frames) - 2; i >= 0; i-- {
		switch f.frames[i].role {
		case roleUnit:
			return true
		case roleBranch:
			return false
		}
	}
	return false
}

// transparent reports whether the tags of an open element may go while what it
// contains stays, so that namespaces declared there are declared on that too.
func (g *frame) transparent() bool {
	switch g.role {
	case roleUnwrap, roleControls, roleOld, roleAlt, roleBranch:
		return true
	case roleChartRef:
		return g.endTag == "-"
	default:
		return false
	}
}

// declaredOutside reports whether a binding says what was said where the element
// will stand.
func (f *filter) declaredOutside(b *binding, outside int) bool {
	for i := b.before; i >= 0; i = f.bindings[i].before {
		if i < outside {
			return f.bindings[i].uri == b.uri
		}
	}
	return false
}

// isBranch reports whether the element in the scanner is a branch, which
// alone stands in an alternative.
func isBranch(sp space, name []byte) bool {
	_, l := xmlscan.Split(name)
	return sp == spaceMC && (string(l) == "Choice" || string(l) == "Fallback")
}
