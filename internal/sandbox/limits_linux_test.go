package sandbox

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMemoryLimitNeedsNamespaces(t *testing.T) {
	if out, state := run(t, small(), "allocate", "4"); state.Err() != nil || out != "allocated 64 MiB\n" {
		t.Errorf("below the limit: %v: %s", state.Err(), out)
	}
	out, state := run(t, small(), "allocate", "16")
	// The runtime says "out of memory" or stumbles over its own failed
	// allocation; either ends it.
	if state.Err() == nil || strings.Contains(out, "allocated") {
		t.Errorf("256 MiB under a limit of 192: %v: %.200s", state.Err(), out)
	}
}

func TestCPULimitNeedsNamespaces(t *testing.T) {
	p := small()
	p.CPU = time.Second
	_, state := run(t, p, "spin")
	if state.Err() != ErrCPU {
		t.Errorf("ended with %v after %v, want %v", state.Err(), state.User+state.System, ErrCPU)
	}
	if cpu := state.User + state.System; cpu < 500*time.Millisecond || cpu > 3*time.Second {
		t.Errorf("it used %v of CPU under a limit of 1s", cpu)
	}
}

func TestFileSizeLimitNeedsNamespaces(t *testing.T) {
	for _, c := range []struct {
		act, n string
		fails  bool
	}{
		{"write", "8", false},
		{"write", "9", true},
		{"truncate", "8388608", false},
		{"truncate", "8388609", true},
	} {
		out := memfd(t)
		p, err := (&Command{Path: program(t), Args: []string{c.act, c.n}, Profile: small(), Files: []*os.File{nil, nil, nil, out}}).Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		state, err := p.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if (state.Err() != nil) != c.fails {
			t.Errorf("%s %s under a limit of 8 MiB: %v", c.act, c.n, state.Err())
		}
		if st, err := out.Stat(); err != nil || st.Size() > 8<<20 {
			t.Errorf("%s %s: the file has %d bytes (%v)", c.act, c.n, st.Size(), err)
		}
	}
}

func TestThreadLimitNeedsNamespaces(t *testing.T) {
	if !kernelAtLeast(5, 14) {
		t.Skip("skipped: before Linux 5.14 threads are counted for the whole host and are not limited")
	}
	out, state := run(t, small(), "threads", "200")
	if state.Err() == nil || strings.Contains(out, "threads 200") {
		t.Errorf("200 threads under a limit of 48: %v: %.200s", state.Err(), out)
	}
}
