package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/blob/dir"
	"sekisho/internal/faults/lossyfs"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
	"sekisho/spool"
	"sekisho/spool/spooltest"
	"sekisho/tenant"
)

// site is a spool as sekishod puts it together, on a disk that can lose its
// power.
type site struct {
	*spool.Spool
	t      testing.TB
	disk   *lossyfs.Disk
	path   string
	db     *sqlite.Store
	inline int64
	log    *bytes.Buffer
	alarms []string // of the store; read after it is closed, or by who caused them

	acked map[envelope.ID]envelope.Digest
}

func newSite(t testing.TB, inline int64) *site {
	t.Helper()
	s := &site{t: t, disk: lossyfs.New(t), inline: inline, log: &bytes.Buffer{}, acked: map[envelope.ID]envelope.Digest{}}
	// A directory that is not there at first: a site's first mail must survive
	// as well as its thousandth.
	s.path = filepath.Join(s.disk.Dir, "var", "data")
	s.open()
	t.Cleanup(func() {
		if s.db != nil {
			_ = s.db.Close()
		}
	})
	return s
}

func (s *site) data() string { return s.path }

func (s *site) tryOpen() error {
	path, ctx := s.data(), context.Background()
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	seed, _, err := blob.LoadOrCreateKeyFile(filepath.Join(path, "seal.key"))
	if err != nil {
		return err
	}
	signer, err := seal.NewSigner(seed[:])
	if err != nil {
		return err
	}
	s.db, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(path, "sekisho.db"), Seal: signer,
		Alarm: func(msg, id string) { s.alarms = append(s.alarms, msg+" "+id) }})
	if err != nil {
		s.db = nil
		return err
	}
	keys, err := blob.OpenKeyring(ctx, filepath.Join(path, "site.key"), s.db)
	if err != nil {
		return err
	}
	blobs, err := dir.Open(path)
	if err != nil {
		return err
	}
	s.Spool = &spool.Spool{Journal: s.db, Blobs: blobs, Keys: keys, Seal: signer, Inline: s.inline, MinFree: 1 << 20,
		Log: slog.New(slog.NewTextHandler(s.log, nil))}
	return nil
}

func (s *site) open() {
	s.t.Helper()
	if err := s.tryOpen(); err != nil {
		s.t.Fatalf("open: %v", err)
	}
}

// cut cuts the power and starts again.
func (s *site) cut(mode lossyfs.Mode, seed uint64) {
	s.t.Helper()
	s.disk.Cut(mode, seed)
	s.close()
	s.disk.Remount()
	s.open()
}

// close closes the store of a disk that is gone: what it says does not matter.
func (s *site) close() {
	if s.db != nil {
		_ = s.db.Close()
		s.db = nil
	}
}

func (s *site) accept(content []byte) error {
	d, err := s.NewDraft(context.Background())
	if err != nil {
		return err
	}
	if _, err := d.Write(content); err != nil {
		d.Abort()
		return err
	}
	envs := aMail()
	if err := s.Accept(context.Background(), d, envs); err != nil {
		return err
	}
	s.acked[envs[0].ID] = sha256.Sum256(content)
	return nil
}

// aMail is the envelope of one that is being accepted.
func aMail() []envelope.Envelope {
	env := spooltest.Entry("town", time.Now()).Envelope
	env.Size, env.Digest = 0, envelope.Digest{}
	return []envelope.Envelope{env}
}

func (s *site) mustAccept(content []byte) {
	s.t.Helper()
	if err := s.accept(content); err != nil {
		s.t.Fatalf("accept: %v", err)
	}
}

// claim takes one entry of state st in hand.
func (s *site) claim(st spool.State) spool.Entry {
	s.t.Helper()
	if _, err := s.db.Recover(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	es, err := s.Claim(context.Background(), st, time.Now().Add(time.Minute), 1)
	if err != nil || len(es) != 1 {
		s.t.Fatalf("claim of %s: %d, %v", st, len(es), err)
	}
	return es[0]
}

// whole fails unless everything acknowledged is there, sealed and unaltered.
func (s *site) whole(when string) {
	s.t.Helper()
	for id, digest := range s.acked {
		e, err := s.Get(context.Background(), "town", id)
		if err != nil {
			s.t.Errorf("%s: acknowledged %s: %v", when, id, err)
			continue
		}
		if e.Tampered != "" {
			s.t.Errorf("%s: %s is marked as tampered", when, id)
		}
		if err := s.CheckIntake(e); err != nil {
			s.t.Errorf("%s: %s: %v", when, id, err)
		}
		h := sha256.New()
		if err := s.CopyChecked(context.Background(), e, h); err != nil || envelope.Digest(h.Sum(nil)) != digest {
			s.t.Errorf("%s: %s: the bytes: %v", when, id, err)
		}
	}
	if _, bad, err := s.db.VerifyAudit(context.Background()); bad != 0 || err != nil {
		s.t.Errorf("%s: audit: bad record %d, %v", when, bad, err)
	}
}

func (s *site) mustImport(a string) { s.mustImportFrom(a, time.Now().Add(-time.Second)) }

// mustImportFrom keeps a list of recipients and returns its number.
func (s *site) mustImportFrom(a string, effective time.Time) int64 {
	s.t.Helper()
	list, err := tenant.ReadList(strings.NewReader("address\n"+a+"\n"), []string{"town.example"})
	if err != nil {
		s.t.Fatal(err)
	}
	n, err := s.db.AddRecipients(context.Background(), tenant.Version{Tenant: "town", Made: time.Now(), Effective: effective, By: "test", List: list},
		func(int64) audit.Event { return audit.Event{Act: "recipients", Actor: "test"} })
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// open2 closes the store in order and opens it again.
func (s *site) open2() {
	s.t.Helper()
	if err := s.db.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}
