package ooxml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/internal/link"
	"sekisho/internal/olepack"
	"sekisho/internal/vba"
	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// gather finds the main part and all that stays with it.
func (d *document) gather() error {
	if err := d.readTypes(); err != nil {
		return err
	}
	rels, err := d.readRelations("")
	if err != nil {
		return err
	}
	var main *zipstrict.File
	for _, r := range rels {
		prefix, word := splitRelation(r.typ)
		if (word == "officeDocument" && prefix == relOffice || word == "document" && prefix == relVisio) && !strings.EqualFold(r.mode, "External") {
			f := d.locate("", r.target)
			if f == nil {
				continue
			}
			if main != nil {
				return fmt.Errorf("two main parts: %w", sanitize.ErrAmbiguous)
			}
			m, ok := mainPartOf(d.types.of(f.Name))
			if !ok {
				return fmt.Errorf("main part of type %q: %w", d.types.of(f.Name), sanitize.ErrUnsupported)
			}
			if (m.host == hostVisio) != (prefix == relVisio) {
				return malformed("main part of type %q by a relationship of another application", m.typ)
			}
			main, d.main = f, m
			d.strict = strings.HasPrefix(r.typ, "http://purl.oclc.org/")
			continue
		}
		if word == "extended-properties" || word == "extendedProperties" {
			if f := d.locate("", r.target); f != nil {
				d.app = d.readApp(f)
			}
		}
		if word == "core-properties" {
			if f := d.locate("", r.target); f != nil {
				d.title = d.readTitle(f)
			}
		}
		d.lose("", word, r.target)
	}
	if main == nil {
		return malformed("no main part")
	}
	if d.main.in != d.main.out {
		d.report.found("ooxml.macro-type", "", sanitize.Replaced, string(d.main.in)+" leaves as "+string(d.main.out))
	}
	root := &part{source: main.Name, file: main, typ: d.main.typ, class: classXML, host: d.main.host, name: d.main.name}
	switch d.main.host {
	case hostWord:
		root.class, root.root = classWord, "document"
	case hostSheet:
		root.root = "workbook"
	case hostSlide:
		root.root = "presentation"
	case hostVisio:
		root.root = "VisioDocument"
	default:
		return fmt.Errorf("host %d: %w", d.main.host, sanitize.ErrUnsupported)
	}
	d.byName[zipstrict.Key(main.Name)] = root
	d.parts = append(d.parts, root)
	if err := d.walk(root); err != nil {
		return err
	}
	if err := d.treat(); err != nil {
		return err
	}
	d.prune()
	d.nameParts()
	d.reportUnreached()
	d.reportModules()
	return nil
}

// lose reports a relationship that goes.
func (d *document) lose(owner, word, target string) {
	l := lossOf(word)
	where := owner
	if where == "" {
		where = "_rels/.rels"
	}
	d.report.found(l.rule, where, l.action, target)
}

// walk decides on the relationships of p, and on the parts they lead to.
func (d *document) walk(p *part) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	raw, err := d.readRelations(p.source)
	if err != nil {
		return err
	}
	p.byID, p.gone = map[string]*relation{}, map[string]bool{}
	used := map[string]bool{}
	for i, r := range raw {
		rel, err := d.relate(p, r)
		if err != nil {
			return err
		}
		if rel == nil {
			p.gone[r.id] = true
			continue
		}
		rel.id = safeID(r.id, i)
		for n := len(raw) + i; used[rel.id]; n++ {
			rel.id = safeID("", n)
		}
		used[rel.id] = true
		p.rels = append(p.rels, rel)
		p.byID[r.id] = rel
	}
	return nil
}

