package html

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sort"
	"strings"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"sekisho/sanitize"
)

const (
	maxOpen   = 512     // elements tracked; more nesting only costs layout
	maxIndent = 10      // levels of quotation or list that are drawn
	maxURL    = 8 << 10 // a longer address is not shown
	maxBase   = 512     // base address; it is repeated by every relative link
	flushAt   = 64 << 10
)

type converter struct {
	z     *xhtml.Tokenizer
	w     *writer
	urls  sanitize.URLs
	base  *url.URL
	count map[string]int
	first map[string]string

	open    []element
	opened  map[atom.Atom]int
	hidden  int
	skipped int
	pre     int
	written int64
}

func newConverter(urls sanitize.URLs, r io.Reader, out io.Writer) *converter {
	z := xhtml.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	return &converter{
		z: z, w: newWriter(out), urls: urls,
		count: map[string]int{}, first: map[string]string{}, opened: map[atom.Atom]int{},
	}
}

func (c *converter) run(ctx context.Context) error {
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		switch c.z.Next() {
		case xhtml.ErrorToken:
			err := c.z.Err()
			if errors.Is(err, io.EOF) {
				for len(c.open) > 0 {
					c.pop()
				}
				err = c.w.finish()
				c.written = c.w.total
				return err
			}
			if errors.Is(err, xhtml.ErrBufferExceeded) {
				return fmt.Errorf("a tag of more than %d bytes: %w", maxToken, sanitize.ErrLimit)
			}
			return err
		case xhtml.TextToken:
			c.text(c.z.Text())
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			c.start()
		case xhtml.EndTagToken:
			name, _ := c.z.TagName()
			c.end(atom.Lookup(name))
		}
		if c.w.err != nil {
			return c.w.err
		}
		if c.opened[atom.A] == 0 {
			c.w.flush()
		}
	}
}

func (c *converter) found(rule, detail string) {
	if c.count[rule]++; c.count[rule] == 1 {
		c.first[rule] = detail
	}
}

// findings are the counts, one line a rule, in a fixed order.
func (c *converter) findings() []sanitize.Finding {
	rules := make([]string, 0, len(c.count))
	for r := range c.count {
		rules = append(rules, r)
	}
	sort.Strings(rules)
	var out []sanitize.Finding
	for _, r := range rules {
		out = append(out, sanitize.Finding{Rule: r, Where: c.first[r], Action: actions()[r], Detail: fmt.Sprint(c.count[r])})
	}
	return out
}

func (c *converter) text(b []byte) {
	if c.skipped > 0 {
		return
	}
	if c.hidden > 0 {
		if len(bytes.TrimSpace(b)) > 0 {
			c.found("html.hidden", "")
		}
		return
	}
	if c.pre > 0 {
		c.w.preformatted(string(b))
		return
	}
	if r := c.row(); r != nil && len(bytes.TrimSpace(b)) > 0 {
		c.cellText(r)
	}
	t := string(b)
	if c.urls != sanitize.KeepURLs {
		var n int
		if t, n = TextURLs(t, c.urls); n > 0 {
			c.count["html.url"] += n
		}
	}
	c.w.text(t)
}

// row is the table row that text now falls into, if any.
func (c *converter) row() *row {
	for i := len(c.open) - 1; i >= 0; i-- {
		switch c.open[i].name {
		case atom.Tr:
			return c.open[i].row
		case atom.Table:
			return nil
		}
	}
	return nil
}

// cellText is called before the first text of a cell.
func (c *converter) cellText(r *row) {
	r.written = true
	if r.line < 0 {
		r.line = c.w.lines + c.w.pending
	}
}

