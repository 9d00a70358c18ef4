package sandbox

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"mime"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the confined program and, between the two, the
// parent that gets killed. The environment of a confined program is empty, so
// the command line says which.
const middleFlag = "--middle"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && (strings.HasPrefix(os.Args[1], orderFlag) || strings.HasPrefix(os.Args[1], toolFlag) || os.Args[1] == starterFlag):
		confined()
	case len(os.Args) > 1 && os.Args[1] == middleFlag:
		middle(os.Args[2], len(os.Args) > 3)
	case len(os.Args) > 1 && os.Args[1] == inMemoryFlag:
		nothingInMemory(os.Args[2])
	default:
		code := m.Run()
		if built != "" {
			os.RemoveAll(built)
		}
		// Every confined process must be gone and reaped by now. As number 1
		// of a container, this process also gets the orphans of killed parents.
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD && os.Getpid() != 1 {
			fmt.Fprintf(os.Stderr, "a process is left over (wait: %d, %v)\n", pid, err)
			code = 1
		}
		os.Exit(code)
	}
}

// confined is the main of the program under test: what it does is named by
// its first argument.
func confined() {
	if slices.Contains(os.Args, "before") {
		_, early.read = os.ReadFile("self/status")
		_, early.list = os.ReadDir(".")
		early.write = os.WriteFile("self/comm", []byte("x"), 0)
	}
	args, r, err := Enter(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(ExitUnconfined)
	}
	if len(args) == 0 {
		os.Exit(99)
	}
	act, ok := acts[args[0]]
	if !ok {
		os.Exit(98)
	}
	if err := act(r, args[1:]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

var keep [][]byte

// early is what came of looking at files before Enter.
var early struct{ read, list, write error }

var acts = map[string]func(Report, []string) error{
	"report": func(r Report, args []string) error {
		fmt.Println(encodeReport(r))
		return nil
	},
	"before": func(Report, []string) error {
		fmt.Println(errors.Is(early.read, syscall.EACCES), errors.Is(early.list, syscall.EACCES), errors.Is(early.write, syscall.EACCES))
		return nil
	},
	"environ": func(_ Report, args []string) error {
		fmt.Printf("%q %q\n", os.Environ(), args)
		return nil
	},
	"echo": func(Report, []string) error {
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	},
	// copies between regular files, where the library tries copy_file_range.
	"copy": func(Report, []string) error {
		_, err := io.Copy(os.NewFile(3, "out"), os.Stdin)
		return err
	},
	"open": func(Report, []string) error {
		_, err := os.ReadFile("/etc/passwd")
		if !errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("open: %v, want EPERM of the filter", err)
		}
		_, err = os.Stat("/")
		if !errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("stat: %v, want EPERM of the filter", err)
		}
		return nil
	},
	// waits for its parent to close descriptor 0, on a thread in a system call.
	"wait": func(Report, []string) error {
		fmt.Println("waiting")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	},
	// says how many processors there were at first, and how many there are for one
	// that asks for all, and waits.
	"processors": func(Report, []string) error {
		began := runtime.GOMAXPROCS(0)
		runtime.SetDefaultGOMAXPROCS()
		fmt.Println(began, runtime.GOMAXPROCS(0))
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	},
	"spin": func(Report, []string) error {
		for i := 0; ; i++ {
			if i == 1<<62 {
				return nil
			}
		}
	},
	"allocate": func(_ Report, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		for range n {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			keep = append(keep, b)
		}
		fmt.Println("allocated", len(keep)*16, "MiB")
		return nil
	},
	"threads": func(_ Report, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		// Every goroutine holds a thread of its own.
		ready, end := make(chan int), make(chan bool)
		for i := range n {
			go func() {
				runtime.LockOSThread()
				ready <- i
				<-end
				runtime.UnlockOSThread()
			}()
		}
		for range n {
			<-ready
		}
		close(end)
		fmt.Println("threads", n)
		return nil
	},
	// works hard on all the runtime has: threads, timers, stacks, collections.
	"work": func(Report, []string) error {
		done := make(chan int)
		for i := range 16 {
			go func() {
				sum := 0
				for j := range 300 {
					b := make([]byte, 64<<10)
					b[j] = byte(i)
					sum += int(b[j])
					if j%50 == 0 {
						time.Sleep(time.Millisecond)
						runtime.GC()
					}
				}
				done <- sum + depth(2000)
			}()
		}
		total := 0
		for range 16 {
			total += <-done
		}
		fmt.Println("worked", total)
		return nil
	},
	"write": func(_ Report, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		f := os.NewFile(3, "out")
		b := make([]byte, 1<<20)
		for range n {
			if _, err := f.Write(b); err != nil {
				return err
			}
		}
		fmt.Println("written", n, "MiB")
		return nil
	},
	"truncate": func(_ Report, args []string) error {
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return err
		}
		return os.NewFile(3, "out").Truncate(n)
	},
	"exit": func(_ Report, args []string) error {
		n, err := strconv.Atoi(args[0])
		os.Exit(n)
		return err
	},
	"descriptors": func(_ Report, args []string) error {
		for fd := range 300 {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err == nil && flags&unix.FD_CLOEXEC == 0 {
				fmt.Print(fd, " ")
			}
		}
		fmt.Println()
		return nil
	},
	// "call N": one raw system call, whatever the number.
	"call": func(_ Report, args []string) error {
		var a [7]uintptr
		for i, s := range args {
			n, err := strconv.ParseUint(s, 0, 64)
			if err != nil {
				return err
			}
			a[i] = uintptr(n)
		}
		_, _, errno := syscall.RawSyscall6(a[0], a[1], a[2], a[3], a[4], a[5], a[6])
		fmt.Println("errno", int(errno))
		return nil
	},
	// the same on a thread that was there before Enter: TSYNC must have
	// reached it. Many goroutines with threads of their own hit them all.
	"callthreads": func(_ Report, args []string) error {
		start, results := make(chan bool), make(chan syscall.Errno)
		const n = 24
		for range n {
			go func() {
				runtime.LockOSThread()
				<-start
				_, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, ^uintptr(99), 0, 0, 0, 0, 0)
				results <- errno
			}()
		}
		close(start)
		for range n {
			if errno := <-results; errno != syscall.EPERM {
				return fmt.Errorf("a thread got %v", errno)
			}
		}
		return nil
	},
	// what the library does behind our back: random numbers (the runtime maps
	// memory for them in the middle of a run), time zones, temporary names.
	"library": func(Report, []string) error {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				runtime.LockOSThread()
				b := make([]byte, 1<<10)
				if _, err := rand.Read(b); err != nil {
					panic(err)
				}
			})
		}
		wg.Wait()
		if _, err := time.LoadLocation("Asia/Tokyo"); err == nil {
			return errors.New("a time zone was read from a file")
		}
		if s := time.Now().Local().Format(time.RFC1123Z); s == "" {
			return errors.New("no time")
		}
		if _, err := os.CreateTemp("", "x"); !errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("temporary file: %v", err)
		}
		_ = mime.TypeByExtension(".docx") // reads /etc/mime.types
		_, _ = os.Hostname()
		_, _ = os.Getwd()
		_ = maphash.String(maphash.MakeSeed(), "x")
		debug.FreeOSMemory()
		fmt.Println("library")
		return nil
	},
	"panic": func(Report, []string) error { panic("on purpose") },
}

