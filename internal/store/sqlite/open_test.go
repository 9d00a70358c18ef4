package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/seal"
	"sekisho/spool"
	"sekisho/spool/spooltest"
)

func TestSecondDaemonIsRefused(t *testing.T) {
	f := fresh(t)
	_, err := Open(t.Context(), Options{Path: f.path, Seal: f.sealer})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another process (pid %d) has it open", os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func TestDatabaseOfAnotherSealKeyIsRefused(t *testing.T) {
	f := fresh(t)
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*seal.Signer{newSigner(t), nil} {
		if _, err := Open(t.Context(), Options{Path: f.path, Seal: s}); err == nil || !strings.Contains(err.Error(), "seal.key") {
			t.Errorf("got %v", err)
		}
	}
	if err := open(t, f.path, f.sealer).Store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseThatIsNotOursIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	db, err := sql.Open("sqlite", "file:"+foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("garbage ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short.db")
	if err := os.WriteFile(short, []byte("SQLite format 3\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{foreign, garbage, short} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{Path: path}); err == nil || !strings.Contains(err.Error(), "left as it is") && !strings.Contains(err.Error(), "was left") {
			t.Errorf("%s: got %v", filepath.Base(path), err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%s was changed, %v", filepath.Base(path), err)
		}
	}
}

func TestDamagedDatabaseIsRefused(t *testing.T) {
	f := fresh(t)
	var es []spool.Entry
	for range 200 {
		es = append(es, spooltest.Full("town", start))
	}
	if err := f.Insert(t.Context(), es, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	for p := 8; p < len(b)/4096; p += 3 {
		for i := range 200 {
			b[p*4096+i] ^= 0x5a
		}
	}
	if err := os.WriteFile(f.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: f.path, Seal: f.sealer}); !errors.Is(err, errDamaged) {
		t.Errorf("got %v, want errDamaged", err)
	}
}

func TestChangedSchemaIsRefused(t *testing.T) {
	for _, q := range []string{
		"CREATE TRIGGER x AFTER INSERT ON entries BEGIN UPDATE entries SET state = 4 WHERE id = new.id; END",
		"CREATE TABLE x (y)",
		"DROP INDEX entries_parent",
	} {
		f := fresh(t)
		if err := f.Store.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", "file:"+f.path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{Path: f.path, Seal: f.sealer}); err == nil || !strings.Contains(err.Error(), "somebody changed") {
			t.Errorf("%s: got %v", q, err)
		}
	}
}

func TestNewerOrForeignMigrationsAreRefused(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{"INSERT INTO migrations VALUES (99, '0099-later', 'x', 0)", "newer version (0099-later)"},
		{"UPDATE migrations SET checksum = 'x' WHERE number = 1", "is not that of this version"},
	} {
		f := fresh(t)
		f.vandal(t, c.query)
		if err := f.Store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{Path: f.path, Seal: f.sealer}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.query, err)
		}
	}
}

func TestMigrationThatFailsLeavesTheOneBefore(t *testing.T) {
	f := fresh(t)
	ms, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	next := migration{number: len(ms) + 1, name: "bad", checksum: "c", text: "CREATE TABLE extra (x) STRICT; this is no SQL"}
	db, err := sql.Open("sqlite", "file:"+f.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := migrateWith(t.Context(), c, append(slices.Clone(ms), next), start); err == nil {
		t.Error("a migration that is no SQL went well")
	}
	if err := checkSchema(t.Context(), c); err != nil {
		t.Errorf("after it failed: %v", err)
	}
	if err := migrateWith(t.Context(), c, ms, start); err != nil {
		t.Errorf("after it failed: %v", err)
	}
}

func TestVersionsAreCompared(t *testing.T) {
	for v, want := range map[string]bool{"3.51.3": true, "3.51.2": false, "3.52.0": true, "3.54.1": true, "3.6.23": false, "4.0.0": true, "2.99.99": false, "": false, "3.51": false, "x.y.z": false} {
		if got := atLeast(v, minVersion); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func TestModesKeepOthersOut(t *testing.T) {
	f := fresh(t)
	es, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", e.Name(), st.Mode())
		}
	}
	if len(es) < 3 {
		t.Errorf("%d files, want database, WAL and lock", len(es))
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	f := fresh(t)
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Insert(context.Background(), []spool.Entry{spooltest.Entry("town", start)}, nil); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want errClosed", err)
	}
}
