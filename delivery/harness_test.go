package delivery_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/blob/dir"
	"sekisho/internal/seal"
	"sekisho/internal/smtptest"
	"sekisho/internal/store/sqlite"
	"sekisho/routing"
	"sekisho/spool"
	"sekisho/tenant"
)

// world is a delivery over a real journal and real blobs, with sinks for hops.
type world struct {
	t      testing.TB
	d      *delivery.Delivery
	spool  *spool.Spool
	signer *seal.Signer
	log    *logged
	// patience is how long until waits; zero is 20 s.
	patience time.Duration
	born     time.Time

	mu     sync.Mutex
	offset time.Duration
	dials  []string
	route  map[string]string // address dialled -> where a sink listens
	table  *routing.Table
	notes  string // the file
}

// logged keeps log lines to be looked at.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var town = envelope.TenantID("town")

func addr(s string) envelope.Address {
	a, err := envelope.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

func newWorld(t testing.TB, hops []routing.Hop, routes []routing.Route) *world {
	t.Helper()
	w := &world{t: t, log: &logged{}, route: map[string]string{}}
	folder := t.TempDir()
	var err error
	if w.signer, err = seal.NewSigner(seal.NewSeed()); err != nil {
		t.Fatal(err)
	}
	// The rows have no seals here, so that what delivery itself checks is seen.
	journal, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "j.db"), Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	keys, err := blob.OpenKeyring(t.Context(), filepath.Join(folder, "site.key"), journal)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(w.log, nil))
	w.spool = &spool.Spool{Journal: journal, Blobs: blobs, Keys: keys, Seal: w.signer, Now: w.now, Log: logger}
	w.notes = filepath.Join(folder, "notes")
	w.restarted()
	tenants, err := tenant.New([]tenant.Tenant{{ID: town, Domains: []string{"town.example"}, Profile: "default"}})
	if err != nil {
		t.Fatal(err)
	}
	w.reroute(hops, routes)
	w.d = &delivery.Delivery{
		Spool: w.spool, Tenants: func() *tenant.Directory { return tenants },
		Table: func() *routing.Table {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.table
		},
		Verify: w.signer.Verifier(), Hostname: "mx.town.example", Now: w.now, Log: logger, Dial: w.dial,
		Resolver: nowhere{}, Grace: time.Second,
		Times: delivery.Times{Connect: 5 * time.Second, Command: 5 * time.Second, Block: 5 * time.Second, Final: 5 * time.Second, Look: time.Second},
	}
	return w
}

// restarted reads the notes anew, as the next daemon does.
func (w *world) restarted() {
	w.t.Helper()
	if err := w.spool.Notes.Close(); err != nil {
		w.t.Fatal(err)
	}
	var err error
	if w.spool.Notes, err = spool.OpenNotes(w.notes, w.signer); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) reroute(hops []routing.Hop, routes []routing.Route) {
	w.t.Helper()
	table, err := routing.New(hops, routes, []string{"lg.example"}, nil, []string{"town.example"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table = table
}

// nowhere is a resolver that knows no name, so that no test leaves the machine.
type nowhere struct{}

func (nowhere) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}
func (nowhere) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}
func (nowhere) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.offset)
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offset += d
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dials = append(w.dials, address)
	to, mapped := w.route[address]
	w.mu.Unlock()
	if !mapped {
		to = address
	}
	if host, _, _ := net.SplitHostPort(to); !netip.MustParseAddr(host).IsLoopback() {
		return nil, fmt.Errorf("the test has no route to %s", to)
	}
	var n net.Dialer
	return n.DialContext(ctx, network, to)
}

// counting is dial that counts how often an address was dialled.
func (w *world) counting(address string, n *int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == address {
			w.mu.Lock()
			*n++
			w.mu.Unlock()
		}
		return w.dial(ctx, network, to)
	}
}

func (w *world) dialled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dials)
}

