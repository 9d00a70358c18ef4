package faults

import (
	"context"
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// supervise starts the daemon whenever it ended by itself, as systemd does.
func (g *gateway) supervise() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	g.log = &lockedBuffer{}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, filepath.Join(g.bin, "sekishod"), "--config", g.file)
			cmd.Stderr = g.log
			// What it says when it ends is in its log.
			_ = cmd.Run()
			g.starts.Add(1)
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (g *gateway) count() (acknowledged int, refused map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.acknowledged), maps.Clone(g.refused)
}

// TestIllDiskOfTheGatewayAsRootWithFUSE gives the real daemon under load one
// trouble of the disk after the other. It must answer 4xx or be slower, take
// mail again by itself when the trouble is over, and lose nothing, also when
// the power fails afterwards.
func TestIllDiskOfTheGatewayAsRootWithFUSE(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	t.Parallel()
	disk := lossyfs.New(t)
	g := newGateway(t, filepath.Join(disk.Dir, "data"), "max_message_size: 1MiB\n")
	stopDaemon := g.supervise()
	defer func() { stopDaemon() }()
	more := func(what string, limit time.Duration) time.Duration {
		t.Helper()
		began := time.Now()
		from, _ := g.count()
		g.await("mail to be taken: "+what, limit, func() bool { n, _ := g.count(); return n >= from+3 })
		return time.Since(began)
	}
	stop := g.load(2, 50*time.Millisecond)
	more("at the start", 30*time.Second)
	for _, ill := range ills {
		if setting(t, "SEKISHO_CUTS", 3) < 10 && !slices.Contains([]string{"fsync fails and the pages are lost", "read-only"}, ill.name) {
			continue // the long form has them all
		}
		took, before := g.count()
		disk.Set(ill.f)
		time.Sleep(400 * time.Millisecond) // the trouble lasts
		during, _ := g.count()
		disk.Set(lossyfs.Faults{})
		back := more("after "+ill.name, 20*time.Second)
		_, after := g.count()
		for code := range after {
			after[code] -= before[code]
			if code[0] == '5' {
				t.Errorf("%s: refused for good: %v", ill.name, after)
			}
		}
		maps.DeleteFunc(after, func(_ string, n int) bool { return n == 0 })
		t.Logf("%s: %d taken meanwhile, refused %v, taken again after %.1f s, the daemon ended %d times",
			ill.name, during-took, after, back.Seconds(), g.starts.Swap(0))
	}
	stop()

	// So nearly full that no message may be begun; what was taken goes on.
	waiting, _ := g.count()
	for range 5 {
		if r := g.one(); !strings.HasPrefix(r, "250") {
			t.Errorf("before the disk is nearly full: %s", r)
		}
	}
	if n, _ := g.count(); n != waiting+5 {
		t.Errorf("%d taken, want 5", n-waiting)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk.Dir, &st); err != nil {
		t.Fatal(err)
	}
	used := int64(st.Blocks-st.Bfree) * st.Bsize
	disk.Set(lossyfs.Faults{Bytes: used + 150<<20})
	if r := g.one(); !strings.HasPrefix(r, "452 4.3.1") {
		t.Errorf("on a nearly full disk the answer is %q, want 452 4.3.1", r)
	}
	g.await("what is queued to be delivered on a nearly full disk", time.Minute, func() bool {
		return g.cli("queue", "list", "--json") == ""
	})
	disk.Set(lossyfs.Faults{})
	if r := g.one(); !strings.HasPrefix(r, "250") {
		t.Errorf("as soon as there is room again: %s", r)
	}

	if !strings.Contains(g.log.String(), "the disk failed under a commit of the journal") {
		t.Error("no alarm that the disk failed")
	}
	disk.Cut(lossyfs.Drop, 1)
	stopDaemon()
	disk.Remount()
	g.boot()
	r := g.drained(result{Test: "ill disk", Cuts: 1})
	if r.Tampered > 0 {
		t.Errorf("%d are held as tampered", r.Tampered)
	}
}
