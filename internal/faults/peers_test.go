package faults

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// long reports whether the peers come in the numbers of the design.
func long(t *testing.T) bool { return setting(t, "SEKISHO_PEERS", 0) > 0 }

// change rewrites the configuration before the start.
func (g *gateway) change(old, new string) {
	g.t.Helper()
	b, err := os.ReadFile(g.file)
	if err != nil {
		g.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		g.t.Fatalf("%q is not in the configuration", old)
	}
	if err := os.WriteFile(g.file, []byte(strings.Replace(string(b), old, new, 1)), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// peer is a connection that is watched until the gateway closes it.
type peer struct {
	from string
	c    net.Conn
	mu   sync.Mutex
	said string    // by the gateway, last line
	at   time.Time // when it closed; zero while it has not
}

func (p *peer) ended() (string, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said, p.at
}

func (p *peer) watch(r *bufio.Reader) {
	for {
		l, err := r.ReadString('\n')
		p.mu.Lock()
		if l != "" {
			p.said = strings.TrimSpace(l)
		}
		if err != nil {
			p.at = time.Now()
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
}

// connect opens a connection from a loopback address and reads the greeting.
func (g *gateway) connect(from string) (*peer, *bufio.Reader, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second}
	c, err := d.Dial("tcp", g.addr)
	if err != nil {
		return nil, nil, err
	}
	p := &peer{from: from, c: c}
	// What thousands read costs the test's own memory.
	r := bufio.NewReaderSize(c, 256)
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	l, err := r.ReadString('\n')
	p.said = strings.TrimSpace(l)
	_ = c.SetReadDeadline(time.Time{})
	if err != nil {
		c.Close()
		return p, nil, err
	}
	return p, r, nil
}

// talk sends lines one by one and returns the last answer's last line.
func talk(c net.Conn, r *bufio.Reader, lines ...string) (string, error) {
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	defer c.SetDeadline(time.Time{})
	last := ""
	for _, line := range lines {
		if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
			return last, err
		}
		for {
			l, err := r.ReadString('\n')
			if err != nil {
				return last, err
			}
			last = strings.TrimSpace(l)
			if len(l) > 3 && l[3] == ' ' {
				break
			}
		}
	}
	return last, nil
}

// crowd is many peers.
type crowd struct {
	g   *gateway
	mu  sync.Mutex
	all []*peer
	no  map[string]int // what those who were not greeted were told
}

// come opens one connection from each of the addresses, many at a time.
func (c *crowd) come(from []string, then func(*peer, *bufio.Reader)) {
	if c.no == nil {
		c.no = map[string]int{}
	}
	next := make(chan string)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			for a := range next {
				p, r, err := c.g.connect(a)
				c.mu.Lock()
				switch {
				case err != nil && p == nil:
					c.no["connection"]++
				case err != nil || !strings.HasPrefix(p.said, "220"):
					c.no[p.said]++
					p.c.Close()
				default:
					c.all = append(c.all, p)
					go func() {
						if then != nil {
							then(p, r)
						}
						p.watch(r)
					}()
				}
				c.mu.Unlock()
			}
		})
	}
	for _, a := range from {
		next <- a
	}
	close(next)
	wg.Wait()
}

// open counts those that are still connected, by network.
func (c *crowd) open() (n int, nets map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nets = map[string]int{}
	for _, p := range c.all {
		if _, at := p.ended(); at.IsZero() {
			n++
			nets[p.from[:strings.LastIndexByte(p.from, '.')]]++
		}
	}
	return n, nets
}

// told counts the last words of those that were closed.
func (c *crowd) told() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := map[string]int{}
	for _, p := range c.all {
		if said, at := p.ended(); !at.IsZero() {
			m[said]++
		}
	}
	return m
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		p.c.Close()
	}
}

// healthy measures n dialogues of a well-behaved peer: its EHLO, and a whole
// message from connecting to 250.
func (g *gateway) healthy(n int) (ehlo, accept []time.Duration) {
	g.t.Helper()
	for range n {
		p, r, err := g.connect("127.0.0.1")
		if err != nil {
			g.t.Errorf("a healthy peer: %v", err)
			return
		}
		began := time.Now()
		last, err := talk(p.c, r, "EHLO client.example")
		if err != nil || !strings.HasPrefix(last, "250") {
			g.t.Errorf("a healthy peer: %q, %v", last, err)
		}
		ehlo = append(ehlo, time.Since(began))
		p.c.Close()
		began = time.Now()
		if reply := g.one(); !strings.HasPrefix(reply, "250") {
			g.t.Errorf("a healthy peer's message: %q", reply)
		}
		accept = append(accept, time.Since(began))
	}
	return ehlo, accept
}

// quantile is the p-th of a hundred.
func quantile(ds []time.Duration, p int) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(ds))
	return s[min(len(s)*p/100, len(s)-1)]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (g *gateway) figures(v map[string]any) {
	g.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Logf("%s", b)
}

