package ooxml

import "sekisho/sanitize"

// Animations of a slide are a tree of steps: p:par, p:seq and p:excl, each with a
// list of what it does. ECMA-376 part 1, 19.5. What plays media or runs a verb
// goes out of its list, a list with the last of it, and a step with its list; the
// other animations stay. A condition that waits for a step that went would never
// come true: then all of the slide's animations go.

// steps is what the filter remembers of the animations of a slide.
type steps struct {
	ids   []string // of the steps that stay, p:cTn/@id
	waits []string // of those that a condition waits for, p:tn/@val
	lost  bool     // something went
}

// maxSteps bounds the steps of a slide; real ones have hundreds.
const maxSteps = 50000

// decideTiming judges an element of p:timing.
func (f *filter) decideTiming(fr *frame, local []byte) verdict {
	name := string(local)
	if name == "timing" {
		f.steps = steps{}
		fr.role, fr.extra = roleUnit, &extra{kind: name}
		return keep
	}
	if !f.within(spaceSlide, "timing") {
		return keep
	}
	switch name {
	case "tnLst", "childTnLst", "subTnLst":
		fr.role = roleList
	case "par", "seq", "excl":
		fr.role, fr.extra = roleStep, &extra{idsBefore: len(f.steps.ids), waitsBefore: len(f.steps.waits)}
	case "cTn":
		kind, _ := f.attribute(spaceNone, "nodeType")
		fr.extra = &extra{kind: kind}
		id, _ := f.attribute(spaceNone, "id")
		f.steps.ids = append(f.steps.ids, id)
	case "tn":
		id, _ := f.attribute(spaceNone, "val")
		f.steps.waits = append(f.steps.waits, id)
	case "audio", "video", "cmd":
		f.report.found("ooxml.timing", f.part.source, sanitize.Removed, "animation that plays media or runs a verb")
		f.steps.lost = true
		return dropQuietly
	}
	f.tooMuch = f.tooMuch || len(f.steps.ids)+len(f.steps.waits) > maxSteps
	return keep
}

// nothingToDo tells the step of a list that went. The root of all steps may have
// none: PowerPoint writes it alone for a slide without animations.
func (f *filter) nothingToDo(fr *frame) {
	n := len(f.frames) - 1
	if fr.space != spaceSlide || n < 2 {
		return
	}
	switch f.local(fr, n) {
	case "tnLst":
		f.frames[n-1].doomed = true
	case "childTnLst":
		node, step := &f.frames[n-1], &f.frames[n-2]
		if step.role == roleStep && node.extra != nil && node.extra.kind != "tmRoot" {
			step.doomed = true
		}
	}
}

// forget takes back what was remembered since a step began that went.
func (s *steps) forget(begin *extra) {
	s.ids, s.waits = s.ids[:begin.idsBefore], s.waits[:begin.waitsBefore]
}

// broken reports whether a condition waits for a step that is not there any
// more.
func (s *steps) broken() bool {
	if !s.lost {
		return false
	}
	there := make(map[string]bool, len(s.ids))
	for _, id := range s.ids {
		there[id] = true
	}
	for _, id := range s.waits {
		if !there[id] {
			return true
		}
	}
	return false
}
