package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// What a message may ask of the tools. A captured worker must not loop
// LibreOffice; a mail of ten PDF files needs some thirty runs.
const (
	toolRunsPart    = 8
	toolRunsMessage = 64
	// Looks at what was rebuilt are short and by far the most, one for each PDF
	// of an archive; they count for themselves, and so do asking which fonts there
	// are and the pictures in JPEG 2000, of which a scanned page has two.
	toolLooks = 256
	toolCPU   = 60 * time.Second // of all runs for a message
	toolTime  = 60 * time.Second // of one run
)

// ErrOutOfTurn says that a worker asked for what nobody may ask for, or before
// it had its last answer. Nothing it says is believed any more.
var ErrOutOfTurn = errors.New("the worker asked for a tool out of turn")

// Tools runs external programs for workers, each in a sandbox of its own. The
// fields are set before the first use. One Tools may serve many Runners.
type Tools struct {
	Starter  *sandbox.Starter // forks in this process's place; nil: this process forks itself
	Launcher string           // path of sekisho-sanitizer, the first process of each sandbox
	AtOnce   int              // runs at the same time; zero: one a core
	Time     time.Duration    // of one run; zero: 60 s
	CPU      time.Duration    // of all runs for a message; zero: 60 s

	// Programs replaces programs by others, by their names (soffice, qpdf,
	// pdftoppm, pdftocairo, pdftotext): where a site has them elsewhere. Folders that a
	// replacement needs and that are not part of /usr are Binds.
	Programs map[string]string
	Binds    []string

	// Ran is told of every run. May be nil.
	Ran func(t sanitize.Tool, took time.Duration, err error)

	// Spares is how many LibreOffices wait, started and confined, for the next
	// document; zero: none. Each serves one and ends. Close ends them.
	Spares int

	none bool // every call is answered so

	mu       sync.Mutex
	slots    chan struct{}
	waiting  []*spare
	starting int
	failed   int // starts of spares in a row
	starts   sync.WaitGroup
	living   context.Context // of the spares
	end      context.CancelFunc
	closed   bool
}

// toolsFor gives a worker the tools that its task may need: who treats may
// convert, who only looks has nothing to ask for.
func (r *Runner) toolsFor(t sanitize.Task) *Tools {
	if r.Tools != nil && (t == sanitize.TaskMail || t == sanitize.TaskFile) {
		return r.Tools
	}
	return &Tools{none: true}
}

