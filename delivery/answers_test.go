package delivery_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/spool"
)

// speaker is a server that answers commands by a table and does in DATA what a
// test says; it is for what no server may do.
func speaker(t *testing.T, ehlo, data string, body func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				say := func(s string) { c.Write([]byte(s)) }
				say("220 x\r\n")
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					switch {
					case strings.HasPrefix(line, "EHLO"):
						say(ehlo)
					case strings.HasPrefix(line, "DATA"):
						say(data)
						body(c, r)
						return
					case strings.HasPrefix(line, "QUIT"):
						say("221 bye\r\n")
						return
					default:
						say("250 ok\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// readBody reads a message to its dot and reports whether there was one.
func readBody(r *bufio.Reader) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			return true
		}
	}
}

// What a server says before it has the message is no answer to it. One that
// says a line too much to DATA, and no to the message itself, would otherwise
// count as having taken it.
func TestAnAnswerBeforeTheDotIsNone(t *testing.T) {
	for name, ehlo := range map[string]string{"one by one": "250 x\r\n", "in one flight": "250-x\r\n250 PIPELINING\r\n"} {
		t.Run(name, func(t *testing.T) {
			dotted := make(chan bool, 1)
			w := local(t, speaker(t, ehlo, "354 go on\r\n250 ok\r\n", func(c net.Conn, r *bufio.Reader) {
				whole := readBody(r)
				if whole {
					c.Write([]byte("554 5.7.1 no\r\n"))
				}
				dotted <- whole
			}))
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			w.run(id)
			if e := w.entry(id); e.State != spool.Queued || len(e.Pending) != 1 {
				t.Errorf("%s with %v pending, want Queued with one; log:\n%s", e.State, e.Pending, w.log)
			}
			if <-dotted {
				t.Error("the message was sent to its end")
			}
		})
	}
}

// The same while the message is being sent, which is what the line between 354
// and the answer may be late for. It is said in clear and under TLS, where a
// ticket of the server's is no word of his. RFC 5321, 4.3.1.
func TestAnAnswerDuringTheMessageIsNone(t *testing.T) {
	big := simple + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 20_000)
	ca := newAuthority(t)
	for _, c := range []struct {
		name   string
		server *tls.Config
		said   string
		want   string
	}{
		{"in clear", nil, "250 2.0.0 taken\r\n", "deferred"},
		{"under TLS", ca.server(t), "250 2.0.0 taken\r\n", "deferred"},
		{"half a line", nil, "25", "deferred"},
		{"a no", nil, "554 5.7.1 seen enough\r\n", "bounced"},
		{"nothing, in clear", nil, "", "sent"},
		{"nothing, under TLS", ca.server(t), "", "sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startSink(t, &smtptest.Sink{TLS: c.server, Script: func(call smtptest.Call) smtptest.Act {
				switch {
				case call.Stage == smtptest.StageBody && c.said != "":
					return smtptest.Act{Early: c.said, After: 1000}
				case call.Stage == smtptest.StageFinal && c.said != "":
					return smtptest.Act{Reply: "554 5.7.1 no"}
				}
				return smtptest.Act{}
			}})
			w := newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}}}, []routing.Route{{Domain: "town.example", Hop: "town-mail"}})
			// The wire holds less than the message, so that the sink's word is
			// there before the end of it is on its way.
			dial := w.d.Dial
			w.d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				if t, ok := c.(*net.TCPConn); ok {
					err = t.SetWriteBuffer(32 << 10)
				}
				return c, err
			}
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: big})
			w.run(id)
			got := "deferred"
			if acts, _ := w.acts(id); len(acts) > 0 {
				got = acts[0]
			}
			if got != c.want {
				t.Errorf("%s, want %s; log:\n%s", got, c.want, w.log)
			}
			if c.want == "sent" {
				return
			}
			if s.Count() != 0 || strings.Contains(w.log.String(), "may be delivered twice") {
				t.Errorf("%d came to their end; log:\n%s", s.Count(), w.log)
			}
		})
	}
}

// A yes that comes while the end of the message is on its way is one to a
// message that the server cannot have: its kernel has not said that the dot is
// there. A no counts all the same.
func TestAnAnswerThatOvertakesTheDotIsNone(t *testing.T) {
	big := simple + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 3000)
	for name, c := range map[string]struct {
		answer string
		want   spool.State
	}{
		"a yes": {"250 2.0.0 taken\r\n", spool.Queued},
		"a no":  {"554 5.7.1 seen enough\r\n", spool.Done},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent, over := make(chan struct{}), make(chan struct{})
			t.Cleanup(func() { close(over) })
			w := local(t, speaker(t, "250 x\r\n", "354 go on\r\n", func(conn net.Conn, r *bufio.Reader) {
				// Nothing is read: what the socket here does not hold stays in the
				// one over there, and with it the dot.
				<-sent
				conn.Write([]byte(c.answer))
				<-over
			}))
			dial := w.d.Dial
			w.d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				tcp := conn.(*net.TCPConn)
				return &dotted{TCPConn: tcp, sent: sync.OnceFunc(func() { close(sent) })}, tcp.SetWriteBuffer(1 << 20)
			}
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: big})
			w.run(id)
			if e := w.entry(id); e.State != c.want {
				t.Errorf("%s, want %s; log:\n%s", e.State, c.want, w.log)
			}
			if warned := strings.Contains(w.log.String(), "may be delivered twice"); warned != (c.want == spool.Queued) {
				t.Errorf("warned of a copy: %v; log:\n%s", warned, w.log)
			}
		})
	}
}

