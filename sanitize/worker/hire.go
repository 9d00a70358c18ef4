package worker

import (
	"context"
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

// A hired worker is a confined process that waits for its options on a pipe.
// It has read nothing yet.
type hired struct {
	process *sandbox.Process
	spare   bool
	input   *os.File // ours to fill; nil if it was started for a message
	output  *os.File
	// Our ends of the pipes, and of the socket of the tools.
	options, reply, complaint, tools *os.File
	idle                             *time.Timer // ends a spare nobody wanted
}

// spareIdle is how long a spare may wait. A gateway at night should not keep
// memory for mail that does not come.
const spareIdle = 10 * time.Minute

// maxSpare is the largest message that goes to a spare. Its bytes have to be
// copied into the file the spare was started with, and for a large one that
// costs more, in memory above all, than a start does.
const maxSpare = 4 << 20

// errLost says that a spare died while it waited.
var errLost = errors.New("the worker was lost before it began")

// hire starts a worker: for the message in, or as a spare if that is nil.
func (r *Runner) hire(in *os.File) (_ *hired, err error) {
	h := &hired{spare: in == nil}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			h.dismiss()
			if h.output != nil {
				h.output.Close()
			}
		}
	}()
	if h.output, err = memoryFile("output"); err != nil {
		return nil, err
	}
	if in == nil {
		if in, err = memoryFile("message"); err != nil {
			return nil, err
		}
		h.input = in
	}
	// Its own descriptions: a message may be read by two runs at once, each
	// from its own position, and no worker can write to its input.
	input, err := reopen(in, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, input)
	output, err := reopen(h.output, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, output)
	pipe := func(toWorker bool) (their, our *os.File, err error) {
		rd, wr, err := os.Pipe()
		if err != nil {
			return nil, nil, fmt.Errorf("pipe: %w", err)
		}
		if toWorker {
			theirs = append(theirs, rd)
			return rd, wr, nil
		}
		theirs = append(theirs, wr)
		return wr, rd, nil
	}
	files := []*os.File{input, output, nil, nil, nil, nil}
	if files[2], h.complaint, err = pipe(false); err != nil {
		return nil, err
	}
	if files[3], h.options, err = pipe(true); err != nil {
		return nil, err
	}
	if files[4], h.reply, err = pipe(false); err != nil {
		return nil, err
	}
	if files[sanitize.FDTools], h.tools, err = socketpair(); err != nil {
		return nil, err
	}
	theirs = append(theirs, files[sanitize.FDTools])
	cmd := sandbox.Command{Path: r.Binary, Files: files, Profile: r.Profile, Starter: r.Starter, Brief: true, Cgroups: r.Cgroups}
	if h.process, err = cmd.Start(context.Background()); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return h, nil
}

// dismiss kills the process, if it still lives, and closes all but the output.
func (h *hired) dismiss() {
	if h.idle != nil {
		h.idle.Stop()
	}
	if h.process != nil {
		h.process.Kill()
	}
	for _, f := range []*os.File{h.input, h.options, h.reply, h.complaint, h.tools} {
		if f != nil {
			f.Close()
		}
	}
}

// socketpair makes a stream in both directions. Our end waits without holding
// a thread, and can be closed while somebody reads it.
func socketpair() (their, our *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	their = os.NewFile(uintptr(fds[0]), "tools of the worker")
	if err := unix.SetNonblock(fds[1], true); err != nil {
		their.Close()
		unix.Close(fds[1])
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return their, os.NewFile(uintptr(fds[1]), "tools"), nil
}

// take gives in to a spare, if there is one, and has another one started in
// its place. Nil means that a worker must be started for it.
func (r *Runner) take(in *Message) *hired {
	if r.Spares == 0 {
		return nil
	}
	if in.Size() > maxSpare {
		return nil
	}
	r.mu.Lock()
	var h *hired
	for h == nil && len(r.waiting) > 0 {
		// The one that has waited longest is ready for sure.
		h, r.waiting = r.waiting[0], r.waiting[1:]
		h.idle.Stop()
		select {
		case <-h.process.Done():
			h.dismiss()
			h.output.Close()
			h = nil
		default:
		}
	}
	for !r.closed && len(r.waiting)+r.starting < r.Spares {
		r.starting++
		go r.replace()
	}
	r.mu.Unlock()
	if h == nil {
		return nil
	}
	_, err := io.Copy(h.input, io.NewSectionReader(in, 0, in.Size()))
	if err == nil {
		err = sealFile(h.input)
	}
	if err != nil {
		// A start for this message will meet the same trouble and report it.
		h.dismiss()
		h.output.Close()
		return nil
	}
	return h
}

// replace starts a spare. That it cannot be started is told to the next run,
// which then starts a worker itself and fails likewise.
func (r *Runner) replace() {
	h, err := r.hire(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starting--
	if err != nil {
		return
	}
	if r.closed {
		h.dismiss()
		h.output.Close()
		return
	}
	r.waiting = append(r.waiting, h)
	h.idle = time.AfterFunc(spareIdle, func() { r.tired(h) })
}

// tired ends a spare that nobody wanted. The next message brings new ones.
func (r *Runner) tired(h *hired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.waiting {
		if w == h {
			r.waiting = append(r.waiting[:i], r.waiting[i+1:]...)
			h.dismiss()
			h.output.Close()
			return
		}
	}
}

// Close ends the spares and the lane. Runs under way are not touched, and later
// ones start their worker themselves.
func (r *Runner) Close() {
	r.mu.Lock()
	waiting := r.waiting
	r.waiting, r.closed = nil, true
	var idle []*laneWorker
	for _, l := range []*lane{&r.treating, &r.verifying} {
		l.closed = true
		r.admit(l) // those who wait go elsewhere
		for _, w := range l.workers {
			if !w.busy {
				idle = append(idle, w)
			}
		}
		l.workers = slices.DeleteFunc(l.workers, func(w *laneWorker) bool { return !w.busy })
	}
	r.mu.Unlock()
	for _, w := range idle {
		w.dismiss()
	}
	for _, h := range waiting {
		h.dismiss()
		h.output.Close()
		<-h.process.Done()
	}
}

// reopen gives a memory file a description of its own.
func reopen(f *os.File, flag int) (*os.File, error) {
	g, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), flag, 0)
	if err != nil {
		return nil, fmt.Errorf("reopen memory file: %w", err)
	}
	return g, nil
}
