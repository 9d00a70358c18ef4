package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// The text lane. Starting a process costs several times what a short text
// needs, so plain text goes to workers that live longer. Each belongs to one
// tenant for its whole life: one that a message has captured can harm later
// text mail of that tenant, and nobody else's. It has the same confinement and
// less memory, can do nothing but plain text, and whatever it does not answer
// properly goes to a process of its own, as does all that it declines.

// laneMessages is how many messages a worker of the lane serves: the price of
// a start is gone from each by then.
const laneMessages = 200

// laneIdle is how long it waits for the next one.
const laneIdle = time.Minute

// laneTime is what one text may take. A text of the largest size takes some
// 20 ms; one that takes this long keeps others waiting.
const laneTime = 3 * time.Second

// errDeclined says that a message is nothing for the lane.
var errDeclined = errors.New("the lane declined")

// errFull says that every worker of the lane is at work for somebody else.
var errFull = errors.New("the lane is full")

// laneWait is how long messages of other tenants, whose workers are there, may
// go before one that needs a start: with more tenants than workers a start for
// every message would cost all of them more than this.
const laneWait = 100 * time.Millisecond

// A lane holds the workers for one task, several for a tenant if its messages
// come at the same time and nobody else needs the room.
type lane struct {
	workers []*laneWorker // the least recently used first
	queue   []*passenger  // who waits for one, in order
	serving int           // messages that have one
	rota    rota
	closed  bool
}

// A passenger is a message that waits for a worker of its tenant.
type passenger struct {
	tenant string
	since  time.Time
	seat   chan seat // gets one
}

// A seat is a worker in a message's hand.
type seat struct {
	w     *laneWorker
	fresh bool // it has to be started
	err   error
}

type laneWorker struct {
	process *sandbox.Process
	tenant  string
	busy    bool
	served  int
	// Our ends of the pipes.
	requests, replies *os.File
	request           bytes.Buffer // of the last short message, for the next
	idle              *time.Timer
}

// dismiss kills it and waits until it is reaped.
func (w *laneWorker) dismiss() {
	w.idle.Stop()
	w.process.Kill()
	w.requests.Close()
	w.replies.Close()
	<-w.process.Done()
}

// laneFor returns the lane for a run, or nil if it needs a process of its own.
func (r *Runner) laneFor(o *sanitize.Options, in *Message) *lane {
	if r.Lanes == 0 || o.Lane == "" || o.KeepAll || o.Preview || len(o.Only) > 0 {
		return nil
	}
	if in.Size() > sanitize.MaxLaneMessage {
		return nil
	}
	switch o.Task {
	case sanitize.TaskMail:
		return &r.treating
	case sanitize.TaskVerifyMail:
		return &r.verifying
	default:
		return nil
	}
}

// inLane serves one message in the lane. Any error means that the message
// needs a process of its own; one but errDeclined costs the worker its life.
func (r *Runner) inLane(ctx context.Context, l *lane, o *sanitize.Options, in *Message) (*Result, error) {
	w, err := r.board(ctx, l, o.Lane)
	if err != nil {
		return nil, err
	}
	limit := r.patience
	if limit == 0 {
		limit = laneTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, w.process.Kill)
	res, err := w.serve(o, in)
	if !stop() && err == nil {
		res.close()
		res, err = nil, ctx.Err() // it was killed at the last moment
	}
	r.leave(l, w, err == nil || errors.Is(err, errDeclined))
	return res, err
}

// board waits for a worker of the tenant, and starts it if need be.
func (r *Runner) board(ctx context.Context, l *lane, tenant string) (*laneWorker, error) {
	p := &passenger{tenant: tenant, since: time.Now(), seat: make(chan seat, 1)}
	r.mu.Lock()
	l.queue = append(l.queue, p)
	r.admit(l)
	r.mu.Unlock()
	var s seat
	select {
	case s = <-p.seat:
	case <-ctx.Done():
		r.mu.Lock()
		if i := slices.Index(l.queue, p); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
			r.mu.Unlock()
			return nil, fmt.Errorf("worker: %w", context.Cause(ctx))
		}
		r.mu.Unlock()
		s = <-p.seat // it came at the same moment
	}
	if s.err != nil || !s.fresh {
		return s.w, s.err
	}
	if err := s.w.start(r); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		l.workers = slices.DeleteFunc(l.workers, func(v *laneWorker) bool { return v == s.w })
		l.serving--
		r.admit(l)
		return nil, err
	}
	return s.w, nil
}

