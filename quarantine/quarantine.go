// Package quarantine is the administrators' view of held messages and parts.
// It keeps no bytes and no state: what is held is a spool entry, and every act
// here is a Take and a Settle with its audit event in the same transaction. It
// never asks policy and never talks to the network. A release delivers nothing
// by itself: it has the original examined again, with today's engine.
package quarantine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/spool"
)

// Errors that callers branch on, beside those of spool.
var (
	// ErrClass says that nobody can release this: its seal does not match, so
	// nothing is known of where it came from. It can only be deleted.
	ErrClass = errors.New("tampered entries cannot be released, only deleted")
	// ErrRecipient says that a release would reach somebody the mail was not for.
	ErrRecipient = errors.New("not a recipient of this mail")
	// ErrReason says that the act needs a reason.
	ErrReason = errors.New("a reason is needed")
)

// Quarantine is the view of what is held.
type Quarantine struct {
	Spool *spool.Spool
	Now   func() time.Time
	Log   *slog.Logger
	// Originals is how long the bytes of what is done are kept.
	Originals func() time.Duration
	// Steady is the machine's clock, which only runs forward; nil: steps of the
	// other are not looked for.
	Steady func() time.Duration

	clock clock
}

// List returns what is held, oldest first.
func (q *Quarantine) List(ctx context.Context, t envelope.TenantID, after envelope.ID, n int) ([]spool.Entry, error) {
	es, err := q.Spool.List(ctx, spool.Filter{Tenant: t, State: spool.Held, After: after, Limit: n})
	if err != nil {
		return nil, fmt.Errorf("list held: %w", err)
	}
	return es, nil
}

// Get returns one held entry; spool.ErrNotFound also for another tenant's.
func (q *Quarantine) Get(ctx context.Context, t envelope.TenantID, id envelope.ID) (spool.Entry, error) {
	e, err := q.Spool.Get(ctx, t, id)
	if err != nil {
		return spool.Entry{}, fmt.Errorf("get %s: %w", id, err)
	}
	return e, nil
}

// Release has the held message or part examined again and its treated form
// delivered. It returns the id of the entry to watch: the same, or that of a
// new one when r.To narrows the recipients, in which case the held one stays
// for the others. It fails with spool.ErrNotFound if the tenant has no such
// entry and with spool.ErrState if somebody was quicker.
func (q *Quarantine) Release(ctx context.Context, t envelope.TenantID, id envelope.ID, r policy.Release) (envelope.ID, error) {
	if r.Reason == "" {
		return "", ErrReason
	}
	e, err := q.Spool.Take(ctx, t, id, spool.Held)
	if err != nil {
		return "", fmt.Errorf("take %s: %w", id, err)
	}
	if e.Tampered != "" || e.Verdict.Class == sanitize.ClassTampered {
		return "", q.back(ctx, e, ErrClass)
	}
	for i, a := range r.To {
		at := slices.IndexFunc(e.Envelope.To, func(b envelope.Address) bool { return a.Key() == b.Key() })
		if at < 0 {
			return "", q.back(ctx, e, fmt.Errorf("%s: %w", a, ErrRecipient))
		}
		r.To[i] = e.Envelope.To[at] // as the mail has it, whatever case was typed
	}
	// One named twice is one: two names must not pass for everybody.
	slices.SortFunc(r.To, func(a, b envelope.Address) int { return strings.Compare(a.String(), b.String()) })
	r.To = slices.Compact(r.To)
	now := q.Now()
	r.At = now
	ev := q.event(e, r.By, "released", "reason: "+r.Reason)
	if len(r.To) > 0 && len(r.To) < len(e.Envelope.To) {
		part, err := q.Spool.SpawnRelease(e, envelope.NewID(now), nil, r)
		if err != nil {
			return "", q.back(ctx, e, err)
		}
		// What it was held for goes along: no release makes malware harmless.
		part.Verdict = e.Verdict
		ev.Detail += fmt.Sprintf("; to %d of %d recipients as %s", len(r.To), len(e.Envelope.To), part.Envelope.ID)
		c := spool.Change{To: spool.Held, Spawn: []spool.Entry{part}, Events: []audit.Event{ev}}
		if err := q.Spool.Settle(ctx, e, c); err != nil {
			return "", fmt.Errorf("settle %s: %w", id, err)
		}
		q.log("released", e, r.By)
		return part.Envelope.ID, nil
	}
	// The rule that held it would hold it for ever: the release goes with the
	// entry, and Decide lets it satisfy rules that ask for a person. It does
	// not make an untreatable part treatable.
	err = q.Spool.Settle(ctx, e, spool.Change{
		To:     spool.Received,
		Update: func(e *spool.Entry) { e.Release, e.Due = &r, now },
		Events: []audit.Event{ev},
	})
	if err != nil {
		return "", fmt.Errorf("settle %s: %w", id, err)
	}
	q.log("released", e, r.By)
	return id, nil
}

// Delete ends a held entry without delivering it. Its bytes are kept as long
// as those of delivered mail, then they go.
func (q *Quarantine) Delete(ctx context.Context, t envelope.TenantID, id envelope.ID, by, reason string) error {
	if reason == "" {
		return ErrReason
	}
	e, err := q.Spool.Take(ctx, t, id, spool.Held)
	if err != nil {
		return fmt.Errorf("take %s: %w", id, err)
	}
	if e.Tampered != "" {
		// First what was done to it, then what a person does: a row without a
		// seal would come back to be looked at.
		if err := q.Spool.Settle(ctx, e, q.tampered(e)); err != nil {
			return fmt.Errorf("settle %s: %w", id, err)
		}
		if e, err = q.Spool.Take(ctx, t, id, spool.Held); err != nil {
			return fmt.Errorf("take %s: %w", id, err)
		}
	}
	if err := q.Spool.Settle(ctx, e, q.end(e, by, "deleted", "reason: "+reason)); err != nil {
		return fmt.Errorf("settle %s: %w", id, err)
	}
	q.log("deleted", e, by)
	return nil
}

