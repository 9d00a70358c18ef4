package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"time"

	"sekisho/envelope"
	"sekisho/internal/dane"
	"sekisho/internal/tlsrpt"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/spool"
)

// errRerouted says that a route now leads to a network that the seal does not
// name: what was made for one network is examined anew for the other.
var errRerouted = errors.New("the route leads to a network outside the seal")

// atOnce bounds the destinations of one message that are served at the same
// time: one with a thousand recipients in as many domains is one of many.
const atOnce = 20

// progress is how long results may wait for slower destinations of the same
// message before they are committed by themselves.
const progress = time.Second

// deliver takes one entry as far as it gets. run ends when nothing new is to be
// begun, work when what is under way has to end.
func (d *Delivery) deliver(run, work context.Context, e spool.Entry) {
	ctx, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	j := &job{d: d, e: e, work: work, cancel: cancel}
	j.keep()
	defer j.letGo()
	defer d.survive(&e)
	noted := d.noted(&e)
	poison := d.Spool.Poison(&e)
	if poison != "" && len(noted) == 0 {
		j.poison(poison)
		return
	}
	rest := e
	rest.Pending = without(e.Pending, noted)
	stops, results, err := d.stops(&rest)
	if err == nil && len(results) == 0 && len(noted) == 0 && e.Tampered == "" {
		if rs, away := d.away(&e, stops); away && !j.dueToTell() {
			j.results = rs
			j.finish()
			return
		}
	}
	m, oerr := d.open(ctx, &e)
	if oerr != nil {
		// What was tampered with counts before what the row seems to say.
		j.refuse(ctx, oerr)
		return
	}
	defer m.close()
	j.m = m
	if len(noted) > 0 {
		// The daemon before this one had their answers and did not come to
		// settle them.
		j.results = noted
		if len(rest.Pending) == 0 {
			j.finish()
			return
		}
		j.commit()
	}
	switch {
	case err != nil:
		j.refuse(ctx, err)
		return
	case poison != "":
		j.poison(poison)
		return
	}
	if j.strayEnd() {
		return
	}
	d.visit(run, ctx, j, &e, m, stops, results)
	j.finish()
}

// survive is deferred: one message must not end the daemon. Its lease runs out,
// and after three such deaths it is held.
func (d *Delivery) survive(e *spool.Entry) {
	if r := recover(); r != nil {
		d.Log.Error("deliver", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "err", fmt.Sprint("panic: ", r))
	}
}

// strayEnd holds a message that SMTP cannot carry, and reports whether it did.
func (j *job) strayEnd() bool {
	if j.m.strayEnd {
		j.hold(sanitize.ClassFailed, "line-end", errors.New("a CR or LF alone, which SMTP cannot carry unchanged"))
	}
	return j.m.strayEnd
}

// noted gives the results that an earlier try came to and did not settle.
func (d *Delivery) noted(e *spool.Entry) (rs []result) {
	for _, n := range d.Spool.Notes.Of(e) {
		if n.Asked {
			continue
		}
		for _, a := range n.To {
			rs = append(rs, result{to: a, hop: routing.Hop{Name: n.Hop}, outcome: sent, answer: n.Answer, status: n.Status, host: n.Host, relayed: n.Relayed})
		}
	}
	return rs
}

// away gives the results of a message that can be served at none of its stops
// just now: each is down, or has all the messages waiting that it may. Nothing
// is read for it and no seal is looked at, since nothing is sent; of fifty
// thousand that come back for a dead hop, that is all there is to do.
func (d *Delivery) away(e *spool.Entry, stops []stop) ([]result, bool) {
	var rs []result
	for _, s := range stops {
		key := s.to.key()
		t := d.downTrouble(key)
		if t == nil {
			comeAgain, full := d.lanes.full(key, d.most(s.to.hop))
			if !full {
				return nil, false
			}
			t = d.parkedTrouble(comeAgain)
		}
		for _, a := range s.as {
			rs = append(rs, t.result(s.to.hop, a))
		}
	}
	return rs, len(rs) > 0
}

func (d *Delivery) downTrouble(key string) *trouble {
	if why := d.hops.isDown(key); why != "" {
		// It is not asked for each message: the probe wakes them all. In an hour
		// each is looked at again, in case that nobody did.
		return &trouble{outcome: deferred, status: "4.4.1", answer: "hop is down: " + why, due: d.now().Add(wait(math.MaxInt))}
	}
	return nil
}

