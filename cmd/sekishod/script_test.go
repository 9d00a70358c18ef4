package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho/internal/smtptest"
)

// binaries is the folder with the three programs under test: the very ones
// that ship, built as they ship.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sekisho-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The worker runs as nobody and must be able to execute it.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir, "sekisho/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// TestScripts runs testdata/script/*.txtar: a gateway of its own for each, real
// mail in, a sink behind it. The commands are in commands below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("SEKISHO_SOCKET", filepath.Join(e.WorkDir, "data", "admin.sock"))
			e.Setenv("DATA", filepath.Join(e.WorkDir, "data"))
			s := &site{env: e, sinks: map[string]*smtptest.Sink{}}
			e.Values[siteKey{}] = s
			e.Defer(s.close)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sink":     cmdSink,
			"gateway":  cmdGateway,
			"send":     cmdSend,
			"drain":    cmdDrain,
			"received": cmdReceived,
			"held":     cmdHeld,
			"sekisho":  cmdSekisho,
			"config":   cmdConfig,
		},
	})
}

type siteKey struct{}

// site is the world of one script: sinks, and a gateway that may be stopped,
// killed and started again on the same data.
type site struct {
	env     *testscript.Env
	sinks   map[string]*smtptest.Sink
	gateway *exec.Cmd
	log     *watchedLog
}

func (s *site) close() {
	if s.gateway != nil {
		_ = s.gateway.Process.Kill()
		_ = s.gateway.Wait()
	}
	for _, k := range s.sinks {
		k.Close()
	}
}

func siteOf(ts *testscript.TestScript) *site { return ts.Value(siteKey{}).(*site) }

// sink NAME: starts a mail server and sets NAME to its address.
func cmdSink(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sink NAME")
	}
	k := &smtptest.Sink{}
	ts.Check(k.Listen("127.0.0.1:0"))
	siteOf(ts).sinks[args[0]] = k
	ts.Setenv(args[0], k.Addr())
}

// config FILE: writes FILE with the script's variables expanded to
// sekisho.yaml, with data_dir and a free port for the metrics set.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: config FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	text += "\ndata_dir: " + ts.Getenv("DATA") + "\nmetrics: { listen: \"127.0.0.1:0\" }\n"
	ts.Check(os.WriteFile(ts.MkAbs("sekisho.yaml"), []byte(text), 0o600))
}

