package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/scantest"
	"sekisho/internal/smtptest"
)

// site is a world of its own: a folder with sekisho.yaml and the data, sinks,
// and a gateway that may be stopped, killed and started again on the same data.
type site struct {
	dir      string
	bin      string // where the three binaries are
	sinks    map[string]*sink
	fakes    map[string]*scantest.Clamd // scanners, by name
	scanners map[string]*realScanner
	gateway  *exec.Cmd
	ended    chan error // one value, when the gateway has
	log      *watchedLog
}

// newSite makes one for a Go test, with a sink TOWN behind a gateway that
// serves town.example.lg.jp. More is added to the configuration as it is.
func newSite(t *testing.T, bin, more string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), bin: bin, sinks: map[string]*sink{}}
	t.Cleanup(s.close)
	k, err := newSink("")
	if err != nil {
		t.Fatal(err)
	}
	s.sinks["TOWN"] = k
	text := strings.ReplaceAll(minimal, "127.0.0.1:2600", k.addr)
	text = strings.ReplaceAll(text, `listen: ["127.0.0.1:0"]`, `listen: ["127.0.0.1:0"], peers: ["127.0.0.1"]`)
	text += fmt.Sprintf("data_dir: %s\nmetrics: { listen: '127.0.0.1:0' }\n%s%s", s.data(), more, unjudged(more))
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// unjudged turns the judging of senders off where a configuration says nothing
// of it: tests have no DNS, but those that bring their own.
func unjudged(text string) string {
	if strings.Contains(text, "senders:") || strings.Contains(text, "resolver:") {
		return ""
	}
	return "senders: { check: off }\n"
}

func (s *site) config() string { return filepath.Join(s.dir, "sekisho.yaml") }
func (s *site) data() string   { return filepath.Join(s.dir, "data") }

func (s *site) close() {
	if s.gateway != nil {
		_ = s.gateway.Process.Kill()
		<-s.ended
	}
	for _, k := range s.sinks {
		k.down()
	}
}

// start starts the gateway and waits until it listens.
func (s *site) start() error {
	return s.startAs(exec.Command(filepath.Join(s.bin, "sekishod"), "--config", s.config()))
}

