package delivery_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"sekisho/internal/dane"
	"sekisho/internal/smtptest"
	"sekisho/spool"
)

// record writes what follows TLSA in a zone: of a certificate or its key, whole
// or its digest.
func record(t *testing.T, usage, selector, matching int, der []byte) string {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	b := c.Raw
	if selector == 1 {
		b = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(b)
		b = sum[:]
	case 2:
		sum := sha512.Sum512(b)
		b = sum[:]
	}
	return fmt.Sprintf("%d %d %d %s", usage, selector, matching, hex.EncodeToString(b))
}

// RFC 7672: what is asked for, what is believed, and that nothing below it is
// ever good enough.
func TestDANE(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	leaf := func(c *tls.Config) []byte { return c.Certificates[0].Certificate[0] }
	with := func(c *tls.Config, a *authority) *tls.Config { // shows its authority as well
		c.Certificates[0].Certificate = append(c.Certificates[0].Certificate, a.cert.Raw)
		return c
	}
	mx1 := foreign.server(t, "elsewhere.example") // no name, no authority that anybody knows
	mx2 := foreign.server(t, "elsewhere.example")
	chained := with(foreign.server(t, "mx1.b.example"), foreign)
	ofDomain := with(foreign.server(t, "b.example"), foreign)
	wrongName := with(foreign.server(t, "mx9.b.example"), foreign)
	old := with(foreign.serverAt(t, time.Now().Add(-48*time.Hour), "mx1.b.example"), foreign)
	known := ca.server(t, "mx1.b.example")
	tlsaOf := func(server string, rs ...string) string {
		s := ""
		for _, r := range rs {
			s += "_25._tcp." + server + ". 60 IN TLSA " + r + "\n"
		}
		return s
	}
	one := func(rs ...string) string { return tlsaOf("mx1.b.example", rs...) }
	digest := record(t, 3, 1, 1, leaf(mx1))
	wrong := "3 1 1 " + strings.Repeat("00", 32)
	for _, c := range []struct {
		name   string
		zone   string
		signed string // "": nothing; names, separated by spaces
		fail   string
		policy string // of MTA-STS
		tls    *tls.Config
		want   string
		says   string
	}{
		{"its key by digest", one(digest), "b.example", "", "", mx1, "1 tls", ""},
		{"its certificate whole", one(record(t, 3, 0, 0, leaf(mx1))), "b.example", "", "", mx1, "1 tls", ""},
		{"its key whole, one among others", one(wrong, record(t, 3, 1, 0, leaf(mx1))), "b.example", "", "", mx1, "1 tls", ""},
		{"its certificate by SHA-512", one(record(t, 3, 0, 2, leaf(mx1))), "b.example", "", "", mx1, "1 tls", ""},
		{"neither date nor name of its own counts", one(record(t, 3, 1, 1, leaf(old))), "b.example", "", "", old, "1 tls", ""},
		{"another key", one(wrong), "b.example", "", "", mx1, "waits", ""},
		{"another key, and a certificate that the world knows", one(wrong), "b.example", "", "", known, "waits", ""},
		{"no STARTTLS", one(digest), "b.example", "", "", nil, "waits", ""},
		{"its authority, shown", one(record(t, 2, 0, 1, foreign.cert.Raw)), "b.example", "", "", chained, "1 tls", ""},
		{"its authority's key, for the domain", one(record(t, 2, 1, 1, foreign.cert.Raw)), "b.example", "", "", ofDomain, "1 tls", ""},
		{"its authority, in the record", one(record(t, 2, 0, 0, foreign.cert.Raw)), "b.example", "", "", foreign.server(t, "mx1.b.example"), "1 tls", ""},
		{"its authority, another name", one(record(t, 2, 0, 1, foreign.cert.Raw)), "b.example", "", "", wrongName, "waits", ""},
		{"its authority, over", one(record(t, 2, 0, 1, foreign.cert.Raw)), "b.example", "", "", old, "waits", ""},
		{"its authority, not shown", one(record(t, 2, 0, 1, foreign.cert.Raw)), "b.example", "", "", foreign.server(t, "mx1.b.example"), "waits", ""},
		{"no record that can be applied: TLS", one("1 1 1 "+strings.Repeat("00", 32), "3 1 1 00", "3 9 1 "+strings.Repeat("00", 32)), "b.example", "", "", mx1, "1 tls", ""},
		{"no record that can be applied, no TLS", one("0 0 1 " + strings.Repeat("00", 32)), "b.example", "", "", nil, "waits", ""},
		{"not signed", one(wrong), "", "", "", nil, "1 clear", ""},
		{"only the server is signed", one(wrong), "mx1.b.example", "", "", nil, "1 clear", ""},
		{"signed, and no record", "", "b.example", "", "", nil, "1 clear", ""},
		{"nobody knows whether there is a record", "", "b.example", "_25._tcp.mx1.b.example", "", mx1, "2 clear", ""},
		{"nobody knows of either", "", "b.example", "_25._tcp.mx1.b.example _25._tcp.mx2.b.example", "", mx1, "waits", "no answer of the validating resolver"},
		{"the address may be forged", one(digest), "b.example", "mx1.b.example mx2.b.example", "", mx1, "waits", ""},
		{"MTA-STS does not make good what DANE forbids", one(wrong), "b.example", "", stsPolicy("enforce", "mx1.b.example"), known, "waits", ""},
		{"DANE is enough", one(digest), "b.example", "", stsPolicy("enforce", "mx1.b.example"), mx1, "1 tls", ""},
		{"records that cannot be applied leave MTA-STS its say", one("0 0 1 " + strings.Repeat("00", 32)), "b.example", "", stsPolicy("enforce", "mx1.b.example"), mx1, "waits", ""},
		{"both wrong", one(wrong) + tlsaOf("mx2.b.example", wrong), "b.example", "", "", mx1, "waits", "TLSA records of mx2.b.example require TLS"},
		{"the second where the first is wrong", one(wrong) + tlsaOf("mx2.b.example", record(t, 3, 1, 1, leaf(mx2))), "b.example", "", "", mx1, "2 tls", ""},
		{"the second, which says nothing, where the first is wrong", one(wrong), "b.example", "", "", mx1, "2 clear", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// What is not the first's business must not be done by the second.
			second := &smtptest.Sink{}
			if c.want == "2 tls" {
				second.TLS = mx2
			}
			if !strings.HasPrefix(c.want, "2") && c.says == "" {
				second.Script = at(smtptest.StageGreeting, smtptest.Act{Reply: "421 4.3.2 not now"})
			}
			s := newSTSSite(t, &smtptest.Sink{TLS: c.tls}, second, ca.server(t, "mta-sts.b.example"), ca)
			s.policy.Store(c.policy)
			if err := s.dns.Add(c.zone); err != nil {
				t.Fatal(err)
			}
			for _, n := range strings.Fields(c.signed) {
				s.dns.Sign(n)
			}
			for _, n := range strings.Fields(c.fail) {
				s.dns.Fail(n)
			}
			r := &dane.Resolver{Addr: s.dns.Addr}
			s.d.DANE = func() *dane.Resolver { return r }
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
			if said := s.log.String() + e.Err; !strings.Contains(said, c.says) {
				t.Errorf("it says:\n%s\nwant %q", said, c.says)
			}
		})
	}
}

