package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// groupOf says with which session a process is scheduled, and how nice that is;
// nothing where sessions are not scheduled: a kernel without it has no such file,
// and one that was told not to has an empty one.
func groupOf(tb testing.TB, pid int) (group string, nice int) {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
	if err != nil {
		if os.IsNotExist(err) {
			return "", 0
		}
		tb.Fatal(err)
	}
	if len(b) == 0 {
		return "", 0
	}
	if _, err := fmt.Sscanf(string(b), "%s nice %d", &group, &nice); err != nil {
		tb.Fatalf("%q: %v", b, err)
	}
	return group, nice
}

// A session of a worker's own has the weight of the daemon, whatever the niceness
// of what is in it, and takes the processor from whoever answers a peer.
func TestWorkersAreInTheSessionOfTheDaemonNeedsNamespaces(t *testing.T) {
	mine, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	group, _ := groupOf(t, os.Getpid())
	check := func(what string, p *Process) {
		t.Helper()
		sid, err := unix.Getsid(p.Pid())
		pgid, perr := unix.Getpgid(p.Pid())
		if err != nil || perr != nil || sid != mine || pgid != p.Pid() {
			t.Errorf("%s: session %d of process group %d (%v, %v), want %d and its own %d", what, sid, pgid, err, perr, mine, p.Pid())
		}
		if g, _ := groupOf(t, p.Pid()); g != group {
			t.Errorf("%s is scheduled with %s and not with %s", what, g, group)
		}
		if n, err := unix.Getpriority(unix.PRIO_PROCESS, p.Pid()); err != nil || 20-n < niceness {
			t.Errorf("%s is %d nice (%v)", what, 20-n, err)
		}
	}
	p, _, _ := start(t, small(), "wait")
	check("one by itself", p)
	for name, s := range starters(t) {
		p, _, _ := startBy(t, s, "wait")
		check(name, p)
	}
	p, end := brief(t, celled(t))
	defer end()
	check("one in a cell", p)
}

// A program from elsewhere has a session, in which no terminal is near, and that
// is as nice as workers are.
func TestToolsAreInASessionOfTheirOwnNeedsNamespaces(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tl := shell("(: </dev/tty) 2>/dev/null || echo none >&2; sleep 60")
	tl.Launcher, tl.Profile, tl.In = program(t), toolProfile(), "in.txt"
	tl.Input, tl.Output, tl.Complaint = memory(t, ""), memory(t, ""), w
	p, err := tl.Start(t.Context())
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Wait()
	defer p.Kill()
	said := make([]byte, 16)
	if n, err := r.Read(said); err != nil || strings.TrimSpace(string(said[:n])) != "none" {
		t.Errorf("of a terminal it said %q (%v)", said[:n], err)
	}
	if sid, err := unix.Getsid(p.Pid()); err != nil || sid != p.Pid() {
		t.Errorf("its session is %d (%v)", sid, err)
	}
	group, nice := groupOf(t, p.Pid())
	if mine, _ := groupOf(t, os.Getpid()); group != "" && group == mine {
		t.Error("it is scheduled with the daemon")
	}
	for i := 0; group != "" && nice != niceness; i++ {
		if i == 100 {
			t.Fatalf("its session is %d nice, not %d", nice, niceness)
		}
		time.Sleep(100 * time.Millisecond)
		_, nice = groupOf(t, p.Pid())
	}
}
