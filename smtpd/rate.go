package smtpd

import (
	"net/netip"
	"sync"
	"time"

	"sekisho/envelope"
)

// rates bounds messages a minute, from one address and to one tenant, and the
// bytes that one peer may bring into the quarantine in an hour.
type rates struct {
	peers   counts[netip.Prefix]
	tenants counts[envelope.TenantID]
	senders counts[string]
	fed     counts[feeder]
	bytes   counts[netip.Prefix]
	limits  func() *Limits // the ones in force
	now     func() time.Time
}

func newRates(l func() *Limits, now func() time.Time) *rates {
	return &rates{
		peers:   counts[netip.Prefix]{period: time.Minute, m: make(map[netip.Prefix]count)},
		tenants: counts[envelope.TenantID]{period: time.Minute, m: make(map[envelope.TenantID]count)},
		senders: counts[string]{period: time.Minute, m: make(map[string]count)},
		fed:     counts[feeder]{period: l().HeldFor, m: make(map[feeder]count)},
		bytes:   counts[netip.Prefix]{period: time.Hour, m: make(map[netip.Prefix]count)},
		limits:  l,
		now:     now,
	}
}

// message counts a message from a peer; false: one too many.
func (r *rates) message(a netip.Addr) bool {
	return r.peers.add(peerKey(a), 1, r.now()) <= int64(r.limits().MessagesPerMinutePerAddress)
}

// tenant counts a message to a tenant; false: one too many.
func (r *rates) tenant(t envelope.TenantID) bool {
	return r.tenants.add(t, 1, r.now()) <= int64(r.limits().MessagesPerMinutePerTenant)
}

// sender counts a message of a sender inside; false: one too many.
func (r *rates) sender(a envelope.Address) bool {
	return r.senders.add(a.Key(), 1, r.now()) <= int64(r.limits().MessagesPerMinutePerSender)
}

// A feeder is a peer that brought what is held for a tenant.
type feeder struct {
	tenant envelope.TenantID
	peer   netip.Prefix
}

// held counts bytes of a whole message that was held.
func (r *rates) held(a netip.Addr, size int64) { r.bytes.add(peerKey(a), size, r.now()) }

// feeds counts it for its tenant.
func (r *rates) feeds(t envelope.TenantID, a netip.Addr, size int64) {
	r.fed.add(feeder{t, peerKey(a)}, size, r.now())
}

// feederShare is the part of a tenant's quota from which on a peer has fed it:
// on a disk of 100 GiB a message of full size. One mail of a large provider that
// was held a week ago must not shut that provider out.
const feederShare = 1024

// feeder reports whether a peer has fed what is held for a tenant.
func (r *rates) feeder(t envelope.TenantID, a netip.Addr, quota int64) bool {
	n := r.fed.add(feeder{t, peerKey(a)}, 0, r.now())
	return n > 0 && n >= quota/feederShare
}

// fills reports whether the peer has brought too much into the quarantine.
func (r *rates) fills(a netip.Addr) bool {
	return r.bytes.add(peerKey(a), 0, r.now()) >= r.limits().HeldBytesPerPeerHour
}

// counts sums up what each key did in a period that begins with its first act.
type counts[K comparable] struct {
	period time.Duration
	mu     sync.Mutex
	m      map[K]count
}

type count struct {
	since time.Time
	n     int64
}

// maxCounts bounds the memory. An attacker with more addresses than this is
// bounded by the connections in all.
const maxCounts = 50_000

// add counts n more for k and returns the sum.
func (c *counts[K]) add(k K, n int64, now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.m[k]
	if !ok && n == 0 {
		return 0
	}
	if !ok || c.over(v, now) {
		v = count{since: now}
	}
	if !ok && len(c.m) >= maxCounts {
		c.sweep(now)
	}
	v.n += n
	c.m[k] = v
	return v.n
}

// over reports whether a period has ended. One that begins later than now was
// begun by a clock that has been put back: it would last until then.
func (c *counts[K]) over(v count, now time.Time) bool {
	d := now.Sub(v.since)
	return d < 0 || d >= c.period
}

// sweep forgets what is over, and a tenth of the rest when all is in use: a
// walk over a map begins anywhere, so nobody can choose who is forgotten.
func (c *counts[K]) sweep(now time.Time) {
	for k, v := range c.m {
		if c.over(v, now) {
			delete(c.m, k)
		}
	}
	for k := range c.m {
		if len(c.m) < maxCounts*9/10 {
			break
		}
		delete(c.m, k)
	}
}

// setPeriod changes how long acts count from now on.
func (c *counts[K]) setPeriod(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.period = d
}
