package html

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// This file writes HTML from HTML: the profile's `body: html` and
// `html: rebuild`. What comes out was written by this file from a list of
// elements and attributes; nothing of the old markup is copied. All text is
// escaped, and no element is written whose content is read in another way
// (script, style, svg, math, template, noscript, textarea): what a browser
// reads is what was written, however it mends what it reads.

// rebuilt are the elements that are written, and as what. Those that only
// structure a page become blocks.
var rebuilt = sync.OnceValue(func() map[atom.Atom]string {
	return map[atom.Atom]string{
		atom.P: "p", atom.Div: "div", atom.Span: "span", atom.Br: "br", atom.Hr: "hr", atom.A: "a", atom.B: "b", atom.Strong: "strong", atom.I: "i",
		atom.Em: "em", atom.U: "u", atom.S: "s", atom.Strike: "s", atom.Del: "s", atom.Ins: "u", atom.Sub: "sub", atom.Sup: "sup",
		atom.Small: "small", atom.Big: "big", atom.Font: "font", atom.Tt: "code", atom.Code: "code", atom.Kbd: "code", atom.Samp: "code", atom.Var: "i",
		atom.Cite: "i", atom.Q: "q", atom.Blockquote: "blockquote", atom.Pre: "pre", atom.Xmp: "pre", atom.Listing: "pre", atom.Plaintext: "pre", atom.Textarea: "pre",
		atom.H1: "h1", atom.H2: "h2", atom.H3: "h3", atom.H4: "h4", atom.H5: "h5", atom.H6: "h6", atom.Ul: "ul", atom.Menu: "ul", atom.Dir: "ul", atom.Ol: "ol", atom.Li: "li",
		atom.Dl: "dl", atom.Dt: "dt", atom.Dd: "dd", atom.Table: "table", atom.Caption: "caption", atom.Thead: "thead", atom.Tbody: "tbody", atom.Tfoot: "tfoot",
		atom.Tr: "tr", atom.Th: "th", atom.Td: "td", atom.Center: "center", atom.Address: "div", atom.Section: "div", atom.Article: "div", atom.Aside: "div", atom.Header: "div",
		atom.Footer: "div", atom.Main: "div", atom.Nav: "div", atom.Figure: "div", atom.Figcaption: "div", atom.Fieldset: "div", atom.Legend: "div", atom.Details: "div",
		atom.Summary: "div", atom.Form: "div", atom.Ruby: "ruby", atom.Rt: "rt", atom.Wbr: "wbr", atom.Mark: "b",
	}
})

