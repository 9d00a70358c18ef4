package smtptest

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
	"sync"
	"time"
)

// Stage is a place in a session at which a Sink can be told what to do.
type Stage string

// The stages, in the order of a session. Final is the answer to the dot that
// ends a message; Body is asked once, before the first byte of it is read.
const (
	StageGreeting  Stage = "greeting"
	StageEHLO      Stage = "ehlo"
	StageStartTLS  Stage = "starttls"
	StageHandshake Stage = "handshake"
	StageMail      Stage = "mail"
	StageRcpt      Stage = "rcpt"
	StageData      Stage = "data"
	StageBody      Stage = "body"
	StageFinal     Stage = "final"
	StageRset      Stage = "rset"
	StageQuit      Stage = "quit"
	StageOther     Stage = "other"
)

// Call is what a Sink asks its script about.
type Call struct {
	Stage   Stage
	Session int    // 1, 2, 3 ... in the order of connecting
	Message int    // 1, 2, 3 ... in this session; counted at MAIL
	Line    string // the command line, without its end
	Address string // between the angle brackets of MAIL and RCPT, as it came
	TLS     bool
	More    bool // the client has sent more already, without waiting for the answer
}

// Act is what a Sink does at a stage. The zero value answers as a good server
// does.
type Act struct {
	Reply string        // instead of the usual one; lines are separated by \n and are written as they are, CRLF added
	Delay time.Duration // before anything else; ends early when the sink is closed
	Drip  time.Duration // between the octets of the reply
	Flood int           // continuation lines of the reply's code that stand before it
	Hang  bool          // never answers
	Reset bool          // RST instead of the answer
	Close bool          // FIN after the answer; with Reply "-" instead of it
	Early string        // StageBody: said in the middle of the message, as it is, without being asked
	After int           // StageBody: reset, hang, close or Early after this many octets
	Noise bool          // StageHandshake: octets that are no TLS, then FIN
}

// Taken is one message that a Sink took, or as much of it as came.
type Taken struct {
	Session  int
	Helo     string
	MailLine string   // the whole MAIL command
	From     string   // between its angle brackets
	To       []string // of the RCPT commands that were accepted
	Data     []byte   // dots unstuffed, without the end
	Complete bool     // the final dot came
	Answer   string   // what was answered to it, "" when nothing was
	TLS      bool
	Began    time.Time // when MAIL was taken
	At       time.Time
}

// Sink is an SMTP server that takes every mail, remembers the envelope and the
// octets of each, and misbehaves where its script says so. It knows only as
// much SMTP as a client needs to deliver, and it believes nothing: what it
// records is what came over the wire.
type Sink struct {
	// Script is asked at every stage; nil answers as a good server does. It is
	// called by several goroutines.
	Script func(Call) Act
	// Extensions are the lines of the EHLO answer after the first. nil:
	// PIPELINING, SIZE 20971520, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES; and
	// STARTTLS when TLS is set and not on yet.
	Extensions []string
	// StartTLS is the line that offers it; "" is "STARTTLS".
	StartTLS string
	TLS      *tls.Config
	Name     string // in greeting and EHLO; "" is "sink.example"
	// Deliver, if set, is given every message that Delivered would return, before
	// its answer goes out; the sink then keeps none: for runs of an hour. It is
	// called by several goroutines.
	Deliver func(Taken)

	l    net.Listener
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu       sync.Mutex
	taken    []Taken
	count    int // of those delivered
	sessions int
	open     int
	maxOpen  int
	commands []string
	changed  chan struct{}
}

// Listen starts the sink on a loopback address, "127.0.0.1:0" for a free port.
func (s *Sink) Listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.l = l
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.changed = make(chan struct{})
	s.wg.Go(s.accept)
	return nil
}

// Addr is where it listens.
func (s *Sink) Addr() string { return s.l.Addr().String() }

// Close ends the sink and every session.
func (s *Sink) Close() {
	s.stop()
	s.l.Close()
	s.wg.Wait()
}

// Sessions is the number of connections that were made.
func (s *Sink) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// MostOpen is the largest number of connections there were at a time.
func (s *Sink) MostOpen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxOpen
}

// Commands are the command lines of all sessions, in the order they came.
func (s *Sink) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

// All is every message of which at least DATA was accepted.
func (s *Sink) All() []Taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Taken(nil), s.taken...)
}

// Delivered is every message that came whole and was answered with a 2xx or,
// because the script cut the session there, with nothing.
func (s *Sink) Delivered() []Taken {
	var d []Taken
	for _, t := range s.All() {
		if t.delivered() {
			d = append(d, t)
		}
	}
	return d
}

// Count is the number of messages that Delivered returns, for those that ask
// often.
func (s *Sink) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (t *Taken) delivered() bool { return t.Complete && (t.Answer == "" || t.Answer[0] == '2') }

