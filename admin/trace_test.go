package admin_test

import (
	"strings"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/envelope"
	"sekisho/sanitize"
	"sekisho/spool"
)

func TestWhatIsLookedForIsUnderstood(t *testing.T) {
	id := string(envelope.NewID(time.Now()))
	hash := strings.Repeat("aB", 32)
	for query, want := range map[string]admin.Look{
		id:                             {By: admin.ByID, Text: id},
		" " + strings.ToUpper(id):      {By: admin.ByID, Text: id},
		"<x.1@partner.example>":        {By: admin.ByMail, Text: "x.1@partner.example"},
		"soumu@town.example.lg.jp":     {By: admin.ByMail, Text: "soumu@town.example.lg.jp"},
		"@partner.example":             {By: admin.ByMail, Text: "@partner.example"},
		hash:                           {By: admin.ByHash, Text: strings.ToLower(hash)},
		"見積":                           {By: admin.BySubject, Text: "見積"},
		"見積書":                          {By: admin.BySubject, Text: "見積書"},
		"mail to a@b.example as asked": {By: admin.BySubject, Text: "mail to a@b.example as asked"},
		hash[:62] + "xy":               {By: admin.BySubject, Text: hash[:62] + "xy"},
	} {
		got, err := admin.NewLook(query)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{"", "ab", "  ab  ", "見", "aé", strings.Repeat("x", 999)} {
		if _, err := admin.NewLook(query); err == nil {
			t.Errorf("%q: no error", query)
		}
	}
}

func TestALookMatchesWhatItSays(t *testing.T) {
	e := spool.Entry{Envelope: envelope.Envelope{
		ID: envelope.NewID(time.Now()), From: envelope.Address{Local: "A..b", Domain: "docomo.ne.jp"},
		To:        []envelope.Address{{Local: "soumu", Domain: "town.example"}, {Local: "zeimu", Domain: "town.example"}},
		MessageID: "<Q.1@partner.example>", Subject: "=?utf-8?q?raw?=", Digest: envelope.Digest{1},
	}, Report: &sanitize.Report{
		Header: []sanitize.Field{{Name: "Subject", Text: "令和８年度 ABC"}, {Name: "From", Mailboxes: []sanitize.Mailbox{{Name: "田中", Address: "tanaka@vendor.example"}}}},
		Parts:  []sanitize.Part{{In: sanitize.Digest{2}, Out: sanitize.Digest{3}}},
	}}
	for query, want := range map[string]bool{
		string(e.Envelope.ID): true, string(envelope.NewID(time.Now())): false,
		"<q.1@PARTNER.example>": true, "q.1@partner.example": true, "1@partner.example": false,
		"a..b@docomo.ne.jp": true, "@docomo.ne.jp": true, "@ne.jp": false,
		"Zeimu@town.example": true, "@town.example": true, "mu@town.example": false,
		"tanaka@vendor.example":    true,
		e.Envelope.Digest.String(): true, envelope.Digest{2}.String(): true, envelope.Digest{3}.String(): true, envelope.Digest{4}.String(): false,
		"８年度 abc": true, "８年度abc": false, "raw": false,
	} {
		l, err := admin.NewLook(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Matches(&e); got != want {
			t.Errorf("%q: %v", query, got)
		}
	}
	if (admin.Look{Text: "x"}).Matches(&e) {
		t.Error("the zero look matches")
	}
	// A mail that no worker has read has the subject as it came.
	e.Report = nil
	if l, _ := admin.NewLook("raw"); !l.Matches(&e) {
		t.Error("the subject as it came is not found")
	}
}
