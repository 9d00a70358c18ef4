package delivery

import (
	"context"
	"fmt"
	"io"
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

// telling is how somebody learns of failures, prepared before they are settled.
type telling struct {
	spawn []spool.Entry
	how   string // for the audit
	after func() // once settled
}

func (t telling) count() {
	if t.after != nil {
		t.after()
	}
}

// tell prepares the word about failures. After the 250 a sender on the internet
// is never written to, since nobody knows whose address that is; a sender
// inside is, once, unless a program would read it; and in all other cases the
// tenant's administrators are, except about our own mail, which ends here.
func (d *Delivery) tell(ctx context.Context, e *spool.Entry, m *message, failures []result) (telling, error) {
	ctx = context.WithoutCancel(ctx)
	now := d.now()
	fs := make([]dsn.Failure, len(failures))
	for i, r := range failures {
		fs[i] = dsn.Failure{To: r.to, Status: r.status, Answer: r.answer, Remote: r.host, Last: now}
	}
	if e.Envelope.Treatment == envelope.Ours {
		return telling{how: "our own mail, nobody told"}, nil
	}
	top := m.top()
	if d.inside(e) && !dsn.AutoSubmitted(top) {
		b, err := d.Spool.NewOurs(ctx, spool.OurMail{
			Tenant: e.Envelope.Tenant, Profile: e.Envelope.Profile, To: []envelope.Address{e.Envelope.From}, Parent: e.Envelope.ID,
			UTF8: !ascii(e.Envelope.From.String()),
			Write: dsn.Report{
				Hostname: d.Hostname, Sender: e.Envelope.From, Report: envelope.NewID(now), ID: e.Envelope.ID, MessageID: e.Envelope.MessageID,
				Arrived: e.Envelope.Received, Now: now, Failures: fs, Header: top,
			}.Write,
		})
		if err != nil {
			return telling{}, fmt.Errorf("write a bounce: %w", err)
		}
		return telling{spawn: []spool.Entry{b}, how: "the sender told in " + string(b.Envelope.ID)}, nil
	}
	lost := make([]dsn.Lost, len(fs))
	for i, f := range fs {
		lost[i] = dsn.Lost{ID: e.Envelope.ID, From: e.Envelope.From, Failure: f}
	}
	return d.tellAdministrators(ctx, e.Envelope.Tenant, lost)
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

func (d *Delivery) tellAdministrators(ctx context.Context, t envelope.TenantID, lost []dsn.Lost) (telling, error) {
	if _, ok := d.Tenants().Get(t); !ok {
		return telling{how: "its tenant is not in the configuration, nobody told"}, nil
	}
	if !d.notices.room(t, d.now()) {
		return telling{how: "the administrators are told within the hour", after: func() { d.notices.wait(t, lost) }}, nil
	}
	e, err := d.notice(ctx, t, lost, 0)
	if err != nil {
		return telling{}, err
	}
	return telling{spawn: []spool.Entry{e}, how: "the administrators told in " + string(e.Envelope.ID)}, nil
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
