package faults

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestIdlePeersUnderTLSStaySmall opens connections that say EHLO, STARTTLS and
// EHLO and then nothing. The long form has 2,000 of them and then 10,000, and
// judges what they cost.
func TestIdlePeersUnderTLSStaySmall(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	steps := []int{300}
	if long(t) {
		steps = []int{2000, 10_000}
	} else {
		t.Parallel()
	}
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), "limits: { connections: 12000 }")
	cert, key := writeCertificate(t, g.dir)
	g.change(`peers: ["127.0.0.1"]`, fmt.Sprintf(`peers: ["127.0.0.1"], tls: { cert: %q, key: %q }`, cert, key))
	g.boot()
	g.healthy(20) // warm
	base := g.usage()
	idle := &crowd{g: g}
	defer idle.leave()
	all := addresses(0, 20, 10, 50)
	came := 0
	for _, n := range steps {
		var secured sync.WaitGroup
		var mu sync.Mutex
		failed := map[string]int{}
		secured.Add(n - came)
		idle.come(all[came:n], func(p *peer, r *bufio.Reader) {
			defer secured.Done()
			_, err := talk(p.c, r, "EHLO client.example", "STARTTLS")
			if err == nil {
				s := tls.Client(p.c, &tls.Config{InsecureSkipVerify: true})
				_ = p.c.SetDeadline(time.Now().Add(60 * time.Second))
				if err = s.Handshake(); err == nil {
					_, err = talk(s, bufio.NewReaderSize(s, 256), "EHLO client.example")
				}
			}
			if err != nil {
				mu.Lock()
				failed[err.Error()]++
				mu.Unlock()
			}
		})
		if len(idle.no) > 0 {
			t.Fatalf("refused: %v", idle.no)
		}
		secured.Wait()
		came = n
		if open, _ := idle.open(); open != n || len(failed) > 0 {
			t.Fatalf("%d of %d are connected; failed: %v; closed: %v", open, n, failed, idle.told())
		}
		// The handshakes over, it gives back what they needed in a quiet second.
		peak := g.usage()
		u := peak
		for range 10 {
			time.Sleep(time.Second)
			if now := g.usage(); now.rss < u.rss {
				u = now
			}
		}
		each := (u.rss - base.rss) / int64(n) >> 10
		g.figures(map[string]any{"test": "idle under TLS", "idle": n, "rss_mib": []int64{base.rss >> 20, peak.rss >> 20, u.rss >> 20}, "kib_a_connection": each})
		// What the number of connections is reckoned by where memory is short.
		if long(t) && each > 48 {
			t.Errorf("a connection under TLS costs %d KiB, wanted at most 48", each)
		}
		if more := u.rss - base.rss; n == 2000 && more > 60<<20 {
			t.Errorf("2,000 connections under TLS cost %d MiB, wanted at most 60", more>>20)
		}
	}
}
