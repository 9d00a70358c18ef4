package smtpd

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// end is what a connection heard last, and when.
type end struct {
	text string
	at   time.Time
}

// ends reads in the background until the server closes.
func (k *talk) ends() <-chan end {
	c := make(chan end, 1)
	go func() {
		b, _ := io.ReadAll(k.r)
		c <- end{string(b), time.Now()}
	}()
	return c
}

// open reports whether the server has not closed yet.
func open(t *testing.T, c <-chan end) bool {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-c:
		t.Logf("closed: %q", e.text)
		return false
	default:
		return true
	}
}

// heard wants the last words of a session that was cut.
func heard(t *testing.T, what string, c <-chan end, want string) {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-c:
		if !strings.HasPrefix(e.text, want) {
			t.Errorf("%s: told %q, wanted %s", what, e.text, want)
		}
	default:
		t.Errorf("%s: is still open", what)
	}
}

func roomy() Limits {
	l := DefaultLimits()
	l.GreetingPause = 0
	l.Connections, l.NearCap, l.StressAt = 20, 6, 1000
	l.ConnectionsPerNetwork, l.ConnectionsPerAddress = 100, 100
	return l
}

func TestNearTheCapTheLongestIdleIsCutFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, roomy(), nil)
		defer r.close()
		busy := r.talk(t, "192.0.2.100")
		busy.data()
		var idle []<-chan end
		for i := range 4 {
			k := r.talk(t, fmt.Sprintf("192.0.2.%d", i+1))
			k.hear("220")
			idle = append(idle, k.ends())
			time.Sleep(time.Minute / 6)
			busy.say(strings.Repeat("a", 900) + "\r\n" + strings.Repeat("b", 20_000) + "\r\n")
		}
		// Five are open. The sixth reaches the mark, and each after it.
		for i := range 3 {
			k := r.talk(t, fmt.Sprintf("198.51.100.%d", i+1))
			k.hear("220")
			heard(t, fmt.Sprintf("idle peer %d", i), idle[i], "421 4.7.0 Too many connections, closing an idle one")
			k.say("NOOP\r\n")
			k.hear("250")
		}
		if !open(t, idle[3]) {
			t.Error("more were cut than had to be")
		}
		busy.say("\r\n.\r\n")
		busy.hear("250")
		if n := len(r.messages()); n != 1 {
			t.Errorf("%d messages, wanted the one under way", n)
		}
	})
}

func TestNearTheCapTheSlowestIsCutWhenNobodyIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.NearCap = 4
		r := newRig(t, limits, nil)
		defer r.close()
		var all []*talk
		var done []<-chan end
		stop := make(chan bool)
		for i, rate := range []int{4000, 700, 2000} {
			k := r.talk(t, fmt.Sprintf("192.0.2.%d", i+1))
			k.data()
			all, done = append(all, k), append(done, k.ends())
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
						io.WriteString(k.c, strings.Repeat("a", rate-2)+"\r\n")
					}
				}
			}()
		}
		time.Sleep(20*time.Second + 500*time.Millisecond)
		k := r.talk(t, "198.51.100.1")
		k.hear("220")
		heard(t, "700 bytes a second", done[1], "421 4.7.0 Too many connections, closing a slow one")
		if !open(t, done[0]) || !open(t, done[2]) {
			t.Error("a faster one was cut too")
		}
		close(stop)
		for _, k := range all {
			k.c.Close()
		}
	})
}

func TestNearTheCapNoNetworkHoldsMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.NearCap, limits.ConnectionsPerNetwork = 10, 2
		r := newRig(t, limits, nil)
		defer r.close()
		var one, other []<-chan end
		for i := range 2 {
			k := r.talk(t, fmt.Sprintf("198.51.100.%d", i+1))
			k.hear("220")
			other = append(other, k.ends())
		}
		time.Sleep(5 * time.Second)
		for i := range 7 {
			k := r.talk(t, fmt.Sprintf("192.0.2.%d", i+1))
			k.hear("220")
			one = append(one, k.ends())
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		k := r.talk(t, "203.0.113.1")
		k.hear("220")
		for i := range 5 {
			heard(t, fmt.Sprintf("number %d of the greedy network", i), one[i], "421 4.7.0 Too many connections, closing an idle one")
		}
		if !open(t, one[5]) || !open(t, one[6]) {
			t.Error("the network lost what it may have")
		}
		if !open(t, other[0]) || !open(t, other[1]) {
			t.Error("a network within its share was cut, though it was idle for longer")
		}
	})
}

func TestNamedPeersAreCutLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.NearCap = 3
		r := newRig(t, limits, nil)
		defer r.close()
		r.listener.Named = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		named := r.talk(t, "192.0.2.1")
		named.hear("220")
		namedEnds := named.ends()
		time.Sleep(time.Minute)
		k := r.talk(t, "198.51.100.1")
		k.hear("220")
		stranger := k.ends()
		time.Sleep(2 * time.Second)
		r.talk(t, "198.51.100.2").hear("220")
		heard(t, "the stranger", stranger, "421 4.7.0")
		if !open(t, namedEnds) {
			t.Error("the named peer was cut before a stranger")
		}
	})
}

func TestFullGateMakesRoomForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.Connections, limits.NearCap = 5, 5
		r := newRig(t, limits, nil)
		defer r.close()
		for i := range 5 {
			r.talk(t, fmt.Sprintf("192.0.2.%d", i+1)).hear("220")
		}
		// All have just come, so the next one finds no room.
		r.talk(t, "198.51.100.1").hear("421 4.7.0 Too many connections, try")
		if n := r.gate.Connections(); n != 5 {
			t.Errorf("%d connections, wanted 5", n)
		}
	})
}

// TestStressReachesWhatIsUnderWay begins each wait before the stress.
func TestStressReachesWhatIsUnderWay(t *testing.T) {
	cert := testCertificate(t)
	for _, c := range []struct {
		name  string
		begin func(k *talk)
		drip  string
		want  string
	}{
		{"a command that does not come", func(k *talk) { k.hear("220") }, "", "421 4.4.2"},
		{"a command that comes a byte a second", func(k *talk) { k.hear("220") }, "x", "421 4.4.2"},
		{"a message that does not come", (*talk).data, "", "421 4.4.2"},
		{"a message that comes a byte a second", (*talk).data, "x", "421 4.4.2"},
		{"a handshake that does not come", func(k *talk) {
			k.hear("220")
			k.say("EHLO c.example\r\n")
			k.hear("250")
			k.say("STARTTLS\r\n")
			k.hear("220")
		}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := roomy()
				limits.NearCap, limits.StressAt = 1000, 2
				r := newRig(t, limits, &cert)
				defer r.close()
				k := r.talk(t, "192.0.2.1")
				c.begin(k)
				ends := k.ends()
				dripped := make(chan bool)
				go func() {
					defer close(dripped)
					for c.drip != "" {
						if _, err := io.WriteString(k.c, c.drip); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				time.Sleep(5 * time.Second)
				start := time.Now()
				r.talk(t, "192.0.2.2").hear("220")
				e := <-ends
				// RST and 421 both end it; what counts is when.
				if took := e.at.Sub(start); took < 9*time.Second || took > 15*time.Second {
					t.Errorf("cut %v after the stress began, wanted 10 s", took)
				}
				if !strings.HasPrefix(e.text, c.want) {
					t.Errorf("told %q, wanted %s", e.text, c.want)
				}
				k.c.Close()
				<-dripped
			})
		})
	}
}

// TestStressThatIsOverSparesNoMessageOfIt: the stress comes and goes between two
// octets of a message that comes a byte a second, which is cut like all that
// waited.
func TestStressThatIsOverSparesNoMessageOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.NearCap, limits.StressAt = 1000, 2
		r := newRig(t, limits, nil)
		defer r.close()
		k := r.talk(t, "192.0.2.1")
		k.data()
		ends := k.ends()
		dripped := make(chan bool)
		go func() {
			defer close(dripped)
			for {
				if _, err := io.WriteString(k.c, "x"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		time.Sleep(5200 * time.Millisecond)
		start := time.Now()
		short := r.talk(t, "192.0.2.2")
		short.hear("220")
		short.say("QUIT\r\n")
		short.hear("221")
		e := <-ends
		if took := e.at.Sub(start); took < 9*time.Second || took > 15*time.Second {
			t.Errorf("cut %v after the stress began, wanted 10 s", took)
		}
		if !strings.HasPrefix(e.text, "421 4.4.2 Too slow") {
			t.Errorf("told %q, wanted that it was too slow", e.text)
		}
		k.c.Close()
		<-dripped
	})
}

// TestPeerThatDoesNotReadIsCut fills the way to a peer: nothing it is told
// leaves any more.
func TestPeerThatDoesNotReadIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.NearCap = 2
		r := newRig(t, limits, nil)
		defer r.close()
		deaf := r.talk(t, "192.0.2.1")
		// A pipe has no buffer, so the greeting waits already.
		time.Sleep(2 * time.Second)
		r.talk(t, "192.0.2.2").hear("220")
		time.Sleep(2 * time.Second)
		if n := r.gate.Connections(); n != 1 {
			t.Errorf("%d connections, wanted the one that reads", n)
		}
		deaf.c.Close()
	})
}

// TestCutInsideTLSIsSaidInsideTLS reads the last words through the encryption.
func TestCutInsideTLSIsSaidInsideTLS(t *testing.T) {
	cert := testCertificate(t)
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.NearCap = 2
		r := newRig(t, limits, &cert)
		defer r.close()
		k := r.talk(t, "192.0.2.1")
		k.hear("220")
		k.say("EHLO c.example\r\n")
		k.hear("250")
		k.say("STARTTLS\r\n")
		k.hear("220")
		c := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		r.talk(t, "192.0.2.2").hear("220")
		b, _ := io.ReadAll(c)
		if !strings.HasPrefix(string(b), "421 4.7.0 Too many connections, closing an idle one") {
			t.Errorf("told %q", b)
		}
	})
}

// TestAHandshakeThatPanicsEndsItsConnectionAlone: it runs beside the session, which
// the library guards, and the daemon must outlive it all the same.
func TestAHandshakeThatPanicsEndsItsConnectionAlone(t *testing.T) {
	cert := testCertificate(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, roomy(), &cert)
		defer r.close()
		r.listener.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("what nobody foresaw") }
		k := r.talk(t, "192.0.2.1")
		k.hear("220")
		k.say("EHLO c.example\r\n")
		k.hear("250")
		k.say("STARTTLS\r\n")
		k.hear("220")
		if err := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
			t.Error("the handshake succeeded")
		}
		r.talk(t, "192.0.2.2").hear("220")
	})
}
