package faults

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sekisho/internal/faults/lossyfs"
)

// setting reads a number from the environment.
func setting(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return usual
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestPowerCutsOfTheGatewayAsRootWithFUSE runs the real daemon under load on a
// disk whose power is cut at random instants; then everything that was
// acknowledged must have arrived or be held. SEKISHO_CUTS says how often
// (default 3), SEKISHO_SEED replays a run.
func TestPowerCutsOfTheGatewayAsRootWithFUSE(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	t.Parallel()
	disk := lossyfs.New(t)
	cuts := int(setting(t, "SEKISHO_CUTS", 3))
	seed := setting(t, "SEKISHO_SEED", uint64(time.Now().UnixNano()))
	random := rand.New(rand.NewPCG(seed, 1))
	began := time.Now()
	r := result{Test: "power cuts", Seed: seed, Cuts: cuts}
	g := newGateway(t, filepath.Join(disk.Dir, "data"), "")
	stop := g.load(6, 15*time.Millisecond)
	modes := []lossyfs.Mode{lossyfs.Drop, lossyfs.Some, lossyfs.Torn}
	for i := range cuts {
		ready := g.boot()
		r.ReadyMaxMillis = max(r.ReadyMaxMillis, ready.Milliseconds())
		// An instant that nothing in the daemon can foresee.
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		if i%10 == 9 {
			g.term() // and some right after an orderly stop
		}
		disk.Cut(modes[random.IntN(len(modes))], random.Uint64())
		g.kill()
		disk.Remount()
	}
	r.ReadyMaxMillis = max(r.ReadyMaxMillis, g.boot().Milliseconds())
	time.Sleep(300 * time.Millisecond)
	stop()
	r.Seconds = int(time.Since(began).Seconds())
	r = g.drained(r)
	if r.Acknowledged < 10*cuts {
		t.Errorf("only %d messages were acknowledged: this shows nothing", r.Acknowledged)
	}
}
