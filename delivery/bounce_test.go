package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/policy"
	"sekisho/routing"
	"sekisho/spool"
)

const body = "the-body-of-the-mail"

func TestWhoIsToldOfAFailure(t *testing.T) {
	const mailText = "From: t@town.example\r\nSubject: secret\r\nMessage-ID: <1@b.example>\r\n%s\r\n" + body + "\r\n"
	tanaka, admins := "tanaka@town.example", "postmaster@town.example"
	for _, c := range []struct {
		name      string
		zone      envelope.Zone
		treatment envelope.Treatment
		from      string
		field     string
		told      string // "" nobody
	}{
		{"from the internet", envelope.Internet, envelope.Rebuild, "x@b.example", "", admins},
		{"from the internet in our name", envelope.Internet, envelope.Rebuild, tanaka, "", admins},
		{"a bounce from the internet", envelope.Internet, envelope.Rebuild, "", "", admins},
		{"from zone lgwan", envelope.LGWAN, envelope.Pass, tanaka, "", tanaka},
		{"from the internet segment", envelope.InternetSegment, envelope.Rebuild, tanaka, "", tanaka},
		{"from another body of LGWAN", envelope.LGWAN, envelope.Pass, "s@city.lg.example", "", "s@city.lg.example"},
		{"a bounce from inside", envelope.LGWAN, envelope.Pass, "", "", admins},
		{"a program inside", envelope.LGWAN, envelope.Pass, tanaka, "Auto-Submitted: auto-generated\r\n", admins},
		{"an inner machine in an outsider's name", envelope.InternetSegment, envelope.Rebuild, "victim@gmail.example", "", admins},
		{"our own", envelope.Internet, envelope.Ours, "", "Auto-Submitted: auto-replied\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSink(t, &smtptest.Sink{Script: at(smtptest.StageRcpt, smtptest.Act{Reply: "550 5.1.1 no such user"})})
			w := newWorld(t, []routing.Hop{
				{Name: "own", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}},
				{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{closedPort(t)}},
				{Name: "internet", Network: envelope.NetworkInternet, MX: true},
			}, []routing.Route{{Domain: "town.example", Hop: "own"}, {Domain: "lg.example", Subdomains: true, Hop: "lgwan"}, {Domain: "*", Hop: "internet"}})
			m := mail{zone: c.zone, treatment: c.treatment, to: []string{"nobody@town.example"}, bytes: fmt.Sprintf(mailText, c.field)}
			if c.from != "" {
				m.from = addr(c.from)
			}
			id := w.queue(m)
			w.run(id)
			if e := w.entry(id); e.State != spool.Done {
				t.Fatalf("%s %s", e.State, e.Err)
			}
			es, texts := w.spawned(id)
			if c.told == "" {
				if len(es) != 0 {
					t.Fatalf("told %v", es[0].Envelope.To)
				}
				return
			}
			if len(es) != 1 {
				t.Fatalf("%d mails of our own, want 1", len(es))
			}
			if !slices.Equal(es[0].Envelope.To, []envelope.Address{addr(c.told)}) || !es[0].Envelope.From.IsNull() || es[0].State != spool.Received {
				t.Errorf("to %v from %q in %s, want to %s from <> in Received", es[0].Envelope.To, es[0].Envelope.From, es[0].State, c.told)
			}
			if report := strings.Contains(texts[0], "multipart/report"); report != (c.told != admins) {
				t.Errorf("a report: %v\n%s", report, texts[0])
			}
			if strings.Contains(texts[0], body) {
				t.Error("the body went back")
			}
			if acts, details := w.acts(id); !slices.Equal(acts, []string{"bounced"}) || !strings.Contains(details[0], "told in "+string(es[0].Envelope.ID)) {
				t.Errorf("audit %v %v", acts, details)
			}
		})
	}
}

func TestNoticesToAdministratorsAreBounded(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: at(smtptest.StageRcpt, smtptest.Act{Reply: "550 5.1.1 no such user"})})
	w := local(t, s.Addr())
	var ids []envelope.ID
	for i := range 12 {
		ids = append(ids, w.queue(mail{from: addr("x@b.example"), to: []string{fmt.Sprintf("n%d@town.example", i)}}))
	}
	w.run(ids...)
	w.until("each is settled", func() bool {
		return !slices.ContainsFunc(ids, func(id envelope.ID) bool { return w.entry(id).State != spool.Done })
	})
	n := 0
	for _, id := range ids {
		es, _ := w.spawned(id)
		n += len(es)
	}
	if n != 5 {
		t.Fatalf("%d notices at once, want 5", n)
	}
	stop := w.start()
	defer stop()
	w.later(61 * time.Minute)
	w.until("the rest comes in one", func() bool {
		es, _ := w.spawned("")
		return len(es) == 1
	})
}

func TestGivingUpTellsOnceAndOnlyOfWhatIsLeft(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageRcpt && c.Address == "later@town.example" {
			return smtptest.Act{Reply: "451 4.3.0 not now"}
		}
		return smtptest.Act{}
	}})
	w := local(t, s.Addr())
	id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"ok@town.example", "later@town.example"}, zone: envelope.LGWAN, treatment: envelope.Pass})
	w.run(id)
	w.later(5*24*time.Hour + time.Minute)
	w.run(id)
	e := w.entry(id)
	es, texts := w.spawned(id)
	if e.State != spool.Done || len(es) != 1 {
		t.Fatalf("%s, %d reports", e.State, len(es))
	}
	if strings.Contains(texts[0], "rfc822; ok@") || !strings.Contains(texts[0], "rfc822; later@town.example") || !strings.Contains(texts[0], "451 4.3.0 not now") {
		t.Errorf("the report says:\n%s", texts[0])
	}
	if len(s.Delivered()) != 1 {
		t.Errorf("%d arrived", len(s.Delivered()))
	}
}

// One that was held for a week has not been tried for a week.
func TestLifeBeginsAtTheRelease(t *testing.T) {
	w := local(t, closedPort(t))
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, change: func(e *spool.Entry) {
		e.Envelope.Received = e.Envelope.Received.Add(-10 * 24 * time.Hour)
		e.Release = &policy.Release{By: "officer", Reason: "asked for", At: time.Now()}
	}})
	w.run(id)
	if e := w.entry(id); e.State != spool.Queued {
		t.Errorf("%s %s", e.State, e.Err)
	}
}
