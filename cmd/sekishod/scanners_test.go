package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho/internal/corpus"
	"sekisho/internal/scantest"
	"sekisho/scan"
)

// peers is the folder in which make deps unpacks other people's servers.
func peers() string {
	p, err := filepath.Abs("../../.cache/peers")
	if err != nil {
		return ""
	}
	if p, err = filepath.EvalSymlinks(p); err != nil {
		return ""
	}
	return p
}

func unpacked(name string) bool {
	_, err := os.Stat(filepath.Join(peers(), name))
	return err == nil
}

// realScanner is a clamd or rspamd of Debian's, unpacked, on data of its own.
type realScanner struct {
	addr string
	args []string
	env  []string
	cmd  *exec.Cmd
	done chan error
	log  strings.Builder
}

func (r *realScanner) up() error {
	r.cmd = exec.Command(r.args[0], r.args[1:]...)
	r.cmd.Env = append(os.Environ(), r.env...)
	r.log.Reset()
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	// rspamd is many processes, which its first one does not take along.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.cmd.WaitDelay = time.Second
	if err := r.cmd.Start(); err != nil {
		r.cmd = nil
		return err
	}
	done := make(chan error, 1)
	r.done = done
	cmd := r.cmd
	go func() { done <- cmd.Wait() }()
	return nil
}

func (r *realScanner) down() {
	if r.cmd == nil {
		return
	}
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	<-r.done
	r.cmd = nil
}

// realClamd knows one signature, which the test writes: EICAR.
func realClamd(dir string) (*realScanner, error) {
	db := filepath.Join(dir, "signatures")
	if err := os.MkdirAll(db, 0o755); err != nil {
		return nil, err
	}
	sig := "Sekisho-Test-Eicar:0:*:" + hex.EncodeToString(scantest.EICAR()) + "\n"
	if err := os.WriteFile(filepath.Join(db, "test.ndb"), []byte(sig), 0o644); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "clamd.sock")
	conf := fmt.Sprintf("LocalSocket %s\nDatabaseDirectory %s\nForeground yes\nStreamMaxLength 25M\nFixStaleSocket yes\n", socket, db)
	if os.Getuid() == 0 {
		conf += "User root\n"
	}
	name := filepath.Join(dir, "clamd.conf")
	if err := os.WriteFile(name, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return &realScanner{addr: "unix:" + socket, args: []string{filepath.Join(peers(), "usr/sbin/clamd"), "--config-file=" + name}}, nil
}

// realRspamd knows its own test patterns and nothing else, and asks nobody.
func realRspamd(dir string) (*realScanner, error) {
	share := filepath.Join(peers(), "usr/share/rspamd")
	d := filepath.Join(dir, "rspamd")
	if err := os.MkdirAll(d, 0o755); err != nil {
		return nil, err
	}
	// Debian's list of domains takes a minute to compile.
	if err := os.WriteFile(filepath.Join(d, "tld.dat"), []byte("com\njp\nexample\n"), 0o644); err != nil {
		return nil, err
	}
	socket := filepath.Join(d, "worker.sock")
	conf := fmt.Sprintf(`options { pidfile = "%[1]s/pid"; cache_file = "%[1]s/cache"; tempdir = "%[1]s"; url_tld = "%[1]s/tld.dat"; filters = "";
  enable_test_patterns = true; dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; } }
logging { type = "console"; level = "warning"; }
worker "normal" { bind_socket = "%[2]s mode=0666"; count = 1; }
actions { reject = 15; add_header = 6; }
`, d, socket)
	name := filepath.Join(d, "rspamd.conf")
	if err := os.WriteFile(name, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	args := []string{filepath.Join(peers(), "usr/bin/rspamd"), "-f", "-i", "-c", name}
	for k, v := range map[string]string{"SHAREDIR": share, "LUALIBDIR": share + "/lualib", "RULESDIR": share + "/rules", "PLUGINSDIR": share + "/plugins",
		"DBDIR": d, "RUNDIR": d, "CONFDIR": d, "LOCAL_CONFDIR": d} {
		args = append(args, "--var="+k+"="+v)
	}
	return &realScanner{addr: "unix:" + socket, args: args,
		env: []string{"LUA_PATH=" + share + "/?.lua", "LD_LIBRARY_PATH=" + filepath.Join(peers(), "usr/lib/rspamd")}}, nil
}

// scanner NAME fake|clamd|rspamd: starts a scanner and sets NAME to its
// address. scanner NAME down|up|MOOD: stops it, starts it again, or changes
// the mood of a fake one (scantest).
func cmdScanner(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "scanner NAME fake|clamd|rspamd|down|up|MOOD")
	s := siteOf(ts)
	name, what := args[0], args[1]
	switch what {
	case "fake":
		c := &scantest.Clamd{}
		ts.Check(c.Listen("unix:" + ts.MkAbs(name+".sock")))
		s.fakes[name] = c
		ts.Setenv(name, c.Addr())
		ts.Defer(c.Close)
		return
	case "clamd", "rspamd":
		begin := realClamd
		if what == "rspamd" {
			begin = realRspamd
		}
		r, err := begin(ts.MkAbs("."))
		ts.Check(err)
		s.scanners[name] = r
		ts.Setenv(name, r.addr)
		ts.Check(r.up())
		ts.Defer(r.down)
		path := strings.TrimPrefix(r.addr, "unix:")
		for range 600 {
			if _, err := os.Stat(path); err == nil {
				return
			}
			select {
			case err := <-r.done:
				ts.Fatalf("%s ended: %v\n%s", what, err, r.log.String())
			case <-time.After(100 * time.Millisecond):
			}
		}
		ts.Fatalf("%s does not listen\n%s", what, r.log.String())
	}
	if c := s.fakes[name]; c != nil {
		switch what {
		case "down":
			c.Close()
		case "up":
			ts.Check(c.Listen(ts.Getenv(name)))
		default:
			c.Be(scantest.Mood(what))
		}
		return
	}
	r := s.scanners[name]
	if r == nil {
		ts.Fatalf("there is no scanner %s", name)
	}
	switch what {
	case "down":
		r.down()
	case "up":
		ts.Check(r.up())
	default:
		ts.Fatalf("a real scanner has no mood %s", what)
	}
}

