// Package delivery takes messages from Queued to Done: it claims a bounded
// window of the journal, asks the routing table where each recipient goes now,
// checks the seal over the very octets it is about to send, and only then
// dials. It decides nothing about content and changes nothing but to put a
// Received field before the message; of mail from inside that leaves for the
// internet it also takes off the header fields that tell of the inside, and
// signs it with DKIM as the last act.
//
// What has no matching seal is not sent anywhere, whatever its row says: it is
// held as tampered, with an alarm. A hop of network lgwan or local never
// stands in for one of network internet, nor the other way round.
//
// Each recipient ends as sent, as deferred until the next try, or as failed
// for good. After the peer has read 250 nobody outside is told of a failure:
// a sender inside gets a report, and of mail from the internet the tenant's
// administrators learn.
//
// Delivery is at least once: a daemon that dies between the answer of the next
// hop and the journal's commit sends again, with the same id and Message-ID.
package delivery

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"sekisho/envelope"
	"sekisho/internal/dane"
	"sekisho/internal/seal"
	"sekisho/routing"
	"sekisho/spool"
	"sekisho/tenant"
)

// Resolver looks names up. *net.Resolver is the one the gateway uses.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Times are the client's. A zero field is the value of limits.md.
type Times struct {
	Connect time.Duration // to connect, and again for a TLS handshake; 30 s
	Command time.Duration // from a command to the end of its answer; RFC 5321, 4.5.3.2: 5 min
	Block   time.Duration // to hand over one block of the body; RFC 5321, 4.5.3.2.5: 3 min
	Final   time.Duration // from the final dot to its answer; RFC 5321, 4.5.3.2.6: 10 min
	Look    time.Duration // one DNS question; 5 s
	Probe   time.Duration // between two probes of a hop that is down; 1 min
	Idle    time.Duration // a connection kept for the next message; 2 s, since a server may count it against us
}

// Metrics are told what happened; a nil one is not called. Hop names come from
// the configuration, so labels made of them are a closed set.
type Metrics struct {
	// Recipient counts results: outcome is "sent", "deferred" or "bounced".
	Recipient func(hop string, outcome string)
	// Held counts messages that were held instead of sent: class is "tampered"
	// or "failed".
	Held func(class string)
	// Attempt takes the time of one message's stay at one hop.
	Attempt func(hop string, took time.Duration)
	// Connections follows the number of open connections.
	Connections func(hop string, delta int)
	// Down says that a hop of named hosts went down or came back.
	Down func(hop string, down bool)
}

// Delivery sends what is queued. Its fields are set before Run and not changed
// afterwards.
type Delivery struct {
	Spool    *spool.Spool
	Table    func() *routing.Table                                                // the current one; swapped on reload
	Tenants  func() *tenant.Directory                                             // likewise
	Verify   seal.Verifier                                                        // the public half; delivery cannot make a seal
	Hostname string                                                               // ours: EHLO, Received, our own mail
	Resolver Resolver                                                             // nil: net.DefaultResolver
	Roots    *x509.CertPool                                                       // for hops with tls: require and MTA-STS; nil: the system's
	Policies Policies                                                             // nil: policies of MTA-STS are kept in memory alone
	Now      func() time.Time                                                     // nil: time.Now
	Log      *slog.Logger                                                         // nil: slog.Default
	Metrics  Metrics                                                              //
	Times    Times                                                                //
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: a net.Dialer; a site with two networks binds its source address here

	// Keys are what mail from inside is signed with on its way to the internet;
	// the current ones, swapped on reload. nil: nothing is signed.
	Keys func() []Key

	// DANE is the name server that validates, the current one, swapped on reload;
	// nil, or a nil answer: no TLSA record is asked for. Resolver must ask the
	// same server then: what it says of MX records is what is proved.
	DANE func() *dane.Resolver

	// Reports is who tells other domains how TLS went with their servers, the
	// current one, swapped on reload; nil, or a nil answer: nothing is counted.
	Reports func() *Reporter
	TLSDays TLSDays // nil: what is counted is kept in memory alone

	// Outside reports whether mail to an MX may be sent to this address. nil:
	// only addresses that are routed on the internet. Whoever owns a domain
	// writes its MX records, and must not be able to point them at our inside.
	Outside func(netip.Addr) bool

	// Retention is how long what is held here waits, the current one, swapped on
	// reload; nil is 14 days, as in
	// the quarantine.
	Retention func() time.Duration
	// Originals is how long the bytes of finished mail are kept, likewise. nil:
	// until the next sweep.
	Originals func() time.Duration
	// Life is how long a message is tried; zero is 5 days. RFC 5321, 4.5.4.1.
	Life time.Duration
	// Late is after how long a sender inside is told that his message is late;
	// zero is 4 h. RFC 3461, 5.2.5.
	Late time.Duration
	// Window is the number of messages in hand at a time, the rest waits in
	// the journal; zero is 200: ten hops' worth of slots.
	Window int
	// SlotsMX is the number of connections to one MX destination; zero is 5.
	// A hop of named hosts has its own number; zero there is 20.
	SlotsMX int
	// Grace is how long messages in hand may go on when Run is to end; zero is
	// 30 s. What is cut off then is queued again.
	Grace time.Duration

	once     sync.Once
	carrying carrying
	lanes    lanes
	hops     hopStates
	notices  notices
	clock    clock
	sizes    sizes
	sts      sts
	tally    tally
	dials    net.Dialer
	bg       sync.WaitGroup // connections that say QUIT, probes, woken queues
}