// admit gives workers to those who wait. No more at a time than there are
// cores: a tenant's messages would start workers that then share the same
// cores, and each costs some megabytes. The caller holds the lock.
func (r *Runner) admit(l *lane) {
	for len(l.queue) > 0 && (r.Processes == 0 || l.serving < r.Processes || l.closed) {
		i, s := r.next(l)
		if i < 0 {
			return
		}
		p := l.queue[i]
		l.queue = slices.Delete(l.queue, i, i+1)
		if s.err == nil {
			s.w.busy = true
			l.serving++
			l.rota.serve(p.tenant)
		}
		p.seat <- s
	}
}

// next picks who is served next: first the one who has waited long, then those
// whose worker is there, by the rota, then the others. It returns -1 when all
// have to wait.
func (r *Runner) next(l *lane) (int, seat) {
	if l.closed {
		return 0, seat{err: os.ErrClosed}
	}
	if time.Since(l.queue[0].since) >= laneWait {
		if s, ok := r.seat(l, l.queue[0].tenant); ok {
			return 0, s
		}
	}
	first := -1
	var its *laneWorker
	for i, p := range l.queue {
		if first >= 0 && l.rota.last(p.tenant) >= l.rota.last(l.queue[first].tenant) {
			continue
		}
		if w := l.idle(p.tenant); w != nil {
			first, its = i, w
		}
	}
	if first >= 0 {
		its.idle.Stop()
		return first, seat{w: its}
	}
	for i, p := range l.queue {
		if s, ok := r.seat(l, p.tenant); ok {
			return i, s
		}
	}
	return -1, seat{}
}

// idle finds a worker of the tenant that waits.
func (l *lane) idle(tenant string) *laneWorker {
	for _, w := range l.workers {
		if w.tenant == tenant && !w.busy && w.alive() {
			return w
		}
	}
	return nil
}

// seat finds a worker of the tenant that waits, or makes room for a fresh one.
// It returns false when the tenant has one that is at work and a second would
// take another tenant's place.
func (r *Runner) seat(l *lane, tenant string) (seat, bool) {
	if w := l.idle(tenant); w != nil {
		w.idle.Stop()
		return seat{w: w}, true
	}
	if len(l.workers) >= r.Lanes {
		if slices.ContainsFunc(l.workers, func(w *laneWorker) bool { return w.tenant == tenant && w.busy }) {
			return seat{}, false
		}
		i := slices.IndexFunc(l.workers, func(w *laneWorker) bool { return !w.busy })
		if i < 0 {
			return seat{err: errFull}, true
		}
		old := l.workers[i]
		l.workers = slices.Delete(l.workers, i, i+1)
		go old.dismiss()
	}
	w := &laneWorker{tenant: tenant}
	w.idle = time.AfterFunc(laneIdle, func() { r.stranded(l, w) })
	w.idle.Stop()
	l.workers = append(l.workers, w)
	return seat{w: w, fresh: true}, true
}

func (w *laneWorker) alive() bool {
	select {
	case <-w.process.Done():
		return false
	default:
		return true
	}
}

// leave gives a worker back, or ends it.
func (r *Runner) leave(l *lane, w *laneWorker, well bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.busy = false
	w.served++
	l.serving--
	defer r.admit(l)
	i := slices.Index(l.workers, w)
	if i >= 0 {
		l.workers = slices.Delete(l.workers, i, i+1)
	}
	if !well || w.served >= laneMessages || l.closed {
		go w.dismiss()
		return
	}
	l.workers = append(l.workers, w)
	w.idle.Reset(laneIdle)
}

// stranded ends a worker that has waited too long.
func (r *Runner) stranded(l *lane, w *laneWorker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(l.workers, w); i >= 0 && !w.busy {
		l.workers = slices.Delete(l.workers, i, i+1)
		go w.dismiss()
	}
}

