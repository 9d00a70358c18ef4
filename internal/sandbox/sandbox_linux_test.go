package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEveryAttemptFailsNeedsNamespaces(t *testing.T) {
	kernel := LandlockVersion()
	for _, c := range []struct {
		name        string
		cap         LandlockCap
		withoutRoot bool
		landlock    int
	}{
		{"as the kernel has it", 0, false, min(kernel, knownLandlock)},
		{"version 4", 4, false, min(kernel, 4)},
		{"version 2, Debian 12", 2, false, min(kernel, 2)},
		{"version 1", 1, false, min(kernel, 1)},
		{"no Landlock", NoLandlock, false, 0},
		{"no empty root", 0, true, min(kernel, knownLandlock)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.withoutRoot && kernel == 0 {
				t.Skip("skipped: this kernel has no Landlock, so the empty root is all there is")
			}
			p := small()
			p.Landlock, p.withoutRoot = c.cap, c.withoutRoot
			f, err := SelfTest(t.Context(), program(t), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, pr := range f.Probes {
				t.Logf("%-45s %-5t %s", pr.Name, pr.Pass, pr.Detail)
			}
			if err := f.Err(); err != nil {
				t.Error(err)
			}
			if len(f.Probes) != len(probes) {
				t.Errorf("%d probes were made, want %d", len(f.Probes), len(probes))
			}
			if f.Report.Landlock != c.landlock || f.Report.KernelLandlock != kernel {
				t.Errorf("landlock %d of %d installed, want %d of %d", f.Report.Landlock, f.Report.KernelLandlock, c.landlock, kernel)
			}
			if f.Report.EmptyRoot == c.withoutRoot {
				t.Errorf("empty root is %t (%s)", f.Report.EmptyRoot, f.Report.RootError)
			}
		})
	}
}

func TestNeitherRootNorLandlockIsRefusedNeedsNamespaces(t *testing.T) {
	p := small()
	p.Landlock, p.withoutRoot = NoLandlock, true
	out, state := run(t, p, "echo")
	if state.Err() != ErrUnconfined {
		t.Fatalf("ended with %v, want %v; output %q", state.Err(), ErrUnconfined, out)
	}
	if !strings.Contains(out, "neither Landlock") {
		t.Errorf("the refusal does not say why: %q", out)
	}
	if _, err := SelfTest(t.Context(), program(t), p); !errors.Is(err, ErrUnconfined) {
		t.Errorf("self-test says %v, want %v", err, ErrUnconfined)
	}
}

// A binary that forgets to call Enter, or is another program altogether, must
// not pass for a confined one.
func TestSelfTestOfAnotherProgramFails(t *testing.T) {
	f, err := SelfTest(t.Context(), "/bin/true", small())
	if err == nil && f.Err() == nil {
		t.Fatal("/bin/true passed the self-test")
	}
	f, err = SelfTest(t.Context(), "/nonexistent/worker", small())
	if err == nil {
		t.Fatal("a binary that is not there could be tested")
	}
	if f.Err() == nil {
		t.Error("findings of a test that did not happen are a pass")
	}
}

func TestByHandIsRefused(t *testing.T) {
	o := order{Profile: small(), given: 3}
	for _, args := range [][]string{
		{o.String(), "echo"},
		{order{Profile: small(), given: 0}.String(), "echo"},
	} {
		cmd := exec.Command(program(t), args...)
		cmd.Stdin = strings.NewReader("hostile")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != ExitUnconfined {
			t.Errorf("%q: ended with %v, want status %d", args, err, ExitUnconfined)
		}
		if bytes.Contains(out, []byte("hostile")) || !bytes.Contains(out, []byte("not in a pid namespace")) {
			t.Errorf("%q: output %q", args, out)
		}
	}
}

