package sqlite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
	"sekisho/tenant"
)

var _ admin.Lists = (*Store)(nil)

func people(names ...string) *tenant.List {
	var ls []tenant.Line
	for _, n := range names {
		ls = append(ls, tenant.Line{Address: envelope.Address{Local: n, Domain: "town.example"}})
	}
	return tenant.NewList(ls)
}

// put keeps a list and returns its number.
func (f *fixture) put(t *testing.T, id envelope.TenantID, made, effective time.Time, l *tenant.List) int64 {
	t.Helper()
	n, err := f.AddRecipients(t.Context(), tenant.Version{Tenant: id, Made: made, Effective: effective, By: "hanako", Source: "staff.csv", List: l},
		func(n int64) audit.Event {
			return audit.Event{Tenant: string(id), Actor: "hanako", Act: "recipients-imported", Detail: string(rune('0' + n%10))}
		})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fixture) inForce(t *testing.T, id envelope.TenantID, at time.Time) tenant.Version {
	t.Helper()
	all, err := f.Recipients(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	return all[id].At(at)
}

func TestListsOfTenantsAreNumberedApartAndComeBack(t *testing.T) {
	f := fresh(t)
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	if a, b := f.put(t, "town", start, start, people("a")), f.put(t, "village", start, start, people("x")); a != 1 || b != 1 {
		t.Errorf("first versions are %d and %d", a, b)
	}
	f.put(t, "town", start, day(5), people("b"))
	f.put(t, "town", start, start, nil)
	for at, want := range map[int]struct {
		number int64
		people string
	}{0: {3, ""}, 4: {3, ""}, 5: {2, "b@town.example"}} {
		v := f.inForce(t, "town", day(at))
		got := ""
		if v.List != nil {
			got = v.List.Lines()[0].Address.String()
		}
		if v.Number != want.number || got != want.people || v.By != "hanako" || v.Source != "staff.csv" {
			t.Errorf("on day %d: version %d with %q", at, v.Number, got)
		}
	}
	if v := f.inForce(t, "village", day(9)); v.Number != 1 || v.List.Len() != 1 {
		t.Errorf("village has %+v", v)
	}
	// The newest comes first, and reading ends when asked to.
	var seen []int64
	if err := f.RecipientVersions(t.Context(), "town", func(v tenant.Version) bool {
		seen = append(seen, v.Number)
		return v.Number != 2
	}); err != nil || len(seen) != 2 || seen[0] != 3 {
		t.Errorf("read %v, %v", seen, err)
	}
}

func TestAListIsAuditedInTheSameTransaction(t *testing.T) {
	f := fresh(t)
	f.put(t, "town", start, start.AddDate(0, 0, 1), people("a"))
	ev := audit.Event{Tenant: "town", Actor: "hanako", Act: "recipients-cancelled"}
	if err := f.WithdrawRecipients(t.Context(), "town", 1, start, ev); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id     envelope.TenantID
		number int64
		want   error
	}{"cancelled already": {"town", 1, spool.ErrState}, "not there": {"town", 2, spool.ErrNotFound}, "another tenant's": {"village", 1, spool.ErrNotFound}} {
		if err := f.WithdrawRecipients(t.Context(), c.id, c.number, start, ev); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.put(t, "town", start, start, people("b"))
	if err := f.WithdrawRecipients(t.Context(), "town", 2, start, ev); !errors.Is(err, spool.ErrState) {
		t.Errorf("cancelling what is in force: %v", err)
	}
	rs, err := f.Audit(t.Context(), "town", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, r := range rs {
		acts = append(acts, r.Act+" "+r.Detail)
	}
	if got := strings.Join(acts, ", "); got != "recipients-imported 1, recipients-cancelled , recipients-imported 2" {
		t.Errorf("the audit has %s", got)
	}
	if v := f.inForce(t, "town", start.AddDate(1, 0, 0)); v.Number != 2 {
		t.Errorf("version %d counts, the cancelled one must not", v.Number)
	}
}

func TestAListChangedByOtherHandsGivesWayToTheOneBefore(t *testing.T) {
	for column, change := range map[string]string{
		"the list":       "list = CAST(replace(CAST(list AS TEXT), '@', 'm@') AS BLOB)",
		"its beginning":  "effective = effective + 1",
		"its cancelling": "withdrawn = 1",
		"its author":     "by = 'taro'",
	} {
		f := fresh(t)
		f.put(t, "town", start, start, people("a"))
		f.put(t, "town", start, start, people("b"))
		if err := f.do(t.Context(), func(tx *tx) error {
			_, err := tx.exec("UPDATE recipient_lists SET " + change + " WHERE version = 2")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if v := f.inForce(t, "town", start); v.Number != 1 || f.alarmed() != 1 {
			t.Errorf("%s: version %d counts, %d alarms", column, v.Number, f.alarmed())
		}
		// When no version is left that is ours, nobody is accepted for one that
		// is not.
		f.vandal(t, "UPDATE recipient_lists SET "+change)
		all, err := f.Recipients(t.Context(), start)
		if err != nil {
			t.Fatal(err)
		}
		if r := all["town"]; r == nil || !r.Unknown(start) || r.Has(envelope.Address{Local: "bm", Domain: "town.example"}, start) {
			t.Errorf("%s of all versions: somebody is accepted", column)
		}
		// The next list is ours again.
		f.put(t, "town", start, start, people("c"))
		if v := f.inForce(t, "town", start); v.Number != 3 {
			t.Errorf("%s: version %d counts after a new import", column, v.Number)
		}
	}
}

func TestOldVersionsGoButNeverTheOneInForce(t *testing.T) {
	f := fresh(t)
	f.put(t, "town", start, start.AddDate(0, 0, -1), people("old"))
	f.put(t, "town", start, start.AddDate(0, 0, -1), people("in", "force"))
	for i := range keptVersions + 10 {
		f.put(t, "town", start, start.AddDate(0, 1, i), people("later"))
	}
	if v := f.inForce(t, "town", start); v.Number != 2 {
		t.Errorf("version %d is in force", v.Number)
	}
	n := 0
	if err := f.RecipientVersions(t.Context(), "town", func(tenant.Version) bool { n++; return true }); err != nil || n != keptVersions+12 {
		t.Errorf("%d versions, %v: what is in force or to come must stay", n, err)
	}
	for i := range keptVersions + 10 {
		f.put(t, "town", start.AddDate(2, 0, i), start.AddDate(2, 0, i), people("daily"))
	}
	n = 0
	if err := f.RecipientVersions(t.Context(), "town", func(tenant.Version) bool { n++; return true }); err != nil || n != keptVersions {
		t.Errorf("%d versions stay, %v, want %d", n, err, keptVersions)
	}
}
