package admin

import (
	"context"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/spool"
	"sekisho/tenant"
)

func (a *Admin) tenantList(_ context.Context, _ Account, q client.Request) (any, error) {
	if q.Tenant != "" {
		t, err := a.tenantNamed(q)
		if err != nil {
			return nil, err
		}
		return []client.Tenant{a.tenant(t)}, nil
	}
	out := []client.Tenant{}
	all := a.Tenants().All()
	for i := range all {
		out = append(out, a.tenant(&all[i]))
	}
	return out, nil
}

// tenantShow says of one tenant, beside its settings, what is under way for it.
func (a *Admin) tenantShow(ctx context.Context, _ Account, q client.Request) (any, error) {
	t, err := a.tenantNamed(q)
	if err != nil {
		return nil, err
	}
	out := client.TenantShown{Tenant: a.tenant(t), Entries: map[string]int{}, Trusted: []string{}}
	for _, p := range t.TrustedSenders.Networks {
		out.Trusted = append(out.Trusted, p.String())
	}
	out.Trusted = append(out.Trusted, addresses(t.TrustedSenders.Addresses, nil)...)
	out.Trusted = append(out.Trusted, t.TrustedSenders.Domains...)
	for _, s := range []spool.State{spool.Received, spool.Queued, spool.Held} {
		n, err := a.countOf(ctx, t.ID, s)
		if err != nil {
			return nil, err
		}
		out.Entries[s.String()] = n
	}
	for _, v := range t.Recipients.After(a.Now()) {
		out.Scheduled = append(out.Scheduled, client.RecipientVersion{Tenant: string(t.ID), Version: v.Number, Made: v.Made, Effective: v.Effective,
			By: v.By, Source: v.Source, Any: v.List == nil, Addresses: length(v.List)})
	}
	return out, nil
}

// countOf counts a tenant's entries in a state, up to what a person reads as
// "many".
func (a *Admin) countOf(ctx context.Context, t envelope.TenantID, s spool.State) (int, error) {
	const most = 100_000
	n := 0
	for after := envelope.ID(""); n < most; {
		es, err := a.Journal.List(ctx, spool.Filter{Tenant: t, State: s, After: after, Limit: 1000})
		if err != nil {
			return 0, err
		}
		n += len(es)
		if len(es) < 1000 {
			break
		}
		after = es[len(es)-1].Envelope.ID
	}
	return n, nil
}

func length(l *tenant.List) int {
	if l == nil {
		return 0
	}
	return l.Len()
}

func (a *Admin) tenant(t *tenant.Tenant) client.Tenant {
	now := a.Now()
	v := t.Recipients.At(now)
	out := client.Tenant{ID: string(t.ID), Name: t.Name, Domains: t.Domains, Profile: string(t.Profile), Administrators: addresses(t.Postmaster(), nil),
		Recipients: "any", File: t.RecipientsFile, Version: v.Number}
	if t.Recipients.Unknown(now) {
		out.Recipients = "doubted"
	}
	if v.List != nil {
		out.Addresses, out.Reached = v.List.Len(), v.List.On(tenant.DayOf(now))
		out.Recipients = "imported"
		if t.RecipientsFile != "" {
			out.Recipients = "file"
		}
	}
	return out
}
