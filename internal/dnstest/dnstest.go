// Package dnstest is a DNS server on loopback for tests: it serves one zone
// text, can fall silent and can fail for a name. Nothing that ships links it.
package dnstest

import (
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Server answers from a list of records. All methods may be used while it
// serves.
type Server struct {
	Addr string // HOST:PORT, both of UDP and TCP

	mu     sync.Mutex
	rrs    map[string][]dns.RR // by lower-case name
	silent bool
	fail   map[string]bool // names whose answer is SERVFAIL
	asked  map[string]int  // questions by name
	signed []string        // names at and below which everything is proved
	udp    *dns.Server
	tcp    *dns.Server
}

// New starts a server with the records of a zone text, in the form of RFC 1035,
// 5. Names are taken to be absolute.
func New(zone string) (*Server, error) { return NewAt("127.0.0.1:0", zone) }

// NewAt is New at an address, for programs that ask port 53 and no other.
func NewAt(addr, zone string) (*Server, error) {
	s := &Server{rrs: map[string][]dns.RR{}, fail: map[string]bool{}, asked: map[string]int{}}
	if err := s.Add(zone); err != nil {
		return nil, err
	}
	pc, l, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.Addr = l.Addr().String()
	s.udp = &dns.Server{PacketConn: pc, Handler: s}
	s.tcp = &dns.Server{Listener: l, Handler: s}
	var up sync.WaitGroup
	for _, d := range []*dns.Server{s.udp, s.tcp} {
		up.Add(1)
		d.NotifyStartedFunc = up.Done
		go func() { _ = d.ActivateAndServe() }()
	}
	up.Wait()
	return s, nil
}

// listen opens one port for both protocols. The other one's may be taken by
// somebody else, so it tries several.
func listen(addr string) (pc net.PacketConn, l net.Listener, err error) {
	for range 20 {
		if l, err = net.Listen("tcp", addr); err != nil {
			return nil, nil, err
		}
		if pc, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			return pc, l, nil
		}
		l.Close()
	}
	return nil, nil, err
}

// Close stops the server.
func (s *Server) Close() {
	_ = s.udp.Shutdown()
	_ = s.tcp.Shutdown()
}

// Add adds the records of a zone text.
func (s *Server) Add(zone string) error {
	p := dns.NewZoneParser(strings.NewReader(zone+"\n"), ".", "")
	p.SetDefaultTTL(60)
	s.mu.Lock()
	defer s.mu.Unlock()
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		s.rrs[name] = append(s.rrs[name], rr)
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("zone: %w", err)
	}
	return nil
}

// AddTXT adds a TXT record of any length.
func (s *Server) AddTXT(name, text string) {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
	for len(text) > 255 {
		rr.Txt, text = append(rr.Txt, text[:255]), text[255:]
	}
	rr.Txt = append(rr.Txt, text)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(rr.Hdr.Name)
	s.rrs[key] = append(s.rrs[key], rr)
}

// Silence makes the server swallow every question, or answer again.
func (s *Server) Silence(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = on
}

// Sign has the server say of a name and of all below it what a resolver that
// validates says of a signed zone. Nothing is signed in truth: what is tested is
// who believes the AD bit.
func (s *Server) Sign(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = append(s.signed, strings.ToLower(dns.Fqdn(name)))
}

func (s *Server) proved(name string) bool {
	for _, z := range s.signed {
		if name == z || strings.HasSuffix(name, "."+z) {
			return true
		}
	}
	return false
}

// Fail makes every answer for a name SERVFAIL.
func (s *Server) Fail(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[strings.ToLower(dns.Fqdn(name))] = true
}

// Asked returns how often a name was asked for, with or without an answer.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[strings.ToLower(dns.Fqdn(name))]
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if !s.answer(m, q) {
		return
	}
	if opt := q.IsEdns0(); w.LocalAddr().Network() == "udp" {
		size := 512
		if opt != nil {
			size = int(opt.UDPSize())
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m)
}

func (s *Server) answer(m, q *dns.Msg) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return true
	}
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	s.asked[name]++
	if s.silent {
		return false
	}
	if s.fail[name] {
		m.Rcode = dns.RcodeServerFailure
		return true
	}
	seen := map[string]bool{}
	s.collect(m, name, kind, seen)
	if opt := q.IsEdns0(); q.AuthenticatedData || opt != nil && opt.Do() {
		m.AuthenticatedData = true
		for n := range seen {
			m.AuthenticatedData = m.AuthenticatedData && s.proved(n)
		}
	}
	if len(m.Answer) == 0 && !s.exists(name) {
		m.Rcode = dns.RcodeNameError
	}
	return true
}

// collect follows aliases as a resolver does, and goes round a loop of them
// once. RFC 1034, 3.6.2.
func (s *Server) collect(m *dns.Msg, name string, kind uint16, seen map[string]bool) {
	if seen[name] {
		return
	}
	seen[name] = true
	for _, rr := range s.rrs[name] {
		switch alias, ok := rr.(*dns.CNAME); {
		case rr.Header().Rrtype == kind:
			m.Answer = append(m.Answer, rr)
		case ok:
			m.Answer = append(m.Answer, rr)
			s.collect(m, strings.ToLower(alias.Target), kind, seen)
		}
	}
}

// Mend makes a name answer again after Fail.
func (s *Server) Mend(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fail, strings.ToLower(dns.Fqdn(name)))
}

// exists reports whether the name or one below it has a record. RFC 8020.
func (s *Server) exists(name string) bool {
	for n := range s.rrs {
		if n == name || strings.HasSuffix(n, "."+name) || name == "." {
			return true
		}
	}
	return false
}
