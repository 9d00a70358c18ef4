package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/smtpd"
	"sekisho/tenant"
)

// sendersConfig is how mail from zone internet is judged by who sent it.
type sendersConfig struct {
	Check       string `mapstructure:"check"`        // on, off
	DMARCReject string `mapstructure:"dmarc_reject"` // refuse, hold
	DNSSilent   string `mapstructure:"dns_silent"`   // mark, defer
	LGWANNames  string `mapstructure:"lgwan_names"`  // mark, hold
}

// dkimConfig is one key that outgoing mail is signed with.
type dkimConfig struct {
	Domain   string `mapstructure:"domain"`
	Selector string `mapstructure:"selector"`
	KeyFile  string `mapstructure:"key_file"`
}

// senderRules checks the section and says it in the terms of smtpd.
func (c *config) senderRules(f *configFile, s *settings) (*smtpd.SenderRules, error) {
	for _, k := range []struct {
		key, got string
		words    []string
	}{
		{"check", c.Senders.Check, []string{"on", "off"}},
		{"dmarc_reject", c.Senders.DMARCReject, []string{"refuse", "hold"}},
		{"dns_silent", c.Senders.DNSSilent, []string{"mark", "defer"}},
		{"lgwan_names", c.Senders.LGWANNames, []string{"mark", "hold"}},
	} {
		if !slices.Contains(k.words, k.got) {
			return nil, f.errorf("senders."+k.key, "want %s, got %q%s", strings.Join(k.words, " or "), k.got, suggest(k.got, k.words))
		}
	}
	if c.Resolver != "" {
		if host, port, err := net.SplitHostPort(c.Resolver); err != nil || port == "" || !parseAddr(host).IsValid() {
			return nil, f.errorf("resolver", "want ADDRESS:PORT of a DNS server, such as 127.0.0.1:53, got %q", c.Resolver)
		}
	}
	switch host, _, _ := net.SplitHostPort(c.Resolver); c.DANE {
	case "", "off":
	case "on":
		// What it says of having validated is one bit, which anybody on the way
		// could set. RFC 7672, 2.1.1.
		if !parseAddr(host).IsLoopback() {
			return nil, f.errorf("dane", "needs resolver to be a DNS server on this machine that validates DNSSEC, such as 127.0.0.1:53, got %q", c.Resolver)
		}
	default:
		return nil, f.errorf("dane", "want on or off, got %q%s", c.DANE, suggest(c.DANE, []string{"on", "off"}))
	}
	if c.Senders.Check == "off" {
		s.warnings = append(s.warnings, "senders.check is off: mail from the internet may bear any sender, your own domains included")
	}
	s.rules.HoldLGWANNames = c.Senders.LGWANNames == "hold"
	return &smtpd.SenderRules{
		Off:          c.Senders.Check == "off",
		RefuseReject: c.Senders.DMARCReject == "refuse",
		DeferSilent:  c.Senders.DNSSilent == "defer",
		LGWAN:        c.LGWAN.Domains,
		LGWANExcept:  c.LGWAN.Except,
	}, nil
}

func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// trusted reads a tenant's trusted_senders: a network or address of a host, an
// address of mail, or a domain that signs.
func trusted(entries []string) (tenant.Trusted, int, error) {
	var t tenant.Trusted
	for i, e := range entries {
		switch {
		case strings.Contains(e, "@"):
			a, err := envelope.ParseAddress(e)
			if err != nil {
				return t, i, err
			}
			t.Addresses = append(t.Addresses, a)
		case strings.Contains(e, "/") || parseAddr(e).IsValid():
			p, err := parsePrefix(e)
			if err != nil {
				return t, i, err
			}
			if tooWide(p) {
				return t, i, fmt.Errorf("%s is too wide: name the servers that may use your domains", e)
			}
			t.Networks = append(t.Networks, p)
		case hostnamePattern.MatchString(e) && strings.Contains(e, "."):
			t.Domains = append(t.Domains, strings.ToLower(e))
		default:
			return t, i, fmt.Errorf("want a network, an address or a domain that signs with DKIM, got %q", e)
		}
	}
	return t, 0, nil
}

