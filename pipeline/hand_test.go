package pipeline_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/spool"
)

// open runs the room until the test ends or close is called.
func (r *room) open(t *testing.T) (closeRoom func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	closeRoom = func() {
		cancel()
		<-done
	}
	t.Cleanup(closeRoom)
	return closeRoom
}

// place waits until there is one, for the room opens at its own pace.
func (r *room) place(t *testing.T, tenant envelope.TenantID) func(*spool.Entry) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if take := r.Hand(tenant); take != nil {
			return take
		}
	}
	t.Fatal("no place becomes free")
	return nil
}

// TestAPlaceIsForWhatComesWhileNothingWaits: as many as there are, none before
// the room opens and none once it closes.
func TestAPlaceIsForWhatComesWhileNothingWaits(t *testing.T) {
	r := newRoom(t)
	if r.Hand("town") != nil {
		t.Error("a place before anybody works")
	}
	closeRoom := r.open(t)
	one, two := r.place(t, "town"), r.place(t, "town")
	if r.Hand("town") != nil {
		t.Error("a third place of two")
	}
	one(nil)
	three := r.place(t, "town")
	two(nil)
	three(nil)
	closeRoom()
	if r.Hand("town") != nil {
		t.Error("a place after the end")
	}
}

// TestATenantDoesNotWaitBehindTheMailOfAnother: while one fills all places and
// has more in the journal, a place beside them is for the first message of
// another, and for no more than one; who has something waiting waits behind it.
func TestATenantDoesNotWaitBehindTheMailOfAnother(t *testing.T) {
	r := newRoom(t)
	r.open(t)
	one, two := r.place(t, "town"), r.place(t, "town")
	// It looks into the journal once a second, and not while nobody is free.
	time.Sleep(1200 * time.Millisecond)
	if r.Hand("town") != nil {
		t.Error("a place beside the others for who has them all")
	}
	first := r.Hand("village")
	if first == nil {
		t.Fatal("no place for the first message of another tenant")
	}
	if r.Hand("village") != nil {
		t.Error("a second place beside the others")
	}
	first(nil)
	// The second went into the journal, as far as anybody knows.
	if r.Hand("village") != nil {
		t.Error("a place before what came earlier")
	}
	r.Hand("hamlet")(nil)
	one(nil)
	two(nil)
	r.place(t, "village")(nil)
}

// TestPlacesAreForFewTenants: more than the examiner serves beside one another
// take turns, which the journal gives.
func TestPlacesAreForFewTenants(t *testing.T) {
	r := newRoom(t)
	r.Tenants, r.Workers = 3, 9
	r.open(t)
	for quick := false; !quick; {
		began := time.Now()
		for i := range 3 {
			r.place(t, envelope.TenantID(fmt.Sprint("town", i)))(nil)
		}
		none := r.Hand("town3") == nil && r.Hand("town0") == nil
		// On a busy machine the first may have no mail any more by then.
		if quick = time.Since(began) < time.Second; quick && !none {
			t.Error("a place beside more tenants than can be served")
		}
	}
	// Those that have no mail any more do not count.
	r.place(t, "town0")(nil)
}

// TestWhatIsAcceptedIsExaminedInTheHandItIsIn: nobody claims it, and it goes the
// way of all others; one that finds no place waits in the journal.
func TestWhatIsAcceptedIsExaminedInTheHandItIsIn(t *testing.T) {
	r := newRoom(t)
	handed, refused := 0, 0
	r.spool.Hand = func(t envelope.TenantID) func(*spool.Entry) {
		take := r.Hand(t)
		if take == nil {
			refused++
			return nil
		}
		handed++
		return take
	}
	closeRoom := r.open(t)
	r.place(t, "town")(nil)
	first := r.accept(t, lie("honest"), nil)
	queued := func(id envelope.ID) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); r.entry(t, id).State != spool.Queued; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is %s", id, r.entry(t, id).State)
			}
		}
	}
	queued(first)
	// While both places are taken, all else waits in the journal.
	one, two := r.place(t, "town"), r.place(t, "town")
	var ids []envelope.ID
	for range 3 {
		ids = append(ids, r.accept(t, lie("honest"), nil))
	}
	if handed != 1 || refused != 3 {
		t.Errorf("%d in hand and %d in the journal, want 1 and 3", handed, refused)
	}
	one(nil)
	two(nil)
	for _, id := range ids {
		queued(id)
	}
	closeRoom() // every run is told by then
	if len(r.runs) != 4 {
		t.Errorf("%d examined, want each of 4 once", len(r.runs))
	}
}
