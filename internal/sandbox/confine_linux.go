package sandbox

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Enter confines the calling process as its launcher ordered and returns the
// arguments meant for the program. It must be the first statement of main:
// nothing may have been read, no goroutine started and no file opened.
//
// On an error nothing is confined that can be relied on, and the program must
// exit with ExitUnconfined. If the process is a self-test, a Starter or the
// first process of a Tool, Enter does that work and does not return.
func Enter(argv []string) (args []string, r Report, err error) {
	if len(argv) > 0 {
		setName(filepath.Base(argv[0]))
	}
	if len(argv) > 1 && argv[1] == starterFlag {
		where := ""
		if len(argv) == 3 {
			where = argv[2]
		}
		serve(where)
	}
	if len(argv) < 2 {
		return nil, Report{}, errors.New("not started by its launcher: this program is never run by hand")
	}
	if strings.HasPrefix(argv[1], toolFlag) {
		runTool(argv[1])
	}
	o, err := parseOrder(argv[1])
	if err != nil {
		return nil, Report{}, err
	}
	args = argv[2:]
	if o.probe != "" {
		runProbe(o, args)
	}
	r, err = confine(o, nil)
	return args, r, err
}

// setName sets what ps and top call the process, which would be the number of the
// descriptor it was executed by. It takes 15 octets; an error is of no interest.
func setName(name string) {
	var b [16]byte
	copy(b[:15], name)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}

// confine does the work of Enter. A self-test passes before, which is called
// when all but the system call filter is in place.
func confine(o order, before func(Report)) (Report, error) {
	var r Report
	if err := launched(o.inCell); err != nil {
		return r, err
	}
	onAll(o.processors)
	var err error
	if r.Leaked, err = closeLeaked(o.given, o.OpenFiles); err != nil {
		return r, err
	}
	if err := orphaned(o.given); err != nil {
		return r, err
	}
	if err := limit(o.Profile, &r); err != nil {
		return r, err
	}
	switch {
	case o.inCell:
		if err := intoRoot(); err != nil {
			return r, err
		}
		r.EmptyRoot = true
	case o.withoutRoot:
		r.RootError = "left out"
	default:
		if err := emptyRoot(); err != nil {
			r.RootError = err.Error()
		} else {
			r.EmptyRoot = true
		}
	}
	if err := landlock(o.Landlock, o.inCell, &r); err != nil {
		return r, err
	}
	if err := r.required(); err != nil {
		return r, err
	}
	if !o.inCell { // there is none, see launched
		if err := dropCapabilities(); err != nil {
			return r, err
		}
	}
	// No core, no ptrace by others of the same uid.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return r, fmt.Errorf("forbid dumps: %w", err)
	}
	if before != nil {
		before(r)
	}
	if err := filtered(); err != nil {
		return r, err
	}
	return r, nil
}

// filtered sets "no new privileges" and installs the filter. The kernel lets
// only a thread that has the one install the other, and then brings both to all
// threads. A goroutine hardly ever changes its thread between two calls, and to
// hold it to one costs a thread more; so that is done only when the kernel says
// that it did.
func filtered() error {
	try := func() error {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no new privileges: %w", err)
		}
		return installFilter()
	}
	err := try()
	if errors.Is(err, unix.EACCES) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err = try()
	}
	return err
}

// launched checks that the process is where Start puts it. The kernel gives
// all namespaces of a clone or none, so signs of some of them are enough; it
// is also what keeps a root who runs the program by hand from losing the root
// file system of the host. In a cell there is no capability that it could lose
// one by.
func launched(inCell bool) error {
	if pid := os.Getpid(); pid != 1 {
		return fmt.Errorf("not in a pid namespace of its own (pid %d)", pid)
	}
	if u, g := os.Geteuid(), os.Getegid(); u != nobody || g != nobody {
		return fmt.Errorf("not in a user namespace of its own (uid %d, gid %d)", u, g)
	}
	caps, err := capabilities()
	if err != nil {
		return err
	}
	want := uint64(1 << unix.CAP_SYS_ADMIN)
	if inCell {
		// The program began with none, so no thread of it has any.
		want = 0
	}
	if caps != want {
		return fmt.Errorf("not in a user namespace of its own (capabilities %#x)", caps)
	}
	up, err := loopbackUp()
	if err != nil {
		return err
	}
	if up {
		return errors.New("not in an empty network namespace (the loopback interface is up)")
	}
	return nil
}

