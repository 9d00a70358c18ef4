// Package admin carries out every act a person can perform on a running
// gateway, authorised and audited once, for whatever face asks: the command
// line today. It listens on a unix socket; the kernel says which uid calls,
// and an account must stand for that uid. No uid is allowed by being one: root
// without an account is refused like anybody else.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/policy"
	"sekisho/quarantine"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/spool"
	"sekisho/tenant"
)

// Account is a named person of the host.
type Account struct {
	Name    string
	UID     int
	Created time.Time
}

// Accounts keeps the people and the audit of what they did. Changes write their
// audit event in the same transaction.
type Accounts interface {
	Accounts(ctx context.Context) ([]Account, error)
	AccountByUID(ctx context.Context, uid int) (Account, bool, error)
	AddAccount(ctx context.Context, a Account, ev audit.Event) error // an error that wraps spool.ErrState when name or uid is taken
	RemoveAccount(ctx context.Context, name string, ev audit.Event) error
	// VerifyAudit walks the chain: the number of records, and the first that
	// does not fit or is missing, 0 when all do.
	VerifyAudit(ctx context.Context) (records, bad int64, err error)
}

// Admin is the API.
type Admin struct {
	Quarantine *quarantine.Quarantine
	Journal    spool.Journal
	Accounts   Accounts
	Lists      Lists
	Finder     Finder
	// Relist puts in force what Lists has; called after every change of it.
	Relist  func(ctx context.Context) error
	Table   func() *routing.Table
	Tenants func() *tenant.Directory
	// Preview examines a held entry with today's engine and returns its
	// treated text.
	Preview func(ctx context.Context, e spool.Entry) (string, error)
	// Retry makes a queued entry due at once.
	Retry func(ctx context.Context, t envelope.TenantID, id envelope.ID, by string) error
	// GiveUp ends the delivery of a queued entry and says who was told.
	GiveUp func(ctx context.Context, t envelope.TenantID, id envelope.ID, by, reason string) (string, error)
	Doctor func(ctx context.Context) []client.Check
	About  client.Version
	Now    func() time.Time
	Log    *slog.Logger

	lists sync.Mutex // one change of a list at a time
}

// Listen opens the socket: mode 0660, so that the group sekisho may use it.
func Listen(path string, gid int) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another sekishod answers there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	// Nobody may connect between bind and chmod.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if gid >= 0 {
		if err := os.Chown(path, -1, gid); err != nil {
			l.Close()
			return nil, fmt.Errorf("admin socket: %w", err)
		}
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return l, nil
}

type uidKey struct{}

// Serve answers on l until ctx is done, and then until what was begun has its
// answer, for five seconds at the longest: whoever calls closes the store next.
func (a *Admin) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			uid := -1
			if u, ok := c.(*net.UnixConn); ok {
				if raw, err := u.SyscallConn(); err == nil {
					_ = raw.Control(func(fd uintptr) {
						if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
							uid = int(cred.Uid)
						}
					})
				}
			}
			return context.WithValue(ctx, uidKey{}, uid)
		},
	}
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(c)
	})
	defer func() {
		if !stop() {
			<-drained
		}
	}()
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin socket: %w", err)
	}
	return nil
}

type act func(ctx context.Context, by Account, q client.Request) (any, error)

