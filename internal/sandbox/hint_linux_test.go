package sandbox

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHintsNameTheSetting(t *testing.T) {
	const mounted = "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n23 22 0:5 / /proc rw - proc proc rw\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // "" for no hint
	}{
		{"nothing known", map[string]string{"/proc/self/mountinfo": mounted, "/proc/self/status": "Name:\tx\nSeccomp:\t0\n"}, ""},
		{"nothing readable", nil, ""},
		{"Ubuntu", map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "AppArmor"},
		{"Ubuntu, switched off", map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0\n"}, ""},
		{"old Debian", map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, "unprivileged_userns_clone=1"},
		{"RHEL", map[string]string{"/proc/sys/user/max_user_namespaces": "0\n"}, "max_user_namespaces"},
		{"chroot", map[string]string{"/proc/self/mountinfo": "23 22 0:5 / /proc rw - proc proc rw\n"}, "chroot"},
		{"container", map[string]string{"/proc/self/status": "Name:\tx\nSeccomp:\t2\n"}, "seccomp filter"},
	} {
		got := hint(func(name string) ([]byte, error) {
			s, ok := c.files[name]
			if !ok {
				return nil, os.ErrNotExist
			}
			return []byte(s), nil
		})
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: hint is %q, want something about %q", c.name, got, c.want)
		}
	}
}

func TestStartErrorsAreExplained(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EPERM:  "user namespaces are not allowed here",
		syscall.ENOSPC: "user namespaces are not allowed here",
		syscall.EACCES: "cannot be executed",
		syscall.ENOMEM: "cannot allocate memory",
	} {
		err := explain(&os.PathError{Op: "fork/exec", Path: "/proc/self/fd/100", Err: errno})
		if !strings.Contains(err.Error(), want) || !errors.Is(err, errno) {
			t.Errorf("%v is explained as %q, want %q", errno, err, want)
		}
	}
}

func TestMapsOfUsers(t *testing.T) {
	for _, c := range []struct {
		uidMap string
		want   bool
	}{
		{"         0          0 4294967295\n", true},
		{"         0       1000          1\n", false},
		{"         0       1000          1\n         1     100000      65536\n", true},
		{"         0     100000      65534\n", false},
		{"         0     100000      65535\n", true},
		{"", false}, {"garbage\n", false},
	} {
		if got := maps(c.uidMap, nobody); got != c.want {
			t.Errorf("%q has 65534: %t, want %t", c.uidMap, got, c.want)
		}
	}
}

func TestKernelVersions(t *testing.T) {
	for _, c := range []struct {
		release string
		want    bool
	}{
		{"5.14.0-503.el9.x86_64", true}, {"5.14", true}, {"6.1.0-18-amd64", true}, {"6.18.44-fc", true}, {"10.0", true},
		{"5.13.9", false}, {"5.4.0", false}, {"4.18.0-553.el8", false}, {"", false}, {"garbage", false}, {"5", false}, {"x.20", false},
	} {
		if got := versionAtLeast(c.release, 5, 14); got != c.want {
			t.Errorf("%q at least 5.14: %t, want %t", c.release, got, c.want)
		}
	}
}

func TestLandlockRightsGrowWithTheVersion(t *testing.T) {
	var before unix.LandlockRulesetAttr
	if handled(0) != before {
		t.Errorf("version 0 has rights: %+v", handled(0))
	}
	for abi := 1; abi <= knownLandlock; abi++ {
		a := handled(abi)
		if a.Handled_access_fs&before.Handled_access_fs != before.Handled_access_fs ||
			a.Handled_access_net&before.Handled_access_net != before.Handled_access_net ||
			a.Scoped&before.Scoped != before.Scoped {
			t.Errorf("version %d has lost a right of %d: %+v, %+v", abi, abi-1, a, before)
		}
		before = a
	}
	// The numbers of landlock(7), written out.
	for abi, want := range map[int][3]uint64{1: {1<<13 - 1, 0, 0}, 2: {1<<14 - 1, 0, 0}, 3: {1<<15 - 1, 0, 0}, 4: {1<<15 - 1, 3, 0}, 5: {1<<16 - 1, 3, 0}, 6: {1<<16 - 1, 3, 3}, 7: {1<<16 - 1, 3, 3}, 9: {1<<17 - 1, 3, 3}} {
		a := handled(abi)
		if got := [3]uint64{a.Handled_access_fs, a.Handled_access_net, a.Scoped}; got != want {
			t.Errorf("version %d handles %#x, want %#x", abi, got, want)
		}
	}
}
