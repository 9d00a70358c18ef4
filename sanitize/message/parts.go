package message

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho/internal/charset"
	"sekisho/internal/header"
	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// piece is one part of the new message.
type piece struct {
	media  string
	name   string // of an attachment
	body   bool   // text to be read, not a file
	method string // of an invitation: programs offer to answer by this parameter
	nested bool   // a message, written as it is: its own writer made it seven bits
	data   []byte
	again  func(io.Writer) error // writes the text once more, when it was too long to keep
	weight int64                 // how much a body says
	html   []byte                // the same as HTML, where the profile wants it
	cid    string                // by which HTML shows this picture
	shown  []piece               // the pictures that the HTML shows
	part   int                   // index of the report's part of a body, -1
	sum    []byte                // SHA-256 of a text that was not kept
}

// keepText is up to which length a text is kept in memory while the rest of
// the mail is treated; a longer one is written twice.
const keepText = 256 << 10

// entity treats one entity and all below it.
func (w *work) entity(n *node) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if !n.multi {
		return w.leaf(n)
	}
	w.outside(n.preamble, "mime.preamble")
	w.outside(n.epilogue, "mime.epilogue")
	switch n.media {
	case "multipart/alternative":
		return w.alternative(n)
	case "multipart/related":
		return w.related(n)
	case "multipart/signed":
		return w.signed(n)
	case "multipart/encrypted":
		return w.withhold(n, sanitize.KindPGP, notice.Encrypted)
	case "multipart/appledouble":
		// RFC 1740: the first part holds what only a Macintosh knew of the file.
		for i, c := range n.children {
			if i == 0 && c.media == "application/applefile" {
				w.dropped = append(w.dropped, sanitize.Finding{Rule: "mime.applefile", Where: w.path(c), Action: sanitize.Rewritten})
				continue
			}
			if err := w.entity(c); err != nil {
				return err
			}
		}
		return nil
	default:
		for _, c := range n.children {
			if err := w.entity(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// outside notes text before and after the parts of a multipart. The union
// scanner has seen that it is nothing but text; half of all mail programs
// write a sentence there, and no program has shown it since MIME began.
func (w *work) outside(s span, rule string) {
	var b [256]byte
	n, _ := w.in.ReadAt(b[:min(s.size(), int64(len(b)))], s.start)
	if len(bytes.TrimSpace(b[:n])) > 0 {
		w.dropped = append(w.dropped, sanitize.Finding{Rule: rule, Action: sanitize.Rewritten, Detail: fmt.Sprintf("%d octets", s.size())})
	}
}

// alternative treats a multipart whose parts say the same. The plainest is
// taken unless another says plainly more: phishing shows one text to filters
// and another to readers.
func (w *work) alternative(n *node) error {
	w.choosing++
	defer func() { w.choosing-- }()
	before := w.pieces
	var best []piece
	bestWeight := int64(-1)
	var rest []piece
	var losers []piece
	for _, c := range n.children {
		if alternateForm(c.media) && len(n.children) > 1 {
			w.dropped = append(w.dropped, sanitize.Finding{Rule: "mime.alternative", Where: w.path(c), Action: sanitize.Rewritten, Detail: c.media})
			continue
		}
		w.pieces = nil
		if err := w.entity(c); err != nil {
			return err
		}
		var bodies []piece
		weight := int64(0)
		for _, p := range w.pieces {
			if p.body {
				bodies = append(bodies, p)
				weight += p.weight
			} else {
				rest = append(rest, p)
			}
		}
		more := bestWeight < 0 || weight > bestWeight+bestWeight/3+40
		if bestWeight >= 0 && !hasHTML(best) && hasHTML(bodies) {
			// Where HTML is wanted it is taken, unless the text says more.
			more = bestWeight <= weight+weight/3+40
		}
		switch {
		case len(bodies) == 0:
		case more:
			losers = append(losers, best...)
			best, bestWeight = bodies, weight
		default:
			losers = append(losers, bodies...)
		}
	}
	for _, p := range losers {
		w.unchosen(p)
	}
	w.pieces = append(append(before, best...), rest...)
	return nil
}

func hasHTML(ps []piece) bool {
	return slices.ContainsFunc(ps, func(p piece) bool { return p.html != nil })
}

// alternateForm are other forms of the text of the same mail, which nothing is
// lost without.
func alternateForm(media string) bool {
	switch media {
	case "text/x-amp-html", "text/watch-html", "text/enriched", "text/richtext", "text/x-web-markdown":
		return true
	}
	return false
}

// unchosen marks a body that says nothing the chosen one does not.
func (w *work) unchosen(p piece) {
	if p.part < 0 {
		return
	}
	r := &w.s.Parts()[p.part]
	r.Outcome = sanitize.Clean
	for i := range r.Findings {
		// Nobody reads it, so nobody misses what was taken out of it.
		if r.Findings[i].Changed() {
			r.Findings[i].Action = sanitize.Rewritten
		}
	}
	r.OutKind = ""
	r.Findings = append(r.Findings, sanitize.Finding{Rule: "mime.alternative", Action: sanitize.Reported, Detail: "the other text says as much or more"})
}

// related treats a text with what belongs to it: the root is the text, the
// others are files.
func (w *work) related(n *node) error {
	root := 0
	if v, _ := n.typ.plain("start"); len(v) > 0 {
		// RFC 2387, 3.2.
		for i, c := range n.children {
			if id, ok := c.field("content-id"); ok && strings.TrimSpace(id) == strings.TrimSpace(v[0].value) {
				root = i
			}
		}
	}
	if root < len(n.children) {
		if err := w.entity(n.children[root]); err != nil {
			return err
		}
	}
	for i, c := range n.children {
		if i == root {
			continue
		}
		var err error
		if c.multi {
			err = w.entity(c)
		} else {
			err = w.attach(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leaf treats one part without parts.
func (w *work) leaf(n *node) error {
	switch {
	case n.media == "message/external-body":
		// RFC 2046, 5.2.3: what it names lies elsewhere and is never fetched.
		return w.withhold(n, sanitize.KindUnknown, notice.External)
	case signature(n.media):
		// Apart from what it signed, as mailing lists leave it.
		w.unsign(w.path(n), n.declared, n.body.size())
		return nil
	case w.isBody(n):
		return w.body(n)
	default:
		return w.attach(n)
	}
}

// names are all names that a client could show for a part.
func (w *work) names(n *node) []header.Name {
	ct, _ := n.field("content-type")
	cd, _ := n.field("content-disposition")
	if ct == "" && cd == "" {
		return nil
	}
	return header.Names(ct, cd, "")
}

// open returns a fresh reader over the decoded content of a leaf.
func (w *work) open(n *node) io.Reader {
	if n.encoding == binHexTransfer {
		return &forkReader{src: io.NewSectionReader(w.in, n.body.start, n.body.size()), meter: w.s.Meter}
	}
	if n.escapes != nil {
		*n.escapes = 0
		return &quotedReader{src: io.NewSectionReader(w.in, n.body.start, n.body.size()), lenient: n.escapes}
	}
	return n.encoding.decoder(io.NewSectionReader(w.in, n.body.start, n.body.size()))
}

// broken turns an error of a transfer decoder into a doubt.
func (w *work) broken(n *node, err error) error {
	if c, ok := transferCode(err); ok {
		return w.doubt(c, n.body.start, w.path(n))
	}
	return fmt.Errorf("read part %s: %w", w.path(n), err)
}

// content gives the decoded content of a leaf. What is not encoded is read
// where it stands.
func (w *work) content(n *node) (sanitize.Object, error) {
	o := sanitize.Object{Path: w.path(n), Declared: n.declared, Charset: n.charset, Around: w.around, Size: n.body.size()}
	if n.encoding == identity {
		o.ReaderAt = io.NewSectionReader(w.in, n.body.start, n.body.size())
		return o, nil
	}
	// What is decoded is shorter than what is there, so the size is no promise
	// of the sender's. ReadFrom asks for more room to see that nothing follows.
	b := bytes.NewBuffer(make([]byte, 0, n.body.size()*3/4+64+bytes.MinRead))
	if _, err := b.ReadFrom(w.s.Meter(w.open(n))); err != nil {
		return o, w.broken(n, err)
	}
	o.ReaderAt, o.Size = bytes.NewReader(b.Bytes()), int64(b.Len())
	return o, nil
}

// around is the charset in which the mail has its words: of the first text that
// says one, or of the subject. UTF-8 and ASCII are those of all languages, so one
// that is of some goes first.
func around(root *node) string {
	found := ""
	take := func(label string) bool {
		name, ok := charset.Known(label)
		if !ok || name == "us-ascii" {
			return false
		}
		if found == "" || found == "utf-8" {
			found = name
		}
		return found != "utf-8"
	}
	var walk func(n *node) bool
	walk = func(n *node) bool {
		return strings.HasPrefix(n.media, "text/") && take(n.charset) || slices.ContainsFunc(n.children, walk)
	}
	if walk(root) {
		return found
	}
	subject, _ := root.field("subject")
	if _, word, ok := strings.Cut(subject, "=?"); ok {
		label, _, _ := strings.Cut(word, "?")
		take(label)
	}
	return found
}

// attach treats a leaf as a file.
func (w *work) attach(n *node) error {
	if !w.s.Options.Selected(w.path(n)) {
		return nil
	}
	o, err := w.content(n)
	if err != nil {
		return err
	}
	for _, m := range w.names(n) {
		o.Names = append(o.Names, m.Value)
	}
	if name := w.encodedName(n); name != "" {
		o.Names = append(o.Names, charset.DecodeString("", name).Text)
	}
	if len(o.Names) > 0 {
		o.Name = o.Names[0]
	}
	if o.Declared == "" {
		o.Declared = n.media // of a digest
	}
	if !w.s.Options.KeepAll {
		if done, err := w.unwrap(o); done || err != nil {
			return err
		}
		if done, err := w.unBinHex(n, o); done || err != nil {
			return err
		}
	}
	before := len(w.pieces)
	if err := w.object(o); err != nil {
		return err
	}
	if id, ok := n.field("content-id"); ok && len(w.pieces) == before+1 {
		if p := &w.pieces[before]; p.part >= 0 && (p.media == "image/png" || p.media == "image/jpeg") {
			p.cid = strings.Trim(strings.TrimSpace(id), "<>")
		}
	}
	return nil
}

// object has a file treated and adds what became of it.
func (w *work) object(o sanitize.Object) error {
	if !w.s.Options.Selected(o.Path) {
		return nil
	}
	before, waiting := len(w.s.Parts()), w.s.Waiting()
	out := &sanitize.Buffer{Most: w.s.Options.Limits.OutputBytes}
	res, err := w.s.Nested(w.ctx, o, out)
	if e := w.ctx.Err(); e != nil {
		return e
	}
	if err != nil {
		// Nested records the part whatever happens, but for the one case that
		// the run itself has ended.
		if len(w.s.Parts()) == before {
			return err
		}
		p := &w.s.Parts()[before]
		if p.Kind == sanitize.KindMessage {
			p.Inside = append(p.Inside, w.suspects(o)...)
		}
		w.keptBack(*p, reason(*p, err, w.s.Options.KeepAll))
		return w.s.EachBeside(waiting, w.beside)
	}
	p := &w.s.Parts()[before]
	k := res.Kind
	if k == sanitize.KindOpened {
		w.tell(before, o)
		return w.s.EachBeside(waiting, w.beside)
	}
	if !w.s.Options.Wanted(o.Path) && p.Class != sanitize.ClassArchive && p.Class != sanitize.ClassMessage {
		// Asked for is what stands beside it. What is written anew with nothing
		// but what was asked for goes on as the wrapper of that.
		return w.s.EachBeside(waiting, w.beside)
	}
	pc := piece{media: k.Facts().Media, name: outName(o.Name, k), data: out.Bytes(), part: before}
	pc.nested = k == sanitize.KindMessage
	if k == sanitize.KindICS {
		pc.method = method(pc.data)
	}
	p.OutName = pc.name
	w.pieces = append(w.pieces, pc)
	w.tell(before, o)
	return w.s.EachBeside(waiting, w.beside)
}

// beside treats a file that was found inside another and stands in the mail on
// its own now. One without a name is the text of a mail in a wrapper of
// Outlook's, which writes the same into the mail; it is wanted when it did not.
func (w *work) beside(o sanitize.Object) error {
	if o.Name == "" && slices.ContainsFunc(w.pieces, func(p piece) bool { return p.body && len(bytes.TrimSpace(p.data)) > 0 }) {
		w.dropped = append(w.dropped, sanitize.Finding{Rule: "mime.alternative", Where: o.Path, Action: sanitize.Rewritten, Detail: o.Declared})
		return nil
	}
	if o.Name == "" {
		o.Name = "本文.txt"
		if o.Declared == "text/html" {
			o.Name = "本文.html"
		}
		o.Names = []string{o.Name}
	}
	return w.object(o)
}

// method is the METHOD of a calendar file that our own writer wrote. RFC 6047,
// 2.4, has it repeated as a parameter.
func method(b []byte) string {
	_, rest, ok := bytes.Cut(b, []byte("\r\nMETHOD:"))
	if !ok {
		return ""
	}
	m, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(m)
}

// withhold keeps back a part that goes to no sanitizer.
func (w *work) withhold(n *node, k sanitize.Kind, r notice.Reason) error {
	path := w.path(n)
	if !w.s.Options.Selected(path) {
		return nil
	}
	p := sanitize.Part{
		Path: path, Declared: n.declared, Kind: k, Class: k.Class(), Outcome: sanitize.Refused, Size: n.body.size(), Err: string(r),
	}
	if names := w.names(n); len(names) > 0 {
		p.Name = names[0].Value
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(w.in, n.body.start, n.body.size())); err != nil {
		return fmt.Errorf("read part %s: %w", path, err)
	}
	sum.Sum(p.In[:0])
	if w.s.Options.RuleOf(p.Kind).Drop {
		p.Fate = sanitize.Dropped
	}
	w.s.AddPart(p)
	w.keptBack(p, r)
	return nil
}

// reason says why a part did not go on. Of a file inside another the error is
// only a text by now; its kind and class say most.
func reason(p sanitize.Part, err error, keepAll bool) notice.Reason {
	is := func(e error) bool { return errors.Is(err, e) || err == nil && strings.HasSuffix(p.Err, e.Error()) }
	switch {
	case slices.ContainsFunc(p.Findings, func(f sanitize.Finding) bool { return f.Rule == "archive.member" }):
		return notice.Misplaced
	case is(sanitize.ErrEncrypted), p.Class == sanitize.ClassEncrypted:
		return notice.Encrypted
	case p.Class == sanitize.ClassExecutable:
		return notice.Executable
	case keepAll:
		return notice.Failed
	case is(sanitize.ErrLimit):
		return notice.Limit
	case p.Kind == sanitize.KindUnknown, p.Kind == sanitize.KindPolyglot:
		return notice.Unknown
	case is(sanitize.ErrWithheld) && slices.ContainsFunc(p.Inside, func(k sanitize.Kind) bool { return k.Class() == sanitize.ClassExecutable }):
		return notice.Executable // an archive of which nothing is left
	case is(sanitize.ErrWithheld):
		return notice.Policy
	case is(sanitize.ErrUnsupported):
		return notice.Unsupported
	case is(sanitize.ErrAmbiguous):
		return notice.Ambiguous
	case is(sanitize.ErrMalformed):
		return notice.Malformed
	default:
		return notice.Failed
	}
}
