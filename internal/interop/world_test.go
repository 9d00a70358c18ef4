package interop

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/dnstest"
	"sekisho/internal/smtptest"
)

// The names under which the parent hands its folders to the tests.
const (
	dirEnv = "SEKISHO_INTEROP_DIR"
	binEnv = "SEKISHO_INTEROP_BIN"
)

// The addresses of this world: RFC 5737.
const (
	ourMX     = "203.0.113.10"
	postfixMX = "203.0.113.20"
	eximMX    = "203.0.113.30"
	inside    = "127.0.0.1:10025" // our listener of zone lgwan
)

const zone = `
town.example.lg.jp.    60 IN MX 10 mx.town.example.lg.jp.
mx.town.example.lg.jp. 60 IN A ` + ourMX + `
postfix.example.       60 IN MX 10 mx.postfix.example.
postfix.example.       60 IN TXT "v=spf1 ip4:` + postfixMX + ` -all"
_dmarc.postfix.example. 60 IN TXT "v=DMARC1; p=reject"
mx.postfix.example.    60 IN TXT "v=spf1 a -all"
mx.postfix.example.    60 IN A ` + postfixMX + `
exim.example.          60 IN MX 10 mx.exim.example.
exim.example.          60 IN TXT "v=spf1 ip4:` + eximMX + ` -all"
_dmarc.exim.example.   60 IN TXT "v=DMARC1; p=reject"
mx.exim.example.       60 IN TXT "v=spf1 a -all"
mx.exim.example.       60 IN A ` + eximMX + `
other.example.         60 IN A ` + postfixMX + `
`

// skip says why there is no world; the tests repeat it.
var skip string

// here is the world, when there is one.
var here *world

type world struct {
	dir, bin string
	sink     *smtptest.Sink // the town's mail server
	log      *os.File       // of the gateway
	ended    chan error
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirEnv); dir != "" {
		w := &world{dir: dir, bin: os.Getenv(binEnv)}
		if err := w.begin(); err != nil {
			fmt.Fprintln(os.Stderr, "interop:", err)
			w.show()
			os.Exit(1)
		}
		here = w
		code := m.Run()
		if code != 0 {
			w.show()
		}
		os.Exit(code)
	}
	code, err := again()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	if skip != "" {
		code = m.Run()
	}
	os.Exit(code)
}

func peers() (string, error) {
	p, err := filepath.Abs("../../.cache/peers")
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(p)
}

