package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/tenant"
)

func (c *config) directory(f *configFile) (*tenant.Directory, error) {
	if len(c.Tenants) == 0 {
		return nil, f.errorf("tenants", "required: at least one tenant")
	}
	var ts []tenant.Tenant
	ids, owners := map[string]bool{}, map[string]string{}
	for i, t := range c.Tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		out := tenant.Tenant{ID: envelope.TenantID(t.ID), Name: t.Name, Profile: envelope.ProfileID(t.Profile)}
		if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(t.ID) {
			return nil, f.errorf(at+".id", "want lower-case letters, digits and hyphens, got %q", t.ID)
		}
		if ids[t.ID] {
			return nil, f.errorf(at+".id", "tenant %q stands twice", t.ID)
		}
		ids[t.ID] = true
		if len(t.Domains) == 0 {
			return nil, f.errorf(at+".domains", "required: at least one domain")
		}
		for j, d := range t.Domains {
			d = strings.ToLower(d)
			key := fmt.Sprintf("%s.domains[%d]", at, j)
			if wrong := domainWrong(d); wrong != "" {
				return nil, f.errorf(key, "%s", wrong)
			}
			switch owner, ok := owners[d]; {
			case ok && owner == t.ID:
				return nil, f.errorf(key, "domain %q stands twice", d)
			case ok:
				return nil, f.errorf(key, "domain %q belongs to tenant %q already", d, owner)
			}
			owners[d] = t.ID
			out.Domains = append(out.Domains, d)
		}
		if out.Profile == "" {
			out.Profile = "default"
		}
		if _, err := c.findProfile(string(out.Profile)); err != nil {
			return nil, f.errorf(at+".profile", "%v", err)
		}
		for j, a := range t.Administrators {
			addr, err := envelope.ParseAddress(a)
			if err != nil {
				return nil, f.errorf(fmt.Sprintf("%s.administrators[%d]", at, j), "%v", err)
			}
			out.Administrators = append(out.Administrators, addr)
		}
		var wrong int
		var err error
		if out.TrustedSenders, wrong, err = trusted(t.TrustedSenders); err != nil {
			return nil, f.errorf(fmt.Sprintf("%s.trusted_senders[%d]", at, wrong), "%v", err)
		}
		switch {
		case t.Recipients.File != "" && t.Recipients.Accept != "":
			return nil, f.errorf(at+".recipients", "accept and file exclude each other")
		case t.Recipients.File != "":
			name := t.Recipients.File
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(f.name), name)
			}
			list, err := readRecipients(name, out.Domains)
			if err != nil {
				return nil, f.errorf(at+".recipients.file", "%v", err)
			}
			out.Recipients, out.RecipientsFile = tenant.FixedRecipients(list), name
		case t.Recipients.Accept == "any" || t.Recipients.Accept == "":
			// Who is reached then says the imported list, when there is one.
		default:
			return nil, f.errorf(at+".recipients.accept", "want any, got %q", t.Recipients.Accept)
		}
		ts = append(ts, out)
	}
	d, err := tenant.New(ts)
	if err != nil {
		return nil, f.errorf("tenants", "%v", err)
	}
	return d, nil
}