// loopbackUp reports whether "lo" is up; in a new network namespace it is
// down, and there is nobody who could set it up.
func loopbackUp() (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return false, nil // no internet protocol at all
	}
	if err != nil {
		return false, fmt.Errorf("look at the network namespace: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return false, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return false, fmt.Errorf("look at the network namespace: %w", err)
	}
	return ifr.Uint16()&unix.IFF_UP != 0, nil
}

// closeLeaked checks that the descriptors given are there and closes those
// that came through exec without being given. The Go runtime's own are marked
// close-on-exec, so one without the mark came in from outside.
func closeLeaked(given, limit int) (int, error) {
	for fd := range given + 1 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return 0, fmt.Errorf("descriptor %d is missing: %w", fd, err)
		}
	}
	leaked := 0
	there := opened(limit)
	for fd := given + 1; fd < limit; fd++ {
		if !there(fd) {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		leaked++
		if err := unix.Close(fd); err != nil {
			return leaked, fmt.Errorf("close leaked descriptor %d: %w", fd, err)
		}
	}
	// Beyond the limit there is nothing of the runtime: it opens the lowest
	// free number. Before Linux 5.9 the call is unknown.
	err := unix.CloseRange(uint(limit), math.MaxUint32, 0)
	if errors.Is(err, unix.ENOSYS) {
		return leaked, closeFrom(limit)
	}
	if err != nil {
		return leaked, fmt.Errorf("close leaked descriptors: %w", err)
	}
	return leaked, nil
}

// opened tells the descriptors below limit that may be open from those that are
// not, by one system call and not one for each: poll(2) marks a number that
// stands for nothing. Where it does not answer, all may be open.
func opened(limit int) func(fd int) bool {
	fds := make([]unix.PollFd, limit)
	for i := range fds {
		fds[i].Fd = int32(i)
	}
	if _, err := unix.Poll(fds, 0); err != nil {
		return func(int) bool { return true }
	}
	return func(fd int) bool { return fds[fd].Revents&unix.POLLNVAL == 0 }
}

// closeFrom closes every descriptor from low on, one by one.
func closeFrom(low int) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	// Linux: fs.nr_open is 1,048,576 unless somebody raised it.
	for fd := low; fd < int(min(lim.Max, 1<<20)); fd++ {
		_ = unix.Close(fd) // EBADF for most
	}
	return nil
}

// orphaned makes sure that the parent's death is this process's. The launcher
// asked for the signal before exec, but the parent may have died before that.
// So it is asked for again, in case this is another thread (the request
// belongs to one, and any of them will do), and then the lifeline is looked
// at: if the parent died earlier, its end of the pipe is closed.
func orphaned(lifeline int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask for the death signal: %w", err)
	}
	fds := []unix.PollFd{{Fd: int32(lifeline), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the lifeline: %w", err)
		}
		break
	}
	if fds[0].Revents != 0 {
		return errors.New("the parent is gone")
	}
	return unix.Close(lifeline)
}

// limit sets the limits of the process. They hold for all its threads.
func limit(p Profile, r *Report) error {
	// RLIMIT_DATA does not count mappings that can only be read, but their
	// page tables need memory, too. The Go runtime reserves addresses
	// generously; 4 GiB above the data carries it and bounds the tables to
	// some 10 MiB.
	r.AddressSpace = p.Memory + 4<<30
	limits := []struct {
		name  string
		which int
		value int64
	}{
		{"memory", unix.RLIMIT_DATA, p.Memory},
		{"address space", unix.RLIMIT_AS, r.AddressSpace},
		// Soft and hard alike: a SIGXCPU first would only start a panic.
		{"CPU time", unix.RLIMIT_CPU, int64(p.CPU.Seconds())},
		{"file size", unix.RLIMIT_FSIZE, p.FileSize},
		{"open files", unix.RLIMIT_NOFILE, int64(p.OpenFiles)},
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"locked memory", unix.RLIMIT_MEMLOCK, 0},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
	}
	// Since 5.14 processes are counted per user namespace, which is ours
	// alone. Before, all workers of the host and the daemon itself would
	// share the number; there memory and time have to bound the threads.
	if kernelAtLeast(5, 14) {
		limits = append(limits, struct {
			name  string
			which int
			value int64
		}{"threads", unix.RLIMIT_NPROC, int64(p.Threads)})
		r.ThreadLimit = true
	}
	for _, l := range limits {
		v := uint64(l.value)
		var have unix.Rlimit
		if err := unix.Getrlimit(l.which, &have); err != nil {
			return fmt.Errorf("read the limit of %s: %w", l.name, err)
		}
		v = min(v, have.Max) // a stricter parent is no fault
		if err := unix.Setrlimit(l.which, &unix.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit %s to %d: %w", l.name, v, err)
		}
	}
	debug.SetMemoryLimit(p.GoMemory)
	return nil
}

