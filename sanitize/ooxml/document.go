package ooxml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/internal/link"
	"sekisho/internal/olepack"
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
