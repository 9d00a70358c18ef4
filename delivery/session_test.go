package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/spool"
)

func TestScheduleOfTries(t *testing.T) {
	for n, want := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 2: 5 * time.Minute, 3: 15 * time.Minute, 4: 30 * time.Minute, 5: time.Hour, 6: time.Hour, 1 << 40: time.Hour} {
		var low, high bool
		for range 1000 {
			got := wait(n)
			if got < want*9/10 || got > want*11/10 {
				t.Fatalf("after try %d: %v, want %v and a tenth", n, got, want)
			}
			low, high = low || got < want, high || got > want
		}
		if !low || !high {
			t.Errorf("after try %d the time is not spread", n)
		}
	}
}

func TestReceivedFieldIsOneFieldWhateverThePeerSays(t *testing.T) {
	at := time.Date(2026, 4, 1, 9, 0, 0, 0, time.FixedZone("", 9*3600))
	for _, c := range []struct {
		helo, addr, protocol string
		network              envelope.Network
		want                 string
	}{
		{"a.example", "192.0.2.1", "ESMTPS", envelope.NetworkLocal, "from a.example ([192.0.2.1])\r\n\tby mx with ESMTPS id i;"},
		{"[192.0.2.1]", "2001:db8::1", "SMTP", envelope.NetworkLGWAN, "from [192.0.2.1] ([IPv6:2001:db8::1])\r\n\tby mx with SMTP id i;"},
		{"a.example", "::ffff:192.0.2.1", "", envelope.NetworkLocal, "from a.example ([192.0.2.1])\r\n\tby mx with ESMTP id i;"},
		{"x\r\nBcc: y", "192.0.2.1", "x\r\ny", envelope.NetworkLocal, "from unknown ([192.0.2.1])\r\n\tby mx with ESMTP id i;"},
		{"", "", "ESMTP", envelope.NetworkLocal, "from unknown\r\n\tby mx with ESMTP id i;"},
		{"pc-of-tanaka.town", "10.1.2.3", "ESMTP", envelope.NetworkInternet, "from mx\r\n\tby mx with ESMTP id i;"},
		{"pc-of-tanaka.town", "10.1.2.3", "ESMTP", 0, "from mx\r\n\tby mx with ESMTP id i;"},
	} {
		e := envelope.Envelope{ID: "i", Received: at, Peer: envelope.Peer{Helo: c.helo, Protocol: c.protocol}}
		if c.addr != "" {
			e.Peer.Addr = netip.MustParseAddr(c.addr)
		}
		want := "Received: " + c.want + "\r\n\tWed, 01 Apr 2026 09:00:00 +0900\r\n"
		if got := receivedField(&e, c.network, "mx"); got != want {
			t.Errorf("%q from %q:\n%q, want\n%q", c.helo, c.addr, got, want)
		}
	}
}

func TestForeignMXMayNotPointInside(t *testing.T) {
	for _, s := range []string{"127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", "0.0.0.0", "0.1.2.3", "100.64.0.1", "198.18.0.1", "224.0.0.1",
		"255.255.255.255", "240.0.0.1", "::", "::1", "::ffff:10.0.0.1", "fe80::1", "fc00::1", "ff02::1", "fe80::1%eth0",
		"192.0.0.8", "::10.0.0.1", "fec0::1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::10.0.0.1", "2002:a00:1::1", "2002:7f00:1::1", "2001::5ef5:79fd:f5ff:fffe", "100::1"} {
		if onTheInternet(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as an address on the internet", s)
		}
	}
	for _, s := range []string{"8.8.8.8", "203.0.113.1", "2001:4860:4860::8888", "2400:4000::25", "64:ff9b::8.8.8.8", "2002:808:808::1"} {
		if !onTheInternet(netip.MustParseAddr(s)) {
			t.Errorf("%s does not count as an address on the internet", s)
		}
	}
}

