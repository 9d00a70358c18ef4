package odf_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// cases are the corpus of this package: for every finding one document that has
// it. gone must not be in the output, stays must.
var cases = []struct {
	name   string
	in     func(t testing.TB) []byte
	rule   string // "" for a document from which nothing is taken
	action sanitize.Action
	gone   []string
	stays  []string
	kind   sanitize.Kind
}{
	{name: "Basic and what loads it", rule: "odf.macro", action: sanitize.Removed, gone: []string{"MARKER", "Basic", "scripts", "listener"}, stays: []string{"本文"}, in: func(t testing.TB) []byte {
		return odtWith(`<office:scripts><office:event-listeners><script:event-listener script:language="ooo:script" script:event-name="dom:load" xlink:href="vnd.sun.star.script:Standard.Module1.Main?language=Basic&amp;location=document"/></office:event-listeners></office:scripts>`, `<text:p>本文</text:p>`).
			add("Basic/script-lc.xml", "<x/>").add("Basic/Standard/Module1.xml", "Sub Main MARKER").bytes(t)
	}},
	{name: "empty scripts are no loss", gone: []string{"scripts"}, in: func(t testing.TB) []byte {
		return odtWith(`<office:scripts><office:script script:language="ooo:Basic"><ooo:libraries/></office:script></office:scripts>`, `<text:p/>`).add("Basic/Standard/script-lb.xml", "<x/>").bytes(t)
	}},
	{name: "script in a flat file", rule: "odf.macro", action: sanitize.Removed, gone: []string{"MARKER"}, kind: sanitize.KindFODT, in: func(testing.TB) []byte {
		return flat(`<office:scripts><office:script script:language="ooo:Basic"><ooo:libraries><ooo:library-embedded ooo:name="Standard"><ooo:module>MARKER</ooo:module></ooo:library-embedded></ooo:libraries></office:script></office:scripts><office:body><office:text/></office:body>`)
	}},
	{name: "script in the text", rule: "odf.macro", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:script script:language="JavaScript">MARKER</text:script></text:p>`).bytes(t)
	}},
	{name: "field that runs", rule: "odf.macro", action: sanitize.Neutralised, gone: []string{"execute-macro", "Main"}, stays: []string{"押す"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:execute-macro text:name="Standard.Module1.Main">押す</text:execute-macro></text:p>`).bytes(t)
	}},
	{name: "dialog", rule: "odf.dialog", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt("").add("Dialogs/Standard/dialog-lb.xml", "<x/>").add("Dialogs/Standard/Dialog1.xml", "MARKER").bytes(t)
	}},
	{name: "click that runs", rule: "odf.event-listener", action: sanitize.Removed, gone: []string{"powershell", "event-listener "}, in: func(t testing.TB) []byte {
		return odp(`<draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="execute" xlink:href="powershell.exe"/></office:event-listeners></draw:rect>`).bytes(t)
	}},
	{name: "click to another slide", stays: []string{`presentation:action="next-page"`, `xlink:href="#p1"`}, in: func(t testing.TB) []byte {
		return odp(`<draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="next-page"/></office:event-listeners></draw:rect><draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="show" xlink:href="#p1" xlink:type="simple"/></office:event-listeners></draw:rect>`).bytes(t)
	}},
	{name: "click on a control that runs", rule: "odf.event-listener", action: sanitize.Removed, gone: []string{"vnd.sun.star"}, stays: []string{"form:button"}, in: func(t testing.TB) []byte {
		return odt(`<office:forms><form:form form:name="F" form:control-implementation="ooo:com.sun.star.form.component.Form"><form:button form:control-implementation="ooo:com.sun.star.form.component.CommandButton" xml:id="c1" form:id="c1" form:label="押す"><office:event-listeners><script:event-listener script:language="ooo:script" script:event-name="form:performaction" xlink:href="vnd.sun.star.script:x"/></office:event-listeners></form:button></form:form></office:forms>`).bytes(t)
	}},
	{name: "OLE object", rule: "odf.ole", action: sanitize.Removed, gone: []string{"MARKER", "object-ole"}, stays: []string{`xlink:href="Pictures/1.png"`}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object-ole xlink:href="./Object 1"/><draw:image xlink:href="./ObjectReplacements/Object 1"/>`)).add("Object 1", "\xd0\xcf\x11\xe0MARKER").add("ObjectReplacements/Object 1", pngBytes()).bytes(t)
	}},
	{name: "OLE object in a flat file", rule: "odf.ole", action: sanitize.Removed, gone: []string{"TUFSS0VS"}, kind: sanitize.KindFODT, in: func(testing.TB) []byte {
		return flatText(frame(`<draw:object-ole><office:binary-data>TUFSS0VS</office:binary-data></draw:object-ole>`))
	}},
	{name: "linked object", rule: "odf.ole", action: sanitize.Removed, gone: []string{"server"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object xlink:href="file://server/x.ods"/>`)).bytes(t)
	}},
	{name: "chart", stays: []string{`xlink:href="./Object 1"`, "== Object 1/content.xml", "chart:bar", "ObjectReplacements/Object 1", `full-path="Object 1/" manifest:version="1.3" manifest:media-type="application/vnd.oasis.opendocument.chart"`}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object xlink:href="./Object 7"/><draw:image xlink:href="./ObjectReplacements/Object 7"/>`)).add("Object 7/content.xml", content("", "chart", `<chart:chart xlink:href=".." chart:class="chart:bar"/>`)).add("ObjectReplacements/Object 7", pngBytes()).bytes(t)
	}},
	{name: "chart of a service", gone: []string{"com.example"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object xlink:href="Object 1"/>`)).add("Object 1/content.xml", content("", "chart", `<chart:chart chart:class="ooo:com.example"/>`)).bytes(t)
	}},
	{name: "macro in an object", rule: "odf.macro", action: sanitize.Removed, gone: []string{"MARKER"}, stays: []string{"Object 1/content.xml"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object xlink:href="./Object 1"/>`)).add("Object 1/content.xml", content(`<office:scripts><office:script>MARKER</office:script></office:scripts>`, "text", `<text:p/>`)).bytes(t)
	}},
	{name: "formula with the DOCTYPE of its time", stays: []string{"math:mn", "StarMath"}, gone: []string{"DOCTYPE"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object xlink:href="./Object 1"/>`)).add("Object 1/content.xml", `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<!DOCTYPE math:math PUBLIC "-//OpenOffice.org//DTD Modified W3C MathML 1.01//EN" "math.dtd">`+"\n"+`<math:math xmlns:math="http://www.w3.org/1998/Math/MathML"><math:semantics><math:mn>1</math:mn><math:annotation math:encoding="StarMath 5.0">1</math:annotation></math:semantics></math:math>`).bytes(t)
	}},
	{name: "plugin", rule: "odf.plugin", action: sanitize.Removed, gone: []string{"plugin", "MARKER"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:plugin draw:mime-type="application/x-shockwave-flash" xlink:href="Media/MARKER.swf"/>`)).bytes(t)
	}},
	{name: "applet", rule: "odf.plugin", action: sanitize.Removed, gone: []string{"applet", "MARKER"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:applet draw:code="MARKER" xlink:href="http://evil.example/"/>`)).bytes(t)
	}},
	{name: "floating frame", rule: "odf.frame", action: sanitize.Removed, gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:floating-frame xlink:href="http://evil.example/"/>`)).bytes(t)
	}},
	{name: "film", rule: "odf.media", action: sanitize.Removed, gone: []string{"MARKER", "small.mp4"}, stays: []string{"Pictures/1.png"}, in: func(t testing.TB) []byte {
		return odp(`<draw:frame><draw:plugin draw:mime-type="application/vnd.sun.star.media" xlink:href="Media/small.mp4"/><draw:image xlink:href="Pictures/MediaPreview1.png"/></draw:frame>`).add("Media/small.mp4", "MARKER").add("Pictures/MediaPreview1.png", pngBytes()).bytes(t)
	}},
	{name: "verb in an animation", rule: "odf.command", action: sanitize.Removed, gone: []string{"verb"}, stays: []string{"anim:seq"}, in: func(t testing.TB) []byte {
		return odp(`<anim:par><anim:seq><anim:command anim:command="verb"/></anim:seq></anim:par>`).bytes(t)
	}},
	{name: "embedded font", rule: "odf.font", action: sanitize.Removed, gone: []string{"MARKER", "font-face-src"}, stays: []string{"ＭＳ 明朝"}, in: func(t testing.TB) []byte {
		return odtWith(`<office:font-face-decls><style:font-face style:name="ＭＳ 明朝" svg:font-family="ＭＳ 明朝"><svg:font-face-src><svg:font-face-uri xlink:href="Fonts/MARKER.ttf"/></svg:font-face-src></style:font-face></office:font-face-decls>`, `<text:p/>`).add("Fonts/MARKER.ttf", "x").bytes(t)
	}},
	{name: "section from elsewhere", rule: "odf.source", action: sanitize.Neutralised, gone: []string{"hostname"}, stays: []string{"前の中身"}, in: func(t testing.TB) []byte {
		return odt(`<text:section text:name="s"><text:section-source xlink:href="file:///etc/hostname"/><text:p>前の中身</text:p></text:section>`).bytes(t)
	}},
	{name: "sheet from elsewhere", rule: "odf.source", action: sanitize.Neutralised, gone: []string{"server"}, stays: []string{"売上"}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"><table:table-source xlink:href="//server/x.ods" table:table-name="表"/><table:table-row><table:table-cell office:value-type="string"><text:p>売上</text:p></table:table-cell></table:table-row></table:table>`).bytes(t)
	}},
	{name: "cells of a web page", rule: "odf.source", action: sanitize.Neutralised, gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell><table:cell-range-source table:name="x" xlink:href="http://evil.example/" table:filter-name="calc_HTML_WebQuery"/></table:table-cell>`).bytes(t)
	}},
	{name: "DDE in a text", rule: "odf.dde", action: sanitize.Replaced, gone: []string{"cmd", "dde-connection "}, stays: []string{"結果"}, in: func(t testing.TB) []byte {
		return odt(`<text:dde-connection-decls><text:dde-connection-decl office:name="d" office:dde-application="cmd" office:dde-topic="/c calc" office:dde-item="x" office:automatic-update="true"/></text:dde-connection-decls><text:p><text:dde-connection text:connection-name="d">結果</text:dde-connection></text:p>`).bytes(t)
	}},
	{name: "DDE in a sheet", rule: "odf.dde", action: sanitize.Removed, gone: []string{"cmd"}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"/><table:dde-links><table:dde-link><office:dde-source office:dde-application="cmd" office:dde-topic="/c calc" office:dde-item="x"/><table:table/></table:dde-link></table:dde-links>`).bytes(t)
	}},
	{name: "DDE in a formula", rule: "odf.dde", action: sanitize.Replaced, gone: []string{"DDE"}, stays: []string{`office:value="3"`}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:formula="of:=DDE(&quot;soffice&quot;;&quot;x&quot;;&quot;y&quot;)" office:value-type="float" office:value="3"/>`).bytes(t)
	}},
	{name: "database", rule: "odf.database", action: sanitize.Removed, gone: []string{"SELECT", "bibliography"}, stays: []string{"table:database-range"}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"/><table:database-ranges><table:database-range table:name="r" table:target-range-address="表.A1:表.B2" table:refresh-delay="PT1S"><table:database-source-sql table:database-name="bibliography" table:sql-statement="SELECT"/></table:database-range></table:database-ranges>`).bytes(t)
	}},
	{name: "field of a database", rule: "odf.database", action: sanitize.Replaced, gone: []string{"database"}, stays: []string{"山田"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:database-display text:database-name="b" text:table-name="t" text:column-name="c">山田</text:database-display></text:p>`).bytes(t)
	}},
	{name: "form that is sent", rule: "odf.form", action: sanitize.Neutralised, gone: []string{"evil", "submit", "form:method"}, stays: []string{`form:label="送信"`}, in: func(t testing.TB) []byte {
		return odt(`<office:forms><form:form form:name="F" xlink:href="http://evil.example/" form:method="post" office:target-frame="_blank"><form:button form:label="送信" form:button-type="submit" form:control-implementation="ooo:com.sun.star.form.component.CommandButton"/></form:form></office:forms>`).bytes(t)
	}},
	{name: "control of a service", gone: []string{"com.example"}, stays: []string{"form:checkbox"}, in: func(t testing.TB) []byte {
		return odt(`<office:forms><form:form><form:checkbox form:control-implementation="ooo:com.example.Evil" form:label="x"><form:properties><form:property form:property-name="DefaultControl" office:value-type="string" office:string-value="com.example"/></form:properties></form:checkbox></form:form></office:forms>`).bytes(t)
	}},
	{name: "XForms", rule: "odf.form", action: sanitize.Removed, gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return odt(`<office:forms><xforms:model><xforms:submission id="s" action="http://evil.example/"/></xforms:model></office:forms>`).bytes(t)
	}},
	{name: "control that loads", rule: "odf.form-control", action: sanitize.Removed, gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return odt(`<office:forms><form:form><form:image-frame form:image-data="http://evil.example/x.png"/></form:form></office:forms>`).bytes(t)
	}},
	{name: "field of Word", rule: "odf.field", action: sanitize.Replaced, gone: []string{"INCLUDEPICTURE", "fieldmark"}, stays: []string{"結果"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><field:fieldmark-start text:name="a" field:type="vnd.oasis.opendocument.field.UNHANDLED"><field:param field:name="vnd.oasis.opendocument.field.code" field:value="INCLUDEPICTURE http://evil.example/"/></field:fieldmark-start>結果<field:fieldmark-end/></text:p>`).bytes(t)
	}},
	{name: "DEL is a character of XML", stays: []string{"本\x7F文"}, in: func(t testing.TB) []byte {
		return odt("<text:p>本\x7F文</text:p>").bytes(t)
	}},
	{name: "DDE in a field of Word", rule: "odf.dde", action: sanitize.Replaced, gone: []string{"DDEAUTO", "fieldmark"}, stays: []string{"結果"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><field:fieldmark-start text:name="a" field:type="vnd.oasis.opendocument.field.UNHANDLED"><field:param field:name="vnd.oasis.opendocument.field.code" field:value=" ddeauto c:\\x y"/></field:fieldmark-start><field:fieldmark-separator/>結果<field:fieldmark-end/></text:p>`).bytes(t)
	}},
	{name: "field of a form", stays: []string{"fieldmark-start", "fieldmark-end", "Description"}, gone: []string{"EntryMacro"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><field:fieldmark-start text:name="a" field:type="vnd.oasis.opendocument.field.FORMTEXT"><field:param field:name="Description" field:value="名"/><field:param field:name="EntryMacro" field:value="m"/></field:fieldmark-start>名<field:fieldmark-end/></text:p>`).bytes(t)
	}},
	{name: "fields of the person", gone: []string{"sender-company", "file-name"}, stays: []string{"例示町", "a.odt"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:sender-company>例示町</text:sender-company><text:file-name text:display="full">a.odt</text:file-name></text:p>`).bytes(t)
	}},
	{name: "function of a macro that nobody knew", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"KASAN"}, stays: []string{`table:formula="of:=#NAME?"`, "#NAME?</text:p>"}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"><table:table-row><table:table-cell table:formula="of:=KASAN([.B1])" office:value-type="string" office:string-value="" calcext:value-type="error"><text:p>#NAME?</text:p></table:table-cell></table:table-row></table:table>`).bytes(t)
	}},
	{name: "reference to another document that showed an error, as Excel writes it", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"file:"}, stays: []string{`office:value="0" table:formula="of:=#VALUE!"><office:annotation>`, `table:formula="of:=#N/A"`, `table:formula="of:=#DIV/0!"`, `office:value="0"><text:p>0</text:p>`, `office:value="0"><office:annotation><text:p>#WERT!</text:p>`}, in: func(t testing.TB) []byte {
		cell := `<table:table-cell office:value-type="float" office:value="0" table:formula="of:=['file:///x.xlsx'#Sheet1.$A$1]">`
		return ods(cell + `<office:annotation><text:p>注</text:p></office:annotation><text:p>#WERT!</text:p></table:table-cell>` + cell + `<text:p>#N/A</text:p></table:table-cell>` +
			cell + `<text:p>#DIV/0!</text:p></table:table-cell>` + cell + `<text:p>0</text:p></table:table-cell>` +
			cell + `<office:annotation><text:p>#WERT!</text:p></office:annotation><text:p>0</text:p></table:table-cell>`).bytes(t)
	}},
	{name: "matrix of a function nobody knew", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"KASAN", "number-matrix"}, stays: []string{
		`calcext:value-type="error" table:formula="of:=#NAME?"><text:p>#NAME?</text:p></table:table-cell><table:table-cell office:value-type="string" office:string-value="" calcext:value-type="error"><text:p>#NAME?</text:p></table:table-cell></table:table-row>`,
		`<table:table-cell/><table:table-cell/><table:table-cell office:value-type="string" office:string-value="" calcext:value-type="error" table:formula="of:=#NAME?">`}, in: func(t testing.TB) []byte {
		cell := `office:value-type="string" office:string-value="" calcext:value-type="error"><text:p>#NAME?</text:p></table:table-cell>`
		return odsWith("", `<table:table table:name="表"><table:table-row><table:table-cell table:number-columns-repeated="2"/><table:table-cell table:formula="of:=KASAN([.B1:.B2])" table:number-matrix-columns-spanned="1" table:number-matrix-rows-spanned="2" `+cell+`<table:table-cell `+cell+`</table:table-row>`+
			`<table:table-row><table:table-cell/><table:table-cell/><table:table-cell `+cell+`</table:table-row></table:table>`).bytes(t)
	}},
	{name: "function of a macro that was known", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"KASAN", "table:formula"}, stays: []string{`office:value="5"`}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"><table:table-row><table:table-cell table:formula="of:=KASAN([.B1])" office:value-type="float" office:value="5" calcext:value-type="float"><text:p>5</text:p></table:table-cell></table:table-row></table:table>`).bytes(t)
	}},
	{name: "formula that fetches", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"WEBSERVICE"}, stays: []string{`office:string-value="答"`}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:formula="of:=COM.MICROSOFT.WEBSERVICE(&quot;http://evil.example/&quot;)" office:value-type="string" office:string-value="答"/>`).bytes(t)
	}},
	{name: "matrix that fetches", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"WEBSERVICE", "matrix"}, stays: []string{`office:value="5"`}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:number-matrix-columns-spanned="1" table:number-matrix-rows-spanned="1" table:formula="of:=WEBSERVICE([.A1])" office:value-type="float" office:value="5"/>`).bytes(t)
	}},
	{name: "formulas that compute", stays: []string{"of:=SUM([.A1:.B2])", "of:=IFERROR([.A1];&quot;x&quot;)", "of:cell-content()&gt;5", "formula-is([.A1]&gt;0)", "number-matrix-columns-spanned"}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:content-validations><table:content-validation table:name="v" table:condition="of:cell-content()&gt;5"/></table:content-validations><table:table table:name="表"><table:table-row><table:table-cell table:formula="of:=SUM([.A1:.B2])" office:value-type="float" office:value="3" calcext:value-type="float"/><table:table-cell table:number-matrix-columns-spanned="1" table:formula='of:=IFERROR([.A1];"x")'/></table:table-row><calcext:conditional-formats><calcext:conditional-format calcext:target-range-address="表.A1"><calcext:condition calcext:apply-style-name="x" calcext:value="formula-is([.A1]&gt;0)" calcext:base-cell-address="表.A1"/></calcext:conditional-format></calcext:conditional-formats></table:table>`).bytes(t)
	}},
	{name: "language of a formula under another prefix", stays: []string{`table:formula="msoxl:=SUM(A1)"`}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell xmlns:of="http://schemas.microsoft.com/office/excel/formula" table:formula="of:=SUM(A1)"/>`).bytes(t)
	}},
	{name: "formula in no language", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"nope"}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:formula="nope:=SUM([.A1])"/>`).bytes(t)
	}},
	{name: "name that fetches", rule: "odf.formula", action: sanitize.Removed, gone: []string{"WEBSERVICE", `"n"`}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"/><table:named-expressions><table:named-expression table:name="n" table:base-cell-address="$表.$A$1" table:expression="WEBSERVICE([.A1])"/></table:named-expressions>`).bytes(t)
	}},
	{name: "condition that fetches", rule: "odf.formula", action: sanitize.Replaced, gone: []string{"WEBSERVICE", "calcext:condition "}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"><calcext:conditional-formats><calcext:conditional-format calcext:target-range-address="表.A1"><calcext:condition calcext:apply-style-name="x" calcext:value="formula-is(WEBSERVICE([.A1]))"/></calcext:conditional-format></calcext:conditional-formats></table:table>`).bytes(t)
	}},
	{name: "other document", rule: "odf.external-cache", action: sanitize.Removed, gone: []string{"server", "secret"}, stays: []string{`office:value="7"`}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表"><table:table-row><table:table-cell table:formula="of:=['file://server/x.ods'#$S.A1]" office:value-type="float" office:value="7"/></table:table-row></table:table><table:table table:name="'file://server/x.ods'#S"><table:table-source xlink:href="//server/x.ods"/><table:table-row><table:table-cell><text:p>secret</text:p></table:table-cell></table:table-row></table:table>`).bytes(t)
	}},
	{name: "range in another document", rule: "odf.external-range", action: sanitize.Removed, gone: []string{"server"}, in: func(t testing.TB) []byte {
		return odsWith("", `<table:table table:name="表" table:print-ranges="'file://server/x.ods'#$S.A1"/><table:named-expressions><table:named-range table:name="n" table:cell-range-address="'file://server/x.ods'#$S.A1"/></table:named-expressions>`).bytes(t)
	}},
	{name: "dangerous links", rule: "odf.link", action: sanitize.Neutralised, gone: []string{"file:", "javascript", "vnd.sun.star", "macro:", `\\server`, "attach="}, stays: []string{"一", "二", "三", "四", "五", "六"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:a xlink:href="file:///c:/x.exe">一</text:a><text:a xlink:href="javascript:x">二</text:a><text:a xlink:href="vnd.sun.star.expand:x">三</text:a><text:a xlink:href="macro:///x">四</text:a><text:a xlink:href="\\server\x">五</text:a><text:a xlink:href="mailto:a@b?attach=c">六</text:a></text:p>`).bytes(t)
	}},
	{name: "links to the web and into the document", stays: []string{`xlink:href="https://example.jp/?a=1&amp;b=2"`, `xlink:href="#表1|table"`, "mailto:a@example.jp"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:a xlink:href="https://example.jp/?a=1&amp;b=2">a</text:a><text:a xlink:href="#表1|table">b</text:a><text:a xlink:href="mailto:a@example.jp?subject=x">c</text:a></text:p>`).bytes(t)
	}},
	{name: "linked pictures", rule: "odf.linked-image", action: sanitize.Replaced, gone: []string{"evil", "passwd", "Pictures/2"}, stays: []string{"Pictures/1.png"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="http://evil.example/x.png"/>`) + frame(`<draw:image xlink:href="file:///etc/passwd"/>`)).bytes(t)
	}},
	{name: "linked picture of a flat file", rule: "odf.linked-image", action: sanitize.Replaced, gone: []string{"evil"}, stays: []string{"<office:binary-data>iVBOR"}, kind: sanitize.KindFODT, in: func(testing.TB) []byte {
		return flatText(frame(`<draw:image xlink:href="http://evil.example/x.png"/>`))
	}},
	{name: "linked background", rule: "odf.linked-image", action: sanitize.Replaced, gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return odtWith(`<office:automatic-styles><style:style style:name="P1" style:family="paragraph"><style:paragraph-properties><style:background-image xlink:href="http://evil.example/x.png"/></style:paragraph-properties></style:style></office:automatic-styles>`, `<text:p/>`).bytes(t)
	}},
	{name: "pictures", stays: []string{"Pictures/1.png", `manifest:full-path="Pictures/1.png" manifest:media-type="image/png"`}, gone: []string{"Pictures/2", "自分"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/自分.png"/>`)+frame(`<draw:image xlink:href="./Pictures/%E8%87%AA%E5%88%86.png"/>`)).add("Pictures/自分.png", pngBytes()).bytes(t)
	}},
	{name: "pictures of a flat file", stays: []string{"<office:binary-data>iVBOR"}, kind: sanitize.KindFODT, in: func(testing.TB) []byte {
		b := base64.StdEncoding.EncodeToString([]byte(pngBytes()))
		return flatText(frame(`<draw:image><office:binary-data> ` + b[:10] + "\n" + b[10:] + ` </office:binary-data></draw:image>`))
	}},
	{name: "picture that is none", rule: "odf.picture", action: sanitize.Replaced, gone: []string{"MARKER"}, stays: []string{"Pictures/1.png"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/a.png"/>`)).add("Pictures/a.png", "MZMARKER").bytes(t)
	}},
	{name: "data that is none", rule: "odf.picture", action: sanitize.Replaced, gone: []string{"MARKER"}, kind: sanitize.KindFODT, in: func(testing.TB) []byte {
		return flatText(frame(`<draw:image><office:binary-data>MARKER!</office:binary-data></draw:image>`))
	}},
	{name: "drawing of LibreOffice beside its chart", gone: []string{"VCLMTF", "ObjectReplacements"}, stays: []string{"Object 1/content.xml"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object xlink:href="./Object 1"/><draw:image xlink:href="./ObjectReplacements/Object 1"/>`)).add("Object 1/content.xml", content("", "chart", `<chart:chart chart:class="chart:bar"/>`)).add("ObjectReplacements/Object 1", "VCLMTF").bytes(t)
	}},
	{name: "hidden sheet", stays: []string{"隠"}, in: func(t testing.TB) []byte {
		return odsWith(`<office:automatic-styles><style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/></style:style></office:automatic-styles>`, `<table:table table:name="表"/><table:table table:name="隠" table:style-name="ta2"/>`).bytes(t)
	}},
	{name: "menus", rule: "odf.custom-ui", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt("").add("Configurations2/menubar/menubar.xml", "MARKER").bytes(t)
	}},
	{name: "signature", rule: "odf.signature", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt("").add("META-INF/documentsignatures.xml", "MARKER").bytes(t)
	}},
	{name: "member that runs", rule: "odf.member", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt("").add("a/b.exe", "MARKER").add("../c.txt", "MARKER").bytes(t)
	}},
	{name: "metadata", stays: []string{"<dc:title>表題</dc:title>", "<meta:generator>LibreOffice/7.4$Linux</meta:generator>", `meta:page-count="2"`}, gone: []string{"山田", "server", "auto-reload", "秘密"}, in: func(t testing.TB) []byte {
		return odt("").add("meta.xml", `<office:document-meta `+spaces+`><office:meta><dc:title>表題</dc:title><dc:creator>山田</dc:creator><meta:generator>LibreOffice/7.4$Linux</meta:generator><meta:template xlink:href="file://server/x.ott"/><meta:auto-reload xlink:href="http://server/" meta:delay="PT1S"/><meta:user-defined meta:name="秘密">x</meta:user-defined><meta:document-statistic meta:page-count="2"/></office:meta></office:document-meta>`).add("manifest.rdf", "x").add("Thumbnails/thumbnail.png", "x").bytes(t)
	}},
	{name: "metadata that cannot be read", rule: "odf.part", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt("").add("meta.xml", `<office:document-meta><MARKER>`).bytes(t)
	}},
	{name: "settings", stays: []string{`config:name="AddParaTableSpacing"`, `config:name="BeginLine"`, "、。"}, gone: []string{"PrinterSetup", "PrinterName", "LinkUpdateMode", "MacroExec", "ScriptConfiguration", "notaboolean", "CurrentDatabase"}, in: func(t testing.TB) []byte {
		item := func(n, typ, v string) string {
			return `<config:config-item config:name="` + n + `" config:type="` + typ + `">` + v + `</config:config-item>`
		}
		return odt("").add("settings.xml", `<office:document-settings `+spaces+`><office:settings><config:config-item-set config:name="ooo:configuration-settings">`+item("AddParaTableSpacing", "boolean", "true")+item("TabsRelativeToIndent", "boolean", "notaboolean")+item("PrinterSetup", "base64Binary", "AAAA")+item("PrinterName", "string", "秘密")+item("LinkUpdateMode", "short", "2")+item("MacroExec", "short", "2")+item("CurrentDatabaseDataSource", "string", "x")+
			`<config:config-item-map-named config:name="ScriptConfiguration"/><config:config-item-map-indexed config:name="ForbiddenCharacters"><config:config-item-map-entry>`+item("BeginLine", "string", "、。")+`</config:config-item-map-entry></config:config-item-map-indexed></config:config-item-set></office:settings></office:document-settings>`).bytes(t)
	}},
	{name: "picture that is not there", gone: []string{"nothing.png", "draw:image"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/nothing.png"/>`)).bytes(t)
	}},
	{name: "XML of others", gone: []string{"MARKER", "evil"}, stays: []string{"本文", "text:p text:style-name"}, in: func(t testing.TB) []byte {
		return odt(`<x:y xmlns:x="http://evil.example/">MARKER</x:y><text:p xmlns:q="http://evil.example/" q:a="MARKER" text:style-name="P1"/>`).bytes(t)
	}},
	{name: "comments, CDATA and instructions become what they mean", gone: []string{"MARKER", "CDATA", "<?y"}, stays: []string{"a&lt;b"}, in: func(t testing.TB) []byte {
		return odt(`<!-- MARKER --><?y MARKER?><text:p><![CDATA[a<b]]></text:p>`).bytes(t)
	}},
	{name: "changes and comments", stays: []string{"text:tracked-changes", "text:deletion", "前の文", "office:annotation", "山田"}, in: func(t testing.TB) []byte {
		return odt(`<text:tracked-changes><text:changed-region text:id="c1"><text:deletion><office:change-info><dc:creator>山田</dc:creator><dc:date>2026-11-25T00:00:00</dc:date></office:change-info><text:p>前の文</text:p></text:deletion></text:changed-region></text:tracked-changes><text:p><text:change text:change-id="c1"/><office:annotation><dc:creator>山田</dc:creator><text:p>注</text:p></office:annotation></text:p>`).bytes(t)
	}},
	{name: "template", kind: sanitize.KindOTT, stays: []string{"opendocument.text-template"}, in: func(t testing.TB) []byte {
		f := odt("")
		f.media += "-template"
		return f.bytes(t)
	}},
	{name: "spreadsheet under other prefixes", kind: sanitize.KindODS, stays: []string{"<table:table-cell", "office:spreadsheet"}, in: func(t testing.TB) []byte {
		return (&file{media: prefix + "spreadsheet"}).add("content.xml", `<a:document-content xmlns:a="urn:oasis:names:tc:opendocument:xmlns:office:1.0"><a:body><a:spreadsheet><table xmlns="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><table-row><table-cell/></table-row></table></a:spreadsheet></a:body></a:document-content>`).bytes(t)
	}},
	{name: "drawing", kind: sanitize.KindODG, stays: []string{"draw:custom-shape"}, in: func(t testing.TB) []byte {
		return (&file{media: prefix + "graphics"}).add("content.xml", content("", "drawing", `<draw:page draw:name="p"><draw:custom-shape><draw:enhanced-geometry svg:viewBox="0 0 1 1" draw:enhanced-path="M 0 0"/></draw:custom-shape></draw:page>`)).bytes(t)
	}},
	{name: "more findings than a report holds", rule: "odf.more", action: sanitize.Removed, gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		f := odt("")
		for i := range 250 {
			f.add(fmt.Sprintf("Basic/Standard/M%d.xml", i), "MARKER")
		}
		return f.bytes(t)
	}},
	{name: "chart in a flat file", kind: sanitize.KindFODT, stays: []string{`office:mimetype="application/vnd.oasis.opendocument.chart"`, "chart:bar"}, in: func(testing.TB) []byte {
		return flatText(frame(`<draw:object><office:document office:mimetype="application/vnd.oasis.opendocument.chart"><office:body><office:chart><chart:chart chart:class="chart:bar"/></office:chart></office:body></office:document></draw:object>`))
	}},
}

