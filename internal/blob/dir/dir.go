// Package dir keeps blobs as files of one directory tree.
//
// A blob is written to tmp/, synced, renamed to its place and the directory
// synced, so that what Commit acknowledged survives a power cut and what it did
// not is at most a file in tmp/, which the next Open removes.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"sekisho/internal/blob"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Store keeps blobs under a data directory.
type Store struct {
	root    string // blobs, in 256 directories by the first byte of their id
	tmp     string // being written
	damaged string // moved out of the way

	mu   sync.Mutex
	dirs map[string]*syncer // directories that exist, and are durable in their parent
}

// Open opens the store in dataDir, which it makes if need be, and removes what
// an earlier daemon left half written. The caller holds the lock of the
// database beside it: two stores on one directory would take each other's
// unfinished files away.
func Open(dataDir string) (*Store, error) {
	s := &Store{
		root:    filepath.Join(dataDir, "blobs"),
		tmp:     filepath.Join(dataDir, "blobs", "tmp"),
		damaged: filepath.Join(dataDir, "damaged"),
		dirs:    map[string]*syncer{},
	}
	if err := os.MkdirAll(dataDir, dirMode); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if err := syncAbove(dataDir); err != nil {
		return nil, err
	}
	for _, d := range []string{s.root, s.tmp, s.damaged} {
		if _, err := s.ensure(d); err != nil {
			return nil, err
		}
	}
	left, err := os.ReadDir(s.tmp)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.tmp, err)
	}
	for _, e := range left {
		if err := os.Remove(filepath.Join(s.tmp, e.Name())); err != nil {
			return nil, fmt.Errorf("remove unfinished blob: %w", err)
		}
	}
	return s, nil
}

// syncAbove makes durable the names by which a directory is reached: a data
// directory that was just made is otherwise gone after a power cut, with all
// that was synced in it. Whoever made it, it is done once per start.
func syncAbove(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("sync above data directory: %w", err)
	}
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		// Where we may not even look, we have made nothing; and a read-only or
		// special file system has nothing to sync.
		err := syncDir(path)
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EINVAL) {
			return err
		}
	}
	return nil
}

// ensure makes a directory durable in its parent, once.
func (s *Store) ensure(path string) (*syncer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.dirs[path]; ok {
		return d, nil
	}
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	// Also when it existed: the daemon that made it may have died before this.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	d := &syncer{path: path}
	s.dirs[path] = d
	return d, nil
}

// path returns where a blob lives, or false for what is no id: ids come from
// rows, and a row may have been changed to name any file.
func (s *Store) path(id blob.ID) (string, bool) {
	if !id.Valid() {
		return "", false
	}
	return filepath.Join(s.root, string(id[:2]), string(id)), true
}

// Create begins a new blob.
func (s *Store) Create(ctx context.Context) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := newWriter(s, blob.NewID(time.Now()))
	if err != nil {
		return nil, err // and no nil *writer, which is not a nil Writer
	}
	return w, nil
}

// Open opens a blob for reading. Its length is authenticated before Open
// returns.
func (s *Store) Open(ctx context.Context, id blob.ID, key blob.Key) (blob.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, ok := s.path(id)
	if !ok {
		return nil, fmt.Errorf("open blob: %w", blob.ErrNotFound)
	}
	// Neither follow a link nor wait for a pipe that somebody put there.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open blob %s: %w", id, blob.ErrNotFound)
	case errors.Is(err, syscall.ELOOP):
		return nil, fmt.Errorf("open blob %s: %w: a symbolic link", id, blob.ErrDamaged)
	case err != nil:
		return nil, fmt.Errorf("open blob: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open blob %s: %w", id, err)
	}
	if !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("open blob %s: %w: not a regular file", id, blob.ErrDamaged)
	}
	r, err := blob.NewReader(f, f, st.Size(), id, key)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open blob %s: %w", id, err)
	}
	return r, nil
}

