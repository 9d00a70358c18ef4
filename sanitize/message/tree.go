package message

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"sekisho/sanitize"
)

// span is a range of octets of the message.
type span struct{ start, end int64 }

func (s span) size() int64 { return s.end - s.start }

// node is one entity of a message: the message itself, a multipart, a leaf.
// A message/rfc822 is a leaf here; it is read as a message of its own when its
// turn comes.
type node struct {
	path     string // "1.2" as IMAP counts; "" for the message itself
	fields   []field
	head     span
	body     span
	media    string // "text/plain", lower case; what is taken for it when none is named
	declared string // as the sender wrote it, lower case, "" when none
	charset  string
	typ      structured
	disp     structured
	encoding transfer
	multi    bool
	children []*node
	preamble span
	epilogue span
	unclosed bool // the message ended before the multipart did
	escapes  *int // of a text in quoted-printable: "=" that began no escape
}

func (n *node) field(key string) (string, bool) {
	for _, f := range n.fields {
		if f.key == key {
			return f.value, true
		}
	}
	return "", false
}

// tree is a whole message, read strictly.
type tree struct {
	root   *node
	doubts []doubt
	// What the union scanner is told is accounted for.
	delimiters []span
	mbox       bool
}

// complete reports whether the message was read to its end. One over a limit
// was not.
func (t *tree) complete() bool {
	return !slices.ContainsFunc(t.doubts, func(d doubt) bool { return d.code.class() == sanitize.ClassLimit })
}

type parser struct {
	lines  *lineReader
	r      io.ReaderAt
	limits *sanitize.Limits
	tree   *tree
	stack  []string // boundaries of the open multiparts
	parts  int
	seen   map[Code]int
	// Lines of "--" since skip began that were no delimiters.
	dashes int
	// Set while a message/rfc822 is skipped.
	inMessage bool
}

// parse reads the MIME structure of r. It returns an error only when r cannot
// be read; what is wrong with the message is in the doubts of the tree.
func parse(r io.ReaderAt, size int64, limits *sanitize.Limits) (*tree, error) {
	p := &parser{lines: newLineReader(r, size), r: r, limits: limits, tree: &tree{}, seen: map[Code]int{}}
	root, _ := p.entity("", "text/plain")
	p.tree.root = root
	if p.lines.err != nil {
		return nil, fmt.Errorf("read message: %w", p.lines.err)
	}
	if p.lines.nul >= 0 {
		p.doubt(NUL, p.lines.nul, "")
	}
	if p.lines.bareCR >= 0 {
		p.doubt(BareCR, p.lines.bareCR, "")
	}
	return p.tree, nil
}

// doubt notes a place where readers could differ. A message full of them is
// held for the first few.
func (p *parser) doubt(c Code, off int64, detail string) {
	const most = 5
	if p.seen[c]++; p.seen[c] <= most {
		p.tree.doubts = append(p.tree.doubts, doubt{c, off, detail})
	}
}

// stop ends the parse: a message over a limit is not read any further.
func (p *parser) stop() bool {
	return p.seen[TooDeep]+p.seen[TooManyParts]+p.seen[HeaderBytes]+p.seen[HeaderFields] > 0
}

// hit is what ended an entity.
type hit struct {
	level int // index of the multipart whose delimiter it was, -1 at the end of the message
	final bool
	start int64 // of the delimiter line
}

// ended is the hit of a message's end.
var ended = hit{level: -1}

// entity reads one entity up to the delimiter of a multipart around it.
func (p *parser) entity(path, defaultMedia string) (*node, hit) {
	n := &node{path: path}
	h, stopped := p.header(n)
	n.classify(p, defaultMedia)
	n.body = span{p.lines.offset(), p.lines.offset()}
	switch {
	case stopped:
		// The delimiter came before the header had ended.
		n.body = span{h.start, h.start}
		if n.multi {
			p.doubt(BoundaryUnused, n.head.start, "")
		}
		return n, h
	case p.stop():
		return n, ended
	case n.multi:
		return n, p.multipart(n)
	}
	if n.media == "message/rfc822" {
		p.inMessage = true
	}
	end, h := p.skip()
	p.inMessage = false
	n.body.end = max(end, n.body.start)
	return n, h
}

