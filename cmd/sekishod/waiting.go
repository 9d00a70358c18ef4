package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// waitsLong is after how long mail that does not get away, or a hop that does
// not answer, is an alarm: somebody is to know within five minutes, and it is
// looked every ten seconds.
const waitsLong = 4 * time.Minute

// outages are the hops that do not answer, and what was said of them and of the
// queue. An alarm is raised once for each outage.
type outages struct {
	mu    sync.Mutex
	since map[string]time.Time // by hop
	told  map[string]bool
	queue bool // its age was told
}

// down notes that a hop went down or came back.
func (o *outages) down(hop string, down bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since == nil {
		o.since, o.told = map[string]time.Time{}, map[string]bool{}
	}
	if down {
		o.since[hop] = now
		return
	}
	delete(o.since, hop)
	delete(o.told, hop)
}

// due returns the hops that are to be told of now.
func (o *outages) due(now time.Time) (hops []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for hop, at := range o.since {
		if !o.told[hop] && now.Sub(at) >= waitsLong {
			o.told[hop] = true
			hops = append(hops, hop)
		}
	}
	return hops
}

// old reports whether the age of the queue is to be told of now: when it gets
// old, and not again before it has been young.
func (o *outages) old(oldest, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := !oldest.IsZero() && now.Sub(oldest) >= waitsLong
	news := old && !o.queue
	o.queue = old
	return news
}

// watchWaiting raises the alarms of hops that are down and of mail that waits.
func (g *gateway) watchWaiting(ctx context.Context, now time.Time) {
	for _, hop := range g.metrics.outages.due(now) {
		g.log.Error("hop down", "hop", hop, "err", fmt.Sprintf("it has not answered for %v", waitsLong))
		g.metrics.alarms.WithLabelValues("hop").Inc()
	}
	_, oldest, err := g.store.Count(ctx)
	if err != nil {
		if ctx.Err() == nil {
			g.log.Error("count", "err", err)
		}
		return
	}
	if g.metrics.outages.old(oldest, now) {
		g.log.Error("queue", "err", "the oldest message waits since "+oldest.Format(time.RFC3339))
		g.metrics.alarms.WithLabelValues("queue").Inc()
	}
}