// Attributes that are written, and the form of their values.
var (
	attrs = sync.OnceValue(func() map[string]*lazy.Regexp {
		return map[string]*lazy.Regexp{
			"dir": lazy.Compile(`^(?:ltr|rtl|auto)$`), "lang": lazy.Compile(`^[A-Za-z0-9-]{1,20}$`),
			"align": lazy.Compile(`^(?:left|right|center|justify)$`), "valign": lazy.Compile(`^(?:top|middle|bottom|baseline)$`),
			"width": sizeForm, "height": sizeForm, "border": numberForm, "cellpadding": numberForm, "cellspacing": numberForm,
			"colspan": numberForm, "rowspan": numberForm, "start": numberForm, "size": lazy.Compile(`^[+-]?[0-9]$`),
			"color": colourForm, "bgcolor": colourForm, "face": lazy.Compile(`^[\p{L}\p{N} ,_-]{1,100}$`),
			"type": lazy.Compile(`^(?:1|a|A|i|I|disc|circle|square)$`),
		}
	})
	sizeForm   = lazy.Compile(`^[0-9]{1,4}%?$`)
	numberForm = lazy.Compile(`^[0-9]{1,4}$`)
	colourForm = lazy.Compile(`^(?:#[0-9A-Fa-f]{3,8}|[A-Za-z]{1,30})$`)
	cidForm    = lazy.Compile(`^[A-Za-z0-9.!$%*+/=?^_{|}~@-]{1,200}$`)

	// styles are the declarations that are written. Nothing moves an element
	// over another, hides it or loads.
	styles = sync.OnceValue(func() map[string]*lazy.Regexp {
		return map[string]*lazy.Regexp{
			"color": cssColour, "background-color": cssColour, "font-size": cssLength, "font-weight": cssWord, "font-style": cssWord,
			"font-family": lazy.Compile(`^[\p{L}\p{N} ,'_-]{1,200}$`), "text-decoration": cssWord, "text-align": cssWord, "vertical-align": cssWord,
			"line-height": cssLength, "text-indent": cssLength, "white-space": cssWord, "list-style-type": cssWord, "border-collapse": cssWord,
			"border": cssBorder, "border-top": cssBorder, "border-right": cssBorder, "border-bottom": cssBorder, "border-left": cssBorder,
			"margin": cssLengths, "margin-top": cssLength, "margin-right": cssLength, "margin-bottom": cssLength, "margin-left": cssLength,
			"padding": cssLengths, "padding-top": cssLength, "padding-right": cssLength, "padding-bottom": cssLength, "padding-left": cssLength,
			"width": cssLength, "max-width": cssLength,
		}
	})
	cssColour  = lazy.Compile(`^(?:#[0-9a-f]{3,8}|[a-z]{1,30}|rgba?\([0-9., %]{1,40}\))$`)
	cssLength  = lazy.Compile(`^(?:[0-9]{1,4}(?:\.[0-9]{1,4})?(?:px|pt|em|rem|ex|ch|cm|mm|in|pc|%)?|normal|auto|(?:xx?-)?(?:small|large)|medium|smaller|larger)$`)
	cssLengths = lazy.Compile(`^(?:(?:[0-9]{1,4}(?:\.[0-9]{1,4})?(?:px|pt|em|rem|ex|ch|cm|mm|in|pc|%)?|auto) ?){1,4}$`)
	cssWord    = lazy.Compile(`^[a-z0-9-]{1,30}$`)
	cssBorder  = lazy.Compile(`^(?:(?:[0-9]{1,3}(?:\.[0-9]{1,3})?(?:px|pt|em|mm)?|[a-z]{1,20}|#[0-9a-f]{3,8}|rgba?\([0-9.,%]{1,40}\)) ?){1,3}$`)
)

// maxNest is how many elements are written inside each other. Browsers stop at
// 512; a mail has a dozen or two.
const maxNest = 200

const (
	pageHead = "<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"></head><body>"
	pageTail = "</body></html>\r\n"
)

// rebuilder writes HTML.
type rebuilder struct {
	*converter        // for what is found, and for addresses
	out        []byte // all of it: a link is rewritten when its end is known
	nest       []tag
	fresh      bool // a pre has just begun
	pictures   bool // pictures that came with the mail are beside this text
}

// tag is one element that is open.
type tag struct {
	name   atom.Atom
	as     string // what was written, "" for nothing
	hidden bool
	skip   bool
	href   string
	start  int // of the content of a link
}

func (r *rebuilder) rebuild(ctx context.Context) error {
	r.out = append(r.out, pageHead...)
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		switch r.z.Next() {
		case xhtml.ErrorToken:
			err := r.z.Err()
			if errors.Is(err, xhtml.ErrBufferExceeded) {
				return fmt.Errorf("a tag of more than %d bytes: %w", maxToken, sanitize.ErrLimit)
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
			for len(r.nest) > 0 {
				r.close()
			}
			// White space at the ends would be that of our own frame next time.
			r.out = append(bytes.TrimRight(r.out, " \t\r\n\f"), pageTail...)
			return nil
		case xhtml.TextToken:
			r.words(string(r.z.Text()))
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			r.startTag()
		case xhtml.EndTagToken:
			name, _ := r.z.TagName()
			r.endTag(atom.Lookup(name))
		}
	}
}

