package spooltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
)

func manyWriters(t *testing.T, j spool.Journal) {
	const writers, each = 64, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			tenant := envelope.TenantID(fmt.Sprintf("t%d", w%5))
			for range each {
				e := Entry(tenant, start)
				if err := j.Insert(t.Context(), []spool.Entry{e}, []audit.Event{event("received", e.Envelope.ID)}); err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				// What was acknowledged is there.
				if _, err := j.Get(t.Context(), tenant, e.Envelope.ID); err != nil {
					t.Errorf("get: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n, _, err := j.Count(t.Context()); err != nil || n[spool.Received] != writers*each {
		t.Errorf("%v, %v; want %d", n, err, writers*each)
	}
	if acts := CheckAudit(t, j); len(acts) != writers*each {
		t.Errorf("%d events, want %d", len(acts), writers*each)
	}
}

func failureAmongMany(t *testing.T, j spool.Journal) {
	twice := Entry("town", start)
	insert(t, j, twice)
	var ok, failed atomic.Int64
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			e := Entry("town", start)
			bad := w%2 == 1
			if bad {
				e.Envelope.ID = twice.Envelope.ID
			}
			err := j.Insert(t.Context(), []spool.Entry{e}, []audit.Event{event("received", e.Envelope.ID)})
			switch {
			case bad && errors.Is(err, spool.ErrExists):
				failed.Add(1)
			case !bad && err == nil:
				ok.Add(1)
			default:
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 32 || failed.Load() != 32 {
		t.Errorf("%d went well, %d failed; want 32 and 32", ok.Load(), failed.Load())
	}
	if acts := CheckAudit(t, j); len(acts) != 32 {
		t.Errorf("%d events, want 32", len(acts))
	}
}

func cancelled(t *testing.T, j spool.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := Entry("town", start)
	err := j.Insert(ctx, []spool.Entry{e}, nil)
	_, gerr := j.Get(t.Context(), "", e.Envelope.ID)
	if there := gerr == nil; there != (err == nil) {
		t.Errorf("insert said %v, but the entry is there: %v", err, there)
	}
}
