//go:build linux && (amd64 || arm64)

package sandbox

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What a system call outside the list gets.
const (
	allow uint32 = 0x7fff0000 // SECCOMP_RET_ALLOW
	kill  uint32 = 0x80000000 // SECCOMP_RET_KILL_PROCESS, which is also the default
)

func fail(errno unix.Errno) uint32 { return 0x00050000 | uint32(errno) } // SECCOMP_RET_ERRNO

// A call is one system call of the list.
type call struct {
	nr        uint32
	when      []argument // all must hold, else it ends as otherwise says
	otherwise uint32
	result    uint32
}

// An argument holds if its upper half is zero and its lower half, with the
// bits of free taken out, equals one of the values.
type argument struct {
	index  uint32
	free   uint32
	values []uint32
}

func allowed(nrs ...uint32) []call {
	return all(allow, nrs...)
}

func all(result uint32, nrs ...uint32) []call {
	calls := make([]call, len(nrs))
	for i, nr := range nrs {
		calls[i] = call{nr: nr, result: result}
	}
	return calls
}

// calls is the whole list: what the Go runtime and reading and writing of the
// descriptors at hand need, and nothing that makes a new one of another kind.
func calls(pid int) []call {
	list := allowed(
		unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_WRITE, unix.SYS_PWRITE64,
		unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_LSEEK, unix.SYS_FTRUNCATE,
		unix.SYS_MUNMAP, unix.SYS_MADVISE,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP,
		unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_RESTART_SYSCALL,
		unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
		unix.SYS_GETRUSAGE, unix.SYS_GETRANDOM,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	)
	list = append(list,
		// Private anonymous or private file memory, never executable. What
		// is shared, or grows as a stack, is not counted by RLIMIT_DATA.
		// Droppable memory is, and the runtime keeps the state of its random
		// numbers there (getrandom in the vDSO, Linux 6.11).
		call{nr: unix.SYS_MMAP, result: allow, otherwise: kill, when: []argument{
			{index: 2, free: unix.PROT_READ | unix.PROT_WRITE, values: []uint32{unix.PROT_NONE}},
			{index: 3, free: unix.MAP_ANONYMOUS | unix.MAP_FIXED | unix.MAP_NORESERVE, values: []uint32{unix.MAP_PRIVATE, mapDroppable}},
		}},
		// A thread, with the very flags of the Go runtime (os_linux.go,
		// cloneFlags): no process, no namespace.
		call{nr: unix.SYS_CLONE, result: allow, otherwise: kill, when: []argument{
			{index: 0, free: unix.CLONE_SETTLS, values: []uint32{unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD}},
		}},
		// Its flags lie in memory, where a filter cannot look.
		call{nr: unix.SYS_CLONE3, result: fail(unix.ENOSYS)},
		// FUTEX_WAIT and FUTEX_WAKE, private; the requeueing and
		// priority-inheriting ones have been a way into the kernel.
		call{nr: unix.SYS_FUTEX, result: allow, otherwise: kill, when: []argument{
			{index: 1, values: []uint32{futexWait | futexPrivate, futexWake | futexPrivate}},
		}},
		call{nr: unix.SYS_TGKILL, result: allow, otherwise: fail(unix.EPERM), when: []argument{
			{index: 0, values: []uint32{uint32(pid)}},
		}},
		// The Go runtime names its memory.
		call{nr: unix.SYS_PRCTL, result: allow, otherwise: fail(unix.EPERM), when: []argument{
			{index: 0, values: []uint32{unix.PR_SET_VMA}},
		}},
		call{nr: unix.SYS_FCNTL, result: allow, otherwise: fail(unix.EPERM), when: []argument{
			{index: 1, values: []uint32{unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC}},
		}},
	)
	// What the Go library tries in good faith is refused in a way that it
	// understands; it then does without, or goes another way.
	list = append(list, all(fail(unix.EPERM),
		unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_NEWFSTATAT, unix.SYS_STATX,
		unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_READLINKAT, unix.SYS_GETCWD, unix.SYS_GETDENTS64,
		unix.SYS_IOCTL, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_PRLIMIT64, unix.SYS_GETRLIMIT,
		unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_MEMBARRIER,
		unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FALLOCATE, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2,
		unix.SYS_TIMER_CREATE, unix.SYS_SETITIMER, unix.SYS_KILL, unix.SYS_TKILL,
		unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_PIDFD_OPEN, unix.SYS_WAITID, unix.SYS_WAIT4,
	)...)
	list = append(list, all(fail(unix.ENOSYS), unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE)...)
	list = append(list, call{nr: unix.SYS_SPLICE, result: fail(unix.EINVAL)}) // the one errno after which io.Copy falls back
	return append(list, all(fail(unix.EPERM), legacyCalls...)...)
}

