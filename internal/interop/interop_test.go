package interop

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"sekisho/internal/smtptest"
)

// server is one of the others.
type server struct{ name, domain, mx string }

var others = []server{{"postfix", "postfix.example", postfixMX}, {"exim", "exim.example", eximMX}}

// mail builds one; marker stands in the body, so that it can be found again.
func mail(from, to, subject, more, body string) []byte {
	return []byte("From: " + from + "\r\nTo: " + to + "\r\nSubject: " + subject + "\r\nDate: Tue, 24 Nov 2026 09:00:00 +0900\r\nMessage-ID: <" +
		strings.ReplaceAll(subject, " ", ".") + "@client.example>\r\nMIME-Version: 1.0\r\n" + more + "\r\n" + body)
}

const plain = "Content-Type: text/plain; charset=us-ascii\r\n"

func iso2022jp(t *testing.T, s string) string {
	t.Helper()
	b, err := japanese.ISO2022JP.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// arrived finds what the town's server took with a marker in it.
func (w *world) arrived(t *testing.T, marker string, n int) []smtptest.Taken {
	t.Helper()
	var got []smtptest.Taken
	until(t, marker+" arrives in the town", func() bool {
		got = nil
		for _, m := range w.sink.Delivered() {
			if bytes.Contains(m.Data, []byte(marker)) {
				got = append(got, m)
			}
		}
		return len(got) >= n
	})
	return got
}

// boxed finds what another server delivered with a marker in it.
func (w *world) boxed(t *testing.T, box, marker string, n int) [][]byte {
	t.Helper()
	var got [][]byte
	until(t, marker+" arrives at "+box, func() bool {
		got = nil
		for _, m := range w.box(box) {
			if bytes.Contains(m, []byte(marker)) {
				got = append(got, m)
			}
		}
		return len(got) >= n
	})
	return got
}

func (w *world) give(t *testing.T, at string, l letter) {
	t.Helper()
	if a, err := hand(at, l); err != nil || a[0] != '2' {
		t.Fatalf("hand over: %q, %v", a, err)
	}
}

// TestTheySendToUsNeedsRoot: what Postfix and Exim send by MX over TLS, with our
// certificate checked by them, arrives in the town, by a sender who is proved.
func TestTheySendToUsNeedsRoot(t *testing.T) {
	w := needed(t)
	for _, s := range others {
		from := "user@" + s.domain
		at := net.JoinHostPort(s.mx, "25")
		to := "soumu@town.example.lg.jp"
		t.Run(s.name+"/text inside TLS, proved by SPF", func(t *testing.T) {
			mark := s.name + "-text"
			w.give(t, at, letter{from: from, to: []string{to}, data: mail(from, to, mark, plain, "hello\r\n.a dot\r\n..two\r\n")})
			m := w.arrived(t, mark, 1)[0]
			for _, want := range []string{"hello\r\n.a dot\r\n..two\r\n", "spf=pass", "dmarc=pass", "with ESMTPS", "X-Sekisho-Result: clean"} {
				if !bytes.Contains(m.Data, []byte(want)) {
					t.Errorf("no %q in\n%s", want, m.Data)
				}
			}
			if m.From != from || len(m.To) != 1 || m.To[0] != to {
				t.Errorf("envelope %s, %s", m.From, m.To)
			}
		})
		t.Run(s.name+"/ISO-2022-JP", func(t *testing.T) {
			mark := s.name + "-jis"
			w.give(t, at, letter{from: from, to: []string{to}, data: mail(from, to, mark+" =?ISO-2022-JP?B?GyRCNF49UBsoQg==?=",
				"Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n", iso2022jp(t, "令和八年度の提出について\r\n"))})
			m := w.arrived(t, mark, 1)[0]
			if text := decoded(t, m.Data); !strings.Contains(text, "令和八年度の提出について") {
				t.Errorf("the text is %q", text)
			}
		})
		t.Run(s.name+"/8BITMIME", func(t *testing.T) {
			mark := s.name + "-eight"
			w.give(t, at, letter{from: from, fromArgs: " BODY=8BITMIME", to: []string{to}, data: mail(from, to, mark,
				"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "八ビットの本文\r\n")})
			if text := decoded(t, w.arrived(t, mark, 1)[0].Data); !strings.Contains(text, "八ビットの本文") {
				t.Errorf("the text is %q", text)
			}
		})
		t.Run(s.name+"/SMTPUTF8", func(t *testing.T) {
			mark := s.name + "-utf8"
			w.give(t, at, letter{from: "利用者@" + s.domain, fromArgs: " SMTPUTF8 BODY=8BITMIME", to: []string{"総務@town.example.lg.jp"},
				data: mail("利用者@"+s.domain, "総務@town.example.lg.jp", mark, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "本文\r\n")})
			m := w.arrived(t, mark, 1)[0]
			if m.From != "利用者@"+s.domain || m.To[0] != "総務@town.example.lg.jp" || !strings.Contains(m.MailLine, "SMTPUTF8") {
				t.Errorf("%s, to %s", m.MailLine, m.To)
			}
		})
		t.Run(s.name+"/many recipients", func(t *testing.T) {
			mark := s.name + "-many"
			l := letter{from: from, data: mail(from, to, mark, plain, "to all\r\n")}
			for i := range 200 {
				l.to = append(l.to, fmt.Sprintf("r%d@town.example.lg.jp", i))
			}
			w.give(t, at, l)
			got := map[string]int{}
			until(t, "200 recipients", func() bool {
				got = map[string]int{}
				for _, m := range w.sink.Delivered() {
					if bytes.Contains(m.Data, []byte(mark)) {
						for _, a := range m.To {
							got[a]++
						}
					}
				}
				return len(got) >= 200
			})
			for a, n := range got {
				if n != 1 {
					t.Errorf("%s has it %d times", a, n)
				}
			}
		})
		t.Run(s.name+"/a large mail", func(t *testing.T) {
			mark := s.name + "-large"
			w.give(t, at, letter{from: from, to: []string{to}, data: mail(from, to, mark, plain, strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 160_000))})
			if m := w.arrived(t, mark, 1)[0]; len(m.Data) < 11_000_000 {
				t.Errorf("%d octets arrived", len(m.Data))
			}
		})
		t.Run(s.name+"/a mail above our SIZE comes back to its sender", func(t *testing.T) {
			mark := s.name + "-toolarge"
			w.give(t, at, letter{from: from, to: []string{to}, data: mail(from, to, mark, plain, strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 330_000))})
			for _, m := range w.boxed(t, s.name, mark, 1) {
				if !bytes.Contains(m, []byte("size")) && !bytes.Contains(m, []byte("5.3.4")) {
					t.Errorf("the report is\n%.3000s", m)
				}
			}
		})
		t.Run(s.name+"/a recipient who does not exist comes back to its sender", func(t *testing.T) {
			mark := s.name + "-unknown"
			w.give(t, at, letter{from: from, to: []string{"nobody@town.example.lg.jp"}, data: mail(from, to, mark, plain, "hello\r\n")})
			for _, m := range w.boxed(t, s.name, mark, 1) {
				if !bytes.Contains(m, []byte("5.1.1")) {
					t.Errorf("the report is\n%.3000s", m)
				}
			}
		})
		t.Run(s.name+"/a hundred at once", func(t *testing.T) {
			mark := s.name + "-burst"
			for i := range 100 {
				w.give(t, at, letter{from: from, to: []string{to}, data: mail(from, to, fmt.Sprintf("%s-%d-", mark, i), plain, "hello\r\n")})
			}
			w.arrived(t, mark, 100)
			for i := range 100 {
				if n := len(w.arrived(t, fmt.Sprintf("Subject: %s-%d-\r\n", mark, i), 1)); n != 1 {
					t.Errorf("%d arrived %d times", i, n)
				}
			}
		})
	}
}

// TestWeSendToThemNeedsRoot: mail from inside leaves by MX over TLS and arrives
// as it was.
func TestWeSendToThemNeedsRoot(t *testing.T) {
	w := needed(t)
	from := "soumu@town.example.lg.jp"
	for _, s := range others {
		to := "user@" + s.domain
		t.Run(s.name+"/text inside TLS", func(t *testing.T) {
			mark := s.name + "-out-text"
			w.give(t, inside, letter{from: from, to: []string{to}, data: mail(from, to, mark, plain, "hello\r\n.a dot\r\n")})
			m := w.boxed(t, s.name, mark, 1)[0]
			for _, want := range []string{"\nhello\n.a dot\n", "ESMTPS", "from mx.town.example.lg.jp"} {
				if !bytes.Contains(bytes.ToUpper(m), bytes.ToUpper([]byte(want))) {
					t.Errorf("no %q in\n%s", want, m)
				}
			}
		})
		t.Run(s.name+"/ISO-2022-JP octets as they were", func(t *testing.T) {
			mark := s.name + "-out-jis"
			body := iso2022jp(t, "令和八年度の提出について\r\n")
			w.give(t, inside, letter{from: from, to: []string{to}, data: mail(from, to, mark,
				"Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n", body)})
			if m := w.boxed(t, s.name, mark, 1)[0]; !bytes.Contains(m, []byte(strings.TrimRight(body, "\r\n"))) {
				t.Errorf("arrived as\n%q", m)
			}
		})
		t.Run(s.name+"/8BITMIME", func(t *testing.T) {
			mark := s.name + "-out-eight"
			w.give(t, inside, letter{from: from, fromArgs: " BODY=8BITMIME", to: []string{to}, data: mail(from, to, mark,
				"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "八ビットの本文\r\n")})
			if m := w.boxed(t, s.name, mark, 1)[0]; !bytes.Contains(m, []byte("八ビットの本文")) {
				t.Errorf("arrived as\n%q", m)
			}
		})
		t.Run(s.name+"/SMTPUTF8", func(t *testing.T) {
			mark := s.name + "-out-utf8"
			w.give(t, inside, letter{from: "総務@town.example.lg.jp", fromArgs: " SMTPUTF8 BODY=8BITMIME", to: []string{"宛先@" + s.domain},
				data: mail("総務@town.example.lg.jp", "宛先@"+s.domain, mark, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "本文\r\n")})
			if m := w.boxed(t, s.name, mark, 1)[0]; !bytes.Contains(m, []byte("宛先@"+s.domain)) {
				t.Errorf("arrived as\n%q", m)
			}
		})
		t.Run(s.name+"/many recipients", func(t *testing.T) {
			mark := s.name + "-out-many"
			l := letter{from: from, data: mail(from, to, mark, plain, "to all\r\n")}
			for i := range 150 {
				l.to = append(l.to, fmt.Sprintf("p%d@%s", i, s.domain))
			}
			w.give(t, inside, l)
			if s.name == "postfix" {
				w.boxed(t, s.name, mark, 150)
				return
			}
			// Exim delivers one file for all that have one folder.
			until(t, "150 recipients", func() bool {
				all := map[string]bool{}
				for _, m := range w.boxed(t, s.name, mark, 1) {
					for _, a := range l.to {
						all[a] = all[a] || bytes.Contains(m, []byte(a))
					}
				}
				n := 0
				for _, has := range all {
					if has {
						n++
					}
				}
				return n == 150
			})
		})
		t.Run(s.name+"/a large mail", func(t *testing.T) {
			mark := s.name + "-out-large"
			w.give(t, inside, letter{from: from, to: []string{to}, data: mail(from, to, mark, plain, strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 160_000))})
			if m := w.boxed(t, s.name, mark, 1)[0]; len(m) < 11_000_000 {
				t.Errorf("%d octets arrived", len(m))
			}
		})
		t.Run(s.name+"/a delivery that was asked about is reported", func(t *testing.T) {
			mark := s.name + "-out-dsn"
			w.give(t, inside, letter{from: from, fromArgs: " RET=HDRS ENVID=" + mark, to: []string{to}, toArgs: " NOTIFY=SUCCESS",
				data: mail(from, to, mark, plain, "hello\r\n")})
			w.boxed(t, s.name, mark, 1)
			// RFC 3461, 4.2: who has the extension is given the parameters, and
			// reports the success itself.
			m := w.arrived(t, mark, 1)[0]
			if !bytes.Contains(m.Data, []byte("user@"+s.domain)) || m.From != "" || m.To[0] != from {
				t.Errorf("from %q:\n%s", m.From, m.Data)
			}
		})
	}
	t.Run("exim/a refused recipient comes back to the sender inside", func(t *testing.T) {
		w.give(t, inside, letter{from: from, to: []string{"nobody@exim.example"}, data: mail(from, "nobody@exim.example", "exim-out-refused", plain, "hello\r\n")})
		m := w.arrived(t, "nobody@exim.example", 1)[0]
		if m.From != "" || !bytes.Contains(m.Data, []byte("5.1.1")) || !bytes.Contains(m.Data, []byte("multipart/report")) {
			t.Errorf("from %q:\n%s", m.From, m.Data)
		}
	})
	t.Run("postfix/TLS that is required, of an authority that is known", func(t *testing.T) {
		w.give(t, inside, letter{from: from, to: []string{"user@tls.example"}, data: mail(from, "user@tls.example", "postfix-out-sure", plain, "hello\r\n")})
		if m := w.boxed(t, "postfix", "postfix-out-sure", 1)[0]; !bytes.Contains(m, []byte("ESMTPS")) {
			t.Errorf("arrived as\n%s", m)
		}
	})
	t.Run("postfix/a certificate of another name is not enough", func(t *testing.T) {
		w.give(t, inside, letter{from: from, to: []string{"user@wrong.example"}, data: mail(from, "user@wrong.example", "postfix-out-unsure", plain, "hello\r\n")})
		until(t, "deferred for its certificate", func() bool {
			return w.logged("deferred", "user@wrong.example", "certificate")
		})
		for _, m := range w.box("postfix") {
			if bytes.Contains(m, []byte("postfix-out-unsure")) {
				t.Error("it was delivered")
			}
		}
	})
}
