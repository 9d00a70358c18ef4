package worker

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"sekisho/sanitize"
)

const (
	// sheaf is how many pages one run of the drawing program draws where there
	// are more: as many as make its start cheap, and few enough that two of them
	// share the work.
	sheaf = 10
	// drawnAhead is how much of a sheaf is kept while the one before it is not
	// finished: ten pages of A4 in colour at 150 dpi are 65 MB.
	drawnAhead = 64 * megabyte
)

// draw has pages drawn, two sheaves of them at a time where a second turn is
// free, and passes them on in their order. It looks at no pixel.
func (t *Tools) draw(ctx context.Context, c sanitize.ToolCall, cpu time.Duration, in *os.File, w *pieces, p *purse) (spent time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next, many := c.First, sheaf
	if n := c.Last - c.First + 1; n <= 2*sheaf {
		many = (n + 1) / 2
	}
	begin := func() *drawing {
		part := c
		part.First, part.Last = next, min(next+many-1, c.Last)
		next = part.Last + 1
		prog, _ := programOf(part) // it was proven for all pages
		d := &drawing{done: make(chan struct{}), last: part.Last}
		d.free.L, d.more.L = &d.mu, &d.mu
		left := max(cpu-spent, time.Second)
		go func() {
			defer close(d.done)
			d.spent, _, d.err = t.start(ctx, prog, min(left, prog.cpu), in, &pieces{w: d, most: prog.output, bare: true})
			d.end()
		}()
		return d
	}
	p.drew(c, c.First-1)
	var ahead *drawing
	for next <= c.Last || ahead != nil {
		d := ahead
		if ahead = nil; d == nil {
			d = begin()
		}
		var free func()
		if next <= c.Last {
			if free = t.turnNow(); free != nil {
				ahead = begin()
			}
		}
		failed := d.passOn(w)
		if failed != nil {
			cancel(failed)
		}
		<-d.done
		spent += d.spent
		if err = firstError(failed, d.err); err != nil {
			cancel(err)
		}
		if ahead != nil && err != nil {
			ahead.drop()
			<-ahead.done
			spent += ahead.spent
		}
		if free != nil {
			// The turn of the one that is finished goes to the one that runs on.
			free()
		}
		if err != nil {
			return spent, err
		}
		p.drew(c, d.last)
	}
	return spent, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// drawing is one sheaf: a queue between the program and whoever waits for its
// pages.
type drawing struct {
	mu      sync.Mutex
	free    sync.Cond // there is room again
	more    sync.Cond // there is more to pass on
	queue   [][]byte
	held    int
	ended   bool
	dropped bool

	last  int // of its pages
	done  chan struct{}
	spent time.Duration
	err   error
}

var errDropped = errors.New("nobody wants these pages")

func (d *drawing) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.held > 0 && d.held+len(b) > drawnAhead && !d.dropped {
		d.free.Wait()
	}
	if d.dropped {
		return 0, errDropped
	}
	d.queue, d.held = append(d.queue, append([]byte(nil), b...)), d.held+len(b)
	d.more.Signal()
	return len(b), nil
}

// end says that no more will come.
func (d *drawing) end() {
	d.mu.Lock()
	d.ended = true
	d.more.Signal()
	d.mu.Unlock()
}

// drop lets whoever writes fail.
func (d *drawing) drop() {
	d.mu.Lock()
	d.dropped = true
	d.queue, d.held = nil, 0
	d.free.Signal()
	d.mu.Unlock()
}

// passOn gives to w what comes, until there is no more.
func (d *drawing) passOn(w *pieces) error {
	for {
		d.mu.Lock()
		for len(d.queue) == 0 && !d.ended {
			d.more.Wait()
		}
		if len(d.queue) == 0 {
			d.mu.Unlock()
			return nil
		}
		b := d.queue[0]
		d.queue, d.held = d.queue[1:], d.held-len(d.queue[0])
		d.free.Signal()
		d.mu.Unlock()
		if _, err := w.Write(b); err != nil {
			d.drop()
			return err
		}
	}
}

// turnNow is turn without waiting; nil: not now.
func (t *Tools) turnNow() func() {
	t.mu.Lock()
	slots := t.slots
	t.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }
	default:
		return nil
	}
}
