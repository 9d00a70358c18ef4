package delivery

import (
	"context"
	"errors"
	"fmt"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
)

// GiveUp ends the delivery of a queued message because a person says so. Its
// recipients fail as if they had been tried for their whole life, and whoever
// may be told of that is told; the reason is for the audit alone. It returns
// who was told. It fails with spool.ErrState when the message is not queued, or
// in hand just now.
func (d *Delivery) GiveUp(ctx context.Context, t envelope.TenantID, id envelope.ID, by, reason string) (string, error) {
	d.init()
	e, err := d.Spool.Take(ctx, t, id, spool.Queued)
	if err != nil {
		return "", fmt.Errorf("give up %s: %w", id, err)
	}
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	j := &job{d: d, e: e, work: work, cancel: cancel}
	j.keep()
	defer j.letGo()
	m, err := d.open(work, &e)
	if err != nil {
		// What is wrong with it is dealt with as in every delivery: a message
		// that was tampered with is held.
		j.refuse(work, err)
		if errors.Is(err, errMismatch) {
			return "", fmt.Errorf("%s is held now, it is not what was sealed", id)
		}
		return "", fmt.Errorf("give up %s: %w", id, err)
	}
	defer m.close()
	j.m = m
	for _, a := range e.Pending {
		// RFC 3463, X.4.7: its time is over. There is no code for who said so.
		r := result{to: a, outcome: failed, status: "5.4.7", answer: "given up by an administrator"}
		if hop, _, err := d.Table().Find(zone(&e), a); err == nil {
			r.hop = hop
		}
		j.results = append(j.results, r)
	}
	var told telling
	if err := d.tellOfFailures(work, &told, &j.e, m, j.results); err != nil {
		return "", errors.Join(fmt.Errorf("give up %s: %w", id, err), j.settle(spool.Change{To: spool.Queued}))
	}
	now := d.now()
	c := j.change(now, told)
	c.Events = append([]audit.Event{{Time: now, Tenant: string(e.Envelope.Tenant), Actor: by, Act: "given-up", ID: string(id), Detail: "reason: " + reason}}, c.Events...)
	if err := j.settle(c); err != nil {
		return "", fmt.Errorf("settle %s: %w", id, err)
	}
	told.count()
	j.log(j.results)
	return told.how[failed], nil
}
