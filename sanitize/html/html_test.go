package html

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func convert(t testing.TB, charset string, in []byte, urls sanitize.URLs) (string, []sanitize.Finding, sanitize.Result) {
	t.Helper()
	o := &sanitize.Options{
		Limits: sanitize.DefaultLimits(), URLs: urls,
		Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassHTML: {Steps: []sanitize.Mode{sanitize.Rebuild}}},
	}
	s := sanitize.NewSession(o, int64(len(in)), func(sanitize.Object) (sanitize.Detection, error) {
		return sanitize.Detection{Kind: sanitize.KindHTML}, nil
	}, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindHTML: Sanitizer{}})
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Charset: charset}, &out)
	if err != nil {
		t.Fatalf("sanitize: %v", err)
	}
	return strings.TrimPrefix(out.String(), "\ufeff"), s.Parts()[0].Findings, res
}

func TestHTMLBecomesTextAReaderLikes(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"paragraphs", "<p>一つ目</p><p>二つ目</p>", "一つ目\n\n二つ目\n"},
		{"divs", "<div>a</div><div>b</div>", "a\nb\n"},
		{"empty div with br is an empty line", "<div>a</div><div><br></div><div>b</div>", "a\n\nb\n"},
		{"br at the end of a block adds nothing", "<div>a<br></div><div>b</div>", "a\nb\n"},
		{"white space collapses", "a  \n b\t c", "a b c\n"},
		{"line end between kanji is no space", "<p>本日は\n晴天なり</p>", "本日は晴天なり\n"},
		{"line end between words is one", "<p>hello\nworld</p>", "hello world\n"},
		{"entities", "&lt;&amp;&gt;&nbsp;&#12354;&#x3042;&copy;", "<&> ああ©\n"},
		{"list", "<ul><li>一<li>二<ul><li>内</ul><li>三</ul>", "- 一\n- 二\n\n  - 内\n\n- 三\n"},
		{"ordered list", `<ol start="3"><li>a</li><li>b</li></ol>`, "3. a\n4. b\n"},
		{"table of data", "<table border=1><tr><th>品名<th>数<th>額<tr><td>紙<td><td>100</table>", "品名 | 数 | 額\n紙 |  | 100\n"},
		{"table of layout", "<table><tr><td><img src=http://x.example/1.gif><td>本文<td></table>", "本文\n"},
		{"paragraphs in cells", "<table><tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td><p>c</p></td><td><p>d</p></td></tr></table>", "a | b\nc | d\n"},
		{"cells of several lines", "<table><tr><td>a<br>b</td><td>c</td></tr></table>", "a\nb\nc\n"},
		{"nested tables of several lines", "<table><tr><td><table><tr><td>a</td></tr><tr><td>b</td></tr></table></td><td>c</td></tr></table>", "a\nb\nc\n"},
		{"quotation", "<blockquote>前<p>後</blockquote>終", "> 前\n\n> 後\n\n終\n"},
		{"preformatted", "<pre>a  b\n  c\n\nd</pre>", "a  b\n  c\n\nd\n"},
		{"link", `<a href="https://example.jp/a?b=1&amp;c=2">ここ</a>です`, "ここ <https://example.jp/a?b=1&c=2>です\n"},
		{"link that shows its target", `<a href="https://example.jp/">https://example.jp/</a>`, "https://example.jp/\n"},
		{"link that shows another target", `<a href="https://evil.example/x">https://bank.example/</a>`, "https://bank.example/ <https://evil.example/x>\n"},
		{"link around a picture", `<a href="https://example.jp/"><img src="cid:1"></a>`, "<https://example.jp/>\n"},
		{"mail link", `<a href="mailto:a@example.jp?subject=x">連絡先</a>`, "連絡先 <a@example.jp>\n"},
		{"relative link", `<a href="/x">x</a> <a href="#y">y</a>`, "x y\n"},
		{"relative link with base", `<base href="https://example.jp/d/"><a href="x">x</a>`, "x <https://example.jp/d/x>\n"},
		{"link without scheme", `<a href="//example.jp/x">x</a>`, "x <http://example.jp/x>\n"},
		{"script link", "<a href='java\nscript:alert(1)'>x</a>", "x\n"},
		{"data link", "<a href='data:text/html,x'>x</a>", "x\n"},
		{"script and style", "a<script>b</script><style>c</style><title>d</title>e", "ae\n"},
		{"comments", "a<!-- b -->c<!--[if mso]>d<![endif]-->e", "ace\n"},
		{"hidden", `a<span style="display: none !important">b<b>c</b></span><div hidden>d</div><p style="font-size:0px">e</p>f`, "af\n"},
		{"picture's words", `<img alt="ロゴ" src=x>`, "[ロゴ]\n"},
		{"ruby", "<ruby>関所<rp>(</rp><rt>せきしょ</rt><rp>)</rp></ruby>", "関所(せきしょ)\n"},
		{"form", `<form action=http://x.example><input type=text value=a><input type=submit value="送信">`, "[送信]\n"},
		{"frames", `a<iframe src="http://x.example/">b</iframe><object data=x>c</object>d`, "ad\n"},
		{"drawing", `a<svg><text>b</text></svg>c`, "ac\n"},
		{"nothing", "<html><head></head><body></body></html>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, _ := convert(t, "utf-8", []byte(c.in), sanitize.KeepURLs)
			if got != strings.ReplaceAll(c.want, "\n", "\r\n") {
				t.Errorf("%s\n got %q\nwant %q", c.in, got, c.want)
			}
		})
	}
}

