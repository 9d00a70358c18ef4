package delivery

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"sekisho/internal/blob"
	"sekisho/internal/seal"
	"sekisho/spool"
)

// maxCarried bounds a message that is carried, which lies in memory on its way:
// a quarter of the window may be, so all of them are under 13 MiB.
const maxCarried = 256 << 10

// carrying is what Carry needs of Run, and knows only while it runs.
type carrying struct {
	mu     sync.Mutex
	run    context.Context // nil: nothing is taken
	work   context.Context
	seats  chan struct{}
	inHand sync.WaitGroup
}

func (c *carrying) open(run, work context.Context, seats int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run, c.work, c.seats = run, work, make(chan struct{}, seats)
}

// close lets nothing more in and waits for what is in hand.
func (c *carrying) close() {
	c.mu.Lock()
	c.run = nil
	c.mu.Unlock()
	c.inHand.Wait()
}

// seat runs f beside the others if there is room, and reports whether it does.
func (c *carrying) seat(f func(work context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == nil || c.run.Err() != nil {
		return false
	}
	select {
	case c.seats <- struct{}{}:
	default:
		return false
	}
	work := c.work
	c.inHand.Go(func() {
		defer func() { <-c.seats }()
		f(work)
	})
	return true
}

// Carry takes a message that has just been treated to its next hop in the hand
// that holds it: queued is the change that would queue it, message the octets that
// its seal is over. What would be two changes and a second copy in the journal is
// one: when the hop has answered, a commit says that the message was queued and
// what became of it. Until then its row is Received and the lease goes on; a
// daemon that dies meanwhile leaves it as it was accepted, and a note if the hop
// had taken it (Noted).
//
// Carry returns false, having done nothing, where that is not simple: for more
// than one destination, one that is found by DNS, is down or has no slot free
// at once, a sender who asked for reports, and a large message. When it returns
// true, the entry and message are no longer the caller's.
func (d *Delivery) Carry(e spool.Entry, queued spool.Change, message blob.Reader) bool {
	if message.Size() > maxCarried || e.Tampered != "" || e.Deaths > 0 || e.Envelope.DSN != nil || e.Envelope.RequireTLS || !e.Sanitized.IsZero() ||
		queued.To != spool.Queued || len(queued.Spawn) > 0 {
		return false
	}
	queued.Update(&e)
	stops, results, err := d.stops(&e)
	if err != nil || len(results) > 0 || len(stops) != 1 || stops[0].to.hop.MX || e.Kind != string(seal.Treated) {
		return false
	}
	s := stops[0]
	key := s.to.key()
	if d.hops.isDown(key) != "" {
		return false
	}
	l := d.lanes.free(key, d.slotsOf(s.to.hop))
	if l == nil {
		return false
	}
	release := sync.OnceFunc(func() { d.lanes.release(key, l) })
	ok := d.carrying.seat(func(work context.Context) {
		defer release()
		d.carry(work, e, &queued, message, s, l, release)
	})
	if !ok {
		release()
	}
	return ok
}

// carry is deliver for a message that is carried. It has a slot already.
func (d *Delivery) carry(work context.Context, e spool.Entry, queued *spool.Change, b blob.Reader, s stop, l *lane, release func()) {
	ctx, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	j := &job{d: d, e: e, work: work, cancel: cancel, queued: queued}
	j.keep()
	defer j.letGo()
	defer d.survive(&e)
	m := &message{r: b, closer: b, size: b.Size(), headerLen: e.HeaderLen}
	j.m = m
	defer m.close()
	if err := d.prove(ctx, &e, m); err != nil {
		release()
		j.refuse(ctx, err)
		return
	}
	if j.strayEnd() {
		return
	}
	j.results = d.serve(ctx, newCalling(d, &e, m, s), l)
	release()
	j.finish()
}

// Noted settles what the daemon before this one had heard of a message that it
// carried and did not come to write down, and reports whether there was such a
// thing. The message is not to be treated then: if somebody is left to get it,
// it comes again.
func (d *Delivery) Noted(ctx context.Context, e spool.Entry) bool {
	if e.Tampered != "" || e.State != spool.Received {
		return false
	}
	noted := d.noted(&e)
	if len(noted) == 0 {
		return false
	}
	d.init() // Run may not have begun
	j := &job{d: d, e: e, work: ctx, results: noted}
	if len(without(e.Pending, noted)) == 0 {
		j.finish()
		return true
	}
	now := d.now()
	err := j.settle(spool.Change{
		To:     spool.Received,
		Update: func(e *spool.Entry) { e.Pending, e.Due = without(e.Pending, noted), now },
		Events: j.events(noted, nil),
	})
	if err != nil {
		d.Log.Error("settle", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "err", err)
		return true
	}
	d.Spool.Notes.Forget(e.Envelope.ID)
	j.log(noted)
	return true
}

// whole puts the change that queued a carried message before c, so that both
// are one. What stays to be sent needs its bytes in the journal now; where they
// cannot be put there, the message is again what was accepted, for those that
// have not got it.
func (j *job) whole(ctx context.Context, c spool.Change) spool.Change {
	if j.queued == nil {
		return c
	}
	w := spool.Change{To: c.To, Update: c.Update, Spawn: c.Spawn, Events: slices.Concat(j.queued.Events, c.Events)}
	if c.To != spool.Queued {
		return w
	}
	ref, err := j.store(ctx)
	w.Update = func(e *spool.Entry) {
		if c.Update != nil {
			c.Update(e)
		}
		e.Sanitized = ref
	}
	if err != nil {
		j.d.Log.Error("queue", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant), "err", fmt.Errorf("store the treated message: %w", err))
		w.To, w.Events = spool.Received, c.Events
		w.Update = func(e *spool.Entry) {
			if c.Update != nil {
				c.Update(e)
			}
			unseal(e)
		}
	}
	return w
}

// store writes the octets of a carried message into the journal.
func (j *job) store(ctx context.Context) (blob.Ref, error) {
	m := j.m
	ref, _, err := j.d.Spool.WriteBlob(ctx, j.e.Envelope.Tenant, func(w io.Writer) error { return m.copy(ctx, w, 0, m.size) })
	return ref, err
}

// unseal makes of e what it was before it was queued.
func unseal(e *spool.Entry) {
	e.Seal, e.Networks, e.Kind, e.HeaderLen = nil, nil, "", 0
	e.Sanitized = blob.Ref{}
}
