package pdf

import (
	"sekisho/internal/pdf"
)

// structure writes the root of the logical structure (14.7.2).
func (c *cleaner) structure(r pdf.Ref, d pdf.Dict) {
	c.seen[r.Num] = true
	out := pdf.Dict{"Type": pdf.Name("StructTreeRoot")}
	if k := c.f.Resolve(d["K"]); k != nil {
		switch k := k.(type) {
		case pdf.Dict:
			if v := c.value(d["K"], c.g.element); v != nil {
				out["K"] = v
			}
		case pdf.Array:
			a := pdf.Array{}
			for _, v := range k {
				if v := c.value(v, c.g.element); v != nil {
					a = append(a, v)
				}
			}
			out["K"] = a
		}
	}
	if m, ok := c.f.Resolve(d["RoleMap"]).(pdf.Dict); ok {
		roles := pdf.Dict{}
		for k, v := range m {
			if n := c.name(v); n != "" && !acts(n) && !acts(k) {
				roles[k] = n
			}
		}
		out["RoleMap"] = roles
	}
	var parents []entry
	c.tree(d["ParentTree"], "Nums", func(k, v pdf.Object) {
		n, ok := k.(int64)
		if !ok || n < 0 {
			return
		}
		switch t := c.f.Resolve(v).(type) {
		case pdf.Dict:
			if v := c.value(v, c.g.element); v != nil {
				parents = append(parents, entry{n, v})
			}
		case pdf.Array:
			c.saw(v)
			a := pdf.Array{}
			if c.copied += len(t); c.copied > maxCopied {
				c.fail(errTooManyValues)
				return
			}
			for _, e := range t {
				a = append(a, c.value(e, c.g.element)) // places count
			}
			parents = append(parents, entry{n, a})
		}
	})
	if v := c.writeTree(inOrder(parents), "Nums"); v != nil {
		out["ParentTree"] = v
	}
	if n, ok := c.integer(d["ParentTreeNextKey"]); ok {
		out["ParentTreeNextKey"] = n
	}
	c.w.object(r, out)
}
