package delivery

import (
	"fmt"
	"testing"

	"sekisho/routing"
)

// Domains whose servers hold what they get for minutes leave room for one that
// does not: at once for a first message, and for as many as there are slots as
// soon as it has served one.
func TestTarpitsLeaveRoomForADomainThatServes(t *testing.T) {
	const slots, most = 5, 100
	for _, tarpits := range []int{1, 4, 40, 70} {
		t.Run(fmt.Sprint(tarpits), func(t *testing.T) {
			var ls lanes
			key := func(domain string) string {
				return destination{hop: routing.Hop{Name: "internet", MX: true}, domain: domain}.key()
			}
			enters := func(key string) *lane {
				l := ls.m[key]
				if ls.crowded(key, l, slots, most) != nil {
					return nil
				}
				return ls.enter(key, l, slots, most)
			}
			ls.m = map[string]*lane{}
			taken := 0
			for more := true; more; {
				more = false
				for i := range tarpits {
					if enters(key(fmt.Sprintf("t%d.example", i))) != nil {
						more = true
						taken++
					}
				}
			}
			if least := min(slots, most*3/4/(tarpits+1)) * tarpits; taken < least {
				t.Errorf("%d messages for %d domains that answer nobody, which are slow and get their mail all the same", taken, tarpits)
			}
			good := key("good.example")
			l := enters(good)
			if l == nil {
				t.Fatalf("no room beside %d messages of tarpits", taken)
			}
			l.conns++ // which lies idle for the next
			l.slots <- struct{}{}
			ls.release(good, l)
			for i := range slots {
				if enters(good) == nil {
					t.Fatalf("room for %d messages of a domain that serves, it has %d slots", i, slots)
				}
			}
			// They wait a little for each other, and not for the tarpits.
			for enters(good) != nil {
			}
			if wait, full := ls.full(good, most); !full || wait > lately {
				t.Errorf("it is sent away for %v, full: %v", wait, full)
			}
		})
	}
}
