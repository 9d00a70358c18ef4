package ooxml

import (
	"strings"

	"sekisho/internal/fieldcode"
	"sekisho/sanitize"
)

// verdict is what becomes of an element.
type verdict uint8

const (
	keep        verdict = 1
	drop        verdict = 2 // with its content; who shows it is told
	dropQuietly verdict = 3 // with its content; nobody sees or uses it
	unwrap      verdict = 4 // its content stays
)

// decide judges an element by its name. Attributes are judged afterwards.
func (f *filter) decide(fr *frame, sp space, local []byte) verdict {
	if f.text != nil {
		// Code is text alone. A reader that passes over an element in it would see
		// other code than we.
		return dropQuietly
	}
	if f.controls >= 0 && !f.moving() {
		return f.decideControl(fr, sp, local)
	}
	if sp == spaceNone && f.part.class != classVML {
		sp = spaceUnknown // only drawings have elements in no namespace
	}
	// The vocabulary of one application has no place in another's document.
	switch {
	case sp == spaceWord && f.part.host != hostWord, sp == spaceVisio && f.part.host != hostVisio, sp == spaceSheet && f.part.host != hostSheet, sp == spaceSlide && f.part.host != hostSlide:
		sp = spaceUnknown
	}
	switch sp {
	case spaceUnknown:
		return f.foreign(local)
	case spaceActive:
		f.report.found("ooxml.active-xml", f.part.source, sanitize.Removed, string(local))
		f.lost++
		return drop
	case spaceMC:
		return f.decideCompatibility(fr, local)
	case spaceWord:
		return f.decideWord(fr, local)
	case spaceSheet:
		return f.decideSheet(fr, local)
	case spaceX14, spaceMain2:
		return f.decideSheetExtension(fr, sp, local)
	case spaceSlide:
		return f.decideSlide(fr, local)
	case spaceVisio:
		return f.decideVisio(fr, local)
	case spaceP14:
		if string(local) == "media" {
			f.report.found("ooxml.media", f.part.source, sanitize.Removed, "")
			return drop
		}
		return keep
	case spaceDrawing:
		return f.decideDrawing(fr, local)
	case spaceA14:
		if string(local) == "imgProps" {
			return dropUnit(f) // the picture before its effects
		}
		return keep
	case spaceSVG:
		// The PNG beside it is what shows.
		return dropUnit(f)
	case spaceChart, spaceChart2:
		return f.decideChart(fr, sp, local)
	case spaceVML, spaceOffice, spaceExcelML:
		return f.decideVML(fr, sp, local)
	case spaceSlicer:
		if f.flags.dropSlicers {
			f.lost++
			return drop
		}
		return keep
	case spaceW15:
		switch string(local) {
		case "webExtensionLinked", "webExtensionCreated", "dataBinding":
			return dropQuietly
		}
		return keep
	case spaceOther:
		switch string(local) {
		case "webVideoPr":
			f.report.found("ooxml.web-video", f.part.source, sanitize.Removed, "a page of the web in place of a picture")
			return drop
		case "absPath":
			return dropQuietly // where the file lay on the sender's disk
		}
		return keep
	case spaceXDR:
		if string(local) == "contentPart" {
			f.lost++
			f.report.found("ooxml.ink", f.part.source, sanitize.Removed, "")
			return drop
		}
		return keep
	default:
		return keep
	}
}

// known reports whether the vocabulary has the element. Those of
// markup-compatibility have rules of their own; in VML, names without a
// namespace are HTML's, as text boxes have them.
func (f *filter) known(ns namespace, local []byte) bool {
	switch ns.space {
	case spaceMC:
		return true
	case spaceNone:
		return f.part.class == classVML && textOfVML[string(local)]
	default:
		return ns.words.hasElement(local)
	}
}

// textOfVML are the elements of a text box in a legacy drawing.
var textOfVML = map[string]bool{"xml": true, "div": true, "font": true, "span": true, "p": true, "br": true, "b": true, "i": true, "u": true, "s": true, "sup": true, "sub": true, "center": true}

