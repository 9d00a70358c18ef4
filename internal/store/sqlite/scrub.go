package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sekisho/spool"
)

// scrubPortion is how many rows are looked at between two chances for others
// to write.
const scrubPortion = 500

// restShare is how much longer a walk through the whole journal rests than it
// works: it is for what nobody asks for, and the mail of the day comes first.
const restShare = 3

// rest waits after a portion of a walk that began then.
func rest(ctx context.Context, began time.Time) error {
	select {
	case <-time.After(restShare * time.Since(began)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	scrubNext = "SELECT " + columns + " FROM entries WHERE seq > ? AND state NOT IN (1, 2) ORDER BY seq LIMIT ?"
	scrubOne  = "SELECT " + columns + " FROM entries WHERE seq = ? AND state NOT IN (1, 2) AND (lease = '' OR lease_until <= ?)"
)

// Scrub looks at every row that nobody would look at before a person or its
// expiry does, and puts those that are not as the gateway wrote them back to be
// looked at. Without it, a message whose row was changed to Done would be gone
// without a word. It returns how many rows that were. A million rows take a
// minute of one processor, spread over four.
func (s *Store) Scrub(ctx context.Context) (int, error) {
	found, at := 0, int64(0)
	for {
		began := time.Now()
		rows, err := s.readers.QueryContext(ctx, scrubNext, at, scrubPortion)
		if err != nil {
			return found, fmt.Errorf("scrub: %w", err)
		}
		n := 0
		var bad []int64
		err = each(rows, func(rows *sql.Rows) error {
			r, err := scanRow(rows)
			if err != nil {
				return err
			}
			n, at = n+1, r.seq
			if _, err := s.decode(&r); err != nil || !s.intact(&r) {
				bad = append(bad, r.seq)
			}
			return nil
		})
		if err != nil {
			return found, fmt.Errorf("scrub: %w", err)
		}
		for _, seq := range bad {
			if err := s.do(ctx, func(t *tx) error { return t.scrub(seq, &found) }); err != nil {
				return found, fmt.Errorf("scrub: %w", err)
			}
		}
		if n < scrubPortion {
			return found, nil
		}
		if err := rest(ctx, began); err != nil {
			return found, fmt.Errorf("scrub: %w", err)
		}
	}
}

// scrub looks again at one row, which may have been settled meanwhile.
func (t *tx) scrub(seq int64, found *int) error {
	now := t.s.now()
	rows, err := t.rows(scrubOne, seq, now.UnixMicro())
	if err != nil || len(rows) == 0 {
		return err
	}
	r := &rows[0]
	e, err := t.s.decode(r)
	switch {
	case err != nil:
		*found++
		return t.damaged(r, err)
	case e.Tampered != "" && (e.State == spool.Held || e.State == spool.Done):
		*found++
		return t.lookAgain(r, now)
	default:
		return nil
	}
}
