package header

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"sekisho/internal/charset"
)

func written(t testing.TB, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	if bad := illFormed(s); bad != "" {
		t.Fatalf("%s: %q", bad, s)
	}
	return s
}

// illFormed says what is wrong with a written field, "" if nothing is: one
// field, ASCII without controls, lines of at most 998 octets, each a
// continuation with something on it.
func illFormed(s string) string {
	if !strings.HasSuffix(s, "\r\n") {
		return "no line end"
	}
	for i, l := range strings.Split(strings.TrimSuffix(s, "\r\n"), "\r\n") {
		switch {
		case len(l) > 998:
			return "line too long"
		case len(l) > 78 && strings.Contains(l, "=?") && i > 0:
			return "line with encoded words too long"
		case i > 0 && l[:1] != " ":
			return "a second field"
		case i > 0 && strings.TrimSpace(l) == "":
			return "blank line"
		}
		for _, c := range []byte(l) {
			if c < ' ' || c >= 0x7f {
				return fmt.Sprintf("byte %#02x", c)
			}
		}
	}
	return ""
}

func field(t testing.TB, name, value string) string {
	return written(t, func(b *bytes.Buffer) error { return WriteField(b, name, value) })
}

func value(t testing.TB, s string) string {
	t.Helper()
	_, v, ok := strings.Cut(s, ":")
	if !ok {
		t.Fatalf("no colon in %q", s)
	}
	return strings.TrimSuffix(v, "\r\n")
}

