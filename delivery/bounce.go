package delivery

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"sekisho/envelope"
	"sekisho/internal/dsn"
	"sekisho/spool"
)

const (
	// noticesAnHour is how many notices a tenant's administrators get; the rest
	// is told in one when the hour is over. 10,000 bad mails must not be 10,000
	// notices.
	noticesAnHour = 5
	// maxWaiting bounds the failures kept for that; more are counted, and the
	// audit has them all.
	maxWaiting = 100
)

// telling is how somebody learns of what became of a message, prepared before
// that is settled.
type telling struct {
	spawn []spool.Entry
	how   map[outcome]string // for the audit
	after func()             // once settled
}

func (t telling) count() {
	if t.after != nil {
		t.after()
	}
}

// add puts what somebody is told of an outcome to the rest.
func (t *telling) add(o outcome, how string, spawn ...spool.Entry) {
	if t.how == nil {
		t.how = map[outcome]string{}
	}
	t.how[o] = how
	t.spawn = append(t.spawn, spawn...)
}

// tellOfFailures prepares the word about failures. After the 250 a sender on
// the internet is never written to, since nobody knows whose address that is; a
// sender inside is, once, unless a program would read it or he asked for
// silence; and in all other cases the tenant's administrators are, except about
// our own mail, which ends here.
func (d *Delivery) tellOfFailures(ctx context.Context, t *telling, e *spool.Entry, m *message, failures []result) error {
	if e.Envelope.Treatment == envelope.Ours {
		t.add(failed, "our own mail, nobody told")
		return nil
	}
	if d.reads(e, m) {
		wanted := asked(e, failures, envelope.NotifyFailure)
		if len(wanted) == 0 {
			t.add(failed, "the sender asked not to be told")
			return nil
		}
		b, err := d.report(ctx, e, m, dsn.Failed, wanted)
		if err != nil {
			return err
		}
		t.add(failed, "the sender told in "+string(b.Envelope.ID), b)
		return nil
	}
	now := d.now()
	lost := make([]dsn.Lost, len(failures))
	for i, r := range failures {
		lost[i] = dsn.Lost{ID: e.Envelope.ID, From: e.Envelope.From, Recipient: about(e, r, now)}
	}
	return d.tellAdministrators(ctx, t, e.Envelope.Tenant, lost)
}

// tellOfRelaying prepares the word that RFC 3461, 5.2.2 wants from whoever is
// the last to know of reports: to a sender inside who asked for it. A part that
// was kept back is a mail of its own, which nobody asked anything about.
func (d *Delivery) tellOfRelaying(ctx context.Context, t *telling, e *spool.Entry, m *message, rs []result) error {
	relayed := asked(e, slices.DeleteFunc(slices.Clone(rs), func(r result) bool { return r.outcome != sent || !r.relayed }), envelope.NotifySuccess)
	if e.Envelope.Treatment == envelope.Ours || len(e.Part) > 0 || len(relayed) == 0 || !d.reads(e, m) {
		return nil
	}
	b, err := d.report(ctx, e, m, dsn.Relayed, relayed)
	if err != nil {
		return err
	}
	t.add(sent, "the sender told in "+string(b.Envelope.ID), b)
	return nil
}

// tellOfDelay prepares the word that a message is late, once a message and only
// to a sender inside. It reports whether that is over with, told or not.
func (d *Delivery) tellOfDelay(ctx context.Context, t *telling, e *spool.Entry, m *message, rs []result) (bool, error) {
	now := d.now()
	if e.Delayed || now.Sub(born(e)) < d.Late {
		return e.Delayed, nil
	}
	late := slices.DeleteFunc(slices.Clone(rs), func(r result) bool { return r.outcome != deferred && r.outcome != parked })
	if len(late) == 0 {
		return false, nil
	}
	late = asked(e, late, envelope.NotifyDelay)
	if e.Envelope.Treatment == envelope.Ours || len(late) == 0 || !d.reads(e, m) {
		return true, nil
	}
	b, err := d.report(ctx, e, m, dsn.Delayed, late)
	if err != nil {
		return false, err
	}
	t.add(deferred, "the sender told in "+string(b.Envelope.ID), b)
	return true, nil
}

// asked leaves the results that the sender wants to be told of in case c. RFC
// 3461, 4.1.
func asked(e *spool.Entry, rs []result, c envelope.Notify) []result {
	return slices.DeleteFunc(slices.Clone(rs), func(r result) bool { return !e.Envelope.DSN.Of(r.to).Notify.Of(c) })
}

// reads reports whether the sender may be written to and would read it.
func (d *Delivery) reads(e *spool.Entry, m *message) bool {
	return d.inside(e) && !dsn.AutoSubmitted(m.top())
}

// report writes one report to the sender.
func (d *Delivery) report(ctx context.Context, e *spool.Entry, m *message, action dsn.Action, rs []result) (spool.Entry, error) {
	now := d.now()
	r := dsn.Report{
		Hostname: d.Hostname, Sender: e.Envelope.From, Report: envelope.NewID(now), ID: e.Envelope.ID, MessageID: e.Envelope.MessageID,
		Arrived: e.Envelope.Received, Now: now, Action: action, Until: born(e).Add(d.Life), Header: m.top(),
	}
	if e.Envelope.DSN != nil {
		r.EnvID = e.Envelope.DSN.EnvID
	}
	for _, f := range rs {
		r.Recipients = append(r.Recipients, about(e, f, now))
	}
	b, err := d.Spool.NewOurs(context.WithoutCancel(ctx), spool.OurMail{
		Tenant: e.Envelope.Tenant, Profile: e.Envelope.Profile, To: []envelope.Address{e.Envelope.From}, Parent: e.Envelope.ID,
		UTF8: !ascii(e.Envelope.From.String()), Write: r.Write,
	})
	if err != nil {
		return spool.Entry{}, fmt.Errorf("write a report: %w", err)
	}
	return b, nil
}

