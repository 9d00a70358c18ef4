package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/blob/blobtest"
	"sekisho/internal/blob/dir"
	"sekisho/internal/faults/lossyfs"
	"sekisho/internal/store/sqlite"
	"sekisho/policy"
	"sekisho/spool"
)

var ways = []struct {
	name   string
	inline int64
}{{"files", 0}, {"journal", spool.DefaultInline}}

// TestPowerCutAfterEachAcknowledgement cuts right after the answer, at the
// first message of a new site and at later ones, with and without commits
// before it that do not wait for the disk.
func TestPowerCutAfterEachAcknowledgement(t *testing.T) {
	for _, w := range ways {
		for _, mode := range []lossyfs.Mode{lossyfs.Drop, lossyfs.Some, lossyfs.Torn} {
			t.Run(w.name+"/"+string(mode), func(t *testing.T) {
				s := newSite(t, w.inline)
				for i := range uint64(6) {
					if i%2 == 1 {
						s.claim(spool.Received) // leases do not wait
					}
					s.mustAccept(blobtest.Bytes(i, 3000))
					s.cut(mode, i)
					s.whole(fmt.Sprintf("cut %d", i))
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

// TestPowerCutAtOnceAfterAStart cuts before a started daemon did anything, and
// once more.
func TestPowerCutAtOnceAfterAStart(t *testing.T) {
	for _, mode := range []lossyfs.Mode{lossyfs.Drop, lossyfs.Some, lossyfs.Torn} {
		s := newSite(t, spool.DefaultInline)
		s.mustAccept(blobtest.Bytes(1, 3000))
		for i := range uint64(3) {
			s.cut(mode, i)
		}
		s.whole(string(mode))
	}
}

// TestPowerCutDuringAStart has the disk fail under a start, and the power go
// before the next: the log that was there is still there, or its whole copy.
func TestPowerCutDuringAStart(t *testing.T) {
	for seed := range uint64(8) {
		s := newSite(t, spool.DefaultInline)
		s.mustAccept(blobtest.Bytes(1, 3000))
		s.disk.Cut(lossyfs.Drop, 1)
		s.close()
		s.disk.Remount()
		s.disk.Set(lossyfs.Faults{SyncErr: true})
		if err := s.tryOpen(); err == nil {
			t.Error("started on a disk that fails")
		}
		s.close()
		s.cut(lossyfs.Some, seed)
		s.whole(fmt.Sprintf("seed %d", seed))
	}
}

// TestPowerCutAfterOrderlyStop cuts after the store was closed, which folds
// the write-ahead log in and removes it.
func TestPowerCutAfterOrderlyStop(t *testing.T) {
	for _, mode := range []lossyfs.Mode{lossyfs.Drop, lossyfs.Some, lossyfs.Torn} {
		s := newSite(t, spool.DefaultInline)
		for i := range uint64(3) {
			s.mustAccept(blobtest.Bytes(i, 3000))
			if err := s.db.Close(); err != nil {
				t.Fatal(err)
			}
			s.cut(mode, i)
			s.whole(string(mode))
		}
	}
}

// TestPowerCutAfterCheckpoint fills the write-ahead log until SQLite folds it
// in by itself, several times over, and cuts.
func TestPowerCutAfterCheckpoint(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some 40 MiB")
	}
	s := newSite(t, spool.MaxInline)
	records := 0
	for i, mode := range []lossyfs.Mode{lossyfs.Some, lossyfs.Drop} {
		for n := range uint64(20) {
			s.mustAccept(blobtest.Bytes(uint64(i)*1000+n, 60000))
			// 4,096 pages make a checkpoint.
			if err := s.Record(t.Context(), []audit.Event{{Act: "long", Detail: strings.Repeat("x", 1<<20)}}); err != nil {
				t.Fatal(err)
			}
			records += 2
		}
		if st, err := os.Stat(filepath.Join(s.data(), "sekisho.db")); err != nil || st.Size() < int64(records)<<18 {
			t.Errorf("nothing was folded in: %d bytes, %v", st.Size(), err)
		}
		s.cut(mode, uint64(i))
		s.whole(string(mode))
		if n, _, err := s.db.VerifyAudit(t.Context()); n < int64(records) || err != nil {
			t.Errorf("%d audit records of %d, %v", n, records, err)
		}
	}
}

// TestPowerEveryCallThatReturnedIsOnDisk cuts right after each call of the
// store that changes something.
func TestPowerEveryCallThatReturnedIsOnDisk(t *testing.T) {
	ctx := context.Background()
	var s *site
	// held makes a Held entry and returns its id.
	held := func(t *testing.T, expires time.Time) spool.Entry {
		s.mustAccept([]byte("content"))
		e := s.claim(spool.Received)
		if err := s.Settle(ctx, e, spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = expires }}); err != nil {
			t.Fatal(err)
		}
		return e
	}
	audited := func(t *testing.T, act string) {
		t.Helper()
		rs, err := s.Audit(ctx, "", 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Act == act {
				return
			}
		}
		t.Errorf("the audit does not know of %q", act)
	}
	event := func(act string) audit.Event { return audit.Event{Act: act, Actor: "test"} }
	for _, c := range []struct {
		name string
		// do acts, cuts and looks. What comes before the call is durable.
		do func(t *testing.T)
	}{
		{"Settle of what a hop took", func(t *testing.T) {
			s.mustAccept([]byte("content"))
			e := s.claim(spool.Received)
			err := s.Settle(ctx, e, spool.Change{To: spool.Queued, Events: []audit.Event{event("taken")},
				Update: func(e *spool.Entry) { e.Pending = e.Pending[1:] }})
			if err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if got, err := s.Get(ctx, "town", e.Envelope.ID); err != nil || got.State != spool.Queued || len(got.Pending) != len(e.Pending)-1 {
				t.Errorf("%s with %v pending, %v: it will be sent again", got.State, got.Pending, err)
			}
			audited(t, "taken")
		}},
		{"Settle", func(t *testing.T) {
			s.mustAccept([]byte("content"))
			e := s.claim(spool.Received)
			ref, _, err := s.WriteBlob(ctx, "town", func(w io.Writer) error { _, err := w.Write(blobtest.Bytes(9, 70000)); return err })
			if err != nil {
				t.Fatal(err)
			}
			part, err := s.SpawnPart(e, envelope.NewID(time.Now()), []string{"2"})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Settle(ctx, e, spool.Change{To: spool.Queued, Spawn: []spool.Entry{part}, Events: []audit.Event{event("examined")},
				Update: func(e *spool.Entry) { e.Sanitized = ref; e.Verdict = policy.Verdict{Action: policy.Deliver} }})
			if err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			got, err := s.Get(ctx, "town", e.Envelope.ID)
			if err != nil || got.State != spool.Queued || got.Tampered != "" {
				t.Fatalf("%+v, %v", got, err)
			}
			r, err := s.Open(ctx, "town", got.Sanitized)
			if err != nil {
				t.Fatalf("what delivery would send: %v", err)
			}
			defer r.Close()
			if b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(b, blobtest.Bytes(9, 70000)) {
				t.Errorf("what delivery would send: %d bytes, %v", len(b), err)
			}
			if p, err := s.Get(ctx, "town", part.Envelope.ID); err != nil || p.State != spool.Held {
				t.Errorf("the part kept back: %+v, %v", p, err)
			}
			audited(t, "examined")
		}},
		{"Record", func(t *testing.T) {
			if err := s.Record(ctx, []audit.Event{event("something")}); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			audited(t, "something")
		}},
		{"Purge", func(t *testing.T) {
			e := held(t, time.Now().Add(-time.Second))
			delete(s.acked, e.Envelope.ID)
			if ids, err := s.Purge(ctx, time.Now(), 10); err != nil || len(ids) != 1 {
				t.Fatal(ids, err)
			}
			// The caller deletes the bytes now: the row must not come back without them.
			s.cut(lossyfs.Drop, 1)
			if _, err := s.Get(ctx, "town", e.Envelope.ID); !errors.Is(err, spool.ErrNotFound) {
				t.Errorf("the purged row: %v", err)
			}
		}},
		{"Recover", func(t *testing.T) {
			s.mustAccept([]byte("content"))
			if _, err := s.Claim(ctx, spool.Received, time.Now().Add(time.Minute), 1); err != nil {
				t.Fatal(err)
			}
			if err := s.Record(ctx, []audit.Event{event("makes the lease durable")}); err != nil {
				t.Fatal(err)
			}
			if n, err := s.db.Recover(ctx); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			s.cut(lossyfs.Drop, 1)
			if n, err := s.db.Recover(ctx); n != 0 || err != nil {
				t.Errorf("recovered again: %d, %v", n, err)
			}
		}},
		{"AddAccount", func(t *testing.T) {
			if err := s.db.AddAccount(ctx, admin.Account{Name: "officer", UID: 1001}, event("account-added")); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if as, err := s.db.Accounts(ctx); err != nil || len(as) != 1 {
				t.Errorf("%v, %v", as, err)
			}
		}},
		{"RemoveAccount", func(t *testing.T) {
			if err := s.db.AddAccount(ctx, admin.Account{Name: "officer", UID: 1001}, event("account-added")); err != nil {
				t.Fatal(err)
			}
			if err := s.db.RemoveAccount(ctx, "officer", event("account-removed")); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if as, err := s.db.Accounts(ctx); err != nil || len(as) != 0 {
				t.Errorf("who was removed is back: %v, %v", as, err)
			}
		}},
		{"AddTenantKey", func(t *testing.T) {
			if _, err := s.db.AddTenantKey(ctx, "city", []byte("wrapped")); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if k, err := s.db.TenantKey(ctx, "city"); err != nil || string(k) != "wrapped" {
				t.Errorf("%q, %v", k, err)
			}
		}},
		{"AddRecipients", func(t *testing.T) {
			s.mustImport("one@town.example")
			s.cut(lossyfs.Drop, 1)
			if l, err := s.db.Recipients(ctx, time.Now()); err != nil || l["town"] == nil {
				t.Errorf("the list: %v, %v", l, err)
			}
			audited(t, "recipients")
		}},
		{"WithdrawRecipients", func(t *testing.T) {
			n := s.mustImportFrom("one@town.example", time.Now().Add(time.Hour))
			if err := s.db.WithdrawRecipients(ctx, "town", n, time.Now(), event("withdrawn")); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if err := s.db.WithdrawRecipients(ctx, "town", n, time.Now(), event("again")); !errors.Is(err, spool.ErrState) {
				t.Errorf("what was cancelled is not: %v", err)
			}
			audited(t, "withdrawn")
		}},
		{"KeepPolicy", func(t *testing.T) {
			if err := s.db.KeepPolicy(ctx, "b.example", []byte("enforce"), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if p, err := s.db.Policy(ctx, "b.example"); err != nil || string(p) != "enforce" {
				t.Errorf("%q, %v", p, err)
			}
		}},
		{"KeepTLSDay", func(t *testing.T) {
			if err := s.db.KeepTLSDay(ctx, "2026-11-25", []byte("counts")); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if days, err := s.db.TLSDays(ctx); err != nil || string(days["2026-11-25"]) != "counts" {
				t.Errorf("%q, %v", days, err)
			}
		}},
		{"DeleteTenantKey", func(t *testing.T) {
			secret := blobtest.Bytes(5, 60)
			if _, err := s.db.AddTenantKey(ctx, "city", secret); err != nil {
				t.Fatal(err)
			}
			if err := s.db.DeleteTenantKey(ctx, "city"); err != nil {
				t.Fatal(err)
			}
			s.disk.Cut(lossyfs.Drop, 1)
			s.close()
			s.disk.Remount()
			err := filepath.WalkDir(s.data(), func(path string, e fs.DirEntry, err error) error {
				if err != nil || !e.Type().IsRegular() {
					return err
				}
				b, err := os.ReadFile(path)
				if bytes.Contains(b, secret) {
					t.Errorf("the erased key stands in %s", e.Name())
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			s.open()
			if _, err := s.db.TenantKey(ctx, "city"); !errors.Is(err, blob.ErrNoKey) {
				t.Errorf("the erased key: %v", err)
			}
		}},
		{"SetAside", func(t *testing.T) {
			s.inline = spool.DefaultInline
			s.open2()
			s.mustAccept([]byte("small"))
			e := s.claim(spool.Received)
			clear(s.acked)
			if err := s.db.SetAside(ctx, e.Original.ID); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			if _, err := s.db.SmallBlob(ctx, e.Original.ID); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("the blob set aside is in its place again: %v", err)
			}
		}},
		{"Aside", func(t *testing.T) {
			s.mustAccept([]byte("in a file"))
			e := s.claim(spool.Received)
			clear(s.acked)
			if err := s.Blobs.Aside(ctx, e.Original.ID); err != nil {
				t.Fatal(err)
			}
			s.cut(lossyfs.Drop, 1)
			id := string(e.Original.ID)
			if _, err := os.Stat(filepath.Join(s.data(), "damaged", id)); err != nil {
				t.Errorf("what was moved aside is lost: %v", err)
			}
			if _, err := os.Stat(filepath.Join(s.data(), "blobs", id[:2], id)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was moved aside is in its place again: %v", err)
			}
		}},
		{"Scrub", func(t *testing.T) {
			e := held(t, time.Now().Add(time.Hour))
			s.vandal("UPDATE entries SET expires = 1")
			clear(s.acked)
			if n, err := s.db.Scrub(ctx); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			s.cut(lossyfs.Drop, 1)
			if got, err := s.Get(ctx, "town", e.Envelope.ID); err != nil || got.State != spool.Received || got.Tampered == "" {
				t.Errorf("what was put back to be looked at is %s, %v", got.State, err)
			}
		}},
		{"a row moved aside", func(t *testing.T) {
			s.mustAccept([]byte("content"))
			var id envelope.ID
			for id = range s.acked {
			}
			clear(s.acked)
			s.vandal("UPDATE entries SET facts = CAST('no JSON' AS BLOB)")
			if _, err := s.Get(ctx, "town", id); !errors.Is(err, spool.ErrNotFound) {
				t.Fatalf("a row that cannot be read: %v", err)
			}
			s.cut(lossyfs.Drop, 1)
			if n, err := s.db.Damaged(ctx); n != 1 || err != nil {
				t.Errorf("%d rows aside, %v", n, err)
			}
			audited(t, "damaged")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s = newSite(t, 0)
			c.do(t)
			s.whole("afterwards")
		})
	}
}

// TestPowerKeyFilesAreDurable: mail is sealed with them at once.
func TestPowerKeyFilesAreDurable(t *testing.T) {
	d := lossyfs.New(t)
	path := filepath.Join(d.Dir, "key")
	key, made, err := blob.LoadOrCreateKeyFile(path)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	d.Cut(lossyfs.Drop, 1)
	d.Remount()
	if again, made, err := blob.LoadOrCreateKeyFile(path); err != nil || made || again != key {
		t.Errorf("the key after the cut: made anew %v, %v", made, err)
	}
}

// TestPowerBlobIsDurableByItself needs no row and no database beside it, whose
// syncs would cover for one that is missing.
func TestPowerBlobIsDurableByItself(t *testing.T) {
	d := lossyfs.New(t)
	path := filepath.Join(d.Dir, "var", "data")
	content := blobtest.Bytes(1, 100000)
	store, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	d.Cut(lossyfs.Drop, 1)
	d.Remount()
	if store, err = dir.Open(path); err != nil {
		t.Fatal(err)
	}
	r, err := store.Open(t.Context(), w.ID(), w.Key())
	if err != nil {
		t.Fatalf("a committed blob: %v", err)
	}
	defer r.Close()
	if b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(b, content) {
		t.Errorf("a committed blob: %d bytes, %v", len(b), err)
	}
}

// TestPowerDatabaseIsDurableByItself: and so must it be.
func TestPowerDatabaseIsDurableByItself(t *testing.T) {
	d := lossyfs.New(t)
	path := filepath.Join(d.Dir, "sekisho.db")
	for i := range int64(3) {
		db, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if rs, err := db.Audit(t.Context(), "", 0, 10); err != nil || int64(len(rs)) != i {
			t.Errorf("after %d cuts: %d records, %v", i, len(rs), err)
		}
		if err := db.Record(t.Context(), []audit.Event{{Act: "something"}}); err != nil {
			t.Fatal(err)
		}
		d.Cut(lossyfs.Drop, 1)
		_ = db.Close()
		d.Remount()
	}
}

// TestPowerSharedDirectorySyncCoversAll has many writers share the syncs of one
// directory, on a disk on which a sync takes long: one that began before a
// rename must not pass for the one after it.
func TestPowerSharedDirectorySyncCoversAll(t *testing.T) {
	s := newSite(t, 0)
	s.disk.Set(lossyfs.Faults{SyncDelay: 5 * time.Millisecond})
	type made struct {
		id  blob.ID
		key blob.Key
	}
	done := make(chan made)
	stop := make(chan struct{})
	for range 8 {
		go func() {
			for {
				w, err := s.Blobs.Create(context.Background())
				if err == nil {
					_, err = w.Write([]byte("x"))
				}
				if err == nil {
					err = w.Commit()
				}
				if err != nil {
					return // the power is cut
				}
				select {
				case done <- made{w.ID(), w.Key()}:
				case <-stop:
					return
				}
			}
		}()
	}
	var all []made
	for range 60 {
		all = append(all, <-done)
	}
	s.disk.Cut(lossyfs.Drop, 1)
	close(stop)
	s.close()
	s.disk.Remount()
	s.open()
	for _, m := range all {
		r, err := s.Blobs.Open(t.Context(), m.id, m.key)
		if err != nil {
			t.Errorf("a committed blob: %v", err)
			continue
		}
		r.Close()
	}
	if strings.Contains(s.log.String(), "damaged") {
		t.Errorf("%s", s.log)
	}
}
