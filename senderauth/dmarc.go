package senderauth

import (
	"context"
	"strings"

	"sekisho/envelope"
)

// record is a DMARC record. RFC 9989, 4.7.
type record struct {
	policy, sub, missing envelope.Disposition // p, sp, np; zero: the tag is not there
	psd                  byte                 // y, n or u
	test                 bool                 // t=y
	strictDKIM           bool                 // adkim=s
	strictSPF            bool                 // aspf=s
}

// parseRecord reads a TXT record; false when it is no DMARC record at all.
func parseRecord(s string) (record, bool) {
	r := record{psd: 'u'}
	var policyBad, reports bool
	seen := map[string]bool{}
	for i, tag := range strings.Split(s, ";") {
		name, value, ok := strings.Cut(tag, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if i == 0 {
			// v=DMARC1 comes first, and its value has this case.
			if !ok || name != "v" || value != "DMARC1" {
				return r, false
			}
			continue
		}
		// What is not understood is left out; of a tag twice, the first stands.
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		value = strings.ToLower(value)
		switch name {
		case "p":
			r.policy, ok = disposition(value)
			policyBad = !ok
		case "sp":
			r.sub, _ = disposition(value)
		case "np":
			r.missing, _ = disposition(value)
		case "psd":
			if value == "y" || value == "n" {
				r.psd = value[0]
			}
		case "t":
			r.test = value == "y"
		case "adkim":
			r.strictDKIM = value == "s"
		case "aspf":
			r.strictSPF = value == "s"
		case "rua":
			reports = strings.Contains(value, "mailto:")
		}
	}
	if r.policy == 0 {
		// RFC 9989, 4.7: without a usable p the record counts as p=none when it
		// asks for reports (or merely leaves p out), and else not at all.
		if policyBad && !reports {
			return r, false
		}
		r.policy = envelope.DispositionNone
	}
	return r, true
}

func disposition(s string) (envelope.Disposition, bool) {
	switch s {
	case "none":
		return envelope.DispositionNone, true
	case "quarantine":
		return envelope.DispositionQuarantine, true
	case "reject":
		return envelope.DispositionReject, true
	default:
		return 0, false
	}
}

// found is a record and the name it stands at.
type found struct {
	domain string
	record record
}

// walk is the DNS tree walk of RFC 9989, 4.10: at most eight questions from a
// name up to the top.
func (c *Check) walk(ctx context.Context, d string) ([]found, error) {
	var fs []found
	for name := d; ; {
		f, ok, err := c.recordAt(ctx, name)
		if err != nil {
			return nil, err
		}
		if ok {
			fs = append(fs, f)
			if f.record.psd != 'u' {
				return fs, nil
			}
		}
		labels := strings.Split(name, ".")
		if len(labels) <= 1 {
			return fs, nil
		}
		// Of a longer name seven labels are left, so that nobody makes us climb.
		cut := 1
		if len(labels) > 8 {
			cut = len(labels) - 7
		}
		name = strings.Join(labels[cut:], ".")
	}
}

func (c *Check) recordAt(ctx context.Context, d string) (found, bool, error) {
	txts, err := c.judge.Resolver.LookupTXT(ctx, "_dmarc."+d)
	if temporary(err) {
		return found{}, false, err
	}
	f, n := found{domain: d}, 0
	for _, s := range txts {
		if r, ok := parseRecord(s); ok {
			f.record = r
			n++
		}
	}
	// Several records are none. RFC 9989, 4.10.
	return f, n == 1, nil
}

// organisation returns the organisational domain of a name for which a walk
// found these records. RFC 9989, 4.10.2.
func organisation(d string, fs []found) string {
	if o := lgjp(d); o != "" {
		// Our own table: what one body publishes at <name>.lg.jp, or somebody at
		// lg.jp, must not make two bodies one.
		return o
	}
	for _, f := range fs {
		switch {
		case f.record.psd == 'n':
			return f.domain
		case f.record.psd == 'y' && f.domain != d:
			// One label below it.
			rest := strings.TrimSuffix(d, "."+f.domain)
			return rest[strings.LastIndexByte(rest, '.')+1:] + "." + f.domain
		}
	}
	// The shortest name with a record; a top-level domain that says nothing of
	// psd is no organisation.
	for i := len(fs) - 1; i >= 0; i-- {
		if strings.Contains(fs[i].domain, ".") && fs[i].record.psd != 'y' {
			return fs[i].domain
		}
	}
	return d
}

// policyFor picks what the author's domain asks for. RFC 9989, 4.10.1 and
// 4.7.
func (c *Check) policyFor(ctx context.Context, d, org string, fs []found) (record, envelope.Disposition, bool, error) {
	at := func(name string) (record, bool) {
		for _, f := range fs {
			if f.domain == name {
				return f.record, true
			}
		}
		return record{}, false
	}
	if r, ok := at(d); ok {
		return r, r.milder(r.policy), true, nil
	}
	r, ok := at(org)
	if !ok {
		for _, f := range fs {
			if f.record.psd == 'y' {
				r, ok = f.record, true
			}
		}
	}
	if !ok {
		return record{}, 0, false, nil
	}
	p := r.policy
	if r.sub != 0 {
		p = r.sub
	}
	if r.missing != 0 && r.missing != p {
		exists, err := c.exists(ctx, d)
		if err != nil {
			return r, 0, true, err
		}
		if !exists {
			p = r.missing
		}
	}
	return r, r.milder(p), true, nil
}

// milder is the policy one step down while the domain owner is testing.
func (r record) milder(p envelope.Disposition) envelope.Disposition {
	if !r.test {
		return p
	}
	switch p {
	case envelope.DispositionReject:
		return envelope.DispositionQuarantine
	default:
		return envelope.DispositionNone
	}
}

// exists reports whether a name has an address or takes mail. RFC 9989, 3.2.13.
func (c *Check) exists(ctx context.Context, d string) (bool, error) {
	ips, err := c.judge.Resolver.LookupIPAddr(ctx, d)
	if temporary(err) {
		return false, err
	}
	if len(ips) > 0 {
		return true, nil
	}
	mx, err := c.judge.Resolver.LookupMX(ctx, d)
	if temporary(err) {
		return false, err
	}
	return len(mx) > 0, nil
}

// aligned reports whether a domain that passed is the author's. RFC 9989,
// 4.4. Without DNS the public suffix list stands in for the walk.
func (c *Check) aligned(ctx context.Context, passed, author, org string, strict bool) bool {
	if passed == author {
		return true
	}
	if strict || !related(passed, author) {
		return false
	}
	if o := lgjp(passed); o != "" {
		return o == org
	}
	fs, err := c.walk(ctx, passed)
	if err != nil {
		return fallback(passed) == fallback(author)
	}
	return organisation(passed, fs) == org
}
