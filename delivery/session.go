package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/spool"
)

// outcome is what became of one recipient in one try. Zero is deferred.
type outcome uint8

const (
	deferred    outcome = 0
	sent        outcome = 1
	failed      outcome = 2 // for good
	interrupted outcome = 3 // by us: it counts as no try
	parked      outcome = 4 // the hop's slots are taken: likewise
)

func (o outcome) String() string {
	switch o {
	case sent:
		return "sent"
	case failed:
		return "bounced"
	default:
		return "deferred"
	}
}

// result is the outcome of one recipient, and why.
type result struct {
	to      envelope.Address
	hop     routing.Hop
	outcome outcome
	status  string    // enhanced code, RFC 3463; "" when there is none
	answer  string    // the peer's words, or ours; bounded and printable
	host    string    // who said it; "" when nobody was reached
	twice   bool      // the peer may have it in spite of the outcome
	tooBig  bool      // the server takes no message of this size
	relayed bool      // sent to a server that reports nothing by itself
	due     time.Time // when to ask again, if not by the schedule
}

// trouble is why a step went wrong, decided once where it did.
type trouble struct {
	outcome outcome
	status  string
	answer  string
	host    string
	gone    bool // the connection cannot be used any more
	twice   bool
	tooBig  bool
	due     time.Time // when to ask again, if not by the schedule
}

func (t *trouble) Error() string { return t.answer }

func (t *trouble) result(hop routing.Hop, a envelope.Address) result {
	return result{to: a, hop: hop, outcome: t.outcome, status: t.status, answer: t.answer, host: t.host, twice: t.twice, tooBig: t.tooBig, due: t.due}
}

// session is one SMTP connection, with nothing half done on it between calls.
type session struct {
	conn     *conn
	offers   map[string]string // keywords of the EHLO answer in upper case, and what stands behind them
	host     host
	tls      bool
	dane     bool  // with one that a TLSA record names
	known    bool  // whoever it is with has proved its name
	proved   bool  // with a certificate that holds for the host's name; known where a policy asks
	unproved error // why not
	sent     int   // messages
	stop     func() bool
	closed   func()
	note     func(spool.Note) error // keeps an answer until it is settled
	log      *slog.Logger
}

const (
	// maxPerConnection bounds the messages sent over one connection, so that a
	// pool of servers behind one address shares the load.
	maxPerConnection = 100
	// maxFlight bounds the commands that are sent before an answer is read. It
	// fits into the buffers of any two kernels, and so do the answers: neither
	// side can wait for the other to read first. RFC 2920, 3.1.
	maxFlight = 8 << 10
	// maxFlightCommands bounds their number, and with it the answers, which
	// are longer than the commands: 100 times the 60 octets that one has.
	maxFlightCommands = 102
)

// errTLSFailed says that a host broke off in the handshake.
type errTLSFailed struct{ err error }

func (e errTLSFailed) Error() string { return e.err.Error() }
func (e errTLSFailed) Unwrap() error { return e.err }

// connect opens a session with one host, with TLS as the hop wants it.
//
// A policy that is enforced (MTA-STS) makes of opportunistic TLS one that is
// required, with a certificate that holds.
func (d *Delivery) connect(ctx context.Context, key string, l *lane, hop routing.Hop, h host, n need) (*session, *trouble) {
	var want func(*tls.Config)
	if n.enforced() && opportunistic(hop) {
		hop.TLS = "require"
	}
	switch hop.TLS {
	case "off":
	case "", "opportunistic":
		// RFC 7435: an unproved certificate is better than none, since without
		// TLS nobody would be proved either.
		want = func(c *tls.Config) { c.InsecureSkipVerify = true }
	default:
		// "require", and anything we do not know.
		want = func(c *tls.Config) { c.RootCAs = d.Roots }
	}
	if n.strict {
		hop.TLS = "require"
		want = func(c *tls.Config) { c.RootCAs = d.Roots }
	}
	known := !opportunistic(hop)
	if len(n.tlsa) > 0 {
		// Not opportunistic any more: what DNSSEC proves cannot be taken away by
		// an answer without STARTTLS. RFC 7672, 2.2.
		hop.TLS = "require"
		if n.tlsa.Usable() || !n.enforced() && !n.strict {
			known = n.tlsa.Usable()
			want = func(c *tls.Config) { n.dane(c, h.name, d.now) }
		}
	}
	s, err := d.dial(ctx, key, l, hop, h, want)
	first := err
	var tlsErr errTLSFailed
	if errors.As(err, &tlsErr) && opportunistic(hop) {
		s, err = d.dial(ctx, key, l, hop, h, nil)
	}
	if err != nil {
		d.countSession(ctx, n, h, nil, first)
		t := d.connectTrouble(ctx, h, err)
		if len(n.tlsa) > 0 && (errors.As(err, &tlsErr) || errors.Is(err, errNotOffered)) {
			t.status, t.answer = "4.7.5", bound("the TLSA records of "+h.name+" require TLS: "+err.Error())
		} else if n.enforced() && (errors.As(err, &tlsErr) || errors.Is(err, errNotOffered)) {
			// RFC 3463, X.7.5.
			t.status, t.answer = "4.7.5", bound("the MTA-STS policy of "+n.domain+" requires TLS: "+err.Error())
		}
		return nil, t
	}
	s.dane, s.known = n.tlsa.Usable(), known && s.tls
	if n.policy != nil && s.tls {
		if t, ok := s.conn.Conn.(*tls.Conn); ok {
			s.unproved = d.proved(t.ConnectionState(), h.name)
			s.proved = s.unproved == nil
		}
	}
	d.countSession(ctx, n, h, s, first)
	return s, nil
}

