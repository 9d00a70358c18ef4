// Package spooltest is the conformance suite of journals: whatever implements
// spool.Journal passes it. Everything in it goes through the interface, with
// times that the test names, so that it needs no sleep.
package spooltest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/spool"
)

// Entry returns an entry in state Received, due at due, with every field of a
// fresh one filled.
func Entry(tenant envelope.TenantID, due time.Time) spool.Entry {
	to := []envelope.Address{{Local: "a", Domain: "town.example.lg.jp"}, {Local: ".b..", Domain: "town.example.lg.jp"}}
	return spool.Entry{
		Envelope: envelope.Envelope{
			ID: envelope.NewID(due), Tenant: tenant, Profile: "default", Zone: envelope.Internet, Treatment: envelope.Rebuild,
			From: envelope.Address{Local: "s", Domain: "example.com"}, To: to,
			Peer: envelope.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.com", Listener: "mx", Protocol: "ESMTP"},
			Size: 4096, Digest: envelope.Digest{1, 2, 3}, Received: due.UTC().Truncate(time.Microsecond),
			HeaderFrom: "s@example.com", Subject: "件名", Hops: 2,
		},
		State:    spool.Received,
		Pending:  slices.Clone(to),
		Original: Ref(),
		Intake:   []byte("intake seal"),
		Due:      due.UTC().Truncate(time.Microsecond),
	}
}

// Ref returns a reference to a blob that no other names.
func Ref() blob.Ref {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return blob.Ref{ID: blob.ID(hex.EncodeToString(b[:])), Size: 4096, Wrapped: []byte("wrapped")}
}

// Full returns an entry with every field set that a journal keeps.
func Full(tenant envelope.TenantID, due time.Time) spool.Entry {
	e := Entry(tenant, due)
	e.State = spool.Queued
	e.Envelope.Auth = &envelope.Auth{From: "a@partner.example", SPF: envelope.AuthPass}
	e.Envelope.DSN = &envelope.DSN{EnvID: "mark"}
	e.Delayed = true
	e.Part = []string{"2", "3.1"}
	e.Parent = envelope.NewID(due)
	e.Sanitized = Ref()
	e.Seal = []byte("outgoing seal")
	e.Networks = []envelope.Network{envelope.NetworkLGWAN, envelope.NetworkLocal}
	e.Kind = "treated"
	e.HeaderLen = 512
	e.Report = &sanitize.Report{Engine: "e1", Outcome: sanitize.Disarmed, Changed: true,
		Parts: []sanitize.Part{{Path: "2", Name: "見積.xlsm", Kind: "xlsm", Findings: []sanitize.Finding{{Rule: "ooxml.vba", Action: sanitize.Removed}}}}}
	e.Verdict = policy.Verdict{Action: policy.Deliver, Rule: "treated", Reasons: []string{"r"}}
	e.Release = &policy.Release{By: "officer", Reason: "asked by telephone", At: due.UTC().Truncate(time.Microsecond)}
	e.Envelope.DSN = &envelope.DSN{Return: "HDRS", EnvID: "x", To: []envelope.RecipientDSN{{To: e.Envelope.To[0], Notify: envelope.NotifyNever, Original: "rfc822;a"}}}
	e.Attempts, e.Delayed, e.TLSReport = 3, true, true
	e.Err = "421 later"
	e.Expires = e.Due.Add(14 * 24 * time.Hour)
	return e
}

var start = time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)

// same compares entries as a journal keeps them.
var same = cmp.Options{
	cmpopts.IgnoreFields(spool.Entry{}, "Lease"),
	cmpopts.EquateEmpty(),
	cmpopts.EquateComparable(netip.Addr{}),
}

func insert(t *testing.T, j spool.Journal, es ...spool.Entry) {
	t.Helper()
	if err := j.Insert(t.Context(), es, nil); err != nil {
		t.Fatalf("insert: %v", err)
	}
}

func claim(t *testing.T, j spool.Journal, s spool.State, now time.Time, n int) []spool.Entry {
	t.Helper()
	es, err := j.Claim(t.Context(), s, now, n)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	for _, e := range es {
		if e.Lease == "" {
			t.Errorf("claimed %s has no lease", e.Envelope.ID)
		}
		if e.State != s {
			t.Errorf("claimed %s is %s, want %s", e.Envelope.ID, e.State, s)
		}
	}
	return es
}

