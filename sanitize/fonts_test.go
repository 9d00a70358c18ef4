package sanitize

import (
	"slices"
	"strings"
	"testing"
)

func TestMissingFontsAreThoseOfNoSpelling(t *testing.T) {
	const listed = "IPAMincho,IPA明朝\nIPAMincho Regular\nMS Gothic,ＭＳ ゴシック\nNoto Serif CJK JP\nNotoSerifCJKjp-Regular\n"
	for _, c := range []struct{ name, missing string }{
		{"IPA明朝", ""}, {"ipamincho", ""}, {"MS ゴシック", ""}, {"@ＭＳ ゴシック", ""}, {"MS-Gothic", ""}, {"NotoSerifCJKjp-Regular", ""},
		{"ＭＳ 明朝", "ＭＳ 明朝"}, {"@游明朝", "游明朝"}, {"", ""}, {"\x1b[31mA\u202e", "[31mA"}, {strings.Repeat("長", 100), strings.Repeat("長", 64)}, {"\xff", ""},
	} {
		var want []string
		if c.missing != "" {
			want = []string{c.missing}
		}
		if got := missingFonts([]string{c.name, c.name}, listed); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", c.name, got, want)
		}
	}
	var many []string
	for i := range 100 {
		many = append(many, strings.Repeat("x", i+1))
	}
	if got := missingFonts(many, ""); len(got) != maxFonts {
		t.Errorf("%d fonts are told", len(got))
	}
}
