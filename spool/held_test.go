package spool_test

import (
	"path/filepath"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob/blobtest"
	"sekisho/spool"
)

func TestHeldBytesFollowWhatIsHeld(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := openSite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	settle := func(e spool.Entry, c spool.Change) {
		t.Helper()
		e, err := s.Take(t.Context(), e.Envelope.Tenant, e.Envelope.ID, e.State)
		if err == nil {
			err = s.Settle(t.Context(), e, c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func(e spool.Entry) spool.Entry {
		t.Helper()
		e, err := s.Get(t.Context(), "", e.Envelope.ID)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	want := func(what string, town, village int64) {
		t.Helper()
		if a, b := s.HeldBytes("town"), s.HeldBytes("village"); a != town || b != village {
			t.Errorf("%s: %d and %d bytes, wanted %d and %d", what, a, b, town, village)
		}
	}
	es := mustAccept(t, s, blobtest.Bytes(1, 1000), "town", "village")
	more := mustAccept(t, s, blobtest.Bytes(2, 500), "town")
	want("received", 0, 0)
	settle(es[0], spool.Change{To: spool.Held})
	settle(es[1], spool.Change{To: spool.Held})
	want("held", 1000, 1000)
	// A mail that goes on and leaves a part behind holds nothing as a whole.
	part, err := s.SpawnPart(more[0], envelope.NewID(time.Now()), []string{"2"})
	if err != nil {
		t.Fatal(err)
	}
	settle(more[0], spool.Change{To: spool.Queued, Spawn: []spool.Entry{part}})
	want("a part kept back", 1000, 1000)
	settle(get(es[0]), spool.Change{To: spool.Held})
	want("held again", 1000, 1000)
	settle(get(es[1]), spool.Change{To: spool.Done})
	want("deleted", 1000, 0)

	// The next start counts anew.
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openSite(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	told := 0
	if err := s.CountHeld(t.Context(), func(e *envelope.Envelope) { told++ }); err != nil {
		t.Fatal(err)
	}
	want("after a start", 1000, 0)
	if told != 1 {
		t.Errorf("told of %d messages, wanted the one that is held", told)
	}
	settle(get(es[0]), spool.Change{To: spool.Received})
	want("released", 0, 0)
}
