package message_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"sekisho/internal/charset"
	"sekisho/internal/header"
	"sekisho/sanitize"
)

// TestEveryCP932CharacterSurvivesTheTreatment sends each character of CP932 in
// body, Subject, display name and file name through the whole treatment, in the
// bytes Windows sends. None may become another but two kinds: user-defined ones
// become 〓 and are counted, and what no file name may hold becomes "_".
func TestEveryCP932CharacterSurvivesTheTreatment(t *testing.T) {
	type line struct {
		raw, want string
		gaiji     int
	}
	var lines []line
	var l line
	characters := 0
	add := func(raw []byte) {
		r := charset.DecodeAs("cp932", raw)
		if utf8.RuneCountInString(r.Text) != 1 || r.Replaced > 0 {
			return
		}
		l.raw, l.want, l.gaiji = l.raw+string(raw), l.want+r.Text, l.gaiji+r.UserDefined
		if characters++; characters%24 == 0 {
			lines = append(lines, l)
			l = line{}
		}
	}
	for k := 0xa1; k <= 0xdf; k++ {
		add([]byte{byte(k)})
	}
	for a := 0x81; a <= 0xfc; a++ {
		for c := 0x40; c <= 0xfc; c++ {
			add([]byte{byte(a), byte(c)})
		}
	}
	lines = append(lines, l)
	if characters < 9_000 {
		t.Fatalf("%d characters", characters)
	}
	word := func(raw string) string {
		return "=?windows-31j?B?" + base64.StdEncoding.EncodeToString([]byte(raw)) + "?="
	}
	for _, l := range lines {
		// A letter on each side: a wide blank at an end is white space.
		raw, want := "x"+l.raw+"y", "x"+l.want+"y"
		mail := "From: " + word(raw) + " <a@example.jp>\nSubject: " + word(raw) + "\n" +
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=windows-31j\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString([]byte(raw+"\r\n")) + "\n--b\nContent-Type: text/csv; name=\"" + word(raw+".csv") + "\"\n\na,b\n--b--\n"
		o := options()
		o.Task = sanitize.TaskMail
		out, rep, err := treat(lf(mail), o)
		if err != nil {
			t.Fatalf("%q: %v %v", want, err, rep.Holds)
		}
		for _, f := range rep.Header {
			switch f.Name {
			case "Subject":
				if f.Text != want {
					t.Errorf("subject %q, want %q", f.Text, want)
				}
			case "From":
				if f.Mailboxes[0].Name != want {
					t.Errorf("display name %q, want %q", f.Mailboxes[0].Name, want)
				}
			}
		}
		if len(rep.Header) != 2 {
			t.Errorf("fields %+v", rep.Header)
		}
		_, ls := leaves(t, append([]byte("Subject: x\r\n"), out...))
		if ls[0].body != want+"\r\n" {
			t.Errorf("body %q, want %q", ls[0].body, want)
		}
		if name := header.CleanName(want+".csv", ".csv"); ls[1].name != name || strings.Count(name, "_") > strings.Count(want, "_") {
			t.Errorf("file name %q, want %q", ls[1].name, want)
		}
		counted := fmt.Sprint([]sanitize.Finding{{Rule: "text.user-defined", Action: sanitize.Reported, Detail: fmt.Sprint(l.gaiji)}})
		if got := fmt.Sprint(rep.Parts[0].Findings); l.gaiji > 0 && got != counted || l.gaiji == 0 && len(rep.Parts[0].Findings) > 0 {
			t.Errorf("%q: findings %v, want %d user-defined", want, got, l.gaiji)
		}
		if bytes.Contains(out, []byte("=EF=BF=BD")) || strings.ContainsRune(ls[0].body, utf8.RuneError) {
			t.Errorf("%q: a character was invented", want)
		}
	}
	t.Logf("%d characters in %d mails", characters, len(lines))
}
