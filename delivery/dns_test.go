package delivery_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/dnstest"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// onlyFrom is a resolver that asks one server and nobody else.
func onlyFrom(s *dnstest.Server) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.Addr)
	}}
}

// FT-19: no trouble of the DNS is for good before the life of a message is
// over, each costs a bounded number of questions, and when the DNS is well
// again the mail goes.
func TestDNSTroublesOnlyPutOff(t *testing.T) {
	var zone strings.Builder
	for i := range 300 {
		fmt.Fprintf(&zone, "many.example. 60 IN MX %d mx%d.many.example.\n", i, i)
	}
	zone.WriteString(`
loop.example.      60 IN CNAME pool.example.
pool.example.      60 IN CNAME loop.example.
dangling.example.  60 IN MX 10 gone.dangling.example.
mxloop.example.    60 IN MX 10 a.mxloop.example.
a.mxloop.example.  60 IN CNAME b.mxloop.example.
b.mxloop.example.  60 IN CNAME a.mxloop.example.
text.example.      60 IN TXT "only this"
ok.example.        60 IN MX 10 mx.ok.example.
mx.ok.example.     60 IN A 203.0.113.1
`)
	dns, err := dnstest.New(zone.String())
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	dns.AddTXT("huge.example", strings.Repeat("x", 60_000))
	dns.Fail("servfail.example")
	dns.Fail("mx.ok.example")
	s := startSink(t, &smtptest.Sink{})
	w := newWorld(t, []routing.Hop{
		{Name: "internet", Network: envelope.NetworkInternet, MX: true},
		{Name: "own", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}},
	}, []routing.Route{{Domain: "*", Hop: "internet"}, {Domain: "town.example", Hop: "own"}})
	w.d.Resolver = onlyFrom(dns)
	w.route["203.0.113.1:25"] = s.Addr()
	w.d.Times.Look = 500 * time.Millisecond
	names := []string{"loop", "servfail", "dangling", "mxloop", "text", "huge", "many", "absent", "ok"}
	ids := map[string]envelope.ID{}
	for _, n := range names {
		ids[n] = w.queue(mail{from: addr("tanaka@town.example"), to: []string{"x@" + n + ".example"}, zone: envelope.LGWAN, treatment: envelope.Pass, networks: []envelope.Network{envelope.NetworkInternet}})
	}
	stop := w.start()
	defer stop()
	settled := func() bool {
		for _, id := range ids {
			if e := w.entry(id); e.State == spool.Queued && !e.Due.After(w.now()) {
				return false
			}
		}
		return true
	}
	const tries = 4
	for i := range tries {
		dns.Silence(i == 2) // and once nothing answers at all
		w.until("all are tried", settled)
		for n, id := range ids {
			if e := w.entry(id); e.State != spool.Queued || e.Attempts != i+1 || !strings.Contains(e.Err, "look up") {
				t.Fatalf("try %d: %s.example: %s, %d attempts, %s", i+1, n, e.State, e.Attempts, e.Err)
			}
		}
		w.later(70 * time.Minute)
	}
	if s.Sessions() != 0 {
		t.Error("somebody was dialled")
	}
	// 20 names of a domain are looked at, each for two kinds of addresses and
	// twice at most.
	asked := 0
	for i := range 300 {
		asked += dns.Asked(fmt.Sprintf("mx%d.many.example", i))
	}
	if asked > (tries+1)*20*2*2 {
		t.Errorf("a domain with 300 servers cost %d questions in %d tries", asked, tries)
	}
	dns.Mend("mx.ok.example")
	w.later(70 * time.Minute)
	w.until("it goes when the DNS is well", func() bool { return w.entry(ids["ok"]).State == spool.Done })
	if s.Count() != 1 {
		t.Errorf("%d arrived", s.Count())
	}
	w.until("the delay is told", func() bool { _, texts := w.spawned(ids["servfail"]); return len(texts) == 1 })
	w.later(5 * 24 * time.Hour)
	w.until("the others are given up", func() bool {
		for _, id := range ids {
			if w.entry(id).State != spool.Done {
				return false
			}
		}
		return true
	})
	_, texts := w.spawned(ids["servfail"])
	if n := len(texts); n != 2 || !strings.Contains(texts[n-1], "Status: 5.4.7") || !strings.Contains(texts[n-1], "look up servfail.example") {
		t.Errorf("the reports say %q", texts)
	}
}
