package ooxml

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestTrackedChangesAreAcceptedWhenTheProfileSaysSo(t *testing.T) {
	accept := func(o *sanitize.Options) { o.Accept = true }
	run := func(s string) string { return `<w:r><w:t>` + s + `</w:t></w:r>` }
	row := func(pr, s string) string { return `<w:tr>` + pr + `<w:tc><w:p>` + run(s) + `</w:p></w:tc></w:tr>` }
	mark := func(s string) string {
		return `<w:p><w:pPr><w:rPr><w:del w:id="1"/></w:rPr></w:pPr>` + run(s) + `</w:p>`
	}
	for name, c := range map[string]struct {
		body        string
		gone, stays []string
	}{
		"inserted":         {`<w:p><w:ins w:id="1" w:author="山田">` + run("新") + `</w:ins></w:p>`, []string{"w:ins", "山田"}, []string{"新"}},
		"deleted":          {`<w:p><w:del w:id="1" w:author="山田"><w:r><w:delText>旧</w:delText></w:r></w:del>` + run("残") + `</w:p>`, []string{"w:del", "旧", "山田"}, []string{"残"}},
		"moved":            {`<w:p><w:moveFromRangeStart w:id="1" w:name="m"/><w:moveFrom w:id="2">` + run("前") + `</w:moveFrom><w:moveFromRangeEnd w:id="1"/></w:p><w:p><w:moveTo w:id="3">` + run("後") + `</w:moveTo></w:p>`, []string{"move", "前"}, []string{"後"}},
		"formats":          {`<w:p><w:pPr><w:jc w:val="left"/><w:rPr><w:ins w:id="1"/></w:rPr><w:pPrChange w:id="1"><w:pPr/></w:pPrChange></w:pPr>` + run("文") + `</w:p>`, []string{"Change", "w:ins"}, []string{`w:jc`, "文"}},
		"deleted row":      {`<w:tbl><w:tblPr/>` + row(`<w:trPr><w:del w:id="1"/></w:trPr>`, "旧行") + row(``, "行") + row(`<w:trPr><w:ins w:id="1"/></w:trPr>`, "新行") + `</w:tbl>`, []string{"旧行", "w:del", "w:ins"}, []string{"<w:tblPr/>", "新行", ">行<"}},
		"deleted table":    {`<w:tbl><w:tblPr/>` + row(`<w:trPr><w:del w:id="1"/></w:trPr>`, "旧行") + `</w:tbl>`, []string{"旧行", "w:tbl"}, []string{"本文"}},
		"table in a row":   {`<w:tbl><w:tr><w:tc><w:tbl>` + row(`<w:trPr><w:del w:id="1"/></w:trPr>`, "旧行") + `</w:tbl><w:p>` + run("内") + `</w:p></w:tc></w:tr></w:tbl>`, []string{"旧行"}, []string{"内"}},
		"paragraph's mark": {`<w:p><w:pPr><w:jc w:val="left"/><w:rPr><w:del w:id="1"/></w:rPr></w:pPr>` + run("前") + `</w:p><w:bookmarkStart w:id="3" w:name="b"/><w:p w:rsidR="1"><w:pPr><w:jc w:val="right"/></w:pPr>` + run("後") + `</w:p>`, []string{"w:del", `"left"`}, []string{`<w:p w:rsidR="1"><w:pPr><w:jc w:val="right"/></w:pPr>` + run("前") + `<w:bookmarkStart w:id="3" w:name="b"/>` + run("後") + `</w:p>`}},
		"three in a row":   {mark("一") + mark("二") + `<w:p>` + run("三") + `</w:p>`, []string{"w:del"}, []string{`<w:p>` + run("一") + run("二") + run("三") + `</w:p>`}},
		"before a table":   {mark("一") + `<w:tbl><w:tblPr/>` + row(``, "行") + `</w:tbl>`, []string{"w:del"}, []string{`<w:p><w:pPr><w:rPr></w:rPr></w:pPr>` + run("一") + `</w:p><w:tbl>`}},
		"before nothing":   {mark("一") + `<w:p/>`, []string{"w:del", "<w:pPr>"}, []string{`<w:body><w:p>` + run("一") + `</w:p><w:p>`}},
		"at the end":       {`<w:tbl><w:tr><w:tc>` + mark("一") + `</w:tc></w:tr></w:tbl>`, []string{"w:del"}, []string{run("一") + `</w:p></w:tc>`}},
		"of a section":     {`<w:p><w:pPr><w:rPr><w:del w:id="1"/></w:rPr><w:sectPr/></w:pPr>` + run("一") + `</w:p><w:p>` + run("二") + `</w:p>`, []string{"w:del"}, []string{run("一") + `</w:p><w:p>` + run("二")}},
		"field over marks": {`<w:p><w:pPr><w:rPr><w:del w:id="1"/></w:rPr></w:pPr><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DDE</w:instrText></w:r></w:p><w:p><w:pPr><w:jc w:val="right"/></w:pPr><w:r><w:instrText>AUTO x</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>` + run("果") + `<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`, []string{"DDE", "AUTO", "fldChar", "instrText"}, []string{"果"}},
		"deleted cell":     {`<w:tbl><w:tr><w:tc><w:tcPr><w:cellDel w:id="1"/></w:tcPr><w:p>` + run("旧") + `</w:p></w:tc><w:tc><w:p>` + run("残") + `</w:p></w:tc></w:tr><w:tr><w:tc><w:tcPr><w:cellDel w:id="2"/></w:tcPr><w:p>` + run("旧") + `</w:p></w:tc></w:tr></w:tbl>`, []string{"旧", "cellDel"}, []string{"残", "</w:tc></w:tr></w:tbl>"}},
		"field in pieces":  {`<w:p><w:del w:id="1"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:delInstrText>DDE a</w:delInstrText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`, []string{"DDE", "fldChar", "instrText"}, []string{"本文"}},
	} {
		settled(t, name, c.body, c.gone, c.stays, accept)
		if out, _, _, err := treat(docx(c.body).bytes(t)); err != nil || name == "inserted" && !strings.Contains(unpack(t, out)["word/document.xml"], "w:ins") {
			t.Errorf("%s: kept without being asked: %v", name, err)
		}
	}
}

