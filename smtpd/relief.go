package smtpd

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// A candidate is a session that may be cut to make room.
type candidate struct {
	g     *Guard
	p     *place
	idle  bool
	since time.Time // idle: since when
	young bool      // has had no time yet to speak, or to show how fast it is, or we work for it
	rate  float64   // slow: bytes a second so far
}

// searchEvery is how long nobody is looked for after a search in vain: with
// twelve thousand sessions one costs a millisecond, and connections come fast.
const searchEvery = 100 * time.Millisecond

// relieve cuts sessions so that the gate stays near its cap: first those of
// networks that hold more than their share, then any; and of each first the
// idle, the longest idle first, then the slowest. Peers that the configuration
// names go last. The caller has locked t.
func (t *Gate) relieve() {
	now := time.Now()
	if now.Sub(t.looked) < searchEvery {
		// The last connection of a flood brings nobody behind it who would look.
		if !t.lookAgain {
			t.lookAgain = true
			time.AfterFunc(searchEvery, func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.lookAgain = false
				if t.near && !t.stopping {
					t.relieve()
				}
			})
		}
		return
	}
	need := len(t.guards) - t.cutting - t.bounds().NearCap + 1
	over := map[netip.Prefix]int{}
	for n, k := range t.byNet {
		if k > t.bounds().ConnectionsPerNetwork {
			over[n] = k - t.bounds().ConnectionsPerNetwork
		}
	}
	if need <= 0 && len(over) == 0 {
		return
	}
	var all []candidate
	for g, p := range t.guards {
		if p.cut {
			if over[p.network] > 0 && !p.named {
				over[p.network]--
			}
			continue
		}
		c := g.candidate(now)
		c.p = p
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b candidate) int {
		switch {
		case a.p.named != b.p.named:
			return before(b.p.named)
		case a.idle != b.idle:
			return before(a.idle)
		case a.idle:
			return a.since.Compare(b.since)
		case a.young != b.young:
			return before(b.young)
		default:
			return cmp.Compare(a.rate, b.rate)
		}
	})
	cut := 0
	for _, c := range all {
		if !c.p.named && over[c.p.network] > 0 {
			over[c.p.network]--
			t.cut(c)
			cut++
		}
	}
	// A hundredth more than is needed, so that the search pays.
	if need -= cut; need > 0 {
		need += t.bounds().Connections / 100
	}
	for _, c := range all {
		if need <= 0 {
			break
		}
		if !c.p.cut && !c.young {
			t.cut(c)
			need--
			cut++
		}
	}
	if cut == 0 {
		t.looked = now
	}
}

func before(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

// cut tells one session to end.
func (t *Gate) cut(c candidate) {
	c.p.cut = true
	t.done(c.p)
	t.cutting++
	why := &closeSlow
	if c.idle {
		why = &closeIdle
	}
	c.g.Cut(why)
}

// candidate says how a session stands. It may be called from any goroutine.
func (g *Guard) candidate(now time.Time) candidate {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := candidate{g: g}
	switch {
	case g.writing:
		c.idle, c.since = true, g.written
	case g.wait == waitNothing:
		// What we are doing for it is finished also when it is cut.
		c.young = true
		return c
	case g.wait == waitData:
		took := now.Sub(g.began)
		c.rate = float64(g.got) / max(took.Seconds(), 1)
		c.young = took < g.cfg.limits.DataWindowStress
		return c
	default:
		c.idle, c.since = true, g.since
	}
	// An answer takes a moment to be read and the next command one to come.
	c.young = now.Sub(c.since) < leastIdle
	return c
}

// leastIdle is how long a peer must be silent to be cut for others, unless its
// network holds more than its share, when there is no later time to do it: a second is a long way round the earth
// and back.
const leastIdle = time.Second
