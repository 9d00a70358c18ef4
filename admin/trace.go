package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/sanitize"
	"sekisho/spool"
)

// Finder looks messages up by what a person knows of them.
type Finder interface {
	// Find returns the ids of a tenant's messages that match, the newest
	// first, also of those that only the audit still knows. Empty tenant: all.
	Find(ctx context.Context, t envelope.TenantID, l Look) ([]envelope.ID, error)
	// AuditOf returns what the audit has of one message, oldest first.
	AuditOf(ctx context.Context, t envelope.TenantID, id envelope.ID) ([]audit.Record, error)
}

// A Look is what is looked for.
type Look struct {
	By    LookBy
	Text  string
	Since time.Time // messages that arrived then or later
	Limit int       // at most so many; above zero
}

// LookBy is how a text is understood.
type LookBy uint8

// The zero LookBy matches nothing.
const (
	ByID      LookBy = 1
	ByMail    LookBy = 2 // a Message-ID, an address, or @domain
	ByHash    LookBy = 3 // SHA-256 of the message or of a part, as it came or as it went
	BySubject LookBy = 4 // part of a subject
)

// NewLook understands what a person typed.
func NewLook(query string) (Look, error) {
	q := strings.TrimSpace(query)
	switch bare := strings.Trim(q, "<>"); {
	case len([]rune(q)) < 3 && (len([]rune(q)) < 2 || len(q) < 6):
		// Two characters of Japanese are a word, such as 見積; two of ASCII are
		// in every subject.
		return Look{}, fmt.Errorf("%q is too short to look for: %w", q, errUsage)
	case len(q) > 998:
		return Look{}, fmt.Errorf("what to look for is too long: %w", errUsage)
	case envelope.ID(strings.ToLower(q)).Valid():
		return Look{By: ByID, Text: strings.ToLower(q)}, nil
	case strings.Contains(bare, "@") && !strings.ContainsAny(bare, " \t"):
		return Look{By: ByMail, Text: bare}, nil
	case len(q) == 64 && isHex(q):
		return Look{By: ByHash, Text: strings.ToLower(q)}, nil
	default:
		return Look{By: BySubject, Text: q}, nil
	}
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// Needles are texts that whatever matches has somewhere, in any case of ASCII
// letters: a store can leave out what lacks one before it looks closer.
func (l Look) Needles() []string {
	if l.By != ByMail {
		return []string{l.Text}
	}
	// An address is kept in two halves.
	i := strings.LastIndexByte(l.Text, '@')
	var ns []string
	for _, half := range []string{l.Text[:i], l.Text[i+1:]} {
		if half != "" {
			ns = append(ns, half)
		}
	}
	return ns
}

// Matches reports whether an entry is what is looked for.
func (l Look) Matches(e *spool.Entry) bool {
	switch l.By {
	case ByID:
		return string(e.Envelope.ID) == l.Text
	case ByMail:
		return l.mail(e)
	case ByHash:
		if e.Envelope.Digest.String() == l.Text {
			return true
		}
		if e.Report != nil {
			for i := range e.Report.Parts {
				p := &e.Report.Parts[i]
				if envelope.Digest(p.In).String() == l.Text || envelope.Digest(p.Out).String() == l.Text {
					return true
				}
			}
		}
		return false
	case BySubject:
		return strings.Contains(strings.ToLower(subject(e)), strings.ToLower(l.Text))
	default:
		return false
	}
}

// mail matches a Message-ID, or an address of envelope or header.
func (l Look) mail(e *spool.Entry) bool {
	if strings.EqualFold(strings.Trim(e.Envelope.MessageID, "<> \t"), l.Text) {
		return true
	}
	is := func(a string) bool {
		if domain, ok := strings.CutPrefix(l.Text, "@"); ok {
			_, d, _ := strings.Cut(a, "@")
			return strings.EqualFold(d, domain)
		}
		return strings.EqualFold(a, l.Text)
	}
	if is(e.Envelope.From.String()) || slices.ContainsFunc(e.Envelope.To, func(a envelope.Address) bool { return is(a.String()) }) {
		return true
	}
	if e.Report != nil {
		for _, f := range e.Report.Header {
			if slices.ContainsFunc(f.Mailboxes, func(m sanitize.Mailbox) bool { return is(m.Address) }) {
				return true
			}
		}
	}
	return false
}

// subject is the decoded one where a worker has read the mail, else as it came.
func subject(e *spool.Entry) string {
	if e.Report != nil {
		for _, f := range e.Report.Header {
			if f.Name == "Subject" {
				return f.Text
			}
		}
	}
	return e.Envelope.Subject
}

// traces bounds one answer: who looks for one message does not read further,
// and a month of a town's mail is no answer.
const traces = 50

// inFull is how many messages are shown with what was found in them: one, with
// what came of it. treatedParts bounds that for an archive of thousands.
const (
	inFull       = 8
	treatedParts = 100
)

func (a *Admin) trace(ctx context.Context, by Account, q client.Request) (any, error) {
	l, err := NewLook(q.Query)
	if err != nil {
		return nil, err
	}
	l.Since, l.Limit = q.Since, traces
	if q.Limit > 0 && q.Limit < traces {
		l.Limit = q.Limit
	}
	t := envelope.TenantID(q.Tenant)
	ids := []envelope.ID{envelope.ID(l.Text)}
	if l.By != ByID {
		if ids, err = a.Finder.Find(ctx, t, l); err != nil {
			return nil, err
		}
	}
	out := client.Traces{Messages: []client.Trace{}, More: len(ids) == l.Limit && l.By != ByID}
	seen := map[envelope.ID]bool{}
	for _, id := range ids {
		if err := a.family(ctx, t, id, seen, &out.Messages); err != nil {
			return nil, err
		}
	}
	if len(out.Messages) == 0 {
		return nil, fmt.Errorf("no message is known by %q: %w", q.Query, spool.ErrNotFound)
	}
	if len(out.Messages) > inFull {
		for i := range out.Messages {
			out.Messages[i].Treated = nil
		}
	}
	// Subjects and addresses of other people's mail were read.
	ev := audit.Event{Time: a.Now(), Tenant: q.Tenant, Actor: by.Name, Act: "traced", Detail: fmt.Sprintf("%q: %d messages", l.Text, len(out.Messages))}
	if l.By == ByID {
		ev.ID, ev.Detail = l.Text, ""
	}
	if err := a.Journal.Record(ctx, []audit.Event{ev}); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return out, nil
}

// family adds the life of a message with those it comes from and those that
// came from it: parts kept back, releases, reports of failure.
func (a *Admin) family(ctx context.Context, t envelope.TenantID, id envelope.ID, seen map[envelope.ID]bool, out *[]client.Trace) error {
	// Parents first. A part of a part is as deep as it gets; the bound is for a
	// row that somebody made its own parent.
	root := id
	for range 8 {
		e, err := a.Journal.Get(ctx, t, root)
		if errors.Is(err, spool.ErrNotFound) || err == nil && e.Parent == "" {
			break
		}
		if err != nil {
			return err
		}
		// The parent may be gone, or another tenant's: then this is the root.
		rs, err := a.Finder.AuditOf(ctx, t, e.Parent)
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			break
		}
		root = e.Parent
	}
	for next := []envelope.ID{root}; len(next) > 0; next = next[1:] {
		if seen[next[0]] {
			continue
		}
		seen[next[0]] = true
		m, err := a.life(ctx, t, next[0])
		if errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		*out = append(*out, m)
		kin, err := a.Journal.List(ctx, spool.Filter{Tenant: t, Parent: next[0], Limit: 200})
		if err != nil {
			return err
		}
		for i := range kin {
			next = append(next, kin[i].Envelope.ID)
		}
	}
	return nil
}

