package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	measured "runtime/metrics"
	"strconv"
	"strings"
)

const (
	// usualPercent of what lives may be garbage before it is collected: the heap
	// is small beside what a mail allocates, and half as many collections save a
	// tenth of the CPU time and cost 5 MiB.
	usualPercent = 200
	// leastPercent is for thousands of connections, of which most are buffers
	// that the collector need not read.
	leastPercent = 25
	// garbage is how much of it there may be beside more than that. Less
	// would count under the load of texts, too, and cost a tenth of what passes.
	garbage = 24 << 20
)

// memory keeps what the daemon uses near what it needs. The two variables of
// the runtime count before it, each for its part.
type memory struct {
	limit   int64 // of what the process may have, softly; 0: none is known
	percent int   // in force; 0: not ours to say

	allocated uint64 // in all, a second ago
	rested    uint64 // and when it was last given back
}

// newMemory sets what can be known at the start.
func newMemory() *memory {
	var m memory
	switch {
	case os.Getenv("GOMEMLIMIT") != "":
		if n := debug.SetMemoryLimit(-1); n < math.MaxInt64 {
			m.limit = n
		}
	default:
		// The other half is for the workers and the programs that draw pages,
		// which are in the same group.
		if m.limit = groupMemory(os.DirFS("/")) / 2; m.limit > 0 {
			debug.SetMemoryLimit(m.limit)
		}
	}
	if os.Getenv("GOGC") == "" {
		m.percent = usualPercent
		debug.SetGCPercent(m.percent)
	}
	return &m
}

const (
	// quiet is how little is allocated in a second in which nothing happens.
	quiet = 4 << 20
	// worth is how much must have been allocated for it to be worth to collect and
	// to give back: as much as the collector lets come together by itself.
	worth = 16 << 20
)

// rest gives back, in the first quiet second after work, what nobody needs: the
// garbage of ten thousand handshakes would lie there for minutes otherwise, and
// the stacks that they needed. It costs one collection, and so does no more than
// the collector by itself, a second earlier.
func (m *memory) rest() {
	if m.percent == 0 {
		return
	}
	total, ok := octets("/gc/heap/allocs:bytes")
	if !ok {
		return
	}
	calm := total-m.allocated < quiet
	m.allocated = total
	if calm && total-m.rested >= worth {
		// A stack becomes half as large in a collection.
		runtime.GC()
		debug.FreeOSMemory()
		m.rested = total
	}
}

// adapt sets how much garbage there may be by what lives now.
func (m *memory) adapt() {
	if m.percent == 0 {
		return
	}
	live, ok := octets("/gc/heap/live:bytes")
	if !ok {
		return
	}
	// It stops the world for a moment, so not for every connection.
	if p := percentFor(live); p < m.percent*9/10 || p > m.percent*11/10 {
		m.percent = p
		debug.SetGCPercent(p)
	}
}

// octets is a figure of the runtime; false where this runtime has none of that name.
func octets(name string) (uint64, bool) {
	s := []measured.Sample{{Name: name}}
	measured.Read(s)
	if s[0].Value.Kind() != measured.KindUint64 {
		return 0, false
	}
	return s[0].Value.Uint64(), true
}

func percentFor(live uint64) int {
	return int(min(max(garbage*100/max(live, 1), leastPercent), usualPercent))
}

// perConnection is what an idle connection under TLS costs at most, as measured
// (performance.md).
const perConnection = 48 << 10

// connections is how many of these fit into three quarters of the limit.
func (m *memory) connections() int {
	if m.limit == 0 {
		return math.MaxInt
	}
	return max(int(m.limit*3/4/perConnection), 10)
}

// groupMemory is the least that a control group of this process may have, of
// version 2 or 1; 0 when none says.
func groupMemory(root fs.FS) int64 {
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		dir, file := "", ""
		switch {
		case f[0] == "0" && f[1] == "":
			dir, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+f[1]+",", ",memory,"):
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// Every group above counts too. In a container the path may be one of
		// outside, of which there is nothing here but the top.
		for p := path.Clean("/" + f[2]); ; p = path.Dir(p) {
			if b, err := fs.ReadFile(root, path.Join(dir, p, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
					least = min(least, n)
				}
			}
			if p == "/" {
				break
			}
		}
	}
	// Version 1 writes a number near the largest for none.
	if least > 1<<60 {
		return 0
	}
	return least
}