func ids(es []spool.Entry) []envelope.ID {
	var s []envelope.ID
	for _, e := range es {
		s = append(s, e.Envelope.ID)
	}
	return s
}

func event(act string, id envelope.ID) audit.Event {
	return audit.Event{Time: start, Tenant: "town", Actor: "gateway", Act: act, ID: string(id)}
}

// CheckAudit fails unless the chain is whole, and returns its acts in order.
func CheckAudit(t testing.TB, j spool.Journal) []string {
	t.Helper()
	var acts []string
	var last audit.Record
	for {
		rs, err := j.Audit(context.Background(), "", last.Seq, 100)
		if err != nil {
			t.Fatalf("audit: %v", err)
		}
		if len(rs) == 0 {
			return acts
		}
		for _, r := range rs {
			if r.Seq != last.Seq+1 || r.Prev != last.Hash || !r.Intact() {
				t.Fatalf("audit record %d: number %d, follows the one before %v, intact %v", last.Seq+1, r.Seq, r.Prev == last.Hash, r.Intact())
			}
			acts = append(acts, r.Act)
			last = r
		}
	}
}

// Run runs the suite. newJournal returns an empty journal.
func Run(t *testing.T, newJournal func(t *testing.T) spool.Journal) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, spool.Journal)
	}{
		{"EveryFieldComesBack", everyFieldComesBack},
		{"InsertIsAllOrNothing", insertIsAllOrNothing},
		{"WhatIsNoEntryIsRefused", whatIsNoEntryIsRefused},
		{"ClaimTakesWhatIsDueOldestFirst", claimOrder},
		{"ClaimGivesEveryTenantItsTurn", claimFair},
		{"ClaimInTurnsGivesSeveralInARow", claimTurns},
		{"OneOfTwoClaimersGetsAnEntry", claimers},
		{"WhatIsInHandIsNotTaken", inHand},
		{"LeaseThatRanOutIsADeath", leaseRunsOut},
		{"SuspectsComeOneAtATime", suspects},
		{"RenewKeepsTheLease", renew},
		{"HastenBringsForwardWhatWaits", hasten},
		{"SettleNeedsTheLease", settleNeedsLease},
		{"SettleWritesEntrySpawnAndEventsTogether", settleTogether},
		{"SettleThatFailsChangesNothing", settleFails},
		{"SettleCannotChangeTheEnvelope", settleEnvelope},
		{"AnotherTenantsIsNotFound", tenants},
		{"TakeNeedsTheState", takeState},
		{"HeldEntriesAreClaimedWhenTheyExpire", heldExpire},
		{"DoneIsNotClaimed", doneIsNotClaimed},
		{"ListFiltersAndPages", list},
		{"PurgeDeletesWhatExpired", purge},
		{"BlobsStayWhileNamed", referenced},
		{"CountCounts", count},
		{"AuditIsAChain", auditChain},
		{"ManyWritersAtOnce", manyWriters},
		{"OneFailureAmongManyWritersIsItsOwn", failureAmongMany},
		{"CancelledCallerGetsAnAnswer", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.f(t, newJournal(t)) })
	}
	// For journals that keep small blobs.
	for _, c := range []struct {
		name string
		f    func(*testing.T, spool.Journal, spool.Inliner)
	}{
		{"SmallBytesComeAndGoWithTheirRows", smallLife},
		{"FailedChangeKeepsNoSmallBytes", smallFails},
		{"SmallBytesSetAsideAreKept", smallAside},
	} {
		j := newJournal(t)
		if in, ok := j.(spool.Inliner); ok {
			t.Run(c.name, func(t *testing.T) { c.f(t, j, in) })
		}
	}
}

func smallRef(content string) blob.Ref {
	r := Ref()
	r.Inline = []byte(content)
	return r
}

// wantSmall checks what a journal keeps under the id of a blob; "" is nothing.
func wantSmall(t *testing.T, in spool.Inliner, when string, r blob.Ref, want string) {
	t.Helper()
	got, err := in.SmallBlob(t.Context(), r.ID)
	if want == "" && !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("%s: got %q, %v; want ErrNotFound", when, got, err)
	}
	if want != "" && (err != nil || string(got) != want) {
		t.Errorf("%s: got %q, %v; want %q", when, got, err, want)
	}
}

