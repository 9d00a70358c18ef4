package message

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"sekisho/internal/charset"
	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// isBody reports whether a leaf is text to be read. Any name makes it a file:
// half of the world's attachments have no Content-Disposition.
func (w *work) isBody(n *node) bool {
	switch n.media {
	case "text/plain", "text/html", "text/enriched", "text/richtext", "text/rfc822-headers", "text/markdown",
		"message/delivery-status", "message/disposition-notification", "message/feedback-report", "message/global-delivery-status":
	default:
		return false
	}
	if n.disp.word != "" && n.disp.word != "inline" {
		return false
	}
	return len(w.names(n)) == 0
}

// body treats a text.
func (w *work) body(n *node) error {
	path := w.path(n)
	if n.encoding == quotedPrintable {
		n.escapes = new(int)
	}
	head := make([]byte, min(n.body.size(), 64<<10))
	m, err := io.ReadFull(w.open(n), head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return w.broken(n, err)
	}
	head = head[:m]
	if w.plainOnly && !simple(head) {
		return sanitize.ErrOwnProcess
	}
	if w.notText(head, n) {
		n.escapes = nil
		return w.attach(n)
	}
	if n.media == "text/html" {
		if !w.s.Options.Selected(path) {
			return nil
		}
		return w.html(n)
	}
	cuts, err := embedded(w.open(n), n.body.size())
	if err != nil {
		return w.broken(n, err)
	}
	if w.s.Options.Selected(path) {
		if err := w.text(n, cuts); err != nil {
			return err
		}
	}
	k := 0
	for _, c := range cuts {
		if c.what == sawBase64 || c.mute {
			continue
		}
		// What Outlook shows as an attachment is one.
		k++
		name := charset.DecodeString("", c.name).Text
		o := sanitize.Object{
			ReaderAt: bytes.NewReader(c.data), Size: int64(len(c.data)), Path: fmt.Sprintf("%s.u%d", path, k),
			Name: name, Names: []string{name}, InText: true,
		}
		if c.what == sawBinHex {
			f, err := readBinHex(bytes.NewReader(c.data), w.s.Meter)
			if errors.Is(err, errBinHex) {
				return w.doubt(BinHexMalformed, n.body.start, path)
			}
			if err != nil {
				return fmt.Errorf("read part %s: %w", o.Path, err)
			}
			o.Names = nil
			if err := w.object(w.fork(o, f)); err != nil {
				return err
			}
			continue
		}
		if err := w.s.Spend(o.Size); err != nil {
			return err
		}
		if err := w.object(o); err != nil {
			return err
		}
	}
	return nil
}

// notText reports whether what is labelled as text is none: a program, a
// script, a file. It is a file then, whatever the label says.
func (w *work) notText(head []byte, n *node) bool {
	if w.s.Options.KeepAll || w.s.Detect == nil {
		// The second run trusts no detection, since the first may have died of
		// it. What no text begins like is kept back.
		return opensLikeFile(head) || fileSignature(head) && head[0] != '<'
	}
	d, err := w.s.Detect(sanitize.Object{ReaderAt: bytes.NewReader(head), Size: int64(len(head)), Declared: n.declared, Charset: n.charset})
	if err != nil {
		return true
	}
	switch d.Kind {
	case sanitize.KindText, sanitize.KindCSV, sanitize.KindTSV, sanitize.KindHTML, sanitize.KindMessage, sanitize.KindEmpty,
		sanitize.KindICS, sanitize.KindVCF, sanitize.KindXML:
		return false
	case sanitize.KindUnknown:
		// Text in a charset nobody labels is text to its sender.
		return binary(head) && !bytes.ContainsRune(head, 0) || bytes.Count(head, []byte{0}) > len(head)*3/4
	default:
		return true
	}
}

// capture keeps the beginning of what is written, and counts and hashes all.
type capture struct {
	buf []byte
	n   int64
	sum hash.Hash
}

func newCapture() *capture { return &capture{sum: sha256.New()} }