func (d *Delivery) parkedTrouble(comeAgain time.Duration) *trouble {
	return &trouble{outcome: parked, answer: "waiting for a slot", due: d.now().Add(comeAgain)}
}

// most is how many messages may wait for a hop in the window.
func (d *Delivery) most(hop routing.Hop) int { return max(2*d.slotsOf(hop), d.Window/2) }

// stop is one destination and the recipients it is to get.
type stop struct {
	to destination
	as []envelope.Address
}

// stops asks the table where the recipients go now. Those that go nowhere get
// their result here. No stop leads to a network outside the seal.
func (d *Delivery) stops(e *spool.Entry) ([]stop, []result, error) {
	var (
		stops   []stop
		results []result
		at      = map[string]int{}
		table   = d.Table()
	)
	for _, a := range e.Pending {
		hop, _, err := table.Find(zone(e), a)
		fail := func(o outcome, status string, why error) {
			results = append(results, result{to: a, hop: hop, outcome: o, status: status, answer: bound(why.Error())})
		}
		switch {
		case errors.Is(err, routing.ErrLeak):
			// Not even until somebody corrects the table: a name of LGWAN that
			// waits to leave by the internet is an accident waiting.
			fail(failed, "5.7.1", err)
			d.Log.Error("leak refused", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "to", quoted(a.String()), "err", err)
			continue
		case err != nil:
			// There was a route when it was accepted. Whoever took it away may
			// put it back before the life is over.
			fail(deferred, "4.4.4", err)
			continue
		case !sendable(a):
			fail(failed, "5.1.3", errors.New("the address cannot be sent on as it is"))
			continue
		case hop.MX && a.Domain[0] == '[':
			fail(failed, "5.1.2", errors.New("mail to an address literal is not sent to the internet"))
			continue
		}
		if !slices.Contains(e.Networks, hop.Network) {
			return nil, nil, fmt.Errorf("%w: %s by hop %s", errRerouted, hop.Network, hop.Name)
		}
		if !mayGo(e, hop.Network) {
			return nil, nil, fmt.Errorf("%w: received bytes for a hop of network %s", errMismatch, hop.Network)
		}
		to := destination{hop: hop}
		if hop.MX {
			to.domain = a.Domain
		}
		i, ok := at[to.key()]
		if !ok {
			i = len(stops)
			at[to.key()] = i
			stops = append(stops, stop{to: to})
		}
		stops[i].as = append(stops[i].as, a)
	}
	if from := e.Envelope.From; !from.IsNull() && !sendable(from) {
		return nil, nil, fmt.Errorf("%w: a sender that cannot be sent on", errMismatch)
	}
	return stops, results, nil
}

// visit serves the stops side by side, so that none waits for another, and
// commits what is done while slower ones go on.
func (d *Delivery) visit(run, ctx context.Context, j *job, e *spool.Entry, m *message, stops []stop, results []result) {
	j.results = results
	done := make(chan []result)
	room := make(chan struct{}, atOnce)
	go func() {
		for _, s := range stops {
			room <- struct{}{}
			go func() {
				defer func() { <-room }()
				done <- d.call(run, ctx, e, m, s)
			}()
		}
	}()
	var late <-chan time.Time
	for left := len(stops); left > 0; {
		select {
		case rs := <-done:
			left--
			j.results = append(j.results, rs...)
			if late == nil && left > 0 && slices.ContainsFunc(rs, func(r result) bool { return r.outcome == sent }) {
				late = time.After(progress)
			}
		case <-late:
			late = nil
			j.commit()
		}
	}
}

// call delivers to one destination and returns a result for each recipient.
func (d *Delivery) call(run, ctx context.Context, e *spool.Entry, m *message, s stop) []result {
	v := newCalling(d, e, m, s)
	if t := v.down(); t != nil {
		return v.end(t)
	}
	l, comeAgain, err := d.lanes.slot(run, v.key, d.slotsOf(s.to.hop), d.most(s.to.hop))
	switch {
	case err != nil:
		return v.end(&trouble{outcome: interrupted, answer: "cut off while waiting for a slot"})
	case l == nil:
		return v.end(d.parkedTrouble(comeAgain))
	}
	defer d.lanes.release(v.key, l)
	return d.serve(ctx, v, l)
}