func (c *converter) start() {
	name, more := c.z.TagName()
	a := atom.Lookup(name)
	e := element{name: a}
	var href, src, alt, value, typ, equiv, content, startAt, border, width, height string
	for more {
		var k, v []byte
		k, v, more = c.z.TagAttr()
		switch string(k) {
		case "href":
			href = string(v)
		case "src", "background", "data", "srcset", "poster", "dynsrc", "lowsrc":
			src = string(v)
		case "alt":
			alt = string(v)
		case "value":
			value = string(v)
		case "type":
			typ = string(v)
		case "http-equiv":
			equiv = string(v)
		case "content":
			content = string(v)
		case "start":
			startAt = string(v)
		case "border":
			border = string(v)
		case "width":
			width = string(v)
		case "height":
			height = string(v)
		case "hidden":
			e.hidden = true
		case "style":
			e.hidden = e.hidden || hides(string(v))
		default:
			if len(k) > 2 && k[0] == 'o' && k[1] == 'n' {
				c.found("html.event", string(k))
			}
		}
	}
	if remote(src) {
		c.found("html.remote", bounded(src, 100))
	}
	c.imply(a)
	if rule, ok := unseen()[a]; ok {
		if rule != "" {
			c.found(rule, string(name))
		}
		e.skip = true
		c.push(e)
		return
	}
	visible := c.hidden == 0 && c.skipped == 0 && !e.hidden
	if n := blocks()[a]; n > 0 && visible {
		c.w.block(n)
	}
	switch a {
	case atom.Br:
		if visible {
			c.w.newline()
		}
	case atom.Hr:
		if visible {
			c.w.text("----------------------------------------")
			c.w.block(1)
		}
	case atom.Wbr:
	case atom.Img, atom.Area:
		// A picture of one pixel counts readers.
		if alt = strings.TrimSpace(alt); visible && alt != "" && width != "1" && height != "1" {
			if r := c.row(); r != nil {
				c.cellText(r)
			}
			c.w.text("[" + bounded(alt, 500) + "]")
		}
		if a == atom.Area && visible && href != "" {
			c.target(c.resolve(href), "")
		}
	case atom.Embed, atom.Frame:
		c.found("html.frame", string(name))
	case atom.Link:
		if remote(href) {
			c.found("html.remote", bounded(href, 100))
		}
	case atom.Base:
		if u, err := url.Parse(clean(href)); err == nil && c.base == nil && len(href) <= maxBase && u.IsAbs() {
			c.base = u
		}
	case atom.Meta:
		if strings.EqualFold(strings.TrimSpace(equiv), "refresh") && strings.Contains(strings.ToLower(content), "url") {
			c.found("html.refresh", bounded(content, 100))
		}
	case atom.Form:
		c.found("html.form", "")
	case atom.Input:
		switch strings.ToLower(typ) {
		case "submit", "button", "reset":
			if visible && value != "" {
				c.w.text("[" + bounded(value, 200) + "]")
			}
		}
	case atom.A:
		if href != "" {
			e.link = &link{target: c.resolve(href), start: len(c.w.buf), seen: c.w.total}
		}
	case atom.Ul, atom.Menu, atom.Dir:
		e.list = &list{}
	case atom.Ol:
		e.list = &list{ordered: true, n: smallNumber(startAt) - 1}
	case atom.Li:
		if visible {
			c.bullet()
		}
	case atom.Dd:
		if visible {
			c.w.mark("  ")
		}
	case atom.Blockquote:
		e.quote = true
	case atom.Pre, atom.Xmp, atom.Plaintext, atom.Listing, atom.Textarea:
		e.pre = true
	case atom.Table:
		e.row = &row{ruled: border != "" && border != "0"}
	case atom.Tr:
		e.row = &row{}
		if t := c.nearest(atom.Table); t != nil && t.row != nil {
			e.row.ruled = t.row.ruled
		}
	case atom.Td, atom.Th:
		if r := c.row(); r != nil && visible {
			c.cell(r, a == atom.Th)
		}
	case atom.Rt:
		// The reading of a word; <rp>, which brings parentheses, is skipped.
		if visible {
			c.w.text("(")
		}
	case atom.Q:
		if visible {
			c.w.text("\u201c")
		}
	}
	if !void()[a] {
		c.push(e)
	}
}

// cell begins a cell of row r.
func (c *converter) cell(r *row, header bool) {
	if header {
		r.ruled = true
		if t := c.nearest(atom.Table); t != nil && t.row != nil {
			t.row.ruled = true
		}
	}
	if r.line >= 0 && c.w.lines > r.line {
		r.broken = true
	}
	switch {
	case r.cells == 0:
		c.w.fresh = true // the row has begun its line
	case r.broken:
		c.w.block(1)
		c.w.fresh = true
	case r.written || r.ruled:
		c.w.separator(" | ", r.ruled)
	}
	r.cells++
	r.line = -1
}

func (c *converter) bullet() {
	depth := 0
	var inner *list
	for i := range c.open {
		if l := c.open[i].list; l != nil {
			depth++
			inner = l
		}
	}
	indent := strings.Repeat("  ", min(max(depth-1, 0), maxIndent))
	if inner != nil && inner.ordered {
		inner.n++
		c.w.mark(fmt.Sprintf("%s%d. ", indent, inner.n))
		return
	}
	c.w.mark(indent + "- ")
}

