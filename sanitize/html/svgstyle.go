package html

import (
	"slices"
	"strings"

	"sekisho/internal/lazy"
)

// svgRule is a rule of a style sheet.
type svgRule struct {
	order, weight int
	style         string
	steps         []svgStep // the last is for the element, the others for those around it
}

// svgStep is what a selector says of one element.
type svgStep struct {
	name, id string
	classes  []string
	child    bool // the element is in that of the step before, with none between
}

// svgSelector is one step: an element or any, with classes and an id.
var svgSelector = lazy.Compile(`^(\*|[A-Za-z][A-Za-z0-9]*)?((?:[.#][A-Za-z_][A-Za-z0-9_-]{0,99})*)$`)

// readSelector reads a selector of elements, classes and ids, and of what they
// stand in; others are not understood. The key says which elements it can be for.
func readSelector(s string) (r svgRule, key string, ok bool) {
	const most = 6 // elements within one another
	child := false
	for _, word := range strings.Fields(strings.ReplaceAll(s, ">", " > ")) {
		if word == ">" {
			child = true
			continue
		}
		m := svgSelector.FindStringSubmatch(word)
		if m == nil || len(r.steps) == most {
			return r, "", false
		}
		step := svgStep{name: m[1], child: child}
		child = false
		if key = m[1]; m[1] == "*" {
			step.name = ""
		} else if m[1] != "" {
			r.weight++
		}
		rest := m[2]
		for rest != "" {
			end := 1 + strings.IndexAny(rest[1:]+".", ".#")
			if rest[0] == '.' {
				step.classes = append(step.classes, rest[1:end])
				r.weight += 1000
			} else {
				step.id = rest[1:end]
				r.weight += 1_000_000
			}
			if key == "" || key[0] != '#' {
				key = rest[:end]
			}
			rest = rest[end:]
		}
		r.steps = append(r.steps, step)
	}
	return r, key, len(r.steps) > 0 && !child
}

// meant reports whether a rule is for n, which stands in those above it.
func (d *drawing) meant(r svgRule, n *svgNode, above []*svgNode) bool {
	i := len(r.steps) - 1
	if !r.steps[i].fits(n) {
		return false
	}
	child := r.steps[i].child
	for i--; i >= 0; i-- {
		for {
			if len(above) == 0 {
				return false
			}
			if d.styled++; d.styled > maxStyled {
				return false
			}
			n, above = above[len(above)-1], above[:len(above)-1]
			if r.steps[i].fits(n) {
				break
			}
			if child {
				return false
			}
		}
		child = r.steps[i].child
	}
	return true
}

func (s *svgStep) fits(n *svgNode) bool {
	if s.name != "" && s.name != n.name || s.id != "" && s.id != n.attrs["id"] {
		return false
	}
	if len(s.classes) == 0 {
		return true
	}
	has := strings.Fields(n.class)
	for _, c := range s.classes {
		if !slices.Contains(has, c) {
			return false
		}
	}
	return true
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
			if r, key, ok := readSelector(sel); ok && d.order < 10_000 {
				d.order++
				r.order, r.style = d.order, style
				d.rules[key] = append(d.rules[key], r)
			}
		}
	}
}

// dress works styles into the attributes of an element and all below it, and
// notes the ids.
func (d *drawing) dress(n *svgNode, above []*svgNode, inMarker bool) {
	if n.name == "" {
		return
	}
	if len(d.rules) > 0 {
		var rules []svgRule
		of := func(key string) {
			for _, r := range d.rules[key] {
				if len(rules) < 200 && d.meant(r, n, above) {
					rules = append(rules, r)
				}
			}
		}
		of("*")
		of(n.name)
		for i, c := range strings.Fields(n.class) {
			if i < 20 {
				of("." + c)
			}
		}
		of("#" + n.attrs["id"])
		slices.SortStableFunc(rules, func(a, b svgRule) int {
			if a.weight != b.weight {
				return a.weight - b.weight
			}
			return a.order - b.order
		})
		for _, r := range rules {
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
	above = append(above, n)
	for _, k := range n.kids {
		d.dress(k, above, inMarker || n.name == "marker")
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
		if m := svgFontInShort.FindStringSubmatch(v); k == "font" && m != nil {
			// What it does not say is as usual, whatever stands around it.
			n.attrs["font-style"], n.attrs["font-weight"], n.attrs["font-variant"] = "normal", "normal", "normal"
			for _, w := range strings.Fields(m[1]) {
				switch w {
				case "italic", "oblique":
					n.attrs["font-style"] = w
				case "small-caps":
					n.attrs["font-variant"] = w
				case "normal":
				default:
					n.attrs["font-weight"] = w
				}
			}
			n.attrs["font-size"] = m[2]
			k, v = "font-family", m[3]
		}
		if i, ok := svgAttr()[k]; ok && svgAttrs[i].style && svgAttrs[i].form.MatchString(v) {
			n.attrs[k] = v
		}
	}
}
