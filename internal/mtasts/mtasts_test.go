package mtasts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRecordsThatAnnounceAPolicy(t *testing.T) {
	for _, c := range []struct {
		txts []string
		id   string
		ok   bool
	}{
		{[]string{"v=STSv1; id=20260401T090000Z;"}, "20260401T090000Z", true},
		{[]string{"v=spf1 -all", "v=STSv1; x=y; id=1"}, "1", true},
		{[]string{"v=STSv1; id=1", "v=STSv1; id=2"}, "", false}, // RFC 8461, 3.1
		{[]string{"v=STSv1"}, "", false},
		{[]string{"v=STSv1; id="}, "", false},
		{[]string{"v=STSv1; id=a-b"}, "", false},
		{[]string{"v=STSv1; id=" + strings.Repeat("a", 33)}, "", false},
		{[]string{"v=STSv10; id=1"}, "", false},
		{[]string{" v=STSv1; id=1"}, "", false},
		{nil, "", false},
	} {
		if id, ok := Record(c.txts); id != c.id || ok != c.ok {
			t.Errorf("%q: %q, %v; want %q, %v", c.txts, id, ok, c.id, c.ok)
		}
	}
}

const good = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.com\r\nmx: *.Backup.example.com\r\nmax_age: 604800\r\n"

func TestPoliciesAreReadStrictly(t *testing.T) {
	p, err := Parse([]byte(good))
	if err != nil || p.Mode != Enforce || p.MaxAge != 7*24*time.Hour || !slices.Equal(p.MX, []string{"mx1.example.com", "*.backup.example.com"}) {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, want := range map[string]bool{"mx1.example.com": true, "MX1.example.com.": true, "a.backup.example.com": true,
		"backup.example.com": false, "a.b.backup.example.com": false, "mx2.example.com": false, "xmx1.example.com": false, "": false} {
		if got := p.Allows(name); got != want {
			t.Errorf("%q is allowed: %v, want %v", name, got, want)
		}
	}
	if p, err := Parse([]byte("version: STSv1\nmode: none\nmax_age: 99999999999\n")); err == nil {
		t.Errorf("a max_age of eleven digits gave %+v", p)
	}
	if p, err := Parse([]byte("version: STSv1\nmode: none\nmode: enforce\nmax_age: 9999999999\nlater: x\n")); err != nil || p.Mode != None || p.MaxAge != maxAge {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "mode: enforce\nmx: a\nmax_age: 1\n", strings.Replace(good, "STSv1", "STSv2", 1), strings.Replace(good, "enforce", "enforced", 1),
		strings.Replace(good, "604800", "-1", 1), strings.Replace(good, "604800", "1e9", 1), strings.Replace(good, "mx1.example.com", "*", 1), strings.Replace(good, "mx1.example.com", "a..b", 1),
		strings.Replace(good, "mx1.example.com", "a.*.b", 1), "version: STSv1\nmode: testing\nmax_age: 1\n", good + "no colon\n", good + strings.Repeat("mx: a.example\n", maxPatterns),
		good + strings.Repeat("\n", maxPolicy)} {
		if p, err := Parse([]byte(bad)); !errors.Is(err, ErrPolicy) {
			t.Errorf("%.60q gave %+v, %v", bad, p, err)
		}
	}
}

func TestOnlyAPlainAnswerIsAPolicy(t *testing.T) {
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		ok   bool
	}{
		{"as it should be", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			if r.URL.Path == "/.well-known/mta-sts.txt" && r.Host == "mta-sts.b.example" {
				fmt.Fprint(w, good)
			}
		}, true},
		{"a redirect to a good one", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			if r.URL.Path != "/elsewhere" {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(http.StatusFound)
			}
			fmt.Fprint(w, good)
		}, false},
		{"not there", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, good)
		}, false},
		{"HTML", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, good)
		}, false},
		{"without end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for range 3 {
				fmt.Fprint(w, good, strings.Repeat("\n", maxPolicy))
			}
		}, false},
	} {
		s := httptest.NewTLSServer(c.h)
		client := s.Client()
		client.CheckRedirect = Refuse
		client.Transport.(*http.Transport).DialContext = toServer(s)
		client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com" // the test server's
		p, err := Fetch(t.Context(), client, "b.example")
		if (err == nil) != c.ok || c.ok && p.Mode != Enforce {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
		s.Close()
	}
}

// FuzzParse: a policy that is accepted can be kept, enforces something or
// nothing, and names servers only.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("version: STSv1\nmode: none\nmax_age: 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if p.Mode != Enforce && p.Mode != Testing && p.Mode != None || p.MaxAge < 0 || p.MaxAge > maxAge || len(p.MX) > maxPatterns {
			t.Fatalf("%q gave %+v", text, p)
		}
		if p.Mode != None && len(p.MX) == 0 {
			t.Fatalf("%q allows no server", text)
		}
		if p.Allows("") || p.Allows("nobody.invalid.x") && !strings.Contains(string(text), "invalid.x") && !strings.Contains(strings.ToLower(string(text)), "invalid.x") {
			t.Fatalf("%q allows a server it does not name", text)
		}
	})
}

// toServer dials a test server whatever name was asked for.
func toServer(s *httptest.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.Listener.Addr().String())
	}
}
