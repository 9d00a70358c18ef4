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
// before Listen and not changed after.
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

	gate  *Gate
	rates *rates
	open  []opened
	wg    sync.WaitGroup
}

// opened is a listener of ours with its sockets.
type opened struct {
	cfg     ListenerConfig
	library *smtp.Server
	sockets []*Listener
}

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
	s.rates = newRates(s.Limits, s.Now)
	defer func() {
		if err != nil {
			s.closeSockets()
		}
	}()
	for _, cfg := range s.Listeners {
		o := opened{cfg: cfg}
		switch cfg.Zone {
		case 0:
			o.cfg.Zone = envelope.Internet
		case envelope.Internet:
		case envelope.InternetSegment, envelope.LGWAN:
			if len(cfg.Networks) == 0 {
				return fmt.Errorf("smtpd: listener %s of zone %s has no networks and would trust everybody", cfg.Name, cfg.Zone)
			}
		default:
			return fmt.Errorf("smtpd: listener %s has no known zone", cfg.Name)
		}
		o.library = newLibrary(s.backend(o.cfg), s.Hostname, s.Limits, s.Log)
		for _, addr := range cfg.Listen {
			sock, err := net.Listen("tcp", addr)
			if err != nil {
				s.open = append(s.open, o)
				return fmt.Errorf("listener %s: %w", cfg.Name, err)
			}
			o.sockets = append(o.sockets, &Listener{
				Listener: sock, Gate: s.gate, Hostname: s.Hostname, TLS: cfg.TLS, DSN: offersDSN(o.cfg.Zone),
				Networks: cfg.Networks, Named: cfg.Peers, Proxy: cfg.Proxy, Log: s.Log, Now: s.Now, Refused: s.Refused,
			})
		}
		s.open = append(s.open, o)
	}
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

func (s *Server) closeSockets() {
	for _, o := range s.open {
		for _, l := range o.sockets {
			l.Listener.Close()
		}
	}
}

// Addrs returns the addresses of a listener's sockets.
func (s *Server) Addrs(name string) []net.Addr {
	var as []net.Addr
	for _, o := range s.open {
		if o.cfg.Name == name {
			for _, l := range o.sockets {
				as = append(as, l.Addr())
			}
		}
	}
	return as
}

// Serve accepts connections until Shutdown, and returns nil then. Any other
// return is the error of a listener that stopped accepting.
func (s *Server) Serve() error {
	var n int
	for _, o := range s.open {
		n += len(o.sockets)
	}
	stopped := make(chan error, n)
	for _, o := range s.open {
		for _, l := range o.sockets {
			s.wg.Add(1)
			go func() {
				defer s.wg.Done()
				if err := o.library.Serve(l); err != nil {
					stopped <- fmt.Errorf("listener %s: %w", o.cfg.Name, err)
					return
				}
				stopped <- nil
			}()
		}
	}
	for range n {
		if err := <-stopped; err != nil {
			return err
		}
	}
	return nil
}

// Shutdown stops accepting, has idle sessions end with 421 and waits for the
// others to finish the message they have in hand. When ctx is done it closes
// what is still open; what had no 250 by then is the peer's to send again.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.gate == nil {
		return nil
	}
	s.gate.Stop()
	errs := make([]error, len(s.open))
	var waits sync.WaitGroup
	for i, o := range s.open {
		waits.Add(1)
		go func() {
			defer waits.Done()
			// The library only waits, and it is the guard that sends the 421.
			if err := o.library.Shutdown(ctx); !errors.Is(err, smtp.ErrServerClosed) {
				errs[i] = err
			}
		}()
	}
	waits.Wait()
	if ctx.Err() != nil {
		s.gate.closeAll()
	}
	s.wg.Wait()
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
