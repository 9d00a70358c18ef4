package delivery_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// illHop is one way to misbehave, and what must become of mail that goes there.
type illHop struct {
	name   string
	mode   string // TLS
	sink   *smtptest.Sink
	script func(*illHop) func(smtptest.Call) smtptest.Act // instead of the sink's
	want   string                                         // sent, bounced or given up: of every message
	copies int                                            // at most, of each message; zero is one
	twice  bool                                           // "may be delivered twice" is said
	either bool                                           // or not: a small message is out before the reset is seen
	each   int                                            // messages

	done atomic.Int32
	w    *world
}

// illHops is fault test FT-06: an answer for now and one for good at each
// stage, silence, one octet at a time, resets, TLS that fails, greylisting.
func illHops(server, foreign *tls.Config) []*illHop {
	answer := func(stage smtptest.Stage, reply string) *smtptest.Sink {
		return &smtptest.Sink{Script: at(stage, smtptest.Act{Reply: reply, Close: stage == smtptest.StageGreeting})}
	}
	act := func(stage smtptest.Stage, a smtptest.Act) *smtptest.Sink {
		return &smtptest.Sink{Script: at(stage, a)}
	}
	hs := []*illHop{
		{name: "nobody-listens", want: "given up"},
		{name: "connect-421", sink: answer(smtptest.StageGreeting, "421 4.3.2 busy"), want: "given up"},
		{name: "connect-554", sink: answer(smtptest.StageGreeting, "554 5.7.1 no"), want: "given up"},
		{name: "connect-521", sink: answer(smtptest.StageGreeting, "521 5.3.2 no mail"), want: "bounced"},
		{name: "half-open", sink: act(smtptest.StageGreeting, smtptest.Act{Hang: true}), want: "given up"},
		{name: "reset-after-the-dot", copies: 2, twice: true, want: "sent", sink: &smtptest.Sink{}, script: func(h *illHop) func(smtptest.Call) smtptest.Act {
			return func(c smtptest.Call) smtptest.Act {
				// Each message once: their next try is a minute away.
				return smtptest.Act{Reset: c.Stage == smtptest.StageFinal && int(h.done.Add(1)) <= h.each}
			}
		}},
		{name: "reset-in-the-body", sink: act(smtptest.StageBody, smtptest.Act{Reset: true, After: 10}), want: "given up", either: true},
		{name: "greylisting", want: "sent", sink: &smtptest.Sink{}, script: func(h *illHop) func(smtptest.Call) smtptest.Act {
			return func(c smtptest.Call) smtptest.Act {
				if c.Stage == smtptest.StageRcpt && h.w.now().Sub(h.w.born) < 5*time.Minute {
					return smtptest.Act{Reply: "450 4.2.0 greylisted, come again"}
				}
				return smtptest.Act{}
			}
		}},
		{name: "tls-noise", mode: "require", sink: &smtptest.Sink{TLS: server, Script: at(smtptest.StageHandshake, smtptest.Act{Noise: true})}, want: "given up"},
		{name: "tls-reset", mode: "require", sink: &smtptest.Sink{TLS: server, Script: at(smtptest.StageHandshake, smtptest.Act{Reset: true})}, want: "given up"},
		{name: "tls-hang", mode: "require", sink: &smtptest.Sink{TLS: server, Script: at(smtptest.StageHandshake, smtptest.Act{Hang: true})}, want: "given up"},
		{name: "tls-not-offered", mode: "require", sink: &smtptest.Sink{}, want: "given up"},
		{name: "tls-wrong-certificate", mode: "require", sink: &smtptest.Sink{TLS: foreign}, want: "given up"},
		{name: "tls-good", mode: "require", sink: &smtptest.Sink{TLS: server}, want: "sent"},
		{name: "tls-fails-but-need-not-be", sink: &smtptest.Sink{TLS: server, Script: at(smtptest.StageHandshake, smtptest.Act{Noise: true})}, want: "sent"},
	}
	for _, s := range []struct {
		stage  smtptest.Stage
		for5xx string
	}{
		{smtptest.StageEHLO, "given up"},
		{smtptest.StageMail, "bounced"},
		{smtptest.StageRcpt, "bounced"},
		{smtptest.StageData, "bounced"},
		{smtptest.StageFinal, "bounced"},
	} {
		final := s.stage == smtptest.StageFinal
		// Nobody can know how often a server took what it did not answer: once
		// for each try.
		many := 0
		if final {
			many = 1000
		}
		hs = append(hs,
			&illHop{name: string(s.stage) + "-451", sink: answer(s.stage, "451 4.3.0 not now"), want: "given up"},
			&illHop{name: string(s.stage) + "-550", sink: answer(s.stage, "550 5.7.1 no"), want: s.for5xx},
			&illHop{name: string(s.stage) + "-421", sink: &smtptest.Sink{Script: at(s.stage, smtptest.Act{Reply: "421 4.3.2 closing", Close: true})}, want: "given up"},
			&illHop{name: string(s.stage) + "-silent", sink: act(s.stage, smtptest.Act{Hang: true}), want: "given up", twice: final, copies: many},
			&illHop{name: string(s.stage) + "-reset", sink: act(s.stage, smtptest.Act{Reset: true}), want: "given up", twice: final, copies: many},
			&illHop{name: string(s.stage) + "-tarpit", sink: act(s.stage, smtptest.Act{Drip: 100 * time.Millisecond, Reply: "250 " + strings.Repeat("x", 100)}), want: "given up", twice: final, copies: many},
		)
	}
	return hs
}

