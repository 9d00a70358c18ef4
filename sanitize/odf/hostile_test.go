package odf_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

func utf16Of(s string, big, mark bool) string {
	var b strings.Builder
	put := func(u uint16) {
		if big {
			b.Write([]byte{byte(u >> 8), byte(u)})
		} else {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
	}
	if mark {
		put(0xFEFF)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		put(u)
	}
	return b.String()
}

// TestUTF16PartsAreTranscoded: XML 1.0, 4.3.3 lets every part be UTF-16. It is
// read like any other, and what goes out is UTF-8.
func TestUTF16PartsAreTranscoded(t *testing.T) {
	const script = `<office:scripts><office:script script:language="ooo:Basic">MARKER</office:script></office:scripts>`
	src := strings.Replace(content(script, "text", `<text:p>本文😀</text:p>`), "UTF-8", "UTF-16", 1)
	styles := strings.Replace(content("", "text", ""), "document-content", "document-styles", 2)
	styles = `<?xml version="1.0" encoding="UTF-16"?>` + styles[strings.Index(styles, "<office:"):strings.Index(styles, "<office:body>")] + "</office:document-styles>"
	for _, big := range []bool{false, true} {
		for _, mark := range []bool{false, true} {
			name := fmt.Sprintf("big %v, mark %v", big, mark)
			in := (&file{media: prefix + "text"}).add("content.xml", utf16Of(src, big, mark)).add("styles.xml", utf16Of(styles, big, mark)).bytes(t)
			out, p, err := treat(t.Context(), in)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			s := text(t, out)
			if !strings.Contains(s, "本文😀") || strings.Contains(s, "MARKER") || !slices.ContainsFunc(p.Findings, func(f sanitize.Finding) bool { return f.Rule == "odf.macro" }) {
				t.Errorf("%s: %v\n%s", name, p.Findings, s)
			}
			check(t, name, out, sanitize.KindODT)
		}
	}
	for name, broken := range map[string]string{
		"half a character": utf16Of(src, false, true) + "\x00",
		"half a pair":      utf16Of(strings.Replace(src, "😀", "\x00", 1), false, true),
		"half a surrogate": strings.Replace(utf16Of(src, true, true), "\xd8\x3d\xde\x00", "\xd8\x3d\x00a", 1),
	} {
		if _, _, err := treat(t.Context(), (&file{media: prefix + "text"}).add("content.xml", broken).bytes(t)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	// What the manifest says is read in UTF-16 too: what is encrypted is named so.
	in := odt("").add("META-INF/manifest.xml", utf16Of(`<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`, false, true)).bytes(t)
	if out, p, err := treat(t.Context(), in); err == nil && p.Outcome != sanitize.Refused {
		t.Errorf("an encrypted package became %d octets", len(out))
	}
}

// hostile are ways to get past the rules that the cases do not show: another
// spelling, another place, another reader.
var hostile = []struct {
	name        string
	in          func(t testing.TB) []byte
	change      func(*sanitize.Options)
	rule        string
	gone, stays []string
}{
	{name: "formula of Writer in a sheet", rule: "odf.formula", gone: []string{"WEBSERVICE"}, stays: []string{`office:value="1"`}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell xmlns:ooow="http://openoffice.org/2004/writer" table:formula="ooow:=WEBSERVICE(&quot;http://evil.example/&quot;)" office:value-type="float" office:value="1"/>`).bytes(t)
	}},
	{name: "formula of Writer in a sheet in a text", rule: "odf.formula", gone: []string{"ooow:=DDE"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:object><office:document office:mimetype="` + prefix + `spreadsheet"><office:body><office:spreadsheet><table:table table:name="s"><table:table-row><table:table-cell xmlns:ooow="http://openoffice.org/2004/writer" table:formula="ooow:=DDE(1)"/></table:table-row></table:table></office:spreadsheet></office:body></office:document></draw:object>`)).bytes(t)
	}},
	{name: "formula of Writer in a text stays", stays: []string{`"ooow:=&lt;A1&gt;+1"`}, in: func(t testing.TB) []byte {
		return odt(`<table:table table:name="t"><table:table-row><table:table-cell xmlns:ooow="http://openoffice.org/2004/writer" table:formula="ooow:=&lt;A1&gt;+1" office:value-type="float" office:value="1"/></table:table-row></table:table>`).bytes(t)
	}},
	{name: "link that is followed at once", rule: "odf.link", gone: []string{"onLoad", "embed"}, stays: []string{"https://example.jp/"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:a xlink:href="https://example.jp/" xlink:type="simple" xlink:actuate="onLoad" xlink:show="embed">a</text:a></text:p>`).bytes(t)
	}},
	{name: "picture shown at once", stays: []string{`xlink:actuate="onLoad"`, `xlink:show="embed"`}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/a.png" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/>`)).add("Pictures/a.png", pngBytes()).bytes(t)
	}},
	{name: "a link of a formula where the profile takes links", rule: "odf.link", change: func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs }, gone: []string{"HYPERLINK", "example.jp"}, stays: []string{"役場"}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:formula="of:=HYPERLINK(&quot;https://example.jp/&quot;;&quot;役&quot;)" office:value-type="string" office:string-value="役場"><text:p>役場</text:p></table:table-cell>`).bytes(t)
	}},
	{name: "a way out in percent signs", rule: "", gone: []string{"%2e", "secret"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/%2e%2e/%2E%2E/secret.png"/>`)+frame(`<draw:image xlink:href="%2e%2e/secret.png"/>`)).add("secret.png", pngBytes()).bytes(t)
	}},
	{name: "a way out in dots", rule: "odf.linked-image", gone: []string{"../", "evil"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="../evil.png"/>`) + frame(`<draw:image xlink:href="Pictures/../../evil.png"/>`)).bytes(t)
	}},
	{name: "schemes in other letters", rule: "odf.link", gone: []string{"FILE", "JaVaScript", "vnd.sun", "smb:", ".uno:", "service:", "slot:", "private:", "vnd.libreoffice"}, stays: []string{"九"}, in: func(t testing.TB) []byte {
		b := ""
		for _, u := range []string{"FILE:///x", " JaVaScript:x", "&#x6A;avascript:x", "vnd.sun.star.webdav://evil/x", "smb://evil/x", ".uno:OpenUrl", "service:com.sun.star.x", "slot:5500", "private:factory/swriter", "vnd.libreoffice.command:x", "//evil/x", `\\evil\x`, "http:///evil"} {
			b += `<text:p><text:a xlink:href="` + u + `">九</text:a></text:p>`
		}
		return odt(b).bytes(t)
	}},
	{name: "button that opens a file", gone: []string{"evil", "file:"}, rule: "odf.link", stays: []string{"押す"}, in: func(t testing.TB) []byte {
		return odt(`<office:forms><form:form><form:button form:label="押す" form:button-type="url" xlink:href="file://evil/x" office:target-frame="_blank" form:control-implementation="ooo:com.sun.star.form.component.CommandButton"/></form:form></office:forms>`).bytes(t)
	}},
	{name: "event of a link", rule: "odf.event-listener", gone: []string{"vnd.sun.star.script"}, stays: []string{"押す"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><text:a xlink:href="https://example.jp/"><office:event-listeners><script:event-listener script:language="ooo:script" script:event-name="dom:mouseover" xlink:href="vnd.sun.star.script:x"/></office:event-listeners>押す</text:a></text:p>`).bytes(t)
	}},
	{name: "event under prefixes of its own", rule: "odf.event-listener", gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return odt(`<o:event-listeners xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0"><event-listener xmlns="urn:oasis:names:tc:opendocument:xmlns:script:1.0" q:href="evil" xmlns:q="http://www.w3.org/1999/xlink"/></o:event-listeners>`).bytes(t)
	}},
	{name: "script in a namespace that is taken back", rule: "", gone: []string{"MARKER", "evil"}, in: func(t testing.TB) []byte {
		return odt(`<text:p><x:script xmlns:x="http://evil.example/"><text:p>MARKER</text:p></x:script></text:p>`).bytes(t)
	}},
	{name: "functions spelt apart", rule: "odf.formula", gone: []string{"ervice", "MARKER"}, in: func(t testing.TB) []byte {
		b := ""
		for _, f := range []string{"of:=webService (1)", "of:=COM.MICROSOFT.WEBSERVICE(1)", "of:=_xlfn.WEBSERVICE(1)", "WebService(1)", "msoxl:=WEBSERVICE(1)", "of:=ORG.LIBREOFFICE.WEBSERVICE(1)", "of:=COM.EXAMPLE.MARKER(1)"} {
			b += `<table:table-cell xmlns:msoxl="http://schemas.microsoft.com/office/excel/formula" table:formula="` + f + `" office:value-type="float" office:value="1"/>`
		}
		return ods(b).bytes(t)
	}},
	{name: "DDE spelt apart", rule: "odf.dde", gone: []string{"cmd"}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:formula="of:=dde (&quot;cmd&quot;;&quot;/c&quot;;&quot;x&quot;)"/><table:table-cell xmlns:msoxl="http://schemas.microsoft.com/office/excel/formula" table:formula="msoxl:=cmd|'/c calc'!A1"/><table:table-cell table:formula="of:=cmd|'/c calc'!A1"/>`).bytes(t)
	}},
	{name: "text that is a file", rule: "odf.formula", gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return ods(`<table:table-cell table:formula="of:=INDIRECT(&quot;'file://evil/x.ods'#$S.A1&quot;)"/><table:table-cell table:formula="of:=HYPERLINK(&quot;file://evil/x&quot;)"/><table:table-cell table:formula="of:=HYPERLINK([.A1])"/>`).bytes(t)
	}},
	{name: "settings that load", gone: []string{"MARKER", "Macro", "Printer", "Autoload"}, in: func(t testing.TB) []byte {
		items := ""
		for _, n := range []string{"PrinterSetup", "PrinterName", "MacroSecurity", "AutoloadURL", "CurrentDatabaseDataSource", "EmbedFonts", "LinkUpdateMode", "ApplyUserData", "ColorTableURL", "RedlineProtectionKey"} {
			items += `<config:config-item config:name="` + n + `" config:type="string">MARKER</config:config-item>`
		}
		return odt("").add("settings.xml", `<office:document-settings `+spaces+`><office:settings><config:config-item-set config:name="ooo:configuration-settings">`+items+`</config:config-item-set></office:settings></office:document-settings>`).bytes(t)
	}},
	{name: "template and reload of the metadata", gone: []string{"evil", "auto-reload", "hyperlink-behaviour"}, in: func(t testing.TB) []byte {
		return odt("").add("meta.xml", `<office:document-meta `+spaces+`><office:meta><meta:template xlink:href="http://evil.example/x.ott" xlink:actuate="onRequest"/><meta:auto-reload xlink:href="http://evil.example/" meta:delay="PT0S"/><meta:hyperlink-behaviour office:target-frame-name="_top"/><meta:user-defined meta:name="x">evil</meta:user-defined></office:meta></office:document-meta>`).bytes(t)
	}},
	{name: "drawing of LibreOffice itself", rule: "odf.picture", gone: []string{"VCLMTF", "MARKER"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/a.svm"/>`)).add("Pictures/a.svm", "VCLMTF\x01\x00MARKER").bytes(t)
	}},
	{name: "EMF that is none", rule: "odf.picture", gone: []string{"MARKER"}, in: func(t testing.TB) []byte {
		return odt(frame(`<draw:image xlink:href="Pictures/a.emf"/>`)).add("Pictures/a.emf", "\x01\x00\x00\x00\x58\x00\x00\x00"+strings.Repeat("\x00", 32)+" EMF"+strings.Repeat("\xff", 60)+"MARKER").bytes(t)
	}},
	{name: "media type of a program", gone: []string{"octet-stream", "evil"}, in: func(t testing.TB) []byte {
		return (&file{media: "application/octet-stream"}).add("content.xml", content("", "text", "<text:p/>")).add("META-INF/manifest.xml", `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="application/evil"/></manifest:manifest>`).bytes(t)
	}},
	{name: "sound of a slide", rule: "odf.media", gone: []string{"evil"}, in: func(t testing.TB) []byte {
		return odp(`<draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="none"><presentation:sound xlink:href="file://evil/x.wav"/></presentation:event-listener></office:event-listeners></draw:rect>`).bytes(t)
	}},
	{name: "verb of a slide", rule: "odf.event-listener", gone: []string{"verb"}, in: func(t testing.TB) []byte {
		return odp(`<draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="verb" presentation:verb="0"/></office:event-listeners></draw:rect>`).bytes(t)
	}},
	{name: "one id for two", stays: []string{`xml:id="a"`}, in: func(t testing.TB) []byte {
		return odt(`<text:p xml:id="a">一</text:p><text:p xml:id="a">二</text:p>`).bytes(t)
	}},
}