// signingKeys reads the keys that outgoing mail is signed with.
func (c *config) signingKeys(f *configFile, d *tenant.Directory) ([]delivery.Key, error) {
	var ks []delivery.Key
	for i, k := range c.DKIM {
		at := fmt.Sprintf("dkim[%d]", i)
		if !hostnamePattern.MatchString(k.Domain) || !strings.Contains(k.Domain, ".") {
			return nil, f.errorf(at+".domain", "required: the domain whose mail the key signs, got %q", k.Domain)
		}
		if !ownedBySomebody(d, k.Domain) {
			return nil, f.errorf(at+".domain", "%s is no tenant's domain and above none: nothing would be signed with this key", k.Domain)
		}
		if !hostnamePattern.MatchString(k.Selector) {
			return nil, f.errorf(at+".selector", "required: the name under _domainkey.%s that has the public key", k.Domain)
		}
		if k.KeyFile == "" {
			return nil, f.errorf(at+".key_file", "required: a private key in PEM, RSA of 2048 bits or more, or Ed25519")
		}
		s, err := readKey(f.path(k.KeyFile))
		if err != nil {
			return nil, f.errorf(at+".key_file", "%v", err)
		}
		ks = append(ks, delivery.Key{Domain: strings.ToLower(k.Domain), Selector: k.Selector, Signer: s})
	}
	return ks, nil
}

// reporter checks who reports to other domains how TLS went; nil for nobody.
func (c *config) reporter(f *configFile, s *settings) (*delivery.Reporter, error) {
	r := c.TLSReports
	if r.From == "" {
		if r.Organization != "" || r.Contact != "" {
			return nil, f.errorf("tls_reports.from", "required where the others are set: without it nothing is reported")
		}
		return nil, nil
	}
	from, err := envelope.ParseAddress(r.From)
	if err != nil {
		return nil, f.errorf("tls_reports.from", "want an address: %v", err)
	}
	if _, ok := s.directory.Owner(from.Domain); !ok {
		return nil, f.errorf("tls_reports.from", "%s is no tenant's domain", from.Domain)
	}
	// RFC 8460, 3: only a report that is signed is believed.
	if !slices.ContainsFunc(s.keys, func(k delivery.Key) bool {
		return k.Domain == from.Domain || strings.HasSuffix(from.Domain, "."+k.Domain)
	}) {
		return nil, f.errorf("tls_reports.from", "needs a key in dkim that signs for %s", from.Domain)
	}
	out := &delivery.Reporter{From: from, Organization: r.Organization, Contact: r.Contact}
	if out.Organization == "" {
		out.Organization = c.Hostname
	}
	if out.Contact == "" {
		out.Contact = r.From
	}
	return out, nil
}

// ownedBySomebody reports whether mail of a tenant could be signed as domain.
func ownedBySomebody(d *tenant.Directory, domain string) bool {
	domain = strings.ToLower(domain)
	for _, t := range d.All() {
		for _, own := range t.Domains {
			own = strings.ToLower(own)
			if own == domain || strings.HasSuffix(own, "."+domain) || strings.HasSuffix(domain, "."+own) {
				return true
			}
		}
	}
	return false
}

// readKey reads a private key, as `openssl genpkey` writes it.
func readKey(name string) (crypto.Signer, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", name)
	}
	var key any
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%s holds a %s, not a private key", name, strings.ToLower(block.Type))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		// RFC 8301, 3.2: at least 1024, and 2048 is what signers should use.
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("%s: an RSA key of %d bits; want 2048 or more", name, k.N.BitLen())
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	default:
		return nil, fmt.Errorf("%s: want an RSA or Ed25519 key", name)
	}
}
