package message_test

import (
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestHeaderIsAnAllowList(t *testing.T) {
	in := "Return-Path: <r@example.jp>\nReceived: from a by b; Mon, 1 Apr 2024 09:00:00 +0900\nAuthentication-Results: mx.example; dkim=pass\n" +
		"DKIM-Signature: v=1\nFrom: \x1b$B;3ED\x1b(B <.a..b.@docomo.ne.jp>\nSender: s@example.jp\nTo: b@example.lg.jp, =?utf-8?B?5bGx?= <c@example.lg.jp>\nBcc: secret@example.jp\n" +
		"Subject: Re:=?iso-2022-jp?B?GyRCO3FOQRsoQg==?=\nDate: Mon, 1 Apr 2024 9:00:00 +0900 (JST)\nMessage-ID: <1@example.jp>\nReferences: <a@x> <b@x>\nIn-Reply-To: <b@x>\n" +
		"List-Unsubscribe: <mailto:u@example.jp>, <javascript:x>, <https://example.jp/u>\nX-Evil: MARKER\nX-Sekisho-Id: forged\nResent-From: r@example.jp\nPrecedence: bulk\n\nx\n"
	o := options()
	o.Task = sanitize.TaskMail
	out, rep, err := treat(lf(in), o)
	if err != nil {
		t.Fatal(err, rep.Holds)
	}
	got := map[string]string{}
	for _, f := range rep.Header {
		v := f.Text
		for _, m := range f.Mailboxes {
			v += m.Name + "<" + m.Address + ">"
		}
		got[f.Name] = v
	}
	want := map[string]string{
		"Received": "from a by b; Mon, 1 Apr 2024 09:00:00 +0900", "From": "山田<.a..b.@docomo.ne.jp>", "Sender": "<s@example.jp>",
		"To": "<b@example.lg.jp>山<c@example.lg.jp>", "Subject": "Re:資料", "Date": "Mon, 01 Apr 2024 09:00:00 +0900", "Message-ID": "<1@example.jp>",
		"References": "<a@x> <b@x>", "In-Reply-To": "<b@x>", "List-Unsubscribe": "<mailto:u@example.jp>, <https://example.jp/u>", "Precedence": "bulk",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("fields %v", got)
	}
	if want := "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx\r\n"; string(out) != want {
		t.Errorf("a gateway mail's output is %q, want %q", out, want)
	}
}

// What one can answer stays to be answered, whatever its dots are.
func TestQuotedLocalPartsCanBeAnswered(t *testing.T) {
	for in, want := range map[string]string{
		"\"a..b.\"@docomo.ne.jp":           "\"a..b.\"@docomo.ne.jp",
		"Hanako <\".a\"@ezweb.ne.jp>":      "\".a\"@ezweb.ne.jp",
		"a..b/c@docomo.ne.jp":              "a..b/c@docomo.ne.jp",
		"\"a b\"@example.jp (Hanako)":      "\"a b\"@example.jp",
		"\xe5\xb1\xb1 <x@\xe4\xbe\x8b.jp>": "",
	} {
		o := options()
		o.Task = sanitize.TaskMail
		_, rep, err := treat(lf("From: "+in+"\nReply-To: "+in+"\n\nx\n"), o)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range rep.Header {
			if f.Name == "Reply-To" {
				got = f.Mailboxes[0].Address
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestReceivedIsBounded(t *testing.T) {
	_, rep, err := treat(lf(strings.Repeat("Received: from a by b\n", 80)+"From: a@example.jp\n\nx\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range rep.Header {
		if f.Name == "Received" {
			n++
		}
	}
	if n != 50 {
		t.Errorf("%d fields", n)
	}
}
