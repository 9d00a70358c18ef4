package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"sekisho/internal/dnstest"
	"sekisho/internal/scantest"
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
	if err := build(dir, "sekisho/cmd/..."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// build compiles as `make build` does.
func build(dir string, packages ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", dir}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// TestScripts runs testdata/script/*.txtar: a gateway of its own for each, real
// mail in, a sink behind it. Each command has its comment below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			// Somebody else must be able to reach the socket: see accounts.txtar.
			for d := filepath.Dir(e.WorkDir); d != filepath.Clean(os.TempDir()) && len(d) > 1; d = filepath.Dir(d) {
				if err := os.Chmod(d, 0o711); err != nil {
					return err
				}
			}
			e.Setenv("PATH", binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("SEKISHO_SOCKET", filepath.Join(e.WorkDir, "data", "admin.sock"))
			e.Setenv("DATA", filepath.Join(e.WorkDir, "data"))
			// The long form of scenarios 13 and 14; "" is the short one.
			e.Setenv("MESSAGES", os.Getenv("SEKISHO_MESSAGES"))
			// Postfix's clients are unpacked, not installed, with their libraries.
			e.Setenv("LD_LIBRARY_PATH", os.Getenv("LD_LIBRARY_PATH"))
			s := &site{dir: e.WorkDir, bin: binaries, sinks: map[string]*sink{}, fakes: map[string]*scantest.Clamd{}, scanners: map[string]*realScanner{}}
			e.Values[siteKey{}] = s
			e.Values[dnsKey{}] = new(*dnstest.Server)
			e.Defer(s.close)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Getuid() == 0, nil
			case "mount":
				return mountable(), nil
			case "clamd":
				return unpacked("usr/sbin/clamd"), nil
			case "long":
				return os.Getenv("SEKISHO_MESSAGES") != "", nil
			case "rspamd":
				return unpacked("usr/bin/rspamd"), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sink":     cmdSink,
			"behave":   cmdBehave,
			"gateway":  cmdGateway,
			"mail":     cmdMail,
			"oldword":  cmdOldWord,
			"pad":      cmdPad,
			"send":     cmdSend,
			"cert":     cmdCert,
			"starttls": cmdStartTLS,
			"drain":    cmdDrain,
			"received": cmdReceived,
			"taken":    cmdTaken,
			"disk":     cmdDisk,
			"held":     cmdHeld,
			"sekisho":  cmdSekisho,
			"as":       cmdAs,
			"sql":      cmdSQL,
			"metric":   cmdMetric,
			"logged":   cmdLogged,
			"config":   cmdConfig,
			"zip":      cmdZIP,
			"sample":   cmdSample,
			"macro":    cmdMacro,
			"dns":      cmdDNS,
			"dkimkey":  cmdDKIMKey,
			"sign":     cmdSign,
			"scanner":  cmdScanner,
			"dkim":     cmdDKIM,
		},
	})
}

type siteKey struct{}

func siteOf(ts *testscript.TestScript) *site { return ts.Value(siteKey{}).(*site) }

func sinkOf(ts *testscript.TestScript, name string) *sink {
	k := siteOf(ts).sinks[name]
	if k == nil {
		ts.Fatalf("there is no sink %s", name)
	}
	return k
}

func usageOf(ts *testscript.TestScript, bad bool, text string) {
	if bad {
		ts.Fatalf("usage: %s", text)
	}
}

// sink NAME [down|up]: starts a mail server and sets NAME to its address, or
// takes it down, or starts it again at the same address.
func cmdSink(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "sink NAME [down|up|takes OCTETS]"
	usageOf(ts, neg || len(args) < 1 || len(args) > 3 || len(args) == 3 && args[1] != "takes", usage)
	if len(args) == 1 {
		k, err := newSink("")
		ts.Check(err)
		siteOf(ts).sinks[args[0]] = k
		ts.Setenv(args[0], k.addr)
		return
	}
	switch args[1] {
	case "down":
		sinkOf(ts, args[0]).down()
	case "up":
		ts.Check(sinkOf(ts, args[0]).up())
	case "takes":
		usageOf(ts, len(args) != 3, usage)
		k := sinkOf(ts, args[0])
		k.down()
		k.extensions = []string{"PIPELINING", "SIZE " + args[2], "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
		ts.Check(k.up())
	default:
		ts.Fatalf("sink %s", args[1])
	}
}

// behave SINK [STAGE REPLY [REGEXP]]: the sink gives this reply at the stage
// (smtptest.Stage), where the command line matches; without a stage it is good
// again.
func cmdBehave(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) == 0 || len(args) == 2 || len(args) > 4, "behave SINK [STAGE REPLY [REGEXP]]")
	if len(args) == 1 {
		sinkOf(ts, args[0]).behave(nil)
		return
	}
	re := regexp.MustCompile("")
	if len(args) == 4 {
		var err error
		re, err = regexp.Compile(args[3])
		ts.Check(err)
	}
	sinkOf(ts, args[0]).behave(func(c smtptest.Call) smtptest.Act {
		if string(c.Stage) == args[1] && re.MatchString(c.Line) {
			return smtptest.Act{Reply: args[2]}
		}
		return smtptest.Act{}
	})
}

