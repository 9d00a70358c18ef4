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
	"syscall"
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
	// Senders wait while much is under way: what is tested is the kill, not how
	// long a queue can get.
	const underWay = 200
	var arrived atomic.Int64
	sink := smtptest.Sink{Script: func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageFinal {
			arrived.Add(1)
		}
		return smtptest.Act{}
	}}
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
	whole := int64(0) // of these, the ones that will be held as a whole
	var sent atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var senders sync.WaitGroup
	for range 4 {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for ctx.Err() == nil {
				mu.Lock()
				behind := int64(len(acknowledged)) - arrived.Load() - whole
				mu.Unlock()
				if behind > underWay {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				n := sent.Add(1)
				token := fmt.Sprintf("token-%06d", n)
				m := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: token, Text: token + "\n"}
				switch {
				case n%7 == 0: // held as a whole
					m.Files = []corpus.Attachment{{Name: "x.exe", Media: "application/octet-stream", Data: corpus.Program()}}
				case n%5 == 0: // a part kept back
					m.Files = []corpus.Attachment{{Name: "x.xdw", Media: "application/octet-stream", Data: corpus.DocuWorks()}}
				case n%4 == 0: // large enough to lie in a file
					m.Text += strings.Repeat("0123456789 abcdefghij\n", 2000)
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
				if n%7 == 0 {
					whole++
				}
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
		time.Sleep(time.Duration(20+random.IntN(980)) * time.Millisecond)
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
	type line struct {
		ID, Subject, Class string
		Parts              []string
	}
	list := func() (ls []line) {
		for l := range strings.Lines(cli("quarantine", "list", "--json")) {
			var e line
			if err := json.Unmarshal([]byte(l), &e); err != nil {
				t.Fatal(err)
			}
			ls = append(ls, e)
		}
		return ls
	}
	// An entry that was in hand at three kills is held as poison, the last time
	// perhaps after the next hop had it. That is the rule, and no loss: a person
	// who releases it has it delivered.
	poison := map[string]bool{}
	for _, e := range list() {
		if e.Class == "poison" {
			poison[e.Subject] = true
			cli("quarantine", "release", e.ID, "--reason", "the killing is over")
		}
	}
	for cli("queue", "list", "--json") != "" {
		if time.Now().After(deadline) {
			t.Fatalf("the queue does not drain after the releases\n%s", log)
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
	for _, e := range list() {
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
	t.Logf(`{"test":"kill","seed":%d,"kills":%d,"acknowledged":%d,"delivered":%d,"held":%d,"poison":%d,"twice":%d,"lost":%d}`,
		seed, kills, len(acknowledged), len(where), len(held), len(poison), twice, lost)
	// The kill takes what was in hand, not all the others with it.
	if len(poison) > 5+len(acknowledged)/20 {
		t.Errorf("%d of %d messages were held as poison", len(poison), len(acknowledged))
	}
	if len(acknowledged) < kills {
		t.Errorf("only %d messages were acknowledged: the test has tested nothing", len(acknowledged))
	}
	if !strings.Contains(cli("audit", "verify"), "whole") {
		t.Error("the chain of the audit is broken")
	}
}

// TestKilledWorkersCostAttachmentsAndNoMail kills single workers, and the small
// process that forks them, at random instants under load. A mail whose worker
// died twice is held; once there is quiet, its release delivers it.
func TestKilledWorkersCostAttachmentsAndNoMail(t *testing.T) {
	s := newSite(t, binaries, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	var arrived atomic.Int64
	town.behave(func(c smtptest.Call) smtptest.Act {
		if c.Stage == smtptest.StageFinal {
			arrived.Add(1)
		}
		return smtptest.Act{}
	})
	ctx, cancel := context.WithCancel(context.Background())
	killed := make(chan int)
	gateway := s.gateway.Process.Pid
	go func() {
		n := 0
		for ctx.Err() == nil {
			if pids := workersOf(gateway); len(pids) > 0 && syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL) == nil {
				n++
			}
			// Not more kills than mails, however slow the machine is.
			for before, i := arrived.Load(), 0; i < 20 && arrived.Load() == before && ctx.Err() == nil; i++ {
				time.Sleep(time.Duration(5+rand.IntN(40)) * time.Millisecond)
			}
		}
		killed <- n
	}()
	ids := map[string]string{}
	for i := range 80 {
		m := corpus.Mail{Subject: fmt.Sprintf("token-%06d", i), Text: "body text"}
		switch i % 4 {
		case 0:
			m.Files = []corpus.Attachment{marked()}
		case 1:
			m.Files = []corpus.Attachment{{Name: "a.docm", Media: "application/octet-stream", Data: corpus.Word("text", true)}}
		case 2:
			m.Files = []corpus.Attachment{{Name: "a.png", Media: "image/png", Data: corpus.PNG()}}
		}
		ids[s.send(t, m)] = m.Subject
	}
	if err := s.drain(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n := <-killed; n < 20 {
		t.Errorf("only %d workers were killed: the test has tested little", n)
	} else {
		t.Logf("%d workers were killed", n)
	}
	untreated(t, town)
	held := s.heldByID(t)
	direct := len(town.delivered())
	for id, subject := range ids {
		e, ok := held[id]
		if !ok {
			continue
		}
		if e.Class != "failed" {
			t.Errorf("%s is held as %+v", subject, e)
		}
		if _, complaint, code := s.run("quarantine", "release", id, "--reason", "the workers live again"); code != 0 {
			t.Errorf("%s: release: status %d, %s", subject, code, complaint)
		}
	}
	if err := s.drain(time.Minute); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range town.delivered() {
		if !bytes.Contains(m.Data, []byte("body text")) {
			t.Errorf("a mail without its body:\n%s", m.Data)
		}
		got[string(regexp.MustCompile(`token-\d{6}`).Find(m.Data))]++
	}
	for _, subject := range ids {
		if got[subject] != 1 {
			t.Errorf("%s arrived %d times", subject, got[subject])
		}
	}
	untreated(t, town)
	t.Logf("%d of %d arrived at once", direct, len(ids))
	if direct < len(ids)/2 {
		t.Errorf("only %d of %d arrived at once", direct, len(ids))
	}
}

// workersOf lists the processes below pid.
func workersOf(pid int) []int {
	children := map[int][]int{}
	es, _ := os.ReadDir("/proc")
	for _, e := range es {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// proc(5): the name, which may hold anything, ends with the last ")".
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 2 || f[0] == "Z" {
			continue
		}
		parent, err := strconv.Atoi(f[1])
		if err == nil {
			children[parent] = append(children[parent], p)
		}
	}
	var all []int
	for next := children[pid]; len(next) > 0; {
		all = append(all, next...)
		var below []int
		for _, p := range next {
			below = append(below, children[p]...)
		}
		next = below
	}
	return all
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