func TestWriteField(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Hello", "Subject: Hello\r\n"},
		{"", "Subject:\r\n"},
		{"令和", "Subject: =?UTF-8?B?5Luk5ZKM?=\r\n"},
		{"Re: 令和 8 year", "Subject: Re: =?UTF-8?B?5Luk5ZKM?= 8 year\r\n"},
		{"=?utf-8?Q?a?=", "Subject: =?UTF-8?B?PT91dGYtOD9RP2E/PQ==?=\r\n"},
		{"a\r\nBcc: x@y\x00", "Subject: a  Bcc: x@y\r\n"},
		{strings.Repeat("word ", 20), "Subject: " + strings.TrimSuffix(strings.Repeat("word ", 13), " ") + "\r\n " + strings.TrimSuffix(strings.Repeat("word ", 7), " ") + "\r\n"},
	} {
		if got := field(t, "Subject", c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
	for _, name := range []string{"", "A B", "A:", "A\r\nB", "日", strings.Repeat("x", 100)} {
		var b bytes.Buffer
		if err := WriteField(&b, name, "x"); err == nil || b.Len() > 0 {
			t.Errorf("name %q: got %v and %q", name, err, b.String())
		}
	}
}

func TestTextSurvivesWritingAndReading(t *testing.T) {
	for _, s := range []string{
		"a", "a  b   c", "令和　八年", "a 令 b 和 c", "a  令  b", "Re: [ml:123] 会議（4/1）のご案内 ①㈱髙﨑 ～∥－￠￡￢", "ﾊﾝｶｸ ｶﾅ", "👍🏽 x", strings.Repeat("令和八年度", 200), strings.Repeat("x", 5000), "a" + strings.Repeat(" ", 500) + "b",
		"=?", "?=", "=?utf-8?B?", "a=?b", strings.Repeat("=?x?= ", 50) + "x", "か\u3099", "\u200bx", "\u202ex", "100% \"quoted\" \\ <a@b>, (c);", "+ADw-", "é ü", "Ã‚Â Ã‚Â", "\u00a0x\u00a0",
	} {
		if got := DecodeText(value(t, field(t, "Subject", s))); got != s {
			t.Errorf("%.60q: got %.60q", s, got)
		}
	}
}

// everyCharacter is each of CP932, in lines short enough for a name.
func everyCharacter(t testing.TB) []string {
	t.Helper()
	var lines []string
	var b strings.Builder
	n := 0
	add := func(s string) {
		b.WriteString(s)
		if n++; n%20 == 0 {
			lines = append(lines, b.String())
			b.Reset()
		}
	}
	for k := 0xa1; k <= 0xdf; k++ {
		add(charset.DecodeAs("cp932", []byte{byte(k)}).Text)
	}
	for a := 0x81; a <= 0xfc; a++ {
		for c := 0x40; c <= 0xfc; c++ {
			r := charset.DecodeAs("cp932", []byte{byte(a), byte(c)})
			if utf8.RuneCountInString(r.Text) == 1 && r.Replaced == 0 {
				add(r.Text)
			}
		}
	}
	lines = append(lines, b.String())
	// Kana, the assigned and the user-defined ones.
	if n != 63+7724+1880 {
		t.Fatalf("%d characters, want 9667", n)
	}
	return lines
}

func TestEveryCP932CharacterSurvives(t *testing.T) {
	for _, s := range everyCharacter(t) {
		s = strings.Trim(s, " ") // never there, but a blank at an end would not survive
		if got := DecodeText(value(t, field(t, "Subject", s))); got != s {
			t.Errorf("subject %q: got %q", s, got)
		}
		list := []Mailbox{{Name: s, Addr: "a@b.jp"}}
		out := written(t, func(b *bytes.Buffer) error { return WriteAddresses(b, "From", list) })
		if got, flags := ParseAddressList(value(t, out)); !reflect.DeepEqual(got, list) || flags != 0 {
			t.Errorf("display name %q: got %q %s", s, got, flags)
		}
		name := CleanName(s+".docx", "docx")
		if name != strings.Trim(s, "　")+".docx" {
			t.Errorf("file name %q: cleaned to %q", s, name)
		}
		ct := written(t, func(b *bytes.Buffer) error {
			return WriteParams(b, "Content-Type", "application/pdf", Param{Name: "name", Value: name})
		})
		cd := written(t, func(b *bytes.Buffer) error {
			return WriteParams(b, "Content-Disposition", "attachment", Param{Name: "filename", Value: name})
		})
		if names := Names(value(t, ct), "", ""); names[0].Value != name {
			t.Errorf("name %q: got %q", name, names[0].Value)
		}
		if names := Names("", value(t, cd), ""); names[0].Value != name {
			t.Errorf("filename %q: got %q", name, names[0].Value)
		}
		_, params, flags := ParseParams(value(t, cd))
		for _, p := range params.All("filename") {
			if p.Value != name {
				t.Errorf("filename %q: form %d says %q", name, p.Form, p.Value)
			}
		}
		if flags.Has(DuplicateParam | BadContinuation | BadExtended | BadWord) {
			t.Errorf("filename %q: flags %s", name, flags)
		}
	}
}

func TestWriteAddresses(t *testing.T) {
	for _, c := range []struct {
		list []Mailbox
		want string
	}{
		{[]Mailbox{{Addr: "a@b.jp"}}, "To: a@b.jp\r\n"},
		{[]Mailbox{{Addr: ".a..b.@docomo.ne.jp"}, {Name: "山", Addr: "a..b@docomo.ne.jp"}}, "To: <.a..b.@docomo.ne.jp>, =?UTF-8?B?5bGx?= <a..b@docomo.ne.jp>\r\n"},
		{[]Mailbox{{Name: "A B", Addr: "a@b.jp"}, {Name: "C, D", Addr: "c@d.jp"}, {Name: `q"\`, Addr: `"x y"@d.jp`}}, "To: A B <a@b.jp>, \"C, D\" <c@d.jp>, \"q\\\"\\\\\" <\"x y\"@d.jp>\r\n"},
		{[]Mailbox{{Addr: "a@b.jp", Group: "G"}, {Name: "C", Addr: "c@d.jp", Group: "G"}, {Addr: "e@f.jp"}}, "To: G: a@b.jp, C <c@d.jp>;, e@f.jp\r\n"},
		{[]Mailbox{{Group: "undisclosed-recipients"}}, "To: undisclosed-recipients:;\r\n"},
		{[]Mailbox{{Name: "N", Addr: "a@b.jp>, <evil@x.jp"}}, "To: \"N <a@b.jp>, <evil@x.jp>\":;\r\n"},
		{[]Mailbox{{Name: "N"}}, "To: N:;\r\n"},
		{[]Mailbox{{Addr: "山@例え.jp"}}, "To: =?UTF-8?B?POWxsUDkvovjgYguanA+?= :;\r\n"},
		{[]Mailbox{{Addr: "a@b.jp\r\nBcc: x@y.jp"}}, "To: \"<a@b.jp  Bcc: x@y.jp>\":;\r\n"},
		{nil, "To:\r\n"},
	} {
		if got := written(t, func(b *bytes.Buffer) error { return WriteAddresses(b, "To", c.list) }); got != c.want {
			t.Errorf("%q: got %q, want %q", c.list, got, c.want)
		}
	}
	var many []Mailbox
	for i := range 1000 {
		many = append(many, Mailbox{Name: "総務課", Addr: fmt.Sprintf("user%d@example.lg.jp", i)})
	}
	out := written(t, func(b *bytes.Buffer) error { return WriteAddresses(b, "To", many) })
	if got, flags := ParseAddressList(value(t, out)); !reflect.DeepEqual(got, many) || flags != 0 {
		t.Errorf("a list of 1000 came back as %d, flags %s", len(got), flags)
	}
	for _, l := range strings.Split(out, "\r\n") {
		if len(l) > 76 {
			t.Errorf("line of %d: %q", len(l), l)
		}
	}
}

func TestWriteIDs(t *testing.T) {
	ids := []string{"a@b", "bad id", "x\r\ny", strings.Repeat("z", 80) + "@c", "d@e"}
	out := written(t, func(b *bytes.Buffer) error { return WriteIDs(b, "References", ids) })
	if got := ParseMsgIDs(value(t, out)); !reflect.DeepEqual(got, []string{ids[0], ids[3], ids[4]}) {
		t.Errorf("got %q from %q", got, out)
	}
	var b bytes.Buffer
	if err := WriteIDs(&b, "References", []string{"<>"}); err != nil || b.Len() != 0 {
		t.Errorf("no id: got %v and %q", err, b.String())
	}
}

func TestWriteParams(t *testing.T) {
	for _, c := range []struct {
		name, value string
		params      []Param
		want        string
	}{
		{"Content-Type", "text/plain", []Param{{Name: "charset", Value: "utf-8"}}, "Content-Type: text/plain; charset=utf-8\r\n"},
		{"Content-Type", "multipart/mixed", []Param{{Name: "boundary", Value: "a b/c"}}, "Content-Type: multipart/mixed; boundary=\"a b/c\"\r\n"},
		{"Content-Type", "application/pdf", []Param{{Name: "name", Value: "申.pdf"}}, "Content-Type: application/pdf; name=\"=?UTF-8?B?55SzLnBkZg==?=\"\r\n"},
		{"Content-Disposition", "attachment", []Param{{Name: "filename", Value: "a.pdf"}}, "Content-Disposition: attachment; filename=a.pdf\r\n"},
		{"Content-Disposition", "attachment", []Param{{Name: "filename", Value: "O'Brien.pdf"}}, "Content-Disposition: attachment; filename=\"O'Brien.pdf\"\r\n"},
		{"Content-Disposition", "attachment", []Param{{Name: "filename", Value: "100%.pdf"}}, "Content-Disposition: attachment; filename=\"100%.pdf\"\r\n"},
		{"Content-Disposition", "attachment", []Param{{Name: "filename", Value: "申.pdf"}}, "Content-Disposition: attachment; filename*=UTF-8''%E7%94%B3.pdf;\r\n filename=\"=?UTF-8?B?55SzLnBkZg==?=\"\r\n"},
		{"Content-Disposition", "attachment", []Param{{Name: "filename", Value: "a\"\r\nX: y\\.pdf"}}, "Content-Disposition: attachment; filename=\"a\\\"  X: y\\\\.pdf\"\r\n"},
		{"Content-Disposition", "attachment", []Param{{Name: "filename", Value: "=?utf-8?B?YQ?="}}, "Content-Disposition: attachment;\r\n filename*=UTF-8''%3D%3Futf-8%3FB%3FYQ%3F%3D;\r\n filename=\"=?UTF-8?B?PT91dGYtOD9CP1lRPz0=?=\"\r\n"},
	} {
		if got := written(t, func(b *bytes.Buffer) error { return WriteParams(b, c.name, c.value, c.params...) }); got != c.want {
			t.Errorf("%s %+v:\n got %q\nwant %q", c.name, c.params, got, c.want)
		}
	}
	for _, bad := range []struct {
		value string
		p     []Param
	}{
		{"text/plain; x=y", nil}, {"", nil}, {"text/plain\r\nX: y", nil}, {"a/b/c", nil}, {"日", nil},
		{"text/plain", []Param{{Name: "a b", Value: "x"}}}, {"text/plain", []Param{{Name: "", Value: "x"}}}, {"text/plain", []Param{{Name: "a*", Value: "x"}}}, {"text/plain", []Param{{Name: "a", Value: "x"}, {Name: "A", Value: "y"}}},
	} {
		var b bytes.Buffer
		if err := WriteParams(&b, "Content-Type", bad.value, bad.p...); err == nil || b.Len() > 0 {
			t.Errorf("%q %v: got %v and %q", bad.value, bad.p, err, b.String())
		}
	}
}

func TestLongNamesGoInPieces(t *testing.T) {
	name := "【別紙１】令和８年度物価高騰対応重点支援地方創生臨時交付金に係る実施計画の作成について（通知）.xlsx"
	cd := written(t, func(b *bytes.Buffer) error {
		return WriteParams(b, "Content-Disposition", "attachment", Param{Name: "filename", Value: name})
	})
	if !strings.Contains(cd, "filename*0*=UTF-8''") || !strings.Contains(cd, "filename*3*=") {
		t.Errorf("not in pieces: %q", cd)
	}
	for _, l := range strings.Split(cd, "\r\n") {
		if len(l) > 76 {
			t.Errorf("line of %d: %q", len(l), l)
		}
	}
	_, params, flags := ParseParams(value(t, cd))
	if p, _ := params.Get("filename"); p.Value != name || p.Form != Pieces || flags.Has(BadContinuation|DuplicateParam) {
		t.Errorf("got %q, flags %s", p.Value, flags)
	}
}

// Python's email package as an independent reader of what is written.
func TestPythonReadsWhatIsWritten(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here: the comparison with it is skipped")
	}
	lines := everyCharacter(t)
	var in strings.Builder
	for _, s := range lines {
		name := CleanName(s+".docx", "docx")
		var b bytes.Buffer
		for _, err := range []error{
			WriteField(&b, "Subject", "Re: "+s+" x"),
			WriteAddresses(&b, "From", []Mailbox{{Name: s, Addr: "a@b.jp"}}),
			WriteAddresses(&b, "To", []Mailbox{{Name: s, Addr: "a@b.jp"}, {Name: "A, B", Addr: "c@d.jp"}}),
			WriteParams(&b, "Content-Type", "application/pdf", Param{Name: "name", Value: name}),
			WriteParams(&b, "Content-Disposition", "attachment", Param{Name: "filename", Value: name}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		b.WriteString("\r\n")
		fmt.Fprintf(&in, "%s\n", base64.StdEncoding.EncodeToString(b.Bytes()))
	}
	cmd := exec.Command(python, "-c", `
import sys, base64, email, email.policy
for l in sys.stdin:
    m = email.message_from_bytes(base64.b64decode(l), policy=email.policy.default)
    o = email.message_from_bytes(base64.b64decode(l))
    dec = lambda s: str(email.header.make_header(email.header.decode_header(s)))
    n = dec(o.get_param('name'))
    f = dec(email.utils.collapse_rfc2231_value(o.get_param('filename', header='content-disposition')))
    # The newer reader puts a blank between two encoded words of a display name.
    d, a = email.utils.parseaddr(o['from'])
    t = m['to'].addresses
    out = [m['subject'], dec(d), a, t[1].display_name, str(len(t)), m.get_filename(), f, n, str(len(m.defects))]
    print(' '.join(base64.b64encode(x.encode('utf-8')).decode() for x in out))
`)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			t.Fatalf("python3: %v\n%s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(got) != len(lines) {
		t.Fatalf("python3 gave %d answers to %d questions", len(got), len(lines))
	}
	for i, l := range got {
		s := lines[i]
		name := CleanName(s+".docx", "docx")
		var fields []string
		for _, f := range strings.Split(l, " ") {
			b, err := base64.StdEncoding.DecodeString(f)
			if err != nil {
				t.Fatal(err)
			}
			fields = append(fields, string(b))
		}
		want := []string{"Re: " + s + " x", s, "a@b.jp", "A, B", "2", name, name, name, "0"}
		for k := range want {
			if fields[k] != want[k] {
				t.Errorf("%q: Python's answer %d is %q, want %q", s, k, fields[k], want[k])
			}
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("Re: =?iso-2022-jp?B?GyRCTmFPQhsoQg==?= x")
	f.Add("=?utf-8?Q?=0D=0AX:_y?= \x1b$BNaOB\x1b(B")
	f.Add(" \xef\xbb\xbfa  \t b\u3000 =?utf-16?B?//4=?=")
	f.Add(strings.Repeat("x", 1000) + " 令 " + strings.Repeat("=?", 30))
	f.Fuzz(func(t *testing.T, raw string) {
		s := DecodeText(raw)
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00") {
			t.Fatalf("%q: decoded to %q", raw, s)
		}
		w := field(t, "Subject", s)
		if again := DecodeText(value(t, w)); again != s {
			t.Fatalf("%q: %q became %q by %q", raw, s, again, w)
		}
		b, err := readOne(w)
		if err != nil || len(b.Fields) != 1 || b.Flags&^NoSeparator != 0 {
			t.Fatalf("%q: not one field: %+v", w, b)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	f.Add(`"A, B" <a@b.jp>, .c..d.@docomo.ne.jp (E), G: x@y.jp, Z <z@y.jp>;`)
	f.Add("=?utf-8?B?5Luk?= <a@[x:y]>; \"\\\"\" <@r:b@c>, <d@e> <f@g> h")
	f.Add("\x1b$BNaOB\x1b(B <a@b>, \x90\x5c <c@d>, :;,<>")
	f.Fuzz(func(t *testing.T, raw string) {
		list, _ := ParseAddressList(raw)
		w := written(t, func(b *bytes.Buffer) error { return WriteAddresses(b, "To", list) })
		once, _ := ParseAddressList(value(t, w))
		for _, m := range once {
			if !utf8.ValidString(m.Name + m.Addr + m.Group) {
				t.Fatalf("%q: %q", raw, m)
			}
			if m.Addr != "" && !plainAddr(m.Addr) {
				t.Fatalf("%q: address %q", raw, m.Addr)
			}
		}
		// Nothing that was no address became one.
		var before, after []string
		for _, m := range list {
			if plainAddr(m.Addr) {
				before = append(before, m.Addr)
			}
		}
		for _, m := range once {
			if m.Addr != "" {
				after = append(after, m.Addr)
			}
		}
		if len(before) != len(after) {
			t.Fatalf("%q: addresses %q became %q by %q", raw, before, after, w)
		}
		w2 := written(t, func(b *bytes.Buffer) error { return WriteAddresses(b, "To", once) })
		twice, _ := ParseAddressList(value(t, w2))
		if !reflect.DeepEqual(once, twice) {
			t.Fatalf("%q: %q became %q by %q", raw, once, twice, w2)
		}
	})
}

func FuzzParams(f *testing.F) {
	f.Add("attachment; filename*0*=utf-8''%E7%94%B3; filename*1=\".doc\"; filename=\"=?utf-8?B?YQ?=\"", "docx")
	f.Add("text/plain (c); name=\"\x90\x5c.doc\" charset=x; name*=a'b'c%", "")
	f.Add("a/b; name=\"\x1b$B?=\x1b(B\\\".js:x", "txt")
	f.Fuzz(func(t *testing.T, raw, ext string) {
		_, params, _ := ParseParams(raw)
		if p, ok := params.Get("filename"); ok {
			if !utf8.ValidString(p.Value) || strings.ContainsAny(p.Value, "\r\n\x00") {
				t.Fatalf("%q: value %q", raw, p.Value)
			}
		}
		for _, n := range Names(raw, raw, raw) {
			Dangerous(n.Value)
			clean := CleanName(n.Value, ext)
			checkClean(t, n.Value, ext, clean)
			for _, attr := range []string{"name", "filename", "other"} {
				w := written(t, func(b *bytes.Buffer) error {
					return WriteParams(b, "Content-Disposition", "attachment", Param{Name: attr, Value: n.Value})
				})
				_, again, flags := ParseParams(value(t, w))
				for _, p := range again {
					if p.Value != tidy(n.Value) {
						t.Fatalf("%q: %q became %q by %q", raw, tidy(n.Value), p.Value, w)
					}
				}
				if len(again) == 0 || flags.Has(DuplicateParam|BadContinuation|BadExtended|BadParam|JunkAfterValue|MissingSemicolon) {
					t.Fatalf("%q: %q has flags %s", raw, w, flags)
				}
			}
		}
	})
}

func readOne(s string) (Block, error) {
	return ReadBlock(newReader(s), Limits{})
}
