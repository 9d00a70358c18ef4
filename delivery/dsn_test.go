package delivery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// wishes makes what a sender asked about some recipients.
func wishes(ret, envid string, to ...envelope.RecipientDSN) *envelope.DSN {
	return &envelope.DSN{Return: ret, EnvID: envid, To: to}
}

func wish(a string, n envelope.Notify, orcpt string) envelope.RecipientDSN {
	return envelope.RecipientDSN{To: addr(a), Notify: n, Original: orcpt}
}

// RFC 3461, 5.2.1 and 5.2.2: a server that knows reports gets the wishes as they
// came, one that does not gets none of them.
func TestWishesTravelOnlyWhereTheyAreKnown(t *testing.T) {
	for _, c := range []struct {
		offered bool
		want    []string
	}{
		{true, []string{
			"MAIL FROM:<tanaka@town.example> RET=HDRS ENVID=q+2B1",
			"RCPT TO:<a@town.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;z+2By@town.example",
			"RCPT TO:<b@town.example>",
			"RCPT TO:<c@town.example> NOTIFY=NEVER",
		}},
		{false, []string{"MAIL FROM:<tanaka@town.example>", "RCPT TO:<a@town.example>", "RCPT TO:<b@town.example>", "RCPT TO:<c@town.example>"}},
	} {
		s := startSink(t, &smtptest.Sink{Extensions: []string{"PIPELINING"}})
		if c.offered {
			s.Extensions = append(s.Extensions, "dsn")
		}
		w := local(t, s.Addr())
		id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"a@town.example", "b@town.example", "c@town.example"}, zone: envelope.LGWAN, treatment: envelope.Pass,
			dsn: wishes("HDRS", "q+2B1", wish("a@town.example", envelope.NotifySuccess|envelope.NotifyDelay, "rfc822;z+2By@town.example"), wish("c@town.example", envelope.NotifyNever, ""))})
		w.run(id)
		if got := s.Commands()[1:5]; !slices.Equal(got, c.want) {
			t.Errorf("offered %v: it said\n%q, want\n%q", c.offered, got, c.want)
		}
		es, texts := w.spawned(id)
		if c.offered {
			if len(es) != 0 {
				t.Errorf("%d reports of our own, though the next server reports", len(es))
			}
			continue
		}
		// We are the last who know that a@ asked for a word.
		if len(es) != 1 || es[0].Envelope.To[0] != addr("tanaka@town.example") || !es[0].Envelope.From.IsNull() {
			t.Fatalf("%d reports: %v", len(es), es)
		}
		for _, want := range []string{"report-type=delivery-status", "Auto-Submitted: auto-replied", "Original-Envelope-Id: q+1\r\n", "Original-Recipient: rfc822; z+y@town.example\r\n",
			"Final-Recipient: rfc822; a@town.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n", "text/rfc822-headers"} {
			if !strings.Contains(texts[0], want) {
				t.Errorf("the report has no %q:\n%s", want, texts[0])
			}
		}
		if strings.Contains(texts[0], "b@town") || strings.Contains(texts[0], "c@town") || strings.Contains(texts[0], "\r\n.dot") {
			t.Errorf("the report tells too much:\n%s", texts[0])
		}
		if _, details := w.acts(id); !strings.Contains(strings.Join(details, "\n"), "the sender told in "+string(es[0].Envelope.ID)) {
			t.Errorf("audit %q", details)
		}
	}
}

// What is in the row and not what a command may hold is not sent, seal or not.
func TestWishesThatCouldInjectAreNotSent(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Extensions: []string{"DSN"}})
	w := local(t, s.Addr())
	id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"a@town.example"}, zone: envelope.LGWAN, treatment: envelope.Pass,
		dsn: wishes("FULL\r\nX", "a\r\nRCPT TO:<v@x.example>", wish("a@town.example", 0, "rfc822;a\r\nRCPT TO:<v@x.example>"))})
	w.run(id)
	if got := s.Commands(); !slices.Equal(got[:4], []string{"EHLO mx.town.example", "MAIL FROM:<tanaka@town.example>", "RCPT TO:<a@town.example>", "DATA"}) {
		t.Errorf("it said %q", got)
	}
}

