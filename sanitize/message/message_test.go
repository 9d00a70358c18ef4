package message_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/html"
	"sekisho/sanitize/message"
)

// copier stands for the sanitizers of files, which have tests of their own.
type copier struct {
	kind    sanitize.Kind
	finding string
}

func (c copier) Sanitize(_ context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	if c.finding != "" {
		s.Found(sanitize.Finding{Rule: c.finding, Action: sanitize.Removed, Detail: "3"})
	}
	_, err := io.Copy(out, s.Meter(in.Reader()))
	return sanitize.Result{Outcome: sanitize.Clean, Kind: c.kind, Mode: sanitize.Rebuild}, err
}

func table() map[sanitize.Kind]sanitize.Sanitizer {
	return map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindHTML:    html.Sanitizer{},
		sanitize.KindMessage: message.Sanitizer{},
		sanitize.KindText:    copier{kind: sanitize.KindText},
		sanitize.KindEmpty:   copier{kind: sanitize.KindText},
		sanitize.KindCSV:     copier{kind: sanitize.KindCSV},
		sanitize.KindPNG:     copier{kind: sanitize.KindPNG},
		sanitize.KindDOCX:    copier{kind: sanitize.KindDOCX},
		sanitize.KindDOCM:    copier{kind: sanitize.KindDOCX, finding: "ooxml.vba"},
	}
}

func options() *sanitize.Options {
	r := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	return &sanitize.Options{
		Task: sanitize.TaskFile, ID: "0message", PartID: "0part", Language: "ja", Limits: sanitize.DefaultLimits(),
		Expires: time.Date(2026, 12, 8, 9, 0, 0, 0, time.FixedZone("JST", 9*3600)),
		Rules: map[sanitize.Class]sanitize.Rule{
			sanitize.ClassText: r, sanitize.ClassCSV: r, sanitize.ClassHTML: r, sanitize.ClassImage: r, sanitize.ClassOffice: r, sanitize.ClassMessage: r,
		},
	}
}

// lf writes mails with plain line ends in tests, and gives them those of mail.
func lf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func treat(raw []byte, o *sanitize.Options) ([]byte, *sanitize.Report, error) {
	s := sanitize.NewSession(o, int64(len(raw)), detect.Detect, table())
	var out bytes.Buffer
	_, err := message.Sanitizer{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(raw), Size: int64(len(raw))}, &out)
	return out.Bytes(), s.Report("test"), err
}

// leaf is a part of an output as the standard library reads it.
type leaf struct {
	media, name, charset string
	body                 string
}

func leaves(t testing.TB, raw []byte) (mail.Header, []leaf) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("output is no mail: %v\n%s", err, raw)
	}
	var all []leaf
	var walk func(get func(string) string, r io.Reader)
	walk = func(get func(string) string, r io.Reader) {
		media, params, err := mime.ParseMediaType(get("Content-Type"))
		if err != nil {
			t.Fatalf("Content-Type %q: %v", get("Content-Type"), err)
		}
		if media == "multipart/mixed" {
			mr := multipart.NewReader(r, params["boundary"])
			for {
				p, err := mr.NextRawPart()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Fatalf("part: %v\n%s", err, raw)
				}
				walk(p.Header.Get, p)
			}
		}
		switch get("Content-Transfer-Encoding") {
		case "base64":
			r = base64.NewDecoder(base64.StdEncoding, r)
		case "quoted-printable":
			r = quotedprintable.NewReader(r)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("content: %v\n%s", err, raw)
		}
		name := ""
		if cd := get("Content-Disposition"); cd != "" {
			_, p, err := mime.ParseMediaType(cd)
			if err != nil {
				t.Fatalf("Content-Disposition %q: %v", cd, err)
			}
			name = p["filename"]
		}
		all = append(all, leaf{media, name, params["charset"], string(b)})
	}
	walk(m.Header.Get, m.Body)
	return m.Header, all
}

func text(ls []leaf) string {
	var b strings.Builder
	for _, l := range ls {
		if l.media == "text/plain" && l.name == "" {
			b.WriteString(l.body)
		}
	}
	return b.String()
}

