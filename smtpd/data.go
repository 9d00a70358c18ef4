package smtpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"sekisho/envelope"
	"sekisho/sanitize"
	"sekisho/spool"
)

// copyBuffers are for messages on their way from the library to the draft.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// Data takes a message into custody. It returns the reply that says 250 only
// when Accept has returned nil, so only when bytes and journal are durable.
func (s *session) Data(r io.Reader) error {
	tx := s.tx
	if tx == nil || len(tx.groups) == 0 {
		return s.refuse(refuseNoRcpt)
	}
	// The work goes on when the gateway is told to stop: what the peer has
	// sent to its end is worth a commit.
	ctx := context.Background()
	d, err := s.srv.Spool.NewDraft(ctx)
	if err != nil {
		if errors.Is(err, spool.ErrFull) {
			return s.fail(refuseFull, "new draft", err)
		}
		return s.fail(refuseStorage, "new draft", err)
	}
	defer d.Abort()
	top := newTopBlock(s.srv.Hostname)
	top.lists = s.inner(tx) && s.srv.bounds().VisibleRecipients > 0
	in := &faultReader{r: r}
	buf := copyBuffers.Get().(*[]byte)
	out := io.MultiWriter(d, top)
	check, rules := s.judge(tx)
	if check != nil {
		defer check.Abort()
		out = io.MultiWriter(d, top, check)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, in, *buf)
	copyBuffers.Put(buf)
	switch {
	case s.guard.DataFault() != nil:
		// The guard has logged why.
		return s.guard.DataFault()
	case in.err != nil:
		// The connection is gone, and so is this answer.
		return refuseStorage.SMTPError
	case err != nil:
		return s.fail(refuseStorage, "write draft", err)
	}
	top.end()
	if top.received > s.srv.bounds().Received || top.own >= s.srv.bounds().OwnID {
		return s.refuse(refuseLoop, slog.Int("received", top.received))
	}
	var auth *envelope.Auth
	if check != nil {
		auth = check.End()
		if r := s.unwelcome(auth, check.Busy(), rules); r != nil {
			return s.refuse(*r, authAttrs(auth)...)
		}
	}
	d.Short = !top.rich && d.Size() <= sanitize.MaxLaneMessage // what the text lane takes
	envs := s.envelopes(tx, top, auth)
	if err := s.srv.Spool.Accept(ctx, d, envs); err != nil {
		if errors.Is(err, spool.ErrFull) {
			return s.fail(refuseFull, "accept", err)
		}
		return s.fail(refuseStorage, "accept", err)
	}
	ids := make([]string, len(envs))
	for i := range envs {
		e := &envs[i]
		ids[i] = string(e.ID)
		s.srv.Log.LogAttrs(ctx, slog.LevelInfo, "received", append([]slog.Attr{
			slog.String("id", string(e.ID)), slog.String("tenant", string(e.Tenant)),
			slog.Any("from", untrusted(e.From.String())), slog.Any("to", recipients(e.To)),
			slog.String("peer", e.Peer.Addr.String()), slog.String("helo", e.Peer.Helo),
			slog.String("listener", e.Peer.Listener), slog.Int64("size", e.Size),
			slog.String("treatment", e.Treatment.String())}, authAttrs(auth)...)...)
		if s.srv.Accepted != nil {
			s.srv.Accepted(e)
		}
	}
	return answerAccepted(ids)
}

// envelopes makes one envelope per (tenant, profile, treatment).
func (s *session) envelopes(tx *transaction, top *topBlock, auth *envelope.Auth) []envelope.Envelope {
	now := s.srv.Now()
	peer := s.guard.Peer()
	over := s.over(tx, top)
	peer.Listener = s.cfg.Name
	params := s.guard.Params()
	envs := make([]envelope.Envelope, len(tx.groups))
	for i, g := range tx.groups {
		envs[i] = envelope.Envelope{
			ID:         envelope.NewID(now),
			Tenant:     g.tenant,
			Profile:    g.profile,
			Zone:       s.cfg.Zone,
			Treatment:  g.treatment,
			From:       tx.from,
			To:         g.to,
			Peer:       peer,
			DSN:        asked(params, g.asked),
			UTF8:       params.UTF8,
			Body8Bit:   params.Body8,
			RequireTLS: params.TLS,
			Received:   now,
			HeaderFrom: top.from,
			MessageID:  top.messageID,
			Subject:    top.subject,
			Hops:       top.received,
			Auth:       auth,
			Over:       over(g.to),
		}
	}
	return envs
}

// asked is what the sender wants to be told; nil when he said nothing of it.
func asked(p MailParams, to []envelope.RecipientDSN) *envelope.DSN {
	if p.Return == "" && p.EnvID == "" && len(to) == 0 {
		return nil
	}
	return &envelope.DSN{Return: p.Return, EnvID: p.EnvID, To: to}
}

// inner reports whether somebody inside writes under a tenant's domain.
func (s *session) inner(tx *transaction) bool {
	return (s.cfg.Zone == envelope.LGWAN || s.cfg.Zone == envelope.InternetSegment) && !s.cfg.TenantsOnly && tx.sender != nil
}

// over counts a message from inside against its sender's limits, and returns
// which of them a group of its recipients is over. It is accepted all the same:
// the servers inside would only try again, and the sender hear of it in days.
func (s *session) over(tx *transaction, top *topBlock) func(to []envelope.Address) envelope.Over {
	if !s.inner(tx) {
		return func([]envelope.Address) envelope.Over { return "" }
	}
	fast := !s.srv.rates.sender(tx.from)
	outside := func(domain string) bool {
		_, ours := tx.tenants.Owner(domain)
		return !ours
	}
	most := s.srv.bounds().VisibleRecipients
	shown := most > 0 && top.visible(outside) > most
	return func(to []envelope.Address) envelope.Over {
		switch {
		case fast:
			return envelope.OverRate
		case shown && slices.ContainsFunc(to, func(a envelope.Address) bool { return outside(a.Domain) }):
			return envelope.OverVisible
		default:
			return ""
		}
	}
}

// faultReader remembers that it was the reading that failed, not the writing.
type faultReader struct {
	r   io.Reader
	err error
}

func (f *faultReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// recipients are addresses in one bounded log value.
type recipients []envelope.Address

// LogValue implements slog.LogValuer.
func (r recipients) LogValue() slog.Value {
	var b strings.Builder
	for i, a := range r {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > 256 {
			break
		}
		b.WriteString(a.String())
	}
	return untrusted(b.String()).LogValue()
}
