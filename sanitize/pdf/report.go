package pdf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sekisho/sanitize"
)

// report gathers findings: one for each rule, place and action, however often
// it was met, so that ten thousand links make one line.
type report struct {
	order []reportKey
	lines map[reportKey]*reportLine
}

type reportKey struct {
	rule, where string
	action      sanitize.Action
}

type reportLine struct {
	detail string
	count  int
}

// maxLines bounds the report; a session takes 200.
const maxLines = 150

func (r *report) found(rule, where string, action sanitize.Action, detail string) {
	k := reportKey{rule, where, action}
	l := r.lines[k]
	if l == nil && len(r.order) >= maxLines {
		k.where = "" // the rule and what was done must not be lost
		l = r.lines[k]
	}
	if l == nil {
		if r.lines == nil {
			r.lines = map[reportKey]*reportLine{}
		}
		const longest = 150
		if len(detail) > longest {
			detail = detail[:longest]
		}
		l = &reportLine{detail: strings.ToValidUTF8(detail, "�")}
		r.lines[k] = l
		r.order = append(r.order, k)
	}
	l.count++
}

// file hands the findings to the session and tells whether anything was taken.
func (r *report) file(s *sanitize.Session) sanitize.Outcome {
	out := sanitize.Clean
	slices.SortFunc(r.order, func(a, b reportKey) int {
		return cmp.Or(strings.Compare(a.rule, b.rule), strings.Compare(a.where, b.where), strings.Compare(string(a.action), string(b.action)))
	})
	for _, k := range r.order {
		l := r.lines[k]
		f := sanitize.Finding{Rule: k.rule, Where: k.where, Action: k.action, Detail: l.detail}
		if l.count > 1 {
			f.Detail = strings.TrimSpace(fmt.Sprintf("%s (%d times)", l.detail, l.count))
		}
		s.Found(f)
		if f.Changed() {
			out = sanitize.Disarmed
		}
	}
	return out
}
