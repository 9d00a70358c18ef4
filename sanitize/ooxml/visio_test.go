package ooxml

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

const (
	relV    = relationVisio
	nsVisio = `xmlns="http://schemas.microsoft.com/office/visio/2012/main" ` + nsR + ` xml:space="preserve"`
)

// vsdx has one page with one shape of the cells, sections and data given, and in
// its document what is given.
func vsdx(shape, document string) *pkg {
	p := &pkg{main: "visio/document.xml", members: map[string]string{}, types: map[string]string{}, rels: map[string]string{}}
	p.add(p.main, typeVisio+"drawing.main+xml", `<?xml version="1.0" encoding="utf-8"?><VisioDocument `+nsVisio+`><DocumentSettings TopPage="0"><GlueSettings>9</GlueSettings></DocumentSettings><FaceNames><FaceName NameU="MS Gothic"/></FaceNames><StyleSheets><StyleSheet ID="0" NameU="No Style"><Cell N="LineWeight" V="0.01"/></StyleSheet></StyleSheets>`+document+`</VisioDocument>`)
	p.add("visio/pages/pages.xml", typeVisio+"pages+xml", `<Pages `+nsVisio+`><Page ID="0" NameU="Page-1" Name="一頁"><PageSheet LineStyle="0"><Cell N="PageWidth" V="8.5"/></PageSheet><Rel r:id="rId1"/></Page></Pages>`)
	p.add("visio/pages/page1.xml", typeVisio+"page+xml", `<PageContents `+nsVisio+`><Shapes><Shape ID="1" Type="Shape"><Cell N="PinX" V="2"/><Cell N="LocPinX" V="1" F="Width*0.5"/>`+shape+`<Text><cp IX="0"/>本文
</Text></Shape></Shapes></PageContents>`)
	return p.rel("", "rId1", relV+"document", p.main).rel(p.main, "rId1", relV+"pages", "pages/pages.xml").rel("visio/pages/pages.xml", "rId1", relV+"page", "page1.xml")
}

