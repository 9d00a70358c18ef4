package quarantine

import (
	"sync"
	"time"
)

const (
	// forwardStep is how far the clock may step forward without notice. Of what
	// waits for fourteen days nobody misses an hour.
	forwardStep = time.Hour
	// stepPause is how long nothing expires after it: a day, so that somebody
	// comes to work in it.
	stepPause = 24 * time.Hour
)

// clock sees steps of the wall clock by comparing it with the machine's own,
// which only runs forward. What happened before this process it cannot see.
type clock struct {
	mu     sync.Mutex
	seen   bool
	wall   time.Time
	steady time.Duration
	until  time.Duration // of a pause
}

// forward returns a step since it was last asked, and whether there is a pause
// after an earlier one. Without a steady clock there are no steps.
func (c *clock) forward(now time.Time, steady func() time.Duration) (step time.Duration, pause bool) {
	if steady == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := steady()
	if c.seen {
		step = now.Round(0).Sub(c.wall) - (at - c.steady)
	}
	c.seen, c.wall, c.steady = true, now.Round(0), at
	if step > forwardStep {
		c.until = at + stepPause
		return step, true
	}
	return 0, at < c.until
}
