package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sekisho/admin"
	"sekisho/envelope"
	"sekisho/internal/audit"
)

// Find is admin.Finder's. Entries are not indexed by what is searched for here:
// a person asks seldom, and an index costs every mail. The table is read from
// the newest entry back, as far as the question wants, and SQLite leaves out
// what cannot match before a row is decoded.
func (s *Store) Find(ctx context.Context, t envelope.TenantID, l admin.Look) ([]envelope.ID, error) {
	ids, err := s.findEntries(ctx, t, l)
	if err == nil && len(ids) < l.Limit {
		ids, err = s.findRecords(ctx, t, l, ids)
	}
	if err != nil {
		return nil, fmt.Errorf("find: %w", err)
	}
	return ids, nil
}

// By id, newest first. The plus keeps SQLite from the index by tenant, with
// which it would have to sort: a million whole rows in memory.
const (
	findAny      = "SELECT " + columns + " FROM entries WHERE id >= ?"
	findOfTenant = findAny + " AND +tenant = ?"
	findHas      = " AND instr(lower(CAST(facts AS TEXT)), ?) > 0"
	findOrder    = " ORDER BY id DESC"
)

func (s *Store) findEntries(ctx context.Context, t envelope.TenantID, l admin.Look) ([]envelope.ID, error) {
	query, args := findAny, []any{string(envelope.FirstID(l.Since))}
	if t != "" {
		query, args = findOfTenant, append(args, string(t))
	}
	for _, n := range l.Needles() {
		// The facts are JSON as this package wrote it; the text is looked for
		// in the form that it has there.
		quoted, err := json.Marshal(n)
		if err != nil {
			return nil, err
		}
		// lower is that of ASCII letters alone, in SQLite and so here: what has
		// others, such as full-width ones, is left to Matches.
		s := string(quoted[1 : len(quoted)-1])
		if !lowersAlike(s) {
			continue
		}
		query += findHas
		args = append(args, lowerASCII(s))
	}
	rows, err := s.readers.QueryContext(ctx, query+findOrder, args...)
	if err != nil {
		return nil, err
	}
	var ids []envelope.ID
	err = each(rows, func(rows *sql.Rows) error {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		e, err := s.decode(&r)
		if err != nil || !l.Matches(&e) {
			return nil // a row that cannot be read is moved aside by who claims it
		}
		if ids = append(ids, e.Envelope.ID); len(ids) == l.Limit {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return ids, err
}

// lowerASCII is SQLite's lower.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// lowersAlike reports whether a text has no letters with two cases but ASCII
// ones.
func lowersAlike(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r >= utf8.RuneSelf && unicode.SimpleFold(r) != r
	})
}

// findRecords adds what only the audit still knows: the entry is gone when the
// time of its bytes is over, and the record stays.
func (s *Store) findRecords(ctx context.Context, t envelope.TenantID, l admin.Look, ids []envelope.ID) ([]envelope.ID, error) {
	from, err := s.firstRecord(ctx, l.Since)
	if err != nil {
		return nil, err
	}
	query, args := "SELECT id FROM audit WHERE seq >= ? AND id <> ''", []any{from}
	if t != "" {
		query, args = query+" AND tenant = ?", append(args, string(t))
	}
	query, args = query+" AND instr(lower(detail), ?) > 0 ORDER BY seq DESC", append(args, lowerASCII(l.Text))
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		var id envelope.ID
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if slices.Contains(ids, id) {
			return nil
		}
		if ids = append(ids, id); len(ids) == l.Limit {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return ids, err
}

// firstRecord is the number of the first audit record of a time. Records are
// numbered in the order of time, so it is found by halving.
func (s *Store) firstRecord(ctx context.Context, since time.Time) (int64, error) {
	low, high := int64(1), int64(0)
	if err := s.readers.QueryRowContext(ctx, "SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM audit").Scan(&low, &high); err != nil {
		return 0, err
	}
	for low < high {
		mid := low + (high-low)/2
		var at int64
		if err := s.readers.QueryRowContext(ctx, "SELECT time FROM audit WHERE seq >= ? ORDER BY seq LIMIT 1", mid).Scan(&at); err != nil {
			return 0, err
		}
		if at < micro(since) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// AuditOf is admin.Finder's.
func (s *Store) AuditOf(ctx context.Context, t envelope.TenantID, id envelope.ID) ([]audit.Record, error) {
	// A message deferred every hour for five days has some hundred records.
	const most = 5000
	rs, err := s.records(ctx, "SELECT "+auditColumns+" FROM audit WHERE id = ? AND id <> '' AND (tenant = ? OR ? = '') ORDER BY seq LIMIT ?",
		string(id), string(t), string(t), most)
	if err != nil {
		return nil, fmt.Errorf("audit of %s: %w", id, err)
	}
	return rs, nil
}
