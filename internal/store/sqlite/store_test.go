package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/seal"
	"sekisho/sanitize"
	"sekisho/spool"
	"sekisho/spool/spooltest"
)

var (
	_ spool.Journal  = (*Store)(nil)
	_ spool.Notifier = (*Store)(nil)
	_ blob.KeyTable  = (*Store)(nil)
	_ admin.Accounts = (*Store)(nil)
)

var start = time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)

type fixture struct {
	*Store
	path   string
	sealer *seal.Signer
	mu     sync.Mutex
	alarms []string
}

func newSigner(t testing.TB) *seal.Signer {
	t.Helper()
	s, err := seal.NewSigner(seal.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens a database of the test with its seal.
func open(t testing.TB, path string, sealer *seal.Signer) *fixture {
	t.Helper()
	f := &fixture{path: path, sealer: sealer}
	s, err := Open(t.Context(), Options{Path: path, Seal: sealer, Alarm: func(msg, id string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.alarms = append(f.alarms, msg+": "+id)
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
	t.Cleanup(func() {
		if err := f.Store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

func fresh(t testing.TB) *fixture {
	return open(t, filepath.Join(t.TempDir(), "journal.db"), newSigner(t))
}

func (f *fixture) alarmed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.alarms)
}

// vandal changes the database with other hands than the store's.
func (f *fixture) vandal(t testing.TB, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+escaped(f.path)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.Exec(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows changed, %v", query, n, err)
	}
}

func TestJournalConforms(t *testing.T) {
	spooltest.Run(t, func(t *testing.T) spool.Journal { return fresh(t).Store })
}

// TestEveryFieldOfAnEntryIsSealed sets each field in turn and looks whether the
// canonical form changes: a field added later and forgotten fails here.
func TestEveryFieldOfAnEntryIsSealed(t *testing.T) {
	f := fresh(t)
	base := spooltest.Full("town", start)
	want, err := f.encode(base)
	if err != nil {
		t.Fatal(err)
	}
	bookkeeping := []string{"Due", "Lease", "Deaths", "Tampered"}
	typ := reflect.TypeFor[spool.Entry]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		e := base
		field := reflect.ValueOf(&e).Elem().Field(i)
		if field.IsZero() && !slices.Contains(bookkeeping, name) {
			t.Errorf("spooltest.Full does not set %s", name)
		}
		switch name {
		case "Envelope":
			e.Envelope.Zone++
		case "State":
			e.State = spool.Held
		case "Original":
			e.Original = spooltest.Ref()
		default:
			field.SetZero()
		}
		got, err := f.encode(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if changed := string(got.canonical()) != string(want.canonical()); changed == slices.Contains(bookkeeping, name) {
			t.Errorf("%s: under the seal %v", name, changed)
		}
	}
	// And every field of the envelope.
	et := reflect.TypeFor[envelope.Envelope]()
	for i := range et.NumField() {
		e := base
		v := reflect.ValueOf(&e.Envelope).Elem().Field(i)
		switch v.Kind() {
		case reflect.String:
			v.SetString("zzz")
			if et.Field(i).Name == "ID" {
				e.Envelope.ID = envelope.NewID(start)
			}
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Uint8:
			v.SetUint(v.Uint() + 1)
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		default:
			v.SetZero()
		}
		got, err := f.encode(e)
		if err != nil {
			t.Fatalf("%s: %v", et.Field(i).Name, err)
		}
		if string(got.canonical()) == string(want.canonical()) {
			t.Errorf("envelope field %s is not under the seal", et.Field(i).Name)
		}
	}
}

func TestEveryTamperedColumnIsSeen(t *testing.T) {
	other := string(envelope.NewID(start))
	for _, c := range []struct {
		column string
		value  any
		state  spool.State // in which it is found afterwards
	}{
		{"state", int64(spool.Received), spool.Received},
		{"tenant", "village", spool.Queued},
		{"id", other, spool.Queued},
		{"parent", other, spool.Queued},
		{"expires", int64(1), spool.Queued},
		{"original", string(spooltest.Ref().ID), spool.Queued},
		{"sanitized", string(spooltest.Ref().ID), spool.Queued},
		{"seal", []byte("x"), spool.Queued},
		{"seal", []byte{}, spool.Queued},
		{"facts: zone", `replace(facts, '"zone":1', '"zone":3')`, spool.Queued},
		{"facts: treatment", `replace(facts, '"treatment":0', '"treatment":1')`, spool.Queued},
		{"facts: recipients", `replace(facts, '"local":"a"', '"local":"x"')`, spool.Queued},
		{"facts: profile", `replace(facts, '"default"', '"lenient"')`, spool.Queued},
		{"facts: networks", `replace(facts, '"networks":"AQI="', '"networks":"AQID"')`, spool.Queued},
		{"facts: seal", `replace(facts, '"kind":"treated"', '"kind":"passed"')`, spool.Queued},
		{"facts: a space", `replace(facts, ',', ', ')`, spool.Queued},
		{"facts: unknown field", `replace(facts, '{"envelope"', '{"new":1,"envelope"')`, spool.Queued},
	} {
		t.Run(c.column, func(t *testing.T) {
			f := fresh(t)
			e := spooltest.Full("town", start)
			clean := spooltest.Full("town", start.Add(time.Second))
			if err := f.Insert(t.Context(), []spool.Entry{e, clean}, nil); err != nil {
				t.Fatal(err)
			}
			if column, _, ok := strings.Cut(c.column, ":"); ok {
				f.vandal(t, fmt.Sprintf("UPDATE entries SET %s = CAST(%s AS BLOB) WHERE id = ?", column, strings.ReplaceAll(c.value.(string), "(facts", "(CAST(facts AS TEXT)")), string(e.Envelope.ID))
			} else {
				f.vandal(t, "UPDATE entries SET "+c.column+" = ? WHERE id = ?", c.value, string(e.Envelope.ID))
			}
			es, err := f.List(t.Context(), spool.Filter{})
			if err != nil || len(es) != 2 {
				t.Fatalf("list: %d, %v", len(es), err)
			}
			marked := 0
			for _, e := range es {
				if e.Tampered != "" {
					marked++
				}
			}
			if marked != 1 {
				t.Errorf("list: %d marked, want 1", marked)
			}
			now := start.Add(time.Hour)
			got, err := f.Claim(t.Context(), c.state, now, 9)
			if err != nil {
				t.Fatal(err)
			}
			var seen *spool.Entry
			for i := range got {
				if got[i].Tampered != "" {
					seen = &got[i]
				} else if got[i].Envelope.ID != clean.Envelope.ID {
					t.Errorf("%s came unmarked", got[i].Envelope.ID)
				}
			}
			if seen == nil {
				t.Fatal("the changed row was not claimed as tampered")
			}
			if f.alarmed() == 0 {
				t.Error("no alarm")
			}
			// A step that does not hold it does not make it good.
			if err := f.Settle(t.Context(), *seen, spool.Change{To: spool.Queued}); err != nil {
				t.Fatal(err)
			}
			if e, err := f.Get(t.Context(), "", seen.Envelope.ID); err != nil || e.Tampered == "" {
				t.Errorf("after a settle to Queued: tampered %q, %v", e.Tampered, err)
			}
		})
	}
}

// TestOnlyHoldingItAsTamperedSealsARowAgain: held for any other reason it could
// be released, and what somebody wrote into it would be the gateway's word.
func TestOnlyHoldingItAsTamperedSealsARowAgain(t *testing.T) {
	for _, class := range []sanitize.Class{"", sanitize.ClassFailed, sanitize.ClassPoison, sanitize.ClassExecutable, sanitize.ClassTampered} {
		f := fresh(t)
		e := spooltest.Full("town", start)
		if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
			t.Fatal(err)
		}
		f.vandal(t, "UPDATE entries SET parent = ''")
		es, err := f.Claim(t.Context(), spool.Queued, start, 1)
		if err != nil || len(es) != 1 || es[0].Tampered == "" {
			t.Fatalf("%+v, %v", es, err)
		}
		err = f.Settle(t.Context(), es[0], spool.Change{To: spool.Held, Update: func(e *spool.Entry) { e.Verdict.Class = class }})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Get(t.Context(), "town", e.Envelope.ID)
		if err != nil || (got.Tampered == "") != (class == sanitize.ClassTampered) || got.State != spool.Held {
			t.Errorf("held as %q: tampered %q, %s, %v", class, got.Tampered, got.State, err)
		}
	}
}

// TestScrubFindsWhatNobodyWouldLookAt changes rows into states in which nobody
// claims them.
func TestScrubFindsWhatNobodyWouldLookAt(t *testing.T) {
	f := fresh(t)
	var all []spool.Entry
	for i := range 2*scrubPortion + 7 {
		e := spooltest.Entry("town", start.Add(time.Duration(i)*time.Second))
		e.State = []spool.State{spool.Received, spool.Queued, spool.Held, spool.Done}[i%4]
		e.Expires = start.Add(time.Hour)
		all = append(all, e)
	}
	if err := f.Insert(t.Context(), all, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Scrub(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d found among good rows, %v", n, err)
	}
	id := func(i int) string { return string(all[i].Envelope.ID) }
	f.vandal(t, "UPDATE entries SET state = 4, expires = 0 WHERE id = ?", id(0))
	f.vandal(t, "UPDATE entries SET state = 3 WHERE id = ?", id(1))
	f.vandal(t, "UPDATE entries SET parent = 'x' WHERE id = ?", id(scrubPortion+2-scrubPortion%4))
	f.vandal(t, "UPDATE entries SET tenant = 'village' WHERE id = ?", id(2*scrubPortion+3))
	f.vandal(t, "UPDATE entries SET state = 9 WHERE id = ?", id(8))
	f.vandal(t, "UPDATE entries SET state = 4 WHERE id = ?", id(12)) // back in its own state it would fit its seal
	if n, err := f.Scrub(t.Context()); n != 6 || err != nil {
		t.Fatalf("%d found, %v; want 6", n, err)
	}
	es, err := f.Claim(t.Context(), spool.Received, time.Now().Add(time.Hour), 10000)
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for _, e := range es {
		if e.Tampered != "" {
			marked++
		}
	}
	if marked != 5 {
		t.Errorf("%d were given back marked, want 5", marked)
	}
	if n, err := f.Damaged(t.Context()); n != 1 || err != nil {
		t.Errorf("%d moved aside, %v; want the one of a state that is none", n, err)
	}
	if n, err := f.Scrub(t.Context()); n != 0 || err != nil {
		t.Errorf("%d found the second time, %v", n, err)
	}
	if f.alarmed() < 6 {
		t.Errorf("%d alarms", f.alarmed())
	}
	spooltest.CheckAudit(t, f)
}

func TestScrubLeavesAloneWhatIsInHand(t *testing.T) {
	f := fresh(t)
	e := spooltest.Entry("town", start)
	e.State, e.Expires = spool.Held, start.Add(time.Hour)
	if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
		t.Fatal(err)
	}
	f.vandal(t, "UPDATE entries SET parent = 'x'")
	got, err := f.Take(t.Context(), "town", e.Envelope.ID, spool.Held)
	if err != nil || got.Tampered == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if n, err := f.Scrub(t.Context()); n != 0 || err != nil {
		t.Errorf("%d found, %v", n, err)
	}
	if err := f.Settle(t.Context(), got, spool.Change{To: spool.Held}); err != nil {
		t.Errorf("settle: %v", err)
	}
}

func TestTamperedRowsAreNeverDeletedUnseen(t *testing.T) {
	past := start.Add(-time.Hour).UnixMicro()
	for _, c := range []struct {
		name  string
		from  spool.State
		query string
		sweep func(*fixture) error
	}{
		{"held made to expire", spool.Held, fmt.Sprintf("UPDATE entries SET expires = %d", past),
			func(f *fixture) error { _, err := f.Claim(context.Background(), spool.Held, start, 9); return err }},
		{"received made done", spool.Received, fmt.Sprintf("UPDATE entries SET state = 4, expires = %d", past),
			func(f *fixture) error { _, err := f.Purge(context.Background(), start, 9); return err }},
		{"done made to expire", spool.Done, fmt.Sprintf("UPDATE entries SET expires = %d", past),
			func(f *fixture) error { _, err := f.Purge(context.Background(), start, 9); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fresh(t)
			e := spooltest.Entry("town", start)
			e.State, e.Expires = c.from, start.Add(time.Hour)
			if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
				t.Fatal(err)
			}
			f.vandal(t, c.query)
			if err := c.sweep(f); err != nil {
				t.Fatal(err)
			}
			es, err := f.Claim(t.Context(), spool.Received, start, 9)
			if err != nil || len(es) != 1 || es[0].Tampered == "" {
				t.Fatalf("the pipeline gets %+v, %v; want the entry, marked", es, err)
			}
			if ok, err := f.Referenced(t.Context(), e.Original.ID); err != nil || !ok {
				t.Errorf("its bytes are named: %v, %v", ok, err)
			}
			if acts := spooltest.CheckAudit(t, f); !slices.Equal(acts, []string{"tampered"}) || f.alarmed() == 0 {
				t.Errorf("audit %v, %d alarms", acts, f.alarmed())
			}
		})
	}
}

func TestRowThatCannotBeReadIsMovedAsideAndTheRestGoesOn(t *testing.T) {
	for _, c := range []struct{ name, query string }{
		{"not JSON", "UPDATE entries SET facts = x'00ff' WHERE id = ?"},
		{"JSON of another shape", `UPDATE entries SET facts = CAST('{"envelope":[]}' AS BLOB) WHERE id = ?`},
		{"no id", "UPDATE entries SET id = '../../x' WHERE id = ?"},
		{"bad digest", `UPDATE entries SET facts = CAST(replace(CAST(facts AS TEXT), '"digest":"01', '"digest":"') AS BLOB) WHERE id = ?`},
	} {
		for how, read := range map[string]func(*fixture, envelope.ID) error{
			"claim": func(f *fixture, _ envelope.ID) error {
				es, err := f.Claim(t.Context(), spool.Received, start, 1)
				if err == nil && (len(es) != 1 || es[0].Tampered != "") {
					err = fmt.Errorf("claimed %+v", es)
				}
				return err
			},
			"list": func(f *fixture, _ envelope.ID) error {
				es, err := f.List(t.Context(), spool.Filter{})
				if err == nil && len(es) != 1 {
					err = fmt.Errorf("listed %d", len(es))
				}
				return err
			},
		} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				f := fresh(t)
				bad, good := spooltest.Entry("town", start.Add(-time.Second)), spooltest.Entry("town", start)
				if err := f.Insert(t.Context(), []spool.Entry{bad, good}, nil); err != nil {
					t.Fatal(err)
				}
				f.vandal(t, c.query, string(bad.Envelope.ID))
				if err := read(f, bad.Envelope.ID); err != nil {
					t.Fatal(err)
				}
				if n, err := f.Damaged(t.Context()); err != nil || n != 1 {
					t.Errorf("%d rows in damaged, %v; want 1", n, err)
				}
				if ok, err := f.Referenced(t.Context(), bad.Original.ID); err != nil || !ok {
					t.Errorf("its bytes are kept: %v, %v", ok, err)
				}
				if acts := spooltest.CheckAudit(t, f); !slices.Equal(acts, []string{"damaged"}) || f.alarmed() != 1 {
					t.Errorf("audit %v, %d alarms", acts, f.alarmed())
				}
			})
		}
	}
	f := fresh(t)
	e := spooltest.Entry("town", start)
	if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
		t.Fatal(err)
	}
	f.vandal(t, "UPDATE entries SET facts = x'00'")
	if _, err := f.Take(t.Context(), "town", e.Envelope.ID, spool.Received); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("take: got %v, want ErrNotFound", err)
	}
	if n, err := f.Damaged(t.Context()); err != nil || n != 1 {
		t.Errorf("take: %d rows in damaged, %v", n, err)
	}
}

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

