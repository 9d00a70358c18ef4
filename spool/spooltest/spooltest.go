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
	t.Run("WhatIsInsertedInHandIsInHand", func(t *testing.T) {
		j := newJournal(t)
		a, ok := j.(spool.Adopter)
		if !ok {
			t.Skip("this journal has its entries claimed")
		}
		insertInHand(t, j, a)
	})
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