// addresses are networks*hosts*each addresses 127.first+N.0... as 127.0.N.2 and on.
func addresses(second, networks, hosts, each int) []string {
	var as []string
	for range each {
		for h := range hosts {
			for n := range networks {
				as = append(as, fmt.Sprintf("127.%d.%d.%d", second, n, h+2))
			}
		}
	}
	return as
}

// TestIdlePeersDoNotCloseTheGateway is FT-13: 10,000 idle connections, then on
// to the cap. The short form has a cap of 720 instead of 12,000; times are
// judged in the long form alone.
func TestIdlePeersDoNotCloseTheGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	// So few slow ones that nobody is cut for them: without 25 of the idle a
	// network that keeps its share leaves no stress behind, and may fill up again.
	each, greedy, probes, slowly, patience := 3, 150, 20, 15, 25*time.Second
	limits := "limits: { connections: 720, connections_per_address: 3, command_time: 15s }"
	if long(t) {
		each, greedy, probes, slowly, patience = 50, 2500, 200, 25, 330*time.Second
		limits = "limits: { connections: 12000 }"
	} else {
		t.Parallel()
	}
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), limits)
	g.boot()
	g.healthy(20) // warm
	base := g.usage()
	_, before := g.healthy(probes)

	idle := &crowd{g: g}
	defer idle.leave()
	all := addresses(0, 20, 10, each)
	first := len(all) / 5
	idle.come(all[:first], nil)
	at2000 := g.usage()
	idle.come(all[first:], nil)
	n, _ := idle.open()
	if n != len(all) {
		t.Fatalf("%d of %d idle peers are connected; refused: %v, closed: %v", n, len(all), idle.no, idle.told())
	}
	full := g.usage()
	ehlo, accept := g.healthy(probes)

	// One more from an address that has its share.
	p, r, err := g.connect("127.0.0.2")
	if p == nil || !strings.HasPrefix(p.said, "421 4.7.0") {
		t.Errorf("one connection too many of an address: %+v, %v", p, err)
	}
	if r != nil {
		p.c.Close()
	}

	// A thousand that send a byte a second, for the time it takes to measure.
	slow := &crowd{g: g}
	defer slow.leave()
	slow.come(addresses(1, 4, slowly, max(each/5, 1)), func(p *peer, r *bufio.Reader) {
		go func() {
			for {
				if _, err := p.c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
	})
	besides, _ := slow.open()
	ehloSlow, acceptSlow := g.healthy(probes)
	slow.leave()
	g.await("the slow peers to go", 10*time.Second, func() bool { n, _ := slow.open(); return n == 0 })

	// On to the cap, from one network.
	many := &crowd{g: g}
	defer many.leave()
	greed := addresses(2, 1, 250, greedy/250+1)[:greedy]
	began := time.Now()
	stayed, _ := idle.open()
	many.come(greed, nil)
	share := 72
	if long(t) {
		share = 1200
	}
	// Who was cut is told at once; we may read it a moment later. Long before
	// the idle go by themselves.
	network := 0
	for range 250 {
		_, nets := many.open()
		if network = nets["127.2.0"]; network <= share {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	elsewhere, r2, err := g.connect("127.3.0.2")
	if err != nil {
		t.Errorf("a peer from elsewhere: %v", err)
	} else {
		if last, err := talk(elsewhere.c, r2, "EHLO client.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example.lg.jp>", "RSET"); err != nil || last[:3] != "250" {
			t.Errorf("a peer from elsewhere: %q, %v", last, err)
		}
		elsewhere.c.Close()
	}
	if network > share {
		t.Errorf("one network holds %d connections, its share is %d", network, share)
	}
	if len(many.no) == 0 && len(many.told()) == 0 && stayed >= len(all) {
		t.Error("the cap was reached and nobody was refused or cut")
	}
	cut := idle.told()

	// All idle go when their time is over.
	g.await("the idle peers to go", patience, func() bool { n, _ := idle.open(); return n == 0 })
	gone := time.Since(began)
	last := idle.told()
	for said := range last {
		if !strings.HasPrefix(said, "421 ") {
			t.Errorf("last words %q", said)
		}
	}
	many.leave()
	g.await("the connections to be closed", 20*time.Second, func() bool { return g.usage().fds < base.fds+100 })
	g.figures(map[string]any{"test": "FT-13", "idle": len(all),
		"rss_mib":          []int64{base.rss >> 20, at2000.rss >> 20, full.rss >> 20},
		"kib_a_connection": (full.rss - base.rss) / int64(len(all)) >> 10,
		"at_a_fifth":       first,
		"grown_at_a_fifth": (at2000.rss - base.rss) >> 20,
		"ehlo_p99_ms":      millis(quantile(ehlo, 99)),
		"slow":             besides,
		"ehlo_p99_slow_ms": millis(quantile(ehloSlow, 99)),
		"accept_p95_ms":    []float64{millis(quantile(before, 95)), millis(quantile(accept, 95)), millis(quantile(acceptSlow, 95))},
		"greedy":           greedy, "network_holds": network, "refused": many.no, "greedy_closed": many.told(),
		"idle_open_before_cap": stayed, "idle_cut": cut, "idle_gone_s": int(gone.Seconds())})
	if !long(t) {
		return
	}
	if grown := (full.rss - base.rss) >> 20; grown > 300 {
		t.Errorf("10,000 idle connections cost %d MiB, wanted at most 300", grown)
	}
	if grown := (at2000.rss - base.rss) >> 20; grown > 60 {
		t.Errorf("2,000 connections cost %d MiB, wanted at most 60", grown)
	}
	if d := quantile(ehlo, 99); d > 50*time.Millisecond {
		t.Errorf("EHLO p99 %v beside 10,000 idle", d)
	}
	if d := quantile(ehloSlow, 99); d > 50*time.Millisecond {
		t.Errorf("EHLO p99 %v beside 10,000 idle and %d slow", d, besides)
	}
	if a, b := quantile(before, 95), quantile(accept, 95); b > 2*a {
		t.Errorf("accept p95 %v, %v before", b, a)
	}
}

// writeCertificate makes a certificate of the test's own.
func writeCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.town.example.lg.jp"},
		NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"mx.town.example.lg.jp"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: kb}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestSlowPeersAreCutInEveryPhase is FT-14: peers that send a byte a second
// before the greeting, in a command, in a message and in a TLS handshake. The
// long form has 1,000 of them, without stress and with it.
func TestSlowPeersAreCutInEveryPhase(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	if !long(t) {
		t.Parallel()
		t.Run("stress", func(t *testing.T) { slowPeers(t, 100, "limits: { connections: 83, near_cap: 100% }", 15*time.Second) })
		return
	}
	t.Run("plain", func(t *testing.T) { slowPeers(t, 1000, "", 330*time.Second) })
	t.Run("stress", func(t *testing.T) { slowPeers(t, 1000, "limits: { connections: 830, near_cap: 100% }", 15*time.Second) })
}

func slowPeers(t *testing.T, n int, limits string, within time.Duration) {
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), limits)
	cert, key := writeCertificate(t, g.dir)
	g.change(`peers: ["127.0.0.1"]`, fmt.Sprintf(`peers: ["127.0.0.1"], tls: { cert: %q, key: %q }`, cert, key))
	g.boot()
	g.healthy(20)
	_, before := g.healthy(50)
	drip := func(p *peer) {
		for {
			if _, err := p.c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	phases := []string{"banner", "command", "data", "handshake"}
	begun := map[string]int{}
	var mu sync.Mutex
	c := &crowd{g: g}
	defer c.leave()
	began := time.Now()
	as := addresses(4, 20, 25, n/500+1)[:n]
	// Before the greeting a byte is early talk: who sends one then does not
	// come to be a crowd.
	var early sync.WaitGroup
	tooEarly := 0
	for i := range n / 4 {
		early.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.5.%d.%d", i/200, i%200+2))}}
			conn, err := d.Dial("tcp", g.addr)
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte("x"))
			_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
			if l, _ := bufio.NewReader(conn).ReadString('\n'); strings.HasPrefix(l, "554 5.5.1") || strings.HasPrefix(l, "421") {
				mu.Lock()
				tooEarly++
				mu.Unlock()
			}
		})
	}
	early.Wait()
	if tooEarly != n/4 {
		t.Errorf("%d of %d who talked before the greeting were told so", tooEarly, n/4)
	}
	var k int
	c.come(as[:n*3/4], func(p *peer, r *bufio.Reader) {
		mu.Lock()
		phase := phases[1+k%3]
		k++
		mu.Unlock()
		var err error
		switch phase {
		case "data":
			_, err = talk(p.c, r, "EHLO slow.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example.lg.jp>", "DATA")
		case "handshake":
			if _, err = talk(p.c, r, "EHLO slow.example", "STARTTLS"); err == nil {
				// The beginning of a record of TLS, and then slowly on.
				_, err = p.c.Write([]byte("\x16\x03\x01\x40\x00"))
			}
		}
		if err == nil {
			mu.Lock()
			begun[phase]++
			mu.Unlock()
			go drip(p)
		}
	})
	mid := time.Now()
	_, during := g.healthy(50)
	g.await("all slow peers to be cut", within+10*time.Second, func() bool { n, _ := c.open(); return n == 0 })
	var longest time.Duration
	for _, p := range c.all {
		if _, at := p.ended(); at.Sub(mid) > longest {
			longest = at.Sub(mid)
		}
	}
	if longest > within {
		t.Errorf("the last was cut after %v, wanted %v", longest, within)
	}
	for _, phase := range phases[1:] {
		if begun[phase] == 0 {
			t.Errorf("nobody was slow in phase %s", phase)
		}
	}
	g.await("the connections to be closed", 20*time.Second, func() bool { return g.usage().fds < 200 })
	g.figures(map[string]any{"test": "FT-14", "slow": n, "early": tooEarly, "begun": begun, "told": c.told(),
		"last_cut_s": longest.Seconds(), "accept_p95_ms": []float64{millis(quantile(before, 95)), millis(quantile(during, 95))}, "seconds": int(time.Since(began).Seconds())})
	if a, b := quantile(before, 95), quantile(during, 95); long(t) && b > 2*a {
		t.Errorf("accept p95 %v, %v before", b, a)
	}
}
