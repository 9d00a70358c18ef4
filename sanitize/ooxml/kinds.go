package ooxml

import (
	"strings"
	"sync"

	"sekisho/sanitize"
)

// host is the application a document belongs to.
type host uint8

const (
	hostWord  host = 1
	hostSheet host = 2
	hostSlide host = 3
	hostVisio host = 4
)

// root is the folder in which the application expects its parts.
func (h host) root() string {
	switch h {
	case hostWord:
		return "word/"
	case hostSheet:
		return "xl/"
	case hostVisio:
		return "visio/"
	default:
		return "ppt/"
	}
}

// partClass says how a part is treated.
type partClass uint8

const (
	classXML         partClass = 1 // filtered by the common rules
	classWord        partClass = 2 // text of Word
	classSheet       partClass = 3 // cells
	classWebSettings partClass = 4
	classVML         partClass = 5
	classImage       partClass = 6
	classWorkbook    partClass = 7 // the workbook behind a chart
	classPivotCache  partClass = 8
	classEmptySheet  partClass = 9 // in place of a sheet that runs
)

// The common beginnings of content types.
const (
	typeWord  = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	typeSheet = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	typeSlide = "application/vnd.openxmlformats-officedocument.presentationml."
	typeDraw  = "application/vnd.openxmlformats-officedocument.drawingml."
	typeVisio = "application/vnd.ms-visio."
)

// mainPart is a content type a document may begin with, and what it leaves as.
type mainPart struct {
	in   sanitize.Kind
	out  sanitize.Kind
	host host
	typ  string // of the output
	name string
}

// mainParts are the documents treated here. Those with macros leave as their
// siblings without.
var mainParts = sync.OnceValue(func() map[string]mainPart {
	return map[string]mainPart{
		typeWord + "document.main+xml":                                     {sanitize.KindDOCX, sanitize.KindDOCX, hostWord, typeWord + "document.main+xml", "word/document.xml"},
		typeWord + "template.main+xml":                                     {sanitize.KindDOTX, sanitize.KindDOTX, hostWord, typeWord + "template.main+xml", "word/document.xml"},
		"application/vnd.ms-word.document.macroenabled.main+xml":           {sanitize.KindDOCM, sanitize.KindDOCX, hostWord, typeWord + "document.main+xml", "word/document.xml"},
		"application/vnd.ms-word.template.macroenabledtemplate.main+xml":   {sanitize.KindDOTM, sanitize.KindDOTX, hostWord, typeWord + "template.main+xml", "word/document.xml"},
		typeSheet + "sheet.main+xml":                                       {sanitize.KindXLSX, sanitize.KindXLSX, hostSheet, typeSheet + "sheet.main+xml", "xl/workbook.xml"},
		typeSheet + "template.main+xml":                                    {sanitize.KindXLTX, sanitize.KindXLTX, hostSheet, typeSheet + "template.main+xml", "xl/workbook.xml"},
		"application/vnd.ms-excel.sheet.macroenabled.main+xml":             {sanitize.KindXLSM, sanitize.KindXLSX, hostSheet, typeSheet + "sheet.main+xml", "xl/workbook.xml"},
		"application/vnd.ms-excel.template.macroenabled.main+xml":          {sanitize.KindXLTM, sanitize.KindXLTX, hostSheet, typeSheet + "template.main+xml", "xl/workbook.xml"},
		typeSlide + "presentation.main+xml":                                {sanitize.KindPPTX, sanitize.KindPPTX, hostSlide, typeSlide + "presentation.main+xml", "ppt/presentation.xml"},
		typeSlide + "slideshow.main+xml":                                   {sanitize.KindPPSX, sanitize.KindPPSX, hostSlide, typeSlide + "slideshow.main+xml", "ppt/presentation.xml"},
		typeSlide + "template.main+xml":                                    {sanitize.KindPOTX, sanitize.KindPOTX, hostSlide, typeSlide + "template.main+xml", "ppt/presentation.xml"},
		"application/vnd.ms-powerpoint.presentation.macroenabled.main+xml": {sanitize.KindPPTM, sanitize.KindPPTX, hostSlide, typeSlide + "presentation.main+xml", "ppt/presentation.xml"},
		"application/vnd.ms-powerpoint.slideshow.macroenabled.main+xml":    {sanitize.KindPPSM, sanitize.KindPPSX, hostSlide, typeSlide + "slideshow.main+xml", "ppt/presentation.xml"},
		"application/vnd.ms-powerpoint.template.macroenabled.main+xml":     {sanitize.KindPOTM, sanitize.KindPOTX, hostSlide, typeSlide + "template.main+xml", "ppt/presentation.xml"},
		typeVisio + "drawing.main+xml":                                     {sanitize.KindVSDX, sanitize.KindVSDX, hostVisio, typeVisio + "drawing.main+xml", "visio/document.xml"},
		typeVisio + "drawing.macroEnabled.main+xml":                        {sanitize.KindVSDM, sanitize.KindVSDX, hostVisio, typeVisio + "drawing.main+xml", "visio/document.xml"},
		typeVisio + "template.main+xml":                                    {sanitize.KindVSTX, sanitize.KindVSTX, hostVisio, typeVisio + "template.main+xml", "visio/document.xml"},
		typeVisio + "template.macroEnabled.main+xml":                       {sanitize.KindVSTM, sanitize.KindVSTX, hostVisio, typeVisio + "template.main+xml", "visio/document.xml"},
		typeVisio + "stencil.main+xml":                                     {sanitize.KindVSSX, sanitize.KindVSSX, hostVisio, typeVisio + "stencil.main+xml", "visio/document.xml"},
		typeVisio + "stencil.macroEnabled.main+xml":                        {sanitize.KindVSSM, sanitize.KindVSSX, hostVisio, typeVisio + "stencil.main+xml", "visio/document.xml"},
	}
})

