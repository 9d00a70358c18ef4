package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/corpus"
	"sekisho/internal/smtptest"
	"sekisho/spool"
)

// Attempts to make the gateway fail open, on the real binaries: whatever is
// done to it, no untreated octet may reach the sink.

// Statuses of the command line, contract.md.
const (
	statusHeld       = 3
	statusNotAllowed = 5
)

// marker begins a file that must never arrive. It is a multiple of three
// octets long, so that its base64 is known.
const marker = "UNTREATED-MARKER!!"

func marked() corpus.Attachment {
	return corpus.Attachment{Name: "a.bin", Media: "application/octet-stream", Data: append([]byte(marker), 0, 1, 2, 255)}
}

// untreated fails the test when the sink saw as much as the beginning of it,
// in messages that were cut off as well.
func untreated(t *testing.T, k *sink) {
	t.Helper()
	for _, m := range k.all() {
		if bytes.Contains(m.Data, []byte(marker)) || bytes.Contains(m.Data, []byte(base64.StdEncoding.EncodeToString([]byte(marker)))) ||
			bytes.Contains(m.Data, []byte(corpus.Macro)) {
			t.Errorf("untreated octets reached the sink:\n%s", m.Data)
		}
	}
}

// liarSite is a site whose worker lies as the subject of the message tells it.
func liarSite(t *testing.T, more string) *site {
	t.Helper()
	bin, err := os.MkdirTemp("", "sekisho-liar-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bin) })
	if err := os.Chmod(bin, 0o755); err != nil { // the worker runs as nobody
		t.Fatal(err)
	}
	for _, b := range []string{"sekisho", "sekishod"} {
		if err := os.Link(filepath.Join(binaries, b), filepath.Join(bin, b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := build(filepath.Join(bin, "sekisho-sanitizer"), "sekisho/sanitize/worker/testdata/liar"); err != nil {
		t.Fatal(err)
	}
	return newSite(t, bin, more)
}

// TestCapturedWorkerPassesNothing: a lie told once costs the attachment, told
// twice the mail waits. What each of them does is in the liar's source.
func TestCapturedWorkerPassesNothing(t *testing.T) {
	t.Parallel()
	s := liarSite(t, "")
	s.mustStart(t)
	once := []string{"crash", "forbidden", "silent", "garbage", "digest", "more", "flip", "clean", "outcome", "fields", "no-header", "verify-crash", "verify-clean"}
	twice := []string{"crash-always", "digest-always", "flip-always", "clean-always", "fields-always", "verify-silent-always"}
	ids := map[string]string{}
	for _, l := range append(once, twice...) {
		ids[l] = s.send(t, corpus.Mail{Subject: "lie=" + l, Text: "body text", Files: []corpus.Attachment{marked()}})
	}
	ids["clean exe"] = s.send(t, corpus.Mail{Subject: "lie=clean exe", Text: "body text", Files: []corpus.Attachment{{Name: "a.exe", Media: "application/octet-stream", Data: corpus.Program()}}})
	if err := s.drain(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, m := range s.sinks["TOWN"].wait(len(once), 30*time.Second) {
		for _, l := range once {
			if bytes.Contains(m.Data, []byte("X-Sekisho-Id: "+ids[l]+"\r\n")) {
				got[l] = bytes.Contains(m.Data, []byte("body text")) && bytes.Contains(m.Data, []byte("X-Sekisho-Result: disarmed"))
			}
		}
	}
	untreated(t, s.sinks["TOWN"])
	whole := s.heldByID(t)
	parts := map[string]heldEntry{}
	for _, e := range whole {
		if len(e.Parts) > 0 {
			parts[e.Subject] = e
		}
	}
	for _, l := range once {
		if !got[l] {
			t.Errorf("%s: the body did not arrive with its notice", l)
		}
		if p, ok := parts["lie="+l]; !ok || !slices.Equal(p.Parts, []string{"a.bin"}) {
			t.Errorf("%s: held part %+v", l, p)
		}
	}
	for _, l := range twice {
		if e := whole[ids[l]]; e.Class != "failed" {
			t.Errorf("%s: held as %+v", l, e)
		}
	}
	if e := whole[ids["clean exe"]]; e.Class != "executable" {
		t.Errorf("a program called clean is held as %+v", e)
	}
	if n := len(s.sinks["TOWN"].all()); n != len(once) {
		t.Errorf("%d messages arrived, want %d", n, len(once))
	}
}

// TestReleasedPartTravelsInANewMail: what a crash kept back is treated once the
// worker is well again, and arrives by itself, threaded to the mail it is from.
func TestReleasedPartTravelsInANewMail(t *testing.T) {
	t.Parallel()
	s := liarSite(t, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	s.send(t, corpus.Mail{Subject: "lie=crash", Text: "body text", Files: []corpus.Attachment{
		{Name: "申請書.docm", Media: "application/octet-stream", Data: corpus.Word("paragraph", true)},
		{Name: "議案.xdw", Media: "application/octet-stream", Data: corpus.DocuWorks()},
	}})
	first := town.wait(1, 30*time.Second)
	if len(first) != 1 || bytes.Contains(first[0].Data, []byte("filename")) {
		t.Fatalf("%d mails arrived, want one without a file", len(first))
	}
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.bin = binaries
	s.mustStart(t)
	var part heldEntry
	for _, e := range s.heldByID(t) {
		part = e
	}
	if !slices.Equal(part.Parts, []string{"申請書.docm", "議案.xdw"}) {
		t.Fatalf("held: %+v", part)
	}
	out, complaint, code := s.run("quarantine", "release", part.ID, "--reason", "the worker is well again")
	if code != 0 {
		t.Fatalf("release: status %d\n%s%s", code, out, complaint)
	}
	got := town.wait(2, 30*time.Second)
	if len(got) != 2 {
		t.Fatalf("%d mails arrived, want two", len(got))
	}
	old, err := mail.ReadMessage(bytes.NewReader(first[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(got[1].Data))
	if err != nil {
		t.Fatal(err)
	}
	id := old.Header.Get("Message-ID")
	if id == "" || m.Header.Get("Message-ID") == id || m.Header.Get("Message-ID") == "" || m.Header.Get("In-Reply-To") != id || !strings.Contains(m.Header.Get("References"), id) {
		t.Errorf("the first is %s, the second %s in reply to %s, references %s", id, m.Header.Get("Message-ID"), m.Header.Get("In-Reply-To"), m.Header.Get("References"))
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(body, []byte("wordprocessingml.document")) || bytes.Contains(body, []byte("body text")) || bytes.Contains(body, []byte("議案.xdw")) {
		t.Errorf("the second mail:\n%s", body)
	}
	// What can still not be treated stays.
	left := s.heldByID(t)
	if len(left) != 1 {
		t.Errorf("held afterwards: %+v", left)
	}
	for _, e := range left {
		if !slices.Equal(e.Parts, []string{"議案.xdw"}) {
			t.Errorf("held afterwards: %+v", e)
		}
	}
	untreated(t, town)
}

// rowOf is a row of the journal as somebody with access to the file sees it.
type rowOf struct {
	db    *sql.DB
	id    string
	facts map[string]any
}

func (r *rowOf) set(t *testing.T, column string, v any) {
	t.Helper()
	res, err := r.db.Exec("UPDATE entries SET "+column+" = ? WHERE id = ?", v, r.id)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%d rows changed, %v", n, err)
	}
}

// edit changes the facts and writes them back.
func (r *rowOf) edit(t *testing.T, f func(facts, envelope map[string]any)) {
	t.Helper()
	env, ok := r.facts["envelope"].(map[string]any)
	if !ok {
		t.Fatalf("facts %v", r.facts)
	}
	f(r.facts, env)
	b, err := json.Marshal(r.facts)
	if err != nil {
		t.Fatal(err)
	}
	r.set(t, "facts", b)
}

func row(t *testing.T, db *sql.DB, id string) *rowOf {
	t.Helper()
	r := &rowOf{db: db, id: id}
	var b []byte
	if err := db.QueryRow("SELECT facts FROM entries WHERE id = ?", id).Scan(&b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r.facts); err != nil {
		t.Fatal(err)
	}
	return r
}

// A hand is one change that somebody makes to a row, and is told in the table
// below with what it is good for.
type hand struct {
	name string
	do   func(t *testing.T, r *rowOf)
}

func facts(name string, f func(facts, envelope map[string]any)) hand {
	return hand{name, func(t *testing.T, r *rowOf) { t.Helper(); r.edit(t, f) }}
}

func column(name, column string, v any) hand {
	return hand{name, func(t *testing.T, r *rowOf) { t.Helper(); r.set(t, column, v) }}
}

var (
	stranger = map[string]any{"local": "stranger", "domain": "town.example.lg.jp"}

	// hands are for a row in any state.
	hands = []hand{
		facts("from inside", func(_, e map[string]any) { e["zone"] = envelope.LGWAN }),
		facts("passes as scanned", func(_, e map[string]any) { e["treatment"] = envelope.Pass }),
		facts("our own", func(_, e map[string]any) { e["treatment"] = envelope.Ours }),
		facts("another recipient", func(f, e map[string]any) { e["to"] = []any{stranger}; f["pending"] = []any{stranger} }),
		facts("another one pending", func(f, _ map[string]any) { f["pending"] = []any{stranger} }),
		facts("another sender", func(_, e map[string]any) { e["from"] = stranger }),
		facts("another profile", func(_, e map[string]any) { e["profile"] = "loose" }),
		facts("more networks", func(f, _ map[string]any) { f["networks"] = []any{1, 2, 3} }),
		facts("a verdict", func(f, _ map[string]any) { f["verdict"] = map[string]any{"action": 1, "rule": "treated"} }),
		facts("a release", func(f, _ map[string]any) {
			f["release"] = map[string]any{"by": "root", "reason": "x", "at": time.Now()}
		}),
		facts("another digest", func(_, e map[string]any) { e["digest"] = strings.Repeat("00", 32) }),
		facts("no intake seal", func(f, _ map[string]any) { delete(f, "intake") }),
		column("another tenant", "tenant", "village"),
		column("a longer life", "expires", time.Now().Add(time.Hour).UnixMicro()),
		column("no row seal", "seal", []byte{}),
		column("another parent", "parent", "06h0z84tyyvra2v20cafvn1qph0k1a9a5rf0"),
		{"another id", func(t *testing.T, r *rowOf) {
			t.Helper()
			id := string(envelope.NewID(time.Now()))
			r.set(t, "id", id)
			r.id = id
		}},
		{"another message's facts, under their own seal", func(t *testing.T, r *rowOf) {
			t.Helper()
			_, err := r.db.Exec("UPDATE entries SET (facts, seal, original, sanitized) = (SELECT facts, seal, original, sanitized FROM entries WHERE id <> ?1 ORDER BY seq DESC LIMIT 1) WHERE id = ?1", r.id)
			if err != nil {
				t.Fatal(err)
			}
		}},
	}
)

// TestChangedRowIsHeldAsTampered changes the row of a message, in each of the
// states it can wait in, once the gateway is down. Nothing of it may arrive
// anywhere, it is held as tampered with an alarm, no release leads out of that,
// and it can be deleted.
func TestChangedRowIsHeldAsTampered(t *testing.T) {
	states := []struct {
		name  string
		state spool.State
		more  []hand
	}{
		{"Held", spool.Held, []hand{
			column("Queued", "state", int64(spool.Queued)),
			column("Received", "state", int64(spool.Received)),
			column("Done", "state", int64(spool.Done)),
			facts("a class that can be released", func(f, _ map[string]any) {
				f["verdict"] = map[string]any{"action": 0, "class": "unknown", "rule": "kept-back"}
			}),
			facts("parts", func(f, _ map[string]any) { f["part"] = []any{"1"} }),
		}},
		{"Queued", spool.Queued, []hand{
			column("Held", "state", int64(spool.Held)),
			column("Done", "state", int64(spool.Done)),
			column("Received", "state", int64(spool.Received)),
			facts("the original instead", func(f, _ map[string]any) { f["kind"] = "passed" }),
			{"the original's bytes", func(t *testing.T, r *rowOf) {
				r.set(t, "sanitized", one[string](t, r.db, "SELECT original FROM entries WHERE id = ?", r.id))
				r.edit(t, func(f, _ map[string]any) { f["sanitized"] = f["original"] })
			}},
			facts("a header of another length", func(f, _ map[string]any) { f["header_len"] = 4 }),
			facts("no seal", func(f, _ map[string]any) { delete(f, "seal") }),
		}},
		{"Received", spool.Received, []hand{
			column("Queued", "state", int64(spool.Queued)),
			column("Held", "state", int64(spool.Held)),
			column("Done", "state", int64(spool.Done)),
		}},
	}
	for _, st := range states {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			tamper(t, st.state, append(slices.Clone(hands), st.more...))
		})
	}
}

// tamper brings a message for each hand into a state, lets the hands do their
// work, and looks at what becomes of it.
func tamper(t *testing.T, state spool.State, hands []hand) {
	s := liarSite(t, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	exe := corpus.Attachment{Name: "a.exe", Media: "application/octet-stream", Data: corpus.Program()}
	if state == spool.Received {
		// Those that are stalled keep every slot of the pipeline, so that the
		// others wait.
		for range 4 + max(8, 4*runtime.NumCPU()) {
			s.send(t, corpus.Mail{Subject: "lie=stall", Text: "stalled", Files: []corpus.Attachment{marked()}})
		}
	}
	if state == spool.Queued {
		town.down()
	}
	ids := map[string]string{}
	for _, h := range append(slices.Clone(hands), hand{name: "untouched"}) {
		m := corpus.Mail{Subject: "case " + h.name, Text: "body text", Files: []corpus.Attachment{marked()}}
		if state == spool.Held {
			m.Files = []corpus.Attachment{exe}
		}
		ids[h.name] = s.send(t, m)
	}
	db := openDatabase(s.data())
	defer db.Close()
	for id := range maps.Values(ids) {
		waitFor(t, "state "+state.String(), func() bool {
			return one[int64](t, db, "SELECT state FROM entries WHERE id = ?", id) == int64(state)
		})
	}
	// Killed: a gateway that ends well would first finish what is in hand.
	if err := s.end(syscall.SIGKILL); err == nil {
		t.Fatal("a killed gateway ended well")
	}
	for _, h := range hands {
		r := row(t, db, ids[h.name])
		h.do(t, r)
		r.set(t, "due", 1) // whoever changes a row can do that as well
		ids[h.name] = r.id
	}
	db.Close()

	// The honest worker takes over; the sink is there.
	s.bin = binaries
	if state == spool.Queued {
		if err := town.up(); err != nil {
			t.Fatal(err)
		}
	}
	s.mustStart(t)
	if state == spool.Queued {
		s.retry(t, ids["untouched"])
	}
	var whole map[string]heldEntry
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		whole = s.heldByID(t)
		n := 0
		for _, h := range hands {
			if whole[ids[h.name]].Class == "tampered" {
				n++
			}
		}
		if n == len(hands) {
			break
		}
	}
	for _, h := range hands {
		id := ids[h.name]
		if e := whole[id]; e.Class != "tampered" {
			t.Errorf("%s: held as %+v", h.name, e)
			continue
		}
		if !slices.ContainsFunc(append(s.log.events("held"), s.log.events("alarm")...), func(e map[string]any) bool { return e["id"] == id && e["level"] == "ERROR" }) {
			t.Errorf("%s: no alarm in the log", h.name)
		}
		for range 2 { // the first must not make good what it refuses
			if out, complaint, code := s.run("quarantine", "release", id, "--reason", "try"); code != statusNotAllowed {
				t.Errorf("%s: release: status %d\n%s%s", h.name, code, out, complaint)
			}
		}
		if out := s.must(t, "quarantine", "show", id); strings.Contains(out, "body text") {
			t.Errorf("%s: its bytes were opened to be shown", h.name)
		}
		if out, complaint, code := s.run("quarantine", "delete", id, "--reason", "tampered"); code != 0 {
			t.Errorf("%s: delete: status %d\n%s%s", h.name, code, out, complaint)
		}
	}
	if v, err := s.metric(`sekisho_alarms_total{kind="tampered"}`); err != nil || v == "" || v == "0" {
		t.Errorf("alarms counted: %q, %v", v, err)
	}
	// The one nobody touched went its way, so that the test has tested something.
	if state == spool.Held {
		if _, complaint, code := s.run("quarantine", "release", ids["untouched"], "--reason", "mine"); code != 0 {
			t.Errorf("the untouched one: status %d\n%s", code, complaint)
		}
	}
	if err := s.drain(time.Minute); err != nil {
		t.Error(err)
	}
	for _, m := range town.all() {
		if bytes.Contains(m.Data, []byte("case ")) && !bytes.Contains(m.Data, []byte("case untouched")) {
			t.Errorf("something of a changed message reached the sink, for %v:\n%s", m.To, m.Data)
		}
	}
	if !slices.ContainsFunc(town.delivered(), func(m smtptest.Taken) bool { return bytes.Contains(m.Data, []byte("case untouched")) }) {
		t.Error("the untouched message did not arrive")
	}
	untreated(t, town)
	if out := s.must(t, "audit", "verify"); !strings.Contains(out, "whole") {
		t.Error(out)
	}
}

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

// TestReplacedSealKeyStopsTheStart: seals of another key prove nothing, so the
// gateway does not run on them; with its own key back it goes on.
func TestReplacedSealKeyStopsTheStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, binaries, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	town.down()
	id := s.send(t, corpus.Mail{Subject: "waits", Text: "body text"})
	waitFor(t, "deferred", func() bool { return len(s.log.events("deferred")) > 0 })
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := town.up(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.data(), "seal.key")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(good)
	forged[len(forged)/2] ^= 1
	for name, change := range map[string]func() error{
		"another key":    func() error { return os.WriteFile(file, forged, 0o600) },
		"no key":         func() error { return os.Remove(file) },
		"half a key":     func() error { return os.WriteFile(file, good[:len(good)/2], 0o600) },
		"an empty file":  func() error { return os.WriteFile(file, nil, 0o600) },
		"a key and more": func() error { return os.WriteFile(file, append(bytes.Clone(good), 'x'), 0o600) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(s.bin, "sekishod"), "--config", s.config())
		timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		timer.Stop()
		if cmd.ProcessState.ExitCode() != exitFailed {
			t.Errorf("%s: ended with %v\n%s", name, err, out)
		}
		if !strings.Contains(string(out), "seal") {
			t.Errorf("%s: the complaint names no seal key:\n%s", name, out)
		}
	}
	if n := len(town.all()); n != 0 {
		t.Errorf("%d messages reached the sink", n)
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	s.retry(t, id)
	if got := town.wait(1, 30*time.Second); len(got) != 1 {
		t.Error("with its own key back the gateway does not deliver")
	}
}
