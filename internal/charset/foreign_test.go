package charset

import (
	"os"
	"regexp"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// indexed is what the indexes of x/text say of a name.
func indexed(name string) (canonical string, e encoding.Encoding) {
	e, err := htmlindex.Get(name)
	if err != nil || e == encoding.Replacement {
		if e, err = ianaindex.MIME.Encoding(name); err != nil || e == nil || e == encoding.Replacement {
			return "", nil
		}
	}
	canonical, err = htmlindex.Name(e)
	if err != nil {
		canonical = ""
	}
	return canonical, e
}

func TestNamesMeanWhatTheIndexesSay(t *testing.T) {
	src, err := os.ReadFile("foreign.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	check := func(name string) {
		n++
		want, e := indexed(name)
		got, mine := byName(name)
		if got != want || mine != e {
			t.Errorf("%s: %q %v, the indexes say %q %v", name, got, mine, want, e)
		}
	}
	for _, c := range regexp.MustCompile(`(?m)^\tcase (.*):\n\t\treturn ("|k)`).FindAllSubmatch(src, -1) {
		for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllSubmatch(c[1], -1) {
			check(string(m[1]))
		}
	}
	if n < 250 {
		t.Errorf("%d names were compared", n)
	}
	// And every encoding of one byte that there is has its names.
	for _, e := range charmap.All {
		for _, index := range []*ianaindex.Index{ianaindex.MIME, ianaindex.IANA} {
			if name, err := index.Name(e); err == nil && name != "" {
				if en := lookup(name); en == nil {
					t.Errorf("%s is unknown", name)
				}
			}
		}
	}
	for _, name := range []string{"replacement", "hz-gb-2313", "iso-2022-cn", "csiso2022kr-x", "zzz", ""} {
		if _, e := byName(name); e != nil {
			t.Errorf("%q is %v", name, e)
		}
	}
}
