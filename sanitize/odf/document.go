package odf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// document is what one call works on.
type document struct {
	ctx      context.Context
	s        *sanitize.Session
	in       sanitize.Object
	report   sanitize.Tally
	members  map[string]*member
	order    []*member
	body     body
	folder   *folder // whose parts are written
	square   []byte
	inline   int   // pictures met in the XML
	unfolded int64 // cells and spaces that are said to repeat
}

type member struct {
	name string
	file *zipstrict.File
	used bool
}

// folder is one document of a package: the package itself, or one inside.
type folder struct {
	from     string // its folder in the input, with its slash
	to       string // in the output
	name     string // of to, in the folder it stands in
	depth    int
	placed   map[string]*picture
	square   *picture // the one for all pictures that would be fetched
	pictures []*picture
	count    int
	objects  map[string]*folder // by their name in the input
	inner    []*folder
	parts    []string // written of it
	body     body
	version  string
}

func newFolder(from, to, name string, depth int) *folder {
	return &folder{from: from, to: to, name: name, depth: depth, placed: map[string]*picture{}, objects: map[string]*folder{}}
}

func mapZIP(err error) error {
	for _, m := range []struct{ from, to error }{
		{zipstrict.ErrAmbiguous, sanitize.ErrAmbiguous},
		{zipstrict.ErrLimit, sanitize.ErrLimit},
		{zipstrict.ErrEncrypted, sanitize.ErrEncrypted},
		{zipstrict.ErrMalformed, sanitize.ErrContainer},
		{zipstrict.ErrUnsupported, sanitize.ErrContainer}, // OpenDocument 1.3 part 2, 2.2
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %w", err, m.to)
		}
	}
	return err
}

// open reads a member, charged to the budget.
func (d *document) open(m *member) (io.Reader, error) {
	r, err := m.file.Open(d.s.Meter)
	if err != nil {
		return nil, mapZIP(err)
	}
	return &zipReader{r}, nil
}

// openXML is open for a part, which may be written in UTF-16.
func (d *document) openXML(m *member) (io.Reader, error) {
	r, err := d.open(m)
	if err != nil {
		return nil, err
	}
	return xmlscan.UTF8(r)
}

// openContent is openXML for a content.xml.
//
// QUIRK: OpenOffice 3.3 and before put a DOCTYPE into formulas. It is these very
// octets, which define nothing, and no program has read that DTD in years.
func (d *document) openContent(m *member) (io.Reader, error) {
	r, err := d.openXML(m)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 300)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	head = bytes.Replace(head[:n], []byte(formulaDoctype), nil, 1)
	return io.MultiReader(bytes.NewReader(head), r), nil
}

const formulaDoctype = `<!DOCTYPE math:math PUBLIC "-//OpenOffice.org//DTD Modified W3C MathML 1.01//EN" "math.dtd">`

// zipReader gives the errors of the archive the names that the ladder knows.
type zipReader struct{ r io.Reader }

func (z *zipReader) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	if err != nil && err != io.EOF {
		err = mapZIP(err)
	}
	return n, err
}

// readWhole reads a member that must be whole to be treated.
func (d *document) readWhole(m *member) ([]byte, error) {
	if m.file.Size > d.s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("part %s of %d bytes: %w", m.name, m.file.Size, sanitize.ErrLimit)
	}
	r, err := d.open(m)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// writePackage writes a new package and returns what it is.
func (d *document) writePackage(w io.Writer) (sanitize.Kind, error) {
	z, err := zipstrict.Open(d.in.ReaderAt, d.in.Size, zipstrict.Limits{Entries: d.s.Options.Limits.Entries})
	if err != nil {
		return "", fmt.Errorf("open package: %w", mapZIP(err))
	}
	d.members = make(map[string]*member, len(z.Files))
	for i := range z.Files {
		f := &z.Files[i]
		switch {
		case f.IsDir:
			continue
		case f.Trick != "":
			// No link can lead there; a program that unpacks would follow it.
			d.report.Found("odf.member", f.Name, sanitize.Removed, string(f.Trick))
			continue
		}
		m := &member{name: f.Name, file: f}
		d.members[f.Name] = m
		d.order = append(d.order, m)
	}
	if err := d.checkEncryption(); err != nil {
		return "", err
	}
	content := d.members["content.xml"]
	if content == nil {
		return "", malformed("no content.xml")
	}
	if d.body, err = d.findBody(content); err != nil {
		return "", err
	}
	kind := bodies[d.body].plain
	media := mediaPrefix + bodies[d.body].media
	if d.isTemplate() && bodies[d.body].template != kind {
		kind, media = bodies[d.body].template, media+"-template"
	}
	out := zipstrict.NewWriter(w)
	// OpenDocument 1.3 part 2, 3.3: first, and not packed.
	if err := out.Store("mimetype", []byte(media)); err != nil {
		return "", err
	}
	root := newFolder("", "", "", 0)
	if err := d.writeFolder(out, root); err != nil {
		return "", err
	}
	d.reportLeft()
	if err := writeManifest(out, root, media); err != nil {
		return "", err
	}
	return kind, out.Close()
}