// The signs by which the program knows its namespaces must each be enough.
func TestHalfOfTheNamespacesIsRefusedNeedsNamespaces(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		name  string
		leave uintptr
		caps  []uintptr
		want  string
	}{
		{"no pid namespace", unix.CLONE_NEWPID, []uintptr{unix.CAP_SYS_ADMIN}, "not in a pid namespace"},
		{"no network namespace", unix.CLONE_NEWNET, []uintptr{unix.CAP_SYS_ADMIN}, "not in an empty network namespace"},
		{"no capability", 0, nil, "not in a user namespace"},
		{"one too many", 0, []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN}, "not in a user namespace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if up, err := loopbackUp(); c.leave == unix.CLONE_NEWNET && (err != nil || !up) {
				t.Skipf("skipped: the network here has no loopback that is up (%v), so it cannot be told from a new one", err)
			}
			cmd := byHand(t, "echo")
			cmd.ExtraFiles = []*os.File{null}
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces &^ c.leave, AmbientCaps: c.caps, Pdeathsig: syscall.SIGKILL}
			mapIDs(cmd.SysProcAttr)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != ExitUnconfined || !strings.Contains(string(out), c.want) {
				t.Errorf("ended with %v and %q, want status %d and %q", err, out, ExitUnconfined, c.want)
			}
		})
	}
}

func TestTheProgramIsNobodyNeedsNamespaces(t *testing.T) {
	p, in, out := start(t, small(), "wait")
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the program said %q, %v", line, err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	want := os.Geteuid()
	if want == 0 {
		want = nobody
	}
	for _, line := range []string{
		fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", want, want, want, want),
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n",
	} {
		if !bytes.Contains(b, []byte("\n"+line)) {
			t.Errorf("status lacks %q:\n%s", line, b)
		}
	}
	if os.Geteuid() == 0 && !bytes.Contains(b, []byte("\nGroups:\t \n")) && !bytes.Contains(b, []byte("\nGroups:\t\n")) {
		t.Errorf("root's supplementary groups remain:\n%s", b)
	}
	// Every thread, not only the first.
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.Pid()))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads of the program: %v, %v", tasks, err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // a thread may have ended
		}
		for _, line := range []string{"CapPrm:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !bytes.Contains(b, []byte("\n"+line)) {
				t.Errorf("%s lacks %q", task, line)
			}
		}
	}
}

func TestEnvironmentIsEmptyNeedsNamespaces(t *testing.T) {
	t.Setenv("SEKISHO_SECRET", "x")
	t.Setenv("GODEBUG", "inittrace=1")
	out, state := run(t, small(), "environ", "a b", "--confine=x", "")
	if want := "[] [\"a b\" \"--confine=x\" \"\"]\n"; out != want || state.Err() != nil {
		t.Errorf("environment and arguments are %q (%v), want %q", out, state.Err(), want)
	}
}

func TestOnlyTheGivenDescriptorsComeInNeedsNamespaces(t *testing.T) {
	// A descriptor without close-on-exec, as a careless service manager
	// leaves them, below and above the limit of open files.
	for _, at := range []int{20, 280} {
		fd, err := unix.Open("/", unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(fd, at, 0); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		defer unix.Close(at)
	}
	out, state := run(t, small(), "descriptors")
	if out != "0 1 2 \n" || state.Err() != nil {
		t.Errorf("inherited descriptors are %q (%v), want 0 1 2", out, state.Err())
	}
}

func TestADirectoryIsNotHandedOver(t *testing.T) {
	dir, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	_, err = (&Command{Path: program(t), Profile: small(), Files: []*os.File{dir}}).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("start with a directory says %v", err)
	}
}

func TestStartRefusesBadCommands(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "worker")
	if err := os.WriteFile(notExecutable, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		cmd  Command
		want string
	}{
		{"zero profile", t.Context(), Command{Path: program(t)}, "limit"},
		{"no binary", t.Context(), Command{Path: "/nonexistent", Profile: small()}, "no such file"},
		{"a directory", t.Context(), Command{Path: "/", Profile: small()}, "not a regular file"},
		{"not executable", t.Context(), Command{Path: notExecutable, Profile: small()}, "execut"},
		{"NUL", t.Context(), Command{Path: program(t), Profile: small(), Args: []string{"a\x00b"}}, "NUL"},
		{"too many files", t.Context(), Command{Path: program(t), Profile: small(), Files: make([]*os.File, maxGiven+1)}, "files given"},
		{"ended context", done, Command{Path: program(t), Profile: small()}, "canceled"},
	} {
		p, err := c.cmd.Start(c.ctx)
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
}

