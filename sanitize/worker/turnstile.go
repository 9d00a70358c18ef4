package worker

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A turnstile lets a number of runs in at a time. Who waits is let in by the
// rota of the tenants, those of a tenant in order.
type turnstile struct {
	mu    sync.Mutex
	in    int
	queue []*arrival
	rota  rota
}

// An arrival waits at the turnstile.
type arrival struct {
	tenant string
	let    chan struct{} // closed when it is in
}

// enter waits until the tenant may have one more of so many; leave is owed then.
func (s *turnstile) enter(ctx context.Context, tenant string, places int) error {
	a := &arrival{tenant: tenant, let: make(chan struct{})}
	s.mu.Lock()
	s.queue = append(s.queue, a)
	s.admit(places)
	s.mu.Unlock()
	select {
	case <-a.let:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.queue, a); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	} else { // it was let in at the same moment
		s.in--
		s.admit(places)
	}
	return fmt.Errorf("worker: %w", context.Cause(ctx))
}

func (s *turnstile) leave(places int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in--
	s.admit(places)
}

// admit lets in whom there is a place for. The caller holds the lock.
func (s *turnstile) admit(places int) {
	for len(s.queue) > 0 && s.in < places {
		first := 0
		for i, a := range s.queue {
			if s.rota.last(a.tenant) < s.rota.last(s.queue[first].tenant) {
				first = i
			}
		}
		a := s.queue[first]
		s.queue = slices.Delete(s.queue, first, first+1)
		s.in++
		s.rota.serve(a.tenant)
		close(a.let)
	}
}
