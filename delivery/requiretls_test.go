package delivery_test

import (
	"strings"
	"testing"

	"sekisho/envelope"
	"sekisho/internal/dane"
	"sekisho/internal/smtptest"
	"sekisho/spool"
)

// RFC 8689, 4.2.1: it goes to a server that is proved and promises the same, or
// comes back; never to anybody else.
func TestREQUIRETLSIsKeptOrTheMailComesBack(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	promise := []string{"PIPELINING", "8BITMIME", "REQUIRETLS"}
	good := func() *smtptest.Sink {
		return &smtptest.Sink{TLS: ca.server(t, "mx1.b.example", "mx2.b.example"), Extensions: promise}
	}
	enforce := stsPolicy("enforce", "mx1.b.example", "mx2.b.example")
	for _, c := range []struct {
		name   string
		policy string
		signed bool
		sink   *smtptest.Sink
		want   string // "goes", "back" or "waits"
	}{
		{"a policy names the server, which promises", enforce, false, good(), "goes"},
		{"DNSSEC names it", "", true, good(), "goes"},
		{"nobody proves which server it is", "", false, good(), "back"},
		{"a policy that is only tried out", stsPolicy("testing", "mx1.b.example"), false, good(), "back"},
		{"it promises nothing", enforce, false, &smtptest.Sink{TLS: ca.server(t, "mx1.b.example")}, "back"},
		{"no TLS", enforce, false, &smtptest.Sink{Extensions: promise}, "waits"},
		{"another's certificate", enforce, false, &smtptest.Sink{TLS: foreign.server(t, "mx1.b.example"), Extensions: promise}, "waits"},
		{"DNSSEC names it, another's certificate", "", true, &smtptest.Sink{TLS: foreign.server(t, "mx1.b.example"), Extensions: promise}, "waits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refuses := &smtptest.Sink{Script: at(smtptest.StageGreeting, smtptest.Act{Reply: "421 4.3.2 not now"})}
			s := newSTSSite(t, c.sink, refuses, ca.server(t, "mta-sts.b.example"), ca)
			s.policy.Store(c.policy)
			if c.signed {
				s.dns.Sign("b.example")
				r := &dane.Resolver{Addr: s.dns.Addr}
				s.d.DANE = func() *dane.Resolver { return r }
			}
			id := s.queue(mail{from: addr("tanaka@town.example"), to: []string{"x@b.example"}, zone: envelope.LGWAN, treatment: envelope.Pass,
				networks: []envelope.Network{envelope.NetworkInternet}, change: func(e *spool.Entry) {
					e.Envelope.RequireTLS = true
					s.reseal(e)
				}})
			s.run(id)
			e := s.entry(id)
			got := "waits"
			switch {
			case s.first.Count() == 1:
				got = "goes"
				if m := s.first.Delivered()[0]; !m.TLS || !strings.HasSuffix(m.MailLine, " REQUIRETLS") {
					t.Errorf("TLS %v, %q", m.TLS, m.MailLine)
				}
			case e.State == spool.Done:
				got = "back"
				if !strings.Contains(s.log.String(), `"msg":"bounced"`) {
					t.Errorf("nobody is told:\n%s", s.log)
				}
			}
			if got != c.want || s.second.Count() != 0 {
				t.Errorf("%s (%s %s), want %s; log:\n%s", got, e.State, e.Err, c.want, s.log)
			}
		})
	}
}

// Servers that the configuration names are known by it; what they must promise
// is the same.
func TestREQUIRETLSInside(t *testing.T) {
	ca := newAuthority(t)
	for _, c := range []struct {
		name, mode string
		sink       *smtptest.Sink
		want       spool.State
		arrives    int
	}{
		{"opportunistic is not enough, and is not what is done", "", &smtptest.Sink{TLS: ca.server(t), Extensions: []string{"REQUIRETLS"}}, spool.Done, 1},
		{"no promise", "require", &smtptest.Sink{TLS: ca.server(t)}, spool.Done, 0},
		{"switched off", "off", &smtptest.Sink{TLS: ca.server(t), Extensions: []string{"REQUIRETLS"}}, spool.Done, 0},
		{"not offered", "", &smtptest.Sink{Extensions: []string{"REQUIRETLS"}}, spool.Queued, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startSink(t, c.sink)
			w := withTLS(t, c.mode, s)
			w.d.Roots = ca.pool
			// One that went in clear before must not be used.
			first := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			w.run(first)
			before := s.Count()
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, change: func(e *spool.Entry) {
				e.Envelope.RequireTLS = true
				w.reseal(e)
			}})
			w.run(id)
			if e := w.entry(id); e.State != c.want || s.Count()-before != c.arrives {
				t.Errorf("%s %s, %d arrived; want %s, %d", e.State, e.Err, s.Count()-before, c.want, c.arrives)
			}
		})
	}
}
