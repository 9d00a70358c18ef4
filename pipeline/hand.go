package pipeline

import (
	"context"
	"sync"
	"time"

	"sekisho/envelope"
	"sekisho/spool"
)

// hand is what the places of Run are, and who else may have one: what is
// accepted while nothing waits is examined at once, with no claim in between.
type hand struct {
	mu     sync.Mutex
	slots  chan struct{}
	work   context.Context // nil: nothing is taken
	inHand sync.WaitGroup
	idle   bool // nothing waits in the journal for a place, as far as is known
	seen   map[envelope.TenantID]time.Time
	pruned time.Time
}

func (h *hand) open(work context.Context, workers int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.work, h.slots, h.seen = work, make(chan struct{}, workers), map[envelope.TenantID]time.Time{}
}

// close lets nothing more in.
func (h *hand) close() {
	h.mu.Lock()
	h.work = nil
	h.mu.Unlock()
}

// rest says whether nothing waits. While something does, all that comes waits
// behind it, and the journal says whose turn it is.
func (h *hand) rest(idle bool) {
	h.mu.Lock()
	h.idle = idle
	h.mu.Unlock()
}

// lately is how long a tenant counts as one that has mail.
const lately = time.Second

// few reports whether the tenants that have mail, t among them, are no more
// than the examiner serves beside one another: where they are more, they take
// turns.
func (h *hand) few(t envelope.TenantID, seats int, now time.Time) bool {
	if seats <= 0 {
		return true
	}
	h.seen[t] = now
	if len(h.seen) > seats && now.Sub(h.pruned) >= lately/10 {
		h.pruned = now
		for t, at := range h.seen {
			if now.Sub(at) >= lately {
				delete(h.seen, t)
			}
		}
	}
	return len(h.seen) <= seats
}

// Hand is the spool's: a place for one message of this tenant that is about to
// be accepted, or nil.
func (p *Pipeline) Hand(t envelope.TenantID) func(*spool.Entry) {
	h := &p.hand
	h.mu.Lock()
	defer h.mu.Unlock()
	// By the machine's clock, which does not jump.
	if h.work == nil || !h.few(t, p.Tenants, time.Now()) || !h.idle {
		return nil
	}
	select {
	case h.slots <- struct{}{}:
	default:
		return nil
	}
	work := h.work
	h.inHand.Add(1)
	return func(e *spool.Entry) {
		if e == nil {
			<-h.slots
			h.inHand.Done()
			return
		}
		go func() {
			defer h.inHand.Done()
			defer func() { <-h.slots }()
			p.step(work, *e)
		}()
	}
}
