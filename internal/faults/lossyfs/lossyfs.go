// Package lossyfs is a disk that can lose its power, for tests: a FUSE file
// system in memory that tells what is durable from what is not. A write is
// durable after fsync of its file, a name (created, renamed or removed) after
// fsync of its directory, and nothing else is: no file system in use is as
// strict, so what survives here survives there. It can also be full, slow,
// read-only, or fail.
//
// The disk lives in a process of its own. A test process that served its own
// mount could stand still for ever: a page fault in a mapped file (SQLite maps
// its -shm) is no system call, and the runtime does not know that the thread
// waits for another goroutine. So a test package that uses lossyfs calls Main
// first thing in its TestMain.
//
// It needs root and /dev/fuse.
package lossyfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// childEnv is how the test binary knows that it is to be the disk.
const childEnv = "SEKISHO_LOSSYFS"

// Main serves a disk and ends the process, when this is the process for it.
// Otherwise it does nothing.
func Main() {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	if err := serve(dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lossyfs:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A request is what a test asks its disk.
type request struct {
	Op     string // cut, remount, set, counts
	Mode   Mode   `json:",omitempty"`
	Seed   uint64 `json:",omitempty"`
	Faults Faults
}

type reply struct {
	Err    string `json:",omitempty"`
	Counts Counts
}

// serve runs the disk until in ends.
func serve(dir string, in io.Reader, out io.Writer) error {
	d := newDisk()
	if _, err := mount(d, dir); err != nil {
		return err
	}
	// Lazily: who still has a file open keeps the old disk until it closes it.
	off := func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
	defer func() { _ = off() }()
	enc, dec := json.NewEncoder(out), json.NewDecoder(in)
	if err := enc.Encode(reply{}); err != nil {
		return err
	}
	for {
		var q request
		if err := dec.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var r reply
		var err error
		switch q.Op {
		case "cut":
			d = d.afterCut(q.Mode, rand.New(rand.NewPCG(q.Seed, 1)))
		case "remount":
			if err = off(); err == nil {
				_, err = mount(d, dir)
			}
		case "set":
			d.mu.Lock()
			d.faults = q.Faults
			d.mu.Unlock()
		case "counts":
			d.mu.Lock()
			r.Counts = d.counts
			d.mu.Unlock()
		default:
			err = fmt.Errorf("unknown request %q", q.Op)
		}
		if err != nil {
			r.Err = err.Error()
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
}

// Disk is a mounted disk.
type Disk struct {
	Dir string // where it is mounted

	t   testing.TB
	mu  sync.Mutex
	enc *json.Encoder
	dec *json.Decoder
}

// New mounts an empty disk until the test ends. Without root or /dev/fuse the
// test is skipped, and says so.
func New(t testing.TB) *Disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: a disk that loses its power needs root to be mounted; nothing was shown here")
	}
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: a disk that loses its power needs FUSE: %v; nothing was shown here", err)
	}
	f.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &Disk{Dir: t.TempDir(), t: t}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+d.Dir)
	cmd.Stderr = os.Stderr
	// Should the test process die, so does the disk.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.enc, d.dec = json.NewEncoder(in), json.NewDecoder(out)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("lossyfs: %v", err)
		}
		// What its process could not take away.
		_ = syscall.Unmount(d.Dir, syscall.MNT_DETACH)
	})
	var r reply
	if err := d.dec.Decode(&r); err != nil {
		t.Fatalf("lossyfs does not start (TestMain must call lossyfs.Main): %v", err)
	}
	return d
}

func (d *Disk) ask(q request) reply {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var r reply
	err := d.enc.Encode(q)
	if err == nil {
		err = d.dec.Decode(&r)
	}
	if err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	if err != nil {
		d.t.Fatalf("lossyfs: %s: %v", q.Op, err)
	}
	return r
}

// Cut cuts the power: from now on nothing can be changed. What is read until
// Remount is the old state.
func (d *Disk) Cut(mode Mode, seed uint64) {
	d.t.Helper()
	d.ask(request{Op: "cut", Mode: mode, Seed: seed})
}

// Remount shows what the cut left. Who used the disk should be dead, or have
// closed it. Faults are gone.
func (d *Disk) Remount() {
	d.t.Helper()
	d.ask(request{Op: "remount"})
}

// Set makes the disk ill, or well again.
func (d *Disk) Set(f Faults) {
	d.t.Helper()
	d.ask(request{Op: "set", Faults: f})
}

// Counts returns what was asked of the disk since it was last mounted.
func (d *Disk) Counts() Counts {
	d.t.Helper()
	return d.ask(request{Op: "counts"}).Counts
}