// errNotOffered says that a server has no TLS where it must have.
var errNotOffered = errors.New("the server does not offer TLS, which this hop requires")

func opportunistic(hop routing.Hop) bool { return hop.TLS == "" || hop.TLS == "opportunistic" }

func (d *Delivery) dial(ctx context.Context, key string, l *lane, hop routing.Hop, h host, want func(*tls.Config)) (_ *session, err error) {
	if err := d.lanes.reserve(ctx, l); err != nil {
		return nil, err
	}
	dctx, cancel := context.WithTimeout(ctx, d.Times.Connect)
	defer cancel()
	raw, err := d.Dial(dctx, "tcp", h.addr)
	if err != nil {
		d.lanes.gone(key, l)
		return nil, fmt.Errorf("connect: %w", err)
	}
	d.connections(hop, 1)
	s := &session{conn: newConn(raw, d.Times), host: h, note: func(n spool.Note) error { return d.Spool.Notes.Write(n) }, log: d.Log, closed: func() {
		d.lanes.gone(key, l)
		d.connections(hop, -1)
	}}
	s.attach(ctx)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	r, err := s.conn.hear(d.Times.Command)
	if err == nil && r.code != 220 {
		err = errAnswer{r}
	}
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if err := s.hello(d.Hostname); err != nil {
		return nil, err
	}
	if want == nil {
		return s, nil
	}
	if !s.offer("STARTTLS") {
		if !opportunistic(hop) {
			return nil, errNotOffered
		}
		return s, nil
	}
	config := &tls.Config{ServerName: h.name, MinVersion: tls.VersionTLS12, Time: d.now}
	want(config)
	err = s.conn.startTLS(ctx, config)
	var refused errNoTLS
	switch {
	case errors.As(err, &refused) && opportunistic(hop):
		return s, nil
	case err != nil:
		return nil, errTLSFailed{err}
	}
	s.tls = true
	// RFC 3207, 4.2: both sides forget what they knew.
	return s, s.hello(d.Hostname)
}

// attach makes ctx end the session; a session that waits for its next message
// belongs to none.
func (s *session) attach(ctx context.Context) {
	c := s.conn.Conn
	s.stop = context.AfterFunc(ctx, func() { c.Close() })
}

// detach ends that. It reports whether the session is still whole.
func (s *session) detach() bool { return s.stop() }

// hello says EHLO, or HELO to a server that does not know it.
func (s *session) hello(hostname string) error {
	s.offers = map[string]string{}
	r, err := s.conn.ask("EHLO " + hostname)
	if err == nil && r.code/100 == 5 {
		// RFC 5321, 3.2.
		r, err = s.conn.ask("HELO " + hostname)
		r.lines = r.lines[:min(1, len(r.lines))]
	}
	if err == nil && r.code != 250 {
		err = errAnswer{r}
	}
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	for _, l := range r.lines[1:] {
		// RFC 5321, 2.4: keywords are not case sensitive. A server that offers
		// "starttls" must not get its mail in clear.
		word, params, _ := strings.Cut(l, " ")
		s.offers[strings.ToUpper(word)] = params
	}
	return nil
}

// offer reports whether the server offered an extension.
func (s *session) offer(keyword string) bool {
	_, ok := s.offers[keyword]
	return ok
}

// close ends the session without a word: what is under way is not finished.
func (s *session) close() {
	s.stop()
	s.conn.Conn.Close()
	s.closed()
}

