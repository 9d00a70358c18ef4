package delivery

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"sekisho/envelope"
	"sekisho/spool"
	"sekisho/tenant"
)

func TestInnerFieldsAreTakenOff(t *testing.T) {
	const in = "Received: from pc by mail;\r\n\tTue\r\n (more)\r\nFrom: a@town.example.lg.jp\r\nX-Originating-IP: [10.1.0.9]\r\nreceived : x\r\n" +
		"Received-Kept: no trace\r\nBCC: secret@town.example.lg.jp\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\nSubject: a\r\n b\r\n" +
		"no colon here\r\nX-" + "LongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLong: kept\r\nARC-Seal: i=1\r\n\r\n"
	const want = "From: a@town.example.lg.jp\r\nReceived-Kept: no trace\r\nSubject: a\r\n b\r\n" +
		"no colon here\r\nX-" + "LongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLong: kept\r\n\r\n"
	for _, piece := range []int{1, 2, 7, len(in)} {
		var out bytes.Buffer
		c := &cutter{w: &out, begin: true}
		for p := []byte(in); len(p) > 0; {
			n := min(piece, len(p))
			if k, err := c.Write(p[:n]); k != n || err != nil {
				t.Fatalf("wrote %d, %v", k, err)
			}
			p = p[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d:\n%q\nwant\n%q", piece, out.String(), want)
		}
	}
}

// FuzzCutter: what goes through are whole lines of the block in their order,
// however it is cut up, and none begins a field of the inside.
func FuzzCutter(f *testing.F) {
	f.Add([]byte("Received: a\r\n b\r\nFrom: c\r\n\r\n"), 3)
	f.Add([]byte("\r\n"), 1)
	f.Add([]byte(" folded first\r\nReceived:\r\n"), 1)
	f.Fuzz(func(t *testing.T, block []byte, piece int) {
		block = append(bytes.ReplaceAll(block, []byte("\r"), nil), '\n')
		block = bytes.ReplaceAll(block, []byte("\n"), []byte("\r\n"))
		var out bytes.Buffer
		c := &cutter{w: &out, begin: true}
		for p := block; len(p) > 0; {
			n := min(max(piece, 1), len(p))
			if _, err := c.Write(p[:n]); err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
		rest := strings.SplitAfter(string(block), "\n")
		for _, l := range strings.SplitAfter(out.String(), "\n") {
			if l == "" {
				continue
			}
			for len(rest) > 0 && rest[0] != l {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				t.Fatalf("%q is no line of %q in its order", l, block)
			}
			rest = rest[1:]
			if name, _, ok := strings.Cut(l, ":"); ok && l[0] != ' ' && l[0] != '\t' && len(name) < longestInner && inner(name) {
				t.Fatalf("%q went through", l)
			}
		}
	})
}

func TestKeysAreChosenByAuthorAndTenant(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := tenant.New([]tenant.Tenant{{ID: "town", Domains: []string{"town.example.lg.jp"}}, {ID: "village", Domains: []string{"village.example.jp", "v.town.example.lg.jp"}}})
	if err != nil {
		t.Fatal(err)
	}
	key := func(domain, selector string, s crypto.Signer) Key {
		return Key{Domain: domain, Selector: selector, Signer: s}
	}
	d := &Delivery{Tenants: func() *tenant.Directory { return dir }, Keys: func() []Key {
		return []Key{key("town.example.lg.jp", "new", rsaKey), key("town.example.lg.jp", "old", rsaKey), key("town.example.lg.jp", "ed", ed),
			key("mail.town.example.lg.jp", "mail", ed), key("partner.example", "p", ed)}
	}}
	for _, c := range []struct {
		tenant envelope.TenantID
		from   string
		want   string
	}{
		{"town", "a@town.example.lg.jp", "new ed"},
		{"town", `"課" <a@TOWN.example.lg.jp>`, "new ed"},
		{"town", "a@x.town.example.lg.jp", "new ed"},
		{"town", "a@mail.town.example.lg.jp", "mail"},
		{"village", "a@town.example.lg.jp", ""},
		{"town", "a@v.town.example.lg.jp", ""},
		{"town", "a@partner.example", ""},
		{"town", "a@town.example.lg.jp, b@partner.example", ""},
		{"town", "", ""},
	} {
		var got []string
		for _, k := range d.keysFor(&spool.Entry{Envelope: envelope.Envelope{Tenant: c.tenant, HeaderFrom: c.from}}) {
			got = append(got, k.Selector)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s of %s: signed with %q, want %q", c.from, c.tenant, s, c.want)
		}
	}
}

func TestOnlyMailFromInsideIsSigned(t *testing.T) {
	for _, z := range []envelope.Zone{0, envelope.Internet, envelope.InternetSegment, envelope.LGWAN, 99} {
		for _, n := range []envelope.Network{0, envelope.NetworkLGWAN, envelope.NetworkLocal, envelope.NetworkInternet, 99} {
			want := n == envelope.NetworkInternet && (z == envelope.InternetSegment || z == envelope.LGWAN)
			if got := fromInside(&spool.Entry{Envelope: envelope.Envelope{Zone: z, Treatment: envelope.Pass}}, n); got != want {
				t.Errorf("zone %v to %v: %v, want %v", z, n, got, want)
			}
		}
	}
}
