package smtpd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// crowd opens n connections of as many networks, each in the middle of a
// message.
func crowd(t *testing.T, r *rig, n int) []*talk {
	var all []*talk
	for i := range n {
		k := r.talk(t, fmt.Sprintf("10.0.%d.1", i))
		k.data()
		k.say("Subject: t\r\n\r\n" + strings.Repeat(strings.Repeat("a", 998)+"\r\n", 6+i%2*4))
		all = append(all, k)
	}
	return all
}

func TestMessagesAtOnceAreBoundedAndTheSlowestMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.Connections, limits.NearCap = 300, 250
		r := newRig(t, limits, nil)
		defer r.close()
		r.listener.Named = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		all := crowd(t, r, leastReceiving)
		// None of them has had time to show how fast it is.
		late := r.talk(t, "192.0.2.1")
		late.addressed()
		late.hear("451 4.3.2 Too many messages at once")
		named := r.talk(t, "203.0.113.1")
		named.addressed()
		named.hear("354")
		named.say(".\r\n")
		named.hear("250")

		time.Sleep(limits.DataWindowStress + time.Second)
		// The session goes on, and DATA is taken now.
		late.say("DATA\r\n")
		late.hear("354")
		late.say("Subject: late\r\n\r\nx\r\n.\r\n")
		late.hear("250")
		cut := 0
		for i, k := range all {
			if i%2 == 0 && !open(t, k.ends()) {
				cut++
			}
		}
		if cut != 2 {
			t.Errorf("%d of the slowest were cut, wanted one and a hundredth", cut)
		}
		for i, k := range all {
			if i%2 == 1 {
				k.say(".\r\n")
				k.hear("250")
			}
		}
		if n := r.gate.receiving; n != leastReceiving/2-2 {
			t.Errorf("%d messages count as on their way", n)
		}
		for _, k := range all {
			k.c.Close()
		}
		synctest.Wait()
		if n := r.gate.receiving; n != 0 {
			t.Errorf("%d messages count as on their way, and all are gone", n)
		}
	})
}

func TestOneNetworkDoesNotHoldAllMessagesOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := roomy()
		limits.Connections, limits.NearCap, limits.ConnectionsPerAddress = 300, 250, 50
		r := newRig(t, limits, nil)
		defer r.close()
		// A slow one of its own, and a network of many that send faster.
		honest := r.talk(t, "192.0.2.1")
		honest.data()
		honest.say("Subject: t\r\n\r\n" + strings.Repeat("a", 900) + "\r\n")
		var greedy []*talk
		for i := range leastReceiving - 1 {
			k := r.talk(t, fmt.Sprintf("198.51.100.%d", 1+i))
			k.data()
			k.say("Subject: t\r\n\r\n" + strings.Repeat(strings.Repeat("a", 998)+"\r\n", 20))
			greedy = append(greedy, k)
		}
		time.Sleep(limits.DataWindowStress + time.Second)
		k := r.talk(t, "203.0.113.1")
		k.addressed()
		k.hear("354")
		k.say(".\r\n")
		k.hear("250")
		honest.say(".\r\n")
		honest.hear("250")
		if n := len(r.messages()); n != 2 {
			t.Errorf("%d messages arrived, want 2", n)
		}
		for _, k := range greedy {
			k.c.Close()
		}
	})
}
