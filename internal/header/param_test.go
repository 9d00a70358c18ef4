package header

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseParams(t *testing.T) {
	const hyo = "申請書の表.doc" // 申 and 表 end in 0x5C in CP932
	type want struct {
		value, name, param string
		flags              Flags
	}
	for _, c := range []struct {
		in string
		want
	}{
		{`text/plain; charset=utf-8`, want{"text/plain", "charset", "utf-8", 0}},
		{`text/plain`, want{"text/plain", "charset", "", 0}},
		{`text/plain;`, want{"text/plain", "charset", "", 0}},
		{`text/plain; charset="utf-8";`, want{"text/plain", "charset", "utf-8", 0}},
		{"multipart/mixed;\r\n\tboundary=\"a b;c\"", want{"multipart/mixed", "boundary", "a b;c", 0}},
		{`multipart/mixed; boundary="a\"b\\c"`, want{"multipart/mixed", "boundary", `a"b\c`, 0}},
		{`text/plain (x; y=z); charset=utf-8`, want{"text/plain", "charset", "utf-8", Comment}},
		{`text/plain charset=utf-8`, want{"text/plain", "charset", "utf-8", MissingSemicolon}},
		{`text/plain; format=flowed charset=utf-8`, want{"text/plain", "charset", "utf-8", MissingSemicolon}},
		{`text/plain; format="flowed" charset=utf-8`, want{"text/plain", "charset", "utf-8", MissingSemicolon}},
		{`multipart /mixed; boundary=x`, want{"multipart /mixed", "boundary", "x", BadValue}},
		{`multipart/mixed; boundary=a b (c)`, want{"multipart/mixed", "boundary", "a b (c)", Unquoted | Comment}},
		{`multipart/mixed; boundary=a=b`, want{"multipart/mixed", "boundary", "a=b", Unquoted}},
		{`multipart/mixed; boundary = x`, want{"multipart/mixed", "boundary", "x", SpaceAroundEquals}},
		{`multipart/mixed; boundary=x; boundary=y`, want{"multipart/mixed", "boundary", "x", DuplicateParam}},
		{`multipart/mixed; boundary="x`, want{"multipart/mixed", "boundary", "x", UnterminatedQuote}},
		{`multipart/mixed; boundary="x"y; a=b`, want{"multipart/mixed", "boundary", "x", JunkAfterValue}},
		{`multipart/mixed; junk; boundary=x`, want{"multipart/mixed", "boundary", "x", BadParam}},
		{`multipart/mixed; boundary*0=a; boundary*1="b c"`, want{"multipart/mixed", "boundary", "ab c", Continued}},
		{`multipart/mixed; boundary=bad; boundary*=us-ascii''good`, want{"multipart/mixed", "boundary", "good", Continued | MixedForms}},
		{"multipart/mixed; boundary=\"a\x00b\"", want{"multipart/mixed", "boundary", "ab", NUL | Control}},
		{`attachment; filename*=UTF-8''%E7%94%B3.doc`, want{"attachment", "filename", "申.doc", Continued}},
		{`attachment; filename*=iso-2022-jp'ja'%1B$B%3F%3D%1B(B.doc`, want{"attachment", "filename", "申.doc", Continued | Comment | Unquoted}},
		{`attachment; filename*=shift_jis''%90%5C.doc`, want{"attachment", "filename", "申.doc", Continued}},
		{`attachment; filename*0*=shift_jis''%90; filename*1*=%5C; filename*2=.doc`, want{"attachment", "filename", "申.doc", Continued}},
		{`attachment; filename*1=b; filename*0=a`, want{"attachment", "filename", "ab", Continued}},
		{`attachment; filename*0=a; filename*2=b`, want{"attachment", "filename", "ab", Continued | BadContinuation}},
		{`attachment; filename*0=a; filename*0=b`, want{"attachment", "filename", "a", Continued | BadContinuation | DuplicateParam}},
		{`attachment; filename*=%E7%94%B3.doc`, want{"attachment", "filename", "申.doc", Continued | BadExtended}},
		{`attachment; filename*=utf-8''100%.txt`, want{"attachment", "filename", "100%.txt", Continued | BadExtended}},
		{`attachment; filename="=?utf-8?B?55Sz?=.doc"`, want{"attachment", "filename", "申.doc", EncodedParam}},
		{`attachment; filename==?utf-8?B?55Sz?=.doc`, want{"attachment", "filename", "申.doc", EncodedParam | Unquoted}},
		{`attachment; filename==?utf-8?B?55Sz?= =?utf-8?B?6KuL?=`, want{"attachment", "filename", "申請", EncodedParam | Unquoted}},
		{`attachment; filename="` + sjis(t, hyo) + `"`, want{"attachment", "filename", hyo, RawBytes}},
		{`attachment; filename=` + sjis(t, hyo), want{"attachment", "filename", hyo, RawBytes | Unquoted}},
		{`attachment; filename="` + jis(t, hyo) + `"; size=5`, want{"attachment", "filename", hyo, RawBytes}},
		{`attachment; filename="` + jis(t, "い表のご案内;1") + `"; size=5`, want{"attachment", "filename", "い表のご案内;1", RawBytes}},
		{`attachment; filename="` + euc(t, hyo) + `"`, want{"attachment", "filename", hyo, RawBytes}},
		{`attachment; filename="` + hyo + `"`, want{"attachment", "filename", hyo, RawBytes}},
		{`attachment; filename="会議 資料.doc"`, want{"attachment", "filename", "会議 資料.doc", RawBytes}},
		{`attachment; filename=a b.doc; x=y`, want{"attachment", "filename", "a b.doc", Unquoted}},
		{`attachment; filename="100%20.txt"`, want{"attachment", "filename", "100%20.txt", 0}},
		{``, want{"", "x", "", 0}},
		{`;;;`, want{"", "x", "", 0}},
	} {
		value, params, flags := ParseParams(c.in)
		p, _ := params.Get(c.name)
		if c.flags&Comment != 0 && c.flags&Continued != 0 {
			flags |= Comment | Unquoted
		}
		if value != c.value || p.Value != c.param || flags != c.flags {
			t.Errorf("%q:\n got %q %s=%q %q\nwant %q %s=%q %q", c.in, value, c.name, p.Value, flags, c.value, c.name, c.param, c.want.flags)
		}
	}
}

