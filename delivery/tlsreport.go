package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/dsn"
	"sekisho/internal/mtasts"
	"sekisho/internal/tlsrpt"
	"sekisho/spool"
)

// TLSDays keeps what was counted of TLS over a restart, by day.
type TLSDays interface {
	TLSDays(ctx context.Context) (map[string][]byte, error)
	// KeepTLSDay replaces a day's counts; nil forgets the day.
	KeepTLSDay(ctx context.Context, day string, counts []byte) error
}

// Reporter is who reports to other domains how TLS went with their servers.
type Reporter struct {
	From         envelope.Address // of a tenant, with a key that signs for its domain
	Organization string
	Contact      string
}

const (
	// tallyKept is how often counts are written down: what a power cut costs of
	// them is statistics.
	tallyKept = time.Minute
	// tallyAsked is how often it is looked whether a day is to be reported, and a
	// domain asked again whose records could not be read.
	tallyAsked = 10 * time.Minute
	// tallySpread is within what time after midnight reports go, so that not all
	// gateways of the world write at once. RFC 8460, 4.1.
	tallySpread = 4 * time.Hour
	// tallyGivenUp is how long after its day a report is tried. RFC 8460, 5.5:
	// a day.
	tallyGivenUp = 24*time.Hour + tallySpread
	// notInPolicy is why a server got nothing, in a word.
	notInPolicy = "mx-not-in-policy"
)

// tally is what was counted of TLS and not reported yet.
type tally struct {
	mu      sync.Mutex
	days    map[string]tlsrpt.Day
	changed map[string]bool // since it was kept
	kept    time.Time       // by the machine's clock
	asked   time.Time
	busy    atomic.Bool
}

// isTLSReport reports whether e is a report to another domain.
func isTLSReport(e *spool.Entry) bool {
	return e.TLSReport && e.Envelope.Treatment == envelope.Ours
}

func (d *Delivery) reporter() *Reporter {
	if d.Reports == nil {
		return nil
	}
	return d.Reports()
}

// countTLS counts a session with a server of a domain.
func (d *Delivery) countTLS(domain string, s tlsrpt.Session) {
	if domain == "" || d.reporter() == nil {
		return
	}
	day := d.now().UTC().Format(time.DateOnly)
	t := &d.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.days == nil {
		t.days, t.changed = map[string]tlsrpt.Day{}, map[string]bool{}
	}
	if t.days[day] == nil {
		t.days[day] = tlsrpt.Day{}
	}
	t.days[day].Add(domain, s)
	t.changed[day] = true
}

// measure is what sessions with a server are measured by, as a report tells it.
func (n need) measure(server string) tlsrpt.Policy {
	switch {
	case len(n.tlsa) > 0:
		p := tlsrpt.Policy{Type: "tlsa", Domain: server}
		for _, r := range n.tlsa {
			p.Text = append(p.Text, fmt.Sprintf("%d %d %d %x", r.Usage, r.Selector, r.Matching, r.Data))
		}
		return p
	case n.policy != nil:
		p := tlsrpt.Policy{Type: "sts", Domain: n.domain, MX: n.policy.MX, Text: []string{"version: STSv1", "mode: " + string(n.policy.Mode)}}
		for _, m := range n.policy.MX {
			p.Text = append(p.Text, "mx: "+m)
		}
		p.Text = append(p.Text, "max_age: "+strconv.FormatInt(int64(n.policy.MaxAge/time.Second), 10))
		return p
	default:
		return tlsrpt.Policy{Type: "no-policy-found", Domain: n.domain}
	}
}

// countSession counts one connection to a host of an MX, or what became of it:
// first is how it ended with TLS, before it was tried in clear. What fails
// before TLS was asked for says nothing of TLS.
func (d *Delivery) countSession(ctx context.Context, n need, h host, s *session, first error) {
	if n.domain == "" || ctx.Err() != nil || d.reporter() == nil {
		return
	}
	one := tlsrpt.Session{Policy: n.measure(h.name), Server: h.name}
	one.To, _, _ = net.SplitHostPort(h.addr)
	if s != nil {
		one.From = seenOutside(s.conn.LocalAddr())
	}
	var failed errTLSFailed
	switch {
	case errors.As(first, &failed):
		one.Result, one.Reason = whyNot(failed)
	case errors.Is(first, errNotOffered):
		one.Result = tlsrpt.NoTLS
	case first != nil || s == nil:
		return
	case !s.tls:
		one.Result = tlsrpt.NoTLS
	case len(n.tlsa) > 0 && !n.tlsa.Usable():
		one.Result = tlsrpt.TLSAInvalid
	case n.misfit:
		one.Result, one.Reason = tlsrpt.Failed, notInPolicy
	case n.policy != nil && !s.proved:
		one.Result, one.Reason = whyNot(s.unproved)
	}
	d.countTLS(n.domain, one)
}

