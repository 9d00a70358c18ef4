package smtpd

import (
	"bytes"
	"context"
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
	tls        *tls.ConnectionState
	mail       bool // a transaction is open
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
}

// waitKind is what a session waits for its peer to do.
type waitKind uint8

const (
	waitNothing   waitKind = 0 // it is our turn
	waitGreeting  waitKind = 1 // to be silent before the greeting
	waitProxy     waitKind = 2 // the header of the PROXY protocol
	waitCommand   waitKind = 3
	waitHandshake waitKind = 4 // of TLS
	waitData      waitKind = 5
)

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
	refused  func(rule string) // may be nil
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
	if g.tls != nil {
		p.TLS = tls.VersionName(g.tls.Version) + " " + tls.CipherSuiteName(g.tls.CipherSuite)
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

// Close closes the socket. It may be called from any goroutine, and again.
func (g *Guard) Close() error {
	if g.closed.Swap(true) {
		return nil
	}
	err := g.raw.Close()
	if g.cfg.closing != nil {
		g.cfg.closing(g)
	}
	return err
}

// past is a deadline that has been missed.
var past = time.Unix(1, 0)

// Stop has the session end with 421 as soon as no command and no message is
// in hand. It may be called from any goroutine. RFC 5321, 3.8.
func (g *Guard) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopping = true
	if g.wait == waitCommand {
		g.raw.SetReadDeadline(past)
	}
}

// Cut has the session end now with a 421, whatever the peer has begun. It may
// be called from any goroutine; what we are doing ourselves is finished first,
// so a message whose end was seen is still answered.
func (g *Guard) Cut(why *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = why
	if g.wait != waitNothing {
		g.raw.SetReadDeadline(past)
	}
	if g.writing {
		g.raw.SetWriteDeadline(past)
	}
}

// Hurry shortens what the session waits for to what it may last under stress.
// It may be called from any goroutine.
func (g *Guard) Hurry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if d := now.Add(g.patience(g.wait, true)); g.wait != waitNothing && d.Before(g.deadline) {
		g.deadline = d
		g.raw.SetReadDeadline(d)
	}
	if g.writing {
		g.raw.SetWriteDeadline(now.Add(g.cfg.limits.CommandStress))
	}
}

// patience is how long a wait may be.
func (g *Guard) patience(k waitKind, stress bool) time.Duration {
	l := &g.cfg.limits
	switch k {
	case waitGreeting:
		return g.cfg.pause
	case waitProxy, waitHandshake:
		if stress {
			return l.HandshakeStress
		}
		return l.Handshake
	case waitData:
		if stress {
			return l.DataWindowStress
		}
		return l.DataWindow
	default:
		if stress {
			return l.CommandStress
		}
		return l.Command
	}
}

// await sets the deadline of the next reads and says what they are for.
func (g *Guard) await(k waitKind, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wait, g.since, g.deadline = k, time.Now(), until
	if k == waitData {
		g.got = g.data.read
	}
	if g.cut != nil || g.stopping && k == waitCommand {
		until = past
	}
	g.raw.SetReadDeadline(until)
}

// busy says that it is our turn.
func (g *Guard) busy() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wait = waitNothing
}

// ending is why the session must end before the next command, nil when it
// need not.
func (g *Guard) ending() *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.cut != nil:
		return g.cut
	case g.stopping:
		return &closeShutdown
	default:
		return nil
	}
}

// cutFor is why the session is cut in the middle of something, nil when not.
func (g *Guard) cutFor() *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cut
}

func (g *Guard) stressed() bool { return g.cfg.stress != nil && g.cfg.stress.Load() }

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