func TestRecoverFreesLeasesAndCountsDeaths(t *testing.T) {
	f := fresh(t)
	a, b := spooltest.Entry("town", start), spooltest.Entry("town", start)
	if err := f.Insert(t.Context(), []spool.Entry{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for death := 1; death <= spool.PoisonDeaths; death++ {
		es, err := f.Claim(t.Context(), spool.Received, now.Add(time.Duration(death)*time.Minute), 1)
		if err != nil || len(es) != 1 || es[0].Deaths != death-1 {
			t.Fatalf("claim %d: %+v, %v", death, es, err)
		}
		if es[0].Envelope.ID != a.Envelope.ID {
			// After its first death the other one comes first: settle it away.
			if err := f.Settle(t.Context(), es[0], spool.Change{To: spool.Held}); err != nil {
				t.Fatal(err)
			}
			death--
			continue
		}
		if err := f.Store.Close(); err != nil {
			t.Fatal(err)
		}
		f.Store = open(t, f.path, f.sealer).Store
		if n, err := f.Recover(t.Context()); err != nil || n != 1 {
			t.Fatalf("recover: %d, %v", n, err)
		}
	}
	e, err := f.Get(t.Context(), "town", a.Envelope.ID)
	if err != nil || e.Deaths != spool.PoisonDeaths || e.Tampered != "" {
		t.Errorf("deaths %d, tampered %q, %v; want %d", e.Deaths, e.Tampered, err, spool.PoisonDeaths)
	}
}

// TestTheOneThatKillsDiesAlone is a daemon that dies whenever it works on one
// message, with sixteen in hand: no other message may reach the limit.
func TestTheOneThatKillsDiesAlone(t *testing.T) {
	f := fresh(t)
	var es []spool.Entry
	for range 40 {
		es = append(es, spooltest.Entry("town", start))
	}
	poison := es[5].Envelope.ID
	if err := f.Insert(t.Context(), es, nil); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	restarts, held := 0, 0
	for range 200 {
		got, err := f.Claim(t.Context(), spool.Received, now, 16)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		died := false
		for _, e := range got {
			if e.Deaths >= spool.PoisonDeaths {
				if e.Envelope.ID != poison {
					t.Errorf("%s is held as poison", e.Envelope.ID)
				}
				held++
			} else if e.Envelope.ID == poison {
				died = true
			}
		}
		now = now.Add(time.Minute)
		if died {
			restarts++
			f.suspect = [spool.Done + 1]suspect{} // as in a new process
			if _, err := f.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for _, e := range got {
			if err := f.Settle(t.Context(), e, spool.Change{To: spool.Held}); err != nil {
				t.Fatal(err)
			}
		}
	}
	n, _, err := f.Count(t.Context())
	if err != nil || n[spool.Held] != 40 || held != 1 || restarts != spool.PoisonDeaths {
		t.Errorf("%v held, %d as poison, %d restarts, %v; want 40, 1, %d", n, held, restarts, err, spool.PoisonDeaths)
	}
}

func TestWorkIsFoundByIndex(t *testing.T) {
	f := fresh(t)
	for query, want := range map[string]string{
		nextTenant[spool.Received]:  "entries_received",
		nextTenant[spool.Queued]:    "entries_queued",
		dueOfTenant[spool.Received]: "entries_received",
		dueOfTenant[spool.Queued]:   "entries_queued",
		suspectDue[spool.Received]:  "entries_suspect",
		suspectDue[spool.Queued]:    "entries_suspect",
		heldDue:                     "entries_held",
		doneDue:                     "entries_done",
		countStates:                 "entries_state",
		"SELECT " + columns + " FROM entries WHERE id > ? AND state = ? ORDER BY id LIMIT ?":                   "entries_state",
		"SELECT " + columns + " FROM entries WHERE id > ? AND tenant = ? AND state = ? ORDER BY id LIMIT ?":    "entries_tenant",
		"SELECT " + columns + " FROM entries WHERE id > ? AND parent = ? AND parent <> '' ORDER BY id LIMIT ?": "entries_parent",
		"SELECT * FROM audit WHERE seq > ? AND tenant = ? ORDER BY seq LIMIT ?":                                "audit_tenant",
		recoverLeases:                      "entries_suspect",
		findAny + findHas + findOrder:      "sqlite_autoindex_entries_1",
		findOfTenant + findHas + findOrder: "sqlite_autoindex_entries_1",
	} {
		rows, err := f.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var plan []string
		err = each(rows, func(rows *sql.Rows) error {
			var a, b, c int
			var line string
			if err := rows.Scan(&a, &b, &c, &line); err != nil {
				return err
			}
			plan = append(plan, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(plan, "; ")
		if !strings.Contains(got+" ", want+" ") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s\nplan: %s\nwant index %s and no sorting", query, got, want)
		}
	}
}

func TestAuditChangesAreFound(t *testing.T) {
	const n = 20
	for _, c := range []struct {
		name, query string
		bad         int64
	}{
		{"edit", "UPDATE audit SET detail = 'other' WHERE seq = 7", 7},
		{"edit of the time", "UPDATE audit SET time = time + 1 WHERE seq = 7", 7},
		{"edit of the actor", "UPDATE audit SET actor = 'nobody' WHERE seq = 1", 1},
		{"delete", "DELETE FROM audit WHERE seq = 7", 7},
		{"delete of the first", "DELETE FROM audit WHERE seq = 1", 1},
		{"cut off at the end", "DELETE FROM audit WHERE seq > 15", 16},
		{"all gone", "DELETE FROM audit", 1},
		{"two exchanged", "UPDATE audit SET seq = CASE seq WHEN 7 THEN -8 WHEN 8 THEN -7 END WHERE seq IN (7, 8); UPDATE audit SET seq = -seq WHERE seq < 0", 7},
		{"end mark changed", "UPDATE meta SET value = x'00' WHERE name = 'audit-head'", n + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fresh(t)
			for i := range n {
				if err := f.Record(t.Context(), []audit.Event{{Time: start, Act: fmt.Sprint(i), Detail: "d"}}); err != nil {
					t.Fatal(err)
				}
			}
			if got, bad, err := f.VerifyAudit(t.Context()); got != n || bad != 0 || err != nil {
				t.Fatalf("untouched: %d records, bad %d, %v", got, bad, err)
			}
			f.vandal(t, c.query)
			if _, bad, err := f.VerifyAudit(t.Context()); bad != c.bad || err != nil {
				t.Errorf("bad record %d, %v; want %d", bad, err, c.bad)
			}
			// What is missing at the end stays on record after a new start.
			if !strings.Contains(c.name, "end") && c.name != "all gone" {
				return
			}
			if err := f.Store.Close(); err != nil {
				t.Fatal(err)
			}
			again := open(t, f.path, f.sealer)
			rs, err := again.Audit(t.Context(), "", 0, 100)
			if err != nil || len(rs) == 0 || rs[len(rs)-1].Act != "audit-damaged" || again.alarmed() != 1 {
				t.Errorf("after a new start the audit ends with %+v, %v; %d alarms", rs, err, again.alarmed())
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	f := fresh(t)
	ctx := t.Context()
	ev := audit.Event{Time: start, Actor: "root", Act: "account-added"}
	a := admin.Account{Name: "suzuki", UID: 1000, Created: start}
	if err := f.AddAccount(ctx, a, ev); err != nil {
		t.Fatal(err)
	}
	for _, dup := range []admin.Account{{Name: "suzuki", UID: 1001}, {Name: "sato", UID: 1000}} {
		if err := f.AddAccount(ctx, dup, ev); !errors.Is(err, spool.ErrState) {
			t.Errorf("%+v: got %v, want ErrState", dup, err)
		}
	}
	if got, ok, err := f.AccountByUID(ctx, 1000); err != nil || !ok || got != a {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := f.AccountByUID(ctx, 0); err != nil || ok {
		t.Errorf("uid 0: %v, %v", ok, err)
	}
	// Who can write to the database does not become an administrator by it.
	f.vandal(t, "INSERT INTO accounts VALUES ('mallory', 666, 0, x'00')")
	if _, ok, err := f.AccountByUID(ctx, 666); err != nil || ok || f.alarmed() == 0 {
		t.Errorf("account from outside: %v, %v, %d alarms", ok, err, f.alarmed())
	}
	f.vandal(t, "UPDATE accounts SET uid = 667 WHERE name = 'suzuki'")
	if _, ok, err := f.AccountByUID(ctx, 667); err != nil || ok {
		t.Errorf("changed uid: %v, %v", ok, err)
	}
	f.vandal(t, "UPDATE accounts SET uid = 1000 WHERE name = 'suzuki'")
	if as, err := f.Accounts(ctx); err != nil || len(as) != 1 || as[0] != a {
		t.Errorf("accounts %+v, %v", as, err)
	}
	if err := f.RemoveAccount(ctx, "nobody", ev); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("remove of nobody: %v", err)
	}
	ev.Act = "account-removed"
	if err := f.RemoveAccount(ctx, "suzuki", ev); err != nil {
		t.Fatal(err)
	}
	if acts := spooltest.CheckAudit(t, f); !slices.Equal(acts, []string{"account-added", "account-removed"}) {
		t.Errorf("audit %v", acts)
	}
}

func TestTenantKeysAreKeptOnceAndDeletedForGood(t *testing.T) {
	f := fresh(t)
	ctx := t.Context()
	if _, err := f.TenantKey(ctx, "town"); !errors.Is(err, blob.ErrNoKey) {
		t.Errorf("got %v, want ErrNoKey", err)
	}
	secret := []byte("wrapped-key-of-the-town-0123456789")
	for _, w := range [][]byte{secret, []byte("another")} {
		if got, err := f.AddTenantKey(ctx, "town", w); err != nil || string(got) != string(secret) {
			t.Errorf("add: %q, %v", got, err)
		}
	}
	if err := f.DeleteTenantKey(ctx, "town"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.TenantKey(ctx, "town"); !errors.Is(err, blob.ErrNoKey) {
		t.Errorf("after delete: got %v, want ErrNoKey", err)
	}
	for _, path := range []string{f.path, f.path + "-wal"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), string(secret)) {
			t.Errorf("%s still holds the deleted key", filepath.Base(path))
		}
	}
}

func TestChangesWakeTheRooms(t *testing.T) {
	f := fresh(t)
	woken := func(s spool.State) bool {
		select {
		case <-f.Changed(s):
			return true
		default:
			return false
		}
	}
	later := spooltest.Entry("town", time.Now().Add(time.Hour))
	if err := f.Insert(t.Context(), []spool.Entry{later}, nil); err != nil {
		t.Fatal(err)
	}
	if woken(spool.Received) {
		t.Error("woken for what is due in an hour")
	}
	if err := f.Insert(t.Context(), []spool.Entry{spooltest.Entry("town", start)}, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, f.Changed(spool.Received))
	es, err := f.Claim(t.Context(), spool.Received, time.Now(), 1)
	if err != nil || len(es) != 1 {
		t.Fatalf("%v, %v", es, err)
	}
	if err := f.Settle(t.Context(), es[0], spool.Change{To: spool.Queued}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, f.Changed(spool.Queued))
}

func waitFor(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("not woken")
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

// disk holds every sync of a store back until it is told.
type disk struct {
	began  chan struct{}
	answer chan error
}

// slow puts a store on a disk whose syncs take as long as the test wants.
func slow(f *fixture) *disk {
	d := &disk{began: make(chan struct{}), answer: make(chan error)}
	f.flush = func() error {
		d.began <- struct{}{}
		return <-d.answer
	}
	return d
}

func TestOnlyLeasesDoNotWaitForTheDisk(t *testing.T) {
	f := fresh(t)
	e := spooltest.Entry("town", start)
	if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
		t.Fatal(err)
	}
	d := slow(f)
	es, err := f.Claim(t.Context(), spool.Received, start, 1)
	if err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
	if err := f.Renew(t.Context(), es[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Settle(t.Context(), es[0], spool.Change{To: spool.Queued}) }()
	<-d.began
	select {
	case err := <-done:
		t.Fatalf("a change did not wait for the disk: %v", err)
	default:
	}
	d.answer <- nil
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWhatWasSentIsWrittenDownWhileTheDiskIsBusy: a daemon that is killed while
// the disk is at work must not leave a message to be sent again.
func TestWhatWasSentIsWrittenDownWhileTheDiskIsBusy(t *testing.T) {
	f := fresh(t)
	e := spooltest.Entry("town", start)
	e.State, e.Due = spool.Queued, start
	if err := f.Insert(t.Context(), []spool.Entry{e}, nil); err != nil {
		t.Fatal(err)
	}
	es, err := f.Claim(t.Context(), spool.Queued, start, 1)
	if err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
	d := slow(f)
	other, sent := make(chan error, 1), make(chan error, 1)
	go func() { other <- f.Record(context.Background(), []audit.Event{{Act: "something"}}) }()
	<-d.began
	go func() {
		sent <- f.Settle(context.Background(), es[0], spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Pending = nil }})
	}()
	// The first sync has not ended: what the next daemon would read is there.
	for {
		got, err := f.Get(t.Context(), "town", e.Envelope.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.State == spool.Done {
			break
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-sent:
		t.Fatalf("it returned before it was durable: %v", err)
	default:
	}
	d.answer <- nil
	if err := <-other; err != nil {
		t.Error(err)
	}
	// The sync that had begun before covers nothing of it.
	<-d.began
	select {
	case err := <-sent:
		t.Fatalf("it returned before it was durable: %v", err)
	default:
	}
	d.answer <- nil
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestDiskThatFailsASyncIsNotAskedAgain: after a failed fsync the next one
// reports success for pages that were dropped.
func TestDiskThatFailsASyncIsNotAskedAgain(t *testing.T) {
	f := fresh(t)
	syncs := 0
	f.flush = func() error { syncs++; return syscall.EIO }
	for range 2 {
		err := f.Insert(t.Context(), []spool.Entry{spooltest.Entry("town", start)}, nil)
		if !errors.Is(err, spool.ErrUncertain) || !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	}
	select {
	case <-f.Failed():
	default:
		t.Error("the store does not say that it failed")
	}
	if syncs != 1 {
		t.Errorf("the disk was asked %d times", syncs)
	}
}

// TestBytesThatAPowerCutWouldNameAgainAreStillReferenced: the answer that
// nobody names a blob is about what is durable.
func TestBytesThatAPowerCutWouldNameAgainAreStillReferenced(t *testing.T) {
	f := fresh(t)
	d := slow(f)
	free := make(chan error, 1)
	go func() {
		named, err := f.Referenced(context.Background(), blob.NewID(start))
		if named {
			err = errors.Join(err, errors.New("named"))
		}
		free <- err
	}()
	<-d.began
	d.answer <- errors.New("power cut")
	if err := <-free; !errors.Is(err, spool.ErrUncertain) {
		t.Errorf("got %v", err)
	}
}

// FuzzRow checks that whatever stands in a row, it is either what the gateway
// wrote, or marked, or an error.
func FuzzRow(f *testing.F) {
	signer, err := seal.NewSigner(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	s := &Store{sealer: signer, now: time.Now}
	e := spooltest.Full("town", start)
	want, err := s.encode(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(want.facts, want.tenant, want.state, want.expires)
	f.Add([]byte(`{}`), "village", int64(1), int64(0))
	f.Add([]byte(`{"envelope":{"zone":3},"deaths":-1,"state":4}`), "town", int64(9), int64(-1))
	f.Fuzz(func(t *testing.T, facts []byte, tenant string, state, expires int64) {
		r := want
		r.facts, r.tenant, r.state, r.expires = facts, tenant, state, expires
		same := string(facts) == string(want.facts) && tenant == want.tenant && state == want.state && expires == want.expires
		got, err := s.decode(&r)
		if err == nil && (got.Tampered == "") != same {
			t.Errorf("tampered %q, as it was written: %v", got.Tampered, same)
		}
		if err == nil && (got.State < spool.Received || got.State > spool.Done || !got.Envelope.ID.Valid()) {
			t.Errorf("an entry in state %d with id %q was read", got.State, got.Envelope.ID)
		}
		if same && err != nil {
			t.Errorf("the row itself: %v", err)
		}
	})
}
