package ooxml

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestHostileXMLIsRefused(t *testing.T) {
	body := func(s string) string { return wordXML(s) }
	for name, c := range map[string]struct {
		xml  string
		want error
	}{
		"DOCTYPE":              {`<!DOCTYPE w [<!ENTITY a "b">]>` + body("")[38:], sanitize.ErrMalformed},
		"entity":               {body("<w:t>&a;</w:t>"), sanitize.ErrMalformed},
		"character":            {body("<w:t>&#0;</w:t>"), sanitize.ErrMalformed},
		"surrogate":            {body("<w:t>&#xD800;</w:t>"), sanitize.ErrMalformed},
		"control":              {body("<w:t>\x01</w:t>"), sanitize.ErrMalformed},
		"NUL":                  {body("<w:t>\x00</w:t>"), sanitize.ErrMalformed},
		"no UTF-8":             {body("<w:t>\xff</w:t>"), sanitize.ErrMalformed},
		"noncharacter":         {body("<w:t>\uffff</w:t>"), sanitize.ErrMalformed},
		"crossed tags":         {body("<w:p><w:r></w:p></w:r>"), sanitize.ErrMalformed},
		"no end":               {body("<w:p>"), sanitize.ErrMalformed},
		"cut":                  {body("")[:200], sanitize.ErrMalformed},
		"two roots":            {body("") + "<a/>", sanitize.ErrMalformed},
		"text behind":          {body("") + "x", sanitize.ErrMalformed},
		"attribute twice":      {body(`<w:p w:a="1" w:a="2"/>`), sanitize.ErrMalformed},
		"attribute twice ns":   {body(`<w:p xmlns:v2="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:a="1" v2:a="2"/>`), sanitize.ErrMalformed},
		"no quotes":            {body(`<w:p w:a=1/>`), sanitize.ErrMalformed},
		"no space":             {body(`<w:p w:a="1"w:b="2"/>`), sanitize.ErrMalformed},
		"< in a value":         {body(`<w:p w:a="<"/>`), sanitize.ErrMalformed},
		"prefix undeclared":    {body(`<q:p/>`), sanitize.ErrMalformed},
		"attribute undeclared": {body(`<w:p q:a="1"/>`), sanitize.ErrMalformed},
		"two colons":           {body(`<w:a:p/>`), sanitize.ErrMalformed},
		"]]>":                  {body(`<w:t>]]></w:t>`), sanitize.ErrMalformed},
		"comment":              {body(`<!-- a -- b -->`), sanitize.ErrMalformed},
		"late declaration":     {body(`<?xml version="1.0"?>`), sanitize.ErrMalformed},
		"conditional section":  {body(`<![if gte mso 9]><![endif]>`), sanitize.ErrMalformed},
		"version":              {`<?xml version="1.1"?>` + body("")[38:], sanitize.ErrMalformed},
		"encoding":             {`<?xml version="1.0" encoding="UTF-7"?>` + body("")[38:], sanitize.ErrMalformed},
		"empty":                {``, sanitize.ErrMalformed},
		"no element":           {`<?xml version="1.0"?>`, sanitize.ErrMalformed},
		"deep":                 {body(strings.Repeat("<w:p>", 300) + strings.Repeat("</w:p>", 300)), sanitize.ErrLimit},
		"large tag":            {body(`<w:p w:a="` + strings.Repeat("x", 8<<20+100) + `"/>`), sanitize.ErrLimit},
		"other root":           {`<w:styles ` + nsW + `/>`, sanitize.ErrMalformed},
		"root of nobody":       {`<a/>`, sanitize.ErrMalformed},
	} {
		p := docx("")
		p.members[p.main] = c.xml
		if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestUTF16PartsAreTranscoded(t *testing.T) {
	for _, big := range []bool{false, true} {
		p := docx("<w:p><w:r><w:t>𠮷野</w:t></w:r></w:p>")
		src := strings.Replace(p.members[p.main], "UTF-8", "UTF-16", 1)
		p.members[p.main] = utf16Bytes(src, big)
		out, _, _, err := treat(p.bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := unpack(t, out)["word/document.xml"]; !strings.Contains(got, "<w:t>𠮷野</w:t>") {
			t.Errorf("text lost: %s", got)
		}
	}
	p := docx("")
	p.members[p.main] = utf16Bytes(p.members[p.main], false) + "\x00"
	if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("half a character: %v", err)
	}
}

func utf16Bytes(s string, big bool) string {
	var b bytes.Buffer
	put := func(c uint16) {
		if big {
			b.Write([]byte{byte(c >> 8), byte(c)})
		} else {
			b.Write([]byte{byte(c), byte(c >> 8)})
		}
	}
	put(0xFEFF)
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			put(uint16(0xD800 + r>>10))
			put(uint16(0xDC00 + r&0x3FF))
			continue
		}
		put(uint16(r))
	}
	return b.String()
}

