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
	for i, t := range c.Tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		out := tenant.Tenant{ID: envelope.TenantID(t.ID), Name: t.Name, Profile: envelope.ProfileID(t.Profile)}
		if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(t.ID) {
			return nil, f.errorf(at+".id", "want lower-case letters, digits and hyphens, got %q", t.ID)
		}
		if len(t.Domains) == 0 {
			return nil, f.errorf(at+".domains", "required: at least one domain")
		}
		for j, d := range t.Domains {
			d = strings.ToLower(d)
			if !hostnamePattern.MatchString(d) || !strings.Contains(d, ".") {
				return nil, f.errorf(fmt.Sprintf("%s.domains[%d]", at, j), "%q is no domain", d)
			}
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

func (c *config) table(f *configFile) (*routing.Table, error) {
	if len(c.Hops) == 0 {
		return nil, f.errorf("hops", "required: at least one hop")
	}
	if len(c.Routes) == 0 {
		return nil, f.errorf("routes", "required: at least one route")
	}
	var hops []routing.Hop
	var hopNames []string
	for i, h := range c.Hops {
		at := fmt.Sprintf("hops[%d]", i)
		n, err := envelope.ParseNetwork(h.Network)
		if err != nil {
			return nil, f.errorf(at+".network", "%v%s", err, suggest(h.Network, []string{"lgwan", "local", "internet"}))
		}
		for j, host := range h.Hosts {
			if _, _, err := net.SplitHostPort(host); err != nil {
				return nil, f.errorf(fmt.Sprintf("%s.hosts[%d]", at, j), "want HOST:PORT, got %q", host)
			}
		}
		switch h.TLS {
		case "", "opportunistic", "require", "off":
		default:
			return nil, f.errorf(at+".tls", "want opportunistic, require or off, got %q", h.TLS)
		}
		hops = append(hops, routing.Hop{Name: h.Name, Network: n, Hosts: h.Hosts, MX: h.MX, TLS: h.TLS})
		hopNames = append(hopNames, h.Name)
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
