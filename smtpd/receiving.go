package smtpd

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// A message on its way in costs what twenty idle connections do: two buffers of
// the session, one of the check of its sender, a chunk of the blob and an open
// file, 150 KiB in all. So not every connection may be in the middle of one.
// Whoever holds many and sends slowly is cut for who comes next.
const (
	// ShareReceiving is which part of all connections may be in the middle of a
	// message, each with an open file: 2,000 of 12,000, which are 300 MiB.
	ShareReceiving = 6
	// leastReceiving is for gates that are set small.
	leastReceiving = 100
)

func mostReceiving(l *Limits) int { return max(leastReceiving, l.Connections/ShareReceiving) }

// receive counts a message in, or says why it must wait. It may cut others.
// Peers that the configuration names are always let in, and never cut for it.
func (t *Gate) receive(g *Guard) *refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.guards[g]
	if p == nil || p.receives || p.cut {
		return nil
	}
	if most := mostReceiving(t.bounds()); t.receiving >= most && !t.hasten(most) && !p.named {
		return &refuseReceiving
	}
	p.receives = true
	t.receiving++
	return nil
}

// received counts it out.
func (t *Gate) received(g *Guard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.guards[g]; p != nil {
		t.done(p)
	}
}

// done is received for one that is still counted, also when it is cut or goes.
func (t *Gate) done(p *place) {
	if p.receives {
		p.receives = false
		t.receiving--
	}
}

// hasten cuts the slowest of those that have had time to show how fast they are:
// first those of networks that hold more than a tenth. It reports whether there
// was one. The caller has locked t.
func (t *Gate) hasten(most int) bool {
	now := time.Now()
	if now.Sub(t.hastened) < searchEvery {
		return false
	}
	nets := map[netip.Prefix]int{}
	var slow []candidate
	for g, p := range t.guards {
		if !p.receives || p.named {
			continue
		}
		nets[p.network]++
		if c := g.candidate(now); !c.young && !c.idle {
			c.p = p
			slow = append(slow, c)
		}
	}
	if len(slow) == 0 {
		t.hastened = now
		return false
	}
	slices.SortFunc(slow, func(a, b candidate) int {
		if over := nets[a.p.network] > most/10; over != (nets[b.p.network] > most/10) {
			return before(over)
		}
		return cmp.Compare(a.rate, b.rate)
	})
	// A hundredth, so that the search pays.
	for _, c := range slow[:min(len(slow), 1+most/100)] {
		t.cut(c)
	}
	return true
}
