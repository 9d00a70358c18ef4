package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sekisho/envelope"
)

// Command returns a scanner that runs a program of the administrator's for
// each message, with the message on standard input. Its exit status is the
// verdict: 0 clean, 1 malware, 3 spam; anything else, a signal too, is no
// answer. The first line it prints names the find.
//
// The program reads hostile bytes, so it runs in a sandbox of bubblewrap: no
// network, no environment, as nobody, in namespaces of its own, where it sees
// /usr, the linker's files, a fresh /tmp, and of the rest only paths, to read.
// The gateway's data and keys are not among them. A socket in paths lets it
// talk to a service.
func Command(name string, argv, paths []string) (*Scanner, error) {
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return nil, errors.New("want a list with an absolute path first")
	}
	for _, p := range paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
			return nil, fmt.Errorf("%q: want absolute paths below /", p)
		}
	}
	return &Scanner{Name: name, engine: &command{argv: slices.Clone(argv), paths: slices.Clone(paths)}}, nil
}

type command struct{ argv, paths []string }

func (c *command) antivirus() bool { return true }
func (c *command) dated() bool     { return false }

// The helpers of the sandbox. Both are programs of Debian's; util-linux is
// always there, bubblewrap is not.
const (
	prlimit = "/usr/bin/prlimit"
	bwrap   = "/usr/bin/bwrap"
)

// Limits of a run, those of limits.md for a tool: engines with signatures
// need a gigabyte and more.
const (
	commandMemory = 2 << 30
	commandFile   = 256 << 20
	commandFiles  = 256
	commandCPU    = 60 // seconds
	nobody        = 65534
)

// wrapped is the command line with the sandbox around it.
func (c *command) wrapped() []string {
	w := []string{prlimit, fmt.Sprintf("--data=%d", commandMemory), fmt.Sprintf("--fsize=%d", commandFile),
		fmt.Sprintf("--nofile=%d", commandFiles), fmt.Sprintf("--cpu=%d", commandCPU), "--core=0", "--",
		bwrap, "--unshare-all", "--unshare-user", "--uid", fmt.Sprint(nobody), "--gid", fmt.Sprint(nobody), "--cap-drop", "ALL",
		"--die-with-parent", "--new-session", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LANG", "C.UTF-8",
		"--ro-bind", "/usr", "/usr"}
	for _, d := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64"} {
		// Links into /usr on a merged system, folders on others.
		if target, err := os.Readlink(d); err == nil {
			w = append(w, "--symlink", target, d)
		} else {
			w = append(w, "--ro-bind-try", d, d)
		}
	}
	w = append(w, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
		"--ro-bind-try", "/etc/localtime", "/etc/localtime", "--dev", "/dev", "--size", fmt.Sprint(commandFile), "--tmpfs", "/tmp", "--chdir", "/tmp")
	for _, p := range c.paths {
		w = append(w, "--ro-bind", p, p)
	}
	return append(append(w, "--"), c.argv...)
}

// stdin is what the program reads: the message, from its beginning.
func stdin(m Message) io.Reader { return io.NewSectionReader(m.Bytes, 0, m.Envelope.Size) }

func (c *command) scan(ctx context.Context, m Message) (answer, error) {
	status, line, err := c.run(ctx, c.wrapped(), stdin(m))
	if err != nil {
		return answer{}, err
	}
	switch status {
	case 0:
		return answer{verdict: envelope.ScanClean, detail: line}, nil
	case 1:
		return answer{verdict: envelope.ScanMalware, detail: line}, nil
	case 3:
		return answer{verdict: envelope.ScanSpam, detail: line}, nil
	default:
		return answer{}, fmt.Errorf("exit status %d %s", status, line)
	}
}

// run runs a command line and returns its exit status and first line.
func (c *command) run(ctx context.Context, argv []string, in io.Reader) (int, string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{} // empty, not nil: nil would be ours
	cmd.Dir = "/"
	cmd.Stdin = in
	said := &bounded{left: maxAnswer}
	complaint := &bounded{left: maxAnswer}
	cmd.Stdout, cmd.Stderr = said, complaint
	// Killing the outermost process ends the namespace with all in it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		// In its namespace it would be nobody, and outside still root.
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return 0, "", ctx.Err()
	}
	if said.over || complaint.over {
		return 0, "", fmt.Errorf("an answer of more than %d octets", maxAnswer)
	}
	// That it did not read all of the message is its business: the status says
	// what it thinks.
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		first, _, _ := strings.Cut(said.b.String(), "\n")
		if first == "" && exit.ExitCode() != 1 && exit.ExitCode() != 3 {
			first, _, _ = strings.Cut(complaint.b.String(), "\n")
		}
		if first == "" && strings.HasPrefix(complaint.b.String(), "bwrap: ") {
			// The sandbox's own failure has status 1, and is not the program's
			// word.
			return 0, "", errors.New(complaint.b.String())
		}
		return exit.ExitCode(), first, nil
	case err != nil:
		return 0, "", err
	}
	first, _, _ := strings.Cut(said.b.String(), "\n")
	return 0, first, nil
}

// bounded keeps the beginning of what a program prints and notes when there
// is too much.
type bounded struct {
	b    bytes.Buffer
	left int
	over bool
}

func (w *bounded) Write(p []byte) (int, error) {
	if len(p) > w.left {
		w.over = true
		// An error here ends the copying, and the pipe's reader goes: the
		// program cannot go on for ever.
		return 0, errors.New("too much")
	}
	w.left -= len(p)
	w.b.Write(p)
	return len(p), nil
}

// probe runs nothing of the administrator's: a program that scans has no
// other question that all would understand. It looks whether the sandbox can
// be had and whether the program is in it.
func (c *command) probe(ctx context.Context) (time.Time, string, error) {
	empty := command{argv: []string{"/usr/bin/test", "-x", c.argv[0]}, paths: c.paths}
	status, line, err := empty.run(ctx, empty.wrapped(), strings.NewReader(""))
	switch {
	case err != nil:
		return time.Time{}, "", fmt.Errorf("sandbox (bubblewrap): %w", err)
	case status != 0:
		return time.Time{}, "", fmt.Errorf("%s is not to be seen in the sandbox, or not to be executed: name it under paths %s", c.argv[0], line)
	}
	return time.Time{}, "in a sandbox", nil
}
