package delivery_test

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

func withTLS(t *testing.T, mode string, s *smtptest.Sink) *world {
	t.Helper()
	return newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}, TLS: mode}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
}

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	reset := at(smtptest.StageHandshake, smtptest.Act{Reset: true})
	for _, c := range []struct {
		name   string
		mode   string
		sink   *smtptest.Sink
		roots  *x509.CertPool
		want   string // "tls", "clear" or "waits"
		before int    // connections
	}{
		{"offered, opportunistic", "", &smtptest.Sink{TLS: ca.server(t)}, nil, "tls", 1},
		{"offered in small letters", "opportunistic", &smtptest.Sink{TLS: ca.server(t), StartTLS: "starttls"}, nil, "tls", 1},
		{"offered, off", "off", &smtptest.Sink{TLS: ca.server(t)}, nil, "clear", 1},
		{"not offered, opportunistic", "", &smtptest.Sink{}, nil, "clear", 1},
		{"handshake fails, opportunistic", "", &smtptest.Sink{TLS: ca.server(t), Script: reset}, nil, "clear", 2},
		{"handshake hangs, opportunistic", "", &smtptest.Sink{TLS: ca.server(t), Script: at(smtptest.StageHandshake, smtptest.Act{Hang: true})}, nil, "clear", 2},
		{"STARTTLS answered 454, opportunistic", "", &smtptest.Sink{TLS: ca.server(t), Script: at(smtptest.StageStartTLS, smtptest.Act{Reply: "454 4.7.0 not now"})}, nil, "clear", 1},
		{"words behind the 220", "", &smtptest.Sink{TLS: ca.server(t), Script: at(smtptest.StageStartTLS, smtptest.Act{Reply: "220 go\n250 injected"})}, nil, "clear", 2},
		{"require, good certificate", "require", &smtptest.Sink{TLS: ca.server(t)}, ca.pool, "tls", 1},
		{"require, another's certificate", "require", &smtptest.Sink{TLS: ca.server(t)}, other.pool, "waits", 1},
		{"require, not offered", "require", &smtptest.Sink{}, ca.pool, "waits", 1},
		{"require, handshake fails", "require", &smtptest.Sink{TLS: ca.server(t), Script: reset}, ca.pool, "waits", 1},
		{"require, refused", "require", &smtptest.Sink{TLS: ca.server(t), Script: at(smtptest.StageStartTLS, smtptest.Act{Reply: "454 4.7.0 not now"})}, ca.pool, "waits", 1},
		{"require, words behind the 220", "require", &smtptest.Sink{TLS: ca.server(t), Script: at(smtptest.StageStartTLS, smtptest.Act{Reply: "220 go\n250 injected"})}, ca.pool, "waits", 1},
		{"a mode we do not know", "sometimes", &smtptest.Sink{}, ca.pool, "waits", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startSink(t, c.sink)
			w := withTLS(t, c.mode, s)
			w.d.Roots = c.roots
			w.d.Times.Connect = w.d.Times.Connect / 5
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			w.run(id)
			ms := s.All()
			switch c.want {
			case "waits":
				if e := w.entry(id); len(ms) != 0 || e.State != spool.Queued || slices.ContainsFunc(s.Commands(), func(l string) bool { return strings.HasPrefix(l, "MAIL") }) {
					t.Errorf("%d messages, %s, commands %q", len(ms), e.State, s.Commands())
				}
			default:
				if len(ms) != 1 || ms[0].TLS != (c.want == "tls") {
					t.Fatalf("%d messages, log:\n%s", len(ms), w.log)
				}
				if c.want == "tls" && ms[0].Helo != "mx.town.example" {
					t.Errorf("EHLO over TLS as %q", ms[0].Helo)
				}
			}
			if s.Sessions() != c.before {
				t.Errorf("%d connections, want %d", s.Sessions(), c.before)
			}
			for _, l := range s.Commands() {
				if strings.Contains(l, "localhost") {
					t.Errorf("it said %q", l)
				}
			}
		})
	}
}

// FT-20: a certificate that is over is none, by our own clock; the one that
// takes its place serves the next try, without anybody starting anything anew.
func TestACertificateThatIsOverIsNotGoodEnough(t *testing.T) {
	ca := newAuthority(t)
	var current atomic.Pointer[tls.Config]
	current.Store(ca.server(t))
	s := startSink(t, &smtptest.Sink{TLS: &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Load(), nil }}})
	w := withTLS(t, "require", s)
	w.d.Roots = ca.pool
	w.d.Times.Probe = 50 * time.Millisecond
	stop := w.start()
	defer stop()
	send := func() envelope.ID {
		return w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	}
	id := send()
	w.until("the first arrives", func() bool { return w.entry(id).State == spool.Done })
	// The connection of before must have gone, or nobody would look.
	w.until("it says QUIT", func() bool { return slices.Contains(s.Commands(), "QUIT") })
	w.later(2 * time.Hour) // the test's certificates live for one
	id = send()
	w.until("the second waits", func() bool { e := w.entry(id); return e.State == spool.Queued && e.Attempts == 1 })
	if e := w.entry(id); !strings.Contains(e.Err, "expired") || s.Count() != 1 {
		t.Errorf("%d arrived, %s", s.Count(), e.Err)
	}
	next := newAuthorityAt(t, w.now())
	w.d.Roots.AddCert(next.cert)
	current.Store(next.serverAt(t, w.now()))
	w.until("with the new certificate it arrives", func() bool { return w.entry(id).State == spool.Done })
	if ms := s.Delivered(); len(ms) != 2 || !ms[1].TLS {
		t.Errorf("%d arrived", len(ms))
	}
}
