// Package pipeline moves messages from Received to Queued or Held. For each it
// checks the intake seal, has the message examined by a confined worker and
// the result verified by a second, composes the header block, asks policy, and
// seals exactly the bytes that may be delivered to exactly these recipients.
// It parses nothing itself, sends nothing, and never passes what it could not
// examine: a crash costs the attachment, a second crash holds the message.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/seal"
	"sekisho/policy"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
	"sekisho/scan"
	"sekisho/spool"
)

// Examiner runs a worker over a sealed memory file. *worker.Runner is the one
// the gateway uses; another stands in tests of workers that lie.
type Examiner interface {
	Run(ctx context.Context, o sanitize.Options, in *worker.Message) (*worker.Result, error)
}

// A Carrier takes a message that has just been treated to its next hop without
// its bytes and its state going through the journal in between. *delivery.Delivery
// is the one the gateway uses.
type Carrier interface {
	// Carry reports whether it has taken the entry, with its lease, and the
	// message; queued is the change that would queue it, but for the bytes.
	Carry(e spool.Entry, queued spool.Change, message blob.Reader) bool
	// Noted settles an entry that was carried before the daemon was killed, and
	// reports whether it was one.
	Noted(ctx context.Context, e spool.Entry) bool
}

// Pipeline examines what was received.
type Pipeline struct {
	Spool    *spool.Spool
	Examiner Examiner
	Rules    func() *policy.Rules // the current ones; swapped on reload
	Table    func() *routing.Table
	Hostname string
	// Domains are a tenant's own, so that a stranger who shows one of them in
	// his name is marked; may be nil.
	Domains   func(t envelope.TenantID) []string
	Retention func() time.Duration // of what is held; the current one, swapped on reload
	// Originals is how long the bytes of delivered mail are kept.
	Originals func() time.Duration
	Log       *slog.Logger
	Now       func() time.Time
	Workers   int // messages examined at once; zero: 1
	// Tenants is how many tenants the examiner serves beside one another
	// without starting anything; zero: any number.
	Tenants int
	// Held is told of every whole message held, so that a peer that fills the
	// quarantine is slowed; may be nil.
	Held func(e *envelope.Envelope)
	// Alarm is told of what somebody must look at; may be nil.
	Alarm func(kind string, id envelope.ID)
	// Grace is how long what is in hand may go on when the gateway stops; zero:
	// 30 s. What is not done by then stays received for the next start.
	Grace time.Duration
	// Examined is told of every run, for the metrics; may be nil.
	Examined func(r Run)
	// Takes is how many octets the server of a hop takes, 0 when that is not
	// known; may be nil.
	Takes func(routing.Hop) int64
	// Carrier is offered what can be sent at once; nil: everything is queued.
	Carrier Carrier
	// Scanners are asked about the bytes as they were received, beside the
	// worker; nil, and a nil set, ask nobody.
	Scanners func() *scan.Set

	large *largeTurns // made by Run
	hand  hand
}

// Run is what the metrics count.
type Run struct {
	Action policy.Action
	Class  sanitize.Class
	Took   time.Duration
	Failed bool // a run of the worker failed

	turned  bool // away: too many large ones were in hand
	carried bool // by the Carrier, which settles it
}

// window is how many entries are claimed at a time. The rest waits in the
// journal, not in memory.
const window = 16

// turn is how many messages of a tenant are examined in a row when more tenants
// have mail than the examiner can serve beside one another. Two processes are
// started for such a turn, which cost as much as some six short texts each; and
// the mail of the others waits for no longer than these take.
const turn = 12

// company is how long a free slot waits for others, so that one claim fills
// many: each is a transaction. While most slots are free nothing waits.
const company = 20 * time.Millisecond

// poll is how long the pipeline sleeps when nothing wakes it: leases that ran
// out come back by themselves.
const poll = time.Second

// errStopping ends runs that have not come to their end in time.
var errStopping = errors.New("the gateway stops")

// usualGrace is what a message of usual size has long been treated in; a
// service manager waits longer before it kills.
const usualGrace = 30 * time.Second