// All at once, beside one hop that is well: every message ends as it must, the
// tries follow their schedule, no hop sees more connections than it has slots,
// and the mail of the healthy one is not kept. SEKISHO_FAULTS makes it 20
// messages a hop over the whole five days, and judges the healthy hop's times.
func TestIllHopsAllAtOnce(t *testing.T) {
	long := os.Getenv("SEKISHO_FAULTS") != ""
	each, life := 2, 3*time.Hour
	if long {
		each, life = 20, 5*24*time.Hour
	}
	const slots = 2
	ca := newAuthority(t)
	hs := illHops(ca.server(t), newAuthority(t).server(t))
	var hops []routing.Hop
	var routes []routing.Route
	for _, h := range hs {
		to := closedPort(t)
		h.each = each
		if h.sink != nil {
			if h.script != nil {
				h.sink.Script = h.script(h)
			}
			to = startSink(t, h.sink).Addr()
		}
		hops = append(hops, routing.Hop{Name: h.name, Network: envelope.NetworkLocal, Hosts: []string{to}, TLS: h.mode, Slots: slots})
		routes = append(routes, routing.Route{Domain: h.name + ".example", Hop: h.name})
	}
	healthy := startSink(t, &smtptest.Sink{})
	hops = append(hops, routing.Hop{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{healthy.Addr()}})
	routes = append(routes, routing.Route{Domain: "town.example", Hop: "town-mail"})
	w := newWorld(t, hops, routes)
	w.patience = 2 * time.Minute
	w.spool.Inline = spool.DefaultInline
	w.born = w.now()
	w.d.Roots = ca.pool
	w.d.Life = life
	w.d.Window = 400 // as many hops as a prefecture has
	const short = 400 * time.Millisecond
	w.d.Times = delivery.Times{Connect: short, Command: short, Block: short, Final: short, Look: short, Probe: time.Second}
	stop := w.start()
	defer stop()
	alone := w.pace(healthy, 20*each, func() bool { return true })

	type sentTo struct {
		h  *illHop
		id envelope.ID
	}
	var all []sentTo
	began := w.now()
	for _, h := range hs {
		h.w = w
		for i := range each {
			m := mail{from: addr("tanaka@town.example"), zone: envelope.LGWAN, treatment: envelope.Pass, to: []string{fmt.Sprintf("r%d@%s.example", i, h.name)}}
			all = append(all, sentTo{h, w.queue(m)})
		}
	}
	beside := w.pace(healthy, 20*each, func() bool { return true })

	// Time is let run from one try to the next.
	schedule := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	attempts := map[envelope.ID]int{}
	tries, off := 0, 0
	for ; ; began = w.now() {
		var queue []spool.Entry
		w.until("all that is due has been tried", func() bool {
			queue = queue[:0]
			for _, s := range all {
				e := w.entry(s.id)
				if e.State != spool.Queued {
					continue
				}
				if !e.Due.After(w.now()) {
					return false
				}
				queue = append(queue, e)
			}
			return true
		})
		if len(queue) == 0 {
			break
		}
		var next, nextDown time.Time
		for _, e := range queue {
			down := strings.Contains(e.Err, "hop is down")
			if !down && e.Due.After(next) {
				next = e.Due
			}
			if e.Due.After(nextDown) {
				nextDown = e.Due
			}
			if n := e.Attempts; n > attempts[e.Envelope.ID] {
				attempts[e.Envelope.ID] = n
				tries++
				want := schedule[min(n, len(schedule))-1]
				if down {
					// It was not tried: the probe says when it is.
					want = time.Hour
				}
				// The time to come was reckoned somewhere in this round.
				if e.Due.Before(began.Add(want*9/10)) || e.Due.After(w.now().Add(want*11/10)) {
					off++
					t.Errorf("after try %d it is due in %v, want %v and a tenth", n, e.Due.Sub(began), want)
				}
			}
		}
		// To the last of those that wait by the schedule, so that all of them
		// have one try more.
		if next.IsZero() {
			next = nextDown
		}
		w.later(max(next.Sub(w.now()), 0) + time.Millisecond)
	}

	log := w.log.String()
	for _, s := range all {
		e := w.entry(s.id)
		acts, details := w.acts(s.id)
		last := len(acts) - 1
		got := "nothing"
		switch {
		case last < 0:
		case acts[last] == "bounced" && strings.Contains(details[last], "given up"):
			got = "given up"
		default:
			got = acts[last]
		}
		if got != s.h.want || e.State != spool.Done {
			t.Errorf("%s: %s, %s; want %s; %v", s.h.name, e.State, got, s.h.want, details)
		}
		_, texts := w.spawned(s.id)
		told := 0
		for _, text := range texts {
			if strings.Contains(text, "Action: failed\r\n") {
				told++
			}
		}
		if want := map[bool]int{true: 0, false: 1}[s.h.want == "sent"]; told != want {
			t.Errorf("%s: the sender was told %d times of a failure, want %d", s.h.name, told, want)
		}
		warned := strings.Contains(log, `"msg":"may be delivered twice","id":"`+string(s.id))
		if warned != s.h.twice && !s.h.either {
			t.Errorf("%s: warned of a copy: %v, want %v", s.h.name, warned, s.h.twice)
		}
		if s.h.sink == nil {
			continue
		}
		copies := 0
		for _, m := range s.h.sink.Delivered() {
			if strings.Contains(string(m.Data), "id "+string(s.id)+";") {
				copies++
			}
		}
		if most := max(1, s.h.copies); copies > most || s.h.want == "sent" && copies == 0 {
			t.Errorf("%s: %d copies of a message arrived, want at most %d", s.h.name, copies, most)
		}
	}
	for _, h := range hs {
		// A server that writes an octet now and then learns late that we have gone;
		// any other a moment later, when the next ones may be there.
		if h.sink != nil && h.sink.MostOpen() > 2*slots && !strings.HasSuffix(h.name, "-tarpit") {
			t.Errorf("%s: %d connections at a time, it has %d slots", h.name, h.sink.MostOpen(), slots)
		}
	}
	if !slices.ContainsFunc(all, func(s sentTo) bool { return attempts[s.id] >= 4 }) {
		t.Error("nothing was tried four times: the schedule was not seen")
	}
	line, err := json.Marshal(map[string]any{"hops": len(hs), "messages": len(all), "tries": tries, "off_schedule": off, "p95_ms_alone": ms(p95(alone)), "p95_ms_beside": ms(p95(beside))})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", line)
	if most := 2 * max(p95(alone), 5*time.Millisecond); long && p95(beside) > most {
		t.Errorf("the healthy hop's p95 was %v alone and %v beside the ill ones", p95(alone), p95(beside))
	}
}
