// Package mtasts reads what a domain on the internet says about its mail
// servers in MTA-STS (RFC 8461): the record that announces a policy, and the
// policy. It fetches one when it is told to and remembers nothing; what is
// asked when, kept how long and enforced is for package delivery.
//
// Everything it reads is written by strangers. A policy that is not exactly as
// the standard has it is no policy.
package mtasts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPolicy bounds a policy. RFC 8461, 3.3: 64 KiB is suggested.
	maxPolicy = 64 << 10
	// maxAge bounds max_age. RFC 8461, 3.2: about a year.
	maxAge = 31557600 * time.Second
	// maxPatterns bounds the servers that a policy names: more than any domain
	// has, and each is compared with each MX.
	maxPatterns = 100
)

// Mode is what a domain wants done about servers that do not fit its policy.
type Mode string

// The modes. RFC 8461, 5.
const (
	Enforce Mode = "enforce" // nothing is delivered to them
	Testing Mode = "testing" // it is, and said
	None    Mode = "none"    // the domain has no policy any more
)

// Policy is a policy that was read.
type Policy struct {
	Mode   Mode          `json:"mode"`
	MX     []string      `json:"mx,omitempty"` // names, or "*." and a name, in lower case
	MaxAge time.Duration `json:"max_age"`
}

// ErrPolicy says that what was read is no policy.
var ErrPolicy = errors.New("no valid policy")

// ErrStatus says that there was no page to be read.
var ErrStatus = errors.New("HTTP status")

// Record returns the id of the policy that TXT records of _mta-sts announce, or
// false when they announce none. RFC 8461, 3.1: exactly one of them does.
func Record(txts []string) (id string, ok bool) {
	for _, t := range txts {
		if t != "v=STSv1" && !strings.HasPrefix(t, "v=STSv1;") && !strings.HasPrefix(t, "v=STSv1 ") {
			continue
		}
		if ok {
			return "", false
		}
		ok = true
		for f := range strings.SplitSeq(t, ";") {
			if k, v, has := strings.Cut(strings.TrimSpace(f), "="); has && strings.TrimSpace(k) == "id" {
				id = strings.TrimSpace(v)
			}
		}
	}
	if !ok || id == "" || len(id) > 32 {
		return "", false
	}
	for i := range len(id) {
		if c := id[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return "", false
		}
	}
	return id, true
}

// Parse reads a policy. RFC 8461, 3.2.
func Parse(text []byte) (Policy, error) {
	var p Policy
	if len(text) > maxPolicy {
		return Policy{}, fmt.Errorf("%w: longer than %d octets", ErrPolicy, maxPolicy)
	}
	seen := map[string]bool{}
	age := int64(-1)
	for l := range strings.SplitSeq(string(text), "\n") {
		l = strings.TrimRight(l, "\r")
		if strings.TrimSpace(l) == "" {
			continue
		}
		key, value, ok := strings.Cut(l, ":")
		if !ok {
			return Policy{}, fmt.Errorf("%w: a line without a colon", ErrPolicy)
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "mx" {
			name, ok := pattern(value)
			if !ok || len(p.MX) >= maxPatterns {
				return Policy{}, fmt.Errorf("%w: mx", ErrPolicy)
			}
			p.MX = append(p.MX, name)
			continue
		}
		// RFC 8461, 3.2: of a field that stands twice the first counts.
		if seen[key] {
			continue
		}
		seen[key] = true
		switch key {
		case "version":
			if value != "STSv1" {
				return Policy{}, fmt.Errorf("%w: version", ErrPolicy)
			}
		case "mode":
			p.Mode = Mode(value)
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || len(value) > 10 {
				return Policy{}, fmt.Errorf("%w: max_age", ErrPolicy)
			}
			age = int64(n)
		}
	}
	if !seen["version"] || age < 0 {
		return Policy{}, fmt.Errorf("%w: version or max_age is missing", ErrPolicy)
	}
	p.MaxAge = time.Duration(min(age, int64(maxAge/time.Second))) * time.Second
	switch p.Mode {
	case Enforce, Testing:
		if len(p.MX) == 0 {
			return Policy{}, fmt.Errorf("%w: no mx", ErrPolicy)
		}
	case None:
	default:
		return Policy{}, fmt.Errorf("%w: mode", ErrPolicy)
	}
	return p, nil
}

// pattern reads a name, or one with "*." before it, in A-labels.
func pattern(s string) (string, bool) {
	s = strings.ToLower(s)
	name := strings.TrimPrefix(s, "*.")
	if name == "" || len(name) > 255 {
		return "", false
	}
	for l := range strings.SplitSeq(name, ".") {
		if l == "" || len(l) > 63 {
			return "", false
		}
		for i := range len(l) {
			if c := l[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", false
			}
		}
	}
	return s, true
}

// Allows reports whether a server's name fits the policy. RFC 8461, 4.1: "*."
// stands for exactly one label.
func (p Policy) Allows(server string) bool {
	server = strings.TrimSuffix(strings.ToLower(server), ".")
	for _, m := range p.MX {
		if m == server {
			return true
		}
		if under, ok := strings.CutPrefix(m, "*."); ok {
			if _, rest, ok := strings.Cut(server, "."); ok && rest == under {
				return true
			}
		}
	}
	return false
}

// Fetch gets the policy of a domain over HTTPS. The client must follow no
// redirect; a status other than 200, another media type and a body that is too
// long are no policy. RFC 8461, 3.3.
func Fetch(ctx context.Context, c *http.Client, domain string) (Policy, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return Policy{}, fmt.Errorf("policy of %s: %w", domain, err)
	}
	r.Header.Set("User-Agent", "sekisho")
	resp, err := c.Do(r)
	if err != nil {
		return Policy{}, fmt.Errorf("policy of %s: %w", domain, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Policy{}, fmt.Errorf("policy of %s: %w: %w %d", domain, ErrPolicy, ErrStatus, resp.StatusCode)
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != "text/plain" {
		return Policy{}, fmt.Errorf("policy of %s: %w: the media type is not text/plain", domain, ErrPolicy)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return Policy{}, fmt.Errorf("policy of %s: %w", domain, err)
	}
	p, err := Parse(text)
	if err != nil {
		return Policy{}, fmt.Errorf("policy of %s: %w", domain, err)
	}
	return p, nil
}

// Refuse is what http.Client.CheckRedirect has to be: the answer itself, which
// is then not 200.
func Refuse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
