package ooxml

import (
	"strings"
	"sync"

	"sekisho/internal/formula"
	"sekisho/internal/link"
	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// judgeAttrs judges the attributes of an element that stays by its name. An
// attribute that leads to a part that went takes its element with it, or goes
// alone where the element means something without it: an id that leads nowhere
// makes applications call the document damaged.
func (f *filter) judgeAttrs(ns namespace, local []byte) (verdict, error) {
	out, sp := keep, ns.space
	f.prefixes = f.prefixes[:0]
	for i := range f.s.Attrs {
		a := &f.s.Attrs[i]
		f.prefixes = append(f.prefixes, -1)
		prefix, name := xmlscan.Split(a.Name)
		if len(prefix) == 0 {
			if len(name) == 5 && string(name) == "xmlns" {
				continue
			}
			if f.plainAttr(sp, local, a, name) == drop {
				out = drop
			}
			if sp != spaceMC && !ns.words.hasAttribute(name) && !(sp == spaceNone && textAttribute()[string(name)]) {
				f.foreignAttr(a)
			}
			continue
		}
		if string(prefix) == "xmlns" {
			continue
		}
		as, words := spaceXML, (*words)(nil)
		if b, ok := f.lookup(prefix); ok {
			if b.uri == "" {
				return keep, malformed("prefix %q taken back", prefix)
			}
			as, words, f.prefixes[i] = b.space, b.words, f.current[string(prefix)]
			// The same name under two prefixes of one space is an attribute twice.
			for j := range i {
				if k := f.prefixes[j]; k >= 0 && k != f.prefixes[i] && f.bindings[k].uri == b.uri && string(nameOf(f.s.Attrs[j].Name)) == string(name) {
					return keep, malformed("attribute %q twice", a.Name)
				}
			}
		} else if string(prefix) != "xml" {
			return keep, malformed("prefix %q not declared", prefix)
		}
		switch as {
		case spaceRel:
			if !relationNames()[string(name)] {
				f.foreignAttr(a)
				continue
			}
			if d := f.relationAttr(sp, local, a, name); d != keep && out == keep {
				out = d
			}
		case spaceOffice:
			switch string(name) {
			case "relid":
				if d := f.relationAttr(sp, local, a, name); d != keep && out == keep {
					out = d
				}
			case "href", "althref":
				switch string(local) {
				case "imagedata", "fill", "stroke": // where the picture comes from, and no link
					f.drop(a)
				default:
					f.linkAttr(a)
				}
			case "gfxdata", "ole", "oleid", "signatureline": // drawings packed a second time, objects
				f.drop(a)
			}
		case spaceXML:
			if string(name) != "space" && string(name) != "lang" {
				f.drop(a)
			}
		case spaceMC:
			if string(name) != "Ignorable" {
				f.drop(a)
			}
		case spaceUnknown, spaceIgnored, spaceActive:
			f.drop(a)
		}
		switch as {
		case spaceRel, spaceXML, spaceMC:
		default:
			if !words.hasQualified(name) {
				f.foreignAttr(a)
			}
		}
	}
	return out, nil
}

// foreignAttr drops an attribute that the vocabulary does not have.
func (f *filter) foreignAttr(a *xmlscan.Attr) {
	if !f.edited(a) {
		f.report.found("ooxml.foreign-xml", f.part.source, sanitize.Rewritten, string(a.Name))
		f.remove(a)
	}
}

// textAttribute are those of the HTML in a legacy drawing's text boxes.
var textAttribute = sync.OnceValue(func() map[string]bool {
	return map[string]bool{"style": true, "align": true, "face": true, "size": true, "color": true, "lang": true, "dir": true, "class": true}
})

func nameOf(qualified []byte) []byte {
	_, l := xmlscan.Split(qualified)
	return l
}

// drop removes an attribute once.
func (f *filter) drop(a *xmlscan.Attr) {
	if !f.edited(a) {
		f.remove(a)
	}
}

// linkAttr keeps a link that stands in the attribute itself if it is harmless.
func (f *filter) linkAttr(a *xmlscan.Attr) {
	v := string(xmlscan.AppendDecoded(nil, a.Value))
	if v == "" || v[0] == '#' || link.Harmless(v) && f.flags.links == sanitize.KeepURLs {
		return
	}
	f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, v)
	f.drop(a)
}

