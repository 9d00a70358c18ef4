package spooltest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/policy"
	"sekisho/spool"
)

func claimOrder(t *testing.T, j spool.Journal) {
	var want []envelope.ID
	for _, s := range []int{30, 10, 20, 0} {
		insert(t, j, Entry("town", start.Add(time.Duration(s)*time.Second)))
	}
	es, err := j.List(t.Context(), spool.Filter{})
	if err != nil || len(es) != 4 {
		t.Fatalf("list: %d, %v", len(es), err)
	}
	want = ids(es) // ids sort by time
	if got := ids(claim(t, j, spool.Received, start.Add(-time.Microsecond), 9)); len(got) != 0 {
		t.Errorf("before anything is due: %v", got)
	}
	if got := ids(claim(t, j, spool.Received, start.Add(20*time.Second), 2)); !slices.Equal(got, want[:2]) {
		t.Errorf("first two: got %v, want %v", got, want[:2])
	}
	if got := ids(claim(t, j, spool.Received, start.Add(20*time.Second), 9)); !slices.Equal(got, want[2:3]) {
		t.Errorf("what else is due: got %v, want %v", got, want[2:3])
	}
	if got := claim(t, j, spool.Queued, start.Add(time.Hour), 9); len(got) != 0 {
		t.Errorf("of another state: %v", ids(got))
	}
	for _, n := range []int{0, -1} {
		if got := claim(t, j, spool.Received, start.Add(time.Hour), n); len(got) != 0 {
			t.Errorf("claim of %d: %v", n, ids(got))
		}
	}
}

func claimFair(t *testing.T, j spool.Journal) {
	var es []spool.Entry
	for i := range 100 {
		es = append(es, Entry("flooded", start.Add(time.Duration(i)*time.Second)))
	}
	late := start.Add(time.Hour)
	es = append(es, Entry("small", late), Entry("village", late))
	insert(t, j, es...)
	seen := map[envelope.TenantID]int{}
	for range 2 {
		for _, e := range claim(t, j, spool.Received, late, 4) {
			seen[e.Envelope.Tenant]++
		}
	}
	if seen["small"] != 1 || seen["village"] != 1 || seen["flooded"] != 6 {
		t.Errorf("of eight claimed: %v; want one each of small and village, the rest of flooded", seen)
	}
	// One at a time, too.
	insert(t, j, Entry("small", late), Entry("village", late))
	seen = map[envelope.TenantID]int{}
	for range 3 {
		for _, e := range claim(t, j, spool.Received, late, 1) {
			seen[e.Envelope.Tenant]++
		}
	}
	if seen["small"] != 1 || seen["village"] != 1 || seen["flooded"] != 1 {
		t.Errorf("three single claims: %v; want one of each", seen)
	}
	if got := len(claim(t, j, spool.Received, late, 1000)); got != 100-7 {
		t.Errorf("what is left: %d, want 93", got)
	}
}

