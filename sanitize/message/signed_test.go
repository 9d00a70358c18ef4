package message_test

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// der writes one element of DER.
func der(tag byte, content ...string) string {
	c := strings.Join(content, "")
	n := len(c)
	switch {
	case n < 0x80:
		return string([]byte{tag, byte(n)}) + c
	case n < 0x100:
		return string([]byte{tag, 0x81, byte(n)}) + c
	default:
		return string([]byte{tag, 0x82, byte(n >> 8), byte(n)}) + c
	}
}

func oid(h string) string {
	b, _ := hex.DecodeString(h)
	return der(0x06, string(b))
}

var (
	signedData    = oid("2a864886f70d010702")
	envelopedData = oid("2a864886f70d010703")
	plainData     = oid("2a864886f70d010701")
)

// signedBlob is a SignedData around content, which is left out when it is "".
func signedBlob(content string) string {
	encap := plainData
	if content != "" {
		encap += der(0xa0, der(0x04, content))
	}
	return der(0x30, signedData, der(0xa0, der(0x30, der(0x02, "\x01"), der(0x31), der(0x30, encap), der(0x31))))
}

// streamed is the same as writers write it that do not know the length.
func streamed(content string) string {
	inf := func(tag byte, c ...string) string {
		return string([]byte{tag, 0x80}) + strings.Join(c, "") + "\x00\x00"
	}
	var pieces string
	for i := 0; i < len(content); i += 100 {
		pieces += der(0x04, content[i:min(i+100, len(content))])
	}
	return inf(0x30, signedData, inf(0xa0, inf(0x30, der(0x02, "\x01"), der(0x31), inf(0x30, plainData, inf(0xa0, inf(0x24, pieces))), der(0x31))))
}

func p7m(blob, kind, name string) string {
	return top + "Content-Type: application/pkcs7-mime; smime-type=" + kind + "; name=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte(blob)) + "\n"
}

func TestOpaqueSignaturesAreUnwrapped(t *testing.T) {
	inner := "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n署名付きの本文\r\n--i\r\n" +
		"Content-Type: application/octet-stream; name=x.exe\r\n\r\nMZ\x90\x01\x03\r\n--i--\r\n"
	for _, blob := range []string{signedBlob(inner), streamed(inner)} {
		out, rep, err := treat(lf(p7m(blob, "signed-data", "smime.p7m")), options())
		if err != nil {
			t.Fatal(err)
		}
		_, ls := leaves(t, out)
		var all string
		for _, l := range ls {
			all += l.media + " " + l.body + "\n"
		}
		if !strings.Contains(all, "署名付きの本文") || !strings.Contains(all, "電子署名 1 個を取り外し") || strings.Contains(all, "MZ\x90") || !strings.Contains(all, "x.exe") {
			t.Errorf("output:\n%s\n%+v", all, rep.Parts)
		}
		for _, p := range rep.Parts {
			if p.Fate == sanitize.KeptBack && p.Kind != sanitize.KindExecutable {
				t.Errorf("kept back: %+v", p)
			}
		}
	}
}

func TestSignedFileIsTreatedAsTheFile(t *testing.T) {
	out, rep, err := treat(lf(mixed(plainPart, "Content-Type: application/octet-stream; name=\"list.csv.p7m\"\nContent-Transfer-Encoding: base64\n\n"+
		base64.StdEncoding.EncodeToString([]byte(signedBlob("a,b\r\n1,2\r\n")))+"\n")), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	last := ls[len(ls)-1]
	if last.name != "list.csv" || last.body != "a,b\r\n1,2\r\n" {
		t.Errorf("%+v\n%+v", ls, rep.Parts)
	}
}

func TestEncryptedIsKeptBackAndSignaturesAreNot(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		kept      sanitize.Kind
	}{
		{"enveloped", p7m(der(0x30, envelopedData, der(0xa0, der(0x30, strings.Repeat("x", 60)))), "enveloped-data", "smime.p7m"), sanitize.KindSMIME},
		{"cut", p7m(signedBlob("Content-Type: text/plain\r\n\r\nx")[:30], "signed-data", "smime.p7m"), sanitize.KindSMIME},
		{"pgp in the text", top + "\nhello\n-----BEGIN PGP MESSAGE-----\n\nhQEMA1\n=abcd\n-----END PGP MESSAGE-----\nbye\n", sanitize.KindPGP},
		{"pgp mime", top + "Content-Type: multipart/encrypted; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--e\nContent-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n--e--\n", sanitize.KindPGP},
		{"certificates only", p7m(signedBlob(""), "certs-only", "smime.p7c"), ""},
		{"signature alone", mixed(plainPart, "Content-Type: application/pgp-signature; name=signature.asc\n\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"), ""},
		{"clear-signed", top + "Content-Type: multipart/signed; boundary=s\n\n--s\n\nhello\n--s\nContent-Type: application/octet-stream; name=smime.p7s\n\nMIAG\n--s--\n", ""},
	} {
		out, rep, err := treat(lf(c.raw), options())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var kept sanitize.Kind
		for _, p := range rep.Parts {
			if p.Fate == sanitize.KeptBack {
				kept = p.Kind
			}
		}
		_, ls := leaves(t, out)
		var all string
		for _, l := range ls {
			all += l.body
		}
		if kept != c.kept {
			t.Errorf("%s: kept back %q, want %q: %+v", c.name, kept, c.kept, rep.Parts)
		}
		if kept == "" && !strings.Contains(all, "電子署名") {
			t.Errorf("%s: nothing is said of the signature:\n%s", c.name, all)
		}
		if strings.Contains(all, "hQEMA1") || strings.Contains(all, "BEGIN PGP") {
			t.Errorf("%s: the encrypted data goes on:\n%s", c.name, all)
		}
	}
}

