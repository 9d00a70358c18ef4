package ooxml

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize/verify"
)

// asWeWrite packs a package as the writer would, so that only its content is left
// to object to.
func asWeWrite(t *testing.T, b []byte) []byte {
	t.Helper()
	m := unpack(t, b)
	names := []string{"[Content_Types].xml"}
	for n := range m {
		if n != names[0] {
			names = append(names, n)
		}
	}
	slices.Sort(names[1:])
	var out bytes.Buffer
	z := zipstrict.NewWriter(&out)
	for _, n := range names {
		if err := writeMember(z, n, []byte(m[n])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWhatAHostileAuthorTriesDoesNotPass writes each trick into a document: it
// does not come out, and the second look, which shares no code with the rebuild,
// refuses the document as it came.
func TestWhatAHostileAuthorTriesDoesNotPass(t *testing.T) {
	fld := func(code string) *pkg { return docx(fieldRuns("結果", code)) }
	cell := func(f string) *pkg { return xlsx(`<c r="A1"><f>`+f+`</f><v>3</v></c>`, "", "") }
	nested := func(a, b string) *pkg {
		return docx(`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>` + a + `</w:instrText></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF x</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>` + b + `</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>結果</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`)
	}
	slide := func(s string) *pkg { return pptx(s) }
	x14 := `xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main" xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"`
	chart := func(s string) *pkg {
		p := xlsx("", `<drawing r:id="rId5"/>`, "")
		p.add("xl/drawings/drawing1.xml", "application/vnd.openxmlformats-officedocument.drawing+xml", `<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing" `+nsA+` `+nsR+`><xdr:absoluteAnchor><xdr:graphicFrame macro=""><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" r:id="rId1"/></a:graphicData></a:graphic></xdr:graphicFrame></xdr:absoluteAnchor></xdr:wsDr>`)
		p.add("xl/charts/chart1.xml", typeDraw+"chart+xml", `<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" `+nsA+` `+nsR+` xmlns:c15="http://schemas.microsoft.com/office/drawing/2012/chart"><c:chart><c:plotArea>`+s+`</c:plotArea></c:chart></c:chartSpace>`)
		return p.rel("xl/worksheets/sheet1.xml", "rId5", relO+"drawing", "../drawings/drawing1.xml").rel("xl/drawings/drawing1.xml", "rId1", relO+"chart", "../charts/chart1.xml")
	}
	for _, c := range []struct {
		name string
		p    *pkg
		gone []string
	}{
		{"ncr field", fld("&#68;&#x44;E cmd"), []string{"cmd"}},
		{"hyperlink switch first", fld(`HYPERLINK \o &quot;tip&quot; &quot;file:///srvEVIL&quot;`), []string{"EVIL"}},
		{"hyperlink unc", fld(`HYPERLINK &quot;\\\\srvEVIL\\x&quot;`), []string{"EVIL"}},
		{"hyperlink unquoted unc", fld(`HYPERLINK \\\\srvEVIL\\x`), []string{"EVIL"}},
		{"hyperlink msdt", fld(`HYPERLINK ms-msdt:/idEVIL`), []string{"EVIL"}},
		{"hyperlink relative", fld(`HYPERLINK &quot;EVIL.exe&quot;`), []string{"EVIL"}},
		{"nested code by result", nested("", "DDEAUTO EVIL"), []string{"fldChar w:fldCharType=\"begin\"/></w:r><w:r><w:fldChar"}},
		{"nested hyperlink target", nested("HYPERLINK ", "file:EVIL"), []string{"HYPERLINK"}},
		{"fullwidth", fld("ＤＤＥ EVIL"), []string{"EVIL"}},
		{"dde attr", docx(`<w:p><w:fldSimple w:instr="DDE EVIL"><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p>`), []string{"EVIL"}},
		{"fldSimple hyperlink", docx(`<w:p><w:fldSimple w:instr="HYPERLINK \o x file:EVIL"><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p>`), []string{"EVIL"}},
		{"vml style", docx(`<w:p><w:r><w:pict><v:shape style="width:1pt;background:url(http://EVIL/)"/></w:pict></w:r></w:p>`), []string{"EVIL"}},
		{"vml href", docx(`<w:p><w:r><w:pict><v:shape href="file://EVIL/x"/></w:pict></w:r></w:p>`), []string{"EVIL"}},
		{"vml src", docx(`<w:p><w:r><w:pict><v:shape><v:imagedata src="http://EVIL/x" o:href="http://EVIL/y"/></v:shape></w:pict></w:r></w:p>`), []string{"EVIL"}},
		{"vml fill", docx(`<w:p><w:r><w:pict><v:shape><v:fill src="http://EVIL/x" o:href="http://EVIL/y" o:althref="http://EVIL/z"/></v:shape></w:pict></w:r></w:p>`), []string{"EVIL"}},
		{"doclocation", docx(`<w:p><w:hyperlink w:anchor="a" w:docLocation="file://EVIL"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`), []string{"EVIL"}},
		{"call", cell(`CALL(&quot;EVIL&quot;)`), []string{"EVIL"}},
		{"register", cell(`REGISTER.ID(&quot;EVIL&quot;,1)`), []string{"EVIL"}},
		{"xludf", cell(`_xludf.EVIL(1)`), []string{"EVIL"}},
		{"xlfn image", cell(`_xlfn.IMAGE(&quot;http://EVIL&quot;)`), []string{"EVIL"}},
		{"xlfn xlfn", cell(`_xlfn._xlfn.WEBSERVICE(&quot;http://EVIL&quot;)`), []string{"EVIL"}},
		{"let", cell(`_xlfn.LET(_xlpm.a,WEBSERVICE(&quot;http://EVIL&quot;),_xlpm.a)`), []string{"EVIL"}},
		{"lambda", cell(`_xlfn.LAMBDA(_xlpm.x,WEBSERVICE(_xlpm.x))(&quot;http://EVIL&quot;)`), []string{"EVIL"}},
		{"map by name", cell(`_xlfn.MAP(A2,_xleta.WEBSERVICE)&amp;&quot;EVIL&quot;`), []string{"EVIL"}},
		{"hyperlink file", cell(`HYPERLINK(&quot;file://EVIL&quot;,&quot;x&quot;)`), []string{"EVIL"}},
		{"hyperlink unc f", cell(`HYPERLINK(&quot;\\EVIL\x&quot;)`), []string{"EVIL"}},
		{"hyperlink computed", cell(`HYPERLINK(&quot;fi&quot;&amp;&quot;le://EVIL&quot;)`), []string{"EVIL"}},
		{"hyperlink choose", cell(`HYPERLINK(IF(1,&quot;file://EVIL&quot;))`), []string{"EVIL"}},
		{"dde pipe", cell(`cmd|'/c EVIL'!A0`), []string{"EVIL"}},
		{"dde quoted", cell(`'cmd'|'/c EVIL'!A0`), []string{"EVIL"}},
		{"ext 1", cell(`[1]EVIL!A1`), []string{"EVIL"}},
		{"ext path", cell(`'\\EVIL\[b.xlsx]S'!A1`), []string{"EVIL"}},
		{"ext 3d", cell(`'[1]EVIL:B'!A1`), []string{"EVIL"}},
		{"ext name", cell(`[1]!EVIL`), []string{"EVIL"}},
		{"indirect ext", cell(`INDIRECT(&quot;[\\EVIL\b.xlsx]S!A1&quot;)`), []string{"EVIL"}},
		{"long formula", cell(strings.Repeat("A1+", 30000) + `WEBSERVICE(&quot;EVIL&quot;)`), []string{"EVIL"}},
		{"cdata", cell(`<![CDATA[WEBSERVICE("EVIL")]]>`), []string{"EVIL"}},
		{"split by comment", cell(`WEB<!-- -->SERVICE(&quot;EVIL&quot;)`), []string{"EVIL"}},
		{"split by element", cell(`WEB<x/>SERVICE(&quot;EVIL&quot;)`), []string{"EVIL"}},
		{"nbsp", cell("WEBSERVICE\u00a0(&quot;EVIL&quot;)"), []string{"EVIL"}},
		{"newline", cell("WEBSERVICE\n(&quot;EVIL&quot;)"), []string{"EVIL"}},
		{"validation", xlsx("", `<dataValidations><dataValidation type="list" sqref="A1"><formula1>WEBSERVICE("EVIL")</formula1></dataValidation></dataValidations>`, ""), []string{"EVIL"}},
		{"cf", xlsx("", `<conditionalFormatting sqref="A1"><cfRule type="expression" priority="1"><formula>WEBSERVICE("EVIL")</formula></cfRule></conditionalFormatting>`, ""), []string{"EVIL"}},
		{"x14 validation", xlsx("", `<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"><x14:dataValidations `+x14+`><x14:dataValidation type="list"><x14:formula1><xm:f>WEBSERVICE("EVIL")</xm:f></x14:formula1><xm:sqref>A1</xm:sqref></x14:dataValidation></x14:dataValidations></ext></extLst>`, ""), []string{"EVIL"}},
		{"sparkline", xlsx("", `<extLst><ext uri="{05C60535-1F16-4fd2-B633-F4F36F0B64E0}"><x14:sparklineGroups `+x14+`><x14:sparklineGroup><x14:sparklines><x14:sparkline><xm:f>[1]EVIL!A1</xm:f><xm:sqref>A1</xm:sqref></x14:sparkline></x14:sparklines></x14:sparklineGroup></x14:sparklineGroups></ext></extLst>`, ""), []string{"EVIL"}},
		{"defined name", xlsx("", "", `<definedNames><definedName name="x">WEBSERVICE("EVIL")</definedName></definedNames>`), []string{"EVIL"}},
		{"defined name attr", xlsx("", "", `<definedNames><definedName name="EVIL" xlm="true">A1</definedName></definedNames>`), []string{"EVIL"}},
		{"auto open", xlsx("", "", `<definedNames><definedName name="_XLNM.auto_openEVIL">Sheet1!A1</definedName></definedNames>`), []string{"EVIL"}},
		{"auto open space", xlsx("", "", `<definedNames><definedName name=" Auto_Open ">Sheet1!A1</definedName></definedNames>`), []string{"Auto_Open"}},
		{"location", xlsx("", `<hyperlinks><hyperlink ref="A1" location="\\EVIL\x" display="d"/></hyperlinks>`, ""), []string{"EVIL"}},
		{"location file", xlsx("", `<hyperlinks><hyperlink ref="A1" location="file://EVIL/x"/></hyperlinks>`, ""), []string{"EVIL"}},
		{"location js", xlsx("", `<hyperlinks><hyperlink ref="A1" location="ms-msdt:EVIL"/></hyperlinks>`, ""), []string{"EVIL"}},
		{"chart f", chart(`<c:barChart><c:ser><c:val><c:numRef><c:f>[1]EVIL!A1</c:f></c:numRef></c:val></c:ser></c:barChart>`), []string{"EVIL"}},
		{"chart c15 f", chart(`<c:barChart><c:ser><c:extLst><c:ext uri="{02D57815-91ED-43cb-92C2-25804820EDAC}"><c15:datalabelsRange><c15:f>[1]EVIL!A1</c15:f></c15:datalabelsRange></c:ext></c:extLst></c:ser></c:barChart>`), []string{"EVIL"}},
		{"chart c15 sqref", chart(`<c:barChart><c:ser><c:extLst><c:ext uri="{02D57815-91ED-43cb-92C2-25804820EDAC}"><c15:fullRef><c15:sqref>[1]EVIL!A1</c15:sqref></c15:fullRef></c:ext></c:extLst></c:ser></c:barChart>`), []string{"EVIL"}},
		{"action", slide(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"><a:hlinkClick r:id="" action="PPACTION://Program?file=EVIL"/></p:cNvPr></p:nvSpPr></p:sp>`), []string{"EVIL"}},
		{"action other", slide(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"><a:hlinkClick r:id="" action="macro:EVIL"/></p:cNvPr></p:nvSpPr></p:sp>`), []string{"EVIL"}},
		{"action space", slide(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"><a:hlinkClick r:id="" action=" ppaction://program?EVIL"/></p:cNvPr></p:nvSpPr></p:sp>`), []string{"EVIL"}},
		{"hlinksldjump with file", slide(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"><a:hlinkClick r:id="rId9" action="ppaction://hlinksldjump?file=EVIL"/></p:cNvPr></p:nvSpPr></p:sp>`).rel("ppt/slides/slide1.xml", "rId9", relO+"hyperlink", "external:file:///EVIL"), []string{"file:///EVIL"}},
		{"strict hyperlink", docx(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).rel("word/document.xml", "rId9", "http://purl.oclc.org/ooxml/officeDocument/relationships/hyperlink", "external:file:///EVIL"), []string{"EVIL"}},
		{"encoded scheme", docx(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).rel("word/document.xml", "rId9", relO+"hyperlink", "external:%66ile:///EVIL"), []string{"EVIL"}},
		{"tab in scheme", docx(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).rel("word/document.xml", "rId9", relO+"hyperlink", "external:ht&#9;tp://EVIL"), []string{"EVIL"}},
		{"local with unc", docx(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).rel("word/document.xml", "rId9", relO+"hyperlink", "external:#file:///EVIL"), []string{"EVIL"}},
		{"fallback", docx(`<mc:AlternateContent><mc:Choice Requires="w"><w:p><w:r><w:t>a</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p><w:fldSimple w:instr="DDE EVIL"><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p></mc:Fallback></mc:AlternateContent>`), []string{"EVIL"}},
		{"field over branches", docx(`<w:p><mc:AlternateContent><mc:Choice Requires="w"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DDE</w:instrText></w:r></mc:Choice><mc:Fallback><w:r><w:instrText>AUTO EVIL</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></mc:Fallback></mc:AlternateContent></w:p>`), []string{"EVIL", "instrText"}},
		{"template by image", docx("").rel("word/document.xml", "rId9", relO+"image", "external:\\\\EVIL\\x.png"), []string{"EVIL"}},
	} {
		in := c.p.bytes(t)
		out, res, found, err := treat(in)
		if err != nil {
			t.Errorf("%s: refused: %v", c.name, err)
			continue
		}
		all := ""
		for n, x := range unpack(t, out) {
			all += n + "\n" + x + "\n"
		}
		for _, g := range c.gone {
			if strings.Contains(all, g) {
				i := strings.Index(all, g)
				t.Errorf("%s: %q is still there, %s %v\n ...%s...", c.name, g, res.Outcome, found, all[max(0, i-150):min(len(all), i+80)])
			}
		}
		if e := verify.File(context.Background(), newSession(len(out)), res.Kind, bytes.NewReader(out), int64(len(out))); e != nil {
			t.Errorf("%s: verify refuses the output: %v", c.name, e)
		}
		in = asWeWrite(t, in)
		if e := verify.File(context.Background(), newSession(len(in)), res.Kind, bytes.NewReader(in), int64(len(in))); e == nil {
			t.Errorf("%s: verify allows the document as it came", c.name)
		}
	}
}