// Wait waits until n messages were delivered.
func (s *Sink) Wait(ctx context.Context, n int) ([]Taken, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		d := s.Delivered()
		if len(d) >= n {
			return d, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return d, fmt.Errorf("%d of %d messages came: %w", len(d), n, ctx.Err())
		}
	}
}

// note changes what is recorded and wakes those that wait.
func (s *Sink) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Sink) accept() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		var n int
		s.note(func() {
			s.sessions++
			s.open++
			s.maxOpen = max(s.maxOpen, s.open)
			n = s.sessions
		})
		s.wg.Go(func() {
			ss := &sinkSession{sink: s, raw: c, c: c, r: bufio.NewReader(c), n: n}
			stop := context.AfterFunc(s.ctx, func() { c.Close() })
			defer stop()
			ss.run()
			// Before the client can know that it is over.
			s.note(func() { s.open-- })
			c.Close()
		})
	}
}

// errSinkEnd ends a session that the script or the client ended.
var errSinkEnd = errors.New("session over")

type sinkSession struct {
	sink    *Sink
	raw, c  net.Conn
	r       *bufio.Reader
	n       int
	message int
	tls     bool
	helo    string
	current Taken
	mailed  bool
}

// do asks the script and acts; usual is the answer of a good server. It
// returns the answer that went out.
func (ss *sinkSession) do(stage Stage, line, address, usual string) (string, error) {
	return ss.perform(ss.ask(stage, line, address), usual)
}

// perform does what the script said.
func (ss *sinkSession) perform(act Act, usual string) (string, error) {
	if act.Delay > 0 {
		select {
		case <-time.After(act.Delay):
		case <-ss.sink.ctx.Done():
			return "", errSinkEnd
		}
	}
	if act.Hang {
		ss.mute()
		return "", errSinkEnd
	}
	if act.Reset {
		ss.reset()
		return "", errSinkEnd
	}
	reply := usual
	if act.Reply != "" {
		reply = act.Reply
	}
	if reply != "-" {
		if err := ss.answer(reply, act); err != nil {
			return "", err
		}
	}
	if act.Close {
		return reply, errSinkEnd
	}
	return reply, nil
}

func (ss *sinkSession) ask(stage Stage, line, address string) Act {
	if ss.sink.Script == nil {
		return Act{}
	}
	return ss.sink.Script(Call{Stage: stage, Session: ss.n, Message: ss.message, Line: line, Address: address, TLS: ss.tls, More: ss.r.Buffered() > 0})
}

func (ss *sinkSession) answer(reply string, act Act) error {
	var b bytes.Buffer
	if len(reply) >= 3 {
		for range act.Flood {
			b.WriteString(reply[:3] + "-more\r\n")
		}
	}
	for l := range strings.SplitSeq(reply, "\n") {
		b.WriteString(l + "\r\n")
	}
	if act.Drip <= 0 {
		_, err := ss.c.Write(b.Bytes())
		return err
	}
	for _, o := range b.Bytes() {
		if _, err := ss.c.Write([]byte{o}); err != nil {
			return err
		}
		select {
		case <-time.After(act.Drip):
		case <-ss.sink.ctx.Done():
			return errSinkEnd
		}
	}
	return nil
}

// hang reads nothing and writes nothing until the sink is closed.
func (ss *sinkSession) hang() { <-ss.sink.ctx.Done() }

// mute writes nothing until the client has gone.
func (ss *sinkSession) mute() { _, _ = io.Copy(io.Discard, ss.raw) }

// reset makes the kernel send RST instead of FIN.
func (ss *sinkSession) reset() {
	if t, ok := ss.raw.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	ss.raw.Close()
}

func (ss *sinkSession) run() {
	name := ss.sink.Name
	if name == "" {
		name = "sink.example"
	}
	if _, err := ss.do(StageGreeting, "", "", "220 "+name+" ESMTP"); err != nil {
		return
	}
	for {
		line, err := ss.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		ss.sink.note(func() { ss.sink.commands = append(ss.sink.commands, line) })
		verb, arg, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			ss.helo, ss.mailed = arg, false
			_, err = ss.do(StageEHLO, line, "", ss.ehlo(name, strings.EqualFold(verb, "EHLO")))
		case "STARTTLS":
			err = ss.startTLS(line)
		case "MAIL":
			ss.message++
			err = ss.mail(line)
		case "RCPT":
			err = ss.rcpt(line)
		case "DATA":
			err = ss.data(line)
		case "RSET":
			ss.mailed = false
			_, err = ss.do(StageRset, line, "", "250 2.0.0 ok")
		case "QUIT":
			ss.do(StageQuit, line, "", "221 2.0.0 bye")
			return
		case "NOOP":
			_, err = ss.do(StageOther, line, "", "250 2.0.0 ok")
		default:
			_, err = ss.do(StageOther, line, "", "500 5.5.1 what")
		}
		if err != nil {
			return
		}
	}
}