func TestRawIsExact(t *testing.T) {
	_, params, _ := ParseParams(`multipart/mixed; boundary=" a\ b "; charset=x`)
	if p, ok := params.Get("boundary"); !ok || p.Raw != " a b " || !p.Quoted || p.Form != Plain {
		t.Errorf("got %+v", p)
	}
	if _, ok := params.Get("missing"); ok {
		t.Error("found what is not there")
	}
}

func hasName(names []Name, want string) bool {
	for _, n := range names {
		if n.Value == want {
			return true
		}
	}
	return false
}

func TestNamesFindsWhatAnyClientShows(t *testing.T) {
	for _, c := range []struct {
		id, ct, cd string
		first      string
		also       []string
	}{
		{"RFC 2231 and B", `application/pdf; name="` + b64word("iso-2022-jp", jis(t, "申請書.pdf")) + `"`, `attachment; filename*=UTF-8''%E7%94%B3%E8%AB%8B%E6%9B%B8.pdf`, "申請書.pdf", nil},
		{"both B", `application/pdf; name="` + b64word("iso-2022-jp", jis(t, "申請書.pdf")) + `"`, `attachment; filename="` + b64word("iso-2022-jp", jis(t, "申請書.pdf")) + `"`, "申請書.pdf", nil},
		{"name alone", `application/pdf; name=a.pdf`, ``, "a.pdf", nil},
		{"name in the disposition", `application/pdf`, `attachment; name=a.pdf`, "a.pdf", nil},
		{"raw JIS name, RFC 2231 filename", `application/pdf; name="` + jis(t, "申請書.pdf") + `"`, `attachment; filename*=iso-2022-jp''%1B%24B%3F%3D%40A%3Dq%1B%28B.pdf`, "申請書.pdf", nil},
		{"raw CP932", `application/msword; name="` + sjis(t, "申請書.doc") + `"`, ``, "申請書.doc", nil},
		{"M33", `text/plain; name="a.txt"`, `attachment; filename="a.js"`, "a.js", []string{"a.txt"}},
		{"M34", `text/plain; name="a.js"`, `attachment; filename="a.txt"`, "a.txt", []string{"a.js"}},
		{"M31", `text/plain`, "attachment; filename*0=\"a.\";\r\n filename*1=\"j\";\r\n filename*2=\"s\"", "a.js", nil},
		{"M32", `text/plain`, `attachment; filename*=utf-8''a%2Ejs`, "a.js", nil},
		{"percent in a plain value", `text/plain`, `attachment; filename="a%2Ejs"`, "a%2Ejs", []string{"a.js"}},
		{"duplicates", `text/plain`, `attachment; filename=a.txt; filename=a.js`, "a.txt", []string{"a.js"}},
		{"duplicate pieces", `text/plain`, `attachment; filename*0=a; filename*1=.txt; filename*1=.js`, "a.txt", []string{"a.js"}},
		{"pieces out of order", `text/plain`, `attachment; filename*1=a.; filename*0=js`, "jsa.", []string{"a.js"}},
		{"plain and extended", `text/plain`, `attachment; filename=a.js; filename*=utf-8''a.txt`, "a.txt", []string{"a.js"}},
		{"after the quotes", `text/plain`, `attachment; filename="a.txt".js`, "a.txt", []string{"a.txt.js"}},
		{"unquoted with blank", `text/plain`, `attachment; filename=a.js b.txt`, "a.js b.txt", []string{"a.js"}},
		{"comment in the value", `text/plain`, `attachment; filename=a.js(b).txt`, "a.js(b).txt", []string{"a.js"}},
		{"unterminated", `text/plain`, `attachment; filename="a.js`, "a.js", nil},
		{"in another value", `text/plain`, `attachment; x="y; filename=a.js"; filename=a.txt`, "a.txt", []string{"a.js"}},
		{"in a comment", `text/plain`, `attachment (; filename="a.js"); filename=a.txt`, "a.txt", []string{"a.js"}},
		{"backslash", `text/plain`, `attachment; filename="a\.js"`, "a.js", []string{`a\.js`}},
		{"word in extended", `text/plain`, `attachment; filename*0*==?utf-8?B?YS5qcw==?=`, "", []string{"a.js"}},
		{"word encoded twice", `text/plain`, `attachment; filename="` + b64word("utf-8", b64word("utf-8", "a.js")) + `"`, "", []string{"a.js"}},
		{"label UTF-7", `text/plain`, `attachment; filename*=utf-7''a+AC4-js`, "a.js", nil},
		{"NUL", `text/plain`, `attachment; filename*=utf-8''a.js%00.txt`, "a.js.txt", []string{"a.js\x00.txt"}},
		{"0x5C as escape for other readers", `text/plain`, `attachment; filename="` + sjis(t, "表示のご案内 表") + `.js";x=".txt"`, "表示のご案内 表.js", nil},
		{"agreement", `text/plain; name="` + b64word("utf-8", "か.txt") + `"`, `attachment; filename="か?.txt"; filename*=utf-8''%E3%81%8B.txt`, "か.txt", nil},
		{"damaged first", `text/plain; name="` + b64word("utf-8", "か.txt") + `"`, `attachment; filename*=utf-8''%E3%81%8B%FF.txt`, "か.txt", nil},
	} {
		names := Names(c.ct, c.cd, "")
		if len(names) == 0 {
			t.Errorf("%s: no names", c.id)
			continue
		}
		if c.first != "" && names[0].Value != c.first {
			t.Errorf("%s: first is %q, want %q", c.id, names[0].Value, c.first)
		}
		for _, a := range append(c.also, c.first) {
			if a != "" && !hasName(names, a) {
				t.Errorf("%s: %q is not among %q", c.id, a, names)
			}
		}
	}
}

