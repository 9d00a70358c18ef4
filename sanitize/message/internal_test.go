package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"sekisho/internal/notice"
)

// chunked reads in pieces of every size, since decoders meet their input cut
// anywhere.
func chunked(s string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":     strings.NewReader(s),
		"octets":    iotest.OneByteReader(strings.NewReader(s)),
		"data+EOF":  iotest.DataErrReader(strings.NewReader(s)),
		"in halves": iotest.HalfReader(strings.NewReader(s)),
	}
}

func TestTransferDecodersAreStrict(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5000)
	for _, c := range []struct {
		name string
		enc  transfer
		in   string
		want string
		err  error
	}{
		{"base64", base64Transfer, "aGVs\r\nbG8=\r\n", "hello", nil},
		{"long", base64Transfer, base64.StdEncoding.EncodeToString([]byte(long)), long, nil},
		{"no padding", base64Transfer, "aGVsbG8", "hello", nil},
		{"nothing", base64Transfer, "\r\n", "", nil},
		{"junk", base64Transfer, "aGVs!bG8=", "", errBase64Junk},
		{"dash of another alphabet", base64Transfer, "aGV-", "", errBase64Junk},
		{"restart", base64Transfer, "aGVsbG8=aGVs", "", errBase64Restart},
		{"padding for nothing", base64Transfer, "aGVs=", "", errBase64Restart},
		{"cut", base64Transfer, "aGVsb", "", errBase64Cut},
		{"quoted", quotedPrintable, "a=3Db=\r\nc \t\r\nd=e3=81=82\r\n", "a=bc\r\nd\xe3\x81\x82\r\n", nil},
		{"soft break with blanks", quotedPrintable, "a= \t\r\nb", "ab", nil},
		{"soft break at the end", quotedPrintable, "a=", "a", nil},
		{"blanks kept inside", quotedPrintable, "a  b\r\n", "a  b\r\n", nil},
		{"eight bits", quotedPrintable, "\xe3\x81\x82", "\xe3\x81\x82", nil},
		{"long line of blanks", quotedPrintable, "a" + strings.Repeat(" ", 3000) + "b", "a" + strings.Repeat(" ", 3000) + "b", nil},
		{"illegal", quotedPrintable, "a=3", "", errQuoted},
		{"illegal in the middle", quotedPrintable, "a=xyb", "", errQuoted},
		{"identity", identity, "a=3D\x00", "a=3D\x00", nil},
	} {
		for how, r := range chunked(c.in) {
			got, err := io.ReadAll(c.enc.decoder(r))
			if err != c.err {
				t.Errorf("%s (%s): error %v, want %v", c.name, how, err, c.err)
			}
			if c.err == nil && string(got) != c.want {
				t.Errorf("%s (%s): %d octets %.60q, want %.60q", c.name, how, len(got), got, c.want)
			}
		}
	}
}

func FuzzDecodersAgreeWithTheStandardLibrary(f *testing.F) {
	for _, s := range []string{"aGVsbG8=", "aGVs\r\nbG8", "a=3Db=\r\nc", "a \r\n b", "=\r\n=20\r\n", "a==", "====", "=3d=\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// What we accept as base64 is what the library makes of it without
		// white space and padding.
		if got, err := io.ReadAll(base64Transfer.decoder(strings.NewReader(s))); err == nil {
			stripped := strings.TrimRight(strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s), "=")
			want, err := base64.RawStdEncoding.DecodeString(stripped)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("base64 %q: %q, library %q, %v", s, got, want, err)
			}
		}
		got, err := io.ReadAll(quotedPrintable.decoder(strings.NewReader(s)))
		again, err2 := io.ReadAll(quotedPrintable.decoder(iotest.OneByteReader(strings.NewReader(s))))
		if err != err2 || err == nil && !bytes.Equal(got, again) {
			t.Errorf("quoted-printable %q depends on how it is cut: %q %v, %q %v", s, got, err, again, err2)
		}
	})
}

