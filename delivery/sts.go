package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"sekisho/internal/dane"
	"sekisho/internal/mtasts"
	"sekisho/internal/tlsrpt"
	"sekisho/routing"
)

// Policies keeps what domains say about their mail servers beyond the life of
// the daemon: an attacker on the way who can make a domain's policy vanish must
// not win by a restart. RFC 8461, 10.2.
type Policies interface {
	// Policy returns what was kept for a domain, or nil.
	Policy(ctx context.Context, domain string) ([]byte, error)
	// KeepPolicy replaces it; after until it may be forgotten.
	KeepPolicy(ctx context.Context, domain string, policy []byte, until time.Time) error
}

const (
	// policyAgain is the time between two looks at one domain: a burst of mail
	// asks once, and a server that fails is not asked at once again. RFC 8461,
	// 3.3.
	policyAgain = 5 * time.Minute
	// policyTime bounds the fetching of a policy, while a message waits for it.
	policyTime = 30 * time.Second
	// maxPolicies bounds the domains in memory; the others are read from where
	// they are kept.
	maxPolicies = 10_000
)

// sts remembers policies of MTA-STS.
type sts struct {
	mu     sync.Mutex
	m      map[string]*stsDomain
	client *http.Client
}

// stsDomain is one domain. Its lock is held while it is asked, so that a burst
// of mail asks once.
type stsDomain struct {
	mu     sync.Mutex
	loaded bool
	asked  time.Time // by the machine's clock
	kept   keptPolicy
}

type keptPolicy struct {
	ID      string        `json:"id"`
	Policy  mtasts.Policy `json:"policy"`
	Fetched time.Time     `json:"fetched"`
}

// good reports whether a policy is to be followed at now.
func (k *keptPolicy) good(now time.Time) bool {
	return k.Policy.Mode != "" && now.Before(k.Fetched.Add(k.Policy.MaxAge))
}

func (s *sts) domain(name string) *stsDomain {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil || len(s.m) >= maxPolicies {
		s.m = map[string]*stsDomain{}
	}
	if s.m[name] == nil {
		s.m[name] = &stsDomain{}
	}
	return s.m[name]
}

// policyClient fetches policies: over the internet only, with a certificate that
// holds, and without following anything.
func (d *Delivery) policyClient() *http.Client {
	return &http.Client{
		CheckRedirect: mtasts.Refuse,
		Timeout:       policyTime,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				// The name is the domain owner's, as an MX is: it must not lead inside.
				hs, err := d.addresses(ctx, routing.Hop{MX: true}, address)
				if err != nil {
					return nil, err
				}
				var errs []error
				for _, h := range hs[:min(2, len(hs))] {
					c, err := d.Dial(ctx, network, h.addr)
					if err == nil {
						return c, nil
					}
					errs = append(errs, err)
				}
				return nil, errors.Join(errs...)
			},
			TLSClientConfig:        &tls.Config{RootCAs: d.Roots, MinVersion: tls.VersionTLS12, Time: d.now},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// policy returns the policy of a domain, nil when it has none. An error is ours.
func (d *Delivery) policy(ctx context.Context, domain string) (*mtasts.Policy, error) {
	s := d.sts.domain(domain)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded && d.Policies != nil {
		b, err := d.Policies.Policy(ctx, domain)
		if err != nil {
			return nil, err
		}
		if b != nil {
			if err := json.Unmarshal(b, &s.kept); err != nil {
				return nil, fmt.Errorf("policy of %s as it was kept: %w", domain, err)
			}
		}
	}
	s.loaded = true
	now := d.now()
	if s.asked.IsZero() || time.Since(s.asked) >= policyAgain {
		s.asked = time.Now()
		d.renewPolicy(ctx, domain, &s.kept)
	}
	if !s.kept.good(now) || s.kept.Policy.Mode == mtasts.None {
		return nil, nil
	}
	p := s.kept.Policy
	return &p, nil
}

// renewPolicy looks whether a domain has another policy than the one kept. As
// long as that is good nothing takes it away but a policy in its place: neither
// a record that has gone nor a server that fails. RFC 8461, 3.1 and 3.3.
func (d *Delivery) renewPolicy(ctx context.Context, domain string, kept *keptPolicy) {
	look, cancel := context.WithTimeout(ctx, d.Times.Look)
	txts, err := d.Resolver.LookupTXT(look, "_mta-sts."+domain+".")
	cancel()
	id, ok := mtasts.Record(txts)
	now := d.now()
	if err != nil || !ok || id == kept.ID && kept.good(now.Add(kept.Policy.MaxAge/2)) {
		return
	}
	p, err := mtasts.Fetch(ctx, d.sts.client, domain)
	if err != nil {
		d.Log.Warn("mta-sts", "hop", domain, "err", bound(err.Error()))
		d.countTLS(domain, tlsrpt.Session{Policy: tlsrpt.Policy{Type: "sts", Domain: domain}, Result: noPolicy(err)})
		return
	}
	*kept = keptPolicy{ID: id, Policy: p, Fetched: now}
	if d.Policies == nil {
		return
	}
	b, err := json.Marshal(kept)
	if err == nil {
		err = d.Policies.KeepPolicy(context.WithoutCancel(ctx), domain, b, now.Add(p.MaxAge))
	}
	if err != nil {
		d.Log.Error("mta-sts", "hop", domain, "err", err)
	}
}

// need is what the hosts of a destination must prove beyond what its hop asks
// for. The zero value asks for nothing.
type need struct {
	policy *mtasts.Policy
	tlsa   dane.Records // of the host; where one can be applied the policy is not asked, RFC 8461, 2
	domain string
	misfit bool // a policy that is not enforced does not name the server
	strict bool // REQUIRETLS: nothing but a proved server. RFC 8689, 4.2.1
}

// needOf finds it out. What the administrator switched off stays off.
func (d *Delivery) needOf(ctx context.Context, to destination) (need, *trouble) {
	if !to.hop.MX || to.hop.TLS == "off" {
		return need{}, nil
	}
	p, err := d.policy(ctx, to.domain)
	switch {
	case err == nil:
		return need{policy: p, domain: to.domain}, nil
	case ctx.Err() != nil:
		return need{}, &trouble{outcome: interrupted, answer: "cut off while looking up"}
	default:
		// Whether there is a policy is not known, so nothing is sent.
		return need{}, &trouble{status: "4.3.0", answer: bound(err.Error())}
	}
}

// enforced reports whether what is asked for is a condition.
func (n need) enforced() bool { return n.policy != nil && n.policy.Mode != mtasts.Testing }

// forbids says why a host is not to have the mail, from its name alone.
func (n need) forbids(name string) *trouble {
	if n.policy == nil || n.policy.Allows(name) {
		return nil
	}
	// RFC 8461, 5. Not for good: the policy may be on its way to be corrected.
	return &trouble{status: "4.7.5", host: name, answer: bound("the MTA-STS policy of " + n.domain + " does not name this server")}
}

// proved reports whether the certificate of a connection holds for its host.
func (d *Delivery) proved(state tls.ConnectionState, name string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: d.Roots, Intermediates: between, CurrentTime: d.now()})
	return err
}
