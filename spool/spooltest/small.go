package spooltest

import (
	"errors"
	"slices"
	"testing"

	"sekisho/internal/blob"
	"sekisho/spool"
)

func smallRef(content string) blob.Ref {
	r := Ref()
	r.Inline = []byte(content)
	return r
}

// wantSmall checks what a journal keeps under the id of a blob; "" is nothing.
func wantSmall(t *testing.T, in spool.Inliner, when string, r blob.Ref, want string) {
	t.Helper()
	got, err := in.SmallBlob(t.Context(), r.ID)
	if want == "" && !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("%s: got %q, %v; want ErrNotFound", when, got, err)
	}
	if want != "" && (err != nil || string(got) != want) {
		t.Errorf("%s: got %q, %v; want %q", when, got, err, want)
	}
}

func smallLife(t *testing.T, j spool.Journal, in spool.Inliner) {
	a, b := Entry("town", start), Entry("village", start)
	a.Original = smallRef("original")
	b.Original = a.Original
	insert(t, j, a, b)
	wantSmall(t, in, "inserted", a.Original, "original")
	es := claim(t, j, spool.Received, start, 2)
	for _, e := range es {
		if e.Original.Inline != nil {
			t.Error("a claimed entry brings the bytes")
		}
	}
	first, second := smallRef("first"), smallRef("second")
	if err := j.Settle(t.Context(), es[0], spool.Change{To: spool.Received, Update: func(e *spool.Entry) { e.Sanitized = first }}); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "settled", first, "first")
	again := claim(t, j, spool.Received, start, 1)[0]
	ours := Entry("town", start)
	ours.Original = smallRef("notice")
	if err := j.Settle(t.Context(), again, spool.Change{To: spool.Done, Spawn: []spool.Entry{ours}, Update: func(e *spool.Entry) { e.Sanitized, e.Expires = second, start }}); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "replaced", first, "")
	wantSmall(t, in, "replacing", second, "second")
	wantSmall(t, in, "spawned", ours.Original, "notice")
	ids, err := j.Purge(t.Context(), start, 9)
	if err != nil || !slices.Equal(ids, []blob.ID{second.ID}) {
		t.Errorf("purge: %v, %v; want %s", ids, err, second.ID)
	}
	wantSmall(t, in, "purged", second, "")
	wantSmall(t, in, "still named", a.Original, "original")
	if err := j.Settle(t.Context(), es[1], spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = start }}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Purge(t.Context(), start, 9); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "named no more", a.Original, "")
}

func smallFails(t *testing.T, j spool.Journal, in spool.Inliner) {
	a := Entry("town", start)
	insert(t, j, a)
	b := a
	b.Original = smallRef("x")
	if err := j.Insert(t.Context(), []spool.Entry{b}, nil); !errors.Is(err, spool.ErrExists) {
		t.Errorf("insert: got %v, want ErrExists", err)
	}
	wantSmall(t, in, "after a failed insert", b.Original, "")
	c := claim(t, j, spool.Received, start, 1)[0]
	out := smallRef("y")
	if err := j.Settle(t.Context(), c, spool.Change{To: spool.Queued, Update: func(e *spool.Entry) { e.Sanitized = out }, Spawn: []spool.Entry{a}}); err == nil {
		t.Error("an id was spawned twice")
	}
	wantSmall(t, in, "after a failed settle", out, "")
}

func smallAside(t *testing.T, j spool.Journal, in spool.Inliner) {
	a := Entry("town", start)
	a.Original, a.State, a.Expires = smallRef("damaged"), spool.Done, start
	insert(t, j, a)
	if err := in.SetAside(t.Context(), Ref().ID); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("aside of what is not there: got %v, want ErrNotFound", err)
	}
	if err := in.SetAside(t.Context(), a.Original.ID); err != nil {
		t.Fatal(err)
	}
	wantSmall(t, in, "set aside", a.Original, "")
	if _, err := j.Purge(t.Context(), start, 9); err != nil {
		t.Fatal(err)
	}
	if err := in.SetAside(t.Context(), a.Original.ID); err != nil {
		t.Errorf("after a purge it is gone: %v", err)
	}
}