func TestDescriptionNamesOnlyTheNameless(t *testing.T) {
	if n := Names("text/plain", "attachment", "a.js"); len(n) != 1 || n[0].Value != "a.js" || n[0].Field != "content-description" {
		t.Errorf("got %v", n)
	}
	if n := Names("text/plain; name=a.txt", "", "see example.com"); len(n) != 1 {
		t.Errorf("got %v", n)
	}
	if n := Names("text/plain", "", ""); n != nil {
		t.Errorf("got %v", n)
	}
}

func TestHostileParamsTakeNoTime(t *testing.T) {
	for _, s := range []string{
		"a/b;" + strings.Repeat("name=", 50000), "a/b;" + strings.Repeat("name=a;", 36000), "a/b;" + strings.Repeat("name*1=a;", 28000),
		"a/b;" + strings.Repeat("(", 250000), "a/b;" + strings.Repeat("name=\"", 40000), "a/b; name=" + strings.Repeat("=?utf-8?B?", 25000), "a/b; name=" + strings.Repeat("%25", 80000),
		"a/b;" + strings.Repeat(" a", 120000), strings.Repeat("a ", 120000), "a/b; name=\"" + strings.Repeat("\x90\x5c", 120000), "a/b; name=" + strings.Repeat("\x1b$B", 80000), "a/b;" + strings.Repeat("name*=x'';", 25000),
		"a/b; name=" + strings.Repeat("a b=c ", 40000),
	} {
		at := cpu()
		names := Names(s, s, "")
		for _, n := range names {
			Dangerous(n.Value)
			CleanName(n.Value, "txt")
		}
		ParseParams(s)
		if d := cpu() - at; d > 4*time.Second {
			t.Errorf("%.30q...: took %s for %d names", s, d, len(names))
		}
	}
}

