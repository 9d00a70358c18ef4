package smtpd

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/dnstest"
	"sekisho/senderauth"
)

// offer hands one message over and returns the last answer.
func (g *gateway) offer(t *testing.T, listener, from, to, header string) string {
	t.Helper()
	c := g.dial(t, listener)
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(c)
	answer := func() string {
		for {
			l, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if len(l) > 3 && l[3] == ' ' {
				return strings.TrimSpace(l)
			}
		}
	}
	answer()
	for _, l := range []string{"EHLO client.example", "MAIL FROM:<" + from + ">", "RCPT TO:<" + to + ">", "DATA"} {
		if _, err := fmt.Fprintf(c, "%s\r\n", l); err != nil {
			t.Fatal(err)
		}
		if a := answer(); a[0] > '3' {
			t.Fatalf("%s: %s", l, a)
		}
	}
	if _, err := io.WriteString(c, header+"\r\nbody\r\n.\r\n"); err != nil {
		t.Fatal(err)
	}
	return answer()
}

func TestOnlyZoneInternetIsJudged(t *testing.T) {
	d, err := dnstest.New(`
reject.example.        TXT "v=spf1 -all"
_dmarc.reject.example. TXT "v=DMARC1; p=reject"
good.example.          TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.good.example.   TXT "v=DMARC1; p=reject"
`)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Fail("quiet.example")
	d.Fail("_dmarc.quiet.example")
	r := senderauth.NewResolver(senderauth.NewDNS(d.Addr), time.Now)
	r.Wait()
	var rules atomic.Pointer[SenderRules]
	g := newGateway(t, nil, func(s *Server) {
		s.Senders, s.SenderRules = &senderauth.Judge{Resolver: r}, rules.Load
	})
	const to = "soumu@town.example"
	for _, c := range []struct {
		name, listener, from, header string
		rules                        SenderRules
		answer                       string
		check                        func(a *envelope.Auth) bool
	}{
		{"refused by DMARC", "mx", "a@reject.example", "From: a@reject.example\r\n", SenderRules{RefuseReject: true}, "550 5.7.26", nil},
		{"left to be held", "mx", "a@reject.example", "From: a@reject.example\r\n", SenderRules{}, "250",
			func(a *envelope.Auth) bool {
				return a.DMARC == envelope.AuthFail && a.Policy == envelope.DispositionReject
			}},
		{"a pass", "mx", "a@good.example", "From: a@good.example\r\n", SenderRules{RefuseReject: true, DeferSilent: true}, "250",
			func(a *envelope.Auth) bool { return a.DMARC == envelope.AuthPass && a.SPF == envelope.AuthPass }},
		{"silent, deferred", "mx", "a@quiet.example", "From: a@quiet.example\r\n", SenderRules{DeferSilent: true}, "451 4.7.0", nil},
		{"silent, marked", "mx", "a@quiet.example", "From: a@quiet.example\r\n", SenderRules{}, "250",
			func(a *envelope.Auth) bool { return a.Silent && a.DMARC == envelope.AuthTempError }},
		{"a tenant's domain", "mx", "a@good.example", "From: kacho@town.example\r\n", SenderRules{}, "250",
			func(a *envelope.Auth) bool { return a.Own == "town" }},
		{"another tenant's", "mx", "a@good.example", "From: x@mail.village.example\r\n", SenderRules{}, "250",
			func(a *envelope.Auth) bool { return a.Own == "village" }},
		{"switched off", "mx", "a@reject.example", "From: a@reject.example\r\n", SenderRules{Off: true, RefuseReject: true}, "250",
			func(a *envelope.Auth) bool { return a == nil }},
		{"inside", "inside", "kacho@town.example", "From: a@reject.example\r\n", SenderRules{RefuseReject: true}, "250",
			func(a *envelope.Auth) bool { return a == nil }},
		{"the LGWAN relay", "lgwan-ss", "a@city.other.lg.jp", "From: a@city.other.lg.jp\r\n", SenderRules{RefuseReject: true}, "250",
			func(a *envelope.Auth) bool { return a == nil }},
		{"the internet segment", "office", "kacho@town.example", "From: a@reject.example\r\n", SenderRules{RefuseReject: true}, "250",
			func(a *envelope.Auth) bool { return a == nil }},
	} {
		rules.Store(&c.rules)
		before := len(g.entries(t))
		if got := g.offer(t, c.listener, c.from, to, c.header+"Subject: x\r\n"); !strings.HasPrefix(got, c.answer) {
			t.Errorf("%s: %q, want %s", c.name, got, c.answer)
			continue
		}
		es := g.entries(t)
		switch {
		case c.check == nil:
			if len(es) != before {
				t.Errorf("%s: refused, and kept all the same", c.name)
			}
		case len(es) != before+1:
			t.Errorf("%s: %d entries more, want 1", c.name, len(es)-before)
		default:
			if a := es[len(es)-1].Envelope.Auth; !c.check(a) {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
	}
}
