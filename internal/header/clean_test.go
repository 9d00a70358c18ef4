package header

import (
	"bufio"
	"strings"
	"testing"
	"unicode/utf8"
)

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

// checkClean holds what CleanName promises about every name.
func checkClean(t testing.TB, in, ext, out string) {
	t.Helper()
	fail := func(why string) { t.Errorf("CleanName(%q, %q) = %q: %s", in, ext, out, why) }
	if !utf8.ValidString(out) || out == "" || len(out) > 255 {
		fail("not a name")
	}
	if strings.ContainsAny(out, "<>:\"/\\|?*\x00\r\n\u202e\u200b") {
		fail("a forbidden character")
	}
	for _, r := range out {
		if invisible(r) && !selector(r) {
			fail("an invisible character")
		}
	}
	e := cleanExt(ext)
	if e != "" && !strings.HasSuffix(out, "."+e) {
		fail("another extension")
	}
	if strings.HasSuffix(out, ".") || strings.HasSuffix(out, " ") || strings.HasPrefix(out, ".") || strings.HasPrefix(out, " ") {
		fail("a dot or blank at an end")
	}
	if device(out) {
		fail("a device")
	}
	if class, ok := Dangerous(out); ok {
		if want, bad := extensions()[e]; !bad || class != want && rank[class] > rank[want] {
			fail("still " + class)
		}
	}
	if again := CleanName(out, ext); again != out {
		fail("cleaned again it is " + again)
	}
}

func TestCleanName(t *testing.T) {
	for _, c := range []struct{ in, ext, want string }{
		{"申請書.docx", "docx", "申請書.docx"},
		{"申請書.docm", "docx", "申請書.docx"},
		{"申請書.DOC", "docx", "申請書.docx"},
		{"申請書", "docx", "申請書.docx"},
		{"令和8.4.1 資料.xlsx", "xlsx", "令和8.4.1 資料.xlsx"},
		{"Ver.2", "txt", "Ver.2.txt"},
		{"invoice.pdf.exe", "txt", "invoice.txt"},
		{"invoice.exe.docx", "docx", "invoice_exe.docx"},
		{"a．exe", "txt", "a_exe.txt"},
		{"a" + strings.Repeat(" ", 80) + ".exe", "txt", "a.txt"},
		{"a.pdf" + strings.Repeat(" ", 80) + ".docx", "docx", "a.docx"},
		{"invoice\u202Etxt.js", "txt", "invoicetxt.txt"},
		{"a\u200bb\u00adc.txt", "txt", "abc.txt"},
		{"../../etc/passwd", "txt", "_.._etc_passwd.txt"},
		{`C:\x\報告.docx`, "docx", "C__x_報告.docx"},
		{"a.txt:x.js", "txt", "a.txt"},
		{"a.js::$DATA", "txt", "a.txt"},
		{"会議 10:30.docx", "docx", "会議 10_30.docx"},
		{"a.txt. . .", "txt", "a.txt"},
		{"CON", "txt", "_CON.txt"}, {"con.x.y", "txt", "_con.x.txt"}, {"COM1.txt", "txt", "_COM1.txt"}, {"COM¹", "txt", "_COM¹.txt"}, {"nul ", "", "_nul"}, {"console", "txt", "console.txt"},
		{"", "txt", "attachment.txt"}, {"...", "", "attachment"}, {"\x00\x01", "pdf", "attachment.pdf"}, {".htaccess", "txt", "htaccess.txt"},
		{"か\u3099き\u309a.txt", "txt", "がき\u309a.txt"},
		{"\ufa19\ufa1b\ufa26\ufa2c\ufa12\ufa10\ufa1c\u212b.txt", "txt", "\ufa19\ufa1b\ufa26\ufa2c\ufa12\ufa10\ufa1c\u212b.txt"},
		{"葛\U000e0100城.txt", "txt", "葛\U000e0100城.txt"},
		{"a\tb\r\nc.txt", "txt", "a b  c.txt"},
		{"\xff.txt", "txt", "_.txt"},
		{"100%.txt", "txt", "100%.txt"},
		{"【別紙１】令和８年度物価高騰対応重点支援地方創生臨時交付金の作成について.xlsx", "xlsx", "【別紙１】令和８年度物価高騰対応重点支援地方創生臨時交付金の作成について.xlsx"},
		{strings.Repeat("漢", 200) + ".docx", ".DOCX", strings.Repeat("漢", 83) + ".docx"},
		{"a.b", "we/ird", "a"},
		{"example.com.docx", "docx", "example_com.docx"},
		{"a.{20D04FE0-3AEA-1069-A2D8-08002B30309D}", "txt", "a.txt"},
	} {
		got := CleanName(c.in, c.ext)
		if got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.in, c.ext, got, c.want)
		}
		checkClean(t, c.in, c.ext, got)
	}
}

