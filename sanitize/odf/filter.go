package odf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// filter writes one XML part anew, in one pass and in little memory: each
// element is judged when its start tag is read. Names get one prefix for each
// namespace, declared once at the root; comments, processing instructions and
// CDATA sections become what they mean.
type filter struct {
	d     *document
	where string // the part, for findings
	dir   string // the folder its relative links start from
	flat  kindOfRoot
	s     *xmlscan.Scanner
	out   []byte
	w     io.Writer
	wrote int64

	names    []byte // of the open elements as written, one behind the other
	frames   []frame
	bindings []binding
	current  map[string]int // prefix: its binding
	elements map[string]element
	attrs    map[string]attribute
	skip     int  // frames from here on are not written
	watch    bool // what is skipped is a script: tell what it holds
	capture  *[]byte
	text     []byte // what is captured
	item     configItem
	marks    []bool // of the fieldmarks open, which are written
	field    string // of the fieldmark left out, what is told
	meta     int    // frames from here on are metadata
	settings int    // or settings
	value    []byte
	seen     []*string // attributes written on this element

	body    body   // of the part, once it is met
	version string // office:version of the root
	hidden  map[string]bool
	style   string // the style:style that is open
	rows    int64  // how often the row that is open stands there
	copies  int64  // how often the cell that is open does, beyond once, until it is charged
	errors  lostErrors
	changes changes
	holding int // deletions and pictures open of which it is not known whether they stay
}

// kindOfRoot is which roots a part may have.
type kindOfRoot uint8

const (
	rootContent  kindOfRoot = 1
	rootStyles   kindOfRoot = 2
	rootMeta     kindOfRoot = 3
	rootSettings kindOfRoot = 4
	rootFlat     kindOfRoot = 5
)

var roots = map[kindOfRoot]string{
	rootContent: "office:document-content", rootStyles: "office:document-styles", rootMeta: "office:document-meta",
	rootSettings: "office:document-settings", rootFlat: "office:document",
}

// role is what the filter remembers of an open element.
type role uint8

const (
	rolePlain    role = 0
	roleSkipped  role = 1
	roleUnwrap   role = 2 // its content stays, its tags do not
	roleBinary   role = 3 // office:binary-data
	roleItem     role = 4 // config:config-item
	roleTitle    role = 5 // of the document
	roleMaker    role = 6 // meta:generator
	roleMeta     role = 7
	roleSettings role = 8
	roleStyle    role = 9
	roleCell     role = 11
	roleImage    role = 10 // a picture of a frame
	roleList     role = 12 // of tracked changes that are taken out
	roleDeletion role = 13 // in it, what was deleted
	roleGone     role = 14 // inserted, and left out
)

type frame struct {
	name   int // where its name starts in names
	canon  string
	role   role
	scope  int  // bindings before it
	fresh  bool // it declared something
	filled bool // a picture of it was written

	held      bool   // a picture in a frame, counted by holding
	at, inner int    // of a picture in a frame: where it begins in out, and what is in it; -1 without a tag
	lost, why string // of such a picture, and of the frame it stood in: it cannot be treated
	shown     bool   // of a frame: a form of what it holds is written
	owed      []byte // what stood on the pictures that it lost

	// While tracked changes are taken out.
	tag   string // its start tag
	was   role   // of one that is left out
	block int    // its number in what was deleted, from 1
}

const (
	flushAt = 32 << 10
	// What may be written of one part: the session meters what is read, and a
	// part can grow by its declarations only.
	maxPart = 500 << 20
	// Writer's longest titles and generators stay far below.
	maxWord = 500
	// Namespaces and prefixes of one part; LibreOffice writes 45.
	maxSpaces = 5000
)

func newFilter(d *document) *filter {
	return &filter{d: d, s: xmlscan.New(nil)}
}

