package verify

import (
	"bytes"
	"encoding/base64"
	"strings"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// What a drawing may hold. The reader here is no XML parser: our writer writes
// tags in one form, and anything in another is refused.
var (
	svgTag  = lazy.Compile(`^<(/?)([A-Za-z]+)((?: [A-Za-z0-9:-]+="[^"<>]*")*)(/?)>`)
	svgPair = lazy.Compile(` ([A-Za-z0-9:-]+)="([^"<>]*)"`)
	svgSafe = lazy.Compile(`^(?:(?:[^(&:\\]|&#34;)*|url\(#[A-Za-z_][A-Za-z0-9_.-]*\)(?: [#A-Za-z0-9]+)?|(?:rgb|hsl)a?\([0-9., %/-]+\)|(?:[\s,]*(?:matrix|translate|scale|rotate|skewX|skewY)\s*\([-+0-9eE.,\s]*\))*\s*)$`)
)

const svgNames = " svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan linearGradient radialGradient stop clipPath marker pattern mask image "

const svgKeys = " id version x y dx dy rotate width height viewBox preserveAspectRatio x1 y1 x2 y2 cx cy r rx ry fx fy d points pathLength transform " +
	"gradientTransform gradientUnits spreadMethod offset clipPathUnits markerWidth markerHeight refX refY markerUnits orient textLength lengthAdjust " +
	"fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray stroke-dashoffset " +
	"opacity color stop-color stop-opacity clip-path clip-rule marker-start marker-mid marker-end display visibility overflow font-family font-size " +
	"font-weight font-style font-variant font-stretch text-anchor text-decoration dominant-baseline alignment-baseline baseline-shift letter-spacing " +
	"word-spacing writing-mode direction patternUnits patternContentUnits patternTransform maskUnits maskContentUnits mask paint-order "

// checkSVG reads a drawing tag by tag.
func checkSVG(s *sanitize.Session, where string, b []byte) error {
	if err := plain(s, where, b); err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(string(b), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"")
	if !ok {
		return notAllowed(where, "SVG: another beginning")
	}
	rest = "<svg" + rest
	var open []string
	for n := 0; rest != ""; n++ {
		i := strings.IndexByte(rest, '<')
		text := rest
		if i >= 0 {
			text = rest[:i]
		}
		if strings.Trim(text, "\r\n\t ") != "" {
			if len(open) == 0 {
				return notAllowed(where, "SVG: text outside of the drawing")
			}
			switch open[len(open)-1] {
			case "text", "tspan", "title", "desc":
			default:
				return notAllowed(where, "SVG: text in %s", open[len(open)-1])
			}
		}
		if strings.Contains(text, ">") {
			return notAllowed(where, "SVG: a stray >")
		}
		if i < 0 {
			break
		}
		rest = rest[i:]
		// A tag of ours is short but for the path in it.
		end := strings.IndexByte(rest, '>')
		if end < 0 {
			return notAllowed(where, "SVG: a tag without its end")
		}
		m := svgTag.FindStringSubmatch(rest[:end+1])
		if m == nil || len(m[0]) != end+1 {
			return notAllowed(where, "SVG: a tag of another form")
		}
		rest = rest[end+1:]
		if !strings.Contains(svgNames, " "+m[2]+" ") {
			return notAllowed(where, "SVG: element %.40q", m[2])
		}
		if m[1] != "" {
			if len(open) == 0 || open[len(open)-1] != m[2] || m[3] != "" || m[4] != "" {
				return notAllowed(where, "SVG: an end of %s that ends nothing", m[2])
			}
			open = open[:len(open)-1]
			continue
		}
		if len(open) == 0 && n > 0 {
			return notAllowed(where, "SVG: two drawings")
		}
		seen := map[string]bool{}
		for _, a := range svgPair.FindAllStringSubmatch(m[3], -1) {
			switch {
			case seen[a[1]]:
				return notAllowed(where, "SVG: %s twice", a[1])
			case a[1] == "xlink:href" && m[2] == "image":
				if err := checkData(s, where, a[2]); err != nil {
					return err
				}
			case a[1] == "xlink:href":
				if (m[2] != "use" && m[2] != "pattern" && !strings.HasSuffix(m[2], "Gradient")) || !strings.HasPrefix(a[2], "#") || strings.ContainsAny(a[2], ":/\\&") {
					return notAllowed(where, "SVG: a reference to %.60q", a[2])
				}
			case !strings.Contains(svgKeys, " "+a[1]+" "):
				return notAllowed(where, "SVG: attribute %.40q", a[1])
			case !svgSafe.MatchString(a[2]):
				return notAllowed(where, "SVG: %s of %.60q", a[1], a[2])
			}
			seen[a[1]] = true
		}
		if m[4] == "" {
			open = append(open, m[2])
		}
		if len(open) > 130 {
			return notAllowed(where, "SVG: elements too deep")
		}
	}
	if len(open) > 0 || bytes.Contains(b, []byte("<!")) {
		return notAllowed(where, "SVG: not closed, or a declaration")
	}
	return nil
}

// checkData looks at a picture that lies in a drawing.
func checkData(s *sanitize.Session, where, v string) error {
	for head, check := range map[string]func(*sanitize.Session, string, []byte) error{"data:image/png;base64,": checkPNG, "data:image/jpeg;base64,": checkJPEG} {
		if data, ok := strings.CutPrefix(v, head); ok {
			b, err := base64.StdEncoding.Strict().DecodeString(data)
			if err != nil || strings.ContainsAny(data, "\r\n") {
				return notAllowed(where, "SVG: a picture that is no base64")
			}
			return check(s, where+" picture", b)
		}
	}
	return notAllowed(where, "SVG: a picture at %.60q", v)
}