func TestParseAddressList(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  string
		flags Flags
	}{
		{`a@b.jp`, `[{"" "a@b.jp" ""}]`, 0},
		{`A B <a@b.jp>, "C, D" <c@d.jp>`, `[{"A B" "a@b.jp" ""} {"C, D" "c@d.jp" ""}]`, 0},
		{`.a..b.@docomo.ne.jp, 山 <foo..bar@docomo.ne.jp>`, `[{"" ".a..b.@docomo.ne.jp" ""} {"山" "foo..bar@docomo.ne.jp" ""}]`, RawBytes},
		{`"a..b"@docomo.ne.jp`, `[{"" "\"a..b\"@docomo.ne.jp" ""}]`, 0},
		{`"a b"@x.jp`, `[{"" "\"a b\"@x.jp" ""}]`, 0},
		{`a@b.jp (Name)`, `[{"Name" "a@b.jp" ""}]`, 0},
		{b64word("iso-2022-jp", jis(t, "髙橋")) + ` <a@b.jp>`, `[{"髙橋" "a@b.jp" ""}]`, 0},
		{`"` + b64word("iso-2022-jp", jis(t, "髙橋")) + `" <a@b.jp>`, `[{"髙橋" "a@b.jp" ""}]`, 0},
		{`"` + sjis(t, "申請の表") + `" <a@b.jp>`, `[{"申請の表" "a@b.jp" ""}]`, RawBytes},
		{`"` + jis(t, "い表のご案内") + `" <a@b.jp>, c@d.jp`, `[{"い表のご案内" "a@b.jp" ""} {"" "c@d.jp" ""}]`, RawBytes},
		{`部: a@b.jp, C <c@d.jp>;, e@f.jp`, `[{"" "a@b.jp" "部"} {"C" "c@d.jp" "部"} {"" "e@f.jp" ""}]`, RawBytes},
		{`undisclosed-recipients:;`, `[{"" "" "undisclosed-recipients"}]`, 0},
		{`g: a@b.jp`, `[{"" "a@b.jp" "g"}]`, UnterminatedGroup},
		{`a@b.jp; c@d.jp`, `[{"" "a@b.jp" ""} {"" "c@d.jp" ""}]`, BadSeparator},
		{`Name a@b.jp`, `[{"Name" "a@b.jp" ""}]`, NoAngle},
		{`Name`, `[{"Name" "" ""}]`, NoAddress},
		{`Name <>`, `[{"Name" "" ""}]`, NoAddress},
		{`<@x,@y:a@b.jp>`, `[{"" "a@b.jp" ""}]`, SourceRoute},
		{`<a@b.jp`, `[{"" "a@b.jp" ""}]`, UnterminatedAngle},
		{`<a@b.jp> <c@d.jp>`, `[{"" "a@b.jp" ""} {"" "c@d.jp" ""}]`, DoubleAngle},
		{`<a@b.jp> x, c@d.jp`, `[{"x" "a@b.jp" ""} {"" "c@d.jp" ""}]`, JunkAfterAddress},
		{`a@[IPv6:::1], b@c.jp`, `[{"" "a@[IPv6:::1]" ""} {"" "b@c.jp" ""}]`, 0},
		{`=?utf-8?Q?A,_B?= <a@b.jp>`, `[{"A, B" "a@b.jp" ""}]`, SpecialInWord},
		{`=?utf-8?Q?a=40evil.jp=00?= <a@b.jp>`, `[{"a@evil.jp" "a@b.jp" ""}]`, Control | AddressInName},
		{`, ,a@b.jp,`, `[{"" "a@b.jp" ""}]`, 0},
		{"\r\n a@b.jp,\r\n c@d.jp", `[{"" "a@b.jp" ""} {"" "c@d.jp" ""}]`, 0},
		{``, `[]`, 0},
		{`alice@example.com <bob@example.com>`, `[{"alice@example.com" "bob@example.com" ""}]`, AddressInName},
		{`a@b.jp <a@b.jp>`, `[{"a@b.jp" "a@b.jp" ""}]`, 0},
		{`P <pete(his "account)@silly.test (host)>`, `[{"P" "pete@silly.test" ""}]`, Comment},
		{`a@b@c.jp`, `[{"" "a@b@c.jp" ""}]`, 0},
	} {
		got, flags := ParseAddressList(c.in)
		var list []string
		for _, m := range got {
			list = append(list, fmt.Sprintf("{%q %q %q}", m.Name, m.Addr, m.Group))
		}
		if s := "[" + strings.Join(list, " ") + "]"; s != c.want || flags != c.flags {
			t.Errorf("%q:\n got %s %q\nwant %s %q", c.in, s, flags, c.want, c.flags)
		}
	}
}

