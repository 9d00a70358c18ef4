package message_test

import (
	"strings"
	"testing"

	"sekisho/sanitize"
)

// TestTheBiggestFilesStayBehindUntilTheRestFits: the biggest first, whole, with
// what is inside them; the text and what is small arrive.
func TestTheBiggestFilesStayBehindUntilTheRestFits(t *testing.T) {
	line := "公開してよい行です。\r\n"
	file := func(name, text string) string {
		return "--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text
	}
	raw := []byte(strings.ReplaceAll(top, "\n", "\r\n") + "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nsee the files\r\n" +
		file("big.txt", strings.Repeat(line, 4000)) + file("small.txt", "small words\r\n") + file("middle\u200b.txt", strings.Repeat(line+"\u200b", 2000)) + "--a--\r\n")
	for _, c := range []struct {
		most        int64
		gone, stays string
	}{
		{0, "", "big.txt middle.txt small.txt"},
		{1 << 20, "", "big.txt middle.txt small.txt"},
		{200 << 10, "big.txt", "middle.txt small.txt"},
		{60 << 10, "big.txt middle.txt", "small.txt"},
		{1, "big.txt middle.txt small.txt", ""},
	} {
		o := options()
		o.Most, o.PartID = c.most, "06h0z85xdj5r8ypfgccr1f7pmvpysq1atn7g"
		out, r, err := treat(raw, o)
		if err != nil {
			t.Fatal(err)
		}
		if c.most > 1 && int64(len(out)) > c.most {
			t.Errorf("%d: the mail has %d octets", c.most, len(out))
		}
		if !strings.Contains(string(out), "see the files") {
			t.Errorf("%d: the text is gone", c.most)
		}
		text := string(out)
		for _, name := range strings.Fields(c.stays) {
			if !strings.Contains(text, "filename="+name) {
				t.Errorf("%d: %s is not in the mail", c.most, name)
			}
		}
		kept := 0
		for i := range r.Parts {
			p := &r.Parts[i]
			name := strings.ReplaceAll(p.Name, "\u200b", "")
			if p.Name != "" && strings.Contains(c.gone, name) != (p.Fate == sanitize.KeptBack) {
				t.Errorf("%d: %s is %s", c.most, name, p.Fate)
			}
			if p.Fate == sanitize.KeptBack {
				kept++
				if strings.Contains(text, "filename="+name) || p.OutName != "" || p.Out != (sanitize.Digest{}) {
					t.Errorf("%d: %s is in the mail, or its report says so: %+v", c.most, name, p)
				}
			}
		}
		if kept != len(strings.Fields(c.gone)) {
			t.Errorf("%d: %d parts kept back, want %q", c.most, kept, c.gone)
		}
	}
}

// What was inside a file that stays behind stays with it.
func TestWhatIsInsideATooBigFileWaitsWithIt(t *testing.T) {
	inner := top + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\ninner words\n--b\nContent-Type: text/plain; name=inner.txt\nContent-Disposition: attachment; filename=inner.txt\n\nx\n--b--\n"
	raw := lf(top + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/plain\n\nhi\n--a\nContent-Type: message/rfc822; name=x.eml\n\n" + inner + "--a--\n")
	o := options()
	o.Most = 1
	out, r, err := treat(raw, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Parts) < 4 || strings.Contains(string(out), "inner") {
		t.Fatalf("%+v\n%s", r.Parts, out)
	}
	for i := range r.Parts {
		if p := &r.Parts[i]; strings.HasPrefix(p.Path, "2") && p.Fate == sanitize.Delivered {
			t.Errorf("%s is %s", p.Path, p.Fate)
		}
	}
}
