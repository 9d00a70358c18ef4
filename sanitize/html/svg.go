package html

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"sekisho/internal/charset"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// SVG writes a drawing anew from a list of elements and attributes: shapes,
// text, gradients, clipping, arrows. Nothing in it can run, move, load or lead
// anywhere. The zero value is ready.
//
// Source: SVG 1.1 (2nd ed.), as far as drawings in use go. Style sheets inside
// are worked into the elements, as far as they name elements, classes and ids.
type SVG struct{}

// Bounds of one drawing. A map of a town has some ten thousand elements.
const (
	maxSVGNodes = 200_000
	maxSVGDepth = 128
	maxSVGDrawn = 200_000 // elements drawn when all that is used is put in its place
)

// What is kept of a drawing. What stands for something else to a program
// (script, foreignObject, animate, image, filter, pattern ...) is not here.
var svgElements = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"svg": true, "g": true, "defs": true, "symbol": true, "use": true, "title": true, "desc": true, "path": true, "rect": true, "circle": true,
		"ellipse": true, "line": true, "polyline": true, "polygon": true, "text": true, "tspan": true, "linearGradient": true, "radialGradient": true,
		"stop": true, "clipPath": true, "marker": true,
	}
})

// svgLost says under which code what is left out is reported.
var svgLost = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"script": "html.script", "handler": "html.script", "foreignObject": "html.frame", "iframe": "html.frame", "object": "html.frame", "embed": "html.frame",
		"image": "svg.part", "filter": "svg.part", "pattern": "svg.part", "mask": "svg.part", "switch": "svg.part", "textPath": "svg.part",
		"animate": "svg.animation", "animateTransform": "svg.animation", "animateMotion": "svg.animation", "animateColor": "svg.animation", "set": "svg.animation",
	}
})

var (
	svgNumber  = lazy.Compile(`^[ \t]*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?(?:px|pt|em|ex|cm|mm|in|pc|%)?[ \t]*$`)
	svgNumbers = lazy.Compile(`^[-+0-9eE., %\t\r\npxtmcin]*$`)
	svgPath    = lazy.Compile(`^[-+0-9eE., \t\r\nMmZzLlHhVvCcSsQqTtAa]*$`)
	svgMove    = lazy.Compile(`^(?:[\s,]*(?:matrix|translate|scale|rotate|skewX|skewY)[\s]*\([-+0-9eE., \t\r\n]*\))*[\s]*$`)
	svgPaint   = lazy.Compile(`^(?:[a-zA-Z]{1,30}|#[0-9a-fA-F]{3,8}|rgba?\([0-9., %]{1,40}\)|url\(#[A-Za-z_][A-Za-z0-9_.-]{0,99}\)(?: (?:none|[a-zA-Z]{1,30}|#[0-9a-fA-F]{3,8}))?)$`)
	svgRef     = lazy.Compile(`^(?:none|url\(#[A-Za-z_][A-Za-z0-9_.-]{0,99}\))$`)
	svgOwn     = lazy.Compile(`^#[A-Za-z_][A-Za-z0-9_.-]{0,99}$`)
	svgID      = lazy.Compile(`^[A-Za-z_][A-Za-z0-9_.-]{0,99}$`)
	svgWord    = lazy.Compile(`^[a-zA-Z-]{1,30}$`)
	svgWords   = lazy.Compile(`^[a-zA-Z -]{1,40}$`)
	svgSize    = lazy.Compile(`^(?:[-+0-9.]{1,12}(?:px|pt|em|ex|cm|mm|in|pc|%)?|[a-z-]{1,20})$`)
	svgFont    = lazy.Compile(`^[\p{L}\p{N} ,'_-]{1,200}$`)
	svgVersion = lazy.Compile(`^[0-9.]{1,5}$`)

	// Adobe Illustrator defines names for namespaces and nothing else. With these
	// names and lengths what is written by them is at most ten times as long, and
	// a value that holds no & and no < defines nothing further.
	svgSpaces = lazy.Compile(`^DOCTYPE\s+svg\s+PUBLIC\s+"[^"<>\[]{0,100}"\s+"[^"<>\[]{0,100}"\s*\[\s*(?:<!ENTITY\s+ns_[a-z]{1,20}\s+"[A-Za-z0-9:/.-]{0,64}">\s*)*\]\s*$`)
	svgSpace  = lazy.Compile(`<!ENTITY\s+(ns_[a-z]{1,20})\s+"([A-Za-z0-9:/.-]{0,64})">`)
)

