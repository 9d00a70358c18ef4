package verify

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// mainTypes are the content types of the main part, by kind: the macro-free ones.
func mainType(k sanitize.Kind) string {
	const (
		w = "application/vnd.openxmlformats-officedocument.wordprocessingml."
		x = "application/vnd.openxmlformats-officedocument.spreadsheetml."
		p = "application/vnd.openxmlformats-officedocument.presentationml."
	)
	switch k {
	case sanitize.KindDOCX:
		return w + "document.main+xml"
	case sanitize.KindDOTX:
		return w + "template.main+xml"
	case sanitize.KindXLSX:
		return x + "sheet.main+xml"
	case sanitize.KindXLTX:
		return x + "template.main+xml"
	case sanitize.KindPPTX:
		return p + "presentation.main+xml"
	case sanitize.KindPPSX:
		return p + "slideshow.main+xml"
	case sanitize.KindPOTX:
		return p + "template.main+xml"
	case sanitize.KindVSDX:
		return "application/vnd.ms-visio.drawing.main+xml"
	case sanitize.KindVSTX:
		return "application/vnd.ms-visio.template.main+xml"
	case sanitize.KindVSSX:
		return "application/vnd.ms-visio.stencil.main+xml"
	default:
		return ""
	}
}

// partTypes are the content types of all other parts, ECMA-376 part 1, section
// 15 and the extensions Office writes.
var partTypes = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{
		"application/vnd.ms-word.stylesWithEffects+xml":                     true,
		"application/vnd.openxmlformats-officedocument.vmlDrawing":          true,
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": true, // the workbook behind a chart
	}
	for _, family := range []struct{ begin, names, end string }{
		{"application/vnd.openxmlformats-package.", "relationships core-properties", "+xml"},
		{"application/vnd.openxmlformats-officedocument.", "extended-properties custom-properties theme themeOverride drawing", "+xml"},
		{"application/vnd.openxmlformats-officedocument.drawingml.", "chart chartshapes diagramColors diagramData diagramLayout diagramStyle", "+xml"},
		{"application/vnd.ms-office.", "chartex chartstyle chartcolorstyle drawingml.diagramDrawing", "+xml"},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.", "styles settings webSettings fontTable numbering footnotes endnotes header footer comments commentsExtended commentsExtensible commentsIds people", "+xml"},
		{"application/vnd.openxmlformats-officedocument.spreadsheetml.", "worksheet chartsheet sharedStrings styles calcChain comments table pivotTable pivotCacheDefinition pivotCacheRecords sheetMetadata", "+xml"},
		{"application/vnd.ms-excel.", "slicer slicerCache timeline timelineCache threadedcomments person namedsheetviews featurepropertybag", "+xml"},
		{"application/vnd.openxmlformats-officedocument.presentationml.", "slide slideLayout slideMaster notesSlide notesMaster handoutMaster presProps viewProps tableStyles commentAuthors comments", "+xml"},
		{"application/vnd.ms-powerpoint.", "comments authors", "+xml"},
		{"application/vnd.ms-visio.", "masters master pages page comments", "+xml"},
		{"image/", "png jpeg x-emf x-wmf emf wmf", ""},
	} {
		for n := range strings.FieldsSeq(family.names) {
			m[family.begin+n+family.end] = true
		}
	}
	return m
})

// relationTypes are the relationships that may stand, by the last word of
// their type; those of the transitional, the strict and Microsoft's own sets
// differ in the prefix only, and the prefix is checked too.
func relationType(typ string) (string, bool) {
	for _, p := range []string{
		"http://schemas.openxmlformats.org/officeDocument/2006/relationships/", "http://purl.oclc.org/ooxml/officeDocument/relationships/",
		"http://schemas.openxmlformats.org/package/2006/relationships/metadata/", "http://schemas.openxmlformats.org/package/2006/relationships/",
		"http://schemas.microsoft.com/visio/2010/relationships/",
	} {
		if word, ok := strings.CutPrefix(typ, p); ok {
			return word, slices.Contains(relationTypes(), word)
		}
	}
	// http://schemas.microsoft.com/office/2011/relationships/people, and with a month.
	rest, ok := strings.CutPrefix(typ, "http://schemas.microsoft.com/office/20")
	year, word, found := strings.Cut(rest, "/relationships/")
	return word, ok && found && len(year) <= 5 && strings.Trim(year, "0123456789/") == "" && slices.Contains(relationTypes(), word)
}

