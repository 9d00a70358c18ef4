package senderauth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"sekisho/envelope"
	"sekisho/internal/dnstest"
)

// world is a DNS server, a judge that asks it, and keys to sign with.
type world struct {
	dns   *dnstest.Server
	judge *Judge
	rules Rules
}

func newWorld(t testing.TB, zone string) *world {
	t.Helper()
	d, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	w := &world{dns: d, judge: &Judge{Resolver: NewResolver(NewDNS(d.Addr), time.Now)}}
	t.Cleanup(w.judge.Resolver.Wait)
	w.rules = Rules{LGWAN: []string{"lg.jp"}, Owner: func(d string) (envelope.TenantID, Trusted, bool) {
		return "town", Trusted{}, isUnder(d, "town.example.lg.jp")
	}}
	return w
}

// key publishes a new Ed25519 key and returns the signer.
func (w *world) key(t testing.TB, selector, domain string) crypto.Signer {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.dns.AddTXT(selector+"._domainkey."+domain, "v=DKIM1; k=ed25519; p="+base64.StdEncoding.EncodeToString(pub))
	return priv
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func mail(from string) string {
	return crlf("From: " + from + "\nTo: soumu@town.example.lg.jp\nSubject: test\nDate: Tue, 24 Nov 2026 09:00:00 +0900\n\nbody\n")
}

func sign(t testing.TB, msg, domain, selector string, key crypto.Signer) string {
	t.Helper()
	var b bytes.Buffer
	err := dkim.Sign(&b, strings.NewReader(msg), &dkim.SignOptions{Domain: domain, Selector: selector, Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: []string{"From", "Subject", "Date"}})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// judged runs a message through a check, in pieces as they come from a socket.
func (w *world) judged(msg, from, addr string) *envelope.Auth {
	s := Sender{Addr: netip.MustParseAddr(addr), Helo: "mail.example.net"}
	if from != "" {
		s.From, _ = envelope.ParseAddress(from)
	}
	c := w.judge.Begin(s, w.rules)
	defer c.Abort()
	for p := []byte(msg); len(p) > 0; {
		n := min(len(p), 700)
		_, _ = c.Write(p[:n])
		p = p[n:]
	}
	return c.End()
}

const zone = `
reject.example.        TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.reject.example. TXT "v=DMARC1; p=reject; np=quarantine"
reject.example.        A 192.0.2.1
host.reject.example.   A 192.0.2.1
quarantine.example.    TXT "v=spf1 ip4:192.0.2.1 ~all"
_dmarc.quarantine.example. TXT "v=DMARC1; p=quarantine; sp=reject"
host.quarantine.example. A 192.0.2.1
testing.example.       TXT "v=spf1 -all"
_dmarc.testing.example. TXT "v=DMARC1; p=reject; t=y"
strict.example.        TXT "v=spf1 ip4:192.0.2.1 -all"
mail.strict.example.   TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.strict.example. TXT "v=DMARC1; p=reject; aspf=s; adkim=s"
mail.reject.example.   TXT "v=spf1 ip4:192.0.2.1 -all"
nopolicy.example.      TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.two.example.    TXT "v=DMARC1; p=reject"
_dmarc.two.example.    TXT "v=DMARC1; p=none"
_dmarc.registry.example. TXT "v=DMARC1; p=reject; psd=y"
a.registry.example.    TXT "v=spf1 ip4:192.0.2.1 -all"
loop.example.          TXT "v=spf1 include:loop.example -all"
void.example.          TXT "v=spf1 a:n1.void.example a:n2.void.example a:n3.void.example ip4:192.0.2.1 -all"
pref.example.lg.jp.    TXT "v=spf1 ip4:192.0.2.1 -all"
union.example.lg.jp.   TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.pref.example.lg.jp. TXT "v=DMARC1; p=reject"
_dmarc.example.lg.jp.  TXT "v=DMARC1; p=none"
`

func TestSPFAndDMARC(t *testing.T) {
	w := newWorld(t, zone)
	const good, bad = "192.0.2.1", "198.51.100.7"
	for _, c := range []struct {
		name, from, envelope, addr string
		spf, dmarc                 envelope.AuthResult
		policy                     envelope.Disposition
		aligned                    bool
	}{
		{"pass", "a@reject.example", "a@reject.example", good, "pass", "pass", envelope.DispositionReject, true},
		{"wrong address", "a@reject.example", "a@reject.example", bad, "fail", "fail", envelope.DispositionReject, false},
		{"another domain's pass", "a@reject.example", "a@nopolicy.example", good, "pass", "fail", envelope.DispositionReject, false},
		{"subdomain aligns", "a@reject.example", "a@mail.reject.example", good, "pass", "pass", envelope.DispositionReject, true},
		{"subdomain that exists", "a@host.reject.example", "a@nopolicy.example", good, "pass", "fail", envelope.DispositionReject, false},
		{"subdomain that does not exist: np", "a@gone.reject.example", "a@nopolicy.example", good, "pass", "fail", envelope.DispositionQuarantine, false},
		{"softfail", "a@quarantine.example", "a@quarantine.example", bad, "softfail", "fail", envelope.DispositionQuarantine, false},
		{"sp", "a@host.quarantine.example", "a@nopolicy.example", good, "pass", "fail", envelope.DispositionReject, false},
		{"t=y is one step milder", "a@testing.example", "a@testing.example", good, "fail", "fail", envelope.DispositionQuarantine, false},
		{"strict: itself", "a@strict.example", "a@strict.example", good, "pass", "pass", envelope.DispositionReject, true},
		{"strict: not a subdomain", "a@strict.example", "a@mail.strict.example", good, "pass", "fail", envelope.DispositionReject, false},
		{"no record", "a@nopolicy.example", "a@nopolicy.example", good, "pass", "none", 0, true},
		{"two records are none", "a@two.example", "a@nopolicy.example", good, "pass", "none", 0, false},
		{"psd=y is a border", "a@b.registry.example", "a@a.registry.example", good, "pass", "fail", envelope.DispositionReject, false},
		{"below psd=y", "a@x.a.registry.example", "a@a.registry.example", good, "pass", "pass", envelope.DispositionReject, true},
		{"include loop", "a@nopolicy.example", "a@loop.example", good, "permerror", "none", 0, false},
		{"void look-ups", "a@nopolicy.example", "a@void.example", good, "permerror", "none", 0, false},
		{"no SPF record", "a@nopolicy.example", "a@none.example", good, "none", "none", 0, false},
		{"two bodies of one prefecture", "a@pref.example.lg.jp", "a@union.example.lg.jp", good, "pass", "fail", envelope.DispositionReject, false},
		{"a body below lg.jp", "a@mail.pref.example.lg.jp", "a@pref.example.lg.jp", good, "pass", "pass", envelope.DispositionReject, true},
		{"no author", "nobody", "a@nopolicy.example", good, "pass", "permerror", 0, false},
		{"IPv4 in IPv6", "a@reject.example", "a@reject.example", "::ffff:192.0.2.1", "pass", "pass", envelope.DispositionReject, true},
	} {
		a := w.judged(mail(c.from), c.envelope, c.addr)
		if a.SPF != c.spf || a.DMARC != c.dmarc || a.Policy != c.policy || a.SPFAligned != c.aligned || a.Silent {
			t.Errorf("%s: spf %s (aligned %v), dmarc %s policy %s, silent %v; want %s (%v), %s %s", c.name,
				a.SPF, a.SPFAligned, a.DMARC, a.Policy, a.Silent, c.spf, c.aligned, c.dmarc, c.policy)
		}
	}
}

func TestNullSenderIsCheckedByHelo(t *testing.T) {
	w := newWorld(t, `mail.example.net. TXT "v=spf1 ip4:192.0.2.1 -all"`)
	if a := w.judged(mail("a@example.net"), "", "192.0.2.1"); a.SPF != envelope.AuthPass || a.SPFDomain != "mail.example.net" {
		t.Errorf("spf %s for %q", a.SPF, a.SPFDomain)
	}
}

func TestOwnDomainAndLGWANNames(t *testing.T) {
	w := newWorld(t, zone+`
town.example.lg.jp. TXT "v=spf1 ip4:192.0.2.9 -all"
form.example.       TXT "v=spf1 ip4:192.0.2.20 -all"
`)
	town := w.key(t, "s1", "town.example.lg.jp")
	form := w.key(t, "s1", "form.example")
	a := func(s string) envelope.Address { x, _ := envelope.ParseAddress(s); return x }
	w.rules.Owner = func(d string) (envelope.TenantID, Trusted, bool) {
		return "town", Trusted{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}, Addresses: []envelope.Address{a("survey@form.example")},
			Domains: []string{"form.example"}}, isUnder(d, "town.example.lg.jp")
	}
	w.rules.LGWANExcept = []string{"public.lg.jp"}
	const us = "kacho@town.example.lg.jp"
	for _, c := range []struct {
		name, msg, from, addr string
		own, lgwan, trusted   string
	}{
		{"no proof", mail(us), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"name around it", mail(`"課長" <` + us + `>`), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"below it", mail("x@mail.town.example.lg.jp"), "x@nopolicy.example", "192.0.2.1", "town", "mail.town.example.lg.jp", ""},
		{"upper case and a dot", mail("<KACHO@Town.Example.LG.JP.>"), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"a blank in the address", mail("kacho@ town.example.lg.jp"), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"two @ in one address", mail(us + "@nopolicy.example"), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"an @ in quotes", mail(`"` + us + `"@nopolicy.example`), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"the second author", mail("x@nopolicy.example, " + us), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"a second From", strings.Replace(mail("x@nopolicy.example"), "To:", "From: "+us+"\r\nTo:", 1), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"SPF", mail(us), us, "192.0.2.9", "", "", ""},
		{"SPF of the name below", mail("x@mail.town.example.lg.jp"), us, "192.0.2.9", "", "", ""},
		{"DKIM", sign(t, mail(us), "town.example.lg.jp", "s1", town), "x@nopolicy.example", "192.0.2.1", "", "", ""},
		{"DKIM of somebody else", sign(t, mail(us), "reject.example", "s1", w.key(t, "s1", "reject.example")), "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"trusted network", mail(us), "x@nopolicy.example", "203.0.113.5", "", "", "203.0.113.0/28"},
		{"trusted DKIM domain", sign(t, mail(us), "form.example", "s1", form), "x@nopolicy.example", "192.0.2.1", "", "", "form.example"},
		{"trusted DKIM domain, changed", sign(t, mail(us), "form.example", "s1", form) + "more\r\n", "x@nopolicy.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"trusted address, SPF passes", mail(us), "survey@form.example", "192.0.2.20", "", "", "survey@form.example"},
		{"trusted address that is forged", mail(us), "survey@form.example", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"another body", mail("a@city.other.lg.jp"), "x@nopolicy.example", "192.0.2.1", "", "city.other.lg.jp", ""},
		{"another body, proved", mail("a@pref.example.lg.jp"), "a@pref.example.lg.jp", "192.0.2.1", "", "", ""},
		{"excepted", mail("a@x.public.lg.jp"), "x@nopolicy.example", "192.0.2.1", "", "", ""},
		{"one proved, one not", mail("a@pref.example.lg.jp, " + us), "a@pref.example.lg.jp", "192.0.2.1", "town", "town.example.lg.jp", ""},
		{"a stranger", mail("a@nopolicy.example"), "x@nopolicy.example", "192.0.2.1", "", "", ""},
	} {
		got := w.judged(c.msg, c.from, c.addr)
		if string(got.Own) != c.own || got.LGWANName != c.lgwan || got.Trusted != c.trusted {
			t.Errorf("%s: own %q lgwan %q trusted %q, want %q %q %q (%+v)", c.name, got.Own, got.LGWANName, got.Trusted, c.own, c.lgwan, c.trusted, got)
		}
	}
}

func TestMarksAreNotJudged(t *testing.T) {
	w := newWorld(t, zone)
	for name, c := range map[string]struct{ msg, mark string }{
		"display name": {mail(`"kacho@town.example.lg.jp" <a@nopolicy.example>`), "display-name"},
		"reply-to":     {"Reply-To: kacho@town.example.lg.jp\r\n" + mail("a@nopolicy.example"), "reply-to"},
		"sender":       {"Sender: kacho@town.example.lg.jp\r\n" + mail("a@nopolicy.example"), "sender"},
		"look-alike":   {mail("a@xn--twn-sed.example.lg.jp"), "look-alike"},
	} {
		a := w.judged(c.msg, "a@nopolicy.example", "192.0.2.1")
		if !slices.Equal(a.Marks, []string{c.mark}) || a.Own != "" || a.DMARC != envelope.AuthNone {
			t.Errorf("%s: %+v", name, a)
		}
		if f := Field("mx.town.example.lg.jp", a); !strings.Contains(f, ";\r\n\tx-sekisho-"+c.mark+"=fail\r\n") {
			t.Errorf("%s: %s", name, f)
		}
	}
}

// An address in a display name is for the eye, whatever stands around it.
func TestAddressesOfOursInDisplayNamesAreMarked(t *testing.T) {
	w := newWorld(t, zone)
	for _, name := range []string{
		"kacho@town.example.lg.jp Kacho", "Kacho kacho@town.example.lg.jp, Town", "kacho@town.example.lg.jp　総務課", "kacho@town.example.lg.jp総務課",
		"総務課【kacho@town.example.lg.jp】", "「kacho@town.example.lg.jp」様", "kacho@town.example.lg.jp!", "kacho@town.example.lg.jp?x", "kacho@town.example.lg.jp.", "kacho@town.example.lg.jp/soumu",
		"kacho@ town.example.lg.jp", "kacho＠town.example.lg.jp", "ｋａｃｈｏ＠ｔｏｗｎ．ｅｘａｍｐｌｅ．ｌｇ．ｊｐ", "kacho@to​wn.example.lg.jp", "kacho@tоwn.example.lg.jp",
		"KACHO@TOWN.EXAMPLE.LG.JP 課長", strings.Repeat("@", 100) + "kacho@town.example.lg.jp", strings.Repeat("a@b.example ", 50) + "kacho@town.example.lg.jp",
	} {
		if a := w.judged(mail(`"`+name+`" <a@nopolicy.example>`), "a@nopolicy.example", "192.0.2.1"); !slices.Equal(a.Marks, []string{"display-name"}) || a.Own != "" {
			t.Errorf("%q: %+v", name, a)
		}
	}
	for _, name := range []string{"town.example.lg.jp", "a@nopolicy.example (town.example.lg.jp)", "kacho@town.example.lg.jp.example.com", "kacho@mytown.example.lg.jp", "課長 @ 総務課", "@"} {
		if a := w.judged(mail(`"`+name+`" <a@nopolicy.example>`), "a@nopolicy.example", "192.0.2.1"); len(a.Marks) > 0 {
			t.Errorf("%q: %+v", name, a)
		}
	}
}

func TestHeaderThatIsTooLargeIsSaidToBe(t *testing.T) {
	w := newWorld(t, zone)
	junk := strings.Repeat("X-Junk: "+strings.Repeat("x", 900)+"\r\n", 300)
	if a := w.judged(junk+mail("kacho@town.example.lg.jp"), "a@nopolicy.example", "192.0.2.1"); !a.Unread {
		t.Errorf("%+v", a)
	}
	if n := w.judge.headers.Load(); n != 0 {
		t.Errorf("%d octets of headers are still counted", n)
	}
	// With the bound used up by others it is better taken later.
	w.judge.headers.Store(headersMost)
	c := w.judge.Begin(Sender{Addr: netip.MustParseAddr("192.0.2.1")}, w.rules)
	_, _ = c.Write([]byte(junk[:100_000] + mail("a@b.example")))
	if a := c.End(); !a.Unread || !c.Busy() {
		t.Errorf("busy %v, %+v", c.Busy(), a)
	}
	if n := w.judge.headers.Load(); n != headersMost {
		t.Errorf("%d octets are counted, want %d", n, headersMost)
	}
}

func TestOrganisationsOfLGJP(t *testing.T) {
	for d, want := range map[string]string{
		"city.yokohama.lg.jp":          "city.yokohama.lg.jp",
		"www.city.yokohama.lg.jp":      "city.yokohama.lg.jp",
		"a.b.c.city.yokohama.lg.jp":    "city.yokohama.lg.jp",
		"pref.kanagawa.lg.jp":          "pref.kanagawa.lg.jp",
		"union.kanagawa.lg.jp":         "union.kanagawa.lg.jp",
		"kanagawa.lg.jp":               "kanagawa.lg.jp",
		"lg.jp":                        "lg.jp",
		"town.example.niigata.jp":      "",
		"city.yokohama.lg.jp.evil.com": "",
		"evillg.jp":                    "",
		"jp":                           "",
	} {
		if got := lgjp(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for d, want := range map[string]string{"mail.example.co.jp": "example.co.jp", "a.b.example.com": "example.com", "x.city.yokohama.lg.jp": "city.yokohama.lg.jp", "jp": "jp"} {
		if got := fallback(d); got != want {
			t.Errorf("fallback of %s: %q, want %q", d, got, want)
		}
	}
}

func TestRecords(t *testing.T) {
	for s, want := range map[string]string{
		"v=DMARC1; p=reject":                        "reject",
		"v=DMARC1;p=quarantine;":                    "quarantine",
		" v=DMARC1 ; P=None":                        "none",
		"v=DMARC1; p=reject; p=none":                "reject",
		"v=DMARC1":                                  "none",
		"v=DMARC1; p=junk; rua=mailto:a@example.jp": "none",
		"v=DMARC1; p=junk":                          "no record",
		"v=dmarc1; p=reject":                        "no record",
		"p=reject; v=DMARC1":                        "no record",
		"v=DMARC10; p=reject":                       "no record",
		"v=spf1 -all":                               "no record",
		"":                                          "no record",
	} {
		r, ok := parseRecord(s)
		got := r.policy.String()
		if !ok {
			got = "no record"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestResultsCannotBeForged(t *testing.T) {
	a := &envelope.Auth{From: "x", Domains: []string{"a.example; dmarc=pass"}, SPF: envelope.AuthFail, SPFDomain: "b.example\r\nX: y",
		DKIM: []envelope.Signature{{Domain: "c.example dkim=pass", Selector: "s;", Result: envelope.AuthFail}}}
	want := "Authentication-Results: mx.town.example.lg.jp;\r\n\tspf=fail;\r\n\tdkim=fail;\r\n\tdmarc=none\r\n"
	if got := Field("mx.town.example.lg.jp", a); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	a = &envelope.Auth{From: "a@b.example", Domains: []string{"b.example"}, SPF: envelope.AuthPass, SPFDomain: "m.b.example", DMARC: envelope.AuthPass,
		Policy: envelope.DispositionReject, DKIM: []envelope.Signature{{Domain: "b.example", Selector: "s1", Result: envelope.AuthPass}}}
	want = "Authentication-Results: mx;\r\n\tspf=pass smtp.mailfrom=m.b.example;\r\n\tdkim=pass header.d=b.example header.s=s1;\r\n\tdmarc=pass policy.published-domain-policy=reject header.from=b.example\r\n"
	if got := Field("mx", a); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLineShowsTheRealAddress(t *testing.T) {
	long := strings.Repeat("a", 200) + "@evil.example"
	for _, c := range []struct {
		a    envelope.Auth
		want string
	}{
		{envelope.Auth{From: "a@b.example", DMARC: envelope.AuthPass}, "a@b.example（送信ドメイン認証: 成功）"},
		{envelope.Auth{From: "a@b.example", DMARC: envelope.AuthFail}, "a@b.example（送信ドメイン認証: 失敗）"},
		{envelope.Auth{From: "a@b.example", DMARC: envelope.AuthTempError, Silent: true}, "a@b.example（送信ドメイン認証: 確認できず）"},
		{envelope.Auth{From: long}, "aaaaaaaa…@evil.example（送信ドメイン認証: なし）"},
		{envelope.Auth{}, "アドレスなし（送信ドメイン認証: なし）"},
	} {
		if got := Line(&c.a); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// FuzzFrom: whatever a From says, each domain found is a domain, no more than
// sixteen are found, and an organisational domain is the domain's own end.
func FuzzFrom(f *testing.F) {
	for _, s := range []string{"a@b.example", `"x@y.example" <a@b.example>`, "a@ b.example", "<a@b.example", "=?utf-8?Q?a@b.example?= <c@d.example>", "a@例え.jp", "g: a@b.example, c@d.example;", "@@@@", "\x00@\x00", "a@" + strings.Repeat("x.", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		ds, _, _ := fromDomains([]string{v})
		if len(ds) > 16 {
			t.Fatalf("%d domains", len(ds))
		}
		for _, d := range ds {
			if again, ok := ascii(d); !ok || again != d {
				t.Fatalf("%q is no domain", d)
			}
			for _, o := range []string{lgjp(d), fallback(d), organisation(d, nil)} {
				if o != "" && !isUnder(d, o) {
					t.Fatalf("%q is not above %q", o, d)
				}
			}
		}
	})
}

// FuzzCheck: whatever a message is, in whatever pieces it comes, the check
// ends, and says nothing of a pass that no key gave.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(mail("a@b.example")), 7)
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=s; h=from; bh=x; b=y\r\n"+mail("a@b.example")), 1)
	f.Add([]byte("no header at all"), 3)
	f.Add([]byte("\r\n\r\n"), 1)
	d, err := dnstest.New("")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(d.Close)
	w := &world{dns: d, judge: &Judge{Resolver: NewResolver(NewDNS(d.Addr), time.Now)}}
	f.Fuzz(func(t *testing.T, msg []byte, piece int) {
		c := w.judge.Begin(Sender{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "h.example"}, Rules{})
		defer c.Abort()
		for p := msg; len(p) > 0; {
			n := min(len(p), max(piece, 1))
			_, _ = c.Write(p[:n])
			p = p[n:]
		}
		a := c.End()
		for _, s := range a.DKIM {
			if s.Result == envelope.AuthPass {
				t.Fatalf("passed: %+v", a)
			}
		}
		if a.SPF == envelope.AuthPass || a.DMARC == envelope.AuthPass {
			t.Fatalf("passed: %+v", a)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b, zone)
	key := w.key(b, "s1", "reject.example")
	body := mail("a@reject.example") + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 50)
	for name, msg := range map[string]string{"unsigned 4 KiB": body, "signed 4 KiB": sign(b, body, "reject.example", "s1", key)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				w.judged(msg, "a@reject.example", "192.0.2.1")
			}
		})
	}
}
