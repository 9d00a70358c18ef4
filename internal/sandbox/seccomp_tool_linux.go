//go:build linux && (amd64 || arm64)

package sandbox

import "golang.org/x/sys/unix"

// newNamespaces are the flags of clone(2) that make a namespace. CLONE_NEWTIME
// cannot be asked for by it.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// toolCalls are what a tool is refused. A program of a million lines needs most
// of what is left, so this is a list of what it does not: whatever makes
// namespaces and mounts, looks into other processes, loads code into the
// kernel or speaks to it by its larger and younger doors, and any socket but
// those of this machine, which are how LibreOffice finds itself.
func toolCalls() []call {
	list := []call{
		{nr: unix.SYS_SOCKET, result: allow, otherwise: fail(unix.EAFNOSUPPORT), when: []argument{{index: 0, values: []uint32{unix.AF_UNIX}}}},
		{nr: unix.SYS_SOCKETPAIR, result: allow, otherwise: fail(unix.EAFNOSUPPORT), when: []argument{{index: 0, values: []uint32{unix.AF_UNIX}}}},
		{nr: unix.SYS_CLONE, result: allow, otherwise: fail(unix.EPERM), when: []argument{{index: 0, free: ^uint32(newNamespaces), values: []uint32{0}}}},
		// Its flags lie in memory, where a filter cannot look.
		{nr: unix.SYS_CLONE3, result: fail(unix.ENOSYS)},
	}
	return append(list, all(fail(unix.EPERM),
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_MOUNT, unix.SYS_UMOUNT2,
		unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME,
		unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES, unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY,
		unix.SYS_FANOTIFY_INIT, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_SECCOMP, unix.SYS_PERSONALITY,
		unix.SYS_VMSPLICE, unix.SYS_MQ_OPEN, unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET,
	)...)
}

func installToolFilter() error { return install(listed(toolCalls(), allow)) }