func claimTurns(t *testing.T, j spool.Journal) {
	taker, ok := j.(spool.TurnTaker)
	if !ok {
		t.Skip("this journal knows no turns")
	}
	const tenants, each, run = 5, 10, 4
	late := start.Add(time.Hour)
	var es []spool.Entry
	for i := range tenants * each { // in random order, as they come
		es = append(es, Entry(envelope.TenantID("town"+string(rune('a'+i*7%tenants))), start.Add(time.Duration(i)*time.Second)))
	}
	insert(t, j, es...)
	var got []spool.Entry
	for i := 0; len(got) < len(es); i++ {
		n := []int{1, 1, 2}[i%3] // within a claim the oldest comes first
		more, err := taker.ClaimInTurns(t.Context(), spool.Received, late, n, spool.Turns{Seats: 1, Run: run})
		if err != nil {
			t.Fatal(err)
		}
		if len(more) != min(n, len(es)-len(got)) {
			t.Fatalf("claim of %d after %d: %d", n, len(got), len(more))
		}
		got = append(got, more...)
	}
	// Every tenant's turn comes once in a round, and its own come by age.
	turns, last := map[envelope.TenantID]int{}, map[envelope.TenantID]time.Time{}
	for i, e := range got {
		of := e.Envelope.Tenant
		if i == 0 || got[i-1].Envelope.Tenant != of {
			turns[of]++
		}
		if e.Due.Before(last[of]) {
			t.Errorf("%s: %s after %s", of, e.Due, last[of])
		}
		last[of] = e.Due
		if i < tenants*run && turns[of] > 1 {
			t.Errorf("the %d. is of %s, which had its turn before others", i, of)
		}
	}
	for of, n := range turns {
		if n > (each+run-1)/run {
			t.Errorf("%s had its %d in %d turns", of, each, n)
		}
	}
	// As long as there are seats for all, every claim is shared.
	insert(t, j, Entry("flooded", start), Entry("flooded", start), Entry("flooded", start), Entry("small", late))
	more, err := taker.ClaimInTurns(t.Context(), spool.Received, late, 2, spool.Turns{Seats: tenants + 2, Run: run})
	if err != nil || len(more) != 2 || more[0].Envelope.Tenant == more[1].Envelope.Tenant {
		var of []envelope.TenantID
		for _, e := range more {
			of = append(of, e.Envelope.Tenant)
		}
		t.Errorf("a claim of two with a seat for everybody is for %v (%v), want both", of, err)
	}
}

