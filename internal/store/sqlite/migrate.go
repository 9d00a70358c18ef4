package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	number   int
	name     string
	text     string
	checksum string
}

// migrations reads the numbered files: 0001-journal.sql, 0002-...
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var ms []migration
	for i, path := range names {
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		number, _, _ := strings.Cut(name, "-")
		n, err := strconv.Atoi(number)
		if err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s should have number %d", name, i+1)
		}
		sum := sha256.Sum256(b)
		ms = append(ms, migration{number: n, name: name, text: string(b), checksum: hex.EncodeToString(sum[:])})
	}
	return ms, nil
}

// migrate brings the schema up to date, each step in a transaction of its own.
// It refuses a file that is not ours, one that a newer version has migrated,
// and one whose steps were not those of this binary.
func migrate(ctx context.Context, c *sql.Conn, now time.Time) error {
	ms, err := migrations(migrationFiles)
	if err != nil {
		return err
	}
	return migrateWith(ctx, c, ms, now)
}

func migrateWith(ctx context.Context, c *sql.Conn, ms []migration, now time.Time) error {
	var app, tables int
	if err := c.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return err
	}
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if app != applicationID && (app != 0 || tables > 0) {
		return errors.New("the file is a database of another program")
	}
	if app != applicationID {
		// Only then: it writes even when it changes nothing, and a file that is
		// refused below is to be left as it was.
		if _, err := c.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)); err != nil {
			return err
		}
	}
	if _, err := c.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied INTEGER NOT NULL) STRICT`); err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, c)
	if err != nil {
		return err
	}
	for i, a := range applied {
		switch {
		case i >= len(ms):
			return fmt.Errorf("the database was migrated by a newer version (%s): use that version, or restore the backup made before the update", a.name)
		case a.number != ms[i].number || a.checksum != ms[i].checksum:
			return fmt.Errorf("migration %d of the database (%s) is not that of this version (%s)", a.number, a.name, ms[i].name)
		}
	}
	for _, m := range ms[len(applied):] {
		if err := apply(ctx, c, m, now); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

func appliedMigrations(ctx context.Context, c *sql.Conn) ([]migration, error) {
	rows, err := c.QueryContext(ctx, "SELECT number, name, checksum FROM migrations ORDER BY number")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var as []migration
	for rows.Next() {
		var a migration
		if err := rows.Scan(&a.number, &a.name, &a.checksum); err != nil {
			return nil, err
		}
		as = append(as, a)
	}
	return as, rows.Err()
}

func apply(ctx context.Context, c *sql.Conn, m migration, now time.Time) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, m.text); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO migrations (number, name, checksum, applied) VALUES (?, ?, ?, ?)",
		m.number, m.name, m.checksum, now.UnixMicro()); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// checkSchema compares the tables, indexes and triggers with those that the
// migrations make: a trigger put there by other hands would run inside our own
// transactions.
func checkSchema(ctx context.Context, c *sql.Conn) error {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	fresh, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer fresh.Close()
	if err := migrate(ctx, fresh, time.Time{}); err != nil {
		return err
	}
	want, err := schema(ctx, fresh)
	if err != nil {
		return err
	}
	got, err := schema(ctx, c)
	if err != nil {
		return err
	}
	for name, text := range got {
		if want[name] != text {
			return fmt.Errorf("the schema has %s, which is not as this version made it: somebody changed the database", name)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			return fmt.Errorf("the schema lacks %s: somebody changed the database", name)
		}
	}
	return nil
}

func schema(ctx context.Context, c *sql.Conn) (map[string]string, error) {
	rows, err := c.QueryContext(ctx, "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	m := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		m[name] = text
	}
	return m, rows.Err()
}