func smallLife(t *testing.T, j spool.Journal, in spool.Inliner) {
	a, b := Entry("town", start), Entry("village", start)
	a.Original = smallRef("original")
	b.Original = a.Original
	insert(t, j, a, b)
	wantSmall(t, in, "inserted", a.Original, "original")
	es := claim(t, j, spool.Received, start, 2)
	for _, e := range es {
		if e.Original.Inline != nil {
			t.Error("a claimed entry brings the bytes")
		}
	}
	first, second := smallRef("first"), smallRef("second")
	if err := j.Settle(t.Context(), es[0], spool.Change{To: spool.Received, Update: func(e *spool.Entry) { e.Sanitized = first }}); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "settled", first, "first")
	again := claim(t, j, spool.Received, start, 1)[0]
	ours := Entry("town", start)
	ours.Original = smallRef("notice")
	if err := j.Settle(t.Context(), again, spool.Change{To: spool.Done, Spawn: []spool.Entry{ours}, Update: func(e *spool.Entry) { e.Sanitized, e.Expires = second, start }}); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "replaced", first, "")
	wantSmall(t, in, "replacing", second, "second")
	wantSmall(t, in, "spawned", ours.Original, "notice")
	ids, err := j.Purge(t.Context(), start, 9)
	if err != nil || !slices.Equal(ids, []blob.ID{second.ID}) {
		t.Errorf("purge: %v, %v; want %s", ids, err, second.ID)
	}
	wantSmall(t, in, "purged", second, "")
	wantSmall(t, in, "still named", a.Original, "original")
	if err := j.Settle(t.Context(), es[1], spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = start }}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Purge(t.Context(), start, 9); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "named no more", a.Original, "")
}

func smallFails(t *testing.T, j spool.Journal, in spool.Inliner) {
	a := Entry("town", start)
	insert(t, j, a)
	b := a
	b.Original = smallRef("x")
	if err := j.Insert(t.Context(), []spool.Entry{b}, nil); !errors.Is(err, spool.ErrExists) {
		t.Errorf("insert: got %v, want ErrExists", err)
	}
	wantSmall(t, in, "after a failed insert", b.Original, "")
	c := claim(t, j, spool.Received, start, 1)[0]
	out := smallRef("y")
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Queued, Update: func(e *spool.Entry) { e.Sanitized = out }, Spawn: []spool.Entry{a}}); err == nil {
		t.Error("an id was spawned twice")
	}
	wantSmall(t, in, "after a failed settle", out, "")
}

func smallAside(t *testing.T, j spool.Journal, in spool.Inliner) {
	a := Entry("town", start)
	a.Original, a.State, a.Expires = smallRef("damaged"), spool.Done, start
	insert(t, j, a)
	if err := in.SetAside(t.Context(), Ref().ID); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("aside of what is not there: got %v, want ErrNotFound", err)
	}
	if err := in.SetAside(t.Context(), a.Original.ID); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "set aside", a.Original, "")
	if _, err := j.Purge(t.Context(), start, 9); err != nil {
		t.Fatal(err)
	}
	if err := in.SetAside(t.Context(), a.Original.ID); err != nil {
		t.Errorf("after a purge it is gone: %v", err)
	}
}

func everyFieldComesBack(t *testing.T, j spool.Journal) {
	for _, want := range []spool.Entry{Entry("town", start), Full("town", start)} {
		insert(t, j, want)
		got, err := j.Get(t.Context(), "town", want.Envelope.ID)
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		if d := cmp.Diff(want, got, same); d != "" {
			t.Errorf("get: (-written +read)\n%s", d)
		}
		if got.Lease != "" {
			t.Error("an entry that nobody took has a lease")
		}
		es := claim(t, j, want.State, start, 1)
		if len(es) != 1 {
			t.Fatalf("claimed %d, want 1", len(es))
		}
		if d := cmp.Diff(want, es[0], same); d != "" {
			t.Errorf("claim: (-written +read)\n%s", d)
		}
	}
}

func insertIsAllOrNothing(t *testing.T, j spool.Journal) {
	a, b := Entry("town", start), Entry("town", start)
	insert(t, j, a)
	if err := j.Insert(t.Context(), []spool.Entry{b, a}, []audit.Event{event("received", b.Envelope.ID)}); !errors.Is(err, spool.ErrExists) {
		t.Errorf("an id twice: got %v, want ErrExists", err)
	}
	if _, err := j.Get(t.Context(), "", b.Envelope.ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("the other entry of a failed insert: got %v, want ErrNotFound", err)
	}
	if acts := CheckAudit(t, j); len(acts) != 0 {
		t.Errorf("a failed insert left events %v", acts)
	}
}