// header reads a header block. stopped is set when a delimiter ended it.
func (p *parser) header(n *node) (h hit, stopped bool) {
	start := p.lines.offset()
	end := start
	for {
		ln, ok := p.lines.next()
		if !ok {
			break
		}
		if hit, ok := p.delimiter(ln); ok {
			h, stopped = hit, true
			break
		}
		if ln.end == ln.start {
			break
		}
		end = ln.next
		if end-start > int64(p.limits.HeaderBytes) {
			p.doubt(HeaderBytes, start, "")
			break
		}
	}
	n.head = span{start, end}
	if p.stop() {
		return h, stopped
	}
	raw := make([]byte, end-start)
	if m, err := p.r.ReadAt(raw, start); m < len(raw) {
		p.lines.err = err
		return h, stopped
	}
	fs, ds, cut := readFields(raw, start, p.limits)
	n.fields = fs
	for _, d := range ds {
		p.doubt(d.code, d.off, d.detail)
	}
	if cut >= 0 {
		// The text began without an empty line; none of it is lost.
		n.head.end = cut
		p.lines.seek(cut)
		return hit{}, false
	}
	return h, stopped
}

// classify reads the structural fields of an entity.
func (n *node) classify(p *parser, defaultMedia string) {
	n.media = defaultMedia
	var typ, disp, cte *field
	only := func(have **field, f *field, c Code) {
		if *have == nil {
			*have = f
		} else if squeeze((*have).value) != squeeze(f.value) {
			p.doubt(c, f.off, n.path)
		}
	}
	for i := range n.fields {
		f := &n.fields[i]
		switch f.key {
		case "content-type":
			only(&typ, f, DuplicateType)
		case "content-disposition":
			only(&disp, f, DuplicateDisposition)
		case "content-transfer-encoding":
			only(&cte, f, DuplicateTransfer)
		default:
			continue
		}
		for _, c := range []byte(f.value) {
			// ESC stands in names written in raw ISO-2022-JP.
			if c < ' ' && c != '\t' && c != 0x1b || c == 0x7f {
				p.doubt(ControlInHeader, f.off, f.key)
				break
			}
		}
	}
	if typ != nil {
		n.typ = parseStructured(typ.value)
		n.mediaType(p, typ)
	}
	if disp != nil {
		n.disp = parseStructured(disp.value)
		n.sameNames(p, n.disp, "filename", disp.off)
	}
	n.multi = strings.HasPrefix(n.media, "multipart/")
	n.transfer(p, cte)
	if n.multi {
		n.openBoundary(p)
	}
	switch n.media {
	case "message/partial":
		// RFC 2046, 5.2.2: a piece of a mail that is whole nowhere here.
		p.doubt(Partial, n.head.start, "")
	}
}

// mediaType judges the type and its charset.
func (n *node) mediaType(p *parser, f *field) {
	word := n.typ.word
	n.declared = word
	major, minor, slash := strings.Cut(word, "/")
	major, minor = strings.TrimSpace(major), strings.TrimSpace(minor)
	container := strings.Contains(word, "multipart") || strings.Contains(word, "message")
	switch {
	case !ascii(word):
		p.doubt(TypeNotASCII, f.off, "")
		return
	case word == "" && n.typ.bad == "":
		return // an empty field says nothing
	case slash && token(major) && token(minor):
		if container && word != major+"/"+minor {
			p.doubt(TypeSyntax, f.off, "white space in the type")
		}
		n.media = major + "/" + minor
	case container:
		p.doubt(TypeSyntax, f.off, bounded(word, 60))
		return
	case word == "text":
		n.media = "text/plain" // before MIME, RFC 1049 knew types of one word
	default:
		n.media = "application/octet-stream"
	}
	if n.typ.bad != "" && (strings.HasPrefix(n.media, "multipart/") || strings.HasPrefix(n.media, "message/")) {
		p.doubt(TypeSyntax, f.off, n.typ.bad)
	}
	values, extended := n.typ.plain("charset")
	for _, v := range values {
		if n.charset == "" {
			n.charset = v.value
		} else if !strings.EqualFold(n.charset, v.value) && strings.HasPrefix(n.media, "text/") {
			p.doubt(DuplicateCharset, f.off, "")
		}
	}
	if extended && strings.HasPrefix(n.media, "text/") && len(values) > 0 {
		p.doubt(DuplicateCharset, f.off, "in two forms")
	}
	n.sameNames(p, n.typ, "name", f.off)
}