// turn waits until one more tool may run.
func (t *Tools) turn(ctx context.Context) (free func(), err error) {
	t.mu.Lock()
	if t.slots == nil {
		n := t.AtOnce
		if n == 0 {
			n = runtime.NumCPU()
		}
		t.slots = make(chan struct{}, n)
	}
	slots := t.slots
	t.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// purse is what one run of a worker may still ask for.
type purse struct {
	runs  int
	looks int
	parts map[int]int
	cpu   time.Duration
	drawn func(done, of int) // told of pages, may be nil
}

// drew tells how far the pages of a document are.
func (p *purse) drew(c sanitize.ToolCall, last int) {
	if p.drawn != nil {
		p.drawn(last, max(c.Of, c.Last))
	}
}

// charge counts a run, and says how much processor time it may take.
func (p *purse) charge(c sanitize.ToolCall, all time.Duration) (time.Duration, error) {
	part := c.Part
	switch look := c.Tool == sanitize.PDFLook || c.Tool == sanitize.FontNames || c.Tool == sanitize.JP2Pixels; {
	case look && p.looks >= toolLooks:
		return 0, fmt.Errorf("more than %d looks for a message", toolLooks)
	case look && all-p.cpu >= time.Second:
		p.looks++
		return (all - p.cpu).Truncate(time.Second), nil
	case p.runs >= toolRunsMessage:
		return 0, fmt.Errorf("more than %d runs for a message", toolRunsMessage)
	case p.parts[part] >= toolRunsPart:
		return 0, fmt.Errorf("more than %d runs for a part", toolRunsPart)
	case all-p.cpu < time.Second:
		return 0, fmt.Errorf("%s of processor time used up", all)
	}
	p.runs++
	p.parts[part]++
	return (all - p.cpu).Truncate(time.Second), nil
}

// serve answers the calls of one worker until it closes its end. waiting is
// called around the time in which a call waits for its turn, which is no time
// of the worker's. What it may ask of the administrator's converters, and who is
// told of pages, o says. An error means that the worker did what none of ours does.
func (t *Tools) serve(ctx context.Context, socket *os.File, waiting func(bool), o *sanitize.Options) error {
	p := purse{parts: map[int]int{}, drawn: o.Drawn}
	for {
		var c sanitize.ToolCall
		err := sanitize.ReadNext(socket, &c, maxCall)
		switch {
		case absent(err):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", ErrOutOfTurn, err)
		}
		if err := t.answer(ctx, socket, c, &p, waiting, o.Converters); err != nil {
			if absent(err) {
				return nil
			}
			return err
		}
	}
}

// absent says that the worker is not there any more: who killed it knows why.
func absent(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}

// maxCall bounds a call, which is a handful of numbers.
const maxCall = 1 << 10

func (t *Tools) answer(ctx context.Context, socket *os.File, c sanitize.ToolCall, p *purse, waiting func(bool), hooks []sanitize.Converter) error {
	prog, ok := programOf(c, hooks...)
	if !ok || c.Size < 0 || c.Size > sanitize.MaxToolInput || c.Part < 0 || c.Part > 1<<20 {
		return fmt.Errorf("%w: %+v", ErrOutOfTurn, c)
	}
	// The input is taken in any case: what follows it is the next call.
	in, err := memoryFile("tool input")
	if err != nil {
		return err
	}
	defer in.Close()
	if n, err := io.CopyN(in, socket, c.Size); err != nil {
		if absent(err) {
			return nil
		}
		return fmt.Errorf("%w: %d of %d octets: %w", ErrOutOfTurn, n, c.Size, err)
	}
	if err := sealFile(in); err != nil {
		return err
	}
	w := &pieces{w: socket, most: prog.output}
	a := t.run(ctx, prog, c, in, w, p, waiting)
	// Whoever waits for an answer has nothing to say meanwhile.
	if said, err := pending(socket); err != nil {
		return err
	} else if said {
		return fmt.Errorf("%w: before its answer", ErrOutOfTurn)
	}
	if w.err != nil {
		return w.err
	}
	if _, err := socket.Write([]byte{0, 0, 0, 0}); err != nil {
		return err
	}
	return sanitize.WriteFrame(socket, a)
}

// run runs one tool and gives its output to w.
func (t *Tools) run(ctx context.Context, prog tool, c sanitize.ToolCall, in *os.File, w *pieces, p *purse, waiting func(bool)) (a sanitize.ToolAnswer) {
	if t.none {
		return sanitize.ToolAnswer{Result: sanitize.ToolMissing, Detail: "no tools are run here"}
	}
	all := t.CPU
	if all == 0 {
		all = toolCPU
	}
	cpu, err := p.charge(c, all)
	if err != nil {
		return sanitize.ToolAnswer{Result: sanitize.ToolSpent, Detail: err.Error()}
	}
	waiting(true)
	free, err := t.turn(ctx)
	waiting(false)
	if err != nil {
		return sanitize.ToolAnswer{Result: sanitize.ToolFailed, Detail: err.Error()}
	}
	defer free()
	limit := t.Time
	if limit == 0 {
		limit = toolTime
	}
	if prog.limit != 0 {
		limit = min(limit, prog.limit)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w %s", errSlow, limit))
	defer cancel()
	begin := time.Now()
	var spent time.Duration
	switch {
	case c.Tool == sanitize.PDFLook:
		spent, err = t.look(ctx, prog, cpu, in, w)
	case c.Tool == sanitize.PDFPixels && c.Last-c.First >= sheaf, c.Tool == sanitize.PDFGreys && c.Last > c.First:
		spent, err = t.draw(ctx, c, cpu, in, w, p)
	case c.Tool == sanitize.PDFWords && c.Of >= 2*fewWords:
		spent, err = t.words(ctx, c, cpu, in, w)
	case c.Tool == sanitize.PDFPixels, c.Tool == sanitize.PDFGreys:
		p.drew(c, c.First-1)
		if spent, _, err = t.start(ctx, prog, min(cpu, prog.cpu), in, w); err == nil {
			p.drew(c, c.Last)
		}
	default:
		spent, _, err = t.start(ctx, prog, min(cpu, prog.cpu), in, w)
	}
	p.cpu += spent
	if t.Ran != nil {
		t.Ran(c.Tool, time.Since(begin), err)
	}
	switch {
	case err == nil:
		return sanitize.ToolAnswer{Result: sanitize.ToolDone}
	case errors.Is(err, sandbox.ErrNoTool), errors.Is(err, sandbox.ErrUnconfined), errors.Is(err, sandbox.ErrUnsupported):
		a.Result = sanitize.ToolMissing
	case errors.Is(err, errSlow):
		a.Result = sanitize.ToolSlow
	default:
		a.Result = sanitize.ToolFailed
	}
	a.Detail = err.Error()
	if len(a.Detail) > 300 {
		a.Detail = strings.ToValidUTF8(a.Detail[:300], "")
	}
	return a
}

// errSlow says that a run was ended at its limit.
var errSlow = errors.New("longer than")

// start runs the program to its end and says how much processor time it took,
// and the beginning of what it complained.
func (t *Tools) start(ctx context.Context, prog tool, cpu time.Duration, in *os.File, w *pieces) (spent time.Duration, said string, err error) {
	if prog.name == officeName {
		defer t.refill()
		if spent, err, ok := t.fromSpare(ctx, prog, cpu, in, w); ok {
			return spent, "", err
		}
	}
	// Of its own, so that the program can do nothing to ours.
	input, err := reopen(in, os.O_RDONLY)
	if err != nil {
		return 0, "", err
	}
	defer input.Close()
	var output, stream *os.File
	if prog.stream {
		if stream, output, err = os.Pipe(); err != nil {
			return 0, "", fmt.Errorf("pipe: %w", err)
		}
		defer stream.Close()
		// Fewer turns of the two; where it is not allowed it is as it was.
		_, _ = unix.FcntlInt(output.Fd(), unix.F_SETPIPE_SZ, streamPiece)
	} else if output, err = memoryFile("tool output"); err != nil {
		return 0, "", err
	}
	defer output.Close()
	heard, complaint, err := os.Pipe()
	if err != nil {
		return 0, "", fmt.Errorf("pipe: %w", err)
	}
	defer heard.Close()
	x := t.sandboxed(prog, cpu)
	x.Input, x.Output, x.Complaint = input, output, complaint
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	process, err := x.Start(ctx)
	complaint.Close()
	if err != nil {
		return 0, "", err
	}
	complained := listen(heard)
	if prog.stream {
		output.Close() // the program has it
		if err := w.takeAll(stream); err != nil {
			cancel(err)
			process.Kill()
		}
	}
	state, err := process.Wait()
	said = <-complained
	spent = state.User + state.System
	if err != nil {
		return spent, said, err
	}
	return spent, said, t.taken(ctx, prog, state, said, output, w)
}

// sandboxed is a program in the sandbox that it gets, without its files.
func (t *Tools) sandboxed(prog tool, cpu time.Duration) sandbox.Tool {
	path, binds := prog.path, t.Binds
	if len(prog.binds) > 0 {
		binds = append(slices.Clone(binds), prog.binds...)
	}
	if p, ok := t.Programs[prog.name]; ok {
		path = p
	}
	env := prog.env
	if !prog.wide {
		env = append(slices.Clone(env), hoard)
	}
	return sandbox.Tool{
		Starter: t.Starter, Launcher: t.Launcher, Path: path, Args: prog.args, Env: env, In: prog.in, Out: prog.out, Outs: prog.outs,
		Files: prog.files, Binds: binds, Profile: toolProfile(prog, cpu),
	}
}

// listen takes the beginning of what a program complains until it has ended.
func listen(heard io.Reader) <-chan string {
	done := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		_, _ = io.Copy(&text, io.LimitReader(heard, 4<<10))
		// A program that floods it is not to wait for us.
		_, _ = io.Copy(io.Discard, heard)
		done <- text.String()
	}()
	return done
}

// taken judges how a program ended and passes on what it left in output.
func (t *Tools) taken(ctx context.Context, prog tool, state sandbox.State, said string, output *os.File, w *pieces) error {
	exit, err := state.ToolErr()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w%s", err, printable(said))
	case w.err != nil:
		return w.err
	case !slices.Contains(prog.exits, exit):
		return fmt.Errorf("exit status %d%s", exit, printable(said))
	case prog.stream || prog.silent:
		return nil
	}
	// All of it is dead: what is copied is what will be read.
	_, err = io.Copy(w, io.NewSectionReader(output, 0, prog.output+1))
	return err
}

