package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"maps"
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
