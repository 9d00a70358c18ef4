// Package worker is the parent's side of the isolation boundary. It starts a
// fresh confined process for one message, hands it the bytes and the options,
// and believes nothing that comes back before it has checked it: the process
// is dead and reaped before the output is hashed, and everybody downstream
// reads this one copy.
package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// RunTime is how long one run may take. Two minutes is what one mail may cost
// the others.
const RunTime = 120 * time.Second

// Errors of a run, beside those of the sandbox.
var (
	// ErrLied says that the worker's reply does not fit what it wrote.
	ErrLied = errors.New("the worker's answer does not fit its output")
	// ErrNoAnswer says that the worker ended without an answer.
	ErrNoAnswer = errors.New("the worker gave no answer")
)

// Runner starts workers. The fields are set before the first Run.
type Runner struct {
	Binary  string           // path of sekisho-sanitizer
	Profile sandbox.Profile  // limits of a run
	Time    time.Duration    // zero: RunTime
	Starter *sandbox.Starter // forks in this process's place; nil: this process forks itself

	// Cgroups gives every worker a control group of its own; nil: the limits of
	// the profile are all there is.
	Cgroups *sandbox.Cgroups

	// Spares is how many workers wait, started and confined, for the next
	// message. Each still serves one message only; what is hidden is the start.
	Spares int

	// Processes is how many messages may be treated in processes of their own
	// at a time, and how many in each lane; more wait. Zero: any number.
	Processes int

	// Lanes is how many workers of the text lane may live at a time, and as
	// many for verifying; zero: no lane.
	Lanes int

	// LaneFailed is told of every worker of the lane that did not answer
	// properly. Its message is treated all the same, so nobody else would
	// notice. May be nil.
	LaneFailed func(tenant string, err error)

	// Tools runs external programs for the workers; nil: there are none.
	Tools *Tools

	mu                  sync.Mutex
	waiting             []*hired
	starting            int
	closed              bool
	processes           turnstile     // of those of their own
	patience            time.Duration // with a worker of the lane; zero: laneTime
	treating, verifying lane
}

// Result is the outcome of one run. Output is sealed; the caller closes it.
type Result struct {
	Report *sanitize.Report
	Output *Message // nil when the task writes nothing or there is no output
	Size   int64
	Digest sanitize.Digest
	State  sandbox.State
	// Refusal is why the worker itself found no harmless form, "" when it did.
	Refusal string
	// InLane says that a worker of the tenant's lane made it, which treats plain
	// text and nothing else.
	InLane bool
}

// Run treats or verifies in, a sealed message. An error means that the
// run failed: nothing is known about the message, and nothing may pass.
func (r *Runner) Run(ctx context.Context, o sanitize.Options, in *Message) (*Result, error) {
	limit := r.Time
	if limit == 0 {
		limit = RunTime
	}
	if l := r.laneFor(&o, in); l != nil {
		// Its errors are no failures of the message: they cost a start.
		res, err := r.inLane(ctx, l, &o, in)
		if err == nil {
			res.InLane = true
			return res, nil
		}
		if r.LaneFailed != nil && ctx.Err() == nil && !errors.Is(err, errDeclined) && !errors.Is(err, errFull) && !errors.Is(err, os.ErrClosed) {
			r.LaneFailed(o.Lane, err)
		}
	}
	if r.Processes > 0 {
		if err := r.processes.enter(ctx, o.Tenant, r.Processes); err != nil {
			return nil, err
		}
		defer r.processes.leave(r.Processes)
	}
	// Its time begins when it is its turn.
	ctx, clock, cancel := withPatience(ctx, limit)
	defer cancel()
	if h := r.take(in); h != nil {
		res, err := r.serve(ctx, h, &o, clock)
		if !errors.Is(err, errLost) {
			return res, err
		}
		// It died while it waited and has read nothing; that says nothing
		// about the message.
	}
	f, err := in.shared()
	if err != nil {
		return nil, err
	}
	h, err := r.hire(f)
	if err != nil {
		return nil, err
	}
	return r.serve(ctx, h, &o, clock)
}

