package spool_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/blob/blobtest"
	"sekisho/internal/blob/dir"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
	"sekisho/policy"
	"sekisho/spool"
	"sekisho/spool/spooltest"
)

// site is a spool on disk, as sekishod puts it together.
type site struct {
	*spool.Spool
	db  *sqlite.Store
	dir string
	log *bytes.Buffer
}

func openSite(ctx context.Context, path string) (*site, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	seed, _, err := blob.LoadOrCreateKeyFile(filepath.Join(path, "seal.key"))
	if err != nil {
		return nil, err
	}
	signer, err := seal.NewSigner(seed[:])
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(path, "sekisho.db"), Seal: signer})
	if err != nil {
		return nil, err
	}
	keys, err := blob.OpenKeyring(ctx, filepath.Join(path, "site.key"), db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	blobs, err := dir.Open(path)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	log := &bytes.Buffer{}
	return &site{
		Spool: &spool.Spool{Journal: db, Blobs: blobs, Keys: keys, Seal: signer, Log: slog.New(slog.NewTextHandler(log, nil)), MinFree: 1 << 20},
		db:    db, dir: path, log: log,
	}, nil
}

// bothWays runs a test with small messages in files and in the journal.
func bothWays(t *testing.T, f func(t *testing.T, s *site)) {
	for name, inline := range map[string]int64{"files": 0, "journal": spool.MaxInline} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Inline = inline
			f(t, s)
		})
	}
}

func newSite(t testing.TB) *site {
	t.Helper()
	s, err := openSite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func envelopeOf(tenant envelope.TenantID) envelope.Envelope {
	now := time.Now()
	e := spooltest.Entry(tenant, now).Envelope
	e.Size, e.Digest = 0, envelope.Digest{}
	return e
}

// accept takes one message for the given tenants and returns their ids.
func accept(ctx context.Context, s *spool.Spool, content []byte, tenants ...envelope.TenantID) ([]envelope.ID, error) {
	d, err := s.NewDraft(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := d.Write(content); err != nil {
		d.Abort()
		return nil, err
	}
	var envs []envelope.Envelope
	var ids []envelope.ID
	for _, t := range tenants {
		envs = append(envs, envelopeOf(t))
		ids = append(ids, envs[len(envs)-1].ID)
	}
	return ids, s.Accept(ctx, d, envs)
}

func mustAccept(t testing.TB, s *site, content []byte, tenants ...envelope.TenantID) []spool.Entry {
	t.Helper()
	ids, err := accept(t.Context(), s.Spool, content, tenants...)
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	var es []spool.Entry
	for _, id := range ids {
		e, err := s.Get(t.Context(), "", id)
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		es = append(es, e)
	}
	return es
}

func blobFiles(t testing.TB, s *site) []string {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(s.dir, "blobs", "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAcceptedMessageComesBackWhole(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		files, accepted := 0, 0
		for _, n := range []int{0, 1, 4096, spool.MaxInline, spool.MaxInline + 1, 100000} {
			content := blobtest.Bytes(1, n)
			es := mustAccept(t, s, content, "town", "village")
			accepted += 2
			if int64(n) > s.Inline || s.Inline == 0 {
				files++
			}
			if got := len(blobFiles(t, s)); got != files {
				t.Errorf("%d bytes: %d files, want %d", n, got, files)
			}
			if bytes.Equal(es[0].Original.Wrapped, es[1].Original.Wrapped) {
				t.Errorf("%d bytes: two tenants have one wrapped key", n)
			}
			for _, e := range es {
				if e.State != spool.Received || e.Envelope.Size != int64(n) || e.Envelope.Digest != sha256.Sum256(content) || !slices.Equal(e.Pending, e.Envelope.To) {
					t.Errorf("%d bytes: entry %+v", n, e)
				}
				if err := s.CheckIntake(e); err != nil {
					t.Errorf("%d bytes: intake: %v", n, err)
				}
				var got bytes.Buffer
				if err := s.CopyChecked(t.Context(), e, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
					t.Errorf("%d bytes: copy: %v, equal %v", n, err, bytes.Equal(got.Bytes(), content))
				}
			}
		}
		if acts := spooltest.CheckAudit(t, s); len(acts) != accepted {
			t.Errorf("audit %v, want %d times received", acts, accepted)
		}
		select {
		case <-s.Changed(spool.Received):
		case <-time.After(10 * time.Second):
			t.Error("nobody was woken")
		}
	})
}

func TestDraftOfManySmallWritesSpillsOnce(t *testing.T) {
	s := newSite(t)
	s.Inline = 1000
	d, err := s.NewDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := blobtest.Bytes(3, 5000)
	for i := 0; i < len(want); i += 7 {
		if _, err := d.Write(want[i:min(i+7, len(want))]); err != nil {
			t.Fatal(err)
		}
	}
	if d.Size() != 5000 || d.Digest() != sha256.Sum256(want) {
		t.Errorf("size %d, digest right %v", d.Size(), d.Digest() == sha256.Sum256(want))
	}
	env := envelopeOf("town")
	if err := s.Accept(t.Context(), d, []envelope.Envelope{env}); err != nil {
		t.Fatal(err)
	}
	e, err := s.Get(t.Context(), "town", env.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := s.CopyChecked(t.Context(), e, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("copy: %v, equal %v", err, bytes.Equal(got.Bytes(), want))
	}
	if _, err := d.Write([]byte("x")); err == nil {
		t.Error("an accepted draft takes bytes")
	}
}

func TestSmallMailIsNotReadableInTheDatabase(t *testing.T) {
	s := newSite(t)
	s.Inline = spool.MaxInline
	secret := []byte("the mayor's secret sentence")
	mustAccept(t, s, secret, "town")
	for _, name := range []string{"sekisho.db", "sekisho.db-wal"} {
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, secret) {
			t.Errorf("%s holds plain text", name)
		}
	}
}

func TestDamagedSmallMailIsSetAside(t *testing.T) {
	for name, query := range map[string]string{
		"cut short": "UPDATE small SET bytes = substr(bytes, 1, length(bytes) - 1)",
		"emptied":   "UPDATE small SET bytes = x''",
		"replaced":  "UPDATE small SET bytes = CAST('sekiblb1 and plain text of any kind' AS BLOB)",
	} {
		s := newSite(t)
		s.Inline = spool.MaxInline
		e := mustAccept(t, s, []byte("content"), "town")[0]
		db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "sekisho.db")+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := s.CopyChecked(t.Context(), e, &got); !errors.Is(err, blob.ErrDamaged) || got.Len() != 0 {
			t.Errorf("%s: %d bytes, %v; want ErrDamaged", name, got.Len(), err)
		}
		if !strings.Contains(s.log.String(), string(e.Original.ID)) {
			t.Errorf("%s: no alarm", name)
		}
		if err := s.CopyChecked(t.Context(), e, io.Discard); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: then got %v, want ErrNotFound", name, err)
		}
	}
}

func TestFailedAcceptLeavesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		draft := func() *spool.Draft {
			d, err := s.NewDraft(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			return d
		}
		good := envelopeOf("town")
		for name, envs := range map[string][]envelope.Envelope{
			"no envelope":    nil,
			"an id twice":    {good, good},
			"no tenant":      {envelopeOf("")},
			"one of two bad": {good, envelopeOf("")},
		} {
			if err := s.Accept(ctx, draft(), envs); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		draft().Abort()
		d := draft()
		d.Abort()
		if err := s.Accept(ctx, d, []envelope.Envelope{good}); err == nil {
			t.Error("an aborted draft was accepted")
		}
		if es, err := s.List(ctx, spool.Filter{}); err != nil || len(es) != 0 {
			t.Errorf("%d entries, %v", len(es), err)
		}
		if left := blobFiles(t, s); len(left) != 0 {
			t.Errorf("blobs left: %v", left)
		}
		if left, err := os.ReadDir(filepath.Join(s.dir, "blobs", "tmp")); err != nil || len(left) != 0 {
			t.Errorf("%d files left in tmp, %v", len(left), err)
		}
		if acts := spooltest.CheckAudit(t, s); len(acts) != 0 {
			t.Errorf("audit %v", acts)
		}
	})
}

// TestChangedEnvelopeIsTampered changes what the journal hands out: whatever
// row seals say, the intake seal stands alone.
func TestChangedEnvelopeIsTampered(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		e := mustAccept(t, s, []byte("content"), "town", "village")[0]
		for name, change := range map[string]func(*envelope.Envelope){
			"tenant":           func(v *envelope.Envelope) { v.Tenant = "village" },
			"id":               func(v *envelope.Envelope) { v.ID = envelope.NewID(time.Now()) },
			"profile":          func(v *envelope.Envelope) { v.Profile = "lenient" },
			"zone":             func(v *envelope.Envelope) { v.Zone = envelope.LGWAN },
			"treatment":        func(v *envelope.Envelope) { v.Treatment = envelope.Pass },
			"ours":             func(v *envelope.Envelope) { v.Treatment = envelope.Ours },
			"sender":           func(v *envelope.Envelope) { v.From = envelope.Address{} },
			"recipient":        func(v *envelope.Envelope) { v.To[0].Local = "other" },
			"recipient more":   func(v *envelope.Envelope) { v.To = append(v.To, v.From) },
			"recipient fewer":  func(v *envelope.Envelope) { v.To = v.To[:1] },
			"digest":           func(v *envelope.Envelope) { v.Digest[0] ^= 1 },
			"tls":              func(v *envelope.Envelope) { v.RequireTLS = true },
			"addresses joined": func(v *envelope.Envelope) { v.To[0].Local, v.To[0].Domain = "", v.To[0].String() },
		} {
			c := e
			c.Envelope.To = slices.Clone(e.Envelope.To)
			change(&c.Envelope)
			if err := s.CheckIntake(c); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: got %v, want ErrTampered", name, err)
			}
			if _, err := s.SpawnPart(c, envelope.NewID(time.Now()), []string{"2"}); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: a part was spawned: %v", name, err)
			}
			if _, err := s.SpawnRelease(c, envelope.NewID(time.Now()), nil, policy.Release{}); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: a release was spawned: %v", name, err)
			}
		}
	})
}

