package ooxml

import (
	"slices"

	"sekisho/internal/formula"
	"sekisho/internal/link"
	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// A drawing of Visio is tables of cells: each has a value, which is what is
// drawn, and may have the formula that made it. Values stay; formulas stay when
// they only compute. [MS-VSDX] 2.2.

// visioSections are the tables of a shape that may stay. Not here: Actions and
// ActionTag, which are menus that run formulas.
var visioSections = []string{
	"Annotation", "Character", "Connection", "ConnectionABCD", "Control", "Field", "FillGradient", "Geometry", "Hyperlink", "Layer", "LineGradient", "Paragraph",
	"Property", "QuickStyle", "Reviewer", "Scratch", "Tabs", "User",
}

func (f *filter) decideVisio(fr *frame, local []byte) verdict {
	switch string(local) {
	case "Section":
		n, _ := f.attribute(spaceNone, "N")
		switch {
		case !slices.Contains(visioSections, n):
			f.report.found("ooxml.custom-ui", f.part.source, sanitize.Removed, "section "+n)
			return dropQuietly
		case n == "Hyperlink" && f.flags.links != sanitize.KeepURLs:
			f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, "by the profile")
			return dropQuietly
		}
		fr.extra = &extra{kind: n}
		if n == "Hyperlink" {
			fr.role = roleList
		}
	case "Row":
		if f.visioSection() == "Hyperlink" {
			fr.role = roleUnit
		}
	case "Cell":
		return f.decideCell()
	case "ForeignData":
		fr.role, fr.extra = roleForeign, &extra{tree: f.out.pos() + 1 + int64(len(f.s.Name))}
		for i := range f.s.Attrs {
			switch a := &f.s.Attrs[i]; string(a.Name) {
			case "ForeignType":
				if string(a.Value) == "Object" {
					f.report.found("ooxml.ole", f.part.source, sanitize.Replaced, "")
				}
				f.remove(a)
			case "CompressionType", "CompressionLevel", "ObjectType", "ObjectWidth", "ObjectHeight", "ShowAsIcon":
				f.remove(a) // of the picture as it was, or of the object
			}
		}
	case "Page", "Master":
		fr.role = roleUnit
	case "EventList", "EventItem":
		f.report.found("ooxml.active-xml", f.part.source, sanitize.Removed, "what runs when something happens")
		return dropQuietly
	case "CustomMenusFile", "CustomToolbarsFile", "AttachedToolbars":
		f.report.found("ooxml.custom-ui", f.part.source, sanitize.Removed, string(local))
		return dropQuietly
	case "Icon", "MasterShortcut", "PublishSettings":
		return dropQuietly // a picture in a format of its own, and what points to other files
	}
	return keep
}

// visioSection is the section in which the element in the scanner stands.
func (f *filter) visioSection() string {
	for i := len(f.frames) - 2; i >= 0 && i >= len(f.frames)-3; i-- {
		if g := &f.frames[i]; g.space == spaceVisio && g.extra != nil && f.local(g, i) == "Section" {
			return g.extra.kind
		}
	}
	return ""
}

// decideCell judges the cells whose value is more than something to draw.
func (f *filter) decideCell() verdict {
	name, _ := f.attribute(spaceNone, "N")
	switch {
	case name == "HelpTopic": // a file of help and a place in it
		return dropQuietly
	case f.visioSection() != "Hyperlink":
		return keep
	}
	switch name {
	case "Address":
		if v, _ := f.attribute(spaceNone, "V"); v != "" && !link.Harmless(v) {
			f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, v)
			return drop
		}
	case "Description", "SubAddress", "NewWindow", "Default", "Invisible", "SortKey":
	default:
		return dropQuietly // ExtraInfo, Frame
	}
	return keep
}

// visioFormula keeps a formula that only computes; the value stands beside it.
func (f *filter) visioFormula(a *xmlscan.Attr) {
	v := string(xmlscan.AppendDecoded(nil, a.Value))
	if f.visioSection() == "Hyperlink" && v != "No Formula" && v != "Inh" {
		f.drop(a) // what it makes of an address is not known
		return
	}
	why, acts := formula.Visio(v)
	if why == "" {
		return
	}
	if acts {
		f.report.found("ooxml.formula", f.part.source, sanitize.Replaced, why)
	}
	f.drop(a)
}

// visioPicture tells the ForeignData around a relationship what it leads to.
func (f *filter) visioPicture(r *relation) {
	g := &f.frames[max(len(f.frames)-2, 0)]
	if g.role != roleForeign || r.target == nil || r.target.class != classImage {
		return
	}
	// [MS-VSDX] 2.3.4.2.37: the kind of data and, of bitmaps, how they are packed.
	switch r.target.ext {
	case ".emf":
		g.extra.kind = ` ForeignType="EnhMetaFile"`
	case ".wmf":
		g.extra.kind = ` ForeignType="MetaFile"`
	case ".jpg":
		g.extra.kind = ` ForeignType="Bitmap" CompressionType="JPEG"`
	case ".png":
		g.extra.kind = ` ForeignType="Bitmap" CompressionType="PNG"`
	}
}
