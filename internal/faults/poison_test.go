package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/sandbox"
	"sekisho/pipeline"
	"sekisho/policy"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
	"sekisho/spool"
)

// poisonEnv is how the test binary knows that it is to be a gateway that dies
// of one message: "data directory:folder of the binaries".
const poisonEnv = "SEKISHO_POISON"

const poison = "dies of this"

// deadly is an examiner that kills its own process at the poisonous message.
type deadly struct{ worker.Runner }

func (d *deadly) Run(ctx context.Context, o sanitize.Options, in *worker.Message) (*worker.Result, error) {
	b, err := io.ReadAll(io.NewSectionReader(in, 0, 1<<20))
	if err != nil {
		return nil, err
	}
	if bytes.Contains(b, []byte(poison)) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
	return d.Runner.Run(ctx, o, in)
}

// poisonous runs the pipeline of a gateway until nothing is left in Received.
func poisonous(data, bin string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &site{path: data, log: &bytes.Buffer{}, inline: spool.DefaultInline}
	if err := s.tryOpen(); err != nil {
		return err
	}
	if _, err := s.db.Recover(ctx); err != nil {
		return err
	}
	table, err := routing.New([]routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{"127.0.0.1:1"}}},
		[]routing.Route{{Domain: "town.example.lg.jp", Hop: "town-mail"}}, []string{"lg.jp"}, nil, []string{"town.example.lg.jp"})
	if err != nil {
		return err
	}
	rebuild := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	rules := &policy.Rules{Limits: sanitize.DefaultLimits(), Profiles: map[envelope.ProfileID]policy.Profile{"default": {
		Name: "default", Language: "ja", Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassText: rebuild, sanitize.ClassMessage: rebuild}}}}
	p := &pipeline.Pipeline{
		Spool: s.Spool, Examiner: &deadly{worker.Runner{Binary: filepath.Join(bin, "sekisho-sanitizer"), Profile: sandbox.Worker()}},
		Rules: func() *policy.Rules { return rules }, Table: func() *routing.Table { return table },
		Hostname: "mx.town.example.lg.jp", Retention: hour, Originals: hour, Log: s.Spool.Log, Now: time.Now, Workers: 2,
	}
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	for {
		n, _, err := s.Count(ctx)
		if err != nil {
			return err
		}
		if n[spool.Received] == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond) // another process would be asked no more often
	}
	cancel()
	<-done
	return s.db.Close()
}

// TestMessageThatKillsTheGatewayIsHeld: it is tried three times, no more; the
// queue goes on.
func TestMessageThatKillsTheGatewayIsHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, path: filepath.Join(t.TempDir(), "data"), log: &bytes.Buffer{}, inline: spool.DefaultInline, acked: map[envelope.ID]envelope.Digest{}}
	s.open()
	var bad envelope.ID
	for i := range 9 {
		text := fmt.Sprintf("mail %d", i)
		if i == 4 {
			text = poison
		}
		had := maps.Clone(s.acked)
		s.mustAccept([]byte("From: a@partner.example\r\nTo: soumu@town.example.lg.jp\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 10:00:00 +0900\r\n\r\n" + text + "\r\n"))
		if len(s.acked) != len(had)+1 {
			t.Fatal("not taken")
		}
		// Ids of one millisecond have no order: the new one is the one that was
		// not there.
		for id := range s.acked {
			if _, old := had[id]; !old && i == 4 {
				bad = id
			}
		}
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	deaths := 0
	for {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), poisonEnv+"="+s.path+":"+bin)
		var out bytes.Buffer
		cmd.Stderr = &out
		err := cmd.Run()
		if err == nil {
			break
		}
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%v: %s", err, out.String())
		}
		if deaths++; deaths > spool.PoisonDeaths {
			t.Fatalf("it died %d times of one message", deaths)
		}
	}
	s.open()
	defer s.close()
	e, err := s.Get(t.Context(), "town", bad)
	if err != nil || e.State != spool.Held || e.Verdict.Class != sanitize.ClassPoison {
		t.Errorf("the poisonous message is %s as %q, %v", e.State, e.Verdict.Class, err)
	}
	queued := 0
	for id := range s.acked {
		o, err := s.Get(t.Context(), "town", id)
		if err != nil {
			t.Fatal(err)
		}
		if o.State == spool.Queued {
			queued++
		} else if id != bad {
			t.Errorf("another message is %s as %q: %v", o.State, o.Verdict.Class, o.Verdict.Reasons)
		}
	}
	t.Logf(`{"test":"poison","messages":9,"deaths":%d,"queued":%d,"held":1}`, deaths, queued)
}

func hour() time.Duration { return time.Hour }
