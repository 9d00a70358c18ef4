package verify

import "strings"

type markupUndo struct {
	level  int
	prefix string
	before markupSpace
	was    bool
}

// markupSpace is a namespace, as far as the second look tells them apart.
type markupSpace uint8

const (
	inNone     markupSpace = 0
	inNowhere  markupSpace = 1 // one that no document of Office has
	inOffice   markupSpace = 2 // of ECMA-376 or Microsoft, without rules here
	inRelation markupSpace = 3
	inVMLOwn   markupSpace = 4 // o: of VML, with o:relid
	inVisio    markupSpace = 5
	inSheet    markupSpace = 6
	inMC       markupSpace = 7
	inXML      markupSpace = 8
	inTypes    markupSpace = 9
	inRels     markupSpace = 10
	inActive   markupSpace = 12 // vocabularies of what runs
	inCharts   markupSpace = 13 // extensions of charts
	inVML      markupSpace = 14
	inChart    markupSpace = 15
	inFormulas markupSpace = 16 // xm:, in which extensions of sheets write theirs
	inExcelVML markupSpace = 17
)

func markupSpaceOf(uri string) markupSpace {
	switch uri {
	case "":
		return inNone
	case nsRelTransitional, nsRelStrict:
		return inRelation
	case nsVMLOffice:
		return inVMLOwn
	case "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main":
		return inSheet
	case "http://schemas.openxmlformats.org/markup-compatibility/2006":
		return inMC
	case "http://schemas.openxmlformats.org/package/2006/content-types":
		return inTypes
	case "http://schemas.openxmlformats.org/package/2006/relationships":
		return inRels
	case "http://schemas.microsoft.com/office/drawing/2007/8/2/chart", "http://schemas.microsoft.com/office/drawing/2012/chart", "http://schemas.microsoft.com/office/drawing/2014/chartex":
		return inCharts
	case "urn:schemas-microsoft-com:vml":
		return inVML
	case "http://schemas.openxmlformats.org/drawingml/2006/chart", "http://purl.oclc.org/ooxml/drawingml/chart":
		return inChart
	case "http://schemas.microsoft.com/office/excel/2006/main":
		return inFormulas
	case "urn:schemas-microsoft-com:office:excel":
		return inExcelVML
	case "urn:schemas-microsoft-com:office:word", "urn:schemas-microsoft-com:office:powerpoint",
		"http://purl.org/dc/elements/1.1/", // of the core properties
		"http://schemas.libreoffice.org/":  // how a workbook of LibreOffice computes
		return inOffice
	}
	switch {
	case strings.HasPrefix(uri, "http://schemas.microsoft.com/office/visio/"):
		return inVisio
	case strings.HasSuffix(uri, "/activeX"), strings.HasSuffix(uri, "/customui"), strings.Contains(uri, "webextension"), strings.HasSuffix(uri, "/word/2006/wordml"),
		strings.HasSuffix(uri, "/model3d"), strings.Contains(uri, "schemaLibrary"), strings.Contains(uri, "/ink/"):
		return inActive
	case strings.HasPrefix(uri, "http://schemas.openxmlformats.org/"), strings.HasPrefix(uri, "http://purl.oclc.org/ooxml/"), strings.HasPrefix(uri, "http://schemas.microsoft.com/office/"):
		return inOffice
	}
	return inNowhere
}

// declare brings the namespaces of the tag into force and takes their attributes
// off.
func (m *markup) declare() {
	kept := m.attrs[:0]
	for _, a := range m.attrs {
		prefix := ""
		switch {
		case string(a.prefix) == "xmlns":
			prefix = string(a.local)
		case len(a.prefix) == 0 && string(a.local) == "xmlns":
		default:
			kept = append(kept, a)
			continue
		}
		before, was := m.spaces[prefix]
		m.undo = append(m.undo, markupUndo{len(m.starts), prefix, before, was})
		m.spaces[prefix] = markupSpaceOf(decoded(a.value))
	}
	m.attrs = kept
}

func (m *markup) resolve() error {
	var ok bool
	if m.space, ok = m.spaces[string(m.prefix)]; !ok && len(m.prefix) > 0 {
		return odd("a prefix that means nothing", m.prefix)
	}
	for i := range m.attrs {
		a := &m.attrs[i]
		if len(a.prefix) == 0 {
			continue
		}
		if a.space, ok = m.spaces[string(a.prefix)]; !ok {
			return odd("a prefix that means nothing", a.prefix)
		}
	}
	return nil
}
