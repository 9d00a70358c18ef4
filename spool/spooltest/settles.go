package spooltest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
)

func settleNeedsLease(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	insert(t, j, e)
	for name, lease := range map[string]string{"no lease": "", "a lease made up": "x"} {
		e.Lease = lease
		if err := j.Settle(t.Context(), e, spool.Change{To: spool.Done, Events: []audit.Event{event("x", e.Envelope.ID)}}); !errors.Is(err, spool.ErrLost) {
			t.Errorf("%s: got %v, want ErrLost", name, err)
		}
	}
	c := claim(t, j, spool.Received, start, 1)[0]
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Queued}); err != nil {
		t.Fatal(err)
	}
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Done}); !errors.Is(err, spool.ErrLost) {
		t.Errorf("settle twice: got %v, want ErrLost", err)
	}
	if got, err := j.Get(t.Context(), "", e.Envelope.ID); err != nil || got.State != spool.Queued {
		t.Errorf("state %s, %v; want Queued", got.State, err)
	}
	if acts := CheckAudit(t, j); len(acts) != 0 {
		t.Errorf("failed settles left events %v", acts)
	}
}

func settleTogether(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	insert(t, j, e)
	c := claim(t, j, spool.Received, start, 1)[0]
	full := Full("town", start)
	part := Entry("town", start)
	part.State, part.Parent, part.Part, part.Original = spool.Held, e.Envelope.ID, []string{"2"}, e.Original
	err := j.Settle(t.Context(), c, spool.Change{
		To: spool.Queued,
		Update: func(n *spool.Entry) {
			n.Sanitized, n.Seal, n.Networks, n.Report = full.Sanitized, full.Seal, full.Networks, full.Report
			n.Verdict, n.Due, n.Pending = full.Verdict, start.Add(time.Minute), n.Pending[:1]
		},
		Spawn:  []spool.Entry{part},
		Events: []audit.Event{event("queued", e.Envelope.ID), event("held", part.Envelope.ID)},
	})
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
	got, err := j.Get(t.Context(), "town", e.Envelope.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := e
	want.State, want.Sanitized, want.Seal, want.Networks = spool.Queued, full.Sanitized, full.Seal, full.Networks
	want.Report, want.Verdict, want.Due, want.Pending = full.Report, full.Verdict, start.Add(time.Minute), e.Pending[:1]
	if d := cmp.Diff(want, got, same); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got, err := j.Get(t.Context(), "town", part.Envelope.ID); err != nil {
		t.Errorf("spawned: %v", err)
	} else if d := cmp.Diff(part, got, same); d != "" {
		t.Errorf("spawned: (-want +got)\n%s", d)
	}
	if acts := CheckAudit(t, j); !slices.Equal(acts, []string{"queued", "held"}) {
		t.Errorf("audit has %v", acts)
	}
	es, err := j.List(t.Context(), spool.Filter{Parent: e.Envelope.ID})
	if err != nil || !slices.Equal(ids(es), []envelope.ID{part.Envelope.ID}) {
		t.Errorf("entries spawned from it: %v, %v", ids(es), err)
	}
}

func settleFails(t *testing.T, j spool.Journal) {
	e, other := Entry("town", start), Entry("town", start)
	insert(t, j, e, other)
	c := claim(t, j, spool.Received, start, 1)[0]
	good, bad := Entry("town", start), Entry("town", start)
	bad.Envelope.ID = other.Envelope.ID
	if c.Envelope.ID == other.Envelope.ID {
		bad.Envelope.ID = e.Envelope.ID
	}
	err := j.Settle(t.Context(), c, spool.Change{To: spool.Done, Spawn: []spool.Entry{good, bad}, Events: []audit.Event{event("x", e.Envelope.ID)}})
	if err == nil {
		t.Fatal("an id was spawned twice")
	}
	if _, err := j.Get(t.Context(), "", good.Envelope.ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("the other spawned entry: got %v, want ErrNotFound", err)
	}
	if got, err := j.Get(t.Context(), "", c.Envelope.ID); err != nil || got.State != spool.Received {
		t.Errorf("state %s, %v; want Received", got.State, err)
	}
	if acts := CheckAudit(t, j); len(acts) != 0 {
		t.Errorf("events %v were left", acts)
	}
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Queued}); err != nil {
		t.Errorf("the lease is lost: %v", err)
	}
}

func settleEnvelope(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	insert(t, j, e)
	c := claim(t, j, spool.Received, start, 1)[0]
	err := j.Settle(t.Context(), c, spool.Change{To: spool.Queued, Update: func(n *spool.Entry) {
		n.Envelope.Zone, n.Envelope.Treatment, n.Envelope.Tenant = envelope.LGWAN, envelope.Pass, "village"
		n.State = spool.Done
		n.Deaths = 7
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := e
	want.State = spool.Queued
	got, err := j.Get(t.Context(), "town", e.Envelope.ID)
	if d := cmp.Diff(want, got, same); err != nil || d != "" {
		t.Errorf("%v, (-want +got)\n%s", err, d)
	}
}
