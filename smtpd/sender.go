package smtpd

import (
	"log/slog"
	"strings"

	"sekisho/envelope"
	"sekisho/senderauth"
	"sekisho/tenant"
)

// SenderRules is what the configuration says of senders from the internet. The
// zero value holds what DMARC wants refused, and marks what DNS did not say.
type SenderRules struct {
	Off          bool // nobody is judged
	RefuseReject bool // p=reject is answered with 550; otherwise it is held
	DeferSilent  bool // 451 when DNS does not answer; otherwise it is marked
	LGWAN        []string
	LGWANExcept  []string
}

// judge begins the check of a message, or returns nil where senders are not
// judged: only zone internet is.
func (s *session) judge(tx *transaction) (*senderauth.Check, *SenderRules) {
	if s.srv.Senders == nil || s.srv.SenderRules == nil || s.cfg.Zone != envelope.Internet {
		return nil, nil
	}
	r := s.srv.SenderRules()
	if r.Off {
		return nil, nil
	}
	peer := s.guard.Peer()
	return s.srv.Senders.Begin(
		senderauth.Sender{Addr: peer.Addr, Helo: peer.Helo, From: tx.from},
		senderauth.Rules{Owner: owner(tx.tenants), LGWAN: r.LGWAN, LGWANExcept: r.LGWANExcept},
	), r
}

// owner finds the tenant of a domain or of one above it: readers do not tell
// mail.town.example from town.example.
func owner(d *tenant.Directory) func(string) (envelope.TenantID, senderauth.Trusted, bool) {
	return func(name string) (envelope.TenantID, senderauth.Trusted, bool) {
		for ok := true; ok; _, name, ok = strings.Cut(name, ".") {
			if t, found := d.Owner(name); found {
				return t.ID, senderauth.Trusted{Networks: t.TrustedSenders.Networks, Addresses: t.TrustedSenders.Addresses, Domains: t.TrustedSenders.Domains}, true
			}
		}
		return "", senderauth.Trusted{}, false
	}
}

// unwelcome says why a message is not taken for who sent it, nil when it is.
func (s *session) unwelcome(a *envelope.Auth, busy bool, r *SenderRules) *refusal {
	switch {
	case busy:
		return &refuseBusyHeaders
	case r.RefuseReject && a.DMARC == envelope.AuthFail && a.Policy == envelope.DispositionReject && a.Trusted == "":
		return &refuseDMARC
	case r.DeferSilent && a.Silent:
		return &refuseNoDNS
	}
	return nil
}

// authAttrs are what the log says of a sender; none for mail nobody judged.
func authAttrs(a *envelope.Auth) []slog.Attr {
	if a == nil {
		return nil
	}
	as := []slog.Attr{slog.String("spf", string(a.SPF)), slog.String("dmarc", string(a.DMARC))}
	if len(a.DKIM) > 0 {
		as = append(as, slog.String("dkim", string(a.DKIM[0].Result)))
	}
	if ms := senderauth.Marks(a); len(ms) > 0 {
		as = append(as, slog.String("marks", strings.Join(ms, ",")))
	}
	return as
}
