package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"sekisho/spool"
)

// code returns SQLite's primary result code, 0 for other errors.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// explain puts into words what an administrator can do about an error.
func explain(err error) error {
	switch code(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		if !errors.Is(err, errDamaged) {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: %w", spool.ErrFull, err)
	case lib.SQLITE_IOERR:
		// The index of the write-ahead log is made anew when the database is
		// opened, and is the first to find no room.
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == lib.SQLITE_IOERR_SHMSIZE {
			return fmt.Errorf("%w: %w", spool.ErrFull, err)
		}
	}
	return err
}

// duplicate reports whether err is a broken UNIQUE constraint.
func duplicate(err error) bool { return code(err) == lib.SQLITE_CONSTRAINT }

// escaped writes a path for a DSN, in which "?", "%" and "#" mean something.
func escaped(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
