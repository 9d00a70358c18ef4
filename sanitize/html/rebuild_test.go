package html

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

func rebuildHTML(t testing.TB, name string, in []byte, urls sanitize.URLs) (string, *sanitize.Report) {
	t.Helper()
	o := &sanitize.Options{
		Limits: sanitize.DefaultLimits(), URLs: urls,
		Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassHTML: {Steps: []sanitize.Mode{sanitize.Rebuild, sanitize.Text}}},
	}
	s := sanitize.NewSession(o, int64(len(in)), func(sanitize.Object) (sanitize.Detection, error) {
		return sanitize.Detection{Kind: sanitize.KindHTML}, nil
	}, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindHTML: Sanitizer{}})
	var out bytes.Buffer
	if _, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Charset: "utf-8", Name: name}, &out); err != nil {
		t.Fatalf("sanitize: %v", err)
	}
	return out.String(), s.Report("")
}

// stable asks what every output must be: allowed by the second look and the
// same when it is treated again.
func stable(t testing.TB, in []byte) string {
	t.Helper()
	out, _ := rebuildHTML(t, "", in, sanitize.KeepURLs)
	s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(out)), nil, nil)
	if err := verify.File(context.Background(), s, sanitize.KindHTML, strings.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("the second look refuses it: %v\n%q\n%s", err, in, out)
	}
	if again, _ := rebuildHTML(t, "", []byte(out), sanitize.KeepURLs); again != out {
		t.Errorf("treated again it changes:\n%s\n--- became\n%s", out, again)
	}
	return out
}

func TestHTMLIsRebuilt(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text", "<p>一つ目<b>二つ目</b></p>", "<p>一つ目<b>二つ目</b></p>"},
		{"entities stay text", "&lt;script&gt;&amp;&quot;", "&lt;script&gt;&amp;&#34;"},
		{"table", `<table border=1 onclick=x><tr><td colspan=2 bgcolor="#ffffff">a<td>b</table>`, `<table border="1"><tr><td colspan="2" bgcolor="#ffffff">a</td><td>b</td></tr></table>`},
		{"link", `<a href="https://example.jp/?a=1&amp;b=2" target=_blank>x</a>`, `<a href="https://example.jp/?a=1&amp;b=2" title="https://example.jp/?a=1&amp;b=2" rel="noopener noreferrer">x</a>`},
		{"link that lies", `<a href="https://evil.example/"><b>https://bank.example/</b></a>`, `<a href="https://evil.example/" title="https://evil.example/" rel="noopener noreferrer">https://evil.example/</a>`},
		{"script link", "<a href='java\nscript:x'>x</a>", "x"},
		{"style", `<p style="color:RED; position:absolute; background:url(x); margin:-5px; font-size:12pt">x</p>`, `<p style="color:red;font-size:12pt">x</p>`},
		{"style with escapes", `<p style="color:red;b\61ckground:x">x</p>`, "<p>x</p>"},
		{"picture of the mail", `<img src="cid:a@b" alt="図" width=10 onerror=x>`, `<img src="cid:a@b" alt="図" width="10">`},
		{"remote picture", `<img src="https://x.example/a.png" alt="図">`, "[図]"},
		{"data picture", `<img src="data:image/png;base64,x">`, ""},
		{"script", "a<script>x</script><style>y</style><svg><script>z</script></svg>b", "ab"},
		{"unknown element", "<x-y>a</x-y><math><mi>b</mi></math>", "ab"},
		{"form", `<form action="https://x.example/"><input name=p><input type=submit value="送信"></form>`, "<div>[送信]</div>"},
		{"textarea is text", "<textarea><script>x</script></textarea>", "<pre>\r\n&lt;script&gt;x&lt;/script&gt;</pre>"},
		{"unclosed", "<div><b>a", "<div><b>a</b></div>"},
		{"stray ends", "</div></b>a</p>", "a"},
		{"paragraphs", "<p>a<p>b", "<p>a</p><p>b</p>"},
		{"pre", "<pre>\n a\n</pre>", "<pre>\r\n a\r\n</pre>"},
		{"hidden", `a<span style="display:none">b</span>`, "a"},
		{"bidi", "a&#x202e;b", "ab"},
		{"comment", "a<!--[if mso]><script>b</script><![endif]-->c", "ac"},
		{"mutation", `<math><mtext><table><mglyph><style><img src=x onerror=y>`, "<table></table>"},
		{"noscript", `<noscript><p title="</noscript><img src=x onerror=y>"></noscript>z`, "&#34;&gt;z"},
	} {
		out := stable(t, []byte(c.in))
		body := strings.TrimSuffix(strings.TrimPrefix(out, pageHead), pageTail)
		if body != c.want {
			t.Errorf("%s: %q, want %q", c.name, body, c.want)
		}
	}
}

func TestPicturesOfAFileGo(t *testing.T) {
	out, _ := rebuildHTML(t, "a.html", []byte(`<img src="cid:a@b" alt="図">`), sanitize.KeepURLs)
	if strings.Contains(out, "cid:") || !strings.Contains(out, "[図]") {
		t.Error(out)
	}
}

func TestRebuiltLinksFollowTheProfile(t *testing.T) {
	in := []byte(`<a href="https://a.example/x">ここ</a> https://b.example/`)
	if out, _ := rebuildHTML(t, "", in, sanitize.DefangURLs); strings.Contains(out, "<a ") || !strings.Contains(out, "ここ &lt;hxxps://a[.]example/x&gt;") || !strings.Contains(out, "hxxps://b[.]example/") {
		t.Error(out)
	}
	if out, _ := rebuildHTML(t, "", in, sanitize.RemoveURLs); strings.Contains(out, "example") {
		t.Error(out)
	}
}

func TestRealPagesAreRebuilt(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "corpus", "html", "*"))
	if len(files) == 0 {
		t.Skip("no corpus beside the repository; set SEKISHO_SHARED to measure")
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		stable(t, raw)
	}
	t.Logf("%d pages", len(files))
}

func FuzzRebuild(f *testing.F) {
	for _, s := range []string{"<p>a<b>b", `<a href="https://a.example/">https://b.example/</a>`, "<pre>\n\nx</pre>", "<table><tr><td><p><div>", "<svg><style><a title='</style><img src=x onerror=y>'>",
		`<img src="cid:a" alt="&#13;x">`, "<textarea></textarea><xmp><b></xmp>", "<p><td><section><div></p>", `<p style="font-family:'a b',&quot;c&quot;;color:#FFF">`, "<a href=//x><a href=y>z"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if out := stable(t, in); len(out) > 60*len(in)+1000 {
			t.Fatalf("%d octets of %d", len(out), len(in))
		}
	})
}
