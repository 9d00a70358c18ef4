package dir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sekisho/internal/blob"
)

type writer struct {
	store *Store
	id    blob.ID
	key   blob.Key
	enc   *blob.Encoder
	file  *os.File
	tmp   string
	done  bool
}

func newWriter(s *Store, id blob.ID) (*writer, error) {
	w := &writer{store: s, id: id, key: blob.NewKey(), tmp: filepath.Join(s.tmp, string(id))}
	var err error
	w.file, err = os.OpenFile(w.tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	if w.enc, err = blob.NewEncoder(w.file, id, w.key); err != nil {
		return nil, errors.Join(fmt.Errorf("create blob: %w", err), w.file.Close(), os.Remove(w.tmp))
	}
	return w, nil
}

func (w *writer) ID() blob.ID   { return w.id }
func (w *writer) Key() blob.Key { return w.key }
func (w *writer) Size() int64   { return w.enc.Size() }

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.enc.Write(p)
	if err != nil {
		return n, fmt.Errorf("write blob %s: %w", w.id, err)
	}
	return n, nil
}

// Commit makes the blob durable under its name. After an error the blob is
// gone; it is never tried again with the same file, since a second fsync may
// report success for pages the first one lost.
func (w *writer) Commit() error {
	if w.done {
		return fmt.Errorf("commit blob %s: %w", w.id, os.ErrClosed)
	}
	w.done = true
	err := w.enc.End(true)
	if err == nil {
		err = w.file.Sync()
	}
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(fmt.Errorf("commit blob %s: %w", w.id, err), os.Remove(w.tmp))
	}
	path, _ := w.store.path(w.id)
	d, err := w.store.ensure(filepath.Dir(path))
	if err != nil {
		return errors.Join(err, os.Remove(w.tmp))
	}
	if err := os.Rename(w.tmp, path); err != nil {
		return errors.Join(fmt.Errorf("commit blob: %w", err), os.Remove(w.tmp))
	}
	if err := d.sync(); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Abort throws the blob away.
func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	// What cannot be removed now is removed by the next Open.
	_ = w.enc.End(false)
	_ = w.file.Close()
	_ = os.Remove(w.tmp)
}