// life is all that journal and audit know of one message. spool.ErrNotFound
// when that is nothing, or another tenant's.
func (a *Admin) life(ctx context.Context, t envelope.TenantID, id envelope.ID) (client.Trace, error) {
	m := client.Trace{ID: string(id), To: []string{}, Reasons: []string{}, Parts: []string{}, Events: []client.Event{}}
	rs, err := a.Finder.AuditOf(ctx, t, id)
	if err != nil {
		return m, err
	}
	for _, r := range rs {
		m.Events = append(m.Events, client.Event{Time: r.Time, Actor: r.Actor, Act: r.Act, Detail: r.Detail})
	}
	e, err := a.Journal.Get(ctx, t, id)
	switch {
	case errors.Is(err, spool.ErrNotFound) && len(rs) > 0:
		// The bytes and the row are gone, the record is not.
		m.Tenant, m.Time, m.State = rs[0].Tenant, rs[0].Time, "Gone"
		return m, nil
	case err != nil:
		return m, err
	}
	h := held(&e)
	m.Parent, m.Time, m.Tenant, m.State = string(e.Parent), e.Envelope.Received, string(e.Envelope.Tenant), e.State.String()
	m.Zone, m.Peer, m.Helo, m.TLS = e.Envelope.Zone.String(), e.Envelope.Peer.Addr.String(), e.Envelope.Peer.Helo, e.Envelope.Peer.TLS
	m.From, m.To, m.Subject, m.MessageID = h.From, h.To, h.Subject, e.Envelope.MessageID
	m.Size, m.SHA256, m.Treatment = e.Envelope.Size, e.Envelope.Digest.String(), e.Envelope.Treatment.String()
	m.Parts, m.Expires, m.Err, m.Attempts = h.Parts, e.Expires, e.Err, e.Attempts
	if e.State == spool.Held {
		m.Class, m.Rule, m.Reasons = h.Class, h.Rule, h.Reasons
	}
	if e.State == spool.Queued || e.State == spool.Received {
		m.Pending, m.Due = addresses(e.Pending, nil), e.Due
	}
	// A part kept back has the report of the mail it was taken from, where it is shown.
	if e.Report != nil && len(e.Part) == 0 {
		for i := range e.Report.Parts {
			p := &e.Report.Parts[i]
			if (p.Outcome != sanitize.Clean || len(p.Findings) > 0) && len(m.Treated) < treatedParts {
				m.Treated = append(m.Treated, part(p))
			}
		}
	}
	return m, nil
}

