package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"sekisho/internal/blob"
)

// TenantKey is blob.KeyTable's.
func (s *Store) TenantKey(ctx context.Context, tenant string) ([]byte, error) {
	var wrapped []byte
	err := s.readers.QueryRowContext(ctx, "SELECT wrapped FROM tenant_keys WHERE tenant = ?", tenant).Scan(&wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, blob.ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("tenant key: %w", err)
	}
	return wrapped, nil
}

// AddTenantKey is blob.KeyTable's.
func (s *Store) AddTenantKey(ctx context.Context, tenant string, wrapped []byte) ([]byte, error) {
	var stored []byte
	err := s.do(ctx, func(t *tx) error {
		if _, err := t.exec("INSERT INTO tenant_keys (tenant, wrapped) VALUES (?, ?) ON CONFLICT DO NOTHING", tenant, wrapped); err != nil {
			return err
		}
		return t.query(func(rows *sql.Rows) error { return rows.Scan(&stored) }, "SELECT wrapped FROM tenant_keys WHERE tenant = ?", tenant)
	})
	if err != nil {
		return nil, fmt.Errorf("add tenant key: %w", err)
	}
	return stored, nil
}

// DeleteTenantKey is blob.KeyTable's. secure_delete has overwritten the key in
// the database; the WAL, which may still show it, is folded in and emptied.
// That is also what makes it durable.
func (s *Store) DeleteTenantKey(ctx context.Context, tenant string) error {
	err := s.hurry(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM tenant_keys WHERE tenant = ?", tenant)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete tenant key: %w", err)
	}
	var busy, frames, done int
	err = s.readers.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done)
	if err != nil {
		return fmt.Errorf("delete tenant key: empty the write-ahead log: %w", err)
	}
	if busy != 0 {
		return errors.New("delete tenant key: the write-ahead log, which still shows it, could not be emptied: try again")
	}
	// SQLite does not sync the file it has cut short: after a power cut it
	// would be back as it was.
	if err := syncFile(s.path + "-wal"); err != nil {
		return fmt.Errorf("delete tenant key: empty the write-ahead log: %w", err)
	}
	return nil
}

// syncFile syncs a file that SQLite has open. It must not be the database or
// the -shm: closing those would give up SQLite's locks (fcntl(2)).
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
