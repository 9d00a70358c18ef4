package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// at is a script that acts at one stage.
func at(stage smtptest.Stage, act smtptest.Act) func(smtptest.Call) smtptest.Act {
	return func(c smtptest.Call) smtptest.Act {
		if c.Stage == stage {
			return act
		}
		return smtptest.Act{}
	}
}

func TestSealedBytesArriveWithReceivedBeforeThem(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"tanaka@town.example"}})
	w.run(id)
	ms := s.Delivered()
	if len(ms) != 1 {
		t.Fatalf("%d messages arrived, want 1; log:\n%s", len(ms), w.log)
	}
	m := ms[0]
	head, ok := strings.CutSuffix(string(m.Data), simple)
	if !ok {
		t.Fatalf("what arrived does not end in what was sealed:\n%s", m.Data)
	}
	want := "Received: from out.b.example ([192.0.2.7])\r\n\tby mx.town.example with ESMTPS id " + string(id) + ";\r\n\t" +
		w.entry(id).Envelope.Received.Format(time.RFC1123Z) + "\r\n"
	if head != want {
		t.Errorf("before it stands\n%q, want\n%q", head, want)
	}
	if m.From != "x@b.example" || !slices.Equal(m.To, []string{"tanaka@town.example"}) || m.Helo != "mx.town.example" {
		t.Errorf("envelope %q %q, EHLO %q", m.From, m.To, m.Helo)
	}
	e := w.entry(id)
	if e.State != spool.Done || len(e.Pending) != 0 {
		t.Errorf("the entry is %s with %v pending", e.State, e.Pending)
	}
	if acts, _ := w.acts(id); !slices.Equal(acts, []string{"sent"}) {
		t.Errorf("audit %v, want sent", acts)
	}
}

func TestAddressesTravelUnchanged(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}}},
		[]routing.Route{{Domain: "*", Hop: "town-mail"}})
	to := []string{".a..b.@docomo.ne.jp", `"a..b"@docomo.ne.jp`, "A+b=c/d@docomo.ne.jp", "x..@ezweb.ne.jp", "日本@docomo.ne.jp"}
	id := w.queue(mail{from: addr("..x..@docomo.ne.jp"), to: to, utf8: true})
	w.run(id)
	ms := s.Delivered()
	if len(ms) != 1 || ms[0].From != "..x..@docomo.ne.jp" || !slices.Equal(ms[0].To, to) {
		t.Fatalf("arrived %+v, want to %q", ms, to)
	}
}

func TestAddressesThatCouldInjectAreNotSent(t *testing.T) {
	for _, name := range []string{"a> RCPT TO:<b", "a\r\nRCPT TO:<b", "a b", "a\x00b", "<a", "a\tb", ""} {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			s := startSink(t, &smtptest.Sink{})
			w := local(t, s.Addr())
			bad := envelope.Address{Local: name, Domain: "town.example"}
			id := w.queueTo(mail{from: addr("x@b.example")}, bad)
			w.run(id)
			if got := w.entry(id); got.State != spool.Done || len(s.Commands()) != 0 {
				t.Errorf("%s, commands %q", got.State, s.Commands())
			}
			if acts, details := w.acts(id); !slices.Equal(acts, []string{"bounced"}) {
				t.Errorf("audit %v %v", acts, details)
			}
		})
	}
}

func TestHostsAreTriedInOrder(t *testing.T) {
	busy := startSink(t, &smtptest.Sink{Script: at(smtptest.StageGreeting, smtptest.Act{Reply: "421 busy", Close: true})})
	full := startSink(t, &smtptest.Sink{Script: at(smtptest.StageMail, smtptest.Act{Reply: "452 4.3.1 full"})})
	good := startSink(t, &smtptest.Sink{})
	spare := startSink(t, &smtptest.Sink{})
	w := local(t, closedPort(t), busy.Addr(), full.Addr(), good.Addr(), spare.Addr())
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	w.run(id)
	if n := len(good.Delivered()); n != 1 {
		t.Fatalf("the fourth host got %d messages, want 1; log:\n%s", n, w.log)
	}
	if busy.Sessions() != 1 || full.Sessions() != 1 || spare.Sessions() != 0 {
		t.Errorf("sessions %d %d %d, want 1 1 0", busy.Sessions(), full.Sessions(), spare.Sessions())
	}
}

