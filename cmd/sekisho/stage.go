package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// staged is an output that is whole and on the disk but has no name yet: a
// crash or an interrupt leaves nothing, and under its name it is never half.
type staged struct {
	f    *os.File
	name string // of a file system that cannot do without names, else ""
}

// stage writes content into folder dir. perm is that of the input: the
// harmless form is read by nobody who could not read the first one.
func stage(dir string, content io.Reader, perm fs.FileMode) (s *staged, err error) {
	s = &staged{}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		s.f = os.NewFile(uintptr(fd), filepath.Join(dir, "(output)"))
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.EINVAL):
		// Network file systems and sticks: a name that nobody takes for a result.
		if s.f, err = os.CreateTemp(dir, ".sekisho-*"); err != nil {
			return nil, fmt.Errorf("stage: %w", err)
		}
		s.name = s.f.Name()
	default:
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer func() {
		if err != nil {
			s.drop()
		}
	}()
	if _, err := io.Copy(s.f, content); err != nil {
		return nil, fmt.Errorf("write output: %w", err)
	}
	// Owner may always write his own output; what the input denied to others
	// stays denied.
	if err := s.f.Chmod(perm&0o666 | 0o600); err != nil && s.name == "" {
		return nil, fmt.Errorf("write output: %w", err)
	}
	if err := s.f.Sync(); err != nil {
		return nil, fmt.Errorf("write output: %w", err)
	}
	return s, nil
}

// publish gives the file its name. It never takes the name of another file:
// then the error is fs.ErrExist.
func (s *staged) publish(to string) error {
	if s.name == "" {
		// linkat's AT_EMPTY_PATH would need a capability; open(2), O_TMPFILE.
		from := fmt.Sprintf("/proc/self/fd/%d", s.f.Fd())
		if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW); err != nil {
			return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
		}
		return nil
	}
	err := unix.Renameat2(unix.AT_FDCWD, s.name, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = unix.Link(s.name, to); err == nil {
			err = unix.Unlink(s.name)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: s.name, New: to, Err: err}
	}
	s.name = ""
	return nil
}

// drop forgets the file, unless it was published.
func (s *staged) drop() {
	s.f.Close()
	if s.name != "" {
		os.Remove(s.name)
	}
}
