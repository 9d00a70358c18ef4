// Package routing turns the domains of recipients into legs: which hop, on
// which network. It is pure and knows no DNS; delivery looks MX records up.
// A name that belongs to LGWAN can never yield a hop of network internet.
package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekisho/envelope"
)

// Errors that callers branch on.
var (
	ErrNoRoute = errors.New("no route")
	// ErrLeak says that a name of lgwan.domains would leave by the internet.
	ErrLeak = errors.New("a name of lgwan.domains may not leave by the internet")
)

// Hop is a place mail is sent to.
type Hop struct {
	Name    string
	Network envelope.Network
	Hosts   []string // host:port, tried in order; empty when MX
	MX      bool     // look the recipient's domain up; hops of network internet only
	TLS     string   // "opportunistic" (default) | "require" | "off"
	Slots   int      // connections at a time
}

// Route sends a domain to a hop. Domain "*" matches everything.
type Route struct {
	Domain     string
	Subdomains bool // the domain and every name below it
	Hop        string
}

// Leg is the part of a message that goes to one hop.
type Leg struct {
	Hop Hop
	To  []envelope.Address
}

// Table is an immutable routing table, swapped whole.
type Table struct {
	hops    map[string]Hop
	exact   map[string]Route
	suffix  map[string]Route
	star    *Route
	lgwan   []string
	except  []string
	tenants map[string]bool
}

// New checks and builds a table. tenants are the domains that the gateway's
// own tenants have; lgwan and except are the names of contract.md's key lgwan.
func New(hops []Hop, routes []Route, lgwan, except, tenants []string) (*Table, error) {
	t := &Table{hops: map[string]Hop{}, exact: map[string]Route{}, suffix: map[string]Route{}, tenants: map[string]bool{}}
	for _, d := range lgwan {
		t.lgwan = append(t.lgwan, fold(d))
	}
	for _, d := range except {
		t.except = append(t.except, fold(d))
	}
	for _, d := range tenants {
		t.tenants[fold(d)] = true
	}
	for _, h := range hops {
		switch {
		case h.Name == "":
			return nil, errors.New("hop without a name")
		case t.hops[h.Name].Name != "":
			return nil, fmt.Errorf("hop %q stands twice", h.Name)
		case h.Network != envelope.NetworkLGWAN && h.Network != envelope.NetworkLocal && h.Network != envelope.NetworkInternet:
			return nil, fmt.Errorf("hop %q has no network", h.Name)
		case h.MX && h.Network != envelope.NetworkInternet:
			return nil, fmt.Errorf("hop %q: mx is for hops of network internet", h.Name)
		case h.MX == (len(h.Hosts) > 0):
			return nil, fmt.Errorf("hop %q needs either hosts or mx", h.Name)
		}
		t.hops[h.Name] = h
	}
	for _, r := range routes {
		r.Domain = fold(r.Domain)
		if _, ok := t.hops[r.Hop]; !ok {
			return nil, fmt.Errorf("route %q: hop %q does not exist", r.Domain, r.Hop)
		}
		hop := t.hops[r.Hop]
		switch {
		case r.Domain == "":
			return nil, errors.New("route without a domain")
		case r.Domain == "*":
			if t.star != nil {
				return nil, errors.New(`route "*" stands twice`)
			}
			t.star = &r
			continue
		case strings.ContainsAny(r.Domain, "*@ "):
			return nil, fmt.Errorf("route %q: write a domain, with subdomains: true for all names below it, or \"*\"", r.Domain)
		case hop.Network == envelope.NetworkInternet && t.isLGWAN(r.Domain):
			return nil, fmt.Errorf("route %q to hop %q: %w", r.Domain, r.Hop, ErrLeak)
		case hop.Network == envelope.NetworkInternet && t.tenants[r.Domain]:
			return nil, fmt.Errorf("route %q to hop %q: a tenant's domain is never sent out to the internet", r.Domain, r.Hop)
		}
		m := t.exact
		if r.Subdomains {
			m = t.suffix
		}
		if _, ok := m[r.Domain]; ok {
			return nil, fmt.Errorf("route %q stands twice", r.Domain)
		}
		m[r.Domain] = r
	}
	for d := range t.tenants {
		r, err := t.match(d)
		if err != nil {
			return nil, fmt.Errorf("tenant's domain %q has no route", d)
		}
		if t.hops[r.Hop].Network == envelope.NetworkInternet {
			return nil, fmt.Errorf("tenant's domain %q would be sent to the internet by route %q: give it a route to its own hop", d, r.Domain)
		}
	}
	return t, nil
}

