package pdf

import (
	"slices"

	"sekisho/internal/pdf"
)

// Shapes of values that hold no dictionary.

func same(_ *cleaner, o pdf.Object) pdf.Object { return o }

func isNumber(o pdf.Object) bool {
	switch o.(type) {
	case int64, pdf.Real:
		return true
	}
	return false
}

func simple(name string, accept func(o pdf.Object) bool) *shape {
	return &shape{name: name, accept: func(_ *cleaner, o pdf.Object) bool { return accept(o) }, copy: same}
}

func number() *shape { return simple("number", isNumber) }

func boolean() *shape {
	return simple("boolean", func(o pdf.Object) bool { _, ok := o.(bool); return ok })
}

func integer() *shape {
	return simple("integer", func(o pdf.Object) bool { _, ok := o.(int64); return ok })
}

func anyName() *shape {
	return simple("name", func(o pdf.Object) bool { _, ok := o.(pdf.Name); return ok })
}

func text() *shape {
	return simple("text", func(o pdf.Object) bool { _, ok := o.(pdf.String); return ok })
}

// one allows the names listed.
func one(names ...pdf.Name) *shape {
	return simple("one", func(o pdf.Object) bool {
		n, ok := o.(pdf.Name)
		return ok && slices.Contains(names, n)
	})
}

// plain allows numbers, names and booleans, and arrays of them; with strings
// those too. Nested arrays stand in place, whatever referred to them.
func plain(strings bool) *shape {
	atom := func(o pdf.Object) bool {
		switch o.(type) {
		case int64, pdf.Real, pdf.Name, bool:
			return true
		case pdf.String:
			return strings
		}
		return false
	}
	const nesting = 4 // widths nest two deep, dashes of marks two
	var flat func(c *cleaner, a pdf.Array, depth int) pdf.Array
	flat = func(c *cleaner, a pdf.Array, depth int) pdf.Array {
		out := make(pdf.Array, 0, len(a))
		for _, v := range a {
			if c.copied++; c.copied > maxCopied {
				c.fail(errTooManyValues)
				return nil
			}
			switch v := c.f.Resolve(v).(type) {
			case pdf.Array:
				if depth < nesting {
					out = append(out, flat(c, v, depth+1))
				}
			default:
				if atom(v) {
					out = append(out, v)
				} else if v == nil {
					out = append(out, nil) // places in an array count
				}
			}
		}
		return out
	}
	return &shape{
		name: "plain",
		accept: func(_ *cleaner, o pdf.Object) bool {
			_, ok := o.(pdf.Array)
			return ok || atom(o)
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			if a, ok := o.(pdf.Array); ok {
				return flat(c, a, 0)
			}
			return o
		},
	}
}

// numbers allows arrays of n numbers; with n 0 of any count.
func numbers(n int) *shape {
	list := func(c *cleaner, o pdf.Object) (pdf.Array, bool) {
		a, ok := o.(pdf.Array)
		if !ok || n > 0 && len(a) < n {
			return nil, false
		}
		if n > 0 {
			a = a[:n] // QUIRK: rectangles of five numbers
		}
		if !c.step(len(a)) {
			return nil, false
		}
		out := make(pdf.Array, len(a))
		for i, v := range a {
			if out[i] = c.f.Resolve(v); !isNumber(out[i]) {
				return nil, false
			}
		}
		c.copied += len(a)
		return out, true
	}
	return &shape{
		name:   "numbers",
		accept: func(c *cleaner, o pdf.Object) bool { _, ok := list(c, o); return ok },
		copy:   func(c *cleaner, o pdf.Object) pdf.Object { a, _ := list(c, o); return a },
	}
}

// dict is a dictionary with just these entries.
func dict(name string, keys map[pdf.Name]*shape) *shape {
	return &shape{
		name:   name,
		accept: func(_ *cleaner, o pdf.Object) bool { _, ok := o.(pdf.Dict); return ok },
		copy:   func(c *cleaner, o pdf.Object) pdf.Object { return c.dict(o.(pdf.Dict), keys) },
	}
}

// dictMap is a dictionary of any keys with values of one shape.
func dictMap(name string, of *shape) *shape {
	return &shape{
		name:   name,
		accept: func(_ *cleaner, o pdf.Object) bool { _, ok := o.(pdf.Dict); return ok },
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			in := o.(pdf.Dict)
			if !c.step(len(in)) {
				return pdf.Dict{}
			}
			names := make([]pdf.Name, 0, len(in))
			for k := range in {
				names = append(names, k)
			}
			slices.Sort(names)
			out := pdf.Dict{}
			for _, k := range names {
				if v := c.value(in[k], of); v != nil {
					out[k] = v
				}
			}
			return out
		},
	}
}

// list is an array of values of one shape; what is none of it is left out.
func list(name string, of *shape) *shape {
	return &shape{
		name:   name,
		accept: func(_ *cleaner, o pdf.Object) bool { _, ok := o.(pdf.Array); return ok },
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			out := pdf.Array{}
			for _, v := range o.(pdf.Array) {
				if v := c.value(v, of); v != nil {
					out = append(out, v)
				}
			}
			return out
		},
	}
}

// either is the first of several shapes that accepts a value.
func either(name string, of ...*shape) *shape {
	return &shape{name: name, of: func(c *cleaner, o pdf.Object) *shape {
		_, isStream := o.(*pdf.Stream)
		for _, s := range of {
			if isStream && s.stream == nil || !isStream && s.copy == nil || s.accept == nil {
				continue
			}
			if s.accept(c, o) {
				return s
			}
		}
		return nil
	}}
}
