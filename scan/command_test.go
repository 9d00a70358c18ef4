package scan

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/scantest"
)

// A command is run by bubblewrap, which make deps installs.
func sandboxed(t *testing.T, script string) *world {
	t.Helper()
	if _, err := os.Stat(bwrap); err != nil {
		t.Skip("SKIPPED: bubblewrap is not installed (make deps)")
	}
	dir, err := os.MkdirTemp("", "scan-command-") // readable by nobody, who runs it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "scan"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	sc, err := Command("house", []string{filepath.Join(dir, "scan"), "-"}, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	sc.Timeout = 20 * time.Second
	return newWorld(t, sc)
}

func TestCommandsStatusIsItsVerdictNeedsNamespaces(t *testing.T) {
	for _, c := range []struct {
		script  string
		verdict envelope.ScanVerdict
		detail  string
	}{
		{"cat >/dev/null; exit 0", envelope.ScanClean, ""},
		{"exit 0", envelope.ScanClean, ""},
		{"grep -q EICAR && { echo Eicar; exit 1; }; exit 0", envelope.ScanMalware, "Eicar"},
		{"echo 'looks like spam'; echo more; exit 3", envelope.ScanSpam, "looks like spam"},
		{"echo broken >&2; exit 2", 0, "exit status 2 broken"},
		{"exit 127", 0, "exit status 127"},
		{"kill -9 $$", 0, "exit status 137"},
		{"head -c 100000 /dev/zero", 0, "an answer of more than 65536 octets"},
		{"exec yes", 0, "an answer of more than 65536 octets"},
	} {
		w := sandboxed(t, c.script)
		r, _ := w.scan(t, message(append(bytes.Repeat([]byte("x\n"), 1<<20), scantest.EICAR()...)), 0)
		if r.Verdict != c.verdict || c.detail != "" && !strings.Contains(r.Detail, c.detail) {
			t.Errorf("%s: %s, want %s %q", c.script, r, c.verdict, c.detail)
		}
	}
}

func TestCommandIsEndedWithItsChildrenNeedsNamespaces(t *testing.T) {
	w := sandboxed(t, "sleep 1000 & sleep 1000")
	w.Scanners[0].Timeout = time.Second
	r, wait := w.scan(t, message(hello), 0)
	if r.Verdict != 0 || wait == nil || !strings.Contains(r.Detail, "no answer within 1s") {
		t.Errorf("%s, %v", r, wait)
	}
}

// TestCommandSeesNothingOfOursNeedsNamespaces: hostile bytes may capture it.
func TestCommandSeesNothingOfOursNeedsNamespaces(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "site.key")
	if err := os.WriteFile(secret, []byte("key"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET", "in the environment")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for name, script := range map[string]string{
		"a file outside":          "cat " + secret,
		"the users":               "cat /etc/passwd",
		"the environment":         `[ -n "$SECRET$HOME$USER" ]`,
		"the network":             "bash -c 'exec 3<>/dev/tcp/127.0.0.1/" + port + "'",
		"another process":         "[ $(ls /proc | wc -l) != 0 ] && kill -0 " + fmt.Sprint(os.Getpid()),
		"writing":                 "touch /usr/x || touch ${0}x",
		"root":                    "[ $(id -u) = 0 ]",
		"a file of more than all": "dd if=/dev/zero of=/tmp/x bs=1M count=300",
	} {
		w := sandboxed(t, "exec 2>/dev/null\n"+script+" >/dev/null && exit 1\nexit 0")
		if r, _ := w.scan(t, message(hello), 0); r.Verdict != envelope.ScanClean {
			t.Errorf("%s: it has that: %s", name, r)
		}
	}
}

func TestProbeOfACommandLooksForTheProgramNeedsNamespaces(t *testing.T) {
	w := sandboxed(t, "exit 0")
	w.probe(t.Context(), w.Scanners[0])
	if got := w.alarms(); got != "" {
		t.Errorf("alarms %q: %s", got, w.Health()[0].Down)
	}
	sc, err := Command("gone", []string{"/opt/nothing/scan"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, sc)
	w.probe(t.Context(), sc)
	if got := w.alarms(); got != "scanner" || !strings.Contains(w.Health()[0].Down, "/opt/nothing/scan") {
		t.Errorf("alarms %q: %s", got, w.Health()[0].Down)
	}
}

func TestCommandsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, c := range []struct{ argv, paths []string }{{nil, nil}, {[]string{"clamscan"}, nil}, {[]string{"/usr/bin/x"}, []string{"opt"}}, {[]string{"/usr/bin/x"}, []string{"/"}}, {[]string{"/usr/bin/x"}, []string{"/opt/.."}}} {
		if _, err := Command("x", c.argv, c.paths); err == nil {
			t.Errorf("%v %v is accepted", c.argv, c.paths)
		}
	}
}
