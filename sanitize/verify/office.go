package verify

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
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
// 15 and the extensions Office writes, without their common prefixes.
var partTypes = lazy.Compile(`^(` + strings.Join([]string{
	`application/vnd\.openxmlformats-package\.(relationships|core-properties)\+xml`,
	`application/vnd\.openxmlformats-officedocument\.(extended-properties|custom-properties|theme|themeOverride|drawing|vmlDrawing)(\+xml)?`,
	`application/vnd\.openxmlformats-officedocument\.drawingml\.(chart|chartshapes|diagramColors|diagramData|diagramLayout|diagramStyle)\+xml`,
	`application/vnd\.openxmlformats-officedocument\.drawing\+xml`,
	`application/vnd\.ms-office\.(chartex|chartstyle|chartcolorstyle|drawingml\.diagramDrawing)\+xml`,
	`application/vnd\.openxmlformats-officedocument\.wordprocessingml\.(styles|settings|webSettings|fontTable|numbering|footnotes|endnotes|header|footer|comments|commentsExtended|commentsIds|people)\+xml`,
	`application/vnd\.ms-word\.stylesWithEffects\+xml`,
	`application/vnd\.openxmlformats-officedocument\.spreadsheetml\.(worksheet|chartsheet|sharedStrings|styles|calcChain|comments|table|pivotTable|pivotCacheDefinition|pivotCacheRecords|sheetMetadata)\+xml`,
	`application/vnd\.ms-excel\.(slicer|slicerCache|timeline|timelineCache|threadedcomments|person)\+xml`,
	`application/vnd\.openxmlformats-officedocument\.presentationml\.(slide|slideLayout|slideMaster|notesSlide|notesMaster|handoutMaster|presProps|viewProps|tableStyles|commentAuthors|comments)\+xml`,
	`application/vnd\.ms-visio\.(masters|master|pages|page|comments)\+xml`,
	`image/(png|jpeg|x-emf|x-wmf|emf|wmf)`,
	`application/vnd\.openxmlformats-officedocument\.spreadsheetml\.sheet`, // the workbook behind a chart
}, `|`) + `)$`)

// relationTypes are the relationships that may stand, by the last word of
// their type; those of the transitional, the strict and Microsoft's own sets
// differ in the prefix only, and the prefix is checked too.
var relationPrefix = lazy.Compile(`^http://(schemas\.openxmlformats\.org/(package|officeDocument)/2006/relationships/(metadata/)?|purl\.oclc\.org/ooxml/officeDocument/relationships/|schemas\.microsoft\.com/office/20\d\d/(\d\d/)?relationships/|schemas\.microsoft\.com/visio/2010/relationships/)([A-Za-z-]+)$`)

