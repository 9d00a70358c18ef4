package faults

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sekisho/internal/blob/blobtest"
	"sekisho/internal/faults/lossyfs"
	"sekisho/spool"
)

// ills are what a disk may suffer from. What was acknowledged before, during
// and after must be there after a power cut; nothing may be acknowledged that
// is not.
var ills = []struct {
	name string
	f    lossyfs.Faults
}{
	{"fsync fails and the pages are lost", lossyfs.Faults{SyncErr: true}},
	{"write fails", lossyfs.Faults{WriteErr: true}},
	{"read-only", lossyfs.Faults{ReadOnly: true}},
	{"full", lossyfs.Faults{Bytes: 1}},
	{"no inodes", lossyfs.Faults{Inodes: 1}},
	{"rename fails", lossyfs.Faults{RenameErr: true}},
	{"short writes", lossyfs.Faults{ShortWrite: true}},
	{"slow", lossyfs.Faults{SyncDelay: 30 * time.Millisecond, WriteDelay: time.Millisecond}},
}

// TestPowerCutAfterADiskFailed is the case in which Linux tells an fsync that
// failed to nobody else: the pages are in the cache, not on the disk, and the
// next fsync reports success. Whoever builds on them loses it all.
func TestPowerCutAfterADiskFailed(t *testing.T) {
	for _, w := range ways {
		for _, ill := range ills {
			t.Run(w.name+"/"+ill.name, func(t *testing.T) {
				s := newSite(t, w.inline)
				s.mustAccept(blobtest.Bytes(1, 3000))
				s.disk.Set(ill.f)
				taken := 0
				for i := range uint64(3) {
					if s.accept(blobtest.Bytes(10+i, 3000)) == nil {
						taken++
					}
				}
				if err := s.accept(blobtest.Bytes(20, 3000)); errors.Is(err, spool.ErrUncertain) {
					// The daemon ends while the disk is still ill, and systemd
					// starts it again.
					s.close()
					s.disk.Set(lossyfs.Faults{})
					s.open()
				}
				s.disk.Set(lossyfs.Faults{})
				for i := range uint64(3) {
					s.mustAccept(blobtest.Bytes(30+i, 3000))
				}
				s.whole("before the cut")
				s.cut(lossyfs.Drop, 1)
				s.whole("after the cut")
				if strings.Contains(s.log.String(), "damaged") {
					t.Errorf("%s", s.log)
				}
				t.Logf("%d of 3 taken meanwhile", taken)
			})
		}
	}
}