// kernelAtLeast compares the running kernel's version; one that cannot be
// read is old.
func kernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false
	}
	return versionAtLeast(unix.ByteSliceToString(u.Release[:]), major, minor)
}

func versionAtLeast(release string, major, minor int) bool {
	first, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	a, err1 := strconv.Atoi(first)
	b, err2 := strconv.Atoi(rest)
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// emptyRoot puts the process into a file system with nothing in it and lets
// go of the old one. All threads share root and working directory.
func emptyRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	// One inode is the root itself: no file can be made even if the mount were
	// writable.
	at, err := mountAnywhere("size=4k,nr_inodes=1,mode=0555", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
	if err != nil {
		return err
	}
	if err := pivot(at); err != nil {
		return err
	}
	return checkEmpty()
}

// intoRoot is emptyRoot for a process whose root is empty already: only its
// working directory is not in it. All threads share both. It may not list the
// root; but a file system in memory with room for one inode, which is taken, has
// nothing but its root.
func intoRoot() error {
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(".", &fs); err != nil {
		return fmt.Errorf("look at the root: %w", err)
	}
	if fs.Type != unix.TMPFS_MAGIC || fs.Files != 1 || fs.Ffree != 0 {
		return fmt.Errorf("the root is not the empty one of a cell: type %#x, %d inodes, %d of them free", fs.Type, fs.Files, fs.Ffree)
	}
	return nil
}

// mountAnywhere mounts a file system in memory. Any directory will do as a
// place to stand on; which ones a container or a unit leaves visible differs.
func mountAnywhere(options string, flags uintptr) (at string, err error) {
	for _, at = range []string{"/proc", "/tmp", "/dev", "/etc", "/usr"} {
		if err = unix.Mount("empty", at, "tmpfs", flags, options); err == nil {
			return at, nil
		}
	}
	return "", fmt.Errorf("mount an empty root: %w", err)
}

// pivot moves into the file system mounted at a directory and lets go of the
// old one.
func pivot(at string) error {
	if err := unix.Chdir(at); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	// pivot_root(2), NOTES: with both names the same the old root lies on
	// top of the new one and is taken off by the next call.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot into the new root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	return nil
}

// checkEmpty believes no return code: the root must list nothing.
func checkEmpty() error {
	names, err := listRoot()
	if err != nil {
		return fmt.Errorf("list the empty root: %w", err)
	}
	if len(names) > 0 {
		return fmt.Errorf("the empty root is not empty: it has %q", names[0])
	}
	return nil
}

func listRoot() ([]string, error) {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Getdents(fd, buf)
	if err != nil {
		return nil, err
	}
	_, _, names := unix.ParseDirent(buf[:n], -1, nil)
	return names, nil
}

// allThreads makes a system call on every thread. Capabilities and Landlock
// domains belong to a thread, and the Go runtime has several before main
// begins.
func allThreads(what string, trap, a1, a2, a3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, a3)
	if errno == syscall.ENOTSUP {
		return fmt.Errorf("%s: the program was built with cgo; build it with CGO_ENABLED=0", what)
	}
	if errno != 0 {
		return fmt.Errorf("%s: %w", what, errno)
	}
	return nil
}

// capabilities are the permitted ones of the calling thread.
func capabilities() (uint64, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// dropCapabilities gives up what was needed to build the root, and what lets
// Landlock be installed before "no new privileges" is set.
func dropCapabilities() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := allThreads("drop capabilities", unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0); err != nil {
		return err
	}
	left, err := capabilities()
	if err != nil {
		return err
	}
	if left != 0 {
		return fmt.Errorf("capabilities %#x remain", left)
	}
	return nil
}