// start starts the process.
func (w *laneWorker) start(r *Runner) error {
	fromUs, requests, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer fromUs.Close()
	w.requests = requests
	replies, toUs, err := os.Pipe()
	if err != nil {
		requests.Close()
		return fmt.Errorf("pipe: %w", err)
	}
	defer toUs.Close()
	w.replies = replies
	// No other descriptor: what it has to say, it says in its replies.
	cmd := sandbox.Command{Path: r.Binary, Args: []string{sanitize.Lane}, Files: []*os.File{fromUs, nil, nil, nil, toUs}, Profile: sandbox.Lane(), Starter: r.Starter, Cgroups: r.Cgroups}
	if w.process, err = cmd.Start(context.Background()); err != nil {
		requests.Close()
		replies.Close()
		return fmt.Errorf("worker of the lane: %w", err)
	}
	return nil
}

// serve has the worker serve one message and copies what it answers.
func (w *laneWorker) serve(o *sanitize.Options, in *Message) (_ *Result, err error) {
	request := &w.request
	request.Reset()
	if err := sanitize.WriteOptions(request, o); err != nil {
		return nil, err
	}
	if err := sanitize.AppendFrom(request, in, in.Size()); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	// What it said unasked belongs to no message.
	if err := w.quiet(); err != nil {
		return nil, err
	}
	if _, err := w.requests.Write(request.Bytes()); err != nil {
		return nil, fmt.Errorf("worker of the lane: %w", err)
	}
	if request.Cap() > maxShort {
		w.request = bytes.Buffer{}
	}
	var untrusted sanitize.Reply
	if err := sanitize.ReadNext(w.replies, &untrusted, sanitize.MaxLaneReply); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if untrusted.Own {
		if err := w.quiet(); err != nil {
			return nil, err
		}
		return nil, errDeclined
	}
	if untrusted.Size < 0 || untrusted.Size > sanitize.MaxLaneOutput {
		return nil, fmt.Errorf("%w: an output of %d octets", ErrLied, untrusted.Size)
	}
	untrustedOutput := make([]byte, untrusted.Size)
	if _, err := io.ReadFull(w.replies, untrustedOutput); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if err := w.quiet(); err != nil {
		return nil, err
	}
	// This copy is ours alone, as if the process were dead.
	res := &Result{Report: &untrusted.Report, Size: untrusted.Size, Digest: sha256.Sum256(untrustedOutput)}
	if res.Digest != untrusted.Digest {
		return nil, ErrLied
	}
	if err := checkReport(res.Report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLied, err)
	}
	// Whatever is to be held, kept back or refused is decided elsewhere.
	if untrusted.Err != "" || len(res.Report.Holds) > 0 || res.Report.Outcome == sanitize.Refused ||
		slices.ContainsFunc(res.Report.Parts, func(p sanitize.Part) bool { return p.Fate != sanitize.Delivered }) {
		return nil, fmt.Errorf("%w: a verdict that is not the lane's to give", ErrLied)
	}
	if o.Task == sanitize.TaskVerifyMail {
		if res.Size != 0 {
			return nil, fmt.Errorf("%w: a task that writes nothing wrote %d octets", ErrLied, res.Size)
		}
		return res, nil
	}
	// They are in nobody's hand but ours.
	res.Output = shortMessage("output", untrustedOutput)
	return res, nil
}

// quiet makes sure that nothing waits in the pipe.
func (w *laneWorker) quiet() error {
	raw, err := w.replies.SyscallConn()
	if err != nil {
		return fmt.Errorf("worker of the lane: %w", err)
	}
	n := 0
	var ioctlErr error
	if err := raw.Control(func(fd uintptr) { n, ioctlErr = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		return fmt.Errorf("worker of the lane: %w", err)
	}
	if ioctlErr != nil {
		return fmt.Errorf("worker of the lane: %w", ioctlErr)
	}
	if n != 0 {
		return fmt.Errorf("%w: %d octets that nobody asked for", ErrLied, n)
	}
	return nil
}

func (r *Result) close() {
	if r != nil && r.Output != nil {
		r.Output.Close()
	}
}
