package main

import (
	"log/slog"
	"math"
	"runtime/debug"
	measured "runtime/metrics"
	"strings"
	"testing"
	"testing/fstest"

	"sekisho/smtpd"
)

func TestMemoryIsWhatTheGroupGives(t *testing.T) {
	files := func(kv ...string) fstest.MapFS {
		m := fstest.MapFS{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = &fstest.MapFile{Data: []byte(kv[i+1] + "\n")}
		}
		return m
	}
	for name, c := range map[string]struct {
		root fstest.MapFS
		want int64
	}{
		"nothing is known": {files(), 0},
		"version 2, by the unit": {files("proc/self/cgroup", "0::/system.slice/sekishod.service/daemon", "sys/fs/cgroup/system.slice/sekishod.service/memory.max", "805306368",
			"sys/fs/cgroup/system.slice/sekishod.service/daemon/memory.max", "max"), 768 << 20},
		"version 2, a slice above gives less": {files("proc/self/cgroup", "0::/a/b", "sys/fs/cgroup/a/memory.max", "1000000", "sys/fs/cgroup/a/b/memory.max", "2000000"), 1000000},
		"version 2, a container":              {files("proc/self/cgroup", "0::/", "sys/fs/cgroup/memory.max", "536870912"), 512 << 20},
		"version 2, no limit":                 {files("proc/self/cgroup", "0::/a", "sys/fs/cgroup/a/memory.max", "max"), 0},
		"version 1":                           {files("proc/self/cgroup", "4:memory:/a\n0::/", "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "536870912"), 512 << 20},
		"version 1, a path of outside":        {files("proc/self/cgroup", "4:memory:/docker/x", "sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912"), 512 << 20},
		"version 1, no limit":                 {files("proc/self/cgroup", "4:memory:/", "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"), 0},
		"a path that climbs":                  {files("proc/self/cgroup", "0::/../../etc", "sys/fs/cgroup/memory.max", "536870912"), 512 << 20},
		"noise":                               {files("proc/self/cgroup", "0::/a", "sys/fs/cgroup/a/memory.max", "-1"), 0},
	} {
		if got := groupMemory(c.root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// Garbage grows with what lives only up to a bound, or thousands of idle
// connections would cost three times what they hold.
func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 200}, {12 << 20, 200}, {24 << 20, 100}, {48 << 20, 50}, {96 << 20, 25}, {400 << 20, 25}} {
		if got := percentFor(c.live); got != c.want {
			t.Errorf("%d MiB: %d, want %d", c.live>>20, got, c.want)
		}
	}
}

func TestConnectionsFitIntoTheMemory(t *testing.T) {
	for limit, want := range map[int64]int{0: math.MaxInt, 256 << 20: 4096, 1 << 30: 16384, 1: 10} {
		if got := (&memory{limit: limit}).connections(); got != want {
			t.Errorf("%d MiB: %d connections, want %d", limit>>20, got, want)
		}
	}
}

func TestTooManyConnectionsForTheMemoryAreSaid(t *testing.T) {
	var log strings.Builder
	g := &gateway{log: slog.New(slog.NewTextHandler(&log, nil)), memory: &memory{limit: 256 << 20}}
	l := smtpd.DefaultLimits()
	got := g.within(l)
	if got.Connections != 4096 || got.NearCap >= got.Connections || got.StressAt >= got.NearCap || got.ConnectionsPerNetwork*5 > got.Connections || !strings.Contains(log.String(), "4096 connections are taken") {
		t.Errorf("%+v; log %q", got, log.String())
	}
	g.memory.limit = 0
	if got := g.within(l); got != l {
		t.Error("without a limit something was lowered")
	}
}

// TestAQuietSecondGivesMemoryBack: not the seconds of work, and not again while
// nothing was done since.
func TestAQuietSecondGivesMemoryBack(t *testing.T) {
	held := func() uint64 {
		s := []measured.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		measured.Read(s)
		return s[0].Value.Uint64() + s[1].Value.Uint64() + s[2].Value.Uint64()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nobody else collects
	m := memory{percent: usualPercent}
	m.rest()
	const n = 64 << 20
	before := held()
	for range n >> 10 {
		garbage1K = make([]byte, 1<<10)
	}
	m.rest()
	if got := held(); got < before+n/2 {
		t.Errorf("a second of work gave %d MiB back", (before+n-got)>>20)
	}
	m.rest()
	rested := held()
	if rested > before+n/4 {
		t.Errorf("a quiet second left %d MiB", (rested-before)>>20)
	}
	for range 1 << 10 {
		garbage1K = make([]byte, 1<<10)
	}
	collections := cycles()
	m.rest()
	m.rest()
	if cycles() != collections {
		t.Error("it collects when nothing was done")
	}
	m = memory{} // somebody else says when
	m.rest()
	for range n >> 10 {
		garbage1K = make([]byte, 1<<10)
	}
	m.rest()
	m.rest()
	if cycles() != collections {
		t.Error("it collects where GOGC says how")
	}
}

var garbage1K []byte

func cycles() uint64 {
	s := []measured.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	measured.Read(s)
	return s[0].Value.Uint64()
}
