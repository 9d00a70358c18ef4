package verify

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// What an OpenDocument may hold in the form in which the gateway writes it.

// odfMember are the only members: parts and pictures under names of our own.
var odfMember = lazy.Compile(`^(mimetype|META-INF/manifest\.xml|(Object \d+/){0,5}((content|styles|meta|settings)\.xml|Pictures/\d+\.(png|jpg|svg|emf|wmf|pdf)|ObjectReplacements/Object \d+))$`)

// odfSpaces are the namespaces, by the ends of their names.
var odfSpaces = sync.OnceValue(func() map[string]string {
	m := map[string]string{
		"http://www.w3.org/1999/xlink": "xlink", "http://purl.org/dc/elements/1.1/": "dc", "http://www.w3.org/1998/Math/MathML": "math",
		"urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "loext", "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0": "calcext",
		"http://openoffice.org/2009/office": "officeooo", "http://openoffice.org/2009/table": "tableooo", "http://openoffice.org/2010/chart": "chartooo", "http://openoffice.org/2010/draw": "drawooo",
		"http://www.w3.org/TR/css3-text/": "css3t", "urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0": "field", "http://www.w3.org/XML/1998/namespace": "xml",
	}
	for name, last := range map[string]string{"office": "office", "style": "style", "text": "text", "table": "table", "draw": "drawing", "fo": "xsl-fo-compatible", "meta": "meta", "number": "datastyle", "svg": "svg-compatible",
		"chart": "chart", "dr3d": "dr3d", "form": "form", "config": "config", "presentation": "presentation", "anim": "animation", "smil": "smil-compatible", "script": "script"} {
		m["urn:oasis:names:tc:opendocument:xmlns:"+last+":1.0"] = name
	}
	return m
})

// odfForbidden are elements that run, load or lead out. The writer keeps an
// allow-list; this is the other opinion.
var odfForbidden = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq(`office:scripts office:script office:dde-source office:database script:event-listener text:script text:execute-macro text:section-source
		text:alphabetical-index-auto-mark-file text:dde-connection text:dde-connection-decl text:database-display text:database-name text:database-next text:database-row-number
		text:database-row-select table:table-source table:cell-range-source table:database-source-query table:database-source-sql table:database-source-table table:source-service
		table:dde-link table:error-macro draw:object-ole draw:plugin draw:applet draw:floating-frame presentation:sound presentation:play anim:audio anim:command
		svg:font-face-src svg:font-face-uri svg:definition-src form:connection-resource form:file form:image form:image-frame form:grid form:generic-control form:property form:list-property
		meta:template meta:auto-reload meta:hyperlink-behaviour meta:user-defined loext:qrcode loext:signatureline`) {
		m[n] = true
	}
	return m
})

var odfPictures = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields("draw:image draw:fill-image style:background-image text:list-level-style-image chart:symbol-image")
}}

// odfSetting are settings that load, run or tell of the sender's machine.
var odfSetting = lazy.Compile(`(?i)macro|scriptconf|link|printer(name|setup)|url$|database|embed.*font|update|password|protectionkey|loadreadonly|savethumbnail|addin`)

// odfField are the fields of Word that stay: those of forms. Of others their code
// would stand in a parameter.
var (
	odfField = lazy.Compile(`(^|\.)FORM(TEXT|CHECKBOX|DROPDOWN|DATE)$`)
	odfParam = lazy.Compile(`(?i)macro|(^|\.)(code|instruction|ole|bin)`)
)

type openDocument struct {
	office
	linked map[string]bool // members that something shows
	copies float64         // cells and spaces that are said to repeat
	flat   bool
	kind   sanitize.Kind
}