func (a *Admin) handler() http.Handler {
	mux := http.NewServeMux()
	for name, f := range map[string]act{
		"quarantine.list":     a.heldList,
		"quarantine.show":     a.heldShow,
		"quarantine.release":  a.release,
		"quarantine.status":   a.releaseStatus,
		"quarantine.delete":   a.remove,
		"original.request":    a.original("requested"),
		"original.approve":    a.original("approved"),
		"original.deny":       a.original("denied"),
		"queue.list":          a.queueList,
		"quarantine.export":   a.heldExport,
		"queue.retry":         a.retry,
		"queue.show":          a.queueShow,
		"queue.fail":          a.queueFail,
		"trace":               a.trace,
		"route.test":          a.route,
		"tenant.list":         a.tenantList,
		"tenant.show":         a.tenantShow,
		"recipients.import":   a.recipientsImport,
		"recipients.rollback": a.recipientsRollback,
		"recipients.cancel":   a.recipientsCancel,
		"recipients.history":  a.recipientsHistory,
		"recipients.list":     a.recipientsList,
		"account.list":        a.accountList,
		"account.add":         a.accountAdd,
		"account.remove":      a.accountRemove,
		"audit.list":          a.auditList,
		"audit.verify":        a.auditVerify,
		"doctor":              a.doctor,
		"version":             a.version,
	} {
		mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, name, f) })
	}
	return mux
}

func (a *Admin) serve(w http.ResponseWriter, r *http.Request, name string, f act) {
	uid, _ := r.Context().Value(uidKey{}).(int)
	by, ok, err := a.Accounts.AccountByUID(r.Context(), uid)
	switch {
	case err != nil:
		a.fail(w, name, by, err)
		return
	case uid < 0 || !ok:
		a.Log.Warn("admin refused", "rule", name, "err", fmt.Sprintf("uid %d has no account", uid))
		a.fail(w, name, by, fmt.Errorf("uid %d has no account; somebody who has one can add it with: sekisho account add NAME --uid %d: %w", uid, uid, errNotAllowed))
		return
	}
	var q client.Request
	d := json.NewDecoder(io.LimitReader(r.Body, most(name)))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		a.fail(w, name, by, fmt.Errorf("request: %w: %w", err, errUsage))
		return
	}
	// A reason stays in the audit for years: one of blanks is none, and one as
	// long as a book is no reason.
	if q.Reason = strings.TrimSpace(q.Reason); utf8.RuneCountInString(q.Reason) > maxReason {
		a.fail(w, name, by, fmt.Errorf("a reason has at most %d characters: %w", maxReason, errUsage))
		return
	}
	ctx := r.Context()
	if changes(name) {
		// What was begun is finished, whoever still waits for the answer: a list
		// that is kept and not in force, an entry that stays in a hand that is
		// gone.
		ctx = context.WithoutCancel(ctx)
	}
	out, err := f(ctx, by, q)
	if err != nil {
		a.fail(w, name, by, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		a.Log.Warn("admin answer", "rule", name, "err", err)
	}
}

const maxReason = 1000

// changes reports whether an act changes anything. Each is a few writes, so
// that none keeps the gateway from stopping.
func changes(act string) bool {
	switch act {
	case "quarantine.release", "quarantine.delete", "queue.retry", "queue.fail",
		"recipients.import", "recipients.rollback", "recipients.cancel", "account.add", "account.remove":
		return true
	default:
		return false
	}
}

// most bounds what a caller may send: a list of recipients is the one large
// thing, and grows by a third on the wire.
func most(act string) int64 {
	if act == "recipients.import" {
		return 48 << 20
	}
	return 1 << 20
}

var (
	errNotAllowed = errors.New("not allowed")
	errUsage      = errors.New("wrong usage")
)

func (a *Admin) fail(w http.ResponseWriter, name string, by Account, err error) {
	f := client.Failure{Code: "failed", Error: err.Error(), Faults: faults(err)}
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, spool.ErrNotFound):
		f.Code, status = "not-found", http.StatusNotFound
	case errors.Is(err, errNotAllowed), errors.Is(err, quarantine.ErrClass), errors.Is(err, quarantine.ErrRecipient):
		f.Code, status = "not-allowed", http.StatusForbidden
	case len(f.Faults) > 0, errors.Is(err, errUsage), errors.Is(err, quarantine.ErrReason), errors.Is(err, spool.ErrState):
		f.Code, status = "usage", http.StatusConflict
	default:
		a.Log.Error("admin", "rule", name, "by", by.Name, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}

// page bounds one answer; clients ask on with After.
const page = 500