func TestOpenIsRefusedByTheFilterNeedsNamespaces(t *testing.T) {
	if out, state := run(t, small(), "open"); state.Err() != nil {
		t.Errorf("%v: %s", state.Err(), out)
	}
	if out, state := run(t, small(), "callthreads"); state.Err() != nil {
		t.Errorf("on many threads: %v: %s", state.Err(), out)
	}
}

func TestForbiddenCallsKillNeedsNamespaces(t *testing.T) {
	hex := func(n uintptr) string { return fmt.Sprintf("%#x", n) }
	for _, c := range []struct {
		name string
		args []string
		kill bool
		out  string // if it does not kill
	}{
		{"socket", []string{hex(unix.SYS_SOCKET), "2", "1", "0"}, true, ""},
		{"socketpair", []string{hex(unix.SYS_SOCKETPAIR), "1", "1", "0"}, true, ""},
		{"execve", []string{hex(unix.SYS_EXECVE), "0", "0", "0"}, true, ""},
		{"execveat", []string{hex(unix.SYS_EXECVEAT), "0", "0", "0", "0", "0x1000"}, true, ""},
		{"memfd_create", []string{hex(unix.SYS_MEMFD_CREATE), "0", "0"}, true, ""},
		{"ptrace", []string{hex(unix.SYS_PTRACE), "0"}, true, ""},
		{"unshare", []string{hex(unix.SYS_UNSHARE), hex(unix.CLONE_NEWUSER)}, true, ""},
		{"setns", []string{hex(unix.SYS_SETNS), "0", "0"}, true, ""},
		{"mount", []string{hex(unix.SYS_MOUNT)}, true, ""},
		{"fsopen", []string{hex(unix.SYS_FSOPEN)}, true, ""},
		{"bpf", []string{hex(unix.SYS_BPF)}, true, ""},
		{"keyctl", []string{hex(unix.SYS_KEYCTL)}, true, ""},
		{"userfaultfd", []string{hex(unix.SYS_USERFAULTFD)}, true, ""},
		{"perf_event_open", []string{hex(unix.SYS_PERF_EVENT_OPEN)}, true, ""},
		{"io_uring_setup", []string{hex(unix.SYS_IO_URING_SETUP)}, true, ""},
		{"process_vm_readv", []string{hex(unix.SYS_PROCESS_VM_READV)}, true, ""},
		{"seccomp", []string{hex(unix.SYS_SECCOMP)}, true, ""},
		{"recvmsg", []string{hex(unix.SYS_RECVMSG), "0"}, true, ""},
		{"shmget", []string{hex(unix.SYS_SHMGET), "0", "0x1000", "0x3ff"}, true, ""},
		{"process in a user namespace", []string{hex(unix.SYS_CLONE), hex(unix.CLONE_NEWUSER | 17)}, true, ""},
		{"process", []string{hex(unix.SYS_CLONE), "17"}, true, ""},
		{"x32 getpid", []string{hex(0x40000000 + 39)}, true, ""},
		{"unknown number", []string{"9999"}, true, ""},
		{"futex requeue", []string{hex(unix.SYS_FUTEX), "0", "3"}, true, ""},
		{"mmap executable", []string{hex(unix.SYS_MMAP), "0", "4096", "5", "0x22", "0xffffffffffffffff"}, true, ""},
		{"mmap shared", []string{hex(unix.SYS_MMAP), "0", "4096", "3", "0x21", "0xffffffffffffffff"}, true, ""},
		{"mmap growing down", []string{hex(unix.SYS_MMAP), "0", "4096", "3", "0x122", "0xffffffffffffffff"}, true, ""},
		{"mmap read-only over the address space", []string{hex(unix.SYS_MMAP), "0", "0x200000000", "1", "0x22", "0xffffffffffffffff"}, false, "errno 12\n"},
		{"mmap droppable over the limit", []string{hex(unix.SYS_MMAP), "0", hex(192 << 20), "3", "0x28", "0xffffffffffffffff"}, false, "errno 12\n"},
		{"mprotect", []string{hex(unix.SYS_MPROTECT), "0", "4096", "7"}, false, "errno 1\n"},
		{"clone3", []string{hex(unix.SYS_CLONE3)}, false, "errno 38\n"},
		{"kill everybody", []string{hex(unix.SYS_KILL), "0xffffffffffffffff", "9"}, false, "errno 1\n"},
		{"tgkill somebody else", []string{hex(unix.SYS_TGKILL), "2", "2", "0"}, false, "errno 1\n"},
		{"undo the death signal", []string{hex(unix.SYS_PRCTL), hex(unix.PR_SET_PDEATHSIG), "0"}, false, "errno 1\n"},
		{"ioctl TIOCSTI", []string{hex(unix.SYS_IOCTL), "0", hex(unix.TIOCSTI)}, false, "errno 1\n"},
		{"raise a limit", []string{hex(unix.SYS_PRLIMIT64)}, false, "errno 1\n"},
		{"fcntl F_SETPIPE_SZ", []string{hex(unix.SYS_FCNTL), "1", hex(unix.F_SETPIPE_SZ), "0x100000"}, false, "errno 1\n"},
	} {
		out, state := run(t, small(), append([]string{"call"}, c.args...)...)
		switch {
		case c.kill && state.Err() != ErrForbidden:
			t.Errorf("%s: ended with %v (%q), want %v", c.name, state.Err(), out, ErrForbidden)
		case !c.kill && (state.Err() != nil || out != c.out):
			t.Errorf("%s: ended with %v and %q, want %q", c.name, state.Err(), out, c.out)
		}
	}
}