func withScanner(addr, more string) string {
	return fmt.Sprintf("scanners:\n  - { name: clamav, kind: clamd, address: %q%s }\n", addr, more)
}

// TestScannerTroubleNeverPassesAMail is FT-08: whatever is wrong with the
// scanner the mail waits, somebody is told, and when the scanner is well again
// all goes on by itself.
func TestScannerTroubleNeverPassesAMail(t *testing.T) {
	c := &scantest.Clamd{}
	if err := c.Listen("unix:" + filepath.Join(t.TempDir(), "clamd")); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	addr := c.Addr()
	s := newSite(t, binaries, withScanner(addr, ", timeout: 1s"))
	s.mustStart(t)
	good := 0
	moods := []scantest.Mood{scantest.Slow, scantest.Garbage, scantest.Huge, scantest.Cut, scantest.Hangup, scantest.Busy, "down"}
	for _, mood := range moods {
		c.Be(mood)
		if mood == "down" {
			c.Close()
		}
		id := s.send(t, corpus.Mail{Subject: "trouble", Text: "while it is " + string(mood)})
		waitFor(t, "the mail waits, scanner "+string(mood), func() bool {
			for _, e := range s.log.events("deferred") {
				if e["id"] == id && e["rule"] == "scanner" {
					return true
				}
			}
			return false
		})
		c.Be(scantest.Well)
		if mood == "down" {
			break
		}
		s.send(t, corpus.Mail{Subject: "well", Text: "hello"})
		good++
		waitFor(t, "a mail for the scanner that is well", func() bool { return len(s.sinks["TOWN"].delivered()) >= good })
	}
	if v, err := s.metric(`sekisho_alarms_total{kind="scanner"}`); err != nil || v == "0" || v == "" {
		t.Errorf("alarms %q, %v", v, err)
	}
	// Nothing that was not answered has passed meanwhile: what is delivered was
	// answered, and there may be no more of it.
	if d := int64(len(s.sinks["TOWN"].delivered())); d > c.Scanned() {
		t.Errorf("%d delivered, %d answered", d, c.Scanned())
	}
	if err := c.Listen(addr); err != nil {
		t.Fatal(err)
	}
	if err := s.drain(time.Minute); err != nil {
		t.Fatal(err)
	}
	if d := len(s.sinks["TOWN"].delivered()); d != good+len(moods) {
		t.Errorf("%d delivered, want %d", d, good+len(moods))
	}
	if held := s.heldByID(t); len(held) != 0 {
		t.Errorf("held: %v", held)
	}
	waitFor(t, "the scanner is said to be up", func() bool {
		v, err := s.metric(`sekisho_scanner_up{scanner="clamav"}`)
		return err == nil && v == "1"
	})
}

