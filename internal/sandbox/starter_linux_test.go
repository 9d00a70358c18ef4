package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newStarter(tb testing.TB) *Starter {
	tb.Helper()
	s := &Starter{Path: program(tb)}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the starter: %v", err)
		}
	})
	return s
}

// starters are those of both kinds: whose children have a network each, and
// whose children share one.
func starters(tb testing.TB) map[string]*Starter {
	tb.Helper()
	s, err := OpenStarter(tb.Context(), program(tb), small())
	if err != nil || !s.shared {
		tb.Fatalf("no common network: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the starter: %v", err)
		}
	})
	return map[string]*Starter{"own network": newStarter(tb), "common network": s}
}

// startBy is start by a Starter.
func startBy(tb testing.TB, s *Starter, args ...string) (p *Process, in, out *os.File) {
	tb.Helper()
	return piped(tb, Command{Args: args, Profile: small(), Starter: s})
}

func TestAStarterStartsTheSameNeedsNamespaces(t *testing.T) {
	for name, s := range starters(t) {
		t.Run(name, func(t *testing.T) { startsTheSame(t, s) })
	}
}

func startsTheSame(t *testing.T, s *Starter) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 200<<10/16)
	p, in, out := startBy(t, s, "echo")
	go func() {
		in.Write(want)
		in.Close()
	}()
	got, err := io.ReadAll(out)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back (%v), want %d", len(got), err, len(want))
	}
	st, err := p.Wait()
	if err != nil || st.Err() != nil || st.User+st.System <= 0 || st.MaxRSS < 1<<20 || st.Wall <= 0 {
		t.Errorf("ended with %v, %+v", err, st)
	}

	_, _, out = startBy(t, s, "environ", "a b", "")
	if got, err := io.ReadAll(out); string(got) != "[] [\"a b\" \"\"]\n" || err != nil {
		t.Errorf("environment and arguments are %q (%v)", got, err)
	}
	_, _, out = startBy(t, s, "descriptors")
	if got, err := io.ReadAll(out); string(got) != "0 1 2 \n" || err != nil {
		t.Errorf("inherited descriptors are %q (%v)", got, err)
	}
	for _, c := range []struct {
		args []string
		want error
	}{
		{[]string{"exit", "0"}, nil},
		{[]string{"exit", "125"}, ErrUnconfined},
		{[]string{"call", fmt.Sprint(unix.SYS_SOCKET)}, ErrForbidden},
	} {
		p, _, _ := startBy(t, s, c.args...)
		if st, err := p.Wait(); err != nil || st.Err() != c.want {
			t.Errorf("%q ended with %v, %v, want %v", c.args, st.Err(), err, c.want)
		}
	}
	p, _, _ = startBy(t, s, "exit", "7")
	if st, err := p.Wait(); err != nil || st.Exit != 7 {
		t.Errorf("exit 7 is %+v, %v", st, err)
	}
}

func TestAStarterKillsNeedsNamespaces(t *testing.T) {
	for name, s := range starters(t) {
		t.Run(name, func(t *testing.T) { kills(t, s) })
	}
}

func kills(t *testing.T, s *Starter) {
	p, _, out := startBy(t, s, "wait")
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the program said %q, %v", line, err)
	}
	p.Kill()
	p.Kill()
	if st, err := p.Wait(); err != nil || st.Err() != ErrKilled || !st.Killed {
		t.Errorf("ended with %v, %+v", err, st)
	}

	ctx, cancel := context.WithCancel(t.Context())
	p, err := (&Command{Path: program(t), Args: []string{"spin"}, Profile: small(), Starter: s}).Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if st, err := p.Wait(); err != nil || st.Err() != ErrKilled || !st.Killed {
		t.Errorf("ended with %v, %+v", err, st)
	}
}

