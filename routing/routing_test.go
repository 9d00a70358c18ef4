package routing

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sekisho/envelope"
)

var (
	town     = Hop{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{"10.1.0.10:25"}}
	relay    = Hop{Name: "lgwan-relay", Network: envelope.NetworkLGWAN, Hosts: []string{"10.9.0.1:25"}}
	internet = Hop{Name: "internet", Network: envelope.NetworkInternet, MX: true}
	hops     = []Hop{town, relay, internet}
	routes   = []Route{
		{Domain: "town.example.lg.jp", Hop: "town-mail"},
		{Domain: "lg.jp", Subdomains: true, Hop: "lgwan-relay"},
		{Domain: "school.example.lg.jp", Subdomains: true, Hop: "town-mail"},
		{Domain: "*", Hop: "internet"},
	}
)

func table(t testing.TB) *Table {
	t.Helper()
	tb, err := New(hops, routes, []string{"lg.jp"}, []string{"open.lg.jp"}, []string{"town.example.lg.jp"})
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

func addr(domain string) envelope.Address { return envelope.Address{Local: "a", Domain: domain} }

func TestWhichHopAnAddressTakes(t *testing.T) {
	for _, c := range []struct {
		domain string
		zone   envelope.Zone
		hop    string
		err    error
	}{
		{"town.example.lg.jp", envelope.Internet, "town-mail", nil},
		{"TOWN.Example.LG.JP.", envelope.Internet, "town-mail", nil},
		{"sub.town.example.lg.jp", envelope.LGWAN, "lgwan-relay", nil}, // exact routes have no subdomains
		{"city.other.lg.jp", envelope.LGWAN, "lgwan-relay", nil},
		{"lg.jp", envelope.LGWAN, "lgwan-relay", nil},
		{"a.school.example.lg.jp", envelope.LGWAN, "town-mail", nil}, // the longest suffix
		{"partner.example", envelope.LGWAN, "internet", nil},
		{"partner.example", envelope.InternetSegment, "internet", nil},
		{"partner.example", envelope.Internet, "", ErrNoRoute}, // no relay
		{"partner.example", 0, "", ErrNoRoute},                 // an unknown zone is the internet
		{"partner.example", 9, "", ErrNoRoute},
		{"evil-lg.jp", envelope.LGWAN, "internet", nil}, // not below lg.jp
		{"lg.jp.evil.example", envelope.LGWAN, "internet", nil},
		{"", envelope.LGWAN, "", ErrNoRoute},
	} {
		h, _, err := table(t).Find(c.zone, addr(c.domain))
		if h.Name != c.hop || !errors.Is(err, c.err) {
			t.Errorf("%s from %s: hop %q, %v, want %q, %v", c.domain, c.zone, h.Name, err, c.hop, c.err)
		}
	}
}

// TestStarNeverCarriesAnLGWANNameOut takes the route of lg.jp away: "*" must
// not take its place.
func TestStarNeverCarriesAnLGWANNameOut(t *testing.T) {
	tb, err := New(hops, []Route{{Domain: "town.example.lg.jp", Hop: "town-mail"}, {Domain: "*", Hop: "internet"}},
		[]string{"lg.jp"}, []string{"open.lg.jp"}, []string{"town.example.lg.jp"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.StringMatching(`[a-zA-Z0-9]{1,8}`)
		d := strings.Join(append(rapid.SliceOfN(label, 0, 3).Draw(t, "labels"), rapid.SampledFrom([]string{"lg.jp", "LG.JP", "Lg.jp."}).Draw(t, "suffix")), ".")
		z := envelope.Zone(rapid.IntRange(0, 4).Draw(t, "zone"))
		h, _, err := tb.Find(z, addr(d))
		if h.Network == envelope.NetworkInternet && !under(fold(d), []string{"open.lg.jp"}) {
			t.Fatalf("%s from %s goes to %s", d, z, h.Name)
		}
		if err == nil && fold(d) != "town.example.lg.jp" && !under(fold(d), []string{"open.lg.jp"}) {
			t.Fatalf("%s from %s: hop %q, want an error", d, z, h.Name)
		}
	})
	if h, _, err := tb.Find(envelope.LGWAN, addr("a.open.lg.jp")); err != nil || h.Name != "internet" {
		t.Errorf("an excepted name: %q, %v, want internet", h.Name, err)
	}
}

func TestTablesThatAreRefused(t *testing.T) {
	star := []Route{{Domain: "*", Hop: "internet"}}
	for name, c := range map[string]struct {
		hops   []Hop
		routes []Route
		lgwan  []string
		want   string
	}{
		"a name of LGWAN to the internet": {hops, append([]Route{{Domain: "x.lg.jp", Hop: "internet"}, {Domain: "t.example", Hop: "town-mail"}}, star...), []string{"lg.jp"}, "may not leave"},
		"a tenant's domain sent out":      {hops, []Route{{Domain: "t.example", Hop: "internet"}}, nil, "never sent out"},
		"a tenant's domain left to star":  {hops, star, nil, "would be sent to the internet"},
		"a tenant without a route":        {hops, []Route{{Domain: "else.example", Hop: "town-mail"}}, nil, "has no route"},
		"a hop that does not exist":       {hops, []Route{{Domain: "t.example", Hop: "nowhere"}}, nil, "does not exist"},
		"a route twice":                   {hops, []Route{{Domain: "t.example", Hop: "town-mail"}, {Domain: "T.example", Hop: "town-mail"}}, nil, "twice"},
		"MX on the inside":                {[]Hop{{Name: "x", Network: envelope.NetworkLocal, MX: true}}, nil, nil, "mx is for"},
		"a hop without a network":         {[]Hop{{Name: "x", Hosts: []string{"h:25"}}}, nil, nil, "no network"},
		"a hop without hosts":             {[]Hop{{Name: "x", Network: envelope.NetworkLGWAN}}, nil, nil, "hosts or mx"},
		"a pattern":                       {hops, []Route{{Domain: "*.t.example", Hop: "town-mail"}}, nil, "subdomains"},
	} {
		_, err := New(c.hops, c.routes, c.lgwan, nil, []string{"t.example"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.want)
		}
	}
}

func TestLegsSplitByHopAndNameTheOneWithoutRoute(t *testing.T) {
	to := []envelope.Address{addr("town.example.lg.jp"), addr("partner.example"), {Local: "b", Domain: "town.example.lg.jp"}}
	legs, err := table(t).Legs(envelope.LGWAN, to)
	if err != nil || len(legs) != 2 || len(legs[0].To) != 2 || legs[1].Hop.Name != "internet" {
		t.Errorf("legs %v, %v", legs, err)
	}
	if _, err := table(t).Legs(envelope.Internet, to); !errors.Is(err, ErrNoRoute) || !strings.Contains(fmt.Sprint(err), "a@partner.example") {
		t.Errorf("error %v, want ErrNoRoute that names the address", err)
	}
}