// sameNames doubts two parameters of one name that say different things.
// filename= beside filename*= is in order: RFC 6266 asks for both, and the most
// dangerous of them decides.
func (n *node) sameNames(p *parser, st structured, name string, off int64) {
	first := map[[2]int]string{}
	for _, q := range st.params {
		if q.name != name {
			continue
		}
		key := [2]int{q.section, 0}
		if q.extended && q.section < 0 {
			key[1] = 1
		}
		if v, ok := first[key]; ok && v != q.value {
			p.doubt(DuplicateName, off, n.path)
			return
		}
		first[key] = q.value
	}
}

// transfer judges the transfer encoding.
func (n *node) transfer(p *parser, f *field) {
	if f == nil {
		return
	}
	v := strings.ToLower(strings.Trim(f.value, " \t"))
	switch v {
	case "7bit", "8bit", "binary", "":
	case "7-bit", "8-bit", "7 bit", "8 bit", "7bits", "8bits", "none", "ascii", "us-ascii", "utf-8", "plain":
		// QUIRK: none of MIME's, but no reader unpacks anything for it, and what
		// leaves says how it is packed.
	case "base64":
		n.encoding = base64Transfer
	case "quoted-printable":
		n.encoding = quotedPrintable
	case "x-uuencode", "uuencode", "x-uue", "uue", "x-uu":
		n.encoding = uuTransfer
	case "x-yenc", "yenc":
		n.encoding = yencTransfer
	case "x-binhex", "binhex", "x-binhex40", "binhex40", "mac-binhex40", "x-mac-binhex40":
		n.encoding = binHexTransfer
	default:
		p.doubt(TransferUnknown, f.off, bounded(v, 60))
	}
	// RFC 2045, 6.4: nothing else is allowed on containers; some programs
	// decode it nevertheless, and others see one text without parts. A
	// message/rfc822 is read by decoding it: what others see then is nothing.
	if n.encoding != identity && n.multi {
		p.doubt(TransferOnContainer, f.off, v+" on "+n.media)
	}
}

// openBoundary judges a multipart's boundary.
func (n *node) openBoundary(p *parser) {
	off := n.head.start
	values, extended := n.typ.plain("boundary")
	switch {
	case extended:
		p.doubt(BoundaryExtended, off, "")
	case len(values) > 1:
		for _, v := range values[1:] {
			if v.value != values[0].value {
				p.doubt(DuplicateBoundary, off, "")
			}
		}
	case len(values) == 0:
		return // judged by what follows
	}
	if len(values) == 0 {
		return
	}
	b := values[0]
	if b.junk || b.escaped || !validBoundary(b.value) {
		p.doubt(BoundaryInvalid, off, "")
		return
	}
	for _, outer := range p.stack {
		// A boundary that only begins like an outer one is told from it by the
		// whole line, and mail programs in use write such boundaries.
		if outer == b.value || strings.HasPrefix(outer, b.value) {
			p.doubt(BoundaryNested, off, "")
		}
	}
}

// validBoundary: RFC 2046, 5.1.1, allows 1 to 70 characters of a set that
// senders widely exceed; what is refused is what programs cut or trim.
func validBoundary(b string) bool {
	if b == "" || len(b) > 70 || b[len(b)-1] == ' ' {
		return false
	}
	for i := 0; i < len(b); i++ {
		if b[i] < ' ' || b[i] > '~' || b[i] == '"' || b[i] == '\\' {
			return false
		}
	}
	return true
}

