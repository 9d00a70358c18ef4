package admin

import (
	"context"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
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