func (c *capture) Write(p []byte) (int, error) {
	if room := keepText - len(c.buf); room > 0 {
		c.buf = append(c.buf, p[:min(room, len(p))]...)
	}
	c.n += int64(len(p))
	c.sum.Write(p)
	return len(p), nil
}

func (c *capture) all() bool { return c.n == int64(len(c.buf)) }

// text writes a plain text anew.
func (w *work) text(n *node, cuts []cut) error {
	l := layout{urls: w.s.Options.URLs, weigh: w.choosing > 0, size: n.body.size()}
	if v, _ := n.typ.plain("format"); len(v) > 0 && strings.EqualFold(v[0].value, "flowed") {
		l.flowed = true
		v, _ = n.typ.plain("delsp")
		l.delsp = len(v) > 0 && strings.EqualFold(v[0].value, "yes")
	}
	in := sha256.New()
	render := func(out io.Writer, sum bool) (told, error) {
		src := w.open(n)
		if sum {
			src = io.TeeReader(src, in)
		}
		return rewriteText(without(w.s.Meter(src), cuts), n.charset, l, out)
	}
	c := newCapture()
	told, err := render(c, true)
	if err != nil {
		return w.broken(n, err)
	}
	if told.Dropped+told.turned > 0 && w.notText(c.buf[:min(len(c.buf), 64<<10)], n) {
		// Without the characters that no text may hold it is another format.
		return w.withhold(n, sanitize.KindUnknown, notice.Ambiguous)
	}
	part := sanitize.Part{Kind: sanitize.KindText, Class: sanitize.ClassText, Mode: sanitize.Rebuild, Findings: told.findings()}
	runs, signatures := 0, 0
	muted := slices.ContainsFunc(cuts, func(c cut) bool { return c.mute })
	rewritten := l.urls != sanitize.KeepURLs && told.urls > 0
	recoded := told.Charset != "utf-8" && told.Charset != "us-ascii"
	if told.Dropped+told.turned > 0 || told.moved || l.flowed || muted || rewritten || recoded {
		// What is written has other lines than what was searched for files.
		if c.all() {
			clean, found, err := unencoded(c.buf)
			if err != nil {
				return w.doubt(HiddenStructure, n.body.start, err.Error())
			}
			if len(clean) < len(c.buf) {
				runs += found
				c = newCapture()
				c.Write(clean)
			}
		} else if err := w.noneEncoded(func(out io.Writer) error { _, err := render(out, false); return err }); err != nil {
			return w.doubt(HiddenStructure, n.body.start, err.Error())
		}
	}
	for _, c := range cuts {
		switch {
		case c.what == sawBase64:
			runs++
		case c.what == sawPGP && c.mute && c.size() > 2:
			signatures++
		}
	}
	if signatures > 0 {
		part.Findings = append(part.Findings, sanitize.Finding{Rule: "mime.signature", Action: sanitize.Removed, Detail: fmt.Sprint((signatures + 1) / 2)})
	}
	if runs > 0 {
		part.Findings = append(part.Findings, sanitize.Finding{Rule: "mime.encoded-run", Action: sanitize.Removed, Detail: fmt.Sprint(runs)})
	}
	p := piece{media: "text/plain", body: true, weight: told.weight, data: c.buf}
	if !c.all() {
		p.again = func(out io.Writer) error {
			_, err := render(out, false)
			return err
		}
	}
	in.Sum(part.In[:0])
	w.addBody(n, p, part, c)
	return nil
}

// addBody records a body and its part of the report.
func (w *work) addBody(n *node, p piece, part sanitize.Part, c *capture) {
	part.Path, part.Declared, part.Size = w.path(n), n.declared, n.body.size()
	part.OutKind, part.Fate, part.Outcome = sanitize.KindText, sanitize.Delivered, sanitize.Clean
	c.sum.Sum(part.Out[:0])
	p.sum = part.Out[:]
	if n.escapes != nil && *n.escapes > 0 {
		part.Findings = append(part.Findings, sanitize.Finding{Rule: "text.escape", Action: sanitize.Reported, Detail: fmt.Sprint(*n.escapes)})
	}
	for _, f := range part.Findings {
		if f.Changed() {
			part.Outcome = sanitize.Disarmed
		}
	}
	p.part = len(w.s.Parts())
	w.s.AddPart(part)
	if w.s.Options.Preview {
		w.s.AddPreview(string(c.buf))
	}
	w.pieces = append(w.pieces, p)
}

