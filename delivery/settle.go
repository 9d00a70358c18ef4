package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/spool"
)

// job is one entry in our hand, from its claim to its settling.
type job struct {
	d       *Delivery
	e       spool.Entry // with the lease that is ours now
	work    context.Context
	cancel  context.CancelCauseFunc // ends what is under way for it
	release func()
	m       *message
	queued  *spool.Change // of a message that is carried, and whose row does not say so yet: what queued it
	results []result
	late    bool // that it is late has been told, or need not be
}

// keep renews the lease until letGo. When it is lost somebody else may have the
// entry, and everything under way for it ends.
func (j *job) keep() {
	lease, stop := j.d.Spool.KeepLease(j.work, j.e)
	unhook := context.AfterFunc(lease, func() { j.cancel(context.Cause(lease)) })
	j.release = func() { unhook(); stop() }
}

func (j *job) letGo() {
	if j.release != nil {
		j.release()
		j.release = nil
	}
}

// settle commits a change. A disk that stumbles is asked again while the lease
// lasts: what was sent and is not written down is sent twice.
func (j *job) settle(c spool.Change) error {
	ctx := context.WithoutCancel(j.work)
	c = j.whole(ctx, c)
	for try := 1; ; try++ {
		err := j.d.Spool.Settle(ctx, j.e, c)
		if err == nil {
			j.queued = nil
			return nil
		}
		if errors.Is(err, spool.ErrLost) || errors.Is(err, spool.ErrUncertain) || errors.Is(err, spool.ErrNotFound) || try == 5 || j.work.Err() != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-j.work.Done():
		}
	}
}

// refuse does what belongs to an error that came before anything was sent.
func (j *job) refuse(ctx context.Context, err error) {
	switch {
	case errors.Is(err, errMismatch):
		j.hold(sanitize.ClassTampered, "seal", err)
	case errors.Is(err, errRerouted):
		j.reexamine("rerouted", err)
	default:
		j.again(ctx, err)
	}
}

// hold keeps the whole message back. Tampered is for good: no release leads out
// of it.
func (j *job) hold(class sanitize.Class, rule string, why error) {
	d, e := j.d, &j.e
	now := d.now()
	reason := bound(why.Error())
	err := j.settle(spool.Change{
		To: spool.Held,
		Update: func(e *spool.Entry) {
			e.Verdict = policy.Verdict{Action: policy.Hold, Class: class, Rule: rule, Reasons: []string{reason}}
			e.Release = nil
			e.Err = reason
			e.Expires = now.Add(d.Retention())
		},
		Events: []audit.Event{j.event("held", fmt.Sprintf("class %s, rule %s: %s", class, rule, reason))},
	})
	if err != nil {
		d.Log.Error("settle", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "err", err)
		return
	}
	d.Spool.Notes.Forget(e.Envelope.ID)
	// The alarm: nothing of this level is written for mail that goes its way.
	d.Log.Error("held", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "from", quoted(e.Envelope.From.String()),
		"rule", rule, "kind", string(class), "err", reason)
	if d.Metrics.Held != nil {
		d.Metrics.Held(string(class))
	}
}

// poison holds a message that was in hand at too many deaths of the daemon.
func (j *job) poison(why string) { j.hold(sanitize.ClassPoison, "poison", errors.New(why)) }

// reexamine gives the message back to be treated for where it goes now.
func (j *job) reexamine(rule string, why error) {
	d, e := j.d, &j.e
	now := d.now()
	err := j.settle(spool.Change{
		To: spool.Received,
		Update: func(e *spool.Entry) {
			unseal(e)
			e.Err = bound(why.Error())
			e.Due = now
		},
		Events: []audit.Event{j.event(rule, bound(why.Error()))},
	})
	if err != nil {
		d.Log.Error("settle", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "err", err)
		return
	}
	d.Spool.Notes.Forget(e.Envelope.ID)
	d.Log.Warn("received", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "rule", rule, "err", why)
}

// again puts the message back because our own side did not work.
func (j *job) again(ctx context.Context, why error) {
	d, e := j.d, &j.e
	now := d.now()
	cut := ctx.Err() != nil
	err := j.settle(spool.Change{
		To: spool.Queued,
		Update: func(e *spool.Entry) {
			e.Due = now
			if !cut {
				e.Attempts++
				e.Err = bound(why.Error())
				e.Due = now.Add(wait(e.Attempts))
			}
		},
	})
	if err == nil && !cut {
		err = why
	}
	if err != nil {
		d.Log.Error("deferred", "id", string(e.Envelope.ID), "tenant", string(e.Envelope.Tenant), "err", err)
	}
}

