package pipeline_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"sekisho/envelope"
	"sekisho/internal/corpus"
	"sekisho/spool"
)

// TestWhatAHopMayHaveIsExaminedLonger: a message that was carried to its hop at
// the first of three deaths would be found in quarantine and in the mailbox.
func TestWhatAHopMayHaveIsExaminedLonger(t *testing.T) {
	const why = "the gateway stopped several times while it had this message in hand"
	r := newRoom(t)
	var err error
	if r.spool.Notes, err = spool.OpenNotes(filepath.Join(t.TempDir(), "notes"), r.signer); err != nil {
		t.Fatal(err)
	}
	defer r.spool.Notes.Close()
	died := func(id envelope.ID) {
		if _, err := r.spool.Take(t.Context(), "town", id, spool.Received); err != nil {
			t.Fatal(err)
		}
		if _, err := r.spool.Journal.(interface {
			Recover(context.Context) (int, error)
		}).Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mail := corpus.Mail{From: "a@partner.example", To: "b@town.example", Subject: "honest", Text: "body text"}
	for _, c := range []struct {
		asked  bool
		deaths int
		want   spool.State
		why    []string
	}{
		{false, spool.PoisonDeaths, spool.Held, []string{why}},
		{true, spool.PoisonDeaths, spool.Queued, nil},
		{true, 2 * spool.PoisonDeaths, spool.Held, []string{why + "; it may have been delivered"}},
	} {
		id := r.accept(t, mail.Bytes(), nil)
		if c.asked {
			e := r.entry(t, id)
			n := spool.NoteOf(&e)
			n.To, n.Hop, n.Host, n.Asked = e.Pending, "town-mail", "inner.example", true
			if err := r.spool.Notes.Write(n); err != nil {
				t.Fatal(err)
			}
		}
		for range c.deaths {
			died(id)
		}
		r.settle(t)
		if e := r.entry(t, id); e.State != c.want || !slices.Equal(e.Verdict.Reasons, c.why) {
			t.Errorf("asked %t, %d deaths: %s, %q", c.asked, c.deaths, e.State, e.Verdict.Reasons)
		}
	}
}