// answered takes the library's complete answer to what it has in hand, keeps
// the books of the transaction, and says the answer in our own words.
func (g *Guard) answered(code int, answer []byte) {
	switch g.state {
	case stateGreeting:
		g.greet(code)
		return
	case stateAnswer:
		g.state = stateCommand
	case stateData:
		// The library gave up in the middle of a message. What follows on
		// the wire is the rest of it, so nothing more is read.
		g.say(code, answer)
		g.hangUp("smtp.data_aborted")
		return
	case stateDataDone:
		g.state = stateCommand
		g.endTransaction()
		if code/100 == 2 {
			g.junk = 0
		}
		g.say(code, answer)
		return
	default:
		// An answer to nothing.
		g.die(&closeInternal)
		return
	}
	ok := code/100 == 2
	switch g.verb {
	case "EHLO", "HELO":
		switch {
		case !ok:
			g.helo = ""
		case g.verb == "EHLO":
			answer = g.extensions(answer)
		default:
			answer = []byte("250 " + g.cfg.hostname + "\r\n")
		}
	case "MAIL":
		if ok {
			g.mail = true
			answer = wire(answerSender)
		}
	case "RCPT":
		if ok {
			g.rcpts++
			answer = wire(answerRcpt)
		}
	case "RSET":
		if ok {
			g.endTransaction()
			answer = wire(answerReset)
		}
	case "DATA":
		if code == 354 {
			g.say(code, []byte("354 Start mail input; end with <CRLF>.<CRLF>\r\n"))
			if g.state == stateCommand {
				g.beginData()
			}
			return
		}
	case "QUIT":
		g.say(code, wire(answerQuit))
		g.hangUp("")
		return
	}
	g.say(code, answer)
	if code == 421 {
		g.hangUp("smtp.internal")
	}
}

// offersRequireTLS reports whether a sender may ask that his mail goes under TLS
// alone: one inside, who is told when it cannot, and only under TLS himself. RFC
// 8689, 2. To the internet it is not offered: hardly a server inside knows of
// it, and whoever was promised it here would lose his mail there.
func (g *Guard) offersRequireTLS() bool { return g.cfg.dsn && g.tls != nil }

// extensions makes our answer to EHLO out of the library's: what is on this
// list stays, the rest goes, CHUNKING and BINARYMIME with it.
func (g *Guard) extensions(answer []byte) []byte {
	lines := []string{g.cfg.hostname}
	for _, l := range bytes.Split(bytes.TrimRight(answer, "\r\n"), []byte("\r\n"))[1:] {
		if len(l) < 4 {
			continue
		}
		word, _, _ := bytes.Cut(l[4:], []byte(" "))
		switch string(word) {
		case "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "LIMITS":
			lines = append(lines, string(l[4:]))
		}
	}
	// RFC 1870. The library counts differently by one, so it is not asked.
	lines = append(lines, "SIZE "+strconv.FormatInt(g.cfg.limits.MessageSize, 10))
	if g.cfg.dsn {
		lines = append(lines, "DSN")
	}
	if g.offersRequireTLS() {
		lines = append(lines, "REQUIRETLS")
	}
	if g.cfg.tls != nil && g.tls == nil {
		lines = append(lines, "STARTTLS")
	}
	var b []byte
	for i, l := range lines {
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		b = append(b, "250"...)
		b = append(b, sep)
		b = append(b, l...)
		b = append(b, '\r', '\n')
	}
	return b
}

