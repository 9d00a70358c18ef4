package sqlite

import (
	"path/filepath"
	"testing"
	"time"
)

func TestPoliciesAreKeptUnderSeal(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"), newSigner(t))
	ctx := t.Context()
	if b, err := s.Policy(ctx, "b.example"); err != nil || b != nil {
		t.Fatalf("before any: %q, %v", b, err)
	}
	for _, c := range []struct {
		domain, policy string
		until          time.Duration
	}{{"b.example", "old", time.Hour}, {"over.example", "x", -time.Hour}, {"b.example", "new", 2 * time.Hour}} {
		if err := s.KeepPolicy(ctx, c.domain, []byte(c.policy), time.Now().Add(c.until)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Policy(ctx, "b.example"); err != nil || string(b) != "new" {
		t.Errorf("kept %q, %v; want new", b, err)
	}
	if b, err := s.Policy(ctx, "over.example"); err != nil || b != nil {
		t.Errorf("what is over is still there: %q, %v", b, err)
	}
	for _, change := range []string{"policy = x'41'", "until = until + 1", "domain = 'c.example'"} {
		err := s.do(ctx, func(tx *tx) error {
			_, err := tx.exec("UPDATE policies SET " + change + " WHERE policy <> x'41'")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{"b.example", "c.example"} {
			if b, err := s.Policy(ctx, d); err != nil || b != nil {
				t.Errorf("with %s the policy of %s is %q, %v; want none", change, d, b, err)
			}
		}
		if err := s.KeepPolicy(ctx, "b.example", []byte("new"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
}
