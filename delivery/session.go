package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/emersion/go-smtp"

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
	due     time.Time // parked: when to ask again
}

// trouble is why a step went wrong, decided once where it did.
type trouble struct {
	outcome outcome
	status  string
	answer  string
	host    string
	gone    bool // the connection cannot be used any more
	twice   bool
	due     time.Time // parked: when to ask again
}

func (t *trouble) Error() string { return t.answer }

func (t *trouble) result(hop routing.Hop, a envelope.Address) result {
	return result{to: a, hop: hop, outcome: t.outcome, status: t.status, answer: t.answer, host: t.host, twice: t.twice, due: t.due}
}

// session is one SMTP connection, with nothing half done on it between calls.
type session struct {
	conn   *conn
	client *smtp.Client
	host   host
	tls    bool
	sent   int // messages
	stop   func() bool
	closed func()
}

// maxPerConnection bounds the messages sent over one connection, so that a
// pool of servers behind one address shares the load.
const maxPerConnection = 100

// errTLSFailed says that a host broke off in the handshake.
type errTLSFailed struct{ err error }

func (e errTLSFailed) Error() string { return e.err.Error() }
func (e errTLSFailed) Unwrap() error { return e.err }

// connect opens a session with one host, with TLS as the hop wants it.
func (d *Delivery) connect(ctx context.Context, hop routing.Hop, h host) (*session, *trouble) {
	var want func(*tls.Config)
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
	s, err := d.dial(ctx, hop, h, want)
	var tlsErr errTLSFailed
	if errors.As(err, &tlsErr) && opportunistic(hop) {
		s, err = d.dial(ctx, hop, h, nil)
	}
	if err != nil {
		return nil, d.connectTrouble(ctx, h, err)
	}
	return s, nil
}

func opportunistic(hop routing.Hop) bool { return hop.TLS == "" || hop.TLS == "opportunistic" }

func (d *Delivery) dial(ctx context.Context, hop routing.Hop, h host, want func(*tls.Config)) (_ *session, err error) {
	dctx, cancel := context.WithTimeout(ctx, d.Times.Connect)
	defer cancel()
	raw, err := d.Dial(dctx, "tcp", h.addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	d.connections(hop, 1)
	s := &session{conn: newConn(raw, d.Times), host: h, closed: func() { d.connections(hop, -1) }}
	s.attach(ctx)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.greet(d.Hostname, d.Times); err != nil {
		return nil, err
	}
	if want == nil {
		return s, nil
	}
	if ok, _ := s.client.Extension("STARTTLS"); !ok {
		if !opportunistic(hop) {
			return nil, errors.New("the server does not offer TLS, which this hop requires")
		}
		return s, nil
	}
	config := &tls.Config{ServerName: h.name, MinVersion: tls.VersionTLS12}
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
	return s, s.greet(d.Hostname, d.Times)
}

// attach makes ctx end the session; a session that waits for its next message
// belongs to none.
func (s *session) attach(ctx context.Context) {
	c := s.conn.Conn
	s.stop = context.AfterFunc(ctx, func() { c.Close() })
}

// detach ends that. It reports whether the session is still whole.
func (s *session) detach() bool { return s.stop() }

func (s *session) greet(hostname string, t Times) error {
	s.client = smtp.NewClient(s.conn)
	s.client.CommandTimeout = t.Command
	s.client.SubmissionTimeout = t.Final
	if err := s.client.Hello(hostname); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	return nil
}

// close ends the session without a word: what is under way is not finished.
func (s *session) close() {
	s.stop()
	s.conn.Conn.Close()
	s.closed()
}

// quit ends it as RFC 5321, 4.1.1.10 asks, without waiting long for the answer.
func (s *session) quit() {
	s.client.CommandTimeout = 5 * time.Second
	_ = s.client.Quit() // nothing hangs on the answer
	s.close()
}

// connectTrouble says why no session came about. None of these is for good by
// itself: another host or another hour may serve. Only a server that says so
// in its greeting takes no mail at all. RFC 7504.
func (d *Delivery) connectTrouble(ctx context.Context, h host, err error) *trouble {
	t := &trouble{answer: bound(err.Error()), host: h.name, gone: true, status: "4.4.1"}
	var re *smtp.SMTPError
	switch {
	case ctx.Err() != nil:
		t.outcome = interrupted
	case errors.As(err, &re):
		t.answer, t.status = said(re)
		if re.Code == 521 || re.Code == 556 {
			t.outcome = failed
		}
	}
	return t
}

// classify turns an error of the library into trouble. stage is what was under
// way, for errors that are no answer.
func (s *session) classify(ctx context.Context, stage string, err error) *trouble {
	t := &trouble{host: s.host.name}
	var re *smtp.SMTPError
	if !errors.As(err, &re) {
		t.answer, t.status, t.gone = bound(stage+": "+err.Error()), "4.4.2", true
		if ctx.Err() != nil {
			t.outcome = interrupted
		}
		return t
	}
	t.answer, t.status = said(re)
	switch re.Code / 100 {
	case 5:
		t.outcome = failed
	case 4:
		// RFC 5321, 3.8: after 421 the server closes.
		t.gone = re.Code == 421
	default:
		// An answer that does not fit the question: the two sides no longer
		// talk of the same command.
		t.gone = true
	}
	return t
}

// said writes down an answer, and its enhanced code if it has one.
func said(e *smtp.SMTPError) (answer, status string) {
	answer = strconv.Itoa(e.Code)
	status = answer[:1] + ".0.0"
	if c := e.EnhancedCode; c[0] > 0 {
		code := fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2])
		answer += " " + code
		// A code whose class is not that of the reply says two things; the
		// reply counts. RFC 2034, 4.
		if c[0] == e.Code/100 {
			status = code
		}
	}
	return bound(answer + " " + e.Message), status
}