func whatIsNoEntryIsRefused(t *testing.T, j spool.Journal) {
	for name, spoil := range map[string]func(*spool.Entry){
		"no state":      func(e *spool.Entry) { e.State = 0 },
		"unknown state": func(e *spool.Entry) { e.State = 9 },
		"no id":         func(e *spool.Entry) { e.Envelope.ID = "" },
		"bad id":        func(e *spool.Entry) { e.Envelope.ID = "../x" },
		"no tenant":     func(e *spool.Entry) { e.Envelope.Tenant = "" },
		"no original":   func(e *spool.Entry) { e.Original = blob.Ref{} },
	} {
		e := Entry("town", start)
		spoil(&e)
		if err := j.Insert(t.Context(), []spool.Entry{e}, nil); err == nil {
			t.Errorf("%s: inserted", name)
		}
	}
	e := Entry("town", start)
	insert(t, j, e)
	c := claim(t, j, spool.Received, start, 1)[0]
	if err := j.Settle(t.Context(), c, spool.Change{}); err == nil {
		t.Error("settled to no state")
	}
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Held}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

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

func tenants(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	e.State = spool.Held
	if err := j.Insert(t.Context(), []spool.Entry{e}, []audit.Event{event("held", e.Envelope.ID)}); err != nil {
		t.Fatal(err)
	}
	missing := envelope.NewID(start)
	for _, c := range []struct {
		name   string
		tenant envelope.TenantID
		id     envelope.ID
	}{
		{"another tenant's", "village", e.Envelope.ID},
		{"a tenant whose name begins alike", "tow", e.Envelope.ID},
		{"a pattern", "%", e.Envelope.ID},
		{"what is not there", "town", missing},
	} {
		if _, err := j.Get(t.Context(), c.tenant, c.id); !errors.Is(err, spool.ErrNotFound) {
			t.Errorf("get %s: got %v, want ErrNotFound", c.name, err)
		}
		if _, err := j.Take(t.Context(), c.tenant, c.id, spool.Held); !errors.Is(err, spool.ErrNotFound) {
			t.Errorf("take %s: got %v, want ErrNotFound", c.name, err)
		}
	}
	if _, err := j.Take(t.Context(), "", e.Envelope.ID, spool.Held); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("take for no tenant: got %v, want ErrNotFound", err)
	}
	if es, err := j.List(t.Context(), spool.Filter{Tenant: "village"}); err != nil || len(es) != 0 {
		t.Errorf("list of another tenant: %v, %v", ids(es), err)
	}
	if rs, err := j.Audit(t.Context(), "village", 0, 10); err != nil || len(rs) != 0 {
		t.Errorf("audit of another tenant: %v, %v", rs, err)
	}
	if rs, err := j.Audit(t.Context(), "town", 0, 10); err != nil || len(rs) != 1 {
		t.Errorf("audit of the tenant: %v, %v; want one record", rs, err)
	}
	got, err := j.Take(t.Context(), "town", e.Envelope.ID, spool.Held)
	if err != nil || got.Lease == "" {
		t.Errorf("take of one's own: lease %q, %v", got.Lease, err)
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

func heldExpire(t *testing.T, j spool.Journal) {
	var want []envelope.ID
	for i := range 3 {
		e := Entry("town", start)
		e.State, e.Expires = spool.Held, start.Add(time.Duration(i+1)*time.Hour)
		insert(t, j, e)
		want = append(want, e.Envelope.ID)
	}
	never := Entry("town", start)
	never.State = spool.Held
	insert(t, j, never)
	if got := claim(t, j, spool.Held, start, 9); len(got) != 0 {
		t.Errorf("before anything expires: %v", ids(got))
	}
	if got := ids(claim(t, j, spool.Held, start.Add(2*time.Hour), 9)); !slices.Equal(got, want[:2]) {
		t.Errorf("got %v, want %v", got, want[:2])
	}
	if got := ids(claim(t, j, spool.Held, start.Add(1000*time.Hour), 9)); !slices.Contains(got, want[2]) || slices.Contains(got, never.Envelope.ID) {
		t.Errorf("got %v; %s expires, %s never does", got, want[2], never.Envelope.ID)
	}
}

func doneIsNotClaimed(t *testing.T, j spool.Journal) {
	e := Entry("town", start)
	e.State = spool.Done
	insert(t, j, e)
	for _, s := range []spool.State{0, spool.Done, 9} {
		if es, err := j.Claim(t.Context(), s, start, 1); err == nil || len(es) != 0 {
			t.Errorf("claim of state %d: %v, %v", s, ids(es), err)
		}
	}
}

func list(t *testing.T, j spool.Journal) {
	var held, village []envelope.ID
	for i := range 10 {
		e := Entry("town", start.Add(time.Duration(i)*time.Second))
		if i%2 == 0 {
			e.State, e.Expires = spool.Held, start.Add(time.Duration(i+1)*time.Hour)
			held = append(held, e.Envelope.ID)
		}
		v := Entry("village", start.Add(time.Duration(i)*time.Second))
		village = append(village, v.Envelope.ID)
		insert(t, j, e, v)
	}
	for _, c := range []struct {
		name string
		f    spool.Filter
		want []envelope.ID
	}{
		{"state and tenant", spool.Filter{Tenant: "town", State: spool.Held}, held},
		{"state", spool.Filter{State: spool.Held}, held},
		{"tenant", spool.Filter{Tenant: "village"}, village},
		{"limit", spool.Filter{Tenant: "village", Limit: 3}, village[:3]},
		{"next page", spool.Filter{Tenant: "village", Limit: 3, After: village[2]}, village[3:6]},
		{"after the last", spool.Filter{Tenant: "village", After: village[9]}, nil},
		{"due before", spool.Filter{Tenant: "village", State: spool.Received, Before: start.Add(2 * time.Second)}, village[:2]},
		{"expiring before", spool.Filter{State: spool.Held, Before: start.Add(5 * time.Hour)}, held[:2]},
		{"another state", spool.Filter{Tenant: "village", State: spool.Queued}, nil},
		{"no such tenant", spool.Filter{Tenant: "city"}, nil},
	} {
		es, err := j.List(t.Context(), c.f)
		got := ids(es)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v, %v", c.name, got, c.want, err)
		}
	}
	es, err := j.List(t.Context(), spool.Filter{})
	if err != nil || len(es) != 20 || !slices.IsSorted(ids(es)) {
		t.Errorf("all: %d, sorted %v, %v", len(es), slices.IsSorted(ids(es)), err)
	}
}

