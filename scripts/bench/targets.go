package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A target is a mail server under load.
type target struct {
	name, addr string
	note       string
	pid        int
	reference  bool // others are compared with it
	stop       func() error
	log        string // file
}

// complaints are the lines of the gateway's log that are no routine, for a
// measurement that failed.
func (t *target) complaints() string {
	b, err := os.ReadFile(t.log)
	if err != nil {
		return ""
	}
	var lines []string
	for l := range strings.Lines(string(b)) {
		if !strings.Contains(l, `"level":"INFO"`) || strings.Contains(l, `"msg":"held"`) {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-10):], "")
}

const configuration = `hostname: mx.bench.example
data_dir: %s/data
listeners:
  - { name: mx, zone: internet, listen: ["127.0.0.1:0"], peers: ["127.0.0.1"] }
limits: { messages_per_minute_per_tenant: 10000000 }
tenants:
%shops:
  - { name: inner, network: local, hosts: [%q] }
routes:
%s%smetrics: { listen: "" }
`

func (b *bench) startGateway() (*target, error) {
	return b.startGatewayTo(b.sink.l.Addr().String())
}

// startGatewayTo starts a gateway whose mail goes to addr.
func (b *bench) startGatewayTo(addr string) (*target, error) {
	dir, err := os.MkdirTemp(b.dir, "gateway-")
	if err != nil {
		return nil, err
	}
	var tenants, routes strings.Builder
	for i := range b.tenants {
		fmt.Fprintf(&tenants, "  - { id: town%d, name: 町%d, domains: [town%d.example.lg.jp], recipients: { accept: any } }\n", i, i, i)
		fmt.Fprintf(&routes, "  - { domain: town%d.example.lg.jp, hop: inner }\n", i)
	}
	file := filepath.Join(dir, "sekisho.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, dir, tenants.String(), addr, routes.String(), b.profiles), 0o600); err != nil {
		return nil, err
	}
	logName := filepath.Join(dir, "log")
	log, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(b.bin, "sekishod"), "--config", file)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &target{name: "sekisho", log: logName, pid: cmd.Process.Pid, note: fmt.Sprintf("greeting pause off (the load comes from a named peer), %d tenant(s)", b.tenants)}
	g.stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return cmd.Wait()
	}
	if g.addr, err = listening(logName); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	if err := b.settle(g); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

// settle waits until the gateway has its converters. It starts them half a minute
// after itself, and their CPU-seconds belong to no mail that is measured.
func (b *bench) settle(g *target) error {
	if b.cold {
		return nil
	}
	if _, err := exec.LookPath("soffice"); err != nil {
		return nil // it has none to start
	}
	begin := time.Now()
	var before time.Duration
	for still := 0; still < 3; {
		now, err := cpuTime(g.pid)
		if err != nil {
			return err
		}
		pids, err := tree(g.pid)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(pids, isTool) && now-before < 50*time.Millisecond {
			still++
		} else {
			still = 0
		}
		if time.Since(begin) > 2*time.Minute {
			return errors.New("the converters of the gateway do not come to rest in two minutes (--cold does not wait for them)")
		}
		before = now
		time.Sleep(time.Second)
	}
	return nil
}

// listening waits for the address of the listener in the gateway's log.
func listening(logName string) (string, error) {
	for range 300 {
		b, err := os.ReadFile(logName)
		if err != nil {
			return "", err
		}
		addr := ""
		for l := range bytes.Lines(b) {
			var e struct{ Msg, Rule, Hop string }
			if json.Unmarshal(l, &e) != nil {
				continue
			}
			if e.Msg == "listening" && e.Rule == "mx" {
				addr = e.Hop
			}
			if e.Msg == "started" {
				return addr, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	b, _ := os.ReadFile(logName)
	return "", fmt.Errorf("the gateway does not start:\n%s", b)
}

// libraries lets the unpacked programs find theirs.
func (b *bench) libraries() string {
	return "LD_LIBRARY_PATH=" + filepath.Join(b.peers, "usr/lib/postfix") + ":" + filepath.Join(b.peers, "usr/lib/x86_64-linux-gnu")
}

const mainCF = `compatibility_level = 3.6
mail_owner = %[1]s
setgid_group = %[2]s
default_privs = nobody
queue_directory = %[3]s/queue
data_directory = %[3]s/data
meta_directory = %[3]s/etc
command_directory = %[4]s/usr/sbin
daemon_directory = %[4]s/usr/lib/postfix/sbin
shlib_directory = no
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ LANG=C
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.bench.example
mynetworks = 127.0.0.0/8
mydestination =
relay_domains = example.lg.jp
smtpd_relay_restrictions = permit_mynetworks, reject
relay_transport = smtp:[127.0.0.1]:%[5]d
default_transport = error:no
disable_dns_lookups = yes
smtp_host_lookup = native
alias_maps =
local_recipient_maps =
maillog_file = %[3]s/log
maillog_file_prefixes = %[3]s
`

const masterCF = `127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

// postfix measures Postfix, which relays and treats nothing. It is configured
// as Debian does but for what a foreign folder needs.
func (b *bench) postfix(want func(string) bool) (map[string]float64, error) {
	master := filepath.Join(b.peers, "usr/lib/postfix/sbin/master")
	if _, err := os.Stat(master); err != nil {
		fmt.Printf("\npostfix: not measured, %v (make deps unpacks it)\n", err)
		return nil, nil
	}
	if os.Geteuid() != 0 {
		fmt.Printf("\npostfix: not measured, its master must be started by root\n")
		return nil, nil
	}
	g, err := b.startPostfix(master)
	if err != nil {
		return nil, err
	}
	reference := map[string]float64{}
	err = b.relay(g, want, reference)
	return reference, errors.Join(err, g.stop())
}

// startPostfix starts one; more is further lines of its main.cf.
func (b *bench) startPostfix(master string, more ...string) (*target, error) {
	dir, err := os.MkdirTemp(b.dir, "postfix-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	// Postfix wants an owner and a group that are nobody else's; these two are
	// on every Debian and own nothing.
	const owner, group = "list", "games"
	u, err := user.Lookup(owner)
	if err != nil {
		return nil, err
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(g.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	for _, d := range []string{"etc", "data", "queue", "queue/pid"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	for _, d := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private public maildrop saved trace") {
		p := filepath.Join(dir, "queue", d)
		if err := os.MkdirAll(p, 0o700); err != nil {
			return nil, err
		}
		to := 0
		if d == "public" || d == "maildrop" {
			to = gid
		}
		if err := os.Chown(p, uid, to); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(filepath.Join(dir, "data"), uid, 0); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	etc := filepath.Join(dir, "etc")
	sinkPort := b.sink.l.Addr().(*net.TCPAddr).Port
	if err := os.WriteFile(filepath.Join(etc, "main.cf"), fmt.Appendf(nil, mainCF+strings.Join(more, "\n")+"\n", owner, group, dir, b.peers, sinkPort), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(etc, "master.cf"), fmt.Appendf(nil, masterCF, port), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(master, "-d", "-c", etc)
	cmd.Env = append(os.Environ(), b.libraries(), "MAIL_CONFIG="+etc)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &target{name: "postfix", addr: fmt.Sprintf("127.0.0.1:%d", port), pid: cmd.Process.Pid, reference: true}
	t.stop = func() error {
		// Its children end when it does; a signal as the cause is as asked for.
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		_ = cmd.Wait()
		return nil
	}
	for range 100 {
		c, err := net.Dial("tcp", t.addr)
		if err == nil {
			c.Close()
			return t, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return nil, errors.Join(fmt.Errorf("it does not listen: %s", log), t.stop())
}
