package delivery

import (
	"context"
	"slices"
	"time"

	"sekisho/envelope"
	"sekisho/spool"
)

const (
	// clockStep is how far the clock may go back without notice: corrections of
	// a second or two are everyday.
	clockStep = time.Minute
	// furthest is the longest time that a try is ever put off for: an hour, a
	// tenth, and some minutes of a clock that is being corrected.
	furthest = 75 * time.Minute
)

// clock sees steps of the wall clock by comparing it with the machine's own,
// which only runs forward. It is used by one goroutine.
type clock struct {
	wall, machine time.Time
}

// back reports whether the wall clock went back since it was last asked.
func (c *clock) back(now time.Time) bool {
	machine := time.Now()
	if c.wall.IsZero() {
		c.wall, c.machine = now, machine
		return false
	}
	step := now.Round(0).Sub(c.wall.Round(0)) - machine.Sub(c.machine)
	switch {
	case step <= -clockStep:
		c.wall, c.machine = now, machine
		return true
	case step > 0:
		// Forward: what is due is due. From here on it is measured anew, or a
		// clock that goes forward and back again would show no step.
		c.wall, c.machine = now, machine
	}
	return false
}

// unstick makes due what was put off by a clock that was ahead: ten years ahead,
// and the mail would wait for ten years. What was accepted by such a clock, and
// not yet examined, would wait as long, so it is looked at first.
func (d *Delivery) unstick(ctx context.Context) {
	d.unstickState(ctx, spool.Received)
	d.unstickState(ctx, spool.Queued)
}

func (d *Delivery) unstickState(ctx context.Context, s spool.State) {
	var after envelope.ID
	for ctx.Err() == nil {
		es, err := d.Spool.List(ctx, spool.Filter{State: s, Limit: wakePage, After: after})
		if err != nil {
			if ctx.Err() == nil {
				d.Log.Error("unstick", "err", err)
			}
			return
		}
		now := d.now()
		var ids []envelope.ID
		for i := range es {
			after = es[i].Envelope.ID
			if es[i].Due.Sub(now) > furthest {
				ids = append(ids, after)
			}
		}
		for portion := range slices.Chunk(ids, wakeAtOnce) {
			if _, err := d.Spool.Hasten(ctx, s, portion, now); err != nil {
				if ctx.Err() == nil {
					d.Log.Error("unstick", "err", err)
				}
				return
			}
			select {
			case <-time.After(wakePause):
			case <-ctx.Done():
			}
		}
		if len(es) < wakePage {
			return
		}
	}
}
