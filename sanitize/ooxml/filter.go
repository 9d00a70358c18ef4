package ooxml

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// filter copies one XML part without what may not stay. Elements and attributes
// that stay are copied as they were written, byte for byte; comments,
// processing instructions and CDATA sections become what they mean.
//
// A part can be far larger than memory, so the filter decides while it reads.
// Where the decision needs what comes later (a field's code over many runs, an
// alternative of which one branch loses its picture) the output is held.
type filter struct {
	part     *part
	report   *report
	maxDepth int
	flags    packageFlags
	values   bool // cells keep no formulas

	s        *xmlscan.Scanner
	out      output
	names    []byte // of the open elements, one behind the other
	frames   []frame
	bindings []binding
	current  map[string]int // prefix: its binding
	uris     map[string]namespace
	skip     int // frames from here on are not copied
	lost     int // pictures, objects and elements of no vocabulary lost so far
	blips    int // pictures of DrawingML and VML that stay so far
	rootGone bool
	controls int // the open p:controls, or -1
	tooMuch  bool
	edits    []edit
	prefixes []int // of the attributes in the scanner: their bindings
	tag      []byte

	text    *[]byte // where decoded text goes, when someone wants it
	formula []byte
	value   []byte

	steps   steps
	stories [][]*field // open fields, by story
	hidden  int        // of them, those whose result no reader saw
	joint   *joint
	shared  map[string]bool

	definitions definitions // of the workbook: they outlive its part
}

// packageFlags is what a part must know of the whole document.
type packageFlags struct {
	dropSlicers bool
	dropPivots  bool
	comments    bool // they go
	changes     changeFate
	links       sanitize.URLs
}

const (
	// Excel writes a formula of 8,192 characters; one of a table's column names
	// in XML is longer.
	maxCapture = 64 << 10
	// Fields in fields; real ones stop at five.
	maxFields = 20
	// Pieces of one field's code; Word cuts a long one into dozens.
	maxPieces = 100000
)

func newFilter(maxDepth int) *filter {
	return &filter{s: xmlscan.New(nil), maxDepth: maxDepth}
}

// run copies the part in r to w.
func (f *filter) run(p *part, rep *report, flags packageFlags, r io.Reader, w io.Writer) error {
	f.part, f.report, f.flags = p, rep, flags
	f.s.Reset(r)
	f.s.VML = p.class == classVML
	f.out = output{w: w, buf: f.out.buf[:0], cuts: f.out.cuts[:0]}
	f.names, f.frames, f.bindings, f.edits = f.names[:0], f.frames[:0], f.bindings[:0], f.edits[:0]
	f.current, f.uris, f.shared = map[string]int{}, map[string]namespace{}, nil
	f.skip, f.lost, f.blips, f.text, f.rootGone, f.controls, f.tooMuch = -1, 0, 0, nil, false, -1, false
	f.stories, f.hidden, f.joint = append(f.stories[:0], nil), 0, nil
	f.out.writeString("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n")
	rooted := false
	for {
		t, err := f.s.Next()
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
			root := len(f.frames) == 0
			err = f.start()
			if err == nil && root && !f.rootFits() {
				err = malformed("begins with <%s>", f.s.Name)
			}
		case xmlscan.End:
			err = f.end(f.s.Name)
		case xmlscan.Text:
			err = f.characters()
		default:
			err = fmt.Errorf("token %d: %w", t, sanitize.ErrUnsupported)
		}
		if err == nil && f.tooMuch {
			err = fmt.Errorf("too many pieces: %w", sanitize.ErrLimit)
		}
		if err != nil {
			return f.explain(err)
		}
		if err := f.out.settle(false); err != nil {
			return err
		}
	}
	if len(f.frames) > 0 {
		return f.explain(malformed("ends early"))
	}
	if !rooted {
		return f.explain(malformed("no element"))
	}
	f.endStory()
	return f.out.settle(true)
}

// rootFits reports whether the root, just read, stays and is the one that the
// part's type promises.
func (f *filter) rootFits() bool {
	if f.rootGone {
		return false
	}
	_, local := xmlscan.Split(f.s.Name)
	return f.part.root == "" || f.part.root == string(local)
}

func (f *filter) explain(err error) error {
	if errors.Is(err, sanitize.ErrMalformed) || errors.Is(err, sanitize.ErrLimit) {
		return fmt.Errorf("part %s: %w", f.part.source, err)
	}
	return err
}

