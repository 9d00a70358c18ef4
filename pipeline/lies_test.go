package pipeline_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/blob/dir"
	"sekisho/internal/corpus"
	"sekisho/internal/sandbox"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
	"sekisho/pipeline"
	"sekisho/policy"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
	"sekisho/spool"
)

// liar is a worker that behaves as the subject tells it; see its source in
// sanitize/worker/testdata.
var liar string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "sekisho-liar-")
	if err == nil {
		err = os.Chmod(folder, 0o755) // the worker runs as nobody
	}
	if err == nil {
		cmd := exec.Command("go", "build", "-trimpath", "-o", folder, "sekisho/sanitize/worker/testdata/liar")
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
	liar = filepath.Join(folder, "liar")
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// room is a pipeline over a real journal, real bytes and real processes.
type room struct {
	*pipeline.Pipeline
	spool  *spool.Spool
	signer *seal.Signer

	mu     sync.Mutex
	alarms []string
	runs   []pipeline.Run
}

func newRoom(t *testing.T) *room {
	t.Helper()
	folder := t.TempDir()
	r := &room{}
	var err error
	if r.signer, err = seal.NewSigner(seal.NewSeed()); err != nil {
		t.Fatal(err)
	}
	journal, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "j.db"), Seal: r.signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	keys, err := blob.OpenKeyring(t.Context(), filepath.Join(folder, "site.key"), journal)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	r.spool = &spool.Spool{Journal: journal, Blobs: blobs, Keys: keys, Seal: r.signer, Log: log, MinFree: 1 << 20}
	table, err := routing.New([]routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{"127.0.0.1:1"}}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}}, []string{"lg.jp"}, nil, []string{"town.example"})
	if err != nil {
		t.Fatal(err)
	}
	rebuild := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	rules := &policy.Rules{Limits: sanitize.DefaultLimits(), Profiles: map[envelope.ProfileID]policy.Profile{"default": {
		Name: "default", Language: "ja", HoldMessage: map[sanitize.Class]bool{sanitize.ClassExecutable: true},
		Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassText: rebuild, sanitize.ClassMessage: rebuild, sanitize.ClassOffice: rebuild},
	}}}
	r.Pipeline = &pipeline.Pipeline{
		Spool: r.spool, Examiner: &worker.Runner{Binary: liar, Profile: sandbox.Worker(), Time: 20 * time.Second},
		Rules: func() *policy.Rules { return rules }, Table: func() *routing.Table { return table },
		Hostname: "mx.town.example", Retention: hour, Originals: hour, Log: log, Now: time.Now, Workers: 2,
		Alarm: func(kind string, _ envelope.ID) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.alarms = append(r.alarms, kind)
		},
		Examined: func(run pipeline.Run) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.runs = append(r.runs, run)
		},
	}
	return r
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// marker begins a file that must not arrive; a multiple of three octets, so
// that its base64 is known.
const marker = "UNTREATED-MARKER!!"

func lie(subject string, files ...corpus.Attachment) []byte {
	files = append([]corpus.Attachment{{Name: "a.bin", Media: "application/octet-stream", Data: append([]byte(marker), 0, 1, 2, 255)}}, files...)
	return corpus.Mail{From: "a@partner.example", To: "b@town.example", Subject: "x " + subject, Text: "body text", Files: files}.Bytes()
}

// accept takes a message in.
func (r *room) accept(t *testing.T, b []byte, change func(*envelope.Envelope)) envelope.ID {
	t.Helper()
	d, err := r.spool.NewDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(b); err != nil {
		t.Fatal(err)
	}
	e := envelope.Envelope{ID: envelope.NewID(time.Now()), Tenant: "town", Profile: "default", Zone: envelope.Internet, Treatment: envelope.Rebuild,
		From: envelope.Address{Local: "a", Domain: "partner.example"}, To: []envelope.Address{{Local: "b", Domain: "town.example"}}, Received: time.Now()}
	if change != nil {
		change(&e)
	}
	if err := r.spool.Accept(t.Context(), d, []envelope.Envelope{e}); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

// settle runs the pipeline until nothing is in state Received.
func (r *room) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		es, err := r.spool.List(ctx, spool.Filter{State: spool.Received})
		if err != nil {
			t.Fatal(err)
		}
		if len(es) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d entries are still received", len(es))
		}
	}
}

