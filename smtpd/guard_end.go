package smtpd

import (
	"context"
	"log/slog"
	"time"
)

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
	g.hurried.Store(true)
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

// hangUp sends what is to be sent and ends the session. The socket is closed
// behind the peer's last words: closed at once, with bytes unread, the reset
// would overtake the answer. A peer that ended the session itself, for which
// there is no rule, has no more to say, and the answer to QUIT is nothing to wait
// for.
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
	if err == nil && !g.closed.Load() && (rule != "" || g.conn != g.raw) {
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
