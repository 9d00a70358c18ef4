package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// spareStart is how long LibreOffice may take until it waits: a second on an
// idle machine.
const spareStart = 60 * time.Second

// Prepare starts the tool as a spare. Its Args are the command line without a
// document; In and Out come with its turn. When ctx is done, all of it is
// killed.
func (t *Tool) Prepare(ctx context.Context) (*Spare, error) {
	turn, order, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	defer turn.Close()
	ready, waits, err := os.Pipe()
	if err != nil {
		order.Close()
		return nil, fmt.Errorf("pipe: %w", err)
	}
	defer waits.Close()
	x := *t
	x.spare = true
	p, err := x.start(ctx, turn, waits)
	if err != nil {
		order.Close()
		ready.Close()
		return nil, err
	}
	return &Spare{Process: p, turn: order, ready: ready}, nil
}

// wait is run for a spare: it starts the program, waits until that waits, and
// then for its turn.
func (o *toolOrder) wait() int {
	pid, code := o.program()
	if code != 0 {
		return code
	}
	type end struct {
		status unix.WaitStatus
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		s, err := reap(pid)
		ended <- end{s, err}
	}()
	type called struct {
		line *os.File
		err  error
	}
	waiting := make(chan called, 1)
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		line, err := callOffice(gone)
		waiting <- called{line, err}
	}()
	var line *os.File
	select {
	case <-ended:
		return exitCold
	case w := <-waiting:
		if w.err != nil {
			fmt.Fprintln(os.Stderr, w.err)
			return exitCold // what is left dies with this process, the first of all
		}
		line = w.line
	}
	ready := os.NewFile(toolReady, "ready")
	_, _ = ready.Write([]byte{1}) // whoever does not listen needs no spare
	ready.Close()
	turn := make(chan []byte, 1)
	go func() {
		f := os.NewFile(toolTurn, "turn")
		b, _ := io.ReadAll(io.LimitReader(f, maxTurn+1))
		f.Close()
		turn <- b
	}()
	var t Turn
	select {
	case <-ended:
		return exitCold
	case b := <-turn:
		if err := json.Unmarshal(b, &t); err != nil || !plainName(t.In) || !plainName(t.Out) || t.CPU < time.Second {
			return exitCold // dismissed
		}
	}
	o.In, o.Out = t.In, t.Out
	if err := o.give(); err != nil {
		fmt.Fprintf(os.Stderr, "give: %v\n", err)
		return exitTrouble
	}
	if err := limitFromNow(pid, min(t.CPU, o.Profile.CPU)); err != nil {
		fmt.Fprintf(os.Stderr, "limit: %v\n", err)
		return exitTrouble
	}
	// From here on the program is the sender's. What it says on this line is
	// believed as far as its exit status would be: that it has finished.
	if _, err := line.Write(officeArguments(append(t.Args, filepath.Join(jobDir, t.In)))); err != nil {
		return exitCold
	}
	var finished atomic.Bool
	go func() {
		if s, err := untilNUL(line); err == nil && s == officeDone {
			finished.Store(true)
			// It would take its time to say goodbye.
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}()
	e := <-ended
	switch {
	case e.err != nil:
		fmt.Fprintln(os.Stderr, e.err)
		return exitTrouble
	case finished.Load():
		return o.ended(0)
	default:
		return o.ended(e.status)
	}
}

// limitFromNow lets a process have that much more processor time.
func limitFromNow(pid int, cpu time.Duration) error {
	// clock_getcpuclockid(3): the clock of a process's processor time.
	var had unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &had); err != nil {
		return fmt.Errorf("processor time of the program: %w", err)
	}
	most := uint64((time.Duration(had.Nano()) + cpu + time.Second - 1) / time.Second)
	var have unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, nil, &have); err != nil {
		return err
	}
	most = min(most, have.Max)
	return unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: most, Max: most}, nil)
}

// The words of LibreOffice's second start, desktop/source/app/officeipcthread.cxx:
// whoever connects is asked for its command line once the program can take it,
// and told when that was done. A letter says how the working directory is given.
const (
	officeAsks = "InternalIPC::SendArguments"
	officeDone = "InternalIPC::ProcessingDone"
	officeArgs = "InternalIPC::Arguments1file://" + jobDir
)

// officeArguments writes a command line as LibreOffice reads it.
func officeArguments(args []string) []byte {
	var b strings.Builder
	b.WriteString(officeArgs)
	escape := strings.NewReplacer(`\`, `\\`, ",", `\,`, "\x00", `\0`)
	for _, a := range args {
		b.WriteString("," + escape.Replace(a))
	}
	b.WriteByte(0)
	return []byte(b.String())
}

// callOffice connects to the program as soon as it is there, and returns when
// it can take a document.
func callOffice(gone <-chan struct{}) (*os.File, error) {
	deadline := time.Now().Add(spareStart)
	for time.Now().Before(deadline) {
		for _, pattern := range []string{tempDir, "/tmp", "/var/tmp"} {
			// Its user's number and a digest of the profile's place stand behind.
			names, _ := filepath.Glob(pattern + "/OSL_PIPE_*")
			for _, name := range names {
				line, err := dial(name)
				if err != nil {
					continue // it has not begun to listen
				}
				if s, err := untilNUL(line); err != nil || s != officeAsks {
					line.Close()
					return nil, fmt.Errorf("the program says %q (%w)", s, errors.Join(err, ErrCold))
				}
				return line, nil
			}
		}
		select {
		case <-gone:
			return nil, ErrCold
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("the program did not begin to wait within %s", spareStart)
}

func dial(name string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect: %w", err)
	}
	return os.NewFile(uintptr(fd), "line to the program"), nil
}

// untilNUL reads a word that ends with a NUL. All words of LibreOffice are
// shorter than its bound.
func untilNUL(r io.Reader) (string, error) {
	const most = 64
	var s []byte
	var b [1]byte
	for len(s) < most {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return string(s), err
		}
		if b[0] == 0 {
			return string(s), nil
		}
		s = append(s, b[0])
	}
	return string(s), errors.New("a word without an end")
}
