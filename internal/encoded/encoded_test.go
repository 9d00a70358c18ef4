package encoded

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

func inBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// program is the beginning of one; inert.
var inert = "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8" + strings.Repeat("\x00", 103)

// folded breaks base64 as mail programs do.
func folded(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + "\n")
		s = s[n:]
	}
	return b.String() + s
}

func TestFilesInATextAreCutOut(t *testing.T) {
	for name, c := range map[string]struct{ file, gone string }{
		"program in one line":    {inBase64(inert), "TVqQ"},
		"program in lines":       {folded(inBase64(inert), 76), "AAAA"},
		"archive":                {folded(inBase64("PK\x03\x04"+strings.Repeat("x", 200)), 64), "UEsD"},
		"document":               {inBase64("%PDF-1.7 " + strings.Repeat("x", 90)), "JVBE"},
		"quoted":                 {"> " + inBase64(inert), "TVqQ"},
		"behind a name":          {"data=" + inBase64(inert) + ";", "TVqQ"},
		"uuencode":               {"begin 644 a.exe\n" + `M35J0` + strings.Repeat("A", 56) + "\n`\nend", "begin"},
		"uuencode, blank before": {"begin 644 a.exe\n\n" + `M35J0` + strings.Repeat("A", 56) + "\n`\nend", "M35J0"},
		"yEnc":                   {"=ybegin line=128 size=5 name=a.exe\nwxyz\n=yend size=5", "wxyz"},
		"BinHex":                 {"(This file must be converted with BinHex 4.0)\n:ABCDEFG\nHIJK:", "HIJK"},
	} {
		got, n := Cut("前の文\n" + c.file + "\nThe words behind it.\n後の文\n")
		if n != 1 || strings.Contains(got, c.gone) {
			t.Errorf("%s: %d files, %q", name, n, got)
		}
		if !strings.HasPrefix(got, "前の文\n") || !strings.HasSuffix(got, "The words behind it.\n後の文\n") || !strings.Contains(got, Gap) {
			t.Errorf("%s: words are lost: %q", name, got)
		}
	}
}

func TestTextsThatPeopleSendStay(t *testing.T) {
	for name, s := range map[string]string{
		"words":       "begin 2026 with a plan\nMZ is a name\r\n\r\nJapan\n",
		"certificate": "-----BEGIN CERTIFICATE-----\n" + folded(inBase64("\x30\x82\x03\x01"+strings.Repeat("q", 300)), 64) + "\n-----END CERTIFICATE-----\n",
		"hash":        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
		"address":     "https://example.jp/" + inBase64("a long token that opens like nothing at all, nowhere") + "\n",
		"begin":       "begin 644 of them\n\n\nand so on\n",
		"last line":   "begin 100 times",
		"":            "",
	} {
		if got, n := Cut(s); n != 0 || got != s {
			t.Errorf("%s: %d files, %q", name, n, got)
		}
	}
}

func TestPiecesMakeNoDifference(t *testing.T) {
	text := "前\n" + folded(inBase64(inert+strings.Repeat("z", 500)), 76) + "\n\nx=" + inBase64(inert) + "\nbegin 644 a\nM35J0" + strings.Repeat("A", 56) + "\nend\n後\n"
	want, files := Cut(text)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var b bytes.Buffer
		c := Cutter{W: &b}
		for p := text; p != ""; {
			n := min(1+r.IntN(90), len(p))
			if _, err := c.Write([]byte(p[:n])); err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
		if err := c.Close(); err != nil || b.String() != want || c.Files != files || files != 3 {
			t.Fatalf("%d files, %v: %q, want %d: %q", c.Files, err, b.String(), files, want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("begin 644 a\nM35J0" + strings.Repeat("A", 56) + "\nend\n" + inBase64(inert))
	f.Add("=ybegin size=1\nx\n=yend\n(This file must be converted with BinHex\n:a\nb:\n")
	f.Fuzz(func(t *testing.T, s string) {
		got, n := Cut(s)
		if n == 0 && got != s {
			t.Errorf("changed without a file: %q", got)
		}
		if again, n := Cut(got); n > 0 || again != got {
			t.Errorf("a second look finds %d more", n)
		}
	})
}