func TestAnotherMessagesBytesAreTampered(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		a := mustAccept(t, s, []byte("one message"), "town")[0]
		b := mustAccept(t, s, []byte("two message"), "town")[0]
		v := mustAccept(t, s, []byte("six message"), "village")[0]
		for name, ref := range map[string]blob.Ref{
			"another message of the tenant": b.Original,
			"another tenant's message":      v.Original,
			"another blob under its key":    {ID: b.Original.ID, Size: a.Original.Size, Wrapped: a.Original.Wrapped},
			"its blob under another key":    {ID: a.Original.ID, Size: a.Original.Size, Wrapped: b.Original.Wrapped},
			"no key":                        {ID: a.Original.ID, Size: a.Original.Size},
			"no blob":                       {},
		} {
			c := a
			c.Original = ref
			if err := s.CopyChecked(t.Context(), c, io.Discard); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: got %v, want ErrTampered", name, err)
			}
		}
		// None of this is the blobs' fault: they stay in their places.
		for _, e := range []spool.Entry{a, b, v} {
			if err := s.CopyChecked(t.Context(), e, io.Discard); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
	})
}

func TestDamagedBlobIsMovedAside(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		name string
		edit func([]byte) []byte
	}{
		{"found on opening", func(b []byte) []byte { return b[:len(b)-1] }},
		{"found while reading", func(b []byte) []byte { b[100] ^= 1; return b }},
	} {
		e := mustAccept(t, s, blobtest.Bytes(1, 200000), "town")[0]
		path := blobFiles(t, s)[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c.edit(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.CopyChecked(t.Context(), e, io.Discard); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", c.name, err)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "damaged", string(e.Original.ID))); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !strings.Contains(s.log.String(), string(e.Original.ID)) {
			t.Errorf("%s: no alarm", c.name)
		}
		if err := s.CopyChecked(t.Context(), e, io.Discard); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: then got %v, want ErrNotFound", c.name, err)
		}
	}
}

