package odf

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"sekisho/internal/fieldcode"
	"sekisho/internal/lazy"
	"sekisho/internal/link"
	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// A rule is what is done with an element besides being looked up in the
// vocabulary: it goes, or it is unwrapped, or something decides.
type rule struct {
	verdict verdict
	code    string // the finding, if it is worth one
	action  sanitize.Action
	who     judge // of decide
}

// verdict is what becomes of an element.
type verdict uint8

const (
	drop   verdict = 1 // with its content
	unwrap verdict = 2 // its content stays
	decide verdict = 3 // who is asked
)

// A judge is the method that decides on an element.
type judge uint8

const (
	byScript          judge = 1
	byListener        judge = 2
	byObject          judge = 3
	byPlugin          judge = 4
	byForm            judge = 5
	byMark            judge = 6
	byParam           judge = 7
	byBinary          judge = 8
	byInner           judge = 9
	byMetadata        judge = 10
	byAllSettings     judge = 11
	byStyles          judge = 12
	byTable           judge = 13
	byTableProperties judge = 14
	byPicture         judge = 15
	byLink            judge = 16
	byStartBody       judge = 17
	byRow             judge = 18
	byCell            judge = 19
	bySpaces          judge = 20
	byInitials        judge = 21
)

// foreignSpaces are namespaces of which nothing stays and somebody is told.
var foreignSpaces = map[string]*rule{
	"http://www.w3.org/2002/xforms":                                      {verdict: drop, code: "odf.form", action: sanitize.Removed},
	"urn:oasis:names:tc:opendocument:xmlns:database:1.0":                 {verdict: drop, code: "odf.database", action: sanitize.Removed},
	"http://openoffice.org/2000/library":                                 {verdict: drop, code: "odf.macro", action: sanitize.Removed},
	"http://openoffice.org/2000/script":                                  {verdict: drop, code: "odf.macro", action: sanitize.Removed},
	"urn:openoffice:names:experimental:ooxml-odf-interop:xmlns:form:1.0": {verdict: drop},
	"http://openoffice.org/2005/report":                                  {verdict: drop},
	"urn:org:documentfoundation:names:experimental:xmlns:formx:1.0":      {verdict: drop},
	"http://www.w3.org/2000/09/xmldsig#":                                 {verdict: drop, code: "odf.signature", action: sanitize.Removed},
	"urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0":         {verdict: drop, code: "odf.signature", action: sanitize.Removed},
	"http://www.w3.org/1999/xhtml":                                       {verdict: drop},
	"http://www.w3.org/2003/g/data-view#":                                {verdict: drop},
	"http://www.w3.org/2001/XMLSchema-instance":                          {verdict: drop},
	"http://docs.oasis-open.org/ns/office/1.2/meta/odf#":                 {verdict: drop},
	"http://www.w3.org/1999/02/22-rdf-syntax-ns#":                        {verdict: drop},
}

