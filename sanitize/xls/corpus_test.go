package xls

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/image"
)

func newSession(size int, change ...func(*sanitize.Options)) *sanitize.Session {
	o := &sanitize.Options{Task: sanitize.TaskFile, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassLegacyOffice: {Steps: []sanitize.Mode{sanitize.Rebuild}},
		sanitize.ClassImage:        {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range change {
		c(o)
	}
	return sanitize.NewSession(o, int64(size), detect.Detect, map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindXLS: Sanitizer{}, sanitize.KindPNG: image.PNG{}, sanitize.KindJPEG: image.JPEG{}, sanitize.KindBMP: image.Foreign{}, sanitize.KindTIFF: image.Foreign{},
		sanitize.KindGIF: image.Foreign{},
	})
}

// treat runs the sanitizer over a file and returns what it wrote and found.
func treat(t testing.TB, b []byte, change ...func(*sanitize.Options)) ([]byte, sanitize.Result, []sanitize.Finding, error) {
	t.Helper()
	s := newSession(len(b), change...)
	var out bytes.Buffer
	res, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	return out.Bytes(), res, s.Parts()[0].Findings, err
}

func shared() string {
	if s := os.Getenv("SEKISHO_SHARED"); s != "" {
		return s
	}
	return "../../../shared"
}

// TestCorpusIsStable treats every workbook there is twice: the second pass finds
// nothing and changes nothing.
func TestCorpusIsStable(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(), "corpus", "xls", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("no workbooks in %s/corpus/xls: none was treated", shared())
	}
	made := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		out, res, found, err := treat(t, b)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		made++
		var lines []string
		for _, x := range found {
			lines = append(lines, string(x.Action)+" "+x.Rule+" "+x.Where+" "+x.Detail)
		}
		t.Logf("%s: %s, %d -> %d octets\n\t%s", name, res.Outcome, len(b), len(out), strings.Join(lines, "\n\t"))
		again, res, found, err := treat(t, out)
		if err != nil || res.Outcome != sanitize.Clean {
			t.Errorf("%s: second pass: %s, %v, %v", name, res.Outcome, found, err)
		} else if !bytes.Equal(again, out) {
			t.Errorf("%s: second pass changes the output: %v", name, found)
		}
	}
	t.Logf("%d of %d were rebuilt", made, len(files))
}
