package ooxml

import (
	"strings"
	"sync"
)

// space is a namespace, told by its URI and never by its prefix, which is the
// sender's to choose. The transitional and the strict URI of one vocabulary are
// the same space.
type space uint8

const (
	spaceUnknown space = 0 // an element in it is not kept
	spaceNone    space = 1 // attributes without a prefix
	spaceXMLNS   space = 2
	spaceXML     space = 3
	spaceOther   space = 4 // of Office or its standards, with no rule of its own
	spaceRel     space = 5 // r:id and its kin
	spaceWord    space = 6
	spaceSheet   space = 7
	spaceSlide   space = 8
	spaceDrawing space = 9  // DrawingML a:
	spaceChart   space = 10 // c:
	spaceXDR     space = 11 // drawings of sheets
	spaceVML     space = 12
	spaceOffice  space = 13 // o: beside VML
	spaceExcelML space = 14 // x: beside VML
	spaceMC      space = 15
	spaceMain2   space = 16 // xm:, formulas of extensions
	spaceX14     space = 17
	spaceActive  space = 18 // vocabularies of what runs or loads
	spaceSlicer  space = 19
	spaceIgnored space = 20 // attributes of it go: xlink, xsi
	spaceW15     space = 21
	spaceP14     space = 22
	spaceSVG     space = 23
	spaceA14     space = 24
	spaceChart2  space = 25 // extensions of charts
	spaceVisio   space = 26
)

// spaces are the namespaces with rules. ISO/IEC 29500-1 annex A and -4;
// [MS-DOCX], [MS-XLSX], [MS-PPTX], [MS-ODRAWXML] 1.7.
var spaces = sync.OnceValue(func() map[string]space {
	return map[string]space{
		"http://www.w3.org/XML/1998/namespace": spaceXML,
		"http://www.w3.org/2000/xmlns/":        spaceXMLNS,

		"http://schemas.openxmlformats.org/officeDocument/2006/relationships": spaceRel,
		"http://purl.oclc.org/ooxml/officeDocument/relationships":             spaceRel,

		"http://schemas.openxmlformats.org/wordprocessingml/2006/main": spaceWord,
		"http://purl.oclc.org/ooxml/wordprocessingml/main":             spaceWord,

		"http://schemas.openxmlformats.org/spreadsheetml/2006/main": spaceSheet,
		"http://purl.oclc.org/ooxml/spreadsheetml/main":             spaceSheet,

		"http://schemas.openxmlformats.org/presentationml/2006/main": spaceSlide,
		"http://purl.oclc.org/ooxml/presentationml/main":             spaceSlide,

		"http://schemas.openxmlformats.org/drawingml/2006/main": spaceDrawing,
		"http://purl.oclc.org/ooxml/drawingml/main":             spaceDrawing,

		"http://schemas.openxmlformats.org/drawingml/2006/chart": spaceChart,
		"http://purl.oclc.org/ooxml/drawingml/chart":             spaceChart,

		"http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing": spaceXDR,
		"http://purl.oclc.org/ooxml/drawingml/spreadsheetDrawing":             spaceXDR,

		"http://schemas.openxmlformats.org/markup-compatibility/2006": spaceMC,

		"urn:schemas-microsoft-com:vml":               spaceVML,
		"urn:schemas-microsoft-com:office:office":     spaceOffice,
		"urn:schemas-microsoft-com:office:excel":      spaceExcelML,
		"urn:schemas-microsoft-com:office:word":       spaceOther,
		"urn:schemas-microsoft-com:office:powerpoint": spaceOther,

		"http://schemas.microsoft.com/office/excel/2006/main":                    spaceMain2,
		"http://schemas.microsoft.com/office/spreadsheetml/2009/9/main":          spaceX14,
		"http://schemas.microsoft.com/office/spreadsheetml/2010/11/main":         spaceX14,
		"http://schemas.microsoft.com/office/drawing/2010/slicer":                spaceSlicer,
		"http://schemas.microsoft.com/office/drawing/2012/slicer":                spaceSlicer,
		"http://schemas.microsoft.com/office/drawing/2012/timeslicer":            spaceSlicer,
		"http://schemas.microsoft.com/office/drawing/2010/main":                  spaceA14,
		"http://schemas.microsoft.com/office/drawing/2016/SVG/main":              spaceSVG,
		"http://schemas.microsoft.com/office/word/2012/wordml":                   spaceW15,
		"http://schemas.microsoft.com/office/powerpoint/2010/main":               spaceP14,
		"http://schemas.microsoft.com/office/drawing/2007/8/2/chart":             spaceChart2,
		"http://schemas.microsoft.com/office/drawing/2012/chart":                 spaceChart2,
		"http://schemas.microsoft.com/office/drawing/2014/chartex":               spaceChart2,
		"http://schemas.microsoft.com/office/word/2006/wordml":                   spaceActive, // key maps, toolbars
		"http://schemas.microsoft.com/office/2006/activeX":                       spaceActive,
		"http://schemas.microsoft.com/office/2006/01/customui":                   spaceActive,
		"http://schemas.microsoft.com/office/2009/07/customui":                   spaceActive,
		"http://schemas.microsoft.com/office/webextensions/webextension/2010/11": spaceActive,
		"http://schemas.microsoft.com/office/webextensions/taskpanes/2010/11":    spaceActive,
		"http://schemas.microsoft.com/office/drawing/2017/model3d":               spaceActive,
		"http://schemas.microsoft.com/office/drawing/2013/main/command":          spaceOther,
		"http://schemas.openxmlformats.org/schemaLibrary/2006/main":              spaceActive,
		"http://purl.oclc.org/ooxml/schemaLibrary/main":                          spaceActive,

		"http://schemas.microsoft.com/office/visio/2012/main":   spaceVisio,
		"http://schemas.microsoft.com/office/visio/2011/1/core": spaceVisio,

		"http://schemas.libreoffice.org/": spaceOther,

		"http://www.w3.org/1999/xlink":              spaceIgnored,
		"http://www.w3.org/2001/XMLSchema-instance": spaceIgnored,
		"http://www.w3.org/2001/XInclude":           spaceActive,
	}
})

// spaceOf tells the space of a URI.
func spaceOf(uri string) space {
	if s, ok := spaces()[uri]; ok {
		return s
	}
	for _, p := range []string{"http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/", "http://schemas.microsoft.com/office/"} {
		if strings.HasPrefix(uri, p) {
			return spaceOther
		}
	}
	return spaceUnknown
}
