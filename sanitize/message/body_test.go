package message_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// onePixel is a picture that verify takes.
func onePixel(t *testing.T) string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return b64(b.String())
}

func htmlOptions() *sanitize.Options {
	o := options()
	o.Rules[sanitize.ClassBody] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	return o
}

// treatHTML treats a mail in the profile `body: html`, and asks what every
// output must be: allowed by the second look, and the same when treated again.
func treatHTML(t *testing.T, raw string) string {
	t.Helper()
	out, rep, err := treat(lf(raw), htmlOptions())
	if err != nil {
		t.Fatalf("%v %v", err, rep.Holds)
	}
	s := sanitize.NewSession(htmlOptions(), int64(len(out)), nil, nil)
	if err := verify.Mail(context.Background(), s, bytes.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("the second look refuses it: %v\n%s", err, out)
	}
	again, rep, err := treat(out, htmlOptions())
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("treated again it changes: %v %v\n%s\n--- became\n%s", err, rep.Holds, out, again)
	}
	return string(out)
}

func TestHTMLBodyArrivesAsHTMLWhereTheProfileWantsIt(t *testing.T) {
	pic := "Content-Type: image/png; name=a.png\nContent-ID: <p1@b.example>\nContent-Transfer-Encoding: base64\n\n" + onePixel(t) + "\n"
	html := func(s string) string { return "Content-Type: text/html; charset=utf-8\n\n" + s + "\n" }
	for _, c := range []struct {
		name, raw string
		want      []string
		not       []string
	}{
		{"alone", top + html("<p>こん<b>にちは</b></p><script>MARK</script>"), []string{"multipart/alternative", "text/html"}, []string{"MARK", "multipart/related"}},
		{"with a text", top + "Content-Type: multipart/alternative; boundary=a\n\n--a\n\nhello world\n--a\n" + html("<p>hello world</p>") + "--a--\n", []string{"multipart/alternative", "<p>hello world</p>"}, nil},
		{"text that says more", top + "Content-Type: multipart/alternative; boundary=a\n\n--a\n\n" + strings.Repeat("much more words ", 20) + "\n--a\n" + html("<p>x</p>") + "--a--\n", []string{"much more"}, []string{"text/html"}},
		{"with its picture", top + "Content-Type: multipart/related; boundary=a\n\n--a\n" + html(`<p>see <img src="cid:p1@b.example" alt="fig" width=10></p>`) + "--a\n" + pic + "--a--\n",
			[]string{"multipart/related", "Content-ID: <p1@b.example>", "cid:p1@b.example", "image/png"}, nil},
		{"with a picture it does not show", top + "Content-Type: multipart/related; boundary=a\n\n--a\n" + html("<p>x</p>") + "--a\n" + pic + "--a--\n", []string{"attachment; filename=a.png"}, []string{"Content-ID", "multipart/related"}},
		{"with a picture that is not there", top + html(`<img src="cid:none" alt="fig">`), []string{"[fig]"}, []string{"cid:"}},
		{"with a picture that is a program", top + "Content-Type: multipart/related; boundary=a\n\n--a\n" + html(`<img src="cid:e" alt="fig">`) + "--a\nContent-Type: image/png; name=a.png\nContent-ID: <e>\n\nMZ\x90\x01\x03\n--a--\n", []string{"[fig]"}, []string{"cid:", "MZ"}},
		{"with files", mixed(strings.TrimPrefix(html("<p>x</p>"), ""), "Content-Type: text/csv; name=a.csv\n\na,b\n"), []string{"multipart/mixed", "multipart/alternative", "a.csv"}, nil},
		{"with a program in its text", top + html("<p>see</p><pre>\n"+b64("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00"+strings.Repeat("\x00", 60))+"\n</pre>"), []string{"see", "[...]"}, []string{"text/html", "TVqQ"}},
		{"in a forwarded mail", mixed(plainPart, "Content-Type: message/rfc822\n\nFrom: a@b.example\nContent-Type: text/html\n\n<p>inner</p>\n"), []string{"message/rfc822", "<p>inner</p>"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := treatHTML(t, c.raw)
			plain := strings.ReplaceAll(strings.ReplaceAll(out, "=\r\n", ""), "=3D", "=")
			for _, want := range c.want {
				if !strings.Contains(plain, want) {
					t.Errorf("%q is not there:\n%s", want, plain)
				}
			}
			for _, not := range c.not {
				if strings.Contains(plain, not) {
					t.Errorf("%q is there:\n%s", not, plain)
				}
			}
		})
	}
}

