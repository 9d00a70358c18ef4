package smtpd

import (
	"strings"
	"testing"

	"sekisho/envelope"
)

func TestRecipientPaths(t *testing.T) {
	long := strings.Repeat("a", 242) // with @x.example: 252, and 254 with the brackets
	for _, c := range []struct {
		arg  string
		utf8 bool
		want envelope.Address
		code int // of the refusal, 0 for none
	}{
		{"TO:<a@x.example>", false, envelope.Address{Local: "a", Domain: "x.example"}, 0},
		{"to:<A@X.Example>", false, envelope.Address{Local: "A", Domain: "x.example"}, 0},
		{"TO: <a@x.example> ", false, envelope.Address{Local: "a", Domain: "x.example"}, 0},
		{"TO:<.a..b.@docomo.ne.jp>", false, envelope.Address{Local: ".a..b.", Domain: "docomo.ne.jp"}, 0},
		{"TO:<a-.-b@ezweb.ne.jp>", false, envelope.Address{Local: "a-.-b", Domain: "ezweb.ne.jp"}, 0},
		{`TO:<"a..b"@docomo.ne.jp>`, false, envelope.Address{Local: `"a..b"`, Domain: "docomo.ne.jp"}, 0},
		{"TO:<a+b=c@x.example>", false, envelope.Address{Local: "a+b=c", Domain: "x.example"}, 0},
		{"TO:<a@under_score.example>", false, envelope.Address{Local: "a", Domain: "under_score.example"}, 0},
		{"TO:<a@r3---x.example>", false, envelope.Address{Local: "a", Domain: "r3---x.example"}, 0},
		{"TO:<postmaster>", false, envelope.Address{Local: "postmaster", Domain: "mx.town.example"}, 0},
		{"TO:<総務@例え.example>", true, envelope.Address{Local: "総務", Domain: "xn--r8jz45g.example"}, 0},
		{"TO:<a@XN--R8JZ45G.example>", false, envelope.Address{Local: "a", Domain: "xn--r8jz45g.example"}, 0},
		{"TO:<a@ｔｏｗｎ.example>", true, envelope.Address{Local: "a", Domain: "town.example"}, 0},
		{"TO:<" + long + "@x.example>", false, envelope.Address{Local: long, Domain: "x.example"}, 0},

		{"TO:<総務@x.example>", false, envelope.Address{}, 553},
		{"TO:<a@例え.example>", false, envelope.Address{}, 553},
		{"TO:<a\u202eb@x.example>", true, envelope.Address{}, 501}, // turns text around
		{"TO:<a\u200bb@x.example>", true, envelope.Address{}, 501}, // cannot be seen
		{"TO:<a\u0085b@x.example>", true, envelope.Address{}, 501}, // C1
		{"TO:<a\xffb@x.example>", true, envelope.Address{}, 501},
		{"TO:<a@x\xff.example>", true, envelope.Address{}, 501},
		{"TO:<a@xn--zzzzzzzzzz99999.example>", false, envelope.Address{}, 501},
		{"TO:<" + long + "aaa@x.example>", false, envelope.Address{}, 501},
		{"TO:<a@" + strings.Repeat("a", 64) + ".example>", false, envelope.Address{}, 501},
		{"TO:<a%b@x.example>", false, envelope.Address{}, 553},
		{"TO:<b!a@x.example>", false, envelope.Address{}, 553},
		{"TO:<a@b@x.example>", false, envelope.Address{}, 553},
		{`TO:<"a@b"@x.example>`, false, envelope.Address{}, 553},
		{"TO:<@b.example:a@x.example>", false, envelope.Address{}, 553},
		{"TO:<@b.example,@c.example:a@x.example>", false, envelope.Address{}, 553},
		{"TO:<a@[192.0.2.1]>", false, envelope.Address{}, 553},
		{"TO:<a@[IPv6:2001:db8::1]>", false, envelope.Address{}, 553},
		{"TO:<a@[x]>", false, envelope.Address{}, 501},
		{"TO:<a@[IPv6:192.0.2.1]>", false, envelope.Address{}, 501},
		{"TO:<a@x.example.>", false, envelope.Address{}, 501},
		{"TO:<a@.x.example>", false, envelope.Address{}, 501},
		{"TO:<a@x..example>", false, envelope.Address{}, 501},
		{"TO:<a@x.example-.jp>", false, envelope.Address{}, 501},
		{"TO:<a@x example>", false, envelope.Address{}, 501},
		{"TO:<a@>", false, envelope.Address{}, 501},
		{"TO:<@>", false, envelope.Address{}, 553},
		{"TO:<a>", false, envelope.Address{}, 501},
		{"TO:<>", false, envelope.Address{}, 501},
		{"TO:a@x.example", false, envelope.Address{}, 501},
		{"TO:<a@x.example", false, envelope.Address{}, 501},
		{"TO:<<a@x.example>>", false, envelope.Address{}, 501},
		{"TO:<a@x.example>x", false, envelope.Address{}, 501},
		{"TO:<a@x.example> NOTIFY=NEVER", false, envelope.Address{}, 555},
		{`TO:<"a"b@x.example>`, false, envelope.Address{}, 501},
		{`TO:<"@x.example>`, false, envelope.Address{}, 501},
		{`TO:<"a\"@x.example>`, false, envelope.Address{}, 501},
		{"TO:<a,b@x.example>", false, envelope.Address{}, 501},
		{"TO:<a(c)@x.example>", false, envelope.Address{}, 501},
		{"TO:<=?utf-8?q?a?=@x.example>", false, envelope.Address{}, 501},
		{"FROM:<a@x.example>", false, envelope.Address{}, 501},
		{"", false, envelope.Address{}, 501},
	} {
		got, _, r := parseRcpt(c.arg, c.utf8, "MX.town.example", false)
		code := 0
		if r != nil {
			code, got = r.Code, envelope.Address{}
		}
		if code != c.code || got != c.want {
			t.Errorf("%q: got %+v, %d; wanted %+v, %d", c.arg, got, code, c.want, c.code)
		}
	}
}

