// Package sqlite keeps the journal, the audit, the tenants' wrapped keys and
// the accounts of one machine in one SQLite database.
//
// All writing goes through one goroutine: it takes what callers bring, each in
// a savepoint of its own, and commits them together, so that fifty connections
// wait for one fsync and not for fifty (group commit). A second goroutine does
// the fsyncs: what is committed is there for whoever reads, and for the daemon
// after this one should it be killed, before the disk has it. A call that
// returns nil is on disk. Reading has connections of its own and waits for nobody.
//
// The database is not believed: every row carries a seal over all that decides
// its fate, made with a key that is not in the database. A row that was changed
// by other hands is handed out marked as tampered, or, where nobody would look
// at it before it is deleted, put back to be looked at. A row that cannot even
// be read is moved to a table of its own. Neither stops the rest.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"sekisho/envelope"
	"sekisho/internal/seal"
	"sekisho/spool"
)

// minVersion is the first SQLite without the bug that could corrupt a database
// when a WAL file was reset.
var minVersion = [3]int{3, 51, 3}

// applicationID marks our databases: "SKSH".
const applicationID = 0x534b5348

// Options says how a database is opened.
type Options struct {
	// Path is the database file; its directory is made if need be.
	Path string
	// Seal seals the rows. A database that was sealed is opened only with the
	// same key; nil is for tests that need no seals.
	Seal *seal.Signer
	// Now is the clock of leases; nil: time.Now.
	Now func() time.Time
	// Alarm is called, outside of any transaction, for what an administrator
	// must see: a damaged or tampered row (with its id), a broken audit, a
	// failed disk. It must not call the store. nil: nobody hears it.
	Alarm func(msg, id string)
}

// Store is an open database. It is a spool.Journal and spool.Notifier, a
// blob.KeyTable and an admin.Accounts.
type Store struct {
	path    string
	sealer  *seal.Signer
	now     func() time.Time
	alarm   func(msg, id string)
	lock    *os.File
	writer  *sql.DB
	conn    *sql.Conn // the writer's only connection, used by the writing goroutine
	readers *sql.DB
	stmts   map[string]*sql.Stmt // prepared on conn

	// Two reads of every message, prepared once: to parse the statement costs
	// three times what it does.
	smallBlob *sql.Stmt

	ops     chan *op
	closing chan struct{}
	closed  sync.Once
	written chan struct{} // the writing goroutine has ended
	done    chan struct{} // and the syncing one
	failed  chan struct{} // closed when the disk failed under a commit
	failErr error         // why; read after failed is closed

	failOnce sync.Once
	wal      *os.File     // the write-ahead log, for the syncs
	flush    func() error // syncs it
	syncer   syncer

	changed [spool.Done + 1]chan struct{}
	counts  counts

	// Used by the writing goroutine alone.
	head    head
	turn    [spool.Done + 1]turn    // whose turn was last
	suspect [spool.Done + 1]suspect // the entry with deaths that is in hand
}

// turn is a tenant's, and how many entries it got in it.
type turn struct {
	tenant string
	had    int
	down   bool // where it goes next
}

type suspect struct {
	id    envelope.ID
	since time.Time
}

// Open opens or makes a database. It refuses, with a text that says what to do,
// a database that another process has open, that is damaged, that a newer
// version made, or that was sealed with another key. Such a file is left as it
// was.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	s := &Store{
		path:    o.Path,
		sealer:  o.Seal,
		now:     o.Now,
		alarm:   o.Alarm,
		stmts:   map[string]*sql.Stmt{},
		ops:     make(chan *op),
		closing: make(chan struct{}),
		written: make(chan struct{}),
		done:    make(chan struct{}),
		syncer:  syncer{some: make(chan struct{}, 1)},
		failed:  make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.alarm == nil {
		s.alarm = func(string, string) {}
	}
	for i := range s.changed {
		s.changed[i] = make(chan struct{}, 1)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open database %s: %w", o.Path, err), s.release())
		}
	}()
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, err
	}
	if s.lock, err = takeLock(o.Path + ".lock"); err != nil {
		return nil, err
	}
	if err := prepareFile(o.Path); err != nil {
		return nil, err
	}
	if err := renewLog(o.Path + "-wal"); err != nil {
		return nil, fmt.Errorf("renew the write-ahead log: %w", err)
	}
	// One writer, so that SQLITE_BUSY cannot happen among ourselves; the time
	// is for a backup that holds the lock.
	s.writer, err = connect(o.Path, "&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"+
		// A checkpoint writes a page once, however often it changed since the
		// last: 16 MiB between two, not 4. The cache holds what a batch touches;
		// the rest is in the kernel's, and a page costs the allocator two.
		"&_pragma=secure_delete(ON)&_pragma=wal_autocheckpoint(4096)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-4096)", 1)
	if err != nil {
		return nil, explain(err)
	}
	if s.conn, err = s.writer.Conn(ctx); err != nil {
		return nil, explain(err)
	}
	if err := s.check(ctx); err != nil {
		return nil, explain(err)
	}
	s.readers, err = connect(o.Path, "&_pragma=query_only(ON)", 4)
	if err != nil {
		return nil, err
	}
	if s.smallBlob, err = s.readers.PrepareContext(ctx, selectSmall); err != nil {
		return nil, explain(err)
	}
	// SQLite's commits do not wait for the disk; the syncing goroutine does. It
	// is its own sync that a call waits for, so that the next commit can be
	// written meanwhile and is there should the daemon be killed.
	if s.wal, err = os.OpenFile(o.Path+"-wal", os.O_RDWR|syscall.O_NOFOLLOW, 0); err != nil {
		return nil, err
	}
	s.flush = s.wal.Sync
	// The log may bear its name since a moment ago.
	if err := syncDir(filepath.Dir(o.Path)); err != nil {
		return nil, err
	}
	go s.write()
	go s.sync()
	return s, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func connect(path, params string, n int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+escaped(path)+
		"?_pragma=busy_timeout(10000)&_pragma=trusted_schema(OFF)&_pragma=cell_size_check(ON)&_pragma=temp_store(MEMORY)"+params)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// takeLock makes sure that one process only has the database. SQLite itself