func TestNoSpellingGetsThrough(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			var change []func(*sanitize.Options)
			if c.change != nil {
				change = append(change, c.change)
			}
			out, p, err := treat(t.Context(), c.in(t), change...)
			if err != nil {
				t.Fatal(err)
			}
			if c.rule != "" && !slices.ContainsFunc(p.Findings, func(f sanitize.Finding) bool { return f.Rule == c.rule }) {
				t.Errorf("no finding %s: %v", c.rule, p.Findings)
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

// TestPicturesFromElsewhereAreOneSquare: a file of links to pictures does not
// become an archive of as many members.
func TestPicturesFromElsewhereAreOneSquare(t *testing.T) {
	out, p, err := treat(t.Context(), odt(strings.Repeat(frame(`<draw:image xlink:href="http://evil.example/x.png"/>`), 6000)).bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text(t, out), "== Pictures/"); n != 1 {
		t.Errorf("%d pictures were written", n)
	}
	check(t, "squares", out, p.OutKind)
}

// BenchmarkDeclarations is a file that has many names and then declares
// namespaces one element after the other: each makes what is known of names
// void.
func BenchmarkDeclarations(b *testing.B) {
	var names strings.Builder
	for i := range 3900 {
		fmt.Fprintf(&names, "<text:n%d/>", i)
	}
	benchmark(b, odt(names.String()+strings.Repeat(`<text:p xmlns:a="b"/>`, 100000)))
}

// TestTheSecondLookKnowsThemToo: what the writer takes out is refused by the
// second look when it stands in a file that is otherwise one of ours.
func TestTheSecondLookKnowsThemToo(t *testing.T) {
	clean := map[sanitize.Kind][]byte{}
	for k, f := range map[sanitize.Kind]*file{
		sanitize.KindODT: odt(`<text:p>HERE</text:p>`), sanitize.KindODS: ods(`<table:table-cell office:value-type="string"><text:p>HERE</text:p></table:table-cell>`), sanitize.KindODP: odp(`<draw:frame><draw:text-box><text:p>HERE</text:p></draw:text-box></draw:frame>`),
	} {
		out, _, err := treat(t.Context(), f.bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		clean[k] = out
	}
	look := func(k sanitize.Kind, snippet string) error {
		in := replaceIn(t, clean[k], "content.xml", "HERE", snippet)
		o := options(func(o *sanitize.Options) { o.Task, o.KindHint = sanitize.TaskVerifyFile, k })
		_, err := all.Run(t.Context(), o, bytes.NewReader(in), int64(len(in)), io.Discard)
		return err
	}
	for k := range clean {
		if err := look(k, "役場"); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
	}
	cell := func(formula string) string {
		return `</text:p></table:table-cell><table:table-cell table:formula="` + formula + `"><text:p>`
	}
	for _, c := range []struct {
		kind    sanitize.Kind
		snippet string
	}{
		{sanitize.KindODT, `<text:a xlink:href="file:///x">a</text:a>`},
		{sanitize.KindODT, `<text:a xlink:href=" javascript:x">a</text:a>`},
		{sanitize.KindODT, `<text:a xlink:href="vnd.sun.star.script:x">a</text:a>`},
		{sanitize.KindODT, `<text:a xlink:href="https://example.jp/" xlink:actuate="onLoad">a</text:a>`},
		{sanitize.KindODT, `<text:a xlink:href="mailto:a@b?attach=c">a</text:a>`},
		{sanitize.KindODT, `<office:event-listeners><script:event-listener script:event-name="dom:click"/></office:event-listeners>`},
		{sanitize.KindODT, `<text:script script:language="x">a</text:script>`},
		{sanitize.KindODT, `<text:execute-macro text:name="x">a</text:execute-macro>`},
		{sanitize.KindODT, `<text:dde-connection text:connection-name="x">a</text:dde-connection>`},
		{sanitize.KindODT, `<text:database-display text:database-name="x">a</text:database-display>`},
		{sanitize.KindODT, `<text:section text:name="x"><text:section-source xlink:href="x"/></text:section>`},
		{sanitize.KindODT, `<draw:frame><draw:image xlink:href="http://evil.example/"/></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:image xlink:href="../x.png"/></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:image xlink:href="Pictures/9.png"/></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:image><office:binary-data>TVqQAAMAAAA=</office:binary-data></draw:image></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:object-ole xlink:href="x"/></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:object-ole><office:binary-data>AAAA</office:binary-data></draw:object-ole></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:plugin xlink:href="x"/></draw:frame>`},
		{sanitize.KindODT, `<draw:frame><draw:floating-frame xlink:href="x"/></draw:frame>`},
		{sanitize.KindODT, `<office:forms><form:form xlink:href="http://evil.example/"/></office:forms>`},
		{sanitize.KindODT, `<office:forms><form:form form:command="SELECT"/></office:forms>`},
		{sanitize.KindODT, `<office:forms><form:form><form:button form:button-type="url"/></form:form></office:forms>`},
		{sanitize.KindODT, `<office:forms><form:form><form:button form:control-implementation="ooo:com.example.X"/></form:form></office:forms>`},
		{sanitize.KindODT, `<x:y xmlns:x="urn:x"/>`},
		{sanitize.KindODT, `<text:span xmlns:x="urn:x" x:y="1"/>`},
		{sanitize.KindODT, `<xforms:model xmlns:xforms="http://www.w3.org/2002/xforms"/>`},
		{sanitize.KindODT, `<?xml-stylesheet href="x"?>`},
		{sanitize.KindODT, `<field:fieldmark-start field:type="vnd.oasis.opendocument.field.UNHANDLED"><field:param field:name="vnd.oasis.opendocument.field.code" field:value="DDEAUTO x"/></field:fieldmark-start>`},
		{sanitize.KindODT, `<office:document-content/>`},
		{sanitize.KindODS, cell(`of:=WEBSERVICE(1)`)},
		{sanitize.KindODS, cell(`of:=COM.MICROSOFT.WEBSERVICE(1)`)},
		{sanitize.KindODS, cell(`of:=dde (1)`)},
		{sanitize.KindODS, cell(`ooow:=WEBSERVICE(1)`)},
		{sanitize.KindODS, cell(`msoxl:=cmd|'/c calc'!A1`)},
		{sanitize.KindODS, cell(`of:=['file://evil/x.ods'#$S.A1]`)},
		{sanitize.KindODS, cell(`of:=HYPERLINK(&quot;file://evil/x&quot;)`)},
		{sanitize.KindODS, cell(`of:=HYPERLINK([.A1])`)},
		{sanitize.KindODS, cell(`of:=INDIRECT(&quot;'file://evil/x.ods'#$S.A1&quot;)`)},
		{sanitize.KindODS, `</text:p></table:table-cell></table:table-row><table:named-expressions><table:named-range table:name="n" table:cell-range-address="'file:///x'#$S.A1"/></table:named-expressions><table:table-row><table:table-cell><text:p>`},
		{sanitize.KindODP, `</text:p></draw:text-box></draw:frame><draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="execute" xlink:href="x"/></office:event-listeners></draw:rect><draw:frame><draw:text-box><text:p>`},
		{sanitize.KindODP, `</text:p></draw:text-box></draw:frame><draw:rect><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="verb"/></office:event-listeners></draw:rect><draw:frame><draw:text-box><text:p>`},
		{sanitize.KindODP, `</text:p></draw:text-box></draw:frame><anim:par><anim:audio xlink:href="x"/></anim:par><draw:frame><draw:text-box><text:p>`},
		{sanitize.KindODP, `</text:p></draw:text-box></draw:frame><anim:par><anim:command anim:command="verb"/></anim:par><draw:frame><draw:text-box><text:p>`},
		{sanitize.KindODP, `<presentation:sound xlink:href="x"/>`},
	} {
		if look(c.kind, c.snippet) == nil {
			t.Errorf("the second look lets pass %s", c.snippet)
		}
	}
}

// replaceIn is a package of ours with a part changed.
func replaceIn(t testing.TB, b []byte, part, old, by string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zipstrict.NewWriter(&out)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		c, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == part {
			if !bytes.Contains(c, []byte(old)) {
				t.Fatalf("no %q in %s", old, c)
			}
			c = bytes.Replace(c, []byte(old), []byte(by), 1)
		}
		if err := w.Store(f.Name, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWhatRepeatsIsCounted: programs write out what is said to repeat. Empty
// cells to the end of the sheet are in every file; full ones are a bomb.
func TestWhatRepeatsIsCounted(t *testing.T) {
	table := func(rows string) []byte {
		return odsWith("", `<table:table table:name="表">`+rows+`</table:table>`).bytes(t)
	}
	for name, c := range map[string]struct {
		in []byte
		ok bool
	}{
		"empty cells to the end":        {table(`<table:table-row table:number-rows-repeated="1048576"><table:table-cell table:style-name="a" table:number-columns-repeated="16384"></table:table-cell></table:table-row>`), true},
		"a column of one value":         {table(`<table:table-row table:number-rows-repeated="1048576"><table:table-cell office:value-type="float" office:value="1"/><table:table-cell table:number-columns-repeated="16383"/></table:table-row>`), true},
		"a sheet of one value":          {table(`<table:table-row table:number-rows-repeated="999999999"><table:table-cell table:number-columns-repeated="999999999" office:value-type="string"><text:p>X</text:p></table:table-cell></table:table-row>`), false},
		"a sheet of words":              {table(`<table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"><text:p>X</text:p></table:table-cell></table:table-row>`), false},
		"a sheet of formulas":           {table(`<table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="100" table:formula="of:=1"/></table:table-row>`), false},
		"a number longer than a number": {table(`<table:table-row table:number-rows-repeated="99999999999999999999999"><table:table-cell table:number-columns-repeated="20" office:value-type="string"/></table:table-row>`), false},
		"many rows of many":             {table(strings.Repeat(`<table:table-row table:number-rows-repeated="100000"><table:table-cell office:value-type="float" office:value="1"/></table:table-row>`, 200)), false},
		"spaces":                        {odt(strings.Repeat(`<text:p><text:s text:c="65535"/></text:p>`, 200)).bytes(t), false},
		"some spaces":                   {odt(`<text:p><text:s text:c="100"/></text:p>`).bytes(t), true},
	} {
		out, p, err := treat(t.Context(), c.in)
		made := err == nil && p.Outcome != sanitize.Refused
		if made != c.ok {
			t.Errorf("%s: %v, %s", name, err, p.Outcome)
		}
		if made {
			check(t, name, out, p.OutKind)
		}
	}
	// The second look counts for itself.
	clean, _, err := treat(t.Context(), ods(`<table:table-cell office:value-type="string"><text:p>HERE</text:p></table:table-cell>`).bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	for snippet, ok := range map[string]bool{
		`</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"/></table:table-row><table:table-row><table:table-cell><text:p>`:                                            true,
		`</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"><text:p/></table:table-cell></table:table-row><table:table-row><table:table-cell><text:p>`:                 false,
		`</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384" office:value-type="float" office:value="1"/></table:table-row><table:table-row><table:table-cell><text:p>`: false,
		`<text:s text:c="999999999"/>`: false,
	} {
		in := replaceIn(t, clean, "content.xml", "HERE", snippet)
		o := options(func(o *sanitize.Options) { o.Task, o.KindHint = sanitize.TaskVerifyFile, sanitize.KindODS })
		if _, err := all.Run(t.Context(), o, bytes.NewReader(in), int64(len(in)), io.Discard); (err == nil) != ok {
			t.Errorf("second look: %s: %v", snippet, err)
		}
	}
}
