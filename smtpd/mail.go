package smtpd

import (
	"context"
	"errors"
	"log/slog"

	"github.com/emersion/go-smtp"

	"sekisho/envelope"
	"sekisho/spool"
)

// Mail begins a transaction. What would refuse the message whoever it is for
// is asked here, before the peer has sent it.
func (s *session) Mail(string, *smtp.MailOptions) error {
	ctx := context.Background()
	peer := s.guard.peer
	// At most the message's own size is needed beside what must stay free in
	// any case, and that is far above every SIZE we accept.
	if err := s.srv.Spool.Nearly(ctx); err != nil {
		if errors.Is(err, spool.ErrFull) {
			return s.fail(refuseFull, "mail", err)
		}
		return s.fail(refuseStorage, "mail", err)
	}
	// A server that the configuration names brings the mail of everybody behind
	// it: the town's own, the relay between bodies, the prefecture's filter. What
	// one sender or one stolen account sent by it must not stop the others. Inside,
	// senders have limits of their own, and the tenant's share of the disk bounds
	// them all.
	if !s.guard.Named() && s.srv.rates.fills(peer) {
		return s.refuse(refuseHeldBytes)
	}
	if !s.guard.Named() && !s.srv.rates.message(peer) {
		return s.refuse(refusePeerRate)
	}
	tx := &transaction{
		tenants: s.srv.Tenants(),
		table:   s.srv.Table(),
		from:    s.guard.Sender(),
		seen:    make(map[envelope.Address]bool),
		counted: make(map[envelope.TenantID]bool),
	}
	if !tx.from.IsNull() {
		tx.sender, _ = tx.tenants.Owner(tx.from.Domain)
	}
	// PCs of the internet segment belong to the tenants: nobody else sends
	// from there. The servers inside may forward mail from anybody to their
	// own side, which is asked recipient by recipient.
	if s.cfg.Zone == envelope.InternetSegment && tx.sender == nil && !tx.from.IsNull() {
		return s.refuse(refuseForeignSender, slog.String("listener", s.cfg.Name))
	}
	s.tx = tx
	return nil
}