// rules by the name of the element in the output. OpenDocument 1.3 part 3.
var rules = sync.OnceValue(func() map[string]*rule {
	m := map[string]*rule{
		"office:scripts":              {verdict: decide, who: byScript},
		"office:script":               {verdict: decide, who: byScript},
		"ooo:libraries":               {verdict: decide, who: byScript},
		"script:event-listener":       {verdict: drop, code: "odf.event-listener", action: sanitize.Removed},
		"presentation:event-listener": {verdict: decide, who: byListener},
		"text:script":                 {verdict: drop, code: "odf.macro", action: sanitize.Removed},
		"text:execute-macro":          {verdict: unwrap, code: "odf.macro", action: sanitize.Neutralised},
		"table:error-macro":           {verdict: drop, code: "odf.macro", action: sanitize.Removed},

		"draw:object":         {verdict: decide, who: byObject},
		"draw:object-ole":     {verdict: drop, code: "odf.ole", action: sanitize.Removed},
		"draw:plugin":         {verdict: decide, who: byPlugin},
		"draw:applet":         {verdict: drop, code: "odf.plugin", action: sanitize.Removed},
		"draw:floating-frame": {verdict: drop, code: "odf.frame", action: sanitize.Removed},
		"presentation:sound":  {verdict: drop, code: "odf.media", action: sanitize.Removed},
		"presentation:play":   {verdict: drop, code: "odf.media", action: sanitize.Removed},
		"anim:audio":          {verdict: drop, code: "odf.media", action: sanitize.Removed},
		"anim:command":        {verdict: drop, code: "odf.command", action: sanitize.Removed},
		"svg:font-face-src":   {verdict: drop, code: "odf.font", action: sanitize.Removed},
		"svg:definition-src":  {verdict: drop},

		"text:section-source":                    {verdict: drop, code: "odf.source", action: sanitize.Neutralised},
		"text:alphabetical-index-auto-mark-file": {verdict: drop, code: "odf.source", action: sanitize.Neutralised},
		"table:table-source":                     {verdict: drop, code: "odf.source", action: sanitize.Neutralised},
		"table:cell-range-source":                {verdict: drop, code: "odf.source", action: sanitize.Neutralised},
		"office:dde-source":                      {verdict: drop, code: "odf.dde", action: sanitize.Removed},
		"text:dde-connection-decl":               {verdict: drop, code: "odf.dde", action: sanitize.Removed},
		"text:dde-connection":                    {verdict: unwrap, code: "odf.dde", action: sanitize.Replaced},
		"table:dde-link":                         {verdict: drop, code: "odf.dde", action: sanitize.Removed},

		"table:database-source-query": {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"table:database-source-sql":   {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"table:database-source-table": {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"table:source-service":        {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"form:connection-resource":    {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"text:database-next":          {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"text:database-row-select":    {verdict: drop, code: "odf.database", action: sanitize.Removed},
		"text:database-display":       {verdict: unwrap, code: "odf.database", action: sanitize.Replaced},
		"text:database-name":          {verdict: unwrap, code: "odf.database", action: sanitize.Replaced},
		"text:database-row-number":    {verdict: unwrap, code: "odf.database", action: sanitize.Replaced},

		"form:properties":      {verdict: drop},
		"form:grid":            {verdict: drop, code: "odf.form-control", action: sanitize.Removed},
		"form:column":          {verdict: drop},
		"form:file":            {verdict: drop, code: "odf.form-control", action: sanitize.Removed},
		"form:image":           {verdict: drop, code: "odf.form-control", action: sanitize.Removed},
		"form:image-frame":     {verdict: drop, code: "odf.form-control", action: sanitize.Removed},
		"form:generic-control": {verdict: drop, code: "odf.form-control", action: sanitize.Removed},
		"form:form":            {verdict: decide, who: byForm},

		"field:fieldmark":           {verdict: decide, who: byMark},
		"field:fieldmark-start":     {verdict: decide, who: byMark},
		"field:fieldmark-end":       {verdict: decide, who: byMark},
		"field:fieldmark-separator": {verdict: decide, who: byMark},
		"field:param":               {verdict: decide, who: byParam},

		"office:binary-data":     {verdict: decide, who: byBinary},
		"office:document":        {verdict: decide, who: byInner},
		"office:meta":            {verdict: decide, who: byMetadata},
		"office:settings":        {verdict: decide, who: byAllSettings},
		"style:style":            {verdict: decide, who: byStyles},
		"table:table":            {verdict: decide, who: byTable},
		"style:table-properties": {verdict: decide, who: byTableProperties},

		"table:table-row":          {verdict: decide, who: byRow},
		"table:table-cell":         {verdict: decide, who: byCell},
		"table:covered-table-cell": {verdict: decide, who: byCell},
		"text:s":                   {verdict: decide, who: bySpaces},

		"loext:table":              {verdict: decide, who: byTable},
		"loext:table-row":          {verdict: decide, who: byRow},
		"loext:table-cell":         {verdict: decide, who: byCell},
		"loext:covered-table-cell": {verdict: decide, who: byCell},
	}
	for _, n := range []string{"draw:image", "draw:fill-image", "style:background-image", "text:list-level-style-image", "chart:symbol-image"} {
		m[n] = &rule{verdict: decide, who: byPicture}
	}
	for _, n := range []string{"text:a", "draw:a", "draw:area-rectangle", "draw:area-circle", "draw:area-polygon"} {
		m[n] = &rule{verdict: decide, who: byLink}
	}
	for _, n := range []string{"text:sender-initials", "loext:sender-initials"} {
		m[n] = &rule{verdict: decide, who: byInitials}
	}
	for _, n := range []string{"office:text", "office:spreadsheet", "office:presentation", "office:drawing", "office:chart"} {
		m[n] = &rule{verdict: decide, who: byStartBody}
	}
	// What they show is known: the properties that they ask for are not in the
	// file any more, and those of the reader are nobody's business.
	for _, n := range strings.Fields(`author-initials author-name creation-date creation-time creator description editing-cycles editing-duration file-name
		initial-creator keywords modification-date modification-time print-date print-time printed-by subject template-name user-defined
		sender-city sender-company sender-country sender-email sender-fax sender-firstname sender-lastname sender-phone-private
		sender-phone-work sender-position sender-postal-code sender-state-or-province sender-street sender-title`) {
		m["text:"+n] = &rule{verdict: unwrap, code: "odf.property-field", action: sanitize.Rewritten}
	}
	return m
})

// judge decides on the element in the scanner and writes its start tag if it
// stays.
func (f *filter) judge(fr *frame, e element) error {
	if f.copies > 0 { // the cell has something in it
		n := f.copies
		f.copies = 0
		if err := f.unfold(n); err != nil {
			return err
		}
	}
	switch {
	case f.capture != nil:
		// What is captured is text alone: a reader that passes over an element in it
		// would see other text than we.
		return f.skipFrom(fr)
	case f.meta >= 0:
		return f.judgeMeta(fr, e)
	case f.settings >= 0:
		return f.judgeSetting(fr, e)
	case f.d.s.Options.Comments && (e.canon == "office:annotation" || e.canon == "office:annotation-end" || e.canon == "officeooo:annotation"):
		f.found("odf.comment", sanitize.Removed, "")
		return f.skipFrom(fr)
	case f.changes.on && (trackedChange(e.canon) || changeList(e.canon)) && e.canon != "table:tracked-changes":
		return f.undo(fr, e)
	case (f.d.s.Options.Accept || f.d.s.Options.Reject) && trackedChange(e.canon):
		// What was deleted stands in the list of changes alone; what was inserted
		// stands in the text. OpenDocument 1.3 part 3, 5.5.
		f.found("odf.tracked-change", sanitize.Neutralised, "accepted")
		return f.skipFrom(fr)
	case e.rule != nil:
		return f.apply(fr, e)
	case e.known:
		return f.write(fr, e, "", nil)
	case e.words != nil && (e.words.prefix == "script" || e.words.prefix == "ooo"):
		f.found("odf.macro", sanitize.Removed, e.canon)
		return f.skipFrom(fr)
	case e.words != nil && (e.words.prefix == "text" || e.words.prefix == "loext"):
		// A newer version's words around text that older ones show.
		f.found("odf.foreign-xml", sanitize.Rewritten, e.canon)
		return f.unwrap(fr)
	default:
		f.found("odf.foreign-xml", sanitize.Rewritten, string(f.s.Name))
		return f.skipFrom(fr)
	}
}

func (f *filter) apply(fr *frame, e element) error {
	r := e.rule
	if r.code != "" {
		detail, _ := f.attribute("xlink:href")
		f.found(r.code, r.action, strings.TrimSpace(string(f.s.Name)+" "+detail))
	}
	switch r.verdict {
	case drop:
		return f.skipFrom(fr)
	case unwrap:
		return f.unwrap(fr)
	case decide:
	default:
		return f.skipFrom(fr)
	}
	switch r.who {
	case byScript:
		return f.script(fr, e)
	case byListener:
		return f.listener(fr, e)
	case byObject:
		return f.object(fr, e)
	case byPlugin:
		return f.plugin(fr, e)
	case byForm:
		return f.form(fr, e)
	case byMark:
		return f.mark(fr, e)
	case byParam:
		return f.param(fr, e)
	case byBinary:
		return f.binary(fr, e)
	case byInner:
		return f.inner(fr, e)
	case byMetadata:
		return f.metadata(fr, e)
	case byAllSettings:
		return f.allSettings(fr, e)
	case byStyles:
		return f.styles(fr, e)
	case byTable:
		return f.table(fr, e)
	case byTableProperties:
		return f.tableProperties(fr, e)
	case byPicture:
		return f.picture(fr, e)
	case byLink:
		return f.link(fr, e)
	case byStartBody:
		return f.startBody(fr, e)
	case byRow:
		f.errors.nextRow(f.rows)
		f.rows = f.repeated("table:number-rows-repeated")
		return f.write(fr, e, "", nil)
	case byCell:
		return f.cell(fr, e)
	case byInitials:
		return f.initials(fr, e)
	case bySpaces:
		if err := f.unfold(f.repeated("text:c") - 1); err != nil {
			return err
		}
		return f.write(fr, e, "", nil)
	default:
		return f.skipFrom(fr)
	}
}

// write writes the start tag in the scanner, with href in the place of its own
// link, and what has to stand right behind it.
func (f *filter) write(fr *frame, e element, href string, behind []byte) error {
	at := len(f.out)
	f.puts("<")
	f.puts(e.canon)
	if href != "" {
		f.puts(` xlink:href="`)
		f.out = xmlscan.AppendEscaped(f.out, []byte(href))
		f.puts(`"`)
	}
	if err := f.writeAttrs(fr, e); err != nil {
		return err
	}
	if fr.role == roleSkipped { // an attribute said so
		f.out = f.out[:at]
		return f.skipFrom(fr)
	}
	switch {
	case len(behind) > 0:
		f.puts(">")
		f.put(behind)
		if f.s.Empty {
			f.puts("</" + e.canon + ">")
		}
	case f.s.Empty:
		f.puts("/>")
	default:
		f.puts(">")
	}
	return nil
}

// script leaves scripts out. LibreOffice writes an empty one into every file, so
// it is what stands in them that is told.
func (f *filter) script(fr *frame, e element) error {
	f.watch = true
	return f.skipFrom(fr)
}

// tellScript reports an element in a script.
func (f *filter) tellScript(canon string) {
	switch canon {
	case "office:script", "ooo:libraries", "office:event-listeners":
	case "script:event-listener", "presentation:event-listener":
		f.found("odf.event-listener", sanitize.Removed, "of the document")
	default:
		f.found("odf.macro", sanitize.Removed, "")
	}
}

// listener keeps what leads from slide to slide. OpenDocument 1.3 part 3,
// 19.353.
func (f *filter) listener(fr *frame, e element) error {
	action, _ := f.attribute("presentation:action")
	href, has := f.attribute("xlink:href")
	ok := false
	switch action {
	case "none", "previous-page", "next-page", "first-page", "last-page", "stop", "hide", "fade-out":
		ok = true
	case "show":
		ok = true
	}
	if has && !strings.HasPrefix(href, "#") {
		ok = false
	}
	if !ok {
		f.found("odf.event-listener", sanitize.Removed, strings.TrimSpace(action+" "+href))
		return f.skipFrom(fr)
	}
	return f.write(fr, e, href, nil)
}

// object keeps a document in the document, which is treated like this one.
func (f *filter) object(fr *frame, e element) error {
	href, has := f.attribute("xlink:href")
	if !has {
		f.shown()
		return f.write(fr, e, "", nil) // it stands inside
	}
	if name, ok := f.inside(href); ok {
		if o, err := f.d.object(f.where, f.folder(), name); err != nil {
			return err
		} else if o != nil {
			f.shown()
			return f.write(fr, e, "./"+o.name, nil)
		}
	}
	f.found("odf.ole", sanitize.Removed, href)
	return f.skipFrom(fr)
}

func (f *filter) plugin(fr *frame, e element) error {
	mime, _ := f.attribute("draw:mime-type")
	href, _ := f.attribute("xlink:href")
	code := "odf.plugin"
	if strings.HasPrefix(mime, "application/vnd.sun.star.media") || strings.HasPrefix(mime, "video/") || strings.HasPrefix(mime, "audio/") {
		code = "odf.media"
	}
	f.found(code, sanitize.Removed, strings.TrimSpace(mime+" "+href))
	return f.skipFrom(fr)
}

// link keeps a link that leads into the document or to the web; another goes,
// and what it shows stays.
func (f *filter) link(fr *frame, e element) error {
	href, has := f.attribute("xlink:href")
	href = strings.TrimSpace(href)
	if has && (f.d.s.Options.URLs == sanitize.KeepURLs && link.Harmless(href) || anchor(href)) {
		return f.write(fr, e, href, nil)
	}
	if href != "" {
		f.found("odf.link", sanitize.Neutralised, href)
	}
	if strings.HasPrefix(e.canon, "draw:area-") {
		return f.skipFrom(fr)
	}
	return f.unwrap(fr)
}

// anchor reports whether a link is a place in the document.
func anchor(href string) bool {
	return strings.HasPrefix(href, "#") && len(href) <= 4096 && !strings.ContainsFunc(href, func(r rune) bool { return r < 0x20 || r == '\\' })
}

// form keeps a form for what it shows. Where it would be sent goes.
func (f *filter) form(fr *frame, e element) error {
	for _, n := range []string{"xlink:href", "form:datasource"} {
		if v, ok := f.attribute(n); ok && v != "" {
			f.found("odf.form", sanitize.Neutralised, v)
		}
	}
	return f.write(fr, e, "", nil)
}

// initials keeps those of who wrote a comment. In the text they are a field that
// shows the reader's: what it shows stays.
func (f *filter) initials(fr *frame, e element) error {
	switch f.frames[len(f.frames)-2].canon {
	case "office:annotation", "officeooo:annotation":
		return f.write(fr, e, "", nil)
	default:
		f.found("odf.property-field", sanitize.Rewritten, string(f.s.Name))
		return f.unwrap(fr)
	}
}

// mark keeps the fields of forms in texts; of the others the text between the
// marks stays. LibreOffice keeps Word's fields with their code in them and
// writes them into a docx again.
func (f *filter) mark(fr *frame, e element) error {
	if e.canon == "field:fieldmark-end" {
		n := len(f.marks)
		if n == 0 {
			return f.skipFrom(fr)
		}
		stays := f.marks[n-1]
		f.marks = f.marks[:n-1]
		if !stays {
			return f.skipFrom(fr)
		}
		return f.write(fr, e, "", nil)
	}
	if e.canon == "field:fieldmark-separator" {
		if n := len(f.marks); n == 0 || !f.marks[n-1] {
			return f.skipFrom(fr)
		}
		return f.write(fr, e, "", nil)
	}
	typ, _ := f.attribute("field:type")
	stays := slices.Contains(formFields, typ[strings.LastIndexByte(typ, '.')+1:])
	if e.canon == "field:fieldmark-start" {
		const most = 1000 // one inside the other
		if len(f.marks) == most {
			return f.skipFrom(fr)
		}
		f.marks = append(f.marks, stays)
	}
	if !stays {
		// Which field it is say its parameters.
		f.field = cmp.Or(typ, "(no type)")
		return f.skipFrom(fr)
	}
	return f.write(fr, e, "", nil)
}

// nameField takes the name of a field of Word from the code that LibreOffice keeps.
func (f *filter) nameField() {
	if name, _ := f.attribute("field:name"); !strings.HasSuffix(name, ".code") {
		return
	}
	code, _ := f.attribute("field:value")
	if words := strings.FieldsFunc(code, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' }); len(words) > 0 {
		f.field = strings.ToUpper(words[0])
	}
}

// tellField reports a field that was replaced by its last result.
func (f *filter) tellField() {
	switch {
	case fieldcode.Property(f.field):
		f.found("odf.property-field", sanitize.Rewritten, f.field)
	case f.field == "DDE" || f.field == "DDEAUTO":
		f.found("odf.dde", sanitize.Replaced, f.field)
	default:
		f.found("odf.field", sanitize.Replaced, f.field)
	}
	f.field = ""
}

var formFields = []string{"FORMTEXT", "FORMCHECKBOX", "FORMDROPDOWN", "FORMDATE"}

// param keeps what a field of a form shows and takes; not the macros that run
// when one enters and leaves it.
func (f *filter) param(fr *frame, e element) error {
	name, _ := f.attribute("field:name")
	name = name[strings.LastIndexByte(name, '.')+1:]
	for _, p := range []string{"Name", "Description", "Hint", "Content", "MaxLength", "Type", "Default", "Format", "Result", "Dropdown_", "DropDown_", "Checkbox_", "CheckBox_", "Date_", "ListEntry", "FieldType"} {
		if strings.HasPrefix(name, p) {
			return f.write(fr, e, "", nil)
		}
	}
	return f.skipFrom(fr)
}

// startBody notes what the part is about.
func (f *filter) startBody(fr *frame, e element) error {
	if len(f.frames) == 3 && f.frames[1].canon == "office:body" {
		if f.body != 0 {
			return malformed("two bodies")
		}
		f.body = bodyOf(e.canon)
	}
	return f.write(fr, e, "", nil)
}

// styles and tableProperties note which styles hide a sheet.
func (f *filter) styles(fr *frame, e element) error {
	if family, _ := f.attribute("style:family"); family == "table" {
		f.style, _ = f.attribute("style:name")
		fr.role = roleStyle
	}
	return f.write(fr, e, "", nil)
}

// metadata is written anew: the title, what wrote the document, its counts.
func (f *filter) metadata(fr *frame, e element) error {
	fr.role, f.meta = roleMeta, len(f.frames)-1
	return f.write(fr, e, "", nil)
}

func (f *filter) judgeMeta(fr *frame, e element) error {
	switch e.canon {
	case "dc:title":
		fr.role = roleTitle
	case "meta:generator":
		fr.role = roleMaker
	case "meta:document-statistic":
		return f.write(fr, e, "", nil)
	default:
		return f.skipFrom(fr)
	}
	f.text, f.capture = f.text[:0], &f.text
	return f.checkAttrs()
}

var generator = lazy.Compile(`^[A-Za-z0-9_./$ ()+:~-]{1,200}$`)
