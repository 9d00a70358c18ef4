package doctest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// containerProfile is deploy/seccomp.json: the filter for a container engine.
type containerProfile struct {
	DefaultAction   string `json:"defaultAction"`
	DefaultErrnoRet int    `json:"defaultErrnoRet"`
	ArchMap         []struct {
		Architecture string `json:"architecture"`
	} `json:"archMap"`
	Syscalls []struct {
		Names  []string `json:"names"`
		Action string   `json:"action"`
		Args   []struct {
			Index    uint   `json:"index"`
			Value    uint64 `json:"value"`
			ValueTwo uint64 `json:"valueTwo"`
			Op       string `json:"op"`
		} `json:"args"`
	} `json:"syscalls"`
}

// TestContainerProfileAllowsWhatALaunchNeeds, and none of what no part of the
// gateway calls. `make image` runs the gateway under it.
func TestContainerProfileAllowsWhatALaunchNeeds(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "deploy", "seccomp.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p containerProfile
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	// What is not listed gets an error; EPERM is what an engine's own gives.
	if p.DefaultAction != "SCMP_ACT_ERRNO" || p.DefaultErrnoRet != 1 || len(p.ArchMap) != 2 {
		t.Errorf("default %s, %d, %d architectures", p.DefaultAction, p.DefaultErrnoRet, len(p.ArchMap))
	}
	always := map[string]bool{}
	var families []uint64
	for _, s := range p.Syscalls {
		if s.Action != "SCMP_ACT_ALLOW" {
			t.Errorf("%v: %s", s.Names, s.Action)
		}
		for _, n := range s.Names {
			switch {
			case n == "socket" && len(s.Args) == 1 && s.Args[0].Index == 0 && s.Args[0].Op == "SCMP_CMP_EQ":
				families = append(families, s.Args[0].Value)
			case len(s.Args) > 0:
				t.Errorf("%s with arguments that nobody expects here", n)
			case always[n]:
				t.Errorf("%s stands twice", n)
			default:
				always[n] = true
			}
		}
	}
	for _, n := range []string{
		// Start and Enter.
		"open_tree", "move_mount", "mount_setattr", "clone", "clone3", "unshare", "mount", "umount2", "pivot_root", "seccomp", "prctl", "prlimit64", "setrlimit", "capset", "setgroups", "setuid", "setgid",
		"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "execve", "memfd_create", "fcntl", "fstatfs", "chdir", "mkdirat",
		// The runtime and the daemon.
		"futex", "mmap", "epoll_pwait", "eventfd2", "getrandom", "sched_getaffinity", "rt_sigaction", "tgkill", "pidfd_open", "pidfd_send_signal", "waitid", "wait4",
		"fsync", "fdatasync", "renameat", "flock", "sendmsg", "recvmsg", "accept4", "bind", "listen", "connect",
	} {
		if !always[n] {
			t.Errorf("%s is needed and not allowed", n)
		}
	}
	for _, n := range []string{"bpf", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "ptrace", "process_vm_readv", "process_vm_writev", "perf_event_open",
		"userfaultfd", "keyctl", "add_key", "request_key", "io_uring_setup", "setns", "open_by_handle_at", "reboot", "swapon", "clock_settime", "settimeofday", "chroot", "pidfd_getfd", "iopl", "ioperm", "socket"} {
		if always[n] {
			t.Errorf("%s is allowed", n)
		}
	}
	slices.Sort(families)
	if !slices.Equal(families, []uint64{1, 2, 10, 16}) {
		t.Errorf("families of sockets: %v, want unix, the two internets and netlink", families)
	}
}
