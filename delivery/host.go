package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"sekisho/routing"
)

const (
	// maxMX bounds the MX records that are looked at: a domain's owner writes
	// as many as he likes.
	maxMX = 20
	// maxAddresses bounds the addresses tried for one MX destination in one
	// try, so that a domain with twenty dead servers holds a slot for minutes
	// and not for an hour. Postfix stops at five too.
	maxAddresses = 5
)

// host is one address to connect to.
type host struct {
	addr string // address and port
	name string // as the configuration or the MX record has it; for TLS, logs and reports
}

// errNullMX says that a domain takes no mail. RFC 7505.
var errNullMX = errors.New("the domain takes no mail (null MX)")

// errLoop says that the mail would come back to us.
var errLoop = errors.New("the MX of the domain is this gateway, which has no route for it")

// hosts lists where a destination's mail may be handed over, best first. Names
// are looked up one by one as their turn comes.
func (d *Delivery) hosts(ctx context.Context, to destination) ([]string, *trouble) {
	if !to.hop.MX {
		return to.hop.Hosts, nil
	}
	names, err := d.exchangers(ctx, to.domain)
	switch {
	case err == nil:
		return names, nil
	case errors.Is(err, errNullMX):
		// RFC 7505, 4.2.
		return nil, &trouble{outcome: failed, status: "5.1.10", answer: err.Error()}
	case errors.Is(err, errLoop):
		return nil, &trouble{outcome: failed, status: "5.4.6", answer: err.Error()}
	case ctx.Err() != nil:
		return nil, &trouble{outcome: interrupted, answer: "cut off while looking up"}
	default:
		// No answer of the DNS is for good, not even "no such domain": a
		// resolver that is wrong for an hour must not return a day's mail.
		return nil, &trouble{status: "4.4.3", answer: bound("look up " + to.domain + ": " + err.Error())}
	}
}

// exchangers returns the mail servers of a domain. RFC 5321, 5.1.
func (d *Delivery) exchangers(ctx context.Context, domain string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Times.Look)
	defer cancel()
	// The final dot keeps search lists of the machine out of it.
	mxs, err := d.Resolver.LookupMX(ctx, domain+".")
	var dns *net.DNSError
	switch {
	case len(mxs) > 0:
		// An error beside records says that some were no host names.
	case errors.As(err, &dns) && dns.IsNotFound, err == nil:
		// The implicit MX; whether the domain exists shows when its address is
		// looked up.
		return []string{net.JoinHostPort(domain, "25")}, nil
	default:
		return nil, err
	}
	return d.order(mxs)
}

// order sorts MX records by preference, in random order where it is the same,
// and cuts the list where we stand in it ourselves.
func (d *Delivery) order(mxs []*net.MX) ([]string, error) {
	rand.Shuffle(len(mxs), func(i, j int) { mxs[i], mxs[j] = mxs[j], mxs[i] })
	slices.SortStableFunc(mxs, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	if len(mxs) > maxMX {
		mxs = mxs[:maxMX]
	}
	// RFC 5321, 5.1: where we are a server of the domain ourselves, only better
	// ones than us may have it from us.
	us := -1
	for _, mx := range mxs {
		if us < 0 && exchanger(mx) == strings.ToLower(d.Hostname) {
			us = int(mx.Pref)
		}
	}
	var names []string
	for _, mx := range mxs {
		// The name "." is the null MX; beside others it means nothing.
		// RFC 7505, 3.
		if name := exchanger(mx); name != "" && (us < 0 || int(mx.Pref) < us) {
			names = append(names, net.JoinHostPort(name, "25"))
		}
	}
	switch {
	case len(names) > 0:
		return names, nil
	case us >= 0:
		return nil, errLoop
	default:
		return nil, errNullMX
	}
}

func exchanger(mx *net.MX) string { return strings.TrimSuffix(strings.ToLower(mx.Host), ".") }

// addresses looks up one entry of a list of hosts. A literal needs no DNS: the
// LGWAN side has none.
func (d *Delivery) addresses(ctx context.Context, hop routing.Hop, entry string) ([]host, error) {
	name, port, err := net.SplitHostPort(entry)
	if err != nil {
		name, port = strings.Trim(entry, "[]"), "25"
	}
	var found []netip.Addr
	if a, err := netip.ParseAddr(name); err == nil {
		found = []netip.Addr{a}
	} else {
		ctx, cancel := context.WithTimeout(ctx, d.Times.Look)
		defer cancel()
		ips, err := d.Resolver.LookupIPAddr(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", name, err)
		}
		for _, ip := range ips {
			if a, ok := netip.AddrFromSlice(ip.IP); ok {
				found = append(found, a.Unmap().WithZone(ip.Zone))
			}
		}
	}
	var hs []host
	for _, a := range found {
		if hop.MX && (!d.Outside(a) || d.insideHop(a)) {
			continue
		}
		hs = append(hs, host{addr: net.JoinHostPort(a.String(), port), name: name})
	}
	if len(hs) == 0 {
		return nil, fmt.Errorf("look up %s: no address on the internet", name)
	}
	return hs, nil
}

// insideHop reports whether the address is that of a hop that does not lead to
// the internet. A foreign MX record must not make mail cross between networks.
func (d *Delivery) insideHop(a netip.Addr) bool {
	for _, h := range d.Table().Hops() {
		if h.MX {
			continue
		}
		for _, entry := range h.Hosts {
			name, _, err := net.SplitHostPort(entry)
			if err != nil {
				name = strings.Trim(entry, "[]")
			}
			if b, err := netip.ParseAddr(name); err == nil && b.Unmap() == a.Unmap() {
				return true
			}
		}
	}
	return false
}

// notOutside are networks of IPv4 that are not routed on the internet and that
// netip has no question for. RFC 6890.
var notOutside = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

var (
	// global6 is all of IPv6 that is given out on the internet; what else looks
	// like an address (site-local, IPv4-compatible) leads inside or nowhere.
	global6 = netip.MustParsePrefix("2000::/3")
	// Translators and tunnels carry an address of IPv4 in one of IPv6, which may
	// be of the inside. RFC 6052, 3.1; RFC 3056, 2; RFC 4380, 4.
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
	teredo = netip.MustParsePrefix("2001::/32")
)

// onTheInternet reports whether an address may be somebody's public MX.
func onTheInternet(a netip.Addr) bool {
	a = a.Unmap()
	b := a.As16()
	switch {
	case a.Zone() != "" || teredo.Contains(a):
		return false
	case nat64.Contains(a):
		a = netip.AddrFrom4([4]byte(b[12:]))
	case sixTo4.Contains(a):
		a = netip.AddrFrom4([4]byte(b[2:6]))
	case a.Is6() && !global6.Contains(a):
		return false
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(notOutside, func(p netip.Prefix) bool { return p.Contains(a) })
}
