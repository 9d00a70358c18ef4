package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/corpus"
	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// The binaries under test: the real worker, and one that lies as the subject of
// the message tells it.
var real, liar string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sekisho-worker-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // the worker runs as nobody
	}
	if err == nil {
		cmd := exec.Command("go", "build", "-trimpath", "-o", dir, "sekisho/cmd/sekisho-sanitizer", "sekisho/sanitize/worker/testdata/liar")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	real, liar = filepath.Join(dir, "sekisho-sanitizer"), filepath.Join(dir, "liar")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func options(task sanitize.Task) sanitize.Options {
	rebuild := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	return sanitize.Options{
		Task: task, ID: "06h0z84tyyvra2v20cafvn1qph0k1a9a5rf0", PartID: "06h0z85xdj5r8ypfgccr1f7pmvpysq1atn7g",
		Now: time.Now(), Expires: time.Now().Add(time.Hour), Language: "ja", Limits: sanitize.DefaultLimits(),
		Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassText: rebuild, sanitize.ClassMessage: rebuild, sanitize.ClassOffice: rebuild, sanitize.ClassHTML: rebuild},
	}
}

// message makes a sealed message, as the pipeline hands it over.
func message(t testing.TB, b []byte) *Message {
	t.Helper()
	f, err := NewMessage("message", int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Seal(); err != nil {
		t.Fatal(err)
	}
	return f
}

func mail(subject string) []byte {
	return corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: subject, Text: "body",
		Files: []corpus.Attachment{{Name: "a.docm", Media: "application/octet-stream", Data: corpus.Word("text", true)}}}.Bytes()
}

func TestResultIsOneSealedCopyWithItsDigest(t *testing.T) {
	r := Runner{Binary: real, Profile: sandbox.Worker()}
	in := message(t, mail("honest"))
	res, err := r.Run(t.Context(), options(sanitize.TaskMail), in)
	if err != nil {
		t.Fatal(err)
	}
	if res.Output == nil || res.Report.Outcome != sanitize.Disarmed || res.Refusal != "" {
		t.Fatalf("result %+v, report %+v", res, res.Report)
	}
	defer res.Output.Close()
	b, err := io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size))
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != res.Size || sha256.Sum256(b) != res.Digest {
		t.Errorf("size %d and digest do not fit the %d octets of the output", res.Size, len(b))
	}
	if strings.Contains(string(b), corpus.Macro) {
		t.Error("the macro is in the output")
	}
	if _, err := res.Output.Write([]byte("X")); err == nil {
		t.Error("the output can be written to")
	}
	unchangeable(t, res.Output.file)
}

func unchangeable(t *testing.T, f *os.File) {
	t.Helper()
	if _, err := f.WriteAt([]byte("X"), 0); err == nil {
		t.Error("the file can be written to")
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{st.Size() - 1, st.Size() + 1} {
		if n >= 0 && f.Truncate(n) == nil {
			t.Errorf("the file of %d octets becomes one of %d", st.Size(), n)
		}
	}
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SEAL == 0 {
		t.Errorf("seals %x, %v", seals, err)
	}
}

// TestEveryLieOfAWorkerIsAnError lists what a captured worker may do with its
// descriptors and its time. Each must end as an error, with nothing in hand.
func TestEveryLieOfAWorkerIsAnError(t *testing.T) {
	quick := sandbox.Worker()
	quick.CPU = time.Second
	small := sandbox.Worker()
	small.Memory, small.GoMemory = 256<<20, 128<<20
	for _, c := range []struct {
		lie  string
		want error // nil: any
		text string
		most time.Duration   // zero: RunTime
		p    sandbox.Profile // zero: Worker
	}{
		{lie: "crash", text: "exit status"},
		{lie: "forbidden", want: sandbox.ErrForbidden},
		{lie: "status", text: "exit status 3"},
		{lie: "silent", want: ErrNoAnswer},
		{lie: "garbage", want: ErrNoAnswer},
		{lie: "long-frame", want: ErrNoAnswer},
		{lie: "short-frame", want: ErrNoAnswer},
		{lie: "two-frames", want: ErrNoAnswer},
		{lie: "unknown-field", want: ErrNoAnswer},
		{lie: "digest", want: ErrLied},
		{lie: "more", want: ErrLied},
		{lie: "flip", want: ErrLied},
		{lie: "input", text: "exit status 4"},
		{lie: "outcome", want: ErrLied},
		{lie: "outcome-9", want: ErrLied},
		{lie: "fate", want: ErrLied},
		{lie: "flood", want: ErrNoAnswer},
		{lie: "hang", want: context.DeadlineExceeded, most: 2 * time.Second},
		{lie: "spin", want: sandbox.ErrCPU, p: quick},
		{lie: "memory", p: small},
	} {
		t.Run(c.lie, func(t *testing.T) {
			t.Parallel()
			r := Runner{Binary: liar, Profile: c.p, Time: c.most}
			if r.Profile == (sandbox.Profile{}) {
				r.Profile = sandbox.Worker()
			}
			whole := mail("lie=" + c.lie)
			in := message(t, whole)
			res, err := r.Run(t.Context(), options(sanitize.TaskMail), in)
			if err == nil || res != nil {
				t.Fatalf("result %+v, error %v", res, err)
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %q, want %q in it", err, c.text)
			}
			// The message is as it was, whatever the worker tried.
			b, err := io.ReadAll(io.NewSectionReader(in, 0, 1<<40))
			if err != nil || string(b) != string(whole) {
				t.Errorf("the message has changed: %v", err)
			}
		})
	}
}

func TestTaskThatWritesNothingMayWriteNothing(t *testing.T) {
	r := Runner{Binary: liar, Profile: sandbox.Worker()}
	if res, err := r.Run(t.Context(), options(sanitize.TaskVerifyMail), message(t, mail("lie=verify-clean"))); !errors.Is(err, ErrLied) {
		t.Errorf("result %+v, error %v, want %v", res, err, ErrLied)
	}
}

func TestRefusalAndHoldGiveNoOutput(t *testing.T) {
	r := Runner{Binary: real, Profile: sandbox.Worker()}
	twice := strings.Replace(string(mail("x")), "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Type: text/html\r\n", 1)
	res, err := r.Run(t.Context(), options(sanitize.TaskMail), message(t, []byte(twice)))
	if err != nil {
		t.Fatal(err)
	}
	if res.Output != nil || len(res.Report.Holds) == 0 {
		t.Errorf("two Content-Type fields: output %v, holds %v", res.Output, res.Report.Holds)
	}
	o := options(sanitize.TaskFile)
	o.FileName = "a.xdw"
	if res, err = r.Run(t.Context(), o, message(t, corpus.DocuWorks())); err != nil {
		t.Fatal(err)
	}
	if res.Output != nil || res.Refusal == "" {
		t.Errorf("a DocuWorks document: output %v, refusal %q", res.Output, res.Refusal)
	}
}

// The class of a part follows from its kind: a worker that calls a program a
// text would otherwise keep it from holding its mail.
func TestClassIsNotTheWorkersToSay(t *testing.T) {
	rep := &sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{{Path: "2", Kind: sanitize.KindExecutable, Class: sanitize.ClassText, Outcome: sanitize.Refused}}}
	if err := checkReport(rep); err != nil {
		t.Fatal(err)
	}
	if rep.Parts[0].Class != sanitize.ClassExecutable {
		t.Errorf("class %q", rep.Parts[0].Class)
	}
}

