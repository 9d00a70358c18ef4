package ooxml

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

const (
	nsWP   = `xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"`
	nsWPS  = `xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"`
	nsWPC  = `xmlns:wpc="http://schemas.microsoft.com/office/word/2010/wordprocessingCanvas"`
	nsW16S = `xmlns:w16se="http://schemas.microsoft.com/office/word/2015/wordml/symex"`
	nsP14  = `xmlns:p14="http://schemas.microsoft.com/office/powerpoint/2010/main"`
	nsP15  = `xmlns:p15="http://schemas.microsoft.com/office/powerpoint/2012/main"`
	nsCX   = `xmlns:cx="http://schemas.microsoft.com/office/drawing/2014/chartex" xmlns:cx1="http://schemas.microsoft.com/office/drawing/2015/9/8/chartex"`
)

func wordShape(text string) string {
	return `<w:drawing><wp:inline ` + nsWP + `><a:graphic><a:graphicData uri="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"><wps:wsp><wps:txbx><w:txbxContent><w:p><w:r><w:t>` + text + `</w:t></w:r></w:p></w:txbxContent></wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:inline></w:drawing>`
}

func vmlShape(text string) string {
	return `<w:pict><v:shape><v:textbox><w:txbxContent><w:p><w:r><w:t>` + text + `</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict>`
}

func alternative(requires, declared, choice, fallback string) string {
	return `<mc:AlternateContent><mc:Choice ` + declared + ` Requires="` + requires + `">` + choice + `</mc:Choice><mc:Fallback>` + fallback + `</mc:Fallback></mc:AlternateContent>`
}