func FuzzEncodersAreReadBack(f *testing.F) {
	for _, s := range []string{"a\r\nb\r\n", "=\t \r\n", ".\r\nFrom x\r\n", strings.Repeat("あ ", 100), strings.Repeat("a", 300), "a \r", " "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var qp, b64 bytes.Buffer
		q, b := &quotedWriter{w: &qp}, base64Writer(&b64)
		for i := range in {
			q.Write(in[i : i+1])
			b.Write(in[i : i+1])
		}
		if q.Close() != nil || b.Close() != nil {
			t.Fatal("close")
		}
		for _, ln := range strings.Split(qp.String()+"\r\n"+b64.String(), "\r\n") {
			if len(ln) > foldAt || strings.ContainsAny(ln, "\r\n") || strings.HasPrefix(ln, "From ") || strings.HasSuffix(ln, " ") {
				t.Errorf("line %q", ln)
			}
		}
		std, err := io.ReadAll(quotedprintable.NewReader(&qp))
		if err != nil || !bytes.Equal(std, in) {
			t.Errorf("the library reads %q, %v from %q", std, err, in)
		}
		own, err := io.ReadAll(base64Transfer.decoder(&b64))
		if err != nil || !bytes.Equal(own, in) {
			t.Errorf("base64: %q, %v", own, err)
		}
	})
}

func TestOurOwnReaderReadsOurQuotedPrintable(t *testing.T) {
	for _, in := range []string{"a \r\n\tb=\r\n", strings.Repeat("長い行 ", 200) + "\r\n", ".\r\nFrom\r\n"} {
		var b bytes.Buffer
		q := &quotedWriter{w: &b}
		io.WriteString(q, in)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(quotedPrintable.decoder(&b)); err != nil || string(got) != in {
			t.Errorf("%q, %v, want %q", got, err, in)
		}
	}
}

func TestLinesAreFoundWhateverTheBlocks(t *testing.T) {
	var in strings.Builder
	var want []string
	for _, n := range []int{0, 1, 77, 65534, 65535, 65536, 65537, 0, 200_000, 3} {
		l := strings.Repeat("x", n)
		want = append(want, l)
		in.WriteString(l + "\r\n")
	}
	in.WriteString("last")
	want = append(want, "last")
	s := in.String()
	lr := newLineReader(strings.NewReader(s), int64(len(s)))
	for i, w := range want {
		ln, ok := lr.next()
		if !ok || s[ln.start:ln.end] != w || !strings.HasPrefix(w, string(ln.prefix)) || ln.whole() != (len(w) <= maxPrefix) {
			t.Fatalf("line %d: %v %d..%d, prefix of %d, want %d octets", i, ok, ln.start, ln.end, len(ln.prefix), len(w))
		}
	}
	if _, ok := lr.next(); ok || lr.nul >= 0 || lr.bareCR >= 0 {
		t.Errorf("more lines, or NUL at %d, CR at %d", lr.nul, lr.bareCR)
	}
	// A CR at the end of a block, with and without its LF.
	for _, c := range []struct {
		tail string
		bare bool
	}{{"\r\nx", false}, {"\rx\n", true}} {
		s := strings.Repeat("x", 65535) + c.tail
		lr := newLineReader(strings.NewReader(s), int64(len(s)))
		for {
			if _, ok := lr.next(); !ok {
				break
			}
		}
		if (lr.bareCR == 65535) != c.bare {
			t.Errorf("%q: bare CR at %d", c.tail, lr.bareCR)
		}
	}
}

