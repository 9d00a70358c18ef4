package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/seal"
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
		countStates:                 "entries_waiting",
		"SELECT " + columns + " FROM entries WHERE id > ? AND state = 2 ORDER BY id LIMIT ?":                   "entries_waiting",
		"SELECT " + columns + " FROM entries WHERE id > ? AND state = 3 ORDER BY id LIMIT ?":                   "entries_waiting",
		"SELECT " + columns + " FROM entries WHERE id > ? AND tenant = ? AND state = 3 ORDER BY id LIMIT ?":    "entries_theirs",
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