// run writes the part in r to w.
func (f *filter) run(where, dir string, kind kindOfRoot, r io.Reader, w io.Writer) error {
	s, out := f.s, f.out[:0]
	s.Reset(r)
	*f = filter{
		d: f.d, s: s, out: out, w: w, where: where, dir: dir, flat: kind, skip: -1, meta: -1, settings: -1,
		current: map[string]int{}, elements: map[string]element{}, attrs: map[string]attribute{}, names: f.names[:0], frames: f.frames[:0], bindings: f.bindings[:0],
		hidden: map[string]bool{}, value: f.value[:0], seen: f.seen[:0], text: f.text[:0],
	}
	if f.d.s.Options.Reject {
		f.changes = changes{on: true, regions: map[string]*region{}, open: map[string]bool{}}
	}
	f.puts("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	rooted := false
	for {
		t, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return f.explain(mapXML(err))
		}
		switch t {
		case xmlscan.Start:
			if len(f.frames) == 0 && rooted {
				return f.explain(malformed("two roots"))
			}
			rooted = true
			err = f.start()
		case xmlscan.End:
			err = f.end(s.Name)
		case xmlscan.Text:
			err = f.characters()
		default:
			err = fmt.Errorf("token %d: %w", t, sanitize.ErrUnsupported)
		}
		if err != nil {
			return f.explain(err)
		}
		if f.errors.at > 0 && len(f.out)-f.errors.at > flushAt {
			f.errors.at = 0 // its comment is longer than any; it shows what it may
		}
		if len(f.out) >= flushAt && f.holding == 0 && f.errors.at == 0 {
			if err := f.flush(); err != nil {
				return err
			}
		}
	}
	if len(f.frames) > 0 || !rooted {
		return f.explain(malformed("ends early"))
	}
	if err := f.settleChanges(); err != nil {
		return f.explain(err)
	}
	return f.flush()
}

func (f *filter) explain(err error) error { return fmt.Errorf("part %s: %w", f.where, err) }

// mapXML gives the errors of the XML reader the names that the ladder knows. A
// DOCTYPE is never shown to another parser.
func mapXML(err error) error {
	switch {
	case errors.Is(err, xmlscan.ErrDoctype):
		return fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	case errors.Is(err, xmlscan.ErrMalformed):
		return fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
	case errors.Is(err, xmlscan.ErrLimit):
		return fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	default:
		return err
	}
}

func (f *filter) put(b []byte)  { f.out = append(f.out, b...) }
func (f *filter) puts(s string) { f.out = append(f.out, s...) }

func (f *filter) flush() error {
	if f.wrote += int64(len(f.out)); f.wrote > maxPart {
		return fmt.Errorf("a part of more than %d bytes written: %w", int64(maxPart), sanitize.ErrLimit)
	}
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	if cap(f.out) > 4<<20 {
		f.out = nil // a picture in a flat file; its memory is wanted for others
	}
	if err != nil {
		return fmt.Errorf("write part: %w", err)
	}
	return nil
}

func (f *filter) found(code string, action sanitize.Action, detail string) {
	f.d.report.Found(code, f.where, action, detail)
}

// start reads a start tag.
func (f *filter) start() error {
	s := f.s
	if len(f.frames) >= f.d.s.Options.Limits.XMLDepth {
		return fmt.Errorf("elements more than %d deep: %w", f.d.s.Options.Limits.XMLDepth, sanitize.ErrLimit)
	}
	scope := len(f.bindings)
	fresh, err := f.declare()
	if err != nil {
		return err
	}
	e, err := f.resolve(s.Name)
	if err != nil {
		return err
	}
	root := len(f.frames) == 0
	f.frames = append(f.frames, frame{name: len(f.names), canon: e.canon, scope: scope, fresh: fresh})
	f.names = append(f.names, s.Name...)
	fr := &f.frames[len(f.frames)-1]
	switch {
	case f.skip >= 0:
		fr.role = roleSkipped
		if f.watch {
			f.tellScript(e.canon)
		}
		if f.field != "" && e.canon == "field:param" {
			f.nameField()
		}
		if err := f.checkAttrs(); err != nil {
			return err
		}
	case root:
		err = f.startRoot(e)
	default:
		if parent := &f.frames[len(f.frames)-2]; parent.lost != "" && parent.canon == "draw:frame" && !form(e.canon) {
			f.settleFrame(parent)
		}
		at := len(f.out)
		if len(f.changes.open) > 0 {
			err = f.leaveOut(fr, e)
		} else {
			err = f.judge(fr, e)
			if f.changes.on {
				f.track(fr, &f.frames[len(f.frames)-2], at)
			}
		}
		if fr.role == roleImage && fr.lost == "" {
			fr.inner = len(f.out)
		}
	}
	if err != nil {
		return err
	}
	if s.Empty {
		return f.end(nil)
	}
	return nil
}

