package ooxml

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

func TestCommentsGoWhenTheProfileSaysSo(t *testing.T) {
	p := docx(`<w:p><w:commentRangeStart w:id="0"/><w:r><w:t>文</w:t></w:r><w:commentRangeEnd w:id="0"/><w:r><w:commentReference w:id="0"/></w:r></w:p>`)
	p.add("word/comments.xml", typeWord+"comments+xml", `<w:comments `+nsW+`><w:comment w:id="0" w:author="山田"><w:p><w:r><w:t>内緒</w:t></w:r></w:p></w:comment></w:comments>`).rel(p.main, "rId9", relO+"comments", "comments.xml")
	x := xlsx("", `<legacyDrawing r:id="rId2"/>`, "").add("xl/comments1.xml", typeSheet+"comments+xml", `<comments `+nsS+`><authors><author>山田</author></authors><commentList><comment ref="A1" authorId="0"><text><t>内緒</t></text></comment></commentList></comments>`)
	x.add("xl/drawings/vmlDrawing1.vml", "application/vnd.openxmlformats-officedocument.vmlDrawing", `<xml `+nsV+` `+nsO+` `+nsX+`><v:shape id="n"><x:ClientData ObjectType="Note"><x:Row>0</x:Row></x:ClientData></v:shape><v:shape id="b"><v:textbox><div>押す</div></v:textbox><x:ClientData ObjectType="Button"/></v:shape></xml>`)
	x.rel("xl/worksheets/sheet1.xml", "rId2", relO+"vmlDrawing", "../drawings/vmlDrawing1.vml").rel("xl/worksheets/sheet1.xml", "rId3", relO+"comments", "../comments1.xml")
	s := pptx("").add("ppt/comments/comment1.xml", typeSlide+"comments+xml", `<p:cmLst `+nsP+`><p:cm><p:text>内緒</p:text></p:cm></p:cmLst>`).rel("ppt/slides/slide1.xml", "rId5", relO+"comments", "../comments/comment1.xml")
	for name, c := range map[string]*pkg{"Word": p, "Excel": x, "PowerPoint": s} {
		remove := func(o *sanitize.Options) { o.Comments = true }
		out, res, found, err := treat(c.bytes(t), remove)
		if err != nil || res.Outcome != sanitize.Disarmed || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == "ooxml.comments" }) {
			t.Errorf("%s: %s, %v, %v", name, res.Outcome, found, err)
			continue
		}
		all := fmt.Sprint(unpack(t, out))
		for _, g := range []string{"内緒", "comment", `"Note"`, `id="n"`} {
			if strings.Contains(all, g) {
				t.Errorf("%s: %q is still there: %s", name, g, all)
			}
		}
		if name == "Excel" && !strings.Contains(all, "押す") {
			t.Errorf("a button went with the comment: %s", all)
		}
		checkPackage(t, name, out)
		if again, res, _, err := treat(out, remove); err != nil || res.Outcome != sanitize.Clean || !bytes.Equal(again, out) {
			t.Errorf("%s: a second run: %s, %v", name, res.Outcome, err)
		}
		if out, _, _, err := treat(c.bytes(t)); err != nil || !strings.Contains(fmt.Sprint(unpack(t, out)), "内緒") {
			t.Errorf("%s: comments go without being asked: %v", name, err)
		}
	}
}

// TestCommentsOfPowerPoint365StayOrGo: they have parts, types and a vocabulary of
// their own.
func TestCommentsOfPowerPoint365StayOrGo(t *testing.T) {
	const ns = `xmlns:p188="http://schemas.microsoft.com/office/powerpoint/2018/8/main"`
	p := pptx("").add("ppt/comments/modernComment_100_0.xml", "application/vnd.ms-powerpoint.comments+xml", `<p188:cmLst `+ns+` `+nsA+`><p188:cm id="{1}" authorId="{2}" created="2026-04-01T00:00:00"><ac:deMkLst xmlns:ac="http://schemas.microsoft.com/office/drawing/2013/main/command"><pc:docMk xmlns:pc="http://schemas.microsoft.com/office/powerpoint/2013/main/command"/><pc:sldMk xmlns:pc="http://schemas.microsoft.com/office/powerpoint/2013/main/command" cId="0" sldId="256"/><ac:spMk id="2" creationId="{3}"/></ac:deMkLst><p188:txBody><a:bodyPr/><a:p><a:r><a:t>内緒</a:t></a:r></a:p></p188:txBody></p188:cm></p188:cmLst>`)
	p.add("ppt/authors.xml", "application/vnd.ms-powerpoint.authors+xml", `<p188:authorLst `+ns+`><p188:author id="{2}" name="山田"/></p188:authorLst>`)
	p.rel("ppt/slides/slide1.xml", "rId5", "http://schemas.microsoft.com/office/2018/10/relationships/comments", "../comments/modernComment_100_0.xml").rel(p.main, "rId9", "http://schemas.microsoft.com/office/2018/10/relationships/authors", "authors.xml")
	out, res, found, err := treat(p.bytes(t))
	all := fmt.Sprint(unpack(t, out))
	if err != nil || res.Outcome != sanitize.Clean || !strings.Contains(all, "内緒") || !strings.Contains(all, `<ac:spMk id="2" creationId="{3}"/>`) || !strings.Contains(all, "山田") {
		t.Errorf("kept: %s, %v, %v: %s", res.Outcome, found, err, all)
	}
	checkPackage(t, "kept", out)
	if e := verify.File(context.Background(), newSession(len(out)), res.Kind, bytes.NewReader(out), int64(len(out))); e != nil {
		t.Errorf("the second look refuses it: %v", e)
	}
	out, res, _, err = treat(p.bytes(t), func(o *sanitize.Options) { o.Comments = true })
	if all = fmt.Sprint(unpack(t, out)); err != nil || res.Outcome != sanitize.Disarmed || strings.Contains(all, "内緒") || strings.Contains(all, "山田") {
		t.Errorf("removed: %s, %v: %s", res.Outcome, err, all)
	}
}