// poll is how often the journal is asked for what fell due by itself.
const poll = 200 * time.Millisecond

// Run works until ctx is done, then finishes what it has in hand, for Grace at
// the longest. It claims nothing after ctx is done, and leaves no lease behind.
func (d *Delivery) Run(ctx context.Context) {
	d.init()
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var wg sync.WaitGroup
	window := make(chan struct{}, d.Window)
	freed := make(chan struct{}, 1)
	for _, hop := range d.Table().Hops() {
		if !hop.MX {
			// Who waited for a hop that was down waits for a probe; what the
			// daemon before this one knew of that is gone.
			d.bg.Go(func() { d.wake(ctx, hop) })
		}
	}
	d.bg.Go(func() { d.unstick(ctx) })
	d.loadTLS(ctx)
	d.carrying.open(ctx, work, max(1, d.Window/4))
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		claimed := 0
		if free := d.Window - len(window); free > 0 {
			// A portion, not the whole window: what is claimed is in our hand
			// even while it waits for the processor.
			es, err := d.Spool.Claim(ctx, spool.Queued, d.now(), min(free, 50))
			if err != nil && ctx.Err() == nil {
				d.Log.Error("claim", "err", err)
			}
			claimed = len(es)
			for _, e := range es {
				window <- struct{}{}
				wg.Go(func() {
					defer func() {
						<-window
						select {
						case freed <- struct{}{}:
						default:
						}
					}()
					d.deliver(ctx, work, e)
				})
			}
		}
		if claimed > 0 && len(window) < d.Window {
			continue
		}
		select {
		case <-ctx.Done():
		case <-freed:
		case <-d.Spool.Changed(spool.Queued):
		case <-tick.C:
			d.upkeep(ctx, work)
		}
	}
	grace := time.AfterFunc(d.Grace, cut)
	defer grace.Stop()
	d.carrying.close()
	wg.Wait()
	d.lanes.close(&d.bg)
	cut()
	d.bg.Wait()
	// What is under way is no longer counted.
	d.keepTLS(context.WithoutCancel(ctx))
}

// upkeep does what has its own time: probes of hops that are down, and notices
// that waited for their hour.
func (d *Delivery) upkeep(ctx, work context.Context) {
	for _, hop := range d.hops.due(time.Now(), d.Times.Probe) {
		d.bg.Go(func() { d.probe(ctx, hop) })
	}
	d.flushNotices(work)
	d.upkeepTLS(ctx)
	if d.clock.back(d.now()) {
		d.Log.Warn("clock stepped back")
		d.bg.Go(func() { d.unstick(ctx) })
	}
}

func (d *Delivery) init() {
	d.once.Do(func() {
		set := func(t *time.Duration, v time.Duration) {
			if *t == 0 {
				*t = v
			}
		}
		set(&d.Times.Connect, 30*time.Second)
		set(&d.Times.Command, 300*time.Second)
		set(&d.Times.Block, 180*time.Second)
		set(&d.Times.Final, 600*time.Second)
		set(&d.Times.Look, 5*time.Second)
		set(&d.Times.Probe, time.Minute)
		set(&d.Times.Idle, 2*time.Second)
		set(&d.Life, 5*24*time.Hour)
		set(&d.Late, 4*time.Hour)
		set(&d.Grace, 30*time.Second)
		if d.Retention == nil {
			d.Retention = func() time.Duration { return 14 * 24 * time.Hour }
		}
		if d.Originals == nil {
			d.Originals = func() time.Duration { return 0 }
		}
		if d.Window == 0 {
			d.Window = 200
		}
		if d.SlotsMX == 0 {
			d.SlotsMX = 5
		}
		if d.Resolver == nil {
			d.Resolver = net.DefaultResolver
		}
		if d.Log == nil {
			d.Log = slog.Default()
		}
		if d.Dial == nil {
			d.Dial = d.dials.DialContext
		}
		if d.Outside == nil {
			d.Outside = onTheInternet
		}
		d.sts.client = d.policyClient()
	})
}

func (d *Delivery) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

// zone is what routing shall think a message comes from. Mail that the gateway
// wrote itself goes wherever a route leads, as it did when it was sealed: it is
// neither relayed nor anybody else's. A name of LGWAN stays inside even so.
func zone(e *spool.Entry) envelope.Zone {
	if e.Envelope.Treatment == envelope.Ours {
		return envelope.LGWAN
	}
	return e.Envelope.Zone
}
