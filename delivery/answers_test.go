package delivery_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

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
