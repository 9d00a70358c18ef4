package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// many is how many bodies share a gateway here: more than the text lane has
// workers.
const many = 35

// manyTenants measures text to many tenants in random order, and Postfix beside
// it with the same load.
func (b *bench) manyTenants(withPostfix bool) error {
	b.tenants = many
	defer func() { b.tenants = 1 }()
	conns := b.conns
	if conns == nil {
		b.conns = []int{10, 50}
		defer func() { b.conns = conns }()
	}
	text := func(name string) bool { return name == "text" }
	fmt.Printf("\n%d tenants in random order\n", many)
	var reference map[string]float64
	if withPostfix {
		var err error
		if reference, err = b.postfix(text); err != nil {
			return err
		}
	}
	g, err := b.startGateway()
	if err != nil {
		return err
	}
	g.name = fmt.Sprintf("sekisho.%dtenants", many)
	if err := b.relay(g, text, reference); err != nil {
		_ = g.stop()
		return fmt.Errorf("%w\n%s", err, g.complaints())
	}
	return g.stop()
}

// queued is how long a queue memory is measured with.
const queued = 10_000

// queue fills the queue of a hop that is down and takes the memory of the
// daemon and of all its processes.
func (b *bench) queue() error {
	if os.Geteuid() != 0 {
		fmt.Printf("\nmemory with a long queue: not measured, only root may look at a worker\n")
		return nil
	}
	// A port that was free a moment ago, and refuses.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	l.Close()
	g, err := b.startGatewayTo(addr)
	if err != nil {
		return err
	}
	err = b.fill(g)
	if stopErr := g.stop(); err == nil {
		err = stopErr
	}
	return err
}

func (b *bench) fill(g *target) error {
	stop := peaks(g.pid)
	if err := b.send(g, textMail(), 50, queued); err != nil {
		return err
	}
	end := time.Now().Add(5 * patience)
	n := 0
	for n < queued {
		log, err := os.ReadFile(g.log)
		if err != nil {
			return err
		}
		n = bytes.Count(log, []byte(`"msg":"queued"`))
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d are queued", n, queued)
		}
		time.Sleep(200 * time.Millisecond)
	}
	daemon, _, all := stop()
	var now int64
	pids, err := tree(g.pid)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if !isTool(pid) {
			now += pss(pid)
		}
	}
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	fmt.Printf("\nmemory (PSS), converters apart, with %d queued to a hop that is down: daemon %.1f MiB at its peak, all processes %.1f MiB at their peak, %.1f MiB when the last one is queued\n",
		queued, mib(daemon), mib(all), mib(now))
	return b.record(figure{Name: "memory.queued", Values: map[string]float64{"queued": queued, "daemon_mib": mib(daemon), "all_peak_mib": mib(all), "all_mib": mib(now)}})
}

// held runs the journal's own benchmark: a step of a mail with nothing held and
// with a million.
func (b *bench) held() error {
	cmd := exec.Command("go", "test", "./internal/store/sqlite", "-run", "^$", "-bench", "AmongHeld", "-benchtime", "0.5s", "-timeout", "10m")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test: %w: %s", err, out)
	}
	line := regexp.MustCompile(`(?m)^BenchmarkAmongHeld/held=(\d+)/(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)
	fmt.Printf("\ncost of a step in the journal, by what is held\n")
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		ns, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return err
		}
		what := strings.ReplaceAll(m[2], "_", " ")
		fmt.Printf("   %9s held, %-30s %9.3f ms\n", m[1], what+":", ns/1e6)
		if err := b.record(figure{Name: "held", Note: what, Values: map[string]float64{"held": atof(m[1]), "ms": ns / 1e6}}); err != nil {
			return err
		}
	}
	return nil
}

func atof(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64) // digits, by the expression above
	return f
}

// scanners measures Postfix with rspamd as its milter and clamd behind rspamd,
// which look at documents and change nothing. Both are Debian's, unpacked, with
// few rules and one signature: cheaper than any of them runs anywhere.
func (b *bench) scanners() error {
	clamd, rspamd := filepath.Join(b.peers, "usr/sbin/clamd"), filepath.Join(b.peers, "usr/bin/rspamd")
	master := filepath.Join(b.peers, "usr/lib/postfix/sbin/master")
	for _, p := range []string{clamd, rspamd, master} {
		if _, err := os.Stat(p); err != nil {
			fmt.Printf("\npostfix + rspamd + clamd: not run, %v (make deps unpacks it)\n", err)
			return nil
		}
	}
	if os.Geteuid() != 0 {
		fmt.Printf("\npostfix + rspamd + clamd: not run, Postfix's master must be started by root\n")
		return nil
	}
	stopScanners, milter, err := b.startScanners(clamd, rspamd)
	if err != nil {
		fmt.Printf("\npostfix + rspamd + clamd: not run, %v\n", err)
		return nil
	}
	defer stopScanners()
	g, err := b.startPostfix(master, "smtpd_milters = inet:"+milter, "milter_default_action = tempfail", "milter_protocol = 6")
	if err != nil {
		return err
	}
	g.name = "postfix+rspamd+clamd"
	// That both are asked is seen by what they refuse.
	bad := bytes.Replace(textMail(), []byte("\r\n\r\n"), []byte("\r\n\r\n"+signed+"\r\n"), 1)
	if _, err := deliver(g.addr, recipient, bad); err == nil {
		fmt.Printf("\npostfix + rspamd + clamd: not run, what clamd knows as bad came through\n")
		return g.stop()
	}
	docx := func(name string) bool { return name == "docx" || name == "picture" }
	reference := map[string]float64{}
	err = b.relay(g, docx, reference)
	if stopErr := g.stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	for _, k := range []string{"docx", "picture"} {
		name := k + ".c10"
		if ref, own := reference[name], b.delivered[name]; ref > 0 && own > 0 {
			fmt.Printf("   %s: the gateway %.0f/s, %.2f x Postfix + rspamd + clamd\n", k, own, own/ref)
			if err := b.record(figure{Name: "sekisho." + name + ".scanners", Values: map[string]float64{"ratio_to_postfix_rspamd_clamd": own / ref}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// signed is what the one signature of clamd finds.
const signed = "bench-nothing-has-this"

const rspamdConf = `options { pidfile = "%[1]s/pid"; cache_file = "%[1]s/cache"; tempdir = "%[1]s"; url_tld = "%[1]s/tld.dat";
  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; } }
