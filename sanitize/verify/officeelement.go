package verify

import (
	"bytes"
	"strings"
	"sync"

	"sekisho/internal/lazy"
)

// forbidden are elements that run, load or hide, whatever their namespace. The
// writers keep an allow-list; this is the other opinion.
var forbidden = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(`oleObj oleObjects oleObject OLEObject control controls altChunk subDoc attachedTemplate mailMerge docVars docVar
		ddeLink oleLink externalBook externalReferences externalReference connection connections queryTable webPublishItems webPublishing
		customUI script scripts embeddedFont embedRegular embedBold embedItalic embedBoldItalic dataBinding frameset
		quickTimeFile videoFile audioFile wavAudioFile snd sndTgt audioCd audio video cmd htmlPubPr
		fmlaMacro FmlaMacro entryMacro exitMacro macrosheet FmlaPict MapOCX ScriptText webVideoPr imgProps calculatedMember tcg xmlMaps smartTags custDataLst webExtension saveThroughXslt attachedSchema`) {
		m[n] = true
	}
	return m
})

// wanted names the element in the scanner when its text is a formula, or code of
// a field.
func wanted(m *markup, fields *fieldCheck) string {
	switch string(m.local) {
	case "instrText", "delInstrText":
		return string(m.local)
	case "t", "delText":
		if fields.coding() {
			return string(m.local)
		}
	case "f", "nf":
		switch m.space {
		case inSheet, inChart, inCharts, inFormulas:
			return string(m.local)
		}
	case "definedName", "formula1", "formula2", "formula", "calculatedColumnFormula", "totalsRowFormula":
		if m.space == inSheet {
			return string(m.local)
		}
	case "FmlaLink", "FmlaRange", "FmlaGroup", "FmlaTxbx":
		if m.space == inExcelVML {
			return string(m.local)
		}
	case "sqref":
		if m.space == inCharts {
			return "sqref"
		}
	}
	return ""
}

// otherPlace is a place that is none of this document: a file, a server, what
// could be taken for a scheme.
var otherPlace = lazy.Compile(`[\[\]\\|]|:/|(?i)^[a-z][a-z0-9+.-]*:[^!]*[^!$a-z0-9]|^[a-z][a-z0-9+-]*[a-z+-]:`)

var harmlessAction = lazy.Compile(`(?i)^(ppaction://(hlinksldjump|hlinkshowjump|noaction|customshow)(\?.*)?)?$`)

func (o *office) element(name string, m *markup) error {
	element := m.local // no string: that would be one for each element of each part
	switch {
	case m.space == inNowhere || m.space == inActive || m.space == inTypes || m.space == inRels:
		return notAllowed(o.where, "element %s of a namespace of no document in %s", element, name)
	case m.space == inNone && !strings.HasSuffix(name, ".vml"):
		return notAllowed(o.where, "element %s of no namespace in %s", element, name)
	case forbidden()[string(element)]:
		return notAllowed(o.where, "element %s in %s", element, name)
	case m.space == inVisio:
		if err := visioElement(m); err != nil {
			return notAllowed(o.where, "part %s: %v", name, err)
		}
	}
	for i := range m.attrs {
		a := &m.attrs[i]
		bad := func(what string) error {
			return notAllowed(o.where, "%s: %s of <%s> in %s", what, a.local, element, name)
		}
		switch a.space {
		case inNowhere, inActive, inTypes, inRels:
			return bad("a namespace of no document")
		case inXML:
			if l := string(a.local); l != "space" && l != "lang" {
				return bad("an attribute of XML")
			}
			continue
		case inMC:
			if string(a.local) != "Ignorable" {
				return bad("what must be understood")
			}
			continue
		case inRelation:
			// No id may lead nowhere: an application would ask to repair.
			if len(a.value) > 0 && !o.rels[name][decoded(a.value)] {
				return bad("an id that leads nowhere")
			}
			if string(a.local) == "link" && len(a.value) > 0 {
				return bad("linked picture")
			}
			continue
		}
		switch string(a.local) {
		case "relid":
			if a.space == inVMLOwn && len(a.value) > 0 && !o.rels[name][decoded(a.value)] {
				return bad("an id that leads nowhere")
			}
		case "macro":
			if len(a.value) > 0 {
				return bad("a macro")
			}
		case "onLoad", "fmlaMacro", "onAction", "docLocation", "gfxdata":
			return bad("what runs or leads out")
		case "action":
			if bytes.HasPrefix(element, []byte("hlink")) && !harmlessAction.MatchString(decoded(a.value)) {
				return bad("an action")
			}
		case "href", "althref":
			if v := decoded(a.value); v != "" && v[0] != '#' && !harmlessURL(v) {
				return bad("a link")
			}
		case "src":
			if len(a.value) > 0 {
				return bad("picture from elsewhere")
			}
		case "style":
			if m.space == inVML || m.space == inNone {
				v := strings.ToLower(decoded(a.value))
				if strings.Contains(v, "url") || strings.Contains(v, "expression") || strings.Contains(v, "behavior") || strings.Contains(v, `\\`) {
					return bad("a style")
				}
			}
		case "location":
			if string(element) == "hyperlink" && otherPlace.MatchString(decoded(a.value)) {
				return bad("a place elsewhere")
			}
		case "textlink", "formula":
			if err := formula(decoded(a.value)); err != nil {
				return bad(err.Error())
			}
		case "xlm", "vbProcedure", "function":
			if v := string(a.value); string(element) == "definedName" && v != "0" && v != "false" {
				return bad("a name that is a macro")
			}
		case "name":
			if string(element) == "definedName" {
				n := strings.TrimSpace(strings.ToLower(decoded(a.value)))
				if strings.HasPrefix(strings.TrimPrefix(n, "_xlnm."), "auto_") {
					return bad("a name that runs by itself")
				}
			}
		case "refreshOnLoad":
			if v := string(a.value); v != "0" && v != "false" {
				return bad("refresh on load")
			}
		case "connectionId":
			if m.space == inSheet && (string(element) == "table" || string(element) == "pivotCacheDefinition" || string(element) == "cacheSource") {
				return bad("a connection")
			}
		}
	}
	return nil
}