// quit ends it as RFC 5321, 4.1.1.10 asks, without waiting long for the answer.
func (s *session) quit() {
	s.conn.times.Command = 5 * time.Second
	if _, err := s.conn.ask("QUIT"); err == nil { // nothing hangs on the answer
		// It is the server that closes; until then it counts this connection.
		_, _ = s.conn.r.Peek(1)
	}
	s.close()
}

// connectTrouble says why no session came about. None of these is for good by
// itself: another host or another hour may serve. Only a server that says so
// in its greeting takes no mail at all. RFC 7504.
func (d *Delivery) connectTrouble(ctx context.Context, h host, err error) *trouble {
	t := &trouble{answer: bound(err.Error()), host: h.name, gone: true, status: "4.4.1"}
	var said errAnswer
	switch {
	case ctx.Err() != nil:
		t.outcome = interrupted
	case errors.As(err, &said):
		t.answer, t.status = bound(said.text()), said.status()
		if said.code == 521 || said.code == 556 {
			t.outcome = failed
		}
	}
	return t
}

// broken turns an error that is no answer into trouble. stage is what was under
// way.
func (s *session) broken(ctx context.Context, stage string, err error) *trouble {
	t := &trouble{host: s.host.name, answer: bound(stage + ": " + err.Error()), status: "4.4.2", gone: true}
	if ctx.Err() != nil {
		t.outcome = interrupted
	}
	return t
}

// refused turns an answer that is no yes into trouble.
func (s *session) refused(r reply) *trouble {
	t := &trouble{host: s.host.name, answer: bound(r.text()), status: r.status()}
	switch r.code / 100 {
	case 5:
		t.outcome = failed
	case 4:
		// RFC 5321, 3.8: after 421 the server closes.
		t.gone = r.code == 421
	default:
		// An answer that does not fit the question: the two sides no longer
		// talk of the same command.
		t.gone = true
	}
	return t
}

// send offers the message to all of to and returns a result for each. After it
// the session can take the next message, unless usable is false.
func (s *session) send(ctx context.Context, hop routing.Hop, m *message, received string, e *spool.Entry, to []envelope.Address) (rs []result, usable bool) {
	if t := s.unfit(m, received, e, to); t != nil {
		for _, a := range to {
			rs = append(rs, t.result(hop, a))
		}
		return rs, true
	}
	for len(to) > 0 {
		t := &transaction{s: s, hop: hop, m: m, received: received, e: e, utf8: needsUTF8(m, e, to)}
		gone := t.run(ctx, to)
		rs = append(rs, t.results...)
		if gone != nil {
			for _, a := range append(t.taken, t.again...) {
				rs = append(rs, gone.result(hop, a))
			}
			return rs, false
		}
		to = t.again
	}
	return rs, true
}

// unfit says why this host cannot take this message, from what it offers.
func (s *session) unfit(m *message, received string, e *spool.Entry, to []envelope.Address) *trouble {
	no := func(status, answer string) *trouble {
		return &trouble{outcome: failed, status: status, answer: answer, host: s.host.name}
	}
	if most := s.takes(); most > 0 && most < m.size+int64(len(received)) {
		t := no("5.3.4", fmt.Sprintf("the message has %d octets, the server takes %d", m.size+int64(len(received)), most))
		t.tooBig = true
		return t
	}
	if e.Envelope.RequireTLS {
		if err := s.keeps(); err != nil {
			return no("5.7.30", err.Error())
		}
	}
	if !s.offer("SMTPUTF8") && needsUTF8(m, e, to) {
		// RFC 6531, 3.2.
		return no("5.6.7", "the server does not offer SMTPUTF8, which an address or the header needs")
	}
	if !s.offer("8BITMIME") && m.eightBit {
		// RFC 6152, 3: convert or return. What was sealed is not converted.
		return no("5.6.3", "the message has 8-bit octets and the server does not offer 8BITMIME")
	}
	return nil
}

// keeps says why a session cannot keep what REQUIRETLS promises. RFC 8689, 4.2.1.
func (s *session) keeps() error {
	switch {
	case !s.tls || !s.known:
		return errors.New("the sender requires TLS with a server that is proved")
	case !s.offer("REQUIRETLS"):
		return errors.New("the sender requires TLS, and the server does not promise it (REQUIRETLS)")
	}
	return nil
}

func needsUTF8(m *message, e *spool.Entry, to []envelope.Address) bool {
	for _, a := range to {
		if !ascii(a.String()) {
			return true
		}
	}
	return !ascii(e.Envelope.From.String()) || e.Envelope.UTF8 && m.header8Bit
}

func (d *Delivery) connections(hop routing.Hop, delta int) {
	if d.Metrics.Connections != nil {
		d.Metrics.Connections(hop.Name, delta)
	}
}
