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
			// A second question mark begins a field to some, and is nothing to none.
			if name = strings.TrimLeft(name, "?"); name != "" && !slices.Contains([]string{"to", "cc", "bcc", "subject", "body", "in-reply-to"}, strings.ToLower(name)) {
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
