package ooxml

import (
	"path"
	"strconv"
	"strings"

	"sekisho/sanitize"
)

// prune takes out parts that turned out not to stay, and what leads to them.
func (d *document) prune() {
	gone := map[*part]bool{}
	for _, p := range d.parts {
		if p.class == 0 {
			gone[p] = true
		}
		if d.flags.dropSlicers && p.rule != nil {
			switch p.rule.relation {
			case "slicer", "slicerCache", "timeline", "timelineCache":
				gone[p] = true
				d.report.found("ooxml.slicer", p.source, sanitize.Removed, "slicer of a pivot table that became values")
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	// In the order in which a second run will find them.
	reached := map[*part]bool{}
	kept := d.parts[:0:0]
	var reach func(p *part)
	reach = func(p *part) {
		if reached[p] || gone[p] {
			return
		}
		reached[p] = true
		kept = append(kept, p)
		for _, r := range p.rels {
			if r.target != nil {
				reach(r.target)
			}
		}
	}
	reach(d.parts[0])
	for _, p := range kept {
		rels := p.rels[:0:0]
		for _, r := range p.rels {
			if r.target == nil || reached[r.target] {
				rels = append(rels, r)
			}
		}
		p.rels = rels
		for id, r := range p.byID {
			if r.target != nil && !reached[r.target] {
				delete(p.byID, id)
				p.gone[id] = true
			}
		}
	}
	d.parts = kept
}

// nameParts gives the parts their names in the output: a fixed word for each
// kind of part and a number, which is the input's where it has that form.
// QUIRK: LibreOffice takes the number in a slide's name for its place in a
// custom show, so numbers must not be dealt out anew.
func (d *document) nameParts() {
	used := map[string]bool{d.main.name: true}
	var later []*part
	for _, p := range d.parts[1:] {
		p.name = ""
		base := p.host.root() + p.base
		stem := strings.TrimSuffix(p.source, path.Ext(p.source))
		number, ok := strings.CutPrefix(stem, base)
		const longest = 5 // digits; an archive has 5,000 members
		if ok && len(number) <= longest && (!p.numbered && number == "" || isNumber(number)) && !used[base+number] {
			p.name = base + number
			used[p.name] = true
			continue
		}
		later = append(later, p)
	}
	next := map[string]int{}
	for _, p := range later {
		base := p.host.root() + p.base
		if !p.numbered && !used[base] {
			p.name = base
		}
		for p.name == "" {
			next[base]++
			if n := base + strconv.Itoa(next[base]); !used[n] {
				p.name = n
			}
		}
		used[p.name] = true
	}
}

// isNumber reports whether s counts from one, in digits.
func isNumber(s string) bool {
	if s == "" || s[0] == '0' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
