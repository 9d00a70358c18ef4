package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// A Spare is a LibreOffice that was started before there is anything to
// convert, in the sandbox that any tool has, and waits: its start is four
// fifths of the work on a short document. It serves one document and ends.
//
// It is told by its first process, which is our own binary: that one waits at
// a pipe, and what it finds there is the file's name and the command line that
// LibreOffice would have had. The document itself lies in the memory file that
// was given at the start. Then it hands the command line to LibreOffice by the
// socket at which that waits for a second start of itself, and which lies in
// the scratch directory, where nobody outside can reach it. By the time a
// document is there, no way leads out of the sandbox but the output.
type Spare struct {
	*Process

	turn, ready *os.File
}

// ErrCold says that a spare ended, or was never ready, before it had its
// document. It says nothing about the document.
var ErrCold = errors.New("the waiting program ended before its turn")

// Turn is what a spare is to do.
type Turn struct {
	In   string        // the name its input has in /job
	Out  string        // the name of what it leaves in /job/out
	Args []string      // the rest of the command line
	CPU  time.Duration // from now on; whole seconds
}

// maxTurn bounds a turn, which is a name and a few options.
const maxTurn = 4 << 10

// Ready returns when the program waits for its document. False: it never will.
func (s *Spare) Ready() bool {
	var b [1]byte
	n, _ := s.ready.Read(b[:])
	return n == 1
}

// Give gives the spare its turn. The input was written before.
func (s *Spare) Give(t Turn) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	if len(b) > maxTurn {
		return errors.New("the turn of a tool is too long")
	}
	// It fits into the pipe, so that nothing is waited for here.
	if _, err := s.turn.Write(b); err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return s.turn.Close()
}

// Dismiss kills it, and closes what belongs to it.
func (s *Spare) Dismiss() {
	s.Kill()
	s.turn.Close()
	s.ready.Close()
}
