package blob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// LoadKeyFile reads a file of exactly 32 bytes: the site's key, or the seed of
// the seals. It refuses one that others than its owner may read or change, and
// anything that is no regular file.
func LoadKeyFile(path string) ([32]byte, error) {
	var key [32]byte
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return key, fmt.Errorf("read key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return key, fmt.Errorf("read key file: %w", err)
	}
	switch {
	case !st.Mode().IsRegular():
		return key, fmt.Errorf("key file %s is not a regular file", path)
	case st.Mode().Perm()&0o077 != 0:
		return key, fmt.Errorf("key file %s may be read or changed by others (mode %#o): set it to 0600", path, st.Mode().Perm())
	case st.Size() != int64(len(key)):
		return key, fmt.Errorf("key file %s has %d bytes, not %d", path, st.Size(), len(key))
	}
	if _, err := io.ReadFull(f, key[:]); err != nil {
		return key, fmt.Errorf("read key file %s: %w", path, err)
	}
	return key, nil
}

// LoadOrCreateKeyFile reads a key file, or makes one with a random key when
// there is none; made says which. What it makes has mode 0600 and is durable
// before it returns. It never replaces a file.
func LoadOrCreateKeyFile(path string) (key [32]byte, made bool, err error) {
	key, err = LoadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if key, err = createKeyFile(path); err != nil {
		return key, false, err
	}
	return key, true, nil
}

func createKeyFile(path string) (key [32]byte, err error) {
	if _, err := rand.Read(key[:]); err != nil {
		panic(err) // crypto/rand.Read does not fail on Linux
	}
	fail := func(err error) ([32]byte, error) {
		return [32]byte{}, fmt.Errorf("make key file: %w", err)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(key[:])
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		// Link, not Rename: a key that appeared meanwhile must not be lost.
		err = os.Link(f.Name(), path)
	}
	if err != nil {
		return fail(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fail(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fail(err)
	}
	return key, nil
}