// foreign judges an element of a vocabulary that is not on the list: custom
// XML, future extensions, what nobody has looked at. What it wraps in Word is
// text of the document.
func (f *filter) foreign(local []byte) verdict {
	f.report.found("ooxml.foreign-xml", f.part.source, sanitize.Rewritten, string(local))
	if !f.inUnit() {
		f.lost++
	}
	if f.part.class == classWord {
		return unwrap
	}
	return dropQuietly
}

// dropUnit drops an element and the extension it stands in, without a word.
func dropUnit(f *filter) verdict {
	for i := len(f.frames) - 2; i >= 0; i-- {
		if f.frames[i].role == roleUnit {
			f.frames[i].doomed = true
			break
		}
	}
	return dropQuietly
}

func (f *filter) decideWord(fr *frame, local []byte) verdict {
	if f.flags.changes != changesStay {
		if v := f.decideChange(fr, local); v != keep {
			return v
		}
	}
	switch string(local) {
	case "commentRangeStart", "commentRangeEnd", "commentReference", "annotationRef":
		if f.flags.comments {
			return dropQuietly // the relationship is what tells
		}
	case "t", "delText":
		kind := string(local)
		if kind == "delText" && f.flags.changes == changesGo {
			f.rename(fr, "t")
			kind = "t"
		}
		if f.codeOpen() {
			fr.role, fr.extra = roleText, &extra{kind: kind}
		}
	case "fldChar":
		fr.role, fr.extra = roleFldChar, &extra{kind: f.own(spaceWord, "fldCharType")}
	case "instrText", "delInstrText":
		kind := string(local)
		if kind == "delInstrText" && f.flags.changes == changesGo {
			f.rename(fr, "instrText")
			kind = "instrText"
		}
		fr.role, fr.extra = roleInstr, &extra{kind: kind}
	case "fldSimple":
		if top := f.top(); top != nil && !top.result {
			top.nested = true
		}
		code := f.own(spaceWord, "instr")
		if why := fieldcode.Verdict(code, false); why != "" {
			f.report.field(f.part.source, why)
			if hidesResult(why) {
				return dropQuietly
			}
			return unwrap
		}
		if f.flags.links != sanitize.KeepURLs && fieldcode.Leads(code) {
			f.report.found("ooxml.link", f.part.source, sanitize.Neutralised, "HYPERLINK, by the profile")
			return unwrap
		}
	case "fldData", "updateFields", "docVars", "docVar", "rsids", "printerSettings", "linkStyles", "smartTagPr", "customXmlPr", "smartTagType", "saveThroughXslt", "attachedSchema", "schemaLibrary":
		return dropQuietly
	case "dataBinding":
		f.report.found("ooxml.data-binding", f.part.source, sanitize.Rewritten, "")
		return dropQuietly
	case "smartTag", "customXml":
		return unwrap
	case "altChunk":
		f.report.found("ooxml.alt-chunk", f.part.source, sanitize.Removed, "a document imported when this one opens")
		return drop
	case "subDoc":
		f.report.found("ooxml.subdocument", f.part.source, sanitize.Removed, "")
		return drop
	case "frameset", "frame":
		if f.part.class == classWebSettings {
			f.report.found("ooxml.frameset", f.part.source, sanitize.Removed, "")
			return drop
		}
	case "mailMerge":
		f.report.found("ooxml.mail-merge", f.part.source, sanitize.Removed, "")
		return drop
	case "attachedTemplate":
		// The relationship is what tells.
		return dropQuietly
	case "entryMacro", "exitMacro":
		f.report.found("ooxml.macro", f.part.source, sanitize.Removed, "macro of a form field: "+f.own(spaceWord, "val"))
		return drop
	case "control", "movie":
		f.report.found("ooxml.activex", f.part.source, sanitize.Removed, f.own(spaceWord, "name"))
		return drop
	case "objectEmbed", "objectLink":
		f.report.found("ooxml.ole", f.part.source, sanitize.Removed, f.own(spaceWord, "progId"))
		return drop
	case "object":
		// 17.3.3.19: the preview is the same VML that a picture has.
		f.rename(fr, "pict")
		for i := range f.s.Attrs {
			if !isDeclaration(f.s.Attrs[i].Name) {
				f.remove(&f.s.Attrs[i]) // sizes of the object
			}
		}
	case "embedRegular", "embedBold", "embedItalic", "embedBoldItalic":
		return dropQuietly // the relationship is what tells
	case "txbxContent", "footnote", "endnote", "comment":
		fr.role = roleStory
	}
	return keep
}

