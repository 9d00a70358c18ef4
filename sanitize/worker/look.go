package worker

import (
	"context"
	"errors"
	"os"
	"time"

	"sekisho/sanitize"
)

// look has qpdf check a document and prog draw pages of it, beside each other
// where a second turn is free. Neither is told of the other, and both must be
// content; a fault of one ends the other.
func (t *Tools) look(ctx context.Context, prog tool, cpu time.Duration, in *os.File, w *pieces) (spent time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	check, _ := programOf(sanitize.ToolCall{Tool: sanitize.QPDFCheck})
	checked := make(chan struct{})
	var took time.Duration
	var fault error
	checking := func() {
		defer close(checked)
		took, _, fault = t.start(ctx, check, min(cpu, check.cpu), in, &pieces{})
		if fault != nil {
			cancel(fault)
		}
	}
	if free := t.turnNow(); free != nil {
		defer free()
		go checking()
	} else {
		checking()
	}
	if fault == nil || !closed(checked) {
		spent, _, err = t.start(ctx, prog, min(cpu, prog.cpu), in, w)
		if err != nil {
			cancel(err)
		}
	}
	<-checked
	spent += took
	if fault != nil && (err == nil || !errors.Is(fault, err)) {
		// Why the other one was ended is told by whoever failed first.
		return spent, fault
	}
	return spent, err
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