// mainPartOf looks a content type up; types are compared without case, because
// RFC 2045 says so and Office does.
func mainPartOf(typ string) (mainPart, bool) {
	for t, m := range mainParts() {
		if strings.EqualFold(t, typ) {
			return m, true
		}
	}
	return mainPart{}, false
}

// partRule is one pair of relationship and content type that may stay.
type partRule struct {
	relation string // last word of the relationship's type
	prefix   relPrefix
	typ      string
	class    partClass
	name     string // file name in the output, with its folder below the root
	numbered bool
}

// relPrefix says whose relationship type it is.
type relPrefix uint8

const (
	relOffice    relPrefix = 1 // transitional or strict
	relPackage   relPrefix = 2
	relMicrosoft relPrefix = 3
	relVisio     relPrefix = 4
)

// partRules is the allow-list. A relationship and its part stay only if a line
// here has both their types. ISO/IEC 29500-1, 11.3, 12.3, 13.3, 14.2; the
// extensions of [MS-DOCX], [MS-XLSX], [MS-PPTX] 2.1, the drawings of [MS-VSDX] 2.1.
var partRules = []partRule{
	{"styles", relOffice, typeWord + "styles+xml", classXML, "styles", false},
	{"stylesWithEffects", relMicrosoft, "application/vnd.ms-word.stylesWithEffects+xml", classXML, "stylesWithEffects", false},
	{"settings", relOffice, typeWord + "settings+xml", classXML, "settings", false},
	{"webSettings", relOffice, typeWord + "webSettings+xml", classWebSettings, "webSettings", false},
	{"fontTable", relOffice, typeWord + "fontTable+xml", classXML, "fontTable", false},
	{"numbering", relOffice, typeWord + "numbering+xml", classWord, "numbering", false},
	{"footnotes", relOffice, typeWord + "footnotes+xml", classWord, "footnotes", false},
	{"endnotes", relOffice, typeWord + "endnotes+xml", classWord, "endnotes", false},
	{"header", relOffice, typeWord + "header+xml", classWord, "header", true},
	{"footer", relOffice, typeWord + "footer+xml", classWord, "footer", true},
	{"comments", relOffice, typeWord + "comments+xml", classWord, "comments", false},
	{"commentsExtended", relMicrosoft, typeWord + "commentsExtended+xml", classXML, "commentsExtended", false},
	{"commentsIds", relMicrosoft, typeWord + "commentsIds+xml", classXML, "commentsIds", false},
	{"commentsExtensible", relMicrosoft, typeWord + "commentsExtensible+xml", classXML, "commentsExtensible", false},
	{"people", relMicrosoft, typeWord + "people+xml", classXML, "people", false},

	{"worksheet", relOffice, typeSheet + "worksheet+xml", classSheet, "worksheets/sheet", true},
	{"chartsheet", relOffice, typeSheet + "chartsheet+xml", classXML, "chartsheets/sheet", true},
	{"sharedStrings", relOffice, typeSheet + "sharedStrings+xml", classXML, "sharedStrings", false},
	{"styles", relOffice, typeSheet + "styles+xml", classXML, "styles", false},
	{"comments", relOffice, typeSheet + "comments+xml", classXML, "comments", true},
	{"table", relOffice, typeSheet + "table+xml", classXML, "tables/table", true},
	{"pivotTable", relOffice, typeSheet + "pivotTable+xml", classXML, "pivotTables/pivotTable", true},
	{"pivotCacheDefinition", relOffice, typeSheet + "pivotCacheDefinition+xml", classPivotCache, "pivotCache/pivotCacheDefinition", true},
	{"pivotCacheRecords", relOffice, typeSheet + "pivotCacheRecords+xml", classXML, "pivotCache/pivotCacheRecords", true},
	{"sheetMetadata", relOffice, typeSheet + "sheetMetadata+xml", classXML, "metadata", false},
	{"slicer", relMicrosoft, "application/vnd.ms-excel.slicer+xml", classXML, "slicers/slicer", true},
	{"slicerCache", relMicrosoft, "application/vnd.ms-excel.slicerCache+xml", classXML, "slicerCaches/slicerCache", true},
	{"timeline", relMicrosoft, "application/vnd.ms-excel.timeline+xml", classXML, "timelines/timeline", true},
	{"timelineCache", relMicrosoft, "application/vnd.ms-excel.timelineCache+xml", classXML, "timelineCaches/timelineCache", true},
	{"threadedComment", relMicrosoft, "application/vnd.ms-excel.threadedcomments+xml", classXML, "threadedComments/threadedComment", true},
	{"namedSheetView", relMicrosoft, "application/vnd.ms-excel.namedsheetviews+xml", classXML, "namedSheetViews/namedSheetView", true},
	{"FeaturePropertyBag", relMicrosoft, "application/vnd.ms-excel.featurepropertybag+xml", classXML, "featurePropertyBag/featurePropertyBag", false},
	{"person", relMicrosoft, "application/vnd.ms-excel.person+xml", classXML, "persons/person", false},

	{"slide", relOffice, typeSlide + "slide+xml", classXML, "slides/slide", true},
	{"slideLayout", relOffice, typeSlide + "slideLayout+xml", classXML, "slideLayouts/slideLayout", true},
	{"slideMaster", relOffice, typeSlide + "slideMaster+xml", classXML, "slideMasters/slideMaster", true},
	{"notesSlide", relOffice, typeSlide + "notesSlide+xml", classXML, "notesSlides/notesSlide", true},
	{"notesMaster", relOffice, typeSlide + "notesMaster+xml", classXML, "notesMasters/notesMaster", true},
	{"handoutMaster", relOffice, typeSlide + "handoutMaster+xml", classXML, "handoutMasters/handoutMaster", true},
	{"presProps", relOffice, typeSlide + "presProps+xml", classXML, "presProps", false},
	{"viewProps", relOffice, typeSlide + "viewProps+xml", classXML, "viewProps", false},
	{"tableStyles", relOffice, typeSlide + "tableStyles+xml", classXML, "tableStyles", false},
	{"commentAuthors", relOffice, typeSlide + "commentAuthors+xml", classXML, "commentAuthors", false},
	{"comments", relOffice, typeSlide + "comments+xml", classXML, "comments/comment", true},

	{"comments", relMicrosoft, "application/vnd.ms-powerpoint.comments+xml", classXML, "comments/modernComment", true},
	{"authors", relMicrosoft, "application/vnd.ms-powerpoint.authors+xml", classXML, "authors", false},

	{"masters", relVisio, typeVisio + "masters+xml", classXML, "masters/masters", false},
	{"master", relVisio, typeVisio + "master+xml", classXML, "masters/master", true},
	{"pages", relVisio, typeVisio + "pages+xml", classXML, "pages/pages", false},
	{"page", relVisio, typeVisio + "page+xml", classXML, "pages/page", true},
	{"comments", relVisio, typeVisio + "comments+xml", classXML, "comments", false},

	{"theme", relOffice, "application/vnd.openxmlformats-officedocument.theme+xml", classXML, "theme/theme", true},
	{"themeOverride", relOffice, "application/vnd.openxmlformats-officedocument.themeOverride+xml", classXML, "theme/themeOverride", true},
	{"drawing", relOffice, "application/vnd.openxmlformats-officedocument.drawing+xml", classXML, "drawings/drawing", true},
	{"vmlDrawing", relOffice, "application/vnd.openxmlformats-officedocument.vmlDrawing", classVML, "drawings/vmlDrawing", true},
	{"chart", relOffice, typeDraw + "chart+xml", classXML, "charts/chart", true},
	{"chartUserShapes", relOffice, typeDraw + "chartshapes+xml", classXML, "drawings/chartShapes", true},
	{"chartEx", relMicrosoft, "application/vnd.ms-office.chartex+xml", classXML, "charts/chartEx", true},
	{"chartStyle", relMicrosoft, "application/vnd.ms-office.chartstyle+xml", classXML, "charts/style", true},
	{"chartColorStyle", relMicrosoft, "application/vnd.ms-office.chartcolorstyle+xml", classXML, "charts/colors", true},
	{"diagramData", relOffice, typeDraw + "diagramData+xml", classXML, "diagrams/data", true},
	{"diagramLayout", relOffice, typeDraw + "diagramLayout+xml", classXML, "diagrams/layout", true},
	{"diagramQuickStyle", relOffice, typeDraw + "diagramStyle+xml", classXML, "diagrams/quickStyle", true},
	{"diagramColors", relOffice, typeDraw + "diagramColors+xml", classXML, "diagrams/colors", true},
	{"diagramDrawing", relMicrosoft, "application/vnd.ms-office.drawingml.diagramDrawing+xml", classXML, "diagrams/drawing", true},
}