func qualified(prefix []byte, local string) string {
	if len(prefix) == 0 {
		return local
	}
	return string(prefix) + ":" + local
}

func isDeclaration(name []byte) bool {
	return strings.HasPrefix(string(name), "xmlns") && (len(name) == 5 || name[5] == ':')
}

// codeOpen reports whether text now belongs to the code of some field.
func (f *filter) codeOpen() bool {
	for _, x := range f.open() {
		if !x.result {
			return true
		}
	}
	return false
}

func (f *filter) decideSheet(fr *frame, local []byte) verdict {
	switch string(local) {
	case "f":
		if f.part.class != classSheet {
			return f.beginFormula(fr)
		}
		t, _ := f.attribute(spaceNone, "t")
		si, _ := f.attribute(spaceNone, "si")
		if t == "shared" && f.s.Empty && !f.shared[si] {
			// Its master went, or never was.
			f.report.found("ooxml.formula", f.part.source, sanitize.Replaced, "formula shared with one that went")
			return dropQuietly
		}
		f.beginFormula(fr)
		fr.extra.kind = t
		fr.extra.parent = si
	case "formula", "formula1", "formula2", "calculatedColumnFormula", "totalsRowFormula":
		return f.beginFormula(fr)
	case "cfRule", "dataValidation":
		fr.role = roleRule
	case "conditionalFormatting", "dataValidations", "hyperlinks", "tableParts", "definedNames", "pivotCaches", "dataRefs", "ignoredErrors", "customSheetViews", "extLst":
		fr.role = roleList
	case "ext":
		fr.role = roleUnit
	case "definedName":
		name, _ := f.attribute(spaceNone, "name")
		for _, a := range []string{"xlm", "vbProcedure", "function"} {
			if v, ok := f.attribute(spaceNone, a); ok && v != "0" && v != "false" {
				f.report.found("ooxml.macro-name", f.part.source, sanitize.Removed, name)
				f.definitions.note(name, false)
				return drop
			}
		}
		if n := strings.ToLower(strings.TrimSpace(name)); strings.HasPrefix(n, "_xlnm.auto_") || strings.HasPrefix(n, "auto_") {
			f.report.found("ooxml.auto-run", f.part.source, sanitize.Removed, name)
			f.definitions.note(name, false)
			return drop
		}
		f.beginFormula(fr)
		fr.role = roleName
		fr.extra.kind = name
	case "oleObjects", "oleObject":
		f.lost++
		f.report.found("ooxml.ole", f.part.source, sanitize.Removed, "")
		return drop
	case "controls", "control":
		return dropQuietly // the relationship is what tells
	case "customProperties", "customPr", "webPublishItems", "webPublishing", "webPublishObjects", "smartTags", "cellSmartTags", "smartTagPr", "smartTagTypes", "fileRecoveryPr", "functionGroups", "xmlColumnPr", "xmlCellPr":
		return dropQuietly
	case "externalReferences", "externalReference":
		return dropQuietly // the relationship is what tells
	case "valueMetadata":
		return dropQuietly
	case "futureMetadata":
		if n, _ := f.attribute(spaceNone, "name"); n == "XLRICHVALUE" {
			return dropQuietly
		}
	case "dataConsolidate":
		return dropQuietly
	case "sheet":
		switch state, _ := f.attribute(spaceNone, "state"); state {
		case "veryHidden":
			n, _ := f.attribute(spaceNone, "name")
			f.report.found("ooxml.very-hidden-sheet", f.part.source, sanitize.Reported, n)
		case "hidden":
			n, _ := f.attribute(spaceNone, "name")
			f.report.found("ooxml.hidden-sheet", f.part.source, sanitize.Reported, n)
		}
	}
	return keep
}

