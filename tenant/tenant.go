// Package tenant knows which body a domain belongs to, which recipients that
// body has and which profile applies to them. It is an immutable value, built
// from the configuration and swapped whole.
package tenant

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
)

// Tenant is one of the bodies the gateway serves.
type Tenant struct {
	ID             envelope.TenantID
	Name           string
	Domains        []string
	Profile        envelope.ProfileID
	Administrators []envelope.Address // empty: postmaster@ the first domain
	Recipients     *Recipients        // nil: any
	RecipientsFile string             // the file that the configuration names, "": none
	TrustedSenders Trusted
}

// Trusted is who may write under a tenant's domains from zone internet without
// proof that the domain itself gives: form services, survey providers, lists.
type Trusted struct {
	Networks  []netip.Prefix
	Addresses []envelope.Address // of the envelope, where SPF proves them
	Domains   []string           // that sign with DKIM
}

// Directory finds tenants.
type Directory struct {
	tenants  []Tenant
	byDomain map[string]int
	byID     map[envelope.TenantID]int
}

// New checks and builds a directory.
func New(ts []Tenant) (*Directory, error) {
	d := &Directory{tenants: ts, byDomain: map[string]int{}, byID: map[envelope.TenantID]int{}}
	if len(ts) == 0 {
		return nil, fmt.Errorf("no tenant")
	}
	for i, t := range ts {
		if t.ID == "" || len(t.Domains) == 0 {
			return nil, fmt.Errorf("tenant %q needs an id and at least one domain", t.ID)
		}
		if _, ok := d.byID[t.ID]; ok {
			return nil, fmt.Errorf("tenant %q stands twice", t.ID)
		}
		d.byID[t.ID] = i
		for _, dom := range t.Domains {
			dom = strings.ToLower(dom)
			if j, ok := d.byDomain[dom]; ok {
				return nil, fmt.Errorf("domain %q belongs to tenants %q and %q", dom, ts[j].ID, t.ID)
			}
			d.byDomain[dom] = i
		}
	}
	return d, nil
}

// All returns every tenant.
func (d *Directory) All() []Tenant { return d.tenants }

// Get returns a tenant by id.
func (d *Directory) Get(id envelope.TenantID) (*Tenant, bool) {
	i, ok := d.byID[id]
	if !ok {
		return nil, false
	}
	return &d.tenants[i], true
}

// Owner returns the tenant whose domain this is.
func (d *Directory) Owner(domain string) (*Tenant, bool) {
	i, ok := d.byDomain[strings.TrimSuffix(strings.ToLower(domain), ".")]
	if !ok {
		return nil, false
	}
	return &d.tenants[i], true
}

// Has reports whether the tenant has this recipient at that time. postmaster
// always exists.
func (t *Tenant) Has(a envelope.Address, at time.Time) bool {
	return a.Postmaster() || t.Recipients.Has(a, at)
}

// With returns a directory in which tenants have these recipients, those of
// the configuration's files excepted: a file that is named counts alone.
func (d *Directory) With(imported map[envelope.TenantID]*Recipients) *Directory {
	next := &Directory{tenants: slices.Clone(d.tenants), byDomain: d.byDomain, byID: d.byID}
	for i := range next.tenants {
		t := &next.tenants[i]
		if r, ok := imported[t.ID]; ok && t.RecipientsFile == "" {
			t.Recipients = r
		}
	}
	return next
}

// Postmaster returns the addresses that alarms and failures go to.
func (t *Tenant) Postmaster() []envelope.Address {
	if len(t.Administrators) > 0 {
		return t.Administrators
	}
	return []envelope.Address{{Local: "postmaster", Domain: strings.ToLower(t.Domains[0])}}
}