// send offers the message to all of to and returns a result for each. After it
// the session can take the next message, unless usable is false.
func (s *session) send(ctx context.Context, hop routing.Hop, m *message, received string, e *spool.Entry, to []envelope.Address) (rs []result, usable bool) {
	all := func(t *trouble, as []envelope.Address) {
		for _, a := range as {
			rs = append(rs, t.result(hop, a))
		}
	}
	if t := s.unfit(m, received, e, to); t != nil {
		all(t, to)
		return rs, true
	}
	for len(to) > 0 {
		more, t := s.transaction(ctx, hop, m, received, e, to, &rs)
		if t != nil && t.gone {
			all(t, more)
			return rs, false
		}
		to = more
	}
	return rs, true
}

// unfit says why this host cannot take this message, from what it offers.
func (s *session) unfit(m *message, received string, e *spool.Entry, to []envelope.Address) *trouble {
	no := func(status, answer string) *trouble {
		return &trouble{outcome: failed, status: status, answer: answer, host: s.host.name}
	}
	if most, ok := s.client.MaxMessageSize(); ok && most > 0 && int64(most) < m.size+int64(len(received)) {
		return no("5.3.4", fmt.Sprintf("the message has %d octets, the server takes %d", m.size+int64(len(received)), most))
	}
	if ok, _ := s.client.Extension("SMTPUTF8"); !ok && needsUTF8(m, e, to) {
		// RFC 6531, 3.2.
		return no("5.6.7", "the server does not offer SMTPUTF8, which an address or the header needs")
	}
	if ok, _ := s.client.Extension("8BITMIME"); !ok && m.eightBit {
		// RFC 6152, 3: convert or return. What was sealed is not converted.
		return no("5.6.3", "the message has 8-bit octets and the server does not offer 8BITMIME")
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

// transaction sends the message once. What it decided goes to rs; the
// recipients that are to be offered again come back. When the trouble is that
// the connection is gone, these are the ones that it concerns.
func (s *session) transaction(ctx context.Context, hop routing.Hop, m *message, received string, e *spool.Entry, to []envelope.Address, rs *[]result) ([]envelope.Address, *trouble) {
	opts := &smtp.MailOptions{Size: m.size + int64(len(received)), UTF8: needsUTF8(m, e, to)}
	if err := s.client.Mail(e.Envelope.From.String(), opts); err != nil && !ok2xx(err) {
		t := s.classify(ctx, "MAIL", err)
		if t.gone {
			return to, t
		}
		for _, a := range to {
			*rs = append(*rs, t.result(hop, a))
		}
		return nil, nil
	}
	var taken, again []envelope.Address
	for i, a := range to {
		err := s.client.Rcpt(a.String(), nil)
		if err == nil {
			taken = append(taken, a)
			continue
		}
		t := s.classify(ctx, "RCPT", err)
		var re *smtp.SMTPError
		switch {
		case t.gone:
			return append(append(taken, again...), to[i:]...), t
		case len(taken) > 0 && errors.As(err, &re) && (re.Code == 452 || re.Code == 552):
			// Too many recipients for one message: those that were taken are
			// sent first. RFC 5321, 4.5.3.1.10.
			again = append(again, a)
		default:
			*rs = append(*rs, t.result(hop, a))
		}
	}
	if len(taken) == 0 {
		return s.reset(ctx, again)
	}
	w, err := s.client.Data()
	if err != nil {
		t := s.classify(ctx, "DATA", err)
		if t.gone {
			return append(taken, again...), t
		}
		for _, a := range taken {
			*rs = append(*rs, t.result(hop, a))
		}
		return s.reset(ctx, again)
	}
	if t := s.body(ctx, m, received, w); t != nil {
		return append(taken, again...), t
	}
	resp, err := w.CloseWithResponse()
	answer := ""
	switch {
	case err == nil:
		answer = bound("250 " + resp.StatusText)
	case ok2xx(err):
		answer = bound(err.Error())
	default:
		t := s.classify(ctx, "after the final dot", err)
		var re *smtp.SMTPError
		if !errors.As(err, &re) {
			// Nobody can know whether the peer took it. RFC 1047.
			t.twice = true
		}
		for _, a := range taken {
			*rs = append(*rs, t.result(hop, a))
		}
		if t.gone {
			// Those that were to come in a further transaction got nothing.
			t.twice = false
			return again, t
		}
		return again, nil
	}
	s.sent++
	for _, a := range taken {
		*rs = append(*rs, result{to: a, hop: hop, outcome: sent, answer: answer, host: s.host.name})
	}
	return again, nil
}

// reset takes back a transaction of which nothing was sent.
func (s *session) reset(ctx context.Context, again []envelope.Address) ([]envelope.Address, *trouble) {
	if err := s.client.Reset(); err != nil {
		t := s.classify(ctx, "RSET", err)
		t.gone = true
		return again, t
	}
	return again, nil
}

// body writes the message. On any failure the connection is broken off, so
// that a half message never gets its final dot: the library would write it
// before the next command.
func (s *session) body(ctx context.Context, m *message, received string, w io.Writer) *trouble {
	_, err := io.WriteString(w, received)
	if err == nil {
		err = m.send(ctx, w)
	}
	if err == nil {
		return nil
	}
	s.conn.Conn.Close()
	t := s.classify(ctx, "DATA", err)
	t.gone = true
	var ours errRead
	if errors.As(err, &ours) {
		t.status, t.host = "4.3.0", ""
	}
	return t
}

// ok2xx reports whether an "unexpected answer" is a success all the same: the
// library wants 250 exactly. RFC 5321, 4.2.1: the first digit decides.
func ok2xx(err error) bool {
	var re *smtp.SMTPError
	return errors.As(err, &re) && re.Code/100 == 2
}

func (d *Delivery) connections(hop routing.Hop, delta int) {
	if d.Metrics.Connections != nil {
		d.Metrics.Connections(hop.Name, delta)
	}
}