func TestTheRuntimeWorksConfinedNeedsNamespaces(t *testing.T) {
	for range 3 {
		out, state := run(t, small(), "work")
		if state.Err() != nil || !strings.HasPrefix(out, "worked") {
			t.Fatalf("%v: %s", state.Err(), out)
		}
	}
	out, state := run(t, small(), "threads", "20")
	if state.Err() != nil || out != "threads 20\n" {
		t.Errorf("20 threads: %v: %s", state.Err(), out)
	}
}

func TestTheLibraryWorksConfinedNeedsNamespaces(t *testing.T) {
	out, state := run(t, small(), "library")
	if state.Err() != nil || out != "library\n" {
		t.Errorf("%v: %s", state.Err(), out)
	}
}

func TestDataGoesThroughNeedsNamespaces(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 200<<10/16)
	t.Run("pipes", func(t *testing.T) {
		_, in, out := start(t, small(), "echo")
		go func() {
			in.Write(want)
			in.Close()
		}()
		got, err := io.ReadAll(out)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back (%v), want %d", len(got), err, len(want))
		}
	})
	t.Run("files", func(t *testing.T) {
		in, out := memfd(t), memfd(t)
		if _, err := in.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		p, err := (&Command{Path: program(t), Args: []string{"copy"}, Profile: small(), Files: []*os.File{in, nil, nil, out}}).Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st, err := p.Wait(); err != nil || st.Err() != nil {
			t.Fatal(st.Err(), err)
		}
		got := make([]byte, len(want)+1)
		n, _ := out.ReadAt(got, 0)
		if !bytes.Equal(got[:n], want) {
			t.Errorf("%d bytes arrived, want %d", n, len(want))
		}
	})
}

