package pdf

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatOtherProgramsWriteKeepsItsTextNeedsTools rebuilds a document as
// programs write it that people have: every version Ghostscript knows, cairo,
// and qpdf's ways to lay out, pack and encrypt a file.
func TestWhatOtherProgramsWriteKeepsItsTextNeedsTools(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base.pdf")
	// Without a table of its own; rebuilt it is sound.
	if err := os.WriteFile(base, must(t, sheetsOf("/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>", "",
		"BT /F 12 Tf 20 50 Td (the first page) Tj ET", "BT /F 12 Tf 20 50 Td (and the second) Tj ET 1 0 0 rg 0 0 9 9 re f")).out, 0o644); err != nil {
		t.Fatal(err)
	}
	words := func(name string) string {
		out, err := exec.CommandContext(t.Context(), "pdftotext", name, "-").Output()
		if err != nil {
			t.Fatalf("pdftotext %s: %v", name, err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skipf("skipped: %v", err)
	}
	want := words(base)
	gs := []string{"gs", "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", "-sOutputFile={out}"}
	qpdf := []string{"qpdf", "--allow-weak-crypto"}
	made := 0
	for what, command := range map[string][]string{
		"gs 1.3": append(gs[:6:6], "-dCompatibilityLevel=1.3", "{in}"), "gs 1.5": append(gs[:6:6], "-dCompatibilityLevel=1.5", "{in}"),
		"gs 2.0": append(gs[:6:6], "-dCompatibilityLevel=2.0", "{in}"), "gs for screens": append(gs[:6:6], "-dPDFSETTINGS=/screen", "{in}"),
		"gs for printers": append(gs[:6:6], "-dPDFSETTINGS=/prepress", "{in}"), "cairo": {"pdftocairo", "-pdf", "{in}", "{out}"},
		"linear":                     append(qpdf[:2:2], "--linearize", "{in}", "{out}"),
		"object streams":             append(qpdf[:2:2], "--object-streams=generate", "{in}", "{out}"),
		"qdf":                        append(qpdf[:2:2], "--qdf", "{in}", "{out}"),
		"RC4 of 40":                  append(qpdf[:2:2], "--encrypt", "", "o", "40", "--", "{in}", "{out}"),
		"AES of 128":                 append(qpdf[:2:2], "--encrypt", "", "o", "128", "--use-aes=y", "--", "{in}", "{out}"),
		"AES of 256, linear, packed": append(qpdf[:2:2], "--encrypt", "", "o", "256", "--", "--linearize", "--object-streams=generate", "{in}", "{out}"),
		"turned":                     append(qpdf[:2:2], "--rotate=90:1", "{in}", "{out}"),
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s: skipped: %v", what, err)
			continue
		}
		name := filepath.Join(dir, strings.ReplaceAll(what, " ", "-")+".pdf")
		for i, a := range command {
			command[i] = strings.NewReplacer("{in}", base, "{out}", name).Replace(a)
		}
		if said, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", what, err, said)
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		made++
		out := must(t, b).out
		if err := os.WriteFile(name, out, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := words(name); got != want {
			t.Errorf("%s: the words are %q, want %q", what, got, want)
		}
	}
	if made == 0 {
		t.Skip("skipped: none of gs, pdftocairo and qpdf is installed")
	}
}
