package smtpd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// talk is a client that sends at its own pace; answers are read by line.
type talk struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (r *rig) talk(t *testing.T, from string) *talk {
	c := r.l.dial(from)
	return &talk{t: t, c: c, r: bufio.NewReader(c)}
}

func (k *talk) say(s string) {
	k.t.Helper()
	if _, err := k.c.Write([]byte(s)); err != nil {
		k.t.Fatalf("sending %.40q: %v", s, err)
	}
}

// hear reads one answer and wants it to begin with a prefix.
func (k *talk) hear(prefix string) {
	k.t.Helper()
	for {
		l, err := k.r.ReadString('\n')
		if err != nil {
			k.t.Fatalf("waiting for %s: %v", prefix, err)
		}
		if len(l) > 3 && l[3] == '-' {
			continue
		}
		if !strings.HasPrefix(l, prefix) {
			k.t.Fatalf("got %q, wanted %s", l, prefix)
		}
		return
	}
}

// data brings a session into the middle of a message.
func (k *talk) data() {
	k.addressed()
	k.hear("354")
}

// addressed says DATA after all that comes before it.
func (k *talk) addressed() {
	k.hear("220")
	for _, s := range []string{"EHLO c.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example>"} {
		k.say(s + "\r\n")
		k.hear("250")
	}
	k.say("DATA\r\n")
}

// drip sends a chunk every so often until the server closes, and returns how
// long that took and what it said last.
func (k *talk) drip(chunk string, every time.Duration) (time.Duration, string) {
	start := time.Now()
	last := make(chan string)
	go func() {
		b, _ := io.ReadAll(k.r)
		last <- string(b)
	}()
	for {
		if _, err := k.c.Write([]byte(chunk)); err != nil {
			break
		}
		time.Sleep(every)
	}
	took := time.Since(start)
	return took, <-last
}

func TestSlowSenderIsCut(t *testing.T) {
	for _, c := range []struct {
		name, chunk string
		every       time.Duration
		from, to    time.Duration
	}{
		{"one octet a second", "a", time.Second, 60 * time.Second, 62 * time.Second},
		{"499 octets a second", strings.Repeat("a", 497) + "\r\n", time.Second, 60 * time.Second, 62 * time.Second},
		{"500 octets a second until the time of a message is over", strings.Repeat("a", 498) + "\r\n", time.Second, 600 * time.Second, 602 * time.Second},
		{"many octets and then none", strings.Repeat("a\r\n", 30000), time.Hour, 60 * time.Second, 2 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := DefaultLimits()
				limits.GreetingPause = 0
				r := newRig(t, limits, nil)
				defer r.close()
				k := r.talk(t, "192.0.2.1")
				k.data()
				took, last := k.drip(c.chunk, c.every)
				if took < c.from || took > c.to {
					t.Errorf("cut after %v, wanted %v to %v", took, c.from, c.to)
				}
				if !strings.HasPrefix(last, "421 4.4.2") {
					t.Errorf("last words %q, wanted 421 4.4.2", last)
				}
				if n := len(r.messages()); n != 0 {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}

func TestSlowDiskIsNotThePeersFault(t *testing.T) {
	p := newPace(60*time.Second, 500)
	p.add(time.Millisecond, 100)
	if got := p.patience(); got < 59*time.Second || got > 60*time.Second {
		t.Errorf("after a millisecond of waiting: patience %v, wanted about 60 s", got)
	}
}

func TestPaceLooksAtAnyWindow(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []int64 // bytes in each second
		want  time.Duration
	}{
		{"nothing yet", nil, 60 * time.Second},
		{"a burst in the first second carries it to its end", []int64{30_000}, 60 * time.Second},
		{"a burst at 30 s keeps until 90 s", append(make([]int64, 30), 30_000), 60 * time.Second},
		{"60 s of the least rate", many(60, 500), time.Second},
		{"60 s of double rate", many(60, 1000), 31 * time.Second},
		{"60 s of too little", many(60, 499), 0},
	} {
		p := newPace(60*time.Second, 500)
		for _, n := range c.steps {
			p.add(0, n)
			p.add(time.Second, 0)
		}
		if got := p.patience(); got < c.want-time.Second || got > c.want+time.Second {
			t.Errorf("%s: patience %v, wanted %v", c.name, got, c.want)
		}
	}
}

func many(n int, v int64) []int64 {
	s := make([]int64, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func TestStopEndsIdleSessionsAndLetsMessagesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		limits.GreetingPause = 0
		r := newRig(t, limits, nil)
		defer r.close()
		idle, busy := r.talk(t, "192.0.2.1"), r.talk(t, "192.0.2.2")
		idle.hear("220")
		busy.data()
		busy.say("Subject: t\r\n\r\n")
		synctest.Wait()
		r.gate.Stop()
		idle.hear("421 4.3.2")
		busy.say("x\r\n.\r\n")
		busy.hear("250")
		busy.hear("421 4.3.2")
		if n := len(r.messages()); n != 1 {
			t.Errorf("%d messages, wanted the one that was under way", n)
		}
		late := r.talk(t, "192.0.2.3")
		late.hear("421 4.3.2")
	})
}

func TestConnectionsAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		limits.GreetingPause = 0
		limits.ConnectionsPerAddress, limits.Connections, limits.NearCap, limits.ConnectionsPerNetwork = 2, 8, 5, 4
		r := newRig(t, limits, nil)
		defer r.close()
		var open []*talk
		enter := func(from, want string) {
			t.Helper()
			k := r.talk(t, from)
			k.hear(want)
			if want == "220" {
				open = append(open, k)
			}
		}
		enter("192.0.2.1", "220")
		enter("192.0.2.1", "220")
		enter("192.0.2.1", "421 4.7.0 Too many connections from your address")
		enter("192.0.2.2", "220")
		enter("192.0.2.2", "220")
		enter("2001:db8::1", "220")
		// Five are open: from here on a /24 may hold four.
		enter("192.0.2.3", "421 4.7.0 Too many connections from your network")
		enter("198.51.100.1", "220")
		// One host has a whole /64.
		enter("2001:db8::2", "220")
		enter("2001:db8::3", "421 4.7.0 Too many connections from your address")
		enter("203.0.113.1", "220")
		enter("203.0.113.2", "421 4.7.0 Too many connections, ")
		if n := r.gate.Connections(); n != 8 {
			t.Errorf("%d connections, wanted 8", n)
		}
		for _, k := range open {
			k.say("QUIT\r\n")
			k.hear("221")
		}
		synctest.Wait()
		if n := r.gate.Connections(); n != 0 {
			t.Errorf("%d connections after all went", n)
		}
		if len(r.gate.byPeer)+len(r.gate.byNet) != 0 {
			t.Error("counts are left over")
		}
		enter("203.0.113.2", "220")
	})
}

func TestStressShortensWaitsAlreadyBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		limits.GreetingPause = 0
		limits.StressAt = 2
		r := newRig(t, limits, nil)
		defer r.close()
		first := r.talk(t, "192.0.2.1")
		first.hear("220")
		time.Sleep(20 * time.Second)
		second := r.talk(t, "192.0.2.2")
		second.hear("220")
		start := time.Now()
		first.hear("421 4.4.2")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("cut %v after the stress began, wanted 10 s", took)
		}
	})
}

func TestGreetingPauseIsForStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		r := newRig(t, limits, nil)
		defer r.close()
		greeted := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			k := r.talk(t, "192.0.2.1")
			k.hear("220")
			if took := time.Since(start); took != want {
				t.Errorf("greeted after %v, wanted %v", took, want)
			}
			k.say("QUIT\r\n")
			k.hear("221")
		}
		greeted(200 * time.Millisecond)
		greeted(0)
		time.Sleep(7*24*time.Hour - time.Minute)
		greeted(0)
		time.Sleep(2 * time.Minute)
		greeted(200 * time.Millisecond)
	})
}

func TestNetworksOfAListenerAreNamedPeers(t *testing.T) {
	l := &Listener{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	gate, err := NewGate(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	l.Gate, l.Log = gate, discard
	for _, c := range []struct {
		from string
		in   bool
	}{{"10.1.2.3", true}, {"::ffff:10.1.2.3", true}, {"10.2.0.1", false}, {"::1", false}} {
		mine, theirs := net.Pipe()
		said := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(mine)
			said <- string(b)
		}()
		g := l.admit(addressed{theirs, netip.MustParseAddr(c.from)})
		if (g != nil) != c.in {
			t.Errorf("%s: admitted %v, wanted %v", c.from, g != nil, c.in)
		}
		if g != nil {
			if !g.Named() || g.cfg.pause != 0 {
				t.Errorf("%s: named %v, pause %v", c.from, g.Named(), g.cfg.pause)
			}
			g.Close()
		}
		if got := <-said; !c.in && got != "554 5.7.1 Access denied\r\n" {
			t.Errorf("%s: told %q", c.from, got)
		}
	}
}

func TestLimitsThatDoNotLimitAreRefused(t *testing.T) {
	if _, err := NewGate(Limits{}); err == nil {
		t.Error("the zero value was accepted")
	}
	l := DefaultLimits()
	l.Recipients = 0
	if _, err := NewGate(l); err == nil || !strings.Contains(err.Error(), "recipients") {
		t.Errorf("no recipients: got %v", err)
	}
}

// TestAnswerSurvivesTheClose sends on after what closes: the reset of a socket
// closed with bytes unread must not overtake the answer.
func TestAnswerSurvivesTheClose(t *testing.T) {
	limits := DefaultLimits()
	limits.GreetingPause = 0
	r := newRig(t, limits, nil)
	defer r.close()
	real, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	go r.srv.Serve(&Listener{Listener: real, Gate: r.gate, Hostname: "mx.town.example", Log: discard})
	for i := range 20 {
		c, err := net.Dial("tcp", real.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "BDAT 100000 LAST\r\n%s", strings.Repeat("x", 300_000))
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		b, _ := io.ReadAll(c)
		if !strings.Contains(string(b), "502 5.5.1") {
			t.Fatalf("connection %d: got %q, wanted 502", i, b)
		}
		c.Close()
	}
}