func TestEachRecipientHasItsOwnResult(t *testing.T) {
	var refuse = map[string]string{"gone@town.example": "550 5.1.1 no such user", "later@town.example": "450 4.2.1 greylisted"}
	s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageRcpt && c.Session == 1 {
			return smtptest.Act{Reply: refuse[c.Address]}
		}
		return smtptest.Act{}
	}})
	w := local(t, s.Addr())
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"ok@town.example", "gone@town.example", "later@town.example"}})
	w.run(id)
	e := w.entry(id)
	if e.State != spool.Queued || !slices.Equal(e.Pending, []envelope.Address{addr("later@town.example")}) || e.Attempts != 1 {
		t.Fatalf("%s, pending %v, %d attempts; want Queued, later@, 1", e.State, e.Pending, e.Attempts)
	}
	if gap := e.Due.Sub(w.now()); gap < 50*time.Second || gap > 66*time.Second {
		t.Errorf("due in %v, want a minute and a tenth", gap)
	}
	if !strings.Contains(e.Err, "450 4.2.1 greylisted") {
		t.Errorf("Err is %q", e.Err)
	}
	w.later(2 * time.Minute)
	w.d.Times.Idle = 0
	w.run(id)
	if e := w.entry(id); e.State != spool.Done {
		t.Errorf("after the second try it is %s", e.State)
	}
	var got []string
	for _, m := range s.Delivered() {
		got = append(got, strings.Join(m.To, " "))
	}
	if !slices.Equal(got, []string{"ok@town.example", "later@town.example"}) {
		t.Errorf("arrived for %q", got)
	}
	es, texts := w.spawned(id)
	if len(es) != 1 || !slices.Equal(es[0].Envelope.To, []envelope.Address{addr("postmaster@town.example")}) {
		t.Fatalf("%d mails of our own %v, want one to the administrators", len(es), es)
	}
	if !es[0].Envelope.From.IsNull() || !strings.Contains(texts[0], "Auto-Submitted: auto-replied") {
		t.Errorf("from %q:\n%s", es[0].Envelope.From, texts[0])
	}
	if acts, _ := w.acts(id); !slices.Equal(acts, []string{"bounced", "sent", "sent"}) {
		t.Errorf("audit %v", acts)
	}
}

func TestAnswersAtEachStage(t *testing.T) {
	for _, c := range []struct {
		name  string
		stage smtptest.Stage
		act   smtptest.Act
		want  string // state, and what Err or the audit says
	}{
		{"greeting 4xx", smtptest.StageGreeting, smtptest.Act{Reply: "421 4.3.2 no", Close: true}, "Queued 421 4.3.2 no"},
		{"greeting 5xx", smtptest.StageGreeting, smtptest.Act{Reply: "554 5.7.1 no", Close: true}, "Queued 554 5.7.1 no"},
		{"greeting 521", smtptest.StageGreeting, smtptest.Act{Reply: "521 5.3.2 no mail here", Close: true}, "Done 521 5.3.2 no mail here"},
		{"EHLO 4xx", smtptest.StageEHLO, smtptest.Act{Reply: "451 4.3.0 no"}, "Queued 451 4.3.0 no"},
		{"EHLO 5xx", smtptest.StageEHLO, smtptest.Act{Reply: "550 5.7.1 no"}, "Queued 550 5.7.1 no"},
		{"MAIL 4xx", smtptest.StageMail, smtptest.Act{Reply: "451 4.1.8 no"}, "Queued 451 4.1.8 no"},
		{"MAIL 5xx", smtptest.StageMail, smtptest.Act{Reply: "550 5.1.8 no"}, "Done 550 5.1.8 no"},
		{"MAIL 421", smtptest.StageMail, smtptest.Act{Reply: "421 4.3.2 no", Close: true}, "Queued 421 4.3.2 no"},
		{"RCPT 4xx", smtptest.StageRcpt, smtptest.Act{Reply: "450 no"}, "Queued 450 no"},
		{"RCPT 5xx", smtptest.StageRcpt, smtptest.Act{Reply: "550 5.1.1 no"}, "Done 550 5.1.1 no"},
		{"DATA 4xx", smtptest.StageData, smtptest.Act{Reply: "451 4.3.0 no"}, "Queued 451 4.3.0 no"},
		{"DATA 5xx", smtptest.StageData, smtptest.Act{Reply: "554 5.5.0 no"}, "Done 554 5.5.0 no"},
		{"final 4xx", smtptest.StageFinal, smtptest.Act{Reply: "451 4.3.0 no"}, "Queued 451 4.3.0 no"},
		{"final 5xx", smtptest.StageFinal, smtptest.Act{Reply: "554 5.6.0 no"}, "Done 554 5.6.0 no"},
		{"final 2xx of another kind", smtptest.StageFinal, smtptest.Act{Reply: "251 2.0.0 fine"}, "Done fine"},
		{"MAIL 2xx of another kind", smtptest.StageMail, smtptest.Act{Reply: "251 fine"}, "Done taken"},
		{"RCPT 251", smtptest.StageRcpt, smtptest.Act{Reply: "251 will forward"}, "Done taken"},
		{"a 3xx to MAIL", smtptest.StageMail, smtptest.Act{Reply: "354 what"}, "Queued 354 what"},
		{"no number", smtptest.StageMail, smtptest.Act{Reply: "hello"}, "Queued MAIL: "},
		{"closed at RCPT", smtptest.StageRcpt, smtptest.Act{Reply: "-", Close: true}, "Queued RCPT: "},
		{"reset at MAIL", smtptest.StageMail, smtptest.Act{Reset: true}, "Queued MAIL: "},
		{"reset at DATA", smtptest.StageData, smtptest.Act{Reset: true}, "Queued DATA: "},
		{"flood at the greeting", smtptest.StageGreeting, smtptest.Act{Flood: 1_000_000}, "Queued greeting: the answer does not end"},
		{"flood at EHLO", smtptest.StageEHLO, smtptest.Act{Flood: 1_000_000}, "Queued greeting: the answer does not end"},
		{"flood at the final dot", smtptest.StageFinal, smtptest.Act{Flood: 1_000_000}, "Queued after the final dot: the answer does not end"},
		{"a line without end", smtptest.StageMail, smtptest.Act{Reply: "250 " + strings.Repeat("x", 100_000)}, "Queued MAIL: "},
		{"a code that contradicts", smtptest.StageRcpt, smtptest.Act{Reply: "450 5.1.1 no"}, "Queued 450 5.1.1 no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startSink(t, &smtptest.Sink{Script: at(c.stage, c.act)})
			w := local(t, s.Addr())
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			w.run(id)
			e := w.entry(id)
			_, details := w.acts(id)
			state, text, _ := strings.Cut(c.want, " ")
			said := e.Err
			if state == "Done" {
				said = strings.Join(details, "; ")
			}
			if e.State.String() != state || !strings.Contains(said, text) {
				t.Errorf("%s, %q; want %s, %q", e.State, said, state, text)
			}
		})
	}
}

