package delivery_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/internal/dnstest"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// stsSite is a domain with two mail servers and a policy about them.
type stsSite struct {
	*world
	dns     *dnstest.Server
	first   *smtptest.Sink
	second  *smtptest.Sink
	policy  atomic.Value // string: the text that is served; "" is 404
	fetched atomic.Int32
}

func newSTSSite(t *testing.T, first, second *smtptest.Sink, policyCert *tls.Config, ca *authority) *stsSite {
	t.Helper()
	dns, err := dnstest.New(`
b.example.         60 IN MX 10 mx1.b.example.
b.example.         60 IN MX 20 mx2.b.example.
mx1.b.example.     60 IN A 203.0.113.1
mx2.b.example.     60 IN A 203.0.113.2
mta-sts.b.example. 60 IN A 203.0.113.5
_mta-sts.b.example. 60 IN TXT "v=STSv1; id=1"
inside.example.    60 IN MX 10 mx2.b.example.
_mta-sts.inside.example. 60 IN TXT "v=STSv1; id=1"
mta-sts.inside.example.  60 IN A 127.0.0.1
`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	s := &stsSite{dns: dns, first: startSink(t, first), second: startSink(t, second)}
	s.policy.Store("")
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetched.Add(1)
		text := s.policy.Load().(string)
		if text == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, text)
	}))
	web.TLS = policyCert
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that refuses the certificate is the point
	web.StartTLS()
	t.Cleanup(web.Close)
	s.world = newWorld(t, []routing.Hop{
		{Name: "internet", Network: envelope.NetworkInternet, MX: true},
		{Name: "own", Network: envelope.NetworkLocal, Hosts: []string{closedPort(t)}},
	}, []routing.Route{{Domain: "*", Hop: "internet"}, {Domain: "town.example", Hop: "own"}})
	s.d.Resolver = onlyFrom(dns)
	s.d.Roots = ca.pool
	s.d.Policies = s.spool.Journal.(delivery.Policies)
	s.route["203.0.113.1:25"], s.route["203.0.113.2:25"] = s.first.Addr(), s.second.Addr()
	s.route["203.0.113.5:443"] = web.Listener.Addr().String()
	s.route["127.0.0.1:443"] = web.Listener.Addr().String()
	return s
}

func (s *stsSite) out(domain string) envelope.ID {
	return s.queue(mail{from: addr("tanaka@town.example"), to: []string{"x@" + domain}, zone: envelope.LGWAN, treatment: envelope.Pass, networks: []envelope.Network{envelope.NetworkInternet}})
}

func stsPolicy(mode string, mx ...string) string {
	return "version: STSv1\r\nmode: " + mode + "\r\nmax_age: 604800\r\nmx: " + strings.Join(mx, "\r\nmx: ") + "\r\n"
}

