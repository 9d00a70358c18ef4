package fieldcode

import "testing"

func TestFields(t *testing.T) {
	for _, c := range []struct {
		code   string
		nested bool
		ok     bool
	}{
		{"PAGE", false, true}, {" page \\* MERGEFORMAT ", false, true}, {`TOC \o "1-3" \h \z \u`, false, true}, {"", false, true}, {"REF _Ref1 \\h", false, true}, {`SEQ 図 \* ARABIC`, false, true},
		{`HYPERLINK "https://example.jp/"`, false, true}, {`HYPERLINK \l "b"`, false, true}, {`HYPERLINK "http://x" \l "b" \o "DDE"`, false, true}, {`HYPERLINK mailto:a@b`, false, true}, {"FORMTEXT", false, true},
		{"DDE x", false, false}, {"DDEAUTO x", false, false}, {`INCLUDEPICTURE "http://x"`, false, false}, {"MACROBUTTON x y", false, false}, {"IF 1=1 a b", false, false}, {"QUOTE 68", false, false},
		{"= 1+1", false, false}, {"PAGEX", false, false}, {"", true, false}, {"PAGE", true, false}, {"HYPERLINK", true, false}, {`HYPERLINK "file://x"`, false, false}, {`HYPERLINK "\\\\server\\x"`, false, false},
		{`HYPERLINK "other.docx"`, false, false}, {`HYPERLINK "https://a" "file://b"`, false, false}, {"HYPERLINK", false, false}, {`PAGE DDEAUTO cmd`, false, false}, {`"DDEAUTO" x`, false, false},
		{"\\DDE", false, false}, {"AUTHOR", false, false}, {"MERGEFIELD x", false, false}, {"PRINT x", false, false}, {"LINK x", false, false}, {"EMBED x", false, false}, {"ADDIN x", false, false},
	} {
		if got := Verdict(c.code, c.nested); (got == "") != c.ok {
			t.Errorf("%q (nested %v): %q", c.code, c.nested, got)
		}
	}
}