func TestDerivedEntriesHaveSealsOfTheirOwn(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		parent := mustAccept(t, s, []byte("content"), "town")[0]
		part, err := s.SpawnPart(parent, envelope.NewID(time.Now()), []string{"2", "3"})
		if err != nil {
			t.Fatal(err)
		}
		if part.State != spool.Held || part.Parent != parent.Envelope.ID || !slices.Equal(part.Part, []string{"2", "3"}) || part.Original.ID != parent.Original.ID {
			t.Errorf("part %+v", part)
		}
		one := parent.Envelope.To[1:]
		rel, err := s.SpawnRelease(part, envelope.NewID(time.Now()), []string{"3"}, policy.Release{By: "officer", To: one})
		if err != nil {
			t.Fatal(err)
		}
		if rel.State != spool.Received || rel.Release.By != "officer" || !slices.Equal(rel.Pending, one) || !slices.Equal(rel.Part, []string{"3"}) || !slices.Equal(rel.Envelope.To, one) {
			t.Errorf("release %+v", rel)
		}
		whole, err := s.SpawnRelease(part, envelope.NewID(time.Now()), nil, policy.Release{})
		if err != nil || !slices.Equal(whole.Part, part.Part) {
			t.Errorf("release of all: %+v, %v", whole, err)
		}
		ours, err := s.NewOurs(ctx, spool.OurMail{Tenant: "town", To: one, Parent: parent.Envelope.ID, Write: func(w io.Writer) error {
			_, err := io.WriteString(w, "Subject: notice\r\n\r\ntext\r\n")
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		if ours.Envelope.Treatment != envelope.Ours || ours.State != spool.Received || !ours.Envelope.From.IsNull() || ours.Parent != parent.Envelope.ID {
			t.Errorf("ours %+v", ours)
		}
		derived := []spool.Entry{part, rel, ours}
		for i, e := range derived {
			if err := s.CheckIntake(e); err != nil {
				t.Errorf("%d: intake: %v", i, err)
			}
			if err := s.CopyChecked(ctx, e, io.Discard); err != nil {
				t.Errorf("%d: copy: %v", i, err)
			}
			c := e
			c.Intake = parent.Intake
			if err := s.CheckIntake(c); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%d: the parent's seal fits", i)
			}
		}
		c, err := s.Claim(ctx, spool.Received, time.Now(), 1)
		if err != nil || len(c) != 1 {
			t.Fatal(err)
		}
		if err := s.Settle(ctx, c[0], spool.Change{To: spool.Held, Spawn: derived}); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func() error{
			"a part without paths": func() error { _, err := s.SpawnPart(parent, envelope.NewID(time.Now()), nil); return err },
			"the parent's id":      func() error { _, err := s.SpawnPart(parent, parent.Envelope.ID, []string{"2"}); return err },
			"no id":                func() error { _, err := s.SpawnPart(parent, "", []string{"2"}); return err },
			"nobody to write to": func() error {
				_, err := s.NewOurs(ctx, spool.OurMail{Tenant: "town", Write: func(io.Writer) error { return nil }})
				return err
			},
		} {
			if f() == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}

func TestWriteBlobThatFailsLeavesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		boom := errors.New("boom")
		if _, _, err := s.WriteBlob(t.Context(), "town", func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 100000)); err != nil {
				return err
			}
			return boom
		}); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		if _, _, err := s.WriteBlob(t.Context(), "", func(io.Writer) error { return nil }); err == nil {
			t.Error("a blob of no tenant was written")
		}
		if n := len(blobFiles(t, s)); n != 0 {
			t.Errorf("%d blobs left", n)
		}
		ref, digest, err := s.WriteBlob(t.Context(), "town", func(w io.Writer) error { _, err := io.WriteString(w, "out"); return err })
		if err != nil || digest != sha256.Sum256([]byte("out")) || ref.Size != 3 {
			t.Errorf("%+v, %v", ref, err)
		}
		if _, err := s.Open(t.Context(), "village", ref); err == nil {
			t.Error("another tenant opened it")
		}
		r, err := s.Open(t.Context(), "town", ref)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || string(b) != "out" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestSweepTakesOnlyWhatNobodyNames(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	kept := mustAccept(t, s, []byte("kept"), "town")[0]
	young, _, err := s.WriteBlob(ctx, "town", func(io.Writer) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	orphan, _, err := s.WriteBlob(ctx, "town", func(io.Writer) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	done := mustAccept(t, s, []byte("done"), "town")[0]
	es, err := s.Claim(ctx, spool.Received, time.Now(), 9)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if e.Envelope.ID == done.Envelope.ID {
			if err := s.Settle(ctx, e, spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = time.Now().Add(-time.Second) }}); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := time.Now().Add(-25 * time.Hour)
	for _, f := range blobFiles(t, s) {
		if filepath.Base(f) != string(young.ID) {
			if err := os.Chtimes(f, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The clock was put forward by a day: what this process made may be about to
	// be named. The next process knows that it is not.
	if n, err := s.Sweep(ctx); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want the bytes of what is done alone", n, err)
	}
	next := &spool.Spool{Journal: s.Journal, Blobs: s.Blobs, Keys: s.Keys, Seal: s.Seal, Log: s.Log}
	n, err := next.Sweep(ctx)
	if err != nil || n != 1 {
		t.Errorf("swept %d, %v; want 1", n, err)
	}
	var left []string
	for _, f := range blobFiles(t, s) {
		left = append(left, filepath.Base(f))
	}
	want := []string{string(kept.Original.ID), string(young.ID)}
	slices.Sort(left)
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("left %v, want %v (orphan %s)", left, want, orphan.ID)
	}
}

func TestNearlyFullDiskIsRefusedEarly(t *testing.T) {
	s := newSite(t)
	s.MinFree = 1 << 60
	if err := s.Nearly(t.Context()); !errors.Is(err, spool.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if _, err := s.NewDraft(t.Context()); !errors.Is(err, spool.ErrFull) {
		t.Errorf("draft: got %v, want ErrFull", err)
	}
	// What is under way must still find its place.
	if _, _, err := s.WriteBlob(t.Context(), "town", func(io.Writer) error { return nil }); err != nil {
		t.Errorf("output: %v", err)
	}
	s.MinFree = 0
	free, _, err := s.Blobs.Free(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.MaxMessage = free // one and a half of it cannot be free
	if err := s.Nearly(t.Context()); !errors.Is(err, spool.ErrFull) {
		t.Errorf("one and a half messages: got %v, want ErrFull", err)
	}
}

func TestWrongSiteKeyIsRefusedAtStart(t *testing.T) {
	path := t.TempDir()
	s, err := openSite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accept(t.Context(), s.Spool, []byte("x"), "town"); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "site.key"), make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSite(t.Context(), path); !errors.Is(err, blob.ErrSiteKey) || !strings.Contains(err.Error(), "site.key") {
		t.Errorf("got %v, want ErrSiteKey", err)
	}
}

func TestKeptLeaseEndsWhenItIsLost(t *testing.T) {
	s := newSite(t)
	mustAccept(t, s, []byte("x"), "town")
	es, err := s.Claim(t.Context(), spool.Received, time.Now(), 1)
	if err != nil || len(es) != 1 {
		t.Fatal(err)
	}
	ctx, stop := s.KeepLease(t.Context(), es[0])
	if ctx.Err() != nil {
		t.Error("ended at once")
	}
	stop()
	stop()
	if ctx.Err() == nil {
		t.Error("goes on after stop")
	}
	if err := s.Settle(t.Context(), es[0], spool.Change{To: spool.Queued}); err != nil {
		t.Errorf("settle after stop: %v", err)
	}
}

func TestKeptLeaseDoesNotRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a clock that runs by itself
		s := newSite(t)
		mustAccept(t, s, []byte("x"), "town")
		es, err := s.Claim(t.Context(), spool.Received, time.Now(), 1)
		if err != nil || len(es) != 1 {
			t.Fatal(es, err)
		}
		ctx, stop := s.KeepLease(t.Context(), es[0])
		defer stop()
		time.Sleep(10 * time.Minute)
		if ctx.Err() != nil {
			t.Errorf("ended: %v", context.Cause(ctx))
		}
		if again, err := s.Claim(t.Context(), spool.Received, time.Now(), 1); err != nil || len(again) != 0 {
			t.Errorf("claimed by another after ten minutes: %d, %v", len(again), err)
		}
		if err := s.Settle(t.Context(), es[0], spool.Change{To: spool.Held}); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), spool.ErrLost) || time.Since(before) > spool.RenewEvery {
			t.Errorf("after it was lost: ended for %v after %v", context.Cause(ctx), time.Since(before))
		}
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestMain is also the process that TestKilledAtAnyInstantNothingIsLost kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SPOOL_TEST_WRITER"); dir != "" {
		fmt.Fprintln(os.Stderr, writer(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writer accepts messages from eight goroutines until it is killed, and puts on
// record each one that was acknowledged, on its own fsynced journal.
func writer(path string) error {
	ctx := context.Background()
	s, err := openSite(ctx, filepath.Join(path, "site"))
	if err != nil {
		return err
	}
	if _, err := s.db.Recover(ctx); err != nil {
		return err
	}
	s.Inline = 50000 // half of what comes
	acks, err := os.OpenFile(filepath.Join(path, "acks"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	errs := make(chan error)
	for range 8 {
		go func() {
			for {
				content := blobtest.Bytes(rand.Uint64(), 1+rand.IntN(100000))
				ids, err := accept(ctx, s.Spool, content, "town", "village")
				if err != nil {
					errs <- err
					return
				}
				mu.Lock()
				_, err = fmt.Fprintf(acks, "%s %s %x\n", ids[0], ids[1], sha256.Sum256(content))
				if err == nil {
					err = acks.Sync()
				}
				mu.Unlock()
				if err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	// And one that works on them, as the pipeline does.
	go func() {
		for {
			es, err := s.Claim(ctx, spool.Received, time.Now(), 4)
			if err != nil {
				errs <- err
				return
			}
			for _, e := range es {
				if err := s.Settle(ctx, e, spool.Change{To: spool.Held}); err != nil {
					errs <- err
					return
				}
			}
		}
	}()
	return <-errs
}

func TestKilledAtAnyInstantNothingIsLost(t *testing.T) {
	path := t.TempDir()
	const kills = 10
	for i := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SPOOL_TEST_WRITER="+path)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			t.Fatalf("run %d ended by itself: %v: %s", i, err, stderr.String())
		case <-time.After(time.Duration(200+rand.IntN(300)) * time.Millisecond):
			// An instant that nothing in the process can foresee.
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-ended
	}

	s, err := openSite(t.Context(), filepath.Join(path, "site"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	f, err := os.Open(filepath.Join(path, "acks"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	acked := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) != 3 || len(fields[2]) != 64 {
			continue // the last line, torn by the kill
		}
		acked++
		for _, id := range fields[:2] {
			e, err := s.Get(t.Context(), "", envelope.ID(id))
			if err != nil {
				t.Errorf("acknowledged %s: %v", id, err)
				continue
			}
			if e.Tampered != "" {
				t.Errorf("%s is marked as tampered", id)
			}
			if err := s.CheckIntake(e); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			h := sha256.New()
			if err := s.CopyChecked(t.Context(), e, h); err != nil || hex.EncodeToString(h.Sum(nil)) != fields[2] {
				t.Errorf("%s: %v, digest equal %v", id, err, hex.EncodeToString(h.Sum(nil)) == fields[2])
			}
		}
	}
	if acked == 0 {
		t.Error("nothing was acknowledged in ten runs: the test shows nothing")
	}
	if _, bad, err := s.db.VerifyAudit(t.Context()); bad != 0 || err != nil {
		t.Errorf("audit: bad record %d, %v", bad, err)
	}
	if left, err := os.ReadDir(filepath.Join(path, "site", "blobs", "tmp")); err != nil || len(left) != 0 {
		t.Errorf("%d files left in tmp, %v", len(left), err)
	}
	t.Logf("%d kills, %d acknowledged, all found", kills, acked)
}

// TestFullDiskAsRoot fills a small file system. It needs root for the mount.
func TestFullDiskAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a tmpfs needs root")
	}
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s, err := openSite(t.Context(), filepath.Join(path, "site"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()

	s.Inline = spool.MaxInline

	// With the reserve, the refusal comes early and settling still works.
	s.MinFree = 8 << 20
	content := blobtest.Bytes(1, 500000)
	var acked []envelope.ID
	for {
		ids, err := accept(t.Context(), s.Spool, content, "town")
		if err != nil {
			if !errors.Is(err, spool.ErrFull) {
				t.Errorf("at the reserve: got %v, want ErrFull", err)
			}
			break
		}
		acked = append(acked, ids...)
	}
	es, err := s.Claim(t.Context(), spool.Received, time.Now(), 3)
	if err != nil || len(es) != 3 {
		t.Fatalf("claim on a nearly full disk: %d, %v", len(es), err)
	}
	for _, e := range es {
		if err := s.Settle(t.Context(), e, spool.Change{To: spool.Held}); err != nil {
			t.Errorf("settle on a nearly full disk: %v", err)
		}
	}

	// Without it, everything fails, and nothing that was acknowledged suffers.
	s.MinFree = 1
	var failed int
	for failed < 20 {
		ids, err := accept(t.Context(), s.Spool, content[:1+rand.IntN(len(content))], "town")
		if err != nil {
			failed++
			continue
		}
		acked = append(acked, ids...)
	}
	if err := os.WriteFile(filepath.Join(path, "filler"), make([]byte, 24<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	for range 20 {
		if _, err := accept(t.Context(), s.Spool, content, "town"); err == nil {
			t.Error("accepted on a full disk")
		}
		// The journal alone may or may not find room in its own files.
		if err := s.Record(t.Context(), []audit.Event{{Act: "test", Detail: string(content[:5000])}}); err != nil && !errors.Is(err, spool.ErrFull) {
			t.Errorf("record on a full disk: got %v, want ErrFull", err)
		}
	}
	select {
	case <-s.db.Failed():
		t.Error("a full disk made the store give up")
	default:
	}
	check := func(when string) {
		for _, id := range acked {
			e, err := s.Get(t.Context(), "", id)
			if err == nil {
				err = s.CopyChecked(t.Context(), e, io.Discard)
			}
			if err != nil {
				t.Errorf("%s: acknowledged %s: %v", when, id, err)
			}
		}
	}
	check("full")

	// Room again: it goes on by itself.
	if err := os.Remove(filepath.Join(path, "filler")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		e, err := s.Get(t.Context(), "", acked[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Blobs.Delete(t.Context(), e.Original.ID); err != nil {
			t.Fatal(err)
		}
	}
	acked = acked[3:]
	ids, err := accept(t.Context(), s.Spool, content[:1000], "town")
	if err != nil {
		t.Fatalf("after room was made: %v", err)
	}
	acked = append(acked, ids...)
	check("after room was made")
	if _, bad, err := s.db.VerifyAudit(t.Context()); bad != 0 || err != nil {
		t.Errorf("audit: bad record %d, %v", bad, err)
	}
}

var places = []struct {
	where  string
	inline int64
	n      int
}{
	{"files", 0, 1}, {"files", 0, 10}, {"files", 0, 50},
	{"journal", spool.MaxInline, 1}, {"journal", spool.MaxInline, 10}, {"journal", spool.MaxInline, 50},
}

func BenchmarkAccept(b *testing.B) {
	content := blobtest.Bytes(1, 4096)
	for _, c := range places {
		b.Run(fmt.Sprintf("4KiB/%s/connections=%d", c.where, c.n), func(b *testing.B) {
			n := c.n
			s := newSite(b)
			s.Inline = c.inline
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := accept(b.Context(), s.Spool, content, "town"); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkLife is a message's three commits: accepted, examined, delivered.
func BenchmarkLife(b *testing.B) {
	content := blobtest.Bytes(1, 4096)
	for _, c := range places {
		b.Run(fmt.Sprintf("4KiB/%s/connections=%d", c.where, c.n), func(b *testing.B) {
			n := c.n
			s := newSite(b)
			s.Inline = c.inline
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			step := func(from, to spool.State) {
				es, err := s.Claim(b.Context(), from, time.Now(), 1)
				if err != nil {
					b.Error(err)
				}
				for _, e := range es {
					if err := s.Settle(b.Context(), e, spool.Change{To: to, Update: func(e *spool.Entry) { e.Expires = time.Now().Add(time.Hour) }}); err != nil {
						b.Error(err)
					}
				}
			}
			for range n {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := accept(b.Context(), s.Spool, content, "town"); err != nil {
							b.Error(err)
							return
						}
						step(spool.Received, spool.Queued)
						step(spool.Queued, spool.Done)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// A short text is handed out before the documents of the last minute, and not
// before those that have waited longer.
func TestAShortTextDoesNotWaitBehindDocuments(t *testing.T) {
	s := newSite(t)
	take := func(short bool, at time.Time) envelope.ID {
		t.Helper()
		s.Now = func() time.Time { return at }
		d, err := s.NewDraft(t.Context())
		if err == nil {
			_, err = d.Write([]byte("Subject: x\r\n\r\nx\r\n"))
		}
		if err != nil {
			t.Fatal(err)
		}
		d.Short = short
		env := envelopeOf("town")
		if err := s.Accept(t.Context(), d, []envelope.Envelope{env}); err != nil {
			t.Fatal(err)
		}
		return env.ID
	}
	now := time.Now()
	old := take(false, now.Add(-2*spool.Headstart))
	document := take(false, now.Add(-10*time.Second))
	text := take(true, now)
	es, err := s.Claim(t.Context(), spool.Received, now, 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []envelope.ID
	for _, e := range es {
		got = append(got, e.Envelope.ID)
	}
	if want := []envelope.ID{old, text, document}; !slices.Equal(got, want) {
		t.Errorf("handed out %v, want %v", got, want)
	}
}
