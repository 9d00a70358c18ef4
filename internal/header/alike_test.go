package header_test

import (
	"testing"

	"sekisho/internal/header"
)

func TestWhatLooksAlikeIsAlike(t *testing.T) {
	for _, in := range []string{"city-a.example", "CITY-A.Example", "сitу-а.ехаmрlе", "city\u200b-a.example", "ｃｉｔｙ－ａ．ｅｘａｍｐｌｅ", "city-a。example", "city‐a.example", "xn--city--8ve.example"} {
		if got := header.AlikeDomain(in); got != "city-a.example" {
			t.Errorf("%q looks like %q", in, got)
		}
	}
	for _, in := range []string{"clty-a.example", "city-b.example", "市.example", "city-a.example.org", ""} {
		if got := header.AlikeDomain(in); got == "city-a.example" {
			t.Errorf("%q looks like %q", in, got)
		}
	}
}
