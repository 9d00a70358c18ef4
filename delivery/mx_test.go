package delivery_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// zoneFile is what the test's DNS server knows. Names that answer SERVFAIL or
// nothing at all are said so.
const zoneFile = `
plain.example.     60 IN MX 10 a.plain.example.
plain.example.     60 IN MX 20 b.plain.example.
a.plain.example.   60 IN A 203.0.113.1
b.plain.example.   60 IN A 203.0.113.2
implicit.example.  60 IN A 203.0.113.3
null.example.      60 IN MX 0 .
halfnull.example.  60 IN MX 0 .
halfnull.example.  60 IN MX 10 a.plain.example.
ours.example.      60 IN MX 10 mx.town.example.
ours.example.      60 IN MX 20 a.plain.example.
backup.example.    60 IN MX 10 a.plain.example.
backup.example.    60 IN MX 20 MX.Town.Example.
backup.example.    60 IN MX 30 b.plain.example.
inside.example.    60 IN MX 10 loop.inside.example.
inside.example.    60 IN MX 20 lan.inside.example.
inside.example.    60 IN MX 30 hop.inside.example.
inside.example.    60 IN MX 40 mapped.inside.example.
loop.inside.example. 60 IN A 127.0.0.1
lan.inside.example.  60 IN A 10.1.0.10
hop.inside.example.  60 IN A 203.0.113.99
mapped.inside.example. 60 IN AAAA ::ffff:127.0.0.1
dangling.example.  60 IN MX 10 nowhere.example.
many.example.      60 IN MX 10 m.many.example.
m.many.example.    60 IN A 203.0.113.11
m.many.example.    60 IN A 203.0.113.12
m.many.example.    60 IN A 203.0.113.13
m.many.example.    60 IN A 203.0.113.14
m.many.example.    60 IN A 203.0.113.15
m.many.example.    60 IN A 203.0.113.16
m.many.example.    60 IN A 203.0.113.17
six.example.       60 IN MX 10 six.example.
six.example.       60 IN AAAA 2001:db8::1
`

// nameServer answers on loopback and returns a resolver that asks only it.
func nameServer(t *testing.T) *net.Resolver {
	t.Helper()
	records := map[string][]dns.RR{}
	p := dns.NewZoneParser(strings.NewReader(zoneFile), "", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		records[strings.ToLower(rr.Header().Name)] = append(records[strings.ToLower(rr.Header().Name)], rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	answer := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative = true
		name := strings.ToLower(q.Question[0].Name)
		switch {
		case name == "servfail.example.":
			m.Rcode = dns.RcodeServerFailure
		case name == "silent.example.":
			return
		case records[name] == nil:
			m.Rcode = dns.RcodeNameError
		}
		for _, rr := range records[name] {
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		w.WriteMsg(m)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(answer)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ActivateAndServe()
	}()
	t.Cleanup(func() {
		pc.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// outside is a world with a hop by MX and the town's own.
func outside(t *testing.T, inside *smtptest.Sink, servers map[string]string) *world {
	t.Helper()
	w := newWorld(t, []routing.Hop{
		{Name: "internet", Network: envelope.NetworkInternet, MX: true},
		{Name: "own", Network: envelope.NetworkLocal, Hosts: []string{inside.Addr()}},
		{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{"203.0.113.99:25"}},
	}, []routing.Route{{Domain: "*", Hop: "internet"}, {Domain: "town.example", Hop: "own"}, {Domain: "lg.example", Subdomains: true, Hop: "lgwan"}})
	w.d.Resolver = nameServer(t)
	for a, to := range servers {
		w.route[a] = to
	}
	return w
}

func TestMX(t *testing.T) {
	for _, c := range []struct {
		domain string
		want   string // the addresses dialled; last, what became of it
		says   string
	}{
		{"plain.example", "203.0.113.1:25 Done", "taken"},
		{"implicit.example", "203.0.113.3:25 Done", "taken"},
		{"null.example", "Done", "null MX"},
		{"halfnull.example", "203.0.113.1:25 Done", "taken"},
		{"ours.example", "Done", "the MX of the domain is this gateway"},
		{"backup.example", "203.0.113.1:25 Done", "taken"},
		{"inside.example", "Queued", "no address on the internet"},
		{"dangling.example", "Queued", "look up nowhere.example"},
		{"absent.example", "Queued", "look up absent.example"},
		{"servfail.example", "Queued", "look up servfail.example"},
		{"silent.example", "Queued", "look up silent.example"},
		{"many.example", "203.0.113.11:25 203.0.113.12:25 203.0.113.13:25 203.0.113.14:25 203.0.113.15:25 203.0.113.16:25 203.0.113.17:25 Queued", "connect: "},
		{"six.example", "[2001:db8::1]:25 Done", "taken"},
	} {
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel()
			s := startSink(t, &smtptest.Sink{})
			in := startSink(t, &smtptest.Sink{})
			w := outside(t, in, map[string]string{"203.0.113.1:25": s.Addr(), "203.0.113.2:25": s.Addr(), "203.0.113.3:25": s.Addr(), "[2001:db8::1]:25": s.Addr(), "203.0.113.99:25": in.Addr()})
			id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"x@" + c.domain}, zone: envelope.LGWAN, treatment: envelope.Pass,
				networks: []envelope.Network{envelope.NetworkInternet}})
			w.run(id)
			e := w.entry(id)
			dialled := w.dialled()
			if c.domain == "many.example" {
				// Which five of the seven is the resolver's choice.
				if len(dialled) != 5 || e.State != spool.Queued {
					t.Errorf("dialled %v, want five of seven", dialled)
				}
				return
			}
			if got := strings.Join(append(slices.Clone(dialled), e.State.String()), " "); got != c.want {
				t.Errorf("got %s, want %s; %s", got, c.want, e.Err)
			}
			_, details := w.acts(id)
			if said := e.Err + strings.Join(details, ""); !strings.Contains(said, c.says) {
				t.Errorf("it says %q, want %q", said, c.says)
			}
			if in.Sessions() != 0 {
				t.Error("the inside was dialled for a foreign MX")
			}
			if c.domain == "null.example" {
				if _, texts := w.spawned(id); len(texts) != 1 || !strings.Contains(texts[0], "Status: 5.1.10") {
					t.Errorf("no report with 5.1.10: %q", texts)
				}
			}
		})
	}
}

