package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// probeTime bounds one probe: a start takes some milliseconds, and a loaded
// machine a hundred times that.
const probeTime = 20 * time.Second

// SelfTest starts the binary once for every attempt to break out that a
// captured worker would make, each in a process of its own, and reports
// whether each failed; and once to see that honest work succeeds. The error says that the test could not be carried out
// at all; Findings.Err says whether it was passed. With either, nothing
// hostile may be read.
func SelfTest(ctx context.Context, binary string, p Profile) (Findings, error) {
	f := Findings{Cgroup: cgroupStatus(os.DirFS("/"))}
	t, free, err := layTargets(binary)
	if err != nil {
		return f, fmt.Errorf("isolation self-test: %w", err)
	}
	defer free()
	for i, pr := range probes {
		found, r, err := runOne(ctx, Command{Path: binary, Profile: p}, pr, t)
		if err != nil {
			return f, fmt.Errorf("isolation self-test: %s: %w", pr.says, err)
		}
		if i == 0 {
			f.Report = r
		}
		f.Probes = append(f.Probes, found)
	}
	return f, nil
}

// runOne makes one attempt. An error means that the child was not confined
// and so did not even try.
func runOne(ctx context.Context, c Command, pr probe, t targets) (Finding, Report, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	c.Args, c.probe = t.args(), pr.name
	out, state, err := collect(ctx, &c)
	if err != nil {
		return Finding{}, Report{}, err
	}
	if state.Err() == ErrUnconfined {
		return Finding{}, Report{}, fmt.Errorf("%w: %s%s", ErrUnconfined, oneLine(out), hint(os.ReadFile))
	}
	found, r := judge(pr, out, state)
	return found, r, nil
}

// collect runs a command and returns what it wrote to descriptors 1 and 2.
func collect(ctx context.Context, c *Command) (string, State, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", State{}, err
	}
	defer r.Close()
	c.Files = []*os.File{nil, w, w}
	p, err := c.Start(ctx)
	w.Close()
	if err != nil {
		return "", State{}, err
	}
	// A probe writes a few lines; a crash of the Go runtime some kilobytes.
	var out bytes.Buffer
	_, readErr := io.Copy(&out, io.LimitReader(r, 64<<10))
	if readErr != nil {
		p.Kill()
	}
	state, err := p.Wait()
	if err == nil {
		err = readErr
	}
	return out.String(), state, err
}

// judge decides whether a probe failed as it must. What it does not expect is
// no pass.
func judge(pr probe, out string, state State) (Finding, Report) {
	f := Finding{Name: pr.says}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	next := func(key string) (string, bool) {
		if len(lines) == 0 {
			return "", false
		}
		v, ok := strings.CutPrefix(lines[0], key+" ")
		if ok {
			lines = lines[1:]
		}
		return v, ok
	}
	fail := func(why string) (Finding, Report) {
		f.Detail = why
		return f, Report{}
	}

	text, ok := next(lineReport)
	if !ok {
		return fail(fmt.Sprintf("no report (%v): %s", state.Err(), oneLine(out)))
	}
	r, err := decodeReport(text)
	if err != nil {
		return fail(err.Error())
	}
	var how []string
	if pr.bare(r) {
		text, ok := next(lineBare)
		if !ok {
			return fail(fmt.Sprintf("ended before the filter (%v): %s", state.Err(), oneLine(out)))
		}
		why, refused := strings.CutPrefix(text, "refused ")
		if !refused {
			return fail("SUCCEEDED without the system call filter")
		}
		how = append(how, why)
	}
	if _, ok := next(lineFilter); !ok {
		return fail(fmt.Sprintf("the filter was not installed (%v): %s", state.Err(), oneLine(out)))
	}
	text, answered := next(lineOutcome)
	why, refused := strings.CutPrefix(text, "refused ")
	switch {
	case pr.works && answered && text == "done" && state.Err() == nil:
		how = append(how, "works")
	case pr.works:
		return fail(fmt.Sprintf("does not work confined (%v): %s", state.Err(), oneLine(out)))
	case answered && !refused:
		return fail("SUCCEEDED")
	case pr.dies && state.Err() == ErrForbidden && !answered:
		how = append(how, "killed by the filter")
	case !pr.dies && answered && state.Err() == nil:
		how = append(how, "under the filter "+why)
	default:
		return fail(fmt.Sprintf("unexpected end (%v): %s", state.Err(), oneLine(out)))
	}
	f.Pass, f.Detail = true, strings.Join(how, "; ")
	return f, r
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 400 {
		s = s[:400] + "..."
	}
	return strconv.Quote(s)
}

// layTargets sets up what the probes aim at, and reaches each of them once:
// an attempt at something that is not there proves nothing.
func layTargets(binary string) (t targets, free func(), err error) {
	var undo []func()
	free = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	defer func() {
		if err != nil {
			free()
		}
	}()
	if t.file, err = filepath.Abs(binary); err != nil {
		return t, free, err
	}
	if err = open(t.file, unix.O_RDONLY); err != nil {
		return t, free, fmt.Errorf("read %s: %w", t.file, err)
	}

	dir, err := shortDir()
	if err != nil {
		return t, free, err
	}
	undo = append(undo, func() { os.RemoveAll(dir) })
	if err = os.Chmod(dir, 0o755); err != nil {
		return t, free, err
	}
	t.socket = filepath.Join(dir, "socket")
	t.abstract = dir
	for _, s := range []struct {
		family int
		at     unix.Sockaddr
	}{
		{unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}},
		{unix.AF_UNIX, &unix.SockaddrUnix{Name: t.socket}},
		{unix.AF_UNIX, &unix.SockaddrUnix{Name: "@" + t.abstract}},
	} {
		fd, err := unix.Socket(s.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return t, free, fmt.Errorf("make a socket to aim at: %w", err)
		}
		undo = append(undo, func() { unix.Close(fd) })
		if err := unix.Bind(fd, s.at); err != nil {
			return t, free, fmt.Errorf("bind a socket to aim at: %w", err)
		}
		if err := unix.Listen(fd, len(probes)); err != nil {
			return t, free, fmt.Errorf("listen on a socket to aim at: %w", err)
		}
		at, err := unix.Getsockname(fd)
		if err != nil {
			return t, free, err
		}
		if in, ok := at.(*unix.SockaddrInet4); ok {
			t.port = in.Port
		}
		if err := connect(s.family, at); err != nil {
			return t, free, fmt.Errorf("connect to a socket to aim at: %w", err)
		}
	}
	// The child is somebody else and must be stopped by its confinement, not
	// by permissions.
	if err = os.Chmod(t.socket, 0o777); err != nil {
		return t, free, err
	}
	return t, free, nil
}

// shortDir makes a directory whose name leaves room in the 108 bytes of a
// unix socket's address.
func shortDir() (string, error) {
	var first error
	for _, at := range []string{os.TempDir(), "/tmp", "/var/tmp", "/run", "/dev/shm"} {
		dir, err := os.MkdirTemp(at, "sekisho-selftest-")
		if err == nil && len(dir) < 90 {
			return dir, nil
		}
		if err == nil {
			err = os.Remove(dir)
		}
		if err != nil && first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("every name is too long")
	}
	return "", fmt.Errorf("no directory for a socket to aim at: %w", first)
}
