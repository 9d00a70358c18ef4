package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"
)

// dataPhase is the state of a message on its way in, from 354 to CRLF.CRLF.
type dataPhase struct {
	until  time.Time // of the whole message
	pace   *pace
	window time.Duration // that pace looks at
	read   int64         // bytes read of it, whatever became of them
	begin  bool          // the next byte is the first of a line
	clean  bool          // and the line before ended in CRLF, as the DATA command did
	length int           // of the line so far
	size   int64         // of the message so far. RFC 1870, 3: without the dots of dot-stuffing
	pend   []byte        // to be handed out before anything else
	ended  bool
	fault  *refusal // why the message is refused; the rest is thrown away
	match  int      // while it is: bytes of CRLF.CRLF seen
}

// What is handed out where it differs from what was read.
var (
	crlf      = []byte("\r\n")
	endOfData = []byte(".\r\n")
	twoDots   = []byte("..\r\n")
)

func (g *Guard) beginData() {
	g.hurried.Store(false)
	window := g.patience(waitData, g.stressed())
	now := time.Now()
	g.state = stateData
	g.data = dataPhase{
		until:  now.Add(g.cfg.limits.Data),
		pace:   newPace(window, g.cfg.limits.DataRate),
		window: window,
		begin:  true,
		clean:  true,
	}
	g.mu.Lock()
	g.began, g.got = now, 0
	g.mu.Unlock()
	g.takeBig()
}

// readData gives the library the message as it wants it: lines that end in
// CRLF, dots stuffed, and ".CRLF" exactly at the end that the peer meant.
//
// The end is CRLF.CRLF and nothing else (RFC 5321, 4.1.1.4): to take any other
// sequence for it is how one message becomes two. So a line that is a lone dot
// is the end only if the line before it and itself ended in CRLF; otherwise
// the dot is doubled, or the library would end there.
func (g *Guard) readData(p []byte) (int, error) {
	d := &g.data
	n := 0
	for n < len(p) {
		if len(d.pend) > 0 {
			k := copy(p[n:], d.pend)
			d.pend = d.pend[k:]
			n += k
			continue
		}
		if d.ended {
			g.state = stateDataDone
			return n, nil
		}
		if d.fault != nil {
			// What was read before is handed out; the fault comes behind it.
			if n > 0 {
				return n, nil
			}
			return g.discard()
		}
		k, more := g.copyData(p[n:], g.in[g.r:g.w])
		n += k
		if more {
			if n > 0 {
				return n, nil
			}
			if err := g.receiveData(); err != nil {
				return 0, err
			}
		}
	}
	if d.ended && len(d.pend) == 0 {
		g.state = stateDataDone
	}
	return n, nil
}

// copyData copies from b, the unused input, to p, at most to the end of a
// line. It returns the bytes put into p, and whether it cannot go on without
// more input.
func (g *Guard) copyData(p, b []byte) (n int, more bool) {
	d := &g.data
	if len(b) == 0 {
		return 0, true
	}
	if d.begin && b[0] == '.' {
		if len(b) == 1 {
			return 0, true
		}
		switch {
		case b[1] == '\n':
			g.loneDot(2, false)
			return 0, false
		case b[1] == '\r' && len(b) == 2:
			return 0, true
		case b[1] == '\r' && b[2] != '\n':
			d.fault = &refuseBareCR
			d.startDiscard()
			return 0, false
		case b[1] == '\r' && d.clean:
			g.r += 3
			d.pend, d.ended = endOfData, true
			return 0, false
		case b[1] == '\r':
			g.loneDot(3, true)
			return 0, false
		}
		// A stuffed dot: the library takes it away, so it does not count.
		d.size--
	}
	window := b
	if len(window) > len(p) {
		window = window[:len(p)]
	}
	lf := bytes.IndexByte(window, '\n')
	text := window
	if lf >= 0 {
		text = window[:lf]
	}
	cr := bytes.IndexByte(text, '\r')
	switch {
	case cr < 0 && lf < 0:
		n = copy(p, text)
		g.took(n, n)
		return n, false
	case cr < 0:
		// QUIRK: a bare LF ends a line with the scanners and scripts that
		// send it, so it becomes CRLF.
		n = copy(p, text)
		g.took(lf+1, n)
		g.endLine(false)
		d.pend = crlf
		return n, false
	case lf >= 0 && cr == lf-1:
		n = copy(p, window[:lf+1])
		g.took(lf+1, cr)
		g.endLine(true)
		return n, false
	case lf < 0 && cr == len(text)-1:
		// The CR is the last byte in sight. What is before it may go.
		if cr > 0 {
			n = copy(p, text[:cr])
			g.took(cr, n)
			return n, false
		}
		if len(b) == 1 {
			return 0, true
		}
		if b[1] == '\n' {
			g.took(2, 0)
			g.endLine(true)
			d.pend = crlf
			return 0, false
		}
	}
	// A CR that no LF follows. Readers disagree whether it ends a line, so the
	// message is not taken; it is still read to its end.
	n = copy(p, text[:cr])
	g.took(cr, n)
	d.fault = &refuseBareCR
	d.startDiscard()
	return n, false
}

// loneDot hands out a doubled dot for a lone one that is not the end.
func (g *Guard) loneDot(used int, clean bool) {
	g.took(used, 1)
	g.endLine(clean)
	g.data.pend = twoDots
}

