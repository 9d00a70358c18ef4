// Package blobtest is the conformance suite of blob stores: whatever keeps
// blobs passes it.
package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"sekisho/internal/blob"
)

// Sizes are plain sizes around the borders of chunks of 64 KiB.
var sizes = []int{0, 1, 15, 16, 17, 4096, 65535, 65536, 65537, 131071, 131072, 131073, 300001}

// Bytes returns n bytes that depend on seed and do not repeat.
func Bytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// Put writes and commits a blob.
func Put(t testing.TB, s blob.Store, content []byte) (blob.ID, blob.Key) {
	t.Helper()
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatalf("write: %v", err)
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return w.ID(), w.Key()
}

// ReadAll reads a whole blob.
func ReadAll(t testing.TB, s blob.Store, id blob.ID, key blob.Key) ([]byte, error) {
	t.Helper()
	r, err := s.Open(t.Context(), id, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

// Run runs the suite. newStore returns an empty store.
func Run(t *testing.T, newStore func(t *testing.T) blob.Store) {
	t.Run("WhatWasWrittenIsRead", func(t *testing.T) {
		s := newStore(t)
		for _, n := range sizes {
			want := Bytes(1, n)
			id, key := Put(t, s, want)
			r, err := s.Open(t.Context(), id, key)
			if err != nil {
				t.Errorf("%d bytes: open: %v", n, err)
				continue
			}
			if r.Size() != int64(n) {
				t.Errorf("%d bytes: Size is %d", n, r.Size())
			}
			if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), want); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("%d bytes: close: %v", n, err)
			}
		}
	})

	t.Run("SmallWritesAndLargeOnesMakeTheSameBlob", func(t *testing.T) {
		s := newStore(t)
		want := Bytes(2, 200000)
		w, err := s.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), r.IntN(5000))
			if m, err := w.Write(rest[:n]); err != nil || m != n {
				t.Fatalf("write of %d: %d, %v", n, m, err)
			}
			rest = rest[n:]
		}
		if w.Size() != int64(len(want)) {
			t.Errorf("Size is %d, want %d", w.Size(), len(want))
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAll(t, s, w.ID(), w.Key())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes, equal %v, %v", len(got), bytes.Equal(got, want), err)
		}
	})

	t.Run("ReadsAtAnyPlace", func(t *testing.T) {
		s := newStore(t)
		want := Bytes(3, 200000)
		id, key := Put(t, s, want)
		rd, err := s.Open(t.Context(), id, key)
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Close()
		r := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			off := r.IntN(len(want))
			p := make([]byte, r.IntN(90000))
			n, err := rd.ReadAt(p, int64(off))
			wantN := min(len(p), len(want)-off)
			if n != wantN || !bytes.Equal(p[:n], want[off:off+wantN]) {
				t.Fatalf("%d bytes at %d: got %d", len(p), off, n)
			}
			if (err == io.EOF) != (n < len(p)) || (err != nil && err != io.EOF) {
				t.Fatalf("%d bytes at %d: error %v after %d", len(p), off, err, n)
			}
		}
		if _, err := rd.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("a negative offset was read")
		}
		if n, err := rd.ReadAt(make([]byte, 1), 1<<62); n != 0 || err != io.EOF {
			t.Errorf("far behind the end: %d, %v; want 0, EOF", n, err)
		}
	})

	t.Run("OneReaderServesManyGoroutines", func(t *testing.T) {
		s := newStore(t)
		want := Bytes(4, 300000)
		id, key := Put(t, s, want)
		rd, err := s.Open(t.Context(), id, key)
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Close()
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				for range 50 {
					off := r.IntN(len(want) - 100)
					p := make([]byte, 100)
					if _, err := rd.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, want[off:off+100]) {
						t.Errorf("at %d: %v", off, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("NothingIsVisibleBeforeCommit", func(t *testing.T) {
		s := newStore(t)
		w, err := s.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(Bytes(5, 100000)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), w.ID(), w.Key()); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("open before commit: got %v, want ErrNotFound", err)
		}
		if ids := walk(t, s); len(ids) != 0 {
			t.Errorf("walk before commit finds %v", ids)
		}
		w.Abort()
		w.Abort()
		if _, err := s.Open(t.Context(), w.ID(), w.Key()); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("open after abort: got %v, want ErrNotFound", err)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("an aborted blob takes bytes")
		}
		if err := w.Commit(); err == nil {
			t.Error("an aborted blob was committed")
		}
	})

	t.Run("AbortAfterCommitDoesNothing", func(t *testing.T) {
		s := newStore(t)
		w, err := s.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("kept")); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if got, err := ReadAll(t, s, w.ID(), w.Key()); err != nil || string(got) != "kept" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := w.Commit(); err == nil {
			t.Error("a blob was committed twice")
		}
	})

	t.Run("IDsAndKeysAreTheirOwn", func(t *testing.T) {
		s := newStore(t)
		ids, keys := map[blob.ID]bool{}, map[blob.Key]bool{}
		for range 20 {
			id, key := Put(t, s, nil)
			if !id.Valid() {
				t.Errorf("id %q is not valid", id)
			}
			if ids[id] || keys[key] || key == (blob.Key{}) {
				t.Error("an id or key came twice, or a key is zero")
			}
			ids[id], keys[key] = true, true
		}
	})

	t.Run("AnotherBlobsKeyOpensNothing", func(t *testing.T) {
		s := newStore(t)
		a, _ := Put(t, s, []byte("one"))
		_, other := Put(t, s, []byte("two"))
		if _, err := ReadAll(t, s, a, other); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	})

	t.Run("DeleteIsFinalAndMayBeRepeated", func(t *testing.T) {
		s := newStore(t)
		id, key := Put(t, s, []byte("gone"))
		for range 2 {
			if err := s.Delete(t.Context(), id); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		if _, err := s.Open(t.Context(), id, key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("open: got %v, want ErrNotFound", err)
		}
	})

	t.Run("WhatIsNoIDIsNotFound", func(t *testing.T) {
		s := newStore(t)
		for _, id := range []blob.ID{"", "x", "../../../../etc/passwd", "0123456789abcdef0123456789abcde/", "0123456789ABCDEF0123456789ABCDEF"} {
			if _, err := s.Open(t.Context(), id, blob.Key{}); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("open %q: got %v, want ErrNotFound", id, err)
			}
			if err := s.Delete(t.Context(), id); err != nil {
				t.Errorf("delete %q: %v", id, err)
			}
			if err := s.Aside(t.Context(), id); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("aside %q: got %v, want ErrNotFound", id, err)
			}
		}
	})

	t.Run("WalkFindsEveryBlobOnce", func(t *testing.T) {
		s := newStore(t)
		want := map[blob.ID]bool{}
		for i := range 50 {
			id, _ := Put(t, s, fmt.Append(nil, i))
			want[id] = true
		}
		got := walk(t, s)
		if len(got) != len(want) {
			t.Errorf("found %d blobs, want %d", len(got), len(want))
		}
		for _, id := range got {
			if !want[id] {
				t.Errorf("found %s twice, or it is none of ours", id)
			}
			delete(want, id)
		}
		stop := errors.New("stop")
		if err := s.Walk(t.Context(), func(blob.ID, int64) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("walk does not return the error of its function: %v", err)
		}
	})

	t.Run("WhatIsMovedAsideIsNotFound", func(t *testing.T) {
		s := newStore(t)
		id, key := Put(t, s, []byte("damaged"))
		if err := s.Aside(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), id, key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("open: got %v, want ErrNotFound", err)
		}
		if ids := walk(t, s); len(ids) != 0 {
			t.Errorf("walk finds %v", ids)
		}
		if err := s.Aside(t.Context(), id); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("aside again: got %v, want ErrNotFound", err)
		}
	})

	t.Run("ManyWritersAtOnce", func(t *testing.T) {
		s := newStore(t)
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 5 {
					want := Bytes(uint64(g*100+i), 1000*g+i)
					w, err := s.Create(t.Context())
					if err != nil {
						t.Errorf("create: %v", err)
						return
					}
					if _, err := w.Write(want); err != nil {
						t.Errorf("write: %v", err)
					}
					if err := w.Commit(); err != nil {
						t.Errorf("commit: %v", err)
					}
					if got, err := ReadAll(t, s, w.ID(), w.Key()); err != nil || !bytes.Equal(got, want) {
						t.Errorf("writer %d, blob %d: equal %v, %v", g, i, bytes.Equal(got, want), err)
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("FreeSpaceIsKnown", func(t *testing.T) {
		free, inodes, err := newStore(t).Free(t.Context())
		if err != nil || free <= 0 || inodes < 0 || inodes > 100 {
			t.Errorf("got %d bytes, %d %%, %v", free, inodes, err)
		}
	})

	t.Run("AClosedReaderReadsNothing", func(t *testing.T) {
		s := newStore(t)
		id, key := Put(t, s, []byte("x"))
		r, err := s.Open(t.Context(), id, key)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if n, err := r.ReadAt(make([]byte, 1), 0); n != 0 || err == nil || err == io.EOF {
			t.Errorf("read after close: %d, %v", n, err)
		}
	})
}

func walk(t *testing.T, s blob.Store) []blob.ID {
	t.Helper()
	var ids []blob.ID
	err := s.Walk(t.Context(), func(id blob.ID, age int64) error {
		if age < -1 || age > 3600 {
			t.Errorf("%s is %d s old", id, age)
		}
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return ids
}