// greet waits before the greeting and refuses who does not.
// RFC 5321, 3.1: the client waits for it. Talk before it is a sender that
// does not read answers, or bytes that were meant for another protocol.
func (g *Guard) greet(code int) {
	if g.cfg.proxied != nil && !g.readProxy() {
		return
	}
	if g.cfg.pause > 0 && code == 220 {
		// What stood behind a PROXY header was sent before the greeting too.
		early := g.r < g.w
		var err error
		if !early {
			g.await(waitGreeting, time.Now().Add(g.cfg.pause))
			err = g.receive()
			g.busy()
		}
		var timeout net.Error
		switch {
		case err == nil:
			g.told(false)
			g.die(&refuseEarlyTalk)
			return
		case errors.As(err, &timeout) && timeout.Timeout():
		default:
			g.hangUp("smtp.gone")
			return
		}
	}
	g.told(true)
	if code != 220 {
		g.die(&closeInternal)
		return
	}
	g.state = stateCommand
	g.say(220, []byte("220 "+g.cfg.hostname+" ESMTP\r\n"))
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

func (g *Guard) told(waited bool) {
	if g.cfg.greeted != nil {
		g.cfg.greeted(waited)
	}
}

func (g *Guard) endTransaction() {
	g.mail, g.rcpts, g.overshot = false, 0, 0
	g.from, g.params, g.rcpt, g.rcptParams = envelope.Address{}, MailParams{}, envelope.Address{}, RcptParams{}
	g.data = dataPhase{}
}

// say queues an answer for the peer, counts errors, and slows down or closes
// when there are too many: they are guesses at addresses, most of the time.
func (g *Guard) say(code int, text []byte) {
	if code >= 400 && g.counts(code) {
		g.errors++
		if g.errors >= g.cfg.limits.MaxErrors {
			g.die(&closeErrors)
			return
		}
	}
	if g.errors >= g.cfg.limits.SlowErrors {
		// What was answered before must not wait as well.
		if g.flush() != nil {
			return
		}
		time.Sleep(g.cfg.limits.ErrorDelay)
	}
	g.out = append(g.out, text...)
	if len(g.out) > 4<<10 {
		g.flush()
	}
}

// counts reports whether an answer counts as an error. The recipients beyond
// the limit do not, up to once more the limit: a sender that pipelines them
// all has done nothing wrong (RFC 5321, 4.5.3.1.10), and to close would lose
// the ones accepted, at every try again.
func (g *Guard) counts(code int) bool {
	if g.verb == "RCPT" && code == 452 && g.rcpts >= g.cfg.limits.Recipients {
		g.overshot++
		return g.overshot > g.cfg.limits.Recipients
	}
	return true
}

// refuse answers a command with a refusal; the session goes on.
func (g *Guard) refuse(r *refusal) {
	g.note(r.rule)
	g.say(r.Code, wire(r.SMTPError))
}

// die answers with a refusal and closes.
func (g *Guard) die(r *refusal) {
	if g.state == stateDead {
		return
	}
	g.out = append(g.out, wire(r.SMTPError)...)
	g.hangUp(r.rule)
}

func (g *Guard) note(rule string) {
	if g.cfg.refused != nil {
		g.cfg.refused(rule)
	}
	g.cfg.log.LogAttrs(context.Background(), slog.LevelDebug, "refused",
		slog.String("peer", g.peer.String()), slog.String("rule", rule))
}

// hangUp sends what is to be sent and ends the session. The socket is closed
// behind the peer's last words: closed at once, with bytes unread, the reset
// would overtake the answer.
func (g *Guard) hangUp(rule string) {
	if g.state == stateDead {
		return
	}
	err := g.flush()
	g.state = stateDead
	g.dropBig()
	if rule != "" {
		if g.cfg.refused != nil {
			g.cfg.refused(rule)
		}
		g.cfg.log.LogAttrs(context.Background(), slog.LevelInfo, "closed",
			slog.String("peer", g.peer.String()), slog.String("rule", rule))
	}
	if err == nil && !g.closed.Load() {
		g.linger()
	}
	g.Close()
}

// Lingering is bounded by what a peer may have under way at such a moment, and
// is left out under stress.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
)

func (g *Guard) linger() {
	half, ok := g.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || g.stressed() {
		return
	}
	if t, ok := g.raw.(interface{ CloseWrite() error }); ok {
		// After TLS said goodbye the socket has to as well.
		t.CloseWrite()
	}
	g.raw.SetReadDeadline(time.Now().Add(lingerTime))
	g.ownBuffer()
	for n := 0; n < lingerBytes; {
		k, err := g.raw.Read(g.in)
		if err != nil {
			return
		}
		n += k
	}
}

// lastWords is how long a session that is cut may take to say so.
const lastWords = time.Second

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

// ownBuffer sees to it that there is a buffer to read into. It holds the longest
// command line and the longest PROXY header that are accepted.
func (g *Guard) ownBuffer() {
	if g.in == nil {
		g.small = make([]byte, max(g.cfg.limits.CommandLine, maxProxy2))
		g.in = g.small
	}
}

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