func purge(t *testing.T, j spool.Journal) {
	done := func(expires time.Time) spool.Entry {
		e := Entry("town", start)
		e.State, e.Expires, e.Sanitized = spool.Done, expires, Ref()
		return e
	}
	old, young, never := done(start), done(start.Add(time.Hour)), done(time.Time{})
	held := Entry("town", start)
	held.State, held.Expires = spool.Held, start
	part := done(start) // shares its original with held
	part.Original, part.Sanitized = held.Original, blob.Ref{}
	insert(t, j, old, young, never, held, part)
	got, err := j.Purge(t.Context(), start, 100)
	want := []blob.ID{old.Original.ID, old.Sanitized.ID}
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("freed %v, want %v, %v", got, want, err)
	}
	es, err := j.List(t.Context(), spool.Filter{})
	left := ids(es)
	if err != nil || len(left) != 3 || slices.Contains(left, old.Envelope.ID) || slices.Contains(left, part.Envelope.ID) {
		t.Errorf("left %v, %v", left, err)
	}
	if got, err := j.Purge(t.Context(), start, 100); err != nil || len(got) != 0 {
		t.Errorf("purge again: %v, %v", got, err)
	}
	for range 3 {
		insert(t, j, done(start))
	}
	n := 0
	for range 3 {
		got, err := j.Purge(t.Context(), start, 1)
		if err != nil || len(got) != 2 {
			t.Errorf("purge of one: %v, %v", got, err)
		}
		n += len(got)
	}
	if n != 6 {
		t.Errorf("freed %d blobs one entry at a time, want 6", n)
	}
}

