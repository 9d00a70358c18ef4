package delivery

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/spool"
)

// hopStates knows which hops of named hosts are down. It is a memory of this
// process only: a daemon that starts finds out anew.
type hopStates struct {
	mu   sync.Mutex
	down map[string]*downHop // by destination key
}

type downHop struct {
	hop     routing.Hop
	why     string
	probed  time.Time
	probing bool
}

// isDown returns why a hop is not dialled now, or "".
func (h *hopStates) isDown(key string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.down[key]; s != nil {
		return s.why
	}
	return ""
}

// fell notes that no host of a hop could be reached. It reports whether that
// is news.
func (h *hopStates) fell(key string, hop routing.Hop, why string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down == nil {
		h.down = map[string]*downHop{}
	}
	if h.down[key] != nil {
		return false
	}
	h.down[key] = &downHop{hop: hop, why: why, probed: now}
	return true
}

// due returns the hops that are to be probed now, and marks them.
func (h *hopStates) due(now time.Time, every time.Duration) []routing.Hop {
	h.mu.Lock()
	defer h.mu.Unlock()
	var hops []routing.Hop
	for _, s := range h.down {
		if !s.probing && now.Sub(s.probed) >= every {
			s.probing, s.probed = true, now
			hops = append(hops, s.hop)
		}
	}
	return hops
}

// ended ends a probe: up forgets the hop.
func (h *hopStates) ended(key string, up bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if up {
		delete(h.down, key)
	} else if s := h.down[key]; s != nil {
		s.probing = false
	}
}

// fell notes that nothing of a hop answers. Where another message is being
// served just now it is not down, only short of connections.
func (d *Delivery) fell(to destination, why string) {
	if to.hop.MX || d.lanes.open(to.key()) > 0 {
		return
	}
	if d.hops.fell(to.key(), to.hop, why, time.Now()) {
		d.Log.Warn("hop down", "hop", to.hop.Name, "err", why)
		d.toldDown(to.hop, true)
	}
}

func (d *Delivery) toldDown(hop routing.Hop, down bool) {
	if d.Metrics.Down != nil {
		d.Metrics.Down(hop.Name, down)
	}
}

// probe asks a hop whether it is back, without a message. When it is, all that
// waits for it is due: the next hourly try would keep it another hour.
func (d *Delivery) probe(ctx context.Context, hop routing.Hop) {
	key := destination{hop: hop}.key()
	// A reload may have taken the hop away, or changed where it leads.
	current := slices.ContainsFunc(d.Table().Hops(), func(h routing.Hop) bool { return destination{hop: h}.key() == key })
	up := !current || d.answers(ctx, hop)
	// First the hop counts as up again, or what is woken would be turned away.
	d.hops.ended(key, up)
	if !up {
		return
	}
	d.toldDown(hop, false)
	if current {
		d.Log.Info("hop back", "hop", hop.Name)
		d.wake(ctx, hop)
	}
}

// answers reports whether a session comes about with one of the hosts of a hop.
func (d *Delivery) answers(ctx context.Context, hop routing.Hop) bool {
	// It is a connection like any other, and needs a slot.
	key := destination{hop: hop}.key()
	l, _, err := d.lanes.slot(ctx, key, d.slotsOf(hop), math.MaxInt)
	if err != nil {
		return false
	}
	defer d.lanes.release(key, l)
	for _, entry := range hop.Hosts {
		hs, err := d.addresses(ctx, hop, entry)
		if err != nil {
			continue
		}
		for _, h := range hs {
			if s, t := d.connect(ctx, key, l, hop, h, need{}); t == nil {
				s.quit()
				return true
			}
		}
	}
	return false
}

const (
	// wakePage is how many rows are looked at in one go, and wakeAtOnce how many
	// are made due: what waits in the window before another hop's mail is never
	// more than that.
	wakePage, wakeAtOnce = 500, 5
	// wakePause is the time between two portions, which makes 100 messages a
	// second: fifty thousand are out in eight minutes, and two cores have most
	// of their time left for the mail of the others.
	wakePause = 50 * time.Millisecond
)

// wake makes what waits for a hop due, oldest first, as fast as the hop takes
// it: fifty thousand messages that were due at once would stand before those of
// every other hop. It ends when the hop is down again.
func (d *Delivery) wake(ctx context.Context, hop routing.Hop) {
	key := destination{hop: hop}.key()
	room := func() bool {
		for ctx.Err() == nil && d.hops.isDown(key) == "" {
			select {
			case <-time.After(wakePause):
			case <-ctx.Done():
			}
			if d.lanes.users(key) < d.slotsOf(hop) {
				return ctx.Err() == nil
			}
		}
		return false
	}
	var after envelope.ID
	for {
		es, err := d.Spool.List(ctx, spool.Filter{State: spool.Queued, Limit: wakePage, After: after})
		if err != nil {
			if ctx.Err() == nil {
				d.Log.Error("wake", "hop", hop.Name, "err", err)
			}
			return
		}
		var ids []envelope.ID
		for i := range es {
			after = es[i].Envelope.ID
			if d.waitsFor(&es[i], hop.Name) {
				ids = append(ids, after)
			}
		}
		for portion := range slices.Chunk(ids, wakeAtOnce) {
			if !room() {
				return
			}
			if _, err := d.Spool.Hasten(ctx, spool.Queued, portion, d.now()); err != nil && ctx.Err() == nil {
				d.Log.Error("wake", "hop", hop.Name, "err", err)
				return
			}
		}
		if len(es) < wakePage {
			return
		}
	}
}

func (d *Delivery) waitsFor(e *spool.Entry, hop string) bool {
	if !e.Due.After(d.now()) {
		return false
	}
	for _, a := range e.Pending {
		if h, _, err := d.Table().Find(zone(e), a); err == nil && h.Name == hop {
			return true
		}
	}
	return false
}