func (f *filter) start() error {
	s := f.s
	if len(f.frames) >= f.maxDepth {
		return fmt.Errorf("elements more than %d deep: %w", f.maxDepth, sanitize.ErrLimit)
	}
	scope := len(f.bindings)
	for i := range s.Attrs {
		n := s.Attrs[i].Name
		if len(n) < 5 || string(n[:5]) != "xmlns" {
			continue
		}
		if len(n) == 5 {
			f.value = xmlscan.AppendDecoded(f.value[:0], s.Attrs[i].Value)
			if err := f.declare("", f.value); err != nil {
				return err
			}
		} else if n[5] == ':' {
			f.value = xmlscan.AppendDecoded(f.value[:0], s.Attrs[i].Value)
			if err := f.declare(string(n[6:]), f.value); err != nil {
				return err
			}
		}
	}
	prefix, local := xmlscan.Split(s.Name)
	ns, err := f.resolve(prefix, true)
	if err != nil {
		return err
	}
	f.frames = append(f.frames, frame{name: len(f.names), space: ns.space, scope: scope, begin: f.out.pos()})
	f.names = append(f.names, s.Name...)
	fr := &f.frames[len(f.frames)-1]
	if f.skip >= 0 {
		fr.role = roleSkipped
		if err := f.checkAttrs(); err != nil {
			return err
		}
	} else {
		f.edits = f.edits[:0]
		if err := f.judge(fr, ns, local); err != nil {
			return err
		}
		if fr.role == roleSkipped {
			f.skip = len(f.frames) - 1
		}
	}
	if s.Empty {
		return f.end(nil)
	}
	return nil
}