var relationTypes = sync.OnceValue(func() []string {
	return strings.Fields(`officeDocument core-properties extended-properties custom-properties theme themeOverride drawing vmlDrawing image hyperlink
	styles settings webSettings fontTable numbering footnotes endnotes header footer comments commentsExtended commentsExtensible commentsIds people stylesWithEffects authors namedSheetView FeaturePropertyBag
	worksheet chartsheet sharedStrings calcChain table pivotTable pivotCacheDefinition pivotCacheRecords sheetMetadata metadata slicer slicerCache timeline timelineCache
	threadedComment person document masters master pages page
	slide slideLayout slideMaster notesSlide notesMaster handoutMaster presProps viewProps tableStyles commentAuthors
	chart chartEx chartUserShapes chartStyle chartColorStyle diagramData diagramLayout diagramQuickStyle diagramColors diagramDrawing package`)
})

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

const (
	nsRelTransitional = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	nsRelStrict       = "http://purl.oclc.org/ooxml/officeDocument/relationships"
	nsVMLOffice       = "urn:schemas-microsoft-com:office:office"
)

type office struct {
	s       *sanitize.Session
	where   string
	kind    sanitize.Kind
	archive octets
	parts   map[string]*zip.File
	types   map[string]string
	rels    map[string]map[string]bool // by the part that has them: ids
	seen    map[string]bool            // parts that a relationship leads to
}

// checkOffice looks at an Office document part by part.
func checkOffice(s *sanitize.Session, where string, k sanitize.Kind, b octets) error {
	undo, err := s.Deeper()
	if err != nil {
		return err
	}
	defer undo()
	names, err := layout(where, b)
	if err != nil {
		return err
	}
	z, err := zip.NewReader(b, b.size)
	if err != nil || len(z.File) != len(names) {
		return notAllowed(where, "ZIP: %d members: %v", len(names), err)
	}
	o := &office{s: s, where: where, kind: k, archive: b, parts: map[string]*zip.File{}, types: map[string]string{}, rels: map[string]map[string]bool{}, seen: map[string]bool{}}
	if z.Comment != "" || len(z.File) > s.Options.Limits.Entries {
		return notAllowed(where, "ZIP: comment or %d members", len(z.File))
	}
	folded := map[string]bool{}
	for _, f := range z.File {
		if f.Comment != "" || f.Method != zip.Store && f.Method != zip.Deflate || f.Flags&1 != 0 {
			return notAllowed(where, "ZIP: member %q", f.Name)
		}
		if !memberName(f.Name) || strings.Contains(f.Name, "..") || strings.HasPrefix(f.Name, "/") || folded[strings.ToLower(f.Name)] {
			return notAllowed(where, "ZIP: member name %q", f.Name)
		}
		folded[strings.ToLower(f.Name)] = true
		o.parts["/"+f.Name] = f
	}
	if err := o.contentTypes(); err != nil {
		return err
	}
	for name := range o.parts {
		if path.Ext(name) == ".rels" {
			if err := o.relations(name); err != nil {
				return err
			}
		}
	}
	if !o.rels["/"][""] {
		return notAllowed(where, "no main part of %s", k)
	}
	for name := range o.parts {
		switch {
		case name == "/[Content_Types].xml", path.Ext(name) == ".rels":
			continue
		case !o.seen[name]:
			return notAllowed(where, "part %s that nothing refers to", name)
		}
		if err := o.part(name); err != nil {
			return err
		}
	}
	return nil
}

// memberName reports whether a name has the form of those we give.
func memberName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("_[]. /()-", c) >= 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= 200
}

