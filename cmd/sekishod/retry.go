package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
)

// takeQueued waits a moment for a message that is being tried just now: mostly
// that ends at once, with its being there to be tried again.
func (g *gateway) takeQueued(ctx context.Context, t envelope.TenantID, id envelope.ID) (spool.Entry, error) {
	for end := time.Now().Add(3 * time.Second); ; {
		e, err := g.spool.Take(ctx, t, id, spool.Queued)
		if !errors.Is(err, spool.ErrState) || time.Now().After(end) {
			return e, err
		}
		if now, gerr := g.spool.Get(ctx, t, id); gerr != nil || now.State != spool.Queued {
			return e, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return e, err
		}
	}
}

// retry makes a queued entry due at once.
func (g *gateway) retry(ctx context.Context, t envelope.TenantID, id envelope.ID, by string) error {
	e, err := g.takeQueued(ctx, t, id)
	if err != nil {
		return fmt.Errorf("retry %s: %w", id, err)
	}
	now := time.Now()
	return g.spool.Settle(ctx, e, spool.Change{
		To:     spool.Queued,
		Update: func(e *spool.Entry) { e.Due = now },
		Events: []audit.Event{{Time: now, Tenant: string(e.Envelope.Tenant), Actor: by, Act: "retried", ID: string(id)}},
	})
}