func (f *filter) decideSheetExtension(fr *frame, sp space, local []byte) verdict {
	switch string(local) {
	case "f", "formula", "sqref":
		if string(local) == "sqref" {
			return keep
		}
		return f.beginFormula(fr)
	case "cfRule", "dataValidation", "sparkline":
		fr.role = roleRule
	case "conditionalFormatting", "conditionalFormattings", "dataValidations", "sparklines", "sparklineGroup", "sparklineGroups":
		fr.role = roleList
	case "macrosheet":
		f.report.found("ooxml.macro-sheet", f.part.source, sanitize.Removed, "")
		return drop
	case "slicerList", "slicerCaches", "slicerRef", "slicerCache", "timelineRefs", "timelineCacheRefs":
		if f.flags.dropSlicers {
			return drop
		}
	case "dataModel", "connection", "oledbPr", "webPr", "textPr":
		f.report.found("ooxml.connection", f.part.source, sanitize.Removed, "data model")
		return drop
	}
	return keep
}

func (f *filter) decideSlide(fr *frame, local []byte) verdict {
	switch string(local) {
	case "graphicFrame":
		fr.role, fr.extra = roleFrame, &extra{scope: fr.scope}
	case "pic":
		if g := f.openFrame(); g != nil {
			fr.role, fr.extra = rolePicture, &extra{scope: g.extra.scope}
		}
	case "cNvPr":
		for i := len(f.frames) - 2; i >= 0; i-- {
			g := &f.frames[i]
			if g.role == rolePicture {
				f.takeIdentity()
				break
			}
			if g.role == roleMoved {
				f.numberPicture(g.extra.moved)
				break
			}
			if g.role == roleFrame {
				if g.extra.idName == nil {
					g.extra.idName = f.identity()
				}
				break
			}
		}
	case "oleObj":
		f.report.found("ooxml.ole", f.part.source, sanitize.Replaced, f.own(spaceNone, "progId"))
		for i := len(f.frames) - 2; i >= 0; i-- {
			if f.frames[i].role == roleFrame {
				f.frames[i].extra.ole = true
				return unwrap
			}
		}
		f.lost++
		return drop
	case "embed", "link":
		if f.openFrame() != nil {
			return dropQuietly
		}
	case "cSld":
		fr.role, fr.extra = roleSlide, &extra{scope: len(f.bindings)}
	case "spTree":
		if n := len(f.frames); n >= 2 && f.frames[n-2].role == roleSlide {
			fr.role = roleTree
		}
	case "controls":
		if n := len(f.frames); n >= 2 && f.frames[n-2].role == roleSlide && f.frames[n-2].holds {
			fr.role = roleControls
			f.controls = n - 1
			return unwrap
		}
		return dropQuietly // the relationship is what tells
	case "control":
		return dropQuietly
	case "timing", "tnLst", "childTnLst", "subTnLst", "par", "seq", "excl", "cTn", "tn", "audio", "video", "cmd":
		return f.decideTiming(fr, local)
	case "ext":
		fr.role = roleUnit
	case "custDataLst", "custData", "tags", "embeddedFontLst", "smartTags", "htmlPubPr", "webPr":
		return dropQuietly
	case "sndAc", "sndTgt", "snd":
		f.report.found("ooxml.media", f.part.source, sanitize.Removed, "sound")
		return drop
	case "contentPart":
		f.lost++
		f.report.found("ooxml.ink", f.part.source, sanitize.Removed, "")
		return drop
	case "extLst":
		fr.role = roleList
	}
	return keep
}