func TestScannerSeesWhatSomeProgramCouldSee(t *testing.T) {
	exe := base64.StdEncoding.EncodeToString([]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff"))
	for _, c := range []struct {
		in   string
		want []sighting
	}{
		{"hello\r\n-- \r\nsignature\r\n", nil},
		{"---------- Forwarded ----------\r\nFrom: a\r\n", nil},
		{"--x\r\nContent-Type: a\r\n", []sighting{{sawBoundary, 0}, {sawHeader, 5}}},
		{"--x\ncontent-disposition : a\n", []sighting{{sawBoundary, 0}, {sawHeader, 4}}},
		{"X: a\rContent-Type: b\r\n", []sighting{{sawHeader, 5}}},
		{"a\r\n" + exe + "\r\n" + exe + "\r\n", []sighting{{sawBase64, 3}}},
		{"begin 644 a.exe\r\n", []sighting{{sawUU, 0}}},
		{"begin to understand\r\n", nil},
		{"=ybegin line=128 size=3 name=a\r\n", []sighting{{sawYEnc, 0}}},
		{"(This file must be converted with BinHex 4.0)\r\n", []sighting{{sawBinHex, 0}}},
		{"PK\x03\x04\x14\x00\x01\r\n", []sighting{{sawFile, 0}}},
		{"MZ is a car\r\n", nil},
	} {
		for how, r := range chunked(c.in) {
			got, err := scan(r, int64(len(c.in)))
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q (%s): %v, %v, want %v", c.in, how, got, err, c.want)
			}
		}
	}
}

func TestProgramsInATextAreFoundHoweverTheyStand(t *testing.T) {
	exe := base64.StdEncoding.EncodeToString([]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff" + strings.Repeat("\x00", 40)))
	long := base64.StdEncoding.EncodeToString([]byte("MZ\x90\x00" + strings.Repeat("\x00", 150_000)))
	for _, c := range []struct {
		in   string
		want []span
	}{
		{"a\n> " + exe + "\n> " + exe + "\nb c\n", []span{{2, int64(2 + 2*(len(exe)+3))}}},
		{"a\n   " + exe + "\n", []span{{2, int64(2 + len(exe) + 4)}}},
		{"data=" + exe + "\nb c\n", []span{{5, int64(5 + len(exe) + 1)}}},
		{"a\n" + long + "\nb c\n", []span{{2, int64(2 + len(long) + 1)}}},
		{"a\n" + exe + "\n" + long + "\nb c\n", []span{{2, int64(2 + len(exe) + 1 + len(long) + 1)}}},
		{"https://a.example/?q=TVqQABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop&x=H4sIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", nil},
		{"> thank you\n> regards\n", nil},
		{strings.Repeat("あ", 60_000) + "\n" + exe + "\n", []span{{180_001, int64(180_001 + len(exe) + 1)}}},
	} {
		cuts, err := embedded(strings.NewReader(c.in), int64(len(c.in)))
		var got []span
		for _, c := range cuts {
			got = append(got, c.span)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%.60q: %v, %v, want %v", c.in, got, err, c.want)
		}
	}
}

func TestUULinesAreDecodedLikeEveryoneDoes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"#0V%T", "Cat"}, {"#0V%T ", "Cat"}, {"\"0V$", "Ca"}, {"!0P``", "C"}, {"`", ""}, {"", ""},
	} {
		got, ok := uuLine(nil, []byte(c.in))
		if !ok || string(got) != c.want {
			t.Errorf("%q: %q, %v, want %q", c.in, got, ok, c.want)
		}
	}
	for _, in := range []string{"and finish them", "M", "~~~~"} {
		if got, ok := uuLine(nil, []byte(in)); ok {
			t.Errorf("%q was decoded to %q", in, got)
		}
	}
}