// seenOutside is an address of ours as a report may tell it: one of the inside
// is nobody's business.
func seenOutside(a net.Addr) string {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil || !onTheInternet(p.Addr()) {
		return ""
	}
	return p.Addr().Unmap().String()
}

// whyNot says why TLS did not come about in a word of RFC 8460, 4.3.
func whyNot(err error) (tlsrpt.Result, string) {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		return tlsrpt.WrongName, ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return tlsrpt.Expired, ""
	case errors.As(err, &authority):
		return tlsrpt.NotTrusted, ""
	case errors.As(err, &invalid), errors.As(err, &certificate):
		return tlsrpt.Failed, "certificate"
	default:
		return tlsrpt.Failed, "handshake"
	}
}

// noPolicy says why a policy of MTA-STS could not be had, likewise.
func noPolicy(err error) tlsrpt.Result {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return tlsrpt.PolicyWebPKI
	case errors.Is(err, mtasts.ErrPolicy) && !errors.Is(err, mtasts.ErrStatus):
		return tlsrpt.PolicyInvalid
	default:
		return tlsrpt.PolicyFetch
	}
}

// loadTLS reads what the daemon before this one counted.
func (d *Delivery) loadTLS(ctx context.Context) {
	if d.TLSDays == nil {
		return
	}
	kept, err := d.TLSDays.TLSDays(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		d.Log.Error("tls report", "err", err)
		return
	}
	t := &d.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.days == nil {
		t.days, t.changed = map[string]tlsrpt.Day{}, map[string]bool{}
	}
	for day, b := range kept {
		c := tlsrpt.Day{}
		if err := json.Unmarshal(b, &c); err != nil {
			d.Log.Error("tls report", "err", fmt.Errorf("counts of %s: %w", day, err))
			continue
		}
		if t.days[day] == nil {
			t.days[day] = c
		}
	}
}

// keepTLS writes down what has changed.
func (d *Delivery) keepTLS(ctx context.Context) {
	t := &d.tally
	t.mu.Lock()
	days := map[string][]byte{}
	for day := range t.changed {
		if d.TLSDays == nil {
			continue
		}
		if len(t.days[day]) == 0 {
			days[day] = nil
			continue
		}
		b, err := json.Marshal(t.days[day])
		if err != nil {
			d.Log.Error("tls report", "err", err)
			continue
		}
		days[day] = b
	}
	clear(t.changed)
	t.kept = time.Now()
	t.mu.Unlock()
	for day, b := range days {
		if err := d.TLSDays.KeepTLSDay(ctx, day, b); err != nil {
			d.Log.Error("tls report", "err", err)
			t.mu.Lock()
			t.changed[day] = true
			t.mu.Unlock()
		}
	}
}

// upkeepTLS writes counts down when it is time, and sends what is due.
func (d *Delivery) upkeepTLS(ctx context.Context) {
	t, now := &d.tally, d.now()
	t.mu.Lock()
	keep := len(t.changed) > 0 && time.Since(t.kept) >= tallyKept
	ask := len(t.days) > 0 && (now.Sub(t.asked) >= tallyAsked || now.Before(t.asked))
	t.mu.Unlock()
	if !keep && !ask || !t.busy.CompareAndSwap(false, true) {
		return
	}
	t.mu.Lock()
	if ask {
		t.asked = now
	}
	t.mu.Unlock()
	d.bg.Go(func() {
		defer t.busy.Store(false)
		if ask {
			d.reportTLS(ctx, now)
		}
		if ctx.Err() == nil {
			d.keepTLS(ctx)
		}
	})
}

// spread is how long after midnight this gateway reports.
func (d *Delivery) spread() time.Duration {
	h := fnv.New64a()
	_, _ = io.WriteString(h, d.Hostname)
	return time.Duration(h.Sum64() % uint64(tallySpread))
}

