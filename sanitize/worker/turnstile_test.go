package worker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sekisho/sanitize"
)

// queued waits until so many wait at the turnstile.
func queued(t *testing.T, s *turnstile, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		have := len(s.queue)
		s.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", have, n)
		}
	}
}

// TestWhoWasServedLongestAgoIsLetInFirst: a tenant with one message does not
// wait for all of another's, and those of a tenant go in order.
func TestWhoWasServedLongestAgoIsLetInFirst(t *testing.T) {
	var s turnstile
	if err := s.enter(t.Context(), "town", 1); err != nil {
		t.Fatal(err)
	}
	in := make(chan string)
	for i, who := range []string{"town a", "town b", "town c", "village d", "hamlet e", "village f"} {
		go func() {
			if err := s.enter(t.Context(), who[:len(who)-2], 1); err != nil {
				t.Error(err)
			}
			in <- who
		}()
		queued(t, &s, i+1)
	}
	var got []string
	for range 6 {
		s.leave(1)
		got = append(got, <-in)
	}
	want := []string{"village d", "hamlet e", "town a", "village f", "town b", "town c"}
	if !slices.Equal(got, want) {
		t.Errorf("let in %q, want %q", got, want)
	}
}

// TestWhoGoesAwayTakesNoPlace: at the turnstile, and just behind it.
func TestWhoGoesAwayTakesNoPlace(t *testing.T) {
	var s turnstile
	if err := s.enter(t.Context(), "town", 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	for i := range 20 {
		go func() { gone <- s.enter(ctx, "town", 1) }()
		queued(t, &s, i+1)
	}
	cancel()
	s.leave(1) // may let one in that is about to go
	for range 20 {
		if err := <-gone; err == nil {
			s.leave(1)
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want what ended it", err)
		}
	}
	if s.in != 0 || len(s.queue) != 0 {
		t.Errorf("%d are in and %d wait, want nobody", s.in, len(s.queue))
	}
}

// TestTheLaneServesByTheRota: of those whose worker waits for them, the tenant
// served longest ago comes first, however many of another's stand before it.
func TestTheLaneServesByTheRota(t *testing.T) {
	r := withLanes(t, real, 4)
	r.Processes = 1
	for _, tenant := range []string{"village", "town"} { // each has a worker now
		output(t, r, lanes(sanitize.TaskMail, tenant), text(tenant))
	}
	l := &r.treating
	r.mu.Lock()
	for range 3 {
		l.queue = append(l.queue, &passenger{tenant: "town", since: time.Now()})
	}
	l.queue = append(l.queue, &passenger{tenant: "village", since: time.Now()})
	i, s := r.next(l)
	l.queue = nil
	r.mu.Unlock()
	if i != 3 || s.w == nil || s.w.tenant != "village" {
		t.Errorf("number %d is served, want the village's", i)
	}
}
