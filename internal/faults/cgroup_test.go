package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestGatewayInASmallMemory runs the daemon in a cgroup of 512 MiB, as a small
// site might, under load. It must not be killed, and lose nothing.
func TestGatewayInASmallMemory(t *testing.T) {
	if setting(t, "SEKISHO_CUTS", 3) < 10 {
		t.Skip("SKIPPED in the short form: make faults-power runs it")
	}
	group := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("sekisho-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("SKIPPED: a memory cgroup (version 1) cannot be made: %v", err)
	}
	defer func() {
		if err := os.Remove(group); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}()
	write := func(name, value string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("memory.limit_in_bytes", strconv.Itoa(512<<20))
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), "")
	t.Setenv("GOMEMLIMIT", "256MiB")
	g.boot()
	pid := strconv.Itoa(g.cmd.Process.Pid)
	write("cgroup.procs", pid)
	// And the starter of workers, which it has started already.
	children, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range children {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(b)) {
			write("cgroup.procs", child)
		}
	}
	stop := g.load(16, 0)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if n, _ := g.count(); n >= 1500 {
			break
		}
	}
	stop()
	r := g.drained(result{Test: "512 MiB"})
	peak, err := os.ReadFile(filepath.Join(group, "memory.max_usage_in_bytes"))
	if err != nil {
		t.Fatal(err)
	}
	oom, err := os.ReadFile(filepath.Join(group, "memory.oom_control"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf(`{"test":"small memory","acknowledged":%d,"peak_bytes":%s}`, r.Acknowledged, strings.TrimSpace(string(peak)))
	if !strings.Contains(string(oom), "oom_kill 0") {
		t.Errorf("the kernel killed for memory: %s", oom)
	}
	g.term() // so that the group is empty
	for range 100 {
		procs, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err == nil && len(procs) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
}
