package sandbox

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Go program asks at its very beginning how many processors it may use, and
// makes memory and threads for each, which in a worker of some milliseconds is a
// good part of its work. So a worker is forked onto one processor, and goes on to
// those of its parent when its runtime has begun (sched_setaffinity(2)); where it
// has long work it says runtime.SetDefaultGOMAXPROCS. The other way to say so would
// be the environment, which is empty.

// processors are those that this process may use, as an order lists them.
func processors() string {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return ""
	}
	var b strings.Builder
	for i := 0; i < maxProcessors; i++ {
		if !set.IsSet(i) {
			continue
		}
		first := i
		for i+1 < maxProcessors && set.IsSet(i+1) {
			i++
		}
		if b.Len() > 0 {
			b.WriteByte('+')
		}
		fmt.Fprintf(&b, "%d-%d", first, i)
	}
	return b.String()
}

// onOne keeps what the calling thread forks on the processor that it is on. It
// returns what undoes it for the thread. It is no part of the bargain.
func onOne() (undo func()) {
	var was, one unix.CPUSet
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return func() {}
	}
	one.Set(int(cpu))
	if unix.SchedGetaffinity(0, &was) != nil || unix.SchedSetaffinity(0, &one) != nil {
		return func() {}
	}
	return func() { _ = unix.SchedSetaffinity(0, &was) }
}

// onAll lets the threads of this process, which is the first of its pid namespace,
// run on the processors of an order, the list of which parseOrder has read. An error
// is of no interest, as above; with no processor at all it is one.
func onAll(list string) {
	var set unix.CPUSet
	_ = eachProcessor(list, set.Set)
	// A runtime with one processor has three by now; what it makes later begins
	// where these are.
	const threads = 8
	for tid := 1; tid <= threads; tid++ {
		_ = unix.SchedSetaffinity(tid, &set)
	}
}
