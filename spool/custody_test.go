package spool_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/blob/blobtest"
	"sekisho/internal/blob/dir"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
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

// TestWhatSomebodyIsFreeForIsInHisHand: no claim is needed then, and whoever
// works on it works on what the journal has.
func TestWhatSomebodyIsFreeForIsInHisHand(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		var took []*spool.Entry
		free := true
		asked := 0
		s.Hand = func(tenant envelope.TenantID) func(*spool.Entry) {
			asked++
			if tenant != "town" || !free {
				return nil
			}
			return func(e *spool.Entry) { took = append(took, e) }
		}
		content := []byte("Subject: x\r\n\r\ntext\r\n")
		id := mustAccept(t, s, content, "town")[0].Envelope.ID
		if len(took) != 1 || took[0] == nil || took[0].Envelope.ID != id {
			t.Fatalf("in hand: %v", took)
		}
		e := *took[0]
		if err := s.CheckIntake(e); err != nil {
			t.Error(err)
		}
		var b bytes.Buffer
		if err := s.CopyChecked(t.Context(), e, &b); err != nil || !bytes.Equal(b.Bytes(), content) {
			t.Errorf("its bytes: %q, %v", b.Bytes(), err)
		}
		if es, err := s.Claim(t.Context(), spool.Received, time.Now(), 9); err != nil || len(es) != 0 {
			t.Errorf("claimed as well: %d, %v", len(es), err)
		}
		if err := s.Settle(t.Context(), e, spool.Change{To: spool.Queued}); err != nil {
			t.Error(err)
		}

		// Nobody free, another's tenant, and what goes to two tenants: all of
		// these are claimed.
		free = false
		mustAccept(t, s, content, "town")
		free = true
		mustAccept(t, s, content, "village")
		mustAccept(t, s, content, "town", "village")
		if es, err := s.Claim(t.Context(), spool.Received, time.Now(), 9); err != nil || len(es) != 4 || len(took) != 1 {
			t.Errorf("claimed %d of 4, %d in hand, %v", len(es), len(took), err)
		}

		// What is not accepted gives the place back.
		d, err := s.NewDraft(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(content); err != nil {
			t.Fatal(err)
		}
		again := e.Envelope
		if err := s.Accept(t.Context(), d, []envelope.Envelope{again}); !errors.Is(err, spool.ErrExists) {
			t.Errorf("a second one of its name: %v", err)
		}
		if len(took) != 2 || took[1] != nil {
			t.Errorf("the place was not given back: %v", took)
		}
		if asked != 4 {
			t.Errorf("asked %d times, want 4", asked)
		}
	})
}
