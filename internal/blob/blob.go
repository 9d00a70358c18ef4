// Package blob keeps the bytes of messages, encrypted. Every blob has a random
// key of its own; the row that names a blob holds that key wrapped by its
// tenant's key (Keyring), so erasing a tenant's key erases its bytes. The store
// itself never sees a tenant, and nothing is readable without the site's key
// file.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrDamaged says that a blob's bytes are not those that were written: cut
// short, changed, or not the blob the key belongs to.
var ErrDamaged = errors.New("blob is damaged")

// ErrNotFound says that there is no such blob.
var ErrNotFound = errors.New("blob not found")

// ID names a blob: 32 hexadecimal characters (NewID).
type ID string

// Valid reports whether id has the form of one. Ids come from rows, and a row
// may have been changed to name any file.
func (id ID) Valid() bool {
	if len(id) != 32 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Key is a blob's own key. It prints as nothing.
type Key [32]byte

// Format keeps keys out of logs, whatever the verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(key)") }

// Ref names a blob in a row. The zero Ref names none.
type Ref struct {
	ID      ID     `json:"id,omitempty"`
	Size    int64  `json:"size,omitempty"` // of the plain bytes
	Wrapped []byte `json:"key,omitempty"`  // the blob's key, wrapped by the tenant's

	// Inline is a small blob, encrypted, on its way into the journal: it is
	// stored with the first row that names it. A Ref read from a row has none.
	Inline []byte `json:"-"`
}

// IsZero reports whether r names no blob.
func (r Ref) IsZero() bool { return r.ID == "" }

// Writer takes the bytes of a new blob. Nothing is visible before Commit,
// which returns only when bytes and name are durable. Abort after Commit does
// nothing.
type Writer interface {
	io.Writer
	Commit() error
	Abort()
	ID() ID
	Key() Key
	Size() int64
}

// Reader reads a blob at random; every chunk is authenticated before a byte of
// it is handed out. A changed chunk gives ErrDamaged.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Store keeps blobs. All methods may be used by many goroutines.
type Store interface {
	Create(ctx context.Context) (Writer, error)
	Open(ctx context.Context, id ID, key Key) (Reader, error)
	Delete(ctx context.Context, id ID) error                        // no error if it is not there
	Walk(ctx context.Context, f func(id ID, age int64) error) error // age in seconds; for the sweep of blobs without rows
	Free(ctx context.Context) (bytes, inodesPercent int64, err error)
	Aside(ctx context.Context, id ID) error // moves a damaged blob out of the way, never deletes it
}