func (c *config) findProfile(name string) (profileConfig, error) {
	var names []string
	for _, p := range c.Profiles {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if len(c.Profiles) == 0 && name == "default" {
		return profileConfig{Name: name}, nil
	}
	if len(names) == 0 {
		names = []string{"default"}
	}
	return profileConfig{}, fmt.Errorf("profile %q does not exist%s", name, suggest(name, names))
}

// readRecipients reads a list of recipients, tenant.ReadList's form. Its error
// names file and line of the first thing that is wrong, and says how many more
// there are.
func readRecipients(name string, domains []string) (*tenant.List, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list, err := tenant.ReadList(file, domains)
	var fs tenant.Faults
	if !errors.As(err, &fs) {
		return list, err
	}
	first := fs[0]
	at := name
	if first.Line > 0 {
		at, first.Line = fmt.Sprintf("%s:%d", name, first.Line), 0
	}
	if more := len(fs) - 1; more > 0 {
		return nil, fmt.Errorf("%s: %w (and %d more)", at, first, more)
	}
	return nil, fmt.Errorf("%s: %w", at, first)
}

// hops checks the hops by themselves; what routes make of them is checked by
// package routing.
func (c *config) hops(f *configFile) ([]routing.Hop, []string, error) {
	var hops []routing.Hop
	var names []string
	for i, h := range c.Hops {
		at := fmt.Sprintf("hops[%d]", i)
		if h.Name == "" || slices.Contains(names, h.Name) {
			return nil, nil, f.errorf(at+".name", "every hop needs a name of its own")
		}
		n, err := envelope.ParseNetwork(h.Network)
		if err != nil {
			return nil, nil, f.errorf(at+".network", "%v%s", err, suggest(h.Network, []string{"lgwan", "local", "internet"}))
		}
		switch {
		case h.MX && len(h.Hosts) > 0, !h.MX && len(h.Hosts) == 0:
			return nil, nil, f.errorf(at, "hop %q needs either hosts or mx", h.Name)
		case h.MX && n != envelope.NetworkInternet:
			return nil, nil, f.errorf(at+".mx", "hop %q: mx is for hops of network internet", h.Name)
		}
		for j, host := range h.Hosts {
			if wrong := c.hostWrong(host); wrong != "" {
				return nil, nil, f.errorf(fmt.Sprintf("%s.hosts[%d]", at, j), "%s", wrong)
			}
		}
		switch h.TLS {
		case "", "opportunistic", "require", "off":
		default:
			return nil, nil, f.errorf(at+".tls", "want opportunistic, require or off, got %q", h.TLS)
		}
		hops = append(hops, routing.Hop{Name: h.Name, Network: n, Hosts: h.Hosts, MX: h.MX, TLS: h.TLS})
		names = append(names, h.Name)
	}
	return hops, names, nil
}

// hostWrong says what is wrong with a host to deliver to; "" is nothing.
func (c *config) hostWrong(a string) string {
	host, port, err := net.SplitHostPort(a)
	if err != nil && parseAddr(a).Is6() {
		return fmt.Sprintf("want HOST:PORT, got %q; did you mean %q?", a, "["+a+"]:25")
	}
	if err == nil && !parseAddr(host).IsValid() && !hostnamePattern.MatchString(host) {
		err = errors.New("no host")
	}
	if n, nerr := net.LookupPort("tcp", port); err != nil || nerr != nil || n == 0 {
		return fmt.Sprintf("want HOST:PORT, got %q", a)
	}
	for _, l := range c.Listeners {
		for _, own := range l.Listen {
			if h, p, err := net.SplitHostPort(own); err == nil && p == port && h != "" && (h == host || parseAddr(h).IsUnspecified() && parseAddr(host).IsLoopback()) {
				return fmt.Sprintf("%s is this gateway's own listener %q: mail would go round in a circle", a, l.Name)
			}
		}
	}
	return ""
}

func (c *config) table(f *configFile) (*routing.Table, error) {
	if len(c.Hops) == 0 {
		return nil, f.errorf("hops", "required: at least one hop")
	}
	if len(c.Routes) == 0 {
		return nil, f.errorf("routes", "required: at least one route")
	}
	hops, hopNames, err := c.hops(f)
	if err != nil {
		return nil, err
	}
	for _, k := range []struct {
		key   string
		names []string
	}{{"domains", c.LGWAN.Domains}, {"except", c.LGWAN.Except}} {
		for i, d := range k.names {
			// "*.lg.jp" would match nothing, and guard nothing.
			d = strings.TrimSuffix(d, ".")
			if wrong := domainWrong(d); wrong != "" && (strings.Contains(d, ".") || !hostnamePattern.MatchString(d)) {
				return nil, f.errorf(fmt.Sprintf("lgwan.%s[%d]", k.key, i), "%s; all names below it are meant, too", wrong)
			}
		}
	}
	var routes []routing.Route
	for i, r := range c.Routes {
		if !slices.Contains(hopNames, r.Hop) {
			return nil, f.errorf(fmt.Sprintf("routes[%d].hop", i), "hop %q does not exist%s", r.Hop, suggest(r.Hop, hopNames))
		}
		routes = append(routes, routing.Route{Domain: r.Domain, Subdomains: r.Subdomains, Hop: r.Hop})
	}
	var domains []string
	for _, t := range c.Tenants {
		domains = append(domains, t.Domains...)
	}
	// Routes are added one by one, so that the error names the line of the one
	// that is wrong.
	for i := range routes {
		if _, err := routing.New(hops, routes[:i+1], c.LGWAN.Domains, c.LGWAN.Except, nil); err != nil {
			return nil, f.errorf(fmt.Sprintf("routes[%d]", i), "%v", err)
		}
	}
	t, err := routing.New(hops, routes, c.LGWAN.Domains, c.LGWAN.Except, domains)
	if err != nil {
		return nil, f.errorf("routes", "%v", err)
	}
	return t, nil
}
