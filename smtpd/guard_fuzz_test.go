package smtpd

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho/internal/smtptest"
)

// tape is a peer that says what it has to say and is gone.
type tape struct {
	in    []byte
	stops []int // lengths of the groups after which it waits
	chunk int
	out   bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	if len(p) > c.chunk {
		p = p[:c.chunk]
	}
	// A peer that waits for an answer sends no more until it is there, and
	// whoever reads does so because the answers are out.
	if len(c.stops) > 0 && len(p) > c.stops[0] {
		p = p[:c.stops[0]]
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	if len(c.stops) > 0 {
		if c.stops[0] -= n; c.stops[0] == 0 {
			c.stops = c.stops[1:]
		}
	}
	return n, nil
}
func (c *tape) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// watched is the guard as the library sees it, with a look at every command
// line that the library is given.
type watched struct {
	*Guard
	t     testing.TB
	mails int
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Guard.Read(p)
	if w.state == stateAnswer && n > 0 {
		line := string(p[:n])
		switch {
		case line == mailForLibrary:
			w.mails++
		case line == rcptForLibrary, line == "DATA\r\n", line == "RSET\r\n", line == "QUIT\r\n":
		case strings.HasPrefix(line, "EHLO ") || strings.HasPrefix(line, "HELO "):
			if _, ok := heloName(strings.TrimSuffix(line[5:], "\r\n")); !ok {
				w.t.Errorf("the library was given %q", line)
			}
		default:
			w.t.Errorf("the library was given %q", line)
		}
	}
	return n, err
}

type once struct {
	c    net.Conn
	done chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	if c := l.c; c != nil {
		l.c = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *once) Close() error   { return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

// playTape runs a session over what a peer sends, and returns the messages
// taken, the number of MAIL commands that came through, and the answers.
func playTape(t testing.TB, in []byte, stops []int, chunk int) ([]smtptest.Message, int, string) {
	limits := DefaultLimits()
	limits.ErrorDelay = 0
	limits.DataLine = 300 // so that the fuzzer gets there
	limits.MessageSize = 3000
	tp := &tape{in: in, stops: stops, chunk: chunk}
	end := make(chan struct{})
	w := &watched{t: t}
	w.Guard = newGuard(tp, netip.MustParseAddr("192.0.2.1"), guardConfig{
		hostname: "mx.town.example", limits: limits, log: discard,
		closing: func(*Guard) { close(end) },
	})
	var mu sync.Mutex
	var got []smtptest.Message
	srv := newLibrary(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &takes{g: c.Conn().(*watched).Guard, mu: &mu, got: &got}, nil
	}), "mx.town.example", limits, discard)
	l := &once{c: w, done: make(chan struct{})}
	served := make(chan struct{})
	go func() { srv.Serve(l); close(served) }()
	<-end
	close(l.done)
	<-served
	srv.Shutdown(t.Context()) // waits for the session's goroutine
	return got, w.mails, tp.out.String()
}

// FuzzSession: whatever a peer sends, in whatever pieces, the library sees no
// line that the guard did not make, no message is taken that no CRLF.CRLF
// ended, and no taken message has a bare CR or LF.
func FuzzSession(f *testing.F) {
	tx := "EHLO a.example\r\nMAIL FROM:<a@partner.example>\r\nRCPT TO:<soumu@town.example>\r\n"
	for _, s := range []string{
		"EHLO a.example\r\nQUIT\r\n",
		"HELO a.example\r\nMAIL FROM:<a@partner.example>\r\nRCPT TO:<soumu@town.example>\r\nDATA\r\n",
		tx + "DATA\r\nSubject: t\r\n\r\nx\r\n.\r\nMAIL FROM:<b@partner.example>\r\n",
		tx + "DATA\r\nx\n.\nMAIL FROM:<b@partner.example>\r\n.\r\n",
		tx + "BDAT 10 LAST\r\nMAIL FROM:<x@y.example>\r\n",
		"EHLO a.example\r\nSTARTTLS\r\nMAIL FROM:<x@y.example>\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"EHLO \xff\x00\x1b\r\n",
	} {
		f.Add([]byte(s), 1)
		f.Add([]byte(s), 7)
		f.Add([]byte(s), 4096)
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk int) {
		got, mails, said := playTape(t, in, nil, max(chunk, 1))
		if ends := bytes.Count(in, []byte("\r\n.\r\n")); len(got) > ends {
			t.Errorf("%d messages out of %d ends", len(got), ends)
		}
		if lines := bytes.Count(bytes.ToUpper(in), []byte("MAIL")); mails > lines {
			t.Errorf("%d MAIL commands out of %d", mails, lines)
		}
		for _, m := range got {
			if bad := bareEnd(m.Data); bad >= 0 {
				t.Errorf("bare CR or LF at %d of %q", bad, m.Data)
			}
		}
		for _, l := range strings.SplitAfter(said, "\r\n") {
			if l != "" && (len(l) < 6 || !strings.HasSuffix(l, "\r\n") || strings.ContainsAny(l[:len(l)-2], "\r\n\x00\x1b")) {
				t.Errorf("answer %q", l)
			}
		}
	})
}

