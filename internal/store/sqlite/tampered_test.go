package sqlite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/seal"
	"sekisho/sanitize"
	"sekisho/spool"
	"sekisho/spool/spooltest"
)

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
