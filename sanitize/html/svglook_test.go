package html

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os/exec"
	"strings"
	"testing"

	"sekisho/sanitize"
	imagefiles "sekisho/sanitize/image"
	"sekisho/sanitize/verify"
)

// withPictures treats a drawing as the gateway does, with the pictures in it.
func withPictures(t testing.TB, in []byte) (string, []sanitize.Part) {
	t.Helper()
	treat := func(in []byte) (string, []sanitize.Part) {
		o := &sanitize.Options{Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassImage: {Steps: []sanitize.Mode{sanitize.Rebuild}}}}
		s := sanitize.NewSession(o, int64(len(in)), func(in sanitize.Object) (sanitize.Detection, error) {
			var b [4]byte
			_, _ = in.ReadAt(b[:], 0)
			switch {
			case b[0] == 0x89:
				return sanitize.Detection{Kind: sanitize.KindPNG}, nil
			case b[0] == 0xff:
				return sanitize.Detection{Kind: sanitize.KindJPEG}, nil
			case b[0] == '<' && in.Path == "2":
				return sanitize.Detection{Kind: sanitize.KindSVG}, nil
			}
			return sanitize.Detection{Kind: sanitize.KindUnknown}, nil
		}, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindSVG: SVG{}, sanitize.KindPNG: imagefiles.PNG{}, sanitize.KindJPEG: imagefiles.JPEG{}})
		var out bytes.Buffer
		if _, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "2", Name: "a.svg"}, &out); err != nil {
			t.Fatalf("%v\n%s", err, in)
		}
		return out.String(), s.Parts()
	}
	out, parts := treat(in)
	s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(out)), nil, nil)
	if err := verify.File(context.Background(), s, sanitize.KindSVG, strings.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("the second look refuses it: %v\n%.2000s", err, out)
	}
	if again, _ := treat([]byte(out)); again != out {
		t.Errorf("treated again it changes:\n%.2000s\n--- became\n%.2000s", out, again)
	}
	return out, parts
}

// data is a picture as a drawing holds it.
func data(media string, b []byte) string {
	return "data:" + media + ";base64," + base64.StdEncoding.EncodeToString(b)
}

func pictures() (photo, graphic []byte) {
	m := image.NewNRGBA(image.Rect(0, 0, 60, 40))
	for i := range 60 * 40 {
		m.SetNRGBA(i%60, i/60, color.NRGBA{uint8(4 * (i % 60)), uint8(5 * (i / 60)), 90, 255})
	}
	var j, p bytes.Buffer
	_ = jpeg.Encode(&j, m, nil)
	_ = png.Encode(&p, m)
	return j.Bytes(), p.Bytes()
}

func TestPicturesInDrawingsAreTreated(t *testing.T) {
	photo, graphic := pictures()
	secret := append(bytes.Clone(graphic), "PK\x03\x04 secret"...)
	// What lies behind a picture and beside it goes, what is none and what lies
	// elsewhere too.
	out, parts := withPictures(t, []byte(svgOpen+`><image x="1" width="9" height="9" xlink:href="`+data("image/png", secret)+`"/><image width="5" href="`+data("image/jpeg", photo)+
		`"/><image xlink:href="`+data("image/png", []byte("<script>alert(1)</script>"))+`"/><image xlink:href="`+data("image/svg+xml", []byte("<svg onload='x'/>"))+
		`"/><image xlink:href="file:///etc/passwd"/><image xlink:href="#a"/></svg>`))
	if strings.Count(out, "<image") != 2 || strings.Contains(out, base64.StdEncoding.EncodeToString([]byte("secret"))) || strings.Contains(out, "passwd") {
		t.Errorf("it became %s", out)
	}
	if !has(parts[0].Findings, "svg.part") || len(parts) < 3 {
		t.Errorf("%+v", parts)
	}
	for what, in := range map[string]string{
		"patterns of patterns": `><pattern id="a" width="1" height="1"><rect fill="url(#a)" width="1" height="1"/></pattern><rect fill="url(#a)" width="9" height="9"/>`,
		"masks of masks":       `><mask id="a"><g mask="url(#b)"/></mask><mask id="b"><g mask="url(#a)"/></mask><rect mask="url(#b)" width="9" height="9"/>`,
	} {
		out, parts := withPictures(t, []byte(svgOpen+in+"</svg>"))
		if strings.Contains(out, "<pattern") || strings.Contains(out, "<mask") || !has(parts[0].Findings, "svg.part") {
			t.Errorf("%s: %s, %v", what, out, parts[0].Findings)
		}
	}
}