func TestSenderPaths(t *testing.T) {
	for _, c := range []struct {
		arg    string
		want   envelope.Address
		params MailParams
		code   int
	}{
		{"FROM:<>", envelope.Address{}, MailParams{}, 0},
		{"FROM:<scanner@[192.0.2.1]>", envelope.Address{Local: "scanner", Domain: "[192.0.2.1]"}, MailParams{}, 0},
		{"FROM:<a@x.example> SIZE=100 BODY=8BITMIME", envelope.Address{Local: "a", Domain: "x.example"}, MailParams{Size: 100, Body8: true}, 0},
		{"FROM:<a@例え.example> SMTPUTF8", envelope.Address{Local: "a", Domain: "xn--r8jz45g.example"}, MailParams{UTF8: true}, 0},
		{"FROM:<postmaster>", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a%b@x.example>", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a@x.example> SIZE=1001", envelope.Address{}, MailParams{}, 552},
		{"FROM:<a@x.example> SIZE=", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a@x.example> SIZE", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a@x.example> SIZE=0x10", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a@x.example> BODY=7BIT BODY=8BITMIME", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a@x.example> SMTPUTF8 SMTPUTF8", envelope.Address{}, MailParams{}, 501},
		{"FROM:<a@x.example> REQUIRETLS", envelope.Address{}, MailParams{}, 555},
		{"FROM:<a@x.example> X-ANYTHING=1", envelope.Address{}, MailParams{}, 555},
	} {
		got, p, r := parseMail(c.arg, 1000, false, false)
		code := 0
		if r != nil {
			code, got, p = r.Code, envelope.Address{}, MailParams{}
		}
		p.hasBody, p.hasSize = false, false
		if code != c.code || got != c.want || p != c.params {
			t.Errorf("%q: got %+v, %+v, %d; wanted %+v, %+v, %d", c.arg, got, p, code, c.want, c.params, c.code)
		}
	}
}

