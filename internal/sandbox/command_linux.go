package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is the user and group a child has inside its namespaces, and, where
// the parent is root, on the host as well.
const nobody = 65534

const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID |
	unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// A Process is a running confined process. Its methods may be called from
// any goroutine.
type Process struct {
	pid    int
	signal func() // ends it at once; does nothing if it has ended
	killed atomic.Bool
	done   chan struct{}
	state  State
	err    error
}

// Start starts the command. When ctx is done, the process is killed.
//
// Whoever starts must Wait, or at least Kill: the process itself is reaped in
// any case. If the parent dies, in whatever way, the kernel kills the child.
func (c *Command) Start(ctx context.Context) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(c.Path), err)
	}
	p, err := c.startInGroup()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(c.Path), err)
	}
	stop := context.AfterFunc(ctx, p.Kill)
	go func() {
		<-p.done
		stop()
	}()
	return p, nil
}

func (c *Command) startInGroup() (p *Process, err error) {
	run := *c
	if c.Cgroups != nil {
		// The group is an extra: when it cannot be had just now, the limits of
		// the profile hold without it, and the mail is not held for it.
		if group, gerr := c.Cgroups.group(c.Profile); gerr == nil {
			run.group = group
			run.end = func() { drop(group) }
		}
	}
	if c.Starter != nil {
		p, err = c.Starter.start(&run)
	} else {
		p, err = run.start()
	}
	if err != nil && run.end != nil {
		run.end()
	}
	return p, err
}

// check looks at what can be judged without starting anything.
func (c *Command) check() error {
	if err := c.Profile.check(); err != nil {
		return err
	}
	if len(c.Files) > maxGiven {
		return fmt.Errorf("%d files given, at most %d", len(c.Files), maxGiven)
	}
	for _, a := range c.Args {
		if strings.IndexByte(a, 0) >= 0 {
			return errors.New("argument with a NUL")
		}
	}
	for i, f := range c.Files {
		if f == nil {
			continue
		}
		// A directory in the hands of the child would be a hole in its
		// empty root.
		st, err := f.Stat()
		if err != nil {
			return fmt.Errorf("descriptor %d: %w", i, err)
		}
		if st.IsDir() {
			return fmt.Errorf("descriptor %d is a directory", i)
		}
	}
	return nil
}

// start forks from this process.
func (c *Command) start() (*Process, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	o := order{Profile: c.Profile, given: max(3, len(c.Files)), probe: c.probe, inCell: c.inCell, processors: processors()}
	return c.launch(o.String(), c.Args, c.Profile.CPU)
}

// niceness puts workers and tools behind the daemon that started them.
const niceness = 5

// timerSlack is how late a short sleep of workers and tools may end. The Go runtime
// has a thread that sleeps for 20 µs at a time while anything goes on, which was an
// eighth of the time of the lane's workers.
const timerSlack = time.Millisecond

// patient has what the calling thread forks take no processor from whoever is at
// work on it just then: sched(7), SCHED_BATCH. Workers have tenths of
// milliseconds to do at a time, the daemon and a peer's next command hundredths.
// It returns what undoes it for the thread.
func patient() (undo func()) {
	was, err := unix.SchedGetAttr(0, 0)
	if err != nil || was.Policy != unix.SCHED_NORMAL {
		return func() {}
	}
	to := func(policy uint32) { _ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: policy, Nice: was.Nice}, 0) }
	to(unix.SCHED_BATCH)
	return func() { to(unix.SCHED_NORMAL) }
}