func (o *office) read(name string) ([]byte, error) {
	f, ok := o.parts[name]
	if !ok {
		return nil, notAllowed(o.where, "no part %s", name)
	}
	r, err := unpack(o.where+" "+name, o.archive, f)
	if err != nil {
		return nil, err
	}
	return read(o.s, r)
}

func (o *office) contentTypes() error {
	b, err := o.read("/[Content_Types].xml")
	if err != nil {
		return err
	}
	return o.small("[Content_Types].xml", inTypes, b, func(element string, a map[string]string) error {
		switch element {
		case "Types":
		case "Default":
			ext := strings.ToLower(a["Extension"])
			if ext != "rels" && ext != "xml" && !partTypes()[a["ContentType"]] {
				return notAllowed(o.where, "default type %s of %q", a["ContentType"], ext)
			}
			for name := range o.parts {
				if strings.EqualFold(strings.TrimPrefix(path.Ext(name), "."), ext) && o.types[name] == "" {
					o.types[name] = a["ContentType"]
				}
			}
		case "Override":
			o.types[a["PartName"]] = a["ContentType"]
		default:
			return notAllowed(o.where, "element %s of content types", element)
		}
		return nil
	})
}

func (o *office) relations(name string) error {
	dir, file := path.Split(name)
	owner := path.Join(path.Dir(path.Clean(dir)), strings.TrimSuffix(file, ".rels"))
	if name == "/_rels/.rels" {
		owner = "/"
	} else if o.parts[owner] == nil {
		return notAllowed(o.where, "relationships of no part: %s", name)
	}
	ids := map[string]bool{}
	o.rels[owner] = ids
	b, err := o.read(name)
	if err != nil {
		return err
	}
	return o.small(name, inRels, b, func(element string, a map[string]string) error {
		if element == "Relationships" {
			return nil
		}
		kind, ok := relationType(a["Type"])
		if element != "Relationship" || !ok {
			return notAllowed(o.where, "relationship of type %q in %s", a["Type"], name)
		}
		if a["Id"] == "" || ids[a["Id"]] {
			return notAllowed(o.where, "relationship id %q in %s", a["Id"], name)
		}
		ids[a["Id"]] = true
		if a["TargetMode"] == "External" {
			if kind != "hyperlink" || !harmlessURL(a["Target"]) {
				return notAllowed(o.where, "external %s in %s", kind, name)
			}
			return nil
		}
		target := a["Target"]
		if kind == "hyperlink" && strings.HasPrefix(target, "#") {
			if otherPlace.MatchString(target[1:]) {
				return notAllowed(o.where, "a place %q in %s", target, name)
			}
			return nil
		}
		if !strings.HasPrefix(target, "/") {
			target = path.Join(path.Dir(owner), target)
		}
		target, fragment, _ := strings.Cut(target, "#")
		if o.parts[target] == nil || fragment != "" && kind != "hyperlink" {
			return notAllowed(o.where, "relationship %s of %s leads nowhere", a["Id"], name)
		}
		o.seen[target] = true
		if owner == "/" && (kind == "officeDocument" || kind == "document") {
			if got := o.types[target]; got != mainType(o.kind) {
				return notAllowed(o.where, "main part of type %q in a file of kind %s", got, o.kind)
			}
			ids[""] = true
		}
		return nil
	})
}

func harmlessURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		// Links with a stray percent sign are common; the scheme decides.
		i := strings.IndexByte(s, ':')
		return i > 0 && slices.Contains([]string{"http", "https", "mailto"}, strings.ToLower(s[:i]))
	}
	if strings.EqualFold(u.Scheme, "mailto") {
		// The field that adds a file of the reader's disk, and its kin.
		fields, _ := url.ParseQuery(strings.ReplaceAll(u.RawQuery, "amp;", ""))
		for name := range fields {
			if !slices.Contains([]string{"to", "cc", "bcc", "subject", "body", "in-reply-to"}, strings.ToLower(name)) {
				return false
			}
		}
		return true
	}
	return slices.Contains([]string{"http", "https"}, strings.ToLower(u.Scheme))
}