// isTemplate reads what the package says that it is.
func (d *document) isTemplate() bool {
	m := d.members["mimetype"]
	if m == nil || m.file.Size > 200 {
		return false
	}
	b, err := d.readWhole(m)
	return err == nil && strings.HasSuffix(strings.TrimSpace(string(b)), "-template")
}

// checkEncryption refuses a package whose manifest says that parts of it are
// encrypted. OpenDocument 1.3 part 2, 4.4. A manifest that cannot be read says
// nothing; what is encrypted then is no XML.
func (d *document) checkEncryption() error {
	m := d.members["META-INF/manifest.xml"]
	if m == nil {
		return nil
	}
	r, err := d.openXML(m)
	if err != nil {
		return err
	}
	s := xmlscan.New(r)
	for {
		t, err := s.Next()
		switch {
		case err == io.EOF, errors.Is(err, xmlscan.ErrMalformed):
			return nil
		case err != nil:
			return mapXML(err)
		case t != xmlscan.Start:
			continue
		}
		if _, l := xmlscan.Split(s.Name); string(l) == "encryption-data" || string(l) == "encrypted-key" {
			return fmt.Errorf("manifest: %w", sanitize.ErrEncrypted)
		}
	}
}

// findBody reads the part as far as its body. What the names mean is looked at
// when the part is written, which refuses another body than this.
func (d *document) findBody(m *member) (body, error) {
	r, err := d.openContent(m)
	if err != nil {
		return 0, err
	}
	return probe(r)
}

func probe(r io.Reader) (body, error) {
	s := xmlscan.New(r)
	depth, inBody := 0, false
	for {
		t, err := s.Next()
		switch {
		case err == io.EOF:
			return 0, malformed("no body")
		case err != nil:
			return 0, mapXML(err)
		}
		switch t {
		case xmlscan.Start:
			_, l := xmlscan.Split(s.Name)
			switch {
			case depth == 0 && string(l) == "math":
				return bodyFormula, nil
			case depth == 1 && string(l) == "body":
				inBody = true
			case depth == 2 && inBody:
				b := bodyOf("office:" + string(l))
				if b == 0 || bodies[b].plain == "" || b == bodyFormula {
					return 0, fmt.Errorf("a body of %q: %w", l, sanitize.ErrUnsupported)
				}
				return b, nil
			}
			if !s.Empty {
				depth++
			}
		case xmlscan.End:
			depth--
			inBody = inBody && depth > 1
		case xmlscan.Text:
		default:
			return 0, fmt.Errorf("token %d: %w", t, sanitize.ErrUnsupported)
		}
	}
}

// writeFolder writes the parts of one document, its pictures, and the documents
// inside it.
func (d *document) writeFolder(z *zipstrict.Writer, o *folder) error {
	d.folder = o
	flt := newFilter(d)
	for _, p := range []struct {
		name string
		root kindOfRoot
	}{{"content.xml", rootContent}, {"styles.xml", rootStyles}, {"meta.xml", rootMeta}, {"settings.xml", rootSettings}} {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		m := d.members[o.from+p.name]
		if m == nil {
			continue
		}
		m.used = true
		r, err := d.openContent(m)
		if err != nil {
			return err
		}
		if p.root == rootMeta || p.root == rootSettings {
			if err := d.writeMinor(z, flt, o, m, p.root, p.name, r); err != nil {
				return err
			}
			continue
		}
		o.parts = append(o.parts, p.name)
		w, err := z.Create(o.to + p.name)
		if err != nil {
			return err
		}
		if err := flt.run(m.name, o.from, p.root, r, w); err != nil {
			return err
		}
		if p.root == rootContent {
			o.body, o.version = flt.body, flt.version
			if o.depth == 0 && o.body != d.body || o.body == 0 {
				return malformed("part %s: another body than it seems", m.name)
			}
		}
	}
	for _, p := range o.pictures {
		if err := z.Store(o.to+p.name, p.data); err != nil {
			return err
		}
		p.data = nil
	}
	for _, i := range o.inner {
		if err := d.writeFolder(z, i); err != nil {
			return err
		}
	}
	d.folder = o
	return nil
}

// writeMinor writes the metadata or the settings. A document without them is one
// still, so that what cannot be read of them goes.
func (d *document) writeMinor(z *zipstrict.Writer, flt *filter, o *folder, m *member, root kindOfRoot, name string, r io.Reader) error {
	const most = 4 << 20 // a thousand sheets have a megabyte of settings
	if m.file.Size > most {
		d.report.Found("odf.part", m.name, sanitize.Removed, "too large")
		return nil
	}
	var b bytes.Buffer
	err := flt.run(m.name, o.from, root, r, &b)
	switch {
	case errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, sanitize.ErrContainer):
		d.report.Found("odf.part", m.name, sanitize.Removed, "not XML")
		return nil
	case err != nil:
		return err
	}
	o.parts = append(o.parts, name)
	w, err := z.Create(o.to + name)
	if err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// object takes a document in the document in, once. It returns nil when there is
