package smtpd

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/emersion/go-smtp"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/tenant"
)

// session is one peer's dialogue as the library drives it. It never looks at
// the paths that the library hands it: the guard knows the real ones.
type session struct {
	srv   *Server
	cfg   ListenerConfig
	guard *Guard
	tx    *transaction // nil: no MAIL accepted
}

// transaction is a message being addressed. Directory and table are those of
// its MAIL command, so that a reload in the middle cannot mix two of them.
type transaction struct {
	tenants *tenant.Directory
	table   *routing.Table
	from    envelope.Address
	sender  *tenant.Tenant // whose domain from has, nil: nobody's
	groups  []group
	seen    map[envelope.Address]bool
	counted map[envelope.TenantID]bool // against its messages a minute
}

// group is the recipients that become one entry.
type group struct {
	tenant    envelope.TenantID
	profile   envelope.ProfileID
	treatment envelope.Treatment
	to        []envelope.Address
	asked     []envelope.RecipientDSN
}

func (s *Server) backend(cfg ListenerConfig) smtp.Backend {
	return smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		g, ok := c.Conn().(*Guard)
		if !ok {
			// Without the guard nothing that it promises holds.
			return nil, closeInternal.SMTPError
		}
		return &session{srv: s, cfg: cfg, guard: g}, nil
	})
}

// Reset forgets the transaction.
func (s *session) Reset() { s.tx = nil }

// Logout has nothing to free: a draft ends with the DATA command it is of. It
// may be called from another goroutine, at the end.
func (s *session) Logout() error { return nil }

// refuse is the server's refused with what this session knows.
func (s *session) refuse(r refusal, attrs ...slog.Attr) error {
	attrs = append([]slog.Attr{
		slog.String("peer", s.guard.peer.String()),
		slog.Any("from", untrusted(s.guard.Sender().String())),
	}, attrs...)
	return s.srv.refused(r, attrs...)
}

// fail is a refusal for a fault of ours, which the log gets as an error.
func (s *session) fail(r refusal, doing string, err error) error {
	s.srv.Log.LogAttrs(context.Background(), slog.LevelError, "storage",
		slog.String("peer", s.guard.peer.String()), slog.String("rule", r.rule),
		slog.String("err", fmt.Errorf("%s: %w", doing, err).Error()))
	if s.srv.Refused != nil {
		s.srv.Refused(r.rule)
	}
	return r.SMTPError
}

// untrusted is text that a peer chose: bounded and quoted for the log, so that
// a line stays a line.
type untrusted string

// LogValue implements slog.LogValuer.
func (u untrusted) LogValue() slog.Value {
	const longest = 256
	s := string(u)
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	q := strconv.QuoteToGraphic(s)
	return slog.StringValue(q[1 : len(q)-1])
}