func TestReportsWithForeignNumbersAreRefused(t *testing.T) {
	good := sanitize.Part{Outcome: sanitize.Clean, Fate: sanitize.Delivered, Mode: sanitize.Rebuild}
	for _, c := range []struct {
		name string
		rep  sanitize.Report
		ok   bool
	}{
		{"a good one", sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{good}}, true},
		{"no outcome", sanitize.Report{}, false},
		{"an outcome of another version", sanitize.Report{Outcome: sanitize.Refused + 1}, false},
		{"a part without an outcome", sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{{}}}, false},
		{"a fate that is none", sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{{Outcome: sanitize.Clean, Fate: sanitize.Dropped + 1}}}, false},
		{"a mode that is none", sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{{Outcome: sanitize.Clean, Mode: sanitize.Text + 1}}}, false},
		{"more parts than a message can have", sanitize.Report{Outcome: sanitize.Clean, Parts: make([]sanitize.Part, 20001)}, false},
	} {
		if err := checkReport(&c.rep); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWhatADeadWorkerSaidIsFitForALogLine(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"", ""},
		{"\n\x00\x1b[31m \n", " ([31m)"},
		{"panic: x\ngoroutine 1", " (panic: x goroutine 1)"},
		{"日本", ""},
		{strings.Repeat("a", 600), " (" + strings.Repeat("a", 500) + ")"},
	} {
		if got := printable(c.said); got != c.want {
			t.Errorf("%q: %q, want %q", c.said, got, c.want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	r := Runner{Binary: liar, Profile: sandbox.Worker()}
	start := time.Now()
	if _, err := r.Run(ctx, options(sanitize.TaskMail), message(t, mail("lie=hang"))); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestBinaryThatIsNotThereIsAnError(t *testing.T) {
	r := Runner{Binary: filepath.Join(t.TempDir(), "nothing"), Profile: sandbox.Worker()}
	if res, err := r.Run(t.Context(), options(sanitize.TaskMail), message(t, mail("x"))); err == nil {
		t.Errorf("result %+v", res)
	}
	if res, err := (&Runner{Binary: real}).Run(t.Context(), options(sanitize.TaskMail), message(t, mail("x"))); err == nil {
		t.Errorf("a profile without limits: result %+v", res)
	}
}

// TestDescriptorsAreGivenBack runs many at once, good and bad, and counts.
func TestDescriptorsAreGivenBack(t *testing.T) {
	count := func() int {
		es, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(es)
	}
	run := func(subject string) {
		f, err := NewMessage("message", 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := f.Write(mail(subject)); err != nil {
			t.Error(err)
		}
		if err := f.Seal(); err != nil {
			t.Error(err)
		}
		res, err := (&Runner{Binary: liar, Profile: sandbox.Worker()}).Run(context.Background(), options(sanitize.TaskMail), f)
		if err == nil && res.Output != nil {
			res.Output.Close()
		}
	}
	run("honest")
	before := count()
	var wg sync.WaitGroup
	for _, s := range []string{"honest", "lie=crash", "lie=digest", "lie=silent", "honest", "lie=garbage"} {
		wg.Go(func() { run(s) })
	}
	wg.Wait()
	// The other end of a process's pipes may take a moment to be reaped.
	for range 50 {
		if count() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d descriptors are open, %d were", count(), before)
}
