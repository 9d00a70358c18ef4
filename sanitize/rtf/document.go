package rtf

import (
	"context"
	"fmt"

	"sekisho/sanitize"
)

const (
	// maxDepth is how deep groups may stand in groups: Word's own stay under 40,
	// and readers that call themselves for each run out of stack.
	maxDepth = 512
	// maxFonts is how many fonts a file may define; Word writes some 800 at most.
	maxFonts = 8192
	// maxCells is how many cells a row may have: Word knows 63, others write more.
	maxCells = 256
	// maxText bounds what is collected to be judged as a whole: a field's code, a
	// name, a form field.
	maxText = 64 << 10
	// maxPictures is how many pictures a file may have.
	maxPictures = 5000
)

// group is the state of one group of the file.
type group struct {
	part  part
	shell part // of a group in a shell whose destination has not come yet: which one
	outer part // of \upr: what its text is
	ours  bool // opened here, for a destination that began in the middle of a group
	named bool // a destination began in it
	used  bool // something stood in it
	sets  bool // \shppict, \shpinst: its parent has what the older form would say again
	has   bool // it had one of these
	uc    int32

	run    run // which of the fonts the text is in
	font   int32
	unsaid bool     // the font is that of the file, no word named it
	fontOf [3]int32 // by run, -1 for none

	field    *field
	object   *object
	property *property
	picture  *picture
	levels   *int // of \list and \listoverride: how many may still stand
	exact    bool // of \listoverride: and must
	shape    bool // it stands in a shape
	deleted  bool // its text was deleted in a tracked change
	override bool // it is one
}

// run says which of its fonts text is in: Word names three.
type run uint8

const (
	runPlain run = iota
	runLow
	runHigh
	runDouble
)

// document is one file on its way.
type document struct {
	ctx    context.Context
	s      *sanitize.Session
	in     sanitize.Object
	scan   *scanner
	words  map[string]word
	w      *writer // to the file, or what collects
	report report

	embedded sanitize.Embedded

	groups []group
	star   bool // \* was read

	codePage string           // of text whose font says nothing
	fonts    map[int32]string // their code pages, "" for that of the file
	deff     int32
	defining int32 // the font that is being defined, -1 for none
	fontName []byte
	named    bool // its name said its charset

	pending  []byte // text in a code page, not decoded yet
	eat      int32  // characters that stand for the last \u, for readers that do not know it
	high     rune   // the first half of a pair
	cells    int
	pictures int
	template []rune
	grey     []byte
}

func (d *document) top() *group { return &d.groups[len(d.groups)-1] }

// walk reads the file to the end of its first group.
func (d *document) walk() error {
	file := d.w
	for n := 0; n == 0 || len(d.groups) > 0; n++ {
		if n%4096 == 0 && d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		if file.err != nil {
			return file.err
		}
		k, err := d.scan.next()
		if err != nil {
			return err
		}
		if n == 0 {
			if k != tokenOpen {
				return fmt.Errorf("it begins with no group: %w", sanitize.ErrMalformed)
			}
			d.groups = append(d.groups, group{named: true, uc: 1, unsaid: true, fontOf: [3]int32{-1, -1, -1}})
			d.w.open()
			// All text is \u, so that the code page matters only to what readers
			// think of fonts.
			d.w.controlNumber("rtf", 1)
			d.w.control("ansi")
			d.w.controlNumber("uc", 1)
			continue
		}
		switch k {
		case tokenEnd:
			d.report.found("rtf.unfinished", sanitize.Rewritten, "")
			for len(d.groups) > 0 {
				if err := d.close(); err != nil {
					return err
				}
			}
		case tokenOpen:
			err = d.open()
		case tokenClose:
			err = d.close()
		case tokenWord:
			err = d.control()
		case tokenSymbol:
			d.symbol(d.scan.char)
		case tokenHex:
			d.star = false
			d.octets([]byte{d.scan.char})
		case tokenText:
			d.star = false
			d.octets(d.scan.text)
			d.secondHalf()
		}
		if err != nil {
			return err
		}
	}
	if d.scan.rest() {
		d.report.found("rtf.trailing", sanitize.Rewritten, "")
	}
	d.w.raw("\r\n")
	d.w.flush()
	return d.w.err
}

// open begins a group.
func (d *document) open() error {
	d.settle()
	d.star = false
	if len(d.groups) >= maxDepth {
		return fmt.Errorf("groups more than %d deep: %w", maxDepth, sanitize.ErrLimit)
	}
	up := d.top()
	up.used = true
	g := *up
	g.ours, g.named, g.used, g.sets, g.has, g.shell = false, false, false, false, false, 0
	switch {
	case up.part == partForm, up.part == partList:
		g.part = partBody
	case shell(up.part):
		// A destination may follow that belongs here; anything else does not.
		g.part, g.shell = partSkip, up.part
	}
	d.groups = append(d.groups, g)
	d.w.open()
	return nil
}

// shell reports whether a destination is one that holds others, and whose own
// text is nothing.
func shell(p part) bool {
	switch p {
	case partUpr, partField, partInner, partObject, partPicture, partPicProp, partProperty:
		return true
	default:
		return false
	}
}

