package pdf

import (
	"fmt"

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