// relate decides on one relationship. Nil means that it goes.
func (d *document) relate(p *part, r rawRelation) (*relation, error) {
	prefix, word := splitRelation(r.typ)
	rel := &relation{typ: r.typ}
	external := false
	switch strings.ToLower(strings.TrimSpace(r.mode)) {
	case "", "internal":
	case "external":
		external = true
	default:
		d.lose(p.source, word, r.mode)
		return nil, nil
	}
	switch {
	case word == "hyperlink" && prefix == relOffice:
		target := strings.TrimSpace(r.target)
		switch {
		case strings.HasPrefix(target, "#") && placeInside(target[1:]):
			rel.local = target
			return rel, nil
		case external && link.Harmless(target) && d.s.Options.URLs == sanitize.KeepURLs:
			rel.external = target
			return rel, nil
		}
		d.lose(p.source, word, target)
		return nil, nil
	case word == "image" && prefix == relOffice:
		return d.relateImage(p, rel, r, external)
	case external:
		d.lose(p.source, word, r.target)
		return nil, nil
	}
	switch word {
	case "comments", "commentsExtended", "commentsExtensible", "commentsIds", "people", "threadedComment", "person", "commentAuthors", "authors":
		if d.flags.comments {
			d.report.found("ooxml.comments", p.source, sanitize.Removed, r.target)
			return nil, nil
		}
	}
	f := d.locate(p.source, r.target)
	if p.host == hostSheet && p == d.parts[0] {
		switch word {
		case "worksheet", "chartsheet", "xlMacrosheet", "xlIntlMacrosheet", "dialogsheet":
			if f == nil || d.ruleFor(prefix, word, f) == nil {
				return d.emptySheet(p, rel, word, r), nil
			}
		}
	}
	if f == nil {
		// Nothing is there to lose; the id goes.
		d.report.found("ooxml.dangling", p.source, sanitize.Rewritten, r.target)
		return nil, nil
	}
	if word == "package" && prefix == relOffice && p.rule != nil && (p.rule.relation == "chart" || p.rule.relation == "chartEx") {
		t, err := d.add(&part{source: f.Name, file: f, typ: typeSheet + "sheet", class: classWorkbook, host: p.host, ext: ".xlsx", owner: p}, "embeddings/Microsoft_Excel_Sheet", true)
		if t == nil || err != nil {
			d.lose(p.source, word, r.target)
			return nil, err
		}
		rel.target = t
		return rel, nil
	}
	rule := d.ruleFor(prefix, word, f)
	if rule == nil && (word == "package" || word == "oleObject") && prefix == relOffice {
		ok, err := d.putBeside(f)
		if err != nil {
			return nil, err
		}
		if ok {
			d.report.found("ooxml.package-beside", p.source, sanitize.Replaced, path.Base(f.Name))
			return nil, nil
		}
	}
	if rule == nil {
		if r.typ != "" {
			d.lose(p.source, word, r.target)
		}
		return nil, nil
	}
	if word == "pivotCacheDefinition" || word == "pivotTable" {
		ok, err := d.pivotStays(word, f)
		if err != nil {
			return nil, err
		}
		if !ok {
			d.flags.dropPivots, d.flags.dropSlicers = true, true
			d.report.found("ooxml.pivot", p.source, sanitize.Neutralised, "pivot table of data outside of the workbook; its values stay")
			return nil, nil
		}
	}
	n := &part{source: f.Name, file: f, typ: rule.typ, class: rule.class, host: p.host, rule: rule, ext: ".xml", owner: p}
	switch rule.class {
	case classVML:
		n.ext = ".vml"
	case classSheet:
		n.root = "worksheet"
	}
	t, err := d.add(n, rule.name, rule.numbered)
	if err != nil {
		return nil, err
	}
	if t == nil {
		d.lose(p.source, word, r.target)
		return nil, nil
	}
	rel.target = t
	return rel, nil
}

// ruleFor finds the line of the allow-list for what a relationship leads to.
//
// QUIRK: small generators declare a type for some parts and leave the others
// with that of all XML. LibreOffice reads those by their relationship, and so
// does this: the part is filtered and written as what the relationship says,
// which is then the only thing that anyone can take it for.
func (d *document) ruleFor(prefix relPrefix, word string, f *zipstrict.File) *partRule {
	typ := d.types.of(f.Name)
	if r := ruleOf(prefix, word, typ); r != nil {
		return r
	}
	switch strings.ToLower(typ) {
	case "", "application/xml", "text/xml":
		return ruleOfHost(d.main.host, prefix, word)
	default:
		return nil
	}
}

