package message_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/message"
)

func TestEveryAmbiguityHoldsTheMessage(t *testing.T) {
	file := func(fields, body string) string { return mixed(plainPart, fields+"\n"+body+"\n") }
	for _, c := range []struct {
		code message.Code
		name string
		mail string
	}{
		{message.DuplicateType, "at the top", top + "Content-Type: text/plain\nContent-Type: text/html\n\nx\n"},
		{message.DuplicateType, "in a part", file("Content-Type: text/plain\nContent-Type: image/png\n", "x")},
		{message.DuplicateDisposition, "in a part", file("Content-Type: text/plain\nContent-Disposition: inline\nContent-Disposition: attachment\n", "x")},
		{message.DuplicateTransfer, "in a part", file("Content-Type: text/plain\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n", "eA==")},
		{message.DuplicateFrom, "two fields", "From: a@example.jp\nFrom: b@example.jp\n\nx\n"},
		{message.FromDomains, "two mailboxes", "From: a@example.jp, b@example.com\n\nx\n"},
		{message.FromDomains, "two angles", "From: <a@example.jp> <b@example.com>\n\nx\n"},
		{message.SpaceBeforeColon, "Content-Type", "From: a@example.jp\nContent-Type : text/html\n\nx\n"},
		{message.NoColon, "before Content-Type", "From: a@example.jp\nrubbish\nContent-Type: text/html\n\nx\n"},
		{message.NoColon, "white space before Content-Type", "From: a@example.jp\n \nContent-Type: text/html\n\nx\n"},
		{message.ControlInHeader, "vertical tab", top + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\v\n\nx\n"},
		{message.ControlInHeader, "NUL in a name", "From: =?utf-8?Q?a=40b.example=00?= <c@example.jp>\n\nx\n"},
		{message.NUL, "in the text", top + "\nx\x00y\n"},
		{message.BareCR, "in the text", top + "\nx\ry\n"},
		{message.TypeSyntax, "no slash", top + "Content-Type: multipartmixed; boundary=b\n\n--b\n\nx\n--b--\n"},
		{message.TypeSyntax, "space before the slash", top + "Content-Type: multipart /mixed; boundary=b\n\n--b\n\nx\n--b--\n"},
		{message.TypeSyntax, "unclosed quote", top + "Content-Type: multipart/mixed; boundary=\"b\n\n--b\n\nx\n--b--\n"},
		{message.TypeNotASCII, "fullwidth", top + "Content-Type: multipart/ｍixed; boundary=b\n\n--b\n\nx\n--b--\n"},
		{message.DuplicateBoundary, "two boundaries", top + "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\n\nx\n--a--\n"},
		{message.DuplicateCharset, "two charsets", top + "Content-Type: text/plain; charset=utf-7; charset=utf-8\n\nx\n"},
		{message.DuplicateName, "two names", file("Content-Type: text/plain; name=a.txt; name=b.js\n", "x")},
		{message.DuplicateName, "two file names", file("Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt; filename=a.exe\n", "x")},
		{message.BoundaryExtended, "continuations", top + "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\nx\n--ab--\n"},
		{message.BoundaryExtended, "with charset", top + "Content-Type: multipart/mixed; boundary*=us-ascii''ab\n\n--ab\n\nx\n--ab--\n"},
		{message.BoundaryInvalid, "too long", top + "Content-Type: multipart/mixed; boundary=" + strings.Repeat("a", 71) + "\n\n--" + strings.Repeat("a", 71) + "\n\nx\n--" + strings.Repeat("a", 71) + "--\n"},
		{message.BoundaryInvalid, "space at the end", top + "Content-Type: multipart/mixed; boundary=\"a \"\n\n--a \n\nx\n--a --\n"},
		{message.BoundaryInvalid, "escaped", top + "Content-Type: multipart/mixed; boundary=\"a\\b\"\n\n--ab\n\nx\n--ab--\n"},
		{message.BoundaryInvalid, "junk behind", top + "Content-Type: multipart/mixed; boundary=a b\n\n--a\n\nx\n--a--\n"},
		{message.BoundaryMissing, "none", top + "Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n"},
		{message.BoundaryUnused, "another in the text", top + "Content-Type: multipart/mixed; boundary=a\n\n--b\n\nx\n--b--\n"},
		{message.BoundaryNested, "the same", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n--a--\n"},
		{message.BoundaryNested, "a beginning of the outer", top + "Content-Type: multipart/mixed; boundary=aa\n\n--aa\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n--aa--\n"},
		{message.BoundaryJunk, "behind the delimiter", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--ab\n\ny\n--a--\n"},
		{message.BoundaryUnclosed, "inner", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--a--\n"},
		{message.TransferUnknown, "comment", file("Content-Type: text/plain\nContent-Transfer-Encoding: base64 (x)\n", "eA==")},
		{message.TransferUnknown, "quotes", file("Content-Type: text/plain\nContent-Transfer-Encoding: \"base64\"\n", "eA==")},
		{message.TransferUnknown, "x-gzip", file("Content-Type: text/plain\nContent-Transfer-Encoding: x-gzip\n", "x")},
		{message.UUMalformed, "words", file("Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n", "x")},
		{message.UUMalformed, "cut", file("Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n", "begin 644 a\n#0V%T")},
		{message.UUMalformed, "two files", file("Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n", "begin 644 a\n#0V%T\n`\nend\nbegin 644 a\n#0V%T\n`\nend")},
		{message.UUMalformed, "yEnc of another size", file("Content-Type: text/plain\nContent-Transfer-Encoding: x-yenc\n", "=ybegin line=128 size=3 name=a\nabc\n=yend size=4")},
		{message.TransferOnContainer, "base64 multipart", top + "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64\n\n--a\n\nx\n--a--\n"},
		{message.Base64Junk, "stars", file("Content-Type: image/png\nContent-Transfer-Encoding: base64\n", "eHh4*eHh4")},
		{message.Base64Restart, "padding in the middle", file("Content-Type: image/png\nContent-Transfer-Encoding: base64\n", "eA==eHh4")},
		{message.Base64Restart, "too much padding", file("Content-Type: image/png\nContent-Transfer-Encoding: base64\n", "eHh4====")},
		{message.Base64Cut, "one character left", file("Content-Type: image/png\nContent-Transfer-Encoding: base64\n", "eHh4e")},
		{message.QuotedIllegal, "no digits", file("Content-Type: image/png\nContent-Transfer-Encoding: quoted-printable\n", "a=ZZb")},
		{message.Partial, "a piece", top + "Content-Type: message/partial; id=a; number=1; total=2\n\nx\n"},
		{message.PartInPreamble, "a header", top + "Content-Type: multipart/mixed; boundary=a\n\nContent-Type: text/html\n\nx\n--a\n\nx\n--a--\n"},
		{message.PartInPreamble, "a delimiter", top + "Content-Type: multipart/mixed; boundary=a\n\n--b\nContent-Type: text/html\n\nx\n--b--\n--a\n\nx\n--a--\n"},
		{message.PartInPreamble, "base64 of a program", top + "Content-Type: multipart/mixed; boundary=a\n\n" + b64("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff") + "\n--a\n\nx\n--a--\n"},
		{message.PartInPreamble, "uuencode", top + "Content-Type: multipart/mixed; boundary=a\n\nbegin 644 a.exe\nend\n--a\n\nx\n--a--\n"},
		{message.PartInEpilogue, "a part", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n--a\nContent-Type: text/html\n\nx\n--a--\n"},
		{message.PartInEpilogue, "a header", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\nContent-Disposition: attachment\n\nx\n"},
		{message.PartInEpilogue, "a program", top + "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\nPK\x03\x04\x14\x01\x02\n"},
		{message.HiddenStructure, "behind a text that promised parts", top + "Content-Type: multipart/mixed; boundary=a\n\nno parts\n--a--\nContent-Type: text/html\n\nx\n"},
		{message.BinHexMalformed, "in a text", top + "\n(This file must be converted with BinHex 4.0)\n:#@0bFh4`G\"8:\n"},
		{message.BinHexMalformed, "as an encoding", file("Content-Type: application/octet-stream\nContent-Transfer-Encoding: binhex\n", "x")},
		{message.TooDeep, "31 multiparts", nest(31)},
		{message.TooManyParts, "1,001 parts", mixed(slices.Repeat([]string{"\nx"}, 1001)...)},
		{message.HeaderBytes, "300 KiB", "From: a@example.jp\nX-A: " + strings.Repeat("a", 300<<10) + "\n\nx\n"},
		{message.HeaderFields, "2,001 fields", "From: a@example.jp\n" + strings.Repeat("X-A: b\n", 2001) + "\nx\n"},
	} {
		t.Run(string(c.code)+"/"+c.name, func(t *testing.T) {
			out, rep, err := treat(lf(c.mail), options())
			if !errors.Is(err, sanitize.ErrAmbiguous) && !errors.Is(err, sanitize.ErrLimit) {
				t.Fatalf("error %v; output:\n%s", err, out)
			}
			if len(out) > 0 {
				t.Errorf("%d octets of output", len(out))
			}
			if !slices.ContainsFunc(rep.Holds, func(h sanitize.Hold) bool { return h.Code == string(c.code) }) {
				t.Errorf("held for %v, want %s", rep.Holds, c.code)
			}
			for _, h := range rep.Holds {
				if h.Class != sanitize.ClassAmbiguous && h.Class != sanitize.ClassLimit {
					t.Errorf("class %q", h.Class)
				}
			}
		})
	}
}

func nest(n int) string {
	s, end := top, ""
	for i := range n {
		b := fmt.Sprintf("b%02d", i)
		if i > 0 {
			s += "--b" + fmt.Sprintf("%02d", i-1) + "\n"
		}
		s += "Content-Type: multipart/mixed; boundary=" + b + "\n\n"
		end = "--" + b + "--\n" + end
	}
	return s + fmt.Sprintf("--b%02d\n\nx\n", n-1) + end
}

func TestMisspeltEncodingsOfNothingAreRead(t *testing.T) {
	for _, cte := range []string{"8-bit", "8BIT", "none", "UTF-8", "7 bit"} {
		out, rep, err := treat(lf("From: a@example.jp\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "+cte+"\n\n\xe5\xb1\xb1\n"), options())
		if err != nil || !bytes.Contains(out, []byte("=E5=B1=B1")) && !bytes.Contains(out, []byte("5bGx")) {
			t.Errorf("%s: %v %v", cte, err, rep.Holds)
		}
	}
}