// commit writes down what is done while other destinations of the message are
// still under way: a daemon that dies now repeats only those.
func (j *job) commit() {
	done := slices.DeleteFunc(slices.Clone(j.results), func(r result) bool { return r.outcome != sent })
	if len(done) == 0 {
		return
	}
	now := j.d.now()
	told := j.relayed(done)
	c := spool.Change{
		To: spool.Queued, Spawn: told.spawn,
		Update: func(e *spool.Entry) {
			e.Pending = without(e.Pending, done)
			// Nobody is to claim it in the moment before it is taken again.
			e.Due = now.Add(spool.LeaseTime)
		},
		Events: j.events(done, told.how),
	}
	j.letGo()
	err := j.settle(c)
	if err != nil {
		// It is still ours, or lost; the next renewal shows which.
		j.d.Log.Error("settle", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant), "err", err)
		j.keep()
		return
	}
	j.log(done)
	j.results = slices.DeleteFunc(j.results, func(r result) bool { return r.outcome == sent })
	e, err := j.d.Spool.Take(context.WithoutCancel(j.work), j.e.Envelope.Tenant, j.e.Envelope.ID, spool.Queued)
	if err != nil {
		j.cancel(fmt.Errorf("take it again: %w", err))
		return
	}
	j.e = e
	j.keep()
}

// dueToTell reports whether somebody may have to be told something if the
// message does not go now: that it is late, or given up.
func (j *job) dueToTell() bool {
	age := j.d.now().Sub(born(&j.e))
	return age >= j.d.Life || age >= j.d.Late && !j.e.Delayed
}

// relayed prepares what is told of those that were sent. That cannot be put
// off, unlike the word about a failure: they would be sent again.
func (j *job) relayed(rs []result) telling {
	var told telling
	if err := j.d.tellOfRelaying(j.work, &told, &j.e, j.m, rs); err != nil {
		j.d.Log.Error("report", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant), "err", err)
	}
	return told
}

// finish settles what the try came to.
func (j *job) finish() {
	d := j.d
	if j.shrinks() {
		return
	}
	now := d.now()
	// Without the message nobody can be told anything. It is not open when, a
	// moment ago, nothing was due to be told: then that is for the next try.
	over := j.m != nil && now.Sub(born(&j.e)) >= d.Life
	for i := range j.results {
		r := &j.results[i]
		if r.twice {
			d.Log.Warn("may be delivered twice", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant),
				"to", quoted(r.to.String()), "hop", r.hop.Name, "err", r.answer)
		}
		if over && r.outcome == deferred {
			// RFC 3463, X.4.7.
			r.outcome, r.status = failed, "5.4.7"
			r.answer = bound("given up after " + d.Life.String() + "; last: " + r.answer)
			r.host = ""
		}
	}
	told := j.relayed(j.results)
	failures := slices.DeleteFunc(slices.Clone(j.results), func(r result) bool { return r.outcome != failed })
	if len(failures) > 0 {
		if err := d.tellOfFailures(j.work, &told, &j.e, j.m, failures); err != nil {
			// Whoever is to be told cannot be written to now. The recipients
			// stay, so that nobody's mail is lost without a word.
			d.Log.Error("bounce", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant), "err", err)
			for i := range j.results {
				if r := &j.results[i]; r.outcome == failed {
					r.outcome = deferred
				}
			}
		}
	}
	j.late = j.e.Delayed
	if j.m != nil {
		var err error
		if j.late, err = d.tellOfDelay(j.work, &told, &j.e, j.m, j.results); err != nil {
			// With the next try.
			d.Log.Error("report", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant), "err", err)
		}
	}
	c := j.change(now, told)
	if err := j.settle(c); err != nil {
		d.Log.Error("settle", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant), "err", err)
		for _, r := range j.results {
			if r.outcome == sent {
				d.Log.Warn("may be delivered twice", "id", string(j.e.Envelope.ID), "tenant", string(j.e.Envelope.Tenant),
					"to", quoted(r.to.String()), "hop", r.hop.Name, "err", err)
			}
		}
		return
	}
	told.count()
	j.d.Spool.Notes.Forget(j.e.Envelope.ID)
	j.log(j.results)
}