// mapDroppable is MAP_DROPPABLE of linux/mman.h.
const mapDroppable = 0x8

// linux/futex.h.
const (
	futexWait    = 0
	futexWake    = 1
	futexPrivate = 128
)

// Offsets in struct seccomp_data; both architectures are little endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// filter is the program: first the architecture, since a number means another
// call on another one, then the call, and death for the rest.
func filter(list []call) []bpf.Instruction { return listed(list, kill) }

// listed is filter with another answer for the calls that are not listed.
//
// It halves the numbers until one is left. The kernel runs a new filter once for
// each number there is, to know which ones it need not ask for again
// (seccomp_cache_prepare), and with a list from top to bottom that took more
// than all else about the filter.
func listed(list []call, rest uint32) []bpf.Instruction {
	prog := append(make([]bpf.Instruction, 0, 4*len(list)),
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: kill},
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
		// The x32 numbers of amd64; on others there are none so high.
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: 0x40000000, SkipFalse: 1},
		bpf.RetConstant{Val: kill})
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b call) int { return cmp.Compare(a.nr, b.nr) })
	end := &call{result: rest}
	spans := append(make([]span, 0, 2*len(list)+1), span{0, end})
	next := uint32(0) // the first number that has no span of its own
	for i := range sorted {
		c := &sorted[i]
		if c.nr == next {
			spans = spans[:len(spans)-1]
		}
		spans = append(spans, span{c.nr, c}, span{c.nr + 1, end})
		next = c.nr + 1
	}
	// Neighbours that end alike are one.
	spans = slices.CompactFunc(spans, func(a, b span) bool {
		return len(a.all.when) == 0 && len(b.all.when) == 0 && a.all.result == b.all.result
	})
	return search(prog, spans)
}

// A span is the numbers from low up to the next span, which all end as one call
// does.
type span struct {
	low uint32
	all *call
}

// search appends what finds the span of the number that was loaded, and does what
// it says.
func search(prog []bpf.Instruction, spans []span) []bpf.Instruction {
	if len(spans) == 1 {
		return spans[0].all.program(prog)
	}
	half := len(spans) / 2
	at := len(prog)
	prog = search(append(prog, nil), spans[:half])
	if n := len(prog) - at - 1; n <= math.MaxUint8 {
		prog[at] = bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: spans[half].low, SkipTrue: uint8(n)}
	} else {
		prog[at] = bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: spans[half].low, SkipFalse: 1}
		prog = slices.Insert(prog, at+1, bpf.Instruction(bpf.Jump{Skip: uint32(n)}))
	}
	return search(prog, spans[half:])
}

// program appends what looks at the arguments of a call and ends.
func (c *call) program(prog []bpf.Instruction) []bpf.Instruction {
	for _, a := range c.when {
		off := offArgs + 8*a.index
		prog = append(prog,
			bpf.LoadAbsolute{Off: off + 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
			bpf.RetConstant{Val: c.otherwise},
			bpf.LoadAbsolute{Off: off, Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: ^a.free})
		for i, v := range a.values {
			prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(a.values) - i)})
		}
		prog = append(prog, bpf.RetConstant{Val: c.otherwise})
	}
	return append(prog, bpf.RetConstant{Val: c.result})
}

// installFilter puts the filter on every thread of the process at once.
func installFilter() error { return install(filter(calls(os.Getpid()))) }

func install(list []bpf.Instruction) error {
	raw, err := bpf.Assemble(list)
	if err != nil {
		return fmt.Errorf("assemble the system call filter: %w", err)
	}
	insns := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		insns[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(insns)), Filter: &insns[0]}
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("install the system call filter: %w", errno)
	}
	if tid != 0 {
		return fmt.Errorf("install the system call filter: thread %d refused it", tid)
	}
	return nil
}
