package smtpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho/envelope"
)

// A post is what a listener stands for until the next reload: its rules for
// who may connect, and a library with the sessions that began under them.
// Sockets outlive posts.
type post struct {
	cfg  ListenerConfig
	door *Listener // admits; it has no socket of its own
	lib  *smtp.Server
	feed *feed
}

// A feed hands the library connections that were accepted elsewhere.
type feed struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept is net.Listener's.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close is net.Listener's.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr is net.Listener's; the library does not ask.
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }

func (f *feed) give(c net.Conn) {
	select {
	case f.conns <- c:
	case <-f.done:
		c.Close()
	}
}

// A socket is a port that is listened on, for as long as any configuration
// names it.
type socket struct {
	net.Listener
	key string

	mu     sync.RWMutex // written to change post; read from accepting to handing on
	post   *post
	closed bool
}

// close stops accepting.
func (k *socket) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	k.closed = true
	return k.Listener.Close()
}

// assign has the socket serve another post.
func (k *socket) assign(p *post) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.post = p
}

// A Reload is another set of listeners and limits, checked and with its new
// sockets open, that is not in force yet. It ends with Apply or Drop.
type Reload struct {
	s       *Server
	limits  Limits
	posts   []*post
	sockets []*socket         // of the new set, in its order
	of      map[*socket]*post // whom they will serve
	opened  []*socket         // those that were not open before
}

// Prepare checks a new set of listeners and limits and opens the sockets that
// are not open yet. Nothing of it is in force before Apply; when there is an
// error nothing was changed.
func (s *Server) Prepare(listeners []ListenerConfig, limits Limits) (_ *Reload, err error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, errors.New("smtpd: the server is ending")
	}
	r := &Reload{s: s, limits: limits, of: map[*socket]*post{}}
	defer func() {
		if err != nil {
			r.drop()
		}
	}()
	open := map[string]*socket{}
	for _, k := range s.sockets {
		open[k.key] = k
	}
	for _, cfg := range listeners {
		switch cfg.Zone {
		case 0:
			cfg.Zone = envelope.Internet
		case envelope.Internet:
		case envelope.InternetSegment, envelope.LGWAN:
			if len(cfg.Networks) == 0 {
				return nil, fmt.Errorf("smtpd: listener %s of zone %s has no networks and would trust everybody", cfg.Name, cfg.Zone)
			}
		default:
			return nil, fmt.Errorf("smtpd: listener %s has no known zone", cfg.Name)
		}
		p := &post{cfg: cfg, feed: newFeed(), lib: newLibrary(s.backend(cfg), s.Hostname, limits, s.Log), door: &Listener{
			Gate: s.gate, Hostname: s.Hostname, TLS: cfg.TLS, DSN: offersDSN(cfg.Zone),
			Networks: cfg.Networks, Named: cfg.Peers, Proxy: cfg.Proxy, Log: s.Log, Now: s.Now, Refused: s.Refused,
		}}
		r.posts = append(r.posts, p)
		for i, addr := range cfg.Listen {
			key := socketKey(cfg.Name, addr, i)
			k := open[key]
			if k == nil {
				sock, err := net.Listen("tcp", addr)
				if err != nil {
					return nil, fmt.Errorf("listener %s: %w", cfg.Name, err)
				}
				k = &socket{Listener: sock, key: key, post: p}
				r.opened = append(r.opened, k)
				open[key] = k
			}
			if r.of[k] != nil {
				return nil, fmt.Errorf("listener %s: %s is listened on twice", cfg.Name, addr)
			}
			r.sockets, r.of[k] = append(r.sockets, k), p
		}
	}
	return r, nil
}

// socketKey tells sockets apart. A port that the system chooses is the
// listener's own.
func socketKey(listener, addr string, n int) string {
	if strings.HasSuffix(addr, ":0") {
		return fmt.Sprintf("%s %s %d", listener, addr, n)
	}
	return addr
}

// Drop closes what Prepare opened.
func (r *Reload) Drop() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.drop()
}

