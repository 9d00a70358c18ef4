package ooxml

import (
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestSumsOfTablesStay(t *testing.T) {
	body := "<w:p>" + fieldRuns("12", " =SUM(ABOVE) \\# &quot;#,##0&quot; \\* MERGEFORMAT ") + `<w:fldSimple w:instr="=A1*1.08"><w:r><w:t>13</w:t></w:r></w:fldSimple></w:p>`
	out, res, found, err := treat(docx(body).bytes(t))
	if err != nil || res.Outcome != sanitize.Clean {
		t.Fatalf("%v, %v, %v", res.Outcome, found, err)
	}
	got := unpack(t, out)["word/document.xml"]
	for _, want := range []string{"=SUM(ABOVE)", `w:instr="=A1*1.08"`, ">12<", ">13<"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s went: %s", want, got)
		}
	}
	if err := look(out, sanitize.KindDOCX); err != nil {
		t.Error(err)
	}
}

// SET and ASK give a bookmark its text, and show nothing.
func TestResultsThatNobodySawDoNotAppear(t *testing.T) {
	for _, c := range []struct{ name, body, gone, stays string }{
		{"SET", "<w:p>" + fieldRuns("隠し", ` SET a "隠し" `) + "<w:r><w:t>見える</w:t></w:r></w:p>", "隠し", "見える"},
		{"ASK", "<w:p>" + fieldRuns("答え", ` ASK a "?" `) + "<w:r><w:t>見える</w:t></w:r></w:p>", "答え", "見える"},
		{"a simple one", `<w:p><w:fldSimple w:instr="SET a b"><w:r><w:t>隠し</w:t></w:r></w:fldSimple><w:r><w:t>見える</w:t></w:r></w:p>`, "隠し", "見える"},
		{"one that never ends", "<w:p>" + strings.Replace(fieldRuns("隠し", ` SET a "隠し" `), `<w:r><w:fldChar w:fldCharType="end"/></w:r>`, "", 1) + "</w:p><w:p><w:r><w:t>見える</w:t></w:r></w:p>", "隠し", "見える"},
		{"another field behind it", "<w:p>" + fieldRuns("隠し", ` SET a "隠し" `) + fieldRuns("三", " PAGE ") + "</w:p>", "隠し", "三"},
	} {
		out, _, _, err := treat(docx(c.body).bytes(t))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := unpack(t, out)["word/document.xml"]
		if strings.Contains(got, c.gone) || !strings.Contains(got, c.stays) || !strings.Contains(got, "本文") {
			t.Errorf("%s: got %s", c.name, got)
		}
		if err := look(out, sanitize.KindDOCX); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// [0]! is how Excel writes a name of the workbook itself.
func TestNamesOfTheWorkbookItselfStayInCharts(t *testing.T) {
	p := chartDeck(xlsx("", "", ""))
	p.members["ppt/charts/chart1.xml"] = strings.Replace(p.members["ppt/charts/chart1.xml"], "<c:externalData", `<c:chart><c:plotArea><c:ser><c:val><c:numRef><c:f>[0]!系列</c:f></c:numRef></c:val></c:ser></c:plotArea></c:chart><c:externalData`, 1)
	out, _, found, err := treat(p.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for n, c := range unpack(t, out) {
		if strings.Contains(n, "charts/chart") {
			all += c
		}
	}
	if !strings.Contains(all, "[0]!系列") {
		t.Errorf("the name went: %v: %s", found, all)
	}
}
