package odf_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/sanitize"
	"sekisho/sanitize/all"
	"sekisho/sanitize/odf"
)

// file is an OpenDocument under construction.
type file struct {
	media   string
	members []member
}

type member struct{ name, content string }

const (
	spaces = `xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:chart="urn:oasis:names:tc:opendocument:xmlns:chart:1.0" xmlns:math="http://www.w3.org/1998/Math/MathML" xmlns:form="urn:oasis:names:tc:opendocument:xmlns:form:1.0" xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0" xmlns:config="urn:oasis:names:tc:opendocument:xmlns:config:1.0" xmlns:ooo="http://openoffice.org/2004/office" xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" xmlns:anim="urn:oasis:names:tc:opendocument:xmlns:animation:1.0" xmlns:xforms="http://www.w3.org/2002/xforms" xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" xmlns:field="urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0" xmlns:dom="http://www.w3.org/2001/xml-events" office:version="1.3"`
	prefix = "application/vnd.oasis.opendocument."
)

func (f *file) add(name, content string) *file {
	f.members = append(f.members, member{name, content})
	return f
}

func (f *file) bytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "mimetype", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, f.media); err != nil {
		t.Fatal(err)
	}
	for _, m := range f.members {
		w, err := z.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func content(before, kind, body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><office:document-content ` + spaces + `>` + before + `<office:body><office:` + kind + `>` + body + `</office:` + kind + `></office:body></office:document-content>`
}

func odt(body string) *file { return odtWith("", body+`<text:p>本文</text:p>`) }

func odtWith(before, body string) *file {
	return (&file{media: prefix + "text"}).add("content.xml", content(before, "text", body))
}

func ods(cells string) *file {
	return odsWith("", `<table:table table:name="表"><table:table-row>`+cells+`</table:table-row></table:table>`)
}

func odsWith(before, body string) *file {
	return (&file{media: prefix + "spreadsheet"}).add("content.xml", content(before, "spreadsheet", body))
}

func odp(shapes string) *file {
	return (&file{media: prefix + "presentation"}).add("content.xml", content("", "presentation", `<draw:page draw:name="p1">`+shapes+`<draw:frame><draw:text-box><text:p>本文</text:p></draw:text-box></draw:frame></draw:page>`))
}

func flat(body string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><office:document ` + spaces + ` office:mimetype="` + prefix + `text">` + body + `</office:document>`)
}

func flatText(body string) []byte {
	return flat(`<office:body><office:text>` + body + `<text:p>本文</text:p></office:text></office:body>`)
}

func options(change ...func(*sanitize.Options)) *sanitize.Options {
	o := &sanitize.Options{Task: sanitize.TaskFile, FileName: "a", Limits: sanitize.DefaultLimits(), Now: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), Language: "en", Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassOffice: {Steps: []sanitize.Mode{sanitize.Rebuild}},
		sanitize.ClassImage:  {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range change {
		c(o)
	}
	return o
}

// treat runs a whole worker over a file, as the gateway does, and returns what
// it wrote and said of it.
func treat(ctx context.Context, b []byte, change ...func(*sanitize.Options)) ([]byte, sanitize.Part, error) {
	var out bytes.Buffer
	r, err := all.Run(ctx, options(change...), bytes.NewReader(b), int64(len(b)), &out)
	if len(r.Parts) == 0 {
		return nil, sanitize.Part{}, err
	}
	return out.Bytes(), r.Parts[0], err
}

// check proves an output: the other reader finds nothing in it, and a second run
// finds it clean and writes the same octets.
func check(t testing.TB, name string, out []byte, k sanitize.Kind) {
	t.Helper()
	o := options(func(o *sanitize.Options) { o.Task, o.KindHint = sanitize.TaskVerifyFile, k })
	if _, err := all.Run(t.Context(), o, bytes.NewReader(out), int64(len(out)), io.Discard); err != nil {
		t.Errorf("%s: the second look finds %v", name, err)
	}
	again, p, err := treat(t.Context(), out)
	if err != nil || p.Outcome != sanitize.Clean || p.Kind != k || p.OutKind != k {
		t.Errorf("%s: a second run: %s to %s %s, %v, %v", name, p.Kind, p.OutKind, p.Outcome, p.Findings, err)
	}
	if !bytes.Equal(again, out) {
		t.Errorf("%s: a second run changes it:\n%s\n%s", name, text(t, out), text(t, again))
	}
}

// text is all that is in an output, unpacked by the standard library.
func text(t testing.TB, b []byte) string {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("PK")) {
		return string(b)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("output is no ZIP: %v", err)
	}
	var s strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		c, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "== %s\n%s\n", f.Name, c)
	}
	return s.String()
}