// A stage that hangs must end by our own clock, at every stage.
func TestStallsEndByTheClock(t *testing.T) {
	for _, stage := range []smtptest.Stage{smtptest.StageGreeting, smtptest.StageEHLO, smtptest.StageMail, smtptest.StageRcpt, smtptest.StageData, smtptest.StageBody, smtptest.StageFinal} {
		for _, drip := range []bool{false, true} {
			if drip && stage == smtptest.StageBody {
				continue
			}
			t.Run(fmt.Sprintf("%s drip %v", stage, drip), func(t *testing.T) {
				t.Parallel()
				act := smtptest.Act{Hang: true}
				if drip {
					// An octet at a time does not prolong it.
					act = smtptest.Act{Drip: 100 * time.Millisecond, Reply: "250 " + strings.Repeat("x", 200)}
				}
				s := startSink(t, &smtptest.Sink{Script: at(stage, act)})
				w := local(t, s.Addr())
				w.d.Times.Command, w.d.Times.Block, w.d.Times.Final = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
				text := simple
				if stage == smtptest.StageBody {
					// More than the buffers of the kernel hold.
					text += strings.Repeat(strings.Repeat("x", 78)+"\r\n", 200_000)
				}
				id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: text})
				start := time.Now()
				w.run(id)
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				e := w.entry(id)
				if e.State != spool.Queued || e.Attempts != 1 {
					t.Errorf("%s after %d attempts, %s", e.State, e.Attempts, e.Err)
				}
				if got, want := strings.Contains(w.log.String(), "may be delivered twice"), stage == smtptest.StageFinal; got != want {
					t.Errorf("warned of a copy: %v, want %v", got, want)
				}
			})
		}
	}
}

func TestResetInTheBodyIsTriedAgain(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageBody && c.Session == 1 {
			return smtptest.Act{Reset: true, After: 100_000}
		}
		return smtptest.Act{}
	}})
	w := local(t, s.Addr())
	big := simple + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 100_000)
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: big})
	w.run(id)
	if e := w.entry(id); e.State != spool.Queued || strings.Contains(w.log.String(), "may be delivered twice") {
		t.Fatalf("%s, log:\n%s", e.State, w.log)
	}
	w.later(2 * time.Minute)
	w.run(id)
	ms := s.Delivered()
	if len(ms) != 1 || !strings.HasSuffix(string(ms[0].Data), big) {
		t.Errorf("%d whole messages arrived, want 1 as it was", len(ms))
	}
}

