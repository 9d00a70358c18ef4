package pipeline_test

import (
	"context"
	"testing"
	"time"

	"sekisho/sanitize"
	"sekisho/sanitize/worker"
	"sekisho/spool"
)

// signalling tells when a run of the examiner behind it begins.
type signalling struct {
	*worker.Runner
	began chan struct{}
}

func (s signalling) Run(ctx context.Context, o sanitize.Options, in *worker.Message) (*worker.Result, error) {
	select {
	case s.began <- struct{}{}:
	default:
	}
	return s.Runner.Run(ctx, o, in)
}

// TestStopDoesNotWaitForSlowMessages stops the room with a worker that hangs
// and others waiting for their turn behind it. Each stays received, in nobody's
// hand and without a death, and is treated when the room opens again.
func TestStopDoesNotWaitForSlowMessages(t *testing.T) {
	r := newRoom(t)
	slow := signalling{&worker.Runner{Binary: liar, Profile: r.Examiner.(*worker.Runner).Profile, Time: 2 * time.Minute, Processes: 1}, make(chan struct{}, 1)}
	honest := r.Examiner
	r.Examiner = slow
	r.Workers, r.Grace = 4, 100*time.Millisecond
	for range 3 {
		r.accept(t, lie("lie=hang-always"), nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	<-slow.began
	began := time.Now()
	cancel()
	<-done
	// The worker has two minutes, and so have those behind it.
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the stop took %v", took)
	}
	es, err := r.spool.List(t.Context(), spool.Filter{})
	if err != nil || len(es) != 3 {
		t.Fatalf("%d entries, %v", len(es), err)
	}
	for _, e := range es {
		if e.State != spool.Received || e.Deaths != 0 || e.Attempts != 0 || e.Lease != "" {
			t.Errorf("%s: state %s, %d deaths, %d attempts, lease %q", e.Envelope.ID, e.State, e.Deaths, e.Attempts, e.Lease)
		}
	}
	// In nobody's hand: all can be claimed at once.
	got, err := r.spool.Claim(t.Context(), spool.Received, time.Now(), 10)
	if err != nil || len(got) != 3 {
		t.Errorf("claimed %d of 3, %v", len(got), err)
	}
	for _, e := range got {
		if err := r.spool.Settle(t.Context(), e, spool.Change{To: spool.Received}); err != nil {
			t.Fatal(err)
		}
	}
	r.Examiner = honest
	id := r.accept(t, lie("honest"), nil)
	r.Examiner.(*worker.Runner).Time = 2 * time.Second
	r.settle(t)
	if e := r.entry(t, id); e.State != spool.Queued {
		t.Errorf("after the next start: state %s, %+v", e.State, e.Verdict)
	}
}
