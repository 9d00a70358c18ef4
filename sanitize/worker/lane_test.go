package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// thief is the binary of testdata/thief.
func thief(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // the worker runs as nobody
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "thief"), "sekisho/sanitize/worker/testdata/thief")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "thief")
}

func withLanes(t testing.TB, binary string, n int) *Runner {
	t.Helper()
	s := &sandbox.Starter{Path: binary}
	r := &Runner{Binary: binary, Profile: sandbox.Worker(), Starter: s, Lanes: n}
	t.Cleanup(func() {
		r.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func text(subject string) []byte {
	return corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: subject, Text: "本文です。\n"}.Bytes()
}

func lanes(task sanitize.Task, tenant string) sanitize.Options {
	o := options(task)
	o.Lane = tenant
	return o
}

func output(t testing.TB, r *Runner, o sanitize.Options, in []byte) string {
	t.Helper()
	res, err := r.Run(t.Context(), o, message(t, in))
	if err != nil {
		t.Fatal(err)
	}
	if res.Output == nil {
		t.Fatalf("no output: %+v", res)
	}
	defer res.Output.Close()
	b, err := io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pids are the processes of a lane by their tenants.
func pids(r *Runner, l *lane) map[int]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := map[int]string{}
	for _, w := range l.workers {
		m[w.process.Pid()] = w.tenant
	}
	return m
}

func TestPlainTextStaysInTheLaneOfItsTenant(t *testing.T) {
	r := withLanes(t, real, 4)
	for i := range 3 {
		for _, tenant := range []string{"a", "b"} {
			out := output(t, r, lanes(sanitize.TaskMail, tenant), text("x"))
			if !strings.Contains(out, "Content-Type: text/plain") {
				t.Errorf("run %d of %s: %q", i, tenant, out)
			}
		}
	}
	got := pids(r, &r.treating)
	if len(got) != 2 {
		t.Errorf("processes %v, want one of each tenant", got)
	}
	if n := len(pids(r, &r.verifying)); n != 0 {
		t.Errorf("%d processes verify, nobody asked for that", n)
	}
}

// The lane's output must not differ from that of a process of its own.
func TestLaneWritesWhatAProcessOfItsOwnWrites(t *testing.T) {
	in := withLanes(t, real, 4)
	own := &Runner{Binary: real, Profile: sandbox.Worker()}
	for _, charset := range []string{"utf-8", "iso-2022-jp"} {
		m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "件名", Text: "①㈱髙﨑\n" + strings.Repeat("本文です。\n", 3000), Charset: charset}.Bytes()
		o := lanes(sanitize.TaskMail, "a")
		a, b := output(t, in, o, m), output(t, own, o, m)
		if a != b {
			t.Errorf("%s: %d octets in the lane, %d in a process of its own, which differ", charset, len(a), len(b))
		}
	}
	if len(pids(in, &in.treating)) != 1 {
		t.Error("the lane was not used")
	}
}

// What is more than plain text is declined, and goes to a process of its own.
func TestLaneDeclinesAllButPlainText(t *testing.T) {
	r := withLanes(t, real, 4)
	in := func(m corpus.Mail) []byte {
		m.From, m.To, m.Subject = "a@partner.example", "b@town.example.lg.jp", "x"
		return m.Bytes()
	}
	for _, c := range []struct {
		name string
		mail []byte
	}{
		{"HTML", in(corpus.Mail{Text: "<p>x</p>", HTML: true})},
		{"an attachment", in(corpus.Mail{Text: "x", Files: []corpus.Attachment{{Name: "a.txt", Media: "text/plain", Data: []byte("x")}}})},
		{"a document in text's clothes", []byte(strings.Replace(string(in(corpus.Mail{Text: "@@"})), "@@", "PK\x03\x04\x14\x00", 1))},
		{"a script", in(corpus.Mail{Text: "#!/bin/sh\nrm -rf /\n"})},
		{"doubt", []byte(strings.Replace(string(text("x")), "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Type: text/html\r\n", 1))},
		{"a file inside the text", in(corpus.Mail{Text: "x\n\nbegin 644 a.txt\n#:&D*\n`\nend\n"})},
	} {
		o := lanes(sanitize.TaskMail, "a")
		m := message(t, c.mail)
		if res, err := r.inLane(t.Context(), &r.treating, &o, m); err != errDeclined {
			t.Errorf("%s: result %+v, error %v, want %v", c.name, res, err, errDeclined)
		}
		if _, err := r.Run(t.Context(), o, m); err != nil {
			t.Errorf("%s: a process of its own: %v", c.name, err)
		}
	}
	if n := len(pids(r, &r.treating)); n != 1 {
		t.Errorf("%d processes are left; one that declines has done nothing wrong", n)
	}
	for name, change := range map[string]func(*sanitize.Options){
		"a second run":   func(o *sanitize.Options) { o.KeepAll = true },
		"a release":      func(o *sanitize.Options) { o.Only = []string{"1"} },
		"a preview":      func(o *sanitize.Options) { o.Preview = true },
		"no tenant":      func(o *sanitize.Options) { o.Lane = "" },
		"a file":         func(o *sanitize.Options) { o.Task = sanitize.TaskFile },
		"only detection": func(o *sanitize.Options) { o.Task = sanitize.TaskDetect },
	} {
		o := lanes(sanitize.TaskMail, "a")
		change(&o)
		if r.laneFor(&o, message(t, text("x"))) != nil {
			t.Errorf("%s may use the lane", name)
		}
	}
	o := lanes(sanitize.TaskMail, "a")
	if r.laneFor(&o, message(t, make([]byte, sanitize.MaxLaneMessage+1))) != nil {
		t.Error("a message over the limit may use the lane")
	}
}

// TestACapturedWorkerOfTheLaneHasOneTenantsMailOnly has every worker of the lane
// keep what it sees and give it out with the next message.
func TestACapturedWorkerOfTheLaneHasOneTenantsMailOnly(t *testing.T) {
	r := withLanes(t, thief(t), 3)
	tenants := []string{"a", "b", "c", "d", "e"}
	stolen := false
	var wg sync.WaitGroup
	var mu sync.Mutex
	for round := range 4 {
		for _, tenant := range tenants {
			wg.Go(func() {
				res, err := r.Run(t.Context(), lanes(sanitize.TaskMail, tenant), message(t, text("mail of "+tenant)))
				if err != nil || res.Output == nil {
					t.Errorf("%+v, %v", res, err)
					return
				}
				defer res.Output.Close()
				out, err := io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if strings.Count(string(out), "mail of "+tenant) > 1 {
					stolen = true
				}
				for _, other := range tenants {
					if other != tenant && strings.Contains(string(out), "mail of "+other) {
						t.Errorf("round %d: mail of %s in that of %s", round, other, tenant)
					}
				}
			})
			if round%2 == 0 {
				wg.Wait() // one after the other, and all at once
			}
		}
		wg.Wait()
		if n := len(pids(r, &r.treating)); n > 3 {
			t.Errorf("%d workers, more than 3", n)
		}
	}
	// Two of one tenant in a row show that the thief does steal.
	for range 2 {
		if strings.Count(output(t, r, lanes(sanitize.TaskMail, "a"), text("mail of a")), "mail of a") > 1 {
			stolen = true
		}
	}
	if !stolen {
		t.Error("the thief stole nothing, so this test shows nothing")
	}
}

// Whatever a worker of the lane does wrong, the message is treated in a process
// of its own, and the worker does not serve again.
func TestEveryLieInTheLaneEndsInAProcessOfItsOwn(t *testing.T) {
	r := withLanes(t, thief(t), 4)
	r.patience = time.Second
	var told []error
	r.LaneFailed = func(tenant string, err error) {
		if tenant != "a" {
			t.Errorf("tenant %q", tenant)
		}
		told = append(told, err)
	}
	for _, lie := range []string{"hang", "exit", "garbage", "long-frame", "declines-and-more", "digest", "more", "less", "huge", "negative",
		"holds", "refuses", "refuses-in-words", "keeps-back", "outcome"} {
		output(t, r, lanes(sanitize.TaskMail, "a"), text("honest"))
		before := pids(r, &r.treating)
		if len(before) != 1 {
			t.Fatalf("%s: before it %d workers", lie, len(before))
		}
		m := []byte("Subject: lane=" + lie + "\r\n\r\n")
		res, err := r.Run(t.Context(), lanes(sanitize.TaskMail, "a"), message(t, m))
		if err != nil || res.Output == nil {
			t.Errorf("%s: %+v, %v", lie, res, err)
			continue
		}
		b, err := io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size))
		res.Output.Close()
		if err != nil || string(b) != "a process of its own" {
			t.Errorf("%s: the output is %q, %v", lie, b, err)
		}
		if strings.HasSuffix(lie, "more") && len(pids(r, &r.treating)) != 0 {
			// What nobody asked for may come after the last look; then the
			// next message finds it.
			if got := output(t, r, lanes(sanitize.TaskMail, "a"), text("honest")); got != "a process of its own" {
				t.Errorf("%s: the next output is %q", lie, got)
			}
		}
		if after := pids(r, &r.treating); len(after) != 0 {
			t.Errorf("%s: the worker serves on", lie)
		}
		if len(told) != 1 {
			t.Errorf("%s: told of %v", lie, told)
		}
		told = nil
	}
	// A verifier that writes.
	if res, err := r.Run(t.Context(), lanes(sanitize.TaskVerifyMail, "a"), message(t, text("x"))); err != nil || res.Output != nil {
		t.Errorf("%+v, %v", res, err)
	}
	if n := len(pids(r, &r.verifying)); n != 0 {
		t.Error("a verifier that writes serves on")
	}
}

