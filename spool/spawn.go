package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"sekisho/envelope"
	"sekisho/internal/seal"
	"sekisho/policy"
)

// OurMail is a mail that the gateway writes itself: a bounce, a notice, an
// alarm to administrators.
type OurMail struct {
	Tenant  envelope.TenantID
	Profile envelope.ProfileID
	Zone    envelope.Zone // where routing shall think it comes from; zero is internet, which reaches no internet hop
	From    envelope.Address
	To      []envelope.Address
	Author  string                // the value of its From field, where DKIM shall sign for it
	Report  bool                  // it is a report of TLS to another domain
	Parent  envelope.ID           // the message it is about, if any
	UTF8    bool                  // an address or header needs SMTPUTF8
	Write   func(io.Writer) error // the whole message, lines ending in CRLF
}

// NewOurs writes the bytes of a mail of the gateway's own and returns its entry,
// in state Received with treatment Ours and an intake seal, for Change.Spawn or
// Insert. Its bytes are durable; if no row names them they are swept away.
func (s *Spool) NewOurs(ctx context.Context, m OurMail) (Entry, error) {
	if len(m.To) == 0 {
		return Entry{}, errors.New("new mail of our own: no recipient")
	}
	ref, digest, err := s.WriteBlob(ctx, m.Tenant, m.Write)
	if err != nil {
		return Entry{}, fmt.Errorf("new mail of our own: %w", err)
	}
	now := s.now()
	e := Entry{
		Envelope: envelope.Envelope{
			ID:         envelope.NewID(now),
			Tenant:     m.Tenant,
			Profile:    m.Profile,
			Zone:       m.Zone,
			Treatment:  envelope.Ours,
			From:       m.From,
			To:         slices.Clone(m.To),
			HeaderFrom: m.Author,
			UTF8:       m.UTF8,
			Body8Bit:   m.UTF8,
			Size:       ref.Size,
			Digest:     digest,
			Received:   now,
		},
		State:     Received,
		TLSReport: m.Report,
		Parent:    m.Parent,
		Pending:   slices.Clone(m.To),
		Original:  ref,
		Due:       now,
	}
	e.Intake = s.Seal.SealIntake(intake(&e.Envelope))
	return e, nil
}

// SpawnPart derives the entry in state Held for parts kept back from parent:
// the same original and envelope under an id of its own, sealed anew. The
// caller sets Verdict, Report and Expires. It fails with ErrTampered when the
// parent's own intake seal does not match: a derived seal must not make good
// what was changed.
func (s *Spool) SpawnPart(parent Entry, id envelope.ID, paths []string) (Entry, error) {
	if len(paths) == 0 {
		return Entry{}, errors.New("spawn part: no path")
	}
	e, err := s.spawn(parent, id, nil)
	if err != nil {
		return Entry{}, fmt.Errorf("spawn part of %s: %w", parent.Envelope.ID, err)
	}
	e.State = Held
	e.Part = slices.Clone(paths)
	return e, nil
}

// SpawnRelease derives the entry in state Received for a release that leaves
// parent where it is: some of its parts (paths; empty: what parent itself is
// about), to some of its recipients (r.To; empty: all of them). The recipients
// are those of the new envelope and so of its seals: nothing later can widen
// them. It fails with ErrTampered as SpawnPart does.
func (s *Spool) SpawnRelease(parent Entry, id envelope.ID, paths []string, r policy.Release) (Entry, error) {
	e, err := s.spawn(parent, id, r.To)
	if err != nil {
		return Entry{}, fmt.Errorf("spawn release of %s: %w", parent.Envelope.ID, err)
	}
	e.State = Received
	e.Part = slices.Clone(paths)
	if len(paths) == 0 {
		e.Part = slices.Clone(parent.Part)
	}
	e.Release = &r
	return e, nil
}

func (s *Spool) spawn(parent Entry, id envelope.ID, to []envelope.Address) (Entry, error) {
	if !id.Valid() || id == parent.Envelope.ID {
		return Entry{}, fmt.Errorf("id %q cannot be its own", id)
	}
	if err := s.CheckIntake(parent); err != nil {
		return Entry{}, err
	}
	env := parent.Envelope
	env.ID = id
	if len(to) == 0 {
		to = env.To
	}
	for _, a := range to {
		if !slices.Contains(env.To, a) {
			return Entry{}, fmt.Errorf("%s is no recipient of it", a)
		}
	}
	env.To = slices.Clone(to)
	return Entry{
		Envelope: env,
		Parent:   parent.Envelope.ID,
		Pending:  slices.Clone(env.To),
		Original: parent.Original,
		Intake:   s.Seal.SealIntake(intake(&env)),
		Due:      s.now(),
	}, nil
}

func intake(e *envelope.Envelope) seal.Intake {
	i := seal.Intake{
		Tenant:    string(e.Tenant),
		ID:        string(e.ID),
		Profile:   string(e.Profile),
		Zone:      uint8(e.Zone),
		Treatment: uint8(e.Treatment),
		From:      e.From.String(),
		Digest:    e.Digest,
	}
	for _, a := range e.To {
		i.To = append(i.To, a.String())
	}
	i.Asked = asked(e.DSN)
	if e.RequireTLS {
		// A wish that was taken away would let it go in clear.
		i.Asked = append(i.Asked, "requiretls")
	}
	return i
}

// asked is what the seal covers of the sender's wishes: a wish that was taken
// away would make a failure pass without a word, and one that was put in could
// send reports where nobody asked for them.
func asked(d *envelope.DSN) []string {
	if d == nil {
		return nil
	}
	// Quoted, so that no two wishes have the same form.
	ask := []string{fmt.Sprintf("dsn %q %q", d.Return, d.EnvID)}
	for _, r := range d.To {
		ask = append(ask, fmt.Sprintf("to %q %d %q", r.To.String(), r.Notify, r.Original))
	}
	return ask
}
