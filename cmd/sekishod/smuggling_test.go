package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// breaks are all strings of at most n octets of those that ends of messages are
// made of.
func breaks(n int) []string {
	all, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, s := range last {
			for _, c := range []string{"\r", "\n", ".", "\x00"} {
				next = append(next, s+c)
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// known are longer ones, which other servers took for the end.
var known = []string{"\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\n\n.\r\n", "\n\r.\r\n", "\r\r\n.\r\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\n.\n\r\n",
	"\r\n.\r\r\n", "\r\n..\r\n", "\n.\r\n.\n", "\r\n.\n\r\n", "\r\n\n.\r\n", ".\n.\r\n", "\r\n. \r\n", "\n..\r\n"}

// smuggled is what would be a mail of its own if what stands before it ended
// the one in hand.
const smuggled = "MAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<soumu@town.example.lg.jp>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"

// TestNothingIsSmuggledIntoTheBuiltDaemon writes every string of CR, LF, dots and
// NUL up to a length into messages, behind a line and at their very beginning,
// in one write and octet by octet, in clear and under TLS (where each write is a
// record of its own). Unless CRLF.CRLF stands there (RFC 5321, 4.1.1.4) it ends
// no message: there is one answer to all of it and one mail at most, and the
// session still takes commands. Nor is anything taken as a command that belongs
// to a chunk of BDAT, to words written before a handshake, or to an AUTH that is
// not offered.
func TestNothingIsSmuggledIntoTheBuiltDaemon(t *testing.T) {
	s := newSite(t, binaries, "")
	b, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(b), `peers: ["127.0.0.1"]`, `peers: ["127.0.0.1"], tls: { cert: mx.pem, key: mx.key }`, 1)
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	selfSigned(t, filepath.Join(s.dir, "mx"))
	s.mustStart(t)
	taken := 0
	length := 3
	if !testing.Short() {
		length = 4
	}
	for i, f := range append(breaks(length), known...) {
		for j, before := range []string{"Subject: one\r\n\r\nline", "Subject: one\r\n\r\nline\r\n", ""} {
			if text := "\r\n" + before + f; strings.Contains(text+"M", "\r\n.\r\n") {
				continue // the end, indeed
			}
			encrypted, single := (i+j)%2 == 0, i%3 == 0
			name := fmt.Sprintf("%q behind %q, TLS %v, octet by octet %v", f, before, encrypted, single)
			w := s.open(t, encrypted)
			for _, l := range []string{"MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example.lg.jp>", "DATA"} {
				if r, err := w.say(l); err != nil || r[0] > '3' {
					t.Fatalf("%s: %s: %s %v", name, l, r, err)
				}
			}
			w.put(t, before, false)
			w.put(t, f, single)
			w.put(t, smuggled, false)
			r, err := w.answer()
			if err != nil || r[0] != '2' && r[0] != '5' {
				t.Errorf("%s: answered %q %v", name, r, err)
			}
			if r != "" && r[0] == '2' {
				taken++
			}
			if r, err := w.say("NOOP"); r != "250 2.0.0 OK" {
				t.Errorf("%s: then %q %v", name, r, err)
			}
			w.c.Close()
		}
	}
	// The words before, those in one write with what is smuggled, whether
	// the session is over behind the answer.
	envelope := []string{"MAIL FROM:<a@partner.example>", "RCPT TO:<soumu@town.example.lg.jp>"}
	for _, c := range []struct {
		before []string
		words  string
		over   bool
	}{
		{envelope, "BDAT 119 LAST\r\n", true},
		{envelope, "BDAT 0\r\n", true},
		{envelope, "BDAT 0 LAST\r\n", true},
		{envelope, "BDAT -1 LAST\r\n", true},
		{envelope, "BDAT 99999999999999999999 LAST\r\n", true},
		{envelope, "BDAT 18446744073709551616\r\n", true},
		{envelope, "BDAT\r\n", true},
		{envelope, "bdat 1 last\r\n", true},
		{envelope[:1], "BDAT 119 LAST\r\n", true},
		{nil, "BDAT 119 LAST\r\n", true},
		{append(envelope[:1:1], "RCPT TO:<nobody@elsewhere.example>"), "BDAT 119 LAST\r\n", true},
		{envelope, "DATA\r\n", true},
		{nil, "STARTTLS\r\n", true},
		{nil, "EHLO again.example\r\n", true},
		{nil, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
		{nil, "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", true},
		{nil, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x19", true},
		{nil, "VRFY x\n", true},
		{nil, "NOOP " + strings.Repeat("x", 5000) + "\r\n", true},
		{envelope, "NOOP " + strings.Repeat("x", 5000), true},
	} {
		for _, encrypted := range []bool{false, true} {
			if encrypted && strings.HasPrefix(c.words, "STARTTLS") {
				continue
			}
			name := fmt.Sprintf("%.30q behind %q, TLS %v", c.words, c.before, encrypted)
			w := s.open(t, encrypted)
			for _, l := range c.before {
				if _, err := w.say(l); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			w.put(t, c.words+smuggled, false)
			answers := ""
			for {
				r, err := w.answer()
				if err != nil {
					break
				}
				answers += r + "\n"
			}
			if answers == "" || strings.Contains(answers, "\n2") || answers[0] == '2' || strings.Contains(answers, "354") {
				t.Errorf("%s: answered\n%s", name, answers)
			}
			if n := strings.Count(answers, "\n"); c.over && n != 1 {
				t.Errorf("%s: %d answers\n%s", name, n, answers)
			}
			w.c.Close()
		}
	}
	if n := len(s.log.events("received")); n != taken {
		t.Errorf("%d messages are in custody, %d were answered with 250", n, taken)
	}
	if err := s.drain(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	got := s.sinks["TOWN"].all()
	for _, m := range got {
		if m.From != "a@partner.example" || !m.Complete || len(m.To) != 1 {
			t.Errorf("arrived from %q to %q:\n%q", m.From, m.To, m.Data)
		}
	}
	if held := len(s.heldByID(t)); len(got)+held != taken || taken == 0 {
		t.Errorf("%d arrived, %d are held, %d were taken", len(got), held, taken)
	}
	t.Logf("%d taken, %d arrived", taken, len(got))
}

// open begins a session with the first listener, up to the answer to EHLO.
func (s *site) open(t *testing.T, encrypted bool) *wire {
	t.Helper()
	c, err := net.Dial("tcp", s.listening("mx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	w := &wire{c: c, r: bufio.NewReader(c)}
	if r, err := w.answer(); err != nil || r[0] != '2' {
		t.Fatalf("greeting: %s %v", r, err)
	}
	lines := []string{"EHLO client.example"}
	if encrypted {
		lines = append(lines, "STARTTLS")
	}
	for _, l := range lines {
		if r, err := w.say(l); err != nil || r[0] != '2' {
			t.Fatalf("%s: %s %v", l, r, err)
		}
	}
	if !encrypted {
		return w
	}
	c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	w = &wire{c: c, r: bufio.NewReader(c)}
	if r, err := w.say("EHLO client.example"); err != nil || r[0] != '2' {
		t.Fatalf("EHLO under TLS: %s %v", r, err)
	}
	return w
}

// put writes text, octet by octet if single.
func (w *wire) put(t *testing.T, text string, single bool) {
	t.Helper()
	for len(text) > 0 {
		n := len(text)
		if single {
			n = 1
		}
		if _, err := w.c.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
}

// selfSigned writes a certificate and its key to file.pem and file.key.
func selfSigned(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		DNSNames: []string{"mx.town.example.lg.jp"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file+name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
