package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/internal/smtptest"
)

// usage is what the daemon holds just now.
type usage struct{ rss, fds, threads int64 }

func (g *gateway) usage() usage {
	g.t.Helper()
	var u usage
	proc := fmt.Sprintf("/proc/%d/", g.cmd.Process.Pid)
	b, err := os.ReadFile(proc + "status")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64) // other lines hold words
		switch f[0] {
		case "VmRSS:":
			u.rss = n << 10
		case "Threads:":
			u.threads = n
		}
	}
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		g.t.Fatal(err)
	}
	u.fds = int64(len(fds))
	return u
}

// TestSoakOfTheGateway sends many mails through one daemon while the server
// behind it keeps going away, and looks whether anything grows. SEKISHO_SOAK
// says how many (default 200). After a fifth of them memory may grow by 1 MiB
// per 10,000, and file descriptors not at all.
func TestSoakOfTheGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	t.Parallel()
	n := int(setting(t, "SEKISHO_SOAK", 200))
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), "")
	var away atomic.Bool
	g.sink.Script = func(c smtptest.Call) smtptest.Act {
		if away.Load() && c.Stage == smtptest.StageGreeting {
			return smtptest.Act{Reset: true}
		}
		return smtptest.Act{}
	}
	g.boot()
	began := time.Now()
	stop := g.load(4, 0)
	reach := func(n int) {
		for i := 0; ; i++ {
			if have, _ := g.count(); have >= n {
				break
			}
			// A second in thirty the server is not there. What is deferred
			// then is tried again after minutes: not in the short form.
			away.Store(n >= 1000 && i%300 < 10)
			time.Sleep(100 * time.Millisecond)
		}
		away.Store(false)
	}
	settled := func() usage {
		g.await("the queue to drain", 30*time.Minute, func() bool {
			time.Sleep(200 * time.Millisecond)
			return g.cli("queue", "list", "--json") == ""
		})
		return g.usage()
	}
	reach(n / 5)
	stop()
	first := settled()
	stop = g.load(4, 0)
	reach(n)
	stop()
	last := settled()
	r := g.drained(result{Test: "soak", Seconds: int(time.Since(began).Seconds())})
	t.Logf(`{"test":"soak usage","messages":%d,"rss_mib":[%d,%d],"fds":[%d,%d],"threads":[%d,%d]}`,
		r.Acknowledged, first.rss>>20, last.rss>>20, first.fds, last.fds, first.threads, last.threads)
	if last.fds > first.fds+20 {
		t.Errorf("%d file descriptors, %d after a fifth", last.fds, first.fds)
	}
	if n >= 20000 && last.rss-first.rss > int64(n)*4/5/10000<<20 {
		t.Errorf("%d MiB, %d MiB after a fifth", last.rss>>20, first.rss>>20)
	}
	for _, dir := range []string{"blobs/tmp", "damaged"} {
		if es, err := os.ReadDir(filepath.Join(g.data, dir)); err != nil || len(es) != 0 {
			t.Errorf("%d files in %s, %v", len(es), dir, err)
		}
	}
}
