package pdf

import (
	"fmt"
	"slices"
	"strings"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

var errTooManyValues = fmt.Errorf("more than %d values: %w", int(maxCopied), sanitize.ErrLimit)

// grammar is the allow-list: what of a page, a font, a picture, a form may
// stay. Shapes lead to each other in circles, so they are made before they are
// filled.
type grammar struct {
	resources, form, image, xobject, annot, font, fontFile, cmap, glyph, pattern, shading, colorSpace,
	group, profile, destination, action, appearance, layer, layers, element, contents, extGState, properties *shape

	functions [4]*shape // each level may stitch those of the level before
	function  *shape
	page      map[pdf.Name]*shape
	acroForm  map[pdf.Name]*shape
	config    map[pdf.Name]*shape
	order     *shape
}

func newGrammar() *grammar {
	g := &grammar{}
	for _, s := range []**shape{&g.resources, &g.form, &g.image, &g.xobject, &g.annot, &g.font, &g.fontFile, &g.cmap, &g.glyph,
		&g.pattern, &g.shading, &g.colorSpace, &g.group, &g.profile, &g.destination, &g.action, &g.appearance, &g.layer, &g.layers,
		&g.element, &g.contents, &g.extGState, &g.properties, &g.order} {
		*s = &shape{}
	}
	num, flag, whole, name, str, nums := number(), boolean(), integer(), anyName(), text(), numbers(0)
	simple, words := plain(false), plain(true)
	rect, matrix := numbers(4), numbers(6)

	g.fillFunctions(num, nums)
	*g.profile = shape{name: "profile", leaf: (*cleaner).writeProfile}
	g.fillColor(nums)

	// Resources (ISO 32000-1, 7.8.3).
	*g.resources = *dict("resources", map[pdf.Name]*shape{
		"ExtGState": dictMap("states", g.extGState), "ColorSpace": dictMap("spaces", g.colorSpace), "Pattern": dictMap("patterns", g.pattern),
		"Shading": dictMap("shadings", g.shading), "XObject": dictMap("xobjects", g.xobject), "Font": dictMap("fonts", g.font),
		"Properties": dictMap("properties", g.properties),
	})
	// 8.4.5. Halftones, black generation and undercolour removal are for one
	// printer and programs for it.
	*g.extGState = *dict("state", map[pdf.Name]*shape{
		"Type": one("ExtGState"), "LW": num, "LC": num, "LJ": num, "ML": num, "D": simple, "RI": name, "OP": flag, "op": flag, "OPM": num,
		"Font": g.pair(g.font), "FL": num, "SM": num, "SA": flag, "BM": simple, "CA": num, "ca": num, "AIS": flag, "TK": flag,
		"TR": g.transfer(), "TR2": g.transfer(),
		"SMask": either("mask", one("None"), dict("softmask", map[pdf.Name]*shape{
			"Type": one("Mask"), "S": one("Alpha", "Luminosity"), "G": g.form, "BC": nums, "TR": g.transfer(),
		})),
	})
	*g.group = *dict("group", map[pdf.Name]*shape{
		"Type": one("Group"), "S": one("Transparency"), "CS": g.colorSpace, "I": flag, "K": flag,
	})
	g.fillXObjects(num, flag, whole, rect, matrix, nums, simple)
	g.fillFonts(num, name, str, nums, rect, matrix, simple)

	// Shadings (8.7.4.5).
	shading := map[pdf.Name]*shape{
		"ShadingType": whole, "ColorSpace": g.colorSpace, "Background": nums, "BBox": rect, "AntiAlias": flag,
		"Function": either("functions", g.function, list("functions", g.function)), "Domain": nums, "Matrix": matrix, "Coords": nums, "Extend": simple,
		"BitsPerCoordinate": whole, "BitsPerComponent": whole, "BitsPerFlag": whole, "Decode": nums, "VerticesPerRow": whole,
	}
	*g.shading = shape{
		name: "shading",
		accept: func(c *cleaner, o pdf.Object) bool {
			n, ok := c.integer(sub(o)["ShadingType"])
			_, isStream := o.(*pdf.Stream)
			return ok && n >= 1 && n <= 7 && (n >= 4) == isStream
		},
		copy:   func(c *cleaner, o pdf.Object) pdf.Object { return c.dict(o.(pdf.Dict), shading) },
		stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) { c.data(out, st, shading) },
	}
	// Patterns (8.7.3, 8.7.4).
	tiling := map[pdf.Name]*shape{
		"Type": one("Pattern"), "PatternType": whole, "PaintType": whole, "TilingType": whole, "BBox": rect, "XStep": num, "YStep": num,
		"Resources": g.resources, "Matrix": matrix,
	}
	shaded := map[pdf.Name]*shape{
		"Type": one("Pattern"), "PatternType": whole, "Shading": g.shading, "Matrix": matrix, "ExtGState": g.extGState,
	}
	*g.pattern = shape{
		name: "pattern",
		accept: func(c *cleaner, o pdf.Object) bool {
			n, ok := c.integer(sub(o)["PatternType"])
			_, isStream := o.(*pdf.Stream)
			return ok && (n == 1 && isStream || n == 2 && !isStream)
		},
		copy:   func(c *cleaner, o pdf.Object) pdf.Object { return c.dict(o.(pdf.Dict), shaded) },
		stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) { c.program(out, st.Dict, st, tiling) },
	}

	g.fillLayers(name, str, simple)
	g.fillAnnotations(num, flag, whole, name, str, nums, rect, simple, words)
	g.fillStructure(whole, name, str, words)

	g.page = map[pdf.Name]*shape{
		"Resources": g.resources, "MediaBox": rect, "CropBox": rect, "BleedBox": rect, "TrimBox": rect, "ArtBox": rect,
		"Group": g.group, "StructParents": whole, "Tabs": one("R", "C", "S"), "UserUnit": num,
	}
	return g
}

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

