package sqlite

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/sanitize"
	"sekisho/spool"
)

func TestFindLooksInJournalAndAudit(t *testing.T) {
	f := fresh(t)
	var ids []envelope.ID
	add := func(tenant envelope.TenantID, at time.Time, from, subject string) {
		id := envelope.NewID(at)
		a, err := envelope.ParseAddress(from)
		if err != nil {
			t.Fatal(err)
		}
		e := spool.Entry{State: spool.Held, Original: blob.Ref{ID: "b"}, Report: &sanitize.Report{Header: []sanitize.Field{{Name: "Subject", Text: subject}}},
			Envelope: envelope.Envelope{ID: id, Tenant: tenant, From: a, To: []envelope.Address{{Local: "soumu", Domain: "town.example"}},
				MessageID: "<" + string(id) + "@x>", Digest: envelope.Digest{byte(len(ids) + 1)}, Received: at}}
		ev := audit.Event{Time: at, Tenant: string(tenant), Actor: "gateway", Act: "sent", ID: string(id), Detail: "to soumu@town.example, hop town-mail"}
		if err := f.Insert(t.Context(), []spool.Entry{e}, []audit.Event{ev}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	add("town", day(0), "old@partner.example", "お知らせ <重要> \"x\" & y")
	add("town", day(10), `a"b\c@partner.example`, "見積書")
	add("village", day(20), "A@partner.example", "見積書の件")
	add("town", day(30), "a@partner.example", "Re: 見積書")
	add("town", day(40), "b@partner.example", "Ｗｅｂ会議のご案内 Über")
	find := func(tenant envelope.TenantID, query string, since time.Time, limit int) string {
		l, err := admin.NewLook(query)
		if err != nil {
			t.Fatal(err)
		}
		l.Since, l.Limit = since, limit
		got, err := f.Find(t.Context(), tenant, l)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, id := range got {
			s = append(s, string(rune('0'+slices.Index(ids, id))))
		}
		return strings.Join(s, "")
	}
	for _, c := range []struct {
		tenant envelope.TenantID
		query  string
		since  time.Time
		limit  int
		want   string
	}{
		{"", "見積書", time.Time{}, 9, "321"},
		{"town", "見積書", time.Time{}, 9, "31"},
		{"village", "見積書", time.Time{}, 9, "2"},
		{"", "見積書", time.Time{}, 2, "32"},
		{"", "見積書", day(15), 9, "32"},
		{"", "a@partner.example", time.Time{}, 9, "32"},
		{"", "@partner.example", time.Time{}, 9, "43210"},
		{"", `a"b\c@partner.example`, time.Time{}, 9, "1"},
		{"", `<重要> "X" &`, time.Time{}, 9, "0"},
		{"", "Ｗｅｂ会議", time.Time{}, 9, "4"},
		{"", "ｗＥｂ会議", time.Time{}, 9, "4"},
		{"", "ÜBER", time.Time{}, 9, "4"},
		{"", "%見%", time.Time{}, 9, ""},
		{"", envelope.Digest{2}.String(), time.Time{}, 9, "1"},
		{"", string(ids[3]) + "@x", time.Time{}, 9, "3"},
	} {
		if got := find(c.tenant, c.query, c.since, c.limit); got != c.want {
			t.Errorf("%s %q since %s: %q, want %q", c.tenant, c.query, c.since, got, c.want)
		}
	}
	// What is purged stands in the audit, and only for its tenant.
	if err := f.do(t.Context(), func(x *tx) error { _, err := x.exec("DELETE FROM entries"); return err }); err != nil {
		t.Fatal(err)
	}
	if got := find("town", "SOUMU@town.example", time.Time{}, 9); got != "4310" {
		t.Errorf("the audit gives %q", got)
	}
	if got := find("", "soumu@town.example", day(15), 9); got != "432" {
		t.Errorf("the audit since day 15 gives %q", got)
	}
	if got := find("town", "@partner.example", time.Time{}, 9); got != "" {
		t.Errorf("the audit does not have senders, and gives %q", got)
	}
	rs, err := f.AuditOf(t.Context(), "town", ids[0])
	if err != nil || len(rs) != 1 || rs[0].Act != "sent" {
		t.Errorf("audit of the first: %v, %v", rs, err)
	}
	if rs, err := f.AuditOf(t.Context(), "village", ids[0]); err != nil || len(rs) != 0 {
		t.Errorf("another tenant reads %v, %v", rs, err)
	}
}