// startRoot writes the root with all declarations that any part can need.
func (f *filter) startRoot(e element) error {
	want := roots[f.flat]
	if e.canon != want && !(f.flat == rootContent && e.canon == "math:math") {
		if e.words == nil {
			return fmt.Errorf("begins with <%s> of no OpenDocument: %w", f.s.Name, sanitize.ErrUnsupported)
		}
		return malformed("begins with <%s>", f.s.Name)
	}
	if e.canon == "math:math" {
		f.body = bodyFormula
	}
	f.puts("<" + e.canon + vocabulary().declarations)
	if f.flat == rootFlat {
		f.puts(` office:mimetype="` + mediaPrefix + bodies[f.d.body].media + `"`)
	}
	if err := f.writeAttrs(&f.frames[0], e); err != nil {
		return err
	}
	if f.s.Empty {
		f.puts("/>")
	} else {
		f.puts(">")
	}
	return nil
}

// skipFrom leaves the innermost element out, with all that is in it.
func (f *filter) skipFrom(fr *frame) error {
	fr.role = roleSkipped
	f.skip = len(f.frames) - 1
	return f.checkAttrs()
}

// unwrap leaves the tags of the innermost element out.
func (f *filter) unwrap(fr *frame) error {
	fr.role = roleUnwrap
	return f.checkAttrs()
}

// checkAttrs makes sure that what is not written is well-formed too.
func (f *filter) checkAttrs() error {
	for i := range f.s.Attrs {
		p, _ := xmlscan.Split(f.s.Attrs[i].Name)
		if len(p) == 0 || string(p) == "xmlns" || string(p) == "xml" {
			continue
		}
		if b := f.lookup(p); b == nil || b.uri == "" {
			return malformed("prefix %q not declared", p)
		}
	}
	return nil
}

// end closes the innermost element. name is nil for an empty tag.
func (f *filter) end(name []byte) error {
	n := len(f.frames)
	if n == 0 {
		return malformed("end tag without a start")
	}
	fr := &f.frames[n-1]
	if name != nil && !bytes.Equal(name, f.names[fr.name:]) {
		return malformed("</%s> closes <%s>", name, f.names[fr.name:])
	}
	switch fr.role {
	case roleSkipped:
		if f.skip == n-1 {
			if f.field != "" {
				f.tellField()
			}
			f.skip, f.watch = -1, false
		}
	case roleUnwrap, roleList, roleGone:
	case roleDeletion:
		if err := f.closeDeletion(fr); err != nil {
			return err
		}
	case roleBinary, roleItem, roleTitle, roleMaker:
		if err := f.settle(fr); err != nil {
			return err
		}
	default:
		switch fr.role {
		case roleMeta:
			f.meta = -1
		case roleSettings:
			f.settings = -1
		case roleStyle:
			f.style = ""
		case roleCell:
			f.copies, f.errors.at = 0, 0
		}
		if fr.lost != "" && fr.role != roleImage {
			f.settleFrame(fr)
		}
		waits := len(f.changes.open) > 0 && name != nil && f.closing(fr)
		if name != nil && !waits && (fr.role != roleImage || fr.lost == "") {
			f.puts("</")
			f.puts(fr.canon)
			f.puts(">")
		}
	}
	if fr.held {
		if err := f.closeImage(fr, &f.frames[n-2]); err != nil {
			return err
		}
	}
	if fr.block > 0 {
		f.changes.region.blocks[fr.block-1].end = len(f.out)
	}
	for i := len(f.bindings) - 1; i >= fr.scope; i-- {
		f.current[f.bindings[i].prefix] = f.bindings[i].before
	}
	f.bindings = f.bindings[:fr.scope]
	if fr.fresh {
		f.forget()
	}
	f.names = f.names[:fr.name]
	f.frames = f.frames[:n-1]
	return nil
}

