// Package sandbox starts one of our own programs so that it can read hostile
// bytes and harm nobody, and holds both sides of that bargain.
//
// The parent (the daemon, or the command line tool) fills in a Command: the
// binary, the open files the child gets as descriptors 0, 1, 2, ..., and a
// Profile of limits. Start gives the child an empty environment and user, pid,
// mount, ipc and uts namespaces of its own and an empty network (which the
// children of a Starter may share), and it is killed with its parent, whatever
// way the parent ends.
//
// The child calls Enter as the first statement of main. Enter takes the limits
// from the command line the parent wrote, closes what leaked in, sets the
// limits, moves into an empty read-only root, denies every file and network
// right by Landlock, gives up all capabilities and installs a list of the
// system calls that remain. Only then does it return, and only then may the
// first byte of input be read.
//
// What comes in: open files and numbers. What goes out: an exit state. What
// this package refuses to do: go on. If any required part cannot be had (the
// namespaces, the limits, the system call filter, and Landlock or the empty
// root) Enter returns an error, and there is no flag that changes this.
//
// SelfTest starts the real binary several times, each time with an attempt to
// break out, and reports which attempts failed as they must.
//
// The program must be built without cgo: the credentials of a thread can only
// be changed on all threads at once (syscall.AllThreadsSyscall) in such a one.
package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The limits of a run, limits.md "Worker and tools". They are functions so
// that nobody can change them for somebody else.

// Worker is the profile of a sanitizing or verifying run of one message.
func Worker() Profile {
	return Profile{
		Memory:    1 << 30,          // above the largest picture a message may hold
		GoMemory:  768 << 20,        // collect harder before the kernel says no
		CPU:       30 * time.Second, // rendering 500 pages takes some 26 s
		FileSize:  256 << 20,        // what a run may write to one file
		OpenFiles: 256,
		Threads:   64, // of which the Go runtime uses about ten
	}
}

// Lane is the profile of a longer-lived worker that treats plain text only.
// Its CPU time covers all messages it serves: 200 of them.
func Lane() Profile {
	p := Worker()
	p.Memory = 256 << 20
	p.GoMemory = 64 << 20
	return p
}

// A Profile is what a confined process may use up. The zero value is refused,
// as is a profile with any limit missing.
type Profile struct {
	Memory    int64         // bytes of private memory, RLIMIT_DATA
	GoMemory  int64         // soft limit of the Go runtime, at most Memory
	CPU       time.Duration // whole seconds of CPU time, then SIGKILL
	FileSize  int64         // bytes a file may grow to, RLIMIT_FSIZE
	OpenFiles int           // descriptors
	Threads   int           // threads of the process; it can have no children
	Landlock  LandlockCap   // zero: the highest version the kernel has

	// withoutRoot leaves out the empty root, as where mount(2) is refused.
	// Enter then insists on Landlock.
	withoutRoot bool
}

// A LandlockCap pretends that the kernel has an older Landlock than it has.
// Debian 12's kernel has version 2 and others none, and a build must run on
// them too; the zero value caps nothing.
type LandlockCap int

// NoLandlock treats the kernel as one without Landlock.
const NoLandlock LandlockCap = -1

// ExitUnconfined is the status a program must exit with when Enter fails, so
// that the parent can tell "could not be confined" from a crash.
const ExitUnconfined = 125

// Errors of a confined run, see State.Err.
var (
	// ErrUnconfined: the child could not confine itself and read nothing.
	ErrUnconfined = errors.New("the process could not be confined")
	// ErrForbidden: the child made a system call that only an attacker makes.
	ErrForbidden = errors.New("killed for a forbidden system call")
	// ErrCPU: the CPU time of the profile is used up.
	ErrCPU = errors.New("CPU time used up")
	// ErrKilled: killed from outside, by Kill, the context, or the kernel when memory ran out.
	ErrKilled = errors.New("killed")
	// ErrUnsupported: this system has no confinement we know how to build.
	ErrUnsupported = errors.New("no confinement on this system")
	// ErrNoCgroups: this process has no control group of its own to divide.
	// It is no reason not to run.
	ErrNoCgroups = errors.New("no delegated cgroup v2")
)

