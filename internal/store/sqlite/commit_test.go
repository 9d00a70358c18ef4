package sqlite

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"sekisho/internal/blob"
	"sekisho/spool"
	"sekisho/spool/spooltest"
)

// disk holds every sync of a store back until it is told.
type disk struct {
	began  chan struct{}
	answer chan error
}

// slow puts a store on a disk whose syncs take as long as the test wants.
func slow(f *fixture) *disk {
	d := &disk{began: make(chan struct{}), answer: make(chan error)}
	f.flush = func() error {
		d.began <- struct{}{}
		return <-d.answer
	}
	return d
}

func TestOnlyLeasesDoNotWaitForTheDisk(t *testing.T) {
	f := fresh(t)
	e := spooltest.Entry("town", start)
	if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
		t.Fatal(err)
	}
	d := slow(f)
	es, err := f.Claim(t.Context(), spool.Received, start, 1)
	if err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
	if err := f.Renew(t.Context(), es[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Settle(t.Context(), es[0], spool.Change{To: spool.Queued}) }()
	<-d.began
	select {
	case err := <-done:
		t.Fatalf("a change did not wait for the disk: %v", err)
	default:
	}
	d.answer <- nil
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDiskThatFailsASyncIsNotAskedAgain: after a failed fsync the next one
// reports success for pages that were dropped.
func TestDiskThatFailsASyncIsNotAskedAgain(t *testing.T) {
	f := fresh(t)
	syncs := 0
	f.flush = func() error { syncs++; return syscall.EIO }
	for range 2 {
		err := f.Insert(t.Context(), []spool.Entry{spooltest.Entry("town", start)}, nil)
		if !errors.Is(err, spool.ErrUncertain) || !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	}
	select {
	case <-f.Failed():
	default:
		t.Error("the store does not say that it failed")
	}
	if syncs != 1 {
		t.Errorf("the disk was asked %d times", syncs)
	}
}

// TestBytesThatAPowerCutWouldNameAgainAreStillReferenced: the answer that
// nobody names a blob is about what is durable.
func TestBytesThatAPowerCutWouldNameAgainAreStillReferenced(t *testing.T) {
	f := fresh(t)
	d := slow(f)
	free := make(chan error, 1)
	go func() {
		named, err := f.Referenced(context.Background(), blob.NewID(start))
		if named {
			err = errors.Join(err, errors.New("named"))
		}
		free <- err
	}()
	<-d.began
	d.answer <- errors.New("power cut")
	if err := <-free; !errors.Is(err, spool.ErrUncertain) {
		t.Errorf("got %v", err)
	}
}
