package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Tool is an external program about to be run once over one file: a
// converter, whose parsers are written in C++ and read what strangers sent. It
// gets namespaces of its own as a worker does, and beside them what a program
// that is not ours needs: a root of read-only pieces of the host (programs,
// libraries, fonts, no data and no configuration but its own), a scratch
// directory in memory, and a list of system calls that are refused.
//
// The first process in there is our own binary again. It builds the root, puts
// the input into the scratch directory, starts the program, and when that has
// ended kills whatever it left behind, and only then takes the output. Killing
// the Process kills them all.
//
// What comes back is believed by nobody: how the program ended proves nothing,
// and what it wrote is as hostile as what it was given.
type Tool struct {
	// Launcher is the binary of ours that is the first process, built without
	// cgo, whose main calls Enter first.
	Launcher string

	// Starter forks in place of this process, as in Command.
	Starter *Starter

	// Path and Args are the program. It runs in the directory /job, where it
	// finds its input as In, and may write below Out and TempDir.
	Path string
	Args []string
	Env  []string // beside PATH, HOME, TMPDIR and LANG

	Input *os.File // copied to /job/In
	In    string   // a plain name: in.docx

	// Output is a memory file, or a pipe. It is what the program writes to its
	// standard output, or, where Out is set, what it leaves as /job/out/Out.
	// Where Outs is set it is so many files, all that it leaves in /job/out, in
	// the order of their names, each behind its length in eight octets; nothing
	// of them where it ended with another status than 0.
	Output *os.File
	Out    string
	Outs   int

	Complaint *os.File // its standard error

	Files map[string]string // further files below /job: a profile
	Binds []string          // further read-only pieces of the host

	Profile ToolProfile

	spare bool
}

// A ToolProfile is what one run of a tool may use up. The zero value is
// refused.
type ToolProfile struct {
	AddressSpace int64         // of each process, RLIMIT_AS
	CPU          time.Duration // whole seconds, of each process
	FileSize     int64         // bytes a file may grow to
	OutputSize   int64         // bytes taken of the output
	Scratch      int64         // bytes of all files together, beside the input
	OpenFiles    int
	Processes    int // and threads
}

// How a tool ended, beside its own exit status. These are the words of our
// first process, which the program cannot speak.
var (
	// ErrNoOutput: it left nothing where its output was to be.
	ErrNoOutput = errors.New("no output")
	// ErrBadOutput: it left a link, a pipe, a directory, or more than was allowed.
	ErrBadOutput = errors.New("its output is no file of the size allowed")
	// ErrNoTool: the program is not there.
	ErrNoTool = errors.New("the program is not installed")
)

// Exit statuses of the first process. Those below are the program's own.
const (
	exitSignal   = 120 // the program was ended by a signal
	exitNoOutput = 121
	exitBad      = 122
	exitNoTool   = 123
	exitTrouble  = 124 // our own: see the complaint
	exitCold     = 126 // a spare that ended before it had an input
)

// ToolErr is State.Err for a tool. The exit status of the program itself, when
// it left an output, is in exit.
func (s State) ToolErr() (exit int, err error) {
	if s.Signal != "" {
		return -1, s.Err()
	}
	switch s.Exit {
	case exitSignal:
		return -1, errors.New("the program was ended by a signal")
	case exitNoOutput:
		return -1, ErrNoOutput
	case exitBad:
		return -1, ErrBadOutput
	case exitNoTool:
		return -1, ErrNoTool
	case exitTrouble:
		return -1, errors.New("the sandbox of the program could not be built")
	case exitCold:
		return -1, ErrCold
	case ExitUnconfined:
		return -1, ErrUnconfined
	default:
		return s.Exit, nil
	}
}

// Places inside.
const (
	jobDir  = "/job"
	outDir  = jobDir + "/out"
	tempDir = jobDir + "/tmp"
)

// Bounds of a tool's limits; above, a limit is a typing error.
const (
	maxToolFiles = 64
	maxOuts      = 64
	maxScratch   = 4 << 30
)

// toolFlag begins the one argument by which a launcher becomes the first
// process of a tool. Like an order it is written before the child exists.
const toolFlag = "--tool="

// toolOrder is what the first process is told.
type toolOrder struct {
	Path    string
	Args    []string
	Env     []string
	In, Out string
	Outs    int
	Files   map[string]string
	Binds   []string
	Profile ToolProfile
	Spare   bool // it is told of its input later
}

func (p ToolProfile) check() error {
	switch {
	case p.AddressSpace < 64<<20 || p.AddressSpace > maxMemory:
		return fmt.Errorf("address space %d", p.AddressSpace)
	case p.CPU < time.Second || p.CPU > maxCPU || p.CPU%time.Second != 0:
		return fmt.Errorf("CPU limit %s", p.CPU)
	case p.FileSize <= 0 || p.FileSize > maxScratch, p.OutputSize <= 0 || p.OutputSize > maxScratch, p.Scratch <= 0 || p.Scratch > maxScratch:
		return fmt.Errorf("sizes %d, %d, %d", p.FileSize, p.OutputSize, p.Scratch)
	case p.OpenFiles < minFiles || p.OpenFiles > maxFiles:
		return fmt.Errorf("limit of %d open files", p.OpenFiles)
	case p.Processes < minThreads || p.Processes > maxThreads:
		return fmt.Errorf("limit of %d processes", p.Processes)
	}
	return nil
}

func (t *Tool) check() error {
	if err := t.Profile.check(); err != nil {
		return err
	}
	switch {
	case t.Input == nil || t.Output == nil || t.Complaint == nil:
		return errors.New("input, output and complaint are not all there")
	case !filepath.IsAbs(t.Path) || !plainName(t.In) && !t.spare || t.Out != "" && !plainName(t.Out):
		return fmt.Errorf("path %q, input %q, output %q", t.Path, t.In, t.Out)
	case t.Outs < 0 || t.Outs > maxOuts || t.Outs > 0 && (t.Out != "" || t.spare):
		return fmt.Errorf("%d outputs", t.Outs)
	case len(t.Files) > maxToolFiles:
		return fmt.Errorf("%d files", len(t.Files))
	}
	for name := range t.Files {
		if !fs.ValidPath(name) {
			return fmt.Errorf("file %q", name)
		}
	}
	for _, b := range t.Binds {
		if !filepath.IsAbs(b) || filepath.Clean(b) != b || b == "/" {
			return fmt.Errorf("bind of %q", b)
		}
	}
	return nil
}

func plainName(s string) bool {
	return s != "" && s[0] != '.' && !strings.ContainsAny(s, "/\x00") && len(s) < 64
}

func (o *toolOrder) argument() (string, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	// The kernel takes 128 KiB of one argument.
	if len(b) > 100<<10 {
		return "", errors.New("the files of the tool are too long")
	}
	return toolFlag + string(b), nil
}