// multipart reads the parts of n, whose header has just been read.
func (p *parser) multipart(n *node) hit {
	values, _ := n.typ.plain("boundary")
	if len(values) == 0 || values[0].value == "" {
		end, h := p.skip()
		n.body.end = max(end, n.body.start)
		switch _, extended := n.typ.plain("boundary"); {
		case extended || len(values) > 0: // said already
		case p.dashes > 0:
			p.doubt(BoundaryMissing, n.head.start, "")
		default:
			// Programs that guess a boundary find none to guess.
			n.multi, n.media, n.charset = false, "text/plain", ""
		}
		return h
	}
	if len(p.stack) >= p.limits.MIMEDepth {
		p.doubt(TooDeep, n.head.start, strconv.Itoa(len(p.stack)))
		return ended
	}
	level := len(p.stack)
	p.stack = append(p.stack, values[0].value)
	end, h := p.skip()
	n.preamble = span{n.body.start, max(end, n.body.start)}
	if h.level != level || h.final {
		if p.dashes > 0 {
			p.doubt(BoundaryUnused, n.body.start, "")
		} else {
			// No line of it could be a delimiter to anybody: a text whose
			// sender promised parts and wrote none.
			n.multi, n.media, n.charset = false, "text/plain", ""
			n.body = n.preamble
			for h.level == level {
				_, h = p.skip()
			}
			p.stack = p.stack[:level]
			return h
		}
	}
	childMedia := "text/plain"
	if n.media == "multipart/digest" {
		childMedia = "message/rfc822" // RFC 2046, 5.1.5
	}
	for h.level == level && !h.final {
		if p.parts++; p.parts > p.limits.MIMEParts {
			p.doubt(TooManyParts, h.start, "")
			return ended
		}
		path := strconv.Itoa(len(n.children) + 1)
		if n.path != "" {
			path = n.path + "." + path
		}
		var child *node
		child, h = p.entity(path, childMedia)
		n.children = append(n.children, child)
		if p.stop() {
			return ended
		}
	}
	if h.level == level {
		start := p.lines.offset()
		for {
			end, h = p.skip()
			if h.level != level {
				break
			}
			// RFC 2046, 5.1.1: what follows the close delimiter is no part. Not
			// every program stops there.
			p.doubt(PartInEpilogue, h.start, "")
		}
		n.epilogue = span{start, max(end, start)}
	} else {
		n.unclosed = true
		if h.level >= 0 {
			p.doubt(BoundaryUnclosed, n.head.start, "")
		}
	}
	n.body.end = p.lines.offset()
	if h.level >= 0 {
		n.body.end = h.start
	}
	p.stack = p.stack[:level]
	return h
}

// skip reads to the next delimiter and returns where the text before it ends.
func (p *parser) skip() (end int64, h hit) {
	end = p.lines.offset()
	p.dashes = 0
	for {
		ln, ok := p.lines.next()
		if !ok {
			return p.lines.offset(), ended
		}
		if h, ok := p.delimiter(ln); ok {
			return end, h
		}
		end = ln.end
	}
}

// delimiter tells whether a line is a delimiter of a multipart around it. The
// innermost is asked first.
func (p *parser) delimiter(ln line) (hit, bool) {
	if len(ln.prefix) < 3 || ln.prefix[0] != '-' || ln.prefix[1] != '-' {
		return hit{}, false
	}
	p.dashes++
	rest := ln.prefix[2:]
	for level := len(p.stack) - 1; level >= 0; level-- {
		tail, ok := bytes.CutPrefix(rest, []byte(p.stack[level]))
		if !ok {
			continue
		}
		// RFC 2046, 5.1.1: white space behind a boundary was added on the way.
		tail = bytes.TrimRight(tail, " \t")
		if ln.whole() && (len(tail) == 0 || string(tail) == "--") {
			p.dashes--
			p.tree.delimiters = append(p.tree.delimiters, span{ln.start, ln.next})
			return hit{level: level, final: len(tail) > 0, start: ln.start}, true
		}
		// The same section has the beginning of the line compared: programs
		// that obey it see a delimiter here. In a forwarded message it may well
		// be a delimiter of its own.
		if !p.inMessage {
			p.doubt(BoundaryJunk, ln.start, "")
		}
	}
	return hit{}, false
}

func squeeze(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// token: RFC 2045, 5.1.
func token(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// where is what the tree takes a stretch of the message for.
type where uint8

const (
	inHeader where = iota + 1
	inDelimiter
	inLeaf
	inPreamble
	inEpilogue
)

// place is a stretch of the message that the tree accounts for.
type place struct {
	span
	what   where
	fields map[int64]bool // offsets of the fields of a header
}

// places lists what the tree accounts for, in order.
func (t *tree) places() []place {
	var ps []place
	var walk func(n *node)
	walk = func(n *node) {
		h := place{span: n.head, what: inHeader, fields: map[int64]bool{}}
		for _, f := range n.fields {
			h.fields[f.off] = true
		}
		ps = append(ps, h)
		if !n.multi {
			ps = append(ps, place{span: n.body, what: inLeaf})
			return
		}
		ps = append(ps, place{span: n.preamble, what: inPreamble})
		for _, c := range n.children {
			walk(c)
		}
		ps = append(ps, place{span: n.epilogue, what: inEpilogue})
	}
	walk(t.root)
	for _, d := range t.delimiters {
		ps = append(ps, place{span: d, what: inDelimiter})
	}
	slices.SortStableFunc(ps, func(a, b place) int { return cmp.Compare(a.start, b.start) })
	return slices.DeleteFunc(ps, func(p place) bool { return p.size() == 0 })
}