var relationTypes = sync.OnceValue(func() []string {
	return strings.Fields(`officeDocument core-properties extended-properties custom-properties theme themeOverride drawing vmlDrawing image hyperlink
	styles settings webSettings fontTable numbering footnotes endnotes header footer comments commentsExtended commentsIds people stylesWithEffects
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
		fmlaMacro FmlaMacro tcg xmlMaps smartTags custDataLst webExtension saveThroughXslt attachedSchema`) {
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
	archive []byte
	parts   map[string]*zip.File
	types   map[string]string
	rels    map[string]map[string]bool // by the part that has them: ids
	seen    map[string]bool            // parts that a relationship leads to
}

// checkOffice looks at an Office document part by part.
func checkOffice(s *sanitize.Session, where string, k sanitize.Kind, b []byte) error {
	undo, err := s.Deeper()
	if err != nil {
		return err
	}
	defer undo()
	names, err := layout(where, b)
	if err != nil {
		return err
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
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
		if !memberName.MatchString(f.Name) || strings.Contains(f.Name, "..") || strings.HasPrefix(f.Name, "/") || folded[strings.ToLower(f.Name)] {
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

var memberName = lazy.Compile(`^[A-Za-z0-9_\[\]. /()-]{1,200}$`)

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
	return o.walk("[Content_Types].xml", bytes.NewReader(b), func(e xml.StartElement) error {
		a := map[string]string{}
		for _, x := range e.Attr {
			a[x.Name.Local] = x.Value
		}
		switch e.Name.Local {
		case "Types":
		case "Default":
			ext := strings.ToLower(a["Extension"])
			if ext != "rels" && ext != "xml" && !partTypes.MatchString(a["ContentType"]) {
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
			return notAllowed(o.where, "element %s of content types", e.Name.Local)
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
	return o.walk(name, bytes.NewReader(b), func(e xml.StartElement) error {
		if e.Name.Local == "Relationships" {
			return nil
		}
		a := map[string]string{}
		for _, x := range e.Attr {
			a[x.Name.Local] = x.Value
		}
		m := relationPrefix.FindStringSubmatch(a["Type"])
		if e.Name.Local != "Relationship" || m == nil || !slices.Contains(relationTypes(), m[len(m)-1]) {
			return notAllowed(o.where, "relationship of type %q in %s", a["Type"], name)
		}
		kind := m[len(m)-1]
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
	if t != mainType(o.kind) && !partTypes.MatchString(t) {
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
		return checkOffice(o.s, o.where+name, sanitize.KindXLSX, b)
	}
	f, err := unpack(o.where+" "+name, o.archive, o.parts[name])
	if err != nil {
		return err
	}
	fields := &fieldCheck{}
	return o.walkParts(name, o.s.Meter(f), fields)
}

// walk reads an XML part: no DOCTYPE, no processing instruction but the
// declaration, bounded depth.
func (o *office) walk(name string, r io.Reader, start func(xml.StartElement) error) error {
	return o.tokens(name, r, func(t xml.Token) error {
		if e, ok := t.(xml.StartElement); ok {
			return start(e)
		}
		return nil
	})
}

func (o *office) tokens(name string, r io.Reader, f func(xml.Token) error) error {
	d := xml.NewDecoder(r)
	depth := 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if depth != 0 {
				return notAllowed(o.where, "part %s ends early", name)
			}
			return nil
		}
		if err != nil {
			return notAllowed(o.where, "part %s: %v", name, err)
		}
		switch x := t.(type) {
		case xml.Directive:
			return notAllowed(o.where, "part %s has a DOCTYPE", name)
		case xml.ProcInst:
			if x.Target != "xml" {
				return notAllowed(o.where, "part %s has a processing instruction %q", name, x.Target)
			}
		case xml.StartElement:
			if depth++; depth > o.s.Options.Limits.XMLDepth {
				return fmt.Errorf("%s%s: elements nested too deep: %w", o.where, name, sanitize.ErrLimit)
			}
		case xml.EndElement:
			depth--
		}
		if err := f(t); err != nil {
			return err
		}
	}
}

// walkParts looks at every element and attribute of a content part.
func (o *office) walkParts(name string, r io.Reader, fields *fieldCheck) error {
	var text strings.Builder
	in := "" // the element whose text is wanted
	return o.tokens(name, r, func(t xml.Token) error {
		switch x := t.(type) {
		case xml.StartElement:
			if err := o.element(name, x); err != nil {
				return err
			}
			if err := fields.start(x); err != nil {
				return notAllowed(o.where, "part %s: %v", name, err)
			}
			switch x.Name.Local {
			case "instrText", "t", "delText", "delInstrText", "f", "definedName", "formula1", "formula2", "formula", "FmlaLink", "FmlaRange":
				in = x.Name.Local
				text.Reset()
			}
		case xml.CharData:
			if in != "" && text.Len() < 1<<16 {
				text.Write(x)
			}
		case xml.EndElement:
			if x.Name.Local == in {
				s := text.String()
				if in == "instrText" || in == "t" || in == "delText" || in == "delInstrText" {
					fields.text(s)
				} else if err := formula(s); err != nil {
					return notAllowed(o.where, "part %s: %v", name, err)
				}
				in = ""
			}
		}
		return nil
	})
}

func (o *office) element(name string, e xml.StartElement) error {
	if forbidden()[e.Name.Local] {
		return notAllowed(o.where, "element %s in %s", e.Name.Local, name)
	}
	if strings.HasPrefix(e.Name.Space, "http://schemas.microsoft.com/office/visio/") {
		if err := visioElement(e); err != nil {
			return notAllowed(o.where, "part %s: %v", name, err)
		}
	}
	for _, a := range e.Attr {
		switch {
		case a.Name.Space == nsRelTransitional || a.Name.Space == nsRelStrict, a.Name.Space == nsVMLOffice && a.Name.Local == "relid":
			// No id may lead nowhere: an application would ask to repair.
			if a.Value != "" && !o.rels[name][a.Value] {
				return notAllowed(o.where, "%s of <%s> in %s leads nowhere: %q", a.Name.Local, e.Name.Local, name, a.Value)
			}
			if a.Name.Local == "link" && a.Value != "" {
				return notAllowed(o.where, "linked picture in %s", name)
			}
		case a.Name.Local == "macro" && a.Value != "", a.Name.Local == "onLoad", a.Name.Local == "fmlaMacro":
			return notAllowed(o.where, "attribute %s of <%s> in %s", a.Name.Local, e.Name.Local, name)
		case a.Name.Local == "action" && strings.HasPrefix(a.Value, "ppaction:"):
			verb, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a.Value, "ppaction:"), "//"), "?")
			if !slices.Contains([]string{"hlinksldjump", "hlinkshowjump", "noaction", "customshow", ""}, verb) {
				return notAllowed(o.where, "action %q in %s", verb, name)
			}
		case a.Name.Local == "href" || a.Name.Local == "src":
			if a.Value != "" && !strings.HasPrefix(a.Value, "#") && !harmlessURL(a.Value) {
				return notAllowed(o.where, "%s of <%s> in %s", a.Name.Local, e.Name.Local, name)
			}
			if a.Name.Local == "src" && a.Value != "" {
				return notAllowed(o.where, "picture from elsewhere in %s", name)
			}
		case e.Name.Local == "definedName" && (a.Name.Local == "xlm" || a.Name.Local == "vbProcedure" || a.Name.Local == "function") && a.Value != "0" && a.Value != "false":
			return notAllowed(o.where, "a name that is a macro in %s", name)
		case e.Name.Local == "definedName" && a.Name.Local == "name" && strings.HasPrefix(strings.ToLower(strings.TrimPrefix(a.Value, "_xlnm.")), "auto_"):
			return notAllowed(o.where, "a name that runs by itself in %s", name)
		case a.Name.Local == "refreshOnLoad" && a.Value != "0" && a.Value != "false":
			return notAllowed(o.where, "refresh on load in %s", name)
		}
	}
	return nil
}

// badCall finds function calls that fetch, run or leave the workbook.
var badCall = lazy.Compile(`(?i)(^|[^A-Z0-9_.])(_xlfn\.|_xll\.|_xludf\.|_xlws\.)*(WEBSERVICE|FILTERXML|IMAGE|RTD|CALL|REGISTER|REGISTER\.ID|EXEC|DDE|PY|STOCKHISTORY|CUBE[A-Z]+|EVALUATE|FOPEN|FWRITE|FWRITELN|SEND\.KEYS|INITIATE|POKE|EXECUTE|TERMINATE|REQUEST|ENCODEURL)\s*\(`)

// byName finds functions that are handed on by name and called by another:
// MAP(A1,_xleta.WEBSERVICE); and those of add-ins.
var byName = lazy.Compile(`(?i)_xll\.|_xleta\.(WEBSERVICE|FILTERXML|IMAGE|RTD|CALL|REGISTER|EXEC|DDE|PY|STOCKHISTORY|CUBE|EVALUATE|HYPERLINK|INDIRECT)`)

// elsewhere finds references to another workbook, which end in "!" (a table's
// column may be called [2024]), or to a DDE server.
var elsewhere = lazy.Compile(`(?i)\[\d+\][^\[\](),]*!|'\[\d+\]|\|\s*'|\|'?[^"|]*'?![A-Z$]`)

var inQuotes = lazy.Compile(`"[^"]*"`)

func formula(s string) error {
	bare := inQuotes.ReplaceAllString(s, `""`)
	if m := byName.FindString(bare); m != "" {
		return fmt.Errorf("formula with %q", m)
	}
	if m := badCall.FindString(bare); m != "" {
		return fmt.Errorf("formula with %q", strings.TrimSpace(m))
	}
	if elsewhere.MatchString(bare) {
		return errors.New("formula that leaves the workbook")
	}
	return nil
}

// fieldCheck assembles field instructions over runs and nesting.
type fieldCheck struct {
	stack []*strings.Builder
	sep   []bool
}

var harmlessFields = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`PAGE NUMPAGES SECTION SECTIONPAGES TOC TOA TC TA XE INDEX REF PAGEREF NOTEREF FTNREF STYLEREF SEQ DATE TIME
	HYPERLINK SYMBOL ADVANCE AUTONUM AUTONUMLGL AUTONUMOUT LISTNUM BIDIOUTLINE EQ FORMTEXT FORMCHECKBOX FORMDROPDOWN`)
}}

func (f *fieldCheck) start(e xml.StartElement) error {
	attr := func(name string) string {
		for _, a := range e.Attr {
			if a.Name.Local == name {
				return a.Value
			}
		}
		return ""
	}
	switch e.Name.Local {
	case "fldSimple":
		return instruction(attr("instr"))
	case "fldChar":
		switch attr("fldCharType") {
		case "begin":
			f.stack = append(f.stack, &strings.Builder{})
			f.sep = append(f.sep, false)
		case "separate", "end":
			if n := len(f.stack); n > 0 {
				err := instruction(f.stack[n-1].String())
				f.sep[n-1] = true
				if attr("fldCharType") == "end" {
					f.stack, f.sep = f.stack[:n-1], f.sep[:n-1]
				}
				return err
			}
		}
	}
	return nil
}

func (f *fieldCheck) text(s string) {
	if n := len(f.stack); n > 0 && !f.sep[n-1] {
		f.stack[n-1].WriteString(s)
	}
}

func instruction(s string) error {
	word := strings.ToUpper(strings.Trim(firstWord(s), `"\`))
	if word == "" || slices.Contains(harmlessFields.Get(), word) {
		if word == "HYPERLINK" {
			if target := secondWord(s); target != "" && !strings.HasPrefix(target, `\`) && strings.Contains(target, ":") && !harmlessURL(target) {
				return fmt.Errorf("field HYPERLINK to %q", target)
			}
		}
		return nil
	}
	return fmt.Errorf("field %q", word)
}

func firstWord(s string) string {
	f := strings.Fields(s)
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

func secondWord(s string) string {
	f := strings.Fields(s)
	if len(f) < 2 {
		return ""
	}
	return strings.Trim(f[1], `"“”`)
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
		if kind == 0x0626 && i+8 <= len(b) && b[i+6] == 9 && b[i+7] == 0 { // META_ESCAPE, SETABORTPROC: [MS-WMF] 2.3.6
			return notAllowed(where, "WMF record that runs")
		}
		if kind == 0 {
			return nil
		}
		i += int(n)
	}
}