func TestStrangersWithOurDomainInTheirNameAreMarked(t *testing.T) {
	o := options()
	o.Own = []string{"city-a.example"}
	for _, c := range []struct{ from, want string }{
		{`"soumu@city-a.example" <x@evil.example>`, "【外部】soumu@city-a.example <x@evil.example>"},
		{`=?utf-8?B?c291bXVA77yj77yp77y077y577yN77yh77yOZXhhbXBsZQ==?= <x@evil.example>`, "【外部】soumu@ＣＩＴＹ－Ａ．example <x@evil.example>"},
		{`"soumu@city-a.example" <soumu@city-a.example>`, "soumu@city-a.example <soumu@city-a.example>"},
		{`"soumu@city-a.example" <soumu@sub.city-a.example>`, "soumu@city-a.example <soumu@sub.city-a.example>"},
		{`"Tanaka" <x@evil.example>`, "Tanaka <x@evil.example>"},
		// Letters that show nothing, and letters of other alphabets.
		{"=?utf-8?Q?soumu@c=E2=80=8Bity-a.example?= <x@evil.example>", "【外部】soumu@c\u200bity-a.example <x@evil.example>"},
		{"=?utf-8?Q?soumu@city-=D0=B0.example?= <x@evil.example>", "【外部】soumu@city-а.example <x@evil.example>"},
		{"Tanaka <soumu@xn--city--8ve.example>", "【外部】Tanaka <soumu@xn--city--8ve.example>"},
		{"soumu@xn--city--8ve.example", "【外部】 <soumu@xn--city--8ve.example>"},
	} {
		out, _, err := treat(lf("From: "+c.from+"\nSubject: x\n\nx\n"), o)
		if err != nil {
			t.Fatal(err)
		}
		h, _ := leaves(t, out)
		got, err := h.AddressList("From")
		if err != nil || len(got) != 1 || got[0].Name+" <"+got[0].Address+">" != c.want {
			t.Errorf("%s: %v %v, want %s", c.from, got, err, c.want)
		}
		if again, _, err := treat(out, o); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s: treated again it changes: %v\n%s\n%s", c.from, err, out, again)
		}
	}
}

// TestAStrayEqualsSignInATextIsShown: programs show it, RFC 2045 proposes it,
// and what is written is what we read. In a file it is a doubt.
func TestAStrayEqualsSignInATextIsShown(t *testing.T) {
	for _, media := range []string{"text/plain", "text/html"} {
		out, rep, err := treat(lf(top+"Content-Type: "+media+"; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\na=b?c=3Dd&e=E3=81=82=Z =\nf\n"), options())
		if err != nil {
			t.Fatalf("%s: %v %v", media, err, rep.Holds)
		}
		_, ls := leaves(t, out)
		if want := "a=b?c=d&eあ=Z f\r\n"; ls[0].body != want {
			t.Errorf("%s: %q, want %q", media, ls[0].body, want)
		}
		if f := rep.Parts[0].Findings; len(f) != 1 || f[0].Rule != "text.escape" || f[0].Detail != "2" || rep.Changed {
			t.Errorf("%s: %+v", media, f)
		}
	}
	_, rep, err := treat(lf(mixed(plainPart, "Content-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: quoted-printable\n\na=b\n")), options())
	if err == nil || len(rep.Holds) == 0 || rep.Holds[0].Code != "mime.quoted-printable-illegal" {
		t.Errorf("a file: %v %v", err, rep.Holds)
	}
	_, rep, err = treat(lf(top+"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n%PDF-1.4 =xx\n"), options())
	if err == nil || len(rep.Holds) == 0 || rep.Holds[0].Code != "mime.quoted-printable-illegal" {
		t.Errorf("a file that says it is text: %v %v", err, rep.Holds)
	}
}

