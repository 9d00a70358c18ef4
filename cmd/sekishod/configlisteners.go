package main

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"sekisho/envelope"
)

// listens reports whether a is an address to listen on; port 0 is one of the
// system's choice. A name is none: what it means is known to a DNS server only,
// and may be another machine.
func listens(a string) bool {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host != "" && host != "localhost" && !parseAddr(host).IsValid() {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// sameSocket reports whether two addresses to listen on exclude each other.
func sameSocket(a, b string) bool {
	ha, pa, _ := net.SplitHostPort(a)
	hb, pb, _ := net.SplitHostPort(b)
	na, _ := net.LookupPort("tcp", pa)
	nb, _ := net.LookupPort("tcp", pb)
	any := func(h string) bool { return h == "" || parseAddr(h).IsUnspecified() }
	return na != 0 && na == nb && (any(ha) || any(hb) || ha == hb)
}

// fullName reports whether s is the full name of a host in letters, digits and
// hyphens. An address is none: nobody could have a certificate, an MX or SPF
// for it.
func fullName(s string) bool {
	return hostnamePattern.MatchString(s) && strings.Contains(s, ".") && !strings.Contains(s, "..") && !parseAddr(s).IsValid()
}

// domainWrong says what is wrong with a domain; "" is nothing.
func domainWrong(d string) string {
	for _, r := range d {
		if r >= 0x80 {
			return fmt.Sprintf("%q is no domain: write it as DNS has it, in letters, digits and hyphens (xn--...)", d)
		}
	}
	if !fullName(d) {
		return fmt.Sprintf("%q is no domain", d)
	}
	return ""
}

var hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// reached reports whether other machines can connect to an address.
func reached(at string) bool {
	host, _, _ := net.SplitHostPort(at)
	return host != "localhost" && !parseAddr(host).IsLoopback()
}

// inClear are the listeners that the internet reaches and that offer no
// STARTTLS. A balancer before them may speak TLS in their place.
func (c *config) inClear() []string {
	var names []string
	for _, l := range c.Listeners {
		if l.Zone == envelope.Internet.String() && slices.ContainsFunc(l.Listen, reached) && l.TLS.Cert == "" && len(l.Proxy) == 0 {
			names = append(names, l.Name)
		}
	}
	return names
}

func (c *config) checkListeners(f *configFile) error {
	if len(c.Listeners) == 0 {
		return f.errorf("listeners", "required: at least one listener")
	}
	names := map[string]bool{}
	taken := map[string]string{} // by whom, by address
	if c.Metrics.Listen != "" {
		taken[c.Metrics.Listen] = "metrics"
	}
	for i, l := range c.Listeners {
		at := fmt.Sprintf("listeners[%d]", i)
		if l.Name == "" || names[l.Name] {
			return f.errorf(at+".name", "every listener needs a name of its own")
		}
		names[l.Name] = true
		zone, err := envelope.ParseZone(l.Zone)
		if err != nil {
			return f.errorf(at+".zone", "%v%s", err, suggest(l.Zone, []string{"internet", "internet-segment", "lgwan"}))
		}
		if len(l.Listen) == 0 {
			return f.errorf(at+".listen", "required: at least one ADDRESS:PORT")
		}
		for j, a := range l.Listen {
			if !listens(a) {
				return f.errorf(fmt.Sprintf("%s.listen[%d]", at, j), "want ADDRESS:PORT, got %q", a)
			}
			for b, who := range taken {
				if sameSocket(a, b) {
					return f.errorf(fmt.Sprintf("%s.listen[%d]", at, j), "%s is taken by %s (%s)", a, who, b)
				}
			}
			taken[a] = l.Name
		}
		if (l.TLS.Cert == "") != (l.TLS.Key == "") {
			return f.errorf(at+".tls", "cert and key go together")
		}
		for j, n := range l.Networks {
			p, err := parsePrefix(n)
			if err != nil {
				return f.errorf(fmt.Sprintf("%s.networks[%d]", at, j), "%v", err)
			}
			// Who is in it is believed to be a server inside, or a PC of ours.
			if zone != envelope.Internet && tooWide(p) {
				return f.errorf(fmt.Sprintf("%s.networks[%d]", at, j), "%s is too wide for zone %s, whose peers are trusted: name your own networks", n, l.Zone)
			}
		}
		for j, n := range l.Peers {
			if _, err := parsePrefix(n); err != nil {
				return f.errorf(fmt.Sprintf("%s.peers[%d]", at, j), "%v", err)
			}
		}
		for j, n := range l.Proxy {
			p, err := parsePrefix(n)
			if err != nil {
				return f.errorf(fmt.Sprintf("%s.proxy[%d]", at, j), "%v", err)
			}
			// Whoever connects from there may say that he is anybody.
			if hosts := p.Addr().BitLen() - p.Bits(); hosts > 8 {
				return f.errorf(fmt.Sprintf("%s.proxy[%d]", at, j), "%s is too wide: name the balancers, at most a /%d", n, p.Addr().BitLen()-8)
			}
		}
		if zone != envelope.Internet && len(l.Networks) == 0 {
			return f.errorf(at+".networks", "a listener of zone %s knows its peers by their networks; name them", l.Zone)
		}
		if l.Accepts != "" && l.Accepts != "tenants" {
			return f.errorf(at+".accepts", "want tenants or nothing, got %q", l.Accepts)
		}
	}
	return nil
}

// tooWide reports whether a network cannot be one of a town's or a prefecture's:
// the widest there are is 10.0.0.0/8 of RFC 1918 and fc00::/7 of RFC 4193.
// Halves of the internet would be the internet.
func tooWide(p netip.Prefix) bool {
	if p.Addr().Is4In6() {
		return p.Bits() < 96+8
	}
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 16 && !netip.MustParsePrefix("fc00::/7").Contains(p.Addr())
}

// parsePrefix reads a network or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is no network such as 10.1.0.0/16", s)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%q has bits beyond its length; did you mean %s?", s, p.Masked())
	}
	return p, nil
}

func parsePrefixes(ss []string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		if p, err := parsePrefix(s); err == nil { // checked by checkListeners
			ps = append(ps, p)
		}
	}
	return ps
}