// ruleOf finds the line of the allow-list for a pair, or nil.
func ruleOf(prefix relPrefix, relation, typ string) *partRule {
	for i := range partRules {
		r := &partRules[i]
		if r.relation == relation && r.prefix == prefix && strings.EqualFold(r.typ, typ) {
			return r
		}
	}
	return nil
}

// ruleOfHost finds the line of the allow-list for a relationship in a document of
// one application, whatever the type of the part, or nil.
func ruleOfHost(h host, prefix relPrefix, relation string) *partRule {
	for i := range partRules {
		r := &partRules[i]
		if r.relation != relation || r.prefix != prefix {
			continue
		}
		of := host(0) // any
		switch {
		case strings.HasPrefix(r.typ, typeWord), strings.HasPrefix(r.typ, "application/vnd.ms-word."):
			of = hostWord
		case strings.HasPrefix(r.typ, typeSheet), strings.HasPrefix(r.typ, "application/vnd.ms-excel."):
			of = hostSheet
		case strings.HasPrefix(r.typ, typeSlide), strings.HasPrefix(r.typ, "application/vnd.ms-powerpoint."):
			of = hostSlide
		case strings.HasPrefix(r.typ, typeVisio):
			of = hostVisio
		}
		if of == 0 || of == h {
			return r
		}
	}
	return nil
}