// words writes text.
func (r *rebuilder) words(s string) {
	if r.skipped > 0 {
		return
	}
	if r.hidden > 0 {
		if strings.TrimSpace(s) != "" {
			r.found("html.hidden", "")
		}
		return
	}
	if r.fresh {
		r.fresh = false
		s = strings.TrimPrefix(strings.TrimPrefix(s, "\r"), "\n")
	}
	if len(r.out) == len(pageHead) {
		// Blanks at the beginning are not shown, and neither are the controls
		// before and between them, which are not written.
		s = strings.TrimLeftFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f && c < 0xa0 })
	}
	if r.urls != sanitize.KeepURLs {
		var n int
		if s, n = TextURLs(s, r.urls); n > 0 {
			r.count["html.url"] += n
		}
	}
	r.out = appendText(r.out, s)
}

// appendText escapes text. Line ends become those of mail.
func appendText(b []byte, s string) []byte {
	cr := false
	for _, c := range s {
		if c == '\n' && cr {
			cr = false
			continue
		}
		cr = c == '\r'
		switch {
		case c == '\n', c == '\r':
			b = append(b, "\r\n"...)
		case c == '&':
			b = append(b, "&amp;"...)
		case c == '<':
			b = append(b, "&lt;"...)
		case c == '>':
			b = append(b, "&gt;"...)
		case c == '"':
			b = append(b, "&#34;"...)
		case c < ' ' && c != '\t', c >= 0x7f && c < 0xa0, c >= 0x202a && c <= 0x202e, c >= 0x2066 && c <= 0x2069:
			// What steers a terminal or turns the direction of a line.
		default:
			b = append(b, string(c)...)
		}
	}
	return b
}

func appendAttr(b []byte, name, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, `="`...)
	b = appendText(b, strings.Map(func(c rune) rune {
		if c == '\n' || c == '\r' || c == '\t' {
			return ' '
		}
		return c
	}, value))
	return append(b, '"')
}

func (r *rebuilder) startTag() {
	r.fresh = false
	name, more := r.z.TagName()
	a := atom.Lookup(name)
	t := tag{name: a}
	var src, alt, href, value, typ, equiv, content, style string
	keep := map[string]string{}
	for more {
		var k, v []byte
		k, v, more = r.z.TagAttr()
		key, val := string(k), string(v)
		switch key {
		case "src", "background", "data", "srcset", "poster", "dynsrc", "lowsrc":
			if key == "src" {
				src = val
			}
			if remote(val) {
				r.found("html.remote", bounded(val, 100))
			}
		case "alt":
			alt = val
		case "href":
			href = val
		case "value":
			value = val
		case "http-equiv":
			equiv = val
		case "content":
			content = val
		case "hidden":
			t.hidden = true
		case "style":
			t.hidden = t.hidden || hides(val)
			style = val
		default:
			if len(key) > 2 && strings.HasPrefix(key, "on") {
				r.found("html.event", key)
			}
			if key == "type" {
				typ = val
			}
			if form := attrs()[key]; form != nil && form.MatchString(val) {
				keep[key] = val
			}
		}
	}
	r.implied(a)
	if rule, ok := unseen()[a]; ok {
		if rule != "" {
			r.found(rule, string(name))
		}
		t.skip = true
		r.open1(t)
		return
	}
	visible := r.hidden == 0 && r.skipped == 0 && !t.hidden
	switch a {
	case atom.Img:
		if visible {
			r.picture(src, alt, keep)
		}
		return
	case atom.Embed, atom.Frame:
		r.found("html.frame", string(name))
		return
	case atom.Link:
		if remote(href) {
			r.found("html.remote", bounded(href, 100))
		}
		return
	case atom.Base:
		if u, err := url.Parse(clean(href)); err == nil && r.base == nil && len(href) <= maxBase && u.IsAbs() {
			r.base = u
		}
		return
	case atom.Meta:
		if strings.EqualFold(strings.TrimSpace(equiv), "refresh") && strings.Contains(strings.ToLower(content), "url") {
			r.found("html.refresh", bounded(content, 100))
		}
		return
	case atom.Input:
		switch strings.ToLower(typ) {
		case "submit", "button", "reset":
			if visible && value != "" {
				r.words("[" + bounded(value, 200) + "]")
			}
		}
		return
	case atom.Form:
		r.found("html.form", "")
	}
	as := rebuilt()[a]
	if void()[a] && as == "" {
		return
	}
	if as == "a" {
		t.href = r.resolve(href)
		if sc := scheme(t.href); sc != "http" && sc != "https" && sc != "mailto" && sc != "tel" {
			t.href = ""
		}
		if t.href == "" || r.urls != sanitize.KeepURLs {
			as = ""
		}
	}
	if as != "" && visible && len(r.nest) < maxNest {
		r.out = append(append(r.out, '<'), as...)
		if as == "a" {
			// What a browser shows before the link is followed is where it leads.
			r.out = appendAttr(r.out, "href", t.href)
			r.out = appendAttr(r.out, "title", t.href)
			r.out = append(r.out, ` rel="noopener noreferrer"`...)
		}
		r.attributes(keep, style)
		r.out = append(r.out, '>')
		if as == "pre" {
			// The first line end of a pre is dropped by who reads it.
			r.out = append(r.out, "\r\n"...)
			r.fresh = true
		}
		t.as = as
	}
	t.start = len(r.out)
	if !void()[a] {
		r.open1(t)
	}
}

