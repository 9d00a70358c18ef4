package worker

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"sekisho/sanitize"
)

// TestAMessageIsWhatWasWritten at sizes on both sides of the one from which it
// lies in a file, with and without its size said before, in pieces of any length.
func TestAMessageIsWhatWasWritten(t *testing.T) {
	for _, size := range []int{0, 1, 4 << 10, maxShort - 1, maxShort, maxShort + 1, 3 * maxShort} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 7 / 5)
		}
		for _, said := range []int64{0, int64(size), maxShort, 4 * maxShort} {
			for _, piece := range []int{1 << 10, 999, size + 1} {
				m, err := NewMessage("message", said)
				if err != nil {
					t.Fatal(err)
				}
				for c := range slices.Chunk(want, piece) {
					if n, err := m.Write(c); err != nil || n != len(c) {
						t.Fatal(n, err)
					}
				}
				if _, err := m.shared(); err == nil {
					t.Error("a worker gets a message that may still change")
				}
				if err := m.Seal(); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Write([]byte("X")); err == nil {
					t.Error("it can be written to when it is sealed")
				}
				if (m.file != nil) != (size > maxShort || said > maxShort) {
					t.Errorf("%d octets of %d said: in a file is %v", size, said, m.file != nil)
				}
				if m.Size() != int64(size) {
					t.Errorf("its size is %d, want %d", m.Size(), size)
				}
				if err := iotest.TestReader(io.NewSectionReader(m, 0, m.Size()), want); err != nil {
					t.Error(err)
				}
				// Several runs may want it at once.
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						f, err := m.shared()
						if err != nil {
							t.Error(err)
							return
						}
						got := make([]byte, size+1)
						if n, err := f.ReadAt(got, 0); n != size || err != io.EOF || !bytes.Equal(got[:n], want) {
							t.Errorf("a worker reads %d octets, %v", n, err)
						}
					})
				}
				all.Wait()
				if f, err := m.shared(); err != nil {
					t.Error(err)
				} else {
					unchangeable(t, f)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestTheLanesMessageNeedsNoFile: making some for each text cost more than its
// treatment.
func TestTheLanesMessageNeedsNoFile(t *testing.T) {
	r := withLanes(t, real, 2)
	m := message(t, text("x"))
	res, err := r.Run(t.Context(), lanes(sanitize.TaskMail, "a"), m)
	if err != nil || !res.InLane {
		t.Fatal(err)
	}
	defer res.Output.Close()
	if m.file != nil || m.given != nil || res.Output.file != nil {
		t.Error("it lies in a file")
	}
}