func (f *filter) decideDrawing(fr *frame, local []byte) verdict {
	switch string(local) {
	case "hlinkClick", "hlinkHover", "hlinkMouseOver":
		action, _ := f.attribute(spaceNone, "action")
		if !harmlessAction(action) {
			f.report.found("ooxml.action", f.part.source, sanitize.Neutralised, action)
			return drop
		}
	case "audioCd", "wavAudioFile", "audioFile", "videoFile", "quickTimeFile", "snd":
		f.report.found("ooxml.media", f.part.source, sanitize.Removed, string(local))
		return dropQuietly // the poster is the picture around it
	case "ext":
		// Also the size of a shape (a:xfrm/a:ext), which has no content.
		if _, ok := f.attribute(spaceNone, "uri"); ok {
			fr.role = roleUnit
		}
	case "extLst":
		fr.role = roleList
	}
	return keep
}

// harmlessAction reports whether an action only moves inside the show.
// [MS-OE376] 2.1.1258.
func harmlessAction(action string) bool {
	if action == "" {
		return true
	}
	verb, ok := strings.CutPrefix(strings.ToLower(action), "ppaction://")
	if !ok {
		return false
	}
	verb, _, _ = strings.Cut(verb, "?")
	switch verb {
	case "hlinksldjump", "hlinkshowjump", "customshow", "noaction":
		return true
	default:
		return false
	}
}

func (f *filter) decideChart(fr *frame, sp space, local []byte) verdict {
	switch string(local) {
	case "f", "nf":
		return f.beginFormula(fr)
	case "sqref":
		if sp == spaceChart2 {
			return f.beginFormula(fr)
		}
	case "numRef", "strRef", "multiLvlStrRef":
		fr.role, fr.extra = roleChartRef, &extra{kind: string(local)}
		if n := len(f.frames); n >= 2 {
			fr.extra.parent = f.local(&f.frames[n-2], n-2)
			if fr.extra.parent == "tx" && n >= 3 && f.local(&f.frames[n-3], n-3) == "ser" {
				fr.extra.parent = "ser/tx"
			}
		}
	case "numCache", "strCache":
		if n := len(f.frames); n >= 2 && f.frames[n-2].role == roleChartRef && f.frames[n-2].endTag == "-" {
			if f.frames[n-2].extra.parent == "ser/tx" {
				return unwrap
			}
			f.rename(fr, strings.TrimSuffix(string(local), "Cache")+"Lit")
		}
	case "ptCount", "pt":
		// The name of a series, once its cell is elsewhere: <c:v> alone.
		if n := len(f.frames); n >= 3 && f.frames[n-2].role == roleUnwrap && f.frames[n-3].role == roleChartRef {
			if string(local) == "pt" {
				return unwrap
			}
			return dropQuietly
		}
	case "externalData":
		id, _ := f.attribute(spaceRel, "id")
		if _, ok := f.part.resolve(id); !ok {
			return dropQuietly // the relationship is what tells
		}
	case "pivotSource", "pivotFmts":
		if f.flags.dropPivots {
			return dropQuietly
		}
	case "ext":
		fr.role = roleUnit
	case "extLst":
		fr.role = roleList
	}
	return keep
}

func (f *filter) decideVML(fr *frame, sp space, local []byte) verdict {
	switch string(local) {
	case "OLEObject":
		f.report.found("ooxml.ole", f.part.source, sanitize.Replaced, f.own(spaceNone, "ProgID"))
		return dropQuietly
	case "FmlaMacro":
		f.report.found("ooxml.macro", f.part.source, sanitize.Removed, "macro of a control")
		return drop
	case "shape":
		if f.flags.comments {
			fr.role = roleSingle
		}
	case "ClientData":
		if f.flags.comments && f.own(spaceNone, "ObjectType") == "Note" {
			f.dropSingle() // the frame of a comment
			return dropQuietly
		}
	case "FmlaPict", "MapOCX", "DDE", "Camera", "ScriptText", "ScriptExtended", "ScriptLanguage", "ScriptLocation", "script":
		return dropQuietly
	case "FmlaLink", "FmlaRange", "FmlaGroup", "FmlaTxbx":
		return f.beginFormula(fr)
	}
	return keep
}
