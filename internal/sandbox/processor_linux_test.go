package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// placesOf are the processors of each thread of a process.
func placesOf(tb testing.TB, pid int) (lists []string) {
	tb.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(all) == 0 {
		tb.Fatalf("threads of %d: %v", pid, err)
	}
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(b)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				lists = append(lists, strings.TrimSpace(list))
			}
		}
	}
	return lists
}

// A worker's runtime makes itself ready for one processor; then every thread of it
// may run where its parent may.
func TestAWorkerBeginsOnOneProcessorNeedsNamespaces(t *testing.T) {
	mine := placesOf(t, os.Getpid())[0]
	ways := starters(t)
	ways["in a cell"], ways["by itself"] = celled(t), nil
	for name, s := range ways {
		p, _, out := piped(t, Command{Args: []string{"processors"}, Profile: small(), Starter: s, Brief: true})
		var began, after int
		if _, err := fmt.Fscanf(out, "%d %d\n", &began, &after); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// Who can see a quota of the processor time goes by that.
		if all, quota := runtime.NumCPU(), runtime.GOMAXPROCS(0); began != 1 || after != all && after != quota {
			t.Errorf("%s: it began with %d processors and has %d when it asks for all, want 1 and %d or %d", name, began, after, all, quota)
		}
		for _, list := range placesOf(t, p.Pid()) {
			if list != mine {
				t.Errorf("%s: a thread is kept on %s, of %s", name, list, mine)
			}
		}
	}
	for _, list := range placesOf(t, os.Getpid()) {
		if list != mine {
			t.Errorf("a thread of the parent was left on %s, of %s", list, mine)
		}
	}
}

// The processors that an administrator leaves to the daemon are those of its
// workers.
func TestProcessorsAreListed(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var was, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		t.Fatal(err)
	}
	defer unix.SchedSetaffinity(0, &was)
	if err := eachProcessor(processors(), set.Set); err != nil || set != was {
		t.Errorf("%q of %v: %v", processors(), was, err)
	}
	undo := onOne()
	list := processors()
	undo()
	n := 0
	if err := eachProcessor(list, func(int) { n++ }); err != nil || n != 1 {
		t.Errorf("on one: %q, %v", list, err)
	}
	if err := unix.SchedGetaffinity(0, &set); err != nil || set != was {
		t.Errorf("afterwards %v of %v: %v", set, was, err)
	}
}
