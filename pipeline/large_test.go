package pipeline_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/sanitize/worker"
	"sekisho/spool"
)

// TestALargeMessageIsCalledWhenItsTurnComes stops the clock, so that nothing
// becomes due by waiting: more large messages than may be in hand are all
// examined, since each that is done calls the next.
func TestALargeMessageIsCalledWhenItsTurnComes(t *testing.T) {
	r := newRoom(t)
	large := corpus.Mail{From: "a@partner.example", To: "b@town.example", Subject: "x", Text: strings.Repeat("0123456789 abcdef\n", 60000)}.Bytes()
	for range 11 {
		r.accept(t, large, nil)
	}
	stopped := time.Now()
	r.Now = func() time.Time { return stopped }
	r.Workers = 16
	began := make(chan struct{}, 64)
	r.Examiner = examinerFunc(func() (*worker.Result, error) {
		// The others come, and are turned away, while this one has its place.
		began <- struct{}{}
		time.Sleep(20 * time.Millisecond)
		return nil, errors.New("no worker")
	})
	r.settle(t)
	if len(began) < 11 {
		t.Errorf("%d runs for 11 messages", len(began))
	}
	es, err := r.spool.List(t.Context(), spool.Filter{State: spool.Held})
	if err != nil || len(es) != 11 {
		t.Errorf("%d held, %v", len(es), err)
	}
}
