package ooxml

import (
	"sekisho/sanitize"
)

// changeFate says what becomes of the tracked changes of a text.
type changeFate uint8

const (
	changesStay   changeFate = 0 // as the profile's zero value
	changesRemain changeFate = 1 // accepted: the text is what they made of it
	changesGo     changeFate = 2 // removed: the text is what it was before them
)

func fateOfChanges(o *sanitize.Options) changeFate {
	switch {
	case o.Accept:
		return changesRemain
	case o.Reject:
		return changesGo
	default:
		return changesStay
	}
}

// decideChange settles tracked changes: text, rows and cells that came or went,
// marks of paragraphs, and what properties were before. ECMA-376 part 1, 17.13.5.
func (f *filter) decideChange(fr *frame, local []byte) verdict {
	n := len(f.frames)
	parent := ""
	if n > 1 {
		parent = f.local(&f.frames[n-2], n-2)
	}
	if n > 1 && f.frames[n-2].role == roleOld && propertyList(string(local)) {
		return unwrap
	}
	switch name := string(local); name {
	case "p":
		fr.role, fr.extra = roleParagraph, &extra{}
	case "tbl":
		fr.role = roleTable
	case "tr":
		fr.role, fr.extra = roleSingle, &extra{}
	case "tc":
		fr.role = roleCell
	case "ins", "moveTo", "del", "moveFrom":
		goes := (name == "ins" || name == "moveTo") == (f.flags.changes == changesGo)
		f.settled()
		switch parent {
		case "trPr":
			if goes {
				f.dropSingle()
			}
		case "rPr":
			if n > 3 && goes && f.frames[n-4].role == roleParagraph && f.local(&f.frames[n-3], n-3) == "pPr" {
				f.frames[n-4].extra.joins = true
			}
		default:
			if !goes {
				return unwrap
			}
		}
		return dropQuietly
	case "cellIns", "cellDel":
		f.settled()
		if (name == "cellIns") == (f.flags.changes == changesGo) {
			for i := n - 2; i >= 0; i-- {
				if f.frames[i].role == roleCell {
					f.frames[i].doomed = true
					break
				}
			}
		}
		return dropQuietly
	case "rPrChange", "pPrChange", "sectPrChange", "tblPrChange", "tblPrExChange", "tblGridChange", "trPrChange", "tcPrChange":
		f.settled()
		if f.flags.changes == changesGo && n > 1 && f.frames[n-2].role == roleProps {
			fr.role = roleOld
			return unwrap
		}
		return dropQuietly
	case "numberingChange", "cellMerge",
		"moveFromRangeStart", "moveFromRangeEnd", "moveToRangeStart", "moveToRangeEnd", "customXmlInsRangeStart", "customXmlInsRangeEnd", "customXmlDelRangeStart", "customXmlDelRangeEnd",
		"customXmlMoveFromRangeStart", "customXmlMoveFromRangeEnd", "customXmlMoveToRangeStart", "customXmlMoveToRangeEnd", "trackRevisions":
		return dropQuietly
	default:
		if f.flags.changes == changesGo && propertyList(name) {
			fr.role, fr.extra = roleProps, &extra{}
		}
	}
	return keep
}

func (f *filter) settled() {
	detail := "accepted"
	if f.flags.changes == changesGo {
		detail = "removed"
	}
	f.report.found("ooxml.tracked-change", f.part.source, sanitize.Neutralised, detail)
}

// propertyList reports whether an element lists properties of which an older
// state may stand in it.
func propertyList(name string) bool {
	switch name {
	case "rPr", "pPr", "sectPr", "tblPr", "tblPrEx", "tblGrid", "trPr", "tcPr":
		return true
	default:
		return false
	}
}

// restore puts what properties were before in the place of what they are. The
// references of a section to its headers, and what a paragraph has for its mark
// and its section, are of no such list and stay.
func (f *filter) restore(fr *frame) {
	p := &f.frames[len(f.frames)-2]
	from, to := p.body, fr.begin
	if p.extra.from > 0 {
		from = p.extra.from
	}
	if p.extra.to > 0 {
		to = p.extra.to
	}
	f.out.cut(from, to)
	if to < fr.begin {
		f.out.move(fr.begin, from)
	}
}

// joint is a paragraph whose mark went: what stands in it belongs to the
// beginning of the next, which keeps its own properties. Until that has come it
// is held.
type joint struct {
	owner          int // index of the frame in which both stand
	next           int // index of the next paragraph's frame, once it has begun
	begin, end     int64
	props          span // its properties
	body           span // what stands in it
	waiting, alone bool
}

// ownerIndex is the index of the frame in which the newest element will stand.
func (f *filter) ownerIndex() int {
	for i := len(f.frames) - 2; i >= 0; i-- {
		switch f.frames[i].role {
		case roleUnwrap, roleControls, roleOld:
		default:
			return i
		}
	}
	return -1
}