func TestAStarterRefusesWhatStartRefuses(t *testing.T) {
	s := newStarter(t)
	dir, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, c := range []struct {
		name string
		cmd  Command
		want string
	}{
		{"zero profile", Command{Path: program(t)}, "limit"},
		{"no binary", Command{Path: "/nonexistent", Profile: small()}, "no such file"},
		{"a directory", Command{Path: program(t), Profile: small(), Files: []*os.File{dir}}, "directory"},
		{"NUL", Command{Path: program(t), Profile: small(), Args: []string{"a\x00b"}}, "NUL"},
		{"NUL in the path", Command{Path: program(t) + "\x00", Profile: small()}, "too long"},
		{"too long", Command{Path: program(t), Profile: small(), Args: []string{strings.Repeat("x", maxOrder)}}, "too long"},
	} {
		c.cmd.Starter = s
		p, err := c.cmd.Start(t.Context())
		if err == nil {
			p.Kill()
			p.Wait()
			t.Errorf("%s: it started", c.name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q does not mention %q", c.name, err, c.want)
		}
	}
	bad := &Starter{Path: "/nonexistent"}
	if _, err := (&Command{Path: program(t), Profile: small(), Starter: bad}).Start(t.Context()); err == nil {
		t.Error("a starter that is not there started something")
	}
}

// The kernel takes the children along with a Starter that is lost, the
// waiting parent is told, and the next start has a new one.
func TestALostStarterIsReplacedNeedsNamespaces(t *testing.T) {
	for name, s := range starters(t) {
		t.Run(name, func(t *testing.T) { isReplaced(t, s) })
	}
}

func isReplaced(t *testing.T, s *Starter) {
	p, _, out := startBy(t, s, "wait")
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the program said %q, %v", line, err)
	}
	pidfd, err := unix.PidfdOpen(p.Pid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	var starter int
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "PPid:\t%d", &starter)
	}
	if starter <= 1 || starter == os.Getpid() {
		t.Fatalf("the child's parent is %d, not a starter", starter)
	}
	starterfd, err := unix.PidfdOpen(starter, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(starterfd)
	if err := unix.Kill(starter, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !gone(t, starterfd) || !gone(t, pidfd) {
		t.Error("the child outlived its starter")
	}
	if st, err := p.Wait(); err == nil || st.Err() == nil {
		t.Errorf("a lost process ended with %v, %+v", err, st)
	}
	_, _, out = startBy(t, s, "environ")
	if got, err := io.ReadAll(out); string(got) != "[] []\n" || err != nil {
		t.Errorf("the next process said %q (%v)", got, err)
	}
}

func TestAClosedStarterTakesItsChildrenAlongNeedsNamespaces(t *testing.T) {
	s := &Starter{Path: program(t)}
	p, _, out := startBy(t, s, "wait")
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the program said %q, %v", line, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err := p.Wait(); err == nil && st.Err() == nil {
		t.Errorf("it ended with %+v", st)
	}
	if _, err := (&Command{Path: program(t), Profile: small(), Starter: s}).Start(t.Context()); err == nil {
		t.Error("a closed starter started something")
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second close says %v", err)
	}
}

func TestManyAtOnceByAStarterNeedsNamespaces(t *testing.T) {
	for name, s := range starters(t) {
		t.Run(name, func(t *testing.T) { manyAtOnce(t, s) })
	}
}

