package sqlite

import (
	"path/filepath"
	"testing"
)

func TestCountsOfTLSAreKeptUnderSeal(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"), newSigner(t))
	ctx := t.Context()
	days := func() map[string][]byte {
		m, err := s.TLSDays(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	keep := func(day string, counts []byte) {
		if err := s.KeepTLSDay(ctx, day, counts); err != nil {
			t.Fatal(err)
		}
	}
	keep("2026-11-24", []byte("old"))
	keep("2026-11-25", []byte("a"))
	keep("2026-11-25", []byte("b"))
	keep("2026-11-24", nil)
	if m := days(); len(m) != 1 || string(m["2026-11-25"]) != "b" {
		t.Errorf("kept %q, want the last of 2026-11-25", m)
	}
	for _, change := range []string{"counts = x'41'", "day = '2026-11-23'"} {
		err := s.do(ctx, func(tx *tx) error {
			_, err := tx.exec("UPDATE tls_days SET " + change)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if m := days(); len(m) != 0 {
			t.Errorf("with %s it is %q, want none", change, m)
		}
		keep("2026-11-23", nil)
		keep("2026-11-25", []byte("b"))
	}
}
