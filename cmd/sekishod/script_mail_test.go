package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus"
	"sekisho/internal/scantest"
)

// samples are the files that mail can attach.
var samples = map[string]func() []byte{
	"eicar":    scantest.EICAR,
	"eicarzip": func() []byte { return corpus.ZIP("eicar.txt", string(scantest.EICAR())) },
	"docx":     func() []byte { return corpus.Word("令和八年度 docx", false) },
	"docm":     func() []byte { return corpus.Word("令和八年度 docm", true) },
	"xlsx":     func() []byte { return corpus.Excel("申請 xlsx", false) },
	"xlsm":     func() []byte { return corpus.Excel("申請 xlsm", true) },
	"png":      corpus.PNG,
	"wmf":      corpus.WMF,
	"ico":      corpus.Icon,
	"jpeg":     corpus.JPEG,
	"pdf":      corpus.PDF,
	"xdw":      corpus.DocuWorks,
	"xlm":      corpus.MacroSheet,
	"ppt":      func() []byte { return corpus.Slides("令和八年度 ppt", nil) },
	"jtd":      func() []byte { return corpus.Ichitaro("令和八年度 議案第１号\n物価高騰対応") },
	"lzh":      func() []byte { return corpus.LZH("a.jpg", corpus.JPEG()) },
	"exe":      corpus.Program,
	"enc":      func() []byte { return corpus.EncryptedZIP("secret.docx") },
	"zip":      func() []byte { return corpus.ZIP("readme.txt", "hello") },
	"tnef": func() []byte {
		return corpus.Winmail(`{\rtf1\ansi x}`, corpus.Packed{Name: "名簿.xlsm", Data: corpus.Excel("名簿", true), Method: 1})
	},
	"msg": func() []byte {
		return corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "保存した件", 0x1000: "内側の本文"}, "", corpus.Packed{Name: "一.docx", Data: corpus.Word("一", false), Method: 1}))
	},
	"bytes": func() []byte { return []byte("\x00\x01\x02 no kind that anybody knows \xfe\xff\x00") },
	"list": func() []byte {
		return []byte(strings.Repeat("住民票の写しの交付を申請した人の一覧\r\n", 3000))
	}, // 170 kB
	// A compound file without any directory that says what it is.
	"ole": func() []byte { return append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 1528)...) },
}

// oldword RTF DOC: has LibreOffice write a document of Word 97, and puts macros
// into it.
func cmdOldWord(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "oldword RTF DOC")
	dir := ts.MkAbs("oldword")
	ts.Check(os.MkdirAll(dir, 0o700))
	cmd := exec.Command("soffice", "--headless", "-env:UserInstallation=file://"+filepath.Join(dir, "profile"), "--convert-to", "doc", "--outdir", dir, ts.MkAbs(args[0]))
	out, err := cmd.CombinedOutput()
	stem := strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
	b, rerr := os.ReadFile(filepath.Join(dir, stem+".doc"))
	if rerr != nil {
		ts.Fatalf("LibreOffice wrote no document: %v %s", err, out)
	}
	f, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
	ts.Check(err)
	f.Root.Storages = append(f.Root.Storages, &cfb.Storage{Name: "Macros", Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{
		cfb.NewStream("_VBA_PROJECT", []byte(corpus.Macro)), cfb.NewStream("dir", []byte(corpus.Macro)),
	}}}})
	var made bytes.Buffer
	ts.Check(cfb.Write(&made, f.Root))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), made.Bytes(), 0o600))
}

// mail FILE SUBJECT [KIND:NAME...]: writes a mail with attachments. KIND is a
// sample, or the name of a file of the script.
func cmdMail(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) < 2, "mail FILE SUBJECT [KIND:NAME...]")
	m := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: args[1], Text: "本文です body text\n"}
	for _, a := range args[2:] {
		kind, name, ok := strings.Cut(a, ":")
		usageOf(ts, !ok, "mail FILE SUBJECT [KIND:NAME...]")
		f := corpus.Attachment{Name: name, Media: "application/octet-stream"}
		switch make, ok := samples[kind]; {
		case ok:
			f.Data = make()
		default:
			f.Data = []byte(ts.ReadFile(kind))
		}
		m.Files = append(m.Files, f)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), m.Bytes(), 0o600))
}

