package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"sekisho/envelope"
)

// What the library gets instead of the peer's paths. It only counts them.
const (
	mailForLibrary = "MAIL FROM:<sender@guard.invalid>\r\n"
	rcptForLibrary = "RCPT TO:<recipient@guard.invalid>\r\n"
)

// readLine returns the next command line without its CRLF, or false when the
// session is over.
func (g *Guard) readLine() (string, bool) {
	limits := &g.cfg.limits
	defer g.busy()
	seen := 0
	waiting := false
	for {
		b := g.in[g.r:g.w]
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 {
			line := b[:seen+i]
			g.r += seen + i + 1
			switch {
			case len(line)+1 > limits.CommandLine:
				g.die(&refuseLongLine)
				return "", false
			case len(line) == 0 || line[len(line)-1] != '\r':
				// RFC 5321, 2.3.8. Not tolerated here, and closed: a relay
				// that lets a LF into an address would have its rest run as a
				// command of its own.
				g.die(&refuseBareLF)
				return "", false
			}
			return string(line[:len(line)-1]), true
		}
		if seen = len(b); seen >= limits.CommandLine {
			g.die(&refuseLongLine)
			return "", false
		}
		if !waiting {
			waiting = true
			// The time is for the whole line: one byte every 299 s is no
			// dialogue.
			g.await(waitCommand, time.Now().Add(g.patience(waitCommand, g.stressed())))
		}
		if err := g.receive(); err != nil {
			var timeout net.Error
			switch r := g.ending(); {
			case r != nil:
				g.die(r)
			case errors.As(err, &timeout) && timeout.Timeout():
				g.die(&closeTimeout)
			default:
				g.hangUp("")
			}
			return "", false
		}
	}
}

// command reads one command and answers it, or leaves a line for the library
// in g.give.
func (g *Guard) command() {
	if r := g.ending(); r != nil {
		g.die(r)
		return
	}
	line, ok := g.readLine()
	if !ok {
		return
	}
	if line == "" && g.w-g.r >= len(proxy2Start)-2 && startsLike(g.in[g.r:g.w], proxy2Start[2:]) {
		g.die(&refuseProxy)
		return
	}
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	arg = strings.TrimSpace(arg)
	g.verb = ""
	switch verb {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI":
		// A browser was sent here, and its next lines are chosen by somebody
		// else.
		g.die(&refuseHTTP)
		return
	case "PROXY":
		// Somebody who is not named wants to be another.
		g.die(&refuseProxy)
		return
	}
	for i := 0; i < len(line); i++ {
		if line[i] < 0x20 || line[i] == 0x7f {
			g.refuse(&refuseControl)
			return
		}
		// In an address it may be announced by SMTPUTF8, see parsePath. A verb has
		// none: there are letters whose capitals are of ASCII.
		if line[i] >= 0x80 && (i < 4 || verb != "MAIL" && verb != "RCPT") {
			g.refuse(&refuseEightBit)
			return
		}
	}
	switch verb {
	case "EHLO", "HELO":
		g.hello(verb, arg)
	case "STARTTLS":
		g.startTLS(arg)
	case "MAIL":
		g.mailFrom(arg)
	case "RCPT":
		g.rcptTo(arg)
	case "DATA":
		switch {
		case arg != "":
			g.refuse(&refuseArguments)
		case !g.mail:
			g.refuse(&refuseNoMail)
		case g.rcpts == 0:
			// A client that pipelines sends DATA before it has seen that every
			// recipient was refused. RFC 2920, 3.1.
			g.refuse(&refuseNoRcpt)
		case g.r < g.w:
			// RFC 2920, 3.1: DATA is the last of a group. Content sent before
			// 354 comes from a sender that does not read answers, and had we
			// refused DATA it would have been run as commands.
			g.die(&refusePipelining)
		default:
			if g.cfg.receive != nil {
				if r := g.cfg.receive(g); r != nil {
					g.refuse(r)
					return
				}
			}
			g.pass("DATA", "DATA\r\n")
		}
	case "RSET":
		if g.junked() {
			return
		}
		if arg != "" {
			g.refuse(&refuseArguments)
			return
		}
		if g.helo == "" {
			g.say(answerReset.Code, wire(answerReset))
			return
		}
		g.pass("RSET", "RSET\r\n")
	case "NOOP":
		if !g.junked() {
			g.say(answerNoop.Code, wire(answerNoop))
		}
	case "VRFY":
		// RFC 5321, 3.5.3: neither yes nor no.
		if !g.junked() {
			g.say(answerVerify.Code, wire(answerVerify))
		}
	case "QUIT":
		g.pass("QUIT", "QUIT\r\n")
	case "BDAT":
		// RFC 3030. A chunk follows, of a length that cannot be trusted.
		g.die(&refuseBDAT)
	case "EXPN", "HELP", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "AUTH", "XCLIENT", "XFORWARD":
		g.refuse(&refuseNotHere)
	default:
		g.refuse(&refuseUnknown)
	}
}

