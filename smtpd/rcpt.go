package smtpd

import (
	"log/slog"
	"strings"

	"github.com/emersion/go-smtp"

	"sekisho/envelope"
	"sekisho/tenant"
)

// Rcpt decides whether this recipient may be reached from this listener, whose
// mail it becomes, and how it is treated.
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	tx := s.tx
	if tx == nil {
		return s.refuse(refuseNoMail)
	}
	a := s.guard.Recipient()
	to := slog.Any("to", untrusted(a.String()))
	// RFC 5321, 4.5.1. Bare postmaster has our own name by now; whose it is
	// says the configuration.
	if a.Postmaster() && strings.EqualFold(a.Domain, s.srv.Hostname) {
		return s.postmaster(tx, to)
	}
	g, r := s.place(tx, a)
	if r != nil {
		return s.refuse(*r, to)
	}
	if r := s.count(tx, g.tenant); r != nil {
		return s.refuse(*r, to)
	}
	tx.add(g, a, s.guard.RecipientParams())
	return nil
}

// postmaster accepts mail for the one who runs the gateway: the
// administrators of the first tenant.
func (s *session) postmaster(tx *transaction, to slog.Attr) error {
	t := &tx.tenants.All()[0]
	if r := s.count(tx, t.ID); r != nil {
		return s.refuse(*r, to)
	}
	n := 0
	for _, a := range t.Postmaster() {
		// The recipients file need not hold the administrators, but no route
		// that a peer of this zone may not use is opened for them.
		hop, _, err := tx.table.Find(s.cfg.Zone, a)
		if err != nil {
			continue
		}
		tx.add(group{tenant: t.ID, profile: t.Profile, treatment: treatment(s.cfg.Zone, hop.Network, true)}, a, s.guard.RecipientParams())
		n++
	}
	if n == 0 {
		return s.refuse(refuseNoRoute, to)
	}
	return nil
}

// place finds the entry that a recipient belongs to.
func (s *session) place(tx *transaction, a envelope.Address) (group, *refusal) {
	owner, ours := tx.tenants.Owner(a.Domain)
	if !ours {
		return s.placeOutside(tx, a)
	}
	// A recipient in a tenant's domain becomes that tenant's mail, from
	// wherever it comes: it is never sent out and back.
	if now := s.srv.Now(); !owner.Has(a, now) {
		if owner.Recipients.Unknown(now) {
			return group{}, &refuseUnknownList
		}
		return group{}, &refuseNoSuchRecipient
	}
	hop, _, err := tx.table.Find(s.cfg.Zone, a)
	if err != nil {
		return group{}, &refuseNoRoute
	}
	return group{
		tenant:    owner.ID,
		profile:   owner.Profile,
		treatment: treatment(s.cfg.Zone, hop.Network, s.betweenTenants(tx, owner)),
	}, nil
}

// placeOutside is place for a recipient that is nobody's here.
func (s *session) placeOutside(tx *transaction, a envelope.Address) (group, *refusal) {
	switch {
	case s.cfg.Zone != envelope.LGWAN && s.cfg.Zone != envelope.InternetSegment:
		return group{}, &refuseRelay
	case s.cfg.TenantsOnly:
		return group{}, &refuseRelay
	case tx.sender == nil && !tx.from.IsNull():
		// A server inside that sends out under a stranger's name is an open
		// relay, or captured.
		return group{}, &refuseForeignSender
	}
	hop, _, err := tx.table.Find(s.cfg.Zone, a)
	if err != nil {
		return group{}, &refuseNoRoute
	}
	t := s.senderTenant(tx)
	return group{tenant: t.ID, profile: t.Profile, treatment: treatment(s.cfg.Zone, hop.Network, false)}, nil
}

// senderTenant is whose outgoing mail this is. The null reverse-path says
// nothing, so the peer's name is asked, and then it is the first tenant's.
func (s *session) senderTenant(tx *transaction) *tenant.Tenant {
	if tx.sender != nil {
		return tx.sender
	}
	for name := s.guard.helo; name != ""; {
		if t, ok := tx.tenants.Owner(name); ok {
			return t
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return &tx.tenants.All()[0]
}

// betweenTenants reports whether a message for owner must be taken for another
// tenant's. A sender's address proves nothing: where several tenants share a
// listener of zone lgwan, each could write under the other's name, so only a
// sole tenant's own mail goes as its own. Mail between LGWAN bodies comes from
// a relay that is none of them.
func (s *session) betweenTenants(tx *transaction, owner *tenant.Tenant) bool {
	if s.cfg.TenantsOnly {
		return tx.sender != nil && tx.sender.ID != owner.ID
	}
	return len(tx.tenants.All()) > 1
}

// treatment applies the one rule.
func treatment(z envelope.Zone, n envelope.Network, betweenTenants bool) envelope.Treatment {
	if envelope.NeedsRebuild(z, n, betweenTenants) {
		return envelope.Rebuild
	}
	return envelope.Pass
}

// count charges the transaction to the tenant's messages a minute, once.
func (s *session) count(tx *transaction, t envelope.TenantID) *refusal {
	if tx.counted[t] {
		return nil
	}
	if s.overfed(t) {
		return &refuseTenantHeld
	}
	if !s.srv.rates.tenant(t) {
		return &refuseTenantRate
	}
	tx.counted[t] = true
	return nil
}

// overfed reports whether more than its share of the disk is held for a tenant
// and this peer is one of those who brought it. Others are not told anything:
// nobody fills another's disk, and nobody shuts a tenant's peers out by trying.
func (s *session) overfed(t envelope.TenantID) bool {
	if s.srv.Disk == nil {
		return false
	}
	disk, err := s.srv.Disk()
	if err != nil {
		// A disk that does not answer stops MAIL already.
		return false
	}
	quota := disk / 100 * int64(s.srv.bounds().HeldPercentPerTenant)
	return s.srv.Spool.HeldBytes(t) >= quota && s.srv.rates.feeder(t, s.guard.peer, quota)
}

// add puts a recipient into its group; one named twice gets one copy.
func (tx *transaction) add(g group, a envelope.Address, p RcptParams) {
	if tx.seen[a] {
		return
	}
	tx.seen[a] = true
	h := tx.group(g)
	h.to = append(h.to, a)
	if p != (RcptParams{}) {
		h.asked = append(h.asked, envelope.RecipientDSN{To: a, Notify: p.Notify, Original: p.Original})
	}
}

// group finds the group that is like g, or makes it.
func (tx *transaction) group(g group) *group {
	for i := range tx.groups {
		h := &tx.groups[i]
		if h.tenant == g.tenant && h.profile == g.profile && h.treatment == g.treatment {
			return h
		}
	}
	tx.groups = append(tx.groups, g)
	return &tx.groups[len(tx.groups)-1]
}