func TestParametersOfReportsAreReadStrictly(t *testing.T) {
	for _, c := range []struct {
		arg  string
		want RcptParams
		code int
	}{
		{"", RcptParams{}, 0},
		{" NOTIFY=NEVER", RcptParams{Notify: envelope.NotifyNever}, 0},
		{" notify=success,delay ORCPT=rfc822;a+2Bb@x.example", RcptParams{Notify: envelope.NotifySuccess | envelope.NotifyDelay, Original: "rfc822;a+2Bb@x.example"}, 0},
		{` ORCPT=utf-8;\x{7DCF}@x.example`, RcptParams{Original: `utf-8;\x{7DCF}@x.example`}, 0},
		{" NOTIFY=NEVER,SUCCESS", RcptParams{}, 501},
		{" NOTIFY=", RcptParams{}, 501},
		{" NOTIFY", RcptParams{}, 501},
		{" NOTIFY=ALWAYS", RcptParams{}, 501},
		{" NOTIFY=SUCCESS,", RcptParams{}, 501},
		{" NOTIFY=\u017fUCCESS", RcptParams{}, 501}, // in capitals it is of ASCII
		{" NOT\u0131FY=NEVER", RcptParams{}, 555},
		{" NOTIFY=SUCCESS NOTIFY=DELAY", RcptParams{}, 501},
		{" ORCPT=a@x.example", RcptParams{}, 501},
		{" ORCPT=;a@x.example", RcptParams{}, 501},
		{" ORCPT=rfc822;", RcptParams{}, 501},
		{" ORCPT=rfc822;a+0D+0Ab", RcptParams{}, 501},
		{" ORCPT=rfc822;a+2bb", RcptParams{}, 501},
		{" ORCPT=rfc822;a=b", RcptParams{}, 501},
		{" ORCPT=rfc 822;a", RcptParams{}, 501},
		{" ORCPT=rfc822;\xe7\xb7\x8f", RcptParams{}, 501},
		{" ORCPT=rfc822;" + strings.Repeat("a", 500), RcptParams{}, 501},
		{" ORCPT=rfc822;a ORCPT=rfc822;b", RcptParams{}, 501},
		{" RRVS=2014-04-03T23:01:00Z", RcptParams{}, 555},
	} {
		_, got, r := parseRcpt("TO:<a@x.example>"+c.arg, true, "mx", true)
		code := 0
		if r != nil {
			code, got = r.Code, RcptParams{}
		}
		if code != c.code || got != c.want {
			t.Errorf("%q: got %+v, %d; wanted %+v, %d", c.arg, got, code, c.want, c.code)
		}
	}
	for _, c := range []struct {
		arg, ret, envid string
		code            int
	}{
		{" RET=hdrs ENVID=QQ+2B1", "HDRS", "QQ+2B1", 0},
		{" RET=FULL", "FULL", "", 0},
		{" RET=HALF", "", "", 501},
		{" RET=", "", "", 501},
		{" RET=FULL RET=FULL", "", "", 501},
		{" ENVID=", "", "", 501},
		{" ENVID=a=b", "", "", 501},
		{" ENVID=a+0A", "", "", 501},
		{" ENVID=a ENVID=b", "", "", 501},
		{" ENVID=" + strings.Repeat("a", 101), "", "", 501},
	} {
		_, got, r := parseMail("FROM:<a@x.example>"+c.arg, 1000, true, false)
		code := 0
		if r != nil {
			code = r.Code
		}
		if code != c.code || code == 0 && (got.Return != c.ret || got.EnvID != c.envid) {
			t.Errorf("%q: got %+v, %d; wanted %q %q, %d", c.arg, got, code, c.ret, c.envid, c.code)
		}
	}
}

// FuzzPath looks for an address that could be read in two ways behind us.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"TO:<a@x.example>", `TO:<"a..b"@x.example>`, "TO:<総務@例え.example>", `TO:<"v@e.example> N "@x.example>`, "TO:<a@[192.0.2.1]>", "TO:<postmaster>"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, arg string, utf8 bool) {
		a, _, r := parseRcpt(arg, utf8, "mx.town.example", true)
		if r != nil {
			return
		}
		s := a.String()
		if strings.Count(s, "@") != 1 || strings.ContainsAny(s, " \t\r\n<>,;:\\()[]%!") {
			t.Fatalf("%q gave %q", arg, s)
		}
		if strings.Contains(strings.Trim(a.Local, `"`), `"`) {
			t.Fatalf("%q gave local part %q", arg, a.Local)
		}
		for i := 0; i < len(a.Domain); i++ {
			if a.Domain[i] >= 0x80 || 'A' <= a.Domain[i] && a.Domain[i] <= 'Z' {
				t.Fatalf("%q gave domain %q", arg, a.Domain)
			}
		}
		// What is sent on is read as the same address again.
		b, _, r := parseRcpt("TO:<"+s+">", utf8, "mx.town.example", true)
		if r != nil || b != a {
			t.Fatalf("%q gave %q, and that %v, %v", arg, s, b, r)
		}
	})
}

// RFC 8689, 2.
func TestREQUIRETLSIsAWordAlone(t *testing.T) {
	for arg, want := range map[string]int{" REQUIRETLS": 0, " requiretls BODY=8BITMIME": 0, " REQUIRETLS=YES": 501, " REQUIRETLS=": 501, " REQUIRETLS REQUIRETLS": 501} {
		_, p, r := parseMail("FROM:<a@x.example>"+arg, 1000, true, true)
		switch {
		case want == 0 && (r != nil || !p.TLS):
			t.Errorf("%q: %v, %+v", arg, r, p)
		case want != 0 && (r == nil || r.Code != want):
			t.Errorf("%q: %+v, want %d", arg, r, want)
		}
	}
}
