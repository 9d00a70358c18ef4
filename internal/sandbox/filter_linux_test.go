//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// decide runs the filter over one system call. The interpreter of x/net/bpf
// reads big endian words and the kernel reads its own, so the words are laid
// out for the former.
func decide(t testing.TB, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	vm, err := bpf.NewVM(filter(calls(1)))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64) // struct seccomp_data
	binary.BigEndian.PutUint32(data[offNumber:], nr)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	n, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func TestTheFilterDecides(t *testing.T) {
	const goThread = 0x50f00
	for _, c := range []struct {
		name string
		nr   uint32
		args []uint64
		want uint32
	}{
		{"read", unix.SYS_READ, nil, allow},
		{"exit_group", unix.SYS_EXIT_GROUP, nil, allow},
		{"openat", unix.SYS_OPENAT, nil, fail(unix.EPERM)},
		{"clone3", unix.SYS_CLONE3, nil, fail(unix.ENOSYS)},
		{"socket", unix.SYS_SOCKET, nil, kill},
		{"execve", unix.SYS_EXECVE, nil, kill},
		{"prctl PR_SET_VMA", unix.SYS_PRCTL, []uint64{unix.PR_SET_VMA}, allow},
		{"prctl PR_SET_DUMPABLE", unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE, 1}, fail(unix.EPERM)},
		{"prctl, upper half", unix.SYS_PRCTL, []uint64{1<<32 | unix.PR_SET_VMA}, fail(unix.EPERM)},
		{"thread", unix.SYS_CLONE, []uint64{goThread}, allow},
		{"thread with its own storage", unix.SYS_CLONE, []uint64{goThread | unix.CLONE_SETTLS}, allow},
		{"thread in a new network", unix.SYS_CLONE, []uint64{goThread | unix.CLONE_NEWNET}, kill},
		{"thread, upper half", unix.SYS_CLONE, []uint64{1<<33 | goThread}, kill},
		{"vfork", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_VFORK | 17}, kill},
		{"mmap none", unix.SYS_MMAP, []uint64{0, 4096, 0, 0x22}, allow},
		{"mmap read", unix.SYS_MMAP, []uint64{0, 4096, 1, 0x22}, allow},
		{"mmap read write fixed", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x32}, allow},
		{"mmap exec", unix.SYS_MMAP, []uint64{0, 4096, 4, 0x22}, kill},
		{"mmap read exec", unix.SYS_MMAP, []uint64{0, 4096, 5, 0x22}, kill},
		{"mmap shared", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x21}, kill},
		{"mmap shared validate", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x23}, kill},
		{"mmap droppable", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x28}, allow},
		{"mmap droppable and private", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x2a}, kill},
		{"mmap droppable and shared", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x29}, kill},
		{"mmap neither", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x20}, kill},
		{"mmap huge", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x22 | unix.MAP_HUGETLB}, kill},
		{"mmap locked", unix.SYS_MMAP, []uint64{0, 4096, 3, 0x22 | unix.MAP_LOCKED}, kill},
		{"mmap, upper half of prot", unix.SYS_MMAP, []uint64{0, 4096, 1 << 32, 0x22}, kill},
		{"futex wait", unix.SYS_FUTEX, []uint64{0, 128}, allow},
		{"futex wake", unix.SYS_FUTEX, []uint64{0, 129}, allow},
		{"futex shared wait", unix.SYS_FUTEX, []uint64{0, 0}, kill},
		{"futex lock pi", unix.SYS_FUTEX, []uint64{0, 128 | 6}, kill},
		{"tgkill itself", unix.SYS_TGKILL, []uint64{1, 5, 23}, allow},
		{"tgkill another", unix.SYS_TGKILL, []uint64{2, 5, 9}, fail(unix.EPERM)},
		{"fcntl F_GETFL", unix.SYS_FCNTL, []uint64{0, unix.F_GETFL}, allow},
		{"fcntl F_ADD_SEALS", unix.SYS_FCNTL, []uint64{0, unix.F_ADD_SEALS}, fail(unix.EPERM)},
		{"fcntl F_SETOWN", unix.SYS_FCNTL, []uint64{0, unix.F_SETOWN}, fail(unix.EPERM)},
	} {
		if got := decide(t, auditArch, c.nr, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
		for _, other := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
			if got := decide(t, other, c.nr, c.args...); got != kill {
				t.Errorf("%s on architecture %#x: %#x, want death", c.name, other, got)
			}
		}
		if got := decide(t, auditArch, c.nr|0x40000000, c.args...); got != kill {
			t.Errorf("%s by its x32 number: %#x, want death", c.name, got)
		}
	}
}

// No number outside the list gets through, and none is on it twice.
func TestTheFilterIsAList(t *testing.T) {
	on := map[uint32]bool{}
	for _, c := range calls(1) {
		if on[c.nr] {
			t.Errorf("system call %d is listed twice", c.nr)
		}
		on[c.nr] = true
	}
	for nr := range uint32(700) {
		if got := decide(t, auditArch, nr); !on[nr] && got != kill {
			t.Errorf("system call %d: %#x, want death", nr, got)
		}
	}
	if n := len(filter(calls(1))); n > 4096 {
		t.Errorf("the filter has %d instructions, the kernel takes 4096", n)
	}
}

// The filter halves the numbers; the same list from top to bottom is what it
// must agree with, with neighbours that end alike, gaps, the first and the last
// number, and checks of arguments longer than one jump reaches.
func TestTheFilterFindsEveryCall(t *testing.T) {
	many := make([]uint32, 40)
	for i := range many {
		many[i] = uint32(100 + i)
	}
	for name, list := range map[string][]call{
		"empty":      nil,
		"first":      allowed(0),
		"neighbours": allowed(5, 3, 4, 7),
		"unlike":     append(allowed(3, 5), all(fail(unix.EPERM), 4, 6)...),
		"last":       allowed(0x3fffffff),
		"long": func() (list []call) {
			for nr := range uint32(20) {
				list = append(list, call{nr: 3 * (19 - nr), result: allow, otherwise: fail(unix.ENOSYS), when: []argument{{index: 1, values: many}}})
			}
			return append(list, allowed(31)...)
		}(),
	} {
		for _, rest := range []uint32{kill, allow} {
			vm, err := bpf.NewVM(listed(list, rest))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, nr := range append([]uint32{0x3ffffffe, 0x3fffffff}, span0to(80)...) {
				for _, arg := range []uint32{0, 99, 100, 139, 140} {
					want := rest
					for _, c := range list {
						if c.nr != nr {
							continue
						}
						want = c.result
						if len(c.when) > 0 && (arg < 100 || arg >= 140) {
							want = c.otherwise
						}
					}
					data := make([]byte, 64)
					binary.BigEndian.PutUint32(data[offNumber:], nr)
					binary.BigEndian.PutUint32(data[offArch:], auditArch)
					binary.BigEndian.PutUint32(data[offArgs+8:], arg)
					got, err := vm.Run(data)
					if err != nil || uint32(got) != want {
						t.Fatalf("%s, call %d with %d: %#x, want %#x (%v)", name, nr, arg, got, want, err)
					}
				}
			}
		}
	}
}

func span0to(n uint32) (nrs []uint32) {
	for nr := range n {
		nrs = append(nrs, nr)
	}
	return nrs
}
