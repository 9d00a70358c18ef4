package quarantine_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
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

// world is a quarantine on the embedded store, with a clock that is set.
type world struct {
	*quarantine.Quarantine
	spool *spool.Spool
	now   time.Time
	db    string // path of the database
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, folder := t.Context(), t.TempDir()
	w := &world{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	signer, err := seal.NewSigner(seal.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	w.db = filepath.Join(folder, "sekisho.db")
	store, err := sqlite.Open(ctx, sqlite.Options{Path: w.db, Seal: signer, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	keys, err := blob.OpenKeyring(ctx, filepath.Join(folder, "site.key"), store)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	w.spool = &spool.Spool{Journal: store, Blobs: blobs, Keys: keys, Seal: signer, Now: clock, MinFree: 1}
	w.Quarantine = &quarantine.Quarantine{Spool: w.spool, Now: clock, Log: slog.New(slog.DiscardHandler), Originals: func() time.Duration { return 24 * time.Hour }}
	return w
}

// hold accepts a message and settles it to Held.
func (w *world) hold(t *testing.T, tenant envelope.TenantID, class sanitize.Class) envelope.ID {
	t.Helper()
	ctx := t.Context()
	d, err := w.spool.NewDraft(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(d, "Subject: x\r\n\r\n"+strings.Repeat("text\r\n", 20)); err != nil {
		t.Fatal(err)
	}
	id := envelope.NewID(w.now)
	to := []envelope.Address{{Local: "soumu", Domain: "town.example"}, {Local: "kikaku", Domain: "town.example"}}
	if err := w.spool.Accept(ctx, d, []envelope.Envelope{{ID: id, Tenant: tenant, Profile: "default", Zone: envelope.Internet, To: to, Received: w.now}}); err != nil {
		t.Fatal(err)
	}
	e, err := w.spool.Take(ctx, tenant, id, spool.Received)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.spool.Settle(ctx, e, spool.Change{To: spool.Held, Update: func(e *spool.Entry) {
		e.Verdict = policy.Verdict{Class: class, Rule: "hold_message"}
		e.Expires = w.now.Add(14 * 24 * time.Hour)
	}}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) state(t *testing.T, id envelope.ID) spool.State {
	t.Helper()
	e, err := w.spool.Get(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return e.State
}

// acts returns what the audit says was done with id.
func (w *world) acts(t *testing.T, id envelope.ID) string {
	t.Helper()
	rs, err := w.spool.Audit(t.Context(), "", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, r := range rs {
		if r.ID == string(id) {
			acts = append(acts, r.Actor+" "+r.Act)
		}
	}
	return strings.Join(acts, ", ")
}

func TestReleaseHasItExaminedAgain(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "town", sanitize.ClassExecutable)
	got, err := w.Release(t.Context(), "town", id, policy.Release{By: "suzuki", Reason: "asked by phone"})
	if err != nil || got != id {
		t.Fatalf("release: %s, %v", got, err)
	}
	e, err := w.spool.Get(t.Context(), "town", id)
	if err != nil {
		t.Fatal(err)
	}
	if e.State != spool.Received || e.Release == nil || e.Release.By != "suzuki" || !e.Release.At.Equal(w.now) {
		t.Errorf("entry is %s with release %+v", e.State, e.Release)
	}
	if got, want := w.acts(t, id), "gateway received, suzuki released"; got != want {
		t.Errorf("audit: %s, want %s", got, want)
	}
	if _, err := w.Release(t.Context(), "town", id, policy.Release{By: "sato", Reason: "again"}); !errors.Is(err, spool.ErrState) {
		t.Errorf("a second release: %v, want ErrState", err)
	}
}

func TestReleaseToSomeLeavesTheRestHeld(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "town", sanitize.ClassExecutable)
	got, err := w.Release(t.Context(), "town", id, policy.Release{By: "suzuki", Reason: "r",
		To: []envelope.Address{{Local: "KIKAKU", Domain: "town.example"}, {Local: "kikaku", Domain: "town.example"}}})
	if err != nil || got == id {
		t.Fatalf("release: %s, %v", got, err)
	}
	e, err := w.spool.Get(t.Context(), "town", got)
	if err != nil {
		t.Fatal(err)
	}
	if e.State != spool.Received || len(e.Envelope.To) != 1 || e.Envelope.To[0].Local != "kikaku" || w.spool.CheckIntake(e) != nil {
		t.Errorf("entry of the release: %s, to %v", e.State, e.Envelope.To)
	}
	if s := w.state(t, id); s != spool.Held {
		t.Errorf("the entry itself is %s", s)
	}
}

func TestActsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "town", sanitize.ClassExecutable)
	tampered := w.hold(t, "town", sanitize.ClassTampered)
	ctx := t.Context()
	release := func(tenant envelope.TenantID, id envelope.ID, r policy.Release) error {
		_, err := w.Release(ctx, tenant, id, r)
		return err
	}
	for name, c := range map[string]struct{ got, want error }{
		"no reason":             {release("town", id, policy.Release{By: "a"}), quarantine.ErrReason},
		"another tenant's":      {release("village", id, policy.Release{By: "a", Reason: "r"}), spool.ErrNotFound},
		"somebody else":         {release("town", id, policy.Release{By: "a", Reason: "r", To: []envelope.Address{{Local: "x", Domain: "town.example"}}}), quarantine.ErrRecipient},
		"tampered":              {release("town", tampered, policy.Release{By: "a", Reason: "r"}), quarantine.ErrClass},
		"delete without reason": {w.Delete(ctx, "town", id, "a", ""), quarantine.ErrReason},
		"delete another's":      {w.Delete(ctx, "village", id, "a", "r"), spool.ErrNotFound},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	for _, id := range []envelope.ID{id, tampered} {
		if s := w.state(t, id); s != spool.Held {
			t.Errorf("after refused acts %s is %s", id, s)
		}
	}
	if err := w.Delete(ctx, "town", tampered, "a", "r"); err != nil {
		t.Errorf("tampered entries can be deleted: %v", err)
	}
}

func TestExpiryEndsOnlyWhatIsDue(t *testing.T) {
	w := newWorld(t)
	old := w.hold(t, "town", sanitize.ClassExecutable)
	w.now = w.now.Add(24 * time.Hour)
	young := w.hold(t, "town", sanitize.ClassExecutable)
	w.now = w.now.Add(13*24*time.Hour + time.Minute)
	if n, err := w.Expire(t.Context()); n != 1 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
	if w.state(t, old) != spool.Done || w.state(t, young) != spool.Held {
		t.Errorf("old is %s, young is %s", w.state(t, old), w.state(t, young))
	}
	if got := w.acts(t, old); !strings.HasSuffix(got, "gateway expired") {
		t.Errorf("audit: %s", got)
	}
}

// TestTrimTakesTheOldestOfWhatIsDone: what is held stays, whatever it weighs.
func TestTrimTakesTheOldestOfWhatIsDone(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	var ids []envelope.ID
	for range 4 {
		ids = append(ids, w.hold(t, "town", sanitize.ClassExecutable))
		w.now = w.now.Add(time.Minute)
	}
	for _, id := range ids[:3] {
		if err := w.Delete(ctx, "town", id, "a", "r"); err != nil {
			t.Fatal(err)
		}
	}
	e, err := w.spool.Get(ctx, "town", ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Trim(ctx, 3*e.Original.Size); n != 0 || err != nil {
		t.Errorf("within the share: %d, %v", n, err)
	}
	if n, err := w.Trim(ctx, 2*e.Original.Size); n != 1 || err != nil {
		t.Fatalf("over the share: %d, %v", n, err)
	}
	w.now = w.now.Add(time.Second)
	if _, err := w.spool.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.spool.Get(ctx, "town", ids[0]); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("the oldest: %v, want it gone", err)
	}
	if w.state(t, ids[1]) != spool.Done || w.state(t, ids[3]) != spool.Held {
		t.Error("more than the oldest is gone")
	}
}