func TestTrackedChangesAreTakenOutWhenTheProfileSaysSo(t *testing.T) {
	reject := func(o *sanitize.Options) { o.Reject = true }
	run := func(s string) string { return `<w:r><w:t>` + s + `</w:t></w:r>` }
	row := func(pr, s string) string { return `<w:tr>` + pr + `<w:tc><w:p>` + run(s) + `</w:p></w:tc></w:tr>` }
	mark := func(s string) string {
		return `<w:p><w:pPr><w:rPr><w:del w:id="1"/></w:rPr></w:pPr>` + run(s) + `</w:p>`
	}
	for name, c := range map[string]struct {
		body        string
		gone, stays []string
	}{
		"inserted":        {`<w:p><w:ins w:id="1" w:author="山田">` + run("新") + `</w:ins>` + run("残") + `</w:p>`, []string{"w:ins", "新", "山田"}, []string{"残"}},
		"deleted":         {`<w:p><w:del w:id="1" w:author="山田"><w:r><w:delText xml:space="preserve">旧 </w:delText></w:r></w:del></w:p>`, []string{"w:del", "山田"}, []string{`<w:t xml:space="preserve">旧 </w:t>`}},
		"moved":           {`<w:p><w:moveFromRangeStart w:id="1" w:name="m"/><w:moveFrom w:id="2">` + run("前") + `</w:moveFrom><w:moveFromRangeEnd w:id="1"/></w:p><w:p><w:moveTo w:id="3">` + run("後") + `</w:moveTo></w:p>`, []string{"move", "後"}, []string{"前"}},
		"run":             {`<w:p><w:r><w:rPr><w:b/><w:color w:val="FF0000"/><w:rPrChange w:id="1"><w:rPr><w:i/></w:rPr></w:rPrChange></w:rPr><w:t>字</w:t></w:r></w:p>`, []string{"<w:b/>", "w:color", "Change"}, []string{"<w:rPr><w:i/></w:rPr><w:t>字"}},
		"paragraph":       {`<w:p><w:pPr><w:keepNext/><w:jc w:val="left"/><w:rPr><w:b/></w:rPr><w:pPrChange w:id="1"><w:pPr><w:jc w:val="right"/></w:pPr></w:pPrChange></w:pPr>` + run("文") + `</w:p>`, []string{"Change", "keepNext", `"left"`}, []string{`<w:pPr><w:jc w:val="right"/><w:rPr><w:b/></w:rPr></w:pPr>`}},
		"section":         {`<w:p><w:pPr><w:sectPr><w:headerReference w:type="default"/><w:cols w:num="2"/><w:sectPrChange w:id="1"><w:sectPr><w:cols w:num="1"/></w:sectPr></w:sectPrChange></w:sectPr></w:pPr></w:p>`, []string{`w:num="2"`, "Change"}, []string{`<w:headerReference w:type="default"/><w:cols w:num="1"/></w:sectPr>`}},
		"cell":            {`<w:tbl><w:tr><w:tc><w:tcPr><w:tcW w:w="5"/><w:tcPrChange w:id="1"><w:tcPr><w:tcW w:w="7"/></w:tcPr></w:tcPrChange></w:tcPr><w:p/></w:tc></w:tr></w:tbl>`, []string{"Change", `"5"`}, []string{`<w:tcPr><w:tcW w:w="7"/></w:tcPr>`}},
		"grid":            {`<w:tbl><w:tblGrid><w:gridCol w:w="5"/><w:tblGridChange w:id="1"><w:tblGrid><w:gridCol w:w="7"/></w:tblGrid></w:tblGridChange></w:tblGrid><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>`, []string{"Change", `"5"`}, []string{`<w:tblGrid><w:gridCol w:w="7"/></w:tblGrid>`}},
		"inserted row":    {`<w:tbl><w:tblPr/>` + row(`<w:trPr><w:del w:id="1"/></w:trPr>`, "旧行") + row(`<w:trPr><w:ins w:id="1"/></w:trPr>`, "新行") + `</w:tbl>`, []string{"新行", "w:del", "w:ins"}, []string{"旧行"}},
		"inserted table":  {`<w:tbl><w:tblPr/>` + row(`<w:trPr><w:ins w:id="1"/></w:trPr>`, "新行") + `</w:tbl>`, []string{"新行", "w:tbl"}, []string{"本文"}},
		"inserted cell":   {`<w:tbl><w:tr><w:tc><w:tcPr><w:cellIns w:id="1"/></w:tcPr><w:p>` + run("新") + `</w:p></w:tc><w:tc><w:p>` + run("残") + `</w:p></w:tc></w:tr></w:tbl>`, []string{"新", "cellIns"}, []string{"残"}},
		"inserted mark":   {strings.ReplaceAll(mark("一"), "w:del ", "w:ins ") + `<w:p>` + run("二") + `</w:p>`, []string{"w:ins"}, []string{`<w:p>` + run("一") + run("二") + `</w:p>`}},
		"deleted mark":    {mark("一") + `<w:p>` + run("二") + `</w:p>`, []string{"w:del"}, []string{run("一") + `</w:p><w:p>` + run("二")}},
		"deleted field":   {`<w:p><w:del w:id="1"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:delInstrText>PAGE</w:delInstrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:delText>7</w:delText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:del></w:p>`, []string{"w:del"}, []string{"<w:instrText>PAGE</w:instrText>", "<w:t>7</w:t>"}},
		"field in pieces": {`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:del w:id="1"><w:r><w:delInstrText>DDE a</w:delInstrText></w:r></w:del><w:ins w:id="2"><w:r><w:instrText>PAGE</w:instrText></w:r></w:ins><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`, []string{"DDE", "fldChar", "nstrText"}, []string{"本文"}},
	} {
		settled(t, name, c.body, c.gone, c.stays, reject)
	}
}

// settled treats a document with tracked changes as the profile says and holds
// that they are reported, that what is to go goes and the rest stays, and that
// nothing is left for a second run.
func settled(t *testing.T, name, body string, gone, stays []string, how func(*sanitize.Options)) {
	t.Helper()
	out, res, found, err := treat(docx(body).bytes(t), how)
	if err != nil || res.Outcome != sanitize.Disarmed || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == "ooxml.tracked-change" }) {
		t.Errorf("%s: %s, %v, %v", name, res.Outcome, found, err)
		return
	}
	s := unpack(t, out)["word/document.xml"]
	for _, g := range gone {
		if strings.Contains(s, g) {
			t.Errorf("%s: %q is still there: %s", name, g, s)
		}
	}
	for _, k := range stays {
		if !strings.Contains(s, k) {
			t.Errorf("%s: %q is lost: %s", name, k, s)
		}
	}
	checkPackage(t, name, out)
	if again, res, _, err := treat(out, how); err != nil || res.Outcome != sanitize.Clean || !bytes.Equal(again, out) {
		t.Errorf("%s: a second run: %s, %v", name, res.Outcome, err)
	}
}