func depth(n int) int {
	var pad [64]byte
	if n == 0 {
		return int(pad[0])
	}
	return depth(n-1) + int(pad[n%64])
}

// middle is a parent: it starts a confined process that waits, prints its
// pid, and then sits until it is killed.
func middle(path string, byStarter bool) {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	rr, ww, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	c := &Command{Path: path, Args: []string{"wait"}, Files: []*os.File{r, ww}, Profile: small()}
	if byStarter {
		c.Starter = &Starter{Path: path}
	}
	p, err := c.Start(context.Background())
	if err != nil {
		panic(err)
	}
	line, err := bufio.NewReader(rr).ReadString('\n')
	fmt.Println(p.Pid(), strings.TrimSpace(line), err)
	os.Stdin.Read(make([]byte, 1))
	runtime.KeepAlive(w)
}

// small is a profile that the tests can exhaust quickly.
func small() Profile {
	return Profile{Memory: 192 << 20, GoMemory: 128 << 20, CPU: 10 * time.Second, FileSize: 8 << 20, OpenFiles: 64, Threads: 48}
}

// program is a binary to start: the test binary itself, or, if that one was
// built with cgo or the race detector, one built without.
func program(tb testing.TB) string {
	tb.Helper()
	path, err := programPath()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var programPath = sync.OnceValues(func() (string, error) {
	if !raceEnabled && !cgoEnabled() {
		return os.Executable()
	}
	dir, err := os.MkdirTemp("", "sandbox-test-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "confined")
	build := exec.Command("go", "test", "-c", "-o", out, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the confined program without cgo: %v\n%s", err, b)
	}
	built = dir
	return out, nil
})

// built is where programPath put its result, for TestMain to remove.
var built string

// cgoEnabled reports whether this binary was linked with cgo.
func cgoEnabled() bool {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0)
	return errno == syscall.ENOTSUP
}

// run starts the program, gives it input, and returns its output and state.
func run(tb testing.TB, p Profile, args ...string) (string, State) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	out, state, err := collect(ctx, &Command{Path: program(tb), Args: args, Profile: p})
	if err != nil {
		tb.Fatal(err)
	}
	return out, state
}

// gone waits until the process behind a pidfd has ended.
func gone(tb testing.TB, pidfd int) bool {
	tb.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	deadline := time.Now().Add(20 * time.Second)
	for {
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		return n == 1
	}
}
