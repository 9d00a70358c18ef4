package worker

import (
	"errors"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

// TestWhatEitherFindsUnfitIsUnfit puts programs in the places of the two that
// look at a rebuilt PDF.
func TestWhatEitherFindsUnfitIsUnfit(t *testing.T) {
	for _, k := range []struct {
		qpdf, pdftoppm string
		atOnce         int
		want           error
	}{
		{"/bin/true", "/bin/true", 2, nil}, {"/bin/true", "/bin/true", 1, nil},
		{"/bin/false", "/bin/true", 2, sanitize.ErrTool}, {"/bin/false", "/bin/true", 1, sanitize.ErrTool},
		{"/bin/true", "/bin/false", 2, sanitize.ErrTool}, {"/bin/true", "/bin/false", 1, sanitize.ErrTool},
		{"/usr/bin/no-such-program", "/bin/true", 2, sanitize.ErrNoTool}, {"/bin/true", "/usr/bin/no-such-program", 1, sanitize.ErrNoTool},
	} {
		c, _ := ask(t, &Tools{Launcher: real, AtOnce: k.atOnce, Programs: map[string]string{"qpdf": k.qpdf, "pdftoppm": k.pdftoppm}})
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFLook, First: 1, Last: 1, DPI: 36}, []byte("x"))
		if !errors.Is(err, k.want) || len(out) > 0 {
			t.Errorf("%s and %s, %d at once: %q, %v", k.qpdf, k.pdftoppm, k.atOnce, out, err)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	c, _ := ask(b, realTools(b, "/usr/bin/qpdf", "/usr/bin/pdftoppm"))
	pdf := corpus.PDF()
	for n := 0; b.Loop(); n++ {
		if n%toolLooks == 0 {
			c, _ = ask(b, realTools(b))
		}
		if _, err := call(b, c, sanitize.ToolCall{Tool: sanitize.PDFLook, First: 1, Last: 1, DPI: 36}, pdf); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhoOnlyLooksGetsNoTools: verify and detection treat nothing, and a
// captured one could ask for much.
func TestWhoOnlyLooksGetsNoTools(t *testing.T) {
	r := Runner{Tools: &Tools{}}
	for _, task := range []sanitize.Task{sanitize.TaskMail, sanitize.TaskFile} {
		if r.toolsFor(task) != r.Tools {
			t.Errorf("task %d gets no tools", task)
		}
	}
	for _, task := range []sanitize.Task{0, sanitize.TaskVerifyMail, sanitize.TaskVerifyFile, sanitize.TaskDetect, 99} {
		if !r.toolsFor(task).none {
			t.Errorf("task %d gets tools", task)
		}
	}
	if !(&Runner{}).toolsFor(sanitize.TaskMail).none {
		t.Error("a runner without tools hands out some")
	}
}