// data writes a stream of octets that are numbers: what they mean is said by
// the dictionary.
func (c *cleaner) data(out pdf.Ref, st *pdf.Stream, keys map[pdf.Name]*shape) {
	b, ok := c.bytes(st)
	if !ok {
		b = nil
	}
	c.w.deflated(out, c.dict(c.withoutCoding(st.Dict), keys), b)
}

// withoutCoding is the dictionary of a stream without what says how its octets
// are coded, which the writer says anew.
func (c *cleaner) withoutCoding(d pdf.Dict) pdf.Dict {
	out := make(pdf.Dict, len(d))
	for k, v := range d {
		switch k {
		case "Length", "Filter", "DecodeParms", "DL", "F", "FFilter", "FDecodeParms":
		default:
			out[k] = v
		}
	}
	return out
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

// fillXObjects is 8.8 to 8.10.
func (g *grammar) fillXObjects(num, flag, whole, rect, matrix, nums, simple *shape) {
	form := map[pdf.Name]*shape{
		"Type": one("XObject"), "Subtype": one("Form"), "FormType": num, "BBox": rect, "Matrix": matrix, "Resources": g.resources,
		"Group": g.group, "OC": g.layers, "StructParent": whole, "StructParents": whole,
	}
	isForm := func(c *cleaner, o pdf.Object) bool {
		st, ok := o.(*pdf.Stream)
		if !ok {
			return false
		}
		switch c.name(st.Dict["Subtype"]) {
		case "Form":
			if c.name(st.Dict["Subtype2"]) == "PS" || st.Dict["PS"] != nil {
				c.report.found("pdf.postscript", "", sanitize.Removed, "")
				return false
			}
			return true
		case "":
			return st.Dict["BBox"] != nil // QUIRK: forms that do not say so
		}
		return false
	}
	*g.form = shape{
		name:   "form",
		accept: isForm,
		stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) {
			d := c.withoutCoding(st.Dict)
			d["Subtype"] = pdf.Name("Form")
			c.program(out, d, st, form)
		},
	}
	isImage := func(c *cleaner, o pdf.Object) bool {
		st, ok := o.(*pdf.Stream)
		if !ok {
			return false
		}
		w, ok1 := c.integer(st.Dict["Width"])
		h, ok2 := c.integer(st.Dict["Height"])
		n := c.name(st.Dict["Subtype"])
		return ok1 && ok2 && w > 0 && h > 0 && w < 1<<20 && h < 1<<20 && (n == "Image" || n == "" && st.Dict["BBox"] == nil)
	}
	keys := func() map[pdf.Name]*shape {
		return map[pdf.Name]*shape{
			"Type": one("XObject"), "Subtype": one("Image"), "ColorSpace": g.colorSpace,
			"Intent": simple, "ImageMask": flag, "Decode": nums, "Interpolate": flag, "StructParent": whole, "OC": g.layers,
		}
	}
	mask := keys()
	mask["Matte"] = nums
	stencil := &shape{name: "image of a mask", accept: isImage, stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) { c.picture(out, st, mask) }}
	image := keys()
	image["SMask"], image["SMaskInData"] = stencil, whole
	image["Mask"] = either("mask", stencil, nums)
	*g.image = shape{name: "image", accept: isImage, stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) { c.picture(out, st, image) }}
	known := either("xobject", g.form, g.image)
	*g.xobject = shape{name: "xobject", of: func(c *cleaner, o pdf.Object) *shape {
		if st, ok := o.(*pdf.Stream); ok && c.name(st.Dict["Subtype"]) == "PS" {
			c.report.found("pdf.postscript", "", sanitize.Removed, "")
			return nil
		}
		return known
	}}
}