func TestExitStatesAreToldApartNeedsNamespaces(t *testing.T) {
	if _, st := run(t, small(), "exit", "0"); st.Err() != nil || st.Exit != 0 {
		t.Errorf("exit 0: %+v", st)
	}
	if _, st := run(t, small(), "exit", "7"); st.Err() == nil || st.Exit != 7 {
		t.Errorf("exit 7: %+v", st)
	}
	if _, st := run(t, small(), "exit", "125"); st.Err() != ErrUnconfined {
		t.Errorf("exit 125: %+v", st)
	}
	if out, st := run(t, small(), "panic"); st.Exit != 2 || !strings.Contains(out, "on purpose") {
		t.Errorf("panic: %+v, %q", st, out)
	}
	if _, st := run(t, small(), "work"); st.MaxRSS < 1<<20 || st.User+st.System <= 0 || st.Wall <= 0 {
		t.Errorf("no usage was counted: %+v", st)
	}
}

func TestManyAtOnceNeedsNamespaces(t *testing.T) {
	path := program(t)
	var wg sync.WaitGroup
	errs := make(chan error, 24)
	for i := range 24 {
		wg.Go(func() {
			want := fmt.Sprintf("[] [\"%d\"]\n", i)
			out, st, err := collect(context.Background(), &Command{Path: path, Args: []string{"environ", fmt.Sprint(i)}, Profile: small()})
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

// All of it again without any privilege, which is how the daemon runs.
func TestAllOfThisAsAnOrdinaryUserNeedsNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: this is an ordinary user already")
	}
	// A copy where nobody can reach it; its directory is the one thing the
	// user may write.
	dir, err := os.MkdirTemp("/tmp", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(program(t))
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "sandbox.test")
	if err := os.WriteFile(self, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.v", "-test.timeout=120s")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "skipped:") || strings.HasPrefix(line, "--- SKIP") {
			t.Log("as an ordinary user: ", strings.TrimSpace(line))
		}
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestEveryAttemptFailsNeedsNamespaces") {
		t.Errorf("as uid %d: %v\n%s", nobody, err, out)
	}
}

// byHand is the command line of Start without the rest of it. The child may
// be a user who cannot walk to the binary.
func byHand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary, path, err := openBinary(program(t), []*os.File{os.Stdin, os.Stdout, os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { binary.Close() })
	cmd := exec.Command(path, append([]string{order{Profile: small(), given: 3}.String()}, args...)...)
	cmd.Env = []string{}
	return cmd
}

// start starts the program with pipes on 0 and 1.
func start(tb testing.TB, profile Profile, args ...string) (p *Process, in, out *os.File) {
	tb.Helper()
	return piped(tb, Command{Args: args, Profile: profile, Files: []*os.File{os.Stderr}})
}

// piped starts a command with pipes for its input and its output, before the files
// it has.
func piped(tb testing.TB, c Command) (p *Process, in, out *os.File) {
	tb.Helper()
	r, in, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	c.Path, c.Files = program(tb), append([]*os.File{r, w}, c.Files...)
	p, err = c.Start(context.Background())
	r.Close()
	w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		out.Close()
		p.Kill()
		p.Wait()
	})
	return p, in, out
}

func memfd(tb testing.TB) *os.File {
	tb.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	tb.Cleanup(func() { f.Close() })
	return f
}

// BenchmarkStartNeedsNamespaces is the whole life of a confined process that
// does nothing: start, confine, exit, reap.
func BenchmarkStartNeedsNamespaces(b *testing.B) {
	path := program(b)
	var cpu time.Duration
	for b.Loop() {
		p, err := (&Command{Path: path, Args: []string{"exit", "0"}, Profile: Worker()}).Start(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		st, err := p.Wait()
		if err != nil || st.Err() != nil {
			b.Fatal(err, st.Err())
		}
		cpu += st.User + st.System
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "child-cpu-us/op")
}

// BenchmarkPlainStart is the same program without confinement, which refuses
// at once: what a process costs by itself.
func BenchmarkPlainStart(b *testing.B) {
	path := program(b)
	for b.Loop() {
		p, err := os.StartProcess(path, []string{path, orderFlag}, &os.ProcAttr{Env: []string{}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}