func TestResetAfterTheDotIsSaidAndBounded(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageFinal && c.Session == 1 {
			return smtptest.Act{Reset: true}
		}
		return smtptest.Act{}
	}})
	spare := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr(), spare.Addr())
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	w.run(id)
	if spare.Sessions() != 0 {
		t.Error("the next host was offered what the first may have")
	}
	log := w.log.String()
	if !strings.Contains(log, `"msg":"may be delivered twice","id":"`+string(id)) {
		t.Errorf("no warning with the id:\n%s", log)
	}
	w.later(2 * time.Minute)
	w.run(id)
	if n := len(s.Delivered()); n != 2 || w.entry(id).State != spool.Done {
		t.Errorf("%d copies, %s; want 2, Done", n, w.entry(id).State)
	}
}

func TestTooManyRecipientsAreSplit(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	s.Script = func() func(smtptest.Call) smtptest.Act {
		count := map[int]int{}
		return func(c smtptest.Call) smtptest.Act {
			if c.Stage == smtptest.StageRcpt {
				if count[c.Message]++; count[c.Message] > 2 {
					return smtptest.Act{Reply: "452 4.5.3 too many recipients"}
				}
			}
			return smtptest.Act{}
		}
	}()
	w := local(t, s.Addr())
	to := []string{"a@town.example", "b@town.example", "c@town.example", "d@town.example", "e@town.example"}
	id := w.queue(mail{from: addr("x@b.example"), to: to})
	w.run(id)
	var got []string
	for _, m := range s.Delivered() {
		got = append(got, m.To...)
	}
	if !slices.Equal(got, to) || len(s.Delivered()) != 3 || s.Sessions() != 1 {
		t.Errorf("%q in %d messages over %d connections", got, len(s.Delivered()), s.Sessions())
	}
}

func TestWhatAHopCannotTakeComesBack(t *testing.T) {
	big := simple + strings.Repeat("x\r\n", 2000)
	for _, c := range []struct {
		name       string
		extensions []string
		m          mail
		status     string // "" arrives
	}{
		{"8-bit without 8BITMIME", []string{"SIZE"}, mail{bytes: "Subject: x\r\n\r\n\xe3\x81\x82\r\n"}, "8BITMIME"},
		{"8-bit with 8bitmime in small letters", []string{"8bitmime"}, mail{bytes: "Subject: x\r\n\r\n\xe3\x81\x82\r\n"}, ""},
		{"7-bit without anything", []string{}, mail{}, ""},
		{"an address in UTF-8 without SMTPUTF8", []string{"8BITMIME"}, mail{to: []string{"日本@town.example"}, utf8: true}, "SMTPUTF8"},
		{"a header in UTF-8 without SMTPUTF8", []string{"8BITMIME"}, mail{bytes: "Subject: \xe3\x81\x82\r\n\r\nx\r\n", utf8: true}, "SMTPUTF8"},
		{"a header in UTF-8 with it", []string{"8BITMIME", "SMTPUTF8"}, mail{bytes: "Subject: \xe3\x81\x82\r\n\r\nx\r\n", utf8: true}, ""},
		{"bigger than SIZE", []string{"SIZE 5000"}, mail{bytes: big}, "the server takes 5000"},
		{"bigger than size in small letters", []string{"size 5000"}, mail{bytes: big}, "the server takes 5000"},
		{"SIZE 0 has no bound", []string{"SIZE 0"}, mail{bytes: big}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSink(t, &smtptest.Sink{Extensions: c.extensions})
			w := local(t, s.Addr())
			if c.m.to == nil {
				c.m.to = []string{"a@town.example"}
			}
			c.m.from = addr("x@b.example")
			id := w.queue(c.m)
			before := w.entry(id)
			w.run(id)
			if strings.Contains(c.name, "bigger") {
				// It goes back once to be written smaller, and fails when that did
				// not help.
				hop := w.d.Table().Hops()[0]
				if acts, _ := w.acts(id); w.entry(id).State != spool.Received || !slices.Contains(acts, "shrunk") || w.d.Takes(hop) != 5000 {
					t.Fatalf("%s, audit %v, the hop takes %d", w.entry(id).State, acts, w.d.Takes(hop))
				}
				e, err := w.spool.Take(t.Context(), town, id, spool.Received)
				if err == nil {
					err = w.spool.Settle(t.Context(), e, spool.Change{To: spool.Queued, Update: func(e *spool.Entry) {
						e.Sanitized, e.Kind, e.Networks, e.Seal, e.HeaderLen = before.Sanitized, before.Kind, before.Networks, before.Seal, before.HeaderLen
					}})
				}
				if err != nil {
					t.Fatal(err)
				}
				w.run(id)
			}
			_, details := w.acts(id)
			if c.status == "" {
				if len(s.Delivered()) != 1 {
					t.Errorf("it did not arrive: %v", details)
				}
				return
			}
			if len(s.All()) != 0 || w.entry(id).State != spool.Done || !strings.Contains(strings.Join(details, ""), c.status) {
				t.Errorf("%d arrived, %s, audit %v", len(s.All()), w.entry(id).State, details)
			}
		})
	}
}