// Hops returns the hops, by name.
func (t *Table) Hops() []Hop {
	var hs []Hop
	for _, h := range t.hops {
		hs = append(hs, h)
	}
	slices.SortFunc(hs, func(a, b Hop) int { return strings.Compare(a.Name, b.Name) })
	return hs
}

// Find returns the leg of one recipient and the route that said so.
func (t *Table) Find(z envelope.Zone, a envelope.Address) (Hop, Route, error) {
	r, err := t.match(fold(a.Domain))
	if err != nil {
		return Hop{}, Route{}, err
	}
	h := t.hops[r.Hop]
	switch h.Network {
	case envelope.NetworkLGWAN, envelope.NetworkLocal:
	case envelope.NetworkInternet:
		if z != envelope.LGWAN && z != envelope.InternetSegment {
			return Hop{}, r, fmt.Errorf("zone %s to the internet: no relay: %w", z, ErrNoRoute)
		}
		// Not even "*" may carry a name of LGWAN out, nor a tenant's.
		if t.isLGWAN(fold(a.Domain)) {
			return Hop{}, r, ErrLeak
		}
		if t.tenants[fold(a.Domain)] {
			return Hop{}, r, fmt.Errorf("a tenant's domain to the internet: %w", ErrLeak)
		}
	default:
		return Hop{}, r, ErrNoRoute
	}
	return h, r, nil
}

// Legs splits recipients by hop. One that has no route fails all, with an
// error that names it: the caller asked for these recipients when it accepted
// them, and a table changed since then is looked at recipient by recipient.
func (t *Table) Legs(z envelope.Zone, to []envelope.Address) ([]Leg, error) {
	var legs []Leg
	at := map[string]int{}
	for _, a := range to {
		h, _, err := t.Find(z, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a, err)
		}
		i, ok := at[h.Name]
		if !ok {
			i = len(legs)
			at[h.Name] = i
			legs = append(legs, Leg{Hop: h})
		}
		legs[i].To = append(legs[i].To, a)
	}
	return legs, nil
}

// match finds the route: the exact domain, then the longest suffix, then "*".
func (t *Table) match(domain string) (Route, error) {
	if domain == "" {
		return Route{}, ErrNoRoute
	}
	if r, ok := t.exact[domain]; ok {
		return r, nil
	}
	for d := domain; d != ""; {
		if r, ok := t.suffix[d]; ok {
			return r, nil
		}
		_, rest, ok := strings.Cut(d, ".")
		if !ok {
			break
		}
		d = rest
	}
	if t.star != nil {
		return *t.star, nil
	}
	return Route{}, ErrNoRoute
}

func (t *Table) isLGWAN(domain string) bool {
	return under(domain, t.lgwan) && !under(domain, t.except)
}

// under reports whether domain is one of names or below one, label by label:
// "evil-lg.jp" is not below "lg.jp".
func under(domain string, names []string) bool {
	for _, n := range names {
		if domain == n || strings.HasSuffix(domain, "."+n) {
			return true
		}
	}
	return false
}

// fold makes two spellings of a domain one: DNS does not tell cases apart, and
// a trailing dot names the same domain.
func fold(d string) string { return strings.TrimSuffix(strings.ToLower(d), ".") }
