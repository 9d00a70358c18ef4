package spool_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob/blobtest"
	"sekisho/spool"
)

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

// smallDisk is a file system of its own. It needs root for the mount.
func smallDisk(t *testing.T, size string) (path string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a tmpfs needs root")
	}
	path = t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return path
}

// TestAStartOnAFullDiskSaysSoAsRoot: with no room for the index of its log the
// database cannot be opened. It says why, and opens when there is room.
func TestAStartOnAFullDiskSaysSoAsRoot(t *testing.T) {
	path := smallDisk(t, "8m")
	s, err := openSite(t.Context(), filepath.Join(path, "site"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := accept(t.Context(), s.Spool, []byte("text"), "town")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(path, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v, want no space", err)
	}
	if s, err := openSite(t.Context(), filepath.Join(path, "site")); !errors.Is(err, spool.ErrFull) {
		if err == nil {
			err = s.db.Close()
		}
		t.Errorf("on a full disk: got %v, want ErrFull", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if s, err = openSite(t.Context(), filepath.Join(path, "site")); err != nil {
		t.Fatalf("after room was made: %v", err)
	}
	if _, err := s.Get(t.Context(), "", ids[0]); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
}

// TestFullDiskAsRoot fills a small file system.
func TestFullDiskAsRoot(t *testing.T) {
	path := smallDisk(t, "24m")
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
