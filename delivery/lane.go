package delivery

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho/routing"
)

const (
	// slotsNamed is the number of connections to a hop of named hosts: our own
	// servers, which know us. limits.md.
	slotsNamed = 20
	// parkMost bounds how long an entry is sent away for. A hop that becomes
	// quick again waits no longer than that for its queue; and of fifty thousand
	// that wait for a slow one, two hundred a second come back to be sent away
	// again.
	parkMost = 5 * time.Minute
)

// destination is where connections are counted and kept: a hop of named hosts,
// or one domain behind a hop with MX.
type destination struct {
	hop    routing.Hop
	domain string // of MX hops only
}

// key tells destinations apart. A hop that a reload has changed is another one,
// so that no connection of before is used for it.
func (to destination) key() string {
	k := to.hop.Name + "\x00" + to.domain + "\x00" + to.hop.TLS + "\x00" + strconv.Itoa(to.hop.Slots)
	for _, h := range to.hop.Hosts {
		k += "\x00" + h
	}
	return k
}

// lane is the slots of one destination and its connections that wait for a
// next message.
type lane struct {
	slots   chan struct{}
	users   int // messages that hold or want a slot
	serving int // of these, the ones that have a connection
	conns   int // connections, idle ones and those that say QUIT included
	idle    []*session
	lastDue time.Time // of the entry parked last
	ended   time.Time // when a slot was last given back
	served  bool      // one was
	hop     *lane     // all destinations of the MX hop together, where it is one of these
	pace    time.Duration
	most    int // of a whole MX hop: messages that it may have in the window
}

// every estimates the time from one slot given back to the next. A destination
// that has given none back for a while is as slow as that while is long.
func (l *lane) every(now time.Time) time.Duration {
	return max(l.pace, now.Sub(l.ended)/8)
}

// away is when one that finds no room is to come again: a little sooner than
// the destination has been serving, one after the other.
func (l *lane) away(now time.Time) time.Duration {
	if l.lastDue.Before(now) {
		l.lastDue = now
	}
	l.lastDue = l.lastDue.Add(l.every(now) * 7 / 10)
	if l.lastDue.Sub(now) > parkMost {
		l.lastDue = now.Add(parkMost)
	}
	return l.lastDue.Sub(now)
}

// lanes are all destinations that somebody uses just now.
type lanes struct {
	mu     sync.Mutex
	m      map[string]*lane
	hops   map[string]*lane // of MX hops, all their destinations together
	closed bool
}

// behind is the MX hop of a destination, "" for a hop of named hosts. See key.
func behind(key string) string {
	hop, rest, _ := strings.Cut(key, "\x00")
	if strings.HasPrefix(rest, "\x00") {
		return ""
	}
	return hop
}

// crowded returns the lane that is to tell when to come again, nil when there is
// room. most is what a hop may have in the window. The destinations of an MX hop
// share that, since anybody makes as many of them as he likes, each of which
// answers an octet a second. One has a quarter at most, and never more than what
// it leaves free: of n that take what they get, each has an n-th part, and so
// much is left for the next. Those that have served nobody lately share three
// quarters; the rest is for those that do.
func (ls *lanes) crowded(key string, l *lane, slots, most int) *lane {
	if behind(key) == "" {
		if l != nil && l.users >= most {
			return l
		}
		return nil
	}
	hop := ls.hops[behind(key)]
	if hop == nil {
		return nil
	}
	now, users := time.Now(), 0
	room := most - hop.users
	if l != nil {
		users = l.users
	}
	if l == nil || !l.serves(now) {
		room = min(room, most-most/4-ls.silent(hop, now))
	}
	switch {
	case users < min(room, max(2*slots, most/4)):
		return nil
	case users > 0:
		return l
	default:
		return hop
	}
}

// lately is how long a destination that gave a slot back counts as one that
// serves.
const lately = 2 * time.Second

// serves reports whether a destination was done with a message not long ago,
// whatever it said of it.
func (l *lane) serves(now time.Time) bool { return l.served && now.Sub(l.ended) < lately }

// silent is the number of messages that the destinations of an MX hop have in
// the window of which each has served nobody lately.
func (ls *lanes) silent(hop *lane, now time.Time) (n int) {
	for _, l := range ls.m {
		if l.hop == hop && !l.serves(now) {
			n += l.users
		}
	}
	return n
}

// slot waits for a connection's worth of room at a destination. Where most
// messages are there already, the next is told when to come again instead: the
// window is for all hops, and a slow one must not fill it. They come back a
// little faster than the destination has been serving, so that it is never
// idle, and not all at once.
func (ls *lanes) slot(ctx context.Context, key string, slots, most int) (_ *lane, comeAgain time.Duration, err error) {
	ls.mu.Lock()
	if ls.m == nil {
		ls.m = map[string]*lane{}
	}
	l := ls.m[key]
	if full := ls.crowded(key, l, slots, most); full != nil {
		wait := full.away(time.Now())
		ls.mu.Unlock()
		return nil, wait, nil
	}
	l = ls.enter(key, l, slots, most)
	ls.mu.Unlock()
	select {
	case l.slots <- struct{}{}:
		return l, 0, nil
	case <-ctx.Done():
		ls.leave(key, l)
		return nil, 0, ctx.Err()
	}
}