// gateway start|stop|kill|reload: the daemon on sekisho.yaml. start waits
// until it listens and sets each listener's name to its address.
func cmdGateway(ts *testscript.TestScript, neg bool, args []string) {
	s := siteOf(ts)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gateway start|stop|kill|reload")
	}
	switch args[0] {
	case "start":
		s.log = newWatchedLog()
		s.gateway = exec.Command(filepath.Join(binaries, "sekishod"), "--config", ts.MkAbs("sekisho.yaml"))
		s.gateway.Stderr = s.log
		ts.Check(s.gateway.Start())
		if err := s.log.wait("started", 30*time.Second); err != nil {
			ts.Fatalf("%v\n%s", err, s.log)
		}
		for _, l := range s.log.events("listening") {
			ts.Setenv(fmt.Sprint(l["rule"]), fmt.Sprint(l["hop"]))
		}
	case "stop", "kill":
		sig := syscall.SIGTERM
		if args[0] == "kill" {
			sig = syscall.SIGKILL
		}
		ts.Check(s.gateway.Process.Signal(sig))
		err := s.gateway.Wait()
		s.gateway = nil
		if args[0] == "stop" && err != nil {
			ts.Fatalf("gateway stopped with %v\n%s", err, s.log)
		}
	case "reload":
		n := len(s.log.events("reload"))
		ts.Check(s.gateway.Process.Signal(syscall.SIGHUP))
		for range 100 {
			if len(s.log.events("reload")) > n {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		fmt.Fprint(ts.Stdout(), s.log.String())
	case "log":
		fmt.Fprint(ts.Stdout(), s.log.String())
	default:
		ts.Fatalf("gateway %s", args[0])
	}
}

// send ADDRESS FROM TO[,TO...] FILE: hands a mail over; what the server says
// last is the standard output. With ! it must be refused.
func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: send ADDRESS FROM TO[,TO] FILE")
	}
	body := ts.ReadFile(args[3])
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n")
	reply, err := sendMail(args[0], args[1], strings.Split(args[2], ","), []byte(body))
	fmt.Fprintln(ts.Stdout(), reply)
	if err != nil {
		ts.Fatalf("send: %v", err)
	}
	if ok := strings.HasPrefix(reply, "250"); ok == neg {
		ts.Fatalf("the server says %q", reply)
	}
	if m := regexp.MustCompile(`id=([0-9a-z]{36})`).FindStringSubmatch(reply); m != nil {
		ts.Setenv("ID", m[1])
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
	r := bufio.NewReader(c)
	answer := func() (string, error) {
		for {
			l, err := r.ReadString('\n')
			if err != nil {
				return "", err
			}
			if len(l) > 3 && l[3] == ' ' {
				return strings.TrimRight(l, "\r\n"), nil
			}
		}
	}
	last, err := answer()
	if err != nil || !strings.HasPrefix(last, "220") {
		return last, err
	}
	lines := []string{"EHLO client.example", "MAIL FROM:<" + from + ">"}
	for _, t := range to {
		lines = append(lines, "RCPT TO:<"+t+">")
	}
	for _, l := range append(lines, "DATA") {
		if _, err := io.WriteString(c, l+"\r\n"); err != nil {
			return "", err
		}
		if last, err = answer(); err != nil || last[0] > '3' {
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
	if _, err := c.Write(append(dotted, ".\r\n"...)); err != nil {
		return "", err
	}
	if last, err = answer(); err == nil {
		_, _ = io.WriteString(c, "QUIT\r\n")
	}
	return last, err
}

// run calls the command line and returns what it printed and its status.
func (s *site) run(args ...string) (stdout, stderr string, code int) {
	cmd := exec.Command(filepath.Join(binaries, "sekisho"), args...)
	cmd.Dir = s.env.WorkDir
	cmd.Env = []string{"SEKISHO_SOCKET=" + filepath.Join(s.env.WorkDir, "data", "admin.sock"), "LANG=C", "HOME=/", "PATH=" + os.Getenv("PATH")}
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

// sekisho [STATUS] ARGS...: the command line. STATUS is the exit status it
// must have, 0 if there is none.
func cmdSekisho(ts *testscript.TestScript, neg bool, args []string) {
	want := 0
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			want, args = n, args[1:]
		}
	}
	if neg {
		ts.Fatalf("say which status: sekisho 4 ...")
	}
	out, complaint, code := siteOf(ts).run(args...)
	fmt.Fprint(ts.Stdout(), out)
	fmt.Fprint(ts.Stderr(), complaint)
	if code != want {
		ts.Fatalf("sekisho %s: status %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, complaint)
	}
}

// drain: waits until nothing is received or queued.
func cmdDrain(ts *testscript.TestScript, _ bool, _ []string) {
	s := siteOf(ts)
	for range 300 {
		out, complaint, code := s.run("queue", "list", "--json")
		if code != 0 {
			ts.Fatalf("queue list: %s", complaint)
		}
		if out == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	out, _, _ := s.run("queue", "list")
	ts.Fatalf("the queue does not drain\n%s\n%s", out, s.log)
}

// received SINK N: the sink has taken N messages since the last time; they are
// written to received/1.eml and so on, decoded by Python's email package where
// a script asks for it. With N = 0 it waits a moment for what must not come.
func cmdReceived(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: received SINK N")
	}
	s := siteOf(ts)
	k := s.sinks[args[0]]
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got, err := k.Wait(ctx, n)
	if err != nil || len(k.Delivered()) != n {
		ts.Fatalf("%s has taken %d messages, want %d: %v\n%s", args[0], len(got), n, err, s.log)
	}
	dir := ts.MkAbs("received")
	ts.Check(os.MkdirAll(dir, 0o755))
	for i, m := range got {
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.eml", i+1)), m.Data, 0o600))
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.envelope", i+1)), fmt.Appendf(nil, "from %s\nto %s\n", m.From, strings.Join(m.To, " ")), 0o600))
		text, err := exec.Command("python3", "-c", pythonShow, filepath.Join(dir, fmt.Sprintf("%d.eml", i+1)), dir, strconv.Itoa(i+1)).CombinedOutput()
		if err != nil {
			ts.Fatalf("python3: %v\n%s", err, text)
		}
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.txt", i+1)), text, 0o600))
	}
}

// pythonShow reads a mail with other code than ours and shows what a reader
// would see; attachments are written beside it.
const pythonShow = `
import sys, email, email.policy, os
m = email.message_from_binary_file(open(sys.argv[1],'rb'), policy=email.policy.default)
def show(m, depth, at):
    pre = '  '*depth
    for h in ('From','To','Cc','Subject','Message-ID','In-Reply-To','References','X-Sekisho-Result'):
        if m[h] is not None: print(pre + h + ': ' + str(m[h]))
    for i, p in enumerate(m.walk() if not m.is_multipart() else m.iter_parts()):
        name = p.get_filename()
        t = p.get_content_type()
        if t == 'message/rfc822':
            print(pre + 'PART ' + t + ' ' + str(name)); show(p.get_payload(0), depth+1, at+str(i)); continue
        if p.is_multipart():
            show(p, depth+1, at+str(i)); continue
        print(pre + 'PART ' + t + ' ' + str(name))
        if t == 'text/plain' and name is None:
            print(p.get_content())
        elif name:
            open(os.path.join(sys.argv[2], sys.argv[3] + '-' + name.replace('/','_')), 'wb').write(p.get_payload(decode=True) or b'')
show(m, 0, '')
`

// held N [CLASS]: waits until N entries are held, and checks their classes; the id of the last is
// put into HELD.
func cmdHeld(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: held N [CLASS...]")
	}
	s := siteOf(ts)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var out string
	for range 200 {
		var code int
		var complaint string
		if out, complaint, code = s.run("quarantine", "list", "--json"); code != 0 {
			ts.Fatalf("quarantine list: %s", complaint)
		}
		if strings.Count(out, "\n") >= n {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if out == "" {
		lines = nil
	}
	if len(lines) != n {
		ts.Fatalf("%d entries are held, want %d\n%s\n%s", len(lines), n, out, s.log)
	}
	for i, l := range lines {
		var e struct{ ID, Class string }
		ts.Check(json.Unmarshal([]byte(l), &e))
		if i+1 < len(args) && e.Class != args[i+1] {
			ts.Fatalf("entry %d is of class %s, want %s\n%s", i+1, e.Class, args[i+1], l)
		}
		ts.Setenv("HELD"+strconv.Itoa(i+1), e.ID)
		ts.Setenv("HELD", e.ID)
	}
	fmt.Fprint(ts.Stdout(), out)
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

func (w *watchedLog) wait(msg string, limit time.Duration) error {
	deadline := time.After(limit)
	for len(w.events(msg)) == 0 {
		select {
		case <-w.more:
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			return fmt.Errorf("no event %q within %s", msg, limit)
		}
	}
	return nil
}