// beforeElement is told of an element that stays, before its tag is written.
func (f *filter) beforeElement(fr *frame, local []byte) {
	j := f.joint
	if j == nil {
		return
	}
	if !j.waiting {
		// The paragraph that the other joins has begun; its properties come first.
		if f.ownerIndex() == j.next && string(local) != "pPr" {
			f.join()
		}
		return
	}
	if f.ownerIndex() != j.owner {
		return
	}
	switch name := string(local); {
	case fr.space == spaceWord && name == "p" && f.s.Empty:
		// A paragraph of nothing: the first is its content, and has no properties.
		j.alone = true
	case fr.space == spaceWord && name == "p":
		j.waiting, j.next = false, len(f.frames)-1
	case fr.space == spaceWord && (name == "bookmarkStart" || name == "bookmarkEnd" || name == "commentRangeStart" || name == "commentRangeEnd" || name == "proofErr" || name == "permStart" || name == "permEnd"):
	default:
		f.unjoin()
	}
}

// beforeEnd is told of an element that stays, before its end tag is written.
func (f *filter) beforeEnd(fr *frame) {
	j, n := f.joint, len(f.frames)-1
	if j == nil {
		return
	}
	switch {
	case j.waiting && n == j.owner:
		f.unjoin() // nothing came
	case !j.waiting && n == j.next && !f.s.Empty:
		f.join()
	}
}

// afterElement is told of an element that was written whole.
func (f *filter) afterElement(fr *frame) {
	n := len(f.frames) - 1
	if n == 0 {
		return
	}
	p, name := &f.frames[n-1], f.local(fr, n)
	switch {
	case p.role == roleProps && (name == "headerReference" || name == "footerReference"):
		p.extra.from = f.out.pos()
	case p.role == roleProps && (name == "rPr" || name == "sectPr") && p.extra.to == 0:
		p.extra.to = fr.begin
	}
	switch {
	case p.role == roleParagraph && name == "pPr":
		p.extra.to, p.extra.from = fr.begin, f.out.pos()
		if j := f.joint; j != nil && !j.waiting && j.next == n-1 {
			f.join()
		}
	case name == "sectPr" && n > 1 && f.frames[n-2].role == roleParagraph:
		f.frames[n-2].extra.section = true
	}
}

// join puts the tag and the properties of the second paragraph before what
// stands in the first.
func (f *filter) join() {
	j := f.joint
	f.joint = nil
	fr := &f.frames[j.next]
	second := fr.begin
	end := f.out.move(second, j.begin)
	n := end - j.begin
	// Codes of fields that are open are known by their places.
	for _, story := range f.stories {
		for _, x := range story {
			for _, spans := range [][]span{x.cuts, x.texts} {
				for i := range spans {
					if spans[i].from >= j.begin {
						spans[i].from += n
						spans[i].to += n
					}
				}
			}
		}
	}
	f.out.cut(end, j.body.from+n)
	f.out.cut(j.body.to+n, j.end+n)
	fr.extra.to -= second - j.begin
	fr.begin, fr.extra.from = j.begin, end
	f.out.release()
}

// unjoin leaves a paragraph what it is: what follows is none.
func (f *filter) unjoin() {
	f.joint = nil
	f.out.release()
}

// endParagraph is told of a paragraph that was written whole.
func (f *filter) endParagraph(fr *frame, inner int64) {
	j, x := f.joint, fr.extra
	if j != nil && j.alone {
		f.out.cut(fr.begin, f.out.pos())
		f.out.cut(j.props.from, j.props.to)
		f.unjoin()
		return
	}
	if !x.joins || x.section || x.from == 0 || j != nil {
		return
	}
	f.out.hold()
	f.joint = &joint{owner: f.ownerIndex(), begin: fr.begin, end: f.out.pos(), props: span{x.to, x.from}, body: span{x.from, inner}, waiting: true}
}

// endCell takes a cell out that came, or went; a row without cells is none.
func (f *filter) endCell(fr *frame) {
	var row *frame
	for i := len(f.frames) - 2; i >= 0 && row == nil; i-- {
		if f.frames[i].role == roleSingle {
			row = &f.frames[i]
		}
	}
	switch {
	case row == nil || row.extra == nil:
	case fr.doomed:
		f.cutFrame(fr)
		if row.extra.cells == 0 {
			row.extra.cells = -1
		}
	case row.extra.cells < 0:
		row.extra.cells = 1
	default:
		row.extra.cells++
	}
}

// dropSingle takes the row or frame out in which the element in the scanner stands.
func (f *filter) dropSingle() {
	for i := len(f.frames) - 2; i >= 0; i-- {
		if f.frames[i].role == roleSingle {
			f.frames[i].doomed = true
			return
		}
	}
}

// rowStays releases the table that was held until one of its rows stays.
func (f *filter) rowStays() {
	for i := len(f.frames) - 2; i >= 0; i-- {
		if t := &f.frames[i]; t.role == roleTable {
			if t.holds {
				t.holds = false
				f.out.release()
			}
			return
		}
	}
}
