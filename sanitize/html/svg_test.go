package html

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

func draw(in []byte) (string, []sanitize.Finding, error) {
	o := &sanitize.Options{Task: sanitize.TaskFile, Codes: true, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassImage: {Steps: []sanitize.Mode{sanitize.Rebuild}}}}
	s := sanitize.NewSession(o, int64(len(in)), func(sanitize.Object) (sanitize.Detection, error) {
		return sanitize.Detection{Kind: sanitize.KindSVG}, nil
	}, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindSVG: SVG{}})
	s.Codes = func(image.Image) []string { return nil } // so that it is sketched
	var out bytes.Buffer
	_, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Name: "a.svg"}, &out)
	return out.String(), s.Parts()[0].Findings, err
}

// drawn asks what every drawing must be: allowed by the second look, XML to
// another reader, and the same when it is treated again.
func drawn(t testing.TB, in []byte) (string, []sanitize.Finding) {
	t.Helper()
	out, found, err := draw(in)
	if err != nil {
		t.Fatalf("%v\n%s", err, in)
	}
	s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(out)), nil, nil)
	if err := verify.File(context.Background(), s, sanitize.KindSVG, strings.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("the second look refuses it: %v\n%s\n%s", err, in, out)
	}
	x := xml.NewDecoder(strings.NewReader(out))
	for {
		if _, err := x.Token(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("no XML: %v\n%s", err, out)
			}
			break
		}
	}
	if again, more, err := draw([]byte(out)); err != nil || again != out || len(more) > 0 {
		t.Errorf("treated again it changes: %v %v\n%s\n--- became\n%s", err, more, out, again)
	}
	return out, found
}

const svgOpen = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"`

func TestDrawingsAreWrittenAnew(t *testing.T) {
	for _, c := range []struct{ name, in, want, rule string }{
		{"shapes", ` width="10" height="5mm" viewBox="0 0 10 10"><path d="M0 0L1,1z" fill="#f00" onclick="x()"/><circle cx="1" cy="2" r="3"/>`,
			` width="10" height="5mm" viewBox="0 0 10 10"><path d="M0 0L1,1z" fill="#f00"/><circle cx="1" cy="2" r="3"/>`, "html.event"},
		{"text", `><text x="1" font-family="MS 明朝">令和<tspan dy="1">８年</tspan>&lt;&amp;</text>`, `><text x="1" font-family="MS 明朝">令和<tspan dy="1">８年</tspan>&lt;&amp;</text>`, ""},
		{"script", `><script>alert(1)</script><g/>`, `><g/>`, "html.script"},
		{"script in another namespace", ` xmlns:h="http://www.w3.org/1999/xhtml"><h:script>x</h:script><g/>`, `><g/>`, "html.script"},
		{"a page inside", `><foreignObject><div xmlns="http://www.w3.org/1999/xhtml"><iframe src="javascript:x"/></div></foreignObject>`, `/>`, "html.frame"},
		{"a link", `><a xlink:href="javascript:x"><rect width="1" height="1"/></a>`, `><g><rect width="1" height="1"/></g>`, "html.link"},
		{"a picture from outside", `><image xlink:href="https://x.example/a.png"/>`, `/>`, "html.remote"},
		{"things used from outside", `><use xlink:href="https://x.example/a.svg#b"/><use xlink:href="data:image/svg+xml;base64,xx#b"/>`, `><use/><use/>`, "html.remote"},
		{"animation", `><rect width="1"><animate attributeName="href" values="javascript:x"/><set attributeName="onload" to="x"/></rect>`, `><rect width="1"/>`, "svg.animation"},
		{"gradient", `><defs><linearGradient id="a"><stop offset="0" stop-color="red"/></linearGradient></defs><rect fill="url(#a)" stroke="url(https://x.example/#b)"/>`,
			`><defs><linearGradient id="a"><stop offset="0" stop-color="red"/></linearGradient></defs><rect fill="url(#a)"/>`, ""},
		{"style", `><rect style="fill:RED;behavior:url(x);background:url(y);stroke-width:2"/>`, `><rect fill="RED" stroke-width="2"/>`, ""},
		{"style with escapes", `><rect style="f\69ll:url(x)" fill="red"/>`, `><rect fill="red"/>`, ""},
		{"style sheet", `><style>@import url(x);/* c */ .a,.b{fill:#fff;stroke:url("#c")} rect{fill:red}</style><rect class="x b"/><rect/>`,
			`><rect fill="#fff" stroke="url(#c)"/><rect fill="red"/>`, ""},
		{"two of one id", `><g id="a"/><g id="a"/>`, `><g id="a"/><g/>`, ""},
		{"arrow of arrows", `><marker id="m"><path d="M0 0" marker-end="url(#m)"/></marker><path d="M1 1" marker-end="url(#m)"/>`,
			`><marker id="m"><path d="M0 0"/></marker><path d="M1 1" marker-end="url(#m)"/>`, ""},
		{"use in a circle", `><g id="a"><use xlink:href="#a"/></g>`, `><g id="a"/>`, "svg.part"},
		{"entities of XML", `><title>&quot;&#x202e;&gt;</title>`, `><title>&#34;&gt;</title>`, ""},
		{"editor's own", ` xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" inkscape:export-filename="/home/x"><metadata>secret</metadata><inkscape:page/><g inkscape:label="x"/>`, `><g/>`, ""},
	} {
		out, found := drawn(t, []byte(svgOpen+c.in+"</svg>"))
		want := svgHead + svgOpen + c.want
		if c.want != "/>" {
			want += "</svg>"
		}
		if strings.TrimSpace(out) != want {
			t.Errorf("%s:\n%q, want\n%q", c.name, out, want)
		}
		if c.rule != "" && !has(found, c.rule) {
			t.Errorf("%s: %v, want %s", c.name, found, c.rule)
		}
		if c.rule == "" && len(found) > 0 {
			t.Errorf("%s: %v", c.name, found)
		}
	}
}

