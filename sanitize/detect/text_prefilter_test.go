package detect

import "testing"

// What is looked at before an expression is compiled must not decide anything
// that the expression would decide otherwise.
func TestFirstLettersRuleOutOnlyWhatTheExpressionsDo(t *testing.T) {
	ends := []string{"", "?php x", "?= 1", "%= x", "% @x", "echo off", "\u017fet a = createobject(", "et a = createobject(", "=createobject(", "script.x", "#!/bin/sh", "ar a = 1", "function x", "0\nSECTION\n", "99\nx\n0\nSECTION\n", "InternetShortcut]", "{000214a0-", "html><script>"}
	for r := rune(0); r < 0x3000; r++ {
		for _, e := range ends {
			s := string(r) + e
			if scriptOpens.MatchString(s) && !mayOpenScript(s) {
				t.Errorf("%q opens a script and was not looked at", s)
			}
			k, ok := statement(s)
			want := shortcutOpens.MatchString(s) || scriptOpens.MatchString(s) || declares.MatchString(s) && hostObject.MatchString(s)
			if ok != want {
				t.Errorf("%q: %v, the expressions say %v", s, k, want)
			}
			if dxf.MatchString(s) && r != '0' && r != '9' && r != ' ' && r != '\t' {
				t.Errorf("%q is a drawing and was not looked at", s)
			}
		}
	}
}
