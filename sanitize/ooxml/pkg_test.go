package ooxml

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/link"
	"sekisho/sanitize"
)

const (
	nsW  = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`
	nsR  = `xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	nsA  = `xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"`
	nsP  = `xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"`
	nsC  = `xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"`
	nsV  = `xmlns:v="urn:schemas-microsoft-com:vml"`
	nsO  = `xmlns:o="urn:schemas-microsoft-com:office:office"`
	nsX  = `xmlns:x="urn:schemas-microsoft-com:office:excel"`
	nsMC = `xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"`
	nsS  = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	nsXD = `xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"`

	relO = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	relM = "http://schemas.microsoft.com/office/2006/relationships/"
)

// pkg is a package under construction: members, types and relationships.
type pkg struct {
	main    string
	members map[string]string
	order   []string
	types   map[string]string
	rels    map[string]string
}

func (p *pkg) add(name, typ, content string) *pkg {
	if _, ok := p.members[name]; !ok {
		p.order = append(p.order, name)
	}
	p.members[name] = content
	if typ != "" {
		p.types[name] = typ
	}
	return p
}

func (p *pkg) rel(owner, id, typ, target string) *pkg {
	mode := ""
	if t, ok := strings.CutPrefix(target, "external:"); ok {
		target, mode = t, ` TargetMode="External"`
	}
	p.rels[owner] += fmt.Sprintf(`<Relationship Id="%s" Type="%s" Target="%s"%s/>`, id, typ, target, mode)
	return p
}

