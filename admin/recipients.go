package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
	"sekisho/tenant"
)

// Lists keeps the imported lists of recipients, every version of them. Changes
// write their audit event in the same transaction.
type Lists interface {
	// RecipientVersions calls f for every version, the newest first, until it
	// says false.
	RecipientVersions(ctx context.Context, t envelope.TenantID, f func(tenant.Version) bool) error
	// AddRecipients keeps a new version and returns its number, which event is
	// told inside the transaction.
	AddRecipients(ctx context.Context, v tenant.Version, event func(number int64) audit.Event) (int64, error)
	// WithdrawRecipients cancels a version that has not taken effect at now.
	// spool.ErrNotFound when there is none, spool.ErrState when it has.
	WithdrawRecipients(ctx context.Context, t envelope.TenantID, number int64, now time.Time, ev audit.Event) error
}

const (
	// allowLoss is the share of people, in percent, that a new list may stop
	// mail for without being told so. In April many change their post, but
	// few their address; a list that ends half of them is a cut-off export.
	allowLoss = 20
	// fewPeople are lost without a question whatever their share: in a body
	// of twelve three are a quarter.
	fewPeople = 4
)

// tenantNamed is the tenant that an act is about: the one named, or the only
// one there is. One that is not there and one that is not the caller's are the
// same.
func (a *Admin) tenantNamed(q client.Request) (*tenant.Tenant, error) {
	d := a.Tenants()
	if q.Tenant == "" {
		if all := d.All(); len(all) == 1 {
			return &all[0], nil
		}
		return nil, fmt.Errorf("there are several tenants; name one with --tenant: %w", errUsage)
	}
	t, ok := d.Get(envelope.TenantID(q.Tenant))
	if !ok {
		return nil, fmt.Errorf("tenant %s: %w", q.Tenant, spool.ErrNotFound)
	}
	return t, nil
}

// listed is tenantNamed for acts that change the list.
func (a *Admin) listed(q client.Request) (*tenant.Tenant, error) {
	t, err := a.tenantNamed(q)
	if err != nil {
		return nil, err
	}
	if t.RecipientsFile != "" {
		return nil, fmt.Errorf("the recipients of tenant %s are in the file %s, which the configuration names: change it there and reload, or take the line out: %w", t.ID, t.RecipientsFile, errUsage)
	}
	return t, nil
}

// effective is when a version begins to count.
func (a *Admin) effective(q client.Request, now time.Time) (time.Time, error) {
	if q.Date == "" {
		return now, nil
	}
	d, ok := tenant.ParseDay(q.Date)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is no day such as 2027-04-01: %w", q.Date, errUsage)
	}
	if d.Before(tenant.DayOf(now)) {
		return time.Time{}, fmt.Errorf("%s is over: %w", d, errUsage)
	}
	if at := d.Begin(); at.After(now) {
		return at, nil
	}
	return now, nil
}

func (a *Admin) recipientsImport(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.listed(q)
	if err != nil {
		return nil, err
	}
	list, err := tenant.ReadList(bytes.NewReader(q.Data), t.Domains)
	if err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	sum := sha256.Sum256(q.Data)
	return a.putInForce(ctx, by, q, t, list, q.Name, "recipients-imported", fmt.Sprintf("file %q, SHA-256 %s", q.Name, hex.EncodeToString(sum[:])))
}

func (a *Admin) recipientsRollback(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.listed(q)
	if err != nil {
		return nil, err
	}
	source := fmt.Sprintf("version %d", q.Version)
	var list *tenant.List
	if q.Version != 0 {
		v, err := a.oneVersion(ctx, t.ID, q.Version)
		if err != nil {
			return nil, err
		}
		list = v.List
	}
	return a.putInForce(ctx, by, q, t, list, source, "recipients-restored", "as in "+source)
}

// oneVersion finds one version of a tenant's list.
func (a *Admin) oneVersion(ctx context.Context, t envelope.TenantID, number int64) (tenant.Version, error) {
	var found *tenant.Version
	if err := a.Lists.RecipientVersions(ctx, t, func(v tenant.Version) bool {
		if v.Number == number {
			found = &v
		}
		return found == nil
	}); err != nil {
		return tenant.Version{}, err
	}
	if found == nil {
		return tenant.Version{}, fmt.Errorf("version %d of tenant %s: %w", number, t, spool.ErrNotFound)
	}
	return *found, nil
}

