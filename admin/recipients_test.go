package admin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/tenant"
)

// listDesk is a desk whose lists take effect, and whose clock is set.
func listDesk(t *testing.T, ids ...string) (*desk, *time.Time) {
	t.Helper()
	d := newDesk(t, os.Getuid())
	now := time.Date(2027, 3, 1, 3, 0, 0, 0, time.UTC)
	var ts []tenant.Tenant
	for _, id := range ids {
		ts = append(ts, tenant.Tenant{ID: envelope.TenantID(id), Domains: []string{id + ".example"}, Profile: "default"})
	}
	named, err := tenant.New(ts)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	current := named
	d.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	d.Tenants = func() *tenant.Directory { mu.Lock(); defer mu.Unlock(); return current }
	d.Lists = d.store
	d.Relist = func(ctx context.Context) error {
		lists, err := d.store.Recipients(ctx, d.Now())
		mu.Lock()
		defer mu.Unlock()
		current = named.With(lists)
		return err
	}
	return d, &now
}

func (d *desk) importList(t *testing.T, q client.Request, lines ...string) (client.Imported, error) {
	t.Helper()
	q.Name, q.Data = "staff.csv", []byte(strings.Join(lines, "\n")+"\n")
	var out client.Imported
	err := d.call(t, "recipients.import", q, &out)
	return out, err
}

func TestForeignTenantsAndMissingOnesAreTheSame(t *testing.T) {
	d, _ := listDesk(t, "town")
	if _, err := d.importList(t, client.Request{}, "address", "a@town.example"); err != nil {
		t.Fatal(err)
	}
	for _, act := range []string{"tenant.list", "tenant.show", "recipients.list", "recipients.history", "recipients.import", "recipients.rollback", "recipients.cancel"} {
		err := d.call(t, act, client.Request{Tenant: "village", Version: 1}, nil)
		if !errors.Is(err, client.ErrNotFound) || err.Error() != "tenant village: not found" {
			t.Errorf("%s of a tenant that is not there: %v", act, err)
		}
	}
	// Where two are, somebody must say which, and sees the one only.
	d, _ = listDesk(t, "town", "village")
	for _, act := range []string{"tenant.show", "recipients.list", "recipients.import"} {
		if err := d.call(t, act, client.Request{}, nil); !errors.Is(err, client.ErrUsage) || !strings.Contains(err.Error(), "--tenant") {
			t.Errorf("%s without a tenant: %v", act, err)
		}
	}
	if _, err := d.importList(t, client.Request{Tenant: "town"}, "address", "a@town.example"); err != nil {
		t.Fatal(err)
	}
	var vs []client.RecipientVersion
	if err := d.call(t, "recipients.history", client.Request{Tenant: "village"}, &vs); err != nil || len(vs) != 0 {
		t.Errorf("village sees %v, %v", vs, err)
	}
	if err := d.call(t, "recipients.rollback", client.Request{Tenant: "village", Version: 1}, nil); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("village takes up town's list: %v", err)
	}
	var ts []client.Tenant
	if err := d.call(t, "tenant.list", client.Request{Tenant: "village"}, &ts); err != nil || len(ts) != 1 || ts[0].Recipients != "any" {
		t.Errorf("tenant list of one: %v, %v", ts, err)
	}
}

func TestAListThatLosesManyIsRefusedUntilSaid(t *testing.T) {
	d, _ := listDesk(t, "town")
	lines := []string{"address"}
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("p%02d@town.example", i))
	}
	if out, err := d.importList(t, client.Request{}, lines...); err != nil || out.Version != 1 || len(out.Added) != 20 || out.TooMany {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, c := range []struct {
		keep, allow int
		refused     bool
	}{{16, 0, false}, {15, 0, true}, {15, 24, true}, {15, 25, false}, {1, 100, false}} {
		out, err := d.importList(t, client.Request{AllowRemoval: c.allow, DryRun: true}, lines[:c.keep+1]...)
		if err != nil || out.TooMany != c.refused || out.Lost != 20-c.keep || out.Reached != 20 {
			t.Errorf("%d of 20 stay, %d %% may go: %+v, %v", c.keep, c.allow, out, err)
		}
	}
	// A date in the past ends people like a missing line does.
	old := []string{"address,until"}
	for _, l := range lines[1:] {
		old = append(old, l+",2027-02-28")
	}
	out, err := d.importList(t, client.Request{}, old...)
	if err != nil || !out.TooMany || out.Lost != 20 || len(out.Changed) != 20 || out.Version != 0 {
		t.Errorf("all ended yesterday: %+v, %v", out, err)
	}
	// The same on a small body is no question.
	d, _ = listDesk(t, "hamlet")
	if _, err := d.importList(t, client.Request{}, "address", "a@hamlet.example", "b@hamlet.example", "c@hamlet.example"); err != nil {
		t.Fatal(err)
	}
	if out, err := d.importList(t, client.Request{}, "address", "a@hamlet.example"); err != nil || out.TooMany || out.Version != 2 {
		t.Errorf("three become one: %+v, %v", out, err)
	}
}

