package message_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/message"
)

// seeds are mails of every shape the tests know.
func seeds() []string {
	return []string{
		"", "\n", top + "\nhello\n", "hello", mixed(plainPart), mixed(plainPart, "Content-Type: text/html\n\n<p>x</p>\n"),
		mixed(plainPart, "Content-Type: message/rfc822\n\n"+mixed(plainPart)),
		mixed("Content-Type: text/plain; name=\"=?iso-2022-jp?B?GyRCST0bKEI=?=.txt\"\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n"),
		top + "Content-Type: multipart/alternative; boundary=a\n\n--a\n\nx\n--a\nContent-Type: text/html\n\n<b>y</b>\n--a--\n",
		top + "Content-Type: multipart/signed; boundary=a\n\n--a\n\nx\n--a\nContent-Type: application/pgp-signature\n\ny\n--a--\n",
		top + "Content-Type: multipart/related; boundary=a\n\n--a\nContent-Type: text/html\n\nx\n--a\nContent-Type: image/png\n\ny\n--a--\n",
		top + "Content-Type: text/plain; format=flowed; delsp=yes\n\n> a \n> b\n-- \nc\n",
		top + "Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$\"\x1b(B\n", top + "\nbegin 644 a\n#0V%T\n`\nend\n",
		"From: =?utf-8?B?44GC?= <a@b.example>, c@b.example\nTo: undisclosed-recipients:;\nReferences: <a@b> <c@d>\nDate: 1 Apr 24 9:00 JST\n\nx\n",
		mixed("Content-Type: message/external-body\n\n"), mixed("Content-Type: application/octet-stream; name=x.exe\n\nMZ\n"),
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range seeds() {
		f.Add(lf(s), uint8(0))
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, how uint8) {
		o := options()
		o.KeepAll = how&1 != 0
		out, rep, err := treat(raw, o)
		if err != nil {
			// A hold says why; nothing else may stop a mail of this size.
			if len(rep.Holds) == 0 && !strings.Contains(err.Error(), "limit") {
				t.Fatalf("refused without a reason: %v", err)
			}
			if len(out) > 0 {
				t.Fatalf("%d octets of a refused mail", len(out))
			}
			return
		}
		for i, ln := range strings.SplitAfter(string(out), "\n") {
			body, ended := strings.CutSuffix(ln, "\r\n")
			if !ended && ln != "" || len(body) > 998 || strings.ContainsAny(body, "\r\n\x00") {
				t.Fatalf("line %d: %.100q", i, ln)
			}
			for j := 0; j < len(body); j++ {
				if body[j] >= 0x80 {
					t.Fatalf("line %d: octet %#x", i, body[j])
				}
			}
		}
		leaves(t, out)
		// The files of the test's table are copied and may be anything; what
		// is written of text and structure must stay as it is.
		again, rep2, err := treat(out, o)
		if err != nil {
			t.Fatalf("the output is held: %v %v\n%s", err, rep2.Holds, out)
		}
		if !o.KeepAll && !copied(rep) && !bytes.Equal(out, again) {
			t.Errorf("not stable:\n%s\n--- became\n%s", out, again)
		}
	})
}

// copied reports whether the output has a file that nobody sanitized.
func copied(r *sanitize.Report) bool {
	for _, p := range r.Parts {
		if p.OutName != "" && p.OutKind != sanitize.KindMessage {
			return true
		}
	}
	return false
}

func bench(b *testing.B, raw []byte) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	o := options()
	o.Task = sanitize.TaskMail
	tab := table()
	for b.Loop() {
		s := sanitize.NewSession(o, int64(len(raw)), detect.Detect, tab)
		if _, err := (message.Sanitizer{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(raw), Size: int64(len(raw))}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkText4KiB(b *testing.B) {
	bench(b, lf(top+"Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: 7bit\n\n"+strings.Repeat("\x1b$B$3$l$O;n83$NJ8>O$G$9!#\x1b(B test\n", 100)))
}

func BenchmarkASCII4KiB(b *testing.B) {
	bench(b, lf(top+"\n"+strings.Repeat("This is a line of ordinary text, and a bit.\n", 90)))
}

func Benchmark10MiBWithAttachments(b *testing.B) {
	file := strings.Repeat(b64(strings.Repeat("\x00\x01\x02\xff pixel", 8))[:76]+"\n", 5<<20/77)
	part := "Content-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9\n" + file
	bench(b, lf(mixed(plainPart, part, part)))
}

func BenchmarkText10MiB(b *testing.B) {
	bench(b, lf(top+"Content-Type: text/plain; charset=utf-8\n\n"+strings.Repeat("これは試験の文章です。 and some more\n", 10<<20/50)))
}

// floods are mails that only want to cost time. Each must be answered, with a
// hold, in under 100 ms.
func floods() map[string][]byte {
	nested := ""
	for i := range 1000 {
		nested += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return map[string][]byte{
		"header of 1 MiB": lf("From: a@b.example\nX-Y: " + strings.Repeat("x", 1<<20) + "\n\nx\n"),
		"many fields":     lf(strings.Repeat("X-Y: z\n", 1<<20/7) + "\nx\n"),
		"10,000 parts":    lf("From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: text/plain\n\nx\n", 10_000) + "--b--\n"),
		"1,000 nested":    lf("From: a@b.example\n" + nested),
	}
}

func TestFloodsAreAnsweredAtOnce(t *testing.T) {
	for name, raw := range floods() {
		best := time.Hour
		for range 5 { // the machine may be busy with something else
			began := time.Now()
			_, rep, err := treat(raw, options())
			best = min(best, time.Since(began))
			if err == nil || len(rep.Holds) == 0 || rep.Holds[0].Class != sanitize.ClassLimit {
				t.Fatalf("%s: %v %v", name, err, rep.Holds)
			}
		}
		t.Logf("%s: %v", name, best)
		if best > 100*time.Millisecond {
			t.Errorf("%s took %v", name, best)
		}
	}
}

// TestAnAddressTooLongToWriteIsNobody: an address that no SMTP carries is
// nobody that could be answered; it is left out at once and not one hop later.
func TestAnAddressTooLongToWriteIsNobody(t *testing.T) {
	for _, n := range []int{200, 320, 321, 490, 2000} {
		raw := lf("From: " + strings.Repeat("E", n-len("@b.example")) + "@b.example\n\nx\n")
		out, rep, err := treat(raw, options())
		if err != nil {
			t.Fatalf("%d octets: %v", n, err)
		}
		var from int
		for _, f := range rep.Header {
			if f.Name == "From" {
				from = len(f.Mailboxes)
			}
		}
		if want := n <= 320; want != (from == 1) {
			t.Errorf("an address of %d octets: %d mailboxes", n, from)
		}
		again, _, err := treat(out, options())
		if err != nil || !bytes.Equal(out, again) {
			t.Errorf("%d octets: treated again it changes: %v\n%s\n--- became\n%s", n, err, out, again)
		}
	}
}
