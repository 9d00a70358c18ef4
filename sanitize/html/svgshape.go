package html

import (
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
)

// sketch draws a drawing coarsely, so that a code made of its squares or lines is
// seen: filled and drawn shapes in one colour each, curves as straight lines; no
// text, no gradients, no pictures. It is for looking at, nobody is shown it.
type sketch struct {
	m    *image.Gray
	ids  map[string]*svgNode
	left int // what may still be spent: edges, rows and pixels
}

const (
	sketchSide = 900
	sketchWork = 4_000_000 // some 0.2 s, and 64 MiB
)

// matrix is a transformation: x' = a x + c y + e, y' = b x + d y + f.
type matrix [6]float64

func (m matrix) at(x, y float64) (float64, float64) {
	return m[0]*x + m[2]*y + m[4], m[1]*x + m[3]*y + m[5]
}

func (m matrix) then(n matrix) matrix { // n is of the inner one
	return matrix{m[0]*n[0] + m[2]*n[1], m[1]*n[0] + m[3]*n[1], m[0]*n[2] + m[2]*n[3], m[1]*n[2] + m[3]*n[3], m[0]*n[4] + m[2]*n[5] + m[4], m[1]*n[4] + m[3]*n[5] + m[5]}
}

// ink is what shapes inherit.
type ink struct{ fill, stroke, width string }

// sketched is the sketch of a drawing, nil of one without a size.
func (d *drawing) sketched(root *svgNode) *image.Gray {
	box := numbersOf(root.attrs["viewBox"])
	if len(box) != 4 {
		box = []float64{0, 0, length(root.attrs["width"]), length(root.attrs["height"])}
	}
	longest := max(box[2], box[3])
	if !(box[2] > 0 && box[3] > 0) || longest > 1e9 || min(box[2], box[3]) < longest/1e3 {
		return nil
	}
	scale := sketchSide / longest
	const margin = 24 // a code has light around it
	k := &sketch{ids: d.ids, left: sketchWork, m: image.NewGray(image.Rect(0, 0, int(box[2]*scale)+2*margin, int(box[3]*scale)+2*margin))}
	for i := range k.m.Pix {
		k.m.Pix[i] = 255
	}
	m := matrix{scale, 0, 0, scale, margin - box[0]*scale, margin - box[1]*scale}
	for _, n := range root.kids {
		k.draw(n, m, ink{"black", "none", "1"}.with(root), 0)
	}
	return k.m
}

func (i ink) with(n *svgNode) ink {
	for _, a := range []struct {
		name string
		to   *string
	}{{"fill", &i.fill}, {"stroke", &i.stroke}, {"stroke-width", &i.width}} {
		if v := n.attrs[a.name]; v != "" && v != "inherit" {
			*a.to = v
		}
	}
	return i
}

func (k *sketch) draw(n *svgNode, m matrix, i ink, depth int) {
	if k.left--; k.left < 0 || depth > maxSVGDepth || n.attrs["display"] == "none" {
		return
	}
	switch n.name {
	case "", "defs", "symbol", "pattern", "mask", "clipPath", "marker", "text", "title", "desc", "linearGradient", "radialGradient", "image":
		if n.name != "symbol" || depth == 0 {
			return
		}
	}
	i, m = i.with(n), m.then(transformOf(n.attrs["transform"]))
	number := func(k string) float64 { return length(n.attrs[k]) }
	switch n.name {
	case "use":
		if target := k.ids[strings.TrimPrefix(n.href, "#")]; target != nil {
			m = m.then(matrix{1, 0, 0, 1, number("x"), number("y")})
			if target.name == "symbol" {
				for _, c := range target.kids {
					k.draw(c, m, i.with(target), depth+1)
				}
				return
			}
			k.draw(target, m, i, depth+1)
		}
		return
	case "rect":
		x, y, w, h := number("x"), number("y"), number("width"), number("height")
		k.shape(m, i, [][]float64{{x, y, x + w, y, x + w, y + h, x, y + h, x, y}})
	case "circle", "ellipse":
		rx, ry := number("rx"), number("ry")
		if n.name == "circle" {
			rx = number("r")
			ry = rx
		}
		var p []float64
		for a := range 17 {
			s, c := math.Sincos(float64(a) * math.Pi / 8)
			p = append(p, number("cx")+rx*c, number("cy")+ry*s)
		}
		k.shape(m, i, [][]float64{p})
	case "line":
		k.shape(m, i, [][]float64{{number("x1"), number("y1"), number("x2"), number("y2")}})
	case "polyline", "polygon":
		k.shape(m, i, [][]float64{numbersOf(n.attrs["points"])})
	case "path":
		k.shape(m, i, pathOf(n.attrs["d"]))
	}
	for _, c := range n.kids {
		k.draw(c, m, i, depth+1)
	}
}