func TestCharsetIsDecidedBeforeTheMarkup(t *testing.T) {
	const want = "①㈱髙ｱｲｳ\r\n"
	for _, c := range []struct{ name, label, in string }{
		{"declared", "iso-2022-jp", "<p>\x1b$B-!-j|b\x1b(I123\x1b(B</p>"},
		{"by detection", "", "<p>\x1b$B-!-j|b\x1b(I123\x1b(B</p>"},
		{"by meta", "", "<html><head><meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'></head><p>\x87\x40\x87\x8a\xfb\xfc\xb1\xb2\xb3</p>"},
		{"by meta over us-ascii", "us-ascii", "<html><head><meta charset=Shift_JIS></head><p>\x87\x40\x87\x8a\xfb\xfc\xb1\xb2\xb3</p>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _, _ := convert(t, c.label, []byte(c.in), sanitize.KeepURLs); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	// UTF-7 that hides a script from who reads the markup first.
	got, findings, _ := convert(t, "utf-7", []byte("a+ADw-script+AD4-b+ADw-/script+AD4-c"), sanitize.KeepURLs)
	if got != "ac\r\n" || len(findings) != 1 || findings[0].Rule != "html.script" {
		t.Errorf("utf-7: got %q, findings %v", got, findings)
	}
}

func TestWhatWasTakenIsReported(t *testing.T) {
	for _, c := range []struct {
		in, rule string
		changed  bool
	}{
		{"<script>x</script>", "html.script", true},
		{"<body onload=x>a", "html.event", true},
		{"<iframe src=x></iframe>", "html.frame", true},
		{"<form>a</form>", "html.form", true},
		{"<meta http-equiv=refresh content='0;url=http://x.example'>", "html.refresh", true},
		{"<a href=vbscript:x>a</a>", "html.link", true},
		{"<svg></svg>", "html.svg", true},
		{"<img src=https://x.example/1.gif>", "html.remote", false},
		{"<div style='display:none'>a</div>", "html.hidden", false},
		{"<a href=http://a.example>www.b.example</a>", "html.link-mismatch", false},
	} {
		_, findings, res := convert(t, "", []byte(c.in), sanitize.KeepURLs)
		if len(findings) != 1 || findings[0].Rule != c.rule || findings[0].Changed() != c.changed {
			t.Errorf("%s: findings %+v, want one of %s, changed %v", c.in, findings, c.rule, c.changed)
		}
		if (res.Outcome == sanitize.Disarmed) != c.changed {
			t.Errorf("%s: outcome %v", c.in, res.Outcome)
		}
	}
}

func TestURLsFollowTheProfile(t *testing.T) {
	const in = `<a href="https://a.example.jp/x.y">ここ</a> http://b.example/z`
	for _, c := range []struct {
		mode sanitize.URLs
		want string
	}{
		{sanitize.KeepURLs, "ここ <https://a.example.jp/x.y> http://b.example/z\r\n"},
		{sanitize.DefangURLs, "ここ <hxxps://a[.]example[.]jp/x.y> hxxp://b[.]example/z\r\n"},
		{sanitize.RemoveURLs, "ここ [URL]\r\n"},
	} {
		if got, _, _ := convert(t, "", []byte(in), c.mode); got != c.want {
			t.Errorf("mode %d: got %q, want %q", c.mode, got, c.want)
		}
	}
}

func TestDeepNestingIsLinear(t *testing.T) {
	in := strings.Repeat("<div><table><tr><td><blockquote>", 100_000) + "x" + strings.Repeat("</b></i></font></div>", 100_000)
	got, _, _ := convert(t, "", []byte(in), sanitize.KeepURLs)
	if strings.Count(got, "x") != 1 {
		t.Errorf("got %d bytes without the word", len(got))
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		"<p>a</p>", "<table><tr><td>a<td>b</table>", "<a href=http://x.example>y</a>", "<script>a", "<ul><li>x", "<pre>\n\n a</pre>",
		"\x1b$B$\"\x1b(B<b>", "<a href='javascript:x'>", "<blockquote><br><br>x", "<svg><style><img src=x>",
	} {
		f.Add("", []byte(s), uint8(0))
		f.Add("iso-2022-jp", []byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, label string, in []byte, mode uint8) {
		o := &sanitize.Options{Limits: sanitize.DefaultLimits(), URLs: sanitize.URLs(mode % 3)}
		s := sanitize.NewSession(o, int64(len(in)), nil, nil)
		var out bytes.Buffer
		_, err := Sanitizer{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Charset: label}, &out)
		if err != nil {
			return
		}
		// A line of ten quotations with a bullet costs some 90 bytes, and a
		// relative link its base; nothing multiplies more than that.
		if out.Len() > 600*len(in)+4096 {
			t.Errorf("%d bytes became %d", len(in), out.Len())
		}
		for i, r := range out.String() {
			if r < 0x20 && r != '\t' && r != '\n' && r != '\r' {
				t.Fatalf("control %#x at %d", r, i)
			}
		}
		if strings.Count(out.String(), "\n") != strings.Count(out.String(), "\r\n") {
			t.Error("a bare line feed")
		}
	})
}

func BenchmarkNewsletter(b *testing.B) {
	in := []byte("<html><body>" + strings.Repeat(`<table><tr><td style="color:red">お知らせ<a href="https://example.jp/a">ここ</a></td><td>本文です。</td></tr></table>`, 400) + "</body></html>")
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		o := &sanitize.Options{Limits: sanitize.DefaultLimits()}
		s := sanitize.NewSession(o, int64(len(in)), nil, nil)
		if _, err := (Sanitizer{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Charset: "utf-8"}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
