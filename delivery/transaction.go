package delivery

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/spool"
)

// transaction is one message on its way over one session, from MAIL to the
// answer to the final dot. Each recipient it is given ends in exactly one of
// results, taken or again.
type transaction struct {
	s        *session
	hop      routing.Hop
	m        *message
	received string
	e        *spool.Entry
	utf8     bool

	refused *trouble // the answer to MAIL
	taken   []envelope.Address
	again   []envelope.Address // to be offered in another transaction
	results []result
}

// run carries it out. What it decided stands in results; those in again are to
// be offered anew. When it returns trouble the connection is gone, which then
// is what became of those in taken and again.
//
// MAIL, RCPT and DATA travel together where the server offers PIPELINING, so
// that DATA may be accepted for a message that has no recipient any more. RFC
// 2920, 3.1.
func (t *transaction) run(ctx context.Context, to []envelope.Address) *trouble {
	s := t.s
	// The first is MAIL, then comes one for each recipient, then DATA.
	commands := t.commands(to)
	for next := 0; ; {
		end := s.flight(commands, next)
		if next == len(commands)-1 && len(t.taken) == 0 {
			return t.reset(ctx)
		}
		if err := s.conn.say(strings.Join(commands[next:end], "")); err != nil {
			return t.lost(ctx, to[max(next-1, 0):], "write", err)
		}
		for ; next < end; next++ {
			verb, _, _ := strings.Cut(commands[next], " ")
			verb = strings.TrimSpace(verb)
			r, err := s.conn.hear(s.conn.times.Command)
			if err != nil {
				return t.lost(ctx, to[max(next-1, 0):], verb, err)
			}
			switch next {
			case 0:
				if r.code/100 != 2 {
					t.refused = s.refused(r)
					if t.refused.gone {
						t.unasked(to)
						return t.refused
					}
				}
			case len(commands) - 1:
				return t.data(ctx, r)
			default:
				if gone := t.answered(to[next-1], r); gone != nil {
					t.unasked(to[next:])
					return gone
				}
			}
		}
		if t.refused != nil {
			// The others are not asked for a message that has no sender.
			t.unasked(to[next-1:])
			return t.refusedAll()
		}
	}
}

// commands are all that come before the message, with their line ends.
func (t *transaction) commands(to []envelope.Address) []string {
	s, e := t.s, &t.e.Envelope
	mail := "MAIL FROM:<" + e.From.String() + ">"
	if s.offer("SIZE") {
		mail += " SIZE=" + strconv.FormatInt(t.m.size+int64(len(t.received)), 10)
	}
	if s.offer("8BITMIME") && (t.m.eightBit || e.Body8Bit) {
		mail += " BODY=8BITMIME"
	}
	if t.utf8 {
		mail += " SMTPUTF8"
	}
	if e.RequireTLS {
		mail += " REQUIRETLS"
	}
	dsn := s.offer("DSN") && e.DSN != nil
	if dsn {
		// They were parsed when they came and are sealed; read again, because
		// what is written into a command must not rest on that alone.
		if r := e.DSN.Return; r == "FULL" || r == "HDRS" {
			mail += " RET=" + r
		}
		if _, ok := envelope.Xtext(e.DSN.EnvID); ok && e.DSN.EnvID != "" {
			mail += " ENVID=" + e.DSN.EnvID
		}
	}
	cs := []string{mail + "\r\n"}
	for _, a := range to {
		c := "RCPT TO:<" + a.String() + ">"
		if dsn {
			ask := e.DSN.Of(a)
			if n := ask.Notify.String(); n != "" {
				c += " NOTIFY=" + n
			}
			if kind, addr, ok := strings.Cut(ask.Original, ";"); ok && !strings.ContainsAny(kind, " \r\n") {
				if _, ok := envelope.Xtext(addr); ok {
					c += " ORCPT=" + kind + ";" + addr
				}
			}
		}
		cs = append(cs, c+"\r\n")
	}
	return append(cs, "DATA\r\n")
}

// flight returns the end of what may be sent in one go from next on.
func (s *session) flight(commands []string, next int) int {
	if !s.offer("PIPELINING") {
		return next + 1
	}
	octets := 0
	for end := next; end < len(commands); end++ {
		octets += len(commands[end])
		if end > next && (octets > maxFlight || end-next >= maxFlightCommands) {
			return end
		}
	}
	return len(commands)
}

// answered sorts the answer to one RCPT.
func (t *transaction) answered(a envelope.Address, r reply) *trouble {
	switch {
	case r.code/100 == 2:
		t.taken = append(t.taken, a)
		return nil
	case t.refused != nil:
		// Whatever it says, there is no message for him.
		t.results = append(t.results, t.refused.result(t.hop, a))
		if r.code == 421 {
			t.give(t.refused)
			return t.s.refused(r)
		}
		return nil
	}
	no := t.s.refused(r)
	switch {
	case no.gone:
		t.again = append(t.again, a)
		return no
	case len(t.taken) > 0 && (r.code == 452 || r.code == 552):
		// Too many recipients for one message: those that were taken are sent
		// first. RFC 5321, 4.5.3.1.10.
		t.again = append(t.again, a)
	default:
		t.results = append(t.results, no.result(t.hop, a))
	}
	return nil
}

