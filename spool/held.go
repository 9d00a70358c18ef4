package spool

import (
	"context"
	"fmt"
	"sync"

	"sekisho/envelope"
)

// heldBytes are the bytes of whole messages held, by tenant. Parts kept back
// do not count: their mail went on, and its original is kept for that.
type heldBytes struct {
	mu     sync.Mutex
	tenant map[envelope.TenantID]int64
	// counting is the last id that CountHeld has seen; what changes behind it
	// is counted when it gets there.
	counting bool
	upto     envelope.ID
}

func (h *heldBytes) add(e *envelope.Envelope, n int64) {
	if h.tenant == nil {
		h.tenant = map[envelope.TenantID]int64{}
	}
	if h.tenant[e.Tenant] += n; h.tenant[e.Tenant] <= 0 {
		delete(h.tenant, e.Tenant)
	}
}

// moved notes that an entry went from one state to another.
func (h *heldBytes) moved(e *Entry, to State) {
	if len(e.Part) > 0 || (e.State == Held) == (to == Held) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counting && e.Envelope.ID > h.upto {
		return
	}
	n := e.Envelope.Size
	if to != Held {
		n = -n
	}
	h.add(&e.Envelope, n)
}

// Settle is the journal's, and keeps count of what is held.
func (s *Spool) Settle(ctx context.Context, e Entry, c Change) error {
	if err := s.Journal.Settle(ctx, e, c); err != nil {
		return err
	}
	s.held.moved(&e, c.To)
	return nil
}

// HeldBytes returns how many bytes of whole messages are held for a tenant.
func (s *Spool) HeldBytes(t envelope.TenantID) int64 {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	return s.held.tenant[t]
}

// CountHeld counts what was held before the start. It reads every held entry,
// a page at a time, and tells of each whole message; until it returns HeldBytes
// is too low. It is called once.
func (s *Spool) CountHeld(ctx context.Context, each func(*envelope.Envelope)) error {
	const page = 500
	s.held.mu.Lock()
	s.held.counting, s.held.upto = true, ""
	s.held.mu.Unlock()
	defer func() {
		s.held.mu.Lock()
		s.held.counting = false
		s.held.mu.Unlock()
	}()
	for {
		es, err := s.countPage(ctx, page, each)
		if err != nil {
			return fmt.Errorf("count what is held: %w", err)
		}
		if es < page {
			return nil
		}
	}
}

func (s *Spool) countPage(ctx context.Context, page int, each func(*envelope.Envelope)) (int, error) {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	es, err := s.List(ctx, Filter{State: Held, After: s.held.upto, Limit: page})
	if err != nil {
		return 0, err
	}
	for i := range es {
		e := &es[i]
		s.held.upto = e.Envelope.ID
		if len(e.Part) == 0 {
			s.held.add(&e.Envelope, e.Envelope.Size)
			each(&e.Envelope)
		}
	}
	return len(es), nil
}
