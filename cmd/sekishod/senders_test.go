package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSendersAreJudgedUnlessSwitchedOff(t *testing.T) {
	_, s, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if s.senders.Off || !s.senders.RefuseReject || s.senders.DeferSilent || s.rules.HoldLGWANNames || len(s.senders.LGWAN) != 1 {
		t.Errorf("by default: %+v", s.senders)
	}
	_, s, err = load(t, minimal+"senders: { check: off, dmarc_reject: hold, dns_silent: defer, lgwan_names: hold }\n")
	if err != nil {
		t.Fatal(err)
	}
	if !s.senders.Off || s.senders.RefuseReject || !s.senders.DeferSilent || !s.rules.HoldLGWANNames {
		t.Errorf("set: %+v", s.senders)
	}
	if !strings.Contains(strings.Join(s.warnings, "\n"), "senders.check is off") {
		t.Errorf("warnings are %q", s.warnings)
	}
}

func TestTrustedSendersAreNetworksAddressesAndDomains(t *testing.T) {
	_, s, err := load(t, strings.Replace(minimal, "id: town\n", "id: town\n    trusted_senders: [192.0.2.0/28, 2001:db8::1, survey@Form.example, Lists.example]\n", 1))
	if err != nil {
		t.Fatal(err)
	}
	got := s.directory.All()[0].TrustedSenders
	if len(got.Networks) != 2 || got.Networks[1].Bits() != 128 || len(got.Addresses) != 1 || got.Addresses[0].Domain != "form.example" ||
		len(got.Domains) != 1 || got.Domains[0] != "lists.example" {
		t.Errorf("trusted are %+v", got)
	}
}

func TestSendersThatAreWronglyWritten(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, good, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	goodFile := put("good.pem", good)
	trust := func(e string) string {
		return strings.Replace(minimal, "id: town\n", "id: town\n    trusted_senders: ["+e+"]\n", 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a word", minimal + "senders: { check: maybe }\n", `senders.check: want on or off, got "maybe"`},
		{"another word", minimal + "senders: { dmarc_reject: refuze }\n", `did you mean "refuse"?`},
		{"a resolver by name", minimal + "resolver: dns.example:53\n", `resolver: want ADDRESS:PORT`},
		{"a resolver without a port", minimal + "resolver: 127.0.0.1\n", `resolver: want ADDRESS:PORT`},
		{"everybody trusted", trust("0.0.0.0/0"), `tenants[0].trusted_senders[0]: 0.0.0.0/0 is too wide`},
		{"bits beyond a network", trust("192.0.2.9/28"), `did you mean 192.0.2.0/28?`},
		{"a word for a sender", trust("partner"), `want a network, an address or a domain`},
		{"no domain of a key", minimal + "dkim: [ { selector: s, key_file: " + goodFile + " } ]\n", `dkim[0].domain: required`},
		{"a stranger's domain", minimal + "dkim: [ { domain: other.example, selector: s, key_file: " + goodFile + " } ]\n", `is no tenant's domain`},
		{"no selector", minimal + "dkim: [ { domain: town.example.lg.jp, key_file: " + goodFile + " } ]\n", `dkim[0].selector: required`},
		{"no file", minimal + "dkim: [ { domain: town.example.lg.jp, selector: s } ]\n", `dkim[0].key_file: required`},
		{"a weak key", minimal + "dkim: [ { domain: town.example.lg.jp, selector: s, key_file: " + put("weak.pem", weak) + " } ]\n", `an RSA key of 1024 bits; want 2048`},
	} {
		if _, _, err := load(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
	}
	if _, s, err := load(t, minimal+"dkim: [ { domain: town.example.lg.jp, selector: s, key_file: "+goodFile+" } ]\n"); err != nil || len(s.keys) != 1 {
		t.Errorf("a good key: %v", err)
	}
}

func TestDANENeedsAResolverOnThisMachine(t *testing.T) {
	for text, want := range map[string]string{
		"dane: on\nresolver: '127.0.0.1:53'\n":  "",
		"dane: on\nresolver: '[::1]:53'\n":      "",
		"dane: off\n":                           "",
		"dane: on\n":                            "dane: needs resolver",
		"dane: on\nresolver: '192.0.2.53:53'\n": "dane: needs resolver",
		"dane: onn\n":                           "did you mean",
	} {
		_, _, err := load(t, minimal+text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestReportsOfTLSNeedAKey(t *testing.T) {
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	dkim := "dkim: [{ domain: town.example.lg.jp, selector: s, key_file: " + file + " }]\n"
	for more, want := range map[string]string{
		"": "",
		dkim + "tls_reports: { from: tls@town.example.lg.jp }\n": "",
		"tls_reports: { from: tls@town.example.lg.jp }\n":        "needs a key in dkim",
		dkim + "tls_reports: { from: tls@partner.example }\n":    "no tenant's domain",
		dkim + "tls_reports: { from: tls }\n":                    "want an address",
		dkim + "tls_reports: { organization: town }\n":           "required where the others are set",
		dkim + "tls_reports: { form: tls@town.example.lg.jp }\n": "did you mean",
	} {
		_, s, err := load(t, minimal+more)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", more, err, want)
		}
		if err == nil && (s.reporter != nil) != strings.Contains(more, "from") {
			t.Errorf("%s: reporter %+v", more, s.reporter)
		}
	}
}
