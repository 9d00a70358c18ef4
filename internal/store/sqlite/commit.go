package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	lib "modernc.org/sqlite/lib"

	"sekisho/spool"
)

const (
	// maxBatch and maxWait bound a group commit. Nobody is made to wait: a
	// batch is what had come while the one before was being written, and the
	// bounds only end one that goes on growing.
	maxBatch = 256
	maxWait  = 2 * time.Millisecond
)

var errClosed = errors.New("the database is closed")

// An op is one caller's change: all of it or nothing.
type op struct {
	f    func(*tx) error
	err  error
	done chan struct{}
}

// A tx is the transaction that several ops share. What an op reports outside
// the database (alarms, wake-ups) counts only once it is committed.
type tx struct {
	s      *Store
	head   head
	alarms []alarm
	woken  [spool.Done + 1]bool
}

type alarm struct{ msg, id string }

// do runs f in the next transaction and returns when that is durable. Once f
// has begun, do waits for the outcome whatever becomes of ctx: only so does the
// caller know what is on disk.
func (s *Store) do(ctx context.Context, f func(*tx) error) error {
	o := &op{f: f, done: make(chan struct{})}
	select {
	case s.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
	<-o.done
	return o.err
}

// write is the writing goroutine.
func (s *Store) write() {
	defer close(s.done)
	for {
		select {
		case o := <-s.ops:
			s.batch(o)
		case <-s.closing:
			return
		}
	}
}

// batch commits the first op and those that wait behind it.
func (s *Store) batch(first *op) {
	t := &tx{s: s, head: s.head}
	var in []*op // in the transaction, waiting for its commit
	end := func(err error) {
		for _, o := range in {
			o.err = err
			close(o.done)
		}
	}
	select {
	case <-s.failed:
		in = []*op{first}
		end(fmt.Errorf("%w: %w", spool.ErrUncertain, s.failErr))
		return
	default:
	}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		in = []*op{first}
		end(explain(err))
		return
	}
	began := time.Now()
	taken := 0
	for o := first; o != nil; {
		taken++
		err := t.run(o.f)
		switch {
		case err == nil:
			in = append(in, o)
		case errors.Is(err, errRolledBack):
			in = append(in, o)
			_, _ = t.exec("ROLLBACK") // what SQLite has left of it, if anything
			end(err)
			return
		default:
			o.err = err
			close(o.done)
		}
		o = nil
		if taken < maxBatch && time.Since(began) < maxWait {
			select {
			case o = <-s.ops:
			default:
			}
		}
	}
	if t.head != s.head {
		if err := t.saveHead(); err != nil {
			_, _ = t.exec("ROLLBACK")
			end(explain(err))
			return
		}
	}
	if _, err := t.exec("COMMIT"); err != nil {
		end(s.commitFailed(t, err))
		return
	}
	s.head = t.head
	end(nil)
	for st, woken := range t.woken {
		if woken {
			select {
			case s.changed[st] <- struct{}{}:
			default:
			}
		}
	}
	for _, a := range t.alarms {
		s.alarm(a.msg, a.id)
	}
}

// commitFailed decides whether the store may go on.
func (s *Store) commitFailed(t *tx, err error) error {
	_, _ = t.exec("ROLLBACK")
	switch code(err) {
	case lib.SQLITE_FULL, lib.SQLITE_BUSY:
		// Nothing of the commit was written where a reader would see it.
		return explain(err)
	}
	s.failErr = err
	close(s.failed)
	s.alarm("the disk failed under a commit of the journal: "+err.Error(), "")
	return fmt.Errorf("%w: %w", spool.ErrUncertain, err)
}

// errRolledBack says that an error took the whole transaction with it, and not
// the op alone.
var errRolledBack = errors.New("the transaction was rolled back")

// run runs one op in a savepoint: its failure does not touch its neighbours.
func (t *tx) run(f func(*tx) error) error {
	head, alarms, woken := t.head, len(t.alarms), t.woken
	if _, err := t.exec("SAVEPOINT op"); err != nil {
		return fmt.Errorf("%w: %w", errRolledBack, explain(err))
	}
	err := f(t)
	if err != nil {
		// SQLite itself rolls everything back after some errors (disk full, out
		// of memory); then there is no savepoint any more.
		if _, rerr := t.exec("ROLLBACK TO op"); rerr != nil {
			return fmt.Errorf("%w: %w", errRolledBack, explain(err))
		}
		t.head, t.alarms, t.woken = head, t.alarms[:alarms], woken
		err = explain(err)
	}
	if _, rerr := t.exec("RELEASE op"); rerr != nil {
		return fmt.Errorf("%w: %w", errRolledBack, errors.Join(err, rerr))
	}
	return err
}

// prepare keeps the few statements there are prepared on the connection.
func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if st, ok := t.s.stmts[query]; ok {
		return st, nil
	}
	st, err := t.s.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.s.stmts[query] = st
	return st, nil
}

func (t *tx) exec(query string, args ...any) (int64, error) {
	st, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := st.Exec(args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query reads rows to the end before it returns: the connection is needed for
// the next statement.
func (t *tx) query(scan func(*sql.Rows) error, query string, args ...any) error {
	st, err := t.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.Query(args...)
	if err != nil {
		return err
	}
	return each(rows, scan)
}

func each(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