func referenced(t *testing.T, j spool.Journal) {
	e := Full("town", start)
	insert(t, j, e)
	for name, c := range map[string]struct {
		id   blob.ID
		want bool
	}{
		"original":  {e.Original.ID, true},
		"sanitized": {e.Sanitized.ID, true},
		"another":   {Ref().ID, false},
		"none":      {"", false},
	} {
		if got, err := j.Referenced(t.Context(), c.id); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, c.want)
		}
	}
	c := claim(t, j, spool.Queued, start, 1)[0]
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Received, Update: func(n *spool.Entry) { n.Sanitized = blob.Ref{} }}); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Referenced(t.Context(), e.Sanitized.ID); err != nil || got {
		t.Errorf("after it was given up: got %v, %v", got, err)
	}
}

func count(t *testing.T, j spool.Journal) {
	if n, oldest, err := j.Count(t.Context()); err != nil || len(n) != 0 || !oldest.IsZero() {
		t.Errorf("empty: %v, %v, %v", n, oldest, err)
	}
	for i := range 5 {
		e := Entry("town", start.Add(time.Duration(i)*time.Minute))
		if i > 1 {
			e.State = spool.Queued
		}
		insert(t, j, e)
	}
	n, oldest, err := j.Count(t.Context())
	if err != nil || n[spool.Received] != 2 || n[spool.Queued] != 3 || n[spool.Held] != 0 || !oldest.Equal(start.Add(2*time.Minute)) {
		t.Errorf("got %v, %v, %v; want 2 Received, 3 Queued since %v", n, oldest, err, start.Add(2*time.Minute))
	}
}

func auditChain(t *testing.T, j spool.Journal) {
	want := []string{}
	for i := range 25 {
		act := fmt.Sprintf("act-%02d", i)
		want = append(want, act)
		ev := audit.Event{Time: start.Add(time.Duration(i)*time.Second + 123456789), Tenant: "町", Actor: "officer", Act: act, Detail: "理由: " + strings.Repeat("x", i)}
		if err := j.Record(t.Context(), []audit.Event{ev}); err != nil {
			t.Fatal(err)
		}
	}
	if got := CheckAudit(t, j); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	rs, err := j.Audit(t.Context(), "町", 10, 5)
	if err != nil || len(rs) != 5 || rs[0].Seq != 11 {
		t.Errorf("a page: %d records from %v, %v", len(rs), rs, err)
	}
	if err := j.Record(t.Context(), nil); err != nil {
		t.Errorf("no event: %v", err)
	}
}

func manyWriters(t *testing.T, j spool.Journal) {
	const writers, each = 64, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			tenant := envelope.TenantID(fmt.Sprintf("t%d", w%5))
			for range each {
				e := Entry(tenant, start)
				if err := j.Insert(t.Context(), []spool.Entry{e}, []audit.Event{event("received", e.Envelope.ID)}); err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				// What was acknowledged is there.
				if _, err := j.Get(t.Context(), tenant, e.Envelope.ID); err != nil {
					t.Errorf("get: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n, _, err := j.Count(t.Context()); err != nil || n[spool.Received] != writers*each {
		t.Errorf("%v, %v; want %d", n, err, writers*each)
	}
	if acts := CheckAudit(t, j); len(acts) != writers*each {
		t.Errorf("%d events, want %d", len(acts), writers*each)
	}
}

func failureAmongMany(t *testing.T, j spool.Journal) {
	twice := Entry("town", start)
	insert(t, j, twice)
	var ok, failed atomic.Int64
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			e := Entry("town", start)
			bad := w%2 == 1
			if bad {
				e.Envelope.ID = twice.Envelope.ID
			}
			err := j.Insert(t.Context(), []spool.Entry{e}, []audit.Event{event("received", e.Envelope.ID)})
			switch {
			case bad && errors.Is(err, spool.ErrExists):
				failed.Add(1)
			case !bad && err == nil:
				ok.Add(1)
			default:
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 32 || failed.Load() != 32 {
		t.Errorf("%d went well, %d failed; want 32 and 32", ok.Load(), failed.Load())
	}
	if acts := CheckAudit(t, j); len(acts) != 32 {
		t.Errorf("%d events, want 32", len(acts))
	}
}

func cancelled(t *testing.T, j spool.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := Entry("town", start)
	err := j.Insert(ctx, []spool.Entry{e}, nil)
	_, gerr := j.Get(t.Context(), "", e.Envelope.ID)
	if there := gerr == nil; there != (err == nil) {
		t.Errorf("insert said %v, but the entry is there: %v", err, there)
	}
}