// startWithout starts a gateway for which a folder of this machine is empty.
func (s *site) startWithout(folder string) error {
	return s.startAs(exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none "$0" && exec "$1" --config "$2"`,
		folder, filepath.Join(s.bin, "sekishod"), s.config()))
}

func (s *site) startAs(gateway *exec.Cmd) error {
	s.log = newWatchedLog()
	s.gateway = gateway
	s.gateway.Stderr = s.log
	if err := s.gateway.Start(); err != nil {
		s.gateway = nil
		return err
	}
	g, ended := s.gateway, make(chan error, 1)
	go func() { ended <- g.Wait() }()
	s.ended = ended
	for deadline := time.Now().Add(60 * time.Second); ; {
		switch err := s.log.wait("started", 100*time.Millisecond); {
		case err == nil:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%w\n%s", err, s.log)
		}
		select {
		case err := <-ended:
			s.gateway = nil
			return fmt.Errorf("the gateway did not start: %w\n%s", err, s.log)
		default:
		}
	}
}

func (s *site) mustStart(t *testing.T) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// end sends a signal and waits for the end. What is queued stays.
func (s *site) end(sig os.Signal) error {
	if err := s.gateway.Process.Signal(sig); err != nil {
		return err
	}
	s.gateway = nil
	return <-s.ended
}

// listening is the address of a listener.
func (s *site) listening(name string) string {
	at := ""
	for _, l := range s.log.events("listening") {
		if l["rule"] == name {
			at = fmt.Sprint(l["hop"]) // after a reload the last one counts
		}
	}
	return at
}

// metric reads one figure, "" if there is none yet. name may have labels.
func (s *site) metric(name string) (string, error) {
	r, err := http.Get("http://" + s.listening("metrics") + "/metrics")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	for _, l := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(l, name+" "); ok {
			return v, nil
		}
	}
	return "", nil
}

// run calls the command line and returns what it printed and its status.
func (s *site) run(args ...string) (stdout, stderr string, code int) {
	return s.runAs(os.Getuid(), args...)
}

// runAs calls it as somebody else, which only root can.
func (s *site) runAs(uid int, args ...string) (stdout, stderr string, code int) {
	cmd := exec.Command(filepath.Join(s.bin, "sekisho"), args...)
	cmd.Dir = s.dir
	if uid != os.Getuid() {
		cmd.Dir = "/"
		// The group is the one of the socket, as for a member of group sekisho.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(os.Getgid())}}
	}
	cmd.Env = []string{"SEKISHO_SOCKET=" + filepath.Join(s.data(), "admin.sock"), "LANG=C", "HOME=/", "PATH=" + os.Getenv("PATH")}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
		complaint.WriteString(err.Error())
	}
	return out.String(), complaint.String(), code
}

// must is run for what has to succeed.
func (s *site) must(t *testing.T, args ...string) string {
	t.Helper()
	out, complaint, code := s.run(args...)
	if code != 0 {
		t.Fatalf("sekisho %s: status %d\n%s%s", strings.Join(args, " "), code, out, complaint)
	}
	return out
}

// heldEntry is a line of quarantine list --json.
type heldEntry struct {
	ID, Class, Rule, Subject string
	Reasons, Parts           []string
}

// retry makes an entry due now, unless it has moved on by itself.
func (s *site) retry(t *testing.T, id string) {
	t.Helper()
	waitFor(t, "retry of "+id, func() bool {
		_, _, code := s.run("queue", "retry", id)
		return code == 0 || code == 4
	})
}

// heldByID lists what is held.
func (s *site) heldByID(t *testing.T) map[string]heldEntry {
	t.Helper()
	all := map[string]heldEntry{}
	for l := range strings.Lines(s.must(t, "quarantine", "list", "--json")) {
		var e heldEntry
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		all[e.ID] = e
	}
	return all
}

// drain waits until nothing is received or queued.
func (s *site) drain(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		out, complaint, code := s.run("queue", "list", "--json")
		if code != 0 {
			return fmt.Errorf("queue list: %s", complaint)
		}
		if out == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the queue does not drain\n%s\n%s", out, s.log)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// send hands a mail over and returns the id that the gateway gave it.
func (s *site) send(t *testing.T, m corpus.Mail) string {
	t.Helper()
	if m.From == "" {
		m.From = "a@partner.example"
	}
	if m.To == "" {
		m.To = "soumu@town.example.lg.jp"
	}
	reply, err := sendMail(s.listening("mx"), m.From, []string{m.To}, m.Bytes())
	id := regexp.MustCompile(`id=([0-9a-z]{36})`).FindStringSubmatch(reply)
	if err != nil || id == nil {
		t.Fatalf("send %q: %v %q", m.Subject, err, reply)
	}
	return id[1]
}

// sink is a mail server behind the gateway that can go down and come back at
// the same address, and remembers what it took before.
type sink struct {
	addr   string
	mu     sync.Mutex
	script func(smtptest.Call) smtptest.Act

	extensions []string // nil: those of smtptest
	now        *smtptest.Sink
	before     []smtptest.Taken
}

// newSink starts one; addr "" is a free port.
func newSink(addr string) (*sink, error) {
	k := &sink{addr: addr}
	if addr == "" {
		k.addr = "127.0.0.1:0"
	}
	return k, k.up()
}

func (k *sink) up() error {
	n := &smtptest.Sink{Extensions: k.extensions, Script: func(c smtptest.Call) smtptest.Act {
		k.mu.Lock()
		f := k.script
		k.mu.Unlock()
		if f == nil {
			return smtptest.Act{}
		}
		return f(c)
	}}
	if err := n.Listen(k.addr); err != nil {
		return err
	}
	k.mu.Lock()
	k.now, k.addr = n, n.Addr()
	k.mu.Unlock()
	return nil
}

func (k *sink) down() {
	k.mu.Lock()
	n := k.now
	k.now = nil
	k.mu.Unlock()
	if n == nil {
		return
	}
	n.Close()
	k.mu.Lock()
	k.before = append(k.before, n.All()...)
	k.mu.Unlock()
}

func (k *sink) behave(f func(smtptest.Call) smtptest.Act) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.script = f
}

// all is every message of which the sink saw an octet, complete or not.
func (k *sink) all() []smtptest.Taken {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := append([]smtptest.Taken(nil), k.before...)
	if k.now != nil {
		all = append(all, k.now.All()...)
	}
	return all
}

// delivered is every message it took.
func (k *sink) delivered() []smtptest.Taken {
	var d []smtptest.Taken
	for _, t := range k.all() {
		if t.Complete && (t.Answer == "" || t.Answer[0] == '2') {
			d = append(d, t)
		}
	}
	return d
}

// wait waits until n messages were delivered.
func (k *sink) wait(n int, limit time.Duration) []smtptest.Taken {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if d := k.delivered(); len(d) >= n || time.Now().After(deadline) {
			return d
		}
	}
}

// sendMail is a plain SMTP client: no library of ours stands between the test
// and the wire. It returns the first answer that refuses, or the last.
func sendMail(addr, from string, to []string, body []byte) (string, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	w := &wire{c: c, r: bufio.NewReader(c)}
	last, err := w.answer()
	if err != nil || !strings.HasPrefix(last, "220") {
		return last, err
	}
	if last, err = w.say("EHLO client.example"); err != nil || last[0] > '3' {
		return last, err
	}
	last, err = w.mail(from, to, body)
	if err == nil {
		_, _ = io.WriteString(c, "QUIT\r\n")
	}
	return last, err
}

// wire is one SMTP session, line by line.
type wire struct {
	c net.Conn
	r *bufio.Reader
}

// answer returns the last line of an answer.
func (w *wire) answer() (string, error) {
	for {
		l, err := w.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(l) > 3 && l[3] == ' ' {
			return strings.TrimRight(l, "\r\n"), nil
		}
	}
}

func (w *wire) say(line string) (string, error) {
	if _, err := io.WriteString(w.c, line+"\r\n"); err != nil {
		return "", err
	}
	return w.answer()
}

// mail is one transaction. A recipient that is refused ends it.
func (w *wire) mail(from string, to []string, body []byte) (string, error) {
	lines := []string{"MAIL FROM:<" + from + ">"}
	for _, t := range to {
		lines = append(lines, "RCPT TO:<"+t+">")
	}
	for _, l := range append(lines, "DATA") {
		if last, err := w.say(l); err != nil || last[0] > '3' {
			return last, err
		}
	}
	dotted := bytes.ReplaceAll(body, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(dotted, []byte(".")) {
		dotted = append([]byte("."), dotted...)
	}
	if !bytes.HasSuffix(dotted, []byte("\r\n")) {
		dotted = append(dotted, "\r\n"...)
	}
	if _, err := w.c.Write(append(dotted, ".\r\n"...)); err != nil {
		return "", err
	}
	return w.answer()
}

// watchedLog keeps the daemon's log and lets a test wait for an event.
type watchedLog struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newWatchedLog() *watchedLog { return &watchedLog{more: make(chan struct{}, 1)} }

func (w *watchedLog) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return w.buf.Write(p)
}

func (w *watchedLog) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func (w *watchedLog) events(msg string) []map[string]any {
	var es []map[string]any
	for _, l := range strings.Split(w.String(), "\n") {
		var e map[string]any
		if json.Unmarshal([]byte(l), &e) == nil && e["msg"] == msg {
			es = append(es, e)
		}
	}
	return es
}

// wait waits for the first event of this name.
func (w *watchedLog) wait(msg string, limit time.Duration) error { return w.waitMore(msg, 0, limit) }

// waitMore waits until there are more than n events of this name.
func (w *watchedLog) waitMore(msg string, n int, limit time.Duration) error {
	deadline := time.After(limit)
	for len(w.events(msg)) <= n {
		select {
		case <-w.more:
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			return fmt.Errorf("no event %q within %s", msg, limit)
		}
	}
	return nil
}

// one reads one value of the database.
func one[T any](t *testing.T, db *sql.DB, query string, args ...any) T {
	t.Helper()
	var v T
	if err := db.QueryRow(query, args...).Scan(&v); err != nil {
		t.Fatalf("%s %v: %v", query, args, err)
	}
	return v
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