func smallNumber(s string) int {
	n := 0
	for _, r := range s {
		if r < '0' || r > '9' || n > 1e6 {
			return 1
		}
		n = n*10 + int(r-'0')
	}
	if s == "" {
		return 1
	}
	return n
}

func (c *converter) nearest(a atom.Atom) *element {
	for i := len(c.open) - 1; i >= 0; i-- {
		if c.open[i].name == a {
			return &c.open[i]
		}
	}
	return nil
}

// imply closes what a start tag closes by itself.
func (c *converter) imply(a atom.Atom) {
	switch {
	case a == atom.Option:
		c.popWithin(atom.Option, atom.Select)
	case a == atom.A:
		c.popWithin(atom.A, atom.Table, atom.Td)
	case len(ends(a)) > 0:
		for _, e := range ends(a) {
			c.popWithin(e[0], e[1:]...)
		}
	case blocks()[a] > 0 && len(c.open) > 0 && c.open[len(c.open)-1].name == atom.P:
		c.pop()
	}
}

func (c *converter) popWithin(a atom.Atom, stops ...atom.Atom) {
	if c.opened[a] == 0 {
		return
	}
	if i := innermost(len(c.open), func(i int) atom.Atom { return c.open[i].name }, a, stops); i >= 0 {
		for len(c.open) > i {
			c.pop()
		}
	}
}

func (c *converter) push(e element) {
	if len(c.open) >= maxOpen {
		return
	}
	c.open = append(c.open, e)
	c.opened[e.name]++
	if e.hidden {
		c.hidden++
	}
	if e.skip {
		c.skipped++
	}
	if e.pre {
		c.pre++
	}
	if e.quote {
		c.w.quote++
	}
}

func (c *converter) end(a atom.Atom) {
	// An end tag without its start tag is the one case that would have to
	// search the whole stack for nothing, again and again.
	if a == 0 || c.opened[a] == 0 {
		if a == atom.P || a == atom.Br {
			if c.hidden == 0 && c.skipped == 0 {
				c.w.newline()
			}
		}
		return
	}
	for len(c.open) > 0 {
		last := c.open[len(c.open)-1].name
		c.pop()
		if last == a {
			return
		}
	}
}

func (c *converter) pop() {
	e := c.open[len(c.open)-1]
	c.open = c.open[:len(c.open)-1]
	c.opened[e.name]--
	visible := c.hidden == 0 && c.skipped == 0
	if visible {
		switch e.name {
		case atom.A:
			if e.link != nil {
				c.endLink(e.link)
			}
		case atom.Rt:
			c.w.text(")")
		case atom.Q:
			c.w.text("\u201d")
		case atom.Tr:
			c.w.endRow()
			if r := e.row; r != nil && r.cells > 1 && !r.broken {
				// The margin of a paragraph in a cell is the row's, not the text's.
				c.w.pending = min(c.w.pending, 1)
			}
		}
	}
	if e.hidden {
		c.hidden--
	}
	if e.skip {
		c.skipped--
	}
	if e.pre {
		c.pre--
	}
	if n := blocks()[e.name]; n > 0 && visible {
		c.w.block(n)
	}
	if e.quote {
		c.w.quote--
	}
}

func (c *converter) endLink(l *link) {
	text := ""
	if l.seen == c.w.total && l.start <= len(c.w.buf) {
		text = string(c.w.buf[l.start:])
	}
	c.target(l.target, text)
}

// hides reports whether a style attribute keeps its element from being seen.
func hides(style string) bool {
	s := strings.ToLower(style)
	if len(s) > 4096 {
		s = s[:4096]
	}
	small := false
	for _, d := range strings.Split(s, ";") {
		k, v, _ := strings.Cut(d, ":")
		v = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "!important"))
		switch strings.TrimSpace(k) {
		case "display":
			if v == "none" {
				return true
			}
		case "visibility":
			if v == "hidden" || v == "collapse" {
				return true
			}
		case "mso-hide":
			if v == "all" {
				return true
			}
		case "opacity", "font-size":
			if zero(v) {
				return true
			}
		case "max-height", "max-width", "height":
			small = small || zero(v)
		case "overflow":
			if small && v == "hidden" {
				return true
			}
		}
	}
	return small && strings.Contains(s, "overflow:hidden")
}

func zero(v string) bool {
	v = strings.TrimRight(v, "abcdefghijklmnopqrstuvwxyz% ")
	return v != "" && strings.Trim(v, "0.") == ""
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
