package delivery_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// A slow destination neither keeps the quick one's result from being written
// down, nor is it served twice.
func TestLegsDoNotWaitForEachOther(t *testing.T) {
	quick := startSink(t, &smtptest.Sink{})
	slow := startSink(t, &smtptest.Sink{Script: at(smtptest.StageData, smtptest.Act{Delay: 3 * time.Second})})
	w := newWorld(t, []routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{quick.Addr()}},
		{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{slow.Addr()}},
	}, []routing.Route{{Domain: "town.example", Hop: "town-mail"}, {Domain: "lg.example", Hop: "lgwan"}})
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@lg.example"},
		networks: []envelope.Network{envelope.NetworkLocal, envelope.NetworkLGWAN}})
	stop := w.start()
	w.until("the quick leg is written down", func() bool {
		return slices.Equal(w.entry(id).Pending, []envelope.Address{addr("b@lg.example")})
	})
	if len(slow.Delivered()) != 0 {
		t.Error("the slow leg was over before")
	}
	w.until("all is done", func() bool { return w.entry(id).State == spool.Done })
	stop()
	if len(quick.Delivered()) != 1 || len(slow.Delivered()) != 1 {
		t.Errorf("%d and %d arrived, want one each", len(quick.Delivered()), len(slow.Delivered()))
	}
}

// greedy is a journal on which somebody else claims in the very moment between
// the settling of the first leg and the taking back.
type greedy struct {
	spool.Journal
	got chan int
}

func (g greedy) Take(ctx context.Context, t envelope.TenantID, id envelope.ID, s spool.State) (spool.Entry, error) {
	es, err := g.Journal.Claim(ctx, spool.Queued, time.Now(), 10)
	if err != nil {
		return spool.Entry{}, err
	}
	g.got <- len(es)
	return g.Journal.Take(ctx, t, id, s)
}

func TestNobodyElseGetsAMessageBetweenItsLegs(t *testing.T) {
	quick := startSink(t, &smtptest.Sink{})
	slow := startSink(t, &smtptest.Sink{Script: at(smtptest.StageData, smtptest.Act{Delay: 3 * time.Second})})
	w := newWorld(t, []routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{quick.Addr()}},
		{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{slow.Addr()}},
	}, []routing.Route{{Domain: "town.example", Hop: "town-mail"}, {Domain: "lg.example", Hop: "lgwan"}})
	g := greedy{w.spool.Journal, make(chan int, 10)}
	w.spool.Journal = g
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@lg.example"},
		networks: []envelope.Network{envelope.NetworkLocal, envelope.NetworkLGWAN}})
	stop := w.start()
	w.until("all is done", func() bool { return w.entry(id).State == spool.Done })
	stop()
	if n := <-g.got; n != 0 {
		t.Error("somebody else could claim it")
	}
}

func TestOneDeadLegDelaysNoOther(t *testing.T) {
	good := startSink(t, &smtptest.Sink{})
	w := newWorld(t, []routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{good.Addr()}},
		{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{closedPort(t)}},
	}, []routing.Route{{Domain: "town.example", Hop: "town-mail"}, {Domain: "lg.example", Hop: "lgwan"}})
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"b@lg.example", "a@town.example"},
		networks: []envelope.Network{envelope.NetworkLocal, envelope.NetworkLGWAN}})
	w.run(id)
	for range 3 {
		w.later(70 * time.Minute)
		w.run(id)
	}
	e := w.entry(id)
	if len(good.Delivered()) != 1 || !slices.Equal(e.Pending, []envelope.Address{addr("b@lg.example")}) || e.Attempts != 4 {
		t.Errorf("%d arrived, pending %v, %d attempts", len(good.Delivered()), e.Pending, e.Attempts)
	}
}

func TestAHopThatIsDownIsProbedAndItsQueueComesAtOnce(t *testing.T) {
	dead := closedPort(t)
	w := local(t, dead)
	w.d.Times.Probe = 100 * time.Millisecond
	var ids []envelope.ID
	for range 5 {
		ids = append(ids, w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}}))
	}
	stop := w.start()
	defer stop()
	w.until("all are deferred", func() bool {
		return !slices.ContainsFunc(ids, func(id envelope.ID) bool { return !w.entry(id).Due.After(w.now()) })
	})
	s := &smtptest.Sink{}
	if err := s.Listen(dead); err != nil {
		t.Skipf("the port was taken by somebody else: %v", err)
	}
	t.Cleanup(s.Close)
	w.until("all arrived, an hour before their time", func() bool { return len(s.Delivered()) == len(ids) })
}

func TestASlowHopDoesNotFillTheWindow(t *testing.T) {
	slow := startSink(t, &smtptest.Sink{Script: at(smtptest.StageMail, smtptest.Act{Delay: 3 * time.Second})})
	quick := startSink(t, &smtptest.Sink{})
	w := newWorld(t, []routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{quick.Addr()}},
		{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{slow.Addr()}, Slots: 2},
	}, []routing.Route{{Domain: "town.example", Hop: "town-mail"}, {Domain: "lg.example", Hop: "lgwan"}})
	w.d.Window = 20
	w.d.Times.Command = 20 * time.Second
	for range 60 {
		w.queue(mail{from: addr("x@b.example"), to: []string{"b@lg.example"}, networks: []envelope.Network{envelope.NetworkLGWAN}})
	}
	stop := w.start()
	defer stop()
	w.until("the slow hop is busy", func() bool { return slow.MostOpen() == 2 })
	for range 5 {
		start := time.Now()
		id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
		w.until("the other hop's mail is through", func() bool { return w.entry(id).State == spool.Done })
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it waited %v beside a slow hop", took)
		}
	}
	if n := slow.MostOpen(); n != 2 {
		t.Errorf("%d connections to the slow hop, it has 2 slots", n)
	}
}