func (o *office) part(name string) error {
	t := o.types[name]
	if t != mainType(o.kind) && !partTypes()[t] {
		return notAllowed(o.where, "part %s of type %q", name, t)
	}
	switch t {
	case "image/png", "image/jpeg", "image/x-emf", "image/emf", "image/x-wmf", "image/wmf":
		b, err := o.read(name)
		if err != nil {
			return err
		}
		where := o.where + name
		switch t {
		case "image/png":
			return checkPNG(o.s, where, b)
		case "image/jpeg":
			return checkJPEG(o.s, where, b)
		default:
			return checkMetafile(where, b)
		}
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		b, err := o.read(name)
		if err != nil {
			return err
		}
		return checkOffice(o.s, o.where+name, sanitize.KindXLSX, inMemory(b))
	}
	f, err := unpack(o.where+" "+name, o.archive, o.parts[name])
	if err != nil {
		return err
	}
	return o.walkParts(name, o.s.Meter(f))
}

// small reads one of the two vocabularies of the package.
func (o *office) small(name string, space markupSpace, b []byte, element func(string, map[string]string) error) error {
	m := newMarkup(bytes.NewReader(b), 4)
	for {
		t, err := m.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return o.unread(name, err)
		}
		switch t {
		case markupStart:
			a := map[string]string{}
			for i := range m.attrs {
				if m.attrs[i].prefix != nil && len(m.attrs[i].prefix) > 0 {
					return notAllowed(o.where, "attribute %s in %s", m.attrs[i].local, name)
				}
				a[string(m.attrs[i].local)] = decoded(m.attrs[i].value)
			}
			if m.space != space {
				return notAllowed(o.where, "element %s of another namespace in %s", m.local, name)
			}
			if err := element(string(m.local), a); err != nil {
				return err
			}
		case markupText:
			if len(bytes.TrimSpace(m.text)) > 0 {
				return notAllowed(o.where, "text in %s", name)
			}
		}
	}
}

// unread gives an error of the reader its name.
func (o *office) unread(name string, err error) error {
	switch {
	case errors.Is(err, errMarkupDepth):
		return fmt.Errorf("%s%s: %w: %w", o.where, name, err, sanitize.ErrLimit)
	case errors.Is(err, errMarkup):
		return notAllowed(o.where, "part %s: %v", name, err)
	default:
		return err
	}
}

// captured is how much of a formula or a field's code is judged; the writers
// write less.
const captured = 64 << 10

// walkParts looks at every element and attribute of a content part.
func (o *office) walkParts(name string, r io.Reader) error {
	m := newMarkup(r, o.s.Options.Limits.XMLDepth)
	fields, ways := &fieldCheck{}, &alternatives{}
	var text []byte
	in, level := "", 0 // the element whose text is wanted, and how deep it is
	for {
		t, err := m.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return o.unread(name, err)
		}
		switch t {
		case markupStart:
			if in != "" {
				return notAllowed(o.where, "an element %s in the text of %s in %s", m.local, in, name)
			}
			if err := o.element(name, m); err != nil {
				return err
			}
			if err := ways.start(m); err != nil {
				return notAllowed(o.where, "part %s: %v", name, err)
			}
			if err := fields.start(m); err != nil {
				return notAllowed(o.where, "part %s: %v", name, err)
			}
			if w := wanted(m, fields); w != "" {
				in, level, text = w, len(m.starts), text[:0]
			}
		case markupText:
			if in != "" {
				if text = append(text, m.text...); len(text) > captured {
					return notAllowed(o.where, "part %s: %s of more than %d octets", name, in, captured)
				}
			} else if len(fields.open) > 0 && fields.coding() && len(bytes.TrimSpace(m.text)) > 0 {
				return notAllowed(o.where, "part %s: text in the code of a field", name)
			}
		case markupEnd:
			if err := ways.end(len(m.starts)); err != nil {
				return notAllowed(o.where, "part %s: %v", name, err)
			}
			if in != "" && len(m.starts) == level-1 {
				s := decoded(text)
				switch in {
				case "instrText", "t":
					fields.text(s, false)
				case "delText", "delInstrText":
					fields.text(s, true)
				default:
					if err := formula(s); err != nil {
						return notAllowed(o.where, "part %s: %v", name, err)
					}
				}
				in = ""
			}
		}
	}
	if err := fields.end(); err != nil {
		return notAllowed(o.where, "part %s: %v", name, err)
	}
	return nil
}

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
	element := string(m.local)
	switch {
	case m.space == inNowhere || m.space == inActive || m.space == inTypes || m.space == inRels:
		return notAllowed(o.where, "element %s of a namespace of no document in %s", element, name)
	case m.space == inNone && !strings.HasSuffix(name, ".vml"):
		return notAllowed(o.where, "element %s of no namespace in %s", element, name)
	case forbidden()[element]:
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
			if strings.HasPrefix(element, "hlink") && !harmlessAction.MatchString(decoded(a.value)) {
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
			if element == "hyperlink" && otherPlace.MatchString(decoded(a.value)) {
				return bad("a place elsewhere")
			}
		case "textlink", "formula":
			if err := formula(decoded(a.value)); err != nil {
				return bad(err.Error())
			}
		case "xlm", "vbProcedure", "function":
			if v := string(a.value); element == "definedName" && v != "0" && v != "false" {
				return bad("a name that is a macro")
			}
		case "name":
			if element == "definedName" {
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
			if m.space == inSheet && (element == "table" || element == "pivotCacheDefinition" || element == "cacheSource") {
				return bad("a connection")
			}
		}
	}
	return nil
}