func limit(n int) int {
	if n <= 0 || n > page {
		return page
	}
	return n
}

func (a *Admin) heldList(ctx context.Context, _ Account, q client.Request) (any, error) {
	es, err := a.Quarantine.List(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.After), limit(q.Limit))
	if err != nil {
		return nil, err
	}
	if err := a.named(q, len(es)); err != nil {
		return nil, err
	}
	out := []client.Held{}
	for i := range es {
		out = append(out, held(&es[i]))
	}
	return out, nil
}

// named refuses an empty answer about a tenant that is not in the configuration:
// a name typed wrong must not read as "nothing is held". Of one that was taken
// out of it what is still there is shown.
func (a *Admin) named(q client.Request, found int) error {
	if q.Tenant == "" || found > 0 || q.After != "" || q.Seq > 0 {
		return nil
	}
	if _, ok := a.Tenants().Get(envelope.TenantID(q.Tenant)); !ok {
		return fmt.Errorf("tenant %s: %w", q.Tenant, spool.ErrNotFound)
	}
	return nil
}

func (a *Admin) heldShow(ctx context.Context, by Account, q client.Request) (any, error) {
	if !envelope.ID(q.ID).Valid() {
		return nil, fmt.Errorf("%q is no id: %w", q.ID, spool.ErrNotFound)
	}
	e, err := a.Quarantine.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID))
	if err != nil {
		return nil, err
	}
	if e.State != spool.Held {
		return nil, fmt.Errorf("%s is not held any more: %w", q.ID, spool.ErrNotFound)
	}
	s := client.Shown{Held: held(&e), Parent: string(e.Parent), Zone: e.Envelope.Zone.String(),
		Peer: e.Envelope.Peer.Addr.String(), Helo: e.Envelope.Peer.Helo, TLS: e.Envelope.Peer.TLS, SHA256: e.Envelope.Digest.String()}
	if e.Report != nil {
		for _, f := range e.Report.Header {
			s.Header = append(s.Header, client.Field{Name: f.Name, Value: fieldText(f)})
		}
		for i := range e.Report.Parts {
			s.Detail = append(s.Detail, part(&e.Report.Parts[i]))
		}
	}
	s.Text, err = a.Preview(ctx, e)
	if err != nil {
		s.TextNote = err.Error()
	}
	// Looking is an act: who read what of whose mail must be known.
	ev := audit.Event{Time: a.Now(), Tenant: string(e.Envelope.Tenant), Actor: by.Name, Act: "shown", ID: q.ID}
	if err := a.Journal.Record(ctx, []audit.Event{ev}); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return s, nil
}

func (a *Admin) release(ctx context.Context, by Account, q client.Request) (any, error) {
	r := policy.Release{By: by.Name, Reason: q.Reason}
	for _, s := range q.To {
		addr, err := envelope.ParseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, errUsage)
		}
		r.To = append(r.To, addr)
	}
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	id, err := a.Quarantine.Release(ctx, t, envelope.ID(q.ID), r)
	if err != nil {
		return nil, a.moved(ctx, q, spool.Held, err)
	}
	return client.Released{ID: string(id), State: "examining"}, nil
}

// original answers those who ask for an original, or decide about one: as long
// as originals.deliver is off, none leaves, whoever asks. That somebody asked
// stays in the audit, for the same reason as a look does.
func (a *Admin) original(word string) act {
	return func(ctx context.Context, by Account, q client.Request) (any, error) {
		t, err := a.tenantOf(ctx, q)
		if err != nil {
			return nil, err
		}
		ev := audit.Event{Time: a.Now(), Tenant: string(t), Actor: by.Name, Act: "original-refused", ID: q.ID, Detail: strings.TrimSpace(word + ", " + q.Reason)}
		if err := a.Journal.Record(ctx, []audit.Event{ev}); err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		return nil, fmt.Errorf("originals are not delivered (originals.deliver is off); release delivers the harmless form: %w", errNotAllowed)
	}
}

