package ooxml

import (
	"strings"

	"sekisho/internal/fieldcode"
	"sekisho/sanitize"
)

// field is a Word field that is open.
type field struct {
	literal   []byte // code at its own level, deleted text included
	kept      []byte // without deleted text
	nested    bool
	result    bool // the separator has passed
	denied    bool
	cuts      []span // what must go when it is denied
	texts     []span // likewise, but for a field that never ends
	overflown bool
	tracked   string // the tracked change in which it began
	mixed     bool   // it began in another than it went on in
	hidden    bool   // no reader ever saw its result
}

// open returns the open fields of this story.
func (f *filter) open() []*field { return f.stories[len(f.stories)-1] }

// denyOpenCode: what stands here is not read as code by us, but by others.
func (f *filter) denyOpenCode() {
	for _, x := range f.open() {
		if !x.result {
			x.overflown = true
		}
	}
}

// beginStory starts text of its own: a text box, a note, a comment. A field
// cannot reach out of it.
func (f *filter) beginStory() { f.stories = append(f.stories, nil) }

// endStory takes out what is left of fields that never ended.
func (f *filter) endStory() {
	n := len(f.stories) - 1
	for _, x := range f.stories[n] {
		if x.hidden && x.result {
			f.hidden--
		}
		if !x.result && !x.denied {
			// The text in it was shown, so it stays; the code goes.
			for _, c := range x.cuts {
				f.out.cut(c.from, c.to)
			}
			if strings.TrimSpace(string(x.literal)) != "" {
				f.report.found("ooxml.field", f.part.source, sanitize.Replaced, "a field that never ends")
			}
			f.out.release()
		}
	}
	f.stories[n] = nil
	if n > 0 {
		f.stories = f.stories[:n]
	}
}

// fieldEvent follows the w:fldChar that was just written.
func (f *filter) fieldEvent(fr *frame) {
	n := len(f.stories) - 1
	at := span{fr.begin, f.out.pos()}
	top := f.top()
	f.mark(at)
	switch fr.extra.kind {
	case "begin":
		if top != nil && !top.result {
			top.nested = true
		}
		if len(f.stories[n]) == maxFields {
			f.out.cut(at.from, at.to)
			f.report.found("ooxml.field", f.part.source, sanitize.Replaced, "fields in fields")
			return
		}
		f.out.hold()
		f.stories[n] = append(f.stories[n], &field{cuts: []span{at}, tracked: f.trackedChange()})
	case "separate":
		switch {
		case top == nil || top.result:
			f.out.cut(at.from, at.to)
		default:
			top.mixed = top.tracked != f.trackedChange()
			f.decideField(top)
			top.result = true
			if top.hidden {
				f.hidden++
			}
		}
	case "end":
		switch {
		case top == nil:
			f.out.cut(at.from, at.to)
			return
		case !top.result:
			top.mixed = top.tracked != f.trackedChange()
			f.decideField(top)
		case top.denied:
			f.out.cut(at.from, at.to)
		}
		if top.hidden && top.result {
			f.hidden--
		}
		f.stories[n] = f.stories[n][:len(f.stories[n])-1]
	default:
		f.out.cut(at.from, at.to)
	}
}

// hidesResult reports whether a field never shows its result: SET and ASK give a
// bookmark its text. ECMA-376 part 1, 17.16.5.3 and 17.16.5.58. Without the
// field it would be text that the author's readers never saw.
func hidesResult(word string) bool { return word == "SET" || word == "ASK" }

// showResults ends what hides results, at the end of a paragraph: text behind a
// field that never ends is not to be lost.
func (f *filter) showResults() {
	for _, story := range f.stories {
		for _, x := range story {
			x.hidden = x.hidden && !x.result
		}
	}
	f.hidden = 0
}

// trackedChange names the innermost insertion or deletion that is open.
// ECMA-376 part 1, 17.13.5.
func (f *filter) trackedChange() string {
	for i := len(f.frames) - 1; i >= 0; i-- {
		if f.frames[i].space == spaceWord {
			switch l := f.local(&f.frames[i], i); l {
			case "ins", "del", "moveFrom", "moveTo":
				return l
			}
		}
	}
	return ""
}

func (f *filter) top() *field {
	if fs := f.open(); len(fs) > 0 {
		return fs[len(fs)-1]
	}
	return nil
}

// mark notes a piece of code for every field in whose code it stands.
func (f *filter) mark(at span) {
	for _, x := range f.open() {
		if !x.result && len(x.cuts) < maxPieces {
			x.cuts = append(x.cuts, at)
		} else if !x.result {
			f.tooMuch = true
		}
	}
}

// decideField judges a field whose code is complete.
func (f *filter) decideField(x *field) {
	why := fieldcode.Verdict(string(x.kept), x.nested)
	if why == "" && len(x.literal) != len(x.kept) {
		why = fieldcode.Verdict(string(x.literal), x.nested)
	}
	if x.overflown {
		why = "too long"
	}
	leads := why == "" && f.flags.links != sanitize.KeepURLs && fieldcode.Leads(string(x.literal))
	if leads {
		why = "HYPERLINK, by the profile"
	}
	if x.mixed {
		// Who accepts the changes and who rejects them reads two codes.
		why = "code that a tracked change ends"
	}
	if why != "" {
		x.denied = true
		x.hidden = hidesResult(why)
		for _, c := range x.cuts {
			f.out.cut(c.from, c.to)
		}
		for _, c := range x.texts {
			f.out.cut(c.from, c.to)
		}
		if leads {
			f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, why)
		} else {
			f.report.field(f.part.source, why)
		}
	}
	f.out.release()
	x.cuts, x.texts = nil, nil
}

// finishInstruction takes in the w:instrText that was just written.
func (f *filter) finishInstruction(fr *frame) {
	at := span{fr.begin, f.out.pos()}
	top := f.top()
	if top == nil || top.result {
		// Code outside of a field's code means nothing, or another thing to
		// another reader.
		f.out.cut(at.from, at.to)
		return
	}
	f.mark(at)
	f.addCode(top, fr.extra.kind == "delInstrText")
}

func (f *filter) addCode(x *field, deleted bool) {
	if len(x.literal)+len(f.formula) > maxCapture {
		x.overflown = true
		return
	}
	x.literal = append(x.literal, f.formula...)
	if !deleted {
		x.kept = append(x.kept, f.formula...)
	}
}
