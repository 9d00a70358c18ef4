package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
	"sekisho/tenant"
)

func TestSessionDialogues(t *testing.T) {
	scripts, err := smtptest.Load("../testdata/dialog")
	if err != nil {
		t.Fatal(err)
	}
	cert := testCertificate(t)
	for _, s := range scripts {
		if _, session := s.Options["session"]; !session {
			continue
		}
		for _, side := range []string{"clear", "tls"} {
			t.Run(s.Name+"/"+side, func(t *testing.T) {
				g := newGateway(t, &cert, nil)
				err := s.Play(smtptest.Player{
					Conn: g.dial(t, s.Options["listener"]), TLS: side == "tls", Patience: 10 * time.Second,
					Messages: func() []smtptest.Message { return g.messages(t) }, Answer: enhanced,
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// speak sends commands one by one and returns the answers' first lines.
func speak(t testing.TB, c net.Conn, cmds ...string) []string {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	k := &reader{t: t, c: c}
	answers := []string{k.answer()}
	for _, cmd := range cmds {
		if _, err := fmt.Fprintf(c, "%s\r\n", cmd); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, k.answer())
	}
	return answers
}

type reader struct {
	t   testing.TB
	c   net.Conn
	buf []byte
}

func (r *reader) answer() string {
	r.t.Helper()
	for {
		for {
			i := bytes.IndexByte(r.buf, '\n')
			if i < 0 {
				break
			}
			l := string(r.buf[:i-1])
			r.buf = r.buf[i+1:]
			if l[3] == ' ' {
				return l
			}
		}
		b := make([]byte, 4096)
		n, err := r.c.Read(b)
		r.buf = append(r.buf, b[:n]...)
		if n == 0 && err != nil {
			return err.Error()
		}
	}
}

const oneMessage = "Subject: secret subject\r\nFrom: <a@partner.example>\r\nMessage-ID: <1@partner.example>\r\n\r\nsecret body\r\n."

func TestOneTransactionIsSplit(t *testing.T) {
	type group struct {
		tenant, profile string
		treatment       envelope.Treatment
		to              string
	}
	for _, c := range []struct {
		name, listener, from string
		one                  bool // a single tenant
		to                   []string
		want                 []group
	}{
		{"from the internet to two tenants", "mx", "a@partner.example", false,
			[]string{"soumu@town.example", "x@village.example", "kikaku@town.example"},
			[]group{{"town", "default", envelope.Rebuild, "soumu@town.example kikaku@town.example"}, {"village", "strict", envelope.Rebuild, "x@village.example"}}},
		{"one recipient twice", "mx", "a@partner.example", false,
			[]string{"soumu@town.example", "soumu@TOWN.example"},
			[]group{{"town", "default", envelope.Rebuild, "soumu@town.example"}}},
		{"from the internet segment", "office", "tanaka@town.example", false,
			[]string{"soumu@town.example", "x@outside.example", "y@other.lg.jp"},
			[]group{{"town", "default", envelope.Rebuild, "soumu@town.example y@other.lg.jp"}, {"town", "default", envelope.Pass, "x@outside.example"}}},
		{"from inside to everybody", "inside", "soumu@town.example", false,
			[]string{"x@outside.example", "y@other.lg.jp", "z@village.example"},
			[]group{{"town", "default", envelope.Pass, "x@outside.example y@other.lg.jp"}, {"village", "strict", envelope.Rebuild, "z@village.example"}}},
		{"from inside to itself, several tenants: the sender proves nothing", "inside", "soumu@town.example", false,
			[]string{"kikaku@town.example"},
			[]group{{"town", "default", envelope.Rebuild, "kikaku@town.example"}}},
		{"from inside to itself, a sole tenant", "inside", "soumu@town.example", true,
			[]string{"kikaku@town.example"},
			[]group{{"town", "default", envelope.Pass, "kikaku@town.example"}}},
		{"between LGWAN bodies", "lgwan-ss", "a@city.other.lg.jp", false,
			[]string{"soumu@town.example", "x@village.example"},
			[]group{{"town", "default", envelope.Pass, "soumu@town.example"}, {"village", "strict", envelope.Pass, "x@village.example"}}},
		{"one tenant's name by way of LGWAN to another", "lgwan-ss", "a@village.example", false,
			[]string{"soumu@town.example"},
			[]group{{"town", "default", envelope.Rebuild, "soumu@town.example"}}},
		{"a report from inside is the tenant's whose server it is", "inside", "", false,
			[]string{"x@outside.example"},
			[]group{{"village", "strict", envelope.Pass, "x@outside.example"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t, nil, func(s *Server) {
				if c.one {
					d, table := testDirectory(t, true)
					s.Tenants = func() *tenant.Directory { return d }
					s.Table = func() *routing.Table { return table }
				}
			})
			cmds := []string{"EHLO mail.village.example", "MAIL FROM:<" + c.from + ">"}
			for _, to := range c.to {
				cmds = append(cmds, "RCPT TO:<"+to+">")
			}
			answers := speak(t, g.dial(t, c.listener), append(cmds, "DATA", oneMessage)...)
			if last := answers[len(answers)-1]; !strings.HasPrefix(last, "250 2.0.0 OK id=") {
				t.Fatalf("answers %q", answers)
			}
			es := g.entries(t)
			if len(es) != len(c.want) {
				t.Fatalf("%d entries, wanted %d: %+v", len(es), len(c.want), es)
			}
			for _, w := range c.want {
				found := false
				for _, e := range es {
					v := e.Envelope
					got := group{string(v.Tenant), string(v.Profile), v.Treatment, ""}
					var to []string
					for _, a := range v.To {
						to = append(to, a.String())
					}
					got.to = strings.Join(to, " ")
					found = found || got == w
					if v.Subject != "secret subject" || v.HeaderFrom != "<a@partner.example>" || v.MessageID != "<1@partner.example>" {
						t.Errorf("header values %q, %q, %q", v.Subject, v.HeaderFrom, v.MessageID)
					}
					if e.State != spool.Received || v.Peer.Listener != c.listener || v.Peer.Addr != netip.MustParseAddr("127.0.0.1") || v.Peer.Protocol != "ESMTP" {
						t.Errorf("state %s, peer %+v", e.State, v.Peer)
					}
				}
				if !found {
					t.Errorf("no entry %+v among %+v", w, es)
				}
			}
		})
	}
}

func TestStorageTroubleIsTemporary(t *testing.T) {
	tx := []string{"EHLO c.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example>", "DATA", oneMessage}
	g := newGateway(t, nil, nil)
	g.blobs.broken.Store(true)
	a := speak(t, g.dial(t, "mx"), tx...)
	if got := a[len(a)-1]; !strings.HasPrefix(got, "451 4.3.0 ") || strings.Contains(got, "input/output") {
		t.Errorf("commit failed: answer %q, wanted a bland 451", got)
	}
	if n := len(g.entries(t)); n != 0 {
		t.Errorf("commit failed: %d entries", n)
	}
	if !strings.Contains(g.log.String(), "input/output error") {
		t.Error("commit failed: the log does not say why")
	}
	g.blobs.broken.Store(false)
	g.blobs.full.Store(true)
	a = speak(t, g.dial(t, "mx"), tx[:2]...)
	if got := a[2]; !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("disk nearly full: answer to MAIL %q, wanted 452", got)
	}
	g.blobs.full.Store(false)
	a = speak(t, g.dial(t, "mx"), tx...)
	if got := a[len(a)-1]; !strings.HasPrefix(got, "250 ") {
		t.Errorf("after it: answer %q, wanted 250", got)
	}
}

func TestMessagesAMinuteAreBounded(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	g := newGateway(t, nil, func(s *Server) {
		s.Limits.MessagesPerMinutePerAddress = 3
		s.Limits.MessagesPerMinutePerTenant = 4
		s.Now = clock
	})
	mail := func(listener string) []string {
		return speak(t, g.dial(t, listener), "EHLO c.example", "MAIL FROM:<soumu@town.example>", "RCPT TO:<soumu@town.example>")
	}
	for range 3 {
		if a := mail("mx"); !strings.HasPrefix(a[2], "250") || !strings.HasPrefix(a[3], "250") {
			t.Fatalf("answers %q", a)
		}
	}
	if a := mail("mx"); !strings.HasPrefix(a[2], "452 4.7.0") {
		t.Errorf("fourth message of an address: %q, wanted 452", a[2])
	}
	// A named peer has no rate of its own, but its tenant has.
	if a := mail("inside"); !strings.HasPrefix(a[3], "250") {
		t.Errorf("named peer: %q", a)
	}
	if a := mail("inside"); !strings.HasPrefix(a[3], "452 4.7.0") {
		t.Errorf("fifth message to a tenant: %q, wanted 452", a[3])
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if a := mail("mx"); !strings.HasPrefix(a[3], "250") {
		t.Errorf("a minute later: %q", a)
	}
}

func TestPeerThatFillsTheQuarantineWaits(t *testing.T) {
	g := newGateway(t, nil, func(s *Server) {
		s.Listeners = append(s.Listeners, ListenerConfig{Name: "cloud", Zone: envelope.Internet, Listen: []string{"127.0.0.1:0"}, Peers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	})
	e := &envelope.Envelope{Peer: envelope.Peer{Addr: netip.MustParseAddr("127.0.0.1")}, Size: 20 << 20}
	for range 9 {
		g.Held(e)
	}
	if a := speak(t, g.dial(t, "mx"), "EHLO c.example", "MAIL FROM:<>"); !strings.HasPrefix(a[2], "250") {
		t.Errorf("180 MiB held: %q, wanted 250", a[2])
	}
	g.Held(e)
	if a := speak(t, g.dial(t, "mx"), "EHLO c.example", "MAIL FROM:<>"); !strings.HasPrefix(a[2], "452 4.7.0") {
		t.Errorf("200 MiB held: %q, wanted 452", a[2])
	}
	// Servers that the configuration names bring the mail of many.
	for _, listener := range []string{"inside", "office", "lgwan-ss", "cloud"} {
		if a := speak(t, g.dial(t, listener), "EHLO c.example", "MAIL FROM:<>"); !strings.HasPrefix(a[2], "250") {
			t.Errorf("%s: %q, wanted 250", listener, a[2])
		}
	}
}

// TestAListThatOtherHandsChangedRefusesNobodyForGood: who is reached is not
// known, so nobody is accepted and nobody told that he does not exist.
func TestAListThatOtherHandsChangedRefusesNobodyForGood(t *testing.T) {
	g := newGateway(t, nil, nil)
	d := g.Tenants()
	owner := d.All()[0]
	fixed := owner
	fixed.RecipientsFile, fixed.Recipients = "", tenant.NewRecipients(nil).Doubted()
	doubted, err := tenant.New([]tenant.Tenant{fixed})
	if err != nil {
		t.Fatal(err)
	}
	g.Server.Tenants = func() *tenant.Directory { return doubted }
	domain := fixed.Domains[0]
	a := speak(t, g.dial(t, "mx"), "EHLO c.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@"+domain+">", "RCPT TO:<nobody@"+domain+">", "RCPT TO:<postmaster@"+domain+">")
	for i, want := range []string{"451 4.3.0", "451 4.3.0", "250"} {
		if !strings.HasPrefix(a[3+i], want) {
			t.Errorf("recipient %d: %q, wanted %s", i, a[3+i], want)
		}
	}
}

func TestLogHasNoSubjectNoBodyAndNoControlCharacters(t *testing.T) {
	g := newGateway(t, nil, nil)
	speak(t, g.dial(t, "mx"), "EHLO c.example", "MAIL FROM:<"+strings.Repeat("a", 200)+"@partner.example>", "RCPT TO:<nosuch@town.example>",
		"RCPT TO:<soumu@town.example>", "DATA", oneMessage)
	log := g.log.String()
	if strings.Contains(log, "secret") {
		t.Errorf("subject or body in the log: %s", log)
	}
	for _, want := range []string{`"msg":"received"`, `"rule":"smtp.unknown_recipient"`, `"to":"soumu@town.example"`} {
		if !strings.Contains(log, want) {
			t.Errorf("log has no %s: %s", want, log)
		}
	}
	if got := untrusted("a\r\nb\x1b[2J\u202e").LogValue().String(); strings.ContainsAny(got, "\r\n\x1b\u202e") {
		t.Errorf("untrusted text logged as %q", got)
	}
}

func TestListenersThatWouldTrustEverybodyAreRefused(t *testing.T) {
	d, table := testDirectory(t, false)
	sp, _ := openSpool(t)
	for _, c := range []struct {
		name string
		cfg  ListenerConfig
	}{
		{"zone lgwan without networks", ListenerConfig{Name: "x", Zone: envelope.LGWAN, Listen: []string{"127.0.0.1:0"}}},
		{"zone internet-segment without networks", ListenerConfig{Name: "x", Zone: envelope.InternetSegment, Listen: []string{"127.0.0.1:0"}}},
		{"unknown zone", ListenerConfig{Name: "x", Zone: 9, Listen: []string{"127.0.0.1:0"}}},
	} {
		s := &Server{Hostname: "mx.town.example", Listeners: []ListenerConfig{c.cfg}, Limits: DefaultLimits(), Spool: sp,
			Tenants: func() *tenant.Directory { return d }, Table: func() *routing.Table { return table }, Log: discard}
		if err := s.Listen(); err == nil {
			t.Errorf("%s: accepted", c.name)
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestShutdownLetsTheMessageInHandEnd(t *testing.T) {
	g := newGateway(t, nil, nil)
	c := g.dial(t, "mx")
	defer c.Close()
	if a := speak(t, c, "EHLO c.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example>", "DATA"); !strings.HasPrefix(a[4], "354") {
		t.Fatalf("answers %q", a)
	}
	io.WriteString(c, "Subject: t\r\n\r\nhalf")
	stopped := make(chan error, 1)
	go func() { stopped <- g.Shutdown(t.Context()) }()
	for {
		// No connection is taken any more once the shutdown has begun.
		late, err := net.Dial("tcp", g.Addrs("mx")[0].String())
		if err != nil {
			break
		}
		late.Close()
	}
	io.WriteString(c, " and the rest\r\n.\r\n")
	b, _ := io.ReadAll(c)
	c.Close()
	if got := string(b); !strings.HasPrefix(got, "250 2.0.0 OK id=") || !strings.Contains(got, "\r\n421 4.3.2 ") {
		t.Errorf("answers %q, wanted 250 and 421", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if n := len(g.entries(t)); n != 1 {
		t.Errorf("%d entries, wanted 1", n)
	}
}

func TestTopBlock(t *testing.T) {
	for _, c := range []struct {
		name, in                 string
		received, own            int
		from, messageID, subject string
	}{
		{"usual", "Received: from a by b;\r\n c\r\nFrom: a@b\r\nSubject: one\r\n two\r\nMESSAGE-ID : <1>\r\n\r\nFrom: body\r\n", 1, 0, "a@b", "<1>", "one two"},
		{"first counts", "From: a\r\nFrom: b\r\n\r\n", 0, 0, "a", "", ""},
		{"ours", "Received: by MX.town.example; x\r\nReceived: from mx.town.example\r\nReceived: x (by mx.town.example.evil)\r\n\tby mx.town.example\r\n\r\n", 3, 2, "", "", ""},
		{"no end", "Received: a\r\nSubject: x", 1, 0, "", "", "x"},
		{"no header", "\r\nReceived: a\r\n", 0, 0, "", "", ""},
		{"cut", "Subject: " + strings.Repeat("s", 5000) + "\r\n\r\n", 0, 0, "", "", strings.Repeat("s", 998)},
		{"too big", strings.Repeat("X: y\r\n", 3000) + "Received: a\r\n\r\n", 0, 0, "", "", ""},
	} {
		for _, chunk := range []int{1, 2, 7, 1 << 20} {
			top := newTopBlock("mx.town.example")
			for b := []byte(c.in); len(b) > 0; {
				n := min(chunk, len(b))
				top.Write(b[:n])
				b = b[n:]
			}
			top.end()
			if top.received != c.received || top.own != c.own || top.from != c.from || top.messageID != c.messageID || top.subject != c.subject {
				t.Errorf("%s, chunks of %d: got %d, %d, %q, %q, %q", c.name, chunk, top.received, top.own, top.from, top.messageID, top.subject)
			}
		}
	}
}

// Plain text goes before documents (spool.Headstart); what else a header says is
// more than that.
func TestTopBlockTellsPlainTextByItsHeader(t *testing.T) {
	for in, rich := range map[string]bool{
		"Subject: none\r\n\r\nContent-Type: text/html\r\n":                          false,
		"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n":                     false,
		"CONTENT-TYPE :\r\n TEXT/PLAIN\r\n\r\n":                                     false,
		"Content-Type: text/html\r\n\r\n":                                           true,
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n":                         true,
		"Content-Type: text\r\n\r\n":                                                true,
		"Content-Type: text/plain\r\nContent-Type: multipart/mixed\r\nX: y\r\n\r\n": true,
	} {
		top := newTopBlock("mx.town.example")
		top.Write([]byte(in))
		top.end()
		if top.rich != rich {
			t.Errorf("%q: more than plain text is %v", in, top.rich)
		}
	}
}

// A text waits behind no document of the last minute, whoever sent it.
func TestAShortTextIsDueBeforeADocument(t *testing.T) {
	g := newGateway(t, nil, nil)
	for _, header := range []string{"Content-Type: multipart/mixed; boundary=a", "Subject: text"} {
		c := g.dial(t, "inside")
		got := speak(t, c, "EHLO a.example", "MAIL FROM:<soumu@town.example>", "RCPT TO:<soumu@town.example>", "DATA", header+"\r\n\r\nx\r\n.")
		if last := got[len(got)-1]; !strings.HasPrefix(last, "250") {
			t.Fatalf("answers %q", got)
		}
	}
	for _, e := range g.entries(t) {
		if lead := e.Envelope.Received.Sub(e.Due).Round(10 * time.Second); (e.Envelope.Subject == "text") != (lead == spool.Headstart) {
			t.Errorf("%q is due %s before it came", e.Envelope.Subject, lead)
		}
	}
}

// What the sender asked to be told goes with the entry, under its seal, and
// with the recipients that it was said of.
func TestWishesOfTheSenderAreSealed(t *testing.T) {
	g := newGateway(t, nil, nil)
	c := g.dial(t, "inside")
	got := speak(t, c, "EHLO a.example", "MAIL FROM:<soumu@town.example> RET=HDRS ENVID=q+2B1",
		"RCPT TO:<x@outside.example> NOTIFY=NEVER ORCPT=rfc822;z@outside.example", "RCPT TO:<y@outside.example>",
		"RCPT TO:<soumu@town.example> NOTIFY=SUCCESS", "DATA", "Subject: t\r\n\r\nx\r\n.")
	if last := got[len(got)-1]; !strings.HasPrefix(last, "250") {
		t.Fatalf("answers %q", got)
	}
	x, own := envelope.Address{Local: "x", Domain: "outside.example"}, envelope.Address{Local: "soumu", Domain: "town.example"}
	seen := 0
	for _, e := range g.entries(t) {
		d := e.Envelope.DSN
		if d == nil || d.Return != "HDRS" || d.EnvID != "q+2B1" {
			t.Fatalf("entry for %v asks %+v", e.Envelope.To, d)
		}
		for _, a := range e.Envelope.To {
			want := envelope.RecipientDSN{To: a}
			switch a {
			case x:
				want.Notify, want.Original = envelope.NotifyNever, "rfc822;z@outside.example"
			case own:
				want.Notify = envelope.NotifySuccess
			}
			if got := d.Of(a); got != want {
				t.Errorf("%s: %+v, want %+v", a, got, want)
			}
			seen++
		}
		for _, r := range d.To {
			if !slices.Contains(e.Envelope.To, r.To) {
				t.Errorf("the entry for %v holds a wish about %s", e.Envelope.To, r.To)
			}
		}
		if err := g.spool.CheckIntake(e); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*envelope.DSN){
			"RET":            func(d *envelope.DSN) { d.Return = "FULL" },
			"ENVID":          func(d *envelope.DSN) { d.EnvID = "q" },
			"NOTIFY":         func(d *envelope.DSN) { d.To = []envelope.RecipientDSN{{To: x, Notify: envelope.NotifySuccess}} },
			"all taken away": nil,
			"a recipient more": func(d *envelope.DSN) {
				d.To = append(slices.Clone(d.To), envelope.RecipientDSN{To: x, Original: "a;b"})
			},
		} {
			changed, copied := e, *d
			if changed.Envelope.DSN = &copied; change == nil {
				changed.Envelope.DSN = nil
			} else {
				change(&copied)
			}
			if err := g.spool.CheckIntake(changed); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s changed: %v, want tampered", name, err)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d recipients, want 3", seen)
	}
}

// RFC 8689, 2: it is offered where the promise can be kept and its failure told,
// to senders inside, and only over a connection that has TLS itself.
func TestREQUIRETLSIsForSendersInsideUnderTLS(t *testing.T) {
	cert := testCertificate(t)
	g := newGateway(t, &cert, nil)
	for _, c := range []struct {
		listener string
		tls      bool
		offered  bool
	}{{"mx", false, false}, {"mx", true, false}, {"inside", false, false}, {"inside", true, true}, {"office", true, true}} {
		raw := g.dial(t, c.listener)
		lines := []string{"EHLO c.example"}
		if c.tls {
			// What it answers to STARTTLS is the third.
			speakOn(t, raw, "EHLO c.example", "STARTTLS")
			secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
			if err := secure.Handshake(); err != nil {
				t.Fatal(err)
			}
			raw = secure
		}
		answers := ehloAndMail(t, raw, !c.tls, append(lines, "MAIL FROM:<soumu@town.example> REQUIRETLS"))
		offered := strings.Contains(answers[0], "REQUIRETLS")
		taken := strings.HasPrefix(answers[1], "250")
		if offered != c.offered || taken != c.offered {
			t.Errorf("%s, TLS %v: offered %v, taken %v: %q", c.listener, c.tls, offered, taken, answers)
		}
		raw.Close()
	}
}

// speakOn says lines on a connection that has not been greeted, and reads an
// answer to each and the greeting.
func speakOn(t *testing.T, c net.Conn, lines ...string) {
	t.Helper()
	ehloAndMail(t, c, true, lines)
}

// ehloAndMail says lines one by one and returns their whole answers.
func ehloAndMail(t *testing.T, c net.Conn, greeted bool, lines []string) (answers []string) {
	t.Helper()
	b := make([]byte, 1)
	hear := func() (s string) {
		for line := ""; ; {
			if _, err := c.Read(b); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			s, line = s+string(b), line+string(b)
			if b[0] == '\n' {
				if len(line) > 3 && line[3] == ' ' {
					return s
				}
				line = ""
			}
		}
	}
	if greeted {
		hear()
	}
	for _, l := range lines {
		if _, err := io.WriteString(c, l+"\r\n"); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, hear())
	}
	return answers
}