// took accounts for used bytes of input that are n bytes of a line.
func (g *Guard) took(used, n int) {
	d := &g.data
	g.r += used
	if n > 0 {
		d.begin = false
	}
	d.length += n
	d.size += int64(n)
	if d.fault == nil && d.length > g.cfg.limits.DataLine {
		d.fault = &refuseDataLine
		d.startDiscard()
	}
	g.weigh()
}

// endLine accounts for the end of a line. clean says that it was CRLF.
func (g *Guard) endLine(clean bool) {
	d := &g.data
	d.length, d.begin, d.clean = 0, true, clean
	d.size += 2
	g.weigh()
	d.startDiscard()
}

func (g *Guard) weigh() {
	if d := &g.data; d.fault == nil && d.size > g.cfg.limits.MessageSize {
		d.fault = &refuseSize
		d.startDiscard()
	}
}

// startDiscard sets where the search for the true end stands: two bytes of
// CRLF.CRLF are seen at the beginning of a line that follows a CRLF.
func (d *dataPhase) startDiscard() {
	d.match = 0
	if d.begin && d.clean {
		d.match = 2
	}
}

// discard reads on to CRLF.CRLF, throws everything away, and returns the
// fault. The size is not bounded: it costs one buffer, and the times of DATA
// end it.
func (g *Guard) discard() (int, error) {
	d := &g.data
	for {
		b := g.in[g.r:g.w]
		for i := 0; i < len(b); i++ {
			if d.match == 0 {
				k := bytes.IndexByte(b[i:], '\r')
				if k < 0 {
					break
				}
				i += k
			}
			c := b[i]
			switch {
			case c == "\r\n.\r\n"[d.match]:
				d.match++
			case c == '\r':
				d.match = 1
			default:
				d.match = 0
			}
			if d.match == 5 {
				g.r += i + 1
				g.state = stateDataDone
				g.note(d.fault.rule)
				return 0, d.fault.SMTPError
			}
		}
		g.r = g.w
		if err := g.receiveData(); err != nil {
			return 0, err
		}
	}
}

// errDataAborted is what the session's reader ends with when the message did
// not end by CRLF.CRLF. The session is over then, whatever it answers.
var errDataAborted = errors.New("message ended before its end")

// receiveData reads once, within the time of the whole message and the least
// rate. Whatever goes wrong ends the session: the rest of a message must never
// be read as commands.
func (g *Guard) receiveData() error {
	d := &g.data
	now := time.Now()
	if stress := g.cfg.limits.DataWindowStress; (g.stressed() || g.hurried.Load()) && d.window > stress {
		d.window, d.pace = stress, newPace(stress, g.cfg.limits.DataRate)
	}
	until := now.Add(d.pace.patience())
	slow := until.Before(d.until)
	if !slow {
		until = d.until
	}
	g.await(waitData, until)
	had := g.w - g.r
	err := g.receive()
	g.busy()
	n := int64(g.w - g.r - had)
	d.read += n
	d.pace.add(time.Since(now), n)
	if err == nil {
		return nil
	}
	var timeout net.Error
	hurried := (g.stressed() || g.hurried.Load()) && time.Now().Before(d.until)
	switch r := g.cutFor(); {
	case r != nil:
		g.die(r)
	case errors.As(err, &timeout) && timeout.Timeout() && (slow || hurried):
		g.die(&closeTooSlow)
	case errors.As(err, &timeout) && timeout.Timeout():
		g.die(&closeTimeout)
	default:
		g.hangUp("smtp.gone_in_data")
	}
	return errDataAborted
}

// IsDataAborted reports whether a reader of a message ended because the peer
// went away, was too slow or took too long.
func IsDataAborted(err error) bool {
	return errors.Is(err, errDataAborted) || errors.Is(err, io.ErrUnexpectedEOF)
}

// pace watches that a peer sends at least rate bytes a second over any window.
// Its clock runs only while we wait for the peer: our own disk being slow is
// not the peer's fault.
type pace struct {
	slot   time.Duration
	need   int64 // in a window
	waited time.Duration
	cur    int64 // number of the slot that waited is in
	// bytes of the slot that is not over and of the window before it, by slot
	// number modulo the length; sum is all of them.
	bytes [paceSlots + 1]int64
	sum   int64
}

const paceSlots = 60 // of a window

func newPace(window time.Duration, rate int64) *pace {
	return &pace{
		slot: (window + paceSlots - 1) / paceSlots,
		need: int64(window.Seconds() * float64(rate)),
	}
}

// at is where the ring holds the bytes of slot n.
func (p *pace) at(n int64) *int64 { return &p.bytes[n%int64(len(p.bytes))] }

// add notes that n bytes came after a wait.
func (p *pace) add(wait time.Duration, n int64) {
	p.waited += wait
	now := int64(p.waited / p.slot)
	for k := 0; p.cur < now && k < len(p.bytes); k++ {
		p.cur++
		p.sum -= *p.at(p.cur)
		*p.at(p.cur) = 0
	}
	p.cur = now
	*p.at(now) += n
	p.sum += n
}

// patience is how long the peer may now be silent.
func (p *pace) patience() time.Duration {
	if p.cur >= paceSlots && p.sum-*p.at(p.cur) < p.need {
		return 0
	}
	left := p.sum
	for n := p.cur + 1; ; n++ {
		// When slot n begins, the window that ends there has lost this one.
		left -= *p.at(n)
		if n >= paceSlots && left < p.need || n > p.cur+paceSlots {
			return max(time.Duration(n)*p.slot-p.waited, 0)
		}
	}
}
