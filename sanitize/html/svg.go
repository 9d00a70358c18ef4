package html

import (
	"bytes"
	"context"
	"encoding/base64"
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
// text, gradients, patterns, clipping, arrows, and pictures that lie in it, decoded
// and encoded anew. Nothing in it can run, move, load or lead
// anywhere. The zero value is ready.
//
// Source: SVG 1.1 (2nd ed.), as far as drawings in use go. Style sheets inside
// are worked into the elements, as far as they name elements, classes and ids.
type SVG struct{}

// Bounds of one drawing. A map of a town has some ten thousand elements.
const (
	maxSVGNodes    = 200_000
	maxSVGDepth    = 128
	maxSVGDrawn    = 200_000 // elements drawn when all that is used is put in its place
	maxSVGPictures = 200
)

// What is kept of a drawing. What stands for something else to a program
// (script, foreignObject, animate, filter ...) is not here. Pictures stay that lie
// in the drawing itself.
var svgElements = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"svg": true, "g": true, "defs": true, "symbol": true, "use": true, "title": true, "desc": true, "path": true, "rect": true, "circle": true,
		"ellipse": true, "line": true, "polyline": true, "polygon": true, "text": true, "tspan": true, "linearGradient": true, "radialGradient": true,
		"stop": true, "clipPath": true, "marker": true, "pattern": true, "mask": true, "image": true, "switch": true,
	}
})

// svgLost says under which code what is left out is reported.
var svgLost = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"script": "html.script", "handler": "html.script", "foreignObject": "html.frame", "iframe": "html.frame", "object": "html.frame", "embed": "html.frame",
		"filter": "svg.part", "textPath": "svg.part",
		"animate": "svg.animation", "animateTransform": "svg.animation", "animateMotion": "svg.animation", "animateColor": "svg.animation", "set": "svg.animation",
	}
})

var (
	svgNumber  = lazy.Compile(`^[ \t]*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?(?:px|pt|em|ex|cm|mm|in|pc|%)?[ \t]*$`)
	svgNumbers = lazy.Compile(`^[-+0-9eE., %\t\r\npxtmcin]*$`)
	svgPath    = lazy.Compile(`^[-+0-9eE., \t\r\nMmZzLlHhVvCcSsQqTtAa]*$`)
	svgMove    = lazy.Compile(`^(?:[\s,]*(?:matrix|translate|scale|rotate|skewX|skewY)[\s]*\([-+0-9eE., \t\r\n]*\))*[\s]*$`)
	svgPaint   = lazy.Compile(`^(?:[a-zA-Z]{1,30}|context-fill|context-stroke|#[0-9a-fA-F]{3,8}|(?:rgb|hsl)a?\([0-9., %/-]{1,40}\)|url\(#[A-Za-z_][A-Za-z0-9_.-]{0,99}\)(?: (?:none|[a-zA-Z]{1,30}|#[0-9a-fA-F]{3,8}))?)$`)
	svgRef     = lazy.Compile(`^(?:none|url\(#[A-Za-z_][A-Za-z0-9_.-]{0,99}\))$`)
	svgOwn     = lazy.Compile(`^#[A-Za-z_][A-Za-z0-9_.-]{0,99}$`)
	svgID      = lazy.Compile(`^[A-Za-z_][A-Za-z0-9_.-]{0,99}$`)
	svgWord    = lazy.Compile(`^[a-zA-Z-]{1,30}$`)
	svgWords   = lazy.Compile(`^[a-zA-Z -]{1,40}$`)
	svgSize    = lazy.Compile(`^(?:[-+0-9.]{1,12}(?:px|pt|em|ex|cm|mm|in|pc|%)?|[a-z-]{1,20})$`)
	svgFont    = lazy.Compile(`^[\p{L}\p{N} ,'_-]{1,200}$`)
	// Style, weight, size, perhaps the height of a line, family (CSS 2.1, 15.8).
	svgFontInShort = lazy.Compile(`^((?:(?:normal|italic|oblique|small-caps|bold|bolder|lighter|[1-9]00)\s+)*)([0-9.]{1,12}(?:px|pt|em|ex|cm|mm|in|pc|%)|[a-z]{1,3}-?(?:small|large|er)|medium|small|large)(?:\s*/\s*[0-9a-z.%]+)?\s+([^;]{1,200})$`)

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
	{"patternUnits", svgWord, false}, {"patternContentUnits", svgWord, false}, {"patternTransform", svgMove, false},
	{"maskUnits", svgWord, false}, {"maskContentUnits", svgWord, false},
	{"markerWidth", svgNumber, false}, {"markerHeight", svgNumber, false}, {"refX", svgNumber, false}, {"refY", svgNumber, false},
	{"markerUnits", svgWord, false}, {"orient", svgSize, false}, {"textLength", svgNumber, false}, {"lengthAdjust", svgWord, false},
	{"fill", svgPaint, true}, {"fill-opacity", svgNumber, true}, {"fill-rule", svgWord, true},
	{"stroke", svgPaint, true}, {"stroke-width", svgNumber, true}, {"stroke-opacity", svgNumber, true}, {"stroke-linecap", svgWord, true},
	{"stroke-linejoin", svgWord, true}, {"stroke-miterlimit", svgNumber, true}, {"stroke-dasharray", lazy.Compile(`^(?:none|[-+0-9eE., %pxtmcin]*)$`), true},
	{"stroke-dashoffset", svgNumber, true}, {"opacity", svgNumber, true}, {"color", svgPaint, true}, {"stop-color", svgPaint, true}, {"stop-opacity", svgNumber, true},
	{"clip-path", svgRef, true}, {"clip-rule", svgWord, true}, {"mask", svgRef, true},
	{"marker-start", svgRef, true}, {"marker-mid", svgRef, true}, {"marker-end", svgRef, true},
	{"paint-order", svgWords, true}, {"display", svgWord, true}, {"visibility", svgWord, true}, {"overflow", svgWord, true},
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
	href  string // "#id"; of a picture its octets, as data:
	class string
	style string
	kids  []*svgNode

	unless bool // of a switch: only for programs or readers of which nothing is known
}

