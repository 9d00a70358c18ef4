package fieldcode

import (
	"runtime"
	"strings"
	"testing"
)

func TestFields(t *testing.T) {
	for _, c := range []struct {
		code   string
		nested bool
		ok     bool
	}{
		{"PAGE", false, true}, {" page \\* MERGEFORMAT ", false, true}, {`TOC \o "1-3" \h \z \u`, false, true}, {"", false, true}, {"REF _Ref1 \\h", false, true}, {`SEQ 図 \* ARABIC`, false, true},
		{`HYPERLINK "https://example.jp/"`, false, true}, {`HYPERLINK \l "b"`, false, true}, {`HYPERLINK "http://x" \l "b" \o "DDE"`, false, true}, {`HYPERLINK mailto:a@b`, false, true}, {"FORMTEXT", false, true}, {` SHAPE  \* MERGEFORMAT `, false, true},
		{"DDE x", false, false}, {"DDEAUTO x", false, false}, {`INCLUDEPICTURE "http://x"`, false, false}, {"MACROBUTTON x y", false, false}, {"IF 1=1 a b", false, false}, {"QUOTE 68", false, false},
		{"= 1+1", false, true}, {"= 1+1", true, false}, {"PAGEX", false, false}, {"", true, false}, {"PAGE", true, false}, {"HYPERLINK", true, false}, {`HYPERLINK "file://x"`, false, false}, {`HYPERLINK "\\\\server\\x"`, false, false},
		{`HYPERLINK "other.docx"`, false, false}, {`HYPERLINK "https://a" "file://b"`, false, false}, {"HYPERLINK", false, false}, {`PAGE DDEAUTO cmd`, false, false}, {`"DDEAUTO" x`, false, false},
		{"\\DDE", false, false}, {"AUTHOR", false, false}, {"MERGEFIELD x", false, false}, {"PRINT x", false, false}, {"SHAPE", true, false}, {"SHAPE x", false, false}, {`SHAPE \* MERGEFORMAT \\\\evil\\x`, false, false}, {"LINK x", false, false}, {"EMBED x", false, false}, {"ADDIN x", false, false},
	} {
		if got := Verdict(c.code, c.nested); (got == "") != c.ok {
			t.Errorf("%q (nested %v): %q", c.code, c.nested, got)
		}
	}
}

// TestLinksAreReadEitherWay: quotation marks pair in two ways, and a target that
// either finds counts.
func TestLinksAreReadEitherWay(t *testing.T) {
	for code, ok := range map[string]bool{
		`HYPERLINK \o "a” \t "\\\\evil\\x" http://example.jp/`: false, // straight to straight, the server is the target
		`HYPERLINK "http://example.jp/" \o "“b”"`:              false, // any to any, b is a second target
		`HYPERLINK "http://example.jp/" \o “b”`:                true,
		`HYPERLINK „http://example.jp/”`:                       true,
		`HYPERLINK "http://example.jp/" \o "say \"b\""`:        true,
		`HYPERLINK "#a:b"`:                                     true,
		`HYPERLINK"#a:b"`:                                      true,
	} {
		if got := Verdict(code, false); (got == "") != ok {
			t.Errorf("%s: %q", code, got)
		}
	}
}

// TestArgumentsCostWhatTheyAreLong: a code of many arguments is read in one
// pass, not once for each.
func TestArgumentsCostWhatTheyAreLong(t *testing.T) {
	code := "HYPERLINK " + strings.Repeat(`\o aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa `, 1000) + "http://example.jp/"
	if Verdict(code, false) != "" {
		t.Fatal("a harmless link goes")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Verdict(code, false)
	runtime.ReadMemStats(&after)
	grew := after.TotalAlloc - before.TotalAlloc
	if grew > uint64(100*len(code)) {
		t.Errorf("%d octets of code took %d octets of memory", len(code), grew)
	}
}
