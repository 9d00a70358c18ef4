package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho/envelope"
)

// A Guard stands between a socket and the SMTP library, one a connection. It
// is the net.Conn that the library reads and writes, and it owns the socket
// and the TLS, so that the library sees plain bytes for its whole life and
// every promise below holds in clear and after STARTTLS.
//
// The guard reads the command lines itself and answers all but a few; what it
// lets through reaches the library as one whole line a Read, after the answer
// to the one before. No octet that the peer wrote reaches the library's own
// parsers except a checked host name: MAIL and RCPT are handed on with fixed
// paths, and the session asks the guard (Sender, Params, Recipient) for what
// our own parser made of the raw lines. In DATA only CRLF.CRLF ends, bare LF
// becomes CRLF, and a message with a bare CR, or one that is too big, is read
// to its true end and then given to the session as an error.
//
// Deadlines that the library sets are ignored; the guard has its own. All
// methods but Close, Stop, Hurry and Cut belong to the goroutine of the session.
type Guard struct {
	cfg  guardConfig
	raw  net.Conn // the socket
	conn net.Conn // the socket or the TLS over it
	peer netip.Addr
	// behind is the peer that a balancer told of.
	behind netip.AddrPort

	in    []byte // in[r:w] was read and not yet used
	r, w  int
	small []byte  // the session's own buffer, for commands
	big   *[]byte // the pooled buffer that in is instead, in and shortly after DATA
	out   []byte  // answers not yet written; sent before the next read
	resp  []byte  // what the library wrote of its answer so far
	give  []byte  // a command line not yet fetched by the library

	state      guardState
	verb       string // of the command that the library has in hand
	helo       string
	esmtp      bool
	tls        string // version and cipher; "" in clear
	mail       bool   // a transaction is open
	from       envelope.Address
	params     MailParams
	rcpt       envelope.Address
	rcptParams RcptParams
	rcpts      int
	overshot   int // RCPT commands beyond the limit
	errors     int
	junk       int
	data       dataPhase

	mu       sync.Mutex // guards what Stop, Hurry and Cut see
	wait     waitKind   // what the session waits for
	since    time.Time  // since when
	deadline time.Time  // and until when
	writing  bool       // until the peer takes an answer, since written
	written  time.Time
	began    time.Time // of the message in hand
	got      int64     // bytes of it
	stopping bool
	cut      *refusal // why the session must end now
	closed   atomic.Bool
	hurried  atomic.Bool // the stress came during the message, and may be over
}

// guardConfig is what a listener knows about the connections it accepts.
type guardConfig struct {
	hostname string
	limits   Limits
	tls      *tls.Config // nil: STARTTLS is not offered
	pause    time.Duration
	stress   *atomic.Bool
	log      *slog.Logger
	greeted  func(bool) // told whether the peer waited for the greeting
	closing  func(*Guard)
	receive  func(*Guard) *refusal // asked before a message; may be nil
	received func(*Guard)          // told when it is over; set with receive
	refused  func(rule string)     // may be nil
	named    bool
	dsn      bool // RFC 3461 is offered
	// proxied is told who is behind a balancer, and says why he may not be
	// there. It is set for those who must speak the PROXY protocol.
	proxied func(*Guard, proxyHeader) *refusal
}

type guardState uint8

const (
	stateGreeting guardState = 1 // the library has yet to greet
	stateCommand  guardState = 2 // a command is to be read
	stateAnswer   guardState = 3 // the library has a command in hand
	stateData     guardState = 4 // after 354
	stateDataDone guardState = 5 // after CRLF.CRLF, before the answer
	stateDead     guardState = 6 // nothing is read or written any more
)

func newGuard(raw net.Conn, peer netip.Addr, cfg guardConfig) *Guard {
	return &Guard{cfg: cfg, raw: raw, conn: raw, peer: peer, state: stateGreeting}
}

// Sender is the reverse-path of the MAIL command in hand or last accepted.
func (g *Guard) Sender() envelope.Address { return g.from }

// Params are the parameters of that MAIL command.
func (g *Guard) Params() MailParams { return g.params }

// Recipient is the forward-path of the RCPT command in hand.
func (g *Guard) Recipient() envelope.Address { return g.rcpt }

// RecipientParams are the parameters of that RCPT command.
func (g *Guard) RecipientParams() RcptParams { return g.rcptParams }

// Named reports whether the listener's configuration names the peer.
func (g *Guard) Named() bool { return g.cfg.named }

// Peer says who the other side is, as of now.
func (g *Guard) Peer() envelope.Peer {
	p := envelope.Peer{Addr: g.peer, Helo: g.helo, Protocol: "SMTP"}
	if g.esmtp {
		p.Protocol = "ESMTP"
	}
	if g.params.UTF8 {
		// RFC 6531, 4.3.
		p.Protocol, p.UTF8Names = "UTF8SMTP", true
	}
	if g.tls != "" {
		p.TLS = g.tls
		if p.Protocol == "SMTP" {
			p.Protocol = "ESMTP"
		}
		// RFC 3848: the S stands for TLS.
		p.Protocol += "S"
	}
	return p
}

// DataFault is why the message just read must be refused, nil if it need not.
// The reader that the session gets ends with the same error, so that a
// session that forgets to ask cannot accept the message either.
func (g *Guard) DataFault() *smtp.SMTPError {
	if g.data.fault == nil {
		return nil
	}
	return g.data.fault.SMTPError
}

// LocalAddr returns the local address of the socket.
func (g *Guard) LocalAddr() net.Addr { return g.raw.LocalAddr() }

