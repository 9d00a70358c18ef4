package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// flatten turns every document of the folders to pages, one call of the command
// for each, and counts what became of them, how long they took, and what was
// left behind: processes that outlived their call, and calls that took longer
// than the limits allow. It takes one file of each folder in turn, so that a run
// that is ended by most, or by an interrupt, is a fair sample.
func (c *collection) flatten(bin string, folders []string, most time.Duration) error {
	// What outlives the command becomes a child of this process, and is seen.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	dir, err := os.MkdirTemp("", "sekisho-corpus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	left, all := map[string][]row{}, 0
	for _, f := range folders {
		left[f] = c.under(f)
		all += len(left[f])
	}
	outcomes, reasons := map[string]map[string]int{}, map[string]int{}
	var times []float64
	done, hung, crashed, orphans := 0, 0, 0, 0
	begin := time.Now()
	stop, end := signal.NotifyContext(context.Background(), os.Interrupt)
	defer end()
	for done < all && stop.Err() == nil && (most == 0 || time.Since(begin) < most) {
		for _, folder := range folders {
			if len(left[folder]) == 0 || stop.Err() != nil {
				continue
			}
			r := left[folder][0]
			left[folder] = left[folder][1:]
			done++
			out := filepath.Join(dir, fmt.Sprint(done))
			start := time.Now()
			cmd := exec.Command(filepath.Join(bin, "sekisho"), "sanitize", "--json", "--mode", "flatten", "--out", out, filepath.Join(c.dir, r.path))
			b, err := cmd.Output()
			took := time.Since(start)
			if outcomes[folder] == nil {
				outcomes[folder] = map[string]int{}
			}
			// Two runs of a worker, limits.md, and their ends.
			if took > 4*time.Minute+10*time.Second {
				hung++
				fmt.Printf("  %s took %s\n", r.path, took.Round(time.Second))
			}
			if n := children(); n > 0 {
				orphans += n
				fmt.Printf("  %s left %d processes\n", r.path, n)
			}
			var x result
			var exit *exec.ExitError
			switch {
			case err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3), json.Unmarshal(b, &x) != nil:
				crashed++
				outcomes[folder]["failed"]++
				fmt.Printf("  %s: %v\n", r.path, err)
			case x.Outcome == "refused":
				outcomes[folder]["refused"]++
				reasons[why(x.Error)]++
				if r.has("benign") {
					fmt.Printf("  refused, though benign: %s: %s\n", r.path, x.Error)
				}
			default:
				outcomes[folder][x.Outcome+" by "+x.Mode]++
				times = append(times, took.Seconds())
			}
			os.RemoveAll(out)
		}
	}
	fmt.Printf("flatten: %d of %d files in %s, hung %d, failed %d, processes left %d\n", done, all, time.Since(begin).Round(time.Second), hung, crashed, orphans)
	for _, f := range folders {
		fmt.Printf("  %-5s %s\n", f, counts(outcomes[f]))
	}
	fmt.Printf("  refused because: %s\n", counts(reasons))
	if len(times) > 0 {
		slices.Sort(times)
		fmt.Printf("  s a document, start of the command and both runs in it: middle %.2f, p95 %.2f, longest %.2f\n", times[len(times)/2], times[len(times)*95/100], times[len(times)-1])
	}
	if hung+crashed+orphans > 0 {
		return errors.New("not every document came to a proper end")
	}
	return nil
}

// why is the last reason in a chain, which is the kind of it.
func why(s string) string {
	s = s[strings.LastIndex(s, ": ")+1:]
	return strings.TrimSpace(s)
}

// children counts the processes that this one is left with, and takes the dead.
func children() int {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
			break
		}
	}
	n := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		b, err := os.ReadFile(f)
		// The name, in brackets, may hold anything; state and parent follow it.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if err == nil && len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			n++
		}
	}
	return n
}
