package worker

import (
	"errors"
	"regexp"
	"slices"
	"testing"

	"sekisho/sanitize"
)

// TestWordsAreReadByTwo puts echo in the place of the program: what it was told
// comes in the order of the pages, by two runs where two may run.
func TestWordsAreReadByTwo(t *testing.T) {
	for _, k := range []struct {
		atOnce, of int
		want       []string
	}{
		{2, 21, []string{"-f 1 -l 10", "-f 11 -l 500"}}, {2, 8, []string{"-f 1 -l 4", "-f 5 -l 500"}},
		{2, 7, []string{"-f 1 -l 500"}}, {2, 0, []string{"-f 1 -l 500"}}, {1, 21, []string{"-f 1 -l 500"}},
	} {
		c, _ := ask(t, &Tools{Launcher: real, AtOnce: k.atOnce, Programs: map[string]string{"pdftotext": "/bin/echo"}})
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFWords, First: 1, Last: 500, Of: k.of}, []byte("x"))
		got := regexp.MustCompile(`-f \d+ -l \d+`).FindAllString(string(out), -1)
		if err != nil || !slices.Equal(got, k.want) {
			t.Errorf("%d pages, %d at once: %q, %v", k.of, k.atOnce, out, err)
		}
	}
	c, _ := ask(t, &Tools{Launcher: real, AtOnce: 2, Programs: map[string]string{"pdftotext": "/bin/false"}})
	if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFWords, First: 1, Last: 500, Of: 20}, []byte("x")); !errors.Is(err, sanitize.ErrTool) || len(out) > 0 {
		t.Errorf("%q, %v", out, err)
	}
}