// fillFonts is 9.5 to 9.10.
func (g *grammar) fillFonts(num, name, str, nums, rect, matrix, simple *shape) {
	info := dict("system info", map[pdf.Name]*shape{"Registry": str, "Ordering": str, "Supplement": num})
	descriptor := dict("descriptor", map[pdf.Name]*shape{
		"Type": one("FontDescriptor"), "FontName": name, "FontFamily": str, "FontStretch": name, "FontWeight": num, "Flags": num, "FontBBox": nums,
		"ItalicAngle": num, "Ascent": num, "Descent": num, "Leading": num, "CapHeight": num, "XHeight": num, "StemV": num, "StemH": num,
		"AvgWidth": num, "MaxWidth": num, "MissingWidth": num, "CharSet": str, "Lang": name,
		"FontFile": g.fontFile, "FontFile2": g.fontFile, "FontFile3": g.fontFile,
	})
	*g.fontFile = shape{name: "font file", leaf: (*cleaner).fontProgram}
	*g.cmap = shape{name: "character map", leaf: (*cleaner).characterMap}
	encoding := dict("encoding", map[pdf.Name]*shape{"Type": one("Encoding"), "BaseEncoding": name, "Differences": simple})
	nameOrMap := &shape{name: "encoding", accept: func(c *cleaner, o pdf.Object) bool {
		switch o.(type) {
		case pdf.Name, pdf.Dict:
			return true
		}
		return false
	}, copy: func(c *cleaner, o pdf.Object) pdf.Object {
		if d, ok := o.(pdf.Dict); ok {
			return encoding.copy(c, d)
		}
		return o
	}, leaf: (*cleaner).characterMap}
	glyphs := &shape{name: "glyph map", accept: name.accept, copy: same, leaf: (*cleaner).glyphMap}
	*g.glyph = shape{
		name:   "glyph",
		accept: func(c *cleaner, o pdf.Object) bool { _, ok := o.(*pdf.Stream); return ok },
		stream: func(c *cleaner, out pdf.Ref, st *pdf.Stream) { c.program(out, st.Dict, st, nil) },
	}
	common := map[pdf.Name]*shape{
		"Type": one("Font"), "Subtype": name, "BaseFont": name, "Name": name, "FirstChar": num, "LastChar": num, "Widths": simple,
		"FontDescriptor": descriptor, "Encoding": nameOrMap, "ToUnicode": nameOrMap,
	}
	with := func(more map[pdf.Name]*shape) map[pdf.Name]*shape {
		m := map[pdf.Name]*shape{}
		for k, s := range common {
			m[k] = s
		}
		for k, s := range more {
			m[k] = s
		}
		return m
	}
	type3 := with(map[pdf.Name]*shape{"FontBBox": rect, "FontMatrix": matrix, "CharProcs": dictMap("glyphs", g.glyph), "Resources": g.resources})
	cid := with(map[pdf.Name]*shape{"CIDSystemInfo": info, "DW": num, "W": simple, "DW2": nums, "W2": simple, "CIDToGIDMap": glyphs})
	descendant := &shape{
		name: "descendant font",
		accept: func(c *cleaner, o pdf.Object) bool {
			n := c.name(sub(o)["Subtype"])
			_, ok := o.(pdf.Dict)
			return ok && (n == "CIDFontType0" || n == "CIDFontType2")
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object { return c.dict(o.(pdf.Dict), cid) },
	}
	type0 := with(map[pdf.Name]*shape{"DescendantFonts": list("descendants", descendant)})
	*g.font = shape{
		name: "font",
		accept: func(c *cleaner, o pdf.Object) bool {
			d, ok := o.(pdf.Dict)
			if !ok {
				return false
			}
			switch c.name(d["Subtype"]) {
			case "Type0", "Type1", "MMType1", "TrueType", "Type3", "CIDFontType0", "CIDFontType2":
				return true
			}
			return false
		},
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			d := o.(pdf.Dict)
			switch c.name(d["Subtype"]) {
			case "Type0":
				return c.dict(d, type0)
			case "Type3":
				return c.dict(d, type3)
			case "CIDFontType0", "CIDFontType2":
				return c.dict(d, cid)
			}
			return c.dict(d, common)
		},
	}
}