// attributes writes the attributes that are kept, in a fixed order.
func (r *rebuilder) attributes(keep map[string]string, style string) {
	for _, k := range []string{"dir", "lang", "align", "valign", "width", "height", "border", "cellpadding", "cellspacing", "colspan", "rowspan", "start", "size", "color", "bgcolor", "face", "type"} {
		if v, ok := keep[k]; ok {
			r.out = appendAttr(r.out, k, v)
		}
	}
	if s := declarations(style); s != "" {
		r.out = appendAttr(r.out, "style", s)
	}
}

// declarations keeps of a style attribute what only changes looks.
func declarations(style string) string {
	if len(style) > 4096 || strings.ContainsAny(style, `\@<>`) || strings.Contains(style, "/*") {
		return ""
	}
	var out []string
	for _, d := range strings.Split(style, ";") {
		k, v, _ := strings.Cut(d, ":")
		k = strings.ToLower(strings.TrimSpace(k))
		v = strings.ReplaceAll(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "!important")), `"`, "'")
		if k != "font-family" {
			v = strings.ToLower(v)
		}
		if form := styles()[k]; form != nil && form.MatchString(v) && len(out) < 40 {
			out = append(out, k+":"+v)
		}
	}
	return strings.Join(out, ";")
}

// picture writes a picture that came with the mail, or the words that stand
// for one that would be loaded.
func (r *rebuilder) picture(src, alt string, keep map[string]string) {
	s := clean(src)
	id := ""
	if scheme(s) == "cid" {
		if id = s[4:]; strings.Contains(id, "%") {
			id, _ = url.PathUnescape(id)
		}
	}
	if r.pictures && cidForm.MatchString(id) {
		r.out = append(r.out, "<img"...)
		r.out = appendAttr(r.out, "src", "cid:"+id)
		r.out = appendAttr(r.out, "alt", bounded(alt, 500))
		for k := range keep {
			if k != "width" && k != "height" {
				delete(keep, k)
			}
		}
		r.attributes(keep, "")
		r.out = append(r.out, '>')
		return
	}
	if scheme(s) == "data" {
		r.found("html.remote", "data:")
	}
	if alt = strings.TrimSpace(alt); alt != "" && keep["width"] != "1" && keep["height"] != "1" {
		r.words("[" + bounded(alt, 500) + "]")
	}
}