const top = "From: a@example.jp\nTo: b@example.lg.jp\nSubject: x\nDate: Mon, 01 Apr 2024 09:00:00 +0900\nMessage-ID: <1@example.jp>\nMIME-Version: 1.0\n"

// mixed is a mail of these parts.
func mixed(parts ...string) string {
	s := top + "Content-Type: multipart/mixed; boundary=\"=b\"\n\n"
	for _, p := range parts {
		s += "--=b\n" + p + "\n"
	}
	return s + "--=b--\n"
}

const plainPart = "Content-Type: text/plain\n\nhello\n"

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestHonestOdditiesAreDelivered(t *testing.T) {
	for _, c := range []struct{ name, mail, want string }{
		{"no MIME at all", "From: a@example.jp\nSubject: x\n\nhello\n", "hello\r\n"},
		{"no line end at the end", "From: a@example.jp\n\nhello", "hello\r\n"},
		{"no MIME-Version", "From: a@example.jp\nContent-Type: text/plain; charset=utf-8\n\nhello\n", "hello\r\n"},
		{"type of one word", top + "Content-Type: text\n\nhello\n", "hello\r\n"},
		{"empty type", top + "Content-Type:\n\nhello\n", "hello\r\n"},
		{"comment in the type", top + "Content-Type: text/plain (really); charset=utf-8 (yes)\n\nhello\n", "hello\r\n"},
		{"mixed case and folding", top + "content-TYPE: TEXT/Plain;\n\tCharset=\"UTF-8\"\nContent-transfer-encoding:\n BASE64\n\naGVsbG8K\n", "hello\r\n"},
		{"same type twice, word for word", top + "Content-Type: text/plain\nContent-type: TEXT/PLAIN\n\nhello\n", "hello\r\n"},
		{"two subjects", top + "Subject: y\n\nhello\n", "hello\r\n"},
		{"mbox line", "From a@example.jp Mon Apr  1 09:00:00 2024\n" + top + "\nhello\n", "hello\r\n"},
		{"text without an empty line before it", "From: a@example.jp\nSubject: x\nhello\nworld\n", "hello\r\nworld\r\n"},
		{"no header", "hello\nworld\n", "hello\r\nworld\r\n"},
		{"a sentence before the parts", top + "Content-Type: multipart/mixed; boundary=a\n\nThis is a multi-part message in MIME format.\n--a\n\nhello\n\n--a--\nbye\n", "hello\r\n"},
		{"white space behind the boundary", top + "Content-Type: multipart/mixed; boundary=a\n\n--a  \n\nhello\n\n--a--\t\n", "hello\r\n"},
		{"no closing delimiter", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nhello\n", "hello\r\n"},
		{"equals signs in the boundary", top + "Content-Type: multipart/mixed; boundary=----=_Part_1.2\n\n------=_Part_1.2\n\nhello\n\n------=_Part_1.2--\n", "hello\r\n"},
		{"an inner boundary that begins like the outer", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\nhello\n\n--ab--\n\n--a--\n", "hello\r\n"},
		{"base64 without padding", top + "Content-Transfer-Encoding: base64\n\naGVsbG8\n", "hello\r\n"},
		{"base64 in one line with blanks", top + "Content-Transfer-Encoding: base64\n\naG Vs\tbG8K\n", "hello\r\n"},
		{"lower case quoted-printable, blanks at line ends", top + "Content-Transfer-Encoding: quoted-printable\n\nh=65llo  \n", "hello\r\n"},
		{"parts promised, none written", top + "Content-Type: multipart/mixed; boundary=a\n\nhello\n", "hello\r\n"},
		{"a quoted mail in a text", top + "\n> --b\n--- Below is a copy ---\nContent-Type: text/plain\n\nhello\n", "> --b\r\n--- Below is a copy ---\r\nContent-Type: text/plain\r\n\r\nhello\r\n"},
		{"words that begin like uuencode", top + "\nbegin 644 things\nand finish them\n", "begin 644 things\r\nand finish them\r\n"},
		{"long lines", top + "\n" + strings.Repeat("a", 5000) + "\n", strings.Repeat("a", 5000) + "\r\n"},
		{"dots and Froms", top + "\n.\n..\nFrom me\n", ".\r\n..\r\nFrom me\r\n"},
		{"two mailboxes of one domain in From", "From: a@example.jp, b@example.jp\n\nhello\n", "hello\r\n"},
		{"header only", top, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, rep, err := treat(lf(c.mail), options())
			if err != nil {
				t.Fatalf("%v, %v", err, rep.Holds)
			}
			_, ls := leaves(t, out)
			if got := text(ls); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if rep.Changed {
				t.Errorf("said to be changed: %+v", rep.Parts)
			}
		})
	}
}

func TestTextOfEveryCharsetArrivesInUTF8(t *testing.T) {
	const want = "①㈱髙ｱｲｳ表\r\n"
	for _, c := range []struct{ name, fields, body string }{
		{"iso-2022-jp of Windows", "Content-Type: text/plain; charset=iso-2022-jp\n", "\x1b$B-!-j|b\x1b(I123\x1b$BI=\x1b(B\n"},
		{"iso-2022-jp without a label", "", "\x1b$B-!-j|b\x1b(I123\x1b$BI=\x1b(B\n"},
		{"shift_jis", "Content-Type: text/plain; charset=Shift_JIS\n", "\x87\x40\x87\x8a\xfb\xfc\xb1\xb2\xb3\x95\x5c\n"},
		{"shift_jis called utf-8", "Content-Type: text/plain; charset=utf-8\n", "\x87\x40\x87\x8a\xfb\xfc\xb1\xb2\xb3\x95\x5c\n"},
		{"utf-8", "Content-Type: text/plain; charset=UTF-8\n", want[:len(want)-2] + "\n"},
		{"utf-8 in base64", "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: base64\n", b64(want) + "\n"},
		{"with a mark", "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: base64\n", b64("\ufeff"+want) + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := treat(lf(top+c.fields+"\n"+c.body), options())
			if err != nil {
				t.Fatal(err)
			}
			_, ls := leaves(t, out)
			if got := text(ls); got != want || ls[0].charset != "utf-8" {
				t.Errorf("got %q in %s, want %q", got, ls[0].charset, want)
			}
		})
	}
}

