// Package smtpd accepts mail on every listener and answers the peer. What comes
// in is a connection; what goes out is an entry of the spool, one per tenant,
// profile and treatment, durable before the peer reads 250, or a refusal while
// the peer is still connected.
//
// Four things stand in a row. The Listener counts connections and turns away
// who may not be there. The Guard owns socket and TLS, reads the command lines
// and the message itself, and keeps everything from the SMTP library that the
// library would take for what it is not. The library dispatches commands. The
// session decides: which recipients may be reached from which zone, whose mail
// it becomes, and by the one rule of package envelope how it is treated.
//
// It parses no message, but for a look at the top header block to find loops;
// who sent it, package senderauth finds out while the message streams by; it
// never bounces. What a peer is told comes from reply.go alone.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho/envelope"
	"sekisho/routing"
	"sekisho/senderauth"
	"sekisho/spool"
	"sekisho/tenant"
)

// ListenerConfig is one listener as the configuration names it.
type ListenerConfig struct {
	Name        string
	Zone        envelope.Zone  // how far what arrives there is trusted; zero is Internet
	Listen      []string       // host:port
	TLS         *tls.Config    // nil: STARTTLS is not offered. Set GetCertificate to change certificates while running
	Networks    []netip.Prefix // who may connect; required but for zone internet, where empty is everybody
	Peers       []netip.Prefix // named: without per-address rates and pauses. Grants nothing else
	Proxy       []netip.Prefix // balancers, which must speak the PROXY protocol
	TenantsOnly bool           // accepts: tenants, the mail between LGWAN bodies
}

// Server accepts mail on all listeners and answers the peers. Fields are set
// before Listen and not changed after; other listeners and limits are put in
// force by Prepare.
type Server struct {
	Hostname  string
	Listeners []ListenerConfig
	Limits    Limits // the zero value is refused; start from DefaultLimits
	Spool     *spool.Spool
	Tenants   func() *tenant.Directory // the current one; swapped on reload
	Table     func() *routing.Table    // likewise
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now
	// Senders judges who sent what arrives from zone internet; nil: nobody does.
	Senders *senderauth.Judge
	// SenderRules are the current ones; required with Senders.
	SenderRules func() *SenderRules
	// Disk is the size of the disk that the spool is on, which the quotas of
	// tenants are shares of; nil: there are none.
	Disk func() (int64, error)
	// Accepted is told of every entry that was made durable; may be nil.
	Accepted func(e *envelope.Envelope)
	// Refused is told the rule of everything that was refused, from a closed
	// set of names; may be nil.
	Refused func(rule string)

	gate   *Gate
	rates  *rates
	wg     sync.WaitGroup // loops of sockets and libraries, and what ends libraries
	done   chan struct{}  // closed when Shutdown is over
	failed chan error     // a socket stopped accepting

	mu      sync.Mutex // guards what follows
	sockets []*socket
	posts   []*post
	serving bool
	ended   bool
}

// bounds are the limits in force.
func (s *Server) bounds() *Limits { return s.gate.bounds() }

// Listen checks the configuration and opens every socket, so that a port in
// use or a missing right is an error of the start.
func (s *Server) Listen() (err error) {
	if s.Spool == nil || s.Tenants == nil || s.Table == nil || s.Hostname == "" || len(s.Listeners) == 0 {
		return errors.New("smtpd: host name, listeners, spool, tenants and table are required")
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.gate, err = NewGate(s.Limits); err != nil {
		return err
	}
	s.rates = newRates(s.gate.bounds, s.Now)
	s.done, s.failed = make(chan struct{}), make(chan error, 1)
	r, err := s.Prepare(s.Listeners, s.Limits)
	if err != nil {
		return err
	}
	r.Apply()
	return nil
}

// offersDSN reports whether a zone is asked what it wants to be told. A sender
// on the internet is never written to after the 250, since nobody knows whose
// address that is; were he offered a report, the offer would be a lie. The
// server that he handed his mail to sends "relayed" itself where we offer
// nothing. RFC 3461, 5.2.2.
func offersDSN(z envelope.Zone) bool {
	return z == envelope.LGWAN || z == envelope.InternetSegment
}

// Addrs returns the addresses of a listener's sockets.
func (s *Server) Addrs(name string) []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var as []net.Addr
	for _, k := range s.sockets {
		if k.post.cfg.Name == name {
			as = append(as, k.Addr())
		}
	}
	return as
}

// Serve accepts connections until Shutdown, and returns nil then. Any other
// return is the error of a socket that stopped accepting.
func (s *Server) Serve() error {
	s.mu.Lock()
	if !s.ended {
		s.serving = true
		for _, p := range s.posts {
			s.serve(p)
		}
		for _, k := range s.sockets {
			s.accept(k)
		}
	}
	s.mu.Unlock()
	select {
	case err := <-s.failed:
		return err
	case <-s.done:
		return nil
	}
}

// Shutdown stops accepting, has idle sessions end with 421 and waits for the
// others to finish the message they have in hand. When ctx is done it closes
// what is still open; what had no 250 by then is the peer's to send again.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.gate == nil {
		return nil
	}
	s.gate.Stop()
	s.mu.Lock()
	first := !s.ended
	s.ended = true
	var errs []error
	for _, k := range s.sockets {
		if err := k.close(); err != nil && first {
			errs = append(errs, err)
		}
	}
	for _, p := range s.posts {
		s.retire(p)
	}
	s.posts = nil
	s.mu.Unlock()
	over := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
		errs = append(errs, ctx.Err())
		s.gate.closeAll()
		<-over
	}
	if first {
		close(s.done)
	}
	return errors.Join(errs...)
}

// Connections is the number of connections now open.
func (s *Server) Connections() int { return s.gate.Connections() }

// Held notes that a whole message was held. The peer that sends too many of
// them within an hour gets 452: it must not fill the quarantine.
func (s *Server) Held(e *envelope.Envelope) {
	s.rates.held(e.Peer.Addr, e.Size)
	s.rates.feeds(e.Tenant, e.Peer.Addr, e.Size)
}

// WasHeld notes what was held before the start: it counts for the tenant's
// share of the disk, and not for the last hour.
func (s *Server) WasHeld(e *envelope.Envelope) { s.rates.feeds(e.Tenant, e.Peer.Addr, e.Size) }

// refused logs a refusal of the session, in words for us, and returns the one
// for the peer.
func (s *Server) refused(r refusal, attrs ...slog.Attr) *smtp.SMTPError {
	if s.Refused != nil {
		s.Refused(r.rule)
	}
	attrs = append(attrs, slog.String("rule", r.rule))
	s.Log.LogAttrs(context.Background(), slog.LevelInfo, "refused", attrs...)
	return r.SMTPError
}

// newLibrary sets the SMTP library up as the guard expects it: without TLS,
// deadlines, size and line limits of its own, which the guard has.
func newLibrary(b smtp.Backend, hostname string, limits Limits, log *slog.Logger) *smtp.Server {
	s := smtp.NewServer(b)
	s.Domain = hostname
	s.MaxLineLength = 0
	s.MaxMessageBytes = 0
	s.MaxRecipients = limits.Recipients
	s.EnableSMTPUTF8 = true
	s.ErrorLog = libraryLog{log}
	return s
}

// libraryLog receives what the library has to say, which is panics of ours.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.log.Error("smtp library", "err", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) { l.log.Error("smtp library", "err", fmt.Sprint(v...)) }
