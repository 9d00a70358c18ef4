package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/rogpeppe/go-internal/testscript"

	"sekisho/internal/dnstest"
	"sekisho/senderauth"
)

type dnsKey struct{}

func dnsOf(ts *testscript.TestScript) *dnstest.Server {
	d, _ := ts.Value(dnsKey{}).(**dnstest.Server)
	if d == nil || *d == nil {
		ts.Fatalf("there is no DNS yet: dns FILE")
	}
	return *d
}

// dns FILE | silent | back | fail NAME: a DNS server with the records of a zone
// text at $DNS, which falls silent or fails for a name.
func cmdDNS(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) < 1, "dns FILE|silent|back|fail NAME")
	switch args[0] {
	case "silent", "back":
		dnsOf(ts).Silence(args[0] == "silent")
	case "fail":
		dnsOf(ts).Fail(args[1])
	default:
		d, err := dnstest.New(ts.ReadFile(args[0]))
		ts.Check(err)
		ts.Defer(d.Close)
		*ts.Value(dnsKey{}).(**dnstest.Server) = d
		ts.Setenv("DNS", d.Addr)
	}
}

// dkimkey rsa|ed25519 DOMAIN SELECTOR FILE: a new private key in FILE, its
// public half in the DNS.
func cmdDKIMKey(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 4, "dkimkey rsa|ed25519 DOMAIN SELECTOR FILE")
	var private any
	var record string
	switch args[0] {
	case "rsa":
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		ts.Check(err)
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		ts.Check(err)
		private, record = k, "v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(der)
	case "ed25519":
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		ts.Check(err)
		private, record = k, "v=DKIM1; k=ed25519; p="+base64.StdEncoding.EncodeToString(pub)
	default:
		ts.Fatalf("dkimkey %s", args[0])
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	dnsOf(ts).AddTXT(args[2]+"._domainkey."+args[1], record)
}

// sign IN DOMAIN SELECTOR KEYFILE OUT: signs a mail as somebody outside would.
func cmdSign(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 5, "sign IN DOMAIN SELECTOR KEYFILE OUT")
	block, _ := pem.Decode([]byte(ts.ReadFile(args[3])))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	ts.Check(err)
	body := strings.ReplaceAll(strings.ReplaceAll(ts.ReadFile(args[0]), "\r\n", "\n"), "\n", "\r\n")
	var b bytes.Buffer
	ts.Check(dkim.Sign(&b, strings.NewReader(body), &dkim.SignOptions{Domain: args[1], Selector: args[2], Signer: key.(crypto.Signer),
		HeaderKeys: []string{"From", "To", "Subject", "Date"}}))
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), b.Bytes(), 0o600))
}

// dkim FILE: prints a line for each signature of a mail, asking the DNS.
func cmdDKIM(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, neg || len(args) != 1, "dkim FILE")
	r := senderauth.NewDNS(dnsOf(ts).Addr)
	vs, err := dkim.VerifyWithOptions(strings.NewReader(ts.ReadFile(args[0])), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return r.LookupTXT(context.Background(), name+".") }})
	ts.Check(err)
	for _, v := range vs {
		result := "pass"
		if v.Err != nil {
			result = v.Err.Error()
		}
		fmt.Fprintf(ts.Stdout(), "d=%s %s\n", v.Domain, result)
	}
	fmt.Fprintf(ts.Stdout(), "%d signatures\n", len(vs))
}