func TestWhoIsToldWhat(t *testing.T) {
	tanaka := "tanaka@town.example"
	const auto = "Subject: x\r\nAuto-Submitted: auto-generated\r\n\r\nx\r\n"
	for _, c := range []struct {
		name      string
		zone      envelope.Zone
		treatment envelope.Treatment
		from      string
		notify    envelope.Notify
		bytes     string
		network   envelope.Network
		relayed   bool // a report when it was sent
		delayed   bool // when it is late
		failed    string
	}{
		{"inside, nothing asked", envelope.LGWAN, envelope.Pass, tanaka, 0, "", 0, false, true, tanaka},
		{"inside, never", envelope.LGWAN, envelope.Pass, tanaka, envelope.NotifyNever, "", 0, false, false, ""},
		{"inside, success", envelope.LGWAN, envelope.Pass, tanaka, envelope.NotifySuccess, "", 0, true, false, ""},
		{"inside, success and failure", envelope.InternetSegment, envelope.Rebuild, tanaka, envelope.NotifySuccess | envelope.NotifyFailure, "", 0, true, false, tanaka},
		{"inside, delay", envelope.LGWAN, envelope.Pass, tanaka, envelope.NotifyDelay, "", 0, false, true, ""},
		{"the internet asks for all", envelope.Internet, envelope.Rebuild, "x@b.example", 7, "", 0, false, false, "postmaster@town.example"},
		{"the internet in our name asks for all", envelope.Internet, envelope.Rebuild, tanaka, 7, "", 0, false, false, "postmaster@town.example"},
		{"a null sender inside asks for all", envelope.LGWAN, envelope.Pass, "", 7, "", 0, false, false, "postmaster@town.example"},
		{"an inner machine in a stranger's name", envelope.LGWAN, envelope.Pass, "victim@gmail.example", 7, "", 0, false, false, "postmaster@town.example"},
		{"a program inside asks for all", envelope.LGWAN, envelope.Pass, tanaka, 7, auto, 0, false, false, "postmaster@town.example"},
		{"our own", envelope.Internet, envelope.Ours, "", 7, "", 0, false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer := "451 4.2.1 not now"
			s := startSink(t, &smtptest.Sink{Script: func(call smtptest.Call) smtptest.Act {
				if call.Stage != smtptest.StageRcpt || call.Address == "good@town.example" {
					return smtptest.Act{}
				}
				return smtptest.Act{Reply: answer}
			}})
			w := newWorld(t, []routing.Hop{{Name: "own", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}}, {Name: "internet", Network: envelope.NetworkInternet, MX: true}},
				[]routing.Route{{Domain: "town.example", Hop: "own"}, {Domain: "*", Hop: "internet"}})
			m := mail{zone: c.zone, treatment: c.treatment, to: []string{"good@town.example", "bad@town.example"}, bytes: c.bytes,
				dsn: wishes("", "id", wish("good@town.example", c.notify, ""), wish("bad@town.example", c.notify, ""))}
			if c.from != "" {
				m.from = addr(c.from)
			}
			id := w.queue(m)
			w.run(id)
			look := func(when, action string, want bool) {
				t.Helper()
				_, texts := w.spawned(id)
				n := 0
				for _, text := range texts {
					if strings.Contains(text, "Action: "+action+"\r\n") {
						n++
					}
				}
				if n > 1 || (n == 1) != want {
					t.Errorf("%s: %d reports that say %s, want one: %v", when, n, action, want)
				}
			}
			look("sent", "relayed", c.relayed)
			w.later(3*time.Hour + 50*time.Minute)
			w.run(id)
			look("before four hours", "delayed", false)
			for range 3 {
				w.later(70 * time.Minute)
				w.run(id)
			}
			look("after four hours and more", "delayed", c.delayed)
			if e := w.entry(id); e.State != spool.Queued || !e.Delayed {
				t.Errorf("%s, the delay is dealt with: %v", e.State, e.Delayed)
			}
			if acts, details := w.acts(id); slices.Contains(acts, "delayed") != c.delayed {
				t.Errorf("audit %v %q", acts, details)
			}
			w.later(5 * 24 * time.Hour)
			w.run(id)
			look("in the end", "delayed", c.delayed)
			look("in the end", "relayed", c.relayed)
			look("in the end", "failed", c.failed == tanaka)
			es, _ := w.spawned(id)
			told := ""
			if len(es) > 0 {
				told = es[len(es)-1].Envelope.To[0].String()
			}
			if c.failed != "" && told != c.failed {
				t.Errorf("of the failure %q was told, want %q", told, c.failed)
			}
			for _, e := range es {
				if a := e.Envelope.To[0]; a.Domain != "town.example" {
					t.Errorf("%s was written to", a)
				}
			}
			if e := w.entry(id); e.State != spool.Done {
				t.Errorf("in the end it is %s", e.State)
			}
		})
	}
}