// checkMetafile walks the records of an EMF or WMF: sizes fit, and none is one
// that runs or carries another format.
func checkMetafile(where string, b []byte) error {
	u32 := func(i int) int64 {
		return int64(b[i]) | int64(b[i+1])<<8 | int64(b[i+2])<<16 | int64(b[i+3])<<24
	}
	if len(b) >= 88 && u32(0) == 1 && string(b[40:44]) == " EMF" {
		for i := int64(0); ; {
			if i+8 > int64(len(b)) {
				return notAllowed(where, "EMF ends without its end record")
			}
			kind, n := u32(int(i)), u32(int(i)+4)
			if n < 8 || n%4 != 0 || i+n > int64(len(b)) {
				return notAllowed(where, "EMF record of %d octets", n)
			}
			if kind > 122 || kind == 105 || kind == 106 || kind == 0 { // DRAWESCAPE, EXTESCAPE: [MS-EMF] 2.3.6
				return notAllowed(where, "EMF record %d", kind)
			}
			if kind == 70 { // a comment: EMF+ or the marks of groups, no other format. [MS-EMF] 2.3.3
				c := b[i+8 : i+n]
				plus := len(c) >= 8 && string(c[4:8]) == "EMF+"
				group := len(c) >= 12 && string(c[4:8]) == "GDIC" && (u32(int(i)+16) == 2 || u32(int(i)+16) == 3)
				if !plus && !group {
					return notAllowed(where, "EMF comment")
				}
			}
			i += n
			if kind == 14 {
				if i != int64(len(b)) {
					return notAllowed(where, "EMF: octets behind its end")
				}
				return nil
			}
		}
	}
	i := 0
	if len(b) >= 22 && u32(0) == 0x9ac6cdd7 {
		i = 22
	}
	if len(b) < i+18 || b[i] != 1 && b[i] != 2 || b[i+2] != 9 {
		return notAllowed(where, "neither EMF nor WMF")
	}
	for i += 18; ; {
		if i+6 > len(b) {
			return notAllowed(where, "WMF ends without its end record")
		}
		n := u32(i) * 2
		kind := int(b[i+4]) | int(b[i+5])<<8
		if n < 6 || int64(i)+n > int64(len(b)) {
			return notAllowed(where, "WMF record of %d octets", n)
		}
		if kind == 0x0626 { // META_ESCAPE, of which SETABORTPROC runs: [MS-WMF] 2.3.6
			return notAllowed(where, "WMF record that speaks to a printer")
		}
		if kind == 0 {
			return nil
		}
		i += int(n)
	}
}
