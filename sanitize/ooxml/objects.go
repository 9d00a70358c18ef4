package ooxml

import "strconv"

// openFrame returns the innermost p:graphicFrame, when it holds an OLE object.
func (f *filter) openFrame() *frame {
	for i := len(f.frames) - 1; i >= 0; i-- {
		if fr := &f.frames[i]; fr.role == roleFrame {
			if fr.extra.ole {
				return fr
			}
			return nil
		}
	}
	return nil
}

// finishGraphicFrame puts the picture of an OLE object in its place.
func (f *filter) finishGraphicFrame(fr *frame) {
	if !fr.extra.ole {
		return
	}
	if n := len(fr.extra.pictures); n > 0 {
		p := fr.extra.pictures[n-1]
		f.out.cut(fr.begin, p.from)
		f.out.cut(p.to, f.out.pos())
		return
	}
	f.lost++
	f.cutFrame(fr)
}

// moving reports whether a picture of a control is open.
func (f *filter) moving() bool {
	for i := len(f.frames) - 1; i > f.controls; i-- {
		if f.frames[i].role == roleMoved {
			return true
		}
	}
	return false
}

// identity returns the id and name of the p:cNvPr in the scanner, as written.
func (f *filter) identity() []byte {
	var out []byte
	for i := range f.s.Attrs {
		a := &f.s.Attrs[i]
		switch string(a.Name) {
		case "id", "name", "descr", "title":
			out = append(out, f.s.Raw[a.From:a.To]...)
		}
	}
	return out
}

// takeIdentity gives the picture in place of an object the object's id: the
// preview's own is 0 and would be there twice.
func (f *filter) takeIdentity() {
	var id []byte
	if g := f.openFrame(); g != nil {
		id = g.extra.idName
	}
	if id == nil {
		return
	}
	first := true
	for i := range f.s.Attrs {
		a := &f.s.Attrs[i]
		switch string(a.Name) {
		case "id", "name", "descr", "title":
			e := edit{from: a.From, to: a.To}
			if first {
				e.with, first = string(id), false
			}
			f.edits = append(f.edits, e)
		}
	}
}

// numberPicture gives the picture of a control an id of its own; its own is 0.
func (f *filter) numberPicture(n int) {
	const first = 900000 // ids of a slide count from 1
	for i := range f.s.Attrs {
		if a := &f.s.Attrs[i]; string(a.Name) == "id" {
			f.replace(a, strconv.Itoa(first+n))
		}
	}
}

// decideControl judges what stands in p:controls: of a control only the
// picture beside it stays. [MS-OE376] 2.1.1249 has it in the fallback.
func (f *filter) decideControl(fr *frame, sp space, local []byte) verdict {
	switch {
	case sp == spaceMC && (string(local) == "AlternateContent" || string(local) == "Choice" || string(local) == "Fallback"), sp == spaceSlide && string(local) == "control":
		return unwrap
	case sp == spaceSlide && string(local) == "pic":
		fr.role, fr.extra = roleMoved, &extra{}
		for i := f.controls - 1; i >= 0; i-- {
			if g := &f.frames[i]; g.role == roleSlide {
				fr.extra.scope, fr.extra.moved = g.extra.scope, g.extra.moved
				break
			}
		}
		return keep
	default:
		return dropQuietly
	}
}