// html has the HTML of a body written as text. It goes to the sanitizer of the
// table in a session of its own, because the profile's rules about files do not
// apply to what a person wrote: a body always arrives.
func (w *work) html(n *node) error {
	path := w.path(n)
	o := *w.s.Options
	o.KeepAll, o.Only, o.Preview = false, nil, false
	o.Rules = map[sanitize.Class]sanitize.Rule{sanitize.ClassHTML: {Steps: []sanitize.Mode{sanitize.Rebuild}}}
	content, err := w.content(n)
	if err != nil {
		return err
	}
	if err := w.s.Spend(content.Size); err != nil {
		return err
	}
	own := sanitize.NewSession(&o, content.Size, func(sanitize.Object) (sanitize.Detection, error) {
		return sanitize.Detection{Kind: sanitize.KindHTML}, nil
	}, w.s.Table)
	content.Charset = n.charset
	var b bytes.Buffer
	var rebuilt []byte
	if w.s.Options.Rule(sanitize.ClassBody).Allows(sanitize.Rebuild) && !w.s.Options.KeepAll {
		p := o
		p.Rules = map[sanitize.Class]sanitize.Rule{sanitize.ClassHTML: {Steps: []sanitize.Mode{sanitize.Rebuild, sanitize.Text}}}
		own.Options = &p
		if _, err := own.Nested(w.ctx, content, &b); err != nil {
			return fmt.Errorf("html of part %s: %w", path, err)
		}
		// The text beside it is made from what was written, so that both say
		// the same to every reader.
		rebuilt = bytes.Clone(b.Bytes())
		b.Reset()
		own.Options = &o
		content = sanitize.Object{ReaderAt: bytes.NewReader(rebuilt), Size: int64(len(rebuilt)), Path: content.Path, Charset: "utf-8"}
		if err := w.s.Spend(content.Size); err != nil {
			return err
		}
	}
	if _, err := own.Nested(w.ctx, content, &b); err != nil {
		return fmt.Errorf("html of part %s: %w", path, err)
	}
	c := newCapture()
	// Once more through the text writer, which knows what no text may hold.
	l := layout{urls: o.URLs, weigh: w.choosing > 0, size: int64(b.Len())}
	// A page can show a file that is encoded as text; a text must not hold one.
	text, runs, err := unencoded(b.Bytes())
	if err != nil {
		return w.doubt(HiddenStructure, n.body.start, err.Error())
	}
	t, err := rewriteText(bytes.NewReader(text), "utf-8", l, c)
	if err != nil {
		return fmt.Errorf("html of part %s: %w", path, err)
	}
	part := own.Parts()[0]
	part.Findings = slices.DeleteFunc(slices.Clone(part.Findings), func(f sanitize.Finding) bool { return f.Rule == "text.encoded-run" })
	for _, q := range own.Parts() {
		for _, f := range q.Findings {
			// Found while the text was made of the page, which shows it still.
			if n, err := strconv.Atoi(f.Detail); f.Rule == "text.encoded-run" && err == nil {
				runs += n
			}
		}
	}
	if runs > 0 {
		part.Findings = append(part.Findings, sanitize.Finding{Rule: "mime.encoded-run", Action: sanitize.Removed, Detail: fmt.Sprint(runs)})
		rebuilt = nil // the page would still show the file
	}
	p := piece{media: "text/plain", body: true, weight: t.weight, data: c.buf, html: rebuilt}
	if !c.all() {
		p.again = func(out io.Writer) error {
			_, err := rewriteText(bytes.NewReader(text), "utf-8", l, out)
			return err
		}
	}
	w.addBody(n, p, sanitize.Part{Kind: sanitize.KindHTML, Class: sanitize.ClassText, Mode: sanitize.Text, In: part.In, Findings: append(part.Findings, t.findings()...)}, c)
	return nil
}