// pieces sends an output to the worker in pieces, and no more than was fixed
// before the start.
type pieces struct {
	w    io.Writer
	most int64
	bare bool // without their lengths
	n    int64
	buf  []byte
	err  error // of the socket
}

// streamPiece is what is taken at once of an output that is passed on as it
// comes: what a pipe may hold without privileges, pipe(7).
const streamPiece = 1 << 20

// takeAll passes on what r brings until its end.
func (p *pieces) takeAll(r io.Reader) error {
	b := make([]byte, streamPiece)
	for {
		n, err := r.Read(b)
		if n > 0 {
			if _, err := p.Write(b[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

var errTooLong = errors.New("its output is longer than was agreed")

func (p *pieces) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.n += int64(len(b)); p.n > p.most {
		return 0, errTooLong
	}
	if p.err != nil {
		return 0, p.err
	}
	out := b
	if !p.bare {
		// In one write: whoever waits for it is woken once.
		p.buf = append(binary.BigEndian.AppendUint32(p.buf[:0], uint32(len(b))), b...)
		out = p.buf
	}
	if _, p.err = p.w.Write(out); p.err != nil {
		return 0, p.err
	}
	return len(b), nil
}

// pending reports whether something waits to be read.
func pending(f *os.File) (bool, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var n int
	var ierr error
	if err := raw.Control(func(fd uintptr) { n, ierr = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		// The package has an error of its own for a file that is closed, which is
		// not exported.
		return false, fmt.Errorf("%w: %w", os.ErrClosed, err)
	}
	return n > 0, ierr
}

// patience is the time of a run of a worker, which stands still while it waits
// for the turn of a tool.
type patience struct {
	mu     sync.Mutex
	timer  *time.Timer
	left   time.Duration
	begun  time.Time
	paused bool
}

// withPatience is context.WithTimeout with a clock that can stand still.
func withPatience(ctx context.Context, limit time.Duration) (context.Context, *patience, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{left: limit, begun: time.Now()}
	p.timer = time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	return ctx, p, func() {
		p.mu.Lock()
		p.timer.Stop()
		p.paused = true
		p.mu.Unlock()
		cancel(context.Canceled)
	}
}

func (p *patience) pause(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.timer == nil: // of a run without a limit
	case yes && !p.paused:
		if p.timer.Stop() {
			p.paused = true
			p.left -= time.Since(p.begun)
		}
	case !yes && p.paused:
		p.paused = false
		p.begun = time.Now()
		p.timer.Reset(max(p.left, 0))
	}
}
