package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/smtptest"
)

// TestKillLosesNothingAcknowledged kills the daemon at random instants under
// load. Every 250 is written to a journal of the sender's own, and synced,
// before it counts. At the end each of them must have arrived or be held.
//
// SEKISHO_KILLS says how often (default 5), SEKISHO_SEED replays a run.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	kills := 5
	if s := os.Getenv("SEKISHO_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEKISHO_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d, %d kills", seed, kills)

	dir := t.TempDir()
	var sink smtptest.Sink
	if err := sink.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	port := freePort(t)
	file := filepath.Join(dir, "sekisho.yaml")
	text := strings.ReplaceAll(minimal, "127.0.0.1:0", port)
	text = strings.ReplaceAll(text, `listen: ["`+port+`"]`, `listen: ["`+port+`"], peers: ["127.0.0.1"]`)
	text = strings.ReplaceAll(text, "127.0.0.1:2600", sink.Addr())
	text += fmt.Sprintf("data_dir: %s/data\nmetrics: { listen: '' }\n", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	acks, err := os.Create(filepath.Join(dir, "acknowledged"))
	if err != nil {
		t.Fatal(err)
	}
	defer acks.Close()

	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var sent atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var senders sync.WaitGroup
	for range 4 {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for ctx.Err() == nil {
				n := sent.Add(1)
				token := fmt.Sprintf("token-%06d", n)
				m := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: token, Text: token + "\n"}
				if n%7 == 0 { // held as a whole
					m.Files = []corpus.Attachment{{Name: "x.exe", Media: "application/octet-stream", Data: corpus.Program()}}
				}
				if n%5 == 0 { // a part kept back
					m.Files = []corpus.Attachment{{Name: "x.pdf", Media: "application/pdf", Data: corpus.PDF()}}
				}
				reply, err := sendMail(port, "a@partner.example", []string{"soumu@town.example.lg.jp"}, m.Bytes())
				if err != nil || !strings.HasPrefix(reply, "250") {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				mu.Lock()
				fmt.Fprintln(acks, token)
				err = acks.Sync()
				acknowledged[token] = true
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}

	boot := func() (*exec.Cmd, *watchedLog) {
		log := newWatchedLog()
		g := exec.Command(filepath.Join(binaries, "sekishod"), "--config", file)
		g.Stderr = log
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		if err := log.wait("started", 30*time.Second); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		return g, log
	}
	for range kills {
		g, _ := boot()
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		_ = g.Process.Kill()
		_ = g.Wait()
	}
	g, log := boot()
	time.Sleep(300 * time.Millisecond)
	cancel()
	senders.Wait()
	defer func() {
		_ = g.Process.Kill()
		_ = g.Wait()
	}()

	cli := func(args ...string) string {
		c := exec.Command(filepath.Join(binaries, "sekisho"), append([]string{"--socket", filepath.Join(dir, "data", "admin.sock")}, args...)...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("sekisho %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	// Entries that were in hand at a kill come back at once; the rest drains at
	// the machine's speed.
	deadline := time.Now().Add(5 * time.Minute)
	for cli("queue", "list", "--json") != "" {
		if time.Now().After(deadline) {
			t.Fatalf("the queue does not drain\n%s\n%s", cli("queue", "list"), log)
		}
		time.Sleep(200 * time.Millisecond)
	}
	where := map[string]int{}
	tokens := regexp.MustCompile(`token-\d{6}`)
	for _, m := range sink.Delivered() {
		if bytes.Contains(m.Data, []byte(corpus.Macro)) {
			t.Errorf("something active was delivered")
		}
		where[string(tokens.Find(m.Data))]++
	}
	held := map[string]bool{}
	for _, l := range strings.Split(strings.TrimSpace(cli("quarantine", "list", "--json")), "\n") {
		var e struct {
			Subject string
			Parts   []string
		}
		if l == "" {
			continue
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		if len(e.Parts) == 0 {
			held[e.Subject] = true
		}
	}
	lost, twice := 0, 0
	for token := range acknowledged {
		switch n := where[token]; {
		case n > 0 && held[token]:
			t.Errorf("%s was delivered and is held as a whole", token)
		case n == 0 && !held[token]:
			lost++
			t.Errorf("%s was acknowledged and is lost", token)
		case n > 1:
			twice++
		}
	}
	t.Logf(`{"test":"kill","seed":%d,"kills":%d,"acknowledged":%d,"delivered":%d,"held":%d,"twice":%d,"lost":%d}`,
		seed, kills, len(acknowledged), len(where), len(held), twice, lost)
	if len(acknowledged) < kills {
		t.Errorf("only %d messages were acknowledged: the test has tested nothing", len(acknowledged))
	}
	if !strings.Contains(cli("audit", "verify"), "whole") {
		t.Error("the chain of the audit is broken")
	}
}

// freePort reserves a port by letting it go again: the daemon is started many
// times on the same one.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
