package smtpd

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/spool"
)

// send says a whole message on a listener and returns the last answer.
func (g *gateway) send(t *testing.T, listener, from, to, message string) string {
	t.Helper()
	return g.sendOn(t, g.dial(t, listener), from, to, message)
}

func (g *gateway) sendOn(t *testing.T, c net.Conn, from, to, message string) string {
	t.Helper()
	cmds := []string{"EHLO c.example", "MAIL FROM:<" + from + ">"}
	for _, a := range strings.Split(to, ",") {
		cmds = append(cmds, "RCPT TO:<"+a+">")
	}
	answers := speak(t, c, append(cmds, "DATA", message)...)
	for _, a := range answers {
		if a[0] >= '4' {
			return a
		}
	}
	return answers[len(answers)-1]
}

func TestInnerSenderOverItsRateIsMarked(t *testing.T) {
	now := time.Now()
	g := newGateway(t, nil, func(s *Server) {
		s.Limits.MessagesPerMinutePerSender = 3
		s.Now = func() time.Time { return now }
	})
	count := func() (over, all int) {
		for _, e := range g.entries(t) {
			if all++; e.Envelope.Over == envelope.OverRate {
				over++
			}
		}
		return over, all
	}
	for i := range 5 {
		if got := g.send(t, "inside", "tanaka@town.example", "x@outside.example", oneMessage); got[:3] != "250" {
			t.Fatalf("message %d: %s", i, got)
		}
	}
	if over, all := count(); over != 2 || all != 5 {
		t.Errorf("%d of %d are over the rate, wanted the last two of five", over, all)
	}
	// Another sender, strangers and the null sender have nothing to do with it.
	g.send(t, "inside", "soumu@town.example", "x@outside.example", oneMessage)
	g.send(t, "inside", "", "soumu@town.example", oneMessage)
	for range 5 {
		g.send(t, "mx", "tanaka@town.example", "soumu@town.example", oneMessage)
		g.send(t, "lgwan-ss", "tanaka@town.example", "soumu@town.example", oneMessage)
	}
	if over, _ := count(); over != 2 {
		t.Errorf("%d are over the rate, wanted two still", over)
	}
	now = now.Add(time.Minute)
	g.send(t, "office", "TANAKA@town.example", "x@outside.example", oneMessage)
	if over, _ := count(); over != 2 {
		t.Errorf("%d are over the rate a minute later, wanted two still", over)
	}
}

func TestVisibleRecipientsAreMarkedWhereWanted(t *testing.T) {
	list := func(n int, domain string) string {
		var as []string
		for i := range n {
			as = append(as, fmt.Sprintf("%q <a%d@%s>", "様, 市民", i, domain))
		}
		return strings.Join(as, ",\r\n ")
	}
	mail := func(to, cc string) string {
		return "From: <tanaka@town.example>\r\nTo: " + to + "\r\nCc: " + cc + "\r\nSubject: x\r\n\r\nbody\r\n."
	}
	for _, c := range []struct {
		name         string
		most         int
		listener, to string
		message      string
		want         bool
	}{
		{"off", 0, "inside", "x@outside.example", mail(list(50, "outside.example"), ""), false},
		{"ten", 10, "inside", "x@outside.example", mail(list(10, "outside.example"), ""), false},
		{"eleven", 10, "inside", "x@outside.example", mail(list(11, "outside.example"), ""), true},
		{"eleven from the internet segment", 10, "office", "x@outside.example", mail(list(11, "outside.example"), ""), true},
		{"in To and Cc together", 10, "inside", "x@outside.example", mail(list(6, "outside.example"), list(6, "other.example")), true},
		{"the same six twice", 10, "inside", "x@outside.example", mail(list(6, "outside.example"), list(6, "OUTSIDE.example")), false},
		{"colleagues do not count", 10, "inside", "x@outside.example", mail(list(11, "town.example"), list(3, "village.example")), false},
		{"a copy for a colleague is not held", 10, "inside", "soumu@town.example", mail(list(11, "outside.example"), ""), false},
		{"from the internet nobody counts", 10, "mx", "soumu@town.example", mail(list(11, "outside.example"), ""), false},
		{"a thousand", 10, "inside", "x@outside.example", mail(list(1000, "outside.example"), ""), true},
	} {
		g := newGateway(t, nil, func(s *Server) { s.Limits.VisibleRecipients = c.most })
		if got := g.send(t, c.listener, "tanaka@town.example", c.to, c.message); got[:3] != "250" {
			t.Errorf("%s: %s", c.name, got)
			continue
		}
		if got := g.entries(t)[0].Envelope.Over == envelope.OverVisible; got != c.want {
			t.Errorf("%s: marked %v, wanted %v", c.name, got, c.want)
		}
	}
}

