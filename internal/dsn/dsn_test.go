package dsn

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"encoding/base64"

	"sekisho/envelope"
)

var now = time.Date(2026, 4, 1, 9, 30, 0, 0, time.UTC)

func report() Report {
	return Report{
		Hostname: "mx.town.example", Sender: envelope.Address{Local: "tanaka", Domain: "town.example"},
		Report: "r1", ID: "m1", MessageID: "<abc@town.example>", Arrived: now.Add(-5 * 24 * time.Hour), Now: now,
		Recipients: []Recipient{
			{To: envelope.Address{Local: ".a..b.", Domain: "docomo.ne.jp"}, Status: "5.1.1", Answer: "550 5.1.1 no such user", Remote: "mx.docomo.ne.jp", Last: now},
			{To: envelope.Address{Local: "x", Domain: "late.example"}, Status: "4.4.7", Answer: "5 days are over", Last: now},
		},
		Header: []byte("From: tanaka@town.example\r\nSubject: \x83\x65\x83\x58\x83\x67\r\nMessage-ID: <abc@town.example>\r\n\r\n"),
	}
}

// The judge is the standard library's parser, not the one that wrote it.
func TestReportIsAMultipartReport(t *testing.T) {
	var b bytes.Buffer
	if err := report().Write(&b); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b.Bytes())
	m, err := mail.ReadMessage(&b)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"Auto-Submitted": "auto-replied", "In-Reply-To": "<abc@town.example>", "Message-Id": "<r1@mx.town.example>", "To": "<tanaka@town.example>"} {
		if got := m.Header.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	typ, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || typ != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type %q, %v, %v", typ, params, err)
	}
	mr := multipart.NewReader(m.Body, params["boundary"])
	var types, bodies []string
	for {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		pt, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		types, bodies = append(types, pt), append(bodies, string(body))
	}
	if got := strings.Join(types, " "); got != "text/plain message/delivery-status text/rfc822-headers" {
		t.Fatalf("parts are %s", got)
	}
	text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(bodies[0], "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".a..b.@docomo.ne.jp", "宛先のアドレスが存在しません。", "there is no such address", "550 5.1.1 no such user", "m1", "期限までに"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
	for _, want := range []string{
		"Reporting-MTA: dns; mx.town.example\r\n", "\r\n\r\nFinal-Recipient: rfc822; .a..b.@docomo.ne.jp\r\nAction: failed\r\nStatus: 5.1.1\r\n",
		"Remote-MTA: dns; mx.docomo.ne.jp\r\n", "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n", "Status: 5.4.7\r\n", "Diagnostic-Code: x-sekisho; 5 days are over\r\n",
	} {
		if !strings.Contains(bodies[1], want) {
			t.Errorf("the status part lacks %q:\n%s", want, bodies[1])
		}
	}
	if !strings.Contains(bodies[2], "Message-ID: <abc@town.example>") {
		t.Errorf("the header did not come back:\n%s", bodies[2])
	}
}

// The machine's part and the person's of all three kinds. RFC 3464, 2.3.3 and
// 2.3.9; RFC 3461, 5.2.2 and 5.2.5.
func TestReportsOfDelayAndOfRelaying(t *testing.T) {
	for _, c := range []struct {
		action     Action
		status     string
		has, hasNo []string
		text       []string
	}{
		{Failed, "4.2.2", []string{"Action: failed\r\nStatus: 5.2.2\r\n"}, []string{"Will-Retry-Until"}, []string{"再送は行いません", "will not be tried again", "いっぱい", "full"}},
		{Delayed, "5.2.2", []string{"Action: delayed\r\nStatus: 4.2.2\r\n", "Will-Retry-Until: Mon, 06 Apr 2026 09:30:00 +0000\r\n"}, nil,
			[]string{"2026年4月6日 18:30 まで再送を続けます", "tried again until 2026-04-06 09:30 UTC"}},
		{Relayed, "2.1.5", []string{"Action: relayed\r\nStatus: 2.1.5\r\n"}, []string{"Will-Retry-Until"}, []string{"サーバーに渡しました", "do not report"}},
		{Relayed, "", []string{"Action: relayed\r\nStatus: 2.0.0\r\n"}, nil, nil},
		{9, "5.1.1", []string{"Action: failed\r\n"}, nil, nil},
	} {
		r := report()
		r.Action, r.Until, r.EnvID = c.action, now.Add(5*24*time.Hour), "QQ+2B1"
		r.Recipients = r.Recipients[:1]
		r.Recipients[0].Status, r.Recipients[0].Original = c.status, "rfc822;a+2Bb@town.example"
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, b.Bytes())
		for _, want := range append(c.has, "Original-Envelope-Id: QQ+1\r\n", "\r\n\r\nOriginal-Recipient: rfc822; a+b@town.example\r\nFinal-Recipient: ") {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%d: no %q in\n%s", c.action, want, b.String())
			}
		}
		for _, no := range c.hasNo {
			if strings.Contains(b.String(), no) {
				t.Errorf("%d: %q stands in\n%s", c.action, no, b.String())
			}
		}
		_, rest, _ := strings.Cut(b.String(), "Content-Transfer-Encoding: base64\r\n")
		_, rest, _ = strings.Cut(rest, "\r\n\r\n")
		rest, _, _ = strings.Cut(rest, "\r\n--")
		text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rest, "\r\n", ""))
		if err != nil {
			t.Fatalf("%d: %v in %q", c.action, err, rest)
		}
		for _, want := range c.text {
			if !strings.Contains(string(text), want) {
				t.Errorf("%d: the text does not say %q:\n%s", c.action, want, text)
			}
		}
	}
}

