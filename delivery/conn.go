package delivery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxReply bounds one answer with all its lines. A server that needs more
	// than a hundred full lines (RFC 5321, 4.5.3.1.5: 512 octets each) to say
	// yes or no is filling our memory.
	maxReply = 64 << 10
	// maxReplyLine bounds one of its lines: four times what the RFC allows.
	maxReplyLine = 2000
	// block is what may be written before the deadline is set anew. Were each
	// small piece given its own three minutes, a peer that takes one octet a
	// second would hold a slot for days.
	block = 64 << 10
)

var (
	errReplyTooLong = errors.New("the answer does not end")
	errInjected     = errors.New("the server answered before it was asked")
	errNoReply      = errors.New("the answer is none of SMTP")
	errStray        = errors.New("a CR or LF alone in the message")
)

// conn is one connection to a server, in clear or under TLS: it writes commands
// and reads whole answers, each within a time and a size. It has no memory of
// the dialogue; session has.
type conn struct {
	net.Conn // the socket, or TLS over it
	r        *bufio.Reader
	times    Times
}

func newConn(c net.Conn, t Times) *conn {
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 4096), times: t}
}

// reply is one whole answer of a server.
type reply struct {
	code  int
	lines []string // without the code; never empty
}

// errAnswer is an answer that is no yes.
type errAnswer struct{ reply }

func (e errAnswer) Error() string { return e.text() }

// text is the answer in one piece, with its code.
func (r reply) text() string { return strconv.Itoa(r.code) + " " + strings.Join(r.lines, "\n") }

// status is the enhanced code, RFC 2034, or one made of the class. A code whose
// class is not that of the reply says two things; the reply counts. RFC 2034, 4.
func (r reply) status() string {
	class := strconv.Itoa(r.code / 100)
	word, _, _ := strings.Cut(r.lines[0], " ")
	p := strings.Split(word, ".")
	if len(p) == 3 && p[0] == class && number(p[1]) && number(p[2]) {
		return word
	}
	return class + ".0.0"
}

func number(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

// say writes commands that are answered one by one.
func (c *conn) say(commands string) error {
	// Whoever speaks before he is asked shifts every answer that follows to
	// the wrong question. A 421 alone may come at any time, RFC 5321, 3.8, and
	// then is the answer to whatever comes next.
	if b, _ := c.r.Peek(c.r.Buffered()); len(b) > 0 && !bytes.HasPrefix(b, []byte("421")) {
		return errInjected
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.times.Command)); err != nil {
		return err
	}
	_, err := io.WriteString(c.Conn, commands)
	return err
}

// hear reads one answer. The time is for all of it: an octet now and then does
// not prolong it.
func (c *conn) hear(within time.Duration) (reply, error) {
	var r reply
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return r, err
	}
	for left := maxReply; ; {
		l, err := c.r.ReadSlice('\n')
		left -= len(l)
		switch {
		case left < 0 || len(l) > maxReplyLine || errors.Is(err, bufio.ErrBufferFull):
			return r, errReplyTooLong
		case err == io.EOF && len(l) > 0:
			return r, io.ErrUnexpectedEOF
		case err != nil:
			return r, err
		}
		// RFC 5321, 4.2: three digits, and a hyphen where more lines follow.
		line := strings.TrimRight(string(l), "\r\n")
		code := 0
		if len(line) >= 3 {
			code, err = strconv.Atoi(line[:3])
		}
		last := len(line) == 3 || len(line) > 3 && line[3] == ' '
		if err != nil || code < 200 || code > 599 || line[0] == '+' || !last && line[3] != '-' || len(r.lines) > 0 && code != r.code {
			return r, fmt.Errorf("%w: %.60q", errNoReply, line)
		}
		r.code = code
		r.lines = append(r.lines, line[min(4, len(line)):])
		if last {
			return r, nil
		}
	}
}

// silent fails with errInjected when the server has said something that nobody
// asked for, and with what ended the connection when it is gone. It is for the
// moment before the final dot: what stands there then would be taken for the
// answer to it. RFC 5321, 4.3.1. It does not wait for what is not there.
func (c *conn) silent() error {
	if c.r.Buffered() > 0 {
		return errInjected
	}
	there := waits(c.Conn)
	if _, clear := c.Conn.(*tls.Conn); !clear && !there {
		return nil
	}
	// What TLS has read already needs no time at all. What the kernel has may be
	// TLS's own, like a ticket, behind which nothing comes.
	within := -time.Second
	if there {
		within = ownRecords
	}
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := c.r.Peek(1)
	switch {
	case err == nil:
		return errInjected
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	default:
		return err
	}
}