func TestTextSignedByPGPLosesItsArmour(t *testing.T) {
	out, _, err := treat(lf(top+"Content-Type: text/plain; charset=iso-2022-jp\n\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n\x1b$B$3$s\x1b(B\n- -- \n- - list\n"+
		"-----BEGIN PGP SIGNATURE-----\nVersion: GnuPG v2\n\niQEz\n=abcd\n-----END PGP SIGNATURE-----\nbehind\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if want := "こん\r\n-- \r\n- list\r\nbehind\r\n"; ls[0].body != want {
		t.Errorf("%q, want %q", ls[0].body, want)
	}
}

func TestUuencodedPartIsTreated(t *testing.T) {
	for _, c := range []struct{ cte, body, want string }{
		{"x-uuencode", "begin 644 a.csv\n#0V%T\n`\nend\n", "Cat"},
		{"UUENCODE", "\nbegin 644 a.csv\n#0V%T\nend", "Cat"},
		{"x-yenc", "=ybegin line=128 size=3 name=a.csv\n\x6d\x8b\x9e\n=yend size=3\n", "Cat"},
	} {
		out, rep, err := treat(lf(mixed(plainPart, "Content-Type: application/octet-stream\nContent-Transfer-Encoding: "+c.cte+"\n\n"+c.body)), options())
		if err != nil {
			t.Errorf("%s: %v %v", c.cte, err, rep.Holds)
			continue
		}
		_, ls := leaves(t, out)
		if last := ls[len(ls)-1]; last.name != "a.csv" || last.body != c.want {
			t.Errorf("%s: %+v", c.cte, ls)
		}
	}
}

// TestOpenSSLSignsAndWeUnwrap asks the program that most senders use.
func TestOpenSSLSignsAndWeUnwrap(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl on this machine")
	}
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte("Content-Type: text/plain; charset=utf-8\r\n\r\nこんにちは OPENSSL\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %v: %v", args, err)
		}
		return out
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj", "/CN=a")
	for _, args := range [][]string{{"-nodetach"}, {"-nodetach", "-stream"}, {}} {
		mail := run(append([]string{"smime", "-sign", "-in", "body", "-signer", "c", "-inkey", "k"}, args...)...)
		raw := "From: a@b.example\n" + strings.ReplaceAll(string(mail), "\r\n", "\n")
		out, rep, err := treat(lf(raw), options())
		if err != nil {
			t.Errorf("%v: %v %v", args, err, rep.Holds)
			continue
		}
		_, ls := leaves(t, out)
		if !strings.Contains(ls[0].body+ls[len(ls)-1].body, "こんにちは OPENSSL") {
			t.Errorf("%v: %+v", args, ls)
		}
	}
	mail := run("smime", "-encrypt", "-in", "body", "-aes128", "c")
	_, rep, err := treat(lf("From: a@b.example\n"+string(mail)), options())
	if err != nil || len(rep.Parts) != 1 || rep.Parts[0].Class != sanitize.ClassEncrypted || rep.Parts[0].Fate != sanitize.KeptBack {
		t.Errorf("encrypted: %v %+v", err, rep.Parts)
	}
}