// serve is call for one that has a slot.
func (d *Delivery) serve(ctx context.Context, v *calling, l *lane) (rs []result) {
	defer func() {
		// As in deliver. Nobody knows what became of these recipients, so they
		// are tried again.
		if r := recover(); r != nil {
			d.Log.Error("deliver", "id", string(v.e.Envelope.ID), "hop", v.to.hop.Name, "err", fmt.Sprint("panic: ", r))
			rs = v.end(&trouble{answer: "internal error"})
		}
	}()
	// It may have gone down while this one waited.
	if t := v.down(); t != nil {
		return v.end(t)
	}
	v.lane = l
	start := time.Now()
	v.hosts(ctx)
	if d.Metrics.Attempt != nil {
		d.Metrics.Attempt(v.to.hop.Name, time.Since(start))
	}
	return v.end(v.last)
}

// calling is one message on its way to one destination.
type calling struct {
	d       *Delivery
	e       *spool.Entry
	m       *message
	to      destination
	key     string
	lane    *lane
	waiting []envelope.Address          // without an answer that ends it
	said    map[envelope.Address]result // the last answer that does not
	done    []result
	last    *trouble // why the last host was not reached
}

// newCalling begins the delivery to one destination.
func newCalling(d *Delivery, e *spool.Entry, m *message, s stop) *calling {
	return &calling{d: d, e: e, m: m, to: s.to, key: s.to.key(), waiting: s.as, said: map[envelope.Address]result{}}
}

func (v *calling) down() *trouble { return v.d.downTrouble(v.key) }

// end gives everybody a result that has none yet: what a server said to it, or
// else why none was reached.
func (v *calling) end(t *trouble) []result {
	if t == nil {
		t = &trouble{status: "4.4.1", answer: "no host to try"}
	}
	for _, a := range v.waiting {
		r, ok := v.said[a]
		if !ok || t.outcome == interrupted {
			r = t.result(v.to.hop, a)
		}
		v.done = append(v.done, r)
	}
	v.waiting = nil
	return v.done
}

// hosts offers the message to one host after the other, in their order, until
// nobody waits. A host that answers "not now" leaves the recipient to the next.
func (v *calling) hosts(ctx context.Context) {
	d := v.d
	var n need
	var t *trouble
	if !isTLSReport(v.e) {
		// A report that says what is wrong must not wait for it to be right.
		// RFC 8460, 5.3.
		n, t = d.needOf(ctx, v.to)
	}
	if t != nil {
		v.last = t
		return
	}
	asked := ""
	n.strict = v.e.Envelope.RequireTLS
	if n.strict && v.to.hop.TLS == "off" {
		v.last = &trouble{outcome: failed, status: "5.7.30", answer: "the sender requires TLS, which this hop has switched off"}
		return
	}
	c := d.lanes.take(v.lane)
	if c != nil && n.strict && c.keeps() != nil {
		c.quit()
		c = nil
	}
	if c != nil && n.enforced() && !c.dane && (!c.proved || n.forbids(c.host.name) != nil) {
		// It is of a time before the policy.
		c.quit()
		c = nil
	}
	if c != nil {
		c.attach(ctx)
		// When a connection that had been lying there breaks, that proves
		// nothing about its host, which then has its turn in the list.
		if v.offer(ctx, c) {
			asked = c.host.addr
		}
	}
	if len(v.waiting) == 0 {
		return
	}
	entries, t := d.hosts(ctx, v.to)
	if t != nil {
		v.last = t
		return
	}
	var signed *dane.Resolver
	if !isTLSReport(v.e) {
		signed, t = d.signed(ctx, v.to)
	}
	if t != nil {
		v.last = t
		return
	}
	if n.strict && v.to.hop.MX && signed == nil && !n.enforced() {
		// RFC 8689, 4.2.1.
		v.last = &trouble{outcome: failed, status: "5.7.30", answer: bound("the sender requires TLS, and neither DNSSEC nor MTA-STS proves the servers of " + v.to.domain)}
		return
	}
	tried, reached := 0, asked != ""
	for _, entry := range entries {
		if len(v.waiting) == 0 {
			return
		}
		name, _, _ := net.SplitHostPort(entry)
		n := n
		if signed != nil {
			if t := d.tlsa(ctx, signed, name, &n); t != nil {
				v.last = milder(v.last, t)
				continue
			}
		}
		if no := n.forbids(name); no != nil {
			if n.enforced() {
				d.countTLS(n.domain, tlsrpt.Session{Policy: n.measure(name), Result: tlsrpt.Failed, Server: name, Reason: notInPolicy})
				v.last = milder(v.last, no)
				continue
			}
			n.misfit = true
			d.testing(v, no.answer)
		}
		hs, err := d.addresses(ctx, v.to.hop, entry)
		if err != nil {
			v.last = milder(v.last, &trouble{status: "4.4.3", answer: bound(err.Error())})
		}
		for _, h := range hs {
			switch {
			case len(v.waiting) == 0:
				return
			case ctx.Err() != nil:
				v.last = &trouble{outcome: interrupted, answer: "cut off"}
				return
			case h.addr == asked:
				continue
			case v.to.hop.MX && tried >= maxAddresses:
				return
			}
			tried++
			c, t := d.connect(ctx, v.key, v.lane, v.to.hop, h, n)
			if t != nil {
				v.last = milder(v.last, t)
				continue
			}
			reached = true
			if n.policy != nil && !c.proved {
				d.testing(v, "no TLS with a certificate that holds for "+h.name)
			}
			v.offer(ctx, c)
		}
	}
	if !reached && v.last != nil && v.last.outcome == deferred {
		d.fell(v.to, v.last.answer)
	}
}