// Run works until ctx is done, then finishes what it has in hand, for Grace at
// the longest. What is cut then stays received, is in nobody's hand, and counts
// as no failure and no death.
func (p *Pipeline) Run(ctx context.Context) {
	workers := max(p.Workers, 1)
	p.large = newLargeTurns()
	work, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	p.hand.open(work, workers)
	slots := p.hand.slots
	defer func() {
		p.hand.close()
		grace := p.Grace
		if grace == 0 {
			grace = usualGrace
		}
		t := time.AfterFunc(grace, func() { cut(errStopping) })
		p.hand.inHand.Wait()
		t.Stop()
		cut(nil)
	}()
	var last time.Time
	for {
		// One slot must be free before anything is claimed: a lease taken while
		// nobody can work runs out.
		select {
		case slots <- struct{}{}:
			<-slots
		case <-ctx.Done():
			return
		}
		if wait := company - time.Since(last); wait > 0 && 2*len(slots) > workers {
			select {
			case <-time.After(min(wait, time.Millisecond)):
				continue
			case <-ctx.Done():
				return
			}
		}
		last = time.Now()
		free := workers - len(slots)
		entries, err := p.Spool.ClaimInTurns(ctx, spool.Received, p.Now(), min(free, window), spool.Turns{Seats: p.Tenants, Run: turn})
		if err != nil && ctx.Err() == nil {
			p.Log.Error("claim", "err", err)
		}
		for _, e := range entries {
			slots <- struct{}{}
			p.hand.start(e.Envelope.Tenant, slots, func() { p.step(work, e) })
		}
		p.hand.rest(len(entries) == 0 && err == nil)
		if len(entries) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-p.Spool.Changed(spool.Received):
			p.hand.rest(false)
		case <-time.After(poll):
		}
	}
}

// step takes one entry to its next state, keeping its lease alive meanwhile.
func (p *Pipeline) step(ctx context.Context, e spool.Entry) {
	start := p.Now()
	ctx, stop := p.Spool.KeepLease(ctx, e)
	defer stop()
	defer func() {
		// The daemon must not die of one message, and the message must not be
		// lost: its lease runs out, and the third time it is held as poison.
		if r := recover(); r != nil {
			p.Log.Error("examine", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "err", fmt.Sprint("panic: ", r))
		}
	}()
	if p.Carrier != nil && p.Carrier.Noted(ctx, e) {
		return
	}
	c, run := p.examine(ctx, &e)
	run.Took = p.Now().Sub(start)
	if run.carried {
		if p.Examined != nil {
			p.Examined(run)
		}
		return
	}
	if stopping(ctx) {
		// The change says that nothing has been decided, and it must be made.
		ctx = context.WithoutCancel(ctx)
	}
	if err := p.Spool.Settle(ctx, e, c); err != nil {
		p.Log.Error("settle", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "err", err)
		return
	}
	if p.Examined != nil && c.To != spool.Received {
		p.Examined(run)
	}
	p.callLarge(ctx, &e, run.turned)
}

// callLarge has large messages claimed for which there is a place again.
func (p *Pipeline) callLarge(ctx context.Context, e *spool.Entry, turned bool) {
	if p.large == nil || e.Envelope.Size <= largeMessage {
		return
	}
	if turned {
		p.large.turnedAway(e.Envelope.ID)
	}
	called := p.large.next()
	if len(called) == 0 {
		return
	}
	if _, err := p.Spool.Hasten(ctx, spool.Received, called, p.Now()); err != nil && ctx.Err() == nil {
		p.Log.Error("claim", "err", err) // they come by themselves after their pause
	}
}

