package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// celled is a Starter with cells.
func celled(tb testing.TB) *Starter {
	tb.Helper()
	s, err := OpenStarter(tb.Context(), program(tb), small())
	if err != nil || !s.celled {
		tb.Fatalf("no cells: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the starter: %v", err)
		}
	})
	rested(tb, s, 1) // the one in which the self-test was
	return s
}

// brief starts one that waits until the pipe returned is closed.
func brief(tb testing.TB, s *Starter) (p *Process, end func()) {
	tb.Helper()
	r, in, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	p, err = (&Command{Path: program(tb), Args: []string{"wait"}, Files: []*os.File{r}, Profile: small(), Starter: s, Brief: true}).Start(context.Background())
	r.Close()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		p.Kill()
		p.Wait()
	})
	return p, func() {
		tb.Helper()
		p.Kill()
		if _, err := p.Wait(); err != nil {
			tb.Error(err)
		}
	}
}

// rested waits until so many cells have nothing to do.
func rested(tb testing.TB, s *Starter, want int) {
	tb.Helper()
	for i := 0; ; i++ {
		s.mu.Lock()
		idle := len(s.cells.idle)
		s.mu.Unlock()
		if idle == want {
			return
		}
		if i == 500 {
			tb.Fatalf("%d cells are idle, not %d", idle, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// count says how many cells there are.
func (s *Starter) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cells.all)
}

func TestACellIsAsTightAsNamespacesOfOnesOwnNeedsNamespaces(t *testing.T) {
	s := celled(t)
	targets, free, err := layTargets(program(t))
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	for _, pr := range probes {
		found, r, err := runOne(t.Context(), Command{Path: program(t), Profile: small(), Starter: s, Brief: true}, pr, targets)
		if err != nil || !found.Pass {
			t.Errorf("%s: %v, %s", pr.says, err, found.Detail)
		}
		if !r.EmptyRoot || r.Landlock != min(LandlockVersion(), knownLandlock) {
			t.Errorf("%s: %+v", pr.says, r)
		}
		rested(t, s, 1)
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d cells for one after the other", n)
	}
}

// A domain is there before the first instruction of the program, while its
// working directory is still the way it was executed by.
func TestACellHandsItsDomainDownNeedsNamespaces(t *testing.T) {
	if LandlockVersion() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := (&Command{Path: program(t), Args: []string{"before"}, Files: []*os.File{nil, w}, Profile: small(), Starter: celled(t), Brief: true}).Start(t.Context())
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	if err != nil || string(said) != "true true true\n" {
		t.Errorf("to read, list and write were denied before Enter: %q, %v", said, err)
	}
	if st, err := p.Wait(); err != nil || st.Exit != 0 {
		t.Error(st, err)
	}
}

// What two workers could meet in is never theirs at the same time, and most of it
// never at all.
func TestTwoWorkersNeverShareACellNeedsNamespaces(t *testing.T) {
	s := celled(t)
	if os.Geteuid() != 0 {
		t.Skip("only root may look at the namespaces of what it has confined")
	}
	look := func(p *Process) map[string]string {
		t.Helper()
		seen := map[string]string{}
		for _, kind := range []string{"user", "net", "pid", "mnt", "ipc", "uts"} {
			name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.Pid(), kind))
			if err != nil {
				t.Fatal(err)
			}
			seen[kind] = name
		}
		return seen
	}
	// They are kept while they are compared, so that the kernel gives no number
	// to another one.
	var kept []*os.File
	keep := func(p *Process) {
		for _, kind := range []string{"user", "net", "pid", "mnt", "ipc", "uts"} {
			f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", p.Pid(), kind))
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, f)
		}
	}
	defer func() {
		for _, f := range kept {
			f.Close()
		}
	}()
	p, endP := brief(t, s)
	q, endQ := brief(t, s)
	a, b := look(p), look(q)
	for kind := range a {
		if a[kind] == b[kind] {
			t.Errorf("two at the same time have the same %s namespace", kind)
		}
		if own, err := os.Readlink("/proc/self/ns/" + kind); err != nil || own == a[kind] {
			t.Errorf("one has the %s namespace of this process (%v)", kind, err)
		}
	}
	keep(p)
	endP()
	rested(t, s, 1)
	next, endNext := brief(t, s)
	c := look(next)
	for kind, again := range map[string]bool{"user": true, "net": true, "mnt": true, "pid": false, "ipc": false, "uts": false} {
		if (a[kind] == c[kind]) != again {
			t.Errorf("the %s namespace of the next one is the same: %v, want %v", kind, !again, again)
		}
	}
	endNext()
	endQ()
}

func TestALostCellIsReplacedNeedsNamespaces(t *testing.T) {
	s := celled(t)
	p, _ := brief(t, s)
	if err := unix.Kill(parentOf(t, p.Pid()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err == nil {
		t.Error("the end of a worker whose cell was lost is known")
	}
	for i := 0; s.count() > 0 && i < 500; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	if n := s.count(); n != 0 {
		t.Errorf("%d cells are left", n)
	}
	_, end := brief(t, s)
	end()
}

// A cell that cannot start one, for whatever reason, costs speed and no mail.
func TestWhatACellRefusesIsStartedWithoutNeedsNamespaces(t *testing.T) {
	s := celled(t)
	p, end := brief(t, s)
	cell := parentOf(t, p.Pid())
	end()
	rested(t, s, 1)
	// Its own threads are more than that already.
	if err := unix.Prlimit(cell, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 1, Max: 1}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, end = brief(t, s)
		if parentOf(t, p.Pid()) == cell {
			t.Error("the cell started it")
		}
		end()
	}
	if s.celled {
		t.Error("cells are still used")
	}
}

// parentOf reads who started a process: of a brief one, its cell.
func parentOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var parent int
	for line := range strings.Lines(string(b)) {
		if n, _ := fmt.Sscanf(line, "PPid: %d", &parent); n == 1 {
			return parent
		}
	}
	t.Fatal("no parent")
	return 0
}

// ended waits until a process is gone.
func ended(t *testing.T, pid int) {
	t.Helper()
	for range 500 {
		if err := unix.Kill(pid, 0); err == unix.ESRCH {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d lives on", pid)
}

func TestMoreThanThereAreCellsGetTheirOwnNeedsNamespaces(t *testing.T) {
	s := celled(t)
	var ends []func()
	for range maxCells + 3 {
		_, end := brief(t, s)
		ends = append(ends, end)
	}
	if n := s.count(); n != maxCells {
		t.Errorf("%d cells, not %d", n, maxCells)
	}
	for _, end := range ends {
		end()
	}
	rested(t, s, maxCells)
}

func TestACellNobodyNeedsEndsNeedsNamespaces(t *testing.T) {
	s := celled(t)
	p, end := brief(t, s)
	cell := parentOf(t, p.Pid())
	end()
	rested(t, s, 1)
	s.mu.Lock()
	l := s.cells.idle[0]
	l.rest.Reset(0)
	s.mu.Unlock()
	ended(t, cell)
	if n := s.count(); n != 0 {
		t.Errorf("%d cells are left", n)
	}
	_, end = brief(t, s)
	end()
}

func TestAClosedStarterTakesItsCellsAlongNeedsNamespaces(t *testing.T) {
	s := celled(t)
	p, _ := brief(t, s)
	q, end := brief(t, s)
	end()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, pid := range []int{p.Pid(), q.Pid()} {
		ended(t, pid)
	}
	if _, err := (&Command{Path: program(t), Profile: small(), Starter: s, Brief: true}).Start(t.Context()); err == nil {
		t.Error("a closed one starts")
	}
}