func pngBytes() string {
	m := image.NewNRGBA(image.Rect(0, 0, 3, 3))
	m.Set(1, 1, color.NRGBA{200, 10, 10, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

func frame(inner string) string {
	return `<text:p><draw:frame draw:name="f">` + inner + `</draw:frame></text:p>`
}

func TestWhatCannotBeReadInOneWayIsRefused(t *testing.T) {
	twice := func(t testing.TB, second string) []byte { return odt("").add(second, content("", "text", "")).bytes(t) }
	doctype := `<?xml version="1.0"?><!DOCTYPE office:document-content [<!ENTITY x "y">]>`
	body := func(s string) []byte { return odt(s).bytes(t) }
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"content twice":             {twice(t, "content.xml"), sanitize.ErrAmbiguous},
		"content in other case":     {twice(t, "CONTENT.xml"), sanitize.ErrAmbiguous},
		"bytes before":              {append([]byte("PK\x03\x04junk"), body("")...), sanitize.ErrAmbiguous},
		"DOCTYPE":                   {(&file{media: prefix + "text"}).add("content.xml", doctype+content("", "text", "")[38:]).bytes(t), sanitize.ErrContainer},
		"DOCTYPE of a flat file":    {append([]byte(doctype), flatText("")[38:]...), sanitize.ErrContainer},
		"no content":                {(&file{media: prefix + "text"}).add("styles.xml", "<x/>").bytes(t), sanitize.ErrMalformed},
		"cut":                       {(&file{media: prefix + "text"}).add("content.xml", content("", "text", "")[:900]).bytes(t), sanitize.ErrMalformed},
		"two bodies":                {(&file{media: prefix + "text"}).add("content.xml", strings.Replace(content("", "text", ""), "</office:body>", "<office:spreadsheet/></office:body>", 1)).bytes(t), sanitize.ErrMalformed},
		"body of another name":      {(&file{media: prefix + "text"}).add("content.xml", strings.Replace(content("", "text", ""), "<office:body>", `<office:body xmlns:office="http://evil.example/">`, 1)).bytes(t), sanitize.ErrMalformed},
		"tags that do not match":    {body(`<text:p><text:span></text:p></text:span>`), sanitize.ErrMalformed},
		"prefix of nobody":          {body(`<z:p/>`), sanitize.ErrMalformed},
		"attribute of nobody":       {body(`<text:p z:a="1"/>`), sanitize.ErrMalformed},
		"one attribute two ways":    {body(`<text:p xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0" text:style-name="a" t:style-name="b"/>`), sanitize.ErrMalformed},
		"entity":                    {body(`<text:p>&evil;</text:p>`), sanitize.ErrMalformed},
		"deep":                      {body(strings.Repeat("<text:p>", 300) + strings.Repeat("</text:p>", 300)), sanitize.ErrLimit},
		"encrypted":                 {odt("").add("META-INF/manifest.xml", `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`).bytes(t), sanitize.ErrEncrypted},
		"database":                  {(&file{media: prefix + "base"}).add("content.xml", content("", "database", "")).bytes(t), sanitize.ErrUnsupported},
		"OpenOffice 1":              {(&file{media: "application/vnd.sun.xml.writer"}).add("content.xml", `<office:document-content xmlns:office="http://openoffice.org/2000/office"><office:body/></office:document-content>`).bytes(t), sanitize.ErrMalformed},
		"empty":                     {nil, sanitize.ErrMalformed},
		"objects without an end":    {matryoshka(t, 8), sanitize.ErrLimit},
		"more than may be expanded": {body(strings.Repeat("<text:p/>", 1<<20)), sanitize.ErrLimit},
	} {
		s := sanitize.NewSession(options(func(o *sanitize.Options) { o.Limits.Expanded = 8 << 20 }), int64(len(c.in)), nil, nil)
		var out bytes.Buffer
		_, err := odf.Sanitizer{}.Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(c.in), Size: int64(len(c.in))}, &out)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// matryoshka is an object in an object.
func matryoshka(t testing.TB, n int) []byte {
	f := odt(frame(`<draw:object xlink:href="./Object 1"/>`))
	dir := ""
	for range n {
		dir += "Object 1/"
		f.add(dir+"content.xml", content("", "text", frame(`<draw:object xlink:href="./Object 1"/>`)))
	}
	return f.bytes(t)
}

func TestLinksGoWhenTheProfileSaysSo(t *testing.T) {
	in := odt(`<text:p><text:a xlink:href="https://example.jp/">名</text:a></text:p>`).bytes(t)
	out, p, err := treat(t.Context(), in, func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || p.Outcome != sanitize.Disarmed || strings.Contains(text(t, out), "example.jp") || !strings.Contains(text(t, out), "名") {
		t.Errorf("%s, %v", p.Outcome, err)
	}
}

func TestWithheldPicturesLeaveAPlaceholder(t *testing.T) {
	in := odt(frame(`<draw:image xlink:href="Pictures/a.png"/>`)).add("Pictures/a.png", pngBytes()).bytes(t)
	out, p, err := treat(t.Context(), in, func(o *sanitize.Options) { delete(o.Rules, sanitize.ClassImage) })
	if err != nil || p.Outcome != sanitize.Disarmed || !strings.Contains(text(t, out), "Pictures/1.png") {
		t.Errorf("%s, %v", p.Outcome, err)
	}
}

func TestOutputsAreWellFormed(t *testing.T) {
	for _, c := range cases {
		out, _, err := treat(t.Context(), c.in(t))
		if err != nil {
			t.Fatal(err)
		}
		parts := map[string]string{"flat": string(out)}
		if bytes.HasPrefix(out, []byte("PK")) {
			parts = map[string]string{}
			for p := range strings.SplitSeq(text(t, out), "== ") {
				if name, body, ok := strings.Cut(p, "\n"); ok && strings.HasSuffix(name, ".xml") {
					parts[name] = body
				}
			}
		}
		for name, body := range parts {
			d := xml.NewDecoder(strings.NewReader(body))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Errorf("%s: %s: %v", c.name, name, err)
					break
				}
			}
		}
	}
}

func TestSharedCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(), "corpus", "odf", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no ../shared/corpus beside the project")
	}
	if testing.Short() {
		t.Skip("treats a hundred files three times; left out of short runs")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out, p, err := treat(t.Context(), b)
		if err != nil {
			if !errors.Is(err, sanitize.ErrEncrypted) && !errors.Is(err, sanitize.ErrUnsupported) && !errors.Is(err, sanitize.ErrMalformed) &&
				!(errors.Is(err, sanitize.ErrLimit) && strings.Contains(name, "_dos.")) { // 10^18 cells in 600 octets
				t.Errorf("%s: %v", filepath.Base(name), err)
			}
			continue
		}
		check(t, filepath.Base(name), out, p.OutKind)
	}
}

func shared() string {
	if s := os.Getenv("SEKISHO_SHARED"); s != "" {
		return s
	}
	return "../../../shared"
}
