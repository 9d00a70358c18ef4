package doc

import (
	"fmt"
	"strings"

	"sekisho/sanitize"
)

// report gathers findings: one for each rule, place and action, however often it
// was met, so that a document of a million bad fields makes one line.
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
const maxLines = 200

func (r *report) found(rule, where string, action sanitize.Action, detail string) {
	k := reportKey{rule, where, action}
	l := r.lines[k]
	if l == nil {
		if len(r.order) >= maxLines {
			// The action decides whether the file is clean: it must not be lost.
			k = reportKey{"doc.more", "", action}
			if l = r.lines[k]; l == nil {
				l = &reportLine{}
				r.lines[k] = l
				r.order = append(r.order[:maxLines-1], k)
			}
			l.count++
			return
		}
		if r.lines == nil {
			r.lines = map[reportKey]*reportLine{}
		}
		const longest = 300 // octets; the session cuts to 200 between characters
		if len(detail) > longest {
			detail = strings.ToValidUTF8(detail[:longest], "")
		}
		l = &reportLine{detail: strings.Clone(detail)}
		r.lines[k] = l
		r.order = append(r.order, k)
	}
	l.count++
}

// file hands the findings to the session and tells whether anything was taken.
func (r *report) file(s *sanitize.Session) sanitize.Outcome {
	out := sanitize.Clean
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
