package spool_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob/blobtest"
	"sekisho/spool"
)

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
