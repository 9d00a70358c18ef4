package faults

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob/blobtest"
	"sekisho/internal/smtptest"
	"sekisho/spool"
)

// TestDamagedStoreOfTheGateway changes stored bytes and rows under a stopped
// gateway with mail in hand. It must start, put what is damaged aside or hold
// it with an alarm, deliver the rest, and never deliver an altered byte.
func TestDamagedStoreOfTheGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	g := newGateway(t, data, "")
	var down atomic.Bool
	down.Store(true)
	g.sink.Script = func(c smtptest.Call) smtptest.Act {
		if down.Load() && c.Stage == smtptest.StageMail {
			return smtptest.Act{Reply: "451 4.3.0 later"}
		}
		return smtptest.Act{}
	}
	g.boot()
	send := func(n int, text func(token string) string) {
		t.Helper()
		for range n {
			token := fmt.Sprintf("token-%06d", g.number.Add(1))
			body := "From: a@partner.example\r\nTo: soumu@town.example.lg.jp\r\nDate: Tue, 24 Nov 2026 10:00:00 +0900\r\n" +
				"Message-ID: <" + token + "@partner.example>\r\nSubject: " + token + "\r\n\r\n" + text(token)
			if r, err := g.send([]byte(body)); err != nil || !strings.HasPrefix(r, "250") {
				t.Fatal(r, err)
			}
			g.acknowledged[token] = true
		}
	}
	long := func(token string) string { return strings.Repeat(token+" goes on and on\r\n", 1500) }
	short := func(token string) string { return token + "\r\n" }
	send(8, long)
	send(12, short)
	g.await("half of it to be treated", time.Minute, func() bool {
		fs, err := filepath.Glob(filepath.Join(data, "blobs", "??", "*"))
		return err == nil && len(fs) >= 12
	})
	send(8, long) // these are still as they came, most of them
	g.kill()

	r := rand.New(rand.NewPCG(1, 1))
	files, err := filepath.Glob(filepath.Join(data, "blobs", "??", "*"))
	if err != nil || len(files) < 16 {
		t.Fatalf("%d blobs, %v", len(files), err)
	}
	// Their names sort by time: the first ones are of mails as they came, of
	// which some are read by nobody any more.
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	edits := []struct {
		name string
		do   func(path string, b []byte) error
	}{
		{"one bit", func(p string, b []byte) error {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			return os.WriteFile(p, b, 0o600)
		}},
		{"cut short", func(p string, b []byte) error { return os.WriteFile(p, b[:r.IntN(len(b))], 0o600) }},
		{"a page of zeros", func(p string, b []byte) error { clear(b[4096:8192]); return os.WriteFile(p, b, 0o600) }},
		{"another's bytes", func(p string, _ []byte) error {
			other, err := os.ReadFile(files[len(files)-1])
			if err != nil {
				return err
			}
			return os.WriteFile(p, other, 0o600)
		}},
		{"longer", func(p string, b []byte) error { return os.WriteFile(p, append(b, b[:100]...), 0o600) }},
		{"empty", func(p string, _ []byte) error { return os.WriteFile(p, nil, 0o600) }},
		{"gone", func(p string, _ []byte) error { return os.Remove(p) }},
		{"a link", func(p string, _ []byte) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.Symlink(files[len(files)-1], p)
		}},
	}
	damaged := 0
	for i, e := range edits {
		b, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := e.do(files[i], b); err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		damaged++
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "sekisho.db"))
	if err != nil {
		t.Fatal(err)
	}
	// Rows of the short ones, one change each.
	for i, q := range []string{
		"UPDATE entries SET facts = CAST(substr(facts, 1, 40) || x'00' || substr(facts, 42) AS BLOB) WHERE seq = ?",
		"UPDATE entries SET seal = zeroblob(32) WHERE seq = ?",
		"UPDATE entries SET facts = CAST(replace(CAST(facts AS TEXT), 'soumu', 'other') AS BLOB) WHERE seq = ?",
		"UPDATE entries SET facts = substr(facts, 1, length(facts) / 2) WHERE seq = ?",
		"UPDATE entries SET original = '0' || substr(original, 2) || 'x' WHERE seq = ?",
		"UPDATE small SET bytes = substr(bytes, 1, length(bytes) - 3) WHERE id = (SELECT original FROM entries WHERE seq = ?)",
		"UPDATE small SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT original FROM entries WHERE seq = ?)",
	} {
		// 8 long ones came first.
		res, err := db.Exec(q, 9+i)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		if n, err := res.RowsAffected(); n == 1 && err == nil {
			damaged++
		}
	}
	// And all is due: no retry is waited for here.
	if _, err := db.Exec("UPDATE entries SET due = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	down.Store(false)
	g.boot()
	arrived, held, altered := g.fates()
	g.term()
	db, err = sql.Open("sqlite", "file:"+filepath.Join(data, "sekisho.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rowsAside, smallAside int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM damaged), (SELECT count(*) FROM small WHERE aside)").Scan(&rowsAside, &smallAside); err != nil {
		t.Fatal(err)
	}
	filesAside, err := os.ReadDir(filepath.Join(data, "damaged"))
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	classes := map[string]int{}
	for token := range g.acknowledged {
		if arrived[token] == 0 {
			missing++
		}
		if arrived[token] > 1 {
			t.Errorf("%s arrived %d times", token, arrived[token])
		}
	}
	for _, c := range held {
		classes[c]++
	}
	t.Logf(`{"test":"damage","acknowledged":%d,"damaged":%d,"delivered":%d,"held":%d,"rows_aside":%d,"small_aside":%d,"files_aside":%d,"altered":%d,"classes":"%v"}`,
		len(g.acknowledged), damaged, len(arrived), len(held), rowsAside, smallAside, len(filesAside), altered, classes)
	if missing != len(held)+rowsAside {
		t.Errorf("%d did not arrive, %d are held and %d rows aside", missing, len(held), rowsAside)
	}
	if missing > damaged {
		t.Errorf("%d did not arrive, and only %d were damaged", missing, damaged)
	}
	if missing == 0 || rowsAside == 0 || len(filesAside) == 0 || len(held) == 0 {
		t.Error("nothing was put aside or held: this shows nothing")
	}
	if !strings.Contains(g.log.String(), "damaged blob moved aside") || !strings.Contains(g.log.String(), "not as the gateway wrote it") {
		t.Error("no alarm")
	}
}

// TestFlippedBitsOfTheDatabase flips one bit anywhere in the database file and
// starts again. Either the start is refused with words and the file left as it
// was, or everything is found whole, or found to be damaged; and new mail is
// taken.
func TestFlippedBitsOfTheDatabase(t *testing.T) {
	s := newSite(t, spool.DefaultInline)
	for i := range uint64(30) {
		s.mustAccept(blobtest.Bytes(i, 2000))
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.data(), "sekisho.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := maps.Clone(s.acked)
	r := rand.New(rand.NewPCG(7, 7))
	const flips = 60
	outcomes := map[string]int{}
	for range flips {
		bad := bytes.Clone(good)
		bit := r.IntN(8 * len(bad))
		bad[bit/8] ^= 1 << (bit % 8)
		for _, p := range []string{path + "-wal", path + "-shm"} {
			_ = os.Remove(p)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s.acked, s.alarms = maps.Clone(before), nil
		s.log.Reset()
		if err := s.tryOpen(); err != nil {
			outcomes["refused"]++
			s.close()
			if after, rerr := os.ReadFile(path); rerr != nil || !bytes.Equal(after, bad) {
				t.Errorf("bit %d: refused (%v), and the file was changed", bit, err)
			}
			if len(err.Error()) < 40 {
				t.Errorf("bit %d: refused without a word of help: %v", bit, err)
			}
			continue
		}
		found := "whole"
		for id, digest := range before {
			e, err := s.Get(t.Context(), "town", id)
			switch {
			case errors.Is(err, spool.ErrNotFound):
				found = "aside"
			case err != nil:
				found = "unreadable"
			case e.Tampered != "" || s.CheckIntake(e) != nil:
				found = "tampered"
			default:
				h := sha256.New()
				if err := s.CopyChecked(t.Context(), e, h); err != nil {
					found = "damaged blob"
				} else if envelope.Digest(h.Sum(nil)) != digest {
					t.Errorf("bit %d: altered bytes pass for the original", bit)
				}
			}
		}
		outcomes[found]++
		if err := s.accept([]byte("new mail")); err != nil {
			outcomes["and no new mail"]++
			t.Logf("bit %d (page %d): %s, and new mail: %v", bit, bit/8/4096+1, found, err)
		}
		s.close()
	}
	t.Logf(`{"test":"flipped bits","flips":%d,"pages":%d,"outcomes":"%v"}`, flips, len(good)/4096, outcomes)
	if outcomes["whole"] == flips {
		t.Error("no flip did anything: this shows nothing")
	}
}

// TestLockedDatabaseOfTheGateway has another program hold the database longer
// than the gateway waits: the answer is 4xx, and 250 again by itself.
func TestLockedDatabaseOfTheGateway(t *testing.T) {
	if setting(t, "SEKISHO_CUTS", 3) < 10 {
		t.Skip("SKIPPED in the short form, it waits for half a minute: make faults-disk runs it")
	}
	t.Parallel()
	g := newGateway(t, filepath.Join(t.TempDir(), "data"), "")
	g.boot()
	if r := g.one(); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(g.data, "sekisho.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		began := time.Now()
		if r := g.one(); r == "" || r[0] != '4' || time.Since(began) > 30*time.Second {
			t.Errorf("while the database is locked: %q after %v, want 4xx", r, time.Since(began))
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if r := g.one(); !strings.HasPrefix(r, "250") {
		t.Errorf("when it is free again: %q", r)
	}
	g.drained(result{Test: "locked database"})
}
