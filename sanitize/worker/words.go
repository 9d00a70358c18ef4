package worker

import (
	"context"
	"io"
	"os"
	"time"

	"sekisho/sanitize"
)

// fewWords is how many pages are so few that a run for them costs more than it
// saves.
const fewWords = 4

// words has the words of a document read: the first half of its pages and the
// others beside each other where a second turn is free. How many pages there are
// is what the worker expects; where it is mistaken, and there is no second half,
// it asks again without saying.
func (t *Tools) words(ctx context.Context, c sanitize.ToolCall, cpu time.Duration, in *os.File, w *pieces) (spent time.Duration, err error) {
	head, tail := c, c
	free := t.turnNow()
	if free != nil {
		defer free()
		head.Last = c.Of / 2
		tail.First = head.Last + 1
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read := func(c sanitize.ToolCall, w *pieces) (time.Duration, error) {
		prog, _ := programOf(c) // it was proven for all pages
		took, _, err := t.start(ctx, prog, min(cpu, prog.cpu), in, w)
		if err != nil {
			cancel(err)
		}
		return took, err
	}
	first, second := make(chan struct{}), make(chan struct{})
	var took time.Duration
	var fault error
	if free != nil {
		go func() {
			defer close(second)
			took, fault = read(tail, &pieces{w: behind{ctx, first, w}, most: w.most, bare: true})
		}()
	} else {
		close(second)
	}
	spent, err = read(head, w)
	close(first)
	<-second
	return spent + took, firstError(err, fault)
}

// behind passes on to w what comes, once the first is through.
type behind struct {
	ctx   context.Context
	first <-chan struct{}
	w     io.Writer
}

func (b behind) Write(p []byte) (int, error) {
	<-b.first
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	return b.w.Write(p)
}