func TestReportTakesNoHarmFromWhatServersSay(t *testing.T) {
	r := report()
	r.MessageID = "<a@b>\r\nBcc: x@y.example"
	r.Recipients[0].Answer = "550 no\r\nAction: delivered\r\n\r\n" + strings.Repeat("\x00あ", 2000) + "\u202e"
	r.Recipients[0].Remote = "evil\r\nX: y"
	r.Recipients[0].Status = "2.0.0\r\nX: y"
	r.Recipients[0].Original, r.EnvID = "rfc822\r\nX: y;a", "a\r\nX: y"
	r.Header = bytes.Repeat([]byte("X-Long: "+strings.Repeat("v", 4000)+"\r\n"), 100)
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b.Bytes())
	for _, bad := range []string{"\r\nAction: delivered", "\r\nX: y", "\r\nBcc:"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q got in", bad)
		}
	}
	if b.Len() > 2*maxHeader {
		t.Errorf("%d octets are more than the bound of the header allows", b.Len())
	}
}

func TestNoticeNamesFailuresUpToABound(t *testing.T) {
	n := Notice{Hostname: "mx.town.example", To: []envelope.Address{{Local: "admin", Domain: "town.example"}}, Notice: "n1", Now: now}
	for range maxListed + 7 {
		n.Lost = append(n.Lost, Lost{ID: "m1", Recipient: Recipient{To: envelope.Address{Local: "x", Domain: "town.example"}, Status: "5.1.1"}})
	}
	var b bytes.Buffer
	if err := n.Write(&b); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b.Bytes())
	m, err := mail.ReadMessage(&b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), "x@town.example"); got != maxListed {
		t.Errorf("%d are named, want %d", got, maxListed)
	}
	if !strings.Contains(string(text), "And 7 more") {
		t.Errorf("the omitted ones are not counted:\n%s", text[len(text)-300:])
	}
}

func TestAutoSubmitted(t *testing.T) {
	for _, c := range []struct {
		header string
		want   bool
	}{
		{"Subject: x\r\n\r\n", false},
		{"Auto-Submitted: no\r\n\r\n", false},
		{"auto-submitted: No (really)\r\n\r\n", false},
		{"Auto-Submitted: auto-replied; x=y\r\n\r\n", true},
		{"Auto-Submitted: no\r\nAuto-Submitted: auto-generated\r\n\r\n", true},
		{"no header at all\r\n\r\n", true},
	} {
		if got := AutoSubmitted([]byte(c.header)); got != c.want {
			t.Errorf("AutoSubmitted(%q) = %v, want %v", c.header, got, c.want)
		}
	}
}

func TestAddressesOfOtherScriptsStay7Bit(t *testing.T) {
	r := report()
	r.Sender = envelope.Address{Local: "田中", Domain: "town.example"}
	r.Recipients[0].To = envelope.Address{Local: "鈴木+x", Domain: "xn--wgv71a.example"}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b.Bytes())
	if want := `Final-Recipient: utf-8; \x{9234}\x{6728}\x{2B}x@xn--wgv71a.example`; !strings.Contains(b.String(), want) {
		t.Errorf("no %s in\n%s", want, b.String())
	}
}

// FuzzReport: whatever a server or a sender says, the report stays a 7-bit mail
// with CRLF, in lines that may be sent, and of three parts.
func FuzzReport(f *testing.F) {
	f.Add("550 5.1.1 no", "5.1.1", "mx.example", "a", "b.example", []byte("A: b\r\n\r\n"), "<a@b>", uint8(0), "rfc822;a@b", "x+2B")
	f.Add("\r\n.\r\n", "5.1.1\r\n", "\r\n\r\n", "\"a b\"", "[1.2.3.4]", []byte("\n\r\n--x\r\n"), "<>", uint8(1), ";\r\n", "\r\n")
	f.Fuzz(func(t *testing.T, answer, status, remote, local, domain string, header []byte, id string, action uint8, orcpt, envid string) {
		r := report()
		r.Action, r.EnvID = Action(action), envid
		a := envelope.Address{Local: local, Domain: domain}
		r.Recipients = []Recipient{{To: a, Original: orcpt, Status: status, Answer: answer, Remote: remote, Last: now}}
		r.Header, r.MessageID, r.Sender = header, id, a
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, b.Bytes())
		m, err := mail.ReadMessage(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		mr := multipart.NewReader(m.Body, params["boundary"])
		n := 0
		for {
			if _, err := mr.NextRawPart(); err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d parts, want 3", n)
		}
	})
}

func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	for i, l := range bytes.SplitAfter(b, []byte("\n")) {
		if len(l) == 0 {
			continue
		}
		if !bytes.HasSuffix(l, []byte("\r\n")) || bytes.ContainsAny(l[:len(l)-2], "\r\x00") || len(l) > 1000 {
			t.Fatalf("line %d is %q", i+1, l)
		}
		for _, c := range l {
			if c >= 0x80 {
				t.Fatalf("line %d is not 7-bit: %q", i+1, l)
			}
		}
	}
}