// svgAttrs are attributes of any element, in the order in which they are
// written; the ones of style may come from a style sheet too.
var svgAttrs = []struct {
	name  string
	form  *lazy.Regexp
	style bool
}{
	{"id", svgID, false}, {"version", svgVersion, false},
	{"x", svgNumbers, false}, {"y", svgNumbers, false}, {"dx", svgNumbers, false}, {"dy", svgNumbers, false}, {"rotate", svgNumbers, false},
	{"width", svgNumber, false}, {"height", svgNumber, false}, {"viewBox", svgNumbers, false}, {"preserveAspectRatio", svgWords, false},
	{"x1", svgNumber, false}, {"y1", svgNumber, false}, {"x2", svgNumber, false}, {"y2", svgNumber, false},
	{"cx", svgNumber, false}, {"cy", svgNumber, false}, {"r", svgNumber, false}, {"rx", svgNumber, false}, {"ry", svgNumber, false},
	{"fx", svgNumber, false}, {"fy", svgNumber, false}, {"d", svgPath, false}, {"points", svgNumbers, false}, {"pathLength", svgNumber, false},
	{"transform", svgMove, false}, {"gradientTransform", svgMove, false}, {"gradientUnits", svgWord, false}, {"spreadMethod", svgWord, false},
	{"offset", svgNumber, false}, {"clipPathUnits", svgWord, false},
	{"markerWidth", svgNumber, false}, {"markerHeight", svgNumber, false}, {"refX", svgNumber, false}, {"refY", svgNumber, false},
	{"markerUnits", svgWord, false}, {"orient", svgSize, false}, {"textLength", svgNumber, false}, {"lengthAdjust", svgWord, false},
	{"fill", svgPaint, true}, {"fill-opacity", svgNumber, true}, {"fill-rule", svgWord, true},
	{"stroke", svgPaint, true}, {"stroke-width", svgNumber, true}, {"stroke-opacity", svgNumber, true}, {"stroke-linecap", svgWord, true},
	{"stroke-linejoin", svgWord, true}, {"stroke-miterlimit", svgNumber, true}, {"stroke-dasharray", lazy.Compile(`^(?:none|[-+0-9eE., %pxtmcin]*)$`), true},
	{"stroke-dashoffset", svgNumber, true}, {"opacity", svgNumber, true}, {"color", svgPaint, true}, {"stop-color", svgPaint, true}, {"stop-opacity", svgNumber, true},
	{"clip-path", svgRef, true}, {"clip-rule", svgWord, true},
	{"marker-start", svgRef, true}, {"marker-mid", svgRef, true}, {"marker-end", svgRef, true},
	{"display", svgWord, true}, {"visibility", svgWord, true}, {"overflow", svgWord, true},
	{"font-family", svgFont, true}, {"font-size", svgSize, true}, {"font-weight", svgSize, true}, {"font-style", svgWord, true}, {"font-variant", svgWord, true},
	{"font-stretch", svgWord, true}, {"text-anchor", svgWord, true}, {"text-decoration", svgWords, true}, {"dominant-baseline", svgWord, true},
	{"alignment-baseline", svgWord, true}, {"baseline-shift", svgSize, true}, {"letter-spacing", svgSize, true}, {"word-spacing", svgSize, true},
	{"writing-mode", svgWord, true}, {"direction", svgWord, true},
}

var svgAttr = sync.OnceValue(func() map[string]int {
	m := map[string]int{}
	for i, a := range svgAttrs {
		m[a.name] = i
	}
	return m
})