// RFC 8461, 5: what is enforced, what is only said, and what is no policy.
func TestPoliciesOfMTASTS(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	good := func() *tls.Config { return ca.server(t, "mx1.b.example", "mx2.b.example", "mta-sts.b.example") }
	both := stsPolicy("enforce", "mx1.b.example", "*.b.example")
	for _, c := range []struct {
		name          string
		policy        string
		policyCert    *tls.Config
		first, second *smtptest.Sink
		want          string // "1", "2" where it arrives, and "tls" or "clear"; or "waits"
		says          string // in the log or the row
	}{
		{"enforced and kept", both, good(), &smtptest.Sink{TLS: good()}, &smtptest.Sink{}, "1 tls", ""},
		{"the first has another's certificate", both, good(), &smtptest.Sink{TLS: foreign.server(t, "mx1.b.example")}, &smtptest.Sink{TLS: good()}, "2 tls", ""},
		{"the first has another name's", both, good(), &smtptest.Sink{TLS: ca.server(t, "mx9.b.example")}, &smtptest.Sink{TLS: good()}, "2 tls", ""},
		{"the first is not in it", stsPolicy("enforce", "mx2.b.example"), good(), &smtptest.Sink{TLS: good()}, &smtptest.Sink{TLS: good()}, "2 tls", ""},
		{"none is in it", stsPolicy("enforce", "mx3.b.example"), good(), &smtptest.Sink{TLS: good()}, &smtptest.Sink{TLS: good()}, "waits", "does not name this server"},
		{"nobody offers TLS", both, good(), &smtptest.Sink{}, &smtptest.Sink{}, "waits", "requires TLS"},
		{"the handshake fails", both, good(), &smtptest.Sink{TLS: good(), Script: at(smtptest.StageHandshake, smtptest.Act{Noise: true})}, &smtptest.Sink{}, "waits", "requires TLS"},
		{"testing, and all is wrong", stsPolicy("testing", "mx3.b.example"), good(), &smtptest.Sink{}, &smtptest.Sink{}, "1 clear", "mta-sts testing"},
		{"testing, and all is right", stsPolicy("testing", "mx1.b.example"), good(), &smtptest.Sink{TLS: good()}, &smtptest.Sink{}, "1 tls", ""},
		{"none", "version: STSv1\nmode: none\nmax_age: 100\n", good(), &smtptest.Sink{}, &smtptest.Sink{}, "1 clear", ""},
		{"no policy there", "", good(), &smtptest.Sink{}, &smtptest.Sink{}, "1 clear", "HTTP status 404"},
		{"a policy without a certificate", both, foreign.server(t, "mta-sts.b.example"), &smtptest.Sink{}, &smtptest.Sink{}, "1 clear", "mta-sts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSTSSite(t, c.first, c.second, c.policyCert, ca)
			s.policy.Store(c.policy)
			id := s.out("b.example")
			s.run(id)
			got := "waits"
			for i, sink := range []*smtptest.Sink{s.first, s.second} {
				for _, m := range sink.Delivered() {
					got = fmt.Sprintf("%d %s", i+1, map[bool]string{true: "tls", false: "clear"}[m.TLS])
				}
			}
			e := s.entry(id)
			if got != c.want || (e.State == spool.Queued) != (c.want == "waits") {
				t.Errorf("%s, %s %s; want %s; log:\n%s", got, e.State, e.Err, c.want, s.log)
			}
			said := s.log.String() + e.Err
			if c.says != "" && !strings.Contains(said, c.says) || c.says == "" && strings.Contains(said, "mta-sts") {
				t.Errorf("it says:\n%s\nwant %q", said, c.says)
			}
		})
	}
}

// A policy that was seen stays in force when its record and its server vanish,
// over a restart and a day, until its time is over. RFC 8461, 10.2.
func TestAPolicyDoesNotVanish(t *testing.T) {
	ca := newAuthority(t)
	s := newSTSSite(t, &smtptest.Sink{}, &smtptest.Sink{}, ca.server(t, "mta-sts.b.example"), ca)
	s.policy.Store(stsPolicy("enforce", "mx1.b.example"))
	id := s.out("b.example")
	s.run(id)
	if e := s.entry(id); e.State != spool.Queued || s.fetched.Load() != 1 {
		t.Fatalf("%s %s after %d fetches", e.State, e.Err, s.fetched.Load())
	}
	s.policy.Store("")
	s.dns.Fail("_mta-sts.b.example")
	old := s.d
	s.d = &delivery.Delivery{Spool: old.Spool, Tenants: old.Tenants, Table: old.Table, Verify: old.Verify, Hostname: old.Hostname, Now: old.Now, Log: old.Log, Dial: old.Dial,
		Resolver: old.Resolver, Grace: old.Grace, Times: old.Times, Roots: old.Roots, Policies: old.Policies, Life: 30 * 24 * time.Hour}
	for _, d := range []time.Duration{2 * time.Hour, 24 * time.Hour, 5 * 24 * time.Hour} {
		s.later(d)
		s.run(id)
		if e := s.entry(id); e.State != spool.Queued || s.first.Count() != 0 {
			t.Fatalf("after %v: %s, %d arrived in clear", d, e.State, s.first.Count())
		}
	}
	s.later(2 * 24 * time.Hour)
	s.run(id)
	if e := s.entry(id); e.State != spool.Done || s.first.Count() != 1 {
		t.Errorf("when its time is over: %s %s", e.State, e.Err)
	}
}

// The name of a policy's server is the domain owner's: it must not lead us to
// our own inside.
func TestAPolicyIsNotFetchedFromInside(t *testing.T) {
	ca := newAuthority(t)
	s := newSTSSite(t, &smtptest.Sink{}, &smtptest.Sink{}, ca.server(t, "mta-sts.inside.example"), ca)
	s.policy.Store(stsPolicy("enforce", "nobody.example"))
	id := s.out("inside.example")
	s.run(id)
	if e := s.entry(id); e.State != spool.Done || s.fetched.Load() != 0 {
		t.Errorf("%s %s, %d fetches from 127.0.0.1", e.State, e.Err, s.fetched.Load())
	}
}