func startSink(t *testing.T, s *smtptest.Sink) *smtptest.Sink {
	t.Helper()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// mail is one message to be queued; change may spoil what is right.
type mail struct {
	zone      envelope.Zone
	treatment envelope.Treatment
	from      envelope.Address
	to        []string
	bytes     string
	networks  []envelope.Network
	change    func(*spool.Entry)
	utf8      bool
	dsn       *envelope.DSN
}

const simple = "From: a@b.example\r\nSubject: x\r\nMessage-ID: <1@b.example>\r\n\r\n.dot\r\nbody\r\n"

// queue puts a message into the journal as the pipeline does.
func (w *world) queue(m mail) envelope.ID {
	w.t.Helper()
	if m.zone == 0 {
		m.zone = envelope.Internet
	}
	if m.bytes == "" {
		m.bytes = simple
	}
	if m.networks == nil {
		m.networks = []envelope.Network{envelope.NetworkLocal}
	}
	ref, digest, err := w.spool.WriteBlob(w.t.Context(), town, func(out io.Writer) error {
		_, err := io.WriteString(out, m.bytes)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	now := w.now()
	e := spool.Entry{State: spool.Queued, Original: ref, Due: now, Networks: m.networks, HeaderLen: int64(strings.Index(m.bytes, "\r\n\r\n") + 4)}
	e.Envelope = envelope.Envelope{
		ID: envelope.NewID(now), Tenant: town, Profile: "default", Zone: m.zone, Treatment: m.treatment, From: m.from,
		Peer: envelope.Peer{Addr: netip.MustParseAddr("192.0.2.7"), Helo: "out.b.example", Protocol: "ESMTPS"},
		Size: int64(len(m.bytes)), Digest: digest, Received: now, MessageID: "<1@b.example>", UTF8: m.utf8,
	}
	in := seal.Intake{Tenant: string(town), ID: string(e.Envelope.ID), Profile: "default", Zone: uint8(m.zone), Treatment: uint8(m.treatment),
		From: m.from.String(), Digest: digest}
	out := seal.Outgoing{Tenant: string(town), ID: string(e.Envelope.ID), Header: sha256.Sum256([]byte(m.bytes[:e.HeaderLen])), Body: sha256.Sum256([]byte(m.bytes[e.HeaderLen:]))}
	switch m.treatment {
	case envelope.Rebuild:
		out.Kind, e.Sanitized = seal.Treated, ref
	case envelope.Pass:
		out.Kind = seal.Passed
	case envelope.Ours:
		out.Kind = seal.Ours
	}
	e.Kind = string(out.Kind)
	for _, n := range m.networks {
		out.Networks = append(out.Networks, uint8(n))
	}
	for _, s := range m.to {
		a := addr(s)
		e.Envelope.To = append(e.Envelope.To, a)
		in.To, out.To = append(in.To, a.String()), append(out.To, a.String())
	}
	e.Pending = slices.Clone(e.Envelope.To)
	e.Intake, e.Seal = w.signer.SealIntake(in), w.signer.SealOutgoing(out)
	if m.dsn != nil {
		e.Envelope.DSN = m.dsn
		w.reseal(&e)
	}
	if m.change != nil {
		m.change(&e)
	}
	if err := w.spool.Insert(w.t.Context(), []spool.Entry{e}, nil); err != nil {
		w.t.Fatal(err)
	}
	return e.Envelope.ID
}

// run delivers until every entry given is settled once: not leased, and either
// not Queued or due later.
func (w *world) run(ids ...envelope.ID) {
	w.t.Helper()
	stop := w.start()
	defer stop()
	w.until("everything is settled", func() bool {
		for _, id := range ids {
			e := w.entry(id)
			if e.State == spool.Queued && !e.Due.After(w.now()) {
				return false
			}
		}
		return true
	})
}

// start runs the delivery; stop ends it and waits.
func (w *world) start() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.d.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	patience := max(w.patience, 20*time.Second)
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after %v it is not so that %s; log:\n%s", patience, what, w.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) entry(id envelope.ID) spool.Entry {
	w.t.Helper()
	e, err := w.spool.Get(w.t.Context(), town, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// spawned lists the entries of our own that came of id, and their text.
func (w *world) spawned(id envelope.ID) (es []spool.Entry, texts []string) {
	w.t.Helper()
	all, err := w.spool.List(w.t.Context(), spool.Filter{Tenant: town, Parent: id})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if e.Parent != id || e.Envelope.Treatment != envelope.Ours {
			continue
		}
		var b bytes.Buffer
		if err := w.spool.CopyChecked(w.t.Context(), e, &b); err != nil {
			w.t.Fatal(err)
		}
		es, texts = append(es, e), append(texts, b.String())
	}
	return es, texts
}

// acts lists the audit's acts about id.
func (w *world) acts(id envelope.ID) (acts, details []string) {
	w.t.Helper()
	rs, err := w.spool.Audit(w.t.Context(), town, 0, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rs {
		if r.ID == string(id) {
			acts, details = append(acts, r.Act), append(details, r.Detail)
		}
	}
	return acts, details
}

// local is the usual world: one hop of network local over the given hosts.
func local(t *testing.T, hosts ...string) *world {
	t.Helper()
	return newWorld(t, []routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: hosts}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}})
}

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// authority is a test CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return newAuthorityAt(t, time.Now())
}

