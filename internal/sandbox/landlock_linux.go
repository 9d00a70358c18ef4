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

// landlock denies everything the kernel's version can deny, up to limit. A
// kernel without Landlock is no error here; a failure to install it is.
func landlock(limit LandlockCap, r *Report) error {
	r.KernelLandlock = LandlockVersion()
	abi := min(r.KernelLandlock, knownLandlock)
	switch {
	case limit == NoLandlock:
		abi = 0
	case limit > 0:
		abi = min(abi, int(limit))
	}
	if abi == 0 {
		return nil
	}
	attr := handled(abi)
	if attr.Scoped&unix.LANDLOCK_SCOPE_SIGNAL != 0 {
		// Without the fix the pid namespace and the filter, which keep
		// signals inside anyway, have to do.
		errata, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_ERRATA)
		if errno != 0 || errata&landlockErrataSignal == 0 {
			attr.Scoped &^= unix.LANDLOCK_SCOPE_SIGNAL
		} else {
			r.SignalScope = true
		}
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("landlock version %d: %w", abi, errno)
	}
	defer unix.Close(int(fd))
	if err := allThreads("landlock", unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); err != nil {
		return err
	}
	// The root, empty or not, could be opened until now.
	if _, err := listRoot(); !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("landlock version %d was installed but does not deny (%v)", abi, err)
	}
	r.Landlock = abi
	return nil
}
