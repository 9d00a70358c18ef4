package archive_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

var update = flag.Bool("update", false, "write testdata/corpus anew: archives, what they are, and what is found in them")

const collection = "testdata/corpus"

// archives are what the collection holds: one for each finding of an archive
// and for each way in which it is refused.
func archives(t *testing.T) map[string]struct {
	readme string
	in     []byte
} {
	t.Helper()
	name, err := japanese.ShiftJIS.NewEncoder().String("見積書 表①.txt")
	if err != nil {
		t.Fatal(err)
	}
	twice := pack(t, file("a.txt", "one"), file("A.TXT", "two"))
	return map[string]struct {
		readme string
		in     []byte
	}{
		"01-member":    {"A path that leads out, an absolute one, a drive letter and a link beside an honest file. Only that stays.", pack(t, file("../../etc/x.txt", "EVIL"), file("/abs.txt", "EVIL"), file("c:\\x.txt", "EVIL"), entry{name: "link", data: []byte("/etc/passwd"), mode: fs.ModeSymlink | 0o777}, file("a.txt", "honest"))},
		"02-junk":      {"What file managers leave beside a file. It goes without a word.", pack(t, file("__MACOSX/._a.txt", "EVIL"), file(".DS_Store", "EVIL"), file("Thumbs.db", "EVIL"), file("a.txt", "honest"))},
		"03-cp932":     {"A name in CP932 without a mark, with a character whose second octet is a backslash. It leaves in UTF-8.", pack(t, file(name, "honest"))},
		"04-program":   {"A program beside a text. It stays out and is named.", pack(t, entry{name: "a.exe", data: corpus.Program()}, file("a.txt", "honest"))},
		"05-twice":     {"Two members whose names differ in case: one on Windows. Refused as ambiguous.", twice},
		"06-prefix":    {"An archive behind a program: a program, whatever its name.", append([]byte("MZ something else"), pack(t, file("a.txt", "honest"))...)},
		"07-suffix":    {"An archive with another end behind its end. Refused.", append(pack(t, file("a.txt", "honest")), "PK\x05\x06 something else"...)},
		"08-encrypted": {"A member under a password. Kept back.", corpus.EncryptedZIP("a.txt")},
		"09-document":  {"A Word document with a macro. It is treated like an attachment and leaves as docx.", pack(t, entry{name: "a.docm", data: corpus.Word("text", true)})},
	}
}

func told(t *testing.T, b []byte) string {
	t.Helper()
	var out bytes.Buffer
	rep, err := all.Run(t.Context(), options(), bytes.NewReader(b), int64(len(b)), &out)
	var s strings.Builder
	switch {
	case errors.Is(err, sanitize.ErrAmbiguous):
		s.WriteString("refused: ambiguous\n")
	case errors.Is(err, sanitize.ErrEncrypted):
		s.WriteString("refused: encrypted\n")
	case err != nil:
		s.WriteString("refused\n")
	default:
		fmt.Fprintf(&s, "%s\n", rep.Outcome)
		for name := range unpack(t, out.Bytes()) {
			if strings.Contains(name, "EVIL") {
				t.Errorf("a member %s", name)
			}
		}
		if bytes.Contains(out.Bytes(), []byte("EVIL")) {
			t.Error("EVIL is still there")
		}
	}
	for _, p := range rep.Parts {
		fmt.Fprintf(&s, "%s %s %s %s\n", p.Path, p.Name, p.Kind, p.Outcome)
		for _, f := range p.Findings {
			s.WriteString(strings.TrimRight(fmt.Sprintf("  %s %s %s %s", f.Rule, f.Action, f.Where, f.Detail), " ") + "\n")
		}
	}
	return s.String()
}

// TestCollection treats each archive of testdata/corpus and compares what is
// found with its .report; its .readme says what it is. With -update the
// collection is written anew; who reviews reads the difference.
func TestCollection(t *testing.T) {
	if *update {
		if err := errors.Join(os.RemoveAll(collection), os.MkdirAll(collection, 0o755)); err != nil {
			t.Fatal(err)
		}
		for name, a := range archives(t) {
			for ext, content := range map[string]string{".in": string(a.in), ".readme": a.readme + "\nWritten by the tests of sanitize/archive; nobody's archive.\n", ".report": told(t, a.in)} {
				if err := os.WriteFile(filepath.Join(collection, name+ext), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(collection, "*.in"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no collection: %v", err)
	}
	whole := ""
	for _, in := range files {
		b, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(in, ".in") + ".report")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(strings.TrimSuffix(in, ".in") + ".readme"); err != nil {
			t.Error(err)
		}
		if got := told(t, b); got != string(want) {
			t.Errorf("%s: found\n%swant\n%s", in, got, want)
		}
		whole += string(want)
	}
	for _, code := range []string{"archive.member", "archive.junk", "refused: ambiguous", "refused: encrypted"} {
		if !strings.Contains(whole, code) {
			t.Errorf("no archive of the collection has %s", code)
		}
	}
}
