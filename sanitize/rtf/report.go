package rtf

import (
	"fmt"
	"strings"

	"sekisho/internal/fieldcode"
	"sekisho/sanitize"
)

// report gathers findings: one for each rule and action, with how often it was
// met and the first few things that were.
type report struct {
	order []finding
	lines map[finding]*line
}

type finding struct {
	rule   string
	action sanitize.Action
}

type line struct {
	details []string
	count   int
}

// maxDetail is how much of a thing is named.
const maxDetail = 80

// maxDetails is how many different things are named: a finding is one line.
const maxDetails = 5

func (r *report) found(rule string, action sanitize.Action, detail string) {
	k := finding{rule, action}
	l := r.lines[k]
	if l == nil {
		if r.lines == nil {
			r.lines = map[finding]*line{}
		}
		l = &line{}
		r.lines[k] = l
		r.order = append(r.order, k)
	}
	l.count++
	detail = strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7F && c < 0xA0 {
			return -1
		}
		return c
	}, detail))
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "")
	}
	if detail == "" || len(l.details) >= maxDetails {
		return
	}
	for _, d := range l.details {
		if d == detail {
			return
		}
	}
	l.details = append(l.details, detail)
}

// field tells of a field that was replaced by its last result.
func (r *report) field(word, code string) {
	switch {
	case fieldcode.Property(word):
		r.found("rtf.property-field", sanitize.Rewritten, word)
	case word == "DDE" || word == "DDEAUTO":
		r.found("rtf.dde", sanitize.Replaced, word)
	case word == "HYPERLINK":
		r.found("rtf.link", sanitize.Neutralised, strings.TrimSpace(code)[min(len("HYPERLINK"), len(strings.TrimSpace(code))):])
	default:
		r.found("rtf.field", sanitize.Replaced, word)
	}
}

// file hands the findings to the session and tells whether anything was taken.
func (r *report) file(s *sanitize.Session) sanitize.Outcome {
	out := sanitize.Clean
	for _, k := range r.order {
		l := r.lines[k]
		f := sanitize.Finding{Rule: k.rule, Action: k.action, Detail: strings.Join(l.details, ", ")}
		if l.count > 1 {
			f.Detail = strings.TrimSpace(fmt.Sprintf("%s (%d times)", f.Detail, l.count))
		}
		s.Found(f)
		if f.Changed() {
			out = sanitize.Disarmed
		}
	}
	return out
}
