package pdf

import (
	"sekisho/internal/pdf"
)

// pair is an array of an object and a number: the font of a graphics state.
func (g *grammar) pair(first *shape) *shape {
	return &shape{
		name: "pair",
		accept: func(c *cleaner, o pdf.Object) bool {
			a, ok := o.(pdf.Array)
			if !ok || len(a) < 2 {
				return false
			}
			_, num := c.number(a[1])
			return num && first.accept(c, c.f.Resolve(a[0]))
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			a := o.(pdf.Array)
			return pdf.Array{c.value(a[0], first), c.f.Resolve(a[1])}
		},
	}
}

func (g *grammar) transfer() *shape {
	return either("transfer", one("Identity", "Default"), g.function, list("transfers", g.function))
}

// fillFunctions is 7.10. A stitching function holds functions; they nest a
// little and never in a circle.
func (g *grammar) fillFunctions(num, nums *shape) {
	for level := range g.functions {
		g.functions[level] = &shape{}
	}
	g.function = g.functions[len(g.functions)-1]
	for level, s := range g.functions {
		sampled := map[pdf.Name]*shape{
			"FunctionType": num, "Domain": nums, "Range": nums, "Size": nums, "BitsPerSample": num, "Order": num, "Encode": nums, "Decode": nums,
		}
		exponential := map[pdf.Name]*shape{"FunctionType": num, "Domain": nums, "Range": nums, "C0": nums, "C1": nums, "N": num}
		stitching := map[pdf.Name]*shape{"FunctionType": num, "Domain": nums, "Range": nums, "Bounds": nums, "Encode": nums}
		calculator := map[pdf.Name]*shape{"FunctionType": num, "Domain": nums, "Range": nums}
		if level > 0 {
			stitching["Functions"] = list("functions", g.functions[level-1])
		}
		*s = shape{
			name: "function",
			accept: func(c *cleaner, o pdf.Object) bool {
				n, ok := c.integer(sub(o)["FunctionType"])
				st, isStream := o.(*pdf.Stream)
				switch {
				case !ok:
					return false
				case n == 4 && isStream:
					_, ok := c.calculator(st)
					return ok
				case n == 0:
					return isStream
				case n == 2:
					return !isStream
				case n == 3:
					return !isStream && level > 0
				}
				return false
			},
			copy: func(c *cleaner, o pdf.Object) pdf.Object {
				d := o.(pdf.Dict)
				if n, _ := c.integer(d["FunctionType"]); n == 3 {
					return c.dict(d, stitching)
				}
				return c.dict(d, exponential)
			},
			stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) {
				if n, _ := c.integer(st.Dict["FunctionType"]); n == 4 {
					b, _ := c.calculator(st)
					c.w.deflated(out, c.dict(st.Dict, calculator), b)
					return
				}
				c.data(out, st, sampled)
			},
		}
	}
}

// fillColor is 8.6.
func (g *grammar) fillColor(nums *shape) {
	cie := dict("cie", map[pdf.Name]*shape{"WhitePoint": nums, "BlackPoint": nums, "Gamma": either("gamma", number(), nums), "Matrix": nums, "Range": nums})
	device := one("DeviceGray", "DeviceRGB", "DeviceCMYK", "Pattern", "G", "RGB", "CMYK", "CalRGB", "CalGray", "CalCMYK")
	accept := func(c *cleaner, o pdf.Object) bool {
		if n, ok := o.(pdf.Name); ok {
			return n != ""
		}
		a, ok := o.(pdf.Array)
		if !ok || len(a) == 0 {
			return false
		}
		at := func(i int) pdf.Object {
			if i < len(a) {
				return c.f.Resolve(a[i])
			}
			return nil
		}
		base := func(i int) bool { // one more level is looked at when it is copied
			switch at(i).(type) {
			case pdf.Name, pdf.Array:
				return true
			}
			return false
		}
		switch c.name(a[0]) {
		case "ICCBased":
			_, ok := at(1).(*pdf.Stream)
			return ok
		case "CalGray", "CalRGB", "Lab":
			_, ok := at(1).(pdf.Dict)
			return ok
		case "Indexed", "I":
			_, ok := c.integer(at(2))
			switch at(3).(type) {
			case pdf.String, *pdf.Stream:
				return ok && base(1)
			}
			return false
		case "Separation":
			return base(2) && g.function.accept(c, at(3)) && c.name(at(1)) != ""
		case "DeviceN":
			names, ok := at(1).(pdf.Array)
			return ok && len(names) > 0 && base(2) && g.function.accept(c, at(3))
		case "Pattern":
			return len(a) == 1 || base(1)
		}
		return device.accept(c, at(0))
	}
	words := plain(false)
	*g.colorSpace = shape{
		name: "colour space",
		// Arrays that come down to a name are written as the name.
		reduce: func(c *cleaner, o pdf.Object) pdf.Object {
			a, ok := o.(pdf.Array)
			if !ok || !accept(c, a) {
				return nil
			}
			switch kind := c.name(a[0]); kind {
			case "ICCBased":
				if n, ok := c.profile(a[1]).(pdf.Name); ok {
					return n
				}
			case "CalGray", "CalRGB", "Lab", "Indexed", "I", "Separation", "DeviceN":
			case "Pattern":
				if len(a) == 1 {
					return kind
				}
			default:
				return kind
			}
			return nil
		},
		accept: accept,
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			a, ok := o.(pdf.Array)
			if !ok {
				return o
			}
			kind := c.name(a[0])
			base := func(o pdf.Object) pdf.Object {
				if v := c.value(o, g.colorSpace); v != nil {
					return v
				}
				return pdf.Name("DeviceGray")
			}
			switch kind {
			case "ICCBased":
				return c.profile(a[1])
			case "CalGray", "CalRGB", "Lab":
				return pdf.Array{kind, cie.copy(c, c.f.Resolve(a[1]))}
			case "Indexed", "I":
				high, _ := c.integer(a[2])
				var table []byte
				switch t := c.f.Resolve(a[3]).(type) {
				case pdf.String:
					table = []byte(t)
				case *pdf.Stream:
					table, _ = c.bytes(t)
				}
				high = min(max(high, 0), 255)
				const most = 256 * 32 // entries by components
				return pdf.Array{kind, base(a[1]), high, pdf.String(table[:min(len(table), most)])}
			case "Separation":
				return pdf.Array{kind, c.name(a[1]), base(a[2]), c.value(a[3], g.function)}
			case "DeviceN":
				return pdf.Array{kind, words.copy(c, c.f.Resolve(a[1])), base(a[2]), c.value(a[3], g.function)}
			case "Pattern":
				return pdf.Array{kind, base(a[1])}
			}
			return kind
		},
	}
}
