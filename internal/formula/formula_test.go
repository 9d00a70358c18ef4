package formula

import (
	"strings"
	"testing"
)

func TestFormulas(t *testing.T) {
	for f, ok := range map[string]bool{
		"": true, "1+2": true, "SUM(A1:B2)": true, "'売上 表'!A1": true, "表!A1": true, "_xlfn.XLOOKUP(A1,B:B,C:C)": true, "_xlfn._xlws.FILTER(A1:A9,B1:B9)": true,
		`"a|b"&A1`: true, `IF(A1="[1]","x","y")`: true, "Table1[列]": true, "Table1[[#Totals],[Regular Hours]]": true, "SUBTOTAL(109,[Regular Hours])": true,
		"{1,2;3,4}": true, "A1:INDEX(B:B,3)": true, "#REF!": true, `HYPERLINK("https://example.jp/"&A1,"x")`: true, `HYPERLINK("#表!A1")`: true, `HYPERLINK( "mailto:a@b" )`: true,
		`INDIRECT("A"&1)`: true, "Table1['[x']]": true,

		`WEBSERVICE("http://x")`: false, `_xlfn.WEBSERVICE("http://x")`: false, "webservice(A1)": false, `FILTERXML(A1,"//a")`: false, `_xlfn.IMAGE("http://x")`: false, `RTD("a",,"b")`: false,
		`CALL("urlmon","x")`: false, `REGISTER.ID("a")`: false, `EXEC("calc")`: false, "CUBEVALUE(A1)": false, "_xlfn._xlws.PY(0,1)": false, "STOCKHISTORY(A1)": false, "MyFunction(1)": false, "EVALUATE(A1)": false,
		"cmd|'/c calc'!A0": false, "'cmd'|'/c calc'!A0": false, "DDE(A1)": false, "[1]Sheet1!A1": false, "[1]!Name": false, "[0]!Name": true, "SUM([0]!系列)": true, "[0]!CALL(1)": false, "[0]Sheet1!A1": false, "[00]!Name": false, `'[1]Sheet 1'!A1`: false, `'C:\x\[b.xlsx]S'!A1`: false, `'\\server\x'!A1`: false,
		`HYPERLINK("file://x")`: false, "HYPERLINK(A1)": false, `HYPERLINK("ms-msdt:x")`: false, `HYPERLINK("\\server\x")`: false, `INDIRECT("[b.xlsx]S!A1")`: false,
		`"open`: false, "'open": false, "T[open": false, "WEBSERVICE (A1)": false, "SUM\n(A1)": true, "_xludf.DUMMYFUNCTION(1)": false,
		`_xlfn.MAP("http://x",_xleta.WEBSERVICE)`: false, "_xlfn.MAP(A1,_xleta.CALL)": false, "_xlfn.MAP(A1,_xleta.HYPERLINK)": false, "_xll.foo": false,
	} {
		if got := Excel(f); (got == "") != ok {
			t.Errorf("%s: %q", f, got)
		}
	}
	if Excel(strings.Repeat("1+", 10000)+"1") == "" {
		t.Error("a formula longer than any may be stays")
	}
}

func TestOpenDocumentFormulas(t *testing.T) {
	for f, ok := range map[string]bool{
		"": true, "=1+2": true, "=SUM([.A1:.B2])": true, "=SUM([$表.$A$1:.$B$2];3)": true, "=['売上 表'.A1]": true, "=[.#REF!]": true, "=[#REF!]+1": true, "=合計*1.1": true,
		"=COM.MICROSOFT.CONCAT([.A1];\"x\")": true, "=LEGACY.CHIDIST(1;2)": true, "=ORG.OPENOFFICE.EASTERSUNDAY(2026)": true, "=COM.SUN.STAR.SHEET.ADDIN.ANALYSIS.GETEDATE([.A1];1)": true,
		"={1;2|3;4}": true, `=IF([.A1]="a#b|c";"x";"y")`: true, `=HYPERLINK("https://example.jp/";"x")`: true, `=INDIRECT("A"&1)`: true, "=表1[[#This Row];[列]]": true, "=[.A1]![.B2]": true, "=[.A1]~[.B2]": true,

		`=WEBSERVICE("http://x")`: false, `=COM.MICROSOFT.WEBSERVICE("http://x")`: false, `=DDE("soffice";"x";"y")`: false, `=COM.MICROSOFT.FILTERXML([.A1];"//a")`: false, "=MYMACRO(1)": false,
		"=COM.EXAMPLE.ADDIN.DOIT(1)": false, "=COM.SUN.STAR.SHEET.ADDIN.ANALYSIS.GETWEBSERVICE(1)": false, "=webservice ([.A1])": false,
		"=['file:///C:/x.ods'#$Sheet1.A1]": false, "='file:///C:/x.ods'#名": false, "=[x.ods#$Sheet1.A1]": false, `=['\\\\server\\x'#$S.A1]`: false, "=x#y": false, "=['http://x'.A1]": false,
		"=cmd|'/c calc'!A0": false, "='cmd'|'/c'!A0": false, `=HYPERLINK("file:///x")`: false, "=HYPERLINK([.A1])": false, `=INDIRECT("'file:///x'#$S.A1")`: false,
		`="open`: false, "=[.A1": false, "='open": false, "=cell-content()": false,
	} {
		if got := OpenDocument(OpenFormula, f); (got == "") != ok {
			t.Errorf("%s: %q", f, got)
		}
	}
	for f, ok := range map[string]bool{
		`cell-content-is-in-list("はい";"いいえ")`: true, "cell-content-is-whole-number() and cell-content()>5": true, "is-true-formula([.A1]>0)": true, "value()>=[.A1]-cell-count": true,
		`cell-content-is-in-list(['file:///x'#$S.A1:.A3])`: false, `is-true-formula(WEBSERVICE("http://x"))`: false, "cell-content-runs(1)": false,
	} {
		if got := Condition(OpenFormula, f); (got == "") != ok {
			t.Errorf("%s: %q", f, got)
		}
	}
	if OpenDocument(0, "=1") == "" {
		t.Error("a formula in no language stays")
	}
	if OpenDocument(ExcelA1, "=[1]S!A1") == "" {
		t.Error("a reference to another workbook stays")
	}
	if OpenDocument(OpenFormula, "="+strings.Repeat("1+", 60000)) == "" {
		t.Error("a formula longer than any may be stays")
	}
}

func TestNamesInFormulasAreFound(t *testing.T) {
	for f, want := range map[string]string{
		"N": "N", "SUM(N)+1": "N", "SUM(A1,Sheet1!n)": "n", "-N%": "N", "N:A1": "N",
		`"N"`: "", "N(1)": "", "'N'!A1": "", "N!A1": "", "N[x]": "", "T[N]": "", "NN+N1": "", "N.x": "", `"N`: "", "T[N": "",
	} {
		if got := Mentions(f, func(n string) bool { return strings.ToUpper(n) == "N" }); got != want {
			t.Errorf("%s: %q, want %q", f, got, want)
		}
	}
}
