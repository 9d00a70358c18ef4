package senderauth

import (
	"context"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/dnstest"
)

func TestSilenceIsNeverAPass(t *testing.T) {
	w := newWorld(t, zone)
	w.judge.Resolver.Wait()
	for _, n := range []string{"_dmarc.reject.example", "quarantine.example", "s1._domainkey.strict.example"} {
		w.dns.Fail(n)
	}
	key := w.key(t, "s1", "strict.example")
	for _, c := range []struct {
		name, msg, from string
		dmarc           envelope.AuthResult
		silent          bool
	}{
		{"no answer for the policy", mail("a@reject.example"), "a@reject.example", "temperror", true},
		{"no answer for SPF", mail("a@quarantine.example"), "a@quarantine.example", "temperror", true},
		{"no answer for the key", sign(t, mail("a@strict.example"), "strict.example", "s1", key), "a@nopolicy.example", "temperror", true},
		{"SPF passes all the same", sign(t, mail("a@strict.example"), "strict.example", "s1", key), "a@strict.example", "pass", false},
	} {
		a := w.judged(c.msg, c.from, "192.0.2.1")
		if a.DMARC != c.dmarc || a.Silent != c.silent {
			t.Errorf("%s: dmarc %s, silent %v (%+v)", c.name, a.DMARC, a.Silent, a)
		}
	}
}

// A site without DNS must not wait for it with every mail.
func TestSilentResolverIsNotAskedAgain(t *testing.T) {
	d, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Silence(true)
	now := time.Now()
	clock := func() time.Time { return now }
	r := NewResolver(NewDNS(d.Addr), clock)
	r.Wait()
	if !r.Silent() {
		t.Fatal("a resolver that answers nothing is taken for one that does")
	}
	w := &world{dns: d, judge: &Judge{Resolver: r}}
	start := time.Now()
	a := w.judged(mail("a@reject.example"), "a@reject.example", "192.0.2.1")
	if a.DMARC != envelope.AuthTempError || !a.Silent || a.SPF != envelope.AuthTempError {
		t.Errorf("judged %+v", a)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it waited %s", took)
	}
	// When it is back, half a minute later, the first question finds out and
	// does not wait either.
	d.Silence(false)
	now = now.Add(silentFor)
	if _, err := r.LookupTXT(context.Background(), "reject.example"); !temporary(err) {
		t.Errorf("first question: %v", err)
	}
	r.Wait()
	if txt, err := r.LookupTXT(context.Background(), "reject.example"); err != nil || len(txt) != 1 {
		t.Errorf("back again: %v, %v", txt, err)
	}
}

// Whoever owns a domain with dead servers must not make us deaf for others.
func TestDeadDomainDoesNotSilenceOthers(t *testing.T) {
	w := newWorld(t, zone)
	w.dns.Fail("dead.example")
	w.dns.Fail("_dmarc.dead.example")
	for range 4 {
		w.judged(mail("a@dead.example"), "a@dead.example", "192.0.2.1")
	}
	w.judge.Resolver.Wait()
	if a := w.judged(mail("a@reject.example"), "x@nopolicy.example", "192.0.2.1"); a.DMARC != envelope.AuthFail || w.judge.Resolver.Silent() {
		t.Errorf("dmarc %s, silent %v", a.DMARC, w.judge.Resolver.Silent())
	}
}

func TestAnswersAreKeptForAMinute(t *testing.T) {
	w := newWorld(t, zone)
	for range 5 {
		w.judged(mail("a@reject.example"), "a@reject.example", "192.0.2.1")
	}
	for _, n := range []string{"reject.example", "_dmarc.reject.example", "_dmarc.example"} {
		if got := w.dns.Asked(n); got != 1 {
			t.Errorf("%s was asked for %d times", n, got)
		}
	}
}

// FT-19: huge answers, a resolver that refuses the connection, one that fails.
func TestIllDNS(t *testing.T) {
	w := newWorld(t, zone)
	w.dns.AddTXT("huge.example", "v=spf1 "+strings.Repeat("ip4:192.0.2.77 ", 3000)+"ip4:192.0.2.1 -all")
	for range 200 {
		w.dns.AddTXT("many.example", "v=spf1 ip4:192.0.2.1 -all")
	}
	for name, want := range map[string]envelope.AuthResult{"huge.example": envelope.AuthNone, "many.example": envelope.AuthPermError} {
		start := time.Now()
		a := w.judged(mail("a@nopolicy.example"), "a@"+name, "192.0.2.1")
		if a.SPF != want || a.DMARC != envelope.AuthNone {
			t.Errorf("%s: spf %s dmarc %s", name, a.SPF, a.DMARC)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}

	gone, err := dnstest.New("")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	r := NewResolver(NewDNS(gone.Addr), time.Now)
	r.Wait()
	if _, err := r.LookupTXT(context.Background(), "a.example"); !r.Silent() || !temporary(err) {
		t.Errorf("nobody listens: silent %v, %v", r.Silent(), err)
	}
}
