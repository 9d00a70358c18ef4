package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-msgauth/dkim"

	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/internal/dane"
	"sekisho/internal/smtptest"
	"sekisho/internal/tlsrpt"
	"sekisho/spool"
)

// reporting makes a site report as its town, and returns the key's record.
func reporting(t *testing.T, s *stsSite) (record string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.d.Keys = func() []delivery.Key { return []delivery.Key{{Domain: "town.example", Selector: "s", Signer: key}} }
	r := &delivery.Reporter{From: addr("tls@town.example"), Organization: "例示町", Contact: "tls@town.example"}
	s.d.Reports = func() *delivery.Reporter { return r }
	s.d.TLSDays = s.spool.Journal.(delivery.TLSDays)
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
}

// counted is what is kept of a domain.
func (s *stsSite) counted(domain string) []tlsrpt.Counted {
	s.t.Helper()
	days, err := s.d.TLSDays.TLSDays(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var all []tlsrpt.Counted
	for _, b := range days {
		d := tlsrpt.Day{}
		if err := json.Unmarshal(b, &d); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, d[domain]...)
	}
	return all
}

// RFC 8460, 4.3: each way in which TLS comes about or not, by the policy that
// was in force.
func TestSessionsAreCountedByPolicyAndResult(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	good := func() *tls.Config { return ca.server(t, "mx1.b.example", "mx2.b.example", "mta-sts.b.example") }
	old := ca.serverAt(t, time.Now().Add(-48*time.Hour), "mx1.b.example")
	down := at(smtptest.StageGreeting, smtptest.Act{Reply: "421 4.3.2 not now"})
	for _, c := range []struct {
		name       string
		policy     string
		policyCert *tls.Config
		first      *smtptest.Sink
		tlsa       string // of mx1
		want       string // kind good bad: results
	}{
		{"no policy, TLS by a stranger's certificate", "none", good(), &smtptest.Sink{TLS: foreign.server(t, "x.example")}, "", "no-policy-found 1 0"},
		{"no policy, no TLS", "none", good(), &smtptest.Sink{}, "", "no-policy-found 0 1 starttls-not-supported"},
		{"no policy, the handshake fails", "none", good(), &smtptest.Sink{TLS: good(), Script: at(smtptest.StageHandshake, smtptest.Act{Noise: true})}, "", "no-policy-found 0 1 validation-failure"},
		{"enforced, and good", stsPolicy("enforce", "mx1.b.example"), good(), &smtptest.Sink{TLS: good()}, "", "sts 1 0"},
		{"enforced, no TLS", stsPolicy("enforce", "mx1.b.example"), good(), &smtptest.Sink{}, "", "sts 0 1 starttls-not-supported"},
		{"enforced, another's certificate", stsPolicy("enforce", "mx1.b.example"), good(), &smtptest.Sink{TLS: foreign.server(t, "mx1.b.example")}, "", "sts 0 1 certificate-not-trusted"},
		{"enforced, another name", stsPolicy("enforce", "mx1.b.example"), good(), &smtptest.Sink{TLS: ca.server(t, "mx9.b.example")}, "", "sts 0 1 certificate-host-mismatch"},
		{"enforced, it is over", stsPolicy("enforce", "mx1.b.example"), good(), &smtptest.Sink{TLS: old}, "", "sts 0 1 certificate-expired"},
		{"enforced, the server is not in it", stsPolicy("enforce", "mx3.b.example"), good(), &smtptest.Sink{TLS: good()}, "", "sts 0 1 validation-failure"},
		{"testing, another name", stsPolicy("testing", "mx1.b.example"), good(), &smtptest.Sink{TLS: ca.server(t, "mx9.b.example")}, "", "sts 0 1 certificate-host-mismatch"},
		{"testing, the server is not in it", stsPolicy("testing", "mx3.b.example"), good(), &smtptest.Sink{TLS: good()}, "", "sts 0 1 validation-failure"},
		{"no page", "", good(), &smtptest.Sink{TLS: good()}, "", "sts 0 1 sts-policy-fetch-error; no-policy-found 1 0"},
		{"no valid policy", "version: STSv2\n", good(), &smtptest.Sink{TLS: good()}, "", "sts 0 1 sts-policy-invalid; no-policy-found 1 0"},
		{"a page of somebody else", stsPolicy("enforce", "mx1.b.example"), foreign.server(t, "mta-sts.b.example"), &smtptest.Sink{TLS: good()}, "", "sts 0 1 sts-webpki-invalid; no-policy-found 1 0"},
		{"TLSA of another key", "none", good(), &smtptest.Sink{TLS: good()}, "3 1 1 " + strings.Repeat("00", 32), "tlsa 0 1 validation-failure"},
		{"TLSA that cannot be applied", "none", good(), &smtptest.Sink{TLS: good()}, "0 0 1 " + strings.Repeat("00", 32), "tlsa 0 1 tlsa-invalid"},
		{"no answer for TLSA", "none", good(), &smtptest.Sink{TLS: good()}, "fail", "tlsa 0 1 dnssec-invalid"},
		{"a server that takes nobody just now says nothing of TLS", "none", good(), &smtptest.Sink{TLS: good(), Script: down}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSTSSite(t, c.first, &smtptest.Sink{Script: down}, c.policyCert, ca)
			if c.policy == "none" {
				c.policy = "version: STSv1\nmode: none\nmax_age: 100\n"
			}
			s.policy.Store(c.policy)
			reporting(t, s)
			// What is one server's business shows with one server.
			if err := s.dns.Add("b.example. 60 IN TXT x\n"); err != nil {
				t.Fatal(err)
			}
			if c.tlsa != "" {
				if c.tlsa == "fail" {
					s.dns.Fail("_25._tcp.mx1.b.example")
				} else if err := s.dns.Add("_25._tcp.mx1.b.example. 60 IN TLSA " + c.tlsa + "\n"); err != nil {
					t.Fatal(err)
				}
				s.dns.Sign("b.example")
				r := &dane.Resolver{Addr: s.dns.Addr}
				s.d.DANE = func() *dane.Resolver { return r }
			}
			s.run(s.out("b.example"))
			var got []string
			for _, k := range s.counted("b.example") {
				line := fmt.Sprintf("%s %d %d", k.Policy.Type, k.Summary.Good, k.Summary.Bad)
				for _, f := range k.Details {
					if f.Server != "mx2.b.example" {
						line += " " + string(f.Result)
					} else {
						line = strings.Replace(line, fmt.Sprintf(" %d", k.Summary.Bad), fmt.Sprintf(" %d", k.Summary.Bad-f.Count), 1)
					}
					if f.From != "" {
						t.Errorf("it tells %s, an address of the inside", f.From)
					}
				}
				got = append(got, line)
			}
			if g := strings.Join(got, "; "); g != c.want {
				t.Errorf("counted %q, want %q; log:\n%s", g, c.want, s.log)
			}
		})
	}
}