// svgNode is one element that is kept, or a stretch of text.
type svgNode struct {
	name  string // "" for text
	text  string
	attrs map[string]string
	href  string // "#id"
	class string
	style string
	kids  []*svgNode
}

type drawing struct {
	found  map[string]int
	nodes  int
	rules  map[string][]svgRule // by selector: "rect", ".class", "#id"
	order  int
	styled int // octets of style worked in
	sheets int // octets of style sheets
	ids    map[string]*svgNode
}

// svgRule is a rule of a style sheet.
type svgRule struct {
	order int
	style string
}

// Sanitize writes the drawing in to out.
func (SVG) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	text := charset.NewReader(in.Charset, in.Reader())
	text.DropControls = true
	d := &drawing{found: map[string]int{}, ids: map[string]*svgNode{}, rules: map[string][]svgRule{}}
	root, err := d.read(ctx, s.Meter(text))
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("svg: %w", err)
	}
	d.dress(root, false)
	// Things used inside things used double with each level.
	if drawn := d.drawn(root, map[*svgNode]int{}, 0); drawn > maxSVGDrawn {
		d.unuse(root)
		d.found["svg.part"]++
	}
	b := append([]byte(nil), svgHead...)
	b = d.write(b, root, true)
	b = append(b, "\r\n"...)
	if err := s.Spend(int64(len(b))); err != nil {
		return sanitize.Result{}, err
	}
	if _, err := out.Write(b); err != nil {
		return sanitize.Result{}, fmt.Errorf("write: %w", err)
	}
	res := sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindSVG, Mode: sanitize.Rebuild}
	rules := make([]string, 0, len(d.found))
	for r := range d.found {
		rules = append(rules, r)
	}
	slices.Sort(rules)
	for _, r := range rules {
		f := sanitize.Finding{Rule: r, Action: svgActions()[r], Detail: fmt.Sprint(d.found[r])}
		s.Found(f)
		if f.Changed() {
			res.Outcome = sanitize.Disarmed
		}
	}
	return res, nil
}

const svgHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"

var svgActions = sync.OnceValue(func() map[string]sanitize.Action {
	return map[string]sanitize.Action{
		"html.script": sanitize.Removed, "html.frame": sanitize.Removed, "html.event": sanitize.Removed, "html.link": sanitize.Removed,
		"html.remote": sanitize.Rewritten, "svg.animation": sanitize.Removed, "svg.part": sanitize.Removed,
	}
})

// read builds the tree of what is kept.
func (d *drawing) read(ctx context.Context, r io.Reader) (*svgNode, error) {
	x := xml.NewDecoder(r)
	x.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	var root *svgNode
	var open []*svgNode // nil for what is left out
	skipped := 0
	inStyle := false
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		tok, err := x.Token()
		if errors.Is(err, io.EOF) {
			if root == nil || len(open) > 0 {
				return nil, fmt.Errorf("no drawing: %w", sanitize.ErrMalformed)
			}
			return root, nil
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				return nil, fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
			}
			return nil, err
		}
		switch t := tok.(type) {
		case xml.Directive:
			// A doctype names the standard; one that defines anything is a bomb or
			// a door (limits: no DOCTYPE).
			if strings.ContainsAny(string(t), "[<") {
				if root != nil || x.Entity != nil || !svgSpaces.Match(t) {
					return nil, fmt.Errorf("a DOCTYPE with definitions: %w", sanitize.ErrMalformed)
				}
				x.Entity = map[string]string{}
				for _, e := range svgSpace.FindAllStringSubmatch(string(t), -1) {
					x.Entity[e[1]] = e[2]
				}
			}
		case xml.ProcInst:
			if t.Target != "xml" {
				d.found["html.remote"]++ // xml-stylesheet
			}
		case xml.StartElement:
			if len(open) >= maxSVGDepth {
				return nil, fmt.Errorf("elements more than %d deep: %w", maxSVGDepth, sanitize.ErrLimit)
			}
			if d.nodes++; d.nodes > maxSVGNodes {
				return nil, fmt.Errorf("more than %d elements: %w", maxSVGNodes, sanitize.ErrLimit)
			}
			node := d.element(t, skipped > 0)
			switch {
			case root == nil:
				if node == nil || node.name != "svg" {
					return nil, fmt.Errorf("no drawing: %w", sanitize.ErrMalformed)
				}
				root = node
			case len(open) == 0:
				return nil, fmt.Errorf("two drawings: %w", sanitize.ErrMalformed)
			case node != nil:
				p := open[len(open)-1]
				p.kids = append(p.kids, node)
			}
			if node == nil {
				skipped++
				inStyle = inStyle || t.Name.Local == "style" && skipped == 1
			}
			open = append(open, node)
		case xml.EndElement:
			if open[len(open)-1] == nil {
				skipped--
				inStyle = inStyle && skipped > 0
			}
			open = open[:len(open)-1]
		case xml.CharData:
			switch {
			case inStyle:
				d.sheet(string(t))
			case skipped > 0 || len(open) == 0:
			default:
				p := open[len(open)-1]
				if p.name == "text" || p.name == "tspan" || p.name == "title" || p.name == "desc" {
					p.kids = append(p.kids, &svgNode{text: string(t)})
				}
			}
		}
	}
}