// close ends a group, and those that were opened here inside of it.
func (d *document) close() error {
	d.settle()
	d.star = false
	for {
		g := *d.top()
		if err := d.leave(&g); err != nil {
			return err
		}
		d.groups = d.groups[:len(d.groups)-1]
		d.w.close()
		if len(d.groups) == 0 {
			return nil
		}
		if g.sets {
			d.top().has = true
		}
		if !g.ours {
			return nil
		}
	}
}

// leave does what the end of a destination asks for. A group has what its parent
// has, so that only the one in which a destination began ends it.
func (d *document) leave(g *group) error {
	var up group
	if n := len(d.groups); n > 1 {
		up = d.groups[n-2]
	}
	switch {
	case g.part == partForm, g.part == partPicProp:
		d.release(g)
	case g.part == partTemplate && up.part != partTemplate:
		d.report.found("rtf.template", sanitize.Removed, string(d.template))
		d.template = nil
	case g.part == partList && g.exact:
		// As many as were announced: a reader may take that number for granted
		// (CVE-2014-1761).
		for ; *g.levels > 0; *g.levels-- {
			d.w.open()
			d.w.control("lfolevel")
			d.w.close()
		}
	}
	switch {
	case g.picture != nil && g.picture != up.picture:
		return d.endPicture(g)
	case g.property != nil && g.property != up.property:
		d.endProperty(g.property)
	case g.field != nil && g.field != up.field:
		d.decide(g.field, false)
		d.prompt(g.field)
	case g.object != nil && g.object != up.object:
		return d.endObject(g.object)
	}
	return nil
}

// settle ends a run of characters.
func (d *document) settle() {
	if len(d.pending) > 0 {
		d.decode()
	}
	d.eat = 0
}

// writes reports whether words of format belong into the group.
func (g *group) writes() bool {
	switch g.part {
	case partBody, partLevel, partForm, partList:
		return true
	default:
		return false
	}
}

// waits reports whether a destination may still come that makes something of the
// group.
func (g *group) waits() bool { return g.part != partSkip || g.shell != 0 && !g.used }

// control does what a control word says.
func (d *document) control() error {
	star := d.star
	d.star = false
	number, has := d.scan.number, d.scan.has
	if string(d.scan.text) == "bin" {
		return d.binary(int64(number))
	}
	g := d.top()
	if !g.waits() {
		return nil
	}
	w, known := d.words[string(d.scan.text)]
	if !known {
		d.settle()
		if star {
			d.report.found("rtf.unknown", sanitize.Rewritten, string(d.scan.text))
			d.skip()
		}
		return nil
	}
	name := w.name
	switch w.role {
	case roleState:
		d.setting(name, number, has)
		return nil
	case roleChar:
		if name == "chatn" && d.s.Options.Comments {
			return nil // the mark of a comment
		}
		if d.eat > 0 && w.quote {
			d.eat-- // it stands for the \u before it
			return nil
		}
	}
	d.settle()
	switch w.role {
	case rolePart, roleGone:
		return d.begin(name, w, star)
	case roleFormat:
		if (d.s.Options.Accept || d.s.Options.Reject) && tracked(name) {
			return d.change(name, !has || number != 0)
		}
		if w.high > 0 && has && (number < w.low || number > w.high) {
			return nil
		}
		if g.writes() {
			if star && !g.used && w.starred {
				d.w.star() // a style that old readers are to pass over
			}
			d.put(name, number, has)
		}
	case roleChar:
		d.character(name, w.rune)
	case roleFont:
		if g.part == partFonts {
			d.put(name, number, has)
		}
	case roleColor:
		if g.part == partColors && has && number >= 0 && number <= w.high {
			d.put(name, number, has)
		}
	case rolePicture:
		switch {
		case g.part == partPicture:
			g.picture.word(name, number, has)
		case name == "shplid" && (g.writes() || g.part == partPicProp):
			d.put(name, number, has)
		}
	case roleField:
		if g.part == partField {
			g.field.flag(name)
		}
	case roleDenied:
		if g.writes() {
			d.report.found(w.rule, w.act, "")
		}
	}
	return nil
}

// put writes a control word.
func (d *document) put(name string, number int32, has bool) {
	d.top().used = true
	if has {
		d.w.controlNumber(name, number)
	} else {
		d.w.control(name)
	}
}

// skip drops what is left of the group.
func (d *document) skip() {
	g := d.top()
	g.part, g.shell, g.used = partSkip, 0, true
}

// inList reports whether a level that begins here stands right below its list, in
// the group that was just opened or in one that will be. In any other place some
// readers count it and others do not.
func (d *document) inList() bool {
	g, n := d.top(), len(d.groups)
	if g.levels == nil {
		return false
	}
	return g.part == partList || n > 1 && d.groups[n-2].part == partList && !g.named && !g.used
}