// settle ends an element whose text was wanted whole.
func (f *filter) settle(fr *frame) error {
	f.capture = nil
	text := f.text
	f.text = f.text[:0]
	switch fr.role {
	case roleBinary:
		return f.writeBinary(text)
	case roleItem:
		f.writeItem(string(text))
	case roleTitle:
		if t := strings.TrimSpace(string(text)); t != "" && len(t) <= maxWord && !strings.ContainsFunc(t, unicode.IsControl) {
			f.puts("<dc:title>")
			f.out = xmlscan.AppendEscaped(f.out, []byte(t))
			f.puts("</dc:title>")
		}
	case roleMaker:
		// LibreOffice lays out by the version that wrote the file.
		if t := strings.TrimSpace(string(text)); generator.MatchString(t) {
			f.puts("<meta:generator>" + t + "</meta:generator>")
		}
	default:
		return fmt.Errorf("role %d: %w", fr.role, sanitize.ErrUnsupported)
	}
	if cap(f.text) > 4<<20 {
		f.text = nil
	}
	return nil
}

// characters writes text.
func (f *filter) characters() error {
	s := f.s
	if len(f.frames) == 0 {
		if len(bytes.TrimSpace(s.Text)) > 0 || s.Escape {
			return malformed("text outside of the root")
		}
		return nil
	}
	if f.skip >= 0 {
		if f.watch && len(bytes.TrimSpace(s.Text)) > 0 {
			f.found("odf.macro", sanitize.Removed, "")
		}
		return nil
	}
	if f.capture != nil {
		if int64(len(f.text)+len(s.Text)) > f.d.s.Options.Limits.OutputBytes {
			return fmt.Errorf("text of more than %d bytes: %w", f.d.s.Options.Limits.OutputBytes, sanitize.ErrLimit)
		}
		if s.Escape {
			f.text = append(f.text, s.Text...)
		} else {
			f.text = xmlscan.AppendDecoded(f.text, s.Text)
		}
		return nil
	}
	if top := f.frames[len(f.frames)-1].role; len(f.changes.open) > 0 || top == roleList || top == roleDeletion {
		return nil
	}
	if f.errors.at > 0 {
		f.errorText()
	}
	if f.meta >= 0 || f.settings >= 0 {
		if len(bytes.TrimSpace(s.Text)) > 0 {
			return nil // belongs to nothing that stays
		}
	}
	if s.Escape {
		f.out = xmlscan.AppendEscaped(f.out, s.Text)
		return nil
	}
	f.put(s.Raw)
	return nil
}

// attribute returns the decoded value of an attribute of the tag in the scanner,
// by its name in the output.
func (f *filter) attribute(canon string) (string, bool) {
	prefix, local, _ := strings.Cut(canon, ":")
	for i := range f.s.Attrs {
		p, l := xmlscan.Split(f.s.Attrs[i].Name)
		if len(p) == 0 || string(l) != local {
			continue
		}
		if b := f.lookup(p); b != nil && b.words != nil && b.words.prefix == prefix {
			return string(xmlscan.AppendDecoded(nil, f.s.Attrs[i].Value)), true
		}
	}
	return "", false
}

// textual reports whether the element in the scanner stands in a text, the one
// document with formulas of Writer.
func (f *filter) textual() bool {
	for i := len(f.frames) - 1; i >= 0; i-- {
		if b := bodyOf(f.frames[i].canon); b != 0 {
			return b == bodyText
		}
	}
	// Headers and footers stand among the styles.
	if o := f.folder(); o != nil && o.body != 0 {
		return o.body == bodyText
	}
	return f.d.body == bodyText
}

// within reports whether an element of that name is open.
func (f *filter) within(canon string) bool {
	for i := len(f.frames) - 1; i >= 0; i-- {
		if f.frames[i].canon == canon {
			return true
		}
	}
	return false
}
