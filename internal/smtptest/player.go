package smtptest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Message is what the server under test took.
type Message struct {
	From string
	To   []string
	Data []byte
}

// Player is the client's side of one dialogue.
type Player struct {
	Conn     net.Conn
	TLS      bool                      // play the script inside STARTTLS
	Messages func() []Message          // what the server took so far; needed by M, E and B
	Answer   func(answer string) error // looks at every answer, all its lines; may be nil
	Patience time.Duration             // for an answer; zero is an hour, for a clock that does not run
}

// Play plays s to its end and closes the connection. The error names the line.
func (s *Script) Play(p Player) error {
	if p.Patience == 0 {
		p.Patience = time.Hour
	}
	c := &client{raw: p.Conn, conn: p.Conn, patience: p.Patience, look: p.Answer}
	c.startWriter()
	defer c.close()
	steps := s.steps
	if p.TLS {
		if err := c.startTLS(); err != nil {
			return fmt.Errorf("%s: before the script: %w", s.Name, err)
		}
		// The greeting is behind us.
		if steps[0].op == 'S' {
			steps = steps[1:]
		}
	}
	for _, st := range steps {
		if err := c.do(st, p.Messages); err != nil {
			return fmt.Errorf("%s.smtp:%d: %w", s.Name, st.line, err)
		}
	}
	return nil
}

type client struct {
	raw, conn net.Conn
	patience  time.Duration
	buf       []byte
	look      func(string) error
	last      string // the last answer
	sent, got time.Time

	queue chan func(net.Conn)
	done  chan struct{}
}

// startWriter writes behind the back of the reading side: a server may stop
// reading, or want to answer before it reads on, and a pipe has no buffer.
func (c *client) startWriter() {
	c.queue, c.done = make(chan func(net.Conn), 1000), make(chan struct{})
	go func(conn net.Conn) {
		defer close(c.done)
		for f := range c.queue {
			f(conn)
		}
	}(c.conn)
}

func (c *client) stopWriter() {
	close(c.queue)
	<-c.done
}

func (c *client) close() {
	c.raw.Close()
	c.stopWriter()
}

func (c *client) send(text string, n int) {
	c.sent = time.Now()
	b := bytes.Repeat([]byte(text), n)
	// What the server does not want to read any more is not our failure; the
	// answer or the end that the script expects says what is.
	c.queue <- func(conn net.Conn) { conn.Write(b) }
}

// reply reads one whole answer.
func (c *client) reply() error {
	c.conn.SetReadDeadline(time.Now().Add(c.patience))
	c.last = ""
	for {
		for {
			i := bytes.IndexByte(c.buf, '\n')
			if i < 0 {
				break
			}
			line := string(c.buf[:i+1])
			c.buf = c.buf[i+1:]
			if !strings.HasSuffix(line, "\r\n") || len(line) < 6 {
				return fmt.Errorf("answer line %q", line)
			}
			c.last += strings.TrimSuffix(line, "\r\n") + "\n"
			if line[3] == ' ' {
				c.got = time.Now()
				c.last = strings.TrimSuffix(c.last, "\n")
				if c.look != nil {
					return c.look(c.last)
				}
				return nil
			}
		}
		b := make([]byte, 4096)
		n, err := c.conn.Read(b)
		c.buf = append(c.buf, b[:n]...)
		if n == 0 && err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
	}
}

func (c *client) expect(st step) error {
	if err := c.reply(); err != nil {
		return err
	}
	if !st.re.MatchString(c.last) {
		return fmt.Errorf("got %q, wanted %s", c.last, st.re)
	}
	return nil
}

func (c *client) do(st step, messages func() []Message) error {
	switch st.op {
	case 'C', 'R':
		c.send(st.bytes, st.count)
	case 'S':
		if st.not {
			if st.re.MatchString(c.last) {
				return fmt.Errorf("got %q, wanted no %s", c.last, st.re)
			}
			return nil
		}
		return c.expect(st)
	case '*':
		for i := 1; i <= st.count; i++ {
			c.send(strings.ReplaceAll(st.bytes, "%d", fmt.Sprint(i)), 1)
			if err := c.expect(st); err != nil {
				return fmt.Errorf("number %d: %w", i, err)
			}
		}
	case 'D':
		if d := c.got.Sub(c.sent); d < st.wait || d > st.wait+time.Second {
			return fmt.Errorf("the answer took %v, wanted %v", d, st.wait)
		}
	case 'W':
		time.Sleep(st.wait)
	case 'X':
		return c.closed()
	case 'T':
		return c.handshake()
	case 'A':
		c.raw.Close()
	case 'M', 'E', 'B':
		if messages == nil {
			return errors.New("nobody to ask for messages")
		}
		return judge(st, messages())
	default:
		return fmt.Errorf("step %c", st.op)
	}
	return nil
}

func (c *client) closed() error {
	c.conn.SetReadDeadline(time.Now().Add(c.patience))
	b, err := io.ReadAll(c.conn)
	if len(c.buf)+len(b) > 0 {
		return fmt.Errorf("the server went on: %q", append(c.buf, b...))
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("the server did not close")
	}
	return nil
}

func (c *client) startTLS() error {
	for _, s := range []struct{ say, want string }{
		{"", "220"}, {"EHLO before.tls.example\r\n", "250"}, {"STARTTLS\r\n", "220"},
	} {
		if s.say != "" {
			c.send(s.say, 1)
		}
		if err := c.reply(); err != nil {
			return err
		}
		if !strings.HasPrefix(c.last, s.want) {
			return fmt.Errorf("got %q, wanted %s", c.last, s.want)
		}
	}
	return c.handshake()
}

func (c *client) handshake() error {
	c.stopWriter()
	if len(c.buf) > 0 {
		return fmt.Errorf("%q in clear before the handshake", c.buf)
	}
	// The certificate is the test's own; who the server is, is not the point.
	t := tls.Client(c.raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	t.SetDeadline(time.Now().Add(c.patience))
	err := t.Handshake()
	if err == nil {
		t.SetDeadline(time.Time{})
		c.conn = t
	}
	c.startWriter()
	return err
}

func judge(st step, ms []Message) error {
	if st.op == 'M' {
		if len(ms) != st.count {
			return fmt.Errorf("%d messages, wanted %d", len(ms), st.count)
		}
		return nil
	}
	if len(ms) == 0 {
		return errors.New("no message was taken")
	}
	m := ms[len(ms)-1]
	if st.op == 'E' {
		if got := strings.TrimSpace(m.From + " > " + strings.Join(m.To, " ")); got != st.bytes {
			return fmt.Errorf("envelope %q, wanted %q", got, st.bytes)
		}
		return nil
	}
	if st.re.Match(m.Data) == st.not {
		return fmt.Errorf("message %.2000q, wanted %s (not: %v)", m.Data, st.re, st.not)
	}
	return nil
}
