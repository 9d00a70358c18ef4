package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type machineInfo struct{ cpu, kernel, load string }

func machine() machineInfo {
	m := machineInfo{cpu: "unknown CPU", kernel: "unknown", load: "unknown"}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(l, "model name"); ok {
				m.cpu = strings.TrimSpace(strings.TrimLeft(v, "\t :"))
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load, _, _ = strings.Cut(string(b), " ")
	}
	return m
}

// fsyncTime is the median of 200 appends of 4 KiB, each made durable.
func fsyncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var times []time.Duration
	block := bytes.Repeat([]byte{1}, 4096)
	for range 200 {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// startTime is the CPU time of starting the daemon's binary and having it say
// its version: the same work each time, so that it shows how much of a core a
// core is on a machine that others use.
func startTime(binary string) (time.Duration, error) {
	const n = 20
	var sum time.Duration
	for range n {
		cmd := exec.Command(binary, "--version")
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%s --version: %w", binary, err)
		}
		sum += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return sum / n, nil
}

// tree lists a process and all that descend from it.
func tree(root int) ([]int, error) {
	list := []int{root}
	for i := 0; i < len(list); i++ {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i]))
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			b, err := os.ReadFile(t)
			if err != nil {
				continue // the thread has ended
			}
			for _, w := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(w); err == nil {
					list = append(list, pid)
				}
			}
		}
	}
	return list, nil
}

// ticks are the unit of proc(5)'s times: USER_HZ, 100 on every Linux of today.
const ticks = 100

// cpuTime is what a process, its children that ended and all that descend from
// it have used. A process that ends between two looks is counted by its parent
// from then on, since every parent here waits for its children.
func cpuTime(root int) (time.Duration, error) {
	pids, err := tree(root)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			continue // ESRCH: it ended while it was read
		}
		// proc(5): fields 14 to 17 are utime, stime, cutime, cstime; the second
		// is a name in parentheses that may hold anything.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, w := range f[11:15] {
			n, err := strconv.ParseInt(w, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("stat of %d: %w", pid, err)
			}
			sum += time.Duration(n) * time.Second / ticks
		}
	}
	return sum, nil
}

// pss is the proportional share of memory of a process, 0 when it cannot be
// read: it ended, or this is not root.
func pss(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, "Pss:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// isWorker tells a worker from the daemon and from the process that forks.
func isWorker(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(b, []byte("--confine="))
}

// isTool tells what runs in the sandbox of a tool, which is its first process, ours,
// and LibreOffice, from the rest.
func isTool(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (bytes.Contains(b, []byte("--tool=")) || bytes.Contains(b, []byte("soffice")))
}

// peaks watches the memory of a process tree, converters apart, until stop is called.
func peaks(root int) (stop func() (daemon, worker, all int64)) {
	quit, done := make(chan struct{}), make(chan struct{})
	var daemon, worker, all int64
	go func() {
		defer close(done)
		for {
			pids, err := tree(root)
			if err == nil {
				var sum int64
				for _, pid := range pids {
					n := pss(pid)
					if !isTool(pid) {
						sum += n
					}
					switch {
					case pid == root:
						daemon = max(daemon, n)
					case isWorker(pid):
						worker = max(worker, n)
					}
				}
				all = max(all, sum)
			}
			select {
			case <-quit:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	return func() (int64, int64, int64) {
		close(quit)
		<-done
		return daemon, worker, all
	}
}