// change is everything that follows from the results.
func (j *job) change(now time.Time, told telling) spool.Change {
	ended := slices.DeleteFunc(slices.Clone(j.results), func(r result) bool { return r.outcome != sent && r.outcome != failed })
	c := spool.Change{To: spool.Queued, Spawn: told.spawn, Events: j.events(ended, told.how)}
	if how := told.how[deferred]; how != "" {
		c.Events = append(c.Events, j.event("delayed", how))
	}
	if len(without(j.e.Pending, ended)) == 0 {
		c.To = spool.Done
		c.Update = func(e *spool.Entry) {
			e.Pending, e.Err = nil, ""
			if i := slices.IndexFunc(ended, func(r result) bool { return r.outcome == failed }); i >= 0 {
				e.Err = summary(ended[i])
			}
			e.Expires = now.Add(j.d.Originals())
		}
		return c
	}
	attempts, due, err := j.e.Attempts, time.Time{}, j.e.Err
	counted, late := false, j.late
	for _, r := range j.results {
		at := now
		switch r.outcome {
		case sent, failed:
			continue
		case parked:
			at = r.due
		case interrupted:
		default:
			if !counted {
				counted = true
				attempts++
				err = summary(r)
			}
			if at = r.due; at.IsZero() {
				at = now.Add(wait(attempts))
			}
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if due.IsZero() {
		due = now.Add(wait(attempts + 1))
	}
	c.Update = func(e *spool.Entry) {
		e.Pending = without(e.Pending, ended)
		e.Attempts, e.Due, e.Err, e.Delayed = attempts, due, err, late
	}
	return c
}

func summary(r result) string {
	s := r.hop.Name + ": "
	if r.host != "" {
		s += r.host + ": "
	}
	return bound(s + r.answer)
}

func without(as []envelope.Address, rs []result) []envelope.Address {
	return slices.DeleteFunc(slices.Clone(as), func(a envelope.Address) bool {
		return slices.ContainsFunc(rs, func(r result) bool { return r.to == a })
	})
}

// born is when the life of a message in the queue began. One that was held for
// a week has not been tried for a week.
func born(e *spool.Entry) time.Time {
	if e.Release != nil && e.Release.At.After(e.Envelope.Received) {
		return e.Release.At
	}
	return e.Envelope.Received
}

// wait is the time to the next try after the n-th. RFC 5321, 4.5.4.1 wants half
// an hour in general and allows for a shorter time at first: most failures are
// over in minutes. A tenth either way keeps a queue from coming back all at
// once.
func wait(n int) time.Duration {
	schedule := []time.Duration{1, 5, 15, 30, 60}
	t := schedule[min(max(n, 1), len(schedule))-1] * time.Minute
	return time.Duration(float64(t) * (0.9 + 0.2*rand.Float64()))
}

// events writes the audit: one for all recipients that got the same answer from
// the same host.
func (j *job) events(rs []result, how map[outcome]string) []audit.Event {
	var evs []audit.Event
	type same struct {
		o                 outcome
		hop, host, answer string
	}
	var order []same
	to := map[same][]string{}
	for _, r := range rs {
		k := same{r.outcome, r.hop.Name, r.host, r.answer}
		if to[k] == nil {
			order = append(order, k)
		}
		to[k] = append(to[k], r.to.String())
	}
	for _, k := range order {
		detail := fmt.Sprintf("to %s, hop %s, host %s: %s", strings.Join(to[k], " "), k.hop, k.host, k.answer)
		if h := how[k.o]; h != "" {
			detail += "; " + h
		}
		evs = append(evs, j.event(k.o.String(), detail))
	}
	return evs
}

func (j *job) event(act, detail string) audit.Event {
	return audit.Event{Time: j.d.now(), Tenant: string(j.e.Envelope.Tenant), Actor: "gateway", Act: act, ID: string(j.e.Envelope.ID), Detail: detail}
}

// log writes a line for each recipient, and counts it.
func (j *job) log(rs []result) {
	e := &j.e.Envelope
	for _, r := range rs {
		switch r.outcome {
		case parked, interrupted:
			continue
		}
		level, text := slog.LevelInfo, r.answer
		if r.host != "" {
			text = r.host + ": " + text
		}
		if r.outcome == failed {
			level = slog.LevelWarn
		}
		j.d.Log.Log(context.Background(), level, r.outcome.String(), "id", string(e.ID), "tenant", string(e.Tenant),
			"from", quoted(e.From.String()), "to", quoted(r.to.String()), "hop", r.hop.Name, "err", text)
		if j.d.Metrics.Recipient != nil {
			j.d.Metrics.Recipient(r.hop.Name, r.outcome.String())
		}
	}
}

// quoted is text that a peer controls, in a log line.
type quoted string

// LogValue bounds it and leaves nothing that a terminal would act upon.
func (q quoted) LogValue() slog.Value { return slog.StringValue(bound(string(q))) }
