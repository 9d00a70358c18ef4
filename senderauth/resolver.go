package senderauth

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Times and bounds of looking names up.
const (
	questionTime = 5 * time.Second  // limits.md: one DNS question
	probeTime    = 2 * time.Second  // of a resolver that did not answer a question
	silentFor    = 30 * time.Second // between two looks at a resolver that is silent
	cacheTime    = time.Minute      // an answer is used again; a changed record is seen a minute later at most
	cacheMost    = 4096             // names
	answerMost   = 64               // records of one answer that are looked at; a domain writes its own DNS
	textMost     = 4096             // octets of one TXT record: an RSA key of 16,384 bits has 2,900, and more costs too much to use
)

// DNS asks a name server, and knows whether it ever says anything.
type DNS struct {
	*net.Resolver
	heard atomic.Uint64 // reads that brought something
	addr  atomic.Pointer[string]
}

// NewDNS returns a DNS that asks the server at addr, or those of the system
// when addr is empty.
func NewDNS(addr string) *DNS {
	d := &DNS{}
	d.Ask(addr)
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, system string) (net.Conn, error) {
		to := *d.addr.Load()
		if to == "" {
			to = system
		}
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, network, to)
		if err != nil {
			return nil, err
		}
		l := listening{Conn: c, heard: &d.heard}
		if p, ok := c.(net.PacketConn); ok {
			// The library tells UDP from TCP by this.
			return packets{l, p}, nil
		}
		return l, nil
	}}
	return d
}

// Ask changes the server that is asked; the next question goes there.
func (d *DNS) Ask(addr string) { d.addr.Store(&addr) }

// listening counts what comes back.
type listening struct {
	net.Conn
	heard *atomic.Uint64
}

func (l listening) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.heard.Add(1)
	}
	return n, err
}

// packets is listening over UDP.
type packets struct {
	listening
	net.PacketConn
}

func (p packets) Close() error                       { return p.listening.Close() }
func (p packets) LocalAddr() net.Addr                { return p.listening.LocalAddr() }
func (p packets) SetDeadline(t time.Time) error      { return p.listening.SetDeadline(t) }
func (p packets) SetReadDeadline(t time.Time) error  { return p.listening.SetReadDeadline(t) }
func (p packets) SetWriteDeadline(t time.Time) error { return p.listening.SetWriteDeadline(t) }

// A Resolver bounds what looking names up may cost: each question has five
// seconds, answers are kept for a minute, and a resolver that is silent is not
// asked again for half a minute, so that a site without DNS does not wait for
// it with every mail.
//
// Silence is not told from a slow domain by the questions themselves: whoever
// owns a domain whose servers are dead could make us stop asking for
// everybody's. A question that timed out is followed by one for the root,
// which a living resolver answers whatever senders do.
type Resolver struct {
	dns *DNS
	now func() time.Time

	mu      sync.Mutex
	silent  time.Time // until when nothing is asked; zero: it answers
	probing bool
	cache   map[string]answer
	probes  sync.WaitGroup
}

// answer is what was found under a name, or that nothing was.
type answer struct {
	txt  []string
	mx   []*net.MX
	ips  []net.IPAddr
	ptr  []string
	err  error // nil or "there is none"; nothing else is kept
	till time.Time
}

// NewResolver returns a resolver over dns and looks in the background whether
// it answers at all.
func NewResolver(dns *DNS, now func() time.Time) *Resolver {
	r := &Resolver{dns: dns, now: now, cache: map[string]answer{}}
	r.mu.Lock()
	r.look()
	r.mu.Unlock()
	return r
}

// errSilent is the answer of a resolver that is not asked.
func errSilent(name string) error {
	return &net.DNSError{Err: "the resolver is silent", Name: name, IsTimeout: true, IsTemporary: true}
}

// Silent reports whether the resolver is taken not to answer.
func (r *Resolver) Silent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.silent.IsZero()
}

// Wait returns when no probe is under way.
func (r *Resolver) Wait() { r.probes.Wait() }

