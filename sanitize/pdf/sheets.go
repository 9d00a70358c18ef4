package pdf

import (
	"fmt"
	"slices"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// sheet is a page of the input with what it inherits.
type sheet struct {
	num    int // 0: it stands in its parent
	dict   pdf.Dict
	parent pdf.Dict // what it inherits
}

// inherited attributes (7.7.3.4).
var inheritable = []pdf.Name{"Resources", "MediaBox", "CropBox", "Rotate"}

// sheets walks the page tree. A node that was met before is passed over, so no
// circle is followed; damaged trees are read as far as they go.
func (c *cleaner) sheets(top pdf.Object) []sheet {
	var all []sheet
	nodes := map[int]bool{}
	visited := 0
	var walk func(o pdf.Object, inherit pdf.Dict, depth int)
	walk = func(o pdf.Object, inherit pdf.Dict, depth int) {
		if c.err != nil {
			return
		}
		if visited++; len(all) > maxPages || visited > 4*maxPages {
			c.fail(fmt.Errorf("more than %d pages: %w", maxPages, sanitize.ErrLimit))
			return
		}
		r, isRef := o.(pdf.Ref)
		d, ok := c.f.Resolve(o).(pdf.Dict)
		if !ok {
			return
		}
		kids, node := c.f.Resolve(d["Kids"]).(pdf.Array)
		if isRef {
			if node && nodes[r.Num] || depth > maxTree {
				return
			}
			nodes[r.Num] = true
			c.seen[r.Num] = true
		}
		if !node && c.name(d["Type"]) == "Pages" {
			return // a node without children
		}
		if !node {
			// Not put together yet: one page may stand in the tree thousands of times.
			s := sheet{dict: d, parent: inherit}
			if isRef {
				s.num = r.Num
			}
			all = append(all, s)
			return
		}
		own := make(pdf.Dict, len(inheritable))
		for _, k := range inheritable {
			if d[k] != nil && c.f.Resolve(d[k]) != nil {
				own[k] = d[k]
			} else if inherit[k] != nil {
				own[k] = inherit[k]
			}
		}
		for _, k := range kids {
			walk(k, own, depth+1)
		}
	}
	walk(top, nil, 0)
	if len(all) == 0 && c.err == nil {
		// QUIRK: the tree leads nowhere. Pages there are, in the order of their
		// numbers.
		var nums []int
		for n := range c.f.Numbers {
			nums = append(nums, n)
		}
		slices.Sort(nums)
		for _, n := range nums {
			if d, ok := c.f.Get(pdf.Ref{Num: n}).(pdf.Dict); ok && c.name(d["Type"]) == "Page" && len(all) < maxPages {
				all = append(all, sheet{num: n, dict: d})
			}
		}
		if len(all) > 0 {
			c.report.found("pdf.repaired", "page tree", sanitize.Rewritten, "")
		}
	}
	return all
}

// parents writes a page tree over the new pages, and returns the parent of
// each and the root.
func (c *cleaner) parents() ([]pdf.Ref, pdf.Ref) {
	type node struct {
		r     pdf.Ref
		kids  pdf.Array
		count int64
	}
	var level []node
	var parents []pdf.Ref
	for i := 0; i < len(c.order); i += fanOut {
		n := node{r: c.w.number()}
		for _, p := range c.order[i:min(i+fanOut, len(c.order))] {
			n.kids = append(n.kids, p)
			n.count++
			parents = append(parents, n.r)
		}
		level = append(level, n)
	}
	for {
		var next []node
		if len(level) > 1 {
			for i := 0; i < len(level); i += fanOut {
				up := node{r: c.w.number()}
				for _, n := range level[i:min(i+fanOut, len(level))] {
					up.kids = append(up.kids, n.r)
					up.count += n.count
				}
				next = append(next, up)
			}
		}
		for i, n := range level {
			d := pdf.Dict{"Type": pdf.Name("Pages"), "Kids": n.kids, "Count": n.count}
			if next != nil {
				d["Parent"] = next[i/fanOut].r
			}
			c.w.object(n.r, d)
		}
		if next == nil {
			return parents, level[0].r
		}
		level = next
	}
}