// loss is what taking a relationship away means to a reader.
type loss struct {
	rule   string
	action sanitize.Action
}

// losses names what is taken. What no reader sees or uses is no news: it is
// "rewritten", and the file may still be clean.
var losses = sync.OnceValue(func() map[string]loss {
	return map[string]loss{
		"vbaProject":            {"ooxml.vba", sanitize.Removed},
		"wordVbaData":           {"ooxml.vba", sanitize.Removed},
		"xlMacrosheet":          {"ooxml.macro-sheet", sanitize.Replaced},
		"xlIntlMacrosheet":      {"ooxml.macro-sheet", sanitize.Replaced},
		"dialogsheet":           {"ooxml.dialog-sheet", sanitize.Replaced},
		"control":               {"ooxml.activex", sanitize.Removed},
		"activeXControlBinary":  {"ooxml.activex", sanitize.Removed},
		"ctrlProp":              {"ooxml.form-control", sanitize.Rewritten},
		"oleObject":             {"ooxml.ole", sanitize.Removed},
		"package":               {"ooxml.package", sanitize.Removed},
		"aFChunk":               {"ooxml.alt-chunk", sanitize.Removed},
		"attachedTemplate":      {"ooxml.template", sanitize.Removed},
		"subDocument":           {"ooxml.subdocument", sanitize.Removed},
		"frame":                 {"ooxml.frameset", sanitize.Removed},
		"externalLink":          {"ooxml.external-link", sanitize.Removed},
		"externalLinkPath":      {"ooxml.external-link", sanitize.Removed},
		"hyperlink":             {"ooxml.link", sanitize.Neutralised},
		"extensibility":         {"ooxml.custom-ui", sanitize.Removed},
		"userCustomization":     {"ooxml.custom-ui", sanitize.Removed},
		"attachedToolbars":      {"ooxml.custom-ui", sanitize.Removed},
		"keyMapCustomizations":  {"ooxml.custom-ui", sanitize.Removed},
		"webextension":          {"ooxml.web-extension", sanitize.Removed},
		"webextensiontaskpanes": {"ooxml.web-extension", sanitize.Removed},
		"connections":           {"ooxml.connection", sanitize.Removed},
		"queryTable":            {"ooxml.connection", sanitize.Removed},
		"model":                 {"ooxml.connection", sanitize.Removed},
		"dataConnections":       {"ooxml.connection", sanitize.Removed},
		"recordsets":            {"ooxml.connection", sanitize.Removed},
		"recordset":             {"ooxml.connection", sanitize.Removed},
		"powerPivotData":        {"ooxml.connection", sanitize.Removed},
		"mailMergeSource":       {"ooxml.mail-merge", sanitize.Removed},
		"mailMergeHeaderSource": {"ooxml.mail-merge", sanitize.Removed},
		"recipientData":         {"ooxml.mail-merge", sanitize.Removed},
		"transform":             {"ooxml.xslt", sanitize.Removed},
		"volatileDependencies":  {"ooxml.rtd", sanitize.Removed},
		"origin":                {"ooxml.signature", sanitize.Removed},
		"font":                  {"ooxml.font", sanitize.Removed},
		"audio":                 {"ooxml.media", sanitize.Removed},
		"video":                 {"ooxml.media", sanitize.Removed},
		"media":                 {"ooxml.media", sanitize.Removed},
		"slideUpdateInfo":       {"ooxml.slide-update", sanitize.Removed},
		"slideUpdateUrl":        {"ooxml.slide-update", sanitize.Removed},
		"model3d":               {"ooxml.model3d", sanitize.Removed},
		"ink":                   {"ooxml.ink", sanitize.Removed},
		"revisionHeaders":       {"ooxml.revisions", sanitize.Removed},
		"rdRichValueWebImage":   {"ooxml.rich-value", sanitize.Removed},
		"comments":              {"ooxml.comments", sanitize.Removed},

		// What an application makes again, or no reader ever sees.
		"core-properties":                  {"ooxml.properties", sanitize.Rewritten},
		"extended-properties":              {"ooxml.properties", sanitize.Rewritten},
		"extendedProperties":               {"ooxml.properties", sanitize.Rewritten},
		"custom-properties":                {"ooxml.properties", sanitize.Rewritten},
		"customProperties":                 {"ooxml.properties", sanitize.Rewritten},
		"classificationlabels":             {"ooxml.properties", sanitize.Rewritten},
		"thumbnail":                        {"ooxml.thumbnail", sanitize.Rewritten},
		"metadata/thumbnail":               {"ooxml.thumbnail", sanitize.Rewritten}, // of strict documents
		"usernames":                        {"ooxml.revisions", sanitize.Rewritten},
		"printerSettings":                  {"ooxml.printer-settings", sanitize.Rewritten},
		"calcChain":                        {"ooxml.calc-chain", sanitize.Rewritten},
		"windows":                          {"ooxml.properties", sanitize.Rewritten},
		"customXml":                        {"ooxml.custom-xml", sanitize.Rewritten},
		"solutions":                        {"ooxml.custom-xml", sanitize.Rewritten},
		"solution":                         {"ooxml.custom-xml", sanitize.Rewritten},
		"validation":                       {"ooxml.custom-xml", sanitize.Rewritten},
		"extensions":                       {"ooxml.custom-xml", sanitize.Rewritten},
		"customXmlProps":                   {"ooxml.custom-xml", sanitize.Rewritten},
		"customProperty":                   {"ooxml.custom-xml", sanitize.Rewritten},
		"customData":                       {"ooxml.custom-xml", sanitize.Rewritten},
		"xmlMaps":                          {"ooxml.custom-xml", sanitize.Rewritten},
		"tableSingleCells":                 {"ooxml.custom-xml", sanitize.Rewritten},
		"glossaryDocument":                 {"ooxml.glossary", sanitize.Rewritten},
		"tags":                             {"ooxml.tags", sanitize.Rewritten},
		"hdphoto":                          {"ooxml.picture-original", sanitize.Rewritten},
		"legacyDiagramText":                {"ooxml.legacy-text", sanitize.Rewritten},
		"legacyDocTextInfo":                {"ooxml.legacy-text", sanitize.Rewritten},
		"revisionInfo":                     {"ooxml.revisions", sanitize.Rewritten},
		"commentsExtensible":               {"ooxml.comment-details", sanitize.Rewritten},
		"intelligence":                     {"ooxml.custom-xml", sanitize.Rewritten},
		"authors":                          {"ooxml.comments", sanitize.Rewritten},
		"rdArray":                          {"ooxml.rich-value-store", sanitize.Rewritten},
		"rdRichValue":                      {"ooxml.rich-value-store", sanitize.Rewritten},
		"rdRichValueStructure":             {"ooxml.rich-value-store", sanitize.Rewritten},
		"rdRichValueTypes":                 {"ooxml.rich-value-store", sanitize.Rewritten},
		"rdSupportingPropertyBag":          {"ooxml.rich-value-store", sanitize.Rewritten},
		"rdSupportingPropertyBagStructure": {"ooxml.rich-value-store", sanitize.Rewritten},
		"richStyles":                       {"ooxml.rich-value-store", sanitize.Rewritten},
	}
})