// Programs differ in what they take for the first line of a uuencoded file, and
// some pass over what stands before its lines. Words stay words.
func TestUUIsFoundWhateverItsFirstLine(t *testing.T) {
	full := "M" + strings.Repeat("#0V%T", 12) + "\n"
	tiny := "3" + strings.Repeat("#0V%", 7) + "\n" // 19 octets
	for _, c := range []struct {
		in   string
		want string // what is left
	}{
		{"begin 644 a.exe\n" + full + "`\nend\nwords\n", "words\n"},
		{"begin  a.exe\n" + tiny + tiny + tiny + "`\nend\nwords\n", "words\n"},
		{"begin 999 a.exe\n" + tiny + tiny + tiny + "words\n", "words\n"},
		{"begin 100644 a.exe\n" + tiny + tiny + tiny + "\nwords\n", "\nwords\n"},
		{"begin 644\n" + full + full + "`\nend\nwords\n", "words\n"},
		{"words\nBEGIN it\n" + full + full + "#0V%T\n`\nend\nwords\n", "words\nBEGIN it\nwords\n"},
		{"begin 644 a.exe\nwords\n" + full + full + "`\nend\n", "begin 644 a.exe\nwords\n"},
		{full + full + full, ""},
		{full + "words\n", full + "words\n"},
		{"MEETING OF THE COUNCIL, WEDNESDAY 1 APRIL 2026, ROOM 301, 10:00\nAGENDA\n", "MEETING OF THE COUNCIL, WEDNESDAY 1 APRIL 2026, ROOM 301, 10:00\nAGENDA\n"},
		{"begin 10 MINUTES EARLY\n1 2 3 4 5 6 7 8 9 10 11 12\n", "begin 10 MINUTES EARLY\n1 2 3 4 5 6 7 8 9 10 11 12\n"},
		{"begin  WITH THE TABLE\n100 200 300 400 500 600 70\nTOTAL 1,234\n", "begin  WITH THE TABLE\n100 200 300 400 500 600 70\nTOTAL 1,234\n"},
		{"Begin forwarded message:\n\nFROM: A\nSUBJECT: B\n", "Begin forwarded message:\n\nFROM: A\nSUBJECT: B\n"},
		{"=ybegin\tline=128 size=3 name=a\nabc\n=yend\nwords\n", "words\n"},
	} {
		cuts, err := embedded(strings.NewReader(c.in), int64(len(c.in)))
		left, at := "", int64(0)
		for _, k := range cuts {
			left += c.in[at:k.start]
			at = k.end
		}
		if left += c.in[at:]; err != nil || left != c.want {
			t.Errorf("%.80q: %q is left, %v; want %q", c.in, left, err, c.want)
		}
	}
}

// TestEveryCodeHasItsMail reads the sources: a code that no test holds a
// message for is not done.
func TestEveryCodeHasItsMail(t *testing.T) {
	code, err := os.ReadFile("code.go")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("ambiguity_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^\t([A-Z]\w+) +Code = "([a-z0-9.-]+)"`).FindAllSubmatch(code, -1)
	if len(names) < 30 {
		t.Fatalf("found only %d codes", len(names))
	}
	for _, n := range names {
		if !bytes.Contains(tests, []byte("{message."+string(n[1])+",")) {
			t.Errorf("no mail is held for %s", n[1])
		}
		if got := notice.Held(notice.Japanese, string(n[2])); got == string(n[2]) {
			t.Errorf("%s has no words for the administrator", n[2])
		}
	}
}

// TestACREndsALineWhereverTheBufferEnds: a long line is read in pieces, and a
// CR that is the last octet of one is no other CR.
func TestACREndsALineWhereverTheBufferEnds(t *testing.T) {
	for n := 500; n < 530; n++ {
		for _, end := range []string{"\rx", "\r\nx", "\r\r\nx", "\r", "\r\n", "x\ry\rz"} {
			var b bytes.Buffer
			text := strings.Repeat("c", n) + end
			if _, err := rewriteText(strings.NewReader(text), "utf-8", layout{}, &b); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n", "\r\n")
			if got := b.String(); strings.TrimRight(got, "\r\n") != strings.TrimRight(want, "\r\n") || strings.Contains(strings.ReplaceAll(got, "\r\n", ""), "\r") {
				t.Errorf("%d and %q: became %q", n, end, got[n-2:])
			}
		}
	}
}