// launch forks the binary in namespaces of its own. The first argument tells
// Enter what to do there.
func (c *Command) launch(first string, args []string, cpu time.Duration) (*Process, error) {
	null := os.Stdin // of a cell, which has no file system
	if !c.inCell {
		var err error
		if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
			return nil, err
		}
		defer null.Close()
	}
	files := make([]*os.File, max(3, len(c.Files)), maxGiven+4)
	for i := range files {
		files[i] = null
		if i < len(c.Files) && c.Files[i] != nil {
			files[i] = c.Files[i]
		}
	}
	// The lifeline closes the one moment the death signal does not cover:
	// the parent dying before the child has asked for it. The child looks
	// at it once, after it has the signal.
	lifeline, held, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifeline.Close()
	files = append(files, lifeline)

	dir, path := cellDir, cellExe
	if !c.inCell {
		from := c.Path
		if c.self {
			if _, err := os.Stat(ownBinary); err == nil { // there is a /proc
				from = ownBinary
			}
		}
		binary, name, err := openBinary(from, files)
		if err != nil {
			held.Close()
			return nil, err
		}
		defer binary.Close()
		dir, path = "/", name
	}

	attr := &os.ProcAttr{
		Dir:   dir,
		Env:   []string{}, // empty, not nil: nil would be ours
		Files: files,
		Sys: &syscall.SysProcAttr{
			Cloneflags: namespaces | unix.CLONE_NEWCGROUP,
			Setpgid:    true, // what is typed at the daemon's terminal is for the daemon
			Pdeathsig:  syscall.SIGKILL,
			// The mount and pivot_root of the child need this one, within
			// its own user namespace; an exec as an ordinary user keeps only
			// ambient ones. Enter gives it up.
			AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
		},
	}
	// A session is scheduled as one (sched(7), autogroup), of the same weight as the
	// daemon's whatever the niceness of its processes, so workers have none of
	// their own: there is no terminal they could reach. A program from elsewhere
	// gets one, and says how nice it is itself (runTool).
	if strings.HasPrefix(first, toolFlag) {
		attr.Sys.Setsid, attr.Sys.Setpgid = true, false
	}
	switch {
	case c.inCell:
		// It is nobody already, and needs nothing for its root.
		attr.Sys.Cloneflags &^= unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS
		attr.Sys.AmbientCaps = nil
	case c.sharesNetwork:
		attr.Sys.Cloneflags &^= unix.CLONE_NEWNET
		fallthrough
	default:
		mapIDs(attr.Sys)
	}
	if c.group != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(c.group.Fd())
	}
	argv := append([]string{c.Path, first}, args...)

	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the thread that forked ends, not
		// when the process does. This goroutine keeps its thread until the
		// child is gone; it has to block in wait anyway.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		begin := time.Now()
		// The child has all three from the thread that forks. No part of the
		// bargain, either.
		undo := patient()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack.Nanoseconds()), 0, 0, 0)
		free := func() {}
		if strings.HasPrefix(first, orderFlag) {
			free = onOne()
		}
		process, err := os.StartProcess(path, argv, attr)
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) {
			// A cgroup namespace is an extra: a unit's RestrictNamespaces
			// or an old kernel may refuse just this one.
			attr.Sys.Cloneflags &^= unix.CLONE_NEWCGROUP
			process, err = os.StartProcess(path, argv, attr)
		}
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // back to what it was
		free()
		undo()
		if err != nil {
			held.Close()
			started <- explain(err)
			return
		}
		p.pid = process.Pid
		// What treats a file is at work for long; whoever answers a peer or
		// writes down what was delivered is not, and must not wait for it. It is
		// no part of the bargain, so an error does not matter.
		_ = unix.Setpriority(unix.PRIO_PROCESS, process.Pid, niceness)
		// An error means that it has ended in the meantime. os.Process holds
		// a pidfd, so the signal never reaches a stranger with the number.
		p.signal = func() { _ = process.Kill() }
		started <- nil
		ps, err := process.Wait()
		held.Close()
		if c.end != nil {
			c.end()
		}
		p.finish(ps, err, time.Since(begin), cpu)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Process) finish(ps *os.ProcessState, err error, wall, cpu time.Duration) {
	defer close(p.done)
	p.state = State{Exit: -1, Signal: "unknown", Killed: p.killed.Load(), Wall: wall, cpu: cpu}
	if err != nil {
		p.err = fmt.Errorf("wait: %w", err)
		return
	}
	p.state.User, p.state.System = ps.UserTime(), ps.SystemTime()
	if ru, ok := ps.SysUsage().(*syscall.Rusage); ok {
		p.state.MaxRSS = ru.Maxrss << 10
	}
	switch ws, ok := ps.Sys().(syscall.WaitStatus); {
	case ok && ws.Exited():
		p.state.Exit, p.state.Signal = ws.ExitStatus(), ""
	case ok && ws.Signaled():
		p.state.Signal = unix.SignalName(ws.Signal())
	}
}

// Pid is the process id as the parent sees it, for the log.
func (p *Process) Pid() int { return p.pid }

// Kill ends the process and everything in its pid namespace at once. It does
// not wait, and does nothing to a process that has ended.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	p.killed.Store(true)
	p.signal()
}

// Done is closed when the process has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end. The error says that waiting itself failed; how the
// process ended is State.Err.
func (p *Process) Wait() (State, error) {
	<-p.done
	return p.state, p.err
}

// ownBinary is what this process is. The file of that name may have been replaced.
const ownBinary = "/proc/self/exe"