// look probes the resolver in the background; the lock is held. While it is
// silent nothing but this asks it, so no mail waits for the try.
func (r *Resolver) look() {
	if r.probing {
		return
	}
	r.probing = true
	r.probes.Go(func() {
		alive := r.probe() || r.probe()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.probing = false
		if alive {
			r.silent = time.Time{}
		} else {
			r.silent = r.now().Add(silentFor)
		}
	})
}

func (r *Resolver) probe() bool {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	before := r.dns.heard.Load()
	_, err := r.dns.LookupNS(ctx, ".")
	// Any answer is one, also that it will not say.
	return err == nil || r.dns.heard.Load() != before
}

// ask answers from the cache, or by look-up.
func (r *Resolver) ask(ctx context.Context, kind, name string, f func(ctx context.Context, name string) answer) answer {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > 253 {
		return answer{err: &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}}
	}
	key := kind + " " + name
	r.mu.Lock()
	now := r.now()
	if a, ok := r.cache[key]; ok && now.Before(a.till) {
		r.mu.Unlock()
		return a
	}
	if !r.silent.IsZero() {
		if !now.Before(r.silent) {
			r.look()
		}
		r.mu.Unlock()
		return answer{err: errSilent(name)}
	}
	r.mu.Unlock()

	qctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	a := f(qctx, name)
	var d *net.DNSError
	switch {
	case a.err == nil, errors.As(a.err, &d) && d.IsNotFound:
		r.keep(key, a)
	case ctx.Err() == nil:
		r.mu.Lock()
		r.look()
		r.mu.Unlock()
	}
	if a.err != nil && (d == nil || !d.IsNotFound && !d.Temporary()) {
		// A context that ended, a refused connection: all of it may be better
		// the next time, and none of it says that there is no record.
		a.err = &net.DNSError{Err: a.err.Error(), Name: name, IsTemporary: true}
	}
	return a
}

func (r *Resolver) keep(key string, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= cacheMost {
		// A walk over a map starts anywhere; what is thrown out is asked again.
		n := 0
		for k := range r.cache {
			delete(r.cache, k)
			if n++; n == cacheMost/8 {
				break
			}
		}
	}
	a.till = r.now().Add(cacheTime)
	r.cache[key] = a
}

// LookupTXT returns the TXT records of a name.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a := r.ask(ctx, "txt", name, func(ctx context.Context, name string) (a answer) {
		// With the dot at the end no search list of the system is tried.
		a.txt, a.err = r.dns.LookupTXT(ctx, name+".")
		// A long record is left out, not cut: half of an address is another one.
		a.txt = slices.DeleteFunc(a.txt, func(s string) bool { return len(s) > textMost })
		a.txt = a.txt[:min(len(a.txt), answerMost)]
		return a
	})
	return a.txt, a.err
}

// LookupMX returns the MX records of a name.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a := r.ask(ctx, "mx", name, func(ctx context.Context, name string) (a answer) {
		a.mx, a.err = r.dns.LookupMX(ctx, name+".")
		a.mx = a.mx[:min(len(a.mx), answerMost)]
		return a
	})
	return a.mx, a.err
}

// LookupIPAddr returns the addresses of a name.
func (r *Resolver) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	a := r.ask(ctx, "ip", name, func(ctx context.Context, name string) (a answer) {
		a.ips, a.err = r.dns.LookupIPAddr(ctx, name+".")
		a.ips = a.ips[:min(len(a.ips), answerMost)]
		return a
	})
	return a.ips, a.err
}

// LookupAddr returns the names of an address.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a := r.ask(ctx, "ptr", addr, func(ctx context.Context, addr string) (a answer) {
		a.ptr, a.err = r.dns.LookupAddr(ctx, addr)
		a.ptr = a.ptr[:min(len(a.ptr), answerMost)]
		return a
	})
	return a.ptr, a.err
}

// temporary reports whether an error leaves open what the answer is.
func temporary(err error) bool {
	var d *net.DNSError
	return err != nil && !(errors.As(err, &d) && d.IsNotFound)
}
