package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/spool"
)

// carried is a message as the pipeline has it in hand when it has treated it:
// its row Received and leased, the change that would queue it, the octets.
type carried struct {
	e      spool.Entry
	queued spool.Change
	b      inMemory
	id     envelope.ID
}

// inMemory is the octets of a message as the pipeline has them.
type inMemory struct {
	*bytes.Reader
	closed *atomic.Bool
}

func octets(b []byte) inMemory { return inMemory{bytes.NewReader(b), new(atomic.Bool)} }

func (m inMemory) Close() error { m.closed.Store(true); return nil }

func (c *carried) octets() []byte {
	b := make([]byte, c.b.Size())
	c.b.ReadAt(b, 0) // it lies in memory
	return b
}

func (w *world) treated(m mail) carried {
	w.t.Helper()
	if m.bytes == "" {
		m.bytes = simple
	}
	var full spool.Entry
	m.change = func(e *spool.Entry) {
		full = *e
		e.State, e.Sanitized, e.Seal, e.Networks, e.Kind, e.HeaderLen = spool.Received, blob.Ref{}, nil, nil, "", 0
	}
	c := carried{id: w.queue(m)}
	var err error
	if c.e, err = w.spool.Take(w.t.Context(), town, c.id, spool.Received); err != nil {
		w.t.Fatal(err)
	}
	c.b = octets([]byte(m.bytes))
	now := w.now()
	c.queued = spool.Change{
		To: spool.Queued,
		Update: func(e *spool.Entry) {
			e.Seal, e.Networks, e.Kind, e.HeaderLen, e.Due = full.Seal, full.Networks, full.Kind, full.HeaderLen, now
		},
		Events: []audit.Event{{Time: now, Tenant: string(town), Actor: "gateway", Act: "queued", ID: string(c.id)}},
	}
	return c
}

func (w *world) carry(c carried) bool { return w.d.Carry(c.e, c.queued, c.b) }

// running starts the delivery and waits until it takes what is carried.
func (w *world) running() (stop func()) {
	w.t.Helper()
	stop = w.start()
	c := w.treated(mail{from: addr("x@b.example"), to: []string{"first@town.example"}})
	w.until("the first is carried", func() bool { return w.carry(c) })
	w.until("the first is settled", func() bool { return w.entry(c.id).State != spool.Received })
	return stop
}

// refusing is the script of a server that says no to one recipient.
func refusing(to, reply string) func(smtptest.Call) smtptest.Act {
	return func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageRcpt && c.Address == to {
			return smtptest.Act{Reply: reply}
		}
		return smtptest.Act{}
	}
}

var large = simple + strings.Repeat("a line of some length, to make a message that is not read into memory\r\n", 2000)

func TestWhatIsCarriedIsSettledOnce(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	stop := w.running()
	defer stop()
	for _, text := range []string{simple, large} {
		c := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}, bytes: text})
		if !w.carry(c) {
			t.Fatal("not carried")
		}
		w.until("it is done", func() bool { return w.entry(c.id).State == spool.Done })
		m := s.Delivered()[len(s.Delivered())-1]
		if !bytes.HasSuffix(m.Data, []byte(text)) || !slices.Equal(m.To, []string{"a@town.example", "b@town.example"}) {
			t.Errorf("the hop got %d octets for %v", len(m.Data), m.To)
		}
		e := w.entry(c.id)
		if !e.Sanitized.IsZero() || len(e.Pending) > 0 || e.Lease != "" {
			t.Errorf("the row names %q, %v pending", e.Sanitized.ID, e.Pending)
		}
		if acts, _ := w.acts(c.id); !slices.Equal(acts, []string{"queued", "sent"}) {
			t.Errorf("the audit says %v", acts)
		}
		w.until("no note is left", func() bool { return len(w.spool.Notes.Of(&c.e)) == 0 })
		w.until("its memory is given back", c.b.closed.Load)
	}
}