// A Report says what the confinement of a process consists of. All that is
// required is there when Enter returned without an error.
type Report struct {
	KernelLandlock int    // version the kernel has, 0 if none
	Landlock       int    // version installed, 0 if none
	EmptyRoot      bool   // the process sees an empty read-only file system
	RootError      string // why not
	SignalScope    bool   // Landlock forbids signals out of the process, too
	ThreadLimit    bool   // the number of threads is limited (Linux 5.14 and newer)
	Leaked         int    // descriptors that came in without being given, now closed
	AddressSpace   int64  // RLIMIT_AS, which bounds what RLIMIT_DATA does not count
}

// required is the rule of what must be had: Landlock or the empty root.
// The rest has no choice in it and fails where it is installed.
func (r Report) required() error {
	if r.Landlock >= 1 || r.EmptyRoot {
		return nil
	}
	return fmt.Errorf("neither Landlock (the kernel has version %d) nor an empty root (%s) can be had", r.KernelLandlock, r.RootError)
}

// String is one line for an administrator.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "landlock %d of %d", r.Landlock, r.KernelLandlock)
	if r.EmptyRoot {
		b.WriteString(", empty root")
	} else {
		fmt.Fprintf(&b, ", no empty root (%s)", r.RootError)
	}
	if r.SignalScope {
		b.WriteString(", signals scoped")
	}
	if r.ThreadLimit {
		b.WriteString(", threads limited")
	}
	if r.Leaked > 0 {
		fmt.Fprintf(&b, ", %d leaked descriptors closed", r.Leaked)
	}
	return b.String()
}

// A State is how a confined process ended.
type State struct {
	Exit   int    // exit status, -1 if a signal ended it
	Signal string // name of the signal, "" if it exited
	Killed bool   // the parent killed it, by Kill or by the context

	User, System time.Duration
	Wall         time.Duration

	// MaxRSS is the peak of resident memory in bytes. The kernel counts the
	// moment between fork and exec as well, so it is never below the
	// parent's own size at that time.
	MaxRSS int64

	cpu time.Duration // the limit it ran under
}

// Err is nil only for a process that exited with status 0.
func (s State) Err() error {
	switch {
	case s.Signal == "" && s.Exit == 0:
		return nil
	case s.Signal == "" && s.Exit == ExitUnconfined:
		return ErrUnconfined
	case s.Signal == "":
		return fmt.Errorf("exit status %d", s.Exit)
	case s.Signal == sigsys:
		return ErrForbidden
	// The kernel checks the limit by counting ticks, and reports the exact
	// time; under load the two were seen to differ by an eighth.
	case s.Signal == sigkill && !s.Killed && s.User+s.System >= s.cpu*3/4:
		return ErrCPU
	case s.Signal == sigkill:
		return ErrKilled
	default:
		return fmt.Errorf("ended by %s", s.Signal)
	}
}

const (
	sigsys  = "SIGSYS"
	sigkill = "SIGKILL"
)

// Bounds of a profile: below, the Go runtime does not run; above, a limit is
// a typing error.
const (
	minMemory  = 96 << 20 // one heap arena of the runtime is 64 MiB
	maxMemory  = 64 << 30
	maxCPU     = time.Hour
	minThreads = 16
	maxThreads = 1024
	minFiles   = 16
	maxFiles   = 1024
	maxGiven   = 12 // descriptors a child may be given, so that minFiles holds them
)

func (p Profile) check() error {
	switch {
	case p.Memory < minMemory || p.Memory > maxMemory:
		return fmt.Errorf("memory limit %d is not between %d and %d", p.Memory, int64(minMemory), int64(maxMemory))
	case p.GoMemory <= 0 || p.GoMemory > p.Memory:
		return fmt.Errorf("memory limit of the runtime %d is not between 1 and %d", p.GoMemory, p.Memory)
	case p.CPU < time.Second || p.CPU > maxCPU || p.CPU%time.Second != 0:
		return fmt.Errorf("CPU limit %s is not a number of whole seconds up to %s", p.CPU, maxCPU)
	case p.FileSize <= 0 || p.FileSize > maxMemory:
		return fmt.Errorf("file size limit %d is not between 1 and %d", p.FileSize, int64(maxMemory))
	case p.OpenFiles < minFiles || p.OpenFiles > maxFiles:
		return fmt.Errorf("limit of %d open files is not between %d and %d", p.OpenFiles, minFiles, maxFiles)
	case p.Threads < minThreads || p.Threads > maxThreads:
		return fmt.Errorf("limit of %d threads is not between %d and %d", p.Threads, minThreads, maxThreads)
	case p.Landlock < NoLandlock:
		return fmt.Errorf("landlock cap %d", p.Landlock)
	}
	return nil
}

