package dane

import (
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sekisho/internal/dnstest"
)

func server(t testing.TB, zone string) (*dnstest.Server, *Resolver) {
	t.Helper()
	s, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, &Resolver{Addr: s.Addr}
}

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// RFC 7672, 2.1.3 and 2.2.2: where the records of a server are looked for.
func TestRecordsOfAServer(t *testing.T) {
	long := ""
	for range 60 {
		long += "_25._tcp.long.example. 60 IN TLSA 3 1 1 " + sum + "\n"
	}
	s, r := server(t, `
plain.example.            60 IN A 192.0.2.1
_25._tcp.plain.example.   60 IN TLSA 3 1 1 `+sum+`
six.example.              60 IN AAAA 2001:db8::1
_25._tcp.six.example.     60 IN TLSA 3 1 1 `+sum+`
alias.example.            60 IN CNAME target.example.
target.example.           60 IN A 192.0.2.1
_25._tcp.target.example.  60 IN TLSA 2 0 1 `+sum+`
_25._tcp.alias.example.   60 IN TLSA 3 1 1 `+sum+`
other.example.            60 IN CNAME bare.example.
bare.example.             60 IN A 192.0.2.1
_25._tcp.other.example.   60 IN TLSA 3 1 1 `+sum+`
astray.example.           60 IN CNAME unsigned.test.
unsigned.test.            60 IN A 192.0.2.1
_25._tcp.astray.example.  60 IN TLSA 3 1 1 `+sum+`
dname.example.            60 IN A 192.0.2.1
_25._tcp.dname.example.   60 IN CNAME shared.example.
shared.example.           60 IN TLSA 3 1 1 `+sum+`
none.example.             60 IN A 192.0.2.1
loop.example.             60 IN CNAME pool.example.
pool.example.             60 IN CNAME loop.example.
long.example.             60 IN A 192.0.2.1
`+long)
	s.Sign("example")
	for name, want := range map[string]Usage{"plain": EE, "PLAIN": EE, "six": EE, "alias": TA, "other": EE, "astray": 0, "dname": EE, "none": 0, "loop": 0, "long": EE, "gone": 0} {
		rs, err := r.Of(t.Context(), name+".example.")
		got := Usage(0)
		if len(rs) > 0 {
			got = rs[0].Usage
		}
		if err != nil || got != want || len(rs) > maxRecords {
			t.Errorf("%s: usage %d of %d, %v; want %d", name, got, len(rs), err, want)
		}
	}
	if rs, err := r.Of(t.Context(), "192.0.2.1"); rs != nil || err != nil {
		t.Errorf("an address: %v, %v", rs, err)
	}
	// Nobody asks below a name that is not signed.
	if rs, err := r.Of(t.Context(), "unsigned.test"); rs != nil || err != nil || s.Asked("_25._tcp.unsigned.test") != 0 {
		t.Errorf("unsigned: %v, %v, asked %d times", rs, err, s.Asked("_25._tcp.unsigned.test"))
	}
	for _, name := range []string{"plain.example", "_25._tcp.six.example"} {
		s.Fail(name)
	}
	for _, name := range []string{"plain.example", "six.example"} {
		if rs, err := r.Of(t.Context(), name); !errors.Is(err, ErrDNS) || rs != nil {
			t.Errorf("%s fails: %v, %v", name, rs, err)
		}
	}
	s.Silence(true)
	if _, err := r.Of(t.Context(), "none.example"); err == nil {
		t.Error("silence is an answer")
	}
	s.Close()
	if _, err := r.Of(t.Context(), "none.example"); !errors.Is(err, ErrDNS) {
		t.Errorf("nobody there: %v", err)
	}
	for _, name := range []string{strings.Repeat("a", 64) + ".example", "a..example", strings.Repeat("a.", 200) + "example"} {
		if rs, err := r.Of(t.Context(), name); err == nil || rs != nil {
			t.Errorf("%q: %v", name, rs)
		}
	}
}