func TestWhatActsInADrawingGoes(t *testing.T) {
	event := func(f string) *pkg { return vsdx(`<Cell N="EventDblClick" V="0" F="`+f+`"/>`, "") }
	for _, c := range []struct {
		name   string
		pkg    *pkg
		rule   string // "" where the file is clean
		action sanitize.Action
		gone   []string
		stays  []string
	}{
		{name: "plain", pkg: vsdx("", ""), stays: []string{"本文", `F="Width*0.5"`, "Page-1"}},
		{name: "formulas that compute", pkg: vsdx(`<Cell N="Width" V="1" F="IF(BITXOR(FlipX,FlipY),1,-1)*Angle"/><Cell N="LineColor" V="0" F="THEMEGUARD(RGB(1,2,3))"/><Cell N="BeginX" V="1" F="PAR(PNT(Sheet.2!Connections.X1,Sheet.2!Connections.Y1))"/><Cell N="W" V="1" F="Pages[Page-1]!PageWidth"/><Cell N="EventDblClick" V="0" F="OPENTEXTWIN()"/><Cell N="X" V="0" F="No Formula"/><Cell N="Y" V="0" F="Inh"/>`, ""),
			stays: []string{"BITXOR", "THEMEGUARD", "PAR(PNT(", "Pages[Page-1]", "OPENTEXTWIN", "No Formula", `F="Inh"`}},
		{name: "add-on", pkg: event(`RUNADDON(&quot;Evil&quot;)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"RUNADDON", "Evil"}, stays: []string{`N="EventDblClick" V="0"`}},
		{name: "macro", pkg: event(`runmacro (&quot;Evil.Run&quot;)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"runmacro"}},
		{name: "call", pkg: event(`IF(1,CALLTHIS(&quot;Evil&quot;),0)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"CALLTHIS"}},
		{name: "opened file", pkg: event(`OPENFILE(&quot;\\\\srv\\x.exe&quot;)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"OPENFILE", "srv"}},
		{name: "link made by a formula", pkg: event(`HYPERLINK(&quot;file://srv/x&quot;)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"HYPERLINK", "srv"}},
		{name: "formula made of text", pkg: event(`EVALTEXT(TheText)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"EVALTEXT"}},
		{name: "formula written by one", pkg: event(`SETF(GetRef(Width),&quot;RUNADDON(1)&quot;)`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"SETF"}},
		{name: "another drawing", pkg: event(`[other.vsdx]Sheet.1!Width`), rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"other.vsdx"}},
		{name: "windows of Visio itself", pkg: event(`DOCMD(1312)`), gone: []string{"DOCMD"}},
		{name: "help", pkg: vsdx(`<Cell N="HelpTopic" V="\\srv\x.chm!#1"/>`, ""), gone: []string{"srv", "HelpTopic"}},
		{name: "menu", pkg: vsdx(`<Section N="Actions"><Row N="a"><Cell N="Action" V="0" F="RUNADDON(&quot;x&quot;)"/></Row></Section>`, ""), rule: "ooxml.custom-ui", action: sanitize.Removed, gone: []string{"Actions", "RUNADDON"}},
		{name: "link", pkg: vsdx(`<Section N="Hyperlink"><Row N="a"><Cell N="Address" V="https://example.jp/"/><Cell N="ExtraInfo" V="x=1"/></Row></Section>`, ""), stays: []string{"https://example.jp/"}, gone: []string{"ExtraInfo"}},
		{name: "bad link", pkg: vsdx(`<Section N="Hyperlink"><Row N="a"><Cell N="Description" V="d"/><Cell N="Address" V="file://srv/x"/></Row><Row N="b"><Cell N="Address" V="mailto:a@example.jp"/></Row></Section>`, ""), rule: "ooxml.link", action: sanitize.Neutralised, gone: []string{"srv", `V="d"`}, stays: []string{"mailto:a@example.jp"}},
		{name: "address by a formula", pkg: vsdx(`<Section N="Hyperlink"><Row N="a"><Cell N="Address" V="https://example.jp/" F="&quot;file:&quot;&amp;User.x"/></Row></Section>`, ""), gone: []string{"User.x"}, stays: []string{"https://example.jp/"}},
		{name: "events", pkg: vsdx("", `<EventList><EventItem ID="1" Action="1" EventCode="2" Enabled="1" Target="EVIL"/></EventList>`), rule: "ooxml.active-xml", action: sanitize.Removed, gone: []string{"EVIL", "EventList"}},
		{name: "toolbars", pkg: vsdx("", `<AttachedToolbars>AAAA</AttachedToolbars>`), rule: "ooxml.custom-ui", action: sanitize.Removed, gone: []string{"AAAA"}},
		{name: "picture", pkg: vsdx(`<ForeignData ForeignType="Bitmap" CompressionType="GIF"><Rel r:id="rId3"/></ForeignData>`, "").add("visio/media/image1.png", "image/png", pngBytes()).rel("visio/pages/page1.xml", "rId3", relO+"image", "../media/image1.png"),
			stays: []string{`<ForeignData ForeignType="Bitmap" CompressionType="PNG"><Rel`}, gone: []string{"GIF"}},
		{name: "object with its picture", pkg: vsdx(`<ForeignData ForeignType="Object" ObjectType="33280" ObjectWidth="2"><Rel r:id="rId3"/></ForeignData>`, "").add("visio/media/image1.png", "image/png", pngBytes()).rel("visio/pages/page1.xml", "rId3", relO+"image", "../media/image1.png"),
			rule: "ooxml.ole", action: sanitize.Replaced, stays: []string{`ForeignType="Bitmap"`}, gone: []string{"Object"}},
		{name: "object", pkg: vsdx(`<ForeignData ForeignType="Object"><Rel r:id="rId3"/></ForeignData>`, "").add("visio/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject", "MARKER").rel("visio/pages/page1.xml", "rId3", relO+"oleObject", "../embeddings/oleObject1.bin"),
			rule: "ooxml.ole", action: sanitize.Removed, gone: []string{"MARKER", "ForeignData"}, stays: []string{"本文"}},
		{name: "connection", pkg: func() *pkg {
			p := vsdx("", "").add("visio/data/connections.xml", typeVisio+"connections+xml", `<DataConnections `+nsVisio+`>MARKER</DataConnections>`)
			return p.rel(p.main, "rId7", relV+"connections", "data/connections.xml")
		}(), rule: "ooxml.connection", action: sanitize.Removed, gone: []string{"MARKER"}},
		{name: "windows", pkg: func() *pkg {
			p := vsdx("", "").add("visio/windows.xml", typeVisio+"windows+xml", `<Windows `+nsVisio+`><Window Document="\\srv\x.vssx"/></Windows>`)
			return p.rel(p.main, "rId7", relV+"windows", "windows.xml")
		}(), gone: []string{"srv"}},
		{name: "solution", pkg: func() *pkg {
			p := vsdx("", "").add("visio/solutions/solutions.xml", typeVisio+"solutions+xml", `<Solutions `+nsVisio+`>MARKER</Solutions>`)
			return p.rel(p.main, "rId7", relV+"solutions", "solutions/solutions.xml")
		}(), gone: []string{"MARKER"}},
		{name: "VBA", pkg: func() *pkg {
			p := vsdx("", "").add("visio/vbaProject.bin", "application/vnd.ms-office.vbaProject", "MARKER")
			p.types[p.main] = typeVisio + "drawing.macroEnabled.main+xml"
			return p.rel(p.main, "rId7", relM+"vbaProject", "vbaProject.bin")
		}(), rule: "ooxml.vba", action: sanitize.Removed, gone: []string{"MARKER", "macroEnabled"}},
		{name: "page of another type", pkg: vsdx("", "").add("visio/pages/page2.xml", "text/html", "<script>").rel("visio/pages/pages.xml", "rId9", relV+"page", "page2.xml"), rule: "ooxml.part", action: sanitize.Removed, gone: []string{"script"}},
		{name: "elements of Word", pkg: vsdx(`<w:altChunk `+nsW+` r:id="rId9"/>`, ""), gone: []string{"altChunk"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.pkg.bytes(t)
			out, res, found, err := treat(in)
			if err != nil {
				t.Fatal(err)
			}
			want := sanitize.Clean
			if c.rule != "" {
				want = sanitize.Disarmed
				if !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action }) {
					t.Errorf("no finding %s (%s) in %v", c.rule, c.action, found)
				}
			}
			if res.Outcome != want || res.Kind != sanitize.KindVSDX {
				t.Errorf("%s, %s, want %s: %v", res.Kind, res.Outcome, want, found)
			}
			all := ""
			for name, content := range unpack(t, out) {
				all += name + "\n" + content + "\n"
			}
			for _, g := range c.gone {
				if strings.Contains(all, g) {
					t.Errorf("%q is still there:\n%s", g, all)
				}
			}
			for _, s := range c.stays {
				if !strings.Contains(all, s) {
					t.Errorf("%q is lost:\n%s", s, all)
				}
			}
			checkPackage(t, c.name, out)
			if err := verify.File(context.Background(), newSession(len(out)), sanitize.KindVSDX, bytes.NewReader(out), int64(len(out))); err != nil {
				t.Errorf("verify: %v", err)
			}
			again, res, found, err := treat(out)
			if err != nil || res.Outcome != sanitize.Clean || !bytes.Equal(out, again) {
				t.Errorf("a second pass: %s, %v, %v\n%s", res.Outcome, err, found, again)
			}
			// What acts is refused by the second look, by its own eyes.
			if in := asWeWrite(t, in); c.rule != "" {
				if err := verify.File(context.Background(), newSession(len(in)), sanitize.KindVSDX, bytes.NewReader(in), int64(len(in))); err == nil {
					t.Error("verify allows the document as it came")
				}
			}
		})
	}
}

func TestLinksOfADrawingGoWhenTheProfileSaysSo(t *testing.T) {
	in := vsdx(`<Section N="Hyperlink"><Row N="a"><Cell N="Address" V="https://example.jp/"/></Row></Section>`, "").bytes(t)
	out, _, found, err := treat(in, func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || len(found) == 0 || strings.Contains(unpack(t, out)["visio/pages/page1.xml"], "example.jp") {
		t.Errorf("%v %v", err, found)
	}
}

// TestADrawingIsNoDocument: the relationship and the type of the main part are of
// one application.
func TestADrawingIsNoDocument(t *testing.T) {
	p := vsdx("", "")
	p.rels[""] = ""
	p.rel("", "rId1", relO+"officeDocument", p.main)
	if _, _, _, err := treat(p.bytes(t)); err == nil {
		t.Error("a drawing by the relationship of a text is treated")
	}
	d := docx("")
	d.rels[""] = ""
	d.rel("", "rId1", relV+"document", d.main)
	if _, _, _, err := treat(d.bytes(t)); err == nil {
		t.Error("a text by the relationship of a drawing is treated")
	}
}
