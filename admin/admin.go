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
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/quarantine"
	"sekisho/routing"
	"sekisho/spool"
	"sekisho/tenant"
)

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

func (a *Admin) doctor(ctx context.Context, _ Account, _ client.Request) (any, error) {
	return a.Doctor(ctx), nil
}

func (a *Admin) version(context.Context, Account, client.Request) (any, error) { return a.About, nil }

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