// openBinary opens the binary and returns the path to execute it by. The
// child is another user and may not be able to walk to the binary, so it goes
// by the descriptor; this also means that what was looked at is what runs.
//
// The descriptor must survive until exec. On the way there the child moves
// the files it is given to numbers above the highest of them (syscall,
// forkAndExecInChild1), so the binary lies higher still.
func openBinary(name string, files []*os.File) (*os.File, string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if !st.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s is not a regular file", name)
	}
	if os.Geteuid() == 0 && st.Mode().Perm()&0o001 == 0 {
		return nil, "", fmt.Errorf("%s must be executable by everybody, because the child is not root (chmod 755)", name)
	}
	above := 0
	for _, g := range files {
		above = max(above, int(g.Fd()))
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, above+len(files)+8)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	high := os.NewFile(uintptr(fd), name)
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	if _, err := os.Stat(path); err != nil {
		// No /proc here; then the plain path has to do.
		if path, err = filepath.Abs(name); err != nil {
			high.Close()
			return nil, "", err
		}
	}
	return high, path, nil
}

// mapIDs makes the child nobody inside, and outside whoever has least: root
// can give it the host's nobody, others can give it only themselves.
func mapIDs(sys *syscall.SysProcAttr) {
	if os.Geteuid() != 0 {
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
		sys.GidMappingsEnableSetgroups = false
		return
	}
	sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}}
	sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}}
	// Allowed for the one call that drops root's supplementary groups; the
	// child has no capability to call it again.
	sys.GidMappingsEnableSetgroups = true
	sys.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
}

// explain adds to a failed start what an administrator can do about it.
func explain(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = errno // the path is a descriptor and says nothing
	}
	switch errno {
	case syscall.EPERM, syscall.ENOSPC, syscall.EINVAL, syscall.EUSERS:
		why := hint(os.ReadFile)
		if why == "" && errno == syscall.EPERM {
			// A root that is itself a mount looks from within like any other
			// (clone(2): EPERM for a caller in a chroot environment).
			why = "; no setting is known to forbid them, so this process may run under chroot, where the kernel does: use pivot_root or a container instead"
		}
		return fmt.Errorf("user namespaces are not allowed here: %w%s", err, why)
	case syscall.EACCES:
		return fmt.Errorf("the binary cannot be executed by the unprivileged child (permissions, noexec mount, or a security module): %w%s", err, hint(os.ReadFile))
	default:
		return err
	}
}

// hint looks for the settings known to forbid user namespaces.
func hint(read func(string) ([]byte, error)) string {
	is := func(name, value string) bool {
		b, err := read(name)
		return err == nil && strings.TrimSpace(string(b)) == value
	}
	var found []string
	if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
		found = append(found, "AppArmor restricts them (Ubuntu 23.10 and newer): install an AppArmor profile with \"userns,\" for this binary, or set kernel.apparmor_restrict_unprivileged_userns=0")
	}
	if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
		found = append(found, "set kernel.unprivileged_userns_clone=1")
	}
	if is("/proc/sys/user/max_user_namespaces", "0") {
		found = append(found, "set user.max_user_namespaces to a number above 0")
	}
	if b, err := read("/proc/self/uid_map"); err == nil && os.Geteuid() == 0 && !maps(string(b), nobody) {
		found = append(found, "this root can make nobody else of the child (its user namespace has no id 65534): run as an ordinary user")
	}
	if b, err := read("/proc/self/mountinfo"); err == nil && chrooted(string(b)) {
		found = append(found, "this process runs under chroot, where the kernel forbids them: use pivot_root or a container instead")
	}
	if b, err := read("/proc/self/status"); err == nil && strings.Contains(string(b), "\nSeccomp:\t2") {
		found = append(found, "a seccomp filter is active (a container's default profile or the unit's RestrictNamespaces or SystemCallFilter): allow clone with namespaces, mount, pivot_root, umount2, seccomp and landlock_*")
	}
	if len(found) == 0 {
		return ""
	}
	return "; " + strings.Join(found, "; ")
}

// maps reports whether a uid_map has an id on its inside.
func maps(uidMap string, id int) bool {
	for line := range strings.Lines(uidMap) {
		var inside, outside, length int
		if n, _ := fmt.Sscan(line, &inside, &outside, &length); n == 3 && id >= inside && id-inside < length {
			return true
		}
	}
	return false
}

// chrooted reports whether a mountinfo shows no mount at the process's root,
// which is what the kernel means by being under chroot.
func chrooted(mountinfo string) bool {
	for line := range strings.Lines(mountinfo) {
		// proc(5): the fifth field is the mount point, relative to the
		// process's root.
		if f := strings.Fields(line); len(f) > 4 && f[4] == "/" {
			return false
		}
	}
	return true
}
