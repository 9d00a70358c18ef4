package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
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
	f     func(*tx) error
	hasty bool // need not survive a power cut
	err   error
	done  chan struct{}
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
	return s.send(ctx, &op{f: f, done: make(chan struct{})})
}

// barrier returns when all that was committed before is durable. (The power
// cuts of internal/faults cannot show that somebody needs it: on FUSE a write to
// the log waits for the sync of it, so that nothing is committed meanwhile.)
func (s *Store) barrier(ctx context.Context) error {
	return s.send(ctx, &op{f: func(*tx) error { return nil }, done: make(chan struct{})})
}

// hurry is do for leases. What is in whose hand means nothing after a power
// cut: with the lease gone the entry is claimed again, as it is when the lease
// is there. So it does not wait for the disk. A daemon that is killed loses
// nothing by it, and the deaths it leaves are counted; and the next sync covers
// all before it.
func (s *Store) hurry(ctx context.Context, f func(*tx) error) error {
	return s.send(ctx, &op{f: f, hasty: true, done: make(chan struct{})})
}

func (s *Store) send(ctx context.Context, o *op) error {
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
	defer close(s.written)
	var waiting []*op
	for {
		if len(waiting) == 0 {
			select {
			case o := <-s.ops:
				waiting = append(waiting, o)
			case <-s.closing:
				return
			}
		}
		waiting = s.batch(s.gather(waiting))
	}
}

// gather adds to waiting what has come. While the disk is at work on the
// commits before, it waits for more, since fifty that share a commit cost less
// than fifty. What a next hop has taken waits with the rest: should the daemon
// end meanwhile, there is a note of it (spool.Notes).
func (s *Store) gather(waiting []*op) []*op {
	for len(waiting) < maxBatch {
		idle := s.syncing()
		if idle == nil {
			select {
			case o := <-s.ops:
				waiting = append(waiting, o)
				continue
			default:
				return waiting
			}
		}
		select {
		case o := <-s.ops:
			waiting = append(waiting, o)
		case <-idle:
		}
	}
	return waiting
}

// batch commits the ops that wait, and those that come while it is at it, up to
// the bounds. It returns those that have to wait for the next.
func (s *Store) batch(waiting []*op) []*op {
	if err := s.failure(); err != nil {
		end(waiting, err)
		return nil
	}
	t := &tx{s: s, head: s.head}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		end(waiting, explain(err))
		return nil
	}
	var in []*op // in the transaction
	began := time.Now()
	for taken := 0; taken < maxBatch && (taken == 0 || time.Since(began) < maxWait); taken++ {
		if len(waiting) == 0 {
			select {
			case o := <-s.ops:
				waiting = append(waiting, o)
			default:
			}
		}
		if len(waiting) == 0 {
			break
		}
		o := waiting[0]
		waiting = waiting[1:]
		err := t.run(o.f)
		switch {
		case err == nil:
			in = append(in, o)
		case errors.Is(err, errRolledBack):
			_, _ = t.exec("ROLLBACK") // what SQLite has left of it, if anything
			end(append(in, o), err)
			return waiting
		default:
			end([]*op{o}, err)
		}
	}
	if t.head != s.head {
		if err := t.saveHead(); err != nil {
			_, _ = t.exec("ROLLBACK")
			end(in, explain(err))
			return waiting
		}
	}
	if _, err := t.exec("COMMIT"); err != nil {
		end(in, s.commitFailed(t, err))
		return waiting
	}
	s.head = t.head
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
	s.makeDurable(in)
	return waiting
}

// A syncer makes commits durable while the next ones are written: what is
// committed survives the end of the daemon at once, and the power cut once the
// sync is over that began after it.
type syncer struct {
	mu      sync.Mutex
	waiting []*op         // committed, and to be told when they are durable
	idle    chan struct{} // closed when the disk has nothing to do; nil: it has not
	some    chan struct{} // one token: there are ops waiting
}

// makeDurable ends hasty ops, and hands the others to the syncing goroutine.
func (s *Store) makeDurable(in []*op) {
	var hasty, wait []*op
	for _, o := range in {
		if o.hasty {
			hasty = append(hasty, o)
		} else {
			wait = append(wait, o)
		}
	}
	end(hasty, nil)
	if len(wait) == 0 {
		return
	}
	s.syncer.mu.Lock()
	s.syncer.waiting = append(s.syncer.waiting, wait...)
	if s.syncer.idle == nil {
		s.syncer.idle = make(chan struct{})
	}
	s.syncer.mu.Unlock()
	select {
	case s.syncer.some <- struct{}{}:
	default:
	}
}

// syncing returns a channel that is closed when the disk is idle, or nil when it
// is.
func (s *Store) syncing() <-chan struct{} {
	s.syncer.mu.Lock()
	defer s.syncer.mu.Unlock()
	return s.syncer.idle
}

// sync is the syncing goroutine. It ends after the writing one, when nobody
// waits any more.
func (s *Store) sync() {
	defer close(s.done)
	for ended := false; !ended; {
		select {
		case <-s.syncer.some:
		case <-s.written:
			ended = true
		}
		for {
			s.syncer.mu.Lock()
			ops := s.syncer.waiting
			s.syncer.waiting = nil
			if len(ops) == 0 {
				if s.syncer.idle != nil {
					close(s.syncer.idle)
					s.syncer.idle = nil
				}
				s.syncer.mu.Unlock()
				break
			}
			s.syncer.mu.Unlock()
			err := s.failure()
			if err == nil {
				if err = s.flush(); err != nil {
					err = s.fail(err)
				}
			}
			end(ops, err)
		}
	}
}

// end gives callers their answer.
func end(ops []*op, err error) {
	for _, o := range ops {
		o.err = err
		close(o.done)
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
	return s.fail(err)
}

// fail ends the store's work: what is durable is not known any more, and a
// second sync would prove nothing.
func (s *Store) fail(err error) error {
	s.failOnce.Do(func() {
		s.failErr = err
		close(s.failed)
		s.alarm("the disk failed under a commit of the journal: "+err.Error(), "")
	})
	return s.failure()
}

// failure is why the store takes no more changes, if so.
func (s *Store) failure() error {
	select {
	case <-s.failed:
		return fmt.Errorf("%w: %w", spool.ErrUncertain, s.failErr)
	default:
		return nil
	}
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