// config FILE: writes FILE with the script's variables expanded to
// sekisho.yaml, with data_dir and a free port for the metrics set.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 1, "config FILE")
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	text += "\ndata_dir: " + ts.Getenv("DATA") + "\nmetrics: { listen: \"127.0.0.1:0\" }\n" + unjudged(text)
	ts.Check(os.WriteFile(ts.MkAbs("sekisho.yaml"), []byte(text), 0o600))
}

// gateway start|stop|kill|reload|log: the daemon on sekisho.yaml. start waits
// until it listens and sets each listener's name to its address; with ! it
// must refuse to start; start FOLDER is on a machine where FOLDER is empty, for
// scripts that say [!mount] skip. reload waits for the answer and prints it, and sets the
// addresses of new listeners.
func cmdGateway(ts *testscript.TestScript, neg bool, args []string) {
	s := siteOf(ts)
	usageOf(ts, len(args) != 1 && (len(args) != 2 || neg || args[0] != "start"), "gateway start [FOLDER]|stop|kill|reload|log")
	switch args[0] {
	case "start":
		if neg {
			out, err := exec.Command(filepath.Join(s.bin, "sekishod"), "--config", s.config()).CombinedOutput()
			fmt.Fprintf(ts.Stderr(), "%s", out)
			if err == nil {
				ts.Fatalf("the gateway started, and ended by itself")
			}
			return
		}
		if len(args) == 2 {
			ts.Check(s.startWithout(args[1]))
		} else {
			ts.Check(s.start())
		}
		for _, l := range s.log.events("listening") {
			ts.Setenv(fmt.Sprint(l["rule"]), fmt.Sprint(l["hop"]))
		}
	case "stop":
		if err := s.end(syscall.SIGTERM); err != nil {
			ts.Fatalf("gateway stopped with %v\n%s", err, s.log)
		}
	case "kill":
		if err := s.end(syscall.SIGKILL); err == nil {
			ts.Fatalf("a killed gateway ended well")
		}
	case "reload":
		n := len(s.log.events("reload"))
		ts.Check(s.gateway.Process.Signal(syscall.SIGHUP))
		ts.Check(s.log.waitMore("reload", n, 20*time.Second))
		for _, e := range s.log.events("reload")[n:] {
			fmt.Fprintf(ts.Stdout(), "%v %v\n", e["kind"], e["err"])
		}
		for _, l := range s.log.events("listening") {
			ts.Setenv(fmt.Sprint(l["rule"]), fmt.Sprint(l["hop"]))
		}
	case "log":
		fmt.Fprint(ts.Stdout(), s.log.String())
	default:
		ts.Fatalf("gateway %s", args[0])
	}
}

// logged EVENT [REGEXP]: waits for a line of the daemon's log.
func cmdLogged(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) < 1 || len(args) > 2, "logged EVENT [REGEXP]")
	re := regexp.MustCompile("")
	if len(args) == 2 {
		var err error
		re, err = regexp.Compile(args[1])
		ts.Check(err)
	}
	log := siteOf(ts).log
	for range 300 {
		for _, e := range log.events(args[0]) {
			if l, err := json.Marshal(e); err == nil && re.Match(l) {
				fmt.Fprintf(ts.Stdout(), "%s\n", l)
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("no event %s of that kind\n%s", args[0], log)
}

// metric NAME VALUE: waits until the figure has this value.
func cmdMetric(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "metric NAME VALUE")
	var got string
	for range 100 {
		var err error
		got, err = siteOf(ts).metric(args[0])
		ts.Check(err)
		if got == args[1] {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("%s is %q, want %s", args[0], got, args[1])
}

// sekisho [STATUS] ARGS...: the command line. STATUS is the exit status it
// must have, 0 if there is none.
func cmdSekisho(ts *testscript.TestScript, neg bool, args []string) {
	commandLine(ts, neg, os.Getuid(), args)
}

// as UID [STATUS] ARGS...: the same by somebody else, for scripts that say
// [!root] skip.
func cmdAs(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) < 2, "as UID [STATUS] ARGS...")
	uid, err := strconv.Atoi(args[0])
	ts.Check(err)
	commandLine(ts, neg, uid, args[1:])
}

func commandLine(ts *testscript.TestScript, neg bool, uid int, args []string) {
	want := 0
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			want, args = n, args[1:]
		}
	}
	usageOf(ts, neg, "say which status: sekisho 4 ...")
	out, complaint, code := siteOf(ts).runAs(uid, args...)
	fmt.Fprint(ts.Stdout(), out)
	fmt.Fprint(ts.Stderr(), complaint)
	if code != want {
		ts.Fatalf("sekisho %s: status %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, complaint)
	}
}

