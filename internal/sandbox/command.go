package sandbox

import "os"

// A Command is a confined process about to be started.
type Command struct {
	// Path is the binary, one of ours, built without cgo, whose main calls
	// Enter first. It must be executable by everybody: the child is not root.
	Path string

	// Args are what the program itself is told; Enter returns them.
	Args []string

	// Files become descriptors 0, 1, 2, ...; nil means /dev/null, and 0 to 2
	// that are not listed are /dev/null too. Nothing else is inherited.
	// Directories are refused. As with os/exec, a file handed over is put
	// into blocking mode: give one end of a pipe and keep the other.
	Files []*os.File

	// Profile is the limits; there is no default.
	Profile Profile

	// Starter forks in place of this process, which pays off where this
	// process is big; nil forks here.
	Starter *Starter

	// Brief says that the process lives for moments, as a worker of one message
	// does. A Starter with cells starts such a one in a cell.
	Brief bool

	// Cgroups gives the process a control group of its own where one can be
	// made; nil does not.
	Cgroups *Cgroups

	probe         string   // set by SelfTest
	sharesNetwork bool     // set by a Starter that is in an empty one
	inCell        bool     // set by a cell
	self          bool     // set by a Starter: Path is what it was executed by itself
	group         *os.File // made by Start from Cgroups
	end           func()   // called when the process was reaped, before Wait returns
}
