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
	limits atomic.Pointer[Limits] // swapped on reload
	stress atomic.Bool

	mu        sync.Mutex
	guards    map[*Guard]*place
	byPeer    map[netip.Prefix]int
	byNet     map[netip.Prefix]int
	seen      map[netip.Prefix]time.Time
	near      bool      // the cap: networks may hold their share only, until there is no stress
	cutting   int       // sessions told to end that have not yet
	looked    time.Time // when there was nobody to cut
	lookAgain bool      // and it will be looked again
	receiving int       // messages on their way in
	hastened  time.Time // when there was no slow one to cut
	stopping  bool
}

// place is how a connection is counted.
type place struct {
	on            *Listener // where it came in
	addr          netip.Addr
	via           netip.Addr // the balancer it came by; invalid without one
	waits         bool       // for the header that says who is behind it
	peer, network netip.Prefix
	named         bool // not against its network
	cut           bool
	receives      bool // a message, and counts for it
}

// NewGate returns a gate for connections within limits.
func NewGate(limits Limits) (*Gate, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	t := &Gate{
		guards: make(map[*Guard]*place),
		byPeer: make(map[netip.Prefix]int),
		byNet:  make(map[netip.Prefix]int),
		seen:   make(map[netip.Prefix]time.Time),
	}
	t.limits.Store(&limits)
	return t, nil
}

// bounds are the limits in force.
func (t *Gate) bounds() *Limits { return t.limits.Load() }

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
func (t *Gate) enter(g *Guard, on *Listener) *refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &place{on: on, addr: g.peer, peer: peerKey(g.peer), network: netKey(g.peer), named: g.cfg.named}
	if g.cfg.proxied != nil {
		p.via, p.waits = g.peer, true
	}
	switch {
	case t.stopping:
		return &closeShutdown
	case len(t.guards) >= t.bounds().Connections:
		t.relieve()
		return &refuseTooMany
	}
	if r := t.fits(p); r != nil {
		return r
	}
	t.guards[g] = p
	t.add(p)
	if len(t.guards) >= t.bounds().StressAt && !t.stress.Swap(true) {
		for g := range t.guards {
			g.Hurry()
		}
	}
	if len(t.guards) >= t.bounds().NearCap {
		t.near = true
		t.relieve()
	}
	return nil
}

// door is the listener that a connection is of now: a reload may have put
// another in the place of the one that it came in by.
func (t *Gate) door(g *Guard) *Listener {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.guards[g]; ok {
		return p.on
	}
	return nil
}

// move counts a connection for another peer than it came from: the one behind
// a balancer. on is the listener that let that one in; when there is another by
// now nothing is changed, and it has to be asked.
func (t *Gate) move(g *Guard, on *Listener, to netip.Addr, named bool) (moved bool, r *refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, ok := t.guards[g]
	switch {
	case !ok:
		return true, &closeShutdown
	case old.on != on:
		return false, nil
	}
	t.remove(old)
	p := &place{on: on, addr: to, via: old.via, peer: peerKey(to), network: netKey(to), named: named, cut: old.cut}
	if r := t.fits(p); r != nil {
		t.add(old)
		return true, r
	}
	t.guards[g] = p
	t.add(p)
	return true, nil
}

// fits says why one more connection of a peer is too many.
func (t *Gate) fits(p *place) *refusal {
	switch {
	case p.named:
		return nil
	case t.byPeer[p.peer] >= t.bounds().ConnectionsPerAddress:
		return &refuseTooManyPeer
	case t.near && t.byNet[p.network] >= t.bounds().ConnectionsPerNetwork:
		return &refuseTooManyNet
	default:
		return nil
	}
}

func (t *Gate) add(p *place) {
	if !p.named {
		t.byPeer[p.peer]++
		t.byNet[p.network]++
	}
}

func (t *Gate) remove(p *place) {
	if !p.named {
		less(t.byPeer, p.peer)
		less(t.byNet, p.network)
	}
}

// leave counts a connection out.
func (t *Gate) leave(g *Guard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.guards[g]
	if !ok {
		return
	}
	t.done(p)
	delete(t.guards, g)
	t.remove(p)
	if p.cut {
		t.cutting--
	}
	if len(t.guards) < t.bounds().StressAt {
		t.stress.Store(false)
	}
	// Cutting makes room below the mark at once: were that enough, a network
	// would fill it again each time.
	if len(t.guards) < min(t.bounds().StressAt, t.bounds().NearCap) {
		t.near = false
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
	if at, ok := t.seen[peerKey(a)]; ok && now.Sub(at) < t.bounds().SeenFor {
		return 0
	}
	return t.bounds().GreetingPause
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
			if looked == 16 || now.Sub(at) >= t.bounds().SeenFor {
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
	Proxy    []netip.Prefix    // balancers: they must speak the PROXY protocol, and nobody else may
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
	peer := addrOf(c.RemoteAddr())
	cfg := guardConfig{
		hostname: l.Hostname,
		limits:   *l.Gate.bounds(),
		tls:      l.TLS,
		dsn:      l.DSN,
		stress:   &l.Gate.stress,
		log:      l.Log,
		closing:  l.Gate.leave,
		receive:  l.Gate.receive,
		received: l.Gate.received,
		refused:  l.Refused,
	}
	if contains(l.Proxy, peer) {
		// Who it is, the header will say; the loop of Accept waits for nobody.
		cfg.named = true
		cfg.proxied = l.Gate.behind
	} else if r := l.know(&cfg, peer); r != nil {
		l.turnAway(c, peer, r)
		return nil
	}
	g := newGuard(c, peer, cfg)
	if r := l.Gate.enter(g, l); r != nil {
		l.turnAway(c, peer, r)
		return nil
	}
	return g
}

// know sets what the configuration says of a peer, or says why he may not be
// here.
func (l *Listener) know(cfg *guardConfig, peer netip.Addr) *refusal {
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	if len(l.Networks) > 0 && !contains(l.Networks, peer) {
		return &refuseNetwork
	}
	cfg.named = len(l.Networks) > 0 || contains(l.Named, peer)
	if !cfg.named {
		if cfg.pause = l.Gate.pauseFor(peer, now()); cfg.pause > 0 {
			cfg.greeted = func(waited bool) { l.Gate.greeted(peer, waited, now()) }
		}
	}
	return nil
}

// behind makes the peer of a session the one that a balancer passes on. From
// here on his address is the one for networks, limits, SPF and the log. It is
// the listener of now that is asked: what was trusted when the balancer
// connected may have been taken back since.
func (t *Gate) behind(g *Guard, h proxyHeader) *refusal {
	if !h.local {
		g.peer = h.peer.Addr()
	}
	for {
		l := t.door(g)
		if l == nil {
			return &closeShutdown
		}
		g.cfg.pause, g.cfg.greeted = 0, nil
		if r := l.know(&g.cfg, g.peer); r != nil {
			return r
		}
		if h.local {
			// The balancer itself, asking whether we live: a named peer, as long
			// as the listener's networks let it in.
			g.cfg.named, g.cfg.pause, g.cfg.greeted = true, 0, nil
		}
		if moved, r := t.move(g, l, g.peer, g.cfg.named); moved {
			return r
		}
	}
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