// TestWhatIsCarriedAndNotTakenIsQueued: the bytes stand in the journal then, and
// are those that go out later.
func TestWhatIsCarriedAndNotTakenIsQueued(t *testing.T) {
	for _, text := range []string{simple, large} {
		var calm atomic.Bool
		s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
			if calm.Load() {
				return smtptest.Act{}
			}
			return refusing("b@town.example", "450 4.2.1 not now")(c)
		}})
		w := local(t, s.Addr())
		stop := w.running()
		c := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}, bytes: text})
		if !w.carry(c) {
			t.Fatal("not carried")
		}
		w.until("it is queued", func() bool { return w.entry(c.id).State == spool.Queued })
		e := w.entry(c.id)
		if e.Sanitized.IsZero() || !slices.Equal(e.Pending, []envelope.Address{addr("b@town.example")}) || e.Attempts != 1 || !e.Due.After(w.now()) {
			t.Errorf("the row: %+v", e)
		}
		if acts, _ := w.acts(c.id); !slices.Equal(acts, []string{"queued", "sent"}) {
			t.Errorf("the audit says %v", acts)
		}
		stop()
		calm.Store(true)
		w.later(time.Hour)
		w.run(c.id)
		if e := w.entry(c.id); e.State != spool.Done {
			t.Errorf("it is %s: %s", e.State, e.Err)
		}
		ms := s.Delivered()
		if m := ms[len(ms)-1]; !bytes.HasSuffix(m.Data, []byte(text)) || !slices.Equal(m.To, []string{"b@town.example"}) {
			t.Errorf("the hop got %d octets for %v", len(m.Data), m.To)
		}
	}
}

func TestWhatIsCarriedAndRefusedIsTold(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: refusing("a@town.example", "550 5.1.1 nobody")})
	w := local(t, s.Addr())
	defer w.running()()
	c := w.treated(mail{zone: envelope.LGWAN, from: addr("x@town.example"), to: []string{"a@town.example"}})
	if !w.carry(c) {
		t.Fatal("not carried")
	}
	w.until("it is done", func() bool { return w.entry(c.id).State == spool.Done })
	if es, _ := w.spawned(c.id); len(es) != 1 {
		t.Errorf("%d reports", len(es))
	}
	if acts, _ := w.acts(c.id); !slices.Equal(acts, []string{"queued", "bounced"}) {
		t.Errorf("the audit says %v", acts)
	}
}

// TestWhatIsCarriedUnderNoSealIsHeld: the octets, the recipients and the
// envelope are looked at as those from the journal are.
func TestWhatIsCarriedUnderNoSealIsHeld(t *testing.T) {
	for name, spoil := range map[string]func(*carried){
		"an octet": func(c *carried) { b := c.octets(); b[len(b)-3] = '!'; c.b = octets(b) },
		"shorter":  func(c *carried) { b := c.octets(); c.b = octets(b[:len(b)-2]) },
		"the header block": func(c *carried) {
			was := c.queued.Update
			c.queued.Update = func(e *spool.Entry) { was(e); e.HeaderLen -= 2 }
		},
		"the seal": func(c *carried) {
			was := c.queued.Update
			c.queued.Update = func(e *spool.Entry) { was(e); e.Seal = bytes.Clone(e.Seal); e.Seal[0] ^= 1 }
		},
		"the sender": func(c *carried) { c.e.Envelope.From = addr("other@b.example") },
		"a recipient": func(c *carried) {
			c.e.Pending = []envelope.Address{addr("stranger@town.example")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSink(t, &smtptest.Sink{})
			w := local(t, s.Addr())
			defer w.running()()
			c := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			spoil(&c)
			if !w.carry(c) {
				t.Fatal("not carried")
			}
			w.until("it is settled", func() bool { return w.entry(c.id).State != spool.Received })
			if e := w.entry(c.id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassTampered {
				t.Errorf("it is %s, %s", e.State, e.Verdict.Class)
			}
			if n := s.Count(); n != 1 {
				t.Errorf("%d were sent, the first and no other", n)
			}
			// Its slot is free again.
			if c := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example"}}); !w.carry(c) {
				t.Error("the next is not carried")
			} else {
				w.until("the next is done", func() bool { return w.entry(c.id).State == spool.Done })
			}
		})
	}
}

// TestWhatIsNotSimpleIsNotCarried: such mail goes by the journal.
func TestWhatIsNotSimpleIsNotCarried(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	hops := []routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}},
		{Name: "other", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}},
		{Name: "out", Network: envelope.NetworkInternet, MX: true},
	}
	w := newWorld(t, hops, []routing.Route{{Domain: "town.example", Hop: "town-mail"}, {Domain: "ward.example", Hop: "other"}, {Domain: "*", Hop: "out"}})
	defer w.running()()
	one := []string{"a@town.example"}
	for name, c := range map[string]carried{
		"two hops":       w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@ward.example"}}),
		"by DNS":         w.treated(mail{zone: envelope.LGWAN, from: addr("x@town.example"), to: []string{"a@far.example"}, networks: []envelope.Network{envelope.NetworkInternet}}),
		"another net":    w.treated(mail{from: addr("x@b.example"), to: one, networks: []envelope.Network{envelope.NetworkLGWAN}}),
		"reports wanted": w.treated(mail{from: addr("x@b.example"), to: one, dsn: &envelope.DSN{Return: "HDRS"}}),
		"as received":    w.treated(mail{zone: envelope.LGWAN, treatment: envelope.Pass, from: addr("x@town.example"), to: one}),
		"large":          w.treated(mail{from: addr("x@b.example"), to: one, bytes: large + large}),
	} {
		if w.carry(c) {
			t.Errorf("%s: carried", name)
			continue
		}
		if e := w.entry(c.id); e.State != spool.Received {
			t.Errorf("%s: it is %s", name, e.State)
		}
		if c.b.closed.Load() {
			t.Errorf("%s: it was closed", name)
		}
	}
	c := w.treated(mail{from: addr("x@b.example"), to: one})
	c.e.Deaths = 1
	if w.carry(c) {
		t.Error("one that was in hand when a daemon died: carried")
	}
}

