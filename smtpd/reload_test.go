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
)

// dialogue is an open session that has been greeted.
type dialogue struct {
	net.Conn
	*reader
}

func (g *gateway) session(t *testing.T, addr string) dialogue {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	d := dialogue{c, &reader{t: t, c: c}}
	d.answer()
	d.say("EHLO client.example")
	return d
}

func (d dialogue) say(cmd string) string {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.Conn, "%s\r\n", cmd); err != nil {
		return err.Error()
	}
	return d.answer()
}

// reload puts another set in force.
func (g *gateway) reload(t *testing.T, limits Limits, ls ...ListenerConfig) {
	t.Helper()
	r, err := g.Prepare(ls, limits)
	if err != nil {
		t.Fatal(err)
	}
	r.Apply()
}

func TestReloadKeepsSocketsAndSessions(t *testing.T) {
	g := newGateway(t, nil, nil)
	mx, inside := g.Addrs("mx")[0].String(), g.Addrs("inside")[0].String()
	ls := g.Listeners
	began := g.session(t, mx)
	began.say("MAIL FROM:<a@partner.example>")
	fromInside := g.session(t, inside)
	tight := g.Limits
	tight.Recipients, tight.ConnectionsPerAddress = 1, 2
	// The listener lgwan-ss goes, another comes, the rest stays.
	next := []ListenerConfig{ls[0], ls[1], ls[3], {Name: "new", Zone: envelope.Internet, Listen: []string{"127.0.0.1:0"}, Peers: loopback}}
	gone := g.Addrs("lgwan-ss")[0].String()
	held := g.session(t, gone)
	for range 3 {
		g.reload(t, tight, next...)
	}
	if a, b := g.Addrs("mx")[0].String(), g.Addrs("inside")[0].String(); a != mx || b != inside {
		t.Errorf("mx moved from %s to %s, inside from %s to %s", mx, a, inside, b)
	}
	// What began goes on under the limits that it began with.
	for _, who := range []string{"soumu", "kikaku"} {
		if got := began.say("RCPT TO:<" + who + "@town.example>"); !strings.HasPrefix(got, "250 ") {
			t.Errorf("in the session that was open: %q", got)
		}
	}
	if got := fromInside.say("MAIL FROM:<a@town.example>"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("in the session from inside: %q", got)
	}
	// What begins now has the new ones.
	now := g.session(t, mx)
	now.say("MAIL FROM:<a@partner.example>")
	now.say("RCPT TO:<soumu@town.example>")
	if got := now.say("RCPT TO:<kikaku@town.example>"); !strings.HasPrefix(got, "452 4.5.3 ") {
		t.Errorf("the second recipient under the new limits: %q", got)
	}
	c, err := net.Dial("tcp", mx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if got := (&reader{t: t, c: c}).answer(); !strings.HasPrefix(got, "421 4.7.0 ") {
		t.Errorf("the third connection of an address that may have two: %q", got)
	}
	// The listener that is gone takes nobody, and who was there is told.
	if c, err := net.Dial("tcp", gone); err == nil {
		c.Close()
		t.Error("the listener that is gone still listens")
	}
	if got := held.answer(); !strings.HasPrefix(got, "421 4.3.2 ") {
		t.Errorf("the session of the listener that is gone: %q", got)
	}
	if len(g.Addrs("new")) != 1 {
		t.Fatal("the new listener does not listen")
	}
	if got := g.session(t, g.Addrs("new")[0].String()).say("NOOP"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("the new listener says %q", got)
	}
	began.say("QUIT")
}

func TestReloadEndsTrustThatWasTakenBack(t *testing.T) {
	g := newGateway(t, nil, nil)
	ls := g.Listeners
	inside, office := g.session(t, g.Addrs("inside")[0].String()), g.session(t, g.Addrs("office")[0].String())
	narrow, moved := ls[1], ls[3]
	narrow.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	moved.Zone = envelope.Internet
	g.reload(t, g.Limits, ls[0], narrow, ls[2], moved)
	for name, d := range map[string]dialogue{"networks without the peer": inside, "another zone": office} {
		if got := d.answer(); !strings.HasPrefix(got, "421 4.3.2 ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	// The same socket serves its new zone.
	d := g.session(t, g.Addrs("office")[0].String())
	d.say("MAIL FROM:<a@town.example>")
	if got := d.say("RCPT TO:<x@outside.example>"); !strings.HasPrefix(got, "55") {
		t.Errorf("the listener that is of zone internet now relays: %q", got)
	}
}

// A balancer that is taken out of proxy is believed no more, nor is what it said
// before; and who it names after a reload must be in the networks of then.
func TestReloadEndsTrustInABalancer(t *testing.T) {
	passed := func(t *testing.T, addr, header string) dialogue {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, header)
		return dialogue{c, &reader{t: t, c: c}}
	}
	const behind = "PROXY TCP4 10.1.2.3 192.0.2.25 50000 25\r\n"
	ours := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	g := newGateway(t, nil, func(s *Server) { s.Listeners[1].Proxy, s.Listeners[1].Networks = loopback, ours })
	ls := g.Listeners
	d := passed(t, g.Addrs("inside")[0].String(), behind)
	if got := d.answer(); !strings.HasPrefix(got, "220 ") {
		t.Fatalf("behind a balancer: %q", got)
	}
	d.say("EHLO client.example")
	silent := passed(t, g.Addrs("inside")[0].String(), "")
	kept := passed(t, g.Addrs("inside")[0].String(), "")
	for g.Connections() < 3 {
		time.Sleep(time.Millisecond)
	}
	// As it was: nobody is sent away, the silent ones may still speak.
	g.reload(t, g.Limits, ls...)
	fmt.Fprint(kept, behind)
	if got := kept.answer(); !strings.HasPrefix(got, "220 ") {
		t.Errorf("a balancer that speaks after a reload that changes nothing: %q", got)
	}
	if got := d.say("NOOP"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("after a reload that changes nothing: %q", got)
	}
	// Other networks: who is named after that is asked for in them. loopback is
	// among them, as a balancer's own address may be.
	other := ls[1]
	other.Networks = append([]netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, loopback...)
	g.reload(t, g.Limits, ls[0], other, ls[2], ls[3])
	fmt.Fprint(silent, behind)
	if got := silent.answer(); !strings.HasPrefix(got, "554 5.7.1 ") {
		t.Errorf("a peer named after its network was taken out: %q", got)
	}
	if got := d.answer(); !strings.HasPrefix(got, "421 4.3.2 ") {
		t.Errorf("the session of a peer whose network was taken out: %q", got)
	}
	// No balancer any more.
	g.reload(t, g.Limits, ls...)
	d = passed(t, g.Addrs("inside")[0].String(), behind)
	d.answer()
	d.say("EHLO client.example")
	alone := ls[1]
	alone.Proxy = nil
	g.reload(t, g.Limits, ls[0], alone, ls[2], ls[3])
	if got := d.answer(); !strings.HasPrefix(got, "421 4.3.2 ") {
		t.Errorf("the session by a balancer that is believed no more: %q", got)
	}
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	g := newGateway(t, nil, nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ls := g.Listeners
	free := ListenerConfig{Name: "free", Zone: envelope.Internet, Listen: []string{"127.0.0.1:0"}}
	for name, c := range map[string]struct {
		limits Limits
		ls     []ListenerConfig
	}{
		"a port in use":           {g.Limits, []ListenerConfig{free, {Name: "taken", Listen: []string{taken.Addr().String()}}}},
		"a port twice":            {g.Limits, []ListenerConfig{{Name: "a", Listen: []string{g.Addrs("mx")[0].String()}}, {Name: "b", Listen: []string{"127.0.0.1:0"}}, {Name: "a", Listen: []string{g.Addrs("mx")[0].String()}}}},
		"zone lgwan for anybody":  {g.Limits, []ListenerConfig{free, {Name: "x", Zone: envelope.LGWAN, Listen: []string{"127.0.0.1:0"}}}},
		"limits that are no ones": {Limits{}, ls},
	} {
		if _, err := g.Prepare(c.ls, c.limits); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if len(g.Addrs("free")) != 0 || len(g.Addrs("office")) != 1 {
		t.Error("a set that failed is in force")
	}
	r, err := g.Prepare([]ListenerConfig{free}, g.Limits)
	if err != nil {
		t.Fatal(err)
	}
	r.Drop()
	if got := g.session(t, g.Addrs("mx")[0].String()).say("NOOP"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("after it: %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Prepare(ls, g.Limits); err == nil {
		t.Error("a server that ended can be prepared")
	}
}