func manyAtOnce(t *testing.T, s *Starter) {
	var wg sync.WaitGroup
	errs := make(chan error, 24)
	for i := range 24 {
		wg.Go(func() {
			want := fmt.Sprintf("[] [\"%d\"]\n", i)
			out, st, err := collect(context.Background(), &Command{Path: program(t), Args: []string{"environ", fmt.Sprint(i)}, Profile: small(), Starter: s})
			if err != nil || st.Err() != nil || out != want {
				errs <- fmt.Errorf("%d: %v, %v, %q", i, err, st.Err(), out)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

// The network that children share is neither this process's nor one in which
// anything is up, and every attempt to break out fails in it as well.
func TestACommonNetworkIsAnEmptyOneNeedsNamespaces(t *testing.T) {
	s := starters(t)["common network"]
	targets, free, err := layTargets(program(t))
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	for _, pr := range probes {
		found, _, err := runOne(t.Context(), Command{Path: program(t), Profile: small(), Starter: s}, pr, targets)
		if err != nil || !found.Pass {
			t.Errorf("%s: %v, %s", pr.says, err, found.Detail)
		}
	}
	if os.Geteuid() != 0 {
		t.Log("skipped: only root may look at the namespaces of what it has confined")
		return
	}
	network := func(pid int) string {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	p, _, _ := startBy(t, s, "wait")
	q, _, _ := startBy(t, s, "wait")
	alone, _, _ := startBy(t, newStarter(t), "wait")
	if a, b := network(p.Pid()), network(q.Pid()); a != b {
		t.Errorf("two children are in %s and %s", a, b)
	}
	for what, pid := range map[string]int{"this process": os.Getpid(), "a child with a network of its own": alone.Pid()} {
		if network(pid) == network(p.Pid()) {
			t.Errorf("the common network is that of %s", what)
		}
	}
}

// BenchmarkStartFromABigProcessNeedsNamespaces shows what a Starter is for: a
// daemon of 100 MiB, forking itself and having it done.
func BenchmarkStartFromABigProcessNeedsNamespaces(b *testing.B) {
	ballast := make([]byte, 100<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	for _, c := range []struct {
		name    string
		starter *Starter
	}{{"itself", nil}, {"starter", starters(b)["own network"]}, {"starter in an empty network", starters(b)["common network"]}} {
		b.Run(c.name, func(b *testing.B) {
			before := ownCPU()
			for b.Loop() {
				p, err := (&Command{Path: program(b), Args: []string{"exit", "0"}, Profile: Worker(), Starter: c.starter}).Start(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				if st, err := p.Wait(); err != nil || st.Err() != nil {
					b.Fatal(err, st.Err())
				}
			}
			b.ReportMetric(float64((ownCPU()-before).Microseconds())/float64(b.N), "own-cpu-us/op")
		})
	}
	keep = append(keep, ballast)
}

// ownCPU is the CPU time of this process, without its children.
func ownCPU() time.Duration {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// A tool is started by a Starter as by this process, with a network that is not
// the workers': it may make sockets.
func TestAStarterStartsToolsNeedsNamespaces(t *testing.T) {
	for name, s := range starters(t) {
		t.Run(name, func(t *testing.T) {
			by := func(script string) Tool {
				tl := shell(script)
				tl.Starter = s
				return tl
			}
			out, said, exit, err := runOneTool(t, t.Context(), by("cat /job/in.txt; echo wrong >&2; exit 3"))
			if out != "input\n" || said != "wrong\n" || exit != 3 || err != nil {
				t.Errorf("%q, %q, %d, %v", out, said, exit, err)
			}
			long := by("cat home.d/x | wc -c; id -u; ls /proc || echo no")
			long.Files = map[string]string{"home.d/x": strings.Repeat("long ", 18<<10)}
			if out, said, _, err := runOneTool(t, t.Context(), long); out != "92160\n65534\nno\n" || err != nil {
				t.Errorf("%q, %q, %v", out, said, err)
			}
			if _, _, _, err := runOneTool(t, t.Context(), Tool{Path: "/usr/bin/no-such-program", Starter: s}); !errors.Is(err, ErrNoTool) {
				t.Errorf("%v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begin := time.Now()
			if _, _, _, err := runOneTool(t, ctx, by("trap '' TERM HUP INT; setsid sleep 31339 & wait")); err == nil || time.Since(begin) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
			spin := by("while :; do :; done")
			spin.Profile = toolProfile()
			spin.Profile.CPU = time.Second
			if _, _, _, err := runOneTool(t, t.Context(), spin); err == nil {
				t.Error("a loop ended well")
			}

			// One listens on an abstract socket; the other must not find it.
			heard := make(chan error, 1)
			go func() {
				_, said, _, err := runOneTool(t, t.Context(), by(`python3 -c '
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("\0sekisho-test")
s.listen()
s.settimeout(3)
try:
  s.accept()
  print("heard")
except TimeoutError: print("nobody")'`))
				if err != nil || said != "" {
					err = fmt.Errorf("the listener: %v, %s", err, said)
				}
				heard <- err
			}()
			out, said, _, err = runOneTool(t, t.Context(), by(`python3 -c '
import socket, time
for i in range(20):
  try:
    socket.socket(socket.AF_UNIX).connect("\0sekisho-test")
    print("connected")
    break
  except OSError: time.sleep(0.1)'`))
			if out != "" || err != nil {
				t.Errorf("a tool reached the socket of another: %q, %q, %v", out, said, err)
			}
			if err := <-heard; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAChildIsPatientNeedsNamespaces: its sleeps may end late and it pushes
// nobody from a processor, but not so the threads of who started it.
func TestAChildIsPatientNeedsNamespaces(t *testing.T) {
	slackOf := func(pid int) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", pid))
		if errors.Is(err, os.ErrPermission) {
			t.Skipf("only root may look: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	policyOf := func(pid int) uint32 {
		a, err := unix.SchedGetAttr(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a.Policy
	}
	ownSlack, ownPolicy := slackOf(os.Getpid()), policyOf(os.Getpid())
	p, _, _ := startBy(t, nil, "echo")
	if got, want := slackOf(p.pid), fmt.Sprint(timerSlack.Nanoseconds()); got != want {
		t.Errorf("of the child %s ns, want %s", got, want)
	}
	threads := func(pid int) (ids []int) {
		es, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			var id int
			if _, err := fmt.Sscan(e.Name(), &id); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	for _, id := range threads(p.pid) {
		if got := policyOf(id); got != unix.SCHED_BATCH {
			t.Errorf("thread %d of the child has policy %d, want %d (SCHED_BATCH)", id, got, unix.SCHED_BATCH)
		}
	}
	for _, id := range threads(os.Getpid()) {
		if got := slackOf(id); got != ownSlack {
			t.Errorf("of our thread %d %s ns, before it was %s", id, got, ownSlack)
		}
		if got := policyOf(id); got != ownPolicy {
			t.Errorf("our thread %d has policy %d, before it was %d", id, got, ownPolicy)
		}
	}
}