// implied closes what a start tag closes by itself.
func (r *rebuilder) implied(a atom.Atom) {
	switch {
	case a == atom.A:
		r.closeWithin(atom.A)
	case len(ends(a)) > 0:
		for _, e := range ends(a) {
			r.closeWithin(e[0], e[1:]...)
		}
	case blocks()[a] > 0:
		r.closeWithin(atom.P, atom.Table, atom.Td, atom.Th, atom.Div, atom.Blockquote, atom.Li, atom.Center)
	}
}

func (r *rebuilder) closeWithin(a atom.Atom, stops ...atom.Atom) {
	if r.opened[a] == 0 {
		return
	}
	if i := innermost(len(r.nest), func(i int) atom.Atom { return r.nest[i].name }, a, stops); i >= 0 {
		for len(r.nest) > i {
			r.close()
		}
	}
}

func (r *rebuilder) open1(t tag) {
	if len(r.nest) >= maxOpen {
		return
	}
	r.nest = append(r.nest, t)
	r.opened[t.name]++
	if t.hidden {
		r.hidden++
	}
	if t.skip {
		r.skipped++
	}
}

func (r *rebuilder) endTag(a atom.Atom) {
	if a == 0 || r.opened[a] == 0 {
		return
	}
	for len(r.nest) > 0 {
		last := r.nest[len(r.nest)-1].name
		r.close()
		if last == a {
			return
		}
	}
}

// close closes the innermost element.
func (r *rebuilder) close() {
	t := r.nest[len(r.nest)-1]
	r.nest = r.nest[:len(r.nest)-1]
	r.opened[t.name]--
	if t.hidden {
		r.hidden--
	}
	if t.skip {
		r.skipped--
	}
	if t.name == atom.A && t.href != "" && r.hidden == 0 && r.skipped == 0 && !t.hidden {
		text := strings.TrimSpace(textOf(r.out[t.start:]))
		show := readable(t.href)
		switch {
		case r.urls == sanitize.DefangURLs:
			defanged, _ := TextURLs(t.href, r.urls)
			r.out = appendText(r.out, " <"+defanged+">")
			r.found("html.url", "")
		case r.urls == sanitize.RemoveURLs:
			r.found("html.url", "")
		case !same(text, show) && (showsAnother(text, t.href) != "" || looksLikeAddress(bare(text)) || showsAnotherMailbox(text, t.href)):
			// Text that shows one address and leads to another shows the real
			// one.
			r.found("html.link-mismatch", bounded(text, 100))
			if t.as != "" && balanced(r.out[t.start:]) {
				r.out = appendText(r.out[:t.start], show)
			}
		}
	}
	if t.as != "" {
		r.out = append(append(append(r.out, "</"...), t.as...), '>')
	}
}

// balanced reports whether what was written closes what it opens, so that it
// can be taken back.
func balanced(b []byte) bool {
	depth := 0
	for i, c := range b {
		if c != '<' {
			continue
		}
		switch {
		case i+1 < len(b) && b[i+1] == '/':
			depth--
		case hasAny(b[i:], "<br>", "<hr>", "<wbr>", "<img ", "<br ", "<hr "):
		default:
			depth++
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0
}

func hasAny(b []byte, list ...string) bool {
	for _, s := range list {
		if len(b) >= len(s) && string(b[:len(s)]) == s {
			return true
		}
	}
	return false
}

// textOf gives the text of what was written.
func textOf(b []byte) string {
	var out strings.Builder
	in := false
	for _, c := range string(b) {
		switch {
		case c == '<':
			in = true
		case c == '>':
			in = false
		case !in:
			out.WriteRune(c)
		}
	}
	return xhtml.UnescapeString(out.String())
}

// looksLikeAddress reports whether a link's text is an address to its reader.
func looksLikeAddress(s string) bool {
	if s == "" || strings.ContainsAny(s, " \t\r\n") {
		return false
	}
	if sc := scheme(s); sc == "http" || sc == "https" {
		return true
	}
	return strings.HasPrefix(strings.ToLower(s), "www.")
}