func TestMultipartThatNamesNoBoundaryAndHasNoneIsText(t *testing.T) {
	out, rep, err := treat(lf(top+"Content-Type: multipart/alternative;\n\nBlah blah\n"), options())
	if err != nil {
		t.Fatalf("%v %v", err, rep.Holds)
	}
	if _, ls := leaves(t, out); len(ls) != 1 || ls[0].body != "Blah blah\r\n" {
		t.Errorf("%+v", ls)
	}
}

// TestATextFileAloneIsStillAFile: the mail's own header has no place for its
// name, so it stands in a multipart of one.
func TestATextFileAloneIsStillAFile(t *testing.T) {
	o := options()
	o.Task = sanitize.TaskMail
	out, _, err := treat(lf(top+"Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename=a.txt\n\nhello\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if last := ls[len(ls)-1]; last.name != "a.txt" || last.body != "hello\r\n" {
		t.Errorf("%+v", ls)
	}
	head, _, _ := strings.Cut(string(out), "\r\n\r\n")
	if strings.Contains(head, "Content-Disposition") {
		t.Errorf("a field that the daemon takes from no worker:\n%s", head)
	}
}

// TestWhatTheOutsideSaidIsRecorded: after the rebuild nobody could check it.
func TestWhatTheOutsideSaidIsRecorded(t *testing.T) {
	const claims = "Authentication-Results: mx.relay.example;\n spf=pass smtp.mailfrom=a@example.jp\nARC-Seal: i=1; a=rsa-sha256; d=list.example; s=k1; cv=none; b=AAAA\n" +
		"ARC-Message-Signature: i=1; d=list.example; b=AAAA\nARC-Authentication-Results: i=1; mx.list.example; dkim=pass\nDKIM-Signature: v=1; a=ed25519-sha256;\n d=example.jp; s=k2; bh=x; b=AAAA\n"
	for name, mail := range map[string]string{
		"a text":          claims + top + "\nhello\n",
		"a file alone":    claims + strings.Replace(mixed(plainPart), plainPart, "Content-Type: text/csv; name=a.csv\n\na,b\n", 1),
		"several of each": strings.Repeat(claims, 9) + top + "\nhello\n",
	} {
		out, rep, err := treat(lf(mail), options())
		if err != nil {
			t.Fatalf("%s: %v %v", name, err, rep.Holds)
		}
		var got []string
		for _, f := range rep.Parts[0].Findings {
			if f.Rule == "header.outside" {
				got = append(got, f.Where+" "+f.Detail)
			}
		}
		for i, want := range []string{"authentication-results mx.relay.example; spf=pass smtp.mailfrom=a@example.jp", "arc-seal i=1; a=rsa-sha256; d=list.example; s=k1; cv=none",
			"arc-message-signature i=1; d=list.example", "arc-authentication-results i=1; mx.list.example; dkim=pass", "dkim-signature a=ed25519-sha256; d=example.jp; s=k2"} {
			if len(got) <= i || got[i] != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if len(got) > 8 || rep.Changed {
			t.Errorf("%s: %d noted, changed %v", name, len(got), rep.Changed)
		}
		if s := string(out); strings.Contains(s, "DKIM") || strings.Contains(s, "ARC-") || strings.Contains(s, "spf=pass") {
			t.Errorf("%s: the fields go on\n%s", name, s)
		}
	}
}

// TestReportsArriveWithTheirWords: failures of delivery and read receipts, with
// what they say for programs and the header they return.
func TestReportsArriveWithTheirWords(t *testing.T) {
	for _, c := range []struct{ kind, status, fields string }{
		{"delivery-status", "message/delivery-status", "Reporting-MTA: dns; mx.example.jp\n\nFinal-Recipient: rfc822; c@example.jp\nAction: failed\nStatus: 5.1.1\n"},
		{"disposition-notification", "message/disposition-notification", "Final-Recipient: rfc822; c@example.jp\nDisposition: manual-action/MDN-sent-manually; displayed\n"},
	} {
		mail := top + "Content-Type: multipart/report; report-type=" + c.kind + "; boundary=r\n\n--r\nContent-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B3NG'\x1b(B\n--r\nContent-Type: " + c.status +
			"\n\n" + c.fields + "\n--r\nContent-Type: text/rfc822-headers\n\nSubject: returned\nMessage-ID: <9@example.jp>\n--r--\n"
		out, rep, err := treat(lf(mail), options())
		if err != nil {
			t.Fatalf("%s: %v %v", c.kind, err, rep.Holds)
		}
		_, ls := leaves(t, out)
		got := text(ls)
		for _, want := range []string{"確認", "Final-Recipient: rfc822; c@example.jp", "Message-ID: <9@example.jp>"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in %q", c.kind, want, got)
			}
		}
		if rep.Changed {
			t.Errorf("%s: said to be changed: %+v", c.kind, rep.Parts)
		}
	}
}

// TestNoFileComesTogetherInWhatIsWritten: characters that are dropped, lines
// that are joined and pages that become text must not make a file that the
// octets did not show.
func TestNoFileComesTogetherInWhatIsWritten(t *testing.T) {
	const uu = "begin 644 a.js\n#0V%T\n`\nend\n"
	for name, mail := range map[string]string{
		"controls in the first line": top + "\nwords\nbe\x7fgin 644 a.js\n#0V%T\n`\nend\n",
		"controls in the data":       top + "\nwords\nbegin 644 a.js\n#0V\x7f%T\n`\nend\n",
		"escapes of ISO-2022-JP":     top + "Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$\"\x1b(B\nbe\x1b(Bgin 644 a.js\n#0V%T\n`\nend\n",
		"characters that turn":       top + "Content-Type: text/plain; charset=utf-8\n\nbegin\u202e 644 a.js\n#0V%T\n`\nend\n",
		"flowed lines":               top + "Content-Type: text/plain; format=flowed; delsp=yes\n\nbegin  \n644  \na.js\n#0V%T\n`\nend\n",
		"a page":                     top + "Content-Type: text/html\n\n<pre>\n" + uu + "</pre>\n",
		"a page in paragraphs":       top + "Content-Type: text/html\n\n<div>begin 644 a.js</div><div>#0V%T</div><div>`</div><div>end</div>\n",
		"UTF-7":                      top + "Content-Type: text/plain; charset=utf-7\n\n+AGI-egin 644 a.js\n#0V%T\n`\nend\n",
		"a long text":                top + "\n" + strings.Repeat("words and words and words\n", 20_000) + "be\x01gin 644 a.js\n#0V%T\n`\nend\n",
	} {
		out, rep, err := treat(lf(mail), options())
		if err != nil {
			if len(rep.Holds) == 0 || rep.Holds[0].Code != "mime.hidden-structure" || name != "a long text" {
				t.Errorf("%s: %v %v", name, err, rep.Holds)
			}
			continue
		}
		_, ls := leaves(t, out)
		if got := text(ls); strings.Contains(got, "#0V%T") || !strings.Contains(got, "[...]") || !rep.Changed {
			t.Errorf("%s: %q", name, got)
		}
		if again, _, err := treat(out, options()); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s: not stable: %v\n%s\n--- became\n%s", name, err, out, again)
		}
	}
}