// would let two daemons in, each of which would take the other's leases for
// those of a dead one.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		b, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another process (%s) has it open", strings.TrimSpace("pid "+string(b)))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// The number is for the message above alone; the lock is the flock.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// prepareFile makes an empty file with the right mode, or looks whether the one
// there can be a database at all: SQLite must not be let near it otherwise. The
// name becomes durable with the first commit: SQLite syncs the directory when
// it first syncs the WAL it made in it.
func prepareFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	b := make([]byte, 100) // the header of the file format
	switch n, err := f.ReadAt(b, 0); {
	case err == io.EOF && n == 0:
		return nil
	case err != nil && err != io.EOF:
		return err
	case n < len(b) || string(b[:len(magic)]) != magic:
		return errors.New("the file is not a SQLite database; it was left as it is")
	}
	// While a new database still lies in its WAL, the file holds one page and
	// no application id.
	pages, app := binary.BigEndian.Uint32(b[28:]), binary.BigEndian.Uint32(b[68:])
	if app != applicationID && (app != 0 || pages > 1) {
		return errors.New("the file is a database of another program; it was left as it is")
	}
	return nil
}

// renewLog copies the write-ahead log that an earlier daemon left. When an fsync
// fails, Linux keeps the pages, as if they had been written, and the next fsync
// reports success. A daemon that was started again after that would read a log
// of which a part is in memory only, go on behind it, and lose all of its own
// commits with that part at the next power cut. The copy is written and synced
// anew. The directory is synced by SQLite, with its first commit; until then
// the old log serves as well.
func renewLog(path string) (err error) {
	old, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	st, err := old.Stat()
	if err != nil || st.Size() == 0 {
		return err
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, old)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// check is what a database must pass before a row of it is read.
func (s *Store) check(ctx context.Context) error {
	var version string
	if err := s.conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if !atLeast(version, minVersion) {
		return fmt.Errorf("SQLite %s can corrupt a WAL database; %d.%d.%d or later is needed", version, minVersion[0], minVersion[1], minVersion[2])
	}
	var mode string
	if err := s.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("journal mode is %q, not WAL: is the directory on a network file system?", mode)
	}
	if err := quickCheck(ctx, s.conn); err != nil {
		return err
	}
	if err := migrate(ctx, s.conn, s.now()); err != nil {
		return err
	}
	if err := checkSchema(ctx, s.conn); err != nil {
		return err
	}
	if err := s.checkSealKey(ctx); err != nil {
		return err
	}
	return s.loadHead(ctx)
}

func quickCheck(ctx context.Context, c *sql.Conn) error {
	rows, err := c.QueryContext(ctx, "PRAGMA quick_check(5)")
	if err != nil {
		return err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: %s", errDamaged, strings.Join(found, "; "))
	}
	return nil
}

var errDamaged = errors.New("the database is damaged: stop, keep a copy of the file with its -wal, and restore the last backup")

// sealMeta is the row that says which key sealed the database.
const sealMeta = "seal-key"

func (s *Store) checkSealKey(ctx context.Context) error {
	var known []byte
	err := s.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", sealMeta).Scan(&known)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case err == nil && (s.sealer == nil || s.sealer.CheckRow([]byte(sealMeta), known) != nil):
		return errors.New("the seal key is not the one this database was sealed with: put back the copy of seal.key that is kept with the site's key file")
	case err != nil && s.sealer != nil:
		_, err := s.conn.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES (?, ?)", sealMeta, s.sealer.SealRow([]byte(sealMeta)))
		return err
	}
	return nil
}

func atLeast(version string, min [3]int) bool {
	parts := strings.SplitN(version, ".", 4)
	if len(parts) < 3 {
		return false
	}
	for i := range min {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < min[i] {
			return false
		}
		if n > min[i] {
			return true
		}
	}
	return true
}

// Failed is closed when the disk failed under a commit. Whether that commit is
// durable is then unknown, and a second fsync would prove nothing; the store
// refuses every further change, and the daemon has to be started again.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Changed is spool.Notifier's.
func (s *Store) Changed(st spool.State) <-chan struct{} {
	if st < spool.Received || st > spool.Done {
		return nil
	}
	return s.changed[st]
}

// Close lets the running commit finish and closes the database. Calls that come
// later fail.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() {
		close(s.closing)
		<-s.done
		err = s.release()
	})
	return err
}

func (s *Store) release() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.smallBlob != nil {
		errs = append(errs, s.smallBlob.Close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	// The writer last: closing the last connection folds the WAL in.
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.wal != nil {
		errs = append(errs, s.wal.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
