package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock is used by its three system calls: the rule is "nothing at all",
// which needs no rules, and what was installed must be known exactly.

// knownLandlock is the highest version whose rights are in handled. A newer
// kernel gets this one.
const knownLandlock = 10

// landlockErrataSignal is erratum 2: without the fix, a thread in a domain of
// its own cannot signal the other threads, and the Go runtime needs that.
const landlockErrataSignal = 1 << (2 - 1)

// handled is every right a version knows; what is handled and not allowed by
// a rule is denied.
func handled(abi int) unix.LandlockRulesetAttr {
	var a unix.LandlockRulesetAttr
	if abi >= 1 {
		a.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1 // EXECUTE to MAKE_SYM
	}
	if abi >= 2 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		a.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	// 7 and 8 bring flags for logs and threads, no rights.
	if abi >= 9 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	}
	if abi >= 10 {
		a.Handled_access_net |= unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
	}
	return a
}

// LandlockVersion is the version of Landlock the kernel has, 0 if none or if
// it is switched off.
func LandlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// version is the one that is used: the kernel's, up to limit, 0 for none. A
// kernel without Landlock is no error here; a failure to install it is.
func (r *Report) version(limit LandlockCap) int {
	r.KernelLandlock = LandlockVersion()
	abi := min(r.KernelLandlock, knownLandlock)
	switch {
	case limit == NoLandlock:
		abi = 0
	case limit > 0:
		abi = min(abi, int(limit))
	}
	return abi
}

// denied is what a domain denies here.
func denied(abi int) (a unix.LandlockRulesetAttr, signals bool) {
	a = handled(abi)
	if a.Scoped&unix.LANDLOCK_SCOPE_SIGNAL != 0 {
		// Without the fix the pid namespace and the filter, which keep
		// signals inside anyway, have to do.
		errata, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_ERRATA)
		if signals = errno == 0 && errata&landlockErrataSignal != 0; !signals {
			a.Scoped &^= unix.LANDLOCK_SCOPE_SIGNAL
		}
	}
	return a, signals
}

// enterDomain denies all threads what attr says but for what is allowed of one
// file.
func enterDomain(attr unix.LandlockRulesetAttr, allowed *unix.LandlockPathBeneathAttr) error {
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("make a ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	if allowed != nil {
		_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(allowed)), 0, 0, 0)
		// A file in memory lies in no directory; there are no rules for it and it
		// needs none.
		if errno != 0 && errno != unix.EBADFD {
			return fmt.Errorf("allow one file: %w", errno)
		}
	}
	return allThreads("enter the domain", unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
}

// landlock denies everything the kernel's version can deny, up to limit. In a
// cell that is done already.
func landlock(limit LandlockCap, inCell bool, r *Report) error {
	abi := r.version(limit)
	if abi == 0 {
		return nil
	}
	if !inCell {
		attr, signals := denied(abi)
		if err := enterDomain(attr, nil); err != nil {
			return fmt.Errorf("landlock version %d: %w", abi, err)
		}
		r.SignalScope = signals
	}
	// There is no way to ask for the domain; but the root, empty or not, could be
	// opened without.
	if _, err := listRoot(); !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("landlock version %d was installed but does not deny (%v)", abi, err)
	}
	r.Landlock = abi
	return nil
}

// landlockCell does so for a cell and all that it starts. A domain is handed
// down, and one that the child enters costs it a system call on each of its
// threads, for which it has to stop them: a twentieth of a short mail.
//
// One thing is allowed, to execute binary, which is open as a path: a worker can
// no more do that than it can reach the file, since its filter kills the call.
// And signals are left to that filter and to the pid namespace: each thread of the
// cell enters a domain of its own, and one could not kill what another has
// started.
func landlockCell(binary int) error {
	abi := new(Report).version(0)
	if abi == 0 {
		return nil
	}
	attr, _ := denied(abi)
	attr.Scoped &^= unix.LANDLOCK_SCOPE_SIGNAL
	if err := enterDomain(attr, &unix.LandlockPathBeneathAttr{
		Allowed_access: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE,
		Parent_fd:      int32(binary),
	}); err != nil {
		return fmt.Errorf("landlock version %d: %w", abi, err)
	}
	return nil
}