type drawing struct {
	found  map[string]int
	nodes  int
	rules  map[string][]svgRule // by what the element has: "rect", ".class", "#id", "*"
	order  int
	styled int // octets of style worked in
	sheets int // octets of style sheets
	ids    map[string]*svgNode
	images int
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
	d.dress(root, nil, false)
	if err := d.pictures(ctx, s, in.Path, root); err != nil {
		return sanitize.Result{}, err
	}
	// Things used inside things used double with each level.
	if drawn := d.drawn(root, map[*svgNode]int{}, 0); drawn > maxSVGDrawn {
		d.unuse(root)
		d.found["svg.part"]++
	}
	if s.Looks() {
		if m := d.sketched(root); m != nil {
			s.Look(m)
		}
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
			if n := open[len(open)-1]; n == nil {
				skipped--
				inStyle = inStyle && skipped > 0
			} else if n.name == "switch" {
				n.decide()
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

// decide keeps the first of the branches of a switch that every program shows, and
// has the switch be a group around it.
func (n *svgNode) decide() {
	n.name = "g"
	for i, k := range n.kids {
		if !k.unless && k.name != "title" && k.name != "desc" {
			n.kids = n.kids[i : i+1]
			return
		}
	}
	n.kids = nil
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
			case name == "image" && strings.HasPrefix(v, "data:"):
				node.href = v
			case t.Name.Local == "a":
				d.found["html.link"]++
			case remote(v):
				d.found["html.remote"]++
			}
		case a.Name.Space != "":
		case key == "requiredExtensions", key == "systemLanguage" && !strings.HasPrefix(v, "ja"):
			node.unless = true
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
	for _, id := range n.uses() {
		if target := d.ids[id]; target != nil {
			sum = min(sum+d.drawn(target, known, depth+1), maxSVGDrawn+1)
		}
	}
	known[n] = sum
	return sum
}

// uses are the ids of what is drawn once more where n is drawn.
func (n *svgNode) uses() (ids []string) {
	if (n.name == "use" || n.name == "pattern") && n.href != "" {
		ids = append(ids, n.href[1:])
	}
	for _, k := range [...]string{"fill", "stroke", "mask", "clip-path"} {
		if v, ok := strings.CutPrefix(n.attrs[k], "url(#"); ok {
			id, _, _ := strings.Cut(v, ")")
			ids = append(ids, id)
		}
	}
	return ids
}

// unuse takes out what makes many of few.
func (d *drawing) unuse(n *svgNode) {
	n.kids = slices.DeleteFunc(n.kids, func(k *svgNode) bool { return k.name == "use" || k.name == "pattern" || k.name == "mask" })
	delete(n.attrs, "mask")
	for _, k := range n.kids {
		d.unuse(k)
	}
}

// pictures has every picture treated that lies in the drawing. One that is
// elsewhere, or that cannot be read, is left out.
func (d *drawing) pictures(ctx context.Context, s *sanitize.Session, path string, n *svgNode) error {
	for i := 0; i < len(n.kids); i++ {
		k := n.kids[i]
		if k.name != "image" {
			if err := d.pictures(ctx, s, path, k); err != nil {
				return err
			}
			continue
		}
		d.images++
		data, err := d.picture(ctx, s, path, k.href)
		if err != nil {
			return err
		}
		if k.href = data; data == "" {
			d.found["svg.part"]++
			n.kids = slices.Delete(n.kids, i, i+1)
			i--
		}
	}
	return nil
}

// picture is one treated, "" where nothing of it can stay.
func (d *drawing) picture(ctx context.Context, s *sanitize.Session, path, href string) (string, error) {
	head, data, ok := strings.Cut(href, ",")
	if !ok || !strings.HasPrefix(head, "data:") || !strings.HasSuffix(head, ";base64") || d.images > maxSVGPictures {
		return "", nil
	}
	data = strings.Map(func(c rune) rune {
		if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			return -1
		}
		return c
	}, data)
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(data, "="))
	if err != nil {
		return "", nil
	}
	var out bytes.Buffer
	o := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: fmt.Sprintf("%s/picture%d", path, d.images)}
	res, err := s.Nested(ctx, o, &out)
	if errors.Is(err, sanitize.ErrLimit) || ctx.Err() != nil {
		return "", fmt.Errorf("picture %d: %w", d.images, err)
	}
	if err != nil || res.Kind != sanitize.KindPNG && res.Kind != sanitize.KindJPEG {
		return "", nil
	}
	return "data:" + res.Kind.Facts().Media + ";base64," + base64.StdEncoding.EncodeToString(out.Bytes()), nil
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
	if n.href != "" && (n.name == "use" || n.name == "pattern" || n.name == "image" || strings.HasSuffix(n.name, "Gradient")) {
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