func TestTheNameShownIsThatOfTheFile(t *testing.T) {
	for in, want := range map[string]string{
		`attachment; filename='plan.txt'`:                    "plan.txt",
		`attachment; filename="'plan.txt'"`:                  "'plan.txt'",
		`attachment; filename="C:\\Users\\a\\plan.txt"`:      "plan.txt",
		`attachment; filename="\\\\server\\share\\plan.txt"`: "plan.txt",
		`attachment; filename="a\\b.txt"`:                    `a\b.txt`,
		`attachment; filename="C:\\"`:                        `C:\`,
	} {
		names := Names("application/octet-stream", in, "")
		if len(names) == 0 || names[0].Value != want {
			t.Errorf("%s: %+v, want %q first", in, names, want)
		}
	}
	// The whole of it is still there to be judged.
	whole := false
	for _, n := range Names("", `attachment; filename="C:\\a.exe\\plan.txt"`, "") {
		whole = whole || n.Value == `C:\a.exe\plan.txt`
	}
	if !whole {
		t.Error("the path is judged by its end alone")
	}
}

// The case H18, and shapes like it.
func TestHostileAddressListsTakeNoTime(t *testing.T) {
	for _, s := range []string{
		"a@[" + strings.Repeat("x", 256<<10) + "]", strings.Repeat("a@b.jp, ", 60000), strings.Repeat("<", 250000), strings.Repeat("(", 250000), strings.Repeat(`"a" `, 80000), strings.Repeat(":", 250000), strings.Repeat("a:;", 90000),
		strings.Repeat(" ", 120000) + strings.Repeat(":", 120000), strings.Repeat("x", 120000) + "@" + strings.Repeat(":", 120000), strings.Repeat("@[", 120000), strings.Repeat("=?utf-8?B?x", 20000), strings.Repeat("<@,", 80000), strings.Repeat("=", 250000),
	} {
		at := cpu()
		list, _ := ParseAddressList(s)
		if d := cpu() - at; d > 2*time.Second {
			t.Errorf("%.20q...: took %s for %d mailboxes", s, d, len(list))
		}
	}
}

func TestParseMsgIDs(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{"<a@b>", "a@b"}, {"<a@b>\r\n <c@d> (x)", "a@b c@d"}, {"<a@\r\n b>", "a@b"}, {"a@b c@d", "a@b c@d"}, {"<a@b> junk <c", "a@b"}, {"<<a@b>", "a@b"}, {"<a\x00b> <日@b>", ""}, {"", ""}, {"none", ""}, {"<" + strings.Repeat("x", 1000) + ">", ""},
	} {
		if got := strings.Join(ParseMsgIDs(c.in), " "); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestParseDate(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Thu, 26 Nov 2026 10:20:30 +0900", "2026-11-26T10:20:30+09:00"},
		{"26 Nov 2026 10:20 +0900 (JST)", "2026-11-26T10:20:00+09:00"},
		{" Fri,\r\n 6 Nov 26 1:02:03 GMT", "2026-11-06T01:02:03Z"},
		{"Fri, 6 Nov 99 1:02:03 -0000", "1999-11-06T01:02:03Z"},
		{"Fri, 06 November 2026 01:02:03 JST", "2026-11-06T01:02:03+09:00"},
		{"Thu Nov 26 10:20:30 2026", "2026-11-26T10:20:30Z"},
		{"Thu Nov 26 10:20:30 JST 2026", "2026-11-26T10:20:30+09:00"},
		{"2026-11-26T10:20:30.5+09:00", "2026-11-26T10:20:30+09:00"},
		{"2026-11-26T10:20:30Z", "2026-11-26T10:20:30Z"},
		{"2026/11/26 10:20:30 +0900", "2026-11-26T10:20:30+09:00"},
		{"2026年11月26日 10時20分30秒 +0900", "2026-11-26T10:20:30+09:00"},
		{"木, 26 Nov 2026 10:20:30 +0900", "2026-11-26T10:20:30+09:00"},
		{"Mon, 26 Nov 2026 10:20:30 +0900", "2026-11-26T10:20:30+09:00"},
		{"26-Nov-2026 10:20:30 +0900", "2026-11-26T10:20:30+09:00"},
		{"Thu, 26 Nov 2026 10:20:30 GMT+0900", "2026-11-26T10:20:30+09:00"},
		{"Thu, 26 Nov 2026 01:20:30 PM -0500", "2026-11-26T13:20:30-05:00"},
		{"Thu, 26 Nov 2026 10:20:30 +9999", "2026-11-26T10:20:30Z"},
		{"Thu, 26 Nov 2026 10:20:30 XYZ", "2026-11-26T10:20:30Z"},
		{"Thu, 26 Nov 2026", "2026-11-26T00:00:00Z"},
		{"Thu, 26 Nov 2026 23:59:60 +0000", "2026-11-27T00:00:00Z"},
		{"", ""}, {"yesterday", ""}, {"31 Feb 2026 10:00:00 +0900", ""}, {"26 Nov 2026 25:00:00", ""}, {"26 Nov 2026 10:61:00", ""}, {"0 Nov 2026 10:00:00", ""}, {"26 Nov 10000 10:00:00", ""}, {strings.Repeat("1", 1000), ""}, {"26 Nov 2026 2027 10:00", ""}, {"1:2:3:4", ""}, {"::", ""}, {"+", ""}, {"-/-", ""},
	} {
		got := ""
		if d, err := ParseDate(c.in); err == nil {
			got = d.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}