// placeInside reports whether a place is one of this document: a cell, a name, a
// bookmark; no file, and nothing that a program could take for a scheme.
func placeInside(place string) bool {
	if strings.ContainsAny(place, `[]\|`) || strings.Contains(place, ":/") {
		return false
	}
	before, after, colon := strings.Cut(place, ":")
	if !colon || strings.Contains(before, "!") {
		return true
	}
	// A1:B2 and the like.
	cell := func(s string) bool {
		return s != "" && strings.Trim(s, "$ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
	}
	return len(before) <= 12 && cell(before) && cell(after)
}

// plainAttr judges an attribute without a prefix.
func (f *filter) plainAttr(sp space, local []byte, a *xmlscan.Attr, name []byte) verdict {
	switch string(name) {
	case "macro", "fmlaMacro", "macroName":
		if len(a.Value) > 0 && sp != spaceWord {
			f.report.found("ooxml.macro", f.part.source, sanitize.Removed, string(xmlscan.AppendDecoded(nil, a.Value)))
			if !f.edited(a) {
				f.replace(a, "")
			}
		}
	case "textlink":
		if why := formula.Excel(string(xmlscan.AppendDecoded(nil, a.Value))); why != "" {
			f.report.found("ooxml.formula", f.part.source, sanitize.Replaced, why)
			f.drop(a)
		}
	case "location": // of a sheet's hyperlink: a place in this workbook and nowhere else
		if place := string(xmlscan.AppendDecoded(nil, a.Value)); sp == spaceSheet && string(local) == "hyperlink" && !placeInside(place) {
			f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, place)
			f.drop(a)
		}
	case "style":
		// Of old drawings and the HTML in them: nothing that draws needs an address.
		if sp == spaceVML || sp == spaceNone {
			v := strings.ToLower(string(xmlscan.AppendDecoded(nil, a.Value)))
			for _, bad := range []string{"url(", "expression", "behavior", "javascript", "\\"} {
				if strings.Contains(v, bad) {
					f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, v)
					f.drop(a)
					break
				}
			}
		}
	case "href":
		f.linkAttr(a)
	case "src":
		// A picture from elsewhere; one of the document has r:id.
		if len(a.Value) > 0 {
			f.report.found("ooxml.linked-image", f.part.source, sanitize.Removed, string(xmlscan.AppendDecoded(nil, a.Value)))
		}
		f.drop(a)
	case "invalidUrl":
		f.drop(a)
	case "vm":
		if sp == spaceSheet && string(local) == "c" {
			// A value of a type that is fetched: pictures, stocks.
			f.report.found("ooxml.rich-value", f.part.source, sanitize.Replaced, "")
			f.drop(a)
		}
	case "refreshOnLoad":
		if v := string(a.Value); v != "0" && v != "false" {
			f.report.found("ooxml.refresh-on-load", f.part.source, sanitize.Neutralised, string(local))
			f.drop(a)
		}
	case "connectionId", "queryTableFieldId", "tableType":
		if sp == spaceSheet && (string(local) == "table" || string(local) == "tableColumn") {
			f.drop(a)
		}
	case "F":
		if sp == spaceVisio {
			f.visioFormula(a)
		}
	case "formula": // of calculated items and fields of pivot tables
		if sp == spaceSheet {
			if why := formula.Excel(string(xmlscan.AppendDecoded(nil, a.Value))); why != "" {
				f.report.found("ooxml.formula", f.part.source, sanitize.Replaced, why)
				f.drop(a)
			}
		}
	}
	return keep
}

// relationAttr judges an attribute that names a relationship.
func (f *filter) relationAttr(sp space, local []byte, a *xmlscan.Attr, name []byte) verdict {
	if len(a.Value) == 0 || f.edited(a) {
		return keep
	}
	id := string(xmlscan.AppendDecoded(nil, a.Value))
	r, ok := f.part.resolve(id)
	switch string(name) {
	case "link":
		// A linked picture: what stands in its place is part of the document.
		if _, embedded := f.attribute(spaceRel, "embed"); ok && !embedded && r.target != nil {
			p, _ := xmlscan.Split(a.Name)
			f.edits = append(f.edits, edit{from: a.From, to: a.To, with: " " + qualified(p, "embed") + `="` + r.id + `"`})
			return keep
		}
		f.drop(a)
		return keep
	case "href":
		f.drop(a)
		return keep
	}
	if ok {
		if sp == spaceVisio {
			f.visioPicture(r)
		}
		if r.id != id {
			f.replace(a, r.id)
		}
		return keep
	}
	if !f.part.knows(id) {
		f.report.found("ooxml.dangling", f.part.source, sanitize.Rewritten, id)
	}
	switch {
	case sp == spaceWord && string(local) == "hyperlink", sp == spaceSheet && string(local) == "pageSetup", sp == spaceDrawing && string(local) == "blip",
		sp == spaceVML && string(local) != "imagedata":
		f.drop(a)
		return keep
	case sp == spaceSheet && string(local) == "hyperlink":
		if l, _ := f.attribute(spaceNone, "location"); l != "" {
			f.drop(a)
			return keep
		}
		return dropQuietly
	case sp == spaceDrawing && (string(local) == "hlinkClick" || string(local) == "hlinkHover" || string(local) == "hlinkMouseOver"):
		return dropQuietly
	case string(local) == "chart", string(local) == "relIds", string(local) == "contentPart":
		f.lost++
		return drop
	default:
		return drop
	}
}