// none.
func (d *document) object(where string, o *folder, name string) (*folder, error) {
	if o == nil {
		return nil, nil
	}
	name = strings.TrimSuffix(name, "/")
	if i, ok := o.objects[name]; ok {
		return i, nil
	}
	m := d.locate(o.from, name+"/content.xml")
	if m == nil {
		return nil, nil
	}
	if o.depth+1 >= d.s.Options.Limits.Depth {
		return nil, fmt.Errorf("part %s: objects more than %d deep: %w", where, d.s.Options.Limits.Depth, sanitize.ErrLimit)
	}
	r, err := d.openContent(m)
	if err != nil {
		return nil, err
	}
	// Only what will be read to its end may be linked to.
	if !readable(r) {
		return nil, nil
	}
	i := newFolder(strings.TrimSuffix(m.name, "content.xml"), "", fmt.Sprintf("Object %d", len(o.inner)+1), o.depth+1)
	i.to = o.to + i.name + "/"
	o.objects[name] = i
	o.inner = append(o.inner, i)
	return i, nil
}

// readable reports whether a part begins as a document of ours.
func readable(r io.Reader) bool {
	s := xmlscan.New(r)
	for {
		t, err := s.Next()
		if err != nil {
			return false
		}
		if t == xmlscan.Start {
			_, l := xmlscan.Split(s.Name)
			return string(l) == "document-content" || string(l) == "math"
		}
	}
}

// reportLeft tells of members that do not go on and that somebody may miss, or
// that run.
func (d *document) reportLeft() {
	for _, m := range d.order {
		name := strings.ToLower(m.name)
		base := name[strings.LastIndexByte(name, '/')+1:]
		switch {
		case m.used:
		case strings.HasPrefix(name, "basic/") || strings.Contains(name, "/basic/"):
			if base != "script-lc.xml" && base != "script-lb.xml" {
				d.report.Found("odf.macro", m.name, sanitize.Removed, "")
			}
		case strings.HasPrefix(name, "scripts/") || strings.Contains(name, "/scripts/"):
			d.report.Found("odf.macro", m.name, sanitize.Removed, "")
		case strings.HasPrefix(name, "dialogs/") || strings.Contains(name, "/dialogs/"):
			if base != "dialog-lc.xml" && base != "dialog-lb.xml" {
				d.report.Found("odf.dialog", m.name, sanitize.Removed, "")
			}
		case strings.HasPrefix(name, "meta-inf/") && strings.Contains(base, "signature"):
			d.report.Found("odf.signature", m.name, sanitize.Removed, "")
		case strings.HasPrefix(name, "configurations2/") && m.file.Size > 0:
			d.report.Found("odf.custom-ui", m.name, sanitize.Removed, "")
		case strings.HasPrefix(name, "thumbnails/"), strings.HasPrefix(name, "objectreplacements/"), strings.HasPrefix(name, "configurations2/"), strings.Contains(name, "/configurations2/"):
		default:
			switch base[strings.LastIndexByte(base, '.')+1:] {
			case "html", "htm", "mht", "mhtml", "hta", "js", "vbs", "exe", "dll", "scr", "lnk", "rtf", "doc", "docx", "zip", "jar", "py", "bat", "cmd", "ps1":
				d.report.Found("odf.member", m.name, sanitize.Removed, "")
			}
		}
	}
}

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

// writeManifest lists what was written. OpenDocument 1.3 part 2, 4.
func writeManifest(z *zipstrict.Writer, root *folder, media string) error {
	b := []byte(xmlHead + `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"`)
	ver := ""
	if root.version >= "1.2" {
		ver = ` manifest:version="` + root.version + `"`
		b = append(b, ver...)
	}
	b = append(b, '>')
	entry := func(path, media, ver string) {
		b = append(b, `<manifest:file-entry manifest:full-path="`...)
		b = xmlscan.AppendEscaped(b, []byte(path))
		b = append(b, `"`+ver+` manifest:media-type="`+media+`"/>`...)
	}
	entry("/", media, ver)
	var list func(o *folder)
	list = func(o *folder) {
		if o.depth > 0 {
			entry(o.to, mediaPrefix+bodies[o.body].media, ver)
		}
		for _, p := range o.parts {
			entry(o.to+p, "text/xml", "")
		}
		for _, p := range o.pictures {
			entry(o.to+p.name, p.media, "")
		}
		for _, i := range o.inner {
			list(i)
		}
	}
	list(root)
	w, err := z.Create("META-INF/manifest.xml")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, "</manifest:manifest>"...))
	return err
}

// writeFlat writes a new flat document and returns what it is.
func (d *document) writeFlat(w io.Writer) (sanitize.Kind, error) {
	r, err := xmlscan.UTF8(d.in.Reader())
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	b, err := probe(r)
	if err != nil {
		return "", err
	}
	if bodies[b].flat == "" {
		return "", fmt.Errorf("a single file of %s: %w", bodies[b].media, sanitize.ErrUnsupported)
	}
	d.body = b
	if r, err = xmlscan.UTF8(d.in.Reader()); err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	flt := newFilter(d)
	if err := flt.run("document", "", rootFlat, r, w); err != nil {
		return "", err
	}
	if flt.body != b {
		return "", malformed("another body than it seems")
	}
	return bodies[b].flat, nil
}
