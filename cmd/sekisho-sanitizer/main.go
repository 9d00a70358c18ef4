// A worker lives for milliseconds: it need not look again how much of the CPU
// its container may use.
//
//go:debug updatemaxprocs=0

// Sekisho-sanitizer is the worker: it treats or verifies one message or file
// and exits, or, in a text lane, plain texts of one tenant one after the other.
// It is started by sekishod or sekisho, never by hand, confines itself before
// it reads the first byte, and refuses to run unconfined. It links no database,
// no network and no way to start a program: whoever needs an external tool asks
// the parent. (The same binary is the first process in the sandbox of a tool,
// which starts that tool and reads nothing of its files.)
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

func main() {
	args, _, err := sandbox.Enter(os.Args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sekisho-sanitizer: %v\n", err)
		os.Exit(sandbox.ExitUnconfined)
	}
	switch {
	case len(args) == 0:
		err = run()
	case len(args) == 1 && args[0] == sanitize.Lane:
		err = lane()
	default:
		err = fmt.Errorf("arguments %q", args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sekisho-sanitizer: %v\n", err)
		os.Exit(1)
	}
}

func run() (err error) {
	// The one recover: a panic ends the run, and the parent keeps back or
	// holds. What it prints names code, not content.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var o sanitize.Options
	if err := sanitize.ReadFrame(os.NewFile(sanitize.FDOptions, "options"), &o, sanitize.MaxOptions); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	in := os.NewFile(sanitize.FDInput, "input")
	size, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("size of input: %w", err)
	}
	// The process began with one processor, which is enough for some milliseconds
	// of work; what is large has more.
	if size >= 1<<20 {
		runtime.SetDefaultGOMAXPROCS()
	}
	// The collector sets out at 4 MiB, which a document of some 100 KiB reaches a
	// few times and a short text never does. Begun later it costs such a one a
	// fifth less; what is large collects as ever, since there memory counts.
	if treats := o.Task == sanitize.TaskMail || o.Task == sanitize.TaskFile; treats && size > 32<<10 && size < 1<<20 {
		debug.SetGCPercent(200)
	}
	file := os.NewFile(sanitize.FDOutput, "output")
	out := &counted{w: file, file: file, sum: sha256.New(), most: o.Limits.OutputBytes}
	tools := sanitize.ToolClient{Socket: os.NewFile(sanitize.FDTools, "tools")}
	rep, runErr := all.RunWith(context.Background(), &o, tools.Run, in, size, out)
	reply := sanitize.Reply{Report: *rep, Size: out.n}
	out.sum.Sum(reply.Digest[:0])
	if runErr != nil {
		reply.Err = runErr.Error()
	}
	return sanitize.WriteFrame(os.NewFile(sanitize.FDReply, "reply"), &reply)
}

// lane serves plain text, one message after the other, until its parent closes
// the pipe. Any error ends it: the next message begins in a fresh process.
func lane() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	// One message at a time needs one thread; more of them wake each other for
	// nothing, which in short texts is a good part of the work.
	runtime.GOMAXPROCS(1)
	replies := os.NewFile(sanitize.FDReply, "reply")
	// One read for all of a short message.
	in := bufio.NewReaderSize(os.NewFile(sanitize.FDInput, "input"), 32<<10)
	var options sanitize.LaneOptions
	var message []byte
	var answer bytes.Buffer
	for {
		o, err := options.Next(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("options: %w", err)
		}
		if message, err = sanitize.ReadBytes(in, message, sanitize.MaxLaneMessage); err != nil {
			return fmt.Errorf("message: %w", err)
		}
		var output bytes.Buffer
		out := &counted{w: &output, sum: sha256.New(), most: sanitize.MaxLaneOutput}
		rep, runErr := all.Plain(context.Background(), o, bytes.NewReader(message), int64(len(message)), out)
		if runErr != nil {
			// What was written before that is no output.
			if err := sanitize.WriteFrame(replies, &sanitize.Reply{Own: true, Report: sanitize.Report{Outcome: sanitize.Refused}}); err != nil {
				return err
			}
			continue
		}
		reply := sanitize.Reply{Report: *rep, Size: out.n}
		out.sum.Sum(reply.Digest[:0])
		// And one write.
		answer.Reset()
		if err := sanitize.WriteFrame(&answer, &reply); err != nil {
			return err
		}
		answer.Write(output.Bytes())
		if _, err := replies.Write(answer.Bytes()); err != nil {
			return fmt.Errorf("output: %w", err)
		}
	}
}

// counted counts and hashes what is written, and stops at the limit.
type counted struct {
	w   io.Writer
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	n    int64
	most int64

	file *os.File // of a process of its own: can be begun anew
	err  error
}

// Reset begins the output anew, for the next step of the ladder.
func (c *counted) Reset() {
	if c.file == nil {
		c.err = errors.New("the output cannot be begun anew")
		return
	}
	if c.err = c.file.Truncate(0); c.err == nil {
		_, c.err = c.file.Seek(0, io.SeekStart)
	}
	c.n, c.sum = 0, sha256.New()
}

func (c *counted) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.n+int64(len(p)) > c.most {
		return 0, fmt.Errorf("output of more than %d octets: %w", c.most, sanitize.ErrLimit)
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}
