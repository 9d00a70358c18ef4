package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/smtptest"
)

// binaries is the folder of the three programs: SEKISHO_BIN, which make test
// sets to what it has just built, or one of its own, in which the worker, who
// is nobody, may execute them.
var binaries = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("SEKISHO_BIN"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "sekisho-faults-")
	if err != nil {
		return "", err
	}
	built = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir, "sekisho/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, nil
})

// built is the folder that TestMain removes.
var built string

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// gateway is a real sekishod with a data directory of the test's choice, and
// the town's mail server behind it.
type gateway struct {
	t    testing.TB
	bin  string
	dir  string // on a healthy disk
	data string
	file string
	addr string
	sink smtptest.Sink

	cmd    *exec.Cmd
	log    *lockedBuffer // of the running daemon
	ended  chan error
	starts atomic.Int64 // under supervise: how often it ended

	acks         *os.File
	mu           sync.Mutex
	acknowledged map[string]bool
	refused      map[string]int // answers other than 250, by their code
	number       atomic.Int64
}

const config = `hostname: mx.town.example.lg.jp
data_dir: %s
metrics: { listen: "" }
senders: { check: off }  # there may be no DNS here, and it is not what is tested
listeners:
  - { name: mx, zone: internet, listen: ["%s"], peers: ["127.0.0.1"] }
tenants:
  - id: town
    domains: [town.example.lg.jp]
hops:
  - { name: town-mail, network: local, hosts: ["%s"] }
routes:
  - { domain: town.example.lg.jp, hop: town-mail }
%s`

func newGateway(t testing.TB, data, more string) *gateway {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // the daemon is started many times on the same address
	g := &gateway{t: t, bin: bin, dir: t.TempDir(), data: data, addr: l.Addr().String(),
		acknowledged: map[string]bool{}, refused: map[string]int{}}
	if err := g.sink.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.sink.Close() })
	g.file = filepath.Join(g.dir, "sekisho.yaml")
	if err := os.WriteFile(g.file, fmt.Appendf(nil, config, data, g.addr, g.sink.Addr(), more), 0o600); err != nil {
		t.Fatal(err)
	}
	if g.acks, err = os.Create(filepath.Join(g.dir, "acknowledged")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.acks.Close()
		g.kill()
		if t.Failed() && g.log != nil {
			s := g.log.String()
			t.Logf("log of the last daemon:\n%s", s[max(0, len(s)-4000):])
		}
	})
	return g
}

// boot starts the daemon and returns how long it took to be ready.
func (g *gateway) boot() time.Duration {
	g.t.Helper()
	began := time.Now()
	g.log = &lockedBuffer{}
	g.cmd = exec.Command(filepath.Join(g.bin, "sekishod"), "--config", g.file)
	g.cmd.Stderr = g.log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(g.cmd, g.ended)
	g.await("the daemon to start", 60*time.Second, func() bool {
		select {
		case err := <-g.ended:
			g.ended <- err
			g.t.Fatalf("the daemon ended by itself: %v\n%s", err, g.log)
		default:
		}
		return strings.Contains(g.log.String(), `"started"`)
	})
	return time.Since(began)
}

