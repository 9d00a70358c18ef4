package smtpd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"time"

	"sekisho/envelope"
)

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
		g.notReceiving()
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
		g.notReceiving()
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

// notReceiving says that no message is on its way any more.
func (g *Guard) notReceiving() {
	if g.cfg.received != nil {
		g.cfg.received(g)
	}
}

// offersRequireTLS reports whether a sender may ask that his mail goes under TLS
// alone: one inside, who is told when it cannot, and only under TLS himself. RFC
// 8689, 2. To the internet it is not offered: hardly a server inside knows of
// it, and whoever was promised it here would lose his mail there.
func (g *Guard) offersRequireTLS() bool { return g.cfg.dsn && g.tls != "" }

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
	if g.cfg.tls != nil && g.tls == "" {
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