// hold has the newest received message held, as the pipeline does.
func (g *gateway) hold(t *testing.T) {
	t.Helper()
	es, err := g.spool.Claim(context.Background(), spool.Received, time.Now(), 100)
	if err != nil || len(es) == 0 {
		t.Fatalf("claim: %v, %d entries", err, len(es))
	}
	for _, e := range es {
		if err := g.spool.Settle(context.Background(), e, spool.Change{To: spool.Held}); err != nil {
			t.Fatal(err)
		}
		g.Held(&e.Envelope)
	}
}

func TestPeersThatFillATenantsShareGet452OthersDoNot(t *testing.T) {
	const size = 10_000
	body := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("a", 98)+"\r\n", size/100) + "."
	g := newGateway(t, nil, func(s *Server) {
		s.Listeners[0].Proxy = loopback
		s.Disk = func() (int64, error) { return 50 * size, nil } // a fifth are ten messages
	})
	from := func(peer, to string) string {
		t.Helper()
		c := g.dial(t, "mx")
		fmt.Fprintf(c, "PROXY TCP4 %s 192.0.2.25 50000 25\r\n", peer)
		return g.sendOn(t, c, "a@partner.example", to, body)
	}
	for i := range 10 {
		if got := from("198.51.100.7", "soumu@town.example"); got[:3] != "250" {
			t.Fatalf("message %d: %s", i, got)
		}
		g.hold(t)
	}
	for _, c := range []struct{ name, peer, to, want string }{
		{"the peer that fed it", "198.51.100.7", "soumu@town.example", "452 4.7.0"},
		{"the same to another tenant", "198.51.100.7", "x@village.example", "250"},
		{"another peer", "198.51.100.8", "soumu@town.example", "250"},
	} {
		if got := from(c.peer, c.to); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, wanted %s", c.name, got, c.want)
		}
	}
	// Somebody looks, and deletes one: there is room again.
	ctx := context.Background()
	es, err := g.spool.List(ctx, spool.Filter{State: spool.Held})
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.spool.Take(ctx, "town", es[0].Envelope.ID, spool.Held)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.spool.Settle(ctx, e, spool.Change{To: spool.Done}); err != nil {
		t.Fatal(err)
	}
	if got := from("198.51.100.7", "soumu@town.example"); got[:3] != "250" {
		t.Errorf("after one was deleted: %s", got)
	}
}

func TestPeerWithOneSmallMessageHeldHasNotFedTheQuarantine(t *testing.T) {
	r := newRates(func() *Limits { l := DefaultLimits(); return &l }, time.Now)
	large, small := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	r.feeds("town", large, 20<<20)
	r.feeds("town", small, 10<<10)
	const quota = 20 << 30
	if !r.feeder("town", large, quota) || r.feeder("town", small, quota) || r.feeder("village", large, quota) {
		t.Error("who brought a message of full size has fed it, who brought a small one has not, and for another tenant nobody has")
	}
}

func TestHeldBytesOfAPeerAreWholeMessagesOfAnHour(t *testing.T) {
	now := time.Now()
	limits := DefaultLimits()
	r := newRates(func() *Limits { return &limits }, func() time.Time { return now })
	a := netip.MustParseAddr("198.51.100.7")
	for i := range 10 {
		if r.fills(a) {
			t.Fatalf("after %d messages of full size", i)
		}
		r.held(a, limits.MessageSize)
	}
	if !r.fills(a) {
		t.Error("ten messages of full size are not too much")
	}
	if r.fills(netip.MustParseAddr("198.51.100.8")) {
		t.Error("another peer is told so too")
	}
	now = now.Add(time.Hour)
	if r.fills(a) {
		t.Error("an hour later it is still too much")
	}
}

// FT-09, the share of the rates: a clock that was ahead and is put right must not
// keep a peer out until the time it had shown.
func TestCountsBeginAnewWhenTheClockIsPutBack(t *testing.T) {
	limits := DefaultLimits()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	r := newRates(func() *Limits { return &limits }, func() time.Time { return now })
	peer := netip.MustParseAddr("192.0.2.1")
	for range limits.MessagesPerMinutePerAddress {
		r.message(peer)
	}
	r.held(peer, limits.HeldBytesPerPeerHour)
	if r.message(peer) || !r.fills(peer) {
		t.Fatal("the limits are not reached")
	}
	now = now.AddDate(-10, 0, 0)
	if !r.message(peer) || r.fills(peer) {
		t.Error("the peer is kept out for ten years")
	}
	for range limits.MessagesPerMinutePerAddress {
		r.message(peer)
	}
	if r.message(peer) {
		t.Error("the clock was put back, and nothing is counted any more")
	}
}
