package html

import (
	"strings"
	"testing"

	"sekisho/sanitize"
)

// TestALinkThatShowsAnotherHostShowsItsOwn: whatever the text of a link looks
// like to a reader, it must not name a site that the link does not lead to.
func TestALinkThatShowsAnotherHostShowsItsOwn(t *testing.T) {
	const evil = "https://evil.example/x"
	for name, text := range map[string]string{
		"plain":                     "https://www.bank.example.jp/",
		"zero width in the scheme":  "ht\u200btps://www.bank.example.jp/",
		"zero width in the host":    "https://www.ba\u2060nk.example.jp/",
		"soft hyphen":               "https://www.ba\u00adnk.example.jp/",
		"variation selector":        "https\ufe0f://www.bank.example.jp/",
		"hangul filler":             "https:\u3164//www.bank.example.jp/",
		"wide letters":              "ｈｔｔｐｓ：／／ｗｗｗ．ｂａｎｋ．ｅｘａｍｐｌｅ．ｊｐ／",
		"wide host alone":           "ｗｗｗ．ｂａｎｋ．ｊｐ",
		"ideographic full stops":    "www。bank。example。jp",
		"division slashes":          "https:∕∕www.bank.example.jp∕login",
		"ratio for a colon":         "https∶//www.bank.example.jp/",
		"among words":               "こちら https://www.bank.example.jp/ から",
		"a bare name":               "bank.example.jp",
		"a bare name in brackets":   "銀行（bank.example.jp）",
		"in bold":                   "<b>https://www.</b>bank.example.jp/",
		"entities":                  "https&#58;&#47;&#47;www&#46;bank&#46;example&#46;jp/",
		"a user before the host":    "https://evil.example@www.bank.example.jp/",
		"backslashes":               `https:\\www.bank.example.jp\`,
		"its own first":             "https://evil.example/ https://www.bank.example.jp/",
		"letters of another script": "https://www.bаnk.example.jp/",
	} {
		out := stable(t, []byte(`<p><a href="`+evil+`">`+text+`</a></p>`))
		want := `<a href="` + evil + `" title="` + evil + `" rel="noopener noreferrer">` + evil + `</a>`
		if !strings.Contains(out, want) {
			t.Errorf("%s: %s", name, strings.TrimPrefix(out, pageHead))
		}
		plain, found, _ := convert(t, "utf-8", []byte(`<p><a href="`+evil+`">`+text+`</a></p>`), sanitize.KeepURLs)
		if !strings.Contains(plain, "<"+evil+">") || !has(found, "html.link-mismatch") {
			t.Errorf("%s, as text: %q %v", name, plain, found)
		}
	}
	for _, text := range []string{"ここ", "evil.example", "https://evil.example/", "EVIL.example の案内", "report.docx", "令和８年度.pdf", "v1.2.3", "soumu@town.example.jp", "・要綱", "12:30"} {
		out, rep := rebuildHTML(t, "", []byte(`<a href="`+evil+`">`+text+`</a>`), sanitize.KeepURLs)
		if has(rep.Parts[0].Findings, "html.link-mismatch") && text != "https://evil.example/" {
			t.Errorf("%q is taken for another host: %s", text, out)
		}
	}
}

func TestALinksHostIsWhatIsLookedUp(t *testing.T) {
	for _, c := range []struct{ href, want string }{
		{"https://example.jp/a?b=c#d", "https://example.jp/a?b=c#d"},
		{"https://日本語.jp/", "https://xn--wgv71a119e.jp/"},
		{"https://example.jpノlogin.evil.example/", "https://example.xn--jplogin-u04f.evil.example/"},
		{"https://www.bank.example.jp@evil.example/", "https://evil.example/"},
		{`https:\\evil.example\@www.bank.example.jp/`, `https://evil.example/@www.bank.example.jp/`},
		{"https:evil.example", "https://evil.example"},
		{"https:///evil.example", "https://evil.example"},
		{"HTTPS://ｅｘａｍｐｌｅ．ｊｐ/", "https://example.jp/"},
		{"https://ex\u200bample.jp/", "https://example.jp/"},
		{"https://gro.\u202eelpmaxe/", ""},
		{"https://gro.%E2%80%AEelpmaxe/", ""},
		{"https://\u2067example.jp/", ""},
		{"https://a b.example/", ""},
		{"https://example.jp:80:90/", ""},
		{"https://example.jp:8443/x", "https://example.jp:8443/x"},
		{"https://[2001:db8::1]/x", "https://[2001:db8::1]/x"},
		{"https:///", ""},
		{"https://-/", ""},
		{"mailto:a@b.example?subject=x&attach=/etc/passwd&body=y", "mailto:a@b.example?subject=x&body=y"},
		{"mailto:a@b.example?ATTACHMENT=/etc/passwd", "mailto:a@b.example"},
	} {
		out := stable(t, []byte(`<a href="`+c.href+`">x</a>`))
		got := ""
		if _, rest, ok := strings.Cut(out, `href="`); ok {
			got, _, _ = strings.Cut(rest, `"`)
		}
		if got = strings.ReplaceAll(got, "&amp;", "&"); got != c.want {
			t.Errorf("%q: %q, want %q", c.href, got, c.want)
		}
		plain, _, _ := convert(t, "utf-8", []byte(`<a href="`+c.href+`">x</a>`), sanitize.KeepURLs)
		if c.want != "" && !strings.HasPrefix(c.want, "mailto:") && !strings.Contains(plain, "<"+c.want+">") {
			t.Errorf("%q, as text: %q", c.href, plain)
		}
		if c.want == "" && strings.Contains(plain, "//") {
			t.Errorf("%q, as text: %q", c.href, plain)
		}
	}
}

func TestAMailLinkShowsWhomItWritesTo(t *testing.T) {
	out := stable(t, []byte(`<a href="mailto:evil@x.example?subject=a">soumu@town.example.lg.jp</a>`))
	if !strings.Contains(out, `>evil@x.example</a>`) {
		t.Error(out)
	}
	if out := stable(t, []byte(`<a href="mailto:a@b.example">総務課 a@b.example</a>`)); !strings.Contains(out, ">総務課 a@b.example</a>") {
		t.Error(out)
	}
}

func has(fs []sanitize.Finding, rule string) bool {
	for _, f := range fs {
		if f.Rule == rule {
			return true
		}
	}
	return false
}
