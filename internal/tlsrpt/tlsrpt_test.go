package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRecordsThatAskForReports(t *testing.T) {
	for _, c := range []struct {
		txts        []string
		mail, pages string
	}{
		{[]string{"v=TLSRPTv1; rua=mailto:tls@b.example"}, "tls@b.example", ""},
		{[]string{"other", "v=TLSRPTv1;rua=mailto:tls@b.example,https://b.example/r?x=1 ; x=y"}, "tls@b.example", "https://b.example/r?x=1"},
		{[]string{"v=TLSRPTv1; rua=mailto:t%2Cls@b.example?subject=x"}, "t,ls@b.example", ""},
		{[]string{"v=TLSRPTv1; rua=http://b.example/,ftp://b.example/,https://b.example:25/,https://u:p@b.example/,https:///x"}, "", ""},
		{[]string{"v=TLSRPTv1; rua=https://b.example:443/r"}, "", "https://b.example:443/r"},
		{[]string{"v=TLSRPTv1; rua=mailto:a@b,mailto:b@b,mailto:c@b,mailto:d@b,mailto:e@b,mailto:f@b,https://b.example/"}, "a@b b@b c@b d@b e@b", ""},
		{[]string{"v=TLSRPTv1; rua=mailto:a@b", "v=TLSRPTv1; rua=mailto:c@b"}, "", ""},
		{[]string{"v=TLSRPTv1; rua=mailto:a@b; rua=mailto:c@b"}, "a@b", ""},
		{[]string{"v=TLSRPTv2; rua=mailto:a@b", "v=TLSRPTv1"}, "", ""},
		{[]string{"v=TLSRPTv1; rua="}, "", ""},
		{nil, "", ""},
	} {
		m, p := Receivers(c.txts)
		if strings.Join(m, " ") != c.mail || strings.Join(p, " ") != c.pages {
			t.Errorf("%q: %q and %q, want %q and %q", c.txts, m, p, c.mail, c.pages)
		}
	}
}

func TestCountsComeTogetherByPolicyAndKind(t *testing.T) {
	sts := Policy{Type: "sts", Text: []string{"version: STSv1", "mode: testing"}, Domain: "b.example", MX: []string{"*.b.example"}}
	none := Policy{Type: "no-policy-found", Domain: "b.example"}
	d := Day{}
	for range 3 {
		d.Add("b.example", Session{Policy: sts, Server: "mx1.b.example"})
	}
	for _, to := range []string{"203.0.113.1", "203.0.113.1", "203.0.113.2"} {
		d.Add("b.example", Session{Policy: sts, Result: Expired, Server: "mx1.b.example", To: to})
	}
	d.Add("b.example", Session{Policy: none, Result: NoTLS})
	// It is kept and read again, as over a restart.
	kept, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	again := Day{}
	if err := json.Unmarshal(kept, &again); err != nil || !reflect.DeepEqual(again, d) {
		t.Fatalf("kept and read again it is\n%v, %v\nwant\n%v", again, err, d)
	}
	r := Report{Organization: "例示町", Contact: "tls@town.example", ID: "1", Begin: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), Policies: d["b.example"]}
	packed, err := r.Pack()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.NewDecoder(z).Decode(&got); err != nil {
		t.Fatal(err)
	}
	// By the form of RFC 8460, appendix B.
	const form = `{"organization-name": "例示町", "date-range": {"start-datetime": "2026-11-25T00:00:00Z", "end-datetime": "2026-11-25T23:59:59Z"},
		"contact-info": "tls@town.example", "report-id": "1", "policies": [
		{"policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing"], "policy-domain": "b.example", "mx-host": ["*.b.example"]},
		 "summary": {"total-successful-session-count": 3, "total-failure-session-count": 3},
		 "failure-details": [
			{"result-type": "certificate-expired", "receiving-mx-hostname": "mx1.b.example", "receiving-ip": "203.0.113.1", "failed-session-count": 2},
			{"result-type": "certificate-expired", "receiving-mx-hostname": "mx1.b.example", "receiving-ip": "203.0.113.2", "failed-session-count": 1}]},
		{"policy": {"policy-type": "no-policy-found", "policy-domain": "b.example"},
		 "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
		 "failure-details": [{"result-type": "starttls-not-supported", "failed-session-count": 1}]}]}`
	if err := json.Unmarshal([]byte(form), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the report is\n%v\nwant\n%v", got, want)
	}
	if name := r.Name("mx.town.example", "b.example"); name != "mx.town.example!b.example!1795564800!1795651199.json.gz" {
		t.Errorf("its file is called %s", name)
	}
}

func TestCountsOfADayAreBounded(t *testing.T) {
	d := Day{}
	for i := range maxDomains + 10 {
		d.Add(fmt.Sprint(i), Session{})
	}
	for i := range maxPolicies + 10 {
		d.Add("1", Session{Policy: Policy{Text: []string{fmt.Sprint(i)}}})
	}
	for i := range maxDetails + 10 {
		d.Add("2", Session{Result: Failed, To: fmt.Sprint(i)})
	}
	c := d["2"][0]
	if len(d) != maxDomains || len(d["1"]) != maxPolicies || len(c.Details) != maxDetails || c.Summary.Bad != maxDetails+10 {
		t.Errorf("%d domains, %d policies, %d details of %d failures", len(d), len(d["1"]), len(c.Details), c.Summary.Bad)
	}
}

// FuzzReceivers: nothing but a mail address or a page on port 443 comes out, and
// few of them.
func FuzzReceivers(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:tls@b.example,https://b.example/r")
	f.Add("v=TLSRPTv1;rua=https://[::1]:443/,mailto:%00,mailto:a%")
	f.Fuzz(func(t *testing.T, s string) {
		m, p := Receivers([]string{s})
		if len(m)+len(p) > maxReceivers {
			t.Errorf("%d receivers", len(m)+len(p))
		}
		for _, u := range p {
			if !strings.HasPrefix(u, "https://") {
				t.Errorf("%q is no page", u)
			}
		}
	})
}
