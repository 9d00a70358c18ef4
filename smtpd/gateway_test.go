package smtpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// tightBlobs is a store whose disk can be told to be full, or to fail.
type tightBlobs struct {
	blob.Store
	full, broken atomic.Bool
}

func (b *tightBlobs) Free(ctx context.Context) (int64, int64, error) {
	if b.full.Load() {
		return 100 << 20, 50, nil
	}
	return b.Store.Free(ctx)
}

func (b *tightBlobs) Create(ctx context.Context) (blob.Writer, error) {
	w, err := b.Store.Create(ctx)
	if err == nil && b.broken.Load() {
		w = brokenWriter{w}
	}
	return w, err
}

type brokenWriter struct{ blob.Writer }

func (brokenWriter) Commit() error { return errors.New("input/output error") }

// gateway is a whole receiving side: real sockets, real custody.
type gateway struct {
	*Server
	spool *spool.Spool
	blobs *tightBlobs
	log   *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func openSpool(t testing.TB) (*spool.Spool, *tightBlobs) {
	t.Helper()
	folder := t.TempDir()
	ctx := context.Background()
	signer, err := seal.NewSigner(seal.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	journal, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(folder, "journal.db"), Seal: signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	files, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := blob.OpenKeyring(ctx, filepath.Join(folder, "site.key"), journal)
	if err != nil {
		t.Fatal(err)
	}
	blobs := &tightBlobs{Store: files}
	return &spool.Spool{Journal: journal, Blobs: blobs, Keys: keys, Seal: signer, MinFree: 200 << 20}, blobs
}

func testDirectory(t testing.TB, one bool) (*tenant.Directory, *routing.Table) {
	t.Helper()
	var lines []tenant.Line
	for _, name := range []string{"soumu", "kikaku", "tanaka"} {
		lines = append(lines, tenant.Line{Address: envelope.Address{Local: name, Domain: "town.example"}})
	}
	listed := tenant.FixedRecipients(tenant.NewList(lines))
	ts := []tenant.Tenant{{
		ID: "town", Domains: []string{"town.example"}, Profile: "default", Recipients: listed,
		Administrators: []envelope.Address{{Local: "admin", Domain: "town.example"}},
	}}
	domains := []string{"town.example"}
	if !one {
		ts = append(ts, tenant.Tenant{ID: "village", Domains: []string{"village.example"}, Profile: "strict"})
		domains = append(domains, "village.example")
	}
	d, err := tenant.New(ts)
	if err != nil {
		t.Fatal(err)
	}
	table, err := routing.New([]routing.Hop{
		{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{"127.0.0.1:1"}},
		{Name: "relay", Network: envelope.NetworkLGWAN, Hosts: []string{"127.0.0.1:2"}},
		{Name: "internet", Network: envelope.NetworkInternet, MX: true},
	}, []routing.Route{
		{Domain: "town.example", Hop: "town-mail"},
		{Domain: "village.example", Hop: "town-mail"},
		{Domain: "lg.jp", Subdomains: true, Hop: "relay"},
		{Domain: "*", Hop: "internet"},
	}, []string{"lg.jp"}, nil, domains)
	if err != nil {
		t.Fatal(err)
	}
	return d, table
}

// newGateway starts a server with one listener per zone on loopback.
func newGateway(t testing.TB, cert *tls.Certificate, change func(*Server)) *gateway {
	t.Helper()
	d, table := testDirectory(t, false)
	sp, blobs := openSpool(t)
	g := &gateway{spool: sp, blobs: blobs, log: new(syncBuffer)}
	var crt *tls.Config
	if cert != nil {
		crt = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	limits := DefaultLimits()
	limits.GreetingPause = 0
	any := []string{"127.0.0.1:0"}
	g.Server = &Server{
		Hostname: "mx.town.example",
		Listeners: []ListenerConfig{
			{Name: "mx", Zone: envelope.Internet, Listen: any, TLS: crt},
			{Name: "inside", Zone: envelope.LGWAN, Listen: any, TLS: crt, Networks: loopback},
			{Name: "lgwan-ss", Zone: envelope.LGWAN, Listen: any, TLS: crt, Networks: loopback, TenantsOnly: true},
			{Name: "office", Zone: envelope.InternetSegment, Listen: any, TLS: crt, Networks: loopback},
		},
		Limits:  limits,
		Spool:   sp,
		Tenants: func() *tenant.Directory { return d },
		Table:   func() *routing.Table { return table },
		Log:     slog.New(slog.NewJSONHandler(g.log, nil)),
	}
	if change != nil {
		change(g.Server)
	}
	if err := g.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return g
}

func (g *gateway) dial(t testing.TB, listener string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", g.Addrs(listener)[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (g *gateway) entries(t testing.TB) []spool.Entry {
	t.Helper()
	es, err := g.spool.List(context.Background(), spool.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func (g *gateway) messages(t testing.TB) []smtptest.Message {
	t.Helper()
	var ms []smtptest.Message
	for _, e := range g.entries(t) {
		m := smtptest.Message{From: e.Envelope.From.String()}
		for _, a := range e.Envelope.To {
			m.To = append(m.To, a.String())
		}
		var b bytes.Buffer
		if err := g.spool.CheckIntake(e); err != nil {
			t.Fatal(err)
		}
		if err := g.spool.CopyChecked(context.Background(), e, &b); err != nil {
			t.Fatal(err)
		}
		m.Data = b.Bytes()
		ms = append(ms, m)
	}
	return ms
}
