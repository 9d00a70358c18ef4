package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/spool"
)

// suspectTime is how long an entry with deaths is watched before the next one
// is handed out. What kills the daemon does it when it is looked at; what has
// gone on for ten seconds waits for a peer, and must not keep the others.
const suspectTime = 10 * time.Second

// deathPause puts an entry that died twice behind the others.
const deathPause = 5 * time.Second

// Insert is spool.Journal's.
func (s *Store) Insert(ctx context.Context, es []spool.Entry, events []audit.Event) error {
	rows := make([]row, len(es))
	for i, e := range es {
		e.Tampered = "" // a new entry is what its maker says
		var err error
		if rows[i], err = s.encode(e); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	return s.insert(ctx, rows, events)
}

// InsertInHand is spool.Adopter's.
func (s *Store) InsertInHand(ctx context.Context, e spool.Entry, events []audit.Event) (spool.Entry, error) {
	e.Tampered, e.Deaths = "", 0
	r, err := s.encode(e)
	if err != nil {
		return spool.Entry{}, fmt.Errorf("insert: %w", err)
	}
	e.Lease = rand.Text()
	r.lease, r.leaseUntil = e.Lease, s.now().Add(spool.LeaseTime).UnixMicro()
	e.Original.Inline, e.Sanitized.Inline = nil, nil // as a claimed one has it
	return e, s.insert(ctx, []row{r}, events)
}

func (s *Store) insert(ctx context.Context, rows []row, events []audit.Event) error {
	now := s.now().UnixMicro()
	err := s.do(ctx, func(t *tx) error {
		for i := range rows {
			if err := t.insert(&rows[i], now); err != nil {
				return err
			}
		}
		return t.record(events)
	})
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return nil
}

func (t *tx) insert(r *row, now int64) error {
	_, err := t.exec("INSERT INTO entries (id, tenant, parent, state, due, expires, original, sanitized, facts, seal, lease, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.id, r.tenant, r.parent, r.state, r.due, r.expires, r.original, r.sanitized, r.facts, r.seal, r.lease, r.leaseUntil)
	if duplicate(err) {
		return fmt.Errorf("entry %s: %w", r.id, spool.ErrExists)
	}
	if err != nil {
		return err
	}
	if r.lease == "" {
		t.wake(r, now)
	}
	return t.storeSmall(r)
}

func (t *tx) wake(r *row, now int64) {
	if r.due <= now {
		t.woken[r.state] = true
	}
}

// A partial index is used only when its condition stands in the text; SQLite,
// which has no statistics of our tables, would rather search by state and sort.
const (
	heldDue = "SELECT " + columns + " FROM entries INDEXED BY entries_held WHERE state = 3 AND expires > 0 AND expires <= ? AND (lease = '' OR lease_until <= ?) ORDER BY expires, seq LIMIT ?"
	doneDue = "SELECT " + columns + " FROM entries INDEXED BY entries_done WHERE state = 4 AND expires > 0 AND expires <= ? ORDER BY expires, seq LIMIT ?"
)

// The state stands in the text, here too: a parameter where a partial index has
// a number makes SQLite prepare the statement anew for every value.
var (
	suspectDue = map[spool.State]string{
		spool.Received: "SELECT " + columns + " FROM entries INDEXED BY entries_suspect WHERE state = 1 AND (lease <> '' OR deaths > 0) AND due <= ? AND (lease = '' OR lease_until <= ?) ORDER BY due, seq LIMIT 1",
		spool.Queued:   "SELECT " + columns + " FROM entries INDEXED BY entries_suspect WHERE state = 2 AND (lease <> '' OR deaths > 0) AND due <= ? AND (lease = '' OR lease_until <= ?) ORDER BY due, seq LIMIT 1",
	}
	nextTenant = map[spool.State]string{
		spool.Received: "SELECT tenant FROM entries INDEXED BY entries_received WHERE state = 1 AND tenant > ? ORDER BY tenant LIMIT 1",
		spool.Queued:   "SELECT tenant FROM entries INDEXED BY entries_queued WHERE state = 2 AND tenant > ? ORDER BY tenant LIMIT 1",
	}
	dueOfTenant = map[spool.State]string{
		spool.Received: "SELECT " + columns + " FROM entries INDEXED BY entries_received WHERE state = 1 AND tenant = ? AND due <= ? AND lease = '' AND deaths = 0 ORDER BY due, seq LIMIT ?",
		spool.Queued:   "SELECT " + columns + " FROM entries INDEXED BY entries_queued WHERE state = 2 AND tenant = ? AND due <= ? AND lease = '' AND deaths = 0 ORDER BY due, seq LIMIT ?",
	}
)

// Settle is spool.Journal's.
func (s *Store) Settle(ctx context.Context, e spool.Entry, c spool.Change) error {
	id := e.Envelope.ID
	next := e
	if c.Update != nil {
		c.Update(&next)
	}
	// These are not for a step to change: the envelope is under the intake
	// seal, and whether the row was tampered with is the store's to say.
	next.Envelope, next.Tampered, next.State = e.Envelope, e.Tampered, c.To
	r, err := s.encode(next)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	spawn := make([]row, len(c.Spawn))
	for i, n := range c.Spawn {
		if spawn[i], err = s.encode(n); err != nil {
			return fmt.Errorf("settle %s: spawn: %w", id, err)
		}
	}
	now := s.now().UnixMicro()
	err = s.do(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE entries SET parent = ?, state = ?, due = ?, expires = ?, original = ?, sanitized = ?, facts = ?, seal = ?, "+
			"lease = '', lease_until = 0, deaths = 0 WHERE id = ? AND tenant = ? AND lease = ? AND lease <> ''",
			r.parent, r.state, r.due, r.expires, r.original, r.sanitized, r.facts, r.seal, r.id, r.tenant, e.Lease)
		if err != nil {
			return err
		}
		if n == 0 {
			return spool.ErrLost
		}
		t.wake(&r, now)
		if err := t.storeSmall(&r); err != nil {
			return err
		}
		if old := string(e.Sanitized.ID); old != "" && old != r.sanitized {
			if err := t.dropSmall(old); err != nil {
				return err
			}
		}
		for i := range spawn {
			if err := t.insert(&spawn[i], now); err != nil {
				return fmt.Errorf("spawn: %w", err)
			}
		}
		for st := range s.suspect {
			if s.suspect[st].id == id {
				s.suspect[st] = suspect{}
				// The next one waits for this one's end.
				t.woken[st] = true
			}
		}
		return t.record(c.Events)
	})
	if err != nil {
		return fmt.Errorf("settle %s: %w", id, err)
	}
	return nil
}