func TestWhatRunsGoesAndWhatIsReadStays(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, p, err := treat(t.Context(), c.in(t))
			if err != nil {
				t.Fatal(err)
			}
			if c.kind != "" && p.OutKind != c.kind {
				t.Errorf("became %s, want %s", p.OutKind, c.kind)
			}
			want := sanitize.Clean
			if c.rule != "" {
				want = sanitize.Disarmed
				if !slices.ContainsFunc(p.Findings, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action }) {
					t.Errorf("no finding %s %s: %v", c.rule, c.action, p.Findings)
				}
			}
			if p.Outcome != want {
				t.Errorf("outcome %s, want %s: %v", p.Outcome, want, p.Findings)
			}
			s := text(t, out)
			for _, g := range c.gone {
				if strings.Contains(s, g) {
					t.Errorf("%q is still there:\n%s", g, s)
				}
			}
			for _, k := range c.stays {
				if !strings.Contains(s, k) {
					t.Errorf("%q is lost:\n%s", k, s)
				}
			}
			check(t, c.name, out, p.OutKind)
		})
	}
}

func TestHiddenSheetsAreTold(t *testing.T) {
	for _, c := range cases {
		if c.name != "hidden sheet" {
			continue
		}
		_, p, err := treat(t.Context(), c.in(t))
		if err != nil || !slices.ContainsFunc(p.Findings, func(f sanitize.Finding) bool {
			return f.Rule == "odf.hidden-sheet" && f.Detail == "隠" && f.Action == sanitize.Reported
		}) {
			t.Errorf("%v, %v", p.Findings, err)
		}
		return
	}
	t.Error("the case is not there any more")
}

func TestEveryFindingHasACase(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases {
		_, p, err := treat(t.Context(), c.in(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Findings {
			seen[f.Rule] = true
		}
	}
	// Two findings are those of a profile that asks for them.
	seen["odf.comment"], seen["odf.tracked-change"] = true, true
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range strings.Split(string(b), `"`) {
			if strings.HasPrefix(w, "odf.") && !strings.ContainsAny(w, " \n") {
				n++
				if !seen[w] {
					t.Errorf("no case has %s", w)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d findings in the source", n)
	}
}
