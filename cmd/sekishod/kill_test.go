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
	"runtime/debug"
	"slices"
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

// copies are what the next hop got of the mails of a test.
type copies struct {
	mu    sync.Mutex
	at    map[string][]arrival // by token
	byID  map[string]time.Time // the last copy, by delivery id
	first atomic.Int64         // tokens that came
	wrong []string             // deliveries that hold something active
}

// An arrival began with its MAIL and ended when the last octet was read. The
// next hop may read it to the end after the sender died: what was sent lies in
// the buffers between them.
type arrival struct{ began, ended time.Time }

var (
	tokens = regexp.MustCompile(`token-\d{6}`)
	ids    = regexp.MustCompile(`X-Sekisho-Id: \S+`)
)

// take notes one that was delivered.
func (k *copies) take(m smtptest.Taken) {
	token, id := string(tokens.Find(m.Data)), string(ids.Find(m.Data))
	k.mu.Lock()
	defer k.mu.Unlock()
	if bytes.Contains(m.Data, []byte(corpus.Macro)) {
		k.wrong = append(k.wrong, token)
	}
	if k.at[token] == nil {
		k.first.Add(1)
	}
	now := time.Now()
	k.at[token] = append(k.at[token], arrival{m.Began, now})
	k.byID[strings.TrimPrefix(id, "X-Sekisho-Id: ")] = now
}

