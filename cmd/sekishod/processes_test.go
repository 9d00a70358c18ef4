package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one that runs below the daemon.
type process struct {
	pid  int
	name string
}

// workersOf lists the numbers of the processes below pid.
func workersOf(pid int) []int {
	var pids []int
	for _, p := range below(pid) {
		pids = append(pids, p.pid)
	}
	return pids
}

// below lists the processes below pid: workers, and the tools that run for them.
func below(pid int) []process {
	children := map[int][]process{}
	es, _ := os.ReadDir("/proc")
	for _, e := range es {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// proc(5): the name, which may hold anything, ends with the last ")".
		from, to := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
		f := strings.Fields(string(b[to+1:]))
		if len(f) < 2 || f[0] == "Z" {
			continue
		}
		parent, err := strconv.Atoi(f[1])
		if err == nil {
			children[parent] = append(children[parent], process{p, string(b[from+1 : to])})
		}
	}
	var all []process
	for next := children[pid]; len(next) > 0; {
		all = append(all, next...)
		var deeper []process
		for _, p := range next {
			deeper = append(deeper, children[p.pid]...)
		}
		next = deeper
	}
	return all
}

// killIn kills processes, the first one first, and says when it began. A process
// of its own does it: this one is the next hop, too, whose timers run out while it
// reads what has just come, and whoever looked for the victims kept the gateway
// from the processor until a moment ago.
func killIn(t *testing.T, in time.Duration, pids ...int) time.Time {
	t.Helper()
	line := fmt.Sprintf("sleep %.3f; echo $EPOCHREALTIME; kill -KILL", in.Seconds())
	for _, pid := range pids {
		line += " " + strconv.Itoa(pid)
	}
	c := exec.Command("bash", "-c", line)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := c.Output()
	if _, gone := errors.AsType[*exec.ExitError](err); err != nil && !gone {
		t.Fatal(err) // one of them may have ended by itself
	}
	us, err := strconv.ParseInt(strings.Replace(strings.TrimSpace(string(out)), ".", "", 1), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(us)
}

// niceness is that of this process.
func niceness() int {
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - n // as the system call has it, getpriority(2)
}

// loadAverage is that of the last minute: what a figure was taken beside.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(b), " ")
	return load
}

// elsewhere is how much less nice what stands for other machines is.
const elsewhere = -10

// raise sets the niceness of this process, of every thread there is. It reports
// whether it may.
func raise(nice int) bool {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false
	}
	for _, e := range tasks {
		if tid, err := strconv.Atoi(e.Name()); err != nil || syscall.Setpriority(syscall.PRIO_PROCESS, tid, nice) != nil {
			return false
		}
	}
	return true
}
