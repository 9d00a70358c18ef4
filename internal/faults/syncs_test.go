package faults

import (
	"testing"
	"time"

	"sekisho/internal/blob/blobtest"
	"sekisho/internal/faults/lossyfs"
)

// TestASmallMailCostsOneSync: it lies in the journal's database, so that the
// commit that names it is all that waits for the disk; those of many senders
// share one.
func TestASmallMailCostsOneSync(t *testing.T) {
	s := newSite(t, 64<<10)
	s.mustAccept(blobtest.Bytes(1, 3000)) // the first one of a tenant makes its key
	const n = 10
	before := s.disk.Counts()
	for i := range uint64(n) {
		s.mustAccept(blobtest.Bytes(10+i, 3000))
	}
	after := s.disk.Counts()
	if syncs, dirs := after.Syncs-before.Syncs, after.DirSyncs-before.DirSyncs; syncs != n || dirs != 0 {
		t.Errorf("%d small mails, one after the other, took %d syncs of files and %d of directories, want %d and none", n, syncs, dirs, n)
	}

	// While one commit is on the disk the others gather for the next.
	s.disk.Set(lossyfs.Faults{SyncDelay: 50 * time.Millisecond})
	done := make(chan error)
	before = after
	for i := range uint64(64) {
		go func() {
			d, err := s.NewDraft(t.Context())
			if err == nil {
				_, err = d.Write(blobtest.Bytes(100+i, 3000))
			}
			if err == nil {
				err = s.Accept(t.Context(), d, aMail())
			}
			done <- err
		}()
	}
	for range 64 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	after = s.disk.Counts()
	if syncs, dirs := after.Syncs-before.Syncs, after.DirSyncs-before.DirSyncs; syncs > 32 || dirs != 0 {
		t.Errorf("64 small mails at once took %d syncs of files and %d of directories, want 32 at most and none", syncs, dirs)
	} else {
		t.Logf("64 at once: %d syncs", syncs)
	}
	s.cut(lossyfs.Drop, 1)
	s.whole("after a cut")
}