// Anybody on the internet has as many domains as he likes, with servers that
// answer an octet a second, and writes to somebody inside who answers by himself.
// What waits for them must not keep the mail of the town.
func TestTarpitsOfTheInternetDoNotFillTheWindow(t *testing.T) {
	tarpit := startSink(t, &smtptest.Sink{Script: at(smtptest.StageMail, smtptest.Act{Hang: true})})
	inside := startSink(t, &smtptest.Sink{})
	good := startSink(t, &smtptest.Sink{})
	servers := map[string]string{"203.0.113.1:25": tarpit.Addr(), "203.0.113.2:25": tarpit.Addr(), "203.0.113.3:25": good.Addr()}
	for i := 11; i < 18; i++ {
		servers[fmt.Sprintf("203.0.113.%d:25", i)] = tarpit.Addr()
	}
	w := outside(t, inside, servers)
	w.d.Window, w.d.SlotsMX = 12, 1
	w.d.Times.Command = time.Minute
	var ids []envelope.ID
	for range 10 {
		for _, domain := range []string{"plain.example", "many.example"} {
			ids = append(ids, w.queue(mail{from: addr("a@town.example"), to: []string{"b@" + domain}, zone: envelope.LGWAN, networks: []envelope.Network{envelope.NetworkInternet}}))
		}
	}
	stop := w.start()
	defer stop()
	w.until("the tarpits are busy", func() bool { return tarpit.MostOpen() == 2 })
	for range 5 {
		start := time.Now()
		in := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
		w.until("mail to the inside is through", func() bool { return w.entry(in).State == spool.Done })
		out := w.queue(mail{from: addr("a@town.example"), to: []string{"b@implicit.example"}, zone: envelope.LGWAN, networks: []envelope.Network{envelope.NetworkInternet}})
		w.until("mail to another domain is through", func() bool { return w.entry(out).State == spool.Done })
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("it waited %v beside tarpits", took)
		}
	}
	for _, id := range ids {
		if e := w.entry(id); e.Attempts > 0 {
			t.Errorf("waiting for a slot counted as a try: %+v", e)
		}
	}
}

func TestThePreferredMXComesFirst(t *testing.T) {
	first := startSink(t, &smtptest.Sink{Script: at(smtptest.StageGreeting, smtptest.Act{Reply: "421 busy", Close: true})})
	second := startSink(t, &smtptest.Sink{})
	w := outside(t, startSink(t, &smtptest.Sink{}), map[string]string{"203.0.113.1:25": first.Addr(), "203.0.113.2:25": second.Addr()})
	id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"x@plain.example"}, zone: envelope.LGWAN, treatment: envelope.Pass,
		networks: []envelope.Network{envelope.NetworkInternet}})
	w.run(id)
	if got := w.dialled(); !slices.Equal(got, []string{"203.0.113.1:25", "203.0.113.2:25"}) || len(second.Delivered()) != 1 {
		t.Errorf("dialled %v, %d arrived", got, len(second.Delivered()))
	}
}

// requirements.md 74: a hop of network lgwan that is down for the whole life of
// a message never leads to the internet, and the sender inside is told once.
func TestADeadLGWANHopNeverFallsBackToTheInternet(t *testing.T) {
	world := startSink(t, &smtptest.Sink{})
	w := outside(t, startSink(t, &smtptest.Sink{}), nil)
	w.d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "203.0.113.99:25" {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", world.Addr())
		}
		return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	}
	id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"x@city.lg.example"}, zone: envelope.LGWAN, treatment: envelope.Pass,
		networks: []envelope.Network{envelope.NetworkLGWAN}})
	for i := 0; w.entry(id).State == spool.Queued; i++ {
		if i > 200 {
			t.Fatal("it is tried for ever")
		}
		w.run(id)
		w.later(70 * time.Minute)
	}
	if n := w.now().Sub(w.entry(id).Envelope.Received); n < 5*24*time.Hour || n > 5*24*time.Hour+3*time.Hour {
		t.Errorf("given up after %v, want 5 days", n)
	}
	if world.Sessions() != 0 {
		t.Errorf("%d connections to the internet", world.Sessions())
	}
	es, texts := w.spawned(id)
	if len(es) != 2 || !strings.Contains(texts[0], "Action: delayed") || !strings.Contains(texts[1], "Status: 5.4.7") {
		t.Fatalf("%d reports, want one of the delay and one of the failure: %q", len(es), texts)
	}
	for _, e := range es {
		if e.Envelope.To[0] != addr("tanaka@town.example") || !e.Envelope.From.IsNull() {
			t.Errorf("a report to %v from %q", e.Envelope.To, e.Envelope.From)
		}
	}
}