// An order is what the parent tells the child about its confinement. It
// travels as the first argument: it is written before the child exists, so
// nothing can race with it, and nobody but the parent can write it.
type order struct {
	Profile
	given int    // descriptors 0 to given-1 were meant for the child; the next one is the lifeline
	probe string // name of the attempt to break out that a self-test asks for

	// processors are those that it may use when it has begun, on one of them:
	// ranges with a plus sign between them; none leaves it there.
	processors string

	inCell bool // it begins without capabilities in an empty root, see cell
}

const orderFlag = "--confine="

func (o order) String() string {
	root := "empty"
	switch {
	case o.withoutRoot:
		root = "keep"
	case o.inCell:
		root = "cell"
	}
	return fmt.Sprintf("%smemory=%d,gomemory=%d,cpu=%d,filesize=%d,files=%d,threads=%d,landlock=%d,root=%s,given=%d,processors=%s,probe=%s",
		orderFlag, o.Memory, o.GoMemory, o.CPU/time.Second, o.FileSize, o.OpenFiles, o.Threads, o.Landlock, root, o.given, o.processors, o.probe)
}

// parseOrder reads what order.String wrote, and nothing else: the form is
// fixed, so an order that differs in any way was not written by Start.
func parseOrder(arg string) (order, error) {
	rest, ok := strings.CutPrefix(arg, orderFlag)
	if !ok {
		return order{}, errors.New("not started by its launcher: this program is never run by hand")
	}
	var o order
	var err error
	number := func(s string) int64 {
		n, e := strconv.ParseInt(s, 10, 64)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	keys := []string{"memory", "gomemory", "cpu", "filesize", "files", "threads", "landlock", "root", "given", "processors", "probe"}
	fields := strings.Split(rest, ",")
	if len(fields) != len(keys) {
		return order{}, fmt.Errorf("order has %d fields, not %d", len(fields), len(keys))
	}
	value := make([]string, len(keys))
	for i, key := range keys {
		if value[i], ok = strings.CutPrefix(fields[i], key+"="); !ok {
			return order{}, fmt.Errorf("order has %q where %s was expected", fields[i], key)
		}
	}
	o.Memory = number(value[0])
	o.GoMemory = number(value[1])
	cpu := number(value[2])
	o.FileSize = number(value[3])
	o.OpenFiles = int(number(value[4]))
	o.Threads = int(number(value[5]))
	o.Landlock = LandlockCap(number(value[6]))
	o.given = int(number(value[8]))
	o.processors, o.probe = value[9], value[10]
	if err != nil {
		return order{}, fmt.Errorf("order: %w", err)
	}
	if cpu < 0 || cpu > int64(maxCPU/time.Second) {
		return order{}, fmt.Errorf("order has CPU time %d", cpu)
	}
	o.CPU = time.Duration(cpu) * time.Second
	switch value[7] {
	case "empty":
	case "keep":
		o.withoutRoot = true
	case "cell":
		o.inCell = true
	default:
		return order{}, fmt.Errorf("order has root %q", value[7])
	}
	if o.given < 0 || o.given > maxGiven {
		return order{}, fmt.Errorf("order gives %d descriptors", o.given)
	}
	if err := eachProcessor(o.processors, func(int) {}); err != nil {
		return order{}, fmt.Errorf("order: %w", err)
	}
	if err := o.check(); err != nil {
		return order{}, fmt.Errorf("order: %w", err)
	}
	return o, nil
}

// maxProcessors is how many a list may have; of others nobody speaks.
const maxProcessors = 1024

// eachProcessor goes through the list of an order.
func eachProcessor(list string, do func(int)) error {
	if list == "" {
		return nil
	}
	for part := range strings.SplitSeq(list, "+") {
		from, to, _ := strings.Cut(part, "-")
		first, err := strconv.ParseUint(from, 10, 16)
		last, lerr := strconv.ParseUint(to, 10, 16)
		if err != nil || lerr != nil || first > last || last >= maxProcessors {
			return fmt.Errorf("processors %q", list)
		}
		for i := int(first); i <= int(last); i++ {
			do(i)
		}
	}
	return nil
}
