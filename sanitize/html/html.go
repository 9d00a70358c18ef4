// Package html makes HTML harmless, by turning it into plain text: the body of a mail whose sender
// wrote HTML, and HTML files attached to it. In goes HTML in any charset, out
// goes UTF-8 text that a person likes to read: tables as lines, lists with
// their marks, quotations with "> ", and behind every link the address it
// really leads to, as `text <URL>`.
//
// Nothing of the markup is kept, so nothing in it can act: no script, style,
// form, frame or comment, no address that would be loaded, no text that a
// reader of the HTML would not have seen. What was left out is counted and
// reported. Hiding by style sheet rules is not evaluated; only what an
// element's own attributes say is.
//
// By profile HTML is written from HTML instead (rebuild.go): the rule of the
// class names rebuild before text. A rule of rebuild alone means the one way of
// treating HTML that every profile has, which is text.
//
// The package reads token by token and keeps no tree: memory does not grow with
// the file, and nesting costs nothing.
package html

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	xhtml "golang.org/x/net/html"

	"sekisho/internal/charset"
	"sekisho/internal/encoded"
	"sekisho/sanitize"
)

// Sanitizer writes the text of an HTML file, or the file itself where the
// profile says so. The zero value is ready.
type Sanitizer struct {
	Markup bool // the file itself, whatever the profile says
}

// prescan is how far a charset named by the document itself is looked for.
// HTML, 13.2.3.2: browsers look at 1,024 bytes; senders are less careful.
const prescan = 4096

// maxToken bounds one tag with its attributes, or one run of text. Pictures in
// data: URLs make tags of megabytes.
const maxToken = 32 << 20

// Sanitize writes the text of in to out.
func (h Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	src := io.Reader(in.Reader())
	label := in.Charset
	if canonical, ok := charset.Known(label); !ok || canonical == "us-ascii" {
		head := make([]byte, min(in.Size, prescan))
		n, err := in.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return sanitize.Result{}, fmt.Errorf("read %s: %w", in.Path, err)
		}
		if m := metaCharset(head[:n]); m != "" {
			label = m
		}
	}
	// The charset is decided first and the markup read from what came out: an
	// escape sequence must not hide the end of an attribute from us alone.
	text := charset.NewReader(label, src)
	text.DropControls = true

	marked := &marker{w: out}
	cutter := &encoded.Cutter{W: marked}
	c := newConverter(s.Options.URLs, s.Meter(text), cutter)
	res := sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindText, Mode: sanitize.Text}
	if rule := s.Options.Rule(sanitize.ClassHTML); h.Markup || rule.Allows(sanitize.Text) {
		// A body has no name, and the pictures it shows are parts beside it; a
		// file has nothing beside it.
		r := &rebuilder{converter: c, pictures: in.Name == ""}
		if err := r.rebuild(ctx); err != nil {
			return sanitize.Result{}, fmt.Errorf("html: %w", err)
		}
		if _, err := out.Write(r.out); err != nil {
			return sanitize.Result{}, fmt.Errorf("write: %w", err)
		}
		c.written = int64(len(r.out))
		res.Kind, res.Mode = sanitize.KindHTML, sanitize.Rebuild
	} else if err := c.run(ctx); err != nil {
		return sanitize.Result{}, fmt.Errorf("html: %w", err)
	}
	if err := cutter.Close(); err != nil {
		return sanitize.Result{}, fmt.Errorf("write: %w", err)
	}
	if cutter.Files > 0 {
		c.count["text.encoded-run"] = cutter.Files
	}
	if err := marked.close(); err != nil {
		return sanitize.Result{}, fmt.Errorf("write: %w", err)
	}
	if err := s.Spend(c.written); err != nil {
		return sanitize.Result{}, err
	}
	r := text.Result()
	if r.UserDefined > 0 {
		s.Found(sanitize.Finding{Rule: "text.user-defined", Action: sanitize.Reported, Detail: fmt.Sprint(r.UserDefined)})
	}
	if r.Replaced > 0 {
		s.Found(sanitize.Finding{Rule: "text.illegal-bytes", Action: sanitize.Reported, Detail: fmt.Sprint(r.Replaced)})
	}
	for _, f := range c.findings() {
		s.Found(f)
		if f.Changed() {
			res.Outcome = sanitize.Disarmed
		}
	}
	return res, nil
}

// marker puts a byte order mark before text that is not plain ASCII, so that
// Notepad and Excel read it; a mail's own text loses it again. It holds the
// beginning back until it knows. Behind 64 KiB of ASCII it marks without
// knowing: no reader minds the mark.
type marker struct {
	w    io.Writer
	held []byte
	open bool
}

func (m *marker) Write(p []byte) (int, error) {
	if m.open {
		return m.w.Write(p)
	}
	m.held = append(m.held, p...)
	for _, c := range p {
		if c >= 0x80 {
			return len(p), m.begin("\xef\xbb\xbf")
		}
	}
	if len(m.held) >= 64<<10 {
		return len(p), m.begin("\xef\xbb\xbf")
	}
	return len(p), nil
}

func (m *marker) begin(mark string) error {
	m.open = true
	if _, err := io.WriteString(m.w, mark); err != nil {
		return err
	}
	_, err := m.w.Write(m.held)
	m.held = nil
	return err
}

func (m *marker) close() error {
	if m.open || len(m.held) == 0 {
		return nil
	}
	return m.begin("")
}

// metaCharset finds the charset that a document names for itself. A document
// in UTF-16 names none that could be read here, and needs none.
func metaCharset(head []byte) string {
	z := xhtml.NewTokenizer(bytes.NewReader(head))
	for {
		switch z.Next() {
		case xhtml.ErrorToken:
			return ""
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			name, more := z.TagName()
			if string(name) == "body" {
				return ""
			}
			if string(name) != "meta" {
				continue
			}
			var content, equiv string
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				switch string(k) {
				case "charset":
					return string(v)
				case "content":
					content = string(v)
				case "http-equiv":
					equiv = string(v)
				}
			}
			if strings.EqualFold(equiv, "content-type") {
				if _, v, ok := cutFold(content, "charset="); ok {
					v, _, _ = strings.Cut(v, ";")
					return strings.Trim(v, " \t\r\n\"'")
				}
			}
		}
	}
}

func cutFold(s, sep string) (before, after string, found bool) {
	if i := strings.Index(strings.ToLower(s), sep); i >= 0 && i+len(sep) <= len(s) {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// The findings of this package. Those that take something a reader could have
// used count as changes; what every newsletter has and text simply cannot hold
// does not, since a notice under every newsletter is read by nobody.
var actions = sync.OnceValue(func() map[string]sanitize.Action {
	return map[string]sanitize.Action{
		"html.script":        sanitize.Removed,   // script elements
		"html.event":         sanitize.Removed,   // on... attributes
		"html.frame":         sanitize.Removed,   // iframe, frame, object, embed, applet
		"html.form":          sanitize.Removed,   // forms; their words stay
		"html.refresh":       sanitize.Removed,   // pages that lead elsewhere by themselves
		"html.link":          sanitize.Removed,   // links of a scheme that runs or opens something
		"html.svg":           sanitize.Removed,   // drawings inside the text
		"html.remote":        sanitize.Rewritten, // what would have been loaded
		"html.hidden":        sanitize.Rewritten, // text nobody was meant to see
		"html.link-mismatch": sanitize.Reported,  // text that shows one address and leads to another
		"text.encoded-run":   sanitize.Removed,   // files that the page shows as text, which a text must not hold
		"html.url":           sanitize.Rewritten, // targets defanged or left out by the profile
	}
})