// await polls: what it waits for happens in another process.
func (g *gateway) await(what string, limit time.Duration, ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

func (g *gateway) kill() {
	if g.cmd == nil || g.cmd.Process == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	<-g.ended
	g.cmd = nil
}

// term ends the daemon as systemd does.
func (g *gateway) term() {
	g.t.Helper()
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-g.ended; err != nil {
		g.t.Errorf("orderly stop: %v\n%s", err, g.log)
	}
	g.cmd = nil
}

func (g *gateway) cli(args ...string) string {
	g.t.Helper()
	c := exec.Command(filepath.Join(g.bin, "sekisho"), append([]string{"--socket", filepath.Join(g.data, "admin.sock")}, args...)...)
	out, err := c.CombinedOutput()
	if err != nil {
		g.t.Fatalf("sekisho %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// send sends one mail and returns the last answer.
func (g *gateway) send(body []byte) (string, error) {
	c, err := net.DialTimeout("tcp", g.addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	p := textproto.NewConn(c)
	step := func(line string) (string, error) {
		if line != "" {
			if err := p.PrintfLine("%s", line); err != nil {
				return "", err
			}
		}
		code, msg, err := p.ReadResponse(0)
		if e, ok := errors.AsType[*textproto.Error](err); ok {
			err, code, msg = nil, e.Code, e.Msg
		}
		return fmt.Sprintf("%d %s", code, msg), err
	}
	for _, line := range []string{"", "EHLO client.example", "MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example.lg.jp>", "DATA"} {
		if r, err := step(line); err != nil || r[0] > '3' {
			return r, err
		}
	}
	w := p.DotWriter()
	if _, err := w.Write(body); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	r, err := step("")
	if err == nil {
		_ = p.PrintfLine("QUIT")
	}
	return r, err
}

// mail is the n-th mail: short text, longer text, a mail that is held as a
// whole, one of which a part is kept back.
func (g *gateway) mail() (token string, body []byte) {
	n := g.number.Add(1)
	token = fmt.Sprintf("token-%06d", n)
	m := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: token, Text: token + "\n"}
	switch n % 20 {
	case 3, 9, 15: // too long for the journal
		m.Text = strings.Repeat(token+" goes on and on\n", 1500)
	case 7:
		m.Files = []corpus.Attachment{{Name: "x.exe", Media: "application/octet-stream", Data: corpus.Program()}}
	case 12:
		m.Files = []corpus.Attachment{{Name: "x.xdw", Media: "application/octet-stream", Data: corpus.DocuWorks()}}
	}
	return token, m.Bytes()
}

// one sends one mail and puts it on record if it was acknowledged.
func (g *gateway) one() string {
	token, body := g.mail()
	reply, err := g.send(body)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil:
		g.refused["connection"]++
		return ""
	case !strings.HasPrefix(reply, "250"):
		g.refused[reply[:3]]++
		return reply
	}
	// On record, and synced, before it counts.
	if _, err := fmt.Fprintln(g.acks, token); err != nil {
		g.t.Error(err)
	}
	if err := g.acks.Sync(); err != nil {
		g.t.Error(err)
	}
	g.acknowledged[token] = true
	return reply
}

// load sends from n connections until the function it returns is called.
func (g *gateway) load(n int, pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				if r := g.one(); !strings.HasPrefix(r, "250") {
					time.Sleep(20 * time.Millisecond) // the daemon is not there
				}
				time.Sleep(pause)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// result is what became of the acknowledged mail.
type result struct {
	Test                                string
	Seed                                uint64
	Cuts, Acknowledged, Delivered, Held int
	Twice, Lost, Altered                int
	ReadyMaxMillis                      int64
	Refused                             map[string]int
	Tampered                            int
	Seconds                             int
}

var tokenText = regexp.MustCompile(`token-\d{6}`)

// fates waits until the queue is empty and returns how often each mail arrived,
// which are held as a whole and why.
func (g *gateway) fates() (arrived map[string]int, held map[string]string, altered int) {
	g.t.Helper()
	g.await("the queue to drain", 10*time.Minute, func() bool {
		time.Sleep(200 * time.Millisecond)
		return g.cli("queue", "list", "--json") == ""
	})
	arrived, held = map[string]int{}, map[string]string{}
	for _, m := range g.sink.Delivered() {
		token := string(tokenText.Find(m.Data))
		if len(m.To) != 1 || m.To[0] != "soumu@town.example.lg.jp" {
			continue // a notice to administrators
		}
		arrived[token]++
		// All of it, or nothing.
		_, body, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
		n := bytes.Count(body, []byte(token+" goes on and on\r\n"))
		if n != 0 && n != 1500 || n == 0 && !bytes.Contains(body, []byte(token+"\r\n")) {
			altered++
			g.t.Errorf("%s was delivered altered, with %d lines of 1500:\n%.500s", token, n, m.Data)
		}
	}
	for _, l := range strings.Split(strings.TrimSpace(g.cli("quarantine", "list", "--json")), "\n") {
		var e struct {
			Subject, Class string
			Parts          []string
		}
		if l == "" {
			continue
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			g.t.Fatal(err)
		}
		if len(e.Parts) == 0 {
			token := tokenText.FindString(e.Subject)
			if token == "" {
				token = l // without a subject one can read
			}
			held[token] = e.Class
		}
	}
	return arrived, held, altered
}

// drained waits until the queue is empty and compares what was acknowledged
// with what arrived and what is held.
func (g *gateway) drained(r result) result {
	g.t.Helper()
	where, held, altered := g.fates()
	r.Acknowledged, r.Refused, r.Altered = len(g.acknowledged), g.refused, altered
	for _, class := range held {
		if class == "tampered" {
			r.Tampered++
		}
	}
	r.Delivered, r.Held = len(where), len(held)
	for token := range g.acknowledged {
		switch n := where[token]; {
		case n > 0 && held[token] != "":
			g.t.Errorf("%s was delivered and is held as a whole", token)
		case n == 0 && held[token] == "":
			r.Lost++
			g.t.Errorf("%s was acknowledged and is lost", token)
		case n > 1:
			r.Twice++
		}
	}
	if r.Delivered < r.Acknowledged/2 {
		list := g.cli("quarantine", "list", "--json")
		g.t.Errorf("only %d of %d were delivered: %.2000s", r.Delivered, r.Acknowledged, list)
	}
	if !strings.Contains(g.cli("audit", "verify"), "whole") {
		g.t.Error("the chain of the audit is broken")
	}
	line, err := json.Marshal(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Logf("%s", line)
	return r
}