// enter counts one more that wants a slot. The caller has ls.mu.
func (ls *lanes) enter(key string, l *lane, slots, most int) *lane {
	if l == nil {
		l = &lane{slots: make(chan struct{}, slots), pace: time.Millisecond, ended: time.Now()}
		ls.m[key] = l
	}
	l.users++
	if name := behind(key); name != "" {
		hop := ls.hops[name]
		if hop == nil {
			if ls.hops == nil {
				ls.hops = map[string]*lane{}
			}
			hop = &lane{pace: time.Millisecond, ended: time.Now()}
			ls.hops[name] = hop
		}
		hop.users++
		hop.most = most
		l.hop = hop
	}
	return l
}

// free is slot for one that does not want to wait: nil unless a slot is free and
// nobody waits for one. It is for destinations of named hosts.
func (ls *lanes) free(key string, slots int) *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.m == nil {
		ls.m = map[string]*lane{}
	}
	l := ls.m[key]
	if ls.closed || l != nil && l.users >= cap(l.slots) {
		return nil
	}
	l = ls.enter(key, l, slots, slots)
	l.slots <- struct{}{} // users are those that have one and those that want one: there is room
	return l
}

// full is slot for one that does not want to wait: when to come again, if there
// is no room.
func (ls *lanes) full(key string, most int) (comeAgain time.Duration, full bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.m[key]
	slots := 0
	if l != nil {
		slots = cap(l.slots)
	}
	if full := ls.crowded(key, l, slots, most); full != nil {
		return full.away(time.Now()), true
	}
	return 0, false
}

// users is the number of messages that have a slot there or wait for one.
func (ls *lanes) users(key string) int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.m[key]; l != nil {
		return l.users
	}
	return 0
}

// release gives a slot back.
func (ls *lanes) release(key string, l *lane) {
	<-l.slots
	ls.mu.Lock()
	now := time.Now()
	if l.users > cap(l.slots) {
		// Only while there is a queue does the time between two say how fast
		// the destination is.
		l.pace = (l.pace*9 + min(now.Sub(l.ended), parkMost)) / 10
	}
	l.ended, l.served = now, true
	if hop := ls.hops[behind(key)]; hop != nil {
		if hop.users >= hop.most {
			hop.pace = (hop.pace*9 + min(now.Sub(hop.ended), parkMost)) / 10
		}
		hop.ended = now
	}
	ls.mu.Unlock()
	ls.leave(key, l)
}

func (ls *lanes) leave(key string, l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.users--
	if hop := ls.hops[behind(key)]; hop != nil {
		if hop.users--; hop.users == 0 {
			delete(ls.hops, behind(key))
		}
	}
	ls.forget(key, l)
}

// forget drops a destination that nobody uses; inner users write to any number
// of domains.
func (ls *lanes) forget(key string, l *lane) {
	if l.users == 0 && l.conns == 0 && ls.m[key] == l {
		delete(ls.m, key)
	}
}

// take returns a connection that is open already.
func (ls *lanes) take(l *lane) *session {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := len(l.idle)
	if n == 0 {
		return nil
	}
	s := l.idle[n-1]
	l.idle = l.idle[:n-1]
	return s
}

// reserve waits until a connection may be made for somebody who has a slot: one
// that says QUIT still counts at the other side, and one that lies idle at
// another host of the hop makes room.
func (ls *lanes) reserve(ctx context.Context, l *lane) error {
	for {
		ls.mu.Lock()
		if l.conns < cap(l.slots) {
			l.conns++
			ls.mu.Unlock()
			return nil
		}
		var s *session
		if n := len(l.idle); n > 0 {
			s = l.idle[0]
			l.idle = l.idle[1:]
		}
		ls.mu.Unlock()
		if s != nil {
			s.quit()
			continue
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gone counts a connection out that was reserved.
func (ls *lanes) gone(key string, l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.conns--
	ls.forget(key, l)
}

// keep puts a connection by for the next message, for a moment.
func (ls *lanes) keep(key string, l *lane, s *session, t time.Duration, bg *sync.WaitGroup) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed || s.sent >= maxPerConnection {
		bg.Go(s.quit)
		return
	}
	l.idle = append(l.idle, s)
	time.AfterFunc(t, func() { ls.expire(key, l, s, bg) })
}

// expire says good-bye on a connection that nobody took.
func (ls *lanes) expire(key string, l *lane, s *session, bg *sync.WaitGroup) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i, o := range l.idle {
		if o == s {
			l.idle = append(l.idle[:i], l.idle[i+1:]...)
			bg.Go(s.quit)
			break
		}
	}
	ls.forget(key, l)
}

// close says good-bye on all connections that wait.
func (ls *lanes) close(bg *sync.WaitGroup) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for key, l := range ls.m {
		for _, s := range l.idle {
			bg.Go(s.quit)
		}
		l.idle = nil
		ls.forget(key, l)
	}
}

// open is the number of connections that serve a message, or wait for one.
func (ls *lanes) open(key string) int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.m[key]; l != nil {
		return l.serving + len(l.idle)
	}
	return 0
}

// serve counts a connection that came about, or its end.
func (ls *lanes) serve(l *lane, delta int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.serving += delta
}