// TestDrawingsLookTheSameNeedsTools has another program draw drawings before and
// after, one of each family.
func TestDrawingsLookTheSameNeedsTools(t *testing.T) {
	if _, err := exec.LookPath("rsvg-convert"); err != nil {
		t.Skip("rsvg-convert is not installed: `make deps` installs it (librsvg2-bin)")
	}
	shot := func(svg string) image.Image {
		cmd := exec.Command("rsvg-convert", "-w", "300", "-h", "200", "-b", "white")
		cmd.Stdin = strings.NewReader(svg)
		var said bytes.Buffer
		cmd.Stderr = &said
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("rsvg-convert: %v: %s\n%.2000s", err, &said, svg)
		}
		m, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	photo, graphic := pictures()
	for name, in := range map[string]string{
		"lines":                        `<line x1="10" y1="10" x2="290" y2="190" stroke="navy" stroke-width="5"/><polyline points="10,190 80,20 150,190" fill="none" stroke="#c03" stroke-width="3" stroke-linejoin="round"/>`,
		"shapes":                       `<rect x="10" y="10" width="100" height="60" rx="12" fill="#3a7"/><circle cx="200" cy="60" r="50" fill="rgb(250, 20, 30)"/><ellipse cx="100" cy="140" rx="80" ry="30" fill="rgb(10%,20%,90%)" fill-opacity=".5"/>`,
		"polygons and rule":            `<polygon points="150,10 60,190 290,70 10,70 240,190" fill="orange" fill-rule="evenodd" stroke="black"/>`,
		"curves":                       `<path d="M10 100C60 0 120 200 150 100S250 0 290 100" fill="none" stroke="#060" stroke-width="4"/><path d="M10,150q50-60,100,0t100,0 M220 150a40 30 20 1 1 40 20z" fill="teal"/>`,
		"dashes and caps":              `<path d="M10 20H290" stroke="black" stroke-width="10" stroke-dasharray="20,10 5" stroke-dashoffset="7" stroke-linecap="round"/><path d="M20 60L150 180L280 60" fill="none" stroke="red" stroke-width="20" stroke-linejoin="miter" stroke-miterlimit="2"/>`,
		"clipping":                     `<clipPath id="c"><circle cx="150" cy="100" r="80"/></clipPath><rect width="300" height="200" fill="#268" clip-path="url(#c)"/>`,
		"masks":                        `<mask id="m" maskUnits="userSpaceOnUse" x="0" y="0" width="300" height="200"><rect width="300" height="200" fill="white"/><circle cx="150" cy="100" r="60" fill="#888"/></mask><rect width="300" height="200" fill="#a26" mask="url(#m)"/>`,
		"linear gradient":              `<linearGradient id="g" x1="0" y1="0" x2="1" y2="1" spreadMethod="reflect"><stop offset="0%" stop-color="red"/><stop offset=".5" style="stop-color:#ff0;stop-opacity:.5"/><stop offset="1" stop-color="blue"/></linearGradient><rect width="300" height="200" fill="url(#g)"/>`,
		"radial gradient":              `<radialGradient id="a"><stop offset="0" stop-color="#fff"/><stop offset="1" stop-color="#04a"/></radialGradient><radialGradient id="g" xlink:href="#a" gradientUnits="userSpaceOnUse" cx="150" cy="100" r="120" fx="110" fy="70" gradientTransform="rotate(10)"/><rect width="300" height="200" fill="url(#g)"/>`,
		"patterns":                     `<pattern id="p" width="20" height="20" patternUnits="userSpaceOnUse" patternTransform="rotate(30) scale(1.5)"><rect width="10" height="10" fill="#c60"/><circle cx="15" cy="15" r="4"/></pattern><rect width="300" height="200" fill="url(#p)" stroke="url(#p)"/>`,
		"pattern of another":           `<pattern id="a" width="20" height="20" patternUnits="userSpaceOnUse"><rect width="10" height="20" fill="green"/></pattern><pattern id="b" xlink:href="#a" patternTransform="rotate(45)"/><rect x="20" y="20" width="200" height="150" style="fill:url(#b)"/>`,
		"transforms":                   `<g transform="translate(150,100) rotate(30) skewX(10)"><rect x="-50" y="-30" width="100" height="60" fill="#07c" transform="scale(1.5,.5)"/></g><rect width="40" height="40" transform="matrix(1 .2 -.2 1 20 20)"/>`,
		"text in Japanese":             `<text x="20" y="80" font-size="40" font-family="Noto Sans CJK JP" fill="#222">令和８年度<tspan dy="50" x="20" fill="red" font-weight="bold">補正予算（案）</tspan></text><text x="280" y="190" text-anchor="end" font-size="20" textLength="150">右寄せ ABC</text>`,
		"writing downwards":            `<text x="150" y="20" font-size="30" writing-mode="tb">縦書き</text>`,
		"things used":                  `<defs><symbol id="s" viewBox="0 0 10 10"><path d="M0 0L10 5L0 10z"/></symbol><g id="g"><rect width="30" height="30"/></g></defs><use xlink:href="#s" x="20" y="20" width="60" height="60" fill="red"/><use href="#g" x="150" y="100" fill="blue" opacity=".4"/>`,
		"arrows":                       `<marker id="m" markerWidth="8" markerHeight="8" refX="2" refY="4" orient="auto" markerUnits="strokeWidth"><path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker><path d="M20 180L100 40L200 150" fill="none" stroke="#555" stroke-width="4" marker-end="url(#m)" marker-mid="url(#m)"/>`,
		"nested drawings":              `<svg x="50" y="20" width="200" height="100" viewBox="0 0 20 20" preserveAspectRatio="xMaxYMid slice"><circle cx="10" cy="10" r="9" fill="purple"/></svg>`,
		"style sheet":                  `<style type="text/css"><![CDATA[ .a{fill:#e80;stroke:#000;stroke-width:3px} rect{opacity:.7} #b{fill:none;stroke:red} ]]></style><rect class="a" x="20" y="20" width="100" height="80"/><circle id="b" cx="200" cy="100" r="60"/><g class="a"><path d="M150 120h60v60z"/></g>`,
		"colours":                      `<g color="#0a8" fill="currentColor"><rect width="60" height="60"/></g><rect x="70" width="60" height="60" fill="rebeccapurple"/><rect x="140" width="60" height="60" fill="hsl(120, 60%, 40%)"/><rect x="210" width="60" height="60" fill="#1234"/><rect y="70" width="60" height="60" fill="rgba(10,20,250,.5)"/><rect y="70" x="70" width="60" height="60" fill="rgb(10 200 30)"/>`,
		"units":                        `<rect x="1cm" y="5mm" width="1in" height="30pt" fill="#48a"/><circle cx="75%" cy="50%" r="10%" fill="#a84"/>`,
		"hidden":                       `<rect width="300" height="200" display="none"/><g visibility="hidden"><rect width="300" height="200"/><rect width="50" height="50" visibility="visible" fill="red"/></g>`,
		"pictures":                     `<image x="10" y="10" width="120" height="80" xlink:href="` + data("image/png", graphic) + `"/><image x="150" y="20" width="120" height="160" preserveAspectRatio="none" transform="rotate(5)" href="` + data("image/jpeg", photo) + `" opacity=".8"/>`,
		"a font in short and its heir": `<style>text{font:italic 40px/1.2 "Noto Sans CJK JP",sans-serif}</style><text x="20" y="80">斜体 Abc<tspan style="font:700 20pt serif">太字</tspan></text>`,
		"a font in short":              `<text x="20" y="80" style="font:bold 40px 'Noto Sans CJK JP'">短い書き方</text>`,
		"order of painting":            `<text x="20" y="120" font-size="80" font-family="Noto Sans CJK JP" fill="white" stroke="red" stroke-width="8" paint-order="stroke">縁</text>`,
		"a switch":                     `<switch><foreignObject requiredExtensions="http://example.com/x" width="9" height="9"/><g><rect width="200" height="100" fill="#393"/></g></switch>`,
		"selectors":                    `<style>g.a > rect, .b .c{fill:red} rect.d{fill:blue} .c{fill:green} #e .x,#e *{stroke:red;stroke-width:9} svg > rect{opacity:.5} * {stroke:none}</style><g id="e"><g class="f"><circle cx="50" cy="150" r="20"/></g></g><g class="a"><rect width="60" height="60"/></g><g class="b"><rect class="c" x="80" width="60" height="60"/></g><rect class="d" x="160" width="60" height="60"/>`,
	} {
		t.Run(name, func(t *testing.T) {
			svg := svgOpen + ` width="300" height="200" viewBox="0 0 300 200">` + in + "</svg>"
			out, _ := withPictures(t, []byte(svg))
			before, after := shot(svg), shot(out)
			if mean, worst := unlike(before, after); mean > 0.002 || worst > 0.05 {
				t.Errorf("%.2f %% of what could differ does, %.0f %% in the worst square\n%.1500s", 100*mean, 100*worst, out)
			}
			if blank, _ := unlike(before, image.NewUniform(color.White)); blank == 0 {
				t.Error("there is nothing to see")
			}
		})
	}
}

// unlike is how far two pictures are apart, of black and white, in the mean and in
// the worst square of ten by ten pixels.
func unlike(a, b image.Image) (mean, worst float64) {
	r := a.Bounds()
	level := func(c color.Color) [3]int {
		r, g, b, _ := c.RGBA()
		return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
	}
	const side = 10
	for y := 0; y < r.Dy(); y += side {
		for x := 0; x < r.Dx(); x += side {
			sum := 0
			for i := range side * side {
				p, q := level(a.At(x+i%side, y+i/side)), level(b.At(x+i%side, y+i/side))
				for c := range p {
					sum += max(p[c]-q[c], q[c]-p[c])
				}
			}
			part := float64(sum) / (side * side * 3 * 255)
			worst, mean = max(worst, part), mean+part
		}
	}
	return mean / float64(r.Dx()*r.Dy()/side/side), worst
}