// putBeside puts a file that is embedded in this document next to it in the
// mail, where the profile says so: a document as it is, or the file in an OLE
// object.
func (d *document) putBeside(f *zipstrict.File) (bool, error) {
	key := zipstrict.Key(f.Name)
	if !d.embedded.Wanted(d.s) {
		return false, nil
	}
	if done, ok := d.beside[key]; ok {
		return done, nil
	}
	if d.beside == nil {
		d.beside = map[string]bool{}
	}
	d.beside[key] = false
	if f.Size > d.s.Options.Limits.OutputBytes {
		return false, nil
	}
	b, err := d.readWhole(&part{source: f.Name, file: f})
	if err != nil {
		return false, err
	}
	in := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: fmt.Sprintf("%s/%d", d.in.Path, len(d.beside)), Name: path.Base(f.Name)}
	if object, err := cfb.Open(in.ReaderAt, in.Size); err == nil {
		if packed, ok := olepack.Find(object.Root); ok {
			in.ReaderAt, in.Size = packed.Bytes, packed.Size
			if packed.Name != "" {
				in.Name = packed.Name
			}
		}
	}
	in.Names = []string{in.Name}
	d.beside[key] = d.embedded.Beside(d.s, in)
	return d.beside[key], nil
}

// add takes a part in, once. It returns nil when the member is already there as
// something else: two relationships that read it differently.
func (d *document) add(n *part, base string, numbered bool) (*part, error) {
	key := zipstrict.Key(n.source)
	if old, ok := d.byName[key]; ok {
		if old.class != n.class || old.rule != n.rule {
			return nil, nil
		}
		return old, nil
	}
	d.byName[key] = n
	n.base, n.numbered = base, numbered
	d.parts = append(d.parts, n)
	switch n.class {
	case classImage, classWorkbook, classEmptySheet:
		n.byID, n.gone = map[string]*relation{}, map[string]bool{}
		return n, nil
	default:
		return n, d.walk(n)
	}
}

// relateImage keeps a picture, or puts a placeholder where a linked one was.
func (d *document) relateImage(p *part, rel *relation, r rawRelation, external bool) (*relation, error) {
	if external {
		d.report.found("ooxml.linked-image", p.source, sanitize.Replaced, r.target)
		rel.target = d.placeholderPart(p.host)
		return rel, nil
	}
	f := d.locate(p.source, r.target)
	if f == nil {
		d.report.found("ooxml.dangling", p.source, sanitize.Rewritten, r.target)
		return nil, nil
	}
	typ := strings.ToLower(d.types.of(f.Name))
	if strings.HasPrefix(typ, "image/svg") {
		d.report.found("ooxml.svg", p.source, sanitize.Rewritten, "the PNG beside it stays")
		return nil, nil
	}
	t, err := d.add(&part{source: f.Name, file: f, class: classImage, host: p.host, owner: p}, "media/image", true)
	if err != nil {
		return nil, err
	}
	if t == nil {
		d.lose(p.source, "image", r.target)
		return nil, nil
	}
	rel.target = t
	return rel, nil
}

// placeholderPart is the picture that stands for those that are not there.
func (d *document) placeholderPart(h host) *part {
	if d.placeholder == nil {
		n := &part{source: "", class: classImage, host: h, base: "media/image", numbered: true, data: d.greySquare(), typ: "image/png", ext: ".png", byID: map[string]*relation{}, gone: map[string]bool{}}
		d.parts = append(d.parts, n)
		d.placeholder = n
	}
	return d.placeholder
}

// emptySheet stands where a sheet that runs was, so that the numbers of the
// sheets behind it stay right.
func (d *document) emptySheet(p *part, rel *relation, word string, r rawRelation) *relation {
	l := lossOf(word)
	if word == "worksheet" || word == "chartsheet" {
		l = loss{"ooxml.sheet", sanitize.Replaced}
	}
	d.report.found(l.rule, p.source, l.action, r.target)
	n := &part{class: classEmptySheet, host: hostSheet, base: "worksheets/sheet", numbered: true, typ: typeSheet + "worksheet+xml", ext: ".xml", byID: map[string]*relation{}, gone: map[string]bool{}}
	d.parts = append(d.parts, n)
	rel.target = n
	rel.typ = relationTransitional + "worksheet"
	if d.strict {
		rel.typ = relationStrict + "worksheet"
	}
	return rel
}

const (
	relationTransitional = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	relationStrict       = "http://purl.oclc.org/ooxml/officeDocument/relationships/"
	relationPackage      = "http://schemas.openxmlformats.org/package/2006/relationships/"
	relationVisio        = "http://schemas.microsoft.com/visio/2010/relationships/"
)