// queueShow is one entry of the queue whole.
func (a *Admin) queueShow(ctx context.Context, _ Account, q client.Request) (any, error) {
	if !envelope.ID(q.ID).Valid() {
		return nil, fmt.Errorf("%q is no id: %w", q.ID, spool.ErrNotFound)
	}
	e, err := a.Journal.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", q.ID, err)
	}
	if e.State != spool.Received && e.State != spool.Queued {
		return nil, fmt.Errorf("%s is not queued any more: %w", q.ID, spool.ErrNotFound)
	}
	m, err := a.life(ctx, e.Envelope.Tenant, e.Envelope.ID)
	if err != nil {
		return nil, err
	}
	out := client.QueuedShown{Trace: m, Kind: e.Kind, Recipients: []client.QueuedRecipient{}}
	zone := e.Envelope.Zone
	if e.Envelope.Treatment == envelope.Ours {
		zone = envelope.LGWAN // as delivery takes our own mail
	}
	for _, addr := range e.Envelope.To {
		r := client.QueuedRecipient{Address: addr.String(), Waits: slices.Contains(e.Pending, addr)}
		if hop, _, err := a.Table().Find(zone, addr); err != nil {
			r.Err = err.Error()
		} else {
			r.Hop, r.Network = hop.Name, hop.Network.String()
		}
		out.Recipients = append(out.Recipients, r)
	}
	return out, nil
}

// queueFail gives a queued message up; whoever may be told is told.
func (a *Admin) queueFail(ctx context.Context, by Account, q client.Request) (any, error) {
	if strings.TrimSpace(q.Reason) == "" {
		return nil, fmt.Errorf("a reason is needed: %w", errUsage)
	}
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	told, err := a.GiveUp(ctx, t, envelope.ID(q.ID), by.Name, q.Reason)
	if err != nil {
		return nil, a.moved(ctx, q, spool.Queued, err)
	}
	return client.Released{ID: q.ID, State: "failed", Reasons: []string{told}}, nil
}

// heldExport is all that may leave of a held entry: report, treated text and
// audit, and no byte of the original.
func (a *Admin) heldExport(ctx context.Context, by Account, q client.Request) (any, error) {
	s, err := a.heldShow(ctx, by, q)
	if err != nil {
		return nil, err
	}
	shown, ok := s.(client.Shown)
	if !ok {
		return nil, fmt.Errorf("export %s: nothing to show", q.ID)
	}
	m, err := a.life(ctx, envelope.TenantID(shown.Tenant), envelope.ID(q.ID))
	if err != nil {
		return nil, err
	}
	ev := audit.Event{Time: a.Now(), Tenant: shown.Tenant, Actor: by.Name, Act: "exported", ID: q.ID}
	if err := a.Journal.Record(ctx, []audit.Event{ev}); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return client.Exported{Shown: shown, MessageID: m.MessageID, Audit: m.Events, Gateway: a.About}, nil
}
