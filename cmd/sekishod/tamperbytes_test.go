package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/spool"
)

// TestChangedBytesAreHeldAsTampered swaps, flips, cuts and removes the stored
// octets of messages, small ones that lie in the journal and large ones that
// lie in files, while they wait to be examined, to be sent or for a person.
func TestChangedBytesAreHeldAsTampered(t *testing.T) {
	t.Parallel()
	s := newSite(t, binaries, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	town.down()
	large := corpus.Attachment{Name: "large.txt", Media: "text/plain", Data: bytes.Repeat([]byte("0123456789 abcdefghij\r\n"), 3000)}
	exe := corpus.Attachment{Name: "a.exe", Media: "application/octet-stream", Data: corpus.Program()}
	type victim struct{ where, how, id, blob string }
	var victims []*victim
	for _, where := range []string{"queued small", "queued large", "held small", "held large"} {
		for _, how := range []string{"swapped", "flipped", "cut", "emptied", "removed", "untouched"} {
			m := corpus.Mail{Subject: "case " + how, Text: "body text " + where}
			if strings.HasSuffix(where, "large") {
				m.Files = append(m.Files, large)
			}
			if strings.HasPrefix(where, "held") {
				m.Files = append(m.Files, exe)
			}
			victims = append(victims, &victim{where: where, how: how, id: s.send(t, m)})
		}
	}
	db := openDatabase(s.data())
	defer db.Close()
	files := 0
	for _, v := range victims {
		want, name := spool.Held, "original"
		if strings.HasPrefix(v.where, "queued") {
			want, name = spool.Queued, "sanitized"
		}
		waitFor(t, v.where, func() bool { return one[int64](t, db, "SELECT state FROM entries WHERE id = ?", v.id) == int64(want) })
		v.blob = one[string](t, db, "SELECT "+name+" FROM entries WHERE id = ?", v.id)
		if one[int64](t, db, "SELECT count(*) FROM small WHERE id = ?", v.blob) == 0 {
			files++
		}
	}
	if files == 0 || files == len(victims) {
		t.Fatalf("%d of %d lie in files: the test wants some of each", files, len(victims))
	}
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	other := map[string]*victim{}
	for _, v := range victims {
		if v.how == "untouched" {
			other[v.where] = v
		}
	}
	for _, v := range victims {
		b := readBlob(t, db, s.data(), v.blob)
		switch v.how {
		case "untouched":
			continue
		case "swapped":
			b = readBlob(t, db, s.data(), other[v.where].blob)
		case "flipped":
			b[len(b)/2] ^= 1
		case "cut":
			b = b[:len(b)/2]
		case "emptied":
			b = []byte{}
		case "removed":
			b = nil
		}
		writeBlob(t, db, s.data(), v.blob, b)
	}
	db.Close()
	if err := town.up(); err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	for _, v := range victims {
		if strings.HasPrefix(v.where, "queued") {
			s.retry(t, v.id)
			continue
		}
		out, complaint, code := s.run("quarantine", "release", v.id, "--reason", "try")
		if want := map[bool]int{true: exitDone, false: statusHeld}[v.how == "untouched"]; code != want {
			t.Errorf("release of %s, %s: status %d, want %d\n%s%s", v.where, v.how, code, want, out, complaint)
		}
	}
	if err := s.drain(time.Minute); err != nil {
		t.Error(err)
	}
	held := s.heldByID(t)
	for _, v := range victims {
		e, ok := held[v.id]
		switch {
		case v.how == "untouched" && ok:
			t.Errorf("%s, untouched: held as %+v", v.where, e)
		case v.how != "untouched" && e.Class != "tampered":
			t.Errorf("%s, %s: held as %+v", v.where, v.how, e)
		case v.how != "untouched":
			if _, _, code := s.run("quarantine", "release", v.id, "--reason", "again"); code != statusNotAllowed {
				t.Errorf("%s, %s: a second release ends with status %d", v.where, v.how, code)
			}
		}
	}
	for _, m := range town.all() {
		if !bytes.Contains(m.Data, []byte("case untouched")) {
			t.Errorf("something of a changed message reached the sink:\n%.500s", m.Data)
		}
	}
	if n := len(town.delivered()); n != len(other) {
		t.Errorf("%d messages arrived, want the %d untouched ones", n, len(other))
	}
	untreated(t, town)
	if v, err := s.metric(`sekisho_alarms_total{kind="tampered"}`); err != nil || v != fmt.Sprint(len(victims)-len(other)) {
		t.Errorf("alarms counted: %q, %v, want %d", v, err, len(victims)-len(other))
	}
}

// blobFile is where a blob lies that is not in the journal.
func blobFile(data, id string) string { return filepath.Join(data, "blobs", id[:2], id) }

func readBlob(t *testing.T, db *sql.DB, data, id string) []byte {
	t.Helper()
	var b []byte
	switch err := db.QueryRow("SELECT bytes FROM small WHERE id = ?", id).Scan(&b); err {
	case nil:
		return b
	case sql.ErrNoRows:
	default:
		t.Fatal(err)
	}
	b, err := os.ReadFile(blobFile(data, id))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeBlob puts other octets in place of a blob's; nil removes it.
func writeBlob(t *testing.T, db *sql.DB, data, id string, b []byte) {
	t.Helper()
	small := one[int64](t, db, "SELECT count(*) FROM small WHERE id = ?", id) == 1
	var err error
	switch {
	case small && b == nil:
		_, err = db.Exec("DELETE FROM small WHERE id = ?", id)
	case small:
		_, err = db.Exec("UPDATE small SET bytes = ? WHERE id = ?", b, id)
	case b == nil:
		err = os.Remove(blobFile(data, id))
	default:
		err = os.WriteFile(blobFile(data, id), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFileDroppedIntoTheSpoolIsNoMail: what is in the folder and in no row is
// nobody's message, whatever its name.
func TestFileDroppedIntoTheSpoolIsNoMail(t *testing.T) {
	t.Parallel()
	s := newSite(t, binaries, "")
	s.mustStart(t)
	large := corpus.Attachment{Name: "large.txt", Media: "text/plain", Data: bytes.Repeat([]byte("0123456789 abcdefghij\r\n"), 3000)}
	s.send(t, corpus.Mail{Subject: "first", Text: "body text", Files: []corpus.Attachment{large}})
	if err := s.drain(time.Minute); err != nil {
		t.Fatal(err)
	}
	dropped := corpus.Mail{From: "a@partner.example", To: "soumu@town.example.lg.jp", Subject: "dropped", Text: "body text", Files: []corpus.Attachment{marked()}}.Bytes()
	blobs := filepath.Join(s.data(), "blobs")
	var names []string
	// The name of a real blob with one letter changed, and names of no kind.
	err := filepath.WalkDir(blobs, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			last := path[len(path)-1]
			names = append(names, path[:len(path)-1]+string("0123456789"[(int(last)+1)%10]))
		}
		return err
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("no blob in %s: %v", blobs, err)
	}
	names = append(names, filepath.Join(blobs, "mail.eml"), filepath.Join(blobs, "tmp", "mail.eml"), filepath.Join(s.data(), "mail.eml"))
	for _, n := range names {
		if err := os.WriteFile(n, dropped, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// While it runs, and again at a start.
	s.send(t, corpus.Mail{Subject: "second", Text: "body text"})
	if err := s.drain(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	s.send(t, corpus.Mail{Subject: "third", Text: "body text"})
	if err := s.drain(time.Minute); err != nil {
		t.Fatal(err)
	}
	got := s.sinks["TOWN"].wait(3, 30*time.Second)
	if len(got) != 3 || bytes.Contains(bytes.Join([][]byte{got[0].Data, got[1].Data, got[2].Data}, nil), []byte("dropped")) {
		t.Errorf("%d messages arrived, want the three that were sent", len(got))
	}
	untreated(t, s.sinks["TOWN"])
	if held := s.heldByID(t); len(held) > 0 {
		t.Errorf("held: %v", held)
	}
}