// pivotStays tells whether a pivot table or cache draws on this workbook alone.
func (d *document) pivotStays(word string, f *zipstrict.File) (bool, error) {
	if word == "pivotTable" {
		rels, err := d.readRelations(f.Name)
		if err != nil {
			return false, err
		}
		for _, r := range rels {
			if _, w := splitRelation(r.typ); w == "pivotCacheDefinition" && !strings.EqualFold(r.mode, "External") {
				c := d.locate(f.Name, r.target)
				if c == nil {
					return false, nil
				}
				return d.cacheStays(c)
			}
		}
		return false, nil
	}
	return d.cacheStays(f)
}

func (d *document) cacheStays(f *zipstrict.File) (bool, error) {
	r, err := d.open(f)
	if err != nil {
		return false, err
	}
	s := xmlscan.New(r)
	ok := false
	for {
		t, err := s.Next()
		if err == io.EOF {
			return ok, nil
		}
		if err != nil {
			return false, fmt.Errorf("part %s: %w", f.Name, mapXML(err))
		}
		if t != xmlscan.Start {
			continue
		}
		switch _, local := xmlscan.Split(s.Name); string(local) {
		case "cacheSource":
			for i := range s.Attrs {
				if string(s.Attrs[i].Name) == "type" {
					ok = string(s.Attrs[i].Value) == "worksheet"
				}
			}
		case "worksheetSource":
			for i := range s.Attrs {
				if p, l := xmlscan.Split(s.Attrs[i].Name); len(p) > 0 && string(l) == "id" {
					return false, nil
				}
			}
			return ok, nil
		case "cacheFields":
			return ok, nil
		}
	}
}

