package ooxml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// flat writes a package as one XML file.
func (p *pkg) flat() []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0"?><?mso-application progid="Word.Document"?><pkg:package xmlns:pkg="` + spaceFlat + `">`)
	part := func(name, typ, content string) {
		fmt.Fprintf(&b, `<pkg:part pkg:name="/%s" pkg:contentType="%s">`, name, typ)
		body := strings.TrimPrefix(content, `<?xml version="1.0" encoding="UTF-8"?>`)
		if xml.Unmarshal([]byte(content), new(struct{})) == nil && strings.HasPrefix(body, "<") {
			b.WriteString("<pkg:xmlData>" + body + "</pkg:xmlData>")
		} else {
			b.WriteString("<pkg:binaryData>" + base64.StdEncoding.EncodeToString([]byte(content)) + "\r\n</pkg:binaryData>")
		}
		b.WriteString("</pkg:part>")
	}
	owners := slices.Sorted(maps.Keys(p.rels))
	for _, o := range owners {
		dir, file := path.Split(o)
		part(dir+"_rels/"+file+".rels", "application/vnd.openxmlformats-package.relationships+xml", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`+p.rels[o]+`</Relationships>`)
	}
	for _, n := range p.order {
		part(n, p.types[n], p.members[n])
	}
	b.WriteString("</pkg:package>")
	return b.Bytes()
}

func treatFlat(t *testing.T, b []byte, change ...func(*sanitize.Options)) ([]byte, sanitize.Result, error) {
	t.Helper()
	var out bytes.Buffer
	res, err := Flat{}.Sanitize(t.Context(), newSession(len(b), change...), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	return out.Bytes(), res, err
}

func TestASingleFileIsTheDocumentItWouldBeAsAPackage(t *testing.T) {
	same := 0
	for _, c := range cases {
		want, res, _, err := treat(c.pkg().bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		got, flat, err := treatFlat(t, c.pkg().flat())
		if err != nil {
			if c.name != "member that leads out" {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if flat.Kind != res.Kind || !bytes.Equal(got, want) {
			t.Errorf("%s: another %s:\n%q\n%q", c.name, flat.Kind, unpack(t, got), unpack(t, want))
		}
		same++
	}
	if same < 50 {
		t.Errorf("only %d cases were compared", same)
	}
}

func TestSingleFilesReadInOneWayOrRefused(t *testing.T) {
	good := string(docx(`<w:p/>`).flat())
	if _, res, err := treatFlat(t, []byte(strings.Replace(strings.Replace(good, ` xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`, "", 1), "<pkg:package ", `<pkg:package xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" `, 1))); err != nil || res.Kind != sanitize.KindDOCX {
		t.Errorf("a namespace declared around the parts: %s, %v", res.Kind, err)
	}
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"a part twice":           {strings.Replace(good, "</pkg:package>", `<pkg:part pkg:name="/WORD/document.xml" pkg:contentType="x"><pkg:xmlData><a/></pkg:xmlData></pkg:part></pkg:package>`, 1), sanitize.ErrAmbiguous},
		"its own content types":  {strings.Replace(good, "</pkg:package>", `<pkg:part pkg:name="/[content_types].xml"><pkg:xmlData><a/></pkg:xmlData></pkg:part></pkg:package>`, 1), sanitize.ErrMalformed},
		"a name that leads out":  {strings.Replace(good, "/word/document.xml", "/../document.xml", 1), sanitize.ErrMalformed},
		"no name":                {strings.Replace(good, "pkg:name=", "name=", 1), sanitize.ErrMalformed},
		"two roots in a part":    {strings.Replace(good, "</pkg:xmlData>", "<a/></pkg:xmlData>", 1), sanitize.ErrMalformed},
		"twice the content":      {strings.Replace(good, "</pkg:part>", "<pkg:binaryData>AAAA</pkg:binaryData></pkg:part>", 1), sanitize.ErrMalformed},
		"text between":           {strings.Replace(good, "</pkg:part>", "x</pkg:part>", 1), sanitize.ErrMalformed},
		"an element between":     {strings.Replace(good, "</pkg:part>", "<x/></pkg:part>", 1), sanitize.ErrMalformed},
		"no base64":              {strings.Replace(good, "</pkg:package>", `<pkg:part pkg:name="/a"><pkg:binaryData>!</pkg:binaryData></pkg:part></pkg:package>`, 1), sanitize.ErrMalformed},
		"cut":                    {good[:len(good)-20], sanitize.ErrMalformed},
		"tags that do not match": {strings.Replace(good, "</pkg:part>", "</pkg:xmlData>", 1), sanitize.ErrMalformed},
		"a DOCTYPE":              {strings.Replace(good, "<pkg:package", "<!DOCTYPE a><pkg:package", 1), sanitize.ErrMalformed},
		"no package":             {`<a/>`, sanitize.ErrMalformed},
		"deep":                   {strings.Replace(good, "<w:p/>", strings.Repeat("<w:p>", 300)+strings.Repeat("</w:p>", 300), 1), sanitize.ErrLimit},
	} {
		if _, _, err := treatFlat(t, []byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
