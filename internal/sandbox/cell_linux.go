package sandbox

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cell is a Starter that lives in a user, a network and a mount namespace of
// its own, as nobody and with the empty root of a worker, and starts one worker
// at a time in them. The kernel copies all page tables of a process that forks
// into a new user namespace, and afterwards page by page what is written; a child
// in the same one needs neither, and no capability to make itself a root. A
// worker never meets another one in its namespaces: it is dead and reaped before
// the next one comes, and what it could leave there for that one are keys,
// sockets and files, of which its filter lets it make none. Process, ipc and uts
// namespaces it has for itself, as ever.
//
// maxCells bounds them: each is a process with some 3 MiB of its own.
const maxCells = 8

// cellIdle is how long one may wait for its next worker.
const cellIdle = 10 * time.Minute

// cells are those of a Starter.
type cells struct {
	idle []*cell // the one used last at the end
	all  []*cell
}

type cell struct {
	Starter
	rest *time.Timer // ends it when nobody needs it
}

// cellFor takes a cell for a command, or nil if it gets namespaces of its own.
func (s *Starter) cellFor(c *Command) *cell {
	// A process of another user's cannot be put into a group of root's.
	if !c.Brief || c.Path != s.Path || c.Profile.withoutRoot || c.Profile.Landlock != 0 || c.group != nil && os.Geteuid() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.celled && len(s.cells.idle) > 0 {
		last := len(s.cells.idle) - 1
		l := s.cells.idle[last]
		s.cells.idle = s.cells.idle[:last]
		if l.rest.Stop() {
			return l
		}
	}
	if s.closed || !s.celled || len(s.cells.all) >= maxCells {
		return nil
	}
	l := &cell{Starter: Starter{Path: s.Path, image: s.image, cell: true}}
	l.rest = time.AfterFunc(cellIdle, func() { s.endCell(l) })
	l.rest.Stop()
	s.cells.all = append(s.cells.all, l)
	return l
}

// inCell has a cell start a command, and gets it back when that has ended.
func (s *Starter) inCell(l *cell, c *Command, first string) (*Process, error) {
	p, err := l.order(c, first, c.Args, c.Profile.CPU)
	if err != nil {
		s.endCell(l)
		return nil, err
	}
	go func() {
		<-p.done
		if p.err != nil {
			s.endCell(l) // it is gone
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return // Close ends it
		}
		l.rest.Reset(cellIdle) // and ends it, if nobody takes it any more
		s.cells.idle = append(s.cells.idle, l)
	}()
	return p, nil
}

// endCell ends a cell that waits or is broken.
func (s *Starter) endCell(l *cell) {
	s.mu.Lock()
	other := func(o *cell) bool { return o == l }
	s.cells.all = slices.DeleteFunc(s.cells.all, other)
	s.cells.idle = slices.DeleteFunc(s.cells.idle, other)
	s.mu.Unlock()
	// An error means that its socket is closed already.
	_ = l.Starter.Close()
}

// closeCells ends all of them, and what runs in them.
func (s *Starter) closeCells() {
	s.mu.Lock()
	all := s.cells.all
	s.cells = cells{}
	s.mu.Unlock()
	for _, l := range all {
		l.rest.Stop()
		_ = l.Starter.Close()
	}
}

// cellAttr is how a cell begins.
func cellAttr() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Setpgid:     true,
		Pdeathsig:   syscall.SIGKILL,
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN}, // for its root, and for the namespaces of its children
	}
	mapIDs(a)
	return a
}

// What a cell is, its children are: they are executed by the one way out of its
// empty root that is left to it, a working directory in the /proc of before. A
// worker leaves that before anything else (intoRoot).
const (
	cellDir = "" // as it is
	cellExe = "self/exe"
)

// emptyCell moves a cell into an empty root, and sees to it that its children
// begin without a capability and in a domain that denies them everything.
func emptyCell() error {
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /proc: %w", err)
	}
	defer unix.Close(proc)
	binary, err := unix.Openat(proc, cellExe, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the binary: %w", err)
	}
	defer unix.Close(binary)
	if err := emptyRoot(); err != nil {
		return err
	}
	if err := unix.Fchdir(proc); err != nil {
		return fmt.Errorf("enter /proc: %w", err)
	}
	// Without a capability Landlock is for those who can gain none.
	if err := allThreads("no new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return err
	}
	if err := allThreads("keep the capability", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return err
	}
	return landlockCell(binary)
}
