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
	"strings"
	"time"
)

const (
	// maxReply bounds one answer with all its lines. A server that needs more
	// than a hundred full lines (RFC 5321, 4.5.3.1.5: 512 octets each) to say
	// yes or no is filling our memory.
	maxReply = 64 << 10
	// maxReplyLine bounds one of its lines; the library stops at 2,000.
	maxReplyLine = 2000
	// block is what may be written before the deadline is set anew. The library
	// writes 4 KiB at a time; were each given its own three minutes, a peer
	// that takes one octet a second would hold a slot for days.
	block = 64 << 10
)

var (
	errReplyTooLong = errors.New("the answer does not end")
	errInjected     = errors.New("the server answered before it was asked")
)

// conn stands between the socket and go-smtp's client, as the guard stands
// before its server: the library speaks the protocol, this keeps it honest.
//
//   - The library sets no deadline while it writes the body; this does.
//   - Its answers have no bound in length; here they have, and it gets one line
//     at a time.
//   - It looks keywords of EHLO up in upper case only, so that a server that
//     offers "starttls" would get its mail in clear; here they are raised.
//   - Its STARTTLS greets as "localhost" first and cannot be asked for after
//     EHLO; here the connection does the handshake itself, and a new client
//     starts on the plain octets that come out of it.
type conn struct {
	net.Conn // the socket, or TLS over it
	r        *bufio.Reader
	times    Times
	line     []byte // of an answer, not yet handed to the library
	left     int    // octets that this answer may still have
	ehlo     bool   // the answer is one to EHLO
	deadline time.Time
	block    int // octets that may be written before the next deadline; only without one of the library's
}

func newConn(c net.Conn, t Times) *conn {
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 4096), times: t, left: maxReply}
}

// SetDeadline is called by the library around each command, with the time for
// command and answer together.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline, c.block = t, 0
	return c.Conn.SetDeadline(t)
}

// Read hands the library at most one line of an answer.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.line) == 0 {
		if c.deadline.IsZero() {
			if err := c.Conn.SetReadDeadline(time.Now().Add(c.times.Command)); err != nil {
				return 0, err
			}
		}
		l, err := c.readLine()
		if err != nil {
			return 0, err
		}
		if c.ehlo {
			raise(l)
		}
		c.line = l
	}
	n := copy(p, c.line)
	c.line = c.line[n:]
	return n, nil
}

func (c *conn) readLine() ([]byte, error) {
	l, err := c.r.ReadSlice('\n')
	c.left -= len(l)
	switch {
	case c.left < 0 || len(l) > maxReplyLine || errors.Is(err, bufio.ErrBufferFull):
		return nil, errReplyTooLong
	case err != nil && len(l) > 0 && err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.Clone(l), nil
}

// raise puts the keyword of one line of an EHLO answer into upper case.
// RFC 5321, 2.4: keywords are not case sensitive.
func raise(l []byte) {
	if len(l) < 4 {
		return
	}
	for i := 4; i < len(l) && l[i] != ' ' && l[i] != '='; i++ {
		if 'a' <= l[i] && l[i] <= 'z' {
			l[i] -= 'a' - 'A'
		}
	}
}

// Write passes on a command or a piece of the body.
func (c *conn) Write(p []byte) (int, error) {
	// What is written starts something that will be answered anew.
	c.left = maxReply
	if len(p) >= 4 {
		c.ehlo = bytes.EqualFold(p[:4], []byte("EHLO"))
	}
	if c.deadline.IsZero() {
		if c.block <= 0 {
			if err := c.Conn.SetWriteDeadline(time.Now().Add(c.times.Block)); err != nil {
				return 0, err
			}
			c.block = block
		}
		c.block -= len(p)
	}
	return c.Conn.Write(p)
}

// errNoTLS says that the server would not begin TLS after it had offered it;
// the session goes on in clear if the hop allows that.
type errNoTLS struct{ answer string }

func (e errNoTLS) Error() string { return "STARTTLS refused: " + e.answer }

// startTLS turns the connection into one over TLS. The library's client of
// before must not be used any more; the next one reads a greeting that this
// leaves for it. RFC 3207, 4.2: both sides forget what they knew.
func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	if err := c.SetDeadline(time.Now().Add(c.times.Command)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "STARTTLS\r\n"); err != nil {
		return fmt.Errorf("write STARTTLS: %w", err)
	}
	var first string
	for {
		l, err := c.readLine()
		if err != nil {
			return fmt.Errorf("read the answer to STARTTLS: %w", err)
		}
		if first == "" {
			first = strings.TrimSpace(string(l))
		}
		if len(l) < 4 || l[3] != '-' {
			break
		}
	}
	if !strings.HasPrefix(first, "220") {
		return errNoTLS{bound(first)}
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
	c.line = []byte("220 over TLS\r\n")
	return c.SetDeadline(time.Time{})
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