// shape fills polygons and draws their edges.
func (k *sketch) shape(m matrix, i ink, polygons [][]float64) {
	if c, ok := levelOf(i.fill); ok {
		k.fill(m, polygons, c)
	}
	c, ok := levelOf(i.stroke)
	if !ok {
		return
	}
	half := length(i.width) / 2
	for _, p := range polygons {
		for j := 0; j+3 < len(p); j += 2 {
			dx, dy := p[j+2]-p[j], p[j+3]-p[j+1]
			l := math.Hypot(dx, dy)
			if l == 0 || k.left < 0 {
				continue
			}
			nx, ny := -dy/l*half, dx/l*half
			k.fill(m, [][]float64{{p[j] + nx, p[j+1] + ny, p[j+2] + nx, p[j+3] + ny, p[j+2] - nx, p[j+3] - ny, p[j] - nx, p[j+1] - ny}}, c)
		}
	}
}

// fill fills polygons together, by how often they go around.
func (k *sketch) fill(m matrix, polygons [][]float64, level byte) {
	type crossing struct {
		x    float64
		down int
	}
	rows := map[int][]crossing{}
	height, width := float64(k.m.Rect.Dy()), float64(k.m.Rect.Dx())
	for _, p := range polygons {
		n := len(p) / 2
		for j := range n {
			l := (j + 1) % n
			x0, y0 := m.at(p[2*j], p[2*j+1])
			x1, y1 := m.at(p[2*l], p[2*l+1])
			down := 1
			if y0 > y1 {
				x0, y0, x1, y1, down = x1, y1, x0, y0, -1
			}
			if !(y1 > 0 && y0 < height) { // NaN too
				continue
			}
			for y := int(math.Ceil(max(y0, 0) - 0.5)); float64(y)+0.5 < min(y1, height); y++ {
				if k.left--; k.left < 0 {
					return
				}
				if y >= 0 {
					rows[y] = append(rows[y], crossing{x0 + (x1-x0)*(float64(y)+0.5-y0)/(y1-y0), down})
				}
			}
		}
	}
	for y, cs := range rows {
		slices.SortFunc(cs, func(a, b crossing) int {
			switch {
			case a.x < b.x:
				return -1
			case a.x > b.x:
				return 1
			}
			return 0
		})
		around := 0
		for j, c := range cs[:len(cs)-1] {
			if around += c.down; around == 0 || math.IsNaN(c.x) || math.IsNaN(cs[j+1].x) {
				continue
			}
			from, to := int(math.Ceil(min(max(c.x, 0), width)-0.5)), int(math.Ceil(min(max(cs[j+1].x, 0), width)-0.5))
			line := k.m.Pix[y*k.m.Stride:][:k.m.Stride]
			for x := max(from, 0); x < min(to, len(line)); x++ {
				line[x] = level
			}
			k.left -= max(to-from, 0)
		}
	}
}

// levelOf is how light a paint is; false for none.
func levelOf(s string) (byte, bool) {
	hex := func(s string) byte {
		v, _ := strconv.ParseUint(s, 16, 8)
		return byte(v)
	}
	grey := func(r, g, b byte) (byte, bool) {
		return color.GrayModel.Convert(color.RGBA{r, g, b, 255}).(color.Gray).Y, true
	}
	switch {
	case s == "none" || s == "transparent":
		return 0, false
	case s == "white":
		return 255, true
	case len(s) >= 7 && s[0] == '#':
		return grey(hex(s[1:3]), hex(s[3:5]), hex(s[5:7]))
	case len(s) >= 4 && s[0] == '#':
		return grey(hex(s[1:2])*17, hex(s[2:3])*17, hex(s[3:4])*17)
	case strings.HasPrefix(s, "rgb"):
		if v := numbersOf(strings.Trim(s, "rgba()")); len(v) >= 3 {
			of := func(v float64) byte {
				if strings.Contains(s, "%") {
					v *= 2.55
				}
				return byte(min(max(v, 0), 255))
			}
			return grey(of(v[0]), of(v[1]), of(v[2]))
		}
	case strings.HasPrefix(s, "light") || strings.HasSuffix(s, "white") || s == "yellow" || s == "ivory" || s == "snow":
		return 230, true
	}
	return 0, true // a name, a gradient
}