func TestAWorkerThatDeclinesServesOn(t *testing.T) {
	r := withLanes(t, thief(t), 4)
	output(t, r, lanes(sanitize.TaskMail, "a"), text("honest"))
	before := pids(r, &r.treating)
	if got := output(t, r, lanes(sanitize.TaskMail, "a"), []byte("Subject: lane=declines\r\n\r\n")); got != "a process of its own" {
		t.Errorf("%q", got)
	}
	if after := pids(r, &r.treating); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
}

func TestWorkersOfTheLaneAreRecycled(t *testing.T) {
	r := withLanes(t, real, 2)
	m := message(t, text("x"))
	run := func(tenant string) {
		t.Helper()
		res, err := r.Run(t.Context(), lanes(sanitize.TaskMail, tenant), m)
		if err != nil {
			t.Fatal(err)
		}
		res.Output.Close()
	}
	served := map[int]int{}
	for range laneMessages + 1 {
		run("a")
		for pid := range pids(r, &r.treating) {
			served[pid]++
		}
	}
	if len(served) != 2 {
		t.Errorf("%d processes for %d messages, want 2: %v", len(served), laneMessages+1, served)
	}

	// The least recently used one makes room.
	run("b")
	run("a")
	run("c")
	of := map[string]bool{}
	for _, tenant := range pids(r, &r.treating) {
		of[tenant] = true
	}
	if !of["a"] || !of["c"] || len(of) != 2 {
		t.Errorf("workers of %v, want a and c", of)
	}

	// One that waits too long goes.
	r.mu.Lock()
	waiting := append([]*laneWorker(nil), r.treating.workers...)
	r.mu.Unlock()
	for _, w := range waiting {
		r.stranded(&r.treating, w)
		select {
		case <-w.process.Done():
		case <-time.After(10 * time.Second):
			t.Error("it lives on")
		}
	}
	if n := len(pids(r, &r.treating)); n != 0 {
		t.Errorf("%d workers are left", n)
	}

	// One that died while it waited costs no message.
	run("a")
	r.mu.Lock()
	w := r.treating.workers[0]
	r.mu.Unlock()
	w.process.Kill()
	<-w.process.Done()
	run("a")
}

func TestCloseEndsTheLane(t *testing.T) {
	r := withLanes(t, real, 2)
	output(t, r, lanes(sanitize.TaskMail, "a"), text("x"))
	r.mu.Lock()
	w := r.treating.workers[0]
	r.mu.Unlock()
	r.Close()
	select {
	case <-w.process.Done():
	default:
		t.Error("it lives on")
	}
	output(t, r, lanes(sanitize.TaskMail, "a"), text("x"))
	if n := len(pids(r, &r.treating)); n != 0 {
		t.Errorf("%d workers after the end", n)
	}
}

func BenchmarkLane(b *testing.B) {
	r := withLanes(b, real, 4)
	in := message(b, text("x"))
	for b.Loop() {
		res, err := r.Run(b.Context(), lanes(sanitize.TaskMail, "a"), in)
		if err != nil {
			b.Fatal(err)
		}
		res.Output.Close()
	}
}