func TestMailGoesByItsOwnConnectionsSlots(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: at(smtptest.StageMail, smtptest.Act{Delay: 20 * time.Millisecond})})
	w := newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}, Slots: 3}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
	var ids []envelope.ID
	for i := range 40 {
		ids = append(ids, w.queue(mail{from: addr("x@b.example"), to: []string{fmt.Sprintf("a%d@town.example", i)}}))
	}
	stop := w.start()
	defer stop()
	w.until("all arrived", func() bool { return len(s.Delivered()) == len(ids) })
	if n := s.MostOpen(); n > 3 {
		t.Errorf("%d connections at a time, the hop has 3 slots", n)
	}
	if n := s.Sessions(); n > 12 {
		t.Errorf("%d connections for 40 messages: none was used twice", n)
	}
	for _, id := range ids {
		w.until("settled", func() bool { return w.entry(id).State == spool.Done })
		if n := w.entry(id).Attempts; n != 0 {
			t.Errorf("waiting for a slot counted as %d attempts", n)
		}
	}
}

func TestAKeptConnectionThatDiedCostsNothing(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Session == 1 && c.Message == 2 && c.Stage == smtptest.StageMail {
			return smtptest.Act{Reset: true}
		}
		return smtptest.Act{}
	}})
	w := local(t, s.Addr())
	stop := w.start()
	defer stop()
	for i := range 2 {
		id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
		w.until("it arrived", func() bool { return w.entry(id).State == spool.Done })
		if n := w.entry(id).Attempts; n != 0 {
			t.Errorf("message %d took %d attempts more than one", i, n)
		}
	}
	if s.Sessions() != 2 {
		t.Errorf("%d connections, want 2", s.Sessions())
	}
}

func TestRunLeavesNoLeaseBehind(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: at(smtptest.StageRcpt, smtptest.Act{Hang: true})})
	w := newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}, Slots: 1}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
	w.d.Grace = 200 * time.Millisecond
	w.d.Times.Command = time.Minute
	a := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	b := w.queue(mail{from: addr("x@b.example"), to: []string{"b@town.example"}})
	stop := w.start()
	w.until("one hangs", func() bool { return len(s.Commands()) >= 3 })
	start := time.Now()
	stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Run took %v to end", took)
	}
	es, err := w.spool.Claim(t.Context(), spool.Queued, w.now(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(es) != 2 || es[0].Attempts != 0 || es[1].Attempts != 0 || es[0].Deaths+es[1].Deaths != 0 {
		t.Errorf("%d entries may be claimed at once (%v), want %s and %s without an attempt", len(es), es, a, b)
	}
}

func TestADrainFinishesWhatIsUnderWay(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: at(smtptest.StageData, smtptest.Act{Delay: 300 * time.Millisecond})})
	w := local(t, s.Addr())
	w.d.Grace = 20 * time.Second
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	stop := w.start()
	w.until("it is under way", func() bool { return len(s.Commands()) >= 4 })
	stop()
	if w.entry(id).State != spool.Done || len(s.Delivered()) != 1 {
		t.Errorf("%s, %d arrived", w.entry(id).State, len(s.Delivered()))
	}
}

// BenchmarkDeliver is the way out alone: claim, look, seal, send, settle.
func BenchmarkDeliver(b *testing.B) {
	s := &smtptest.Sink{}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	w := newWorld(b, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
	text := simple + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 50)
	for range b.N {
		w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: text})
	}
	b.ResetTimer()
	stop := w.start()
	if _, err := s.Wait(b.Context(), b.N); err != nil {
		b.Fatal(err)
	}
	stop()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