// checkAttrs makes sure that what is not copied is well-formed too.
func (f *filter) checkAttrs() error {
	for i := range f.s.Attrs {
		if p, _ := xmlscan.Split(f.s.Attrs[i].Name); len(p) > 0 && string(p) != "xmlns" {
			if _, err := f.resolve(p, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge decides on the element in the scanner and writes its start tag if it
// stays.
func (f *filter) judge(fr *frame, ns namespace, local []byte) error {
	sp := ns.space
	d := f.decide(fr, sp, local)
	if n := len(f.frames); n >= 2 && f.frames[n-2].role == roleAlt && !isBranch(sp, local) {
		d = dropQuietly // part 3, 7.5: nothing else stands in an alternative
	}
	if d == keep && !f.known(ns, local) {
		d = f.foreign(local)
	}
	switch d {
	case drop, dropQuietly:
		f.discard(fr, d)
		return f.checkAttrs()
	case unwrap:
		f.rootGone = f.rootGone || len(f.frames) == 1
		if fr.role != roleControls && fr.role != roleOld {
			fr.role = roleUnwrap
		}
		fr.body = f.out.pos()
		return f.checkAttrs()
	case keep:
	default:
		return fmt.Errorf("verdict %d: %w", d, sanitize.ErrUnsupported)
	}
	if d, err := f.judgeAttrs(ns, local); err != nil {
		return err
	} else if d != keep {
		f.discard(fr, d)
		return nil
	}
	if f.flags.changes != changesStay {
		f.beforeElement(fr, local)
	}
	switch fr.role {
	case rolePlain, roleReplaced, roleSlide, roleTree:
	case roleStory:
		f.beginStory()
	case roleBranch:
		f.denyOpenCode()
		// Both branches tell the same story; a field must not begin in one and
		// end in the other.
		f.beginStory()
		fr.holds = true
	case roleFormula, roleName, roleInstr, roleText:
		f.formula = f.formula[:0]
		f.text = &f.formula
		fr.holds = true
	default:
		fr.holds = true
	}
	if fr.holds {
		f.out.hold() // whether it stays is known at its end
	}
	if sp == spaceDrawing && string(local) == "blip" || sp == spaceVML && string(local) == "imagedata" {
		f.blips++
	}
	if p := f.owner(); p != nil && !(sp == spaceMain2 && string(local) == "sqref") {
		p.kids++ // the place of a rule is no rule
	}
	f.writeTag(fr)
	fr.body = f.out.pos()
	return nil
}

// discard skips an element and tells those who contain it.
func (f *filter) discard(fr *frame, d verdict) {
	fr.role = roleSkipped
	f.rootGone = f.rootGone || len(f.frames) == 1
	if d == drop {
		f.loseSomething()
	}
	for i := len(f.frames) - 2; i >= 0; i-- {
		switch f.frames[i].role {
		case roleUnwrap, roleControls, roleOld:
			continue
		case roleList:
			f.frames[i].doomed = true // a list that is empty in the end goes too
		}
		break
	}
}

// loseSomething marks the unit that cannot stay without all of its content.
func (f *filter) loseSomething() {
	for i := len(f.frames) - 2; i >= 0; i-- {
		if r := f.frames[i].role; r == roleUnit || r == roleForeign {
			f.frames[i].doomed = true
			return
		}
	}
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
	switch {
	case fr.role == roleSkipped:
		if f.skip == n-1 {
			f.skip = -1
		}
	case fr.role == roleUnwrap:
	case fr.role == roleOld:
		f.restore(fr)
	case fr.role == roleControls:
		f.controls = -1
	default:
		if err := f.finish(fr, name != nil); err != nil {
			return err
		}
	}
	f.leave(fr.scope)
	f.names = f.names[:fr.name]
	if fr.holds {
		f.out.release()
	}
	f.frames = f.frames[:n-1]
	return nil
}

// finish writes the end tag and takes the decisions that waited for it.
func (f *filter) finish(fr *frame, tag bool) error {
	if f.flags.changes != changesStay {
		f.beforeEnd(fr)
	}
	if f.hidden > 0 && fr.space == spaceWord && f.local(fr, len(f.frames)-1) == "p" {
		f.showResults()
	}
	inner := f.out.pos()
	switch fr.role {
	case roleFormula, roleName:
		f.finishFormula(fr, tag)
	case roleStory:
		f.endStory()
	case roleTree:
		// Pictures of controls, which come behind the tree, belong into it.
		if g := &f.frames[len(f.frames)-2]; g.role == roleSlide && !g.holds && tag {
			g.extra.tree, g.holds = f.out.pos(), true
			f.out.hold()
		}
	case roleChartRef:
		if fr.endTag == "-" {
			return nil // its tags went, its cache stays
		}
	}
	if tag && fr.endTag != "-" {
		if fr.endTag != "" {
			f.out.writeString("</" + fr.endTag + ">")
		} else {
			f.out.write(f.s.Raw)
		}
	}
	switch fr.role {
	case roleAlt:
		fr.extra.inner = inner
		f.finishAlternative(fr)
	case roleBranch:
		f.endBranch(fr, inner)
	case roleList:
		if fr.kids == 0 && fr.doomed {
			f.cutFrame(fr)
			f.nothingToDo(fr)
		}
	case roleStep:
		if fr.doomed {
			f.cutFrame(fr)
			f.steps.forget(fr.extra)
		}
	case roleUnit, roleRule, roleName, roleFormula:
		fr.doomed = fr.doomed || fr.role == roleUnit && fr.extra != nil && f.steps.broken()
		if fr.doomed {
			f.cutFrame(fr)
		}
	case roleSingle:
		if fr.doomed || fr.extra != nil && fr.extra.cells < 0 {
			f.cutFrame(fr)
		} else {
			f.rowStays()
		}
	case roleCell:
		f.endCell(fr)
	case roleParagraph:
		f.endParagraph(fr, inner)
	case roleForeign:
		if fr.doomed || fr.extra.kind == "" {
			f.cutFrame(fr)
		} else {
			at := f.out.pos()
			f.out.writeString(fr.extra.kind)
			f.out.move(at, fr.extra.tree)
		}
	case roleTable:
		if fr.doomed && fr.holds {
			f.cutFrame(fr)
		}
	case roleFrame:
		f.finishGraphicFrame(fr)
	case rolePicture:
		if g := f.openFrame(); g != nil {
			g.extra.pictures = append(g.extra.pictures, span{fr.begin, f.out.pos()})
		}
	case roleMoved:
		for i := f.controls - 1; i >= 0; i-- {
			if g := &f.frames[i]; g.role == roleSlide {
				g.extra.tree = f.out.move(fr.begin, g.extra.tree)
				g.extra.moved++
				break
			}
		}
	case roleFldChar:
		f.fieldEvent(fr)
	case roleInstr:
		f.text = nil
		f.finishInstruction(fr)
	case roleText:
		f.text = nil
		for _, x := range f.open() {
			if !x.result && len(x.texts) < maxPieces {
				x.texts = append(x.texts, span{fr.begin, f.out.pos()})
			} else if !x.result {
				f.tooMuch = true
			}
		}
		if top := f.top(); top != nil && !top.result {
			f.addCode(top, fr.extra.kind == "delText")
		}
	}
	if f.flags.changes != changesStay {
		f.afterElement(fr)
	}
	return nil
}

// cutFrame takes an element out after it was written.
func (f *filter) cutFrame(fr *frame) {
	f.out.cut(fr.begin, f.out.pos())
	if p := f.owner(); p != nil {
		p.kids--
		if p.role == roleList || p.role == roleTable {
			p.doomed = true // something went; a list that is empty now goes too
		}
		if p.role == roleUnit && p.kids == 0 {
			p.doomed = true
		}
	}
}

// characters copies text.
func (f *filter) characters() error {
	s := f.s
	if len(f.frames) == 0 {
		if len(bytes.TrimSpace(s.Text)) > 0 || s.Escape {
			return malformed("text outside of the root")
		}
		return nil
	}
	if f.skip >= 0 || f.controls >= 0 && !f.moving() || f.hidden > 0 {
		return nil
	}
	if f.text == nil && len(bytes.TrimSpace(s.Text)) > 0 && f.codeOpen() {
		f.denyOpenCode()
	}
	if f.text != nil && len(*f.text) <= maxCapture { // what is longer cannot be judged, and goes
		if s.Escape {
			*f.text = append(*f.text, s.Text...)
		} else {
			*f.text = xmlscan.AppendDecoded(*f.text, s.Text)
		}
	}
	if s.Escape {
		f.tag = xmlscan.AppendEscaped(f.tag[:0], s.Text)
		f.out.write(f.tag)
		return nil
	}
	f.out.write(s.Raw)
	return nil
}
