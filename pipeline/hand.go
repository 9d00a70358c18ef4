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

	// Places for a tenant of whom nothing is in hand and nothing waits, while
	// others' mail waits or fills the slots: a few, since each is one message of
	// one tenant.
	side   chan struct{}
	has    map[envelope.TenantID]int  // messages in hand
	behind map[envelope.TenantID]bool // has something in the journal, as far as is known
	known  bool                       // nothing waited at some time since the start, when anybody may have had something
}

// sidePlaces is how many tenants at a time need not wait behind the mail of
// others.
const sidePlaces = 8

func (h *hand) open(work context.Context, workers int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.work, h.slots, h.seen = work, make(chan struct{}, workers), map[envelope.TenantID]time.Time{}
	h.side = make(chan struct{}, sidePlaces)
	h.has, h.behind, h.known = map[envelope.TenantID]int{}, map[envelope.TenantID]bool{}, false
}

// close lets nothing more in.
func (h *hand) close() {
	h.mu.Lock()
	h.work = nil
	h.mu.Unlock()
}

// rest says whether nothing waits. While something does, all that comes for its
// tenant waits behind it, and the journal says whose turn it is.
func (h *hand) rest(idle bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.idle = idle
	if idle {
		h.known = true
		clear(h.behind)
	}
}

// start has the message examined in the hand it is in, and the place that it has
// there given back.
func (h *hand) start(t envelope.TenantID, places chan struct{}, examine func()) {
	h.mu.Lock()
	h.has[t]++
	h.mu.Unlock()
	h.inHand.Go(func() {
		defer h.leave(t, places)
		examine()
	})
}

func (h *hand) leave(t envelope.TenantID, places chan struct{}) {
	h.mu.Lock()
	if h.has[t]--; h.has[t] <= 0 {
		delete(h.has, t)
	}
	h.mu.Unlock()
	<-places
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
	if h.work == nil {
		return nil
	}
	places := h.place(t, p.Tenants)
	if places == nil {
		h.behind[t] = true
		return nil
	}
	work := h.work
	h.has[t]++
	h.inHand.Add(1)
	return func(e *spool.Entry) {
		if e == nil {
			h.leave(t, places)
			h.inHand.Done()
			return
		}
		go func() {
			defer h.inHand.Done()
			defer h.leave(t, places)
			p.step(work, *e)
		}()
	}
}

// place takes a place for a tenant and returns whose it is, or nil. The caller
// holds the lock.
func (h *hand) place(t envelope.TenantID, seats int) chan struct{} {
	// By the machine's clock, which does not jump.
	if !h.few(t, seats, time.Now()) {
		return nil
	}
	if h.idle {
		select {
		case h.slots <- struct{}{}:
			return h.slots
		default:
		}
	}
	if !h.known || h.has[t] > 0 || h.behind[t] {
		return nil
	}
	select {
	case h.side <- struct{}{}:
		return h.side
	default:
		return nil
	}
}