func TestWhatCannotBeAppliedIsNotUsable(t *testing.T) {
	for _, c := range []struct {
		r    Record
		want bool
	}{
		{Record{EE, SPKI, SHA256, make([]byte, 32)}, true},
		{Record{TA, Cert, SHA512, make([]byte, 64)}, true},
		{Record{0, SPKI, SHA256, make([]byte, 32)}, false},
		{Record{1, SPKI, SHA256, make([]byte, 32)}, false},
		{Record{255, 0, 0, nil}, false},
		{Record{EE, 2, SHA256, make([]byte, 32)}, false},
		{Record{EE, SPKI, 3, make([]byte, 32)}, false},
		{Record{EE, SPKI, SHA256, make([]byte, 31)}, false},
		{Record{EE, SPKI, SHA512, make([]byte, 32)}, false},
		{Record{EE, SPKI, Full, []byte("no key")}, false},
		{Record{TA, Cert, Full, []byte("no certificate")}, false},
		{Record{}, false},
	} {
		if got := c.r.Usable(); got != c.want || (Records{c.r}).Usable() != c.want {
			t.Errorf("%+v: %v", c.r, got)
		}
	}
	if (Records{}).Usable() {
		t.Error("none is usable")
	}
	if err := (Records{}).Verify([]*x509.Certificate{{}}, nil, time.Now()); !errors.Is(err, ErrNoMatch) {
		t.Errorf("no record verifies: %v", err)
	}
	if err := (Records{{EE, SPKI, SHA256, make([]byte, 32)}}).Verify(nil, nil, time.Now()); err == nil {
		t.Error("no certificate verifies")
	}
}

// FuzzAnswer reads what a name server might send. Whatever it is, records come
// of a whole answer to this very question alone, and never more than a few.
func FuzzAnswer(f *testing.F) {
	_, _, q, err := query("_25._tcp.mx.example", typeTLSA)
	if err != nil {
		f.Fatal(err)
	}
	answer := func(h dnsmessage.Header, name string, data []byte) []byte {
		b := dnsmessage.NewBuilder(nil, h)
		n := dnsmessage.MustNewName(name)
		if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers(),
			b.UnknownResource(dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET}, dnsmessage.UnknownResource{Type: typeTLSA, Data: data})); err != nil {
			f.Fatal(err)
		}
		p, err := b.Finish()
		if err != nil {
			f.Fatal(err)
		}
		return p
	}
	whole := dnsmessage.Header{Response: true, AuthenticData: true}
	f.Add(answer(whole, "_25._tcp.mx.example.", append([]byte{3, 1, 1}, make([]byte, 32)...)))
	f.Add(answer(whole, "elsewhere.example.", append([]byte{3, 1, 1}, make([]byte, 32)...)))
	f.Add(answer(whole, "_25._tcp.mx.example.", []byte{3, 1}))
	f.Add(answer(dnsmessage.Header{Response: true, Truncated: true}, "_25._tcp.mx.example.", nil))
	f.Add(answer(dnsmessage.Header{Response: true, RCode: dnsmessage.RCodeServerFailure}, "_25._tcp.mx.example.", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := read(b, q)
		if err != nil && (a.Secure || a.Found || a.tlsa != nil) {
			t.Fatalf("%+v beside %v", a, err)
		}
		if len(a.tlsa) > maxRecords || len(a.tlsa) > 0 && !a.Found {
			t.Fatalf("%d records", len(a.tlsa))
		}
		var p dnsmessage.Parser
		h, perr := p.Start(b)
		if err == nil && (perr != nil || !h.Response || h.Truncated || a.Secure && !h.AuthenticData) {
			t.Fatalf("%+v of %+v", a, h)
		}
		_ = a.tlsa.Usable()
		_ = net.JoinHostPort(a.Name, "25")
	})
}