// begin begins a destination: in this group when nothing stood in it yet, else
// in one of our own, since a destination changes only what follows it.
func (d *document) begin(name string, w word, star bool) error {
	g := d.top()
	from := g.part
	if from == partSkip {
		from = g.shell
	}
	if w.part == partProperty && from != partPicProp && !g.shape {
		return nil // of no shape; what follows is text
	}
	if w.role == roleGone || !belongs(from, w.part) {
		d.turnAway(name, w, from)
		return nil
	}
	if d.s.Options.Comments && comment(name) {
		if name == "annotation" {
			d.report.found("rtf.comment", sanitize.Removed, "")
		}
		d.skip()
		return nil
	}
	if (d.s.Options.Accept || d.s.Options.Reject) && (name == "revtbl" || g.deleted && !shell(from)) {
		d.skip() // who changed it; what stands in what was deleted
		return nil
	}
	if w.part == partOneLevel && (!d.inList() || *g.levels <= 0 || (name == "lfolevel") != g.override) || w.part == partCode && g.field.decided {
		d.skip() // more than there may be
		return nil
	}
	if w.part == partOld && len(d.groups) > 1 && d.groups[len(d.groups)-2].has {
		d.skip() // what stood before it says the same
		return nil
	}
	if g.named || g.used {
		if len(d.groups) >= maxDepth {
			return fmt.Errorf("groups more than %d deep: %w", maxDepth, sanitize.ErrLimit)
		}
		g.used = true
		n := *g
		n.ours, n.used, n.has = true, false, false
		d.groups = append(d.groups, n)
		d.w.open()
		g = d.top()
	}
	g.named, g.part, g.shell = true, w.part, 0
	switch w.part {
	case partUpr:
		g.outer = from
	case partUnicode:
		g.part = partBody
		if from == partUpr {
			g.part = g.outer
		}
	case partField:
		if from == partCode || from == partInnerShown {
			// What its target is would be made by another field.
			g.part, g.field.nested = partInner, true
			g.field.says(' ')
			break
		}
		g.field = &field{}
	case partResult:
		if g.part = partBody; from == partInner {
			g.part = partInnerShown
		} else if from == partField && (d.decide(g.field, true) || g.field.stays) {
			d.w.control(name) // of several each is one
		}
	case partObject:
		g.object = d.object()
	case partShown:
		g.part = partBody
		if from == partObject {
			g.object.shown = true
		}
	case partPicture:
		g.picture = &picture{}
	case partProperty:
		g.property = &property{}
	case partForm, partPicProp:
		d.w = &writer{up: d.w}
		d.name(name, star)
	case partModern:
		g.part, g.sets = partBody, true
		g.shape = g.shape || name == "shpinst"
		d.name(name, star)
	case partOld:
		g.part = partBody
	case partList:
		g.levels = new(int)
		g.exact, g.override = false, name == "listoverride"
		if name == "list" {
			*g.levels = 9 // of an override as many as it says
		}
		d.name(name, star)
	case partOneLevel:
		*g.levels--
		g.part, g.levels = partBody, nil
		d.name(name, star)
	case partCode:
		if from == partInner {
			d.skip()
		}
	case partClass, partData, partName, partValue, partTemplate:
	default:
		if from == partFonts {
			g.part = partFonts
		}
		if w.part == partFonts {
			d.defining = -1
		}
		d.name(name, star)
	}
	return nil
}

// name writes the word that begins a destination.
func (d *document) name(name string, star bool) {
	if star {
		d.w.star()
	}
	if n := d.scan.number; name == "pnseclvl" && d.scan.has && n >= 1 && n <= 9 {
		d.w.controlNumber(name, n) // the one destination whose number says which it is
		return
	}
	d.w.control(name)
}

// turnAway drops a destination that does not stay, or that does not belong where
// it stands.
func (d *document) turnAway(name string, w word, from part) {
	switch {
	case w.role == roleGone && w.rule != "":
		d.report.found(w.rule, w.act, name)
	case w.part == partObject, w.part == partData && from != partObject:
		d.report.found("rtf.object", sanitize.Removed, "")
	case w.part == partTemplate:
		d.report.found("rtf.template", sanitize.Removed, "")
	}
	d.skip()
}

// belongs reports whether a destination may stand in another.
func belongs(in, p part) bool {
	switch in {
	case partField, partInner:
		return p == partCode || p == partResult
	case partObject:
		return p == partClass || p == partData || p == partShown
	case partProperty:
		return p == partName || p == partValue
	case partPicture:
		return p == partPicProp
	case partPicProp:
		return p == partProperty
	case partValue:
		return p == partPicture
	case partCode:
		return p == partForm || p == partField
	case partInnerShown:
		return p == partField
	case partFonts:
		return p == partBody
	case partUpr:
		return p == partUnicode
	case partBody, partForm, partList:
		switch p {
		case partCode, partClass, partData, partName, partValue, partPicProp, partForm:
			return false
		}
		return true
	default:
		return false
	}
}

// release ends what a destination collected that is written later.
func (d *document) release(g *group) {
	text := string(d.w.buf)
	d.w = d.w.up
	switch {
	case len(text) > maxText:
		d.report.found("rtf.unknown", sanitize.Rewritten, "")
	case g.part == partForm:
		g.field.form = text
	case g.part == partPicProp:
		g.picture.properties = text
	}
}
