package quarantine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/spool"
)

// Of many who release and delete one entry at once exactly one is heard, and the
// audit names that one alone.
func TestOfManyActsAtOnceOneCounts(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		id := w.hold(t, "town", sanitize.ClassExecutable)
		var done atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = w.Release(t.Context(), "town", id, policy.Release{By: "suzuki", Reason: "r"})
				} else {
					err = w.Delete(t.Context(), "town", id, "sato", "r")
				}
				switch {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, spool.ErrState):
					t.Errorf("one of them: %v", err)
				}
			})
		}
		all.Wait()
		acts := w.acts(t, id)
		if n := strings.Count(acts, "suzuki released") + strings.Count(acts, "sato deleted"); done.Load() != 1 || n != 1 {
			t.Errorf("%d acts were done; audit: %s", done.Load(), acts)
		}
		if s, released := w.state(t, id), strings.Contains(acts, "released"); released != (s == spool.Received) || !released && s != spool.Done {
			t.Errorf("it is %s; audit: %s", s, acts)
		}
	}
}

// A daemon that dies between taking an entry for a release and committing it has
// released nothing: the entry is held as before, the audit has no word of it,
// and the next release counts. One that dies after the commit has released it
// once, and it cannot be released again.
func TestADeathAroundAReleaseReleasesOnceOrNot(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	recover := w.spool.Journal.(interface {
		Recover(context.Context) (int, error)
	})
	r := policy.Release{By: "suzuki", Reason: "r"}
	id := w.hold(t, "town", sanitize.ClassExecutable)
	if _, err := w.spool.Take(ctx, "town", id, spool.Held); err != nil {
		t.Fatal(err)
	}
	// Somebody else sees that it is in a hand.
	if _, err := w.Release(ctx, "town", id, r); !errors.Is(err, spool.ErrState) {
		t.Errorf("while it is in a hand: %v", err)
	}
	if _, err := recover.Recover(ctx); err != nil { // what a start does
		t.Fatal(err)
	}
	if s, acts := w.state(t, id), w.acts(t, id); s != spool.Held || acts != "gateway received" {
		t.Fatalf("after the death it is %s; audit: %s", s, acts)
	}
	if _, err := w.Release(ctx, "town", id, r); err != nil {
		t.Errorf("after the death: %v", err)
	}
	if _, err := recover.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Release(ctx, "town", id, r); !errors.Is(err, spool.ErrState) {
		t.Errorf("a second time: %v", err)
	}
	if s, acts := w.state(t, id), w.acts(t, id); s != spool.Received || strings.Count(acts, "released") != 1 {
		t.Errorf("after the second death it is %s; audit: %s", s, acts)
	}
}