func TestADatedListWaitsForItsDayAndIsCancelledUntilThen(t *testing.T) {
	d, now := listDesk(t, "town")
	if _, err := d.importList(t, client.Request{}, "address", "a@town.example"); err != nil {
		t.Fatal(err)
	}
	out, err := d.importList(t, client.Request{Date: "令和9年4月1日"}, "address", "a@town.example", "b@town.example")
	if err != nil || out.Version != 2 || out.Before != 1 || len(out.Added) != 1 || !out.Effective.Equal(time.Date(2027, 3, 31, 15, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v, %v", out, err)
	}
	b := envelope.Address{Local: "b", Domain: "town.example"}
	town := func() *tenant.Tenant { x, _ := d.Tenants().Get("town"); return x }
	if town().Has(b, out.Effective.Add(-time.Second)) || !town().Has(b, out.Effective) {
		t.Error("b is reached before the day, or not on it")
	}
	// What is compared with is what will be in force then.
	if again, err := d.importList(t, client.Request{Date: "2027-05-01"}, "address", "a@town.example", "b@town.example"); err != nil || !again.Unchanged || again.Version != 0 {
		t.Errorf("the same list for later: %+v, %v", again, err)
	}
	if _, err := d.importList(t, client.Request{Date: "2027-02-28"}, "address", "a@town.example"); !errors.Is(err, client.ErrUsage) {
		t.Errorf("a day that is over: %v", err)
	}
	*now = out.Effective
	if err := d.call(t, "recipients.cancel", client.Request{Version: 2}, nil); !errors.Is(err, client.ErrUsage) || !strings.Contains(err.Error(), "took effect already") {
		t.Errorf("cancelled on its day: %v", err)
	}
	var vs []client.RecipientVersion
	if err := d.call(t, "recipients.history", client.Request{}, &vs); err != nil || len(vs) != 2 || !vs[0].InForce || vs[1].InForce {
		t.Errorf("history %+v, %v", vs, err)
	}
}

func TestFaultsTravelWithTheirLines(t *testing.T) {
	d, _ := listDesk(t, "town")
	_, err := d.importList(t, client.Request{}, "address", "a@town.example", "x", "b@elsewhere.example")
	var e *client.Error
	if !errors.As(err, &e) || !errors.Is(err, client.ErrUsage) || len(e.Faults) != 2 || e.Faults[0].Line != 3 || e.Faults[1].Code != "domain" {
		t.Errorf("%+v", err)
	}
	if town, _ := d.Tenants().Get("town"); town.Recipients != nil {
		t.Error("half a list was taken")
	}
}

// leaving is a caller who goes away while his list is being kept.
type leaving struct {
	admin.Lists
	leave func()
}

func (l leaving) AddRecipients(ctx context.Context, v tenant.Version, event func(int64) audit.Event) (int64, error) {
	n, err := l.Lists.AddRecipients(ctx, v, event)
	l.leave()
	select {
	case <-ctx.Done():
	case <-time.After(300 * time.Millisecond): // longer than the server takes to see it
	}
	return n, err
}

func TestAListThatIsKeptIsInForceAlsoWhenNobodyWaits(t *testing.T) {
	d, _ := listDesk(t, "town")
	ctx, cancel := context.WithCancel(t.Context())
	d.Lists = leaving{d.store, cancel}
	done := make(chan error, 1)
	relist := d.Relist
	d.Relist = func(ctx context.Context) error {
		err := relist(ctx)
		done <- err
		return err
	}
	err := client.New(d.socket).Call(ctx, "recipients.import", client.Request{Name: "staff.csv", Data: []byte("address\na@town.example\n")}, nil)
	if err == nil {
		t.Fatal("the caller has not gone away")
	}
	if err := <-done; err != nil {
		t.Errorf("put in force: %v", err)
	}
	if town, _ := d.Tenants().Get("town"); town.Recipients.At(d.Now()).Number != 1 {
		t.Error("the list is kept and not in force")
	}
}
