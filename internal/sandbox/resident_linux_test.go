package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// copied is the program under a name of its own.
func copied(tb testing.TB) (path string, content []byte) {
	tb.Helper()
	content, err := os.ReadFile(program(tb))
	if err != nil {
		tb.Fatal(err)
	}
	path = filepath.Join(tb.TempDir(), "program")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		tb.Fatal(err)
	}
	return path, content
}

func TestTheBinaryInMemoryIsTheWholeOneAndCannotBeChanged(t *testing.T) {
	path, want := copied(t)
	f, err := resident(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || !bytes.HasPrefix(got, want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 || len(got)-len(want) >= hugePage {
		t.Errorf("%d octets became %d (%v)", len(want), len(got), err)
	}
	w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it was written to")
	}
	if err := w.Truncate(0); err == nil {
		t.Error("it was cut off")
	}
}

// What a worker is mapped from is on large pages, or this is for nothing.
func TestTheBinaryInMemoryIsOnLargePages(t *testing.T) {
	path, content := copied(t)
	f, err := resident(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := (len(content) + hugePage - 1) / hugePage * hugePage
	if err := collapse(f, uintptr(size)); err != nil {
		t.Skipf("this kernel puts no file in memory on large pages: %v", err)
	}
	at, unmap, err := mapAtBoundary(f, uintptr(size))
	if err != nil {
		t.Fatal(err)
	}
	defer unmap()
	var sum byte
	for i := 0; i < size; i += 4096 {
		sum += *(*byte)(unsafe.Add(at, i))
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, mine, _ := strings.Cut(string(maps), fmt.Sprintf("%x-", uintptr(at)))
	_, mine, _ = strings.Cut(mine, "ShmemPmdMapped:")
	var kib int
	if _, err := fmt.Sscan(mine, &kib); err != nil || kib<<10 != size {
		t.Errorf("%d KiB of %d are on large pages (%v, %d)", kib, size>>10, err, sum)
	}
}

// An upgrade puts another binary in the place of the one the daemon was started
// with, or takes it away. Until the daemon is started again its workers are what
// it knows.
func TestWhatIsPutInThePlaceOfTheBinaryIsNotStartedNeedsNamespaces(t *testing.T) {
	path, _ := copied(t)
	s, err := OpenStarter(t.Context(), path, small())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	started := func(what string) {
		t.Helper()
		for _, brief := range []bool{false, true} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p, err := (&Command{Path: path, Args: []string{"environ", what}, Files: []*os.File{nil, w}, Profile: small(), Starter: s, Brief: brief}).Start(t.Context())
			w.Close()
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			if got, err := io.ReadAll(r); string(got) != fmt.Sprintf("[] [%q]\n", what) || err != nil {
				t.Errorf("%s: it said %q (%v)", what, got, err)
			}
			if st, err := p.Wait(); err != nil || st.Err() != nil {
				t.Errorf("%s: %v, %v", what, err, st.Err())
			}
		}
	}
	started("as it was")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	started("taken away")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho another\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	started("another one")
	// The processes that fork are lost and begun anew.
	rested(t, s, 1)
	s.closeCells()
	s.mu.Lock()
	s.orders.Close()
	<-s.ended
	s.mu.Unlock()
	started("begun anew")
}

// Whoever looks at the machine sees what runs, and not the number of a descriptor.
func TestProcessesHaveTheNameOfTheBinaryNeedsNamespaces(t *testing.T) {
	s := celled(t)
	want := filepath.Base(program(t))
	want = want[:min(len(want), 15)] + "\n"
	p, end := brief(t, s)
	defer end()
	for pid := p.Pid(); ; {
		// The worker, its cell.
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; string(b) != want && i < 500; i++ { // it may not be so far
			time.Sleep(10 * time.Millisecond)
			b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		}
		if string(b) != want {
			t.Errorf("process %d is called %q, not %q", pid, b, want)
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		if _, err := fmt.Sscanf(after, "%1s %d", new(string), &pid); err != nil {
			t.Fatal(err)
		}
		if pid == os.Getpid() {
			return
		}
	}
}

// inMemoryFlag has the test binary start something where nothing in memory may be
// executed.
const inMemoryFlag = "--nothing-in-memory"

func TestWhereNothingInMemoryIsExecutedTheFileIsNeedsNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to forbid it in a process namespace")
	}
	if _, err := os.Stat("/proc/sys/vm/memfd_noexec"); err != nil {
		t.Skip("needs Linux 6.3, which can forbid it")
	}
	path, _ := copied(t)
	cmd := exec.Command(program(t), inMemoryFlag, path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "file true, network true, cells true") || !strings.Contains(string(out), "in memory") {
		t.Errorf("%v: %s", err, out)
	}
}

func nothingInMemory(path string) {
	must := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("proc", "/proc", "proc", 0, ""))
	must(os.WriteFile("/proc/sys/vm/memfd_noexec", []byte("2"), 0))
	s, err := OpenStarter(context.Background(), path, small())
	fmt.Printf("file %v, network %v, cells %v: %v\n", s.image == nil, s.shared, s.celled, err)
	must(s.Close())
}

// The number of a descriptor that was closed may soon be another file's.
func TestACellOfAClosedStarterDoesNotBeginNeedsNamespaces(t *testing.T) {
	path, content := copied(t)
	s, err := OpenStarter(t.Context(), path, small())
	if err != nil {
		t.Fatal(err)
	}
	l := &Starter{Path: s.Path, image: s.image, cell: true}
	number := s.image.Fd()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := memory(t, string(content))
	if err := unix.Dup3(int(other.Fd()), int(number), unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(int(number))
	if err := l.begin(); err == nil {
		t.Error("it began with what has its number now")
		l.Close()
	}
}
