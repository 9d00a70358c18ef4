package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A probe is one attempt to break out, made in a process of its own that is
// confined like any other. It is made twice: when all but the system call
// filter is in place, where namespaces, empty root, Landlock, limits and the
// lack of capabilities must stop it, and again under the filter.
type probe struct {
	name string // on the command line
	says string // for people
	try  func(t targets) error

	// bare says that the attempt must fail even without the filter. Some
	// attempts succeed there and are stopped by the filter alone.
	bare func(r Report) bool

	// dies says that under the filter the attempt must cost the process its
	// life; otherwise it must return an error.
	dies bool

	// works turns it round: under the filter this must succeed, or every
	// worker would die of its confinement.
	works bool
}

// targets are what the probes aim at. The parent picks things that exist and
// that it can reach itself.
type targets struct {
	file     string // a readable file
	socket   string // path of a listening unix socket
	abstract string // name of a listening abstract unix socket
	port     int    // listening TCP port on 127.0.0.1
	memory   int64  // the limit
}

func always(Report) bool      { return true }
func never(Report) bool       { return false }
func withRoot(r Report) bool  { return r.EmptyRoot }
func withAnyFS(r Report) bool { return r.EmptyRoot || r.Landlock >= 1 }

// probes is the list. doctor prints it in this order.
var probes = []probe{
	{name: "work", says: "compute, draw random numbers and start threads, as a worker must", bare: never, works: true, try: func(targets) error { return work() }},
	{name: "passwd", says: "read /etc/passwd", bare: withAnyFS, try: func(targets) error { return open("/etc/passwd", unix.O_RDONLY) }},
	{name: "file", says: "read the worker's own binary", bare: withAnyFS, try: func(t targets) error { return open(t.file, unix.O_RDONLY) }},
	{name: "list", says: "list the root directory", bare: withAnyFS, try: func(targets) error {
		names, err := listRoot()
		if err == nil && len(names) == 0 {
			return errors.New("it is empty")
		}
		return err
	}},
	{name: "write", says: "create a file", bare: withAnyFS, try: func(targets) error {
		return open("/tmp-probe", unix.O_WRONLY|unix.O_CREAT)
	}},
	{name: "mem", says: "open /proc/self/mem", bare: withAnyFS, try: func(targets) error { return open("/proc/self/mem", unix.O_RDWR) }},
	{name: "tcp", says: "connect by TCP", bare: always, dies: true, try: func(t targets) error {
		return connect(unix.AF_INET, &unix.SockaddrInet4{Port: t.port, Addr: [4]byte{127, 0, 0, 1}})
	}},
	// Landlock alone does not stop this one before its version 9.
	{name: "unix", says: "connect to a unix socket", bare: withRoot, dies: true, try: func(t targets) error {
		return connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: t.socket})
	}},
	{name: "abstract", says: "connect to an abstract unix socket", bare: always, dies: true, try: func(t targets) error {
		return connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: "@" + t.abstract})
	}},
	// kill(2): every process but number 1 and the caller itself, so nobody.
	{name: "signal", says: "signal any other process", bare: always, try: func(targets) error { return unix.Kill(-1, 0) }},
	{name: "exec", says: "execute a program", bare: withAnyFS, dies: true, try: func(t targets) error {
		return unix.Exec(t.file, []string{t.file}, nil)
	}},
	{name: "mount", says: "mount a file system", bare: always, dies: true, try: func(targets) error {
		return unix.Mount("none", "/", "tmpfs", 0, "")
	}},
	{name: "memory", says: "allocate over the limit", bare: always, try: func(t targets) error {
		_, err := unix.Mmap(-1, 0, int(t.memory), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		return err
	}},
	{name: "shared", says: "allocate past the limit as shared memory", bare: never, dies: true, try: func(targets) error {
		_, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
		return err
	}},
	{name: "code", says: "make memory executable", bare: never, dies: true, try: func(targets) error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		return err
	}},
	{name: "fork", says: "start a process", bare: never, dies: true, try: func(targets) error { return fork() }},
	{name: "unshare", says: "make a namespace", bare: always, dies: true, try: func(targets) error { return unix.Unshare(unix.CLONE_NEWNET) }},
	{name: "ptrace", says: "trace a process", bare: never, dies: true, try: func(targets) error {
		_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0, 0, 0, 0)
		return errnoError(errno)
	}},
	{name: "kernel", says: "use io_uring", bare: never, dies: true, try: func(targets) error {
		var params [120]byte // struct io_uring_params
		fd, _, errno := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params[0])), 0)
		if errno == 0 {
			unix.Close(int(fd))
		}
		return errnoError(errno)
	}},
}