// reportTLS sends the reports of the days that are over.
func (d *Delivery) reportTLS(ctx context.Context, now time.Time) {
	t := &d.tally
	t.mu.Lock()
	days := slices.Sorted(maps.Keys(t.days))
	t.mu.Unlock()
	for _, day := range days {
		begin, err := time.Parse(time.DateOnly, day)
		over := now.Sub(begin.Add(24 * time.Hour))
		if err == nil && over < d.spread() {
			continue
		}
		t.mu.Lock()
		domains := slices.Sorted(maps.Keys(t.days[day]))
		t.mu.Unlock()
		for _, domain := range domains {
			if ctx.Err() != nil {
				return
			}
			t.mu.Lock()
			counts := slices.Clone(t.days[day][domain])
			t.mu.Unlock()
			sent, done := false, true
			if r := d.reporter(); r != nil && err == nil && over < tallyGivenUp {
				if sent, err = d.reportTo(ctx, r, begin, domain, counts); err != nil {
					d.Log.Warn("tls report", "hop", domain, "err", bound(err.Error()))
					done, err = false, nil
				}
			}
			if !done {
				continue
			}
			t.mu.Lock()
			delete(t.days[day], domain)
			t.changed[day] = true
			t.mu.Unlock()
			if sent {
				// Before the next: a report that goes twice says nothing new, but
				// is a nuisance.
				d.keepTLS(context.WithoutCancel(ctx))
			}
		}
		t.mu.Lock()
		if len(t.days[day]) == 0 {
			delete(t.days, day)
			t.changed[day] = true
		}
		t.mu.Unlock()
	}
}

// reportTo sends one report to a domain, if it wants one. An error means that it
// shall be tried again.
func (d *Delivery) reportTo(ctx context.Context, rep *Reporter, begin time.Time, domain string, counts []tlsrpt.Counted) (sent bool, err error) {
	look, cancel := context.WithTimeout(ctx, d.Times.Look)
	txts, err := d.Resolver.LookupTXT(look, "_smtp._tls."+domain+".")
	cancel()
	var no *net.DNSError
	if err != nil && !(errors.As(err, &no) && no.IsNotFound) {
		return false, err
	}
	addresses, pages := tlsrpt.Receivers(txts)
	if len(addresses)+len(pages) == 0 {
		return false, nil
	}
	owner, ok := d.Tenants().Owner(rep.From.Domain)
	if !ok {
		return false, fmt.Errorf("no tenant has the domain of %s any more", rep.From)
	}
	r := tlsrpt.Report{Organization: rep.Organization, Contact: rep.Contact, ID: begin.Format(time.DateOnly) + "." + domain + "@" + d.Hostname, Begin: begin, Policies: counts}
	packed, err := r.Pack()
	if err != nil {
		return false, err
	}
	var es []spool.Entry
	for _, text := range addresses {
		to, err := envelope.ParseAddress(text)
		if err != nil || !ascii(to.String()) {
			continue
		}
		// Who writes a record must not be able to make us write to those inside.
		if hop, _, err := d.Table().Find(envelope.LGWAN, to); err != nil || hop.Network != envelope.NetworkInternet || !hop.MX {
			continue
		}
		now := d.now()
		m := dsn.TLSReport{Hostname: d.Hostname, From: rep.From, To: to, Domain: domain, Mail: envelope.NewID(now), ID: r.ID, File: r.Name(d.Hostname, domain), Packed: packed, Begin: begin, Now: now}
		e, err := d.Spool.NewOurs(ctx, spool.OurMail{Tenant: owner.ID, Profile: owner.Profile, To: []envelope.Address{to}, Author: rep.From.String(), Report: true, Write: m.Write})
		if err != nil {
			return false, err
		}
		es = append(es, e)
	}
	if len(es) > 0 {
		now := d.now()
		var events []audit.Event
		for _, e := range es {
			events = append(events, audit.Event{Time: now, Tenant: string(owner.ID), Act: "tls-report", ID: string(e.Envelope.ID), Detail: "of " + domain + " to " + bound(e.Envelope.To[0].String())})
		}
		if err := d.Spool.Insert(ctx, es, events); err != nil {
			return false, err
		}
		sent = true
	}
	for _, page := range pages {
		if err := d.post(ctx, page, packed); err != nil {
			// By mail it has gone: the whole is not repeated for one page.
			if !sent {
				return false, err
			}
			d.Log.Warn("tls report", "hop", domain, "err", bound(err.Error()))
			continue
		}
		sent = true
	}
	if sent {
		d.Log.Info("tls report", "hop", domain, "to", len(es)+len(pages))
	}
	return sent, nil
}

// post hands a report to a page, on the internet alone and following nothing.
// RFC 8460, 5.4.
func (d *Delivery) post(ctx context.Context, page string, packed []byte) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, page, bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("report to %s: %w", page, err)
	}
	q.Header.Set("Content-Type", "application/tlsrpt+gzip")
	q.Header.Set("User-Agent", "sekisho")
	a, err := d.sts.client.Do(q)
	if err != nil {
		return fmt.Errorf("report to %s: %w", page, err)
	}
	defer a.Body.Close()
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("report to %s: HTTP status %d", page, a.StatusCode)
	}
	return nil
}
