package spool

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/seal"
)

type noteFile struct {
	*Notes
	path string
	seal *seal.Signer
}

func newNotes(t testing.TB) *noteFile {
	t.Helper()
	s, err := seal.NewSigner(seal.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := &noteFile{path: filepath.Join(t.TempDir(), "notes"), seal: s}
	n.again(t)
	return n
}

// again is the next daemon.
func (n *noteFile) again(t testing.TB) {
	t.Helper()
	var err error
	if n.Notes, err = OpenNotes(n.path, n.seal); err != nil {
		t.Fatal(err)
	}
	notes := n.Notes
	t.Cleanup(func() { notes.Close() })
}

func noted(to ...string) *Entry {
	e := &Entry{Seal: []byte("seal")}
	e.Envelope.ID = envelope.NewID(time.Now())
	for _, s := range to {
		e.Envelope.To = append(e.Envelope.To, envelope.Address{Local: s, Domain: "town.example"})
	}
	e.Pending = e.Envelope.To
	return e
}

func (n *noteFile) mustWrite(t testing.TB, e *Entry) {
	t.Helper()
	note := NoteOf(e)
	note.To, note.Answer = e.Pending, "250 taken"
	if err := n.Write(note); err != nil {
		t.Fatal(err)
	}
}

// knows counts the recipients of e that are noted.
func (n *noteFile) knows(e *Entry) (to int) {
	for _, note := range n.Of(e) {
		to += len(note.To)
	}
	return to
}

func TestNotesComeThroughAKill(t *testing.T) {
	n := newNotes(t)
	one, many := noted("a"), noted()
	for i := range 1000 {
		many.Pending = append(many.Pending, envelope.Address{Local: fmt.Sprintf("recipient-with-a-name-%04d", i), Domain: "town.example.lg.jp"})
	}
	n.mustWrite(t, one)
	n.mustWrite(t, many)
	n.again(t)
	if got := n.knows(one); got != 1 {
		t.Errorf("%d of 1 known", got)
	}
	if got := n.knows(many); got != 1000 {
		t.Errorf("%d of 1000 known", got)
	}
	// Of those that wait no more there is nothing to say.
	many.Pending = many.Pending[:10]
	if got := n.knows(many); got != 10 {
		t.Errorf("%d of 10 known", got)
	}
	if got := n.knows(noted("a")); got != 0 {
		t.Errorf("another message's: %d", got)
	}
}

func TestPlacesOfNotesAreUsedAgain(t *testing.T) {
	n := newNotes(t)
	for range 100 {
		e := noted("a", "b")
		n.mustWrite(t, e)
		n.Forget(e.Envelope.ID)
	}
	gone := noted("c")
	n.mustWrite(t, gone)
	n.again(t)
	if err := n.Keep(func(id envelope.ID) (bool, error) { return id != gone.Envelope.ID, nil }); err != nil {
		t.Fatal(err)
	}
	if n.knows(gone) != 0 {
		t.Error("kept what was not to be")
	}
	last := noted("d")
	n.mustWrite(t, last)
	if st, err := os.Stat(n.path); err != nil || st.Size() != noteSize {
		t.Errorf("the file has %d bytes for one note, %v", st.Size(), err)
	}
	n.again(t)
	if n.knows(last) != 1 || n.knows(gone) != 0 {
		t.Error("the one that took its place is not known, or the one before is")
	}
}

func TestNotesThatOthersWroteAreNone(t *testing.T) {
	n := newNotes(t)
	e, whole := noted("a"), noted("b")
	n.mustWrite(t, e)
	n.mustWrite(t, whole)
	b, err := os.ReadFile(n.path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(n.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		n.again(t)
	}
	for i := range 500 {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		write(bad)
		written := i < 36+len(bytes.TrimRight(b[36:noteSize], "\x00"))
		if got := n.knows(e); written && got != 0 {
			t.Fatalf("octet %d changed: still believed", i)
		}
		if n.knows(whole) != 1 {
			t.Fatal("the one beside it is not believed")
		}
	}
	write(b[:100]) // torn
	if n.knows(e) != 0 {
		t.Error("half a note is believed")
	}
	write(bytes.Repeat([]byte{0xff}, 3*noteSize+7))
	n.mustWrite(t, e)
	n.again(t)
	if n.knows(e) != 1 {
		t.Error("not written over what is none")
	}
	other := newNotes(t)
	other.path = n.path
	other.again(t)
	if other.knows(e) != 0 {
		t.Error("another site's key opens it")
	}
}

func TestWithoutNotesNothingIsNoted(t *testing.T) {
	var n *Notes
	e := noted("a")
	if err := n.Write(NoteOf(e)); err != nil || n.Of(e) != nil || n.Keep(nil) != nil || n.Close() != nil {
		t.Error("notes that are none do something")
	}
	n.Forget(e.Envelope.ID)
}

// TestAnAnswerTakesThePlaceOfTheQuestion: each message is noted twice, and the
// file is not twice as long for it.
func TestAnAnswerTakesThePlaceOfTheQuestion(t *testing.T) {
	n := newNotes(t)
	e, other := noted("a", "b"), noted("c")
	write := func(e *Entry, asked bool, host string) {
		t.Helper()
		note := NoteOf(e)
		note.To, note.Host, note.Asked = e.Pending, host, asked
		if !asked {
			note.Answer = "250 taken"
		}
		if err := n.Write(note); err != nil {
			t.Fatal(err)
		}
	}
	write(e, true, "mx1")
	write(other, true, "mx1")
	write(e, false, "mx1")
	write(other, false, "mx2") // of another: the question stays
	n.again(t)
	if n.asked(e.Envelope.ID) || !n.asked(other.Envelope.ID) {
		t.Errorf("not answered: %t, %t, want false, true", n.asked(e.Envelope.ID), n.asked(other.Envelope.ID))
	}
	if got := n.Of(e); len(got) != 1 || got[0].Asked || got[0].Answer != "250 taken" {
		t.Errorf("noted %+v", got)
	}
	if st, err := os.Stat(n.path); err != nil || st.Size() != 3*noteSize {
		t.Errorf("%v, %v, want three places", st, err)
	}
}
