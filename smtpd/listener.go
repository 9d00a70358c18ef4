package smtpd

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Gate counts the connections of all listeners together and refuses those
// beyond the limits. It also knows which peers have lately waited for our
// greeting, and tells every session when the gateway stops.
type Gate struct {
	limits Limits
	stress atomic.Bool

	mu       sync.Mutex
	guards   map[*Guard]struct{}
	byPeer   map[netip.Prefix]int
	byNet    map[netip.Prefix]int
	seen     map[netip.Prefix]time.Time
	stopping bool
}

// NewGate returns a gate for connections within limits.
func NewGate(limits Limits) (*Gate, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	return &Gate{
		limits: limits,
		guards: make(map[*Guard]struct{}),
		byPeer: make(map[netip.Prefix]int),
		byNet:  make(map[netip.Prefix]int),
		seen:   make(map[netip.Prefix]time.Time),
	}, nil
}

// Connections is the number of connections now open.
func (t *Gate) Connections() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.guards)
}

// Stop has every session end with 421 once it has no command and no message in
// hand, and refuses new connections.
func (t *Gate) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopping = true
	for g := range t.guards {
		g.Stop()
	}
}

// closeAll closes every connection, whatever it has in hand.
func (t *Gate) closeAll() {
	t.mu.Lock()
	var gs []*Guard
	for g := range t.guards {
		gs = append(gs, g)
	}
	t.mu.Unlock()
	// Closing counts the connection out, which takes the lock.
	for _, g := range gs {
		g.Close()
	}
}

// peerKey is what counts as one address. One host has a whole /64 of IPv6.
func peerKey(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

func netKey(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 56
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// enter counts a connection in, or says why not.
func (t *Gate) enter(g *Guard) *refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	peer, network := peerKey(g.peer), netKey(g.peer)
	n := len(t.guards)
	switch {
	case t.stopping:
		return &closeShutdown
	case n >= t.limits.Connections:
		return &refuseTooMany
	case !g.cfg.named && t.byPeer[peer] >= t.limits.ConnectionsPerAddress:
		return &refuseTooManyPeer
	case !g.cfg.named && n >= t.limits.NearCap && t.byNet[network] >= t.limits.ConnectionsPerNetwork:
		return &refuseTooManyNet
	}
	t.guards[g] = struct{}{}
	t.byPeer[peer]++
	t.byNet[network]++
	if n+1 >= t.limits.StressAt && !t.stress.Swap(true) {
		for g := range t.guards {
			g.Hurry()
		}
	}
	return nil
}

// leave counts a connection out.
func (t *Gate) leave(g *Guard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.guards[g]; !ok {
		return
	}
	delete(t.guards, g)
	less(t.byPeer, peerKey(g.peer))
	less(t.byNet, netKey(g.peer))
	if len(t.guards) < t.limits.StressAt {
		t.stress.Store(false)
	}
}

func less(m map[netip.Prefix]int, k netip.Prefix) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// maxSeen bounds the memory for peers seen. Who falls out waits once more.
const maxSeen = 100_000

// pauseFor returns how long to wait before greeting the peer.
func (t *Gate) pauseFor(a netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.seen[peerKey(a)]; ok && now.Sub(at) < t.limits.SeenFor {
		return 0
	}
	return t.limits.GreetingPause
}

// greeted remembers that the peer waited for its greeting, or that it did not.
func (t *Gate) greeted(a netip.Addr, waited bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := peerKey(a)
	if !waited {
		delete(t.seen, k)
		return
	}
	if len(t.seen) >= maxSeen {
		// A walk over a map starts anywhere: those among the first few that
		// have expired go, and one in any case.
		looked := 0
		for old, at := range t.seen {
			looked++
			if looked == 16 || now.Sub(at) >= t.limits.SeenFor {
				delete(t.seen, old)
			}
			if looked == 16 {
				break
			}
		}
	}
	t.seen[k] = now
}

// A Listener accepts connections for one zone and puts a Guard before each.
type Listener struct {
	net.Listener
	Gate     *Gate
	Hostname string
	TLS      *tls.Config       // nil: STARTTLS is not offered
	DSN      bool              // the parameters of RFC 3461 are offered
	Networks []netip.Prefix    // who may connect; empty: everybody
	Named    []netip.Prefix    // peers without per-address rates and pauses, beside Networks
	Log      *slog.Logger      // required
	Now      func() time.Time  // nil: time.Now
	Refused  func(rule string) // told every refusal of listener and guard; may be nil
}

// Accept returns the next connection that may stay, as a *Guard.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := l.admit(c); g != nil {
			return g, nil
		}
	}
}

func (l *Listener) admit(c net.Conn) *Guard {
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	peer := addrOf(c.RemoteAddr())
	if len(l.Networks) > 0 && !contains(l.Networks, peer) {
		l.turnAway(c, peer, &refuseNetwork)
		return nil
	}
	cfg := guardConfig{
		hostname: l.Hostname,
		limits:   l.Gate.limits,
		tls:      l.TLS,
		dsn:      l.DSN,
		stress:   &l.Gate.stress,
		log:      l.Log,
		named:    len(l.Networks) > 0 || contains(l.Named, peer),
		closing:  l.Gate.leave,
		refused:  l.Refused,
	}
	if !cfg.named {
		if cfg.pause = l.Gate.pauseFor(peer, now()); cfg.pause > 0 {
			cfg.greeted = func(waited bool) { l.Gate.greeted(peer, waited, now()) }
		}
	}
	g := newGuard(c, peer, cfg)
	if r := l.Gate.enter(g); r != nil {
		l.turnAway(c, peer, r)
		return nil
	}
	return g
}

// turnAway tells why and closes. The loop of Accept must not wait for anybody:
// a few bytes always fit into the buffer of a fresh socket.
func (l *Listener) turnAway(c net.Conn, peer netip.Addr, r *refusal) {
	if l.Refused != nil {
		l.Refused(r.rule)
	}
	l.Log.Info("refused", "peer", peer.String(), "rule", r.rule)
	c.SetWriteDeadline(time.Now().Add(time.Second))
	c.Write(wire(r.SMTPError))
	c.Close()
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// addrOf returns the IP address of a socket's other end. IPv4 over an IPv6
// socket is IPv4. What has no IP address is nobody that a network names.
func addrOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap().WithZone("")
}