// RemoteAddr returns the peer's address, behind a balancer the one behind it.
func (g *Guard) RemoteAddr() net.Addr {
	if g.behind.IsValid() {
		return net.TCPAddrFromAddrPort(g.behind)
	}
	return g.raw.RemoteAddr()
}

// SetDeadline ignores the library's idea of a deadline: it sets one for a
// whole message when the DATA command is read.
func (g *Guard) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, see SetDeadline.
func (g *Guard) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, see SetDeadline.
func (g *Guard) SetWriteDeadline(time.Time) error { return nil }

// Read hands the library a command line, or bytes of a message.
func (g *Guard) Read(p []byte) (int, error) {
	for len(g.give) == 0 {
		switch g.state {
		case stateCommand:
			g.command()
		case stateData:
			return g.readData(p)
		case stateDataDone:
			// The library drains its reader before it answers; a fault is
			// given again until it does.
			if g.data.fault != nil {
				return 0, g.data.fault.SMTPError
			}
			return 0, io.ErrUnexpectedEOF
		case stateGreeting, stateAnswer:
			// The library reads on without having answered. It never does;
			// were it to, commands and answers would not match any more.
			g.die(&closeInternal)
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, g.give)
	g.give = g.give[n:]
	return n, nil
}

// Write takes the library's answer. It writes every line alone, so they are
// gathered up to the last.
func (g *Guard) Write(p []byte) (int, error) {
	if g.state == stateDead {
		return 0, net.ErrClosed
	}
	g.resp = append(g.resp, p...)
	last := g.resp[bytes.LastIndexByte(g.resp[:max(len(g.resp)-1, 0)], '\n')+1:]
	if len(last) < 4 || last[len(last)-1] != '\n' || last[3] == '-' {
		return len(p), nil
	}
	answer := g.resp
	g.resp = g.resp[:0]
	code, err := strconv.Atoi(string(last[:3]))
	if err != nil {
		g.die(&closeInternal)
		return len(p), nil
	}
	g.answered(code, answer)
	return len(p), nil
}

// readProxy reads the header that a balancer must send, and learns from it who
// the peer is. It returns false when the session is over.
func (g *Guard) readProxy() bool {
	g.await(waitProxy, time.Now().Add(g.patience(waitProxy, g.stressed())))
	defer g.busy()
	for {
		h, n, err := parseProxy(g.in[g.r:g.w])
		switch {
		case err != nil:
			g.die(&refuseProxy)
			return false
		case n > 0:
			g.r += n
			g.behind = h.peer
			if r := g.cfg.proxied(g, h); r != nil {
				g.die(r)
				return false
			}
			return true
		}
		if err := g.receive(); err != nil {
			var timeout net.Error
			switch r := g.cutFor(); {
			case r != nil:
				g.die(r)
			case errors.As(err, &timeout) && timeout.Timeout():
				g.die(&closeTimeout)
			default:
				g.hangUp("smtp.gone")
			}
			return false
		}
	}
}

// flush writes the answers that are waiting.
func (g *Guard) flush() error {
	if len(g.out) == 0 {
		return nil
	}
	g.mu.Lock()
	g.writing, g.written = true, time.Now()
	d := g.written.Add(g.patience(waitCommand, g.stressed()))
	if g.cut != nil {
		// The last words: they fit into the buffer of the socket, or the peer
		// has not read for long.
		d = g.written.Add(lastWords)
	}
	g.raw.SetWriteDeadline(d)
	g.mu.Unlock()
	_, err := g.conn.Write(g.out)
	g.mu.Lock()
	g.writing = false
	g.mu.Unlock()
	g.out = g.out[:0]
	if err != nil {
		g.state = stateDead
		g.dropBig()
		g.Close()
	}
	return err
}

// receive reads once from the peer, with everything said before. It makes room
// first; whoever calls it bounds what may pile up.
func (g *Guard) receive() error {
	if err := g.flush(); err != nil {
		return err
	}
	if g.r == g.w {
		g.r, g.w = 0, 0
		if g.big != nil && g.state != stateData {
			g.dropBig()
		}
	}
	g.ownBuffer()
	if g.r > 0 && g.w == len(g.in) {
		g.w = copy(g.in, g.in[g.r:g.w])
		g.r = 0
	}
	if g.w == len(g.in) && g.big == nil && len(g.in) < g.longest() {
		g.small = make([]byte, g.longest())
		copy(g.small, g.in)
		g.in = g.small
	}
	n, err := g.conn.Read(g.in[g.w:])
	g.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// ownBuffer sees to it that there is a buffer to read into: one for an ordinary
// command line, until there is need for more. Most of those who wait never need
// that.
func (g *Guard) ownBuffer() {
	if g.in == nil {
		g.small = make([]byte, min(1<<10, g.longest()))
		g.in = g.small
	}
}

// longest is the longest command line or PROXY header that is accepted.
func (g *Guard) longest() int { return max(g.cfg.limits.CommandLine, maxProxy2) }

// bigBuffers holds buffers for messages: a session borrows one from 354 to the
// end, so that the many that wait for a command cost little.
var bigBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (g *Guard) takeBig() {
	if g.big != nil {
		return
	}
	g.big = bigBuffers.Get().(*[]byte)
	n := copy(*g.big, g.in[g.r:g.w])
	g.in, g.r, g.w = *g.big, 0, n
}

func (g *Guard) dropBig() {
	if g.big == nil {
		return
	}
	bigBuffers.Put(g.big)
	g.big, g.in, g.r, g.w = nil, g.small, 0, 0
}
