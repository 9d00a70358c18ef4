package envelope

import (
	"testing"
	"time"
)

// TestWhatNeedsRebuild walks every pair of zone and network, zero and unknown
// values included: only what zone lgwan sends and what the inside sends to the
// internet may pass as scanned.
func TestWhatNeedsRebuild(t *testing.T) {
	for z := Zone(0); z <= 5; z++ {
		for n := Network(0); n <= 5; n++ {
			for _, between := range []bool{false, true} {
				want := true
				inside := z == LGWAN || z == InternetSegment
				switch {
				case between:
				case n == NetworkInternet && inside:
					want = false
				case (n == NetworkLGWAN || n == NetworkLocal) && z == LGWAN:
					want = false
				}
				if got := NeedsRebuild(z, n, between); got != want {
					t.Errorf("NeedsRebuild(%d, %d, %v) = %v, want %v", z, n, between, got, want)
				}
			}
		}
	}
}

func TestIDsSortByTimeAndDiffer(t *testing.T) {
	t0 := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	a, b, c := NewID(t0), NewID(t0), NewID(t0.Add(time.Millisecond))
	if a == b {
		t.Error("two ids of the same instant are equal")
	}
	if a >= c || b >= c {
		t.Errorf("ids do not sort by time: %s, %s, then %s", a, b, c)
	}
	for _, id := range []ID{a, b, c} {
		if !id.Valid() {
			t.Errorf("%q is not valid", id)
		}
	}
	for _, id := range []ID{"", "../../etc/passwd", a[:35], a + "0", "u" + a[1:]} {
		if id.Valid() {
			t.Errorf("%q passes for an id", id)
		}
	}
}

func TestParseAddressKeepsTheLocalPart(t *testing.T) {
	for in, want := range map[string]Address{
		".a..b.@docomo.ne.jp":    {Local: ".a..b.", Domain: "docomo.ne.jp"},
		`"a..b"@docomo.ne.jp`:    {Local: `"a..b"`, Domain: "docomo.ne.jp"},
		"Tanaka@Town.Example.JP": {Local: "Tanaka", Domain: "town.example.jp"},
	} {
		got, err := ParseAddress(in)
		if err != nil || got != want {
			t.Errorf("ParseAddress(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a", "@b", "a@", "a b@c", "a\r\n@c", "a@b@town.example", `"a@b"@town.example`, "a@@b"} {
		if got, err := ParseAddress(in); err == nil {
			t.Errorf("ParseAddress(%q) = %v, want an error", in, got)
		}
	}
}

// A list in ASCII holds nobody whose name only looks like it when folded.
func TestKeysFoldWithinTheirScript(t *testing.T) {
	for local, want := range map[string]string{"Kato": "kato", "\u212aato": "\u212aato", "\u0130to": "\u0130to", "ſato": "ſato", "ÉMILE": "émile", "総務": "総務"} {
		if got := (Address{Local: local, Domain: "town.example"}).Key(); got != want+"@town.example" {
			t.Errorf("%q has the key %q, want %q", local, got, want)
		}
	}
}
