package sandbox

import (
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cell is a Starter that lives in a user and a network namespace of its own,
// as nobody, and starts one worker at a time in them. The kernel copies all page
// tables of a process that forks into a new user namespace, for fear that the
// two might share memory, and what is written afterwards page by page; a child
// in the same one needs neither. So a worker never meets another one in its
// namespaces: it is dead and reaped before the next one comes, and what it could
// leave there for that one are keys and sockets, which its filter lets it make
// none of. Process, mount, ipc and uts namespaces it has for itself, as ever.
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
	if !c.Brief || !s.celled || c.Path != s.Path || c.group != nil && os.Geteuid() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.cells.idle) > 0 {
		last := len(s.cells.idle) - 1
		l := s.cells.idle[last]
		s.cells.idle = s.cells.idle[:last]
		if l.rest.Stop() {
			return l
		}
	}
	if s.closed || len(s.cells.all) >= maxCells {
		return nil
	}
	l := &cell{Starter: Starter{Path: s.Path, cell: true}}
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
		l.rest.Reset(cellIdle)
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

// beginCell prepares the start of a cell. Its user is nobody, who often cannot
// walk to the binary, as in Command.launch.
func beginCell(attr *os.ProcAttr, binary string) (file *os.File, path string, err error) {
	file, path, err = openBinary(binary, attr.Files)
	if err != nil {
		return nil, "", err
	}
	attr.Sys = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		Setsid:      true,
		Pdeathsig:   syscall.SIGKILL,
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN}, // which its children need, see launch
	}
	mapIDs(attr.Sys)
	return file, path, nil
}