func (p *pkg) bytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name, content string) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	ct := `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>`
	for _, n := range p.order {
		if p.types[n] != "" {
			ct += fmt.Sprintf(`<Override PartName="/%s" ContentType="%s"/>`, n, p.types[n])
		}
	}
	put("[Content_Types].xml", ct+"</Types>")
	owners := make([]string, 0, len(p.rels))
	for o := range p.rels {
		owners = append(owners, o)
	}
	slices.Sort(owners)
	for _, o := range owners {
		dir, file := path.Split(o)
		put(dir+"_rels/"+file+".rels", `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`+p.rels[o]+`</Relationships>`)
	}
	for _, n := range p.order {
		put(n, p.members[n])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newPkg(main, typ, content string) *pkg {
	p := &pkg{main: main, members: map[string]string{}, types: map[string]string{}, rels: map[string]string{}}
	p.add(main, typ, content)
	return p.rel("", "rId1", relO+"officeDocument", main)
}

func docx(body string) *pkg {
	return newPkg("word/document.xml", typeWord+"document.main+xml", wordXML(body))
}

func wordXML(body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><w:document ` + nsW + ` ` + nsR + ` ` + nsA + ` ` + nsV + ` ` + nsO + ` ` + nsMC + `><w:body>` + body + `<w:p><w:r><w:t>本文</w:t></w:r></w:p><w:sectPr/></w:body></w:document>`
}

// xlsx has one sheet with what is given between sheetData and the end.
func xlsx(cells, after, workbook string) *pkg {
	p := newPkg("xl/workbook.xml", typeSheet+"sheet.main+xml", `<workbook `+nsS+` `+nsR+`><sheets><sheet name="表" sheetId="1" r:id="rId1"/></sheets>`+workbook+`</workbook>`)
	p.add("xl/worksheets/sheet1.xml", typeSheet+"worksheet+xml", sheetXML(cells, after))
	return p.rel(p.main, "rId1", relO+"worksheet", "worksheets/sheet1.xml")
}

func sheetXML(cells, after string) string {
	return `<worksheet ` + nsS + ` ` + nsR + ` ` + nsMC + ` xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main" xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"><sheetData><row r="1">` + cells + `</row></sheetData>` + after + `</worksheet>`
}

func pptx(tree string) *pkg {
	p := newPkg("ppt/presentation.xml", typeSlide+"presentation.main+xml", `<p:presentation `+nsP+` `+nsR+`><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst></p:presentation>`)
	p.add("ppt/slides/slide1.xml", typeSlide+"slide+xml", `<p:sld `+nsP+` `+nsR+` `+nsA+` `+nsMC+`><p:cSld><p:spTree>`+tree+`<p:sp><p:txBody><a:p><a:r><a:t>本文</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>`)
	return p.rel(p.main, "rId1", relO+"slide", "slides/slide1.xml")
}

// pictures is the stand-in for the picture sanitizer: the same work by the
// standard library.
type pictures struct{}

func (pictures) Sanitize(_ context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	c, _, err := image.DecodeConfig(in.Reader())
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
	}
	if err := s.SpendPixels(c.Width, c.Height); err != nil {
		return sanitize.Result{}, err
	}
	m, kind, err := image.Decode(in.Reader())
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
	}
	if kind == "jpeg" {
		return sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindJPEG, Mode: sanitize.Rebuild}, jpeg.Encode(out, m, nil)
	}
	return sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindPNG, Mode: sanitize.Rebuild}, png.Encode(out, m)
}

func detectForTest(o sanitize.Object) (sanitize.Detection, error) {
	head := make([]byte, 8)
	n, err := o.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return sanitize.Detection{}, err
	}
	switch {
	case bytes.HasPrefix(head[:n], []byte("\x89PNG")):
		return sanitize.Detection{Kind: sanitize.KindPNG}, nil
	case bytes.HasPrefix(head[:n], []byte("\xFF\xD8")):
		return sanitize.Detection{Kind: sanitize.KindJPEG}, nil
	case bytes.HasPrefix(head[:n], []byte("PK")):
		return sanitize.Detection{Kind: sanitize.KindXLSX}, nil
	default:
		return sanitize.Detection{Kind: sanitize.KindUnknown}, nil
	}
}

func newSession(size int, change ...func(*sanitize.Options)) *sanitize.Session {
	o := &sanitize.Options{Task: sanitize.TaskFile, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassOffice: {Steps: []sanitize.Mode{sanitize.Rebuild}},
		sanitize.ClassImage:  {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range change {
		c(o)
	}
	table := map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindPNG: pictures{}, sanitize.KindJPEG: pictures{}}
	for _, k := range Kinds() {
		table[k] = Sanitizer{}
	}
	return sanitize.NewSession(o, int64(size), detectForTest, table)
}

// treat runs the sanitizer over a package and returns what it wrote and found.
func treat(b []byte, change ...func(*sanitize.Options)) ([]byte, sanitize.Result, []sanitize.Finding, error) {
	s := newSession(len(b), change...)
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	return out.Bytes(), res, s.Parts()[0].Findings, err
}

// unpack returns the members of an output, read by the standard library.
func unpack(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("output is no ZIP: %v", err)
	}
	m := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		c, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := m[f.Name]; twice {
			t.Fatalf("member %s twice", f.Name)
		}
		m[f.Name] = string(c)
	}
	return m
}

// checkPackage proves with other code that every part is XML, has a type, is
// reached, and that no relationship and no id leads nowhere.
func checkPackage(t testing.TB, where string, b []byte) {
	t.Helper()
	m := unpack(t, b)
	types := m["[Content_Types].xml"]
	ids := map[string]map[string]bool{}
	reached := map[string]bool{}
	for name, c := range m {
		if !strings.HasSuffix(name, ".rels") {
			continue
		}
		dir, file := path.Split(name)
		owner := path.Join(path.Dir(path.Clean(dir)), strings.TrimSuffix(file, ".rels"))
		ids[owner] = map[string]bool{}
		elements(t, where+" "+name, c, func(e xml.StartElement) {
			if e.Name.Local != "Relationship" {
				return
			}
			a := attrsOf(e)
			ids[owner][a["Id"]] = true
			target := a["Target"]
			switch {
			case a["TargetMode"] == "External":
				if !strings.HasSuffix(a["Type"], "/hyperlink") || !link.Harmless(target) {
					t.Errorf("%s: external %s to %s", where, a["Type"], target)
				}
			case strings.HasPrefix(target, "#"):
			default:
				target = path.Join(path.Dir(owner), target)
				reached[target] = true
				if _, ok := m[target]; !ok {
					t.Errorf("%s: %s leads nowhere: %s", where, name, target)
				}
			}
		})
	}
	for name, c := range m {
		if name != "[Content_Types].xml" && !strings.HasSuffix(name, ".rels") {
			if !reached[name] {
				t.Errorf("%s: nothing leads to %s", where, name)
			}
			if !strings.Contains(types, `"/`+name+`"`) && !strings.Contains(types, `Extension="`+strings.TrimPrefix(path.Ext(name), ".")+`"`) {
				t.Errorf("%s: %s has no type", where, name)
			}
		}
		switch path.Ext(name) {
		case ".xml", ".rels", ".vml":
		case ".xlsx":
			checkPackage(t, where+" "+name, []byte(c))
			continue
		default:
			continue
		}
		elements(t, where+" "+name, c, func(e xml.StartElement) {
			for _, a := range e.Attr {
				rel := strings.HasSuffix(a.Name.Space, "/relationships") || a.Name.Space == "urn:schemas-microsoft-com:office:office" && a.Name.Local == "relid"
				if rel && a.Value != "" && !ids[name][a.Value] {
					t.Errorf("%s: id %q of <%s> in %s leads nowhere", where, a.Value, e.Name.Local, name)
				}
			}
		})
	}
}

func elements(t testing.TB, where, c string, f func(xml.StartElement)) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(c))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s is no XML: %v\n%s", where, err, c)
		}
		if e, ok := tok.(xml.StartElement); ok {
			f(e)
		}
	}
}

func attrsOf(e xml.StartElement) map[string]string {
	m := map[string]string{}
	for _, a := range e.Attr {
		m[a.Name.Local] = a.Value
	}
	return m
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

func jpegBytes() string {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		panic(err)
	}
	return b.String()
}

// field writes a complex field, its code cut into runs.
func fieldRuns(result string, code ...string) string {
	s := `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>`
	for _, c := range code {
		s += `<w:r><w:instrText xml:space="preserve">` + c + `</w:instrText></w:r>`
	}
	s += `<w:r><w:fldChar w:fldCharType="separate"/></w:r>`
	return s + `<w:r><w:t>` + result + `</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`
}

const blip = `<w:p><w:r><w:drawing><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:blipFill><a:blip %s/></pic:blipFill></pic:pic></a:graphicData></a:graphic></w:drawing></w:r></w:p>`