func (r *room) entry(t *testing.T, id envelope.ID) spool.Entry {
	t.Helper()
	e, err := r.spool.Get(t.Context(), "town", id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// queued reads what would be sent and proves it against the seal, as delivery
// does.
func (r *room) queued(t *testing.T, e spool.Entry) string {
	t.Helper()
	f, err := r.spool.Open(t.Context(), e.Envelope.Tenant, e.Sanitized)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func untreated(s string) bool {
	return strings.Contains(s, marker) || strings.Contains(s, base64.StdEncoding.EncodeToString([]byte(marker))) || strings.Contains(s, corpus.Macro)
}

// TestLieCostsTheAttachmentAndNotTheMail tells each lie in the first run only:
// the second, fresh one keeps every attachment back, and the body arrives with
// its notice.
func TestLieCostsTheAttachmentAndNotTheMail(t *testing.T) {
	lies := []string{"crash", "forbidden", "status", "silent", "garbage", "digest", "more", "flip", "clean", "outcome", "fate", "fields", "author", "no-header",
		"twice", "bare", "nothing", "verify-crash", "verify-silent", "verify-clean", "verify-outcome"}
	r := newRoom(t)
	ids := map[string]envelope.ID{}
	for _, l := range lies {
		ids[l] = r.accept(t, lie("lie="+l), nil)
	}
	r.settle(t)
	for _, l := range lies {
		e := r.entry(t, ids[l])
		if e.State != spool.Queued {
			t.Errorf("%s: state %s, verdict %+v", l, e.State, e.Verdict)
			continue
		}
		text := r.queued(t, e)
		if untreated(text) {
			t.Errorf("%s: untreated octets would be sent\n%s", l, text)
		}
		if !strings.Contains(text, "body text") || !strings.Contains(text, string(e.Envelope.ID)) {
			t.Errorf("%s: the body is missing\n%s", l, text)
		}
		parts, err := r.spool.List(t.Context(), spool.Filter{Parent: e.Envelope.ID})
		if err != nil || len(parts) != 1 || parts[0].State != spool.Held || !slices.Equal(parts[0].Part, []string{"2"}) {
			t.Errorf("%s: entries of parts %+v, %v", l, parts, err)
		}
	}
}

// TestLieToldTwiceHoldsTheMail: after a second failed run the message waits.
func TestLieToldTwiceHoldsTheMail(t *testing.T) {
	lies := []string{"crash", "forbidden", "silent", "garbage", "digest", "flip", "clean", "outcome", "fields", "author", "no-header", "twice", "bare", "nothing",
		"verify-crash", "verify-outcome", "verify-clean"}
	r := newRoom(t)
	ids := map[string]envelope.ID{}
	for _, l := range lies {
		ids[l] = r.accept(t, lie("lie="+l+"-always"), nil)
	}
	r.settle(t)
	for _, l := range lies {
		e := r.entry(t, ids[l])
		if e.State != spool.Held || e.Verdict.Class != sanitize.ClassFailed || e.Verdict.Rule != "worker" || len(e.Verdict.Reasons) == 0 {
			t.Errorf("%s: state %s, verdict %+v", l, e.State, e.Verdict)
		}
		if !e.Sanitized.IsZero() || len(e.Seal) > 0 {
			t.Errorf("%s: bytes to send %v, a seal of %d octets", l, e.Sanitized, len(e.Seal))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.runs) != len(lies) {
		t.Errorf("%d runs were counted, want %d", len(r.runs), len(lies))
	}
	for _, run := range r.runs {
		if !run.Failed || run.Action != policy.Hold {
			t.Errorf("counted as %+v", run)
		}
	}
}

// TestLieOfTheLaneCostsNothing: a worker of the text lane that a message has
// captured can answer what it likes; the message is treated by one of its own.
func TestLieOfTheLaneCostsNothing(t *testing.T) {
	lies := []string{"crash", "author", "garbage", "digest", "size", "negative", "more", "early", "kept", "holds", "outcome", "clean", "nothing",
		"verify-clean", "verify-nothing", "verify-crash"}
	r := newRoom(t)
	lane := &worker.Runner{Binary: liar, Profile: sandbox.Worker(), Time: 20 * time.Second, Lanes: 2}
	defer lane.Close()
	r.Examiner = lane
	ids := map[string]envelope.ID{}
	for _, l := range lies {
		ids[l] = r.accept(t, lie("lie=lane-"+l), nil)
	}
	r.settle(t)
	for _, l := range lies {
		e := r.entry(t, ids[l])
		if e.State != spool.Queued {
			t.Errorf("%s: state %s, verdict %+v", l, e.State, e.Verdict)
			continue
		}
		if text := r.queued(t, e); untreated(text) || !strings.Contains(text, "body text") {
			t.Errorf("%s: would be sent\n%s", l, text)
		}
	}
}

// TestProgramCalledCleanHoldsItsMail: the worker passes the original on and
// says that nothing is in it; the second look finds more than the allow-list
// has, and the second run finds the program.
func TestProgramCalledCleanHoldsItsMail(t *testing.T) {
	r := newRoom(t)
	id := r.accept(t, lie("lie=clean", corpus.Attachment{Name: "a.exe", Media: "application/octet-stream", Data: corpus.Program()}), nil)
	r.settle(t)
	if e := r.entry(t, id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassExecutable || !e.Sanitized.IsZero() {
		t.Errorf("state %s, verdict %+v", e.State, e.Verdict)
	}
}

// TestHeaderOfACapturedWorkerAddsNoField: its decoded values are all it can
// give, and they cannot end their line.
func TestHeaderOfACapturedWorkerAddsNoField(t *testing.T) {
	r := newRoom(t)
	id := r.accept(t, lie("lie=header-always"), nil)
	r.settle(t)
	e := r.entry(t, id)
	if e.State == spool.Held {
		return // the second look may refuse it
	}
	m, err := mail.ReadMessage(strings.NewReader(r.queued(t, e)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"Bcc", "X-Injected"} {
		if v, ok := m.Header[f]; ok {
			t.Errorf("%s: %q", f, v)
		}
	}
	body, err := io.ReadAll(m.Body)
	if err != nil || string(body) != "hello\r\n" {
		t.Errorf("body %q, %v", body, err)
	}
}

// TestWorkerThatHangsIsEnded needs the time of two runs.
func TestWorkerThatHangsIsEnded(t *testing.T) {
	r := newRoom(t)
	r.Examiner = &worker.Runner{Binary: liar, Profile: sandbox.Worker(), Time: 3 * time.Second}
	once, twice := r.accept(t, lie("lie=hang"), nil), r.accept(t, lie("lie=hang-always"), nil)
	r.settle(t)
	if e := r.entry(t, once); e.State != spool.Queued || untreated(r.queued(t, e)) {
		t.Errorf("hung once: state %s, verdict %+v", e.State, e.Verdict)
	}
	if e := r.entry(t, twice); e.State != spool.Held || e.Verdict.Class != sanitize.ClassFailed {
		t.Errorf("hung twice: state %s, verdict %+v", e.State, e.Verdict)
	}
}

func TestNoWorkerAtAllHoldsEverything(t *testing.T) {
	r := newRoom(t)
	r.Examiner = &worker.Runner{Binary: filepath.Join(t.TempDir(), "gone"), Profile: sandbox.Worker()}
	id := r.accept(t, lie("honest"), nil)
	r.settle(t)
	if e := r.entry(t, id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassFailed {
		t.Errorf("state %s, verdict %+v", e.State, e.Verdict)
	}
}

// TestPanicOfTheExaminerKeepsTheMessage: the daemon goes on, and the message
// stays until its lease is over.
func TestPanicOfTheExaminerKeepsTheMessage(t *testing.T) {
	r := newRoom(t)
	id := r.accept(t, lie("honest"), nil)
	panicked := make(chan struct{}, 10)
	r.Examiner = examinerFunc(func() (*worker.Result, error) {
		panicked <- struct{}{}
		panic("a bug of ours")
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	<-panicked
	cancel()
	<-done
	if e := r.entry(t, id); e.State != spool.Received {
		t.Errorf("state %s", e.State)
	}
}

type examinerFunc func() (*worker.Result, error)

func (f examinerFunc) Run(context.Context, sanitize.Options, *worker.Message) (*worker.Result, error) {
	return f()
}

// TestChangedEnvelopeIsHeldAsTampered changes, each under a row seal that is
// right, what the intake seal covers: the seal of the row is not the only one.
func TestChangedEnvelopeIsHeldAsTampered(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*spool.Entry)
	}{
		{"nothing", nil},
		{"the zone", func(e *spool.Entry) { e.Envelope.Zone = envelope.LGWAN }},
		{"the treatment", func(e *spool.Entry) { e.Envelope.Treatment = envelope.Pass }},
		{"called our own", func(e *spool.Entry) { e.Envelope.Treatment = envelope.Ours }},
		{"a recipient more", func(e *spool.Entry) {
			e.Envelope.To = append(e.Envelope.To, envelope.Address{Local: "c", Domain: "town.example"})
		}},
		{"another sender", func(e *spool.Entry) { e.Envelope.From.Local = "mayor" }},
		{"another profile", func(e *spool.Entry) { e.Envelope.Profile = "loose" }},
		{"another tenant", func(e *spool.Entry) { e.Envelope.Tenant = "village" }},
		{"another id", func(e *spool.Entry) { e.Envelope.ID = envelope.NewID(time.Now()) }},
		{"another digest", func(e *spool.Entry) { e.Envelope.Digest[0] ^= 1 }},
		{"no seal", func(e *spool.Entry) { e.Intake = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			r.accept(t, lie("honest"), nil)
			es, err := r.spool.Claim(t.Context(), spool.Received, time.Now(), 1)
			if err != nil || len(es) != 1 {
				t.Fatal(es, err)
			}
			forged := es[0]
			if c.change != nil {
				c.change(&forged)
			}
			forged.Lease, forged.Due, forged.State = "", time.Now(), spool.Received
			// The true row goes, its bytes stay.
			err = r.spool.Settle(t.Context(), es[0], spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = time.Now().Add(-time.Second) }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.spool.Purge(t.Context(), time.Now(), 10); err != nil {
				t.Fatal(err)
			}
			if err := r.spool.Insert(t.Context(), []spool.Entry{forged}, nil); err != nil {
				t.Fatal(err)
			}
			r.settle(t)
			e, err := r.spool.Get(t.Context(), "", forged.Envelope.ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.change == nil {
				if e.State != spool.Queued {
					t.Errorf("state %s, verdict %+v: the test proves nothing", e.State, e.Verdict)
				}
				return
			}
			if e.State != spool.Held || e.Verdict.Class != sanitize.ClassTampered || !e.Sanitized.IsZero() {
				t.Errorf("state %s, verdict %+v", e.State, e.Verdict)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if !slices.Equal(r.alarms, []string{"tampered"}) {
				t.Errorf("alarms %v", r.alarms)
			}
		})
	}
}

func TestPreviewOpensNothingThatWasTamperedWith(t *testing.T) {
	r := newRoom(t)
	id := r.accept(t, lie("honest"), nil)
	e := r.entry(t, id)
	if text, err := r.Preview(t.Context(), e); err != nil || !strings.Contains(text, "body text") || untreated(text) {
		t.Fatalf("%q, %v", text, err)
	}
	for name, change := range map[string]func(*spool.Entry){
		"row":       func(e *spool.Entry) { e.Tampered = "row" },
		"treatment": func(e *spool.Entry) { e.Envelope.Treatment = envelope.Pass },
		"digest":    func(e *spool.Entry) { e.Envelope.Digest[3] ^= 1 },
		"bytes":     func(e *spool.Entry) { e.Original.Size++; e.Original.Wrapped = nil },
	} {
		f := e
		change(&f)
		if text, err := r.Preview(t.Context(), f); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// TestMailThatPassesKeepsItsOctets: nothing of it is opened, and its seal is of
// a kind that leads nowhere inside.
func TestMailThatPassesKeepsItsOctets(t *testing.T) {
	r := newRoom(t)
	r.Examiner = examinerFunc(func() (*worker.Result, error) { t.Error("a worker was asked"); return nil, io.ErrUnexpectedEOF })
	id := r.accept(t, lie("honest"), func(e *envelope.Envelope) { e.Zone, e.Treatment = envelope.LGWAN, envelope.Pass })
	r.settle(t)
	e := r.entry(t, id)
	if e.State != spool.Queued || e.Kind != string(seal.Passed) || !e.Sanitized.IsZero() || e.Report != nil {
		t.Errorf("state %s, kind %q, %+v", e.State, e.Kind, e.Verdict)
	}
}

func hour() time.Duration { return time.Hour }