// Expire ends what has been held longer than its retention and returns how
// many entries that were.
//
// A clock that is put forward by years would end everything at once, and one
// that is put right again all that was held while it was behind. So when it
// steps forward nothing ends for a day, in which somebody can look at it.
func (q *Quarantine) Expire(ctx context.Context) (int, error) {
	if step, pause := q.clock.forward(q.Now(), q.Steady); step > 0 {
		q.Log.Error("clock stepped forward", "err", fmt.Sprintf("by %s: nothing that is held expires for %s", step.Round(time.Minute), stepPause))
		return 0, nil
	} else if pause {
		return 0, nil
	}
	const portion = 100 // short enough not to keep the mail waiting
	n := 0
	for {
		// Held entries fall due when they expire.
		es, err := q.Spool.Claim(ctx, spool.Held, q.Now(), portion)
		if err != nil {
			return n, fmt.Errorf("claim expired: %w", err)
		}
		for _, e := range es {
			if err := q.Spool.Settle(ctx, e, q.end(e, "gateway", "expired", "held since "+e.Envelope.Received.UTC().Format(time.RFC3339))); err != nil {
				return n, fmt.Errorf("settle: %w", err)
			}
			q.log("expired", e, "gateway")
			n++
		}
		if len(es) < portion {
			return n, nil
		}
	}
}

// Trim has the originals of what is done deleted before their time, the oldest
// first, until at most limit bytes are kept, and returns of how many. What is
// held, queued or received is never touched.
func (q *Quarantine) Trim(ctx context.Context, limit int64) (int, error) {
	var total int64
	if err := q.done(ctx, func(e *spool.Entry) (bool, error) {
		total += e.Original.Size + e.Sanitized.Size
		return true, nil
	}); err != nil {
		return 0, err
	}
	n := 0
	if total <= limit {
		return 0, nil
	}
	now := q.Now()
	err := q.done(ctx, func(e *spool.Entry) (bool, error) {
		if total <= limit {
			return false, nil
		}
		t, err := q.Spool.Take(ctx, e.Envelope.Tenant, e.Envelope.ID, spool.Done)
		if errors.Is(err, spool.ErrNotFound) || errors.Is(err, spool.ErrState) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("take: %w", err)
		}
		if err := q.Spool.Settle(ctx, t, spool.Change{
			To:     spool.Done,
			Update: func(e *spool.Entry) { e.Expires = now },
			Events: []audit.Event{q.event(t, "gateway", "trimmed", "the originals have their share of the disk")},
		}); err != nil {
			return false, fmt.Errorf("settle: %w", err)
		}
		total -= e.Original.Size + e.Sanitized.Size
		n++
		return true, nil
	})
	return n, err
}

// done calls f for every entry that is done, oldest first, until it says false.
func (q *Quarantine) done(ctx context.Context, f func(*spool.Entry) (bool, error)) error {
	const portion = 500
	var after envelope.ID
	for {
		es, err := q.Spool.List(ctx, spool.Filter{State: spool.Done, After: after, Limit: portion})
		if err != nil {
			return fmt.Errorf("list done: %w", err)
		}
		for i := range es {
			after = es[i].Envelope.ID
			if more, err := f(&es[i]); err != nil || !more {
				return err
			}
		}
		if len(es) < portion {
			return nil
		}
	}
}

// end is the change to Done.
func (q *Quarantine) end(e spool.Entry, by, act, detail string) spool.Change {
	expires := q.Now().Add(q.Originals())
	return spool.Change{
		To:     spool.Done,
		Update: func(e *spool.Entry) { e.Expires = expires },
		Events: []audit.Event{q.event(e, by, act, detail)},
	}
}

// back puts an entry that was taken back as it was and returns why.
func (q *Quarantine) back(ctx context.Context, e spool.Entry, why error) error {
	c := spool.Change{To: spool.Held}
	if e.Tampered != "" {
		c = q.tampered(e)
	}
	if err := q.Spool.Settle(ctx, e, c); err != nil {
		return errors.Join(why, fmt.Errorf("settle %s: %w", e.Envelope.ID, err))
	}
	return why
}

// tampered is the change that puts on record what the store found: from here on
// the entry is held for that, whatever its row said.
func (q *Quarantine) tampered(e spool.Entry) spool.Change {
	reason := "the journal row is not as the gateway wrote it: " + e.Tampered
	q.Log.Error("held", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "rule", "seal", "kind", sanitize.ClassTampered, "err", reason)
	return spool.Change{
		To: spool.Held,
		Update: func(e *spool.Entry) {
			e.Verdict = policy.Verdict{Action: policy.Hold, Class: sanitize.ClassTampered, Rule: "seal", Reasons: []string{reason}}
			e.Release = nil
		},
		Events: []audit.Event{q.event(e, "gateway", "held", "class tampered, rule seal: "+reason)},
	}
}

func (q *Quarantine) event(e spool.Entry, by, act, detail string) audit.Event {
	return audit.Event{Time: q.Now(), Tenant: string(e.Envelope.Tenant), Actor: by, Act: act, ID: string(e.Envelope.ID), Detail: detail}
}

func (q *Quarantine) log(msg string, e spool.Entry, by string) {
	q.Log.Info(msg, "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "rule", e.Verdict.Rule, "kind", e.Verdict.Class, "by", by)
}