// pass hands the library a line.
func (g *Guard) pass(verb, line string) {
	g.verb, g.give, g.state = verb, []byte(line), stateAnswer
}

// junked counts a command that moves nothing, and closes after too many.
func (g *Guard) junked() bool {
	if g.junk++; g.junk > g.cfg.limits.Junk {
		g.die(&closeJunk)
		return true
	}
	return false
}

func (g *Guard) hello(verb, arg string) {
	name, ok := heloName(arg)
	switch {
	case !ok:
		g.refuse(&refuseHelo)
		return
	case g.r < g.w:
		// RFC 2920, 3.1: what may follow is what the answer offers.
		g.die(&refusePipelining)
		return
	}
	if g.helo != "" && g.junked() {
		return
	}
	// RFC 5321, 4.1.4: a later EHLO resets like RSET. The library does so too.
	g.endTransaction()
	g.helo, g.esmtp = name, verb == "EHLO"
	g.pass(verb, verb+" "+name+"\r\n")
}

func (g *Guard) mailFrom(arg string) {
	switch {
	case g.helo == "":
		g.refuse(&refuseNoHelo)
		return
	case g.mail:
		// The library would keep the recipients of the one before.
		g.refuse(&refuseSecondMail)
		return
	}
	from, params, r := parseMail(arg, g.cfg.limits.MessageSize, g.cfg.dsn, g.offersRequireTLS())
	if r != nil {
		g.refuse(r)
		return
	}
	g.from, g.params = from, params
	g.pass("MAIL", mailForLibrary)
}

func (g *Guard) rcptTo(arg string) {
	if !g.mail {
		g.refuse(&refuseNoMail)
		return
	}
	to, params, r := parseRcpt(arg, g.params.UTF8, g.cfg.hostname, g.cfg.dsn)
	if r != nil {
		g.refuse(r)
		return
	}
	g.rcpt, g.rcptParams = to, params
	g.pass("RCPT", rcptForLibrary)
}

// startTLS does the whole of STARTTLS. RFC 3207.
func (g *Guard) startTLS(arg string) {
	switch {
	case arg != "":
		g.refuse(&refuseArguments)
		return
	case g.tls != "":
		g.refuse(&refuseTLSTwice)
		return
	case g.cfg.tls == nil:
		g.refuse(&refuseNoTLS)
		return
	case g.helo == "":
		g.refuse(&refuseNoHelo)
		return
	case g.mail:
		g.refuse(&refuseTransaction)
		return
	case g.r < g.w:
		// CVE-2011-0411: written in clear, by anyone on the way, to be read
		// after the handshake.
		g.die(&refuseEarlyTLSData)
		return
	}
	g.say(answerStartTLS.Code, wire(answerStartTLS))
	if g.state == stateDead || g.flush() != nil {
		return
	}
	conn := tls.Server(g.raw, g.cfg.tls)
	until := time.Now().Add(g.patience(waitHandshake, g.stressed()))
	g.raw.SetWriteDeadline(until)
	g.await(waitHandshake, until)
	// On a stack of its own, which goes with it: it needs tens of KiB, and the
	// session has none of that left to carry for hours.
	shaken := make(chan error, 1)
	go func() {
		// As the library does for a session: one peer must not end the daemon.
		defer func() {
			if r := recover(); r != nil {
				shaken <- fmt.Errorf("panic: %v", r)
			}
		}()
		shaken <- conn.Handshake()
	}()
	err := <-shaken
	g.busy()
	if err != nil {
		g.hangUp("smtp.tls_handshake")
		return
	}
	g.raw.SetDeadline(time.Time{})
	g.conn = conn
	st := conn.ConnectionState()
	g.tls = tls.VersionName(st.Version) + " " + tls.CipherSuiteName(st.CipherSuite)
	// RFC 3207, 4.2: both sides forget what they knew. The library forgets at
	// the EHLO that must come next.
	g.helo, g.esmtp = "", false
	g.from = envelope.Address{}
	g.endTransaction()
}