func (r *Reload) drop() {
	for _, k := range r.opened {
		_ = k.close() // nobody has connected
	}
}

// Apply puts the new set in force: for connections that come from now on at
// once. Sessions go on as they began, with two exceptions. One whose listener
// is gone, or that could not begin there any more, ends with 421 as soon as it
// has nothing in hand: trust that was taken back must not last as long as its
// peer wants.
func (r *Reload) Apply() {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		r.drop()
		return
	}
	s.gate.limits.Store(&r.limits)
	s.rates.fed.setPeriod(r.limits.HeldFor)
	old, were := s.posts, s.sockets
	s.posts, s.sockets = r.posts, r.sockets
	if s.serving {
		for _, p := range s.posts {
			s.serve(p)
		}
	}
	for k, p := range r.of {
		k.assign(p)
	}
	if s.serving {
		for _, k := range r.opened {
			s.accept(k)
		}
	}
	for _, k := range were {
		if r.of[k] == nil {
			_ = k.close() // what it had accepted goes on
		}
	}
	for _, p := range old {
		s.gate.review(p.door, r.successor(p))
		s.retire(p)
	}
}

// successor is the post that has the place of an old one, nil when none has.
func (r *Reload) successor(old *post) *post {
	i := slices.IndexFunc(r.posts, func(p *post) bool { return p.cfg.Name == old.cfg.Name })
	if i < 0 {
		return nil
	}
	p := r.posts[i]
	if p.cfg.Zone != old.cfg.Zone || p.cfg.TenantsOnly != old.cfg.TenantsOnly {
		return nil
	}
	return p
}

// review has the sessions of a door end that could not come in by the next
// one, or whose balancer is believed no more; next is nil when there is none.
// Who is behind a balancer that has not said so is asked for when it does.
func (t *Gate) review(door *Listener, next *post) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for g, p := range t.guards {
		if p.on != door {
			continue
		}
		if next == nil ||
			p.via.IsValid() && !contains(next.cfg.Proxy, p.via) ||
			!p.waits && len(next.cfg.Networks) > 0 && !contains(next.cfg.Networks, p.addr) {
			g.Stop()
			continue
		}
		p.on = next.door
	}
}

// serve has the library of a post take connections. The caller holds mu.
func (s *Server) serve(p *post) {
	s.wg.Go(func() {
		// It ends when the feed is closed, and has no other error.
		_ = p.lib.Serve(p.feed)
	})
}

// retire lets a library end when its last session has. The caller holds mu.
func (s *Server) retire(p *post) {
	p.feed.Close()
	s.wg.Go(func() {
		// The library only waits, and it is the guard that sends the 421.
		_ = p.lib.Shutdown(context.Background())
	})
}

// maxFailures is how often in a row a socket may fail to accept: two minutes.
const maxFailures = 128

// accept takes connections from a socket until it is closed. The caller holds
// mu.
func (s *Server) accept(k *socket) {
	s.wg.Go(func() {
		var pause time.Duration
		failures := 0
		for {
			c, err := k.Accept()
			if err != nil {
				k.mu.RLock()
				closed, name := k.closed, k.post.cfg.Name
				k.mu.RUnlock()
				if closed || errors.Is(err, net.ErrClosed) {
					return
				}
				// Out of descriptors or memory: it passes when somebody goes. If
				// it does not, whoever runs us starts us again.
				if pause = min(max(2*pause, 5*time.Millisecond), time.Second); pause == time.Second {
					s.Log.Error("accept", "rule", name, "err", err)
				}
				if failures++; failures == maxFailures {
					select {
					case s.failed <- fmt.Errorf("listener %s: %w", name, err):
					default:
					}
				}
				time.Sleep(pause)
				continue
			}
			pause, failures = 0, 0
			k.mu.RLock()
			if g := k.post.door.admit(c); g != nil {
				k.post.feed.give(g)
			}
			k.mu.RUnlock()
		}
	})
}