// Get is spool.Journal's.
func (s *Store) Get(ctx context.Context, tenant envelope.TenantID, id envelope.ID) (spool.Entry, error) {
	es, err := s.read(ctx, "SELECT "+columns+" FROM entries WHERE id = ? AND (tenant = ? OR ? = '')", string(id), string(tenant), string(tenant))
	if err == nil && len(es) == 0 {
		err = spool.ErrNotFound
	}
	if err != nil {
		return spool.Entry{}, fmt.Errorf("get %s: %w", id, err)
	}
	return es[0], nil
}

// List is spool.Journal's.
func (s *Store) List(ctx context.Context, f spool.Filter) ([]spool.Entry, error) {
	where, args := []string{"id > ?"}, []any{string(f.After)}
	and := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if f.Tenant != "" {
		and("tenant = ?", string(f.Tenant))
	}
	if f.State != 0 {
		// In the text, where the index for it is partial.
		where = append(where, fmt.Sprintf("state = %d", f.State))
	}
	if f.Parent != "" {
		and("parent = ? AND parent <> ''", string(f.Parent))
	}
	if !f.Before.IsZero() {
		and("CASE WHEN state IN (1, 2) THEN due < ?1 ELSE expires > 0 AND expires < ?1 END", f.Before.UnixMicro())
		where[len(where)-1] = strings.ReplaceAll(where[len(where)-1], "?1", fmt.Sprintf("?%d", len(args)))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 1000
	}
	es, err := s.read(ctx, "SELECT "+columns+" FROM entries WHERE "+strings.Join(where, " AND ")+" ORDER BY id LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return es, nil
}

// read reads entries without leasing them. Rows that cannot be read are moved
// aside, and the rest is returned.
func (s *Store) read(ctx context.Context, query string, args ...any) ([]spool.Entry, error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var es []spool.Entry
	var bad []int64
	err = each(rows, func(rows *sql.Rows) error {
		r, err := scanRow(rows)
		if err != nil {
			return err
		}
		e, err := s.decode(&r)
		if err != nil {
			bad = append(bad, r.seq)
			return nil
		}
		es = append(es, e)
		return nil
	})
	if err != nil || len(bad) == 0 {
		return es, err
	}
	return es, s.do(ctx, func(t *tx) error {
		for _, seq := range bad {
			rows, err := t.rows("SELECT "+columns+" FROM entries WHERE seq = ?", seq)
			if err != nil {
				return err
			}
			for i := range rows {
				if _, err := s.decode(&rows[i]); err != nil {
					if err := t.damaged(&rows[i], err); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// references counts the rows that name a blob, damaged ones too.
const references = "SELECT (SELECT count(*) FROM (SELECT 1 FROM entries WHERE original = ?1 LIMIT 1)) + " +
	"(SELECT count(*) FROM (SELECT 1 FROM entries WHERE sanitized = ?1 AND sanitized <> '' LIMIT 1)) + " +
	"(SELECT count(*) FROM damaged WHERE original = ?1 OR sanitized = ?1)"

// Referenced is spool.Journal's.
func (s *Store) Referenced(ctx context.Context, id blob.ID) (bool, error) {
	var n int
	if err := s.readers.QueryRowContext(ctx, references, string(id)).Scan(&n); err != nil {
		return false, fmt.Errorf("references of blob %s: %w", id, err)
	}
	if n > 0 {
		return true, nil
	}
	// What has just been read may be a commit that a power cut takes back, and
	// the caller is about to delete the bytes.
	if err := s.barrier(ctx); err != nil {
		return true, fmt.Errorf("references of blob %s: %w", id, err)
	}
	return false, nil
}

// Purge is spool.Journal's. A row that was tampered with is not deleted: who
// can write "Done, expired" into a row could otherwise have its mail destroyed.
func (s *Store) Purge(ctx context.Context, now time.Time, n int) ([]blob.ID, error) {
	var free []blob.ID
	err := s.do(ctx, func(t *tx) error {
		rows, err := t.rows(doneDue, now.UnixMicro(), n)
		if err != nil {
			return err
		}
		named := map[string]bool{}
		for i := range rows {
			r := &rows[i]
			if _, err := s.decode(r); err != nil {
				err = t.damaged(r, err)
				if err != nil {
					return err
				}
				continue
			}
			if !s.intact(r) {
				if err := t.lookAgain(r, now); err != nil {
					return err
				}
				continue
			}
			if _, err := t.exec("DELETE FROM entries WHERE seq = ?", r.seq); err != nil {
				return err
			}
			named[r.original], named[r.sanitized] = true, true
		}
		delete(named, "")
		for id := range named {
			still := 0
			if err := t.query(func(rows *sql.Rows) error { return rows.Scan(&still) }, references, id); err != nil {
				return err
			}
			if still == 0 {
				free = append(free, blob.ID(id))
				if err := t.dropSmall(id); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("purge: %w", err)
	}
	return free, nil
}

// Each by an index that has these alone; what is in none of them is done.
const countStates = "SELECT (SELECT count(*) FROM entries INDEXED BY entries_received WHERE state = 1), " +
	"(SELECT count(*) FROM entries INDEXED BY entries_waiting WHERE state = 2), " +
	"(SELECT count(*) FROM entries INDEXED BY entries_waiting WHERE state = 3), (SELECT count(*) FROM entries)"

// counts keeps a count that took long: a million rows take a quarter of a
// second, and metrics are asked for often. It is good for twenty times as long
// as it took.
type counts struct {
	mu     sync.Mutex
	n      map[spool.State]int64
	oldest time.Time
	until  time.Time // by the machine's clock
}

// Count is spool.Journal's.
func (s *Store) Count(ctx context.Context) (map[spool.State]int64, time.Time, error) {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	began := time.Now()
	if began.Before(s.counts.until) {
		return maps.Clone(s.counts.n), s.counts.oldest, nil
	}
	n, oldest, err := s.count(ctx)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("count: %w", err)
	}
	if took := time.Since(began); took > 50*time.Millisecond {
		s.counts.n, s.counts.oldest, s.counts.until = maps.Clone(n), oldest, time.Now().Add(20*took)
	}
	return n, oldest, nil
}

func (s *Store) count(ctx context.Context) (map[spool.State]int64, time.Time, error) {
	var received, queued, held, all int64
	if err := s.readers.QueryRowContext(ctx, countStates).Scan(&received, &queued, &held, &all); err != nil {
		return nil, time.Time{}, err
	}
	n := map[spool.State]int64{}
	for st, k := range map[spool.State]int64{spool.Received: received, spool.Queued: queued, spool.Held: held, spool.Done: all - received - queued - held} {
		if k > 0 {
			n[st] = k
		}
	}
	es, err := s.List(ctx, spool.Filter{State: spool.Queued, Limit: 1})
	if err != nil || len(es) == 0 {
		return n, time.Time{}, err
	}
	return n, es[0].Envelope.Received, nil
}

const recoverLeases = "UPDATE entries INDEXED BY entries_suspect SET deaths = deaths + 1, lease = '', lease_until = 0, " +
	"due = CASE WHEN deaths > 0 THEN max(due, ?) ELSE due END WHERE (lease <> '' OR deaths > 0) AND lease <> ''"

// Recover frees the leases that an earlier daemon left, which the lock has
// shown to be dead, and counts a death for each of their entries. It is called
// once, before anybody claims, and returns their number.
func (s *Store) Recover(ctx context.Context) (int, error) {
	var n int64
	err := s.do(ctx, func(t *tx) error {
		var err error
		// Who died twice comes after those that did not: it may be the one.
		n, err = t.exec(recoverLeases, s.now().Add(deathPause).UnixMicro())
		if err == nil && n > 0 {
			t.woken[spool.Received], t.woken[spool.Queued] = true, true
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("recover: %w", err)
	}
	return int(n), nil
}

// Damaged returns how many rows were moved aside because they could not be
// read.
func (s *Store) Damaged(ctx context.Context) (int64, error) {
	var n int64
	err := s.readers.QueryRowContext(ctx, "SELECT count(*) FROM damaged").Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("count damaged rows: %w", err)
	}
	return n, nil
}
