package redeflate

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func packed(t testing.TB, raw []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// recoded writes z anew and checks that the standard library unpacks the result
// to what was given out.
func recoded(t testing.TB, z []byte, size int) ([]byte, []byte, error) {
	t.Helper()
	var raw []byte
	out, err := Recode([]byte("before"), z, int64(size), func(b []byte) error { raw = append(raw, b...); return nil })
	if err != nil {
		if string(out) != "before" {
			t.Fatalf("an error and %d octets", len(out))
		}
		return nil, raw, err
	}
	out = out[len("before"):]
	r, err := zlib.NewReader(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	again, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(again, raw) {
		t.Fatalf("the result unpacks to %d octets of %d: %v", len(again), len(raw), err)
	}
	return out, raw, nil
}

func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	slope := make([]byte, 200_000)
	for i := range slope {
		slope[i] = byte(i/700) + byte(r.IntN(3))
	}
	rare := bytes.Repeat([]byte("a"), 100_000)
	for i := range 20 { // frequencies of which each is the sum of those before
		rare = append(rare, bytes.Repeat([]byte{byte('b' + i)}, 1<<i%(1<<16))...)
	}
	return map[string][]byte{
		"nothing": nil, "one": {7}, "one again and again": bytes.Repeat([]byte{7}, 1<<20), "noise": noise, "slope": slope,
		"words": []byte(strings.Repeat("the same words, with a difference now and then: ", 4000) + string(noise[:999]) + strings.Repeat("more ", 9999)), "rare": rare,
	}
}

func TestTheSameComesOutAndIsNoLarger(t *testing.T) {
	for name, raw := range samples() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9} {
			z := packed(t, raw, level)
			out, got, err := recoded(t, append(z, "behind"...), len(raw))
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s at level %d: %d octets, %v", name, level, len(got), err)
				continue
			}
			if most := len(z) + len(z)/100 + 64; len(out) > most {
				t.Errorf("%s at level %d: %d octets became %d", name, level, len(z), len(out))
			}
			again, _, err := recoded(t, out, len(raw))
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("%s at level %d: a second pass changes it: %v", name, level, err)
			}
		}
	}
}

func TestNothingIsStoredPlain(t *testing.T) {
	raw := samples()["noise"]
	copy(raw[1000:], "<script>alert(1)</script>")
	z := packed(t, raw, flate.NoCompression)
	if !bytes.Contains(z, []byte("<script>")) {
		t.Fatal("the sample does not show it")
	}
	out, _, err := recoded(t, z, len(raw))
	if err != nil || bytes.Contains(out, []byte("script")) {
		t.Errorf("it shows in the result: %v", err)
	}
}

func TestOddStreamsAreRefused(t *testing.T) {
	raw := samples()["words"]
	z := packed(t, raw, 6)
	for name, c := range map[string]struct {
		z    []byte
		size int
	}{
		"cut short":         {z[:len(z)/2], len(raw)},
		"without its sum":   {z[:len(z)-4], len(raw)},
		"with another sum":  {append(bytes.Clone(z[:len(z)-1]), z[len(z)-1]^1), len(raw)},
		"longer than said":  {z, len(raw) - 1},
		"shorter than said": {z, len(raw) + 1},
		"with a dictionary": {append([]byte{0x78, 0xbb}, z[2:]...), len(raw)},
		"no stream":         {[]byte("GIF89a no stream"), 10},
		"a copy from before the beginning": {func() []byte {
			var b bytes.Buffer
			w, err := flate.NewWriterDict(&b, 9, raw[:1000])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(raw[:1000]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return append([]byte{0x78, 0x9c}, append(b.Bytes(), 0, 0, 0, 0)...)
		}(), 1000},
	} {
		if _, _, err := recoded(t, c.z, c.size); !errors.Is(err, ErrStream) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	if _, err := Recode(nil, z, int64(len(raw)), func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the sink: %v", err)
	}
}

func TestNoCodeIsTooLong(t *testing.T) {
	freq := make([]uint32, 30)
	a, b := uint32(1), uint32(1)
	for i := range freq {
		freq[i] = a
		a, b = b, a+b
	}
	for _, most := range []int{7, 15} {
		lengths := make([]uint8, len(freq))
		huffman(freq, most, lengths)
		space := 0
		for _, n := range lengths {
			if n < 1 || int(n) > most {
				t.Errorf("a code of %d bits of %d", n, most)
			}
			space += 1 << (most - int(n))
		}
		if space != 1<<most {
			t.Errorf("%d bits: the codes fill %d of %d", most, space, 1<<most)
		}
	}
}

func FuzzRecode(f *testing.F) {
	for _, raw := range samples() {
		f.Add(packed(f, raw[:min(len(raw), 3000)], 6), 3000)
	}
	f.Add([]byte{0x78, 0x9c, 0x03, 0, 0, 0, 0, 1}, 0)
	f.Fuzz(func(t *testing.T, z []byte, size int) {
		if size < 0 || size > 1<<20 {
			t.Skip()
		}
		out, raw, err := recoded(t, z, size)
		// The standard library is as strict or stricter, but for where it ends.
		r, e := zlib.NewReader(bytes.NewReader(z))
		if e != nil {
			if err == nil {
				t.Fatalf("taken, and the library says %v", e)
			}
			return
		}
		want, e := io.ReadAll(io.LimitReader(r, 1<<20+1))
		if err == nil && (e != nil || !bytes.Equal(raw, want)) {
			t.Fatalf("%d octets, the library has %d: %v", len(raw), len(want), e)
		}
		if err == nil {
			if again, _, err := recoded(t, out, size); err != nil || !bytes.Equal(again, out) {
				t.Fatalf("a second pass: %v", err)
			}
		}
	})
}

func BenchmarkRecode(b *testing.B) {
	for name, raw := range samples() {
		if len(raw) < 1000 {
			continue
		}
		z := packed(b, raw, 6)
		b.Run(fmt.Sprintf("%s/%d", name, len(z)), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			var out []byte
			for b.Loop() {
				var err error
				if out, err = Recode(out[:0], z, int64(len(raw)), func([]byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