// again starts the tests once more, in namespaces of their own.
func again() (int, error) {
	p, err := peers()
	if err == nil {
		for _, f := range []string{"usr/lib/postfix/sbin/master", "usr/sbin/exim4"} {
			if _, err = os.Stat(filepath.Join(p, f)); err != nil {
				break
			}
		}
	}
	switch {
	case os.Getuid() != 0:
		skip = "SKIPPED: Postfix and Exim need root, for namespaces and several users"
		return 0, nil
	case err != nil:
		skip = "SKIPPED: Postfix and Exim are not unpacked (make deps): " + err.Error()
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "sekisho-interop-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return 0, err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", bin, "sekisho/cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), dirEnv+"="+dir, binEnv+"="+bin)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// begin furnishes the namespaces and starts everybody.
func (w *world) begin() error {
	p, err := peers()
	if err != nil {
		return err
	}
	for _, d := range []string{"etc", "spool/boxes/postfix", "spool/boxes/exim", "spool/log", "spool/exim4", "spool/postfix", "lib/postfix", "data"} {
		if err := os.MkdirAll(filepath.Join(w.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := w.etc(p); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"proc", "/proc", "proc", 0, ""},
		{"overlay", "/usr", "overlay", unix.MS_RDONLY, "lowerdir=" + filepath.Join(p, "usr") + ":/usr"},
		{"overlay", "/etc", "overlay", unix.MS_RDONLY, "lowerdir=" + filepath.Join(w.dir, "etc") + ":" + filepath.Join(p, "etc") + ":/etc"},
		{filepath.Join(w.dir, "spool"), "/var/spool", "", unix.MS_BIND, ""},
		{filepath.Join(w.dir, "lib"), "/var/lib", "", unix.MS_BIND, ""},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	for d, uid := range map[string]int{"/var/spool/boxes/postfix": 9104, "/var/spool/boxes/exim": 9101, "/var/spool/exim4": 9101, "/var/spool/log": 9101, "/var/lib/postfix": 9102} {
		if err := os.Chown(d, uid, uid); err != nil {
			return err
		}
	}
	if err := os.Chmod("/var/spool/log", 0o777); err != nil {
		return err
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", ourMX + "/32", "dev", "lo"}, {"addr", "add", postfixMX + "/32", "dev", "lo"}, {"addr", "add", eximMX + "/32", "dev", "lo"}} {
		if err := run("ip", args...); err != nil {
			return err
		}
	}
	if _, err := dnstest.NewAt("127.0.0.1:53", zone); err != nil {
		return err
	}
	w.sink = &smtptest.Sink{Extensions: []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 40000000"}}
	if err := w.sink.Listen("127.0.0.1:2600"); err != nil {
		return err
	}
	for _, s := range []struct {
		at   string
		argv []string
	}{
		{postfixMX + ":25", []string{"/usr/sbin/postfix", "start-fg"}},
		{eximMX + ":25", []string{"/usr/sbin/exim4", "-bdf", "-q2s"}},
		{ourMX + ":25", []string{filepath.Join(w.bin, "sekishod"), "--config", filepath.Join(w.dir, "etc/sekisho.yaml")}},
	} {
		cmd := exec.Command(s.argv[0], s.argv[1:]...)
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+w.ca())
		log, err := os.Create(filepath.Join(w.dir, "spool/log", filepath.Base(s.argv[0])+".out"))
		if err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for began := time.Now(); ; {
			if c, err := net.Dial("tcp", s.at); err == nil {
				c.Close()
				break
			} else if time.Since(began) > time.Minute {
				return fmt.Errorf("%s: %w", s.argv[0], err)
			}
			select {
			case err := <-ended:
				return fmt.Errorf("%s ended: %w", s.argv[0], err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// show prints the logs, for a test that failed.
func (w *world) show() {
	files, _ := filepath.Glob(filepath.Join(w.dir, "spool/log/*"))
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			fmt.Fprintf(os.Stderr, "--- %s\n%s\n", f, b[max(0, len(b)-6000):])
		}
	}
}

func (w *world) ca() string { return filepath.Join(w.dir, "etc/test-ca.pem") }

// etc writes what lies over /etc.
func (w *world) etc(p string) error {
	put := func(name, text string) error {
		name = filepath.Join(w.dir, "etc", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, []byte(text), 0o644)
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			return ""
		}
		return string(b)
	}
	master := read(filepath.Join(p, "usr/share/postfix/master.cf.dist"))
	// Debian's own file runs most of it under chroot, the original does not.
	for name, text := range map[string]string{
		"passwd":        read("/etc/passwd") + "Debian-exim:x:9101:9101::/nonexistent:/bin/false\npostfix:x:9102:9102::/nonexistent:/bin/false\nbox:x:9104:9104::/nonexistent:/bin/false\n",
		"group":         read("/etc/group") + "Debian-exim:x:9101:\npostfix:x:9102:\npostdrop:x:9103:\nbox:x:9104:\n",
		"resolv.conf":   "nameserver 127.0.0.1\n",
		"hosts":         "127.0.0.1 localhost\n",
		"services":      "smtp 25/tcp\ndomain 53/tcp\ndomain 53/udp\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
		"recipients.csv": func() string {
			var b strings.Builder
			b.WriteString("address\nsoumu@town.example.lg.jp\n総務@town.example.lg.jp\n")
			for i := range 300 {
				fmt.Fprintf(&b, "r%d@town.example.lg.jp\n", i)
			}
			return b.String()
		}(),
		"postfix/main.cf": `compatibility_level = 3.6
myhostname = mx.postfix.example
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = ` + postfixMX + `
inet_protocols = ipv4
smtp_bind_address = ` + postfixMX + `
mynetworks = 127.0.0.0/8 ` + postfixMX + `/32
virtual_mailbox_domains = postfix.example, tls.example, wrong.example
virtual_mailbox_base = /var/spool/boxes
virtual_mailbox_maps = static:postfix/
virtual_uid_maps = static:9104
virtual_gid_maps = static:9104
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 60000000
smtputf8_enable = yes
queue_run_delay = 5s
minimal_backoff_time = 5s
maximal_backoff_time = 5s
maillog_file = /var/spool/log/postfix.log
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/postfix.pem
smtpd_tls_key_file = /etc/postfix.key
smtpd_tls_received_header = yes
smtp_tls_security_level = verify
smtp_tls_CAfile = /etc/test-ca.pem
smtp_tls_loglevel = 1
smtpd_recipient_limit = 1000
`,
		"postfix/master.cf": master,
		"exim4/exim4.conf": `primary_hostname = mx.exim.example
local_interfaces = ` + eximMX + `
daemon_smtp_ports = 25
tls_advertise_hosts = *
tls_certificate = /etc/exim.pem
tls_privatekey = /etc/exim.key
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
smtp_accept_max_per_connection = 1000
message_size_limit = 60M
log_file_path = /var/spool/log/exim_%slog
spool_directory = /var/spool/exim4
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  deny message = 5.1.1 no such person
       local_parts = nobody
       domains = exim.example
  accept
acl_data:
  accept
begin routers
here:
  driver = accept
  domains = exim.example
  transport = box
there:
  driver = dnslookup
  transport = remote
  self = send
begin transports
box:
  driver = appendfile
  maildir_format
  directory = /var/spool/boxes/exim
  create_directory
  user = Debian-exim
  group = Debian-exim
  envelope_to_add
remote:
  driver = smtp
  interface = ` + eximMX + `
  hosts_require_tls = *
  tls_verify_certificates = /etc/test-ca.pem
  tls_verify_hosts = *
begin retry
* * F,2h,5s
`,
		"sekisho.yaml": `hostname: mx.town.example.lg.jp
data_dir: ` + filepath.Join(w.dir, "data") + `
resolver: "127.0.0.1:53"
max_message_size: 20MiB
metrics: { listen: "" }
listeners:
  - { name: mx, zone: internet, listen: ["` + ourMX + `:25"], tls: { cert: /etc/sekisho.pem, key: /etc/sekisho.key } }
  - { name: inside, zone: lgwan, listen: ["` + inside + `"], networks: ["127.0.0.0/8"] }
tenants:
  - { id: town, domains: [town.example.lg.jp], recipients: { file: /etc/recipients.csv } }
hops:
  - { name: town-mail, network: local, hosts: ["127.0.0.1:2600"] }
  - { name: sure, network: internet, hosts: ["mx.postfix.example:25"], tls: require }
  - { name: unsure, network: internet, hosts: ["other.example:25"], tls: require }
  - { name: internet, network: internet, mx: true }
routes:
  - { domain: town.example.lg.jp, hop: town-mail }
  - { domain: tls.example, hop: sure }
  - { domain: wrong.example, hop: unsure }
  - { domain: "*", hop: internet }
`,
	} {
		if err := put(name, text); err != nil {
			return err
		}
	}
	return w.certificates()
}

// certificates makes an authority and one certificate of it for each server.
func (w *world) certificates() error {
	key := func() (*ecdsa.PrivateKey, []byte, error) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		return k, der, err
	}
	put := func(name, kind string, der []byte) error {
		name = filepath.Join(w.dir, "etc", name)
		// Exim reads its key as its own user.
		return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, _, err := key()
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	if err := put("test-ca.pem", "CERTIFICATE", der); err != nil {
		return err
	}
	for i, s := range []struct{ file, name string }{{"sekisho", "mx.town.example.lg.jp"}, {"postfix", "mx.postfix.example"}, {"exim", "mx.exim.example"}} {
		k, kder, err := key()
		if err != nil {
			return err
		}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 2)), Subject: pkix.Name{CommonName: s.name}, DNSNames: []string{s.name},
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &k.PublicKey, caKey)
		if err != nil {
			return err
		}
		if err := put(s.file+".pem", "CERTIFICATE", der); err != nil {
			return err
		}
		if err := put(s.file+".key", "PRIVATE KEY", kder); err != nil {
			return err
		}
	}
	return nil
}

// needed returns the world or skips, saying why.
func needed(t *testing.T) *world {
	t.Helper()
	if here == nil {
		t.Skip(skip)
	}
	return here
}

// letter is one mail to hand over.
type letter struct {
	from, fromArgs string // MAIL FROM and its parameters
	to             []string
	toArgs         string
	data           []byte
}

// hand gives a letter to a server in clear and returns the last answer.
func hand(at string, l letter) (string, error) {
	c, err := net.DialTimeout("tcp", at, 10*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	r := bufio.NewReader(c)
	answer := func() (string, error) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return "", err
			}
			if len(line) < 4 || line[3] != '-' {
				return strings.TrimSpace(line), nil
			}
		}
	}
	if a, err := answer(); err != nil || a[0] != '2' {
		return a, err
	}
	say := func(line, want string) (string, error) {
		if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
			return "", err
		}
		a, err := answer()
		if err == nil && a[:1] != want {
			err = fmt.Errorf("%s: %s", line, a)
		}
		return a, err
	}
	if _, err := say("EHLO client.example", "2"); err != nil {
		return "", err
	}
	if a, err := say("MAIL FROM:<"+l.from+">"+l.fromArgs, "2"); err != nil {
		return a, err
	}
	for _, to := range l.to {
		if a, err := say("RCPT TO:<"+to+">"+l.toArgs, "2"); err != nil {
			return a, err
		}
	}
	if a, err := say("DATA", "3"); err != nil {
		return a, err
	}
	data := bytes.ReplaceAll(l.data, []byte("\r\n."), []byte("\r\n.."))
	if _, err := c.Write(append(data, ".\r\n"...)); err != nil {
		return "", err
	}
	return answer()
}

// box is what a server has delivered, whole files.
func (w *world) box(name string) [][]byte {
	files, _ := filepath.Glob(filepath.Join(w.dir, "spool/boxes", name, "new", "*"))
	var out [][]byte
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			out = append(out, bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
		}
	}
	return out
}

// until waits for something that servers do in their own time.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 90*time.Second; time.Sleep(50 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s: not within 90 s", what)
}

// logged reports whether a line of the gateway's log has all of these.
func (w *world) logged(parts ...string) bool {
	b, err := os.ReadFile(filepath.Join(w.dir, "spool/log/sekishod.out"))
	if err != nil {
		return false
	}
lines:
	for line := range strings.Lines(string(b)) {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue lines
			}
		}
		return true
	}
	return false
}

// decoded is the text of a mail of one part, read by Python.
func decoded(t *testing.T, b []byte) string {
	t.Helper()
	cmd := exec.Command("python3", "-c", "import sys,email,email.policy; sys.stdout.reconfigure(encoding='utf-8'); print(email.message_from_binary_file(sys.stdin.buffer,policy=email.policy.default).get_body().get_content())")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	return string(out)
}
