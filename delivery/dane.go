package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"sekisho/internal/dane"
	"sekisho/internal/tlsrpt"
)

// signed returns whom to ask for TLSA records of a destination's servers; nil
// when they do not count: DANE is off, or DNSSEC does not prove which servers
// there are. RFC 7672, 2.2.1.
func (d *Delivery) signed(ctx context.Context, to destination) (*dane.Resolver, *trouble) {
	if !to.hop.MX || to.hop.TLS == "off" || d.DANE == nil {
		return nil, nil
	}
	r := d.DANE()
	if r == nil {
		return nil, nil
	}
	look, cancel := context.WithTimeout(ctx, d.Times.Look)
	defer cancel()
	a, err := r.Look(look, to.domain, dane.MX)
	switch {
	case err == nil && a.Secure:
		return r, nil
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return nil, &trouble{outcome: interrupted, answer: "cut off while looking up"}
	default:
		d.countTLS(to.domain, tlsrpt.Session{Policy: tlsrpt.Policy{Type: "tlsa", Domain: to.domain}, Result: tlsrpt.DNSSECInvalid})
		// It may be that somebody answers in the domain's name.
		return nil, &trouble{status: "4.4.3", answer: bound(err.Error())}
	}
}

// tlsa puts what a server's TLSA records ask for into what is needed of it.
// Where they can be applied, a policy of MTA-STS is not asked any more: it must
// not make good what they forbid. RFC 8461, 2.
func (d *Delivery) tlsa(ctx context.Context, r *dane.Resolver, server string, n *need) *trouble {
	look, cancel := context.WithTimeout(ctx, d.Times.Look)
	defer cancel()
	rs, err := r.Of(look, server)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return &trouble{outcome: interrupted, answer: "cut off while looking up"}
	default:
		d.countTLS(n.domain, tlsrpt.Session{Policy: tlsrpt.Policy{Type: "tlsa", Domain: server}, Result: tlsrpt.DNSSECInvalid, Server: server})
		// Without an answer nobody knows that there is none. RFC 7672, 2.2: not
		// this server.
		return &trouble{status: "4.4.3", host: server, answer: bound(err.Error())}
	}
	n.tlsa = rs
	if rs.Usable() {
		n.policy = nil
	}
	return nil
}

// dane sets a handshake up by the TLSA records of a server. Where none can be
// applied TLS alone is asked for.
func (n need) dane(c *tls.Config, server string, now func() time.Time) {
	// Nobody else's opinion of the certificate counts. RFC 7672, 3.1.
	c.InsecureSkipVerify = true
	if !n.tlsa.Usable() {
		return
	}
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("no certificate")
		}
		return n.tlsa.Verify(state.PeerCertificates, []string{server, n.domain}, now())
	}
}
