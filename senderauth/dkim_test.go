package senderauth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho/envelope"
)

func TestDKIM(t *testing.T) {
	w := newWorld(t, zone)
	own := w.key(t, "s1", "reject.example")
	other := w.key(t, "s1", "mailer.example")
	union := w.key(t, "s1", "union.example.lg.jp")
	weak := func(bits int) string {
		// Go refuses to make such a key unless it is told to.
		t.Setenv("GODEBUG", "rsa1024min=0")
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		sel := fmt.Sprintf("rsa%d", bits)
		w.dns.AddTXT(sel+"._domainkey.reject.example", "v=DKIM1; p="+base64.StdEncoding.EncodeToString(der))
		return sign(t, mail("a@reject.example"), "reject.example", sel, k)
	}
	good := sign(t, mail("a@reject.example"), "reject.example", "s1", own)
	many := good
	for range 5 {
		many = sign(t, many, "mailer.example", "s1", other)
	}
	for _, c := range []struct {
		name, msg string
		want      []envelope.AuthResult
		dmarc     envelope.AuthResult
	}{
		{"none", mail("a@reject.example"), nil, "fail"},
		{"aligned", good, []envelope.AuthResult{"pass"}, "pass"},
		{"body changed", strings.Replace(good, "body", "b0dy", 1), []envelope.AuthResult{"fail"}, "fail"},
		{"header changed", strings.Replace(good, "Subject: test", "Subject: t3st", 1), []envelope.AuthResult{"fail"}, "fail"},
		{"not aligned", sign(t, mail("a@reject.example"), "mailer.example", "s1", other), []envelope.AuthResult{"pass"}, "fail"},
		{"two", sign(t, good, "mailer.example", "s1", other), []envelope.AuthResult{"pass", "pass"}, "pass"},
		{"the fourth is not looked at", many, []envelope.AuthResult{"pass", "pass", "pass"}, "fail"},
		{"no key", sign(t, mail("a@reject.example"), "reject.example", "gone", own), []envelope.AuthResult{"permerror"}, "fail"},
		{"l= is a failure", strings.Replace(good, "; bh=", "; l=3; bh=", 1), []envelope.AuthResult{"fail"}, "fail"},
		{"RSA of 1024 bits", weak(1024), []envelope.AuthResult{"pass"}, "pass"},
		{"RSA of 768 bits", weak(768), []envelope.AuthResult{"permerror"}, "fail"},
		{"another body of the prefecture", sign(t, mail("a@pref.example.lg.jp"), "union.example.lg.jp", "s1", union), []envelope.AuthResult{"pass"}, "fail"},
		{"junk", "DKIM-Signature: junk\r\n" + mail("a@reject.example"), []envelope.AuthResult{"permerror"}, "fail"},
		{"too much white space", sign(t, mail("a@reject.example")+strings.Repeat("\r\n", 40<<10)+"x\r\n", "reject.example", "s1", own), []envelope.AuthResult{"permerror"}, "fail"},
		{"too many names in h=", "DKIM-Signature: v=1; a=ed25519-sha256; d=reject.example; s=s1; bh=x; b=x; h=from" + strings.Repeat(":from", 300) + "\r\n" + mail("a@reject.example"), []envelope.AuthResult{"permerror"}, "fail"},
		{"folded ten thousand times", "X-Long: a\r\n" + strings.Repeat(" bbbbbbbbbbbbbbbbbb\r\n", 10_000) + good, []envelope.AuthResult{"permerror"}, "fail"},
	} {
		a := w.judged(c.msg, "a@nopolicy.example", "198.51.100.7")
		var got []envelope.AuthResult
		for _, s := range a.DKIM {
			got = append(got, s.Result)
		}
		if !slices.Equal(got, c.want) || a.DMARC != c.dmarc {
			t.Errorf("%s: %v %+v, dmarc %s; want %v, %s", c.name, got, a.DKIM, a.DMARC, c.want, c.dmarc)
		}
	}
	if s := w.judged(good, "", "198.51.100.7").DKIM[0]; s.Domain != "reject.example" || s.Selector != "s1" || !s.Aligned {
		t.Errorf("signature is %+v", s)
	}
}

// The message of RFC 8463, A.3, signed with both algorithms.
func TestVectorsOfRFC8463(t *testing.T) {
	w := newWorld(t, "")
	w.dns.AddTXT("brisbane._domainkey.football.example.com", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	w.dns.AddTXT("test._domainkey.football.example.com", "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3id"+
		"Y6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB")
	msg := crlf(`DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`)
	a := w.judged(msg, "joe@football.example.com", "192.0.2.1")
	if len(a.DKIM) != 2 || a.DKIM[0].Result != envelope.AuthPass || a.DKIM[1].Result != envelope.AuthPass || !a.DKIM[0].Aligned {
		t.Errorf("signatures are %+v", a.DKIM)
	}
}
