package pdf

import (
	"slices"
	"strings"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// place is a destination in the document (12.3.2): a page of ours and how it is
// shown, or the name of one that the document has.
func (c *cleaner) place(o pdf.Object) pdf.Object {
	switch t := o.(type) {
	case pdf.Name:
		if c.named[string(t)] {
			return t
		}
	case pdf.String:
		if c.named[string(t)] {
			return t
		}
	case pdf.Dict:
		if t["D"] != nil {
			if a, ok := c.f.Resolve(t["D"]).(pdf.Array); ok {
				return c.place(a)
			}
		}
	case pdf.Array:
		if len(t) < 2 {
			return nil
		}
		var page pdf.Ref
		switch p := t[0].(type) {
		case pdf.Ref:
			page = c.pages[p.Num]
		case int64:
			// QUIRK: numbers of pages belong in files elsewhere, and occur here.
			if p >= 0 && p < int64(len(c.order)) {
				page = c.order[p]
			}
		}
		fit := c.name(t[1])
		switch fit {
		case "XYZ", "Fit", "FitH", "FitV", "FitR", "FitB", "FitBH", "FitBV":
		default:
			return nil
		}
		if page.Num == 0 {
			return nil
		}
		out := pdf.Array{page, fit}
		for _, v := range t[2:min(len(t), 6)] {
			if v = c.f.Resolve(v); !isNumber(v) {
				v = nil
			}
			out = append(out, v)
		}
		return out
	}
	return nil
}

// goTo is an action that may stay: to a place in the document, or to an
// address that a browser or a mail program opens, by the profile.
func (c *cleaner) goTo(o pdf.Object) pdf.Object {
	d, ok := o.(pdf.Dict)
	if !ok {
		return nil
	}
	kind := c.name(d["S"])
	var out pdf.Dict
	switch kind {
	case "GoTo":
		if p := c.place(c.f.Resolve(d["D"])); p != nil {
			out = pdf.Dict{"S": kind, "D": p}
		}
	case "URI":
		u, _ := c.f.Resolve(d["URI"]).(pdf.String)
		if harmlessURL(string(u)) && c.s.Options.URLs == sanitize.KeepURLs {
			out = pdf.Dict{"S": kind, "URI": u}
		}
	}
	if out == nil {
		c.action(d, "")
		return nil
	}
	if d["Next"] != nil {
		c.action(d["Next"], "Next")
	}
	return out
}

// harmlessURL reports whether a link may stay: what a browser or mail program
// opens in its own sandbox, and nothing that reaches a file server or another
// program.
func harmlessURL(s string) bool {
	const longest = 8192 // browsers take as much, and more is no address
	if len(s) > longest {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return false // 12.6.4.7: seven bits; readers that skip others see another address
		}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		return len(rest) > 2 && strings.HasPrefix(rest, "//") && rest[2] != '/' && rest[2] != '\\'
	case "mailto":
		return true
	default:
		return false
	}
}

// places gathers the named destinations of the document.
func (c *cleaner) places(root pdf.Dict) {
	c.named = map[string]bool{}
	add := func(to *[]entry, key string, o pdf.Object) {
		c.saw(o)
		o = c.f.Resolve(o)
		if d, ok := o.(pdf.Dict); ok {
			o = c.f.Resolve(d["D"])
		}
		if a, ok := o.(pdf.Array); ok {
			if p := c.place(a); p != nil && !c.named[key] && len(*to) < maxEntries {
				c.named[key] = true
				*to = append(*to, entry{pdf.String(key), p})
			}
		}
	}
	if d, ok := c.f.Resolve(root["Dests"]).(pdf.Dict); ok {
		c.saw(root["Dests"])
		keys := make([]string, 0, len(d))
		for k := range d {
			keys = append(keys, string(k))
		}
		slices.Sort(keys)
		for _, k := range keys {
			add(&c.oldDests, k, d[pdf.Name(k)])
		}
	}
	names, _ := c.f.Resolve(root["Names"]).(pdf.Dict)
	c.saw(root["Names"])
	c.tree(names["Dests"], "Names", func(k, v pdf.Object) {
		if s, ok := k.(pdf.String); ok {
			add(&c.dests, string(s), v)
		}
	})
	for _, k := range keys(names) {
		switch k {
		case "Dests":
		case "EmbeddedFiles":
			c.tree(names[k], "Names", func(_, v pdf.Object) { c.attachment(v) })
		default:
			c.left(k, names)
		}
	}
}
