package pdf

import (
	"slices"
	"strings"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// annotations that may stay (12.5.6), and those that go and are said.
var annotations = []pdf.Name{
	"Text", "Link", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline", "Squiggly", "StrikeOut",
	"Caret", "Stamp", "Ink", "Popup", "Widget", "Watermark", "Redact",
}

// fillAnnotations is 12.5 and 12.7: annotations and form fields, which are one
// object when a field has one place on the pages.
func (g *grammar) fillAnnotations(num, flag, whole, name, str, nums, rect, simple, words *shape) {
	states := either("states", g.form, dictMap("states", g.form))
	*g.appearance = *dict("appearance", map[pdf.Name]*shape{"N": states, "R": states, "D": states})
	page := &shape{name: "page", accept: func(c *cleaner, o pdf.Object) bool { return false }}
	keys := map[pdf.Name]*shape{
		"Type": one("Annot"), "Subtype": name, "Rect": rect, "Contents": str, "P": page, "NM": str, "M": str, "F": whole, "AP": g.appearance,
		"AS": name, "Border": simple, "C": nums, "StructParent": whole, "OC": g.layers,
		// markup
		"T": str, "Popup": g.annot, "CA": num, "ca": num, "CreationDate": str, "IRT": g.annot, "Subj": str, "RT": one("R", "Group"), "IT": name,
		"BE":         dict("effect", map[pdf.Name]*shape{"S": one("S", "C"), "I": num}),
		"BS":         dict("style", map[pdf.Name]*shape{"Type": one("Border"), "W": num, "S": one("S", "D", "B", "I", "U"), "D": simple}),
		"QuadPoints": nums, "L": nums, "LE": simple, "IC": nums, "LL": num, "LLE": num, "LLO": num, "Cap": flag, "CP": name,
		"Vertices": nums, "InkList": simple, "RD": nums, "DA": str, "Q": num, "CL": nums, "Name": name, "Open": flag, "State": str, "StateModel": str,
		"Sy": name, "OverlayText": str, "Repeat": flag, "Parent": g.annot,
		// links
		"H": one("N", "I", "O", "P", "T"), "Dest": g.destination, "A": g.action,
		// form fields
		"MK": dict("look", map[pdf.Name]*shape{
			"R": num, "BC": nums, "BG": nums, "CA": str, "RC": str, "AC": str, "TP": num, "I": g.form, "RI": g.form, "IX": g.form,
			"IF": dict("fit", map[pdf.Name]*shape{"SW": name, "S": one("A", "P"), "A": nums, "FB": flag}),
		}),
		"FT": one("Btn", "Tx", "Ch"), "TU": str, "TM": str, "Ff": whole, "MaxLen": whole, "Opt": words, "TI": whole, "I": nums,
	}
	value := &shape{
		name: "form value",
		accept: func(c *cleaner, o pdf.Object) bool {
			switch o.(type) {
			case pdf.String, pdf.Name, int64, pdf.Real, pdf.Array:
				return true
			}
			return false
		},
		copy: words.copy,
	}
	keys["V"], keys["DV"] = value, value
	keys["Kids"] = &shape{
		name:   "kids",
		accept: func(c *cleaner, o pdf.Object) bool { _, ok := o.(pdf.Array); return ok },
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			out := pdf.Array{}
			for _, v := range o.(pdf.Array) {
				if d, ok := c.f.Resolve(v).(pdf.Dict); !ok || c.signature(d) {
					continue
				}
				if v := c.value(v, g.annot); v != nil {
					out = append(out, v)
				}
			}
			return out
		},
	}
	*g.annot = shape{
		name: "annotation or field",
		accept: func(c *cleaner, o pdf.Object) bool {
			d, ok := o.(pdf.Dict)
			if !ok {
				return false
			}
			kind := c.name(d["Subtype"])
			switch {
			case kind == "":
				return d["FT"] != nil || d["T"] != nil || d["Kids"] != nil
			case slices.Contains(annotations, kind):
				return kind != "Widget" || !c.signature(d) || c.f.Resolve(d["AP"]) != nil
			}
			switch kind {
			case "FileAttachment":
				c.attachment(d["FS"])
			case "Screen", "Movie", "Sound", "3D", "RichMedia":
				c.report.found("pdf.media", "", sanitize.Removed, string(kind))
				for _, k := range []pdf.Name{"A", "AA"} {
					if d[k] != nil {
						c.left(k, d)
					}
				}
			default:
				c.report.found("pdf.annotation", "", sanitize.Removed, strings.ToValidUTF8(string(kind), "?"))
			}
			return false
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			d := o.(pdf.Dict)
			if c.name(d["Subtype"]) == "Widget" && c.signature(d) {
				// What a signature shows stays, as a stamp: nothing is signed any
				// more, and nobody shall be asked to sign.
				stamp := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Stamp")}
				for _, k := range []pdf.Name{"Rect", "F", "AP", "AS", "P"} {
					stamp[k] = d[k]
				}
				d = stamp
			}
			out := c.dict(d, keys)
			if p, ok := d["P"].(pdf.Ref); ok && c.pages[p.Num].Num != 0 {
				out["P"] = c.pages[p.Num]
			}
			return out
		},
	}
	g.acroForm = map[pdf.Name]*shape{
		"Fields": keys["Kids"], "NeedAppearances": flag, "DR": g.resources, "DA": str, "Q": num,
	}
	*g.destination = shape{
		name:   "destination",
		accept: func(c *cleaner, o pdf.Object) bool { return c.place(o) != nil },
		copy:   func(c *cleaner, o pdf.Object) pdf.Object { return c.place(o) },
	}
	*g.action = shape{
		name:   "action",
		accept: func(c *cleaner, o pdf.Object) bool { return c.goTo(o) != nil },
		copy:   func(c *cleaner, o pdf.Object) pdf.Object { return c.goTo(o) },
	}
}