func errnoError(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func open(name string, flags int) error {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func connect(family int, to unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, to)
}

// fork makes a process that does nothing but exist.
func fork() error {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return errnoError(errno)
}

// work uses what the runtime and the library need in every worker. A newer
// kernel or toolchain may need a system call that the list does not have;
// then it is better that the self-test says so than every message.
func work() error {
	results := make(chan error)
	const threads = 4
	for range threads {
		go func() {
			runtime.LockOSThread()
			b := make([]byte, 1<<20)
			_, err := rand.Read(b[:64])
			time.Sleep(time.Millisecond)
			results <- err
		}()
	}
	var err error
	for range threads {
		err = errors.Join(err, <-results)
	}
	runtime.GC()
	return err
}

// The lines a probe prints on its standard output. The parent takes nothing
// else for an answer.
const (
	lineReport  = "report"  // followed by the report
	lineBare    = "bare"    // followed by refused or done, before the filter
	lineFilter  = "filter"  // the filter is in place, the attempt follows
	lineOutcome = "outcome" // followed by refused or done, under the filter
)

// runProbe confines the process, makes the attempt the order names, and exits.
func runProbe(o order, args []string) {
	t, err := parseTargets(args)
	if err != nil {
		giveUp(err)
	}
	t.memory = o.Memory
	for _, p := range probes {
		if p.name != o.probe {
			continue
		}
		_, err := confine(o, func(r Report) {
			say(lineReport, encodeReport(r))
			if p.bare(r) {
				say(lineBare, outcome(p.try(t)))
			}
		})
		if err != nil {
			giveUp(err)
		}
		say(lineFilter, "installed")
		say(lineOutcome, outcome(p.try(t)))
		os.Exit(0)
	}
	giveUp(fmt.Errorf("unknown probe %q", o.probe))
}

func giveUp(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(ExitUnconfined)
}

func say(key, value string) {
	if _, err := fmt.Fprintf(os.Stdout, "%s %s\n", key, value); err != nil {
		os.Exit(ExitUnconfined)
	}
}

func outcome(err error) string {
	if err == nil {
		return "done"
	}
	return "refused " + err.Error()
}

func (t targets) args() []string {
	return []string{t.file, t.socket, t.abstract, strconv.Itoa(t.port)}
}

func parseTargets(args []string) (targets, error) {
	if len(args) != 4 {
		return targets{}, fmt.Errorf("a probe has %d arguments, not 4", len(args))
	}
	port, err := strconv.Atoi(args[3])
	if err != nil {
		return targets{}, err
	}
	return targets{file: args[0], socket: args[1], abstract: args[2], port: port}, nil
}

func encodeReport(r Report) string {
	return fmt.Sprintf("%d %d %t %t %t %d %d %q", r.KernelLandlock, r.Landlock, r.EmptyRoot, r.SignalScope, r.ThreadLimit, r.Leaked, r.AddressSpace, r.RootError)
}

func decodeReport(s string) (Report, error) {
	var r Report
	n, err := fmt.Sscanf(s, "%d %d %t %t %t %d %d %q", &r.KernelLandlock, &r.Landlock, &r.EmptyRoot, &r.SignalScope, &r.ThreadLimit, &r.Leaked, &r.AddressSpace, &r.RootError)
	if err != nil || n != 8 {
		return Report{}, fmt.Errorf("report of the child: %q", s)
	}
	return r, nil
}
