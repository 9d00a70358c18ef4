package all_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"
	"time"

	"sekisho/internal/qr/qrtest"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

// codeMail is a mail with a picture of a QR code.
func codeMail(t *testing.T, text string) []byte {
	t.Helper()
	m, err := qrtest.Picture(text, 4)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	picture := base64.StdEncoding.EncodeToString(b.Bytes())
	var lines strings.Builder
	for len(picture) > 76 {
		lines.WriteString(picture[:76] + "\r\n")
		picture = picture[76:]
	}
	lines.WriteString(picture + "\r\n")
	return []byte("From: a@example.com\r\nTo: b@town.example.lg.jp\r\nSubject: x\r\nDate: Mon, 02 Nov 2026 10:00:00 +0900\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b1\"\r\n\r\n" +
		"--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n--b1\r\nContent-Type: image/png; name=\"a.png\"\r\nContent-Disposition: attachment; filename=\"a.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines.String() + "--b1--\r\n")
}

func codeOptions() sanitize.Options {
	return sanitize.Options{
		Task: sanitize.TaskMail, ID: "0abc", Now: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Language: "en", Limits: sanitize.DefaultLimits(), Codes: true,
		Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassImage: {Steps: []sanitize.Mode{sanitize.Rebuild}}},
	}
}

// codesTold is where the codes lead that a report tells of; telling takes nothing.
func codesTold(t *testing.T, r *sanitize.Report) (told []string) {
	t.Helper()
	for _, p := range r.Parts {
		for _, f := range p.Findings {
			if f.Rule == sanitize.CodeRule {
				told = append(told, f.Detail)
				if f.Changed() {
					t.Errorf("%+v takes something", f)
				}
			}
		}
	}
	return told
}

func codeRun(t *testing.T, o sanitize.Options, mail []byte) (string, *sanitize.Report, []string) {
	t.Helper()
	var out bytes.Buffer
	r, err := all.Run(t.Context(), &o, bytes.NewReader(mail), int64(len(mail)), &out)
	if err != nil {
		t.Fatal(err)
	}
	told := codesTold(t, r)
	return strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(out.String()), r, told
}

func TestTheNoticeSaysWhereACodeLeads(t *testing.T) {
	mail := codeMail(t, "https://user:pw@evil.example/login?a=1")
	for _, c := range []struct {
		name   string
		change func(*sanitize.Options)
		want   string // "" for no notice
	}{
		{"shown", func(*sanitize.Options) {}, "- a.png: QR code leads to: https://evil.example/login?a=1\r\n"},
		{"defanged", func(o *sanitize.Options) { o.URLs = sanitize.DefangURLs }, "- a.png: QR code leads to: hxxps://evil[.]example/login?a=1\r\n"},
		{"where addresses go", func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs }, "hxxps://evil[.]example/"},
		{"off", func(o *sanitize.Options) { o.Codes = false }, ""},
	} {
		o := codeOptions()
		c.change(&o)
		out, r, told := codeRun(t, o, mail)
		if r.Outcome != sanitize.Clean || r.Changed {
			t.Errorf("%s: outcome %s, changed %t", c.name, r.Outcome, r.Changed)
		}
		switch {
		case c.want == "" && (len(told) > 0 || strings.Contains(out, "QR")):
			t.Errorf("%s: %q in\n%s", c.name, told, out)
		case c.want != "" && (len(told) != 1 || !strings.Contains(out, c.want)):
			t.Errorf("%s: %q in\n%s", c.name, told, out)
		}
	}
}

func TestOnlyAddressesOfCodesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"HTTPS://EXAMPLE.JP/A":                     "HTTPS://EXAMPLE.JP/A",
		"MEBKM:TITLE:x;URL:http://example.jp/b;;":  "http://example.jp/b",
		"www.example.jp/c":                         "www.example.jp/c",
		"tel:0312345678":                           "tel:0312345678",
		"see https://example.jp/d now":             "https://example.jp/d",
		"https://example.jp/\u202egpj\u200b\r\n【x": "https://example.jp/gpj",
		"https://a@b@c.example/@d":                 "https://c.example/@d",
		"WIFI:T:WPA;S:x;P:secret;;":                "",
		"just words":                               "",
		"1234567890":                               "",
	} {
		_, _, told := codeRun(t, codeOptions(), codeMail(t, text))
		if got := strings.Join(told, "|"); got != want {
			t.Errorf("%q: told %q, want %q", text, got, want)
		}
	}
}

func TestVerifyDoesNotLookForCodes(t *testing.T) {
	o := codeOptions()
	o.Task = sanitize.TaskVerifyMail
	mail := codeMail(t, "https://evil.example/")
	r, _ := all.Run(t.Context(), &o, bytes.NewReader(mail), int64(len(mail)), &bytes.Buffer{})
	for _, p := range r.Parts {
		for _, f := range p.Findings {
			if f.Rule == sanitize.CodeRule {
				t.Errorf("%+v", f)
			}
		}
	}
}