// ownRecords is how long what came under TLS and is no answer may take to be
// read; it is here already.
const ownRecords = 10 * time.Millisecond

// tcp gives the socket under c, nil where there is none.
func tcp(c net.Conn) syscall.RawConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	r, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return r
}

// waits reports whether a read of the socket would not wait: something has come,
// or the end has. Where that cannot be known it says yes.
func waits(c net.Conn) bool {
	r := tcp(c)
	if r == nil {
		return true
	}
	var err error
	if e := r.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	}); e != nil {
		err = e
	}
	return !errors.Is(err, unix.EAGAIN)
}

// premature reports whether what was read last came from a server that cannot
// have had all that was written before: its kernel has not said so, and every
// packet says how far it has come. An answer to the final dot never comes
// without the word that the dot is there.
func (c *conn) premature() bool {
	r := tcp(c.Conn)
	if r == nil {
		return false
	}
	left := 0
	var err error
	if e := r.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); e != nil {
		err = e
	}
	return err == nil && left > 0
}

// ask is one command and its answer.
func (c *conn) ask(command string) (reply, error) {
	if err := c.say(command + "\r\n"); err != nil {
		return reply{}, err
	}
	return c.hear(c.times.Command)
}

// errNoTLS says that the server would not begin TLS after it had offered it;
// the session goes on in clear if the hop allows that.
type errNoTLS struct{ answer string }

func (e errNoTLS) Error() string { return "STARTTLS refused: " + e.answer }

// startTLS turns the connection into one over TLS. RFC 3207.
func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	r, err := c.ask("STARTTLS")
	if err != nil {
		return fmt.Errorf("STARTTLS: %w", err)
	}
	if r.code != 220 {
		return errNoTLS{bound(r.text())}
	}
	// Whoever can write into the connection in clear would otherwise speak as
	// the server once it is encrypted. RFC 3207, 6.
	if c.r.Buffered() > 0 {
		return errInjected
	}
	t := tls.Client(c.Conn, config)
	ctx, cancel := context.WithTimeout(ctx, c.times.Connect)
	defer cancel()
	if err := c.SetDeadline(time.Now().Add(c.times.Connect)); err != nil {
		return err
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.Conn = t
	c.r.Reset(t)
	return c.SetDeadline(time.Time{})
}

// content writes the octets of a message as DATA wants them: dots doubled, and
// no CR or LF but in pairs. What a peer would read as the end of the message
// can come from end alone. RFC 5321, 4.5.2 and 2.3.8.
type content struct {
	c    *conn
	buf  []byte
	cr   bool // the last octet was a CR
	line bool // a line has begun
}

// newContent is for some size octets: of a short message the largest block would
// be the most that is allocated for it.
func newContent(c *conn, size int64) *content {
	return &content{c: c, buf: make([]byte, 0, min(block, size+size/32+64))}
}

func (w *content) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		switch {
		case w.cr && p[0] != '\n', !w.cr && p[0] == '\n':
			return 0, errStray
		case w.cr:
			w.cr, w.line = false, false
			w.buf = append(w.buf, '\n')
			p = p[1:]
		case p[0] == '\r':
			w.cr = true
			w.buf = append(w.buf, '\r')
			p = p[1:]
		default:
			if !w.line && p[0] == '.' {
				w.buf = append(w.buf, '.')
			}
			w.line = true
			i := bytes.IndexAny(p, "\r\n")
			if i < 0 {
				i = len(p)
			}
			i = min(i, block)
			w.buf = append(w.buf, p[:i]...)
			p = p[i:]
		}
		if len(w.buf) >= block {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *content) flush() error {
	if err := w.c.SetWriteDeadline(time.Now().Add(w.c.times.Block)); err != nil {
		return err
	}
	_, err := w.c.Conn.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// end writes the final dot. From the moment that it is called the server may
// have the message, whatever it returns.
func (w *content) end() error {
	if w.cr {
		return errStray
	}
	if w.line {
		w.buf = append(w.buf, "\r\n"...)
	}
	w.buf = append(w.buf, ".\r\n"...)
	return w.flush()
}

// bound makes text of a peer fit for a log line or a row: printable ASCII, and
// short.
func bound(s string) string {
	const most = 300
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= most {
			b.WriteString("...")
			break
		}
		switch {
		case r == '\n':
			b.WriteString(" / ")
		case r < ' ' || r > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
