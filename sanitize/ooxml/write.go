package ooxml

import (
	"io"
	"strings"

	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
)

// write writes the new package.
func (d *document) write(w io.Writer) error {
	z := zipstrict.NewWriter(w)
	if err := d.writeTypes(z); err != nil {
		return err
	}
	office := relationTransitional
	if d.strict {
		office = relationStrict
	}
	rels := []*relation{{id: "rId1", typ: office + "officeDocument", target: d.parts[0]}}
	if d.main.host == hostVisio {
		rels[0].typ = relationVisio + "document"
	}
	app := d.app.xml(d.strict)
	if app != nil {
		rels = append(rels, &relation{id: "rId2", typ: relationTransitional + "extended-properties", target: &part{name: "docProps/app.xml"}})
	}
	core := coreXML(d.title)
	if core != nil {
		rels = append(rels, &relation{id: "rId3", typ: relationPackage + "metadata/core-properties", target: &part{name: "docProps/core.xml"}})
	}
	if err := writeRelations(z, "", rels); err != nil {
		return err
	}
	if core != nil {
		if err := writeMember(z, "docProps/core.xml", core); err != nil {
			return err
		}
	}
	if app != nil {
		if err := writeMember(z, "docProps/app.xml", app); err != nil {
			return err
		}
	}
	flt := newFilter(d.s.Options.Limits.XMLDepth)
	flt.values = d.s.Options.Values
	for _, p := range d.parts {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		name := p.name + p.ext
		switch p.class {
		case classImage, classWorkbook:
			if err := z.Store(name, p.data); err != nil {
				return err
			}
		case classVML:
			if err := writeMember(z, name, p.data); err != nil {
				return err
			}
		case classEmptySheet:
			if err := writeMember(z, name, d.emptySheetXML()); err != nil {
				return err
			}
		default:
			m, err := z.Create(name)
			if err != nil {
				return err
			}
			if err := d.filterPart(flt, p, d.report, m); err != nil {
				return err
			}
		}
		if err := writeRelations(z, name, p.rels); err != nil {
			return err
		}
	}
	return z.Close()
}

func (d *document) emptySheetXML() []byte {
	ns := "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	if d.strict {
		ns = "http://purl.oclc.org/ooxml/spreadsheetml/main"
	}
	return []byte(xmlHead + `<worksheet xmlns="` + ns + `"><sheetData/></worksheet>`)
}

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"

func writeMember(z *zipstrict.Writer, name string, content []byte) error {
	m, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = m.Write(content)
	return err
}

func (d *document) writeTypes(z *zipstrict.Writer) error {
	b := []byte(xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">`)
	for _, t := range []struct{ ext, typ string }{
		{"rels", "application/vnd.openxmlformats-package.relationships+xml"},
		{"xml", "application/xml"},
		{"png", "image/png"},
		{"jpg", "image/jpeg"},
		{"emf", "image/x-emf"},
		{"wmf", "image/x-wmf"},
		{"vml", "application/vnd.openxmlformats-officedocument.vmlDrawing"},
		{"xlsx", typeSheet + "sheet"},
	} {
		b = append(b, `<Default Extension="`+t.ext+`" ContentType="`+t.typ+`"/>`...)
	}
	override := func(name, typ string) {
		b = append(b, `<Override PartName="/`+name+`" ContentType="`+typ+`"/>`...)
	}
	if d.app.xml(d.strict) != nil {
		override("docProps/app.xml", "application/vnd.openxmlformats-officedocument.extended-properties+xml")
	}
	if coreXML(d.title) != nil {
		override("docProps/core.xml", "application/vnd.openxmlformats-package.core-properties+xml")
	}
	for i, p := range d.parts {
		if i == 0 {
			p.ext = "" // the main part's name has its extension
		}
		if p.ext == ".xml" || i == 0 {
			override(p.name+p.ext, p.typ)
		}
	}
	return writeMember(z, "[Content_Types].xml", append(b, "</Types>"...))
}

// relative returns the way from a folder to a member. QUIRK: absolute targets
// are as good, but no Office writes them, and LibreOffice 7.4 crashes on one in
// a custom show.
func relative(dir, name string) string {
	up := ""
	for dir != "" && !strings.HasPrefix(name, dir) {
		dir = dir[:strings.LastIndexByte(dir[:len(dir)-1], '/')+1]
		up += "../"
	}
	return up + name[len(dir):]
}

// writeRelations writes the relationships of a part, if it has any.
func writeRelations(z *zipstrict.Writer, owner string, rels []*relation) error {
	if len(rels) == 0 {
		return nil
	}
	dir, file := owner[:strings.LastIndexByte(owner, '/')+1], owner[strings.LastIndexByte(owner, '/')+1:]
	b := []byte(xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`)
	for _, r := range rels {
		b = append(b, `<Relationship Id="`...)
		b = xmlscan.AppendEscaped(b, []byte(r.id))
		b = append(b, `" Type="`...)
		b = xmlscan.AppendEscaped(b, []byte(r.typ))
		b = append(b, `" Target="`...)
		switch {
		case r.target != nil:
			b = xmlscan.AppendEscaped(b, []byte(relative(dir, r.target.name+r.target.ext)))
			b = append(b, `"/>`...)
		case r.local != "":
			b = xmlscan.AppendEscaped(b, []byte(r.local))
			b = append(b, `"/>`...)
		default:
			b = xmlscan.AppendEscaped(b, []byte(r.external))
			b = append(b, `" TargetMode="External"/>`...)
		}
	}
	return writeMember(z, dir+"_rels/"+file+".rels", append(b, "</Relationships>"...))
}