// prune takes out parts that turned out not to stay, and what leads to them.
func (d *document) prune() {
	gone := map[*part]bool{}
	for _, p := range d.parts {
		if p.class == 0 {
			gone[p] = true
		}
		if d.flags.dropSlicers && p.rule != nil {
			switch p.rule.relation {
			case "slicer", "slicerCache", "timeline", "timelineCache":
				gone[p] = true
				d.report.found("ooxml.slicer", p.source, sanitize.Removed, "slicer of a pivot table that became values")
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	// In the order in which a second run will find them.
	reached := map[*part]bool{}
	kept := d.parts[:0:0]
	var reach func(p *part)
	reach = func(p *part) {
		if reached[p] || gone[p] {
			return
		}
		reached[p] = true
		kept = append(kept, p)
		for _, r := range p.rels {
			if r.target != nil {
				reach(r.target)
			}
		}
	}
	reach(d.parts[0])
	for _, p := range kept {
		rels := p.rels[:0:0]
		for _, r := range p.rels {
			if r.target == nil || reached[r.target] {
				rels = append(rels, r)
			}
		}
		p.rels = rels
		for id, r := range p.byID {
			if r.target != nil && !reached[r.target] {
				delete(p.byID, id)
				p.gone[id] = true
			}
		}
	}
	d.parts = kept
}

// nameParts gives the parts their names in the output: a fixed word for each
// kind of part and a number, which is the input's where it has that form.
// QUIRK: LibreOffice takes the number in a slide's name for its place in a
// custom show, so numbers must not be dealt out anew.
func (d *document) nameParts() {
	used := map[string]bool{d.main.name: true}
	var later []*part
	for _, p := range d.parts[1:] {
		p.name = ""
		base := p.host.root() + p.base
		stem := strings.TrimSuffix(p.source, path.Ext(p.source))
		number, ok := strings.CutPrefix(stem, base)
		const longest = 5 // digits; an archive has 5,000 members
		if ok && len(number) <= longest && (!p.numbered && number == "" || isNumber(number)) && !used[base+number] {
			p.name = base + number
			used[p.name] = true
			continue
		}
		later = append(later, p)
	}
	next := map[string]int{}
	for _, p := range later {
		base := p.host.root() + p.base
		if !p.numbered && !used[base] {
			p.name = base
		}
		for p.name == "" {
			next[base]++
			if n := base + strconv.Itoa(next[base]); !used[n] {
				p.name = n
			}
		}
		used[p.name] = true
	}
}

// isNumber reports whether s counts from one, in digits.
func isNumber(s string) bool {
	if s == "" || s[0] == '0' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// maxProject is the longest VBA project that is looked into for the report.
const maxProject = 32 << 20

// reportModules tells what the macros were that go: each module with its hash
// and the words by which malware is known.
func (d *document) reportModules() {
	for _, f := range d.order {
		if !strings.HasSuffix(strings.ToLower(f.Name), "vbaproject.bin") && d.types.of(f.Name) != "application/vnd.ms-office.vbaProject" || f.Size > maxProject {
			continue
		}
		r, err := f.Open(d.s.Meter)
		if err != nil {
			continue // it goes whatever it is
		}
		b, err := io.ReadAll(r)
		if err != nil {
			continue
		}
		project, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		for _, m := range vba.Modules(project.Root) {
			d.report.found("ooxml.vba", f.Name+"/"+m.Name, sanitize.Removed, m.String())
		}
	}
}

// reportUnreached tells of members that no relationship leads to and that hold
// what runs: nobody would have opened them, but somebody put them there.
func (d *document) reportUnreached() {
	for _, f := range d.order {
		if d.byName[zipstrict.Key(f.Name)] != nil || strings.HasSuffix(f.Name, ".rels") {
			continue
		}
		name := strings.ToLower(f.Name)
		typ := strings.ToLower(d.types.of(f.Name))
		rule := ""
		for _, w := range []struct{ word, rule string }{
			{"vbaproject", "ooxml.vba"}, {"vbadata", "ooxml.vba"}, {"activex", "ooxml.activex"}, {"macrosheet", "ooxml.macro-sheet"}, {"customui", "ooxml.custom-ui"},
			{"oleobject", "ooxml.ole"}, {"/embeddings/", "ooxml.package"}, {"connections.xml", "ooxml.connection"}, {"externallink", "ooxml.external-link"},
		} {
			if strings.Contains(name, w.word) || strings.Contains(typ, w.word) && !strings.HasSuffix(name, ".xml") {
				rule = w.rule
				break
			}
		}
		if rule == "" {
			switch name[strings.LastIndexByte(name, '.')+1:] {
			case "html", "htm", "mht", "mhtml", "hta", "js", "vbs", "exe", "dll", "scr", "lnk", "rtf", "doc", "docx", "zip":
				rule = "ooxml.part"
			}
		}
		if rule != "" && !d.report.has(rule) {
			d.report.found(rule, "", sanitize.Removed, f.Name)
		}
	}
}

// treat makes what must be whole before anything is written: pictures, drawings
// in VML, the workbooks behind charts.
func (d *document) treat() error {
	flt := newFilter(d.s.Options.Limits.XMLDepth)
	flt.values = d.s.Options.Values
	for _, p := range d.parts {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		switch p.class {
		case classImage:
			if p.file != nil {
				if err := d.treatImage(p); err != nil {
					return err
				}
			}
		case classWorkbook:
			if err := d.treatWorkbook(p); err != nil {
				return err
			}
		case classVML:
			// VML was never quite XML; a drawing that is none goes, with the buttons
			// or note frames in it.
			var b bytes.Buffer
			rep := &report{part: true}
			err := d.filterPart(flt, p, rep, &b)
			if errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, xmlscan.ErrDoctype) {
				d.report.found("ooxml.vml", p.source, sanitize.Removed, "not XML")
				p.class = 0
				continue
			}
			if err != nil {
				return err
			}
			p.data = b.Bytes()
			d.report.merge(rep)
		}
	}
	return nil
}

func (d *document) filterPart(flt *filter, p *part, rep *report, w io.Writer) error {
	r, err := d.open(p.file)
	if err != nil {
		return err
	}
	return flt.run(p, rep, d.flags, r, w)
}

// write writes the new package.
func (d *document) write(w io.Writer) error {
	z := zipstrict.NewWriter(w)
	if err := d.writeTypes(z); err != nil {
		return err
	}
	office := relationTransitional
	if d.strict {
		office = relationStrict
	}
	rels := []*relation{{id: "rId1", typ: office + "officeDocument", target: d.parts[0]}}
	if d.main.host == hostVisio {
		rels[0].typ = relationVisio + "document"
	}
	app := d.app.xml(d.strict)
	if app != nil {
		rels = append(rels, &relation{id: "rId2", typ: relationTransitional + "extended-properties", target: &part{name: "docProps/app.xml"}})
	}
	core := coreXML(d.title)
	if core != nil {
		rels = append(rels, &relation{id: "rId3", typ: relationPackage + "metadata/core-properties", target: &part{name: "docProps/core.xml"}})
	}
	if err := writeRelations(z, "", rels); err != nil {
		return err
	}
	if core != nil {
		if err := writeMember(z, "docProps/core.xml", core); err != nil {
			return err
		}
	}
	if app != nil {
		if err := writeMember(z, "docProps/app.xml", app); err != nil {
			return err
		}
	}
	flt := newFilter(d.s.Options.Limits.XMLDepth)
	flt.values = d.s.Options.Values
	for _, p := range d.parts {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		name := p.name + p.ext
		switch p.class {
		case classImage, classWorkbook:
			if err := z.Store(name, p.data); err != nil {
				return err
			}
		case classVML:
			if err := writeMember(z, name, p.data); err != nil {
				return err
			}
		case classEmptySheet:
			if err := writeMember(z, name, d.emptySheetXML()); err != nil {
				return err
			}
		default:
			m, err := z.Create(name)
			if err != nil {
				return err
			}
			if err := d.filterPart(flt, p, d.report, m); err != nil {
				return err
			}
		}
		if err := writeRelations(z, name, p.rels); err != nil {
			return err
		}
	}
	return z.Close()
}

func (d *document) emptySheetXML() []byte {
	ns := "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	if d.strict {
		ns = "http://purl.oclc.org/ooxml/spreadsheetml/main"
	}
	return []byte(xmlHead + `<worksheet xmlns="` + ns + `"><sheetData/></worksheet>`)
}

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"

func writeMember(z *zipstrict.Writer, name string, content []byte) error {
	m, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = m.Write(content)
	return err
}

func (d *document) writeTypes(z *zipstrict.Writer) error {
	b := []byte(xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">`)
	for _, t := range []struct{ ext, typ string }{
		{"rels", "application/vnd.openxmlformats-package.relationships+xml"},
		{"xml", "application/xml"},
		{"png", "image/png"},
		{"jpg", "image/jpeg"},
		{"emf", "image/x-emf"},
		{"wmf", "image/x-wmf"},
		{"vml", "application/vnd.openxmlformats-officedocument.vmlDrawing"},
		{"xlsx", typeSheet + "sheet"},
	} {
		b = append(b, `<Default Extension="`+t.ext+`" ContentType="`+t.typ+`"/>`...)
	}
	override := func(name, typ string) {
		b = append(b, `<Override PartName="/`+name+`" ContentType="`+typ+`"/>`...)
	}
	if d.app.xml(d.strict) != nil {
		override("docProps/app.xml", "application/vnd.openxmlformats-officedocument.extended-properties+xml")
	}
	if coreXML(d.title) != nil {
		override("docProps/core.xml", "application/vnd.openxmlformats-package.core-properties+xml")
	}
	for i, p := range d.parts {
		if i == 0 {
			p.ext = "" // the main part's name has its extension
		}
		if p.ext == ".xml" || i == 0 {
			override(p.name+p.ext, p.typ)
		}
	}
	return writeMember(z, "[Content_Types].xml", append(b, "</Types>"...))
}

// relative returns the way from a folder to a member. QUIRK: absolute targets
// are as good, but no Office writes them, and LibreOffice 7.4 crashes on one in
// a custom show.
func relative(dir, name string) string {
	up := ""
	for dir != "" && !strings.HasPrefix(name, dir) {
		dir = dir[:strings.LastIndexByte(dir[:len(dir)-1], '/')+1]
		up += "../"
	}
	return up + name[len(dir):]
}

// writeRelations writes the relationships of a part, if it has any.
func writeRelations(z *zipstrict.Writer, owner string, rels []*relation) error {
	if len(rels) == 0 {
		return nil
	}
	dir, file := owner[:strings.LastIndexByte(owner, '/')+1], owner[strings.LastIndexByte(owner, '/')+1:]
	b := []byte(xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`)
	for _, r := range rels {
		b = append(b, `<Relationship Id="`...)
		b = xmlscan.AppendEscaped(b, []byte(r.id))
		b = append(b, `" Type="`...)
		b = xmlscan.AppendEscaped(b, []byte(r.typ))
		b = append(b, `" Target="`...)
		switch {
		case r.target != nil:
			b = xmlscan.AppendEscaped(b, []byte(relative(dir, r.target.name+r.target.ext)))
			b = append(b, `"/>`...)
		case r.local != "":
			b = xmlscan.AppendEscaped(b, []byte(r.local))
			b = append(b, `"/>`...)
		default:
			b = xmlscan.AppendEscaped(b, []byte(r.external))
			b = append(b, `" TargetMode="External"/>`...)
		}
	}
	return writeMember(z, dir+"_rels/"+file+".rels", append(b, "</Relationships>"...))
}