func TestScannersOfTheConfiguration(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:3310' }, { name: b, kind: rspamd, address: 'unix:/run/r.sock', spam: mark, on_failure: hold, timeout: 10s, zones: [internet] }]", ""},
		{"scanners: [{ name: a, kind: command, command: [/opt/av/scan, '-'], paths: [/opt/av] }]", ""},
		{"scanners: [{ name: a, kind: clamav, address: '127.0.0.1:3310' }]", `scanners[0].kind: want clamd, rspamd or command, got "clamav"; did you mean`},
		{"scanners: [{ name: A, kind: clamd, address: '127.0.0.1:3310' }]", "scanners[0].name"},
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:1' }, { name: a, kind: clamd, address: '127.0.0.1:1' }]", "stands twice"},
		{"scanners: [{ name: a, kind: clamd }]", "scanners[0].address: want HOST:PORT or unix:PATH"},
		{"scanners: [{ name: a, kind: clamd, address: 'unix:run' }]", "absolute path"},
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:1', on_failure: pass }]", "nothing passes without an answer"},
		{"scanners: [{ name: a, kind: rspamd, address: '127.0.0.1:1', spam: drop }]", "scanners[0].spam: want hold or mark"},
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:1', timeout: 1h }]", "scanners[0].timeout: want between 1s and 2m"},
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:1', zones: [] }]", "scanners[0].zones"},
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:1', zones: [intranet] }]", "scanners[0].zones[0]"},
		{"scanners: [{ name: a, kind: command, command: [scan] }]", "scanners[0].command: want a list with an absolute path first"},
		{"scanners: [{ name: a, kind: command, command: [/x/scan], paths: [/var/lib] }]", "scanners[0].paths[0]: /var/lib holds /var/lib/sekisho"},
		{"scanners: [{ name: a, kind: command, command: [/x/scan], paths: [/var/lib/sekisho/blobs] }]", "no scanner may read"},
		{"scanners: [{ name: a, kind: clamd, address: '127.0.0.1:1', paths: [/opt] }]", "belong to a scanner of kind command"},
		{"scanners: [{ name: a, kind: command, command: [/x/scan], adress: x }]", "unknown key"},
	} {
		_, s, err := load(t, minimal+c.in+"\n")
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.in, err)
		case c.want == "" && len(s.scanners) == 0:
			t.Errorf("%s: no scanner", c.in)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.in, err, c.want)
		}
	}
	_, s, err := load(t, minimal+"scanners: [{ name: a, kind: rspamd, address: '127.0.0.1:1' }]\n")
	if err != nil || !strings.Contains(strings.Join(s.warnings, "\n"), "no antivirus looks at mail of zone internet") {
		t.Errorf("%v, %q", err, s.warnings)
	}
}

// TestCommandScannerNeedsNamespaces runs a program of the administrator's.
func TestCommandScannerNeedsNamespaces(t *testing.T) {
	if _, err := os.Stat("/usr/bin/bwrap"); errors.Is(err, os.ErrNotExist) {
		t.Skip("SKIPPED: bubblewrap is not installed (make deps)")
	}
	dir, err := os.MkdirTemp("", "sekisho-scanner-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "av"), []byte("#!/bin/sh\ngrep -q EICAR-STANDARD && { echo Eicar; exit 1; }\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := scan.Command("house", []string{filepath.Join(dir, "av")}, []string{dir}); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, binaries, fmt.Sprintf("scanners:\n  - { name: house, kind: command, command: [%q], paths: [%q] }\n", filepath.Join(dir, "av"), dir))
	s.mustStart(t)
	s.send(t, corpus.Mail{Subject: "clean", Text: "hello"})
	bad := s.send(t, corpus.Mail{Subject: "not clean", Text: string(scantest.EICAR())})
	if err := s.drain(time.Minute); err != nil {
		t.Fatal(err)
	}
	held := s.heldByID(t)
	if len(held) != 1 || held[bad].Class != "malware" || held[bad].Rule != "malware" {
		t.Errorf("held: %+v", held)
	}
	if d := s.sinks["TOWN"].delivered(); len(d) != 1 {
		t.Errorf("%d delivered, want 1", len(d))
	}
}

// TestScannersThatDidNotChangeKeepWhatIsKnownOfThem: one that is down is not
// believed to be well because another's section was edited.
func TestScannersThatDidNotChangeKeepWhatIsKnownOfThem(t *testing.T) {
	a, b := scannerConfig{Name: "a", Kind: "clamd", Address: "127.0.0.1:1"}, scannerConfig{Name: "b", Kind: "clamd", Address: "127.0.0.1:2"}
	changed, c := b, scannerConfig{Name: "c", Kind: "clamd", Address: "127.0.0.1:3"}
	changed.OnFailure = "hold"
	made := func(cs ...scannerConfig) (out []*scan.Scanner) {
		for _, c := range cs {
			out = append(out, scan.Clamd(c.Name, c.Address))
		}
		return out
	}
	before, after := []scannerConfig{a, b}, []scannerConfig{c, changed, a}
	old, next := made(before...), made(after...)
	got := keptScanners(before, after, old, next)
	if got[2] != old[0] {
		t.Error("one that did not change is another")
	}
	if got[0] != next[0] || got[1] != next[1] {
		t.Error("a new one, or one that changed, is an old one")
	}
}
