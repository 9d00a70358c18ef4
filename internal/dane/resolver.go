package dane

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	typeTLSA = dnsmessage.Type(52) // RFC 6698, 7.1
	// maxRecords bounds the records of one answer that are looked at: a domain's
	// owner writes as many as he likes.
	maxRecords = 32
	// udpSize is what an answer over UDP may have; a longer one is asked for by
	// TCP. RFC 9715.
	udpSize = 1232
	// udpTime is for an answer over UDP, which may be lost.
	udpTime = 2 * time.Second
)

// ErrDNS says that a question has no answer that counts: the server failed,
// which is also what it says of an answer that DNSSEC proves false.
var ErrDNS = errors.New("no answer of the validating resolver")

// Resolver asks one name server that validates. Addr is ADDRESS:PORT.
type Resolver struct{ Addr string }

// Kind is a kind of record that can be asked for.
type Kind = dnsmessage.Type

// The kinds whose being proved decides whether DANE applies.
const (
	MX   = dnsmessage.TypeMX
	A    = dnsmessage.TypeA
	AAAA = dnsmessage.TypeAAAA
	NS   = dnsmessage.TypeNS // of the root: whether a server validates at all
)

// Answer is what is known of a name.
type Answer struct {
	Secure bool   // DNSSEC proves it, also that there is nothing
	Found  bool   // there is a record of the kind
	Name   string // where aliases led
	tlsa   Records
}

// Look asks for one kind of record of a name.
func (r *Resolver) Look(ctx context.Context, name string, kind Kind) (Answer, error) {
	a, err := r.ask(ctx, name, kind)
	if err != nil {
		return Answer{}, fmt.Errorf("look up %s %s: %w", strings.TrimPrefix(kind.String(), "Type"), name, err)
	}
	return a, nil
}

// Of returns the records of a mail server, by its name in the MX record or, if
// that is an alias, by where it leads. None without an error means that DANE
// asks for nothing here: whoever has no signed name has no TLSA record that
// counts, and is not even asked for one, since name servers were seen that do
// not answer. RFC 7672, 2.1 and 2.2.
func (r *Resolver) Of(ctx context.Context, server string) (Records, error) {
	server = strings.ToLower(strings.TrimSuffix(server, "."))
	if net.ParseIP(strings.Trim(server, "[]")) != nil {
		return nil, nil // an address has no name that could be signed
	}
	secure, alias := false, server
	for _, kind := range []Kind{A, AAAA} {
		a, err := r.Look(ctx, server, kind)
		if err != nil {
			return nil, err
		}
		if a.Secure {
			secure, alias = true, a.Name
		}
		if a.Found {
			break
		}
	}
	if !secure {
		return nil, nil
	}
	for _, base := range []string{alias, server} {
		a, err := r.Look(ctx, "_25._tcp."+base, typeTLSA)
		if err != nil {
			return nil, err
		}
		if a.Secure && len(a.tlsa) > 0 {
			return a.tlsa, nil
		}
		if alias == server {
			break
		}
	}
	return nil, nil
}

func (r *Resolver) ask(ctx context.Context, name string, kind Kind) (Answer, error) {
	q, id, question, err := query(name, kind)
	if err != nil {
		return Answer{}, err
	}
	short, cancel := context.WithTimeout(ctx, udpTime)
	b, err := r.exchange(short, "udp", q, id)
	cancel()
	if err == nil {
		var h dnsmessage.Header
		var p dnsmessage.Parser
		if h, err = p.Start(b); err == nil && !h.Truncated {
			return read(b, question)
		}
	}
	// Cut short, or lost on the way.
	if b, err = r.exchange(ctx, "tcp", q, id); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrDNS, err)
	}
	return read(b, question)
}

func query(name string, kind Kind) (packet []byte, id uint16, q dnsmessage.Question, err error) {
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, 0, q, err
	}
	var random [2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, 0, q, err
	}
	id = binary.BigEndian.Uint16(random[:])
	q = dnsmessage.Question{Name: n, Type: kind, Class: dnsmessage.ClassINET}
	// AD in a question says that we understand it in the answer. RFC 6840, 5.7.
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true, AuthenticData: true})
	b.EnableCompression()
	var opt dnsmessage.ResourceHeader
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAdditionals(), opt.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, true),
		b.OPTResource(opt, dnsmessage.OPTResource{})); err != nil {
		return nil, 0, q, err
	}
	packet, err = b.Finish()
	return packet, id, q, err
}

func (r *Resolver) exchange(ctx context.Context, network string, q []byte, id uint16) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, r.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if network == "tcp" {
		q = append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)
	}
	if _, err := c.Write(q); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for {
		n := 0
		if network == "tcp" {
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return nil, err
			}
			if n, err = io.ReadFull(c, buf[:binary.BigEndian.Uint16(size[:])]); err != nil {
				return nil, err
			}
		} else if n, err = c.Read(buf); err != nil {
			return nil, err
		}
		if n >= 2 && binary.BigEndian.Uint16(buf) == id {
			return buf[:n], nil
		}
		if network == "tcp" {
			return nil, errors.New("the answer is to another question")
		}
	}
}

// read takes from an answer what was asked for.
func read(b []byte, q dnsmessage.Question) (a Answer, err error) {
	defer func() {
		if err != nil {
			a, err = Answer{}, fmt.Errorf("%w: %w", ErrDNS, err)
		}
	}()
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return a, err
	}
	asked, err := p.AllQuestions()
	switch {
	case err != nil:
		return a, err
	case len(asked) != 1 || asked[0].Type != q.Type || !strings.EqualFold(asked[0].Name.String(), q.Name.String()):
		return a, errors.New("the answer is to another question")
	case !h.Response || h.Truncated:
		return a, errors.New("no whole answer")
	case h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError:
		// SERVFAIL, which is also what DNSSEC proves false.
		return a, errors.New(h.RCode.String())
	}
	a.Secure = h.AuthenticData
	at := q.Name
	a.Name = host(at)
	for n := 0; ; n++ {
		rh, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		switch {
		case n >= 8*maxRecords:
			return a, errors.New("too many records")
		case rh.Type == dnsmessage.TypeCNAME && strings.EqualFold(rh.Name.String(), at.String()):
			c, err := p.CNAMEResource()
			if err != nil {
				return a, err
			}
			at = c.CNAME
			a.Name = host(at)
			continue
		case rh.Type == q.Type && strings.EqualFold(rh.Name.String(), at.String()):
			a.Found = true
		}
		if rh.Type != typeTLSA || q.Type != typeTLSA || !strings.EqualFold(rh.Name.String(), at.String()) {
			if err := p.SkipAnswer(); err != nil {
				return a, err
			}
			continue
		}
		u, err := p.UnknownResource()
		if err != nil {
			return a, err
		}
		if len(a.tlsa) == maxRecords {
			continue
		}
		// One that is too short is there and cannot be applied: it still asks
		// for TLS.
		r := Record{Usage: 255}
		if len(u.Data) > 3 {
			r = Record{Usage(u.Data[0]), Selector(u.Data[1]), Matching(u.Data[2]), append([]byte(nil), u.Data[3:]...)}
		}
		a.tlsa = append(a.tlsa, r)
	}
}

func host(n dnsmessage.Name) string { return strings.ToLower(strings.TrimSuffix(n.String(), ".")) }