// dotted is a connection that tells when the end of a message was handed over.
type dotted struct {
	*net.TCPConn
	sent func()
}

func (d *dotted) Write(p []byte) (int, error) {
	n, err := d.TCPConn.Write(p)
	if bytes.HasSuffix(p, []byte("\r\n.\r\n")) {
		d.sent()
	}
	return n, err
}

// A server that has seen enough of a message says so and closes. To send the
// same for five days would change nothing; an answer for now is for now.
func TestARefusalInTheMiddleOfAMessageCounts(t *testing.T) {
	big := simple + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 200_000)
	for _, c := range []struct {
		name, answer string
		want         spool.State
	}{
		{"for good", "552 5.3.4 too big for us\r\n", spool.Done},
		{"for now", "421 4.3.2 closing\r\n", spool.Queued},
		{"yes to half a message", "250 2.0.0 that will do\r\n", spool.Queued},
		{"no answer", "", spool.Queued},
		{"noise", "\x00\x00\x00\r\n", spool.Queued},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := local(t, speaker(t, "250 x\r\n", "354 go on\r\n", func(conn net.Conn, r *bufio.Reader) {
				for range 1000 {
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
				}
				conn.Write([]byte(c.answer))
			}))
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: big})
			w.run(id)
			e := w.entry(id)
			if e.State != c.want || strings.Contains(w.log.String(), "may be delivered twice") {
				t.Errorf("%s, want %s; log:\n%s", e.State, c.want, w.log)
			}
			acts, details := w.acts(id)
			if c.want == spool.Done && (len(acts) != 1 || acts[0] != "bounced" || !strings.Contains(details[0], "552 5.3.4 too big for us")) {
				t.Errorf("%v %v", acts, details)
			}
		})
	}
}

// Answers without end, and answers to nothing, cost one try and little memory,
// and nobody counts as served.
func TestAnswersThatNeverEnd(t *testing.T) {
	flood := func(line string, n int) string { return strings.Repeat(line, n) }
	for name, ehlo := range map[string]string{
		"extensions by the thousand":  flood("250-X-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n", 100_000),
		"a line without end":          "250 " + flood("x", 1<<20),
		"a line of 3000":              "250-" + flood("x", 3000) + "\r\n250 x\r\n",
		"empty lines":                 flood("\r\n", 10),
		"two codes in one answer":     "250-x\r\n251 x\r\n",
		"another answer behind it":    "250 x\r\n250 x\r\n",
		"half an answer behind it":    "250 x\r\n25",
		"a code of four digits":       "2500 x\r\n",
		"a code with a sign":          "+50 x\r\n",
		"a code of letters":           "abc x\r\n",
		"no space behind the code":    "250x\r\n",
		"an answer of another format": "* OK IMAP4rev1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := local(t, speaker(t, ehlo, "354 go on\r\n", func(c net.Conn, r *bufio.Reader) {
				readBody(r)
				c.Write([]byte("250 ok\r\n"))
			}))
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			w.run(id)
			if e := w.entry(id); e.State != spool.Queued || len(e.Pending) != 1 {
				t.Errorf("%s with %v pending, want Queued with one; log:\n%s", e.State, e.Pending, w.log)
			}
		})
	}
}

// An offer made in clear counts for nothing under TLS, and a server that takes
// its offer back is not believed where TLS is required.
func TestTLSIsNotTalkedAway(t *testing.T) {
	for name, ehlo := range map[string]string{
		"not offered":           "250-x\r\n250 PIPELINING\r\n",
		"offered by half":       "250-x\r\n250 STARTTL\r\n",
		"offered in a sentence": "250-x\r\n250 X STARTTLS\r\n",
		"offered and refused":   "250-x\r\n250 STARTTLS\r\n", // the speaker says 250, which is no 220
		"HELO only":             "500 what\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := speaker(t, ehlo, "354 go on\r\n", func(c net.Conn, r *bufio.Reader) {
				readBody(r)
				c.Write([]byte("250 ok\r\n"))
			})
			w := newWorld(t, []routing.Hop{{Name: "strict", Network: 2, Hosts: []string{s}, TLS: "require"}}, []routing.Route{{Domain: "town.example", Hop: "strict"}})
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
			w.run(id)
			if e := w.entry(id); e.State != spool.Queued || len(e.Pending) != 1 {
				t.Errorf("%s with %v pending, want Queued with one; log:\n%s", e.State, e.Pending, w.log)
			}
		})
	}
}