// fillLayers is optional content (8.11).
func (g *grammar) fillLayers(name, str, simple *shape) {
	ofType := func(t pdf.Name, s *shape) *shape {
		accept := s.accept
		s.accept = func(c *cleaner, o pdf.Object) bool { return accept(c, o) && c.name(sub(o)["Type"]) == t }
		return s
	}
	*g.layer = *ofType("OCG", dict("layer", map[pdf.Name]*shape{"Type": name, "Name": str, "Intent": simple}))
	var expression *shape
	expression = &shape{
		name:   "visibility",
		accept: func(c *cleaner, o pdf.Object) bool { a, ok := o.(pdf.Array); return ok && len(a) > 1 },
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			out := pdf.Array{}
			for i, v := range o.(pdf.Array) {
				switch t := c.f.Resolve(v).(type) {
				case pdf.Name:
					if i == 0 && (t == "And" || t == "Or" || t == "Not") {
						out = append(out, t)
					}
				case pdf.Array:
					if v := c.value(v, expression); v != nil {
						out = append(out, v)
					}
				default:
					if v := c.value(v, g.layer); v != nil {
						out = append(out, v)
					}
				}
			}
			return out
		},
	}
	membership := ofType("OCMD", dict("membership", map[pdf.Name]*shape{
		"Type": name, "OCGs": either("layers", g.layer, list("layers", g.layer)), "P": one("AllOn", "AnyOn", "AnyOff", "AllOff"), "VE": expression,
	}))
	// A layer here is the same object as the one the catalogue lists.
	*g.layers = *either("layer or membership", g.layer, membership)
	*g.properties = *either("properties", g.layer, membership, dict("properties", map[pdf.Name]*shape{
		"Type": one("Artifact", "Pagination"), "MCID": integer(), "ActualText": str, "Alt": str, "E": str, "Lang": str,
	}))
	*g.order = shape{
		name:   "order of layers",
		accept: func(c *cleaner, o pdf.Object) bool { _, ok := o.(pdf.Array); return ok },
		copy: func(c *cleaner, o pdf.Object) pdf.Object {
			out := pdf.Array{}
			for _, v := range o.(pdf.Array) {
				switch t := c.f.Resolve(v).(type) {
				case pdf.String:
					out = append(out, t)
				case pdf.Array:
					if v := c.value(v, g.order); v != nil {
						out = append(out, v)
					}
				default:
					if v := c.value(v, g.layer); v != nil {
						out = append(out, v)
					}
				}
			}
			return out
		},
	}
	lists := list("layers", g.layer)
	g.config = map[pdf.Name]*shape{
		"Name": str, "BaseState": one("ON", "OFF", "Unchanged"), "ON": lists, "OFF": lists, "Intent": simple, "Order": g.order,
		"ListMode": one("AllPages", "VisiblePages"), "RBGroups": list("groups", lists), "Locked": lists,
	}
}

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
