package quarantine_test

import (
	"slices"
	"testing"
	"time"

	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/spool"
)

// FT-09, the share of what is held: whatever the clock does, nothing ends before
// its time by more than the clock went, nothing at once, and what is released
// does not wait for the clock.
func TestClockThatJumps(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	var machine time.Duration
	w.Steady = func() time.Duration { return machine }
	run := func(d time.Duration) {
		w.now, machine = w.now.Add(d), machine+d
	}
	expire := func() int {
		t.Helper()
		n, err := w.Expire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	expire()
	ids := []string{string(w.hold(t, "town", sanitize.ClassExecutable)), string(w.hold(t, "town", sanitize.ClassExecutable))}
	// Forward and back, by a little and by a lot, a hundred times by a second.
	for _, step := range []time.Duration{time.Hour, -time.Hour, 3650 * day, -3650 * day, -3650 * day, 3650 * day} {
		w.now = w.now.Add(step)
		run(time.Minute)
		if n := expire(); n != 0 {
			t.Fatalf("%d ended after a step of %v", n, step)
		}
	}
	for range 100 {
		w.now = w.now.Add(-time.Second)
		run(time.Second)
		if n := expire(); n != 0 {
			t.Fatalf("%d ended", n)
		}
	}
	// A clock that was put forward and stays there is believed after a day.
	w.now = w.now.Add(30 * day)
	for range 23 {
		if n := expire(); n != 0 {
			t.Fatalf("%d ended in the pause", n)
		}
		run(time.Hour)
	}
	run(2 * time.Hour)
	if n := expire(); n != len(ids) {
		t.Errorf("%d of %d ended after the pause", n, len(ids))
	}
	// The days of a summer time, and ordinary ones, are no steps.
	id := w.hold(t, "town", sanitize.ClassExecutable)
	for range 13 {
		run(day)
		if n := expire(); n != 0 {
			t.Fatalf("%d ended before their time", n)
		}
	}
	run(2 * day)
	if n := expire(); n != 1 {
		t.Errorf("%d ended in their time", n)
	}
	// A release is due in the moment of the clock that it has: it is handed out
	// at once, before and after a step.
	for _, step := range []time.Duration{-3650 * day, 3650 * day} {
		w.now = w.now.Add(step)
		id = w.hold(t, "town", sanitize.ClassExecutable)
		if _, err := w.Release(t.Context(), "town", id, policy.Release{By: "hanako", Reason: "looked at", At: w.now}); err != nil {
			t.Fatal(err)
		}
		if es, err := w.spool.Claim(t.Context(), spool.Received, w.now, 10); err != nil || !slices.ContainsFunc(es, func(e spool.Entry) bool { return e.Envelope.ID == id }) {
			t.Errorf("what is released is not among the %d handed out, %v", len(es), err)
		}
	}
}