// releaseStatus says how far a release has come; the caller asks again until
// it is no longer being examined.
func (a *Admin) releaseStatus(ctx context.Context, _ Account, q client.Request) (any, error) {
	e, err := a.Journal.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", q.ID, err)
	}
	out := client.Released{ID: q.ID}
	switch e.State {
	case spool.Received:
		out.State = "examining"
	case spool.Queued:
		out.State = "queued"
		if e.Err != "" {
			out.Reasons = []string{e.Err}
		}
	case spool.Held:
		out.State, out.Reasons = "held", e.Verdict.Reasons
	case spool.Done:
		out.State = "delivered"
		if e.Err != "" {
			out.State, out.Reasons = "failed", []string{e.Err}
		}
	default:
		return nil, fmt.Errorf("%s is in state %d", q.ID, e.State)
	}
	return out, nil
}

// tenantOf says whose entry an act is about. Accounts of the whole gateway may
// leave the tenant out; one that is named must be the entry's.
func (a *Admin) tenantOf(ctx context.Context, q client.Request) (envelope.TenantID, error) {
	if !envelope.ID(q.ID).Valid() {
		return "", fmt.Errorf("%q is no id: %w", q.ID, spool.ErrNotFound)
	}
	e, err := a.Journal.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID))
	if err != nil {
		return "", fmt.Errorf("get %s: %w", q.ID, err)
	}
	return e.Envelope.Tenant, nil
}

// moved says what it means that an entry cannot be taken from a state: it is
// somewhere else by now, or in somebody's hand this very moment.
func (a *Admin) moved(ctx context.Context, q client.Request, from spool.State, err error) error {
	if !errors.Is(err, spool.ErrState) {
		return err
	}
	word := strings.ToLower(from.String())
	if e, gerr := a.Journal.Get(ctx, envelope.TenantID(q.Tenant), envelope.ID(q.ID)); gerr == nil && e.State == from {
		return fmt.Errorf("%s is %s, but in somebody's hand just now: try again", q.ID, word)
	}
	return fmt.Errorf("%s is not %s any more: %w", q.ID, word, spool.ErrNotFound)
}

func (a *Admin) remove(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := a.Quarantine.Delete(ctx, t, envelope.ID(q.ID), by.Name, q.Reason); err != nil {
		return nil, a.moved(ctx, q, spool.Held, err)
	}
	return client.Released{ID: q.ID, State: "deleted"}, nil
}

