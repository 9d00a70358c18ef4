package smtpd

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/tenant"
)

// TestRecipientsChangeByTheClockAlone goes over midnight of the first of April
// with one server, one directory and one connection open.
func TestRecipientsChangeByTheClockAlone(t *testing.T) {
	list, err := tenant.ReadList(strings.NewReader("address,from,until\nsoumu@town.example,,\nyamada@town.example,,2027-03-31\ntanaka@town.example,2027-04-01,\n"), []string{"town.example"})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := tenant.ReadList(strings.NewReader("address\nsuzuki@town.example\n"), []string{"town.example"})
	if err != nil {
		t.Fatal(err)
	}
	midnight := tenant.Day{Year: 2027, Month: time.April, Day: 1}.Begin()
	d, err := tenant.New([]tenant.Tenant{{ID: "town", Domains: []string{"town.example"}, Profile: "default",
		Recipients: tenant.NewRecipients([]tenant.Version{{Number: 1, List: list}, {Number: 2, Effective: midnight.AddDate(0, 0, 1), List: whole}})}})
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Int64
	now.Store(midnight.Add(-time.Second).UnixNano())
	g := newGateway(t, nil, func(s *Server) {
		s.Tenants = func() *tenant.Directory { return d }
		s.Now = func() time.Time { return time.Unix(0, now.Load()) }
		s.Listeners[0].Peers = loopback
	})
	c := g.dial(t, "mx")
	k := &reader{t: t, c: c}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	k.answer()
	say := func(cmd string) string {
		if _, err := c.Write([]byte(cmd + "\r\n")); err != nil {
			t.Fatal(err)
		}
		return k.answer()
	}
	say("EHLO client.example")
	say("MAIL FROM:<a@partner.example>")
	for _, step := range []struct {
		at      time.Time
		reached []string
	}{
		{midnight.Add(-time.Second), []string{"soumu", "yamada", "postmaster"}},
		{midnight, []string{"soumu", "tanaka", "postmaster"}},
		{midnight.AddDate(0, 0, 1), []string{"suzuki", "postmaster"}},
	} {
		now.Store(step.at.UnixNano())
		for _, who := range []string{"soumu", "yamada", "tanaka", "suzuki", "postmaster"} {
			got, want := say("RCPT TO:<"+who+"@town.example>"), "550 5.1.1 "
			if slices.Contains(step.reached, who) {
				want = "250 "
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("at %s, %s: %q, want %s", step.at.In(tenant.Japan), who, got, want)
			}
		}
	}
}