// checkODF looks at an OpenDocument package part by part.
func checkODF(s *sanitize.Session, where string, k sanitize.Kind, b octets) error {
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
	if err != nil || len(z.File) != len(names) || z.Comment != "" || len(z.File) > s.Options.Limits.Entries || len(names) == 0 {
		return notAllowed(where, "ZIP: %d members: %v", len(names), err)
	}
	o := &openDocument{office: office{s: s, where: where, kind: k, archive: b, parts: map[string]*zip.File{}}, linked: map[string]bool{}, kind: k}
	for _, f := range z.File {
		if !odfMember.MatchString(f.Name) || o.parts[f.Name] != nil || f.Comment != "" || len(f.Extra) > 0 || f.Method != zip.Store && f.Method != zip.Deflate {
			return notAllowed(where, "ZIP: member %q", f.Name)
		}
		o.parts[f.Name] = f
	}
	if first := z.File[0]; first.Name != "mimetype" || first.Method != zip.Store {
		return notAllowed(where, "its media type does not stand first")
	}
	media, err := o.read("mimetype")
	if err != nil {
		return err
	}
	if string(media) != k.Facts().Media {
		return notAllowed(where, "media type %q in a file of kind %s", media, k)
	}
	if o.parts["content.xml"] == nil {
		return notAllowed(where, "no content")
	}
	if err := o.manifest(string(media)); err != nil {
		return err
	}
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".xml") || f.Name == "META-INF/manifest.xml" {
			continue
		}
		r, err := unpack(where+" "+f.Name, b, f)
		if err != nil {
			return err
		}
		if err := o.markup(f.Name, s.Meter(r)); err != nil {
			return err
		}
	}
	for _, f := range z.File {
		dir, base := f.Name[:strings.LastIndexByte(f.Name, '/')+1], f.Name[strings.LastIndexByte(f.Name, '/')+1:]
		switch {
		case f.Name == "mimetype", dir == "META-INF/":
		case strings.HasSuffix(base, ".xml"):
			if dir != "" && !o.linked[dir] {
				return notAllowed(where, "part %s that nothing refers to", f.Name)
			}
		case !o.linked[f.Name]:
			return notAllowed(where, "picture %s that nothing shows", f.Name)
		default:
			p, err := o.read(f.Name)
			if err != nil {
				return err
			}
			if err := o.picture(where+" "+f.Name, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFlatODF looks at an OpenDocument that is one XML file.
func checkFlatODF(s *sanitize.Session, where string, k sanitize.Kind, b []byte) error {
	o := &openDocument{office: office{s: s, where: where, kind: k}, flat: true, kind: k, linked: map[string]bool{}}
	return o.markup("document", bytes.NewReader(b))
}

// manifest lists exactly what is there.
func (o *openDocument) manifest(media string) error {
	b, err := o.read("META-INF/manifest.xml")
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	err = o.walk("manifest", bytes.NewReader(b), func(e xml.StartElement) error {
		if e.Name.Space != "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" {
			return notAllowed(o.where, "element %s in the manifest", e.Name.Local)
		}
		a := map[string]string{}
		for _, x := range e.Attr {
			a[x.Name.Local] = x.Value
		}
		switch e.Name.Local {
		case "manifest":
			return nil
		case "file-entry":
		default:
			return notAllowed(o.where, "element %s in the manifest", e.Name.Local)
		}
		name := a["full-path"]
		switch {
		case listed[name]:
			return notAllowed(o.where, "%q stands twice in the manifest", name)
		case name == "/":
			if a["media-type"] != media {
				return notAllowed(o.where, "media type %q in the manifest", a["media-type"])
			}
		case strings.HasSuffix(name, "/"):
			if o.parts[name+"content.xml"] == nil {
				return notAllowed(o.where, "%q in the manifest", name)
			}
		case o.parts[name] == nil:
			return notAllowed(o.where, "%q in the manifest", name)
		}
		listed[name] = true
		return nil
	})
	if err != nil {
		return err
	}
	for name := range o.parts {
		if name != "mimetype" && name != "META-INF/manifest.xml" && !listed[name] {
			return notAllowed(o.where, "%q is not in the manifest", name)
		}
	}
	return nil
}

// picture looks at a picture by its first octets.
func (o *openDocument) picture(where string, b []byte) error {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG")):
		return checkPNG(o.s, where, b)
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		return checkJPEG(o.s, where, b)
	case bytes.HasPrefix(b, []byte("<?xml")):
		return checkSVG(o.s, where, b)
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return checkPDF(o.s, where, b)
	default:
		return checkMetafile(where, b)
	}
}

// markup looks at every element and attribute of a part.
func (o *openDocument) markup(name string, r io.Reader) error {
	dir := name[:strings.LastIndexByte(name, '/')+1]
	var open []string
	var text bytes.Buffer
	rows, columns := 1.0, 0.0 // of the cell that is open, until something stands in it
	return o.tokens(name, r, func(t xml.Token) error {
		switch x := t.(type) {
		case xml.StartElement:
			space, ok := odfSpaces()[x.Name.Space]
			if !ok {
				return notAllowed(o.where, "element %s of namespace %q in %s", x.Name.Local, x.Name.Space, name)
			}
			n := space + ":" + x.Name.Local
			if odfForbidden()[n] || o.unwanted(n) {
				return notAllowed(o.where, "element %s in %s", n, name)
			}
			if len(open) == 0 {
				if err := o.root(name, n, x); err != nil {
					return err
				}
			}
			if strings.HasPrefix(n, "office:document") && len(open) > 0 && (n != "office:document" || open[len(open)-1] != "draw:object") {
				return notAllowed(o.where, "a document in %s that is no object", name)
			}
			if n == "office:binary-data" && (len(open) == 0 || !slices.Contains(odfPictures.Get(), open[len(open)-1])) {
				return notAllowed(o.where, "data in %s", name)
			}
			if err := o.attributes(name, dir, n, x); err != nil {
				return err
			}
			// A few numbers must not be a sheet that no program opens.
			const most = 16e6
			value := false
			times := 1.0
			for _, a := range x.Attr {
				switch a.Name.Local {
				case "number-rows-repeated", "number-columns-repeated", "c":
					if v, err := strconv.ParseFloat(strings.TrimSpace(a.Value), 64); err == nil && v > 1 {
						times = v
					}
				case "value-type", "formula":
					value = true
				}
			}
			switch {
			case strings.HasSuffix(n, ":table-row"):
				rows, columns = times, 0
			case strings.HasSuffix(n, "table-cell"):
				if columns = times * rows; columns <= 1 {
					columns = 0
				}
			case n == "text:s":
				o.copies += times
			}
			if value && strings.HasSuffix(n, "table-cell") || columns > 0 && !strings.HasPrefix(n, "table:") {
				o.copies += columns
				columns = 0
			}
			if o.copies > most {
				return notAllowed(o.where, "more than %.0f repeated cells and spaces in %s", most, name)
			}
			open = append(open, n)
			text.Reset()
		case xml.CharData:
			if n := len(open); n > 0 && open[n-1] == "office:binary-data" {
				text.Write(x)
			}
		case xml.EndElement:
			n := open[len(open)-1]
			open = open[:len(open)-1]
			if n != "office:binary-data" {
				return nil
			}
			b, err := base64.StdEncoding.DecodeString(text.String())
			if err != nil {
				return notAllowed(o.where, "data in %s: %v", name, err)
			}
			return o.picture(o.where+" "+name, b)
		}
		return nil
	})
}

// unwanted reports whether an element is one of the comments or tracked changes
// that the profile takes out.
func (o *openDocument) unwanted(n string) bool {
	switch n {
	case "office:annotation", "office:annotation-end", "officeooo:annotation":
		return o.s.Options.Comments
	case "text:tracked-changes", "text:changed-region", "text:deletion", "text:insertion", "text:change", "text:change-start", "text:change-end", "table:tracked-changes":
		return o.s.Options.Accept || o.s.Options.Reject
	default:
		return false
	}
}

// root looks at what the part says that it is.
func (o *openDocument) root(name, n string, e xml.StartElement) error {
	if o.flat {
		media, _, _ := strings.Cut(o.kind.Facts().Media, "-flat-xml")
		for _, a := range e.Attr {
			if a.Name.Local == "mimetype" && a.Value == media && n == "office:document" {
				return nil
			}
		}
		return notAllowed(o.where, "a flat file of kind %s begins with %s", o.kind, n)
	}
	base := name[strings.LastIndexByte(name, '/')+1:]
	if want := "office:document-" + strings.TrimSuffix(base, ".xml"); n != want && !(n == "math:math" && base == "content.xml") {
		return notAllowed(o.where, "part %s begins with %s", name, n)
	}
	return nil
}

func (o *openDocument) attributes(name, dir, n string, e xml.StartElement) error {
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		space := odfSpaces()[a.Name.Space]
		if space == "" && !(a.Name.Space == "" && strings.HasPrefix(n, "math:")) {
			return notAllowed(o.where, "attribute %s of namespace %q in %s", a.Name.Local, a.Name.Space, name)
		}
		var err error
		switch an := space + ":" + a.Name.Local; {
		case an == "xlink:href":
			err = o.href(dir, n, a.Value)
		case strings.HasSuffix(an, ":formula") && space != "draw" && space != "anim", strings.HasSuffix(an, ":condition"), an == "table:expression", an == "calcext:value":
			err = openFormula(a.Value)
		case strings.HasSuffix(an, "-address"), strings.HasSuffix(an, "-addresses"), strings.HasSuffix(an, "-ranges"):
			if strings.Contains(strings.ReplaceAll(withoutSheets(a.Value), "#REF!", ""), "#") {
				err = fmt.Errorf("range %q", a.Value)
			}
		case space == "script" && an != "script:event-name":
			err = fmt.Errorf("attribute %s", an)
		case an == "field:type":
			if !odfField.MatchString(a.Value) {
				err = fmt.Errorf("field %q", a.Value)
			}
		case n == "field:param" && an == "field:name":
			if odfParam.MatchString(a.Value) {
				err = fmt.Errorf("parameter %q", a.Value)
			}
		case an == "presentation:action":
			if !slices.Contains([]string{"none", "previous-page", "next-page", "first-page", "last-page", "stop", "hide", "fade-out", "show"}, a.Value) {
				err = fmt.Errorf("action %q", a.Value)
			}
		case an == "form:control-implementation":
			if !strings.HasPrefix(a.Value, "ooo:com.sun.star.form.component.") {
				err = fmt.Errorf("control %q", a.Value)
			}
		case an == "form:datasource", an == "form:command", an == "form:image-data", an == "form:list-source", an == "xforms:bind", an == "draw:class-id", an == "draw:filter-name":
			err = fmt.Errorf("attribute %s", an)
		case an == "form:button-type":
			if a.Value == "submit" || a.Value == "url" {
				err = fmt.Errorf("button %q", a.Value)
			}
		case an == "xlink:actuate":
			if a.Value != "onRequest" && (a.Value != "onLoad" || n == "text:a" || n == "draw:a" || strings.HasPrefix(n, "draw:area-") || strings.HasSuffix(n, ":event-listener") || strings.HasPrefix(n, "form:")) {
				err = fmt.Errorf("a link that is followed at %q", a.Value)
			}
		case an == "text:url":
			if a.Value != "" && !harmlessURL(a.Value) {
				err = fmt.Errorf("address %q", a.Value)
			}
		case an == "chart:class":
			if !strings.HasPrefix(a.Value, "chart:") {
				err = fmt.Errorf("chart %q", a.Value)
			}
		case n == "config:config-item" && an == "config:name":
			if odfSetting.MatchString(a.Value) {
				err = fmt.Errorf("setting %q", a.Value)
			}
		}
		if err != nil {
			return notAllowed(o.where, "%v of <%s> in %s", err, n, name)
		}
	}
	return nil
}

// href looks at a link by the element that has it.
func (o *openDocument) href(dir, n, v string) error {
	ok := false
	switch {
	case slices.Contains(odfPictures.Get(), n):
		ok = !o.flat && o.parts[dir+v] != nil && !strings.HasSuffix(v, ".xml")
		o.linked[dir+v] = true
	case n == "draw:object":
		folder := dir + strings.TrimPrefix(v, "./") + "/"
		ok = !o.flat && strings.HasPrefix(v, "./Object ") && o.parts[folder+"content.xml"] != nil
		o.linked[folder] = true
	case n == "text:a", n == "draw:a", strings.HasPrefix(n, "draw:area-"):
		ok = strings.HasPrefix(v, "#") || harmlessURL(v)
	case n == "presentation:event-listener":
		ok = strings.HasPrefix(v, "#")
	case n == "chart:chart":
		ok = strings.Trim(v, "./") == ""
	}
	if !ok {
		return fmt.Errorf("link %q", v)
	}
	return nil
}

// openCall finds calls of functions that fetch or run, whatever namespace stands
// before them.
var openCall = lazy.Compile(`(?i)(^|[^A-Z0-9_])(WEBSERVICE|FILTERXML|DDE|IMAGE|RTD|CALL|REGISTER|REGISTER\.ID|EXEC|PY|STOCKHISTORY|CUBE[A-Z]+|EVALUATE|EXTERNAL|ENCODEURL)\s*\(`)

// openElsewhere finds what leads into another document: 'file:///x.ods'#$S.A1,
// [x.ods#$S.A1].
var openElsewhere = lazy.Compile(`'#|\[[^\]"]*#|[\pL\d_]#|\|\s*'|'[^']*://`)

// openSheet is the name of a sheet, with what stands behind it.
var openSheet = lazy.Compile(`'(?:[^']|'')*'.?`)

// withoutSheets takes the names of sheets out, which may hold any sign: 'A #1'. A
// name before # or ! is that of a file, and one with a path in it is none of a
// sheet.
func withoutSheets(s string) string {
	return openSheet.ReplaceAllStringFunc(s, func(m string) string {
		name, behind := m[:strings.LastIndexByte(m, '\'')], m[strings.LastIndexByte(m, '\'')+1:]
		if behind == "#" || behind == "!" || strings.ContainsAny(name, `\/`) {
			return m
		}
		return "_" + behind
	})
}

func openFormula(s string) error {
	bare := strings.ReplaceAll(inQuotes.ReplaceAllString(s, `""`), "#REF!", "")
	if m := openCall.FindString(bare); m != "" {
		return fmt.Errorf("formula with %q", m)
	}
	if openElsewhere.MatchString(withoutSheets(bare)) {
		return errors.New("formula that leaves the document")
	}
	if openIndirect.MatchString(bare) {
		for _, m := range openText.FindAllStringSubmatch(s, -1) {
			if strings.ContainsAny(m[1], `#[|/\`) {
				return errors.New("formula with a reference made of text to another document")
			}
		}
	}
	// Where a link leads stands in it.
	calls := openLink.FindAllStringSubmatch(bare, -1)
	targets := openTarget.FindAllStringSubmatch(s, -1)
	if len(calls) > len(targets) {
		return errors.New("formula with a link that is made")
	}
	for _, m := range targets {
		if v := m[1]; len(calls) > 0 && (v == "" || v[0] == '#' && strings.ContainsAny(v, `[]\|`) || v[0] != '#' && !harmlessURL(v)) {
			return fmt.Errorf("formula with a link to %q", v)
		}
	}
	return nil
}

var (
	openIndirect = lazy.Compile(`(?i)INDIRECT\s*\(`)
	openText     = lazy.Compile(`"([^"]*)"`)
	openLink     = lazy.Compile(`(?i)HYPERLINK\s*\(`)
	openTarget   = lazy.Compile(`(?i)HYPERLINK\s*\(\s*"([^"]*)"`)
)

// walk reads an XML part: no DOCTYPE, no processing instruction but the
// declaration, bounded depth.
func (o *openDocument) walk(name string, r io.Reader, start func(xml.StartElement) error) error {
	return o.tokens(name, r, func(t xml.Token) error {
		if e, ok := t.(xml.StartElement); ok {
			return start(e)
		}
		return nil
	})
}

func (o *openDocument) tokens(name string, r io.Reader, f func(xml.Token) error) error {
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
