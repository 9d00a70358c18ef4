package delivery_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// asked counts how often a journal is asked for work.
type asked struct {
	spool.Journal
	claims *atomic.Int64
}

func (a asked) Claim(ctx context.Context, s spool.State, now time.Time, n int) ([]spool.Entry, error) {
	a.claims.Add(1)
	return a.Journal.Claim(ctx, s, now, n)
}

// FT-09: the clock jumps by an hour, by ten years, and a hundred times by a
// second. Nobody's mail is tried more than once more for it, none is given up
// that the clock does not say is over, new mail goes on, and nothing spins.
func TestClockThatJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	tries := map[string]int{}
	var w *world
	busy := &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage != smtptest.StageRcpt {
			return smtptest.Act{}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		tries[c.Address]++
		return smtptest.Act{Reply: "451 4.3.0 not now"}
	}}
	startSink(t, busy)
	good := startSink(t, &smtptest.Sink{})
	w = newWorld(t, []routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{good.Addr()}},
		{Name: "busy", Network: envelope.NetworkLGWAN, Hosts: []string{busy.Addr()}},
		{Name: "dead", Network: envelope.NetworkLGWAN, Hosts: []string{closedPort(t)}},
	}, []routing.Route{{Domain: "town.example", Hop: "town-mail"}, {Domain: "lg.example", Hop: "busy"}, {Domain: "dead.lg.example", Hop: "dead"}})
	var claims atomic.Int64
	w.spool.Journal = asked{w.spool.Journal, &claims}
	var ids []envelope.ID
	for i := range 10 {
		ids = append(ids, w.queue(mail{from: addr("x@b.example"), to: []string{fmt.Sprintf("r%d@lg.example", i)}, networks: []envelope.Network{envelope.NetworkLGWAN}}))
	}
	dead := w.queue(mail{from: addr("x@b.example"), to: []string{"r@dead.lg.example"}, networks: []envelope.Network{envelope.NetworkLGWAN}})
	stop := w.start()
	defer stop()
	most := func() (n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, k := range tries {
			n = max(n, k)
		}
		return n
	}
	began := time.Now()
	n := 0
	for _, c := range []struct {
		name  string
		jump  time.Duration
		steps int
		due   bool // the queue is due after it
		over  bool // and its life is over
	}{
		{"at first", 0, 1, true, false},
		{"an hour on", time.Hour, 1, true, false},
		{"an hour back", -time.Hour, 1, false, false},
		{"a second back, a hundred times", -time.Second, 100, false, false},
		{"ten years back", -10 * year, 1, true, false}, // it must not wait ten years
		{"two hours on from there", 2 * time.Hour, 1, true, false},
		{"ten years on, where it was", 10 * year, 1, true, false},
		{"daylight saving ends", -time.Hour, 1, false, false},
		{"daylight saving begins", time.Hour, 1, false, false},
		{"ten years on", 10 * year, 1, true, true},
		{"ten years back again", -10 * year, 1, false, true},
	} {
		before := most()
		for range c.steps {
			w.later(c.jump)
		}
		w.until(c.name+": the queue is over, or due within the longest time between two tries", func() bool {
			for _, id := range ids {
				e := w.entry(id)
				if e.State == spool.Queued && (!e.Due.After(w.now()) || e.Due.After(w.now().Add(75*time.Minute))) {
					return false
				}
			}
			return true
		})
		if got := most() - before; c.due && !c.over && got != 1 {
			t.Errorf("%s: a message was tried %d times, want once", c.name, got)
		}
		// New mail goes through whatever year it is, twice over: so the queue
		// has been asked for as well.
		for range 2 {
			n++
			id := w.queue(mail{from: addr("x@b.example"), to: []string{fmt.Sprintf("n%d@town.example", n)}})
			w.until(c.name+": new mail is delivered", func() bool { return w.entry(id).State == spool.Done })
		}
		if got := most() - before; got > 1 {
			t.Errorf("%s: a message was tried %d times, want once at most", c.name, got)
		}
		for _, id := range append(ids, dead) {
			if e := w.entry(id); (e.State == spool.Done) != c.over {
				t.Fatalf("%s: %s %s", c.name, e.State, e.Err)
			}
		}
	}
	if got := good.Count(); got != n {
		t.Errorf("%d new messages arrived, want %d", got, n)
	}
	if per := float64(claims.Load()) / time.Since(began).Seconds(); per > 100 {
		t.Errorf("the journal was asked %.0f times a second", per)
	}
	if _, details := w.acts(ids[0]); len(details) == 0 || !strings.Contains(details[len(details)-1], "given up") {
		t.Errorf("audit: %q", details)
	}
}

// Mail that was accepted while the clock was years ahead, and that had not been
// examined when the clock was put right, is due then and not in those years.
func TestWhatAFastClockAcceptedIsExaminedWhenTheClockIsRight(t *testing.T) {
	const tenYears = 10 * 365 * 24 * time.Hour
	for _, restarted := range []bool{false, true} {
		w := newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{closedPort(t)}}},
			[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
		var stop func()
		if !restarted {
			stop = w.start()
		}
		w.later(tenYears)
		e, err := w.spool.NewOurs(t.Context(), spool.OurMail{Tenant: town, Profile: "default", To: []envelope.Address{addr("a@town.example")},
			Write: func(out io.Writer) error { _, err := io.WriteString(out, simple); return err }})
		if err != nil {
			t.Fatal(err)
		}
		e.Due = w.now()
		if err := w.spool.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
			t.Fatal(err)
		}
		// The gateway has to have seen the clock that is ahead.
		if !restarted {
			time.Sleep(500 * time.Millisecond)
		}
		w.later(-tenYears)
		if restarted {
			stop = w.start()
		}
		w.until("it is due", func() bool { return !w.entry(e.Envelope.ID).Due.After(w.now()) })
		stop()
	}
}