func bareEnd(b []byte) int {
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') || c == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			return i
		}
	}
	return -1
}

// wanted is what must become of a message, written without a state machine:
// the content as the session must get it, or the code it is refused with.
func wanted(body string, lineLimit, sizeLimit int) (string, int) {
	for i := 0; i < len(body); i++ {
		if body[i] == '\r' && (i+1 == len(body) || body[i+1] != '\n') {
			return "", 550
		}
	}
	var out strings.Builder
	clean := true // the line before ended in CRLF
	for body != "" {
		line, rest, _ := strings.Cut(body, "\n")
		crlf := strings.HasSuffix(line, "\r")
		line = strings.TrimSuffix(line, "\r")
		body = rest
		if line == "." && clean && crlf {
			panic("the end is not in the body")
		}
		if strings.HasPrefix(line, ".") && line != "." {
			line = line[1:]
		}
		out.WriteString(line + "\r\n")
		clean = crlf
	}
	return out.String(), 0
}

// FuzzData: a message between 354 and the first CRLF.CRLF is one message or
// none, it is given to the session as the standard says, its refusal has the
// right code, nothing of it is run, and the session goes on behind it.
func FuzzData(f *testing.F) {
	for _, s := range []string{
		"", "x", "Subject: t\r\n\r\nx", ".", "..", ".\nx", "a\n.\nMAIL FROM:<b@partner.example>", "a\r.\rQUIT",
		"a\r\r\n", "\r", "\n", "\n.", "\r\n.\r", "\r\n.\n", "\n\n.\r\n\n", "a\r\n..b\r\n.c", "\r\n.\x00",
		strings.Repeat("a", 301), strings.Repeat("a\n", 2000), strings.Repeat("a", 299) + "\r\n.",
	} {
		f.Add([]byte(s), 1)
		f.Add([]byte(s), 3)
		f.Add([]byte(s), 4096)
	}
	f.Fuzz(func(t *testing.T, raw []byte, chunk int) {
		body := "\r\n" + string(raw) + "\r\n.\r\n"
		body = body[2 : strings.Index(body, "\r\n.\r\n")+2]
		if strings.HasPrefix(string(raw), ".\r\n") {
			body = ""
		}
		hello := "EHLO a.example\r\n"
		group := "MAIL FROM:<a@partner.example>\r\nRCPT TO:<soumu@town.example>\r\nDATA\r\n"
		rest := body + ".\r\nMAIL FROM:<after@partner.example>\r\nQUIT\r\n"
		got, mails, said := playTape(t, []byte(hello+group+rest), []int{len(hello), len(group)}, max(chunk, 1))
		want, code := wanted(body, 300, 3000)
		lines := strings.Split(said, "\r\n")
		// 220, EHLO's, three, 354, answer, 250 for the MAIL behind, 221.
		if mails != 2 || len(lines) < 4 || !strings.HasPrefix(lines[len(lines)-2], "221") || !strings.HasPrefix(lines[len(lines)-3], "250") {
			t.Fatalf("%q: %d MAIL commands, answers %q", body, mails, said)
		}
		answer := lines[len(lines)-4]
		switch {
		case strings.HasPrefix(answer, "250"):
			if code != 0 || len(got) != 1 || string(got[0].Data) != want || len(want) > 3000 {
				t.Errorf("%q: taken as %q, wanted %q, %d", body, got, want, code)
			}
		case strings.HasPrefix(answer, "550 5.6.11"):
			if code != 550 {
				t.Errorf("%q: refused for a bare CR", body)
			}
		case strings.HasPrefix(answer, "550 5.6.0"):
			if longest(body) <= 300 {
				t.Errorf("%q: refused for a long line", body)
			}
		case strings.HasPrefix(answer, "552 5.3.4"):
			// With a bare CR further behind, the size is still what came first.
			if code == 0 && len(want) <= 3000 || code != 0 && len(body) <= 2000 {
				t.Errorf("%q: refused for its size", body)
			}
		default:
			t.Errorf("%q: answer %q", body, answer)
		}
		if !strings.HasPrefix(answer, "250") && len(got) != 0 {
			t.Errorf("%q: refused and taken", body)
		}
	})
}

func longest(body string) int {
	n := 0
	for _, l := range strings.Split(body, "\n") {
		n = max(n, len(strings.TrimSuffix(l, "\r")))
	}
	return n
}
