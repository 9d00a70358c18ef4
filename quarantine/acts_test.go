package quarantine_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/policy"
	"sekisho/quarantine"
	"sekisho/sanitize"
	"sekisho/spool"
)

func addr(s string) envelope.Address {
	a, err := envelope.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

func (w *world) entry(t *testing.T, id envelope.ID) spool.Entry {
	t.Helper()
	e, err := w.spool.Get(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// vandal changes a row behind the gateway's back.
func (w *world) vandal(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.db+"?_pragma=busy_timeout(10000)")
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
		{"one of its own and a stranger", sanitize.ClassExecutable, "town", policy.Release{By: "x", Reason: "y", To: []envelope.Address{addr("soumu@town.example"), addr("z@town.example")}}, quarantine.ErrRecipient},
		{"another tenant's", sanitize.ClassExecutable, "village", policy.Release{By: "x", Reason: "y"}, spool.ErrNotFound},
		{"nobody's", sanitize.ClassExecutable, "", policy.Release{By: "x", Reason: "y"}, spool.ErrNotFound},
		{"tampered", sanitize.ClassTampered, "town", policy.Release{By: "x", Reason: "y"}, quarantine.ErrClass},
	} {
		w := newWorld(t)
		id := w.hold(t, "town", c.class)
		if _, err := w.Release(t.Context(), c.tenant, id, c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		e := w.entry(t, id)
		if e.State != spool.Held || e.Release != nil || e.Verdict.Class != c.class {
			t.Errorf("%s: %+v", c.name, e)
		}
		if acts := w.acts(t, id); strings.Contains(acts, "released") {
			t.Errorf("%s: audit %v", c.name, acts)
		}
		if es, err := w.spool.List(t.Context(), spool.Filter{}); err != nil || len(es) != 1 {
			t.Errorf("%s: %d entries, %v", c.name, len(es), err)
		}
		// Nobody has it in hand afterwards.
		if err := w.Delete(t.Context(), "town", id, "x", "y"); err != nil {
			t.Errorf("%s: delete: %v", c.name, err)
		}
	}
}

// TestChangedRowIsNotReleasedTheSecondTimeEither: the refusal itself writes the
// row, and must not make good what somebody wrote into it.
func TestChangedRowIsNotReleasedTheSecondTimeEither(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "town", sanitize.ClassExecutable)
	w.vandal(t, "UPDATE entries SET expires = expires + 1 WHERE id = ?", string(id))
	for range 3 {
		if _, err := w.Release(t.Context(), "town", id, policy.Release{By: "x", Reason: "y"}); !errors.Is(err, quarantine.ErrClass) {
			t.Errorf("%v, want %v", err, quarantine.ErrClass)
		}
	}
	if e := w.entry(t, id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassTampered || e.Tampered != "" {
		t.Errorf("%+v", e)
	}
	if acts := w.acts(t, id); !strings.Contains(acts, "gateway held") {
		t.Errorf("audit %v", acts)
	}
}

// TestDeletedChangedRowStaysDeleted: it does not come back as tampered when its
// bytes are swept.
func TestDeletedChangedRowStaysDeleted(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "town", sanitize.ClassExecutable)
	w.vandal(t, "UPDATE entries SET expires = expires + 1 WHERE id = ?", string(id))
	if err := w.Delete(t.Context(), "town", id, "hanako", "tampered"); err != nil {
		t.Fatal(err)
	}
	e := w.entry(t, id)
	if e.State != spool.Done || e.Tampered != "" {
		t.Errorf("state %s, tampered %q", e.State, e.Tampered)
	}
	if acts := w.acts(t, id); acts != "gateway received, gateway held, hanako deleted" {
		t.Errorf("audit %v", acts)
	}
	w.now = w.now.Add(48 * time.Hour)
	if _, err := w.spool.Purge(t.Context(), w.now, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := w.spool.Get(t.Context(), "", id); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("after its time: %v", err)
	}
}

func TestManyExpireInOneGo(t *testing.T) {
	w := newWorld(t)
	for range 130 { // more than one portion
		w.hold(t, "town", sanitize.ClassExecutable)
	}
	w.now = w.now.Add(20 * 24 * time.Hour)
	if n, err := w.Expire(t.Context()); n != 130 || err != nil {
		t.Errorf("%d, %v; want 130", n, err)
	}
}

// TestChangedExpiryDestroysNothing: who can write to the database could
// otherwise have any held mail deleted.
func TestChangedExpiryDestroysNothing(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "town", sanitize.ClassExecutable)
	w.vandal(t, "UPDATE entries SET expires = 1 WHERE id = ?", string(id))
	if n, err := w.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if e := w.entry(t, id); e.State != spool.Received || e.Tampered == "" {
		t.Errorf("state %s, tampered %q: want it back with the pipeline", e.State, e.Tampered)
	}
}

func TestListShowsATenantItsOwnOldestFirst(t *testing.T) {
	w := newWorld(t)
	a := w.hold(t, "town", sanitize.ClassExecutable)
	w.now = w.now.Add(time.Second)
	b := w.hold(t, "town", sanitize.ClassPDF)
	es, err := w.List(t.Context(), "town", "", 10)
	if err != nil || len(es) != 2 || es[0].Envelope.ID != a || es[1].Envelope.ID != b {
		t.Errorf("%v, %v", es, err)
	}
	if es, err = w.List(t.Context(), "town", a, 10); err != nil || len(es) != 1 || es[0].Envelope.ID != b {
		t.Errorf("after the first: %v, %v", es, err)
	}
	if es, err = w.List(t.Context(), "village", "", 10); err != nil || len(es) != 0 {
		t.Errorf("another tenant: %v, %v", es, err)
	}
	if _, err := w.Get(t.Context(), "village", a); !errors.Is(err, spool.ErrNotFound) || !strings.Contains(err.Error(), string(a)) {
		t.Errorf("another tenant: %v", err)
	}
}