// FuzzServerAnswers: whatever a server says, each recipient gets one result,
// none counts as sent without a 2xx behind a 354, and we say nothing but
// commands and the message.
func FuzzServerAnswers(f *testing.F) {
	f.Add([]byte("220 x\r\n250-x\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n221 bye\r\n"), "a")
	f.Add([]byte("220 x\r\n500 x\r\n250 x\r\n250 ok\r\n452 ok\r\n250 no\r\n354 go\r\n451 ok\r\n"), ".a..b.")
	f.Add([]byte("220-\n220 x\r\n250-starttls\r\n250 size 10\r\n"), "a> b")
	f.Add([]byte("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"), "\r\nQUIT")
	f.Add([]byte("220 x\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n221 bye\r\n"), "a")
	f.Add([]byte("220 x\r\n250-x\r\n250 PIPELINING\r\n550 no\r\n250 ok\r\n503 no\r\n354 go\r\n250 ok\r\n"), "a")
	f.Add([]byte("220 x\r\n250-x\r\n250 PIPELINING\r\n550 no\r\n503 no\r\n503 no\r\n354 go\r\n250 ok\r\n"), "a")
	f.Add([]byte("220 x\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n421 no\r\n503 no\r\n354 go\r\n250 ok\r\n"), "a")
	text := []byte("Subject: x\r\n\r\n.\r\n..x\r\nbody\r\n")
	f.Fuzz(func(t *testing.T, answers []byte, local string) {
		ours, theirs := net.Pipe()
		var heard bytes.Buffer
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(&heard, theirs) })
		wg.Go(func() {
			theirs.Write(answers)
			theirs.Close()
		})
		d := &Delivery{Spool: &spool.Spool{}, Hostname: "mx.example", Log: slog.New(slog.DiscardHandler), Times: Times{Connect: time.Second, Command: time.Second, Block: time.Second, Final: time.Second, Look: time.Second, Probe: 1, Idle: 1},
			Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
		d.init()
		hop := routing.Hop{Name: "h", Network: envelope.NetworkLocal, TLS: "off"}
		to := []envelope.Address{{Local: "one", Domain: "b.example"}}
		if odd := (envelope.Address{Local: local, Domain: "b.example"}); sendable(odd) && odd != to[0] {
			to = append(to, odd)
		}
		m := &message{r: bytes.NewReader(text), size: int64(len(text)), headerLen: 14, header: sha256.Sum256(text[:14]), body: sha256.Sum256(text[14:])}
		var rs []result
		if s, tr := d.connect(t.Context(), "h", &lane{slots: make(chan struct{}, 1)}, hop, host{addr: "x", name: "x"}, need{}); tr == nil {
			rs, _ = s.send(t.Context(), hop, m, "Received: x\r\n", &spool.Entry{}, to)
			s.close()
		} else {
			for _, a := range to {
				rs = append(rs, tr.result(hop, a))
			}
		}
		ours.Close()
		theirs.Close()
		wg.Wait()
		seen := map[envelope.Address]int{}
		for _, r := range rs {
			seen[r.to]++
			if r.outcome == sent && !bytes.Contains(answers, []byte("354")) {
				t.Errorf("%v counts as sent", r.to)
			}
		}
		for _, a := range to {
			if seen[a] != 1 {
				t.Errorf("%d results for %q", seen[a], a)
			}
		}
		body := false
		for l := range strings.SplitSeq(heard.String(), "\r\n") {
			switch {
			case body:
				body = l != "."
			case l == "DATA":
				// The answer to it may be no; then commands follow.
				body = bytes.Contains(answers, []byte("354"))
			case l == "", l == "RSET", l == "QUIT", l == "EHLO mx.example", l == "HELO mx.example", strings.HasPrefix(l, "MAIL FROM:<>"):
			case strings.HasPrefix(l, "RCPT TO:<") && strings.HasSuffix(l, "@b.example>") && strings.Count(l, ">") == 1 && strings.Count(l, " ") == 1:
			default:
				if !strings.HasPrefix("RCPT TO:<", l) && !strings.HasPrefix("MAIL FROM:<>", l) && !bytes.Contains(answers, []byte("354")) {
					t.Errorf("it said %q", l)
				}
			}
		}
	})
}
