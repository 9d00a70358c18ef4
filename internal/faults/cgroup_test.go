package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// memoryGroup is a cgroup of so many bytes.
type memoryGroup struct {
	t   testing.TB
	dir string
}

func newMemoryGroup(t testing.TB, limit int) *memoryGroup {
	t.Helper()
	g := &memoryGroup{t, filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("sekisho-test-%d-%d", os.Getpid(), time.Now().UnixNano()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("SKIPPED: a memory cgroup (version 1) cannot be made: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(g.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	g.write("memory.limit_in_bytes", strconv.Itoa(limit))
	return g
}

func (g *memoryGroup) write(name, value string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

func (g *memoryGroup) read(name string) string {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// peak fails the test if the kernel killed for memory, and returns the most
// that was in use.
func (g *memoryGroup) peak() string {
	g.t.Helper()
	peak := g.read("memory.max_usage_in_bytes")
	if oom := g.read("memory.oom_control"); !strings.Contains(oom, "oom_kill 0") {
		g.t.Errorf("the kernel killed for memory: %s", oom)
	}
	return peak
}

// smallMemory puts the running daemon, and the starter of workers that it has
// started already, into a cgroup of so many bytes. What it returns ends the
// daemon, fails the test if the kernel killed for memory, and returns the peak.
func (g *gateway) smallMemory(limit int) (end func() (peak string)) {
	g.t.Helper()
	group := newMemoryGroup(g.t, limit)
	pid := strconv.Itoa(g.cmd.Process.Pid)
	group.write("cgroup.procs", pid)
	children, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, path := range children {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(b)) {
			group.write("cgroup.procs", child)
		}
	}
	return func() string {
		g.t.Helper()
		peak := group.peak()
		g.term() // so that the group is empty
		for range 100 {
			if group.read("cgroup.procs") == "" {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		return peak
	}
}

// TestIllHopsInASmallMemory is FT-06 in the cgroup of FT-24: delivery and the
// forty-five servers that misbehave, all of them in one process of 512 MiB.
func TestIllHopsInASmallMemory(t *testing.T) {
	if !long(t) {
		t.Skip("SKIPPED in the short form: make faults-peers runs it")
	}
	bin := filepath.Join(t.TempDir(), "delivery.test")
	build := exec.Command("go", "test", "-c", "-o", bin, "sekisho/delivery")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	group := newMemoryGroup(t, 512<<20)
	// It goes into the group before it is itself.
	c := exec.Command("sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group.dir, bin, "-test.run", "TestIllHops", "-test.timeout", "20m", "-test.v")
	c.Env = append(os.Environ(), "GOMEMLIMIT=256MiB", "SEKISHO_FAULTS=1")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestIllHops") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf(`{"test":"FT-24 with FT-06","peak_bytes":%s}`, group.peak())
}

// TestGatewayInASmallMemory runs the daemon in a cgroup of 512 MiB, as a small
// site might, under load (FT-24). It must not be killed, and lose nothing.
func TestGatewayInASmallMemory(t *testing.T) {
	if setting(t, "SEKISHO_CUTS", 3) < 10 {
		t.Skip("SKIPPED in the short form: make faults-disk and make faults-peers run it")
	}
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), "")
	t.Setenv("GOMEMLIMIT", "256MiB")
	g.boot()
	end := g.smallMemory(512 << 20)
	stop := g.load(16, 0)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if n, _ := g.count(); n >= 1500 {
			break
		}
	}
	stop()
	r := g.drained(result{Test: "512 MiB"})
	t.Logf(`{"test":"FT-24","acknowledged":%d,"peak_bytes":%s}`, r.Acknowledged, end())
}

// TestMailBombInASmallMemory is FT-15 in the cgroup of FT-24, a tenth as many
// messages, and with 2,000 idle peers beside them.
func TestMailBombInASmallMemory(t *testing.T) {
	if !long(t) {
		t.Skip("SKIPPED in the short form: make faults-peers runs it")
	}
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), "")
	g.twoTenants()
	t.Setenv("GOMEMLIMIT", "256MiB")
	g.boot()
	end := g.smallMemory(512 << 20)
	idle := &crowd{g: g}
	idle.come(addresses(0, 20, 10, 10), nil)
	g.bomb(5000)
	if n, _ := idle.open(); n != 2000 {
		t.Errorf("%d idle peers are left of 2,000: %v", n, idle.told())
	}
	idle.leave()
	t.Logf(`{"test":"FT-24 with FT-15","peak_bytes":%s}`, end())
}