func claimers(t *testing.T, j spool.Journal) {
	const n = 200
	var es []spool.Entry
	for range n {
		es = append(es, Entry("town", start))
	}
	insert(t, j, es...)
	var mu sync.Mutex
	seen := map[envelope.ID]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				es, err := j.Claim(t.Context(), spool.Received, start, 7)
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				if len(es) == 0 {
					return
				}
				mu.Lock()
				for _, e := range es {
					seen[e.Envelope.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d entries were claimed, want %d", len(seen), n)
	}
	for id, k := range seen {
		if k != 1 {
			t.Errorf("%s was claimed %d times", id, k)
		}
	}
}

func inHand(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	insert(t, j, e)
	claim(t, j, spool.Received, time.Now(), 1)
	if got := claim(t, j, spool.Received, time.Now(), 1); len(got) != 0 {
		t.Error("claimed twice")
	}
	if _, err := j.Take(t.Context(), "town", e.Envelope.ID, spool.Received); !errors.Is(err, spool.ErrState) {
		t.Errorf("take: got %v, want ErrState", err)
	}
	if got, err := j.Get(t.Context(), "town", e.Envelope.ID); err != nil || got.Lease != "" {
		t.Errorf("get shows the lease of somebody else (%q), %v", got.Lease, err)
	}
}

func insertInHand(t *testing.T, j spool.Journal, a spool.Adopter) {
	e := Entry("town", start)
	e.Original = smallRef("bytes")
	got, err := a.InsertInHand(t.Context(), e, []audit.Event{event("received", e.Envelope.ID)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Lease == "" || got.Original.Inline != nil {
		t.Errorf("lease %q, bytes %q", got.Lease, got.Original.Inline)
	}
	if in, ok := j.(spool.Inliner); ok {
		wantSmall(t, in, "inserted in hand", e.Original, "bytes")
	}
	now := time.Now()
	if es := claim(t, j, spool.Received, now, 9); len(es) != 0 {
		t.Error("claimed from the hand it is in")
	}
	if _, err := j.Take(t.Context(), "town", e.Envelope.ID, spool.Received); !errors.Is(err, spool.ErrState) {
		t.Errorf("take: got %v, want ErrState", err)
	}
	if err := j.Renew(t.Context(), got); err != nil {
		t.Errorf("renew: %v", err)
	}
	if err := j.Settle(t.Context(), got, spool.Change{To: spool.Queued, Events: []audit.Event{event("queued", e.Envelope.ID)}}); err != nil {
		t.Fatalf("settle: %v", err)
	}
	want := e
	want.State, want.Original.Inline = spool.Queued, nil
	if es := claim(t, j, spool.Queued, now, 9); len(es) != 1 || !cmp.Equal(es[0], want, same) {
		t.Errorf("it came back as another: %s", cmp.Diff(es, []spool.Entry{want}, same))
	}
	if acts := CheckAudit(t, j); !slices.Equal(acts, []string{"received", "queued"}) {
		t.Errorf("audit %v", acts)
	}

	// One of whom nothing is heard any more is everybody's.
	dead := Entry("town", start)
	first, err := a.InsertInHand(t.Context(), dead, nil)
	if err != nil {
		t.Fatal(err)
	}
	es := claim(t, j, spool.Received, time.Now().Add(spool.LeaseTime), 9)
	if len(es) != 1 || es[0].Deaths != 1 {
		t.Fatalf("after its lease: %+v", es)
	}
	if err := j.Settle(t.Context(), first, spool.Change{To: spool.Queued}); !errors.Is(err, spool.ErrLost) {
		t.Errorf("settle by the first hand: got %v, want ErrLost", err)
	}

	// What was there is not touched by one of its name.
	if _, err := a.InsertInHand(t.Context(), dead, []audit.Event{event("received", dead.Envelope.ID)}); !errors.Is(err, spool.ErrExists) {
		t.Errorf("a second one of the name: got %v, want ErrExists", err)
	}
	if err := j.Settle(t.Context(), es[0], spool.Change{To: spool.Held}); err != nil {
		t.Errorf("settle by the one who claimed it: %v", err)
	}
	if acts := CheckAudit(t, j); len(acts) != 2 {
		t.Errorf("the failure left a record: %v", acts)
	}
}

func leaseRunsOut(t *testing.T, j spool.Journal) {
	insert(t, j, Entry("town", start))
	now := start
	first := claim(t, j, spool.Received, now, 1)[0]
	last := first
	for death := 1; death <= spool.PoisonDeaths; death++ {
		if got := claim(t, j, spool.Received, now.Add(spool.LeaseTime-time.Microsecond), 1); len(got) != 0 {
			t.Fatal("claimed while the lease ran")
		}
		now = now.Add(spool.LeaseTime)
		es := claim(t, j, spool.Received, now, 1)
		if len(es) != 1 || es[0].Deaths != death {
			t.Fatalf("after %d leases: %d entries, %+v", death, len(es), es)
		}
		if es[0].Lease == last.Lease {
			t.Error("the new lease is the old one")
		}
		last = es[0]
	}
	if err := j.Settle(t.Context(), first, spool.Change{To: spool.Queued}); !errors.Is(err, spool.ErrLost) {
		t.Errorf("settle by the first owner: got %v, want ErrLost", err)
	}
	if err := j.Renew(t.Context(), first); !errors.Is(err, spool.ErrLost) {
		t.Errorf("renew by the first owner: got %v, want ErrLost", err)
	}
	if err := j.Settle(t.Context(), last, spool.Change{To: spool.Queued}); err != nil {
		t.Fatalf("settle by the last: %v", err)
	}
	if es := claim(t, j, spool.Queued, now, 1); len(es) != 1 || es[0].Deaths != 0 {
		t.Errorf("deaths are not forgotten after a step that went well: %+v", es)
	}
}

func suspects(t *testing.T, j spool.Journal) {
	for range 5 {
		insert(t, j, Entry("town", start))
	}
	if n := len(claim(t, j, spool.Received, start, 5)); n != 5 {
		t.Fatalf("claimed %d, want 5", n)
	}
	now := start.Add(spool.LeaseTime) // all five ran out
	fresh := Entry("town", start)
	insert(t, j, fresh)
	es := claim(t, j, spool.Received, now, 9)
	dead := slices.DeleteFunc(slices.Clone(es), func(e spool.Entry) bool { return e.Deaths == 0 })
	if len(es) != 2 || len(dead) != 1 {
		t.Fatalf("got %d entries, %d of them with deaths; want the fresh one and one with deaths", len(es), len(dead))
	}
	if got := claim(t, j, spool.Received, now, 9); len(got) != 0 {
		t.Errorf("a second one with deaths was handed out: %v", ids(got))
	}
	for left := 4; left > 0; left-- {
		if err := j.Settle(t.Context(), dead[0], spool.Change{To: spool.Held}); err != nil {
			t.Fatal(err)
		}
		dead = claim(t, j, spool.Received, now, 9)
		if len(dead) != 1 || dead[0].Deaths != 1 {
			t.Fatalf("after one was settled: %d entries, want one with one death", len(dead))
		}
	}
}

func renew(t *testing.T, j spool.Journal) {
	now := time.Now()
	e := Entry("town", now)
	insert(t, j, e)
	c := claim(t, j, spool.Received, now.Add(-40*time.Second+time.Minute), 1)
	if len(c) != 1 {
		t.Fatalf("claimed %d", len(c))
	}
	if err := j.Renew(t.Context(), c[0]); err != nil {
		t.Fatalf("renew: %v", err)
	}
	if err := j.Settle(t.Context(), c[0], spool.Change{To: spool.Held}); err != nil {
		t.Errorf("settle after renew: %v", err)
	}
	if err := j.Renew(t.Context(), c[0]); !errors.Is(err, spool.ErrLost) {
		t.Errorf("renew after settle: got %v, want ErrLost", err)
	}
	if err := j.Renew(t.Context(), e); !errors.Is(err, spool.ErrLost) {
		t.Errorf("renew without a lease: got %v, want ErrLost", err)
	}
}

func hasten(t *testing.T, j spool.Journal) {
	later := start.Add(time.Hour)
	waits, other, held, mine, early := Full("town", later), Full("city", later), Entry("town", later), Full("town", start), Full("town", start.Add(-time.Minute))
	held.State = spool.Held
	held.Verdict = policy.Verdict{Action: policy.Hold}
	insert(t, j, waits, other, held, mine, early)
	if got := claim(t, j, spool.Queued, start, 1); len(got) != 1 || got[0].Envelope.ID != early.Envelope.ID {
		t.Fatalf("claimed %v, want %s", ids(got), early.Envelope.ID)
	}
	n, err := j.Hasten(t.Context(), spool.Queued, []envelope.ID{waits.Envelope.ID, other.Envelope.ID, held.Envelope.ID, mine.Envelope.ID, early.Envelope.ID, envelope.NewID(start)}, start)
	if err != nil || n != 2 {
		t.Fatalf("%d were brought forward, %v; want 2: not one that is held, due, in hand or not there", n, err)
	}
	got, err := j.Get(t.Context(), "", waits.Envelope.ID)
	if want := waits; err != nil || !got.Due.Equal(start) {
		t.Errorf("due %s, %v; want %s instead of %s", got.Due, err, start, want.Due)
	} else if want.Due = got.Due; !cmp.Equal(got, want, same) {
		t.Errorf("more was changed than when it is due: %s", cmp.Diff(want, got, same))
	}
	if got := ids(claim(t, j, spool.Queued, start, 10)); len(got) != 3 || !slices.Contains(got, waits.Envelope.ID) || !slices.Contains(got, other.Envelope.ID) {
		t.Errorf("claimed %v, want the three that wait", got)
	}
}

func takeState(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	e.State = spool.Held
	insert(t, j, e)
	for _, s := range []spool.State{spool.Received, spool.Queued, spool.Done} {
		if _, err := j.Take(t.Context(), "town", e.Envelope.ID, s); !errors.Is(err, spool.ErrState) {
			t.Errorf("take as %s: got %v, want ErrState", s, err)
		}
	}
	a, err := j.Take(t.Context(), "town", e.Envelope.ID, spool.Held)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Take(t.Context(), "town", e.Envelope.ID, spool.Held); !errors.Is(err, spool.ErrState) {
		t.Errorf("take twice: got %v, want ErrState", err)
	}
	release := policy.Release{By: "officer", Reason: "needed for the council", At: start}
	if err := j.Settle(t.Context(), a, spool.Change{To: spool.Received, Update: func(n *spool.Entry) { n.Release, n.Due = &release, start }}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Take(t.Context(), "town", e.Envelope.ID, spool.Held); !errors.Is(err, spool.ErrState) {
		t.Errorf("take after release: got %v, want ErrState", err)
	}
	es := claim(t, j, spool.Received, start, 1)
	if len(es) != 1 || es[0].Release == nil || es[0].Release.By != "officer" {
		t.Errorf("after release: %+v", es)
	}
}