func (a *Admin) queueList(ctx context.Context, _ Account, q client.Request) (any, error) {
	// Ids sort by time in either state, so the two lists are one when merged,
	// and a page ends where the next one can begin.
	n := limit(q.Limit)
	var es []spool.Entry
	for _, s := range []spool.State{spool.Received, spool.Queued} {
		some, err := a.Journal.List(ctx, spool.Filter{Tenant: envelope.TenantID(q.Tenant), State: s, After: envelope.ID(q.After), Limit: n})
		if err != nil {
			return nil, fmt.Errorf("list queue: %w", err)
		}
		es = append(es, some...)
	}
	if err := a.named(q, len(es)); err != nil {
		return nil, err
	}
	slices.SortFunc(es, func(a, b spool.Entry) int { return strings.Compare(string(a.Envelope.ID), string(b.Envelope.ID)) })
	out := []client.Queued{}
	for i := range es[:min(n, len(es))] {
		e := &es[i]
		c := client.Queued{ID: string(e.Envelope.ID), Time: e.Envelope.Received, Tenant: string(e.Envelope.Tenant),
			From: e.Envelope.From.String(), To: addresses(e.Pending, e.Envelope.To), Attempts: e.Attempts, Due: e.Due, Err: e.Err, State: e.State.String()}
		if legs, err := a.Table().Legs(e.Envelope.Zone, e.Pending); err == nil {
			for i, l := range legs {
				if i > 0 {
					c.Hop += ","
				}
				c.Hop += l.Hop.Name
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func (a *Admin) retry(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.tenantOf(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := a.Retry(ctx, t, envelope.ID(q.ID), by.Name); err != nil {
		return nil, a.moved(ctx, q, spool.Queued, err)
	}
	return client.Released{ID: q.ID, State: "queued"}, nil
}

func (a *Admin) route(_ context.Context, _ Account, q client.Request) (any, error) {
	return RouteTest(a.Table(), a.Tenants(), q.Address, q.Zone, a.Now())
}

// RouteTest says where an address would be sent, and changes nothing.
func RouteTest(table *routing.Table, dir *tenant.Directory, address, zone string, at time.Time) (client.Route, error) {
	z := envelope.Internet
	if zone != "" {
		var err error
		if z, err = envelope.ParseZone(zone); err != nil {
			return client.Route{}, fmt.Errorf("%w: %w", err, errUsage)
		}
	}
	addr, err := envelope.ParseAddress(address)
	if err != nil {
		return client.Route{}, fmt.Errorf("%w: %w", err, errUsage)
	}
	t, ours := dir.Owner(addr.Domain)
	if z == envelope.Internet && !ours {
		return client.Route{}, fmt.Errorf("%s from zone internet would be refused: the domain is no tenant's, and there is no relay: %w", address, spool.ErrNotFound)
	}
	if ours && !t.Has(addr, at) {
		return client.Route{}, fmt.Errorf("%s is not among the recipients of tenant %s: %w", address, t.ID, spool.ErrNotFound)
	}
	h, r, err := table.Find(z, addr)
	if err != nil {
		return client.Route{}, fmt.Errorf("%s from zone %s: %w: %w", address, z, err, spool.ErrNotFound)
	}
	out := client.Route{Address: addr.String(), Zone: z.String(), Hop: h.Name, Network: h.Network.String(), Route: r.Domain, Subdomains: r.Subdomains, Treatment: "rebuild"}
	if !envelope.NeedsRebuild(z, h.Network, false) {
		out.Treatment = "pass"
	}
	return out, nil
}

func (a *Admin) accountList(ctx context.Context, _ Account, _ client.Request) (any, error) {
	as, err := a.Accounts.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	out := []client.Account{}
	for _, x := range as {
		out = append(out, client.Account{Name: x.Name, UID: x.UID, Created: x.Created})
	}
	return out, nil
}

func (a *Admin) accountAdd(ctx context.Context, by Account, q client.Request) (any, error) {
	if q.Name == "" || len(q.Name) > 64 || q.UID < 0 {
		return nil, fmt.Errorf("an account needs a name of at most 64 characters and a uid: %w", errUsage)
	}
	for _, c := range q.Name {
		// What shows nothing or turns the line makes two names look like one.
		if c == ' ' || !unicode.IsPrint(c) || c == utf8.RuneError {
			return nil, fmt.Errorf("an account's name has no spaces or control characters: %w", errUsage)
		}
	}
	now := a.Now()
	ev := audit.Event{Time: now, Actor: by.Name, Act: "account-added", Detail: fmt.Sprintf("%s, uid %d", q.Name, q.UID)}
	if err := a.Accounts.AddAccount(ctx, Account{Name: q.Name, UID: q.UID, Created: now}, ev); err != nil {
		return nil, fmt.Errorf("add account: %w", err)
	}
	return client.Account{Name: q.Name, UID: q.UID, Created: now}, nil
}

func (a *Admin) accountRemove(ctx context.Context, by Account, q client.Request) (any, error) {
	if q.Name == by.Name {
		// The last one could lock everybody out; another has to do it.
		return nil, fmt.Errorf("nobody removes the account he is using: %w", errNotAllowed)
	}
	ev := audit.Event{Time: a.Now(), Actor: by.Name, Act: "account-removed", Detail: q.Name}
	if err := a.Accounts.RemoveAccount(ctx, q.Name, ev); err != nil {
		return nil, fmt.Errorf("remove account: %w", err)
	}
	return client.Account{Name: q.Name}, nil
}

func (a *Admin) auditList(ctx context.Context, _ Account, q client.Request) (any, error) {
	rs, err := a.Journal.Audit(ctx, envelope.TenantID(q.Tenant), q.Seq, limit(q.Limit))
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	if err := a.named(q, len(rs)); err != nil {
		return nil, err
	}
	out := []client.Record{}
	for _, r := range rs {
		out = append(out, client.Record{Seq: r.Seq, Time: r.Time, Tenant: r.Tenant, Actor: r.Actor, Act: r.Act, ID: r.ID, Detail: r.Detail, Prev: r.Prev, Hash: r.Hash})
	}
	return out, nil
}

func (a *Admin) auditVerify(ctx context.Context, _ Account, _ client.Request) (any, error) {
	n, bad, err := a.Accounts.VerifyAudit(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify audit: %w", err)
	}
	v := client.Verified{Records: n, Intact: bad == 0, Broken: bad}
	if rs, err := a.Journal.Audit(ctx, "", n-1, 1); err == nil && len(rs) == 1 {
		v.Last = rs[0].Hash
	}
	return v, nil
}

func (a *Admin) doctor(ctx context.Context, _ Account, _ client.Request) (any, error) {
	return a.Doctor(ctx), nil
}

func (a *Admin) version(context.Context, Account, client.Request) (any, error) { return a.About, nil }

func held(e *spool.Entry) client.Held {
	h := client.Held{ID: string(e.Envelope.ID), Time: e.Envelope.Received, Tenant: string(e.Envelope.Tenant), From: e.Envelope.From.String(),
		To: addresses(e.Envelope.To, nil), Subject: e.Envelope.Subject, Class: string(e.Verdict.Class), Rule: e.Verdict.Rule,
		Reasons: e.Verdict.Reasons, Parts: []string{}, Size: e.Envelope.Size, Expires: e.Expires}
	if h.Reasons == nil {
		h.Reasons = []string{}
	}
	if e.Report != nil {
		for _, f := range e.Report.Header {
			if f.Name == "Subject" {
				h.Subject = f.Text
			}
		}
	}
	if e.Tampered != "" {
		h.Class = string(sanitize.ClassTampered)
	}
	for _, path := range e.Part {
		name := path
		if e.Report != nil {
			for i := range e.Report.Parts {
				if p := &e.Report.Parts[i]; p.Path == path && p.Name != "" {
					name = p.Name
				}
			}
		}
		h.Parts = append(h.Parts, name)
	}
	return h
}

func part(p *sanitize.Part) client.Part {
	out := client.Part{Path: p.Path, Name: p.Name, Kind: string(p.Kind), OutKind: string(p.OutKind), Class: string(p.Class),
		Outcome: p.Outcome.String(), Fate: p.Fate.String(), Size: p.Size, SHA256: envelope.Digest(p.In).String(), Error: p.Err, Findings: []client.Finding{}}
	if p.Out != (sanitize.Digest{}) {
		out.SHA256O = envelope.Digest(p.Out).String()
	}
	for _, f := range p.Findings {
		out.Findings = append(out.Findings, client.Finding{Rule: f.Rule, Where: f.Where, Action: string(f.Action), Detail: f.Detail})
	}
	return out
}

func fieldText(f sanitize.Field) string {
	if len(f.Mailboxes) == 0 {
		return f.Text
	}
	var s string
	for i, m := range f.Mailboxes {
		if i > 0 {
			s += ", "
		}
		if m.Name != "" {
			s += m.Name + " "
		}
		s += "<" + m.Address + ">"
	}
	return s
}

func addresses(as, otherwise []envelope.Address) []string {
	if len(as) == 0 {
		as = otherwise
	}
	out := []string{}
	for _, a := range as {
		out = append(out, a.String())
	}
	return out
}
