package delivery_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/spool"
)

// noted has the daemon before this one write down what a hop answered, and no
// more: it was killed before it settled.
func (w *world) noted(id envelope.ID, to ...string) {
	w.t.Helper()
	e := w.entry(id)
	n := spool.NoteOf(&e)
	n.Hop, n.Host, n.Answer = "town-mail", "inner.example", "250 2.0.0 taken"
	for _, a := range to {
		n.To = append(n.To, addr(a))
	}
	if err := w.spool.Notes.Write(n); err != nil {
		w.t.Fatal(err)
	}
	w.restarted()
}

func TestWhatAHopTookBeforeAKillIsNotSentAgain(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	all := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}})
	some := w.queue(mail{from: addr("x@b.example"), to: []string{"c@town.example", "d@town.example"}})
	w.noted(all, "a@town.example", "b@town.example")
	w.noted(some, "d@town.example")
	// Not run: what was noted is settled on its own first, with a time to try the
	// rest again.
	stop := w.start()
	w.until("both are done", func() bool { return w.entry(all).State == spool.Done && w.entry(some).State == spool.Done })
	stop()
	var got []string
	for _, m := range s.Delivered() {
		got = append(got, m.To...)
	}
	if !slices.Equal(got, []string{"c@town.example"}) {
		t.Errorf("sent to %v, want c@ alone", got)
	}
	for _, id := range []envelope.ID{all, some} {
		if e := w.entry(id); e.State != spool.Done || len(e.Pending) != 0 {
			t.Errorf("%s, %v pending", e.State, e.Pending)
		}
	}
	// It is told like everything that was sent, in the log and in the audit.
	if n := strings.Count(w.log.String(), `"msg":"sent"`); n != 4 {
		t.Errorf("%d lines for 4 recipients\n%s", n, w.log)
	}
	rs, err := w.spool.Audit(context.Background(), town, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, r := range rs {
		if r.Act == "sent" && strings.Contains(r.Detail, "host inner.example: 250 2.0.0 taken") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("%d records of what was noted, want 2", told)
	}
	// What is settled needs no note.
	for _, id := range []envelope.ID{all, some} {
		e := w.entry(id)
		e.Pending = e.Envelope.To
		if n := w.spool.Notes.Of(&e); len(n) != 0 {
			t.Errorf("still noted: %v", n)
		}
	}
}

// TestWhatWasSentIsNotHeldAsPoison: a message that was in hand at three deaths,
// the last time after the next hop had it, is done.
func TestWhatWasSentIsNotHeldAsPoison(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	all := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	some := w.queue(mail{from: addr("x@b.example"), to: []string{"b@town.example", "c@town.example"}})
	w.died(spool.PoisonDeaths, all, some)
	w.noted(all, "a@town.example")
	w.noted(some, "b@town.example")
	w.run(all, some)
	if e := w.entry(all); e.State != spool.Done {
		t.Errorf("one that arrived is %s, %s", e.State, e.Verdict.Class)
	}
	if e := w.entry(some); e.State != spool.Held || !slices.Equal(e.Pending, []envelope.Address{addr("c@town.example")}) {
		t.Errorf("the other is %s with %v pending, want Held for c@ alone", e.State, e.Pending)
	}
	if n := len(s.Delivered()); n != 0 {
		t.Errorf("%d were sent", n)
	}
}

// died has the daemon die with these in its hand, so often.
func (w *world) died(times int, ids ...envelope.ID) {
	w.t.Helper()
	for range times {
		for _, id := range ids {
			if _, err := w.spool.Take(w.t.Context(), town, id, spool.Queued); err != nil {
				w.t.Fatal(err)
			}
		}
		if _, err := w.spool.Journal.(interface {
			Recover(context.Context) (int, error)
		}).Recover(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.later(time.Minute)
	}
}

// TestAMessageWhoseAnswerWasNotHeardIsTriedLonger: it is noted, before the final
// dot, that the hop has all of it. A person would find it in quarantine, and the
// recipient in his mailbox.
func TestAMessageWhoseAnswerWasNotHeardIsTriedLonger(t *testing.T) {
	var w *world
	var id envelope.ID
	asked, sent := 0, 0
	s := startSink(t, &smtptest.Sink{Deliver: func(smtptest.Taken) {
		sent++
		e := w.entry(id)
		for _, n := range w.spool.Notes.Of(&e) {
			if n.Asked && slices.Equal(n.To, e.Pending) {
				asked++
			}
		}
	}})
	w = local(t, s.Addr())
	for _, c := range []struct{ deaths, asked int }{{0, 1}, {1, 1}} {
		id, asked = w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}}), 0
		w.died(c.deaths, id)
		w.run(id)
		if e := w.entry(id); e.State != spool.Done || asked != c.asked {
			t.Errorf("after %d deaths: %s, noted %d times before the dot, want %d", c.deaths, e.State, asked, c.asked)
		}
		e := w.entry(id)
		e.Pending = e.Envelope.To
		if n := w.spool.Notes.Of(&e); len(n) != 0 {
			t.Errorf("after %d deaths: still noted: %v", c.deaths, n)
		}
	}

	sent = 0
	for _, c := range []struct {
		deaths int
		asked  bool
		want   spool.State
		why    string
	}{
		{spool.PoisonDeaths, true, spool.Done, ""},
		{spool.PoisonDeaths, false, spool.Held, "the gateway stopped several times while it had this message in hand"},
		{2 * spool.PoisonDeaths, true, spool.Held, "the gateway stopped several times while it had this message in hand; it may have been delivered"},
	} {
		id = w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
		w.died(c.deaths, id)
		if c.asked {
			e := w.entry(id)
			n := spool.NoteOf(&e)
			n.To, n.Hop, n.Host, n.Asked = e.Pending, "town-mail", "inner.example", true
			if err := w.spool.Notes.Write(n); err != nil {
				t.Fatal(err)
			}
			w.restarted()
		}
		w.run(id)
		if e := w.entry(id); e.State != c.want || c.want == spool.Held && e.Err != c.why {
			t.Errorf("%d deaths, asked %v: %s, %q", c.deaths, c.asked, e.State, e.Err)
		}
	}
	if sent != 1 {
		t.Errorf("%d were sent, want 1", sent)
	}
}

// TestANoteIsOnWhatWasSent: a message that was examined anew since is another
// one.
func TestANoteIsOnWhatWasSent(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	e := w.entry(id)
	e.Seal = []byte("of another form")
	n := spool.NoteOf(&e)
	n.To = e.Pending
	if err := w.spool.Notes.Write(n); err != nil {
		t.Fatal(err)
	}
	w.restarted()
	w.run(id)
	if n := len(s.Delivered()); n != 1 {
		t.Errorf("%d copies, want 1", n)
	}
}