// sql STATEMENT: changes the database behind the gateway's back.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 1, "sql STATEMENT")
	db := openDatabase(ts.Getenv("DATA"))
	defer db.Close()
	r, err := db.Exec(args[0])
	ts.Check(err)
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("%d rows changed: %v", n, err)
	}
}

// openDatabase opens the journal beside a gateway, running or not.
func openDatabase(data string) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "sekisho.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		panic(err) // only for a driver that is not there
	}
	return db
}

// drain: waits until nothing is received or queued.
func cmdDrain(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(siteOf(ts).drain(60 * time.Second))
}

// received SINK N: the sink has taken N messages in all; they are written to
// received/1.eml and so on, as Python's email package reads them to
// received/1.txt, attachments to received/1-NAME.
func cmdReceived(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "received SINK N")
	s, k := siteOf(ts), sinkOf(ts, args[0])
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	got := k.wait(n, 60*time.Second)
	if len(got) != n {
		ts.Fatalf("%s has taken %d messages, want %d\n%s", args[0], len(got), n, s.log)
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

// taken SINK FILE: what the sink has taken, a line each: Message-ID, id of the
// gateway, number of octets, when it came in seconds since 1970.
func cmdTaken(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "taken SINK FILE")
	var b strings.Builder
	for _, m := range sinkOf(ts, args[0]).delivered() {
		h, err := mail.ReadMessage(bytes.NewReader(m.Data))
		ts.Check(err)
		fmt.Fprintf(&b, "%s %s %d %.3f\n", h.Header.Get("Message-Id"), h.Header.Get("X-Sekisho-Id"), len(m.Data), float64(m.At.UnixMilli())/1000)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// mountable reports whether a test may mount a file system of its own.
func mountable() bool {
	d, err := os.MkdirTemp("", "sekisho-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(d)
	if unix.Mount("tmpfs", d, "tmpfs", 0, "size=1m") != nil {
		return false
	}
	return unix.Unmount(d, 0) == nil
}

// disk MIB: gives the data directory a disk of its own of so many MiB, for
// scripts that say [!mount] skip.
func cmdDisk(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 1, "disk MIB")
	data := ts.Getenv("DATA")
	ts.Check(os.MkdirAll(data, 0o710))
	ts.Check(unix.Mount("tmpfs", data, "tmpfs", 0, "mode=710,size="+args[0]+"m"))
	// It goes when the last file on it is closed.
	ts.Defer(func() { _ = unix.Unmount(data, unix.MNT_DETACH) })
}

// pythonShow reads a mail with other code than ours and shows what a reader
// would see; attachments are written beside it, and of those that are ZIPs
// every member is listed and its text printed.
const pythonShow = `
import sys, email, email.policy, os, zipfile, io
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
            b = p.get_payload(decode=True) or b''
            open(os.path.join(sys.argv[2], sys.argv[3] + '-' + name.replace('/','_')), 'wb').write(b)
            if b[:2] == b'PK':
                z = zipfile.ZipFile(io.BytesIO(b))
                for n in z.namelist():
                    d = z.read(n)
                    print(pre + 'MEMBER ' + name + '!' + n)
                    if n.endswith('.xml') or n.endswith('.rels'): print(d.decode('utf-8'))
show(m, 0, '')
`

// held N [CLASS...]: waits until N entries are held, and checks their classes,
// oldest first. HELD1, HELD2 ... are their ids, HELD the last one's.
func cmdHeld(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) < 1, "held N [CLASS...]")
	s := siteOf(ts)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var out string
	for range 300 {
		var code int
		var complaint string
		if out, complaint, code = s.run("quarantine", "list", "--json"); code != 0 {
			ts.Fatalf("quarantine list: %s", complaint)
		}
		if strings.Count(out, "\n") == n {
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
		var e heldEntry
		ts.Check(json.Unmarshal([]byte(l), &e))
		if i+1 < len(args) && e.Class != args[i+1] {
			ts.Fatalf("entry %d is of class %s, want %s\n%s", i+1, e.Class, args[i+1], l)
		}
		ts.Setenv("HELD"+strconv.Itoa(i+1), e.ID)
		ts.Setenv("HELD", e.ID)
	}
	fmt.Fprint(ts.Stdout(), out)
}