// TestNobodyOvertakesBeforeAFullHop: where every slot is taken, what is new goes
// by the journal and waits with the others; and after the end nothing is begun.
func TestNobodyOvertakesBeforeAFullHop(t *testing.T) {
	hang := make(chan struct{})
	s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageFinal && c.Session > 1 {
			<-hang
		}
		return smtptest.Act{}
	}})
	w := newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}, Slots: 2}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
	stop := w.start()
	var ids []envelope.ID
	took := 0
	w.until("two are in hand", func() bool {
		c := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
		if w.carry(c) {
			ids, took = append(ids, c.id), took+1
		}
		return s.MostOpen() == 2
	})
	for range 3 {
		if w.carry(w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})) {
			t.Error("carried beside two in two slots")
		}
	}
	close(hang)
	w.until("what was carried is done", func() bool {
		return !slices.ContainsFunc(ids, func(id envelope.ID) bool { return w.entry(id).State != spool.Done })
	})
	stop()
	if w.carry(w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})) {
		t.Error("carried after the end")
	}
}

// TestWhatWasCarriedBeforeAKillIsNotSentAgain: the row is as it was accepted,
// and a note says who has it. The message is treated anew only for the others.
func TestWhatWasCarriedBeforeAKillIsNotSentAgain(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	all := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}})
	some := w.treated(mail{from: addr("x@b.example"), to: []string{"c@town.example", "d@town.example"}})
	none := w.treated(mail{from: addr("x@b.example"), to: []string{"e@town.example"}})
	w.noted(all.id, "a@town.example", "b@town.example")
	w.noted(some.id, "d@town.example")
	for _, c := range []carried{all, some} {
		if !w.d.Noted(t.Context(), c.e) {
			t.Fatal("not noted")
		}
	}
	if w.d.Noted(t.Context(), none.e) {
		t.Error("what nobody noted is noted")
	}
	if e := w.entry(all.id); e.State != spool.Done || len(e.Pending) > 0 {
		t.Errorf("%s, %v pending", e.State, e.Pending)
	}
	if e := w.entry(some.id); e.State != spool.Received || !slices.Equal(e.Pending, []envelope.Address{addr("c@town.example")}) {
		t.Errorf("%s, %v pending", e.State, e.Pending)
	}
	for _, id := range []envelope.ID{all.id, some.id} {
		if acts, details := w.acts(id); !slices.Equal(acts, []string{"sent"}) || !strings.Contains(details[0], "250 2.0.0 taken") {
			t.Errorf("the audit says %v %v", acts, details)
		}
	}
	// A row that somebody changed is nobody's to settle.
	bad := w.treated(mail{from: addr("x@b.example"), to: []string{"f@town.example"}})
	w.noted(bad.id, "f@town.example")
	bad.e.Tampered = "the row's seal"
	if w.d.Noted(t.Context(), bad.e) {
		t.Error("a tampered row was settled by a note")
	}
}

// full is a disk that takes no new blob.
type full struct{ blob.Store }

func (full) Create(context.Context) (blob.Writer, error) { return nil, errors.New("no space") }

// TestWhatIsCarriedAndCannotBeStoredIsTreatedAgain: who has it keeps it, and
// for the others the message is what was accepted.
func TestWhatIsCarriedAndCannotBeStoredIsTreatedAgain(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: refusing("b@town.example", "450 4.2.1 not now")})
	w := local(t, s.Addr())
	defer w.running()()
	c := w.treated(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}})
	w.spool.Blobs = full{w.spool.Blobs}
	if !w.carry(c) {
		t.Fatal("not carried")
	}
	w.until("it is settled", func() bool { return len(w.entry(c.id).Pending) == 1 })
	e := w.entry(c.id)
	if e.State != spool.Received || len(e.Seal) > 0 || e.Kind != "" || e.HeaderLen != 0 || !e.Due.After(w.now()) {
		t.Errorf("the row: %+v", e)
	}
	if acts, _ := w.acts(c.id); !slices.Equal(acts, []string{"sent"}) {
		t.Errorf("the audit says %v", acts)
	}
}