func TestPackagesThatAreReadInTwoWaysAreRefused(t *testing.T) {
	twice := func(name string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, n := range []string{"[Content_Types].xml", "word/document.xml", name} {
			w, err := z.Create(n)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, "<a/>")
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, n := range []string{"word/document.xml", "WORD/document.xml", `word\document.xml`, "word//document.xml"} {
		if _, _, _, err := treat(twice(n)); !errors.Is(err, sanitize.ErrAmbiguous) {
			t.Errorf("%s: %v", n, err)
		}
	}
	p := docx("").rel("", "rId7", relO+"officeDocument", "word/second.xml").add("word/second.xml", typeWord+"document.main+xml", wordXML(""))
	if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, sanitize.ErrAmbiguous) {
		t.Errorf("two main parts: %v", err)
	}
	p = docx("").rel("word/document.xml", "rId7", relO+"styles", "a.xml").rel("word/document.xml", "rId7", relO+"styles", "b.xml")
	if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, sanitize.ErrAmbiguous) {
		t.Errorf("one id twice: %v", err)
	}
}

func TestBudgetsHold(t *testing.T) {
	big := docx(strings.Repeat("<w:p/>", 200000)).bytes(t)
	small := func(o *sanitize.Options) { o.Limits.Expanded = 100000 }
	if _, _, _, err := treat(big, small); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("expanded: %v", err)
	}
	if _, _, _, err := treat(big, func(o *sanitize.Options) { o.Limits.RatioFloor, o.Limits.Ratio = 1000, 2 }); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("ratio: %v", err)
	}
	if _, _, _, err := treat(big, func(o *sanitize.Options) { o.Limits.Entries = 2 }); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("entries: %v", err)
	}
	if _, _, _, err := treat(big, func(o *sanitize.Options) { o.Limits.OutputBytes = 200 }); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("output: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newSession(len(big))
	if _, err := (Sanitizer{}).Sanitize(ctx, s, sanitize.Object{ReaderAt: bytes.NewReader(big), Size: int64(len(big))}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestFieldCodeThatOthersWouldAssemble: what Word takes into a field's code and
// we do not read as code (the result of a field that goes, text in another
// branch or of another vocabulary) takes the field with it.
func TestFieldCodeThatOthersWouldAssemble(t *testing.T) {
	const (
		begin    = `<w:r><w:fldChar w:fldCharType="begin"/></w:r>`
		separate = `<w:r><w:fldChar w:fldCharType="separate"/></w:r>`
		end      = `<w:r><w:fldChar w:fldCharType="end"/></w:r>`
		evil     = `DDEAUTO c:\\x`
	)
	code := func(s string) string { return `<w:r><w:instrText>` + s + `</w:instrText></w:r>` }
	text := func(s string) string { return `<w:r><w:t>` + s + `</w:t></w:r>` }
	rest := code(" PAGE ") + separate + text("shown") + end
	for name, body := range map[string]string{
		"the result of a denied field": begin + begin + code("QUOTE x") + separate + text(evil) + end + rest,
		"the result of a kept field":   begin + begin + code("REF a") + separate + text(evil) + end + rest,
		"a branch":                     begin + `<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice Requires="w"><w:r><w:t>` + evil + `</w:t></w:r></mc:Choice></mc:AlternateContent>` + rest,
		"mathematics":                  begin + `<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>` + evil + `</m:t></m:r></m:oMath>` + rest,
		"bare text":                    begin + `<w:r>` + evil + `</w:r>` + rest,
	} {
		out, _, _, err := treat(docx(`<w:p>` + body + `</w:p>`).bytes(t))
		if err != nil {
			continue // refused is as good
		}
		doc := unpack(t, out)["word/document.xml"]
		if doc == "" {
			for n, c := range unpack(t, out) {
				if strings.Contains(n, "document") && strings.HasSuffix(n, ".xml") {
					doc = c
				}
			}
		}
		if !strings.Contains(doc, "shown") {
			t.Errorf("%s: the field's result is gone", name)
		}
		if strings.Contains(doc, "fldChar") && strings.Contains(doc, "DDEAUTO") {
			t.Errorf("%s: DDEAUTO stands between the marks of a field\n%s", name, doc)
		}
	}
}
