package pdf

import (
	"sekisho/internal/pdf"
)

// mark is an outline item that is written.
type mark struct {
	r        pdf.Ref
	d        pdf.Dict
	children []*mark
	open     bool
}

// outlines writes the outline (12.3.3) as a tree, so that its links to and fro
// are whole.
func (c *cleaner) outlines(o pdf.Object) pdf.Object {
	top, ok := c.f.Resolve(o).(pdf.Dict)
	if !ok {
		return nil
	}
	c.saw(o)
	const most = 100000
	met := map[int]bool{}
	count := 0
	var walk func(o pdf.Object, depth int) []*mark
	walk = func(o pdf.Object, depth int) []*mark {
		var all []*mark
		for c.err == nil {
			r, ok := o.(pdf.Ref)
			d, isDict := c.f.Resolve(o).(pdf.Dict)
			if !ok || !isDict || met[r.Num] || depth > maxTree || count > most {
				return all
			}
			met[r.Num] = true
			c.seen[r.Num] = true
			count++
			m := &mark{r: c.w.number(), d: pdf.Dict{}}
			title, _ := c.f.Resolve(d["Title"]).(pdf.String)
			m.d["Title"] = title
			if p := c.place(c.f.Resolve(d["Dest"])); p != nil {
				m.d["Dest"] = p
			} else if d["A"] != nil {
				if a := c.value(d["A"], c.g.action); a != nil {
					m.d["A"] = a
				}
			}
			if a, ok := c.f.Resolve(d["C"]).(pdf.Array); ok {
				if n := numbers(3); n.accept(c, a) {
					m.d["C"] = n.copy(c, a)
				}
			}
			if n, ok := c.integer(d["F"]); ok && n > 0 && n < 4 {
				m.d["F"] = n
			}
			for _, k := range keys(d) {
				switch k {
				case "A", "F": // seen to, and flags
				default:
					c.left(k, d)
				}
			}
			n, _ := c.integer(d["Count"])
			m.open = n > 0
			m.children = walk(d["First"], depth+1)
			all = append(all, m)
			o = d["Next"]
		}
		return all
	}
	all := walk(top["First"], 0)
	if len(all) == 0 {
		return nil
	}
	root := c.w.number()
	var write func(parent pdf.Ref, ms []*mark) int64
	write = func(parent pdf.Ref, ms []*mark) int64 {
		shown := int64(0)
		for i, m := range ms {
			m.d["Parent"] = parent
			if i > 0 {
				m.d["Prev"] = ms[i-1].r
			}
			if i+1 < len(ms) {
				m.d["Next"] = ms[i+1].r
			}
			shown++
			if len(m.children) > 0 {
				m.d["First"], m.d["Last"] = m.children[0].r, m.children[len(m.children)-1].r
				n := write(m.r, m.children)
				if m.open {
					m.d["Count"] = n
					shown += n
				} else {
					m.d["Count"] = -n
				}
			}
			c.w.object(m.r, m.d)
		}
		return shown
	}
	shown := write(root, all)
	c.w.object(root, pdf.Dict{"Type": pdf.Name("Outlines"), "First": all[0].r, "Last": all[len(all)-1].r, "Count": shown})
	return root
}
