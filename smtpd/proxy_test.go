package smtpd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// proxy2 is a header of version 2.
func proxy2(command, family byte, body ...byte) string {
	b := append([]byte(nil), proxy2Start...)
	b = append(b, command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(append(b, body...))
}

var four = []byte{198, 51, 100, 7, 192, 0, 2, 25, 0xc3, 0x50, 0, 25}

func six(first string) []byte {
	a, b := netip.MustParseAddr(first).As16(), netip.MustParseAddr("2001:db8::25").As16()
	return append(append(a[:], b[:]...), 0xc3, 0x50, 0, 25)
}

func TestProxyHeaders(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     string // the peer, "local", "more" or ""
	}{
		{"v1", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 25\r\n", "198.51.100.7:50000"},
		{"v1 with what follows", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 25\r\nEHLO x\r\n", "198.51.100.7:50000"},
		{"v1 over IPv6", "PROXY TCP6 2001:db8::7 2001:db8::25 50000 25\r\n", "[2001:db8::7]:50000"},
		{"v1, IPv4 in IPv6 is IPv4", "PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.25 50000 25\r\n", "198.51.100.7:50000"},
		{"v1, the longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		{"nothing", "", "more"},
		{"a beginning", "PROX", "more"},
		{"half", "PROXY TCP4 198.51.100.7 192.0", "more"},
		{"CR only", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 25\r", "more"},
		{"LF only", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 25\n", ""},
		{"too long", "PROXY TCP4 " + strings.Repeat("1", 200), ""},
		{"too long by one", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 " + strings.Repeat("0", 64) + "25\r\n", ""},
		{"unknown", "PROXY UNKNOWN\r\n", ""},
		{"unknown with addresses", "PROXY UNKNOWN 198.51.100.7 192.0.2.25 50000 25\r\n", ""},
		{"UDP", "PROXY UDP4 198.51.100.7 192.0.2.25 50000 25\r\n", ""},
		{"lower case", "proxy TCP4 198.51.100.7 192.0.2.25 50000 25\r\n", ""},
		{"two spaces", "PROXY TCP4  198.51.100.7 192.0.2.25 50000 25\r\n", ""},
		{"a tab", "PROXY TCP4\t198.51.100.7 192.0.2.25 50000 25\r\n", ""},
		{"a field more", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 25 1\r\n", ""},
		{"IPv6 called IPv4", "PROXY TCP4 2001:db8::7 192.0.2.25 50000 25\r\n", ""},
		{"IPv4 called IPv6", "PROXY TCP6 198.51.100.7 192.0.2.25 50000 25\r\n", ""},
		{"octal", "PROXY TCP4 0198.051.100.7 192.0.2.25 50000 25\r\n", ""},
		{"a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::25 50000 25\r\n", ""},
		{"no address", "PROXY TCP4 0.0.0.0 192.0.2.25 50000 25\r\n", ""},
		{"a port too high", "PROXY TCP4 198.51.100.7 192.0.2.25 65536 25\r\n", ""},
		{"a port with a sign", "PROXY TCP4 198.51.100.7 192.0.2.25 +5000 25\r\n", ""},
		{"a port with a zero", "PROXY TCP4 198.51.100.7 192.0.2.25 05000 25\r\n", ""},
		{"the other port", "PROXY TCP4 198.51.100.7 192.0.2.25 50000 x\r\n", ""},
		{"NUL inside", "PROXY TCP4 198.51.100.7\x00 192.0.2.25 50000 25\r\n", ""},
		{"SMTP", "EHLO client.example\r\n", ""},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01", ""},
		{"v2", proxy2(0x21, 0x11, four...), "198.51.100.7:50000"},
		{"v2 over IPv6", proxy2(0x21, 0x21, six("2001:db8::7")...), "[2001:db8::7]:50000"},
		{"v2, IPv4 in IPv6 is IPv4", proxy2(0x21, 0x21, six("::ffff:198.51.100.7")...), "198.51.100.7:50000"},
		{"v2 with TLVs", proxy2(0x21, 0x11, append(append([]byte(nil), four...), 1, 0, 2, 'h', '2', 0xff, 0xff)...), "198.51.100.7:50000"},
		{"v2, 4 KiB", proxy2(0x21, 0x11, append(append([]byte(nil), four...), make([]byte, 4096-16-12)...)...), "198.51.100.7:50000"},
		{"v2, a byte more", proxy2(0x21, 0x11, append(append([]byte(nil), four...), make([]byte, 4096-16-11)...)...), ""},
		{"v2, an absurd length", string(proxy2Start) + "\x21\x11\xff\xff", ""},
		{"v2, a beginning", "\r\n\r\n\x00", "more"},
		{"v2 without its length", proxy2(0x21, 0x11, four...)[:15], "more"},
		{"v2, half", proxy2(0x21, 0x11, four...)[:20], "more"},
		{"v2 local", proxy2(0x20, 0x00), "local"},
		{"v2 local with addresses, which do not count", proxy2(0x20, 0x11, four...), "local"},
		{"v2, version 1", proxy2(0x11, 0x11, four...), ""},
		{"v2, another command", proxy2(0x22, 0x11, four...), ""},
		{"v2, UDP", proxy2(0x21, 0x12, four...), ""},
		{"v2, a UNIX socket", proxy2(0x21, 0x31, make([]byte, 216)...), ""},
		{"v2, unspecified", proxy2(0x21, 0x00), ""},
		{"v2, addresses cut", proxy2(0x21, 0x11, four[:11]...), ""},
		{"v2, IPv6 cut to IPv4", proxy2(0x21, 0x21, four...), ""},
		{"v2, no address", proxy2(0x21, 0x11, make([]byte, 12)...), ""},
	} {
		h, n, err := parseProxy([]byte(c.in))
		got := ""
		switch {
		case err != nil:
		case n == 0:
			got = "more"
		case h.local:
			got = "local"
		default:
			got = h.peer.String()
		}
		if got != c.want {
			t.Errorf("%s: got %q, %v; wanted %q", c.name, got, err, c.want)
		}
	}
}

// FuzzProxy: no panic; a header is not longer than its bound nor than what was
// read; what follows it does not change it; half of it is not taken for all.
func FuzzProxy(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 198.51.100.7 192.0.2.25 50000 25\r\n", "PROXY TCP6 2001:db8::7 2001:db8::25 1 2\r\nEHLO x\r\n", "PROXY UNKNOWN\r\n",
		proxy2(0x21, 0x11, four...), proxy2(0x21, 0x21, six("2001:db8::7")...), proxy2(0x20, 0), "EHLO x\r\n",
	} {
		f.Add([]byte(s), []byte("rest"))
	}
	f.Fuzz(func(t *testing.T, b, rest []byte) {
		h, n, err := parseProxy(b)
		if n > len(b) || n > maxProxy2 {
			t.Fatalf("a header of %d bytes in %d", n, len(b))
		}
		if err != nil || n == 0 {
			if err != nil && n != 0 {
				t.Fatal("an error and a length")
			}
			if err == nil && len(b) >= maxProxy2 {
				t.Fatalf("wants more than %d bytes", len(b))
			}
			return
		}
		if !h.local && (!h.peer.Addr().IsValid() || h.peer.Addr().Is4In6() || h.peer.Addr().Zone() != "") {
			t.Fatalf("peer %v", h.peer)
		}
		h2, n2, err := parseProxy(append(bytes.Clone(b[:n]), rest...))
		if err != nil || n2 != n || h2 != h {
			t.Fatalf("with other bytes behind it: %v %d %v, was %v %d", h2, n2, err, h, n)
		}
		for k := range n {
			if _, m, err := parseProxy(b[:k]); m != 0 || err != nil {
				t.Fatalf("the first %d of %d bytes: %d, %v", k, n, m, err)
			}
		}
	})
}

func TestLimitsAreThoseOfThePeerBehindABalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		limits.ConnectionsPerAddress = 2
		r := newRig(t, limits, nil)
		defer r.close()
		r.listener.Proxy = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		from := func(who, want string) (*talk, time.Duration) {
			t.Helper()
			start := time.Now()
			k := r.talk(t, "192.0.2.1")
			k.say("PROXY TCP4 " + who + " 192.0.2.25 50000 25\r\n")
			k.hear(want)
			return k, time.Since(start)
		}
		if _, took := from("198.51.100.7", "220"); took != limits.GreetingPause {
			t.Errorf("greeted after %v: the peer behind is a stranger", took)
		}
		k, took := from("198.51.100.7", "220")
		if took != 0 {
			t.Errorf("greeted after %v: the peer behind was here before", took)
		}
		from("198.51.100.7", "421 4.7.0 Too many connections from your address")
		// Another behind the same balancer has a count of his own.
		for i := range 5 {
			from(fmt.Sprintf("198.51.100.%d", 20+i), "220")
		}
		k.say("QUIT\r\n")
		k.hear("221")
		synctest.Wait()
		from("198.51.100.7", "220")
	})
}

func TestNetworksAreAskedForThePeerBehindABalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultLimits(), nil)
		defer r.close()
		r.listener.Proxy = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		r.listener.Networks = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
		for _, c := range []struct{ from, say, want string }{
			{"192.0.2.1", "PROXY TCP4 10.1.2.3 192.0.2.25 50000 25\r\n", "220"},
			{"192.0.2.1", "PROXY TCP4 10.2.2.3 192.0.2.25 50000 25\r\n", "554 5.7.1 Access denied"},
			{"192.0.2.1", proxy2(0x20, 0), "554 5.7.1 Access denied"},
			{"10.1.2.3", "", "220"},
			{"10.2.2.3", "", "554 5.7.1 Access denied"},
			{"10.1.2.3", "PROXY TCP4 10.1.2.4 192.0.2.25 50000 25\r\n", "220"},
		} {
			k := r.talk(t, c.from)
			if c.say != "" && c.from == "192.0.2.1" {
				k.say(c.say)
			}
			k.hear(c.want)
			if c.from != "192.0.2.1" && c.say != "" {
				k.say(c.say)
				k.hear("554 5.5.1")
			}
		}
	})
}

func TestEnvelopeNamesThePeerBehindABalancer(t *testing.T) {
	g := newGateway(t, nil, func(s *Server) { s.Listeners[0].Proxy = loopback })
	c := g.dial(t, "mx")
	fmt.Fprintf(c, "PROXY TCP4 198.51.100.7 192.0.2.25 50000 25\r\n")
	answers := speak(t, c, "EHLO c.partner.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example>", "DATA", oneMessage)
	if last := answers[len(answers)-1]; !strings.HasPrefix(last, "250") {
		t.Fatalf("answers %q", answers)
	}
	es := g.entries(t)
	if len(es) != 1 || es[0].Envelope.Peer.Addr != netip.MustParseAddr("198.51.100.7") {
		t.Errorf("entries %+v", es)
	}
	if !strings.Contains(g.log.String(), `"peer":"198.51.100.7"`) || strings.Contains(g.log.String(), `"peer":"127.0.0.1"`) {
		t.Errorf("log %s", g.log)
	}
}