// length is a length without its unit, 0 where there is none.
func length(s string) float64 {
	v, err := strconv.ParseFloat(strings.TrimRight(strings.TrimSpace(s), "pxtemcin%"), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// numbersOf reads numbers with blanks, commas, signs or points between them.
func numbersOf(s string) (v []float64) {
	for i := 0; i < len(s); {
		j := i
		if c := s[j]; c == '+' || c == '-' {
			j++
		}
		point, digits := false, 0
		for ; j < len(s); j++ {
			c := s[j]
			if c == '.' && !point {
				point = true
			} else if c >= '0' && c <= '9' {
				digits++
			} else if (c == 'e' || c == 'E') && digits > 0 && j+1 < len(s) && (s[j+1] == '-' || s[j+1] == '+' || s[j+1] >= '0' && s[j+1] <= '9') {
				j++
				point = true
			} else {
				break
			}
		}
		if digits > 0 {
			if f, err := strconv.ParseFloat(s[i:j], 64); err == nil && !math.IsInf(f, 0) {
				v = append(v, f)
			}
		}
		i = max(j, i+1)
	}
	return v
}

func transformOf(s string) matrix {
	m := matrix{1, 0, 0, 1, 0, 0}
	for s != "" {
		name, rest, ok := strings.Cut(s, "(")
		if !ok {
			break
		}
		args, after, ok := strings.Cut(rest, ")")
		if !ok {
			break
		}
		s = after
		v := append(numbersOf(args), 0, 0, 0, 0, 0, 0)
		given := len(v) - 6
		switch strings.Trim(name, " \t\r\n,") {
		case "matrix":
			m = m.then(matrix(v[:6]))
		case "translate":
			m = m.then(matrix{1, 0, 0, 1, v[0], v[1]})
		case "scale":
			if given < 2 {
				v[1] = v[0]
			}
			m = m.then(matrix{v[0], 0, 0, v[1], 0, 0})
		case "rotate":
			s, c := math.Sincos(v[0] * math.Pi / 180)
			m = m.then(matrix{1, 0, 0, 1, v[1], v[2]}).then(matrix{c, s, -s, c, 0, 0}).then(matrix{1, 0, 0, 1, -v[1], -v[2]})
		}
	}
	return m
}

// pathOf reads a path as polygons, of curves their ends.
func pathOf(s string) (polygons [][]float64) {
	var x, y float64
	var now []float64
	for s != "" {
		command := s[0]
		end := 1 + strings.IndexAny(s[1:]+"z", "MmZzLlHhVvCcSsQqTtAa")
		v := numbersOf(s[1:end])
		s = s[end:]
		var bx, by float64
		lower := command|0x20 == command
		step := map[byte]int{'m': 2, 'l': 2, 't': 2, 'h': 1, 'v': 1, 'c': 6, 's': 4, 'q': 4, 'a': 7}[command|0x20]
		if step == 0 {
			if command|0x20 == 'z' && len(now) >= 2 {
				x, y = now[0], now[1]
				now = append(now, x, y)
			}
			continue
		}
		for first := true; len(v) >= step; v, first = v[step:], false {
			if bx, by = 0, 0; lower {
				bx, by = x, y
			}
			switch command | 0x20 {
			case 'h':
				x = bx + v[0]
			case 'v':
				y = by + v[0]
			default:
				x, y = bx+v[step-2], by+v[step-1]
			}
			if command|0x20 == 'm' && first {
				if len(now) > 2 {
					polygons = append(polygons, now)
				}
				now = nil
			}
			now = append(now, x, y)
		}
	}
	if len(now) > 2 {
		polygons = append(polygons, now)
	}
	return polygons
}