// serve has one worker serve one message, and ends it in any case.
func (r *Runner) serve(ctx context.Context, h *hired, o *sanitize.Options, clock *patience) (*Result, error) {
	keep := false
	defer func() {
		h.dismiss()
		if !keep {
			h.output.Close()
		}
	}()
	stop := context.AfterFunc(ctx, h.process.Kill)
	defer stop()
	// Both pipes are drained while it runs, bounded, so that a worker that
	// floods one of them waits for its own death and not for us.
	var untrusted bytes.Buffer
	var complaint bytes.Buffer
	done := make(chan struct{}, 2)
	go func() {
		io.Copy(&untrusted, io.LimitReader(h.reply, sanitize.MaxReply+8))
		io.Copy(io.Discard, h.reply)
		done <- struct{}{}
	}()
	go func() {
		io.Copy(&complaint, io.LimitReader(h.complaint, 4<<10))
		io.Copy(io.Discard, h.complaint)
		done <- struct{}{}
	}()
	// Whoever asks for tools is served until he is dead; then the tool that he
	// waited for is of no use any more.
	toolCtx, noTools := context.WithCancel(ctx)
	defer noTools()
	broker := make(chan error, 1)
	go func() {
		err := r.toolsFor(o.Task).serve(toolCtx, h.tools, clock.pause, o)
		if err != nil {
			h.process.Kill()
		}
		broker <- err
	}()
	// The end of the options is the sign to begin: all else is in place.
	optionsErr := sanitize.WriteFrame(h.options, o)
	h.options.Close()
	if optionsErr != nil {
		h.process.Kill()
	}
	state, err := h.process.Wait()
	noTools()
	h.tools.Close()
	<-done
	<-done
	if err := <-broker; err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	if h.spare && errors.Is(optionsErr, syscall.EPIPE) {
		return nil, errLost
	}
	if err == nil {
		err = state.Err()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return nil, fmt.Errorf("worker: %w%s", err, printable(complaint.String()))
	}
	if optionsErr != nil {
		return nil, fmt.Errorf("options: %w", optionsErr)
	}
	// The process is dead and reaped; from here on the bytes cannot change.
	var untrustedReply sanitize.Reply
	if err := sanitize.ReadFrame(&untrusted, &untrustedReply, sanitize.MaxReply); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if err := sealFile(h.output); err != nil {
		return nil, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, io.NewSectionReader(h.output, 0, 1<<62))
	if err != nil {
		return nil, fmt.Errorf("read output: %w", err)
	}
	res := &Result{Report: &untrustedReply.Report, Size: size, State: state, Refusal: untrustedReply.Err}
	sum.Sum(res.Digest[:0])
	if size != untrustedReply.Size || res.Digest != untrustedReply.Digest {
		return nil, ErrLied
	}
	if err := checkReport(res.Report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLied, err)
	}
	switch o.Task {
	case sanitize.TaskMail, sanitize.TaskFile:
		if res.Refusal == "" && len(res.Report.Holds) == 0 && res.Report.Outcome != sanitize.Refused {
			keep = true
			res.Output = fileMessage(h.output, size)
		}
	default:
		if size != 0 {
			return nil, fmt.Errorf("%w: a task that writes nothing wrote %d octets", ErrLied, size)
		}
	}
	return res, nil
}

// checkReport refuses a report whose numbers are none of ours: whoever reads
// it later switches on them.
func checkReport(r *sanitize.Report) error {
	outcome := func(o sanitize.Outcome) bool { return o >= sanitize.Clean && o <= sanitize.Refused }
	if !outcome(r.Outcome) {
		return fmt.Errorf("outcome %d", r.Outcome)
	}
	if len(r.Parts) > 20000 {
		return fmt.Errorf("%d parts", len(r.Parts))
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		if !outcome(p.Outcome) || p.Fate > sanitize.Dropped || p.Mode > sanitize.Text || len(p.Tried) > 4 {
			return fmt.Errorf("part %d: outcome %d, fate %d, mode %d", i, p.Outcome, p.Fate, p.Mode)
		}
		// A class decides what is held: it follows from the kind, whatever the
		// worker says.
		p.Class = p.Kind.Class()
	}
	return nil
}

// printable makes what a dead worker said fit for a log line.
func printable(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return ' '
		}
		return r
	}, s))
	if s == "" {
		return ""
	}
	if len(s) > 500 {
		s = s[:500]
	}
	return " (" + s + ")"
}
