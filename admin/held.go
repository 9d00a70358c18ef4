package admin

import (
	"context"
	"fmt"
	"strings"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/spool"
)

func (a *Admin) heldList(ctx context.Context, _ Account, q client.Request) (any, error) {
	es, err := a.Quarantine.List(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.After), limit(q.Limit))
	if err != nil {
		return nil, err
	}
	if err := a.named(q, len(es)); err != nil {
		return nil, err
	}
	out := []client.Held{}
	for i := range es {
		out = append(out, held(&es[i]))
	}
	return out, nil
}

// named refuses an empty answer about a tenant that is not in the configuration:
// a name typed wrong must not read as "nothing is held". Of one that was taken
// out of it what is still there is shown.
func (a *Admin) named(q client.Request, found int) error {
	if q.Tenant == "" || found > 0 || q.After != "" || q.Seq > 0 {
		return nil
	}
	if _, ok := a.Tenants().Get(envelope.TenantID(q.Tenant)); !ok {
		return fmt.Errorf("tenant %s: %w", q.Tenant, spool.ErrNotFound)
	}
	return nil
}

func (a *Admin) heldShow(ctx context.Context, by Account, q client.Request) (any, error) {
	if !envelope.ID(q.ID).Valid() {
		return nil, fmt.Errorf("%q is no id: %w", q.ID, spool.ErrNotFound)
	}
	e, err := a.Quarantine.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID))
	if err != nil {
		return nil, err
	}
	if e.State != spool.Held {
		return nil, fmt.Errorf("%s is not held any more: %w", q.ID, spool.ErrNotFound)
	}
	s := client.Shown{Held: held(&e), Parent: string(e.Parent), Zone: e.Envelope.Zone.String(),
		Peer: e.Envelope.Peer.Addr.String(), Helo: e.Envelope.Peer.Helo, TLS: e.Envelope.Peer.TLS, SHA256: e.Envelope.Digest.String()}
	if e.Report != nil {
		for _, f := range e.Report.Header {
			s.Header = append(s.Header, client.Field{Name: f.Name, Value: fieldText(f)})
		}
		for i := range e.Report.Parts {
			s.Detail = append(s.Detail, part(&e.Report.Parts[i]))
		}
	}
	s.Text, err = a.Preview(ctx, e)
	if err != nil {
		s.TextNote = err.Error()
	}
	// Looking is an act: who read what of whose mail must be known.
	ev := audit.Event{Time: a.Now(), Tenant: string(e.Envelope.Tenant), Actor: by.Name, Act: "shown", ID: q.ID}
	if err := a.Journal.Record(ctx, []audit.Event{ev}); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return s, nil
}

func (a *Admin) release(ctx context.Context, by Account, q client.Request) (any, error) {
	r := policy.Release{By: by.Name, Reason: q.Reason}
	for _, s := range q.To {
		addr, err := envelope.ParseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, errUsage)
		}
		r.To = append(r.To, addr)
	}
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	id, err := a.Quarantine.Release(ctx, t, envelope.ID(q.ID), r)
	if err != nil {
		return nil, a.moved(ctx, q, spool.Held, err)
	}
	return client.Released{ID: string(id), State: "examining"}, nil
}

// original answers those who ask for an original, or decide about one: as long
// as originals.deliver is off, none leaves, whoever asks. That somebody asked
// stays in the audit, for the same reason as a look does.
func (a *Admin) original(word string) act {
	return func(ctx context.Context, by Account, q client.Request) (any, error) {
		t, err := a.tenantOf(ctx, q)
		if err != nil {
			return nil, err
		}
		ev := audit.Event{Time: a.Now(), Tenant: string(t), Actor: by.Name, Act: "original-refused", ID: q.ID, Detail: strings.TrimSpace(word + ", " + q.Reason)}
		if err := a.Journal.Record(ctx, []audit.Event{ev}); err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		return nil, fmt.Errorf("originals are not delivered (originals.deliver is off); release delivers the harmless form: %w", errNotAllowed)
	}
}

// releaseStatus says how far a release has come; the caller asks again until
// it is no longer being examined.
func (a *Admin) releaseStatus(ctx context.Context, _ Account, q client.Request) (any, error) {
	e, err := a.Journal.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", q.ID, err)
	}
	out := client.Released{ID: q.ID}
	switch e.State {
	case spool.Received:
		out.State = "examining"
	case spool.Queued:
		out.State = "queued"
		if e.Err != "" {
			out.Reasons = []string{e.Err}
		}
	case spool.Held:
		out.State, out.Reasons = "held", e.Verdict.Reasons
	case spool.Done:
		out.State = "delivered"
		if e.Err != "" {
			out.State, out.Reasons = "failed", []string{e.Err}
		}
	default:
		return nil, fmt.Errorf("%s is in state %d", q.ID, e.State)
	}
	return out, nil
}

func (a *Admin) remove(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := a.Quarantine.Delete(ctx, t, envelope.ID(q.ID), by.Name, q.Reason); err != nil {
		return nil, a.moved(ctx, q, spool.Held, err)
	}
	return client.Released{ID: q.ID, State: "deleted"}, nil
}

func held(e *spool.Entry) client.Held {
	h := client.Held{ID: string(e.Envelope.ID), Time: e.Envelope.Received, Tenant: string(e.Envelope.Tenant), From: e.Envelope.From.String(),
		To: addresses(e.Envelope.To, nil), Subject: e.Envelope.Subject, Class: string(e.Verdict.Class), Rule: e.Verdict.Rule,
		Reasons: e.Verdict.Reasons, Parts: []string{}, Size: e.Envelope.Size, Expires: e.Expires}
	if h.Reasons == nil {
		h.Reasons = []string{}
	}
	if e.Report != nil {
		for _, f := range e.Report.Header {
			if f.Name == "Subject" {
				h.Subject = f.Text
			}
		}
	}
	if e.Tampered != "" {
		h.Class = string(sanitize.ClassTampered)
	}
	for _, path := range e.Part {
		name := path
		if e.Report != nil {
			for i := range e.Report.Parts {
				if p := &e.Report.Parts[i]; p.Path == path && p.Name != "" {
					name = p.Name
				}
			}
		}
		h.Parts = append(h.Parts, name)
	}
	return h
}

func part(p *sanitize.Part) client.Part {
	out := client.Part{Path: p.Path, Name: p.Name, Kind: string(p.Kind), OutKind: string(p.OutKind), Class: string(p.Class),
		Outcome: p.Outcome.String(), Fate: p.Fate.String(), Size: p.Size, SHA256: envelope.Digest(p.In).String(), Error: p.Err, Findings: []client.Finding{}}
	if p.Out != (sanitize.Digest{}) {
		out.SHA256O = envelope.Digest(p.Out).String()
	}
	for _, f := range p.Findings {
		out.Findings = append(out.Findings, client.Finding{Rule: f.Rule, Where: f.Where, Action: string(f.Action), Detail: f.Detail})
	}
	return out
}

func fieldText(f sanitize.Field) string {
	if len(f.Mailboxes) == 0 {
		return f.Text
	}
	var s string
	for i, m := range f.Mailboxes {
		if i > 0 {
			s += ", "
		}
		if m.Name != "" {
			s += m.Name + " "
		}
		s += "<" + m.Address + ">"
	}
	return s
}
