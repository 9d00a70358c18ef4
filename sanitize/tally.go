package sanitize

import (
	"fmt"
	"strings"
)

// A Tally gathers the findings of one file: one for each rule, place and action,
// however often it was met, so that a sheet of a million bad formulas makes one
// line. The zero value is empty.
type Tally struct {
	More string // the rule under which findings are counted that no longer fit

	order   []tallyKey
	lines   map[tallyKey]*tallyLine
	changed bool // something was taken, also by a line that had to go
}

type tallyKey struct {
	rule, where string
	action      Action
}

type tallyLine struct {
	detail string
	count  int
}

// maxTally bounds a tally; a session takes as many.
const maxTally = 200

// Found counts one finding. What does not fit any more is counted all the same:
// its action decides whether the file is clean.
func (t *Tally) Found(rule, where string, action Action, detail string) {
	t.changed = t.changed || Finding{Action: action}.Changed()
	k := tallyKey{rule, where, action}
	l := t.lines[k]
	if l == nil {
		if t.lines == nil {
			t.lines = map[tallyKey]*tallyLine{}
		}
		if len(t.order) == maxTally {
			k = tallyKey{t.More, "", action}
			if l = t.lines[k]; l == nil {
				l = &tallyLine{}
				t.lines[k] = l
				t.order = append(t.order[:maxTally-1], k)
			}
			l.count++
			return
		}
		l = &tallyLine{detail: strings.Clone(bounded(detail, 200))}
		t.lines[k] = l
		t.order = append(t.order, k)
	}
	l.count++
}

// Settle hands the findings to the session and says whether anything was taken.
func (t *Tally) Settle(s *Session) Outcome {
	out := Clean
	for _, k := range t.order {
		l := t.lines[k]
		f := Finding{Rule: k.rule, Where: k.where, Action: k.action, Detail: l.detail}
		if l.count > 1 {
			f.Detail = strings.TrimSpace(fmt.Sprintf("%s (%d times)", l.detail, l.count))
		}
		s.Found(f)
	}
	if t.changed {
		out = Disarmed
	}
	return out
}
