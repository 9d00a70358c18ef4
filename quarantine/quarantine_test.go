package quarantine_test

import (
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/blob/dir"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
	"sekisho/policy"
	"sekisho/quarantine"
	"sekisho/sanitize"
	"sekisho/spool"
)

// room is a quarantine over a real journal.
type room struct {
	*quarantine.Quarantine
	db  string
	now time.Time
}

func newRoom(t *testing.T) *room {
	t.Helper()
	folder := t.TempDir()
	r := &room{db: filepath.Join(folder, "j.db"), now: time.Now()}
	signer, err := seal.NewSigner(seal.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return r.now }
	journal, err := sqlite.Open(t.Context(), sqlite.Options{Path: r.db, Seal: signer, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	keys, err := blob.OpenKeyring(t.Context(), filepath.Join(folder, "site.key"), journal)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	s := &spool.Spool{Journal: journal, Blobs: blobs, Keys: keys, Seal: signer, MinFree: 1 << 20, Now: now}
	r.Quarantine = &quarantine.Quarantine{Spool: s, Now: now, Log: slog.New(slog.DiscardHandler), Originals: time.Hour}
	return r
}

func addr(s string) envelope.Address {
	a, err := envelope.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// held takes a message in and holds it.
func (r *room) held(t *testing.T, class sanitize.Class, to ...string) envelope.ID {
	t.Helper()
	d, err := r.Spool.NewDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("From: a@partner.example\r\n\r\nbody\r\n")); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Second)
	e := envelope.Envelope{ID: envelope.NewID(r.now), Tenant: "town", Profile: "default", From: addr("a@partner.example"), Received: r.now}
	for _, a := range to {
		e.To = append(e.To, addr(a))
	}
	if err := r.Spool.Accept(t.Context(), d, []envelope.Envelope{e}); err != nil {
		t.Fatal(err)
	}
	es, err := r.Spool.Claim(t.Context(), spool.Received, r.now, 1)
	if err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
	expires := r.now.Add(time.Hour)
	err = r.Spool.Settle(t.Context(), es[0], spool.Change{To: spool.Held, Update: func(e *spool.Entry) {
		e.Verdict, e.Expires = policy.Verdict{Class: class, Rule: "test"}, expires
	}})
	if err != nil {
		t.Fatal(err)
	}
	return es[0].Envelope.ID
}

func (r *room) entry(t *testing.T, id envelope.ID) spool.Entry {
	t.Helper()
	e, err := r.Spool.Get(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// acts lists what the audit says of an entry.
func (r *room) acts(t *testing.T, id envelope.ID) []string {
	t.Helper()
	rs, err := r.Spool.Audit(t.Context(), "", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, e := range rs {
		if e.ID == string(id) {
			acts = append(acts, e.Act)
		}
	}
	return acts
}

// vandal changes a row behind the gateway's back.
func (r *room) vandal(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.db+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	res, err := db.Exec(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func TestReleaseGoesBackToBeExamined(t *testing.T) {
	r := newRoom(t)
	id := r.held(t, sanitize.ClassExecutable, "b@town.example", "c@town.example")
	got, err := r.Release(t.Context(), "town", id, policy.Release{By: "hanako", Reason: "asked by phone"})
	if err != nil || got != id {
		t.Fatalf("%s, %v", got, err)
	}
	e := r.entry(t, id)
	if e.State != spool.Received || e.Release == nil || e.Release.By != "hanako" || e.Release.Reason != "asked by phone" || !e.Release.At.Equal(r.now) || e.Due.After(r.now) {
		t.Errorf("state %s, release %+v, due %s", e.State, e.Release, e.Due)
	}
	if acts := r.acts(t, id); !slices.Equal(acts, []string{"received", "released"}) {
		t.Errorf("audit %v", acts)
	}
	if _, err := r.Release(t.Context(), "town", id, policy.Release{By: "jiro", Reason: "me too"}); !errors.Is(err, spool.ErrState) {
		t.Errorf("a second release: %v", err)
	}
}

func TestReleaseToSomeLeavesTheRestHeld(t *testing.T) {
	r := newRoom(t)
	id := r.held(t, sanitize.ClassExecutable, "b@town.example", "c@town.example")
	got, err := r.Release(t.Context(), "town", id, policy.Release{By: "hanako", Reason: "x", To: []envelope.Address{addr("C@TOWN.example")}})
	if err != nil || got == id {
		t.Fatalf("%s, %v", got, err)
	}
	e := r.entry(t, got)
	// As the mail has it, whatever was typed; and only those, in the envelope.
	if e.State != spool.Received || !slices.Equal(e.Envelope.To, []envelope.Address{addr("c@town.example")}) || e.Parent != id || e.Release == nil {
		t.Errorf("%+v", e)
	}
	if err := r.Spool.CheckIntake(e); err != nil {
		t.Error(err)
	}
	if e := r.entry(t, id); e.State != spool.Held || len(e.Envelope.To) != 2 || e.Release != nil {
		t.Errorf("the rest: %+v", e)
	}
}

// TestRefusedReleaseChangesNothing lists what no release does.
func TestRefusedReleaseChangesNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		class  sanitize.Class
		tenant envelope.TenantID
		r      policy.Release
		want   error
	}{
		{"no reason", sanitize.ClassExecutable, "town", policy.Release{By: "x"}, quarantine.ErrReason},
		{"a stranger", sanitize.ClassExecutable, "town", policy.Release{By: "x", Reason: "y", To: []envelope.Address{addr("z@town.example")}}, quarantine.ErrRecipient},
		{"one of its own and a stranger", sanitize.ClassExecutable, "town", policy.Release{By: "x", Reason: "y", To: []envelope.Address{addr("b@town.example"), addr("z@town.example")}}, quarantine.ErrRecipient},
		{"another tenant's", sanitize.ClassExecutable, "village", policy.Release{By: "x", Reason: "y"}, spool.ErrNotFound},
		{"nobody's", sanitize.ClassExecutable, "", policy.Release{By: "x", Reason: "y"}, spool.ErrNotFound},
		{"tampered", sanitize.ClassTampered, "town", policy.Release{By: "x", Reason: "y"}, quarantine.ErrClass},
	} {
		r := newRoom(t)
		id := r.held(t, c.class, "b@town.example")
		if _, err := r.Release(t.Context(), c.tenant, id, c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		e := r.entry(t, id)
		if e.State != spool.Held || e.Release != nil || e.Verdict.Class != c.class {
			t.Errorf("%s: %+v", c.name, e)
		}
		if acts := r.acts(t, id); slices.Contains(acts, "released") {
			t.Errorf("%s: audit %v", c.name, acts)
		}
		if es, err := r.Spool.List(t.Context(), spool.Filter{}); err != nil || len(es) != 1 {
			t.Errorf("%s: %d entries, %v", c.name, len(es), err)
		}
		// Nobody has it in hand afterwards.
		if err := r.Delete(t.Context(), "town", id, "x", "y"); err != nil {
			t.Errorf("%s: delete: %v", c.name, err)
		}
	}
}

// TestChangedRowIsNotReleasedTheSecondTimeEither: the refusal itself writes the
// row, and must not make good what somebody wrote into it.
func TestChangedRowIsNotReleasedTheSecondTimeEither(t *testing.T) {
	r := newRoom(t)
	id := r.held(t, sanitize.ClassExecutable, "b@town.example")
	r.vandal(t, "UPDATE entries SET expires = expires + 1 WHERE id = ?", string(id))
	for range 3 {
		if _, err := r.Release(t.Context(), "town", id, policy.Release{By: "x", Reason: "y"}); !errors.Is(err, quarantine.ErrClass) {
			t.Errorf("%v, want %v", err, quarantine.ErrClass)
		}
	}
	if e := r.entry(t, id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassTampered || e.Tampered != "" {
		t.Errorf("%+v", e)
	}
	if acts := r.acts(t, id); !slices.Contains(acts, "held") {
		t.Errorf("audit %v", acts)
	}
}

func TestDeleteNeedsAReasonAndKeepsTheBytesForAWhile(t *testing.T) {
	r := newRoom(t)
	id := r.held(t, sanitize.ClassExecutable, "b@town.example")
	if err := r.Delete(t.Context(), "town", id, "x", ""); !errors.Is(err, quarantine.ErrReason) {
		t.Errorf("%v, want %v", err, quarantine.ErrReason)
	}
	if err := r.Delete(t.Context(), "village", id, "x", "y"); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("another tenant: %v", err)
	}
	if err := r.Delete(t.Context(), "town", id, "hanako", "not needed"); err != nil {
		t.Fatal(err)
	}
	if e := r.entry(t, id); e.State != spool.Done || !e.Expires.Equal(r.now.Add(time.Hour).Truncate(time.Microsecond)) && e.Expires.Sub(r.now.Add(time.Hour)).Abs() > time.Millisecond {
		t.Errorf("state %s, expires %s", e.State, e.Expires)
	}
	if acts := r.acts(t, id); !slices.Equal(acts, []string{"received", "deleted"}) {
		t.Errorf("audit %v", acts)
	}
	if err := r.Delete(t.Context(), "town", id, "x", "y"); !errors.Is(err, spool.ErrState) {
		t.Errorf("twice: %v", err)
	}
}

// TestDeletedChangedRowStaysDeleted: it does not come back as tampered when its
// bytes are swept.
func TestDeletedChangedRowStaysDeleted(t *testing.T) {
	r := newRoom(t)
	id := r.held(t, sanitize.ClassExecutable, "b@town.example")
	r.vandal(t, "UPDATE entries SET expires = expires + 1 WHERE id = ?", string(id))
	if err := r.Delete(t.Context(), "town", id, "hanako", "tampered"); err != nil {
		t.Fatal(err)
	}
	e := r.entry(t, id)
	if e.State != spool.Done || e.Tampered != "" {
		t.Errorf("state %s, tampered %q", e.State, e.Tampered)
	}
	if acts := r.acts(t, id); !slices.Equal(acts, []string{"received", "held", "deleted"}) {
		t.Errorf("audit %v", acts)
	}
	r.now = r.now.Add(48 * time.Hour)
	if _, err := r.Spool.Purge(t.Context(), r.now, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Spool.Get(t.Context(), "", id); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("after its time: %v", err)
	}
}

func TestOnlyWhatIsOverExpires(t *testing.T) {
	r := newRoom(t)
	old := r.held(t, sanitize.ClassExecutable, "b@town.example")
	r.now = r.now.Add(30 * time.Minute)
	young := r.held(t, sanitize.ClassExecutable, "b@town.example")
	if n, err := r.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	r.now = r.now.Add(40 * time.Minute)
	if n, err := r.Expire(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v; want 1", n, err)
	}
	if e := r.entry(t, old); e.State != spool.Done {
		t.Errorf("the old one: %s", e.State)
	}
	if e := r.entry(t, young); e.State != spool.Held {
		t.Errorf("the young one: %s", e.State)
	}
	if acts := r.acts(t, old); !slices.Equal(acts, []string{"received", "expired"}) {
		t.Errorf("audit %v", acts)
	}
}

func TestManyExpireInOneGo(t *testing.T) {
	r := newRoom(t)
	for range 130 { // more than one portion
		r.held(t, sanitize.ClassExecutable, "b@town.example")
	}
	r.now = r.now.Add(3 * time.Hour)
	if n, err := r.Expire(t.Context()); n != 130 || err != nil {
		t.Errorf("%d, %v; want 130", n, err)
	}
}

// TestChangedExpiryDestroysNothing: who can write to the database could
// otherwise have any held mail deleted.
func TestChangedExpiryDestroysNothing(t *testing.T) {
	r := newRoom(t)
	id := r.held(t, sanitize.ClassExecutable, "b@town.example")
	r.vandal(t, "UPDATE entries SET expires = 1 WHERE id = ?", string(id))
	if n, err := r.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if e := r.entry(t, id); e.State != spool.Received || e.Tampered == "" {
		t.Errorf("state %s, tampered %q: want it back with the pipeline", e.State, e.Tampered)
	}
}

func TestListShowsATenantItsOwnOldestFirst(t *testing.T) {
	r := newRoom(t)
	a, b := r.held(t, sanitize.ClassExecutable, "b@town.example"), r.held(t, sanitize.ClassPDF, "b@town.example")
	es, err := r.List(t.Context(), "town", "", 10)
	if err != nil || len(es) != 2 || es[0].Envelope.ID != a || es[1].Envelope.ID != b {
		t.Errorf("%v, %v", es, err)
	}
	if es, err = r.List(t.Context(), "town", a, 10); err != nil || len(es) != 1 || es[0].Envelope.ID != b {
		t.Errorf("after the first: %v, %v", es, err)
	}
	if es, err = r.List(t.Context(), "village", "", 10); err != nil || len(es) != 0 {
		t.Errorf("another tenant: %v, %v", es, err)
	}
	if _, err := r.Get(t.Context(), "village", a); !errors.Is(err, spool.ErrNotFound) || !strings.Contains(err.Error(), string(a)) {
		t.Errorf("another tenant: %v", err)
	}
}