// examine decides what becomes of e and returns the change that makes it so.
func (p *Pipeline) examine(ctx context.Context, e *spool.Entry) (spool.Change, Run) {
	rules := p.Rules()
	facts := policy.Facts{Envelope: &e.Envelope, Release: e.Release, Before: e.Verdict.Class, Poison: p.Spool.Poison(e)}
	var set *scan.Set
	if p.Scanners != nil {
		set = p.Scanners()
	}
	var t treated
	switch {
	case e.Tampered != "":
		facts.Tampered = "the journal row is not as the gateway wrote it: " + e.Tampered
	default:
		if err := p.Spool.CheckIntake(*e); err != nil {
			facts.Tampered = "intake seal: " + err.Error()
		}
	}
	if facts.Tampered == "" && facts.Poison == "" {
		var err error
		t, err = p.treat(ctx, e, rules, set)
		defer t.close()
		var wait *scan.Wait
		switch {
		// Bytes that are not those that were accepted are nobody's to release:
		// a disk that lost a block looks no different from somebody's hand.
		case errors.Is(err, spool.ErrTampered), errors.Is(err, blob.ErrDamaged), errors.Is(err, blob.ErrNotFound):
			facts.Tampered = "stored bytes: " + err.Error()
		case err != nil && stopping(ctx):
			return p.again(0, e.Attempts, ""), Run{}
		case errors.Is(err, errTurn):
			return p.again(turnPause, e.Attempts, ""), Run{turned: true}
		case errors.As(err, &wait):
			// It waits for the scanner, whatever the worker thinks of it.
			tries := e.Attempts
			if wait.Counts {
				tries++
			}
			p.Log.Info("deferred", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "rule", "scanner", "err", wait.Error())
			return p.again(scan.Retry, tries, wait.Error()), Run{}
		case err != nil:
			facts.Failure = err
		}
		facts.Report, facts.Scans = t.report, t.scans
		if facts.Failure == nil && len(t.scans) == 0 && set.Asks(&e.Envelope) {
			facts.Failure = errors.New("no scanner has seen it")
		}
	}
	v := rules.Decide(facts)
	if v.Action == policy.Deliver && len(e.Part) > 0 && t.nothingTreated() {
		// A release of parts of which none could be treated delivers nothing.
		v = policy.Verdict{Action: policy.Hold, Class: e.Verdict.Class, Rule: "release",
			Reasons: []string{"no harmless form of it can be made: " + t.why()}}
	}
	run := Run{Action: v.Action, Class: v.Class, Failed: facts.Failure != nil}
	if v.Action == policy.Deliver {
		c, carried, err := p.queue(ctx, e, &t, v)
		if err == nil {
			run.carried = carried
			return c, run
		}
		if stopping(ctx) {
			return p.again(0, e.Attempts, ""), Run{}
		}
		// Routes or the disk failed after the decision; the message waits for a
		// person rather than for ever.
		v = policy.Verdict{Action: policy.Hold, Class: sanitize.ClassFailed, Rule: "queue", Reasons: []string{err.Error()}}
		run.Action, run.Class = v.Action, v.Class
	}
	return p.hold(e, t.report, v), run
}

// stopping reports whether the time of what is in hand is over.
func stopping(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errStopping) }

// again leaves a message received, for another try. Nothing has been decided.
func (p *Pipeline) again(pause time.Duration, tries int, why string) spool.Change {
	due := p.Now().Add(pause)
	return spool.Change{To: spool.Received, Update: func(e *spool.Entry) { e.Due, e.Attempts, e.Err = due, tries, why }}
}

// hold makes the change to Held.
func (p *Pipeline) hold(e *spool.Entry, report *sanitize.Report, v policy.Verdict) spool.Change {
	now := p.Now()
	again := e.Release != nil
	if len(e.Part) == 0 && !again && p.Held != nil {
		p.Held(&e.Envelope)
	}
	kind := string(v.Class)
	alarm := v.Class == sanitize.ClassTampered || v.Class == sanitize.ClassPoison
	if v.Rule == string(envelope.OverRate) {
		alarm, kind = true, v.Rule
	}
	if alarm && p.Alarm != nil {
		p.Alarm(kind, e.Envelope.ID)
	}
	level := slog.LevelInfo
	if alarm {
		level = slog.LevelError
	}
	p.Log.Log(context.Background(), level, "held", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant,
		"from", e.Envelope.From.String(), "rule", v.Rule, "kind", v.Class, "err", strings.Join(v.Reasons, "; "))
	return spool.Change{
		To: spool.Held,
		Update: func(e *spool.Entry) {
			e.Verdict = v
			if report != nil {
				e.Report = report
			}
			e.Release = nil
			e.Attempts, e.Err = 0, ""
			if e.Expires.IsZero() || !again {
				e.Expires = now.Add(p.Retention())
			}
		},
		Events: []audit.Event{p.event(e, "held", fmt.Sprintf("class %s, rule %s: %s", v.Class, v.Rule, strings.Join(v.Reasons, "; ")))},
	}
}