// TestTheNamesOfIllustratorAreRead: every drawing that Adobe Illustrator saves
// with its own data begins with definitions of namespaces.
func TestTheNamesOfIllustratorAreRead(t *testing.T) {
	in := `<?xml version="1.0" encoding="utf-8"?>
<!-- Generator: a drawing program -->
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [
	<!ENTITY ns_extend "http://ns.adobe.com/Extensibility/1.0/">
	<!ENTITY ns_ai "http://ns.adobe.com/AdobeIllustrator/10.0/">
	<!ENTITY ns_svg "http://www.w3.org/2000/svg">
]>
<svg version="1.1" xmlns:x="&ns_extend;" xmlns:i="&ns_ai;" xmlns="&ns_svg;" viewBox="0 0 9 9"><text x="1" y="2">町の地図</text></svg>`
	out, found, err := draw([]byte(in))
	if err != nil || len(found) > 0 || !strings.Contains(out, `<text x="1" y="2">町の地図</text>`) || strings.Contains(out, "ENTITY") {
		t.Errorf("%v, %v\n%s", err, found, out)
	}
}

func TestHostileDrawingsAreRefused(t *testing.T) {
	const doctype = `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [`
	for name, in := range map[string]string{
		"entities under a known name": doctype + `<!ENTITY ns_a "aaaa"><!ENTITY ns_b "&ns_a;&ns_a;">]>` + svgOpen + `><text>&ns_b;</text></svg>`,
		"an entity of a file":         doctype + `<!ENTITY ns_a SYSTEM "file:///etc/passwd">]>` + svgOpen + `><text>&ns_a;</text></svg>`,
		"a parameter entity":          doctype + `<!ENTITY % ns_a "a">]>` + svgOpen + `/>`,
		"an attribute by definition":  doctype + `<!ATTLIST svg onload CDATA "alert(1)">]>` + svgOpen + `/>`,
		"definitions, twice":          doctype + `<!ENTITY ns_a "a">]>` + doctype + `<!ENTITY ns_b "b">]>` + svgOpen + `/>`,
		"entities":                    `<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + svgOpen + `><text>&b;</text></svg>`,
		"not closed":                  svgOpen + `><g>`,
		"two":                         svgOpen + `/>` + svgOpen + `/>`,
		"no drawing":                  `<html xmlns="http://www.w3.org/1999/xhtml"/>`,
		"nothing":                     ``,
		"deep":                        svgOpen + ">" + strings.Repeat("<g>", 200) + strings.Repeat("</g>", 200) + "</svg>",
		"many":                        svgOpen + ">" + strings.Repeat("<g/>", maxSVGNodes+1) + "</svg>",
		"bad markup":                  svgOpen + `><g a=b/></svg>`,
		"bad entity":                  svgOpen + `><text>&xxe;</text></svg>`,
		"cross-close":                 svgOpen + `><g><path></g></path></svg>`,
	} {
		if out, _, err := draw([]byte(in)); err == nil {
			t.Errorf("%s became\n%s", name, out)
		} else if !errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// 2 to the 40th by things used.
	bomb := svgOpen + "><defs>"
	for i := range 40 {
		bomb += `<g id="g` + string(rune('A'+i/10)) + string(rune('0'+i%10)) + `">`
		if i > 0 {
			use := `<use xlink:href="#g` + string(rune('A'+(i-1)/10)) + string(rune('0'+(i-1)%10)) + `"/>`
			bomb += use + use
		}
		bomb += "</g>"
	}
	out, found := drawn(t, []byte(bomb+`</defs><use xlink:href="#gD9"/></svg>`))
	if strings.Contains(out, "<use") || !has(found, "svg.part") {
		t.Errorf("a bomb of uses: %v\n%s", found, out)
	}
}

func TestRealDrawingsAreWrittenAnew(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "corpus", "svg", "*"))
	if len(files) == 0 {
		t.Skip("no corpus beside the repository; set SEKISHO_SHARED to measure")
	}
	n := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := draw(raw); err != nil {
			t.Logf("%s: %v", filepath.Base(f), err)
			continue
		}
		out, _ := drawn(t, raw)
		n++
		for _, bad := range []string{"script", "onload", "http://x", "javascript", "foreignObject", "data:", "file:"} {
			if strings.Contains(strings.ToLower(out), strings.ToLower(bad)) {
				t.Errorf("%s: %s in\n%s", filepath.Base(f), bad, out)
			}
		}
	}
	t.Logf("%d of %d drawings", n, len(files))
}

func FuzzSVG(f *testing.F) {
	for _, s := range []string{
		"/>", "><g/></svg>", ` width="1"><text>a</text></svg>`, `><style>.a{fill:red}</style><rect class="a"/></svg>`,
		`><use xlink:href="#a"/><g id="a"/></svg>`, "><!-- x --><![CDATA[x]]></svg>",
	} {
		f.Add([]byte(svgOpen + s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, _, err := draw(in); err == nil {
			drawn(t, in)
		}
	})
}
