package dir

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/internal/blob"
	"sekisho/internal/blob/blobtest"
)

// The form of a file: see package blob.
const (
	header = "sekiblb1"
	chunk  = 64 << 10
	tag    = 16
	sealed = chunk + tag
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoreConforms(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

// edit rewrites the file of a blob.
func edit(t testing.TB, s *Store, id blob.ID, f func(b []byte) []byte) {
	t.Helper()
	path, ok := s.path(id)
	if !ok {
		t.Fatalf("%q is no id", id)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), fileMode); err != nil {
		t.Fatal(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 1; return b }
}

func TestEveryDamageIsSeen(t *testing.T) {
	const first, second, third = len(header), len(header) + sealed, len(header) + 2*sealed
	for _, c := range []struct {
		name string
		size int
		edit func(b []byte) []byte
	}{
		{"bit of the header", 100, flip(0)},
		{"bit of the only chunk", 100, flip(len(header))},
		{"bit of its tag", 100, flip(len(header) + 100)},
		{"bit of a middle chunk", 3 * chunk, flip(second + 5)},
		{"bit of the last chunk", 3 * chunk, flip(third + 5)},
		{"empty file", 100, func(b []byte) []byte { return nil }},
		{"header alone", 100, func(b []byte) []byte { return b[:len(header)] }},
		{"last byte cut off", 100, func(b []byte) []byte { return b[:len(b)-1] }},
		{"last chunk cut off", 2*chunk + 1, func(b []byte) []byte { return b[:third] }},
		{"two chunks cut off", 3 * chunk, func(b []byte) []byte { return b[:second] }},
		{"a byte added", 100, func(b []byte) []byte { return append(b, 0) }},
		{"a chunk added", 2 * chunk, func(b []byte) []byte { return append(b, b[first:second]...) }},
		{"empty last chunk added", 2 * chunk, func(b []byte) []byte { return append(b, make([]byte, tag)...) }},
		{"last chunk twice", 2 * chunk, func(b []byte) []byte { return append(b, b[second:]...) }},
		{"two chunks swapped", 3 * chunk, func(b []byte) []byte {
			c := bytes.Clone(b)
			copy(c[first:], b[second:third])
			copy(c[second:], b[first:second])
			return c
		}},
		{"first chunk instead of second", 3 * chunk, func(b []byte) []byte { copy(b[second:third], b[first:second]); return b }},
		{"first chunk taken out", 3 * chunk, func(b []byte) []byte { return append(b[:first], b[second:]...) }},
		{"a page of zeros", 3 * chunk, func(b []byte) []byte { clear(b[8192:12288]); return b }},
		{"plain text", 100, func(b []byte) []byte { return []byte(strings.Repeat("x", 200)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			content := blobtest.Bytes(1, c.size)
			id, key := blobtest.Put(t, s, content)
			edit(t, s, id, c.edit)
			got, err := blobtest.ReadAll(t, s, id, key)
			if !errors.Is(err, blob.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
			if !bytes.HasPrefix(content, got) {
				t.Error("bytes were handed out that were never written")
			}
		})
	}
}

func TestSwappedFilesAreSeen(t *testing.T) {
	s := open(t, t.TempDir())
	a, ka := blobtest.Put(t, s, []byte("one"))
	b, kb := blobtest.Put(t, s, []byte("two"))
	pa, _ := s.path(a)
	pb, _ := s.path(b)
	for _, mv := range [][2]string{{pa, pa + ".x"}, {pb, pa}, {pa + ".x", pb}} {
		if err := os.Rename(mv[0], mv[1]); err != nil {
			t.Fatal(err)
		}
	}
	for id, keys := range map[blob.ID][]blob.Key{a: {ka, kb}, b: {ka, kb}} {
		for _, k := range keys {
			// Not even the right key of the bytes opens them under another id.
			if _, err := blobtest.ReadAll(t, s, id, k); !errors.Is(err, blob.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		}
	}
}

func TestLinksAndPipesAreNotRead(t *testing.T) {
	s := open(t, t.TempDir())
	id, key := blobtest.Put(t, s, []byte("one"))
	path, _ := s.path(id)
	other := filepath.Join(t.TempDir(), "other")
	if err := os.Rename(path, other); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), id, key); !errors.Is(err, blob.ErrDamaged) {
		t.Errorf("symbolic link: got %v, want ErrDamaged", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), id, key); !errors.Is(err, blob.ErrDamaged) {
		t.Errorf("pipe: got %v, want ErrDamaged", err)
	}
}

func TestFileCutWhileItIsReadIsDamaged(t *testing.T) {
	s := open(t, t.TempDir())
	id, key := blobtest.Put(t, s, blobtest.Bytes(1, 3*chunk))
	r, err := s.Open(t.Context(), id, key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path, _ := s.path(id)
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, blob.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func TestNothingReadableIsOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	secret := []byte("the mayor's secret sentence")
	blobtest.Put(t, s, bytes.Repeat(secret, 5000))
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(dirMode)
		if !d.IsDir() {
			files++
			want = fileMode
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if bytes.Contains(b, secret[:8]) {
				t.Errorf("%s holds plain text", path)
			}
		}
		if path != dir && st.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, st.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v; want 1", files, err)
	}
}

func TestUnfinishedBlobsAreRemovedAtStart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	kept, key := blobtest.Put(t, s, []byte("kept"))
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 100000)); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	es, err := os.ReadDir(filepath.Join(dir, "blobs", "tmp"))
	if err != nil || len(es) != 0 {
		t.Errorf("%d files left in tmp, %v", len(es), err)
	}
	if got, err := blobtest.ReadAll(t, again, kept, key); err != nil || string(got) != "kept" {
		t.Errorf("committed blob: %q, %v", got, err)
	}
	if err := w.Commit(); err == nil {
		t.Error("a blob whose file is gone was committed")
	}
}

func TestAsideNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	id, _ := blobtest.Put(t, s, []byte("one"))
	path, _ := s.path(id)
	if err := os.WriteFile(filepath.Join(dir, "damaged", string(id)), []byte("earlier"), fileMode); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Aside(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{string(id): []byte("earlier"), string(id) + ".1": want} {
		if got, err := os.ReadFile(filepath.Join(dir, "damaged", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestBlobsOfOneMomentShareADirectory(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a, b, later := blob.NewID(now), blob.NewID(now), blob.NewID(now.Add(4*time.Second))
	if a[:2] != b[:2] || a == b {
		t.Errorf("%s and %s", a, b)
	}
	if later[:2] == a[:2] {
		t.Errorf("%s and, four seconds later, %s", a, later)
	}
	// Within a directory they sort by time, so that indexes grow at their end.
	if next := blob.NewID(now.Add(time.Microsecond)); next <= a || next <= b || !next.Valid() {
		t.Errorf("%s and %s and, a microsecond later, %s", a, b, next)
	}
}

func TestDirectorySyncIsSharedAndNeverTooEarly(t *testing.T) {
	d := &syncer{path: t.TempDir()}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 20 {
				if err := d.sync(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if d.run != nil || d.next != nil {
		t.Error("a sync is left behind")
	}
	d.path = filepath.Join(d.path, "missing")
	if err := d.sync(); err == nil {
		t.Error("sync of a directory that does not exist succeeded")
	}
}

// FuzzReader checks that whatever bytes stand in the file, a reader hands out
// nothing but what was written, at its place.
func FuzzReader(f *testing.F) {
	content := blobtest.Bytes(9, 2*chunk+100)
	s, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	id, key := blobtest.Put(f, s, content)
	path, _ := s.path(id)
	file, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), uint32(0), []byte(nil), uint32(0))
	f.Add(uint32(10), uint32(20), []byte{1, 2, 3}, uint32(70000))
	f.Add(uint32(len(header)), uint32(sealed), []byte(nil), uint32(0))
	f.Add(uint32(len(file)), uint32(0), make([]byte, tag), uint32(2*chunk))
	f.Fuzz(func(t *testing.T, from, n uint32, put []byte, off uint32) {
		// Replace n bytes at from by others of any length.
		a := min(int(from), len(file))
		b := min(a+int(n), len(file))
		mutant := append(append(bytes.Clone(file[:a]), put...), file[b:]...)
		r, err := blob.NewReader(bytes.NewReader(mutant), io.NopCloser(nil), int64(len(mutant)), id, key)
		if err != nil {
			if !errors.Is(err, blob.ErrDamaged) {
				t.Fatalf("open: %v", err)
			}
			if bytes.Equal(mutant, file) {
				t.Fatalf("the blob itself: %v", err)
			}
			return
		}
		defer r.Close()
		if r.Size() != int64(len(content)) {
			t.Fatalf("size %d was accepted, want %d", r.Size(), len(content))
		}
		p := make([]byte, 1000)
		k, err := r.ReadAt(p, int64(off))
		if k > 0 && !bytes.Equal(p[:k], content[off:int(off)+k]) {
			t.Fatalf("%d bytes at %d are not those that were written", k, off)
		}
		if err != nil && err != io.EOF && !errors.Is(err, blob.ErrDamaged) {
			t.Fatalf("read: %v", err)
		}
	})
}

func BenchmarkCommit4KiB(b *testing.B) {
	s := open(b, b.TempDir())
	content := blobtest.Bytes(1, 4096)
	b.SetParallelism(5)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			blobtest.Put(b, s, content)
		}
	})
}

func BenchmarkRead1MiB(b *testing.B) {
	s := open(b, b.TempDir())
	id, key := blobtest.Put(b, s, blobtest.Bytes(1, 1<<20))
	b.SetBytes(1 << 20)
	for b.Loop() {
		r, err := s.Open(b.Context(), id, key)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, r.Size())); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// TestCreateThatFailsReturnsNoWriter: a caller that throws away what it has
// must not meet a nil pointer in the interface.
func TestCreateThatFailsReturnsNoWriter(t *testing.T) {
	path := t.TempDir()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(path, "blobs", "tmp")); err != nil {
		t.Fatal(err)
	}
	if w, err := s.Create(t.Context()); err == nil || w != nil {
		t.Errorf("got %v, %v", w, err)
	}
}
