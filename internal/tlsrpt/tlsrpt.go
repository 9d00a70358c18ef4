// Package tlsrpt counts how TLS went with the mail servers of other domains, and
// makes of a day's counts the report that a domain may ask for (RFC 8460). It
// reads the record in which a domain asks, too. It looks nothing up and sends
// nothing: what is counted, who asked and where a report goes is for package
// delivery.
//
// The names in it are written by strangers, so each list has a bound; what no
// longer fits is counted in the sums and loses its details.
package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// maxDomains bounds the domains of one day: a town writes to some hundred,
	// and an inner machine that writes to everybody must not fill the memory.
	maxDomains = 2000
	// maxPolicies bounds the policies of one domain in one day: one more for each
	// time it changes what it publishes, and one for each server with TLSA records.
	maxPolicies = 20
	// maxDetails bounds the kinds of failure told of one policy.
	maxDetails = 100
	// maxReceivers bounds where one domain's report is sent: a record must not
	// make us write to a list of people.
	maxReceivers = 5
)

// Result is what became of TLS in one session: "" when it came about, else a
// word of RFC 8460, 4.3.
type Result string

// The results.
const (
	Success       Result = ""
	NoTLS         Result = "starttls-not-supported"
	WrongName     Result = "certificate-host-mismatch"
	Expired       Result = "certificate-expired"
	NotTrusted    Result = "certificate-not-trusted"
	Failed        Result = "validation-failure"
	TLSAInvalid   Result = "tlsa-invalid"
	DNSSECInvalid Result = "dnssec-invalid"
	PolicyFetch   Result = "sts-policy-fetch-error"
	PolicyInvalid Result = "sts-policy-invalid"
	PolicyWebPKI  Result = "sts-webpki-invalid"
)

// Policy is what a session was measured by. RFC 8460, 4.4.
type Policy struct {
	Type   string   `json:"policy-type"` // tlsa, sts, no-policy-found
	Text   []string `json:"policy-string,omitempty"`
	Domain string   `json:"policy-domain"`
	MX     []string `json:"mx-host,omitempty"`
}

// Session is one connection to a server of a domain, or one that came not about
// because of its policy.
type Session struct {
	Policy Policy
	Result Result
	From   string // our address, where the internet sees it; else ""
	Server string // the name of the MX
	To     string // its address
	Reason string // in a word, for the server's keeper; "" when Result says it all
}

// Counted is what is told of the sessions under one policy.
type Counted struct {
	Policy  Policy `json:"policy"`
	Summary struct {
		Good int64 `json:"total-successful-session-count"`
		Bad  int64 `json:"total-failure-session-count"`
	} `json:"summary"`
	Details []Detail `json:"failure-details,omitempty"`
}

// Detail counts failures of one kind.
type Detail struct {
	Result Result `json:"result-type"`
	From   string `json:"sending-mta-ip,omitempty"`
	Server string `json:"receiving-mx-hostname,omitempty"`
	To     string `json:"receiving-ip,omitempty"`
	Count  int64  `json:"failed-session-count"`
	Reason string `json:"failure-reason-code,omitempty"`
}

// Day is what was counted in one day of UTC (RFC 8460, 4.1), by domain.
type Day map[string][]Counted

// Add counts one session with a server of the domain name. Its policy may be
// another's: that of TLSA records is the server's.
func (d Day) Add(name string, s Session) {
	if _, ok := d[name]; !ok && len(d) >= maxDomains {
		return
	}
	i := slices.IndexFunc(d[name], func(c Counted) bool { return same(c.Policy, s.Policy) })
	if i < 0 {
		if len(d[name]) >= maxPolicies {
			return
		}
		i = len(d[name])
		d[name] = append(d[name], Counted{Policy: s.Policy})
	}
	c := &d[name][i]
	if s.Result == Success {
		c.Summary.Good++
		return
	}
	c.Summary.Bad++
	one := Detail{Result: s.Result, From: s.From, Server: s.Server, To: s.To, Reason: s.Reason}
	for j := range c.Details {
		k := c.Details[j]
		k.Count = 0
		if k == one {
			c.Details[j].Count++
			return
		}
	}
	if len(c.Details) < maxDetails {
		one.Count = 1
		c.Details = append(c.Details, one)
	}
}

func same(a, b Policy) bool {
	return a.Type == b.Type && a.Domain == b.Domain && slices.Equal(a.Text, b.Text) && slices.Equal(a.MX, b.MX)
}

// Receivers returns where the TXT records of _smtp._tls want a domain's report:
// addresses of mail, and pages for HTTPS. Exactly one of the records asks, or
// none does. RFC 8460, 3.
func Receivers(txts []string) (mail, pages []string) {
	var record string
	for _, t := range txts {
		if !strings.HasPrefix(t, "v=TLSRPTv1;") {
			continue
		}
		if record != "" {
			return nil, nil
		}
		record = t
	}
	for f := range strings.SplitSeq(record, ";") {
		k, v, _ := strings.Cut(f, "=")
		if strings.TrimSpace(k) != "rua" {
			continue
		}
		for uri := range strings.SplitSeq(v, ",") {
			u, err := url.Parse(strings.TrimSpace(uri))
			if err != nil || len(mail)+len(pages) >= maxReceivers {
				continue
			}
			switch u.Scheme {
			case "mailto":
				if a, err := url.PathUnescape(u.Opaque); err == nil && a != "" {
					mail = append(mail, a)
				}
			case "https":
				// Another port is asked of us by a stranger, and may be any service.
				if u.Host != "" && u.User == nil && (u.Port() == "" || u.Port() == "443") {
					pages = append(pages, u.String())
				}
			}
		}
		// A field stands there once. RFC 8460, 3.
		return mail, pages
	}
	return nil, nil
}

// Report is the report of one day to one domain.
type Report struct {
	Organization string
	Contact      string
	ID           string
	Begin        time.Time // of the day
	Policies     []Counted
}

// Pack writes the report as its receivers read it: JSON, packed by gzip. RFC
// 8460, 4.4 and 5.
func (r Report) Pack() ([]byte, error) {
	const form = "2006-01-02T15:04:05Z"
	var out struct {
		Organization string `json:"organization-name"`
		Range        struct {
			Begin string `json:"start-datetime"`
			End   string `json:"end-datetime"`
		} `json:"date-range"`
		Contact  string    `json:"contact-info"`
		ID       string    `json:"report-id"`
		Policies []Counted `json:"policies"`
	}
	out.Organization, out.Contact, out.ID, out.Policies = r.Organization, r.Contact, r.ID, r.Policies
	out.Range.Begin, out.Range.End = r.Begin.UTC().Format(form), r.End().Format(form)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(&out); err != nil {
		return nil, fmt.Errorf("write a report of TLS: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack a report of TLS: %w", err)
	}
	return b.Bytes(), nil
}

// End is the last second of the report's day.
func (r Report) End() time.Time { return r.Begin.UTC().Add(24*time.Hour - time.Second) }

// Name is what the report's file is called. RFC 8460, 5.1.
func (r Report) Name(sender, domain string) string {
	return fmt.Sprintf("%s!%s!%d!%d.json.gz", sender, domain, r.Begin.Unix(), r.End().Unix())
}
