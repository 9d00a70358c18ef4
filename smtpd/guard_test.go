package smtpd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"sekisho/internal/smtptest"
)

// testCertificate makes a certificate for the server's side of the tests.
func testCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "mx.town.example"},
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"mx.town.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pipeListener gives out one end of pipes.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

// addressed is a pipe's end with an address.
type addressed struct {
	net.Conn
	addr netip.Addr
}

func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.addr, 50000))
}

func (l *pipeListener) dial(from string) net.Conn {
	mine, theirs := net.Pipe()
	select {
	case l.conns <- addressed{theirs, netip.MustParseAddr(from)}:
	case <-l.done:
		theirs.Close()
	}
	return mine
}

// takes is a session that takes everything for town.example, except from and
// for the addresses whose name says otherwise.
type takes struct {
	g    *Guard
	mu   *sync.Mutex
	got  *[]smtptest.Message
	from string
	to   []string
}

func (s *takes) Reset()        { s.from, s.to = "", nil }
func (s *takes) Logout() error { return nil }

func (s *takes) Mail(string, *smtp.MailOptions) error {
	s.from = s.g.Sender().String()
	return nil
}

func (s *takes) Rcpt(string, *smtp.RcptOptions) error {
	a := s.g.Recipient()
	if strings.HasPrefix(a.Local, "nobody") {
		return reply(550, 5, 1, 1, "No such address")
	}
	s.to = append(s.to, a.String())
	return nil
}

func (s *takes) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		if rep := asReply(err); rep != nil {
			return rep
		}
		return reply(451, 4, 3, 0, "Try again later")
	}
	if strings.HasPrefix(s.from, "storage-error") {
		return reply(451, 4, 3, 0, "Try again later")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.got = append(*s.got, smtptest.Message{From: s.from, To: s.to, Data: b})
	return nil
}

// rig is a server with a guard before it, in a bubble of its own clock.
type rig struct {
	l *pipeListener
	// listener is what stands before the pipes.
	listener *Listener
	gate     *Gate
	srv      *smtp.Server
	mu       sync.Mutex
	got      []smtptest.Message
	done     chan struct{}
}

func newRig(t testing.TB, limits Limits, cert *tls.Certificate) *rig {
	t.Helper()
	gate, err := NewGate(limits)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{l: newPipeListener(), gate: gate, done: make(chan struct{})}
	l := &Listener{Listener: r.l, Gate: gate, Hostname: "mx.town.example", Log: slog.New(slog.DiscardHandler)}
	r.listener = l
	if cert != nil {
		l.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	r.srv = newLibrary(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &takes{g: c.Conn().(*Guard), mu: &r.mu, got: &r.got}, nil
	}), "mx.town.example", limits, l.Log)
	go func() {
		defer close(r.done)
		r.srv.Serve(l)
	}()
	return r
}

func (r *rig) messages() []smtptest.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (r *rig) close() {
	r.srv.Close()
	<-r.done
}

var enhancedCode = regexp.MustCompile(`^(\d)\d\d[- ](\d)\.\d{1,3}\.\d{1,3} `)

// enhanced holds every answer against RFC 2034, 4: but for the greeting and
// the answers to EHLO and HELO, 2xx, 4xx and 5xx have a code of their class.
func enhanced(answer string) error {
	for _, l := range strings.Split(answer, "\n") {
		m := enhancedCode.FindStringSubmatch(l)
		switch {
		case m != nil && m[1] == m[2]:
		case m == nil && (l[0] == '3' || strings.HasPrefix(l, "220 mx.town.example ESMTP") || strings.HasPrefix(answer, "250 mx.town.example") || strings.HasPrefix(answer, "250-mx.town.example")):
		default:
			return fmt.Errorf("answer %q has no enhanced code of its class", l)
		}
	}
	return nil
}

func TestDialogues(t *testing.T) {
	scripts, err := smtptest.Load("../testdata/dialog")
	if err != nil {
		t.Fatal(err)
	}
	cert := testCertificate(t)
	for _, s := range scripts {
		for _, side := range []string{"clear", "tls"} {
			if _, only := s.Options["plain-only"]; only && side == "tls" {
				continue
			}
			if _, session := s.Options["session"]; session {
				continue
			}
			t.Run(s.Name+"/"+side, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					limits := DefaultLimits()
					if _, pause := s.Options["pause"]; !pause {
						limits.GreetingPause = 0
					}
					if _, stress := s.Options["stress"]; stress {
						limits.StressAt = 1
					}
					crt := &cert
					if _, no := s.Options["no-certificate"]; no {
						crt = nil
					}
					r := newRig(t, limits, crt)
					defer r.close()
					if _, refused := s.Options["network-refused"]; refused {
						r.listener.Networks = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
					}
					if _, proxy := s.Options["proxy"]; proxy {
						r.listener.Proxy = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
					}
					err := s.Play(smtptest.Player{
						Conn: r.l.dial("192.0.2.1"), TLS: side == "tls", Messages: r.messages, Answer: enhanced,
					})
					if err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

var discard = slog.New(slog.DiscardHandler)
