package fieldcode

import "testing"

func TestFieldsThatComputeStay(t *testing.T) {
	for _, code := range []string{"=SUM(ABOVE)", " = sum ( A1:B3 , 4 ) ", `=A1*1,5 \# "#,##0.00"`, `=10+15`, `=ROUND(2,345;1) \* MERGEFORMAT`, "=DEFINED(預期結果)", "=50*40", "=合計*2", `=SUM(LEFT) \# 0`, "=IF(A1>3,1,0)", "=-(3+4)%"} {
		if why := Verdict(code, false); why != "" {
			t.Errorf("%q: %s", code, why)
		}
		if Verdict(code, true) == "" {
			t.Errorf("%q may have fields in its code", code)
		}
	}
}

func TestFieldsThatOnlyBeginLikeOneThatComputesGo(t *testing.T) {
	for _, code := range []string{`="DDEAUTO"`, "=DDEAUTO c", "=CALL(1)", "=SHELL (1)", `=1 \d "x"`, `=1 \# "a\b"`, "={1}", "=A1|B", "=x!y", "=[1]A", `=1 "c:\x"`, "=INCLUDETEXT(1)", `=1 \h`, "=1;IMPORT"} {
		if Verdict(code, false) == "" {
			t.Errorf("%q stays", code)
		}
	}
}
