package outlook_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"

	"sekisho/sanitize"
)

// named is a winmail.dat whose files have nothing but eight-bit names. A code page
// of 0 is not said.
func named(page uint32, last bool, names ...string) []byte {
	b := []byte("\x78\x9f\x3e\x22\x01\x00")
	att := func(level byte, id uint32, data []byte) {
		b = binary.LittleEndian.AppendUint32(append(b, level), id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = append(append(b, data...), 0, 0)
	}
	say := func() {
		if page != 0 {
			att(1, 0x00069007, binary.LittleEndian.AppendUint32(nil, page))
		}
	}
	if !last {
		say()
	}
	for _, n := range names {
		att(2, 0x00069002, make([]byte, 14))
		att(2, 0x00018010, append([]byte(n), 0))
		att(2, 0x0006800F, []byte("the words"))
	}
	if last {
		say()
	}
	return b
}

func octets(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	b, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNamesOfAWinmailAreReadWhateverItSaysOfThem: by the code page that it says
// when the names can be in it, else by the charset of the mail or by their looks.
func TestNamesOfAWinmailAreReadWhateverItSaysOfThem(t *testing.T) {
	sjis, euc, jis, latin := japanese.ShiftJIS, japanese.EUCJP, japanese.ISO2022JP, charmap.Windows1252
	for _, c := range []struct {
		page  uint32
		in    encoding.Encoding // nil: UTF-8
		mail  string
		names []string
	}{
		{932, sjis, "us-ascii", []string{"名簿.txt", "表.txt", "ﾒｲﾎﾞ.txt", "ソ連.txt"}},
		{51932, euc, "us-ascii", []string{"名簿.txt", "計画.txt"}},
		{50220, jis, "us-ascii", []string{"名簿.txt"}},
		{65001, nil, "us-ascii", []string{"名簿.txt", "Frösche.txt"}},
		{1252, latin, "us-ascii", []string{"Frösche.txt", "Café – Menü.txt", "It’s ready.txt", "Œuvre n° 5.txt", "100 m² ½.txt", "• one.txt"}},
		{1252, latin, "iso-2022-jp", []string{"Frösche.txt", "It’s ready.txt"}},
		{1251, charmap.Windows1251, "us-ascii", []string{"Привет.txt"}},
		{949, korean.EUCKR, "us-ascii", []string{"한국.txt"}},
		// What is said is wrong.
		{1252, sjis, "iso-2022-jp", []string{"名簿.txt"}},
		{1252, sjis, "iso-2022-jp", []string{"予算.txt"}},
		{1252, sjis, "us-ascii", []string{"会議録.txt", "計画.txt"}},
		{1252, sjis, "utf-8", []string{"日本.txt"}},
		{1250, sjis, "shift_jis", []string{"総務課.txt"}},
		{28591, euc, "iso-2022-jp", []string{"名簿.txt"}},
		{1252, nil, "utf-8", []string{"名簿.txt"}},
		{932, nil, "us-ascii", []string{"会議録.txt"}},
		{932, euc, "iso-2022-jp", []string{"会議録と名簿.txt"}},
		{932, latin, "us-ascii", []string{"Frösche.txt"}},
		{65001, sjis, "us-ascii", []string{"名簿.txt"}},
		{1200, sjis, "us-ascii", []string{"名簿.txt"}},
		{12345, sjis, "us-ascii", []string{"名簿.txt"}},
		{0, sjis, "us-ascii", []string{"名簿.txt"}},
		{0, korean.EUCKR, "euc-kr", []string{"한국.txt"}},
	} {
		var names []string
		for _, n := range c.names {
			if c.in != nil {
				n = octets(t, c.in, n)
			}
			names = append(names, n)
		}
		for _, last := range []bool{false, true} {
			mail := fmt.Sprintf("From: a@partner.example\r\nTo: b@town.example.lg.jp\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"+
				"--B\r\nContent-Type: text/plain; charset=%s\r\n\r\nwords\r\n--B\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--B--\r\n",
				c.mail, wrapped(named(c.page, last, names...)))
			o := options(sanitize.TaskMail, "")
			out, err := run(t, o, []byte(mail))
			w := words("Subject: x\r\n" + out)
			for _, n := range c.names {
				if err != nil || !strings.Contains(w, n) {
					t.Errorf("code page %d, mail in %s, said last %t: %q is missing: %v\n%s", c.page, c.mail, last, n, err, w)
				}
			}
		}
	}
}

func wrapped(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > 76 {
		out.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return out.String() + s
}