// attributes of structure elements that say how text is laid out and read
// (14.8.5).
var attributes = []pdf.Name{
	"O", "Placement", "WritingMode", "BackgroundColor", "BorderColor", "BorderStyle", "BorderThickness", "Padding", "Color", "SpaceBefore",
	"SpaceAfter", "StartIndent", "EndIndent", "TextIndent", "TextAlign", "BBox", "Width", "Height", "BlockAlign", "InlineAlign",
	"TBorderStyle", "TPadding", "BaselineShift", "LineHeight", "TextDecorationColor", "TextDecorationThickness", "TextDecorationType",
	"RubyAlign", "RubyPosition", "GlyphOrientationVertical", "ColumnCount", "ColumnGap", "ColumnWidths", "ListNumbering", "Role", "Checked",
	"Desc", "RowSpan", "ColSpan", "Headers", "Scope", "Summary",
}

// fillStructure is the logical structure (14.7), which screen readers use.
func (g *grammar) fillStructure(whole, name, str, words *shape) {
	attribute := map[pdf.Name]*shape{}
	for _, k := range attributes {
		attribute[k] = words
	}
	attrs := either("attributes", dict("attribute", attribute), list("attributes", dict("attribute", attribute)))
	type dictOf = map[pdf.Name]*shape
	content := dictOf{"Type": one("MCR"), "MCID": whole, "Stm": g.form}
	object := dictOf{"Type": one("OBJR"), "Obj": g.xobject}
	keys := dictOf{
		"Type": one("StructElem"), "ID": str, "A": attrs, "R": whole, "T": str, "Lang": str, "Alt": str, "E": str, "ActualText": str,
		"C": plain(false), "P": nil, "K": nil,
	}
	pg := func(c *cleaner, d, out pdf.Dict) {
		if p, ok := d["Pg"].(pdf.Ref); ok && c.pages[p.Num].Num != 0 {
			out["Pg"] = c.pages[p.Num]
		}
	}
	var kids *shape
	kid := func(c *cleaner, o pdf.Object) pdf.Object {
		switch t := c.f.Resolve(o).(type) {
		case int64:
			return t
		case pdf.Dict:
			switch c.name(t["Type"]) {
			case "MCR":
				out := c.dict(t, content)
				pg(c, t, out)
				return out
			case "OBJR":
				out := c.dict(t, object)
				if out["Obj"] == nil {
					d, ok := c.f.Resolve(t["Obj"]).(pdf.Dict)
					if ok && c.name(d["Subtype"]) != "" {
						if v := c.value(t["Obj"], g.annot); v != nil {
							out["Obj"] = v
						}
					}
				}
				if out["Obj"] == nil {
					return nil
				}
				pg(c, t, out)
				return out
			}
			return c.value(o, g.element)
		}
		return nil
	}
	kids = &shape{
		name: "kids",
		accept: func(c *cleaner, o pdf.Object) bool {
			switch o.(type) {
			case int64, pdf.Array, pdf.Dict:
				return true
			}
			return false
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			a, ok := o.(pdf.Array)
			if !ok {
				return kid(c, o)
			}
			out := pdf.Array{}
			for _, v := range a {
				if v := kid(c, v); v != nil {
					out = append(out, v)
				}
			}
			return out
		},
	}
	*g.element = shape{
		name: "structure element",
		accept: func(c *cleaner, o pdf.Object) bool {
			d, ok := o.(pdf.Dict)
			return ok && c.name(d["S"]) != ""
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			d := o.(pdf.Dict)
			in := make(pdf.Dict, len(d))
			for k, v := range d {
				switch k {
				case "S", "P", "K", "Pg":
				default:
					in[k] = v
				}
			}
			out := c.dict(in, keys)
			// Every kind of element is a name of somebody's choice, but for those
			// that are also actions.
			if s := c.name(d["S"]); acts(s) {
				out["S"] = pdf.Name("Span")
			} else {
				out["S"] = s
			}
			if p, ok := d["P"].(pdf.Ref); ok {
				if root := c.memo[memoKey{p.Num, nil}]; root.Num != 0 {
					out["P"] = root
				} else if v := c.value(p, g.element); v != nil {
					out["P"] = v
				}
			}
			k := d["K"]
			if r, ok := k.(pdf.Ref); ok {
				if t, ok := c.f.Resolve(r).(pdf.Dict); ok && t != nil {
					if v := kid(c, r); v != nil {
						out["K"] = v
					}
					k = nil
				}
			}
			if v := c.value(k, kids); v != nil {
				out["K"] = v
			}
			pg(c, d, out)
			return out
		},
	}
}

// acts are the names of actions (12.6.4) and of what else plays or runs.
func acts(n pdf.Name) bool {
	switch n {
	case "JavaScript", "Launch", "SubmitForm", "ImportData", "ResetForm", "GoToR", "GoToE", "GoToDp", "GoTo3DView", "Rendition", "Movie", "Sound",
		"RichMediaExecute", "SetOCGState", "Named", "Hide", "Trans", "Thread", "URI", "GoTo", "NOP":
		return true
	}
	return false
}