// element takes what is kept of a start tag; nil when nothing is.
func (d *drawing) element(t xml.StartElement, skipped bool) *svgNode {
	name := t.Name.Local
	if name == "a" {
		name = "g" // a link is a group that leads somewhere
	}
	node := &svgNode{name: name, attrs: map[string]string{}}
	for _, a := range t.Attr {
		key, v := a.Name.Local, a.Value
		switch {
		case a.Name.Space == "xmlns" || key == "xmlns":
		case strings.HasPrefix(strings.ToLower(key), "on"):
			d.found["html.event"]++
		case key == "href":
			switch {
			case svgOwn.MatchString(v):
				node.href = v
			case t.Name.Local == "a":
				d.found["html.link"]++
			case remote(v):
				d.found["html.remote"]++
			}
		case a.Name.Space != "":
		case key == "class":
			node.class = v
		case key == "style":
			node.style = v
		default:
			if i, ok := svgAttr()[key]; ok && svgAttrs[i].form.MatchString(strings.TrimSpace(v)) {
				node.attrs[key] = strings.TrimSpace(v)
			}
		}
	}
	if skipped {
		return nil
	}
	if !svgElements()[name] {
		if rule := svgLost()[name]; rule != "" {
			d.found[rule]++
		}
		return nil
	}
	return node
}

// maxStyled bounds the styles that are worked into elements, all together.
const maxStyled = 64 << 20

// maxSheet bounds the style sheets that are read: those of large maps have some
// ten kilobytes.
const maxSheet = 256 << 10

// sheet reads a style sheet as far as its selectors are simple.
func (d *drawing) sheet(s string) {
	if d.sheets += len(s); d.sheets > maxSheet {
		return
	}
	var plain strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "/*")
		plain.WriteString(before)
		if !ok {
			break
		}
		plain.WriteByte(' ')
		if _, s, ok = strings.Cut(rest, "*/"); !ok {
			break
		}
	}
	for s = plain.String(); ; {
		selectors, rest, ok := strings.Cut(s, "{")
		if !ok {
			return
		}
		style, after, ok := strings.Cut(rest, "}")
		if !ok {
			return
		}
		s = after
		// What stands before a semicolon is an @import and the like.
		selectors = selectors[strings.LastIndexByte(selectors, ';')+1:]
		for _, sel := range strings.Split(selectors, ",") {
			sel = strings.TrimSpace(sel)
			name := strings.TrimLeft(sel, ".#")
			if svgID.MatchString(name) && len(sel)-len(name) <= 1 && len(d.rules) < 5000 {
				d.order++
				d.rules[sel] = append(d.rules[sel], svgRule{d.order, style})
			}
		}
	}
}

