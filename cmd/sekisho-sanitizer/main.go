// Sekisho-sanitizer is the worker: it treats or verifies one message or file
// and exits. It is started by sekishod or sekisho, never by hand, confines
// itself before it reads the first byte, and refuses to run unconfined. It
// links no database, no network and no way to start a program.
package main

// A worker lives for milliseconds: it need not know of its container's share
// of the CPU, nor look again whether that has changed.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

func main() {
	if _, _, err := sandbox.Enter(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "sekisho-sanitizer: %v\n", err)
		os.Exit(sandbox.ExitUnconfined)
	}
	if err := run(); err != nil {
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
	out := &counted{w: os.NewFile(sanitize.FDOutput, "output"), sum: sha256.New(), most: o.Limits.OutputBytes}
	rep, runErr := all.Run(context.Background(), &o, in, size, out)
	reply := sanitize.Reply{Report: *rep, Size: out.n}
	out.sum.Sum(reply.Digest[:0])
	if runErr != nil {
		reply.Err = runErr.Error()
	}
	return sanitize.WriteFrame(os.NewFile(sanitize.FDReply, "reply"), &reply)
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
}

func (c *counted) Write(p []byte) (int, error) {
	if c.n+int64(len(p)) > c.most {
		return 0, fmt.Errorf("output of more than %d octets: %w", c.most, sanitize.ErrLimit)
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}
