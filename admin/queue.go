package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/spool"
	"sekisho/tenant"
)

func (a *Admin) queueList(ctx context.Context, _ Account, q client.Request) (any, error) {
	// Ids sort by time in either state, so the two lists are one when merged,
	// and a page ends where the next one can begin.
	n := limit(q.Limit)
	var es []spool.Entry
	for _, s := range []spool.State{spool.Received, spool.Queued} {
		some, err := a.Journal.List(ctx, spool.Filter{Tenant: envelope.TenantID(q.Tenant), State: s, After: envelope.ID(q.After), Limit: n})
		if err != nil {
			return nil, fmt.Errorf("list queue: %w", err)
		}
		es = append(es, some...)
	}
	if err := a.named(q, len(es)); err != nil {
		return nil, err
	}
	slices.SortFunc(es, func(a, b spool.Entry) int { return strings.Compare(string(a.Envelope.ID), string(b.Envelope.ID)) })
	out := []client.Queued{}
	for i := range es[:min(n, len(es))] {
		e := &es[i]
		c := client.Queued{ID: string(e.Envelope.ID), Time: e.Envelope.Received, Tenant: string(e.Envelope.Tenant),
			From: e.Envelope.From.String(), To: addresses(e.Pending, e.Envelope.To), Attempts: e.Attempts, Due: e.Due, Err: e.Err, State: e.State.String()}
		if legs, err := a.Table().Legs(e.Envelope.Zone, e.Pending); err == nil {
			for i, l := range legs {
				if i > 0 {
					c.Hop += ","
				}
				c.Hop += l.Hop.Name
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func (a *Admin) retry(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := a.Retry(ctx, t, envelope.ID(q.ID), by.Name); err != nil {
		return nil, a.moved(ctx, q, spool.Queued, err)
	}
	return client.Released{ID: q.ID, State: "queued"}, nil
}

func (a *Admin) route(_ context.Context, _ Account, q client.Request) (any, error) {
	return RouteTest(a.Table(), a.Tenants(), q.Address, q.Zone, a.Now())
}

// RouteTest says where an address would be sent, and changes nothing.
func RouteTest(table *routing.Table, dir *tenant.Directory, address, zone string, at time.Time) (client.Route, error) {
	z := envelope.Internet
	if zone != "" {
		var err error
		if z, err = envelope.ParseZone(zone); err != nil {
			return client.Route{}, fmt.Errorf("%w: %w", err, errUsage)
		}
	}
	addr, err := envelope.ParseAddress(address)
	if err != nil {
		return client.Route{}, fmt.Errorf("%w: %w", err, errUsage)
	}
	t, ours := dir.Owner(addr.Domain)
	if z == envelope.Internet && !ours {
		return client.Route{}, fmt.Errorf("%s from zone internet would be refused: the domain is no tenant's, and there is no relay: %w", address, spool.ErrNotFound)
	}
	if ours && !t.Has(addr, at) {
		return client.Route{}, fmt.Errorf("%s is not among the recipients of tenant %s: %w", address, t.ID, spool.ErrNotFound)
	}
	h, r, err := table.Find(z, addr)
	if err != nil {
		return client.Route{}, fmt.Errorf("%s from zone %s: %w: %w", address, z, err, spool.ErrNotFound)
	}
	out := client.Route{Address: addr.String(), Zone: z.String(), Hop: h.Name, Network: h.Network.String(), Route: r.Domain, Subdomains: r.Subdomains, Treatment: "rebuild"}
	if !envelope.NeedsRebuild(z, h.Network, false) {
		out.Treatment = "pass"
	}
	return out, nil
}
