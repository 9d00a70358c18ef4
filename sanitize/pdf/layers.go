package pdf

import (
	"slices"

	"sekisho/internal/pdf"
)

// optionalContent writes the layers with the state in which they are printed
// (8.11.4): what a reader would switch for printing is switched for good.
func (c *cleaner) optionalContent(d pdf.Dict) pdf.Object {
	out := pdf.Dict{}
	groups := list("layers", c.g.layer)
	if v := c.value(d["OCGs"], groups); v != nil {
		out["OCGs"] = v
	}
	conf, ok := c.f.Resolve(d["D"]).(pdf.Dict)
	if !ok {
		conf = pdf.Dict{}
	}
	on, off := map[int]bool{}, map[int]bool{}
	events, _ := c.f.Resolve(conf["AS"]).(pdf.Array)
	for _, e := range events {
		e, ok := c.f.Resolve(e).(pdf.Dict)
		if !ok || c.name(e["Event"]) != "Print" {
			continue
		}
		gs, _ := c.f.Resolve(e["OCGs"]).(pdf.Array)
		for _, g := range gs {
			r, ok := g.(pdf.Ref)
			if !ok {
				continue
			}
			layer, _ := c.f.Get(r).(pdf.Dict)
			usage, _ := c.f.Resolve(layer["Usage"]).(pdf.Dict)
			printing, _ := c.f.Resolve(usage["Print"]).(pdf.Dict)
			switch c.name(printing["PrintState"]) {
			case "ON":
				on[r.Num] = true
			case "OFF":
				off[r.Num] = true
			}
		}
	}
	in := pdf.Dict{}
	for k, v := range conf {
		in[k] = v
	}
	if len(on)+len(off) > 0 {
		for k, set := range map[pdf.Name]map[int]bool{"ON": on, "OFF": off} {
			list, _ := c.f.Resolve(conf[k]).(pdf.Array)
			a := pdf.Array{}
			for _, o := range list {
				if r, ok := o.(pdf.Ref); ok && !on[r.Num] && !off[r.Num] {
					a = append(a, r)
				}
			}
			nums := make([]int, 0, len(set))
			for n := range set {
				nums = append(nums, n)
			}
			slices.Sort(nums)
			for _, n := range nums {
				a = append(a, pdf.Ref{Num: n})
			}
			in[k] = a
		}
	}
	out["D"] = c.dict(in, c.g.config)
	return out
}