// Where the answer for the MX records may be forged nothing is sent, and once
// it is well again all of it goes.
func TestDANEWaitsWhileNobodyKnowsTheServers(t *testing.T) {
	ca := newAuthority(t)
	s := newSTSSite(t, &smtptest.Sink{}, &smtptest.Sink{}, ca.server(t, "mta-sts.b.example"), ca)
	r := &dane.Resolver{Addr: s.dns.Addr}
	on := true
	s.d.DANE = func() *dane.Resolver {
		if on {
			return r
		}
		return nil
	}
	s.dns.Fail("b.example")
	id := s.out("b.example")
	s.run(id)
	if e := s.entry(id); e.State != spool.Queued || s.first.Sessions() != 0 {
		t.Errorf("%s after %d connections", e.State, s.first.Sessions())
	}
	s.dns.Mend("b.example")
	s.later(2 * time.Minute)
	s.run(id)
	if e := s.entry(id); e.State != spool.Done {
		t.Errorf("%s %s", e.State, e.Err)
	}
	asked := s.dns.Asked("mx1.b.example")
	on = false
	s.run(s.out("b.example"))
	if s.dns.Asked("_25._tcp.mx1.b.example") != 0 || s.dns.Asked("mx1.b.example") < asked {
		t.Error("switched off, or not signed, it asks for TLSA records")
	}
}
