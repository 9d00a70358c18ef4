package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// TestWorkerOfATextStaysSmallNeedsNamespaces looks at what a worker occupies
// while it treats and verifies a text: under 24 MiB, whatever its size up to the
// largest message.
func TestWorkerOfATextStaysSmallNeedsNamespaces(t *testing.T) {
	const most = 24 << 20
	line := "これは大きな本文の一行です。 and some words of another kind\r\n"
	jis := "\x1b$B$3$l$OBg$-$JK\\J8$N0l9T$G$9!#\x1b(B and some words\r\n"
	head := "From: a@b.example\r\nSubject: x\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n"
	for _, c := range []struct {
		name, charset, encoding, line string
		size                          int
	}{
		{"a small text", "utf-8", "8bit", line, 4 << 10},
		{"1 MiB", "utf-8", "8bit", line, 1 << 20},
		{"20 MiB", "utf-8", "8bit", line, 20 << 20},
		{"20 MiB in ISO-2022-JP", "iso-2022-jp", "7bit", jis, 20 << 20},
		{"20 MiB in one line", "utf-8", "8bit", strings.Repeat("長", 1<<20), 20 << 20},
		{"20 MiB of quoted-printable", "utf-8", "quoted-printable", strings.Repeat("=E9=95=B7", 8) + "=\r\n", 20 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := fmt.Sprintf(head, c.charset, c.encoding) + strings.Repeat(c.line, c.size/len(c.line))
			r := &Runner{Binary: real, Profile: sandbox.Worker(), Time: time.Minute}
			peak := watch(t)
			res, err := r.Run(t.Context(), options(sanitize.TaskMail), message(t, []byte(b)))
			if err != nil {
				t.Fatal(err)
			}
			if res.Output == nil {
				t.Fatalf("no output: %s", res.Refusal)
			}
			defer res.Output.Close()
			treating := peak()
			if treating > most {
				t.Errorf("treating took %d KiB", treating>>10)
			}
			peak = watch(t)
			second, err := r.Run(t.Context(), options(sanitize.TaskVerifyMail), res.Output)
			if err != nil {
				t.Fatal(err)
			}
			if second.Output != nil {
				second.Output.Close()
			}
			verifying := peak()
			if verifying > most {
				t.Errorf("verifying took %d KiB", verifying>>10)
			}
			if c.size > 10<<20 && (treating == 0 || verifying == 0) {
				t.Error("the worker was not seen")
			}
			t.Logf("PSS at most %d KiB treating, %d KiB verifying", treating>>10, verifying>>10)
		})
	}
}

// watch looks at the children of this process until it is asked for the most
// that one of them occupied.
func watch(t *testing.T) func() int64 {
	t.Helper()
	stop, done := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			select {
			case <-stop:
				done <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
			all, err := filepath.Glob("/proc/[0-9]*")
			if err != nil {
				continue
			}
			for _, dir := range all {
				if ours(dir) {
					most = max(most, proportional(dir))
				}
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-done
	}
}

// ours reports whether a process is a worker below this one.
func ours(dir string) bool {
	cmd, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil || !strings.Contains(string(cmd), "--confine=") {
		return false
	}
	for range 5 {
		b, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			return false
		}
		_, rest, _ := strings.Cut(string(b), "\nPPid:\t")
		parent, _, _ := strings.Cut(rest, "\n")
		switch parent {
		case "", "0", "1":
			return false
		case strconv.Itoa(os.Getpid()):
			return true
		}
		dir = "/proc/" + parent
	}
	return false
}

// proportional is the proportional set size of a process, 0 when it is gone.
func proportional(dir string) int64 {
	b, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		return 0
	}
	for _, l := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(l, "Pss:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(v, "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// Programs of one document keep what they free, but for those that live for more
// or have many threads.
func TestProgramsKeepTheirMemory(t *testing.T) {
	tools := &Tools{}
	for name, c := range map[string]sanitize.ToolCall{
		"qpdf": {Tool: sanitize.QPDFCheck}, "pdftocairo": {Tool: sanitize.PDFGreys, First: 1, Last: 1, DPI: 150},
	} {
		p, ok := programOf(c)
		if x := tools.sandboxed(p, time.Second); !ok || !slices.Contains(x.Env, hoard) {
			t.Errorf("%s: %q", name, x.Env)
		}
	}
	if x := tools.sandboxed(officeWaiting(), time.Second); slices.Contains(x.Env, hoard) {
		t.Errorf("LibreOffice: %q", x.Env)
	}
}
