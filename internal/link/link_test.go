package link

import "testing"

func TestLinks(t *testing.T) {
	for u, ok := range map[string]bool{
		"https://example.jp/": true, "HTTP://example.jp": true, "mailto:a@example.jp?subject=x": true, "mailto:a@example.jp?subject=x&BODY=%E6%97%A5": true, "mailto:?attach=c:/x": false, "mailto:a@b?subject=x&Attachment=y": false, "mailto:a@b?subject=x;attach=y": false, "mailto:a@b?at%74ach=y": false, "https://例え.jp/%zz": true,
		"": false, "file:///c:/x": false, "javascript:alert(1)": false, "java\tscript:x": false, "http:\\\\server\\x": false, "http:/x": false, "http:///x": false, `http://\server`: false,
		"data:text/html,x": false, "ms-msdt:x": false, "search-ms:x": false, `\\server\share`: false, "//server/x": false, "other.xlsx": false, "https\n://x": false, "mhtml:http://x": false, "ftp://x": false,
	} {
		if got := Harmless(u); got != ok {
			t.Errorf("%q: %v", u, got)
		}
	}
}