// pad FILE OCTETS: writes a text mail of exactly so many octets.
func cmdPad(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "pad FILE OCTETS")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: "size", Text: "body text"}.Bytes()
	for len(b) < n {
		line := min(n-len(b), 78)
		if left := n - len(b) - line; left == 1 {
			line-- // no room for a line end in one octet
		}
		b = append(b, bytes.Repeat([]byte("x"), line-2)...)
		b = append(b, "\r\n"...)
	}
	if len(b) != n {
		ts.Fatalf("the mail has %d octets, want %d", len(b), n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// macro IN OUT MODULE SOURCE: puts a macro project with one module, whose source
// is a file of the script, into a document: a docm, an xlsm, a doc, an xls or the
// sample of a ppt.
func cmdMacro(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 4, "macro IN OUT MODULE SOURCE")
	b := []byte(ts.ReadFile(args[0]))
	project := corpus.Project(args[2], strings.ReplaceAll(ts.ReadFile(args[3]), "\n", "\r\n"))
	if z, err := zip.NewReader(bytes.NewReader(b), int64(len(b))); err == nil {
		var members []string
		for _, m := range z.File {
			r, err := m.Open()
			ts.Check(err)
			text, err := io.ReadAll(r)
			ts.Check(err)
			if strings.HasSuffix(m.Name, "vbaProject.bin") {
				text = corpus.Compound(project)
			}
			members = append(members, m.Name, string(text))
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), corpus.ZIP(members...), 0o600))
		return
	}
	f, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
	ts.Check(err)
	if f.Root.Stream("PowerPoint Document") != nil {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), corpus.Slides("令和八年度 ppt", corpus.Compound(project)), 0o600))
		return
	}
	name := "Macros"
	if f.Root.Stream("Workbook") != nil {
		name = "_VBA_PROJECT_CUR"
	}
	made := corpus.Compound(project)
	p, err := cfb.Open(bytes.NewReader(made), int64(len(made)))
	ts.Check(err)
	p.Root.Name = name
	f.Root.Storages = append(slices.DeleteFunc(f.Root.Storages, func(s *cfb.Storage) bool { return s.Name == name }), p.Root)
	var out bytes.Buffer
	ts.Check(cfb.Write(&out, f.Root))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), out.Bytes(), 0o600))
}

// sample KIND FILE: one of the samples as a file.
func cmdSample(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2 || samples[args[0]] == nil, "sample KIND FILE")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), samples[args[0]](), 0o644))
}

// zip FILE [NAME SAMPLE]...: an archive of samples.
func cmdZIP(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args)%2 == 0, "zip FILE [NAME SAMPLE]...")
	var members []string
	for i := 1; i < len(args); i += 2 {
		usageOf(ts, samples[args[i+1]] == nil, "zip FILE [NAME SAMPLE]...")
		members = append(members, args[i], string(samples[args[i+1]]()))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), corpus.ZIP(members...), 0o600))
}

// send ADDRESS FROM TO[,TO...] FILE: hands a mail over; what the server says
// last is the standard output. With ! it must be refused. FROM <> is nobody.
func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) != 4, "send ADDRESS FROM TO[,TO] FILE")
	body := ts.ReadFile(args[3])
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n")
	reply, err := sendMail(args[0], strings.Trim(args[1], "<>"), strings.Split(args[2], ","), []byte(body))
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

// cert NAME FILE: an authority in ca.pem, made anew the first time, and a
// certificate of it for NAME in FILE.pem and FILE.key.
func cmdCert(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 2, "cert NAME FILE")
	ca := ts.MkAbs("ca.pem")
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		return k
	}
	put := func(name, kind string, der []byte) {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	now := time.Now()
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(90 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var issuerKey *ecdsa.PrivateKey
	if b, err := os.ReadFile(ts.MkAbs("ca.key")); err == nil {
		block, _ := pem.Decode(b)
		issuerKey, err = x509.ParseECPrivateKey(block.Bytes)
		ts.Check(err)
	} else {
		issuerKey = key()
		der, err := x509.CreateCertificate(rand.Reader, issuer, issuer, &issuerKey.PublicKey, issuerKey)
		ts.Check(err)
		put(ca, "CERTIFICATE", der)
		der, err = x509.MarshalECPrivateKey(issuerKey)
		ts.Check(err)
		put("ca.key", "EC PRIVATE KEY", der)
	}
	k := key()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: args[0]}, DNSNames: []string{args[0]},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(60 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, &k.PublicKey, issuerKey)
	ts.Check(err)
	put(args[1]+".pem", "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(k)
	ts.Check(err)
	put(args[1]+".key", "EC PRIVATE KEY", der)
}

// starttls ADDRESS NAME FROM TO FILE: sends a mail over TLS, checking the
// server's certificate for NAME against ca.pem; prints the last answer.
func cmdStartTLS(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) != 5, "starttls ADDRESS NAME FROM TO FILE")
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ts.ReadFile("ca.pem"))) {
		ts.Fatalf("ca.pem holds no certificate")
	}
	c, err := net.DialTimeout("tcp", args[0], 5*time.Second)
	ts.Check(err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	w := &wire{c: c, r: bufio.NewReader(c)}
	_, err = w.answer()
	ts.Check(err)
	for _, l := range []string{"EHLO client.example", "STARTTLS"} {
		reply, err := w.say(l)
		ts.Check(err)
		if reply[0] != '2' {
			ts.Fatalf("%s: %s", l, reply)
		}
	}
	tc := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: args[1]})
	if err := tc.Handshake(); err != nil {
		if !neg {
			ts.Fatalf("handshake: %v", err)
		}
		fmt.Fprintln(ts.Stdout(), err)
		return
	}
	if neg {
		ts.Fatalf("the certificate is good for %s", args[1])
	}
	w = &wire{c: tc, r: bufio.NewReader(tc)}
	_, err = w.say("EHLO client.example")
	ts.Check(err)
	body := strings.ReplaceAll(strings.ReplaceAll(ts.ReadFile(args[4]), "\r\n", "\n"), "\n", "\r\n")
	reply, err := w.mail(args[2], strings.Split(args[3], ","), []byte(body))
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), reply)
	if reply[0] != '2' {
		ts.Fatalf("over TLS: %s", reply)
	}
}
