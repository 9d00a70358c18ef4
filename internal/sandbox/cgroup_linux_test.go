package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCgroupsAreDescribed(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for _, c := range []struct {
		name string
		fs   fstest.MapFS
		want string
	}{
		{"none", fstest.MapFS{}, "no delegated cgroup v2: "},
		{"v1 only", fstest.MapFS{"proc/self/cgroup": file("4:memory:/x\n")}, "version 1"},
		{"delegated", fstest.MapFS{
			"proc/self/cgroup":                 file("0::/system.slice/sekishod.service\n"),
			"sys/fs/cgroup/cgroup.controllers": file("cpu memory pids\n"),
			"sys/fs/cgroup/system.slice/sekishod.service/cgroup.controllers": file("memory pids\n"),
		}, "cgroup v2 with memory and pids"},
		{"one of two", fstest.MapFS{
			"proc/self/cgroup":                   file("0::/a\n"),
			"sys/fs/cgroup/cgroup.controllers":   file("cpu memory pids\n"),
			"sys/fs/cgroup/a/cgroup.controllers": file("pids\n"),
		}, "cgroup v2 with pids"},
		{"not delegated", fstest.MapFS{
			"proc/self/cgroup":                   file("0::/a\n"),
			"sys/fs/cgroup/cgroup.controllers":   file("cpu memory pids\n"),
			"sys/fs/cgroup/a/cgroup.controllers": file("cpu\n"),
		}, "Delegate=memory pids"},
		{"hybrid", fstest.MapFS{
			"proc/self/cgroup":                         file("4:memory:/x\n0::/\n"),
			"sys/fs/cgroup/unified/cgroup.controllers": file("hugetlb\n"),
		}, "Delegate=memory pids"},
		{"hidden", fstest.MapFS{"proc/self/cgroup": file("0::/\n")}, "no delegated cgroup v2: "},
	} {
		if got := cgroupStatus(c.fs); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A tree of ordinary files stands in for a delegated cgroup v2, which the
// machines these tests run on seldom have. What the kernel does with the
// numbers is not shown by this.
func TestCgroupsAreDividedInAFakeTree(t *testing.T) {
	root := t.TempDir()
	own := filepath.Join(root, "sys/fs/cgroup/service")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write(filepath.Join(root, "proc/self/cgroup"), "0::/service\n")
	write(filepath.Join(root, "sys/fs/cgroup/cgroup.controllers"), "cpu memory pids\n")
	write(filepath.Join(own, "cgroup.controllers"), "memory pids\n")
	write(filepath.Join(own, "cgroup.subtree_control"), "")
	if _, err := openCgroups(root, 4711); !errors.Is(err, ErrNoCgroups) {
		t.Errorf("without cgroup.procs in the group below: %v, want %v", err, ErrNoCgroups)
	}
	write(filepath.Join(own, daemonGroup, "cgroup.procs"), "")
	if err := os.Mkdir(filepath.Join(own, runGroup+"1-1"), 0o755); err != nil {
		t.Fatal(err)
	}

	g, err := openCgroups(root, 4711)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(filepath.Join(own, daemonGroup, "cgroup.procs")); got != "4711" {
		t.Errorf("moved %q, want 4711", got)
	}
	if got := read(filepath.Join(own, "cgroup.subtree_control")); got != "+memory +pids" {
		t.Errorf("handed on %q", got)
	}
	if _, err := os.Stat(filepath.Join(own, runGroup+"1-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a group left over is still there: %v", err)
	}
	// No kernel makes the files of a new directory here, so a limit cannot
	// be set, and that is an error and leaves nothing.
	if _, err := g.group(Worker()); err == nil {
		t.Error("a group without its limits is accepted")
	}
	left, err := filepath.Glob(filepath.Join(own, runGroup+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

// The unified hierarchy is there even where it has no controllers, so that a
// process can be started in a group, and the group be removed.
func TestAProcessHasItsGroupNeedsNamespacesAndCgroups(t *testing.T) {
	mount := "/sys/fs/cgroup"
	if _, err := os.Stat(mount + "/cgroup.procs"); err != nil {
		mount = "/sys/fs/cgroup/unified"
	}
	dir := filepath.Join(mount, fmt.Sprintf("sekisho-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("skipped: no control group can be made here: %v", err)
	}
	defer os.Remove(dir)
	if _, err := os.Stat(dir + "/cgroup.procs"); err != nil {
		t.Skipf("skipped: %s is no cgroup v2", mount)
	}
	g := &Cgroups{dir: dir}
	for name, s := range map[string]*Starter{"direct": nil, "by a starter": newStarter(t)} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			in, hold, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer hold.Close()
			p, err := (&Command{Path: program(t), Args: []string{"wait"}, Files: []*os.File{in, w}, Profile: small(), Starter: s, Cgroups: g}).Start(t.Context())
			in.Close()
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(r).ReadString('\n'); line != "waiting\n" {
				t.Fatalf("the program said %q, %v", line, err)
			}
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.Pid()))
			if err != nil {
				t.Fatal(err)
			}
			if want := "0::/" + filepath.Base(dir) + "/" + runGroup; !strings.Contains(string(b), want) {
				t.Errorf("the process is in\n%swant %s...", b, want)
			}
			hold.Close()
			if st, err := p.Wait(); err != nil || st.Err() != nil {
				t.Errorf("ended with %v, %v", st.Err(), err)
			}
			left, err := filepath.Glob(dir + "/" + runGroup + "*")
			if err != nil || len(left) > 0 {
				t.Errorf("groups left over: %q, %v", left, err)
			}
		})
	}
	// A start that fails leaves none, either.
	if _, err := (&Command{Path: "/nonexistent", Profile: small(), Cgroups: g}).Start(t.Context()); err == nil {
		t.Error("a binary that is not there was started")
	}
	if left, _ := filepath.Glob(dir + "/" + runGroup + "*"); len(left) > 0 {
		t.Errorf("groups left over: %q", left)
	}
}

// TestProcessStartsWithoutItsGroupNeedsNamespaces: a group is an extra, and no
// mail is held because one could not be made.
func TestProcessStartsWithoutItsGroupNeedsNamespaces(t *testing.T) {
	g := &Cgroups{dir: filepath.Join(t.TempDir(), "gone"), controllers: []string{"memory", "pids"}}
	p, err := (&Command{Path: program(t), Args: []string{"exit", "0"}, Profile: small(), Cgroups: g}).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st, err := p.Wait(); err != nil || st.Err() != nil {
		t.Errorf("%v, %v", st.Err(), err)
	}
}