// testing says what a policy would have forbidden. RFC 8461, 5.
func (d *Delivery) testing(v *calling, why string) {
	d.Log.Warn("mta-sts testing", "id", string(v.e.Envelope.ID), "tenant", string(v.e.Envelope.Tenant), "hop", v.to.hop.Name, "err", bound(why))
}

// offer sends the message over c and sorts the answers. It reports whether the
// connection came through it.
func (v *calling) offer(ctx context.Context, c *session) bool {
	d := v.d
	d.lanes.serve(v.lane, 1)
	field := receivedField(&v.e.Envelope, v.to.hop.Network, d.Hostname)
	m := v.m
	if report := isTLSReport(v.e); report || fromInside(v.e, v.to.hop.Network) {
		out := *v.m
		out.outward = !report
		m = &out
		sig, err := d.sign(ctx, v.e, m)
		if err == nil && sig == "" && report {
			// RFC 8460, 3: a report that nobody signed is not believed.
			err = errors.New("there is no key any more to sign a report of TLS with")
		}
		if err != nil {
			// Unsigned it would be taken for a forgery out there.
			t := &trouble{outcome: deferred, status: "4.3.0", answer: bound(err.Error())}
			for _, a := range v.waiting {
				v.said[a] = t.result(v.to.hop, a)
			}
			v.last = milder(v.last, t)
			d.lanes.serve(v.lane, -1)
			c.close()
			return false
		}
		field = sig + field
	}
	d.sizes.learn(v.key, c.takes())
	rs, usable := c.send(ctx, v.to.hop, m, field, v.e, v.waiting)
	v.waiting = nil
	for _, r := range rs {
		// Who may have it already is not offered it again now: that is the
		// copy that can be avoided.
		if r.outcome == deferred && !r.twice {
			v.waiting = append(v.waiting, r.to)
			v.said[r.to] = r
		} else {
			v.done = append(v.done, r)
		}
	}
	d.lanes.serve(v.lane, -1)
	if c.detach() && usable {
		d.lanes.keep(v.key, v.lane, c, d.Times.Idle, &d.bg)
		return true
	}
	c.close()
	return false
}

// milder keeps the trouble that leaves more hope: a destination has failed for
// good only when each of its hosts says so.
func milder(a, b *trouble) *trouble {
	if a != nil && a.outcome != failed && b.outcome == failed {
		return a
	}
	return b
}

func (d *Delivery) slotsOf(hop routing.Hop) int {
	switch {
	case hop.Slots > 0:
		return hop.Slots
	case hop.MX:
		return d.SlotsMX
	default:
		return slotsNamed
	}
}