// dress works styles into the attributes of an element and all below it, and
// notes the ids.
func (d *drawing) dress(n *svgNode, inMarker bool) {
	if n.name == "" {
		return
	}
	if len(d.rules) > 0 {
		// By weight: element, classes, id.
		for _, r := range d.rules[n.name] {
			d.declare(n, r.style)
		}
		var classes []svgRule
		for i, c := range strings.Fields(n.class) {
			if i < 20 {
				classes = append(classes, d.rules["."+c]...)
			}
		}
		slices.SortFunc(classes, func(a, b svgRule) int { return a.order - b.order })
		for i, r := range classes {
			if i < 100 {
				d.declare(n, r.style)
			}
		}
		for _, r := range d.rules["#"+n.attrs["id"]] {
			d.declare(n, r.style)
		}
	}
	d.declare(n, n.style)
	if id := n.attrs["id"]; id != "" {
		if _, ok := d.ids[id]; ok {
			delete(n.attrs, "id") // two of one name: programs take the first or the last
		} else {
			d.ids[id] = n
		}
	}
	if inMarker {
		// An arrow whose line has arrows has no end.
		for _, k := range []string{"marker-start", "marker-mid", "marker-end"} {
			delete(n.attrs, k)
		}
	}
	for _, k := range n.kids {
		d.dress(k, inMarker || n.name == "marker")
	}
}

// declare puts the declarations of a style into attributes.
func (d *drawing) declare(n *svgNode, style string) {
	// A style sheet that says much of each of many elements costs its square.
	if d.styled += len(style); d.styled > maxStyled {
		return
	}
	if strings.ContainsAny(style, `\@<>`) || strings.Contains(style, "/*") {
		return
	}
	for _, decl := range strings.Split(style, ";") {
		k, v, ok := strings.Cut(decl, ":")
		if !ok {
			continue
		}
		k = strings.ToLower(strings.TrimSpace(k))
		v = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "!important"))
		v = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(v, `url("#`, "url(#"), `url('#`, "url(#"), `")`, ")")
		v = strings.ReplaceAll(strings.ReplaceAll(v, `')`, ")"), `"`, "'")
		if i, ok := svgAttr()[k]; ok && svgAttrs[i].style && svgAttrs[i].form.MatchString(v) {
			n.attrs[k] = v
		}
	}
}

// drawn counts the elements that n stands for. A circle counts as too many.
func (d *drawing) drawn(n *svgNode, known map[*svgNode]int, depth int) int {
	const open = -1
	if depth > 2*maxSVGDepth {
		return maxSVGDrawn + 1
	}
	switch c := known[n]; {
	case c == open:
		return maxSVGDrawn + 1
	case c > 0:
		return c
	}
	known[n] = open
	sum := 1
	for _, k := range n.kids {
		sum = min(sum+d.drawn(k, known, depth+1), maxSVGDrawn+1)
	}
	if n.name == "use" && n.href != "" {
		if target := d.ids[n.href[1:]]; target != nil {
			sum = min(sum+d.drawn(target, known, depth+1), maxSVGDrawn+1)
		}
	}
	known[n] = sum
	return sum
}

func (d *drawing) unuse(n *svgNode) {
	n.kids = slices.DeleteFunc(n.kids, func(k *svgNode) bool { return k.name == "use" })
	for _, k := range n.kids {
		d.unuse(k)
	}
}

func (d *drawing) write(b []byte, n *svgNode, root bool) []byte {
	if n.name == "" {
		return appendText(b, n.text)
	}
	b = append(append(b, '<'), n.name...)
	if root {
		b = append(b, ` xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"`...)
	}
	for _, a := range svgAttrs {
		if v, ok := n.attrs[a.name]; ok {
			b = appendAttr(b, a.name, v)
		}
	}
	if n.href != "" && (n.name == "use" || strings.HasSuffix(n.name, "Gradient")) {
		b = appendAttr(b, "xlink:href", n.href)
	}
	if len(n.kids) == 0 {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	for _, k := range n.kids {
		b = d.write(b, k, false)
	}
	return append(append(append(b, "</"...), n.name...), '>')
}