// queue seals the bytes to send and makes the change to Queued, with an entry of
// its own for the parts kept back. What can be sent at once is carried; of the
// rest the bytes are stored.
func (p *Pipeline) queue(ctx context.Context, e *spool.Entry, t *treated, v policy.Verdict) (c spool.Change, carried bool, err error) {
	// A message that comes back because a route changed has been delivered to
	// some of its recipients already.
	if t.kind == "" {
		return c, false, errors.New("there is nothing to send")
	}
	to := e.Pending
	if len(to) == 0 {
		to = e.Envelope.To
	}
	legs, err := p.Table().Legs(e.Envelope.Zone, to)
	if e.Envelope.Treatment == envelope.Ours {
		legs, err = p.oursLegs(to)
	}
	if err != nil {
		return c, false, fmt.Errorf("route: %w", err)
	}
	networks := map[envelope.Network]bool{}
	var list []envelope.Network
	var numbers []uint8
	for _, l := range legs {
		if !networks[l.Hop.Network] {
			networks[l.Hop.Network] = true
			list = append(list, l.Hop.Network)
			numbers = append(numbers, uint8(l.Hop.Network))
		}
	}
	out := seal.Outgoing{Tenant: string(e.Envelope.Tenant), ID: string(e.Envelope.ID), Kind: t.kind, Networks: numbers,
		Header: t.header, Body: t.body}
	for _, a := range e.Envelope.To {
		out.To = append(out.To, a.String())
	}
	now := p.Now()
	sanitized := e.Sanitized
	sig := p.Spool.Seal.SealOutgoing(out)
	headerLen, report := t.headerLen, t.report
	p.Log.Info("examined", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "rule", v.Rule, "kind", string(t.kind))
	p.Log.Info("queued", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "from", e.Envelope.From.String(), "hop", legNames(legs))
	c.To = spool.Queued
	c.Update = func(e *spool.Entry) {
		e.Verdict, e.Report = v, report
		e.Sanitized, e.HeaderLen = sanitized, headerLen
		e.Seal, e.Networks, e.Kind = sig, list, string(out.Kind)
		e.Pending = to
		e.Attempts, e.Err = 0, ""
		e.Due = now
	}
	c.Events = []audit.Event{p.event(e, "queued", fmt.Sprintf("%s, %s%s", t.kind, t.summary(), t.scanned()))}
	if paths := t.keptBack(); len(paths) > 0 {
		part, err := p.Spool.SpawnPart(*e, envelope.ID(t.partID), paths)
		if err != nil {
			return c, false, fmt.Errorf("entry of the parts kept back: %w", err)
		}
		class, reasons := t.partReasons()
		part.Report = t.report
		part.Verdict = policy.Verdict{Action: policy.Hold, Class: class, Rule: "kept-back", Reasons: reasons}
		part.Expires, part.Due = t.expires, now
		c.Spawn = append(c.Spawn, part)
		ev := p.event(&part, "held", fmt.Sprintf("kept back from %s: %s", e.Envelope.ID, strings.Join(reasons, "; ")))
		c.Events = append(c.Events, ev)
		p.Log.Info("held", "id", part.Envelope.ID, "tenant", part.Envelope.Tenant, "rule", "kept-back", "kind", class)
	}
	if t.message == nil {
		return c, false, nil
	}
	if p.Carrier != nil && e.Release == nil && len(e.Part) == 0 && p.Carrier.Carry(*e, c, t.message) {
		t.message = nil
		return c, true, nil
	}
	sanitized, _, err = p.Spool.WriteBlob(ctx, e.Envelope.Tenant, func(w io.Writer) error {
		// Copy takes a buffer no larger than what is there.
		_, err := io.Copy(w, io.NewSectionReader(t.message, 0, t.message.Size()))
		return err
	})
	if err != nil {
		return c, false, fmt.Errorf("store the treated message: %w", err)
	}
	return c, false, nil
}

// oursLegs routes mail the gateway wrote itself: to wherever the route leads,
// zone or not, since it is neither relayed nor anybody else's.
func (p *Pipeline) oursLegs(to []envelope.Address) ([]routing.Leg, error) {
	return p.Table().Legs(envelope.LGWAN, to)
}

func legNames(legs []routing.Leg) string {
	var names []string
	for _, l := range legs {
		names = append(names, l.Hop.Name)
	}
	return strings.Join(names, ",")
}

func (p *Pipeline) event(e *spool.Entry, act, detail string) audit.Event {
	actor := "gateway"
	if e.Release != nil {
		actor = e.Release.By
	}
	return audit.Event{Time: p.Now(), Tenant: string(e.Envelope.Tenant), Actor: actor, Act: act, ID: string(e.Envelope.ID), Detail: detail}
}
