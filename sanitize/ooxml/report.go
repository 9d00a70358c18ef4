package ooxml

import (
	"sekisho/internal/fieldcode"
	"sekisho/sanitize"
)

// report gathers the findings of a document, or of a part of which is not yet
// known whether it stays.
type report struct {
	tally sanitize.Tally
	taken map[string]bool // rules by which something was taken
	waits []waiting
	part  bool // merged into another, or forgotten
}

// waiting is a finding of a part: one for each rule and action, however often.
type waiting struct {
	sanitize.Finding
	count int
}

func newReport() *report {
	return &report{tally: sanitize.Tally{More: "ooxml.more"}, taken: map[string]bool{}}
}

func (r *report) found(rule, where string, action sanitize.Action, detail string) {
	if r.part {
		for i := range r.waits {
			if w := &r.waits[i]; w.Rule == rule && w.Action == action && w.Where == where {
				w.count++
				return
			}
		}
		r.waits = append(r.waits, waiting{sanitize.Finding{Rule: rule, Where: where, Action: action, Detail: detail}, 1})
		return
	}
	if (sanitize.Finding{Action: action}).Changed() {
		r.taken[rule] = true
	}
	r.tally.Found(rule, where, action, detail)
}

// has reports whether a rule was met with something taken.
func (r *report) has(rule string) bool { return r.taken[rule] }

// merge takes over what was found in a part.
func (r *report) merge(o *report) {
	for _, w := range o.waits {
		for range w.count {
			r.found(w.Rule, w.Where, w.Action, w.Detail)
		}
	}
}

// field reports a field that was replaced by its last result.
func (r *report) field(where, word string) {
	switch {
	case fieldcode.Property(word):
		r.found("ooxml.property-field", where, sanitize.Rewritten, word)
	case word == "DDE" || word == "DDEAUTO":
		r.found("ooxml.dde", where, sanitize.Replaced, word)
	default:
		r.found("ooxml.field", where, sanitize.Replaced, word)
	}
}

// file hands the findings to the session and tells whether anything was taken.
func (r *report) file(s *sanitize.Session) sanitize.Outcome { return r.tally.Settle(s) }
