package ooxml

import "sekisho/internal/xmlscan"

// role is what the filter remembers of an open element beyond its name.
type role uint8

const (
	rolePlain    role = 0
	roleSkipped  role = 1
	roleUnwrap   role = 2 // its content stays, its tags do not
	roleAlt      role = 3 // mc:AlternateContent
	roleBranch   role = 4
	roleList     role = 5 // goes when nothing is left in it
	roleUnit     role = 6 // goes when anything in it goes
	roleRule     role = 7 // goes when a formula in it goes
	roleFormula  role = 8
	roleName     role = 9  // a defined name
	roleFrame    role = 10 // p:graphicFrame
	rolePicture  role = 11 // p:pic in an OLE frame
	roleFldChar  role = 12
	roleInstr    role = 13
	roleText     role = 14 // w:t
	roleStory    role = 15
	roleReplaced role = 16 // it is written under another name
	roleChartRef role = 17 // c:numRef and its kin
	roleSlide    role = 18 // p:cSld
	roleTree     role = 19 // its p:spTree
	roleControls role = 20 // p:controls; like roleUnwrap
	roleMoved    role = 21 // p:pic of a control, which goes to the end of the tree
	roleTable    role = 22 // w:tbl, as long as none of its rows stays
	roleSingle   role = 23 // goes when it is told to, by something in it: a deleted row, the frame of a comment
	roleForeign  role = 24 // ForeignData of Visio: goes with its picture, else says what that is

	// Of texts whose tracked changes are settled.
	roleParagraph role = 25
	roleCell      role = 26 // w:tc
	roleProps     role = 27 // properties that may be followed by what they were before
	roleOld       role = 28 // what they were before; like roleUnwrap

	roleStep role = 29 // of an animation; goes with the last of what it does
)

type frame struct {
	name   int // where its name starts in names
	space  space
	role   role
	begin  int64 // where its start tag starts in the output
	body   int64 // where its content starts
	kids   int   // elements in it that stayed
	scope  int   // bindings before it
	doomed bool
	holds  bool
	endTag string // its end tag under another name; "-" for none
	extra  *extra
}

// extra is what rare elements need.
type extra struct {
	lost                   int // filter.lost at its start
	branches               []branch
	pictured               int   // filter.blips at its start
	inner                  int64 // where its end tag starts
	ole                    bool
	idName                 []byte // attributes of a p:graphicFrame's p:cNvPr
	pictures               []span
	scope                  int   // bindings outside of the frame
	tree                   int64 // where p:spTree ends
	moved                  int   // pictures put there
	kind                   string
	parent                 string
	joins                  bool  // the mark at the end of the paragraph went
	section                bool  // a section ends with the paragraph
	cells                  int   // of a row, that stay
	idsBefore, waitsBefore int   // of a step of an animation
	from, to               int64 // of a paragraph: what stands in it; of properties: those that may be replaced
}

// local returns the name of an open element without its prefix.
func (f *filter) local(fr *frame, i int) string {
	end := len(f.names)
	if i+1 < len(f.frames) {
		end = f.frames[i+1].name
	}
	_, l := xmlscan.Split(f.names[fr.name:end])
	return string(l)
}

// within reports whether an element of that name is open.
func (f *filter) within(sp space, name string) bool {
	for i := len(f.frames) - 1; i >= 0; i-- {
		if f.frames[i].space == sp && f.local(&f.frames[i], i) == name {
			return true
		}
	}
	return false
}

// owner returns the element to which the newest frame belongs in the output:
// tags that are unwrapped do not count.
func (f *filter) owner() *frame {
	for i := len(f.frames) - 2; i >= 0; i-- {
		if r := f.frames[i].role; r != roleUnwrap && r != roleControls && r != roleOld {
			return &f.frames[i]
		}
	}
	return nil
}