func TestLinksGoWhenTheProfileSaysSo(t *testing.T) {
	p := docx(`<w:p><w:hyperlink r:id="rId5"><w:r><w:t>名</w:t></w:r></w:hyperlink></w:p>`)
	p.rel(p.main, "rId5", relO+"hyperlink", "external:https://example.jp/")
	out, res, _, err := treat(p.bytes(t), func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || res.Outcome != sanitize.Disarmed || bytes.Contains(out, []byte("example.jp")) {
		t.Errorf("%s, %v", res.Outcome, err)
	}
	checkPackage(t, "links", out)
	for name, p := range map[string]*pkg{
		"field":        docx(fieldRuns("名", ` HYPERLINK "https://example.jp/" `)),
		"simple field": docx(`<w:p><w:fldSimple w:instr="HYPERLINK &quot;mailto:a@example.jp&quot;"><w:r><w:t>名</w:t></w:r></w:fldSimple></w:p>`),
		"drawing":      docx(`<w:p><w:r><w:pict><v:shape href="https://example.jp/"/></w:pict></w:r></w:p>`),
		"formula":      xlsx(`<c r="A1" t="str"><f>IF(1,HYPERLINK("https://example.jp/","名"))</f><v>名</v></c>`, "", ""),
	} {
		_, res, _, err := treat(p.bytes(t))
		if err != nil || res.Outcome != sanitize.Clean {
			t.Errorf("%s: %s, %v where the profile keeps links", name, res.Outcome, err)
		}
		out, res, found, err := treat(p.bytes(t), func(o *sanitize.Options) { o.URLs = sanitize.DefangURLs })
		all := ""
		for _, c := range unpack(t, out) {
			all += c
		}
		if err != nil || res.Outcome != sanitize.Disarmed || strings.Contains(all, "example.jp") || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == "ooxml.link" }) {
			t.Errorf("%s: %s, %v, %v", name, res.Outcome, found, err)
		}
	}
	// Places in the document are no links out of it.
	for name, p := range map[string]*pkg{"field": docx(fieldRuns("名", ` HYPERLINK \l "b1" `)), "formula": xlsx(`<c r="A1" t="str"><f>HYPERLINK("#Sheet2!A1","名")</f><v>名</v></c>`, "", "")} {
		if _, res, found, err := treat(p.bytes(t), func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs }); err != nil || res.Outcome != sanitize.Clean {
			t.Errorf("a place by a %s: %s, %v, %v", name, res.Outcome, found, err)
		}
	}
}

func TestFormulasBecomeValuesWhenTheProfileSaysSo(t *testing.T) {
	p := xlsx(`<c r="A1"><f>SUM(B1:C1)</f><v>3</v></c><c r="B1"><f t="shared" ref="B1:B2" si="0">1+1</f><v>2</v></c><c r="B2"><f t="shared" si="0"/><v>4</v></c>`, "", "")
	out, res, found, err := treat(p.bytes(t), func(o *sanitize.Options) { o.Values = true })
	if err != nil || res.Outcome != sanitize.Disarmed || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == "ooxml.value" }) {
		t.Fatalf("%s, %v, %v", res.Outcome, found, err)
	}
	for name, b := range unpack(t, out) {
		if strings.Contains(name, "sheet1") && (strings.Contains(b, "<f") || strings.Count(b, "<v>") != 3) {
			t.Errorf("%s: %s", name, b)
		}
	}
	checkPackage(t, "values", out)
}
