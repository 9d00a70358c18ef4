package pdf

import (
	"slices"
	"strings"

	"sekisho/internal/pdf"
)

// maxEntries bounds a tree of names or numbers that is written.
const maxEntries = 200000

type entry struct{ key, value pdf.Object }

// tree walks a name or number tree (7.9.6, 7.9.7).
func (c *cleaner) tree(o pdf.Object, leaves pdf.Name, f func(key, value pdf.Object)) {
	met := map[int]bool{}
	count := 0
	var walk func(o pdf.Object, depth int)
	walk = func(o pdf.Object, depth int) {
		// Nodes that stand in their parents can be led to by many ways.
		if !c.step(1) {
			return
		}
		if r, ok := o.(pdf.Ref); ok {
			if met[r.Num] {
				return
			}
			met[r.Num] = true
			c.seen[r.Num] = true
		}
		d, ok := c.f.Resolve(o).(pdf.Dict)
		if !ok || depth > maxTree || count > maxEntries {
			return
		}
		a, _ := c.f.Resolve(d[leaves]).(pdf.Array)
		c.saw(d[leaves])
		for i := 0; i+1 < len(a) && count <= maxEntries; i += 2 {
			count++
			f(c.f.Resolve(a[i]), a[i+1])
		}
		kids, _ := c.f.Resolve(d["Kids"]).(pdf.Array)
		for _, k := range kids {
			walk(k, depth+1)
		}
	}
	walk(o, 0)
}

// writeTree writes a tree of entries that are in order.
func (c *cleaner) writeTree(es []entry, leaves pdf.Name) pdf.Object {
	if len(es) == 0 {
		return nil
	}
	type node struct {
		d           pdf.Dict
		first, last pdf.Object
	}
	var level []node
	for i := 0; i < len(es); i += fanOut {
		part := es[i:min(i+fanOut, len(es))]
		a := pdf.Array{}
		for _, e := range part {
			a = append(a, e.key, e.value)
		}
		level = append(level, node{pdf.Dict{leaves: a}, part[0].key, part[len(part)-1].key})
	}
	for len(level) > 1 {
		var next []node
		for i := 0; i < len(level); i += fanOut {
			part := level[i:min(i+fanOut, len(level))]
			kids := pdf.Array{}
			for _, n := range part {
				n.d["Limits"] = pdf.Array{n.first, n.last}
				r := c.w.number()
				c.w.object(r, n.d)
				kids = append(kids, r)
			}
			next = append(next, node{pdf.Dict{"Kids": kids}, part[0].first, part[len(part)-1].last})
		}
		level = next
	}
	r := c.w.number()
	c.w.object(r, level[0].d)
	return r
}

// inOrder sorts entries by their keys and keeps one of each.
func inOrder(es []entry) []entry {
	compare := func(a, b entry) int {
		switch x := a.key.(type) {
		case int64:
			y, _ := b.key.(int64)
			return int(min(max(x-y, -1), 1))
		case pdf.String:
			y, _ := b.key.(pdf.String)
			return strings.Compare(string(x), string(y))
		}
		return 0
	}
	slices.SortStableFunc(es, compare)
	return slices.CompactFunc(es, func(a, b entry) bool { return compare(a, b) == 0 })
}