// about is one result as a report tells it.
func about(e *spool.Entry, r result, now time.Time) dsn.Recipient {
	return dsn.Recipient{To: r.to, Original: e.Envelope.DSN.Of(r.to).Original, Status: r.status, Answer: r.answer, Remote: r.host, Last: now}
}

// inside reports whether the sender may be written to: mail came from a zone
// inside, and the address is reached by a hop inside. An inner machine that
// sends in somebody else's name must not make us write to him.
func (d *Delivery) inside(e *spool.Entry) bool {
	switch e.Envelope.Zone {
	case envelope.LGWAN, envelope.InternetSegment:
	default:
		return false
	}
	if e.Envelope.From.IsNull() {
		// RFC 5321, 4.5.5.
		return false
	}
	hop, _, err := d.Table().Find(envelope.Internet, e.Envelope.From)
	return err == nil && hop.Network != envelope.NetworkInternet
}

// notices counts what administrators were sent in the hour, and keeps what
// they were not. A daemon that starts anew has forgotten it; the audit has not.
type notices struct {
	mu sync.Mutex
	m  map[envelope.TenantID]*noticed
}

type noticed struct {
	since   time.Time
	sent    int
	waiting []dsn.Lost
	omitted int
}

// room reports whether a notice may go now; if so it counts as sent.
func (n *notices) room(t envelope.TenantID, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.tenant(t)
	if now.Sub(s.since) >= time.Hour || now.Before(s.since) {
		s.since, s.sent = now, 0
	}
	if s.sent >= noticesAnHour {
		return false
	}
	s.sent++
	return true
}

func (n *notices) tenant(t envelope.TenantID) *noticed {
	if n.m == nil {
		n.m = map[envelope.TenantID]*noticed{}
	}
	if n.m[t] == nil {
		n.m[t] = &noticed{}
	}
	return n.m[t]
}

func (n *notices) wait(t envelope.TenantID, lost []dsn.Lost) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.tenant(t)
	for _, l := range lost {
		if len(s.waiting) < maxWaiting {
			s.waiting = append(s.waiting, l)
		} else {
			s.omitted++
		}
	}
}

// due takes out the tenants that have something waiting and an hour gone by.
func (n *notices) due(now time.Time) map[envelope.TenantID]noticed {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out map[envelope.TenantID]noticed
	for t, s := range n.m {
		if len(s.waiting) == 0 || now.Sub(s.since) < time.Hour {
			continue
		}
		if out == nil {
			out = map[envelope.TenantID]noticed{}
		}
		out[t] = *s
		*s = noticed{since: now, sent: 1}
	}
	return out
}

func (d *Delivery) tellAdministrators(ctx context.Context, t *telling, owner envelope.TenantID, lost []dsn.Lost) error {
	if _, ok := d.Tenants().Get(owner); !ok {
		t.add(failed, "its tenant is not in the configuration, nobody told")
		return nil
	}
	if !d.notices.room(owner, d.now()) {
		t.add(failed, "the administrators are told within the hour")
		t.after = func() { d.notices.wait(owner, lost) }
		return nil
	}
	e, err := d.notice(context.WithoutCancel(ctx), owner, lost, 0)
	if err != nil {
		return err
	}
	t.add(failed, "the administrators told in "+string(e.Envelope.ID), e)
	return nil
}

func (d *Delivery) notice(ctx context.Context, t envelope.TenantID, lost []dsn.Lost, omitted int) (spool.Entry, error) {
	owner, ok := d.Tenants().Get(t)
	if !ok {
		return spool.Entry{}, fmt.Errorf("write a notice: no tenant %q", string(t))
	}
	now := d.now()
	n := dsn.Notice{Hostname: d.Hostname, To: owner.Postmaster(), Notice: envelope.NewID(now), Now: now, Lost: lost, Omitted: omitted}
	utf8 := false
	for _, a := range n.To {
		utf8 = utf8 || !ascii(a.String())
	}
	m := spool.OurMail{Tenant: t, Profile: owner.Profile, To: n.To, UTF8: utf8, Write: func(w io.Writer) error { return n.Write(w) }}
	if len(lost) == 1 {
		m.Parent = lost[0].ID
	}
	e, err := d.Spool.NewOurs(ctx, m)
	if err != nil {
		return spool.Entry{}, fmt.Errorf("write a notice: %w", err)
	}
	return e, nil
}

// flushNotices sends what waited for its hour.
func (d *Delivery) flushNotices(ctx context.Context) {
	for t, n := range d.notices.due(d.now()) {
		e, err := d.notice(ctx, t, n.waiting, n.omitted)
		if err == nil {
			err = d.Spool.Insert(ctx, []spool.Entry{e}, nil)
		}
		if err != nil {
			d.Log.Error("notice", "tenant", string(t), "err", err)
			d.notices.wait(t, n.waiting)
		}
	}
}
