package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"sekisho/internal/sandbox"
)

const (
	// spareAge is how long a LibreOffice may wait. One that is older may be of a
	// version that was replaced meanwhile.
	spareAge = 15 * time.Minute
	// spareInput is the longest document that is given to one, whose scratch
	// directory was measured before there was a document. Longer ones take so
	// long that the start does not count.
	spareInput = 64 * megabyte
	// spareTries is how many starts in a row may fail before no more are tried:
	// where it is not installed, or cannot run.
	spareTries = 3
)

// spare is a LibreOffice that waits for its one document.
type spare struct {
	*sandbox.Spare
	input, output *os.File
	complained    <-chan string
	said          string // what came from there
	heard         *os.File
	old           *time.Timer
}

// Warm has the spares started, if there are to be any.
func (t *Tools) Warm() { t.refill() }

// refill has as many spares started as are missing.
func (t *Tools) refill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil {
		t.living, t.end = context.WithCancel(context.Background())
	}
	for !t.closed && !t.none && t.failed < spareTries && len(t.waiting)+t.starting < t.Spares {
		t.starting++
		t.starts.Go(t.prepare)
	}
}

// prepare starts one spare, and waits until it waits.
func (t *Tools) prepare() {
	s, err := t.spare()
	if err == nil && !s.Ready() {
		s.dismiss()
		err = sandbox.ErrCold
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting--
	switch {
	case err != nil:
		// Told by the next document, whose own start meets the same trouble.
		t.failed++
	case t.closed:
		s.dismiss()
	default:
		t.failed = 0
		t.waiting = append(t.waiting, s)
		s.old = time.AfterFunc(spareAge, func() { t.tired(s) })
	}
}

// tired has a spare replaced that waited too long.
func (t *Tools) tired(s *spare) {
	t.mu.Lock()
	i := slices.Index(t.waiting, s)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.mu.Unlock()
	if i >= 0 {
		s.dismiss()
		t.refill()
	}
}

// spare starts one.
func (t *Tools) spare() (_ *spare, err error) {
	s := &spare{}
	defer func() {
		if err != nil {
			for _, f := range []*os.File{s.input, s.output, s.heard} {
				if f != nil {
					f.Close()
				}
			}
		}
	}()
	if s.input, err = memoryFile("tool input"); err != nil {
		return nil, err
	}
	if s.output, err = memoryFile("tool output"); err != nil {
		return nil, err
	}
	// Of its own, so that the program can do nothing to ours.
	input, err := reopen(s.input, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer input.Close()
	var complaint *os.File
	if s.heard, complaint, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	defer complaint.Close()
	prog := officeWaiting()
	x := t.sandboxed(prog, prog.cpu)
	x.Input, x.Output, x.Complaint = input, s.output, complaint
	x.Profile.Scratch += spareInput
	// It outlives the message that made room for it.
	if s.Spare, err = x.Prepare(t.living); err != nil {
		return nil, err
	}
	s.complained = listen(s.heard)
	return s, nil
}

// dismiss kills it and waits until nothing of it is left.
func (s *spare) dismiss() {
	if s.old != nil {
		s.old.Stop()
	}
	s.Dismiss()
	<-s.Done()
	s.heardAll()
	for _, f := range []*os.File{s.input, s.output, s.heard} {
		f.Close()
	}
}

// heardAll is what it complained, once it has ended.
func (s *spare) heardAll() string {
	if s.complained != nil {
		s.said, s.complained = <-s.complained, nil
	}
	return s.said
}

// take takes the spare that has waited longest, if there is one.
func (t *Tools) take() *spare {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.waiting) > 0 {
		s := t.waiting[0]
		t.waiting = t.waiting[1:]
		select {
		case <-s.Done(): // it died of itself
			go s.dismiss()
		default:
			return s
		}
	}
	return nil
}

// fromSpare gives the document to a spare. It reports false when there was
// none, or it ended before it had the document: then it is as if it had not
// been asked.
func (t *Tools) fromSpare(ctx context.Context, prog tool, cpu time.Duration, in *os.File, w *pieces) (spent time.Duration, err error, ok bool) {
	if prog.turn == nil {
		return 0, nil, false
	}
	st, err := in.Stat()
	if err != nil || st.Size() > spareInput {
		return 0, nil, false
	}
	s := t.take()
	if s == nil {
		return 0, nil, false
	}
	defer s.dismiss()
	stop := context.AfterFunc(ctx, s.Kill)
	defer stop()
	if _, err := io.Copy(s.input, io.NewSectionReader(in, 0, st.Size())); err != nil {
		return 0, nil, false
	}
	if err := sealFile(s.input); err != nil {
		return 0, nil, false
	}
	if err := s.Give(sandbox.Turn{In: prog.in, Out: prog.out, Args: prog.turn, CPU: max(cpu.Truncate(time.Second), time.Second)}); err != nil {
		return 0, nil, false
	}
	state, err := s.Wait()
	spent = state.User + state.System
	if err != nil {
		return spent, err, true
	}
	if _, err := state.ToolErr(); errors.Is(err, sandbox.ErrCold) && ctx.Err() == nil {
		return 0, nil, false
	}
	return spent, t.taken(ctx, prog, state, s.heardAll(), s.output, w), true
}

// Close ends the spares. Runs under way are not touched, and later ones start
// their program themselves.
func (t *Tools) Close() {
	t.mu.Lock()
	waiting := t.waiting
	t.waiting, t.closed = nil, true
	if t.end != nil {
		t.end()
	}
	t.mu.Unlock()
	t.starts.Wait()
	for _, s := range waiting {
		s.dismiss()
	}
}
