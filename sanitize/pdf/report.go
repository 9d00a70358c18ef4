package pdf

import (
	"maps"
	"slices"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// report gathers findings, and the pages on which something was taken.
type report struct {
	sanitize.Tally
	page  int   // which is being written, from 1; 0: something of the whole document
	pages []int // in their order
}

func (r *report) found(rule, where string, action sanitize.Action, detail string) {
	r.Found(rule, where, action, detail)
	if r.page > 0 && (sanitize.Finding{Action: action}).Changed() && (len(r.pages) == 0 || r.pages[len(r.pages)-1] != r.page) {
		r.pages = append(r.pages, r.page)
	}
}

// keys are those of a dictionary in one order, so that the same document makes
// the same report.
func keys(d pdf.Dict) []pdf.Name { return slices.Sorted(maps.Keys(d)) }