func TestDangerous(t *testing.T) {
	for _, c := range []struct{ name, class string }{
		{"a.txt", ""}, {"申請書.docx", ""}, {"a", ""}, {"", ""}, {".", ""}, {"exe", ""}, {"a.exe.txt", ""}, {"請求書.pdf", ""}, {"a.zip", ""}, {"a.docm", ""}, {"10:30 会議.txt", ""}, {"a.js (1).txt", ""},
		{"a.exe", Executable}, {"a.EXE", Executable}, {"a.scr", Executable}, {"a.com", Executable}, {"a.pif", Executable}, {"a.cpl", Executable}, {"a.msi", Executable}, {"a.jar", Executable}, {"a.chm", Executable}, {"a.hlp", Executable}, {"a.application", Executable}, {"a.gadget", Executable}, {"a.xll", Executable}, {"a.wll", Executable}, {"a.vsto", Executable}, {"a.mst", Executable}, {"a.msp", Executable}, {"a.msix", Executable}, {"a.appx", Executable},
		{"a.js", Script}, {"a.jse", Script}, {"a.vbs", Script}, {"a.vbe", Script}, {"a.wsf", Script}, {"a.wsh", Script}, {"a.hta", Script}, {"a.ps1", Script}, {"a.bat", Script}, {"a.cmd", Script}, {"a.xsl", Script}, {"a.sh", Script}, {"a.py", Script},
		{"a.lnk", Shortcut}, {"a.url", Shortcut}, {"a.scf", Shortcut}, {"a.library-ms", Shortcut}, {"a.search-ms", Shortcut}, {"a.appref-ms", Shortcut}, {"a.iqy", Shortcut}, {"a.slk", Shortcut}, {"a.rdp", Shortcut}, {"a.desktop", Shortcut},
		{"a.reg", Settings}, {"a.inf", Settings}, {"a.ins", Settings}, {"a.isp", Settings}, {"a.job", Settings}, {"a.msc", Settings}, {"a.settingcontent-ms", Settings}, {"desktop.ini", Settings}, {"AUTORUN.INF", Settings},
		{"a.js.", Script}, {"a.js ", Script}, {"a.js. . ", Script}, {"a.js\u3000", Script}, {"a.js\u200b", Script}, {"a.j\u200bs", Script}, {"a.ｊｓ", Script}, {"a．exe", Executable}, {"a.txt:x.js", Script}, {"a.js::$DATA", Script}, {"a.js:", Script},
		{"a.js\x00.txt", Script}, {"a.js\n.txt", Script}, {"a%2Ejs", Script}, {"a.js%00.txt", Script}, {"a%252Ejs", Script}, {"a.js%20", Script},
		{"invoice\u202Etxt.js", Script}, {"invoice\u202Esj.txt", Script}, {"invoice\u202Eexe.txt", Executable}, {"invoice\u202Etxt.exe", Executable}, {"sj.\u202Etxt", ""}, {"a\u202Esj.", Script},
		{"a.pdf" + strings.Repeat(" ", 80) + ".js", Script}, {"a.pdf.js", Script}, {"x/a.js", Script}, {`x\a.js\`, Script}, {"a.js/", Script}, {`a.js"`, Script}, {`"a.js"`, Script}, {"a.js?", Script}, {"a.j?s", Script},
		{"=?utf-8?B?YS5qcw==?=", Script}, {"a.{20D04FE0-3AEA-1069-A2D8-08002B30309D}", Shortcut}, {"a.Js;", Script},
	} {
		got, ok := Dangerous(c.name)
		if got != c.class || ok != (c.class != "") {
			t.Errorf("%q: got %q, %v; want %q", c.name, got, ok, c.class)
		}
	}
}
