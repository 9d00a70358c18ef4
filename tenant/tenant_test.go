package tenant

import (
	"testing"
	"time"

	"sekisho/envelope"
)

func TestOwnersAndRecipients(t *testing.T) {
	d, err := New([]Tenant{
		{ID: "town", Domains: []string{"town.example.lg.jp", "Old.example.jp"}, Recipients: FixedRecipients(NewList([]Line{{Address: envelope.Address{Local: "soumu", Domain: "town.example.lg.jp"}}}))},
		{ID: "village", Domains: []string{"village.example.lg.jp"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]envelope.TenantID{
		"TOWN.example.lg.jp": "town", "old.example.jp": "town", "village.example.lg.jp.": "village", "sub.town.example.lg.jp": "", "": "",
	} {
		got, ok := d.Owner(domain)
		if ok != (want != "") || ok && got.ID != want {
			t.Errorf("owner of %q is %v, want %q", domain, got, want)
		}
	}
	town, _ := d.Get("town")
	for a, want := range map[string]bool{
		"soumu@town.example.lg.jp": true, "Soumu@town.example.lg.jp": true, "nobody@town.example.lg.jp": false,
		"postmaster@old.example.jp": true, "PostMaster@town.example.lg.jp": true,
		"poſtmaster@town.example.lg.jp": false, "ſoumu@town.example.lg.jp": false,
	} {
		addr, err := envelope.ParseAddress(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := town.Has(addr, time.Now()); got != want {
			t.Errorf("has %s: %v, want %v", a, got, want)
		}
	}
	if got := town.Postmaster(); len(got) != 1 || got[0].String() != "postmaster@town.example.lg.jp" {
		t.Errorf("postmaster of a tenant without administrators: %v", got)
	}
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	for name, ts := range map[string][]Tenant{
		"no tenant":       nil,
		"no domain":       {{ID: "a"}},
		"an id twice":     {{ID: "a", Domains: []string{"a.example"}}, {ID: "a", Domains: []string{"b.example"}}},
		"a domain of two": {{ID: "a", Domains: []string{"a.example"}}, {ID: "b", Domains: []string{"A.example"}}},
	} {
		if _, err := New(ts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
