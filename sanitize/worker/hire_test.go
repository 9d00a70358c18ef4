package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// withSpares is a runner as the daemon has it, with its spares waiting.
func withSpares(t testing.TB, binary string, n int) *Runner {
	t.Helper()
	s := &sandbox.Starter{Path: binary}
	r := &Runner{Binary: binary, Profile: sandbox.Worker(), Starter: s, Spares: n}
	t.Cleanup(func() {
		r.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if h := r.take(message(t, nil)); h != nil {
		t.Fatal("a runner nobody used has a spare")
	}
	spares(t, r, n)
	return r
}

// spares waits until n of them wait, and returns them.
func spares(t testing.TB, r *Runner, n int) []*hired {
	t.Helper()
	for range 1000 {
		r.mu.Lock()
		w := append([]*hired(nil), r.waiting...)
		r.mu.Unlock()
		if len(w) == n {
			return w
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d spares do not come", n)
	return nil
}

func gone(h *hired) bool {
	select {
	case <-h.process.Done():
		return true
	default:
		return false
	}
}

func TestASpareServesOneMessageAndDies(t *testing.T) {
	r := withSpares(t, real, 2)
	in := message(t, mail("honest"))
	served := map[int]bool{}
	for i := range 6 {
		before := spares(t, r, 2)
		res, err := r.Run(t.Context(), options(sanitize.TaskMail), in)
		if err != nil || res.Output == nil {
			t.Fatalf("run %d: %+v, %v", i, res, err)
		}
		res.Output.Close()
		if !gone(before[0]) {
			t.Errorf("run %d: the spare that had waited longest still lives", i)
		}
		if gone(before[1]) {
			t.Errorf("run %d: the other spare has died", i)
		}
		pid := before[0].process.Pid()
		if served[pid] {
			t.Errorf("run %d: process %d served before", i, pid)
		}
		served[pid] = true
	}
}

// What a captured worker may do must not depend on how it was started.
func TestEveryLieOfASpareIsAnError(t *testing.T) {
	r := withSpares(t, liar, 2)
	for _, lie := range []string{"crash", "forbidden", "silent", "garbage", "long-frame", "two-frames", "digest", "more", "flip", "input", "outcome", "flood"} {
		before := spares(t, r, 2)[0]
		whole := mail("lie=" + lie)
		in := message(t, whole)
		res, err := r.Run(t.Context(), options(sanitize.TaskMail), in)
		if err == nil || res != nil {
			t.Errorf("%s: result %+v, error %v", lie, res, err)
		}
		if errors.Is(err, errLost) || !gone(before) {
			t.Errorf("%s: the spare was not the one that lied: %v", lie, err)
		}
		if b, err := io.ReadAll(io.NewSectionReader(in, 0, 1<<40)); err != nil || string(b) != string(whole) {
			t.Errorf("%s: the message has changed: %v", lie, err)
		}
	}
}

func TestASpareKeepsTheTimeOfItsRun(t *testing.T) {
	r := withSpares(t, liar, 1)
	r.Time = time.Second
	start := time.Now()
	if res, err := r.Run(t.Context(), options(sanitize.TaskMail), message(t, mail("lie=hang"))); err == nil {
		t.Errorf("result %+v", res)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A spare that the kernel or an operator killed says nothing about a message.
func TestSparesThatDiedCostNoMessage(t *testing.T) {
	r := withSpares(t, real, 2)
	for _, h := range spares(t, r, 2) {
		h.process.Kill()
		<-h.process.Done()
	}
	if res, err := r.Run(t.Context(), options(sanitize.TaskVerifyMail), message(t, mail("x"))); err != nil || res == nil {
		t.Errorf("result %+v, error %v", res, err)
	}
	// One that died between the look and the options.
	h := spares(t, r, 2)[0]
	h.process.Kill()
	<-h.process.Done()
	o := options(sanitize.TaskMail)
	if res, err := r.serve(t.Context(), h, &o, &patience{}); !errors.Is(err, errLost) || res != nil {
		t.Errorf("result %+v, error %v, want %v", res, err, errLost)
	}
}

func TestASpareNobodyWantsEnds(t *testing.T) {
	r := withSpares(t, real, 1)
	h := spares(t, r, 1)[0]
	r.tired(h)
	<-h.process.Done()
	spares(t, r, 0)
}

func TestLargeMessagesStartTheirOwnWorker(t *testing.T) {
	r := withSpares(t, real, 1)
	if h := r.take(message(t, make([]byte, maxSpare+1))); h != nil {
		t.Error("it was copied for a spare")
	}
	if h := r.take(message(t, make([]byte, maxSpare))); h == nil {
		t.Error("one of the largest size did not go to a spare")
	} else {
		h.dismiss()
		h.output.Close()
	}
}

func TestCloseEndsSparesAndGivesDescriptorsBack(t *testing.T) {
	count := func() int {
		es, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(es)
	}
	s := &sandbox.Starter{Path: real}
	defer s.Close()
	r := &Runner{Binary: real, Profile: sandbox.Worker(), Starter: s, Spares: 3}
	in := message(t, mail("honest"))
	run := func() {
		t.Helper()
		res, err := r.Run(t.Context(), options(sanitize.TaskVerifyMail), in)
		if err != nil || res.Output != nil {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	// The first run starts the process that forks, whose socket stays.
	r.closed = true
	run()
	before := count()
	r.closed = false
	run()
	waiting := spares(t, r, 3)
	r.Close()
	for _, h := range waiting {
		if !gone(h) {
			t.Error("a spare lives on")
		}
	}
	for i := 0; count() > before; i++ {
		if i == 100 {
			t.Fatalf("%d descriptors are open, %d were", count(), before)
		}
		time.Sleep(20 * time.Millisecond)
	}
	run()
	spares(t, r, 0)
}

func BenchmarkRun(b *testing.B) {
	starter := &sandbox.Starter{Path: real}
	defer starter.Close()
	in, o := message(b, mail("honest")), options(sanitize.TaskMail)
	for _, c := range []struct {
		name string
		r    *Runner
	}{
		{"forked here", &Runner{Binary: real, Profile: sandbox.Worker()}},
		{"starter", &Runner{Binary: real, Profile: sandbox.Worker(), Starter: starter}},
		{"spare", &Runner{Binary: real, Profile: sandbox.Worker(), Starter: starter, Spares: 2}},
	} {
		b.Run(c.name, func(b *testing.B) {
			defer c.r.Close()
			var cpu time.Duration
			for b.Loop() {
				res, err := c.r.Run(b.Context(), o, in)
				if err != nil {
					b.Fatal(err)
				}
				res.Output.Close()
				cpu += res.State.User + res.State.System
			}
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "worker-cpu-us/op")
		})
	}
}

// BenchmarkOwnProcess is a mail of 4 KiB of HTML in processes of its own: CPU
// time of the worker, of the one that verifies, and of the same work without
// any process.
func BenchmarkOwnProcess(b *testing.B) {
	starter, err := sandbox.OpenStarter(b.Context(), real, sandbox.Worker())
	if err != nil {
		b.Fatal(err)
	}
	defer starter.Close()
	r := &Runner{Binary: real, Profile: sandbox.Worker(), Starter: starter, Spares: 2}
	defer r.Close()
	var m strings.Builder
	for m.Len() < 4000 {
		m.WriteString("<p>the report shows that deliveries were delayed お世話になっております。</p>\r\n")
	}
	html := []byte("From: a@partner.example\r\nTo: b@town.example.lg.jp\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 10:00:00 +0900\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body>" + m.String() + "</body></html>\r\n")
	head := []byte("From: a@partner.example\r\nTo: b@town.example.lg.jp\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 10:00:00 +0900\r\n")
	var treat, verify time.Duration
	in := message(b, html)
	for b.Loop() {
		res, err := r.Run(b.Context(), options(sanitize.TaskMail), in)
		if err != nil || res.Output == nil {
			b.Fatal(err, res)
		}
		treat += res.State.User + res.State.System
		out, err := io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size))
		res.Output.Close()
		if err != nil {
			b.Fatal(err)
		}
		composed, err := NewMessage("message", 0)
		if err == nil {
			_, err = composed.Write(append(head[:len(head):len(head)], out...))
		}
		if err == nil {
			err = composed.Seal()
		}
		if err != nil {
			b.Fatal(err)
		}
		res, err = r.Run(b.Context(), options(sanitize.TaskVerifyMail), composed)
		composed.Close()
		if err != nil || res.Report.Outcome != sanitize.Clean {
			b.Fatal(err, res)
		}
		verify += res.State.User + res.State.System
	}
	b.ReportMetric(float64(treat.Microseconds())/float64(b.N), "treat-cpu-us/op")
	b.ReportMetric(float64(verify.Microseconds())/float64(b.N), "verify-cpu-us/op")
}

// A worker lives for one message, so whatever a package prepares when the
// program starts is paid for by every mail. Tables of literals are small;
// compiled expressions are not, and once were half of what a text mail cost.
func TestNoPackageOfTheWorkerPreparesMuch(t *testing.T) {
	const most = 40_000 // octets; the largest today has 30,000
	cmd := exec.Command(real)
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != sandbox.ExitUnconfined {
		t.Fatalf("started by hand it ended with %v: %s", err, out)
	}
	seen := 0
	for l := range strings.Lines(string(out)) {
		// init internal/bytealg @0.008 ms, 0 ms clock, 0 bytes, 0 allocs
		var name, at string
		var clock float64
		var octets int
		if n, _ := fmt.Sscanf(l, "init %s @%s ms, %f ms clock, %d bytes,", &name, &at, &clock, &octets); n != 4 {
			continue
		}
		seen++
		if strings.HasPrefix(name, "sekisho/") && octets > most {
			t.Errorf("%s allocates %d octets when it is initialised: make it at first use (internal/lazy, sync.OnceValue)", name, octets)
		}
	}
	if seen < 10 {
		t.Errorf("%d packages are listed:\n%s", seen, out)
	}
}