func newAuthorityAt(t *testing.T, now time.Time) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(365 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// server is a configuration with a certificate for 127.0.0.1 and the names given.
func (a *authority) server(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	return a.serverAt(t, time.Now(), names...)
}

// serverAt is server with a certificate that lives for an hour from now on.
func (a *authority) serverAt(t *testing.T, now time.Time, names ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// queueTo queues for an address that no parser would let through.
func (w *world) queueTo(m mail, a envelope.Address) envelope.ID {
	w.t.Helper()
	m.to = nil
	m.change = func(e *spool.Entry) {
		e.Envelope.To, e.Pending = []envelope.Address{a}, []envelope.Address{a}
		w.reseal(e)
	}
	return w.queue(m)
}

// reseal makes both seals good again for what e says now.
func (w *world) reseal(e *spool.Entry) {
	w.t.Helper()
	v := &e.Envelope
	in := seal.Intake{Tenant: string(v.Tenant), ID: string(v.ID), Profile: string(v.Profile), Zone: uint8(v.Zone), Treatment: uint8(v.Treatment),
		From: v.From.String(), Digest: v.Digest}
	out := seal.Outgoing{Tenant: string(v.Tenant), ID: string(v.ID), Kind: seal.Kind(e.Kind)}
	for _, a := range v.To {
		in.To, out.To = append(in.To, a.String()), append(out.To, a.String())
	}
	// As package spool writes it.
	if d := v.DSN; d != nil {
		in.Asked = []string{fmt.Sprintf("dsn %q %q", d.Return, d.EnvID)}
		for _, r := range d.To {
			in.Asked = append(in.Asked, fmt.Sprintf("to %q %d %q", r.To.String(), r.Notify, r.Original))
		}
	}
	if v.RequireTLS {
		in.Asked = append(in.Asked, "requiretls")
	}
	for _, n := range e.Networks {
		out.Networks = append(out.Networks, uint8(n))
	}
	ref := e.Original
	if !e.Sanitized.IsZero() {
		ref = e.Sanitized
	}
	r, err := w.spool.Open(w.t.Context(), v.Tenant, ref)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, r.Size())
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, r.Size()), b); err != nil {
		w.t.Fatal(err)
	}
	out.Header, out.Body = sha256.Sum256(b[:e.HeaderLen]), sha256.Sum256(b[e.HeaderLen:])
	e.Intake, e.Seal = w.signer.SealIntake(in), w.signer.SealOutgoing(out)
}