// data goes on after the answer to DATA.
func (t *transaction) data(ctx context.Context, r reply) *trouble {
	s := t.s
	switch {
	case r.code == 354 && t.refused == nil && len(t.taken) > 0:
		return t.message(ctx)
	case r.code == 354 && len(t.taken) > 0:
		// No sender and yet recipients: were the dot sent, they would get an
		// empty message. Broken off, there is none.
		return t.refusedAll()
	case r.code == 354:
		// RFC 2920, 3.1: a dot alone ends what has no recipient.
		r, err := s.conn.ask(".")
		if err != nil {
			return t.lost(ctx, nil, "DATA", err)
		}
		if r.code == 421 {
			return s.refused(r)
		}
		return nil
	case r.code/100 < 4, r.code == 421:
		// 2xx is no answer to DATA.
		no := s.refused(r)
		no.gone = true
		if t.refused != nil {
			t.give(t.refused)
		}
		return no
	case t.refused != nil:
		return t.refusedAll()
	case len(t.taken) == 0:
		return t.reset(ctx)
	}
	t.give(s.refused(r))
	return t.reset(ctx)
}

// give gives those that were taken their result.
func (t *transaction) give(no *trouble) {
	for _, a := range t.taken {
		t.results = append(t.results, no.result(t.hop, a))
	}
	t.taken = nil
}

// refusedAll ends a transaction whose MAIL was refused. A server that took
// recipients all the same may think itself in one: the connection ends too.
func (t *transaction) refusedAll() *trouble {
	if len(t.taken) == 0 {
		return nil
	}
	t.give(t.refused)
	gone := *t.refused
	gone.gone = true
	return &gone
}

// unasked sorts those whose RCPT has no answer: what MAIL got is theirs, if it
// was a no, and otherwise they are what the end of the connection concerns.
func (t *transaction) unasked(as []envelope.Address) {
	for _, a := range as {
		if t.refused != nil {
			t.results = append(t.results, t.refused.result(t.hop, a))
		} else {
			t.again = append(t.again, a)
		}
	}
}

// lost ends it with a connection that broke.
func (t *transaction) lost(ctx context.Context, rest []envelope.Address, stage string, err error) *trouble {
	t.unasked(rest)
	if t.refused != nil {
		t.give(t.refused)
	}
	return t.s.broken(ctx, stage, err)
}

// reset takes back a transaction of which nothing was sent.
func (t *transaction) reset(ctx context.Context) *trouble {
	r, err := t.s.conn.ask("RSET")
	if err != nil {
		return t.s.broken(ctx, "RSET", err)
	}
	if r.code/100 != 2 {
		no := t.s.refused(r)
		no.outcome, no.gone = deferred, true
		return no
	}
	return nil
}

// message sends the octets and the dot. On any failure before it the
// connection is broken off, so that a half message never gets its final dot.
func (t *transaction) message(ctx context.Context) *trouble {
	s := t.s
	w := newContent(s.conn, int64(len(t.received))+t.m.size)
	err := s.conn.silent() // said before there was a dot, it would be taken for the answer to it
	if err == nil {
		_, err = w.Write([]byte(t.received))
	}
	if err == nil {
		err = t.m.send(ctx, w)
	}
	if err == nil {
		// Again, for what it said while it was sent the message.
		err = s.conn.silent()
	}
	if err != nil {
		return t.cut(ctx, err)
	}
	t.note(spool.Note{Asked: true})
	var r reply
	switch err = w.end(); {
	case errors.Is(err, errStray):
		return t.cut(ctx, err)
	case err == nil:
		r, err = s.conn.hear(s.conn.times.Final)
		if err == nil && r.code/100 == 2 && s.conn.premature() {
			// A yes to what it cannot have had. A no counts: it has seen enough.
			err = errInjected
		}
	}
	if err != nil {
		// Nobody can know whether the peer took it. RFC 1047.
		gone := s.broken(ctx, "after the final dot", err)
		twice := *gone
		twice.twice = true
		t.give(&twice)
		// Those that were to come in a further transaction got nothing.
		return gone
	}
	if r.code/100 != 2 {
		no := s.refused(r)
		t.give(no)
		if no.gone {
			return no
		}
		return nil
	}
	s.sent++
	relayed := !s.offer("DSN")
	// Before anything else: should the daemon end now, the next one knows.
	t.note(spool.Note{Answer: bound(r.text()), Status: r.status(), Relayed: relayed})
	for _, a := range t.taken {
		// Where the server knows nothing of reports, we are the last who do.
		// RFC 3461, 5.2.2.
		t.results = append(t.results, result{to: a, hop: t.hop, outcome: sent, answer: bound(r.text()), status: r.status(), host: s.host.name, relayed: relayed})
	}
	t.taken = nil
	return nil
}

// note writes down what is said of those that were taken.
func (t *transaction) note(said spool.Note) {
	n := spool.NoteOf(t.e)
	said.ID, said.Sent = n.ID, n.Sent
	said.To, said.Hop, said.Host = t.taken, t.hop.Name, t.s.host.name
	if err := t.s.note(said); err != nil {
		t.s.log.Error("note", "id", string(t.e.Envelope.ID), "err", err)
	}
}

// lastWords is how long a server that broke off in the middle of a message is
// listened to: what it had to say has come already, or does not come.
const lastWords = time.Second

// cut breaks the connection off in the middle of the message. A server that is
// full, or has seen enough, says so before it closes: its no counts, since
// the same message would find the same end at every try.
func (t *transaction) cut(ctx context.Context, err error) *trouble {
	s := t.s
	gone := s.broken(ctx, "DATA", err)
	var ours errRead
	var network net.Error
	switch {
	case errors.As(err, &ours):
		gone.status, gone.host = "4.3.0", ""
	case ctx.Err() == nil && (errors.Is(err, errInjected) || errors.As(err, &network)):
		if r, err := s.conn.hear(lastWords); err == nil && (r.code/100 == 4 || r.code/100 == 5) {
			t.give(s.refused(r))
		}
	}
	s.conn.Conn.Close()
	return gone
}