// seeded returns the number of times a test is to do something, and its source
// of chance: SEKISHO_SEED replays a run.
func seeded(t *testing.T, name string, few int) (int, uint64) {
	t.Helper()
	number := func(name string, otherwise uint64) uint64 {
		s := os.Getenv(name)
		if s == "" {
			return otherwise
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return int(number(name, uint64(few))), number("SEKISHO_SEED", uint64(time.Now().UnixNano()))
}

// TestKillLosesNothingAcknowledged kills the gateway at random instants under
// load: half of the times one process alone (the daemon, a worker or a tool),
// half of the times all of them. Every 250 is written to a journal of the
// sender's own, and synced, before it counts. At the end each of them must have
// arrived or be held, none both, and a second copy must lie behind a kill of
// the daemon.
//
// SEKISHO_KILLS says how often (default 5), SEKISHO_SEED replays a run. Of 100
// kills and more it is judged, too, how many copies there are.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	kills, seed := seeded(t, "SEKISHO_KILLS", 5)
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d, %d kills", seed, kills)
	draws := true
	for _, p := range []string{"/usr/bin/pdftoppm", "/usr/bin/pdftotext", "/usr/bin/qpdf"} {
		if _, err := os.Stat(p); err != nil {
			draws = false
			t.Logf("%s is not there: no page is drawn in this run", p)
		}
	}

	// Senders and the next hop are other machines, whose processors the gateway
	// does not share: a next hop that has taken a message and waits for a
	// processor to say so is no moment of ours. Root can have it so.
	ours := niceness()
	apart := raise(ours + elsewhere)
	// Nor is it held up by the collector of other machines.
	defer debug.SetGCPercent(debug.SetGCPercent(2000))
	t.Logf("senders and next hop with a processor of their own: %v; load average %s", apart, loadAverage())
	defer raise(ours)

	dir := t.TempDir()
	// Senders wait while much is under way: what is tested is the kill, not how
	// long a queue can get.
	const underWay = 200
	got := &copies{at: map[string][]arrival{}, byID: map[string]time.Time{}}
	sink := smtptest.Sink{Deliver: got.take}
	if err := sink.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	port := freePort(t)
	file := filepath.Join(dir, "sekisho.yaml")
	text := strings.ReplaceAll(minimal, "127.0.0.1:0", port)
	text = strings.ReplaceAll(text, `listen: ["`+port+`"]`, `listen: ["`+port+`"], peers: ["127.0.0.1"]`)
	text = strings.ReplaceAll(text, "127.0.0.1:2600", sink.Addr())
	text += fmt.Sprintf("data_dir: %s/data\nmetrics: { listen: '' }\nprofiles:\n  - { name: default, pdf: flatten }\n%s", dir, unjudged(""))
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
	whole := int64(0)               // of these, the ones that will be held as a whole
	var sent, poisoned atomic.Int64 // the latter held as a whole, too, and never to come
	ctx, cancel := context.WithCancel(context.Background())
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				behind := int64(len(acknowledged)) - got.first.Load() - whole - poisoned.Load()
				mu.Unlock()
				if behind > underWay {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				n := sent.Add(1)
				token := fmt.Sprintf("token-%06d", n)
				m := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: token, Text: token + "\n"}
				held := false
				switch k := n % 20; {
				case k < 12:
				case k == 12: // large enough to lie in a file
					m.Text += strings.Repeat("0123456789 abcdefghij\n", 2000)
				case k == 13: // held as a whole
					m.Files = []corpus.Attachment{{Name: "x.exe", Media: "application/octet-stream", Data: corpus.Program()}}
					held = true
				case k < 17:
					m.Files = []corpus.Attachment{{Name: "x.docm", Media: "application/octet-stream", Data: corpus.Word(token, true)}}
				case k == 17: // a part kept back
					m.Files = []corpus.Attachment{{Name: "x.xdw", Media: "application/octet-stream", Data: corpus.DocuWorks()}}
				case draws:
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
				if held {
					whole++
				}
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}

	logs := []*watchedLog{}
	start := func() *exec.Cmd {
		log := newWatchedLog()
		logs = append(logs, log)
		g := exec.Command(filepath.Join(binaries, "sekishod"), "--config", file)
		if apart {
			g = exec.Command("nice", "-n", strconv.Itoa(-elsewhere), filepath.Join(binaries, "sekishod"), "--config", file)
		}
		g.Stderr = log
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		return g
	}
	boot := func() *exec.Cmd {
		g := start()
		if err := logs[len(logs)-1].wait("started", 30*time.Second); err != nil {
			t.Fatalf("%v\n%s", err, logs[len(logs)-1])
		}
		return g
	}
	var deaths, struck []time.Time // of the daemon, when it was gone and when it was killed
	victims := map[string]int{}
	began := time.Now()
	g := boot()
	for i := range kills {
		time.Sleep(time.Duration(5+random.IntN(366)) * time.Millisecond)
		victim := []string{"all", "daemon", "all", "worker", "all", "tool"}[i%6]
		workers, running := []int{}, []int{}
		for _, p := range below(g.Process.Pid) {
			if strings.HasPrefix(p.name, "sekisho") {
				workers = append(workers, p.pid)
			} else {
				running = append(running, p.pid)
			}
		}
		if victim == "tool" && len(running) == 0 {
			victim = "worker"
		}
		if victim == "worker" && len(workers) == 0 {
			victim = "daemon"
		}
		victims[victim]++
		in := time.Duration(10+random.IntN(21)) * time.Millisecond
		switch victim {
		case "worker":
			killIn(t, in, workers[random.IntN(len(workers))])
			continue
		case "tool":
			killIn(t, in, running[random.IntN(len(running))])
			continue
		case "all":
			struck = append(struck, killIn(t, in, slices.Concat([]int{g.Process.Pid}, workers, running)...))
		default:
			struck = append(struck, killIn(t, in, g.Process.Pid))
		}
		_ = g.Wait()
		deaths = append(deaths, time.Now())
		poisoned.Add(int64(strings.Count(logs[len(logs)-1].String(), `"rule":"poison"`)))
		if random.IntN(10) == 0 {
			// Once in ten times while it is starting.
			g = start()
			struck = append(struck, killIn(t, time.Duration(5+random.IntN(396))*time.Millisecond, g.Process.Pid))
			_ = g.Wait()
			deaths = append(deaths, time.Now())
		}
		g = boot()
	}
	took := time.Since(began)
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
	drain := func() {
		for cli("queue", "list", "--json") != "" {
			if time.Now().After(deadline) {
				t.Fatalf("the queue does not drain\n%s\n%s", cli("queue", "list"), logs[len(logs)-1])
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	drain()
	type line struct {
		ID, Subject, Class string
		Parts              []string
	}
	held := func() map[string]line {
		m := map[string]line{}
		for l := range strings.Lines(cli("quarantine", "list", "--json")) {
			var e line
			if err := json.Unmarshal([]byte(l), &e); err != nil {
				t.Fatal(err)
			}
			if len(e.Parts) == 0 {
				m[e.Subject] = e
			}
		}
		return m
	}
	// What was in hand at three kills is held as poison, and what lost two
	// workers as failed. That is the rule, and no loss: a person who releases it
	// has it delivered. None of it may have been delivered already.
	classes := map[string]int{}
	both := 0
	for token, e := range held() {
		classes[e.Class]++
		if len(got.at[token]) > 0 {
			both++
			last := got.at[token][len(got.at[token])-1]
			k, _ := slices.BinarySearchFunc(deaths, last.began, time.Time.Compare)
			when := "after the last kill"
			if k < len(deaths) {
				when = fmt.Sprintf("%.1f ms before a kill", float64(struck[k].Sub(last.ended).Microseconds())/1000)
			}
			t.Errorf("%s was delivered, %s, and is held as a whole, class %s", token, when, e.Class)
			continue
		}
		if e.Class == "poison" || e.Class == "failed" {
			cli("quarantine", "release", e.ID, "--reason", "the killing is over")
		}
	}
	drain()
	after := held()
	lost, twice, most := 0, 0, 0
	var before []string // of each copy: how long the hop had the one before when the daemon was killed
	perKill := map[int]int{}
	for token := range acknowledged {
		at := got.at[token]
		_, waits := after[token]
		if len(at) == 0 && !waits {
			lost++
			t.Errorf("%s was acknowledged and is lost", token)
		}
		for i := 1; i < len(at); i++ {
			// Each further copy needs a death of its own, since the one before
			// began.
			k, _ := slices.BinarySearchFunc(deaths, at[i-1].began, time.Time.Compare)
			if k == len(deaths) || deaths[k].After(at[i].began) {
				t.Errorf("%s arrived twice without a death between: %v", token, at)
				continue
			}
			before = append(before, fmt.Sprintf("%.1f", float64(struck[k].Sub(at[i-1].ended).Microseconds())/1000))
			perKill[k]++
			most = max(most, perKill[k])
			twice++
		}
	}
	for _, token := range got.wrong {
		t.Errorf("%s was delivered with something active", token)
	}
	share := float64(twice) / float64(max(1, len(acknowledged)))
	p50, p95 := window(logs, got)
	t.Logf(`{"test":"kill","seed":%d,"kills":%d,"victims":"%s","seconds":%.0f,"acknowledged":%d,"delivered":%d,"held":%d,"poison":%d,"failed":%d,"held and delivered":%d,"copies":%d,"share of copies":%.4f,"copies of a kill":%.3f,"most copies of a kill":%d,"from hop to kill ms":"%s","answer to commit p50 ms":%.2f,"p95 ms":%.2f,"lost":%d}`,
		seed, kills, fmt.Sprint(victims), took.Seconds(), len(acknowledged), len(got.at), len(after), classes["poison"], classes["failed"], both, twice, share, float64(twice)/float64(max(1, len(deaths))), most, strings.Join(before, " "), p50, p95, lost)
	// At most as many as a hop has slots.
	if most > 20 {
		t.Errorf("a kill left %d copies, more than there were deliveries in flight", most)
	}
	// The kill takes what was in hand, not all the others with it: after its
	// first death a message is in hand alone of those that had one, so each that
	// is held as poison needs two deaths to itself.
	if classes["poison"] > 5+len(deaths)/2 {
		t.Errorf("%d of %d messages were held as poison", classes["poison"], len(acknowledged))
	}
	if len(acknowledged) < kills {
		t.Errorf("only %d messages were acknowledged: the test has tested nothing", len(acknowledged))
	}
	if kills >= 100 && share > 0.005 {
		t.Errorf("%.2f %% of the messages arrived twice, more than half a percent", 100*share)
	}
	if !strings.Contains(cli("audit", "verify"), "whole") {
		t.Error("the chain of the audit is broken")
	}
}

// window is the time between a next hop's answer and the commit that writes it
// down, over all messages that were written down, in ms.
func window(logs []*watchedLog, got *copies) (p50, p95 float64) {
	var all []float64
	for _, l := range logs {
		for _, e := range l.events("sent") {
			committed, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e["time"]))
			answered, ok := got.byID[fmt.Sprint(e["id"])]
			if err == nil && ok && committed.After(answered) {
				all = append(all, float64(committed.Sub(answered).Microseconds())/1000)
			}
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0, 0
	}
	return all[len(all)/2], all[len(all)*95/100]
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
	for i := range 200 { // a second on a fast machine
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