// A report goes on the day after, once, signed, to those who asked and no one
// inside; by what way it can, whatever the policy says; and it counts itself not.
func TestReportsOfTLSGoToWhoAskedForThem(t *testing.T) {
	ca := newAuthority(t)
	web := make(chan []byte, 3)
	page := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Type") == "application/tlsrpt+gzip" {
			web <- b
		}
		w.WriteHeader(http.StatusCreated)
	}))
	// The morning after, whatever the time is now: an hour later is the same day.
	morning := time.Now().UTC().Truncate(24 * time.Hour).Add(30 * time.Hour)
	page.TLS = ca.serverAt(t, morning, "r.b.example")
	page.Config.ErrorLog = log.New(io.Discard, "", 0)
	page.StartTLS()
	t.Cleanup(page.Close)
	s := newSTSSite(t, &smtptest.Sink{}, &smtptest.Sink{}, ca.server(t, "mta-sts.b.example"), ca)
	s.policy.Store(stsPolicy("enforce", "mx1.b.example"))
	record := reporting(t, s)
	s.route["203.0.113.6:443"] = page.Listener.Addr().String()
	if err := s.dns.Add(`
r.b.example. 60 IN A 203.0.113.6
_smtp._tls.b.example. 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@b.example,mailto:soumu@town.example,https://r.b.example/tls"
`); err != nil {
		t.Fatal(err)
	}
	id := s.out("b.example")
	s.run(id)
	if e := s.entry(id); e.State != spool.Queued {
		t.Fatalf("against the policy it is %s", e.State)
	}
	mails := func() (es []spool.Entry) {
		l, err := s.spool.List(t.Context(), spool.Filter{State: spool.Received})
		if err != nil {
			t.Fatal(err)
		}
		// The sender inside is told that his mail is late.
		return slices.DeleteFunc(l, func(e spool.Entry) bool { return !e.TLSReport })
	}
	// Not before the day is over, and not again once it went.
	s.run()
	if n := len(mails()); n != 0 {
		t.Fatalf("%d reports in the middle of the day", n)
	}
	s.later(time.Until(morning))
	stop := s.start()
	s.until("the report is written", func() bool { return len(mails()) > 0 && len(web) > 0 })
	stop()
	s.later(time.Hour)
	stop = s.start()
	time.Sleep(3 * pollOfTests)
	stop()
	es := mails()
	if len(es) != 1 || len(es[0].Envelope.To) != 1 || es[0].Envelope.To[0] != addr("tls@b.example") || !es[0].Envelope.From.IsNull() {
		t.Fatalf("reports: %+v; want one to tls@b.example", es)
	}
	if n := len(web); n != 1 {
		t.Errorf("the page got %d", n)
	}
	// As the pipeline would queue it.
	e := es[0]
	r, err := s.spool.Open(t.Context(), town, e.Original)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		t.Fatal(err)
	}
	sent := s.queue(mail{to: []string{"tls@b.example"}, treatment: envelope.Ours, networks: []envelope.Network{envelope.NetworkInternet}, bytes: string(text), change: func(q *spool.Entry) {
		q.TLSReport, q.Envelope.HeaderFrom = e.TLSReport, e.Envelope.HeaderFrom
	}})
	s.run(sent)
	if got := s.entry(sent); got.State != spool.Done {
		t.Fatalf("the report is %s: %s", got.State, got.Err)
	}
	var arrived []byte
	for _, m := range s.first.Delivered() {
		arrived = m.Data
	}
	vs, err := dkim.VerifyWithOptions(bytes.NewReader(arrived), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }})
	if err != nil || len(vs) != 1 || vs[0].Err != nil || vs[0].Domain != "town.example" {
		t.Errorf("signatures: %+v, %v", vs, err)
	}
	if !bytes.Contains(bytes.ReplaceAll(arrived, []byte("\r\n "), nil), []byte("TLS-Report-Submitter")) {
		t.Errorf("the report has no submitter:\n%s", arrived)
	}
	m, err := message.Read(bytes.NewReader(arrived))
	if err != nil {
		t.Fatal(err)
	}
	if media, params, _ := m.Header.ContentType(); media != "multipart/report" || params["report-type"] != "tlsrpt" {
		t.Errorf("it is %s, %v", media, params)
	}
	var packed []byte
	for parts := m.MultipartReader(); ; {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if media, _, _ := p.Header.ContentType(); media == "application/tlsrpt+gzip" {
			if packed, err = io.ReadAll(p.Body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if on := <-web; !bytes.Equal(packed, on) {
		t.Error("by mail and by the page two reports went")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var rep struct {
		Organization string `json:"organization-name"`
		Policies     []tlsrpt.Counted
	}
	if err := json.NewDecoder(z).Decode(&rep); err != nil {
		t.Fatal(err)
	}
	if rep.Organization != "例示町" || len(rep.Policies) != 1 || rep.Policies[0].Policy.Type != "sts" || rep.Policies[0].Summary.Good != 0 || rep.Policies[0].Summary.Bad == 0 {
		t.Errorf("it says %+v", rep)
	}
	if c := s.counted("b.example"); len(c) != 1 || c[0].Policy.Type != "sts" {
		// The mail that waits was tried again, and that is all.
		t.Errorf("after it %+v is counted", c)
	}
}

// Without a key the report is not sent unsigned, and without a wish none is
// written; what nobody wants is forgotten.
func TestReportsOfTLSAreSignedOrNotSent(t *testing.T) {
	ca := newAuthority(t)
	s := newSTSSite(t, &smtptest.Sink{}, &smtptest.Sink{}, ca.server(t, "mta-sts.b.example"), ca)
	reporting(t, s)
	s.run(s.out("b.example"))
	if len(s.counted("b.example")) == 0 {
		t.Fatal("nothing was counted")
	}
	s.later(30 * time.Hour)
	stop := s.start()
	s.until("the day is forgotten", func() bool { return len(s.counted("b.example")) == 0 })
	stop()
	if l, err := s.spool.List(context.WithoutCancel(t.Context()), spool.Filter{State: spool.Received}); err != nil || len(l) != 0 {
		t.Errorf("%d reports, %v", len(l), err)
	}
	s.d.Keys = nil
	before := len(s.first.Delivered())
	id := s.queue(mail{to: []string{"tls@b.example"}, treatment: envelope.Ours, networks: []envelope.Network{envelope.NetworkInternet}, change: func(q *spool.Entry) { q.TLSReport = true }})
	s.run(id)
	if e := s.entry(id); e.State != spool.Queued || len(s.first.Delivered()) != before {
		t.Errorf("unsigned it is %s", e.State)
	}
}

// pollOfTests is as long as the gateway's upkeep.
const pollOfTests = 200 * time.Millisecond