// Delete removes a blob. It need not be durable: a file that comes back after
// a power cut has no row and the sweep finds it again.
func (s *Store) Delete(ctx context.Context, id blob.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, ok := s.path(id)
	if !ok {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

// Walk calls f for every blob, with its age in seconds. Files with other names
// are not blobs and are left alone.
func (s *Store) Walk(ctx context.Context, f func(id blob.ID, age int64) error) error {
	for i := range 256 {
		if err := s.walkDir(ctx, filepath.Join(s.root, fmt.Sprintf("%02x", i)), f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) walkDir(ctx context.Context, path string, f func(id blob.ID, age int64) error) error {
	d, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("walk blobs: %w", err)
	}
	defer d.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		// A directory may hold any number of files: take them in portions.
		es, err := d.ReadDir(1024)
		for _, e := range es {
			id := blob.ID(e.Name())
			if p, ok := s.path(id); !ok || filepath.Dir(p) != path {
				continue
			}
			st, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("walk blobs: %w", err)
			}
			if err := f(id, int64(time.Since(st.ModTime())/time.Second)); err != nil {
				return err
			}
		}
		if len(es) == 0 || err != nil {
			return nil
		}
	}
}

// Free returns the bytes that the daemon's user may still write, and how many
// per cent of the inodes are free; 100 where the file system counts none.
func (s *Store) Free(ctx context.Context) (bytes, inodesPercent int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.root, &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", s.root, err)
	}
	inodesPercent = 100
	if st.Files > 0 {
		inodesPercent = int64(float64(st.Ffree) / float64(st.Files) * 100)
	}
	free := float64(st.Bavail) * float64(st.Bsize)
	return int64(min(free, 1<<62)), inodesPercent, nil
}

// Aside moves a blob to the directory damaged/, where no sweep comes.
func (s *Store) Aside(ctx context.Context, id blob.ID) error {
	path, ok := s.path(id)
	if !ok {
		return fmt.Errorf("move blob aside: %w", blob.ErrNotFound)
	}
	to := filepath.Join(s.damaged, string(id))
	for n := 1; ; n++ {
		// Link refuses to replace what already lies there, Rename does not.
		err := os.Link(path, to)
		if err == nil {
			break
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move blob %s aside: %w", id, blob.ErrNotFound)
		}
		if !errors.Is(err, fs.ErrExist) || n > 100 {
			return fmt.Errorf("move blob aside: %w", err)
		}
		to = filepath.Join(s.damaged, string(id)+"."+strconv.Itoa(n))
	}
	if err := syncDir(s.damaged); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("move blob aside: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", path, err)
	}
	return nil
}

// A syncer makes the entries of one directory durable. Whoever comes while a
// sync runs waits for the next one, which all that came meanwhile share: fifty
// connections pay for two directory syncs, not for fifty.
type syncer struct {
	path string
	mu   sync.Mutex
	run  *syncRun // running
	next *syncRun // waits for run to end
}

type syncRun struct {
	done chan struct{}
	err  error
}

// sync returns when everything that was in the directory at the call is
// durable.
func (d *syncer) sync() error {
	d.mu.Lock()
	if d.run != nil {
		// The running sync may have begun before our rename: take the next.
		r := d.next
		if r != nil {
			d.mu.Unlock()
			<-r.done
			return r.err
		}
		r = &syncRun{done: make(chan struct{})}
		before := d.run
		d.next = r
		d.mu.Unlock()
		<-before.done
		d.mu.Lock()
		d.run, d.next = r, nil
		d.mu.Unlock()
		return d.finish(r)
	}
	r := &syncRun{done: make(chan struct{})}
	d.run = r
	d.mu.Unlock()
	return d.finish(r)
}

func (d *syncer) finish(r *syncRun) error {
	r.err = syncDir(d.path)
	d.mu.Lock()
	if d.run == r && d.next == nil {
		d.run = nil
	}
	d.mu.Unlock()
	close(r.done)
	return r.err
}
