package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sekisho/internal/blob"
)

// storeSmall stores the small blobs that a row brings. Rows that share one
// bring it each.
func (t *tx) storeSmall(r *row) error {
	for _, b := range r.small {
		if _, err := t.exec("INSERT INTO small (id, bytes) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", b.id, b.bytes); err != nil {
			return err
		}
	}
	return nil
}

// dropSmall deletes a small blob unless a row names it.
func (t *tx) dropSmall(id string) error {
	_, err := t.exec("DELETE FROM small WHERE id = ?1 AND aside = 0 AND ("+references+") = 0", id)
	return err
}

const selectSmall = "SELECT bytes FROM small WHERE id = ? AND aside = 0"

// SmallBlob is spool.Inliner's.
func (s *Store) SmallBlob(ctx context.Context, id blob.ID) ([]byte, error) {
	var b []byte
	err := s.smallBlob.QueryRowContext(ctx, string(id)).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("small blob %s: %w", id, blob.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("small blob %s: %w", id, err)
	}
	if b == nil {
		b = []byte{} // there, and damaged
	}
	return b, nil
}

// SetAside is spool.Inliner's.
func (s *Store) SetAside(ctx context.Context, id blob.ID) error {
	err := s.do(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE small SET aside = 1 WHERE id = ?", string(id))
		if err == nil && n == 0 {
			err = blob.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set small blob %s aside: %w", id, err)
	}
	return nil
}
