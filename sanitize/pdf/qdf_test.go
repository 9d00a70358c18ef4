package pdf

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// activeNames are the keys and names by which a PDF acts, or carries what does:
// a reader that finds one would run, fetch, send or unpack something.
var activeNames = regexp.MustCompile(`/(JS|JavaScript|AA|Launch|SubmitForm|ImportData|ResetForm|Hide|GoToR|GoToE|GoTo3DView|Thread|Trans|EmbeddedFiles?|EF|AF|XFA|RichMedia\w*|Movie|Sound|Screen|FileAttachment|3D\w*|Rendition|Renditions|OpenAction|FFilter|FDecodeParms|OPI|PieceInfo|Collection|SpiderInfo|DSS|Perms|URLS|IDS|PS|Ref)\b`)

// acting is the first key that acts in what qpdf laid open. Names are in their
// plain spelling there; what stands in streams is text of pages.
func acting(b []byte) string {
	for {
		dictionaries, rest, more := bytes.Cut(b, []byte("\nstream\n"))
		if k := activeNames.Find(dictionaries); k != nil {
			return string(k)
		}
		if !more {
			return ""
		}
		_, b, _ = bytes.Cut(rest, []byte("\nendstream"))
	}
}

// TestAnotherReaderFindsNoActiveKeyNeedsTools has qpdf, which is none of ours,
// lay open what was made of every active file, and of files by other programs'
// writers: object streams, linear, encrypted.
func TestAnotherReaderFindsNoActiveKeyNeedsTools(t *testing.T) {
	qpdf, err := exec.LookPath("qpdf")
	if err != nil {
		t.Skip("skipped: qpdf is not installed; scripts/deps.sh installs it")
	}
	dir := t.TempDir()
	open := func(name string, args ...string) []byte {
		t.Helper()
		b, err := exec.Command(qpdf, append(args, "--warning-exit-0", name, "-")...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("qpdf %v: %v: %s", args, err, exit.Stderr)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	seen := 0
	for _, c := range actives() {
		in := filepath.Join(dir, "in.pdf")
		if err := os.WriteFile(in, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if acting(open(in, "--qdf", "--object-streams=disable")) != "" {
			seen++
		}
		for name, args := range map[string][]string{"as it is": nil, "object streams": {"--object-streams=generate"}, "linear": {"--linearize"}} {
			file := c.file
			if args != nil {
				file = open(in, args...)
			}
			made := filepath.Join(dir, "made.pdf")
			if err := os.WriteFile(made, must(t, file).out, 0o600); err != nil {
				t.Fatal(err)
			}
			if k := acting(open(made, "--qdf", "--object-streams=disable")); k != "" {
				t.Errorf("%s, %s: %s came out", c.name, name, k)
			}
		}
	}
	// Whoever finds nothing in the cases proves nothing by finding nothing in
	// what was made of them.
	if n := len(actives()); seen < n/2 {
		t.Errorf("it finds something in %d of %d cases", seen, n)
	} else {
		t.Logf("a key that acts is found in %d of %d cases, and in nothing made of them", seen, n)
	}
}