// putInForce makes a list the next version, unless it is a dry run or would
// stop mail for more people than was said.
func (a *Admin) putInForce(ctx context.Context, by Account, q client.Request, t *tenant.Tenant, list *tenant.List, source, act, detail string) (any, error) {
	// One at a time: what a list changes is said against the one before it.
	a.lists.Lock()
	defer a.lists.Unlock()
	if now, ok := a.Tenants().Get(t.ID); ok {
		t = now
	}
	now := a.Now()
	at, err := a.effective(q, now)
	if err != nil {
		return nil, err
	}
	day := tenant.DayOf(at)
	before := t.Recipients.At(at)
	out := client.Imported{Tenant: string(t.ID), DryRun: q.DryRun, Effective: at, Before: before.Number, Any: list == nil,
		Added: []string{}, Removed: []string{}, Changed: []string{}, Allowed: allowLoss}
	if list != nil {
		d := tenant.Compare(before.List, list, day)
		out.Added, out.Removed, out.Changed = addresses(d.Added, nil), addresses(d.Removed, nil), addresses(d.Changed, nil)
		out.Same, out.Reached, out.Lost = d.Same, d.Reached, d.Lost
		out.Addresses, out.Reaches = list.Len(), list.On(day)
		out.Unchanged = before.List != nil && len(d.Added)+len(d.Removed)+len(d.Changed) == 0
	} else {
		out.Unchanged = before.List == nil && before.Number != 0
	}
	for _, v := range t.Recipients.After(at) {
		out.Later = append(out.Later, v.Number)
	}
	if q.AllowRemoval > 0 {
		out.Allowed = min(q.AllowRemoval, 100)
	}
	out.TooMany = out.Lost > fewPeople && out.Lost*100 > out.Allowed*out.Reached
	if q.DryRun || out.TooMany || out.Unchanged {
		return out, nil
	}
	v := tenant.Version{Tenant: t.ID, Made: now, Effective: at, By: by.Name, Source: source, List: list}
	what := fmt.Sprintf("%d addresses, %d added, %d removed, %d changed", out.Addresses, len(out.Added), len(out.Removed), len(out.Changed))
	if list == nil {
		what = "anybody is reached"
	}
	out.Version, err = a.Lists.AddRecipients(ctx, v, func(number int64) audit.Event {
		return audit.Event{Time: now, Tenant: string(t.ID), Actor: by.Name, Act: act,
			Detail: fmt.Sprintf("version %d from %s on: %s; %s", number, at.In(tenant.Japan).Format("2006-01-02 15:04"), what, detail)}
	})
	if err != nil {
		return nil, err
	}
	if err := a.Relist(ctx); err != nil {
		return nil, fmt.Errorf("version %d is kept, but could not be put in force; it will be at the next start: %w", out.Version, err)
	}
	return out, nil
}

func (a *Admin) recipientsCancel(ctx context.Context, by Account, q client.Request) (any, error) {
	t, err := a.listed(q)
	if err != nil {
		return nil, err
	}
	a.lists.Lock()
	defer a.lists.Unlock()
	now := a.Now()
	ev := audit.Event{Time: now, Tenant: string(t.ID), Actor: by.Name, Act: "recipients-cancelled", Detail: fmt.Sprintf("version %d", q.Version)}
	switch err := a.Lists.WithdrawRecipients(ctx, t.ID, q.Version, now, ev); {
	case errors.Is(err, spool.ErrNotFound):
		return nil, fmt.Errorf("version %d of tenant %s: %w", q.Version, t.ID, spool.ErrNotFound)
	case errors.Is(err, spool.ErrState):
		return nil, fmt.Errorf("version %d of tenant %s took effect already, or was cancelled; roll back to another one: %w", q.Version, t.ID, errUsage)
	case err != nil:
		return nil, err
	}
	if err := a.Relist(ctx); err != nil {
		return nil, fmt.Errorf("version %d is cancelled, but that could not be put in force; it will be at the next start: %w", q.Version, err)
	}
	return client.RecipientVersion{Tenant: string(t.ID), Version: q.Version, Cancelled: true}, nil
}

func (a *Admin) recipientsHistory(ctx context.Context, _ Account, q client.Request) (any, error) {
	t, err := a.tenantNamed(q)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	current := t.Recipients.At(now).Number
	out := []client.RecipientVersion{}
	if err := a.Lists.RecipientVersions(ctx, t.ID, func(v tenant.Version) bool {
		r := client.RecipientVersion{Tenant: string(t.ID), Version: v.Number, Made: v.Made, Effective: v.Effective, By: v.By, Source: v.Source,
			Any: v.List == nil, Cancelled: v.Withdrawn, InForce: t.RecipientsFile == "" && v.Number == current}
		if v.List != nil {
			r.Addresses = v.List.Len()
		}
		out = append(out, r)
		return true
	}); err != nil {
		return nil, err
	}
	return out, nil
}

// recipientsList gives a list whole: the one in force on a day, or a version.
func (a *Admin) recipientsList(ctx context.Context, _ Account, q client.Request) (any, error) {
	t, err := a.tenantNamed(q)
	if err != nil {
		return nil, err
	}
	at := a.Now()
	if q.Date != "" {
		d, ok := tenant.ParseDay(q.Date)
		if !ok {
			return nil, fmt.Errorf("%q is no day such as 2027-04-01: %w", q.Date, errUsage)
		}
		at = d.Begin()
	}
	v := t.Recipients.At(at)
	if q.Version != 0 {
		if v, err = a.oneVersion(ctx, t.ID, q.Version); err != nil {
			return nil, err
		}
	}
	out := client.RecipientList{Tenant: string(t.ID), Version: v.Number, File: t.RecipientsFile, Any: v.List == nil, Lines: []client.Recipient{}}
	if v.Number != 0 {
		out.File = ""
	}
	if v.List == nil {
		return out, nil
	}
	day := tenant.DayOf(at)
	for _, l := range v.List.Lines() {
		out.Lines = append(out.Lines, client.Recipient{Address: l.Address.String(), From: l.From.String(), Until: l.Until.String(), Reached: v.List.Has(l.Address, day)})
	}
	return out, nil
}

// faults are the wire form of what is wrong with a list.
func faults(err error) []client.Fault {
	var fs tenant.Faults
	if !errors.As(err, &fs) {
		return nil
	}
	out := make([]client.Fault, len(fs))
	for i, f := range fs {
		out[i] = client.Fault{Line: f.Line, Code: string(f.Code), Value: f.Value, Text: f.Error()}
	}
	return out
}