func (ss *sinkSession) ehlo(name string, extended bool) string {
	if !extended {
		return "250 " + name
	}
	ext := ss.sink.Extensions
	if ext == nil {
		ext = []string{"PIPELINING", "SIZE 20971520", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
	}
	lines := append([]string{name}, ext...)
	if ss.sink.TLS != nil && !ss.tls {
		offer := ss.sink.StartTLS
		if offer == "" {
			offer = "STARTTLS"
		}
		lines = append(lines, offer)
	}
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + lines[i]
	}
	return strings.Join(lines, "\n")
}

func (ss *sinkSession) startTLS(line string) error {
	if ss.sink.TLS == nil || ss.tls {
		_, err := ss.do(StageStartTLS, line, "", "502 5.5.1 no")
		return err
	}
	reply, err := ss.do(StageStartTLS, line, "", "220 2.0.0 go ahead")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(reply, "220") {
		return nil
	}
	switch act := ss.ask(StageHandshake, "", ""); {
	case act.Hang:
		ss.mute()
		return errSinkEnd
	case act.Reset:
		ss.reset()
		return errSinkEnd
	case act.Close:
		return errSinkEnd
	case act.Noise:
		ss.raw.Write([]byte("this is no TLS at all, it is a sentence\r\n"))
		return errSinkEnd
	case act.Delay > 0:
		select {
		case <-time.After(act.Delay):
		case <-ss.sink.ctx.Done():
			return errSinkEnd
		}
	}
	t := tls.Server(ss.raw, ss.sink.TLS)
	if err := t.HandshakeContext(ss.sink.ctx); err != nil {
		return err
	}
	ss.c, ss.r, ss.tls, ss.mailed = t, bufio.NewReader(t), true, false
	return nil
}

// sinkPath cuts what stands between the first "<" and the last ">": a client
// that lets more than one path through shows it here.
func sinkPath(line string) string {
	i, j := strings.IndexByte(line, '<'), strings.LastIndexByte(line, '>')
	if i < 0 || j < i {
		return ""
	}
	return line[i+1 : j]
}

func (ss *sinkSession) mail(line string) error {
	if ss.mailed {
		_, err := ss.do(StageMail, line, "", "503 5.5.1 nested mail")
		return err
	}
	reply, err := ss.do(StageMail, line, sinkPath(line), "250 2.1.0 ok")
	if err == nil && reply[0] == '2' {
		ss.mailed = true
		ss.current = Taken{Session: ss.n, Helo: ss.helo, MailLine: line, From: sinkPath(line), TLS: ss.tls, Began: time.Now()}
	}
	return err
}

func (ss *sinkSession) rcpt(line string) error {
	if !ss.mailed {
		_, err := ss.do(StageRcpt, line, "", "503 5.5.1 no mail")
		return err
	}
	reply, err := ss.do(StageRcpt, line, sinkPath(line), "250 2.1.5 ok")
	if err == nil && reply[0] == '2' {
		ss.current.To = append(ss.current.To, sinkPath(line))
	}
	return err
}

func (ss *sinkSession) data(line string) error {
	usual := "354 go ahead"
	if !ss.mailed || len(ss.current.To) == 0 {
		usual = "503 5.5.1 no recipients"
	}
	reply, err := ss.do(StageData, line, "", usual)
	if err != nil || !strings.HasPrefix(reply, "354") {
		return err
	}
	t := ss.current
	ss.mailed = false
	t.At = time.Now()
	body := ss.ask(StageBody, "", "")
	at := -1
	record := func() {
		deliver := t.delivered() && ss.sink.Deliver != nil
		if deliver {
			ss.sink.Deliver(t)
		}
		ss.sink.note(func() {
			if t.delivered() {
				ss.sink.count++ // the last there is to say of it
			}
			if deliver {
				return
			}
			if at < 0 {
				at = len(ss.sink.taken)
				ss.sink.taken = append(ss.sink.taken, t)
			}
			ss.sink.taken[at] = t
		})
	}
	for {
		if (body.Reset || body.Hang || body.Close) && len(t.Data) >= body.After {
			record()
			switch {
			case body.Hang:
				ss.hang()
			case body.Reset:
				ss.reset()
			}
			return errSinkEnd
		}
		if body.Early != "" && len(t.Data) >= body.After {
			if _, err := ss.c.Write([]byte(body.Early)); err != nil {
				return err
			}
			body.Early = ""
		}
		l, err := ss.r.ReadBytes('\n')
		if err != nil {
			t.Data = append(t.Data, l...)
			record()
			return err
		}
		if string(l) == ".\r\n" {
			break
		}
		if l[0] == '.' {
			l = l[1:]
		}
		t.Data = append(t.Data, l...)
	}
	t.Complete = true
	// Recorded before the answer: a client that has it may ask at once.
	act := ss.ask(StageFinal, "", "")
	if !act.Reset && !act.Hang && act.Reply != "-" {
		t.Answer = "250 2.0.0 taken"
		if act.Reply != "" {
			t.Answer = act.Reply
		}
	}
	record()
	_, err = ss.perform(act, "250 2.0.0 taken")
	return err
}