logging { type = "console"; level = "warning"; }
worker "rspamd_proxy" { bind_socket = "%[2]s"; milter = yes; count = 2; timeout = 60s; upstream "local" { default = yes; self_scan = yes; } }
actions { reject = 15; add_header = 6; }
modules { path = "%[3]s"; }
antivirus { clamav { scan_mime_parts = false; symbol = "VIRUS"; type = "clamav"; servers = "%[4]s"; action = "reject"; } }
`

// startScanners starts clamd and, before it, rspamd, and returns the address of
// the milter.
func (b *bench) startScanners(clamd, rspamd string) (_ func(), milter string, err error) {
	dir, err := os.MkdirTemp(b.dir, "scanners-")
	if err != nil {
		return nil, "", err
	}
	var running []*exec.Cmd
	stop := func() {
		for _, c := range running {
			// rspamd is many processes.
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
			_ = c.Wait()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	free := func() string {
		l, lerr := net.Listen("tcp", "127.0.0.1:0")
		if lerr != nil {
			err = lerr
			return ""
		}
		defer l.Close()
		return l.Addr().String()
	}
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if werr := os.WriteFile(p, []byte(text), 0o644); werr != nil {
			err = werr
		}
		return p
	}
	begin := func(addr string, env []string, name string, args ...string) {
		if err != nil {
			return
		}
		log, lerr := os.Create(filepath.Join(dir, filepath.Base(name)+".log"))
		if lerr != nil {
			err = lerr
			return
		}
		defer log.Close()
		c := exec.Command(name, args...)
		c.Env = append(append(os.Environ(), b.libraries()), env...)
		c.Stdout, c.Stderr = log, log
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err = c.Start(); err != nil {
			return
		}
		running = append(running, c)
		for range 300 {
			if conn, derr := net.Dial("tcp", addr); derr == nil {
				conn.Close()
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		said, _ := os.ReadFile(log.Name())
		err = fmt.Errorf("%s does not listen on %s: %.600s", filepath.Base(name), addr, said)
	}
	av := free()
	host, port, _ := strings.Cut(av, ":")
	db := filepath.Join(dir, "signatures")
	if merr := os.Mkdir(db, 0o755); merr != nil {
		return nil, "", merr
	}
	write("signatures/test.ndb", fmt.Sprintf("Bench-Test:0:*:%x\n", signed))
	conf := write("clamd.conf", fmt.Sprintf("TCPSocket %s\nTCPAddr %s\nDatabaseDirectory %s\nForeground yes\nStreamMaxLength 25M\nUser root\n", port, host, db))
	begin(av, nil, clamd, "--config-file="+conf)
	milter = free()
	share := filepath.Join(b.peers, "usr/share/rspamd")
	// Debian's list of domains takes a minute to compile.
	write("tld.dat", "com\njp\nexample\n")
	conf = write("rspamd.conf", fmt.Sprintf(rspamdConf, dir, milter, share+"/plugins/", av))
	args := []string{"-f", "-i", "-c", conf}
	for _, v := range [][2]string{{"SHAREDIR", share}, {"LUALIBDIR", share + "/lualib"}, {"RULESDIR", share + "/rules"}, {"PLUGINSDIR", share + "/plugins"},
		{"DBDIR", dir}, {"RUNDIR", dir}, {"CONFDIR", dir}, {"LOCAL_CONFDIR", dir}} {
		args = append(args, "--var="+v[0]+"="+v[1])
	}
	begin(milter, []string{"LUA_PATH=" + share + "/?.lua", "LD_LIBRARY_PATH=" + filepath.Join(b.peers, "usr/lib/rspamd") + ":" +
		filepath.Join(b.peers, "usr/lib/x86_64-linux-gnu")}, rspamd, args...)
	if err != nil {
		return nil, "", err
	}
	return stop, milter, nil
}