// lossOf names what goes with a relationship. vbaProjectSignature and the like
// are told by their beginning.
func lossOf(relation string) loss {
	if l, ok := losses()[relation]; ok {
		return l
	}
	switch {
	case strings.HasPrefix(relation, "vba"):
		return loss{"ooxml.vba", sanitize.Removed}
	case strings.HasPrefix(relation, "xl") && relation != "xlMacrosheet":
		return loss{"ooxml.external-link", sanitize.Removed} // xlPathMissing, xlStartup ...
	default:
		return loss{"ooxml.part", sanitize.Removed}
	}
}

// splitRelation cuts a relationship type into whose it is and its last word.
func splitRelation(typ string) (relPrefix, string) {
	for _, p := range []string{
		"http://schemas.openxmlformats.org/officeDocument/2006/relationships/",
		"http://purl.oclc.org/ooxml/officeDocument/relationships/",
	} {
		if w, ok := strings.CutPrefix(typ, p); ok {
			return relOffice, w
		}
	}
	if w, ok := strings.CutPrefix(typ, "http://schemas.openxmlformats.org/package/2006/relationships/"); ok {
		return relPackage, w[strings.LastIndexByte(w, '/')+1:]
	}
	if w, ok := strings.CutPrefix(typ, relationVisio); ok {
		return relVisio, w
	}
	if strings.HasPrefix(typ, "http://schemas.microsoft.com/office/") {
		return relMicrosoft, typ[strings.LastIndexByte(typ, '/')+1:]
	}
	return 0, typ[strings.LastIndexByte(typ, '/')+1:]
}