// TestOneBranchOfAnAlternativeStays: the first Choice that is known and whole,
// else the Fallback; without its tags, but for vocabularies later than 2010.
func TestOneBranchOfAnAlternativeStays(t *testing.T) {
	run := func(s string) *pkg { return docx(`<w:p><w:r>` + s + `</w:r></w:p>`) }
	picture := func(id string) string {
		return `<p:pic><p:nvPicPr><p:cNvPr id="7" name="p"/></p:nvPicPr><p:blipFill><a:blip r:embed="` + id + `"/></p:blipFill></p:pic>`
	}
	deck := func(tree string) *pkg {
		return pptx(tree).add("ppt/media/image1.png", "image/png", pngBytes()).rel("ppt/slides/slide1.xml", "rId3", relO+"image", "../media/image1.png")
	}
	slideEnd := func(s string) *pkg {
		p := pptx("")
		p.members["ppt/slides/slide1.xml"] = strings.Replace(p.members["ppt/slides/slide1.xml"], "</p:sld>", s+"</p:sld>", 1)
		return p
	}
	drawing := func(s string) *pkg {
		p := xlsx("", `<drawing r:id="rId2"/>`, "").add("xl/drawings/drawing1.xml", "application/vnd.openxmlformats-officedocument.drawing+xml", `<xdr:wsDr `+nsXD+` `+nsR+` `+nsA+` `+nsMC+`>`+s+`</xdr:wsDr>`)
		p.add("xl/charts/chartEx1.xml", "application/vnd.ms-office.chartex+xml", `<cx:chartSpace `+nsCX+`><cx:chart/></cx:chartSpace>`)
		return p.rel("xl/worksheets/sheet1.xml", "rId2", relO+"drawing", "../drawings/drawing1.xml").rel("xl/drawings/drawing1.xml", "rId1", "http://schemas.microsoft.com/office/2014/relationships/chartEx", "../charts/chartEx1.xml")
	}
	chartEx := `<xdr:graphicFrame macro=""><a:graphic><a:graphicData uri="http://schemas.microsoft.com/office/drawing/2014/chartex"><cx:chart ` + nsCX + ` r:id="rId1"/></a:graphicData></a:graphic></xdr:graphicFrame>`
	for _, c := range []struct {
		name        string
		pkg         *pkg
		stays, gone []string
	}{
		{"drawing of 2010", run(alternative("wps", nsWPS, wordShape("選"), vmlShape("代"))), []string{"<w:r><w:drawing " + nsWPS + ">", "選"}, []string{"代", "pict", "mc:Choice", "mc:Fallback", "mc:AlternateContent"}},
		{"whose namespace the root declares", func() *pkg {
			p := run(alternative("wps", "", wordShape("選"), vmlShape("代")))
			p.members[p.main] = strings.Replace(p.members[p.main], "<w:document ", "<w:document "+nsWPS+" ", 1)
			return p
		}(), []string{"<w:r><w:drawing>", "選"}, []string{"代", "mc:AlternateContent"}},
		{"drawing that lost its picture", run(alternative("wps", nsWPS, strings.Replace(wordShape("選"), "<wps:txbx>", `<a:blipFill><a:blip r:embed="rId9"/></a:blipFill><w:object><w:control r:id="rId8" w:name="x"/></w:object><wps:txbx>`, 1), vmlShape("代"))).
			rel("word/document.xml", "rId8", relO+"control", "activeX1.xml"), []string{"選"}, []string{"代", "mc:AlternateContent", "control"}},
		{"drawing with what nobody knows", run(alternative("wps", nsWPS+` xmlns:n="urn:new"`, strings.Replace(wordShape("選"), "<wps:txbx>", `<n:shape/><wps:txbx>`, 1), vmlShape("代"))), []string{"代", "<w:r><w:pict>"}, []string{"選", "n:shape", "mc:AlternateContent"}},
		{"vocabulary that nobody knows", run(alternative("n", `xmlns:n="urn:new"`, "<w:t>選</w:t>", vmlShape("代"))), []string{"代"}, []string{"選", "mc:"}},
		{"prefix that means nothing", run(alternative("nothing", "", "<w:t>選</w:t>", "<w:t>代</w:t>")), []string{"代"}, []string{"選"}},
		{"no vocabulary named", run(`<mc:AlternateContent><mc:Choice><w:t>選</w:t></mc:Choice><mc:Fallback><w:t>代</w:t></mc:Fallback></mc:AlternateContent>`), []string{"代"}, []string{"選"}},
		{"canvas", run(alternative("wpc", nsWPC, `<w:drawing><wp:inline `+nsWP+`><a:graphic><a:graphicData><wpc:wpc/></a:graphicData></a:graphic></wp:inline></w:drawing>`, vmlShape("代"))), []string{"代"}, []string{"wpc:", "mc:"}},
		{"character of the supplementary plane", run(alternative("w16se", nsW16S, `<w16se:symEx w16se:font="Segoe UI Emoji" w16se:char="1F60A"/>`, "<w:t>😊</w:t>")), []string{"<w:r><w:t>😊</w:t></w:r>"}, []string{"symEx", "mc:"}},
		{"the font of that character", docx(`<w:p><w:r><w:rPr><mc:AlternateContent><mc:Choice ` + nsW16S + ` Requires="w16se"/><mc:Fallback><w:rFonts w:ascii="Segoe UI Emoji"/></mc:Fallback></mc:AlternateContent></w:rPr></w:r></w:p>`), []string{`<w:rPr><w:rFonts w:ascii="Segoe UI Emoji"/></w:rPr>`}, []string{"mc:Choice"}},
		{"two choices", run(`<mc:AlternateContent><mc:Choice xmlns:n="urn:new" Requires="n"><w:t>一</w:t></mc:Choice><mc:Choice ` + nsWPS + ` Requires="wps w">` + wordShape("二") + `</mc:Choice><mc:Choice Requires="w"><w:t>三</w:t></mc:Choice><mc:Fallback><w:t>代</w:t></mc:Fallback></mc:AlternateContent>`), []string{"二"}, []string{"一", "三", "代", "mc:"}},
		{"one in the other", run(alternative("wps", nsWPS, strings.Replace(wordShape("選"), "<w:r>", "<w:r>"+alternative("wps", "", wordShape("内"), vmlShape("外")), 1), vmlShape("代"))), []string{"選", "内"}, []string{"外", "代", "mc:"}},
		{"nothing left", docx(`<w:p>` + alternative("n", `xmlns:n="urn:new"`, "<n:a/>", "") + `</w:p>`), []string{"<w:p></w:p>"}, []string{"mc:Choice", "mc:AlternateContent"}},
		{"what stands between the branches", run(`<mc:AlternateContent><w:t>間</w:t><w:fldChar w:fldCharType="begin"/><mc:Choice Requires="w"><w:t>選</w:t></mc:Choice></mc:AlternateContent>`), []string{"選"}, []string{"間", "fldChar", "mc:"}},
		{"a branch alone", docx(`<mc:Choice Requires="w"><w:p><w:r><w:t>選</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p/></mc:Fallback>`), nil, []string{"選", "mc:Choice", "mc:Fallback"}},
		{"alternative in an alternative, no branch between", run(`<mc:AlternateContent>` + alternative("w", "", "<w:t>選</w:t>", "") + `<mc:Fallback><w:t>代</w:t></mc:Fallback></mc:AlternateContent>`), []string{"代"}, []string{"選", "mc:"}},
		{"transition of 2010", slideEnd(alternative("p14", nsP14, `<p:transition p14:dur="2000"><p14:vortex/></p:transition>`, `<p:transition><p:fade/></p:transition>`)), []string{"<p:transition p14:dur=\"2000\" " + nsP14 + "><p14:vortex/>"}, []string{"p:fade", "mc:Choice"}},
		{"transition of 2013", slideEnd(alternative("p15", nsP15, `<p:transition><p15:prstTrans prst="airplane"/></p:transition>`, `<p:transition><p:fade/></p:transition>`)), []string{`<mc:AlternateContent><mc:Choice ` + nsP15 + ` Requires="p15"><p:transition`, "</mc:Choice></mc:AlternateContent>"}, []string{"p:fade", "mc:Fallback"}},
		{"formula in a text", deck(alternative("a14", `xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"`, `<p:sp><p:txBody><a:p><a14:m><m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>式</m:t></m:r></m:oMath></a14:m></a:p></p:txBody></p:sp>`, picture("rId3"))), []string{`Requires="a14"><p:sp`, "式"}, []string{"p:pic", "mc:Fallback"}},
		{"chart of 2016 beside its picture", deck(alternative("cx1", nsCX, `<p:graphicFrame><a:graphic><a:graphicData><a:t>選</a:t></a:graphicData></a:graphic></p:graphicFrame>`, picture("rId3"))), []string{`<p:pic>`, "rId3"}, []string{"選", "mc:Choice"}},
		{"chart of 2016 beside words", drawing(alternative("cx1", nsCX, chartEx, `<xdr:sp macro="" textlink=""><xdr:txBody>代</xdr:txBody></xdr:sp>`)), []string{`<xdr:graphicFrame macro="" `, "<cx:chart "}, []string{"代", "mc:Fallback", "mc:Choice"}},
		{"style of a chart", func() *pkg {
			p := chartDeck(xlsx("", "", ""))
			p.members["ppt/charts/chart1.xml"] = strings.Replace(p.members["ppt/charts/chart1.xml"], ">", " "+nsMC+">"+alternative("c14", `xmlns:c14="http://schemas.microsoft.com/office/drawing/2007/8/2/chart"`, `<c14:style val="102"/>`, `<c:style val="2"/>`), 1)
			return p
		}(), []string{`<c:style val="2"/>`}, []string{"c14:style", "mc:Choice"}},
		{"object with a picture in both", deck(`<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="4" name="obj"/></p:nvGraphicFramePr><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/presentationml/2006/ole">` +
			alternative("v", nsV, `<p:oleObj r:id="rId2"><p:embed/>`+picture("rId3")+`</p:oleObj>`, `<p:oleObj r:id="rId2"><p:embed/>`+picture("rId3")+`</p:oleObj>`) + `</a:graphicData></a:graphic></p:graphicFrame>`), []string{`<p:cNvPr id="4" name="obj"/>`, `r:embed="rId3"`}, []string{"oleObj", "mc:Choice", "graphicFrame"}},
	} {
		in := c.pkg.bytes(t)
		out, res, found, err := treat(in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		all := ""
		for n, s := range unpack(t, out) {
			all += n + "\n" + s + "\n"
		}
		for _, s := range c.stays {
			if !strings.Contains(all, s) {
				t.Errorf("%s: %q is lost: %v\n%s", c.name, s, found, all)
			}
		}
		for _, g := range c.gone {
			if strings.Contains(strings.ReplaceAll(all, nsMC, ""), g) {
				t.Errorf("%s: %q is still there: %v\n%s", c.name, g, found, all)
			}
		}
		checkPackage(t, c.name, out)
		if e := verify.File(context.Background(), newSession(len(out)), res.Kind, bytes.NewReader(out), int64(len(out))); e != nil {
			t.Errorf("%s: the second look refuses it: %v", c.name, e)
		}
		again, res, found, err := treat(out)
		if err != nil || res.Outcome != sanitize.Clean || !bytes.Equal(again, out) {
			t.Errorf("%s: a second time %s %v %v, equal %t", c.name, res.Outcome, found, err, bytes.Equal(again, out))
		}
	}
}

// TestTheSecondLookRefusesTwoBranches writes what the rebuild does not.
func TestTheSecondLookRefusesTwoBranches(t *testing.T) {
	for name, content := range map[string]string{
		"two branches":            alternative("w", "", "<w:t>選</w:t>", "<w:t>代</w:t>"),
		"an empty fallback":       alternative("w", "", "<w:t>選</w:t>", ""),
		"two choices":             `<mc:AlternateContent><mc:Choice Requires="w"><w:t>選</w:t></mc:Choice><mc:Choice Requires="w"><w:t>代</w:t></mc:Choice></mc:AlternateContent>`,
		"none":                    `<mc:AlternateContent/>`,
		"a fallback":              `<mc:AlternateContent><mc:Fallback><w:t>代</w:t></mc:Fallback></mc:AlternateContent>`,
		"a branch alone":          `<mc:Choice Requires="w"><w:t>選</w:t></mc:Choice>`,
		"something else":          `<mc:AlternateContent><w:t>間</w:t><mc:Choice Requires="w"><w:t>選</w:t></mc:Choice></mc:AlternateContent>`,
		"for those that know it":  `<mc:AlternateContent><mc:Choice xmlns:n="urn:new" Requires="n"><w:t>選</w:t></mc:Choice></mc:AlternateContent>`,
		"for nobody":              `<mc:AlternateContent><mc:Choice><w:t>選</w:t></mc:Choice></mc:AlternateContent>`,
		"one directly in another": `<mc:AlternateContent><mc:AlternateContent><mc:Choice Requires="w"><w:t>選</w:t></mc:Choice></mc:AlternateContent></mc:AlternateContent>`,
	} {
		b := asWeWrite(t, docx(`<w:p><w:r>`+content+`</w:r></w:p>`).bytes(t))
		if err := verify.File(context.Background(), newSession(len(b)), sanitize.KindDOCX, bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s: allowed", name)
		}
	}
	one := asWeWrite(t, docx(`<w:p><w:r><mc:AlternateContent><mc:Choice Requires="w"><w:t>選</w:t></mc:Choice></mc:AlternateContent></w:r></w:p>`).bytes(t))
	if err := verify.File(context.Background(), newSession(len(one)), sanitize.KindDOCX, bytes.NewReader(one), int64(len(one))); err != nil {
		t.Errorf("one branch: %v", err)
	}
}