func TestFlowedTextIsJoined(t *testing.T) {
	in := top + "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\nContent-Transfer-Encoding: 8bit\n\n" +
		"これは長い \n段落です。\n>> 引用も \n>> 続く\n> 外\n-- \n名前\n From\n"
	out, _, err := treat(lf(in), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	want := "これは長い段落です。\r\n>> 引用も続く\r\n> 外\r\n-- \r\n名前\r\nFrom\r\n"
	if got := text(ls); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTMLBecomesText(t *testing.T) {
	out, rep, err := treat(lf(top+"Content-Type: text/html; charset=iso-2022-jp\n\n<p>\x1b$B;0\x1b(B</p><a href='https://example.jp/'>x</a><img src='http://t.example/1.gif'>\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if got := text(ls); got != "三\r\n\r\nx <https://example.jp/>\r\n" {
		t.Errorf("got %q", got)
	}
	if rep.Changed || rep.Parts[0].Kind != sanitize.KindHTML || rep.Parts[0].OutKind != sanitize.KindText {
		t.Errorf("report %+v", rep.Parts)
	}
	// What a script did is gone, and the reader is told.
	out, rep, err = treat(lf(top+"Content-Type: text/html\n\n<p>a</p><script>evil()</script>\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls = leaves(t, out)
	if got := text(ls); strings.Contains(got, "evil") || !strings.Contains(got, "スクリプト 1 個を削除") || !rep.Changed {
		t.Errorf("got %q, changed %v", got, rep.Changed)
	}
}

func TestTheFullerAlternativeIsUsed(t *testing.T) {
	alt := func(plain, html string) string {
		return top + "Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/plain\n\n" + plain +
			"\n--a\nContent-Type: text/html\n\n" + html + "\n--a--\n"
	}
	for _, c := range []struct{ name, mail, want string }{
		{"the same", alt("hello world", "<p>hello <b>world</b></p>"), "hello world\r\n"},
		{"html says more", alt("See the HTML part.", "<p>"+strings.Repeat("all that matters ", 10)+"</p>"), strings.TrimSpace(strings.Repeat("all that matters ", 10)) + "\r\n"},
		{"plain says more", alt(strings.Repeat("all that matters ", 10), "<p>x</p>"), strings.Repeat("all that matters ", 10) + "\r\n"},
		{"links do not count", alt("hello", "<a href='https://example.jp/"+strings.Repeat("a", 200)+"'>hello</a>"), "hello\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, rep, err := treat(lf(c.mail), options())
			if err != nil {
				t.Fatal(err)
			}
			_, ls := leaves(t, out)
			if got := text(ls); got != c.want || rep.Changed {
				t.Errorf("got %q, want %q; changed %v", got, c.want, rep.Changed)
			}
			if len(rep.Parts) != 2 {
				t.Errorf("report of %d parts", len(rep.Parts))
			}
		})
	}
}

func TestAttachmentsKeepTheirNames(t *testing.T) {
	const content = "これは表です\r\n"
	for _, c := range []struct{ name, fields, want string }{
		{"RFC 2231", "Content-Type: text/plain\nContent-Disposition: attachment; filename*=iso-2022-jp''%1B%24BI%3D%1B%28B.txt\n", "表.txt"},
		{"RFC 2047 in quotes", "Content-Type: text/plain; name=\"=?ISO-2022-JP?B?GyRCST0bKEIudHh0?=\"\n", "表.txt"},
		{"RFC 2047 without quotes", "Content-Type: text/plain\nContent-Disposition: attachment; filename==?ISO-2022-JP?B?GyRCST0bKEIudHh0?=\n", "表.txt"},
		{"raw Shift_JIS", "Content-Type: text/plain; name=\"\x95\x5c.txt\"\n", "表.txt"},
		{"characters that NFC would change", "Content-Type: text/plain; name=\"神福.txt\"\n", "神福.txt"},
		{"no extension", "Content-Type: text/plain; name=README\n", "README.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, rep, err := treat(lf(mixed(plainPart, c.fields+"Content-Transfer-Encoding: base64\n\n"+b64(content)+"\n")), options())
			if err != nil {
				t.Fatal(err)
			}
			_, ls := leaves(t, out)
			if len(ls) != 2 || ls[1].name != c.want || ls[1].body != content {
				t.Errorf("got %+v, want %s", ls, c.want)
			}
			if rep.Changed {
				t.Error("said to be changed")
			}
		})
	}
}

func TestAnotherExtensionIsTold(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for _, c := range []struct{ name, content, is, ja, en string }{
		{"写真.jpg", png, "写真.png", "写真.jpg → 写真.png: ファイル名と内容が不一致", "写真.jpg → 写真.png: name and content disagree"},
		{"設定.conf", "一行だけの設定\r\n", "設定.txt", "設定.conf → 設定.txt: 拡張子を内容に合わせて変更", "設定.conf → 設定.txt: extension changed to fit the content"},
		{"写真.PNG", png, "写真.PNG", "", ""},
		{"写真", png, "写真.png", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for language, want := range map[string]string{"ja": c.ja, "en": c.en} {
				o := options()
				o.Language = language
				out, _, err := treat(lf(mixed(plainPart, "Content-Type: application/octet-stream; name=\""+c.name+"\"\nContent-Transfer-Encoding: base64\n\n"+b64(c.content)+"\n")), o)
				if err != nil {
					t.Fatal(err)
				}
				_, ls := leaves(t, out)
				if ls[len(ls)-1].name != c.is {
					t.Errorf("it goes out as %s, want %s", ls[len(ls)-1].name, c.is)
				}
				switch {
				case want == "" && len(ls) != 2:
					t.Errorf("%s: a notice where nothing changed: %q", language, text(ls))
				case !strings.Contains(text(ls), want):
					t.Errorf("%s: the notice does not say %q: %q", language, want, text(ls))
				}
			}
		})
	}
}

func TestWhatDoesNotGoOnIsReplacedByANotice(t *testing.T) {
	script := mixed(plainPart, "Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename=\"請求書.js\"\nContent-Transfer-Encoding: base64\n\n"+b64("WScript.Echo('MARKER')")+"\n")
	for _, c := range []struct {
		name string
		mail string
		set  func(*sanitize.Options)
		kind sanitize.Kind
		fate sanitize.Fate
		says []string
	}{
		{"a script", script, nil, sanitize.KindScript, sanitize.KeptBack, []string{"保留しました", "請求書.js", "0part", "2026年12月8日", "プログラム"}},
		{"a script, dropped by the profile", script, func(o *sanitize.Options) {
			o.Rules[sanitize.ClassExecutable] = sanitize.Rule{Drop: true}
		}, sanitize.KindScript, sanitize.Dropped, []string{"削除しました", "請求書.js"}},
		{"English", script, func(o *sanitize.Options) { o.Language = "en" }, sanitize.KindScript, sanitize.KeptBack, []string{"was kept back", "script"}},
		{"any file in the second run", mixed(plainPart, "Content-Type: image/png; name=a.png\n\nx\n"), func(o *sanitize.Options) { o.KeepAll = true }, sanitize.KindText, sanitize.KeptBack, []string{"a.png", "できませんでした"}},
		{"what lies elsewhere", mixed(plainPart, "Content-Type: message/external-body; access-type=URL; URL=\"http://x.example/MARKER\"\n\nContent-Type: text/plain\n\n"), nil, sanitize.KindUnknown, sanitize.KeptBack, []string{"メールの外"}},
		{"a program called text", top + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + b64("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00MARKER") + "\n", nil, sanitize.KindExecutable, sanitize.KeptBack, []string{"プログラム"}},
		{"a calendar entry", mixed(plainPart, "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n"), nil, sanitize.KindICS, sanitize.KeptBack, []string{"予定"}},
		{"PGP", top + "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=a\n\n--a\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--a\nContent-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n--a--\n", nil, sanitize.KindPGP, sanitize.KeptBack, []string{"暗号化"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options()
			if c.set != nil {
				c.set(o)
			}
			out, rep, err := treat(lf(c.mail), o)
			if err != nil {
				t.Fatal(err)
			}
			_, ls := leaves(t, out)
			got := text(ls)
			for _, s := range c.says {
				if !strings.Contains(got, s) {
					t.Errorf("notice does not say %s:\n%s", s, got)
				}
			}
			for _, l := range ls {
				if strings.Contains(l.body, "MARKER") || l.name != "" {
					t.Errorf("delivered: %+v", l)
				}
			}
			p := rep.Parts[len(rep.Parts)-1]
			if p.Kind != c.kind || p.Fate != c.fate || !rep.Changed {
				t.Errorf("part %+v, want %s, %s", p, c.kind, c.fate)
			}
		})
	}
}

// docm is the smallest package that detection takes for a document with macros.
func docm(t testing.TB) string {
	t.Helper()
	return zipOf(t, map[string]string{
		"[Content_Types].xml":      `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/></Types>`,
		"_rels/.rels":              `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`,
		"word/document.xml":        `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>`,
		"word/_rels/document.rels": ``,
	})
}

func TestWhatWasTakenIsToldOnceBehindTheText(t *testing.T) {
	out, rep, err := treat(lf(mixed(plainPart, "Content-Type: application/octet-stream; name=\"書類.docm\"\nContent-Transfer-Encoding: base64\n\n"+b64(docm(t))+"\n")), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if len(ls) != 3 || ls[0].body != "hello\r\n" || ls[2].name != "書類.docx" {
		t.Fatalf("got %+v", ls)
	}
	if want := "書類.docm → 書類.docx: マクロ 3 個を削除"; !strings.Contains(ls[1].body, want) {
		t.Errorf("notice %q does not say %q", ls[1].body, want)
	}
	if p := rep.Parts[1]; p.OutName != "書類.docx" || p.Outcome != sanitize.Disarmed || p.Path != "2" {
		t.Errorf("part %+v", p)
	}
}

func TestASignatureIsTakenOffAndTold(t *testing.T) {
	out, rep, err := treat(lf(top+"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=a\n\n--a\n"+plainPart+"\n--a\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n"+b64("0\x80")+"\n--a--\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if got := text(ls); !strings.HasPrefix(got, "hello\r\n") || !strings.Contains(got, "電子署名 1 個を取り外し") || len(ls) != 2 {
		t.Errorf("got %+v", ls)
	}
	if !rep.Changed {
		t.Error("not said to be changed")
	}
}

func TestTheTextArrivesInTheSecondRun(t *testing.T) {
	for _, c := range []struct{ fields, body, want string }{
		{"Content-Type: text/plain\n", "hello\n", "hello\r\n"},
		{"Content-Type: text/html\n", "<html><p>hello</p></html>\n", "hello\r\n"},
		{"Content-Type: text/html\n", "<!DOCTYPE html><p>%PDF-1.4</p>\n", "\r\n%PDF-1.4\r\n"},
	} {
		o := options()
		o.KeepAll = true
		out, _, err := treat(lf(top+c.fields+"\n"+c.body), o)
		if err != nil {
			t.Fatal(err)
		}
		_, ls := leaves(t, out)
		if got := text(ls); got != c.want {
			t.Errorf("%q: got %q, want %q", c.body, got, c.want)
		}
	}
}

func TestPreviewIsTheTreatedText(t *testing.T) {
	o := options()
	o.Preview = true
	_, rep, err := treat(lf(top+"Content-Type: text/html\n\n<p>hello<script>x</script></p>\n"), o)
	if err != nil || rep.Preview != "hello\r\n" {
		t.Errorf("%v, preview %q", err, rep.Preview)
	}
}

func TestURLsInTextFollowTheProfile(t *testing.T) {
	for mode, want := range map[sanitize.URLs]string{
		sanitize.KeepURLs:   "see https://a.example/b.c、次\r\n",
		sanitize.DefangURLs: "see hxxps://a[.]example/b.c、次\r\n",
		sanitize.RemoveURLs: "see [URL]、次\r\n",
	} {
		o := options()
		o.URLs = mode
		out, _, err := treat(lf(top+"Content-Type: text/plain; charset=utf-8\n\nsee https://a.example/b.c、次\n"), o)
		if err != nil {
			t.Fatal(err)
		}
		_, ls := leaves(t, out)
		if got := text(ls); got != want {
			t.Errorf("mode %d: %q, want %q", mode, got, want)
		}
	}
}

func TestTextThatTurnsDirectionIsStraightened(t *testing.T) {
	out, rep, err := treat(lf(top+"Content-Type: text/plain; charset=utf-8\n\na\u202eb\u2066c\u2069\x1b[31md\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if got := text(ls); strings.ContainsAny(got, "\u202e\u2066\u2069\x1b") {
		t.Errorf("got %q", got)
	}
	if rep.Changed {
		t.Error("nobody misses these; no notice")
	}
}

func TestLongTextIsStreamed(t *testing.T) {
	long := strings.Repeat("日本語の長い文章です。\r\n", 60_000)
	out, _, err := treat([]byte(string(lf(top))+"Content-Type: text/plain; charset=utf-8\r\n\r\n"+long), options())
	if err != nil {
		t.Fatal(err)
	}
	_, ls := leaves(t, out)
	if got := text(ls); got != long {
		t.Errorf("%d octets became %d", len(long), len(got))
	}
}

func TestBombsAreAnsweredAtOnce(t *testing.T) {
	for name, raw := range map[string][]byte{
		"1 MiB header":            lf("From: a@example.jp\nX-A: " + strings.Repeat("a", 1<<20) + "\n\nx\n"),
		"10,000 parts":            lf(mixed(slices.Repeat([]string{"\nx"}, 10_000)...)),
		"1,000 nested multiparts": lf(nest(99) + strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 900)),
	} {
		start := time.Now()
		_, _, err := treat(raw, options())
		if !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
		// 100 ms is the goal; a shared machine under load may take longer.
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}
